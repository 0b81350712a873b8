/*
 * configsync/desk_place.c - what the peer changed is put in place. An installation of many files is a worker's: meanwhile the contents of the next one
 * come, and single edits go on. So are small ones that follow quickly on each other: each waits for the disk, and those that come while a worker is at work are the
 * next one's, all together. One worker at a time; what it has done stands in memory that both have.
 */
#include "configsync/desk_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/need.h"
#include "common/spawn.h"
#include "configsync/install.h"
#include "configsync/intent.h"

#define MANY 64u			/* changes that are worth a process */
#define DEADLINE_MS (3600u * 1000)	/* of a disk that hangs; then the worker is ended, and it is tried again */
#define ROW 8u				/* small ones in a row are put in place at once, the next ones by a worker: an edit, or a few, are there sooner so */
#define ROW_MS 10u			/* between two of them */
#define LATELY_MS 2000u			/* a new directory is read by then */
#define TOGETHER 8192u			/* changes of several installations in one worker */
#define NOTES_MAX (32u << 20)		/* bytes of notes, at most ... */
#define NOTES_EACH 8192u		/* ... and of each change; what is never written takes no memory */

/* What was put in place, and how it stood there: install_options.placed. */
struct told_row { uint32_t change, uid, gid, mtime_ns; int64_t mtime_s; uint16_t mode; bool sparse; struct entry_local local; };

/* What a worker has done. Behind the rows its notes: kind (1), path and text, each with a NUL behind it. */
struct told {
	bool		ended, done;
	char		why[512];
	size_t		rows, notes, note_bytes;
	struct told_row	row[];
};

struct placing {
	struct placing	*next;
	struct desk	*d;
	struct core_job	 job;		/* what it points to is the core's, until it is answered */
	bool		 running;	/* else it waits for those before it ... */
	bool		 done;		/* ... or its worker has ended, and it is about to be answered */
	bool		 spent;		/* what came for it was let go of */
	struct spawn	*spawn;		/* of the first one that is running */
	struct told	*told;
	size_t		 size, notes_max;	/* bytes */
	bool		 doubt;		/* all was read while it ran: what somebody did meanwhile to what it has put in place is told to nobody again */
};

/* ---------------------------------------------------------------- the end of each */

/* What came for a job that is done. It goes to the store from its place, a moment later, and is let go of when what follows has begun. */
struct spent { uint8_t (*digest)[DIGEST_LEN]; size_t len; };

static bool
has_come(const struct change *c)
{
	return c->kind == CHANGE_FILE && c->from == NULL && c->to->size > 0;
}

static void
spend(struct spent *spent, const struct core_job *job)
{
	spent->digest = need(reallocarray(spent->digest, spent->len + job->changes + 1, DIGEST_LEN));
	for (size_t i = 0; i < job->changes; i++)
		if (has_come(&job->change[i]))
			memcpy(spent->digest[spent->len++], job->change[i].to->digest, DIGEST_LEN);
}

static void
let_go(struct desk *d, struct spent *spent)
{
	for (size_t i = 0; i < spent->len; i++)
		if (!core_needs(d->core, spent->digest[i], 0))	/* another job may have been told that it is here */
			desk_unneed(d, spent->digest[i]);
	free(spent->digest);
	*spent = (struct spent){ 0 };
}

static struct core_origin
origin_of(struct desk *d, const struct core_job *job)
{
	struct core_origin origin = job->origin != NULL ? *job->origin : desk_origin(d, STORE_APPLIED, "");

	origin.cause = STORE_APPLIED;
	return origin;
}

/* What is replaced is kept, and what is to be put there is written down. For a worker a wait for the disk costs next to nothing. */
static bool
prepare(struct desk *d, const struct core_job *job, bool here, struct err *err)
{
	struct core_origin origin = origin_of(d, job);

	here = here && job->changes < MANY;
	for (size_t i = 0; i < job->changes && here; i++)
		here = desk_is_on(d, job->change[i].path, intent_device(d->intent));
	return desk_keep_old(d, job, err) && intent_note(d->intent, &origin, job->intent, job->intents, here, err);
}

static bool
ready(void *arg, struct err *err)
{
	return desk_kept_old(arg, err) && intent_hold(((struct desk *)arg)->intent, err);
}

static bool
ready_in_worker(void *arg, struct err *err)
{
	return intent_hold(((struct desk *)arg)->intent, err);
}

