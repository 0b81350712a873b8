/*
 * configsync/intent.c - records of what is about to be put in place: each MAGIC, the length of what follows, that, and its SHA-256. Zeros stand behind
 * them: the file keeps its blocks, so that to write a record changes nothing but their bytes.
 *
 * Where a journal orders what reaches the disk (ordered.h), the newest record stands in an attribute of the file as well: it is in the journal before the names that
 * change afterwards, so nobody waits for the disk. What is before it in the file has reached the disk's own memory by then, as its write was begun when the names
 * had changed. A record that is too long for an attribute is begun to be written when it is noted, and has reached that memory when the new files stand ready.
 */
#include "configsync/intent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "configsync/arena.h"
#include "configsync/bytes.h"
#include "configsync/ordered.h"

#define MAGIC 0x4d504931u	/* MPI1 */
#define ROOM (64u << 10)	/* records of some hundred changes, until they are in the store */
#define NEWEST "user.mailpair.intent"
#define NEWEST_MAX 1024u	/* bytes that ext4 and XFS keep in the journal as they are; where there is less room for attributes, the file does */
#define FILE_MAX (256u << 20)	/* more than 8,192 changes, with all attributes they may have, is not noted at once */

/*
 * Up to room all blocks are on the disk already, and overwritten in place; what is before fresh may still have to be written. wait: for the disk, as the
 * names that change are of another one, or the bytes are not all of it. kept: of len, after the last intent_clear(). newest: the last record is in the attribute, which has
 * all that is noted and not on the disk. attribute: there is one.
 */
struct intent { int fd; off_t len, room, fresh, kept; dev_t dev; bool in_place, ordered, wait, newest, attribute; };

/* ---------------------------------------------------------------- the file */

static bool
put(struct intent *in, const uint8_t *bytes, size_t len, off_t at)
{
	ssize_t done = pwrite(in->fd, bytes, len, at);

	in->fresh = at + (off_t)len > in->fresh ? at + (off_t)len : in->fresh;
	if (done >= 0 && (size_t)done < len)
		errno = ENOSPC;
	return done >= 0 && (size_t)done == len;
}

/* All that was put has left this machine: that is enough within the room of a file system that writes in place. */
static bool
is_brought(struct intent *in)
{
	const unsigned int all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

	if (in->fresh > 0 && sync_file_range(in->fd, 0, in->fresh, all) == -1)
		return false;
	in->fresh = 0;
	return true;
}

static void
send_off(const struct intent *in)
{
	if (in->in_place && in->fresh > 0)
		sync_file_range(in->fd, 0, in->fresh, SYNC_FILE_RANGE_WRITE);
}

/* From there to the end, and nothing behind the room. */
static bool
put_zeros(struct intent *in, off_t at, off_t end)
{
	size_t len = (size_t)((end < in->room ? end : in->room) - at);
	uint8_t *zeros = need(calloc(1, len + 1));
	bool ok = len == 0 || put(in, zeros, len, at);

	free(zeros);
	return ok;
}

static uint8_t *
get_all(const struct intent *in, off_t len, size_t *ret, struct err *err)
{
	size_t most = len > FILE_MAX ? FILE_MAX : (size_t)len, have = 0;
	uint8_t *bytes = need(malloc(most + 1));
	ssize_t n = 1;

	while (n > 0 && have < most && (n = pread(in->fd, bytes + have, most - have, (off_t)have)) > 0)
		have += (size_t)n;
	*ret = have;
	if (n >= 0)
		return bytes;
	free(bytes);
	return (void)err_set(err, errno, "config.intent cannot be read"), NULL;
}

/* The next record; false: there is none, or none that can be trusted. */
static bool
next_record(struct bytes_in *in, struct bytes_in *ret)
{
	uint8_t digest[DIGEST_LEN];
	bool magic = bytes_get(in, 4) == MAGIC;
	size_t len = bytes_get(in, 4);
	const uint8_t *bytes = bytes_get_block(in, len), *said = bytes_get_block(in, DIGEST_LEN);

	if (in->bad != NULL || !magic)
		return false;
	digest_sha256(bytes, len, digest);
	*ret = (struct bytes_in){ .at = bytes, .left = len };
	return digest_equal(digest, said, DIGEST_LEN);
}

