/*
 * tests/config/tools/net_trip.c - how long a message takes to the other node and back, through two network processes (configsync/net.h) and
 * through a bare channel (common/channel.h), in turn in one run; over loopback, the peer a process of its own.
 *
 *	net_trip [BYTES [TRIPS]]
 *
 * Prints for each p50 and p99 in microseconds.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "configsync/net.h"
#include "configsync/net_child.h"

#define ROUNDS 5

struct end {
	bool		 echo, bare;
	struct channel	*channel;
	struct net	*net;
	uint64_t	*took;
	size_t		 trips, done;
	uint64_t	 sent_us;
};

static struct loop *loop;
static uint8_t message[1 << 20];
static size_t len = 1024;

static void
out(struct end *e, const void *bytes, size_t n)
{
	e->sent_us = clock_mono_us();
	if (e->bare)
		channel_send(e->channel, 20, bytes, n);
	else
		net_send(e->net, 20, bytes, n);
}

static void
on_up(void *arg)
{
	struct end *e = arg;

	if (!e->echo)
		out(e, message, len);
}

static void
on_received(void *arg, uint8_t type, const uint8_t *bytes, size_t n)
{
	struct end *e = arg;

	(void)type;
	if (e->echo) {
		out(e, bytes, n);
		return;
	}
	e->took[e->done++] = clock_mono_us() - e->sent_us;
	if (e->done == e->trips)
		loop_stop(loop);
	else
		out(e, message, len);
}

static void
on_drained(void *arg)
{
	(void)arg;
}

static void
on_why(void *arg, enum channel_why why, const char *sentence)
{
	(void)arg;
	if (why != CHANNEL_UNREACHABLE)
		fprintf(stderr, "%s\n", sentence);
}

static void
on_ended(void *arg, const char *sentence)
{
	(void)arg;
	fprintf(stderr, "%s\n", sentence);
}

static const struct channel_calls channel_calls = { on_up, on_received, on_drained, on_why, on_why };
static const struct net_calls net_calls = { on_up, on_received, on_drained, on_why, on_why, on_ended };

static void
begin(struct end *e, bool bare, bool echo, uint16_t port)
{
	static const char secret[] = "first-secret-of-the-pair";
	struct authkeys keys = { .len = 1, .key[0] = { .id = 1, .len = sizeof secret } };
	struct channel_setup cs = { .pair = "mail", .service = "config", .node = echo ? "mx2" : "mx1", .peer = echo ? "mx1" : "mx2",
		.at = { { "127.0.0.1", port } }, .at_len = 1, .keys = &keys, .calls = &channel_calls, .arg = e, .limits = { .retry_min_ms = 20 } };
	struct net_setup ns = { .program = "/proc/self/exe", .subcommand = "net-child", .listen = !echo, .pair = cs.pair, .service = cs.service,
		.node = cs.node, .peer = cs.peer, .at = { { "127.0.0.1", port } }, .at_len = 1, .keys = &keys, .limits = cs.limits,
		.uid = geteuid() == 0 ? 65534 : geteuid(), .gid = geteuid() == 0 ? 65534 : getegid(), .calls = &net_calls, .arg = e };
	struct err err;

	memcpy(keys.key[0].key, secret, sizeof secret);
	e->bare = bare;
	e->echo = echo;
	if (!(bare ? (echo ? channel_connect : channel_listen)(loop, &cs, &e->channel, &err) : net_start(loop, &ns, &e->net, &err))) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
}

static void
run(struct end *e, bool bare, uint16_t port)
{
	pid_t peer = fork();

	if (peer == 0) {
		struct end other = { .echo = true };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		loop = loop_new();
		begin(&other, bare, true, port);
		loop_run(loop);
	}
	loop = loop_new();
	begin(e, bare, false, port);
	loop_run(loop);
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
	channel_free(e->channel);
	net_free(e->net);
	loop_free(loop);
}

static int
by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int
main(int argc, char **argv)
{
	size_t trips = 5000;
	uint64_t *took;

	if (argc == 2 && strcmp(argv[1], "net-child") == 0)
		return net_child_main();
	if (argc > 1 && (len = strtoul(argv[1], NULL, 10)) > sizeof message)
		len = sizeof message;
	if (argc > 2)
		trips = strtoul(argv[2], NULL, 10);
	if (trips == 0 || (took = calloc(trips, 2 * ROUNDS * sizeof *took)) == NULL)
		return 2;
	for (int i = 0; i < 2 * ROUNDS; i++) {
		struct end e = { .took = took + ((size_t)(i % 2) * ROUNDS + (size_t)i / 2) * trips, .trips = trips };

		run(&e, i % 2 == 0, (uint16_t)(47111 + i));
	}
	for (size_t i = 0; i < 2; i++) {
		uint64_t *of = took + i * ROUNDS * trips;

		qsort(of, ROUNDS * trips, sizeof *of, by_time);
		printf("%-18s %zu bytes there and back: p50 %llu us, p99 %llu us\n", i == 0 ? "bare channel" : "network processes", len,
		    (unsigned long long)of[ROUNDS * trips / 2], (unsigned long long)of[ROUNDS * trips * 99 / 100]);
	}
	free(took);
	return 0;
}
