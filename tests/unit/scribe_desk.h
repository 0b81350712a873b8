/*
 * tests/unit/scribe_desk.h - a scribe with its real children, in a directory of its own, for the tests that stop, kill and lock.
 */
#ifndef TESTS_UNIT_SCRIBE_DESK_H
#define TESTS_UNIT_SCRIBE_DESK_H

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/scribe.h"
#include "tests/unit/harness.h"

#define LOG "log"
#define DB "state/journal.db"

static struct err err;

static inline struct conf
conf_of(const char *log)
{
	return (struct conf){ .log = log, .state_dir = "state" };
}

static inline void
stop(void *arg)
{
	loop_stop(arg);
}

static inline void
run_for(struct loop *loop, uint64_t ms)
{
	struct loop_timer *t = loop_timer_new(loop, stop, loop);

	loop_timer_in(t, ms);
	loop_run(loop);
	loop_timer_free(t);
}

/* The n-th child, as they were made; 0: there are not so many. */
static inline pid_t
child_number(int number)
{
	char path[64], buf[128] = "", *at = buf;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	ck_assert_ptr_nonnull(f = fopen(path, "r"));
	buf[fread(buf, 1, sizeof(buf) - 1, f)] = '\0';
	fclose(f);
	while (number-- > 0)
		strtol(at, &at, 10);
	return (pid_t)strtol(at, NULL, 10);
}

/* The only one. */
static inline pid_t
child(void)
{
	ck_assert_int_eq(child_number(1), 0);
	return child_number(0);
}

/* Lines of a file that hold this text. */
static inline int
lines(const char *path, const char *text)
{
	char line[2048];
	FILE *f = fopen(path, "r");
	int n = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, text) != NULL;
	if (f != NULL)
		fclose(f);
	return n;
}

/* Run the loop until so many lines are there. */
static inline void
await_lines(struct loop *loop, const char *path, const char *text, int n)
{
	for (int i = 0; i < 500 && lines(path, text) < n; i++)
		run_for(loop, 10);
	ck_assert_int_eq(lines(path, text), n);
}

static inline bool
count(void *arg, const struct journal_event *e)
{
	(void)e;
	++*(int *)arg;
	return true;
}

static inline int
events(void)
{
	struct journal *j;
	int n = 0;

	if (!journal_open(DB, false, &j, NULL, &err))
		return 0;
	ck_assert(journal_walk(j, ~0u, 100000, count, &n, &err));
	journal_close(j);
	return n;
}

static inline void
await_events(struct loop *loop, int n)
{
	for (int i = 0; i < 300 && events() < n; i++)
		run_for(loop, 20);
	ck_assert_int_eq(events(), n);
}

static const struct journal_event step = { .kind = JOURNAL_STEP, .name = "mount", .ok = true };

static inline void
clean(void)
{
	static const char *const patterns[] = { LOG "*", DB "*", "other" };

	for (size_t p = 0; p < 3; p++) {
		glob_t g = { 0 };

		glob(patterns[p], 0, NULL, &g);
		for (size_t i = 0; i < g.gl_pathc; i++)
			unlink(g.gl_pathv[i]);
		globfree(&g);
	}
}

struct desk {
	struct loop	*loop;
	struct conf	 conf;
	struct scribe	*scribe;
	int		 told[SCRIBE_RENEWED + 1];
	char		 text[1024];		/* of what was told last */
};

static inline void
told(void *arg, enum scribe_news news, const char *text)
{
	struct desk *d = arg;

	d->told[news]++;
	snprintf(d->text, sizeof(d->text), "%s", text);
}

static inline uint64_t
dropped(const struct desk *d, enum scribe_pen pen)
{
	struct scribe_health h;

	scribe_health(d->scribe, pen, 0, &h);
	return h.dropped;
}

static inline uint64_t
waiting_ms(const struct desk *d, enum scribe_pen pen, uint64_t later_ms)
{
	struct scribe_health h;

	scribe_health(d->scribe, pen, clock_mono_ms() + later_ms, &h);
	return h.waiting_ms;
}

static inline void
desk_open(struct desk *d)
{
	clean();
	*d = (struct desk){ .loop = loop_new(), .conf = conf_of(LOG) };
	d->scribe = scribe_new(d->loop, &d->conf, told, d);
}

static inline void
desk_close(struct desk *d)
{
	scribe_free(d->scribe);
	run_for(d->loop, 50);		/* children released earlier are reaped */
	loop_free(d->loop);
}

/* Runs the tests in a directory that is gone afterwards. */
static inline int
at_desk(Suite *s)
{
	char dir[UNIT_DIR_MAX];
	int failed;

	if (!unit_dir(dir, "test_scribe") || chdir(dir) == -1 || mkdir("state", 0750) == -1)
		return 1;
	failed = unit_main(s);
	clean();
	if (rmdir("state") == -1 || chdir("/") == -1 || rmdir(dir) == -1)
		return 1;
	return failed;
}

#endif
