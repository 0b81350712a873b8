/*
 * common/spawn.h - whatever can block runs in a child with a deadline. Replaced whole in simulation.
 *
 * A *worker* is a forked copy of this process that runs one function and reports by text lines; a
 * *command* is another program. Both are process groups of their own, without the parent's
 * descriptors, real-time priority or signal handlers. When the deadline passes the group gets
 * SIGKILL and done() is called with SPAWN_TIMEOUT at once, whether or not the kernel can end it
 * (a child in uninterruptible sleep is reaped later, in silence; spawn_work_alone() waits for that).
 *
 * done() is called exactly once, later, from the loop, unless spawn_forget() came first.
 */
#ifndef COMMON_SPAWN_H
#define COMMON_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/loop.h"

enum spawn_end {
	SPAWN_EXITED,		/* code = exit status */
	SPAWN_SIGNALED,		/* code = signal */
	SPAWN_TIMEOUT,		/* the outcome is not known */
	SPAWN_FAILED		/* could not be started: err says why */
};

#define SPAWN_OUT_MAX 65536	/* output beyond this is cut */

struct spawn_result {
	enum spawn_end	 end;
	int		 code;
	const char	*out;		/* NUL-terminated: a command's stdout, or a worker's report lines */
	const char	*errout;	/* NUL-terminated: stderr (commands), "" for workers */
	struct err	 err;		/* SPAWN_FAILED, or the worker's own error sentence */
	uint32_t	 took_ms;
};

struct spawn;
typedef void spawn_done_f(void *arg, const struct spawn_result *);

/* What a worker reports: lines "key value". Values must not hold newlines (they become blanks). */
struct spawn_out;
void	spawn_say(struct spawn_out *, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * How far it has come, as a sentence: for what takes as long as it takes (spawn_work_moving). Not part of the report.
 */
void	spawn_progress(struct spawn_out *, const char *text);

/* Find a key in a report. Returns a copy in buf (cut to size) or NULL where the key is absent. */
const char *spawn_get(const char *report, const char *key, char *buf, size_t size);

/* Runs in the child; true: exit 0. False: exit 1 and *err travels to spawn_result.err. */
typedef bool spawn_work_f(const void *ctx, struct spawn_out *, struct err *);

/* Hears what a child says of its progress. Must not end it. */
typedef void spawn_progress_f(void *arg, const char *text);

struct spawn_cmd {
	const char	*const *argv;	/* argv[0] absolute, or looked up in PATH */
	const char	*const *env;	/* NULL: a minimal PATH, LANG=C, HOME=/root */
	const char	*in;		/* fed to stdin, then end of file; NULL: /dev/null */
	bool		 nice;		/* lowest priority: background work */
	/*
	 * Not NULL (spawn_run only): its lines "progress TEXT" go there and not to the output, and the deadline counts anew from
	 * each. It must say them only when it has come further.
	 */
	spawn_progress_f *progress;
	void		*progress_arg;
};

/*
 * Start one; *name* is for logs ("mount", "fence bmc-mx1"). ctx must stay valid until done() in
 * simulation only (a fork copies it). Never returns NULL; failures come through done().
 */
struct spawn *spawn_work(struct loop *, const char *name, spawn_work_f *, const void *ctx,
    uint32_t deadline_ms, spawn_done_f *, void *arg);
struct spawn *spawn_exec(struct loop *, const char *name, const struct spawn_cmd *,
    uint32_t deadline_ms, spawn_done_f *, void *arg);
/*
 * As spawn_work(), but SPAWN_TIMEOUT comes when the killed worker is really gone, be that hours after its deadline:
 * who starts the next one in done() never has two, however long a disk keeps the first in the kernel.
 */
struct spawn *spawn_work_alone(struct loop *, const char *name, spawn_work_f *, const void *ctx,
    uint32_t deadline_ms, spawn_done_f *, void *arg);

/* As spawn_work(), but the deadline counts anew from each spawn_progress() of the worker, which goes to progress(). */
struct spawn *spawn_work_moving(struct loop *, const char *name, spawn_work_f *, const void *ctx,
    uint32_t deadline_ms, spawn_progress_f *progress, spawn_done_f *, void *arg);

/* Kill the group (SIGKILL); done() will not be called. */
void	spawn_forget(struct spawn *);
/* Kill the group (SIGKILL); done() is called as ever: when it is gone, or at its deadline. */
void	spawn_stop(struct spawn *);

/*
 * For use inside a worker: run a command and wait for it, at most deadline_ms. Blocks. Output as
 * in spawn_result, copied into the caller's buffers (may be NULL). Returns the exit status, or
 * -1 with *err (not started, signalled, timed out: then killed). err->sys of one that timed out: ETIMEDOUT when it is
 * gone, EBUSY when it hangs in the kernel.
 */
int	spawn_run(const struct spawn_cmd *, uint32_t deadline_ms, char *out, size_t out_size,
	    char *errout, size_t err_size, struct err *);

#endif
