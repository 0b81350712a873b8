/*
 * queuesync/scan_stat.c - a ring of slices: the caller fills them with names, threads ask the kernel about the
 * names, the caller takes them back in order. Blocks on the disk; the check itself is only called by the caller.
 */
#include "queuesync/scan_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "queuesync/scan.h"

#define SLICE_ENTRIES 256u
#define SLICE_BYTES 16384u
#define SLICES 64u

struct scan_directory { int fd; unsigned int users; char *sub; };

enum slice_state { SLICE_FREE, SLICE_READY, SLICE_TAKEN, SLICE_DONE };

/* Entries of one directory; sys[i] is the errno of what could not be asked about. */
struct slice {
	enum slice_state	 state;
	struct scan_directory	*directory;
	unsigned int		 len, used;	/* used: bytes of names */
	struct queue_file	 file[SLICE_ENTRIES];
	int			 sys[SLICE_ENTRIES];
	char			 names[SLICE_BYTES];
};

struct scan_stat {
	struct check	*check;
	dev_t		 device;
	struct slice	*ring;
	uint64_t	 first, next, last;	/* told so far, taken by threads so far, filled so far */
	bool		 ending;
	uint64_t	 vanished;
	int		 refused;		/* errno of the first entry that we may not ask about */
	char		 refused_path[CHECK_PATH_MAX];
	pthread_mutex_t	 lock;
	pthread_cond_t	 ready, done;
	pthread_t	 thread[SCAN_THREADS_MAX];
	unsigned int	 threads;
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

static void
ask_slice(const struct scan_stat *s, struct slice *slice)
{
	for (unsigned int i = 0; i < slice->len; i++)
		slice->sys[i] = ask(slice->directory->fd, s->device, &slice->file[i]);
}

static void *
worker(void *arg)
{
	struct scan_stat *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct slice *slice;

		while (s->next == s->last && !s->ending)
			pthread_cond_wait(&s->ready, &s->lock);
		if (s->next == s->last)
			break;
		slice = &s->ring[s->next++ % SLICES];
		slice->state = SLICE_TAKEN;
		pthread_mutex_unlock(&s->lock);
		ask_slice(s, slice);
		pthread_mutex_lock(&s->lock);
		slice->state = SLICE_DONE;
		pthread_cond_signal(&s->done);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
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

/* The oldest slice goes to the check; if nobody has begun with it, it is asked about here. */
static void
tell_first(struct scan_stat *s)
{
	struct slice *slice = &s->ring[s->first % SLICES];

	pthread_mutex_lock(&s->lock);
	if (s->next == s->first) {
		s->next++;
		pthread_mutex_unlock(&s->lock);
		ask_slice(s, slice);
	} else {
		while (slice->state != SLICE_DONE)
			pthread_cond_wait(&s->done, &s->lock);
		pthread_mutex_unlock(&s->lock);
	}
	for (unsigned int i = 0; i < slice->len; i++)
		tell(s, &slice->file[i], slice->sys[i]);
	scan_stat_directory_done(slice->directory);
	slice->state = SLICE_FREE;
	s->first++;
}

/* ---------------------------------------------------------------- filling */

static bool
is_filling(const struct scan_stat *s)
{
	return s->ring[s->last % SLICES].state == SLICE_FREE && s->ring[s->last % SLICES].len > 0;
}

/* The slice that is being filled is given to whoever comes first. */
static void
hand_out(struct scan_stat *s)
{
	pthread_mutex_lock(&s->lock);
	s->ring[s->last++ % SLICES].state = SLICE_READY;
	pthread_cond_signal(&s->ready);
	pthread_mutex_unlock(&s->lock);
	if (s->last - s->first == SLICES)
		tell_first(s);
	s->ring[s->last % SLICES].len = 0;
}

void
scan_stat_add(struct scan_stat *s, struct scan_directory *directory, uint16_t place, const char *name)
{
	struct slice *slice = &s->ring[s->last % SLICES];
	size_t len = strlen(name) + 1;
	struct queue_file *f;

	if (slice->len > 0 && (slice->directory != directory || slice->len == SLICE_ENTRIES ||
	    slice->used + len > SLICE_BYTES)) {
		hand_out(s);
		slice = &s->ring[s->last % SLICES];
	}
	if (slice->len == 0) {
		slice->directory = directory;
		slice->used = 0;
		directory->users++;
	}
	f = &slice->file[slice->len++];
	f->place = place;
	f->sub = directory->sub;
	f->name = memcpy(slice->names + slice->used, name, len);
	slice->used += (unsigned int)len;
}

struct scan_stat *
scan_stat_new(struct check *check, dev_t device, unsigned int threads)
{
	struct scan_stat *s = need(calloc(1, sizeof *s));

	s->check = check;
	s->device = device;
	s->ring = need(calloc(SLICES, sizeof *s->ring));
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->ready, NULL);
	pthread_cond_init(&s->done, NULL);
	/* A thread that cannot be made is only missed in speed. */
	while (s->threads < threads && s->threads < SCAN_THREADS_MAX &&
	    pthread_create(&s->thread[s->threads], NULL, worker, s) == 0)
		s->threads++;
	return s;
}

bool
scan_stat_end(struct scan_stat *s, const char *root, uint64_t *ret_vanished, struct err *err)
{
	bool ok;

	if (is_filling(s))
		hand_out(s);
	while (s->first < s->last)
		tell_first(s);
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	pthread_cond_broadcast(&s->ready);
	pthread_mutex_unlock(&s->lock);
	for (unsigned int i = 0; i < s->threads; i++)
		pthread_join(s->thread[i], NULL);
	*ret_vanished = s->vanished;
	ok = s->refused == 0 || err_set(err, s->refused, "%s/%s cannot be looked at", root, s->refused_path);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->ready);
	pthread_cond_destroy(&s->done);
	free(s->ring);
	free(s);
	return ok;
}
