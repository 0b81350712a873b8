/*
 * mta/exim_header.h - Exim's header file ID-H: the envelope of a message, who has had it already, and its header
 * lines. Read as Exim's spool_in reads it, in every form since Exim 3, and more strictly where Exim would not notice
 * that something is missing. Whatever this refuses, Exim refuses too or would misread: it calls it a "format error",
 * and deletes the message once it is older than keep_malformed. Pure.
 */
#ifndef MTA_EXIM_HEADER_H
#define MTA_EXIM_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/exim_id.h"
#include "mta/queue.h"

#define EXIM_RECIPIENTS_MAX 16384	/* Exim reads no file with more */
#define EXIM_KEEP_MALFORMED (4 * 86400)	/* s; keep_malformed where the configuration says nothing */

/* How a file of Exim's is not as Exim writes it. */
enum exim_fault {
	EXIM_FAULT_NONE,
	EXIM_FAULT_EMPTY,	/* no byte */
	EXIM_FAULT_CUT,		/* ends too early */
	EXIM_FAULT_NUL,		/* a NUL byte where there is none */
	EXIM_FAULT_FORM,	/* no line of the form that belongs there */
	EXIM_FAULT_READ		/* could not be read */
};

/* Where and what. */
struct exim_trouble {
	enum exim_fault	 fault;
	uint64_t	 line;		/* 1..; 0: no line in particular */
	char		 what[96];	/* what would be right */
};
/* "line 3: ..." or the bare sentence, for a finding's detail; returns buf. */
const char *exim_trouble_text(const struct exim_trouble *, char *buf, size_t size);

struct exim_header {
	struct exim_id	 id;		/* of the first line */
	int64_t		 received;	/* s since the epoch, of the fourth line */
	int64_t		 complete;	/* s, -received_time_complete; 0: not said */
	int64_t		 frozen;	/* s, since when; 0: not frozen */
	int64_t		 body_lines;	/* -body_linecount; -1: not said */
	bool		 wireformat;	/* the body has CRLF, and no count */
	bool		 sender_null;
	uint32_t	 done;		/* addresses in the tree */
	uint32_t	 recipients;
	uint32_t	 headers;	/* header lines that are sent */
	uint64_t	 header_bytes;	/* of those */
};

/* Told of each address while it is read; any of them may be NULL. Bytes are only valid meanwhile. */
typedef void exim_address_f(void *arg, const char *address, size_t len);
struct exim_listener { exim_address_f *sender, *done, *recipient; void *arg; };

/* True: whole. False: *ret has what was read up to the trouble, the rest is zero. listener may be NULL. */
bool	exim_header_read(struct queue_source *, const struct exim_listener *, struct exim_header *ret,
	    struct exim_trouble *trouble);

/*
 * The address of one recipient line (without its end): parsed from the right, since an address may hold blanks.
 * Returns its length, 0 where there is none. Forms: "ADDR", "ADDR N" (early Exim 4), "ADDR N,N,N" (Exim 3),
 * "ADDR ERRORS LEN,PNO#1", "ADDR ORCPT LEN,FLAGS ERRORS LEN,PNO#3".
 */
size_t	exim_recipient_length(const char *line, size_t len);

#endif
