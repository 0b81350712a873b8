/*
 * configsync/table_rows.h - what a table says, whatever its format: SHA-256 of its rows, sorted, each the line that postmap -s would print.
 */
#ifndef CONFIGSYNC_TABLE_ROWS_H
#define CONFIGSYNC_TABLE_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/digest.h"

/* Of a dump. False: it cannot be read, or is larger than 256 MiB. Blocks on the disk. */
bool	table_rows_digest(const char *path, char ret_hex[DIGEST_HEX]);
/* Of a cdb; alias: made by postalias, which shows a row in another way. False: also where it is no whole one. Blocks on the disk. */
bool	table_rows_cdb(const char *path, bool alias, char ret_hex[DIGEST_HEX]);

/* Of rows that come one by one. Aborts where memory ends; table_rows_end() frees it. */
struct table_rows;
struct table_rows *table_rows_new(bool alias);
void	table_rows_add(void *table_rows, const void *key, size_t key_len, const void *data, size_t data_len);	/* a cdb_row_f */
void	table_rows_end(struct table_rows *, char ret_hex[DIGEST_HEX]);

#endif
