/*
 * common/channel_key.c - from secrets of authkeys to pre-shared keys of one service. Pure.
 */
#include "common/channel_key.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SALT "mailpair channel 1"

/* info of HKDF without its number. Returns its length. */
static size_t
info_put(const char *pair, const char *service, uint8_t out[4 + 2 * CONF_NAME_MAX])
{
	size_t pair_len = strlen(pair) + 1, service_len = strlen(service) + 1;

	assert(pair_len <= CONF_NAME_MAX && service_len <= CONF_NAME_MAX);
	memcpy(out, "psk", 4);
	memcpy(out + 4, pair, pair_len);
	memcpy(out + 4 + pair_len, service, service_len);
	return 4 + pair_len + service_len;
}

bool
channel_key_derive(const struct authkeys *keys, const char *pair, const char *service, struct channel_keys *ret, struct err *err)
{
	uint8_t info[4 + 2 * CONF_NAME_MAX + 2], extracted[DIGEST_LEN];
	size_t len = info_put(pair, service, info);
	struct channel_keys derived = { 0 };

	assert(keys->len > 0 && keys->sending < keys->len);
	if (keys->key[keys->sending].len < CHANNEL_SECRET_MIN)
		return err_set(err, 0, "key %u of authkeys has a secret of %zu bytes: right for the service %s are %d at least, from \"mailpair keygen\"",
		    keys->key[keys->sending].id, keys->key[keys->sending].len, service, CHANNEL_SECRET_MIN);
	for (size_t i = 0; i < keys->len; i++) {
		struct channel_key *key = &derived.key[derived.len];

		if (keys->key[i].len < CHANNEL_SECRET_MIN)
			continue;
		if (i == keys->sending)
			derived.sending = derived.len;
		derived.len++;
		info[len] = key->number = keys->key[i].id;
		info[len + 1] = 1;	/* HKDF's counter: one block is all we need */
		digest_hmac(SALT, strlen(SALT), keys->key[i].key, keys->key[i].len, extracted);
		digest_hmac(extracted, sizeof(extracted), info, len + 2, key->psk);
	}
	*ret = derived;
	explicit_bzero(extracted, sizeof(extracted));
	explicit_bzero(&derived, sizeof(derived));
	return true;
}

size_t
channel_identity_put(const char *service, uint8_t number, char out[CHANNEL_IDENTITY_MAX])
{
	return (size_t)snprintf(out, CHANNEL_IDENTITY_MAX, "mailpair:%s:%u", service, number);
}

uint8_t
channel_identity_get(const void *bytes, size_t len, const char *service)
{
	char right[CHANNEL_IDENTITY_MAX];

	for (uint8_t number = 1; number <= AUTHKEYS_MAX; number++)
		if (channel_identity_put(service, number, right) == len && memcmp(right, bytes, len) == 0)
			return number;
	return 0;
}
