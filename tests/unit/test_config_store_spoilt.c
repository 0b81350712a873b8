/*
 * tests/unit/test_config_store_spoilt.c - laws of configsync/store.h about journals that are damaged, moved aside, locked, or on a full disk.
 */
#include <limits.h>
#include <sys/mount.h>

#include "tests/unit/store_box.h"

/* Some history: a common version, a deletion, a conflict, a version that was pruned. */
static void
some_history(struct store *s)
{
	struct store_set odd = set_of("odd", STORE_CONFLICT, 5);
	struct store_dispute d = { .kind = 2 };
	uint8_t digest[2][DIGEST_LEN];

	must_put(s, "zero", 0, "etc/c", "c0");
	must_put(s, "one", 1, "etc/a", "a1");
	ck_assert(store_mark_common(s, "one", &err));
	must_put(s, "two", 2, "etc/a", "a2");
	must_put(s, "three", 3, "etc/c", "c1");
	ck_assert(store_prune(s, 4, UINT64_MAX, NULL, &err));	/* c0 */
	must_put(s, "four", 4, "etc/a", NULL);
	ck_assert(change_to(s, &d.mine, digest[0], "etc/b", "mine") && change_to(s, &d.theirs, digest[1], "etc/b", "theirs"));
	ck_assert_msg(store_dispute(s, &odd, &d, 1, &err), "%s", err.text);
}

static bool
sides(void *arg, const struct store_conflict *c)
{
	struct told *t = arg;

	ck_assert_int_eq(c->kind, 2);
	ck_assert_uint_eq(c->since_ms, 5);
	ck_assert(store_version(*(struct store **)t->text, c->mine, tell_version, t + 1, &err));
	ck_assert(store_version(*(struct store **)t->text, c->theirs, tell_version, t + 1, &err));
	return true;
}

static bool
lost_step(void *arg, const struct store_step *step)
{
	*(bool *)arg = step->kind == STORE_STEP_LOST;
	return true;
}

static void
expect_some_history(struct store *s)
{
	struct told t[2] = { { .n = 0 }, { .n = 0 } };
	bool lost = false;

	ck_assert_str_eq(history(s, NULL, NULL), "etc/b=theirs! etc/b=mine etc/a=- etc/c=c1 etc/a=a2 etc/a=a1* ");
	ck_assert_str_eq(content(s, "a1"), "a1");
	ck_assert_str_eq(content(s, "theirs"), "theirs");
	memcpy(t[0].text, &s, sizeof(s));
	ck_assert(store_conflicts(s, sides, t, &err));
	ck_assert_str_eq(t[1].text, "etc/b=mine etc/b=theirs! ");
	ck_assert(store_rollback(s, "three", STORE_UNDO, lost_step, &lost, &err));
	ck_assert(lost);			/* c0 is still known to have been there */
}

START_TEST(versions_survive_that_the_journal_is_moved_aside_and_begun_anew)
{
	static const char *const ways[] = { "DROP TABLE event", "DROP TABLE config_rescued", "UPDATE config_seal SET probe = probe; DROP TABLE value" };
	struct journal *j;
	struct store *s;
	bool moved;

	for (size_t i = 0; i < 3; i++) {
		clean_store();
		s = store_of(true);
		some_history(s);
		store_close(s);
		by_hand(ways[i]);
		if (i == 2) {			/* by the scribe, who knows nothing of versions */
			ck_assert(journal_open(DB, true, &j, &moved, &err) && moved);
			journal_close(j);
		}
		s = store_of(true);
		ck_assert_uint_eq(journal_aside(DB, NULL, 0), 1);
		ck_assert_uint_eq(news.rescued, 6);
		ck_assert_uint_eq(news.lost, 0);
		ck_assert_ptr_nonnull(strstr(news.text, "6 versions"));
		expect_some_history(s);
		store_close(s);
		s = store_of(true);		/* and not again */
		ck_assert_str_eq(news.text, "");
		expect_some_history(s);
		store_close(s);
	}
}
END_TEST

