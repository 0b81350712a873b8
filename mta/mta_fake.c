/*
 * mta/mta_fake.c - the fake driver. For tests only; blocks as long as it is told to.
 */
#include "mta/mta_fake.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/durable.h"

#define FAKE_PID 4242

static bool
told(const struct mta_params *params, const char *word)
{
	char path[512], text[128];

	snprintf(path, sizeof path, "%s/fake.mta", params->run_dir);
	return durable_read(path, text, sizeof text, NULL) != -1 && strstr(text, word) != NULL;
}

static void
pid_path(const struct mta_params *params, char *buf, size_t size)
{
	snprintf(buf, size, "%s/fake.pid", params->run_dir);
}

/* True: go on. False: it hung until its limit, or failed. */
static bool
behave(const struct mta_params *params, uint32_t limit_ms, struct err *err)
{
	if (told(params, "hang")) {
		poll(NULL, 0, (int)limit_ms);
		return err_set(err, 0, "the fake mail program did not come back in time");
	}
	if (told(params, "fail"))
		return err_set(err, 0, "the fake mail program was told to fail");
	return true;
}

static bool
fake_prepare(const struct mta_params *params, struct spawn_out *out, struct err *err)
{
	if (!behave(params, 0, err)) {
		spawn_say(out, "prepared", "no");
		spawn_say(out, "why", "it was told so");
		return true;
	}
	spawn_say(out, "prepared", "yes");
	return true;
}

static enum fact
fake_running(const struct mta_params *params, pid_t *ret_pid, struct err *err)
{
	char path[512];
	bool runs;

	if (told(params, "mute")) {
		err_set(err, 0, "the fake mail program does not tell whether it runs");
		return FACT_UNKNOWN;
	}
	pid_path(params, path, sizeof path);
	runs = access(path, F_OK) == 0;
	*ret_pid = runs ? FAKE_PID : 0;
	return runs ? FACT_YES : FACT_NO;
}

static int fake_locked(const struct mta_params *);

static bool
fake_start(const struct mta_params *params, uint32_t limit_ms, struct spawn_out *out,
    struct err *err)
{
	char path[512];
	int lock;

	if (!behave(params, limit_ms, err))
		return false;
	lock = fake_locked(params);
	if (lock == -1)
		return err_set(err, 0, "the fake mail program is locked");
	close(lock);
	pid_path(params, path, sizeof path);
	if (!told(params, "lie") && !durable_write(path, "4242\n", 5, 0600, err))
		return false;
	spawn_say(out, "check", "0.0");
	spawn_say(out, "exec", "0.0");
	spawn_say(out, "pid", "%d", FAKE_PID);
	return true;
}

static bool
fake_stop(const struct mta_params *params, uint32_t limit_ms, struct spawn_out *out, struct err *err)
{
	char path[512];

	(void)out;
	if (!behave(params, limit_ms, err))
		return false;
	pid_path(params, path, sizeof path);
	if (!told(params, "lie") && unlink(path) == -1 && errno != ENOENT)
		return err_set(err, errno, "cannot remove %s", path);
	return true;
}

static enum mta_answer
fake_answers(const struct mta_params *params, struct err *err)
{
	char path[512];

	if (told(params, "hang")) {
		behave(params, params->probe_ms, err);
		return MTA_NO_ANSWER;
	}
	pid_path(params, path, sizeof path);
	if (told(params, "fail") || access(path, F_OK) == -1) {
		err_set(err, 0, "the fake mail program does not run");
		return MTA_REFUSED;
	}
	return MTA_ANSWERED;
}

static bool
fake_count(const struct mta_params *params, struct mta_queue_counts *ret, struct err *err)
{
	if (!behave(params, 0, err))
		return false;
	*ret = (struct mta_queue_counts){ .total = 3, .incoming = 1, .deferred = 2 };
	return true;
}

static bool
fake_layout(const struct mta_params *params, const char *dir, const struct queue_owners *owners, struct queue_layout *ret,
    struct err *err)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof path, "%s", dir != NULL ? dir : params->run_dir);
	if (stat(path, &st) == -1 || !S_ISDIR(st.st_mode))
		return err_set(err, errno, "the fake queue %s cannot be opened", path);
	*ret = (struct queue_layout){ .mta = "fake", .root = strdup(path), .owners = owners };
	queue_place_add(ret, "", 0);
	return true;
}

/* Its lock: a start fails while somebody has it. */
static int
fake_locked(const struct mta_params *params)
{
	char path[512];
	int fd;

	snprintf(path, sizeof path, "%s/fake.lock", params->run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static enum fact
fake_lock(const struct mta_params *params, const struct queue_layout *layout, struct queue_lock *ret, struct err *err)
{
	pid_t pid;
	enum fact fact = fake_running(params, &pid, err);
	int fd;

	(void)layout;
	if (fact != FACT_NO) {
		if (fact == FACT_YES)
			err_set(err, 0, "the fake mail program runs");
		return fact == FACT_YES ? FACT_NO : FACT_UNKNOWN;
	}
	fd = fake_locked(params);
	if (fd == -1) {
		err_set(err, 0, "the fake mail program is locked");
		return FACT_NO;
	}
	*ret = (struct queue_lock){ .fd = { fd }, .held = 1 };
	return FACT_YES;
}

const struct mta_driver mta_fake = {
	.name = "fake",
	.prepare = fake_prepare,
	.running = fake_running,
	.start = fake_start,
	.stop = fake_stop,
	.answers = fake_answers,
	.count = fake_count,
	.layout = fake_layout,
	.lock = fake_lock,
};
