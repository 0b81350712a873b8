/*
 * tests/unit/test_holders.c - every way to keep a mount busy is named, and only the named are
 * ended.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "common/clock.h"
#include "supervisor/holders.h"
#include "tests/unit/disk.h"
#include "tests/unit/harness.h"

#define COPY DISK_ROOT "/copy"

static dev_t dev;
static struct holder *found;
static size_t found_len;

static void
world(void)
{
	char device[32];
	struct stat st;

	disk_world();
	disk_image(DISK_ROOT "/image", "ext4");
	disk_attach(DISK_ROOT "/image", false, device);
	ck_assert(mount(device, DISK_POINT, "ext4", 0, NULL) == 0);
	ck_assert(stat(DISK_POINT, &st) == 0);
	dev = st.st_dev;
	ck_assert(mkdir(DISK_POINT "/dir", 0755) == 0 && mkdir(COPY, 0755) == 0);
	disk_file(DISK_POINT "/file", "text that is mapped", true);
}

static void
look(void)
{
	struct err err = {0};

	free(found);
	ck_assert_msg(holders_find(dev, DISK_POINT, &found, &found_len, &err), "%s", err.text);
}

/* The row of this process and kind, or NULL. */
static const struct holder *
row(pid_t pid, enum holder_kind kind)
{
	for (size_t i = 0; i < found_len; i++)
		if (found[i].pid == pid && found[i].kind == kind)
			return &found[i];
	return NULL;
}

static bool
do_file(const char *path)
{
	return open(path, O_RDONLY) != -1;
}

static bool
do_cwd(const char *path)
{
	return chdir(path) == 0;
}

static bool
do_root(const char *path)
{
	return chroot(path) == 0;
}

static bool
do_map(const char *path)
{
	int fd = open(path, O_RDONLY);
	bool ok = fd != -1 && mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED;

	close(fd);
	return ok;
}

static bool
do_deleted(const char *path)
{
	return open(path, O_RDWR) != -1 && unlink(path) == 0;
}

/* Bound by a relative name, as Postfix does it; nothing of the process but the socket is on the
 * spool. */
static bool
do_socket(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "private-socket"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return chdir(path) == 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	       listen(fd, 1) == 0 && chdir("/") == 0;
}

static bool
do_namespace(const char *path)
{
	(void)path;
	return unshare(CLONE_NEWNS) == 0;
}

static bool
do_nothing(const char *path)
{
	(void)path;
	return true;
}

static void *
thread_in(void *arg)
{
	int *report = arg;
	char byte = unshare(CLONE_FS) == 0 && chdir(DISK_POINT "/dir") == 0 ? 'r' : 'x';

	if (write(*report, &byte, 1) == 1)
		pause();
	return NULL;
}

static bool
do_thread(const char *path)
{
	pthread_t thread;
	int p[2];
	char byte = 0;

	(void)path;
	return pipe(p) == 0 && pthread_create(&thread, NULL, thread_in, &p[1]) == 0 &&
	       read(p[0], &byte, 1) == 1 && byte == 'r';
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	disk_ended_by(pid);
}

/* ---------------------------------------------------------------- finding */

START_TEST(a_mount_that_nobody_uses_has_no_holders)
{
	pid_t other = disk_child(do_nothing, "", false);

	look();
	ck_assert_msg(
	    found_len == 0, "%s[%d] %s", found[0].command, (int)found[0].pid, found[0].path);
	end(other);
}
END_TEST

START_TEST(each_way_to_hold_it_is_found_with_process_and_path)
{
	static const struct {
		disk_child_f *begin;
		const char *path;
		enum holder_kind kind;
		const char *named;
	} ways[] = {
	    {do_file, DISK_POINT "/file", HOLDER_FILE, DISK_POINT "/file"},
	    {do_file, DISK_POINT "/dir", HOLDER_FILE, DISK_POINT "/dir"},
	    {do_cwd, DISK_POINT "/dir", HOLDER_CWD, DISK_POINT "/dir"},
	    {do_root, DISK_POINT "/dir", HOLDER_ROOT, DISK_POINT "/dir"},
	    {do_map, DISK_POINT "/file", HOLDER_MAP, DISK_POINT "/file"},
	    {do_socket, DISK_POINT "/dir", HOLDER_FILE, "socket private-socket"},
	    {do_namespace, "", HOLDER_NAMESPACE, DISK_POINT},
	    {do_thread, "", HOLDER_CWD, DISK_POINT "/dir"},
	    {do_deleted, DISK_POINT "/file", HOLDER_FILE, DISK_POINT "/file (deleted)"},
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		pid_t child = disk_child(ways[i].begin, ways[i].path, false);
		const struct holder *h;

		look();
		h = row(child, ways[i].kind);
		ck_assert_msg(h != NULL, "way %zu: not found", i);
		ck_assert_str_eq(h->path, ways[i].named);
		ck_assert_str_eq(h->command, "test_holders");
		ck_assert_uint_gt(h->started, 0);
		ck_assert_uint_eq(found_len, 1);
		end(child);
		look();
		ck_assert_msg(found_len == 0, "way %zu: still found", i);
	}
}
END_TEST

