/*
 * configsync/names.h - users and groups of this node, by number and by name, each asked for once. Asks the name service, which
 * may block: for workers only.
 */
#ifndef CONFIGSYNC_NAMES_H
#define CONFIGSYNC_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "configsync/entry.h"

struct names;

struct names *names_new(void);
void	names_free(struct names *);
/* What there was none of is asked for again: somebody may have made it since. */
void	names_again(struct names *);
/* "" where there is none. Valid as long as names. */
const char *names_of(struct names *, bool group, uint32_t id);
bool	names_find(struct names *, bool group, const char *name, uint32_t *ret_id);

/* How an owner of the other node is one of this. */
enum names_here {
	NAMES_KNOWN,		/* by name, or neither side has a name for the number */
	NAMES_BY_NUMBER,	/* the name is unknown here and the number is nobody's, or there was no name: the number it is */
	NAMES_STRANGER,		/* the name is unknown here and the number is someone else's: never hand them a file */
};
enum names_here names_here(struct names *, bool group, const struct entry_owner *, uint32_t *ret_id);

#endif
