/*
 * tests/unit/test_config_setup.c - what mailpair.conf says becomes trees, patterns and sets; and the default trees are those of the manual.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "configsync/setup.h"
#include "tests/unit/harness.h"

#define MANUAL "docs/man/mailpair.conf.5"
#define EXAMPLES "etc/examples"

static const char top[] = "pair = mail node mx1 {} node mx2 {} mta postfix {}\nheartbeat { link l { mx1 = 10.0.0.1 mx2 = 10.0.0.2 } }\n"
    "storage s { device = /dev/sdb mountpoint = /srv/mail fstype = ext4 }\n";

static struct conf_mistakes mistakes;

static struct conf *
load(const char *rest)
{
	char path[] = "/tmp/test_config_setup.XXXXXX", text[16384];
	struct conf *conf = NULL;
	int fd = mkstemp(path), len = snprintf(text, sizeof text, "%s%s", top, rest);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, text, (size_t)len), len);
	close(fd);
	ck_assert_msg(conf_load(path, "mx1", &conf, &mistakes), "line %d: %s", mistakes.item[0].line, mistakes.item[0].text);
	unlink(path);
	return conf;
}

/* Where a path would be. */
static enum scope_place
place(const struct setup *s, const char *path)
{
	struct err err;
	struct scope *scope = scope_new(&s->scope, &err);
	enum scope_place at;

	ck_assert_msg(scope != NULL, "%s", err.text);
	at = scope_place(scope, path);
	scope_free(scope);
	return at;
}

START_TEST(an_empty_section_carries_the_default_trees_and_mailpairs_own)
{
	struct conf *c = load("config-sync {}");
	struct setup *s = setup_new(c, "/opt/my \"dir\"");
	const struct setup_tree *own = setup_tree_of(s, c->file + 1);
	char want[300];
	size_t n = 0;

	while (setup_defaults()[n].path != NULL)
		ck_assert_int_eq(place(s, setup_defaults()[n++].path + 1), SCOPE_INSIDE);
	ck_assert_uint_eq(s->trees, n + 2);
	ck_assert_int_eq(place(s, "etc/mailpair/hooks.d/10-x"), SCOPE_INSIDE);
	ck_assert_int_eq(place(s, "etc/mailpair/authkeys"), SCOPE_OUTSIDE);
	ck_assert_int_eq(place(s, "etc/passwd"), SCOPE_OUTSIDE);
	ck_assert_ptr_nonnull(own);
	snprintf(want, sizeof want, "\"/opt/my \\\"dir\\\"/mailpaird\" -t --node mx1 -c \"$MAILPAIR_STAGED%s\"", c->file);
	ck_assert_str_eq(own->validate, want);
	ck_assert_str_eq(own->reload, "\"/opt/my \\\"dir\\\"/mailpair\" --socket \"/run/mailpair/control.sock\" reload");
	ck_assert_uint_eq(s->quiet_ms, 200);
	ck_assert_uint_eq(s->most_ms, 5000);
	setup_free(s);
	conf_free(c);
}
END_TEST

START_TEST(mailpairs_own_configuration_is_judged_wherever_it_is_carried)
{
	struct conf *c = load("config-sync { defaults = no tree '/tmp' {} }");	/* where load() puts it */
	struct setup *s = setup_new(c, NULL);
	struct set_id id;

	set_of(&s->sets, c->file + 1, &id);
	ck_assert_int_eq(id.kind, SET_TREE);
	ck_assert_ptr_nonnull(strstr(id.validate, "mailpaird"));
	ck_assert_int_eq(place(s, "etc/mailpair/hooks.d/x"), SCOPE_OUTSIDE);
	setup_free(s);
	conf_free(c);
	c = load("config-sync { defaults = no tree '/etc/a' {} }");
	s = setup_new(c, NULL);
	ck_assert_uint_eq(s->trees, 1);
	setup_free(s);
	conf_free(c);
}
END_TEST

