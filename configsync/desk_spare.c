/*
 * configsync/desk_spare.c - files that stand ready for the next single edits (spare.h): made when nothing has been put in place for a moment, as the
 * edits that follow wait for the same disk. What comes alone, and need not be asked of anybody, is given to the disk before it is decided about: most of the way
 * both go on at once.
 */
#include "configsync/desk_priv.h"

#include <stdio.h>

#define QUIET_MS 10u

static void
make(void *arg)
{
	struct desk *d = arg;

	if (!spare_fill(d->spare))
		loop_timer_in(d->spare_timer, QUIET_MS);
}

void
desk_spare_soon(struct desk *d)
{
	loop_timer_in(d->spare_timer, QUIET_MS);
}

void
desk_spare_ahead(struct desk *d, const struct entry *e)
{
	const uint8_t *bytes = desk_along_bytes(d, e->digest);
	struct set_id id;

	if (bytes == NULL || e->type != ENTRY_FILE || e->size > SPARE_MOST || e->sparse || e->xattrs > 0 || e->hard != NULL)
		return;
	set_of(&d->setup->sets, e->path, &id);
	if (id.kind != SET_SINGLE || !spare_ahead(d->spare, bytes, (size_t)e->size, e->digest))
		return;
	desk_spare_soon(d);	/* it is let go of where it is not wanted after all */
	desk_yield(d);		/* a device may be another process (loop, dm-crypt) */
}

void
desk_spare_begin(struct desk *d)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof dir, "%s/config.spare", d->conf->state_dir);
	d->spare = spare_open(dir);
	d->spare_timer = loop_timer_new(d->loop, make, d);
	desk_spare_soon(d);
}

void
desk_spare_end(struct desk *d)
{
	spare_close(d->spare);
	d->spare = NULL;
	loop_timer_free(d->spare_timer);
}
