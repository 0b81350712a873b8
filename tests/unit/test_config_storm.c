/*
 * tests/unit/test_config_storm.c - laws of watching under any edits in any order: what was told, read and laid over what was known,
 * is what a full scan finds.
 */
#include "tests/unit/harness.h"

#include "configsync/watch_pending.h"
#include "tests/unit/watch_bed.h"

static unsigned int seed;

static unsigned int
pick(unsigned int below)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % below;
}

static void
any_path(char path[64])
{
	size_t len = 1;

	snprintf(path, 64, "t");
	for (unsigned int depth = 1 + pick(4); depth > 0; depth--)
		len += (size_t)snprintf(path + len, 64 - len, "/%c", 'a' + (char)pick(4));
}

START_TEST(what_waits_to_be_told_is_bounded_and_covers_all_that_was_added)
{
	struct { char path[64]; bool below, covered; } added[100];
	struct watch_pending *p = watch_pending_new(8);
	char path[ENTRY_PATH_MAX + 1];
	bool below;

	seed = (unsigned int)_i + 1;
	for (int i = 0; i < 100; i++) {
		any_path(added[i].path);
		added[i].below = pick(8) == 0;
		added[i].covered = false;
		watch_pending_add(p, added[i].path, added[i].below);
		ck_assert_uint_le(watch_pending_len(p), 8);
		if (pick(20) != 0 && i < 99)
			continue;
		while (watch_pending_take(p, path, &below)) {
			for (int k = 0; k <= i; k++) {
				if (strcmp(path, added[k].path) == 0 ? below || !added[k].below : below && (*path == '\0' || entry_path_within(added[k].path, path)))
					added[k].covered = true;
			}
		}
		for (int k = 0; k <= i; k++)
			ck_assert_msg(added[k].covered, "seed %d: %s", _i + 1, added[k].path);
	}
	watch_pending_free(p);
}
END_TEST

static void
edit(int root)
{
	char one[64], two[64];
	struct stat st;
	int fd;

	any_path(one);
	any_path(two);
	switch (pick(9)) {
	case 0:
	case 1:
		if ((fd = openat(root, one, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644)) != -1) {
			if (fstat(fd, &st) == 0 && st.st_nlink == 1)	/* by a name that is gone soon it could not be told */
				(void)!write(fd, two, strlen(two));
			close(fd);
		}
		break;
	case 2:
	case 3:
		mkdirat(root, one, 0755);
		break;
	case 4:
	case 5:
		(void)!renameat(root, one, root, two);
		break;
	case 6:
		if (unlinkat(root, one, 0) == -1)
			unlinkat(root, one, AT_REMOVEDIR);
		break;
	case 7:
		(void)!linkat(root, one, root, two, 0);
		break;
	default:
		if (symlinkat(two, root, one) == -1)
			(void)!fchmodat(root, one, 0600 | (mode_t)pick(64), 0);
	}
}

/* What was told is read, and laid over what was known. */
static struct manifest *
follow(struct bed *b, struct manifest *known)
{
	const struct scan_options o = { .scope = b->box.scope, .names = b->box.names, .known = known };
	struct manifest *m = manifest_new();
	struct scan_slice s;
	struct err err;

	ck_assert_msg(scan_paths(b->box.root, &o, b->told, b->len, &s, &b->box.report, NULL, &err), "%s", err.text);
	for (size_t i = 0; i < known->len; i++) {
		if (!scan_slice_covers(&s, known->at[i].path))
			manifest_add(m, &known->at[i]);
	}
	for (size_t i = 0; i < s.manifest->len; i++)
		manifest_add(m, &s.manifest->at[i]);
	ck_assert_msg(manifest_seal(m, &err), "%s", err.text);
	scan_slice_free(&s);
	manifest_free(known);
	bed_forget(b);
	return m;
}

START_TEST(after_a_storm_what_was_told_leads_to_what_is_there)
{
	struct bed b;
	struct manifest *known, *full;
	int status;
	pid_t storm;

	seed = (unsigned int)_i + 1;
	bed_open(&b, NULL);
	bed_start(&b);
	known = box_scan(&b.box);
	if ((storm = fork()) == 0) {
		for (int i = 0; i < 2000; i++)
			edit(b.box.root);
		_exit(0);
	}
	while (waitpid(storm, &status, WNOHANG) == 0) {
		bed_marker(&b);
		known = follow(&b, known);
	}
	bed_linger(&b);
	known = follow(&b, known);
	full = box_scan(&b.box);
	for (size_t i = 0; i < full->len; i++)
		ck_assert_msg((entry_diff(&full->at[i], manifest_find(known, full->at[i].path)) & ~ENTRY_DIFF_TIME) == 0, "seed %d: %s", _i + 1, full->at[i].path);
	for (size_t i = 0; i < known->len; i++)
		ck_assert_msg(manifest_find(full, known->at[i].path) != NULL, "seed %d: %s is not there", _i + 1, known->at[i].path);
	manifest_free(full);
	manifest_free(known);
	bed_close(&b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config storm");
	TCase *tc = tcase_create("all");

	signal(SIGIO, SIG_IGN);		/* scan.h: a writer may come while it is asked for one */
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, what_waits_to_be_told_is_bounded_and_covers_all_that_was_added, 0, 50);
	tcase_add_loop_test(tc, after_a_storm_what_was_told_leads_to_what_is_there, 0, 5);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
