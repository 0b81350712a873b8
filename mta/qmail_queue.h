/*
 * mta/qmail_queue.h - qmail's queue as directories: where things stand, whose they are, how they are spread.
 * "Split" is conf-split, the number of sub-directories 0..split-1 of mess, info, local and remote; with the
 * big-todo patch todo and intd have them, too. Both are compiled into the programs and stand in no file,
 * so they are told from the tree and compared with the programs where those are there.
 * Nothing is opened but directories. Blocks; for workers and mailpair-queue.
 */
#ifndef MTA_QMAIL_QUEUE_H
#define MTA_QMAIL_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/fact.h"
#include "mta/mta.h"
#include "mta/queue.h"

#define QMAIL_SPLIT_MAX 65536	/* a tree that shows more is none of qmail's */

/* The envelope in todo is the last part of a message: where it is there, what it says counts. */
enum qmail_place {
	QMAIL_ROOT, QMAIL_PID, QMAIL_MESS, QMAIL_INTD, QMAIL_INFO, QMAIL_LOCAL, QMAIL_REMOTE, QMAIL_BOUNCE, QMAIL_TODO,
	QMAIL_LOCK, QMAIL_PLACE_COUNT
};

/*
 * The layout of the queue at root. built: conf-split as its programs have it, 0: not known. owners: NULL is
 * this host's accounts; where those have no qmail, the tree's own directories say whose it is. Fails where root is
 * no directory, or shows no split and built is 0. The caller frees *ret.
 */
bool	qmail_layout(const char *root, uint32_t built, const struct queue_owners *, struct queue_layout *ret,
	    struct err *);

/*
 * May qmail-send be started on it? It waits for ever on a missing directory, spins on a trigger that is no FIFO, and mail
 * in the sub-directories of another split is never found. False: *err says what is not as it must be. Names of
 * messages are not looked at.
 */
bool	qmail_queue_startable(const struct queue_layout *, struct err *);

/* total: messages that wait: incoming (todo) and deferred (preprocessed). By names alone. */
bool	qmail_queue_count(const struct queue_layout *, struct mta_queue_counts *ret, struct err *);

/*
 * Are changes to directories on disk when the call returns? The link from intd to todo is the moment of acceptance and
 * qmail-queue does not sync it: without this a power cut takes acknowledged mail away. YES where the file system is
 * mounted with dirsync (or sync) and heeds it, or todo (each of its directories) has the attribute D or S of chattr(1).
 * NO, UNKNOWN: *err says which.
 */
enum fact qmail_queue_durable(const char *root, struct err *);

/* Pure: does this mountinfo(5) show dirsync or sync for the mount of that id? UNKNOWN: it is not listed. */
enum fact qmail_mount_is_dirsync(const char *mountinfo, uint64_t mount_id);

#endif
