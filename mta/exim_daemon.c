/*
 * mta/exim_daemon.c - starts and stops Exim's daemon. Runs in a worker; blocks until the caller's deadline at most.
 *
 * Exim's own way to stop is a TERM to the daemon: it closes its ports and goes, and leaves whatever it has begun.
 * A queue runner would go on for hours. So that is ended too; only deliveries are waited for, since one that is ended
 * between the last dot and its 250 is made twice.
 */
#include "mta/exim_daemon.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "mta/exim_listen.h"
#include "mta/exim_process.h"

#define FORCE_MS_MAX 3000	/* kept of a stop's time for KILL */
#define LOOK_MS 20		/* how often a stop looks for processes that were born meanwhile */
#define PATIENCE_MS 500	/* for a reception to end its message, and for who got a TERM to go */
#define LISTEN_MS 2		/* how often a start looks whether the ports are taken */
#define ABANDON_MS 1000

/* Too large for a stack that is locked into memory. */
struct told { pid_t pid; uint64_t at_ms; };
struct stopping { struct exim_instance inst; struct exim_processes list, chosen; struct told told[EXIM_PROCESSES_MAX]; size_t tolds;
	uint64_t began_ms; };

static uint32_t
left_ms(uint64_t deadline_ms)
{
	uint64_t now = clock_mono_ms();

	return now < deadline_ms ? (uint32_t)(deadline_ms - now) : 0;
}

/* Deadlines come as both: whichever is nearer. */
static uint64_t
at_most(uint64_t deadline_ms, uint64_t span_ms)
{
	uint64_t other = clock_mono_ms() + span_ms;

	return other < deadline_ms ? other : deadline_ms;
}

/* Is its daemon there? *ret_any: some process of it is, at least. */
static enum fact
look(const struct exim_conf *conf, pid_t *ret_pid, bool *ret_any, struct err *err)
{
	struct exim_processes *list = calloc(1, sizeof *list);
	const struct exim_process *daemon = NULL;
	struct exim_instance inst;
	enum fact fact = FACT_UNKNOWN;
	char pid_file[EXIM_PATH_MAX];

	*ret_any = false;
	if (list == NULL)
		err_set(err, 0, "out of memory");
	else if (exim_instance(conf, &inst, err))
		fact = exim_processes(&inst, list, err);
	if (fact == FACT_YES) {
		*ret_any = true;
		exim_conf_pid_file(conf, pid_file, sizeof pid_file);
		daemon = exim_daemon_of(list, pid_file);
		if (daemon == NULL)
			fact = FACT_NO;		/* deliveries of one that is gone */
	}
	if (fact != FACT_UNKNOWN)
		*ret_pid = daemon != NULL ? daemon->pid : 0;
	free(list);
	return fact;
}

enum fact
exim_alive(const struct exim_conf *conf, pid_t *ret_pid, struct err *err)
{
	bool any;

	return look(conf, ret_pid, &any, err);
}

/* ---------------------------------------------------------------- starting */

/* The program with its options; argv has room for them. */
static void
command_line(const struct exim_conf *conf, const struct exim_args *args, const char *argv[EXIM_ARGS_MAX + 4])
{
	const char *word = NULL;
	int n = 0;

	argv[n++] = conf->program;
	if (conf->given[0] != '\0') {
		argv[n++] = "-C";
		argv[n++] = conf->given;
	}
	for (size_t i = 0; i < args->len; i++)
		argv[n++] = word = exim_args_next(args, word);
	argv[n] = NULL;
}

static bool
run(const char *const *argv, const char *what, uint64_t deadline_ms, struct err *err)
{
	const struct spawn_cmd cmd = { .argv = argv };
	char errout[512] = "";
	struct err why = { 0 };
	int status = spawn_run(&cmd, left_ms(deadline_ms), NULL, 0, errout, sizeof errout, &why);

	for (char *p = errout; *p != '\0'; p++)
		if (*p == '\n')
			*p = ' ';
	if (status == 0)
		return true;
	if (status == -1)
		return err_set(err, 0, "%s did not come up: %s", what, why.text);
	return err_set(err, 0, "%s ended with status %d: %.300s", what, status, errout[0] != '\0' ? errout : "the reason is in its log");
}

