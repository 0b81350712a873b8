/*
 * configsync/desk_keep.c - versions go to the store a moment after they were said to the peer, so that no edit waits for the
 * database; but what an installation replaces is there before, and on the disk. What came from the peer, and so may be replaced by the next
 * one from there, is brought to the disk soon; versions of this node when it is quiet; both beside the loop.
 */
#include "configsync/desk_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "configsync/beneath.h"
#include "configsync/path_set.h"

#define TAKE_MS 2		/* then the bytes of small files are taken: not while the peer's processes want to run */
#define AFTER_MS 20		/* of quiet, then the store is written ... */
#define AFTER_MOST_MS 1000	/* ... and without quiet */
#define BUSY_MS 100		/* while many files are on their way it is looked at again after this ... */
#define BUSY_MOST_MS 10000	/* ... and written all the same after this */
#define REST_MS 1000		/* of quiet, then it is brought to the disk */
#define REST_MOST_MS 10000	/* without quiet: it is much at once, and the next edit's file waits for the same disk */
#define AGAIN_MS 1000		/* after an error, doubled ... */
#define AGAIN_MAX_MS 60000u	/* ... up to this */
#define ROWS_AT_ONCE 256
#define PIECE_US 100000u	/* one commit, which nothing can interrupt */
#define ROW_UNITS 4		/* of the work of a commit; a page of content is one */
#define UNIT_BYTES 4096u
#define UNITS_FIRST 64u
#define UNITS_MOST (ROWS_AT_ONCE * ROW_UNITS + 1024u)	/* contents wait in memory for it */
#define FRESH_ROWS 16		/* of an edit; of a whole tree the bytes are read one after the other when they are written */
#define FRESH_BYTES (2u << 20)
#define ROWS_MAX 200000		/* that wait while the store cannot be written */
#define END_MS 2000u		/* for what waits when the program is told to end */
#define PRUNE_MS (600u * 1000)
#define PRUNE_FIRST_MS 2000u	/* soon: the first one reads all that is kept */

static void sync_soon(struct desk *);

/* What was sent with the news: the file may be another one by now. */
struct fresh { struct fresh *next; uint8_t digest[DIGEST_LEN]; uint8_t *bytes; size_t len; };

static void
keeping_free(struct keeping *k)
{
	for (size_t i = 0; i < k->rows; i++) {
		free(k->row[i].path);
		free(k->row[i].entry);
		free(k->row[i].theirs);
	}
	free(k->row);
	free(k);
}

/* ---------------------------------------------------------------- contents */

/* The bytes of a file on this node, if they still are the ones. */
static bool
add_from_disk(struct desk *d, const char *path, const uint8_t digest[DIGEST_LEN], struct err *err)
{
	int fd = beneath_open(d->root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, false);
	bool ok;

	if (fd == -1)
		return err_set(err, errno, "/%s cannot be opened: %s", path, strerror(errno));
	ok = store_add(d->store, digest, fd, err);
	close(fd);
	return ok;
}

static bool
add_from_peer(struct desk *d, const uint8_t digest[DIGEST_LEN], struct err *err)
{
	int fd = desk_along_has(d, digest) ? desk_along_fd(d, digest, err) : spool_fd(d->spool, digest, err);
	bool ok;

	if (fd == -1)
		return false;
	ok = store_add(d->store, digest, fd, err);
	close(fd);
	return ok;
}

static bool
add_fresh(struct desk *d, const uint8_t digest[DIGEST_LEN])
{
	struct err err;

	for (const struct fresh *f = d->fresh; f != NULL; f = f->next)
		if (memcmp(f->digest, digest, DIGEST_LEN) == 0)
			return store_add_bytes(d->store, digest, f->bytes, f->len, &err);
	return false;
}

/* True: it is there, or will be with the next store_put(). */
static bool
add_content(struct desk *d, const char *path, const uint8_t digest[DIGEST_LEN], bool mine)
{
	struct err err;
	bool has;

	if (store_has(d->store, digest, &has, &err) && has)
		return true;
	return (mine && (add_fresh(d, digest) || add_from_disk(d, path, digest, &err))) || add_from_peer(d, digest, &err) || (!mine && add_from_disk(d, path, digest, &err));
}

