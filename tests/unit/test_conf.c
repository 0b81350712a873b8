/*
 * tests/unit/test_conf.c - mailpair.conf as files: golden texts of every mistake in
 * tests/fixtures/conf, the example in etc/ and the manual page against the table of options, and
 * what conf_load() itself promises. Runs in the root of the source tree.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/conf_parts.h"
#include "tests/unit/harness.h"

#define FIXTURES "tests/fixtures/conf"
#define EXAMPLE "etc/mailpair.conf"
#define MANUAL "docs/man/mailpair.conf.5"

static const char least[] = "pair = \"mail\"\nnode \"mx1\" {}\nnode \"mx2\" {}\n"
    "heartbeat { link \"l\" { mx1 = \"10.0.0.1\" mx2 = \"10.0.0.2\" } }\n"
    "storage \"s\" { device = \"/dev/sdb\" mountpoint = \"/srv/mail\" fstype = \"ext4\" }\nmta \"postfix\" {}\n";

static char *
slurp(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "r");
	char *text = malloc(600000);
	size_t len;

	ck_assert_msg(f != NULL, "cannot open %s: run me in the root of the source tree", path);
	len = fread(text, 1, 599999, f);
	fclose(f);
	text[len] = '\0';
	if (ret_len != NULL)
		*ret_len = len;
	return text;
}

/* The mistakes as mailpaird -t prints them. */
static char *
printed(const char *name, const struct conf_mistakes *m)
{
	char *text = calloc(1, 500 * (m->len + 1));
	size_t used = 0;

	for (size_t i = 0; i < m->len; i++) {
		if (m->item[i].line == 0)
			used += (size_t)snprintf(text + used, 500, "%s: %s\n", name, m->item[i].text);
		else
			used += (size_t)snprintf(text + used, 500, "%s:%d: %s\n", name, m->item[i].line, m->item[i].text);
	}
	return text;
}

static bool
load_text(const char *text, size_t len, mode_t mode, const char *node, struct conf **ret, struct conf_mistakes *m)
{
	char path[] = "/tmp/test_conf.XXXXXX";
	int fd = mkstemp(path);
	bool ok;

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
	ok = conf_load(path, node, ret, m);
	unlink(path);
	return ok;
}

static struct conf *
load_good(const char *text)
{
	struct conf_mistakes m = { 0 };
	struct conf *conf = NULL;
	bool ok = load_text(text, strlen(text), 0644, "mx1", &conf, &m);

	ck_assert_msg(ok, "refused: %s", m.len > 0 ? m.item[0].text : "");
	return conf;
}

START_TEST(every_fixture_loads_or_is_refused_in_exactly_these_words)
{
	DIR *dir = opendir(FIXTURES);
	struct dirent *entry;
	int good = 0, bad = 0;

	ck_assert_msg(dir != NULL, "cannot open " FIXTURES ": run me in the root of the source tree");
	while ((entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name);
		char path[512], golden[512];
		struct conf_mistakes m = { 0 };
		struct conf *conf = NULL;
		char *is, *want;
		bool ok;

		if (len < 5 || strcmp(entry->d_name + len - 5, ".conf") != 0)
			continue;
		snprintf(path, sizeof(path), FIXTURES "/%s", entry->d_name);
		snprintf(golden, sizeof(golden), FIXTURES "/%.*s.err", (int)len - 5, entry->d_name);
		ok = conf_load(path, "mx1", &conf, &m);
		is = printed(entry->d_name, &m);
		want = access(golden, F_OK) == 0 ? slurp(golden, NULL) : strdup("");
		ck_assert_msg(strcmp(is, want) == 0, "%s says\n%s\ninstead of\n%s", path, is, want);
		ck_assert_msg(ok == (want[0] == '\0') && ok == (conf != NULL), "%s", path);
		ck_assert_msg(strstr(is, "hunter2") == NULL, "%s: a secret stands in a message", path);
		good += ok ? 1 : 0;
		bad += ok ? 0 : 1;
		free(is);
		free(want);
		conf_free(conf);
		conf_mistakes_free(&m);
	}
	closedir(dir);
	ck_assert_int_ge(good, 3);
	ck_assert_int_ge(bad, 20);
}
END_TEST

