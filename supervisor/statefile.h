/*
 * supervisor/statefile.h - what this node must remember over restarts, in STATE_DIR/state: small,
 * durable, text ("key value" lines). Format and parser are pure; reading and writing block.
 */
#ifndef SUPERVISOR_STATEFILE_H
#define SUPERVISOR_STATEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct state {
	uint64_t	tenure;			/* newest tenure known: own, heard or read from a seal */
	uint64_t	released;		/* newest tenure that this node held and let go */
	bool		offline;		/* operator's standby */
	bool		gave_up;		/* a service failed here beyond its budget */
	bool		services_stopped;	/* operator's "services stop", or ... */
	bool		queue_refused;		/* ... the queue's state and queue-check "refuse" */
	bool		maintenance;
	uint64_t	stalls;			/* how often in a row this node gave way to the disk of the spool */
	uint64_t	maintenance_until_wall_ms;	/* 0: without end */
};

bool	state_parse(const char *text, struct state *ret, struct err *);
size_t	state_format(const struct state *, char *buf, size_t size);

/* No file yet is no error: *ret is all zero. An unreadable one is. */
bool	state_load(const char *state_dir, struct state *ret, struct err *);
bool	state_save(const char *state_dir, const struct state *, struct err *);

/*
 * Whether it could be saved: the directory is touched, room taken and given back, and the disk told to keep it. Nothing is left
 * behind but a time.
 */
bool	state_try(const char *state_dir, struct err *);

#endif