/* The record of the attribute, where it can be trusted and the file has it not; NULL. Before its end, which is in->len, the file has all that is older. */
static uint8_t *
get_newest(const struct intent *in, struct bytes_in all, size_t *ret)
{
	uint8_t *bytes = need(malloc(NEWEST_MAX));
	ssize_t n = fgetxattr(in->fd, NEWEST, bytes, NEWEST_MAX);
	struct bytes_in own = { .at = bytes, .left = n > 0 ? (size_t)n : 0 }, one, is;
	bool missing = next_record(&own, &one) && own.left == 0;

	while (missing && next_record(&all, &is))
		missing = is.left != one.left || memcmp(is.at, one.at, one.left) != 0;
	*ret = n > 0 ? (size_t)n : 0;
	if (missing)
		return bytes;
	free(bytes);
	return NULL;
}

/* What can be trusted stays, and the rest is room. With no room on the disk each record is waited for. */
static bool
make_room(struct intent *in, off_t size, struct err *err)
{
	struct bytes_in all, one;
	uint8_t *bytes, *newest;
	size_t have, len;

	if ((bytes = get_all(in, size, &have, err)) == NULL)
		return false;
	all = (struct bytes_in){ .at = bytes, .left = have };
	newest = get_newest(in, all, &len);
	while (next_record(&all, &one))
		in->len = (off_t)(have - all.left);
	free(bytes);
	if (newest != NULL && !put(in, newest, len, in->len)) {
		free(newest);
		return err_set(err, errno, "config.intent cannot be written");
	}
	in->len += newest != NULL ? (off_t)len : 0;
	free(newest);
	in->room = in->len < (off_t)ROOM ? (off_t)ROOM : in->len;
	if (!put_zeros(in, in->len, in->room) || ftruncate(in->fd, in->room) == -1 || fdatasync(in->fd) == -1)
		in->room = 0;
	in->attribute = fgetxattr(in->fd, NEWEST, NULL, 0) >= 0 && (in->room == 0 || fremovexattr(in->fd, NEWEST) == -1);
	in->fresh = 0;
	return true;
}

struct intent *
intent_open(const char *dir, struct err *err)
{
	struct intent *in;
	char path[PATH_MAX];
	struct statfs fs;
	struct stat st;
	int fd;
	bool ok;

	snprintf(path, sizeof path, "%s/config.intent", dir);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd == -1)
		return (void)err_set(err, errno, "%s cannot be opened", path), NULL;
	ok = fstat(fd, &st) == 0 && fchmod(fd, 0600) == 0 ? S_ISREG(st.st_mode) || err_set(err, 0, "%s is no file: move it away", path) :
	    err_set(err, errno, "%s cannot be looked at", path);
	in = need(calloc(1, sizeof *in));
	*in = (struct intent){ .fd = fd, .dev = ok ? st.st_dev : 0,
		.in_place = ok && fstatfs(fd, &fs) == 0 && (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC),
		.ordered = ok && ordered_by_journal(fd) };
	if (ok && make_room(in, st.st_size, err))
		return in;
	intent_close(in);
	return NULL;
}

bool
intent_again(struct intent *in, const char *dir, struct err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/config.intent", dir);
	in->fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return in->fd != -1 || err_set(err, errno, "%s cannot be opened", path);
}

void
intent_close(struct intent *in)
{
	if (in == NULL)
		return;
	close(in->fd);
	free(in);
}

