/*
 * tests/unit/test_conf_check.c - the rules over a struct conf made by hand, without any file: a good
 * one has no mistakes, each change breaks exactly one rule. And the pure readers of single values,
 * and what a running daemon cannot change.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_parts.h"
#include "tests/unit/harness.h"

/* A configuration that keeps every rule. */
static struct conf
good(void)
{
	struct conf c = {
		.file = "x", .pair = "mail", .node = { "mx1", "mx2" },
		.heartbeat = { 200, 500, 1000, 60000 },
		.link = {
			{ .name = "cross", .transport = CONF_UDP, .address = { "10.0.0.1", "10.0.0.2" },
			    .port = 694, .ttl = 1, .line = 10 },
			{ .name = "lan", .transport = CONF_MULTICAST, .interface = "eth0", .group = "239.0.42.1",
			    .port = 694, .ttl = 1, .line = 11 },
			{ .name = "serial", .transport = CONF_SERIAL, .device = "/dev/ttyS0", .baud = 115200, .line = 12 },
		},
		.links = 3,
		.takeover = { .automatic = true, .failback = true, .prefer = 1 },
		.fence = {
			{ .name = "a", .node = 0, .agent = "fence_x", .options = { "ip=1" }, .options_len = 1, .line = 20 },
			{ .name = "b", .node = 1, .agent = "/opt/fence", .line = 21 },
		},
		.fences = 2,
		.storage = { .name = "spool", .type = "shared", .device = "/dev/sdb", .mountpoint = "/srv/mail",
		    .fstype = "ext4", .options = "noatime", .line = 30 },
		.bind = { { .path = "/var/spool/postfix", .from = "postfix", .line = 31 } },
		.binds = 1,
		.address = {
			{ .text = "192.0.2.5/24", .family = AF_INET, .bytes = { 192, 0, 2, 5 }, .prefix = 24,
			    .interface = "eth0", .line = 40 },
			{ .text = "2001:db8::5/64", .family = AF_INET6, .bytes = { 0x20, 0x01, 0x0d, 0xb8, [15] = 5 },
			    .prefix = 64, .interface = "eth0", .line = 41 },
		},
		.addresses = 2,
		.mta = { .name = "postfix", .probe = "127.0.0.1:25", .failures = 3, .window = 5, .line = 50 },
		.sync = { .on = true, .defaults = true, .address = { "10.0.0.1", "10.0.0.2" }, .line = 60 },
		.state_dir = "/var/lib/mailpair", .run_dir = "/run/mailpair", .authkeys = "/etc/mailpair/authkeys",
		.hooks_dir = "/etc/mailpair/hooks.d", .log = "syslog", .group = "mailpair",
	};

	c.storage.node_device[0] = c.storage.node_device[1] = c.storage.device;
	return c;
}

/* Changes of the good one, each with the beginning of the one mistake that it must give. */
static struct conf *now;	/* set by each_rule_is_broken_alone only */

static void
one_tree(const char *path)
{
	now->sync.trees = 1;
	now->sync.tree[0] = (struct conf_tree){ .path = path, .line = 61 };
}

static void
no_certificate(void)
{
	now->sync.certificates = 1;
	now->sync.certificate[0] = (struct conf_certificate){ .name = "c", .key = "/k", .line = 62 };
}

