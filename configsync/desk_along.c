/*
 * configsync/desk_along.c - contents of small files, which came with the news or were asked for, until they are installed: in memory, as most
 * of them are gone within milliseconds. What came with the news and has no room is asked for like any other content. And those that were read here a moment ago.
 *
 * The memory is shared with the worker that installs, as a private one would be copied page by page for what comes while it is at work. So what that
 * was lent is not wiped or written over before it has ended: what is let go of meanwhile is only out of the table.
 */
#include "configsync/desk_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/need.h"

#define BUCKETS 8192u
#define JUST_READ 16u		/* of an edit; of a whole tree they are read again when they are sent */
#define BYTES_MAX (49u << 20)	/* of two installations, each with the file that goes beyond: see core_limits */
#define BLOCK (4u << 20)
#define BLOCKS_MAX 16u		/* a little room is lost at the end of each */

/* Contents stand one behind the other; it is used anew when none of them is left. */
struct block { uint8_t *bytes; size_t used, contents; };

struct along { struct along *next; uint8_t digest[DIGEST_LEN]; uint32_t len, lent; struct block *in; uint8_t *bytes; };	/* lent: to which worker */

struct alongs {
	struct along	*bucket[BUCKETS], *gone;	/* gone: the worker's alone */
	struct block	 block[BLOCKS_MAX], *last;	/* last: what comes goes there, as far as it has room */
	size_t		 bytes;
	uint32_t	 worker;	/* number of the one that is at work, or was the last one */
	bool		 working;
};

/* ---------------------------------------------------------------- memory */

static bool
has_room(const struct block *b, size_t len)
{
	return b->bytes != NULL && BLOCK - b->used >= len;
}

/* NULL: there is none. */
static struct block *
room(struct alongs *all, size_t len)
{
	if (all->last != NULL && has_room(all->last, len))
		return all->last;
	for (struct block *b = all->block; b < all->block + BLOCKS_MAX; b++) {
		if (b->contents > 0)
			continue;
		if (b->bytes == NULL)
			b->bytes = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (b->bytes == MAP_FAILED)
			abort();
		b->used = 0;
		return all->last = b;
	}
	return NULL;
}

static void
give_back(struct block *b)
{
	if (b->bytes != NULL)
		munmap(b->bytes, BLOCK);
	*b = (struct block){ 0 };
}

static struct alongs *
of(struct desk *d)
{
	if (d->along == NULL)
		d->along = desk_alloc(sizeof *d->along);
	return d->along;
}

/* ---------------------------------------------------------------- the table */

static struct along **
find(struct alongs *all, const uint8_t digest[DIGEST_LEN])
{
	struct along **at = &all->bucket[(digest[0] | digest[1] << 8) % BUCKETS];

	while (*at != NULL && memcmp((*at)->digest, digest, DIGEST_LEN) != 0)
		at = &(*at)->next;
	return at;
}

uint8_t *
desk_along_begin(struct desk *d, size_t len)
{
	struct block *b = of(d)->bytes + len <= BYTES_MAX ? room(d->along, len) : NULL;

	return b == NULL ? NULL : b->bytes + b->used;
}

bool
desk_along_is(struct desk *d, const uint8_t digest[DIGEST_LEN], uint8_t *bytes, uint32_t len)
{
	struct along *one, **at = find(d->along, digest);
	uint8_t is[DIGEST_LEN];

	digest_sha256(bytes, len, is);
	if (*at != NULL || memcmp(is, digest, DIGEST_LEN) != 0)
		return false;
	one = need(malloc(sizeof *one));
	*one = (struct along){ .len = len, .in = d->along->last, .bytes = bytes };
	memcpy(one->digest, digest, DIGEST_LEN);
	*at = one;
	one->in->contents++;
	one->in->used = (size_t)(bytes - one->in->bytes) + len;
	d->along->bytes += len;
	return true;
}

void
desk_along_add(struct desk *d, const uint8_t digest[DIGEST_LEN], const uint8_t *bytes, uint32_t len)
{
	uint8_t *to = desk_along_begin(d, len);

	if (to != NULL && !desk_along_is(d, digest, memcpy(to, bytes, len), len))
		explicit_bzero(to, len);
}

