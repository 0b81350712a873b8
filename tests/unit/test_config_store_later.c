/*
 * tests/unit/test_config_store_later.c - laws of waiting for the disk beside the loop, and of knowing that there is nothing to prune.
 */
#include "tests/unit/harness.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/unit/store_box.h"

static pthread_t first;
static sem_t go;		/* for each sync of another thread, while held */
static atomic_bool held, broken;
static atomic_int syncs;

/* In front of the C library's. */
int
fdatasync(int fd)
{
	if (held && !pthread_equal(pthread_self(), first))
		sem_wait(&go);
	syncs++;
	if (broken) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

struct heard { struct loop *loop; int times; bool ok; };

static void
synced(void *arg, const struct err *error)
{
	struct heard *h = arg;

	h->times++;
	h->ok = error == NULL;
	loop_stop(h->loop);
}

static struct store *
begun(struct heard *h)
{
	struct store *s;

	first = pthread_self();
	sem_init(&go, 0, 0);
	held = broken = false;
	*h = (struct heard){ .loop = loop_new() };
	clean_store();
	s = store_of(true);
	ck_assert(store_sync(s, &err));
	return s;
}

static void
ended(struct store *s, struct heard *h)
{
	store_close(s);
	loop_free(h->loop);
	sem_destroy(&go);
}

START_TEST(a_version_is_put_while_the_ones_before_it_are_on_their_way_to_the_disk)
{
	struct heard h;
	struct store *s = begun(&h);
	int before;

	must_put(s, "one", 1, "etc/a", "one");
	before = syncs;
	held = true;
	store_sync_later(s, h.loop, false, synced, &h);
	ck_assert(store_syncing(s) && h.times == 0);
	must_put(s, "two", 2, "etc/a", "two");
	store_sync_later(s, h.loop, false, synced, &h);		/* one at a time */
	ck_assert(syncs == before && h.times == 0);
	sem_post(&go);
	loop_run(h.loop);
	ck_assert(h.times == 1 && h.ok && !store_syncing(s) && syncs == before + 1);
	held = false;
	ck_assert(store_sync(s, &err));		/* the second one was not waited for */
	ck_assert_int_eq(syncs, before + 2);
	store_sync_later(s, h.loop, false, synced, &h);
	ck_assert(h.times == 2 && h.ok && !store_syncing(s) && syncs == before + 2);	/* nothing is to be done: said at once */
	ck_assert_str_eq(history(s, "etc/a", NULL), "etc/a=two etc/a=one ");
	ended(s, &h);
}
END_TEST

START_TEST(who_has_to_be_sure_waits_for_the_sync_under_way_and_its_end_is_told_once)
{
	struct heard h;
	struct store *s = begun(&h);
	int before;

	must_put(s, "one", 1, "etc/a", "one");
	before = syncs;
	store_sync_later(s, h.loop, false, synced, &h);
	ck_assert(store_sync(s, &err));
	ck_assert(syncs == before + 1 && h.times == 0);
	loop_run(h.loop);
	ck_assert(h.times == 1 && h.ok && !store_syncing(s));
	ended(s, &h);
}
END_TEST

START_TEST(what_could_not_be_brought_to_the_disk_is_said_and_not_taken_for_done)
{
	struct heard h;
	struct store *s = begun(&h);
	int before;

	must_put(s, "one", 1, "etc/a", "one");
	broken = true;
	store_sync_later(s, h.loop, false, synced, &h);
	loop_run(h.loop);
	ck_assert(h.times == 1 && !h.ok);
	must_put(s, "two", 2, "etc/a", "two");
	store_sync_later(s, h.loop, false, synced, &h);
	ck_assert(!store_sync(s, &err));
	loop_run(h.loop);
	ck_assert(h.times == 2 && !h.ok);
	broken = false;
	before = syncs;
	ck_assert(store_sync(s, &err));
	ck_assert_int_eq(syncs, before + 1);
	ended(s, &h);
}
END_TEST

START_TEST(a_store_may_be_closed_and_a_journal_renewed_while_it_is_waited_for)
{
	struct heard h;
	struct store *s = begun(&h);

	must_put(s, "one", 1, "etc/a", "one");
	store_sync_later(s, h.loop, false, synced, &h);
	ck_assert(store_renew(s, &news, &err));
	ck_assert_str_eq(history(s, "etc/a", NULL), "etc/a=one ");
	loop_run(h.loop);
	ck_assert(h.times == 1 && h.ok);
	must_put(s, "two", 2, "etc/a", "two");
	store_sync_later(s, h.loop, true, synced, &h);
	ended(s, &h);
	ck_assert_int_eq(h.times, 1);
}
END_TEST

static off_t
size_of_journal(void)
{
	struct stat st;

	ck_assert_int_eq(stat(DB, &st), 0);
	return st.st_size;
}

START_TEST(a_long_log_is_written_back_beside_the_loop_only_while_nothing_is_to_be_done)
{
	char *bytes = malloc((6 << 20) + 1);
	struct heard h;
	struct store *s = begun(&h);
	off_t before = size_of_journal();

	memset(bytes, 'x', 6 << 20);
	bytes[6 << 20] = '\0';
	must_put(s, "large", 1, "etc/a", bytes);
	store_sync_later(s, h.loop, false, synced, &h);
	loop_run(h.loop);
	ck_assert_int_eq(size_of_journal(), before);
	store_sync_later(s, h.loop, true, synced, &h);
	loop_run(h.loop);
	ck_assert_int_gt(size_of_journal(), before + (6 << 20));
	must_put(s, "small", 2, "etc/a", "small");
	ck_assert_str_eq(content(s, "small"), "small");
	ended(s, &h);
	free(bytes);
}
END_TEST

START_TEST(whether_there_is_something_to_prune_is_known_without_looking)
{
	struct heard h;
	struct store *s = begun(&h);
	uint64_t removed;

	must_put(s, "one", 10, "etc/a", "one");
	ck_assert(store_prune_due(s, 0, UINT64_MAX));		/* nobody has looked yet */
	ck_assert(store_prune(s, 0, UINT64_MAX, &removed, &err) && removed == 0);
	ck_assert(!store_prune_due(s, 1000, 1000));
	must_put(s, "two", 20, "etc/a", "two");			/* one was superseded then */
	ck_assert(!store_prune_due(s, 20, 1000));
	ck_assert(store_prune_due(s, 21, 1000));
	ck_assert(store_prune_due(s, 20, 0));
	ck_assert(store_prune(s, 20, UINT64_MAX, &removed, &err) && removed == 0);
	ck_assert(!store_prune_due(s, 20, UINT64_MAX) && store_prune_due(s, 21, UINT64_MAX));
	ck_assert(store_prune(s, 21, UINT64_MAX, &removed, &err) && removed == 1);
	ck_assert(!store_prune_due(s, 1000, 0));		/* all that may go has gone, however large the rest is */
	must_put(s, "three", 30, "etc/b", "three");
	ck_assert(store_prune_due(s, 0, 0));
	ended(s, &h);
}
END_TEST

START_TEST(a_conflict_that_is_over_may_let_go_of_old_versions)
{
	struct store_set set = set_of("end", STORE_EDIT, 500);
	struct heard h;
	struct store *s = begun(&h);
	uint8_t digest[DIGEST_LEN];
	struct store_change c;
	uint64_t removed;

	dispute(s, "odd", 2, "etc/a", "mine", "theirs");
	ck_assert(store_prune(s, 100, UINT64_MAX, &removed, &err) && removed == 0);
	ck_assert(!store_prune_due(s, 100, UINT64_MAX));
	ck_assert(change_to(s, &c, digest, "etc/a", "theirs"));
	c.settles = true;
	ck_assert(store_put(s, &set, &c, 1, &err));
	ck_assert(store_prune_due(s, 100, UINT64_MAX));
	ck_assert(store_prune(s, 100, UINT64_MAX, &removed, &err) && removed == 1);	/* theirs; mine was superseded at 500 */
	ended(s, &h);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("config_store_later");
	TCase *t = tcase_create("config_store_later");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_version_is_put_while_the_ones_before_it_are_on_their_way_to_the_disk);
	tcase_add_test(t, who_has_to_be_sure_waits_for_the_sync_under_way_and_its_end_is_told_once);
	tcase_add_test(t, what_could_not_be_brought_to_the_disk_is_said_and_not_taken_for_done);
	tcase_add_test(t, a_store_may_be_closed_and_a_journal_renewed_while_it_is_waited_for);
	tcase_add_test(t, a_long_log_is_written_back_beside_the_loop_only_while_nothing_is_to_be_done);
	tcase_add_test(t, whether_there_is_something_to_prune_is_known_without_looking);
	tcase_add_test(t, a_conflict_that_is_over_may_let_go_of_old_versions);
	suite_add_tcase(s, t);
	return store_boxed(s);
}
