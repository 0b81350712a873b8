/*
 * queuesync/repair.h - mends a queue while its mail program is kept from running: check, plan, manifest, steps, and
 * again until nothing is left to mend. Nothing is deleted or written over. Blocks, for as long as it takes.
 *
 * Killed at any point, the next repair first ends the run that was begun, and comes to the same queue.
 */
#ifndef QUEUESYNC_REPAIR_H
#define QUEUESYNC_REPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "mta/mta.h"
#include "mta/queue.h"
#include "queuesync/finding.h"
#include "queuesync/plan.h"
#include "queuesync/quarantine.h"

enum repair_end {
	REPAIR_DONE,		/* see the verdict */
	REPAIR_UNSAFE,		/* refused: the mail program runs, or that cannot be told, or another repair is at work */
	REPAIR_FAILED		/* cannot be done here; what was begun goes on with the next repair */
};

struct repair_result {
	enum verdict	verdict;
	struct findings	findings;	/* what was mended, with action, and what is left; the caller frees it */
	uint64_t	messages, files;
	size_t		runs;		/* how many were made or ended */
	char		run[RUN_NAME_MAX];	/* the last of them, "" = none */
	size_t		put_aside;	/* files in the quarantine of these runs */
};

/* One whole check of the queue as it is now. */
typedef bool repair_check_f(void *arg, struct findings *ret, uint64_t *messages, uint64_t *files, struct err *);

enum repair_end repair_queue(const struct mta_driver *, const struct mta_params *, const struct queue_layout *,
    repair_check_f *, void *arg, struct repair_result *ret, struct err *);

/*
 * Put back what a run has put aside, each to its old name, where that is free. told() hears of each file. Not whole: false
 * with how many in *err, and what could not go back stays where it is.
 */
typedef void restore_told_f(void *arg, const char *path, bool ok, const char *why);
enum repair_end restore_run(const struct mta_driver *, const struct mta_params *, const struct queue_layout *,
    const char *run, restore_told_f *, void *arg, struct err *);

/* ---- steps.c: one plan on one tree ---- */
enum step_end { STEP_DONE, STEP_ALREADY, STEP_CHANGED, STEP_FAILED };
/*
 * One step, guarded by inode and size. resumed: it may have been done before. CHANGED: the file is not what was judged,
 * nothing was done. FAILED: the system said no (*err).
 */
enum step_end step_do(int root, const struct plan_step *, bool resumed, struct err *);
/* All of them, synced between the phases; *changed counts those left out. False: *err, the run has to go on later. */
bool	steps_do(int root, const struct plan *, bool resumed, size_t *changed, struct err *);

#endif
