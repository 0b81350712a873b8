/*
 * tests/unit/test_config_store.c - laws of configsync/store.h, on real journals; what damage does is test_config_store_spoilt.c's.
 */
#include <sys/time.h>

#include "tests/unit/store_box.h"

START_TEST(what_was_put_comes_back_newest_first_with_its_content_and_who_did_it)
{
	struct told t = { .n = 0 };
	struct store *s;

	clean_store();
	s = store_of(true);
	must_put(s, "one", 1000, "etc/a", "first");
	must_put(s, "two", 500, "etc/b", "other");		/* the clock went back: still newer */
	must_put(s, "three", 2000, "etc/a", "second");
	must_put(s, "four", 3000, "etc/a", NULL);
	store_close(s);
	s = store_of(false);
	ck_assert_str_eq(history(s, "etc/a", NULL), "etc/a=- etc/a=second etc/a=first ");
	ck_assert_str_eq(history(s, NULL, NULL), "etc/a=- etc/a=second etc/b=other etc/a=first ");
	ck_assert_str_eq(history(s, NULL, "two"), "etc/b=other ");
	ck_assert_str_eq(history(s, "etc/a", "two"), "");
	ck_assert_str_eq(history(s, "etc/none", NULL), "");
	ck_assert_str_eq(content(s, "first"), "first");
	ck_assert_ptr_null(content(s, "never"));
	ck_assert_int_eq(err.sys, ENOENT);
	ck_assert(store_history(s, "etc/b", NULL, 1, tell_version, &t, &err));
	ck_assert(t.kept);
	ck_assert_str_eq(t.set.who, "root");
	ck_assert_str_eq(t.set.node, "mx1");
	ck_assert_str_eq(t.set.why, "because");
	ck_assert_uint_eq(t.set.wall_ms, 500);
	ck_assert_uint_eq(t.set.tenure, 3);
	ck_assert(store_version(s, t.number, tell_version, &t, &err));
	ck_assert_str_eq(t.text, "etc/b=other etc/b=other ");
	ck_assert(!store_version(s, 999, tell_version, &t, &err));
	ck_assert_int_eq(err.sys, ENOENT);
	ck_assert(!put_one(s, "five", 1, "etc/a", "x"));	/* a reader */
	store_close(s);
}
END_TEST

START_TEST(equal_contents_are_kept_once_and_large_and_empty_ones_come_back_byte_by_byte)
{
	size_t sizes[] = { 0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 11 << 20 };
	char *bytes = calloc(1, 11 << 20), *back = malloc(11 << 20);
	uint8_t digest[DIGEST_LEN];
	struct store_set set = set_of("set", STORE_EDIT, 1);
	struct store_change c = { .path = "etc/x", .entry = (const uint8_t *)"x", .entry_len = 1, .digest = digest };
	struct store *s;
	bool has;

	clean_store();
	s = store_of(true);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd;

		for (size_t at = 0; at < sizes[i]; at++)
			bytes[at] = (char)(at * 7 + at / 4093 + i);
		digest_sha256(bytes, sizes[i], digest);
		ck_assert(store_has(s, digest, &has, &err) && !has);
		for (int twice = 0; twice < 2; twice++)
			ck_assert_msg(store_add_bytes(s, digest, bytes, sizes[i], &err), "%s", err.text);
		ck_assert(store_has(s, digest, &has, &err) && has);
		snprintf(set.name, sizeof(set.name), "%zu", i);
		ck_assert_msg(store_put(s, &set, &c, 1, &err), "%s", err.text);
		ck_assert(store_add_bytes(s, digest, bytes, sizes[i], &err));
		fd = store_read_fd(s, digest, &err);
		ck_assert_msg(fd != -1, "%s", err.text);
		ck_assert_int_eq(read(fd, back, 11 << 20), (ssize_t)sizes[i]);
		ck_assert_mem_eq(back, bytes, sizes[i]);
		ck_assert(store_add(s, digest, fd, &err));
		close(fd);
		ck_assert_uint_eq(totals(s).contents, i + 1);
	}
	digest[0] ^= 1;						/* it changed while it was read */
	ck_assert(!store_add_bytes(s, digest, bytes, 100, &err));
	ck_assert_int_eq(err.sys, ESTALE);
	snprintf(set.name, sizeof(set.name), "last");
	ck_assert(!store_put(s, &set, &c, 1, &err));
	ck_assert_int_eq(err.sys, ENOENT);
	ck_assert_str_eq(history(s, NULL, "last"), "");
	store_close(s);
	free(bytes);
	free(back);
}
END_TEST

