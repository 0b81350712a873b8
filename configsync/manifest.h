/*
 * configsync/manifest.h - a tree as sorted entries, and its binary form for the wire and for the store. Pure.
 *
 * A manifest is filled in any order, sealed once, and only read from then on. Everything in it is its own copy.
 */
#ifndef CONFIGSYNC_MANIFEST_H
#define CONFIGSYNC_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "configsync/entry.h"

struct manifest {
	struct entry	*at;			/* sorted by entry_path_order() once sealed */
	size_t		 len, room;
	struct arena	*arena;
};

/* Never NULL: half a manifest is none, so the process ends where memory does. */
struct manifest *manifest_new(void);
void	manifest_free(struct manifest *);	/* NULL is allowed */

/* A deep copy of the entry at the end; valid until the next call. Its hard is set by manifest_seal() where local.links > 1. */
struct entry *manifest_add(struct manifest *, const struct entry *);
/*
 * Sorts, and joins names of the same inode (local.dev, local.ino) to groups. False where it is no tree: a path twice, or something
 * below what is no directory.
 */
bool	manifest_seal(struct manifest *, struct err *);
/* NULL: there is none. */
const struct entry *manifest_find(const struct manifest *, const char *path);
/* The same for paths that are asked for in order, without a search for each: *at is 0 at first, and kept by the caller. */
const struct entry *manifest_find_next(const struct manifest *, size_t *at, const char *path);
/* The place of path, or where it would stand. */
size_t	manifest_place(const struct manifest *, const char *path);

/* ---------------------------------------------------------------- the binary form */

/*
 * Numbers are big-endian. "mpconf", version 1 (2 bytes), count of entries (4); of each entry its length (4) and
 *	type (1) flags (1: bit 0 sparse) mode (2) size (8) mtime seconds (8) nanoseconds (4) uid (4) gid (4)
 *	path user group: length (2), bytes
 *	file: digest (32), hard: length (2; 0: none), bytes		symbolic link: target: length (2), bytes
 *	count of xattrs (2); of each its name: length (2), bytes; its value: length (4), bytes
 * then SHA-256 of all before it. Paths ascend strictly. Of a thing that is not carried
 * (ENTRY_OTHER) only the path is said. What only the node itself knows (struct entry_local) is not in it.
 */
struct manifest_limits { size_t entries; size_t bytes; };

/* malloc'd; *ret_len bytes. */
uint8_t	*manifest_encode(const struct manifest *, size_t *ret_len);
/* From a peer or from the disk, so nothing in it is believed. A sealed manifest, or NULL with what is wrong and where. */
struct manifest *manifest_parse(const uint8_t *bytes, size_t len, const struct manifest_limits *, struct err *);

/* One entry alone, without its length: for messages of the protocol. parse copies it into the manifest. */
uint8_t	*manifest_encode_entry(const struct entry *, size_t *ret_len);
bool	manifest_parse_entry(struct manifest *, const uint8_t *bytes, size_t len, struct err *);

#endif