/* Is each of its ports taken, by whomever? One that this machine cannot have at all is not waited for. */
static bool
all_taken(const struct exim_listen *list)
{
	for (size_t i = 0; i < list->len; i++)
		if (exim_port_free(&list->at[i].target, NULL) == FACT_YES)
			return false;
	return true;
}

/* The daemon has left its parent before it listens: wait for its ports. */
static bool
await_listening(const struct exim_conf *conf, uint64_t deadline_ms, pid_t *ret_pid, struct err *err)
{
	struct exim_listen list = { .len = 0 };
	struct err why = { 0 };
	pid_t pid = 0;
	bool any;

	if (conf->defaults.listens && !exim_listen(conf->value[EX_INTERFACES], conf->value[EX_PORTS], conf->value[EX_TLS_PORTS],
	    &list, &why))
		list.len = 0;		/* other than numbers: its process is all that can be waited for */
	while (clock_mono_ms() < deadline_ms) {
		enum fact fact = look(conf, &pid, &any, &why);

		if (fact == FACT_UNKNOWN)
			return err_set(err, 0, "%s", why.text);
		/* a moment after its parent has gone it is not yet known as a daemon */
		if (!any)
			return err_set(err, 0, "Exim's daemon was gone before it listened: the reason is in its log (%s)",
			    conf->value[EX_LOG][0] != '\0' ? conf->value[EX_LOG] : "syslog");
		if (fact == FACT_YES && all_taken(&list)) {
			*ret_pid = pid;
			return true;
		}
		poll(NULL, 0, LISTEN_MS);
	}
	return err_set(err, 0, "Exim's daemon %s: see its log (%s)", pid != 0 ? "runs but does not listen" : "did not come up in time",
	    conf->value[EX_LOG]);
}

static bool
up(const struct exim_conf *conf, bool ran, uint64_t deadline_ms, pid_t *ret_pid, struct err *err)
{
	if (ran && await_listening(conf, deadline_ms, ret_pid, err))
		return true;
	/* What was begun must not come up later, when nobody expects it any more. */
	exim_stop(conf, clock_mono_ms() + ABANDON_MS, NULL, NULL);
	return false;
}

bool
exim_daemon_start(const struct exim_conf *conf, uint64_t deadline_ms, pid_t *ret_pid, struct err *err)
{
	const char *argv[EXIM_ARGS_MAX + 4];
	bool ran;

	command_line(conf, &conf->defaults.daemon, argv);
	ran = run(argv, "Exim's daemon", deadline_ms, err);
	if (ran && conf->defaults.runner.len > 0) {
		command_line(conf, &conf->defaults.runner, argv);
		ran = run(argv, "Exim's queue runner", deadline_ms, err);
	}
	return up(conf, ran, deadline_ms, ret_pid, err);
}

bool
exim_script_start(const struct exim_conf *conf, uint64_t deadline_ms, pid_t *ret_pid, struct err *err)
{
	static const char *const scripts[] = { "/etc/init.d/exim4", "/etc/init.d/exim" };

	for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
		const char *const argv[] = { scripts[i], "start", NULL };

		if (access(scripts[i], X_OK) == 0)
			return up(conf, run(argv, scripts[i], deadline_ms, err), deadline_ms, ret_pid, err);
	}
	return err_set(err, 0, "%s, and there is no /etc/init.d/exim4 that could be asked to start it: write plain settings",
	    conf->defaults.odd);
}

/* ---------------------------------------------------------------- stopping */

/* When it got its TERM; 0: not yet. */
static uint64_t
told_at(const struct stopping *s, pid_t pid)
{
	for (size_t i = 0; i < s->tolds; i++)
		if (s->told[i].pid == pid)
			return s->told[i].at_ms;
	return 0;
}

static void
note_chosen(struct stopping *s)
{
	for (size_t i = 0; i < s->chosen.len && s->tolds < EXIM_PROCESSES_MAX; i++)
		if (told_at(s, s->chosen.at[i].pid) == 0)
			s->told[s->tolds++] = (struct told){ s->chosen.at[i].pid, clock_mono_ms() };
}

