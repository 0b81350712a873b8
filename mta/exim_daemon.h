/*
 * mta/exim_daemon.h - starting and stopping Exim's daemon, and the queue runner that may stand beside it. Blocks; for
 * workers.
 */
#ifndef MTA_EXIM_DAEMON_H
#define MTA_EXIM_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/fact.h"
#include "common/spawn.h"
#include "mta/exim_conf.h"
#include "mta/smtp_probe.h"

/*
 * Everything that must be true ahead of a start and needs no queue: accounts, how it is to be started, where it listens.
 * What does not hinder a start is reported as "warning" when out is not NULL.
 */
bool	exim_check_config(const struct exim_conf *, struct spawn_out *out, struct err *);

/* And what needs the spool and the machine: the directories are there and Exim's, the ports are free. Reports "made". */
bool	exim_check_spool(const struct exim_conf *, struct spawn_out *, struct err *);

/*
 * Could a listener be had there now? UNKNOWN: this kernel has no such addresses, and Exim goes on without. A port that
 * was free is so again afterwards. NO sets *err.
 */
enum fact exim_port_free(const struct smtp_target *, struct err *);

/* Does a daemon of this Exim run? By its processes. */
enum fact exim_alive(const struct exim_conf *, pid_t *ret_pid, struct err *);

/* True once it listens. At the deadline what was begun is ended again. */
bool	exim_daemon_start(const struct exim_conf *, uint64_t deadline_ms, pid_t *ret_pid, struct err *);
/* The distribution's own start script, for settings that only it can tell. */
bool	exim_script_start(const struct exim_conf *, uint64_t deadline_ms, pid_t *ret_pid, struct err *);

/*
 * TERM to the daemon, which stops listening at once; TERM to what waits for a client's command or goes through the queue. A
 * reception has half a second to say 250 to its message, deliveries under way as long as the limit allows; then KILL. True once no
 * process is left. Reports "killed N".
 */
bool	exim_stop(const struct exim_conf *, uint64_t deadline_ms, struct spawn_out *, struct err *);

#endif
