/*
 * configsync/scope.h - which paths are carried: those in the configured trees, but what is excluded. Pure.
 *
 * A path is judged component by component, from the tree on: what is in an excluded directory is excluded, whatever else is
 * said about it. An include is stronger than an exclude, and both are stronger than the exclusions that are always there
 * (scope_default_exclusions()): files that belong to one node, or are an editor's or a package manager's own.
 */
#ifndef CONFIGSYNC_SCOPE_H
#define CONFIGSYNC_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/* Of a name that is being written: hidden, never carried, removed when found. Followed by 32 hexadecimal digits. */
#define SCOPE_STAGING ".mailpair-new."
#define SCOPE_STAGING_DIGITS 32u
/* Of a directory that a table is being made in (configsync/rebuild_table.c): never carried, whatever is included. */
#define SCOPE_TABLE ".mailpair-table."

struct scope_rules {
	const char	*const *tree, *const *include, *const *exclude;	/* each ends with NULL; may be NULL */
	const char	*const *node;		/* names of the nodes, for FILE@NODE; ends with NULL */
	bool		 no_defaults;
};

enum scope_place {
	SCOPE_OUTSIDE,
	SCOPE_ABOVE,		/* a directory that a tree stands below: passed through, not carried */
	SCOPE_INSIDE,
	SCOPE_EXCLUDED,
	SCOPE_BEING_WRITTEN,	/* a staging name */
};

struct scope;

/* Trees are paths from the root, with or without a slash at the beginning. NULL with *err for one that is no path. */
struct scope *scope_new(const struct scope_rules *, struct err *);
void	scope_free(struct scope *);
enum scope_place scope_place(const struct scope *, const char *path);
/* Whether it is SCOPE_INSIDE, where before is (or NULL): of two in one directory only the second's own name is looked at. */
bool	scope_holds(const struct scope *, const char *path, const char *before);
/* Tree number i without slash at its ends, NULL: there is none. No tree stands in another one. */
const char *scope_tree(const struct scope *, size_t i);
/* "FILE@NODE": length of FILE and the node; 0 where path is no variant. */
size_t	scope_variant(const struct scope *, const char *path, const char **ret_node);
/* Ends with NULL. */
const char *const *scope_default_exclusions(void);
const char *const *scope_nodes(const struct scope *);

#endif
