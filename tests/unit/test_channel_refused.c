/*
 * tests/unit/test_channel_refused.c - laws of common/channel.h towards everybody else: who has not got the key, or has it and
 * breaks the rules, is refused with a counted reason; he holds up nobody and leaves nothing behind. And openssl s_client, which is
 * not ours, is understood.
 */
#include "tests/unit/channel_bed.h"
#include "tests/unit/tls_peer.h"

#include <fcntl.h>
#include <signal.h>

/* ---- two nodes that do not fit together */

static void
secret_differs(void)
{
	mx2.keys.key[0].key[0] ^= 1;
}

static void
pair_differs(void)
{
	mx2.setup.pair = "mall";
}

static void
number_unknown(void)
{
	mx2.keys.key[0].id = 2;
}

static void
service_differs(void)
{
	mx2.setup.service = "ledger";
}

static void
is_another_node(void)
{
	mx2.setup.node = "mx3";
}

static void
means_another_node(void)
{
	mx2.setup.peer = "mx4";
}

static void
is_reflected(void)
{
	mx2.setup.node = "mx1";
	mx2.setup.peer = "mx2";
}

static void
bound_differs(void)
{
	mx2.setup.limits.message_max = 4096;
}

static const struct misfit {
	void			(*how)(void);
	enum channel_why	 why;
	const char		*listener, *connector;
} misfit[] = {
	{ secret_differs, CHANNEL_FORGED, "another secret in key 1", "another secret in key 1" },
	{ pair_differs, CHANNEL_FORGED, "another name of the pair", "another name of the pair" },
	{ number_unknown, CHANNEL_UNKNOWN_KEY, "\"mailpair:config:2\", which is none of ours", "does not accept key 2" },
	{ service_differs, CHANNEL_UNKNOWN_KEY, "\"mailpair:ledger:1\", which is none of ours", "does not accept key 1" },
	{ is_another_node, CHANNEL_STRANGER, "it says that it is \"mx3\", the peer is \"mx2\"", "this node is \"mx3\"" },
	{ means_another_node, CHANNEL_STRANGER, "it wants to speak to \"mx4\", this node is \"mx1\"", "the peer is \"mx4\"" },
	{ is_reflected, CHANNEL_STRANGER, "\"mx1\", as this node is", "\"mx1\", as this node is" },
	{ bound_differs, CHANNEL_STRANGER, "up to 4096 bytes, ours up to 1048576", "up to 1048576 bytes, ours up to 4096" },
};

START_TEST(who_does_not_fit_is_refused_on_both_sides_with_a_sentence_that_says_why)
{
	const struct misfit *m = &misfit[_i];

	bed_new("127.0.0.1");
	m->how();
	bed_listen();
	bed_connect();
	UNTIL(ended(&mx1, m->why) >= 2 && mx2.refused >= 2);
	/* after the first of two ends the other side may be told before it finds out itself */
	UNTIL(strstr(mx1.text, m->listener) != NULL);
	UNTIL(strstr(mx2.text, m->connector) != NULL);
	ck_assert_int_eq(mx1.up + mx2.up + mx1.messages + mx2.messages, 0);
	ck_assert_uint_eq(ended(&mx2, CHANNEL_BAD_TLS) + ended(&mx1, CHANNEL_BAD_TLS), 0);
	bed_free();
}
END_TEST

/* ---- strangers who connect to us, each in a child: its exit status is not 0 where it was let in */

static const char *
bytes_of(int n, size_t *ret_len)
{
	static const char smtp[] = "EHLO mx2.example.org\r\n", http[] = "GET / HTTP/1.1\r\nHost: mx1\r\n\r\n",
	    noise[] = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13",
	    record[] = "\x16\x03\x01\x00\x10this is no hello", alert[] = "\x15\x03\x03\x00\x02\x02\x28";
	static const struct { const char *bytes; size_t len; } text[] = { { smtp, sizeof(smtp) - 1 }, { http, sizeof(http) - 1 },
		{ noise, sizeof(noise) }, { record, sizeof(record) }, { alert, sizeof(alert) - 1 } };

	*ret_len = text[n].len;
	return text[n].bytes;
}

static int
let_in(int fd)
{
	char byte;
	SSL *ssl = tls_peer_handshake(fd, false);

	/* TLS 1.3: the client is done first, and told of its refusal by the first read */
	return ssl != NULL && SSL_read(ssl, &byte, 1) == 1;
}

