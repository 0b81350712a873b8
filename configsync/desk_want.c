/*
 * configsync/desk_want.c - contents that are wanted here, from the moment that a job needs them until it is installed. Small ones stand in memory
 * (desk_along.c) as far as there is room, all others in the spool.
 */
#include "configsync/desk_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/zstd.h"

#define SPOOL_AGE_MS (24u * 3600 * 1000)
#define BUCKETS 4096u
#define MESSAGE_MOST (WIRE_MAX / 2)
#define NEEDS_MANY 8u

/* elsewhere: path is newer than the question; to_ask: not asked for yet; coming: it was, and is to have room in memory. */
struct wanted { struct wanted *next; uint8_t digest[DIGEST_LEN]; uint64_t size, have; char *path; bool elsewhere, to_ask, coming; };

struct wants {
	struct wanted	*bucket[BUCKETS];
	uint8_t		(*ask)[DIGEST_LEN];	/* those that are to be asked for, in order; some may be gone. The first were: asked of them */
	size_t		 asked, asks, room, len;	/* len: in the table */
	uint64_t	 coming;		/* bytes */
};

/* ---------------------------------------------------------------- the table */

static struct wanted **
find(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	struct wanted **at;

	if (d->wants == NULL)
		d->wants = desk_alloc(sizeof *d->wants);
	at = &d->wants->bucket[(digest[0] | digest[1] << 8) % BUCKETS];
	while (*at != NULL && memcmp((*at)->digest, digest, DIGEST_LEN) != 0)
		at = &(*at)->next;
	return at;
}

bool
desk_wants(const struct desk *d)
{
	return d->wants != NULL && d->wants->len > 0;
}

static void
drop(struct desk *d, struct wanted **at)
{
	struct wanted *w = *at;

	if (w != NULL) {
		*at = w->next;
		d->wants->len--;
		d->wants->coming -= w->coming ? w->size : 0;
		free(w->path);
		free(w);
	}
}

void
desk_want_forget(struct desk *d)
{
	for (size_t b = 0; d->wants != NULL && b < BUCKETS; b++)
		while (d->wants->bucket[b] != NULL)
			drop(d, &d->wants->bucket[b]);
	if (d->wants != NULL)
		free(d->wants->ask);
	free(d->wants);
	d->wants = NULL;
}

/* ---------------------------------------------------------------- asking */

static void
ask(struct desk *d, struct wanted *w, uint64_t have)
{
	struct wants *all = d->wants;

	w->have = have;
	w->to_ask = true;
	if (all->asks == all->room) {
		all->room = all->room == 0 ? 64 : 2 * all->room;
		if ((all->ask = reallocarray(all->ask, all->room, sizeof *all->ask)) == NULL)
			abort();
	}
	memcpy(all->ask[all->asks++], w->digest, DIGEST_LEN);
	if (all->asks % WIRE_ROWS_MAX == 0)
		desk_want_ask(d);	/* the peer has something to do meanwhile */
}

/*
 * Small contents come as far as there is room for them in memory. There will be some: when the installation that is under way ends, or the one begins
 * whose contents are on their way. Where nothing of that is so what has no room goes to the spool, or a set that is larger than the memory would wait for ever.
 */
static bool
makes_room(const struct desk *d)
{
	return d->placing != NULL || d->wants->coming > 0;
}

static bool
has_room(const struct desk *d, const struct wanted *w)
{
	return w->size > WIRE_INLINE_MAX || desk_along_room(d, d->wants->coming + w->size);
}

static void
note_asked(struct desk *d, struct wanted *w)
{
	w->to_ask = false;
	if (w->size > WIRE_INLINE_MAX || w->coming)
		return;
	w->coming = true;
	d->wants->coming += w->size;
}

/* The next one to ask for; NULL: there is none, or it waits for room. */
static struct wanted *
next_to_ask(struct desk *d, bool patient)
{
	struct wants *all = d->wants;

	for (; all->asked < all->asks; all->asked++) {
		struct wanted *w = *find(d, all->ask[all->asked]);

		if (w != NULL && w->to_ask)
			return patient && !has_room(d, w) ? NULL : w;
	}
	all->asked = all->asks = 0;
	return NULL;
}

