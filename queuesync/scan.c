/*
 * queuesync/scan.c - the walk over the directories of a layout; what is in them goes to scan_stat.c. Everything
 * here is input of whoever can write to the queue: names of any bytes, links, other file systems, entries that
 * vanish. Runs in mailpair-queue; blocks.
 */
#include "queuesync/scan.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/need.h"
#include "queuesync/ahead.h"
#include "queuesync/by_inode.h"
#include "queuesync/listing.h"
#include "queuesync/scan_stat.h"

/* Sorted at once, 24 MiB at most: what comes at another time is no neighbour on the disk any more. */
#define ENTRIES_MAX (1u << 19)
#define NAMES_MAX (16u << 20)
#define SEAL ".mailpair"		/* where the supervisor keeps who owns the spool */

static_assert((int)QUEUE_REGULAR == S_IFREG && (int)QUEUE_DIRECTORY == S_IFDIR && (int)QUEUE_SYMLINK == S_IFLNK &&
    (int)QUEUE_FIFO == S_IFIFO && (int)QUEUE_SOCKET == S_IFSOCK && (int)QUEUE_CHAR_DEVICE == S_IFCHR &&
    (int)QUEUE_BLOCK_DEVICE == S_IFBLK, "the types of mta/queue.h are the kernel's");

/* A directory whose time of change tells at the end whether somebody works on the queue. */
struct seen { char *path; struct timespec changed; };

struct scan {
	const struct queue_layout *layout;
	struct check		*check;
	struct scan_seen	*seen;
	struct queue_note	*note;
	struct known		*known;
	bool			(*without)(const struct queue_place *);
	uint64_t		 until_us;
	struct scan_stat	*stat;
	bool			 reads;		/* each file: nobody can begin before the directory is known */
	struct err		*err;
	int			 root;
	dev_t			 device;
	char			*buffer;	/* of a listing */
	struct seen		*directory;
	size_t			 directories;
};

/* Sub-directories to walk, and names, of one directory. */
struct list {
	char		*names;
	size_t		 len, room;
	struct by_inode	*entry;		/* ref: the name in names; bit: the type that the directory says */
	size_t		 entries, entry_room;
};

/* Without touching its time of access, where it is ours or we are root. */
static int
open_directory(int at, const char *name)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	int fd = openat(at, name, flags | O_NOATIME);

	return fd == -1 && errno == EPERM ? openat(at, name, flags) : fd;
}

static bool
refused(const struct scan *s, const char *path, int sys)
{
	return err_set(s->err, sys, "%s%s%s cannot be looked into", s->layout->root, *path != '\0' ? "/" : "", path);
}

static struct queue_file
from_stat(const struct stat *st, uint16_t place)
{
	return (struct queue_file){ .name = "", .sub = "", .place = place, .ino = st->st_ino, .size = (uint64_t)st->st_size,
	    .mode = st->st_mode, .uid = st->st_uid, .gid = st->st_gid, .nlink = (uint32_t)st->st_nlink,
	    .mtime = st->st_mtim.tv_sec, .atime = st->st_atim.tv_sec, .ctime = st->st_ctim.tv_sec };
}

/* ---------------------------------------------------------------- names */

static void
list_free(struct list *l)
{
	free(l->names);
	free(l->entry);
	*l = (struct list){ 0 };
}

static void
list_add(struct list *l, const struct listing_entry *d)
{
	size_t len = strlen(d->name) + 1;

	if (l->len + len > l->room) {
		l->room = 2 * (l->room + len);
		l->names = need(realloc(l->names, l->room));
	}
	if (l->entries == l->entry_room) {
		l->entry_room = 2 * l->entry_room + 64;
		l->entry = need(reallocarray(l->entry, l->entry_room, sizeof *l->entry));
	}
	l->entry[l->entries++] = (struct by_inode){ .ino = d->ino, .ref = (uint32_t)l->len, .bit = d->type };
	memcpy(l->names + l->len, d->name, len);
	l->len += len;
}