#define CHANGE(name, code) static void name(void) { code; }
/* clang-format off */
CHANGE(no_pair, now->pair = NULL)
CHANGE(bad_pair, now->pair = "a/b")
CHANGE(no_second_node, now->node[1] = NULL; now->takeover.automatic = false)
CHANGE(node_with_blank, now->node[0] = "mx 1")
CHANGE(node_named_port, now->node[0] = "port")
CHANGE(equal_nodes, now->node[1] = "MX1")
CHANGE(dead_2_keepalive, now->heartbeat.deadtime_ms = 400; now->heartbeat.warntime_ms = 300)
CHANGE(warn_is_keepalive, now->heartbeat.warntime_ms = 200)
CHANGE(warn_is_deadtime, now->heartbeat.warntime_ms = 1000)
CHANGE(initdead_low, now->heartbeat.initdead_ms = 999)
CHANGE(no_link, now->links = 0)
CHANGE(half_link, now->link[0].address[1] = NULL)
CHANGE(named_link, now->link[0].address[1] = "mx2")
CHANGE(equal_ends, now->link[0].address[1] = "10.0.0.1")
CHANGE(two_families, now->link[0].address[1] = "fd00::2")
CHANGE(unicast_group, now->link[1].group = "10.1.1.1")
CHANGE(no_group, now->link[1].group = NULL)
CHANGE(no_interface, now->link[1].interface = NULL)
CHANGE(broadcast_group, now->link[1].transport = CONF_BROADCAST)
CHANGE(odd_baud, now->link[2].baud = 100000)
CHANGE(slow_baud, now->link[2].baud = 9600)
CHANGE(no_device, now->link[2].device = NULL)
CHANGE(relative_device, now->link[2].device = "ttyS0")
CHANGE(link_twice, now->link[1].name = "cross")
CHANGE(no_fence_of_second, now->fences = 1)
CHANGE(no_fence_of_first, now->fence[0].node = 1)
CHANGE(fence_no_node, now->fence[0].node = -1)
CHANGE(fence_no_agent, now->fence[0].agent = NULL)
CHANGE(fence_odd_agent, now->fence[0].agent = "rm -rf")
CHANGE(fence_action, now->fence[0].options[0] = "action=on")
CHANGE(fence_no_key, now->fence[0].options[0] = "=1")
CHANGE(fence_no_value, now->fence[0].options[0] = "ip")
CHANGE(failback_nowhere, now->takeover.prefer = -1)
CHANGE(storage_none, now->storage.name = NULL)
CHANGE(storage_drbd, now->storage.type = "drbd")
CHANGE(storage_one_device, now->storage.node_device[1] = NULL)
CHANGE(storage_relative, now->storage.node_device[0] = "sdb")
CHANGE(mount_root, now->storage.mountpoint = "/")
CHANGE(mount_dots, now->storage.mountpoint = "/srv/../etc")
CHANGE(mount_etc, now->storage.mountpoint = "/usr")
CHANGE(fs_ext2, now->storage.fstype = "ext2")
CHANGE(fs_nfs, now->storage.fstype = "nfs")
CHANGE(fs_none, now->storage.fstype = NULL)
CHANGE(state_on_spool, now->state_dir = "/srv/mail/state")
CHANGE(keys_on_spool, now->authkeys = "/srv/mail")
CHANGE(bind_relative, now->bind[0].path = "var/spool")
CHANGE(bind_above, now->bind[0].path = "/srv")
CHANGE(bind_below, now->bind[0].path = "/srv/mail/x")
CHANGE(bind_absolute_from, now->bind[0].from = "/postfix")
CHANGE(bind_dots, now->bind[0].from = "a/../..")
CHANGE(bind_seal, now->bind[0].from = ".mailpair/x")
CHANGE(bind_twice, now->bind[1] = now->bind[0]; now->bind[1].line = 32; now->binds = 2)
CHANGE(bind_no_from, now->bind[0].from = NULL)
CHANGE(address_twice, now->address[1] = now->address[0])
CHANGE(address_no_interface, now->address[0].interface = NULL)
CHANGE(address_network, now->address[0].bytes[3] = 0)
CHANGE(address_broadcast, now->address[0].bytes[3] = 255)
CHANGE(address_multicast, now->address[1].bytes[0] = 0xff)
CHANGE(address_of_link, now->link[0].address[0] = "192.0.2.5")
CHANGE(mta_none, now->mta.name = NULL)
CHANGE(mta_services, now->mta.services[0] = "/service/qmail-send"; now->mta.services_len = 1)
CHANGE(mta_service_relative, now->mta.name = "qmail"; now->mta.services[0] = "qmail-send"; now->mta.services_len = 1)
CHANGE(mta_service_twice, now->mta.name = "qmail"; now->mta.services[0] = "/a"; now->mta.services[1] = "/a"; now->mta.services_len = 2)
CHANGE(mta_unknown, now->mta.name = "sendmail")
CHANGE(mta_failures, now->mta.failures = 6)
CHANGE(mta_probe_name, now->mta.probe = "localhost:25")
CHANGE(mta_probe_no_port, now->mta.probe = "127.0.0.1")
CHANGE(sync_no_address, now->sync.address[0] = now->sync.address[1] = NULL; now->link[0] = now->link[2]; now->links = 1)
CHANGE(sync_half_address, now->sync.address[1] = NULL)
CHANGE(sync_named_address, now->sync.address[1] = "mx2")
CHANGE(sync_same_address, now->sync.address[1] = "10.0.0.1")
CHANGE(sync_families, now->sync.address[1] = "fd00::2")
CHANGE(sync_nothing, now->sync.defaults = false)
CHANGE(sync_tree_etc_star, one_tree("/etc/*"))
CHANGE(sync_tree_root, one_tree("/"))
CHANGE(sync_tree_proc, one_tree("/proc/sys"))
CHANGE(sync_tree_state, one_tree("/var/lib/mailpair/x"))
CHANGE(sync_tree_spool, one_tree("/srv"))
CHANGE(sync_tree_bind, one_tree("/var/spool/postfix/x"))
CHANGE(sync_pattern, now->sync.exclude[0] = "a/../b"; now->sync.exclude_len = 1)
CHANGE(sync_certificate, no_certificate())
CHANGE(node_named_settle, now->node[1] = "settle")
CHANGE(node_named_tree, now->node[1] = "tree")
CHANGE(log_odd, now->log = "file")
CHANGE(group_odd, now->group = "mail pair")
CHANGE(run_relative, now->run_dir = "run")

