/*
 * tests/unit/test_config_manifest.c - laws of entries, ACLs and manifests: order, comparison, and that what comes back from the
 * binary form is what went in, and nothing else is taken.
 */
#include "tests/unit/harness.h"

#include "configsync/acl.h"
#include "configsync/manifest.h"
#include "tests/unit/config_toy.h"

#define SEEDS 300

static const struct manifest_limits limits = { 1000, 1 << 20 };

static struct manifest *
again(const struct manifest *m)
{
	struct manifest *back;
	struct err err;
	uint8_t *bytes;
	size_t len;

	bytes = manifest_encode(m, &len);
	back = manifest_parse(bytes, len, &limits, &err);
	ck_assert_msg(back != NULL, "%s", err.text);
	free(bytes);
	return back;
}

START_TEST(a_manifest_survives_its_binary_form)
{
	struct manifest *m = toy_tree((uint64_t)_i), *back = again(m);

	ck_assert(toy_same(m, back));
	for (size_t i = 0; i < m->len; i++)
		ck_assert_uint_eq(m->at[i].user.id, back->at[i].user.id);
	manifest_free(m);
	manifest_free(back);
}
END_TEST

START_TEST(paths_ascend_and_a_directory_is_followed_by_what_is_in_it)
{
	struct manifest *m = toy_tree((uint64_t)_i);

	for (size_t i = 1; i < m->len; i++) {
		size_t parent = entry_path_parent(m->at[i].path), k = i;

		ck_assert_int_lt(entry_path_order(m->at[i - 1].path, m->at[i].path), 0);
		ck_assert_ptr_eq(manifest_find(m, m->at[i].path), &m->at[i]);
		while (parent != 0 && strncmp(m->at[k].path, m->at[i].path, parent) == 0 && m->at[k].path[parent] != '\0')
			k--;
		ck_assert(parent == 0 || m->at[k].path[parent] == '\0');
	}
	manifest_free(m);
}
END_TEST

START_TEST(the_same_names_with_other_numbers_are_the_same_tree)
{
	struct entry_xattr acl[2] = { toy_xattr[1], toy_xattr[1] };
	uint8_t bytes[37];
	struct entry e = { .path = "a", .type = ENTRY_DIRECTORY, .user = { "mail", 8 }, .group = { "mail", 8 }, .xattr = acl, .xattrs = 1 };
	struct manifest *m[3];

	memcpy(bytes, acl[0].value, sizeof bytes);
	bytes[12] = 77;
	acl[1].value = bytes;
	for (int i = 0; i < 3; i++) {
		m[i] = manifest_new();
		manifest_add(m[i], &e);
		toy_sealed(m[i]);
		e.user.id = 12;
		e.xattr = &acl[1];
		if (i == 1)
			e.user.name = "";
	}
	ck_assert_uint_eq(entry_diff(&m[0]->at[0], &m[1]->at[0]), 0);
	ck_assert_uint_eq(entry_diff(&m[1]->at[0], &m[2]->at[0]), 0);		/* 12 without a name, and mail with 12 */
	ck_assert_uint_eq(entry_diff(&m[0]->at[0], &m[2]->at[0]), ENTRY_DIFF_OWNER);
	for (int i = 0; i < 3; i++)
		manifest_free(m[i]);
}
END_TEST

START_TEST(names_of_one_inode_are_a_group_and_one_alone_is_none)
{
	static const struct { const char *path; uint64_t ino; const char *hard; } row[] = {
		{ "a", 1, "a" }, { "b", 2, NULL }, { "b-", 1, "a" }, { "c", 3, "c" }, { "d", 3, "c" }, { "e", 4, NULL },
	};
	struct manifest *m = manifest_new();

	for (size_t i = 6; i-- > 0;) {
		struct entry e = { .path = row[i].path, .type = ENTRY_FILE, .user = { "", 0 }, .group = { "", 0 } };

		e.local.ino = row[i].ino;
		e.local.links = row[i].ino == 4 ? 1 : 2;
		manifest_add(m, &e);
	}
	toy_sealed(m);
	for (size_t i = 0; i < 6; i++) {
		if (row[i].hard == NULL)
			ck_assert_ptr_null(m->at[i].hard);
		else
			ck_assert_str_eq(m->at[i].hard, row[i].hard);
	}
	manifest_free(m);
}
END_TEST

START_TEST(what_is_no_tree_cannot_be_sealed)
{
	static const char *const path[][2] = { { "a", "a" }, { "a", "a/b" }, { "a", "a/b/c" } };
	struct manifest *m = manifest_new();
	struct err err;

	for (int i = 0; i < 2; i++)
		manifest_add(m, &(struct entry){ .path = path[_i][i], .type = ENTRY_FILE, .user = { "", 0 }, .group = { "", 0 } });
	ck_assert(!manifest_seal(m, &err));
	ck_assert_ptr_nonnull(strstr(err.text, path[_i][1]));
	manifest_free(m);
}
END_TEST

