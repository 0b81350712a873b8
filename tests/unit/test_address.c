/*
 * tests/unit/test_address.c - service addresses on real interfaces: every test makes its own
 * network namespaces (this node "a", another host "b", a client "c") around one bridge, and they
 * vanish with the test's process. Needs root.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/address.h"
#include "tests/unit/harness.h"

#define PROBE_MS 150
#define MAC_A	 "02:00:00:00:00:0a"
#define MAC_B	 "02:00:00:00:00:0b"

static struct {
	int a, b, c, bridge; /* network namespaces */
} net;
static struct conf conf;
static struct err err;
static bool held[CONF_ADDRESSES_MAX];

/* ---------------------------------------------------------------- the world around */

/* Run "ip ..." in the namespace where we are; its output, or a failed test. */
__attribute__((format(printf, 1, 2))) static const char *
ip(const char *fmt, ...)
{
	static char out[8192];
	char line[512], errout[512], *word[40], *next = line;
	struct spawn_cmd cmd = {.argv = (const char *const *)word};
	size_t n = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	word[n++] = (char *)(uintptr_t) "ip";
	while (n < 39 && (word[n] = strsep(&next, " ")) != NULL)
		n++;
	word[n] = NULL;
	if (spawn_run(&cmd, 10000, out, sizeof(out), errout, sizeof(errout), &err) != 0)
		ck_abort_msg("ip %s: %s%s", fmt, errout, err.text);
	return out;
}

static int
namespace_new(void)
{
	int fd;

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ne(fd, -1);
	return fd;
}

static void
go(int where)
{
	ck_assert_int_eq(setns(where, CLONE_NEWNET), 0);
}

static void
host_plug(int where, const char *port, const char *interface, const char *mac)
{
	go(net.bridge);
	ip("link add %s type veth peer name tmp", port);
	ip("link set %s up master br0", port);
	ip("link set tmp address %s netns /proc/%d/fd/%d", mac, (int)getpid(), where);
	go(where);
	ip("link set tmp name %s", interface);
	ip("link set %s up", interface);
}

static void
want(const char *text, const char *interface)
{
	struct conf_address *a = &conf.address[conf.addresses++];
	char copy[64];

	snprintf(copy, sizeof(copy), "%s", text);
	a->prefix = (uint8_t)strtoul(strchr(copy, '/') + 1, NULL, 10);
	*strchr(copy, '/') = '\0';
	a->text = text;
	a->interface = interface;
	a->family = strchr(copy, ':') != NULL ? AF_INET6 : AF_INET;
	a->probe = true;
	ck_assert_int_eq(inet_pton(a->family, copy, a->bytes), 1);
}

static void
world_make(void)
{
	memset(&conf, 0, sizeof(conf));
	memset(&err, 0, sizeof(err));
	net.a = namespace_new();
	net.b = namespace_new();
	net.c = namespace_new();
	net.bridge = namespace_new();
	ip("link add br0 type bridge mcast_snooping 0 forward_delay 0");
	ip("link set br0 up");
	host_plug(net.a, "pa", "eth0", MAC_A);
	host_plug(net.b, "pb", "eth0", MAC_B);
	host_plug(net.c, "pc", "eth0", "02:00:00:00:00:0c");
	ip("address add 192.0.2.99/24 dev eth0");
	ip("address add fd00::99/64 dev eth0 nodad");
	go(net.a);
}

static bool
has(const char *interface, const char *text)
{
	return strstr(ip("address show dev %s", interface), text) != NULL;
}

/* ---------------------------------------------------------------- laws */

START_TEST(an_address_nobody_has_is_taken_after_the_whole_probe)
{
	uint64_t start;

	want("192.0.2.53/24", "eth0");
	want("fd00::53/64", "eth0");
	ck_assert_int_eq(addresses_held(&conf, held, &err), FACT_NO);
	start = clock_mono_ms();
	ck_assert_msg(addresses_up(&conf, PROBE_MS, NULL, &err), "%s", err.text);
	ck_assert_uint_ge(clock_mono_ms() - start, PROBE_MS);
	ck_assert_int_eq(addresses_held(&conf, held, &err), FACT_YES);
	ck_assert(held[0] && held[1]);
	ck_assert(has("eth0", "inet 192.0.2.53/24 brd 192.0.2.255 scope global eth0"));
	ck_assert(has("eth0", "inet6 fd00::53/64 scope global nodad"));
}
END_TEST

