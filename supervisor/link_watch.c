/*
 * supervisor/link_watch.c - interfaces that lose their carrier, go down or vanish, as hints.
 *
 * One rtnetlink socket for all links. Keeps what it knows of *every* interface, since a link may
 * learn late through which one it goes. Hints are given for changes only, never for how things
 * stood at the start. Cables between the two nodes ("direct") are asked for their carrier by link_carrier.c as well, since
 * the kernel's own news come late. Runs in mailpaird's main process; the socket is non-blocking.
 */
#include "supervisor/link.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "common/log.h"
#include "supervisor/link_carrier.h"

#define READS_PER_WAKE_MAX 16
#define MESSAGE_MAX 32768

enum carrier { CARRIER_GONE, CARRIER_NONE, CARRIER_GOOD };

struct iface {
	int		 index;
	char		 name[IFNAMSIZ];
	enum carrier	 carrier;
	unsigned int	 survey;	/* the last one that saw it */
};

struct link_watch {
	int			 fd;
	struct loop_io		*io;
	struct link		*links[CONF_LINKS_MAX];
	bool			 told[CONF_LINKS_MAX];	/* a bad hint not taken back yet */
	size_t			 links_len;
	struct iface		*iface;
	size_t			 iface_len;
	unsigned int		 survey;	/* number of the last list that we asked for */
	bool			 lost;		/* messages were: ask for another list */
	bool			 surveying;
	struct carrier_poll	*poll;		/* NULL: no direct link with a named interface */
	struct loop_io		*poll_io;
	const char		*poll_name[CONF_LINKS_MAX];
	enum carrier		 poll_says[CONF_LINKS_MAX];	/* CARRIER_GONE: nothing yet */
	size_t			 poll_len;
	_Alignas(struct nlmsghdr) uint8_t message[MESSAGE_MAX];
};

/* What a change means for a link that goes through that interface; false: nothing. */
static bool
hint_of(const struct link *l, bool told, enum carrier was, enum carrier is, enum link_hint *ret)
{
	switch (is) {
	case CARRIER_GONE:
		*ret = LINK_HINT_VANISHED;
		return was != CARRIER_GONE;
	case CARRIER_NONE:
		/* behind a switch a lost carrier says nothing about the peer */
		*ret = LINK_HINT_CARRIER_LOST;
		return was == CARRIER_GOOD && l->conf->direct;
	case CARRIER_GOOD:
		*ret = LINK_HINT_CARRIER_BACK;
		return told;
	}
	return false;
}

static void
tell(struct link_watch *w, const char *ifname, enum carrier was, enum carrier is)
{
	for (size_t i = 0; i < w->links_len; i++) {
		struct link *l = w->links[i];
		enum link_hint hint;

		if (strcmp(l->ifname, ifname) != 0 || !hint_of(l, w->told[i], was, is, &hint))
			continue;
		w->told[i] = hint != LINK_HINT_CARRIER_BACK;
		l->events.hint(l->events.arg, l, hint);
	}
}

static struct iface *
iface_of(struct link_watch *w, int index)
{
	for (size_t i = 0; i < w->iface_len; i++)
		if (w->iface[i].index == index)
			return &w->iface[i];
	w->iface = realloc(w->iface, (w->iface_len + 1) * sizeof(*w->iface));
	assert(w->iface != NULL);
	w->iface[w->iface_len] = (struct iface){ .index = index, .carrier = CARRIER_GONE };
	return &w->iface[w->iface_len++];
}

static void
iface_gone(struct link_watch *w, int index)
{
	struct iface *iface = iface_of(w, index);
	struct iface was = *iface;

	*iface = w->iface[--w->iface_len];
	tell(w, was.name, was.carrier, CARRIER_GONE);
}

static void
iface_seen(struct link_watch *w, int index, const char *name, enum carrier is)
{
	struct iface *iface = iface_of(w, index);
	enum carrier was = iface->carrier;

	if (strcmp(iface->name, name) != 0) {
		if (iface->name[0] != '\0') {	/* renamed: nothing has its old name any more */
			iface_gone(w, index);
			iface = iface_of(w, index);
		}
		snprintf(iface->name, sizeof(iface->name), "%s", name);
		was = CARRIER_GONE;
	}
	iface->carrier = is;
	iface->survey = w->survey;
	tell(w, name, was, is);
}

/*
 * The kernel's news of an interface that is polled come late, and may speak of how it was before the poll's: once the poll
 * has said anything its word counts.
 */
static enum carrier
newest(const struct link_watch *w, const char *name, enum carrier told)
{
	for (size_t i = 0; i < w->poll_len; i++)
		if (strcmp(w->poll_name[i], name) == 0 && told != CARRIER_GONE && w->poll_says[i] != CARRIER_GONE)
			return w->poll_says[i];
	return told;
}

