/*
 * tests/unit/test_batch_read.c - the beginnings of many files at once: the same bytes as one by one, whatever the files are, and
 * nothing at all where the kernel does not give it.
 */
#include "queuesync/batch_read.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "queuesync/open.h"
#include "queuesync/read.h"
#include "tests/unit/tree.h"

static struct batch_pool *pool;
static struct batch_reader *reader;

static bool
have_reader(void)
{
	pool = batch_pool_new();
	reader = batch_reader_take(pool);
	if (reader == NULL)
		puts("skipped: too few files may be open here");
	return reader != NULL;
}

static void
have_none(void)
{
	batch_reader_give(pool, reader);
	batch_pool_free(pool);
}

/* An open file of that size without a name, of bytes that differ by seed and place. */
static struct batch_file
file_of(size_t size, unsigned int seed)
{
	char *bytes = malloc(size + 1);
	struct batch_file ret = { .fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC | O_NONBLOCK, 0600), .size = size };

	ck_assert_int_ne(ret.fd, -1);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 31 + i / 251 + seed);
	ck_assert_int_eq(write(ret.fd, bytes, size), (ssize_t)size);
	free(bytes);
	return ret;
}

static void
has_its_bytes(const struct batch_file *f, unsigned int seed)
{
	ck_assert_uint_eq(f->len, f->size < READ_WINDOW ? f->size : READ_WINDOW);
	for (size_t i = 0; i < f->len; i++)
		unit_must(f->head[i] == (char)(i * 31 + i / 251 + seed), "byte %zu of file %u", i, seed);
}

#define DISKS_LUCK 200		/* a disk may be faster than the kernel, which has asked it already, says that it would have to wait */

