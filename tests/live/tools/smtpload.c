/*
 * tests/live/tools/smtpload.c - the clients that send mail, and the ledger of what they were told.
 *
 * usage: smtpload ADDRESS PORT PER_SECOND SESSIONS PREFIX LEDGER
 * A new message PER_SECOND times a second, each with a Message-ID of its own (<PREFIX.N@load.example>), over several SESSIONS
 * at once. Like any mail server it keeps a message until it was told 250, and tries again a little later.
 * The ledger has a line for each event, TIME (nanoseconds of CLOCK_MONOTONIC) EVENT ID DETAIL:
 *   ACK   250 after the final dot: from now on the receiver answers for it
 *   NAK   an answer that is no success; DETAIL is its code
 *   LOST  the connection broke after the final dot: it may have been taken, and is sent again
 *   FAIL  broke before the final dot: certainly not taken; DETAIL says how (refused, reset, eof, timeout, ...) and
 *         what was being waited for (connect, greeting, helo, mail, rcpt, data)
 * SIGTERM: no new messages, then up to 5 s to get rid of those it still has. Last line: "TIME END - SENT ACKED".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SESSIONS_MAX 64
#define REPLY_NS 3000000000LL
#define RETRY_NS 200000000LL
#define PARTING_NS 5000000000LL
#define MESSAGES_A_SESSION 5

/* What was sent last, that is: which answer is awaited. */
enum stage { IDLE, CONNECT, GREETING, HELO, MAIL, RCPT, DATA, DOT, QUIT };
static const char *const stage_names[] = { "idle", "connect", "greeting", "helo", "mail", "rcpt", "data", "dot", "quit" };

struct message { bool taken, acked; int64_t due; };	/* taken: a session has it */
struct session {
	int		 fd;
	enum stage	 stage;
	size_t		 message;
	int		 sent;			/* messages of this connection */
	int64_t		 deadline;
	char		 reply[1024];
	size_t		 len;
};

static struct message *message;
static size_t messages, messages_room, first_open, acked;
static struct session session[SESSIONS_MAX];
static struct sockaddr_in server;
static const char *prefix;
static FILE *ledger;
static volatile sig_atomic_t ended;

static void
on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void
note(const char *event, size_t n, const char *detail)
{
	fprintf(ledger, "%lld %s %s.%zu@load.example %s\n", (long long)now_ns(), event, prefix, n, detail);
}

static void
message_new(int64_t now)
{
	if (messages == messages_room) {
		messages_room = messages_room ? 2 * messages_room : 1024;
		message = realloc(message, messages_room * sizeof(*message));
		if (!message)
			abort();
	}
	message[messages++] = (struct message){ .due = now };
}

/* The oldest message that may be sent now; false if there is none. */
static bool
message_next(int64_t now, size_t *ret)
{
	while (first_open < messages && message[first_open].acked)
		first_open++;
	for (size_t i = first_open; i < messages; i++)
		if (!message[i].taken && !message[i].acked && message[i].due <= now) {
			*ret = i;
			return true;
		}
	return false;
}

static void
session_close(struct session *s)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	s->stage = IDLE;
}

/* The connection is of no use any more; the message goes back. */
static void
session_broke(struct session *s, const char *how)
{
	char detail[64];

	if (s->stage != QUIT) {
		snprintf(detail, sizeof(detail), "%s %s", how, stage_names[s->stage]);
		note(s->stage == DOT ? "LOST" : "FAIL", s->message, detail);
		message[s->message].taken = false;
		message[s->message].due = now_ns() + RETRY_NS;
	}
	session_close(s);
}

static const char *
how_broken(int sys)
{
	switch (sys) {
	case 0:
		return "eof";
	case ECONNREFUSED:
		return "refused";
	case ECONNRESET:
	case EPIPE:
		return "reset";
	case ETIMEDOUT:
		return "timeout";
	case EHOSTUNREACH:
	case ENETUNREACH:
		return "unreachable";
	default:
		return strerrorname_np(sys);
	}
}

static void
session_begin(struct session *s, size_t n, int64_t now)
{
	*s = (struct session){ .stage = CONNECT, .message = n, .deadline = now + REPLY_NS };
	message[n].taken = true;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd == -1 || (connect(s->fd, (struct sockaddr *)&server, sizeof(server)) == -1 && errno != EINPROGRESS))
		session_broke(s, how_broken(errno));
}

