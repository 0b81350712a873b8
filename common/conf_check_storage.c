/*
 * common/conf_check_storage.c - the rules for the spool: a journalled file system on a device that
 * both nodes name, mounted where it hides nothing, and directories of it seen elsewhere.
 *
 * Part of conf_check.c in four files. Pure: whether a device or directory exists is found out when
 * it is used.
 */
#include <stdio.h>
#include <string.h>

#include "common/conf_parts.h"

/* Only what replays a journal is whole again after a power cut, without anybody's answer. */
static void
check_fstype(const struct conf *c, struct conf_mistakes *mistakes)
{
	static const char *const journalled[] = {"ext3", "ext4", "xfs", "jfs", "btrfs", "f2fs"};
	const struct conf_storage *s = &c->storage;

	for (size_t i = 0; i < sizeof(journalled) / sizeof(journalled[0]); i++)
		if (strcmp(s->fstype, journalled[i]) == 0)
			return;
	conf_mistake(mistakes, conf_line(c, &s->fstype, s->line),
	    "storage \"%s\": fstype = \"%s\" is refused; "
	    "only a journalled local file system is whole after a power cut: ext3, ext4, xfs, jfs, "
	    "btrfs "
	    "or f2fs",
	    s->name, s->fstype);
}

/* By default for both nodes, or each under its name. */
static void
check_devices(const struct conf *c, struct conf_mistakes *mistakes)
{
	const struct conf_storage *s = &c->storage;

	for (int i = 0; i < CONF_NODES; i++) {
		const char *device = s->node_device[i];
		const char *const *field = device == s->device ? &s->device : &s->node_device[i];
		const char *name =
		    field == &s->device || c->node[i] == NULL ? "device" : c->node[i];

		if (device == NULL) {
			conf_mistake(mistakes, s->line,
			    "storage \"%s\": device is missing%s%s; write device = "
			    "\"/dev/...\", the block device or image file with the spool",
			    s->name, c->node[i] == NULL ? "" : " for node ",
			    c->node[i] == NULL ? "" : c->node[i]);
			if (s->device == NULL && s->node_device[1 - i] == NULL)
				return;
		} else if (!conf_path_ok(device)) {
			conf_mistake(mistakes, conf_line(c, field, s->line),
			    "storage \"%s\": %s = \"%s\" is no "
			    "plain absolute path of a block device or image file",
			    s->name, name, device);
			if (field == &s->device)
				return;
		}
	}
}

static void
check_mountpoint(const struct conf *c, struct conf_mistakes *mistakes)
{
	static const char *const system[] = {
	    "/dev", "/proc", "/sys", "/run", "/usr", "/etc", "/boot"};
	const struct conf_storage *s = &c->storage;
	const struct {
		const char *name;
		const char *const *path;
	} own[] = {
	    {"state-dir", &c->state_dir},
	    {"run-dir", &c->run_dir},
	    {"authkeys", &c->authkeys},
	    {"hooks-dir", &c->hooks_dir},
	    {"log", &c->log},
	};
	int line = conf_line(c, &s->mountpoint, s->line);

	if (!conf_path_ok(s->mountpoint) || strcmp(s->mountpoint, "/") == 0) {
		conf_mistake(mistakes, line,
		    "storage \"%s\": mountpoint = \"%s\" is wrong; a plain absolute path "
		    "below \"/\" is right, like /srv/mail",
		    s->name, s->mountpoint);
		return;
	}
	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		if (strcmp(s->mountpoint, system[i]) == 0)
			conf_mistake(mistakes, line,
			    "storage \"%s\": mountpoint = \"%s\" would hide a directory "
			    "of the system; use one of its own, like /srv/mail",
			    s->name, s->mountpoint);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (*own[i].path != NULL && conf_path_inside(*own[i].path, s->mountpoint))
			conf_mistake(mistakes, conf_line(c, own[i].path, line),
			    "%s = \"%s\" lies on the shared "
			    "storage at %s, which only the active node sees; each node needs its "
			    "own",
			    own[i].name, *own[i].path, s->mountpoint);
}

