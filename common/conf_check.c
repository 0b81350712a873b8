/*
 * common/conf_check.c - the rules between the values of a configuration: what would make the pair
 * slow, deaf or dangerous is refused before it is used. Each mistake names the value and what
 * would be right.
 *
 * Single values are judged by conf_value.c, links and addresses by conf_check_net.c, storage and
 * binds by conf_check_storage.c. Pure: looks at no file, host or interface.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/conf_parts.h"

#define MISTAKES_MAX 200 /* enough for a person; a damaged file has thousands */
#define WINDOW_MAX   16

void
conf_mistake(struct conf_mistakes *mistakes, int line, const char *fmt, ...)
{
	struct conf_mistake *item;
	va_list ap;

	if (mistakes->len > MISTAKES_MAX)
		return;
	mistakes->item = realloc(mistakes->item, (mistakes->len + 1) * sizeof(*item));
	assert(mistakes->item != NULL);
	item = &mistakes->item[mistakes->len++];
	memset(item, 0, sizeof(*item));
	if (mistakes->len > MISTAKES_MAX) {
		snprintf(
		    item->text, sizeof(item->text), "there are more mistakes: correct these first");
		return;
	}
	item->line = line;
	va_start(ap, fmt);
	vsnprintf(item->text, sizeof(item->text), fmt, ap);
	va_end(ap);
	for (char *c = item->text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

void
conf_mistakes_free(struct conf_mistakes *mistakes)
{
	free(mistakes->item);
	*mistakes = (struct conf_mistakes){0};
}

void
conf_mistakes_sort(struct conf_mistakes *mistakes)
{
	/* By insertion, since mistakes of one line stay in the order in which they were found. */
	for (size_t i = 1; i < mistakes->len; i++) {
		struct conf_mistake moving = mistakes->item[i];
		size_t at = i;

		while (at > 0 && moving.line != 0 &&
		       (mistakes->item[at - 1].line == 0 ||
			   mistakes->item[at - 1].line > moving.line)) {
			mistakes->item[at] = mistakes->item[at - 1];
			at--;
		}
		mistakes->item[at] = moving;
	}
}

bool
conf_path_ok(const char *path)
{
	size_t len = strlen(path);

	if (path[0] != '/' || len > 1023 || (len > 1 && path[len - 1] == '/'))
		return false;
	return strstr(path, "//") == NULL && strstr(path, "/../") == NULL &&
	       strstr(path, "/./") == NULL && (len < 3 || strcmp(path + len - 3, "/..") != 0) &&
	       (len < 2 || strcmp(path + len - 2, "/.") != 0);
}

bool
conf_path_inside(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

bool
conf_word_ok(const char *name, size_t max)
{
	size_t len = strlen(name);

	if (len == 0 || len > max)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool plain = (name[i] >= 'a' && name[i] <= 'z') ||
			     (name[i] >= 'A' && name[i] <= 'Z') ||
			     (name[i] >= '0' && name[i] <= '9');

		if (!plain && (i == 0 || strchr("-_.", name[i]) == NULL))
			return false;
	}
	return true;
}

static void
check_names(const struct conf *c, struct conf_mistakes *mistakes)
{
	if (c->pair != NULL && !conf_word_ok(c->pair, CONF_NAME_MAX - 1))
		conf_mistake(mistakes, conf_line(c, &c->pair, 0),
		    "pair = \"%s\" is no good name; 1 to %d " CONF_WORDS " are right", c->pair,
		    CONF_NAME_MAX - 1);
	for (int i = 0; i < CONF_NODES; i++) {
		int line = conf_line(c, &c->node[i], 0);

		if (c->node[i] == NULL)
			continue;
		if (!conf_word_ok(c->node[i], CONF_NAME_MAX - 1))
			conf_mistake(mistakes, line,
			    "node \"%s\" is no good name; 1 to %d " CONF_WORDS
			    " are right, as uname -n says it",
			    c->node[i], CONF_NAME_MAX - 1);
		if (conf_schema_option(SECT_LINK, c->node[i]) >= 0 ||
		    conf_schema_option(SECT_STORAGE, c->node[i]) >= 0 ||
		    (c->sync.on && (conf_schema_option(SECT_SYNC, c->node[i]) >= 0 ||
		    conf_schema_section(SECT_SYNC, c->node[i]) != SECT_COUNT)))
			conf_mistake(mistakes, line,
			    "node \"%s\" has the name of an option of links, storage or config-sync, "
			    "where nodes are named too; rename the host, or write its name with "
			    "its domain",
			    c->node[i]);
	}
	if (c->node[0] != NULL && c->node[1] != NULL && strcasecmp(c->node[0], c->node[1]) == 0)
		conf_mistake(mistakes, conf_line(c, &c->node[1], 0),
		    "node \"%s\" and node \"%s\" are the same "
		    "host; the pair needs two different ones",
		    c->node[0], c->node[1]);
}

static void
check_path(const struct conf *c, const char *const *field, const char *what, int line,
    struct conf_mistakes *mistakes)
{
	if (*field != NULL && !conf_path_ok(*field))
		conf_mistake(mistakes, conf_line(c, field, line),
		    "%s = \"%s\" is no plain path; it begins with "
		    "\"/\", does not end with it, and has no \"..\" in it",
		    what, *field);
}

static void
check_files(const struct conf *c, struct conf_mistakes *mistakes)
{
	check_path(c, &c->state_dir, "state-dir", 0, mistakes);
	check_path(c, &c->run_dir, "run-dir", 0, mistakes);
	check_path(c, &c->authkeys, "authkeys", 0, mistakes);
	check_path(c, &c->hooks_dir, "hooks-dir", 0, mistakes);
	if (c->log != NULL && strcmp(c->log, "syslog") != 0 && strcmp(c->log, "stderr") != 0 &&
	    !conf_path_ok(c->log))
		conf_mistake(mistakes, conf_line(c, &c->log, 0),
		    "log = \"%s\" is not known; syslog, stderr or an absolute path is right",
		    c->log);
	if (c->group != NULL && !conf_word_ok(c->group, 32))
		conf_mistake(mistakes, conf_line(c, &c->group, 0),
		    "group = \"%s\" is no good name of a group; 1 to 32 " CONF_WORDS " are right",
		    c->group);
}

static void
check_heartbeat(const struct conf *c, struct conf_mistakes *mistakes)
{
	const struct conf_heartbeat *hb = &c->heartbeat;
	int line = conf_line(c, &hb->keepalive_ms, 0);
	bool keepalive = hb->keepalive_ms != CONF_REFUSED,
	     deadtime = hb->deadtime_ms != CONF_REFUSED;
	char is[24], limit[24], high[24];

	if (keepalive && deadtime && hb->deadtime_ms <= 2 * hb->keepalive_ms)
		conf_mistake(mistakes, conf_line(c, &hb->deadtime_ms, line),
		    "heartbeat: deadtime = \"%s\" is not "
		    "above 2 x keepalive (%s); two beats must be lost before a node counts as "
		    "silent",
		    conf_duration_text(hb->deadtime_ms, is, sizeof(is)),
		    conf_duration_text(2 * hb->keepalive_ms, limit, sizeof(limit)));
	if (keepalive && deadtime && hb->warntime_ms != CONF_REFUSED &&
	    (c->arena == NULL || conf_given(c, &hb->warntime_ms)) &&
	    (hb->warntime_ms <= hb->keepalive_ms || hb->warntime_ms >= hb->deadtime_ms))
		conf_mistake(mistakes,
		    conf_line(c, &hb->warntime_ms, conf_line(c, &hb->deadtime_ms, line)),
		    "heartbeat: warntime = \"%s\" does not lie between keepalive (%s) and deadtime "
		    "(%s)",
		    conf_duration_text(hb->warntime_ms, is, sizeof(is)),
		    conf_duration_text(hb->keepalive_ms, limit, sizeof(limit)),
		    conf_duration_text(hb->deadtime_ms, high, sizeof(high)));
	if (deadtime && hb->initdead_ms != CONF_REFUSED && hb->initdead_ms < hb->deadtime_ms)
		conf_mistake(mistakes,
		    conf_line(c, &hb->initdead_ms, conf_line(c, &hb->deadtime_ms, line)),
		    "heartbeat: initdead = \"%s\" is below deadtime (%s); a peer that boots needs "
		    "longer than "
		    "one that runs, %s or more is right",
		    conf_duration_text(hb->initdead_ms, is, sizeof(is)),
		    conf_duration_text(hb->deadtime_ms, limit, sizeof(limit)),
		    conf_duration_text(hb->deadtime_ms, high, sizeof(high)));
}

/* One "key=value" for a fence agent. Values are never repeated: they may be secrets. */
static void
check_fence_option(
    const struct conf *c, const struct conf_fence *f, size_t n, struct conf_mistakes *mistakes)
{
	const char *option = f->options[n];
	int line = conf_line(c, &f->options[n], f->line);
	size_t len = strcspn(option, "=");
	bool plain = len > 0 && len < 64 && option[len] == '=';

	for (size_t i = 0; i < len && plain; i++)
		plain = (option[i] >= 'a' && option[i] <= 'z') ||
			(option[i] >= 'A' && option[i] <= 'Z') ||
			(option[i] >= '0' && option[i] <= '9') || option[i] == '_' ||
			option[i] == '-';
	if (!plain) {
		conf_mistake(mistakes, line,
		    "fence \"%s\": value %zu of options is not of the form "
		    "\"key=value\"",
		    f->name, n + 1);
		return;
	}
	if (len == 6 && strncmp(option, "action", len) == 0)
		conf_mistake(mistakes, line,
		    "fence \"%s\": options must not hold \"action\": mailpair says "
		    "itself what the agent has to do",
		    f->name);
	for (size_t other = 0; other < n; other++)
		if (strncmp(f->options[other], option, len + 1) == 0)
			conf_mistake(mistakes, line, "fence \"%s\": options hold \"%.*s\" twice",
			    f->name, (int)len, option);
}

static void
check_fences(const struct conf *c, struct conf_mistakes *mistakes)
{
	for (size_t i = 0; i < c->fences; i++) {
		const struct conf_fence *f = &c->fence[i];

		if (!conf_word_ok(f->name, CONF_NAME_MAX - 1))
			conf_mistake(mistakes, f->line,
			    "fence \"%s\" is no good name; 1 to %d " CONF_WORDS " are right",
			    f->name, CONF_NAME_MAX - 1);
		if (f->node == CONF_NODE_NONE)
			conf_mistake(mistakes, f->line,
			    "fence \"%s\": node is missing: write which node this "
			    "device switches off",
			    f->name);
		if (f->agent == NULL)
			conf_mistake(mistakes, f->line,
			    "fence \"%s\": agent is missing: write a program like "
			    "agent = \"fence_ipmilan\"",
			    f->name);
		else if (f->agent[0] == '/' ? !conf_path_ok(f->agent)
					    : !conf_word_ok(f->agent, 255))
			conf_mistake(mistakes, conf_line(c, &f->agent, f->line),
			    "fence \"%s\": agent = \"%s\" is "
			    "wrong; the name of a program like fence_ipmilan, or its absolute "
			    "path, is right",
			    f->name, f->agent);
		for (size_t n = 0; n < f->options_len; n++)
			check_fence_option(c, f, n, mistakes);
	}
}

static void
check_takeover(const struct conf *c, struct conf_mistakes *mistakes)
{
	const struct conf_takeover *t = &c->takeover;

	if (t->failback && t->prefer == CONF_NODE_NONE)
		conf_mistake(mistakes, conf_line(c, &t->failback, 0),
		    "takeover: failback = yes without prefer; "
		    "write prefer = \"NODE\", the node to which the services return");
}

/* "127.0.0.1:25" or "[::1]:25". */
static bool
probe_ok(const char *text)
{
	const char *colon = strrchr(text, ':');
	char address[64];
	uint8_t bytes[16];
	size_t len;
	uint32_t port;

	if (colon == NULL || (len = (size_t)(colon - text)) < 2 || len >= sizeof(address) ||
	    !conf_number(colon + 1, &port) || port < 1 || port > 65535)
		return false;
	snprintf(address, sizeof(address), "%.*s", (int)len, text);
	if (address[0] != '[')
		return strchr(address, ':') == NULL && conf_ip(address, false, bytes) != 0;
	if (address[len - 1] != ']')
		return false;
	address[len - 1] = '\0';
	return strchr(address, ':') != NULL && conf_ip(address + 1, true, bytes) != 0;
}

static void
check_services(const struct conf *c, struct conf_mistakes *mistakes)
{
	const struct conf_mta *m = &c->mta;

	if (m->services_len > 0 && strcmp(m->name, "qmail") != 0)
		conf_mistake(mistakes, conf_line(c, &m->services[0], m->line),
		    "mta \"%s\": services are of qmail only; remove them", m->name);
	for (size_t i = 0; i < m->services_len; i++) {
		int line = conf_line(c, &m->services[i], m->line);

		if (!conf_path_ok(m->services[i]))
			conf_mistake(mistakes, line, "mta \"%s\": the service \"%s\" is no plain absolute path", m->name,
			    m->services[i]);
		for (size_t other = 0; other < i; other++)
			if (strcmp(m->services[other], m->services[i]) == 0)
				conf_mistake(mistakes, line, "mta \"%s\": services hold \"%s\" twice", m->name, m->services[i]);
	}
}

static void
check_mta(const struct conf *c, struct conf_mistakes *mistakes)
{
	const struct conf_mta *m = &c->mta;

	if (m->name == NULL)
		return;
	if (strcmp(m->name, "postfix") != 0 && strcmp(m->name, "exim") != 0 && strcmp(m->name, "qmail") != 0 &&
	    strcmp(m->name, "fake") != 0)
		conf_mistake(mistakes, m->line,
		    "mta \"%s\" is not known; \"postfix\", \"exim\" or \"qmail\" is right", m->name);
	check_services(c, mistakes);
	if (m->config != NULL && !conf_path_ok(m->config))
		conf_mistake(mistakes, conf_line(c, &m->config, m->line),
		    "mta \"%s\": config = \"%s\" is no plain absolute path",
		    m->name, m->config);
	if (m->probe != NULL && !probe_ok(m->probe))
		conf_mistake(mistakes, conf_line(c, &m->probe, m->line),
		    "mta \"%s\": probe = \"%s\" is wrong; a "
		    "numeric address with a port is right, like 127.0.0.1:25 or [::1]:25",
		    m->name, m->probe);
	if (m->failures != CONF_REFUSED && m->window != CONF_REFUSED && m->failures > m->window)
		conf_mistake(mistakes,
		    conf_line(c, &m->failures, conf_line(c, &m->window, m->line)),
		    "mta \"%s\": failures = \"%u\" is above window (%u), so it would never be "
		    "reached; window is "
		    "at most %d",
		    m->name, m->failures, m->window, WINDOW_MAX);
}

void
conf_check_sections(const struct conf *c, struct conf_mistakes *mistakes)
{
	check_names(c, mistakes);
	check_files(c, mistakes);
	check_heartbeat(c, mistakes);
	conf_check_links(c, mistakes);
	check_takeover(c, mistakes);
	check_fences(c, mistakes);
	conf_check_storage(c, mistakes);
	conf_check_addresses(c, mistakes);
	check_mta(c, mistakes);
	if (c->sync.on)
		conf_check_sync(c, mistakes);
}

/* Silence is no proof of death (safety S2): each node needs a device that can prove it off. */
static void
check_proof(const struct conf *c, struct conf_mistakes *mistakes)
{
	bool provable[CONF_NODES] = {false, false}, unsure = false;

	for (size_t i = 0; i < c->fences; i++) {
		if (c->fence[i].node >= 0 && c->fence[i].node < CONF_NODES)
			provable[c->fence[i].node] = true;
		unsure = unsure || c->fence[i].node < 0; /* refused already: its node is wrong */
	}
	for (int i = 0; i < CONF_NODES && c->takeover.automatic && !unsure; i++)
		if (!provable[i] && c->node[i] != NULL)
			conf_mistake(mistakes, conf_line(c, &c->takeover.automatic, 0),
			    "takeover: automatic = yes, but "
			    "no fence device can switch off node \"%s\"; silence is no proof of "
			    "death, and the spool "
			    "could be mounted twice: add a fence section with node = \"%s\", or "
			    "write automatic = no",
			    c->node[i], c->node[i]);
}

void
conf_check_whole(const struct conf *c, struct conf_mistakes *mistakes)
{
	if (c->pair == NULL)
		conf_mistake(
		    mistakes, 0, "pair is missing: write pair = \"NAME\", the same on both nodes");
	if (c->node[0] == NULL)
		conf_mistake(mistakes, 0,
		    "the nodes are missing: write node \"NAME\" {} for each of the two, as "
		    "uname -n says it");
	else if (c->node[1] == NULL)
		conf_mistake(mistakes, 0,
		    "the second node is missing: node \"%s\" stands alone, and a pair has "
		    "exactly two",
		    c->node[0]);
	if (c->links == 0)
		conf_mistake(mistakes, conf_line(c, &conf_schema[SECT_HEARTBEAT], 0),
		    "heartbeat: there is no link: "
		    "write at least one, like link \"lan\" { transport = \"udp\" ... }");
	if (c->storage.name == NULL)
		conf_mistake(mistakes, 0,
		    "the storage is missing: write storage \"NAME\" { ... } with the device "
		    "that holds the spool");
	if (c->mta.name == NULL)
		conf_mistake(mistakes, 0, "the mta is missing: write mta \"postfix\" { }");
	check_proof(c, mistakes);
}

void
conf_check(const struct conf *c, struct conf_mistakes *mistakes)
{
	conf_check_sections(c, mistakes);
	conf_check_whole(c, mistakes);
}
