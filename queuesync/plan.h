/*
 * queuesync/plan.h - from findings to steps, in an order that no crash can hurt. Pure.
 *
 * Order: what must go is put into the quarantine; directories, FIFOs and lock files are made; owners, modes, times and
 * bytes are set right in place; files are moved to their right names; second names are given. A name that is
 * to be moved to but is itself moved away is freed first: its file waits under a name of its own in the run's
 * directory (two phases), so that no rename ever meets an occupied name. Every step can be told from the tree alone
 * to be done or not, so that a run that was cut off goes on where it stopped.
 */
#ifndef QUEUESYNC_PLAN_H
#define QUEUESYNC_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queuesync/finding.h"

struct plan_step {
	enum remedy_kind kind;
	char		*path, *to;	/* below the queue's root; owned. Of a waiting file: its name in the run's directory */
	uint64_t	 ino, size, offset;
	uint32_t	 mode, uid, gid, old_uid, old_gid, links;
	uint8_t		 bytes[REMEDY_BYTES_MAX];
	uint8_t		 len;
	size_t		 finding;	/* index of its finding; SIZE_MAX in a plan that was read back */
};

struct plan {
	struct plan_step *step;
	size_t		  steps, room;
	size_t		  left;		/* remedies that wait for the next round: their file has another step in this one */
	size_t		  refused;	/* ... that cannot be done: their target is taken by a file that stays */
};

/*
 * run: directory of this run below the root, for waiting files and the quarantine. kept(): does something stand at this
 * path that the plan does not move (asked for targets)? The findings of refused remedies get a sentence in "action".
 */
typedef bool plan_kept_f(void *arg, const char *path);
void	plan_make(struct findings *, const char *run, plan_kept_f *, void *arg, struct plan *ret);
struct plan_step *plan_add(struct plan *, enum remedy_kind, const char *path, const char *to);
void	plan_free(struct plan *);
/* "moved to the quarantine", ...: for the finding's action and the journal. */
const char *plan_word(enum remedy_kind);

#endif
