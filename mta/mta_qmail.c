/*
 * mta/mta_qmail.c - the qmail driver (netqmail, notqmail, with or without big-todo): ties the parts qmail_*.c to the
 * interface of mta/mta.h. Runs in workers; blocks up to the limit that the caller gives.
 */
#include "mta/mta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "mta/flock.h"
#include "mta/qmail_conf.h"
#include "mta/qmail_control.h"
#include "mta/qmail_process.h"
#include "mta/qmail_queue.h"
#include "mta/smtp_probe.h"

#define BIT(part) (1u << (part))
#define PREPARE_MS 10000

/* Too large for a stack that is locked into memory. */
static struct qmail_conf *
conf_new(struct err *err)
{
	struct qmail_conf *conf = calloc(1, sizeof *conf);

	if (conf == NULL)
		err_set(err, 0, "out of memory");
	return conf;
}

/* A tcpserver without qmail-send: it takes mail, on a standby into a queue that the spool will hide. */
static bool
nothing_listens_alone(const struct qmail_conf *conf, struct err *err)
{
	struct qmail_processes all = { 0 };
	const struct qmail_process *one;
	pid_t pid;
	bool ok = true;

	if (qmail_running(conf, &pid, err) == FACT_NO && qmail_processes_find(conf, &all, err))
		for (size_t i = 0; ok && i < all.len; i++) {
			one = &all.at[i];
			ok = one->part != QMAIL_IS_LISTENER || one->pop || err_set(err, 0, "%s (pid %d) takes mail although qmail-send "
			    "does not run: stop it, and keep it from starting at boot", one->program, one->pid);
		}
	qmail_processes_free(&all);
	return ok;
}

static bool
prepare(const struct mta_params *params, struct spawn_out *out, struct err *err)
{
	struct qmail_conf *conf = conf_new(err);
	struct err why = { 0 };
	bool ok = conf != NULL;

	if (!ok)
		return false;
	if (!qmail_conf_load(params, conf, &why) || !qmail_conf_check(conf, &why) || !nothing_listens_alone(conf, &why)) {
		spawn_say(out, "prepared", "no");
		spawn_say(out, "why", "%s", why.text);
	} else {
		spawn_say(out, "warmed", "%zu", qmail_conf_warm(conf));
		spawn_say(out, "prepared", "yes");
	}
	free(conf);
	return ok;
}

static enum fact
running(const struct mta_params *params, pid_t *ret_pid, struct err *err)
{
	struct qmail_conf *conf = conf_new(err);
	enum fact fact = FACT_UNKNOWN;

	if (conf != NULL && qmail_conf_home(params, conf, err))
		fact = qmail_running(conf, ret_pid, err);
	free(conf);
	return fact;
}

/* All that must be true before qmail-send may be started. */
static bool
check(const struct qmail_conf *conf, uint64_t deadline_ms, struct spawn_out *out, struct err *err)
{
	struct queue_layout layout;
	struct err why = { 0 };
	bool ok;

	if (!qmail_conf_check(conf, err) || !qmail_layout(conf->queue, qmail_built_split(conf, deadline_ms), NULL, &layout, err))
		return false;
	ok = qmail_queue_startable(&layout, err);
	queue_layout_free(&layout);
	if (ok && qmail_queue_durable(conf->queue, &why) == FACT_NO)
		spawn_say(out, "warning", "%s", why.text);
	return ok;
}

static bool
start(const struct mta_params *params, uint32_t limit_ms, struct spawn_out *out, struct err *err)
{
	uint64_t began_us = clock_mono_us(), checked_us, deadline_ms = clock_mono_ms() + limit_ms;
	struct qmail_conf *conf = conf_new(err);
	pid_t pid = 0;
	bool ok;

	ok = conf != NULL && qmail_conf_load(params, conf, err) && check(conf, deadline_ms, out, err);
	checked_us = clock_mono_us();
	ok = ok && qmail_start(conf, deadline_ms, out, &pid, err);
	free(conf);
	if (!ok)
		return false;
	spawn_say(out, "check", "%.1f", (double)(checked_us - began_us) / 1000);
	spawn_say(out, "exec", "%.1f", (double)(clock_mono_us() - checked_us) / 1000);
	spawn_say(out, "pid", "%d", (int)pid);
	return true;
}

