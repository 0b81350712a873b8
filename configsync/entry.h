/*
 * configsync/entry.h - one file, directory or link of a tree, as plain data. Pure.
 *
 * A path is relative to the root that all trees stand below ("etc/postfix/main.cf"), in any bytes but NUL. What an entry
 * points to belongs to the manifest that it is in. Owners are names: numbers mean something only on the node they are from,
 * and count only where one side has no name.
 */
#ifndef CONFIGSYNC_ENTRY_H
#define CONFIGSYNC_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"

#define ENTRY_PATH_MAX	 4096u	/* PATH_MAX and NAME_MAX of Linux: both count what they bound, without NUL here */
#define ENTRY_NAME_MAX	 255u
#define ENTRY_TARGET_MAX 4095u
#define ENTRY_OWNER_MAX	 255u
#define ENTRY_XATTR_MAX	 65536u	/* XATTR_SIZE_MAX */
#define ENTRY_XATTRS_MAX 64u
#define ENTRY_XATTRS_BYTES 262144u	/* all values together: an entry has to fit into a message */

#define ENTRY_SETUID 04000u
#define ENTRY_SETGID 02000u

/*
 * OTHER is what is there and is not carried: a device, a socket, what cannot be read, what does not stand still. Nothing is
 * concluded from it: it is not gone, and what may be below it is not gone either.
 */
enum entry_type { ENTRY_NONE, ENTRY_FILE, ENTRY_DIRECTORY, ENTRY_LINK, ENTRY_OTHER, ENTRY_COUNT };

struct entry_owner {
	const char	*name;		/* "": the node has none for this number */
	uint32_t	 id;
};

/* POSIX ACLs are here in the form of configsync/acl.h, which has names in it. */
struct entry_xattr {
	const char	*name;		/* "user.note", "security.selinux", "system.posix_acl_access" */
	const uint8_t	*value;
	uint32_t	 len;
};

/* What only this node knows: whether a file must be read again, and whether it is still the one that was read. */
struct entry_local {
	uint64_t	 dev, ino;	/* ino 0: this entry was not read from a disk of this node */
	int64_t		 ctime_s;
	uint32_t	 ctime_ns;
	uint32_t	 links;
	bool		 steady;	/* had not changed for the safe margin when it was read: equal times mean equal bytes */
};

struct entry {
	const char		*path;
	enum entry_type		 type;
	uint16_t		 mode;		/* 07777; 0777 for symbolic links */
	bool			 sparse;	/* has holes; no part of what is compared */
	uint32_t		 mtime_ns;
	int64_t			 mtime_s;
	uint64_t		 size;		/* bytes of a file; else 0 */
	struct entry_owner	 user, group;
	uint8_t			 digest[DIGEST_LEN];	/* SHA-256 of a file's bytes; else zeros */
	const char		*target;	/* of a symbolic link; else NULL */
	const char		*hard;		/* file with several names: the first of them in the manifest; else NULL */
	const struct entry_xattr *xattr;	/* sorted by name */
	uint32_t		 xattrs;
	struct entry_local	 local;
};

const char *entry_type_word(enum entry_type);	/* "file", "directory", "symbolic link", "other thing" */

/* Order of paths: a directory is followed by all that is below it, before its next sibling. */
int	entry_path_order(const char *a, const char *b);
/* Relative, no empty component, no "." or "..", within the limits. */
bool	entry_path_ok(const char *path);
/* path is dir, or stands below it */
bool	entry_path_within(const char *path, const char *dir);
/* Length of the path of the directory that path stands in; 0: the root. */
size_t	entry_path_parent(const char *path);

/* Which parts differ; 0: the same. NULL is "there is none", and differs from any entry in ENTRY_DIFF_TYPE. */
#define ENTRY_DIFF_TYPE	   1u
#define ENTRY_DIFF_CONTENT 2u	/* bytes of a file, target of a link */
#define ENTRY_DIFF_OWNER   4u
#define ENTRY_DIFF_MODE	   8u
#define ENTRY_DIFF_XATTR   16u
#define ENTRY_DIFF_HARD	   32u	/* shares its bytes with other names than before */
#define ENTRY_DIFF_TIME	   64u
unsigned int entry_diff(const struct entry *, const struct entry *);
/*
 * SHA-256 over what entry_diff() compares, but not the time: equal identities are equal entries but for their time. The other way
 * round too where all owners have names. Where one side has none, entry_diff() goes by the number, and the identities differ: an identity
 * cannot know whom it will be compared with. NULL: zeros.
 */
void	entry_identity(const struct entry *, uint8_t ret[DIGEST_LEN]);
/* Names are equal, or one side has none and the numbers are. */
bool	entry_owner_same(const struct entry_owner *, const struct entry_owner *);

#endif
