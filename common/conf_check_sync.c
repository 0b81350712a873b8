/*
 * common/conf_check_sync.c - the rules for config-sync: two addresses, trees that each node has for itself, patterns that can match,
 * certificates that are whole.
 *
 * Part of conf_check.c in four files. Pure: which trees exist is found out when they are read.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/conf_parts.h"

static void
check_addresses(const struct conf *c, struct conf_mistakes *mistakes)
{
	const struct conf_sync *s = &c->sync;
	uint8_t bytes[CONF_NODES][16];
	int family[CONF_NODES] = {AF_UNSPEC, AF_UNSPEC};

	if (c->node[0] == NULL || c->node[1] == NULL)
		return;
	if (s->address[0] == NULL && s->address[1] == NULL) {
		for (size_t i = 0; i < c->links; i++)
			if (c->link[i].transport == CONF_UDP)
				return; /* refused already: it has no addresses */
		conf_mistake(mistakes, s->line,
		    "config-sync: it is not known where the nodes are, since no link is of transport \"udp\": write %s = "
		    "\"ADDRESS\" and %s = \"ADDRESS\"",
		    c->node[0], c->node[1]);
		return;
	}
	for (int i = 0; i < CONF_NODES; i++) {
		if (s->address[i] == NULL)
			conf_mistake(mistakes, s->line,
			    "config-sync: the address of node %s is missing: write %s = \"ADDRESS\", or leave both out to "
			    "use those of the first udp link",
			    c->node[i], c->node[i]);
		else if (c->arena == NULL || conf_given(c, &s->address[i])) /* else a link's, which is judged there */
			family[i] = conf_check_host("config-sync", c->node[i], s->address[i],
			    conf_line(c, &s->address[i], s->line), bytes[i], mistakes);
	}
	if (family[0] == AF_UNSPEC || family[1] == AF_UNSPEC)
		return;
	if (family[0] != family[1])
		conf_mistake(mistakes, conf_line(c, &s->address[1], s->line),
		    "config-sync: %s = \"%s\" and %s = \"%s\" are not of one family; both IPv4 or both IPv6 is right",
		    c->node[0], s->address[0], c->node[1], s->address[1]);
	else if (memcmp(bytes[0], bytes[1], family[0] == AF_INET ? 4 : 16) == 0)
		conf_mistake(mistakes, conf_line(c, &s->address[1], s->line),
		    "config-sync: both nodes have the address %s; each needs its own", s->address[1]);
}

/* What is wrong with a pattern, or NULL. */
static const char *
pattern_wrong(const char *pattern)
{
	size_t len = strlen(pattern);
	char padded[1100];

	if (len == 0)
		return "is empty; a pattern like \"*.bak\" or \"/etc/postfix/local.cf\" is right";
	if (len > 1023)
		return "is longer than 1023 characters";
	if (pattern[len - 1] == '/')
		return "ends with \"/\" and matches nothing; a directory is written without it";
	snprintf(padded, sizeof(padded), "/%s/", pattern[0] == '/' ? pattern + 1 : pattern);
	if (strstr(padded, "//") != NULL || strstr(padded, "/./") != NULL || strstr(padded, "/../") != NULL)
		return "matches nothing: no path has \".\", \"..\" or \"//\" in it";
	return NULL;
}

/* inside: patterns that begin with "/" have to lie in this tree; NULL: anywhere. */
static void
check_patterns(const struct conf *c, const char *where, const char *name, const char *const *list, size_t len,
    const char *inside, int line, struct conf_mistakes *mistakes)
{
	for (size_t i = 0; i < len; i++) {
		const char *wrong = pattern_wrong(list[i]);
		int at = conf_line(c, &list[i], line);

		if (wrong != NULL)
			conf_mistake(mistakes, at, "%s: %s: the pattern \"%s\" %s", where, name, list[i], wrong);
		else if (inside != NULL && list[i][0] == '/' && !conf_path_inside(list[i], inside))
			conf_mistake(mistakes, at,
			    "%s: %s: the pattern \"%s\" lies outside of this tree; write it without \"/\" in front, or into "
			    "the list of config-sync itself",
			    where, name, list[i]);
		for (size_t other = 0; other < i; other++)
			if (strcmp(list[other], list[i]) == 0)
				conf_mistake(mistakes, at, "%s: %s holds \"%s\" twice", where, name, list[i]);
	}
}

static bool
overlap(const char *a, const char *b)
{
	return conf_path_inside(a, b) || conf_path_inside(b, a);
}

