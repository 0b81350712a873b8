/*
 * common/channel_wire.h - bytes of a channel inside of its encryption: frames, and the channel's own messages. Pure.
 *
 *     frame   u32 length of the body, big-endian; u8 type; body
 *     HELLO   u8 version; u32 message_max; pair, service, sender, addressee: each u8 length and as many bytes.
 *             Both sides send it first. What follows is ignored, so that a later release can say more.
 *     PING    nothing: a sign of life, without answer
 *     BYE     a sentence; the last frame
 */
#ifndef COMMON_CHANNEL_WIRE_H
#define COMMON_CHANNEL_WIRE_H

#include "common/conf.h"
#include "common/err.h"

#define CHANNEL_VERSION   1
#define CHANNEL_HEAD      5			/* bytes before a body */
#define CHANNEL_HELLO_MAX (5 + 4 * CONF_NAME_MAX)
#define CHANNEL_GREETING_MAX 1024		/* of any body taken before the names are checked */
#define CHANNEL_BYE_MAX   300			/* longer sentences are cut */

enum channel_own { CHANNEL_OWN_HELLO = 1, CHANNEL_OWN_PING = 2, CHANNEL_OWN_BYE = 3 };

struct channel_hello {
	uint8_t		version;
	uint32_t	message_max;
	char		pair[CONF_NAME_MAX], service[CONF_NAME_MAX], node[CONF_NAME_MAX], peer[CONF_NAME_MAX];
};

void	channel_frame_head(uint8_t type, uint32_t body_len, uint8_t ret_head[CHANNEL_HEAD]);

/*
 * How long the frame is that begins with these len bytes, head included: CHANNEL_HEAD while that cannot be told. 0 with *err:
 * longer than the bound body_max, or type 0.
 */
size_t	channel_frame_need(const uint8_t *bytes, size_t len, uint32_t body_max, struct err *);

size_t	channel_hello_put(const struct channel_hello *, uint8_t out[CHANNEL_HELLO_MAX]);	/* its length */
bool	channel_hello_get(const uint8_t *body, size_t len, struct channel_hello *ret, struct err *);
/* Is that the peer, does it mean us, and can we speak to each other? */
bool	channel_hello_fits(const struct channel_hello *ours, const struct channel_hello *theirs, struct err *);

/* Foreign bytes for a sentence: what is not printable ASCII becomes '?'. Returns out. */
const char *channel_printable(const void *bytes, size_t len, char *out, size_t size);

#endif
