/*
 * configsync/desk_talk.c - messages to and from the peer. What has no room yet waits here, before contents that the peer wants
 * (desk_serve.c); those that are wanted here are desk_want.c's.
 */
#include "configsync/desk_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/zstd.h"
#include "configsync/beneath.h"

#define ALONG_MAX (512u << 10)	/* bytes of contents in one WIRE_NEWS */
#define SPOOL_ONE (4ull << 30)
#define SPOOL_ALL (8ull << 30)
#define SPOOL_FILES 100000

struct outgoing { struct outgoing *next; uint8_t type; uint8_t *bytes; size_t len; };

/* ---------------------------------------------------------------- out */

static bool
put(struct desk *d, uint8_t type, const uint8_t *bytes, size_t len)
{
	switch (net_send(d->net, type, bytes, len)) {
	case CHANNEL_FULL:
		d->full = true;
		return false;
	case CHANNEL_DOWN:
	case CHANNEL_SENT:
		break;
	}
	return true;
}

/* In order: behind what waits already. */
static void
queue(struct desk *d, const struct wire *w)
{
	struct outgoing *o;
	size_t len;
	uint8_t *bytes = wire_encode(w, &len);

	if (d->outgoing == NULL && !d->full && put(d, (uint8_t)w->type, bytes, len)) {
		free(bytes);
		return;
	}
	o = desk_alloc(sizeof *o);
	*o = (struct outgoing){ .type = (uint8_t)w->type, .bytes = bytes, .len = len };
	*d->outgoing_end = o;
	d->outgoing_end = &o->next;
}

/* The whole content of a small file, if it still is the one. malloc'd. */
static uint8_t *
read_small(struct desk *d, const struct entry *e)
{
	uint8_t *bytes = desk_take_read(d, e);

	if (bytes != NULL)
		return bytes;
	bytes = desk_alloc((size_t)e->size + 1);
	if (desk_read_small(d, e->path, e->digest, (uint32_t)e->size, bytes))
		return bytes;
	free(bytes);
	return NULL;
}

/* A content that went with news of this link is there: a renamed file's is not sent again. */
static bool
was_sent(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	uint8_t *at = d->sent[(digest[0] | digest[1] << 8) % DESK_SENT];
	bool was = memcmp(at, digest, DIGEST_LEN) == 0;

	memcpy(at, digest, DIGEST_LEN);
	return was;
}

/* News of small files have their contents with them: the peer need not ask. Those of what was made there have none. */
static void
send_news(struct desk *d, const struct wire *w)
{
	struct wire_news_row *row = desk_alloc((w->news.rows + 1) * sizeof *row);
	struct wire with = *w;
	size_t along = 0;
	bool ours;

	if (w->news.rows > 0)
		memcpy(row, w->news.row, w->news.rows * sizeof *row);
	with.news.row = row;
	if (with.news.set[0] == '\0')
		store_new_name(with.news.set);
	if (with.news.node[0] == '\0')
		snprintf(with.news.node, sizeof with.news.node, "%s", d->conf->node[d->self]);
	ours = strcmp(with.news.node, d->conf->node[d->self]) == 0;
	for (size_t i = 0; i < w->news.rows; i++) {
		const struct entry *e = row[i].entry;

		if (ours && !row[i].had && e != NULL && e->type == ENTRY_FILE && e->size > 0 && e->size <= WIRE_INLINE_MAX && along + e->size <= ALONG_MAX &&
		    !was_sent(d, e->digest) && (row[i].content = read_small(d, e)) != NULL) {
			row[i].content_len = (uint32_t)e->size;
			along += e->size;
		}
	}
	if (wire_size(&with) > WIRE_MAX)
		with.news.row = w->news.row;	/* without */
	queue(d, &with);
	for (size_t i = 0; i < w->news.rows; i++)
		if (row[i].content != NULL)
			desk_keep_bytes(d, row[i].entry->digest, (uint8_t *)(uintptr_t)row[i].content, row[i].content_len);
	free(row);
}

void
desk_send(struct desk *d, const struct wire *w)
{
	if (!d->linked)
		return;
	if (w->type == WIRE_NEWS)
		send_news(d, w);
	else
		queue(d, w);
}

