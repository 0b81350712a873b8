/*
 * common/loop.h - descriptors, timers and signals of one process, on libevent's core. Replaced whole
 * in simulation. Besides, only common/channel_stream.c uses libevent, for its buffers and TLS.
 *
 * Callbacks run one after the other in the thread that called loop_run(). None may block. All
 * objects may be freed from within any callback, their own included.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_io;
struct loop_timer;
struct loop_signal;

enum loop_want { LOOP_READ = 1, LOOP_WRITE = 2 };	/* may be or-ed */

typedef void loop_io_f(int fd, unsigned int ready, void *arg);	/* ready: or-ed loop_want */
typedef void loop_timer_f(void *arg);
typedef void loop_signal_f(int signo, void *arg);

struct loop	*loop_new(void);		/* aborts when out of memory */
void		 loop_free(struct loop *);	/* after everything made from it was freed */
void		 loop_run(struct loop *);	/* returns after loop_stop() */
void		 loop_stop(struct loop *);	/* the running callback is the last one */

/*
 * Between fork() and the end of a worker: forget the parent's poll set without touching it. The
 * child must not run the loop.
 */
void		 loop_forked(struct loop *);

struct event_base;
struct event_base *loop_base(struct loop *);	/* libevent's own, for common/channel_stream.c */

/* Watch fd until freed; level-triggered. The fd stays the caller's; free the watch before close(). */
struct loop_io	*loop_io_new(struct loop *, int fd, unsigned int want, loop_io_f *, void *arg);
void		 loop_io_want(struct loop_io *, unsigned int want);	/* 0: paused */
void		 loop_io_free(struct loop_io *);			/* NULL is fine */

/* One-shot timers on clock_mono; loop_timer_at() replaces an earlier deadline; past ones fire next. */
struct loop_timer *loop_timer_new(struct loop *, loop_timer_f *, void *arg);
void		 loop_timer_at_us(struct loop_timer *, uint64_t mono_us);
void		 loop_timer_at(struct loop_timer *, uint64_t mono_ms);
void		 loop_timer_in(struct loop_timer *, uint64_t ms);	/* from now */
bool		 loop_timer_pending(const struct loop_timer *);
void		 loop_timer_cancel(struct loop_timer *);		/* harmless when not set */
void		 loop_timer_free(struct loop_timer *);			/* NULL is fine */

struct loop_signal *loop_signal_new(struct loop *, int signo, loop_signal_f *, void *arg);
void		 loop_signal_free(struct loop_signal *);

#endif