static bool
stop(const struct mta_params *params, uint32_t limit_ms, struct spawn_out *out, struct err *err)
{
	uint64_t deadline_ms = clock_mono_ms() + limit_ms;
	struct qmail_conf *conf = conf_new(err);
	struct err why;
	bool ok;

	if (conf == NULL)
		return false;
	ok = qmail_conf_home(params, conf, err);
	/* a service that went missing is no reason to leave the others running */
	if (ok && !qmail_conf_load(params, conf, &why))
		spawn_say(out, "warning", "%s", why.text);
	ok = ok && qmail_stop(conf, deadline_ms, out, err);
	free(conf);
	return ok;
}

/* ---------------------------------------------------------------- asking */

/* How well a port fits the question "is mail taken?"; 0: not at all (POP, or TLS from the first byte). */
static int
port_fits(uint16_t port)
{
	static const uint16_t never[] = { 109, 110, 143, 465, 993, 995, 628, 209 };

	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
		if (port == never[i])
			return 0;
	return port == 25 ? 3 : port == 587 ? 2 : 1;
}

static bool
find_target(const struct qmail_conf *conf, struct smtp_target *ret, struct err *err)
{
	struct qmail_listen listen[QMAIL_LISTENS_MAX], best = { "127.0.0.1", 25 };
	struct qmail_processes all = { 0 };
	int fits = 0;

	if (!qmail_processes_find(conf, &all, err))
		return false;
	for (size_t i = 0; i < all.len; i++) {
		size_t n = all.at[i].part == QMAIL_IS_LISTENER && !all.at[i].pop ? qmail_process_listens(all.at[i].pid, listen) : 0;

		for (size_t k = 0; k < n; k++) {
			if (port_fits(listen[k].port) > fits) {
				fits = port_fits(listen[k].port);
				best = listen[k];
			}
		}
	}
	qmail_processes_free(&all);
	return smtp_target_set(best.address, best.port, ret, err);
}

static enum mta_answer
answers(const struct mta_params *params, struct err *err)
{
	struct smtp_target target;
	struct qmail_conf *conf;
	bool ok;

	if (params->probe != NULL) {
		ok = smtp_target_parse(params->probe, &target, err);
	} else {
		conf = conf_new(err);
		ok = conf != NULL && qmail_conf_home(params, conf, err) && find_target(conf, &target, err);
		free(conf);
	}
	return ok ? smtp_probe(&target, params->probe_ms, err) : MTA_ANSWER_UNKNOWN;
}

/* ---------------------------------------------------------------- the queue */

static bool
layout(const struct mta_params *params, const char *dir, const struct queue_owners *owners, struct queue_layout *ret,
    struct err *err)
{
	struct qmail_conf *conf;
	bool ok;

	if (dir != NULL)
		return qmail_layout(dir, 0, owners, ret, err);
	conf = conf_new(err);
	ok = conf != NULL && qmail_conf_home(params, conf, err) &&
	    qmail_layout(conf->queue, qmail_built_split(conf, clock_mono_ms() + PREPARE_MS), owners, ret, err);
	free(conf);
	return ok;
}

static bool
count(const struct mta_params *params, struct mta_queue_counts *ret, struct err *err)
{
	struct qmail_conf *conf = conf_new(err);
	struct queue_layout where;
	bool ok;

	ok = conf != NULL && qmail_conf_home(params, conf, err) && qmail_layout(conf->queue, 0, NULL, &where, err);
	free(conf);
	if (!ok)
		return false;
	ok = qmail_queue_count(&where, ret, err);
	queue_layout_free(&where);
	return ok;
}

