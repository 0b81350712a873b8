/*
 * configsync/store_key.c - the key that contents and entries are sealed with: config.key beside the journal, 0600, made once.
 */
#include "configsync/store_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
key_read(const char *path, uint8_t key[CIPHER_KEY], struct err *err)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint8_t more[CIPHER_KEY + 1];
	struct stat st;
	bool ok = false;

	if (fd == -1)
		return err_set(err, errno, "key %s: cannot read it", path);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		err_set(err, 0, "key %s: is no regular file", path);
	else if ((st.st_mode & 077) != 0 || st.st_uid != geteuid())
		err_set(err, EACCES, "key %s: has mode %04o and owner %u, and must have 0600 and %u", path, st.st_mode & 07777u, st.st_uid,
		    geteuid());
	else if (read(fd, more, sizeof(more)) != CIPHER_KEY)
		err_set(err, 0, "key %s: has %lld bytes in place of %d", path, (long long)st.st_size, CIPHER_KEY);
	else
		ok = true;
	close(fd);
	if (ok)
		memcpy(key, more, CIPHER_KEY);
	return ok;
}

/* Never seen half written, and never made twice: it gets its name by a link, which fails where there is one. */
static bool
key_make(const char *dir, const char *path, struct err *err)
{
	uint8_t key[CIPHER_KEY];
	char link[64];
	int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	bool ok;

	digest_random(key, sizeof(key));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ok = d != -1 && fd != -1 && fchmod(fd, 0600) == 0 && write(fd, key, sizeof(key)) == sizeof(key) && fsync(fd) == 0 &&
	    (linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 || errno == EEXIST) && fsync(d) == 0;
	if (!ok)
		err_set(err, errno, "key %s: cannot make it", path);
	explicit_bzero(key, sizeof(key));
	if (fd != -1)
		close(fd);
	if (d != -1)
		close(d);
	return ok;
}

bool
store_key(const char *journal, bool make, uint8_t key[CIPHER_KEY], struct err *err)
{
	const char *slash = strrchr(journal, '/');
	char dir[PATH_MAX], path[PATH_MAX + 16];
	size_t len = slash != NULL ? (size_t)(slash - journal) : 0;

	snprintf(dir, sizeof(dir), "%.*s", slash == NULL || slash == journal ? 1 : (int)len, slash == NULL ? "." : journal);
	snprintf(path, sizeof(path), "%.*sconfig.key", slash == NULL ? 0 : (int)len + 1, journal);
	if (key_read(path, key, err))
		return true;
	return make && err->sys == ENOENT && key_make(dir, path, err) && key_read(path, key, err);
}
