/*
 * tests/unit/test_link.c - heartbeat links over real sockets, ptys and interfaces.
 *
 * Each test runs in a process of its own; as root in network namespaces of its own, which vanish
 * with it. Node 0 lives in the first, node 1 in the second; a veth pair joins them. Without root
 * only the tests on 127.0.0.0/8 and on ptys are run.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
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

static void
maybe_stop(void)
{
	if (awaited != NULL && *awaited >= awaited_least)
		loop_stop(loop);
}

static void
received(void *arg, struct link *l, const uint8_t *bytes, size_t len)
{
	struct end *e = arg;

	ck_assert_ptr_eq(l, &e->link);
	e->received++;
	memcpy(e->bytes, bytes, len);
	e->len = len;
	maybe_stop();
}

static void
hinted(void *arg, struct link *l, enum link_hint hint)
{
	struct end *e = arg;

	ck_assert_ptr_eq(l, &e->link);
	e->hints[hint]++;
	maybe_stop();
}

static void
out_of_patience(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Run the loop until *counter has come to at least that; false when it does not in time. */
static bool
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
static void
settle(void)
{
	static const int never = 0;

	ck_assert(!wait_for(&never, 1, 50));
}

static void __attribute__((format(printf, 1, 2)))
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

static void
enter(int node)
{
	if (netns[node] != -1)
		ck_assert_int_eq(setns(netns[node], CLONE_NEWNET), 0);
}

/* va in node 0's namespace, vb in node 1's. Without addresses waiting for DAD. */
static void
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
static void
share_host(void)
{
	if (netns[1] == -1)
		return;
	close(netns[1]);
	netns[1] = dup(netns[0]);
}

static void
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

static void
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
static void
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

static const struct conf_link on_lo = {
	.transport = CONF_UDP, .address = { "127.0.0.1", "127.0.0.2" },
};
static const struct conf_link on_veth = {
	.transport = CONF_UDP, .address = { "10.9.9.1", "10.9.9.2" },
};

/* A well-formed beat as far as the kernel's filter looks. */
static void
some_beat(uint8_t bytes[BEAT_LEN], uint8_t mark)
{
	memset(bytes, mark, BEAT_LEN);
	memcpy(bytes, "MPRB\x01\x01\x00\xc0", 8);
}

static bool
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

static void
must_send(int from, uint8_t mark)
{
	struct err err;

	ck_assert_msg(send_at(from, 5000, mark, &err), "%s", err.text);
}

/*
 * Send the same beat until node *to* has it, and so all that were sent before: an interface
 * that just came up may lose the first ones.
 */
static void
send_until_heard(int to, uint8_t mark)
{
	for (int tries = 0; end[to].len == 0 || end[to].bytes[8] != mark; tries++) {
		ck_assert_msg(tries < 50, "beat %d never came", mark);
		(void)send_at(1 - to, 5000, mark, NULL);
		(void)wait_for(&end[to].received, end[to].received + 1, 200);
	}
}

/* Beats pass both ways, whole, each once, and nobody hears himself. */
static void
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

START_TEST(unicast_over_ipv4)
{
	share_host();
	make(on_lo, NULL, NULL);
	converse();
	ck_assert_str_eq(end[0].link.ifname, "lo");
	ck_assert_uint_eq(end[0].link.sent, 6);
}
END_TEST

START_TEST(unicast_over_ipv6)
{
	struct conf_link link = { .transport = CONF_UDP, .address = { "fd00::1", "fd00::2" } };

	ip("addr add fd00::1/128 dev lo nodad");
	ip("addr add fd00::2/128 dev lo nodad");
	share_host();
	make(link, NULL, NULL);
	converse();
	ck_assert_str_eq(end[0].link.ifname, "lo");
}
END_TEST

START_TEST(unicast_over_link_local_ipv6_goes_by_our_own_interface)
{
	struct conf_link link = {
		.transport = CONF_UDP, .address = { "fe80::1%va", "fe80::2%vb" },
	};

	cable();
	make(link, NULL, NULL);
	converse();
	ck_assert_str_eq(end[0].link.ifname, "va");
	ck_assert_str_eq(end[1].link.ifname, "vb");
}
END_TEST

