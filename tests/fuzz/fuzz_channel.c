/*
 * tests/fuzz/fuzz_channel.c - any bytes inside of a channel: frames are taken one after the other as channel_stream.c does, and
 * greetings, identities and last words are read. Nothing is read out of bounds; what is a greeting says the same when written again.
 */
#include <stdlib.h>
#include <string.h>

#include "common/channel_key.h"
#include "common/channel_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
must(bool law)
{
	if (!law)
		abort();
}

static void
greeting(const uint8_t *body, size_t len)
{
	struct channel_hello hello, self;
	uint8_t again[CHANNEL_HELLO_MAX];
	struct err err;
	size_t put;

	if (!channel_hello_get(body, len, &hello, &err))
		return;
	put = channel_hello_put(&hello, again);
	must(put <= len && memcmp(again, body, put) == 0);
	must(!channel_hello_fits(&hello, &hello, &err));	/* nobody is his own peer */
	self = hello;
	memcpy(self.node, hello.peer, sizeof(self.node));
	memcpy(self.peer, hello.node, sizeof(self.peer));
	must(channel_hello_fits(&self, &hello, &err) == (strcmp(hello.node, hello.peer) != 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char text[CHANNEL_BYE_MAX + 1], identity[CHANNEL_IDENTITY_MAX];
	size_t at = 0;
	struct err err;

	while (at < len) {
		size_t need = channel_frame_need(bytes + at, len - at, CHANNEL_GREETING_MAX, &err);
		uint8_t *exact, number;

		if (need == 0 || need > len - at)
			break;
		must(need >= CHANNEL_HEAD && need <= CHANNEL_HEAD + CHANNEL_GREETING_MAX);
		exact = malloc(need - CHANNEL_HEAD + 1);	/* so that one byte too far is noticed */
		must(exact != NULL);
		memcpy(exact, bytes + at + CHANNEL_HEAD, need - CHANNEL_HEAD);
		greeting(exact, need - CHANNEL_HEAD);
		must(strlen(channel_printable(exact, need - CHANNEL_HEAD, text, sizeof(text))) <= CHANNEL_BYE_MAX);
		number = channel_identity_get(exact, need - CHANNEL_HEAD, "config");
		must(number == 0 || channel_identity_put("config", number, identity) == need - CHANNEL_HEAD);
		free(exact);
		at += need;
	}
	greeting(bytes, len);
	return 0;
}
