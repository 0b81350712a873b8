/*
 * tests/unit/link_bed.h - two ends of a heartbeat link over real sockets, ptys and interfaces, for
 * the tests of links.
 *
 * Each test runs in a process of its own; as root in network namespaces of its own, which vanish
 * with it. Node 0 lives in the first, node 1 in the second; cable() joins them by a veth pair.
 */
#ifndef TESTS_UNIT_LINK_BED_H
#define TESTS_UNIT_LINK_BED_H

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/beat.h"
#include "supervisor/link.h"
#include "tests/unit/harness.h"

#define PORT 16940
#define PATIENCE_MS 3000

struct end {
	struct conf	 conf;
	struct link	 link;
	int		 received, hints[LINK_HINT_COUNT];
	uint8_t		 bytes[LINK_DATAGRAM_MAX];	/* what came last */
	size_t		 len;
};

static struct end end[CONF_NODES];
static struct loop *loop;
static int netns[CONF_NODES];
static const int *awaited;
static int awaited_least;

static inline void
maybe_stop(void)
{
	if (awaited != NULL && *awaited >= awaited_least)
		loop_stop(loop);
}

static inline void
received(void *arg, struct link *l, const uint8_t *bytes, size_t len)
{
	struct end *e = arg;

	ck_assert_ptr_eq(l, &e->link);
	e->received++;
	memcpy(e->bytes, bytes, len);
	e->len = len;
	maybe_stop();
}

static inline void
hinted(void *arg, struct link *l, enum link_hint hint)
{
	struct end *e = arg;

	ck_assert_ptr_eq(l, &e->link);
	e->hints[hint]++;
	maybe_stop();
}

