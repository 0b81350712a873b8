/*
 * queuesync/manifest.c - the manifest of a run, written and read back; see quarantine.h for its form.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/digest.h"
#include "queuesync/progress.h"
#include "queuesync/quarantine.h"

#define MANIFEST_MAX (256u << 20)	/* no plan is longer: findings are bounded */

static const char *const kind_words[REMEDY_COUNT] = {
	[REMEDY_MOVE] = "move", [REMEDY_LINK] = "link", [REMEDY_MODE] = "mode", [REMEDY_OWNER] = "owner",
	[REMEDY_TIMES] = "times", [REMEDY_MKDIR] = "mkdir", [REMEDY_MKFIFO] = "mkfifo", [REMEDY_CREATE] = "create",
	[REMEDY_APPEND] = "append", [REMEDY_BYTE] = "byte", [REMEDY_QUARANTINE] = "quarantine",
	[REMEDY_SWEEP_OWNER] = "sweep-owner", [REMEDY_SWEEP_MODE] = "sweep-mode",
};

/* ---------------------------------------------------------------- writing */

static void
put_name(FILE *to, const char *name)
{
	for (const unsigned char *p = (const unsigned char *)(name != NULL && name[0] != '\0' ? name : "-"); *p != '\0'; p++) {
		bool plain = (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
		    strchr("-._/#,:@=+~", *p) != NULL;

		fprintf(to, plain ? "%c" : "%%%02X", (unsigned int)*p);
	}
}

static void
put_step(FILE *to, const struct plan_step *s)
{
	char hex[2 * REMEDY_BYTES_MAX + 1] = "-";

	if (s->len != 0)
		digest_hex(s->bytes, s->len, hex);
	fprintf(to, "step\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%o\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%s\t",
	    kind_words[s->kind], s->ino, s->size, s->offset, s->mode, s->uid, s->gid, s->old_uid, s->old_gid, s->links, hex);
	put_name(to, s->path);
	fputc('\t', to);
	put_name(to, s->to);
	fputc('\n', to);
}

/* What the file is that will be put aside: as it lies there now, before anything is changed. */
static bool
put_was(FILE *to, int root, const struct plan_step *s, const struct findings *f, struct err *err)
{
	const char *name, *reason = s->finding < f->len ? f->at[s->finding].detail : "";
	int dir = quarantine_parent(root, s->path, &name), fd;
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX] = "-";
	struct stat st;
	bool ok = true;

	if (dir == -1 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1 || (s->ino != 0 && (uint64_t)st.st_ino != s->ino)) {
		if (dir != -1)
			close(dir);
		return err_set(err, 0, "%s is not the file any more that was judged: something changes the queue", s->path);
	}
	if (S_ISREG(st.st_mode)) {
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOATIME);
		ok = fd != -1 && digest_sha256_fd(fd, digest);
		if (ok)
			digest_hex(digest, sizeof(digest), hex);
		else		/* a file on bad blocks is put aside all the same: the directory is good */
			snprintf(hex, sizeof(hex), "unreadable");
		if (fd != -1)
			close(fd);
	}
	close(dir);
	fputs("was\t", to);
	put_name(to, s->path);
	fprintf(to, "\t%" PRIu64 "\t%o\t%u\t%u\t%" PRIu64 "\t%lld.%09ld\t%lld.%09ld\t%s\t", (uint64_t)st.st_ino, st.st_mode,
	    st.st_uid, st.st_gid, (uint64_t)st.st_size, (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
	    (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, hex);
	put_name(to, reason);
	fputc('\n', to);
	return true;
}

static char *
manifest_text(int root, const char *mta, const struct plan *plan, const struct findings *f, size_t *ret_len, struct err *err)
{
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX], when[40], *text = NULL, *whole = NULL;
	size_t len = 0, lines = 1;
	FILE *to = open_memstream(&text, &len);
	bool ok = to != NULL;

	if (!ok) {
		err_set(err, errno, "no memory for the manifest");
		return NULL;
	}
	fprintf(to, "mailpair-manifest\t1\t%s\t%s\n", mta, clock_rfc3339(clock_wall_ms(), when));
	progress_stage("steps written down", plan->steps);
	for (size_t i = 0; ok && i < plan->steps; i++, lines++) {
		progress_count();
		put_step(to, &plan->step[i]);
		if (plan->step[i].kind == REMEDY_QUARANTINE) {
			ok = put_was(to, root, &plan->step[i], f, err);
			lines++;
		}
	}
	ok = fclose(to) == 0 && ok;
	if (ok) {
		digest_sha256(text, len, digest);
		if (asprintf(&whole, "%send\t%zu\t%s\n", text, lines, digest_hex(digest, sizeof(digest), hex)) == -1)
			abort();
		*ret_len = strlen(whole);
	}
	free(text);
	return whole;
}

bool
quarantine_manifest(int root, const char *run, const char *mta, const struct plan *plan, const struct findings *f,
    struct err *err)
{
	char path[128], dir[80];
	const char *name;
	size_t len = 0, at = 0;
	char *text = manifest_text(root, mta, plan, f, &len, err);
	int parent, fd = -1;
	ssize_t n = 0;

