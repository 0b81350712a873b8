/*
 * tests/fuzz/fuzz_beat.c - any bytes as heartbeat messages: as they come, then addressed and signed
 * properly, since no fuzzer guesses a MAC; what is good must encode to the same fields again, and
 * the memory must keep its promises for any sequence of beats.
 */
#include <stdlib.h>
#include <string.h>

#include "supervisor/beat.h"

#define AT_MAC (BEAT_LEN - DIGEST_LEN)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
must(bool law)
{
	if (!law)
		abort();
}

static bool
same(const struct beat *a, const struct beat *b)
{
	return memcmp(a->boot, b->boot, BEAT_BOOT_LEN) == 0 && a->session == b->session &&
	    a->echo == b->echo && a->seq == b->seq && a->mono_us == b->mono_us &&
	    a->echo_us == b->echo_us && a->echo_held_us == b->echo_held_us &&
	    a->wall_ms == b->wall_ms && a->role == b->role && a->holds == b->holds &&
	    a->request == b->request && a->flags == b->flags && a->tenure == b->tenure &&
	    a->released == b->released && a->claim == b->claim && a->grant == b->grant &&
	    memcmp(a->config, b->config, sizeof(a->config)) == 0 && a->link == b->link &&
	    a->state_disk.how == b->state_disk.how && a->state_disk.for_s == b->state_disk.for_s &&
	    a->spool_disk.how == b->spool_disk.how && a->spool_disk.for_s == b->spool_disk.for_s;
}

static void
remember(struct beat_memory *m, const struct beat *b)
{
	struct beat_memory before = *m;
	struct beat out = { .seq = 1 };
	uint64_t rtt;
	bool news = false;

	if (beat_fresh(m, b, 1000 + b->mono_us / 2, &news) == BEAT_GOOD) {
		must(b->echo == m->self && m->peer == b->session);
		must(!news || b->session != before.peer || b->seq > before.seq);
		must(before.peer == 0 || b->session == before.peer || b->echo_us > before.echo_us);
	} else {
		must(!news && m->peer == before.peer && m->seq == before.seq);
	}
	beat_echo(m, b->mono_us, &out);
	must(m->peer == 0 || out.echo == m->peer);
	(void)beat_rtt_us(m, b, b->wall_ms, &rtt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct authkeys keys = { .key = { { .id = 1, .key = "secret", .len = 6 } }, .len = 1 };
	struct beat_memory memory = { .self = 0x5e55 };
	struct beat beat, again;
	uint8_t packet[BEAT_LEN], copy[BEAT_LEN];

	(void)beat_decode(bytes, len, "mail", "b", "a", &keys, &beat);
	for (size_t from = 0; from < len; from += BEAT_LEN) {
		size_t part = len - from < BEAT_LEN ? len - from : BEAT_LEN;

		/* a proper header around the fuzzer's body */
		memset(&beat, 0, sizeof(beat));
		beat_encode(&beat, "mail", "a", &keys, packet);
		if (part > 24)
			memcpy(packet + 24, bytes + from + 24, part - 24);
		digest_hmac("secret", 6, packet, AT_MAC, packet + AT_MAC);
		if (beat_decode(packet, BEAT_LEN, "mail", "b", "a", &keys, &beat) != BEAT_GOOD)
			continue;
		beat_encode(&beat, "mail", "a", &keys, copy);
		must(beat_decode(copy, BEAT_LEN, "mail", "b", "a", &keys, &again) == BEAT_GOOD);
		must(same(&beat, &again));
		if (beat.seq % 2 == 0)		/* echoes of us are too rare to be guessed */
			beat.echo = memory.self;
		remember(&memory, &beat);
	}
	return 0;
}
