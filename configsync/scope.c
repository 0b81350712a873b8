/*
 * configsync/scope.c - trees, includes and excludes. Pure.
 */
#include "configsync/scope.h"

#include <stdlib.h>
#include <string.h>

#include "configsync/arena.h"
#include "configsync/entry.h"
#include "configsync/glob.h"

struct scope {
	struct arena	*arena;
	const char	**tree, **node;		/* each ends with NULL */
	struct glob	*include, *exclude;		/* each ends with a pattern NULL; exclude: the default ones too */
	const char	**plain;			/* exclusions that are paths; sorted */
	size_t		 plains;
};

/* Only what would break a node that has the other one's, and what nobody edits. */
static const char *const default_exclusions[] = {
	/* who the node is */
	"/etc/hostname", "/etc/machine-id", "/etc/hostid", "/var/lib/dbus/machine-id", "/etc/ssh/ssh_host_*",
	"/etc/iscsi/initiatorname.iscsi", "/etc/nvme/host*", "/etc/ssl/certs/ssl-cert-snakeoil.pem",
	"/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/postfix/makedefs.out",
	/* its network */
	"/etc/network/interfaces", "/etc/network/interfaces.d", "/etc/netplan", "/etc/systemd/network",
	"/etc/NetworkManager/system-connections", "/etc/sysconfig/network", "/etc/sysconfig/network-scripts", "/etc/resolv.conf",
	"/etc/udev/rules.d/70-persistent-net.rules",
	/* its disks and its clock */
	"/etc/fstab", "/etc/mtab", "/etc/crypttab", "/etc/lvm", "/etc/mdadm", "/etc/multipath", "/etc/adjtime", "/etc/ld.so.cache",
	/* editors */
	"*~", ".*.sw?", ".*.un~", "#*#", ".#*", ".*.kate-swp", ".goutputstream-*", ".nfs[0-9a-f]*",
	/* package managers and others that leave their own */
	"*.dpkg-*", "*.ucf-*", "*.rpmnew", "*.rpmsave", "*.rpmorig", "/etc/.git", "/etc/.etckeeper", "/etc/.pwd.lock", ".certbot.lock",
	NULL
};

const char *const *
scope_default_exclusions(void)
{
	return default_exclusions;
}

const char *const *
scope_nodes(const struct scope *s)
{
	return s->node;
}

/* ---------------------------------------------------------------- making one */

static const char **
copy_list(struct arena *arena, const char *const *list)
{
	size_t len = 0;
	const char **to;

	while (list != NULL && list[len] != NULL)
		len++;
	to = arena_take(arena, (len + 1) * sizeof *to);
	for (size_t i = 0; i < len; i++)
		to[i] = arena_text(arena, list[i]);
	to[len] = NULL;
	return to;
}

/* A path that only means itself. */
static bool
is_plain(const char *pattern)
{
	return strchr(pattern, '/') != NULL && strpbrk(pattern, "*?[\\") == NULL && entry_path_ok(pattern + (*pattern == '/'));
}

static int
by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static struct glob *
globs_of(struct arena *arena, const char *const *list)
{
	size_t len = 0;
	struct glob *to;

	while (list != NULL && list[len] != NULL)
		len++;
	to = arena_take(arena, (len + 1) * sizeof *to);
	for (size_t i = 0; i < len; i++)
		to[i] = glob_of(arena_text(arena, list[i]));
	to[len] = (struct glob){ 0 };
	return to;
}

/* Each path is compared with all exclusions: those that are paths are looked up. */
static void
exclude(struct scope *s, const char *const *list, const char *const *more)
{
	const char *const *both[] = { list, more };
	const char **others;
	size_t len = 0, n = 0;

	for (int i = 0; i < 2; i++)
		for (const char *const *at = both[i]; at != NULL && *at != NULL; at++)
			len++;
	s->plain = arena_take(s->arena, (len + 1) * sizeof *s->plain);
	others = need(calloc(len + 1, sizeof *others));
	for (int i = 0; i < 2; i++) {
		for (const char *const *at = both[i]; at != NULL && *at != NULL; at++) {
			if (is_plain(*at))
				s->plain[s->plains++] = arena_text(s->arena, *at + (**at == '/'));
			else
				others[n++] = *at;
		}
	}
	if (s->plains > 1)
		qsort(s->plain, s->plains, sizeof *s->plain, by_text);
	s->exclude = globs_of(s->arena, others);
	free(others);
}

/* A tree in another one says nothing that the other one does not say. */
static void
drop_nested(const char **tree)
{
	size_t len = 0;

	for (size_t i = 0; tree[i] != NULL; i++) {
		bool nested = false;

		for (size_t k = 0; tree[k] != NULL && !nested; k++)
			nested = k != i && entry_path_within(tree[i], tree[k]) && (strcmp(tree[i], tree[k]) != 0 || k < i);
		if (!nested)
			tree[len++] = tree[i];
	}
	tree[len] = NULL;
}

