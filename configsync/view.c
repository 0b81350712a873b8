/*
 * configsync/view.c - the trees as they would be. Blocks on the disk; for workers.
 */
#include "configsync/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "configsync/derived.h"
#include "configsync/scope.h"

#define LINKS_MAX 16		/* more in one path are a loop */
#define DEPTH_MAX 32

static const struct view_change *
change_of(const struct view *view, const char *path)
{
	for (size_t i = 0; i < view->changes; i++)
		if (strcmp(view->change[i].path, path) == 0)
			return &view->change[i];
	return NULL;
}

/* Will something stand below path that is not there yet? */
static bool
new_below(const struct view *view, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < view->changes; i++)
		if (view->change[i].from != NULL && strncmp(view->change[i].path, path, len) == 0 && view->change[i].path[len] == '/')
			return true;
	return false;
}

/* Takes ".", ".." and doubled slashes out; ".." at the root stays there. */
static void
normalise(char *path)
{
	char *to = path, *at = path;

	while (*at != '\0') {
		size_t len = strcspn(at, "/");

		if (len == 2 && at[0] == '.' && at[1] == '.') {
			while (to > path && *--to != '/')
				;
		} else if (len > 0 && !(len == 1 && at[0] == '.')) {
			if (to > path)
				*to++ = '/';
			memmove(to, at, len);
			to += len;
		}
		at += len;
		at += *at == '/';
	}
	*to = '\0';
}

/* now[0..end] is a link to target: *now becomes where it leads, with the rest behind it. */
static bool
follow(char now[VIEW_PATH_MAX], size_t end, const char *target)
{
	char next[2 * VIEW_PATH_MAX + 2];
	size_t dir = end;

	while (dir > 0 && now[dir - 1] != '/')
		dir--;
	if (target[0] == '/')
		dir = 0;
	snprintf(next, sizeof next, "%.*s%s%s", (int)dir, now, target, now + end);
	if (strlen(next) >= VIEW_PATH_MAX)
		return false;
	memcpy(now, next, strlen(next) + 1);
	normalise(now);
	return true;
}

/* Where path itself, not what it leads to, lies now. NO: nowhere. */
static enum fact
place(const struct view *view, const char *path, char real[VIEW_PATH_MAX], struct stat *st, struct err *err)
{
	const struct view_change *change = change_of(view, path);

	if (change != NULL && change->from == NULL)
		return FACT_NO;
	if (change != NULL)
		snprintf(real, VIEW_PATH_MAX, "%s", change->from);
	else if (snprintf(real, VIEW_PATH_MAX, "%s/%s", strcmp(view->root, "/") == 0 ? "" : view->root, path) >= VIEW_PATH_MAX)
		return FACT_NO;
	if (lstat(real, st) == 0)
		return FACT_YES;
	if (errno == ENOENT || errno == ENOTDIR)
		return FACT_NO;
	err_set(err, errno, "cannot look at %s", real);
	return FACT_UNKNOWN;
}

enum fact
view_find(const struct view *view, const char *path, char ret_real[VIEW_PATH_MAX], char ret_path[VIEW_PATH_MAX], struct err *err)
{
	char now[VIEW_PATH_MAX], prefix[VIEW_PATH_MAX], target[VIEW_PATH_MAX];
	size_t end = 0;
	struct stat st;

	if (strlen(path) >= sizeof now)
		return FACT_NO;
	snprintf(now, sizeof now, "%s", path);
	normalise(now);
	for (int links = 0; links < LINKS_MAX;) {
		enum fact there;
		ssize_t len;

		end += now[end] == '/';
		end += strcspn(now + end, "/");
		snprintf(prefix, sizeof prefix, "%.*s", (int)end, now);
		there = place(view, prefix, ret_real, &st, err);
		if (there == FACT_NO && now[end] != '\0' && new_below(view, prefix))
			continue;
		if (there != FACT_YES)
			return there;
		if (!S_ISLNK(st.st_mode)) {
			if (now[end] != '\0')
				continue;
			if (ret_path != NULL)
				snprintf(ret_path, VIEW_PATH_MAX, "%s", now);
			return FACT_YES;
		}
		len = readlink(ret_real, target, sizeof target - 1);
		if (len == -1) {
			err_set(err, errno, "cannot read the link %s", ret_real);
			return FACT_UNKNOWN;
		}
		target[len] = '\0';
		if (!follow(now, end, target))
			return FACT_NO;
		end = 0;
		links++;
	}
	return FACT_NO;
}

bool
view_changed(const struct view *view, const char *path)
{
	char real[VIEW_PATH_MAX], final[VIEW_PATH_MAX];

	return change_of(view, path) != NULL ||
	    (view_find(view, path, real, final, NULL) == FACT_YES && change_of(view, final) != NULL);
}

/* ---------------------------------------------------------------- directories */

struct names { char **at; size_t len, room; };

