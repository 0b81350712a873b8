/*
 * tests/unit/test_seal.c - laws of the seal: its text, and who may use a spool that carries it.
 */
#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "supervisor/seal.h"
#include "tests/unit/harness.h"

#define UNTOUCHED UINT64_C(0xDEAD)

static const uint64_t tenures[] = {0, 1, 6, 7, 8, 1000, UINT64_MAX - 1, UINT64_MAX};
#define TENURES (sizeof(tenures) / sizeof(tenures[0]))

static struct seal
make_seal(const char *pair, const char *node, uint64_t tenure, bool released)
{
	struct seal s = {
	    .tenure = tenure, .at_wall_ms = UINT64_C(1795284031250), .released = released};

	snprintf(s.pair, sizeof(s.pair), "%s", pair);
	snprintf(s.node, sizeof(s.node), "%s", node);
	snprintf(s.boot, sizeof(s.boot), "0d2a7c1e-6a33-4f7a-b1f0-3d8d7c5f2a11");
	return s;
}

static bool
is_equal(const struct seal *a, const struct seal *b)
{
	return strcmp(a->pair, b->pair) == 0 && strcmp(a->node, b->node) == 0 &&
	       strcmp(a->boot, b->boot) == 0 && a->tenure == b->tenure &&
	       a->at_wall_ms == b->at_wall_ms && a->released == b->released;
}

/* Visit the whole space of judgements: seals of all nodes and states (and none) x proofs x numbers.
 */
struct cell {
	const struct seal *seal;
	enum proof_kind proof;
	uint64_t released, known;
	enum seal_verdict verdict;
	uint64_t tenure; /* UNTOUCHED where it was not written */
};

static void
each_cell(void (*law)(const struct cell *))
{
	static const char *const nodes[] = {"mx1", "mx2", "mx3", NULL};
	static const char *const pairs[] = {"mail", "other"};

	for (size_t n = 0; n < 4; n++)
		for (size_t p = 0; p < 2; p++)
			for (int released_state = 0; released_state < 2; released_state++)
				for (size_t t = 0; t < TENURES; t++)
					for (int proof = 0; proof < PROOF_COUNT; proof++)
						for (size_t r = 0; r < TENURES; r++)
							for (size_t k = 0; k < TENURES; k++) {
								struct seal s = make_seal(pairs[p],
								    nodes[n] == NULL ? "-"
										     : nodes[n],
								    tenures[t], released_state);
								struct cell c = {
								    .seal = nodes[n] == NULL ? NULL
											     : &s,
								    .proof = (enum proof_kind)proof,
								    .released = tenures[r],
								    .known = tenures[k],
								    .tenure = UNTOUCHED};

								c.verdict = seal_judge(c.seal,
								    "mail", "mx1", "mx2", c.proof,
								    c.released, c.known, &c.tenure);
								law(&c);
							}
}

static void
law_foreign(const struct cell *c)
{
	if (c->seal == NULL)
		return;
	ck_assert((c->verdict == SEAL_OTHER_PAIR) == (strcmp(c->seal->pair, "mail") != 0));
	if (strcmp(c->seal->pair, "mail") == 0)
		ck_assert((c->verdict == SEAL_STRANGER) == (strcmp(c->seal->node, "mx3") == 0));
}

START_TEST(no_proof_opens_another_pairs_or_a_strangers_spool)
{
	each_cell(law_foreign);
}
END_TEST

static void
law_grows(const struct cell *c)
{
	if (c->verdict != SEAL_OK || c->proof == PROOF_HELD)
		return;
	ck_assert_uint_gt(c->tenure, c->known);
	ck_assert(c->seal == NULL || c->tenure > c->seal->tenure);
	ck_assert(
	    c->tenure == c->known + 1 || (c->seal != NULL && c->tenure == c->seal->tenure + 1));
}

START_TEST(a_new_tenure_is_the_next_one_after_all_that_are_known)
{
	each_cell(law_grows);
}
END_TEST

static void
law_untouched(const struct cell *c)
{
	ck_assert((c->verdict == SEAL_OK) == (c->tenure != UNTOUCHED));
}