START_TEST(a_set_is_there_whole_or_not_at_all_whenever_its_writer_is_killed)
{
	uint64_t began, takes = 20000;		/* microseconds */
	int whole = 0, none = 0, status;

	clean_store();
	store_close(store_of(true));
	for (int i = 0; i < 30; i++) {		/* the first one is not killed, and tells when to kill the others */
		char name[16], text[32];
		struct told t = { .n = 0 };
		struct store *s;
		pid_t pid;

		snprintf(name, sizeof(name), "set%d", i);
		if ((pid = fork()) == 0) {
			static struct store_change c[300];
			static uint8_t digest[300][DIGEST_LEN];
			struct store_set set = set_of(name, STORE_EDIT, 1);
			uint64_t at = 1 + takes * (uint64_t)i / 15;
			/* its SIGALRM kills as SIGKILL would */
			struct itimerval soon = { .it_value = { .tv_sec = (time_t)(at / 1000000), .tv_usec = (suseconds_t)(at % 1000000) } };
			char path[32];

			s = store_of(true);
			for (int k = 0; k < 300; k++) {
				snprintf(path, sizeof(path), "etc/%d", k);
				snprintf(text, sizeof(text), "%d %d", i, k);
				change_to(s, &c[k], digest[k], strdup(path), strdup(text));
			}
			signal(SIGALRM, SIG_DFL);
			began = clock_mono_us();
			if (i > 0)
				setitimer(ITIMER_REAL, &soon, NULL);
			store_put(s, &set, c, 300, &err);
			if (i == 0)
				_exit((int)((clock_mono_us() - began) / 10000 + 1));
			for (;;)
				pause();
		}
		waitpid(pid, &status, 0);
		if (i == 0)
			takes = (uint64_t)WEXITSTATUS(status) * 10000;
		s = store_of(true);
		ck_assert(store_history(s, NULL, name, SIZE_MAX, tell_version, &t, &err));
		ck_assert_msg(t.n == 0 || t.n == 300, "%zu of 300", t.n);
		whole += t.n == 300;
		none += t.n == 0;
		store_close(s);
	}
	printf("killed in the middle of a put: %d sets whole, %d not there\n", whole, none);
	ck_assert_int_gt(whole, 0);
	ck_assert_int_gt(none, 0);
}
END_TEST

START_TEST(what_a_set_has_already_is_not_added_again_and_what_waits_is_kept)
{
	struct store *s;

	clean_store();
	s = store_of(true);
	must_put(s, "one", 1, "etc/a", "first");
	must_put(s, "one", 1, "etc/a", "first");
	ck_assert_str_eq(history(s, NULL, NULL), "etc/a=first ");
	must_put(s, "one", 1, "etc/b", "later");
	ck_assert_str_eq(history(s, NULL, NULL), "etc/b=later etc/a=first ");
	store_close(s);
}
END_TEST

/* What another process finds is what was written. */
START_TEST(a_commit_has_its_own_contents_and_those_of_others_wait_on)
{
	struct store_set set = set_of("two", STORE_EDIT, 2);
	uint8_t mine[DIGEST_LEN], theirs[DIGEST_LEN], other[DIGEST_LEN];
	struct store *s, *reader;
	struct store_change c[3];
	bool has;

	clean_store();
	s = store_of(true);
	ck_assert(change_to(s, &c[0], mine, "etc/a", "mine") && change_to(s, &c[1], theirs, "etc/a", "theirs") && change_to(s, &c[2], other, "etc/b", "other"));
	if (_i == 0)
		ck_assert(store_put(s, &set, c, 2, &err));
	else
		ck_assert(store_dispute(s, &set, &(struct store_dispute){ c[0], c[1], 0 }, 1, &err));
	reader = store_of(false);
	for (int i = 0; i < 3; i++) {
		ck_assert(store_has(s, c[i].digest, &has, &err) && has);
		ck_assert(store_has(reader, c[i].digest, &has, &err));
		ck_assert_int_eq(has, i < 2);
	}
	ck_assert(store_put(s, &(struct store_set){ .name = "three", .node = "mx1", .cause = STORE_EDIT, .wall_ms = 3 }, &c[2], 1, &err));
	ck_assert(store_has(reader, other, &has, &err) && has);
	store_close(reader);
	store_close(s);
}
END_TEST

