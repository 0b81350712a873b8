/*
 * mta/smtp_probe.c - one polite SMTP dialogue, used by every driver. Runs in a worker; blocks in
 * poll() only, until one total deadline.
 *
 * The dialogue is greeting, QUIT, 221: nothing is sent before the last line of the greeting (else
 * postscreen would call us a pregreeter and smtpd note "improper command pipelining") and the
 * connection is left after 221 (else "lost connection"). EHLO is left out: it would bring answers
 * that depend on policy, and prove nothing more about a server that hangs.
 */
#include "mta/smtp_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

/*
 * RFC 5321 4.5.3.1.5 allows 512 bytes a line; who sends this much without an end is no mail
 * server.
 */
#define REPLY_MAX 8192

enum step { STEP_OK, STEP_TIMEOUT, STEP_CLOSED, STEP_FOREIGN };

struct dialogue {
	int		 fd;
	uint64_t	 deadline_ms;
	char		 where[80];
	char		 buf[REPLY_MAX];
	size_t		 len;		/* bytes in buf */
	size_t		 used;		/* bytes of buf that were taken */
	int		 sys;		/* errno of STEP_CLOSED, 0: orderly end of file */
};

bool
smtp_target_set(const char *address, uint16_t port, struct smtp_target *ret, struct err *err)
{
	struct smtp_target target = { .len = 0 };
	struct sockaddr_in *four = (struct sockaddr_in *)&target.addr;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&target.addr;

	if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		target.len = sizeof *four;
	} else if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		target.len = sizeof *six;
	} else {
		return err_set(err, 0, "\"%s\" is not a numeric IPv4 or IPv6 address", address);
	}
	*ret = target;
	return true;
}

bool
smtp_target_parse(const char *text, struct smtp_target *ret, struct err *err)
{
	char address[INET6_ADDRSTRLEN];
	const char *colon = strrchr(text, ':'), *begin = text, *end = colon;
	char *rest;
	long port;

	if (colon == NULL || colon == text)
		return err_set(err, 0, "\"%s\" is not ADDRESS:PORT", text);
	if (text[0] == '[') {
		if (colon[-1] != ']')
			return err_set(err, 0, "\"%s\" is not [ADDRESS]:PORT", text);
		begin = text + 1;
		end = colon - 1;
	} else if (memchr(text, ':', (size_t)(colon - text)) != NULL) {
		return err_set(err, 0, "the IPv6 address in \"%s\" must stand in brackets", text);
	}
	if (end < begin || (size_t)(end - begin) >= sizeof address)
		return err_set(err, 0, "\"%s\" is not ADDRESS:PORT", text);
	memcpy(address, begin, (size_t)(end - begin));
	address[end - begin] = '\0';
	errno = 0;
	port = strtol(colon + 1, &rest, 10);
	if (errno != 0 || rest == colon + 1 || *rest != '\0' || port < 1 || port > 65535)
		return err_set(err, 0, "\"%s\" does not end in a port number (1 to 65535)", text);
	return smtp_target_set(address, (uint16_t)port, ret, err);
}

static void
describe(const struct smtp_target *target, char *buf, size_t size)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)&target->addr;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&target->addr;
	char address[INET6_ADDRSTRLEN] = "?";

	if (target->addr.ss_family == AF_INET) {
		inet_ntop(AF_INET, &four->sin_addr, address, sizeof address);
		snprintf(buf, size, "%s port %u", address, ntohs(four->sin_port));
	} else {
		inet_ntop(AF_INET6, &six->sin6_addr, address, sizeof address);
		snprintf(buf, size, "%s port %u", address, ntohs(six->sin6_port));
	}
}

/* True when the descriptor is ready; false at the deadline. */
static bool
wait_for(struct dialogue *dlg, short events)
{
	struct pollfd pfd = { .fd = dlg->fd, .events = events };

	for (;;) {
		uint64_t now = clock_mono_ms();
		int n;

		if (now >= dlg->deadline_ms)
			return false;
		n = poll(&pfd, 1, (int)(dlg->deadline_ms - now));
		if (n > 0)
			return true;
		if (n == -1 && errno != EINTR)
			return false;
	}
}

/* One reply line without its end, NUL-terminated inside buf. */
static enum step
read_line(struct dialogue *dlg, char **ret_line)
{
	for (;;) {
		char *begin = dlg->buf + dlg->used;
		char *end = memchr(begin, '\n', dlg->len - dlg->used);
		ssize_t n;

		if (end != NULL) {
			dlg->used = (size_t)(end - dlg->buf) + 1;
			*end = '\0';
			if (end > begin && end[-1] == '\r')
				end[-1] = '\0';
			*ret_line = begin;
			return STEP_OK;
		}
		if (dlg->len == sizeof dlg->buf)
			return STEP_FOREIGN;
		if (!wait_for(dlg, POLLIN))
			return STEP_TIMEOUT;
		n = recv(dlg->fd, dlg->buf + dlg->len, sizeof dlg->buf - dlg->len, 0);
		if (n > 0) {
			dlg->len += (size_t)n;
		} else if (n == 0) {
			dlg->sys = 0;
			return STEP_CLOSED;
		} else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
			dlg->sys = errno;
			return STEP_CLOSED;
		}
	}
}

