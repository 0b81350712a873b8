/*
 * configsync/spool.h - contents that come from the peer piece by piece, in a directory of their own until they are installed. Blocks
 * on the disk.
 *
 * A file is named by the SHA-256 of the whole content, in hexadecimal, and holds its bytes from the beginning. Nothing is synced: after
 * a crash what is there is gone on with, and the digest over all of it decides at the end. What has another digest is thrown away.
 *
 * A peer may send what it likes: each content, all together and their number are bounded. Space is reserved when a content is
 * begun, so that one that was begun can be ended, as far as the disk has room.
 *
 * Errors: EDQUOT a bound, ENOSPC a full disk (what came before stays, and can be gone on with), EINVAL a piece that does not follow
 * the last one, or another size than before, EBADMSG another digest (thrown away), ENOENT not begun, or not whole.
 */
#ifndef CONFIGSYNC_SPOOL_H
#define CONFIGSYNC_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"

struct spool_limits {
	uint64_t	one;		/* bytes of one content */
	uint64_t	bytes;		/* of all */
	size_t		files;
};

struct spool_totals { uint64_t bytes, reserved; size_t files; };

struct spool;

/* Makes the directory where there is none (0700), and finds what an earlier run left in it. */
bool	spool_open(const char *dir, const struct spool_limits *, struct spool **ret, struct err *);
/* For a worker, which has none of its parent's descriptors: only spool_fd() is of use to it. */
bool	spool_again(struct spool *, const char *dir, struct err *);
void	spool_close(struct spool *);		/* files stay; NULL is allowed */

/*
 * That content is wanted, of size bytes, one at least. *ret_have: so many of them are here, from the beginning; size: it is whole,
 * its digest was compared. Where a bound is reached what was left by an earlier run and not begun since gives way.
 */
bool	spool_begin(struct spool *, const uint8_t digest[DIGEST_LEN], uint64_t size, uint64_t *ret_have, struct err *);
/* The next piece of one that was begun; offset: what is here. *ret_whole: that was the last one, and the digest is right. */
bool	spool_append(struct spool *, const uint8_t digest[DIGEST_LEN], uint64_t offset, const void *bytes, size_t len, bool *ret_whole,
    struct err *);
/* A descriptor of a whole one, to read, at offset 0, the caller's to close; -1. It may be removed meanwhile. */
int	spool_fd(struct spool *, const uint8_t digest[DIGEST_LEN], struct err *);
void	spool_remove(struct spool *, const uint8_t digest[DIGEST_LEN]);	/* of one that is not there: nothing */

/*
 * Removes what nobody wants any more and what has not grown for older_than_ms (0: however new). Returns how many.
 */
size_t	spool_sweep(struct spool *, bool (*wanted)(void *arg, const uint8_t digest[DIGEST_LEN]), void *arg, uint64_t older_than_ms);
void	spool_totals(const struct spool *, struct spool_totals *);

#endif
