/*
 * tests/unit/journal_box.h - journals in a directory of their own, which others lock, cut and damage.
 */
#ifndef TESTS_UNIT_JOURNAL_BOX_H
#define TESTS_UNIT_JOURNAL_BOX_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/journal.h"
#include "tests/unit/harness.h"

#define DB "journal.db"

static struct err err;

/* How many files match; they are removed on request. */
static inline size_t
matching(const char *pattern, bool removed)
{
	glob_t g = { 0 };
	size_t n;

	glob(pattern, 0, NULL, &g);
	for (size_t i = 0; removed && i < g.gl_pathc; i++)
		unlink(g.gl_pathv[i]);
	n = g.gl_pathc;
	globfree(&g);
	return n;
}

/* Every test begins without a database. */
static inline void
clean(void)
{
	matching(DB "*", true);
}

static inline struct journal *
must_open(bool write)
{
	struct journal *j = NULL;

	ck_assert_msg(journal_open(DB, write, &j, NULL, &err), "%s", err.text);
	return j;
}

static inline struct journal_event
event(enum journal_kind kind, uint64_t wall_ms, const char *name)
{
	struct journal_event e = { .kind = kind, .wall_ms = wall_ms, .tenure = 3, .took_ms = 40, .ok = true,
		.from = "mx1", .to = "mx2", .text = "peer is certainly off" };

	snprintf(e.name, sizeof(e.name), "%s", name);
	return e;
}

static inline void
must_add(struct journal *j, const struct journal_event *e)
{
	ck_assert_msg(journal_add(j, e, &err), "%s", err.text);
}

struct list {
	int			len, most;
	struct journal_event	e[8];
};

static inline bool
collect(void *arg, const struct journal_event *e)
{
	struct list *l = arg;

	if (l->len < 8)
		l->e[l->len] = *e;
	return ++l->len != l->most;
}

static inline struct list
walk(struct journal *j, unsigned int kinds, size_t n)
{
	struct list l = { 0 };

	ck_assert_msg(journal_walk(j, kinds, n, collect, &l, &err), "%s", err.text);
	return l;
}

/* Member by member: there are gaps between them. */
static inline bool
same(const struct journal_event *a, const struct journal_event *b)
{
	return a->kind == b->kind && a->wall_ms == b->wall_ms && a->tenure == b->tenure &&
	    a->transition == b->transition && a->took_ms == b->took_ms && a->ok == b->ok &&
	    strcmp(a->name, b->name) == 0 && strcmp(a->from, b->from) == 0 &&
	    strcmp(a->to, b->to) == 0 && strcmp(a->text, b->text) == 0;
}

#define ALL ((1u << JOURNAL_KIND_COUNT) - 1)

/* Holds the database for ms, after it has said so. */
static inline pid_t
locker(uint64_t ms)
{
	int fd[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	if ((pid = fork()) == 0) {
		struct journal *j = must_open(true);
		uint64_t until;

		journal_begin(j, &err);
		until = clock_mono_ms() + ms;
		if (write(fd[1], "x", 1) != 1)
			_exit(1);
		while (clock_mono_ms() < until)
			sched_yield();
		journal_end(j, &err);
		_exit(0);
	}
	ck_assert_int_eq(read(fd[0], &byte, 1), 1);
	close(fd[0]);
	close(fd[1]);
	return pid;
}

static inline void
overwrite(off_t at, size_t len)
{
	char junk[65536];
	int fd = open(DB, O_WRONLY);

	memset(junk, 0x5a, sizeof(junk));
	ck_assert_int_eq(pwrite(fd, junk, len, at), (ssize_t)len);
	close(fd);
}

/* Done to the database by somebody at a shell. */
static inline void
by_hand(const char *sql)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execlp("python3", "python3", "-c", "import sqlite3, sys\ndb = sqlite3.connect('" DB "')\n"
		    "db.executescript(sys.argv[1])\ndb.commit()", sql, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
}

/* Runs the tests in a directory that is gone afterwards. */
static inline int
boxed(Suite *s)
{
	char dir[UNIT_DIR_MAX];
	int failed;

	if (!unit_dir(dir, "test_journal") || chdir(dir) == -1)
		return 1;
	failed = unit_main(s);
	clean();
	if (chdir("/") == -1 || rmdir(dir) == -1)
		return 1;
	return failed;
}

#endif