/* Takes placed and report. as_left: whoever has changed it since is told of by the watch, so that it need not be read. */
static void
answer(struct desk *d, const struct core_job *job, bool done, struct manifest *placed, bool as_left, struct report *report, const char *why)
{
	struct core_origin origin = origin_of(d, job);
	struct manifest *there;

	if (!done)
		log_warnx("a change of the other node could not be put in place: %s", why);
	there = desk_read(d, job->looked, job->looks, manifest_seal(placed, NULL) ? placed : NULL, as_left);
	if (done)
		desk_rebuild(d, job->id, job->change, job->changes);
	core_installed(d->core, job->id, done, report, done ? NULL : why, there, &origin, clock_mono_ms(), clock_wall_ms());
	manifest_free(placed);
	manifest_free(there);
	report_free(report);
}

/* whole: there is a set among them. */
static struct install_options
options(struct desk *d, struct manifest *placed, bool whole)
{
	return (struct install_options){ .scope = d->scope, .names = d->names, .bytes = desk_bytes, .content = desk_content, .arg = d,
		.setuid = d->conf->sync.setuid, .placed = placed, .partial = !whole, .whole = whole };
}

static void
at_once(struct desk *d, const struct core_job *job)
{
	struct manifest *placed = manifest_new();
	struct install_options o = options(d, placed, !job->single);
	struct report report = { 0 };
	struct spent spent = { 0 };
	struct err err;
	bool done;

	o.ready = ready;
	o.spare = d->spare;
	done = prepare(d, job, true, &err) && install_apply(d->root, job->change, job->changes, &o, &report, &err);
	intent_rest(d->intent);
	if (done)
		spend(&spent, job);
	answer(d, job, done, placed, true, &report, err.text);
	let_go(d, &spent);
	desk_spare_soon(d);
}

/* ---------------------------------------------------------------- in the worker */

