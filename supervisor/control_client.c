/*
 * supervisor/control_client.c - one client of the control socket: reads its one request line, hands
 * it to the handler, and sends what the handler says.
 *
 * Runs in mailpaird's supervisor process, on its loop. It never blocks and never waits for a
 * client: output is kept in memory up to CONTROL_OUT_MAX, and who sends half a request or does not
 * take the reply is cut.
 */
#include "supervisor/control_priv.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

struct client {
	struct client		*next;
	struct control		*control;	/* NULL after control_free() */
	int			 fd;		/* -1: the connection is gone */
	struct loop_io		*io;
	struct loop_timer	*patience;
	char			 in[CONTROL_LINE_MAX + 1];
	size_t			 in_len;
	char			*out;
	size_t			 out_len, out_sent, out_size;
	bool			 asked;		/* the request was read */
	bool handed; /* ... and given to the handler: it owes a client_end() */
	bool			 ended;		/* client_end() came, or nobody will call it */
	bool			 deaf;		/* nothing more is read */
	bool			 dropped;	/* will be cut in the next callback */
};

static void
client_forget(struct client *cl)
{
	struct control *co = cl->control;

	if (co != NULL) {
		for (struct client **at = &co->clients; *at != NULL; at = &(*at)->next) {
			if (*at == cl) {
				*at = cl->next;
				co->clients_len--;
				break;
			}
		}
		co->told_full = co->told_full && co->clients_len > 0;	/* a storm is full again and again */
	}
	free(cl->out);
	free(cl);
}

/* Close the connection. The client itself lives on while the handler may still speak of it. */
static void
client_cut(struct client *cl)
{
	if (cl->fd != -1) {
		loop_io_free(cl->io);
		loop_timer_free(cl->patience);
		close(cl->fd);
		cl->fd = -1;
		cl->io = NULL;
		cl->patience = NULL;
		free(cl->out);
		cl->out = NULL;
		cl->out_len = cl->out_sent = cl->out_size = 0;
	}
	if (cl->ended || !cl->handed)
		client_forget(cl);
}

static void
client_wants(struct client *cl)
{
	unsigned int want = 0;

	if (!cl->deaf)
		want |= LOOP_READ;
	if (cl->out_sent < cl->out_len || cl->ended)
		want |= LOOP_WRITE;
	loop_io_want(cl->io, want);
}

/* Room for len more bytes; false where the client has had enough memory. */
static bool
client_room(struct client *cl, size_t len)
{
	size_t size = cl->out_size > 0 ? cl->out_size : 1024;
	char *grown;

	if (len > CONTROL_OUT_MAX || cl->out_len - cl->out_sent > CONTROL_OUT_MAX - len)
		return false;
	if (cl->out_sent > 0) {
		memmove(cl->out, cl->out + cl->out_sent, cl->out_len - cl->out_sent);
		cl->out_len -= cl->out_sent;
		cl->out_sent = 0;
	}
	while (size < cl->out_len + len)
		size *= 2;
	if (size == cl->out_size)
		return true;
	grown = realloc(cl->out, size);
	if (grown == NULL)
		return false;
	cl->out = grown;
	cl->out_size = size;
	return true;
}

/* Close in place of client_cut() where the caller may still use the client: in the next callback.
 */
static void
client_drop(struct client *cl)
{
	cl->dropped = true;
	cl->deaf = true;
	cl->out_len = cl->out_sent = 0;
	loop_io_want(cl->io, 0);
	loop_timer_in(cl->patience, 0);
}

static void
client_lines(struct client *cl, char kind, const char *text)
{
	bool waiting = cl->out_sent < cl->out_len;

	if (client_gone(cl) || cl->ended)
		return;
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		if (!client_room(cl, len + 3)) {
			log_warnx(
			    "control socket %s: a client that does not read its reply was cut off",
			    cl->control->path);
			client_drop(cl);
			return;
		}
		cl->out[cl->out_len++] = kind;
		cl->out[cl->out_len++] = ' ';
		memcpy(cl->out + cl->out_len, text, len);
		cl->out_len += len;
		cl->out[cl->out_len++] = '\n';
		text += len;
		text += *text == '\n';
	}
	if (!waiting)
		loop_timer_in(cl->patience, cl->control->patience_ms);
	client_wants(cl);
}

static void __attribute__((format(printf, 3, 0)))
client_format(struct client *cl, char kind, const char *fmt, va_list ap)
{
	char *text = NULL;

	if (client_gone(cl) || cl->ended)
		return;
	if (vasprintf(&text, fmt, ap) == -1) {
		client_drop(cl);
		return;
	}
	client_lines(cl, kind, text);
	free(text);
}

void
client_out(struct client *cl, const char *text)
{
	client_lines(cl, 'o', text);
}

void
client_outf(struct client *cl, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	client_format(cl, 'o', fmt, ap);
	va_end(ap);
}

void
client_errf(struct client *cl, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	client_format(cl, 'e', fmt, ap);
	va_end(ap);
}

