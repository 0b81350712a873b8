/*
 * configsync/set.h - which changed paths belong together: one set is checked and put in place as a whole. Pure.
 *
 * Paths are relative to the root, as everywhere in this folder. What belongs to no set is one of its own, and waits for nothing.
 */
#ifndef CONFIGSYNC_SET_H
#define CONFIGSYNC_SET_H

#include <stdbool.h>
#include <stddef.h>

#define SET_KEY_MAX 512

enum set_kind {
	SET_SINGLE,		/* a file outside of any set: its key is its path */
	SET_CERTIFICATE,	/* key, certificate, chain */
	SET_POSTFIX,		/* main.cf, master.cf and all they name in the same directory */
	SET_EXIM,
	SET_QMAIL,		/* control files; or users/assign */
	SET_ALIASES,
	SET_TCPRULES,		/* one source of tcprules */
	SET_TREE,		/* a tree with a command of its own that says whether it is valid */
	SET_COUNT
};

/* A certificate whose files stand where no table would look for them, or whose names are known. */
struct set_certificate {
	const char	*name;
	const char	*cert, *key, *chain;	/* chain may be NULL */
	const char	*const *names;		/* what clients call this service; ends with NULL; may be NULL */
};

struct set_tree {
	const char	*path;
	const char	*validate;		/* for /bin/sh; may be NULL */
};

/* From the configuration; all lists may be empty. */
struct set_rules {
	const struct set_certificate	*certificate;
	size_t				 certificates;
	const struct set_tree		*tree;
	size_t				 trees;
};

struct set_id {
	enum set_kind			 kind;
	char				 key[SET_KEY_MAX];	/* two paths are of one set where kind and key are the same */
	const char			*dir;			/* what the set is about, "etc/postfix"; NULL: its files alone */
	char				 name[256];		/* what "*" stands for in its row */
	const struct set_certificate	*certificate;		/* configured for it, or NULL */
	const char			*validate;		/* command of the tree it stands in, or NULL */
	char				 tree[SET_KEY_MAX];	/* that tree, without slashes at its ends, or "" */
	const char			*why;			/* why these belong together: a sentence for the operator */
};

/* path has no slash at its beginning. rules may be NULL. */
void	set_of(const struct set_rules *, const char *path, struct set_id *ret);
bool	set_same(const struct set_id *, const struct set_id *);
const char *set_kind_word(enum set_kind);
/* What a person calls it: "postfix in /etc/postfix", "certificate mail", "aliases /etc/aliases". No path: it begins with a word. */
const char *set_shown(const struct set_id *, char *buf, size_t size);

/*
 * "*" in pattern stands for a part of one component, "**" at its end for all below. What the first "*" stands for is copied to
 * name (may be NULL).
 */
bool	set_match(const char *pattern, const char *path, char *name, size_t size);

#endif
