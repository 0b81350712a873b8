/*
 * mta/postfix_queue.c - walks the directories of a Postfix queue. Runs in a worker; blocks in
 * readdir(3), in memory that does not grow with the queue.
 *
 * Before a start Postfix has "postsuper" compare each file's name with its inode number. Directory
 * entries carry the inode number, so the same is told here without one stat(2) for each file. What
 * is found wrong is for postsuper to mend: names are never changed here.
 */
#include "mta/postfix_queue.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"

#define HASH_MAX 8
#define SHORT_USEC 5		/* a short id begins with so many hex digits of microseconds */
#define LONG_TIME 10		/* a long one with so many of seconds and microseconds */

struct walk {
	uint64_t	 deadline_ms;
	const char	*queue;			/* "deferred" */
	char		 at[HASH_MAX + 1];	/* letters of the directories we are in */
	size_t		 steps;
	uint64_t	 files;
	/* names are checked when set */
	bool		 check, message, long_ids, wrong;
	int		 depth;
	struct err	*err;
};

static bool
legal_name(const char *name)
{
	for (const char *p = name; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && *p != '_')
			return false;
	return name[0] != '\0' && name[1] != '\0';
}

static const char *
long_separator(const char *name)
{
	const char *z = strrchr(name, 'z');

	return z != NULL && z - name >= LONG_TIME ? z : NULL;
}

/* The microseconds of a long id as the five hex digits a short one would begin with. */
static void
usec_as_hex(const char *separator, char buf[16])
{
	static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
	unsigned int usec = 0;

	for (const char *p = separator - 4; p < separator; p++) {
		const char *digit = strchr(digits, *p);

		if (digit == NULL) {
			usec = 0;
			break;
		}
		usec = usec * 52 + (unsigned int)(digit - digits);
	}
	snprintf(buf, 16, "%05X", usec);
}

bool
postfix_name_is_wrong(const char *name, uint64_t inode, bool long_ids, bool message, int depth,
    const char *at)
{
	const char *separator, *hash = name;
	char hex[16], *rest;

	if (strlen(name) > 4 && strcmp(name + strlen(name) - 4, "#FIX") == 0)
		return true;		/* postsuper was interrupted */
	if (!legal_name(name))
		return false;		/* being written, or not a queue file: Postfix ignores it */
	separator = long_separator(name);
	if (message && separator != NULL && !long_ids)
		return true;
	if (message && separator == NULL) {
		unsigned long long number;

		if (strlen(name) <= SHORT_USEC)
			return false;
		errno = 0;
		number = strtoull(name + SHORT_USEC, &rest, 16);
		if (*rest != '\0' || errno != 0)
			return false;
		if (number != (unsigned long long)inode)
			return true;
	}
	if (separator != NULL) {
		usec_as_hex(separator, hex);
		hash = hex;
	}
	if (depth < 0 || depth > HASH_MAX || strlen(at) != (size_t)depth)
		return true;
	for (int i = 0; i < depth; i++) {
		char want = *hash != '\0' ? *hash++ : '_';

		if (at[i] != want)
			return true;
	}
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
		walk->files += legal_name(entry->d_name);
		return;
	}
	if (walk->wrong || !postfix_name_is_wrong(entry->d_name, (uint64_t)entry->d_ino,
	    walk->long_ids, walk->message, walk->depth, walk->at))
		return;
	if (fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1 || !S_ISREG(st.st_mode))
		return;
	if (!postfix_name_is_wrong(entry->d_name, (uint64_t)st.st_ino, walk->long_ids, walk->message,
	    walk->depth, walk->at))
		return;
	walk->wrong = true;
	err_set(walk->err, 0, "%s/%s%s%s does not stand under its right name", walk->queue, walk->at,
	    walk->at[0] != '\0' ? "/.../" : "", entry->d_name);
}

static bool
walk_dir(struct walk *walk, int parent, const char *name, size_t level)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	bool ok = true;
	DIR *dir;

	if (fd == -1)		/* hash directories come and go; a file may have a short name */
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ||
		    err_set(walk->err, errno, "cannot read Postfix's queue %s", walk->queue);
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return err_set(walk->err, errno, "cannot read Postfix's queue %s", walk->queue);
	}
	while (ok && (errno = 0, entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (++walk->steps % 4096 == 0 && clock_mono_ms() > walk->deadline_ms) {
			ok = err_set(walk->err, 0, "Postfix's queue %s was not read in time",
			    walk->queue);
		} else if (entry->d_name[1] == '\0' && level < HASH_MAX) {
			walk->at[level] = entry->d_name[0];
			walk->at[level + 1] = '\0';
			ok = walk_dir(walk, dirfd(dir), entry->d_name, level + 1);
			walk->at[level] = '\0';
		} else {
			walk_entry(walk, dirfd(dir), entry);
		}
	}
	if (ok && errno != 0)
		ok = err_set(walk->err, errno, "cannot read Postfix's queue %s", walk->queue);
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
postfix_queue_named_well(const struct postfix_conf *conf, uint64_t deadline_ms, struct err *err)
{
	/*
	 * those that postsuper goes through; logs have the name of their message, not of their
	 * inode
	 */
	static const struct { const char *name; bool message; } queue[] = {
		{ "bounce", false }, { "defer", false }, { "trace", false }, { "maildrop", true },
		{ "incoming", true }, { "active", true }, { "deferred", true }, { "hold", true },
	};
	enum fact fact = FACT_YES;
	int fd = open_queue(conf, err);

	if (fd == -1)
		return FACT_UNKNOWN;
	for (size_t i = 0; fact == FACT_YES && i < sizeof queue / sizeof queue[0]; i++) {
		struct walk walk = {
			.deadline_ms = deadline_ms, .queue = queue[i].name, .err = err,
			.check = true, .message = queue[i].message,
			.depth = postfix_conf_hash_depth(conf, queue[i].name),
			.long_ids = strcmp(conf->value[PF_LONG_IDS], "yes") == 0,
		};

		if (!walk_dir(&walk, fd, queue[i].name, 0))
			fact = FACT_UNKNOWN;
		else if (walk.wrong)
			fact = FACT_NO;
	}
	close(fd);
	return fact;
}
