/*
 * supervisor/storage.c - the list of storage drivers.
 *
 * Holds no policy and touches nothing; a driver is chosen by the configuration's "type". Used by
 * the supervisor itself and by its workers.
 */
#include <string.h>

#include "supervisor/storage.h"

static const struct storage_driver *const drivers[] = {
    &storage_shared,
};

const struct storage_driver *
storage_find(const char *type)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(drivers[i]->name, type) == 0)
			return drivers[i];
	return NULL;
}
