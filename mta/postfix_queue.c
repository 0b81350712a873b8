/*
 * mta/postfix_queue.c - walks the directories of a Postfix queue. Runs in a worker; blocks in
 * readdir(3), in memory that does not grow with the queue.
 *
 * Before a start Postfix has "postsuper" compare each file's name with its inode number. Directory
 * entries carry the inode number, so the same is told here without one stat(2) for each file. Directories that
 * mailpair-queue has just checked (mta/queue_note.h) are not read again. Names are never changed here.
 */
#include "mta/postfix_queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "mta/postfix_id.h"
#include "mta/queue_note.h"

#define LEVELS_MAX 8		/* of directories with one-character names */

struct walk {
	uint64_t	 deadline_ms;
	const char	*queue;			/* "deferred" */
	char		 at[LEVELS_MAX + 1];	/* letters of the directories we are in */
	size_t		 steps;
	uint64_t	 files;
	/* names are checked when set */
	bool		 check, message, unfinished, wrong;	/* unfinished: files may be */
	int		 depth;
	const struct queue_note *note;		/* directories that need not be read again, or NULL */
	struct err	*err;
};

/* As postsuper, but for long names where new ones are to be short: those do no harm, and stay. */
bool
postfix_name_is_wrong(const char *name, uint64_t inode, bool message, int depth, const char *at)
{
	char want[POSTFIX_SUB_SIZE];
	uint64_t claimed;
	bool is_long;

	if (strlen(name) > 4 && strcmp(name + strlen(name) - 4, "#FIX") == 0)
		return true;		/* postsuper was interrupted */
	if (!postfix_name_legal(name))
		return false;		/* being written, or not a queue file: Postfix ignores it */
	if (message) {
		if (!postfix_name_inode(name, &is_long, &claimed))
			return false;
		if (!is_long && claimed != inode)
			return true;
	}
	if (depth < 0 || depth > POSTFIX_DEPTH_MAX || strlen(at) != (size_t)depth)
		return true;
	postfix_name_hash(name, (uint32_t)depth, want);
	for (int i = 0; i < depth; i++)
		if (at[i] != want[2 * i])
			return true;
	return false;
}

/*
 * One entry. A mismatch is confirmed by stat(2): some file systems give other numbers in
 * readdir(3).
 */
static void
walk_entry(struct walk *walk, int dir, const struct dirent *entry)
{
	struct stat st;

	if (!walk->check) {
		walk->files += postfix_name_legal(entry->d_name);
		return;
	}
	if (walk->wrong || !postfix_name_is_wrong(entry->d_name, (uint64_t)entry->d_ino, walk->message, walk->depth,
	    walk->at))
		return;
	if (fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1 || !S_ISREG(st.st_mode))
		return;
	/* what is still being written was not acknowledged, and mailpair-queue leaves it alone */
	if (walk->unfinished && (st.st_mode & S_IRWXU) != S_IRWXU && strchr(entry->d_name, '#') == NULL)
		return;
	if (!postfix_name_is_wrong(entry->d_name, (uint64_t)st.st_ino, walk->message, walk->depth, walk->at))
		return;
	walk->wrong = true;
	err_set(walk->err, 0, "%s/%s%s%s does not stand under its right name", walk->queue, walk->at,
	    walk->at[0] != '\0' ? "/.../" : "", entry->d_name);
}

static bool walk_dir(struct walk *, int parent, const char *name, size_t level);

static bool
walk_below(struct walk *walk, int parent, const char *name, size_t level)
{
	bool ok;

	walk->at[level] = name[0];
	walk->at[level + 1] = '\0';
	ok = walk_dir(walk, parent, name, level + 1);
	walk->at[level] = '\0';
	return ok;
}

/* "deferred/A/B" */
static void
walk_path(const struct walk *walk, char *buf, size_t size)
{
	size_t len = (size_t)snprintf(buf, size, "%s", walk->queue);

	for (const char *c = walk->at; *c != '\0' && len + 3 < size; c++) {
		buf[len++] = '/';
		buf[len++] = *c;
		buf[len] = '\0';
	}
}

/* As it was when a check read it: then so are its names, and its sub-directories are those that were noted. */
static bool
walk_noted(struct walk *walk, int fd, size_t level, bool *ret_noted)
{
	char path[64];
	struct stat st;
	size_t len;
	bool ok = true;

	walk_path(walk, path, sizeof path);
	len = strlen(path);
	*ret_noted = walk->note != NULL && fstat(fd, &st) == 0 && queue_note_same(walk->note, path, &st);
	for (size_t i = 0; ok && *ret_noted && level < LEVELS_MAX && i < walk->note->dirs; i++) {
		const char *below = walk->note->dir[i].path;

		if (strncmp(below, path, len) == 0 && below[len] == '/' && below[len + 1] != '\0' && below[len + 2] == '\0')
			ok = walk_below(walk, fd, below + len + 1, level);
	}
	return ok;
}

