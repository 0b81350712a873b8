/*
 * tests/unit/test_scribe_journal.c - laws of supervisor/scribe.h about a journal that is locked, spoilt or cannot be written, and
 * about a log that hangs beside it.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/scribe_desk.h"

#define ENTRIES_MAX 4000

struct entries {
	int	n;
	char	name[ENTRIES_MAX][sizeof(((struct journal_event *)NULL)->name)];
	char	text[ENTRIES_MAX][128];
};

static struct entries found;

static bool
remember(void *arg, const struct journal_event *e)
{
	(void)arg;
	ck_assert_int_lt(found.n, ENTRIES_MAX);
	snprintf(found.name[found.n], sizeof(found.name[0]), "%s", e->name);
	snprintf(found.text[found.n++], sizeof(found.text[0]), "%.127s", e->text);
	return true;
}

/* Into found, the newest first. */
static void
read_entries(void)
{
	struct journal *j;

	found.n = 0;
	ck_assert_msg(journal_open(DB, false, &j, NULL, &err), "%s", err.text);
	ck_assert_msg(journal_walk(j, ~0u, ENTRIES_MAX, remember, NULL, &err), "%s", err.text);
	journal_close(j);
}

static void
write_entry(struct desk *d, int number)
{
	struct journal_event e = { .kind = JOURNAL_EVENT, .ok = true, .wall_ms = clock_wall_ms() };

	snprintf(e.name, sizeof(e.name), "%d", number);
	scribe_event(d->scribe, &e);
}

static void
await_told(struct desk *d, enum scribe_news news)
{
	for (int i = 0; i < 500 && d->told[news] == 0; i++)
		run_for(d->loop, 10);
	ck_assert_int_eq(d->told[news], 1);
}

