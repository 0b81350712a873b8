/*
 * common/channel_key.h - what a channel needs of a secret in authkeys: the pre-shared key for TLS, and the identity by which the
 * other side finds it. Pure.
 */
#ifndef COMMON_CHANNEL_KEY_H
#define COMMON_CHANNEL_KEY_H

#include "common/conf.h"

#define CHANNEL_IDENTITY_MAX (CONF_NAME_MAX + 16)

struct channel_key {
	uint8_t	number;			/* as in authkeys */
	uint8_t	psk[DIGEST_LEN];
};

struct channel_keys {
	struct channel_key	key[AUTHKEYS_MAX];
	size_t			len, sending;	/* sending: index */
};

#define CHANNEL_SECRET_MIN 8	/* bytes; shorter ones, and the "crc" of old that has none, are no secret at all */

/*
 * HKDF-SHA-256 (RFC 5869): salt "mailpair channel 1", input the secret, info "psk" NUL pair NUL service NUL number. So the key of
 * a channel says nothing about that of another pair or service, nor about the secret, which signs beats. Keys
 * with too short a secret are left out, whatever allow-weak-auth permits for beats; false with *err where the one that sends is such.
 */
bool	channel_key_derive(const struct authkeys *, const char *pair, const char *service, struct channel_keys *ret, struct err *);

/* "mailpair:config:2". It is sent in clear, so it says no more than what is needed. Returns its length. */
size_t	channel_identity_put(const char *service, uint8_t number, char out[CHANNEL_IDENTITY_MAX]);
/* The number, or 0 where it is no identity of that service. */
uint8_t	channel_identity_get(const void *bytes, size_t len, const char *service);

#endif