/* An editor may be quick: the bytes of a few small files are taken before they are written. Of many it goes on a moment later. */
static void
take(void *arg)
{
	struct desk *d = arg;
	uint64_t until = clock_mono_us() + PIECE_US;

	for (struct keeping *k = d->keeping; k != NULL; k = k->next) {
		if (clock_mono_us() >= until) {
			loop_timer_in(d->take_timer, 0);
			return;
		}
		for (size_t i = k->done; !k->taken && k->rows <= FRESH_ROWS && i < k->rows; i++)
			if (k->row[i].file && k->row[i].size <= WIRE_INLINE_MAX && !k->row[i].added)
				k->row[i].added = add_content(d, k->row[i].path, k->row[i].digest, k->row[i].mine);
		k->taken = true;
	}
	while (d->fresh != NULL) {
		struct fresh *f = d->fresh;

		d->fresh = f->next;
		explicit_bzero(f->bytes, f->len);
		free(f->bytes);
		free(f);
	}
	d->fresh_bytes = 0;
	loop_timer_cancel(d->take_timer);
}

void
desk_keep_bytes(struct desk *d, const uint8_t digest[DIGEST_LEN], uint8_t *bytes, size_t len)
{
	struct fresh *f = desk_alloc(sizeof *f);

	if (d->fresh_bytes > FRESH_BYTES)
		take(d);
	*f = (struct fresh){ .next = d->fresh, .bytes = bytes, .len = len };
	memcpy(f->digest, digest, DIGEST_LEN);
	d->fresh = f;
	d->fresh_bytes += len;
	if (!loop_timer_pending(d->take_timer))
		loop_timer_in(d->take_timer, TAKE_MS);
}

/* ---------------------------------------------------------------- what waits */

/*
 * While the store knows of no common version at all nothing is put off: a node that has forgotten the first one would take the
 * other for a stranger, and ask an operator.
 */
void
desk_keep(struct desk *d, const struct core_action *action)
{
	struct keeping *k = desk_alloc(sizeof *k);
	uint64_t now = clock_mono_ms();

	if (d->keeping_rows + action->rows > ROWS_MAX) {
		log_warnx("%zu versions are not kept: the store has not been written for too long", action->rows);
		free(k);
		return;
	}
	k->origin = *action->origin;
	k->dispute = action->type == CORE_DISPUTE;
	if (k->dispute || k->origin.name[0] == '\0')	/* both sides are a set of their own, beside the edit that made it */
		store_new_name(k->origin.name);
	if (k->origin.node[0] == '\0')
		snprintf(k->origin.node, sizeof k->origin.node, "%s", d->conf->node[d->self]);
	k->row = desk_alloc((action->rows + 1) * sizeof *k->row);
	for (size_t i = 0; i < action->rows; i++) {
		const struct core_store_row *from = &action->row[i];
		struct kept *to = &k->row[k->rows++];

		*to = (struct kept){ .path = strdup(from->path), .mine = from->mine, .common = from->common, .settles = from->settles,
			.kind = (int)from->kind };
		if (from->entry != NULL) {
			to->entry = core_stamped(from->entry, from->stamp, &to->entry_len);
			to->file = from->entry->type == ENTRY_FILE;
			to->size = from->entry->size;
			memcpy(to->digest, from->entry->digest, DIGEST_LEN);
		}
		if (from->theirs != NULL) {
			to->theirs = core_stamped(from->theirs, from->theirs_stamp, &to->theirs_len);
			to->theirs_file = from->theirs->type == ENTRY_FILE;
			memcpy(to->theirs_digest, from->theirs->digest, DIGEST_LEN);
		}
	}
	*d->keeping_end = k;
	d->keeping_end = &k->next;
	d->keeping_rows += k->rows;
	d->keep_sync = d->keep_sync || strcmp(k->origin.node, d->conf->node[d->self]) != 0;
	if (!d->linked)
		take(d);		/* nobody waits */
	else if (!loop_timer_pending(d->take_timer))
		loop_timer_in(d->take_timer, TAKE_MS);
	if (d->strange)
		desk_keep_all(d);
	if (d->keeping == NULL)
		return;
	if (d->keep_by_ms == 0)
		d->keep_by_ms = now + AFTER_MOST_MS;
	loop_timer_at(d->keep_timer, now + AFTER_MS < d->keep_by_ms ? now + AFTER_MS : d->keep_by_ms);
}

static void
set_of_origin(struct desk *d, const struct core_origin *o, struct store_set *ret)
{
	*ret = (struct store_set){ .cause = o->cause, .wall_ms = o->wall_ms, .tenure = d->tenure };
	snprintf(ret->name, sizeof ret->name, "%s", o->name);
	snprintf(ret->node, sizeof ret->node, "%s", o->node);
	snprintf(ret->who, sizeof ret->who, "%s", o->who);
	snprintf(ret->why, sizeof ret->why, "%s", o->why);
}

