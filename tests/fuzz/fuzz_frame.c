/*
 * tests/fuzz/fuzz_frame.c - any bytes on a serial line: nothing is read or written out of bounds,
 * what is framed comes back whole, and a frame after any noise is found.
 */
#include <stdlib.h>
#include <string.h>

#include "supervisor/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
must(bool law)
{
	if (!law)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct link_deframe *d = calloc(1, sizeof(*d));
	uint8_t out[2 * (LINK_DATAGRAM_MAX + 2) + 2];
	size_t payload = len < LINK_DATAGRAM_MAX ? len : LINK_DATAGRAM_MAX, framed, got = 0;
	bool whole = false;

	for (size_t i = 0; i < len; i++)
		if (link_deframe(d, bytes[i], &got))
			must(got >= 1 && got <= LINK_DATAGRAM_MAX);
	framed = link_frame(bytes, payload, out, sizeof(out));
	must((framed == 0) == (payload == 0));
	for (size_t i = 0; i < framed; i++)
		whole = link_deframe(d, out[i], &got) || whole;
	if (framed > 0)
		must(whole && got == payload && memcmp(d->buf, bytes, payload) == 0);
	free(d);
	return 0;
}
