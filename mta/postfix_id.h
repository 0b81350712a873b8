/*
 * mta/postfix_id.h - Postfix's queue ids: names <-> numbers without loss, and the directory that a name is
 * hashed into. Pure. Source: global/mail_queue.h and util/dir_forest.c of Postfix.
 *
 * Short, "4918D2B": five hexadecimal digits of microseconds, then the inode. Long, "4jX4l72SYYzm": seconds
 * (six digits or more) and microseconds (four) to base 52, "z", the inode to base 51.
 */
#ifndef MTA_POSTFIX_ID_H
#define MTA_POSTFIX_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POSTFIX_ID_SIZE 40	/* the longest id with its NUL */
#define POSTFIX_SECONDS_BITS 38	/* until the year 10,680 */
#define POSTFIX_USEC_BITS 23
#define POSTFIX_NAME_MAX 255	/* bytes that Postfix takes for a name */
#define POSTFIX_DEPTH_MAX 4	/* QUEUE_POSTFIX_LEVELS: levels of hashing that are understood: 65,536 directories */
#define POSTFIX_SUB_SIZE (2 * POSTFIX_DEPTH_MAX)	/* "A/B/C/D" with its NUL */

struct postfix_id {
	bool	 is_long;
	uint64_t seconds;	/* long only; of POSTFIX_SECONDS_BITS */
	uint32_t usec;		/* as written, POSTFIX_USEC_BITS: up to 0xfffff in a short id, 52^4 - 1 in a long one */
	uint64_t inode;
};

/* Only names that Postfix itself would write: printing gives the same again. */
bool	postfix_id_parse(const char *name, struct postfix_id *ret);
const char *postfix_id_print(const struct postfix_id *, char buf[POSTFIX_ID_SIZE]);	/* buf */

/* Would Postfix open a file of this name? Letters, digits and "_"; also what is no id. */
bool	postfix_name_legal(const char *name);

/* Where a legal name belongs at that depth: "", "A", "A/B". A depth above POSTFIX_DEPTH_MAX counts as that. Returns buf. */
const char *postfix_name_hash(const char *name, uint32_t depth, char buf[POSTFIX_SUB_SIZE]);

/*
 * The number of the inode that the name claims, as Postfix reads it (also lower case, leading zeros). False: it claims
 * none.
 */
bool	postfix_name_inode(const char *name, bool *ret_long, uint64_t *ret_inode);

#endif
