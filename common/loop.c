/*
 * common/loop.c - the event loop over libevent's core. Used by the supervisor's main process and
 * by all that use channels. Nothing here blocks but loop_run() itself.
 *
 * Every trampoline ends with the call of the owner's function and touches nothing after it, since
 * the owner may have freed the object. In a forked child all calls become harmless: the child's
 * copy of the poll descriptor is still the parent's poll set, and one epoll_ctl() too many there
 * would make the parent deaf.
 */
#include "common/loop.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "common/clock.h"
#include "common/need.h"

struct loop {
	struct event_base	*base;
	bool			 forked;	/* this is a child's copy */
};

struct loop_io {
	struct loop	*loop;
	struct event	*ev;
	int		 fd;
	unsigned int	 want;
	loop_io_f	*ready;
	void		*arg;
};

struct loop_timer {
	struct loop	*loop;
	struct event	*ev;
	loop_timer_f	*fired;
	void		*arg;
};

struct loop_signal {
	struct loop	*loop;
	struct event	*ev;
	loop_signal_f	*caught;
	void		*arg;
};

struct loop *
loop_new(void)
{
	struct loop *loop = need(calloc(1, sizeof(*loop)));
	struct event_config *cf = need(event_config_new());

	/* No variable of the environment may choose another poller; no coarse and no cached clock. */
	event_config_set_flag(cf, EVENT_BASE_FLAG_IGNORE_ENV);
	event_config_set_flag(cf, EVENT_BASE_FLAG_PRECISE_TIMER);
	event_config_set_flag(cf, EVENT_BASE_FLAG_NO_CACHE_TIME);
	event_config_set_flag(cf, EVENT_BASE_FLAG_NOLOCK);
	loop->base = need(event_base_new_with_config(cf));
	event_config_free(cf);
	return loop;
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	if (!loop->forked) {
		/* what libevent's buffers hold is let go in the turn after they were freed, and leaks without it */
		event_base_loop(loop->base, EVLOOP_NONBLOCK);
		event_base_free(loop->base);
	}
	free(loop);
}

void
loop_run(struct loop *loop)
{
	if (loop->forked || event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) == -1)
		abort();
}

void
loop_stop(struct loop *loop)
{
	if (!loop->forked)
		event_base_loopbreak(loop->base);
}

void
loop_forked(struct loop *loop)
{
	loop->forked = true;
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

static short
loop_events(unsigned int want)
{
	return (short)(EV_PERSIST | (want & LOOP_READ ? EV_READ : 0) |
	    (want & LOOP_WRITE ? EV_WRITE : 0));
}

static void
loop_io_ready(evutil_socket_t fd, short events, void *arg)
{
	struct loop_io *io = arg;
	unsigned int ready = (events & EV_READ ? (unsigned int)LOOP_READ : 0) |
	    (events & EV_WRITE ? (unsigned int)LOOP_WRITE : 0);

	io->ready(fd, ready, io->arg);
}

struct loop_io *
loop_io_new(struct loop *loop, int fd, unsigned int want, loop_io_f *ready, void *arg)
{
	struct loop_io *io = need(calloc(1, sizeof(*io)));

	io->loop = loop;
	io->fd = fd;
	io->ready = ready;
	io->arg = arg;
	io->ev = need(event_new(loop->base, fd, EV_PERSIST, loop_io_ready, io));
	loop_io_want(io, want);
	return io;
}

void
loop_io_want(struct loop_io *io, unsigned int want)
{
	if (io->loop->forked || io->want == want)
		return;
	event_del(io->ev);
	io->want = want;
	if (want == 0)
		return;
	if (event_assign(io->ev, io->loop->base, io->fd, loop_events(want), loop_io_ready, io) == -1 ||
	    event_add(io->ev, NULL) == -1)
		abort();
}

void
loop_io_free(struct loop_io *io)
{
	if (io == NULL)
		return;
	if (!io->loop->forked)
		event_free(io->ev);
	free(io);
}

static void
loop_timer_fired(evutil_socket_t fd, short events, void *arg)
{
	struct loop_timer *timer = arg;

	(void)fd;
	(void)events;
	timer->fired(timer->arg);
}

struct loop_timer *
loop_timer_new(struct loop *loop, loop_timer_f *fired, void *arg)
{
	struct loop_timer *timer = need(calloc(1, sizeof(*timer)));

	timer->loop = loop;
	timer->fired = fired;
	timer->arg = arg;
	timer->ev = need(event_new(loop->base, -1, 0, loop_timer_fired, timer));
	return timer;
}

void
loop_timer_at_us(struct loop_timer *timer, uint64_t mono_us)
{
	uint64_t now = clock_mono_us(), in = mono_us > now ? mono_us - now : 0;
	struct timeval tv = { .tv_sec = (time_t)(in / 1000000),
		.tv_usec = (suseconds_t)(in % 1000000) };

	if (!timer->loop->forked && event_add(timer->ev, &tv) == -1)
		abort();
}

void
loop_timer_at(struct loop_timer *timer, uint64_t mono_ms)
{
	loop_timer_at_us(timer, mono_ms * 1000);
}

void
loop_timer_in(struct loop_timer *timer, uint64_t ms)
{
	loop_timer_at_us(timer, clock_mono_us() + ms * 1000);
}

bool
loop_timer_pending(const struct loop_timer *timer)
{
	return event_pending(timer->ev, EV_TIMEOUT, NULL) != 0;
}

void
loop_timer_cancel(struct loop_timer *timer)
{
	if (!timer->loop->forked)
		event_del(timer->ev);
}

void
loop_timer_free(struct loop_timer *timer)
{
	if (timer == NULL)
		return;
	if (!timer->loop->forked)
		event_free(timer->ev);
	free(timer);
}

static void
loop_signal_caught(evutil_socket_t signo, short events, void *arg)
{
	struct loop_signal *sig = arg;

	(void)events;
	sig->caught(signo, sig->arg);
}

struct loop_signal *
loop_signal_new(struct loop *loop, int signo, loop_signal_f *caught, void *arg)
{
	struct loop_signal *sig = need(calloc(1, sizeof(*sig)));

	sig->loop = loop;
	sig->caught = caught;
	sig->arg = arg;
	sig->ev = need(event_new(loop->base, signo, EV_SIGNAL | EV_PERSIST, loop_signal_caught, sig));
	if (!loop->forked && event_add(sig->ev, NULL) == -1)
		abort();
	return sig;
}

void
loop_signal_free(struct loop_signal *sig)
{
	if (sig == NULL)
		return;
	if (!sig->loop->forked)
		event_free(sig->ev);
	free(sig);
}
