/*
 * supervisor/config_child.c - see config_child.h. In the supervisor's main process, outside of the engine.
 */
#include "supervisor/config_child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/spawn_kid.h"

#define LINE_MAX_LEN 1024
#define ROLE_MAX 32
#define LEAVE_MS 10000		/* for one that is not wanted any more; then it is asked by SIGTERM */
#define RUINED 3		/* ends in a row after which it counts as one that cannot be kept running */

/* Text that comes in pieces, a line at a time; what is too long is left out. */
struct lines {
	int		 fd;		/* -1: none */
	struct loop_io	*io;
	char		 buf[LINE_MAX_LEN];
	size_t		 len;
	bool		 skip;		/* until the next line */
	void		(*take)(struct config_child *, const char *line);
	struct config_child *owner;
};

#define ALERTS 16		/* that are remembered */
#define AGAIN_MS 60000		/* one that was started again says what it finds, which is not new, within this */

struct config_child {
	struct loop		*loop;
	const char		*program, *file;
	const struct config_child_pace *pace;
	config_child_alarm_f	*alarm;
	void			*arg;
	const struct conf	*conf;
	bool			 wanted;
	struct loop_timer	*start, *look;

	pid_t			 pid;		/* -1: it does not run */
	int			 pidfd, in;
	struct loop_io		*ended, *writable;
	struct lines		 out, err;
	uint64_t		 began_ms;
	char			 role[ROLE_MAX];
	uint64_t		 tenure;
	bool			 owes_role, owes_reload;	/* not told yet */

	uint32_t		 delay_ms;
	unsigned int		 ends;		/* in a row */
	char			 end[128], words[200];	/* of the last one: how, and what it said last on standard error */
	struct status_config	 says;
	uint64_t		 heard_ms, apart_ms;	/* its last line; since when it is not in step, or does not say so */
	unsigned int		 told;		/* alarms that were given and are still true */
	char			 alert[ALERTS][256];	/* the last ones of earlier lives and of this one */
	size_t			 alerts, former;	/* in all; before this life */
};

static const struct config_child_pace usual = { .first_ms = 1000, .most_ms = 60000, .well_ms = 60000, .patience_ms = 60000, .look_ms = 5000 };

static void start_it(void *arg);

/* ---------------------------------------------------------------- what it says */

static bool
number_of(const char *text, size_t len, uint64_t *ret)
{
	char digits[24];

	if (len == 0 || len > 18 || strspn(text, "0123456789") < len)
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)len, text);
	*ret = strtoull(digits, NULL, 10);
	return true;
}

bool
config_child_parse(const char *line, struct status_config *ret)
{
	static const struct { const char *key; size_t offset; } numbers[] = { { "files=", offsetof(struct status_config, files) },
		{ "pending=", offsetof(struct status_config, pending) }, { "conflicts=", offsetof(struct status_config, conflicts) },
		{ "refused=", offsetof(struct status_config, refused) } };
	struct status_config c = { .in_step = FACT_UNKNOWN };
	bool any = false;

	for (line += strspn(line, " "); *line != '\0'; line += strcspn(line, " "), line += strspn(line, " ")) {
		size_t len = strcspn(line, " ");

		if (strncmp(line, "problem=", 8) == 0) {
			snprintf(c.problem, sizeof(c.problem), "%s", line + 8);
			any = true;
			break;
		}
		if (strncmp(line, "in_step=", 8) == 0) {
			c.in_step = len == 11 && strncmp(line + 8, "yes", 3) == 0 ? FACT_YES :
			    len == 10 && strncmp(line + 8, "no", 2) == 0 ? FACT_NO : FACT_UNKNOWN;
			any = true;
		}
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
			size_t key = strlen(numbers[i].key);

			if (strncmp(line, numbers[i].key, key) == 0 &&
			    !number_of(line + key, len - key, (uint64_t *)(void *)((char *)&c + numbers[i].offset)))
				return false;
		}
	}
	if (any)
		*ret = c;
	return any;
}

