/*
 * supervisor/netlink.c - rtnetlink by hand: build a request, send it, read answers until its end.
 *
 * Leaves to others what an address means (address.c). Runs in workers. Blocks while the kernel's
 * routing lock is held by another process.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "supervisor/netlink.h"

#define ANSWER_MAX 65536 /* one datagram of a dump; the kernel makes them 32 KiB at most */
#define DUMP_TRIES 10
#define ANSWER_S   5
#define LOWER_UP   0x10000 /* IFF_LOWER_UP of linux/if.h, which cannot stand beside net/if.h */

struct request {
	struct nlmsghdr head;
	union {
		struct ifaddrmsg address;
		struct ifinfomsg link;
	} body;
	char attrs[256];
};

/* One message of an answer. False with *err ends the reading. */
typedef bool message_f(void *arg, const struct nlmsghdr *, struct err *);

bool
netlink_open(struct netlink *ret, struct err *err)
{
	struct timeval patience = {.tv_sec = ANSWER_S};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd == -1)
		return err_set(err, errno, "cannot talk to the kernel about network addresses");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == -1) {
		err_set(err, errno,
		    "cannot limit the wait for the kernel's answer on network addresses");
		close(fd);
		return false;
	}
	ret->fd = fd;
	ret->seq = 0;
	return true;
}

void
netlink_close(struct netlink *nl)
{
	close(nl->fd);
	nl->fd = -1;
}

static void
request_begin(struct request *rq, uint16_t type, uint16_t flags, size_t body_len)
{
	memset(rq, 0, sizeof(*rq));
	rq->head.nlmsg_type = type;
	rq->head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	rq->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_len);
}

/* Room for all attributes of our few requests is reserved: more is a mistake of ours and is left
 * out. */
static void
request_attr(struct request *rq, uint16_t type, const void *value, size_t len)
{
	size_t at = NLMSG_ALIGN(rq->head.nlmsg_len);
	struct rtattr attr = {.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type};

	if (at + RTA_SPACE(len) > sizeof(*rq))
		return;
	memcpy((char *)rq + at, &attr, sizeof(attr));
	memcpy((char *)rq + at + RTA_LENGTH(0), value, len);
	rq->head.nlmsg_len = (uint32_t)(at + RTA_LENGTH(len));
}

static bool
request_send(struct netlink *nl, struct request *rq, struct err *err)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	rq->head.nlmsg_seq = ++nl->seq;
	if (sendto(nl->fd, rq, rq->head.nlmsg_len, 0, (const struct sockaddr *)&kernel,
		sizeof(kernel)) == -1)
		return err_set(err, errno, "cannot ask the kernel about network addresses");
	return true;
}

/*
 * The messages of one datagram. *done: the answer ends here; *torn: it changed while it was read.
 */
static bool
datagram_walk(const struct netlink *nl, const char *bytes, size_t len, message_f *visit, void *arg,
    bool *done, bool *torn, struct err *err)
{
	const struct nlmsghdr *msg;

	for (size_t at = 0; at + sizeof(*msg) <= len; at += NLMSG_ALIGN(msg->nlmsg_len)) {
		msg = (const struct nlmsghdr *)(const void *)(bytes + at);
		if (msg->nlmsg_len < sizeof(*msg) || msg->nlmsg_len > len - at)
			break;
		if (msg->nlmsg_seq != nl->seq)
			continue; /* of a request given up before */
		if ((msg->nlmsg_flags & NLM_F_DUMP_INTR) != 0)
			*torn = true;
		if (msg->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *answer = (const void *)(msg + 1);

			*done = true;
			if (msg->nlmsg_len < NLMSG_LENGTH(sizeof(*answer)))
				return err_set(
				    err, EPROTO, "the kernel's answer on network addresses is cut");
			if (answer->error != 0)
				return err_set(err, -answer->error, "the kernel refuses");
			return true;
		}
		if (msg->nlmsg_type == NLMSG_DONE) {
			*done = true;
			return true;
		}
		if (visit != NULL && !visit(arg, msg, err))
			return false;
		if ((msg->nlmsg_flags & NLM_F_MULTI) == 0 && visit != NULL)
			*done = true; /* a single answer has no closing message */
	}
	return true;
}

