/*
 * common/conf_schema.c - every section and option of mailpair.conf: its name, kind, range, default
 * and the field it fills. The manual page and the example in etc/ say the same for people.
 *
 * Leaves the reading to conf_scan.c and conf.c, the judgement of values to conf_value.c and
 * conf_check.c. Pure; runs wherever a configuration is read.
 */
#include <stdio.h>
#include <string.h>

#include "common/conf_parts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(type, member) offsetof(struct type, member), sizeof(((struct type *)NULL)->member)

#define MS 1u
#define SECOND 1000u
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* clang-format off */
#define TEXT(name, type, member, fallback)		{ name, KIND_TEXT, AT(type, member), 0, 0, fallback, NULL }
#define SPAN(name, type, member, min, max, fallback)	{ name, KIND_DURATION, AT(type, member), min, max, fallback, NULL }
#define NUMBER(name, type, member, min, max, fallback)	{ name, KIND_NUMBER, AT(type, member), min, max, fallback, NULL }
#define BOOL(name, type, member, fallback)		{ name, KIND_BOOL, AT(type, member), 0, 0, fallback, NULL }
#define CHOICE(name, type, member, fallback, choices)	{ name, KIND_CHOICE, AT(type, member), 0, 0, fallback, choices }
#define AGE(name, type, member, min, max, fallback)	{ name, KIND_AGE, AT(type, member), min, max, fallback, NULL }
#define SIZE(name, type, member, min, max, fallback)	{ name, KIND_SIZE, AT(type, member), min, max, fallback, NULL }
#define LIST(name, type, member)			{ name, KIND_LIST, AT(type, member), 0, 0, NULL, NULL }
#define NODE(name, type, member)			{ name, KIND_NODE, AT(type, member), 0, 0, NULL, NULL }

static const char *const transports[] = { "udp", "multicast", "broadcast", "serial", NULL };
static const char *const fscks[] = { "preen", "ask", "never", NULL };
static const char *const holders[] = { "kill", "term", "leave", NULL };
static const char *const methods[] = { "bind", "symlink", NULL };
static const char *const queue_checks[] = { "mend", "report", "refuse", NULL };
static const char *const writers[] = { "active", "both", NULL };

static const struct conf_option top_options[] = {
	TEXT("pair", conf, pair, NULL),
	TEXT("state-dir", conf, state_dir, "/var/lib/mailpair"),
	TEXT("run-dir", conf, run_dir, "/run/mailpair"),
	TEXT("authkeys", conf, authkeys, "/etc/mailpair/authkeys"),
	TEXT("hooks-dir", conf, hooks_dir, "/etc/mailpair/hooks.d"),
	TEXT("log", conf, log, "syslog"),
	TEXT("group", conf, group, "mailpair"),
	BOOL("allow-weak-auth", conf, allow_weak_auth, "no"),
};

/* Without a fallback: taken from the others by conf.c. */
static const struct conf_option heartbeat_options[] = {
	SPAN("keepalive", conf_heartbeat, keepalive_ms, 10 * MS, MINUTE, "200ms"),
	SPAN("warntime", conf_heartbeat, warntime_ms, 1 * MS, HOUR, NULL),
	SPAN("deadtime", conf_heartbeat, deadtime_ms, 1 * MS, HOUR, NULL),
	SPAN("initdead", conf_heartbeat, initdead_ms, 1 * MS, DAY, NULL),
};

static const struct conf_option link_options[] = {
	CHOICE("transport", conf_link, transport, "udp", transports),
	TEXT("interface", conf_link, interface, NULL),
	TEXT("group", conf_link, group, NULL),
	NUMBER("port", conf_link, port, 1, 65535, "694"),
	NUMBER("ttl", conf_link, ttl, 1, 255, "1"),
	TEXT("device", conf_link, device, NULL),
	NUMBER("baud", conf_link, baud, 1, 4000000, "115200"),
	BOOL("direct", conf_link, direct, "no"),
};

static const struct conf_option takeover_options[] = {
	BOOL("automatic", conf_takeover, automatic, "no"),
	BOOL("failback", conf_takeover, failback, "no"),
	NODE("prefer", conf_takeover, prefer),
	SPAN("failback-after", conf_takeover, failback_after_ms, 0, DAY, "60s"),
	SPAN("fence-delay", conf_takeover, fence_delay_ms, 0, 10 * MINUTE, "3s"),
	SPAN("fence-retry", conf_takeover, fence_retry_ms, 100 * MS, HOUR, "10s"),
	BOOL("hints", conf_takeover, hints, "yes"),
	NUMBER("restarts", conf_takeover, restarts, 0, 100, "3"),
	SPAN("restart-window", conf_takeover, restart_window_ms, SECOND, DAY, "5min"),
};

