/*
 * tests/config/tools/install_tree.c - makes the tree t below one directory the same as the tree t below another one, by a scan of
 * both, a comparison and an installation.
 *
 *	install_tree FROM TO [setuid]
 *
 * Says notes and errors on standard error. Exit 0: done.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "configsync/beneath.h"
#include "configsync/install.h"
#include "configsync/scan.h"

static int
content(void *arg, const struct entry *e, struct err *err)
{
	int fd = beneath_open(*(int *)arg, e->path, O_RDONLY | O_NOFOLLOW, false);

	if (fd == -1)
		err_set(err, 0, "%s cannot be read", e->path);
	return fd;
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
	struct install_options o = { .content = content, .arg = &from, .setuid = argc > 3 };
	struct scope *scope;
	bool ok;

	if (from == -1 || to == -1) {
		fprintf(stderr, "usage: install_tree FROM TO [setuid]\n");
		return 2;
	}
	o.scope = scope = scope_new(&(struct scope_rules){ .tree = trees }, &err);
	o.names = names_new();
	ok = run(from, to, &o, &report, &err);
	for (size_t i = 0; i < report.len; i++)
		fprintf(stderr, "%s: %s: %s\n", note_word(report.at[i].kind), report.at[i].path, report.at[i].text);
	if (!ok)
		fprintf(stderr, "%s\n", err.text);
	report_free(&report);
	names_free(o.names);
	scope_free(scope);
	return ok ? 0 : 1;
}
