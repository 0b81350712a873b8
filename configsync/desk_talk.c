/*
 * configsync/desk_talk.c - messages to and from the peer, and the contents that go with them. What has no room yet waits here, the
 * core's messages before contents.
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

#define SQUEEZE_MIN 4096	/* bytes that are worth an attempt */
#define ALONG_MAX (512u << 10)	/* bytes of contents in one WIRE_NEWS */
#define SPOOL_ONE (4ull << 30)
#define SPOOL_ALL (8ull << 30)
#define SPOOL_FILES 100000
#define SPOOL_AGE_MS (24u * 3600 * 1000)

struct outgoing { struct outgoing *next; uint8_t type; uint8_t *bytes; size_t len; };
struct sending { struct sending *next; uint8_t digest[DIGEST_LEN]; uint64_t offset, size; int fd; };
struct wanted { struct wanted *next; uint8_t digest[DIGEST_LEN]; uint64_t size; char *path; bool elsewhere; };	/* elsewhere: path is newer than the question */

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
	int fd = beneath_open(d->root, e->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, false);
	uint8_t *bytes, digest[DIGEST_LEN];
	ssize_t n;

	if (fd == -1)
		return NULL;
	bytes = desk_alloc((size_t)e->size + 1);
	n = read(fd, bytes, (size_t)e->size + 1);
	close(fd);
	if (n == (ssize_t)e->size) {
		digest_sha256(bytes, (size_t)n, digest);
		if (memcmp(digest, e->digest, DIGEST_LEN) == 0)
			return bytes;
	}
	free(bytes);
	return NULL;
}

/* News of small files have their contents with them: the peer need not ask. Those of what came from there have none. */
static void
send_news(struct desk *d, const struct wire *w)
{
	struct wire_news_row *row = desk_alloc((w->news.rows + 1) * sizeof *row);
	struct wire with = *w;
	size_t along = 0;

	if (w->news.rows > 0)
		memcpy(row, w->news.row, w->news.rows * sizeof *row);
	with.news.row = row;
	if (with.news.set[0] == '\0')
		store_new_name(with.news.set);
	if (with.news.node[0] == '\0')
		snprintf(with.news.node, sizeof with.news.node, "%s", d->conf->node[d->self]);
	for (size_t i = 0; i < w->news.rows; i++) {
		const struct entry *e = row[i].entry;

		if (w->news.cause != STORE_APPLIED && e != NULL && e->type == ENTRY_FILE && e->size > 0 && e->size <= WIRE_INLINE_MAX && along + e->size <= ALONG_MAX &&
		    (row[i].content = read_small(d, e)) != NULL) {
			row[i].content_len = (uint32_t)e->size;
			along += e->size;
		}
	}
	if (wire_size(&with) > WIRE_MAX)
		with.news.row = w->news.row;	/* without */
	queue(d, &with);
	for (size_t i = 0; i < w->news.rows; i++)
		free((void *)(uintptr_t)row[i].content);
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

static void
sending_end(struct desk *d, struct sending *s)
{
	d->sending = s->next;
	if (d->sending == NULL)
		d->sending_end = &d->sending;
	close(s->fd);
	free(s);
}

/* The next piece. */
static void
send_piece(struct desk *d, struct sending *s)
{
	static uint8_t buf[WIRE_CHUNK];
	uint64_t left = s->size - s->offset;
	size_t want = left < sizeof buf ? (size_t)left : sizeof buf, len;
	ssize_t n = pread(s->fd, buf, want, (off_t)s->offset);
	struct wire w = { .type = WIRE_CONTENT };
	uint8_t *small;

	if (n <= 0) {		/* it became shorter meanwhile: its news will come */
		w.type = WIRE_ABSENT;
		memcpy(w.absent.digest, s->digest, DIGEST_LEN);
		queue(d, &w);
		sending_end(d, s);
		return;
	}
	memcpy(w.content.digest, s->digest, DIGEST_LEN);
	w.content.offset = s->offset;
	w.content.size = s->size;
	w.content.plain = (uint32_t)n;
	small = n >= SQUEEZE_MIN ? zstd_compress(buf, (size_t)n, &len) : NULL;
	w.content.bytes = small != NULL ? small : buf;
	w.content.len = small != NULL ? (uint32_t)len : (uint32_t)n;
	queue(d, &w);
	free(small);
	s->offset += (uint64_t)n;
	if (s->offset == s->size)
		sending_end(d, s);
}

static void
go_on(struct desk *d)
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
	while (!d->full && d->outgoing == NULL && d->sending != NULL)
		send_piece(d, d->sending);
}