/* Put on the disk and out of memory. False: where these files are it cannot be (a tmpfs). */
static bool
is_cold(const struct batch_file *f)
{
	unsigned char present = 1;
	void *map;

	if (f->fd == -1 || f->size == 0)
		return false;
	ck_assert_int_eq(fdatasync(f->fd), 0);
	ck_assert_int_eq(posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	map = mmap(NULL, 1, PROT_READ, MAP_SHARED, f->fd, 0);
	ck_assert(map != MAP_FAILED && mincore(map, 1, &present) == 0 && munmap(map, 1) == 0);
	return (present & 1) == 0;
}

static unsigned int
rings(void)
{
	char link[64], to[64];
	unsigned int ret = 0;

	for (int fd = 0; fd < 1000; fd++) {
		ssize_t len;

		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		len = readlink(link, to, sizeof to - 1);
		to[len > 0 ? len : 0] = '\0';
		ret += strstr(to, "io_uring") != NULL;
	}
	return ret;
}

START_TEST(each_file_gets_its_own_first_bytes)
{
	static const size_t size[] = { 1, 0, 4095, 4096, 4097, READ_WINDOW - 1, READ_WINDOW, READ_WINDOW + 1, 200000, 2 };
	struct batch_file file[BATCH_FILES];

	if (!have_reader())
		return;
	for (unsigned int round = 0; round < 4; round++) {
		for (unsigned int i = 0; i < BATCH_FILES; i++) {
			file[i] = i % 7 == 3 ? (struct batch_file){ .fd = -1, .size = 5000 } : file_of(i < 10 ? size[i] : 50 * i, i);
			if (round > 0 && i % round == round - 1)	/* none, all, each second, each third */
				is_cold(&file[i]);
		}
		batch_read(reader, file, BATCH_FILES);
		for (unsigned int i = 0; i < BATCH_FILES; i++) {
			if (file[i].fd == -1 || file[i].size == 0)
				ck_assert_ptr_null(file[i].head);
			else
				has_its_bytes(&file[i], i);
			close(file[i].fd);
		}
	}
	have_none();
}
END_TEST

START_TEST(no_ring_is_made_for_what_is_in_memory)
{
	struct batch_file file[] = { file_of(100, 0), file_of(5000, 1), file_of(100, 2), file_of(5000, 3) };

	if (!have_reader())
		return;
	batch_read(reader, file, 4);
	ck_assert_uint_eq(rings(), 0);
	for (int round = 0; rings() == 0 && is_cold(&file[1]); round++) {
		ck_assert_int_lt(round, DISKS_LUCK);
		batch_read(reader, file, 4);
		for (unsigned int i = 0; i < 4; i++)
			has_its_bytes(&file[i], i);
	}
	have_none();
	ck_assert_uint_eq(rings(), 0);
}
END_TEST

START_TEST(what_there_is_no_room_for_is_left_out)
{
	struct batch_file file[BATCH_FILES];
	unsigned int whole = 0;

	if (!have_reader())
		return;
	for (unsigned int i = 0; i < BATCH_FILES; i++)
		file[i] = file_of(READ_WINDOW + i, i);
	batch_read(reader, file, BATCH_FILES);
	for (unsigned int i = 0; i < BATCH_FILES; i++) {
		if (file[i].head != NULL)
			has_its_bytes(&file[i], i);
		whole += file[i].head != NULL;
		close(file[i].fd);
	}
	ck_assert_uint_ge(whole, 2);
	ck_assert_uint_lt(whole, BATCH_FILES);
	have_none();
}
END_TEST

START_TEST(what_cannot_be_read_so_is_no_error)
{
	struct batch_file file[] = { file_of(100, 0), file_of(100, 1), file_of(100, 2), { .size = 4096 }, file_of(100, 4), { .fd = 1000000, .size = 9 } };

	if (!have_reader())
		return;
	file[1].size = 5000;					/* it was longer */
	ck_assert_int_eq(ftruncate(file[2].fd, 0), 0);
	file[3].fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	batch_read(reader, file, 6);
	has_its_bytes(&file[0], 0);
	ck_assert_uint_eq(file[1].len, 100);
	for (unsigned int i = 2; i < 6; i++)
		ck_assert_msg((file[i].head == NULL) == (i != 4), "%u", i);
	has_its_bytes(&file[4], 4);
	ck_assert(!batch_forbidden());
	have_none();
}
END_TEST

START_TEST(a_lone_file_is_left_to_who_wants_it_unless_it_is_in_memory)
{
	struct batch_file file[] = { { .fd = -1 }, file_of(100, 1), file_of(0, 2) };
	bool left = false;

	if (!have_reader())
		return;
	batch_read(reader, file, 3);
	has_its_bytes(&file[1], 1);
	for (int round = 0; !left && is_cold(&file[1]); round++) {
		ck_assert_int_lt(round, DISKS_LUCK);
		batch_read(reader, file, 3);
		left = file[1].head == NULL;
	}
	ck_assert_uint_eq(rings(), 0);
	have_none();
}
END_TEST

START_TEST(files_are_opened_together_only_where_they_are_not_in_memory)
{
	struct batch_file file[] = { file_of(100, 0), file_of(5000, 1) };

	if (!have_reader())
		return;
	ck_assert_uint_eq(batch_len(reader, 1000), 1);
	for (int round = 0; batch_len(reader, 1000) == 1 && is_cold(&file[0]); round++) {
		ck_assert_int_lt(round, DISKS_LUCK);
		batch_read(reader, file, 1);
	}
	if (batch_len(reader, 1000) > 1) {
		ck_assert_uint_eq(batch_len(reader, 1000), BATCH_FILES);
		ck_assert_uint_eq(batch_len(reader, 7), 7);
		for (int round = 0; batch_len(reader, 1000) > 1; round++) {	/* they come, and then are there */
			ck_assert_int_lt(round, DISKS_LUCK);
			batch_read(reader, file, 2);
		}
	}
	have_none();
}
END_TEST

START_TEST(a_source_goes_on_where_the_batch_ended)
{
	static struct queue_reader one;
	static char back[200000];
	struct batch_file file[] = { file_of(sizeof back, 5), file_of(10, 6) };
	struct queue_source s;

	if (!have_reader())
		return;
	batch_read(reader, file, 2);
	s = queue_source_file(&one, file[0].fd, file[0].size);
	queue_reader_knows(&one, file[0].head, file[0].len);
	for (size_t at = 0; at < sizeof back;) {
		ssize_t n = s.at(s.arg, back + at, 1 + at % 5000, at);

		ck_assert_int_gt(n, 0);
		at += (size_t)n;
	}
	for (size_t i = 0; i < sizeof back; i++)
		unit_must(back[i] == (char)(i * 31 + i / 251 + 5), "byte %zu", i);
	ck_assert_int_eq(s.at(s.arg, back, 10, 100), 10);	/* and back again */
	ck_assert_int_eq(back[0], (char)(100 * 31 + 5));
	have_none();
}
END_TEST

/* ---------------------------------------------------------------- where it is not to be had */

static void
forbid_by_the_kernel(int sys)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)sys),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof filter / sizeof *filter, filter };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(a_kernel_that_refuses_is_asked_once_and_nothing_is_read)
{
	static const int sys[] = { ENOSYS, EPERM, ENOMEM };
	struct batch_file file[] = { file_of(100, 0), file_of(100, 1) };

	if (!is_cold(&file[0])) {
		puts("skipped: files of /tmp are always in memory");
		return;
	}
	forbid_by_the_kernel(sys[_i]);
	ck_assert(!batch_forbidden() && have_reader());
	for (int round = 0; !batch_forbidden(); round++) {
		ck_assert_int_lt(round, DISKS_LUCK);
		is_cold(&file[0]);
		batch_read(reader, file, 2);
	}
	ck_assert(file[0].head == NULL && file[1].head == NULL);
	ck_assert(batch_forbidden() && batch_reader_take(pool) == NULL);
	have_none();
}
END_TEST

