/*
 * tests/unit/test_channel.c - laws of common/channel.h between two nodes that trust each other: messages, bounds, ends, keys.
 */
#include "tests/unit/channel_bed.h"

#include <poll.h>

static const char *const address[] = { "127.0.0.1", "::1" };

static uint64_t expected;	/* number in the next message */

/* Messages are numbered and filled by their number. */
static size_t
fill(uint8_t *out, uint64_t number, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(number + i);
	return len;
}

static void
must_be_next(struct side *s, const uint8_t *bytes, size_t len)
{
	(void)s;
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != (uint8_t)(expected + i))
			ck_abort_msg("message %llu is wrong at byte %zu", (unsigned long long)expected, i);
	expected++;
}

START_TEST(a_message_of_any_length_arrives_whole_once_and_in_order_over_ipv4_and_ipv6)
{
	static uint8_t bytes[1024 * 1024];
	const size_t len[] = { 0, 1, 4, 5, 6, 4096, 16383, 16384, 16385, 65536, 1000000, sizeof(bytes) };
	const int n = sizeof(len) / sizeof(len[0]);

	bed_new(address[_i]);
	bed_up();
	mx1.got = must_be_next;
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(channel_send(mx2.ch, (uint8_t)(16 + i), bytes, fill(bytes, (uint64_t)i, len[i])), CHANNEL_SENT);
	UNTIL(mx1.messages == n);
	ck_assert_uint_eq(mx1.type, 16 + n - 1);
	ck_assert_uint_eq(mx1.len, sizeof(bytes));
	ck_assert_int_eq(channel_send(mx1.ch, 255, "back", 4), CHANNEL_SENT);
	UNTIL(mx2.messages == 1);
	ck_assert(mx2.type == 255 && mx2.len == 4 && memcmp(mx2.body, "back", 4) == 0);
	FOR_MS(20);
	ck_assert_int_eq(mx1.messages, n);
	ck_assert_int_eq(mx1.down + mx2.down + mx1.refused + mx2.refused, 0);
	ck_assert_ptr_nonnull(strstr(status(&mx1).where, _i == 0 ? "127.0.0.1:" : "[::1]:"));
	bed_free();
}
END_TEST

START_TEST(a_small_message_is_on_its_way_before_the_loop_turns)
{
	static uint8_t bytes[16 * 1024];
	int sent = 0;

	bed_new("127.0.0.1");
	bed_up();
	mx1.got = must_be_next;
	UNTIL(status(&mx2).queued == 0);
	for (; status(&mx2).queued == 0; sent++)	/* until the kernel takes no more */
		ck_assert_int_eq(channel_send(mx2.ch, 16, bytes, fill(bytes, (uint64_t)sent, (size_t)sent * 37 % 16000)), CHANNEL_SENT);
	ck_assert_int_gt(sent, 5);
	for (int i = 0; i < 20; i++, sent++)
		ck_assert_int_eq(channel_send(mx2.ch, 16, bytes, fill(bytes, (uint64_t)sent, (size_t)sent * 37 % 16000)), CHANNEL_SENT);
	UNTIL(mx1.messages == sent);
	ck_assert_int_eq(mx1.down + mx2.down, 0);
	bed_free();
}
END_TEST

START_TEST(a_node_is_reached_by_the_address_that_works_and_tried_ever_more_rarely)
{
	uint64_t tries;

	bed_new("127.0.0.1");
	bed_listen();
	channel_free(mx1.ch);	/* its port is free again, and known */
	mx1.setup.at[0].port = mx2.setup.at[0].port;
	mx2.setup.at[1] = mx2.setup.at[0];
	mx2.setup.at[0].address = "::1";
	mx2.setup.at_len = 2;
	bed_connect();
	FOR_MS(400);
	tries = ended(&mx2, CHANNEL_UNREACHABLE);
	/* 5, 10, 20, 40, 40, ... ms */
	ck_assert_uint_ge(tries, 4);
	ck_assert_uint_le(tries, 14);
	ck_assert_int_eq((int)tries, mx2.refused);
	ck_assert_ptr_nonnull(strstr(mx2.text, "Connection refused"));
	bed_listen();
	UNTIL(mx1.up == 1 && mx2.up == 1);
	bed_free();
}
END_TEST