static void
names_add(struct names *names, const char *name, size_t len)
{
	if (names->len == names->room) {
		names->room = names->room == 0 ? 32 : 2 * names->room;
		names->at = realloc(names->at, names->room * sizeof names->at[0]);
	}
	if (names->at == NULL || (names->at[names->len++] = strndup(name, len)) == NULL)
		abort();
}

static int
order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
view_names_free(char **names, size_t len)
{
	for (size_t i = 0; i < len; i++)
		free(names[i]);
	free(names);
}

/* Those in place now, but for what goes. */
static bool
names_in_place(const struct view *view, const char *dir, struct names *names, struct err *err)
{
	char real[VIEW_PATH_MAX];
	const struct dirent *entry;
	enum fact there = view_find(view, dir, real, NULL, err);
	DIR *stream;

	if (there != FACT_YES)
		return there == FACT_NO;
	stream = opendir(real);
	if (stream == NULL)
		return err_set(err, errno, "cannot list %s", real);
	while (errno = 0, (entry = readdir(stream)) != NULL) {
		char path[VIEW_PATH_MAX];
		const struct view_change *change;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    strncmp(entry->d_name, SCOPE_STAGING, strlen(SCOPE_STAGING)) == 0 ||
		    snprintf(path, sizeof path, "%s/%s", dir, entry->d_name) >= (int)sizeof path)
			continue;
		change = change_of(view, path);
		if (change == NULL || change->from != NULL)
			names_add(names, entry->d_name, strlen(entry->d_name));
	}
	if (errno != 0)
		err_set(err, errno, "cannot list %s", real);
	there = errno == 0 ? FACT_YES : FACT_UNKNOWN;
	closedir(stream);
	return there == FACT_YES;
}

bool
view_names(const struct view *view, const char *dir, char ***ret, size_t *ret_len, struct err *err)
{
	struct names names = { 0 };
	size_t len = strlen(dir), n = 0;

	if (!names_in_place(view, dir, &names, err)) {
		view_names_free(names.at, names.len);
		return false;
	}
	for (size_t i = 0; i < view->changes; i++) {
		const char *path = view->change[i].path;

		if (view->change[i].from != NULL && strncmp(path, dir, len) == 0 && path[len] == '/')
			names_add(&names, path + len + 1, strcspn(path + len + 1, "/"));
	}
	if (names.len > 0)
		qsort(names.at, names.len, sizeof names.at[0], order);
	for (size_t i = 0; i < names.len; i++)
		if (n > 0 && strcmp(names.at[n - 1], names.at[i]) == 0)
			free(names.at[i]);
		else
			names.at[n++] = names.at[i];
	*ret = names.at;
	*ret_len = n;
	return true;
}

/* ---------------------------------------------------------------- bytes */

static int
open_file(const struct view *view, const char *path, struct err *err)
{
	char real[VIEW_PATH_MAX];
	struct stat st;
	int fd;

	switch (view_find(view, path, real, NULL, err)) {
	case FACT_YES:
		break;
	case FACT_NO:
		err_set(err, ENOENT, "/%s", path);
		return -1;
	case FACT_UNKNOWN:
	case FACT_COUNT:
		return -1;
	}
	/* not to wait for a writer of a pipe */
	fd = open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &st) == -1)
		err_set(err, errno, "cannot open /%s", path);
	else if (!S_ISREG(st.st_mode))
		err_set(err, 0, "/%s is no regular file", path);
	else
		return fd;
	if (fd != -1)
		close(fd);
	return -1;
}