/* Whom a round is about: the first two are told to go, the last have had their time. */
enum who { DAEMONS, IDLE, OVERDUE };

static bool
is_chosen(const struct stopping *s, const struct exim_process *p, enum who who)
{
	uint64_t now = clock_mono_ms(), told = told_at(s, p->pid);

	switch (p->role) {
	case EXIM_ROLE_DAEMON:
		return who == DAEMONS && told == 0;
	case EXIM_ROLE_DELIVERY:
		return false;
	case EXIM_ROLE_RECEPTION:
		return who == OVERDUE && now - s->began_ms >= PATIENCE_MS;
	case EXIM_ROLE_OTHER:
	case EXIM_ROLE_ASKS:
		return (who == IDLE && told == 0) || (who == OVERDUE && told != 0 && now - told >= PATIENCE_MS);
	}
	return false;
}

static void
choose(struct stopping *s, enum who who)
{
	s->chosen.len = 0;
	for (size_t i = 0; i < s->list.len; i++)
		if (is_chosen(s, &s->list.at[i], who))
			s->chosen.at[s->chosen.len++] = s->list.at[i];
}

static void
tell_exactly(struct stopping *s, enum who who, int signo, size_t *ret_sent)
{
	choose(s, who);
	exim_processes_end_exact(&s->inst, &s->chosen, signo, ret_sent);
	note_chosen(s);
}

/*
 * Until none is left or the time is over. The daemon first, so that nothing new is begun meanwhile. A reception may say 250 to
 * the message that it has in hand; one that waits for its client has acknowledged nothing, does not see a TERM until more
 * bytes come, and does not hold up a takeover.
 */
static bool
stop_orderly(struct stopping *s, uint64_t deadline_ms, size_t *ret_killed, struct err *err)
{
	size_t sent;

	do {
		if (exim_processes(&s->inst, &s->list, err) == FACT_UNKNOWN)
			return false;
		choose(s, DAEMONS);
		note_chosen(s);
		if (s->chosen.len > 0)
			exim_processes_end(&s->inst, &s->chosen, SIGTERM, deadline_ms, &sent);
		tell_exactly(s, IDLE, SIGTERM, &sent);
		tell_exactly(s, OVERDUE, SIGKILL, &sent);
		*ret_killed += sent;
		if (s->list.len > 0)
			exim_processes_end(&s->inst, &s->list, 0, at_most(deadline_ms, LOOK_MS), &sent);
	} while (s->list.len > 0 && clock_mono_ms() < deadline_ms);
	return true;
}

static bool
stop_all(struct stopping *s, uint64_t deadline_ms, size_t *ret_killed, struct err *err)
{
	uint64_t span = left_ms(deadline_ms), force = span / 3 < FORCE_MS_MAX ? span / 3 : FORCE_MS_MAX;
	size_t sent;

	if (!stop_orderly(s, deadline_ms - force, ret_killed, err))
		return false;
	/* A process may have been born while its parent was ended: look until there is none. */
	do {
		if (exim_processes(&s->inst, &s->list, err) == FACT_UNKNOWN)
			return false;
		if (s->list.len == 0)
			return true;
		exim_processes_end(&s->inst, &s->list, SIGKILL, deadline_ms, &sent);
		*ret_killed += sent;
	} while (clock_mono_ms() < deadline_ms);
	if (exim_processes(&s->inst, &s->list, err) == FACT_UNKNOWN)
		return false;
	return s->list.len == 0 || err_set(err, 0, "%zu of Exim's processes (the first: pid %d) are still there after SIGKILL: "
	    "they wait for a device", s->list.len, (int)s->list.at[0].pid);
}

bool
exim_stop(const struct exim_conf *conf, uint64_t deadline_ms, struct spawn_out *out, struct err *err)
{
	struct stopping *s = calloc(1, sizeof *s);
	size_t killed = 0;
	bool ok;

	if (s == NULL)
		return err_set(err, 0, "out of memory");
	s->began_ms = clock_mono_ms();
	ok = exim_instance(conf, &s->inst, err) && stop_all(s, deadline_ms, &killed, err);
	free(s);
	if (killed != 0 && out != NULL)
		spawn_say(out, "killed", "%zu", killed);
	return ok;
}
