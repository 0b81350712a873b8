/*
 * queuesync/rules.c - the rules modules by the name of their mail program. Pure; a module is added by one line.
 */
#include <string.h>

#include "queuesync/check.h"

static const struct rules *const modules[] = {
	&rules_qmail, &rules_postfix, &rules_exim, NULL
};

const struct rules *
rules_find(const char *mta)
{
	for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
		if (modules[i] != NULL && strcmp(modules[i]->mta, mta) == 0)
			return modules[i];
	return NULL;
}
