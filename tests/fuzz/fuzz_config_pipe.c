/*
 * tests/fuzz/fuzz_config_pipe.c - any bytes from the network process, which may be anybody's by then (configsync/net_pipe.h): the frames that come out are
 * those that stand in them, in order, each until it is taken, up to the first one that is too long; that one ends the pipe. The first byte says how many
 * come at a time.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "configsync/net_pipe.h"

#define BODY_MAX 300u
#define HEAD 9u
#define LEN_MAX 4096u		/* of one input: what a socket takes at once */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct reader {
	const uint8_t	*at, *end;	/* what is to come out */
	bool		 refused, ended;
};

static void
must(bool law)
{
	if (!law)
		abort();
}

static size_t
body_of(const uint8_t *at)
{
	return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

/* Each odd type is taken at the second time. */
static bool
frame(void *arg, uint8_t type, uint32_t stream, const uint8_t *bytes, size_t len)
{
	struct reader *r = arg;

	must(!r->ended && (size_t)(r->end - r->at) >= HEAD + len && body_of(r->at) == len && len <= BODY_MAX);
	must(r->at[4] == type && body_of(r->at + 5) == stream && (len == 0 || memcmp(r->at + HEAD, bytes, len) == 0));
	r->refused = (type & 1) != 0 && !r->refused;
	if (r->refused)
		return false;
	r->at += HEAD + len;
	return true;
}

static void
drained(void *arg)
{
	(void)arg;
}

static void
ended(void *arg, const char *why)
{
	struct reader *r = arg;

	must(!r->ended && why[0] != '\0');
	r->ended = true;
}

/* No frame is left that is whole, and none that is too long. */
static bool
is_done(const struct reader *r)
{
	size_t left = (size_t)(r->end - r->at);

	return left < HEAD || (body_of(r->at) <= BODY_MAX && left < HEAD + body_of(r->at));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct net_pipe_calls calls = { frame, drained, ended };
	struct loop *loop = loop_new();
	struct net_pipe *p;
	struct reader r;
	size_t step;
	int fd[2];

	if (len > 0 && len <= LEN_MAX && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0) {
		step = data[0] == 0 ? len : data[0];
		r = (struct reader){ .at = data + 1, .end = data + len };
		p = net_pipe_new(loop, fd[0], BODY_MAX, &calls, &r);
		for (size_t at = 1; at < len && !r.ended; at += step) {
			size_t n = len - at < step ? len - at : step;

			must(write(fd[1], data + at, n) == (ssize_t)n);
			net_pipe_rest(p);
			while (r.refused && !r.ended) {
				net_pipe_pause(p, false);
				net_pipe_rest(p);
			}
		}
		must(r.ended ? (size_t)(r.end - r.at) >= HEAD && body_of(r.at) > BODY_MAX : is_done(&r));
		net_pipe_free(p);
		close(fd[1]);
	}
	loop_free(loop);
	return 0;
}
