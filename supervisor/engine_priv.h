/*
 * supervisor/engine_priv.h - what the engine's files tell each other. Nobody else includes it.
 */
#ifndef SUPERVISOR_ENGINE_PRIV_H
#define SUPERVISOR_ENGINE_PRIV_H

#include "supervisor/engine.h"

#define SURVEY_MS 5000		/* how often the own group is looked at */
#define QUEUE_COUNT_EVERY 6	/* ... and its queue counted: every so many surveys */
#define PREPARE_STANDBY_MS 60000
#define PREPARE_OWNER_MS 300000
#define POWER_AGAIN_MS 200	/* the power status is asked for at most so often */
#define OFFER_WAIT_MS 5000	/* how long an offer stands before the offerer may claim again */
#define FIRST_WAIT_MS 2000	/* ... and the second in line for the first, where that is not well */
#define PROBE_AGAIN_MS 2000
#define VERIFY_AGAIN_MS 5000
#define REQUEST_MS 60000	/* how long "please hand over" is repeated */

/* engine.c */
void	engine_run_queue(struct engine *);
void	engine_save(struct engine *);			/* write the durable state, soon */
void	engine_soon(struct engine *);			/* consider again at the next turn */
const char *engine_peer_name(const struct engine *);
void	engine_job_start(struct engine *, enum engine_job, const char *name, spawn_work_f *, uint32_t limit_ms, spawn_done_f *);

/* engine_found.c */
void	engine_probe(struct engine *);
void	engine_probe_again(void *arg);			/* or, once it is known what is held, look at the group */

/* engine_tell.c */
void	engine_journal(struct engine *, struct journal_event *);	/* fills time and tenure */
void	engine_told_role(struct engine *);		/* watchers: a role changed or actions ended */
void	engine_tell(struct engine *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));	/* to watchers */
void	engine_event(struct engine *, const char *name, bool ok, const char *fmt, ...)
	    __attribute__((format(printf, 4, 5)));	/* a journal row and a log line */
void	engine_trans_begin(struct engine *, const char *kind, const char *from, const char *to, const char *reason);
void	engine_trans_end(struct engine *, bool ok);

/* engine_acts.c */
bool	engine_act_begin(struct engine *, enum fsm_act);	/* a group action, in a worker; false: not yet */
void	engine_act_leave(struct engine *);	/* the role changes: what may be cut off at any moment need not be waited for */
void	engine_act_now(struct engine *, enum fsm_act);		/* one that takes effect at once */
bool	engine_act_forgiven(enum fsm_act);	/* on the way down its failure alone is no failure to let go */

/* engine_peer.c */
void	engine_peer_init(struct engine *);
void	engine_peer_start(struct engine *);
void	engine_peer_fini(struct engine *);
void	engine_beat_now(struct engine *);
enum view engine_view(const struct engine *);
bool	engine_peer_alive(const struct engine *);	/* fresh beats come (alive or late), and no proof says otherwise */
bool	engine_agreed(const struct engine *);
void	engine_withdraw(struct engine *);		/* take the grant or offer back, if one is out */
uint64_t engine_known(const struct engine *);		/* newest tenure known, own or heard */
enum fact engine_elected(const struct engine *);
enum fact engine_claim_wins(const struct engine *);
enum fact engine_peer_newer(const struct engine *);	/* it holds, or may hold, under a tenure newer than ours */
enum fact engine_config_same(const struct engine *);
void	engine_pulse_timer(struct engine *);

/* engine_fence.c */
void	engine_prove(struct engine *, enum proof_kind, uint64_t released, const char *fmt, ...)
	    __attribute__((format(printf, 4, 5)));
void	engine_unprove(struct engine *);
void	engine_ask_power(struct engine *, bool hint);
void	engine_fence(struct engine *);
void	engine_fence_later(struct engine *);
void	engine_fence_retry_later(struct engine *);
void	engine_fence_calm(struct engine *);		/* the peer is heard: forget what was planned */
void	engine_fence_delay_fired(void *arg);
void	engine_fence_tested(struct engine *, int node, const struct spawn_result *);
bool	engine_can_fence(const struct engine *);

/* engine_watch.c */
void	engine_watch_start(struct engine *);
void	engine_survey_now(struct engine *);
void	engine_mta_follow(struct engine *, pid_t);	/* 0: stop following */
bool	engine_mta_down(const struct engine *);
bool	engine_may_restart(const struct engine *);
void	engine_restart_note(struct engine *);
void	engine_hook(struct engine *, const char *event, const char *reason);
void	engine_prepare_now(struct engine *);
void	engine_address_probe(struct engine *);	/* beside the way up; ADDRESS_UP waits for its answer */

/* engine_disk.c */
void	engine_disk_init(struct engine *);
void	engine_disk_start(struct engine *);
void	engine_disk_entered(struct engine *, enum role from);
void	engine_disk_pass(struct engine *);		/* what the peer's newest beat says of its own */
enum fact engine_disk_good(const struct engine *, enum engine_disk_id);
bool	engine_disk_trying(const struct engine *);	/* a try is out on the mounted spool that may come back soon */
bool	engine_disk_asked(struct engine *);		/* since the mail program stopped answering; else it is asked now */
bool	engine_spool_stalled(const struct engine *);
bool	engine_stalls_left(const struct engine *);
void	engine_stall_note(struct engine *);		/* this node gives way to its disk */
void	engine_stalls_forget(struct engine *);
bool	engine_could_fence(const struct engine *);	/* by itself, as far as is known */
bool	engine_disk_refuses(const struct engine *, struct err *);	/* why owning could not begin here; false: it could */
/* "the disk of ... has answered nothing since ... (12 s)"; false and buf untouched: it is good, or nothing is known */
bool	engine_disk_says(const struct engine *, enum engine_disk_id, char *buf, size_t size);
bool	engine_disk_says_peer(const struct engine *, enum engine_disk_id, char *buf, size_t size);
/* engine_queue.c */
void	engine_queue_start(struct engine *);
void	engine_queue_checked(struct engine *, const struct spawn_result *);	/* the one before a start */
/* Was the start refused because of the queue? Then the services count as stopped until the operator starts them. */
bool	engine_queue_refused(struct engine *, const struct spawn_result *);
void	engine_queue_mends(void *arg, const char *text);	/* how far that has come: a spawn_progress_f */
bool	engine_queue_mending(const struct engine *);	/* a repair before a start is at work */
void	engine_queue_leave(struct engine *);		/* the spool goes: nobody may read in it any more */

/* engine_ops.c */
bool	engine_peer_can_take(const struct engine *);
bool	engine_peer_cannot_take(const struct engine *, struct err *);	/* ... and why; false: it can */

#endif
