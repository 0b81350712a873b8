/*
 * tests/unit/test_config_net.c - laws of configsync/net.h: messages, streams and their ends, between two nodes.
 */
#include "tests/unit/net_case.h"

/* ---------------------------------------------------------------- messages */

START_TEST(messages_of_all_sizes_arrive_whole_both_ways)
{
	static const size_t len[] = { 0, 1, 8, 9, 10, 1000, 16384, 65527, 65536, 65537, 262144, 1048575, MESSAGE_MAX };

	both_up();
	for (size_t i = 0; i < sizeof len / sizeof *len; i++) {
		uint8_t type = (uint8_t)(CHANNEL_TYPE_MIN + i * 18);

		must_send(&a, type, big, len[i]);
		must_send(&b, (uint8_t)(type + 1), big, len[i]);
		UNTIL(a.messages == (int)i + 1 && b.messages == (int)i + 1);
		ck_assert(b.type == type && a.type == type + 1 && a.len == len[i] && b.len == len[i]);
	}
	ck_assert(a.sum == b.sum && a.sum != 0);
}
END_TEST

static void
echo(struct side *s, uint8_t type, const uint8_t *bytes, size_t len)
{
	ck_assert_mem_eq(bytes, big + (bytes[0] == big[0] ? 0 : 1), len);
	ck_assert_int_ne(net_send(s->net, type, bytes, len), CHANNEL_DOWN);
}

START_TEST(bytes_come_as_they_were_sent)
{
	both_up();
	b.got = echo;
	for (int i = 0; i < 3; i++)
		must_send(&a, CHANNEL_TYPE_MIN, big + i % 2, 700000);
	UNTIL(a.messages == 3);
	ck_assert(a.len == 700000 && b.bytes == 3 * 700000);
}
END_TEST

START_TEST(nothing_is_lost_when_more_is_sent_than_fits)
{
	int sent = 0, full = 0;

	both_up();
	while (sent < 60) {
		if (net_send(a.net, 20, big + sent, 500000) == CHANNEL_SENT) {
			sent++;
			continue;
		}
		full++;
		ck_assert_uint_le(status(&a).queued, 4 * 1024 * 1024);
		UNTIL(a.drained == full);
	}
	ck_assert_int_gt(full, 0);
	UNTIL(b.messages == sent);
	ck_assert_uint_eq(b.bytes, 60u * 500000);
}
END_TEST

/* Bounds: both parents' queues, both children's, the kernel's. */
START_TEST(who_does_not_listen_makes_the_peer_wait_and_misses_nothing)
{
	int sent = 0, before;

	both_up();
	net_pause(b.net, true);
	for (uint64_t quiet = clock_mono_ms(); clock_mono_ms() - quiet < 400;) {
		deadline = clock_mono_ms() + PATIENCE_MS;
		if (net_send(a.net, 20, big, 500000) == CHANNEL_SENT) {
			sent++;
			quiet = clock_mono_ms();
		} else {
			turn("room");
		}
	}
	ck_assert_int_eq(b.messages, 0);
	ck_assert_int_gt(sent, 8);
	ck_assert_int_lt(sent, 60);
	before = a.drained;
	net_pause(b.net, false);
	UNTIL(b.messages == sent && a.drained > before);
	ck_assert(a.down == 0 && b.down == 0);
	must_send(&b, 30, "x", 1);
	UNTIL(a.messages == 1);
}
END_TEST

START_TEST(without_a_stream_nothing_is_taken)
{
	start_a();
	ck_assert_int_eq(net_send(a.net, 20, "x", 1), CHANNEL_DOWN);
	start(&b);
	ck_assert_int_eq(net_send(b.net, 20, "x", 1), CHANNEL_DOWN);
	UNTIL(a.up == 1 && b.up == 1);
	net_close(a.net, "enough");
	ck_assert_int_eq(net_send(a.net, 20, "x", 1), CHANNEL_DOWN);
}
END_TEST

/* ---------------------------------------------------------------- ends */

START_TEST(a_child_that_is_killed_is_told_and_started_again)
{
	pid_t first;

	both_up();
	first = status(&a).pid;
	kill(first, SIGKILL);
	UNTIL(a.ended == 1);
	ck_assert_int_eq(a.down, 1);
	ck_assert_int_eq(a.why, CHANNEL_LOST);
	ck_assert_ptr_nonnull(strstr(a.end, "signal 9"));
	ck_assert_int_eq(net_send(a.net, 20, "x", 1), CHANNEL_DOWN);
	UNTIL(a.up == 2 && b.up == 2);
	ck_assert(status(&a).pid != first && status(&a).started == 2 && b.ended == 0);
	must_send(&a, 20, "again", 5);
	must_send(&b, 21, "again", 5);
	UNTIL(a.messages == 1 && b.messages == 1);
}
END_TEST

START_TEST(what_was_meant_for_one_stream_never_goes_into_the_next)
{
	both_up();
	kill(status(&b).pid, SIGSTOP);
	for (int i = 0; i < 8; i++)
		must_send(&a, 20, big, 100000);
	kill(status(&b).pid, SIGKILL);
	UNTIL(a.up == 2 && b.up == 2);
	must_send(&a, 33, "new", 3);
	UNTIL(b.messages > 0);
	ck_assert(b.messages == 1 && b.type == 33);
}
END_TEST

START_TEST(a_peer_that_is_gone_comes_back)
{
	both_up();
	net_free(b.net);
	b.net = NULL;
	UNTIL(a.down == 1);
	ck_assert_int_eq(a.ended, 0);
	start(&b);
	UNTIL(a.up == 2 && b.up == 2);
	ck_assert_ptr_nonnull(strstr(status(&a).where, "127.0.0.1:"));
	ck_assert_uint_eq(status(&a).key, 1);
}
END_TEST

