/*
 * configsync/setup.h - what mailpair.conf says about configuration in step, in the terms of this folder; and the trees that are
 * carried without being named. Pure.
 */
#ifndef CONFIGSYNC_SETUP_H
#define CONFIGSYNC_SETUP_H

#include "common/conf.h"
#include "common/digest.h"
#include "configsync/scope.h"
#include "configsync/set.h"

struct setup_tree {
	const char	*path;
	const char	*validate, *reload;	/* for /bin/sh, or NULL */
	const char	*why;			/* why a default one is there; NULL: the operator named it */
};

struct setup {
	struct scope_rules	 scope;		/* for scope_new(), which copies */
	struct set_rules	 sets;
	const struct setup_tree	*tree;		/* each of scope.tree, in the same order */
	size_t			 trees;
	uint32_t		 quiet_ms, most_ms;	/* for settle_new() */
	struct arena		*arena;
};

/* conf must live as long; its sync.on is true. programs: directory of mailpaird and mailpair, NULL: they are in PATH. Never NULL. */
struct setup *setup_new(const struct conf *, const char *programs);
void	setup_free(struct setup *);		/* NULL is allowed */
/* The innermost tree that path (without a slash at its beginning) stands in; NULL: none. */
const struct setup_tree *setup_tree_of(const struct setup *, const char *path);
/* Of what has to be the same on both nodes before anything is carried: trees, includes, excludes, nodes, writers, setuid. */
void	setup_digest(const struct conf *, const struct setup *, uint8_t ret[DIGEST_LEN]);
/* The default trees, whatever is there of them, but mailpair's own; ends with a path that is NULL. */
const struct setup_tree *setup_defaults(void);

#endif