START_TEST(a_refusal_writes_no_tenure)
{
	each_cell(law_untouched);
}
END_TEST

static void
law_needs_proof(const struct cell *c)
{
	if (c->proof == PROOF_NONE || c->proof == PROOF_LEASE)
		ck_assert_int_ne(c->verdict, SEAL_OK);
}

START_TEST(without_a_proof_not_even_a_fresh_or_released_spool_is_ours)
{
	each_cell(law_needs_proof);
}
END_TEST

static void
law_released(const struct cell *c)
{
	bool ours = c->seal == NULL ||
		    (strcmp(c->seal->pair, "mail") == 0 && strcmp(c->seal->node, "mx3") != 0);
	uint64_t newest =
	    c->seal != NULL && c->seal->tenure > c->known ? c->seal->tenure : c->known;

	if (c->proof == PROOF_RELEASED && ours)
		ck_assert(
		    (c->verdict == SEAL_OK) ==
		    ((c->seal == NULL || c->seal->tenure <= c->released) && newest != UINT64_MAX));
}

START_TEST(a_release_covers_tenures_up_to_the_released_one_and_no_newer)
{
	each_cell(law_released);
}
END_TEST

static void
law_gone(const struct cell *c)
{
	bool ours = c->seal == NULL ||
		    (strcmp(c->seal->pair, "mail") == 0 && strcmp(c->seal->node, "mx3") != 0);
	uint64_t newest =
	    c->seal != NULL && c->seal->tenure > c->known ? c->seal->tenure : c->known;

	if ((c->proof == PROOF_FENCED || c->proof == PROOF_VOUCHED) && ours)
		ck_assert((c->verdict == SEAL_OK) == (newest != UINT64_MAX));
}

START_TEST(a_peer_that_is_off_holds_nothing_whatever_its_tenure_was)
{
	each_cell(law_gone);
}
END_TEST

static void
law_held(const struct cell *c)
{
	bool own;

	if (c->proof != PROOF_HELD)
		return;
	own = c->seal != NULL && strcmp(c->seal->pair, "mail") == 0 &&
	      strcmp(c->seal->node, "mx1") == 0;
	ck_assert(
	    (c->verdict == SEAL_OK) == (own && c->seal->tenure == c->known && !c->seal->released));
	if (c->verdict == SEAL_OK)
		ck_assert_uint_eq(c->tenure, c->known);
}

START_TEST(re_adoption_needs_our_own_seal_of_exactly_the_known_tenure_and_keeps_it)
{
	each_cell(law_held);
}
END_TEST

START_TEST(a_fresh_pair_begins_with_tenure_one)
{
	uint64_t tenure = UNTOUCHED;

	ck_assert_int_eq(
	    seal_judge(NULL, "mail", "mx1", "mx2", PROOF_RELEASED, 0, 0, &tenure), SEAL_OK);
	ck_assert_uint_eq(tenure, 1);
}
END_TEST

START_TEST(every_proof_has_a_name_of_its_own)
{
	for (int i = 0; i < PROOF_COUNT; i++)
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(
			    proof_name((enum proof_kind)i), proof_name((enum proof_kind)k));
}
END_TEST

/* ---------------------------------------------------------------- text */

START_TEST(what_was_written_is_read_back_the_same)
{
	static const uint64_t times[] = {0, 999, UINT64_C(951782399999), UINT64_C(951782400000),
	    UINT64_C(951868800000), UINT64_C(1795284031250), UINT64_C(4107542399000),
	    UINT64_C(253402300799999)};

	for (size_t t = 0; t < TENURES; t++)
		for (size_t w = 0; w < sizeof(times) / sizeof(times[0]); w++) {
			struct seal s = make_seal("mail", "mx1", tenures[t], w % 2 == 0), back;
			char text[1024];
			struct err err;
			size_t len;

			s.at_wall_ms = times[w];
			len = seal_format(&s, text, sizeof(text));
			ck_assert_uint_gt(len, 0);
			ck_assert_msg(seal_parse(text, len, &back, &err), "%s: %s", err.text, text);
			ck_assert_msg(is_equal(&s, &back), "%s", text);
		}
}
END_TEST

