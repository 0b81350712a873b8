/*
 * tests/unit/test_config_spare.c - laws of configsync/spare.h, and of an installation that is made of such files: whenever the power fails, there is the old
 * file or the new one, whole.
 */
#include "tests/unit/harness.h"

#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "configsync/install.h"
#include "tests/unit/config_box.h"
#include "tests/unit/disk_cache.h"

#define TREE DISK_POINT "/t"
#define READY DISK_POINT "/ready"

static struct config_box box;
static struct spare *spare;
static char bytes[10][SPARE_MOST + 1];
static const uint8_t none[DIGEST_LEN];	/* nobody has them */

/* All of them are there then, or cannot be made, and nobody makes any. */
static void
fill(void)
{
	spare_fill(spare);
	while (!spare_fill(spare))
		sched_yield();
}

/* fs NULL: ext4 without a journal. */
static void
world(const char *fs, bool cache)
{
	static const char *const trees[] = { "/t", NULL };
	struct err err;

	disk_cache_mount(fs, cache);
	ck_assert_int_eq(mkdir(TREE, 0755), 0);
	box = (struct config_box){ .root = open(DISK_POINT, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .names = names_new() };
	box.scope = scope_new(&(struct scope_rules){ .tree = trees }, &err);
	spare = spare_open(READY);
	ck_assert_ptr_nonnull(spare);
	fill();
}

static const uint8_t *
new_bytes(void *arg, const struct entry *e)
{
	(void)arg;
	return (const uint8_t *)bytes[e->path[2] == 'a' ? 0 : e->path[2] - '0'];
}

/* The tree becomes these files, of so many bytes each: "a", of the letter n, where it is one, else "0" and so on, of one letter after the other. */
static bool
install_all(const size_t *len, int n, char letter, struct err *err)
{
	struct manifest *mine = box_scan(&box), *other = manifest_new();
	struct install_options o = { .scope = box.scope, .names = box.names, .bytes = new_bytes, .spare = spare };
	struct report report = { 0 };
	struct diff *d;
	bool ok;

	manifest_add(other, manifest_find(mine, "t"));
	for (int i = 0; i < n; i++) {
		char path[] = { 't', '/', n == 1 ? 'a' : (char)('0' + i), '\0' };
		struct entry e = { .path = path, .type = ENTRY_FILE, .mode = 0640, .size = len[i], .user = { "root", 0 }, .group = { "daemon", 1 }, .mtime_s = 1000 };

		memset(bytes[i], letter + i, len[i]);
		digest_sha256(bytes[i], len[i], e.digest);
		manifest_add(other, &e);
	}
	ck_assert(manifest_seal(other, err));
	d = diff_take_all(mine, other);
	ok = install_apply(box.root, d->change, d->changes, &o, &report, err);
	diff_free(d);
	manifest_free(mine);
	manifest_free(other);
	report_free(&report);
	return ok;
}

static bool
install(size_t len, struct err *err)
{
	return install_all(&len, 1, 'n', err);
}

static ino_t
inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* Its length, if that is all n; else 0. */
static size_t
bytes_of(const char *path)
{
	static char is[SPARE_MOST + 2];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, is, sizeof is);

	close(fd);
	return n > 0 && is[0] == 'n' && memcmp(is, is + 1, (size_t)n - 1) == 0 ? (size_t)n : 0;
}

/* ---------------------------------------------------------------- which files are made of one */

