/*
 * tests/unit/test_address_nonlocal.c - the kernel's rule on binding to foreign addresses, in a
 * network namespace of its own. Needs root.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/address.h"
#include "tests/unit/harness.h"

static struct conf conf;
static struct err err;
static char setting[2];

static const char *
nonlocal(const char *family, char value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/ip_nonlocal_bind", family);
	fd = open(path, (value != '\0' ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	ck_assert_int_ne(fd, -1);
	if (value != '\0')
		ck_assert_int_eq(write(fd, &value, 1), 1);
	else
		ck_assert_int_eq(read(fd, setting, 1), 1);
	close(fd);
	return setting;
}

START_TEST(the_former_binding_rule_comes_back_whatever_happened_between)
{
	char dir[] = "/tmp/test_address.XXXXXX", note[64];

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	conf.run_dir = dir;
	snprintf(note, sizeof(note), "%s/nonlocal-bind", dir);
	ck_assert_msg(address_nonlocal_restore(&conf, &err), "%s", err.text);
	nonlocal("ipv6", '1');
	for (int i = 0; i < 2;
	     i++) { /* the second time it must not take its own work for the former rule */
		ck_assert_msg(address_nonlocal_allow(&conf, &err), "%s", err.text);
		ck_assert_str_eq(nonlocal("ipv4", '\0'), "1");
		ck_assert_str_eq(nonlocal("ipv6", '\0'), "1");
	}
	ck_assert_int_eq(access(note, F_OK), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_msg(address_nonlocal_restore(&conf, &err), "%s", err.text);
		ck_assert_str_eq(nonlocal("ipv4", '\0'), "0");
		ck_assert_str_eq(nonlocal("ipv6", '\0'), "1");
	}
	ck_assert_int_eq(access(note, F_OK), -1);
	close(open(
	    note, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); /* an empty note says nothing: no guess */
	ck_assert(!address_nonlocal_allow(&conf, &err));
	ck_assert_msg(strstr(err.text, note) != NULL, "%s", err.text);
	ck_assert(!address_nonlocal_restore(&conf, &err));
	ck_assert_str_eq(nonlocal("ipv4", '\0'), "0");
	unlink(note);
	rmdir(dir);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("address_nonlocal");
	TCase *tc = tcase_create("kernel");

	if (geteuid() != 0) {
		printf("skip: test_address_nonlocal needs root for its network namespace\n");
		printf("0 passed, 0 failed\n");
		return 0;
	}
	tcase_add_test(tc, the_former_binding_rule_comes_back_whatever_happened_between);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
