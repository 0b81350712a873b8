/*
 * tests/unit/tree.h - the toy's queue of check_bed.h as a real tree below /tmp, and a look at it.
 */
#ifndef TESTS_UNIT_TREE_H
#define TESTS_UNIT_TREE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queuesync/scan.h"
#include "tests/unit/check_bed.h"

static char root[UNIT_DIR_MAX], outside[UNIT_DIR_MAX + 16];
static struct scan_seen seen;
static const struct rules *scan_rules = &toy_rules_any;
static bool scan_reads;			/* each file as it is met, as a deep look does */

__attribute__((format(printf, 1, 2))) static inline const char *
in(const char *fmt, ...)
{
	static char path[4][1200];
	static unsigned int next;
	char *at = path[next++ % 4];
	size_t len = strlen(root);
	va_list ap;

	memcpy(at, root, len);
	at[len] = '/';
	va_start(ap, fmt);
	vsnprintf(at + len + 1, sizeof path[0] - len - 1, fmt, ap);
	va_end(ap);
	return at;
}

static inline void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_msg(fd != -1, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* A whole queue with messages 1..n in cur. Owners are not looked at: a test need not be root. */
static inline void
tree(unsigned int n)
{
	ck_assert(unit_dir(root, "mailpair-scan"));
	snprintf(outside, sizeof outside, "%s.out", root);
	ck_assert_int_eq(mkdir(outside, 0700), 0);
	for (const char *const *d = (const char *const[]){ "new", "cur", "cur/0", "cur/1", "cur/2", "log", NULL }; *d != NULL; d++)
		ck_assert_int_eq(mkdir(in("%s", *d), 0700), 0);
	for (unsigned int i = 1; i <= n; i++)
		write_file(in("cur/%u/%u", i % 3, i), "good");
}

static inline int
tree_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void
untree(void)
{
	nftw(root, tree_remove, 32, FTW_DEPTH | FTW_PHYS);
	nftw(outside, tree_remove, 32, FTW_DEPTH | FTW_PHYS);
}

/* Up to the joint. scan_reads makes it deep. */
static bool (*scan_without)(const struct queue_place *);

static inline bool
scan_with(unsigned int threads, bool with_root, bool deep, struct err *err)
{
	struct check_options options = { .deep = deep || scan_reads, .now = INT64_C(4000000000), .slack = 60 };
	struct scan_options scanning = { .threads = threads, .reading = scan_reads ? scan_rules : NULL,
		.without = scan_without };
	bool ok;

	toy_layout(&layout, root);
	if (with_root)
		queue_place_add(&layout, "", TOY_LOG + 1);
	for (size_t i = 0; i < layout.places; i++)
		layout.place[i].uid = layout.place[i].gid = QUEUE_ID_ANY;
	check = check_new(scan_rules, &layout, &options);
	findings = (struct findings){ 0 };
	ok = scan_queue(&layout, check, &scanning, &seen, err);
	check_joined(check);
	return ok;
}

#endif
