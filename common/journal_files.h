/*
 * common/journal_files.h - between journal.c and journal_files.c: the files of a journal as files. Blocks.
 */
#ifndef COMMON_JOURNAL_FILES_H
#define COMMON_JOURNAL_FILES_H

#include <stdbool.h>

#include "common/err.h"

/* Mode 0640, of its directory's group; one that is there already is left as it is. */
bool	journal_files_create(const char *path, struct err *);
/* The three files of a spoilt journal get their new names; why: what is wrong with it. On success *err tells what was done. */
bool	journal_files_aside(const char *path, const char *why, struct err *);

#endif
