/*
 * supervisor/storage_release.c - let go of the spool: unmount all that is mounted from it or on it,
 * stop by policy whoever keeps it busy, and know for certain that this kernel has let go.
 *
 * Certain means: the block device can be claimed (O_EXCL), which no mount namespace, however
 * hidden, survives. A lazy unmount is never used: it only hides what still writes. Runs in workers;
 * umount2(2) blocks while dirty pages are written, which no limit here can shorten: the worker's
 * deadline does. Where something is waited for that the kernel gives no event for (a reference
 * dropped by one of its own threads), it is asked again every RETRY_MS.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/holders.h"
#include "supervisor/storage_impl.h"

#define RETRY_MS       5
#define UNEXPLAINED_MS 500  /* busy, but nobody to stop is seen: wait no longer than this */
#define TERM_AGAIN_MS  200  /* policy "term": asked again for newcomers until the limit */
#define KILLED_MS      1000 /* what got SIGKILL is expected to be gone by then */
#define NAMESPACE_MS   5000

/* linux/fs.h has these only lately, and cannot be included beside sys/mount.h everywhere. */
#define SHUTDOWN_IOCTL	    _IOR('X', 125, uint32_t)
#define SHUTDOWN_NOLOGFLUSH 2u

struct release {
	const struct conf *conf;
	struct storage_device device;
	char point[PATH_MAX];
	dev_t dev; /* st_dev of the file system; 0 while it was never seen mounted */
	uint64_t until_ms;
	enum conf_holders policy;
	bool at_once;		    /* KILL without TERM */
	uint64_t term_ms, stuck_ms; /* since when; 0: not yet */
	size_t killed;
	size_t told; /* holders reported so far */
	struct spawn_out *out;
	struct err busy;  /* what the kernel refused last */
	struct err blame; /* who held it last; empty where nobody was seen */
};

void
storage_mountpoint(const struct conf *conf, char buf[PATH_MAX])
{
	if (!mounts_canonical(conf->storage.mountpoint, false, buf, PATH_MAX, NULL))
		snprintf(buf, PATH_MAX, "%s", conf->storage.mountpoint);
}

static uint32_t
left_ms(const struct release *r)
{
	uint64_t now = clock_mono_ms();

	return now < r->until_ms ? (uint32_t)(r->until_ms - now) : 0;
}

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---------------------------------------------------------------- unmounting */

/* Mark the mounts of the device and all that is mounted on one of those; parents come before
 * children. */
static size_t
rows_concerned(const struct release *r, const struct mounts *m, bool *concerned)
{
	size_t n = 0, before;

	for (size_t i = 0; i < m->len; i++)
		n += concerned[i] = storage_device_is(&r->device, &m->row[i]);
	do {
		before = n;
		for (size_t i = 0; i < m->len; i++)
			for (size_t k = 0; k < m->len && !concerned[i]; k++)
				if (concerned[k] && m->row[i].parent == m->row[k].id)
					n += concerned[i] = true;
	} while (n != before);
	return n;
}

static bool
has_child(const struct mounts *m, const bool *gone, size_t row)
{
	for (size_t i = 0; i < m->len; i++)
		if (i != row && !gone[i] && m->row[i].parent == m->row[row].id)
			return true;
	return false;
}

/*
 * One pass over this namespace's table, children before parents. Sets *ret_left to the mounts that
 * remain; the first failure goes into *busy.
 */
static bool
unmount_pass(struct release *r, size_t *ret_left, struct err *err)
{
	bool *concerned, *gone, *failed, progress = true;
	struct mounts m;
	size_t left;

	if (!mounts_read("/proc/self/mountinfo", &m, err))
		return false;
	concerned = calloc(3 * m.len + 1, sizeof(bool));
	if (concerned == NULL) {
		mounts_free(&m);
		return err_set(err, ENOMEM, "cannot unmount %s", r->point);
	}
	gone = concerned + m.len;
	failed = gone + m.len;
	left = rows_concerned(r, &m, concerned);
	while (progress && left > 0) {
		progress = false;
		for (size_t i = m.len; i-- > 0;) {
			const struct mount_row *row = &m.row[i];

			if (!concerned[i] || gone[i] || failed[i] || has_child(&m, gone, i))
				continue;
			if (storage_device_is(&r->device, row) && major(row->dev) != 0)
				r->dev = row->dev;
			if (umount2(row->point, UMOUNT_NOFOLLOW) == 0) {
				gone[i] = progress = true;
				left--;
				if (strcmp(row->point, r->point) != 0)
					spawn_say(r->out, "unmounted", "%s", row->point);
				continue;
			}
			failed[i] = true;
			err_set(&r->busy, errno, "cannot unmount %.200s from %.200s",
			    r->device.configured, row->point);
		}
	}
	free(concerned);
	mounts_free(&m);
	*ret_left = left;
	return true;
}

