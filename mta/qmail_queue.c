/*
 * mta/qmail_queue.c - reads qmail's queue directories: split, layout, counts. Runs in workers and in
 * mailpair-queue; blocks in readdir(3) and stat(2). Whether mail in it is whole is queuesync's business.
 */
#include "mta/qmail_queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mta/qmail_record.h"

/* The numbers of the sub-directories of one directory that is split. */
struct subs { uint32_t top; uint8_t there[QMAIL_SPLIT_MAX]; };

static const char *const split_places[] = { "mess", "info", "local", "remote" };
#define SPLIT_PLACES (sizeof split_places / sizeof split_places[0])

/* The number of a sub-directory; unlike a message's it may be 0. */
static bool
sub_number(const char *name, uint32_t *ret)
{
	uint64_t n = 0;

	if (strcmp(name, "0") != 0 && !qmail_number_parse(name, strlen(name), &n))
		return false;
	if (n >= QMAIL_SPLIT_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static bool
is_directory(int parent, const char *name)
{
	struct stat st;

	return fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static DIR *
open_directory(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);

	if (fd != -1 && dir == NULL)
		close(fd);
	return dir;
}

static void
subs_of(int root, const char *name, struct subs *ret)
{
	DIR *dir = open_directory(root, name);
	struct dirent *entry;
	uint32_t n;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if ((entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) || !sub_number(entry->d_name, &n) ||
		    !is_directory(dirfd(dir), entry->d_name))
			continue;
		ret->there[n] = 1;
		if (n + 1 > ret->top)
			ret->top = n + 1;
	}
	if (dir != NULL)
		closedir(dir);
}

/* How many directories would be missing, or too many, if that were the split. */
static uint64_t
cost_of(const struct subs subs[SPLIT_PLACES], uint32_t split)
{
	uint64_t cost = 0;

	for (size_t i = 0; i < SPLIT_PLACES; i++)
		for (uint32_t n = 0; n < (subs[i].top > split ? subs[i].top : split); n++)
			cost += (n < split) != (subs[i].there[n] != 0);
	return cost;
}

/*
 * The one of the four that fits all of them best: a directory that is missing, or a stray one, does not change the split.
 * 0: nothing is there.
 */
static uint32_t
split_of(int root)
{
	struct subs *subs = calloc(SPLIT_PLACES, sizeof *subs);
	uint64_t best = UINT64_MAX;
	uint32_t split = 0;

	if (subs == NULL)
		return 0;
	for (size_t i = 0; i < SPLIT_PLACES; i++)
		subs_of(root, split_places[i], &subs[i]);
	for (size_t i = 0; i < SPLIT_PLACES; i++) {
		uint64_t cost = subs[i].top == 0 || subs[i].top == split ? UINT64_MAX : cost_of(subs, subs[i].top);

		if (cost < best || (cost == best && cost != UINT64_MAX && subs[i].top > split)) {
			best = cost;
			split = subs[i].top;
		}
	}
	free(subs);
	return split;
}

/* More than half of the sub-directories that the patch makes are there. */
static bool
is_big_todo(int root, uint32_t split)
{
	char path[32];
	uint64_t found = 0;

	for (uint32_t n = 0; n < split; n++) {
		snprintf(path, sizeof path, "todo/%" PRIu32, n);
		found += is_directory(root, path);
		snprintf(path, sizeof path, "intd/%" PRIu32, n);
		found += is_directory(root, path);
	}
	return found > split;
}

/* ---------------------------------------------------------------- the layout */

struct ids { uint32_t queue, send, remote, group; };

static uint32_t
owner_of(int root, const char *path, bool group)
{
	struct stat st;

	if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return QUEUE_ID_ANY;
	return group ? st.st_gid : st.st_uid;
}

static bool
ids_of(int root, const struct queue_owners *owners, struct ids *ret, struct err *err)
{
	bool all = queue_uid(owners, "qmailq", &ret->queue) && queue_uid(owners, "qmails", &ret->send) &&
	    queue_uid(owners, "qmailr", &ret->remote) && queue_gid(owners, "qmail", &ret->group);

	if (!all && owners != NULL)
		return err_set(err, 0, "the file of accounts lacks one of qmail's: users qmailq, qmails, qmailr and group qmail");
	if (!all) {	/* a foreign queue on a host without qmail */
		ret->queue = owner_of(root, ".", false);
		ret->group = owner_of(root, ".", true);
		ret->send = owner_of(root, "info", false);
		ret->remote = owner_of(root, "lock/tcpto", false);
	}
	return true;
}

static const struct {
	const char *path;
	enum qmail_place kind;
	bool split, sometimes;		/* sometimes: only with big-todo */
	bool send;			/* belongs to qmails, else to qmailq */
	uint32_t mode;
} places[] = {
	{ "", QMAIL_ROOT, false, false, false, 0750 },
	{ "pid", QMAIL_PID, false, false, false, 0700 },
	{ "mess", QMAIL_MESS, true, false, false, 0750 },
	{ "intd", QMAIL_INTD, true, true, false, 0700 },
	{ "todo", QMAIL_TODO, true, true, false, 0750 },
	{ "info", QMAIL_INFO, true, false, true, 0700 },
	{ "local", QMAIL_LOCAL, true, false, true, 0700 },
	{ "remote", QMAIL_REMOTE, true, false, true, 0700 },
	{ "bounce", QMAIL_BOUNCE, false, false, true, 0700 },
	{ "lock", QMAIL_LOCK, false, false, false, 0750 },
};

static void
layout_fill(struct queue_layout *layout, const struct ids *ids)
{
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		bool split = places[i].split && (!places[i].sometimes || layout->big_todo);
		struct queue_place *place = queue_place_add(layout, places[i].path, (uint8_t)places[i].kind);

		place->hash = split ? QUEUE_MOD : QUEUE_FLAT;
		place->depth = split ? 1 : 0;
		place->required = true;
		place->subs_required = split;
		place->uid = places[i].send ? ids->send : ids->queue;
		place->gid = ids->group;
		place->mode = places[i].mode;
	}
}