char *
view_read(const struct view *view, const char *path, size_t *ret_len, struct err *err)
{
	int fd = open_file(view, path, err);
	char *bytes = fd != -1 ? malloc(VIEW_BYTES_MAX + 1) : NULL;
	size_t len = 0;
	ssize_t n = 0;

	if (fd == -1)
		return NULL;
	if (bytes == NULL) {
		close(fd);
		err_set(err, ENOMEM, "/%s", path);
		return NULL;
	}
	while (len <= VIEW_BYTES_MAX && (n = read(fd, bytes + len, VIEW_BYTES_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (n == -1)
		err_set(err, errno, "cannot read /%s", path);
	else if (len > VIEW_BYTES_MAX)
		err_set(err, EFBIG, "/%s has more than %u bytes", path, VIEW_BYTES_MAX);
	close(fd);
	if (n == -1 || len > VIEW_BYTES_MAX) {
		explicit_bzero(bytes, len < VIEW_BYTES_MAX ? len : VIEW_BYTES_MAX);
		free(bytes);
		return NULL;
	}
	bytes[len] = '\0';
	*ret_len = len;
	return bytes;
}

bool
view_make_old(int fd)
{
	struct timespec old = { .tv_sec = (time_t)(clock_wall_ms() / 1000) - 3600 };

	return futimens(fd, (struct timespec[]){ old, old }) == 0;
}

bool
view_copy(const struct view *view, const char *path, const char *to, struct err *err)
{
	char bytes[16384];
	int in = open_file(view, path, err), out;
	ssize_t n;
	bool ok = true;

	if (in == -1)
		return false;
	unlink(to);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out == -1) {
		err_set(err, errno, "cannot create %s", to);
		close(in);
		return false;
	}
	while ((n = read(in, bytes, sizeof bytes)) > 0 && ok)
		for (ssize_t done = 0, k; done < n && ok; done += k)
			ok = (k = write(out, bytes + done, (size_t)(n - done))) > 0;
	if (n == -1 || !ok)
		ok = err_set(err, errno, "cannot copy /%s to %s", path, to);
	explicit_bzero(bytes, sizeof bytes);
	close(in);
	ok = ok && view_make_old(out);
	return (close(out) == 0 || err_set(err, errno, "cannot write %s", to)) && ok;
}

/* ---------------------------------------------------------------- a directory made anew */

bool
view_mkdirs(const char *path, struct err *err)
{
	char part[VIEW_PATH_MAX];

	for (size_t end = 0; path[end] != '\0';) {
		end += path[end] == '/';
		end += strcspn(path + end, "/");
		snprintf(part, sizeof part, "%.*s", (int)end, path);
		if (mkdir(part, 0700) == -1 && errno != EEXIST)
			return err_set(err, errno, "cannot make the directory %s", part);
	}
	return true;
}

static bool farm(const struct view *, const char *dir, const char *to, int depth, struct err *);

static bool
farm_one(const struct view *view, const char *path, const char *to, int depth, struct err *err)
{
	char real[VIEW_PATH_MAX], final[VIEW_PATH_MAX];
	struct stat st;

	switch (view_find(view, path, real, final, err)) {
	case FACT_YES:
		break;
	case FACT_NO:
		/* a new directory, or a link that leads nowhere and so is of no use to any program */
		return !new_below(view, path) || farm(view, path, to, depth + 1, err);
	case FACT_UNKNOWN:
	case FACT_COUNT:
		return false;
	}
	if (lstat(real, &st) == -1)
		return err_set(err, errno, "cannot look at %s", real);
	if (S_ISDIR(st.st_mode))
		return farm(view, final, to, depth + 1, err);
	return !S_ISREG(st.st_mode) || symlink(real, to) == 0 || err_set(err, errno, "cannot make the link %s", to);
}

static bool
farm(const struct view *view, const char *dir, const char *to, int depth, struct err *err)
{
	char path[VIEW_PATH_MAX], link[VIEW_PATH_MAX], source[VIEW_PATH_MAX], **name;
	size_t names;
	bool ok = true;

	if (depth > DEPTH_MAX)
		return err_set(err, ELOOP, "/%s", dir);
	if (!view_mkdirs(to, err) || !view_names(view, dir, &name, &names, err))
		return false;
	for (size_t i = 0; i < names && ok; i++) {
		if (snprintf(path, sizeof path, "%s/%s", dir, name[i]) >= (int)sizeof path ||
		    snprintf(link, sizeof link, "%s/%s", to, name[i]) >= (int)sizeof link)
			ok = err_set(err, ENAMETOOLONG, "/%s/%s", dir, name[i]);
		else if (derived_from(path, source, sizeof source) == NULL)
			ok = farm_one(view, path, link, depth, err);
	}
	view_names_free(name, names);
	return ok;
}

bool
view_farm(const struct view *view, const char *dir, const char *to, struct err *err)
{
	char real[VIEW_PATH_MAX], above[VIEW_PATH_MAX];
	enum fact there = view_find(view, dir, real, NULL, err);
	struct stat st;

	if (there == FACT_UNKNOWN)
		return false;
	if (there != FACT_YES || lstat(real, &st) == -1 || !S_ISREG(st.st_mode))
		return farm(view, dir, to, 0, err);
	snprintf(above, sizeof above, "%.*s", (int)(strrchr(to, '/') - to), to);
	return view_mkdirs(above, err) && (symlink(real, to) == 0 || err_set(err, errno, "cannot make the link %s", to));
}

/* What is mounted below is left alone. By directories: files of an overlay say that they are on another device than these. */
static bool
remove_below(int dir, const char *name, dev_t device)
{
	int fd;
	bool ok = true;
	struct dirent *e;
	struct stat st;
	DIR *d;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return true;
	if (errno != EISDIR || (fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) == -1)
		return false;
	if (fstat(fd, &st) == -1 || (device != 0 && st.st_dev != device) || (d = fdopendir(fd)) == NULL) {
		close(fd);
		errno = EBUSY;
		return false;
	}
	while (ok && (e = readdir(d)) != NULL)
		ok = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || remove_below(fd, e->d_name, st.st_dev);
	closedir(d);
	return ok && (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT);
}

bool
view_remove(const char *path, struct err *err)
{
	return remove_below(AT_FDCWD, path, 0) || err_set(err, errno, "cannot remove %s", path);
}
