/*
 * mta/postfix_master.c - starts and stops Postfix's master. Runs in a worker; blocks until the
 * caller's deadline at most.
 *
 * Stopping needs no script: master answers TERM by a TERM to its process group and dies at once;
 * what "postfix stop" adds is to look every second whether it is gone, where we wait for the event.
 */
#include "mta/postfix_master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "mta/postfix_proc.h"

#define ORDERLY_MS_MAX 5000	/* as long as "postfix stop" waits before it uses force */
/* What an orphan gets to end by itself. It goes at once, or it is a child that the master had only just forked: that one sleeps a second first. */
#define ORPHAN_MS 30
#define TERM_MS_MAX 1000

/* NULL-terminated KEY=VALUE list as postfix(1) hands it to its scripts. */
struct env { char item[12][POSTFIX_PATH_MAX + 32]; const char *list[13]; int n; };

static void
env_add(struct env *env, const char *key, const char *value)
{
	snprintf(env->item[env->n], sizeof env->item[0], "%s=%s", key, value);
	env->list[env->n] = env->item[env->n];
	env->list[++env->n] = NULL;
}

static void
env_fill(struct env *env, const struct postfix_conf *conf)
{
	const char *zone = getenv("TZ");

	env->n = 0;
	env_add(env, "PATH", "/bin:/usr/bin:/sbin:/usr/sbin");
	env_add(env, "LANG", "C");
	env_add(env, "MAIL_CONFIG", conf->value[PF_CONFIG_DIR]);
	if (zone != NULL && strlen(zone) < 128)
		env_add(env, "TZ", zone);
}

/* The program's services are limited to one process, or they hold a listening network socket. */
static bool
must_be_alone(const struct postfix_conf *conf, const char *program)
{
	for (size_t i = 0; i < conf->services; i++) {
		const struct postfix_service *svc = &conf->service[i];

		if (strcmp(svc->program, program) == 0 &&
		    (svc->single || strcmp(svc->type, "inet") == 0))
			return true;
	}
	return strcmp(program, "master") == 0;
}

/*
 * Postfix's processes end by themselves when their master is gone, as soon as they are idle. Until
 * then: a second qmgr or pickup would handle the same files; and an smtpd within a session still
 * listens on the port beside the new master's socket, so that the kernel gives it a share of the new
 * connections, which nobody answers. Those go now; nothing that was answered by 250 is lost by that.
 * Delivery agents stay: they lock the queue file and note in it what they delivered; ending them
 * here would deliver twice.
 */
bool
postfix_orphans_end(const struct postfix_conf *conf, uint64_t deadline_ms, struct spawn_out *out,
    struct err *err)
{
	struct postfix_procs *procs = calloc(1, sizeof *procs);
	struct postfix_instance inst;
	size_t alone = 0, left = 0, sent;
	bool ok = false;

	if (procs == NULL)
		return err_set(err, 0, "out of memory");
	if (!postfix_instance(conf, 0, &inst, err) || !postfix_procs_find(&inst, procs, err))
		goto out;
	if (procs->len != 0)
		spawn_say(out, "orphans", "%zu", procs->len);
	for (size_t i = 0; i < procs->len; i++)
		if (must_be_alone(conf, procs->proc[i].program))
			procs->proc[alone++] = procs->proc[i];
	procs->len = alone;
	if (alone != 0) {
		uint64_t soft = clock_mono_ms() + ORPHAN_MS;

		left = postfix_procs_end(&inst, procs, SIGTERM,
		    soft < deadline_ms ? soft : deadline_ms, &sent);
		if (left != 0) {
			left = postfix_procs_end(&inst, procs, SIGKILL, deadline_ms, &sent);
			spawn_say(out, "killed", "%zu", sent);
		}
	}
	ok = left == 0 || err_set(err, 0, "%zu processes of a dead Postfix master (the first: %s, "
	    "pid %d) cannot be ended, not even by force: they wait for a device", left,
	    procs->proc[0].program, procs->proc[0].pid);
out:
	free(procs);
	return ok;
}

