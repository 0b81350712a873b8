/*
 * configsync/desk_rules.c - which mailpair.conf is in force here. It travels like any other file, and says what travels: two nodes that do not agree
 * about that carry nothing. So where it is carried itself, the one that both nodes have is in force, and not what stands on one
 * disk: an edited one counts when the other node has it, too. Then this node's mailpaird reads it, as the other node's did.
 *
 * What a power cut or an edit without a link leaves behind may be two nodes with different ones in force. Who hears so takes the one
 * of its two (on the disk, and the last common one) that fits, else the common one; without a link they take turns.
 */
#include "configsync/desk_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "configsync/setup.h"

#define TURN_MS 60000u		/* doubled each time ... */
#define TURN_MOST_MS (3600u * 1000)	/* ... up to this, as each costs a reading of all trees */
#define PROBLEM "not-in-force"

struct rules { struct conf *conf; struct setup *setup; struct scope *scope; };

static void
rules_free(struct rules *r)
{
	setup_free(r->setup);
	scope_free(r->scope);
	conf_free(r->conf);
	*r = (struct rules){ NULL, NULL, NULL };
}

static void
say_mistakes(const char *file, const struct conf_mistakes *m)
{
	for (size_t i = 0; i < m->len; i++)
		log_err("%s:%d: %s", file, m->item[i].line, m->item[i].text);
}

/* Where this program stands, mailpaird and mailpair do; NULL: they are looked for in PATH. */
static const char *
own_directory(char *buf, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", buf, size - 1);
	char *slash, path[PATH_MAX];

	if (n <= 0)
		return NULL;
	buf[n] = '\0';
	slash = strrchr(buf, '/');
	*slash = '\0';
	if (snprintf(path, sizeof path, "%s/mailpaird", buf) >= (int)sizeof path || access(path, X_OK) == -1)
		return NULL;
	return buf;
}

/* From a file that is called by its usual name, wherever its bytes are read. False: it was said. */
static bool
read_rules(const struct desk *d, const char *from, struct rules *ret)
{
	struct conf_mistakes mistakes = { 0 };
	char programs[PATH_MAX];
	struct err err;

	*ret = (struct rules){ NULL, NULL, NULL };
	if (!conf_load(from, d->how->node, &ret->conf, &mistakes)) {
		say_mistakes(d->how->conf, &mistakes);
		conf_mistakes_free(&mistakes);
		ret->conf = NULL;
		return false;
	}
	ret->conf->file = d->how->conf;
	if (!ret->conf->sync.on) {
		log_err("%s has no section config-sync: nothing is to be done", d->how->conf);
	} else {
		ret->setup = setup_new(ret->conf, own_directory(programs, sizeof programs));
		ret->scope = scope_new(&ret->setup->scope, &err);
		if (ret->scope != NULL)
			return true;
		log_err("%s: %s", d->how->conf, err.text);
	}
	rules_free(ret);
	return false;
}

