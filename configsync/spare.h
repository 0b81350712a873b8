/*
 * configsync/spare.h - small files that stand ready on the disk, full of zeros and in a directory of their own: what is written over one of them, cut to
 * its length and renamed is a new file that waits for its bytes alone, where one that is created waits for a journal.
 *
 * One of each of SPARE_KINDS sizes. What was taken is made anew by spare_fill(), in idle time, by a thread that waits for the disk. There are none
 * where a file that is created in its place would get something from its surroundings that these have not: see spare_take().
 *
 * In what order it reaches the disk, where a journal of the same device orders it (ext4, XFS): the bytes first, over blocks that are theirs already; they
 * have left this machine when spare_hold() returns. Length, owner, mode and name change in the journal alone, and that is written with a flush of the
 * disk's memory before. So after a power cut there is the old file or the new one, whole. Without such a journal all of it is brought to the disk by spare_hold().
 */
#ifndef CONFIGSYNC_SPARE_H
#define CONFIGSYNC_SPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"

#define SPARE_KINDS 3u
#define SPARE_MOST 16384u	/* bytes of the largest */

struct spare;

/*
 * Makes dir (mode 0700) and removes the files that an earlier run has left in it. NULL: this is no place for them; then all files are created. Blocks
 * for as long as that takes. The caller's until spare_close(), which waits for the thread; NULL is fine.
 */
struct spare *spare_open(const char *dir);
void	spare_close(struct spare *);

/* Begins to make those that are missing. False: it still makes others, and is to be asked again. */
bool	spare_fill(struct spare *);

/*
 * These bytes, of this digest, may be asked for in a moment: they are written over one of them, and on their way to the disk, and are its until it is asked for, or
 * spare_fill() lets go of it. One at a time. False: there is none, or one has others still.
 */
bool	spare_ahead(struct spare *, const uint8_t *bytes, size_t len, const uint8_t digest[DIGEST_LEN]);

/*
 * One that has room for size bytes of this digest, for a file beside others in the open directory; it is empty of rights: of mode 0600, its owner who runs this, without
 * attributes. It is the caller's until spare_gone(). -1: there is none, or they are on another mount, or what is made there takes over flags, a project or a key.
 */
int	spare_take(struct spare *, int directory, uint64_t size, const uint8_t digest[DIGEST_LEN]);
int	spare_fd(const struct spare *, int which);		/* stays the spare's */
int	spare_dir(const struct spare *);			/* its name stands there */
const char *spare_name(int which);
/* It has these bytes then, which are on their way to the disk, if it had them not already. Before its attributes are changed. False with errno. */
bool	spare_write(struct spare *, int which, const uint8_t *bytes, size_t len, const uint8_t digest[DIGEST_LEN]);
/* Waits until its name may change. Blocks on the disk. False with errno. */
bool	spare_hold(struct spare *, int which);
/* It has become a file, or is of no use: closed, and what stands under its name removed. */
void	spare_gone(struct spare *, int which);

#endif