/* A tree that is, holds or is part of what each node has for itself, or what both have in one. */
static void
check_place(const struct conf *c, const struct conf_tree *t, struct conf_mistakes *mistakes)
{
	static const char *const system[] = {"/dev", "/proc", "/sys", "/run", "/boot"};
	const char *mountpoint = c->storage.mountpoint;

	if (strcmp(t->path, "/") == 0) {
		conf_mistake(mistakes, t->line,
		    "config-sync: tree \"/\" is the whole system; name the trees that both nodes shall have alike, like /etc/postfix");
		return;
	}
	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		if (overlap(t->path, system[i])) {
			conf_mistake(mistakes, t->line,
			    "config-sync: tree \"%s\" has to do with %s, which belongs to the running system of each node", t->path,
			    system[i]);
			return;
		}
	if (c->state_dir != NULL && conf_path_ok(c->state_dir) && overlap(t->path, c->state_dir))
		conf_mistake(mistakes, t->line,
		    "config-sync: tree \"%s\" overlaps state-dir (%s), where each node keeps what it alone knows; name trees beside it",
		    t->path, c->state_dir);
	if (c->run_dir != NULL && conf_path_ok(c->run_dir) && overlap(t->path, c->run_dir))
		conf_mistake(mistakes, t->line,
		    "config-sync: tree \"%s\" overlaps run-dir (%s), which belongs to each node; name trees beside it", t->path,
		    c->run_dir);
	if (mountpoint != NULL && conf_path_ok(mountpoint) && strcmp(mountpoint, "/") != 0 && overlap(t->path, mountpoint))
		conf_mistake(mistakes, t->line,
		    "config-sync: tree \"%s\" overlaps the mountpoint %s of the storage, which both nodes have in one; name trees "
		    "beside it",
		    t->path, mountpoint);
	for (size_t i = 0; i < c->binds; i++)
		if (conf_path_ok(c->bind[i].path) && overlap(t->path, c->bind[i].path))
			conf_mistake(mistakes, t->line,
			    "config-sync: tree \"%s\" overlaps bind \"%s\", which lies on the storage that both nodes have in one; "
			    "name trees beside it",
			    t->path, c->bind[i].path);
}

static void
check_tree(const struct conf *c, const struct conf_tree *t, struct conf_mistakes *mistakes)
{
	char where[CONF_TITLE_MAX + 16];

	snprintf(where, sizeof(where), "tree \"%s\"", t->path);
	if (!conf_path_ok(t->path) || strpbrk(t->path, "*?[") != NULL) {
		conf_mistake(mistakes, t->line,
		    "config-sync: tree \"%s\" is no plain absolute path of a directory or file, like /etc/postfix; patterns belong into "
		    "include and exclude",
		    t->path);
		return;
	}
	check_place(c, t, mistakes);
	check_patterns(c, where, "include", t->include, t->include_len, t->path, t->line, mistakes);
	check_patterns(c, where, "exclude", t->exclude, t->exclude_len, t->path, t->line, mistakes);
	if (t->validate != NULL && t->validate[strspn(t->validate, " \t")] == '\0')
		conf_mistake(mistakes, conf_line(c, &t->validate, t->line),
		    "tree \"%s\": validate is empty; a command for /bin/sh is right, which fails where $MAILPAIR_STAGED is wrong", t->path);
	if (t->reload != NULL && t->reload[strspn(t->reload, " \t")] == '\0')
		conf_mistake(mistakes, conf_line(c, &t->reload, t->line),
		    "tree \"%s\": reload is empty; a command for /bin/sh is right, like \"systemctl reload dovecot\"", t->path);
}

/* "mail.example.org", "*.example.org" */
static bool
host_name_ok(const char *name)
{
	return conf_word_ok(strncmp(name, "*.", 2) == 0 ? name + 2 : name, 253) && strchr(name, '_') == NULL;
}

static void
check_certificate(const struct conf *c, const struct conf_certificate *t, struct conf_mistakes *mistakes)
{
	const struct {
		const char *name;
		const char *const *field;
		bool needed;
	} files[] = {
	    {"certificate", &t->certificate, true},
	    {"key", &t->key, true},
	    {"chain", &t->chain, false},
	};

	if (!conf_word_ok(t->name, CONF_NAME_MAX - 1))
		conf_mistake(mistakes, t->line, "certificate \"%s\" is no good name; 1 to %d " CONF_WORDS " are right", t->name,
		    CONF_NAME_MAX - 1);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		const char *path = *files[i].field;

		if (path == NULL && files[i].needed)
			conf_mistake(mistakes, t->line, "certificate \"%s\": %s is missing: write %s = \"/etc/...\", its file", t->name,
			    files[i].name, files[i].name);
		else if (path != NULL && !conf_path_ok(path))
			conf_mistake(mistakes, conf_line(c, files[i].field, t->line),
			    "certificate \"%s\": %s = \"%s\" is no plain absolute path of a file", t->name, files[i].name, path);
	}
	for (size_t i = 0; i < t->names_len; i++)
		if (!host_name_ok(t->names[i]))
			conf_mistake(mistakes, conf_line(c, &t->names[i], t->line),
			    "certificate \"%s\": names hold \"%s\", which is no name of a host, like mail.example.org", t->name,
			    t->names[i]);
}

void
conf_check_sync(const struct conf *c, struct conf_mistakes *mistakes)
{
	const struct conf_sync *s = &c->sync;

	check_addresses(c, mistakes);
	check_patterns(c, "config-sync", "include", s->include, s->include_len, NULL, s->line, mistakes);
	check_patterns(c, "config-sync", "exclude", s->exclude, s->exclude_len, NULL, s->line, mistakes);
	for (size_t i = 0; i < s->trees; i++)
		check_tree(c, &s->tree[i], mistakes);
	for (size_t i = 0; i < s->certificates; i++)
		check_certificate(c, &s->certificate[i], mistakes);
	if (!s->defaults && s->trees == 0 && s->certificates == 0)
		conf_mistake(mistakes, conf_line(c, &s->defaults, s->line),
		    "config-sync: defaults = no, and there is no tree: nothing would be carried; add tree \"/etc/postfix\" {}, or "
		    "remove the section");
}
