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

#define BEAT_MAGIC 0x4d505242u	/* "MPRB" */
#define BEAT_VERSION 1
#define BEAT_HEADER_LEN 8	/* magic, version, key id, length: the same in all versions to come */
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
	BEAT_GAVE_UP = 8,	/* a service failed here beyond its restart budget (S12) */
	BEAT_CAN_FENCE = 16,	/* could power the receiver off by itself: automatic, and the devices answer as far as is known */
	BEAT_UNSERVED = 32	/* owns the spool, and the mail program does not serve: stopped by the operator, down, or without an answer */
};

/* How a disk of the sender does; what a later release may add reads as unknown. */
enum beat_disk {
	BEAT_DISK_UNKNOWN,
	BEAT_DISK_GOOD,
	BEAT_DISK_SILENT,	/* what is asked of it does not come back */
	BEAT_DISK_BROKEN,	/* it says no: an error, or read-only */
	BEAT_DISK_COUNT
};
struct beat_health {
	enum beat_disk	how;
	uint16_t	for_s;		/* not good for so long, 0 = good or unknown */
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
	struct beat_health state_disk, spool_disk;	/* of the state directory; of the spool, or the way to it */
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
 * Memory about the peer's sessions (docs/protocol.md, "Freshness"). A beat counts as heard only when
 * it echoes our present session: so recordings of former sessions, ours or the peer's, never do (S9).
 * While no session of the peer is accepted we echo what we hear of it; once one is, nothing but that
 * one. Another session takes its place only by a beat that echoes a *newer beat of ours* than any
 * accepted so far: whoever died earlier cannot have heard that one, so no list of former sessions is
 * needed and any number of restarts on either side is safe.
 *
 * Start: all zero, self set (never 0).
 */
struct beat_memory {
	uint64_t	self;			/* our session */
	uint64_t	peer;			/* accepted session of the peer, 0 = none yet */
	uint64_t	seq;			/* newest accepted of it ... */
	uint64_t	link_seq[CONF_LINKS_MAX];	/* ... on each link: a slow one may lag behind */
	uint64_t	mono_us, heard_us;	/* of the newest accepted: its mono_us and when it came */
	uint64_t	echo_us;		/* newest beat of ours that any accepted beat echoed */
	uint64_t	noted;			/* session seen but not accepted, to be echoed next; 0 = none */
	uint64_t	noted_mono_us, noted_us;	/* as mono_us and heard_us */
	uint64_t	draw;			/* beats sent while none was accepted */
};
/*
 * Judge a decoded beat that came at now_us (our monotonic clock). A sequence number that came over
 * another link already is BEAT_GOOD once on each link, but *ret_news is false: it only proves the link
 * beat->link (which is authenticated; go by it rather than by the socket the beat came from).
 * *ret_news is untouched unless the verdict is BEAT_GOOD.
 */
enum beat_verdict beat_fresh(struct beat_memory *, const struct beat *, uint64_t now_us, bool *ret_news);
/*
 * Instead of beat_fresh() for one that was under way too long to be a sign of life. It is noted all the same while no session is accepted: two
 * nodes that met by late beats would else go on answering those, and each call the answers late for ever.
 */
void	beat_late(struct beat_memory *, const struct beat *, uint64_t now_us);
/* Fill echo, echo_us and echo_held_us of our next beat; once for each beat, not for each link. */
void	beat_echo(struct beat_memory *, uint64_t now_us, struct beat *ret);
/*
 * Round trip time by a beat that echoes us, which is also the most that the beat can have been under way;
 * false when it cannot be told (no echo of this session, or a clock stood still meanwhile).
 */
bool	beat_rtt_us(const struct beat_memory *, const struct beat *, uint64_t now_us, uint64_t *ret_us);

#endif