/* What a former life of it has told already is nothing that happened. */
static void
take_alert(struct config_child *c, const char *text)
{
	bool begins = c->began_ms + AGAIN_MS > clock_mono_ms();

	for (size_t i = c->alerts > ALERTS ? c->alerts - ALERTS : 0; begins && i < c->former; i++)
		if (strncmp(c->alert[i % ALERTS], text, sizeof(c->alert[0]) - 1) == 0) {
			log_info("mailpair-config says it again after its start: %s", text);
			return;
		}
	snprintf(c->alert[c->alerts++ % ALERTS], sizeof(c->alert[0]), "%s", text);
	c->alarm(c->arg, text);
}

static void
take_status(struct config_child *c, const char *line)
{
	uint64_t now = clock_mono_ms();

	if (strncmp(line, "alert ", 6) == 0) {
		take_alert(c, line + 6);
		return;
	}
	if (!config_child_parse(line, &c->says)) {
		log_debug("mailpair-config says what is not understood: %s", line);
		return;
	}
	c->heard_ms = now;
	if (c->says.in_step == FACT_YES)
		c->apart_ms = 0;
	else if (c->apart_ms == 0)
		c->apart_ms = now;
}

/* As common/log.h writes it to standard error. */
static void
take_words(struct config_child *c, const char *line)
{
	static const char self[] = "mailpair-config: ";

	if (strncmp(line, self, sizeof(self) - 1) == 0)
		line += sizeof(self) - 1;
	snprintf(c->words, sizeof(c->words), "%s", line);
	if (strncmp(line, "error: ", 7) == 0)
		log_err("mailpair-config: %s", line + 7);
	else if (strncmp(line, "warning: ", 9) == 0)
		log_warnx("mailpair-config: %s", line + 9);
	else
		log_info("mailpair-config: %s", line);
}

static void
lines_close(struct lines *l)
{
	if (l->fd == -1)
		return;
	loop_io_free(l->io);
	close(l->fd);
	l->io = NULL;
	l->fd = -1;
	l->len = 0;
	l->skip = false;
}

/* Takes what is there; false at the end. */
static bool
lines_read(struct lines *l)
{
	char *end;
	ssize_t n = read(l->fd, l->buf + l->len, sizeof(l->buf) - 1 - l->len);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	l->len += (size_t)n;
	while ((end = memchr(l->buf, '\n', l->len)) != NULL) {
		size_t used = (size_t)(end + 1 - l->buf);

		*end = '\0';
		for (char *p = l->buf; p < end; p++)
			if ((unsigned char)*p < ' ' || *p == 0x7f)
				*p = ' ';
		if (!l->skip)
			l->take(l->owner, l->buf);
		l->skip = false;
		memmove(l->buf, l->buf + used, l->len - used);
		l->len -= used;
	}
	if (l->len == sizeof(l->buf) - 1) {
		l->skip = true;
		l->len = 0;
	}
	return true;
}

/* Its last words, but not what a child of its own may still say. */
static void
lines_drain(struct lines *l)
{
	for (int n = 0; n < 64 && l->fd != -1 && lines_read(l); n++)
		;
	lines_close(l);
}

static void
lines_ready(int fd, unsigned int ready, void *arg)
{
	struct lines *l = arg;

	(void)fd;
	(void)ready;
	if (!lines_read(l))
		lines_close(l);
}

/* ---------------------------------------------------------------- what it is told */

/* Lines are short, so a pipe takes one whole or not at all. True: it is told, or it is gone and will be told anew. */
static bool
tell(struct config_child *c, const char *line)
{
	return write(c->in, line, strlen(line)) != -1 || errno != EAGAIN;
}

