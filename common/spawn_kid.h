/*
 * common/spawn_kid.h - one child process: its fork, its channels, its end. Inner to common/spawn.c
 * and supervisor/scribe.c, whose child has no deadline. Nothing here waits.
 */
#ifndef COMMON_SPAWN_KID_H
#define COMMON_SPAWN_KID_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/spawn.h"

enum kid_channel { KID_OUT, KID_ERR, KID_FAIL, KID_CHANNEL_COUNT };

/* What fork() made, seen from the parent: our non-blocking ends of its channels, -1 when closed. */
struct kid {
	pid_t	pid;
	int	pidfd;
	int	fd[KID_CHANNEL_COUNT];
};
#define KID_PROGRESS_MAX 160
#define KID_NONE { .pid = -1, .pidfd = -1, .fd = { -1, -1, -1 } }

/* What the child is to do: a command, or a function. */
struct kid_job {
	const char		*name;
	const struct spawn_cmd	*cmd;
	spawn_work_f		*work;
	const void		*ctx;
	struct loop		*loop;	/* to be forgotten by the child; may be NULL */
	bool			 tied;	/* ends with its parent */
};

/* Text that grows up to SPAWN_OUT_MAX; NUL bytes in it become blanks. */
struct kid_text {
	char	*bytes;
	size_t	 len, size;
};

bool		 kid_start(const struct kid_job *, struct kid *ret, struct err *);
/* False while it runs. An exit status that someone else has taken is an end too (si_code 0). */
bool		 kid_ended(const struct kid *, siginfo_t *ret);
/* The error it has sent: its own of a worker, that of exec of a command. False: none. */
bool		 kid_said_failed(const struct kid *, struct err *ret);
/* Take what is there, at most a pipe full; past SPAWN_OUT_MAX it is thrown away. False at end of file. */
bool		 kid_read(int fd, struct kid_text *);
/* Takes the whole lines "progress TEXT" out of it; the last TEXT to ret. False: there was none. */
bool		 kid_progress(struct kid_text *, char *ret, size_t size);
const char	*kid_text(const struct kid_text *);	/* "" where nothing came */
void		 kid_close(int *fd, size_t n);		/* and set them to -1 */

/* In the child: a group of its own, usual priority, default signals, none blocked. */
void		 kid_settle(bool nice);
void		 kid_close_from(int first);		/* this descriptor and all above */

#endif
