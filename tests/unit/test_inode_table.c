/*
 * tests/unit/test_inode_table.c - what the inode tables say is what the kernel says, or nothing; damage is never taken for a file; and a
 * look at a queue that goes by them finds what one finds that asks about each file. On real file systems and loop devices.
 */
#include "queuesync/inode_table.h"

#include <sys/mman.h>
#include <sys/time.h>

#include "common/clock.h"
#include "queuesync/known.h"
#include "queuesync/scan.h"
#include "tests/unit/disk.h"
#include "tests/unit/harness.h"
#include "tests/unit/toy.h"

#define IMAGE DISK_ROOT "/image"
#define FILES 120

static char device_name[32];		/* of what is mounted */

static const char *const kinds[][8] = { { "-t", "ext4" }, { "-t", "ext4", "-O", "^metadata_csum" }, { "-t", "ext4", "-I", "128" },
	{ "-t", "ext4", "-b", "1024" }, { "-t", "ext2" }, { "-t", "ext4", "-O", "inline_data" } };
static const size_t kinds_len = sizeof kinds / sizeof kinds[0];

static void
mounted(const char *const *kind, off_t bytes)
{
	const char *argv[16] = { "mke2fs", "-q", "-F", "-N", "512" };
	size_t n = 5;
	int fd;

	disk_world();
	fd = open(IMAGE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert(fd != -1 && ftruncate(fd, bytes) == 0);
	close(fd);
	while (*kind != NULL)
		argv[n++] = *kind++;
	argv[n++] = IMAGE;
	ck_assert_int_eq(disk_run(argv), 0);
	ck_assert_msg(mount(disk_attach(IMAGE, false, device_name), DISK_POINT, strcmp(argv[6], "ext2") == 0 ? "ext2" : "ext4", 0, NULL) == 0,
	    "mount: %s", strerror(errno));
}

static struct inode_table *
table(void)
{
	int fd = open(DISK_POINT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err = { 0 };
	struct inode_table *t = inode_table_open(fd, &err);

	ck_assert_msg(t != NULL, "%s", err.text);
	close(fd);
	return t;
}

/* Asked until the group was worth being read. */
static bool
told(struct inode_table *t, uint64_t ino, struct queue_file *ret)
{
	bool is = false;

	*ret = (struct queue_file){ 0 };
	for (int i = 0; i < 20 && !is; i++)
		is = inode_table_tell(t, ino, ret);
	return is;
}

static bool
same(const struct stat *st, const struct queue_file *f)
{
	return st->st_mode == f->mode && st->st_uid == f->uid && st->st_gid == f->gid && st->st_nlink == f->nlink &&
	    (uint64_t)st->st_size == f->size && st->st_mtim.tv_sec == f->mtime && st->st_atim.tv_sec == f->atime;
}

/* Files of all sorts, the same for the same number. */
static void
file_of(unsigned int i, const char *path)
{
	const struct timeval times[2] = { { .tv_sec = 1000 + i * 7919 }, { .tv_sec = 1700000000 + i } };
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char more[128];

	ck_assert(fd != -1 && ftruncate(fd, (off_t)i * i) == 0);
	ck_assert(i == 0 || pwrite(fd, "mail", 4, (off_t)i * i) == 4);
	ck_assert(fchown(fd, i * 1237, i * 2503) == 0 && fchmod(fd, i * 31 & 07777) == 0);
	close(fd);
	snprintf(more, sizeof more, "%s.link", path);
	ck_assert(i % 3 != 0 || link(path, more) == 0);
	ck_assert_int_eq(utimes(path, times), 0);
}

static const char *
at(unsigned int i)
{
	static char path[64];

	snprintf(path, sizeof path, DISK_POINT "/%u", i);
	return path;
}

static void
flush(void)
{
	int fd = open(DISK_POINT, O_RDONLY | O_CLOEXEC);

	ck_assert(fd != -1 && syncfs(fd) == 0);
	close(fd);
}

START_TEST(a_table_says_of_a_file_what_the_kernel_says)
{
	struct inode_table *t;
	struct queue_file f;
	struct stat st;

	mounted(kinds[_i], 4 << 20);
	for (unsigned int i = 0; i < FILES; i++)
		file_of(i, at(i));
	flush();
	t = table();
	for (unsigned int i = 0; i < FILES; i++) {
		ck_assert_int_eq(stat(at(i), &st), 0);
		ck_assert_msg(told(t, st.st_ino, &f) && same(&st, &f), "file %u: mode %o uid %u gid %u nlink %u size %llu mtime %lld atime %lld", i,
		    f.mode, f.uid, f.gid, f.nlink, (unsigned long long)f.size, (long long)f.mtime, (long long)f.atime);
	}
	inode_table_close(t);
}
END_TEST

static void
no_file(struct inode_table *t, uint64_t ino, const char *what)
{
	struct queue_file f;

	ck_assert_msg(!told(t, ino, &f), "%s (inode %llu) is told as a file", what, (unsigned long long)ino);
}

START_TEST(what_is_no_plain_file_is_not_told)
{
	const struct timeval far[2] = { { .tv_sec = 4500000000 }, { .tv_sec = 4500000000 } };
	struct stat removed, st[5];
	struct inode_table *t;
	const char *names[] = { "directory", "fifo", "link", "large", "far" };

	mounted(kinds[0], 4 << 20);
	file_of(1, at(1));
	ck_assert(stat(at(1), &removed) == 0 && unlink(at(1)) == 0);
	ck_assert(chdir(DISK_POINT) == 0 && mkdir(names[0], 0700) == 0 && mkfifo(names[1], 0600) == 0 && symlink("x", names[2]) == 0);
	file_of(2, names[3]);
	ck_assert_int_eq(truncate(names[3], 5LL << 30), 0);
	file_of(4, names[4]);
	ck_assert_int_eq(utimes(names[4], far), 0);
	flush();
	t = table();
	no_file(t, removed.st_ino, "what was removed");
	for (size_t i = 0; i < 5; i++) {
		ck_assert_int_eq(lstat(names[i], &st[i]), 0);
		no_file(t, st[i].st_ino, names[i]);
	}
	no_file(t, 0, "nothing");
	no_file(t, UINT64_MAX, "nothing");
	no_file(t, 8, "the journal");
	inode_table_close(t);
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* Nothing is synced: the kernel keeps such changes in the same pages. */
START_TEST(a_change_is_seen_at_once)
{
	struct inode_table *t;
	struct queue_file f;
	struct stat st;

	mounted(kinds[_i], 4 << 20);
	file_of(7, at(7));
	flush();
	for (int i = 0; i < 5; i++) {
		ck_assert(i != 0 || chmod(at(7), 0666) == 0);
		ck_assert(i != 1 || chown(at(7), 123456, 654321) == 0);
		ck_assert(i != 2 || link(at(7), DISK_POINT "/8") == 0);
		ck_assert(i != 3 || truncate(at(7), 0) == 0);
		ck_assert(i != 4 || unlink(DISK_POINT "/8") == 0);
		ck_assert_int_eq(stat(at(7), &st), 0);
		t = table();
		ck_assert_msg(told(t, st.st_ino, &f) && same(&st, &f), "change %d", i);
		inode_table_close(t);
	}
}
END_TEST

/* ---------------------------------------------------------------- damage */

static uint32_t
next_random(void)
{
	static uint64_t state = 20261122;

	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(state >> 33);
}

/* The image in memory, and its descriptor. */
static uint8_t *
copy_of_image(int *ret_fd, size_t size)
{
	int from = open(IMAGE, O_RDONLY | O_CLOEXEC), to = memfd_create("image", MFD_CLOEXEC);
	uint8_t *image;

	ck_assert(from != -1 && to != -1 && ftruncate(to, (off_t)size) == 0);
	image = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, to, 0);
	ck_assert(image != MAP_FAILED && read(from, image, size) == (ssize_t)size);
	close(from);
	*ret_fd = to;
	return image;
}

/* NULL: what stands there is refused. */
static struct inode_table *
image_table(int fd)
{
	int mine = dup(fd);
	struct inode_table *t = inode_table_image(mine, -1, NULL);

	if (t == NULL)
		close(mine);
	return t;
}

#define FLIPS 8
struct flips { size_t where[FLIPS]; uint8_t was[FLIPS]; };

/* Some bits are others, where the head, the groups and the inodes are. */
static void
flip(uint8_t *image, size_t size, struct flips *ret)
{
	for (int i = 0; i < FLIPS; i++) {
		ret->where[i] = i < 2 ? 1024 + next_random() % 3072 : next_random() % (size / 4);
		ret->was[i] = image[ret->where[i]];
		image[ret->where[i]] ^= (uint8_t)(1u << next_random() % 8);
	}
}

static void
flip_back(uint8_t *image, const struct flips *f)
{
	for (int i = FLIPS; i-- > 0;)
		image[f->where[i]] = f->was[i];
}

/* Without check sums it may be told otherwise, but it comes to an end. */
START_TEST(damage_is_never_taken_for_a_file)
{
	bool sums = strcmp(kinds[_i][1], "ext4") == 0 && (kinds[_i][3] == NULL || kinds[_i][3][0] != '^');
	static struct queue_file is[513];
	size_t size = 1 << 20, refused = 0, lost = 0;
	struct inode_table *t;
	struct queue_file f;
	struct flips flips;
	uint8_t *image;
	int fd;

	mounted(kinds[_i], (off_t)size);
	for (unsigned int i = 0; i < FILES; i++)
		file_of(i % 20, at(i));
	ck_assert_int_eq(umount(DISK_POINT), 0);
	image = copy_of_image(&fd, size);
	t = image_table(fd);
	ck_assert_ptr_nonnull(t);
	for (uint64_t ino = 1; ino <= 512; ino++)
		told(t, ino, &is[ino]);
	inode_table_close(t);
	for (int round = 0; round < 200; round++) {
		flip(image, size, &flips);
		t = image_table(fd);
		refused += t == NULL;
		for (uint64_t ino = 1; t != NULL && ino <= 512; ino++) {
			bool is_told = told(t, ino, &f);

			lost += !is_told && is[ino].mode != 0;
			unit_must(!is_told || !sums || (f.mode == is[ino].mode && f.uid == is[ino].uid && f.gid == is[ino].gid && f.nlink ==
			    is[ino].nlink && f.size == is[ino].size && f.mtime == is[ino].mtime && f.atime == is[ino].atime), "round %d: inode %d",
			    round, (int)ino);
		}
		if (t != NULL) {
			inode_table_ahead(t, 2, 1 << 20);
			inode_table_close(t);
		}
		flip_back(image, &flips);
	}
	ck_assert_msg(!sums || (refused > 0 && lost > 0), "nothing was hit");
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- whose table */

START_TEST(a_table_of_another_file_system_is_refused)
{
	uint8_t *image;
	struct err err;
	int fd, at;

	mounted(kinds[1], 1 << 20);		/* no check sums: nothing else would notice */
	at = open(DISK_POINT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	flush();
	image = copy_of_image(&fd, 1 << 20);
	inode_table_close(inode_table_image(dup(fd), at, &err));
	image[1024 + 104] ^= 1;			/* its UUID */
	ck_assert_ptr_null(inode_table_image(fd, at, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "another file system"));
	close(at);
	at = open(DISK_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);		/* a tmpfs */
	ck_assert_ptr_null(inode_table_open(at, &err));
	ck_assert_ptr_null(known_new(&toy_rules, NULL, at, 0));
	close(at);
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- a queue by its table */

#define MESSAGES 300
static struct queue_layout layout;
static int disk_kind;

static void
toy_queue(void)
{
	mounted(kinds[disk_kind], 8 << 20);
	toy_layout(&layout, DISK_POINT "/q");
	ck_assert(mkdir(layout.root, 0755) == 0 && chdir(layout.root) == 0);
	for (const char *const *d = (const char *const[]){ "new", "cur", "cur/0", "cur/1", "cur/2", "log", NULL }; *d != NULL; d++)
		ck_assert(mkdir(*d, 0700) == 0 && chown(*d, TOY_UID, TOY_GID) == 0);
	for (unsigned int i = 1; i <= MESSAGES; i++) {
		char path[64];

		snprintf(path, sizeof path, "cur/%u/%u", i % 3, i);
		disk_file(path, "good", false);
		ck_assert(chmod(path, 0600) == 0 && chown(path, TOY_UID, TOY_GID) == 0);
	}
	flush();
}

static void as_it_is(void) { }
static void other_mode(void) { ck_assert_int_eq(chmod("cur/0/120", 0666), 0); }
static void other_owner(void) { ck_assert_int_eq(chown("cur/0/123", 0, TOY_GID), 0); }
static void other_group(void) { ck_assert_int_eq(chown("cur/0/126", TOY_UID, 0), 0); }
static void emptied(void) { ck_assert_int_eq(truncate("cur/0/129", 0), 0); }
static void linked(void) { ck_assert_int_eq(link("cur/0/132", DISK_POINT "/elsewhere"), 0); }
static void misplaced(void) { ck_assert_int_eq(rename("cur/0/135", "cur/1/135"), 0); }
static void stray(void) { disk_file("new/stray", "x", false); }
static void a_link(void) { ck_assert_int_eq(symlink("/etc/passwd", "new/7"), 0); }
static void a_fifo(void) { ck_assert_int_eq(mkfifo("new/8", 0600), 0); }
static void no_log(void) { ck_assert_int_eq(rmdir("log"), 0); }
static void not_written_yet(void) { disk_file("new/9", "x", false); ck_assert(chmod("new/9", 0600) == 0 && chown("new/9", TOY_UID, TOY_GID) == 0); }

static void
all_of_others(void)
{
	for (unsigned int i = 1; i <= MESSAGES; i++) {
		char path[64];

		snprintf(path, sizeof path, "cur/%u/%u", i % 3, i);
		ck_assert_int_eq(chown(path, 1, 2), 0);
	}
}

static void
from_the_future(void)
{
	const struct timeval times[2] = { { .tv_sec = 1700000000 }, { .tv_sec = 2147483000 } };

	ck_assert_int_eq(utimes("cur/0/138", times), 0);
}

static const struct { const char *name; void (*make)(void); size_t findings; } oddities[] = {
	{ "as it is", as_it_is, 0 }, { "mode", other_mode, 1 }, { "owner", other_owner, 1 }, { "group", other_group, 1 }, { "emptied", emptied, 1 },
	{ "linked", linked, 1 }, { "misplaced", misplaced, 1 }, { "stray", stray, 1 }, { "a link", a_link, 1 }, { "a FIFO", a_fifo, 1 },
	{ "no log", no_log, 1 }, { "not written yet", not_written_yet, 0 }, { "all of others", all_of_others, 1 },
	{ "from the future", from_the_future, 1 },
};

static struct findings
found(struct known *known, uint64_t *messages)
{
	struct check_options options = { .now = (int64_t)(clock_wall_ms() / 1000), .slack = 300 };
	struct check *c = check_new(&toy_rules, &layout, &options);
	struct scan_options scanning = { .threads = 2, .known = known };
	struct scan_seen seen;
	struct findings ret;
	uint64_t files;
	struct err err;

	ck_assert_msg(scan_queue(&layout, c, &scanning, &seen, &err), "%s", err.text);
	ck_assert(!seen.cut && (known == NULL || known_good(known)));
	check_joined(c);
	check_end(c, &ret, messages, &files);
	check_free(c);
	return ret;
}

static struct known *
known(int *ret_root)
{
	struct known *k;

	*ret_root = open(layout.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	k = known_new(&toy_rules, &layout, *ret_root, (int64_t)(clock_wall_ms() / 1000));
	ck_assert_ptr_nonnull(k);
	return k;
}

/* How many of the messages are known without the kernel. */
static unsigned int
known_files(struct known *k, int root)
{
	unsigned int n = 0;

	for (unsigned int i = 1; i <= MESSAGES; i++) {
		char sub[8], name[16], path[32];
		struct queue_file f = { .name = name, .sub = sub, .place = TOY_CUR };
		struct stat st;
		int fd;

		snprintf(sub, sizeof sub, "%u", i % 3);
		snprintf(name, sizeof name, "%u", i);
		snprintf(path, sizeof path, "cur/%s", sub);
		fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fstatat(fd, name, &st, 0) == 0) {
			f.ino = st.st_ino;
			n += known_file(k, fd, &f);
		}
		close(fd);
	}
	return n;
}

START_TEST(who_goes_by_the_table_finds_what_one_finds_who_asks_about_each_file)
{
	uint64_t messages[2];
	struct findings asked, by_table;
	struct known *k;
	int root;

	toy_queue();
	oddities[_i].make();
	asked = found(NULL, &messages[0]);
	k = known(&root);
	by_table = found(k, &messages[1]);
	ck_assert_msg(asked.len == oddities[_i].findings, "%s: %zu findings", oddities[_i].name, asked.len);
	ck_assert_uint_eq(messages[0], messages[1]);
	ck_assert_msg(asked.len == by_table.len, "%s: %zu by the table", oddities[_i].name, by_table.len);
	for (size_t i = 0; i < asked.len; i++) {
		const struct finding *a = &asked.at[i], *b = &by_table.at[i];

		ck_assert(a->rule == b->rule && a->class == b->class && a->problem == b->problem && a->count == b->count);
		if (a->count > 1)
			continue;	/* of many alike any one is named */
		ck_assert_str_eq(a->path, b->path);
		ck_assert_str_eq(a->detail, b->detail);
	}
	/* but for the first of each group, and what is odd, none was asked about */
	if (oddities[_i].make != all_of_others)
		ck_assert_uint_ge(known_files(k, root), MESSAGES - 2);
	else
		ck_assert_uint_eq(known_files(k, root), 0);
	known_free(k);
	findings_free(&asked);
	findings_free(&by_table);
	close(root);
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(nothing_is_known_where_something_is_mounted_over_a_file)
{
	int root;

	toy_queue();
	ck_assert(mkdir("mail here", 0700) == 0 && mount("cur", "mail here", NULL, MS_BIND, NULL) == 0);
	known_free(known(&root));			/* directories show */
	disk_file(DISK_ROOT "/over", "x", false);
	disk_file("mail here/0/3 x", "x", false);
	ck_assert(mount(DISK_ROOT "/over", "mail here/0/3 x", NULL, MS_BIND, NULL) == 0);
	ck_assert_ptr_null(known_new(&toy_rules, &layout, root, 0));
	close(root);
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* As with a mount that maps owners. What is written past the mounted file system the kernel does not see in an inode that it has. */
START_TEST(a_table_that_says_otherwise_than_the_kernel_is_not_believed)
{
	const uint8_t from[4] = { 0x80, 0x81, TOY_UID & 255, TOY_UID >> 8 };	/* a regular file's mode 0600, and its uid */
	struct known *k;
	uint8_t *image;
	int root, fd;

	disk_kind = 1;
	toy_queue();
	k = known(&root);
	ck_assert(known_files(k, root) > 0 && known_good(k));
	known_free(k);
	fd = open(device_name, O_RDWR | O_CLOEXEC);
	image = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(image != MAP_FAILED);
	for (size_t i = 0; i < 8 << 20; i += 128)
		if (memcmp(image + i, from, sizeof from) == 0)
			image[i + 2] ^= 1;
	k = known(&root);
	ck_assert(known_files(k, root) == 0 && !known_good(k));
	known_free(k);
	close(fd);
	close(root);
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("inode table");
	TCase *tc = tcase_create("inode table");

	if (!disk_possible("inode_table"))
		return 0;
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_table_says_of_a_file_what_the_kernel_says, 0, (int)kinds_len);
	tcase_add_test(tc, what_is_no_plain_file_is_not_told);
	tcase_add_loop_test(tc, a_change_is_seen_at_once, 0, (int)kinds_len);
	tcase_add_loop_test(tc, damage_is_never_taken_for_a_file, 0, (int)kinds_len);
	tcase_add_test(tc, a_table_of_another_file_system_is_refused);
	tcase_add_loop_test(tc, who_goes_by_the_table_finds_what_one_finds_who_asks_about_each_file, 0, sizeof oddities / sizeof oddities[0]);
	tcase_add_test(tc, nothing_is_known_where_something_is_mounted_over_a_file);
	tcase_add_test(tc, a_table_that_says_otherwise_than_the_kernel_is_not_believed);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