bool
desk_along_room(const struct desk *d, uint64_t bytes)
{
	return (d->along == NULL ? 0 : d->along->bytes) + bytes <= BYTES_MAX;
}

bool
desk_along_has(const struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	return d->along != NULL && *find(d->along, digest) != NULL;
}

const uint8_t *
desk_along_bytes(const struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	const struct along *one = d->along == NULL ? NULL : *find(d->along, digest);

	return one == NULL ? NULL : one->bytes;
}

int
desk_along_fd(const struct desk *d, const uint8_t digest[DIGEST_LEN], struct err *err)
{
	const struct along *one = *find(d->along, digest);
	int fd = memfd_create("content", MFD_CLOEXEC);

	if (fd != -1 && pwrite(fd, one->bytes, one->len, 0) == (ssize_t)one->len)
		return fd;
	err_set(err, errno, "no memory for a content: %s", strerror(errno));
	if (fd != -1)
		close(fd);
	return -1;
}

/* ---------------------------------------------------------------- letting go */

static void
end(struct alongs *all, struct along *one)
{
	explicit_bzero(one->bytes, one->len);
	all->bytes -= one->len;
	if (--one->in->contents == 0)
		one->in->used = 0;
	free(one);
}

static void
drop(struct alongs *all, struct along **at)
{
	struct along *one = *at;

	*at = one->next;
	if (all->working && one->lent == all->worker) {
		one->next = all->gone;
		all->gone = one;
	} else {
		end(all, one);
	}
}

/* A burst does not stay in memory. */
static void
shrink(struct alongs *all)
{
	if (all->bytes > 0)
		return;
	for (struct block *b = all->block + 1; b < all->block + BLOCKS_MAX; b++)
		give_back(b);
	all->last = NULL;
}

void
desk_along_remove(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	struct along **at;

	if (d->along != NULL && *(at = find(d->along, digest)) != NULL) {
		drop(d->along, at);
		shrink(d->along);
	}
}

void
desk_along_lend(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	struct alongs *all = of(d);
	struct along *one = *find(all, digest);

	if (!all->working)
		all->worker++;
	all->working = true;
	if (one != NULL)
		one->lent = all->worker;
}

void
desk_along_returned(struct desk *d)
{
	struct alongs *all = of(d);

	all->working = false;
	while (all->gone != NULL) {
		struct along *one = all->gone;

		all->gone = one->next;
		end(all, one);
	}
	shrink(all);
}

void
desk_along_clear(struct desk *d)
{
	struct alongs *all = d->along;

	for (size_t b = 0; all != NULL && b < BUCKETS; b++)
		while (all->bucket[b] != NULL)
			drop(all, &all->bucket[b]);
	if (all == NULL || all->gone != NULL)
		return;
	for (size_t b = 0; b < BLOCKS_MAX; b++)
		give_back(&all->block[b]);
	free(all);
	d->along = NULL;
}

/* ---------------------------------------------------------------- just read */

void
desk_just_read(void *arg, const uint8_t digest[DIGEST_LEN], const uint8_t *bytes, size_t len)
{
	struct desk *d = arg;
	struct along *one;

	if (!d->linked || d->just_reads == JUST_READ || len == 0)
		return;
	one = need(malloc(sizeof *one + len));
	*one = (struct along){ .next = d->just_read, .len = (uint32_t)len, .bytes = (uint8_t *)(one + 1) };
	memcpy(one->digest, digest, DIGEST_LEN);
	memcpy(one->bytes, bytes, len);
	d->just_read = one;
	d->just_reads++;
}

uint8_t *
desk_take_read(struct desk *d, const struct entry *e)
{
	for (const struct along *one = d->just_read; one != NULL; one = one->next)
		if (one->len == e->size && memcmp(one->digest, e->digest, DIGEST_LEN) == 0)
			return memcpy(need(malloc(one->len)), one->bytes, one->len);
	return NULL;
}

void
desk_forget_read(struct desk *d)
{
	while (d->just_read != NULL) {
		struct along *one = d->just_read;

		d->just_read = one->next;
		explicit_bzero(one->bytes, one->len);
		free(one);
	}
	d->just_reads = 0;
}
