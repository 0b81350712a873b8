/*
 * common/conf.c - reads mailpair.conf into a struct conf.
 *
 * libconfuse parses what conf_scan.c left of the text; every value is taken as a string with its
 * line and judged by conf_value.c, so that a wrong value ends nothing and all mistakes come out in
 * one go. The rules between values are conf_check.c's. Reading blocks on the disk: for start-up,
 * workers and the command line. libconfuse has global state: one thread at a time.
 */
#include <assert.h>
#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/conf_parts.h"

#define FILE_MAX  (256 * 1024)
#define LABEL_MAX (CONF_TITLE_MAX + 24)

#define LENGTH_FOLLOWS(type, list)                                                                 \
	_Static_assert(offsetof(struct type, list##_len) ==                                        \
			   offsetof(struct type, list) + sizeof(((struct type *)NULL)->list),      \
	    "KIND_LIST: the length follows the list")
LENGTH_FOLLOWS(conf_fence, options);
LENGTH_FOLLOWS(conf_mta, services);
LENGTH_FOLLOWS(conf_sync, include);
LENGTH_FOLLOWS(conf_sync, exclude);
LENGTH_FOLLOWS(conf_tree, include);
LENGTH_FOLLOWS(conf_tree, exclude);
LENGTH_FOLLOWS(conf_certificate, names);

/* One value as libconfuse found it. */
struct value {
	int line;
	char text[];
};

static int
value_parse(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	size_t size = strlen(text) + 1;
	struct value *value = malloc(sizeof(*value) + size);

	(void)opt;
	assert(value != NULL);
	value->line = cfg->line;
	memcpy(value->text, text, size);
	*(void **)result = value;
	return 0;
}

/* conf_scan.c has reported all mistakes; libconfuse must not write to standard error. */
static void
be_quiet(cfg_t *cfg, const char *fmt, va_list ap)
{
	(void)cfg;
	(void)fmt;
	(void)ap;
}

static cfg_opt_t
option_of(const char *name, enum conf_kind kind)
{
	cfg_opt_t value = CFG_PTR_CB(name, NULL, CFGF_NONE, value_parse, free);
	cfg_opt_t list = CFG_PTR_LIST_CB(name, NULL, CFGF_NONE, value_parse, free);

	return kind == KIND_LIST ? list : value;
}

/* libconfuse's tables of all sections, made from ours and the nodes' names. */
struct tables {
	cfg_opt_t *section[SECT_COUNT];
};

static void
tables_make(struct tables *t, const struct conf_scan *scan)
{
	const cfg_opt_t end = CFG_END();

	for (int id = SECT_COUNT - 1; id >= 0; id--) { /* the inner ones first */
		const struct conf_section *s = &conf_schema[id];
		cfg_opt_t *o =
		    calloc(s->options_len + SECT_COUNT + CONF_SCAN_NODES + 1, sizeof(*o));
		size_t n = 0;

		assert(o != NULL);
		for (; n < s->options_len; n++)
			o[n] = option_of(s->options[n].name, s->options[n].kind);
		for (size_t i = 0; s->by_node != CONF_NOWHERE && i < scan->nodes; i++) {
			bool twice =
			    conf_schema_option((enum conf_section_id)id, scan->node[i]) >= 0;

			for (size_t j = 0; j < i; j++)
				twice = twice || strcmp(scan->node[i], scan->node[j]) == 0;
			if (!twice && scan->node[i][0] != '\0')
				o[n++] = option_of(scan->node[i], KIND_TEXT);
		}
		for (int sub = id + 1; sub < SECT_COUNT; sub++) {
			cfg_opt_t section = CFG_SEC(conf_schema[sub].name, t->section[sub],
			    CFGF_MULTI | (conf_schema[sub].titled ? CFGF_TITLE : 0));

			if (conf_schema[sub].parent == (enum conf_section_id)id)
				o[n++] = section;
		}
		o[n] = end;
		t->section[id] = o;
	}
}

static void
tables_free(struct tables *t)
{
	for (int id = 0; id < SECT_COUNT; id++)
		free(t->section[id]);
}

struct load {
	struct conf *conf;
	struct conf_scan scan;
	struct conf_mistakes *mistakes;
};

static int
section_line(const struct load *ld, enum conf_section_id id, const char *title)
{
	for (size_t i = 0; i < ld->scan.len; i++) {
		const struct conf_scan_section *s = &ld->scan.section[i];

		if (s->id == id &&
		    (title == NULL || s->title == NULL || strcmp(s->title, title) == 0))
			return s->line;
	}
	return 0;
}

static void
fill_default(struct load *ld, const struct conf_option *o, void *field)
{
	size_t before = ld->mistakes->len;

	if (o->kind == KIND_NODE)
		*(int *)field = CONF_NODE_NONE;
	if (o->fallback != NULL)
		conf_set(ld->conf, o, field, "", o->fallback, 0, ld->mistakes);
	assert(ld->mistakes->len == before);
}

/* The options of one section (cfg may be NULL: defaults only) into the struct at base. */
static void
fill_section(struct load *ld, enum conf_section_id id, cfg_t *cfg, char *base, const char *label)
{
	const struct conf_section *s = &conf_schema[id];

	for (size_t i = 0; i < s->options_len; i++) {
		const struct conf_option *o = &s->options[i];
		void *field = base + o->offset;
		cfg_opt_t *opt = cfg == NULL ? NULL : cfg_getopt(cfg, o->name);

		fill_default(ld, o, field);
		for (unsigned int n = 0; opt != NULL && n < cfg_opt_size(opt); n++) {
			const struct value *value = cfg_opt_getnptr(opt, n);

			conf_arena_line(ld->conf->arena, field, value->line);
			conf_set(ld->conf, o, field, label, value->text, value->line, ld->mistakes);
		}
	}
	for (int i = 0; s->by_node != CONF_NOWHERE && cfg != NULL && i < CONF_NODES; i++) {
		const char **field = (const char **)(void *)(base + s->by_node) + i;
		const struct value *value;

		if (ld->conf->node[i] == NULL || conf_schema_option(id, ld->conf->node[i]) >= 0 ||
		    (value = cfg_getptr(cfg, ld->conf->node[i])) == NULL)
			continue;
		*field = conf_arena_copy(ld->conf->arena, value->text);
		conf_arena_line(ld->conf->arena, field, value->line);
	}
}

/* All sections of one kind below parent. */
static void
fill(struct load *ld, enum conf_section_id id, cfg_t *parent)
{
	const struct conf_section *s = &conf_schema[id];
	char *base = (char *)ld->conf + s->base;
	unsigned int len = parent == NULL ? 0 : cfg_size(parent, s->name);
	char label[LABEL_MAX] = "";

	if (len > s->max)
		len = (unsigned int)s->max;
	if (len == 0 && s->count == CONF_NOWHERE)
		fill_section(ld, id, NULL, base, "");
	for (unsigned int i = 0; i < len; i++, base += s->stride) {
		cfg_t *cfg = cfg_getnsec(parent, s->name, i);
		const char *title = s->titled ? cfg_title(cfg) : NULL;
		int line = section_line(ld, id, title);

		snprintf(label, sizeof(label), s->titled ? "%s \"%s\": " : "%s: ", s->name, title);
		conf_arena_line(ld->conf->arena, s, line);
		if (s->title != CONF_NOWHERE) {
			*(const char **)(void *)(base + s->title) =
			    conf_arena_copy(ld->conf->arena, title);
			conf_arena_line(ld->conf->arena, base + s->title, line);
		}
		if (s->line != CONF_NOWHERE)
			*(int *)(void *)(base + s->line) = line;
		fill_section(ld, id, cfg, base, label);
	}
	if (s->count != CONF_NOWHERE)
		*(size_t *)(void *)((char *)ld->conf + s->count) = len;
}

/* The nodes are reached over the first link that has an address of each. */
static void
derive_sync_addresses(struct conf *conf)
{
	struct conf_sync *sync = &conf->sync;

	for (size_t i = 0; i < conf->links && sync->address[0] == NULL && sync->address[1] == NULL; i++) {
		const struct conf_link *l = &conf->link[i];

		if (l->transport != CONF_UDP || l->address[0] == NULL || l->address[1] == NULL)
			continue;
		memcpy(sync->address, l->address, sizeof(sync->address));
	}
}

/* What follows from other values where it was not given. */
static void
derive(struct load *ld)
{
	struct conf *conf = ld->conf;
	struct conf_heartbeat *hb = &conf->heartbeat;
	uint32_t keepalive = hb->keepalive_ms == CONF_REFUSED ? 200 : hb->keepalive_ms, dead;

	if (!conf_given(conf, &hb->deadtime_ms))
		hb->deadtime_ms = 5 * keepalive;
	dead = hb->deadtime_ms == CONF_REFUSED ? 5 * keepalive : hb->deadtime_ms;
	if (!conf_given(conf, &hb->warntime_ms))
		hb->warntime_ms = dead / 2 > keepalive ? dead / 2 : keepalive + 1;
	if (!conf_given(conf, &hb->initdead_ms))
		hb->initdead_ms = dead < 30000 ? 60000 : 2 * dead;
	for (int i = 0; i < CONF_NODES; i++)
		if (conf->storage.node_device[i] == NULL)
			conf->storage.node_device[i] = conf->storage.device;
	conf->sync.on = conf->sync.line != 0;
	derive_sync_addresses(conf);
	for (size_t i = 0; i < conf->addresses; i++) {
		struct conf_address *a = &conf->address[i];
		const char *wrong = conf_prefix(a->text, &a->family, a->bytes, &a->prefix);

		if (wrong != NULL)
			conf_mistake(ld->mistakes, a->line, "address \"%s\" %s", a->text, wrong);
	}
}

/* Without case, and without domain where the configured name has none. */
static bool
same_host(const char *configured, const char *host)
{
	size_t len = strchr(configured, '.') == NULL ? strcspn(host, ".") : strlen(host);

	return strlen(configured) == len && strncasecmp(configured, host, len) == 0;
}

static void
find_self(struct load *ld, const char *node)
{
	struct conf *conf = ld->conf;
	struct utsname host;
	const char *name = node;

	if (name == NULL) {
		if (uname(&host) == -1) {
			conf_mistake(ld->mistakes, 0, "the name of this host cannot be told: %s",
			    strerror(errno));
			return;
		}
		name = host.nodename;
	}
	conf->self = -1;
	for (int i = 0; i < CONF_NODES; i++)
		if (conf->node[i] != NULL && same_host(conf->node[i], name))
			conf->self = i;
	if (conf->self >= 0 || conf->node[0] == NULL || conf->node[1] == NULL)
		return;
	conf_mistake(ld->mistakes, conf_line(conf, &conf->node[0], 0),
	    "this host is \"%s\" (%s), but the "
	    "nodes of the pair are \"%s\" and \"%s\"; one of them must be the name of this host",
	    name, node == NULL ? "uname -n" : "given by --node", conf->node[0], conf->node[1]);
}

/* Parse what the scan left and take the values over. */
static void
take_values(struct load *ld)
{
	struct tables tables;
	cfg_t *top;

	tables_make(&tables, &ld->scan);
	top = cfg_init(tables.section[SECT_TOP], CFGF_NONE);
	assert(top != NULL);
	cfg_set_error_function(top, be_quiet);
	if (cfg_parse_buf(top, ld->scan.text) != CFG_SUCCESS)
		conf_mistake(ld->mistakes, top->line, "the line cannot be read as a configuration");
	fill(ld, SECT_NODE, top);
	fill_section(ld, SECT_TOP, top, (char *)ld->conf, "");
	for (enum conf_section_id id = SECT_HEARTBEAT; id < SECT_COUNT; id++) {
		const char *parent = conf_schema[id].parent == SECT_TOP
					 ? NULL
					 : conf_schema[conf_schema[id].parent].name;

		if (parent == NULL)
			fill(ld, id, top);
		else
			fill(ld, id, cfg_size(top, parent) > 0 ? cfg_getnsec(top, parent, 0) : NULL);
	}
	cfg_free(top);
	tables_free(&tables);
}

static bool
is_secret(const char *key)
{
	return strstr(key, "script") == NULL &&
	       (strcasestr(key, "passw") != NULL || strcasestr(key, "secret") != NULL ||
		   strcasestr(key, "token") != NULL);
}

/*
 * An option of a fence device that is a password, where others may read the file. mode: of the
 * file.
 */
static void
check_passwords(const struct load *ld, mode_t mode)
{
	const struct conf *conf = ld->conf;

	if ((mode & (S_IRGRP | S_IROTH)) == 0)
		return;
	for (size_t i = 0; i < conf->fences; i++) {
		const struct conf_fence *f = &conf->fence[i];

		for (size_t n = 0; n < f->options_len; n++) {
			size_t len = strcspn(f->options[n], "=");
			char key[64];

			snprintf(
			    key, sizeof(key), "%.*s", (int)(len < 63 ? len : 63), f->options[n]);
			if (f->options[n][len] != '=' || !is_secret(key))
				continue;
			conf_mistake(ld->mistakes, conf_line(conf, &f->options[n], f->line),
			    "fence \"%s\": options "
			    "hold \"%s\", and others than the owner may read this file (mode "
			    "%04o); use "
			    "password_script=PROGRAM, or chmod 0600 the file",
			    f->name, key, (unsigned int)(mode & 07777));
		}
	}
}

/* The bytes of the file, with a NUL behind them; false with a mistake. */
static bool
read_file(
    const char *file, char **ret, size_t *ret_len, mode_t *ret_mode, struct conf_mistakes *mistakes)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char *text = NULL;
	size_t len = 0;
	ssize_t got = 0;
	struct stat st;
	bool ok = false;

	if (fd == -1 || fstat(fd, &st) == -1) {
		conf_mistake(mistakes, 0, "the configuration cannot be read: %s", strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		conf_mistake(mistakes, 0, "the configuration is no regular file");
		goto out;
	}
	text = malloc(FILE_MAX + 2);
	assert(text != NULL);
	do {
		got = read(fd, text + len, FILE_MAX + 1 - len);
		len += got > 0 ? (size_t)got : 0;
	} while ((got > 0 && len <= FILE_MAX) || (got == -1 && errno == EINTR));
	if (got == -1)
		conf_mistake(mistakes, 0, "the configuration cannot be read: %s", strerror(errno));
	else if (len > FILE_MAX)
		conf_mistake(
		    mistakes, 0, "the configuration is larger than %d KiB", FILE_MAX / 1024);
	else
		ok = true;
out:
	if (fd != -1)
		close(fd);
	if (!ok) {
		free(text);
		return false;
	}
	text[len] = '\0';
	*ret = text;
	*ret_len = len;
	*ret_mode = st.st_mode;
	return true;
}

/* A NUL would end the text for every reader of strings, and hide what follows. */
static bool
without_nul(const char *text, size_t len, struct conf_mistakes *mistakes)
{
	int line = 1;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\0') {
			conf_mistake(mistakes, line,
			    "the file holds a NUL byte: it is no text file, or damaged");
			return false;
		}
		line += text[i] == '\n' ? 1 : 0;
	}
	return true;
}