static bool
put_disputes(struct desk *d, struct keeping *k, struct err *err)
{
	struct store_dispute *dispute = desk_alloc((k->rows + 1) * sizeof *dispute);
	struct store_set set;
	bool ok;

	set_of_origin(d, &k->origin, &set);
	set.cause = STORE_CONFLICT;
	for (size_t i = 0; i < k->rows; i++) {
		struct kept *row = &k->row[i];

		row->added = row->added || (row->file && add_content(d, row->path, row->digest, true));
		dispute[i].kind = row->kind;
		dispute[i].mine = (struct store_change){ .path = row->path, .entry = row->entry, .entry_len = row->entry_len,
			.digest = row->added ? row->digest : NULL };
		dispute[i].theirs = (struct store_change){ .path = row->path, .entry = row->theirs, .entry_len = row->theirs_len,
			.digest = row->theirs_file && add_content(d, row->path, row->theirs_digest, false) ? row->theirs_digest : NULL };
	}
	ok = store_dispute(d->store, &set, dispute, k->rows, err);
	if (ok)
		k->done = k->rows;
	free(dispute);
	return ok;
}

/* As many rows as are good for one commit: who tells us to end does not wait long for it. */
static bool
put_rows(struct desk *d, struct keeping *k, struct err *err)
{
	struct store_change *change = desk_alloc((ROWS_AT_ONCE + 1) * sizeof *change);
	struct store_set set;
	size_t n = 0;
	uint64_t units = 0, most = pace_units(&d->keep_pace), began = clock_mono_us();
	bool ok;

	for (size_t i = k->done; d->strange && i < k->rows; i++)
		d->strange = !k->row[i].common;
	for (; k->done + n < k->rows && n < ROWS_AT_ONCE && units < most; n++) {
		struct kept *row = &k->row[k->done + n];

		row->added = row->added || (row->file && add_content(d, row->path, row->digest, row->mine));
		units += ROW_UNITS + (row->file ? row->size / UNIT_BYTES : 0);
		change[n] = (struct store_change){ .path = row->path, .entry = row->entry, .entry_len = row->entry_len,
			.digest = row->added ? row->digest : NULL, .common = row->common, .settles = row->settles };
	}
	set_of_origin(d, &k->origin, &set);
	ok = store_put(d->store, &set, change, n, err);
	if (ok)
		k->done += n;
	pace_took(&d->keep_pace, units, clock_mono_us() - began);
	free(change);
	return ok;
}

/* One commit. False: it could not be done, and will be tried again. */
static bool
keep_some(struct desk *d)
{
	struct keeping *k = d->keeping;
	struct store_news news = { 0 };
	struct err err;

	if (k->dispute ? put_disputes(d, k, &err) : put_rows(d, k, &err)) {
		core_problem(d->core, "not-kept", "", NULL, clock_wall_ms());
		d->keep_after_ms = AGAIN_MS;
		if (k->done == k->rows) {
			d->keeping_rows -= k->rows;
			d->keeping = k->next;
			keeping_free(k);
		}
		if (d->keeping == NULL) {
			d->keeping_end = &d->keeping;
			pace_rest(&d->keep_pace);
		}
		return true;
	}
	core_problem(d->core, "not-kept", "", err.text, clock_wall_ms());
	log_warnx("versions of files cannot be put in the store, it is tried again: %s", err.text);
	for (; k != NULL; k = k->next)		/* what waited in the store's memory may be gone */
		for (size_t i = k->done; i < k->rows; i++)
			k->row[i].added = false;
	if (store_spoilt(d->store) && store_renew(d->store, &news, &err) && news.text[0] != '\0')
		log_warnx("%s", news.text);
	return false;
}

static bool
awaits(const void *core, const char *path)
{
	return core_awaits(core, path);
}

/*
 * All that was put in place is in the store, on the disk, or cannot be looked at since the start. Not within desk_work(): the core may still be about to say what is
 * to be kept.
 */
static void
forget_intent(struct desk *d)
{
	bool all = d->scanned && d->placing == NULL && d->keeping == NULL && !d->keep_sync && !store_syncing(d->store);
	struct err err;

	if (all && !d->working && !intent_clear(d->intent, core_awaits(d->core, NULL) ? awaits : NULL, d->core, &err))
		log_warnx("%s", err.text);
}

