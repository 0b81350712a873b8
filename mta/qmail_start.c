/*
 * mta/qmail_start.c - starts qmail-send and the listeners, and tells whether qmail-send runs. Runs in workers.
 *
 * A supervisor is told and does the rest; what nobody supervises is started as it is. Neither a lock that is taken
 * nor a socket that listens is an event, so both are looked at every few milliseconds, and never by trying the
 * lock: a qmail-send that starts in that moment would not get it.
 */
#include "mta/qmail_control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "mta/flock.h"
#include "mta/qmail_process.h"
#include "mta/qmail_service.h"

#define BIT(part) (1u << (part))
#define LOOK_MS 2
#define TAKE_LOCK_MS 3000	/* from its start until qmail-send has its lock */
#define ORPHAN_MS 500		/* between TERM and KILL for what a dead qmail-send left behind */
#define STOP_MS 3000		/* of the limit, to take back what did not come up */

static void
lock_path(const struct qmail_conf *conf, char *buf, size_t size)
{
	snprintf(buf, size, "%s/lock/sendmutex", conf->queue);
}

enum fact
qmail_running(const struct qmail_conf *conf, pid_t *ret_pid, struct err *err)
{
	struct qmail_conf home = *conf;
	char path[QMAIL_PATH_MAX + 32];
	struct qmail_processes all = { 0 };
	const struct qmail_process *send;
	pid_t pid = 0;
	enum fact fact;

	lock_path(conf, path, sizeof path);
	fact = flock_held(path, "qmail-send", 0, &pid, err);
	if (fact == FACT_NO) {
		/* the queue may be unmounted, or another one than it has: the lock that it holds is then not this one */
		home.services = 0;
		if (!qmail_processes_find(&home, &all, err))
			fact = FACT_UNKNOWN;
		else if ((send = qmail_process_of(&all, BIT(QMAIL_IS_SEND))) != NULL) {
			fact = FACT_YES;
			pid = send->pid;
		}
		qmail_processes_free(&all);
	}
	if (fact != FACT_UNKNOWN)
		*ret_pid = pid;
	return fact;
}

/* Who holds the lock, without trying it; 0: nobody that can be seen. */
static pid_t
holder(const struct qmail_conf *conf)
{
	char path[QMAIL_PATH_MAX + 32];
	struct stat st;

	lock_path(conf, path, sizeof path);
	return stat(path, &st) == 0 ? flock_holder(&st) : 0;
}

static bool
end_orphans(const struct qmail_conf *conf, uint64_t deadline_ms, struct spawn_out *out, struct err *err)
{
	const unsigned int parts = BIT(QMAIL_IS_HELPER) | BIT(QMAIL_IS_DELIVERY);
	uint64_t soft = clock_mono_ms() + ORPHAN_MS;
	struct qmail_processes all = { 0 };
	const struct qmail_process *left;
	bool ok = true, told = false;
	size_t n = 0;

	while ((ok = qmail_processes_find(conf, &all, err)) && (left = qmail_process_of(&all, parts)) != NULL) {
		bool force = clock_mono_ms() >= soft;

		if (clock_mono_ms() >= deadline_ms) {
			ok = err_set(err, 0, "%s (pid %d) of a dead qmail-send cannot be ended, not even by force", left->program,
			    left->pid);
			break;
		}
		for (size_t i = 0; i < all.len; i++)
			if ((BIT(all.at[i].part) & parts) != 0 && (force || !told))
				n += qmail_process_signal(&all.at[i], force ? SIGKILL : SIGTERM) && !told;
		told = true;
		qmail_processes_await(&(struct qmail_processes){ .at = (struct qmail_process *)(uintptr_t)left, .len = 1 },
		    clock_mono_ms() + LOOK_MS * 10);
	}
	qmail_processes_free(&all);
	if (n != 0)
		spawn_say(out, "orphans", "%zu", n);
	return ok;
}

/* Told to come up; *ret_pid: its process where we started it, else 0. */
static bool
bring_up(const struct qmail_conf *conf, const struct qmail_service *svc, pid_t *ret_pid, struct err *err)
{
	struct qmail_status status;

	*ret_pid = 0;
	if (!svc->supervised)
		return qmail_service_launch(conf, svc, ret_pid, err);
	return qmail_service_status(svc, &status, err) && qmail_service_control(svc, 'u', err) &&
	    (!status.paused || qmail_service_control(svc, 'c', err));
}

static bool
is_there(pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d", pid);
	return stat(path, &st) == 0;
}

static bool
start_send(const struct qmail_conf *conf, const struct qmail_service *svc, uint64_t deadline_ms, pid_t *ret_pid, struct err *err)
{
	bool again = true;
	pid_t own, pid;

	if (!bring_up(conf, svc, &own, err))
		return false;
	while ((pid = holder(conf)) == 0) {
		if (clock_mono_ms() >= deadline_ms)
			return err_set(err, 0, "qmail-send did not take its lock %s/lock/sendmutex in time: see qmail's log", conf->queue);
		if (own != 0 && !is_there(own) && holder(conf) == 0) {
			/* somebody who tried the lock in that very moment is no reason to fail; twice is one */
			if (!again)
				return err_set(err, 0, "%s ended before qmail-send had its lock: see qmail's log", svc->path);
			again = false;
			if (!bring_up(conf, svc, &own, err))
				return false;
		}
		poll(NULL, 0, LOOK_MS);
	}
	*ret_pid = pid;
	return true;
}