/* ---------------------------------------------------------------- other mount namespaces */

/* In a child that has entered the namespace: unmount there. The child ends with the answer. */
static void
unmount_there(int ns, const struct mounts *m, const struct release *r)
{
	if (setns(ns, CLONE_NEWNS) == -1)
		_exit(1);
	for (size_t i = m->len; i-- > 0;)
		if (storage_device_is(&r->device, &m->row[i]))
			umount2(m->row[i].point, UMOUNT_NOFOLLOW);
	_exit(0);
}

static bool
is_own_lineage(pid_t pid)
{
	struct holder h = {.kind = HOLDER_CWD, .pid = pid};

	return !holder_endable(&h);
}

/* A mounts_visit_f: leave alone the namespaces of our own ancestors, they are the host's. */
static bool
namespace_release(void *arg, pid_t pid, ino_t ns_inode, const struct mounts *m)
{
	struct release *r = arg;
	const struct mount_row *there = NULL;
	char path[64];
	pid_t child;
	int ns, fd;

	for (size_t i = 0; i < m->len && there == NULL; i++)
		if (storage_device_is(&r->device, &m->row[i]))
			there = &m->row[i];
	if (there == NULL)
		return true;
	err_set(&r->busy, 0,
	    "%.200s is still mounted at %.100s in the mount namespace %llu of process %d",
	    r->device.configured, there->point, (unsigned long long)ns_inode, (int)pid);
	if (r->policy != CONF_HOLDERS_KILL || is_own_lineage(pid))
		return true;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns == -1)
		return true;
	spawn_say(r->out, "namespace", "%llu of process %d: %s", (unsigned long long)ns_inode,
	    (int)pid, there->point);
	child = fork();
	if (child == 0)
		unmount_there(ns, m, r);
	close(ns);
	if (child == -1)
		return true;
	fd = pidfd_open(child, 0);
	if (fd != -1) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, (int)least(left_ms(r), NAMESPACE_MS)) == 0)
			kill(child, SIGKILL);
		/* Not yet reapable means stuck in the kernel; it is init's when this worker ends.
		 */
		waitpid(child, NULL, poll(&p, 1, 0) == 1 ? 0 : WNOHANG);
		close(fd);
	}
	return true;
}

/* ---------------------------------------------------------------- holders */

static void
holders_tell(struct release *r, const struct holder *h, size_t len)
{
	if (len <= r->told)
		return; /* the same ones again, or fewer */
	for (size_t i = 0; i < len; i++)
		spawn_say(r->out, "holder", "%d %s %s", (int)h[i].pid, h[i].command, h[i].path);
	r->told = len;
}

/* The sentence for when it fails in the end: who, and how many more. */
static void
holders_blame(struct release *r, const struct holder *h, size_t len)
{
	size_t shown = len;

	r->blame = (struct err){0};
	for (size_t i = len; i-- > 0;)
		if (h[i].kind != HOLDER_MOUNT && h[i].kind != HOLDER_NAMESPACE)
			shown = i; /* mounts are a consequence as a rule, the others a cause */
	if (shown == len)
		shown = 0;
	if (len == 0)
		return;
	err_set(&r->blame, 0, "%.150s cannot be let go: still held by %s[%d] (%.150s)%s",
	    r->device.configured, h[shown].command, (int)h[shown].pid, h[shown].path,
	    len > 1 ? " and others" : "");
}

static size_t
endable(const struct holder *h, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += holder_endable(&h[i]);
	return n;
}

/*
 * The device is busy: find out why and do what the policy allows. Returns false when there is no
 * point in trying again.
 */
