/*
 * supervisor/beat.c - the bytes of a heartbeat message and its authentication.
 *
 * Layout and order of the checks: docs/protocol.md. Pure: knows no socket, clock or memory; whether
 * an authentic beat is also a fresh one is for beat_memory.c. Runs in mailpaird; nothing blocks.
 */
#include "supervisor/beat.h"

#include <assert.h>
#include <string.h>

#define NAME_LEN 8		/* bytes of a name's digest that are sent */
#define AT_PAIR 8
#define AT_SENDER 16
#define AT_BODY 24
#define AT_RESERVED 143
#define AT_MAC (BEAT_LEN - DIGEST_LEN)

#define FLAGS_KNOWN (BEAT_HEALTHY | BEAT_LEAVING | BEAT_MAINTENANCE | BEAT_GAVE_UP | BEAT_CAN_FENCE | BEAT_UNSERVED)

static const char *const role_names[ROLE_COUNT] = {
	[ROLE_JOINING] = "joining",	[ROLE_STANDBY] = "standby",
	[ROLE_ACQUIRING] = "acquiring",	[ROLE_ACTIVE] = "active",
	[ROLE_RELEASING] = "releasing",	[ROLE_STOPPED] = "stopped",
	[ROLE_FAILED] = "failed",
};

static const char *const verdict_names[BEAT_VERDICT_COUNT] = {
	[BEAT_GOOD] = "good",		[BEAT_MALFORMED] = "malformed",
	[BEAT_VERSION_OTHER] = "other-version",	[BEAT_FOREIGN] = "foreign",
	[BEAT_FORGED] = "forged",	[BEAT_REFLECTED] = "reflected",
	[BEAT_STRANGER] = "stranger",	[BEAT_REPLAYED] = "replayed",	[BEAT_STALE] = "stale",
};

const char *
role_name(enum role role)
{
	assert(role < ROLE_COUNT);
	return role_names[role];
}

const char *
beat_verdict_name(enum beat_verdict verdict)
{
	assert(verdict < BEAT_VERDICT_COUNT);
	return verdict_names[verdict];
}

