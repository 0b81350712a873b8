/*
 * tests/unit/test_config_along.c - laws of configsync/desk_along.c: a content is what its digest says, nobody gets more memory than there is for all,
 * what was let go of is wiped, and not before the worker that reads it has ended.
 */
#include "tests/unit/harness.h"

#include <string.h>

#include "configsync/desk_priv.h"

#define LEN (32u << 10)
#define MOST (49u << 20)
#define ROOM (256u << 10)

static struct desk desk;

static void
content_of(uint32_t which, uint8_t *bytes, uint8_t digest[DIGEST_LEN])
{
	memset(bytes, 'a' + (int)(which % 26), LEN);
	memcpy(bytes, &which, sizeof which);
	digest_sha256(bytes, LEN, digest);
}

/* The one with that number, in a room of its own. */
static const uint8_t *
come(uint32_t which, uint8_t digest[DIGEST_LEN])
{
	uint8_t *room = desk_along_begin(&desk, LEN);

	if (room == NULL)
		return NULL;
	content_of(which, room, digest);
	ck_assert(desk_along_is(&desk, digest, room, LEN));
	return room;
}

static bool
is_all(const uint8_t *bytes, uint8_t byte, size_t from)
{
	size_t i = from;

	while (i < LEN && bytes[i] == byte)
		i++;
	return i == LEN;
}

START_TEST(several_in_one_room_are_each_what_they_should_be)
{
	uint8_t digest[4][DIGEST_LEN], *room = desk_along_begin(&desk, 4 * LEN);

	for (uint32_t i = 0; i < 4; i++)
		content_of(i, room + i * LEN, digest[i]);
	room[2 * LEN] ^= 1;		/* other bytes than were said */
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_int_eq(desk_along_is(&desk, digest[i], room + i * LEN, LEN), i != 2);
	ck_assert(!desk_along_has(&desk, digest[2]));
	for (uint32_t i = 0; i < 100; i++)		/* what comes then stands elsewhere */
		come(10 + i, digest[2]);
	for (uint32_t i = 0; i < 4; i++)
		if (i != 2)
			ck_assert(is_all(desk_along_bytes(&desk, digest[i]), (uint8_t)('a' + i), sizeof i));
}
END_TEST

START_TEST(there_is_a_bound_and_what_was_let_go_of_makes_room_again)
{
	uint8_t first[DIGEST_LEN], digest[DIGEST_LEN];
	uint32_t n = 0;

	come(n++, first);
	while (come(n, digest) != NULL)
		n++;
	ck_assert_uint_eq(n, MOST / LEN);
	ck_assert(!desk_along_room(&desk, 1));
	for (uint32_t i = 0; i < 200; i++) {		/* a block of memory's */
		uint8_t bytes[LEN];

		content_of(i, bytes, digest);
		desk_along_remove(&desk, digest);
	}
	ck_assert(!desk_along_has(&desk, first));
	ck_assert_ptr_nonnull(desk_along_begin(&desk, ROOM));
}
END_TEST

START_TEST(what_was_let_go_of_is_wiped)
{
	uint8_t digest[DIGEST_LEN];
	const uint8_t *at = come(1, digest);

	desk_along_remove(&desk, digest);
	ck_assert(!desk_along_has(&desk, digest));
	ck_assert(is_all(at, 0, 0));
}
END_TEST

/* 0: removed; 1: the link has ended. */
START_TEST(what_a_worker_was_lent_stays_until_it_has_ended_and_the_rest_does_not)
{
	uint8_t lent[DIGEST_LEN], other[DIGEST_LEN];
	const uint8_t *at = come(1, lent), *at_other = come(2, other);

	desk_along_lend(&desk, lent);
	if (_i == 0) {
		desk_along_remove(&desk, lent);
		desk_along_remove(&desk, other);
	} else {
		desk_along_clear(&desk);
	}
	ck_assert(!desk_along_has(&desk, lent) && !desk_along_has(&desk, other));
	ck_assert(is_all(at_other, 0, 0));
	for (uint32_t i = 0; i < 200; i++)
		ck_assert_ptr_ne(come(100 + i, other), at);
	ck_assert(is_all(at, 'b', sizeof(uint32_t)));
	desk_along_returned(&desk);
	ck_assert(is_all(at, 0, 0));
}
END_TEST

START_TEST(what_comes_after_a_worker_has_ended_is_not_its_own)
{
	uint8_t digest[DIGEST_LEN];
	const uint8_t *at = come(1, digest);

	desk_along_lend(&desk, digest);
	desk_along_returned(&desk);
	ck_assert(desk_along_has(&desk, digest));	/* it failed, and the content is wanted still */
	desk_along_remove(&desk, digest);
	ck_assert(is_all(at, 0, 0));
}
END_TEST

static void
teardown(void)
{
	desk_along_returned(&desk);
	desk_along_clear(&desk);
}

int
main(void)
{
	Suite *suite = suite_create("config_along");
	TCase *c = tcase_create("along");

	tcase_add_checked_fixture(c, NULL, teardown);
	tcase_add_test(c, several_in_one_room_are_each_what_they_should_be);
	tcase_add_test(c, there_is_a_bound_and_what_was_let_go_of_makes_room_again);
	tcase_add_test(c, what_was_let_go_of_is_wiped);
	tcase_add_loop_test(c, what_a_worker_was_lent_stays_until_it_has_ended_and_the_rest_does_not, 0, 2);
	tcase_add_test(c, what_comes_after_a_worker_has_ended_is_not_its_own);
	suite_add_tcase(suite, c);
	return unit_main(suite);
}
