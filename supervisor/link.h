/*
 * supervisor/link.h - heartbeat links: several paths for the same beats. Knows bytes, not their
 * meaning. Transports are drivers; the simulator brings its own.
 *
 * Nothing here blocks: all descriptors are non-blocking, what cannot be sent at once is dropped and
 * counted (the next beat says the same). Addresses are numeric: no name look-up ever happens.
 */
#ifndef SUPERVISOR_LINK_H
#define SUPERVISOR_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/fact.h"
#include "common/loop.h"

#define LINK_DATAGRAM_MAX 512

enum link_hint {
	LINK_HINT_CARRIER_LOST,		/* a direct cable has no carrier any more */
	LINK_HINT_CARRIER_BACK,
	LINK_HINT_UNREACHABLE,		/* "port unreachable": host lives, daemon does not */
	LINK_HINT_VANISHED,		/* the interface is gone or down here */
	LINK_HINT_COUNT
};
const char *link_hint_name(enum link_hint);

struct link;
struct link_events {
	void	(*received)(void *arg, struct link *, const uint8_t *bytes, size_t len);
	void	(*hint)(void *arg, struct link *, enum link_hint);
	void	*arg;
};

struct link_transport {
	const char *name;
	bool	(*open)(struct link *, struct err *);	/* may be called again after close */
	void	(*close)(struct link *);
	/* false: not sent (no buffer, no interface); err only for the log */
	bool	(*send)(struct link *, const uint8_t *bytes, size_t len, struct err *);
};

struct link {
	const struct conf_link		*conf;
	const struct link_transport	*transport;
	struct link_events		 events;
	struct loop			*loop;
	int				 self;		/* node index */
	int				 index;		/* in conf->link */
	bool				 open;
	char				 ifname[16];	/* goes through it; "" = not known */
	uint64_t			 retry_ms;	/* closed: not to be opened before */
	struct err			 trouble;	/* why it is closed, for status */
	void				*priv;		/* the transport's */
	uint64_t			 sent, send_failed, received;
	uint64_t			 dropped;	/* damaged frames; datagrams that the kernel dropped, as of the last send */
};

extern const struct link_transport link_udp;	/* unicast, multicast, broadcast; IPv4 and IPv6 */
extern const struct link_transport link_serial;

const struct link_transport *link_transport_for(enum conf_transport);

/*
 * Set up without opening. link_send() opens it when needed and tries again at most once a second,
 * so a cable or an interface may come later; nothing here is fatal.
 */
void	link_init(struct link *, struct loop *, const struct conf *, int index,
    const struct link_transport *, const struct link_events *);
bool	link_send(struct link *, uint64_t now_ms, const uint8_t *bytes, size_t len, struct err *);
/* Also from within its own callbacks, which the struct must outlive. */
void	link_fini(struct link *);

/*
 * For transports: hand up what came; the descriptor is of no use any more (link_send opens it
 * again).
 */
void	link_received(struct link *, const uint8_t *bytes, size_t len);
void	link_broken(struct link *, const struct err *why);

/*
 * Start and stop following carrier changes of all links' interfaces over rtnetlink (one socket).
 * The links must outlive the watch, and it must not be freed from within a hint. NULL on failure.
 */
struct link_watch;
struct link_watch *link_watch_new(struct loop *, struct link *const *links, size_t len,
    struct err *);
void	link_watch_free(struct link_watch *);

/*
 * Serial framing (pure): 0x7E delimiter, 0x7D escape as in HDLC (RFC 1662), CRC-16/X.25 behind
 * the payload. link_deframe eats one byte and resynchronises on the next delimiter after any
 * damage.
 */
struct link_deframe {
	uint8_t		buf[LINK_DATAGRAM_MAX + 2];
	size_t		len;
	bool		escaped, skipping;
	uint64_t	bad;		/* damaged frames so far */
};
/* Length of the frame; 0: does not fit. */
size_t	link_frame(const uint8_t *bytes, size_t len, uint8_t *out, size_t out_size);
/* true: a whole good frame of *ret_len bytes is in d->buf */
bool	link_deframe(struct link_deframe *d, uint8_t byte, size_t *ret_len);

#endif
