/*
 * configsync/watch_child.c - the watch child: from inotify's events to what is told. It waits in one place, for events, for its
 * parent, and where something is due for a time.
 */
#include "configsync/watch_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/memory.h"
#include "configsync/arena.h"
#include "configsync/watch_dirs.h"
#include "configsync/watch_inotify.h"

#define EVENTS_A_TURN 1024	/* then what is pending is sent, however many more there are */
#define LINGERING 64
#define CREATED_MS 25u
#define QUIET_MS 5000u		/* without an event; then memory is given back */
#define OWN_MS 3u		/* an installation of ours has begun: its dozen of events are one wake-up */

/* A file that was created, or written to, and is not closed yet. */
struct lingering { char *path; uint64_t due_ms; bool written; };

struct child {
	int			 fd, inotify;
	const struct watch_setup *setup;
	struct watch_dirs	*dirs;
	struct watch_pending	*pending;
	char			 all[WATCH_TEXT_MAX];	/* why, or "" */
	char			 state[WATCH_TEXT_MAX];	/* to be sent, or "" */
	char			 blind[WATCH_TEXT_MAX];	/* as it was sent */
	size_t			 directories;		/* likewise */
	char			 end[WATCH_TEXT_MAX];
	struct lingering	 lingering[LINGERING];
	size_t			 lingers;
	bool			 begun;			/* one of them, and its parent is to be told */
	uint64_t		 retry_ms;		/* 0: nothing is blind */
	uint64_t		 quiet_ms;		/* 0: it was quiet, and is */
	uint64_t		 own_ms;		/* events wait until then; 0: they do not */
	uint8_t			 packet[WATCH_PACKET_MAX];
	size_t			 packed;
	bool			 full;			/* the parent has not taken the last one */
};

/* ---------------------------------------------------------------- to the parent */

static void
pack(struct child *c, enum watch_said what, const char *text)
{
	uint16_t len = (uint16_t)strlen(text);

	c->packet[c->packed] = (uint8_t)what;
	memcpy(c->packet + c->packed + 1, &len, sizeof len);
	memcpy(c->packet + c->packed + 3, text, len);
	c->packed += 3u + len;
}

static void
pack_text(struct child *c, enum watch_said what, char *text)
{
	if (*text != '\0')
		pack(c, what, text);
	*text = '\0';
}

static void
fill(struct child *c)
{
	char path[ENTRY_PATH_MAX + 1];
	bool below;

	pack_text(c, WATCH_SAID_ALL, c->all);
	pack_text(c, WATCH_SAID_STATE, c->state);
	if (c->begun && watch_pending_len(c->pending) == 0)	/* else that says it */
		pack(c, WATCH_SAID_BEGUN, "");
	c->begun = false;
	while (c->packed + 3 + sizeof path + WATCH_TEXT_MAX + 3 < sizeof c->packet && watch_pending_take(c->pending, path, &below))
		pack(c, below ? WATCH_SAID_BELOW : WATCH_SAID_PATH, path);
	if (watch_pending_len(c->pending) == 0)
		pack_text(c, WATCH_SAID_END, c->end);
}

/* As much as it takes; the rest stays pending, where it grows no further than its bound. */
static void
flush(struct child *c)
{
	for (;;) {
		if (c->packed == 0)
			fill(c);
		c->full = false;
		if (c->packed == 0)
			return;
		if (send(c->fd, c->packet, c->packed, MSG_NOSIGNAL | MSG_DONTWAIT) == -1) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN)
				_exit(0);	/* nobody listens any more */
			c->full = true;
			return;
		}
		c->packed = 0;
	}
}

static void __attribute__((noreturn))
end(struct child *c, const char *why)
{
	snprintf(c->end, sizeof c->end, "%s", why);
	for (flush(c); c->full; flush(c))
		poll(&(struct pollfd){ .fd = c->fd, .events = POLLOUT }, 1, -1);
	_exit(0);
}

static void
tell(struct child *c, const char *path, bool below)
{
	if (c->all[0] == '\0')		/* that says it already */
		watch_pending_add(c->pending, path, below);
}