dev_t
intent_device(const struct intent *in)
{
	return in->dev;
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

static void
put_record(struct bytes_out *o, const struct core_origin *from, const struct core_store_row *row, size_t rows)
{
	uint8_t digest[DIGEST_LEN];
	size_t begin;

	bytes_put(o, MAGIC, 4);
	begin = bytes_put_begin(o);
	put_rows(o, from, row, rows);
	bytes_put_end(o, begin);
	digest_sha256(o->at + begin, o->len - begin, digest);
	bytes_put_block(o, digest, DIGEST_LEN, 0);
}

/* What is before it in the file is on the disk, then. */
static bool
keep_newest(struct intent *in, const uint8_t *record, size_t len)
{
	bool done = in->ordered && !in->wait && len <= NEWEST_MAX && fsetxattr(in->fd, NEWEST, record, len, 0) == 0;

	in->attribute = in->attribute || done;
	return done;
}

bool
intent_note(struct intent *in, const struct core_origin *from, const struct core_store_row *row, size_t rows, bool here, struct err *err)
{
	struct bytes_out o = { 0 };

	if (rows == 0)
		return true;
	put_record(&o, from, row, rows);
	in->wait = in->wait || !here || !in->in_place || (in->ordered && !is_brought(in)) || in->len + (off_t)o.len > in->room;
	if (!put(in, o.at, o.len, in->len)) {	/* the next one takes its place */
		err_set(err, errno, "what is about to be put in place cannot be written down in config.intent");
		free(o.at);
		return false;
	}
	in->newest = keep_newest(in, o.at, o.len);
	if (!in->newest)
		send_off(in);
	in->len += (off_t)o.len;
	free(o.at);
	return true;
}

bool
intent_hold(struct intent *in, struct err *err)
{
	if (in->fresh == 0 || in->newest)
		return true;
	if (in->wait || !is_brought(in)) {
		if (fdatasync(in->fd) == -1)
			return err_set(err, errno, "what is about to be put in place cannot be brought to the disk in config.intent");
		in->room = in->len > in->room ? in->len : in->room;
	}
	in->fresh = 0;
	in->wait = false;
	return true;
}

void
intent_rest(struct intent *in)
{
	if (in->newest)
		send_off(in);
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

bool
intent_each(struct intent *in, void (*visit)(void *, const struct core_store_row *, const struct core_origin *), void *arg, struct err *err)
{
	struct reading r = { .visit = visit, .arg = arg };
	size_t have;
	uint8_t *bytes = get_all(in, in->len, &have, err);
	struct bytes_in all = { .at = bytes, .left = have };

	if (bytes == NULL)
		return false;
	while (next_record(&all, &r.in))
		get_rows(&r);
	free(bytes);
	return true;
}

/* ---------------------------------------------------------------- emptying */

struct emptying { struct bytes_out out; bool (*stays)(const void *, const char *path); const void *arg; };

static void
keep_row(void *arg, const struct core_store_row *row, const struct core_origin *from)
{
	struct emptying *e = arg;

	if (e->stays(e->arg, row->path))
		put_record(&e->out, from, row, 1);
}

/* In one write: a program that is killed leaves what was there, or what stays. */
static bool
put_instead(struct intent *in, const uint8_t *bytes, size_t len, off_t end)
{
	size_t all = (size_t)(end < in->room ? end : in->room);
	uint8_t *both = need(calloc(1, (all > len ? all : len) + 1));
	bool ok;

	if (len > 0)
		memcpy(both, bytes, len);
	ok = put(in, both, all > len ? all : len, 0);
	free(both);
	return ok;
}

/* What stays is on the disk before. */
static bool
forget_newest(struct intent *in)
{
	if (in->kept > 0 && (in->len > in->room || !is_brought(in)) && fdatasync(in->fd) == -1)	/* beyond the room the bytes are not all of it */
		return false;
	send_off(in);
	in->newest = false;
	in->attribute = in->attribute && fremovexattr(in->fd, NEWEST) == -1;
	return !in->attribute;
}

bool
intent_clear(struct intent *in, bool (*stays)(const void *, const char *path), const void *arg, struct err *err)
{
	struct emptying e = { .stays = stays, .arg = arg };
	off_t end = in->len;
	bool ok;

	if (end == 0 || (stays != NULL && in->kept > 0 && end - in->kept < (off_t)ROOM))
		return true;
	if (stays != NULL && !intent_each(in, keep_row, &e, err)) {
		free(e.out.at);
		return false;
	}
	in->len = in->kept = (off_t)e.out.len;
	in->wait = false;	/* what a worker has waited for, the other process does not know */
	in->room = in->room > (off_t)ROOM ? (off_t)ROOM : in->room;
	ok = put_instead(in, e.out.at, e.out.len, end) && (!in->ordered || forget_newest(in)) && (end <= in->room || ftruncate(in->fd, in->room > in->len ? in->room : in->len) == 0);
	free(e.out.at);
	return ok || err_set(err, errno, "config.intent cannot be emptied");
}