static const struct { void (*change)(void); int line; const char *mistake; } rules[] = {
	{ no_pair, 0, "pair is missing" }, { bad_pair, 0, "pair = \"a/b\" is no good name" },
	{ no_second_node, 0, "the second node is missing: node \"mx1\" stands alone" },
	{ node_with_blank, 0, "node \"mx 1\" is no good name" },
	{ node_named_port, 0, "node \"port\" has the name of an option" },
	{ equal_nodes, 0, "node \"mx1\" and node \"MX1\" are the same host" },
	{ dead_2_keepalive, 0, "heartbeat: deadtime = \"400ms\" is not above 2 x keepalive (400ms)" },
	{ warn_is_keepalive, 0, "heartbeat: warntime = \"200ms\" does not lie between keepalive (200ms) and deadtime (1s)" },
	{ warn_is_deadtime, 0, "heartbeat: warntime = \"1s\" does not lie between keepalive (200ms) and deadtime (1s)" },
	{ initdead_low, 0, "heartbeat: initdead = \"999ms\" is below deadtime (1s)" },
	{ no_link, 0, "heartbeat: there is no link" },
	{ half_link, 10, "link \"cross\": the address of node mx2 is missing" },
	{ named_link, 10, "link \"cross\": mx2 = \"mx2\" is no numeric address" },
	{ equal_ends, 10, "link \"cross\": both nodes have the address 10.0.0.1" },
	{ two_families, 10, "link \"cross\": mx1 = \"10.0.0.1\" and mx2 = \"fd00::2\" are not of one family" },
	{ unicast_group, 11, "link \"lan\": group = \"10.1.1.1\" is no numeric multicast group" },
	{ no_group, 11, "link \"lan\": group is missing" },
	{ no_interface, 11, "link \"lan\": interface is missing" },
	{ broadcast_group, 11, "link \"lan\": group = \"239.0.42.1\" has no use for broadcast in IPv4" },
	{ odd_baud, 12, "link \"serial\": baud = \"100000\" is no usable speed" },
	{ slow_baud, 12, "link \"serial\": keepalive = \"200ms\" is too fast for baud = 9600, where a beat takes 208 ms; "
	    "keepalive of at least 261ms is right" },
	{ no_device, 12, "link \"serial\": device is missing" },
	{ relative_device, 12, "link \"serial\": device = \"ttyS0\" is no absolute path" },
	{ link_twice, 11, "link \"cross\" stands here twice; the first is in line 10" },
	{ no_fence_of_second, 0, "takeover: automatic = yes, but no fence device can switch off node \"mx2\"" },
	{ no_fence_of_first, 0, "takeover: automatic = yes, but no fence device can switch off node \"mx1\"" },
	{ fence_no_node, 20, "fence \"a\": node is missing" }, { fence_no_agent, 20, "fence \"a\": agent is missing" },
	{ fence_odd_agent, 20, "fence \"a\": agent = \"rm -rf\" is wrong" },
	{ fence_action, 20, "fence \"a\": options must not hold \"action\"" },
	{ fence_no_key, 20, "fence \"a\": value 1 of options is not of the form" },
	{ fence_no_value, 20, "fence \"a\": value 1 of options is not of the form" },
	{ failback_nowhere, 0, "takeover: failback = yes without prefer" },
	{ storage_none, 0, "the storage is missing" },
	{ storage_drbd, 30, "storage \"spool\": type = \"drbd\" is not supported by this version of mailpair yet" },
	{ storage_one_device, 30, "storage \"spool\": device is missing for node mx2" },
	{ storage_relative, 30, "storage \"spool\": mx1 = \"sdb\" is no plain absolute path" },
	{ mount_root, 30, "storage \"spool\": mountpoint = \"/\" is wrong" },
	{ mount_dots, 30, "storage \"spool\": mountpoint = \"/srv/../etc\" is wrong" },
	{ mount_etc, 30, "storage \"spool\": mountpoint = \"/usr\" would hide a directory of the system" },
	{ fs_ext2, 30, "storage \"spool\": fstype = \"ext2\" is refused; only a journalled" },
	{ fs_nfs, 30, "storage \"spool\": fstype = \"nfs\" is refused" },
	{ fs_none, 30, "storage \"spool\": fstype is missing" },
	{ state_on_spool, 30, "state-dir = \"/srv/mail/state\" lies on the shared storage" },
	{ keys_on_spool, 30, "authkeys = \"/srv/mail\" lies on the shared storage" },
	{ bind_relative, 31, "bind \"var/spool\" is no plain absolute path" },
	{ bind_above, 31, "bind \"/srv\" overlaps the mountpoint /srv/mail" },
	{ bind_below, 31, "bind \"/srv/mail/x\" overlaps the mountpoint" },
	{ bind_absolute_from, 31, "bind \"/var/spool/postfix\": from = \"/postfix\" is wrong" },
	{ bind_dots, 31, "bind \"/var/spool/postfix\": from = \"a/../..\" is wrong" },
	{ bind_seal, 31, "bind \"/var/spool/postfix\": from = \".mailpair/x\" is wrong" },
	{ bind_twice, 32, "bind \"/var/spool/postfix\" stands here twice; the first is in line 31" },
	{ bind_no_from, 31, "bind \"/var/spool/postfix\": from is missing" },
	{ address_twice, 40, "address \"192.0.2.5/24\" is the same as address \"192.0.2.5/24\" in line 40" },
	{ address_no_interface, 40, "address \"192.0.2.5/24\": interface is missing" },
	{ address_network, 40, "address \"192.0.2.5/24\" is a network" },
	{ address_broadcast, 40, "address \"192.0.2.5/24\" is the broadcast address" },
	{ address_multicast, 41, "address \"2001:db8::5/64\" is no address of a host" },
	{ address_of_link, 40, "address \"192.0.2.5/24\" moves between the nodes, but link \"cross\" uses it" },
	{ mta_none, 0, "the mta is missing" },
	{ mta_services, 50, "mta \"postfix\": services are of qmail only" },
	{ mta_service_relative, 50, "mta \"qmail\": the service \"qmail-send\" is no plain absolute path" },
	{ mta_service_twice, 50, "mta \"qmail\": services hold \"/a\" twice" },
	{ mta_unknown, 50, "mta \"sendmail\" is not known" },
	{ mta_failures, 50, "mta \"postfix\": failures = \"6\" is above window (5)" },
	{ mta_probe_name, 50, "mta \"postfix\": probe = \"localhost:25\" is wrong" },
	{ mta_probe_no_port, 50, "mta \"postfix\": probe = \"127.0.0.1\" is wrong" },
	{ sync_no_address, 60, "config-sync: it is not known where the nodes are" },
	{ sync_half_address, 60, "config-sync: the address of node mx2 is missing" },
	{ sync_named_address, 60, "config-sync: mx2 = \"mx2\" is no numeric address" },
	{ sync_same_address, 60, "config-sync: both nodes have the address 10.0.0.1" },
	{ sync_families, 60, "config-sync: mx1 = \"10.0.0.1\" and mx2 = \"fd00::2\" are not of one family" },
	{ sync_nothing, 60, "config-sync: defaults = no, and there is no tree" },
	{ sync_tree_etc_star, 61, "config-sync: tree \"/etc/*\" is no plain absolute path" },
	{ sync_tree_root, 61, "config-sync: tree \"/\" is the whole system" },
	{ sync_tree_proc, 61, "config-sync: tree \"/proc/sys\" has to do with /proc" },
	{ sync_tree_state, 61, "config-sync: tree \"/var/lib/mailpair/x\" overlaps state-dir" },
	{ sync_tree_spool, 61, "config-sync: tree \"/srv\" overlaps the mountpoint /srv/mail" },
	{ sync_tree_bind, 61, "config-sync: tree \"/var/spool/postfix/x\" overlaps bind \"/var/spool/postfix\"" },
	{ sync_pattern, 60, "config-sync: exclude: the pattern \"a/../b\" matches nothing" },
	{ sync_certificate, 62, "certificate \"c\": certificate is missing" },
	{ node_named_settle, 0, "node \"settle\" has the name of an option" },
	{ node_named_tree, 0, "node \"tree\" has the name of an option" },
	{ log_odd, 0, "log = \"file\" is not known" }, { group_odd, 0, "group = \"mail pair\" is no good name" },
	{ run_relative, 0, "run-dir = \"run\" is no plain path" },
};
/* clang-format on */
#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

