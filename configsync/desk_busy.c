/*
 * configsync/desk_busy.c - files that somebody has open to write. An editor in place begins with an empty file: what he has written so far is
 * no version. The watch tells when he closes it; but the kernel says so a little before the file is free, so it is looked at again.
 */
#include "configsync/desk_priv.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#define BUSY_US 50000u		/* until the next look; but the first ones come after ... */
#define BUSY_SOON_US 100u	/* ... this, and twice as long each time */
#define BUSY_SOON 9u
#define BUSY_LONG 205u		/* looks, ten seconds: then a person should know */

struct busy { char *path; unsigned int looks; bool due; };

static struct busy *
busy_find(struct desk *d, const char *path)
{
	for (size_t i = 0; i < d->busies; i++)
		if (strcmp(d->busy[i].path, path) == 0)
			return &d->busy[i];
	return NULL;
}

static void
busy_end(struct desk *d, struct busy *b)
{
	if (b->looks >= BUSY_LONG)
		core_problem(d->core, note_word(NOTE_BEING_WRITTEN), b->path, NULL, clock_wall_ms());
	free(b->path);
	*b = d->busy[--d->busies];
}

static void
look_again(void *arg)
{
	struct desk *d = arg;

	for (size_t i = 0; i < d->busies; i++) {
		if (d->busy[i].due)
			desk_changed(d, d->busy[i].path, false);
		d->busy[i].due = false;
	}
}

static void
note(struct desk *d, const char *path, const char *text)
{
	struct busy *b = busy_find(d, path);

	if (b == NULL) {
		d->busy = realloc(d->busy, (d->busies + 1) * sizeof *d->busy);
		if (d->busy == NULL)
			abort();
		b = &d->busy[d->busies++];
		*b = (struct busy){ .path = strdup(path) };
	}
	b->due = true;
	if (++b->looks == BUSY_LONG)
		core_problem(d->core, note_word(NOTE_BEING_WRITTEN), path, text, clock_wall_ms());
	if (d->busy_timer == NULL)
		d->busy_timer = loop_timer_new(d->loop, look_again, d);
	/* most often it is closed already, and the kernel not quite done with it: an edit is not to wait for that */
	loop_timer_at_us(d->busy_timer, clock_mono_us() + (b->looks <= BUSY_SOON ? BUSY_SOON_US << (b->looks - 1) : BUSY_US));
}

static void
compare(struct desk *d, const struct scan_path *look, size_t n, const struct report *report)
{
	for (size_t i = d->busies; i-- > 0;) {
		bool looked = n == 0;

		for (size_t k = 0; k < n && !looked; k++)
			looked = look[k].below ? entry_path_within(d->busy[i].path, look[k].path) : strcmp(look[k].path, d->busy[i].path) == 0;
		if (looked && !report_has(report, NOTE_BEING_WRITTEN, d->busy[i].path))
			busy_end(d, &d->busy[i]);
	}
	for (size_t i = 0; i < report->len; i++)
		if (report->at[i].kind == NOTE_BEING_WRITTEN)
			note(d, report->at[i].path, report->at[i].text);
}

struct manifest *
desk_busy(struct desk *d, const struct scan_path *look, size_t n, struct manifest *m, const struct report *report)
{
	struct manifest *kept;
	struct err err;

	compare(d, look, n, report);
	if (!d->scanned || !report_has(report, NOTE_BEING_WRITTEN, NULL))
		return m;	/* in the first reading it is unknown: nothing is known of before */
	kept = manifest_new();
	for (size_t i = 0; i < m->len; i++) {
		const char *path = m->at[i].path;
		bool written = m->at[i].type == ENTRY_OTHER && report_has(report, NOTE_BEING_WRITTEN, path);
		struct manifest *known = written ? core_known(d->core, &path, 1) : NULL;
		const struct entry *k = known != NULL ? manifest_find(known, path) : NULL;
		struct entry was;

		if (!written || (k != NULL && k->type != ENTRY_FILE)) {
			manifest_add(kept, &m->at[i]);
		} else if (k != NULL) {
			was = *k;
			was.hard = NULL;
			manifest_add(kept, &was);
		}
		manifest_free(known);
	}
	if (!manifest_seal(kept, &err))		/* the paths are those of m */
		abort();
	manifest_free(m);
	return kept;
}

void
desk_busy_forget(struct desk *d)
{
	while (d->busies > 0)
		free(d->busy[--d->busies].path);
	loop_timer_free(d->busy_timer);
	d->busy_timer = NULL;
}
