/*
 * tests/unit/test_config_core.c - what configsync/core.h says of single things: identities, nodes that do not fit together, bounds, and
 * what one edit among many files costs.
 */
#include "tests/unit/harness.h"

#include <time.h>

#include "tests/unit/config_core_case.h"

START_TEST(an_identity_says_what_a_comparison_says)
{
	struct manifest *m = toy_tree((uint64_t)_i + 1);
	uint8_t a[DIGEST_LEN], b[DIGEST_LEN];

	for (size_t i = 0; i < m->len; i++) {
		for (size_t k = 0; k < m->len; k++) {
			const struct entry *x = &m->at[i], *y = &m->at[k];
			bool same = (entry_diff(x, y) & ~ENTRY_DIFF_TIME) == 0;

			entry_identity(x, a);
			entry_identity(y, b);
			if (memcmp(a, b, DIGEST_LEN) == 0)
				ck_assert(same);
			else if (x->user.name[0] != '\0' && y->user.name[0] != '\0')
				ck_assert(!same);
		}
	}
	manifest_free(m);
}
END_TEST

/* Two releases compare theirs, and what the store has of an older one: the bytes that are hashed may not change, however they are put together. */
START_TEST(an_identity_is_the_same_in_every_release)
{
	static const char *const want[] = { "eb9b670b6a77ee8c32c20366c988d99bd52a5bbc336f5fccc5d2d8230e6cf29c",
		"c00de50b379c3c0b89d4e375b70c015cd9923aa61e59e8453f53de1e5fb93e07",
		"e704572b3a65b59bc5021341f08a16d8a004ffad1e2b199e3cc7169bcad83b56",
		"67fffc0e66cbd525a7ec359f0769983ca291bf4be344162525dd21bace8a3873" };
	uint8_t value[1000], id[DIGEST_LEN];
	const struct entry_xattr x[] = { { "user.note", value, sizeof value }, { "user.b", value, 300 }, { "user.c", value, 3 } };
	struct entry e = { .type = ENTRY_FILE, .mode = 0644, .size = 6000, .user = { "root", 0 }, .group = { "", 5 }, .xattr = x };
	char hex[DIGEST_HEX];

	for (size_t i = 0; i < sizeof value; i++)
		value[i] = (uint8_t)(7 * i);
	for (; e.xattrs <= 3; e.xattrs++) {
		entry_identity(&e, id);
		ck_assert_str_eq(digest_hex(id, sizeof id, hex), want[e.xattrs]);
	}
}
END_TEST

START_TEST(a_path_is_known_as_it_was_read_last_and_not_where_it_could_not_be)
{
	struct core *c = core_of("alpha", "beta", 1);
	struct manifest *m = toy_tree(7), *other = manifest_new();
	struct core_looked looked;
	struct entry e;

	core_scan(c, m, core_moment(c), &somebody, 1);
	for (size_t i = 0; i < m->len; i++) {
		ck_assert_int_eq(core_entry(c, m->at[i].path, &e), m->at[i].type != ENTRY_OTHER);
		if (m->at[i].type == ENTRY_OTHER)
			continue;
		ck_assert_str_eq(e.path, m->at[i].path);
		ck_assert_uint_eq(entry_diff(&e, &m->at[i]), 0);
		ck_assert_mem_eq(&e.local.ctime_s, &m->at[i].local.ctime_s, sizeof e.local.ctime_s);
	}
	ck_assert(!core_entry(c, "etc/there-is-no-such-file", &e));
	looked = (struct core_looked){ m->at[m->len - 1].path, false };
	manifest_add(other, &(struct entry){ .path = looked.path, .type = ENTRY_OTHER, .user.name = "", .group.name = "" });
	ck_assert(manifest_seal(other, NULL));
	core_slice(c, &looked, 1, other, core_moment(c), &somebody, 2);
	ck_assert(!core_entry(c, looked.path, &e));
	manifest_free(m);
	manifest_free(other);
	core_free(c);
}
END_TEST

START_TEST(equal_trees_become_common_without_a_question)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *m = toy_tree(7);
	struct core_status s;

	core_scan(a, m, core_moment(a), &somebody, 1);
	core_scan(b, m, core_moment(b), &somebody, 1);
	drain(a, CORE_STORE, NULL);
	drain(b, CORE_STORE, NULL);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	core_status(a, &s);
	ck_assert(s.in_step && !s.first && s.differ == 0);
	ck_assert_uint_eq(s.paths, m->len);
	ck_assert_ptr_null(a->open);	/* one version a path */
	core_free(a);
	core_free(b);
	manifest_free(m);
}
END_TEST