START_TEST(only_paths_that_stay_below_the_root_are_paths)
{
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b" };
	static const char *const good[] = { "a", "...", ".a", "a/..b", "\xff\n\t", "a b/*" };
	char name[ENTRY_NAME_MAX + 2], path[ENTRY_PATH_MAX + 2];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!entry_path_ok(bad[i]), "%s", bad[i]);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		ck_assert_msg(entry_path_ok(good[i]), "%s", good[i]);
	memset(name, 'n', sizeof name);
	name[ENTRY_NAME_MAX + 1] = '\0';
	ck_assert(!entry_path_ok(name));
	ck_assert(entry_path_ok(name + 1));
	for (size_t i = 0; i <= ENTRY_PATH_MAX; i++)
		path[i] = i % 2 == 0 ? 'p' : '/';
	path[ENTRY_PATH_MAX + 1] = '\0';
	ck_assert(!entry_path_ok(path));
	path[ENTRY_PATH_MAX - 1] = '\0';
	ck_assert(entry_path_ok(path));
}
END_TEST

/* With its checksum made right again, so that the parser itself is asked. */
static bool
taken(uint8_t *bytes, size_t len)
{
	struct manifest *m;
	struct err err;
	bool ok;

	digest_sha256(bytes, len - DIGEST_LEN, bytes + len - DIGEST_LEN);
	m = manifest_parse(bytes, len, &limits, &err);
	ok = m != NULL;
	ck_assert(ok || err.text[0] != '\0');
	manifest_free(m);
	return ok;
}

START_TEST(what_is_cut_or_longer_or_spoilt_is_refused)
{
	struct manifest *m = toy_tree((uint64_t)_i);
	struct err err;
	uint8_t *bytes, *copy;
	size_t len;

	bytes = manifest_encode(m, &len);
	copy = malloc(len + 64);
	for (size_t cut = 0; cut < len; cut++) {
		memcpy(copy, bytes, len);
		ck_assert_ptr_null(manifest_parse(copy, cut, &limits, &err));
		ck_assert(cut < DIGEST_LEN || !taken(copy, cut));
		copy[cut] ^= 1;
		ck_assert_ptr_null(manifest_parse(copy, len, &limits, &err));
	}
	memcpy(copy, bytes, len);
	memset(copy + len, 0, 64);
	ck_assert(!taken(copy, len + 1));
	ck_assert_ptr_null(manifest_parse(bytes, len, &(struct manifest_limits){ 1000, len - 1 }, &err));
	if (m->len > 0)
		ck_assert_ptr_null(manifest_parse(bytes, len, &(struct manifest_limits){ m->len - 1, len }, &err));
	free(copy);
	free(bytes);
	manifest_free(m);
}
END_TEST

/* Any byte changed and the checksum made right: it is refused, or it is the one form of what was read. */
START_TEST(what_is_accepted_is_the_one_form_of_it)
{
	struct manifest *m = toy_tree((uint64_t)_i), *back;
	struct toy t = toy_of((uint64_t)_i + 1);
	uint8_t *bytes, *once;
	struct err err;
	size_t len, again_len;

	bytes = manifest_encode(m, &len);
	for (int round = 0; round < 200; round++) {
		size_t at = toy_below(&t, (unsigned int)(len - DIGEST_LEN));
		uint8_t was = bytes[at];

		bytes[at] = (uint8_t)toy_below(&t, 256);
		if (taken(bytes, len)) {
			back = manifest_parse(bytes, len, &limits, &err);
			once = manifest_encode(back, &again_len);
			ck_assert_uint_eq(again_len, len);
			ck_assert_mem_eq(once, bytes, len);
			free(once);
			manifest_free(back);
		}
		bytes[at] = was;
	}
	free(bytes);
	manifest_free(m);
}
END_TEST

START_TEST(what_a_manifest_must_not_say_is_refused)
{
	struct entry file = { .path = "a", .type = ENTRY_FILE, .mode = 0600, .user = { "", 0 }, .group = { "", 0 }, .local.links = 1 };
	struct entry_xattr capability = { "security.capability", (const uint8_t *)"x", 1 }, acl = { ACL_ACCESS, (const uint8_t *)"x", 1 };
	struct entry_xattr twice[2] = { { "user.b", (const uint8_t *)"", 0 }, { "user.a", (const uint8_t *)"", 0 } };
	struct entry bad[13];
	size_t count = 0;

	for (size_t i = 0; i < 13; i++)
		bad[i] = file;
	bad[count++].path = "../a";
	bad[count++].path = "/a";
	bad[count++].type = ENTRY_COUNT;
	bad[count++].mtime_ns = 1000000000;
	bad[count++].mode = 010000;
	bad[count++].size = UINT64_MAX;
	bad[count++].hard = "b";
	bad[count++].hard = "a";
	bad[count].xattr = &capability;
	bad[count++].xattrs = 1;
	bad[count].xattr = &acl;
	bad[count++].xattrs = 1;
	bad[count].type = ENTRY_LINK;
	bad[count].mode = 0777;
	bad[count++].target = "";
	bad[count].type = ENTRY_DIRECTORY;
	bad[count++].size = 1;
	bad[count].xattr = twice;
	bad[count++].xattrs = 2;
	ck_assert_uint_eq(count, 13);
	for (size_t i = 0; i < count; i++) {
		struct manifest *m = manifest_new();
		size_t len;
		uint8_t *bytes;

		manifest_add(m, &bad[i]);
		bytes = manifest_encode(m, &len);
		ck_assert_msg(!taken(bytes, len), "row %zu", i);
		free(bytes);
		manifest_free(m);
	}
}
END_TEST