START_TEST(without_a_probe_an_address_is_there_at_once)
{
	uint64_t start, took;

	want("192.0.2.53/24", "eth0");
	want("fd00::53/64", "eth0");
	start = clock_mono_us();
	ck_assert_msg(addresses_up(&conf, 0, NULL, &err), "%s", err.text);
	took = clock_mono_us() - start;
	ck_assert_uint_lt(took, 1000000);
}
END_TEST

static void
foreign_owner_found(const char *text)
{
	uint64_t start;

	want(text, "eth0");
	go(net.b);
	ip("address add %s dev eth0%s", text, strchr(text, ':') != NULL ? " nodad" : "");
	go(net.a);
	start = clock_mono_ms();
	ck_assert(!addresses_up(&conf, 5000, NULL, &err));
	ck_assert_uint_lt(clock_mono_ms() - start, 4000); /* the answer ends the wait */
	ck_assert_msg(strstr(err.text, MAC_B) != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, "eth0") != NULL, "%s", err.text);
	ck_assert_int_eq(addresses_held(&conf, NULL, &err), FACT_NO);
	ck_assert(!addresses_probe(&conf, 5000, NULL, &err));
	conf.address[0].probe = false;
	ck_assert_msg(addresses_probe(&conf, 5000, NULL, &err), "%s", err.text);
	ck_assert_msg(addresses_up(&conf, 5000, NULL, &err), "%s", err.text);
}

START_TEST(a_foreign_owner_of_an_ipv4_address_stops_the_taking)
{
	foreign_owner_found("192.0.2.53/24");
}
END_TEST

START_TEST(a_foreign_owner_of_an_ipv6_address_stops_the_taking)
{
	foreign_owner_found("fd00::53/64");
}
END_TEST

START_TEST(this_host_itself_is_not_a_foreign_owner)
{
	host_plug(net.a, "pa2", "eth1", "02:00:00:00:01:0a");
	want("192.0.2.53/24", "eth0");
	want("fd00::53/64", "eth0");
	ip("address add 192.0.2.53/24 dev eth1");
	ip("address add fd00::54/64 dev eth1 nodad");
	ck_assert_msg(addresses_probe(&conf, PROBE_MS, NULL, &err), "%s", err.text);
	ck_assert_int_eq(addresses_held(&conf, NULL, &err), FACT_NO);
	ck_assert_msg(addresses_up(&conf, PROBE_MS, NULL, &err), "%s", err.text);
}
END_TEST

/* b has the address on another network, says so all the time, and does not answer for it on this
 * one. */
START_TEST(a_claim_on_another_interface_is_none_on_this_one)
{
	int fd;
	pid_t pid;

	go(net.a);
	ip("link add eth1 type veth peer name eth1 netns /proc/%d/fd/%d", (int)getpid(), net.b);
	ip("link set eth1 up");
	go(net.b);
	ip("link set eth1 up");
	ip("address add 192.0.2.53/24 dev eth1");
	fd = open("/proc/sys/net/ipv4/conf/all/arp_ignore", O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "1", 1), 1);
	close(fd);
	want("192.0.2.53/24", "eth1");
	pid = fork();
	while (pid == 0 && getppid() != 1)
		addresses_announce(&conf, NULL);
	conf.addresses = 0;
	want("192.0.2.53/24", "eth0");
	want("192.0.2.54/24", "eth1");
	go(net.a);
	ck_assert_msg(addresses_probe(&conf, 500, NULL, &err), "%s", err.text);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/* Not both of them need to: the first that sees the other stops asking, perhaps before it was
 * heard. */
START_TEST(of_two_hosts_that_probe_for_one_address_not_both_take_it)
{
	static const char *const text[] = {"192.0.2.53/24", "fd00::53/64"};
	bool free_for_us;
	int status;
	pid_t pid;

	want(text[_i], "eth0");
	pid = fork();
	if (pid == 0) {
		if (setns(net.b, CLONE_NEWNET) == -1)
			_exit(2);
		_exit(addresses_probe(&conf, 1500, NULL, NULL) ? 0 : 1);
	}
	free_for_us = addresses_probe(&conf, 1500, NULL, &err);
	ck_assert_msg(free_for_us || strstr(err.text, "being taken") != NULL, "%s", err.text);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_ne(WEXITSTATUS(status), 2);
	ck_assert(!free_for_us || WEXITSTATUS(status) == 1);
}
END_TEST