static uint32_t
left_ms(uint64_t deadline_ms)
{
	uint64_t now = clock_mono_ms();

	return now < deadline_ms ? (uint32_t)(deadline_ms - now) : 0;
}

/* After it said that it runs: who is it? */
static bool
find_started(const struct postfix_conf *conf, pid_t *ret_pid, struct err *err)
{
	struct err why = { 0 };
	pid_t pid = 0;

	if (postfix_master_alive(conf, &pid, &why) != FACT_YES)
		return err_set(err, 0, "Postfix's master said that it runs, and was gone at once: "
		    "see the mail log%s%s", why.text[0] != '\0' ? "; " : "", why.text);
	*ret_pid = pid;
	return true;
}

bool
postfix_master_start(const struct postfix_conf *conf, uint64_t deadline_ms, pid_t *ret_pid,
    struct err *err)
{
	char program[POSTFIX_PATH_MAX];
	const char *const argv[] = { program, "-w", NULL };
	struct env env;
	const struct spawn_cmd cmd = { .argv = argv, .env = env.list };
	struct err why = { 0 };
	int status;

	snprintf(program, sizeof program, "%s/master", conf->value[PF_DAEMON_DIR]);
	env_fill(&env, conf);
	status = spawn_run(&cmd, left_ms(deadline_ms), NULL, 0, NULL, 0, &why);
	if (status == 0)
		return find_started(conf, ret_pid, err);
	if (status == -1) {
		/* What it has begun must not come up later, when nobody expects it any more. */
		postfix_master_stop(conf, clock_mono_ms() + TERM_MS_MAX, NULL, NULL);
		return err_set(err, 0, "Postfix's master did not come up: %s", why.text);
	}
	return err_set(err, 0, "Postfix's master (%s -w) ended with status %d before it listened: the "
	    "reason is in the mail log; \"postfix -c %s check\" may show it", program, status,
	    conf->value[PF_CONFIG_DIR]);
}

bool
postfix_make_missing(const struct postfix_conf *conf, uint64_t deadline_ms, struct err *err)
{
	char program[POSTFIX_PATH_MAX], errout[1024] = "";
	const char *const argv[] = { program, "-c", conf->value[PF_CONFIG_DIR], "post-install", "create-missing", NULL };
	struct env env;
	const struct spawn_cmd cmd = { .argv = argv, .env = env.list };
	struct err why = { 0 };
	int status;

	snprintf(program, sizeof program, "%s/postfix", conf->value[PF_COMMAND_DIR]);
	env_fill(&env, conf);
	status = spawn_run(&cmd, left_ms(deadline_ms), NULL, 0, errout, sizeof errout, &why);
	if (status == 0)
		return true;
	if (status == -1)
		return err_set(err, 0, "\"postfix post-install create-missing\" did not finish: %s", why.text);
	return err_set(err, 0, "\"postfix -c %s post-install create-missing\" ended with status %d: %.300s",
	    conf->value[PF_CONFIG_DIR], status, errout);
}

/* One round: all that are there get signo (0: none) and are waited for. False: could not look. */
static bool
stop_round(const struct postfix_instance *inst, struct postfix_procs *procs, int signo,
    uint64_t deadline_ms, size_t *ret_left, size_t *ret_sent, struct err *err)
{
	if (!postfix_procs_find(inst, procs, err))
		return false;
	*ret_sent = 0;
	*ret_left = procs->len == 0 ? 0 :
	    postfix_procs_end(inst, procs, signo, deadline_ms, ret_sent);
	return true;
}

/*
 * A child that the master forked a moment ago and that has not become another program yet takes the group's TERM for its
 * own: it tries to end the group once more, fails, and sleeps a second before it says so. It has done nothing.
 */
static void
end_unborn(const struct postfix_instance *inst, struct postfix_procs *unborn, struct postfix_procs *all, uint64_t deadline_ms)
{
	size_t sent;

	if (!postfix_procs_find(inst, all, NULL))
		return;
	unborn->len = 0;
	for (size_t i = 0; i < all->len; i++) {
		if (strcmp(all->proc[i].program, "master") == 0)
			unborn->proc[unborn->len++] = all->proc[i];
	}
	if (unborn->len != 0)
		postfix_procs_end(inst, unborn, SIGKILL, deadline_ms, &sent);
}

