/*
 * configsync/desk_serve.c - contents that the peer wants, in the order in which it asked: small ones many in a message, large ones piece by
 * piece. They are opened when it is their turn, however many are asked for.
 */
#include "configsync/desk_priv.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/zstd.h"
#include "configsync/beneath.h"

#define SQUEEZE_MIN 4096	/* bytes that are worth an attempt */
#define WANTS_MAX 1000000	/* that wait here; the peer has no more files */

struct sending { struct sending *next; struct wire_want_row want; int fd; char path[]; };	/* fd -1: not its turn yet */

static void
end_first(struct desk *d)
{
	struct sending *s = d->sending;

	d->sending = s->next;
	d->sendings--;
	if (s->fd != -1)
		close(s->fd);
	free(s);
}

void
desk_serve_forget(struct desk *d)
{
	while (d->sending != NULL)
		end_first(d);
}

void
desk_serve(struct desk *d, const struct wire_want *want)
{
	if (d->sendings + want->rows > WANTS_MAX) {
		desk_drop(d, "more contents are asked for than there may be files");
		return;
	}
	for (size_t i = 0; i < want->rows; i++) {
		const struct wire_want_row *r = &want->row[i];
		size_t len = strlen(r->path) + 1;
		struct sending *s = desk_alloc(sizeof *s + len);

		s->want = *r;
		s->want.path = memcpy(s->path, r->path, len);
		s->fd = -1;
		if (d->sending == NULL)
			d->sending = s;
		else
			d->sending_last->next = s;
		d->sending_last = s;
		d->sendings++;
	}
	desk_send_on(d);
}

/* ---------------------------------------------------------------- where they are */

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
open_elsewhere(struct desk *d, const struct wire_want_row *want)
{
	struct manifest *mine = core_mine(d->core);
	int fd = -1;

	for (size_t i = 0; fd == -1 && i < mine->len; i++)
		if (mine->at[i].type == ENTRY_FILE && memcmp(mine->at[i].digest, want->digest, DIGEST_LEN) == 0)
			fd = open_sized(d, mine->at[i].path, want->size);
	manifest_free(mine);
	return fd;
}

/* All of it, if it is what it should be. What stands behind it is no matter. Takes fd. */
static bool
read_whole(int fd, const uint8_t digest[DIGEST_LEN], uint32_t size, uint8_t *to)
{
	uint8_t is[DIGEST_LEN];
	bool ok = fd != -1 && pread(fd, to, size, 0) == (ssize_t)size;

	if (fd != -1)
		close(fd);
	if (ok)
		digest_sha256(to, size, is);
	return ok && memcmp(is, digest, DIGEST_LEN) == 0;
}

bool
desk_read_small(struct desk *d, const char *path, const uint8_t digest[DIGEST_LEN], uint32_t size, uint8_t *to)
{
	return read_whole(beneath_open(d->root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, false), digest, size, to);
}

/* ---------------------------------------------------------------- sending */

static void
say_absent(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	struct wire w = { .type = WIRE_ABSENT };

	memcpy(w.absent.digest, digest, DIGEST_LEN);
	desk_send(d, &w);
}

static bool
is_small(const struct sending *s)
{
	return s->want.offset == 0 && s->want.size <= WIRE_INLINE_MAX;
}

static bool
is_as_read(const struct stat *st, const struct entry *e)
{
	return st->st_dev == e->local.dev && st->st_ino == e->local.ino && (uint64_t)st->st_size == e->size && st->st_ctim.tv_sec == e->local.ctime_s &&
	    (uint32_t)st->st_ctim.tv_nsec == e->local.ctime_ns;
}

/*
 * A path that is known to hold it, and after reading is still the file that was read then: its digest is not made once more, as the peer makes it in any case. To be
 * known it has to stand in a tree.
 */
