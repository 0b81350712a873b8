/*
 * tests/unit/qmail_case.h - what the tests of the qmail driver have in common: one box for each test, and short names for
 * what is done in it and waited for.
 */
#ifndef TESTS_UNIT_QMAIL_CASE_H
#define TESTS_UNIT_QMAIL_CASE_H

#include "mta/qmail_process.h"
#include "mta/qmail_service.h"
#include "tests/unit/qmail_box.h"

static struct qbox q;

static inline void
setup(void)
{
	qbox_make(&q, (enum qbox_how)QBOX_DIRECT);
}

static inline void
teardown(void)
{
	qbox_break(&q);
}

/* The fixture cannot know the loop's number: tests over all ways begin anew. */
static inline void
begin(enum qbox_how how)
{
	if (how == QBOX_DIRECT)
		return;
	qbox_break(&q);
	qbox_make(&q, how);
}

/* ---------------------------------------------------------------- asking and waiting */

static inline enum fact
runs(pid_t *ret_pid)
{
	struct err err = { 0 };
	pid_t pid = -1;
	enum fact fact = mta_qmail.running(&q.params, &pid, &err);

	if (ret_pid != NULL)
		*ret_pid = pid;
	return fact;
}

static inline struct said *
start(void)
{
	struct said *said = box_call(&mta_qmail, &q.params, box_start_f, QBOX_PATIENCE_MS);

	ck_assert_msg(said->ok, "%s", said->err.text);
	return said;
}

static inline struct said *
stop(uint32_t limit_ms)
{
	struct said *said = box_call(&mta_qmail, &q.params, box_stop_f, limit_ms);

	ck_assert_msg(said->ok, "%s", said->err.text);
	return said;
}

static inline void
await(bool (*so)(void *), void *arg, const char *what)
{
	uint64_t until = clock_mono_ms() + QBOX_PATIENCE_MS;

	while (!so(arg)) {
		ck_assert_msg(clock_mono_ms() < until, "%s: not in time", what);
		poll(NULL, 0, 5);
	}
}

/* How many deliveries were made. */
static inline size_t
delivered(void)
{
	char text[4096] = "";
	FILE *f = fopen(qbox_path(&q, "delivered"), "re");
	size_t n = 0, len = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;

	if (f != NULL)
		fclose(f);
	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

static inline bool
is_delivered(void *arg)
{
	return delivered() == *(size_t *)arg;
}

/* How many processes of this part. */
static inline size_t
count_part(enum qmail_part part)
{
	struct qmail_conf *conf = calloc(1, sizeof *conf);
	struct qmail_processes all = { 0 };
	struct err err = { 0 };
	size_t n = 0;

	qmail_conf_load(&q.params, conf, &err);
	ck_assert_msg(qmail_processes_find(conf, &all, &err), "%s", err.text);
	for (size_t i = 0; i < all.len; i++)
		n += all.at[i].part == part;
	qmail_processes_free(&all);
	free(conf);
	return n;
}

static inline bool
is_delivering(void *arg)
{
	(void)arg;
	return count_part(QMAIL_IS_DELIVERY) == 1;
}

static inline bool
nothing_delivers(void *arg)
{
	(void)arg;
	return count_part(QMAIL_IS_DELIVERY) == 0;
}

static inline bool
in_queue(void *arg)
{
	(void)arg;
	return count_part(QMAIL_IS_QUEUE) > 0;
}

static inline uint64_t
queued(void)
{
	struct mta_queue_counts n;
	struct err err = { 0 };

	ck_assert_msg(mta_qmail.count(&q.params, &n, &err), "%s", err.text);
	return n.total;
}

/* Deliveries wait until the gate is opened. */
static inline void
close_gate(void)
{
	unlink(qbox_path(&q, "waiting"));
	ck_assert(mkfifo(qbox_path(&q, "gate"), 0666) == 0);
}

/* In a child of ours, as soon as qmail-send has heard TERM: what the outside world does while the driver's stop waits. */
static inline bool
is_exiting(void *arg)
{
	(void)arg;
	return access(qbox_path(&q, "exiting"), F_OK) == 0;
}

static inline pid_t
while_it_stops(void (*f)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		await(is_exiting, NULL, "qmail-send hears TERM");
		f();
		_exit(0);
	}
	return pid;
}

static inline void
await_child(pid_t pid)
{
	int status;

	ck_assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static inline void
open_gate(void)
{
	int fd = open(qbox_path(&q, "gate"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	ck_assert_msg(fd != -1, "nobody waits at the gate: %s", strerror(errno));
	unlink(qbox_path(&q, "gate"));
	close(fd);
}

/* A word to its supervisor was taken out of the FIFO. */
static inline bool
is_heard(void *arg)
{
	char path[192];
	int left = -1, fd;

	snprintf(path, sizeof path, "%s/supervise/control", (const char *)arg);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert(fd != -1 && ioctl(fd, FIONREAD, &left) == 0);
	close(fd);
	return left == 0;
}

/* supervise is deaf for a second after it has started its service: what a stop does then is not what it does in general. */
static inline void
await_supervisors(void)
{
	for (int i = 0; i < QBOX_SERVICES && q.how != QBOX_DIRECT; i++) {
		struct qmail_service svc = { .supervised = true };
		struct err err;

		snprintf(svc.path, sizeof svc.path, "%s", q.service[i]);
		ck_assert(qmail_service_control(&svc, 'c', &err));
		await(is_heard, q.service[i], "the supervisor hears");
	}
}

static inline bool
waits_at_gate(void *arg)
{
	(void)arg;
	return access(qbox_path(&q, "waiting"), F_OK) == 0;
}

/* A message whose delivery has begun and does not end. */
static inline void
delivery_in_flight(void)
{
	close_gate();
	start();
	await_supervisors();
	box_send_mail();
	await(is_delivering, NULL, "the delivery begins");
	await(waits_at_gate, NULL, "it waits");		/* else it would not, where the gate goes at once */
}

#endif
