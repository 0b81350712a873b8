/*
 * tests/unit/test_db.c - laws of common/db.h, on real databases; what the journal makes of them is test_journal*.c's.
 */
#include <sys/mount.h>
#include <sys/syscall.h>

#include "common/db.h"
#include "tests/unit/journal_box.h"

static const char *const steps[] = {
	"CREATE TABLE thing (id INTEGER PRIMARY KEY, bytes BLOB)",
	"CREATE TABLE mark (n INTEGER); INSERT INTO mark VALUES (1)",
	"INSERT INTO mark VALUES (2)",
};

/* The mode is the caller's, so the caller makes the file. */
static struct db *
attempt(struct db_options o, bool *ret_ok)
{
	int fd = open(DB, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	close(fd);
	o.path = DB;
	o.name = "toy";
	o.patience_ms = o.patience_ms != 0 ? o.patience_ms : 5000;
	o.schema = o.schema != NULL ? o.schema : steps;
	return db_open(&o, ret_ok, &err);
}

static struct db *
opened(struct db_options o)
{
	bool ok;
	struct db *db = attempt(o, &ok);

	ck_assert_msg(ok, "%s", err.text);
	return db;
}

static struct db *
toy(int n)
{
	return opened((struct db_options){ .steps = n, .write = true });
}

static void
must(struct db *db, const char *sql)
{
	ck_assert_msg(db_exec(db, sql, "do it", &err), "%s", err.text);
}

static int64_t
number(struct db *db, const char *sql)
{
	struct db_query *q;
	int64_t n;

	ck_assert_msg(db_prepare(db, sql, "ask", &q, &err), "%s", err.text);
	ck_assert_msg(db_step(q, &err) == DB_ROW, "%s", err.text);
	n = db_column(q, 0);
	db_query_close(q);
	return n;
}

static bool
add(struct db *db, const void *bytes, size_t len)
{
	struct db_query *q;
	bool ok;

	if (!db_prepare(db, "INSERT INTO thing (bytes) VALUES (?1)", "write", &q, &err))
		return false;
	db_bind_bytes(q, 1, bytes, len);
	ok = db_run(q, &err);
	db_query_close(q);
	return ok;
}

START_TEST(bytes_come_back_as_they_were_none_is_not_null_and_a_query_is_used_again)
{
	static const char in[] = "a\0b\xff";
	struct db *db;
	struct db_query *q;
	const void *out;
	size_t len;

	clean();
	db = toy(1);
	ck_assert(add(db, in, sizeof(in)) && add(db, NULL, 0));
	ck_assert_int_eq(db_last_id(db), 2);
	must(db, "INSERT INTO thing (bytes) VALUES (NULL)");
	ck_assert(db_prepare(db, "SELECT bytes FROM thing WHERE id = ?1", "read", &q, &err));
	db_bind(q, 1, 1);
	ck_assert(db_step(q, &err) == DB_ROW);
	out = db_column_bytes(q, 0, &len);
	ck_assert_uint_eq(len, sizeof(in));
	ck_assert_mem_eq(out, in, len);
	for (int64_t id = 2; id <= 3; id++) {
		db_reset(q);
		db_bind(q, 1, id);
		ck_assert(db_step(q, &err) == DB_ROW);
		ck_assert_int_eq(db_column_null(q, 0), id == 3);
		db_column_bytes(q, 0, &len);
		ck_assert_uint_eq(len, 0);
	}
	db_reset(q);
	ck_assert(db_step(q, &err) == DB_DONE);		/* values do not stay */
	db_query_close(q);
	must(db, "DELETE FROM thing WHERE id > 1");
	ck_assert_int_eq(db_changes(db), 2);
	db_close(db);
}
END_TEST

START_TEST(a_commit_is_there_whole_or_not_at_all_when_its_writer_is_killed)
{
	struct db *db;

	clean();
	db_close(toy(1));
	for (int whole = 0; whole <= 1; whole++) {
		if (fork() == 0) {
			db = toy(1);
			db_begin(db, &err);
			for (int i = 0; i < 2000; i++)
				add(db, "0123456789abcdef", 16);
			if (whole && !db_commit(db, &err))
				_exit(1);
			kill(getpid(), SIGKILL);
		}
		wait(NULL);
		db = toy(1);
		ck_assert_int_eq(number(db, "SELECT count(*) FROM thing"), whole * 2000);
		db_close(db);
	}
}
END_TEST

START_TEST(an_older_one_is_brought_up_to_date_and_no_step_is_done_twice)
{
	struct db *db;

	clean();
	for (int n = 1; n <= 3; n++) {
		db_close(toy(n));
		db = toy(n);
		ck_assert_int_eq(number(db, "PRAGMA user_version"), n);
		db_close(db);
	}
	db = toy(3);
	ck_assert_int_eq(number(db, "SELECT group_concat(n, '') FROM mark"), 12);
	db_close(db);
}
END_TEST

START_TEST(many_who_open_at_once_make_the_tables_once)
{
	int status, go[2];
	struct db *db;
	char byte;

	clean();
	ck_assert_int_eq(pipe(go), 0);
	for (int i = 0; i < 8; i++) {
		if (fork() == 0) {
			bool ok;

			close(go[1]);
			if (read(go[0], &byte, 1) != 0)
				_exit(2);
			attempt((struct db_options){ .steps = 3, .write = true }, &ok);
			if (!ok)
				fprintf(stderr, "%s\n", err.text);
			_exit(!ok);
		}
	}
	close(go[0]);
	close(go[1]);
	while (wait(&status) > 0)
		ck_assert_int_eq(status, 0);
	db = toy(3);
	ck_assert_int_eq(number(db, "SELECT count(*) FROM mark"), 2);
	db_close(db);
}
END_TEST

START_TEST(a_step_that_fails_leaves_nothing_of_the_others)
{
	static const char *const bad[] = { "CREATE TABLE thing (id)", "CREATE TABLE mark (n)", "CREATE TABLE thing (id)" };
	struct db *db;
	bool ok;

	clean();
	db_close(attempt((struct db_options){ .schema = bad, .steps = 3, .write = true }, &ok));
	ck_assert(!ok);
	db = toy(0);
	ck_assert_int_eq(number(db, "PRAGMA user_version"), 0);
	ck_assert_int_eq(number(db, "SELECT count(*) FROM sqlite_schema"), 0);
	db_close(db);
}
END_TEST

START_TEST(a_part_stands_beside_the_others_with_a_version_of_its_own)
{
	static const char *const more[] = { "CREATE TABLE extra (n)", "INSERT INTO extra VALUES (7)" };
	struct db_options part = { .part = "extra", .schema = more, .steps = 1, .write = true };
	struct db *db;
	bool ok;

	clean();
	db_close(toy(2));
	part.write = false;
	db_close(attempt(part, &ok));
	ck_assert(!ok);
	ck_assert_ptr_nonnull(strstr(err.text, "nothing was written"));
	part.write = true;
	db_close(opened(part));
	part.steps = 2;
	db_close(opened(part));
	db = opened(part);
	ck_assert_int_eq(number(db, "SELECT sum(n) FROM extra"), 7);
	ck_assert_int_eq(number(db, "PRAGMA user_version"), 2);
	db_close(db);
	part.steps = 1;
	db_close(attempt(part, &ok));
	ck_assert(!ok);
	ck_assert_ptr_nonnull(strstr(err.text, "newer"));
	db_close(toy(3));
}
END_TEST

START_TEST(a_reader_makes_nothing_and_changes_nothing)
{
	struct stat was, is;
	struct db *db;

	clean();
	db_close(toy(1));
	ck_assert_int_eq(stat(DB, &was), 0);
	db = opened((struct db_options){ .steps = 3 });
	ck_assert_int_eq(number(db, "PRAGMA user_version"), 1);
	ck_assert(!db_exec(db, "INSERT INTO thing (bytes) VALUES (1)", "write", &err));
	ck_assert(!db_spoilt(db));
	db_close(db);
	ck_assert_int_eq(stat(DB, &is), 0);
	ck_assert_int_eq(is.st_size, was.st_size);
	ck_assert_int_eq(is.st_mtim.tv_nsec, was.st_mtim.tv_nsec);
}
END_TEST

START_TEST(a_lock_is_waited_for_as_long_as_patience_goes_and_is_no_damage)
{
	struct db *db, *other;
	uint64_t began;

	clean();
	db = opened((struct db_options){ .steps = 1, .write = true, .patience_ms = 150 });
	other = toy(1);
	ck_assert(db_begin(other, &err));
	began = clock_mono_ms();
	ck_assert(!db_begin(db, &err));
	ck_assert_int_eq(err.sys, EBUSY);
	ck_assert_uint_ge(clock_mono_ms() - began, 100);
	ck_assert(!db_spoilt(db));
	db_close(other);		/* rolls back */
	ck_assert(db_begin(db, &err) && db_commit(db, &err));
	db_close(db);
}
END_TEST

START_TEST(a_full_disk_is_told_leaves_nothing_half_written_and_is_no_damage)
{
	static char block[65536];
	struct db *db;
	bool ok = true;

	if (geteuid() != 0) {
		printf("skip: not root, a full disk is not tested\n");
		return;
	}
	clean();
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", ".", "tmpfs", 0, "size=1m"), 0);
	ck_assert_ptr_nonnull(getcwd(block, sizeof(block)));
	ck_assert_int_eq(chdir(block), 0);		/* from under the mount onto it */
	memset(block, 'x', sizeof(block));
	db = toy(1);
	ck_assert(add(db, "first", 5));
	ck_assert(db_begin(db, &err));
	for (int i = 0; i < 64 && ok; i++)
		ok = add(db, block, sizeof(block));
	ok = ok && db_commit(db, &err);
	ck_assert(!ok);
	ck_assert_msg(err.sys == ENOSPC, "%s", err.text);
	ck_assert(!db_spoilt(db));
	db_rollback(db);
	ck_assert_int_eq(number(db, "SELECT count(*) FROM thing"), 1);
	db_close(db);
	db = toy(1);
	ck_assert_int_eq(number(db, "SELECT count(*) FROM thing"), 1);
	ck_assert(add(db, "second", 6));
	db_close(db);
}
END_TEST

START_TEST(damage_is_noticed_and_remembered_with_its_first_reason)
{
	struct db *db;
	struct stat st;
	bool ok;

	clean();
	db = toy(1);
	ck_assert(db_begin(db, &err));
	for (int i = 0; i < 2000; i++)
		ck_assert(add(db, "0123456789abcdef", 16));
	ck_assert(db_commit(db, &err));
	db_close(db);
	stat(DB, &st);
	overwrite(4096 * 3, (size_t)st.st_size - 4096 * 3);
	db = toy(1);
	ck_assert(!db_spoilt(db));
	ck_assert_str_eq(db_why(db), "");
	ck_assert(!db_exec(db, "SELECT sum(length(bytes)) FROM thing", "read", &err));
	ck_assert(db_spoilt(db));
	ck_assert_ptr_nonnull(strstr(db_why(db), "cannot read"));
	ck_assert(!db_exec(db, "SELECT nothing", "do more", &err));
	ck_assert_ptr_nonnull(strstr(db_why(db), "cannot read"));
	db_leave(db);
	overwrite(0, 100);
	db = attempt((struct db_options){ .steps = 1, .write = true }, &ok);
	ck_assert(!ok && db_spoilt(db));
	db_leave(db);
}
END_TEST

START_TEST(a_file_that_took_the_others_place_is_told_apart)
{
	struct db *db;

	clean();
	db = toy(1);
	ck_assert(db_in_place(db));
	ck_assert_int_eq(rename(DB, DB ".old"), 0);
	ck_assert(!db_in_place(db));
	close(open(DB, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	ck_assert(!db_in_place(db));
	db_close(db);
}
END_TEST

START_TEST(the_log_has_the_mode_of_the_database_whatever_the_umask)
{
	static const char *const files[] = { DB, DB "-wal", DB "-shm" };
	struct stat st;
	struct db *db;

	clean();
	umask(0);
	db = toy(1);
	ck_assert(add(db, "x", 1));
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(stat(files[i], &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0600);
	}
	db_close(db);
}
END_TEST

/* ---------------------------------------------------------------- lazy */

static long syncs;

/* In front of the C library's, so that it can be seen what waits for the disk. */
int
fdatasync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

START_TEST(a_lazy_commit_waits_for_no_disk_until_it_is_asked_to)
{
	struct db *db = opened((struct db_options){ .steps = 1, .write = true, .lazy = true });
	int64_t rows = number(db, "SELECT count(*) FROM thing");
	long before;

	ck_assert(add(db, "x", 1) && db_sync(db, &err));
	before = syncs;
	for (int i = 0; i < 20; i++)
		ck_assert(add(db, "x", 1));
	ck_assert_int_eq(syncs, before);
	ck_assert(db_sync(db, &err));
	ck_assert_int_eq(syncs, before + 1);
	ck_assert(db_sync(db, &err));		/* it is there already */
	ck_assert_int_eq(syncs, before + 1);
	ck_assert(add(db, "x", 1));
	db_leave(db);
	ck_assert_int_eq(syncs, before + 2);
	db = toy(1);
	before = syncs;
	ck_assert(add(db, "x", 1));
	ck_assert_int_gt(syncs, before);
	ck_assert_int_eq(number(db, "SELECT count(*) FROM thing"), rows + 23);
	db_close(db);
}
END_TEST

static off_t
size_of_db(void)
{
	struct stat st;

	ck_assert_int_eq(stat(DB, &st), 0);
	return st.st_size;
}

START_TEST(the_log_of_a_lazy_one_is_written_back_only_when_it_is_asked_to)
{
	struct db *db = opened((struct db_options){ .steps = 1, .write = true, .lazy = true });
	static const char page[4096] = "page";
	int64_t rows = number(db, "SELECT count(*) FROM thing");
	off_t before = size_of_db();

	for (int i = 0; i < 1500; i++)
		ck_assert(add(db, page, sizeof(page)));
	ck_assert_int_eq(size_of_db(), before);
	ck_assert(db_tidy(db, 1 << 20, &err));
	ck_assert_int_eq(size_of_db(), before);
	ck_assert(db_tidy(db, 1000, &err));
	ck_assert_int_gt(size_of_db(), before + 1500 * 4096);
	ck_assert(add(db, page, sizeof(page)) && db_tidy(db, 1000, &err));
	ck_assert_int_eq(number(db, "SELECT count(*) FROM thing"), rows + 1501);
	db_close(db);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("db");
	TCase *t = tcase_create("db");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, bytes_come_back_as_they_were_none_is_not_null_and_a_query_is_used_again);
	tcase_add_test(t, a_commit_is_there_whole_or_not_at_all_when_its_writer_is_killed);
	tcase_add_test(t, an_older_one_is_brought_up_to_date_and_no_step_is_done_twice);
	tcase_add_test(t, many_who_open_at_once_make_the_tables_once);
	tcase_add_test(t, a_step_that_fails_leaves_nothing_of_the_others);
	tcase_add_test(t, a_part_stands_beside_the_others_with_a_version_of_its_own);
	tcase_add_test(t, a_reader_makes_nothing_and_changes_nothing);
	tcase_add_test(t, a_lock_is_waited_for_as_long_as_patience_goes_and_is_no_damage);
	tcase_add_test(t, a_full_disk_is_told_leaves_nothing_half_written_and_is_no_damage);
	tcase_add_test(t, damage_is_noticed_and_remembered_with_its_first_reason);
	tcase_add_test(t, a_file_that_took_the_others_place_is_told_apart);
	tcase_add_test(t, the_log_has_the_mode_of_the_database_whatever_the_umask);
	tcase_add_test(t, a_lazy_commit_waits_for_no_disk_until_it_is_asked_to);
	tcase_add_test(t, the_log_of_a_lazy_one_is_written_back_only_when_it_is_asked_to);
	suite_add_tcase(s, t);
	return boxed(s);
}
