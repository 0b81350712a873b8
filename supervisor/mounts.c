/*
 * supervisor/mounts.c - reads and searches the kernel's tables of mounts.
 *
 * Leaves every judgement to its callers. Runs in workers; blocks only on /proc. Other mount
 * namespaces are found by the inode of /proc/PID/ns/mnt, one stat a process, and the table of each
 * is read once.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "supervisor/mounts.h"

#define READ_STEP 16384
#define NAMESPACES_MAX                                                                             \
	256 /* distinct ones remembered; beyond that some are read twice, none is missed */

/* Undo the kernel's octal escapes (blank, tab, newline, backslash) in place. */
static void
unescape(char *s)
{
	char *to = s;

	while (*s != '\0') {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* Cut the next blank-separated word off *at; NULL at the end of the line. */
static char *
word(char **at)
{
	char *begin = *at;
	char *end;

	if (begin == NULL || *begin == '\0')
		return NULL;
	end = strchr(begin, ' ');
	if (end != NULL)
		*end++ = '\0';
	*at = end;
	return begin;
}

static bool
row_parse(char *line, struct mount_row *ret)
{
	char *at = line;
	char *id = word(&at), *parent = word(&at), *dev = word(&at), *root = word(&at),
	     *point = word(&at);
	char *options = word(&at), *field, *type, *source;
	unsigned int major_no, minor_no;
	int number, above;

	if (options == NULL || sscanf(dev, "%u:%u", &major_no, &minor_no) != 2)
		return false;
	if (sscanf(id, "%d", &number) != 1 || sscanf(parent, "%d", &above) != 1)
		return false;
	/* Optional fields, any number of them, end at a single dash. */
	do {
		field = word(&at);
	} while (field != NULL && strcmp(field, "-") != 0);
	type = word(&at);
	source = word(&at);
	if (type == NULL)
		return false;
	unescape(root);
	unescape(point);
	if (source != NULL)
		unescape(source);
	*ret = (struct mount_row){.id = number,
	    .parent = above,
	    .dev = makedev(major_no, minor_no),
	    .root = root,
	    .point = point,
	    .fstype = type,
	    .source = source != NULL ? source : ""};
	return true;
}

bool
mounts_parse(char *text, struct mounts *ret, struct err *err)
{
	struct mounts m = {.text = text};
	size_t room = 0;
	char *line = text;

	while (line != NULL && *line != '\0') {
		char *end = strchr(line, '\n');

		if (end != NULL)
			*end++ = '\0';
		if (m.len == room) {
			struct mount_row *grown;

			room = room == 0 ? 64 : room * 2;
			grown = realloc(m.row, room * sizeof(*grown));
			if (grown == NULL) {
				mounts_free(&m);
				return err_set(err, ENOMEM, "cannot keep the table of mounts");
			}
			m.row = grown;
		}
		if (!row_parse(line, &m.row[m.len])) {
			mounts_free(&m);
			return err_set(
			    err, 0, "cannot understand a line of the kernel's table of mounts");
		}
		m.len++;
		line = end;
	}
	*ret = m;
	return true;
}

/* The whole file, NUL-terminated; NULL with errno. */
static char *
slurp(const char *file)
{
	size_t len = 0, room = READ_STEP;
	char *text = malloc(room + 1);
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	while (fd != -1 && text != NULL && (n = read(fd, text + len, room - len)) > 0) {
		len += (size_t)n;
		if (len == room) {
			char *grown = realloc(text, room * 2 + 1);

			if (grown == NULL) {
				n = -1;
				break;
			}
			text = grown;
			room *= 2;
		}
	}
	if (n != 0) {
		int saved = errno;

		free(text);
		text = NULL;
		errno = saved;
	} else {
		text[len] = '\0';
	}
	if (fd != -1)
		close(fd);
	return text;
}

bool
mounts_read(const char *file, struct mounts *ret, struct err *err)
{
	char *text = slurp(file);

	if (text == NULL)
		return err_set(err, errno, "cannot read %s", file);
	return mounts_parse(text, ret, err);
}

void
mounts_free(struct mounts *m)
{
	free(m->row);
	free(m->text);
	*m = (struct mounts){0};
}

const struct mount_row *
mounts_top(const struct mounts *m, const char *point)
{
	const struct mount_row *top = NULL;

	for (size_t i = 0; i < m->len; i++) {
		const struct mount_row *row = &m->row[i];

		if (strcmp(row->point, point) != 0)
			continue;
		/* One mounted over another at the same path is its child, whatever the order of the
		 * rows. */
		if (top == NULL || row->parent == top->id || top->parent != row->id)
			top = row;
	}
	return top;
}

bool
mount_of_device(const struct mount_row *row, dev_t block)
{
	struct stat st;

	if (block == 0)
		return false;
	if (row->dev == block)
		return true;
	if (major(row->dev) != 0 || strncmp(row->source, "/dev/", 5) != 0)
		return false;
	return stat(row->source, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == block;
}

void
mounts_elsewhere(mounts_visit_f *visit, void *arg)
{
	ino_t seen[NAMESPACES_MAX];
	size_t seen_len = 0;
	bool go_on = true;
	struct dirent *entry;
	struct stat st;
	DIR *proc;

	if (stat("/proc/self/ns/mnt", &st) == -1 || (proc = opendir("/proc")) == NULL)
		return;
	seen[seen_len++] = st.st_ino;
	while (go_on && (entry = readdir(proc)) != NULL) {
		char path[64];
		struct mounts m;
		size_t i = 0;
		int pid;

		if (sscanf(entry->d_name, "%d", &pid) != 1)
			continue;
		snprintf(path, sizeof(path), "%d/ns/mnt", pid);
		if (fstatat(dirfd(proc), path, &st, 0) == -1)
			continue;
		while (i < seen_len && seen[i] != st.st_ino)
			i++;
		if (i < seen_len)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
		if (!mounts_read(path, &m, NULL))
			continue; /* it ended meanwhile; another process of the namespace is as good
				   */
		/*
		 * A process that is ending, or a zombie, shows its namespace but an empty table; it
		 * must not stand for the others that live there.
		 */
		if (m.len > 0) {
			if (seen_len < NAMESPACES_MAX)
				seen[seen_len++] = st.st_ino;
			go_on = visit(arg, pid, st.st_ino, &m);
		}
		mounts_free(&m);
	}
	closedir(proc);
}

bool
mounts_canonical(const char *path, bool keep_last, char *buf, size_t size, struct err *err)
{
	char work[PATH_MAX], resolved[PATH_MAX];
	size_t len = strlen(path);
	char *slash;

	if (path[0] != '/' || len >= sizeof(work))
		return err_set(err, 0, "%.200s is not a usable absolute path", path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	memcpy(work, path, len);
	work[len] = '\0';
	if (len == 1 || !keep_last) {
		if (realpath(work, resolved) == NULL)
			return err_set(err, errno, "cannot find %.200s", path);
		if ((size_t)snprintf(buf, size, "%s", resolved) >= size)
			return err_set(err, ENAMETOOLONG, "%.200s", path);
		return true;
	}
	slash = strrchr(work, '/');
	if (strcmp(slash + 1, ".") == 0 || strcmp(slash + 1, "..") == 0)
		return err_set(err, 0, "%.200s must not end in a dot", path);
	*slash = '\0';
	if (realpath(slash == work ? "/" : work, resolved) == NULL)
		return err_set(err, errno, "cannot find the directory of %.200s", path);
	if ((size_t)snprintf(
		buf, size, "%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, slash + 1) >= size)
		return err_set(err, ENAMETOOLONG, "%.200s", path);
	return true;
}
