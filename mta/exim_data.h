/*
 * mta/exim_data.h - the other files of a message in Exim's queue: the body ID-D and the journal of a delivery, ID-J; and
 * the databases of hints. Streaming, in bounded memory. Pure.
 */
#ifndef MTA_EXIM_DATA_H
#define MTA_EXIM_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "mta/exim_header.h"
#include "mta/exim_id.h"
#include "mta/queue.h"

struct exim_data {
	struct exim_id	id;		/* of the first line */
	uint64_t	lines;		/* line ends of the body */
	uint64_t	size;		/* bytes of the body */
	uint64_t	sum;		/* of the body's bytes: tells two bodies apart, unless someone wants it not to */
	bool		nul_end;	/* the body's last byte is NUL: a body may hold NULs, but a crash leaves a tail of them */
};

/* First line "ID-D", then the body. whole: the body is read and counted, else only the first line and the size. */
bool	exim_data_read(struct queue_source *, bool whole, struct exim_data *ret, struct exim_trouble *);

struct exim_journal {
	uint64_t	addresses;
	bool		open_end;	/* the last line has no end: Exim would cut a character off the address */
};

/* An address a line, told to heard (may be NULL) with arg. Empty is whole: it was only just made. */
bool	exim_journal_read(struct queue_source *, exim_address_f *heard, void *arg, struct exim_journal *ret,
	    struct exim_trouble *);

/*
 * A database of hints (db/retry, db/wait-..., ...), told by its first bytes. Empty is whole: Exim fills it. False: the library
 * would not open it, or would find a page of it to be another one; Exim then delivers with hundreds of log lines a
 * message, or not at all. *ret_kind: "Berkeley DB", "GDBM", "TDB", "SQLite" or "nothing that is known". whole: each page is looked at, too.
 */
bool	exim_hints_read(struct queue_source *, bool whole, const char **ret_kind, struct exim_trouble *);

#endif
