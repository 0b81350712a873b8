/*
 * common/clock.h - the only place that asks the time. Replaced whole in simulation.
 *
 * Deadlines and silences are measured on the monotonic clock; wall time is for people only, and
 * no decision ever depends on it.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t	clock_mono_us(void);	/* CLOCK_MONOTONIC, microseconds: stands still while suspended */
uint64_t	clock_mono_ms(void);
uint64_t	clock_boot_ms(void);	/* CLOCK_BOOTTIME: goes on while the machine is suspended */
uint64_t	clock_wall_ms(void);	/* milliseconds since 1970, UTC */
uint64_t	clock_wall_coarse_ms(void);	/* the same, as of the kernel's last step: what files are stamped with */

#define CLOCK_RFC3339_MAX 32
/* "2026-11-21T18:00:31Z" (ms: "...31.250Z") for a wall time; returns buf. */
const char	*clock_rfc3339(uint64_t wall_ms, char buf[CLOCK_RFC3339_MAX]);
const char	*clock_rfc3339_ms(uint64_t wall_ms, char buf[CLOCK_RFC3339_MAX]);

#endif
