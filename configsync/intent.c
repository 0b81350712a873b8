/*
 * configsync/intent.c - records of what is about to be put in place: each MAGIC, the length of what follows, that, and its SHA-256.
 */
#include "configsync/intent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "configsync/arena.h"
#include "configsync/bytes.h"

#define MAGIC 0x4d504931u	/* MPI1 */
#define FILE_MAX (256u << 20)	/* more than 8,192 changes, with all attributes they may have, is not noted at once */

struct intent { int fd; off_t len; };

struct intent *
intent_open(const char *dir, struct err *err)
{
	struct intent *in;
	char path[PATH_MAX];
	struct stat st;
	int fd;
	bool ok;

	snprintf(path, sizeof path, "%s/config.intent", dir);
	fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd == -1)
		return (void)err_set(err, errno, "%s cannot be opened: %s", path, strerror(errno)), NULL;
	ok = fstat(fd, &st) == 0 && fchmod(fd, 0600) == 0 ? S_ISREG(st.st_mode) || err_set(err, 0, "%s is no file: move it away", path) :
	    err_set(err, errno, "%s cannot be looked at: %s", path, strerror(errno));
	if (!ok) {
		close(fd);
		return NULL;
	}
	in = need(calloc(1, sizeof *in));
	*in = (struct intent){ fd, st.st_size };
	return in;
}

void
intent_close(struct intent *in)
{
	if (in == NULL)
		return;
	close(in->fd);
	free(in);
}

/* ---------------------------------------------------------------- writing */

static void
put_rows(struct bytes_out *o, const struct core_origin *from, const struct core_store_row *row, size_t rows)
{
	bytes_put_text(o, from->name);
	bytes_put_text(o, from->node);
	bytes_put_text(o, from->who);
	bytes_put_text(o, from->why);
	bytes_put(o, from->cause, 1);
	bytes_put(o, from->wall_ms, 8);
	for (size_t i = 0; i < rows; i++) {
		size_t len = 0;
		uint8_t *entry = row[i].entry == NULL ? NULL : manifest_encode_entry(row[i].entry, &len);

		bytes_put_text(o, row[i].path);
		bytes_put(o, row[i].stamp, 8);
		bytes_put_block(o, entry, len, 4);	/* of none nothing */
		free(entry);
	}
}

bool
intent_note(struct intent *in, const struct core_origin *from, const struct core_store_row *row, size_t rows, struct err *err)
{
	struct bytes_out o = { 0 };
	uint8_t digest[DIGEST_LEN];
	ssize_t done;
	size_t begin;

	if (rows == 0)
		return true;
	bytes_put(&o, MAGIC, 4);
	begin = bytes_put_begin(&o);
	put_rows(&o, from, row, rows);
	bytes_put_end(&o, begin);
	digest_sha256(o.at + begin, o.len - begin, digest);
	bytes_put_block(&o, digest, DIGEST_LEN, 0);
	done = write(in->fd, o.at, o.len);
	if (done >= 0 && (size_t)done < o.len)
		errno = ENOSPC;
	free(o.at);
	if (done >= 0 && (size_t)done == o.len) {
		in->len += done;
		return true;
	}
	err_set(err, errno, "what is about to be put in place cannot be written down in config.intent: %s", strerror(errno));
	if (ftruncate(in->fd, in->len) == -1)	/* half a record would hide those after it */
		in->len = -1;
	return false;
}

bool
intent_clear(struct intent *in, struct err *err)
{
	if (in->len == 0)
		return true;
	if (ftruncate(in->fd, 0) == -1)
		return err_set(err, errno, "config.intent cannot be emptied: %s", strerror(errno));
	in->len = 0;
	return true;
}

/* ---------------------------------------------------------------- reading */

struct reading {
	struct bytes_in in;
	struct core_origin from;
	void (*visit)(void *, const struct core_store_row *, const struct core_origin *);
	void *arg;
};

static void
get_row(struct reading *r)
{
	struct core_store_row row = { .common = true, .mine = true };
	char path[ENTRY_PATH_MAX + 1];
	struct manifest *m = manifest_new();
	struct err err;
	const uint8_t *entry;
	size_t len;

	row.path = bytes_get_text(&r->in, 1, ENTRY_PATH_MAX, path, "bad path");
	row.stamp = bytes_get(&r->in, 8);
	len = bytes_get(&r->in, 4);
	entry = bytes_get_block(&r->in, len);
	if (r->in.bad == NULL && len > 0 && !manifest_parse_entry(m, entry, len, &err))
		r->in.bad = "bad entry";
	if (r->in.bad == NULL) {
		row.entry = len > 0 ? &m->at[0] : NULL;
		r->visit(r->arg, &row, &r->from);
	}
	manifest_free(m);
}

static void
get_rows(struct reading *r)
{
	uint64_t cause;

	bytes_get_text(&r->in, 0, sizeof r->from.name - 1, r->from.name, "bad name of a set");
	bytes_get_text(&r->in, 0, sizeof r->from.node - 1, r->from.node, "bad name of a node");
	bytes_get_text(&r->in, 0, sizeof r->from.who - 1, r->from.who, "bad name of a user");
	bytes_get_text(&r->in, 0, sizeof r->from.why - 1, r->from.why, "bad reason");
	cause = bytes_get(&r->in, 1);
	r->from.cause = cause < STORE_CAUSE_COUNT ? (enum store_cause)cause : STORE_APPLIED;
	r->from.wall_ms = bytes_get(&r->in, 8);
	while (r->in.bad == NULL && r->in.left > 0)
		get_row(r);
}

/* The next record, into r; false: there is none, or none that can be trusted. */
static bool
next_record(struct bytes_in *in, struct reading *r)
{
	uint8_t digest[DIGEST_LEN];
	bool magic = bytes_get(in, 4) == MAGIC;
	size_t len = bytes_get(in, 4);
	const uint8_t *bytes = bytes_get_block(in, len), *said = bytes_get_block(in, DIGEST_LEN);

	if (in->bad != NULL || !magic)
		return false;
	digest_sha256(bytes, len, digest);
	r->in = (struct bytes_in){ .at = bytes, .left = len };
	return digest_equal(digest, said, DIGEST_LEN);
}

bool
intent_each(struct intent *in, void (*visit)(void *, const struct core_store_row *, const struct core_origin *), void *arg, struct err *err)
{
	struct reading r = { .visit = visit, .arg = arg };
	size_t len = in->len > FILE_MAX ? FILE_MAX : (size_t)in->len, have = 0;
	uint8_t *bytes = need(malloc(len + 1));
	struct bytes_in all;
	ssize_t n = 1;

	while (n > 0 && have < len && (n = pread(in->fd, bytes + have, len - have, (off_t)have)) > 0)
		have += (size_t)n;
	all = (struct bytes_in){ .at = bytes, .left = have };
	while (n >= 0 && next_record(&all, &r))
		get_rows(&r);
	free(bytes);
	return n >= 0 || err_set(err, errno, "config.intent cannot be read: %s", strerror(errno));
}
