/*
 * configsync/table_rows.c - sorts the rows of a dump and takes their digest. Blocks; in a worker.
 */
#include "configsync/table_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool
table_rows_digest(const char *path, char ret_hex[DIGEST_HEX])
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;
	ssize_t len = -1;

	if (in != NULL) {
		len = getdelim(&text, &room, '\0', in);	/* a dump is text */
		if (len == -1 && feof(in))
			len = 0;
		fclose(in);
	}
	if (len < 0 || (size_t)len > DUMP_MAX) {
		free(text);
		return false;
	}
	if (len > 0)
		digest_rows(text, (size_t)len, ret_hex);
	else
		digest_rows((char[]){ "" }, 0, ret_hex);
	if (text != NULL)
		explicit_bzero(text, room);
	free(text);
	return true;
}
