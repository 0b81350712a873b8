/*
 * mta/queue_note.h - what a check of a queue's names leaves in run_dir for the start that follows: the directories
 * that were read, each with its times as they were before, so that a program whose start would go through all names
 * once more need read only what has changed since. Blocks in stat(2) and one small file; for workers and
 * mailpair-queue.
 *
 * Why that is safe: a name cannot come, go or lead to another inode without the times of its directory changing. A directory
 * counts as unchanged in the same boot and the same mount only, by inode, mtime and ctime to the nanosecond; one that
 * was changed within a clock tick or two of being read is not noted, since one more change might not show. Only a check
 * that found no name wrong may write a note. A sub-directory that is new shows in the one above it.
 */
#ifndef MTA_QUEUE_NOTE_H
#define MTA_QUEUE_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/err.h"

#define QUEUE_NOTE_DIRS_MAX 4096	/* of a queue with more of them nothing is noted */
#define QUEUE_NOTE_TICK_MS 40		/* longer than the kernel's clock stands still */

struct queue_note_dir { char *path; uint64_t ino; int64_t mtime_ns, ctime_ns; };
struct queue_note {
	struct queue_note_dir	*dir;
	size_t			 dirs;
	bool			 whole;		/* else it must not be used */
};

/*
 * Before a directory is read: path below the root, "" for the root; st by fstat(2) of the open directory; now_ms:
 * clock_wall_ms(), and only compared with the directory's own times.
 */
void	queue_note_add(struct queue_note *, const char *path, const struct stat *st, uint64_t now_ms);
/* Keep it for the queue at root. False with *err: not kept, which costs time at the next start and nothing else. */
bool	queue_note_write(const struct queue_note *, const char *run_dir, const char *root, struct err *);
/* Take it back; not whole where there is none for this queue, boot and mount. */
void	queue_note_read(const char *run_dir, const char *root, struct queue_note *ret);
/* Is the directory as it was? st: as it is now. */
bool	queue_note_same(const struct queue_note *, const char *path, const struct stat *st);
/* Of the queue at root nothing is known any more. */
void	queue_note_drop(const char *run_dir, const char *root);
void	queue_note_free(struct queue_note *);

#endif
