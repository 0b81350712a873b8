/*
 * tests/unit/watch_bed.h - a real directory that is watched, and what was told of it.
 */
#ifndef TESTS_UNIT_WATCH_BED_H
#define TESTS_UNIT_WATCH_BED_H

#include <signal.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "configsync/arena.h"
#include "configsync/scan_paths.h"
#include "configsync/watch.h"
#include "tests/unit/config_box.h"

#define BED_WAIT_MS 10000

struct bed {
	struct config_box	 box;
	struct loop		*loop;
	struct loop_timer	*late;
	struct watch		*watch;
	struct scan_path	*told;		/* texts are malloc'd */
	size_t			 len, room;
	unsigned int		 alls, states, ends, tolds, turns, begins;	/* turns: ends of what is told at once; begins: of a file's writing */
	size_t			 said;		/* len at the last of them */
	size_t			 directories;
	char			 why[WATCH_TEXT_MAX], blind[WATCH_TEXT_MAX], end[WATCH_TEXT_MAX];
	const char		*wait;		/* for this path; or */
	unsigned int		*count, least;	/* for this number */
	uint64_t		 at_us;		/* when path was told */
};

static inline void
bed_check(struct bed *b)
{
	if (b->count != NULL && *b->count >= b->least)
		loop_stop(b->loop);
}

static inline void
bed_changed(void *arg, const char *path, bool below)
{
	struct bed *b = arg;

	if (b->len == b->room) {
		b->room = b->room == 0 ? 64 : 2 * b->room;
		b->told = need(reallocarray(b->told, b->room, sizeof *b->told));
	}
	b->told[b->len++] = (struct scan_path){ need(strdup(path)), below };
	if (b->wait != NULL && (strcmp(b->wait, path) == 0 || (below && (*path == '\0' || entry_path_within(b->wait, path))))) {
		b->at_us = clock_mono_us();
		loop_stop(b->loop);
	}
	b->tolds++;
	bed_check(b);
}

static inline void
bed_turn(void *arg)
{
	struct bed *b = arg;

	b->turns++;
	b->said = b->len;
}

static inline void
bed_begun(void *arg)
{
	struct bed *b = arg;

	b->begins++;
	bed_check(b);
}

static inline void
bed_all(void *arg, const char *why)
{
	struct bed *b = arg;

	snprintf(b->why, sizeof b->why, "%s", why);
	b->alls++;
	bed_changed(b, "", true);
}

static inline void
bed_watching(void *arg, size_t directories, const char *blind)
{
	struct bed *b = arg;

	b->directories = directories;
	snprintf(b->blind, sizeof b->blind, "%s", blind);
	b->states++;
	bed_check(b);
}

static inline void
bed_ended(void *arg, const char *why)
{
	struct bed *b = arg;

	snprintf(b->end, sizeof b->end, "%s", why);
	ck_assert_msg(b->count == &b->ends, "%s", why);
	b->ends++;
	bed_check(b);
}

static inline void
bed_late(void *arg)
{
	struct bed *b = arg;

	ck_abort_msg("not told within %u ms: %s", BED_WAIT_MS, b->wait != NULL ? b->wait : "a count");
}

static inline void
bed_forget(struct bed *b)
{
	while (b->len > 0)
		free((char *)(uintptr_t)b->told[--b->len].path);
}

static inline void
bed_run(struct bed *b)
{
	loop_timer_in(b->late, BED_WAIT_MS);
	loop_run(b->loop);
	loop_timer_cancel(b->late);
	b->wait = NULL;
	b->count = NULL;
}

/* Until path was told, or everything it stands in. */
static inline void
bed_until(struct bed *b, const char *path)
{
	b->wait = path;
	for (size_t i = 0; i < b->len; i++) {
		if (strcmp(b->told[i].path, path) == 0 || (b->told[i].below && (b->told[i].path[0] == '\0' || entry_path_within(path, b->told[i].path))))
			return;
	}
	bed_run(b);
}

static inline void
bed_count(struct bed *b, unsigned int *count, unsigned int least)
{
	b->count = count;
	b->least = least;
	if (*count < least)
		bed_run(b);
	b->count = NULL;
}

/* All that was done until now has been told: the kernel's queue is in order, and a packet is heard as a whole. */
static inline void
bed_marker(struct bed *b)
{
	static unsigned int n;
	char path[32];

	snprintf(path, sizeof path, "t/marker%u", n++);
	box_write(&b->box, path, "");
	bed_until(b, path);
	unlinkat(b->box.root, path, 0);
}

/* Likewise, and of files that were not closed. */
static inline void
bed_linger(struct bed *b)
{
	int fd = openat(b->box.root, "t/lingers", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	ck_assert_int_eq(write(fd, "x", 1), 1);
	bed_until(b, "t/lingers");
	close(fd);
}

static inline bool
bed_told(const struct bed *b, const char *path, bool below)
{
	for (size_t i = 0; i < b->len; i++) {
		if (b->told[i].below == below && strcmp(b->told[i].path, path) == 0)
			return true;
	}
	return false;
}

static inline void
bed_watch(struct bed *b, struct watch_setup setup)
{
	static const struct watch_calls calls = { bed_changed, bed_turn, bed_begun, bed_all, bed_watching, bed_ended };
	struct err err;

	setup.root = b->box.root;
	setup.scope = b->box.scope;
	b->watch = watch_start(b->loop, &setup, &calls, b, &err);
	ck_assert_msg(b->watch != NULL, "%s", err.text);
}

static inline void
bed_open(struct bed *b, const struct scope_rules *rules)
{
	*b = (struct bed){ .loop = loop_new() };
	box_open(&b->box, rules);
	b->late = loop_timer_new(b->loop, bed_late, b);
}

static inline void
bed_start(struct bed *b)
{
	unsigned int before = b->states;

	bed_watch(b, (struct watch_setup){ .linger_ms = 300 });
	bed_count(b, &b->states, before + 1);
	bed_forget(b);
}

static inline void
bed_close(struct bed *b)
{
	pid_t pid = watch_pid(b->watch);

	if (pid != -1) {		/* so that it is reaped here, and not by a loop that is gone */
		kill(pid, SIGKILL);
		bed_count(b, &b->ends, b->ends + 1);
	}
	watch_free(b->watch);
	bed_forget(b);
	free(b->told);
	loop_timer_free(b->late);
	loop_free(b->loop);
	box_close(&b->box);
}

#endif