static void
tell_all(struct config_child *c)
{
	char line[ROLE_MAX + 48];

	if (c->in == -1)
		return;
	if (c->owes_role) {
		snprintf(line, sizeof(line), "role %s tenure %" PRIu64 "\n", c->role, c->tenure);
		c->owes_role = !tell(c, line);
	}
	if (c->owes_reload)
		c->owes_reload = !tell(c, "reload\n");
	loop_io_want(c->writable, c->owes_role || c->owes_reload ? LOOP_WRITE : 0);
}

static void
takes_more(int fd, unsigned int ready, void *arg)
{
	(void)fd;
	(void)ready;
	tell_all(arg);
}

void
config_child_role(struct config_child *c, const char *role, uint64_t tenure)
{
	if (strcmp(c->role, role) == 0 && c->tenure == tenure)
		return;
	snprintf(c->role, sizeof(c->role), "%s", role);
	c->tenure = tenure;
	c->owes_role = true;
	tell_all(c);
}

static void
hang_up(struct config_child *c)
{
	if (c->in == -1)
		return;
	loop_io_free(c->writable);
	close(c->in);
	c->writable = NULL;
	c->in = -1;
}

/* ---------------------------------------------------------------- its beginning and its end */

static void
note_end(struct config_child *c, const siginfo_t *si)
{
	if (si->si_code == CLD_EXITED)
		snprintf(c->end, sizeof(c->end), "it ended with status %d", si->si_status);
	else if (si->si_code != 0)
		snprintf(c->end, sizeof(c->end), "it was ended by signal %d (%s)", si->si_status, strsignal(si->si_status));
	else
		snprintf(c->end, sizeof(c->end), "it ended");
}

static void
it_ended(int fd, unsigned int ready, void *arg)
{
	struct config_child *c = arg;
	siginfo_t si = { .si_code = 0 };
	bool well = clock_mono_ms() - c->began_ms >= c->pace->well_ms;

	(void)ready;
	waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG);
	lines_drain(&c->out);
	lines_drain(&c->err);
	hang_up(c);
	loop_io_free(c->ended);
	close(c->pidfd);
	c->ended = NULL;
	c->pid = -1;
	c->says = (struct status_config){ .in_step = FACT_UNKNOWN };
	if (!c->wanted)
		return;
	note_end(c, &si);
	c->ends = well ? 1 : c->ends + 1;
	c->delay_ms = well || c->delay_ms == 0 ? c->pace->first_ms : 2 * c->delay_ms < c->pace->most_ms ? 2 * c->delay_ms : c->pace->most_ms;
	if (c->apart_ms == 0)
		c->apart_ms = clock_mono_ms();
	log_warnx("mailpair-config: %s; it is started again in %" PRIu32 " ms", c->end, c->delay_ms);
	loop_timer_in(c->start, c->delay_ms);
}

static void __attribute__((noreturn))
become(const struct config_child *c, int in, int out, int err)
{
	const char *argv[] = { c->program, "run", "--conf", c->file, "--node", c->conf->node[c->conf->self], NULL };

	kid_settle(false);
	if (dup2(in, STDIN_FILENO) == -1 || dup2(out, STDOUT_FILENO) == -1 || dup2(err, STDERR_FILENO) == -1)
		_exit(126);
	kid_close_from(STDERR_FILENO + 1);
	execv(c->program, (char *const *)(const void *)argv);
	dprintf(STDERR_FILENO, "error: %s cannot be run: %s\n", c->program, strerror(errno));
	_exit(127);
}

static void
lines_open(struct config_child *c, struct lines *l, int fd)
{
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	l->fd = fd;
	l->io = loop_io_new(c->loop, fd, LOOP_READ, lines_ready, l);
}

