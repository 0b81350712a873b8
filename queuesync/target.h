/*
 * queuesync/target.h - which queues are meant: named by the operator, told from a tree, or those of mailpair.conf. Blocks
 * (reads the configuration, asks the mail program for its settings).
 */
#ifndef QUEUESYNC_TARGET_H
#define QUEUESYNC_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/err.h"
#include "mta/mta.h"
#include "queuesync/check.h"

#define TARGETS_MAX 32

/* As the command line has it; NULL: not given. */
struct target_wish {
	const char	*mta, *queue, *config, *owners;
	const char	*conf;		/* mailpair.conf */
	const char	*node;		/* be this node of it; NULL: by host name */
	const char	*run_dir;	/* where the supervisor keeps what it knows of the program's settings; NULL: ask the program */
};

struct target {
	const struct mta_driver	*driver;
	const struct rules	*rules;
	struct mta_params	 params;
	struct queue_layout	 layout;
	bool			 own;		/* the program's own queue, so its running is of meaning */
};

struct targets {
	struct target		 at[TARGETS_MAX];
	size_t			 len;
	struct queue_owners	 owners;	/* from the file, where one was given */
	struct conf		*conf;		/* holds the strings of params */
	const char		*services[CONF_OPTIONS_MAX + 1];	/* of it, for params */
};

/* False with a sentence that says what to give instead. */
bool	targets_find(const struct target_wish *, struct targets *ret, struct err *);
void	targets_free(struct targets *);

/* Whose queue a tree looks like: the name of a driver, or NULL. Blocks. */
const char *target_guess(const char *dir);

#endif
