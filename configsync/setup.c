/*
 * configsync/setup.c - the table of default trees, and how a configuration becomes trees, patterns and sets. Pure.
 */
#include "configsync/setup.h"

#include <stdio.h>
#include <string.h>

#include "configsync/arena.h"
#include "configsync/entry.h"
#include "configsync/settle.h"

#define PATTERN_MAX 2200

/* clang-format off */
static const struct setup_tree defaults[] = {
	{ .path = "/etc/postfix", .why = "Postfix: parameters, services, maps" },
	{ .path = "/etc/exim4", .why = "Exim as Debian has it" },
	{ .path = "/etc/exim", .why = "Exim elsewhere" },
	{ .path = "/var/qmail/control", .why = "qmail: which domains are taken, and where they go" },
	{ .path = "/var/qmail/users", .why = "qmail: which address is whose" },
	{ .path = "/var/qmail/alias", .why = "qmail: addresses without a user, postmaster among them" },
	{ .path = "/etc/qmail", .why = "qmail's control files, where control is a link to them" },
	{ .path = "/etc/aliases", .why = "local addresses; a takeover with last month's loses mail" },
	{ .path = "/etc/mail/aliases", .why = "the same, where sendmail's place is used" },
	{ .path = "/etc/tcp.smtp", .why = "tcprules: who may relay" },
	{ .path = "/etc/tcp.pop3", .why = "tcprules: who may fetch mail" },
	{ .path = "/etc/tcp.imap", .why = "tcprules: who may fetch mail" },
	{ .path = "/etc/tcprules.d", .why = "tcprules, in a directory" },
	{ .path = "/etc/tcpcontrol", .why = "tcprules, in a directory" },
	{ .path = "/etc/dovecot", .why = "the mailboxes' server" },
	{ .path = "/etc/courier", .why = "the mailboxes' server" },
	{ .path = "/etc/amavis", .why = "the filter between mail program and scanners" },
	{ .path = "/etc/clamav", .why = "the virus scanner; its signatures are elsewhere and come by themselves" },
	{ .path = "/etc/spamassassin", .why = "the spam filter" },
	{ .path = "/etc/opendkim", .why = "signing keys and which domain uses which" },
	{ .path = "/etc/opendkim.conf", .why = "what uses them" },
	{ .path = "/etc/dkimkeys", .why = "signing keys, where Debian puts them" },
	{ .path = "/etc/ssl", .why = "certificates and keys: clients must not see another one after a takeover" },
	{ .path = "/etc/letsencrypt", .why = "certificates that are renewed on one node only" },
	{ .path = "/etc/sysctl.conf", .why = "limits that the services need" },
	{ .path = "/etc/hosts", .why = "names that services use without asking; where a node needs lines of its own: hosts@NODE" },
	{ .path = "/etc/cron.cluster", .why = "jobs that move with the services" },
	{ .path = NULL },
};
/* clang-format on */

const struct setup_tree *
setup_defaults(void)
{
	return defaults;
}

/* ---------------------------------------------------------------- lists that grow */

/* Ends with NULL. */
struct list { const char **at; size_t len, room; };

static void
add(struct arena *arena, struct list *l, const char *text)
{
	if (l->len + 1 >= l->room) {
		size_t room = l->room == 0 ? 64 : 2 * l->room;
		const char **at = arena_take(arena, room * sizeof *at);

		if (l->len > 0)
			memcpy(at, l->at, l->len * sizeof *at);
		l->at = at;
		l->room = room;
	}
	l->at[l->len++] = text;
	l->at[l->len] = NULL;
}

/* So that it stands for itself in a pattern. */
static void
quoted(const char *path, char *buf, size_t size)
{
	size_t len = 0;

	for (; *path != '\0' && len + 2 < size; path++) {
		if (strchr("*?[\\", *path) != NULL)
			buf[len++] = '\\';
		buf[len++] = *path;
	}
	buf[len] = '\0';
}

/* A tree's own patterns count from the tree on. */
static void
add_patterns(struct arena *arena, struct list *l, const char *tree, const char *const *pattern, size_t len)
{
	char base[PATTERN_MAX / 2] = "", text[PATTERN_MAX];

	if (tree != NULL)
		quoted(tree, base, sizeof base);
	for (size_t i = 0; i < len; i++) {
		if (tree == NULL || pattern[i][0] == '/')
			snprintf(text, sizeof text, "%s", pattern[i]);
		else
			snprintf(text, sizeof text, "%s/%s%s", base, strchr(pattern[i], '/') == NULL ? "**/" : "", pattern[i]);
		add(arena, l, arena_text(arena, text));
	}
}

/* ---------------------------------------------------------------- trees */

