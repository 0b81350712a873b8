/*
 * supervisor/holders_socket.c - Unix sockets bound on a file system, by sock_diag(7).
 *
 * /proc/net/unix would name only the path as it was bound, which may be relative to a directory
 * nobody knows any more; the diag interface gives the device. Runs in workers; the kernel answers
 * at once.
 */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "supervisor/holders_impl.h"

/* The kernel's own dev_t: 12 bits major, 20 bits minor. */
#define KERNEL_MAJOR(dev) ((dev) >> 20)
#define KERNEL_MINOR(dev) ((dev)&0xFFFFFu)

static void
socket_learn(dev_t dev, struct nlmsghdr *h, struct holders_sockets *ret)
{
	struct unix_diag_msg *msg = NLMSG_DATA(h);
	int left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(*msg)));
	struct holders_socket s = {.inode = msg->udiag_ino}, *grown;
	bool there = false;

	for (struct rtattr *a = (struct rtattr *)(msg + 1); RTA_OK(a, left);
	     a = RTA_NEXT(a, left)) {
		size_t len = RTA_PAYLOAD(a);

		if (a->rta_type == UNIX_DIAG_VFS && len >= sizeof(struct unix_diag_vfs)) {
			struct unix_diag_vfs vfs;

			memcpy(&vfs, RTA_DATA(a), sizeof(vfs));
			there = makedev(KERNEL_MAJOR(vfs.udiag_vfs_dev),
				    KERNEL_MINOR(vfs.udiag_vfs_dev)) == dev;
		} else if (a->rta_type == UNIX_DIAG_NAME) {
			memcpy(
			    s.path, RTA_DATA(a), len < sizeof(s.path) ? len : sizeof(s.path) - 1);
		}
	}
	if (!there)
		return;
	grown = realloc(ret->item, (ret->len + 1) * sizeof(s));
	if (grown == NULL)
		return;
	ret->item = grown;
	ret->item[ret->len++] = s;
}

void
holders_sockets_find(dev_t dev, struct holders_sockets *ret)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req req;
	} ask = {
	    .h = {.nlmsg_len = sizeof(ask),
		.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .req = {.sdiag_family = AF_UNIX,
		.udiag_states = ~0u,
		.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS},
	};
	alignas(struct nlmsghdr) char buf[32768];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	bool more = fd != -1 && send(fd, &ask, sizeof(ask), 0) == (ssize_t)sizeof(ask);

	*ret = (struct holders_sockets){0};
	while (more) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		size_t left = n > 0 ? (size_t)n : 0;

		more = n > 0;
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, left);
		     h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
				more = false;
			else if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY)
				socket_learn(dev, h, ret);
		}
	}
	if (fd != -1)
		close(fd);
}

const char *
holders_sockets_path(const struct holders_sockets *s, uint64_t inode)
{
	for (size_t i = 0; i < s->len; i++)
		if (s->item[i].inode == inode)
			return s->item[i].path;
	return NULL;
}

void
holders_sockets_free(struct holders_sockets *s)
{
	free(s->item);
	*s = (struct holders_sockets){0};
}
