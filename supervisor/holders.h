/*
 * supervisor/holders.h - who keeps a mount busy: processes (open file, cwd, root, exe, map), loop
 * devices on a file below it, mounts stacked on it or bound from it, other mount namespaces.
 * Blocks: for workers.
 */
#ifndef SUPERVISOR_HOLDERS_H
#define SUPERVISOR_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

enum holder_kind { HOLDER_FILE, HOLDER_CWD, HOLDER_ROOT, HOLDER_EXE, HOLDER_MAP, HOLDER_LOOP, HOLDER_MOUNT, HOLDER_NAMESPACE, HOLDER_COUNT };

struct holder {
	enum holder_kind kind;
	pid_t		 pid;		/* 0: the kernel (loop, mount) */
	uint64_t	 started;	/* start time of pid: pid reuse is told apart before a signal is sent */
	char		 command[64];
	char		 path[256];	/* the file, mountpoint or device that holds */
};

/* All holders of the file system with this st_dev; *ret is malloc'ed. One row a process and kind. */
bool	holders_find(dev_t dev, const char *mountpoint, struct holder **ret, size_t *ret_len, struct err *);
/* Signal exactly these processes (by pidfd, start time compared); returns how many were still there. */
size_t	holders_signal(const struct holder *, size_t len, int signo);
/* Wait until those that holders_signal() reaches have ended; returns how many have not after ms. */
size_t	holders_wait(const struct holder *, size_t len, uint32_t ms);
/* May it be signalled: a process, not this one nor one of its ancestors (those are only named). */
bool	holder_endable(const struct holder *);

#endif
