/*
 * tests/unit/test_check_services.c - what the check gives the rules modules: files to be read in order, bounded findings,
 * odd files that are kept; and the table of the rules.
 */
#include "queuesync/check.h"

#include <string.h>

#include "queuesync/rule_table.h"
#include "tests/unit/check_bed.h"

START_TEST(a_deep_pass_asks_for_every_file_once_in_the_order_of_inodes)
{
	struct check_asked asked;
	uint64_t was = 0;
	unsigned int n = 0;

	begin_with(true);
	directories();
	many(3000, NULL);
	for (unsigned int i = 0; i < 3000; i++) {
		char name[8];
		struct queue_file f;

		snprintf(name, sizeof name, "%u", 5000 + i);
		f = file(TOY_NEW, "", name);
		f.ino = i * 7919 % 100003;
		add(f);
	}
	add(file(TOY_CUR, "0", "100001"));	/* misplaced: its path does not follow from its key */
	check_joined(check);
	while (check_asked(check, &asked)) {
		struct queue_content content = { .bad = n == 0, .problem = PROBLEM_TRUNCATED, .what = "cut" };
		char want[24];

		ck_assert_uint_ge(asked.file.ino, was);
		was = asked.file.ino;
		snprintf(want, sizeof want, "%" PRIu64, asked.key.lo);
		ck_assert_str_eq(asked.file.name, want);
		if (asked.key.lo == 100001)
			ck_assert_str_eq(asked.file.sub, "0");
		else if (asked.bit == 1u << TOY_CUR)
			ck_assert_uint_eq((uint64_t)asked.file.sub[0] - '0', asked.key.lo % 3);
		check_content(check, &asked, &content);
		if (n++ == 0)
			check_ask(check, &asked.file, asked.key, asked.bit);
	}
	ck_assert_uint_eq(n, 6001);
	ck_assert(check_asked(check, &asked));		/* the next round */
	ck_assert(!check_asked(check, &asked));
	ck_assert(!check_asked(check, &asked));
	check_end(check, &findings, &messages, &files);
	ck_assert_uint_eq(messages, 6000);		/* the one that is cut is not whole */
	finish();
}
END_TEST

START_TEST(a_fast_pass_asks_only_for_suspects_and_once)
{
	struct queue_file f = file(TOY_NEW, "", "8");
	struct check_asked asked;

	begin();
	directories();
	add(f);
	check_ask(check, &f, (struct queue_key){ 0, 8 }, 1u << TOY_NEW);
	check_ask(check, &f, (struct queue_key){ 0, 8 }, 1u << TOY_NEW);
	check_ask(check, &f, (struct queue_key){ 0, 9999 }, 1u << TOY_NEW);	/* not in the table */
	check_joined(check);
	ck_assert(check_asked(check, &asked));
	ck_assert_str_eq(asked.file.name, "8");
	ck_assert(!check_asked(check, &asked));
	check_end(check, &findings, &messages, &files);
	finish();
}
END_TEST

START_TEST(what_cannot_be_read_is_left_alone_but_not_called_whole)
{
	struct check_asked asked;

	begin_with(true);
	directories();
	add(file(TOY_NEW, "", "8"));
	check_joined(check);
	ck_assert(check_asked(check, &asked));
	check_unreadable(check, &asked, "Input/output error");
	check_end(check, &findings, &messages, &files);
	ck_assert_uint_eq(only(CLASS_REPORT, PROBLEM_BAD_RECORD, "new/8")->remedies, 0);
	ck_assert_int_eq(findings_verdict(&findings), VERDICT_DAMAGED);
	finish();
}
END_TEST

START_TEST(more_of_a_kind_than_are_listed_become_a_count)
{
	uint64_t n = 0;

	begin();
	directories();
	for (unsigned int i = 0; i < 3 * CHECK_LISTED_MAX; i++) {
		char name[16];

		snprintf(name, sizeof name, "x%u", i);
		add(file(TOY_NEW, "", name));
	}
	end();
	ck_assert_uint_eq(findings.len, CHECK_LISTED_MAX + 1);
	for (size_t i = 0; i < findings.len; i++)
		n += findings.at[i].count;
	ck_assert_uint_eq(n, 3 * CHECK_LISTED_MAX);
	finish();
}
END_TEST

static void
empty(struct queue_file *f)
{
	f->size = 0;
}

START_TEST(damage_beyond_the_list_is_damage)
{
	begin();
	directories();
	many(2 * CHECK_LISTED_MAX, empty);
	end();
	ck_assert_uint_eq(findings.len, CHECK_LISTED_MAX + 1);
	for (size_t i = 0; i < findings.len; i++)
		ck_assert(findings.at[i].damages);
	finish();
}
END_TEST

