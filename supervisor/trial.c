/*
 * supervisor/trial.c - see trial.h. Pure: no clock, no file, no log.
 */
#include "supervisor/trial.h"

#include <stdio.h>

/* What has passed, but no more than a timer that fires in time would have seen. */
static uint64_t
seen(uint64_t from_ms, uint64_t now_ms, uint64_t every_ms)
{
	uint64_t passed = now_ms > from_ms ? now_ms - from_ms : 0;

	return passed < 2 * every_ms ? passed : 2 * every_ms;
}

void
trial_begin(struct trial *t, uint64_t now_ms, uint64_t every_ms)
{
	t->out = true;
	t->gap_ms = t->bad ? seen(t->ended_ms, now_ms, every_ms) : 0;
	t->out_ms = 0;
	t->began_ms = t->seen_ms = now_ms;
}

static void
count(struct trial *t, uint64_t now_ms, uint64_t look_ms)
{
	t->out_ms += seen(t->seen_ms, now_ms, look_ms);
	t->seen_ms = now_ms;
}

/* The pause before it counts, now that it is known how it ended. */
static void
turn_bad(struct trial *t, bool hangs)
{
	t->base_ms += t->gap_ms;
	t->gap_ms = 0;
	t->bad = true;
	t->hangs = hangs;
	t->good_ms = 0;
}

bool
trial_look(struct trial *t, uint64_t now_ms, uint64_t look_ms, uint64_t ill_ms)
{
	bool was = t->hangs;

	if (!t->out)
		return false;
	count(t, now_ms, look_ms);
	if (t->out_ms >= ill_ms) {
		turn_bad(t, true);
		t->text[0] = '\0';
	}
	return t->hangs && !was;
}

void
trial_end(struct trial *t, uint64_t now_ms, uint64_t look_ms, enum trial_answer answer, const char *text)
{
	count(t, now_ms, look_ms);
	t->out = false;
	t->ended_ms = now_ms;
	switch (answer) {
	case TRIAL_GOOD:
		t->good_ms = t->good_ms != 0 ? t->good_ms : now_ms;
		t->good_began_ms = t->began_ms;
		t->tried = true;
		t->bad = t->hangs = false;
		t->base_ms = 0;
		t->text[0] = '\0';
		break;
	case TRIAL_BAD:
		t->tried = true;
		turn_bad(t, false);
		t->base_ms += t->out_ms;
		snprintf(t->text, sizeof(t->text), "%.199s", text[0] != '\0' ? text : "it fails without a reason");
		break;
	case TRIAL_VOID:
		t->base_ms += t->hangs ? t->out_ms : 0;
		break;
	}
	t->out_ms = t->gap_ms = 0;
}

uint64_t
trial_bad_ms(const struct trial *t)
{
	return !t->bad ? 0 : t->base_ms + (t->hangs ? t->out_ms : 0);
}

enum fact
trial_good(const struct trial *t)
{
	return t->bad ? FACT_NO : t->tried ? FACT_YES : FACT_UNKNOWN;
}