bool
conf_load(const char *file, const char *node, struct conf **ret, struct conf_mistakes *mistakes)
{
	struct load ld = {.mistakes = mistakes};
	char *text;
	size_t len, before = mistakes->len;
	mode_t mode;

	if (!read_file(file, &text, &len, &mode, mistakes))
		return false;
	if (!without_nul(text, len, mistakes)) {
		free(text);
		return false;
	}
	ld.conf = calloc(1, sizeof(*ld.conf));
	assert(ld.conf != NULL);
	ld.conf->arena = conf_arena_new();
	ld.conf->file = conf_arena_copy(ld.conf->arena, file);
	digest_sha256(text, len, ld.conf->digest);
	conf_scan(text, len, &ld.scan, mistakes);
	explicit_bzero(text, len);
	free(text);
	take_values(&ld);
	derive(&ld);
	if (ld.scan.whole) {
		find_self(&ld, node);
		conf_check(ld.conf, mistakes);
	} else {
		conf_check_sections(ld.conf, mistakes);
	}
	check_passwords(&ld, mode);
	conf_scan_free(&ld.scan);
	conf_mistakes_sort(mistakes);
	if (mistakes->len > before) {
		conf_free(ld.conf);
		return false;
	}
	*ret = ld.conf;
	return true;
}

void
conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	conf_arena_free(conf->arena);
	free(conf);
}