/* Is either of two absolute paths in the other one? */
static bool
overlap(const char *a, const char *b)
{
	return b != NULL && b[0] == '/' && (entry_path_within(a + 1, b + 1) || entry_path_within(b + 1, a + 1));
}

/* Does path overlap what each node has for itself, or what the two have in one? Named trees were judged by conf_check(). */
static bool
not_ours(const struct conf *c, const char *path)
{
	if (overlap(path, c->state_dir) || overlap(path, c->run_dir) || overlap(path, c->storage.mountpoint))
		return true;
	for (size_t i = 0; i < c->binds; i++)
		if (overlap(path, c->bind[i].path))
			return true;
	return false;
}

struct made { struct setup *s; const struct conf *conf; struct setup_tree *tree; size_t len; };

/* One that is there already keeps its place; what is new about it is added. */
static void
add_tree(struct made *m, const struct setup_tree *t)
{
	for (size_t i = 0; i < m->len; i++) {
		if (strcmp(m->tree[i].path, t->path) != 0)
			continue;
		if (m->tree[i].validate == NULL)
			m->tree[i].validate = t->validate;
		if (m->tree[i].reload == NULL)
			m->tree[i].reload = t->reload;
		return;
	}
	m->tree[m->len++] = *t;
}

/* For the shell, between double quotes; false where it is no path or too long. */
static bool
for_shell(const char *path, char *buf, size_t size)
{
	size_t len = 0;

	if (path[0] != '/' || !entry_path_ok(path + 1))
		return false;
	for (; *path != '\0'; path++) {
		if (len + 3 > size)
			return false;
		if (strchr("\"\\$`", *path) != NULL)
			buf[len++] = '\\';
		buf[len++] = *path;
	}
	buf[len] = '\0';
	return true;
}

static bool
is_named(const struct conf *c, const char *path)
{
	for (size_t i = 0; path != NULL && i < c->sync.trees; i++)
		if (entry_path_within(path + 1, c->sync.tree[i].path + 1))
			return true;
	return false;
}

/* mailpair's own files, wherever they stand: mailpaird judges its configuration before it is put in place, and then takes it. */
static void
add_own(struct made *m, const char *programs)
{
	const struct conf *c = m->conf;
	struct setup_tree own = { .path = c->file, .why = "has to be the same on both nodes" };
	struct setup_tree hooks = { .path = c->hooks_dir, .why = "who is told, whichever node is active" };
	char file[700], run[700], dir[700] = "", text[PATTERN_MAX];

	if (c->sync.defaults && !not_ours(c, hooks.path))
		add_tree(m, &hooks);
	if (!c->sync.defaults && !is_named(c, c->file))
		return;
	if (c->file == NULL || !for_shell(c->file, file, sizeof file) || !for_shell(c->run_dir, run, sizeof run) || not_ours(c, c->file) ||
	    (programs != NULL && !for_shell(programs, dir, sizeof dir)))
		return;
	snprintf(text, sizeof text, "\"%s%smailpaird\" -t --node %s -c \"$MAILPAIR_STAGED%s\"", dir, programs != NULL ? "/" : "",
	    c->node[c->self], file);
	own.validate = arena_text(m->s->arena, text);
	snprintf(text, sizeof text, "\"%s%smailpair\" --socket \"%s/control.sock\" reload", dir, programs != NULL ? "/" : "", run);
	own.reload = arena_text(m->s->arena, text);
	add_tree(m, &own);
}

static void
add_trees(struct made *m, const char *programs)
{
	const struct conf_sync *sync = &m->conf->sync;
	size_t most = sync->trees + 3 * sync->certificates + sizeof defaults / sizeof defaults[0] + 2;

	m->tree = arena_take(m->s->arena, most * sizeof *m->tree);
	for (size_t i = 0; i < sync->trees; i++)
		add_tree(m, &(struct setup_tree){ .path = sync->tree[i].path, .validate = sync->tree[i].validate,
		    .reload = sync->tree[i].reload });
	for (size_t i = 0; i < sync->certificates; i++) {
		const struct conf_certificate *t = &sync->certificate[i];
		const char *const file[] = { t->certificate, t->key, t->chain };

		for (size_t k = 0; k < 3; k++)
			if (file[k] != NULL)
				add_tree(m, &(struct setup_tree){ .path = file[k] });
	}
	for (size_t i = 0; sync->defaults && defaults[i].path != NULL; i++)
		if (!not_ours(m->conf, defaults[i].path))
			add_tree(m, &defaults[i]);
	add_own(m, programs);
}

/* ---------------------------------------------------------------- making one */