static void
check_store(const struct conf *c, struct conf_mistakes *mistakes)
{
	const struct conf_storage *s = &c->storage;

	if (s->name == NULL)
		return;
	if (!conf_word_ok(s->name, CONF_NAME_MAX - 1))
		conf_mistake(mistakes, s->line,
		    "storage \"%s\" is no good name; 1 to %d " CONF_WORDS " are right", s->name,
		    CONF_NAME_MAX - 1);
	if (s->type == NULL || strcmp(s->type, "shared") != 0) {
		conf_mistake(mistakes, conf_line(c, &s->type, s->line),
		    "storage \"%s\": type = \"%s\" %s; "
		    "\"shared\" is right",
		    s->name, s->type == NULL ? "" : s->type,
		    s->type != NULL && strcmp(s->type, "drbd") == 0
			? "is not supported by this version of mailpair yet"
			: "is not known");
		return;
	}
	check_devices(c, mistakes);
	if (s->mountpoint == NULL)
		conf_mistake(mistakes, s->line,
		    "storage \"%s\": mountpoint is missing: write mountpoint = "
		    "\"/srv/mail\", where the spool is mounted",
		    s->name);
	else
		check_mountpoint(c, mistakes);
	if (s->fstype == NULL)
		conf_mistake(mistakes, s->line,
		    "storage \"%s\": fstype is missing: write fstype = \"ext4\", or "
		    "which other journalled file system it is",
		    s->name);
	else
		check_fstype(c, mistakes);
	if (s->options != NULL && strpbrk(s->options, " \t") != NULL)
		conf_mistake(mistakes, conf_line(c, &s->options, s->line),
		    "storage \"%s\": options = \"%s\" holds "
		    "blanks; mount options are separated by commas alone",
		    s->name, s->options);
}

/* Relative, below the mountpoint, and not where the seal of the spool is kept. */
static bool
from_ok(const char *from)
{
	char path[1024];

	if (snprintf(path, sizeof(path), "/%s", from) >= (int)sizeof(path))
		return false;
	return from[0] != '\0' && from[0] != '/' && strcmp(from, ".") != 0 && conf_path_ok(path) &&
	       !conf_path_inside(path, "/.mailpair");
}

static void
check_binds(const struct conf *c, struct conf_mistakes *mistakes)
{
	const char *mountpoint = c->storage.mountpoint;

	if (mountpoint != NULL && (!conf_path_ok(mountpoint) || strcmp(mountpoint, "/") == 0))
		mountpoint = NULL; /* refused already */
	for (size_t i = 0; i < c->binds; i++) {
		const struct conf_bind *b = &c->bind[i];

		if (!conf_path_ok(b->path) || strcmp(b->path, "/") == 0)
			conf_mistake(mistakes, b->line,
			    "bind \"%s\" is no plain absolute path, like "
			    "/var/spool/postfix",
			    b->path);
		else if (mountpoint != NULL && (conf_path_inside(b->path, mountpoint) ||
						   conf_path_inside(mountpoint, b->path)))
			conf_mistake(mistakes, b->line,
			    "bind \"%s\" overlaps the mountpoint %s of the storage; it "
			    "must lie outside of it",
			    b->path, mountpoint);
		if (b->from == NULL)
			conf_mistake(mistakes, b->line,
			    "bind \"%s\": from is missing: write from = \"postfix\", a "
			    "path relative to the mountpoint",
			    b->path);
		else if (!from_ok(b->from))
			conf_mistake(mistakes, conf_line(c, &b->from, b->line),
			    "bind \"%s\": from = \"%s\" is wrong; "
			    "a path relative to the mountpoint, without \"..\" and outside of "
			    ".mailpair, is right",
			    b->path, b->from);
		for (size_t other = 0; other < i; other++)
			if (strcmp(c->bind[other].path, b->path) == 0)
				conf_mistake(mistakes, b->line,
				    "bind \"%s\" stands here twice; the first is in "
				    "line %d",
				    b->path, c->bind[other].line);
	}
}

void
conf_check_storage(const struct conf *c, struct conf_mistakes *mistakes)
{
	check_store(c, mistakes);
	check_binds(c, mistakes);
}