/* ---------------------------------------------------------------- both ways say the same */

struct told { char *text; size_t len; uint64_t messages, files; };

/* All that a deep look says of the tree. after: read when all names are known. */
static struct told
tell(bool after)
{
	struct read_options reading = { .threads = 4 };
	struct told ret = { 0 };
	struct err err = { 0 };
	struct read_seen got;
	FILE *out;

	scan_reads = !after;
	ck_assert_msg(scan_with(4, true, true, &err), "%s", err.text);
	ck_assert_msg(read_asked(&toy_rules_any, &layout, check, &reading, &got, &err), "%s", err.text);
	check_end(check, &findings, &ret.messages, &ret.files);
	out = open_memstream(&ret.text, &ret.len);
	for (size_t i = 0; i < findings.len; i++)
		fprintf(out, "%d %d %s: %s\n", (int)findings.at[i].class, (int)findings.at[i].problem, findings.at[i].path, findings.at[i].detail);
	fclose(out);
	finish();
	return ret;
}

/* Files of all sizes, holes, links, FIFOs, links to elsewhere, what is bad and what is empty. */
static void
hostile_tree(void)
{
	tree(700);
	for (unsigned int i = 3; i < 700; i += 30) {
		ck_assert_int_eq(truncate(in("cur/%u/%u", i % 3, i), (off_t)i * 5000), 0);
		write_file(in("new/%u", 1000 + i), i % 60 == 3 ? "bad" : "");
		ck_assert_int_eq(mkfifo(in("new/%u", 2000 + i), 0600), 0);
		ck_assert_int_eq(symlink("1003", in("new/%u", 3000 + i)), 0);
		write_file(in("log/%u", i), "bad and more");
		ck_assert_int_eq(link(in("cur/%u/%u", (i + 1) % 3, i + 1), in("new/%u", i + 1)), 0);
	}
}

START_TEST(a_look_says_the_same_with_batches_and_without)
{
	struct told with[2], without[2];

	hostile_tree();
	for (unsigned int after = 0; after < 2; after++)
		with[after] = tell(after);
	batch_forbid();
	for (unsigned int after = 0; after < 2; after++) {
		without[after] = tell(after);
		ck_assert_str_eq(with[after].text, without[after].text);
		ck_assert_uint_eq(with[after].messages, without[after].messages);
		ck_assert_uint_eq(with[after].files, without[after].files);
		ck_assert_uint_gt(with[after].len, 1000);
		free(with[after].text);
		free(without[after].text);
	}
	untree();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("batch read");
	TCase *tc = tcase_create("batches");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, each_file_gets_its_own_first_bytes);
	tcase_add_test(tc, no_ring_is_made_for_what_is_in_memory);
	tcase_add_test(tc, what_there_is_no_room_for_is_left_out);
	tcase_add_test(tc, what_cannot_be_read_so_is_no_error);
	tcase_add_test(tc, a_lone_file_is_left_to_who_wants_it_unless_it_is_in_memory);
	tcase_add_test(tc, files_are_opened_together_only_where_they_are_not_in_memory);
	tcase_add_test(tc, a_source_goes_on_where_the_batch_ended);
	tcase_add_loop_test(tc, a_kernel_that_refuses_is_asked_once_and_nothing_is_read, 0, 3);
	tcase_add_test(tc, a_look_says_the_same_with_batches_and_without);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
