/*
 * configsync/path_set.h - which paths are in a heap of them: asked often, in no order. Pure. Paths are the caller's, and live as long.
 */
#ifndef CONFIGSYNC_PATH_SET_H
#define CONFIGSYNC_PATH_SET_H

#include <stdbool.h>
#include <stddef.h>

struct path_set { const char **at; size_t mask; };

struct path_set path_set_new(size_t most);	/* as many will be added. The process ends where memory does */
void	path_set_add(struct path_set *, const char *path);
bool	path_set_has(const struct path_set *, const char *path);
void	path_set_free(struct path_set *);

#endif
