/*
 * configsync/desk_say.c - lines from and to the supervisor. In: "role ROLE tenure N", "reload"; the end of the file is our end. Out, when it
 * changed and every ten seconds: "in_step=yes|no|unknown files=N pending=N conflicts=N refused=N problem=SENTENCE"; and "alert SENTENCE" (desk_alert.c).
 */
#include "configsync/desk_priv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define SOON_MS 50		/* many changes are one line */
#define SIGN_OF_LIFE_MS 9000

static const char *
in_step_word(const struct core_status *st)
{
	return st->in_step ? "yes" : st->link == CORE_LINKED && st->scanned ? "no" : "unknown";
}

/* "invalid certificate mail: ...", "unreadable /etc/x: ...", fit for a line. */
const char *
desk_sentence(const struct core_problem *p, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s: %s", p->kind, p->path[0] == '\0' ? "" : core_about_path(p) ? " /" : " ", p->path, p->text);
	for (char *c = buf; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	return buf;
}

static bool
is_invalid(const struct core_problem *p)
{
	return strcmp(p->kind, "invalid") == 0;
}

/* Sets that are not valid, whichever node has found it. */
static size_t
refused(const struct core_status *st)
{
	size_t n = 0;

	for (size_t i = 0; i < st->problems; i++)
		n += is_invalid(&st->problem[i]);
	for (size_t i = 0; i < st->theirs_rows; i++)
		n += is_invalid(&st->theirs[i]);
	return n;
}

/* Of several: what is not valid, as a person has to mend it. */
static const struct core_problem *
worst(const struct core_problem *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_invalid(&p[i]))
			return &p[i];
	return p;
}

/* The worst of it, as one sentence. */
static void
problem_of(const struct core_status *st, char *buf, size_t size)
{
	char row[560];

	buf[0] = '\0';
	if (st->link == CORE_REFUSED)
		snprintf(buf, size, "nothing is carried: %s", st->link_why);
	else if (st->first)
		snprintf(buf, size, "the two nodes were never the same; say which one counts: mailpair config resync --from NODE");
	else if (st->problems > 0 && (is_invalid(worst(st->problem, st->problems)) || st->theirs_rows == 0))
		desk_sentence(worst(st->problem, st->problems), buf, size);
	else if (st->theirs_rows > 0)
		snprintf(buf, size, "on the other node%s: %s", st->link == CORE_LINKED ? "" : ", when last heard", desk_sentence(worst(st->theirs, st->theirs_rows), row, sizeof row));
	for (char *c = buf; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
}

static void
say_now(void *arg)
{
	struct desk *d = arg;
	char line[sizeof d->said], problem[600];
	struct core_status st;

	desk_status(d, &st);
	problem_of(&st, problem, sizeof problem);
	snprintf(line, sizeof line, "in_step=%s files=%zu pending=%zu conflicts=%zu refused=%zu%s%s\n", in_step_word(&st), st.paths,
	    st.to_take + st.to_give, st.conflicts, refused(&st), problem[0] != '\0' ? " problem=" : "", problem);
	snprintf(d->said, sizeof d->said, "%s", line);
	/* a supervisor that does not read gets none of it: the next one says all */
	if (d->how->lines && write(STDOUT_FILENO, line, strlen(line)) == -1 && errno != EAGAIN)
		d->ending = true;
	desk_alert(d, &st);
	loop_timer_in(d->say_timer, SIGN_OF_LIFE_MS);
}

void
desk_say(struct desk *d)
{
	if (d->say_timer == NULL)
		d->say_timer = loop_timer_new(d->loop, say_now, d);
	loop_timer_in(d->say_timer, SOON_MS);
}

/* ---------------------------------------------------------------- lines of the supervisor */

static void
hear_line(struct desk *d, char *line)
{
	unsigned long long tenure = 0;
	char role[32] = "";

	if (strcmp(line, "reload") == 0) {
		desk_reload(d);
	} else if (sscanf(line, "role %31s tenure %llu", role, &tenure) == 2) {
		d->role = strcmp(role, "active") == 0 ? WIRE_ROLE_ACTIVE : WIRE_ROLE_STANDBY;
		d->tenure = tenure;
		core_role(d->core, d->role, d->tenure, clock_mono_ms());
		desk_work(d);
	} else {
		log_warnx("\"%s\" is no line that is understood: \"role ROLE tenure N\" or \"reload\"", line);
	}
}

static void
hear(int fd, unsigned int ready, void *arg)
{
	struct desk *d = arg;
	char *end;
	ssize_t n = read(fd, d->heard + d->heard_len, sizeof d->heard - 1 - d->heard_len);

	(void)ready;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		loop_stop(d->loop);
		return;
	}
	d->heard_len += (size_t)n;
	d->heard[d->heard_len] = '\0';
	while ((end = strchr(d->heard, '\n')) != NULL) {
		*end = '\0';
		hear_line(d, d->heard);
		d->heard_len -= (size_t)(end + 1 - d->heard);
		memmove(d->heard, end + 1, d->heard_len + 1);
	}
	if (d->heard_len == sizeof d->heard - 1)
		d->heard_len = 0;
}

void
desk_hear(struct desk *d)
{
	int flags;

	if (!d->how->lines)
		return;
	for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++)
		if ((flags = fcntl(fd, F_GETFL)) != -1)
			fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	d->input = loop_io_new(d->loop, STDIN_FILENO, LOOP_READ, hear, d);
}

void
desk_deaf(struct desk *d)
{
	loop_io_free(d->input);
	d->input = NULL;
}