static bool
will_read(const struct core_job *job, const char *path, bool below)
{
	size_t low = 0, high = job->looks;

	while (low < high) {		/* they are sorted */
		size_t middle = low + (high - low) / 2;

		if (entry_path_order(job->looked[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < job->looks && (below ? entry_path_within(job->looked[low].path, path) : strcmp(job->looked[low].path, path) == 0);
}

static char *
notes_of(const struct placing *p)
{
	return (char *)p->told + p->size - p->notes_max;
}

/* What came of this one. placed has what was put in place of all that were done together, beginning with *at for this one. */
static void
tell(const struct placing *p, const struct manifest *placed, size_t *at, const struct report *report, bool done, const char *why)
{
	bool part = report_has(report, NOTE_NOT_DONE, NULL), own = false;
	struct told *told = p->told;
	char *note = notes_of(p);

	for (size_t i = 0; i < p->job.changes && *at < placed->len; i++) {
		const struct entry *e = &placed->at[*at];

		if (strcmp(p->job.change[i].path, e->path) != 0)
			continue;
		told->row[told->rows++] = (struct told_row){ (uint32_t)i, e->user.id, e->group.id, e->mtime_ns, e->mtime_s, e->mode, e->sparse, e->local };
		++*at;
	}
	for (size_t i = 0; i < report->len; i++) {
		const struct note *n = &report->at[i];
		size_t path = strlen(n->path) + 1, text = strlen(n->text) + 1;

		if (!will_read(&p->job, n->path, false) && n->kind != NOTE_FAILED)
			continue;	/* who was to blame is told to all */
		own = own || n->kind == NOTE_NOT_DONE;
		if (told->note_bytes + 1 + path + text > p->notes_max)
			break;		/* what is not told is looked at all the same */
		note[told->note_bytes] = (char)n->kind;
		memcpy(note + told->note_bytes + 1, n->path, path);
		memcpy(note + told->note_bytes + 1 + path, n->text, text);
		told->note_bytes += 1 + path + text;
		told->notes++;
	}
	told->done = done || (part && !own);
	snprintf(told->why, sizeof told->why, "%s", done ? "" : why);
	told->ended = true;
}

/* These, as one installation; where one of them cannot even be begun, each on its own. */
static void
place(const struct placing *first, const struct placing *end, int root)
{
	struct manifest *placed = manifest_new();
	size_t changes = 0, at = 0;
	struct report report = { 0 };
	struct install_options o;
	struct change *change;
	bool done, whole = false;
	struct err err;

	for (const struct placing *p = first; p != end; p = p->next) {
		changes += p->job.changes;
		whole = whole || !p->job.single;
	}
	o = options(first->d, placed, whole);
	change = desk_alloc(changes * sizeof *change);
	changes = 0;
	for (const struct placing *p = first; p != end; p = p->next) {
		memcpy(change + changes, p->job.change, p->job.changes * sizeof *change);
		changes += p->job.changes;
	}
	o.ready = ready_in_worker;
	done = install_apply(root, change, changes, &o, &report, &err);
	for (const struct placing *p = first; p != end; p = p->next) {
		if (!done && first->next != end && !report_has(&report, NOTE_NOT_DONE, NULL))
			place(p, p->next, root);
		else
			tell(p, placed, &at, &report, done, err.text);
	}
	manifest_free(placed);
	report_free(&report);
	free(change);
}

static bool
work(const void *ctx, struct spawn_out *out, struct err *err)
{
	const struct placing *first = ctx, *end = first;
	struct desk *d = first->d;
	int root = open(d->root_path[0] != '\0' ? d->root_path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)out;
	umask(0);	/* what it makes has its mode from the beginning */
	if (root == -1)
		return err_set(err, errno, "%s/ cannot be opened", d->root_path);
	if (!desk_spool_again(d, err) || !intent_again(d->intent, d->conf->state_dir, err))
		return false;
	while (end != NULL && end->running)
		end = end->next;
	place(first, end, root);
	return true;
}

/* ---------------------------------------------------------------- new directories */

/*
 * The watch finds a new directory and tells of all below it, which is what was just put there: it is read when all that is on its way has been put
 * in place, or in a moment, and does not hold that up.
 */
static void
note_lately(struct desk *d, const struct core_job *job)
{
	for (size_t i = 0; job->changes >= MANY && i < job->changes && d->latelies < DESK_LATELY; i++) {
		const struct change *c = &job->change[i];

		if (c->kind != CHANGE_DIRECTORY || c->was != NULL || desk_lately(d, c->path))
			continue;
		if (d->latelies == 0)
			loop_timer_in(d->lately_timer, LATELY_MS);
		d->lately[d->latelies++] = need(strdup(c->path));
	}
}

bool
desk_lately(const struct desk *d, const char *path)
{
	bool is = false;

	for (size_t i = 0; i < d->latelies && !is; i++)
		is = entry_path_within(path, d->lately[i]);
	return is;
}

void
desk_lately_over(void *arg)
{
	struct desk *d = arg;

	if (d->latelies == 0)
		return;
	loop_timer_cancel(d->lately_timer);
	while (d->latelies > 0)
		free(d->lately[--d->latelies]);
	desk_changed_on(d);
}

/* ---------------------------------------------------------------- what a worker has done */

static void
placing_free(struct placing *p)
{
	if (p->told != NULL)
		munmap(p->told, p->size);
	free(p);
}

static void
take_told(const struct placing *p, struct manifest *placed, struct report *report)
{
	const struct told *told = p->told;
	const char *note = notes_of(p);

	for (size_t i = 0; i < told->rows; i++) {
		const struct told_row *row = &told->row[i];
		struct entry e = *p->job.change[row->change].to;

		e.path = p->job.change[row->change].path;
		e.hard = NULL;
		e.user = (struct entry_owner){ names_of(p->d->names, false, row->uid), row->uid };
		e.group = (struct entry_owner){ names_of(p->d->names, true, row->gid), row->gid };
		e.mtime_s = row->mtime_s;
		e.mtime_ns = row->mtime_ns;
		e.mode = row->mode;
		e.sparse = row->sparse;
		e.local = row->local;
		manifest_add(placed, &e);
	}
	for (size_t i = 0; i < told->notes; i++) {
		const char *path = note + 1, *text = path + strlen(path) + 1;

		report_add(report, (enum note_kind)note[0], path, "%s", text);
		note = text + strlen(text) + 1;
	}
}

/* All of it was done, and nothing is to be said about it. */
static bool
is_clean(const struct placing *p)
{
	return p->told->ended && p->told->done && p->told->notes == 0;
}

static void
answer_told(struct placing *p, struct spent *spent, const char *why)
{
	struct manifest *placed = manifest_new();
	struct report report = { 0 };
	bool whole = p->told->ended;

	if (whole)
		take_told(p, placed, &report);
	if (whole && p->told->done) {
		if (!p->spent)
			spend(spent, &p->job);
		note_lately(p->d, &p->job);
	}
	answer(p->d, &p->job, whole && p->told->done, placed, !p->doubt, &report, whole ? p->told->why : why);
	placing_free(p);
}

/* ---------------------------------------------------------------- begin and end of it */

static void begin_next(struct desk *);

/* What comes after it begins, and more contents are asked for, before all that follows from it is thought through. */
static void
go_on(struct desk *d)
{
	struct spent spent = { 0 };

	for (struct placing *p = d->placing; p != NULL && p->done; p = p->next) {
		if (is_clean(p)) {
			p->spent = true;
			spend(&spent, &p->job);
			core_placed(d->core, p->job.id, clock_mono_ms());
		}
	}
	desk_work(d);
	begin_next(d);
	let_go(d, &spent);
	desk_want_ask(d);
}

static void
ended(void *arg, const struct spawn_result *r)
{
	struct placing *p = arg;
	struct desk *d = p->d;
	struct desk_disks disks = { 0 };
	struct spent spent = { 0 };
	bool whole = true;

	desk_along_returned(d);
	for (p = d->placing; p != NULL && p->running; p = p->next) {
		whole = whole && p->told->ended;
		if (!p->told->ended)
			desk_disks_add(d, &disks, &p->job);
		p->running = false;
		p->done = true;
		p->spawn = NULL;
	}
	if (whole)
		go_on(d);
	else
		desk_disks_sync(&disks);		/* what it has put in place is said to the peer */
	while ((p = d->placing) != NULL && p->done) {
		d->placing = p->next;
		answer_told(p, &spent, r->err.text[0] != '\0' ? r->err.text : "the process that did it has ended before it was done");
	}
	desk_changed_on(d);
	if (!whole)
		desk_scan(d, "an installation was ended before it was done");	/* it may have left what it had staged */
	begin_next(d);
	desk_work(d);
	let_go(d, &spent);
}

/* All that wait, as far as they are not too many for one. */
static void
begin_next(struct desk *d)
{
	struct placing *first = d->placing;
	size_t changes = 0;

	while (first != NULL && first->done)
		first = first->next;
	if (first == NULL || first->running)
		return;
	for (struct placing *p = first; p != NULL && (p == first || changes + p->job.changes <= TOGETHER); p = p->next) {
		p->running = true;
		changes += p->job.changes;
		for (size_t i = 0; i < p->job.changes; i++)
			if (has_come(&p->job.change[i]))
				desk_along_lend(d, p->job.change[i].to->digest);
	}
	first->spawn = spawn_work_alone(d->loop, "installation", work, first, DEADLINE_MS, ended, first);
}

/* Small ones follow on each other. */
static bool
in_a_row(struct desk *d)
{
	if (clock_mono_ms() - d->row_ms > ROW_MS)
		d->row = 0;
	return d->row++ >= ROW;
}

/* Everything that it takes is here, and can be had by another process. */
static bool
is_for_worker(struct desk *d, const struct core_job *job)
{
	bool all = job->changes >= MANY || in_a_row(d);

	for (size_t i = 0; i < job->changes && all; i++) {
		const struct change *c = &job->change[i];

		all = c->kind != CHANGE_FILE || c->from != NULL || c->to->size == 0 || desk_content_here(d, c->to->digest);
	}
	return all;
}

static struct placing *
placing_new(struct desk *d, const struct core_job *job)
{
	size_t notes = job->changes < NOTES_MAX / NOTES_EACH ? job->changes * NOTES_EACH : NOTES_MAX;
	struct placing *p = desk_alloc(sizeof *p);

	*p = (struct placing){ .d = d, .job = *job, .size = sizeof *p->told + job->changes * sizeof *p->told->row + notes, .notes_max = notes };
	p->told = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->told == MAP_FAILED)
		abort();
	return p;
}

void
desk_install(struct desk *d, const struct core_job *job)
{
	struct placing *p, **at = &d->placing;
	struct report report = { 0 };
	struct err err;

	names_again(d->names);
	if (!is_for_worker(d, job)) {
		at_once(d, job);
		d->row_ms = clock_mono_ms();
		return;
	}
	d->row_ms = clock_mono_ms();
	if (!prepare(d, job, false, &err) || !desk_kept_old(d, &err)) {
		answer(d, job, false, manifest_new(), true, &report, err.text);
		return;
	}
	p = placing_new(d, job);
	while (*at != NULL)
		at = &(*at)->next;
	*at = p;
	begin_next(d);
}

bool
desk_placing(const struct desk *d, const char *path, bool below)
{
	bool is = false;

	for (const struct placing *p = d->placing; p != NULL && !is; p = p->next)
		is = will_read(&p->job, path, below);
	return is;
}

void
desk_place_doubt(struct desk *d)
{
	for (struct placing *p = d->placing; p != NULL; p = p->next)
		p->doubt = true;
}

void
desk_place_disks(const struct desk *d, struct desk_disks *disks)
{
	for (const struct placing *p = d->placing; p != NULL; p = p->next)
		if (p->running)
			desk_disks_add(d, disks, &p->job);
}

void
desk_place_forget(struct desk *d)
{
	while (d->placing != NULL) {
		struct placing *p = d->placing;

		d->placing = p->next;
		if (p->spawn != NULL)
			spawn_forget(p->spawn);
		placing_free(p);
	}
	desk_along_returned(d);
	desk_lately_over(d);
	desk_changed_on(d);
}
