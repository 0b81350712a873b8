/*
 * supervisor/upkeep.h - how this node's journal and log are. Whether the journal could be written is tried together with the disk of
 * the state directory (engine_disk.c), since a lock shows only to who writes; a log that hangs shows when there is something to log. What
 * is wrong stands in status within 5 s and is an alarm when it begins. Nothing here blocks but upkeep_try().
 */
#ifndef SUPERVISOR_UPKEEP_H
#define SUPERVISOR_UPKEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/spawn.h"
#include "supervisor/scribe.h"
#include "supervisor/status.h"

/* The log, and a hook. */
typedef void upkeep_alarm_f(void *arg, const char *text);

struct upkeep {
	const struct conf	*conf;
	struct scribe		*scribe;
	upkeep_alarm_f		*alarm;
	void			*arg;
	unsigned int		 told;		/* alarms that were given and are still true */
	unsigned int		 aside;		/* spoilt journals that lie beside it ... */
	char			 newest[64];	/* ... and the name of the newest */
};

/* scribe and conf must outlive it; conf is replaced by upkeep_conf(). */
void	upkeep_init(struct upkeep *, struct scribe *, const struct conf *, upkeep_alarm_f *, void *arg);
void	upkeep_conf(struct upkeep *, const struct conf *);
/* A scribe_told_f. */
void	upkeep_told(void *upkeep, enum scribe_news, const char *text);
/* In a worker: adds to its report what upkeep_learn() understands. */
void	upkeep_try(const struct conf *, struct spawn_out *);
void	upkeep_learn(struct upkeep *, const char *report);
/* Adds its problems and counters. disk_bad: the disk of the state directory is ill, and that was told already. */
void	upkeep_status(const struct upkeep *, bool disk_bad, struct status *);

#endif