static enum channel_why
stranger_meets(int (*deed)(int fd))
{
	int status_ = -1, refused = mx1.refused;
	pid_t child = child_begin();

	if (child == 0)
		_exit(deed(tcp_open(mx2.setup.at[0].port)));
	UNTIL(child_ended(child, &status_) && mx1.refused > refused);
	ck_assert(WIFEXITED(status_));
	ck_assert_int_eq(WEXITSTATUS(status_), 0);
	return mx1.why;
}

static void
key_of_mx2(void)
{
	struct channel_keys keys;

	ck_assert(channel_key_derive(&mx2.keys, "mail", "config", &keys, NULL));
	memcpy(tls_peer.key, keys.key[0].psk, DIGEST_LEN);
	channel_identity_put("config", 1, tls_peer.identity);
	tls_peer.psk = true;
}

START_TEST(tls_without_a_key_and_older_tls_are_refused)
{
	bed_new("127.0.0.1");
	bed_listen();
	ck_assert_int_eq(stranger_meets(let_in), CHANNEL_NO_KEY);
	tls_peer.version = TLS1_2_VERSION;
	ck_assert_int_eq(stranger_meets(let_in), CHANNEL_OLD_TLS);
	tls_peer.version = 0;
	tls_peer.certificate = true;
	ck_assert_int_eq(stranger_meets(let_in), CHANNEL_NO_KEY);
	/* a key of all zeros is what a bug would accept */
	tls_peer.psk = true;
	channel_identity_put("config", 1, tls_peer.identity);
	ck_assert_int_eq(stranger_meets(let_in), CHANNEL_FORGED);
	snprintf(tls_peer.identity, sizeof(tls_peer.identity), "Client_identity\x01\xff");
	ck_assert_int_eq(stranger_meets(let_in), CHANNEL_UNKNOWN_KEY);
	ck_assert_ptr_nonnull(strstr(mx1.text, "\"Client_identity??\""));
	ck_assert_int_eq(mx1.up, 0);
	bed_free();
}
END_TEST

static int plain_number;

static int
plain(int fd)
{
	char answer[1024];
	size_t len;
	const char *bytes = bytes_of(plain_number, &len);
	ssize_t n = write(fd, bytes, len);

	if (n != (ssize_t)len)
		return 2;
	/* at most an alert comes back */
	while ((n = read(fd, answer, sizeof(answer))) > 0)
		if (n > 7)
			return 1;
	return 0;
}

START_TEST(what_is_no_tls_is_refused)
{
	enum channel_why why;

	bed_new("127.0.0.1");
	bed_listen();
	plain_number = _i;
	why = stranger_meets(plain);
	ck_assert_msg(why == CHANNEL_NOT_TLS, "%s: %s", channel_why_name(why), mx1.text);
	bed_free();
}
END_TEST

START_TEST(half_a_handshake_and_one_drop_at_a_time_end_at_the_deadline)
{
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	int silent, dripping, gone, before;
	size_t dripped = 0;
	uint64_t began, next = 0;

	bed_new("127.0.0.1");
	mx1.setup.limits.handshake_ms = 400;
	bed_listen();
	before = descriptors();
	began = clock_mono_ms();
	silent = tcp_open(mx2.setup.at[0].port);
	dripping = tcp_open(mx2.setup.at[0].port);
	gone = tcp_open(mx2.setup.at[0].port);
	close(gone);
	UNTIL(status(&mx1).half_open == 2);
	ck_assert_uint_eq(ended(&mx1, CHANNEL_LOST), 1);
	for (bed_deadline = clock_mono_ms() + PATIENCE_MS; mx1.refused < 3;) {
		if (clock_mono_ms() > next && dripped < sizeof(hello) - 1) {
			ck_assert_int_eq(write(dripping, hello + dripped++, 1), 1);
			next = clock_mono_ms() + 30;
		}
		bed_turn("three ends");
	}
	ck_assert_uint_eq(ended(&mx1, CHANNEL_SLOW), 2);
	ck_assert_uint_ge(clock_mono_ms() - began, 400);
	ck_assert_uint_lt(clock_mono_ms() - began, 3000);
	ck_assert_uint_gt(dripped, 5);
	close(silent);
	close(dripping);
	UNTIL(descriptors() == before);
	bed_free();
}
END_TEST