START_TEST(what_cannot_be_listened_on_is_said)
{
	struct err err;
	struct side third;

	bed_new("127.0.0.1");
	bed_listen();
	side_new(&third, "mx1", "mx2", "127.0.0.1");
	third.setup.at[0].port = mx2.setup.at[0].port;
	ck_assert(!channel_listen(loop, &third.setup, &third.ch, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "127.0.0.1:"));
	third.setup.at[0].address = "mx1.example.org";
	ck_assert(!channel_listen(loop, &third.setup, &third.ch, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "\"mx1.example.org\" is no numeric"));
	third.keys.key[0].len = 0;	/* "1 crc" */
	ck_assert(!channel_connect(loop, &third.setup, &third.ch, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "key 1 of authkeys has a secret of 0 bytes"));
	ck_assert(!channel_keys(mx1.ch, &third.keys, &err));
	third.setup.pair = "";
	ck_assert(!channel_connect(loop, &third.setup, &third.ch, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "the name of the pair has 0 bytes"));
	third.setup.pair = "two words";
	ck_assert(!channel_connect(loop, &third.setup, &third.ch, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "0x20"));
	ck_assert_ptr_null(third.ch);
	bed_free();
}
END_TEST

START_TEST(a_close_delivers_all_that_is_queued_and_its_reason_and_is_final)
{
	static uint8_t bytes[64 * 1024];
	int sent = 0;

	bed_new("127.0.0.1");
	bed_up();
	mx1.got = must_be_next;
	while (channel_send(mx2.ch, 16, bytes, fill(bytes, (uint64_t)sent, sizeof(bytes))) == CHANNEL_SENT)
		sent++;
	ck_assert_int_gt(sent, 60);
	ck_assert(channel_close(mx2.ch, "the node shuts\ndown"));
	ck_assert_int_eq(channel_send(mx2.ch, 16, "x", 1), CHANNEL_DOWN);
	UNTIL(mx1.down == 1 && mx2.down == 1);
	ck_assert_int_eq(mx1.messages, sent);
	ck_assert_int_eq(mx1.why, CHANNEL_BYE);
	ck_assert_ptr_nonnull(strstr(mx1.text, "the node shuts?down"));
	ck_assert_int_eq(mx2.why, CHANNEL_OURS);
	FOR_MS(100);
	ck_assert_int_eq(mx2.up, 1);
	ck_assert_int_eq(mx1.up, 1);
	ck_assert(!channel_close(mx2.ch, "again"));
	ck_assert(!channel_close(mx1.ch, "nothing is up"));
	bed_free();
}
END_TEST

START_TEST(a_dropped_stream_tells_why_on_both_sides_and_comes_again)
{
	struct side *dropper, *other;

	bed_new("127.0.0.1");
	bed_up();
	dropper = _i == 0 ? &mx1 : &mx2;
	other = _i == 0 ? &mx2 : &mx1;
	channel_drop(dropper->ch, "message 5 names no file");
	ck_assert_int_eq(dropper->down, 1);
	ck_assert_int_eq(dropper->why, CHANNEL_DROPPED);
	channel_drop(dropper->ch, "not twice");
	ck_assert_int_eq(dropper->down, 1);
	UNTIL(other->down == 1 && mx1.up == 2 && mx2.up == 2);
	ck_assert_int_eq(other->why, CHANNEL_BYE);
	ck_assert_ptr_nonnull(strstr(other->text, "message 5 names no file"));
	UNTIL(status(&mx1).half_open == 0 && status(&mx2).half_open == 0);
	bed_free();
}
END_TEST

static void
free_now(struct side *s)
{
	channel_free(s->ch);
	s->ch = NULL;
}

static void
close_now(struct side *s)
{
	channel_close(s->ch, "closed from within a callback");
}