/* In order. What has to wait for room is asked for when there is some. */
void
desk_want_ask(struct desk *d)
{
	struct wire_want_row *row;
	struct wanted *w;
	bool patient;

	if (d->wants == NULL || (w = next_to_ask(d, false)) == NULL)
		return;
	patient = has_room(d, w) || makes_room(d);
	if ((w = next_to_ask(d, patient)) == NULL)
		return;
	row = desk_alloc(WIRE_ROWS_MAX * sizeof *row);
	for (; w != NULL; w = next_to_ask(d, patient)) {
		struct wire wire = { .type = WIRE_WANT, .want = { .row = row } };
		size_t bytes = 0;

		for (; w != NULL && wire.want.rows < WIRE_ROWS_MAX && bytes < MESSAGE_MOST; w = next_to_ask(d, patient)) {
			note_asked(d, w);
			row[wire.want.rows] = (struct wire_want_row){ .offset = w->have, .size = w->size, .path = w->path };
			memcpy(row[wire.want.rows].digest, w->digest, DIGEST_LEN);
			bytes += wire_want_row_size(&row[wire.want.rows++]);
		}
		desk_send(d, &wire);
	}
	free(row);
}

static void
tell(struct desk *d, const uint8_t digest[DIGEST_LEN], enum core_have have, const char *why)
{
	core_content(d->core, digest, have, why, clock_mono_ms());
}

/* Of many in a row only the first ones take a lock each. */
static bool
in_store(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	struct err err;
	bool has;

	if (++d->needs == NEEDS_MANY)
		store_has_many(d->store);
	return store_has(d->store, digest, &has, &err) && has;
}

void
desk_need_end(struct desk *d)
{
	if (d->needs >= NEEDS_MANY)
		store_has_done(d->store);
	d->needs = 0;
}

void
desk_need(struct desk *d, const struct entry *e)
{
	struct wanted *w = *find(d, e->digest), **at;
	uint64_t have = 0;
	struct err err;

	if (w != NULL) {	/* asked for already; it may have been renamed since */
		if (strcmp(w->path, e->path) != 0) {
			free(w->path);
			w->path = strdup(e->path);
			w->elsewhere = !w->to_ask;
		}
		return;
	}
	if (e->size == 0 || desk_along_has(d, e->digest) || in_store(d, e->digest)) {
		tell(d, e->digest, CORE_HAVE, NULL);
	} else if (e->size > WIRE_INLINE_MAX && !spool_begin(d->spool, e->digest, e->size, &have, &err)) {
		tell(d, e->digest, CORE_ABSENT, err.text);
	} else if (have == e->size) {
		tell(d, e->digest, CORE_HAVE, NULL);
	} else {
		at = find(d, e->digest);
		w = desk_alloc(sizeof *w);
		*w = (struct wanted){ .next = *at, .size = e->size, .path = strdup(e->path) };
		memcpy(w->digest, e->digest, DIGEST_LEN);
		*at = w;
		d->wants->len++;
		ask(d, w, have);
	}
}

void
desk_unneed(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	drop(d, find(d, digest));
	desk_along_remove(d, digest);
	spool_remove(d->spool, digest);
}

const uint8_t *
desk_bytes(void *arg, const struct entry *e)
{
	return desk_along_bytes(arg, e->digest);
}

bool
desk_content_here(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	struct err err;
	int fd;

	if (desk_along_has(d, digest))
		return true;
	if ((fd = spool_fd(d->spool, digest, &err)) != -1)
		close(fd);
	return fd != -1;
}

bool
desk_spool_again(struct desk *d, struct err *err)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof dir, "%s/config.parts", d->conf->state_dir);
	return spool_again(d->spool, dir, err);
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

/* ---------------------------------------------------------------- what comes */

