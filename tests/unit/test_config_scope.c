/*
 * tests/unit/test_config_scope.c - laws of patterns and of what is carried.
 */
#include "tests/unit/harness.h"

#include <fnmatch.h>
#include <string.h>

#include "configsync/entry.h"
#include "configsync/glob.h"
#include "configsync/scope.h"

START_TEST(patterns_mean_what_the_header_says)
{
	static const struct { const char *pattern, *path; bool matches; } row[] = {
		{ "*.cf", "etc/postfix/main.cf", true }, { "*.cf", "main.cf", true }, { "*.cf", "main.cf/x", false },
		{ "*", ".hidden", true }, { "/etc/*", "etc/a", true }, { "etc/*", "etc/a", true }, { "/etc/*", "etc/a/b", false },
		{ "/etc/**", "etc/a/b", true }, { "/etc/**", "etc", false }, { "/etc/**/b", "etc/b", true },
		{ "/etc/**/b", "etc/x/y/b", true }, { "/etc/**/b", "etc/x/y/c", false }, { "**/b", "b", true }, { "**/b", "a/b", true },
		{ "**", "a", true }, { "/etc", "etc", true }, { "/etc", "xetc", false }, { "/etc", "etc/a", false }, { "/etc/", "etc", true },
		{ "/a/**/b/**/c", "a/b/b/x/c", true }, { "/a/**/b/**/c", "a/c/b", false }, { "[ab]?", "x/bc", true },
		{ "/etc/*.d/x", "etc/a.d/x", true }, { "\\*", "*", true }, { "\\*", "a", false },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		ck_assert_msg(glob_match(row[i].pattern, row[i].path) == row[i].matches, "%s %s", row[i].pattern, row[i].path);
}
END_TEST

/* Of one component it is what the C library says. */
START_TEST(a_pattern_of_one_component_matches_as_fnmatch_does)
{
	static const char bytes[] = "aab.*?";
	uint64_t state = (uint64_t)_i + 1;
	size_t yes = 0;

	for (int n = 0; n < 20000; n++) {
		char text[2][8] = { "" };

		for (int k = 0; k < 2; k++) {
			size_t len = 1 + (state >> 40) % 6;

			for (size_t i = 0; i < len; i++) {
				state = state * 6364136223846793005u + 1442695040888963407u;
				text[k][i] = bytes[(state >> 33) % (k == 0 ? 6 : 4)];
			}
		}
		if (strstr(text[0], "**") == text[0])
			continue;	/* any number of components */
		ck_assert_msg(glob_match(text[0], text[1]) == (fnmatch(text[0], text[1], 0) == 0), "%s %s", text[0], text[1]);
		yes += glob_match(text[0], text[1]);
	}
	ck_assert_uint_gt(yes, 100);
}
END_TEST

START_TEST(a_path_is_judged_from_its_tree_on)
{
	static const char *const trees[] = { "/etc/postfix/", "etc/aliases", "/etc/postfix/sub", "/etc/ssl", NULL };
	static const char *const excludes[] = { "/etc/postfix/local*", "*.key", NULL }, *const includes[] = { "/etc/postfix/local.cf",
	    "/etc/ssl/mail.key", "/etc/postfix/local.d/in", "x.dpkg-new", NULL };
	static const struct { const char *path; enum scope_place place; } row[] = {
		{ "etc", SCOPE_ABOVE }, { "etc/postfix", SCOPE_INSIDE }, { "etc/postfix/main.cf", SCOPE_INSIDE },
		{ "etc/postfixx", SCOPE_OUTSIDE }, { "etc/passwd", SCOPE_OUTSIDE }, { "etc/aliases", SCOPE_INSIDE },
		{ "etc/postfix/local2", SCOPE_EXCLUDED }, { "etc/postfix/local.cf", SCOPE_INSIDE },
		{ "etc/postfix/local.d/in", SCOPE_EXCLUDED },		/* its directory is */
		{ "etc/ssl/a.key", SCOPE_EXCLUDED }, { "etc/ssl/mail.key", SCOPE_INSIDE },
		{ "etc/postfix/.main.cf.swp", SCOPE_EXCLUDED }, { "etc/postfix/main.cf~", SCOPE_EXCLUDED },
		{ "etc/postfix/x.dpkg-old", SCOPE_EXCLUDED }, { "etc/postfix/x.dpkg-new", SCOPE_INSIDE },
		{ "etc/ssl/private/ssl-cert-snakeoil.key", SCOPE_EXCLUDED },
		{ "etc/postfix/.mailpair-new.0123456789abcdef0123456789abcdef", SCOPE_BEING_WRITTEN },
		{ "etc/.mailpair-new.0123456789abcdef0123456789abcdef", SCOPE_BEING_WRITTEN },
		{ "etc/postfix/.mailpair-new.0123456789abcdef0123456789abcdef/x", SCOPE_EXCLUDED },
		{ "etc/postfix/.mailpair-table.0123456789abcdef0123456789abcdef", SCOPE_EXCLUDED },
		{ "etc/postfix/.mailpair-table.0123456789abcdef0123456789abcdef/table", SCOPE_EXCLUDED },
		{ "etc/postfix/.mailpair-new.short", SCOPE_INSIDE },
	};
	struct scope_rules rules = { .tree = trees, .include = includes, .exclude = excludes };
	struct err err;
	struct scope *s = scope_new(&rules, &err);

	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		ck_assert_msg(scope_place(s, row[i].path) == row[i].place, "%s: %d", row[i].path, scope_place(s, row[i].path));
	ck_assert_str_eq(scope_tree(s, 0), "etc/postfix");
	ck_assert_str_eq(scope_tree(s, 2), "etc/ssl");
	ck_assert_ptr_null(scope_tree(s, 3));
	scope_free(s);
}
END_TEST

START_TEST(what_makes_a_node_itself_is_never_carried)
{
	static const char *const paths[] = { "etc/hostname", "etc/machine-id", "etc/hostid", "var/lib/dbus/machine-id", "etc/ssh/ssh_host_rsa_key",
	    "etc/ssh/ssh_host_rsa_key.pub", "etc/iscsi/initiatorname.iscsi", "etc/nvme/hostnqn", "etc/ssl/certs/ssl-cert-snakeoil.pem",
	    "etc/ssl/private/ssl-cert-snakeoil.key", "etc/postfix/makedefs.out", "etc/network/interfaces", "etc/network/interfaces.d/eth0",
	    "etc/netplan/01.yaml", "etc/systemd/network/eth.network", "etc/NetworkManager/system-connections/lan", "etc/sysconfig/network",
	    "etc/sysconfig/network-scripts/ifcfg-eth0", "etc/resolv.conf", "etc/udev/rules.d/70-persistent-net.rules", "etc/fstab", "etc/mtab",
	    "etc/crypttab", "etc/lvm/lvm.conf", "etc/mdadm/mdadm.conf", "etc/multipath/bindings", "etc/adjtime", "etc/ld.so.cache", "etc/x~",
	    "etc/.x.swp", "etc/.x.un~", "etc/#x#", "etc/.#x", "etc/.x.kate-swp", "etc/.goutputstream-AB12", "etc/.nfs00001", "etc/x.dpkg-new",
	    "etc/x.dpkg-old", "etc/x.ucf-dist", "etc/x.rpmnew", "etc/x.rpmsave", "etc/x.rpmorig", "etc/.git/config", "etc/.etckeeper",
	    "etc/.pwd.lock", "etc/letsencrypt/.certbot.lock", NULL };
	static const char *const trees[] = { "/etc", "/var/lib/dbus", NULL };
	size_t n = 0, rules = 0;
	struct err err;
	struct scope *s = scope_new(&(struct scope_rules){ .tree = trees }, &err);
	struct scope *bare = scope_new(&(struct scope_rules){ .tree = trees, .no_defaults = true }, &err);

	for (size_t i = 0; paths[i] != NULL; i++) {
		ck_assert_msg(scope_place(s, paths[i]) == SCOPE_EXCLUDED, "%s", paths[i]);
		ck_assert_int_eq(scope_place(bare, paths[i]), SCOPE_INSIDE);
	}
	ck_assert_int_eq(scope_place(s, "etc/hosts"), SCOPE_INSIDE);
	ck_assert_int_eq(scope_place(s, "etc/ssl/certs/mail.pem"), SCOPE_INSIDE);
	/* none without a path above: some have two */
	while (paths[n] != NULL)
		n++;
	while (scope_default_exclusions()[rules] != NULL)
		rules++;
	ck_assert_uint_eq(n, rules + 2);
	scope_free(s);
	scope_free(bare);
}
END_TEST

/* Paths of few names, so that many stand in one directory, some in two trees, some beside a tree. */
START_TEST(what_stands_beside_a_path_is_judged_as_alone)
{
	static const char *const tree[] = { "/etc", "/srv/one", "/srv/two/x", NULL }, *const no[] = { "*.tmp", "/etc/b/a", "/srv/one/b", NULL };
	static const char *const name[] = { "etc", "srv", "one", "two", "x", "a", "b", "c.tmp", ".mailpair-new.0123456789abcdef0123456789abcdef" };
	const struct scope_rules rules = { .tree = tree, .exclude = no, .no_defaults = true };
	struct scope *s = scope_new(&rules, NULL);
	uint64_t state = 1;
	size_t beside = 0, inside = 0;

	for (int n = 0; n < 200000; n++) {
		char path[2][256] = { "" };

		for (int k = 0; k < 2; k++) {
			size_t names = 1 + (state >> 40) % 4, at = 0;

			for (size_t i = 0; i < names; i++) {
				state = state * 6364136223846793005u + 1442695040888963407u;
				at += (size_t)snprintf(path[k] + at, sizeof path[k] - at, "%s%s", i > 0 ? "/" : "",
				    name[(state >> 33) % (sizeof name / sizeof *name)]);
			}
		}
		if (scope_place(s, path[0]) != SCOPE_INSIDE)
			continue;
		ck_assert_msg(scope_holds(s, path[1], path[0]) == (scope_place(s, path[1]) == SCOPE_INSIDE), "%s beside %s", path[1], path[0]);
		beside += entry_path_parent(path[0]) == entry_path_parent(path[1]) && strncmp(path[0], path[1], entry_path_parent(path[0]) + 1) == 0;
		inside += scope_holds(s, path[1], path[0]);
	}
	ck_assert_msg(beside > 100 && inside > 1000, "%zu beside, %zu inside", beside, inside);
	scope_free(s);
}
END_TEST

START_TEST(a_variant_ends_in_the_name_of_a_node)
{
	static const char *const trees[] = { "/etc", NULL }, *const nodes[] = { "mx1", "mx2", NULL };
	static const struct { const char *path; size_t len; } row[] = {
		{ "etc/main.cf@mx1", 11 }, { "etc/main.cf@mx3", 0 }, { "etc/@mx1", 0 }, { "@mx1", 0 }, { "etc/a@mx1/b", 0 },
		{ "etc/a@mx1@mx2", 9 }, { "a@mx2", 1 },
	};
	struct err err;
	struct scope *s = scope_new(&(struct scope_rules){ .tree = trees, .node = nodes }, &err);

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		const char *node = NULL;

		ck_assert_uint_eq(scope_variant(s, row[i].path, &node), row[i].len);
		ck_assert(row[i].len == 0 || strcmp(node, row[i].path + row[i].len + 1) == 0);
	}
	scope_free(s);
}
END_TEST

START_TEST(a_tree_that_is_no_path_is_refused)
{
	static const char *const bad[] = { "", "/", "/etc/../x", "etc//a" };
	const char *trees[] = { bad[_i], NULL };
	struct err err;

	ck_assert_ptr_null(scope_new(&(struct scope_rules){ .tree = trees }, &err));
	ck_assert_ptr_nonnull(strstr(err.text, bad[_i]));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config scope");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, a_pattern_of_one_component_matches_as_fnmatch_does, 0, 5);
	tcase_add_test(tc, patterns_mean_what_the_header_says);
	tcase_add_test(tc, a_path_is_judged_from_its_tree_on);
	tcase_add_test(tc, what_makes_a_node_itself_is_never_carried);
	tcase_add_test(tc, what_stands_beside_a_path_is_judged_as_alone);
	tcase_add_test(tc, a_variant_ends_in_the_name_of_a_node);
	tcase_add_loop_test(tc, a_tree_that_is_no_path_is_refused, 0, 4);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
