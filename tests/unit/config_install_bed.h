/*
 * tests/unit/config_install_bed.h - a tree, what another node has in its place, and one installation of that.
 */
#ifndef TESTS_UNIT_CONFIG_INSTALL_BED_H
#define TESTS_UNIT_CONFIG_INSTALL_BED_H

#include "configsync/install.h"
#include "tests/unit/config_box.h"

/* The box is the node; theirs is written by hand, with the bytes of each file here. */
struct theirs { const char *path, *bytes; unsigned int mode; struct entry_owner owner; const char *claim; };

struct bed {
	struct config_box	 box;
	const struct theirs	*theirs;
	struct manifest		*mine, *other;
	struct diff		*diff;
	struct report		 report;
	struct install_options	 o;
	struct err		 err;
	void			(*at_content)(struct bed *);
};

static inline int
content(void *arg, const struct entry *e, struct err *err)
{
	struct bed *bed = arg;
	char path[128];
	int fd;

	if (bed->at_content != NULL)
		bed->at_content(bed);
	for (const struct theirs *t = bed->theirs; t->path != NULL; t++) {
		if (strcmp(t->path, e->path) != 0)
			continue;
		snprintf(path, sizeof path, "%s/content", bed->box.dir);
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		ck_assert_int_eq(write(fd, t->bytes, strlen(t->bytes)), (ssize_t)strlen(t->bytes));
		return fd;
	}
	err_set(err, ENOENT, "no bytes for %s", e->path);
	return -1;
}

static inline void
bed_open(struct bed *bed)
{
	memset(bed, 0, sizeof *bed);
	box_open(&bed->box, NULL);
	ck_assert_int_eq(mkdirat(bed->box.root, "t/d", 0755), 0);
	box_write(&bed->box, "t/a", "old a");
	box_write(&bed->box, "t/d/b", "old b");
	bed->o = (struct install_options){ .scope = bed->box.scope, .names = bed->box.names, .content = content, .arg = bed };
}

static inline void
bed_plan(struct bed *bed, const struct theirs *theirs)
{
	manifest_free(bed->mine);
	manifest_free(bed->other);
	diff_free(bed->diff);
	bed->theirs = theirs;
	bed->mine = box_scan(&bed->box);
	bed->other = manifest_new();
	manifest_add(bed->other, manifest_find(bed->mine, "t"));
	for (; theirs->path != NULL; theirs++) {
		struct entry e = { .path = theirs->path, .type = theirs->bytes == NULL ? ENTRY_DIRECTORY : ENTRY_FILE,
			.mode = (uint16_t)theirs->mode, .user = theirs->owner, .group = { "root", 0 }, .mtime_s = 1000 };

		if (e.user.name == NULL)
			e.user.name = "root";
		if (theirs->bytes != NULL) {
			const char *said = theirs->claim != NULL ? theirs->claim : theirs->bytes;

			e.size = strlen(theirs->bytes);
			digest_sha256(said, strlen(said), e.digest);
		}
		manifest_add(bed->other, &e);
	}
	ck_assert(manifest_seal(bed->other, &bed->err));
	bed->diff = diff_take_all(bed->mine, bed->other);
}

static inline bool
bed_apply(struct bed *bed)
{
	report_free(&bed->report);
	bed->err.text[0] = '\0';
	return install_apply(bed->box.root, bed->diff->change, bed->diff->changes, &bed->o, &bed->report, &bed->err);
}

static inline void
bed_close(struct bed *bed)
{
	manifest_free(bed->mine);
	manifest_free(bed->other);
	diff_free(bed->diff);
	report_free(&bed->report);
	box_close(&bed->box);
}

static inline const char *
text_of(struct bed *bed, const char *path)
{
	static char buf[64];
	int fd = openat(bed->box.root, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, buf, sizeof buf - 1);

	if (fd != -1)
		close(fd);
	buf[n < 0 ? 0 : n] = '\0';
	return n < 0 ? "(none)" : buf;
}

/* Nothing is left of what was begun. */
static inline void
nothing_left_over(struct bed *bed)
{
	manifest_free(box_scan(&bed->box));
	ck_assert(!report_has(&bed->box.report, NOTE_LEFTOVER, NULL));
}

static inline void
old_tree_stands(struct bed *bed)
{
	ck_assert_str_eq(text_of(bed, "t/a"), "old a");
	ck_assert_str_eq(text_of(bed, "t/d/b"), "old b");
	ck_assert_str_eq(text_of(bed, "t/new"), "(none)");
	ck_assert(bed->err.text[0] != '\0');
	ck_assert(!report_has(&bed->report, NOTE_NOT_DONE, NULL));
	nothing_left_over(bed);
}

static const struct theirs usual[] = {
	{ .path = "t/a", .bytes = "new a", .mode = 0600 }, { .path = "t/d", .mode = 0700 }, { .path = "t/d/b", .bytes = "new b", .mode = 0644 },
	{ .path = "t/new", .bytes = "new", .mode = 0640 }, { 0 }
};

/* For at_content: somebody edits here meanwhile, once. */
static inline void
edit_in_place(struct bed *bed)
{
	box_write(&bed->box, "t/a", "mine!");
	bed->at_content = NULL;
}

static inline void
edit_by_rename(struct bed *bed)
{
	box_write(&bed->box, "t/x", "mine!");
	ck_assert_int_eq(renameat(bed->box.root, "t/x", bed->box.root, "t/a"), 0);
	bed->at_content = NULL;
}

static inline void
come_first(struct bed *bed)
{
	box_write(&bed->box, "t/new", "mine!");
	bed->at_content = NULL;
}

#endif