void
desk_drop(struct desk *d, const char *why)
{
	if (d->net != NULL)
		net_drop(d->net, why);
}

void
desk_send_on(struct desk *d)
{
	while (!d->full && d->outgoing != NULL) {
		struct outgoing *o = d->outgoing;

		if (!put(d, o->type, o->bytes, o->len))
			return;
		d->outgoing = o->next;
		if (d->outgoing == NULL)
			d->outgoing_end = &d->outgoing;
		free(o->bytes);
		free(o);
	}
	while (!d->full && d->outgoing == NULL && desk_serve_next(d))
		;
}

/* ---------------------------------------------------------------- in */

/* Contents that came with the news are here before the core hears of them. */
static void
take_along(struct desk *d, const struct wire_news *news)
{
	for (size_t i = 0; i < news->rows; i++) {
		const struct wire_news_row *row = &news->row[i];

		if (row->content_len == 0 || row->entry == NULL || row->entry->size != row->content_len)
			continue;
		desk_along_add(d, row->entry->digest, row->content, row->content_len);
		if (news->rows == 1)
			desk_spare_ahead(d, row->entry);
	}
}

static void
forget_link(struct desk *d)
{
	while (d->outgoing != NULL) {
		struct outgoing *o = d->outgoing;

		d->outgoing = o->next;
		free(o->bytes);
		free(o);
	}
	d->outgoing_end = &d->outgoing;
	desk_serve_forget(d);
	desk_want_forget(d);
	desk_tables_forget(d);
	desk_along_clear(d);
	desk_meet_forget(d);
	d->linked = d->full = false;
	memset(d->sent, 0, sizeof d->sent);
}

static void
up(void *arg)
{
	struct desk *d = arg;

	desk_meet(d);
	d->linked = true;
	d->full = false;
	core_problem(d->core, "network", "", NULL, clock_wall_ms());
	core_link(d->core, true, clock_mono_ms());
	desk_work(d);
}

static void
down(void *arg, enum channel_why why, const char *sentence)
{
	struct desk *d = arg;

	(void)why;
	log_info("the other node's mailpair-config is not reached: %s", sentence);
	forget_link(d);
	core_link(d->core, false, clock_mono_ms());
	desk_work(d);
}

static void
received(void *arg, uint8_t type, const uint8_t *bytes, size_t len)
{
	struct desk *d = arg;
	struct wire w;
	struct err err;

	d->heard_ms = clock_mono_ms();
	if (!wire_parse(&w, type, bytes, len, &err)) {
		log_warnx("a message of the other node makes no sense, the link is begun anew: %s", err.text);
		desk_drop(d, err.text);
		return;
	}
	switch (w.type) {
	case WIRE_WANT:
		desk_serve(d, &w.want);
		break;
	case WIRE_CONTENT:
		desk_content_came(d, &w.content);
		break;
	case WIRE_SMALL:
		desk_small_came(d, &w.small);
		break;
	case WIRE_TABLES:
		desk_tables_came(d, &w.tables);
		break;
	case WIRE_ABSENT:
		desk_content_absent(d, w.absent.digest);
		break;
	case WIRE_SOON:
		desk_stay_awake(d);
		break;
	case WIRE_READ:
		d->heard_read = true;
		break;
	case WIRE_NEWS:
		awake_over(&d->awake);
		take_along(d, &w.news);
		core_wire(d->core, &w, clock_mono_ms(), clock_wall_ms());
		break;
	case WIRE_HELLO:
		if (w.hello.version == WIRE_VERSION)
			desk_rules_other(d, w.hello.scope);
		core_wire(d->core, &w, clock_mono_ms(), clock_wall_ms());
		break;
	case WIRE_ASK:
	case WIRE_TREE:
	case WIRE_INDEX:
	case WIRE_REPORT:
	case WIRE_ORDER:
	case WIRE_TYPE_END:
		core_wire(d->core, &w, clock_mono_ms(), clock_wall_ms());
		break;
	}
	wire_free(&w);
	desk_work(d);
}

static void
drained(void *arg)
{
	struct desk *d = arg;

	d->full = false;
	desk_send_on(d);
}

