/*
 * configsync/derived.c - the table of sources, what is made of them, and by which command. Pure.
 */
#include "configsync/derived.h"

#include <stdio.h>
#include <string.h>

#include "configsync/set.h"

/* clang-format off */
static const char library[] = "Berkeley DB's and LMDB's files differ with their library, and are half written for a while";
static const char order[] = "the rows of the source in the order of their hash: of no use but to the program that made it";

static const struct derived_row table[] = {
	{ "etc/aliases", ".db", "newaliases", "hash", library },
	{ "etc/aliases", ".lmdb", "newaliases", "lmdb", library },
	{ "etc/aliases", ".cdb", "newaliases", "cdb", order },
	{ "etc/aliases", ".pag", "newaliases", "dbm", library },
	{ "etc/aliases", ".dir", "newaliases", "dbm", library },
	{ "etc/mail/aliases", ".db", "newaliases", "hash", library },
	{ "etc/mail/aliases", ".lmdb", "newaliases", "lmdb", library },
	{ "etc/mail/aliases", ".cdb", "newaliases", "cdb", order },
	{ "etc/postfix/**", ".db", "postmap %s", "hash", library },
	{ "etc/postfix/**", ".lmdb", "postmap %s", "lmdb", library },
	{ "etc/postfix/**", ".cdb", "postmap %s", "cdb", order },
	{ "etc/postfix/**", ".pag", "postmap %s", "dbm", library },
	{ "etc/postfix/**", ".dir", "postmap %s", "dbm", library },
	{ "var/qmail/control/morercpthosts", ".cdb", "qmail-newmrh", NULL, order },
	{ "etc/qmail/morercpthosts", ".cdb", "qmail-newmrh", NULL, order },
	{ "var/qmail/users/assign", "/cdb", "qmail-newu", NULL, order },
	{ "etc/tcp.*", ".cdb", "tcprules %s.cdb %s.tmp <%s", NULL, order },
	{ "etc/tcprules.d/*", ".cdb", "tcprules %s.cdb %s.tmp <%s", NULL, order },
	{ "etc/tcpcontrol/*", ".cdb", "tcprules %s.cdb %s.tmp <%s", NULL, order },
};
/* clang-format on */

#define ROWS (sizeof table / sizeof table[0])

/* Where the name of the directory of path ends, with its slash. */
static size_t
directory(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

const struct derived_row *
derived_from(const char *path, char *ret_source, size_t size)
{
	size_t len = strlen(path);
	char source[4096];

	for (size_t i = 0; i < ROWS; i++) {
		const struct derived_row *row = &table[i];
		size_t n = strlen(row->suffix);

		if (row->suffix[0] == '/') {
			if (strcmp(path + directory(path), row->suffix + 1) != 0)
				continue;
			snprintf(source, sizeof source, "%.*s%s", (int)directory(path), path, row->source + directory(row->source));
		} else {
			if (len <= n || strcmp(path + len - n, row->suffix) != 0)
				continue;
			snprintf(source, sizeof source, "%.*s", (int)(len - n), path);
		}
		if (set_match(row->source, source, NULL, 0)) {
			snprintf(ret_source, size, "%s", source);
			return row;
		}
	}
	return NULL;
}

const struct derived_row *
derived_of(const char *source, size_t *i, char *ret_path, size_t size)
{
	char back[4096];

	while (*i < ROWS) {
		const struct derived_row *row = &table[(*i)++];

		if (!set_match(row->source, source, NULL, 0))
			continue;
		if (row->suffix[0] == '/')
			snprintf(ret_path, size, "%.*s%s", (int)directory(source), source, row->suffix + 1);
		else
			snprintf(ret_path, size, "%s%s", source, row->suffix);
		/* what is made of something is not itself a source */
		return derived_from(source, back, sizeof back) == NULL ? row : NULL;
	}
	return NULL;
}

const char *
derived_type(const char *main_cf, const char *source)
{
	const struct derived_row *row;
	char path[4096], name[4096];

	for (size_t i = 0; (row = derived_of(source, &i, path, sizeof path)) != NULL;) {
		snprintf(name, sizeof name, "%s:/%s", row->type != NULL ? row->type : "", source);
		if (row->type != NULL && strstr(main_cf, name) != NULL)
			return row->type;
	}
	return NULL;
}

bool
derived_scratch(const char *path)
{
	size_t len = strlen(path);

	return (set_match("etc/tcp.*", path, NULL, 0) || set_match("etc/tcprules.d/*", path, NULL, 0) ||
	    set_match("etc/tcpcontrol/*", path, NULL, 0)) && len > 4 && strcmp(path + len - 4, ".tmp") == 0;
}
