/*
 * configsync/verify.h - would a staged set be valid? The real program is asked, on a copy, before anything is put in place.
 *
 * The answer UNKNOWN (a program that is missing or late, a full disk) is never taken as VALID. Nothing in use is
 * written, no service is touched, and of a private key nothing but its path and its public half is ever given away.
 */
#ifndef CONFIGSYNC_VERIFY_H
#define CONFIGSYNC_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/spawn.h"
#include "configsync/set.h"
#include "configsync/view.h"

#define VERIFY_DUMPS_MAX 64
#define VERIFY_DEADLINE_MS 10000u

enum validity { VALIDITY_UNKNOWN, VALIDITY_INVALID, VALIDITY_VALID, VALIDITY_COUNT };

/*
 * A table: its source, its format ("hash", "tcprules"), and SHA-256 in hexadecimal of its sorted rows, whatever the format. old: the one in use says
 * something else (in_place).
 */
struct verify_dump { char path[512]; char type[16]; char digest[65]; bool old; };

struct verify_job {
	struct set_id			 set;
	struct view			 view;		/* its changes are those of the set */
	const char			*scratch;	/* a directory of our own, made with mode 0700, emptied before and after; one job at a time */
	bool				 in_place;	/* the changes are what is there already: are its tables made of it? */
	uint32_t			 deadline_ms;	/* 0: VERIFY_DEADLINE_MS */
};

struct verify_result {
	enum validity		 verdict;
	char			 file[512];		/* the first that is at fault, from the root, or "" */
	unsigned int		 line;			/* 0: none */
	char			 why[512];		/* a sentence; VALID: what was checked */
	char			 notes[2048];		/* what is valid and yet worth a look, a line each */
	struct verify_dump	 dump[VERIFY_DUMPS_MAX];	/* the tables to be made: their source changed, or they are missing */
	size_t			 dumps;
	uint32_t		 took_ms;
};

typedef void verify_done_f(void *arg, const struct verify_result *);

/*
 * Begins it in a worker; done() is called once, later, from the loop, at the deadline at the latest. job and all it names live
 * until then. NULL never.
 */
struct verify;
struct verify *verify_start(struct loop *, const struct verify_job *, verify_done_f *, void *arg);
void	verify_forget(struct verify *);		/* ends it; done() will not be called */
const char *validity_word(enum validity);		/* "unknown", "invalid", "valid" */

#endif
