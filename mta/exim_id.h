/*
 * mta/exim_id.h - Exim's message ids as numbers: seconds, process and fraction in base 62. 16 characters
 * (tttttt-pppppp-ff) up to Exim 4.96, 23 (tttttt-ppppppppppp-ffff) since 4.97; a newer Exim reads both, an
 * older one does not see the long form. There is no inode in an id: a queue may be copied. Pure.
 */
#ifndef MTA_EXIM_ID_H
#define MTA_EXIM_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIM_ID_SHORT 16
#define EXIM_ID_LONG 23
#define EXIM_ID_SIZE (EXIM_ID_LONG + 1)

/*
 * Without loss: two bits for the form, then the 14 or 21 digits with six bits each. Never {0, 0}. Ids of one form are
 * ordered as their times are.
 */
struct exim_id { uint64_t hi, lo; };

/* False: these len bytes are no id, and *ret is as it was. */
bool	exim_id_parse(const char *text, size_t len, struct exim_id *ret);
/* The very bytes that were parsed. An id that was never parsed may print as anything, within the buffer. */
const char *exim_id_print(struct exim_id, char buf[EXIM_ID_SIZE]);
size_t	exim_id_length(struct exim_id);		/* EXIM_ID_SHORT or EXIM_ID_LONG */
int64_t	exim_id_time(struct exim_id);		/* s since the epoch; any digits give some time */
/* The sub-directory that split_spool_directory puts it into. */
char	exim_id_subdir(struct exim_id);

#endif