static const struct conf_option fence_options[] = {
	NODE("node", conf_fence, node),
	TEXT("agent", conf_fence, agent, NULL),
	LIST("options", conf_fence, options),
	SPAN("timeout", conf_fence, timeout_ms, 100 * MS, 10 * MINUTE, "20s"),
	NUMBER("retries", conf_fence, retries, 0, 10, "1"),
	SPAN("monitor", conf_fence, monitor_ms, 0, 7 * DAY, "1h"),
	NUMBER("level", conf_fence, level, 1, 9, "1"),
};

static const struct conf_option storage_options[] = {
	TEXT("type", conf_storage, type, "shared"),
	TEXT("device", conf_storage, device, NULL),
	TEXT("mountpoint", conf_storage, mountpoint, NULL),
	TEXT("fstype", conf_storage, fstype, NULL),
	TEXT("options", conf_storage, options, ""),
	CHOICE("fsck", conf_storage, fsck, "preen", fscks),
	SPAN("fsck-timeout", conf_storage, fsck_ms, SECOND, DAY, "2min"),
	CHOICE("holders", conf_storage, holders, "kill", holders),
};

static const struct conf_option bind_options[] = {
	TEXT("from", conf_bind, from, NULL),
	CHOICE("method", conf_bind, symlink, "bind", methods),
};

static const struct conf_option address_options[] = {
	TEXT("interface", conf_address, interface, NULL),
	BOOL("probe", conf_address, probe, "yes"),
	NUMBER("announce", conf_address, announce, 0, 20, "3"),
	SPAN("refresh", conf_address, refresh_ms, 0, DAY, "60s"),
};

static const struct conf_option mta_options[] = {
	TEXT("config", conf_mta, config, NULL),
	LIST("services", conf_mta, services),
	TEXT("probe", conf_mta, probe, NULL),
	SPAN("monitor", conf_mta, monitor_ms, 100 * MS, 10 * MINUTE, "2s"),
	SPAN("probe-timeout", conf_mta, probe_ms, 100 * MS, MINUTE, "2s"),
	NUMBER("failures", conf_mta, failures, 1, 16, "3"),
	NUMBER("window", conf_mta, window, 1, 16, "5"),
	SPAN("start-timeout", conf_mta, start_ms, SECOND, 10 * MINUTE, "30s"),
	SPAN("stop-timeout", conf_mta, stop_ms, SECOND, 30 * MINUTE, "60s"),
	CHOICE("queue-check", conf_mta, queue_check, "mend", queue_checks),
	SPAN("check-timeout", conf_mta, check_ms, SECOND, HOUR, "60s"),
};

static const struct conf_option timeouts_options[] = {
	SPAN("mount", conf, mount_ms, SECOND, HOUR, "30s"),
	SPAN("unmount", conf, unmount_ms, SECOND, HOUR, "30s"),
	SPAN("kill", conf, kill_ms, 100 * MS, 5 * MINUTE, "5s"),
	SPAN("bind", conf, bind_ms, SECOND, 10 * MINUTE, "10s"),
	SPAN("address", conf, address_ms, SECOND, 10 * MINUTE, "10s"),
	SPAN("hook", conf, hook_ms, 100 * MS, 10 * MINUTE, "10s"),
	SPAN("stall", conf, stall_ms, SECOND, HOUR, "30s"),
};

#define DAY_S (24u * 60 * 60)

static const struct conf_option sync_options[] = {
	CHOICE("writers", conf_sync, writers, "active", writers),
	SPAN("settle", conf_sync, settle_ms, 0, MINUTE, "200ms"),
	NUMBER("port", conf_sync, port, 1, 65535, "9695"),
	BOOL("defaults", conf_sync, defaults, "yes"),
	BOOL("setuid", conf_sync, setuid, "no"),
	SPAN("validate-timeout", conf_sync, validate_ms, SECOND, 10 * MINUTE, "10s"),
	SPAN("reload-timeout", conf_sync, reload_ms, SECOND, 10 * MINUTE, "60s"),
	AGE("keep", conf_sync, keep_s, DAY_S, 3650 * DAY_S, "90d"),
	SIZE("keep-bytes", conf_sync, keep_bytes, 16, 1024 * 1024, "1G"),
	LIST("include", conf_sync, include),
	LIST("exclude", conf_sync, exclude),
};

static const struct conf_option tree_options[] = {
	LIST("include", conf_tree, include),
	LIST("exclude", conf_tree, exclude),
	TEXT("validate", conf_tree, validate, NULL),
	TEXT("reload", conf_tree, reload, NULL),
};