bool
scan_is_sub(const struct queue_layout *layout, const struct queue_place *place, uint32_t level, const char *name, uint8_t type)
{
	if (place->hash == QUEUE_POSTFIX && level >= place->depth)
		return level < QUEUE_POSTFIX_LEVELS && name[1] == '\0' && type == DT_DIR;
	if (level >= place->depth)
		return false;
	switch (place->hash) {
	case QUEUE_FLAT:
		return false;
	case QUEUE_MOD:
		if (strspn(name, "0123456789") != strlen(name) || strlen(name) > 9 || (name[0] == '0' && name[1] != '\0'))
			return false;
		return strtoul(name, NULL, 10) < layout->split;
	case QUEUE_POSTFIX:
		return name[1] == '\0';
	case QUEUE_EXIM:
		return isalnum((unsigned char)name[0]) && name[1] == '\0';
	}
	return false;
}

/* Is path/name a place, or on the way to one? Then it is walked for its own sake. */
static bool
is_place(const struct queue_layout *layout, const char *path, const char *name)
{
	size_t skip = strlen(path), len = strlen(name);

	for (size_t i = 0; i < layout->places; i++) {
		const char *p = layout->place[i].path;

		if (strncmp(p, path, skip) != 0 || (skip > 0 && p[skip] != '/'))
			continue;
		p += skip + (skip > 0);
		if (len > 0 && strncmp(p, name, len) == 0 && (p[len] == '\0' || p[len] == '/'))
			return true;
	}
	return false;
}