START_TEST(patterns_of_a_tree_count_from_the_tree_on)
{
	struct conf *c = load("config-sync { defaults = no exclude = { '*.old', '/etc/a/x' } include = '/etc/b/in.old'\n"
	    "tree '/etc/a' { exclude = { 'local.cf', 'maps/*.txt', '/etc/a/abs' } include = 'deep/local.cf' } tree '/etc/b' {} }");
	struct setup *s = setup_new(c, NULL);
	static const struct { const char *path; enum scope_place place; } row[] = {
		{ "etc/a/main.cf", SCOPE_INSIDE }, { "etc/a/local.cf", SCOPE_EXCLUDED }, { "etc/a/sub/local.cf", SCOPE_EXCLUDED },
		{ "etc/a/deep/local.cf", SCOPE_INSIDE }, { "etc/b/local.cf", SCOPE_INSIDE }, { "etc/a/maps/x.txt", SCOPE_EXCLUDED },
		{ "etc/a/y/maps/x.txt", SCOPE_INSIDE }, { "etc/a/abs", SCOPE_EXCLUDED }, { "etc/b/abs", SCOPE_INSIDE },
		{ "etc/a/x", SCOPE_EXCLUDED }, { "etc/b/z.old", SCOPE_EXCLUDED }, { "etc/b/in.old", SCOPE_INSIDE },
		{ "etc/postfix/main.cf", SCOPE_OUTSIDE },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		ck_assert_msg(place(s, row[i].path) == row[i].place, "%s: %d", row[i].path, place(s, row[i].path));
	ck_assert_uint_eq(s->trees, 2);
	setup_free(s);
	conf_free(c);
}
END_TEST

START_TEST(the_keys_of_the_pair_are_carried_only_where_they_are_named)
{
	static const struct { const char *text; enum scope_place keys; } row[] = {
		{ "config-sync { tree '/etc/mailpair' {} }", SCOPE_EXCLUDED },
		{ "config-sync { tree '/etc/mailpair' {} tree '/etc/mailpair/authkeys' {} }", SCOPE_INSIDE },
		{ "config-sync { tree '/etc/mailpair' {} include = '/etc/mailpair/authkeys' }", SCOPE_INSIDE },
		{ "config-sync { tree '/etc/mailpair' { include = 'authkeys' } }", SCOPE_INSIDE },
		{ "config-sync { tree '/etc/mailpair/authkeys' {} }", SCOPE_INSIDE },
	};
	struct conf *c = load(row[_i].text);
	struct setup *s = setup_new(c, NULL);

	ck_assert_int_eq(place(s, "etc/mailpair/authkeys"), row[_i].keys);
	setup_free(s);
	conf_free(c);
}
END_TEST

START_TEST(a_default_tree_on_the_shared_storage_or_in_the_state_is_left_out)
{
	struct conf *c = load("state-dir = '/etc/ssl/state' bind '/var/qmail' { from = qmail } bind '/etc/postfix/maps' { from = maps } config-sync {}");
	struct setup *s = setup_new(c, NULL);

	ck_assert_int_eq(place(s, "var/qmail/control/me"), SCOPE_OUTSIDE);
	ck_assert_int_eq(place(s, "etc/postfix/main.cf"), SCOPE_OUTSIDE);
	ck_assert_int_eq(place(s, "etc/ssl/x"), SCOPE_OUTSIDE);
	ck_assert_int_eq(place(s, "etc/aliases"), SCOPE_INSIDE);
	setup_free(s);
	conf_free(c);
}
END_TEST

START_TEST(certificates_and_commands_become_sets)
{
	struct conf *c = load("config-sync { defaults = no tree '/etc/a' { validate = 'check it' reload = 'do it' } tree '/etc/a/b' {}\n"
	    "certificate mail { certificate = '/opt/m.pem' key = '/opt/m.key' names = { 'mail.example.org', 'b.example.org' } } }");
	struct setup *s = setup_new(c, NULL);
	struct set_id id, other;

	set_of(&s->sets, "opt/m.pem", &id);
	set_of(&s->sets, "opt/m.key", &other);
	ck_assert(id.kind == SET_CERTIFICATE && set_same(&id, &other));
	ck_assert_str_eq(id.certificate->names[1], "b.example.org");
	ck_assert_ptr_null(id.certificate->names[2]);
	ck_assert_ptr_null(id.certificate->chain);
	ck_assert_int_eq(place(s, "opt/m.key"), SCOPE_INSIDE);
	set_of(&s->sets, "etc/a/x", &id);
	ck_assert_str_eq(id.validate, "check it");
	ck_assert_str_eq(setup_tree_of(s, "etc/a/x")->reload, "do it");
	ck_assert_str_eq(setup_tree_of(s, "etc/a/b/x")->path, "/etc/a/b");
	ck_assert_ptr_null(setup_tree_of(s, "etc/ab"));
	setup_free(s);
	conf_free(c);
}
END_TEST

static void
digest_of(const char *text, uint8_t ret[DIGEST_LEN])
{
	struct conf *c = load(text);
	struct setup *s;

	c->file = "/etc/mailpair/mailpair.conf";
	s = setup_new(c, NULL);
	setup_digest(c, s, ret);
	setup_free(s);
	conf_free(c);
}

START_TEST(the_digest_is_of_what_is_carried_and_of_nothing_else)
{
	static const char base[] = "config-sync { tree '/a' { exclude = { 'x', 'y' } } }";
	static const char *const same[] = { base, "config-sync { settle = 5s keep = 2d tree '/a' { exclude = { 'x', 'y' } validate = true } }", NULL };
	static const char *const other[] = { "config-sync { tree '/a' { exclude = { 'x' } } }", "config-sync { tree '/b' { exclude = { 'x', 'y' } } }",
	    "config-sync { writers = both tree '/a' { exclude = { 'x', 'y' } } }", "config-sync { setuid = yes tree '/a' { exclude = { 'x', 'y' } } }",
	    "config-sync { tree '/a' { include = { 'x', 'y' } } }", "config-sync { tree '/a' { exclude = x include = y } }",
	    "config-sync { defaults = no tree '/a' { exclude = { 'x', 'y' } } }", NULL };
	uint8_t want[DIGEST_LEN], is[DIGEST_LEN];

	digest_of(base, want);
	for (size_t i = 0; same[i] != NULL; i++) {
		digest_of(same[i], is);
		ck_assert_msg(memcmp(is, want, DIGEST_LEN) == 0, "%s", same[i]);
	}
	for (size_t i = 0; other[i] != NULL; i++) {
		digest_of(other[i], is);
		ck_assert_msg(memcmp(is, want, DIGEST_LEN) != 0, "%s", other[i]);
	}
}
END_TEST

static void
slurp(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t len;

	ck_assert_msg(f != NULL, "cannot open %s: run me in the root of the source tree", path);
	len = fread(buf, 1, size - 1, f);
	fclose(f);
	ck_assert_uint_lt(len, size - 1);
	buf[len] = '\0';
}

START_TEST(the_default_trees_are_those_of_the_manual)
{
	static char manual[200000];
	const char *at;
	size_t n = 0;

	slurp(MANUAL, manual, sizeof manual);
	at = strstr(manual, ".Ss Default trees\n");
	ck_assert_ptr_nonnull(at);
	for (; setup_defaults()[n].path != NULL; n++) {
		char want[256];

		snprintf(want, sizeof want, "\n.It Pa %s\n%s\n", setup_defaults()[n].path, setup_defaults()[n].why);
		at = strstr(at, want);
		ck_assert_msg(at != NULL, "%s is missing, or not in its place", want);
	}
	ck_assert_uint_gt(n, 20);
}
END_TEST

START_TEST(the_example_for_bluemind_is_a_good_section)
{
	static char text[8192];
	struct conf *c;
	struct setup *s;

	slurp(EXAMPLES "/config-sync-bluemind.conf", text, sizeof text);
	c = load(text);
	s = setup_new(c, NULL);
	ck_assert_int_eq(place(s, "var/lib/bm-ca/ca-cert.pem"), SCOPE_INSIDE);
	ck_assert_int_eq(place(s, "etc/ssl/certs/bm_cert.pem"), SCOPE_INSIDE);
	ck_assert_int_eq(place(s, "usr/share/bm-elasticsearch/config/elasticsearch.yml"), SCOPE_INSIDE);
	ck_assert_int_eq(place(s, "usr/share/bm-elasticsearch/config"), SCOPE_ABOVE);
	ck_assert_int_eq(place(s, "etc/sysctl.conf"), SCOPE_INSIDE);
	setup_free(s);
	conf_free(c);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_setup");
	TCase *tc = tcase_create("config_setup");

	tcase_add_test(tc, an_empty_section_carries_the_default_trees_and_mailpairs_own);
	tcase_add_test(tc, mailpairs_own_configuration_is_judged_wherever_it_is_carried);
	tcase_add_test(tc, patterns_of_a_tree_count_from_the_tree_on);
	tcase_add_loop_test(tc, the_keys_of_the_pair_are_carried_only_where_they_are_named, 0, 5);
	tcase_add_test(tc, a_default_tree_on_the_shared_storage_or_in_the_state_is_left_out);
	tcase_add_test(tc, certificates_and_commands_become_sets);
	tcase_add_test(tc, the_digest_is_of_what_is_carried_and_of_nothing_else);
	tcase_add_test(tc, the_default_trees_are_those_of_the_manual);
	tcase_add_test(tc, the_example_for_bluemind_is_a_good_section);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
