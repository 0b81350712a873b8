/*
 * configsync/diff.h - what has to change on this node so that it has what the other one has changed since the last common version;
 * and where that cannot be said. Pure.
 *
 * Both nodes compare the same three manifests, each from its own side. For a path that one node alone has changed, and may, the
 * other one takes it. Everything else is a conflict: neither side is touched. Times alone are no change: the later one wins, or
 * that of the node that may write.
 *
 * A FILE for which there is a FILE@NODE is each node's own. Node NODE has FILE made as FILE@NODE is.
 */
#ifndef CONFIGSYNC_DIFF_H
#define CONFIGSYNC_DIFF_H

#include "configsync/manifest.h"
#include "configsync/scope.h"

/* In this order they are done; within one by path, REMOVE and DIRECTORY_META from the bottom. */
enum change_step { STEP_DIRECTORY, STEP_PLACE, STEP_REMOVE, STEP_PLACE_OVER_DIRECTORY, STEP_DIRECTORY_META, STEP_COUNT };

enum change_kind {
	CHANGE_DIRECTORY,	/* a new one, also in the place of a file or a link */
	CHANGE_FILE,		/* new bytes, or another inode; in the place of anything */
	CHANGE_LINK,		/* symbolic link, likewise */
	CHANGE_HARD,		/* another name of from, which is as it shall be by then */
	CHANGE_RENAME,		/* from -> path, which is free; nothing else about it changes */
	CHANGE_META,		/* owner, mode, attributes or times of what is there */
	CHANGE_REMOVE,
	CHANGE_COUNT
};

struct change {
	enum change_step	 step;
	enum change_kind	 kind;
	const char		*path;
	const struct entry	*was;	/* what stands here, with what is local of it; NULL: nothing */
	const struct entry	*to;	/* as it shall be; its own path differs where it is a variant. REMOVE: NULL */
	const char		*from;	/* FILE: a path here with the same bytes, NULL: they have to come; HARD, RENAME: see there */
	const struct entry	*from_was;	/* what stands at from now; NULL where from is itself made by this plan */
};

enum conflict_kind {
	CONFLICT_BOTH,		/* changed on both nodes */
	CONFLICT_WRONG_SIDE,	/* changed on the node that may not */
	CONFLICT_FIRST,		/* differs, and there is no common version yet */
	CONFLICT_IN_USE,	/* the other node has no such directory any more; here is something in it that it did not know */
	CONFLICT_NO_PLACE,	/* here, what it stands in is no directory */
	CONFLICT_HARD,		/* shares its bytes with a file that is in conflict */
	CONFLICT_UNKNOWN,	/* one of the nodes cannot tell what is there */
	CONFLICT_VARIANT,	/* FILE was changed by hand on the node that has a FILE@NODE */
	CONFLICT_COUNT
};

struct conflict {
	enum conflict_kind	 kind;
	const char		*path;
	const struct entry	*mine, *theirs, *base;	/* NULL: none */
};

enum diff_writers { WRITERS_BOTH, WRITERS_MINE, WRITERS_THEIRS };

struct diff_input {
	const struct manifest	*mine;		/* from a scan, so that what is local is known */
	const struct manifest	*theirs;
	const struct manifest	*base;		/* the last common version; NULL: there never was one */
	enum diff_writers	 writers;
	const struct scope	*scope;		/* for variants; NULL: there are none */
	const char		*self;		/* name of this node */
};

struct diff {
	struct change	*change;		/* in the order in which they are done */
	size_t		 changes;
	struct conflict	*conflict;		/* by path */
	size_t		 conflicts;
	struct arena	*arena;
};

/* Points into the three manifests, which have to live as long. */
struct diff *diff_make(const struct diff_input *);
/* Everything that makes mine the same as theirs, with no regard to who changed what: for a resync. */
struct diff *diff_take_all(const struct manifest *mine, const struct manifest *theirs);
void	diff_free(struct diff *);
const char *conflict_word(enum conflict_kind);
/* A sentence for a person, without the path. */
const char *conflict_why(enum conflict_kind);
const char *change_word(enum change_kind);

#endif
