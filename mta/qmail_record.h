/*
 * mta/qmail_record.h - the files of qmail's queue, each read as strictly as qmail writes it. Pure: bytes
 * through a queue_source in, what stands there out; no limit but those named, and no memory is kept.
 *
 * All but mess and bounce are records: one byte type, a value, NUL. There is no length, count or end
 * mark, so a file that was cut between two records looks whole; see "may_lack".
 * Source: the formats as qmail-queue, qmail-send and qmail-clean read and write them.
 */
#ifndef MTA_QMAIL_RECORD_H
#define MTA_QMAIL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/queue.h"

#define QMAIL_ADDRESS_MAX 1003		/* bytes of an address in an envelope; qmail-queue refuses more */
#define QMAIL_REWRITTEN_MAX 4000	/* in local and remote, with prefix and domain added */
#define QMAIL_BUFFER 256		/* qmail-queue writes its envelope in pieces of so many bytes */

/*
 * A message's number: decimal, no sign, no leading zero, not 0, at most 2^64-1. qmail itself takes more (it wraps
 * around), so that two names can mean one message. len bytes, NUL not needed.
 */
bool	qmail_number_parse(const char *name, size_t len, uint64_t *ret);
/* PID.TIME.SEQ, as qmail-queue names its files in pid/. */
bool	qmail_pid_name(const char *name);

enum qmail_shape {
	QMAIL_WHOLE,		/* nothing is wrong */
	QMAIL_EMPTY,		/* no byte */
	QMAIL_CUT,		/* right as far as it goes, but it ends too early */
	QMAIL_NULS,		/* ends in NULs that belong to nothing: blocks that never reached the disk */
	QMAIL_BAD,		/* something stands there that qmail does not write */
	QMAIL_UNREADABLE,	/* errno in sys */
	QMAIL_SHAPE_COUNT
};

struct qmail_reading {
	enum qmail_shape shape;
	/*
	 * An envelope that is whole and whose size is a multiple of QMAIL_BUFFER: it may have been cut between two
	 * flushes, so recipients may be missing. False proves that it is complete.
	 */
	bool		 may_lack;
	int		 sys;
	uint64_t	 offset;	/* where the first thing that is wrong begins */
	uint64_t	 recipients, done;	/* done: those marked D */
	char		 what[96];	/* what is wrong, "" where nothing is */
};

/* Each record in turn, as far as they are right: its type and value, without NUL. The value is the callee's for the call. */
typedef void qmail_record_f(void *arg, char type, const char *value, size_t len);

/* each may be NULL. *ret is always filled. */
void	qmail_envelope_read(const struct queue_source *, qmail_record_f *each, void *arg,
	    struct qmail_reading *ret);			/* todo, intd: u, p, F, T... */
void	qmail_info_read(const struct queue_source *, qmail_record_f *each, void *arg,
	    struct qmail_reading *ret);			/* one F */
void	qmail_channel_read(const struct queue_source *, qmail_record_f *each, void *arg,
	    struct qmail_reading *ret);			/* local, remote: T and D */
/* Does it begin with the line that qmail-queue puts in front, and not end in a hole? Reads both ends only. */
void	qmail_mess_read(const struct queue_source *, struct qmail_reading *ret);
/* Text without NULs, its last paragraph ended. At most the first MiB is looked at. */
void	qmail_bounce_read(const struct queue_source *, struct qmail_reading *ret);

#endif