static void
refused(void *arg, enum channel_why why, const char *sentence)
{
	struct desk *d = arg;

	if (why == CHANNEL_UNREACHABLE)
		return;
	log_warnx("a connection to or from the other node's mailpair-config is refused (%s): %s", channel_why_name(why), sentence);
	if (d->linked)		/* a stranger's, then */
		return;
	core_problem(d->core, "network", "", sentence, clock_wall_ms());
	desk_work(d);
}

static void
ended(void *arg, const char *sentence)
{
	struct desk *d = arg;

	log_warnx("%s", sentence);
	core_problem(d->core, "network", "", sentence, clock_wall_ms());
	desk_work(d);
}

/* ---------------------------------------------------------------- begin and end */

static bool
are_new(struct desk *d, const struct authkeys *keys)
{
	uint8_t digest[DIGEST_LEN];
	bool same;

	digest_sha256(keys, sizeof *keys, digest);
	same = memcmp(digest, d->keys, DIGEST_LEN) == 0;
	memcpy(d->keys, digest, DIGEST_LEN);
	return !same;
}

/* Read anew; those that are wrong are said, and the old ones stay. The link is begun anew only where they are other ones. */
void
desk_keys(struct desk *d)
{
	struct conf_mistakes mistakes = { 0 };
	struct authkeys keys;
	struct err err;

	memset(&keys, 0, sizeof keys);
	if (!authkeys_load(d->conf->authkeys, d->conf->allow_weak_auth, &keys, &mistakes)) {
		for (size_t i = 0; i < mistakes.len; i++)
			log_warnx("%s:%d: %s", d->conf->authkeys, mistakes.item[i].line, mistakes.item[i].text);
		conf_mistakes_free(&mistakes);
		return;
	}
	if (are_new(d, &keys) && !net_keys(d->net, &keys, &err))
		log_warnx("%s", err.text);
	explicit_bzero(&keys, sizeof keys);
}

bool
desk_connect(struct desk *d, struct err *err)
{
	static const struct net_calls calls = { up, received, drained, down, refused, ended };
	const struct spool_limits limits = { .one = SPOOL_ONE, .bytes = SPOOL_ALL, .files = SPOOL_FILES };
	const struct conf_sync *sync = &d->conf->sync;
	bool listener = d->self == 0;
	const struct passwd *pw = getpwnam(d->conf->group);
	struct conf_mistakes mistakes = { 0 };
	struct authkeys keys;
	struct net_setup setup = { .program = "/proc/self/exe", .subcommand = DESK_NET_CHILD, .listen = listener, .pair = d->conf->pair, .service = "config",
		.node = d->conf->node[d->self], .peer = d->conf->node[!d->self], .at_len = 1, .keys = &keys, .calls = &calls, .arg = d };
	char dir[PATH_MAX];
	bool ok;

	if (pw == NULL || pw->pw_uid == 0)
		pw = getpwnam("nobody");
	setup.uid = pw != NULL ? pw->pw_uid : 65534;
	setup.gid = pw != NULL ? pw->pw_gid : 65534;
	setup.at[0] = (struct channel_address){ sync->address[listener ? d->self : !d->self], sync->port };
	setup.limits.message_max = WIRE_MAX;
	if (d->spool == NULL) {
		snprintf(dir, sizeof dir, "%s/config.parts", d->conf->state_dir);
		if (!spool_open(dir, &limits, &d->spool, err))
			return false;
		desk_sweep(d);
		d->outgoing_end = &d->outgoing;
	}
	memset(&keys, 0, sizeof keys);
	if (!authkeys_load(d->conf->authkeys, d->conf->allow_weak_auth, &keys, &mistakes))
		return err_set(err, 0, "%s cannot be used", d->conf->authkeys);
	(void)are_new(d, &keys);
	ok = net_start(d->loop, &setup, &d->net, err);
	explicit_bzero(&keys, sizeof keys);
	return ok;
}

void
desk_disconnect(struct desk *d)
{
	net_free(d->net);
	d->net = NULL;
	if (d->outgoing_end != NULL)
		forget_link(d);
}
