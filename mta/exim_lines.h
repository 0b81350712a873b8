/*
 * mta/exim_lines.h - the lines of one file of Exim's, over a source that may be of any size and content: memory is
 * bounded by the longest line that Exim itself reads. Pure but for the memory.
 */
#ifndef MTA_EXIM_LINES_H
#define MTA_EXIM_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mta/queue.h"

#define EXIM_LINE_MAX 65536	/* with its end; Exim takes no longer line of a header file */

enum exim_line {
	EXIM_LINE,		/* a line */
	EXIM_LINE_END,		/* no byte is left */
	EXIM_LINE_CUT,		/* the file ends before the line does */
	EXIM_LINE_LONG,		/* longer than EXIM_LINE_MAX */
	EXIM_LINE_FAILED	/* reading failed, or no memory: error is set */
};

struct exim_lines {
	struct queue_source	*source;
	char			*buf;		/* inside, or of the heap once a line was longer than that */
	size_t			 room, have, pos;
	uint64_t		 base;		/* offset of buf[0] in the file */
	uint64_t		 number;	/* lines taken */
	int			 error;		/* errno */
	bool			 drained;
	char			 inside[4096];
};

void	exim_lines_begin(struct exim_lines *, struct queue_source *);
void	exim_lines_free(struct exim_lines *);

/* The next line without its end; valid until the next call, not NUL-terminated. CUT gives what is there. */
enum exim_line exim_lines_next(struct exim_lines *, const char **ret, size_t *ret_len);
/* The next byte is left where it is; -1: there is none, or reading failed (error is set). */
int	exim_lines_peek(struct exim_lines *);
/* The next n bytes, whatever they hold. Returns how many there were; *nul: one of them is NUL; *last: the last of them. */
uint64_t exim_lines_skip(struct exim_lines *, uint64_t n, bool *nul, char *last);
/* Where in the file the next byte is. */
uint64_t exim_lines_offset(const struct exim_lines *);

#endif
