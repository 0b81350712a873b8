/*
 * supervisor/edge.h - everything the engine does to the world, as functions for workers. The engine knows
 * only this table; edge_real.c fills it with the real steps, the simulator with its own.
 *
 * Each function runs in a child with a deadline (common/spawn.h), may block, shares nothing with the
 * daemon, and reports "key value" lines. The keys that the engine reads are named with each.
 */
#ifndef SUPERVISOR_EDGE_H
#define SUPERVISOR_EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/spawn.h"
#include "common/hooks.h"
#include "supervisor/seal.h"
#include "supervisor/statefile.h"

enum edge_power { EDGE_POWER_STATUS, EDGE_POWER_OFF, EDGE_POWER_ON, EDGE_POWER_RESET, EDGE_POWER_TEST };

/* The question put to a worker; a copy, so the engine may go on changing its own. */
struct edge_ctx {
	const struct conf	*conf;
	char			 boot[64];	/* this kernel's boot id, as in the seal */
	enum proof_kind		 proof;		/* what entitles us (seal) */
	uint64_t		 released, known;	/* see seal_judge */
	struct state		 state;		/* to save; seal() fills in the new tenure */
	bool			 owner;		/* this node is active (survey, prepare, try_spool) */
	bool			 with_services;	/* start the mta and take the addresses */
	int			 node;		/* whose power */
	enum edge_power		 power;
	struct hook_facts	 hook;
	bool			 stop_first;	/* mta_restart: it may run, but it must not go on */
	bool			 count_queue;	/* survey: count what is queued too */
	char			 foreign[256];	/* address_up: what the probe found, "" = nobody */
	bool			 hurry;		/* mta_restart, abandon: force at once */
	uint32_t		 limit_ms;	/* the worker's own deadline, to stop in time by itself */
};

struct edge {
	/* at start: "mine yes" where this node mounted the spool in this boot, "held yes|no|unknown"; where yes, "sealed WORD" (seal_found_name), "tenure N" of the seal, "text ..." */
	spawn_work_f	*probe;
	/*
	 * The group, see fsm.h; "seal": "tenure N" before it is written, "newer N" where the one found is refused; "mta_start",
	 * "mta_restart": "pid N"
	 */
	spawn_work_f	*storage_up, *seal, *bind, *mta_start, *address_up;
	/* the queue before a start, and (deep) while the mail program runs: the keys of queue_check.h */
	spawn_work_f	*queue_check, *queue_deep;
	/* beside these: does somebody else answer for a service address? fails with who it is */
	spawn_work_f	*address_probe;
	spawn_work_f	*ease, *address_down, *mta_stop, *unbind, *storage_down, *abandon, *mta_restart;
	/* after a pause: "touched yes|no|unknown" */
	spawn_work_f	*verify;
	/* the state file */
	spawn_work_f	*save;
	/* fence devices: "power on|off|unknown" (status), "text SENTENCE" */
	spawn_work_f	*power;
	/* "answers-I yes|no|unknown" for every device I of the configuration */
	spawn_work_f	*fence_monitor;
	/*
	 * Every few seconds: "held", "binds", "address-I yes|no", "interfaces yes|no|unknown TEXT", "mta yes|no|unknown",
	 * "pid N", "ready yes|no TEXT", "storage TEXT", "durable yes|no|unknown TEXT" (of an
	 * owner whose mail program needs it, see mta.h), "queue TOTAL INCOMING ACTIVE DEFERRED HOLD CORRUPT MAILDROP"
	 */
	spawn_work_f	*survey;
	/* do the disks answer? fails where one says no, and is not back where it hangs; see storage.h for owner */
	spawn_work_f	*try_state, *try_spool;
	/* one SMTP dialogue: "answer answered|refused|none|unknown", "text SENTENCE" */
	spawn_work_f	*monitor;
	/* checks and page cache ahead of a start: "prepared yes|no", "why TEXT" */
	spawn_work_f	*prepare;
	spawn_work_f	*announce;
	spawn_work_f	*hook;
};

extern const struct edge edge_real;

#endif