static void
tell_all(struct child *c, const char *why)
{
	watch_pending_free(c->pending);
	c->pending = watch_pending_new(WATCH_PENDING_MAX);
	snprintf(c->all, sizeof c->all, "%s", why);
}

/* Where it is another than was told. */
static void
tell_state(struct child *c)
{
	const char *blind = watch_dirs_blind(c->dirs);
	size_t directories = watch_dirs_count(c->dirs);

	if (*blind == '\0')
		c->retry_ms = 0;
	else if (c->retry_ms == 0)
		c->retry_ms = clock_mono_ms() + c->setup->retry_ms;
	if (directories == c->directories && strcmp(c->blind, blind) == 0)
		return;
	c->directories = directories;
	snprintf(c->blind, sizeof c->blind, "%s", blind);
	snprintf(c->state, sizeof c->state, "%zu %.*s", directories, (int)WATCH_TEXT_MAX - 24, blind);
}

/* ---------------------------------------------------------------- files that stay open */

static void
linger_end(struct child *c, size_t i)
{
	free(c->lingering[i].path);
	c->lingering[i] = c->lingering[--c->lingers];
}

static void
linger(struct child *c, const char *path, bool written)
{
	uint64_t due = clock_mono_ms() + (written ? c->setup->linger_ms : CREATED_MS);

	for (size_t i = 0; i < c->lingers; i++) {
		if (strcmp(c->lingering[i].path, path) != 0)
			continue;
		if (!c->lingering[i].written)
			c->lingering[i].due_ms = due;
		c->lingering[i].written = written;
		return;
	}
	if (c->lingers == LINGERING) {
		tell(c, path, false);
		return;
	}
	c->lingering[c->lingers++] = (struct lingering){ need(strdup(path)), due, written };
	c->begun = true;
}

/* It is told now. */
static void
closed(struct child *c, const char *path)
{
	for (size_t i = 0; i < c->lingers; i++) {
		if (strcmp(c->lingering[i].path, path) == 0) {
			linger_end(c, i);
			return;
		}
	}
}

static void
tell_due(struct child *c)
{
	uint64_t now = clock_mono_ms();

	for (size_t i = c->lingers; i-- > 0; ) {
		if (c->lingering[i].due_ms <= now) {
			tell(c, c->lingering[i].path, false);
			linger_end(c, i);
		}
	}
	if (c->retry_ms != 0 && c->retry_ms <= now) {
		c->retry_ms = 0;
		watch_dirs_retry(c->dirs, c->pending);
	}
	if (c->own_ms <= now)
		c->own_ms = 0;
	if (c->quiet_ms != 0 && c->quiet_ms <= now) {
		c->quiet_ms = 0;
		memory_give_back();
	}
}

/* ---------------------------------------------------------------- from inotify */

static void
appeared(struct child *c, const char *path)
{
	watch_dirs_add(c->dirs, path);
	tell(c, path, true);
}

static void
disappeared(struct child *c, const char *path)
{
	watch_dirs_forget(c->dirs, path);
	tell(c, path, true);
}

/*
 * A new file is written and then closed. A new link gives no other event, and is not to be known from a file if its other name is
 * gone already: so a file that nobody writes to is told soon.
 */
