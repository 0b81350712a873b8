/*
 * supervisor/engine.h - struct engine: facts in, actions out; the only writer of the role.
 *
 * One engine is one node. It has no global state, asks the time only through common/clock, and touches
 * the world only through struct edge (workers), struct link (beats) and struct engine_sink (journal). Handlers
 * translate what happened into facts and events and call engine_step(); nothing here waits.
 *
 *   engine.c        step, the queue of actions, the turn of the loop (engine_consider)
 *   engine_found.c  what is held when the daemon starts
 *   engine_tell.c   journal, log, watchers, the record of a transition
 *   engine_acts.c   what each action starts, and what its report means
 *   engine_peer.c   beats in and out, the view of the peer, claims and grants
 *   engine_fence.c  power status, fencing, the proof of death
 *   engine_watch.c  surveys, monitoring, preparation: how the own group is doing
 *   engine_disk.c   do the disks of the state directory and of the spool answer?
 *   engine_queue.c  what the checks of the mail queue said
 *   engine_ops.c    what the operator may ask, with refusals in words
 *   engine_status.c the snapshot for status, and the list of problems
 *   engine_why.c    the facts for "why" and "whatif"
 */
#ifndef SUPERVISOR_ENGINE_H
#define SUPERVISOR_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/journal.h"
#include "common/loop.h"
#include "common/spawn.h"
#include "mta/mta.h"
#include "supervisor/beat.h"
#include "supervisor/edge.h"
#include "supervisor/fsm.h"
#include "supervisor/gap.h"
#include "supervisor/link.h"
#include "supervisor/pulse.h"
#include "supervisor/queue_check.h"
#include "supervisor/status.h"
#include "supervisor/trial.h"
#include "supervisor/whatif.h"
#include "supervisor/why.h"

/* Where the engine writes what must be remembered and told. Must not block. */
struct engine_sink {
	void	(*journal)(void *arg, const struct journal_event *);
	void	(*tried)(void *arg, const char *report);	/* a try of the state directory has come back; may be NULL */
	void	(*exit)(void *arg);			/* the daemon may end now */
	void	*arg;
};

/* Somebody who wants to see the steps of a transition as they happen (a waiting command). */
struct engine_watcher {
	void	(*line)(void *arg, const char *text);
	void	(*role)(void *arg);			/* the role of either node changed, or actions ended */
	void	*arg;
	struct engine_watcher *next;
};

enum engine_job {		/* background work beside the actions; at most one of each runs */
	JOB_PROBE, JOB_POWER, JOB_SURVEY, JOB_MONITOR, JOB_PREPARE, JOB_SAVE, JOB_HOOK, JOB_FENCE_MONITOR, JOB_ANNOUNCE,
	JOB_ADDRESS_PROBE, JOB_TRY_STATE, JOB_TRY_SPOOL, JOB_QUEUE_DEEP,
	JOB_COUNT
};

struct engine_proof {
	enum proof_kind	 kind;
	uint64_t	 released;	/* RELEASED: tenures up to this one are let go */
	uint64_t	 at_ms;		/* when it was established */
	uint8_t		 boot[BEAT_BOOT_LEN];	/* the boot of the peer that it is about, zero = unknown */
	char		 text[200];
};

struct engine_hold {		/* what the last survey said of the own group */
	enum fact	storage, binds, addresses, interfaces, mta, ready, prepared, durable;
	bool		address[CONF_ADDRESSES_MAX];
	char		storage_text[128], interfaces_text[160], ready_text[256], prepared_text[256], durable_text[256];
	bool		queue_known;
	struct mta_queue_counts queue;
};

enum engine_disk_id { DISK_STATE, DISK_SPOOL, DISK_COUNT };

struct engine_disk {
	struct trial	 trial;
	struct loop_timer *timer;
	uint64_t	 since_wall_ms;		/* since when it is bad */
};

struct engine {
	struct loop		*loop;
	const struct conf	*conf;
	struct authkeys		 keys;
	const struct edge	*edge;
	struct engine_sink	 sink;
	char			 boot_text[64];
	uint8_t			 boot[BEAT_BOOT_LEN];

	/* who we are now: written by engine_step() alone */
	enum role		 role;
	enum intent		 intent;
	struct state		 state;		/* durable part; changes go through engine_save() */
	uint64_t		 own_tenure;	/* under which the spool is held here, 0 = not held */

