/*
 * common/spawn.c - children with a deadline: workers (forked functions) and commands (programs).
 *
 * The asynchronous half runs in the supervisor's main process and never blocks: the end of a child
 * is an event on its pidfd, its output comes through non-blocking pipes. spawn_run() is for use
 * inside a worker and blocks until its deadline at most. What the child does is up to the caller.
 *
 * The result is complete when the child itself has ended: a daemon it left behind may keep the
 * pipes open for ever and must not hold the answer back.
 */
#include "common/spawn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/spawn_kid.h"

#define REAP_MS 200	/* spawn_run() waits so long for what it has killed */

struct spawn {
	struct loop		*loop;
	char			 name[48];
	bool			 worker;
	bool			 alone;		/* done() waits for its real end */
	bool			 late;		/* ... which was ordered at the deadline */
	bool			 lost;		/* done() was called or forgotten: only to be reaped */
	bool			 calling;	/* within done() */
	struct kid		 kid;
	struct loop_io		*io[KID_CHANNEL_COUNT], *ended;
	struct loop_timer	*deadline;
	struct kid_text		 text[KID_CHANNEL_COUNT];
	spawn_progress_f	*progress;	/* NULL: the deadline stands */
	struct err		 failed;	/* why it could not be started */
	uint64_t		 began_ms;
	uint32_t		 deadline_ms;
	spawn_done_f		*done;
	void			*arg;
};

const char *
spawn_get(const char *report, const char *key, char *buf, size_t size)
{
	size_t key_len = strlen(key), len;

	for (const char *line = report; *line != '\0'; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		if (len <= key_len || strncmp(line, key, key_len) != 0 || line[key_len] != ' ')
			continue;
		snprintf(buf, size, "%.*s", (int)(len - key_len - 1), line + key_len + 1);
		return buf;
	}
	return NULL;
}

/* What it means: fills end, code and err. */
static void
result_judge(struct spawn_result *r, const struct kid *kid, const siginfo_t *si, const char *name,
    bool worker)
{
	if (kid_said_failed(kid, &r->err)) {
		r->end = worker && si->si_code == CLD_EXITED && si->si_status == 1 ? SPAWN_EXITED :
		    SPAWN_FAILED;
		r->code = si->si_status;
	} else if (si->si_code == CLD_EXITED) {
		r->end = SPAWN_EXITED;
		r->code = si->si_status;
		if (worker && r->code != 0)
			err_set(&r->err, 0, "%s: ended with status %d and no account", name, r->code);
	} else if (si->si_code == 0) {
		r->end = SPAWN_FAILED;
		err_set(&r->err, 0, "%s: its exit status was lost", name);
	} else {
		r->end = SPAWN_SIGNALED;
		r->code = si->si_status;
		err_set(&r->err, 0, "%s: killed by signal %d (%s)", name, r->code, strsignal(r->code));
	}
}

static void
result_late(struct spawn_result *r, const struct spawn *s)
{
	r->end = SPAWN_TIMEOUT;
	err_set(&r->err, 0, "%s: not finished after %u ms", s->name, s->deadline_ms);
}

/* ---------------------------------------------------------------- asynchronous */

static void
channels_close(struct spawn *s)
{
	for (int ch = 0; ch < KID_CHANNEL_COUNT; ch++) {
		loop_io_free(s->io[ch]);
		s->io[ch] = NULL;
		free(s->text[ch].bytes);
		s->text[ch] = (struct kid_text){ 0 };
	}
	kid_close(s->kid.fd, KID_CHANNEL_COUNT);
	loop_timer_free(s->deadline);
	s->deadline = NULL;
}

static void
spawn_free(struct spawn *s)
{
	channels_close(s);
	loop_io_free(s->ended);
	if (s->kid.pidfd != -1)
		close(s->kid.pidfd);
	free(s);
}

static void
spawn_tell(struct spawn *s, struct spawn_result *r)
{
	uint64_t took = clock_mono_ms() - s->began_ms;

	r->took_ms = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
	r->out = kid_text(&s->text[KID_OUT]);
	r->errout = s->worker ? "" : kid_text(&s->text[KID_ERR]);
	s->calling = true;
	s->done(s->arg, r);
	s->calling = false;
}

/* A worker has nothing to say there; what comes is from a library or a sanitizer: worth a line. */
static void
worker_stderr_log(const struct spawn *s)
{
	const char *text = kid_text(&s->text[KID_ERR]);

	for (size_t len; *text != '\0'; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (len != 0)
			log_warnx("%s: %.*s", s->name, (int)len, text);
	}
}