/* As two nodes that an installer or a copy without times has made alike. */
START_TEST(trees_that_differ_in_times_only_are_no_first_contact_that_asks)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *m = toy_tree(7), *n = toy_tree(7);
	struct core_status s;

	for (size_t i = 0; i < n->len; i++)
		n->at[i].mtime_s += 5;
	core_scan(a, m, core_moment(a), &somebody, 1);
	core_scan(b, n, core_moment(b), &somebody, 1);
	drain(a, CORE_STORE, NULL);
	drain(b, CORE_STORE, NULL);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	for (int i = 0; i < 2; i++) {
		core_status(i == 0 ? a : b, &s);
		ck_assert(!s.first && s.conflicts == 0);
	}
	core_free(a);
	core_free(b);
	manifest_free(m);
	manifest_free(n);
}
END_TEST

START_TEST(nodes_that_carry_other_paths_do_nothing_and_say_so)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 2);
	struct manifest *m = toy_tree(3), *n = toy_tree(4);
	struct core_status s;

	core_scan(a, m, core_moment(a), &somebody, 1);
	core_scan(b, n, core_moment(b), &somebody, 1);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	core_status(a, &s);
	ck_assert_int_eq(s.link, CORE_REFUSED);
	ck_assert(!s.in_step);
	ck_assert_ptr_nonnull(strstr(s.link_why, "different paths"));
	ck_assert_uint_eq(s.problems, 1);
	core_free(a);
	core_free(b);
	manifest_free(m);
	manifest_free(n);
}
END_TEST

START_TEST(another_version_of_the_protocol_ends_the_link)
{
	struct core *a = core_of("alpha", "beta", 1);
	struct manifest *m = toy_tree(3);
	struct wire w = { .type = WIRE_HELLO, .hello = { .version = WIRE_VERSION + 1, .scope = { 1 } } };
	const struct core_action *act = NULL;

	core_scan(a, m, core_moment(a), &somebody, 1);
	core_link(a, true, 2);
	drain(a, CORE_SEND, NULL);
	core_wire(a, &w, 3, 3);
	act = core_action_next(a);
	ck_assert_ptr_nonnull(act);
	ck_assert_int_eq(act->type, CORE_DROP);
	ck_assert_ptr_nonnull(strstr(act->text, "install the same mailpair"));
	core_free(a);
	manifest_free(m);
}
END_TEST

START_TEST(a_stamp_and_an_entry_come_back_from_the_store)
{
	struct manifest *m = toy_tree(5), *back = manifest_new();
	uint64_t stamp;
	size_t len;

	for (size_t i = 0; i < m->len; i++) {
		uint8_t *bytes = core_stamped(&m->at[i], i << 40, &len);

		ck_assert(core_unstamped(back, bytes, len, &stamp, NULL));
		ck_assert_uint_eq(stamp, i << 40);
		ck_assert_uint_eq(entry_diff(&m->at[i], &back->at[i]), 0);
		ck_assert(!core_unstamped(back, bytes, 7, &stamp, NULL));
		free(bytes);
	}
	manifest_free(m);
	manifest_free(back);
}
END_TEST

static void
edit_mode(struct core *c, const char *path, uint16_t mode)
{
	struct manifest *m = manifest_new();
	struct entry e = { .path = path, .type = ENTRY_FILE, .mode = mode, .user.name = "root", .group.name = "root" };

	manifest_add(m, &e);
	core_slice(c, &(struct core_looked){ path, false }, 1, toy_sealed(m), core_moment(c), &somebody, 9);
	manifest_free(m);
}

