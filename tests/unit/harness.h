/*
 * tests/unit/harness.h - what every unit test's main() needs: a directory of its own, and at the end: run the suite, print libcheck's
 * failures and one closing line "N passed, N failed".
 */
#ifndef TESTS_UNIT_HARNESS_H
#define TESTS_UNIT_HARNESS_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define UNIT_DIR_MAX 64

/*
 * Makes a directory of this test's own, in memory where that is possible: who syncs there does not wait for what other programs
 * have written to the disk, so that a time that is measured is one's own.
 */
static inline bool
unit_dir(char dir[UNIT_DIR_MAX], const char *name)
{
	snprintf(dir, UNIT_DIR_MAX, "%s/%s.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", name);
	return mkdtemp(dir) != NULL;
}

static inline int
unit_run(Suite *suite, enum fork_status fork)
{
	SRunner *runner = srunner_create(suite);
	int run, failed;

	if (fork == CK_NOFORK)
		srunner_set_fork_status(runner, fork);
	srunner_run_all(runner, CK_NORMAL);
	run = srunner_ntests_run(runner);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	printf("%d passed, %d failed\n", run - failed, failed);
	return failed == 0 ? 0 : 1;
}

/* As ck_assert_msg(), which tells libcheck of each time: for what is asked a hundred thousand times. */
#define unit_must(so, ...) do { if (!(so)) ck_abort_msg(__VA_ARGS__); } while (0)

/* Each test in a process of its own, unless CK_FORK=no. */
static inline int
unit_main(Suite *suite)
{
	return unit_run(suite, CK_FORK_GETENV);
}

/* All in this process: for thousands of checks of what is pure. Under the sanitizers a fork takes longer than such a check. */
static inline int
unit_main_pure(Suite *suite)
{
	return unit_run(suite, CK_NOFORK);
}

#endif
