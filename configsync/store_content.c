/*
 * configsync/store_content.c - contents of files: each distinct one once, under a keyed digest, in sealed pieces.
 */
#include "configsync/store_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"

/* Who may read the journal must not be able to try passwords against a digest. */
void
store_content_name(const struct store *s, const uint8_t digest[DIGEST_LEN], uint8_t name[DIGEST_LEN])
{
	digest_hmac(s->key, sizeof(s->key), digest, DIGEST_LEN, name);
}

size_t
store_about_piece(uint8_t about[ABOUT_MAX], const uint8_t name[DIGEST_LEN], uint64_t n)
{
	memcpy(about, name, DIGEST_LEN);
	for (int i = 0; i < 8; i++)
		about[DIGEST_LEN + i] = (uint8_t)(n >> (56 - 8 * i));
	return DIGEST_LEN + 8;
}

/* ---------------------------------------------------------------- what waits */

static struct piece **
bucket(struct store *s, const uint8_t name[DIGEST_LEN])
{
	return &s->waiting.bucket[(name[0] << 8 | name[1]) % BUCKETS];
}

/* All pieces of a content (NULL: of all) are forgotten. */
static void
forget(struct store *s, const uint8_t *name)
{
	struct piece **end = s->waiting.bucket + BUCKETS;

	for (struct piece **b = name != NULL ? bucket(s, name) : s->waiting.bucket; b < end; b = name != NULL ? end : b + 1) {
		struct piece **at = b, *p;

		while ((p = *at) != NULL) {
			if (name != NULL && memcmp(p->name, name, DIGEST_LEN) != 0) {
				at = &p->next;
				continue;
			}
			*at = p->next;
			s->waiting.bytes -= p->len;
			free(p);
		}
	}
}

void
store_forget(struct store *s)
{
	forget(s, NULL);
}

void
store_forget_one(struct store *s, const uint8_t digest[DIGEST_LEN])
{
	uint8_t name[DIGEST_LEN];

	store_content_name(s, digest, name);
	forget(s, name);
}

struct piece *
store_wait(struct store *s, const uint8_t name[DIGEST_LEN], uint64_t n, const void *bytes, size_t len, bool last, uint64_t size)
{
	struct piece *p = malloc(sizeof(*p) + len + CIPHER_EXTRA), **at = bucket(s, name);
	uint8_t about[ABOUT_MAX];

	if (p == NULL)
		abort();
	*p = (struct piece){ .next = *at, .n = n, .last = last, .size = size, .len = len + CIPHER_EXTRA };
	memcpy(p->name, name, DIGEST_LEN);
	cipher_seal(s->key, about, store_about_piece(about, name, n), bytes, len, p->sealed);
	*at = p;
	s->waiting.bytes += p->len;
	return p;
}

/* Row of a content that is whole or comes to be. */
static bool
flush_row(struct store *s, const struct piece *p, uint64_t now, uint64_t *ret, bool *ret_whole, struct err *err)
{
	struct db_query *add = store_query(s, Q_CONTENT_ADD, err), *find = store_query(s, Q_CONTENT, err);

	if (add == NULL || find == NULL)
		return false;
	db_bind_bytes(add, 1, p->name, DIGEST_LEN);
	db_bind(add, 2, (int64_t)now);
	db_bind_bytes(find, 1, p->name, DIGEST_LEN);
	if (!db_run(add, err) || db_step(find, err) != DB_ROW)
		return false;
	*ret = (uint64_t)db_column(find, 0);
	*ret_whole = db_column(find, 1) != 0;
	db_reset(find);
	return true;
}

static bool
flush_piece(struct store *s, const struct piece *p, uint64_t now, struct err *err)
{
	struct db_query *q = store_query(s, Q_PIECE_ADD, err);
	uint64_t id;
	bool whole;

	if (q == NULL || !flush_row(s, p, now, &id, &whole, err))
		return false;
	db_bind(q, 1, (int64_t)(id << PIECES_BITS | p->n));
	db_bind_bytes(q, 2, p->sealed, p->len);
	return whole || db_run(q, err);
}

/* Whole, where all the others are there too: those that went before may be in a journal that was moved aside since. */
static bool
flush_last(struct store *s, const struct piece *p, uint64_t now, struct err *err)
{
	struct db_query *q = store_query(s, Q_CONTENT_WHOLE, err);
	uint64_t id;
	bool whole;

	if (q == NULL || !flush_row(s, p, now, &id, &whole, err))
		return false;
	db_bind(q, 1, (int64_t)id);
	db_bind(q, 2, (int64_t)p->size);
	db_bind(q, 3, (int64_t)now);
	db_bind(q, 4, (int64_t)p->n + 1);
	s->bounds.bytes += whole ? 0 : p->size;
	return whole || db_run(q, err);
}

