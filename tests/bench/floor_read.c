/*
 * tests/bench/floor_read.c - the floor of a deep pass: every file below DIR opened in the order of inodes by THREADS
 * readers, 4 KiB of each read, nothing looked at.
 *
 * usage: floor_read DIR [THREADS]
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 64

struct entry { uint64_t ino; char *path; };

static struct entry *entry;
static size_t entries, room;
static atomic_size_t next;

static void
walk(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		char *path;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    asprintf(&path, "%s/%s", dir, e->d_name) == -1)
			continue;
		if (e->d_type == DT_DIR) {
			walk(path);
			free(path);
			continue;
		}
		if (entries == room) {
			room = 2 * room + 1024;
			entry = reallocarray(entry, room, sizeof *entry);
			if (entry == NULL)
				abort();
		}
		entry[entries++] = (struct entry){ e->d_ino, path };
	}
	if (d != NULL)
		closedir(d);
}

static int
order(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static void *
reader(void *arg)
{
	char buf[4096];
	size_t i;

	while ((i = atomic_fetch_add(&next, 1)) < entries) {
		int fd = open(entry[i].path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

		if (fd == -1)
			continue;
		if (read(fd, buf, sizeof buf) == -1)
			perror(entry[i].path);
		close(fd);
	}
	return arg;
}

int
main(int argc, char **argv)
{
	size_t threads = argc > 2 ? strtoul(argv[2], NULL, 10) : 4;
	pthread_t thread[THREADS_MAX];

	if (argc < 2 || threads < 1 || threads > THREADS_MAX) {
		fputs("usage: floor_read DIR [THREADS]\n", stderr);
		return 2;
	}
	walk(argv[1]);
	qsort(entry, entries, sizeof *entry, order);
	for (size_t i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, reader, NULL) != 0)
			abort();
	for (size_t i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	printf("%zu files\n", entries);
	return 0;
}