static bool
has_places_below(const struct queue_layout *layout, const char *path)
{
	size_t skip = strlen(path);

	for (size_t i = 0; i < layout->places; i++) {
		const char *p = layout->place[i].path;

		if (*p != '\0' && (skip == 0 || (strncmp(p, path, skip) == 0 && p[skip] == '/')))
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------- one directory */

/* What fsck found without a name may be mail. */
static void
look_into_lost_found(struct scan *s, int fd)
{
	int sub = open_directory(fd, "lost+found");
	struct listing *l;
	uint64_t files = 0;
	const char *bytes;
	ssize_t got;

	if (sub == -1)
		return;
	l = listing_begin(sub, 0, s->buffer);
	while ((got = listing_next(l, &bytes)) > 0) {
		for (ssize_t at = 0; at < got;) {
			const struct listing_entry *d = (const struct listing_entry *)(const void *)(bytes + at);

			files += strcmp(d->name, ".") != 0 && strcmp(d->name, "..") != 0;
			at += d->reclen;
		}
	}
	listing_end(l);
	close(sub);
	if (files > 0)
		check_lost_found(s->check, "lost+found", files);
}

/* The place, the sub-directory below it and its path as a whole, while it is walked. */
struct at { uint16_t place; uint32_t level; const char *sub; char path[CHECK_PATH_MAX]; };

static void
hand_over_one(struct scan *s, const struct at *at, struct scan_directory *directory, const char *name, uint64_t ino, bool regular)
{
	if (s->seen->entries++ % 64 == 0)
		s->seen->cut = s->seen->cut || (s->until_us != 0 && clock_mono_us() >= s->until_us) ||
		    (s->known != NULL && !known_good(s->known));
	if (!s->seen->cut)
		scan_stat_add(s->stat, directory, at->place, name, ino, regular);
}

static void
hand_over(struct scan *s, const struct at *at, struct scan_directory *directory, struct list *files)
{
	by_inode_sort(files->entry, files->entries);
	for (size_t i = 0; i < files->entries; i++)
		hand_over_one(s, at, directory, files->names + files->entry[i].ref, files->entry[i].ino, files->entry[i].bit == DT_REG);
	files->entries = files->len = 0;
}

/* mailpair's own directories, below the root of a queue or of a spool; a link with such a name is no directory. */
static bool
is_ours(const struct listing_entry *d)
{
	return (d->type == DT_DIR || d->type == DT_UNKNOWN) &&
	    (strcmp(d->name, SEAL) == 0 || strcmp(d->name, QUEUE_QUARANTINE) == 0);
}

/* Sorts the entries of one directory into files and sub-directories to walk. */
static bool
list_directory(struct scan *s, const struct at *at, struct scan_directory *directory, struct listing *entries, struct list *subs)
{
	const struct queue_place *place = &s->layout->place[at->place];
	bool places_below = has_places_below(s->layout, at->path);
	struct list files = { 0 };
	const char *bytes;
	ssize_t got = 0;
	int sys;

	/* after the end of the time only directories are wanted */
	while ((!s->seen->cut || at->level < place->depth) && (got = listing_next(entries, &bytes)) > 0) {
		for (ssize_t n = 0; n < got;) {
			const struct listing_entry *d = (const struct listing_entry *)(const void *)(bytes + n);

			n += d->reclen;
			if (d->name[0] == '.' && (d->name[1] == '\0' || (d->name[1] == '.' && d->name[2] == '\0')))
				continue;
			if (places_below && is_place(s->layout, at->path, d->name))
				continue;
			if (at->path[0] == '\0' && is_ours(d))
				continue;
			if (at->path[0] == '\0' && strcmp(d->name, "lost+found") == 0)
				list_add(subs, d);
			else if (scan_is_sub(s->layout, place, at->level, d->name, d->type))
				list_add(subs, d);
			else if (s->known != NULL)	/* read whole tables at a time, in whatever order */
				hand_over_one(s, at, directory, d->name, d->ino, d->type == DT_REG);
			else
				list_add(&files, d);
		}
		if (files.entries >= ENTRIES_MAX || files.len >= NAMES_MAX)
			hand_over(s, at, directory, &files);
	}
	sys = errno;
	hand_over(s, at, directory, &files);
	list_free(&files);
	return got >= 0 || refused(s, at->path, sys);
}

static bool walk(struct scan *, int parent, const char *name, const struct at *);

static bool
walk_subs(struct scan *s, const struct at *at, int fd, const struct list *subs)
{
	for (size_t i = 0; i < subs->entries; i++) {
		const char *name = subs->names + subs->entry[i].ref;
		struct at below = { .place = at->place, .level = at->level + 1 };
		size_t skip = strlen(s->layout->place[at->place].path);

		if (at->path[0] == '\0' && strcmp(name, "lost+found") == 0) {
			look_into_lost_found(s, fd);
			continue;
		}
		if ((size_t)snprintf(below.path, sizeof below.path, "%s%s%s", at->path, at->path[0] != '\0' ? "/" : "", name) >=
		    sizeof below.path)
			return refused(s, at->path, ENAMETOOLONG);
		below.sub = below.path + skip + (skip > 0);
		if (!walk(s, fd, name, &below))
			return false;
	}
	return true;
}

static void
remember(struct scan *s, const char *path, const struct stat *st)
{
	if ((s->directories & (s->directories - 1)) == 0)
		s->directory = need(reallocarray(s->directory, s->directories == 0 ? 1 : 2 * s->directories,
		    sizeof *s->directory));
	s->directory[s->directories++] = (struct seen){ .path = need(strdup(path)), .changed = st->st_mtim };
}

/* One directory, opened. Takes fd over. */
static bool
walk_opened(struct scan *s, int fd, const struct at *at)
{
	struct scan_directory *directory;
	struct listing *entries;
	struct list subs = { 0 };
	struct queue_file self;
	struct ahead *ahead;
	struct stat st;
	bool ok;

	if (fstat(fd, &st) == -1) {
		close(fd);
		return refused(s, at->path, errno);
	}
	self = from_stat(&st, at->place);
	if (s->layout->place[at->place].skipped || st.st_dev != s->device) {
		if (s->layout->place[at->place].skipped)
			check_directory(s->check, at->path, at->place, &self);
		else
			check_mounted(s->check, at->path, at->place);
		close(fd);
		return true;
	}
	check_directory(s->check, at->path, at->place, &self);
	remember(s, at->path, &st);
	if (s->without != NULL && s->without(&s->layout->place[at->place])) {
		s->seen->directories++;
		close(fd);
		return true;
	}
	if (s->known != NULL)
		known_directory(s->known, st.st_ino, (uint64_t)st.st_size);
	if (s->note != NULL)
		queue_note_add(s->note, at->path, &st, clock_wall_ms());
	s->seen->directories++;
	directory = scan_stat_directory(s->stat, fd, at->sub);
	ahead = s->reads ? ahead_begin(fd, st.st_size) : NULL;
	entries = listing_begin(fd, st.st_size, s->buffer);
	ok = list_directory(s, at, directory, entries, &subs);
	listing_end(entries);
	ahead_end(ahead);
	ok = ok && walk_subs(s, at, fd, &subs);
	scan_stat_directory_done(directory);
	list_free(&subs);
	return ok;
}

/* What is no directory, or is gone, is told; what is refused ends the scan. */
static bool
walk(struct scan *s, int parent, const char *name, const struct at *at)
{
	int fd = open_directory(parent, name), sys = errno;
	struct queue_file self;
	struct stat st;

	if (fd != -1)
		return walk_opened(s, fd, at);
	if (sys == ENOENT)
		return true;
	if ((sys != ELOOP && sys != ENOTDIR) || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return refused(s, at->path, sys);
	self = from_stat(&st, at->place);
	check_directory(s->check, at->path, at->place, &self);
	return true;
}

/* ---------------------------------------------------------------- places */

static bool
walk_place(struct scan *s, uint16_t place)
{
	const char *path = s->layout->place[place].path, *slash;
	struct at at = { .place = place, .sub = "" };
	int fd = s->root;
	bool ok;

	if ((size_t)snprintf(at.path, sizeof at.path, "%s", path) >= sizeof at.path)
		return refused(s, path, ENAMETOOLONG);
	if (*path == '\0')
		return walk(s, s->root, ".", &at);
	/* One component after the other, so that no link on the way is followed either. */
	while ((slash = strchr(path, '/')) != NULL) {
		char part[NAME_MAX + 1];
		int next;

		snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
		next = open_directory(fd, part);
		if (fd != s->root)
			close(fd);
		if (next == -1)
			return errno == ENOENT || errno == ENOTDIR || errno == ELOOP || refused(s, at.path, errno);
		fd = next;
		path = slash + 1;
	}
	ok = walk(s, fd, path, &at);
	if (fd != s->root)
		close(fd);
	return ok;
}

/* Did a directory change while the scan went on? */
static bool
has_moved(const struct scan *s)
{
	for (size_t i = 0; i < s->directories; i++) {
		const struct seen *d = &s->directory[i];
		struct stat st;

		if (fstatat(s->root, *d->path != '\0' ? d->path : ".", &st, AT_SYMLINK_NOFOLLOW) == -1 ||
		    st.st_mtim.tv_sec != d->changed.tv_sec || st.st_mtim.tv_nsec != d->changed.tv_nsec)
			return true;
	}
	return false;
}

static void
scan_free(struct scan *s)
{
	for (size_t i = 0; i < s->directories; i++)
		free(s->directory[i].path);
	free(s->directory);
	free(s->buffer);
	if (s->root != -1)
		close(s->root);
}

bool
scan_queue(const struct queue_layout *layout, struct check *check, const struct scan_options *options, struct scan_seen *ret,
    struct err *err)
{
	struct scan_seen seen = { 0 };
	struct scan s = { .layout = layout, .check = check, .seen = &seen, .note = options->note, .known = options->known,
		.without = options->without, .until_us = options->until_us, .reads = options->reading != NULL, .err = err };
	struct stat st;
	bool ok = true;

	/* The root itself may be a link: it is what the operator or the program's own settings name. */
	s.root = open(layout->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	if (s.root == -1 || fstat(s.root, &st) == -1) {
		ok = err_set(err, errno, "the queue %s cannot be looked into", layout->root);
		scan_free(&s);
		return ok;
	}
	s.device = st.st_dev;
	s.buffer = need(malloc(LISTING_BYTES));
	seen.cut = s.until_us != 0 && clock_mono_us() >= s.until_us;
	s.stat = scan_stat_new(check, layout, st.st_dev, options);
	for (size_t i = 0; ok && i < layout->places; i++)
		ok = walk_place(&s, (uint16_t)i);
	ok = scan_stat_end(s.stat, layout->root, &seen.vanished, &seen.cut, ok ? err : NULL) && ok;
	seen.moved = has_moved(&s);
	scan_free(&s);
	if (ok)
		*ret = seen;
	return ok;
}