/* What waits in a bucket (name NULL), or that one content of it. */
static bool
flush_bucket(struct store *s, const struct piece *b, const uint8_t *name, bool last, uint64_t now, struct err *err)
{
	for (const struct piece *p = b; p != NULL; p = p->next) {
		if (name != NULL && memcmp(p->name, name, DIGEST_LEN) != 0)
			continue;
		if (last ? p->last && !flush_last(s, p, now, err) : !flush_piece(s, p, now, err))
			return false;
	}
	return true;
}

bool
store_flush(struct store *s, struct err *err)
{
	uint64_t now = clock_wall_ms();

	for (int last = 0; last <= 1; last++) {
		for (size_t b = 0; b < BUCKETS; b++) {
			if (!flush_bucket(s, s->waiting.bucket[b], NULL, last, now, err))
				return false;
		}
	}
	return true;
}

bool
store_flush_one(struct store *s, const uint8_t digest[DIGEST_LEN], struct err *err)
{
	uint64_t now = clock_wall_ms();
	uint8_t name[DIGEST_LEN];

	store_content_name(s, digest, name);
	return flush_bucket(s, *bucket(s, name), name, false, now, err) && flush_bucket(s, *bucket(s, name), name, true, now, err);
}

static bool
flush_now(struct store *s, struct err *err)
{
	if (!store_begin(s, err))
		return false;
	if (s->bounds.loose_ms == 0)
		s->bounds.loose_ms = clock_wall_ms();
	if (!store_flush(s, err))
		return store_undo(s);
	if (!store_commit(s, err))
		return false;
	store_forget(s);
	return true;
}

/* ---------------------------------------------------------------- adding */

void
store_lost(struct store *s)
{
	memset(s->found, 0, sizeof(s->found));
}

bool
store_content_find(struct store *s, const uint8_t name[DIGEST_LEN], uint64_t *ret, uint64_t *ret_size, struct err *err)
{
	struct db_query *q = store_query(s, Q_CONTENT, err);
	enum db_answer answer;

	if (q == NULL)
		return false;
	db_bind_bytes(q, 1, name, DIGEST_LEN);
	answer = db_step(q, err);
	*ret = answer == DB_ROW && db_column(q, 1) != 0 ? (uint64_t)db_column(q, 0) : 0;
	if (ret_size != NULL && *ret != 0)
		*ret_size = (uint64_t)db_column(q, 2);
	if (*ret != 0)
		memcpy(s->found[name[0]], name, DIGEST_LEN);
	db_reset(q);
	return answer != DB_FAILED;
}

static bool
known(struct store *s, const uint8_t name[DIGEST_LEN], bool *ret, struct err *err)
{
	uint64_t id;

	*ret = memcmp(s->found[name[0]], name, DIGEST_LEN) == 0;
	for (struct piece *p = *bucket(s, name); p != NULL && !*ret; p = p->next)
		*ret = p->last && memcmp(p->name, name, DIGEST_LEN) == 0;
	if (*ret)
		return true;
	if (!store_content_find(s, name, &id, NULL, err))
		return false;
	*ret = id != 0;
	return true;
}

bool
store_has(struct store *s, const uint8_t digest[DIGEST_LEN], bool *ret, struct err *err)
{
	uint8_t name[DIGEST_LEN];

	store_content_name(s, digest, name);
	return known(s, name, ret, err);
}

void
store_has_many(struct store *s)
{
	struct err err;

	(void)(store_look(s, &err) && db_begin_to_read(s->db, &err));	/* else each takes its own */
}

void
store_has_done(struct store *s)
{
	db_rollback(s->db);
}

struct source { int fd; const uint8_t *bytes; size_t len; };

static ssize_t
source_read(const struct source *from, uint8_t *buf, uint64_t at)
{
	ssize_t n, got = 0;

	if (from->fd == -1) {
		size_t left = from->len - (size_t)at;

		got = (ssize_t)(left < PIECE ? left : PIECE);
		memcpy(buf, from->bytes + at, (size_t)got);
		return got;
	}
	while (got < (ssize_t)PIECE && ((n = pread(from->fd, buf + got, PIECE - (size_t)got, (off_t)at + got)) > 0 ||
	    (n == -1 && errno == EINTR)))
		got += n > 0 ? n : 0;
	return got < (ssize_t)PIECE && n == -1 ? -1 : got;
}

/* The piece that was added last waits: only when all were seen is it the last one, and the content whole. */
static bool
add_pieces(struct store *s, const uint8_t name[DIGEST_LEN], const struct source *from, uint8_t *buf, uint8_t ret_digest[DIGEST_LEN],
    size_t *ret_used, struct err *err)
{
	struct digest_stream *digest = digest_stream_new();
	struct piece *last = NULL;
	uint64_t size = 0, n = 0;
	ssize_t got;
	bool ok = true;

	do {
		if ((got = source_read(from, buf, size)) == -1)
			ok = err_set(err, errno, "cannot read a file's content");
		else if (got > 0 || n == 0) {
			digest_stream_add(digest, buf, (size_t)got);
			ok = n < 1u << PIECES_BITS || err_set(err, EFBIG, "a file of more than 1 TiB has no place in the store");
			ok = ok && (s->waiting.bytes < WAITING_MOST || flush_now(s, err));
			if (ok)
				last = store_wait(s, name, n++, buf, (size_t)got, false, 0);
			size += (uint64_t)got;
		}
	} while (ok && got == (ssize_t)PIECE);
	digest_stream_end(digest, ret_digest);
	*ret_used = size < PIECE ? (size_t)size : PIECE;
	if (ok) {
		last->last = true;
		last->size = size;
	}
	return ok;
}