static const struct conf_option certificate_options[] = {
	TEXT("certificate", conf_certificate, certificate, NULL),
	TEXT("key", conf_certificate, key, NULL),
	TEXT("chain", conf_certificate, chain, NULL),
	LIST("names", conf_certificate, names),
};

#define OPTIONS(table) .options = (table), .options_len = COUNT(table)
const struct conf_section conf_schema[SECT_COUNT] = {
	[SECT_TOP] = { .name = "the top level", .parent = SECT_COUNT, .max = 1, OPTIONS(top_options),
	    .count = CONF_NOWHERE, .title = CONF_NOWHERE, .line = CONF_NOWHERE, .by_node = CONF_NOWHERE },
	[SECT_NODE] = { .name = "node", .parent = SECT_TOP, .titled = true, .max = CONF_NODES,
	    .base = offsetof(struct conf, node), .stride = sizeof(const char *),
	    .count = CONF_NOWHERE, .title = 0, .line = CONF_NOWHERE, .by_node = CONF_NOWHERE },
	[SECT_HEARTBEAT] = { .name = "heartbeat", .parent = SECT_TOP, .max = 1, OPTIONS(heartbeat_options),
	    .base = offsetof(struct conf, heartbeat),
	    .count = CONF_NOWHERE, .title = CONF_NOWHERE, .line = CONF_NOWHERE, .by_node = CONF_NOWHERE },
	[SECT_LINK] = { .name = "link", .parent = SECT_HEARTBEAT, .titled = true, .max = CONF_LINKS_MAX,
	    OPTIONS(link_options), .base = offsetof(struct conf, link), .stride = sizeof(struct conf_link),
	    .count = offsetof(struct conf, links), .title = offsetof(struct conf_link, name),
	    .line = offsetof(struct conf_link, line), .by_node = offsetof(struct conf_link, address) },
	[SECT_TAKEOVER] = { .name = "takeover", .parent = SECT_TOP, .max = 1, OPTIONS(takeover_options),
	    .base = offsetof(struct conf, takeover),
	    .count = CONF_NOWHERE, .title = CONF_NOWHERE, .line = CONF_NOWHERE, .by_node = CONF_NOWHERE },
	[SECT_FENCE] = { .name = "fence", .parent = SECT_TOP, .titled = true, .max = CONF_FENCES_MAX,
	    OPTIONS(fence_options), .base = offsetof(struct conf, fence), .stride = sizeof(struct conf_fence),
	    .count = offsetof(struct conf, fences), .title = offsetof(struct conf_fence, name),
	    .line = offsetof(struct conf_fence, line), .by_node = CONF_NOWHERE },
	[SECT_STORAGE] = { .name = "storage", .parent = SECT_TOP, .titled = true, .max = 1,
	    OPTIONS(storage_options), .base = offsetof(struct conf, storage), .count = CONF_NOWHERE,
	    .title = offsetof(struct conf_storage, name), .line = offsetof(struct conf_storage, line),
	    .by_node = offsetof(struct conf_storage, node_device) },
	[SECT_BIND] = { .name = "bind", .parent = SECT_TOP, .titled = true, .max = CONF_BINDS_MAX,
	    OPTIONS(bind_options), .base = offsetof(struct conf, bind), .stride = sizeof(struct conf_bind),
	    .count = offsetof(struct conf, binds), .title = offsetof(struct conf_bind, path),
	    .line = offsetof(struct conf_bind, line), .by_node = CONF_NOWHERE },
	[SECT_ADDRESS] = { .name = "address", .parent = SECT_TOP, .titled = true, .max = CONF_ADDRESSES_MAX,
	    OPTIONS(address_options), .base = offsetof(struct conf, address),
	    .stride = sizeof(struct conf_address), .count = offsetof(struct conf, addresses),
	    .title = offsetof(struct conf_address, text), .line = offsetof(struct conf_address, line),
	    .by_node = CONF_NOWHERE },
	[SECT_MTA] = { .name = "mta", .parent = SECT_TOP, .titled = true, .max = 1, OPTIONS(mta_options),
	    .base = offsetof(struct conf, mta), .count = CONF_NOWHERE,
	    .title = offsetof(struct conf_mta, name), .line = offsetof(struct conf_mta, line),
	    .by_node = CONF_NOWHERE },
	[SECT_TIMEOUTS] = { .name = "timeouts", .parent = SECT_TOP, .max = 1, OPTIONS(timeouts_options),
	    .count = CONF_NOWHERE, .title = CONF_NOWHERE, .line = CONF_NOWHERE, .by_node = CONF_NOWHERE },
	[SECT_SYNC] = { .name = "config-sync", .parent = SECT_TOP, .max = 1, OPTIONS(sync_options),
	    .base = offsetof(struct conf, sync), .count = CONF_NOWHERE, .title = CONF_NOWHERE,
	    .line = offsetof(struct conf_sync, line), .by_node = offsetof(struct conf_sync, address) },
	[SECT_TREE] = { .name = "tree", .parent = SECT_SYNC, .titled = true, .max = CONF_TREES_MAX, OPTIONS(tree_options),
	    .base = offsetof(struct conf, sync.tree), .stride = sizeof(struct conf_tree),
	    .count = offsetof(struct conf, sync.trees), .title = offsetof(struct conf_tree, path),
	    .line = offsetof(struct conf_tree, line), .by_node = CONF_NOWHERE },
	[SECT_CERTIFICATE] = { .name = "certificate", .parent = SECT_SYNC, .titled = true, .max = CONF_CERTIFICATES_MAX,
	    OPTIONS(certificate_options), .base = offsetof(struct conf, sync.certificate),
	    .stride = sizeof(struct conf_certificate), .count = offsetof(struct conf, sync.certificates),
	    .title = offsetof(struct conf_certificate, name), .line = offsetof(struct conf_certificate, line),
	    .by_node = CONF_NOWHERE },
};

