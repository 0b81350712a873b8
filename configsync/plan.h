/*
 * configsync/plan.h - what may be asked over config.sock, which rows are answered, and a plan as rows, before it is done or while it is.
 *
 *   status     -                                    rows "-", "conflict", "problem", "theirs"
 *   resync     from=NODE apply=yes|no               rows "step"
 *   resolve    take=NODE path=PATH ...              rows "step"
 *   rollback   set=NAME or version=N; back-to=yes|no apply=yes|no    rows "step"
 *
 * Paths are from the root, without a slash at their beginning, as everywhere in this folder. Rows and their keys (those that are not known are
 * left out):
 *   -          in_step? files# pending# conflicts# node role peer link writers active tenure# first? text
 *   conflict   path kind why since#
 *   problem    kind path text since#                (theirs: the same, of the peer)
 *   step       do path note; of a rollback also version#, moved_on?
 */
#ifndef CONFIGSYNC_PLAN_H
#define CONFIGSYNC_PLAN_H

#include "configsync/ctl.h"
#include "configsync/diff.h"
#include "configsync/store.h"

/* What is other about to than about was (NULL: it is not there), in words: "mode 0644 -> 0600, owner root:root -> mail:mail". Returns buf. */
const char *plan_differences(const struct entry *was, const struct entry *to, char *buf, size_t size);
/* Each a row "step". */
void	plan_change(struct ctl_reply *, const struct change *);
void	plan_step(struct ctl_reply *, const struct store_step *);
/*
 * Ends the reply: this cannot be done on this node (3), since only the active one's changes count. active: its name, NULL or "": there is none.
 */
void	plan_refuse(struct ctl_reply *, const char *command, const char *active);

#endif