	if (text == NULL)
		return false;
	snprintf(path, sizeof(path), "%s/manifest", quarantine_path(run, dir));
	parent = quarantine_parent(root, path, &name);
	if (parent != -1)
		fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	while (fd != -1 && at < len && (n = pwrite(fd, text + at, len - at, (off_t)at)) > 0)
		at += (size_t)n;
	if (fd == -1 || at < len || fsync(fd) == -1 || fsync(parent) == -1) {
		err_set(err, errno, "cannot write %s; nothing was changed", path);
		at = 0;
	}
	if (fd != -1)
		close(fd);
	if (parent != -1)
		close(parent);
	free(text);
	return at == len;
}

/* ---------------------------------------------------------------- reading */

static char *
get_name(char *field)
{
	char *to = field, hex[3] = "";

	for (char *p = field; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] != '\0' && p[2] != '\0') {
			hex[0] = p[1];
			hex[1] = p[2];
			*to++ = (char)strtoul(hex, NULL, 16);
			p += 2;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	return field;
}

static bool
get_step(struct plan *plan, char *line)
{
	char *field[14], *save = NULL;
	struct plan_step *s;
	size_t n = 0, kind;

	for (char *p = strtok_r(line, "\t", &save); p != NULL && n < 14; p = strtok_r(NULL, "\t", &save))
		field[n++] = p;
	if (n != 14)
		return false;
	for (kind = 0; kind < REMEDY_COUNT && strcmp(kind_words[kind], field[1]) != 0; kind++)
		;
	if (kind == REMEDY_COUNT)
		return false;
	s = plan_add(plan, (enum remedy_kind)kind, get_name(field[12]), strcmp(field[13], "-") == 0 ? NULL : get_name(field[13]));
	s->ino = strtoull(field[2], NULL, 10);
	s->size = strtoull(field[3], NULL, 10);
	s->offset = strtoull(field[4], NULL, 10);
	s->mode = (uint32_t)strtoul(field[5], NULL, 8);
	s->uid = (uint32_t)strtoul(field[6], NULL, 10);
	s->gid = (uint32_t)strtoul(field[7], NULL, 10);
	s->old_uid = (uint32_t)strtoul(field[8], NULL, 10);
	s->old_gid = (uint32_t)strtoul(field[9], NULL, 10);
	s->links = (uint32_t)strtoul(field[10], NULL, 10);
	for (const char *p = field[11]; p[0] != '-' && p[0] != '\0' && p[1] != '\0' && s->len < REMEDY_BYTES_MAX; p += 2) {
		const char hex[3] = { p[0], p[1], '\0' };

		s->bytes[s->len++] = (uint8_t)strtoul(hex, NULL, 16);
	}
	return true;
}

/* Is the last line there, and does it fit all before it? Cuts it off. */
static bool
whole(char *text, size_t len)
{
	uint8_t digest[DIGEST_LEN];
	char hex[DIGEST_HEX], *last;
	size_t before;

	if (len < 2 || text[len - 1] != '\n' || strlen(text) != len)
		return false;
	text[len - 1] = '\0';
	last = strrchr(text, '\n');
	if (last == NULL || strncmp(last + 1, "end\t", 4) != 0)
		return false;
	before = (size_t)(last + 1 - text);
	digest_sha256(text, before, digest);
	digest_hex(digest, sizeof(digest), hex);
	if (strlen(last + 1) < sizeof(hex) || strcmp(text + len - 1 - (sizeof(hex) - 1), hex) != 0)
		return false;
	last[1] = '\0';
	return true;
}

static char *
slurp(int root, const char *path, size_t *ret_len, struct err *err)
{
	const char *name;
	int parent = quarantine_parent(root, path, &name);
	int fd = parent == -1 ? -1 : openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	size_t at = 0, size = 0;
	char *text = NULL;
	struct stat st;
	ssize_t n = 0;

	if (fd == -1 || fstat(fd, &st) == -1) {
		err_set(err, errno, "cannot read %s", path);
	} else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > MANIFEST_MAX) {
		err_set(err, EINVAL, "%s is no manifest", path);
	} else {
		size = (size_t)st.st_size;
		text = malloc(size + 1);
		while (text != NULL && at < size && (n = pread(fd, text + at, size - at, (off_t)at)) > 0)
			at += (size_t)n;
		if (text == NULL || n == -1) {
			err_set(err, errno, "cannot read %s", path);
			free(text);
			text = NULL;
		} else {
			text[at] = '\0';
			*ret_len = at;
		}
	}
	if (fd != -1)
		close(fd);
	if (parent != -1)
		close(parent);
	return text;
}

bool
quarantine_read(int root, const char *run, struct plan *ret, struct err *err)
{
	char path[128], dir[80], *save = NULL, *text;
	struct plan plan = { 0 };
	size_t len = 0;
	bool ok;

	snprintf(path, sizeof(path), "%s/manifest", quarantine_path(run, dir));
	text = slurp(root, path, &len, err);
	if (text == NULL)
		return false;
	ok = whole(text, len);
	if (!ok)
		err_set(err, 0, "%s is cut off: that run changed nothing", path);
	for (char *line = strtok_r(text, "\n", &save); ok && line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "step\t", 5) == 0 && !get_step(&plan, line))
			ok = err_set(err, EINVAL, "%s has a step that this version does not know: use the version that wrote it", path);
	}
	free(text);
	if (ok)
		*ret = plan;
	else
		plan_free(&plan);
	return ok;
}