START_TEST(the_example_loads_on_both_nodes)
{
	static const char *const names[] = { "mx1", "mx2" };
	struct conf_mistakes m = { 0 };
	struct conf *conf = NULL;
	bool ok = conf_load(EXAMPLE, names[_i], &conf, &m);

	ck_assert_msg(ok, "line %d: %s", m.len > 0 ? m.item[0].line : 0, m.len > 0 ? m.item[0].text : "");
	ck_assert_int_eq(conf->self, _i);
	ck_assert_uint_eq(conf->links, 2);
	ck_assert_uint_eq(conf->fences, 2);
	ck_assert_uint_eq(conf->addresses, 2);
	conf_free(conf);
}
END_TEST

/* "#name = value" becomes "name = value" where the option has a default of the table. */
static char *
uncomment(const char *text)
{
	char *copy = strdup(text);

	for (char *line = copy; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
		char *hash, name[64];

		line += *line == '\n' ? 1 : 0;
		hash = line + strspn(line, "\t");
		if (*hash != '#' || sscanf(hash, "#%63[a-z0-9-] = ", name) != 1 ||
		    strchr("#\n ", hash[1]) != NULL || hash[strlen(name) + 1] != ' ')
			continue;
		if (strncmp(hash + strlen(name) + 1, " = ", 3) != 0 || strcmp(name, "mx2") == 0 || strcmp(name, "mx1") == 0 ||
		    strcmp(name, "prefer") == 0 || strcmp(name, "config") == 0 || strcmp(name, "services") == 0 || strcmp(name, "interface") == 0 ||
		    (strcmp(name, "probe") == 0 && strstr(hash, "127.0.0.1") < strchr(hash, '\n') &&
		    strstr(hash, "127.0.0.1") != NULL))
			continue;
		*hash = ' ';
	}
	return copy;
}

static void
same_field(const struct conf_option *o, const char *a, const char *b)
{
	const char *const *left = (const char *const *)(const void *)(a + o->offset);
	const char *const *right = (const char *const *)(const void *)(b + o->offset);

	if (o->kind == KIND_TEXT)
		ck_assert_msg((*left == NULL) == (*right == NULL) && (*left == NULL || strcmp(*left, *right) == 0),
		    "%s", o->name);
	else if (o->kind != KIND_LIST)
		ck_assert_msg(memcmp(a + o->offset, b + o->offset, o->size) == 0, "%s", o->name);
}

START_TEST(the_defaults_in_the_example_are_the_defaults)
{
	char *text = slurp(EXAMPLE, NULL), *full = uncomment(text);
	struct conf *a = load_good(text), *b = load_good(full);
	int compared = 0;

	ck_assert_str_ne(text, full);
	for (enum conf_section_id id = SECT_TOP; id < SECT_COUNT; id++) {
		const struct conf_section *s = &conf_schema[id];

		for (size_t i = 0; i < s->options_len; i++) {
			same_field(&s->options[i], (const char *)a + s->base, (const char *)b + s->base);
			if (s->options[i].fallback != NULL && conf_given(b,
			    (const char *)b + s->base + s->options[i].offset))
				compared++;
		}
	}
	ck_assert_int_ge(compared, 40);
	ck_assert_mem_eq(&a->heartbeat, &b->heartbeat, sizeof(a->heartbeat));
	conf_free(a);
	conf_free(b);
	free(text);
	free(full);
}
END_TEST

START_TEST(every_option_stands_in_the_example_and_in_the_manual)
{
	char *example = slurp(EXAMPLE, NULL), *manual = slurp(MANUAL, NULL);
	const struct conf_section *s = &conf_schema[_i];
	char wanted[96];

	for (size_t i = 0; i < s->options_len; i++) {
		snprintf(wanted, sizeof(wanted), "%s = ", s->options[i].name);
		ck_assert_msg(strstr(example, wanted) != NULL, "%s is missing in " EXAMPLE, s->options[i].name);
		snprintf(wanted, sizeof(wanted), ".It Ic %s%s", s->options[i].name, _i == SECT_TIMEOUTS ? "\n" : " No");
		ck_assert_msg(strstr(manual, wanted) != NULL, "%s is missing in " MANUAL, s->options[i].name);
	}
	free(example);
	free(manual);
}
END_TEST