START_TEST(what_comes_of_a_set_while_a_part_of_it_is_judged_is_judged_with_that_part_if_it_was_refused)
{
	const struct set_tree tree = { .path = "/t", .validate = "true" };
	const struct set_rules sets = { .tree = &tree, .trees = 1 };
	struct core_options o = { .self = "alpha", .peer = "beta", .epoch = 1, .both_write = true, .sets = &sets };
	struct core *a = core_new(&o), *b;
	struct manifest *m = manifest_new();
	struct core_status s;
	uint64_t first;

	o.self = "beta";
	o.peer = "alpha";
	b = core_new(&o);
	manifest_add(m, &(struct entry){ .path = "t", .type = ENTRY_DIRECTORY, .mode = 0755, .user.name = "root", .group.name = "root" });
	for (int i = 0; i < 3; i++)
		manifest_add(m, &(struct entry){ .path = (const char *[]){ "t/a", "t/b", "t/c" }[i], .type = ENTRY_FILE, .user.name = "root", .group.name = "root" });
	toy_sealed(m);
	core_scan(a, m, core_moment(a), &somebody, 1);
	core_scan(b, m, core_moment(b), &somebody, 1);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	edit_mode(a, "t/a", 0600);
	talk(a, b);
	first = verifying.id;
	ck_assert_uint_eq(verifying.changes, 1);
	edit_mode(a, "t/b", 0600);
	talk(a, b);
	ck_assert_uint_eq(verifying.id, first);
	core_verified(b, first, VALIDITY_INVALID, "b is missing", 10, 10);
	talk(a, b);
	ck_assert_uint_ne(verifying.id, first);
	ck_assert_uint_eq(verifying.changes, 2);
	core_status(b, &s);
	ck_assert_uint_eq(s.problems, 0);
	core_free(a);
	core_free(b);
	manifest_free(m);
}
END_TEST

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct manifest *
files(size_t n, size_t changed)
{
	struct manifest *m = manifest_new();
	char path[64];

	for (size_t i = 0; i < n; i++) {
		struct entry e = { .path = path, .type = ENTRY_FILE, .mode = 0644, .size = 1, .user.name = "root", .group.name = "root" };

		snprintf(path, sizeof path, "etc/postfix-%03zu-some-name/file-%06zu", i / 100, i);
		e.digest[0] = i == changed;
		manifest_add(m, &e);
	}
	return toy_sealed(m);
}

/* Ten times as many files may not make an edit cost ten times as much. */
static double
cost_of_an_edit(size_t n)
{
	struct core *a = core_of("alpha", "beta", 1), *b = core_of("beta", "alpha", 1);
	struct manifest *m = files(n, n), *one = files(n, n / 2), *slice = manifest_new();
	struct core_looked looked = { one->at[n / 2].path, false };
	double began, best = 1;

	core_scan(a, m, core_moment(a), &somebody, 1);
	core_scan(b, m, core_moment(b), &somebody, 1);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	manifest_add(slice, &one->at[n / 2]);
	toy_sealed(slice);
	for (unsigned int i = 0; i < 200; i++) {
		slice->at[0].size = i + 2;
		began = now_s();
		core_slice(a, &looked, 1, slice, core_moment(a), &somebody, 10 + i);
		ck_assert_uint_ge(drain(a, CORE_SEND, NULL), 1);
		best = now_s() - began < best ? now_s() - began : best;
	}
	core_free(a);
	core_free(b);
	manifest_free(m);
	manifest_free(one);
	manifest_free(slice);
	return best;
}

START_TEST(an_edit_costs_the_same_among_many_files)
{
	double few = cost_of_an_edit(2000), many = cost_of_an_edit(20000);

	printf("one edit: %.1f us among 2,000 files, %.1f us among 20,000\n", few * 1e6, many * 1e6);
	ck_assert_msg(many < 4 * few, "%.1f us among 2,000 files, %.1f us among 20,000", few * 1e6, many * 1e6);
}
END_TEST

/* Two linked nodes, and what alpha has since: beta has heard of it, and takes two at a time. */
static void
finds(struct core *a, const struct manifest *news, struct core *b)
{
	const struct core_action *act;

	core_scan(a, news, core_moment(a), &somebody, 10);
	while ((act = core_action_next(a)) != NULL) {
		if (act->type == CORE_SEND)
			core_wire(b, &act->wire, 11, 11);
	}
}

static struct core *
beta_with_news(const struct manifest *news, struct core **ret_alpha)
{
	struct core_options o = { .self = "beta", .peer = "alpha", .epoch = 1, .both_write = true, .scope_digest = { 1 }, .limits = { .part_changes = 2 } };
	struct core *a = core_of("alpha", "beta", 1), *b = core_new(&o);
	struct manifest *none = toy_sealed(manifest_new());

	core_scan(a, none, core_moment(a), &somebody, 1);
	core_scan(b, none, core_moment(b), &somebody, 1);
	core_link(a, true, 2);
	core_link(b, true, 2);
	talk(a, b);
	finds(a, news, b);
	manifest_free(none);
	*ret_alpha = a;
	return b;
}

/* The job of the only installation that is asked for; 0: none. */
static uint64_t
asked_for(struct core *c, size_t *ret_changes)
{
	const struct core_action *a;
	uint64_t job = 0;

	while ((a = core_action_next(c)) != NULL) {
		if (a->type != CORE_INSTALL)
			continue;
		ck_assert_uint_eq(job, 0);
		job = a->job.id;
		*ret_changes = a->job.changes;
	}
	return job;
}