START_TEST(multicast_over_ipv4)
{
	struct conf_link link = { .transport = CONF_MULTICAST, .group = "239.0.42.1", .ttl = 1 };

	cable();
	make(link, "va", "vb");
	converse();
}
END_TEST

START_TEST(multicast_over_ipv6)
{
	struct conf_link link = { .transport = CONF_MULTICAST, .group = "ff02::4242", .ttl = 1 };

	cable();
	make(link, "va", "vb");
	converse();
}
END_TEST

START_TEST(multicast_on_loopback)
{
	struct conf_link link = { .transport = CONF_MULTICAST, .group = "239.0.42.1", .ttl = 1 };

	share_host();
	make(link, "lo", "lo");
	converse();
}
END_TEST

START_TEST(broadcast)
{
	struct conf_link link = { .transport = CONF_BROADCAST };

	cable();
	make(link, "va", "vb");
	converse();
	ck_assert_uint_eq(end[0].link.dropped, 0);
}
END_TEST

START_TEST(groups_come_from_their_interface_only)
{
	struct conf_link link = { .transport = CONF_MULTICAST, .group = "239.0.42.1", .ttl = 1 };

	cable();
	ip("link add wa type veth peer name wb netns /proc/self/fd/%d", netns[1]);
	ip("addr add 10.9.8.1/24 dev wa");
	ip("link set wa up");
	enter(1);
	ip("addr add 10.9.8.2/24 dev wb");
	ip("link set wb up");
	enter(0);
	make(link, "va", "wb");		/* plugged the wrong way: not our link */
	must_send(0, 1);
	must_send(1, 2);
	settle();
	ck_assert_int_eq(end[0].received + end[1].received, 0);
}
END_TEST