START_TEST(the_text_is_the_one_the_header_describes)
{
	struct seal s = make_seal("mail", "mx1", 7, false);
	const char *expected = "mailpair-seal 1\npair mail\nnode mx1\ntenure 7\n"
			       "boot 0d2a7c1e-6a33-4f7a-b1f0-3d8d7c5f2a11\nat "
			       "2026-11-21T18:00:31.250Z\nstate owned\nsum ";
	char text[1024];
	size_t len = seal_format(&s, text, sizeof(text));

	ck_assert_msg(strncmp(text, expected, strlen(expected)) == 0, "%s", text);
	ck_assert_uint_eq(len, strlen(expected) + 64 + 1);
}
END_TEST

START_TEST(any_changed_bit_is_refused_and_nothing_is_returned)
{
	struct seal s = make_seal("mail", "mx1", 7, false),
		    untouched = make_seal("u", "u", 1, true), back = untouched;
	char text[1024];
	size_t len = seal_format(&s, text, sizeof(text));

	for (size_t i = 0; i < len; i++)
		for (int bit = 0; bit < 8; bit++) {
			text[i] = (char)(text[i] ^ (1 << bit));
			ck_assert_msg(
			    !seal_parse(text, len, &back, NULL), "byte %zu, bit %d", i, bit);
			text[i] = (char)(text[i] ^ (1 << bit));
		}
	ck_assert(is_equal(&back, &untouched));
}
END_TEST

START_TEST(a_seal_cut_off_or_continued_anywhere_is_refused)
{
	struct seal s = make_seal("mail", "mx1", 7, false), back;
	char text[1024];
	size_t len = seal_format(&s, text, sizeof(text));

	for (size_t i = 0; i < len; i++)
		ck_assert_msg(!seal_parse(text, i, &back, NULL), "cut to %zu", i);
	text[len] = '\n';
	ck_assert(!seal_parse(text, len + 1, &back, NULL));
	ck_assert(seal_parse(text, len, &back, NULL));
}
END_TEST

/* A correct sum over a body that is not as it should be. */
static bool
parses_with_sum(const char *body)
{
	char text[2048], hex[DIGEST_HEX];
	uint8_t digest[DIGEST_LEN];
	struct seal back;
	int len;

	digest_sha256(body, strlen(body), digest);
	len = snprintf(
	    text, sizeof(text), "%ssum %s\n", body, digest_hex(digest, sizeof(digest), hex));
	return seal_parse(text, (size_t)len, &back, NULL);
}

START_TEST(a_right_sum_does_not_excuse_a_wrong_line)
{
#define HEAD "mailpair-seal 1\n"
	static const char *const wrong[] = {
	    "mailpair-seal 2\npair a\nnode b\ntenure 1\nboot c\nat 2026-11-21T18:00:31Z\nstate "
	    "owned\n",
	    HEAD "pair \nnode b\ntenure 1\nboot c\nat 2026-11-21T18:00:31Z\nstate owned\n",
	    HEAD "pair a b\nnode b\ntenure 1\nboot c\nat 2026-11-21T18:00:31Z\nstate owned\n",
	    HEAD "node b\npair a\ntenure 1\nboot c\nat 2026-11-21T18:00:31Z\nstate owned\n",
	    HEAD "pair a\nnode b\ntenure -1\nboot c\nat 2026-11-21T18:00:31Z\nstate owned\n",
	    HEAD "pair a\nnode b\ntenure 01\nboot c\nat 2026-11-21T18:00:31Z\nstate owned\n",
	    HEAD "pair a\nnode b\ntenure 18446744073709551616\nboot c\nat "
		 "2026-11-21T18:00:31Z\nstate owned\n",
	    HEAD "pair a\nnode b\ntenure 1\nboot c\nat 2026-02-29T18:00:31Z\nstate owned\n",
	    HEAD "pair a\nnode b\ntenure 1\nboot c\nat 2026-11-21T24:00:31Z\nstate owned\n",
	    HEAD "pair a\nnode b\ntenure 1\nboot c\nat 2026-11-21 18:00:31Z\nstate owned\n",
	    HEAD "pair a\nnode b\ntenure 1\nboot c\nat 2026-11-21T18:00:31Z\nstate free\n",
	    HEAD "pair a\nnode b\ntenure 1\nboot c\nat 2026-11-21T18:00:31Z\nstate owned\nmore x\n",
	    HEAD "pair 0123456789012345678901234567890123456789012345678901234567890123\nnode "
		 "b\ntenure 1\nboot c\n"
		 "at 2026-11-21T18:00:31Z\nstate owned\n",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!parses_with_sum(wrong[i]), "%s", wrong[i]);
	ck_assert(parses_with_sum(HEAD "pair a\nnode b\ntenure 18446744073709551615\nboot c\nat "
				       "2024-02-29T18:00:31Z\nstate owned\n"));
}
END_TEST

