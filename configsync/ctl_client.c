/*
 * configsync/ctl_client.c - one who asks over config.sock: reads the question, hands it to the handler, and sends what that says.
 * On the loop; never blocks: what is not taken waits in memory, up to CTL_ANSWER_MAX, and not for longer than the patience.
 */
#include "configsync/ctl_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

#define QUESTION_FIRST 1024u

struct ctl_reply {
	struct ctl_reply	*next;
	struct ctl		*ctl;		/* NULL after ctl_free() */
	int			 fd;		/* -1: the connection is gone */
	uid_t			 uid;
	struct loop_io		*io;
	struct loop_timer	*patience;
	char			*in, *out;
	size_t			 in_len, in_size, out_len, out_sent, out_size;
	bool			 asked, handed, ended;	/* handed: the handler owes a ctl_end() */
	bool			 deaf;		/* nothing more is read */
	bool			 dropped;	/* is cut in the next callback */
	bool			 row;		/* a row is open */
};

static void
forget(struct ctl_reply *r)
{
	struct ctl *c = r->ctl;

	if (c != NULL) {
		for (struct ctl_reply **at = &c->replies; *at != NULL; at = &(*at)->next) {
			if (*at == r) {
				*at = r->next;
				c->replies_len--;
				break;
			}
		}
		c->told_full = c->told_full && c->replies_len > 0;
	}
	free(r->in);
	free(r->out);
	free(r);
}

/* The connection is closed. The reply lives on while the handler may speak of it. */
static void
cut(struct ctl_reply *r)
{
	if (r->fd != -1) {
		loop_io_free(r->io);
		loop_timer_free(r->patience);
		close(r->fd);
		r->fd = -1;
		r->io = NULL;
		r->patience = NULL;
		r->out_len = r->out_sent = 0;
	}
	if (r->ended || !r->handed)
		forget(r);
}

static void
want(struct ctl_reply *r)
{
	loop_io_want(r->io, (r->deaf ? 0 : (unsigned int)LOOP_READ) | (r->out_sent < r->out_len || r->ended ? (unsigned int)LOOP_WRITE : 0));
}

/* In place of cut() where the caller may still use the reply. */
static void
drop(struct ctl_reply *r)
{
	r->dropped = r->deaf = true;
	r->out_len = r->out_sent = 0;
	loop_io_want(r->io, 0);
	loop_timer_in(r->patience, 0);
}

bool
ctl_gone(const struct ctl_reply *r)
{
	return r->fd == -1 || r->dropped;
}

/* ---------------------------------------------------------------- what is said */

static bool
room(struct ctl_reply *r, size_t len)
{
	size_t size = r->out_size > 0 ? r->out_size : 4096;

	if (r->out_len - r->out_sent + len > CTL_ANSWER_MAX)
		return false;
	if (r->out_sent > 0) {
		memmove(r->out, r->out + r->out_sent, r->out_len - r->out_sent);
		r->out_len -= r->out_sent;
		r->out_sent = 0;
	}
	while (size < r->out_len + len)
		size *= 2;
	if (size != r->out_size) {
		if ((r->out = realloc(r->out, size)) == NULL)
			abort();
		r->out_size = size;
	}
	return true;
}

/* "\tkey", the sign and the value; key NULL: the kind of a row, or (value NULL) its end. */
static void
put(struct ctl_reply *r, const char *key, char sign, const char *value)
{
	size_t need = (key != NULL ? strlen(key) : 0) + (value != NULL ? 3 * strlen(value) : 0) + 4;
	bool waits = r->out_sent < r->out_len;

	if (ctl_gone(r) || r->ended)
		return;
	if (!room(r, need)) {
		log_warnx("%s: who does not read the answer was cut off", r->ctl->path);
		drop(r);
		return;
	}
	if (key != NULL) {
		r->out[r->out_len++] = '\t';
		memcpy(r->out + r->out_len, key, strlen(key));
		r->out_len += strlen(key);
		r->out[r->out_len++] = sign;
	}
	if (value != NULL)
		r->out_len += ctl_encode(value, r->out + r->out_len);
	else
		r->out[r->out_len++] = '\n';
	if (!waits)
		loop_timer_in(r->patience, r->ctl->patience_ms);
	want(r);
}

void
ctl_row(struct ctl_reply *r, const char *kind)
{
	if (r->row)
		put(r, NULL, 0, NULL);
	r->row = true;
	put(r, NULL, 0, kind);
}

void
ctl_say(struct ctl_reply *r, const char *key, const char *value)
{
	if (value != NULL)
		put(r, key, '=', value);
}

void
ctl_sayf(struct ctl_reply *r, const char *key, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		abort();
	va_end(ap);
	ctl_say(r, key, text);
	free(text);
}

void
ctl_count(struct ctl_reply *r, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, value);
	put(r, key, '#', text);
}

void
ctl_fact(struct ctl_reply *r, const char *key, enum fact value)
{
	put(r, key, '?', value == FACT_YES ? "yes" : value == FACT_NO ? "no" : "unknown");
}

