/*
 * tests/sim/fake_loop.c - stands for common/loop.c: timers are items of the world's queue on the clock of their node; the only
 * descriptors are those of mail programs' processes. Handlers run when the queue says so, late by a few microseconds.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include "tests/sim/sim.h"

#define FD_FIRST 1000000	/* + pid: descriptors that no kernel knows */
#define LATE_US 40

struct loop *
loop_new(void)
{
	return &sim->cur->loop;
}

void
loop_free(struct loop *loop)
{
	(void)loop;
}

void
loop_run(struct loop *loop)
{
	(void)loop;
	assert(!"the world has its own loop");
}

void
loop_stop(struct loop *loop)
{
	(void)loop;
}

void
loop_forked(struct loop *loop)
{
	(void)loop;
}

/* ---------------------------------------------------------------- timers */

struct loop_timer *
loop_timer_new(struct loop *loop, loop_timer_f *fired, void *arg)
{
	for (size_t i = 0; i < sizeof(sim->timer) / sizeof(sim->timer[0]); i++) {
		struct loop_timer *t = &sim->timer[i];

		if (!t->used) {
			*t = (struct loop_timer){ .used = true, .node = loop->node, .fired = fired, .arg = arg };
			return t;
		}
	}
	sim_fail("node %d makes more and more timers", loop->node);
	assert(!"timers are bounded");
	return NULL;
}

void
loop_timer_at_us(struct loop_timer *t, uint64_t mono_us)
{
	uint64_t due = node_virt(&sim->node[t->node], mono_us);

	if (due <= sim->now)
		due = sim->now;
	due += 1 + rng_below(&sim->tie, LATE_US);
	t->mono_us = mono_us;
	item_drop(&t->slot);
	item_add(&t->slot, due, IT_TIMER, CLASS_DAEMON, t->node, t, 0);
}

void
loop_timer_at(struct loop_timer *t, uint64_t mono_ms)
{
	loop_timer_at_us(t, mono_ms * 1000);
}

void
loop_timer_in(struct loop_timer *t, uint64_t ms)
{
	loop_timer_at_us(t, node_mono(&sim->node[t->node]) + ms * 1000);
}

bool
loop_timer_pending(const struct loop_timer *t)
{
	return t->slot != 0;
}

void
loop_timer_cancel(struct loop_timer *t)
{
	item_drop(&t->slot);
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	item_drop(&t->slot);
	t->used = false;
}

/* ---------------------------------------------------------------- descriptors */

struct loop_io *
loop_io_new(struct loop *loop, int fd, unsigned int want, loop_io_f *ready, void *arg)
{
	(void)want;
	for (size_t i = 0; i < sizeof(sim->io) / sizeof(sim->io[0]); i++) {
		struct loop_io *io = &sim->io[i];

		if (!io->used) {
			*io = (struct loop_io){ .used = true, .node = loop->node, .fd = fd, .ready = ready, .arg = arg };
			return io;
		}
	}
	assert(!"descriptors are bounded");
	return NULL;
}

void
loop_io_want(struct loop_io *io, unsigned int want)
{
	(void)io;
	(void)want;
}

void
loop_io_free(struct loop_io *io)
{
	if (io == NULL)
		return;
	item_drop(&io->slot);
	io->used = false;
}

void
loop_mta_died(int node, int pid)
{
	for (size_t i = 0; i < sizeof(sim->io) / sizeof(sim->io[0]); i++) {
		struct loop_io *io = &sim->io[i];

		if (io->used && io->node == node && io->fd == FD_FIRST + pid && io->slot == 0)
			item_add(&io->slot, sim->now + 100, IT_IO, CLASS_DAEMON, node, io, 0);
	}
}

struct loop_signal *
loop_signal_new(struct loop *loop, int signo, loop_signal_f *caught, void *arg)
{
	(void)loop;
	(void)signo;
	(void)caught;
	(void)arg;
	return NULL;
}

void
loop_signal_free(struct loop_signal *sig)
{
	(void)sig;
}

void
loop_drop(int node)
{
	for (size_t i = 0; i < sizeof(sim->timer) / sizeof(sim->timer[0]); i++) {
		if (sim->timer[i].used && sim->timer[i].node == node)
			loop_timer_free(&sim->timer[i]);
	}
	for (size_t i = 0; i < sizeof(sim->io) / sizeof(sim->io[0]); i++) {
		if (sim->io[i].used && sim->io[i].node == node)
			loop_io_free(&sim->io[i]);
	}
}

/* ---------------------------------------------------------------- system calls that the engine makes itself (ld --wrap) */

long	__wrap_syscall(long number, ...);
int	__wrap_close(int fd);
int	__real_close(int fd);
ssize_t	__wrap_getrandom(void *buf, size_t len, unsigned int flags);

/* Only pidfd_open(): of a mail program that must run on this node. */
long
__wrap_syscall(long number, ...)
{
	va_list ap;
	int pid;

	va_start(ap, number);
	pid = va_arg(ap, int);
	va_end(ap);
	if (number != SYS_pidfd_open || sim == NULL || sim->cur->mta_pid != pid) {
		errno = ESRCH;
		return -1;
	}
	return FD_FIRST + pid;
}

int
__wrap_close(int fd)
{
	return fd >= FD_FIRST ? 0 : __real_close(fd);
}

/* Sessions come from the seed too. */
ssize_t
__wrap_getrandom(void *buf, size_t len, unsigned int flags)
{
	uint8_t *to = buf;

	(void)flags;
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)rng_next(&sim->entropy);
	return (ssize_t)len;
}