static const struct { enum conf_section_id in; const char *name; } later[] = {
	{ SECT_TOP, "witness" }, { SECT_TOP, "etcd" }, { SECT_TOP, "service" }, { SECT_TOP, "jobs" },
	{ SECT_TOP, "ledger" }, { SECT_HEARTBEAT, "ping-group" },
	{ SECT_STORAGE, "resource" },
};
/* clang-format on */

bool
conf_schema_later(enum conf_section_id in, const char *name)
{
	for (size_t i = 0; i < COUNT(later); i++)
		if (later[i].in == in && strcmp(later[i].name, name) == 0)
			return true;
	return false;
}

enum conf_section_id
conf_schema_section(enum conf_section_id parent, const char *name)
{
	for (enum conf_section_id id = SECT_NODE; id < SECT_COUNT; id++)
		if (conf_schema[id].parent == parent && strcmp(conf_schema[id].name, name) == 0)
			return id;
	return SECT_COUNT;
}

int
conf_schema_option(enum conf_section_id in, const char *name)
{
	for (size_t i = 0; i < conf_schema[in].options_len; i++)
		if (strcmp(conf_schema[in].options[i].name, name) == 0)
			return (int)i;
	return -1;
}

#define NAME_LEN 24	/* longer words are nobody's typing error */

/* Edits (insert, leave out, change, swap neighbours) from a to b. */
static unsigned int
distance(const char *a, const char *b)
{
	unsigned int d[NAME_LEN + 1][NAME_LEN + 1];
	size_t m = strlen(a), n = strlen(b);

	if (m > NAME_LEN || n > NAME_LEN)
		return NAME_LEN;
	for (size_t i = 0; i <= m; i++)
		d[i][0] = (unsigned int)i;
	for (size_t j = 0; j <= n; j++)
		d[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= m; i++) {
		for (size_t j = 1; j <= n; j++) {
			unsigned int best = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[m][n];
}

/* The nearest name of a section, or NULL where none is near. */
static const char *
nearest(enum conf_section_id in, const char *name)
{
	unsigned int best = strlen(name) < 4 ? 2 : 3;	/* must be below this */
	const char *found = NULL;
	unsigned int d;

	for (size_t i = 0; i < conf_schema[in].options_len; i++) {
		d = distance(name, conf_schema[in].options[i].name);
		if (d < best) {
			best = d;
			found = conf_schema[in].options[i].name;
		}
	}
	for (enum conf_section_id id = SECT_NODE; id < SECT_COUNT; id++) {
		if (conf_schema[id].parent != in)
			continue;
		d = distance(name, conf_schema[id].name);
		if (d < best) {
			best = d;
			found = conf_schema[id].name;
		}
	}
	return found;
}

void
conf_schema_advice(enum conf_section_id in, const char *name, char *buf, size_t size)
{
	const char *found = nearest(in, name);

	if (found != NULL) {
		snprintf(buf, size, "; did you mean \"%s\"?", found);
		return;
	}
	for (enum conf_section_id id = SECT_TOP; id < SECT_COUNT; id++) {
		if (id == in)
			continue;
		if (conf_schema_option(id, name) < 0 && conf_schema_section(id, name) == SECT_COUNT)
			continue;
		snprintf(buf, size, "; it belongs %s%s%s", id == SECT_TOP ? "to " : "into ",
		    conf_schema[id].name, id == SECT_TOP ? ", outside of all braces" : " { }");
		return;
	}
	snprintf(buf, size, "%s", "");
}
