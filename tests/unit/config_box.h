/*
 * tests/unit/config_box.h - a directory of its own for a test of configsync, with real files, removed at the end.
 */
#ifndef TESTS_UNIT_CONFIG_BOX_H
#define TESTS_UNIT_CONFIG_BOX_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "configsync/scan.h"

#define MARGIN_NONE 0u
#define MARGIN_HOUR 3600000u

struct config_box {
	char		 dir[64];
	int		 root;
	struct scope	*scope;
	struct names	*names;
	struct report	 report;
	struct scan_count count;
};

static inline void
box_open(struct config_box *b, const struct scope_rules *rules)
{
	static const char *const trees[] = { "/t", NULL }, *const nodes[] = { "mx1", "mx2", NULL };
	static const struct scope_rules usual = { .tree = trees, .node = nodes };
	struct err err;

	*b = (struct config_box){ .dir = "/tmp/mailpair-config.XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(b->dir));
	b->root = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->scope = scope_new(rules == NULL ? &usual : rules, &err);
	ck_assert_msg(b->scope != NULL, "%s", err.text);
	b->names = names_new();
	ck_assert_int_eq(mkdirat(b->root, "t", 0755), 0);
}

static inline int
box_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline void
box_close(struct config_box *b)
{
	report_free(&b->report);
	scope_free(b->scope);
	names_free(b->names);
	close(b->root);
	nftw(b->dir, box_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void
box_write(struct config_box *b, const char *path, const char *text)
{
	int fd = openat(b->root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_msg(fd != -1, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static inline struct manifest *
box_scan_with(struct config_box *b, struct scan_options o)
{
	struct manifest *m;
	struct err err;

	o.scope = b->scope;
	o.names = b->names;
	report_free(&b->report);
	m = scan_trees(b->root, &o, &b->report, &b->count, &err);
	ck_assert_msg(m != NULL, "%s", err.text);
	return m;
}

static inline struct manifest *
box_scan(struct config_box *b)
{
	return box_scan_with(b, (struct scan_options){ .margin_ms = SCAN_MARGIN_MS });
}

#endif