/* What it says of its progress puts the deadline off. */
static void
progress_take(struct spawn *s)
{
	char text[KID_PROGRESS_MAX];

	if (s->progress == NULL || !kid_progress(&s->text[KID_OUT], text, sizeof(text)))
		return;
	loop_timer_at(s->deadline, clock_mono_ms() + s->deadline_ms);
	s->progress(s->arg, text);
}

/* Also the way to find that a lost one has ended at last. True: it has ended, and s is gone. */
static bool
spawn_reap(struct spawn *s)
{
	struct spawn_result r = { 0 };
	siginfo_t si;

	if (!kid_ended(&s->kid, &si))
		return false;
	if (!s->lost) {
		for (int ch = KID_OUT; ch <= KID_ERR; ch++)
			if (s->kid.fd[ch] != -1)
				kid_read(s->kid.fd[ch], &s->text[ch]);
		progress_take(s);
		if (s->late)
			result_late(&r, s);
		else
			result_judge(&r, &s->kid, &si, s->name, s->worker);
		if (s->worker)
			worker_stderr_log(s);
		spawn_tell(s, &r);
	}
	spawn_free(s);
	return true;
}

static void
spawn_ended(int fd, unsigned int ready, void *arg)
{
	(void)fd;
	(void)ready;
	spawn_reap(arg);
}

/* From here on nobody waits for it; the pidfd stays watched until the kernel lets it go. */
static void
spawn_abandon(struct spawn *s)
{
	kill(-s->kid.pid, SIGKILL);
	s->lost = true;
}

static void
spawn_deadline(void *arg)
{
	struct spawn_result r = { 0 };
	struct spawn *s = arg;

	if (s->kid.pid == -1) {
		r.end = SPAWN_FAILED;
		r.err = s->failed;
		spawn_tell(s, &r);
		spawn_free(s);
		return;
	}
	if (spawn_reap(s))
		return;		/* it ended in this very turn of the loop: the outcome is known */
	if (s->alone) {
		kill(-s->kid.pid, SIGKILL);
		s->late = true;
		return;
	}
	spawn_abandon(s);
	result_late(&r, s);
	spawn_tell(s, &r);
	channels_close(s);
}

static void
spawn_readable(int fd, unsigned int ready, void *arg)
{
	struct spawn *s = arg;
	int ch = fd == s->kid.fd[KID_OUT] ? KID_OUT : KID_ERR;
	bool more = kid_read(fd, &s->text[ch]);

	(void)ready;
	progress_take(s);
	if (more)
		return;
	loop_io_free(s->io[ch]);
	s->io[ch] = NULL;
	kid_close(&s->kid.fd[ch], 1);
}

static struct spawn *
spawn_begin(struct kid_job *job, struct loop *loop, uint32_t deadline_ms, spawn_done_f *done,
    void *arg)
{
	struct spawn *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	snprintf(s->name, sizeof(s->name), "%s", job->name);
	s->loop = job->loop = loop;
	s->worker = job->work != NULL;
	s->kid = (struct kid)KID_NONE;
	s->began_ms = clock_mono_ms();
	s->deadline_ms = deadline_ms;
	s->done = done;
	s->arg = arg;
	s->deadline = loop_timer_new(loop, spawn_deadline, s);
	if (!kid_start(job, &s->kid, &s->failed)) {
		loop_timer_in(s->deadline, 0);
		return s;
	}
	loop_timer_at(s->deadline, s->began_ms + deadline_ms);
	s->ended = loop_io_new(loop, s->kid.pidfd, LOOP_READ, spawn_ended, s);
	for (int ch = KID_OUT; ch <= KID_ERR; ch++)
		s->io[ch] = loop_io_new(loop, s->kid.fd[ch], LOOP_READ, spawn_readable, s);
	return s;
}

struct spawn *
spawn_work(struct loop *loop, const char *name, spawn_work_f *work, const void *ctx,
    uint32_t deadline_ms, spawn_done_f *done, void *arg)
{
	/* tied: after a kill -9 of the daemon its successor must not be surprised by a mount that was begun before */
	struct kid_job job = { .name = name, .work = work, .ctx = ctx, .tied = true };

	return spawn_begin(&job, loop, deadline_ms, done, arg);
}

struct spawn *
spawn_work_alone(struct loop *loop, const char *name, spawn_work_f *work, const void *ctx,
    uint32_t deadline_ms, spawn_done_f *done, void *arg)
{
	struct spawn *s = spawn_work(loop, name, work, ctx, deadline_ms, done, arg);

	s->alone = true;
	return s;
}