bool
qmail_layout(const char *path, uint32_t built, const struct queue_owners *owners, struct queue_layout *ret, struct err *err)
{
	struct queue_layout layout = { .mta = "qmail", .owners = owners, .built_split = built };
	int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ids ids;
	bool ok;

	if (root == -1)
		return err_set(err, errno, "cannot open qmail's queue %s", path);
	layout.split = split_of(root);
	if (layout.split == 0)
		layout.split = built;
	layout.big_todo = is_big_todo(root, layout.split);
	ok = layout.split != 0 || err_set(err, 0, "%s is no queue of qmail: mess, info, local and remote have no "
	    "sub-directories 0, 1, 2, ...", path);
	ok = ok && ids_of(root, owners, &ids, err);
	close(root);
	if (ok && (layout.root = realpath(path, NULL)) == NULL)
		ok = err_set(err, errno, "cannot resolve %s", path);
	if (!ok)
		return false;
	layout.remote_uid = ids.remote;
	layout_fill(&layout, &ids);
	*ret = layout;
	return true;
}

/* ---------------------------------------------------------------- may it be started */

static bool
directory_fits(int root, const struct queue_layout *layout, const struct queue_place *place, const char *path, struct err *err)
{
	struct stat st;

	if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return err_set(err, errno, "qmail's queue %s lacks the directory %s, for which qmail-send would wait for ever",
		    layout->root, path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, 0, "%s/%s is no directory", layout->root, path);
	if (place->uid != QUEUE_ID_ANY && st.st_uid != place->uid)
		return err_set(err, 0, "%s/%s belongs to uid %u; %u is right here: was the queue made on a node with other "
		    "numbers for qmail's accounts?", layout->root, path, (unsigned int)st.st_uid, place->uid);
	return true;
}

/* Locks are never made here: a missing one is mended by who checks the queue. */
static bool
lock_fits(int root, const struct queue_layout *layout, const char *path, mode_t type, mode_t mode, struct err *err)
{
	struct stat st;

	if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return err_set(err, errno, "qmail's queue %s lacks %s; \"mailpair queue check --repair\" makes it", layout->root,
		    path);
	if ((st.st_mode & S_IFMT) != type || (st.st_mode & mode) != mode)
		return err_set(err, 0, "%s/%s is no %s that qmail can use; \"mailpair queue check --repair\" mends it",
		    layout->root, path, type == S_IFIFO ? "FIFO" : "file");
	return true;
}

