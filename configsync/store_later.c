/*
 * configsync/store_later.c - waiting for the disk in a thread of its own, so that an edit that comes meanwhile does not. The thread touches
 * nothing of the store's; it lives as long as one wait.
 */
#include "configsync/store_priv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK_BYTES (512u << 10)

struct later {
	struct store	*store;
	struct db_wait	 wait;
	pthread_t	 thread;
	bool		 joined, ok;
	int		 fd;		/* readable when it has ended */
	struct loop_io	*io;
	struct err	 err;
	store_synced_f	*done;
	void		*arg;
};

static void *
run(void *arg)
{
	struct later *l = arg;

	db_wait_run(&l->wait);
	eventfd_write(l->fd, 1);
	return NULL;
}

static bool
thread_start(struct later *l)
{
	pthread_attr_t attr;
	sigset_t all, before;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);	/* signals are for the loop */
	ok = pthread_attr_init(&attr) == 0;
	if (ok) {
		ok = pthread_attr_setstacksize(&attr, STACK_BYTES) == 0 && pthread_create(&l->thread, &attr, run, l) == 0;
		pthread_attr_destroy(&attr);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ok;
}

void
store_later_join(struct store *s)
{
	struct later *l = s->later;

	if (l == NULL || l->joined)
		return;
	pthread_join(l->thread, NULL);
	l->joined = true;
	l->ok = db_wait_end(s->db, &l->wait, &l->err);
}

static void
later_free(struct later *l)
{
	l->store->later = NULL;
	loop_io_free(l->io);
	if (l->fd != -1)
		close(l->fd);
	free(l);
}

void
store_later_forget(struct store *s)
{
	store_later_join(s);
	if (s->later != NULL)
		later_free(s->later);
}

static void
ended(int fd, unsigned int ready, void *arg)
{
	struct later *l = arg, was;

	(void)fd;
	(void)ready;
	store_later_join(l->store);
	was = *l;
	later_free(l);
	was.done(was.arg, was.ok ? NULL : &was.err);
}

void
store_sync_later(struct store *s, struct loop *loop, bool idle, store_synced_f *done, void *arg)
{
	struct db_wait wait;
	struct later *l;
	struct err err;
	bool ok;

	if (s->later != NULL)
		return;
	if (!db_wait_begin(s->db, idle ? STORE_LOG_IDLE : INT_MAX, &wait)) {
		done(arg, NULL);
		return;
	}
	if ((l = malloc(sizeof(*l))) == NULL)
		abort();
	*l = (struct later){ .store = s, .wait = wait, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .done = done, .arg = arg };
	s->later = l;
	if (l->fd != -1 && thread_start(l)) {
		l->io = loop_io_new(loop, l->fd, LOOP_READ, ended, l);
		return;
	}
	db_wait_run(&l->wait);		/* no thread, no descriptor: then it is waited for */
	ok = db_wait_end(s->db, &l->wait, &err);
	later_free(l);
	done(arg, ok ? NULL : &err);
}

bool
store_syncing(const struct store *s)
{
	return s->later != NULL;
}