START_TEST(what_could_not_be_read_back_is_not_written)
{
	struct seal s = make_seal("mail", "mx1", 7, false);
	char text[1024];
	size_t len = seal_format(&s, text, sizeof(text));

	for (size_t size = 0; size <= len; size++)
		ck_assert_uint_eq(seal_format(&s, text, size), 0);
	snprintf(s.node, sizeof(s.node), "mx 1");
	ck_assert_uint_eq(seal_format(&s, text, sizeof(text)), 0);
	snprintf(s.node, sizeof(s.node), "mx1\nstate");
	ck_assert_uint_eq(seal_format(&s, text, sizeof(text)), 0);
	s = make_seal("", "mx1", 7, false);
	ck_assert_uint_eq(seal_format(&s, text, sizeof(text)), 0);
	s = make_seal("mail", "mx1", 7, false);
	s.at_wall_ms = UINT64_MAX;
	ck_assert_uint_eq(seal_format(&s, text, sizeof(text)), 0);
}
END_TEST

/* ---------------------------------------------------------------- found mounted */

/* Every seal (and none) x what is known x boots x whether another kernel has mounted it. */
static void
each_look(void (*law)(const struct seal_look *, enum seal_found))
{
	static const char *const nodes[] = {"mx1", "mx2", "mx3", NULL};
	static const char *const boots[] = {
	    "0d2a7c1e-6a33-4f7a-b1f0-3d8d7c5f2a11", "11111111-6a33-4f7a-b1f0-3d8d7c5f2a11"};

	for (unsigned int i = 0; i < 4 * 2 * 2 * 2 * 3 * 3; i++) {
		unsigned int x = i;
		const char *node = nodes[x % 4];
		const char *pair = (x /= 4) % 2 == 0 ? "mail" : "other";
		bool released = (x /= 2) % 2 == 0;
		const char *boot = boots[(x /= 2) % 2];
		enum fact touched = (enum fact)((x /= 2) % 3);
		struct seal_look l = {.pair = "mail", .self = "mx1", .peer = "mx2", .boot = boot, .touched = touched};
		int unread = (int)((x /= 3) % 3);

		for (size_t n = 0; n < TENURES * TENURES * TENURES; n++) {
			struct seal s = make_seal(pair, node == NULL ? "-" : node, tenures[n % TENURES], released);

			l.seal = node == NULL ? NULL : &s;
			l.known = tenures[n / TENURES % TENURES];
			l.released = tenures[n / TENURES / TENURES];
			l.unread = unread != 0;
			l.unread_sys = unread == 1 ? 5 : 0;
			law(&l, seal_find(&l));
		}
	}
}

static void
law_ours(const struct seal_look *l, enum seal_found found)
{
	const struct seal *s = l->seal;
	bool may = !l->unread && s != NULL && strcmp(s->pair, l->pair) == 0 && strcmp(s->node, l->self) == 0 &&
		   strcmp(s->boot, l->boot) == 0 && !s->released && s->tenure > l->released && s->tenure >= l->known &&
		   l->touched != FACT_YES;

	ck_assert((found == SEAL_FOUND_OURS) == may);
}

