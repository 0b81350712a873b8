/*
 * configsync/table_rows.h - what a table says, whatever its format: by its dump, which is text, a row a line. Blocks on the disk.
 */
#ifndef CONFIGSYNC_TABLE_ROWS_H
#define CONFIGSYNC_TABLE_ROWS_H

#include <stdbool.h>

#include "common/digest.h"

/* SHA-256 of the sorted rows of a dump. False: it cannot be read, or is larger than 256 MiB. */
bool	table_rows_digest(const char *path, char ret_hex[DIGEST_HEX]);

#endif