START_TEST(many_who_open_the_first_store_at_once_share_one_key)
{
	int status, go[2];
	struct store *s;
	char byte;

	for (int round = 0; round < 10; round++) {
		clean_store();
		ck_assert_int_eq(pipe(go), 0);
		for (int who = 0; who < 6; who++) {
			if (fork() == 0) {
				char name[16];

				close(go[1]);
				snprintf(name, sizeof(name), "%d", who);
				if (read(go[0], &byte, 1) == 0 && store_open(DB, true, &s, NULL, &err) && put_one(s, name, 1, "etc/a", name))
					_exit(0);
				fprintf(stderr, "%s\n", err.text);
				_exit(1);
			}
		}
		close(go[0]);
		close(go[1]);
		while (wait(&status) > 0)
			ck_assert_int_eq(status, 0);
		ck_assert_uint_eq(journal_aside(DB, NULL, 0), 0);
		s = store_of(true);
		ck_assert_uint_eq(totals(s).versions, 6);
		store_close(s);
	}
}
END_TEST

START_TEST(two_processes_at_once_lose_nothing_of_each_other)
{
	struct store *s;
	int status;

	clean_store();
	for (int who = 0; who < 3; who++) {
		if (fork() == 0) {
			s = store_of(true);		/* at once as well: who makes the key? */
			for (int i = 0; i < 40; i++) {
				char name[32], path[32];

				snprintf(name, sizeof(name), "%d-%d", who, i);
				snprintf(path, sizeof(path), "etc/%d", i);
				for (int tries = 0; !put_one(s, name, 1, path, "the same"); tries++) {
					if (err.sys != EBUSY || tries == 20) {
						fprintf(stderr, "%s\n", err.text);
						_exit(1);
					}
				}
			}
			store_close(s);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		ck_assert_int_eq(status, 0);
	s = store_of(true);
	ck_assert_uint_eq(totals(s).versions, 120);
	ck_assert_uint_eq(totals(s).paths, 40);
	ck_assert_uint_eq(totals(s).contents, 1);
	store_close(s);
}
END_TEST

START_TEST(the_last_common_version_stays_while_the_nodes_go_apart)
{
	struct store_set set = set_of("two", STORE_APPLIED, 2);
	struct told t = { .n = 0 };
	uint8_t digest[DIGEST_LEN];
	struct store_change c;
	struct store *s;

	clean_store();
	s = store_of(true);
	ck_assert(store_common(s, tell_version, &t, &err));
	ck_assert_uint_eq(t.n, 0);			/* there never was one */
	must_put(s, "one", 1, "etc/a", "mine");
	ck_assert(store_mark_common(s, "one", &err));
	ck_assert(!store_mark_common(s, "never", &err));
	ck_assert_int_eq(err.sys, ENOENT);
	must_put(s, "apart", 1, "etc/a", "apart");
	ck_assert(change_to(s, &c, digest, "etc/b", "theirs"));
	c.common = true;
	ck_assert(store_put(s, &set, &c, 1, &err));
	ck_assert(store_common(s, tell_version, &t, &err));
	ck_assert_str_eq(t.text, "etc/a=mine* etc/b=theirs* ");
	must_put(s, "gone", 1, "etc/b", NULL);
	ck_assert(store_mark_common(s, "gone", &err));
	t = (struct told){ .n = 0 };
	ck_assert(store_common(s, tell_version, &t, &err));
	ck_assert_str_eq(t.text, "etc/a=mine* etc/b=-* ");
	store_close(s);
}
END_TEST

static bool
tell_conflict(void *arg, const struct store_conflict *c)
{
	struct told *t = arg;
	char kind[16];

	snprintf(kind, sizeof(kind), "%d", c->kind);
	tell(t, c->path, kind, strlen(kind), "");
	return true;
}

START_TEST(both_sides_of_a_conflict_are_kept_until_it_is_settled)
{
	struct store_set set = set_of("end", STORE_EDIT, 5);
	struct told t = { .n = 0 };
	uint8_t digest[DIGEST_LEN];
	struct store_change c;
	uint64_t removed;
	struct store *s;

	clean_store();
	s = store_of(true);
	must_put(s, "one", 1, "etc/a", "base");
	dispute(s, "odd", 2, "etc/a", "mine", "theirs");
	must_put(s, "more", 3, "etc/a", "mine again");
	ck_assert(store_prune(s, UINT64_MAX, 0, &removed, &err));
	ck_assert_uint_eq(removed, 1);
	ck_assert_str_eq(history(s, "etc/a", NULL), "etc/a=mine again etc/a=theirs! etc/a=mine ");
	ck_assert_str_eq(content(s, "theirs"), "theirs");
	ck_assert(store_conflicts(s, tell_conflict, &t, &err));
	ck_assert_str_eq(t.text, "etc/a=2 ");
	ck_assert_uint_eq(totals(s).conflicts, 1);
	ck_assert(change_to(s, &c, digest, "etc/a", "theirs"));
	c.settles = c.common = true;
	ck_assert(store_put(s, &set, &c, 1, &err));
	ck_assert_uint_eq(totals(s).conflicts, 0);
	ck_assert(store_prune(s, UINT64_MAX, 0, &removed, &err));
	ck_assert_str_eq(history(s, "etc/a", NULL), "etc/a=theirs* ");
	ck_assert_ptr_null(content(s, "mine"));
	ck_assert_str_eq(content(s, "theirs"), "theirs");
	store_close(s);
}
END_TEST

START_TEST(bounds_of_age_and_size_never_take_the_newest_nor_the_last_common_one)
{
	struct store *s;
	uint64_t removed;
	struct stat was, is;
	char *large = malloc(300001);

	clean_store();
	memset(large, 'x', 300000);
	large[300000] = '\0';
	s = store_of(true);
	must_put(s, "common", 1, "etc/a", "common");
	ck_assert(store_mark_common(s, "common", &err));
	for (int i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "set%d", i);
		large[i] = 'y';
		must_put(s, name, 1000 + (uint64_t)i, i < 9 ? "etc/a" : "etc/b", large);
	}
	must_put(s, "last", 2000, "etc/a", "last");
	/* an old version that was overwritten late is what somebody wants back */
	ck_assert(store_prune(s, 1000, UINT64_MAX, &removed, &err));
	ck_assert_uint_eq(removed, 0);
	ck_assert(store_prune(s, 1004, UINT64_MAX, &removed, &err));
	ck_assert_uint_eq(removed, 3);
	ck_assert(store_prune(s, 0, 5 * 600200, &removed, &err));
	ck_assert_uint_eq(removed, 2);
	ck_assert_uint_le(totals(s).bytes, 5 * 600200);
	ck_assert_uint_gt(totals(s).bytes, 4 * 600200);
	store_close(s);		/* else most of it is in the log */
	s = store_of(true);
	ck_assert_int_eq(stat(DB, &was), 0);
	ck_assert(store_prune(s, 0, 0, &removed, &err));
	ck_assert_uint_eq(totals(s).versions, 3);
	ck_assert_uint_eq(totals(s).sets, 3);
	ck_assert_str_eq(history(s, "etc/a", NULL), "etc/a=last etc/a=common* ");
	ck_assert_str_eq(content(s, "common"), "common");
	store_close(s);
	store_close(store_of(true));
	ck_assert_int_eq(stat(DB, &is), 0);
	ck_assert_int_lt(is.st_size, was.st_size);
	free(large);
}
END_TEST

START_TEST(contents_whose_set_never_came_go_but_not_those_that_are_on_their_way)
{
	uint8_t digest[DIGEST_LEN];
	char *bytes = calloc(1, 9 << 20);
	struct store *s;

	clean_store();
	memset(bytes, 'x', (9 << 20) - 1);
	s = store_of(true);
	digest_sha256(bytes, 9 << 20, digest);
	ck_assert(store_add_bytes(s, digest, bytes, 9 << 20, &err));	/* too much to wait: a part is written */
	ck_assert(store_prune(s, 0, UINT64_MAX, NULL, &err));
	must_put(s, "set", 1, "etc/a", "x");
	ck_assert_uint_eq(totals(s).contents, 2);
	ck_assert(store_prune(s, 0, UINT64_MAX, NULL, &err));
	ck_assert_uint_eq(totals(s).contents, 2);
	store_close(s);
	by_hand("UPDATE config_content SET born_ms = 1");
	s = store_of(true);
	ck_assert(store_prune(s, 0, UINT64_MAX, NULL, &err));
	ck_assert_uint_eq(totals(s).contents, 1);
	ck_assert_str_eq(content(s, "x"), "x");
	store_close(s);
	free(bytes);
}
END_TEST

static bool
tell_step(void *arg, const struct store_step *step)
{
	static const char *const marks[][2] = { { "", "+" }, { "", "+" }, { "?", "?+" } };
	struct told *t = arg;

	tell(t, step->path, step->to != NULL ? step->to->entry : NULL, step->to != NULL ? step->to->entry_len : 0,
	    marks[step->kind][step->moved_on]);
	return true;
}

static const char *
back(struct store *s, const char *set, enum store_back how)
{
	static struct told t;

	t = (struct told){ .n = 0 };
	ck_assert_msg(store_rollback(s, set, how, tell_step, &t, &err), "%s", err.text);
	return t.text;
}

START_TEST(a_rollback_puts_back_what_stood_before_and_guesses_nothing)
{
	struct store_set found = set_of("found", STORE_FOUND, 1), edit = set_of("edit", STORE_EDIT, 3);
	struct store_change c[3];
	uint8_t digest[3][DIGEST_LEN];
	struct told t = { .n = 0 };
	struct store *s;

	clean_store();
	s = store_of(true);
	ck_assert(change_to(s, &c[0], digest[0], "etc/a", "a1") && change_to(s, &c[1], digest[1], "etc/b", "b1"));
	ck_assert(store_put(s, &found, c, 2, &err));
	must_put(s, "two", 2, "etc/a", "a2");
	ck_assert(change_to(s, &c[0], digest[0], "etc/a", "a3") && change_to(s, &c[1], digest[1], "etc/b", NULL) &&
	    change_to(s, &c[2], digest[2], "etc/c", "c1"));
	ck_assert(store_put(s, &edit, c, 3, &err));
	ck_assert_str_eq(back(s, "edit", STORE_UNDO), "etc/a=a2 etc/b=b1 etc/c=- ");
	ck_assert_str_eq(back(s, "found", STORE_BACK_TO), "etc/a=a1 etc/b=b1 etc/c=- ");
	ck_assert_str_eq(back(s, "edit", STORE_BACK_TO), "");
	ck_assert_str_eq(back(s, "found", STORE_UNDO), "etc/a=-?+ etc/b=-?+ ");	/* nobody knows what was before */
	dispute(s, "odd", 4, "etc/c", "c1", "theirs");		/* never stood here */
	ck_assert(store_mark_common(s, "odd", &err) && store_common(s, tell_version, &t, &err));
	ck_assert_str_eq(t.text, "etc/c=c1* ");
	must_put(s, "five", 5, "etc/c", "c2");
	ck_assert_str_eq(back(s, "five", STORE_UNDO), "etc/c=c1 ");
	ck_assert_str_eq(back(s, "edit", STORE_UNDO), "etc/a=a2 etc/b=b1 etc/c=-+ ");
	ck_assert(store_mark_common(s, "found", &err));		/* a1 stays, a2 goes: a1 is not what was before a3 */
	ck_assert(store_prune(s, UINT64_MAX, UINT64_MAX, NULL, &err));
	ck_assert_str_eq(back(s, "edit", STORE_UNDO), "etc/a=-? etc/b=b1 ");
	ck_assert(!store_rollback(s, "never", STORE_UNDO, tell_step, NULL, &err));
	ck_assert_int_eq(err.sys, ENOENT);
	store_close(s);
}
END_TEST

static bool
file_has(const char *path, const char *needle, size_t len)
{
	static char all[1 << 20];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, all, sizeof(all));

	close(fd);
	return n > 0 && memmem(all, (size_t)n, needle, len) != NULL;
}

