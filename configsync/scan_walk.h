/*
 * configsync/scan_walk.h - for scan.c and scan_paths.c: reading what stands in one place, and all below it. Blocks.
 */
#ifndef CONFIGSYNC_SCAN_WALK_H
#define CONFIGSYNC_SCAN_WALK_H

#include <sys/stat.h>

#include "configsync/scan.h"

/* One directory that was listed, to be looked at again when all has been read. */
struct listed { char *path; struct stat st; };

struct walk {
	const struct scan_options *o;
	int			 root;
	/*
	 * Asked at every directory, w->path: is it only passed through? Then it has read what is wanted in it by walk_one(); w->path is
	 * afterwards what it was. False: it is read whole.
	 */
	bool			(*through)(struct walk *, int fd, unsigned int depth);
	/* NULL, or a last look at w->m before it is sealed. False: all has to be read again, unless this was the last try. */
	bool			(*ended)(struct walk *, bool last);
	void			*arg;

	struct manifest		*m;
	struct report		*report;
	struct scan_count	 count;
	struct scan_entry	*s;
	struct listed		*listed;
	size_t			 listed_len, listed_room;
	char			 path[ENTRY_PATH_MAX + 2];
};

/* Reads from w->root, again where something changed meanwhile. Sealed; NULL with *err. */
struct manifest *walk_all(struct walk *, struct report *, struct err *);
/* What stands in w->path, called name in the directory dir. */
void	walk_one(struct walk *, int dir, const char *name, unsigned int depth);
/* All names first, with a NUL behind each and one more at the end: what is read meanwhile makes no difference. NULL with errno. */
char	*walk_names(int dir);
bool	walk_is_root(int root, struct err *);

#endif