START_TEST(a_good_configuration_has_no_mistakes)
{
	struct conf c = good();
	struct conf_mistakes m = { 0 };

	conf_check(&c, &m);
	ck_assert_msg(m.len == 0, "%s", m.len > 0 ? m.item[0].text : "");
}
END_TEST

START_TEST(each_rule_is_broken_alone)
{
	struct conf c = good();
	struct conf_mistakes m = { 0 };

	now = &c;
	rules[_i].change();
	conf_check(&c, &m);
	ck_assert_msg(m.len == 1, "%s: %zu mistakes, the last \"%s\"", rules[_i].mistake, m.len,
	    m.len > 0 ? m.item[m.len - 1].text : "");
	ck_assert_msg(strncmp(m.item[0].text, rules[_i].mistake, strlen(rules[_i].mistake)) == 0,
	    "%s\ninstead of\n%s", m.item[0].text, rules[_i].mistake);
	ck_assert_int_eq(m.item[0].line, rules[_i].line);
	conf_mistakes_free(&m);
}
END_TEST

START_TEST(a_pair_without_automatic_takeover_needs_no_fence_device)
{
	struct conf c = good();
	struct conf_mistakes m = { 0 };

	c.takeover.automatic = false;
	c.fences = 0;
	conf_check(&c, &m);
	ck_assert_uint_eq(m.len, 0);
}
END_TEST