/* In the parent: ours are the other ends of its three pipes. */
static void
it_began(struct config_child *c, int in, int out, int err)
{
	(void)fcntl(in, F_SETFL, O_NONBLOCK);
	c->in = in;
	c->writable = loop_io_new(c->loop, in, 0, takes_more, c);
	lines_open(c, &c->out, out);
	lines_open(c, &c->err, err);
	c->ended = loop_io_new(c->loop, c->pidfd, LOOP_READ, it_ended, c);
	c->began_ms = c->heard_ms = clock_mono_ms();
	c->former = c->alerts;
	if (c->apart_ms == 0)
		c->apart_ms = c->began_ms;
	c->owes_role = c->role[0] != '\0';
	c->owes_reload = false;
	tell_all(c);
}

static void
start_it(void *arg)
{
	struct config_child *c = arg;
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	sigset_t all, before;

	if (!c->wanted || c->pid != -1) {
		if (!c->wanted && c->pid != -1)
			kill(c->pid, SIGTERM);	/* its input ended long ago */
		return;
	}
	if (pipe2(in, O_CLOEXEC) == -1 || pipe2(out, O_CLOEXEC) == -1 || pipe2(err, O_CLOEXEC) == -1)
		goto failed;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);	/* our handlers would speak to the parent's loop */
	if ((c->pid = fork()) == 0)
		become(c, in[0], out[1], err[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (c->pid == -1)
		goto failed;
	if ((c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0)) == -1) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
		c->pid = -1;
		goto failed;
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	it_began(c, in[1], out[0], err[0]);
	return;
failed:
	snprintf(c->end, sizeof(c->end), "it cannot be started: %s", strerror(errno));
	c->ends++;
	for (int i = 0; i < 6; i++) {
		int fd = (i < 2 ? in : i < 4 ? out : err)[i % 2];

		if (fd != -1)
			close(fd);
	}
	loop_timer_in(c->start, c->pace->most_ms);
}

void
config_child_conf(struct config_child *c, const struct conf *conf)
{
	c->conf = conf;
	if (conf->sync.on && c->pid != -1 && c->wanted) {
		c->owes_reload = true;
		tell_all(c);
	} else if (conf->sync.on && !c->wanted) {
		c->wanted = true;
		c->ends = 0;
		c->delay_ms = 0;
		c->apart_ms = clock_mono_ms();
		loop_timer_in(c->look, c->pace->look_ms);
		/* one that still ends is waited for */
		loop_timer_in(c->start, c->pid == -1 ? 0 : c->pace->first_ms);
	} else if (!conf->sync.on && c->wanted) {
		c->wanted = false;
		c->told = 0;
		loop_timer_cancel(c->look);
		hang_up(c);
		loop_timer_in(c->start, LEAVE_MS);
	}
}

/* ---------------------------------------------------------------- what is wrong */

enum trouble { CONFIG_RUINED, CONFIG_SILENT, CONFIG_CONFLICTS, CONFIG_REFUSED, CONFIG_APART, TROUBLES };
struct troubles { unsigned int which; char text[TROUBLES][320]; };

static const char *const advice[TROUBLES] = {
	[CONFIG_RUINED] = "look at the log of mailpaird, and at mailpair.conf; it is tried again and again, and mail goes on",
	[CONFIG_SILENT] = "look what holds it up (its disk?); it is its own process, and mail goes on",
	[CONFIG_CONFLICTS] = "see which files, and which version shall count: mailpair config status",
	[CONFIG_REFUSED] = "mend it where it was edited, or take it back: mailpair config log, mailpair config rollback",
	[CONFIG_APART] = "see what waits for what: mailpair config status",
};