static bool
add(struct store *s, const uint8_t digest[DIGEST_LEN], const struct source *from, struct err *err)
{
	uint8_t name[DIGEST_LEN], is[DIGEST_LEN], *buf;
	size_t used;
	bool ok, there;

	store_content_name(s, digest, name);
	if (!known(s, name, &there, err) || there)
		return there;
	if ((buf = malloc(PIECE)) == NULL)
		abort();
	ok = add_pieces(s, name, from, buf, is, &used, err);
	if (ok && !digest_equal(is, digest, DIGEST_LEN))
		ok = err_set(err, ESTALE, "a file's content has changed while it was stored");
	if (!ok)
		forget(s, name);		/* what was written of it is not whole, and goes with the next prune */
	explicit_bzero(buf, used);
	free(buf);
	return ok;
}

bool
store_add(struct store *s, const uint8_t digest[DIGEST_LEN], int fd, struct err *err)
{
	return add(s, digest, &(struct source){ .fd = fd }, err);
}

bool
store_add_bytes(struct store *s, const uint8_t digest[DIGEST_LEN], const void *bytes, size_t len, struct err *err)
{
	return add(s, digest, &(struct source){ .fd = -1, .bytes = bytes, .len = len }, err);
}

/* ---------------------------------------------------------------- reading */

/* One piece, opened into buf; *ret_len: without the seal. */
static bool
read_piece(struct store *s, const uint8_t name[DIGEST_LEN], uint64_t id, uint64_t n, uint8_t *buf, size_t *ret_len, struct err *err)
{
	struct db_query *q = store_query(s, Q_PIECE, err);
	uint8_t about[ABOUT_MAX];
	enum db_answer answer;
	const uint8_t *sealed;
	bool ok = false;
	size_t len;

	if (q == NULL)
		return false;
	db_bind(q, 1, (int64_t)(id << PIECES_BITS | n));
	if ((answer = db_step(q, err)) == DB_ROW) {
		sealed = db_column_bytes(q, 0, &len);
		ok = len <= PIECE + CIPHER_EXTRA && cipher_open(s->key, about, store_about_piece(about, name, n), sealed, len, buf);
		*ret_len = ok ? len - CIPHER_EXTRA : 0;
	}
	db_reset(q);
	return ok || (answer != DB_FAILED && store_damaged(s, err, "a content of a file is damaged"));
}

bool
store_read(struct store *s, const uint8_t digest[DIGEST_LEN], bool (*sink)(void *, const void *, size_t), void *arg, struct err *err)
{
	uint8_t name[DIGEST_LEN], *buf;
	uint64_t id, size, at = 0;
	size_t len = 0;
	bool ok, more;

	store_content_name(s, digest, name);
	if (!store_content_find(s, name, &id, &size, err))
		return false;
	if (id == 0)
		return err_set(err, ENOENT, "journal %s: has no such content", s->path);
	if ((buf = malloc(PIECE)) == NULL)
		abort();
	do {
		size_t should = size - at < PIECE ? (size_t)(size - at) : PIECE;

		ok = read_piece(s, name, id, at / PIECE, buf, &len, err) &&
		    (len == should || store_damaged(s, err, "a content of a file has not the length that it had"));
		more = ok && sink(arg, buf, len);
		at += len;
	} while (ok && more && at < size);
	explicit_bzero(buf, at < PIECE ? (size_t)at : PIECE);
	free(buf);
	return ok;
}

static bool
sink_fd(void *arg, const void *bytes, size_t len)
{
	int *fd = arg;
	const char *at = bytes;
	ssize_t n = 0;

	for (; len > 0 && ((n = write(*fd, at, len)) > 0 || errno == EINTR); at += n > 0 ? n : 0)
		len -= n > 0 ? (size_t)n : 0;
	if (len > 0) {
		close(*fd);
		*fd = -1;
	}
	return len == 0;
}

int
store_read_fd(struct store *s, const uint8_t digest[DIGEST_LEN], struct err *err)
{
	int fd = memfd_create("content", MFD_CLOEXEC);

	if (fd == -1) {
		err_set(err, errno, "cannot make memory for a file's content");
		return -1;
	}
	if (!store_read(s, digest, sink_fd, &fd, err)) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (fd == -1)
		err_set(err, ENOMEM, "no memory for a file's content");
	else
		lseek(fd, 0, SEEK_SET);
	return fd;
}