START_TEST(the_key_is_roots_alone_and_without_it_neither_content_nor_entry_nor_digest_can_be_read)
{
	static const char secret[] = "-----BEGIN PRIVATE KEY-----";
	static const char *const files[] = { DB, DB "-wal" };
	uint8_t digest[DIGEST_LEN];
	struct store *s, *other;
	struct stat st;
	int fd;

	clean_store();
	umask(0);
	s = store_of(true);
	must_put(s, "set", 1, "etc/key", secret);
	digest_sha256(secret, strlen(secret), digest);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(stat(files[i], &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0640);
		ck_assert(!file_has(files[i], secret, strlen(secret)));
		ck_assert(!file_has(files[i], (const char *)digest, 16));
	}
	ck_assert(file_has(DB "-wal", "etc/key", 7));
	store_close(s);
	ck_assert_int_eq(stat("config.key", &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	chmod("config.key", 0640);
	ck_assert(!store_open(DB, true, &other, NULL, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "0600"));
	chmod("config.key", 0600);
	ck_assert_int_eq(rename("config.key", "key.away"), 0);
	ck_assert(!store_open(DB, true, &other, NULL, &err));	/* it is not made anew: the versions need the old one */
	ck_assert_int_eq(access("config.key", F_OK), -1);
	fd = open("config.key", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, "another key that has 32 bytes, ok", 32), 32);
	close(fd);
	ck_assert(!store_open(DB, true, &other, NULL, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "another key"));
	ck_assert_uint_eq(matching(DB ".corrupt*", false), 0);
	ck_assert_int_eq(rename("key.away", "config.key"), 0);
	s = store_of(true);
	ck_assert_str_eq(content(s, secret), secret);
	store_close(s);
}
END_TEST

START_TEST(twenty_thousand_files_are_put_in_little_time_and_cost_little)
{
	struct store_change *c = calloc(20000, sizeof(*c));
	uint8_t (*digest)[DIGEST_LEN] = calloc(20000, sizeof(*digest));
	struct store_set set = set_of("found", STORE_FOUND, 1);
	uint64_t began, added, put, read_all;
	struct told t = { .n = 0 };
	struct store *s;
	struct stat st;

	clean_store();
	s = store_of(true);
	began = clock_mono_us();
	for (int i = 0; i < 20000; i++) {
		char path[64], text[1200];

		snprintf(path, sizeof(path), "etc/tree/%03d/file-%05d.conf", i / 100, i);
		snprintf(text, sizeof(text), "%0*d", 200 + i % 900, i);
		ck_assert(change_to(s, &c[i], digest[i], strdup(path), strdup(text)));
		c[i].entry_len = 120;
		c[i].common = true;
	}
	added = clock_mono_us();
	ck_assert_msg(store_put(s, &set, c, 20000, &err), "%s", err.text);
	put = clock_mono_us();
	ck_assert(store_common(s, tell_version, &t, &err));
	read_all = clock_mono_us();
	stat(DB, &st);
	printf("20,000 files, 13 MB: %llu ms to add their contents, %llu ms to put them in one commit, %llu ms to read the common versions; "
	    "%lld bytes a file\n", (unsigned long long)(added - began) / 1000, (unsigned long long)(put - added) / 1000,
	    (unsigned long long)(read_all - put) / 1000, (long long)st.st_size / 20000);
	ck_assert_uint_eq(t.n, 20000);
	ck_assert_uint_lt(put - added, 20000000);
	ck_assert_uint_eq(totals(s).common, 20000);
	store_close(s);
	for (int i = 0; i < 20000; i++) {
		free((void *)(uintptr_t)c[i].path);
		free((void *)(uintptr_t)c[i].entry);
	}
	free(c);
	free(digest);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("config_store");
	TCase *t = tcase_create("config_store");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, what_was_put_comes_back_newest_first_with_its_content_and_who_did_it);
	tcase_add_test(t, equal_contents_are_kept_once_and_large_and_empty_ones_come_back_byte_by_byte);
	tcase_add_test(t, a_set_is_there_whole_or_not_at_all_whenever_its_writer_is_killed);
	tcase_add_test(t, what_a_set_has_already_is_not_added_again_and_what_waits_is_kept);
	tcase_add_loop_test(t, a_commit_has_its_own_contents_and_those_of_others_wait_on, 0, 2);
	tcase_add_test(t, many_who_open_the_first_store_at_once_share_one_key);
	tcase_add_test(t, two_processes_at_once_lose_nothing_of_each_other);
	tcase_add_test(t, the_last_common_version_stays_while_the_nodes_go_apart);
	tcase_add_test(t, both_sides_of_a_conflict_are_kept_until_it_is_settled);
	tcase_add_test(t, bounds_of_age_and_size_never_take_the_newest_nor_the_last_common_one);
	tcase_add_test(t, contents_whose_set_never_came_go_but_not_those_that_are_on_their_way);
	tcase_add_test(t, a_rollback_puts_back_what_stood_before_and_guesses_nothing);
	tcase_add_test(t, the_key_is_roots_alone_and_without_it_neither_content_nor_entry_nor_digest_can_be_read);
	tcase_add_test(t, twenty_thousand_files_are_put_in_little_time_and_cost_little);
	suite_add_tcase(s, t);
	return store_boxed(s);
}