START_TEST(what_was_refused_already_is_not_refused_again)
{
	struct conf c = good();
	struct conf_mistakes m = { 0 };

	c.heartbeat = (struct conf_heartbeat){ CONF_REFUSED, CONF_REFUSED, CONF_REFUSED, CONF_REFUSED };
	c.fence[0].node = CONF_NODE_REFUSED;
	c.takeover.prefer = CONF_NODE_REFUSED;
	c.link[2].baud = CONF_REFUSED;
	c.link[0].transport = (enum conf_transport)CONF_REFUSED;
	c.address[0].family = AF_UNSPEC;
	c.mta.failures = CONF_REFUSED;
	conf_check(&c, &m);
	ck_assert_msg(m.len == 0, "%s", m.len > 0 ? m.item[0].text : "");
}
END_TEST

static const struct { const char *text; bool ok; uint32_t ms; } durations[] = {
	{ "200ms", true, 200 }, { "2s", true, 2000 }, { "1min", true, 60000 }, { "5", true, 5000 },
	{ "1h", true, 3600000 }, { "0", true, 0 }, { "0ms", true, 0 }, { "007s", true, 7000 },
	{ "4294967294ms", true, 4294967294u }, { "4294967295ms", false, 0 }, { "4294967", true, 4294967000u },
	{ "4294968", false, 0 }, { "18446744073709551616ms", false, 0 }, { "1193h", true, 4294800000u },
	{ "1194h", false, 0 }, { "", false, 0 }, { "ms", false, 0 }, { "2 s", false, 0 }, { " 2s", false, 0 },
	{ "2s ", false, 0 }, { "-2s", false, 0 }, { "+2s", false, 0 }, { "1.5s", false, 0 }, { "2m", false, 0 },
	{ "2S", false, 0 }, { "2sec", false, 0 }, { "1d", false, 0 }, { "0x10", false, 0 }, { "1e3", false, 0 },
};

START_TEST(a_duration_is_a_whole_number_with_a_known_unit)
{
	uint32_t ms = 4711;

	ck_assert_msg(conf_duration(durations[_i].text, &ms) == durations[_i].ok, "%s", durations[_i].text);
	ck_assert_msg(ms == (durations[_i].ok ? durations[_i].ms : 4711), "%s: %u", durations[_i].text, ms);
}
END_TEST