	/* the queue of actions */
	enum fsm_act		 queue[FSM_ACTS_MAX];
	size_t			 queue_len, queue_at;
	bool			 queue_failed, queue_ran;
	struct spawn		*act_child;
	enum fsm_act		 act_running;
	uint64_t		 act_began_ms;
	struct edge_ctx		 act_ctx;
	char			 act_progress[160];	/* of the running action, "" = it says nothing of it */
	bool			 act_told;		/* that it takes long */
	bool			 act_stopped;		/* it was ended before its time */
	char			 act_error[512];	/* the first failure of this queue */

	/* the transition under way, for journal and status */
	uint64_t		 trans_id, trans_began_ms;
	char			 trans_kind[32], trans_from[CONF_NAME_MAX], trans_to[CONF_NAME_MAX], trans_reason[300];
	struct status_transition last;
	struct why_entered	 entered;
	struct engine_watcher	*watchers;

	/* the peer */
	struct link		 link[CONF_LINKS_MAX];
	size_t			 links;
	struct link_watch	*link_watch;
	struct gap		 gap[CONF_LINKS_MAX];
	int64_t			 rtt_us[CONF_LINKS_MAX];
	uint64_t		 rejected[CONF_LINKS_MAX][BEAT_VERDICT_COUNT];
	bool			 link_was_up[CONF_LINKS_MAX];
	struct pulse		 pulse;
	struct beat_memory	 memory;
	struct beat		 peer;			/* newest fresh beat */
	bool			 peer_known;		/* there is one */
	bool			 peer_left;		/* it said goodbye */
	bool			 peer_was_silent, peer_was_late;
	uint64_t		 peer_news_ms;		/* when the newest beat came */
	uint64_t		 peer_well_ms;		/* standby and healthy since, 0 = not */
	int64_t			 clock_offset_ms;
	uint64_t		 peer_mono_us, peer_here_us;	/* clocks of both at the newest beat */
	uint64_t		 seq, session, beats_sent;
	uint64_t		 claim, grant;		/* in our beats */
	bool			 offered;		/* grant is an offer of our own */
	uint64_t		 withdrew_us;		/* when a grant of ours was last taken back */
	uint64_t		 agreed;		/* the peer's grant on which the present acquisition rests */
	bool			 failing_back;		/* our request to hand over is a failback */
	uint64_t		 offer_ms;
	enum beat_request	 request;
	uint64_t		 request_ms;		/* when the request was made */
	uint64_t		 vacant_ms;		/* since when nobody owns, 0 = somebody does or unknown */

	/* proof and fencing */
	struct engine_proof	 proof;
	bool			 fencing;		/* an "off" is under way */
	bool			 fence_wanted;		/* ... or will be, when the question under way is answered */
	uint64_t		 power_asked_ms;	/* when the running or last question was put */
	uint64_t		 fence_blocked_ms;	/* after a failure: not before */
	uint64_t		 silent_ms;		/* since when the peer is silent, 0 = it is not */
	char			 fence_text[300];	/* last result, "" = none */
	bool			 fence_failed;
	bool			 commanded;		/* the operator vouched or fenced: automatic need not be on */
	spawn_done_f		*op_fence_done;		/* a waiting "mailpair fence" */
	void			*op_fence_arg;

	/* the disks */
	struct engine_disk	 disk[DISK_COUNT];
	uint64_t		 peer_spool_good_ms;	/* since when the peer owns a spool that works, 0 = it does not */
	bool			 peer_stalled;	/* it could not use its spool, and has not since */
	uint64_t		 mta_bad_ms;	/* since when the mail program does not answer */

