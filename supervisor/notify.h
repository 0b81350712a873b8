/*
 * supervisor/notify.h - tells systemd how we are (sd_notify protocol: datagrams to $NOTIFY_SOCKET). Does nothing where there
 * is none. Never blocks.
 */
#ifndef SUPERVISOR_NOTIFY_H
#define SUPERVISOR_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

void		notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* "READY=1\nSTATUS=..." */
bool		notify_present(void);
uint64_t	notify_watchdog_ms(void);	/* how often WATCHDOG=1 is wanted (half the interval), 0 = never */

#endif
