/*
 * tests/unit/test_spawn_alone.c - laws of common/spawn.h for workers that the kernel does not let go, on a file system that really
 * hangs.
 */
#include "tests/unit/disk.h"
#include "tests/unit/harness.h"
#include "tests/unit/spawn_seen.h"

#define LIMIT_MS 200

static bool
work_write(const void *ctx, struct spawn_out *out, struct err *err)
{
	(void)err;
	spawn_say(out, "step", "one");
	return mkdir(ctx, 0755) == 0;
}

static bool
work_wait(const void *ctx, struct spawn_out *out, struct err *err)
{
	(void)ctx;
	(void)out;
	(void)err;
	pause();
	return true;
}

static void
frozen_disk(void)
{
	char device[32];

	disk_world();
	disk_image(DISK_ROOT "/image", "ext4");
	disk_attach(DISK_ROOT "/image", false, device);
	ck_assert(mount(device, DISK_POINT, "ext4", 0, NULL) == 0);
	disk_freeze(DISK_POINT);
}

START_TEST(one_that_is_alone_is_told_late_when_it_is_really_gone)
{
	struct seen *seen = seen_new(1);

	frozen_disk();
	spawn_work_alone(seen->loop, "try", work_write, DISK_POINT "/d", LIMIT_MS, seen_done, seen);
	run_for(seen->loop, 3 * LIMIT_MS);
	ck_assert_int_eq(seen->calls, 0);
	disk_thaw();
	loop_run(seen->loop);
	ck_assert_int_eq(seen->calls, 1);
	ck_assert_int_eq(seen->r.end, SPAWN_TIMEOUT);
	ck_assert_uint_ge(seen->r.took_ms, 3 * LIMIT_MS);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	seen_free(seen);
}
END_TEST

START_TEST(one_that_is_not_alone_is_told_at_its_deadline_and_reaped_in_silence)
{
	struct seen *seen = seen_new(1);

	frozen_disk();
	spawn_work(seen->loop, "mount", work_write, DISK_POINT "/d", LIMIT_MS, seen_done, seen);
	loop_run(seen->loop);
	ck_assert_int_eq(seen->r.end, SPAWN_TIMEOUT);
	ck_assert_uint_lt(seen->r.took_ms, PATIENCE_MS);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), 0);
	disk_thaw();
	run_for(seen->loop, LIMIT_MS);
	ck_assert_int_eq(seen->calls, 1);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	seen_free(seen);
}
END_TEST

START_TEST(one_that_waits_for_no_disk_ends_at_its_deadline_alone_or_not)
{
	struct seen *seen = seen_new(1);

	spawn_work_alone(seen->loop, "try", work_wait, NULL, LIMIT_MS, seen_done, seen);
	loop_run(seen->loop);
	ck_assert_int_eq(seen->r.end, SPAWN_TIMEOUT);
	ck_assert_uint_lt(seen->r.took_ms, PATIENCE_MS);
	seen_free(seen);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("spawn_alone");
	TCase *t = tcase_create("stuck");

	if (!disk_possible("test_spawn_alone")) {
		printf("0 passed, 0 failed\n");
		return 0;
	}
	tcase_set_timeout(t, 30);
	tcase_add_test(t, one_that_is_alone_is_told_late_when_it_is_really_gone);
	tcase_add_test(t, one_that_is_not_alone_is_told_at_its_deadline_and_reaped_in_silence);
	tcase_add_test(t, one_that_waits_for_no_disk_ends_at_its_deadline_alone_or_not);
	suite_add_tcase(s, t);
	return unit_main(s);
}