static void
is_made_of(const char *path, size_t len, char letter)
{
	static char is[SPARE_MOST + 2];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	ck_assert_msg(fd != -1 && fstat(fd, &st) == 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(read(fd, is, sizeof is), (ssize_t)len);
	ck_assert(len == 0 || (is[0] == letter && memcmp(is, is + 1, len - 1) == 0));
	ck_assert(st.st_size == (off_t)len && (st.st_mode & 07777) == 0640 && st.st_uid == 0 && st.st_gid == 1 && st.st_mtime == 1000 && st.st_nlink == 1);
	close(fd);
}

static void
is_new(const char *path, size_t len)
{
	is_made_of(path, len, 'n');
}

static const struct { size_t len; const char *made_of; } lens[] = { { 1, "1" }, { 4096, "1" }, { 4097, "2" }, { 9000, "4" }, { SPARE_MOST, "4" }, { 0, NULL },
	{ SPARE_MOST + 1, NULL } };

START_TEST(a_file_is_made_of_the_smallest_that_has_room)
{
	char path[64];
	ino_t ready = 0;
	struct err err;

	world(_i % 2 == 0 ? "ext4" : NULL, false);
	for (int turn = 0; turn < 3; turn++) {		/* a new one, one in place of another one, and one when there is none left */
		if (lens[_i / 2].made_of != NULL && turn < 2) {
			snprintf(path, sizeof path, READY "/%s", lens[_i / 2].made_of);
			ready = inode_of(path);
			ck_assert_uint_ne(ready, 0);
		}
		ck_assert_msg(install(lens[_i / 2].len, &err), "%s", err.text);
		is_new(TREE "/a", lens[_i / 2].len);
		if (lens[_i / 2].made_of != NULL && turn < 2)
			ck_assert_uint_eq(inode_of(TREE "/a"), ready);
		if (lens[_i / 2].made_of != NULL)
			ck_assert_int_eq(access(path, F_OK), -1);
		if (turn == 0)
			fill();
		ck_assert_int_eq(chmod(TREE "/a", 0600), 0);
		disk_file(TREE "/a", "old", false);
	}
}
END_TEST

START_TEST(nothing_is_taken_along_and_nothing_inherited_is_missed)
{
	int fd, unlike = FS_NODUMP_FL;

	world("ext4", false);
	ck_assert(mkdir(TREE "/like", 0755) == 0 && mkdir(TREE "/flags", 0755) == 0 && mkdir(TREE "/mount", 0755) == 0);
	fd = open(TREE "/like", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(spare_take(spare, fd, 10, none), 0);
	spare_gone(spare, 0);
	fill();
	close(fd);
	fd = open(TREE "/flags", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(ioctl(fd, FS_IOC_SETFLAGS, &unlike), 0);
	ck_assert_int_eq(spare_take(spare, fd, 10, none), -1);
	close(fd);
	ck_assert_int_eq(mount(TREE "/like", TREE "/mount", NULL, MS_BIND, NULL), 0);	/* the same device, and no rename leads there */
	fd = open(TREE "/mount", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(spare_take(spare, fd, 10, none), -1);
	close(fd);
	spare_close(spare);
	ck_assert_int_eq(setxattr(READY, "system.posix_acl_default",
	    "\2\0\0\0\1\0\6\0\377\377\377\377\4\0\4\0\377\377\377\377\20\0\4\0\377\377\377\377\40\0\0\0\377\377\377\377", 36, 0), 0);
	ck_assert_int_eq(setxattr(READY, "user.note", "x", 1, 0), 0);
	spare = spare_open(READY);
	fill();
	fd = open(TREE "/like", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(spare_take(spare, fd, 10, none), -1);	/* each of them would have an ACL */
	close(fd);
}
END_TEST

/* And of what a crash has left nothing is taken for one. */
START_TEST(where_they_stand_nobody_else_looks_and_nothing_is_left)
{
	struct stat st;

	world("ext4", false);
	ck_assert(stat(READY, &st) == 0 && (st.st_mode & 07777) == 0700);
	ck_assert(stat(READY "/1", &st) == 0 && (st.st_mode & 07777) == 0600 && st.st_size == 4096);
	spare_close(spare);
	ck_assert_int_eq(rmdir(READY), 0);
	ck_assert_int_eq(mkdir(READY, 0755), 0);
	disk_file(READY "/1", "what a crash has left", false);
	ck_assert_int_eq(mkdir(READY "/2", 0700), 0);
	disk_file(READY "/2/mine", "somebody's", false);
	spare = spare_open(READY);
	fill();
	ck_assert(stat(READY, &st) == 0 && (st.st_mode & 07777) == 0700);
	ck_assert(stat(READY "/1", &st) == 0 && st.st_size == 4096);
	ck_assert_int_eq(access(READY "/2/mine", F_OK), 0);
	ck_assert_int_eq(spare_take(spare, box.root, 5000, none), 2);
	spare_close(spare);
	disk_world();
	ck_assert_ptr_null(spare_open(DISK_ROOT "/ready"));	/* tmpfs */
}
END_TEST

/* More of one installation than there are spare files. */
START_TEST(each_file_has_its_own_bytes)
{
	static const size_t sizes[] = { 100, 200, 300, 5000, 6000, 7000, 8, 9 };
	const int n = sizeof sizes / sizeof sizes[0];
	char name[16], path[64];
	int taken[SPARE_KINDS + 1];
	struct err err;

	world("ext4", false);
	for (int i = 0; i <= (int)SPARE_KINDS; i++)
		taken[i] = spare_take(spare, box.root, 10, none);
	for (int i = 0; i <= (int)SPARE_KINDS; i++)
		ck_assert_int_eq(taken[i], i < (int)SPARE_KINDS ? i : -1);
	for (int i = 0; i < (int)SPARE_KINDS; i++)
		spare_gone(spare, i);
	for (int turn = 0; turn < 2; turn++) {		/* new ones, and in place of others */
		fill();
		ck_assert_msg(install_all(sizes, n, turn == 0 ? 'f' : 'g', &err), "%s", err.text);
		for (int i = 0; i < n; i++) {
			snprintf(name, sizeof name, "t/%d", i);
			snprintf(path, sizeof path, DISK_POINT "/%s", name);
			is_made_of(path, sizes[i], (char)((turn == 0 ? 'f' : 'g') + i));
		}
		ck_assert_int_eq(access(READY "/1", F_OK) & access(READY "/2", F_OK) & access(READY "/4", F_OK), -1);
	}
}
END_TEST

/* What was given before it was asked for is the file's if it has that digest, and else nobody's. */
START_TEST(bytes_that_were_written_ahead_are_those_of_their_digest_alone)
{
	static const size_t sizes[] = { 100, 200 };
	uint8_t digest[DIGEST_LEN];
	size_t len = 100;
	struct err err;
	ino_t ahead;

	world(_i == 0 ? "ext4" : NULL, false);
	memset(bytes[9], 'n', len);
	digest_sha256(bytes[9], len, digest);
	ck_assert(spare_ahead(spare, (const uint8_t *)bytes[9], len, digest));
	ck_assert(!spare_ahead(spare, (const uint8_t *)bytes[9], len, none));		/* one at a time */
	ahead = inode_of(READY "/1");
	ck_assert_int_eq(install(len, &err), true);
	is_new(TREE "/a", len);
	ck_assert_uint_eq(inode_of(TREE "/a"), ahead);
	fill();
	ck_assert(spare_ahead(spare, (const uint8_t *)bytes[9], len, digest));
	ahead = inode_of(READY "/1");
	ck_assert_int_eq(spare_take(spare, box.root, len, none), 1);			/* others do not get it, however they ask */
	spare_gone(spare, 1);
	ck_assert_int_eq(spare_take(spare, box.root, len + 1, digest), 2);
	spare_gone(spare, 2);
	ck_assert(install_all(sizes, 2, 'f', &err));
	is_made_of(TREE "/0", 100, 'f');
	is_made_of(TREE "/1", 200, 'g');
	fill();							/* nobody has asked for it */
	ck_assert_uint_ne(inode_of(READY "/1"), ahead);
	ck_assert(spare_ahead(spare, (const uint8_t *)bytes[9], len, digest));
	ck_assert_int_eq(spare_take(spare, box.root, len, digest), 0);
	ck_assert_int_eq(spare_take(spare, box.root, len, digest), 1);			/* which has not got them */
	ck_assert(spare_write(spare, 1, (const uint8_t *)bytes[9], len, digest));
	ck_assert_uint_eq(bytes_of(READY "/2"), len);
	spare_gone(spare, 0);
	fill();
	ck_assert_int_eq(spare_take(spare, box.root, len, digest), 0);			/* nor has a new one */
	ck_assert(spare_write(spare, 0, (const uint8_t *)bytes[9], len, digest));
	ck_assert_uint_eq(bytes_of(READY "/1"), len);
}
END_TEST

/* ---------------------------------------------------------------- the power fails */

static void
is_whole(size_t event, unsigned int keep, size_t len, bool replaces, bool must_be_new, const char *fs)
{
	static const char *const how[] = { "nothing", "all", "some" };
	static char is[SPARE_MOST + 2];
	struct stat st;
	ssize_t n;
	bool old;
	int fd;

	disk_cache_mount_cut(event, keep, fs);
	fd = open(DISK_RUN "/t/a", O_RDONLY | O_CLOEXEC);
	n = fd == -1 ? -1 : read(fd, is, sizeof is);
	old = replaces ? n == 8 && memcmp(is, "old file", 8) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0644 && st.st_gid == 0 : fd == -1;
	if (!old) {
		ck_assert_msg(n == (ssize_t)len && is[0] == 'n' && memcmp(is, is + 1, len - 1) == 0, "cut %zu, %s kept: %zd bytes, the first is %d", event,
		    how[keep < 2 ? keep : 2], n, is[0]);
		is_new(DISK_RUN "/t/a", len);
	}
	ck_assert_msg(!old || !must_be_new, "cut %zu, %s kept: it was done, and is not there", event, how[keep < 2 ? keep : 2]);
	if (fd != -1)
		close(fd);
	ck_assert_int_eq(umount(DISK_RUN), 0);
}

static const size_t cuts[] = { 1, 900, 4096, 8192, 12000 };

START_TEST(whenever_the_power_fails_the_file_is_the_old_one_or_the_new_one)
{
	const char *fs = _i < 10 ? "ext4" : "xfs";	/* whose image is large: twice is enough */
	const bool replaces = _i % 2 == 1, ahead = _i / 2 % 2 == 0;
	const size_t len = _i < 10 ? cuts[_i / 2] : 4096;
	uint8_t digest[DIGEST_LEN];
	size_t done, events;
	struct err err;

	world(fs, true);
	if (replaces)
		disk_file(TREE "/a", "old file", true);
	sync();
	disk_cache_remember();
	memset(bytes[9], 'n', len);
	digest_sha256(bytes[9], len, digest);
	ck_assert(!ahead || spare_ahead(spare, (const uint8_t *)bytes[9], len, digest));
	ck_assert_msg(install(len, &err), "%s", err.text);
	ck_assert_int_eq(access(len <= 4096 ? READY "/1" : len <= 8192 ? READY "/2" : READY "/4", F_OK), -1);
	done = disk_cache_events();
	events = done;
	ck_assert_uint_gt(events, 2);
	for (size_t k = 0; k <= events; k++)
		for (unsigned int keep = 0; keep < (_i < 10 ? 4 : 3); keep++)
			is_whole(k, keep, len, replaces, k == done, fs);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_spare");
	TCase *tcase = tcase_create("spare");

	if (!disk_possible("test_config_spare")) {
		printf("0 passed, 0 failed\n");
		return 0;
	}
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, a_file_is_made_of_the_smallest_that_has_room, 0, 2 * (int)(sizeof lens / sizeof lens[0]));
	tcase_add_test(tcase, each_file_has_its_own_bytes);
	tcase_add_loop_test(tcase, bytes_that_were_written_ahead_are_those_of_their_digest_alone, 0, 2);
	tcase_add_test(tcase, nothing_is_taken_along_and_nothing_inherited_is_missed);
	tcase_add_test(tcase, where_they_stand_nobody_else_looks_and_nothing_is_left);
	if (access("/dev/fuse", R_OK | W_OK) == 0)
		tcase_add_loop_test(tcase, whenever_the_power_fails_the_file_is_the_old_one_or_the_new_one, 0, access("/usr/sbin/mkfs.xfs", X_OK) == 0 ? 12 : 10);
	else
		printf("test_config_spare: power cuts: skipped, no /dev/fuse\n");
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