static bool
answer_read(struct netlink *nl, message_f *visit, void *arg, bool *torn, struct err *err)
{
	char *bytes = malloc(ANSWER_MAX);
	bool done = false, ok = bytes != NULL;

	if (!ok)
		err_set(err, ENOMEM, "no memory for the kernel's answer on network addresses");
	while (ok && !done) {
		ssize_t n = recv(nl->fd, bytes, ANSWER_MAX, MSG_TRUNC);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			ok = err_set(
			    err, ETIMEDOUT, "the kernel does not answer about network addresses");
		else if (n == -1)
			ok = err_set(
			    err, errno, "cannot read the kernel's answer on network addresses");
		else if (n > ANSWER_MAX)
			ok = err_set(
			    err, EMSGSIZE, "the kernel's answer on network addresses is too long");
		else
			ok = datagram_walk(nl, bytes, (size_t)n, visit, arg, &done, torn, err);
	}
	free(bytes);
	return ok;
}

static bool
link_parse(const struct nlmsghdr *msg, struct netlink_link *ret)
{
	const struct ifinfomsg *info = (const void *)(msg + 1);
	int left = (int)msg->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*info));
	bool mac = false;

	if (msg->nlmsg_type != RTM_NEWLINK || left < 0)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->index = info->ifi_index;
	ret->up = (info->ifi_flags & IFF_UP) != 0;
	ret->carrier = (info->ifi_flags & LOWER_UP) != 0;
	for (const struct rtattr *attr = IFLA_RTA(info); RTA_OK(attr, left);
	     attr = RTA_NEXT(attr, left)) {
		size_t len = RTA_PAYLOAD(attr);

		if (attr->rta_type == IFLA_IFNAME && len > 0 && len <= sizeof(ret->name))
			memcpy(ret->name, RTA_DATA(attr), len - 1);
		if (attr->rta_type == IFLA_ADDRESS && len == sizeof(ret->mac)) {
			memcpy(ret->mac, RTA_DATA(attr), len);
			mac = true;
		}
	}
	ret->neighbours =
	    mac && info->ifi_type == ARPHRD_ETHER && (info->ifi_flags & IFF_NOARP) == 0;
	return ret->name[0] != '\0';
}

static bool
address_parse(const struct nlmsghdr *msg, struct netlink_address *ret)
{
	const struct ifaddrmsg *info = (const void *)(msg + 1);
	int left = (int)msg->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*info));
	size_t want;
	bool local = false, found = false;

	if (msg->nlmsg_type != RTM_NEWADDR || left < 0)
		return false;
	if (info->ifa_family != AF_INET && info->ifa_family != AF_INET6)
		return false;
	want = info->ifa_family == AF_INET ? 4 : 16;
	memset(ret, 0, sizeof(*ret));
	ret->index = (int)info->ifa_index;
	ret->family = info->ifa_family;
	ret->prefix = info->ifa_prefixlen;
	ret->flags = info->ifa_flags;
	for (const struct rtattr *attr = IFA_RTA(info); RTA_OK(attr, left);
	     attr = RTA_NEXT(attr, left)) {
		size_t len = RTA_PAYLOAD(attr);

		/* on a point-to-point link ADDRESS is the other end and LOCAL is ours */
		if (len == want &&
		    (attr->rta_type == IFA_LOCAL || (attr->rta_type == IFA_ADDRESS && !local))) {
			memcpy(ret->bytes, RTA_DATA(attr), len);
			local = attr->rta_type == IFA_LOCAL;
			found = true;
		}
		if (attr->rta_type == IFA_FLAGS && len == sizeof(ret->flags))
			memcpy(&ret->flags, RTA_DATA(attr), len);
	}
	return found;
}

static bool
link_visit(void *arg, const struct nlmsghdr *msg, struct err *err)
{
	struct netlink_links *list = arg;
	struct netlink_link link, *more;

	if (!link_parse(msg, &link))
		return true;
	more = realloc(list->item, (list->len + 1) * sizeof(*more));
	if (more == NULL)
		return err_set(err, ENOMEM, "no memory for the list of interfaces");
	list->item = more;
	list->item[list->len++] = link;
	return true;
}

static bool
address_visit(void *arg, const struct nlmsghdr *msg, struct err *err)
{
	struct netlink_addresses *list = arg;
	struct netlink_address address, *more;

	if (!address_parse(msg, &address))
		return true;
	more = realloc(list->item, (list->len + 1) * sizeof(*more));
	if (more == NULL)
		return err_set(err, ENOMEM, "no memory for the list of addresses");
	list->item = more;
	list->item[list->len++] = address;
	return true;
}