static bool
walk_entries(struct walk *walk, DIR *dir, size_t level)
{
	struct dirent *entry;
	bool ok = true;

	while (ok && (errno = 0, entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (++walk->steps % 4096 == 0 && clock_mono_ms() > walk->deadline_ms)
			ok = err_set(walk->err, 0, "Postfix's queue %s was not read in time", walk->queue);
		else if (entry->d_name[1] == '\0' && level < LEVELS_MAX)
			ok = walk_below(walk, dirfd(dir), entry->d_name, level);
		else
			walk_entry(walk, dirfd(dir), entry);
	}
	if (ok && errno != 0)
		ok = err_set(walk->err, errno, "cannot read Postfix's queue %s", walk->queue);
	return ok;
}

static bool
walk_dir(struct walk *walk, int parent, const char *name, size_t level)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool ok, noted;
	DIR *dir;

	if (fd == -1)		/* hash directories come and go; a file may have a short name */
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ||
		    err_set(walk->err, errno, "cannot read Postfix's queue %s", walk->queue);
	ok = walk_noted(walk, fd, level, &noted);
	if (noted || !ok) {
		close(fd);
		return ok;
	}
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return err_set(walk->err, errno, "cannot read Postfix's queue %s", walk->queue);
	}
	ok = walk_entries(walk, dir, level);
	closedir(dir);
	return ok;
}

static int
open_queue(const struct postfix_conf *conf, struct err *err)
{
	int fd = open(conf->value[PF_QUEUE_DIR], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		err_set(err, errno, "cannot open Postfix's queue directory %s",
		    conf->value[PF_QUEUE_DIR]);
	return fd;
}

bool
postfix_queue_count(const struct postfix_conf *conf, struct mta_queue_counts *ret, struct err *err)
{
	struct mta_queue_counts counts = { 0 };
	const struct { const char *name; uint64_t *count; } queue[] = {
		{ "incoming", &counts.incoming }, { "active", &counts.active },
		{ "deferred", &counts.deferred }, { "hold", &counts.hold },
		{ "maildrop", &counts.maildrop }, { "corrupt", &counts.corrupt },
	};
	int fd = open_queue(conf, err);
	bool ok = fd != -1;

	for (size_t i = 0; ok && i < sizeof queue / sizeof queue[0]; i++) {
		struct walk walk = { .queue = queue[i].name, .err = err, .deadline_ms = UINT64_MAX };

		ok = walk_dir(&walk, fd, queue[i].name, 0);
		*queue[i].count = walk.files;
	}
	if (fd != -1)
		close(fd);
	if (!ok)
		return false;
	counts.total = counts.incoming + counts.active + counts.deferred + counts.hold +
	    counts.maildrop;
	*ret = counts;
	return true;
}

enum fact
postfix_queue_named_well(const struct postfix_conf *conf, const char *run_dir, uint64_t deadline_ms, struct err *err)
{
	/*
	 * those that postsuper goes through; logs have the name of their message, not of their
	 * inode
	 */
	static const struct { const char *name; bool message, unfinished; } queue[] = {
		{ "bounce", false, false }, { "defer", false, false }, { "trace", false, false }, { "maildrop", true, true },
		{ "incoming", true, true }, { "active", true, false }, { "deferred", true, false }, { "hold", true, false },
	};
	enum fact fact = FACT_YES;
	struct queue_note note;
	int fd = open_queue(conf, err);

	if (fd == -1)
		return FACT_UNKNOWN;
	queue_note_read(run_dir, conf->value[PF_QUEUE_DIR], &note);
	for (size_t i = 0; fact == FACT_YES && i < sizeof queue / sizeof queue[0]; i++) {
		struct walk walk = {
			.deadline_ms = deadline_ms, .queue = queue[i].name, .err = err,
			.check = true, .message = queue[i].message, .unfinished = queue[i].unfinished,
			.depth = postfix_conf_hash_depth(conf, queue[i].name), .note = &note,
		};

		if (!walk_dir(&walk, fd, queue[i].name, 0))
			fact = FACT_UNKNOWN;
		else if (walk.wrong)
			fact = FACT_NO;
	}
	queue_note_free(&note);
	close(fd);
	return fact;
}