/* A socket of the peer's address, to send what no link would. */
static int
stranger(const char *from, const char *to)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	ck_assert_int_eq(inet_pton(AF_INET, from, &at.sin_addr), 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(inet_pton(AF_INET, to, &at.sin_addr), 1);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static int
heard_of(int fd, const void *bytes, size_t len)
{
	int before = end[0].received;

	ck_assert_int_eq(send(fd, bytes, len, 0), (ssize_t)len);
	settle();
	return end[0].received - before;
}

START_TEST(the_kernel_drops_what_cannot_be_a_beat)
{
	uint8_t bytes[LINK_DATAGRAM_MAX + 100];
	int fd;

	share_host();
	make(on_lo, NULL, NULL);
	fd = stranger("127.0.0.2", "127.0.0.1");
	must_send(0, 1);
	memset(bytes, 0, sizeof(bytes));
	some_beat(bytes, 7);
	ck_assert_int_eq(heard_of(fd, bytes, BEAT_LEN), 1);
	ck_assert_int_eq(heard_of(fd, bytes, 0), 0);
	ck_assert_int_eq(heard_of(fd, bytes, 7), 0);
	ck_assert_int_eq(heard_of(fd, bytes, BEAT_LEN - 1), 0);
	ck_assert_int_eq(heard_of(fd, bytes, BEAT_LEN + 1), 0);
	bytes[4] = BEAT_VERSION + 1;	/* of another version: to be counted, whatever its length */
	ck_assert_int_eq(heard_of(fd, bytes, 8), 1);
	ck_assert_int_eq(heard_of(fd, bytes, LINK_DATAGRAM_MAX), 1);
	ck_assert_int_eq(heard_of(fd, bytes, LINK_DATAGRAM_MAX + 1), 0);
	some_beat(bytes, 7);
	bytes[3] = 'X';
	ck_assert_int_eq(heard_of(fd, bytes, BEAT_LEN), 0);
	ck_assert_uint_eq(end[0].link.dropped, 0);	/* none of it ever came up here */
	close(fd);
}
END_TEST

START_TEST(only_the_peers_address_is_heard_on_a_unicast_link)
{
	uint8_t bytes[BEAT_LEN];
	int fd;

	share_host();
	make(on_lo, NULL, NULL);
	must_send(0, 1);
	fd = stranger("127.0.0.3", "127.0.0.1");
	some_beat(bytes, 7);
	ck_assert_int_eq(send(fd, bytes, BEAT_LEN, 0), BEAT_LEN);
	settle();
	ck_assert_int_eq(end[0].received, 0);
	close(fd);
}
END_TEST

static void
note_received(void *arg)
{
	*(int *)arg = end[0].received;
	loop_stop(loop);
}

START_TEST(a_flood_does_not_keep_timers_waiting)
{
	struct loop_timer *timer = loop_timer_new(loop, note_received, &end[1].received);
	uint8_t bytes[BEAT_LEN];
	int fd;

	share_host();
	make(on_lo, NULL, NULL);
	must_send(0, 1);
	fd = stranger("127.0.0.2", "127.0.0.1");
	some_beat(bytes, 7);
	for (int i = 0; i < 150; i++)
		ck_assert_int_eq(send(fd, bytes, BEAT_LEN, 0), BEAT_LEN);
	end[1].received = -1;
	loop_timer_in(timer, 0);
	loop_run(loop);
	ck_assert_int_ne(end[1].received, -1);
	/* the timer came after two wake-ups at most */
	ck_assert_int_le(end[1].received, 32);
	ck_assert(wait_for(&end[0].received, 150, PATIENCE_MS));	/* and nothing is lost */
	loop_timer_free(timer);
	close(fd);
}
END_TEST

START_TEST(a_refusal_by_the_peer_is_a_hint_once_until_it_is_heard_again)
{
	share_host();
	make(on_lo, NULL, NULL);
	for (int i = 0; i < 5; i++) {
		/* each beat goes out although the one before was refused */
		must_send(0, (uint8_t)i);
		settle();
	}
	ck_assert_int_eq(end[0].hints[LINK_HINT_UNREACHABLE], 1);
	must_send(1, 9);
	ck_assert(wait_for(&end[0].received, 1, PATIENCE_MS));
	enter(1);
	link_fini(&end[1].link);
	must_send(0, 10);
	ck_assert(wait_for(&end[0].hints[LINK_HINT_UNREACHABLE], 2, PATIENCE_MS));
	ck_assert(end[0].link.open);
	ck_assert_uint_eq(end[0].link.sent, 6);
}
END_TEST

START_TEST(no_beat_is_lost_to_the_refusal_of_the_one_before)
{
	share_host();
	make(on_lo, NULL, NULL);
	for (int i = 0; i < 20; i++)
		must_send(0, (uint8_t)i);	/* without a look at the errors in between */
	ck_assert_uint_eq(end[0].link.sent, 20);
}
END_TEST

START_TEST(a_refusal_over_ipv6_is_a_hint_too)
{
	struct conf_link link = {
		.transport = CONF_UDP, .address = { "fe80::1%va", "fe80::2%vb" },
	};

	cable();
	make(link, NULL, NULL);
	must_send(0, 1);
	ck_assert(wait_for(&end[0].hints[LINK_HINT_UNREACHABLE], 1, PATIENCE_MS));
}
END_TEST

/* "Port unreachable" from 10.9.9.2 about our beat to that address. */
static void
refuse(const char *beat_to)
{
	struct {
		struct icmphdr	icmp;
		struct iphdr	ip;
		struct udphdr	udp;
	} said = {
		.icmp = { .type = ICMP_DEST_UNREACH, .code = ICMP_PORT_UNREACH },
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP,
		    .tot_len = htons(20 + 8 + BEAT_LEN) },
		.udp = { .source = htons(PORT), .dest = htons(PORT), .len = htons(8 + BEAT_LEN) },
	};
	struct sockaddr_in to = { .sin_family = AF_INET };
	uint16_t words[sizeof(said) / 2];
	uint32_t sum = 0;
	int fd;

	ck_assert_int_eq(inet_pton(AF_INET, "10.9.9.1", &to.sin_addr), 1);
	ck_assert_int_eq(inet_pton(AF_INET, beat_to, &said.ip.daddr), 1);
	said.ip.saddr = to.sin_addr.s_addr;
	memcpy(words, &said, sizeof(said));
	for (size_t i = 0; i < sizeof(said) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	said.icmp.checksum = (uint16_t)~(sum + (sum >> 16));
	enter(1);
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	ck_assert_int_eq(sendto(fd, &said, sizeof(said), 0, (struct sockaddr *)&to, sizeof(to)),
	    sizeof(said));
	close(fd);
	enter(0);
}

START_TEST(a_refusal_counts_when_the_peer_says_it_but_not_from_a_router)
{
	static const struct conf_link far = {
		.transport = CONF_UDP, .address = { "10.9.9.1", "10.77.0.1" },
	};

	cable();
	ip("route add 10.77.0.0/24 via 10.9.9.2");
	enter(1);
	ip("addr add 10.77.0.1/32 dev vb");
	enter(0);
	make(_i == 0 ? far : on_veth, NULL, NULL);
	converse();
	refuse(_i == 0 ? "10.77.0.1" : "10.9.9.2");
	ck_assert(wait_for(&end[0].hints[LINK_HINT_UNREACHABLE], _i, PATIENCE_MS));
	settle();
	ck_assert_int_eq(end[0].hints[LINK_HINT_UNREACHABLE], _i);
	ck_assert(end[0].link.open);
}
END_TEST

START_TEST(an_address_that_comes_later_is_found_within_a_second)
{
	struct err err;

	cable();
	ip("addr del 10.9.9.1/24 dev va");
	make(on_veth, NULL, NULL);
	ck_assert(!send_at(0, 5000, 1, &err));
	ck_assert(strstr(err.text, "cross") != NULL && strstr(err.text, "10.9.9.1") != NULL);
	ip("addr add 10.9.9.1/24 dev va");
	memset(&err, 0, sizeof(err));
	/* not asked again so soon, but still said why */
	ck_assert(!send_at(0, 5999, 1, &err));
	ck_assert(strstr(err.text, "10.9.9.1") != NULL);
	ck_assert(send_at(0, 6000, 1, &err));
	ck_assert_uint_eq(end[0].link.send_failed, 2);
	ck_assert_str_eq(end[0].link.ifname, "va");
	converse();
}
END_TEST

START_TEST(an_address_that_vanishes_and_comes_back_is_used_again)
{
	cable();
	make(on_veth, NULL, NULL);
	converse();
	ip("addr del 10.9.9.1/24 dev va");
	for (uint64_t now = 6000; now < 10000; now += 200)
		ck_assert(!send_at(0, now, 1, NULL));
	ip("addr add 10.9.9.1/24 dev va");
	ck_assert(send_at(0, 11000, 1, NULL));
	converse();
}
END_TEST

START_TEST(an_interface_that_is_made_anew_is_joined_anew)
{
	struct conf_link link = {
		.transport = CONF_MULTICAST, .ttl = 1,
		.group = _i == 0 ? "239.0.42.1" : "ff02::4242",
	};
	struct err err;

	cable();
	make(link, "va", "vb");
	converse();
	ip("link del va");
	for (uint64_t now = 6000; now < 8000; now += 200)
		for (int i = 0; i < 2; i++)
			ck_assert(!send_at(i, now, 1, &err));
	ck_assert(strstr(err.text, "vb") != NULL);
	cable();
	for (int i = 0; i < 2; i++)
		ck_assert_msg(send_at(i, 9000, 1, &err), "%s", err.text);
	converse();
}
END_TEST

START_TEST(without_a_route_the_peer_is_still_heard)
{
	struct conf_link link = { .transport = CONF_UDP, .address = { "10.9.9.1", "10.77.0.1" } };

	cable();
	ip("route add 10.77.0.0/24 via 10.9.9.2");
	enter(1);
	ip("addr add 10.77.0.1/32 dev vb");
	enter(0);
	make(link, NULL, NULL);
	converse();
	ip("route del 10.77.0.0/24");
	ck_assert(!send_at(0, 6000, 1, NULL));
	ck_assert(end[0].link.open);
	must_send(1, 77);
	ck_assert(wait_for(&end[0].received, 6, PATIENCE_MS));
}
END_TEST

/*
 * Which hints the life of an interface gives to a link over it. A second link over the same one,
 * always direct and never opened, shows when the kernel has told all it had to tell.
 */
static void
interface_life(bool direct, struct conf_link link, const char *ifname)
{
	struct link *links[2] = { &end[0].link, &end[1].link };
	int *hints = end[0].hints, *shown = end[1].hints;
	struct link_watch *watch;
	struct err err;

	cable();
	make(link, ifname, "va");
	end[0].conf.link[0].direct = direct;
	end[1].conf.link[0].direct = true;
	watch = link_watch_new(loop, links, 2, &err);
	ck_assert_msg(watch != NULL, "%s", err.text);
	settle();
	must_send(0, 1);	/* only now it may be known which interface it is */
	ip("link add dummy type veth peer name other");
	ip("link set dummy up");
	settle();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(end[i].hints[LINK_HINT_CARRIER_LOST], 0);
		ck_assert_int_eq(end[i].hints[LINK_HINT_VANISHED], 0);
	}

	enter(1);
	ip("link set vb down");
	enter(0);
	ck_assert(wait_for(&shown[LINK_HINT_CARRIER_LOST], 1, PATIENCE_MS));
	settle();
	ck_assert_int_eq(hints[LINK_HINT_CARRIER_LOST], direct);
	enter(1);
	ip("link set vb up");
	enter(0);
	ck_assert(wait_for(&shown[LINK_HINT_CARRIER_BACK], 1, PATIENCE_MS));
	settle();
	ck_assert_int_eq(hints[LINK_HINT_CARRIER_BACK], direct);

	ip("link set va down");
	ck_assert(wait_for(&hints[LINK_HINT_VANISHED], 1, PATIENCE_MS));
	ip("link set va up");
	ck_assert(wait_for(&hints[LINK_HINT_CARRIER_BACK], direct + 1, PATIENCE_MS));
	ip("link del va");
	ck_assert(wait_for(&hints[LINK_HINT_VANISHED], 2, PATIENCE_MS));
	settle();
	ck_assert_int_eq(hints[LINK_HINT_CARRIER_LOST], direct);
	ck_assert_int_eq(hints[LINK_HINT_VANISHED], 2);
	cable();
	ck_assert(wait_for(&hints[LINK_HINT_CARRIER_BACK], direct + 2, PATIENCE_MS));
	link_watch_free(watch);
}