START_TEST(many_new_files_are_installed_in_parts_one_after_the_other)
{
	struct manifest *m = files(5, 5), *there = manifest_new();
	size_t needs = 0, changes = 0, done = 0;
	struct core *a, *b = beta_with_news(m, &a);
	struct core_status s;
	uint64_t job;

	needs = drain(b, CORE_NEED, NULL);
	ck_assert_uint_eq(needs, 3);		/* one content of all, asked for by each part */
	core_content(b, m->at[0].digest, CORE_HAVE, NULL, 12);
	while ((job = asked_for(b, &changes)) != 0) {
		ck_assert_uint_eq(changes, done < 4 ? 2 : 1);
		for (size_t i = 0; i < changes; i++)
			manifest_add(there, &m->at[done++]);
		core_installed(b, job, true, NULL, NULL, toy_sealed(there), &somebody, 13, 13);
	}
	ck_assert_uint_eq(done, 5);
	core_status(b, &s);
	ck_assert_uint_eq(s.jobs, 0);
	ck_assert_uint_eq(s.paths, 5);
	core_free(a);
	core_free(b);
	manifest_free(m);
	manifest_free(there);
}
END_TEST

START_TEST(the_next_part_begins_when_one_is_placed_and_a_content_is_needed_until_the_last_one_is)
{
	struct manifest *m = files(5, 5), *there[3];
	uint64_t job[3] = { 0 };
	size_t changes[3], done = 0;
	struct core *a, *b = beta_with_news(m, &a);
	struct core_status s;

	drain(b, CORE_NEED, NULL);
	core_content(b, m->at[0].digest, CORE_HAVE, NULL, 12);
	for (int i = 0; i < 3; i++) {
		ck_assert(core_needs(b, m->at[0].digest, 0));
		job[i] = asked_for(b, &changes[i]);
		ck_assert_uint_ne(job[i], 0);
		core_placed(b, job[i], 13);
	}
	ck_assert(!core_needs(b, m->at[0].digest, 0));
	ck_assert_uint_eq(drain(b, CORE_INSTALL, NULL), 0);
	for (int i = 0; i < 3; i++) {		/* answered in order, and late */
		there[i] = manifest_new();
		for (size_t k = 0; k < changes[i]; k++)
			manifest_add(there[i], &m->at[done++]);
		core_installed(b, job[i], true, NULL, NULL, toy_sealed(there[i]), &somebody, 14, 14);
		manifest_free(there[i]);
	}
	ck_assert_uint_eq(drain(b, CORE_INSTALL, NULL), 0);
	core_status(b, &s);
	ck_assert_uint_eq(s.jobs, 0);
	ck_assert_uint_eq(s.paths, 5);
	core_free(a);
	core_free(b);
	manifest_free(m);
}
END_TEST

START_TEST(what_comes_after_a_part_that_could_not_be_installed_is_planned_anew)
{
	struct manifest *m = files(5, 5), *none = toy_sealed(manifest_new());
	size_t changes, cancelled = 0;
	const struct core_action *act;
	struct core *a, *b = beta_with_news(m, &a);

	drain(b, CORE_NEED, NULL);
	core_content(b, m->at[0].digest, CORE_HAVE, NULL, 12);
	core_installed(b, asked_for(b, &changes), false, NULL, "no room", none, &somebody, 13, 13);
	while ((act = core_action_next(b)) != NULL) {
		ck_assert_int_ne(act->type, CORE_INSTALL);	/* contents are asked for again first */
		cancelled += act->type == CORE_CANCEL;
	}
	ck_assert_uint_eq(cancelled, 2);
	core_free(a);
	core_free(b);
	manifest_free(m);
	manifest_free(none);
}
END_TEST

START_TEST(what_could_not_be_installed_is_tried_again_when_that_is_due_and_not_before)
{
	struct manifest *m = files(1, 1), *none = toy_sealed(manifest_new());
	struct core *a, *b = beta_with_news(m, &a);
	uint64_t now = 12, due = 0, wait = CORE_RETRY_MS;
	size_t changes, tries;

	drain(b, CORE_NEED, NULL);
	for (int failed = 0; failed < 14; failed++) {		/* twice as long each time, ten minutes at most */
		core_content(b, m->at[0].digest, CORE_HAVE, NULL, now++);
		core_installed(b, asked_for(b, &changes), false, NULL, "no room", none, &somebody, now, now);
		ck_assert_uint_eq(drain(b, CORE_NEED, NULL), 0);
		tries = 0;
		for (int i = 0; i < 10 && tries == 0 && core_due(b, &due); i++) {	/* a report may be due before */
			core_tick(b, due, due);
			tries = drain(b, CORE_NEED, NULL);
		}
		ck_assert_uint_eq(tries, 1);
		ck_assert_uint_eq(due, now + wait);
		ck_assert(!core_due(b, &due) || due > now + wait);
		now += wait;
		wait = 2 * wait < CORE_RETRY_MOST_MS ? 2 * wait : CORE_RETRY_MOST_MS;
	}
	core_free(a);
	core_free(b);
	manifest_free(m);
	manifest_free(none);
}
END_TEST