START_TEST(a_program_that_runs_from_it_is_found)
{
	const struct holder *h;
	pid_t child;
	int p[2], status;
	char byte;
	const char *copy[] = {"cp", "/bin/cat", DISK_POINT "/cat", NULL};

	ck_assert_int_eq(disk_run(copy), 0);
	ck_assert(pipe(p) == 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(p[0], 0);
		close(p[1]);
		close(p[0]);
		execl(DISK_POINT "/cat", "cat", NULL);
		_exit(1);
	}
	close(p[0]);
	for (byte = 0, h = NULL; byte < 100 && h == NULL;
	     byte++) { /* until the exec has happened */
		look();
		h = row(child, HOLDER_EXE);
		sched_yield();
	}
	ck_assert(h != NULL);
	ck_assert_str_eq(h->path, DISK_POINT "/cat");
	ck_assert(row(child, HOLDER_MAP) != NULL);
	close(p[1]);
	ck_assert(waitpid(child, &status, 0) == child);
}
END_TEST

START_TEST(mounts_from_it_and_on_it_are_found)
{
	const struct holder *bound = NULL, *stacked = NULL;

	ck_assert(mount(DISK_POINT "/dir", COPY, NULL, MS_BIND, NULL) == 0);
	ck_assert(mount("tmpfs", DISK_POINT "/dir", "tmpfs", 0, NULL) == 0);
	look();
	ck_assert_uint_eq(found_len, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(found[i].kind, HOLDER_MOUNT);
		if (strcmp(found[i].path, COPY) == 0)
			bound = &found[i];
		if (strcmp(found[i].path, DISK_POINT "/dir") == 0)
			stacked = &found[i];
	}
	ck_assert(bound != NULL && stacked != NULL);
}
END_TEST

START_TEST(a_file_opened_through_a_bind_is_found)
{
	pid_t child;

	ck_assert(mount(DISK_POINT, COPY, NULL, MS_BIND, NULL) == 0);
	child = disk_child(do_file, COPY "/file", false);
	look();
	ck_assert(row(child, HOLDER_FILE) != NULL);
	end(child);
}
END_TEST

START_TEST(a_loop_device_with_a_file_on_it_is_found)
{
	char name[32];

	ck_assert(truncate(DISK_POINT "/file", 1 << 20) == 0);
	disk_attach(DISK_POINT "/file", false, name);
	look();
	ck_assert(row(0, HOLDER_LOOP) != NULL);
	ck_assert_msg(strncmp(row(0, HOLDER_LOOP)->path, name, strlen(name)) == 0, "%s",
	    row(0, HOLDER_LOOP)->path);
}
END_TEST

