/*
 * common/channel_wire.c - frames and the channel's own messages, to bytes and back. Fuzzed. Pure.
 */
#include "common/channel_wire.h"

#include <assert.h>
#include <string.h>

static void
u32_put(uint32_t value, uint8_t *out)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t
u32_get(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void
channel_frame_head(uint8_t type, uint32_t body_len, uint8_t ret_head[CHANNEL_HEAD])
{
	u32_put(body_len, ret_head);
	ret_head[4] = type;
}

size_t
channel_frame_need(const uint8_t *bytes, size_t len, uint32_t body_max, struct err *err)
{
	uint32_t body;

	if (len < CHANNEL_HEAD)
		return CHANNEL_HEAD;
	body = u32_get(bytes);
	if (bytes[4] == 0) {
		err_set(err, 0, "a message of type 0, which there is not");
		return 0;
	}
	if (body > body_max) {
		err_set(err, 0, "a message of type %u with %u bytes, where at most %u are right", bytes[4], body, body_max);
		return 0;
	}
	return CHANNEL_HEAD + (size_t)body;
}

static size_t
name_put(const char *name, uint8_t *out)
{
	size_t len = strlen(name);

	assert(len < CONF_NAME_MAX);
	out[0] = (uint8_t)len;
	memcpy(out + 1, name, len);
	return 1 + len;
}

size_t
channel_hello_put(const struct channel_hello *hello, uint8_t out[CHANNEL_HELLO_MAX])
{
	size_t at = 5;

	out[0] = hello->version;
	u32_put(hello->message_max, out + 1);
	at += name_put(hello->pair, out + at);
	at += name_put(hello->service, out + at);
	at += name_put(hello->node, out + at);
	at += name_put(hello->peer, out + at);
	return at;
}

/* A name at *at, which moves on. */
static bool
name_get(const uint8_t *body, size_t len, size_t *at, char ret[CONF_NAME_MAX])
{
	size_t name = *at < len ? body[*at] : 0;

	if (name == 0 || name >= CONF_NAME_MAX || len - *at - 1 < name)
		return false;
	for (size_t i = 0; i < name; i++)
		if (body[*at + 1 + i] <= ' ' || body[*at + 1 + i] > '~')
			return false;
	memcpy(ret, body + *at + 1, name);
	ret[name] = '\0';
	*at += 1 + name;
	return true;
}

bool
channel_hello_get(const uint8_t *body, size_t len, struct channel_hello *ret, struct err *err)
{
	struct channel_hello hello;
	size_t at = 5;

	if (len < at)
		return err_set(err, 0, "a greeting of %zu bytes is cut", len);
	hello.version = body[0];
	hello.message_max = u32_get(body + 1);
	if (hello.version != CHANNEL_VERSION)
		return err_set(err, 0, "it speaks version %u of the channel, this node version %d: install the same release on both",
		    hello.version, CHANNEL_VERSION);
	if (!name_get(body, len, &at, hello.pair) || !name_get(body, len, &at, hello.service) ||
	    !name_get(body, len, &at, hello.node) || !name_get(body, len, &at, hello.peer))
		return err_set(err, 0, "a greeting with a name that is none at byte %zu", at);
	*ret = hello;
	return true;
}

bool
channel_hello_fits(const struct channel_hello *ours, const struct channel_hello *theirs, struct err *err)
{
	if (strcmp(theirs->pair, ours->pair) != 0)
		return err_set(err, 0, "it belongs to the pair \"%s\", this node to \"%s\"", theirs->pair, ours->pair);
	if (strcmp(theirs->service, ours->service) != 0)
		return err_set(err, 0, "its service is \"%s\", ours \"%s\"", theirs->service, ours->service);
	if (strcmp(theirs->node, ours->node) == 0)
		return err_set(err, 0, "it says that it is \"%s\", as this node is: it reached itself, or both nodes have one name", ours->node);
	if (strcmp(theirs->node, ours->peer) != 0)
		return err_set(err, 0, "it says that it is \"%s\", the peer is \"%s\"", theirs->node, ours->peer);
	if (strcmp(theirs->peer, ours->node) != 0)
		return err_set(err, 0, "it wants to speak to \"%s\", this node is \"%s\"", theirs->peer, ours->node);
	if (theirs->message_max != ours->message_max)
		return err_set(err, 0, "its messages have up to %u bytes, ours up to %u: install the same release on both",
		    theirs->message_max, ours->message_max);
	return true;
}

const char *
channel_printable(const void *bytes, size_t len, char *out, size_t size)
{
	const uint8_t *from = bytes;
	size_t n = len < size - 1 ? len : size - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = from[i] >= ' ' && from[i] <= '~' ? (char)from[i] : '?';
	out[n] = '\0';
	return out;
}