START_TEST(many_addresses_are_probed_in_the_time_of_one)
{
	static char text[CONF_ADDRESSES_MAX][32];
	uint64_t start;

	for (int i = 0; i < CONF_ADDRESSES_MAX; i++) {
		snprintf(
		    text[i], sizeof(text[i]), i % 2 == 0 ? "192.0.2.%d/24" : "fd00::%d/64", i + 1);
		want(text[i], "eth0");
	}
	start = clock_mono_ms();
	ck_assert_msg(addresses_up(&conf, 300, NULL, &err), "%s", err.text);
	ck_assert_uint_lt(clock_mono_ms() - start, 300 + 1000);
	ck_assert_int_eq(addresses_held(&conf, held, &err), FACT_YES);
	ck_assert_msg(addresses_down(&conf, NULL, &err), "%s", err.text);
	ck_assert_int_eq(addresses_held(&conf, held, &err), FACT_NO);
}
END_TEST

/* The client has talked to b; then a takes the address: what does the client's kernel believe? */
static void
cache_follows(const char *text, const char *plain)
{
	uint64_t end = clock_mono_ms() + 5000;

	want(text, "eth0");
	go(net.c);
	ip("neigh replace %s lladdr " MAC_B " dev eth0 nud reachable", plain);
	ck_assert(strstr(ip("neigh show to %s dev eth0", plain), MAC_B) != NULL);
	go(net.a);
	ck_assert_msg(addresses_up(&conf, 0, NULL, &err), "%s", err.text);
	go(net.c);
	while (strstr(ip("neigh show to %s dev eth0", plain), MAC_A) == NULL)
		ck_assert_msg(clock_mono_ms() < end, "taken, and the client still has %s",
		    ip("neigh show to %s dev eth0", plain));
	ip("neigh replace %s lladdr " MAC_B " dev eth0 nud reachable", plain);
	go(net.a);
	ck_assert_msg(addresses_announce(&conf, &err), "%s", err.text);
	go(net.c);
	while (strstr(ip("neigh show to %s dev eth0", plain), MAC_A) == NULL)
		ck_assert_msg(clock_mono_ms() < end, "announced, and the client still has %s",
		    ip("neigh show to %s dev eth0", plain));
}

START_TEST(an_announcement_changes_the_arp_cache_of_a_client)
{
	cache_follows("192.0.2.53/24", "192.0.2.53");
}
END_TEST

START_TEST(an_announcement_changes_the_ipv6_neighbour_cache_of_a_client)
{
	cache_follows("fd00::53/64", "fd00::53");
}
END_TEST

START_TEST(an_address_not_held_is_not_announced)
{
	want("192.0.2.53/24", "eth0");
	go(net.c);
	ip("neigh replace 192.0.2.53 lladdr " MAC_B " dev eth0 nud reachable");
	go(net.a);
	ck_assert_msg(addresses_announce(&conf, &err), "%s", err.text);
	go(net.c);
	ck_assert(strstr(ip("neigh show to 192.0.2.53 dev eth0"), MAC_A) == NULL);
}
END_TEST

/* Ours came first, so the kernel has the node's own address as a secondary one of ours. */
static void
others_stay(void)
{
	want("192.0.2.53/24", "eth0");
	want("fd00::53/64", "eth0");
	ck_assert_msg(addresses_up(&conf, 0, NULL, &err), "%s", err.text);
	ip("address add 192.0.2.10/24 dev eth0");
	ip("address add fd00::10/64 dev eth0 nodad");
	ck_assert(has("eth0", "192.0.2.10/24 scope global secondary"));
	ck_assert_msg(addresses_down(&conf, NULL, &err), "%s", err.text);
	ck_assert_int_eq(addresses_held(&conf, NULL, &err), FACT_NO);
	ck_assert(has("eth0", "192.0.2.10/24"));
	ck_assert(!has("eth0", "secondary"));
	ck_assert(has("eth0", "fd00::10/64"));
	ck_assert(strstr(ip("route show dev eth0"), "192.0.2.0/24") != NULL);
	ck_assert(strstr(ip("-6 route show dev eth0"), "fd00::/64") != NULL);
}

START_TEST(dropping_ours_leaves_the_nodes_own_addresses)
{
	others_stay();
	/* and again, when ours is the secondary one */
	ck_assert_msg(addresses_up(&conf, 0, NULL, &err), "%s", err.text);
	ck_assert(has("eth0", "192.0.2.53/24 brd 192.0.2.255 scope global secondary"));
	ck_assert_msg(addresses_down(&conf, NULL, &err), "%s", err.text);
	ck_assert(has("eth0", "192.0.2.10/24"));
	ck_assert(strstr(ip("-6 route show dev eth0"), "fd00::/64") != NULL);
}
END_TEST

START_TEST(they_stay_even_where_the_kernel_cannot_be_told_to_promote)
{
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL), 0);
	ck_assert_int_eq(mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	others_stay();
}
END_TEST

