/*
 * configsync/desk_read.c - what the watch tells waits until it is settled, is read, and goes to the core; and the full scan at the
 * start, after a loss of events, when the nodes meet again (desk_meet.c), and every hour.
 */
#include "configsync/desk_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/log.h"
#include "configsync/derived.h"
#include "configsync/install.h"

#define FULL_MS (3600u * 1000)
#define UNSETTLED_MS 1000	/* until the next reading of what changed all the time */
#define AGAIN_MS 2000u		/* after a watch that ended; twice as long each time, up to WATCH_RETRY_MS */

static struct scan_options
options(struct desk *d, const struct manifest *known)
{
	return (struct scan_options){ .scope = d->scope, .names = d->names, .known = known, .margin_ms = SCAN_MARGIN_MS, .fine_ms = SCAN_FINE_MS };
}

static const enum note_kind of_readings[] = { NOTE_UNREADABLE, NOTE_UNSETTLED, NOTE_NOT_CARRIED };
#define OF_READINGS (sizeof of_readings / sizeof of_readings[0])

/* n 0: everything was. */
static bool
was_looked_at(const struct scan_path *look, size_t n, const char *path)
{
	bool is = n == 0;

	for (size_t i = 0; i < n && !is; i++)
		is = look[i].below ? entry_path_within(path, look[i].path) : strcmp(path, look[i].path) == 0;
	return is;
}

/* What an earlier reading found, and this one of look does not. */
static void
take_back(struct desk *d, const struct scan_path *look, size_t n, const struct report *report)
{
	struct core_status st;
	char *path;

	if (!core_troubled(d->core))
		return;
	core_status(d->core, &st);
	for (size_t i = st.problems; i-- > 0;)		/* a problem that goes is replaced by the last one */
		for (size_t k = 0; k < OF_READINGS; k++) {
			if (strcmp(st.problem[i].kind, note_word(of_readings[k])) != 0 || !was_looked_at(look, n, st.problem[i].path) ||
			    report_has(report, of_readings[k], st.problem[i].path))
				continue;
			path = strdup(st.problem[i].path);
			core_problem(d->core, note_word(of_readings[k]), path != NULL ? path : "", NULL, clock_wall_ms());
			free(path);
			core_status(d->core, &st);
			break;
		}
}

/* What did not stand still is read again, with all below: the watch may have told all of it before the reading ended. */
static void
look_at_unsettled(void *arg)
{
	struct desk *d = arg;
	struct core_status st;

	core_status(d->core, &st);
	for (size_t i = 0; i < st.problems; i++)
		if (strcmp(st.problem[i].kind, note_word(NOTE_UNSETTLED)) == 0)
			desk_changed(d, st.problem[i].path, true);
}

/* Notes of a reading of look are problems (n 0: of everything), and those of before are over. */
static void
note(struct desk *d, const struct scan_path *look, size_t n, const struct report *report)
{
	take_back(d, look, n, report);
	if (report_has(report, NOTE_UNSETTLED, NULL))
		loop_timer_in(d->unsettled_timer, UNSETTLED_MS);
	for (size_t i = 0; i < report->len; i++) {
		const struct note *at = &report->at[i];

		/* what is not there is no problem: the default trees are those of any mail server */
		if (at->kind != NOTE_MISSING_TREE && at->kind != NOTE_LEFTOVER && at->kind != NOTE_SPECIAL && at->kind != NOTE_BEING_WRITTEN)
			core_problem(d->core, note_word(at->kind), at->path, at->text, clock_wall_ms());
	}
}

