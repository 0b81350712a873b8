/*
 * common/channel.h - a stream of messages between the two nodes of a pair, over TCP and TLS 1.3 with the pair's own keys.
 *
 * A *channel* is one node's end: it listens for the peer's connections or connects to it again and again. At any time it is *up*,
 * that is, has one proven stream to the peer, or not. A newer stream of the peer takes the place of an older one, which it must
 * have given up. *service* says what a channel is for ("config"); each service has a port, keys and a peer's end of its own.
 *
 * Who the peer is: it knows a secret of authkeys, as an external pre-shared key with (EC)DHE (RFC 8446 2.2, RFC 9257; why:
 * docs/adr/0006), and says inside of the encryption that it is the pair's other node and means us. No message is taken from it,
 * and none given to it, before both are so. No certificates, tickets, early data, older TLS.
 *
 * What is sent arrives whole, once and in order, or the stream ends. What was not answered when a stream ended may have
 * arrived or not: acknowledgements are the business of who uses this.
 *
 * Nothing here blocks; all runs in the loop's thread, all callbacks come from the loop but where stated. Without memory the process aborts.
 * SIGPIPE is set to be ignored where it was at its default. Built on libevent's OpenSSL bufferevents (channel_stream.c).
 */
#ifndef COMMON_CHANNEL_H
#define COMMON_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/loop.h"

#define CHANNEL_TYPE_MIN 16	/* types of messages are 16 to 255; those below are the channel's own */
#define CHANNEL_ADDRESSES_MAX 8

/* Why a stream ended, or never came to be. */
enum channel_why {
	CHANNEL_OURS,		/* channel_close() */
	CHANNEL_DROPPED,	/* channel_drop(): what the peer said made no sense to us */
	CHANNEL_BYE,		/* the peer closed it in order, and said why */
	CHANNEL_LOST,		/* reset, or ended without a word */
	CHANNEL_SILENT,		/* nothing heard for idle_ms */
	CHANNEL_REPLACED,	/* the peer made a newer one */
	CHANNEL_KEY_REMOVED,	/* its key is no longer accepted */
	CHANNEL_UNREACHABLE,	/* no TCP connection */
	CHANNEL_SLOW,		/* not proven within handshake_ms */
	CHANNEL_CROWDED,	/* the oldest of more than half_open_max unproven ones */
	CHANNEL_NOT_TLS,	/* some other protocol */
	CHANNEL_OLD_TLS,	/* TLS, but not 1.3 */
	CHANNEL_NO_KEY,		/* no pre-shared key offered */
	CHANNEL_UNKNOWN_KEY,	/* one side has no key of that number, or another service */
	CHANNEL_FORGED,		/* number known, secret (or the pair's name) differs */
	CHANNEL_BAD_TLS,	/* any other breach of TLS */
	CHANNEL_STRANGER,	/* has the key, but is not the peer, or does not mean us */
	CHANNEL_MALFORMED,	/* proven, but sends what is no message */
	CHANNEL_WHY_COUNT
};
const char	*channel_why_name(enum channel_why);	/* "unknown-key" */

/* Bounds; 0 stands for the default. Both nodes must have the same message_max. */
struct channel_limits {
	uint32_t	message_max;	/* bytes of one message: 1 MiB */
	uint32_t	queue_max;	/* bytes waiting to be sent: 4 MiB; made to hold two messages at least */
	uint32_t	half_open_max;	/* connections not (or no longer) proven: 64 */
	uint32_t	handshake_ms;	/* from connect or accept until proven, and for the last words: 5 s */
	uint32_t	keepalive_ms;	/* a sign of life after so long without a message: 2 s */
	uint32_t	idle_ms;	/* silence that ends a stream: 10 s */
	uint32_t	retry_min_ms;	/* connecting again: 100 ms, doubled up to ... */
	uint32_t	retry_max_ms;	/* ... 500 ms, as a peer that comes back has changes waiting; from the beginning after a stream that lasted so long */
	uint32_t	key_records;	/* new traffic keys after so many messages and blocks of 16 KiB sent: 2^20 (RFC 8446 5.5: before 2^24.5) */
};

struct channel;
struct channel_keys;

/*
 * All are required. In each of them the channel may be used, closed and freed. Sentences are the callback's to use until it
 * returns; they name the other end's address and hold printable ASCII only.
 */
