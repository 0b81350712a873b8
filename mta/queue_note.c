/*
 * mta/queue_note.c - directories of a queue as they were when a check read them. See the header for what is promised.
 */
#include "mta/queue_note.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/durable.h"

#define HEAD "mailpair queue names 1\n"
#define NOTE_BYTES (1 << 20)
#define PATH_SIZE 4096

static int64_t
in_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void
queue_note_add(struct queue_note *note, const char *path, const struct stat *st, uint64_t now_ms)
{
	int64_t mtime = in_ns(st->st_mtim), ctime = in_ns(st->st_ctim), last = mtime > ctime ? mtime : ctime;
	struct queue_note_dir *dir;

	if (note->dirs == 0)
		note->whole = true;
	if (!note->whole || (int64_t)now_ms * 1000000 - last < QUEUE_NOTE_TICK_MS * INT64_C(1000000))
		return;
	if (note->dirs == QUEUE_NOTE_DIRS_MAX || strchr(path, '\n') != NULL) {
		note->whole = false;
		return;
	}
	if (note->dirs % 64 == 0) {
		dir = reallocarray(note->dir, note->dirs + 64, sizeof *dir);
		if (dir == NULL) {
			note->whole = false;
			return;
		}
		note->dir = dir;
	}
	dir = &note->dir[note->dirs];
	*dir = (struct queue_note_dir){ .path = strdup(path), .ino = (uint64_t)st->st_ino, .mtime_ns = mtime,
		.ctime_ns = ctime };
	note->whole = dir->path != NULL;
	note->dirs += dir->path != NULL;
}

void
queue_note_free(struct queue_note *note)
{
	for (size_t i = 0; i < note->dirs; i++)
		free(note->dir[i].path);
	free(note->dir);
	*note = (struct queue_note){ 0 };
}

/* ---------------------------------------------------------------- in run_dir */

/* "run_dir/queue-names.-var-spool-postfix": the end of a long root is enough, since the head says it in full. */
static void
note_path(const char *run_dir, const char *root, char *buf, size_t size)
{
	size_t len = strlen(root), from;

	snprintf(buf, size, "%s/queue-names.%s", run_dir, root + (len > 150 ? len - 150 : 0));
	from = strlen(run_dir) + 1;
	for (size_t i = from; i < size && buf[i] != '\0'; i++)
		if (buf[i] == '/')
			buf[i] = '-';
}

/* Which queue, which boot, which mount of it. False where that cannot be told. */
static bool
head_of(const char *root, char *buf, size_t size)
{
	char boot[64];
	struct statx at;

	if (durable_read("/proc/sys/kernel/random/boot_id", boot, sizeof boot, NULL) == -1 ||
	    statx(AT_FDCWD, root, 0, STATX_INO | STATX_MNT_ID, &at) == -1 || (at.stx_mask & STATX_MNT_ID) == 0)
		return false;
	boot[strcspn(boot, "\n")] = '\0';
	return (size_t)snprintf(buf, size, HEAD "boot %s\nmount %" PRIu64 " device %u:%u inode %" PRIu64 "\nroot %s\n", boot,
	    (uint64_t)at.stx_mnt_id, at.stx_dev_major, at.stx_dev_minor, (uint64_t)at.stx_ino, root) < size;
}

bool
queue_note_write(const struct queue_note *note, const char *run_dir, const char *root, struct err *err)
{
	char path[PATH_SIZE], head[PATH_SIZE + 256], *text;
	size_t len;
	bool ok;

	if (!note->whole || !head_of(root, head, sizeof head))
		return err_set(err, 0, "the directories of %s cannot be noted", root);
	text = malloc(NOTE_BYTES);
	if (text == NULL)
		return err_set(err, 0, "out of memory");
	len = (size_t)snprintf(text, NOTE_BYTES, "%s", head);
	for (size_t i = 0; i < note->dirs && len < NOTE_BYTES; i++)
		len += (size_t)snprintf(text + len, NOTE_BYTES - len, "dir %" PRIu64 " %" PRId64 " %" PRId64 " %s\n",
		    note->dir[i].ino, note->dir[i].mtime_ns, note->dir[i].ctime_ns, note->dir[i].path);
	if (len < NOTE_BYTES)
		len += (size_t)snprintf(text + len, NOTE_BYTES - len, "end\n");
	note_path(run_dir, root, path, sizeof path);
	ok = len < NOTE_BYTES ? durable_write(path, text, len, 0600, err) :
	    err_set(err, 0, "the directories of %s do not fit into %s", root, path);
	free(text);
	return ok;
}

static bool
take_line(struct queue_note *note, char *line)
{
	struct queue_note_dir dir = { 0 };
	struct queue_note_dir *room;
	int at = -1;

	if (sscanf(line, "dir %" SCNu64 " %" SCNd64 " %" SCNd64 "%n", &dir.ino, &dir.mtime_ns, &dir.ctime_ns, &at) != 3 ||
	    at == -1 || line[at] != ' ' || note->dirs == QUEUE_NOTE_DIRS_MAX)
		return false;
	if (note->dirs % 64 == 0) {
		room = reallocarray(note->dir, note->dirs + 64, sizeof *room);
		if (room == NULL)
			return false;
		note->dir = room;
	}
	dir.path = strdup(line + at + 1);
	if (dir.path == NULL)
		return false;
	note->dir[note->dirs++] = dir;
	return true;
}

void
queue_note_read(const char *run_dir, const char *root, struct queue_note *ret)
{
	char path[PATH_SIZE], head[PATH_SIZE + 256], *text = NULL, *rest, *line;

	*ret = (struct queue_note){ 0 };
	if (run_dir == NULL || !head_of(root, head, sizeof head) || (text = malloc(NOTE_BYTES)) == NULL)
		return;
	note_path(run_dir, root, path, sizeof path);
	if (durable_read(path, text, NOTE_BYTES, NULL) != -1 && strncmp(text, head, strlen(head)) == 0) {
		rest = text + strlen(head);
		while ((line = strsep(&rest, "\n")) != NULL && !ret->whole) {
			ret->whole = strcmp(line, "end") == 0;
			if (!ret->whole && !take_line(ret, line))
				break;
		}
	}
	if (!ret->whole)
		queue_note_free(ret);
	free(text);
}

bool
queue_note_same(const struct queue_note *note, const char *path, const struct stat *st)
{
	for (size_t i = 0; note->whole && i < note->dirs; i++) {
		const struct queue_note_dir *dir = &note->dir[i];

		if (dir->ino == (uint64_t)st->st_ino && strcmp(dir->path, path) == 0)
			return dir->mtime_ns == in_ns(st->st_mtim) && dir->ctime_ns == in_ns(st->st_ctim);
	}
	return false;
}

void
queue_note_drop(const char *run_dir, const char *root)
{
	char path[PATH_SIZE];

	note_path(run_dir, root, path, sizeof path);
	unlink(path);
}