START_TEST(the_least_configuration_has_the_defaults_of_the_contract)
{
	struct conf *c = load_good(least);

	ck_assert_str_eq(c->state_dir, "/var/lib/mailpair");
	ck_assert_str_eq(c->run_dir, "/run/mailpair");
	ck_assert_str_eq(c->authkeys, "/etc/mailpair/authkeys");
	ck_assert_uint_eq(c->heartbeat.keepalive_ms, 200);
	ck_assert_uint_eq(c->heartbeat.warntime_ms, 500);
	ck_assert_uint_eq(c->heartbeat.deadtime_ms, 1000);
	ck_assert_uint_eq(c->heartbeat.initdead_ms, 60000);
	ck_assert_uint_eq(c->link[0].port, 694);
	ck_assert_int_eq(c->link[0].line, 4);
	ck_assert(!c->takeover.automatic && !c->takeover.failback && c->takeover.hints);
	ck_assert_int_eq(c->takeover.prefer, -1);
	ck_assert_uint_eq(c->takeover.fence_delay_ms, 3000);
	ck_assert_uint_eq(c->mta.failures, 3);
	ck_assert_uint_eq(c->mta.window, 5);
	ck_assert_ptr_null(c->mta.config);
	ck_assert_uint_eq(c->kill_ms, 5000);
	ck_assert_uint_eq(c->stall_ms, 30000);
	ck_assert_str_eq(c->storage.node_device[1], "/dev/sdb");
	ck_assert_str_eq(c->storage.options, "");
	ck_assert_int_eq(c->storage.line, 5);
	ck_assert(!c->sync.on && c->sync.defaults);
	ck_assert_uint_eq(c->sync.port, 9695);
	ck_assert_uint_eq(c->sync.validate_ms, 10000);
	ck_assert_uint_eq(c->sync.reload_ms, 60000);
	ck_assert_uint_eq(c->sync.keep_s, 90 * 86400);
	ck_assert_uint_eq(c->sync.keep_bytes, 1u << 30);
	conf_free(c);
}
END_TEST

START_TEST(values_arrive_where_they_belong)
{
	struct conf_mistakes m = { 0 };
	struct conf *c = NULL;

	ck_assert(conf_load(FIXTURES "/good-odd-form.conf", "mx2.example.org", &c, &m));
	ck_assert_int_eq(c->self, 1);
	ck_assert_str_eq(c->storage.node_device[0], "/dev/sdb1");
	ck_assert_str_eq(c->storage.node_device[1], "/dev/sdc1");
	ck_assert_uint_eq(c->fence[1].options_len, 3);
	ck_assert_str_eq(c->fence[1].options[1], "note=a \"quoted\" word");
	ck_assert_str_eq(c->fence[1].options[2], "path=C:\\x \"y\"");
	ck_assert_str_eq(c->fence[0].options[0], "plug=1");
	ck_assert_int_eq(conf_line(c, &c->fence[1].options[1], 0), 11);
	ck_assert_uint_eq(c->fence[0].monitor_ms, 0);
	ck_assert_int_eq(c->fence[1].node, 1);
	ck_assert_str_eq(c->link[0].address[1], "fe80::2%eth1");
	ck_assert_int_eq(c->link[1].transport, CONF_BROADCAST);
	ck_assert_uint_eq(c->link[1].port, 695);
	ck_assert_uint_eq(c->heartbeat.initdead_ms, 120000);
	ck_assert(c->takeover.automatic && !c->takeover.hints);
	conf_free(c);
	c = NULL;
	ck_assert(conf_load(FIXTURES "/good-contract.conf", "MX1", &c, &m));
	ck_assert_int_eq(c->address[0].family, AF_INET);
	ck_assert_uint_eq(c->address[0].prefix, 24);
	ck_assert_uint_eq(c->address[0].bytes[3], 53);
	ck_assert_uint_eq(c->link[2].baud, 115200);
	ck_assert_int_eq(c->takeover.prefer, 0);
	conf_free(c);
	c = NULL;
	ck_assert(conf_load(FIXTURES "/good-sync.conf", "mx1", &c, &m));
	ck_assert(c->sync.on && c->sync.writers == CONF_WRITERS_BOTH && !c->sync.defaults && c->sync.setuid);
	ck_assert_uint_eq(c->sync.settle_ms, 1000);
	ck_assert_uint_eq(c->sync.port, 9700);
	ck_assert_uint_eq(c->sync.validate_ms, 3000);
	ck_assert_uint_eq(c->sync.reload_ms, 120000);
	ck_assert_uint_eq(c->sync.keep_s, 30 * 86400);
	ck_assert_uint_eq(c->sync.keep_bytes, 512u << 20);
	ck_assert_str_eq(c->sync.address[0], "10.0.0.1");
	ck_assert_str_eq(c->sync.address[1], "10.0.0.2");
	ck_assert_uint_eq(c->sync.trees, 3);
	ck_assert_str_eq(c->sync.tree[0].validate, "postfix -c \"$MAILPAIR_STAGED/etc/postfix\" check");
	ck_assert_str_eq(c->sync.tree[0].exclude[2], "maps/*.old");
	ck_assert_str_eq(c->sync.tree[0].include[0], "x");
	ck_assert_str_eq(c->sync.tree[2].path, "/etc/hosts");
	ck_assert_uint_eq(c->sync.certificates, 1);
	ck_assert_str_eq(c->sync.certificate[0].names[1], "*.example.net");
	ck_assert_int_eq(c->sync.tree[1].line, 12);
	conf_free(c);
}
END_TEST