/* The main process of a service, 0: none. */
static pid_t
main_process(const struct qmail_service *svc, const struct qmail_processes *all)
{
	struct qmail_status status;

	if (svc->supervised)
		return qmail_service_status(svc, &status, NULL) && status.watched ? status.pid : 0;
	for (size_t i = 0; i < all->len; i++)
		if (all->at[i].part == QMAIL_IS_LISTENER && qmail_process_is_of(all->at[i].pid, svc))
			return all->at[i].pid;
	return 0;
}

/* It, or a child of it where the script has not become the server itself. */
static bool
listens(pid_t pid, const struct qmail_processes *all)
{
	struct qmail_listen listen[QMAIL_LISTENS_MAX];

	if (qmail_process_listens(pid, listen) != 0)
		return true;
	for (size_t i = 0; i < all->len; i++)
		if (all->at[i].parent == pid && qmail_process_listens(all->at[i].pid, listen) != 0)
			return true;
	return false;
}

static bool
await_listener(const struct qmail_conf *conf, const struct qmail_service *svc, pid_t own, uint64_t deadline_ms, struct err *err)
{
	struct qmail_processes all = { 0 };
	bool ok = false, look = true;
	pid_t pid;

	while (look && !ok && (look = qmail_processes_find(conf, &all, err))) {
		pid = main_process(svc, &all);
		ok = pid != 0 && (!svc->listens || listens(pid, &all));
		if (!ok && clock_mono_ms() >= deadline_ms)
			look = err_set(err, 0, "the service %s %s in time: see its log", svc->path, pid == 0 ? "did not come up" :
			    "did not listen on any port");
		else if (!ok && own != 0 && pid == 0 && !is_there(own))
			look = err_set(err, 0, "%s ended without listening on any port: is the port in use?", svc->path);
		if (look && !ok)
			poll(NULL, 0, LOOK_MS);
	}
	qmail_processes_free(&all);
	return ok;
}

static bool
start_listeners(const struct qmail_conf *conf, uint64_t deadline_ms, struct err *err)
{
	pid_t own[QMAIL_SERVICES_MAX] = { 0 };
	struct qmail_processes all = { 0 };
	bool ok = qmail_processes_find(conf, &all, err);

	for (size_t i = 0; ok && i < conf->services; i++) {
		const struct qmail_service *svc = &conf->service[i];

		/* 'u' is right also for one that runs: it may be on its way down */
		if (!svc->sends && (svc->supervised || main_process(svc, &all) == 0))
			ok = bring_up(conf, svc, &own[i], err);
	}
	qmail_processes_free(&all);
	for (size_t i = 0; ok && i < conf->services; i++)
		ok = conf->service[i].sends || await_listener(conf, &conf->service[i], own[i], deadline_ms, err);
	return ok;
}

static const struct qmail_service *
sender(const struct qmail_conf *conf)
{
	for (size_t i = 0; i < conf->services; i++)
		if (conf->service[i].sends)
			return &conf->service[i];
	return NULL;
}

static bool
is_send(const struct qmail_conf *conf, pid_t pid)
{
	struct qmail_processes all = { 0 };
	bool is = false;

	if (qmail_processes_find(conf, &all, NULL))
		for (size_t i = 0; i < all.len; i++)
			is = is || (all.at[i].pid == pid && all.at[i].part == QMAIL_IS_SEND);
	qmail_processes_free(&all);
	return is;
}

/*
 * A lock without a qmail-send that could be seen: a qmail-queue has inherited it, for the bounce that a qmail-send wanted
 * to send when it was killed. It ends by itself. And a qmail-send that was just started takes its lock in a moment.
 */
static enum fact
settled(const struct qmail_conf *conf, uint64_t deadline_ms, pid_t *ret_pid, struct err *err)
{
	uint64_t lock_ms = clock_mono_ms() + TAKE_LOCK_MS;
	enum fact fact;

	while ((fact = qmail_running(conf, ret_pid, err)) == FACT_YES && clock_mono_ms() < deadline_ms &&
	    (*ret_pid == 0 || (clock_mono_ms() < lock_ms && *ret_pid != holder(conf) && is_send(conf, *ret_pid))))
		poll(NULL, 0, LOOK_MS * 10);
	return fact;
}

bool
qmail_start(const struct qmail_conf *conf, uint64_t limit_ms, struct spawn_out *out, pid_t *ret_pid, struct err *err)
{
	const struct qmail_service *svc = sender(conf);
	uint64_t now = clock_mono_ms(), span = limit_ms > now ? limit_ms - now : 0;
	uint64_t deadline_ms = limit_ms - (span / 3 < STOP_MS ? span / 3 : STOP_MS);
	pid_t pid = 0;
	bool ok = false;

	switch (settled(conf, deadline_ms, &pid, err)) {
	case FACT_YES:
		if (!is_send(conf, pid))
			return err_set(err, 0, "the lock of qmail-send in %s is held by pid %d, which is no qmail-send of %s (a repair of the "
			    "queue?)", conf->queue, (int)pid, conf->home);
		if (pid != holder(conf))
			return err_set(err, 0, "a qmail-send (pid %d) runs that has not its lock in %s: it has another queue", (int)pid,
			    conf->queue);
		/* it may have been told to go down: then it finishes, and has to come again */
		ok = !svc->supervised || qmail_service_control(svc, 'u', err);
		break;
	case FACT_NO:
		ok = end_orphans(conf, deadline_ms, out, err) && start_send(conf, svc, deadline_ms, &pid, err);
		break;
	case FACT_UNKNOWN:		/* *err says why: two of them must not be risked */
	case FACT_COUNT:
		return false;
	}
	if (ok && start_listeners(conf, deadline_ms, err)) {
		*ret_pid = pid;
		return true;
	}
	/* what has begun must not come up later, when nobody expects it any more */
	qmail_stop(conf, limit_ms, NULL, NULL);
	return false;
}