/* What the first row of the only news says of its content; c: who says them. */
static bool
had_in_news(struct core *c)
{
	const struct core_action *a;
	size_t rows = 0;
	bool had = false;

	while ((a = core_action_next(c)) != NULL) {
		if (a->type != CORE_SEND || a->wire.type != WIRE_NEWS)
			continue;
		rows += a->wire.news.rows;
		had = a->wire.news.row[0].had;
	}
	ck_assert_uint_eq(rows, 1);
	return had;
}

START_TEST(a_content_travels_with_news_only_where_the_other_node_does_not_have_it)
{
	struct manifest *m = files(1, 0);
	struct core *a, *b = beta_with_news(m, &a);
	size_t changes;

	drain(b, CORE_NEED, NULL);
	core_content(b, m->at[0].digest, CORE_HAVE, NULL, 12);
	core_installed(b, asked_for(b, &changes), true, NULL, NULL, m, &somebody, 13, 13);
	ck_assert(had_in_news(b));		/* it came from there */
	m->at[0].mode = 0600;
	core_scan(b, m, core_moment(b), &somebody, 14);
	ck_assert(had_in_news(b));
	m->at[0].digest[1] = 1;
	core_scan(b, m, core_moment(b), &somebody, 15);
	ck_assert(!had_in_news(b));
	core_free(a);
	core_free(b);
	manifest_free(m);
}
END_TEST

START_TEST(a_path_is_found_as_long_as_it_is_there_however_many_come_and_go)
{
	struct core *c = core_of("alpha", "beta", 1);
	bool there[300] = { false };
	uint64_t random = 1;
	char path[32];

	for (size_t i = 0; i < 3000; i++) {
		size_t k = (random = random * 6364136223846793005u + 1442695040888963407u) >> 33, which = k % 300;
		size_t len = (size_t)snprintf(path, sizeof path, "%zu/some-name-%zu", which % 7, which);
		struct row *r = tree_find(&c->tree, path, len);

		ck_assert(there[which] == (r != NULL) && (r == NULL || strcmp(r->path, path) == 0));
		ck_assert_ptr_null(tree_find(&c->tree, path, (size_t)(strrchr(path, '-') - path)));
		if (r == NULL)
			tree_get(c, path);
		else
			tree_remove(c, r);
		there[which] = r == NULL;
	}
	core_free(c);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_core");
	TCase *tcase = tcase_create("core");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, an_identity_says_what_a_comparison_says, 0, 10);
	tcase_add_test(tcase, an_identity_is_the_same_in_every_release);
	tcase_add_test(tcase, trees_that_differ_in_times_only_are_no_first_contact_that_asks);
	tcase_add_test(tcase, a_path_is_known_as_it_was_read_last_and_not_where_it_could_not_be);
	tcase_add_test(tcase, equal_trees_become_common_without_a_question);
	tcase_add_test(tcase, nodes_that_carry_other_paths_do_nothing_and_say_so);
	tcase_add_test(tcase, another_version_of_the_protocol_ends_the_link);
	tcase_add_test(tcase, a_stamp_and_an_entry_come_back_from_the_store);
	tcase_add_test(tcase, what_comes_of_a_set_while_a_part_of_it_is_judged_is_judged_with_that_part_if_it_was_refused);
	tcase_add_test(tcase, an_edit_costs_the_same_among_many_files);
	tcase_add_test(tcase, many_new_files_are_installed_in_parts_one_after_the_other);
	tcase_add_test(tcase, the_next_part_begins_when_one_is_placed_and_a_content_is_needed_until_the_last_one_is);
	tcase_add_test(tcase, what_comes_after_a_part_that_could_not_be_installed_is_planned_anew);
	tcase_add_test(tcase, what_could_not_be_installed_is_tried_again_when_that_is_due_and_not_before);
	tcase_add_test(tcase, a_content_travels_with_news_only_where_the_other_node_does_not_have_it);
	tcase_add_test(tcase, a_path_is_found_as_long_as_it_is_there_however_many_come_and_go);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