START_TEST(a_lost_carrier_is_a_hint_on_a_direct_cable)
{
	struct conf_link link = { .transport = CONF_MULTICAST, .group = "239.0.42.1", .ttl = 1 };

	interface_life(true, link, "va");
}
END_TEST

START_TEST(a_lost_carrier_behind_a_switch_is_none)
{
	struct conf_link link = { .transport = CONF_MULTICAST, .group = "239.0.42.1", .ttl = 1 };

	interface_life(false, link, "va");
}
END_TEST

START_TEST(the_interface_of_a_unicast_link_is_found_by_its_address)
{
	interface_life(true, on_veth, NULL);
}
END_TEST

START_TEST(a_renamed_interface_has_vanished)
{
	struct link *links[1] = { &end[0].link };
	struct link_watch *watch;
	struct err err;

	cable();
	make(on_veth, "va", NULL);
	watch = link_watch_new(loop, links, 1, &err);
	ck_assert_msg(watch != NULL, "%s", err.text);
	settle();
	ip("link set va name vz");
	ck_assert(wait_for(&end[0].hints[LINK_HINT_VANISHED], 1, PATIENCE_MS));
	link_watch_free(watch);
}
END_TEST

/* A pty stands for the serial line; its name is a symbolic link, to be plugged into another one. */
static char device[64];

