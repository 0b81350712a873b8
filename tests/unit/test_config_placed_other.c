/*
 * tests/unit/test_config_placed_other.c - laws of what an installation tells of the files that it has put in place, where they are not the ones any
 * more, were not put there, or are no plain ones: they are read.
 */
#include "tests/unit/harness.h"

#include <dirent.h>

#include "configsync/install.h"
#include "tests/unit/config_box.h"
#include "tests/unit/config_toy.h"

#define TEXT "hello"

static const struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };

struct placed {
	struct config_box box;
	struct entry entry[4];
	struct change change[4];
	size_t changes;
	struct manifest *placed;
	void (*meddle)(struct placed *);	/* when all stands ready */
	int which;
};

static const uint8_t *
bytes(void *arg, const struct entry *e)
{
	(void)arg;
	(void)e;
	return (const uint8_t *)TEXT;
}

static bool
ready(void *arg, struct err *err)
{
	struct placed *p = arg;

	(void)err;
	if (p->meddle != NULL)
		p->meddle(p);
	return true;
}

static struct entry *
add(struct placed *p, const char *path, enum entry_type type)
{
	struct entry *e = &p->entry[p->changes];

	*e = (struct entry){ .type = type, .path = path, .user = { "root", 0 }, .group = { "root", 0 }, .mtime_s = 1000, .mode = 0755 };
	if (type == ENTRY_FILE) {
		e->size = strlen(TEXT);
		e->mode = 0644;
		digest_sha256(TEXT, strlen(TEXT), e->digest);
	}
	p->change[p->changes++] = (struct change){ .kind = type == ENTRY_FILE ? CHANGE_FILE : CHANGE_DIRECTORY, .path = path, .to = e };
	return e;
}

/* One that is renamed to its place, and one that comes with its directory. */
static void
begin(struct placed *p)
{
	*p = (struct placed){ .placed = manifest_new() };
	box_open(&p->box, NULL);
	add(p, "t/n", ENTRY_DIRECTORY);
	add(p, "t/n/b", ENTRY_FILE);
	add(p, "t/a", ENTRY_FILE);
}

static bool
install(struct placed *p)
{
	struct report report = { 0 };
	struct install_options o = { .bytes = bytes, .arg = p, .placed = p->placed, .scope = p->box.scope, .names = p->box.names, .ready = ready };
	struct err err;
	bool ok = install_apply(p->box.root, p->change, p->changes, &o, &report, &err);

	ck_assert(manifest_seal(p->placed, &err));
	report_free(&report);
	return ok;
}

static void
end(struct placed *p)
{
	manifest_free(p->placed);
	box_close(&p->box);
}

/* With what was told as without, and so many files are read. */
static void
is_known(struct placed *p, const struct manifest *placed, unsigned long read)
{
	struct manifest *known = box_scan_with(&p->box, (struct scan_options){ .placed = placed, .margin_ms = SCAN_MARGIN_MS }), *is;

	ck_assert_uint_eq(p->box.count.read, read);
	is = box_scan(&p->box);
	ck_assert(toy_same(known, is));
	ck_assert(!manifest_find(known, "t/a")->local.steady);
	manifest_free(known);
	manifest_free(is);
}

START_TEST(a_hole_that_was_not_made_is_not_told)
{
	struct placed p;

	begin(&p);
	p.entry[2].sparse = true;
	ck_assert(install(&p));
	ck_assert(!manifest_find(p.placed, "t/a")->sparse);
	is_known(&p, p.placed, 0);
	end(&p);
}
END_TEST

START_TEST(nothing_is_in_doubt_when_it_is_old_enough)
{
	struct manifest *m;
	struct placed p;
	bool steady;

	begin(&p);
	ck_assert(install(&p));
	do {		/* a step of the kernel's clock later */
		m = box_scan_with(&p.box, (struct scan_options){ .placed = p.placed, .margin_ms = MARGIN_NONE });
		steady = manifest_find(m, "t/a")->local.steady;
		manifest_free(m);
	} while (!steady);
	end(&p);
}
END_TEST

/* Each part of a stamp by itself. */
START_TEST(what_is_another_one_in_any_part_is_read)
{
	struct manifest *told = manifest_new(), *known;
	struct placed p;
	struct entry e;
	struct err err;

	begin(&p);
	ck_assert(install(&p));
	e = *manifest_find(p.placed, "t/a");
	e.local.links = 7;		/* no part of it */
	switch (_i) {
	case 0: break;
	case 1: e.local.dev++; break;
	case 2: e.local.ino++; break;
	case 3: e.size++; break;
	case 4: e.mtime_s++; break;
	case 5: e.mtime_ns++; break;
	case 6: e.local.ctime_s++; break;
	case 7: e.local.ctime_ns ^= 1; break;
	case 8: e.mode ^= 1; break;
	default: e.type = ENTRY_OTHER;
	}
	manifest_add(told, &e);
	ck_assert(manifest_seal(told, &err));
	is_known(&p, told, _i == 0 ? 1 : 2);		/* t/n/b is not told at all */
	known = box_scan_with(&p.box, (struct scan_options){ .placed = told, .margin_ms = SCAN_MARGIN_MS });
	ck_assert_uint_eq(manifest_find(known, "t/a")->local.links, 1);
	manifest_free(known);
	manifest_free(told);
	end(&p);
}
END_TEST

