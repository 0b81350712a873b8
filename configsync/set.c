/*
 * configsync/set.c - the table of what belongs together. Pure.
 *
 * A new mail program is a row here, and a function in verify.c that asks it.
 */
#include "configsync/set.h"

#include <stdio.h>
#include <string.h>

/* %s in key is the name. What is short in "certs" and "private" of one name is one certificate. */
struct set_row {
	const char	*pattern;
	enum set_kind	 kind;
	const char	*key, *dir, *why;
	bool		 stem;		/* the name is that of a key or certificate: without what says which of them it is */
};

/* clang-format off */
static const char renewed[] = "a renewal replaces key, certificate and chain: a server that starts between them has a key that fits no certificate";
static const char control[] = "qmail reads each control file by itself: a domain that is in rcpthosts before it is in virtualdomains bounces";
static const char exim[] = "Exim reads its configuration and what it includes as one text, anew for each message";
static const char postfix[] = "Postfix's daemons read main.cf, master.cf and the maps these name at different times: half of a change stops mail";

static const struct set_row table[] = {
	{ "etc/letsencrypt/live/*/**", SET_CERTIFICATE, "letsencrypt/%s", NULL, renewed, false },
	{ "etc/letsencrypt/archive/*/**", SET_CERTIFICATE, "letsencrypt/%s", NULL, renewed, false },
	{ "etc/letsencrypt/renewal/*.conf", SET_CERTIFICATE, "letsencrypt/%s", NULL, renewed, false },
	{ "etc/ssl/certs/*", SET_CERTIFICATE, "ssl/%s", NULL, renewed, true },
	{ "etc/ssl/private/*", SET_CERTIFICATE, "ssl/%s", NULL, renewed, true },
	{ "etc/postfix/**", SET_POSTFIX, "postfix", "etc/postfix", postfix, false },
	{ "etc/exim4/**", SET_EXIM, "exim4", "etc/exim4", exim, false },
	{ "etc/exim/**", SET_EXIM, "exim", "etc/exim", exim, false },
	{ "var/qmail/control/**", SET_QMAIL, "qmail/control", "var/qmail/control", control, false },
	{ "etc/qmail/**", SET_QMAIL, "qmail/etc", "etc/qmail", control, false },
	{ "var/qmail/users/**", SET_QMAIL, "qmail/users", "var/qmail/users", "qmail-lspawn reads the table that is made of assign", false },
	{ "etc/aliases", SET_ALIASES, "aliases", NULL, "the aliases and the table that is made of them are used as one", false },
	{ "etc/mail/aliases", SET_ALIASES, "mail/aliases", NULL, "the aliases and the table that is made of them are used as one", false },
	{ "etc/tcp.*", SET_TCPRULES, "tcp.%s", NULL, "tcpserver reads the table that is made of these rules, and refuses everybody without it", false },
	{ "etc/tcprules.d/*", SET_TCPRULES, "tcprules.d/%s", NULL, "tcpserver reads the table that is made of these rules, and refuses everybody without it", false },
	{ "etc/tcpcontrol/*", SET_TCPRULES, "tcpcontrol/%s", NULL, "tcpserver reads the table that is made of these rules, and refuses everybody without it", false },
};
/* clang-format on */

bool
set_match(const char *pattern, const char *path, char *name, size_t size)
{
	const char *star = strchr(pattern, '*'), *rest, *slash;
	size_t head, tail, len;

	if (star == NULL)
		return strcmp(pattern, path) == 0;
	head = (size_t)(star - pattern);
	if (strncmp(pattern, path, head) != 0)
		return false;
	path += head;
	if (star[1] == '*')
		return path[0] != '\0';
	rest = star + 1;
	slash = strchr(path, '/');
	len = slash != NULL ? (size_t)(slash - path) : strlen(path);
	tail = strcspn(rest, "/");		/* what the component still has to end with */
	if (len <= tail || strncmp(path + len - tail, rest, tail) != 0)
		return false;
	if (name != NULL)
		snprintf(name, size, "%.*s", (int)(len - tail), path);
	path += len;
	rest += tail;
	if (rest[0] == '\0' || path[0] == '\0')
		return rest[0] == path[0];
	return set_match(rest, path, NULL, 0);
}

/* Cuts the end off; false where name does not end so, or is nothing else. */
static bool
cut(char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	if (len <= n || strcmp(name + len - n, end) != 0)
		return false;
	name[len - n] = '\0';
	return true;
}

/* "mail-fullchain.pem", "mail.key", "mail_cert.pem": all "mail". False: the name of no such file, as the links by hash in /etc/ssl/certs. */
static bool
certificate_stem(char *name)
{
	static const char *const types[] = { ".pem", ".crt", ".cer", ".key", ".ca-bundle", ".chain", NULL };
	static const char *const parts[] = { "fullchain", "chain", "bundle", "cert", "key", "ca", NULL };
	static const char *const between[] = { "-", "_", ".", NULL };
	char end[16];
	size_t i;

	for (i = 0; types[i] != NULL && !cut(name, types[i]); i++)
		;
	if (types[i] == NULL)
		return false;
	for (i = 0; parts[i] != NULL; i++)
		for (size_t k = 0; between[k] != NULL; k++) {
			snprintf(end, sizeof end, "%s%s", between[k], parts[i]);
			if (cut(name, end))
				return true;
		}
	return true;
}