START_TEST(a_goodbye_comes_with_its_reason_after_all_messages)
{
	both_up();
	for (int i = 0; i < 3; i++)
		must_send(&a, 20, big, MESSAGE_MAX);
	net_close(a.net, "this node is told to stop");
	UNTIL(a.ended == 1 && b.down == 1);
	ck_assert_int_eq(b.messages, 3);
	ck_assert_int_eq(b.why, CHANNEL_BYE);
	ck_assert_ptr_nonnull(strstr(b.text, "told to stop"));
	ck_assert_int_eq(a.why, CHANNEL_OURS);
	FOR_MS(300);
	ck_assert(status(&a).pid == -1 && status(&a).started == 1);
}
END_TEST

START_TEST(a_stream_that_makes_no_sense_is_dropped_with_a_word)
{
	both_up();
	net_drop(a.net, "news, row 3 of 20: path out of order");
	UNTIL(a.down == 1 && b.down >= 1);
	ck_assert_int_eq(a.why, CHANNEL_DROPPED);
	UNTIL(a.up == 2 && b.up == 2);
}
END_TEST

START_TEST(another_secret_is_refused_and_told_on_both_sides)
{
	side_new(&b, "mx2", "mx1", "another-secret-of-the-pair");
	start_a();
	start(&b);
	UNTIL(a.refused > 0 && b.refused > 0);
	ck_assert_int_eq(a.refused_why, CHANNEL_FORGED);
	ck_assert_int_eq(status(&b).last_why, CHANNEL_FORGED);
	ck_assert_ptr_nonnull(strstr(status(&a).last, "another secret in key 1"));
	ck_assert(a.up == 0 && b.up == 0 && status(&a).refused > 0);
	FOR_MS(1200);
	ck_assert_int_le(a.refused, 3);		/* one each second, though there were many */
	ck_assert_uint_gt(status(&a).refused, (uint64_t)a.refused);
}
END_TEST

START_TEST(new_keys_begin_with_a_new_child)
{
	struct authkeys both = a.keys, weak = a.keys;
	struct err err;

	both_up();
	both.key[1] = both.key[0];
	both.key[1].id = 2;
	both.key[1].key[0] = 'x';
	both.len = 2;
	ck_assert(net_keys(a.net, &both, &err));
	UNTIL(a.up == 2 && b.up == 2);
	both.sending = 1;
	ck_assert(net_keys(b.net, &both, &err));
	UNTIL(a.up == 3 && b.up == 3);
	ck_assert_uint_eq(status(&a).key, 2);
	ck_assert_ptr_nonnull(strstr(b.end, "authkeys"));
	weak.key[0].len = 4;
	ck_assert(!net_keys(a.net, &weak, &err));
	FOR_MS(50);
	ck_assert(a.down == 2 && status(&a).up);
}
END_TEST

START_TEST(a_port_that_is_taken_is_told_and_tried_again)
{
	struct side other;

	start_again_a();
	other = a;
	side_new(&a, "mx1", "mx2", "first-secret-of-the-pair");
	a.setup.at[0].port = other.setup.at[0].port;
	start(&a);
	UNTIL(a.ended == 2);
	ck_assert_msg(strstr(a.end, "cannot listen on 127.0.0.1:") != NULL, "%s", a.end);
	net_free(other.net);
	UNTIL(status(&a).ready);
}
END_TEST

START_TEST(a_setup_that_cannot_be_is_refused_at_once)
{
	struct err err = { 0 };

	a.setup.at_len = 0;
	ck_assert(!net_start(loop, &a.setup, &a.net, &err));
	a.setup.at_len = 1;
	a.setup.peer = "";
	ck_assert(!net_start(loop, &a.setup, &a.net, &err));
	a.setup.peer = "mx2";
	a.keys.key[0].len = 3;
	ck_assert(!net_start(loop, &a.setup, &a.net, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "keygen"));
	a.keys.key[0].len = 12;
	a.setup.program = "/nonexistent/mailpair-config";
	start(&a);
	UNTIL(a.ended == 1);
	ck_assert_ptr_nonnull(strstr(a.end, "status 127"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_net");
	TCase *c = tcase_create("net");

	tcase_add_test(c, messages_of_all_sizes_arrive_whole_both_ways);
	tcase_add_test(c, bytes_come_as_they_were_sent);
	tcase_add_test(c, nothing_is_lost_when_more_is_sent_than_fits);
	tcase_add_test(c, who_does_not_listen_makes_the_peer_wait_and_misses_nothing);
	tcase_add_test(c, without_a_stream_nothing_is_taken);
	tcase_add_test(c, a_child_that_is_killed_is_told_and_started_again);
	tcase_add_test(c, what_was_meant_for_one_stream_never_goes_into_the_next);
	tcase_add_test(c, a_peer_that_is_gone_comes_back);
	tcase_add_test(c, a_goodbye_comes_with_its_reason_after_all_messages);
	tcase_add_test(c, a_stream_that_makes_no_sense_is_dropped_with_a_word);
	tcase_add_test(c, another_secret_is_refused_and_told_on_both_sides);
	tcase_add_test(c, new_keys_begin_with_a_new_child);
	tcase_add_test(c, a_port_that_is_taken_is_told_and_tried_again);
	tcase_add_test(c, a_setup_that_cannot_be_is_refused_at_once);
	return net_case_main(suite, c);
}