static inline void
out_of_patience(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Run the loop until *counter has come to at least that; false when it does not in time. */
static inline bool
wait_for(const int *counter, int least, uint64_t patience_ms)
{
	struct loop_timer *timer = loop_timer_new(loop, out_of_patience, NULL);

	awaited = counter;
	awaited_least = least;
	loop_timer_in(timer, patience_ms);
	if (*counter < least)
		loop_run(loop);
	awaited = NULL;
	loop_timer_free(timer);
	return *counter >= least;
}

/* Whatever is still under way. */
static inline void
settle(void)
{
	static const int never = 0;

	ck_assert(!wait_for(&never, 1, 50));
}

static inline void __attribute__((format(printf, 1, 2)))
ip(const char *fmt, ...)
{
	char line[256], *word[32];
	size_t n = 0;
	va_list ap;
	pid_t pid;
	int status;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	word[n++] = strdup("ip");
	for (char *p = line, *end_of; *p != '\0' && n < 31; p = *end_of ? end_of + 1 : end_of) {
		end_of = p + strcspn(p, " ");
		word[n++] = strndup(p, (size_t)(end_of - p));
	}
	word[n] = NULL;
	pid = fork();
	if (pid == 0) {
		execvp("ip", word);
		_exit(127);
	}
	for (size_t i = 0; i < n; i++)
		free(word[i]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "ip %s", line);
}

static inline void
enter(int node)
{
	if (netns[node] != -1)
		ck_assert_int_eq(setns(netns[node], CLONE_NEWNET), 0);
}

/* va in node 0's namespace, vb in node 1's. Without addresses waiting for DAD. */
static inline void
cable(void)
{
	enter(0);
	ip("link add va type veth peer name vb netns /proc/self/fd/%d", netns[1]);
	ip("addr add 10.9.9.1/24 dev va");
	ip("link set va up addrgenmode none");
	ip("addr add fe80::1/64 dev va nodad");
	enter(1);
	ip("addr add 10.9.9.2/24 dev vb");
	ip("link set vb up addrgenmode none");
	ip("addr add fe80::2/64 dev vb nodad");
	enter(0);
}

/* Both nodes in the first namespace: what is on lo only. */
static inline void
share_host(void)
{
	if (netns[1] == -1)
		return;
	close(netns[1]);
	netns[1] = dup(netns[0]);
}

static inline void
setup(void)
{
	loop = loop_new();
	for (int i = 0; i < CONF_NODES; i++) {
		netns[i] = -1;
		if (geteuid() != 0)
			continue;
		ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
		netns[i] = open("/proc/self/ns/net", O_RDONLY);
		ip("link set lo up");
	}
	enter(0);
}

static inline void
teardown(void)
{
	for (int i = 0; i < CONF_NODES; i++) {
		if (end[i].conf.links > 0)
			link_fini(&end[i].link);
		if (netns[i] != -1)
			close(netns[i]);
	}
	loop_free(loop);
}

/* Both ends of one link; the interface is named per node since here they share a machine. */
static inline void
make(struct conf_link link, const char *ifname0, const char *ifname1)
{
	for (int i = 0; i < CONF_NODES; i++) {
		struct link_events events = { received, hinted, &end[i] };

		end[i].conf.self = i;
		end[i].conf.links = 1;
		end[i].conf.link[0] = link;
		end[i].conf.link[0].name = "cross";
		end[i].conf.link[0].port = PORT;
		end[i].conf.link[0].interface = i == 0 ? ifname0 : ifname1;
		link_init(&end[i].link, loop, &end[i].conf, 0, link_transport_for(link.transport),
		    &events);
	}
}

static const struct conf_link __attribute__((unused)) on_lo = {
	.transport = CONF_UDP, .address = { "127.0.0.1", "127.0.0.2" },
};
static const struct conf_link __attribute__((unused)) on_veth = {
	.transport = CONF_UDP, .address = { "10.9.9.1", "10.9.9.2" },
};

/* A well-formed beat as far as the kernel's filter looks. */
static inline void
some_beat(uint8_t bytes[BEAT_LEN], uint8_t mark)
{
	memset(bytes, mark, BEAT_LEN);
	memcpy(bytes, "MPRB\x01\x01\x00\xc0", 8);
}

static inline bool
send_at(int from, uint64_t now_ms, uint8_t mark, struct err *err)
{
	uint8_t bytes[BEAT_LEN];
	bool ok;

	some_beat(bytes, mark);
	enter(from);
	ok = link_send(&end[from].link, now_ms, bytes, BEAT_LEN, err);
	enter(0);
	return ok;
}

static inline void
must_send(int from, uint8_t mark)
{
	struct err err;

	ck_assert_msg(send_at(from, 5000, mark, &err), "%s", err.text);
}

/*
 * Send the same beat until node *to* has it, and so all that were sent before: an interface
 * that just came up may lose the first ones.
 */
static inline void
send_until_heard(int to, uint8_t mark)
{
	struct err err = { 0 };
	bool sent = false;

	for (int tries = 0; end[to].len == 0 || end[to].bytes[8] != mark; tries++) {
		ck_assert_msg(tries < 50, "beat %d never came: %s", mark, sent ? "sent, not heard" : err.text);
		sent = send_at(1 - to, 5000, mark, &err);
		(void)wait_for(&end[to].received, end[to].received + 1, 200);
	}
}

/* Beats pass both ways, whole, each once, and nobody hears himself. */
static inline void
converse(void)
{
	must_send(1, 200);	/* opens; nobody may be listening yet */
	send_until_heard(1, 201);
	send_until_heard(0, 202);
	settle();
	end[0].received = end[1].received = 0;
	for (int i = 1; i <= 5; i++) {
		for (int from = 0; from < 2; from++) {
			struct end *to = &end[1 - from];

			must_send(from, (uint8_t)(i * 2 + from));
			ck_assert_msg(wait_for(&to->received, i, PATIENCE_MS),
			    "beat %d of %d", i, from);
			ck_assert_uint_eq(to->len, BEAT_LEN);
			ck_assert_int_eq(to->bytes[8], i * 2 + from);
		}
	}
	settle();
	ck_assert_int_eq(end[0].received, 5);
	ck_assert_int_eq(end[1].received, 5);
}

#endif
