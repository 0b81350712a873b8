/*
 * tests/sim/sim.h - two production engines in one process, in a world that is made up from one number.
 *
 * fake_clock.c, fake_loop.c, fake_spawn.c and fake_link.c stand for the files of the same names, fake_edge.c,
 * fake_fence.c and fake_queue.c for everything the engine does to the world. world.c has the machines and the queue of what happens next,
 * plan.c what will go wrong, ops.c does that, check.c the laws, live.c what must be so once nothing goes wrong any more. play.h is the same world with a
 * script in the place of chance: scenarios in virtual time.
 *
 * clock_mono_us() has no argument, so there is one world at a time: "sim".
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/spawn.h"
#include "supervisor/engine.h"

#define NODES CONF_NODES
#define MS UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define NEVER UINT64_MAX

/* ---------------------------------------------------------------- chance */

struct rng { uint64_t s; };

static inline uint64_t
rng_next(struct rng *r)		/* splitmix64 */
{
	uint64_t z = r->s += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint64_t
rng_below(struct rng *r, uint64_t n)
{
	return n == 0 ? 0 : rng_next(r) % n;
}

static inline uint64_t
rng_in(struct rng *r, uint64_t low, uint64_t high)
{
	return low + rng_below(r, high - low + 1);
}

static inline bool
rng_chance(struct rng *r, unsigned int permille)
{
	return permille != 0 && rng_below(r, 1000) < permille;
}

/* ---------------------------------------------------------------- what may go wrong */

#define FAULTS(X)                                                                                   \
	X(LOSS) X(DELAY) X(DUP) X(CORRUPT) X(CUT) X(ONEWAY) X(FLAP) X(CARRIER)                      \
	X(POWER) X(REBOOT) X(KILL) X(LEAVE) X(PAUSE) X(FREEZE) X(DRIFT) X(WALL)                     \
	X(WORK_FAIL) X(WORK_HALF) X(WORK_HANG) X(WORK_LATE) X(WORK_SLOW)                            \
	X(FENCE_LIE) X(FENCE_HALF) X(FENCE_HANG) X(FENCE_LATE) X(FENCE_AWAY) X(FENCE_BLIND)         \
	X(FENCE_CYCLE) X(FENCE_ACTION) X(FENCE_NODE) X(FENCE_PREVIOUS)                              \
	X(MTA_DIES) X(MTA_HANGS) X(MTA_BROKEN) X(MTA_STUCK) X(ADDRESS) X(LAN) X(DISK) X(UNMOUNT)    \
	X(FULL) X(SEAL) X(RELOAD) X(KEYS) X(OPERATOR) X(SPOOL_HANGS) X(SPOOL_BREAKS) X(STATE_HANGS) X(STATE_BAD)

enum fault {
#define X(n) F_##n,
	FAULTS(X)
#undef X
	F_COUNT
};
#define BIT(f) (UINT64_C(1) << (f))

enum op_kind {
	OP_POWER_CUT, OP_POWER_ON, OP_REBOOT, OP_KILL, OP_LEAVE, OP_PAUSE, OP_FREEZE, OP_WALL, OP_CUT, OP_ONEWAY, OP_CARRIER,
	OP_MTA_DIES, OP_MTA_HANGS, OP_MTA_BROKEN, OP_MTA_STUCK, OP_ADDRESS, OP_LAN, OP_DISK, OP_UNMOUNT, OP_FULL, OP_SEAL,
	OP_RELOAD, OP_KEYS, OP_OPERATOR, OP_SPOOL_HANGS, OP_SPOOL_BREAKS, OP_STATE_HANGS, OP_STATE_BAD, OP_COUNT
};

/* What an operator may say: the choice of OP_OPERATOR. */
enum command { COMMAND_SWITCHOVER, COMMAND_TAKE, COMMAND_GIVE, COMMAND_STANDBY, COMMAND_ONLINE, COMMAND_MAINTENANCE, COMMAND_MAINTENANCE_END,
	COMMAND_CONFIRM_DEAD, COMMAND_SERVICES_STOP, COMMAND_SERVICES_START, COMMAND_CLUSTER_START, COMMAND_CLUSTER_STOP, COMMAND_FENCE,
	COMMAND_RESET, COMMAND_COUNT };

struct op {
	uint64_t	at;		/* virtual microseconds */
	enum op_kind	kind;
	int		node;
	uint64_t	a, b;		/* how long, which link, which command */
	int		work, worker;	/* not at, but the first time after it that this worker of that node begins (work_kind_name), 0 none */
	unsigned int	late;		/* ... and so much of its time later, permille */
	bool		off;		/* left out by the shrinker */
};
#define OPS_MAX 32

struct plan {
	uint64_t	seed;
	uint64_t	faults;		/* BIT(enum fault) */
	struct op	op[OPS_MAX];
	size_t		ops;
	size_t		tale;		/* plan_tale_name(), 0 none */
	uint64_t	calm_at;	/* nothing goes wrong after this */
	bool		mend;		/* an operator mends what was left behind */
	bool		linger;		/* look on for a while after all is well */
	bool		brisk;		/* machines boot at once, and the pair has something to do from the first second on */
	bool		heavy;		/* beats are lost and late more often */
	bool		slow_fence;	/* fence devices take seconds */
	bool		liar;		/* a fence device may lie in its action and its status: no law can hold, but the pair must recover */
	int		keep_off;	/* a node that stays without power, -1 none */
	int		absent;		/* a node that is off at the start, -1 none */
	/* configuration */
	uint32_t	keepalive_ms, deadtime_ms, initdead_ms, fence_delay_ms;
	size_t		links;
	bool		automatic, fences, failback, hints, stamps;	/* stamps: the file system notes who mounted it (ext4, not xfs) */
	int		prefer;
	enum conf_queue_check queue_check;
	int		devices;	/* of each node: plan_fences() */
	bool		mute;		/* management controllers have no status */
	/* how often, permille */
	unsigned int	loss, dup, corrupt, fail, half, hang, late, slow, fence;
	unsigned int	delays;
	uint64_t	delay_max;
	unsigned int	ways;		/* of which links and directions these are: bit 2 * link + sender */
	unsigned int	pace;		/* permille of the spread of what boots and workers take: 1000 all of it */
	const struct conf *conf[NODES];	/* in force as they are; NULL: drawn */
};

/* ---------------------------------------------------------------- the world */

enum item_kind { IT_TIMER, IT_PACKET, IT_STEP, IT_DEADLINE, IT_IO, IT_HINT, IT_OP, IT_BOOT, IT_DAEMON, IT_POWER_ON, IT_CLIENT,
	IT_MAIL, IT_UNCUT, IT_UNDO, IT_FENCED, IT_CALM, IT_LOOK, IT_SCRIPT };

/* Who is kept from it by a pause. */
enum item_class { CLASS_WORLD, CLASS_WORKER, CLASS_DAEMON };

struct item {
	uint64_t	due, tie;
	enum item_kind	kind;
	enum item_class	class;
	int		node;
	void		*p;
	uint64_t	a;
	size_t		*slot;		/* of the owner: index + 1, 0 = not queued */
};

struct loop { int node; };

struct loop_timer { bool used; int node; loop_timer_f *fired; void *arg; uint64_t mono_us; size_t slot; };
struct loop_io { bool used; int node, fd; loop_io_f *ready; void *arg; size_t slot; };

enum fate { FATE_GOOD, FATE_FAIL, FATE_HALF, FATE_HANG, FATE_LATE };

struct spawn_out { char text[3072]; size_t len; };

struct spawn {
	bool		used, lost, calling;	/* lost: nobody waits for its report */
	bool		alone, late;	/* its report waits for its end, which was ordered at its deadline */
	int		node;
	const struct work_kind *kind;
	struct edge_ctx	ctx;
	enum fate	fate;
	bool		stuck;		/* in the kernel, since a disk hangs: cannot be killed, and goes on when that is over */
	int		phase;
	bool		failed;		/* the work itself said no */
	bool		killed;		/* before its time, by who began it */
	bool		moves;		/* it says so whenever its deadline comes, which is then put off */
	spawn_progress_f *progress;
	uint64_t	began, mono_us;	/* when it began; its deadline */
	uint64_t	end_us;		/* how long it takes in all */
	struct spawn_out out;
	struct err	err;
	spawn_done_f	*done;
	void		*arg;
	size_t		step_slot, deadline_slot;
};

#define SPAWNS 64
#define REPAIR_SPANS 3			/* a repair that comes further takes so many of its deadlines at most */

struct packet { bool used; int to, link; uint64_t sent_at; uint8_t bytes[LINK_DATAGRAM_MAX]; size_t len, slot; };

enum pause_kind { PAUSE_NONE, PAUSE_DAEMON, PAUSE_HOST, PAUSE_FREEZE };

enum fence_device { FENCE_BMC, FENCE_OUTLET_A, FENCE_OUTLET_B, FENCE_DEVICES };
struct answer { int code; const char *out; };	/* of a fence agent: exit status and output */

enum queue_look { LOOK_NONE, LOOK_IN_VAIN, LOOK_DONE };	/* in vain: without a verdict */

struct node {
	int		id;
	/* power and boot */
	bool		power, booted, running;		/* running: the daemon */
	uint64_t	off_at, on_at;			/* last changes of power */
	uint64_t	epoch;				/* counts boots */
	char		boot[64];
	size_t		boot_slot, daemon_slot, power_slot;
	bool		left;				/* the daemon ended in order */
	unsigned int	dark;				/* its outlets that are off, by enum fence_device */
	struct answer	answered[FENCE_DEVICES];	/* what its devices had to say last, whether they did or not */
	bool		disabled;			/* nobody starts it */
	/* time */
	uint64_t	mono_base, virt_base;
	int64_t		ppm, wall_ms;			/* drift; wall clock's error */
	uint64_t	paused_until;
	enum pause_kind	pause;
	/* daemon */
	struct loop	loop;
	struct engine	en;
	struct conf	conf, changed[2];		/* what the file says, and after reloads */
	const struct conf *now;				/* in force, or at the next start */
	struct authkeys	keys;				/* the same of its keys ... */
	size_t		keyed;				/* ... and which of the plan's they are */
	unsigned int	reloads;
	bool		ending;				/* sink.exit was called */
	enum role	seen_role;			/* by the journal */
	uint64_t	heard_sent_at;			/* when the newest beat that it believes was sent */
	/* kernel */
	bool		mounted, shut;			/* shut: let go without writing */
	uint64_t	mount_gen;
	bool		binds, address;
	int		mta_pid;			/* 0: does not run */
	bool		mta_hung, mta_stuck;		/* stuck: cannot even be killed */
	bool		held;				/* a process that ignores TERM works on the spool */
	enum queue_look	look;				/* at the queue, since it was mounted or its mail program was stopped */
	bool		rough;				/* a step failed, or was interfered with, since it has power: their order is no law */
	/* surroundings */
	bool		unmount_hangs;			/* for as long as it has power */
	bool		mta_broken, lan_dead, disk_dead, state_bad;
	uint64_t	spool_hung, state_hung;		/* since when these disks answer nothing, 0: they do */
	bool		spool_ro;			/* its file system found an error, and can only be read until it is mounted anew */
	uint64_t	spool_bad_at;			/* when the spool could last not be used there */
	bool		taking;				/* it was acquiring at the last look */
	uint64_t	daemon_at, steady_at;		/* it runs since; it is active with nothing under way since */
	/* durable */
	char		state[512], state_before[512];	/* before: what may be there again if the power fails now */
	bool		unsynced;
};

enum mail_place { MAIL_NONE, MAIL_WRITTEN, MAIL_QUEUED };
struct mail {
	enum mail_place	place;
	bool		acked, delivered;
	int		node, pid;		/* whose mail program had it in its hands last */
	uint64_t	gen, number;		/* the mount that it was written to, 0 = the node's own disk */
};
#define MAILS 24

struct wire { bool cut[NODES]; };	/* by the sender */

/* What a play puts in the place of chance. */
struct script {
	/* how long this worker takes, 0: as usual; spawn_wake() may end it before */
	uint64_t (*takes)(const struct spawn *);
	spawn_work_f *power, *fence_monitor;
	/* false: lost on the way */
	bool	(*sent)(const struct link *, const uint8_t *bytes, size_t len);
	void	(*power_changed)(struct node *);
	void	(*journal)(struct node *, const struct journal_event *);
	void	(*item)(const struct item *);		/* IT_SCRIPT */
};

struct sim {
	const struct script *script;			/* NULL: none */
	const struct plan *plan;
	struct rng	rng, tie, work, net, entropy;
	uint64_t	now, begin;
	struct node	node[NODES], *cur;
	bool		calm;

	size_t		items, spawns;			/* spawns: none was ever used from this one on */
	struct wire	wire[CONF_LINKS_MAX];
	size_t		uncut_slot[CONF_LINKS_MAX];

	/* the disk */
	char		seal[600], spoiled[600];	/* spoiled: what a person has put in the place of the seal, "" = nothing */
	size_t		seal_len;
	uint64_t	fired;				/* ops that waited for a worker, by their bit */
	bool		full, thief;			/* thief: a third host has the service address */
	bool		torn;			/* the queue: its mail program died with its kernel, and nobody has mended it since */
	uint64_t	repair_us;		/* how long that takes, 0: as any check */
	bool		repair_still;		/* it comes no further */
	uint64_t	mount_gen, tenure;
	int		tenure_node;
	char		seal_before[600];		/* what stays there if the power of this node fails before the seal is synced */
	size_t		seal_before_len;
	uint64_t	tenure_before;
	int		tenure_node_before, unsynced;	/* unsynced: node + 1, 0 = none */
	struct mail	mail[MAILS];
	bool		mail_moves;
	uint64_t	mails, acked, delivered;	/* messages that were made; acknowledged; of these, delivered */
	int		pids;

	/* the outcome */
	uint64_t	events, same_time;
	bool		failed, done;
	char		why[512];
	bool		trace;
	uint64_t	good_since, still_since, bound_at;

	/* pools */
	struct item	item[512];
	struct loop_timer timer[64];
	struct loop_io	io[16];
	struct spawn	spawn[SPAWNS];
	struct packet	packet[256];
};

extern struct sim *sim;

/* world.c */
void	world_init(const struct plan *);
void	world_run(void);
int	world_step(void);	/* the next event and the laws; whose it was, NODES: the world's, -1: nothing will happen any more */
uint64_t sim_takes(struct rng *, uint64_t min_us, uint64_t max_us);	/* by the plan's pace */
void	item_add(size_t *slot, uint64_t due, enum item_kind, enum item_class, int node, void *p, uint64_t a);
void	item_drop(size_t *slot);
uint64_t node_mono(const struct node *);
uint64_t node_virt(const struct node *, uint64_t mono_us);	/* when its clock will show that */
void	node_retime(struct node *);			/* its clock has changed */
void	node_power_off(struct node *, const char *why);
void	node_power_on(struct node *);
void	node_daemon_kill(struct node *);
void	node_daemon_start(struct node *);
void	node_mta_kill(struct node *);
void	node_pause(struct node *, enum pause_kind, uint64_t us);
bool	node_stands_still(const struct node *);		/* the whole machine */
void	sim_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	sim_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define TRACE(...) do { if (sim->trace) sim_trace(__VA_ARGS__); } while (0)

/* fake_loop.c, fake_spawn.c, fake_link.c: what the queue calls, and what a dead daemon leaves */
void	loop_drop(int node);
void	loop_mta_died(int node, int pid);
void	spawn_step(struct spawn *);
void	spawn_due(struct spawn *);
void	spawn_wake(struct spawn *);	/* what it waited for has come */
void	spawn_orphan(int node);		/* the daemon is gone, and so are its workers but those stuck in the kernel */
void	spawn_drop(int node);		/* so is the machine */
bool	spawn_in_flight(int node, spawn_work_f *, bool claimed);
bool	spawn_stuck(int node, spawn_work_f *);	/* one of this kind waits in the kernel */
void	link_deliver(struct packet *);
void	link_drop(int node);

/* fake_edge.c */
struct work_kind {
	const char	*name;
	spawn_work_f	*work;
	int		phases;
	uint32_t	min_us, max_us;
	bool		sticks;		/* may be stuck in the kernel or in a device beyond its deadline, and work then */
	bool		fence;
	bool		quiet;		/* not worth a line of the trace */
};
const struct work_kind *work_kind(spawn_work_f *);
const char *work_kind_name(int number);		/* from 1 on; NULL: no more */
extern const struct edge sim_edge;
void	disks_unsynced(struct node *);
bool	edge_hangs(const struct spawn *);	/* its next phase would wait for a disk */
int	edge_phase(void);
void	edge_set_phase(int phase);

/* fake_fence.c */
bool	fence_work_power(const void *, struct spawn_out *, struct err *);
bool	fence_work_monitor(const void *, struct spawn_out *, struct err *);
enum fence_device fence_device(const struct conf_fence *);
bool	fence_device_lives(const struct conf_fence *);		/* has it power itself? */
bool	fence_device_on(const struct conf_fence *, int node);	/* what it sees of that node */
void	fence_device_set(const struct conf_fence *, int node, bool on);
void	fence_later(const struct conf_fence *, int node, bool on, uint64_t us);
void	fence_happens(uint64_t what);		/* IT_FENCED */
void	fence_acts(int node, bool off);		/* the machine itself */

/* fake_queue.c */
bool	queue_work_check(const void *, struct spawn_out *, struct err *);
bool	queue_will_mend(const struct edge_ctx *);	/* a check would find something, and mend it */
bool	queue_work_deep(const void *, struct spawn_out *, struct err *);
void	queue_begins(const struct node *, enum conf_queue_check);

/* plan.c */
void	plan_make(struct plan *, uint64_t seed);
void	plan_conf(const struct plan *, struct conf *, int self);
const char *plan_node(int node);
bool	plan_setup(void);			/* reads the configuration once */
#define KEYS 7
extern struct authkeys sim_keys[KEYS];	/* the pair's own; then those of a rotation, in order and out of it */
extern const char *const fault_names[F_COUNT];

/* tales.c */
void	plan_tale(struct plan *, struct rng *);		/* begins one, or none */
const char *plan_tale_name(size_t number);		/* from 1 on; NULL: no more */

/* ops.c */
void	plan_begin(void);
void	plan_op(const struct op *);
void	plan_work(const struct spawn *);	/* it begins */
void	plan_undo(int node, uint64_t what);
void	plan_uncut(uint64_t link);
void	plan_calm(void);
void	op_print(const struct op *, char *buf, size_t size);

/* check.c */
void	check_world(void);
void	check_mount(const struct node *);
void	check_seal(const struct node *, uint64_t tenure);
void	check_order(const struct node *, const char *what, bool wrong);	/* steps that clients would feel */
void	check_journal(void *arg, const struct journal_event *);

/* mail.c */
void	mail_calls(void);
void	mail_step(struct mail *, uint64_t what);
bool	mail_complete(void);

/* live.c */
uint64_t live_bound_us(const struct conf *);
void	live_look(void);

/* cover.c */
struct cover;
void	cover_open(void);
size_t	cover_report(bool all);			/* rows that were not seen as the table says */

/* shrink.c */
bool	run_plan(const struct plan *, bool trace);	/* true: all laws held */
void	shrink(struct plan *);

#endif