START_TEST(a_store_that_is_open_goes_on_in_the_new_journal_and_loses_nothing_that_waits)
{
	char *large = calloc(1, 20 << 20);
	uint8_t digest[DIGEST_LEN];
	struct store_set set = set_of("large", STORE_EDIT, 9);
	struct store_change c = { .path = "etc/l", .digest = digest, .entry = digest, .entry_len = 1 };
	struct journal *j;
	struct store *s;

	clean_store();
	s = store_of(true);
	some_history(s);
	ck_assert(change_to(s, &c, digest, "etc/w", "waits"));
	ck_assert(journal_open(DB, true, &j, NULL, &err));
	journal_condemn(j, "a test wants it");
	ck_assert_msg(journal_renew(&j, &err), "%s", err.text);
	journal_close(j);
	ck_assert_msg(store_put(s, &set, &c, 1, &err), "%s", err.text);
	ck_assert_str_eq(history(s, "etc/w", NULL), "etc/w=waits ");
	ck_assert_str_eq(content(s, "waits"), "waits");
	ck_assert_uint_eq(totals(s).versions, 7);
	/* half of a content in the old one: it is not taken for whole */
	memset(large, 'x', 20 << 20);
	digest_sha256(large, 20 << 20, digest);
	ck_assert_msg(store_add_bytes(s, digest, large, 20 << 20, &err), "%s", err.text);
	ck_assert(journal_open(DB, true, &j, NULL, &err));
	journal_condemn(j, "a test wants it");
	ck_assert_msg(journal_renew(&j, &err), "%s", err.text);
	journal_close(j);
	snprintf(set.name, sizeof(set.name), "larger");
	ck_assert(!store_put(s, &set, &c, 1, &err));
	ck_assert_int_eq(err.sys, ENOENT);
	store_close(s);
	s = store_of(true);
	ck_assert(store_add_bytes(s, digest, large, 20 << 20, &err));
	ck_assert_msg(store_put(s, &set, &c, 1, &err), "%s", err.text);
	ck_assert_uint_eq(totals(s).versions, 8);
	store_close(s);
	free(large);
}
END_TEST

/* What is read is right, or it is told that it is not; renewed then. Returns how many are left of n versions. */
static size_t
read_or_renew(int n)
{
	struct store *s = NULL;
	char path[32], text[2048];
	size_t left = 0;

	if (!store_open(DB, true, &s, &news, &err))
		ck_abort_msg("%s", err.text);
	for (int again = 0; again < 2; again++) {
		bool ok = true;

		left = 0;
		for (int i = 0; i < n && ok; i++) {
			struct told t = { .n = 0 };
			const char *is;

			snprintf(path, sizeof(path), "etc/%d", i);
			snprintf(text, sizeof(text), "%01500d", i);
			ok = store_history(s, path, NULL, 9, tell_version, &t, &err);
			if (!ok || t.n == 0)
				continue;
			is = content(s, text);
			ok = is != NULL || err.sys == ENOENT;
			ck_assert(is == NULL || strcmp(is, text) == 0);
			left += is != NULL;
		}
		if (ok && put_one(s, "after", 1, "etc/after", "all goes on"))	/* damage may show only now */
			break;
		ck_assert_msg(store_spoilt(s) && again == 0, "%s", err.text);
		ck_assert_int_eq(err.sys, EBADMSG);
		ck_assert_msg(store_renew(s, &news, &err), "%s", err.text);
	}
	ck_assert_msg(left == (size_t)n || news.lost > 0 || strstr(news.text, "spoilt too much") != NULL, "%zu left in silence", left);
	ck_assert_str_eq(history(s, NULL, "after"), "etc/after=all goes on ");
	store_close(s);
	return left;
}

START_TEST(damage_is_noticed_costs_what_stands_on_it_and_is_never_handed_out)
{
	struct stat st;
	size_t kept = 0, begun_anew = 0, places = 0;
	off_t size;

	for (off_t at = 0; ; at += 9) {
		struct store *s;

		clean_store();
		s = store_of(true);
		for (int i = 0; i < 200; i += 10) {
			struct store_change c[10];
			uint8_t digest[10][DIGEST_LEN];
			char name[16], path[10][32], text[10][2048];
			struct store_set set;

			for (int k = 0; k < 10; k++) {
				snprintf(path[k], sizeof(path[k]), "etc/%d", i + k);
				snprintf(text[k], sizeof(text[k]), "%01500d", i + k);
				ck_assert(change_to(s, &c[k], digest[k], path[k], text[k]));
			}
			snprintf(name, sizeof(name), "set%d", i);
			set = set_of(name, STORE_EDIT, 1);
			ck_assert(store_put(s, &set, c, 10, &err));
		}
		store_close(s);
		stat(DB, &st);
		size = st.st_size / 4096;
		if (at >= size)
			break;
		overwrite(at * 4096, 4096);
		places++;
		kept += read_or_renew(200);
		begun_anew += journal_aside(DB, NULL, 0);
	}
	printf("%zu pages damaged, one at a time: %zu times begun anew, %zu of %zu contents left\n", places, begun_anew, kept, places * 200);
	ck_assert_uint_gt(begun_anew, 0);
	ck_assert_uint_gt(kept, places * 200 / 2);
}
END_TEST

