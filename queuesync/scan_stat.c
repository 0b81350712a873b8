/*
 * queuesync/scan_stat.c - slices of names that threads ask the kernel about; the check is told by the caller, in
 * order. Blocks on the disk.
 */
#include "queuesync/scan_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/clock.h"
#include "queuesync/ring.h"

#define SLICE_ENTRIES 256u
#define SLICE_BYTES 16384u
#define SLICES 64u

struct scan_directory { int fd; unsigned int users; char *sub; };

/* Entries of one directory; sys[i] is the errno of what could not be asked about. */
struct slice {
	struct scan_directory	*directory;
	dev_t			 device;
	uint64_t		 until_us;	/* nothing is asked after that; 0: no end */
	bool			 late;
	unsigned int		 len, used;	/* used: bytes of names */
	struct queue_file	 file[SLICE_ENTRIES];
	int			 sys[SLICE_ENTRIES];
	char			 names[SLICE_BYTES];
};

struct scan_stat {
	struct check	*check;
	dev_t		 device;
	struct ring	*ring;
	struct slice	*filling;		/* NULL: none */
	uint64_t	 vanished, until_us;
	bool		 cut;			/* what comes behind a slice that was too late is not told either */
	int		 refused;		/* errno of the first entry that we may not ask about */
	char		 refused_path[CHECK_PATH_MAX];
};

static void *
need(void *memory)
{
	if (memory == NULL)
		abort();	/* half a judgement is none */
	return memory;
}

/* ---------------------------------------------------------------- directories */

struct scan_directory *
scan_stat_directory(struct scan_stat *s, int fd, const char *sub)
{
	struct scan_directory *d = need(malloc(sizeof *d));

	(void)s;
	*d = (struct scan_directory){ .fd = fd, .users = 1, .sub = need(strdup(sub)) };
	return d;
}

void
scan_stat_directory_done(struct scan_directory *d)
{
	if (--d->users > 0)
		return;
	close(d->fd);
	free(d->sub);
	free(d);
}

/* ---------------------------------------------------------------- asking */

/* Another device is told by errno EXDEV: something is mounted over the entry. */
static int
ask(int fd, dev_t device, struct queue_file *f)
{
	struct statx sx;

	if (statx(fd, f->name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &sx) == -1)
		return errno;
	f->ino = sx.stx_ino;
	f->size = sx.stx_size;
	f->mode = sx.stx_mode;
	f->uid = sx.stx_uid;
	f->gid = sx.stx_gid;
	f->nlink = sx.stx_nlink;
	f->mtime = sx.stx_mtime.tv_sec;
	f->atime = sx.stx_atime.tv_sec;
	f->ctime = sx.stx_ctime.tv_sec;
	return makedev(sx.stx_dev_major, sx.stx_dev_minor) == device ? 0 : EXDEV;
}

/* In any thread. */
static void
ask_slice(void *arg, void *slot)
{
	struct slice *slice = slot;

	(void)arg;
	slice->late = slice->until_us != 0 && clock_mono_us() >= slice->until_us;
	for (unsigned int i = 0; i < slice->len && !slice->late; i++)
		slice->sys[i] = ask(slice->directory->fd, slice->device, &slice->file[i]);
}

/* ---------------------------------------------------------------- telling */

static void
tell(struct scan_stat *s, const struct queue_file *f, int sys)
{
	char path[CHECK_PATH_MAX];

	switch (sys) {
	case 0:
		check_file(s->check, f);
		break;
	case ENOENT:
		s->vanished++;
		break;
	case EXDEV:
		check_mounted(s->check, check_file_path(s->check, f, path, sizeof path), f->place);
		break;
	case EACCES:
	case EPERM:
		if (s->refused == 0)
			check_file_path(s->check, f, s->refused_path, sizeof s->refused_path);
		s->refused = sys;
		break;
	default:
		check_blind(s->check, f, strerror(sys));
		break;
	}
}

static void
tell_slice(void *arg, void *slot)
{
	struct slice *slice = slot;
	struct scan_stat *s = arg;

	s->cut = s->cut || slice->late;
	for (unsigned int i = 0; i < slice->len && !s->cut; i++)
		tell(s, &slice->file[i], slice->sys[i]);
	scan_stat_directory_done(slice->directory);
	slice->len = 0;
}

/* ---------------------------------------------------------------- filling */

static struct slice *
slice_new(struct scan_stat *s, struct scan_directory *directory)
{
	struct slice *slice = ring_slot(s->ring);

	slice->directory = directory;
	slice->device = s->device;
	slice->until_us = s->until_us;
	slice->len = slice->used = 0;
	directory->users++;
	return slice;
}

void
scan_stat_add(struct scan_stat *s, struct scan_directory *directory, uint16_t place, const char *name)
{
	struct slice *slice = s->filling;
	size_t len = strlen(name) + 1;
	struct queue_file *f;

	if (slice != NULL && (slice->directory != directory || slice->len == SLICE_ENTRIES ||
	    slice->used + len > SLICE_BYTES)) {
		ring_push(s->ring);
		slice = NULL;
	}
	if (slice == NULL)
		slice = s->filling = slice_new(s, directory);
	f = &slice->file[slice->len++];
	f->place = place;
	f->sub = directory->sub;
	f->name = memcpy(slice->names + slice->used, name, len);
	slice->used += (unsigned int)len;
}

struct scan_stat *
scan_stat_new(struct check *check, dev_t device, unsigned int threads, uint64_t until_us)
{
	struct scan_stat *s = need(calloc(1, sizeof *s));
	struct ring_jobs jobs = { .work = ask_slice, .take = tell_slice, .arg = s };

	s->check = check;
	s->device = device;
	s->until_us = until_us;
	s->ring = ring_new(&jobs, SLICES, sizeof(struct slice), threads);
	return s;
}

bool
scan_stat_end(struct scan_stat *s, const char *root, uint64_t *ret_vanished, bool *ret_cut, struct err *err)
{
	bool ok;

	if (s->filling != NULL)
		ring_push(s->ring);
	ring_end(s->ring, NULL);
	*ret_vanished = s->vanished;
	*ret_cut = *ret_cut || s->cut;
	ok = s->refused == 0 || err_set(err, s->refused, "%s/%s cannot be looked at", root, s->refused_path);
	free(s);
	return ok;
}