START_TEST(what_runs_is_adopted_only_under_our_own_seal_of_this_boot_that_was_never_let_go)
{
	each_look(law_ours);
}
END_TEST

static void
law_theirs(const struct seal_look *l, enum seal_found found)
{
	bool peers = !l->unread && l->seal != NULL && strcmp(l->seal->node, l->peer) == 0;
	bool pair = l->seal == NULL || strcmp(l->seal->pair, l->pair) == 0;

	if (!l->unread && pair && (peers || (l->touched == FACT_YES && (l->seal == NULL || strcmp(l->seal->node, "mx3") != 0))))
		ck_assert_int_eq(found, SEAL_FOUND_THEIRS);
	if (l->unread && l->unread_sys != 0)
		ck_assert_int_eq(found, SEAL_FOUND_THEIRS);
}

START_TEST(what_may_be_the_peers_or_cannot_be_read_is_never_written_to)
{
	each_look(law_theirs);
}
END_TEST

static void
law_unsealed(const struct seal_look *l, enum seal_found found)
{
	if (found != SEAL_FOUND_UNSEALED)
		return;
	ck_assert(!l->unread && l->touched != FACT_YES);
	ck_assert(l->seal == NULL || strcmp(l->seal->node, l->self) == 0);
}

START_TEST(what_is_unmounted_in_order_bears_no_seal_but_our_own_and_was_mounted_by_nobody_else)
{
	each_look(law_unsealed);
}
END_TEST

static void
law_left_alone(const struct seal_look *l, enum seal_found found)
{
	bool stops_both = l->unread ? l->unread_sys == 0 : l->seal != NULL &&
			  (strcmp(l->seal->pair, l->pair) != 0 || strcmp(l->seal->node, "mx3") == 0);

	ck_assert((found == SEAL_FOUND_FOREIGN) == stops_both);
}

START_TEST(only_a_seal_that_would_stop_the_peer_as_well_is_left_to_a_person)
{
	each_look(law_left_alone);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("seal");
	TCase *verdict = tcase_create("verdict"), *text = tcase_create("text"), *found = tcase_create("found");

	tcase_add_test(verdict, no_proof_opens_another_pairs_or_a_strangers_spool);
	tcase_add_test(verdict, a_new_tenure_is_the_next_one_after_all_that_are_known);
	tcase_add_test(verdict, a_refusal_writes_no_tenure);
	tcase_add_test(verdict, without_a_proof_not_even_a_fresh_or_released_spool_is_ours);
	tcase_add_test(verdict, a_release_covers_tenures_up_to_the_released_one_and_no_newer);
	tcase_add_test(verdict, a_peer_that_is_off_holds_nothing_whatever_its_tenure_was);
	tcase_add_test(
	    verdict, re_adoption_needs_our_own_seal_of_exactly_the_known_tenure_and_keeps_it);
	tcase_add_test(verdict, a_fresh_pair_begins_with_tenure_one);
	tcase_add_test(verdict, every_proof_has_a_name_of_its_own);
	suite_add_tcase(suite, verdict);
	tcase_add_test(text, what_was_written_is_read_back_the_same);
	tcase_add_test(text, the_text_is_the_one_the_header_describes);
	tcase_add_test(text, any_changed_bit_is_refused_and_nothing_is_returned);
	tcase_add_test(text, a_seal_cut_off_or_continued_anywhere_is_refused);
	tcase_add_test(text, a_right_sum_does_not_excuse_a_wrong_line);
	tcase_add_test(text, what_could_not_be_read_back_is_not_written);
	suite_add_tcase(suite, text);
	tcase_add_test(found, what_runs_is_adopted_only_under_our_own_seal_of_this_boot_that_was_never_let_go);
	tcase_add_test(found, what_may_be_the_peers_or_cannot_be_read_is_never_written_to);
	tcase_add_test(found, what_is_unmounted_in_order_bears_no_seal_but_our_own_and_was_mounted_by_nobody_else);
	tcase_add_test(found, only_a_seal_that_would_stop_the_peer_as_well_is_left_to_a_person);
	suite_add_tcase(suite, found);
	return unit_main(suite);
}
