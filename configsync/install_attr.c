/*
 * configsync/install_attr.c - owner, extended attributes, mode and times of what is being installed. Blocks.
 *
 * The order is the point: rights are first narrowed to what old and new have in common, and only widened when the owner and the
 * ACL are the right ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "configsync/acl.h"
#include "configsync/install_priv.h"

static bool
id_of(void *arg, bool group, const char *name, uint32_t id, uint32_t *ret)
{
	return names_here(arg, group, &(struct entry_owner){ name, id }, ret) != NAMES_STRANGER;
}

/* The value as the kernel takes it; *ret_len 0 with EINVAL where there is none. */
static const uint8_t *
value_of(struct install *in, const struct entry_xattr *x, uint8_t *buf, size_t *ret_len)
{
	if (!acl_is_name(x->name)) {
		*ret_len = x->len;
		return x->value;
	}
	*ret_len = acl_to_kernel(x->value, x->len, id_of, in->o->names, buf, ENTRY_XATTR_MAX);
	return buf;
}

bool
install_acls_ok(struct install *in, const struct entry *to)
{
	bool ok = true;
	uint8_t *buf = malloc(ENTRY_XATTR_MAX);
	size_t len;

	for (uint32_t i = 0; buf != NULL && ok && i < to->xattrs; i++) {
		if (acl_is_name(to->xattr[i].name)) {
			value_of(in, &to->xattr[i], buf, &len);
			ok = len != 0;
		}
	}
	free(buf);
	return ok && buf != NULL;
}

static bool
wanted(const struct entry *to, const char *name)
{
	for (uint32_t i = 0; i < to->xattrs; i++) {
		if (strcmp(to->xattr[i].name, name) == 0)
			return true;
	}
	return false;
}

/* What a directory's default ACL gave it, and what it had and shall not have. Where SELinux runs no label is taken away. */
static bool
remove_unwanted(struct install *in, int fd, const struct entry *to)
{
	ssize_t len = flistxattr(fd, NULL, 0);
	char *names = len > 0 ? malloc(ENTRY_XATTR_MAX) : NULL;
	bool ok = len != -1 || errno == ENOTSUP;

	in->bare = len == 0;
	if (len <= 0)		/* as most often */
		return ok;
	len = names == NULL ? -1 : flistxattr(fd, names, ENTRY_XATTR_MAX);
	ok = len != -1;
	for (const char *name = names; ok && len > 0 && name < names + len; name += strlen(name) + 1) {
		if ((strncmp(name, "user.", 5) == 0 || acl_is_name(name)) && !wanted(to, name))
			ok = fremovexattr(fd, name) == 0 || errno == ENODATA;
		else if (strcmp(name, "security.selinux") == 0 && !wanted(to, name))
			fremovexattr(fd, name);
	}
	free(names);
	return ok;
}

static bool
set_xattrs(struct install *in, int fd, const struct entry *to)
{
	bool ok = remove_unwanted(in, fd, to);
	uint8_t *buf = to->xattrs == 0 ? NULL : malloc(ENTRY_XATTR_MAX);

	if (to->xattrs != 0 && buf == NULL)
		return false;
	for (uint32_t i = 0; ok && i < to->xattrs; i++) {
		size_t len;
		const uint8_t *value = value_of(in, &to->xattr[i], buf, &len);

		ok = fsetxattr(fd, to->xattr[i].name, value, len, 0) == 0;
	}
	free(buf);
	return ok;
}

bool
install_set_time(int fd, const char *name, const struct entry *to)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = to->mtime_s, .tv_nsec = to->mtime_ns } };

	return (name == NULL ? futimens(fd, times) : utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW)) == 0;
}

bool
install_attributes(struct install *in, int fd, const struct stat *st, const struct item *item, const struct entry *was, const struct entry *to,
    const char *path, struct err *err)
{
	unsigned int differs = was == NULL ? ~ENTRY_DIFF_TIME : entry_diff(was, to);

	if (was != NULL && (was->mode & to->mode) != was->mode && fchmod(fd, was->mode & to->mode) == -1)
		return err_set(err, errno, "cannot set the mode of %s", path);
	if ((differs & ENTRY_DIFF_OWNER) != 0 && (st->st_uid != item->uid || st->st_gid != item->gid) && fchown(fd, item->uid, item->gid) == -1)
		return err_set(err, errno, "cannot give %s to %s:%s", path, to->user.name, to->group.name);
	if ((differs & (ENTRY_DIFF_XATTR | ENTRY_DIFF_OWNER | ENTRY_DIFF_MODE)) != 0 && !set_xattrs(in, fd, to))
		return err_set(err, errno, "cannot set extended attributes of %s", path);
	if ((differs & (ENTRY_DIFF_XATTR | ENTRY_DIFF_OWNER | ENTRY_DIFF_MODE)) != 0 && fchmod(fd, to->mode) == -1)
		return err_set(err, errno, "cannot set the mode of %s", path);
	return install_set_time(fd, NULL, to) || err_set(err, errno, "cannot set the time of %s", path);
}

/* A symbolic link cannot be opened: by name, in a directory that is. */
bool
install_link_attributes(struct install *in, int dir, const char *name, const struct item *item, const struct entry *to, const char *path,
    struct err *err)
{
	char proc[64 + ENTRY_NAME_MAX];

	(void)in;
	snprintf(proc, sizeof proc, "/proc/self/fd/%d/%s", dir, name);
	for (uint32_t i = 0; i < to->xattrs; i++) {
		if (lsetxattr(proc, to->xattr[i].name, to->xattr[i].value, to->xattr[i].len, 0) == -1)
			return err_set(err, errno, "cannot set extended attributes of %s", path);
	}
	if (fchownat(dir, name, item->uid, item->gid, AT_SYMLINK_NOFOLLOW) == -1)
		return err_set(err, errno, "cannot give %s to %s:%s", path, to->user.name, to->group.name);
	return install_set_time(dir, name, to) || err_set(err, errno, "cannot set the time of %s", path);
}