bool
netlink_link(struct netlink *nl, const char *name, struct netlink_link *ret, struct err *err)
{
	struct netlink_links list = {NULL, 0};
	struct request rq;
	struct err why;
	bool torn, ok;

	if (strlen(name) >= IF_NAMESIZE)
		return err_set(err, ENODEV, "interface %s", name);
	request_begin(&rq, RTM_GETLINK, 0, sizeof(rq.body.link));
	request_attr(&rq, IFLA_IFNAME, name, strlen(name) + 1);
	ok = request_send(nl, &rq, err);
	if (ok && !answer_read(nl, link_visit, &list, &torn, &why))
		ok = err_set(err, why.sys, "interface %s", name);
	if (ok && list.len != 1)
		ok = err_set(err, EPROTO, "interface %s", name);
	if (ok)
		*ret = list.item[0];
	free(list.item);
	return ok;
}

bool
netlink_links(struct netlink *nl, struct netlink_links *ret, struct err *err)
{
	for (int try = 0; try < DUMP_TRIES; try++) {
		struct netlink_links list = {NULL, 0};
		struct request rq;
		bool torn = false;

		request_begin(&rq, RTM_GETLINK, NLM_F_DUMP, sizeof(rq.body.link));
		if (!request_send(nl, &rq, err) ||
		    !answer_read(nl, link_visit, &list, &torn, err)) {
			free(list.item);
			return false;
		}
		if (!torn) {
			*ret = list;
			return true;
		}
		free(list.item);
	}
	return err_set(err, EAGAIN, "the list of interfaces changes faster than it can be read");
}

bool
netlink_addresses(struct netlink *nl, struct netlink_addresses *ret, struct err *err)
{
	for (int try = 0; try < DUMP_TRIES; try++) {
		struct netlink_addresses list = {NULL, 0};
		struct request rq;
		bool torn = false;

		request_begin(&rq, RTM_GETADDR, NLM_F_DUMP, sizeof(rq.body.address));
		rq.body.address.ifa_family = AF_UNSPEC;
		if (!request_send(nl, &rq, err) ||
		    !answer_read(nl, address_visit, &list, &torn, err)) {
			free(list.item);
			return false;
		}
		if (!torn) {
			*ret = list;
			return true;
		}
		free(list.item);
	}
	return err_set(err, EAGAIN, "the list of addresses changes faster than it can be read");
}

static bool
address_request(struct netlink *nl, uint16_t type, uint16_t flags, const struct netlink_address *a,
    struct err *err)
{
	size_t len = a->family == AF_INET ? 4 : 16;
	struct request rq;
	bool torn;

	request_begin(&rq, type, (uint16_t)(NLM_F_ACK | flags), sizeof(rq.body.address));
	rq.body.address.ifa_family = (uint8_t)a->family;
	rq.body.address.ifa_prefixlen = a->prefix;
	rq.body.address.ifa_index = (uint32_t)a->index;
	request_attr(&rq, IFA_LOCAL, a->bytes, len);
	request_attr(&rq, IFA_ADDRESS, a->bytes, len);
	if (type == RTM_NEWADDR) {
		rq.body.address.ifa_flags = (uint8_t)a->flags;
		request_attr(&rq, IFA_FLAGS, &a->flags, sizeof(a->flags));
		if (a->family == AF_INET && a->prefix < 31) {
			uint8_t all[4];

			for (int i = 0; i < 4; i++) {
				int host =
				    32 - a->prefix - 8 * (3 - i); /* host bits in this byte */

				host = host < 0 ? 0 : host > 8 ? 8 : host;
				all[i] = (uint8_t)(a->bytes[i] | ((1 << host) - 1));
			}
			request_attr(&rq, IFA_BROADCAST, all, sizeof(all));
		}
	}
	return request_send(nl, &rq, err) && answer_read(nl, NULL, NULL, &torn, err);
}

bool
netlink_address_add(struct netlink *nl, const struct netlink_address *a, struct err *err)
{
	return address_request(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, a, err);
}

bool
netlink_address_delete(struct netlink *nl, const struct netlink_address *a, struct err *err)
{
	return address_request(nl, RTM_DELADDR, 0, a, err);
}