START_TEST(a_channel_may_be_freed_and_closed_in_any_of_its_callbacks)
{
	struct side *s = _i & 1 ? &mx1 : &mx2, *other = _i & 1 ? &mx2 : &mx1;
	void (*deed)(struct side *) = _i & 2 ? close_now : free_now;
	static uint8_t bytes[64 * 1024];

	bed_new("127.0.0.1");
	if (_i / 4 == 0)
		s->then = deed;			/* in up() */
	bed_listen();
	bed_connect();
	UNTIL(s->up == 1);
	if (_i / 4 == 0)
		goto out;
	UNTIL(other->up == 1);
	s->then = deed;
	if (_i / 4 == 1) {			/* in received(), with more behind */
		for (int i = 0; i < 10; i++)
			ck_assert_int_eq(channel_send(other->ch, 16, "message", 7), CHANNEL_SENT);
		UNTIL(s->messages == 1);
	} else if (_i / 4 == 2) {		/* in down() */
		channel_free(other->ch);
		other->ch = NULL;
		UNTIL(s->down == 1);
	} else {				/* in drained() */
		while (channel_send(s->ch, 16, bytes, sizeof(bytes)) == CHANNEL_SENT)
			;
		UNTIL(s->drained == 1);
	}
	FOR_MS(10);
	ck_assert_int_le(s->messages, 1);
out:
	FOR_MS(10);
	bed_free();
}
END_TEST

START_TEST(a_full_queue_refuses_and_says_when_there_is_room)
{
	static uint8_t bytes[100 * 1024];
	int sent = 0;

	bed_new("127.0.0.1");
	mx2.setup.limits.queue_max = 2100 * 1024;
	bed_up();
	channel_pause(mx1.ch);
	mx1.got = must_be_next;
	/* the kernel's buffers first, then ours */
	for (bool full = false; !full;) {
		while (channel_send(mx2.ch, 16, bytes, fill(bytes, (uint64_t)sent, sizeof(bytes))) == CHANNEL_SENT)
			sent++;
		ck_assert_uint_le(status(&mx2).queued, 2100 * 1024);
		mx2.drained = 0;
		FOR_MS(100);
		full = mx2.drained == 0;
	}
	ck_assert_int_eq(mx1.messages, 0);
	channel_resume(mx1.ch);
	UNTIL(mx2.drained == 1);
	ck_assert_int_eq(channel_send(mx2.ch, 16, bytes, fill(bytes, (uint64_t)sent++, sizeof(bytes))), CHANNEL_SENT);
	UNTIL(mx1.messages == sent);
	ck_assert_int_eq(mx2.drained, 1);
	bed_free();
}
END_TEST

static void
pause_each(struct side *s)
{
	if (s->messages > 0)
		channel_pause(s->ch);
}

START_TEST(what_came_before_a_pause_waits_for_its_end_and_no_silence_is_judged_meanwhile)
{
	bed_new("127.0.0.1");
	mx1.setup.limits.idle_ms = mx2.setup.limits.idle_ms = 300;
	bed_up();
	mx1.then = pause_each;
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(channel_send(mx2.ch, 16, &i, sizeof(i)), CHANNEL_SENT);
	UNTIL(mx1.messages == 1);
	FOR_MS(900);
	ck_assert_int_eq(mx1.messages, 1);
	for (int i = 2; i <= 5; i++) {
		channel_resume(mx1.ch);
		UNTIL(mx1.messages == i);
		ck_assert_int_eq(mx1.body[0], i - 1);
	}
	ck_assert_int_eq(mx1.down + mx2.down, 0);
	bed_free();
}
END_TEST

START_TEST(an_end_of_a_pause_needs_no_further_word_of_the_peer)
{
	uint64_t began;

	bed_new("127.0.0.1");
	mx2.setup.limits.idle_ms = 60000;
	mx2.setup.limits.keepalive_ms = 15000;
	bed_up();
	mx1.then = pause_each;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(channel_send(mx2.ch, 16, &i, sizeof(i)), CHANNEL_SENT);
	UNTIL(mx1.messages == 1);
	began = clock_mono_ms();
	for (int i = 2; i <= 3; i++) {
		channel_resume(mx1.ch);
		UNTIL(mx1.messages == i);
	}
	ck_assert_uint_lt(clock_mono_ms() - began, 5000);
	bed_free();
}
END_TEST

