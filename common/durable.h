/*
 * common/durable.h - small files that change whole or not at all: write, fsync, rename, fsync the
 * directory. Blocks: for workers and start-up only.
 */
#ifndef COMMON_DURABLE_H
#define COMMON_DURABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

/* Replace path by these bytes. A temporary "path.new" is used; symbolic links are not followed. */
bool	durable_write(const char *path, const void *bytes, size_t len, mode_t mode, struct err *);

/*
 * Read at most size-1 bytes of a regular file and NUL-terminate; larger files are an error (EFBIG).
 * Returns the length, or -1 (err->sys == ENOENT where there is none).
 */
ssize_t	durable_read(const char *path, char *buf, size_t size, struct err *);

#endif