static int
plug(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	ck_assert_int_ne(master, -1);
	ck_assert(grantpt(master) == 0 && unlockpt(master) == 0);
	(void)unlink(device);
	ck_assert_int_eq(symlink(ptsname(master), device), 0);
	return master;
}

static int
serial_setup(void)
{
	struct conf_link link = { .transport = CONF_SERIAL, .device = device, .baud = 115200 };

	snprintf(device, sizeof(device), "/tmp/mailpair-test-tty.%d", (int)getpid());
	make(link, NULL, NULL);
	return plug();
}

/* All whole frames that wait at the far end of the line. */
static int
frames_at(int master, uint8_t mark_of[64])
{
	struct link_deframe d = { .len = 0 };
	uint8_t bytes[8192];
	ssize_t n;
	int frames = 0;

	while ((n = read(master, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < n; i++) {
			size_t len;

			if (!link_deframe(&d, bytes[i], &len))
				continue;
			ck_assert_uint_eq(len, BEAT_LEN);
			ck_assert_int_lt(frames, 64);
			mark_of[frames++] = d.buf[8];
		}
	ck_assert_uint_eq(d.bad, 0);
	ck_assert_uint_eq(d.len, 0);
	return frames;
}

START_TEST(a_serial_line_carries_beats_both_ways_through_noise)
{
	uint8_t beat[BEAT_LEN], frame[2 * LINK_DATAGRAM_MAX], mark[64];
	int master = serial_setup();
	size_t len;

	must_send(0, 0x7e);	/* all delimiters: the worst case */
	settle();
	ck_assert_int_eq(frames_at(master, mark), 1);
	ck_assert_int_eq(mark[0], 0x7e);
	some_beat(beat, 5);
	len = link_frame(beat, BEAT_LEN, frame, sizeof(frame));
	for (int i = 1; i <= 20; i++) {
		static const char noise[] = "\r\nlogin: \x7e\x7d\xff\x11";

		ck_assert_int_eq(write(master, noise, sizeof(noise)), sizeof(noise));
		ck_assert_int_eq(write(master, frame, len / 3), (ssize_t)(len / 3));
		ck_assert_int_eq(write(master, frame, len), (ssize_t)len);
		ck_assert(wait_for(&end[0].received, i, PATIENCE_MS));
		ck_assert_mem_eq(end[0].bytes, beat, BEAT_LEN);
	}
	/* what stood on the line before the first delimiter was not ours to judge */
	ck_assert_uint_eq(end[0].link.dropped, 3 * 20 - 1);
	close(master);
	unlink(device);
}
END_TEST

START_TEST(a_line_that_does_not_drain_drops_whole_beats_only)
{
	uint8_t mark[64];
	int master = serial_setup(), sent = 0, frames;
	uint64_t began = clock_mono_ms();

	for (int i = 0; i < 400; i++)
		sent += send_at(0, 5000, (uint8_t)(i % 100), NULL);
	ck_assert_int_gt(sent, 0);
	ck_assert_int_lt(sent, 400);
	ck_assert_uint_eq(end[0].link.send_failed, 400 - (uint64_t)sent);
	ck_assert_uint_lt(clock_mono_ms() - began, 1000);
	ck_assert(end[0].link.open);

	/* once it drains, the rest of the frame in hand follows */
	frames = 0;
	for (int i = 0; i < 20 && frames < sent; i++) {
		static struct link_deframe d;
		uint8_t bytes[1024];
		ssize_t n = read(master, bytes, sizeof(bytes));
		size_t len;

		for (ssize_t k = 0; k < n; k++)
			frames += link_deframe(&d, bytes[k], &len);
		settle();
		ck_assert_uint_eq(d.bad, 0);
	}
	ck_assert_int_eq(frames, sent);
	must_send(0, 99);
	settle();
	ck_assert_int_eq(frames_at(master, mark), 1);
	ck_assert_int_eq(mark[0], 99);
	close(master);
	unlink(device);
}
END_TEST

START_TEST(a_line_that_hangs_up_is_opened_again_later)
{
	uint8_t mark[64];
	int master = serial_setup();
	struct err err;

	must_send(0, 1);
	unlink(device);		/* another pty may soon have its number */
	close(master);
	settle();
	ck_assert(!end[0].link.open);
	ck_assert(!send_at(0, 5999, 2, &err));
	ck_assert(strstr(err.text, device) != NULL);
	ck_assert(!send_at(0, 6000, 2, &err));		/* tried, and the device is gone */
	master = plug();
	ck_assert(!send_at(0, 6999, 2, &err));
	ck_assert_msg(send_at(0, 7000, 3, &err), "%s", err.text);
	settle();
	ck_assert_int_eq(frames_at(master, mark), 1);
	ck_assert_int_eq(mark[0], 3);
	close(master);
	unlink(device);
}
END_TEST

START_TEST(what_is_no_serial_line_is_refused_with_its_name)
{
	struct conf_link link = { .transport = CONF_SERIAL, .device = "/dev/null", .baud = 115200 };
	struct err err;

	make(link, NULL, NULL);
	ck_assert(!send_at(0, 5000, 1, &err));
	ck_assert(strstr(err.text, "/dev/null") != NULL);
}
END_TEST

START_TEST(every_hint_has_a_name)
{
	for (int i = 0; i < LINK_HINT_COUNT; i++)
		ck_assert_str_ne(link_hint_name((enum link_hint)i), "");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("link");
	TCase *any = tcase_create("any user"), *root = tcase_create("root");

	tcase_add_checked_fixture(any, setup, teardown);
	tcase_add_test(any, unicast_over_ipv4);
	tcase_add_test(any, the_kernel_drops_what_cannot_be_a_beat);
	tcase_add_test(any, only_the_peers_address_is_heard_on_a_unicast_link);
	tcase_add_test(any, a_flood_does_not_keep_timers_waiting);
	tcase_add_test(any, a_refusal_by_the_peer_is_a_hint_once_until_it_is_heard_again);
	tcase_add_test(any, no_beat_is_lost_to_the_refusal_of_the_one_before);
	tcase_add_test(any, a_serial_line_carries_beats_both_ways_through_noise);
	tcase_add_test(any, a_line_that_does_not_drain_drops_whole_beats_only);
	tcase_add_test(any, a_line_that_hangs_up_is_opened_again_later);
	tcase_add_test(any, what_is_no_serial_line_is_refused_with_its_name);
	tcase_add_test(any, every_hint_has_a_name);
	suite_add_tcase(suite, any);
	tcase_add_checked_fixture(root, setup, teardown);
	tcase_set_timeout(root, 30);
	tcase_add_test(root, unicast_over_ipv6);
	tcase_add_test(root, unicast_over_link_local_ipv6_goes_by_our_own_interface);
	tcase_add_test(root, multicast_over_ipv4);
	tcase_add_test(root, multicast_over_ipv6);
	tcase_add_test(root, multicast_on_loopback);
	tcase_add_test(root, broadcast);
	tcase_add_test(root, groups_come_from_their_interface_only);
	tcase_add_test(root, a_refusal_over_ipv6_is_a_hint_too);
	tcase_add_loop_test(root, a_refusal_counts_when_the_peer_says_it_but_not_from_a_router, 0,
	    2);
	tcase_add_test(root, an_address_that_comes_later_is_found_within_a_second);
	tcase_add_test(root, an_address_that_vanishes_and_comes_back_is_used_again);
	tcase_add_loop_test(root, an_interface_that_is_made_anew_is_joined_anew, 0, 2);
	tcase_add_test(root, without_a_route_the_peer_is_still_heard);
	tcase_add_test(root, a_lost_carrier_is_a_hint_on_a_direct_cable);
	tcase_add_test(root, a_lost_carrier_behind_a_switch_is_none);
	tcase_add_test(root, the_interface_of_a_unicast_link_is_found_by_its_address);
	tcase_add_test(root, a_renamed_interface_has_vanished);
	if (geteuid() == 0)
		suite_add_tcase(suite, root);
	else
		printf("skipped: the tests in network namespaces need root\n");
	return unit_main(suite);
}
