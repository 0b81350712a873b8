/*
 * mta/qmail_control.h - starts and stops one qmail: tcpserver, qmail-send and what they have started. Blocks up to
 * the deadline (clock_mono_ms); for workers.
 */
#ifndef MTA_QMAIL_CONTROL_H
#define MTA_QMAIL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/fact.h"
#include "common/spawn.h"
#include "mta/qmail_conf.h"

/* By the lock on lock/sendmutex; a qmail-send whose queue is not the one that is mounted now is running, too. */
enum fact qmail_running(const struct qmail_conf *, pid_t *ret_pid, struct err *);

/*
 * qmail-send first, then the listeners; true once it holds its lock and they listen. What runs already stays.
 * Deliveries that a dead qmail-send left behind are ended: the new one begins them anew, so they could only
 * deliver twice. What does not come up in time is stopped again, within the limit. Reports "orphans N". *ret_pid: qmail-send.
 */
bool	qmail_start(const struct qmail_conf *, uint64_t deadline_ms, struct spawn_out *, pid_t *ret_pid, struct err *);

/*
 * The listeners first, so that nothing is accepted that cannot be finished; then TERM to qmail-send, which finishes what
 * is being delivered. Sessions end when they take no message. After three quarters of the time TERM to delivery programs
 * (qmail-send puts their messages off), then KILL to what is left. True once nothing is left and the lock is free.
 * Reports "killed N".
 */
bool	qmail_stop(const struct qmail_conf *, uint64_t deadline_ms, struct spawn_out *, struct err *);

#endif