	/* the own group */
	struct engine_hold	 hold;
	struct queue_report	 queue_fast, queue_deep;	/* of this tenure */
	uint64_t		 queue_checked_wall_ms;	/* the newer one of both, 0 = none */
	struct loop_timer	*queue_timer;
	struct mta_health	 mta_health;
	bool			 mta_died;
	struct loop_io		*mta_io;		/* pidfd of the mail program's main process */
	int			 mta_fd;
	pid_t			 mta_pid;
	uint64_t		 mta_began_ms;
	uint64_t		 restart_ms[16];	/* times of restarts and failed starts within the window */
	size_t			 restarts;
	uint64_t		 retry_own_ms;		/* after a failed start: not before */
	bool			 doubtful, interface_dead;
	char			 foreign[256];	/* a foreign owner of a service address, "" = none seen */
	uint64_t		 pauses, longest_pause_ms;
	uint64_t		 verify_ms;		/* when the disk was last looked at for that */
	uint64_t		 woke_us;		/* when the last long pause was noticed */
	char			 last_error[512];
	uint64_t		 last_error_wall_ms;

	struct spawn		*job[JOB_COUNT];
	struct edge_ctx		 job_ctx[JOB_COUNT];
	uint64_t		 job_began_ms[JOB_COUNT];
	bool			 save_again;
	bool			 unsaved;	/* the last save failed */
	struct hook_facts	 hook_queue[8];
	size_t			 hooks;
	enum fact		 fence_answers[CONF_FENCES_MAX];
	uint64_t		 fence_monitored_wall_ms;
	char			 fence_tested[CONF_FENCES_MAX][32];

	struct loop_timer	*beat_timer, *pulse_timer, *delay_timer, *retry_timer, *survey_timer, *monitor_timer,
				*prepare_timer, *fence_timer, *announce_timer, *consider_timer, *leave_timer, *maint_timer;
	const struct fsm_row	*last_row[EV_COUNT];	/* a level row that repeats is told once */
	bool			 peer_maintenance;	/* remembered while the peer is silent */
	bool			 probed, exiting, considering, stepping;
	bool			 goodbye;		/* our beats say so */
	unsigned int		 goodbyes;		/* how many more before the end */
	uint64_t		 started_ms;
	char			 probe_text[256];
	uint64_t		 standby_ms;		/* standby and well since, 0 = not */
	uint64_t		 surveys;
	uint64_t		 acts_begun, survey_acts;	/* ... when the running survey began */
};

/*
 * Begin: opens nothing by itself but the links; then probes what is held. conf and keys are copied by reference and
 * by value; conf must outlive the engine or be replaced by engine_reconf().
 */
void	engine_init(struct engine *, struct loop *, const struct conf *, const struct authkeys *, const struct edge *,
	    const struct engine_sink *, const struct state *, const char *boot_id);
void	engine_start(struct engine *);
void	engine_fini(struct engine *);
/* A checked new configuration (conf_can_reload was true) and keys. */
void	engine_reconf(struct engine *, const struct conf *, const struct authkeys *);

/* The one place where the role changes and actions start. */
void	engine_step(struct engine *, enum fsm_event);
/* Offer every level event that is so; called after anything was learnt. */
void	engine_consider(struct engine *);
void	engine_facts(const struct engine *, struct facts *ret);

void	engine_status(const struct engine *, struct status *ret);
void	engine_why(const struct engine *, struct why_facts *ret);
void	engine_whatif(const struct engine *, struct whatif_world *ret);

/* Operations; false with a sentence in *err: refused. They return at once, watchers tell the rest. */
enum op_result { OP_DONE, OP_STARTED, OP_NO, OP_UNSAFE };
enum op_result	engine_op_switchover(struct engine *, const char *to, struct err *);
enum op_result	engine_op_standby(struct engine *, struct err *);
enum op_result	engine_op_online(struct engine *, struct err *);
enum op_result	engine_op_maintenance(struct engine *, bool on, uint64_t for_ms, struct err *);
enum op_result	engine_op_confirm_dead(struct engine *, const char *node, struct err *);
enum op_result	engine_op_services(struct engine *, bool start, struct err *);
enum op_result	engine_op_cluster(struct engine *, bool start, struct err *);
enum op_result	engine_op_leave(struct engine *);
/* done() gets the worker's result; proof is noted where it is one. */
enum op_result	engine_op_fence(struct engine *, const char *node, enum edge_power, spawn_done_f *, void *arg, struct err *);
void	engine_watch(struct engine *, struct engine_watcher *);
void	engine_unwatch(struct engine *, struct engine_watcher *);
bool	engine_busy(const struct engine *);
/* Something about this node that an operator must know, and that changes nothing in who owns: the log, and a hook. */
void	engine_alarm(struct engine *, const char *text);

#endif
