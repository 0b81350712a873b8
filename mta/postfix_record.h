/*
 * mta/postfix_record.h - reads one queue file of Postfix: is it whole, who sent it to whom, what is done. Pure,
 * streaming: memory does not grow with the file, but for the recipients that the caller asks for. As strict as Postfix's
 * own queue manager and delivery agents are, and not more: what they deliver is whole.
 * Source: global/rec_type.h, global/record.c, qmgr/qmgr_message.c, global/mail_copy.c, pickup/pickup.c of Postfix.
 *
 * A file is records: type, length in groups of seven bits, data. "C" (sizes), the envelope, "M", the content, "X", what
 * was found in the headers, "E". "p" jumps to edits that lie behind the E and jump back.
 */
#ifndef MTA_POSTFIX_RECORD_H
#define MTA_POSTFIX_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/queue.h"

enum postfix_fault {
	POSTFIX_WHOLE,
	POSTFIX_EMPTY,			/* no byte in it */
	POSTFIX_UNFINISHED,		/* the sizes are zeros: reception never ended */
	POSTFIX_TRUNCATED,		/* the file ends before its E */
	POSTFIX_NUL_TAIL,		/* from some record on there are only NUL bytes */
	POSTFIX_BAD_RECORD,		/* type, length, order, pointer or sizes cannot be */
	POSTFIX_UNREADABLE		/* the source failed */
};

enum postfix_kind {
	POSTFIX_QUEUED,			/* written by cleanup: has sizes */
	POSTFIX_DROPPED			/* maildrop: written by postdrop, or put back by postsuper -r */
};

#define POSTFIX_DONE_MAX 64		/* marks of done recipients that are told one by one */

struct postfix_mail {
	enum postfix_fault fault;
	char		what[120];	/* for people: what is wrong, and where in the file; "" when whole */
	uint64_t	fault_at;	/* offset of the record that is wrong */

	/* record C */
	int64_t		content_size, content_at, said_recipients, flags, user_size;
	/* what was found, as far as the file could be read */
	uint64_t	records;
	uint64_t	extra_at;	/* of X; 0: not reached */
	uint64_t	end_at;		/* of E; 0: not reached */
	int64_t		arrived, arrived_usec;	/* record T; 0: none */
	bool		has_sender;
	uint64_t	pending, done, cancelled;	/* recipients R, D, / */
	uint32_t	done_at[POSTFIX_DONE_MAX];	/* offsets of the first of the D records */
	uint64_t	recipients_hash;	/* of all recipients, their addresses and places, whether done or not */
	char		log_ident[64];	/* the id under which it arrived; "": not said */
	/* TRUNCATED only: all of the content is there, and so are as many recipients as C says; only records X or E are not */
	bool		end_missing_only;
};

/*
 * Reads it. content: every record between M and X too, else it is skipped by what C says (as the queue manager does).
 * message: sender, recipients, size and arrival are put in, as far as they can be read, also of a damaged file; NULL: not
 * wanted. The arguments other than ret and message are not kept.
 */
void	postfix_mail_read(struct queue_source *, enum postfix_kind, bool content, struct postfix_mail *ret,
	    struct queue_message *message);

#endif