void
client_end(struct client *cl, int exit_code)
{
	char code[16];

	assert(!cl->ended);
	snprintf(code, sizeof(code), "%d", exit_code);
	client_lines(cl, 'x', code);
	cl->ended = true;
	if (cl->fd == -1)
		client_forget(cl);
	else if (!cl->dropped)
		client_wants(cl);
}

bool
client_gone(const struct client *cl)
{
	return cl->fd == -1 || cl->dropped;
}

/* A refusal that no handler sees. */
static void
client_refuse(struct client *cl, const char *why)
{
	client_errf(cl, "%s", why);
	client_end(cl, 2);
}

/* ---------------------------------------------------------------- its connection */

/* True: the client is still there. */
static bool
client_flush(struct client *cl)
{
	while (cl->out_sent < cl->out_len) {
		ssize_t n = send(cl->fd, cl->out + cl->out_sent, cl->out_len - cl->out_sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			break;
		if (n == -1) {
			client_cut(cl);
			return false;
		}
		cl->out_sent += (size_t)n;
		loop_timer_in(cl->patience, cl->control->patience_ms);
	}
	if (cl->out_sent == cl->out_len) {
		if (cl->ended) {
			client_cut(cl);
			return false;
		}
		cl->out_len = cl->out_sent = 0;
		loop_timer_cancel(cl->patience); /* waits for the handler, not for the client */
	}
	client_wants(cl);
	return true;
}

/* One whole line is in: give it to the handler. Last thing a callback does with the client. */
static void
client_ask(struct client *cl, size_t line_len)
{
	struct control_request request;
	struct err err;

	cl->asked = true;
	loop_timer_cancel(cl->patience);
	cl->in[line_len] = '\0';
	if (memchr(cl->in, '\0', line_len) != NULL) {
		client_refuse(cl, "The request was not understood: it has a NUL byte.");
	} else if (!control_parse(cl->in, &request, &err)) {
		client_errf(cl, "The request was not understood: %s.", err.text);
		client_end(cl, 2);
	} else {
		cl->handed = true;
		cl->control->handler(cl->control->arg, cl, &request);
	}
}

/* End of file: gone, or only its sending half was closed, as "socat -" and "nc -N" do? */
static void
client_hung_up(struct client *cl)
{
	struct pollfd pfd = { .fd = cl->fd, .events = 0 };

	if (!cl->asked || poll(&pfd, 1, 0) == -1 || (pfd.revents & (POLLHUP | POLLERR)) != 0) {
		client_cut(cl);
		return;
	}
	cl->deaf = true;
	client_wants(cl);
}

static void
client_readable(struct client *cl)
{
	size_t room = sizeof(cl->in) - 1 - cl->in_len;
	char *newline;
	ssize_t n;

	if (cl->asked) {
		char ignored[256];

		n = recv(cl->fd, ignored, sizeof(ignored), MSG_DONTWAIT);
		if (n > 0) {		/* one request a connection; the rest stays in the kernel */
			cl->deaf = true;
			client_wants(cl);
			return;
		}
	} else {
		n = recv(cl->fd, cl->in + cl->in_len, room, MSG_DONTWAIT);
	}
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1) {
		client_cut(cl);
		return;
	}
	if (n == 0) {
		client_hung_up(cl);
		return;
	}
	cl->in_len += (size_t)n;
	newline = memchr(cl->in, '\n', cl->in_len);
	if (newline != NULL) {
		client_ask(cl, (size_t)(newline - cl->in));
	} else if (cl->in_len == sizeof(cl->in) - 1) {
		cl->asked = true;
		cl->deaf = true;
		client_refuse(cl, "The request was not understood: it is too long.");
	}
}

static void
client_ready(int fd, unsigned int ready, void *arg)
{
	struct client *cl = arg;

	(void)fd;
	if ((ready & LOOP_WRITE) != 0 && !client_flush(cl))
		return;
	if ((ready & LOOP_READ) != 0 && !cl->deaf)
		client_readable(cl);
}

/* Half a request for too long, a reply not taken for too long, or client_drop(). */
static void
client_patience_over(void *arg)
{
	client_cut(arg);
}

void
client_new(struct control *co, int fd)
{
	struct client *cl = calloc(1, sizeof(*cl));

	if (cl == NULL) {
		close(fd);
		return;
	}
	cl->control = co;
	cl->fd = fd;
	cl->next = co->clients;
	co->clients = cl;
	co->clients_len++;
	cl->patience = loop_timer_new(co->loop, client_patience_over, cl);
	cl->io = loop_io_new(co->loop, fd, LOOP_READ, client_ready, cl);
	loop_timer_in(
	    cl->patience, co->patience_ms); /* for the whole request, not from byte to byte */
}

/* What the kernel takes at once is still sent; nobody waits for the rest. */
static void
last_words(struct client *cl)
{
	ssize_t n = send(cl->fd, cl->out + cl->out_sent, cl->out_len - cl->out_sent,
	    MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)n;
}

void
client_abandon(struct client *cl)
{
	cl->control->clients = cl->next;
	cl->control = NULL;
	if (cl->out_sent < cl->out_len)
		last_words(cl);
	client_cut(cl);
}