static void
file_created(struct child *c, const char *path)
{
	struct stat st;

	if (fstatat(c->setup->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1)
		linger(c, path, false);
	else
		tell(c, path, false);
}

static void
file_event(struct child *c, const char *path, uint32_t mask)
{
	if (mask & IN_CREATE) {
		file_created(c, path);
	} else if (mask & (IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE)) {
		closed(c, path);
		tell(c, path, false);
	} else if (mask & IN_ATTRIB) {
		tell(c, path, false);
	} else if (mask & IN_MODIFY) {
		linger(c, path, true);
	}
}

/* The queue of the kernel was too short, or watches are gone: everything is watched anew, and then looked at. */
static void
begin_anew(struct child *c, const char *why)
{
	watch_dirs_add(c->dirs, "");
	tell_all(c, why);
}

static void
overflowed(struct child *c)
{
	char why[WATCH_TEXT_MAX];

	snprintf(why, sizeof why, "more changes at once than the queue of fs.inotify.max_queued_events (%d) holds: everything is compared",
	    watch_inotify_queue());
	begin_anew(c, why);
}

static void
handle(struct child *c, const struct watch_event *e)
{
	char path[ENTRY_PATH_MAX + ENTRY_NAME_MAX + 3];
	enum scope_place place;

	if (e->mask & IN_Q_OVERFLOW)
		overflowed(c);
	if (e->mask & IN_IGNORED && e->known && watch_dirs_is(c->dirs, e->dir, e->wd))
		appeared(c, e->dir);	/* deleted, or what was mounted there is gone: something may be there again */
	if (!e->known || *e->name == '\0' || !watch_dirs_is(c->dirs, e->dir, e->wd))
		return;
	snprintf(path, sizeof path, "%s%s%s", e->dir, e->dir[0] != '\0' ? "/" : "", e->name);
	if (strlen(path) > ENTRY_PATH_MAX)
		return;
	place = scope_place(c->setup->scope, path);
	if (place == SCOPE_BEING_WRITTEN && e->mask & IN_CREATE)
		c->own_ms = clock_mono_ms() + OWN_MS;
	if (place != SCOPE_INSIDE && place != SCOPE_ABOVE)
		return;
	if (e->mask & IN_ISDIR && e->mask & (IN_CREATE | IN_MOVED_TO))
		appeared(c, path);
	else if (e->mask & IN_ISDIR && e->mask & (IN_DELETE | IN_MOVED_FROM))
		disappeared(c, path);
	else if (place == SCOPE_INSIDE)
		file_event(c, path, e->mask);
	else if (e->mask & (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE))
		tell(c, path, true);		/* no directory, but it stands where the way to a tree was */
}

/* ---------------------------------------------------------------- waiting */

/* True: there may be more, though the descriptor has nothing to read. */
static bool
take_events(struct child *c)
{
	static struct watch_event e;
	int n = 0;

	while (n < EVENTS_A_TURN && watch_inotify_next(&e)) {
		handle(c, &e);
		n++;
	}
	return n == EVENTS_A_TURN;
}

static int
until(const struct child *c)
{
	uint64_t first = c->retry_ms != 0 ? c->retry_ms : UINT64_MAX, now;

	first = c->quiet_ms != 0 && c->quiet_ms < first ? c->quiet_ms : first;
	first = c->own_ms != 0 && c->own_ms < first ? c->own_ms : first;
	for (size_t i = 0; i < c->lingers; i++)
		first = c->lingering[i].due_ms < first ? c->lingering[i].due_ms : first;
	if (first == UINT64_MAX)
		return -1;
	now = clock_mono_ms();
	return first <= now ? 0 : first - now > 60000 ? 60000 : (int)(first - now);
}

void
watch_child(int fd, const struct watch_setup *setup)
{
	struct child *c = need(calloc(1, sizeof *c));
	bool more = false, now;
	struct err err;

	*c = (struct child){ .fd = fd, .setup = setup, .pending = watch_pending_new(WATCH_PENDING_MAX) };
	if (fchdir(setup->root) == -1)
		end(c, "the root of all trees cannot be entered");
	if (!watch_inotify_open(&c->inotify, &err))
		end(c, err.text);
	c->dirs = watch_dirs_new(setup->root, setup->scope);
	watch_dirs_add(c->dirs, "");
	c->directories = SIZE_MAX;
	c->quiet_ms = clock_mono_ms() + QUIET_MS;
	tell_all(c, "watching begins");
	for (;;) {
		struct pollfd at[2] = { { .events = POLLIN }, { .fd = fd } };

		tell_due(c);
		tell_state(c);
		flush(c);
		at[0].fd = c->own_ms != 0 ? -1 : c->inotify;
		at[1].events = c->full ? POLLOUT : 0;
		now = more && c->own_ms == 0;
		if (poll(at, 2, now ? 0 : until(c)) == -1 && errno != EINTR)
			end(c, "waiting for changes failed");
		if (at[1].revents & (POLLHUP | POLLERR))
			_exit(0);
		if (now || at[0].revents != 0) {
			c->quiet_ms = clock_mono_ms() + QUIET_MS;
			more = take_events(c);
		}
		if (watch_inotify_stale() > WATCH_STALE_MAX)
			end(c, "so many directories came and went that watching begins anew");
	}
}
