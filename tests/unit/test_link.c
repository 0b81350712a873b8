/*
 * tests/unit/test_link.c - heartbeat links over UDP: real sockets, floods, refusals, and
 * addresses and interfaces that come and go. Without root only the tests on 127.0.0.0/8 are run.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "tests/unit/link_bed.h"

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
	/* none of it ever came up here, but it is told with the next beat that is sent */
	ck_assert_uint_eq(end[0].link.dropped, 0);
	must_send(0, 2);
	ck_assert_uint_eq(end[0].link.dropped, 6);
	must_send(0, 3);
	ck_assert_uint_eq(end[0].link.dropped, 6);	/* once each */
	ck_assert_uint_eq(end[1].link.dropped, 0);
	close(fd);
}
END_TEST

START_TEST(what_a_full_buffer_cannot_take_is_counted_as_dropped_also_by_a_link_that_ends)
{
	uint8_t bytes[BEAT_LEN];
	int fd, sent = 20000;

	share_host();
	make(on_lo, NULL, NULL);
	fd = stranger("127.0.0.2", "127.0.0.1");
	must_send(0, 1);
	some_beat(bytes, 7);
	for (int i = 0; i < sent; i++)
		ck_assert_int_eq(send(fd, bytes, BEAT_LEN, 0), BEAT_LEN);
	ck_assert_uint_eq(end[0].link.dropped, 0);
	link_fini(&end[0].link);
	ck_assert_uint_gt(end[0].link.dropped, 1000);
	ck_assert_uint_lt(end[0].link.dropped, (uint64_t)sent);
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
	TCase *any = tcase_create("any user");
	TCase *root = tcase_create("root");

	tcase_add_checked_fixture(any, setup, teardown);
	tcase_add_test(any, unicast_over_ipv4);
	tcase_add_test(any, the_kernel_drops_what_cannot_be_a_beat);
	tcase_add_test(any, only_the_peers_address_is_heard_on_a_unicast_link);
	tcase_add_test(any, what_a_full_buffer_cannot_take_is_counted_as_dropped_also_by_a_link_that_ends);
	tcase_add_test(any, a_flood_does_not_keep_timers_waiting);
	tcase_add_test(any, a_refusal_by_the_peer_is_a_hint_once_until_it_is_heard_again);
	tcase_add_test(any, no_beat_is_lost_to_the_refusal_of_the_one_before);
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
	if (geteuid() == 0)
		suite_add_tcase(suite, root);
	else
		printf("skipped: the tests in network namespaces need root\n");
	return unit_main(suite);
}
