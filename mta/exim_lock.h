/*
 * mta/exim_lock.h - keeping Exim's hands off while its queue is mended. There is no lock on the queue as a whole: who may write
 * to it is told from its processes, and each message has its own lock on its body. Blocks; for workers.
 */
#ifndef MTA_EXIM_LOCK_H
#define MTA_EXIM_LOCK_H

#include "common/err.h"
#include "common/fact.h"
#include "mta/exim_process.h"

/*
 * May anybody write to this spool: the daemon, a delivery, a local submission? YES: nobody does (the spool is free), NO: *err
 * says who. What only asks for settings does not count.
 */
enum fact exim_spool_free(const struct exim_instance *, struct err *);

/*
 * Lock one message as Exim does: the first line of its body file, path below the directory root. YES: *ret_fd holds the lock
 * until it is closed (and no other descriptor of that file may be closed by this process meanwhile, which would
 * give it back). NO: a delivery holds it. UNKNOWN: it cannot be opened.
 */
enum fact exim_message_lock(int root, const char *path, int *ret_fd, struct err *err);

#endif