START_TEST(what_was_put_in_anothers_place_is_noticed)
{
	static const char *const ways[] = {
		"UPDATE config_piece SET sealed = (SELECT p.sealed FROM config_piece p WHERE p.id != config_piece.id)",
		"UPDATE config_piece SET sealed = substr(sealed, 1, 40)",
		"UPDATE config_content SET size = size + 1",
		"DELETE FROM config_piece",
		"UPDATE config_version SET entry = (SELECT v.entry FROM config_version v WHERE v.id != config_version.id)",
		"UPDATE config_path SET path = CASE id WHEN 1 THEN CAST('x' AS BLOB) ELSE path END",
		"UPDATE config_set SET name = name || 'x'",
	};
	struct told t = { .n = 0 };
	struct store *s;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		clean_store();
		s = store_of(true);
		must_put(s, "one", 1, "etc/a", "first content");
		must_put(s, "two", 1, "etc/b", "other content");
		store_close(s);
		by_hand(ways[i]);
		s = store_of(true);
		if (i < 4)
			ck_assert_msg(content(s, "first content") == NULL, "%s", ways[i]);
		else
			ck_assert_msg(!store_history(s, NULL, NULL, 9, tell_version, &t, &err), "%s", ways[i]);
		ck_assert_int_eq(err.sys, EBADMSG);
		ck_assert(store_spoilt(s));
		store_close(s);
	}
}
END_TEST

START_TEST(what_is_spoilt_beyond_reading_is_told_and_begun_anew)
{
	struct store *s;

	clean_store();
	s = store_of(true);
	some_history(s);
	store_close(s);
	overwrite(0, 8192);
	s = store_of(true);
	ck_assert_ptr_nonnull(strstr(news.text, "spoilt too much"));
	ck_assert_str_eq(history(s, NULL, NULL), "");
	must_put(s, "new", 1, "etc/a", "goes on");
	store_close(s);
	store_close(store_of(true));
	ck_assert_str_eq(news.text, "");
}
END_TEST

START_TEST(a_lock_is_told_and_what_waits_goes_with_the_next_try)
{
	struct store *s;
	pid_t pid;

	clean_store();
	s = store_of(true);
	must_put(s, "one", 1, "etc/a", "before");
	pid = locker(6000);
	ck_assert(!put_one(s, "two", 1, "etc/a", "after"));
	ck_assert_int_eq(err.sys, EBUSY);
	ck_assert(!store_spoilt(s));
	ck_assert_str_eq(history(s, NULL, NULL), "etc/a=before ");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	must_put(s, "two", 1, "etc/a", "after");
	ck_assert_str_eq(history(s, NULL, NULL), "etc/a=after etc/a=before ");
	ck_assert_str_eq(content(s, "after"), "after");
	store_close(s);
}
END_TEST

START_TEST(a_full_disk_is_told_and_leaves_the_old_versions_and_nothing_of_the_new)
{
	char here[PATH_MAX], *large = malloc((3 << 20) + 1);
	struct store *s;

	if (geteuid() != 0) {
		printf("skip: not root, a full disk is not tested\n");
		return;
	}
	clean_store();
	ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", here, "tmpfs", 0, "size=2m"), 0);
	ck_assert_int_eq(chdir(here), 0);
	memset(large, 'x', 3 << 20);
	large[3 << 20] = '\0';
	s = store_of(true);
	must_put(s, "one", 1, "etc/a", "before");
	ck_assert(!put_one(s, "two", 1, "etc/a", large));
	ck_assert_msg(err.sys == ENOSPC, "%s", err.text);
	ck_assert(!store_spoilt(s));
	ck_assert_str_eq(history(s, NULL, NULL), "etc/a=before ");
	store_close(s);
	s = store_of(true);
	ck_assert_uint_eq(totals(s).sets, 1);
	ck_assert_str_eq(content(s, "before"), "before");
	must_put(s, "three", 1, "etc/a", "small");
	store_close(s);
	free(large);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("config_store_spoilt");
	TCase *t = tcase_create("config_store_spoilt");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, versions_survive_that_the_journal_is_moved_aside_and_begun_anew);
	tcase_add_test(t, a_store_that_is_open_goes_on_in_the_new_journal_and_loses_nothing_that_waits);
	tcase_add_test(t, damage_is_noticed_costs_what_stands_on_it_and_is_never_handed_out);
	tcase_add_test(t, what_was_put_in_anothers_place_is_noticed);
	tcase_add_test(t, what_is_spoilt_beyond_reading_is_told_and_begun_anew);
	tcase_add_test(t, a_lock_is_told_and_what_waits_goes_with_the_next_try);
	tcase_add_test(t, a_full_disk_is_told_and_leaves_the_old_versions_and_nothing_of_the_new);
	suite_add_tcase(s, t);
	return store_boxed(s);
}