static void
put(uint8_t **at, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		(*at)[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
	*at += len;
}

static uint64_t
get(const uint8_t **at, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | (*at)[i];
	*at += len;
	return value;
}

static void
put_health(uint8_t **at, const struct beat_health *h)
{
	put(at, h->how, 1);
	put(at, h->for_s, 2);
}

static struct beat_health
get_health(const uint8_t **at)
{
	uint64_t how = get(at, 1);
	struct beat_health h = { .for_s = (uint16_t)get(at, 2) };

	if (how < BEAT_DISK_COUNT)
		h.how = (enum beat_disk)how;
	return h;
}

/*
 * Names only address a message (the MAC proves it), so a short digest in place of 64 bytes will
 * do.
 */
static void
name_digest(const char *name, uint8_t ret[NAME_LEN])
{
	uint8_t digest[DIGEST_LEN];

	digest_sha256(name, strlen(name), digest);
	memcpy(ret, digest, NAME_LEN);
}

static bool
name_fits(const uint8_t *sent, const char *name)
{
	uint8_t digest[NAME_LEN];

	name_digest(name, digest);
	return memcmp(sent, digest, NAME_LEN) == 0;
}

void
beat_encode(const struct beat *beat, const char *pair, const char *from_node,
    const struct authkeys *keys, uint8_t ret_bytes[BEAT_LEN])
{
	uint8_t *at = ret_bytes;

	assert(keys->sending < keys->len);
	memset(ret_bytes, 0, BEAT_LEN);
	put(&at, BEAT_MAGIC, 4);
	put(&at, BEAT_VERSION, 1);
	put(&at, keys->key[keys->sending].id, 1);
	put(&at, BEAT_LEN, 2);
	name_digest(pair, ret_bytes + AT_PAIR);
	name_digest(from_node, ret_bytes + AT_SENDER);

	at = ret_bytes + AT_BODY;
	memcpy(at, beat->boot, BEAT_BOOT_LEN);
	at += BEAT_BOOT_LEN;
	put(&at, beat->session, 8);
	put(&at, beat->echo, 8);
	put(&at, beat->seq, 8);
	put(&at, beat->mono_us, 8);
	put(&at, beat->echo_us, 8);
	put(&at, beat->echo_held_us, 4);
	put(&at, beat->role, 1);
	put(&at, beat->holds, 1);
	put(&at, beat->request, 1);
	put(&at, beat->flags, 1);
	put(&at, beat->wall_ms, 8);
	put(&at, beat->tenure, 8);
	put(&at, beat->released, 8);
	put(&at, beat->claim, 8);
	put(&at, beat->grant, 8);
	memcpy(at, beat->config, sizeof(beat->config));
	at += sizeof(beat->config);
	put(&at, beat->link, 1);
	put_health(&at, &beat->state_disk);
	put_health(&at, &beat->spool_disk);
	assert(at == ret_bytes + AT_RESERVED);

	digest_hmac(keys->key[keys->sending].key, keys->key[keys->sending].len, ret_bytes, AT_MAC,
	    ret_bytes + AT_MAC);
}

/* Every key of that number is tried, so that a number may change its secret without a gap. */
static bool
mac_fits(const uint8_t *bytes, uint8_t id, const struct authkeys *keys)
{
	uint8_t mac[DIGEST_LEN];

	for (size_t i = 0; i < keys->len; i++) {
		if (keys->key[i].id != id)
			continue;
		digest_hmac(keys->key[i].key, keys->key[i].len, bytes, AT_MAC, mac);
		if (digest_equal(mac, bytes + AT_MAC, DIGEST_LEN))
			return true;
	}
	return false;
}

/*
 * Unknown flags are dropped and reserved bytes not looked at: a later minor release may use
 * them.
 */
static bool
body_read(const uint8_t *at, struct beat *ret)
{
	struct beat beat;
	uint64_t role, holds, request;

	memset(&beat, 0, sizeof(beat));
	memcpy(beat.boot, at, BEAT_BOOT_LEN);
	at += BEAT_BOOT_LEN;
	beat.session = get(&at, 8);
	beat.echo = get(&at, 8);
	beat.seq = get(&at, 8);
	beat.mono_us = get(&at, 8);
	beat.echo_us = get(&at, 8);
	beat.echo_held_us = (uint32_t)get(&at, 4);
	role = get(&at, 1);
	holds = get(&at, 1);
	request = get(&at, 1);
	beat.flags = (uint8_t)get(&at, 1) & FLAGS_KNOWN;
	beat.wall_ms = get(&at, 8);
	beat.tenure = get(&at, 8);
	beat.released = get(&at, 8);
	beat.claim = get(&at, 8);
	beat.grant = get(&at, 8);
	memcpy(beat.config, at, sizeof(beat.config));
	at += sizeof(beat.config);
	beat.link = (uint8_t)get(&at, 1);
	beat.state_disk = get_health(&at);
	beat.spool_disk = get_health(&at);

	if (role >= ROLE_COUNT || holds >= FACT_COUNT || request >= BEAT_ASK_COUNT ||
	    beat.link >= CONF_LINKS_MAX || beat.session == 0 || beat.seq == 0)
		return false;
	beat.role = (enum role)role;
	beat.holds = (enum fact)holds;
	beat.request = (enum beat_request)request;
	*ret = beat;
	return true;
}

/*
 * The MAC comes before whoever sent it and what is in it: of a forged message nothing else is said,
 * and no value of it is looked at.
 */
enum beat_verdict
beat_decode(const uint8_t *bytes, size_t len, const char *pair, const char *self_node,
    const char *peer_node, const struct authkeys *keys, struct beat *ret)
{
	const uint8_t *at = bytes;
	uint8_t version, key_id;

	if (len < BEAT_HEADER_LEN || get(&at, 4) != BEAT_MAGIC)
		return BEAT_MALFORMED;
	version = (uint8_t)get(&at, 1);
	key_id = (uint8_t)get(&at, 1);
	if (get(&at, 2) != len)
		return BEAT_MALFORMED;
	if (version != BEAT_VERSION)
		return BEAT_VERSION_OTHER;
	if (len != BEAT_LEN)
		return BEAT_MALFORMED;
	if (!name_fits(bytes + AT_PAIR, pair))
		return BEAT_FOREIGN;
	if (!mac_fits(bytes, key_id, keys))
		return BEAT_FORGED;
	if (name_fits(bytes + AT_SENDER, self_node))
		return BEAT_REFLECTED;
	if (!name_fits(bytes + AT_SENDER, peer_node))
		return BEAT_STRANGER;
	return body_read(bytes + AT_BODY, ret) ? BEAT_GOOD : BEAT_MALFORMED;
}
