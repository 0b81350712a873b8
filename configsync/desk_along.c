/*
 * configsync/desk_along.c - contents of small files, which came with the news or were asked for, until they are installed: in memory, as most
 * of them are gone within milliseconds. What came with the news and has no room is asked for like any other content. And those that were read here a moment ago.
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

struct along { struct along *next; uint8_t digest[DIGEST_LEN]; uint32_t len; uint8_t bytes[]; };

struct alongs { struct along *bucket[BUCKETS]; size_t bytes; };

static struct along **
find(struct alongs *all, const uint8_t digest[DIGEST_LEN])
{
	struct along **at = &all->bucket[(digest[0] | digest[1] << 8) % BUCKETS];

	while (*at != NULL && memcmp((*at)->digest, digest, DIGEST_LEN) != 0)
		at = &(*at)->next;
	return at;
}

void
desk_along_add(struct desk *d, const uint8_t digest[DIGEST_LEN], const uint8_t *bytes, uint32_t len)
{
	uint8_t is[DIGEST_LEN];
	struct along *one, **at;

	if (d->along == NULL)
		d->along = desk_alloc(sizeof *d->along);
	at = find(d->along, digest);
	digest_sha256(bytes, len, is);
	if (*at != NULL || d->along->bytes + len > BYTES_MAX || memcmp(is, digest, DIGEST_LEN) != 0)
		return;
	one = need(malloc(sizeof *one + len));		/* not zeroed, as all of it is written */
	*one = (struct along){ .len = len };
	memcpy(one->digest, digest, DIGEST_LEN);
	memcpy(one->bytes, bytes, len);
	*at = one;
	d->along->bytes += len;
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

static void
drop(struct alongs *all, struct along **at)
{
	struct along *one = *at;

	*at = one->next;
	all->bytes -= one->len;
	explicit_bzero(one->bytes, one->len);
	free(one);
}

void
desk_along_remove(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	struct along **at;

	if (d->along != NULL && *(at = find(d->along, digest)) != NULL)
		drop(d->along, at);
}

void
desk_along_clear(struct desk *d)
{
	for (size_t b = 0; d->along != NULL && b < BUCKETS; b++)
		while (d->along->bucket[b] != NULL)
			drop(d->along, &d->along->bucket[b]);
	free(d->along);
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
	*one = (struct along){ .next = d->just_read, .len = (uint32_t)len };
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