static bool
place_fits(int root, const struct queue_layout *layout, const struct queue_place *place, struct err *err)
{
	char path[64];
	bool ok = directory_fits(root, layout, place, place->path[0] == '\0' ? "." : place->path, err);

	for (uint32_t n = 0; ok && place->subs_required && n < layout->split; n++) {
		snprintf(path, sizeof path, "%.40s/%" PRIu32, place->path, n);
		ok = directory_fits(root, layout, place, path, err);
	}
	return ok;
}

bool
qmail_queue_startable(const struct queue_layout *layout, struct err *err)
{
	int root = open(layout->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = true;

	if (root == -1)
		return err_set(err, errno, "cannot open qmail's queue %s", layout->root);
	if (layout->built_split != 0 && layout->built_split != layout->split)
		ok = err_set(err, 0, "qmail's queue %s has %" PRIu32 " sub-directories, but the programs here were built for %" PRIu32
		    " (conf-split): they would not find the mail in it", layout->root, layout->split, layout->built_split);
	for (size_t i = 0; ok && i < layout->places; i++)
		ok = !layout->place[i].required || place_fits(root, layout, &layout->place[i], err);
	ok = ok && lock_fits(root, layout, "lock/sendmutex", S_IFREG, S_IRUSR | S_IWUSR, err) &&
	    lock_fits(root, layout, "lock/trigger", S_IFIFO, S_IWUSR | S_IWGRP | S_IWOTH, err);
	close(root);
	return ok;
}

/* ---------------------------------------------------------------- counting */

struct numbers { uint64_t *at; size_t len, room; };

static bool
number_add(struct numbers *list, uint64_t number)
{
	if (list->len == list->room) {
		size_t room = list->room == 0 ? 1024 : 2 * list->room;
		uint64_t *at = reallocarray(list->at, room, sizeof *at);

		if (at == NULL)
			return false;
		list->at = at;
		list->room = room;
	}
	list->at[list->len++] = number;
	return true;
}

static bool
numbers_in(int root, const char *path, struct numbers *list, struct err *err)
{
	DIR *dir = open_directory(root, path);
	struct dirent *entry;
	uint64_t number;
	bool ok = true;

	if (dir == NULL)
		return err_set(err, errno, "cannot read qmail's queue, %s", path);
	while (ok && (errno = 0, entry = readdir(dir)) != NULL)
		if (entry->d_type != DT_DIR && qmail_number_parse(entry->d_name, strlen(entry->d_name), &number))
			ok = number_add(list, number) || err_set(err, 0, "out of memory");
	if (ok && errno != 0)
		ok = err_set(err, errno, "cannot read qmail's queue, %s", path);
	closedir(dir);
	return ok;
}

static bool
numbers_of(int root, const char *place, uint32_t split, struct numbers *list, struct err *err)
{
	char path[32];

	if (split == 0)
		return numbers_in(root, place, list, err);
	for (uint32_t n = 0; n < split; n++) {
		snprintf(path, sizeof path, "%s/%" PRIu32, place, n);
		if (!numbers_in(root, path, list, err))
			return false;
	}
	return true;
}

static int
order(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

bool
qmail_queue_count(const struct queue_layout *layout, struct mta_queue_counts *ret, struct err *err)
{
	struct mta_queue_counts counts = { 0 };
	struct numbers todo = { 0 }, info = { 0 };
	int root = open(layout->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok;

	if (root == -1)
		return err_set(err, errno, "cannot open qmail's queue %s", layout->root);
	ok = numbers_of(root, "todo", layout->big_todo ? layout->split : 0, &todo, err) &&
	    numbers_of(root, "info", layout->split, &info, err);
	if (ok) {
		if (todo.len != 0)
			qsort(todo.at, todo.len, sizeof *todo.at, order);
		/* being preprocessed: both are there, and it is one message */
		for (size_t i = 0; i < info.len; i++)
			counts.deferred += todo.len == 0 || bsearch(&info.at[i], todo.at, todo.len, sizeof *todo.at, order) == NULL;
		counts.incoming = todo.len;
		counts.total = counts.incoming + counts.deferred;
		*ret = counts;
	}
	free(todo.at);
	free(info.at);
	close(root);
	return ok;
}