/* Is there the file that path is made of? */
static bool
is_derived(const struct desk *d, const char *path)
{
	char source[ENTRY_PATH_MAX + 1];
	struct stat st;

	return derived_from(path, source, sizeof source) != NULL && fstatat(d->root, source, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

/* What each node makes of a source itself is no part of the trees. Takes m. */
static struct manifest *
without_derived(const struct desk *d, struct manifest *m)
{
	struct manifest *kept = NULL;
	struct err err;

	for (size_t i = 0; m != NULL && i < m->len; i++) {
		bool derived = m->at[i].type == ENTRY_FILE && is_derived(d, m->at[i].path);

		if (derived && kept == NULL) {
			kept = manifest_new();
			for (size_t k = 0; k < i; k++)
				manifest_add(kept, &m->at[k]);
		} else if (!derived && kept != NULL) {
			manifest_add(kept, &m->at[i]);
		}
	}
	if (kept == NULL)
		return m;
	if (!manifest_seal(kept, &err))		/* a tree without some of its files is one */
		abort();
	manifest_free(m);
	return kept;
}

/* Names in the slice of the file that e is. */
static uint32_t
names_of_file(const struct manifest *m, const struct entry *e)
{
	uint32_t n = 0;

	for (size_t i = 0; i < m->len; i++)
		n += m->at[i].local.ino == e->local.ino && m->at[i].local.dev == e->local.dev;
	return n;
}

/*
 * Files with more names than were looked at, whose other names have just become theirs: all that the trees are known to have of them. malloc'd
 * list of paths in *ret_all, which is to be freed after it; how many.
 */
static size_t
mates(const struct desk *d, const struct manifest *slice, struct scan_path **ret, struct manifest **ret_all)
{
	size_t n = 0;

	*ret = NULL;
	*ret_all = NULL;
	for (size_t i = 0; i < slice->len; i++) {
		const struct entry *e = &slice->at[i];

		if (e->type != ENTRY_FILE || e->local.links < 2 || e->local.links == names_of_file(slice, e))
			continue;
		if (*ret_all == NULL)
			*ret_all = core_mine(d->core);
		for (size_t k = 0; k < (*ret_all)->len; k++) {
			const struct entry *other = &(*ret_all)->at[k];

			if (other->local.ino != e->local.ino || other->local.dev != e->local.dev || manifest_find(slice, other->path) != NULL)
				continue;
			*ret = realloc(*ret, (n + 1) * sizeof **ret);
			if (*ret == NULL)
				abort();
			(*ret)[n++] = (struct scan_path){ other->path, false };
		}
	}
	return n;
}

/* Reads them into a slice, and all names of files among them. False: said. */
static bool
read_slice(struct desk *d, const struct scan_path *look, size_t n, const struct manifest *placed, struct scan_slice *slice, struct report *report)
{
	const char **path = desk_alloc((n + 1) * sizeof *path);
	struct manifest *known, *all;
	struct scan_path *more, *both;
	struct scan_options so;
	struct err err;
	size_t extra;
	bool ok;

	for (size_t i = 0; i < n; i++)
		path[i] = look[i].path;
	known = core_known(d->core, path, n);
	so = options(d, known);
	so.placed = placed;
	so.small = desk_just_read;
	so.arg = d;
	ok = scan_paths(d->root, &so, look, n, slice, report, NULL, &err);
	if (ok && (extra = mates(d, slice->manifest, &more, &all)) > 0) {
		both = desk_alloc((n + extra) * sizeof *both);
		memcpy(both, look, n * sizeof *both);
		memcpy(both + n, more, extra * sizeof *both);
		scan_slice_free(slice);
		report_free(report);
		*slice = (struct scan_slice){ 0 };
		*report = (struct report){ 0 };
		ok = scan_paths(d->root, &so, both, n + extra, slice, report, NULL, &err);
		free(both);
		free(more);
		manifest_free(all);
	} else if (ok) {
		manifest_free(all);
	}
	if (ok)
		slice->manifest = without_derived(d, slice->manifest);
	else
		log_warnx("the trees cannot be read: %s", err.text);
	manifest_free(known);
	free(path);
	return ok;
}

void
desk_look(struct desk *d, const struct scan_path *look, size_t n, const struct core_origin *origin)
{
	uint64_t moment = core_moment(d->core);
	struct scan_slice slice = { 0 };
	struct report report = { 0 };
	struct core_looked *looked;

	if (read_slice(d, look, n, NULL, &slice, &report)) {
		slice.manifest = desk_busy(d, look, n, slice.manifest, &report);
		looked = desk_alloc((slice.len + 1) * sizeof *looked);
		for (size_t i = 0; i < slice.len; i++)
			looked[i] = (struct core_looked){ slice.looked[i].path, slice.looked[i].below };
		core_slice(d->core, looked, slice.len, slice.manifest, moment, origin, clock_mono_ms());
		note(d, look, n, &report);
		free(looked);
	}
	scan_slice_free(&slice);
	report_free(&report);
}

/* Of a file with several names each reading counts them anew. */
static bool
is_as_left(const struct entry *e)
{
	return e != NULL && (e->type != ENTRY_FILE || e->local.links == 1);
}

/* Adds those of placed that were not read. Takes there. */
static struct manifest *
with_placed(struct desk *d, struct manifest *there, const struct manifest *placed)
{
	size_t read = there->len;

	for (size_t i = 0, at = 0; i < placed->len; i++) {
		while (at < read && entry_path_order(there->at[at].path, placed->at[i].path) < 0)
			at++;
		if ((at == read || strcmp(there->at[at].path, placed->at[i].path) != 0) && is_as_left(&placed->at[i]))
			manifest_add(there, &placed->at[i]);
	}
	if (manifest_seal(there, NULL))
		return without_derived(d, there);
	manifest_free(there);		/* something else has taken the place of a directory */
	return NULL;
}

struct manifest *
desk_read(struct desk *d, const struct core_looked *looked, size_t n, const struct manifest *placed, bool as_left)
{
	struct scan_path *look = desk_alloc((n + 1) * sizeof *look);
	struct scan_slice slice = { 0 };
	struct report report = { 0 };
	struct manifest *there;
	size_t looks = 0, at = 0;

	as_left = as_left && placed != NULL;
	for (size_t i = 0; i < n; i++)
		if (!as_left || !is_as_left(manifest_find_next(placed, &at, looked[i].path)))
			look[looks++] = (struct scan_path){ looked[i].path, looked[i].below };
	if (looks > 0)
		read_slice(d, look, looks, placed, &slice, &report);
	there = looks > 0 ? slice.manifest : manifest_new();
	slice.manifest = NULL;
	scan_slice_free(&slice);
	report_free(&report);
	free(look);
	return as_left && there != NULL ? with_placed(d, there, placed) : there;
}

void
desk_scan(struct desk *d, const char *why)
{
	struct manifest *known = core_mine(d->core), *mine;
	struct report report = { 0 };
	struct scan_options so = options(d, d->scanned ? known : NULL);
	struct core_origin origin;
	uint64_t moment = core_moment(d->core);
	struct err err;

	names_again(d->names);
	mine = scan_trees(d->root, &so, &report, NULL, &err);
	/* what a crash of ours has left: nobody else makes such names; but for an installation under way */
	if (mine != NULL && d->placing == NULL && report_has(&report, NOTE_LEFTOVER, NULL) && install_clean(d->root, d->scope, &report, &err)) {
		manifest_free(mine);
		report_free(&report);
		report = (struct report){ 0 };
		mine = scan_trees(d->root, &so, &report, NULL, &err);
	}
	if (mine != NULL) {
		mine = desk_busy(d, NULL, 0, without_derived(d, mine), &report);
		origin = desk_origin(d, d->scanned ? STORE_EDIT : STORE_FOUND, "");
		d->scanned = true;
		core_scan(d->core, mine, moment, &origin, clock_mono_ms());
		note(d, NULL, 0, &report);
	} else {
		log_err("the trees cannot be read: %s", err.text);
	}
	manifest_free(mine);
	manifest_free(known);
	report_free(&report);
	desk_place_doubt(d);
	d->scanned_at = clock_mono_ms();
	d->scanned_wall_ms = clock_wall_ms();
	snprintf(d->scanned_why, sizeof d->scanned_why, "%s", why);
	loop_timer_in(d->full_timer, FULL_MS);
}

/* ---------------------------------------------------------------- what the watch tells */

static bool
below_take(struct desk *d, const char *path)
{
	for (size_t i = 0; i < d->belows; i++)
		if (strcmp(d->below[i], path) == 0) {
			free(d->below[i]);
			d->below[i] = d->below[--d->belows];
			return true;
		}
	return false;
}

static void
below_note(struct desk *d, const char *path)
{
	char **grown;

	for (size_t i = 0; i < d->belows; i++)
		if (strcmp(d->below[i], path) == 0)
			return;
	grown = realloc(d->below, (d->belows + 1) * sizeof *grown);
	if (grown == NULL)
		abort();
	d->below = grown;
	d->below[d->belows++] = strdup(path);
}

static void
arm_settle(struct desk *d)
{
	uint64_t due;

	if (settle_due(d->settle, &due))
		loop_timer_at(d->settle_timer, due);
	else
		loop_timer_cancel(d->settle_timer);
}

/* What is being put in place, or was just now, is taken as it was left: what is told of it meanwhile may be somebody's edit, and is looked at after that. */
static void
hold(struct desk *d, const char *path, bool below)
{
	if (below)
		below_note(d, path);
	settle_note(d->held, &d->setup->sets, path, false, clock_mono_ms());
}

void
desk_changed_on(struct desk *d)
{
	struct settled *s;

	while (d->held != NULL && (s = settle_take(d->held, UINT64_MAX)) != NULL) {
		for (size_t i = 0; i < s->paths; i++)
			desk_changed(d, s->path[i], false);
		settled_free(s);
	}
}

/* All that is due in one reading. */
static void
look_at_settled(void *arg)
{
	struct desk *d = arg;
	struct core_origin origin = desk_origin(d, STORE_EDIT, "");
	struct settled *s, **taken = NULL;
	struct scan_path *look = NULL;
	size_t sets = 0, n = 0;
	uint64_t now = clock_mono_ms();
	bool below;

	while ((s = settle_take(d->settle, now)) != NULL) {
		taken = realloc(taken, (sets + 1) * sizeof(struct settled *));
		look = realloc(look, (n + s->paths) * sizeof *look);
		if (taken == NULL || look == NULL)
			abort();
		taken[sets++] = s;
		for (size_t i = 0; i < s->paths; i++) {
			below = below_take(d, s->path[i]);
			if (desk_placing(d, s->path[i], below) || desk_lately(d, s->path[i]))
				hold(d, s->path[i], below);
			else
				look[n++] = (struct scan_path){ s->path[i], below };
		}
	}
	if (n > 0)
		desk_look(d, look, n, &origin);
	while (sets > 0)
		settled_free(taken[--sets]);
	free(taken);
	free(look);
	arm_settle(d);
	desk_work(d);
}

void
desk_changed(struct desk *d, const char *path, bool below)
{
	if (below)
		below_note(d, path);
	settle_note(d->settle, &d->setup->sets, path, is_derived(d, path), clock_mono_ms());
	arm_settle(d);
}

static void
changed(void *arg, const char *path, bool below)
{
	desk_changed(arg, path, below);
}

static void
begun(void *arg)
{
	desk_send_soon(arg, true);
}

/* Single files are due at once, without a turn of the loop. */
static void
told(void *arg)
{
	struct desk *d = arg;
	uint64_t due;

	if (settle_due(d->settle, &due) && due <= clock_mono_ms()) {
		desk_send_soon(d, false);
		look_at_settled(d);
	}
}

static void
all_changed(void *arg, const char *why)
{
	struct desk *d = arg;

	if (d->scanned)
		log_info("all trees are read again: %s", why);
	desk_scan(d, why);
	desk_work(d);
}

/* blind: what is not watched, and why; "": nothing. */
static void
note_blind(struct desk *d, const char *blind)
{
	if (strcmp(blind, d->blind) == 0)
		return;
	snprintf(d->blind, sizeof d->blind, "%s", blind);
	core_problem(d->core, "unwatched", "", blind[0] != '\0' ? blind : NULL, clock_wall_ms());
}

static void
watching(void *arg, size_t directories, const char *blind)
{
	struct desk *d = arg;

	(void)directories;
	d->watch_after_ms = 0;
	d->watched = true;
	note_blind(d, blind);
	desk_work(d);
}

/* The watch is started again, ever more slowly. */
static void
not_watched(struct desk *d, const char *why)
{
	char text[WATCH_TEXT_MAX];

	if (d->watch_after_ms == 0)
		log_warnx("the watch over the trees has ended, it is started again: %s", why);
	snprintf(text, sizeof text, "nothing is watched, all trees are read every %u s instead: %.360s", WATCH_RETRY_MS / 1000, why);
	note_blind(d, text);
	d->watched = false;
	d->watch_after_ms = d->watch_after_ms == 0 ? AGAIN_MS : 2 * d->watch_after_ms < WATCH_RETRY_MS ? 2 * d->watch_after_ms : WATCH_RETRY_MS;
	loop_timer_in(d->watch_timer, d->watch_after_ms);
}

static void
read_instead(struct desk *d)
{
	if (!d->scanned || clock_mono_ms() - d->scanned_at >= WATCH_RETRY_MS)
		desk_scan(d, "nothing is watched");
	desk_work(d);
}

static void
watch_ended(void *arg, const char *why)
{
	struct desk *d = arg;

	watch_free(d->watch);
	d->watch = NULL;
	not_watched(d, why);
	read_instead(d);
}

static void
watch_again(void *arg)
{
	struct desk *d = arg;

	desk_watch(d);
	if (d->watch == NULL)
		read_instead(d);
}

static void
full(void *arg)
{
	struct desk *d = arg;

	desk_scan(d, "an hour has passed");
	desk_work(d);
}

void
desk_watch(struct desk *d)
{
	static const struct watch_calls calls = { changed, told, begun, all_changed, watching, watch_ended };
	struct watch_setup setup = { .root = d->root, .scope = d->scope };
	struct err err;

	if (d->settle_timer == NULL) {
		d->settle_timer = loop_timer_new(d->loop, look_at_settled, d);
		d->full_timer = loop_timer_new(d->loop, full, d);
		d->watch_timer = loop_timer_new(d->loop, watch_again, d);
		d->unsettled_timer = loop_timer_new(d->loop, look_at_unsettled, d);
		d->lately_timer = loop_timer_new(d->loop, desk_lately_over, d);
	}
	if (d->settle == NULL) {
		d->settle = settle_new(d->setup->quiet_ms, d->setup->most_ms);
		d->held = settle_new(0, 0);
	}
	d->watch = watch_start(d->loop, &setup, &calls, d, &err);
	if (d->watch == NULL)
		not_watched(d, err.text);
}

void
desk_unwatch(struct desk *d)
{
	if (d->settle_timer == NULL)
		return;		/* it never began */
	watch_free(d->watch);
	settle_free(d->settle);
	settle_free(d->held);
	loop_timer_cancel(d->settle_timer);
	loop_timer_cancel(d->watch_timer);
	loop_timer_cancel(d->unsettled_timer);
	while (d->belows > 0)
		free(d->below[--d->belows]);
	desk_busy_forget(d);
	d->watch = NULL;
	d->watched = false;
	d->settle = d->held = NULL;
}