static void
look_at(const struct config_child *c, struct troubles *t)
{
	uint64_t now = clock_mono_ms(), conflicts = c->says.conflicts;

	*t = (struct troubles){ .which = 0 };
	if (!c->wanted)
		return;
	if (c->ends >= RUINED && (c->pid == -1 || now - c->began_ms < c->pace->well_ms))
		t->which |= 1u << CONFIG_RUINED;
	else if (c->pid != -1 && now - c->heard_ms >= c->pace->patience_ms)
		t->which |= 1u << CONFIG_SILENT;
	else if (c->apart_ms != 0 && now - c->apart_ms >= c->pace->patience_ms)
		t->which |= 1u << CONFIG_APART;
	if (conflicts > 0)
		t->which |= 1u << CONFIG_CONFLICTS;
	if (c->says.refused > 0)
		t->which |= 1u << CONFIG_REFUSED;
	snprintf(t->text[CONFIG_RUINED], sizeof(t->text[0]), "mailpair-config cannot be kept running: %.80s%s%.180s", c->end,
	    c->words[0] != '\0' ? ": " : "", c->words);
	snprintf(t->text[CONFIG_SILENT], sizeof(t->text[0]), "mailpair-config (process %d) has said nothing for %" PRIu64 " s", (int)c->pid,
	    (now - c->heard_ms) / 1000);
	snprintf(t->text[CONFIG_CONFLICTS], sizeof(t->text[0]), "configuration: %" PRIu64 " %s in conflict: nothing of %s is carried, and nothing is lost",
	    conflicts, conflicts == 1 ? "path is" : "paths are", conflicts == 1 ? "it" : "them");
	snprintf(t->text[CONFIG_REFUSED], sizeof(t->text[0]), "a change of the configuration is not valid, and is not taken: %.240s", c->says.problem);
	snprintf(t->text[CONFIG_APART], sizeof(t->text[0]), "the configuration of the two nodes is not in step for %" PRIu64 " s%s%.200s",
	    c->apart_ms == 0 ? 0 : (now - c->apart_ms) / 1000, c->says.problem[0] != '\0' ? ": " : "", c->says.problem);
}

void
config_child_status(const struct config_child *c, struct status *st)
{
	struct troubles t;

	st->config_on = c->wanted;
	st->config = c->says;
	look_at(c, &t);
	for (int i = 0; i < TROUBLES && st->problems < STATUS_PROBLEMS_MAX; i++) {
		if ((t.which & 1u << i) == 0)
			continue;
		snprintf(st->problem[st->problems].text, sizeof(st->problem[0].text), "%s", t.text[i]);
		snprintf(st->problem[st->problems].advice, sizeof(st->problem[0].advice), "%s", advice[i]);
		st->problems++;
	}
}

static void
look_again(void *arg)
{
	struct config_child *c = arg;
	struct troubles t;

	look_at(c, &t);
	for (int i = 0; i < TROUBLES; i++)
		/* conflicts and refused sets it says itself, with their names */
		if (i != CONFIG_CONFLICTS && i != CONFIG_REFUSED && (t.which & ~c->told & 1u << i) != 0)
			c->alarm(c->arg, t.text[i]);
	c->told = t.which;
	loop_timer_in(c->look, c->pace->look_ms);
}

/* ---------------------------------------------------------------- itself */

struct config_child *
config_child_new(struct loop *loop, const char *program, const char *file, const struct config_child_pace *pace, config_child_alarm_f *alarm,
    void *arg)
{
	struct config_child *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	*c = (struct config_child){ .loop = loop, .program = program, .file = file, .pace = pace != NULL ? pace : &usual, .alarm = alarm, .arg = arg,
		.pid = -1, .pidfd = -1, .in = -1 };
	c->out = (struct lines){ .fd = -1, .take = take_status, .owner = c };
	c->err = (struct lines){ .fd = -1, .take = take_words, .owner = c };
	c->start = loop_timer_new(loop, start_it, c);
	c->look = loop_timer_new(loop, look_again, c);
	return c;
}

void
config_child_free(struct config_child *c)
{
	if (c == NULL)
		return;
	hang_up(c);
	lines_close(&c->out);
	lines_close(&c->err);
	if (c->pid != -1) {
		loop_io_free(c->ended);
		close(c->pidfd);
	}
	loop_timer_free(c->start);
	loop_timer_free(c->look);
	free(c);
}
