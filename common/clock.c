/*
 * common/clock.c - asks the kernel for the time and writes it down for people. Used by every
 * process; nothing here blocks.
 *
 * The calendar is computed here: gmtime() would read the zone files of the C library, which is
 * memory and disk access in a process that wants neither.
 */
#include "common/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t
clock_us(clockid_t id)
{
	struct timespec ts = { 0 };

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
clock_mono_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

uint64_t
clock_mono_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

uint64_t
clock_boot_ms(void)
{
	return clock_us(CLOCK_BOOTTIME) / 1000;
}

uint64_t
clock_wall_ms(void)
{
	return clock_us(CLOCK_REALTIME) / 1000;
}

uint64_t
clock_wall_coarse_ms(void)
{
	return clock_us(CLOCK_REALTIME_COARSE) / 1000;
}

/* Days since 1970-01-01 into a date. Years begin in March here: the leap day is then the last. */
static void
clock_date(uint64_t days, unsigned int *ret_year, unsigned int *ret_month, unsigned int *ret_day)
{
	uint64_t since = days + 719468;			/* from 0000-03-01 */
	uint64_t era = since / 146097;			/* of 400 years */
	unsigned int in_era = (unsigned int)(since % 146097);
	unsigned int year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned int in_year = in_era - (365 * year + year / 4 - year / 100);
	unsigned int month = (5 * in_year + 2) / 153;	/* 0 is March */

	*ret_day = in_year - (153 * month + 2) / 5 + 1;
	*ret_month = month < 10 ? month + 3 : month - 9;
	*ret_year = (unsigned int)era * 400 + year + (*ret_month <= 2 ? 1 : 0);
}

/* Returns the length up to and without the fraction and the zone. */
static int
clock_print(uint64_t wall_ms, char buf[CLOCK_RFC3339_MAX])
{
	uint64_t s = wall_ms / 1000;
	unsigned int year, month, day, in_day = (unsigned int)(s % 86400);

	clock_date(s / 86400, &year, &month, &day);
	return snprintf(buf, CLOCK_RFC3339_MAX, "%04u-%02u-%02uT%02u:%02u:%02u", year % 10000, month,
	    day, in_day / 3600, in_day / 60 % 60, in_day % 60);
}

const char *
clock_rfc3339(uint64_t wall_ms, char buf[CLOCK_RFC3339_MAX])
{
	int len = clock_print(wall_ms, buf);

	snprintf(buf + len, CLOCK_RFC3339_MAX - (size_t)len, "Z");
	return buf;
}

const char *
clock_rfc3339_ms(uint64_t wall_ms, char buf[CLOCK_RFC3339_MAX])
{
	int len = clock_print(wall_ms, buf);

	snprintf(buf + len, CLOCK_RFC3339_MAX - (size_t)len, ".%03uZ",
	    (unsigned int)(wall_ms % 1000));
	return buf;
}
