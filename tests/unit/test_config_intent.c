/*
 * tests/unit/test_config_intent.c - laws of configsync/intent.h: what was noted is read back after any end of the program, a record whole or not at all, and by
 * nobody but root.
 */
#include "tests/unit/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "configsync/intent.h"
#include "tests/unit/config_toy.h"

static char dir[] = "/tmp/mailpair-intent.XXXXXX", path[64];
static struct intent *in;
static struct manifest *m;
static struct err err;
static size_t seen, bad;

static void
open_anew(void)
{
	intent_close(in);
	in = intent_open(dir, &err);
	ck_assert_msg(in != NULL, "%s", err.text);
}

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/config.intent", dir);
	m = toy_tree(11);
	ck_assert_uint_gt(m->len, 2);
	open_anew();
}

static void
teardown(void)
{
	intent_close(in);
	in = NULL;
	manifest_free(m);
	unlink(path);
	rmdir(dir);
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
}

/* Record k: the entries from k on, and one that is gone. */
static bool
note(size_t k)
{
	struct core_origin from = { .name = "set", .node = "alpha", .who = "anna", .why = "because", .cause = STORE_APPLIED, .wall_ms = 1000 + k };
	struct core_store_row row[64] = { { .path = "gone", .stamp = k } };
	size_t n = 1;

	for (size_t i = k; i < m->len && n < 64; i++)
		row[n++] = (struct core_store_row){ .path = m->at[i].path, .entry = &m->at[i], .stamp = k + i };
	return intent_note(in, &from, row, n, &err);
}

/* seen counts rows of "gone", one of each record, in their order. */
static void
look(void *arg, const struct core_store_row *row, const struct core_origin *from)
{
	const struct entry *is = manifest_find(m, row->path);

	(void)arg;
	if (row->entry == NULL)
		bad += strcmp(row->path, "gone") != 0 || row->stamp != seen++;
	else
		bad += is == NULL || entry_diff(is, row->entry) != 0;
	bad += strcmp(from->name, "set") != 0 || strcmp(from->node, "alpha") != 0 || strcmp(from->who, "anna") != 0 || strcmp(from->why, "because") != 0 ||
	    from->cause != STORE_APPLIED || from->wall_ms != 1000 + seen - 1;
}

static size_t
records(void)
{
	seen = bad = 0;
	ck_assert(intent_each(in, look, NULL, &err));
	ck_assert_uint_eq(bad, 0);
	return seen;
}

START_TEST(what_was_noted_is_there_until_it_is_cleared)
{
	for (size_t k = 0; k < 3; k++)
		ck_assert(note(k));
	ck_assert_uint_eq(records(), 3);
	open_anew();
	ck_assert_uint_eq(records(), 3);
	ck_assert(note(3));
	ck_assert_uint_eq(records(), 4);
	ck_assert(intent_clear(in, &err));
	ck_assert_uint_eq(records(), 0);
	ck_assert(note(0));
	open_anew();
	ck_assert_uint_eq(records(), 1);
}
END_TEST

START_TEST(a_record_that_is_cut_short_or_spoilt_counts_for_nothing)
{
	struct stat one, two;
	uint8_t byte;
	int fd;

	ck_assert(note(0));
	ck_assert_int_eq(stat(path, &one), 0);
	ck_assert(note(1));
	ck_assert_int_eq(stat(path, &two), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (off_t at = one.st_size; at < two.st_size; at++) {
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
		ck_assert_uint_eq(records(), 1);
		byte ^= 0x10;
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	}
	ck_assert_uint_eq(records(), 2);
	for (off_t at = two.st_size; at-- > one.st_size;) {
		ck_assert_int_eq(ftruncate(fd, at), 0);
		open_anew();
		ck_assert_uint_eq(records(), 1);
	}
	close(fd);
}
END_TEST

/* As with a full disk: half a record would hide those after it. */
START_TEST(what_has_no_room_leaves_the_others_as_they_are)
{
	struct rlimit limit = { 0 }, old;
	struct stat st;
	bool limited, noted;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert(note(0));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){ (rlim_t)st.st_size + 20, old.rlim_max };
	limited = setrlimit(RLIMIT_FSIZE, &limit) == 0;		/* libcheck writes files as well: nothing is asserted meanwhile */
	noted = note(1);
	setrlimit(RLIMIT_FSIZE, &old);
	ck_assert(limited && !noted);
	ck_assert_ptr_nonnull(strstr(err.text, "config.intent"));
	ck_assert(note(1));
	ck_assert_uint_eq(records(), 2);
}
END_TEST

START_TEST(nobody_else_reads_it_and_no_link_leads_away_from_it)
{
	struct stat st;

	ck_assert(note(0));
	ck_assert_int_eq(chmod(path, 0644), 0);
	open_anew();
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("/tmp/mailpair-elsewhere", path), 0);
	ck_assert_ptr_null(intent_open(dir, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "config.intent"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_intent");
	TCase *tcase = tcase_create("intent");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, what_was_noted_is_there_until_it_is_cleared);
	tcase_add_test(tcase, a_record_that_is_cut_short_or_spoilt_counts_for_nothing);
	tcase_add_test(tcase, what_has_no_room_leaves_the_others_as_they_are);
	tcase_add_test(tcase, nobody_else_reads_it_and_no_link_leads_away_from_it);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