/* A whole reply: lines "NNN-text", the last one "NNN text" or "NNN". */
static enum step
read_reply(struct dialogue *dlg, int *ret_code, char *text, size_t size)
{
	for (;;) {
		char *line;
		enum step step = read_line(dlg, &line);

		if (step != STEP_OK)
			return step;
		for (char *p = line; *p != '\0'; p++)		/* it goes into our log */
			if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
				*p = '?';
		snprintf(text, size, "%.120s", line);
		if (strlen(line) < 3 || strspn(line, "0123456789") != 3 ||
		    (line[3] != '\0' && line[3] != ' ' && line[3] != '-'))
			return STEP_FOREIGN;
		if (line[3] == '-')
			continue;
		*ret_code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
		return STEP_OK;
	}
}

static enum mta_answer
judge(const struct dialogue *dlg, enum step step, const char *what, const char *text,
    struct err *err)
{
	switch (step) {
	case STEP_TIMEOUT:
		err_set(err, 0, "no %s from %s in time%s%s%s", what, dlg->where,
		    text[0] != '\0' ? " after \"" : "", text, text[0] != '\0' ? "\"" : "");
		return MTA_NO_ANSWER;
	case STEP_CLOSED:
		err_set(err, dlg->sys, "%s closed the connection without a %s", dlg->where, what);
		return MTA_REFUSED;
	case STEP_FOREIGN:
		err_set(err, 0, "%s sent no SMTP reply but \"%s\"", dlg->where, text);
		return MTA_REFUSED;
	case STEP_OK:
		break;
	}
	return MTA_ANSWERED;
}

static enum mta_answer
connect_failed(const struct dialogue *dlg, int sys, struct err *err)
{
	err_set(err, sys, "cannot connect to %s", dlg->where);
	if (sys == ECONNREFUSED || sys == ECONNRESET)
		return MTA_REFUSED;
	if (sys == ETIMEDOUT)
		return MTA_NO_ANSWER;
	return MTA_ANSWER_UNKNOWN;		/* no route, no address, no memory: says nothing of the server */
}

static enum mta_answer
open_connection(struct dialogue *dlg, const struct smtp_target *target, struct err *err)
{
	int sys = 0;
	socklen_t len = sizeof sys;

	if (connect(dlg->fd, (const struct sockaddr *)&target->addr, target->len) == 0)
		return MTA_ANSWERED;
	if (errno != EINPROGRESS)
		return connect_failed(dlg, errno, err);
	if (!wait_for(dlg, POLLOUT)) {
		err_set(err, 0, "%s did not take a connection in time", dlg->where);
		return MTA_NO_ANSWER;
	}
	if (getsockopt(dlg->fd, SOL_SOCKET, SO_ERROR, &sys, &len) == -1)
		sys = errno;
	return sys == 0 ? MTA_ANSWERED : connect_failed(dlg, sys, err);
}

static enum mta_answer
talk(struct dialogue *dlg, struct err *err)
{
	static const char quit[] = "QUIT\r\n";
	enum mta_answer answer;
	char greeting[128] = "", text[128] = "";
	int hello, code = 0;

	answer = judge(dlg, read_reply(dlg, &hello, greeting, sizeof greeting), "greeting", greeting,
	    err);
	if (answer != MTA_ANSWERED)
		return answer;
	/* six bytes into an empty socket buffer: never partial */
	if (send(dlg->fd, quit, sizeof quit - 1, MSG_NOSIGNAL) == -1 && hello == 220) {
		err_set(err, errno, "%s went away after its greeting", dlg->where);
		return MTA_REFUSED;
	}
	answer = judge(dlg, read_reply(dlg, &code, text, sizeof text), "reply to QUIT", "",
	    hello == 220 ? err : NULL);
	if (hello != 220) {		/* whatever came after it: QUIT was for politeness */
		err_set(err, 0, "%s refuses service: \"%s\"", dlg->where, greeting);
		return MTA_REFUSED;
	}
	if (answer == MTA_ANSWERED && code != 221) {
		err_set(err, 0, "%s answered QUIT by \"%s\"", dlg->where, text);
		return MTA_REFUSED;
	}
	return answer;
}

enum mta_answer
smtp_probe(const struct smtp_target *target, uint32_t limit_ms, struct err *err)
{
	struct dialogue dlg = { .deadline_ms = clock_mono_ms() + limit_ms };
	enum mta_answer answer;

	describe(target, dlg.where, sizeof dlg.where);
	dlg.fd = socket(target->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (dlg.fd == -1) {
		err_set(err, errno, "no socket to ask %s", dlg.where);
		return MTA_ANSWER_UNKNOWN;
	}
	answer = open_connection(&dlg, target, err);
	if (answer == MTA_ANSWERED)
		answer = talk(&dlg, err);
	close(dlg.fd);
	return answer;
}
