/*
 * mta/postfix_queue.h - Postfix's queue by its names alone: how much is in it, and does every
 * message stand where Postfix will look for it. No queue file is opened. Blocks; for workers.
 */
#ifndef MTA_POSTFIX_QUEUE_H
#define MTA_POSTFIX_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/fact.h"
#include "mta/mta.h"
#include "mta/postfix_conf.h"

/* total leaves out corrupt, which will never be delivered. */
bool	postfix_queue_count(const struct postfix_conf *, struct mta_queue_counts *ret, struct err *);

/*
 * NO: a file's name does not fit its inode or its hash directory (an interrupted or needed
 * renaming); *err names the first. UNKNOWN: a directory cannot be read, or the deadline has
 * passed. run_dir: where a check has left a note of what it read (mta/queue_note.h), or NULL.
 */
enum fact postfix_queue_named_well(const struct postfix_conf *, const char *run_dir, uint64_t deadline_ms, struct err *);

/*
 * Pure: must this file of a message queue be renamed? depth: of the hash; at: its directories
 * below the queue, "A".
 */
bool	postfix_name_is_wrong(const char *name, uint64_t inode, bool message, int depth, const char *at);

#endif
