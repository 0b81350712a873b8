/*
 * configsync/awake.c - rules of who is awake, and for how long. Pure.
 */
#include "configsync/awake.h"

void
awake_installed(struct awake *a, uint64_t now_us)
{
	a->edit_us = now_us;
}

/* Of a file that takes longer to be written than the other node stays awake it is told once more. */
bool
awake_tell(struct awake *a, bool begun, uint64_t now_us)
{
	bool first = now_us - a->edit_us >= AWAKE_SPAN_US, tell = first && now_us - a->told_us >= (begun ? AWAKE_SPAN_US : AWAKE_US);

	if (!begun)
		a->edit_us = now_us;
	if (tell)
		a->told_us = now_us;
	return tell;
}

bool
awake_told(struct awake *a, uint64_t now_us)
{
	if (now_us - a->span_us >= AWAKE_SPAN_US) {
		a->span_us = now_us;
		a->times = 0;
	}
	if (awake_is(a, now_us) || a->times == AWAKE_TIMES || !awake_may_yield(a, now_us))
		return false;
	a->times++;
	a->until_us = now_us + AWAKE_US;
	return true;
}

bool
awake_is(const struct awake *a, uint64_t now_us)
{
	return now_us < a->until_us;
}

void
awake_over(struct awake *a)
{
	a->until_us = 0;
}

bool
awake_may_yield(const struct awake *a, uint64_t now_us)
{
	return now_us >= a->busy_us;
}

void
awake_yielded(struct awake *a, uint64_t begun_us, uint64_t now_us)
{
	if (now_us - begun_us < AWAKE_LONG_US)
		return;
	a->busy_us = now_us + AWAKE_BUSY_US;
	a->until_us = 0;
}