/*
 * The master alone gets TERM first: it passes it on to its group and takes itself away. The others
 * are waited for without a second signal of ours, which would come in the midst of their clean-up.
 */
static bool
stop_orderly(const struct postfix_instance *inst, struct postfix_procs *procs, pid_t master,
    uint64_t deadline_ms, size_t *ret_left, struct err *err)
{
	struct postfix_procs *first = calloc(1, sizeof *first);
	size_t sent;
	bool ok;

	if (first == NULL)
		return err_set(err, 0, "out of memory");
	first->proc[0].pid = master;
	first->len = 1;
	*ret_left = postfix_procs_end(inst, first, SIGTERM, deadline_ms, &sent);
	if (*ret_left == 0)
		end_unborn(inst, first, procs, deadline_ms);
	free(first);
	ok = *ret_left != 0 || stop_round(inst, procs, 0, deadline_ms, ret_left, &sent, err);
	return ok;
}

static bool
stop_instance(const struct postfix_instance *inst, pid_t master, uint64_t deadline_ms,
    struct postfix_procs *procs, size_t *ret_killed, struct err *err)
{
	uint64_t now = clock_mono_ms(), span = deadline_ms > now ? deadline_ms - now : 0;
	uint64_t orderly = span / 2 < ORDERLY_MS_MAX ? span / 2 : ORDERLY_MS_MAX;
	uint64_t term = span / 4 < TERM_MS_MAX ? span / 4 : TERM_MS_MAX;
	size_t left = 1, sent = 0;

	if (master != 0 && !stop_orderly(inst, procs, master, now + orderly, &left, err))
		return false;
	if (left != 0 && !stop_round(inst, procs, SIGTERM, clock_mono_ms() + term, &left, &sent, err))
		return false;
	/* A process may have been born while its parent was ended: look until there is none. */
	do {
		size_t killed = 0;

		if (!stop_round(inst, procs, SIGKILL, deadline_ms, &left, &killed, err))
			return false;
		*ret_killed += killed;
	} while (procs->len != 0 && clock_mono_ms() < deadline_ms);
	if (procs->len != 0)
		return err_set(err, 0, "%zu of Postfix's processes (the first: %s, pid %d) are still "
		    "there after SIGKILL: they wait for a device", procs->len,
		    procs->proc[0].program, procs->proc[0].pid);
	return true;
}

bool
postfix_master_stop(const struct postfix_conf *conf, uint64_t deadline_ms, struct spawn_out *out,
    struct err *err)
{
	struct postfix_procs *procs;
	struct postfix_instance inst;
	pid_t master = 0;
	struct err why = { 0 };
	size_t killed = 0;
	bool ok;

	if (postfix_master_alive(conf, &master, err) == FACT_UNKNOWN)
		return false;
	if (!postfix_instance(conf, master, &inst, &why)) {
		/* no queue (it is not mounted) and no master: nothing can run in it */
		if (master == 0 && why.sys == ENOENT)
			return true;
		return err_set(err, 0, "%s", why.text);
	}
	procs = calloc(1, sizeof *procs);
	if (procs == NULL)
		return err_set(err, 0, "out of memory");
	ok = stop_instance(&inst, master, deadline_ms, procs, &killed, err);
	free(procs);
	if (killed != 0 && out != NULL)
		spawn_say(out, "killed", "%zu", killed);
	if (!ok)
		return false;
	switch (postfix_master_alive(conf, &master, err)) {
	case FACT_NO:
		return true;
	case FACT_YES:
		return err_set(err, 0, "the lock of Postfix's master in %s is still held, by %s%d: is a "
		    "second Postfix running outside of this configuration?",
		    conf->value[PF_QUEUE_DIR], master != 0 ? "pid " : "an unknown process, ", master);
	case FACT_UNKNOWN:
	case FACT_COUNT:
		break;
	}
	return false;
}
