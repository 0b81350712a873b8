/*
 * configsync/qmail_rows.h - what qmail's tables have to say, by their sources: its programs make them in their own place alone, so that none can be
 * made to try. Pure. Source: qmail-users(5), qmail-newu.c and qmail-newmrh.c of netqmail 1.06.
 */
#ifndef CONFIGSYNC_QMAIL_ROWS_H
#define CONFIGSYNC_QMAIL_ROWS_H

#include "configsync/cdb.h"

/*
 * Calls row() for each record that the program ("qmail-newu", "qmail-newmrh") writes for the text of its source. False: it would refuse the
 * text, or is neither of them; row() may have been called by then.
 */
bool	qmail_rows(const char *program, const char *text, size_t len, cdb_row_f *row, void *arg);

#endif