START_TEST(a_stream_without_messages_lives_on_and_who_stood_still_blames_nobody)
{
	bed_new("127.0.0.1");
	mx1.setup.limits.idle_ms = mx2.setup.limits.idle_ms = 300;
	bed_up();
	FOR_MS(1200);
	ck_assert_int_eq(mx1.down + mx2.down, 0);
	for (int i = 0; i < 3; i++) {
		poll(NULL, 0, 700);	/* the process of both stands still */
		FOR_MS(50);
		ck_assert_msg(mx1.down + mx2.down == 0, "%s%s", mx1.text, mx2.text);
	}
	bed_free();
}
END_TEST

START_TEST(a_newer_stream_of_the_peer_takes_the_place_of_an_older_one)
{
	struct side second;
	struct err err;

	bed_new("127.0.0.1");
	bed_up();
	second = mx2;
	second.setup.arg = &second;
	second.setup.keys = &second.keys;
	second.up = 0;
	ck_assert(channel_connect(loop, &second.setup, &second.ch, &err));
	UNTIL(second.up == 1 && mx2.down == 1);
	ck_assert_int_eq(mx1.down, 1);
	ck_assert_int_eq(mx1.why, CHANNEL_REPLACED);
	ck_assert_int_eq(mx2.why, CHANNEL_BYE);
	ck_assert_ptr_nonnull(strstr(mx2.text, "newer stream"));
	channel_free(mx2.ch);
	mx2.ch = NULL;
	UNTIL(status(&mx1).up && status(&second).up);
	ck_assert_int_eq(channel_send(mx1.ch, 16, "x", 1), CHANNEL_SENT);
	UNTIL(second.messages == 1);
	channel_free(second.ch);
	bed_free();
}
END_TEST

START_TEST(a_key_is_changed_without_losing_the_stream_and_a_removed_one_ends_it)
{
	bed_new("127.0.0.1");
	bed_up();
	ck_assert_int_eq(status(&mx1).key, 1);
	/* both know both: nothing happens, and the next stream still has key 1 */
	key_add(&mx1, 2, "second-secret-of-the-pair");
	key_add(&mx2, 2, "second-secret-of-the-pair");
	ck_assert(channel_keys(mx1.ch, &mx1.keys, NULL));
	ck_assert(channel_keys(mx2.ch, &mx2.keys, NULL));
	FOR_MS(50);
	ck_assert_int_eq(mx1.down + mx2.down, 0);
	/* the connector sends with key 2: from the next stream on */
	mx2.keys.sending = 1;
	ck_assert(channel_keys(mx2.ch, &mx2.keys, NULL));
	FOR_MS(50);
	ck_assert_int_eq(mx1.down + mx2.down, 0);
	channel_drop(mx2.ch, "test");
	UNTIL(mx1.up == 2 && mx2.up == 2);
	ck_assert_int_eq(status(&mx1).key, 2);
	/* without key 1 the stream of key 2 stays */
	mx1.keys.key[0] = mx1.keys.key[1];
	mx1.keys.len = 1;
	ck_assert(channel_keys(mx1.ch, &mx1.keys, NULL));
	FOR_MS(50);
	ck_assert_int_eq(mx1.down, 1);
	/* the same number with another secret is another key */
	memcpy(mx1.keys.key[0].key, "SECOND", 6);
	ck_assert(channel_keys(mx1.ch, &mx1.keys, NULL));
	ck_assert_int_eq(mx1.down, 2);
	ck_assert_int_eq(mx1.why, CHANNEL_KEY_REMOVED);
	UNTIL(ended(&mx1, CHANNEL_FORGED) > 0 && ended(&mx2, CHANNEL_FORGED) > 0);
	mx2.keys = mx1.keys;
	mx2.keys.sending = 0;
	ck_assert(channel_keys(mx2.ch, &mx2.keys, NULL));
	UNTIL(mx1.up == 3 && mx2.up == 3);
	bed_free();
}
END_TEST

static void
echo(struct side *s, const uint8_t *bytes, size_t len)
{
	must_be_next(s, bytes, len);
	ck_assert_int_eq(channel_send(s->ch, 17, bytes, len), CHANNEL_SENT);
}

