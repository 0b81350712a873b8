/*
 * queuesync/names.c - a few threads take directories from one list and put those below them into it. A cold directory is read
 * block by block, each after the other; several at once is what a disk wants. Runs in mailpair-queue; blocks.
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

#define THREADS 8
#define DIRECTORIES_MAX QUEUE_NOTE_DIRS_MAX

struct directory { uint16_t place; uint32_t level; char sub[CHECK_SUB_MAX]; };

struct names {
	const struct rules	 *rules;
	const struct queue_layout *layout;
	int			  root;
	pthread_mutex_t		  lock;		/* of what follows */
	pthread_cond_t		  news;
	struct directory	  directory[DIRECTORIES_MAX];
	size_t			  len, next;
	unsigned int		  busy;
	bool			  wrong;
	struct queue_note	 *note;
};

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

/* As the scan does it: what has one character is a directory above the depth, and below it where it is one. */
static bool
is_sub(const struct queue_place *place, uint32_t level, const struct dirent *entry)
{
	return place->hash == QUEUE_POSTFIX && entry->d_name[1] == '\0' &&
	    (level < place->depth || (level < QUEUE_POSTFIX_LEVELS && entry->d_type == DT_DIR));
}

static bool
read_names(struct names *n, const struct directory *at, DIR *dir)
{
	const struct queue_place *place = &n->layout->place[at->place];
	struct dirent *entry;

	while (errno = 0, (entry = readdir(dir)) != NULL) {
		struct queue_file file = { .name = entry->d_name, .sub = at->sub, .place = at->place, .ino = entry->d_ino };

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (is_sub(place, at->level, entry))
			add(n, at->place, at->level + 1, at->sub, entry->d_name);
		else if (!n->rules->named(n->layout, &file))
			return false;
	}
	return errno == 0;
}

static bool
look_into(struct names *n, const struct directory *at)
{
	char path[CHECK_PATH_MAX];
	struct stat st;
	DIR *dir;
	int fd;
	bool ok;

	queue_path(n->layout->place[at->place].path, "", at->sub, path, sizeof path);
	fd = openat(n->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return errno == ENOENT;
	dir = fstat(fd, &st) == 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		close(fd);
		return false;
	}
	pthread_mutex_lock(&n->lock);
	queue_note_add(n->note, path, &st, clock_wall_ms());
	pthread_mutex_unlock(&n->lock);
	ok = read_names(n, at, dir);
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

bool
names_right(const struct rules *rules, const struct queue_layout *layout, struct queue_note *note)
{
	struct names *n = rules->named != NULL ? calloc(1, sizeof *n) : NULL;
	pthread_t thread[THREADS];
	unsigned int threads = 0;
	bool right;

	if (n == NULL)
		return false;
	*n = (struct names){ .rules = rules, .layout = layout, .note = note };
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->news, NULL);
	n->root = open(layout->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < layout->places; i++)
		if (!layout->place[i].skipped && layout->place[i].path[0] != '\0')
			add(n, (uint16_t)i, 0, "", "");
	while (n->root != -1 && threads < THREADS && pthread_create(&thread[threads], NULL, work, n) == 0)
		threads++;
	if (n->root != -1)
		work(n);
	while (threads > 0)
		pthread_join(thread[--threads], NULL);
	right = n->root != -1 && !n->wrong;
	if (n->root != -1)
		close(n->root);
	pthread_cond_destroy(&n->news);
	pthread_mutex_destroy(&n->lock);
	free(n);
	return right;
}
