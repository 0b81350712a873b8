/*
 * configsync/install_sync.c - what is staged, and the directories in which names changed, are brought to the disk: one sync of a file system in place of
 * one of each file, where they are many. Its first half of the files is on the way while the others are staged. Blocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "configsync/arena.h"
#include "configsync/install_priv.h"

#define EARLY 1024u		/* files that are worth a sync while others are staged */

struct install_early { pthread_t thread; int fd, sys; atomic_bool ended; };

static void *
run(void *arg)
{
	struct install_early *e = arg;

	e->sys = syncfs(e->fd) == -1 ? errno : 0;
	atomic_store(&e->ended, true);
	return NULL;
}

/* What went wrong in it would be told to nobody else. */
static void
early_end(struct install *in)
{
	struct install_early *e = in->early;

	if (e == NULL)
		return;
	pthread_join(e->thread, NULL);
	if (in->early_sys == 0)
		in->early_sys = e->sys;
	free(e);
	in->early = NULL;
}

void
install_sync_early(struct install *in, size_t staged)
{
	struct install_early *e;

	if (in->syncings == 0 || staged - in->early_at < EARLY || (in->early != NULL && !atomic_load(&in->early->ended)))
		return;
	early_end(in);
	in->early_at = staged;
	e = need(calloc(1, sizeof *e));
	e->fd = in->syncing[0].fd;
	if (pthread_create(&e->thread, NULL, run, e) == 0)
		in->early = e;
	else
		free(e);		/* all at the end, then */
}

bool
install_sync(struct install *in, int fd, const struct stat *st)
{
	if (!in->bulk)
		return fsync(fd) == 0;
	for (unsigned int i = 0; i < in->syncings; i++) {
		if (in->syncing[i].dev == st->st_dev)
			return true;
	}
	if (in->syncings == SYNCING_MAX)
		return fsync(fd) == 0;
	in->syncing[in->syncings] = (struct syncing){ st->st_dev, fcntl(fd, F_DUPFD_CLOEXEC, 3) };
	return in->syncing[in->syncings++].fd != -1;
}

bool
install_sync_staged(struct install *in, struct err *err)
{
	bool ok;

	early_end(in);
	ok = in->early_sys == 0 || err_set(err, in->early_sys, "new files cannot be brought to the disk");
	for (unsigned int i = 0; i < in->syncings; i++) {
		if (ok && syncfs(in->syncing[i].fd) == -1)
			ok = err_set(err, errno, "new files cannot be brought to the disk");
		close(in->syncing[i].fd);
	}
	in->syncings = 0;
	in->early_sys = 0;
	return ok;
}