static bool
busy_handle(struct release *r)
{
	struct holder *h = NULL;
	size_t len = 0, n;
	uint64_t now = clock_mono_ms();
	uint32_t wait;

	if (r->dev == 0 || !holders_find(r->dev, r->point, &h, &len, NULL))
		len = 0;
	holders_tell(r, h, len);
	holders_blame(r, h, len);
	n = endable(h, len);
	if (n == 0 || r->policy == CONF_HOLDERS_LEAVE) {
		free(h);
		if (r->stuck_ms == 0)
			r->stuck_ms = now;
		poll(NULL, 0, RETRY_MS);
		return now - r->stuck_ms < UNEXPLAINED_MS;
	}
	r->stuck_ms = 0;
	if (r->term_ms == 0)
		r->term_ms = now;
	if (r->policy == CONF_HOLDERS_KILL &&
	    (r->at_once || now - r->term_ms >= r->conf->kill_ms)) {
		n = holders_signal(h, len, SIGKILL);
		n -= holders_wait(h, len, least(KILLED_MS, left_ms(r)));
		r->killed += n;
	} else {
		holders_signal(h, len, SIGTERM);
		wait = now - r->term_ms < r->conf->kill_ms
			   ? (uint32_t)(r->conf->kill_ms - (now - r->term_ms))
			   : TERM_AGAIN_MS;
		/* Some of the time is kept for what ignores TERM. */
		if (r->policy == CONF_HOLDERS_KILL && wait > left_ms(r) / 2) {
			wait = left_ms(r) / 2;
			r->at_once = true;
		}
		holders_wait(h, len, least(wait, left_ms(r)));
	}
	free(h);
	return true;
}

/* ---------------------------------------------------------------- the whole */

/* Nothing of this kernel has the device: then it writes no more. */
static bool
is_free(struct release *r, struct err *ret_why)
{
	for (size_t i = 0; i < r->device.nodes; i++) {
		int fd = storage_device_claim(&r->device, i, ret_why);

		if (fd == -1)
			return ret_why->sys == ENXIO || ret_why->sys == ENODEV ||
			       ret_why->sys == ENOENT || ret_why->sys == ENOMEDIUM;
		close(fd);
	}
	return true;
}

static bool
release_loop(struct release *r, struct err *err)
{
	struct err why = {0};
	size_t left = 1;

	for (;;) {
		if (!unmount_pass(r, &left, err))
			return false;
		if (left == 0) {
			if (is_free(r, &why))
				return true;
			if (r->busy.text[0] == '\0')
				r->busy = why;
			mounts_elsewhere(namespace_release, r);
			if (is_free(r, &why))
				return true;
		}
		if (left_ms(r) == 0 || !busy_handle(r)) {
			*err = r->blame.text[0] != '\0' ? r->blame : r->busy;
			return false;
		}
	}
}

/* Without the device node only the tables can tell: nothing must be mounted from that name. */
static bool
release_without_device(struct release *r, const struct err *why, struct err *err)
{
	const struct mount_row *row;
	struct mounts m;
	bool ok = true;

	if (why->sys != ENOENT && why->sys != ENXIO && why->sys != ENODEV) {
		*err = *why;
		return false;
	}
	if (!mounts_read("/proc/self/mountinfo", &m, err))
		return false;
	/* The vanished node's number is still in the table: let go of that file system as of any
	 * other. */
	for (size_t i = 0; i < m.len && r->device.nodes == 0; i++)
		if (strcmp(m.row[i].source, r->device.configured) == 0)
			r->device.node[r->device.nodes++] = m.row[i].dev;
	row = mounts_top(&m, r->point);
	if (row != NULL && r->device.nodes == 0)
		ok = err_set(err, 0,
		    "%s is mounted from %.150s, and the device %.150s is not there to compare",
		    r->point, row->source, r->device.configured);
	mounts_free(&m);
	return ok && release_loop(r, err);
}

static bool
release_run(struct release *r, struct err *err)
{
	const char *configured = r->conf->storage.node_device[r->conf->self];
	struct stat st;
	struct err why;
	bool ok;

	storage_mountpoint(r->conf, r->point);
	if (storage_device_find(r->conf, &r->device, &why)) {
		if (r->device.nodes > 0)
			r->dev = r->device.node[0];
		/* btrfs: the super block has a number of its own */
		if (stat(r->point, &st) == 0 && major(st.st_dev) == 0) {
			struct mounts m;
			const struct mount_row *row;

			if (!mounts_read("/proc/self/mountinfo", &m, err))
				return false;
			row = mounts_top(&m, r->point);
			if (row != NULL && storage_device_is(&r->device, row))
				r->dev = st.st_dev;
			mounts_free(&m);
		}
		ok = release_loop(r, err);
	} else {
		r->device.configured = configured;
		ok = release_without_device(r, &why, err);
	}
	if (r->killed > 0)
		spawn_say(r->out, "killed", "%zu", r->killed);
	if (ok)
		storage_note_remove(r->conf->run_dir);
	return ok;
}