static const struct { const char *text; bool ok; uint32_t s; } ages[] = {
	{ "90d", true, 7776000 }, { "1h", true, 3600 }, { "12", true, 12 }, { "2min", true, 120 }, { "3000ms", true, 3 }, { "49710d", true, 4294944000u },
	{ "49711d", false, 0 }, { "1500ms", false, 0 }, { "1w", false, 0 }, { "d", false, 0 }, { "1dd", false, 0 }, { "", false, 0 }, { "4294967296d", false, 0 },
};

START_TEST(a_long_time_may_be_days)
{
	uint32_t s = 4711;

	ck_assert_msg(conf_age(ages[_i].text, &s) == ages[_i].ok, "%s", ages[_i].text);
	ck_assert_msg(s == (ages[_i].ok ? ages[_i].s : 4711), "%s: %u", ages[_i].text, s);
}
END_TEST

static const struct { const char *text; bool ok; uint64_t bytes; } sizes[] = {
	{ "1G", true, 1u << 30 }, { "512K", true, 1u << 19 }, { "3M", true, 3u << 20 }, { "7", true, 7 }, { "4000G", true, 4000ull << 30 },
	{ "1T", false, 0 }, { "G", false, 0 }, { "1GB", false, 0 }, { "1g", false, 0 }, { "-1", false, 0 }, { "", false, 0 }, { "9999999999", false, 0 },
};

START_TEST(a_size_is_a_number_with_a_factor)
{
	uint64_t bytes = 4711;

	ck_assert_msg(conf_size(sizes[_i].text, &bytes) == sizes[_i].ok, "%s", sizes[_i].text);
	ck_assert_msg(bytes == (sizes[_i].ok ? sizes[_i].bytes : 4711), "%s", sizes[_i].text);
}
END_TEST

START_TEST(a_duration_is_written_so_that_it_can_be_read_again)
{
	static const uint32_t values[] = { 0, 1, 200, 999, 1000, 1500, 60000, 61000, 3600000, 5400000, 4294967294u };
	char text[24];
	uint32_t ms;

	for (int i = 0; i < COUNT(values); i++) {
		ck_assert(conf_duration(conf_duration_text(values[i], text, sizeof(text)), &ms));
		ck_assert_uint_eq(ms, values[i]);
	}
}
END_TEST

START_TEST(paths_are_plain_and_absolute)
{
	static const char *const yes[] = { "/", "/a", "/a/b", "/a..b", "/..a", "/a/.b" };
	static const char *const no[] = { "", "a", "/a/", "//a", "/a//b", "/..", "/a/..", "/../a", "/.", "/a/./b" };

	for (int i = 0; i < COUNT(yes); i++)
		ck_assert_msg(conf_path_ok(yes[i]), "%s", yes[i]);
	for (int i = 0; i < COUNT(no); i++)
		ck_assert_msg(!conf_path_ok(no[i]), "%s", no[i]);
	ck_assert(conf_path_inside("/srv/mail/a", "/srv/mail") && conf_path_inside("/srv/mail", "/srv/mail"));
	ck_assert(!conf_path_inside("/srv/mailbox", "/srv/mail") && !conf_path_inside("/srv", "/srv/mail"));
	ck_assert(conf_path_inside("/srv", "/"));
}
END_TEST

START_TEST(mistakes_are_sorted_by_line_and_stay_in_order_within_it)
{
	struct conf_mistakes m = { 0 };

	conf_mistake(&m, 0, "whole a");
	conf_mistake(&m, 7, "seven a");
	conf_mistake(&m, 3, "three");
	conf_mistake(&m, 7, "seven b\n\x1b[31m");
	conf_mistake(&m, 0, "whole b");
	conf_mistakes_sort(&m);
	ck_assert_str_eq(m.item[0].text, "three");
	ck_assert_str_eq(m.item[1].text, "seven a");
	ck_assert_str_eq(m.item[2].text, "seven b??[31m");
	ck_assert_str_eq(m.item[3].text, "whole a");
	ck_assert_str_eq(m.item[4].text, "whole b");
	conf_mistakes_free(&m);
	ck_assert_ptr_null(m.item);
}
END_TEST