/* Somebody is at the staged file. */
static void
change_staged(struct placed *p)
{
	DIR *dir = fdopendir(openat(p->box.root, "t", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	char path[300];
	struct dirent *d;
	struct stat st;

	ck_assert_ptr_nonnull(dir);
	while ((d = readdir(dir)) != NULL) {
		if (strncmp(d->d_name, SCOPE_STAGING, strlen(SCOPE_STAGING)) != 0 || fstatat(dirfd(dir), d->d_name, &st, 0) == -1 || !S_ISREG(st.st_mode))
			continue;
		snprintf(path, sizeof path, "t/%s", d->d_name);
		switch (p->which) {
		case 0: ck_assert_int_eq(fchmodat(p->box.root, path, 0600, 0), 0); break;
		case 1: ck_assert_int_eq(fchownat(p->box.root, path, 8, 0, 0), 0); break;
		case 2: ck_assert_int_eq(fchownat(p->box.root, path, 0, 8, 0), 0); break;
		case 3:
			box_write(&p->box, path, TEXT " and more");
			ck_assert_int_eq(utimensat(p->box.root, path, old, 0), 0);
			break;
		case 4: ck_assert_int_eq(utimensat(p->box.root, path, (const struct timespec[]){ { 1000, 0 }, { 1001, 0 } }, 0), 0); break;
		case 5: ck_assert_int_eq(utimensat(p->box.root, path, (const struct timespec[]){ { 1000, 0 }, { 1000, 1 } }, 0), 0); break;
		default:
			ck_assert_int_eq(renameat(p->box.root, path, p->box.root, "aside"), 0);
			box_write(&p->box, path, "HELLO");
			ck_assert_int_eq(utimensat(p->box.root, path, old, 0), 0);
		}
	}
	closedir(dir);
}

/* It is told as it was put there, so that what he did is an edit. */
START_TEST(what_somebody_was_quick_to_change_is_read)
{
	const struct entry *told;
	struct placed p;

	begin(&p);
	p.meddle = change_staged;
	p.which = _i;
	ck_assert(install(&p));
	told = manifest_find(p.placed, "t/a");
	ck_assert_ptr_nonnull(told);
	ck_assert(told->mode == 0644 && told->user.id == 0 && told->group.id == 0 && told->size == strlen(TEXT) && told->mtime_s == 1000 && told->mtime_ns == 0);
	is_known(&p, p.placed, 1);
	end(&p);
}
END_TEST

static void
make_another(struct placed *p)
{
	box_write(&p->box, "t/z", "somebody's own");
}

START_TEST(what_was_not_done_is_not_told)
{
	struct placed p;

	begin(&p);
	add(&p, "t/z", ENTRY_FILE);
	p.meddle = make_another;
	ck_assert(!install(&p));
	ck_assert_ptr_nonnull(manifest_find(p.placed, "t/a"));
	ck_assert_ptr_null(manifest_find(p.placed, "t/z"));
	is_known(&p, p.placed, 1);
	end(&p);
}
END_TEST

/* Of these the scan would have to know whether it may carry them. */
START_TEST(what_has_attributes_is_not_told)
{
	struct entry_xattr x = { "user.colour", (const uint8_t *)"green", 5 };
	struct placed p;
	struct entry *e;

	begin(&p);
	e = add(&p, "t/x", ENTRY_FILE);
	e->xattr = &x;
	e->xattrs = 1;
	ck_assert(install(&p));
	ck_assert_ptr_null(manifest_find(p.placed, "t/x"));
	is_known(&p, p.placed, 1);
	end(&p);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config placed other");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, a_hole_that_was_not_made_is_not_told);
	tcase_add_test(tc, nothing_is_in_doubt_when_it_is_old_enough);
	tcase_add_loop_test(tc, what_is_another_one_in_any_part_is_read, 0, 10);
	tcase_add_loop_test(tc, what_somebody_was_quick_to_change_is_read, 0, 7);
	tcase_add_test(tc, what_was_not_done_is_not_told);
	tcase_add_test(tc, what_has_attributes_is_not_told);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
