/*
 * queuesync/names.c - a few threads take directories from one list and put those below them into it. A cold directory is read
 * block by block, each after the other; several at once is what a disk wants. What names say of messages is put side by side
 * at the end, by key. Runs in mailpair-queue; blocks.
 */
#include "queuesync/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "queuesync/ahead.h"
#include "queuesync/by_inode.h"
#include "queuesync/open.h"
#include "queuesync/scan.h"

#define THREADS 8
#define DIRECTORIES_MAX QUEUE_NOTE_DIRS_MAX

struct directory { uint16_t place; uint32_t level; char sub[CHECK_SUB_MAX]; };

struct names {
	const struct rules	 *rules;
	const struct queue_layout *layout;
	int64_t			  now;
	int			  root;
	pthread_mutex_t		  lock;		/* of what follows */
	pthread_cond_t		  news;
	struct directory	  directory[DIRECTORIES_MAX];
	size_t			  len, next;
	unsigned int		  busy;
	bool			  wrong;
	struct queue_note	 *note;
	struct by_inode		 *told;		/* ino: the key; ref: has, needs and bars */
	size_t			  tolds, room;
	uint64_t		  files;
};

#define HAS(ref) ((ref) & 0xff)
#define NEEDS(ref) ((ref) >> 8 & 0xff)
#define BARS(ref) ((ref) >> 16 & 0xff)

/* One directory, while it is read. */
struct reading { struct names *names; const struct directory *at; int fd; uint64_t files; struct by_inode told[1024]; size_t tolds; };

static void
add(struct names *n, uint16_t place, uint32_t level, const char *above, const char *name)
{
	struct directory d = { .place = place, .level = level };
	int len = snprintf(d.sub, sizeof d.sub, "%s%s%s", above, *above != '\0' ? "/" : "", name);

	pthread_mutex_lock(&n->lock);
	if (n->len == DIRECTORIES_MAX || (size_t)len >= sizeof d.sub)
		n->wrong = true;
	else
		n->directory[n->len++] = d;
	pthread_cond_signal(&n->news);
	pthread_mutex_unlock(&n->lock);
}

/* ---------------------------------------------------------------- one entry */

static void
hand_over(struct reading *r)
{
	struct names *n = r->names;

	pthread_mutex_lock(&n->lock);
	if (n->tolds + r->tolds > n->room) {
		n->room = 2 * (n->room + r->tolds);
		n->told = reallocarray(n->told, n->room, sizeof *n->told);
		if (n->told == NULL)
			abort();
	}
	if (r->tolds != 0)
		memcpy(n->told + n->tolds, r->told, r->tolds * sizeof *r->told);
	n->tolds += r->tolds;
	pthread_mutex_unlock(&n->lock);
	r->tolds = 0;
}

static void
tell(struct reading *r, const struct named *named)
{
	if ((named->has | named->needs | named->bars) == 0)
		return;
	if (r->tolds == sizeof r->told / sizeof r->told[0])
		hand_over(r);
	r->told[r->tolds++] = (struct by_inode){ .ino = named->key,
		.ref = named->has | (uint32_t)named->needs << 8 | (uint32_t)named->bars << 16 };
}

