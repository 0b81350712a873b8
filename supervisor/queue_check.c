/*
 * supervisor/queue_check.c - runs mailpair-queue in a worker, and judges what it says. The program is another one because
 * a queue's files are untrusted input, and because a slow disk must hold up nobody but this step.
 */
#include "supervisor/queue_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

#define OUT_MAX 8192
#define DEEP_FILES_PER_SECOND "2000"	/* so that the mail beside it does not notice */
/* Where a file system's inode tables do not tell, mail waits so long for owners, modes and sizes; the deep pass looks at the rest */
#define START_LOOK "250ms"

/* ---------------------------------------------------------------- reports, pure */

static uint64_t
number(const char *text, const char *key)
{
	char value[32];

	return spawn_get(text, key, value, sizeof(value)) != NULL ? strtoull(value, NULL, 10) : 0;
}

/* Of one queue: up to the next one's head. */
static bool
one_report(const char *all, const char *next, struct queue_report *ret)
{
	struct queue_report r = { .verdict = "unknown" };
	char text[OUT_MAX], value[8];
	bool ok;

	snprintf(text, sizeof(text), "%.*s", next != NULL ? (int)(next + 1 - all) : OUT_MAX, all);
	ok = spawn_get(text, "queue-verdict", r.verdict, sizeof(r.verdict)) != NULL;
	r.messages = number(text, "queue-messages");
	r.findings = number(text, "queue-findings");
	r.damaged = number(text, "queue-damaged");
	r.took_ms = (uint32_t)number(text, "queue-took");
	r.cut = spawn_get(text, "queue-cut", value, sizeof(value)) != NULL && strcmp(value, "yes") == 0;
	spawn_get(text, "queue-text", r.text, sizeof(r.text));
	*ret = r;
	return ok;
}

static size_t
badness(const char *verdict)
{
	static const char *const order[] = { "consistent", "repaired", "repairable", "damaged" };
	size_t n = 0;

	while (n < sizeof(order) / sizeof(order[0]) && strcmp(order[n], verdict) != 0)
		n++;
	return n;
}

/* Where a program has several queues there are as many reports: what is worst in any of them counts. */
bool
queue_report_read(const char *text, struct queue_report *ret)
{
	static const char head[] = "\nqueue-verdict ";
	const char *next = strstr(text, head);
	struct queue_report sum;
	bool ok = one_report(text, next, &sum);

	while (ok && next != NULL) {
		struct queue_report r;
		const char *from = next + 1;

		next = strstr(from, head);
		(void)one_report(from, next, &r);
		sum.messages += r.messages;
		sum.findings += r.findings;
		sum.damaged += r.damaged;
		sum.took_ms += r.took_ms;
		sum.cut = sum.cut || r.cut;
		if (badness(r.verdict) > badness(sum.verdict)) {
			memcpy(sum.verdict, r.verdict, sizeof(sum.verdict));
			memcpy(sum.text, r.text, sizeof(sum.text));
		}
	}
	*ret = sum;
	return ok;
}

void
queue_report_say(const struct queue_report *r, struct spawn_out *out)
{
	spawn_say(out, "queue-verdict", "%s", r->verdict);
	spawn_say(out, "queue-messages", "%" PRIu64, r->messages);
	spawn_say(out, "queue-findings", "%" PRIu64, r->findings);
	spawn_say(out, "queue-damaged", "%" PRIu64, r->damaged);
	spawn_say(out, "queue-took", "%" PRIu32, r->took_ms);
	spawn_say(out, "queue-cut", "%s", r->cut ? "yes" : "no");
	if (r->text[0] != '\0')
		spawn_say(out, "queue-text", "%s", r->text);
}

enum queue_go
queue_judge(enum conf_queue_check policy, const struct queue_report *r)
{
	bool clean = strcmp(r->verdict, "consistent") == 0 || strcmp(r->verdict, "repaired") == 0;
	bool known = strcmp(r->verdict, "unknown") != 0;

	if (clean)
		return QUEUE_GO;
	switch (policy) {
	case CONF_QUEUE_MEND:
		return known ? QUEUE_MEND : QUEUE_GO;
	case CONF_QUEUE_REFUSE:
		return QUEUE_REFUSE;
	case CONF_QUEUE_REPORT: case CONF_QUEUE_COUNT:
		break;
	}
	return QUEUE_GO;
}

/* ---------------------------------------------------------------- the program */

/* It stands beside this one; where this one was replaced by an update meanwhile, PATH finds it. */
static const char *
program(char *buf, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", buf, size - 1);
	char *slash;

	buf[n > 0 ? n : 0] = '\0';
	slash = strrchr(buf, '/');
	if (slash != NULL && (size_t)(slash - buf) + sizeof("/mailpair-queue") <= size) {
		memcpy(slash, "/mailpair-queue", sizeof("/mailpair-queue"));
		if (access(buf, X_OK) == 0)
			return buf;
	}
	return "mailpair-queue";
}

