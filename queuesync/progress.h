/*
 * queuesync/progress.h - how far a repair has come, for who waits for it: lines "progress N of M WHAT", a few a second at
 * most, and only when something more was really done. One for the process; any thread may count.
 */
#ifndef QUEUESYNC_PROGRESS_H
#define QUEUESYNC_PROGRESS_H

#include <stdint.h>
#include <stdio.h>

void	progress_to(FILE *);				/* from now on; NULL, as at the beginning: nowhere */
void	progress_stage(const char *what, uint64_t total);	/* what: plural, stays the caller's; total 0: not known */
void	progress_count(void);				/* one more of them is done */

#endif