START_TEST(traffic_keys_are_renewed_in_both_directions_while_messages_flow)
{
	uint8_t bytes[300];

	bed_new("127.0.0.1");
	mx1.setup.limits.key_records = mx2.setup.limits.key_records = 100;
	bed_up();
	mx1.got = echo;
	for (int i = 0; i < 2000; i++) {
		ck_assert_int_eq(channel_send(mx2.ch, 16, bytes, fill(bytes, (uint64_t)i, sizeof(bytes))), CHANNEL_SENT);
		if (i % 10 == 9)
			UNTIL(mx2.messages == i + 1);
	}
	ck_assert_int_eq(mx1.messages, 2000);
	ck_assert_uint_ge(status(&mx1).key_updates, 10);
	ck_assert_uint_ge(status(&mx2).key_updates, 10);
	bed_free();
}
END_TEST

static long
resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = -1, all;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%ld %ld", &all, &pages), 2);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* the sanitizer keeps what was freed for a while */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KIB_MAX 400000
#endif
#endif
#ifndef KIB_MAX
#define KIB_MAX 4096
#endif

#define FLOW (64 * 1024 * 1024)
static uint8_t flow_bytes[48 * 1024];
static uint64_t flow_sent, flow_queued_max;

static void
flow_more(struct side *s)
{
	size_t queued;

	while (s->up == 1 && flow_sent * sizeof(flow_bytes) < FLOW &&
	    channel_send(s->ch, 16, flow_bytes, fill(flow_bytes, flow_sent, sizeof(flow_bytes))) == CHANNEL_SENT)
		flow_sent++;
	queued = status(s).queued;
	if (queued > flow_queued_max)
		flow_queued_max = queued;
}

START_TEST(sixty_four_mebibytes_pass_in_order_with_bounded_memory)
{
	long before, most = 0;

	bed_new("127.0.0.1");
	mx1.setup.limits.message_max = mx2.setup.limits.message_max = 64 * 1024;
	mx2.setup.limits.queue_max = 256 * 1024;
	mx1.got = must_be_next;
	bed_up();
	before = resident_kib();
	mx2.then = flow_more;
	flow_more(&mx2);
	for (bed_deadline = clock_mono_ms() + 60000; mx1.bytes < FLOW;) {
		struct channel_status now = status(&mx1);

		bed_turn("64 MiB");
		ck_assert_uint_le(now.held, 5 + 64 * 1024 + 4 * 16384);
		if (resident_kib() > most)
			most = resident_kib();
	}
	ck_assert_uint_eq((uint64_t)mx1.messages, flow_sent);
	ck_assert_uint_le(flow_queued_max, 256 * 1024);
	ck_assert_int_gt(mx2.drained, 10);
	ck_assert_int_lt(most - before, KIB_MAX);
	bed_free();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("channel");
	TCase *tc = tcase_create("laws");

	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, a_message_of_any_length_arrives_whole_once_and_in_order_over_ipv4_and_ipv6, 0, 2);
	tcase_add_test(tc, a_small_message_is_on_its_way_before_the_loop_turns);
	tcase_add_test(tc, a_node_is_reached_by_the_address_that_works_and_tried_ever_more_rarely);
	tcase_add_test(tc, what_cannot_be_listened_on_is_said);
	tcase_add_test(tc, a_close_delivers_all_that_is_queued_and_its_reason_and_is_final);
	tcase_add_loop_test(tc, a_dropped_stream_tells_why_on_both_sides_and_comes_again, 0, 2);
	tcase_add_loop_test(tc, a_channel_may_be_freed_and_closed_in_any_of_its_callbacks, 0, 16);
	tcase_add_test(tc, a_full_queue_refuses_and_says_when_there_is_room);
	tcase_add_test(tc, what_came_before_a_pause_waits_for_its_end_and_no_silence_is_judged_meanwhile);
	tcase_add_test(tc, an_end_of_a_pause_needs_no_further_word_of_the_peer);
	tcase_add_test(tc, a_stream_without_messages_lives_on_and_who_stood_still_blames_nobody);
	tcase_add_test(tc, a_newer_stream_of_the_peer_takes_the_place_of_an_older_one);
	tcase_add_test(tc, a_key_is_changed_without_losing_the_stream_and_a_removed_one_ends_it);
	tcase_add_test(tc, traffic_keys_are_renewed_in_both_directions_while_messages_flow);
	tcase_add_test(tc, sixty_four_mebibytes_pass_in_order_with_bounded_memory);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
