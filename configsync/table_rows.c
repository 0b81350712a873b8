/*
 * configsync/table_rows.c - sorts the rows of a dump or a cdb and takes their digest. Blocks; in a worker.
 */
#include "configsync/table_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/arena.h"
#include "configsync/bytes.h"
#include "configsync/cdb.h"

#define DUMP_MAX (256u << 20)

static int
order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* NIS's own rows, with the time of the run and the name of the host, are no one's text. */
static bool
is_own_row(const char *row)
{
	return strncmp(row, "YP_LAST_MODIFIED:", 17) == 0 || strncmp(row, "YP_MASTER_NAME:", 15) == 0 || strncmp(row, "@:\t@", 4) == 0;
}

/* SHA-256 of the sorted rows of a text; rows is written into. */
static void
digest_rows(char *rows, size_t len, char hex[DIGEST_HEX])
{
	size_t count = 0, n = 0, used = 0;
	uint8_t digest[DIGEST_LEN];
	char **row, *sorted, *rest = rows, *line;

	for (size_t i = 0; i < len; i++)
		count += rows[i] == '\n';
	row = calloc(count + 2, sizeof row[0]);
	sorted = malloc(len + 2);
	if (row == NULL || sorted == NULL)
		abort();
	while ((line = strsep(&rest, "\n")) != NULL && n <= count)
		if (line[0] != '\0' && !is_own_row(line))
			row[n++] = line;
	qsort(row, n, sizeof row[0], order);
	for (size_t i = 0; i < n; i++) {
		size_t k = strlen(row[i]);

		memcpy(sorted + used, row[i], k);
		used += k;
		sorted[used++] = '\n';
	}
	digest_sha256(sorted, used, digest);
	digest_hex(digest, sizeof digest, hex);
	free(row);
	free(sorted);
}

/* ---------------------------------------------------------------- rows that come one by one */

struct table_rows { struct bytes_out text; bool alias; };

struct table_rows *
table_rows_new(bool alias)
{
	struct table_rows *t = need(calloc(1, sizeof *t));

	t->alias = alias;
	return t;
}

static bool
is_text(const char *bytes, size_t len, const char *not)
{
	for (size_t i = 0; i < len; i++)
		if (strchr(not, bytes[i]) != NULL)	/* NUL as well */
			return false;
	return true;
}

static void
add_hex(struct bytes_out *out, const void *bytes, size_t len)
{
	char hex[3];

	for (size_t i = 0; i < len; i++)
		bytes_put_block(out, digest_hex((const uint8_t *)bytes + i, 1, hex), 2, 0);
}

/* A row that is no text, as most of tcprules' are, is hexadecimal, without a tab. */
void
table_rows_add(void *table_rows, const void *key, size_t key_len, const void *data, size_t data_len)
{
	struct table_rows *t = table_rows;

	if (is_text(key, key_len, "\t\n") && is_text(data, data_len, "\n")) {
		bytes_put_block(&t->text, key, key_len, 0);
		bytes_put_block(&t->text, t->alias ? ":\t" : "\t", t->alias ? 2 : 1, 0);
		bytes_put_block(&t->text, data, data_len, 0);
	} else {
		add_hex(&t->text, key, key_len);
		bytes_put(&t->text, ':', 1);
		add_hex(&t->text, data, data_len);
	}
	bytes_put(&t->text, '\n', 1);
}

void
table_rows_end(struct table_rows *t, char ret_hex[DIGEST_HEX])
{
	size_t len = t->text.len;

	bytes_put(&t->text, '\0', 1);	/* digest_rows() reads it as a text */
	digest_rows((char *)t->text.at, len, ret_hex);
	explicit_bzero(t->text.at, t->text.len);
	free(t->text.at);
	free(t);
}

/* ---------------------------------------------------------------- files */

/* All of it, with a NUL behind it; NULL: it cannot be read, or is too large. */
static char *
read_all(const char *path, size_t *ret_len)
{
	FILE *in = fopen(path, "re");
	size_t room = 65536, len = 0, n;
	char *text = need(malloc(room));
	bool ok;

	while (in != NULL && len <= DUMP_MAX && (n = fread(text + len, 1, room - len - 1, in)) > 0) {
		len += n;
		if (room - len == 1)
			text = need(realloc(text, room *= 2));
	}
	ok = in != NULL && !ferror(in) && len <= DUMP_MAX;
	if (in != NULL)
		fclose(in);
	if (!ok) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	*ret_len = len;
	return text;
}

bool
table_rows_digest(const char *path, char ret_hex[DIGEST_HEX])
{
	size_t len;
	char *text = read_all(path, &len);

	if (text == NULL)
		return false;
	digest_rows(text, strlen(text), ret_hex);	/* a dump is text */
	explicit_bzero(text, len);
	free(text);
	return true;
}

bool
table_rows_cdb(const char *path, bool alias, char ret_hex[DIGEST_HEX])
{
	struct table_rows *rows;
	size_t len;
	char *bytes = read_all(path, &len), hex[DIGEST_HEX];
	bool ok;

	if (bytes == NULL)
		return false;
	rows = table_rows_new(alias);
	ok = cdb_each(bytes, len, table_rows_add, rows, NULL);
	table_rows_end(rows, hex);
	if (ok)
		memcpy(ret_hex, hex, sizeof hex);
	explicit_bzero(bytes, len);
	free(bytes);
	return ok;
}