START_TEST(taking_and_dropping_twice_is_the_same_as_once)
{
	want("192.0.2.53/24", "eth0");
	want("192.0.2.54/24", "eth0");
	want("fd00::53/64", "eth0");
	ck_assert_msg(addresses_down(&conf, NULL, &err), "%s", err.text);
	ip("address add 192.0.2.54/24 dev eth0");
	ck_assert_int_eq(addresses_held(&conf, held, &err), FACT_UNKNOWN);
	ck_assert(!held[0] && held[1] && !held[2]);
	for (int i = 0; i < 2; i++) {
		ck_assert_msg(addresses_up(&conf, PROBE_MS, NULL, &err), "%s", err.text);
		ck_assert_int_eq(addresses_held(&conf, held, &err), FACT_YES);
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_msg(addresses_down(&conf, NULL, &err), "%s", err.text);
		ck_assert_int_eq(addresses_held(&conf, held, &err), FACT_NO);
	}
}
END_TEST

START_TEST(an_address_with_another_prefix_is_ours_as_well_and_goes)
{
	want("192.0.2.53/24", "eth0");
	ip("address add 192.0.2.53/32 dev eth0");
	ck_assert_int_eq(addresses_held(&conf, NULL, &err), FACT_YES);
	ck_assert_msg(addresses_down(&conf, NULL, &err), "%s", err.text);
	ck_assert(!has("eth0", "192.0.2.53"));
}
END_TEST

START_TEST(a_missing_interface_is_an_error_of_taking_and_none_of_dropping)
{
	want("192.0.2.53/24", "eth7");
	ck_assert(!addresses_up(&conf, PROBE_MS, NULL, &err));
	ck_assert_msg(strstr(err.text, "eth7") != NULL, "%s", err.text);
	ck_assert(!addresses_probe(&conf, PROBE_MS, NULL, &err));
	ck_assert_int_eq(addresses_interfaces_good(&conf, &err), FACT_NO);
	ck_assert_msg(strstr(err.text, "eth7") != NULL, "%s", err.text);
	ck_assert_int_eq(addresses_held(&conf, NULL, &err), FACT_NO);
	ck_assert_msg(addresses_down(&conf, NULL, &err), "%s", err.text);
	ck_assert_msg(addresses_announce(&conf, &err), "%s", err.text);
}
END_TEST

START_TEST(an_interface_is_good_only_when_it_is_up_with_carrier)
{
	want("192.0.2.53/24", "eth0");
	ck_assert_msg(addresses_interfaces_good(&conf, &err) == FACT_YES, "%s", err.text);
	go(net.bridge);
	ip("link set pa down");
	go(net.a);
	ck_assert_int_eq(addresses_interfaces_good(&conf, &err), FACT_NO);
	ck_assert_msg(strstr(err.text, "carrier") != NULL, "%s", err.text);
	ip("link set eth0 down");
	ck_assert_int_eq(addresses_interfaces_good(&conf, &err), FACT_NO);
	ck_assert_msg(strstr(err.text, "is down") != NULL, "%s", err.text);
	ck_assert(!addresses_up(&conf, 0, NULL, &err));
	ck_assert_msg(strstr(err.text, "is down") != NULL, "%s", err.text);
}
END_TEST

START_TEST(a_failure_takes_back_what_was_added_and_nothing_else)
{
	int fd;

	host_plug(net.a, "pa2", "eth1", "02:00:00:00:01:0a");
	want("192.0.2.53/24", "eth0");
	want("192.0.2.54/24", "eth0");
	want("fd00::53/64", "eth1");
	ip("address add 192.0.2.54/24 dev eth0");
	fd = open("/proc/sys/net/ipv6/conf/eth1/disable_ipv6", O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "1", 1), 1);
	close(fd);
	ck_assert(!addresses_up(&conf, PROBE_MS, NULL, &err));
	ck_assert_msg(strstr(err.text, "fd00::53/64") != NULL, "%s", err.text);
	ck_assert_int_eq(addresses_held(&conf, held, &err), FACT_UNKNOWN);
	ck_assert(!held[0] && held[1] && !held[2]);
}
END_TEST

START_TEST(an_address_that_lost_its_duplicate_detection_is_not_held)
{
	uint64_t end = clock_mono_ms() + 10000;

	want("fd00::53/64", "eth0");
	go(net.b);
	ip("address add fd00::53/64 dev eth0 nodad");
	go(net.a);
	ip("address add fd00::53/64 dev eth0");
	while (!has("eth0", "dadfailed"))
		ck_assert_uint_lt(clock_mono_ms(), end);
	ck_assert_int_eq(addresses_held(&conf, NULL, &err), FACT_NO);
	go(net.b);
	ip("address del fd00::53/64 dev eth0");
	go(net.a);
	ck_assert_msg(addresses_up(&conf, PROBE_MS, NULL, &err), "%s", err.text);
	ck_assert_int_eq(addresses_held(&conf, NULL, &err), FACT_YES);
	ck_assert(!has("eth0", "dadfailed"));
}
END_TEST