void
ctl_end(struct ctl_reply *r, int code, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (r->ended)
		abort();
	ctl_row(r, ".");
	ctl_count(r, "code", (uint64_t)code);
	ctl_say(r, "text", text);
	put(r, NULL, 0, NULL);
	r->ended = true;
	if (r->fd == -1)
		forget(r);
	else if (!r->dropped)
		want(r);
}

/* ---------------------------------------------------------------- its connection */

/* True: it is still there. */
static bool
flush(struct ctl_reply *r)
{
	while (r->out_sent < r->out_len) {
		ssize_t n = send(r->fd, r->out + r->out_sent, r->out_len - r->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			break;
		if (n == -1) {
			cut(r);
			return false;
		}
		r->out_sent += (size_t)n;
		loop_timer_in(r->patience, r->ctl->patience_ms);
	}
	if (r->out_sent == r->out_len) {
		if (r->ended) {
			cut(r);
			return false;
		}
		r->out_len = r->out_sent = 0;
		loop_timer_cancel(r->patience);		/* the handler's turn, which takes as long as it takes */
	}
	want(r);
	return true;
}

/* The last thing that a callback does with the reply. */
static void
ask(struct ctl_reply *r, size_t len)
{
	struct ctl_request request;
	struct err err;

	r->asked = true;
	loop_timer_cancel(r->patience);
	r->in[len] = '\0';
	if (strlen(r->in) != len) {
		ctl_end(r, 2, "the question has a NUL byte");
	} else if (!ctl_parse(r->in, &request, &err)) {
		ctl_end(r, 2, "%s", err.text);
	} else {
		request.uid = r->uid;
		if (r->uid == 0 || r->uid == geteuid() || strcmp(request.command, "status") == 0) {
			r->handed = true;
			r->ctl->asked(r->ctl->arg, &request, r);
		} else {
			ctl_end(r, 2, "%s changes files of the system: only root may ask for it", request.command);
		}
		ctl_request_free(&request);
	}
}

/* End of file: gone, or only its sending half was closed? */
static void
hung_up(struct ctl_reply *r)
{
	struct pollfd pfd = { .fd = r->fd, .events = 0 };

	if (!r->asked || poll(&pfd, 1, 0) == -1 || (pfd.revents & (POLLHUP | POLLERR)) != 0) {
		cut(r);
		return;
	}
	r->deaf = true;
	want(r);
}

static void
readable(struct ctl_reply *r)
{
	char ignored[256], *end;
	ssize_t n;

	if (r->asked) {
		n = recv(r->fd, ignored, sizeof ignored, MSG_DONTWAIT);
	} else {
		if (r->in_len + 1 == r->in_size) {
			r->in_size *= 4;
			if ((r->in = realloc(r->in, r->in_size)) == NULL)
				abort();
		}
		n = recv(r->fd, r->in + r->in_len, r->in_size - r->in_len - 1, MSG_DONTWAIT);
	}
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1) {
		cut(r);
	} else if (n == 0) {
		hung_up(r);
	} else if (r->asked) {		/* one question a connection */
		r->deaf = true;
		want(r);
	} else {
		r->in_len += (size_t)n;
		r->in[r->in_len] = '\0';
		end = memmem(r->in, r->in_len, "\n\n", 2);
		if (end != NULL) {
			ask(r, (size_t)(end + 1 - r->in));
		} else if (r->in_len >= CTL_QUESTION_MAX) {
			r->asked = r->deaf = true;
			ctl_end(r, 2, "the question is longer than %u bytes", CTL_QUESTION_MAX);
		}
	}
}

static void
ready(int fd, unsigned int what, void *arg)
{
	struct ctl_reply *r = arg;

	(void)fd;
	if ((what & LOOP_WRITE) != 0 && !flush(r))
		return;
	if ((what & LOOP_READ) != 0 && !r->deaf)
		readable(r);
}

static void
patience_over(void *arg)
{
	cut(arg);
}

void
ctl_client_new(struct ctl *c, int fd, uid_t uid)
{
	struct ctl_reply *r = calloc(1, sizeof *r);

	if (r == NULL || (r->in = malloc(QUESTION_FIRST)) == NULL)
		abort();
	r->in_size = QUESTION_FIRST;
	r->ctl = c;
	r->fd = fd;
	r->uid = uid;
	r->next = c->replies;
	c->replies = r;
	c->replies_len++;
	r->patience = loop_timer_new(c->loop, patience_over, r);
	r->io = loop_io_new(c->loop, fd, LOOP_READ, ready, r);
	loop_timer_in(r->patience, c->patience_ms);	/* for the whole question, not from byte to byte */
}

void
ctl_client_abandon(struct ctl *c)
{
	struct ctl_reply *r = c->replies;
	ssize_t n = 0;

	c->replies = r->next;
	r->ctl = NULL;
	if (r->out_sent < r->out_len)	/* what the kernel takes at once is still sent */
		n = send(r->fd, r->out + r->out_sent, r->out_len - r->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)n;
	cut(r);
}