static void
make_patterns(struct setup *s, const struct conf *c)
{
	const struct conf_sync *sync = &c->sync;
	struct list include = { NULL, 0, 0 }, exclude = { NULL, 0, 0 };
	char keys[PATTERN_MAX];
	bool named = false;

	add_patterns(s->arena, &include, NULL, sync->include, sync->include_len);
	add_patterns(s->arena, &exclude, NULL, sync->exclude, sync->exclude_len);
	for (size_t i = 0; i < sync->trees; i++) {
		const struct conf_tree *t = &sync->tree[i];

		add_patterns(s->arena, &include, t->path, t->include, t->include_len);
		add_patterns(s->arena, &exclude, t->path, t->exclude, t->exclude_len);
		named = named || strcmp(t->path, c->authkeys) == 0;
	}
	/* a wrong key would cut the connection that brings the right one: only where somebody asks for it */
	quoted(c->authkeys, keys, sizeof keys);
	for (size_t i = 0; i < include.len && !named; i++)
		named = strcmp(include.at[i], keys) == 0;
	if (!named)
		add(s->arena, &exclude, arena_text(s->arena, keys));
	s->scope.include = include.at;
	s->scope.exclude = exclude.at;
}

static void
make_sets(struct setup *s, const struct conf *c)
{
	struct set_certificate *certificate = arena_take(s->arena, (c->sync.certificates + 1) * sizeof *certificate);
	struct set_tree *tree = arena_take(s->arena, (s->trees + 1) * sizeof *tree);
	size_t trees = 0;

	for (size_t i = 0; i < c->sync.certificates; i++) {
		const struct conf_certificate *t = &c->sync.certificate[i];
		struct list names = { NULL, 0, 0 };

		for (size_t k = 0; k < t->names_len; k++)
			add(s->arena, &names, t->names[k]);
		certificate[i] = (struct set_certificate){ .name = t->name, .cert = t->certificate, .key = t->key, .chain = t->chain,
			.names = names.at };
	}
	for (size_t i = 0; i < s->trees; i++)
		if (s->tree[i].validate != NULL)
			tree[trees++] = (struct set_tree){ .path = s->tree[i].path, .validate = s->tree[i].validate };
	s->sets = (struct set_rules){ certificate, c->sync.certificates, tree, trees };
}

struct setup *
setup_new(const struct conf *c, const char *programs)
{
	struct arena *arena = arena_new();
	struct setup *s = arena_take(arena, sizeof *s);
	struct made m = { .s = s, .conf = c };
	struct list trees = { NULL, 0, 0 };
	const char **node = arena_take(arena, (CONF_NODES + 1) * sizeof *node);

	memset(s, 0, sizeof *s);
	s->arena = arena;
	add_trees(&m, programs);
	s->tree = m.tree;
	s->trees = m.len;
	for (size_t i = 0; i < m.len; i++)
		add(arena, &trees, m.tree[i].path);
	memcpy(node, c->node, sizeof c->node);
	node[CONF_NODES] = NULL;
	s->scope.tree = trees.at;
	s->scope.node = node;
	make_patterns(s, c);
	make_sets(s, c);
	s->quiet_ms = c->sync.settle_ms;
	s->most_ms = SETTLE_MOST_MS > 2 * s->quiet_ms ? SETTLE_MOST_MS : 2 * s->quiet_ms;
	return s;
}

void
setup_free(struct setup *s)
{
	if (s != NULL)
		arena_free(s->arena);
}

const struct setup_tree *
setup_tree_of(const struct setup *s, const char *path)
{
	const struct setup_tree *found = NULL;

	for (size_t i = 0; i < s->trees; i++)
		if (entry_path_within(path, s->tree[i].path + 1) && (found == NULL || strlen(s->tree[i].path) > strlen(found->path)))
			found = &s->tree[i];
	return found;
}

/* ---------------------------------------------------------------- its digest */

/* What ends each text is told by its length, so that no two lists have one digest. */
static void
take(uint8_t digest[DIGEST_LEN], const char *text)
{
	uint8_t both[2 * DIGEST_LEN];

	memcpy(both, digest, DIGEST_LEN);
	digest_sha256(text, strlen(text), both + DIGEST_LEN);
	digest_sha256(both, sizeof both, digest);
}

static void
take_list(uint8_t digest[DIGEST_LEN], const char *what, const char *const *list)
{
	take(digest, what);
	for (; list != NULL && *list != NULL; list++)
		take(digest, *list);
}

void
setup_digest(const struct conf *c, const struct setup *s, uint8_t ret[DIGEST_LEN])
{
	memset(ret, 0, DIGEST_LEN);
	take_list(ret, "trees", s->scope.tree);
	take_list(ret, "include", s->scope.include);
	take_list(ret, "exclude", s->scope.exclude);
	take_list(ret, "nodes", s->scope.node);
	take(ret, c->sync.writers == CONF_WRITERS_BOTH ? "both may write" : "the active node may write");
	take(ret, c->sync.setuid ? "setuid" : "no setuid");
}
