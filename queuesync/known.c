/*
 * queuesync/known.c - see known.h.
 */
#include "queuesync/known.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "queuesync/inode_table.h"

#define SLACK_S 300
#define LARGE 65536		/* bytes of a directory, from which on a queue is none that is asked faster */
#define UNKNOWN_MAX 8192	/* a tenth of a second of asking ... */
#define UNKNOWN_OF 64		/* ... and one in so many of those that are known: more than the first of each group */

struct known {
	const struct rules	  *rules;
	const struct queue_layout *layout;
	struct check_options	   options;
	int			   root;
	pthread_mutex_t		   lock;
	_Atomic(struct inode_table *) table;
	bool			   tried;	/* under the lock */
	atomic_bool		   wrong;
	atomic_uint_fast64_t	   met, told, unknown;	/* told: in steps of KNOWN_SAMPLE for each thread */
};

/* As /proc/self/mountinfo writes paths: "\\040" is a blank. */
static void
unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; to++) {
		if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* Something mounted over a file has another inode than its directory says, and no directory of its own that shows it. */
static bool
has_mounted_files(int root)
{
	char link[64], path[PATH_MAX], *line = NULL;
	ssize_t len;
	size_t size = 0;
	bool has;
	FILE *f;

	snprintf(link, sizeof link, "/proc/self/fd/%d", root);
	len = readlink(link, path, sizeof path - 1);
	f = fopen("/proc/self/mountinfo", "re");
	has = len <= 0 || f == NULL;
	path[len > 0 ? len : 0] = '\0';
	while (!has && getline(&line, &size, f) > 0) {
		char *at = line;
		struct stat st;

		/* the fifth field */
		for (int i = 0; i < 4 && at != NULL; i++)
			at = strchr(at, ' ') == NULL ? NULL : strchr(at, ' ') + 1;
		if (at == NULL)
			continue;
		at[strcspn(at, " ")] = '\0';
		unescape(at);
		has = strncmp(at, path, (size_t)len) == 0 && at[len] == '/' && stat(at, &st) == 0 && !S_ISDIR(st.st_mode);
	}
	free(line);
	if (f != NULL)
		fclose(f);
	return has;
}

struct known *
known_new(const struct rules *rules, const struct queue_layout *layout, int root, int64_t now)
{
	struct known *k;
	struct statfs fs;

	if (geteuid() != 0 || fstatfs(root, &fs) == -1 || fs.f_type != EXT4_SUPER_MAGIC || has_mounted_files(root))
		return NULL;
	k = calloc(1, sizeof *k);
	if (k == NULL)
		abort();
	k->rules = rules;
	k->layout = layout;
	k->options = (struct check_options){ .now = now, .slack = SLACK_S };
	k->root = root;
	pthread_mutex_init(&k->lock, NULL);
	return k;
}

void
known_free(struct known *k)
{
	if (k == NULL)
		return;
	if (k->table != NULL)
		inode_table_close(k->table);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* NULL: it cannot be had. */
static struct inode_table *
table_of(struct known *k)
{
	struct inode_table *t = atomic_load(&k->table);

	if (t != NULL || atomic_load(&k->wrong))
		return t;
	pthread_mutex_lock(&k->lock);
	if (!k->tried) {
		k->tried = true;
		t = inode_table_open(k->root, NULL);
		atomic_store(&k->table, t);
		if (t == NULL)
			atomic_store(&k->wrong, true);
	}
	pthread_mutex_unlock(&k->lock);
	return atomic_load(&k->table);
}

void
known_directory(struct known *k, uint64_t ino, uint64_t size)
{
	struct inode_table *t = size >= LARGE ? table_of(k) : NULL;

	if (t != NULL)
		inode_table_ahead(t, ino, size);
}

/* Does the kernel say the same? Sizes and times may be on their way. */
static bool
is_so(int directory, const struct queue_file *file)
{
	struct stat st;

	if (fstatat(directory, file->name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT;
	return st.st_ino == file->ino && st.st_mode == file->mode && st.st_uid == file->uid && st.st_gid == file->gid &&
	    st.st_nlink == file->nlink;
}

bool
known_file(struct known *k, int directory, struct queue_file *file)
{
	static _Thread_local unsigned int told_here;
	struct queue_file told = *file;
	struct inode_table *t;

	/* What all threads write for each file goes to and fro between the processors; so they write seldom. */
	if ((atomic_load(&k->met) < KNOWN_FIRST && atomic_fetch_add(&k->met, 1) < KNOWN_FIRST) || (t = table_of(k)) == NULL ||
	    atomic_load(&k->wrong))
		return false;
	if (!inode_table_tell(t, file->ino, &told)) {
		atomic_fetch_add(&k->unknown, 1);
		return false;
	}
	if (++told_here % KNOWN_SAMPLE == 0 || atomic_load(&k->told) == 0) {
		atomic_fetch_add(&k->told, KNOWN_SAMPLE);
		if (!is_so(directory, &told))
			atomic_store(&k->wrong, true);
	}
	if (!check_plain(k->rules, k->layout, &k->options, &told))
		return false;
	*file = told;
	return true;
}

bool
known_good(const struct known *k)
{
	return !atomic_load(&k->wrong) && atomic_load(&k->unknown) <= UNKNOWN_MAX + atomic_load(&k->told) / UNKNOWN_OF;
}