struct scope *
scope_new(const struct scope_rules *rules, struct err *err)
{
	struct scope *s = need(calloc(1, sizeof *s));

	s->arena = arena_new();
	s->tree = copy_list(s->arena, rules->tree);
	s->include = globs_of(s->arena, rules->include);
	exclude(s, rules->exclude, rules->no_defaults ? NULL : default_exclusions);
	s->node = copy_list(s->arena, rules->node);
	for (size_t i = 0; s->tree[i] != NULL; i++) {
		char *tree = arena_text(s->arena, s->tree[i]);
		size_t len;

		tree += strspn(tree, "/");
		for (len = strlen(tree); len > 0 && tree[len - 1] == '/'; len--)
			tree[len - 1] = '\0';
		if (!entry_path_ok(tree)) {
			err_set(err, 0, "tree \"%.300s\" is no path from the root: \"/etc/postfix\" would be one", s->tree[i]);
			scope_free(s);
			return NULL;
		}
		s->tree[i] = tree;
	}
	drop_nested(s->tree);
	return s;
}

void
scope_free(struct scope *s)
{
	if (s == NULL)
		return;
	arena_free(s->arena);
	free(s);
}

const char *
scope_tree(const struct scope *s, size_t i)
{
	return s->tree[i];
}

/* ---------------------------------------------------------------- judging */

static const char *
last_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static bool
listed(const struct glob *list, const char *path, const char *name)
{
	for (; list->pattern != NULL; list++) {
		if (glob_is(list, path, name))
			return true;
	}
	return false;
}

static bool
being_written(const char *name)
{
	if (strncmp(name, SCOPE_STAGING, strlen(SCOPE_STAGING)) != 0)
		return false;
	name += strlen(SCOPE_STAGING);
	return strlen(name) == SCOPE_STAGING_DIGITS && strspn(name, "0123456789abcdef") == SCOPE_STAGING_DIGITS;
}

static bool
being_made(const char *name)
{
	return strncmp(name, SCOPE_TABLE, strlen(SCOPE_TABLE)) == 0;
}

static bool
excluded(const struct scope *s, const char *path)
{
	const char *name = last_of(path);

	if (name[0] == '.' && (being_written(name) || being_made(name)))
		return true;
	return ((s->plains > 0 && bsearch(&path, s->plain, s->plains, sizeof *s->plain, by_text) != NULL) || listed(s->exclude, path, name)) &&
	    !listed(s->include, path, name);
}

enum scope_place
scope_place(const struct scope *s, const char *path)
{
	char part[ENTRY_PATH_MAX + 1];
	size_t len = strlen(path), at = 0;
	const char *tree = NULL;

	if (len > ENTRY_PATH_MAX)
		return SCOPE_OUTSIDE;
	for (size_t i = 0; s->tree[i] != NULL && tree == NULL; i++) {
		if (entry_path_within(path, s->tree[i]))
			tree = s->tree[i];
		else if (entry_path_within(s->tree[i], path))
			return SCOPE_ABOVE;
	}
	if (being_written(last_of(path)))	/* of a tree that is a single file it stands beside it */
		return SCOPE_BEING_WRITTEN;
	if (tree == NULL)
		return SCOPE_OUTSIDE;
	memcpy(part, path, len + 1);
	for (at = strlen(tree); at <= len; at += 1 + strcspn(path + at + 1, "/")) {
		part[at] = '\0';
		if (excluded(s, part))
			return SCOPE_EXCLUDED;
		part[at] = path[at];
		if (at == len)
			break;
	}
	return SCOPE_INSIDE;
}

/* Of a tree, in the directory that before stands in: a tree may stand beside what is none. */
static bool
is_beside(const struct scope *s, const char *path, const char *before)
{
	size_t dir = entry_path_parent(path);

	if (before == NULL || dir == 0 || strncmp(path, before, dir + 1) != 0 || strchr(before + dir + 1, '/') != NULL)
		return false;
	for (size_t i = 0; s->tree[i] != NULL; i++)
		if (entry_path_within(path, s->tree[i]))
			return true;
	return false;
}

bool
scope_holds(const struct scope *s, const char *path, const char *before)
{
	return is_beside(s, path, before) ? strlen(path) <= ENTRY_PATH_MAX && !excluded(s, path) : scope_place(s, path) == SCOPE_INSIDE;
}

size_t
scope_variant(const struct scope *s, const char *path, const char **ret_node)
{
	const char *at = strrchr(path, '@');

	if (at == NULL || at == path || at[-1] == '/' || strchr(at, '/') != NULL)
		return 0;
	for (size_t i = 0; s->node[i] != NULL; i++) {
		if (strcmp(s->node[i], at + 1) == 0) {
			*ret_node = s->node[i];
			return (size_t)(at - path);
		}
	}
	return 0;
}
