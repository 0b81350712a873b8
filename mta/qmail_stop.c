/*
 * mta/qmail_stop.c - the orderly end of a qmail, and what is done when it does not come. Runs in workers; waits for
 * processes through pidfds.
 *
 * Killing any of it at any moment loses nothing (the queue is made for it), but may deliver twice: a delivery
 * that was made and not yet marked, a message that was queued and whose 250 was not yet sent. So force comes last.
 */
#include "mta/qmail_control.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "mta/flock.h"
#include "mta/qmail_process.h"
#include "mta/qmail_service.h"

#define BIT(part) (1u << (part))
#define LISTENERS BIT(QMAIL_IS_LISTENER)
#define TERM_MS_MAX 3000	/* between TERM and KILL for deliveries */
#define LISTENER_MS 1500	/* a tcpserver dies of TERM at once, once its supervise hears */
/*
 * A supervise that has just started its service is deaf for a second. Then it finds that dead, starts it once more, is deaf
 * again, and only then hears that it has to stay down.
 */
#define LEAST_MS 3000
#define CUT_OFF_MS 1000		/* for qmail-queue to finish what had come whole when the address went */
#define LOOK_MS 10		/* how often sessions are looked at for being idle */
#define LOOK_DELIVERIES_MS 250	/* no session is left: their end is the event */
#define IDLE_LOOKS 10		/* without a child for so long: its 250 has been sent meanwhile */

enum { TOLD_NOTHING, TOLD_TERM, TOLD_KILL };

struct stopping {
	const struct qmail_conf	*conf;
	struct qmail_processes	 all;
	uint64_t		 cut_off_ms, orderly_ms, term_ms, deadline_ms;
	size_t			 killed;
};

/* 'd' to those that are not down already; what cannot be asked is left to signals. */
static void
services_down(const struct qmail_conf *conf, bool sends)
{
	for (size_t i = 0; i < conf->services; i++) {
		const struct qmail_service *svc = &conf->service[i];
		struct qmail_status status;

		if (svc->supervised && svc->sends == sends && qmail_service_status(svc, &status, NULL) && status.watched &&
		    (status.pid != 0 || status.wanted_up)) {
			qmail_service_control(svc, 'd', NULL);
			if (status.paused)
				qmail_service_control(svc, 'c', NULL);
		}
	}
}

/* Somebody would start it again, or is about to end it. */
static bool
service_is_up(const struct qmail_conf *conf)
{
	for (size_t i = 0; i < conf->services; i++) {
		struct qmail_status status;

		if (conf->service[i].supervised && qmail_service_status(&conf->service[i], &status, NULL) && status.watched &&
		    (status.pid != 0 || status.wanted_up))
			return true;
	}
	return false;
}

/* A supervisor was told and will send TERM itself: from us it would come first, and be an accident that it makes good. */
static bool
is_its_supervisors(const struct stopping *s, pid_t pid)
{
	for (size_t i = 0; i < s->conf->services; i++) {
		struct qmail_status status;

		if (s->conf->service[i].supervised && qmail_service_status(&s->conf->service[i], &status, NULL) && status.watched &&
		    status.pid == pid)
			return true;
	}
	return false;
}

/* Once each. */
static void
tell(struct stopping *s, unsigned int parts, int signo)
{
	uint8_t told = signo == SIGKILL ? TOLD_KILL : TOLD_TERM;

	for (size_t i = 0; i < s->all.len; i++) {
		struct qmail_process *one = &s->all.at[i];

		if ((BIT(one->part) & parts) == 0 || one->told >= told)
			continue;
		if (signo == SIGTERM && clock_mono_ms() < s->orderly_ms && is_its_supervisors(s, one->pid))
			continue;
		one->told = told;
		s->killed += qmail_process_signal(one, signo) && signo == SIGKILL;
	}
}

/* Where the kernel does not tell more: it had no child at several looks. */
static bool
seems_idle(struct qmail_process *one)
{
	one->idle = one->parent_of_one && !one->pop ? 0 : one->idle + 1;
	return one->idle >= IDLE_LOOKS;
}

/*
 * A session is ended when it takes no message: then it would only go on to take another one. What it is taking is
 * finished, and acknowledged; but where the service address has gone, only what had come whole before: the 250 still
 * gets through then, and nothing more comes from the client.
 */
