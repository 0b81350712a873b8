/*
 * mta/mta.c - the list of mail programs and the look-up by name.
 *
 * Pure; runs in every process that reads a configuration. A driver is added by one line here.
 */
#include "mta/mta.h"

#include <string.h>

static const struct mta_driver *const drivers[] = {
	&mta_postfix, &mta_qmail, &mta_exim,
};

const struct mta_driver *
mta_find(const char *name)
{
	for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}

const char *
mta_names(void)
{
	return "postfix, qmail, exim";
}