/* A regular file of this size in the trees; -1. */
static int
open_sized(struct desk *d, const char *path, uint64_t size)
{
	int fd = scope_place(d->scope, path) == SCOPE_INSIDE ? beneath_open(d->root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, false) : -1;
	struct stat st;

	if (fd != -1 && (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Any file with this content: the one that was named has been renamed or replaced. Looks at all of them. */
static int
open_elsewhere(struct desk *d, const struct wire_want *want)
{
	struct manifest *mine = core_mine(d->core);
	int fd = -1;

	for (size_t i = 0; fd == -1 && i < mine->len; i++)
		if (mine->at[i].type == ENTRY_FILE && memcmp(mine->at[i].digest, want->digest, DIGEST_LEN) == 0)
			fd = open_sized(d, mine->at[i].path, want->size);
	manifest_free(mine);
	return fd;
}

/* The peer wants a content: from where it says that it knows it to be, from the store, or from where else it is. */
static void
serve(struct desk *d, const struct wire_want *want)
{
	int fd = open_sized(d, want->path, want->size);
	struct wire w = { .type = WIRE_ABSENT };
	struct sending *s;
	struct err err;

	if (fd == -1)
		fd = store_read_fd(d->store, want->digest, &err);
	if (fd == -1)
		fd = open_elsewhere(d, want);
	if (fd == -1) {
		memcpy(w.absent.digest, want->digest, DIGEST_LEN);
		queue(d, &w);
		return;
	}
	s = desk_alloc(sizeof *s);
	*s = (struct sending){ .offset = want->offset, .size = want->size, .fd = fd };
	memcpy(s->digest, want->digest, DIGEST_LEN);
	*d->sending_end = s;
	d->sending_end = &s->next;
	go_on(d);
}

/* ---------------------------------------------------------------- contents that are wanted here */

static struct wanted **
wanted_find(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	struct wanted **at = &d->wanted;

	while (*at != NULL && memcmp((*at)->digest, digest, DIGEST_LEN) != 0)
		at = &(*at)->next;
	return at;
}

static void
wanted_drop(struct wanted **at)
{
	struct wanted *w = *at;

	if (w != NULL) {
		*at = w->next;
		free(w->path);
		free(w);
	}
}

static void
ask(struct desk *d, const struct wanted *w, uint64_t have)
{
	struct wire wire = { .type = WIRE_WANT };

	memcpy(wire.want.digest, w->digest, DIGEST_LEN);
	wire.want.offset = have;
	wire.want.size = w->size;
	wire.want.path = w->path;
	desk_send(d, &wire);
}

void
desk_need(struct desk *d, const struct entry *e)
{
	struct wanted *w = *wanted_find(d, e->digest);
	uint64_t have = 0;
	struct err err;
	bool has;

	if (w != NULL) {	/* asked for already; it may have been renamed since */
		if (strcmp(w->path, e->path) != 0) {
			free(w->path);
			w->path = strdup(e->path);
			w->elsewhere = true;
		}
		return;
	}

	if (e->size == 0 || desk_along_has(d, e->digest) || (store_has(d->store, e->digest, &has, &err) && has)) {
		core_content(d->core, e->digest, CORE_HAVE, NULL, clock_mono_ms());
	} else if (!spool_begin(d->spool, e->digest, e->size, &have, &err)) {
		core_content(d->core, e->digest, CORE_ABSENT, err.text, clock_mono_ms());
	} else if (have == e->size) {
		core_content(d->core, e->digest, CORE_HAVE, NULL, clock_mono_ms());
	} else {
		w = desk_alloc(sizeof *w);
		*w = (struct wanted){ .next = d->wanted, .size = e->size, .path = strdup(e->path) };
		memcpy(w->digest, e->digest, DIGEST_LEN);
		d->wanted = w;
		ask(d, w, have);
	}
}

void
desk_unneed(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	wanted_drop(wanted_find(d, digest));
	desk_along_remove(d, digest);
	spool_remove(d->spool, digest);
}

int
desk_content(void *arg, const struct entry *e, struct err *err)
{
	struct desk *d = arg;
	int fd;

	if (e->size == 0)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (desk_along_has(d, e->digest))
		return desk_along_fd(d, e->digest, err);
	fd = spool_fd(d->spool, e->digest, err);
	return fd != -1 ? fd : store_read_fd(d->store, e->digest, err);
}

static void
content_came(struct desk *d, const struct wire_content *c)
{
	static uint8_t plain[WIRE_CHUNK];
	struct wanted **at = wanted_find(d, c->digest);
	const uint8_t *bytes = c->bytes;
	bool whole = false;
	struct err err;

	if (*at == NULL)
		return;		/* of a job that was cancelled */
	if (c->plain != c->len) {
		if (c->plain > sizeof plain || !zstd_expand(c->bytes, c->len, plain, c->plain, &err)) {
			desk_drop(d, "a piece of a content that cannot be expanded");
			return;
		}
		bytes = plain;
	}
	if (!spool_append(d->spool, c->digest, c->offset, bytes, c->plain, &whole, &err)) {
		wanted_drop(at);
		core_content(d->core, c->digest, CORE_ABSENT, err.text, clock_mono_ms());
	} else if (whole) {
		wanted_drop(at);
		core_content(d->core, c->digest, CORE_HAVE, NULL, clock_mono_ms());
	}
}

/* Where it was said to be it is not. It may stand elsewhere by now, and we know that already. */
static void
content_absent(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	struct wanted **at = wanted_find(d, digest), *w = *at;
	uint64_t have;
	struct err err;

	if (w != NULL && w->elsewhere && spool_begin(d->spool, digest, w->size, &have, &err)) {
		w->elsewhere = false;
		ask(d, w, have);
		return;
	}
	wanted_drop(at);
	core_content(d->core, digest, CORE_ABSENT, "the other node has it no more", clock_mono_ms());
}

/* Contents that came with the news are here before the core hears of them. */
static void
take_along(struct desk *d, const struct wire_news *news)
{
	for (size_t i = 0; i < news->rows; i++) {
		const struct wire_news_row *row = &news->row[i];

		if (row->content_len > 0 && row->entry != NULL && row->entry->size == row->content_len)
			desk_along_add(d, row->entry->digest, row->content, row->content_len);
	}
}

/* ---------------------------------------------------------------- in */

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
	while (d->sending != NULL)
		sending_end(d, d->sending);
	while (d->wanted != NULL)
		wanted_drop(&d->wanted);
	desk_along_clear(d);
	d->linked = d->full = false;
}

static void
up(void *arg)
{
	struct desk *d = arg;

	d->linked = true;
	d->full = false;
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

	if (!wire_parse(&w, type, bytes, len, &err)) {
		log_warnx("a message of the other node makes no sense, the link is begun anew: %s", err.text);
		desk_drop(d, err.text);
		return;
	}
	switch (w.type) {
	case WIRE_WANT:
		serve(d, &w.want);
		break;
	case WIRE_CONTENT:
		content_came(d, &w.content);
		break;
	case WIRE_ABSENT:
		content_absent(d, w.absent.digest);
		break;
	case WIRE_NEWS:
		take_along(d, &w.news);
		core_wire(d->core, &w, clock_mono_ms(), clock_wall_ms());
		break;
	case WIRE_HELLO:
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
	go_on(d);
}

static void
refused(void *arg, enum channel_why why, const char *sentence)
{
	(void)arg;
	if (why != CHANNEL_UNREACHABLE)
		log_warnx("a connection to or from the other node's mailpair-config is refused (%s): %s", channel_why_name(why), sentence);
}

static void
ended(void *arg, const char *sentence)
{
	(void)arg;
	log_warnx("%s", sentence);
}

/* ---------------------------------------------------------------- begin and end */

static bool
nobody(void *arg, const uint8_t digest[DIGEST_LEN])
{
	(void)arg;
	(void)digest;
	return false;
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

	if (pw == NULL)
		pw = getpwnam("nobody");
	setup.uid = pw != NULL ? pw->pw_uid : 65534;
	setup.gid = pw != NULL ? pw->pw_gid : 65534;
	setup.at[0] = (struct channel_address){ sync->address[listener ? d->self : !d->self], sync->port };
	setup.limits.message_max = WIRE_MAX;
	if (d->spool == NULL) {
		snprintf(dir, sizeof dir, "%s/config.parts", d->conf->state_dir);
		if (!spool_open(dir, &limits, &d->spool, err))
			return false;
		spool_sweep(d->spool, nobody, NULL, SPOOL_AGE_MS);
		d->outgoing_end = &d->outgoing;
		d->sending_end = &d->sending;
	}
	if (!authkeys_load(d->conf->authkeys, d->conf->allow_weak_auth, &keys, &mistakes))
		return err_set(err, 0, "%s cannot be used", d->conf->authkeys);
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