static void
end_idle_sessions(struct stopping *s)
{
	for (size_t i = 0; i < s->all.len; i++) {
		struct qmail_process *one = &s->all.at[i];
		enum fact ended;

		if (one->part != QMAIL_IS_SESSION || one->told != TOLD_NOTHING)
			continue;
		ended = qmail_process_end_resting(one);
		if (ended == FACT_YES || ((ended == FACT_UNKNOWN || one->pop) && seems_idle(one)) ||
		    (clock_mono_ms() >= s->cut_off_ms && qmail_process_is_cut_off(one->pid))) {
			one->told = TOLD_TERM;
			if (ended != FACT_YES)
				qmail_process_signal(one, SIGTERM);
		}
	}
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool
stop_listeners(struct stopping *s, struct err *err)
{
	uint64_t until = earlier(clock_mono_ms() + LISTENER_MS, s->orderly_ms);

	services_down(s->conf, false);
	for (;;) {
		const struct qmail_process *left;

		if (!qmail_processes_find(s->conf, &s->all, err))
			return false;
		left = qmail_process_of(&s->all, LISTENERS);
		if (left == NULL)
			return true;
		if (clock_mono_ms() >= s->deadline_ms)
			return err_set(err, 0, "%s (pid %d) is still there after SIGKILL", left->program, left->pid);
		tell(s, LISTENERS, clock_mono_ms() < until ? SIGTERM : SIGKILL);
		qmail_processes_await(&(struct qmail_processes){ .at = (struct qmail_process *)(uintptr_t)left, .len = 1 },
		    earlier(clock_mono_ms() + LOOK_MS, s->deadline_ms));
	}
}

/* What is due at this moment, and until when it may be waited for. */
static uint64_t
press(struct stopping *s, uint64_t now)
{
	const unsigned int deliveries = BIT(QMAIL_IS_DELIVERY) | BIT(QMAIL_IS_SESSION) | BIT(QMAIL_IS_SUBMIT);

	tell(s, BIT(QMAIL_IS_SEND) | LISTENERS, SIGTERM);
	if (now >= s->term_ms) {
		tell(s, ~0u, SIGKILL);
		return earlier(now + LOOK_MS, s->deadline_ms);
	}
	if (now >= s->orderly_ms) {
		tell(s, deliveries, SIGTERM);
		return earlier(now + LOOK_MS, s->term_ms);
	}
	/* without qmail-send nobody marks them as done, and they will be made again: let them not be made twice */
	if (qmail_process_of(&s->all, BIT(QMAIL_IS_SEND)) == NULL)
		tell(s, BIT(QMAIL_IS_DELIVERY), SIGTERM);
	end_idle_sessions(s);
	return earlier(now + (qmail_process_of(&s->all, BIT(QMAIL_IS_SESSION) | BIT(QMAIL_IS_SUBMIT)) != NULL ? LOOK_MS :
	    LOOK_DELIVERIES_MS), s->orderly_ms);
}

static bool
stop_rest(struct stopping *s, struct err *err)
{
	for (;;) {
		uint64_t now, until;

		services_down(s->conf, true);
		if (!qmail_processes_find(s->conf, &s->all, err))
			return false;
		now = clock_mono_ms();
		if (s->all.len == 0 && !service_is_up(s->conf))
			return true;
		if (now >= s->deadline_ms)
			break;
		until = press(s, now);
		if (s->all.len != 0)
			qmail_processes_await(&s->all, until);
		else
			poll(NULL, 0, 2);	/* the supervisor has not noticed yet; no event tells when it does */
	}
	if (s->all.len == 0)
		return err_set(err, 0, "the supervisor of qmail's services does not take them down");
	return err_set(err, 0, "%zu of qmail's processes (the first: %s, pid %d) are still there after SIGKILL: they wait for a device",
	    s->all.len, s->all.at[0].program, s->all.at[0].pid);
}

bool
qmail_stop(const struct qmail_conf *conf, uint64_t deadline_ms, struct spawn_out *out, struct err *err)
{
	uint64_t now = clock_mono_ms(), span = deadline_ms > now ? deadline_ms - now : 0;
	struct stopping s = { .conf = conf, .cut_off_ms = now + CUT_OFF_MS, .orderly_ms = now + span / 4 * 3,
		.term_ms = now + span / 4 * 3 + (span / 8 < TERM_MS_MAX ? span / 8 : TERM_MS_MAX),
		.deadline_ms = span < LEAST_MS ? now + LEAST_MS : deadline_ms };
	pid_t pid = 0;
	bool ok;

	ok = stop_listeners(&s, err) && stop_rest(&s, err);
	qmail_processes_free(&s.all);
	if (s.killed != 0 && out != NULL)
		spawn_say(out, "killed", "%zu", s.killed);
	if (!ok)
		return false;
	switch (qmail_running(conf, &pid, err)) {
	case FACT_NO:
		return true;
	case FACT_YES:
		return err_set(err, 0, "the lock of qmail-send in %s is still held, by %s%d: is there a second qmail outside of %s?",
		    conf->queue, pid != 0 ? "pid " : "an unknown process, ", (int)pid, conf->home);
	case FACT_UNKNOWN:
	case FACT_COUNT:
		break;
	}
	return false;
}
