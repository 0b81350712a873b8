/*
 * mta/postfix_file.h - has a file changed since it was looked at? By size, times and inode, as make
 * and git do it. Used for what a start may take over from an earlier check.
 */
#ifndef MTA_POSTFIX_FILE_H
#define MTA_POSTFIX_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define POSTFIX_PATH_MAX 512
#define POSTFIX_SEEN_MAX 160

/* A file as it was seen; size -1: it was not there. */
struct postfix_seen {
	char	 path[POSTFIX_PATH_MAX];
	int64_t	 size, mtime_ns, ctime_ns;
	uint64_t inode;
};

struct postfix_seen_list { struct postfix_seen file[POSTFIX_SEEN_MAX]; size_t len; };

/*
 * Look now and note it. False when the list is full or the path too long. A path twice is kept
 * once.
 */
bool	postfix_see(struct postfix_seen_list *, const char *path, struct err *);
/* The first file that is not as it was seen, NULL when all are. */
const char *postfix_seen_changed(const struct postfix_seen_list *);

/* One file as a line "seen SIZE MTIME CTIME INODE PATH\n" and back; both pure. */
int	postfix_seen_print(const struct postfix_seen *, char *buf, size_t size);	/* as snprintf */
bool	postfix_seen_parse(const char *line, struct postfix_seen *ret);

#endif