START_TEST(a_flood_is_bounded_and_leaves_nothing)
{
	int fd[300], before;

	bed_new("127.0.0.1");
	mx1.setup.limits.half_open_max = 8;
	mx1.setup.limits.handshake_ms = PATIENCE_MS;
	bed_listen();
	before = descriptors();
	for (int i = 0; i < 300; i++) {
		fd[i] = tcp_open(mx2.setup.at[0].port);
		ck_assert_int_ne(fd[i], -1);
		if (i == 150)
			bed_connect();
		bed_deadline = clock_mono_ms() + PATIENCE_MS;
		bed_turn("flood");
		ck_assert_uint_le(status(&mx1).half_open, 8);
	}
	UNTIL(mx1.up == 1 && mx2.up == 1);
	UNTIL(ended(&mx1, CHANNEL_CROWDED) >= 300 - 8);
	ck_assert_uint_le(status(&mx1).half_open, 8);
	ck_assert_int_eq(mx1.down, 0);
	for (int i = 0; i < 300; i++)
		close(fd[i]);
	UNTIL(status(&mx1).half_open == 0);
	UNTIL(descriptors() == before + 2);	/* both ends of the stream */
	bed_free();
}
END_TEST

/* As many connections as one process can make, none of which says a word. */
static void
flood(uint16_t port)
{
	int fd[100];

	memset(fd, -1, sizeof(fd));
	for (size_t i = 0;; i = (i + 1) % 100) {
		if (fd[i] != -1)
			close(fd[i]);
		fd[i] = tcp_open(port);
	}
}

START_TEST(the_peer_gets_in_while_a_flood_goes_on)
{
	int status_;
	pid_t child;

	bed_new("127.0.0.1");
	bed_listen();
	child = child_begin();
	if (child == 0)
		flood(mx2.setup.at[0].port);
	UNTIL(mx1.refused > 500);
	bed_connect();
	UNTIL(mx1.up == 1 && mx2.up == 1);
	FOR_MS(300);
	ck_assert_int_eq(mx1.down + mx2.down, 0);
	kill(child, SIGKILL);
	UNTIL(child_ended(child, &status_));
	UNTIL(status(&mx1).half_open == 0);
	bed_free();
}
END_TEST

/* ---- who has the key and breaks the rules */

static uint8_t script[4096];
static size_t script_len;

/* Says what is in the script after the handshake, then listens until the end. */
static int
speak(int fd)
{
	SSL *ssl = tls_peer_handshake(fd, false);
	uint8_t answer[4096];

	if (ssl == NULL || SSL_write(ssl, script, (int)script_len) != (int)script_len)
		return 1;
	while (SSL_read(ssl, answer, sizeof(answer)) > 0)
		;
	return 0;
}

static enum channel_why
breach(size_t len)
{
	script_len = len;
	key_of_mx2();
	return stranger_meets(speak);
}

START_TEST(who_has_the_key_and_breaks_the_rules_is_refused)
{
	uint8_t big[2000] = { 0 };

	bed_new("127.0.0.1");
	bed_listen();
	ck_assert_int_eq(breach(frame(script, 16, "message before the names", 24)), CHANNEL_MALFORMED);
	ck_assert_ptr_nonnull(strstr(mx1.text, "type 16 is not right here"));
	ck_assert_int_eq(breach(frame(script, CHANNEL_OWN_HELLO, big, sizeof(big))), CHANNEL_MALFORMED);
	ck_assert_ptr_nonnull(strstr(mx1.text, "2000 bytes, where at most 1024"));
	ck_assert_int_eq(breach(frame(script, CHANNEL_OWN_HELLO, "\x02\0\0\0\0", 5)), CHANNEL_STRANGER);
	ck_assert_ptr_nonnull(strstr(mx1.text, "speaks version 2"));
	ck_assert_int_eq(breach(frame(script, CHANNEL_OWN_HELLO, "\x01\0\0\0\0\x01", 6)), CHANNEL_STRANGER);
	ck_assert_int_eq(mx1.up, 0);
	bed_free();
}
END_TEST