/* What came from the peer, and was put while another wait was under way, is waited for in its turn. */
static void
synced(void *arg, const struct err *err)
{
	struct desk *d = arg;

	if (err != NULL)
		log_warnx("%s", err->text);
	if (d->keep_sync && d->keeping == NULL)
		sync_soon(d);
	else if (err == NULL)
		forget_intent(d);
}

static void
sync_soon(struct desk *d)
{
	if (store_syncing(d->store))
		return;
	d->keep_sync = false;
	store_sync_later(d->store, d->loop, false, synced, d);
}

/* Nothing has been put for a while, or something is put all the time. */
static void
rest(void *arg)
{
	struct desk *d = arg;

	if (store_syncing(d->store)) {
		loop_timer_in(d->rest_timer, REST_MS);
		return;
	}
	d->rest_by_ms = 0;
	store_sync_later(d->store, d->loop, true, synced, d);
}

/* What was put is on the disk soon. */
static void
kept(struct desk *d)
{
	uint64_t now = clock_mono_ms();
	struct err err;

	if (d->keep_sync)
		sync_soon(d);
	forget_intent(d);
	if (!store_tidy(d->store, &err))
		log_warnx("%s", err.text);
	if (d->rest_by_ms == 0)
		d->rest_by_ms = now + REST_MOST_MS;
	loop_timer_at(d->rest_timer, now + REST_MS < d->rest_by_ms ? now + REST_MS : d->rest_by_ms);
}

bool
desk_under_way(struct desk *d)
{
	return d->placing != NULL || d->sending != NULL || desk_wants(d) || (d->linked && core_apart(d->core) > ROWS_AT_ONCE);
}

/* The store takes as much of the processors and of the disk as the files themselves: it comes after them. */
static bool
puts_off(struct desk *d)
{
	bool busy = d->keep_after_ms <= AGAIN_MS && d->keeping_rows < ROWS_MAX / 4 && desk_under_way(d);

	if (!busy || d->busy_by_ms == 0)
		d->busy_by_ms = busy ? clock_mono_ms() + BUSY_MOST_MS : 0;
	if (clock_mono_ms() >= d->busy_by_ms)
		return false;
	loop_timer_in(d->keep_timer, BUSY_MS);
	return true;
}

static void
keep(void *arg)
{
	struct desk *d = arg;

	if (d->keeping == NULL || puts_off(d))
		return;
	take(d);
	d->keep_by_ms = 0;
	if (keep_some(d)) {
		if (d->keeping != NULL)
			loop_timer_in(d->keep_timer, 0);
		else
			kept(d);
	} else {
		loop_timer_in(d->keep_timer, d->keep_after_ms);
		if (d->keep_after_ms < AGAIN_MAX_MS)
			d->keep_after_ms *= 2;
	}
	desk_work(d);
}

void
desk_keep_all(struct desk *d)
{
	struct err err;

	take(d);
	d->keep_by_ms = 0;
	while (d->keeping != NULL && keep_some(d))
		;
	if (!store_sync(d->store, &err))
		log_warnx("%s", err.text);
	forget_intent(d);
}

void
desk_keep_end(struct desk *d)
{
	uint64_t until = clock_mono_ms() + END_MS;
	struct err err;

	take(d);
	while (d->keeping != NULL && clock_mono_ms() < until && keep_some(d))
		;
	if (d->keeping != NULL)
		log_info("%zu versions of files are not in the store yet: they are found again at the next start", d->keeping_rows);
	while (d->keeping != NULL) {
		struct keeping *k = d->keeping;

		d->keeping = k->next;
		keeping_free(k);
	}
	if (!store_sync(d->store, &err))
		log_warnx("%s", err.text);
}

/* ---------------------------------------------------------------- what is replaced */

/* Paths of which a version still waits. They are the rows': nothing may be put meanwhile. */
static struct path_set
waiting(const struct desk *d)
{
	struct path_set w = path_set_new(d->keeping_rows);

	for (const struct keeping *k = d->keeping; k != NULL; k = k->next)
		for (size_t i = k->done; i < k->rows; i++)
			path_set_add(&w, k->row[i].path);
	return w;
}

