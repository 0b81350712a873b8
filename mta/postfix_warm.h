/*
 * mta/postfix_warm.h - read what a start of Postfix will need into the page cache. Blocks; for
 * workers.
 */
#ifndef MTA_POSTFIX_WARM_H
#define MTA_POSTFIX_WARM_H

#include <stddef.h>
#include <stdint.h>

#include "mta/postfix_conf.h"

/* Best effort: what cannot be read is left out. Returns the number of files. */
size_t	postfix_warm(const struct postfix_conf *, uint64_t deadline_ms);

#endif