START_TEST(the_digest_is_that_of_the_bytes)
{
	struct conf *a = load_good(least), *b;
	uint8_t want[DIGEST_LEN];
	char other[1024];

	digest_sha256(least, strlen(least), want);
	ck_assert_mem_eq(a->digest, want, DIGEST_LEN);
	snprintf(other, sizeof(other), "%s#", least);
	b = load_good(other);
	ck_assert_mem_ne(a->digest, b->digest, DIGEST_LEN);
	conf_free(a);
	conf_free(b);
}
END_TEST

START_TEST(without_a_name_the_host_is_asked)
{
	struct conf_mistakes m = { 0 };
	struct conf *c = NULL;
	struct utsname host;
	char want[400];

	ck_assert_int_eq(uname(&host), 0);
	ck_assert(!load_text(least, strlen(least), 0644, NULL, &c, &m));
	snprintf(want, sizeof(want), "this host is \"%s\" (uname -n), but the nodes of the pair are \"mx1\" and "
	    "\"mx2\"; one of them must be the name of this host", host.nodename);
	ck_assert_str_eq(m.item[0].text, want);
	conf_mistakes_free(&m);
}
END_TEST

START_TEST(what_is_no_reasonable_file_is_refused)
{
	static const char nul[] = "pair = \"mail\"\n\nnode \0 \"mx1\" {}\n";
	struct conf_mistakes m = { 0 };
	struct conf *c = NULL;
	char *large = malloc(300000);

	memset(large, '\n', 300000);
	ck_assert(!load_text(large, 256 * 1024 + 1, 0644, "mx1", &c, &m));
	ck_assert(!load_text(nul, sizeof(nul) - 1, 0644, "mx1", &c, &m));
	ck_assert(!conf_load("/nonexistent", "mx1", &c, &m));
	ck_assert(!conf_load("/tmp", "mx1", &c, &m));
	ck_assert_str_eq(m.item[0].text, "the configuration is larger than 256 KiB");
	ck_assert_str_eq(m.item[1].text, "the file holds a NUL byte: it is no text file, or damaged");
	ck_assert_int_eq(m.item[1].line, 3);
	ck_assert_str_eq(m.item[2].text, "the configuration cannot be read: No such file or directory");
	ck_assert_str_eq(m.item[3].text, "the configuration is no regular file");
	conf_mistakes_free(&m);
	memset(large, '{', 256 * 1024);
	ck_assert(!load_text(large, 256 * 1024, 0644, "mx1", &c, &m));
	conf_mistakes_free(&m);
	for (int i = 0; i < 256 * 1024; i++)
		large[i] = "a{ "[i % 3];
	ck_assert(!load_text(large, 256 * 1024, 0644, "mx1", &c, &m));
	conf_mistakes_free(&m);
	for (int i = 0; i < 256 * 1024; i++)
		large[i] = "a=1\n"[i % 4];
	ck_assert(!load_text(large, 256 * 1024, 0644, "mx1", &c, &m));
	ck_assert_uint_eq(m.len, 201);
	ck_assert_str_eq(m.item[200].text, "there are more mistakes: correct these first");
	conf_mistakes_free(&m);
	ck_assert_ptr_null(c);
	free(large);
}
END_TEST