struct channel_calls {
	void	(*up)(void *arg);
	/* A message; bytes until the return only. */
	void	(*received)(void *arg, uint8_t type, const uint8_t *bytes, size_t len);
	/* After channel_send() had said CHANNEL_FULL: half of the queue has gone. */
	void	(*drained)(void *arg);
	/* The stream that was up has ended. What waited to be sent is lost, but with CHANNEL_OURS. */
	void	(*down)(void *arg, enum channel_why, const char *sentence);
	/* One that never was up has ended. A stranger can make many of these: log with measure, they are counted (channel_status). */
	void	(*refused)(void *arg, enum channel_why, const char *sentence);
};

struct channel_address {
	const char	*address;	/* numeric IPv4 or IPv6, perhaps %interface */
	uint16_t	 port;		/* 0: any free one, see channel_port() (tests) */
};

struct channel_setup {
	const char			*pair, *service;	/* less than CONF_NAME_MAX bytes, printable ASCII; copied */
	const char			*node, *peer;		/* names of this node and of the other one; likewise */
	struct channel_address		 at[CHANNEL_ADDRESSES_MAX];	/* listen: on all of them; connect: the peer's, in turn */
	size_t				 at_len;
	const struct authkeys		*keys;			/* copied as derived keys; their numbers differ */
	const struct channel_keys	*derived;		/* instead of keys, by channel_key_derive(): who has only these cannot sign beats */
	struct channel_limits		 limits;
	const struct channel_calls	*calls;			/* must stay */
	void				*arg;
};

/*
 * Begin. The first callback comes from the loop. False with *err: an address that is none, a port that is taken, a name
 * that is empty or too long, a key with too short a secret. An address that the node has not got yet is listened on all the same (IP_FREEBIND).
 */
bool	channel_listen(struct loop *, const struct channel_setup *, struct channel **ret, struct err *);
bool	channel_connect(struct loop *, const struct channel_setup *, struct channel **ret, struct err *);
void	channel_free(struct channel *);	/* at once, no callback, no last words; NULL is fine */

enum channel_sent { CHANNEL_DOWN, CHANNEL_FULL, CHANNEL_SENT };

/*
 * Queue one message (copied). SENT: it goes out in order, as long as the stream lasts. FULL: nothing was queued; drained()
 * or down() will follow. DOWN: no stream. More than message_max bytes or a type below CHANNEL_TYPE_MIN is a programmer's error.
 */
enum channel_sent channel_send(struct channel *, uint8_t type, const void *bytes, size_t len);

/*
 * Stop and go on receiving: what the peer sends then waits with the peer, and its silence is not judged. Ends with the
 * stream; of what had come already nothing more is given to received() until channel_resume().
 */
void	channel_pause(struct channel *);
void	channel_resume(struct channel *);

/*
 * End the stream that is up; the sentence travels to the peer as its reason. down() is called before this returns; a connector
 * connects again, a listener goes on listening. Nothing happens where none is up.
 */
void	channel_drop(struct channel *, const char *why);

/*
 * Send what is queued, say goodbye and end for good; no further stream, no further message. True: down(CHANNEL_OURS) will
 * come, when the peer has all of it and has closed too, or another reason when not within handshake_ms. False: none was up.
 */
bool	channel_close(struct channel *, const char *why);

/*
 * Take other keys. A stream lasts as long as its own key is among them; what is not proven yet is refused or tried again. False
 * with *err: the key that sends has too short a secret (channel_key.h); all stays as it was.
 */
bool	channel_keys(struct channel *, const struct authkeys *, struct err *);

#define CHANNEL_WHERE_MAX 80
#define CHANNEL_TEXT_MAX 400	/* of a sentence */
struct channel_status {
	bool		up;
	char		where[CHANNEL_WHERE_MAX];	/* the peer's end, "[::1]:4711"; "" where down */
	uint8_t		key;				/* number of the key that proved it */
	size_t		queued;				/* bytes that wait to be sent */
	size_t		held;				/* bytes received that wait for the rest or for channel_resume() */
	uint32_t	half_open;
	uint32_t	key_updates;			/* of the stream that is up */
	uint64_t	streams;			/* that have been up */
	uint64_t	ended[CHANNEL_WHY_COUNT];	/* of all connections */
	enum channel_why last_why;			/* of the newest end */
	char		last[CHANNEL_TEXT_MAX];		/* its sentence, "" none yet */
};
void		channel_status(const struct channel *, struct channel_status *);
uint16_t	channel_port(const struct channel *, size_t at);	/* that a listener has at its address number at */

#endif