/* Is that all right which the file says of itself? It is asked about, but not opened. */
static bool
fits(const struct reading *r, const struct queue_file *named)
{
	const struct names *n = r->names;
	struct queue_file file = *named;
	struct file_norm norm = { .uid = QUEUE_ID_ANY, .gid = QUEUE_ID_ANY };
	struct queue_key key = { 0, 0 };
	uint32_t bit = 0;
	struct stat st;

	if (fstatat(r->fd, named->name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT;
	file.mode = st.st_mode;
	file.size = (uint64_t)st.st_size;
	file.uid = st.st_uid;
	file.gid = st.st_gid;
	if (!S_ISREG(st.st_mode) || !n->rules->name(n->layout, &file, &key, &bit, &norm))
		return true;		/* what it may be otherwise the name has told */
	return (norm.uid == QUEUE_ID_ANY || norm.uid == file.uid) && (norm.gid == QUEUE_ID_ANY || norm.gid == file.gid) &&
	    ((file.mode ^ norm.mode) & norm.mask) == 0 && (norm.nlink == 0 || st.st_nlink <= norm.nlink);
}

/* One that must not be started on before it was read. */
static bool
reads_right(const struct reading *r, const struct queue_file *named)
{
	const struct names *n = r->names;
	struct queue_content content = { 0 };
	struct queue_file file = *named;
	struct queue_reader reader;
	struct queue_source source;
	int fd = queue_open_entry(r->fd, named->name);
	bool ok;

	if (fd == -1)
		return errno == ENOENT;
	ok = queue_fstat(fd, &file) == 0 && QUEUE_TYPE(file.mode) == QUEUE_REGULAR;
	if (ok && file.size > 0) {
		source = queue_source_file(&reader, fd, file.size);
		n->rules->read(n->layout, &file, &source, &content, NULL);
		ok = reader.failed == 0 && !content.bad && (content.bits & n->rules->named_whole->bad_bits) == 0;
	}
	close(fd);
	return ok;
}

static bool
look_at_entry(struct reading *r, const struct dirent *entry)
{
	const struct names *n = r->names;
	struct queue_file file = { .name = entry->d_name, .sub = r->at->sub, .place = r->at->place, .ino = entry->d_ino,
		.mode = DTTOIF(entry->d_type) };
	struct named named = { 0 };
	enum named_verdict verdict = n->rules->named(n->layout, &file, n->now, &named);

	if (n->rules->named_whole == NULL || verdict == NAMED_DOUBT)
		return verdict != NAMED_DOUBT;
	tell(r, &named);
	return (r->files++ % NAMES_SAMPLE != 0 || fits(r, &file)) && (verdict != NAMED_READ || reads_right(r, &file));
}

/* ---------------------------------------------------------------- one directory */

static bool
read_names(struct reading *r, DIR *dir)
{
	const struct queue_place *place = &r->names->layout->place[r->at->place];
	struct dirent *entry;

	while (errno = 0, (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (scan_is_sub(r->names->layout, place, r->at->level, entry->d_name, entry->d_type))
			add(r->names, r->at->place, r->at->level + 1, r->at->sub, entry->d_name);
		else if (!look_at_entry(r, entry))
			return false;
	}
	return errno == 0;
}

/* Of Postfix the scan that follows has time for directories. */
static bool
directory_fits(const struct names *n, const struct directory *at, const struct stat *st)
{
	const struct queue_place *place = &n->layout->place[at->place];

	return n->rules->named_whole == NULL || ((place->uid == QUEUE_ID_ANY || place->uid == st->st_uid) &&
	    (place->gid == QUEUE_ID_ANY || place->gid == st->st_gid) && (place->mode == 0 || (st->st_mode & 07777) == place->mode));
}

static bool
look_into(struct names *n, const struct directory *at)
{
	struct reading r = { .names = n, .at = at };
	struct ahead *ahead;
	char path[CHECK_PATH_MAX];
	struct stat st;
	DIR *dir;
	bool ok;

	queue_path(n->layout->place[at->place].path, "", at->sub, path, sizeof path);
	r.fd = openat(n->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (r.fd == -1)
		return errno == ENOENT && (n->rules->named_whole == NULL || !n->layout->place[at->place].required);
	dir = fstat(r.fd, &st) == 0 && directory_fits(n, at, &st) ? fdopendir(r.fd) : NULL;
	if (dir == NULL) {
		close(r.fd);
		return false;
	}
	pthread_mutex_lock(&n->lock);
	queue_note_add(n->note, path, &st, clock_wall_ms());
	pthread_mutex_unlock(&n->lock);
	ahead = ahead_begin(r.fd, st.st_size);
	ok = read_names(&r, dir);
	ahead_end(ahead);
	hand_over(&r);
	pthread_mutex_lock(&n->lock);
	n->files += r.files;
	pthread_mutex_unlock(&n->lock);
	closedir(dir);
	return ok;
}

static void *
work(void *arg)
{
	struct names *n = arg;

	pthread_mutex_lock(&n->lock);
	while (!n->wrong && (n->next < n->len || n->busy > 0)) {
		struct directory at;
		bool ok;

		if (n->next == n->len) {
			pthread_cond_wait(&n->news, &n->lock);
			continue;
		}
		at = n->directory[n->next++];
		n->busy++;
		pthread_mutex_unlock(&n->lock);
		ok = look_into(n, &at);
		pthread_mutex_lock(&n->lock);
		n->busy--;
		n->wrong = n->wrong || !ok;
	}
	pthread_cond_broadcast(&n->news);
	pthread_mutex_unlock(&n->lock);
	return NULL;
}

/* All directories of the places that are read now, or of those that are read later. */
static void
read_places(struct names *n, bool later)
{
	bool (*of_later)(const struct queue_place *) = n->rules->named_whole != NULL ? n->rules->named_whole->later : NULL;
	pthread_t thread[THREADS];
	unsigned int threads = 0;

	for (size_t i = 0; i < n->layout->places; i++) {
		const struct queue_place *place = &n->layout->place[i];

		if (!place->skipped && place->path[0] != '\0' && later == (of_later != NULL && of_later(place)))
			add(n, (uint16_t)i, 0, "", "");
	}
	while (threads < THREADS && pthread_create(&thread[threads], NULL, work, n) == 0)
		threads++;
	work(n);
	while (threads > 0)
		pthread_join(thread[--threads], NULL);
}

/* ---------------------------------------------------------------- all of a message */

/* Puts together what was told of each message. False: it lacks something. *lone: some have nothing but one part that may stand alone. */
static bool
messages_whole(struct names *n, bool again, bool *lone, uint64_t *messages)
{
	const struct named_whole *whole = n->rules->named_whole;

	by_inode_sort(n->told, n->tolds);
	*lone = false;
	*messages = 0;
	for (size_t i = 0; i < n->tolds;) {
		uint64_t key = n->told[i].ino;
		uint32_t ref = 0;

		for (; i < n->tolds && n->told[i].ino == key; i++)
			ref |= n->told[i].ref;
		if (HAS(ref) == 0 && NEEDS(ref) == 0)
			continue;
		if ((NEEDS(ref) & ~HAS(ref)) != 0 || (BARS(ref) & HAS(ref)) != 0)
			return false;
		*messages += (HAS(ref) & whole->message) != 0;
		if (again && (HAS(ref) & whole->lone) != 0 && NEEDS(ref) == 0 && HAS(ref) != whole->lone)
			return false;
		*lone = *lone || HAS(ref) == whole->lone;
	}
	return true;
}

static bool
names_whole(struct names *n, struct names_seen *ret)
{
	struct reading always = { .names = n };
	bool lone = false, ok;

	tell(&always, &n->rules->named_whole->always);
	hand_over(&always);
	ok = messages_whole(n, false, &lone, &ret->messages);
	if (ok && lone && n->rules->named_whole->later != NULL) {
		read_places(n, true);
		ok = !n->wrong && messages_whole(n, true, &lone, &ret->messages);
	}
	ret->files = n->files;
	return ok;
}

bool
names_right(const struct rules *rules, const struct queue_layout *layout, int64_t now, struct queue_note *note, struct names_seen *ret)
{
	struct names *n = rules->named != NULL ? calloc(1, sizeof *n) : NULL;
	bool right;

	if (n == NULL)
		return false;
	*n = (struct names){ .rules = rules, .layout = layout, .now = now, .note = note };
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->news, NULL);
	n->root = open(layout->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n->root != -1)
		read_places(n, false);
	right = n->root != -1 && !n->wrong && (rules->named_whole == NULL || names_whole(n, ret));
	if (n->root != -1)
		close(n->root);
	pthread_cond_destroy(&n->news);
	pthread_mutex_destroy(&n->lock);
	free(n->told);
	free(n);
	return right;
}