START_TEST(an_entry_alone_survives_and_is_taken_in_its_own_length_only)
{
	struct manifest *m = toy_tree((uint64_t)_i), *one = manifest_new();
	struct err err;

	for (size_t i = 0; i < m->len; i++) {
		size_t len;
		uint8_t *bytes = manifest_encode_entry(&m->at[i], &len), *longer = calloc(1, len + 1);

		ck_assert(manifest_parse_entry(one, bytes, len, &err));
		ck_assert_uint_eq(entry_diff(&one->at[i], &m->at[i]), 0);
		memcpy(longer, bytes, len);
		ck_assert(!manifest_parse_entry(one, longer, len + 1, &err));
		ck_assert(!manifest_parse_entry(one, longer, len - 1, &err));
		free(bytes);
		free(longer);
	}
	ck_assert_uint_eq(one->len, m->len);
	manifest_free(one);
	manifest_free(m);
}
END_TEST

/* ---------------------------------------------------------------- ACLs */

static const char *
name_of(void *arg, bool group, uint32_t id)
{
	(void)arg;
	return id == 1000 ? (group ? "crew" : "bo") : "";
}

static bool
id_of(void *arg, bool group, const char *name, uint32_t id, uint32_t *ret)
{
	*ret = name[0] == '\0' ? id : *(uint32_t *)arg;
	return group || strcmp(name, "nobody-here") != 0;
}

/* user::rw- user:1000:r-- group::r-- group:1000:r-- group:1001:r-- mask::r-- other::--- */
static const uint8_t kernel[] = "\2\0\0\0" "\1\0\6\0\xff\xff\xff\xff" "\2\0\4\0\xe8\3\0\0" "\4\0\4\0\xff\xff\xff\xff"
    "\x08\0\4\0\xe8\3\0\0" "\x08\0\4\0\xe9\3\0\0" "\x10\0\4\0\xff\xff\xff\xff" "\x20\0\0\0\xff\xff\xff\xff";

START_TEST(an_acl_keeps_its_names_and_takes_the_numbers_of_the_node)
{
	uint32_t here = 1000;
	uint8_t ours[256], back[256];
	size_t len = acl_from_kernel(kernel, sizeof kernel - 1, name_of, NULL, ours, sizeof ours);

	ck_assert_uint_eq(len, 7 * 7 + 2 + 4);
	ck_assert(acl_ok(ours, len));
	ck_assert_uint_eq(acl_to_kernel(ours, len, id_of, &here, back, sizeof back), sizeof kernel - 1);
	ck_assert_mem_eq(back, kernel, sizeof kernel - 1);
	here = 5000;
	ck_assert_uint_eq(acl_to_kernel(ours, len, id_of, &here, back, sizeof back), sizeof kernel - 1);
	ck_assert_uint_eq(back[4 + 8 + 4] | back[4 + 8 + 5] << 8, 5000);	/* bo */
	ck_assert_uint_eq(back[4 + 32 + 4] | back[4 + 32 + 5] << 8, 1001);	/* has no name */
	for (size_t room = 0; room < len; room++) {
		ck_assert_uint_eq(acl_from_kernel(kernel, sizeof kernel - 1, name_of, NULL, ours + 100, room), 0);
		ck_assert(!acl_ok(ours, room) || room == 7 || room == 16 || room == 23 || room == 34 || room == 41 || room == 48);
	}
	ck_assert_uint_eq(acl_from_kernel(kernel, sizeof kernel - 2, name_of, NULL, ours, sizeof ours), 0);
	ck_assert_uint_eq(acl_from_kernel((const uint8_t *)"\3\0\0\0", 4, name_of, NULL, ours, sizeof ours), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config manifest");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_manifest_survives_its_binary_form, 0, SEEDS);
	tcase_add_loop_test(tc, paths_ascend_and_a_directory_is_followed_by_what_is_in_it, 0, SEEDS);
	tcase_add_test(tc, the_same_names_with_other_numbers_are_the_same_tree);
	tcase_add_test(tc, names_of_one_inode_are_a_group_and_one_alone_is_none);
	tcase_add_loop_test(tc, what_is_no_tree_cannot_be_sealed, 0, 3);
	tcase_add_test(tc, only_paths_that_stay_below_the_root_are_paths);
	tcase_add_loop_test(tc, what_is_cut_or_longer_or_spoilt_is_refused, 0, 12);
	tcase_add_loop_test(tc, what_is_accepted_is_the_one_form_of_it, 0, 40);
	tcase_add_test(tc, what_a_manifest_must_not_say_is_refused);
	tcase_add_test(tc, an_acl_keeps_its_names_and_takes_the_numbers_of_the_node);
	tcase_add_loop_test(tc, an_entry_alone_survives_and_is_taken_in_its_own_length_only, 0, 20);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