/* How it is run: with two arguments more, if not NULL. */
struct run { const char *more, *value; bool nice; spawn_progress_f *progress; void *progress_arg; };

/* *ret says "unknown" and why where there is no verdict, and the errno is that of spawn_run(); 0: there is one. */
static int
run(const struct conf *c, const struct run *how, uint32_t limit_ms, struct queue_report *ret)
{
	char path[512], out[OUT_MAX] = "", errout[512] = "";
	const char *argv[17] = { program(path, sizeof(path)), "check", "--brief", "--mta", c->mta.name, "--run-dir", c->run_dir };
	struct spawn_cmd cmd = { .argv = argv, .nice = how->nice, .progress = how->progress, .progress_arg = how->progress_arg };
	struct err why = { 0 };
	uint64_t began = clock_mono_ms();
	size_t n = 7;
	int status;

	if (c->mta.config != NULL) {
		argv[n++] = "--config";
		argv[n++] = c->mta.config;
	}
	if (how->more != NULL)
		argv[n++] = how->more;
	if (how->value != NULL)
		argv[n++] = how->value;
	if (how->nice) {
		argv[n++] = "--throttle";
		argv[n++] = DEEP_FILES_PER_SECOND;
	}
	argv[n] = NULL;
	status = spawn_run(&cmd, limit_ms, out, sizeof(out), errout, sizeof(errout), &why);
	/* 2: no problem, but not everything was looked at; or no report */
	if (status >= 0 && status <= 2 && queue_report_read(out, ret))
		return 0;
	errout[strcspn(errout, "\n")] = '\0';
	*ret = (struct queue_report){ .verdict = "unknown", .took_ms = (uint32_t)(clock_mono_ms() - began) };
	snprintf(ret->text, sizeof(ret->text), "%.250s", status == -1 ? why.text : errout[0] != '\0' ? errout :
	    "mailpair-queue gave no verdict");
	return status == -1 && why.sys != 0 ? why.sys : EINVAL;
}

static void
comes_further(void *out, const char *text)
{
	spawn_progress(out, text);
}

/*
 * Begun again where it was cut off. *ret_refused: it stood still, and was ended; who does not even die waits for a disk, which the
 * other node may reach.
 */
static bool
mend(const struct conf *c, uint32_t limit_ms, struct spawn_out *out, struct queue_report *ret, bool *ret_refused, struct err *err)
{
	int sys;

	spawn_progress(out, "begins");
	sys = run(c, &(struct run){ .more = "--repair", .value = "--progress", .progress = comes_further, .progress_arg = out }, limit_ms, ret);
	if (sys == 0)
		return true;
	*ret_refused = sys == ETIMEDOUT;
	if (sys == ETIMEDOUT)
		snprintf(ret->text, sizeof(ret->text), "its repair came no further for %" PRIu32 " s", limit_ms / 1000);
	return err_set(err, 0, "the queue of %s could not be mended: %s", c->mta.name, ret->text);
}

bool
queue_check(const struct conf *c, const struct mta_driver *driver, const struct mta_params *params, uint32_t limit_ms,
    struct spawn_out *out, struct err *err)
{
	bool whole = c->mta.queue_check == CONF_QUEUE_REFUSE, ok = true, refused = false;
	struct queue_report report;
	struct err ignored;
	pid_t pid;

	/* a supervisor that was restarted: what runs goes on as it runs */
	if (driver->running(params, &pid, &ignored) == FACT_YES)
		return true;
	(void)run(c, &(struct run){ .more = whole ? "--at-rest" : "--names-first", .value = whole ? NULL : START_LOOK }, limit_ms, &report);
	switch (queue_judge(c->mta.queue_check, &report)) {
	case QUEUE_GO:
		break;
	case QUEUE_MEND:
		ok = mend(c, limit_ms, out, &report, &refused, err);
		break;
	case QUEUE_REFUSE:
		refused = true;
		ok = err_set(err, 0, "the queue of %s is %s and queue-check is \"refuse\": %s", c->mta.name, report.verdict,
		    report.text);
		break;
	}
	queue_report_say(&report, out);
	if (refused)
		spawn_say(out, "queue-refused", "yes");
	return ok;
}

bool
queue_check_deep(const struct conf *c, uint32_t limit_ms, struct spawn_out *out, struct err *err)
{
	struct queue_report report;
	bool ok = run(c, &(struct run){ .more = "--deep", .nice = true }, limit_ms, &report) == 0;

	queue_report_say(&report, out);
	return ok || err_set(err, 0, "%s", report.text);
}