bool
storage_release(const struct conf *conf, uint32_t limit_ms, struct spawn_out *out, struct err *err)
{
	struct release r = {
	    .conf = conf,
	    .until_ms = clock_mono_ms() + limit_ms,
	    .policy = conf->storage.holders,
	    .out = out,
	};
	struct err why = {0};
	uint64_t began = clock_mono_ms();

	if (!release_run(&r, &why)) {
		if (err != NULL)
			*err = why;
		return false;
	}
	spawn_say(out, "unmount", "%u", (unsigned int)(clock_mono_ms() - began));
	return true;
}

/* ---------------------------------------------------------------- abandoning */

/*
 * What a shutdown without log flush is worth: nothing that was not yet committed reaches the disk,
 * on any of the file systems. XFS writes nothing at all from then on. ext4 keeps metadata in the
 * device's own cache; blocks that its journal has committed are still written to their places, by
 * the unmount or by the kernel's write-back soon after, and only a reset of the node would prevent
 * it. They are what the other node's replay has written too, but older than what it may have
 * changed since.
 */

enum shut { SHUT_DONE, SHUT_ELSEWHERE, SHUT_FAILED };

/*
 * Stop the file system where it stands. ELSEWHERE: this path leads to another file system (one
 * mounted over it), which must not be touched. A file system that was shut down before may answer
 * EIO.
 */
static enum shut
shut_down(const char *point, const struct mount_row *row, struct err *err)
{
	const struct storage_fs *fs = storage_fs_find(row->fstype);
	uint32_t how = SHUTDOWN_NOLOGFLUSH;
	enum shut result = SHUT_DONE;
	struct stat st;
	int fd;

	if (fs == NULL || !fs->shutdown) {
		err_set(err, 0,
		    "%s on %.200s cannot be let go without writing: this node must be reset",
		    row->fstype, point);
		return SHUT_FAILED;
	}
	fd = open(point, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 && errno == EIO)
		return SHUT_DONE;
	if (fd == -1 || fstat(fd, &st) == -1) {
		err_set(err, errno, "cannot open %.200s to shut it down", point);
		result = SHUT_FAILED;
	} else if (st.st_dev != row->dev) {
		err_set(err, 0,
		    "%.200s leads to another file system: the spool's cannot be shut down from "
		    "there",
		    point);
		result = SHUT_ELSEWHERE;
	} else if (ioctl(fd, SHUTDOWN_IOCTL, &how) == -1 && errno != EIO) {
		err_set(err, errno,
		    "cannot shut down the file system on %.200s: this node must be reset", point);
		result = SHUT_FAILED;
	}
	if (fd != -1)
		close(fd);
	return result;
}

struct abandon {
	const struct storage_device *device;
	enum shut result;
	struct err err;
};

/* A mounts_visit_f. pid 0: our own namespace. One place where it can be reached is enough. */
static bool
shut_down_in(void *arg, pid_t pid, ino_t ns, const struct mounts *m)
{
	struct abandon *a = arg;
	char path[PATH_MAX + 32];

	(void)ns;
	for (size_t i = 0; i < m->len && a->result != SHUT_DONE; i++) {
		if (!storage_device_is(a->device, &m->row[i]))
			continue;
		if (pid == 0)
			snprintf(path, sizeof(path), "%s", m->row[i].point);
		else
			snprintf(path, sizeof(path), "/proc/%d/root%s", (int)pid, m->row[i].point);
		a->result = shut_down(path, &m->row[i], &a->err);
	}
	return a->result != SHUT_DONE;
}

bool
storage_abandon(const struct conf *conf, struct spawn_out *out, struct err *err)
{
	struct release r = {
	    .conf = conf,
	    .until_ms = clock_mono_ms() + conf->unmount_ms,
	    .policy = CONF_HOLDERS_KILL,
	    .at_once = true,
	    .out = out,
	};
	struct storage_device device;
	struct abandon a = {.device = &device, .result = SHUT_ELSEWHERE};
	struct mounts m;
	struct err why = {0};

	if (storage_device_find(conf, &device, &why)) {
		if (!mounts_read("/proc/self/mountinfo", &m, err))
			return false;
		if (shut_down_in(&a, 0, 0, &m))
			mounts_elsewhere(shut_down_in, &a);
		mounts_free(&m);
		if (a.result == SHUT_DONE) {
			spawn_say(out, "shutdown", "%s", device.configured);
		} else if (a.err.text[0] != '\0') {
			/* It is mounted and cannot be stopped: unmounting would write what must not
			 * be written. */
			if (err != NULL)
				*err = a.err;
			return false;
		}
	}
	if (!release_run(&r, &why)) {
		if (err != NULL)
			*err = why;
		return false;
	}
	return true;
}