static const char *
relative(const char *path)
{
	while (path[0] == '/')
		path++;
	return path;
}

static bool
is_path(const char *configured, const char *path)
{
	return configured != NULL && strcmp(relative(configured), path) == 0;
}

static const struct set_certificate *
configured_certificate(const struct set_rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->certificates; i++) {
		const struct set_certificate *c = &rules->certificate[i];

		if (is_path(c->cert, path) || is_path(c->key, path) || is_path(c->chain, path))
			return c;
	}
	return NULL;
}

/* The innermost one. */
static const struct set_tree *
configured_tree(const struct set_rules *rules, const char *path)
{
	const struct set_tree *found = NULL;
	size_t most = 0;

	for (size_t i = 0; i < rules->trees; i++) {
		const char *tree = relative(rules->tree[i].path);
		size_t len = strlen(tree);

		while (len > 0 && tree[len - 1] == '/')
			len--;
		if (strncmp(tree, path, len) == 0 && (path[len] == '/' || path[len] == '\0') && len >= most) {
			most = len;
			found = &rules->tree[i];
		}
	}
	return found;
}

static bool
by_table(const char *path, struct set_id *ret)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const struct set_row *row = &table[i];
		char name[sizeof ret->name] = "";
		const char *at;

		if (!set_match(row->pattern, path, name, sizeof name))
			continue;
		if (row->stem && !certificate_stem(name))
			return false;
		/* rules and the table made of them are of one name */
		if (row->kind == SET_TCPRULES)
			(void)(cut(name, ".cdb") || cut(name, ".tmp"));
		at = strchr(row->key, '%');
		ret->kind = row->kind;
		ret->dir = row->dir;
		ret->why = row->why;
		snprintf(ret->name, sizeof ret->name, "%s", name);
		if (at != NULL)
			snprintf(ret->key, sizeof ret->key, "%.*s%s", (int)(at - row->key), row->key, name);
		else
			snprintf(ret->key, sizeof ret->key, "%s", row->key);
		return true;
	}
	return false;
}

void
set_of(const struct set_rules *rules, const char *path, struct set_id *ret)
{
	static const struct set_rules none = { 0 };
	const struct set_certificate *certificate;
	const struct set_tree *tree;

	memset(ret, 0, sizeof *ret);
	if (rules == NULL)
		rules = &none;
	certificate = configured_certificate(rules, path);
	tree = configured_tree(rules, path);
	ret->validate = tree != NULL ? tree->validate : NULL;
	if (ret->validate != NULL) {
		snprintf(ret->tree, sizeof ret->tree, "%s", relative(tree->path));
		while (cut(ret->tree, "/"))
			;
	}
	if (certificate != NULL) {
		ret->kind = SET_CERTIFICATE;
		ret->certificate = certificate;
		ret->why = renewed;
		snprintf(ret->key, sizeof ret->key, "certificate/%s", certificate->name);
		snprintf(ret->name, sizeof ret->name, "%s", certificate->name);
	} else if (by_table(path, ret)) {
		return;
	} else if (ret->validate != NULL) {
		ret->kind = SET_TREE;
		ret->why = "the command that is configured for this tree judges it as a whole";
		snprintf(ret->key, sizeof ret->key, "tree/%.500s", ret->tree);
	} else {
		ret->kind = SET_SINGLE;
		ret->why = "nothing else depends on this file";
		snprintf(ret->key, sizeof ret->key, "%s", path);
	}
}

bool
set_same(const struct set_id *a, const struct set_id *b)
{
	return a->kind == b->kind && strcmp(a->key, b->key) == 0;
}

const char *
set_kind_word(enum set_kind kind)
{
	static const char *const word[SET_COUNT] = { "file", "certificate", "postfix", "exim", "qmail", "aliases", "tcprules", "tree" };

	return word[kind];
}

const char *
set_shown(const struct set_id *s, char *buf, size_t size)
{
	const char *word = set_kind_word(s->kind), *slash = strchr(s->key, '/');

	switch (s->kind) {
	case SET_CERTIFICATE:
		if (s->certificate != NULL)
			snprintf(buf, size, "%s %s", word, s->name);
		else	/* its key begins with whose it is */
			snprintf(buf, size, "%s %s in /etc/%.*s", word, s->name, slash == NULL ? 0 : (int)(slash - s->key), s->key);
		break;
	case SET_POSTFIX:
	case SET_EXIM:
	case SET_QMAIL:
		snprintf(buf, size, "%s in /%s", word, s->dir);
		break;
	case SET_ALIASES:
	case SET_TCPRULES:
		snprintf(buf, size, "%s /etc/%s", word, s->key);
		break;
	case SET_TREE:
		snprintf(buf, size, "%s /%s", word, s->tree);
		break;
	case SET_SINGLE:
	case SET_COUNT:
		snprintf(buf, size, "%s /%s", word, s->key);
	}
	return buf;
}
