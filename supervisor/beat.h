/*
 * supervisor/beat.h - the heartbeat message: packet <-> struct, authentication, freshness. Pure.
 *
 * One fixed, versioned layout (docs/protocol.md): big-endian, BEAT_LEN bytes, ended by an
 * HMAC-SHA-256 (RFC 2104) over everything before it. All requests are states, repeated in every beat
 * and idempotent, so a lost beat needs no retransmission.
 */
#ifndef SUPERVISOR_BEAT_H
#define SUPERVISOR_BEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/fact.h"

#define BEAT_VERSION 1
#define BEAT_BOOT_LEN 16

enum role { ROLE_JOINING, ROLE_STANDBY, ROLE_ACQUIRING, ROLE_ACTIVE, ROLE_RELEASING, ROLE_STOPPED, ROLE_FAILED, ROLE_COUNT };
const char *role_name(enum role);	/* the contract's words */

enum beat_request {		/* what the sender would like the other to do */
	BEAT_ASK_NOTHING,
	BEAT_ASK_TAKE,		/* I let go (see grant): please take the spool */
	BEAT_ASK_GIVE,		/* please hand over to me (switchover --to me, failback) */
	BEAT_ASK_FENCE,		/* I cannot let go: please fence me */
	BEAT_ASK_COUNT
};

enum beat_flag {
	BEAT_HEALTHY = 1,	/* can take over: storage reachable, mta prepared, interfaces up */
	BEAT_LEAVING = 2,	/* said goodbye: no more beats will come */
	BEAT_MAINTENANCE = 4,
	BEAT_GAVE_UP = 8	/* a service failed here beyond its restart budget (S12) */
};

struct beat {
	/* who and when */
	uint8_t		boot[BEAT_BOOT_LEN];	/* kernel's boot_id */
	uint64_t	session;		/* random, new at each start of the daemon: our nonce */
	uint64_t	echo;			/* the newest session heard from the receiver, 0 = none */
	uint64_t	seq;			/* grows by one each beat of a session, from 1 */
	uint64_t	mono_us;		/* sender's monotonic clock */
	uint64_t	echo_us;		/* mono_us of the newest beat heard from the receiver ... */
	uint32_t	echo_held_us;		/* ... and how long ago that was: round trip time as in NTP */
	uint64_t	wall_ms;		/* for people: clock offset */
	/* what */
	enum role	role;
	enum fact	holds;			/* the storage is mounted or promoted here */
	enum beat_request request;
	uint8_t		flags;			/* enum beat_flag */
	uint64_t	tenure;			/* newest tenure the sender knows of */
	uint64_t	released;		/* newest tenure that the sender itself held and let go, 0 = none */
	uint64_t	claim;			/* tenure the sender wants to begin, 0 = none */
	uint64_t	grant;			/* claim of the receiver that the sender agrees to, 0 = none */
	uint8_t		config[8];		/* first bytes of the configuration's digest */
	uint8_t		link;			/* index of the link it was sent on */
};

#define BEAT_LEN 192

/* Encode and sign for node *from* of the pair (pair name, node name go in as digests). */
void	beat_encode(const struct beat *, const char *pair, const char *from_node, const struct authkeys *,
	    uint8_t ret_bytes[BEAT_LEN]);

enum beat_verdict {
	BEAT_GOOD,
	BEAT_MALFORMED,		/* length, magic, value out of range */
	BEAT_VERSION_OTHER,	/* authentic-looking header of another protocol version */
	BEAT_FOREIGN,		/* another pair */
	BEAT_FORGED,		/* no key of ours fits */
	BEAT_REFLECTED,		/* our own */
	BEAT_STRANGER,		/* right pair and key, but not the peer's name */
	BEAT_REPLAYED,		/* sequence not newer than the newest of this session */
	BEAT_STALE,		/* does not echo our session: a recording, or the peer has not heard us yet */
	BEAT_VERDICT_COUNT
};
const char *beat_verdict_name(enum beat_verdict);	/* "malformed", ... for counters in status */

/* Check everything that needs no memory: all verdicts but REPLAYED and STALE. */
enum beat_verdict beat_decode(const uint8_t *bytes, size_t len, const char *pair, const char *self_node,
    const char *peer_node, const struct authkeys *, struct beat *ret);

/*
 * Memory about the peer's sessions. A beat counts as heard only when it echoes our present session:
 * so recordings of former sessions, ours or the peer's, never do (S9). A peer that restarted
 * echoes us one beat later. The first beat of a new peer session is STALE but noted, so that our
 * own next beat echoes it. While an established session is alive another session number replaces
 * it only by a beat that echoes our session.
 */
struct beat_memory {
	uint64_t	self;			/* our session */
	uint64_t	peer;			/* accepted session of the peer, 0 = none yet */
	uint64_t	seq;			/* newest accepted of it */
	uint64_t	noted;			/* newest session seen but not yet accepted */
	uint64_t	noted_seq;
	uint64_t	retired[8];		/* former sessions of the peer: never accepted again */
	size_t		retired_len;
};
/* Duplicates over several links: the same seq again on *another* link is BEAT_GOOD once per link
 * (bit mask inside) but *ret_news is false: it only proves that link. */
enum beat_verdict beat_fresh(struct beat_memory *, const struct beat *, bool *ret_news);
/* The session to echo in our next beat. */
uint64_t beat_echo(const struct beat_memory *);

#endif
