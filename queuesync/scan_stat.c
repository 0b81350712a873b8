/*
 * queuesync/scan_stat.c - slices of names that threads ask the kernel about, or open, ask about and read at once;
 * the check is told by the caller, in order. Blocks on the disk.
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
#include "common/need.h"
#include "queuesync/batch_read.h"
#include "queuesync/open.h"
#include "queuesync/progress.h"
#include "queuesync/ring.h"

#define SLICE_ENTRIES 256u
#define SLICE_BYTES 16384u
#define SLICES 64u
#define SLICES_READ 16u		/* a slice with contents is some 130 KB */

struct scan_directory { int fd; unsigned int users; char *sub; };

/* What of an entry is known beside its file. */
enum met { MET_ENTRY, MET_REGULAR, MET_READ };	/* REGULAR: its directory says so; READ: there is a content */

/* Entries of one directory; sys[i] is the errno of what could not be asked about. */
struct slice {
	struct scan_directory	*directory;
	dev_t			 device;
	uint64_t		 until_us;	/* nothing is asked after that; 0: no end */
	bool			 late;
	unsigned int		 len, used;	/* used: bytes of names */
	struct queue_file	 file[SLICE_ENTRIES];
	int			 sys[SLICE_ENTRIES];
	uint8_t			 met[SLICE_ENTRIES];	/* enum met */
	struct queue_content	*content;		/* SLICE_ENTRIES; NULL: nothing is read */
	char			 names[SLICE_BYTES];
};

struct scan_stat {
	struct check	*check;
	const struct queue_layout *layout;
	const struct rules *reading;		/* NULL: none */
	struct batch_pool *readers;		/* NULL: as reading */
	struct known	*known;			/* NULL: nothing is */
	dev_t		 device;
	struct ring	*ring;
	struct slice	*filling;		/* NULL: none */
	uint64_t	 vanished, until_us;
	bool		 cut;			/* what comes behind a slice that was too late is not told either */
	int		 refused;		/* errno of the first entry that we may not ask about */
	char		 refused_path[CHECK_PATH_MAX];
};

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

/*
 * Only what is regular is opened: to open a device can do something to it. Whatever goes wrong is left to ask(), and to the reading
 * that the check then asks for.
 */
static int
open_to_read(const struct scan_stat *s, int directory, struct queue_file *f)
{
	int fd = check_reads(s->reading, s->layout, f) ? queue_open_entry(directory, f->name) : -1;

	if (fd != -1 && (queue_fstat(fd, f) == -1 || QUEUE_TYPE(f->mode) != QUEUE_REGULAR)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool
read_opened(const struct scan_stat *s, const struct queue_file *f, const struct batch_file *opened, struct queue_content *ret)
{
	struct queue_reader reader;
	struct queue_source source = queue_source_file(&reader, opened->fd, f->size);

	queue_reader_knows(&reader, opened->head, opened->len);
	memset(ret, 0, sizeof *ret);
	s->reading->read(s->layout, f, &source, ret, NULL);
	return reader.failed == 0;
}

/* As many entries as one batch takes: what can be read at once is. */
static void
read_some(const struct scan_stat *s, struct slice *slice, unsigned int from, unsigned int len, struct batch_reader *reader)
{
	struct batch_file opened[BATCH_FILES];

	for (unsigned int i = 0; i < len; i++) {
		struct queue_file *f = &slice->file[from + i];

		opened[i].fd = slice->met[from + i] == MET_REGULAR ? open_to_read(s, slice->directory->fd, f) : -1;
		opened[i].size = f->size;
	}
	batch_read(reader, opened, len);
	for (unsigned int i = 0; i < len; i++) {
		if (opened[i].fd == -1)
			continue;
		if (read_opened(s, &slice->file[from + i], &opened[i], &slice->content[from + i]))
			slice->met[from + i] = MET_READ;
		close(opened[i].fd);
	}
}

static bool
is_known(const struct scan_stat *s, struct slice *slice, unsigned int i)
{
	return s->known != NULL && slice->met[i] == MET_REGULAR && known_file(s->known, slice->directory->fd, &slice->file[i]);
}

/* In any thread. */
static void
ask_slice(void *arg, void *slot)
{
	const struct scan_stat *s = arg;
	struct slice *slice = slot;

	slice->late = slice->until_us != 0 && clock_mono_us() >= slice->until_us;
	if (slice->content != NULL && !slice->late) {
		struct batch_reader *reader = batch_reader_take(s->readers);

		for (unsigned int i = 0, len; i < slice->len; i += len) {
			len = batch_len(reader, slice->len - i);
			read_some(s, slice, i, len, reader);
		}
		batch_reader_give(s->readers, reader);
	}
	for (unsigned int i = 0; i < slice->len && !slice->late; i++)
		slice->sys[i] = slice->met[i] == MET_READ || is_known(s, slice, i) ? 0 : ask(slice->directory->fd, slice->device, &slice->file[i]);
}

/* ---------------------------------------------------------------- telling */

static void
tell(struct scan_stat *s, const struct queue_file *f, int sys, const struct queue_content *content)
{
	char path[CHECK_PATH_MAX];

	switch (sys) {
	case 0:
		check_file_read(s->check, f, content);
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
	for (unsigned int i = 0; i < slice->len && !s->cut; i++, progress_count())
		tell(s, &slice->file[i], slice->sys[i], slice->met[i] == MET_READ ? &slice->content[i] : NULL);
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
	if (s->reading != NULL && slice->content == NULL)
		slice->content = need(calloc(SLICE_ENTRIES, sizeof *slice->content));
	directory->users++;
	return slice;
}

void
scan_stat_add(struct scan_stat *s, struct scan_directory *directory, uint16_t place, const char *name, uint64_t ino, bool regular)
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
	slice->met[slice->len] = regular ? MET_REGULAR : MET_ENTRY;
	f = &slice->file[slice->len++];
	f->ino = ino;
	f->place = place;
	f->sub = directory->sub;
	f->name = memcpy(slice->names + slice->used, name, len);
	slice->used += (unsigned int)len;
}

struct scan_stat *
scan_stat_new(struct check *check, const struct queue_layout *layout, dev_t device, const struct scan_options *options)
{
	struct scan_stat *s = need(calloc(1, sizeof *s));
	struct ring_jobs jobs = { .work = ask_slice, .take = tell_slice, .arg = s };

	s->check = check;
	s->layout = layout;
	s->reading = options->reading;
	s->known = options->known;
	s->device = device;
	s->until_us = options->until_us;
	s->readers = s->reading != NULL ? batch_pool_new() : NULL;
	s->ring = ring_new(&jobs, s->reading != NULL ? SLICES_READ : SLICES, sizeof(struct slice), options->threads);
	return s;
}

static void
slice_free(void *slot)
{
	free(((struct slice *)slot)->content);
}

bool
scan_stat_end(struct scan_stat *s, const char *root, uint64_t *ret_vanished, bool *ret_cut, struct err *err)
{
	bool ok;

	if (s->filling != NULL)
		ring_push(s->ring);
	ring_end(s->ring, slice_free);
	if (s->readers != NULL)
		batch_pool_free(s->readers);
	*ret_vanished = s->vanished;
	*ret_cut = *ret_cut || s->cut;
	ok = s->refused == 0 || err_set(err, s->refused, "%s/%s cannot be looked at", root, s->refused_path);
	free(s);
	return ok;
}