static bool
read_known(struct desk *d, const struct wire_want_row *want, uint8_t *to)
{
	struct entry e;
	struct stat st;
	bool ok;
	int fd;

	if (!core_entry(d->core, want->path, &e) || e.type != ENTRY_FILE || e.size != want->size || memcmp(e.digest, want->digest, DIGEST_LEN) != 0)
		return false;
	if ((fd = beneath_open(d->root, want->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, false)) == -1)
		return false;
	ok = pread(fd, to, (size_t)want->size, 0) == (ssize_t)want->size && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_as_read(&st, &e);
	close(fd);
	return ok;
}

/* From where the peer knows it to be, from the store, or from where else it is. */
static bool
read_small(struct desk *d, const struct wire_want_row *want, uint8_t *to)
{
	uint32_t size = (uint32_t)want->size;
	struct err err;

	return read_known(d, want, to) || read_whole(open_sized(d, want->path, size), want->digest, size, to) ||
	    read_whole(store_read_fd(d->store, want->digest, &err), want->digest, size, to) ||
	    read_whole(open_elsewhere(d, want), want->digest, size, to);
}

/* As many as go in one message. */
static void
send_small(struct desk *d)
{
	static struct wire_small_row row[WIRE_ROWS_MAX];
	static uint8_t buf[WIRE_CHUNK];
	struct wire w = { .type = WIRE_SMALL, .small = { .row = row, .bytes = buf } };
	uint8_t *squeezed = NULL;
	size_t len;

	while (d->sending != NULL && is_small(d->sending) && w.small.rows < WIRE_ROWS_MAX && w.small.plain + d->sending->want.size <= sizeof buf) {
		const struct wire_want_row *want = &d->sending->want;

		if (read_small(d, want, buf + w.small.plain)) {
			memcpy(row[w.small.rows].digest, want->digest, DIGEST_LEN);
			w.small.plain += row[w.small.rows++].size = (uint32_t)want->size;
		} else {
			say_absent(d, want->digest);
		}
		end_first(d);
	}
	if (w.small.rows == 0)
		return;
	w.small.len = w.small.plain;
	if (w.small.plain >= SQUEEZE_MIN && (squeezed = zstd_compress(buf, w.small.plain, &len)) != NULL) {
		w.small.bytes = squeezed;
		w.small.len = (uint32_t)len;
	}
	desk_send(d, &w);
	free(squeezed);
}

/* The next piece of a large one. */
static void
send_piece(struct desk *d, struct sending *s)
{
	static uint8_t buf[WIRE_CHUNK];
	uint64_t left = s->want.size - s->want.offset;
	struct wire w = { .type = WIRE_CONTENT };
	uint8_t *squeezed;
	ssize_t n = -1;
	struct err err;
	size_t len;

	if (s->fd == -1 && (s->fd = open_sized(d, s->want.path, s->want.size)) == -1 && (s->fd = store_read_fd(d->store, s->want.digest, &err)) == -1)
		s->fd = open_elsewhere(d, &s->want);
	if (s->fd != -1)
		n = pread(s->fd, buf, left < sizeof buf ? (size_t)left : sizeof buf, (off_t)s->want.offset);
	if (n <= 0) {		/* nowhere, or it became shorter meanwhile: its news will come */
		say_absent(d, s->want.digest);
		end_first(d);
		return;
	}
	memcpy(w.content.digest, s->want.digest, DIGEST_LEN);
	w.content.offset = s->want.offset;
	w.content.size = s->want.size;
	w.content.plain = (uint32_t)n;
	squeezed = n >= SQUEEZE_MIN ? zstd_compress(buf, (size_t)n, &len) : NULL;
	w.content.bytes = squeezed != NULL ? squeezed : buf;
	w.content.len = squeezed != NULL ? (uint32_t)len : (uint32_t)n;
	desk_send(d, &w);
	free(squeezed);
	s->want.offset += (uint64_t)n;
	if (s->want.offset == s->want.size)
		end_first(d);
}

bool
desk_serve_next(struct desk *d)
{
	if (d->sending == NULL)
		return false;
	if (is_small(d->sending))
		send_small(d);
	else
		send_piece(d, d->sending);
	return true;
}
