/*
 * configsync/pace.c - pieces of a work, by how long the last one took. Pure.
 */
#include "configsync/pace.h"

uint64_t
pace_units(const struct pace *p)
{
	return p->now > 0 ? p->now : p->first;
}

/* As many as would have taken that long, but no more than twice as many. */
void
pace_took(struct pace *p, uint64_t units, uint64_t us)
{
	uint64_t before = pace_units(p), most = 2 * before < p->most ? 2 * before : p->most;
	uint64_t next = us == 0 ? most : units * p->us / us;

	p->now = next < 1 ? 1 : next < most ? next : most;
	if (units < before && p->now < before && us <= p->us)
		p->now = before;	/* there was no more to do, which tells nothing of more */
}

void
pace_rest(struct pace *p)
{
	p->now = 0;
}
