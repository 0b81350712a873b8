/*
 * supervisor/link_carrier.c - see link_carrier.h. The only thread of mailpaird: it makes system calls only, takes no lock and
 * allocates nothing, so forking workers beside it is safe. Source: ethtool's "link detected" (ETHTOOL_GLINK).
 */
#include "supervisor/link_carrier.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>

#define NAMES_MAX 8
#define POLL_MS 20
#define STACK_BYTES (64 * 1024)

struct carrier_poll {
	char		name[NAMES_MAX][IFNAMSIZ];
	size_t		len;
	int		sock, news[2], stop[2];
	pthread_t	thread;
};

/* 1, 0, or -1 where the driver does not say. */
static int
carrier_of(int sock, const char *name)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GLINK };
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	ifr.ifr_data = (void *)&value;
	if (ioctl(sock, SIOCETHTOOL, &ifr) == -1)
		return -1;
	return value.data != 0;
}

static void *
ask_again_and_again(void *arg)
{
	struct carrier_poll *p = arg;
	struct pollfd stop = { .fd = p->stop[0], .events = POLLIN };
	int known[NAMES_MAX];

	for (size_t i = 0; i < p->len; i++)
		known[i] = carrier_of(p->sock, p->name[i]);
	while (poll(&stop, 1, POLL_MS) == 0 || (stop.revents == 0 && errno == EINTR)) {
		for (size_t i = 0; i < p->len; i++) {
			int is = carrier_of(p->sock, p->name[i]);
			uint8_t news = (uint8_t)(i << 1 | (is == 1));

			/* what cannot be written is asked again */
			if (is != -1 && is != known[i] && write(p->news[1], &news, 1) == 1)
				known[i] = is;
		}
	}
	return NULL;
}

static bool
thread_start(struct carrier_poll *p)
{
	pthread_attr_t attr;
	sigset_t all, before;
	bool ok;

	/* signals are for the loop */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ok = pthread_attr_init(&attr) == 0;
	if (ok) {
		pthread_attr_setstacksize(&attr, STACK_BYTES);
		ok = pthread_create(&p->thread, &attr, ask_again_and_again, p) == 0;
		pthread_attr_destroy(&attr);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ok;
}

static void
close_all(struct carrier_poll *p)
{
	const int fds[] = { p->sock, p->news[0], p->news[1], p->stop[0], p->stop[1] };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] != -1)
			close(fds[i]);
	}
	free(p);
}

struct carrier_poll *
carrier_poll_new(const char *const *ifnames, size_t len, struct err *err)
{
	struct carrier_poll *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		err_set(err, errno, "the carrier of direct links cannot be polled");
		return NULL;
	}
	p->news[0] = p->news[1] = p->stop[0] = p->stop[1] = -1;
	for (size_t i = 0; i < len && p->len < NAMES_MAX; i++) {
		strncpy(p->name[p->len], ifnames[i], IFNAMSIZ - 1);
		p->len++;
	}
	p->sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (p->sock == -1 || pipe2(p->news, O_CLOEXEC | O_NONBLOCK) == -1 || pipe2(p->stop, O_CLOEXEC) == -1 ||
	    !thread_start(p)) {
		err_set(err, errno, "the carrier of direct links cannot be polled");
		close_all(p);
		return NULL;
	}
	return p;
}

int
carrier_poll_fd(const struct carrier_poll *p)
{
	return p->news[0];
}

bool
carrier_poll_next(struct carrier_poll *p, size_t *ret_index, bool *ret_carrier)
{
	uint8_t news;

	if (read(p->news[0], &news, 1) != 1)
		return false;
	*ret_index = news >> 1;
	*ret_carrier = (news & 1) != 0;
	return true;
}

void
carrier_poll_free(struct carrier_poll *p)
{
	if (p == NULL)
		return;
	close(p->stop[1]);
	p->stop[1] = -1;
	pthread_join(p->thread, NULL);
	close_all(p);
}