/* An edit that follows quickly on another: what waits goes before it, so that no version is put twice. Of very many it takes too long. */
static void
keep_before(struct desk *d, const struct core_job *job)
{
	struct path_set w;
	bool some = false;

	if (d->keeping == NULL || d->keeping_rows > ROWS_AT_ONCE)
		return;
	w = waiting(d);
	for (size_t i = 0; i < job->changes && !some; i++)
		some = job->change[i].was != NULL && path_set_has(&w, job->change[i].was->path);
	path_set_free(&w);
	if (!some)
		return;
	take(d);
	while (d->keeping != NULL && keep_some(d))
		;
}

bool
desk_keep_old(struct desk *d, const struct core_job *job, struct err *err)
{
	struct store_change *change = desk_alloc((job->changes + 1) * sizeof *change);
	struct core_origin origin;
	struct store_set set;
	struct path_set w;
	size_t n = 0;
	bool ok = true, some = false, has;

	keep_before(d, job);
	w = waiting(d);
	for (size_t i = 0; ok && i < job->changes; i++) {
		const struct entry *was = job->change[i].was;

		if (was == NULL || was->type == ENTRY_OTHER || was->type == ENTRY_NONE)
			continue;
		some = some || was->type != ENTRY_DIRECTORY;
		if (was->type == ENTRY_FILE) {
			ok = store_has(d->store, was->digest, &has, err);
			if (ok && has && !path_set_has(&w, was->path))
				continue;
			ok = ok && (has || add_from_disk(d, was->path, was->digest, err));
		} else if (was->type == ENTRY_DIRECTORY || !path_set_has(&w, was->path)) {
			continue;	/* its versions came with the scan that found it */
		}
		change[n] = (struct store_change){ .path = was->path, .digest = was->type == ENTRY_FILE ? was->digest : NULL };
		change[n].entry = core_stamped(was, 0, &change[n].entry_len);
		n++;
	}
	path_set_free(&w);
	if (ok && n > 0) {
		origin = desk_origin(d, STORE_FOUND, "before it was replaced");
		set_of_origin(d, &origin, &set);
		ok = store_put(d->store, &set, change, n, err);
	}
	d->replaces = some;
	if (ok && some)
		store_sync_later(d->store, d->loop, false, synced, d);
	while (n > 0)
		free((void *)(uintptr_t)change[--n].entry);
	free(change);
	return ok;
}

bool
desk_kept_old(void *arg, struct err *err)
{
	struct desk *d = arg;

	return !d->replaces || store_sync(d->store, err);	/* what is new need not wait for the store */
}

/* ---------------------------------------------------------------- begin */

static void
prune(void *arg)
{
	struct desk *d = arg;
	const struct conf_sync *sync = &d->conf->sync;
	uint64_t removed = 0, now = clock_wall_ms(), keep_ms = (uint64_t)sync->keep_s * 1000, older_ms = now > keep_ms ? now - keep_ms : 0;
	struct err err;

	loop_timer_in(d->prune_timer, PRUNE_MS);
	desk_sweep(d);
	if (!store_prune_due(d->store, older_ms, sync->keep_bytes))
		return;
	if (!store_prune(d->store, older_ms, sync->keep_bytes, &removed, &err))
		log_warnx("old versions of files cannot be removed: %s", err.text);
	else if (removed > 0)
		log_info("%llu old versions of files were removed: they are kept for %u days and up to %llu bytes", (unsigned long long)removed,
		    sync->keep_s / 86400, (unsigned long long)sync->keep_bytes);
}

bool
desk_open_store(struct desk *d)
{
	struct store_news news = { 0 };
	char path[PATH_MAX];
	struct err err;

	snprintf(path, sizeof path, "%s/journal.db", d->conf->state_dir);
	if (!store_open(path, true, &d->store, &news, &err)) {
		log_err("the versions of files in %s cannot be opened: %s", path, err.text);
		return false;
	}
	if (news.text[0] != '\0')
		log_warnx("%s", news.text);
	if ((d->intent = intent_open(d->conf->state_dir, &err)) == NULL) {
		log_err("%s", err.text);
		return false;
	}
	d->keeping_end = &d->keeping;
	d->keep_after_ms = AGAIN_MS;
	d->keep_pace = (struct pace){ .first = UNITS_FIRST, .most = UNITS_MOST, .us = PIECE_US };
	d->keep_timer = loop_timer_new(d->loop, keep, d);
	d->take_timer = loop_timer_new(d->loop, take, d);
	d->rest_timer = loop_timer_new(d->loop, rest, d);
	d->prune_timer = loop_timer_new(d->loop, prune, d);
	loop_timer_in(d->prune_timer, PRUNE_FIRST_MS);
	return true;
}