static enum fact
durable(const struct mta_params *params, struct err *err)
{
	struct qmail_conf *conf = conf_new(err);
	enum fact fact = FACT_UNKNOWN;

	if (conf != NULL && qmail_conf_home(params, conf, err))
		fact = qmail_queue_durable(conf->queue, err);
	free(conf);
	return fact;
}

/* ---------------------------------------------------------------- locks */

/* The lock on sendmutex; without such a file no qmail-send can start either. */
static enum fact
lock_send(const struct queue_layout *where, struct queue_lock *lock, struct err *err)
{
	char path[4096];
	struct stat st;
	pid_t pid;
	int fd;

	snprintf(path, sizeof path, "%s/lock/sendmutex", where->root);
	fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EISDIR || errno == ENXIO))
		return FACT_YES;
	if (fd == -1 || fstat(fd, &st) == -1) {
		err_set(err, errno, "cannot open the lock of qmail-send, %s", path);
		if (fd != -1)
			close(fd);
		return FACT_UNKNOWN;
	}
	if (!S_ISREG(st.st_mode) || flock(fd, LOCK_EX | LOCK_NB) == 0) {
		lock->fd[lock->held++] = fd;
		return FACT_YES;
	}
	if (errno != EWOULDBLOCK) {
		err_set(err, errno, "cannot take the lock of qmail-send, %s", path);
		close(fd);
		return FACT_UNKNOWN;
	}
	pid = flock_holder(&st);
	close(fd);
	if (pid != 0)
		err_set(err, 0, "qmail-send (pid %d) runs on %s: stop it first", (int)pid, where->root);
	else
		err_set(err, 0, "qmail-send runs on %s, in another pid namespace: stop it first", where->root);
	return FACT_NO;
}

static bool
is_same_directory(const char *a, const char *b)
{
	struct stat sa, sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* sendmutex keeps qmail-send off, and nobody else: qmail-queue needs no lock. */
static enum fact
nobody_queues(const struct qmail_conf *conf, struct err *err)
{
	struct qmail_processes all = { 0 };
	enum fact fact = FACT_YES;

	if (!qmail_processes_find(conf, &all, err))
		return FACT_UNKNOWN;
	for (size_t i = 0; fact == FACT_YES && i < all.len; i++) {
		const struct qmail_process *one = &all.at[i];

		if (one->pop || (one->part == QMAIL_IS_HELPER && strcmp(one->program, "splogger") == 0))
			continue;
		err_set(err, 0, "%s (pid %d) %s: stop it first", one->program, (int)one->pid, one->part == QMAIL_IS_LISTENER ?
		    "takes mail for this queue" : "is at work on this queue");
		fact = FACT_NO;
	}
	qmail_processes_free(&all);
	return fact;
}

static enum fact
lock(const struct mta_params *params, const struct queue_layout *where, struct queue_lock *ret, struct err *err)
{
	struct queue_lock taken = { .held = 0 };
	struct qmail_conf *conf = conf_new(err);
	struct err ignored;
	enum fact fact = FACT_UNKNOWN;

	if (conf == NULL)
		return FACT_UNKNOWN;
	fact = lock_send(where, &taken, err);
	/* an image, or another node's queue: nothing of this host's qmail works on it */
	if (fact == FACT_YES && qmail_conf_home(params, conf, &ignored) && is_same_directory(conf->queue, where->root)) {
		if (!qmail_conf_load(params, conf, &ignored))
			conf->services = 0;
		fact = nobody_queues(conf, err);
	}
	free(conf);
	if (fact == FACT_YES)
		*ret = taken;
	else
		queue_unlock(&taken);
	return fact;
}

const struct mta_driver mta_qmail = {
	.name = "qmail",
	.prepare = prepare,
	.running = running,
	.start = start,
	.stop = stop,
	.answers = answers,
	.count = count,
	.layout = layout,
	.lock = lock,
	.durable = durable,
};
