/*
 * tests/unit/test_link_serial.c - heartbeats over a serial line, for which a pty stands. Any user.
 */
#include <sys/socket.h>

#include "common/clock.h"
#include "tests/unit/link_bed.h"

/* A pty stands for the serial line; its name is a symbolic link, to be plugged into another one. */
static char device[64];

static int
plug(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	ck_assert_int_ne(master, -1);
	ck_assert(grantpt(master) == 0 && unlockpt(master) == 0);
	(void)unlink(device);
	ck_assert_int_eq(symlink(ptsname(master), device), 0);
	return master;
}

static int
serial_setup(void)
{
	struct conf_link link = { .transport = CONF_SERIAL, .device = device, .baud = 115200 };

	snprintf(device, sizeof(device), "/tmp/mailpair-test-tty.%d", (int)getpid());
	make(link, NULL, NULL);
	return plug();
}

/* All whole frames that wait at the far end of the line. */
static int
frames_at(int master, uint8_t mark_of[64])
{
	struct link_deframe d = { .len = 0 };
	uint8_t bytes[8192];
	ssize_t n;
	int frames = 0;

	while ((n = read(master, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < n; i++) {
			size_t len;

			if (!link_deframe(&d, bytes[i], &len))
				continue;
			ck_assert_uint_eq(len, BEAT_LEN);
			ck_assert_int_lt(frames, 64);
			mark_of[frames++] = d.buf[8];
		}
	ck_assert_uint_eq(d.bad, 0);
	ck_assert_uint_eq(d.len, 0);
	return frames;
}

START_TEST(a_serial_line_carries_beats_both_ways_through_noise)
{
	uint8_t beat[BEAT_LEN], frame[2 * LINK_DATAGRAM_MAX], mark[64];
	int master = serial_setup();
	size_t len;

	must_send(0, 0x7e);	/* all delimiters: the worst case */
	settle();
	ck_assert_int_eq(frames_at(master, mark), 1);
	ck_assert_int_eq(mark[0], 0x7e);
	some_beat(beat, 5);
	len = link_frame(beat, BEAT_LEN, frame, sizeof(frame));
	for (int i = 1; i <= 20; i++) {
		static const char noise[] = "\r\nlogin: \x7e\x7d\xff\x11";

		ck_assert_int_eq(write(master, noise, sizeof(noise)), sizeof(noise));
		ck_assert_int_eq(write(master, frame, len / 3), (ssize_t)(len / 3));
		ck_assert_int_eq(write(master, frame, len), (ssize_t)len);
		ck_assert(wait_for(&end[0].received, i, PATIENCE_MS));
		ck_assert_mem_eq(end[0].bytes, beat, BEAT_LEN);
	}
	/* what stood on the line before the first delimiter was not ours to judge */
	ck_assert_uint_eq(end[0].link.dropped, 3 * 20 - 1);
	close(master);
	unlink(device);
}
END_TEST

START_TEST(a_line_that_does_not_drain_drops_whole_beats_only)
{
	uint8_t mark[64];
	int master = serial_setup(), sent = 0, frames;
	uint64_t began = clock_mono_ms();

	for (int i = 0; i < 400; i++)
		sent += send_at(0, 5000, (uint8_t)(i % 100), NULL);
	ck_assert_int_gt(sent, 0);
	ck_assert_int_lt(sent, 400);
	ck_assert_uint_eq(end[0].link.send_failed, 400 - (uint64_t)sent);
	ck_assert_uint_lt(clock_mono_ms() - began, 1000);
	ck_assert(end[0].link.open);

	/* once it drains, the rest of the frame in hand follows */
	frames = 0;
	for (int i = 0; i < 20 && frames < sent; i++) {
		static struct link_deframe d;
		uint8_t bytes[1024];
		ssize_t n = read(master, bytes, sizeof(bytes));
		size_t len;

		for (ssize_t k = 0; k < n; k++)
			frames += link_deframe(&d, bytes[k], &len);
		settle();
		ck_assert_uint_eq(d.bad, 0);
	}
	ck_assert_int_eq(frames, sent);
	must_send(0, 99);
	settle();
	ck_assert_int_eq(frames_at(master, mark), 1);
	ck_assert_int_eq(mark[0], 99);
	close(master);
	unlink(device);
}
END_TEST

START_TEST(a_line_that_hangs_up_is_opened_again_later)
{
	uint8_t mark[64];
	int master = serial_setup();
	struct err err;

	must_send(0, 1);
	unlink(device);		/* another pty may soon have its number */
	close(master);
	settle();
	ck_assert(!end[0].link.open);
	ck_assert(!send_at(0, 5999, 2, &err));
	ck_assert(strstr(err.text, device) != NULL);
	ck_assert(!send_at(0, 6000, 2, &err));		/* tried, and the device is gone */
	master = plug();
	ck_assert(!send_at(0, 6999, 2, &err));
	ck_assert_msg(send_at(0, 7000, 3, &err), "%s", err.text);
	settle();
	ck_assert_int_eq(frames_at(master, mark), 1);
	ck_assert_int_eq(mark[0], 3);
	close(master);
	unlink(device);
}
END_TEST

START_TEST(what_is_no_serial_line_is_refused_with_its_name)
{
	struct conf_link link = { .transport = CONF_SERIAL, .device = "/dev/null", .baud = 115200 };
	struct err err;

	make(link, NULL, NULL);
	ck_assert(!send_at(0, 5000, 1, &err));
	ck_assert(strstr(err.text, "/dev/null") != NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("link_serial");
	TCase *any = tcase_create("any user");

	tcase_add_checked_fixture(any, setup, teardown);
	tcase_add_test(any, a_serial_line_carries_beats_both_ways_through_noise);
	tcase_add_test(any, a_line_that_does_not_drain_drops_whole_beats_only);
	tcase_add_test(any, a_line_that_hangs_up_is_opened_again_later);
	tcase_add_test(any, what_is_no_serial_line_is_refused_with_its_name);
	suite_add_tcase(suite, any);
	return unit_main(suite);
}