/* Processor time, so that a busy machine does not count. */
static uint64_t
used_us(void)
{
	struct rusage r;

	ck_assert(getrusage(RUSAGE_SELF, &r) == 0);
	return (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

START_TEST(hundreds_of_processes_are_searched_within_a_moment)
{
	pid_t child[300];
	uint64_t began, best = UINT64_MAX;

	for (int i = 0; i < 300; i++)
		child[i] = disk_child(do_nothing, "", false);
	for (int i = 0; i < 10; i++) {
		began = used_us();
		look();
		if (used_us() - began < best)
			best = used_us() - began;
	}
	printf("300 processes more: %llu us\n", (unsigned long long)best);
	ck_assert_uint_eq(found_len, 0);
	ck_assert_uint_lt(best, 100000); /* generous: the sanitizers */
	for (int i = 0; i < 300; i++)
		end(child[i]);
}
END_TEST

/* ---------------------------------------------------------------- ending */

START_TEST(exactly_the_holders_get_the_signal_each_once)
{
	pid_t first = disk_child(do_file, DISK_POINT "/file", false),
	      second = disk_child(do_cwd, DISK_POINT, false);
	pid_t innocent = disk_child(do_nothing, "", false);
	struct holder twice[4];

	look();
	ck_assert_uint_eq(found_len, 2);
	memcpy(twice, found, 2 * sizeof(*found));
	memcpy(twice + 2, found, 2 * sizeof(*found));
	ck_assert_uint_eq(holders_signal(twice, 4, SIGTERM), 2);
	ck_assert_uint_eq(holders_wait(twice, 4, 5000), 0);
	ck_assert_int_eq(disk_ended_by(first), SIGTERM);
	ck_assert_int_eq(disk_ended_by(second), SIGTERM);
	ck_assert(kill(innocent, 0) == 0);
	ck_assert_uint_eq(holders_signal(found, found_len, SIGKILL), 0);
	end(innocent);
}
END_TEST

START_TEST(another_process_with_the_number_of_a_holder_is_not_hit)
{
	pid_t child = disk_child(do_file, DISK_POINT "/file", false);

	look();
	found[0].started++; /* as if the one that was found had been an earlier one */
	ck_assert_uint_eq(holders_signal(found, found_len, SIGKILL), 0);
	ck_assert_uint_eq(holders_wait(found, found_len, 0), 0);
	ck_assert(kill(child, 0) == 0);
	end(child);
}
END_TEST

START_TEST(waiting_ends_with_the_processes_or_with_the_time)
{
	pid_t child = disk_child(do_file, DISK_POINT "/file", true);
	uint64_t began;

	look();
	ck_assert_uint_eq(holders_signal(found, found_len, SIGTERM), 1);
	began = clock_mono_ms();
	ck_assert_uint_eq(holders_wait(found, found_len, 100), 1);
	ck_assert_uint_ge(clock_mono_ms() - began, 100);
	ck_assert_uint_eq(holders_signal(found, found_len, SIGKILL), 1);
	began = clock_mono_ms();
	ck_assert_uint_eq(holders_wait(found, found_len, 20000), 0);
	ck_assert_uint_lt(clock_mono_ms() - began, 10000);
	disk_ended_by(child);
}
END_TEST

START_TEST(this_process_and_its_ancestors_are_named_and_never_signalled)
{
	ck_assert(chdir(DISK_POINT) == 0);
	look();
	ck_assert(row(getpid(), HOLDER_CWD) != NULL);
	ck_assert(!holder_endable(row(getpid(), HOLDER_CWD)));
	ck_assert_uint_eq(holders_signal(found, found_len, SIGKILL), 0);
	for (pid_t parent = getppid(); parent != 0; parent = 0) {
		struct holder h = {.kind = HOLDER_FILE, .pid = parent};

		ck_assert(!holder_endable(&h));
	}
	ck_assert(!holder_endable(&(struct holder){.kind = HOLDER_FILE, .pid = 1}));
	ck_assert(!holder_endable(&(struct holder){.kind = HOLDER_LOOP, .pid = 0}));
	ck_assert(chdir("/") == 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("holders");
	TCase *find = tcase_create("find"), *stop = tcase_create("stop");

	if (!disk_possible("test_holders"))
		return 0;
	tcase_add_checked_fixture(find, world, NULL);
	tcase_set_timeout(find, 60);
	tcase_add_test(find, a_mount_that_nobody_uses_has_no_holders);
	tcase_add_test(find, each_way_to_hold_it_is_found_with_process_and_path);
	tcase_add_test(find, a_program_that_runs_from_it_is_found);
	tcase_add_test(find, mounts_from_it_and_on_it_are_found);
	tcase_add_test(find, a_file_opened_through_a_bind_is_found);
	tcase_add_test(find, a_loop_device_with_a_file_on_it_is_found);
	tcase_add_test(find, hundreds_of_processes_are_searched_within_a_moment);
	suite_add_tcase(suite, find);
	tcase_add_checked_fixture(stop, world, NULL);
	tcase_set_timeout(stop, 60);
	tcase_add_test(stop, exactly_the_holders_get_the_signal_each_once);
	tcase_add_test(stop, another_process_with_the_number_of_a_holder_is_not_hit);
	tcase_add_test(stop, waiting_ends_with_the_processes_or_with_the_time);
	tcase_add_test(stop, this_process_and_its_ancestors_are_named_and_never_signalled);
	suite_add_tcase(suite, stop);
	return unit_main(suite);
}