static void
link_message(struct link_watch *w, const struct nlmsghdr *h)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);
	char name[IFNAMSIZ] = "";
	enum carrier is;
	int len;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return;
	/* a bridge says in the same words that a port left it */
	if (info->ifi_family != AF_UNSPEC)
		return;
	len = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(*info)));
	for (const struct rtattr *a = IFLA_RTA(info); RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == IFLA_IFNAME)
			snprintf(name, sizeof(name), "%.*s", (int)RTA_PAYLOAD(a),
			    (const char *)RTA_DATA(a));
	if (h->nlmsg_type == RTM_DELLINK) {
		iface_gone(w, info->ifi_index);
		return;
	}
	if (!(info->ifi_flags & IFF_UP))
		is = CARRIER_GONE;
	else
		is = info->ifi_flags & IFF_LOWER_UP ? CARRIER_GOOD : CARRIER_NONE;
	if (name[0] != '\0')
		iface_seen(w, info->ifi_index, name, newest(w, name, is));
}

/* Ask for a list of all interfaces; the answer comes like any other message. */
static bool
survey(struct link_watch *w)
{
	struct {
		struct nlmsghdr		h;
		struct ifinfomsg	info;
	} ask = { .h = { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETLINK,
	    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = w->survey + 1 } };

	if (send(w->fd, &ask, sizeof(ask), 0) != (ssize_t)sizeof(ask))
		return false;
	w->survey++;
	w->surveying = true;
	w->lost = false;
	return true;
}

/* The list is whole: what is not on it went away while we were deaf. */
static void
survey_done(struct link_watch *w)
{
	w->surveying = false;
	for (size_t i = w->iface_len; i-- > 0;)
		if (w->iface[i].survey != w->survey)
			iface_gone(w, w->iface[i].index);
}

static void
watch_messages(struct link_watch *w, size_t len)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)w->message;

	for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		switch (h->nlmsg_type) {
		case RTM_NEWLINK:
		case RTM_DELLINK:
			link_message(w, h);
			break;
		case NLMSG_DONE:
			survey_done(w);
			break;
		case NLMSG_ERROR:
			w->surveying = false;
			w->lost = true;
			break;
		default:		/* the kernel's numbers, not ours */
			break;
		}
	}
}

static void
watch_readable(int fd, unsigned int ready, void *arg)
{
	struct link_watch *w = arg;

	(void)ready;
	for (int i = 0; i < READS_PER_WAKE_MAX; i++) {
		struct sockaddr_nl from = { .nl_pid = 0 };
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, w->message, sizeof(w->message), MSG_DONTWAIT | MSG_TRUNC,
		    (struct sockaddr *)&from, &from_len);

		if (n == -1 && errno != ENOBUFS)
			break;
		if (n == -1 || (size_t)n > sizeof(w->message))
			w->lost = true;
		else if (from.nl_pid == 0)	/* other processes may write to us, too */
			watch_messages(w, (size_t)n);
	}
	if (w->lost && !w->surveying)
		(void)survey(w);	/* if refused: again with the next message */
}

static struct iface *
iface_named(struct link_watch *w, const char *name)
{
	for (size_t i = 0; i < w->iface_len; i++)
		if (strcmp(w->iface[i].name, name) == 0)
			return &w->iface[i];
	return NULL;
}

/* The same news as rtnetlink's, only earlier: whichever comes second changes nothing. */
static void
poll_readable(int fd, unsigned int ready, void *arg)
{
	struct link_watch *w = arg;
	struct iface *iface;
	size_t i;
	bool good;

	(void)fd;
	(void)ready;
	while (carrier_poll_next(w->poll, &i, &good)) {
		w->poll_says[i] = good ? CARRIER_GOOD : CARRIER_NONE;
		iface = iface_named(w, w->poll_name[i]);
		if (iface != NULL && iface->carrier != CARRIER_GONE)
			iface_seen(w, iface->index, w->poll_name[i], w->poll_says[i]);
	}
}

static void
poll_start(struct link_watch *w, struct loop *loop)
{
	struct err err;

	for (size_t i = 0; i < w->links_len; i++)
		if (w->links[i]->conf->direct && w->links[i]->conf->interface != NULL)
			w->poll_name[w->poll_len++] = w->links[i]->conf->interface;
	if (w->poll_len == 0)
		return;
	w->poll = carrier_poll_new(w->poll_name, w->poll_len, &err);
	if (w->poll == NULL)
		log_warnx("%s: a lost carrier is noticed later", err.text);
	else
		w->poll_io = loop_io_new(loop, carrier_poll_fd(w->poll), LOOP_READ, poll_readable, w);
}

struct link_watch *
link_watch_new(struct loop *loop, struct link *const *links, size_t len, struct err *err)
{
	struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	struct link_watch *w = calloc(1, sizeof(*w));

	assert(w != NULL && len <= CONF_LINKS_MAX);
	w->links_len = len;
	for (size_t i = 0; i < len; i++)
		w->links[i] = links[i];
	w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (w->fd == -1 || bind(w->fd, (struct sockaddr *)&at, sizeof(at)) == -1 || !survey(w)) {
		err_set(err, errno, "cannot follow the carriers of this node's interfaces");
		if (w->fd != -1)
			close(w->fd);
		free(w);
		return NULL;
	}
	w->io = loop_io_new(loop, w->fd, LOOP_READ, watch_readable, w);
	poll_start(w, loop);
	return w;
}

void
link_watch_free(struct link_watch *w)
{
	if (w == NULL)
		return;
	loop_io_free(w->io);
	loop_io_free(w->poll_io);
	carrier_poll_free(w->poll);
	close(w->fd);
	free(w->iface);
	free(w);
}