static void
session_say(struct session *s, enum stage stage, const char *text)
{
	size_t len = strlen(text);

	s->stage = stage;
	s->deadline = now_ns() + REPLY_NS;
	s->len = 0;
	if (send(s->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		session_broke(s, how_broken(errno));
}

static void
session_say_message(struct session *s)
{
	char text[1024];

	snprintf(text, sizeof(text),
	    "From: sender@load.example\r\nTo: somebody@far.example\r\nSubject: message %zu\r\n"
	    "Message-ID: <%s.%zu@load.example>\r\n\r\n"
	    "This is message number %zu.\r\n%0400d\r\n.\r\n", s->message, prefix, s->message, s->message, 0);
	session_say(s, DOT, text);
}

/* The present message is done with: the next one over the same connection, or goodbye. */
static void
session_next(struct session *s)
{
	size_t n;

	if (++s->sent < MESSAGES_A_SESSION && message_next(now_ns(), &n)) {
		s->message = n;
		message[n].taken = true;
		session_say(s, MAIL, "MAIL FROM:<sender@load.example>\r\n");
	} else {
		session_say(s, QUIT, "QUIT\r\n");
	}
}

static void
session_refused(struct session *s, long code)
{
	char text[16];

	snprintf(text, sizeof(text), "%ld", code);
	note("NAK", s->message, text);
	message[s->message].taken = false;
	message[s->message].due = now_ns() + RETRY_NS;
	session_say(s, QUIT, "QUIT\r\n");
}

/* A whole reply is there: what was it an answer to? */
static void
session_replied(struct session *s)
{
	long code = strtol(s->reply, NULL, 10);

	if (s->stage == QUIT) {
		session_close(s);
		return;
	}
	if (code < 200 || code >= 400) {
		session_refused(s, code);
		return;
	}
	switch (s->stage) {
	case GREETING:
		session_say(s, HELO, "HELO client.load.example\r\n");
		break;
	case HELO:
		session_say(s, MAIL, "MAIL FROM:<sender@load.example>\r\n");
		break;
	case MAIL:
		session_say(s, RCPT, "RCPT TO:<somebody@far.example>\r\n");
		break;
	case RCPT:
		session_say(s, DATA, "DATA\r\n");
		break;
	case DATA:
		session_say_message(s);
		break;
	case DOT:
		note("ACK", s->message, "250");
		message[s->message].acked = true;
		acked++;
		session_next(s);
		break;
	case IDLE:
	case CONNECT:
	case QUIT:
		break;
	}
}

/* Several lines may belong to one reply: the last has a blank behind its code. */
static bool
reply_complete(const struct session *s)
{
	const char *line = s->reply, *end;

	while ((end = strchr(line, '\n')) != NULL) {
		if (end - line >= 3 && line[3] != '-')
			return true;
		line = end + 1;
	}
	return false;
}

static void
session_ready(struct session *s)
{
	int sys = 0;
	socklen_t len = sizeof(sys);
	ssize_t n;

	if (s->stage == CONNECT) {
		getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &sys, &len);
		if (sys != 0)
			session_broke(s, how_broken(sys));
		else
			s->stage = GREETING;
		return;
	}
	n = recv(s->fd, s->reply + s->len, sizeof(s->reply) - 1 - s->len, 0);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		session_broke(s, how_broken(n == 0 ? 0 : errno));
		return;
	}
	s->len += (size_t)n;
	s->reply[s->len] = '\0';
	if (reply_complete(s))
		session_replied(s);
}

static bool
sessions_step(int sessions, int64_t now)
{
	struct pollfd pfd[SESSIONS_MAX];
	bool busy = false;
	size_t n;

	for (int i = 0; i < sessions; i++) {
		struct session *s = &session[i];

		if (s->stage != IDLE && now > s->deadline)
			session_broke(s, "timeout");
		if (s->stage == IDLE && message_next(now, &n))
			session_begin(s, n, now);
		pfd[i] = (struct pollfd){ .fd = s->stage == IDLE ? -1 : s->fd };
		pfd[i].events = s->stage == CONNECT ? POLLOUT : POLLIN;
		busy |= s->stage != IDLE;
	}
	if (poll(pfd, (nfds_t)sessions, 2) == -1)
		return true;
	for (int i = 0; i < sessions; i++)
		if (pfd[i].revents && session[i].stage != IDLE)
			session_ready(&session[i]);
	return busy;
}

int
main(int argc, char **argv)
{
	int64_t begin, end = 0, now;
	long per_second;
	int sessions;

	if (argc != 7 || inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
		fprintf(stderr, "usage: smtpload ADDRESS PORT PER_SECOND SESSIONS PREFIX LEDGER\n");
		return 2;
	}
	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	per_second = strtol(argv[3], NULL, 10);
	sessions = (int)strtol(argv[4], NULL, 10);
	prefix = argv[5];
	ledger = fopen(argv[6], "ae");
	if (!ledger || per_second < 1 || sessions < 1 || sessions > SESSIONS_MAX)
		return 2;
	signal(SIGTERM, on_term);
	for (int i = 0; i < SESSIONS_MAX; i++)
		session[i].fd = -1;
	for (begin = now = now_ns(); end == 0 || now < end; now = now_ns()) {
		while (!ended && (int64_t)messages < (now - begin) * per_second / 1000000000LL)
			message_new(now);
		if (ended && end == 0)
			end = now + PARTING_NS;
		if (!sessions_step(sessions, now) && ended && acked == messages)
			break;
		fflush(ledger);
	}
	fprintf(ledger, "%lld END - %zu %zu\n", (long long)now_ns(), messages, acked);
	return fclose(ledger) == 0 ? 0 : 1;
}