/* To to, which has room for it. False: it cannot be, and the link is dropped. */
static bool
expand(struct desk *d, const uint8_t *bytes, uint32_t len, uint32_t plain, uint8_t *to)
{
	struct err err;

	if (plain == len)
		memcpy(to, bytes, len);
	else if (!zstd_expand(bytes, len, to, plain, &err))
		return desk_drop(d, "a piece of a content that cannot be expanded"), false;
	return true;
}

/* A piece goes to the spool; *ret_whole: that was the last one. False: it is told as absent. */
static bool
spool(struct desk *d, const uint8_t digest[DIGEST_LEN], uint64_t offset, const uint8_t *bytes, uint32_t len, bool *ret_whole)
{
	struct err err;

	if (spool_append(d->spool, digest, offset, bytes, len, ret_whole, &err))
		return true;
	drop(d, find(d, digest));
	tell(d, digest, CORE_ABSENT, err.text);
	return false;
}

static void
whole(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	drop(d, find(d, digest));
	tell(d, digest, CORE_HAVE, NULL);
}

void
desk_content_came(struct desk *d, const struct wire_content *c)
{
	static uint8_t buf[WIRE_CHUNK];
	bool all = false, packed = c->plain != c->len;

	if (*find(d, c->digest) == NULL)
		return;		/* of a job that was cancelled */
	if (packed && !expand(d, c->bytes, c->len, c->plain, buf))
		return;
	if (spool(d, c->digest, c->offset, packed ? buf : c->bytes, c->plain, &all) && all)
		whole(d, c->digest);
}

/* One that has no room in memory is a file in the spool. here: it stands where desk_along_is() wants it. */
static void
one_small_came(struct desk *d, const uint8_t digest[DIGEST_LEN], uint8_t *bytes, uint32_t len, bool here)
{
	const struct wanted *w = *find(d, digest);
	bool all = false;
	uint64_t have;
	struct err err;

	if (w == NULL || w->size != len)
		return;
	if ((here && desk_along_is(d, digest, bytes, len)) || desk_along_has(d, digest)) {
		whole(d, digest);
	} else if (!spool_begin(d->spool, digest, len, &have, &err)) {
		drop(d, find(d, digest));
		tell(d, digest, CORE_ABSENT, err.text);
	} else if (have == len || (spool(d, digest, have, bytes + have, len - (uint32_t)have, &all) && all)) {
		whole(d, digest);
	}
}

void
desk_small_came(struct desk *d, const struct wire_small *s)
{
	static uint8_t buf[WIRE_CHUNK];
	uint8_t *room = desk_along_begin(d, s->plain), *bytes = room != NULL ? room : buf;

	if (!expand(d, s->bytes, s->len, s->plain, bytes))
		return;
	for (size_t i = 0; i < s->rows; i++) {
		one_small_came(d, s->row[i].digest, bytes, s->row[i].size, room != NULL);
		if (desk_along_bytes(d, s->row[i].digest) != bytes)
			explicit_bzero(bytes, s->row[i].size);
		bytes += s->row[i].size;
	}
}

/* Where it was said to be it is not. It may stand elsewhere by now, and we know that already. */
void
desk_content_absent(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	struct wanted **at = find(d, digest), *w = *at;
	uint64_t have = 0;
	struct err err;

	if (w != NULL && w->elsewhere && (w->size <= WIRE_INLINE_MAX || spool_begin(d->spool, digest, w->size, &have, &err))) {
		w->elsewhere = false;
		ask(d, w, have);
		return;
	}
	drop(d, at);
	tell(d, digest, CORE_ABSENT, "the other node has it no more");
}

static bool
is_wanted(void *arg, const uint8_t digest[DIGEST_LEN])
{
	return *find(arg, digest) != NULL;
}

/* What was begun and given up: the file changed meanwhile, or the set was refused. It is kept for a while, as it may be wanted again. */
void
desk_sweep(struct desk *d)
{
	if (d->spool != NULL)
		spool_sweep(d->spool, is_wanted, d, SPOOL_AGE_MS);
}