/* What a running daemon cannot take. */
CHANGE(other_bind, now->bind[0].path = "/var/other")
CHANGE(fewer_addresses, now->addresses = 1)
CHANGE(other_self, now->self = 1)
CHANGE(other_pair, now->pair = "other")
CHANGE(other_node, now->node[1] = "mx3")
CHANGE(other_device, now->storage.node_device[1] = "/dev/sdc")
CHANGE(other_mountpoint, now->storage.mountpoint = "/srv/other")
CHANGE(other_state, now->state_dir = "/var/lib/other")
CHANGE(other_run, now->run_dir = "/run/other")
CHANGE(other_mta, now->mta.config = "/etc/postfix-mail")
CHANGE(fewer_binds, now->binds = 0)
CHANGE(other_from, now->bind[0].from = "other")
CHANGE(other_method, now->bind[0].symlink = true)
CHANGE(other_address, now->address[0].text = "192.0.2.6/24")
CHANGE(other_services, now->mta.services[0] = "/service/qmail-send"; now->mta.services_len = 1)
CHANGE(other_interface, now->address[0].interface = "eth1")

static const struct { void (*change)(void); const char *text; } fixed[] = {
	{ other_pair, "pair cannot change while the daemon runs (it is \"mail\", the new file says \"other\"): "
	    "restart mailpaird on both nodes, one after the other" },
	{ other_bind, "the path of a bind cannot change" },
	{ fewer_addresses, "the number of address sections cannot change" },
	{ other_self, "the own node cannot change while the daemon runs (it is \"mx1\", the new file says \"mx2\")" },
	{ other_node, "the second node cannot change while the daemon runs (it is \"mx2\", the new file says \"mx3\")" },
	{ other_device, "storage: device of the second node cannot change" },
	{ other_mountpoint, "storage: mountpoint cannot change" },
	{ other_state, "state-dir cannot change" },
	{ other_run, "run-dir cannot change" },
	{ other_mta, "mta: config cannot change while the daemon runs (it is \"\", the new file says \"/etc/postfix-mail\")" },
	{ fewer_binds, "the number of bind sections cannot change while the daemon runs (it is \"1\", the new file says \"0\")" },
	{ other_from, "bind \"/var/spool/postfix\": from cannot change" },
	{ other_method, "bind \"/var/spool/postfix\": method cannot change" },
	{ other_address, "a service address cannot change" },
	{ other_services, "the number of services of the mta cannot change" },
	{ other_interface, "address \"192.0.2.5/24\": interface cannot change" },
};

START_TEST(what_cannot_change_at_run_time_is_named_with_both_values)
{
	struct conf old = good(), new = good();
	struct err err;

	now = &new;
	fixed[_i].change();
	ck_assert(!conf_can_reload(&old, &new, &err));
	ck_assert_msg(strncmp(err.text, fixed[_i].text, strlen(fixed[_i].text)) == 0, "%s", err.text);
}
END_TEST

START_TEST(timers_links_takeover_and_fences_may_change)
{
	struct conf old = good(), new = good();
	struct err err;

	new.heartbeat.keepalive_ms = 50;
	new.links = 1;
	new.takeover.automatic = false;
	new.fences = 0;
	new.mta.monitor_ms = 77;
	new.mount_ms = 88;
	new.log = "stderr";
	new.storage.fsck = CONF_FSCK_ASK;
	ck_assert_msg(conf_can_reload(&old, &new, &err), "%s", err.text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_check");
	TCase *tc = tcase_create("conf_check");

	tcase_add_test(tc, a_good_configuration_has_no_mistakes);
	tcase_add_loop_test(tc, each_rule_is_broken_alone, 0, COUNT(rules));
	tcase_add_test(tc, a_pair_without_automatic_takeover_needs_no_fence_device);
	tcase_add_test(tc, what_was_refused_already_is_not_refused_again);
	tcase_add_loop_test(tc, a_duration_is_a_whole_number_with_a_known_unit, 0, COUNT(durations));
	tcase_add_loop_test(tc, a_long_time_may_be_days, 0, COUNT(ages));
	tcase_add_loop_test(tc, a_size_is_a_number_with_a_factor, 0, COUNT(sizes));
	tcase_add_test(tc, a_duration_is_written_so_that_it_can_be_read_again);
	tcase_add_test(tc, paths_are_plain_and_absolute);
	tcase_add_test(tc, mistakes_are_sorted_by_line_and_stay_in_order_within_it);
	tcase_add_loop_test(tc, what_cannot_change_at_run_time_is_named_with_both_values, 0, COUNT(fixed));
	tcase_add_test(tc, timers_links_takeover_and_fences_may_change);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