/* The last one that both nodes had, out of the store. */
static bool
read_common(struct desk *d, struct rules *ret)
{
	char path[64];
	struct err err;
	int fd;
	bool ok;

	if (!d->own_known)
		return false;
	if ((fd = store_read_fd(d->store, d->own_both, &err)) == -1) {
		log_warnx("the %s that both nodes had last is not in the store: %s", d->how->conf, err.text);
		return false;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ok = read_rules(d, path, ret);
	close(fd);
	return ok;
}

static void
take(struct desk *d, struct rules *r)
{
	setup_free(d->setup);
	scope_free(d->scope);
	conf_free(d->conf);
	d->conf = r->conf;
	d->setup = r->setup;
	d->scope = r->scope;
}

/* Path of our own file from the root, "" where it is not carried. */
static const char *
own_path(const struct desk *d)
{
	const char *file = d->how->conf;
	size_t root = strlen(d->root_path);

	if (strncmp(file, d->root_path, root) != 0 || file[root] != '/' || scope_place(d->scope, file + root + 1) != SCOPE_INSIDE)
		return "";
	return file + root + 1;
}

static bool
is_in_force(const struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	return memcmp(d->conf->digest, digest, DIGEST_LEN) == 0;
}

/* ---------------------------------------------------------------- in turn */

/* A problem, as long as what stands on the disk does not count. */
void
desk_rules_say(struct desk *d)
{
	const char *why = NULL;
	struct rules disk;

	if (d->own_known && own_path(d)[0] != '\0' && read_rules(d, d->how->conf, &disk)) {
		if (memcmp(disk.conf->digest, d->own_both, DIGEST_LEN) != 0)
			why = "the other node does not have this one yet; until then the last one that both had is in force";
		else if (!is_in_force(d, disk.conf->digest))
			why = "both nodes have it, and it was not taken here: mailpair reload says why";
		rules_free(&disk);
	}
	core_problem(d->core, PROBLEM, own_path(d), why, clock_wall_ms());
	if (why != NULL)
		loop_timer_in(d->rules_timer, d->rules_turn_ms);
	else
		loop_timer_cancel(d->rules_timer);
}

static void fit(struct desk *);

static void
turn(void *arg)
{
	struct desk *d = arg;
	struct rules other;

	if (d->own_now) {
		d->own_now = false;
		desk_reload(d);
		return;
	}
	if (d->other_scope_heard) {
		d->other_scope_heard = false;
		fit(d);
		return;
	}
	if (d->own_say || d->linked || !d->own_known) {
		d->own_say = false;
		d->rules_turn_ms = TURN_MS;
		desk_rules_say(d);
		desk_work(d);
		return;
	}
	d->rules_turn_ms = 2 * d->rules_turn_ms < TURN_MOST_MS ? 2 * d->rules_turn_ms : TURN_MOST_MS;
	if (is_in_force(d, d->own_both) ? read_rules(d, d->how->conf, &other) : read_common(d, &other)) {
		if (is_in_force(d, other.conf->digest))
			rules_free(&other);
		else
			desk_adopt(d, other.conf, other.setup, other.scope);
	}
	desk_rules_say(d);
	desk_work(d);
}

/* ---------------------------------------------------------------- begin, and a new one */

bool
desk_rules_read(struct desk *d)
{
	struct rules disk;

	if (!read_rules(d, d->how->conf, &disk))
		return false;
	take(d, &disk);
	return true;
}

static bool
note_common(void *arg, const struct store_version *v)
{
	struct desk *d = arg;
	struct manifest *m;
	uint64_t stamp;
	struct err err;

	if (!v->common || v->entry == NULL || !v->kept)
		return true;
	m = manifest_new();
	if (core_unstamped(m, v->entry, v->entry_len, &stamp, &err) && m->at[0].type == ENTRY_FILE) {
		memcpy(d->own_both, m->at[0].digest, DIGEST_LEN);
		d->own_known = true;
	}
	manifest_free(m);
	return false;
}

void
desk_rules_begin(struct desk *d)
{
	const char *own = own_path(d);
	struct rules common;
	struct err err;

	d->rules_timer = loop_timer_new(d->loop, turn, d);
	d->rules_turn_ms = TURN_MS;
	if (own[0] == '\0')
		return;
	if (!store_history(d->store, own, NULL, SIZE_MAX, note_common, d, &err))
		log_warnx("%s", err.text);
	if (!d->own_known || is_in_force(d, d->own_both) || !read_common(d, &common))
		return;
	log_info("%s was changed, and the other node does not have it yet: the last one that both had is in force", d->how->conf);
	take(d, &common);
}

bool
desk_reload(struct desk *d)
{
	struct rules disk;

	if (!read_rules(d, d->how->conf, &disk)) {
		log_warnx("the new configuration is refused, the old one stays");
		return false;
	}
	if (d->own_known && own_path(d)[0] != '\0' && memcmp(disk.conf->digest, d->own_both, DIGEST_LEN) != 0) {
		log_info("%s counts when the other node has it, too", d->how->conf);
		rules_free(&disk);
		desk_keys(d);	/* of these each node has its own */
	} else if (!desk_adopt(d, disk.conf, disk.setup, disk.scope)) {
		return false;
	}
	desk_rules_say(d);
	desk_work(d);
	return true;
}

/* ---------------------------------------------------------------- what the link says */

bool
desk_is_own(const struct desk *d, const char *path)
{
	const char *own = own_path(d);

	return own[0] != '\0' && strcmp(own, path) == 0;
}

void
desk_rules_common(struct desk *d, const struct core_action *a)
{
	for (size_t i = 0; i < a->rows; i++) {
		const struct core_store_row *row = &a->row[i];

		if (!row->common || row->entry == NULL || row->entry->type != ENTRY_FILE || !desk_is_own(d, row->path))
			continue;
		memcpy(d->own_both, row->entry->digest, DIGEST_LEN);
		d->own_known = true;
		if (is_in_force(d, d->own_both)) {
			d->own_say = true;
			loop_timer_in(d->rules_timer, 0);
			continue;
		}
		log_info("both nodes have the new %s", d->how->conf);
		if (d->how->lines) {	/* mailpaird reads it, and tells us to */
			desk_rebuild(d, 0, &(struct change){ .path = row->path }, 1);
		} else {
			d->own_now = true;
			loop_timer_in(d->rules_timer, 0);
		}
	}
}

/* Their scope is not ours: is one of ours theirs? */
static void
fit(struct desk *d)
{
	struct rules disk = { NULL, NULL, NULL }, common = { NULL, NULL, NULL }, *best = NULL;
	uint8_t ours[DIGEST_LEN];

	if (read_rules(d, d->how->conf, &disk)) {
		setup_digest(disk.conf, disk.setup, ours);
		if (memcmp(ours, d->other_scope, DIGEST_LEN) == 0)
			best = &disk;
	}
	if (best == NULL && read_common(d, &common))
		best = &common;
	if (best != NULL && !is_in_force(d, best->conf->digest)) {
		desk_adopt(d, best->conf, best->setup, best->scope);
		*best = (struct rules){ NULL, NULL, NULL };
	}
	rules_free(&disk);
	rules_free(&common);
	desk_rules_say(d);
	desk_work(d);
}

void
desk_rules_other(struct desk *d, const uint8_t scope[DIGEST_LEN])
{
	uint8_t ours[DIGEST_LEN];

	setup_digest(d->conf, d->setup, ours);
	if (!d->own_known || memcmp(ours, scope, DIGEST_LEN) == 0)
		return;
	memcpy(d->other_scope, scope, DIGEST_LEN);
	d->other_scope_heard = true;
	loop_timer_in(d->rules_timer, 0);
}
