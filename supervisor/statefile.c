/*
 * supervisor/statefile.c - STATE_DIR/state: see statefile.h. Written by workers only (the daemon
 * reads it once, before its loop runs), always whole and durable (common/durable).
 */
#include "supervisor/statefile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/durable.h"

#define STATE_MAX 4096
#define ROOM (64 * 1024)		/* as much must be free where the state is kept */

size_t
state_format(const struct state *st, char *buf, size_t size)
{
	int n = snprintf(buf, size,
	    "mailpair-state 1\n"
	    "tenure %" PRIu64 "\n"
	    "released %" PRIu64 "\n"
	    "offline %d\n"
	    "gave-up %d\n"
	    "services-stopped %d\n"
	    "queue-refused %d\n"
	    "maintenance %d\n"
	    "maintenance-until %" PRIu64 "\n"
	    "stalls %" PRIu64 "\n"
	    "end\n",
	    st->tenure, st->released, st->offline, st->gave_up, st->services_stopped, st->queue_refused,
	    st->maintenance, st->maintenance_until_wall_ms, st->stalls);

	return n < 0 ? 0 : (size_t)n;
}

/* One "key value" line into *st; unknown keys of a newer version are passed over. */
static bool
state_line(const char *line, struct state *st)
{
	char key[32], digits[21];
	uint64_t value;
	int end = 0;

	/* one blank, then digits to the line's end, not what a lenient reader makes of "-1" or "12x" */
	if (sscanf(line, "%31s%*1[ ]%20[0-9]%n", key, digits, &end) != 2 || line[end] != '\0')
		return false;
	errno = 0;
	value = strtoull(digits, NULL, 10);
	if (errno != 0)
		return false;
	if (strcmp(key, "tenure") == 0)
		st->tenure = value;
	else if (strcmp(key, "released") == 0)
		st->released = value;
	else if (strcmp(key, "offline") == 0)
		st->offline = value != 0;
	else if (strcmp(key, "gave-up") == 0)
		st->gave_up = value != 0;
	else if (strcmp(key, "services-stopped") == 0)
		st->services_stopped = value != 0;
	else if (strcmp(key, "queue-refused") == 0)
		st->queue_refused = value != 0;
	else if (strcmp(key, "maintenance") == 0)
		st->maintenance = value != 0;
	else if (strcmp(key, "maintenance-until") == 0)
		st->maintenance_until_wall_ms = value;
	else if (strcmp(key, "stalls") == 0)
		st->stalls = value;
	return true;
}

bool
state_parse(const char *text, struct state *ret, struct err *err)
{
	struct state st = { 0 };
	unsigned int number = 0;
	bool ended = false;

	while (*text != '\0' && !ended) {
		size_t len = strcspn(text, "\n");
		char line[128];

		number++;
		if (text[len] != '\n' || len >= sizeof(line))
			return err_set(err, 0, "line %u is cut or too long", number);
		memcpy(line, text, len);
		line[len] = '\0';
		text += len + 1;
		if (number == 1) {
			if (strcmp(line, "mailpair-state 1") != 0)
				return err_set(err, 0, "line 1 is not \"mailpair-state 1\"");
		} else if (strcmp(line, "end") == 0) {
			ended = true;
		} else if (!state_line(line, &st)) {
			return err_set(err, 0, "line %u is not \"key number\"", number);
		}
	}
	if (!ended)
		return err_set(err, 0, "the last line \"end\" is missing");
	*ret = st;
	return true;
}

static void
state_path(const char *state_dir, char *buf, size_t size)
{
	snprintf(buf, size, "%s/state", state_dir);
}

bool
state_load(const char *state_dir, struct state *ret, struct err *err)
{
	char path[512], text[STATE_MAX];
	struct err why;

	state_path(state_dir, path, sizeof(path));
	if (durable_read(path, text, sizeof(text), &why) == -1) {
		if (why.sys != ENOENT) {
			*err = why;
			return false;
		}
		*ret = (struct state){ 0 };
		return true;
	}
	if (!state_parse(text, ret, &why))
		return err_set(err, 0, "%s: %s; remove the file only after checking which node owned last",
		    path, why.text);
	return true;
}

bool
state_save(const char *state_dir, const struct state *st, struct err *err)
{
	char path[512], text[STATE_MAX];

	state_path(state_dir, path, sizeof(path));
	return durable_write(path, text, state_format(st, text, sizeof(text)), 0600, err);
}

bool
state_try(const char *state_dir, struct err *err)
{
	int fd, sys = 0;

	if (utimensat(AT_FDCWD, state_dir, NULL, 0) == -1)
		return err_set(err, errno, "%s cannot be written", state_dir);
	fd = open(state_dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd != -1) {			/* not every file system can do that, nor the next */
		if (fallocate(fd, 0, 0, ROOM) == -1 && (errno == ENOSPC || errno == EDQUOT))
			sys = errno;
		close(fd);
	}
	fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return err_set(err, errno, "%s cannot be read", state_dir);
	if (fsync(fd) == -1 && sys == 0)
		sys = errno;
	close(fd);
	return sys == 0 || err_set(err, sys, "%s cannot be written", state_dir);
}
