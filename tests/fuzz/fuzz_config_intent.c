/*
 * tests/fuzz/fuzz_config_intent.c - any bytes as config.intent and as its attribute (configsync/intent.h): what can be trusted is read, and is the same when it is
 * read again; a new record comes behind it. The first two bytes say how long the attribute is. Checksums are made right, since no fuzzer guesses SHA-256.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "configsync/intent.h"

#define LEN_MAX 8192u
#define ATTRIBUTE_MAX 1024u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char dir[] = "/tmp/mailpair-fuzz.XXXXXX", path[64];

static void
must(bool law)
{
	if (!law)
		abort();
}

static void
leave(void)
{
	unlink(path);
	rmdir(dir);
}

static void
begin(void)
{
	must(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/config.intent", dir);
	atexit(leave);
}

/* Of each record that is there as a whole. */
static void
make_right(uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (len - at >= 8 && memcmp(bytes + at, "MPI1", 4) == 0) {
		size_t body = (size_t)bytes[at + 4] << 24 | (size_t)bytes[at + 5] << 16 | (size_t)bytes[at + 6] << 8 | bytes[at + 7];

		if (body > len - at - 8 || len - at - 8 - body < DIGEST_LEN)
			return;
		digest_sha256(bytes + at + 8, body, bytes + at + 8 + body);
		at += 8 + body + DIGEST_LEN;
	}
}

/* What was read: how many rows, and what they say. */
struct all { size_t rows, marks; uint8_t digest[DIGEST_LEN]; };

static void
row(void *arg, const struct core_store_row *r, const struct core_origin *from)
{
	struct all *all = arg;
	uint8_t both[2 * DIGEST_LEN];

	must(r->path != NULL && r->path[0] != '\0' && strlen(r->path) <= ENTRY_PATH_MAX && from->cause < STORE_CAUSE_COUNT);
	must(memchr(from->node, '\0', sizeof from->node) != NULL && memchr(from->why, '\0', sizeof from->why) != NULL);
	memcpy(both, all->digest, DIGEST_LEN);
	digest_sha256(r->path, strlen(r->path), both + DIGEST_LEN);
	digest_sha256(both, sizeof both, all->digest);
	all->rows++;
	all->marks += strcmp(from->why, "the mark of the fuzzer") == 0;
}

static struct all
read_all(struct intent *in)
{
	struct all all = { 0 };
	struct err err;

	must(intent_each(in, row, &all, &err));
	return all;
}

static struct all
read_new(const uint8_t *file, size_t len, const uint8_t *attribute, size_t attribute_len)
{
	struct intent *in;
	struct all all;
	struct err err;
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	must(write(fd, file, len) == (ssize_t)len);
	if (attribute != NULL)
		fsetxattr(fd, "user.mailpair.intent", attribute, attribute_len, 0);	/* or it has no room there */
	close(fd);
	must((in = intent_open(dir, &err)) != NULL);
	all = read_all(in);
	intent_close(in);
	return all;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct core_origin from = { .cause = STORE_APPLIED, .why = "the mark of the fuzzer" };
	struct core_store_row mark = { .path = "etc/hosts", .stamp = 1 };
	static uint8_t bytes[LEN_MAX];
	struct intent *in;
	struct all alone, first, again;
	struct err err;
	size_t attribute;

	if (path[0] == '\0')
		begin();
	if (len < 2 || len - 2 > LEN_MAX)
		return 0;
	attribute = ((size_t)data[0] << 8 | data[1]) % (ATTRIBUTE_MAX + 1);
	len -= 2;
	attribute = attribute > len ? len : attribute;
	if (len > 0)
		memcpy(bytes, data + 2, len);
	make_right(bytes, attribute);
	make_right(bytes + attribute, len - attribute);
	alone = read_new(bytes + attribute, len - attribute, NULL, 0);
	first = read_new(bytes + attribute, len - attribute, bytes, attribute);
	must(first.rows >= alone.rows);
	if (attribute <= len - attribute && memcmp(bytes, bytes + attribute, attribute) == 0)
		must(first.rows == alone.rows);		/* the file has that record */
	must((in = intent_open(dir, &err)) != NULL && getxattr(path, "user.mailpair.intent", NULL, 0) == -1);
	again = read_all(in);
	must(again.rows == first.rows && memcmp(again.digest, first.digest, DIGEST_LEN) == 0);
	must(intent_note(in, &from, &mark, 1, true, &err) && intent_hold(in, &err));
	again = read_all(in);
	must(again.rows == first.rows + 1 && again.marks == first.marks + 1);
	intent_close(in);
	return 0;
}
