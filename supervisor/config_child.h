/*
 * supervisor/config_child.h - the long-running part of mailpair-config: started, watched, told what the supervisor knows, and asked how it is.
 * It runs where mailpair.conf has a section config-sync. Nothing here waits; nothing that it says or fails to say decides anything.
 *
 * It is "mailpair-config run --conf FILE --node NODE". On its standard input come lines: "role ROLE tenure N" at the beginning and whenever
 * either changes (the contract's words for roles), "reload" when a new configuration is in force here. Their end is its own. On its standard
 * output it says, when something changed, and every CONFIG_CHILD_SAYS_MS at the latest,
 *	in_step=yes|no|unknown files=N pending=N conflicts=N refused=N problem=SENTENCE
 * (what is not known is left out; problem is the last, and goes to the end of the line); and "alert SENTENCE", once for each thing that a
 * person has to be told: a set that is refused, a conflict; what one that was started again finds once more is told to nobody. Lines of its standard error go to our log.
 */
#ifndef SUPERVISOR_CONFIG_CHILD_H
#define SUPERVISOR_CONFIG_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/loop.h"
#include "supervisor/status.h"

#define CONFIG_CHILD_SAYS_MS 10000u

/* The log, and a hook; once for each thing that begins to be wrong. */
typedef void config_child_alarm_f(void *arg, const char *text);

/* How long it takes until ...: changed by tests. */
struct config_child_pace {
	uint32_t	first_ms, most_ms;	/* it is started again, when it ended; doubled each time up to most */
	uint32_t	well_ms;		/* one that ran for so long begins anew with first_ms */
	uint32_t	patience_ms;		/* out of step, or without a word, or not running, becomes a problem */
	uint32_t	look_ms;		/* problems are looked for so often */
};

struct config_child;

/* program, file (of mailpair.conf) and pace (NULL: the usual) live as long as it does. Nothing is started before config_child_conf(). */
struct config_child *config_child_new(struct loop *, const char *program, const char *file, const struct config_child_pace *,
    config_child_alarm_f *, void *arg);
/* Its input ends, and it does by itself. NULL is allowed. */
void	config_child_free(struct config_child *);
/* At the start and after each reload: starts it, ends it, or tells it to read the file again. conf lives on. */
void	config_child_conf(struct config_child *, const struct conf *);
/* May be said again and again. */
void	config_child_role(struct config_child *, const char *role, uint64_t tenure);
/* Adds how it is, and its problems. */
void	config_child_status(const struct config_child *, struct status *);
/* Pure: one line of its output. False: it is none, *ret is untouched. */
bool	config_child_parse(const char *line, struct status_config *ret);

#endif
