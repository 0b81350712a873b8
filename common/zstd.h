/*
 * common/zstd.h - buffers compressed with Zstandard (RFC 8878). The only user of libzstd. Nothing here blocks.
 */
#ifndef COMMON_ZSTD_H
#define COMMON_ZSTD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* malloc'd, *ret_len bytes, fewer than len; NULL where it would not become shorter (or memory is short): then it goes as it is. */
uint8_t	*zstd_compress(const void *bytes, size_t len, size_t *ret_len);

/*
 * One frame, which holds exactly plain_len bytes; they are written to plain. False with *err: it is none, damaged, or holds fewer
 * or more. Whatever the bytes are, nothing is written beyond plain_len, and no memory taken that grows with what they claim.
 */
bool	zstd_expand(const void *bytes, size_t len, uint8_t *plain, size_t plain_len, struct err *);

#endif