START_TEST(misplaced_files_beyond_what_is_kept_are_counted)
{
	uint64_t n = 0;

	begin();
	directories();
	for (unsigned int i = 0; i < 3 * CHECK_ODD_MAX; i++) {
		char name[16];

		snprintf(name, sizeof name, "%u", 3 * i + 1);
		add(file(TOY_CUR, "0", name));
	}
	end();
	for (size_t i = 0; i < findings.len; i++) {
		ck_assert_int_eq(findings.at[i].problem, PROBLEM_WRONG_DIRECTORY);
		n += findings.at[i].count;
	}
	ck_assert_uint_eq(n, 3 * CHECK_ODD_MAX);
	finish();
}
END_TEST

START_TEST(what_is_kept_is_found_by_its_key_and_bounded)
{
	struct queue_key key = { 3, 4 };
	unsigned int kept = 0;

	begin();
	for (unsigned int i = 0; i < 2 * CHECK_ODD_MAX; i++) {
		struct queue_file f = file(TOY_NEW, "", "1");

		kept += check_keep(check, &f, (struct queue_key){ 1, i }, 1);
	}
	ck_assert_uint_eq(kept, CHECK_ODD_MAX);
	for (unsigned int i = 0; i < 2; i++) {
		struct queue_file f = file(TOY_NEW, "", i == 0 ? "first" : "second");

		ck_assert(check_keep(check, &f, key, 2));
	}
	ck_assert_str_eq(check_kept(check, key, 2)->name, "first");
	ck_assert_ptr_null(check_kept(check, key, 1));
	ck_assert_ptr_nonnull(check_kept(check, (struct queue_key){ 1, 0 }, 1));
	end();
	finish();
}
END_TEST

START_TEST(every_rule_has_a_number_and_sentences)
{
	for (unsigned int n = 1; n <= 38; n++) {
		const struct rule *rule = rule_find(n);

		ck_assert_msg(rule != NULL, "rule %u is missing", n);
		ck_assert_ptr_eq(rule, &rule_table[n - 1]);
		ck_assert_uint_gt(strlen(rule->law), 20);
		ck_assert_uint_gt(strlen(rule->mended), 5);
		for (const char *const *list = (const char *const[]){ rule->name, rule->classes, rule->problems, rule->pass, NULL };
		    *list != NULL; list++)
			ck_assert_uint_gt(strlen(*list), 3);
	}
	ck_assert_uint_eq(rules_count, 38);
	ck_assert_ptr_null(rule_find(39));
}
END_TEST

/* Do all words of a list, "repair, stray", belong to the vocabulary? */
static void
known_words(const char *list, const char *(*word)(unsigned int), unsigned int count, unsigned int rule)
{
	while (*list != '\0') {
		size_t len = strcspn(list, ",");
		bool known = false;

		for (unsigned int i = 0; i < count; i++)
			known = known || (strlen(word(i)) == len && strncmp(word(i), list, len) == 0);
		ck_assert_msg(known, "rule %u: \"%s\"", rule, list);
		list += len;
		list += strspn(list, ", ");
	}
}

static const char *class_at(unsigned int i) { return class_word((enum finding_class)i); }
static const char *problem_at(unsigned int i) { return problem_word((enum problem)i); }

START_TEST(the_rules_use_the_words_of_the_contract)
{
	for (size_t i = 0; i < rules_count; i++) {
		known_words(rule_table[i].classes, class_at, CLASS_COUNT, rule_table[i].number);
		known_words(rule_table[i].problems, problem_at, PROBLEM_COUNT, rule_table[i].number);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("check services");
	TCase *tc = tcase_create("services");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_deep_pass_asks_for_every_file_once_in_the_order_of_inodes);
	tcase_add_test(tc, a_fast_pass_asks_only_for_suspects_and_once);
	tcase_add_test(tc, what_cannot_be_read_is_left_alone_but_not_called_whole);
	tcase_add_test(tc, more_of_a_kind_than_are_listed_become_a_count);
	tcase_add_test(tc, damage_beyond_the_list_is_damage);
	tcase_add_test(tc, misplaced_files_beyond_what_is_kept_are_counted);
	tcase_add_test(tc, what_is_kept_is_found_by_its_key_and_bounded);
	tcase_add_test(tc, every_rule_has_a_number_and_sentences);
	tcase_add_test(tc, the_rules_use_the_words_of_the_contract);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
