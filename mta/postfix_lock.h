/*
 * mta/postfix_lock.h - keeps Postfix from being started while its queue is mended. Does not wait for anybody; reads /proc.
 *
 * The locks are flock(2) on QUEUE/pid/master.pid and DATA/master.lock: what master takes on Linux (INTERNAL_LOCK is
 * MYFLOCK_STYLE_FLOCK there). They do not keep off who works without a master: postsuper is looked for among the processes;
 * postdrop and sendmail may go on to put files into maildrop, under names of their own inode that no repair touches.
 */
#ifndef MTA_POSTFIX_LOCK_H
#define MTA_POSTFIX_LOCK_H

#include "common/err.h"
#include "common/fact.h"
#include "mta/postfix_conf.h"
#include "mta/queue.h"

/*
 * conf: of the instance whose own queue this is, NULL for a foreign tree (which has no data directory here). As lock() in
 * mta/mta.h.
 */
enum fact postfix_lock(const struct postfix_conf *, const struct queue_layout *, struct queue_lock *ret, struct err *);

#endif
