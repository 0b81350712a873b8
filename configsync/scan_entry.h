/*
 * configsync/scan_entry.h - for scan.c: all about one file, directory or link, but what is in it. Blocks.
 */
#ifndef CONFIGSYNC_SCAN_ENTRY_H
#define CONFIGSYNC_SCAN_ENTRY_H

#include <sys/stat.h>

#include "configsync/scan.h"

/* Buffers of one entry while it is read; large, so on the heap. */
struct scan_entry {
	struct entry		 entry;
	bool			 lately;	/* it was changed within the margin */
	struct entry_xattr	 xattr[ENTRY_XATTRS_MAX];
	char			 names[65536];
	char			 target[ENTRY_TARGET_MAX + 2];
	uint8_t			 kernel[ENTRY_XATTR_MAX];
	uint8_t			 bytes[SCAN_SMALL_MAX + 1];
	uint8_t			*values;	/* malloc'd */
	size_t			 used, room;
};

/* Type, owner, mode, times and what is local, from stat. */
void	scan_entry_stat(struct scan_entry *, const char *path, const struct stat *, const struct scan_options *);
/*
 * Extended attributes of fd, or where fd is -1 of path, which is not followed (a symbolic link cannot be opened). False with
 * errno; E2BIG: more than are carried.
 */
bool	scan_entry_xattrs(struct scan_entry *, int fd, const char *path, const struct scan_options *, struct report *);
/* Will whoever changes it from now on leave another time on it? */
bool	scan_is_steady(const struct stat *, const struct scan_options *);
bool	scan_stat_same(const struct stat *, const struct stat *);

#endif