START_TEST(a_proven_peer_that_breaks_the_rules_is_dropped)
{
	static const uint8_t huge[] = { 0, 0x10, 0, 1, 16 }, zero[] = { 0, 0, 0, 0, 0 }, own[] = { 0, 0, 0, 0, 9 };
	static const uint8_t *const bad[] = { huge, zero, own, NULL };
	int status_;
	pid_t child;

	bed_new("127.0.0.1");
	bed_listen();
	key_of_mx2();
	script_len = greeting(script);
	if (bad[_i] != NULL) {
		memcpy(script + script_len, bad[_i], 5);
		script_len += 5;
	} else {
		script_len += greeting(script + script_len);
	}
	child = child_begin();
	if (child == 0)
		_exit(speak(tcp_open(mx2.setup.at[0].port)));
	UNTIL(mx1.down == 1);
	ck_assert_int_eq(mx1.up, 1);
	ck_assert_int_eq(mx1.why, CHANNEL_MALFORMED);
	UNTIL(child_ended(child, &status_) && status(&mx1).half_open == 0);
	bed_free();
}
END_TEST

START_TEST(a_peer_that_falls_silent_or_dies_is_noticed)
{
	int status_;
	pid_t child;

	bed_new("127.0.0.1");
	mx1.setup.limits.idle_ms = 300;
	bed_listen();
	key_of_mx2();
	script_len = greeting(script);
	child = child_begin();
	if (child == 0)
		_exit(speak(tcp_open(mx2.setup.at[0].port)));
	UNTIL(mx1.up == 1);
	if (_i == 1)
		kill(child, SIGKILL);
	UNTIL(mx1.down == 1);
	ck_assert_int_eq(mx1.why, _i == 1 ? CHANNEL_LOST : CHANNEL_SILENT);
	ck_assert_ptr_nonnull(strstr(mx1.text, _i == 1 ? "without a word" : "nothing heard for"));
	ck_assert_int_eq(channel_send(mx1.ch, 16, "x", 1), CHANNEL_DOWN);
	UNTIL(child_ended(child, &status_));
	bed_free();
}
END_TEST

START_TEST(a_close_that_the_peer_does_not_answer_is_no_orderly_one)
{
	int status_;
	pid_t child;

	bed_new("127.0.0.1");
	mx1.setup.limits.handshake_ms = 500;
	bed_listen();
	key_of_mx2();
	script_len = greeting(script);
	child = child_begin();
	if (child == 0)
		_exit(speak(tcp_open(mx2.setup.at[0].port)));
	UNTIL(mx1.up == 1);
	if (_i == 1)
		kill(child, SIGSTOP);
	ck_assert(channel_close(mx1.ch, "test"));
	UNTIL(mx1.down == 1);
	/* the child ends without a goodbye in TLS, or is not there to read ours */
	ck_assert_int_eq(mx1.why, _i == 1 ? CHANNEL_SLOW : CHANNEL_LOST);
	kill(child, SIGKILL);
	UNTIL(child_ended(child, &status_));
	bed_free();
}
END_TEST

/* ---- somebody else listens where the peer should */

static void
impostor(int listener, int kind)
{
	int fd = accept(listener, NULL, NULL);
	char bytes[4096];
	SSL *ssl;
	ssize_t n;

	if (kind == 3) {		/* a mail server */
		n = write(fd, "220 mx1.example.org ESMTP\r\n", 27);
		while (n > 0)
			n = read(fd, bytes, sizeof(bytes));
		_exit(0);
	}
	tls_peer.version = kind == 0 ? TLS1_2_VERSION : 0;
	tls_peer.certificate = kind != 2;
	tls_peer.psk = kind == 2;	/* with a key that is not the pair's */
	ssl = tls_peer_handshake(fd, true);
	_exit(ssl != NULL);
}

START_TEST(an_impostor_is_not_believed)
{
	static const enum channel_why why[] = { CHANNEL_OLD_TLS, CHANNEL_NO_KEY, CHANNEL_BAD_TLS, CHANNEL_NOT_TLS };
	int listener, status_;
	pid_t child;

	bed_new("127.0.0.1");
	listener = tcp_listen(&mx2.setup.at[0].port);
	mx2.setup.limits.retry_min_ms = 60000;
	child = child_begin();
	if (child == 0)
		impostor(listener, _i);
	close(listener);
	bed_connect();
	UNTIL(mx2.refused == 1);
	/* an impostor that believes any key fails by the client's binder, as a server sees it */
	ck_assert_msg(mx2.why == why[_i] || (_i == 2 && mx2.why == CHANNEL_FORGED), "%s: %s", channel_why_name(mx2.why), mx2.text);
	UNTIL(child_ended(child, &status_));
	ck_assert(WIFEXITED(status_) && WEXITSTATUS(status_) == 0);
	ck_assert_int_eq(mx2.up, 0);
	channel_free(mx2.ch);
	loop_free(loop);
}
END_TEST

