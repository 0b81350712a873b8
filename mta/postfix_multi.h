/*
 * mta/postfix_multi.h - the instances of Postfix on this host (postmulti): which configuration directories belong
 * together, and in what order they are started. Blocks in postconf where its answers are not kept; for workers.
 */
#ifndef MTA_POSTFIX_MULTI_H
#define MTA_POSTFIX_MULTI_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "mta/mta.h"
#include "mta/postfix_conf.h"

#define POSTFIX_INSTANCES_MAX MTA_QUEUES_MAX

/*
 * The enabled ones: the configuration that was named (or Postfix's own), then those of its multi_instance_directories in
 * their order, each as the parameters for it alone. A configuration that names no others stands for itself.
 */
struct postfix_instances {
	struct mta_params one[POSTFIX_INSTANCES_MAX];
	char		  config[POSTFIX_INSTANCES_MAX][POSTFIX_PATH_MAX];
	size_t		  len;
};

/* even_old: by the settings last known, also where the files have changed or are broken since; for stopping. */
bool	postfix_instances_load(const struct mta_params *, bool even_old, struct postfix_instances *ret, struct err *);

/* Pure: the next word of a list with blanks or commas between. False: no more. *list goes on behind it. */
bool	postfix_list_word(const char **list, char *buf, size_t size);

/* An error of one of several instances says which. Returns false. */
bool	postfix_instance_failed(const struct postfix_instances *, size_t which, struct err *);

#endif
