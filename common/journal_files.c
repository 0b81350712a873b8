/*
 * common/journal_files.c - the files of a journal: made with the right owner, and moved aside when they are spoilt. Used
 * by common/journal.c, and by whoever asks what lies aside. Every call may wait for the disk.
 *
 * Nothing is ever overwritten: a spoilt journal may be all that tells how it came to be so.
 */
#include "common/journal_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/journal.h"

#define ASIDE ".corrupt-"

static void
journal_dir(const char *path, char *buf, size_t size)
{
	const char *slash = strrchr(path, '/');

	snprintf(buf, size, "%.*s", slash == NULL || slash == path ? 1 : (int)(slash - path), slash == NULL ? "." : path);
}

size_t
journal_aside(const char *path, char *newest, size_t size)
{
	char dir[PATH_MAX], prefix[NAME_MAX + 1], last[NAME_MAX + 1] = "";
	const char *slash = strrchr(path, '/');
	struct dirent *entry;
	size_t n = 0;
	DIR *d;

	journal_dir(path, dir, sizeof(dir));
	snprintf(prefix, sizeof(prefix), "%.*s" ASIDE, NAME_MAX - 16, slash != NULL ? slash + 1 : path);
	d = opendir(dir);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		/* the stamp and nothing behind it: not -wal, not -shm */
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || strchr(entry->d_name + strlen(prefix), '-') != NULL)
			continue;
		n++;
		if (strcmp(entry->d_name, last) > 0)
			snprintf(last, sizeof(last), "%s", entry->d_name);
	}
	if (d != NULL)
		closedir(d);
	if (newest != NULL)
		snprintf(newest, size, "%s", last);
	return n;
}

/* Mode and group are set before sqlite3 sees the file; its -wal and -shm take after it. */
bool
journal_files_create(const char *path, struct err *err)
{
	char dir[PATH_MAX];
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd == -1)
		return errno == EEXIST || err_set(err, errno, "journal %s: cannot create it", path);
	journal_dir(path, dir, sizeof(dir));
	/* Who may look into the directory may read the history: its group is the operators'. */
	if (stat(dir, &st) == 0 && fchown(fd, (uid_t)-1, st.st_gid) == -1)
		st.st_gid = (gid_t)-1;		/* not root: it stays our own */
	fchmod(fd, 0640);
	close(fd);
	return true;
}

/* "20261121T180031Z" */
static void
stamp(uint64_t wall_ms, char buf[CLOCK_RFC3339_MAX])
{
	char when[CLOCK_RFC3339_MAX], *to = buf;

	for (const char *c = clock_rfc3339(wall_ms, when); *c != '\0'; c++) {
		if (*c != '-' && *c != ':')
			*to++ = *c;
	}
	*to = '\0';
}

/* One of the three files, which need not be there. */
static bool
rename_aside(const char *path, const char *to, const char *suffix)
{
	char old[PATH_MAX + 8], new[PATH_MAX + 64];

	snprintf(old, sizeof(old), "%s%s", path, suffix);
	snprintf(new, sizeof(new), "%s%s", to, suffix);
	return renameat2(AT_FDCWD, old, AT_FDCWD, new, RENAME_NOREPLACE) == 0 || errno == ENOENT;
}

static void
sync_dir(const char *path)
{
	char dir[PATH_MAX];
	int fd;

	journal_dir(path, dir, sizeof(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd != -1) {
		(void)fsync(fd);
		close(fd);
	}
}

/* The log goes before the database that it belongs to: a fresh one must not find it. On success *err tells what was done. */
bool
journal_files_aside(const char *path, const char *why, struct err *err)
{
	char to[PATH_MAX + 48], when[CLOCK_RFC3339_MAX];
	size_t others = journal_aside(path, NULL, 0);
	struct stat st;

	if (others >= JOURNAL_ASIDE_MAX)
		return err_set(err, 0, "journal %s is spoilt (%s), and as many as %zu earlier ones lie beside it: look at the disk, "
		    "then remove them", path, why, others);
	for (uint64_t s = 0; s < 60; s++) {		/* one of this very second may be there */
		stamp(clock_wall_ms() + s * 1000, when);
		snprintf(to, sizeof(to), "%s" ASIDE "%s", path, when);
		if (lstat(to, &st) == -1 && errno == ENOENT)
			break;
	}
	if (!rename_aside(path, to, "-shm") || !rename_aside(path, to, "-wal") || !rename_aside(path, to, ""))
		return err_set(err, errno, "journal %s is spoilt (%s) and cannot be moved aside to %s", path, why, to);
	sync_dir(path);
	err_set(err, 0, "the journal was spoilt (%s) and is begun anew; the old one is now %s", why, to);
	return true;
}