START_TEST(a_password_demands_a_file_that_others_cannot_read)
{
	static const struct { const char *option; mode_t mode; const char *mistake; } cases[] = {
		{ "password_script=/bin/x", 0644, NULL },
		{ "password=hunter2", 0600, NULL },
		{ "password=hunter2", 0644, "fence \"x\": options hold \"password\", and others than the owner may "
		    "read this file (mode 0644); use password_script=PROGRAM, or chmod 0600 the file" },
		{ "passwd=hunter2", 0640, "fence \"x\": options hold \"passwd\", and others than the owner may "
		    "read this file (mode 0640); use password_script=PROGRAM, or chmod 0600 the file" },
	};
	struct conf_mistakes m = { 0 };
	struct conf *c = NULL;
	char text[1024];
	bool ok;

	snprintf(text, sizeof(text), "%s\nfence \"x\" { node = \"mx1\" agent = \"fence_x\" options = {\"ip=1\",\n\"%s\"} }\n",
	    least, cases[_i].option);
	ok = load_text(text, strlen(text), cases[_i].mode, "mx1", &c, &m);
	ck_assert(ok == (cases[_i].mistake == NULL));
	if (!ok) {
		ck_assert_str_eq(m.item[0].text, cases[_i].mistake);
		ck_assert_int_eq(m.item[0].line, 9);
	}
	conf_free(c);
	conf_mistakes_free(&m);
}
END_TEST

START_TEST(the_environment_changes_nothing)
{
	struct conf_mistakes m = { 0 };
	struct conf *c = NULL;
	char text[1024];

	setenv("PORT", "77", 1);
	snprintf(text, sizeof(text), "%s\nlog = \"${PORT}\"\nstate-dir = ${PORT}\nhooks-dir = '/x/${PORT}'\n", least);
	ck_assert(!load_text(text, strlen(text), 0644, "mx1", &c, &m));
	ck_assert_uint_eq(m.len, 2);
	conf_mistakes_free(&m);
	snprintf(text, sizeof(text), "%s\nhooks-dir = '/x/${PORT}'\n", least);
	c = load_good(text);
	ck_assert_str_eq(c->hooks_dir, "/x/${PORT}");
	conf_free(c);
}
END_TEST

START_TEST(a_refused_file_does_not_spoil_the_next_one)
{
	static const char broken[] = "pair = \"mail\nnode { (\nheartbeat { keepalive = \"";
	struct conf_mistakes m = { 0 };
	struct conf *c = NULL;

	ck_assert(!load_text(broken, strlen(broken), 0644, "mx1", &c, &m));
	conf_mistakes_free(&m);
	conf_free(load_good(least));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf");
	TCase *tc = tcase_create("conf");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_fixture_loads_or_is_refused_in_exactly_these_words);
	tcase_add_loop_test(tc, the_example_loads_on_both_nodes, 0, 2);
	tcase_add_test(tc, the_defaults_in_the_example_are_the_defaults);
	tcase_add_loop_test(tc, every_option_stands_in_the_example_and_in_the_manual, 0, SECT_COUNT);
	tcase_add_test(tc, the_least_configuration_has_the_defaults_of_the_contract);
	tcase_add_test(tc, values_arrive_where_they_belong);
	tcase_add_test(tc, the_digest_is_that_of_the_bytes);
	tcase_add_test(tc, without_a_name_the_host_is_asked);
	tcase_add_test(tc, what_is_no_reasonable_file_is_refused);
	tcase_add_loop_test(tc, a_password_demands_a_file_that_others_cannot_read, 0, 4);
	tcase_add_test(tc, the_environment_changes_nothing);
	tcase_add_test(tc, a_refused_file_does_not_spoil_the_next_one);
	suite_add_tcase(suite, tc);
	return unit_main(suite);
}
