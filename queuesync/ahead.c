/*
 * queuesync/ahead.c - see ahead.h.
 */
#include "queuesync/ahead.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LARGE (1 << 20)		/* bytes; some 25,000 messages */
#define THREADS 16
#define BUFFER 32768

struct part { struct ahead *whole; pthread_t thread; int fd; int64_t from, to; };
struct ahead { struct part part[THREADS]; unsigned int threads; atomic_bool over; };

static void *
work(void *arg)
{
	struct part *p = arg;
	char *buffer = malloc(BUFFER);
	int64_t at = p->from;
	ssize_t got;

	if (buffer == NULL || lseek(p->fd, p->from, SEEK_SET) == -1) {
		free(buffer);
		return NULL;
	}
	while (at < p->to && !atomic_load(&p->whole->over) && (got = syscall(SYS_getdents64, p->fd, buffer, BUFFER)) > 0) {
		for (ssize_t n = 0; n < got;) {
			const struct dirent64 *d = (const struct dirent64 *)(void *)(buffer + n);

			at = d->d_off;
			n += d->d_reclen;
		}
	}
	free(buffer);
	return NULL;
}

/* Only owner and root may keep the time of access. */
static int
open_again(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME);

	return fd == -1 && errno == EPERM ? openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : fd;
}

struct ahead *
ahead_begin(int directory, off_t size)
{
	struct ahead *a = size >= LARGE ? calloc(1, sizeof *a) : NULL;

	for (unsigned int i = 0; a != NULL && i < THREADS; i++) {
		struct part *p = &a->part[i];

		*p = (struct part){ .whole = a, .from = INT64_MAX / THREADS * i, .to = INT64_MAX / THREADS * (i + 1) };
		p->fd = open_again(directory);
		if (p->fd == -1)
			break;
		if (pthread_create(&p->thread, NULL, work, p) != 0) {
			close(p->fd);
			break;
		}
		a->threads++;
	}
	return a;
}

void
ahead_end(struct ahead *a)
{
	if (a == NULL)
		return;
	atomic_store(&a->over, true);
	for (unsigned int i = 0; i < a->threads; i++) {
		pthread_join(a->part[i].thread, NULL);
		close(a->part[i].fd);
	}
	free(a);
}
