/*
 * tests/sim/fake_clock.c - stands for common/clock.c: each node has a clock of its own, which drifts, and stands still while
 * its machine is frozen. Knows whose turn it is from sim->cur.
 */
#include <stdio.h>

#include "common/clock.h"
#include "tests/sim/sim.h"

#define WALL_BEGIN UINT64_C(1795000000000)	/* some day in November 2026 */

uint64_t
clock_mono_us(void)
{
	return node_mono(sim->cur);
}

uint64_t
clock_mono_ms(void)
{
	return node_mono(sim->cur) / 1000;
}

uint64_t
clock_boot_ms(void)
{
	return node_mono(sim->cur) / 1000;
}

uint64_t
clock_wall_ms(void)
{
	return WALL_BEGIN + (uint64_t)((int64_t)(sim->now / 1000) + sim->cur->wall_ms);
}

uint64_t
clock_wall_coarse_ms(void)
{
	return clock_wall_ms();
}

/* The day of the year does not matter to anybody here. */
static const char *
print(uint64_t wall_ms, const char *fraction, char buf[CLOCK_RFC3339_MAX])
{
	unsigned int s = (unsigned int)(wall_ms / 1000 % 86400);

	snprintf(buf, CLOCK_RFC3339_MAX, "2026-11-21T%02u:%02u:%02u%sZ", s / 3600, s / 60 % 60, s % 60, fraction);
	return buf;
}

const char *
clock_rfc3339(uint64_t wall_ms, char buf[CLOCK_RFC3339_MAX])
{
	return print(wall_ms, "", buf);
}

const char *
clock_rfc3339_ms(uint64_t wall_ms, char buf[CLOCK_RFC3339_MAX])
{
	char fraction[8];

	snprintf(fraction, sizeof(fraction), ".%03u", (unsigned int)(wall_ms % 1000));
	return print(wall_ms, fraction, buf);
}