START_TEST(interfaces_without_neighbours_are_not_probed)
{
	ip("link set lo up");
	want("192.0.2.53/32", "lo");
	want("fd00::53/128", "lo");
	ck_assert_msg(addresses_up(&conf, PROBE_MS, NULL, &err), "%s", err.text);
	ck_assert_int_eq(addresses_held(&conf, NULL, &err), FACT_YES);
	ck_assert_msg(addresses_announce(&conf, &err), "%s", err.text);
	ck_assert_msg(addresses_down(&conf, NULL, &err), "%s", err.text);
	ck_assert_int_eq(addresses_held(&conf, NULL, &err), FACT_NO);
}
END_TEST

/* ---------------------------------------------------------------- in a worker */

static char worker_report[4096];

static void
worker_done(void *arg, const struct spawn_result *result)
{
	ck_assert_int_eq(result->end, SPAWN_EXITED);
	ck_assert_msg(result->code == 0, "%s", result->err.text);
	snprintf(worker_report, sizeof(worker_report), "%s", result->out);
	loop_stop(arg);
}

static bool
worker_up_and_down(const void *ctx, struct spawn_out *out, struct err *why)
{
	return addresses_up(ctx, PROBE_MS, out, why) && addresses_down(ctx, out, why);
}

START_TEST(a_worker_reports_how_long_each_step_took)
{
	struct loop *loop = loop_new();
	char value[32];

	want("192.0.2.53/24", "eth0");
	spawn_work(loop, "addresses", worker_up_and_down, &conf, 10000, worker_done, loop);
	loop_run(loop);
	loop_free(loop);
	ck_assert_ptr_nonnull(spawn_get(worker_report, "probe", value, sizeof(value)));
	ck_assert_uint_ge(strtoul(value, NULL, 10), PROBE_MS);
	ck_assert_ptr_nonnull(spawn_get(worker_report, "add", value, sizeof(value)));
	ck_assert_uint_lt(strtoul(value, NULL, 10), 1000);
	ck_assert_ptr_nonnull(spawn_get(worker_report, "drop", value, sizeof(value)));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("address");
	TCase *tc = tcase_create("kernel");

	if (geteuid() != 0) {
		printf("skip: test_address needs root for its network namespaces\n");
		printf("0 passed, 0 failed\n");
		return 0;
	}
	tcase_add_checked_fixture(tc, world_make, NULL);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, an_address_nobody_has_is_taken_after_the_whole_probe);
	tcase_add_test(tc, without_a_probe_an_address_is_there_at_once);
	tcase_add_test(tc, a_foreign_owner_of_an_ipv4_address_stops_the_taking);
	tcase_add_test(tc, a_foreign_owner_of_an_ipv6_address_stops_the_taking);
	tcase_add_test(tc, this_host_itself_is_not_a_foreign_owner);
	tcase_add_test(tc, a_claim_on_another_interface_is_none_on_this_one);
	tcase_add_loop_test(tc, of_two_hosts_that_probe_for_one_address_not_both_take_it, 0, 2);
	tcase_add_test(tc, many_addresses_are_probed_in_the_time_of_one);
	tcase_add_test(tc, an_announcement_changes_the_arp_cache_of_a_client);
	tcase_add_test(tc, an_announcement_changes_the_ipv6_neighbour_cache_of_a_client);
	tcase_add_test(tc, an_address_not_held_is_not_announced);
	tcase_add_test(tc, dropping_ours_leaves_the_nodes_own_addresses);
	tcase_add_test(tc, they_stay_even_where_the_kernel_cannot_be_told_to_promote);
	tcase_add_test(tc, taking_and_dropping_twice_is_the_same_as_once);
	tcase_add_test(tc, an_address_with_another_prefix_is_ours_as_well_and_goes);
	tcase_add_test(tc, a_missing_interface_is_an_error_of_taking_and_none_of_dropping);
	tcase_add_test(tc, an_interface_is_good_only_when_it_is_up_with_carrier);
	tcase_add_test(tc, a_failure_takes_back_what_was_added_and_nothing_else);
	tcase_add_test(tc, an_address_that_lost_its_duplicate_detection_is_not_held);
	tcase_add_test(tc, interfaces_without_neighbours_are_not_probed);
	tcase_add_test(tc, a_worker_reports_how_long_each_step_took);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
