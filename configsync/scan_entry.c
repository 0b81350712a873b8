/*
 * configsync/scan_entry.c - owner, times and attributes of one thing in a tree. Used by scan.c; blocks.
 */
#include "configsync/scan_entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "common/clock.h"
#include "configsync/acl.h"
#include "configsync/arena.h"

bool
scan_stat_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode && a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	    a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* What is from the future is not. */
static bool
older(const struct stat *st, uint64_t now_ms, unsigned int margin_ms)
{
	const struct timespec *of[2] = { &st->st_mtim, &st->st_ctim };
	bool all = true;

	for (int i = 0; i < 2; i++)
		all = all && (of[i]->tv_sec < 0 || (uint64_t)of[i]->tv_sec * 1000 + (uint64_t)of[i]->tv_nsec / 1000000 + margin_ms < now_ms);
	return all;
}

/* A disk's file system takes the time from the kernel's clock, and this one (not FAT, nor one with small inodes) keeps more than milliseconds. */
static bool
is_fine(const struct stat *st)
{
	return major(st->st_dev) != 0 && st->st_ctim.tv_nsec % 1000000 != 0;
}

bool
scan_is_steady(const struct stat *st, const struct scan_options *o)
{
	return older(st, clock_wall_coarse_ms(), o->fine_ms != 0 && is_fine(st) ? o->fine_ms : o->margin_ms);
}

void
scan_entry_stat(struct scan_entry *s, const char *path, const struct stat *st, const struct scan_options *o)
{
	struct entry *e = &s->entry;

	*e = (struct entry){ .path = path, .user = { "", 0 }, .group = { "", 0 }, .type = ENTRY_OTHER };
	e->type = S_ISREG(st->st_mode) ? ENTRY_FILE : S_ISDIR(st->st_mode) ? ENTRY_DIRECTORY :
	    S_ISLNK(st->st_mode) ? ENTRY_LINK : ENTRY_OTHER;
	if (e->type == ENTRY_OTHER)
		return;
	e->mode = st->st_mode & 07777;
	e->mtime_s = st->st_mtim.tv_sec;
	e->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	e->user = (struct entry_owner){ names_of(o->names, false, st->st_uid), st->st_uid };
	e->group = (struct entry_owner){ names_of(o->names, true, st->st_gid), st->st_gid };
	if (e->type == ENTRY_FILE) {
		e->size = (uint64_t)st->st_size;
		e->sparse = (uint64_t)st->st_blocks * 512 < e->size;
	}
	e->local = (struct entry_local){ .dev = st->st_dev, .ino = st->st_ino, .ctime_s = st->st_ctim.tv_sec,
		.ctime_ns = (uint32_t)st->st_ctim.tv_nsec, .links = (uint32_t)st->st_nlink,
		.steady = scan_is_steady(st, o) };
	s->lately = !older(st, clock_wall_ms(), o->margin_ms);
}

/* ---------------------------------------------------------------- extended attributes */

/* Capabilities are setuid by another name, so they are not carried; nor are the system's own (trusted) unless asked for. */
static bool
carried(const char *name, bool trusted)
{
	return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.selinux") == 0 || acl_is_name(name) ||
	    (trusted && strncmp(name, "trusted.", 8) == 0);
}

static const char *
name_of(void *arg, bool group, uint32_t id)
{
	return names_of(arg, group, id);
}

/* The value of one at the end of s->values; its length, -1 with errno. */
static ssize_t
read_value(struct scan_entry *s, int fd, const char *path, const char *name, struct names *names)
{
	ssize_t len = fd != -1 ? fgetxattr(fd, name, s->kernel, sizeof s->kernel) :
	    lgetxattr(path, name, s->kernel, sizeof s->kernel);

	if (len == -1)
		return -1;
	if (s->room - s->used < 2 * ENTRY_XATTR_MAX) {
		s->room = s->used + 4 * ENTRY_XATTR_MAX;
		s->values = need(realloc(s->values, s->room));
	}
	if (!acl_is_name(name)) {
		memcpy(s->values + s->used, s->kernel, (size_t)len);
		return len;
	}
	len = (ssize_t)acl_from_kernel(s->kernel, (size_t)len, name_of, names, s->values + s->used, ENTRY_XATTR_MAX);
	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	return len;
}

static int
by_name(const void *left, const void *right)
{
	return strcmp(((const struct entry_xattr *)left)->name, ((const struct entry_xattr *)right)->name);
}

bool
scan_entry_xattrs(struct scan_entry *s, int fd, const char *path, const struct scan_options *o, struct report *report)
{
	ssize_t len = fd != -1 ? flistxattr(fd, s->names, sizeof s->names) : llistxattr(path, s->names, sizeof s->names), value;
	struct entry *e = &s->entry;
	size_t at = 0;

	s->used = 0;
	e->xattr = s->xattr;
	if (len == -1)
		return errno == ENOTSUP;
	for (const char *name = s->names; name < s->names + len; name += strlen(name) + 1) {
		if (!carried(name, o->trusted)) {
			if (strncmp(name, "security.capability", 19) == 0)
				report_add(report, NOTE_NOT_CARRIED, e->path, "its capabilities are not carried");
			continue;
		}
		if (e->xattrs == ENTRY_XATTRS_MAX) {
			errno = E2BIG;
			return false;
		}
		if ((value = read_value(s, fd, path, name, o->names)) == -1)
			return false;
		s->xattr[e->xattrs++] = (struct entry_xattr){ name, NULL, (uint32_t)value };
		s->used += (size_t)value;
		if (s->used > ENTRY_XATTRS_BYTES) {
			errno = E2BIG;
			return false;
		}
	}
	for (uint32_t i = 0; i < e->xattrs; i++) {	/* only now the values do not move any more */
		s->xattr[i].value = s->values + at;
		at += s->xattr[i].len;
	}
	qsort(s->xattr, e->xattrs, sizeof *s->xattr, by_name);
	return true;
}