/* ---- not ours, and understood: openssl s_client */

START_TEST(openssl_s_client_with_the_key_is_a_peer_and_without_it_is_none)
{
	char to[32], psk[2 * DIGEST_LEN + 1], said[8192] = "";
	int in[2], out[2], status_;
	ssize_t n;
	size_t len;
	pid_t child;

	bed_new("127.0.0.1");
	bed_listen();
	key_of_mx2();
	if (_i == 1)
		tls_peer.key[31] ^= 1;
	snprintf(to, sizeof(to), "127.0.0.1:%u", mx2.setup.at[0].port);
	ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	child = child_begin();
	if (child == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		execlp("openssl", "openssl", "s_client", "-brief", "-quiet", "-tls1_3", "-psk_identity", tls_peer.identity, "-psk",
		    digest_hex(tls_peer.key, DIGEST_LEN, psk), "-connect", to, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	len = greeting(script);
	len += frame(script + len, 77, "from s_client", 13);
	ck_assert_int_eq(write(in[1], script, len), (ssize_t)len);
	if (_i == 0) {
		UNTIL(mx1.messages == 1);
		ck_assert(mx1.up == 1 && mx1.type == 77 && memcmp(mx1.body, "from s_client", 13) == 0);
		ck_assert_int_eq(channel_send(mx1.ch, 16, "to s_client", 11), CHANNEL_SENT);
		ck_assert(channel_close(mx1.ch, "test is over"));
		UNTIL(mx1.down == 1);
		ck_assert_int_eq(mx1.why, CHANNEL_OURS);
	} else {
		UNTIL(mx1.refused == 1);
		ck_assert_int_eq(mx1.why, CHANNEL_FORGED);
	}
	UNTIL(child_ended(child, &status_));
	len = 0;
	while (len < sizeof(said) && (n = read(out[0], said + len, sizeof(said) - len)) > 0)
		len += (size_t)n;
	if (_i == 0) {
		ck_assert_ptr_nonnull(memmem(said, len, "Protocol version: TLSv1.3", 25));
		ck_assert_ptr_nonnull(memmem(said, len, "TLS_AES_128_GCM_SHA256", 22));
		ck_assert_ptr_nonnull(memmem(said, len, "Server Temp Key: X25519", 23));
		ck_assert_ptr_nonnull(memmem(said, len, "to s_client", 11));
		ck_assert_ptr_nonnull(memmem(said, len, "test is over", 12));
	}
	close(in[1]);
	close(out[0]);
	bed_free();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("channel: refused");
	TCase *tc = tcase_create("laws");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, who_does_not_fit_is_refused_on_both_sides_with_a_sentence_that_says_why, 0,
	    (int)(sizeof(misfit) / sizeof(misfit[0])));
	tcase_add_test(tc, tls_without_a_key_and_older_tls_are_refused);
	tcase_add_loop_test(tc, what_is_no_tls_is_refused, 0, 5);
	tcase_add_test(tc, half_a_handshake_and_one_drop_at_a_time_end_at_the_deadline);
	tcase_add_test(tc, a_flood_is_bounded_and_leaves_nothing);
	tcase_add_test(tc, the_peer_gets_in_while_a_flood_goes_on);
	tcase_add_test(tc, who_has_the_key_and_breaks_the_rules_is_refused);
	tcase_add_loop_test(tc, a_proven_peer_that_breaks_the_rules_is_dropped, 0, 4);
	tcase_add_loop_test(tc, a_peer_that_falls_silent_or_dies_is_noticed, 0, 2);
	tcase_add_loop_test(tc, a_close_that_the_peer_does_not_answer_is_no_orderly_one, 0, 2);
	tcase_add_loop_test(tc, an_impostor_is_not_believed, 0, 4);
	tcase_add_loop_test(tc, openssl_s_client_with_the_key_is_a_peer_and_without_it_is_none, 0, 2);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
