/*
 * tests/unit/harness.h - the end of every unit test's main(): run the suite, print libcheck's failures
 * and one closing line "N passed, N failed".
 */
#ifndef TESTS_UNIT_HARNESS_H
#define TESTS_UNIT_HARNESS_H

#include <check.h>
#include <stdio.h>

static inline int
unit_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int run, failed;

	srunner_run_all(runner, CK_NORMAL);
	run = srunner_ntests_run(runner);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	printf("%d passed, %d failed\n", run - failed, failed);
	return failed == 0 ? 0 : 1;
}

#endif
