/*
 * configsync/spool.c - contents on their way from the peer. The directory is root's own, still nothing in it is followed.
 */
#include "configsync/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "configsync/arena.h"

#define BLOCK (64u << 10)

struct part {
	uint8_t			 digest[DIGEST_LEN];
	uint64_t		 size;		/* 0: left by an earlier run, and not begun in this one */
	uint64_t		 have;
	uint64_t		 grown_ms;	/* wall clock */
	bool			 whole;
	struct digest_stream	*stream;	/* of what is here; NULL: not begun */
};

struct spool {
	int			 dir;
	struct spool_limits	 limits;
	struct part		*at;		/* sorted by digest */
	size_t			 len, room;
};

/* ---------------------------------------------------------------- the table */

static size_t
place(const struct spool *s, const uint8_t digest[DIGEST_LEN], bool *ret_found)
{
	size_t low = 0, high = s->len;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = memcmp(s->at[middle].digest, digest, DIGEST_LEN);

		if (order < 0) {
			low = middle + 1;
		} else {
			high = middle;
			*ret_found = *ret_found || order == 0;
		}
	}
	return low;
}

static struct part *
find(const struct spool *s, const uint8_t digest[DIGEST_LEN])
{
	bool found;
	size_t i = place(s, digest, &found);

	return found ? &s->at[i] : NULL;
}

static struct part *
add(struct spool *s, const uint8_t digest[DIGEST_LEN])
{
	bool found;
	size_t i = place(s, digest, &found);

	if (s->len == s->room) {
		s->room = s->room == 0 ? 64 : 2 * s->room;
		s->at = need(reallocarray(s->at, s->room, sizeof *s->at));
	}
	memmove(&s->at[i + 1], &s->at[i], (s->len - i) * sizeof *s->at);
	s->len++;
	s->at[i] = (struct part){ .size = 0 };
	memcpy(s->at[i].digest, digest, DIGEST_LEN);
	return &s->at[i];
}

/* What it may grow to. */
static uint64_t
reserved(const struct part *p)
{
	return p->size > p->have ? p->size : p->have;
}

void
spool_totals(const struct spool *s, struct spool_totals *ret)
{
	*ret = (struct spool_totals){ .files = s->len };
	for (size_t i = 0; i < s->len; i++) {
		ret->bytes += s->at[i].have;
		ret->reserved += reserved(&s->at[i]);
	}
}

/* ---------------------------------------------------------------- files */

static int
part_open(const struct spool *s, const uint8_t digest[DIGEST_LEN], int flags)
{
	char name[DIGEST_HEX];

	return openat(s->dir, digest_hex(digest, DIGEST_LEN, name), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

static void
stream_drop(struct part *p)
{
	uint8_t unused[DIGEST_LEN];

	if (p->stream != NULL)
		digest_stream_end(p->stream, unused);
	p->stream = NULL;
}

static void
drop(struct spool *s, struct part *p)
{
	char name[DIGEST_HEX];

	unlinkat(s->dir, digest_hex(p->digest, DIGEST_LEN, name), 0);
	stream_drop(p);
	s->len--;
	memmove(p, p + 1, (size_t)(s->at + s->len - p) * sizeof *p);
}

/* True: of the bytes that are here a digest is under way. */
static bool
stream_begin(struct spool *s, struct part *p)
{
	uint64_t left = p->have;
	uint8_t buf[BLOCK];
	ssize_t n = 0;
	int fd;

	if (p->stream != NULL)
		return true;
	p->stream = digest_stream_new();
	if (left == 0)
		return true;
	if ((fd = part_open(s, p->digest, O_RDONLY)) == -1) {
		stream_drop(p);
		return false;
	}
	while (left > 0 && (n = read(fd, buf, left < sizeof buf ? (size_t)left : sizeof buf)) > 0) {
		digest_stream_add(p->stream, buf, (size_t)n);
		left -= (uint64_t)n;
	}
	close(fd);
	if (left > 0)
		stream_drop(p);
	return left == 0;
}

/* All of it is here: is it what it should be? */
static bool
settle(struct spool *s, struct part *p, struct err *err)
{
	uint8_t digest[DIGEST_LEN];
	char name[DIGEST_HEX];

	digest_stream_end(p->stream, digest);
	p->stream = NULL;
	p->whole = digest_equal(digest, p->digest, DIGEST_LEN);
	if (p->whole)
		return true;
	err_set(err, EBADMSG, "content %.16s... from the peer: its %llu bytes have another digest, so they are thrown away",
	    digest_hex(p->digest, DIGEST_LEN, name), (unsigned long long)p->size);
	drop(s, p);
	return false;
}

static bool
hex_digest(const char *name, uint8_t ret[DIGEST_LEN])
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(name) != DIGEST_HEX - 1 || strspn(name, digits) != DIGEST_HEX - 1)
		return false;
	for (size_t i = 0; i < DIGEST_LEN; i++)
		ret[i] = (uint8_t)((strchr(digits, name[2 * i]) - digits) << 4 | (strchr(digits, name[2 * i + 1]) - digits));
	return true;
}