/* From a process of its own: who closes a database that it has open twice loses the locks of both. */
static pid_t
lock_journal(void)
{
	int fd[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		struct journal *j;

		if (!journal_open(DB, true, &j, NULL, &err) || !journal_begin(j, &err) || write(fd[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	ck_assert_int_eq(read(fd[0], &byte, 1), 1);
	close(fd[0]);
	close(fd[1]);
	return pid;
}

static void
unlock_journal(pid_t pid)
{
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static void
spoil_journal(void)
{
	static const char *const files[] = { DB, DB "-wal" };	/* the latter would mend the former */

	for (size_t i = 0; i < 2; i++) {
		int fd = open(files[i], O_WRONLY | O_CREAT | O_TRUNC, 0640);

		ck_assert_int_eq(write(fd, "this is no database, whatever its name may say", 46), 46);
		close(fd);
	}
}

START_TEST(entries_wait_for_a_locked_journal_and_come_in_order)
{
	struct scribe_health h;
	struct desk d;
	pid_t pid;

	desk_open(&d);
	pid = lock_journal();
	for (int i = 0; i < 200; i++)
		write_entry(&d, i);
	await_told(&d, SCRIBE_STUCK);
	ck_assert_ptr_nonnull(strstr(d.text, "locked"));
	scribe_health(d.scribe, SCRIBE_JOURNAL, clock_mono_ms(), &h);
	ck_assert_ptr_nonnull(h.stuck);
	ck_assert_uint_eq(h.waits, 200);
	ck_assert_uint_ge(h.waiting_ms, 1900);
	for (int i = 200; i < 300; i++)
		write_entry(&d, i);
	run_for(d.loop, 1500);
	ck_assert_int_eq(d.told[SCRIBE_STUCK], 1);	/* once */
	unlock_journal(pid);
	await_told(&d, SCRIBE_WELL);
	ck_assert_ptr_nonnull(strstr(d.text, "0 entries are missing"));
	await_events(d.loop, 300);
	read_entries();
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq((int)strtol(found.name[i], NULL, 10), 299 - i);
	scribe_health(d.scribe, SCRIBE_JOURNAL, clock_mono_ms(), &h);
	ck_assert_ptr_null(h.stuck);
	ck_assert_uint_eq(h.dropped, 0);
	desk_close(&d);
}
END_TEST

START_TEST(what_has_no_room_while_it_is_locked_is_counted_and_the_journal_says_where)
{
	uint64_t began, longest = 0, lost;
	char gap[128];
	struct desk d;
	int kept = 0;
	pid_t pid;

	desk_open(&d);
	pid = lock_journal();
	for (int i = 0; i < 3000; i++) {
		began = clock_mono_us();
		write_entry(&d, i);
		if (clock_mono_us() - began > longest)
			longest = clock_mono_us() - began;
		if (i % 100 == 0)
			run_for(d.loop, 1);
	}
	lost = dropped(&d, SCRIBE_JOURNAL);
	ck_assert_uint_gt(lost, 1000);
	ck_assert_uint_lt(lost, 2900);
	ck_assert_uint_lt(longest, 200000);
	unlock_journal(pid);
	for (int i = 0; i < 500 && waiting_ms(&d, SCRIBE_JOURNAL, 10000) > 0; i++)
		run_for(d.loop, 10);
	write_entry(&d, 3000);
	run_for(d.loop, 500);
	ck_assert_uint_eq(dropped(&d, SCRIBE_JOURNAL), lost);
	read_entries();
	ck_assert_str_eq(found.name[0], "3000");
	ck_assert_str_eq(found.name[1], "gap");
	snprintf(gap, sizeof(gap), "%d entries may be missing", (int)lost);
	ck_assert_msg(strncmp(found.text[1], gap, strlen(gap)) == 0, "%s", found.text[1]);
	for (int i = found.n - 1; i >= 2; i--)		/* the first ones are kept, without a hole */
		ck_assert_int_eq((int)strtol(found.name[i], NULL, 10), kept++);
	ck_assert_uint_eq((uint64_t)kept + lost, 3000);
	desk_close(&d);
}
END_TEST

START_TEST(a_spoilt_journal_is_renewed_and_told_and_no_entry_is_lost)
{
	struct desk d;

	desk_open(&d);
	spoil_journal();
	write_entry(&d, 1);
	write_entry(&d, 2);
	await_told(&d, SCRIBE_RENEWED);
	ck_assert_ptr_nonnull(strstr(d.text, ".corrupt-20"));
	await_events(d.loop, 3);
	read_entries();
	ck_assert_str_eq(found.name[2], "journal begun anew");
	ck_assert_str_eq(found.name[1], "1");
	ck_assert_str_eq(found.name[0], "2");
	ck_assert_uint_eq(dropped(&d, SCRIBE_JOURNAL), 0);
	ck_assert_int_eq(d.told[SCRIBE_STUCK], 0);
	desk_close(&d);
}
END_TEST

START_TEST(a_journal_that_is_spoilt_while_it_is_written_is_renewed_and_no_entry_is_lost)
{
	char junk[65536];
	struct desk d;
	struct stat st;
	int fd;

	desk_open(&d);
	for (int i = 0; i < 300; i++)
		write_entry(&d, i);
	await_events(d.loop, 300);
	scribe_free(d.scribe);		/* its child has written the log into the file */
	d.scribe = scribe_new(d.loop, &d.conf, told, &d);
	memset(junk, 0x5a, sizeof(junk));
	ck_assert_int_eq(stat(DB, &st), 0);
	fd = open(DB, O_WRONLY);
	for (off_t at = 4096; at < st.st_size; at += 4096)
		ck_assert_int_eq(pwrite(fd, junk, 4096, at), 4096);
	close(fd);
	for (int i = 300; i < 400; i++)
		write_entry(&d, i);
	await_told(&d, SCRIBE_RENEWED);
	await_events(d.loop, 101);
	read_entries();
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq((int)strtol(found.name[i], NULL, 10), 399 - i);
	ck_assert_uint_eq(dropped(&d, SCRIBE_JOURNAL), 0);
	desk_close(&d);
}
END_TEST

START_TEST(a_trial_without_events_finds_a_spoilt_journal_and_leaves_a_good_one_alone)
{
	struct desk d;

	desk_open(&d);
	write_entry(&d, 1);
	await_events(d.loop, 1);
	scribe_try(d.scribe);
	run_for(d.loop, 300);
	ck_assert_int_eq(events(), 1);
	ck_assert_uint_eq(waiting_ms(&d, SCRIBE_JOURNAL, 10000), 0);
	spoil_journal();			/* while the child has it open */
	scribe_try(d.scribe);
	await_told(&d, SCRIBE_RENEWED);
	await_events(d.loop, 1);
	desk_close(&d);
}
END_TEST

START_TEST(a_journal_that_cannot_be_made_is_told_once_and_log_lines_go_on)
{
	struct desk d;

	desk_open(&d);
	ck_assert_int_eq(rename("state", "gone"), 0);
	for (int i = 0; i < 20; i++) {
		write_entry(&d, i);
		scribe_log(d.scribe, LOG_LVL_INFO, "line");
		run_for(d.loop, 5);
	}
	await_lines(d.loop, LOG, "line", 20);
	await_told(&d, SCRIBE_STUCK);
	run_for(d.loop, 1200);
	ck_assert_int_eq(d.told[SCRIBE_STUCK], 1);
	ck_assert_int_eq(rename("gone", "state"), 0);
	await_told(&d, SCRIBE_WELL);
	await_events(d.loop, 20);
	desk_close(&d);
}
END_TEST

START_TEST(a_child_that_is_killed_while_the_journal_is_locked_is_replaced_and_its_losses_are_counted)
{
	struct desk d;
	pid_t pid;

	desk_open(&d);
	pid = lock_journal();
	for (int i = 0; i < 10; i++)
		write_entry(&d, i);
	await_told(&d, SCRIBE_STUCK);
	kill(child_number(1), SIGKILL);
	for (int i = 0; i < 500 && dropped(&d, SCRIBE_JOURNAL) == 0; i++)
		run_for(d.loop, 10);
	ck_assert_uint_eq(dropped(&d, SCRIBE_JOURNAL), 10);
	write_entry(&d, 10);
	run_for(d.loop, 3500);		/* the next child finds it locked, too */
	unlock_journal(pid);
	await_told(&d, SCRIBE_WELL);
	ck_assert_int_eq(d.told[SCRIBE_STUCK], 1);
	await_events(d.loop, 2);
	read_entries();
	ck_assert_str_eq(found.name[0], "10");
	ck_assert_str_eq(found.name[1], "gap");
	desk_close(&d);
}
END_TEST

START_TEST(log_and_journal_do_not_wait_for_each_other)
{
	struct desk d;
	pid_t log, journal;

	desk_open(&d);
	scribe_log(d.scribe, LOG_LVL_INFO, "one");
	log = child();
	write_entry(&d, 1);
	journal = child_number(1);
	await_lines(d.loop, LOG, "one", 1);
	await_events(d.loop, 1);
	run_for(d.loop, 100);
	kill(log, SIGSTOP);
	scribe_log(d.scribe, LOG_LVL_INFO, "two");
	write_entry(&d, 2);
	await_events(d.loop, 2);
	run_for(d.loop, 100);
	ck_assert_uint_eq(waiting_ms(&d, SCRIBE_JOURNAL, 10000), 0);
	ck_assert_uint_gt(waiting_ms(&d, SCRIBE_LOG, 0), 0);
	kill(log, SIGCONT);
	kill(journal, SIGSTOP);
	write_entry(&d, 3);
	await_lines(d.loop, LOG, "two", 1);
	run_for(d.loop, 100);
	ck_assert_uint_eq(waiting_ms(&d, SCRIBE_LOG, 10000), 0);
	ck_assert_uint_gt(waiting_ms(&d, SCRIBE_JOURNAL, 0), 0);
	kill(journal, SIGCONT);
	await_events(d.loop, 3);
	desk_close(&d);
}
END_TEST

/* A /dev of our own whose log socket nobody reads. */
static int
deaf_syslog(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount(".", "/mnt", NULL, MS_BIND, NULL), 0);	/* this test's directory may be below /dev */
	ck_assert_int_eq(mount("dev", "/dev", "tmpfs", 0, "size=64k"), 0);
	ck_assert_int_eq(chdir("/mnt"), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

START_TEST(a_syslog_that_nobody_reads_holds_up_nobody_and_what_is_lost_is_told_when_it_is_read_again)
{
	struct conf conf = { .log = "syslog", .state_dir = "state" };
	char line[600], said[1200];
	uint64_t began, longest = 0;
	bool told_lost = false;
	struct desk d;
	int fd, got = 0;
	ssize_t n;

	if (geteuid() != 0) {
		printf("skip: not root, syslog is not tested\n");
		return;
	}
	fd = deaf_syslog();
	desk_open(&d);
	scribe_conf(d.scribe, &conf);
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	for (int i = 0; i < 2000; i++) {
		began = clock_mono_us();
		scribe_log(d.scribe, LOG_LVL_INFO, line);
		if (clock_mono_us() - began > longest)
			longest = clock_mono_us() - began;
	}
	run_for(d.loop, 500);
	ck_assert_uint_lt(longest, 200000);
	ck_assert_uint_gt(dropped(&d, SCRIBE_LOG), 500);
	ck_assert_uint_gt(waiting_ms(&d, SCRIBE_LOG, 0), 300);
	write_entry(&d, 1);
	await_events(d.loop, 1);
	for (int i = 0; i < 500 && !told_lost; i++) {
		run_for(d.loop, 10);
		while ((n = recv(fd, said, sizeof(said) - 1, 0)) > 0) {
			said[n] = '\0';
			got += strstr(said, "xxxx") != NULL;
			told_lost = told_lost || strstr(said, "lines may be missing") != NULL;
		}
	}
	ck_assert(told_lost);
	ck_assert_uint_eq((uint64_t)got + dropped(&d, SCRIBE_LOG), 2000);
	desk_close(&d);
	close(fd);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("scribe_journal");
	TCase *t = tcase_create("scribe_journal");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, entries_wait_for_a_locked_journal_and_come_in_order);
	tcase_add_test(t, what_has_no_room_while_it_is_locked_is_counted_and_the_journal_says_where);
	tcase_add_test(t, a_spoilt_journal_is_renewed_and_told_and_no_entry_is_lost);
	tcase_add_test(t, a_journal_that_is_spoilt_while_it_is_written_is_renewed_and_no_entry_is_lost);
	tcase_add_test(t, a_trial_without_events_finds_a_spoilt_journal_and_leaves_a_good_one_alone);
	tcase_add_test(t, a_journal_that_cannot_be_made_is_told_once_and_log_lines_go_on);
	tcase_add_test(t, a_child_that_is_killed_while_the_journal_is_locked_is_replaced_and_its_losses_are_counted);
	tcase_add_test(t, log_and_journal_do_not_wait_for_each_other);
	tcase_add_test(t, a_syslog_that_nobody_reads_holds_up_nobody_and_what_is_lost_is_told_when_it_is_read_again);
	suite_add_tcase(s, t);
	return at_desk(s);
}