struct spawn *
spawn_work_moving(struct loop *loop, const char *name, spawn_work_f *work, const void *ctx,
    uint32_t deadline_ms, spawn_progress_f *progress, spawn_done_f *done, void *arg)
{
	struct spawn *s = spawn_work(loop, name, work, ctx, deadline_ms, done, arg);

	s->progress = progress;
	return s;
}

struct spawn *
spawn_exec(struct loop *loop, const char *name, const struct spawn_cmd *cmd, uint32_t deadline_ms,
    spawn_done_f *done, void *arg)
{
	struct kid_job job = { .name = name, .cmd = cmd };

	return spawn_begin(&job, loop, deadline_ms, done, arg);
}

void
spawn_forget(struct spawn *s)
{
	if (s == NULL || s->calling)
		return;		/* within done() it is over anyway */
	if (s->kid.pid == -1) {
		spawn_free(s);
		return;
	}
	spawn_abandon(s);
	channels_close(s);
	spawn_reap(s);
}

void
spawn_stop(struct spawn *s)
{
	if (s->kid.pid != -1)
		kill(-s->kid.pid, SIGKILL);
}

/* ---------------------------------------------------------------- synchronous, for workers */

/* Wait for its end while its output is read. False when the deadline came first, which progress (of cmd, if any) puts off. */
static bool
kid_await(struct kid *kid, struct kid_text text[KID_CHANNEL_COUNT], const struct spawn_cmd *cmd, uint32_t limit_ms,
    siginfo_t *ret)
{
	uint64_t deadline_ms = clock_mono_ms() + limit_ms;
	char said[KID_PROGRESS_MAX];

	for (;;) {
		struct pollfd p[] = { { .fd = kid->pidfd, .events = POLLIN },
			{ .fd = kid->fd[KID_OUT], .events = POLLIN },
			{ .fd = kid->fd[KID_ERR], .events = POLLIN } };
		uint64_t now = clock_mono_ms();
		uint64_t left = deadline_ms > now ? deadline_ms - now : 0;

		poll(p, 3, left < INT32_MAX ? (int)left : INT32_MAX);
		for (int ch = KID_OUT; ch <= KID_ERR; ch++)
			if (kid->fd[ch] != -1 && !kid_read(kid->fd[ch], &text[ch]))
				kid_close(&kid->fd[ch], 1);
		if (cmd != NULL && cmd->progress != NULL && kid_progress(&text[KID_OUT], said, sizeof(said))) {
			deadline_ms = clock_mono_ms() + limit_ms;
			cmd->progress(cmd->progress_arg, said);
		}
		if (!kid_ended(kid, ret)) {
			if (clock_mono_ms() >= deadline_ms)
				return false;
			continue;
		}
		/* Once more: it may have written between our reading and its end. */
		for (int ch = KID_OUT; ch <= KID_ERR; ch++)
			if (kid->fd[ch] != -1)
				kid_read(kid->fd[ch], &text[ch]);
		if (cmd != NULL && cmd->progress != NULL)
			kid_progress(&text[KID_OUT], said, sizeof(said));
		return true;
	}
}

int
spawn_run(const struct spawn_cmd *cmd, uint32_t deadline_ms, char *out, size_t out_size,
    char *errout, size_t err_size, struct err *err)
{
	struct kid_job job = { .name = cmd->argv[0], .cmd = cmd, .tied = true };
	struct spawn_result r = { 0 };
	struct kid_text text[KID_CHANNEL_COUNT] = { { 0 } };
	struct kid kid;
	siginfo_t si;
	bool ended;

	if (!kid_start(&job, &kid, err))
		return -1;
	ended = kid_await(&kid, text, cmd, deadline_ms, &si);
	if (ended) {
		result_judge(&r, &kid, &si, job.name, false);
	} else {
		r.end = SPAWN_TIMEOUT;
		err_set(&r.err, 0, "%s: not finished after %u ms", job.name, deadline_ms);
		kill(-kid.pid, SIGKILL);
		/* In uninterruptible sleep it stays a zombie-to-be of this worker, which ends soon. */
		r.err.sys = kid_await(&kid, text, NULL, REAP_MS, &si) ? ETIMEDOUT : EBUSY;
	}
	if (out != NULL && out_size != 0)
		snprintf(out, out_size, "%s", kid_text(&text[KID_OUT]));
	if (errout != NULL && err_size != 0)
		snprintf(errout, err_size, "%s", kid_text(&text[KID_ERR]));
	free(text[KID_OUT].bytes);
	free(text[KID_ERR].bytes);
	kid_close(kid.fd, KID_CHANNEL_COUNT);
	close(kid.pidfd);
	if (r.end == SPAWN_EXITED)
		return r.code;
	if (err != NULL)
		*err = r.err;
	return -1;
}
