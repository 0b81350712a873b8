/*
 * configsync/cdb.h - the rows of a constant database: what tcprules, qmail-newu, qmail-newmrh and Postfix's type cdb make. Pure.
 * Source: cr.yp.to/cdb/cdb.txt. No program that dumps one can be counted on: postmap -s cannot.
 */
#ifndef CONFIGSYNC_CDB_H
#define CONFIGSYNC_CDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

typedef void cdb_row_f(void *arg, const void *key, size_t key_len, const void *data, size_t data_len);

/*
 * Calls row() for each record in the order of the file; the same key may come more than once. False with *err where the bytes are no
 * whole cdb: cut short, a length that leads out of it, or not one place in the hash tables for each record. row() may have been called by then.
 */
bool	cdb_each(const void *bytes, size_t len, cdb_row_f *row, void *arg, struct err *);

#endif