/* Whatever else stands there is not ours to judge. */
static bool
gather(struct spool *s)
{
	int fd = fcntl(s->dir, F_DUPFD_CLOEXEC, 0);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	uint8_t digest[DIGEST_LEN];
	struct dirent *d;
	struct stat st;

	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return false;
	}
	while ((d = readdir(dir)) != NULL) {
		if (!hex_digest(d->d_name, digest) || fstatat(s->dir, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		if (!S_ISREG(st.st_mode) || st.st_size == 0) {
			unlinkat(s->dir, d->d_name, 0);
		} else {
			struct part *p = add(s, digest);

			p->have = (uint64_t)st.st_size;
			p->grown_ms = (uint64_t)st.st_mtim.tv_sec * 1000;
		}
	}
	closedir(dir);
	return true;
}

bool
spool_open(const char *dir, const struct spool_limits *limits, struct spool **ret, struct err *err)
{
	struct spool *s;
	struct stat st;
	int fd;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return err_set(err, errno, "cannot make %s", dir);
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) == -1)
		return err_set(err, errno, "cannot open the directory %s", dir);
	if (fstat(fd, &st) == -1 || st.st_uid != geteuid() || fchmod(fd, 0700) == -1) {
		close(fd);
		return err_set(err, 0, "%s belongs to user %u: it should be this program's own (%u), with mode 0700", dir, (unsigned int)st.st_uid,
		    (unsigned int)geteuid());
	}
	s = need(calloc(1, sizeof *s));
	s->dir = fd;
	s->limits = *limits;
	if (!gather(s)) {
		err_set(err, errno, "cannot read the directory %s", dir);
		spool_close(s);
		return false;
	}
	*ret = s;
	return true;
}

bool
spool_again(struct spool *s, const char *dir, struct err *err)
{
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return s->dir != -1 || err_set(err, errno, "%s cannot be opened", dir);
}

void
spool_close(struct spool *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->len; i++)
		stream_drop(&s->at[i]);
	free(s->at);
	close(s->dir);
	free(s);
}

/* ---------------------------------------------------------------- a content */

/* Is there room for more bytes and files? Leftovers give way, the longest idle first. */
static bool
room_for(struct spool *s, uint64_t more, size_t files, const uint8_t but[DIGEST_LEN])
{
	struct spool_totals now;

	for (;;) {
		struct part *oldest = NULL;

		spool_totals(s, &now);
		if (now.reserved <= s->limits.bytes && more <= s->limits.bytes - now.reserved && now.files + files <= s->limits.files)
			return true;
		for (struct part *p = s->at; p < s->at + s->len; p++) {
			if (p->size == 0 && memcmp(p->digest, but, DIGEST_LEN) != 0 && (oldest == NULL || p->grown_ms < oldest->grown_ms))
				oldest = p;
		}
		if (oldest == NULL)
			return false;
		drop(s, oldest);
	}
}

static bool
too_much(const struct spool *s, uint64_t size, struct err *err)
{
	struct spool_totals now;

	spool_totals(s, &now);
	return err_set(err, EDQUOT, "a content of %llu bytes from the peer: %zu contents of %llu bytes are under way; at most %zu of %llu, and %llu each",
	    (unsigned long long)size, now.files, (unsigned long long)now.reserved, s->limits.files, (unsigned long long)s->limits.bytes,
	    (unsigned long long)s->limits.one);
}

