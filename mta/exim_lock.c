/*
 * mta/exim_lock.c - who may write to a spool of Exim's, and the lock of one message. Blocks on nothing but the disk.
 */
#include "mta/exim_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const role_word[] = {
	[EXIM_ROLE_DAEMON] = "its daemon", [EXIM_ROLE_DELIVERY] = "a delivery", [EXIM_ROLE_RECEPTION] = "a reception",
	[EXIM_ROLE_OTHER] = "a process that takes or runs mail",
	[EXIM_ROLE_ASKS] = "a question",
};

enum fact
exim_spool_free(const struct exim_instance *inst, struct err *err)
{
	struct exim_processes *list = calloc(1, sizeof *list);
	enum fact fact = FACT_UNKNOWN;

	if (list == NULL) {
		err_set(err, 0, "out of memory");
		return FACT_UNKNOWN;
	}
	switch (exim_processes(inst, list, err)) {
	case FACT_NO:
		fact = FACT_YES;
		break;
	case FACT_YES:
		fact = FACT_YES;
		for (size_t i = 0; i < list->len && fact == FACT_YES; i++) {
			if (list->at[i].role == EXIM_ROLE_ASKS)
				continue;
			err_set(err, 0, "Exim runs: %s works in this spool, pid %d", role_word[list->at[i].role], (int)list->at[i].pid);
			fact = FACT_NO;
		}
		break;
	case FACT_UNKNOWN:
	case FACT_COUNT:
		break;
	}
	free(list);
	return fact;
}

enum fact
exim_message_lock(int root, const char *path, int *ret_fd, struct err *err)
{
	/* Exim locks no more than this of it; its length does not matter, since all begin at the first byte. */
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
	int fd = openat(root, path, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		err_set(err, fd == -1 ? errno : 0, "%s cannot be locked", path);
		if (fd != -1)
			close(fd);
		return FACT_UNKNOWN;
	}
	if (fcntl(fd, F_SETLK, &lock) == 0) {
		*ret_fd = fd;
		return FACT_YES;
	}
	err_set(err, errno, "%s is locked by a delivery of Exim's", path);
	close(fd);
	return FACT_NO;
}
