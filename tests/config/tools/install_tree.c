/*
 * tests/config/tools/install_tree.c - makes the tree t below one directory the same as the tree t below another one, by a scan of
 * both, a comparison and an installation.
 *
 *	install_tree FROM TO [setuid|whole [SPARE]]
 *
 * Says notes and errors on standard error. Exit 0: done. whole: setuid as well, and all or nothing. Where $FAIL is N, the Nth call that changes a
 * tree fails, once; "called N" says how many there were. SPARE: a directory for files that stand ready, of which the first small ones are made.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "configsync/beneath.h"
#include "configsync/install.h"
#include "configsync/scan.h"

/* ---------------------------------------------------------------- calls that fail: these stand before those of the C library */

static unsigned long called, fails;

static long
unless_fails(long number, long a, long b, long c, long d, long e)
{
	if (++called != fails)
		return syscall(number, a, b, c, d, e);
	errno = EPERM;
	return -1;
}

#define P(pointer) ((long)(uintptr_t)(pointer))
int renameat2(int from, const char *old, int to, const char *name, unsigned int how) { return (int)unless_fails(SYS_renameat2, from, P(old), to, P(name), how); }
int unlinkat(int dir, const char *name, int how) { return (int)unless_fails(SYS_unlinkat, dir, P(name), how, 0, 0); }
int mkdirat(int dir, const char *name, mode_t mode) { return (int)unless_fails(SYS_mkdirat, dir, P(name), mode, 0, 0); }
int symlinkat(const char *to, int dir, const char *name) { return (int)unless_fails(SYS_symlinkat, P(to), dir, P(name), 0, 0); }
int linkat(int from, const char *old, int to, const char *name, int how) { return (int)unless_fails(SYS_linkat, from, P(old), to, P(name), how); }
int fchmod(int fd, mode_t mode) { return (int)unless_fails(SYS_fchmod, fd, mode, 0, 0, 0); }
int fchown(int fd, uid_t user, gid_t group) { return (int)unless_fails(SYS_fchown, fd, user, group, 0, 0); }
int fsync(int fd) { return (int)unless_fails(SYS_fsync, fd, 0, 0, 0, 0); }
int syncfs(int fd) { return (int)unless_fails(SYS_syncfs, fd, 0, 0, 0, 0); }
int fsetxattr(int fd, const char *name, const void *value, size_t len, int how) { return (int)unless_fails(SYS_fsetxattr, fd, P(name), P(value), (long)len, how); }
int fremovexattr(int fd, const char *name) { return (int)unless_fails(SYS_fremovexattr, fd, P(name), 0, 0, 0); }
int futimens(int fd, const struct timespec times[2]) { return (int)unless_fails(SYS_utimensat, fd, 0, P(times), 0, 0); }

/* ---------------------------------------------------------------- the run */

static int
content(void *arg, const struct entry *e, struct err *err)
{
	int fd = beneath_open(*(int *)arg, e->path, O_RDONLY | O_NOFOLLOW, false);

	if (fd == -1)
		err_set(err, 0, "%s cannot be read", e->path);
	return fd;
}

/* Of files that are small enough for it; there is room for one of each kind of spare file, and one more. */
static const uint8_t *
bytes(void *arg, const struct entry *e)
{
	static uint8_t buf[SPARE_KINDS + 1][SPARE_MOST + 1];
	static unsigned int used;
	int fd = used > SPARE_KINDS ? -1 : beneath_open(*(int *)arg, e->path, O_RDONLY | O_NOFOLLOW, false);
	ssize_t n = fd == -1 ? -1 : read(fd, buf[used], sizeof buf[used]);

	if (fd != -1)
		close(fd);
	return n == (ssize_t)e->size ? buf[used++] : NULL;
}

/* When all are there: each run is to make the same system calls. */
static struct spare *
spare_files(const char *dir)
{
	struct spare *s = spare_open(dir);

	spare_fill(s);
	while (!spare_fill(s))
		sched_yield();
	return s;
}

static bool
run(int from, int to, struct install_options *o, struct report *report, struct err *err)
{
	struct scan_options so = { .scope = o->scope, .names = o->names, .margin_ms = SCAN_MARGIN_MS };
	struct manifest *theirs = scan_trees(from, &so, report, NULL, err), *mine = scan_trees(to, &so, report, NULL, err);
	struct diff *d;
	bool ok = false;

	if (mine != NULL && theirs != NULL && install_clean(to, o->scope, report, err)) {
		d = diff_take_all(mine, theirs);
		ok = install_apply(to, d->change, d->changes, o, report, err);
		diff_free(d);
	}
	manifest_free(mine);
	manifest_free(theirs);
	return ok;
}

int
main(int argc, char **argv)
{
	static const char *const trees[] = { "/t", NULL };
	struct report report = { 0 };
	struct err err;
	int from = argc > 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int to = argc > 2 ? open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct install_options o = { .content = content, .arg = &from, .setuid = argc > 3, .whole = argc > 3 && strcmp(argv[3], "whole") == 0,
		.bytes = argc > 4 ? bytes : NULL };
	struct scope *scope;
	bool ok;

	if (from == -1 || to == -1) {
		fprintf(stderr, "usage: install_tree FROM TO [setuid|whole [SPARE]]\n");
		return 2;
	}
	o.scope = scope = scope_new(&(struct scope_rules){ .tree = trees }, &err);
	o.names = names_new();
	o.spare = argc > 4 ? spare_files(argv[4]) : NULL;
	fails = getenv("FAIL") != NULL ? strtoul(getenv("FAIL"), NULL, 10) : 0;
	ok = run(from, to, &o, &report, &err);
	for (size_t i = 0; i < report.len; i++)
		fprintf(stderr, "%s: %s: %s\n", note_word(report.at[i].kind), report.at[i].path, report.at[i].text);
	if (!ok)
		fprintf(stderr, "%s\n", err.text);
	if (fails != 0)
		fprintf(stderr, "called %lu\n", called);
	report_free(&report);
	names_free(o.names);
	spare_close(o.spare);
	scope_free(scope);
	return ok ? 0 : 1;
}