bool
spool_begin(struct spool *s, const uint8_t digest[DIGEST_LEN], uint64_t size, uint64_t *ret_have, struct err *err)
{
	struct part *p = find(s, digest);
	uint64_t now = p == NULL ? 0 : reserved(p);

	if (p != NULL && p->whole && p->size != size)
		return err_set(err, EINVAL, "a content from the peer of %llu bytes is said to have %llu", (unsigned long long)p->size,
		    (unsigned long long)size);
	if (p != NULL && p->have > size) {	/* left by a run that knew it longer: it cannot be right */
		drop(s, p);
		p = NULL;
		now = 0;
	}
	if (size > s->limits.one || !room_for(s, size > now ? size - now : 0, p == NULL, digest))
		return too_much(s, size, err);
	p = find(s, digest);	/* others may have been dropped before it */
	if (p == NULL)
		p = add(s, digest);
	p->size = size;
	if (p->grown_ms == 0)
		p->grown_ms = clock_wall_ms();
	if (p->have == size && !p->whole) {
		if (!stream_begin(s, p) || !settle(s, p, NULL))
			return spool_remove(s, digest), spool_begin(s, digest, size, ret_have, err);
	}
	*ret_have = p->have;
	return true;
}

bool
spool_append(struct spool *s, const uint8_t digest[DIGEST_LEN], uint64_t offset, const void *bytes, size_t len, bool *ret_whole, struct err *err)
{
	struct part *p = find(s, digest);
	int fd, sys = 0;

	if (p == NULL || p->size == 0)
		return err_set(err, ENOENT, "a piece of a content from the peer that was not asked for");
	if (offset != p->have || len > p->size - p->have)
		return err_set(err, EINVAL, "%zu bytes at offset %llu of a content from the peer: %llu of its %llu bytes are here", len,
		    (unsigned long long)offset, (unsigned long long)p->have, (unsigned long long)p->size);
	if (!stream_begin(s, p)) {
		drop(s, p);
		return err_set(err, EIO, "the first %llu bytes of a content from the peer cannot be read again, so they are thrown away",
		    (unsigned long long)offset);
	}
	fd = part_open(s, digest, O_WRONLY | O_CREAT | (p->have == 0 ? O_TRUNC : 0));
	for (size_t done = 0; fd != -1 && done < len && sys == 0; ) {
		ssize_t n = pwrite(fd, (const uint8_t *)bytes + done, len - done, (off_t)p->have);

		if (n > 0) {
			digest_stream_add(p->stream, (const uint8_t *)bytes + done, (size_t)n);
			done += (size_t)n;
			p->have += (uint64_t)n;
		} else if (errno != EINTR) {
			sys = errno;
		}
	}
	if (fd == -1 || sys != 0) {
		err_set(err, sys != 0 ? sys : errno, "a content from the peer cannot be written after its first %llu bytes", (unsigned long long)p->have);
		if (fd != -1)
			close(fd);
		return false;
	}
	close(fd);
	p->grown_ms = clock_wall_ms();
	*ret_whole = p->have == p->size;
	return !*ret_whole || settle(s, p, err);
}

int
spool_fd(struct spool *s, const uint8_t digest[DIGEST_LEN], struct err *err)
{
	const struct part *p = find(s, digest);
	char name[DIGEST_HEX];
	int fd;

	if (p == NULL || !p->whole)
		return err_set(err, ENOENT, "content %.16s... has not come from the peer", digest_hex(digest, DIGEST_LEN, name)), -1;
	if ((fd = part_open(s, digest, O_RDONLY)) == -1)
		err_set(err, errno, "cannot open content %.16s... that came from the peer", digest_hex(digest, DIGEST_LEN, name));
	return fd;
}

void
spool_remove(struct spool *s, const uint8_t digest[DIGEST_LEN])
{
	struct part *p = find(s, digest);

	if (p != NULL)
		drop(s, p);
}

size_t
spool_sweep(struct spool *s, bool (*wanted)(void *arg, const uint8_t digest[DIGEST_LEN]), void *arg, uint64_t older_than_ms)
{
	uint64_t now = clock_wall_ms();
	size_t before = s->len;

	for (size_t i = s->len; i-- > 0; ) {
		struct part *p = &s->at[i];
		/* of a time that has not come yet nothing is known */
		bool old = older_than_ms == 0 || p->grown_ms > now || now - p->grown_ms >= older_than_ms;

		if (old && !wanted(arg, p->digest))
			drop(s, p);
	}
	return before - s->len;
}
