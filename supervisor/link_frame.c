/*
 * supervisor/link_frame.c - messages on a line that carries only bytes: HDLC-like framing.
 *
 * Delimiters and escapes as in RFC 1662, CRC-16/X.25 behind the payload, low byte first. The CRC
 * finds line noise; forgery is found by the message's own MAC. Pure; nothing blocks.
 */
#include "supervisor/link.h"

#define DELIMITER 0x7e
#define ESCAPE 0x7d
#define ESCAPE_BIT 0x20
#define CRC_LEN 2

static uint16_t
crc16(const uint8_t *bytes, size_t len)
{
	uint16_t crc = 0xffff;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0x8408 : crc >> 1);
	}
	return (uint16_t)~crc;
}

/* XON and XOFF too: something between the nodes may still heed them although we do not. */
static bool
must_escape(uint8_t byte)
{
	return byte == DELIMITER || byte == ESCAPE || byte == 0x11 || byte == 0x13;
}

size_t
link_frame(const uint8_t *bytes, size_t len, uint8_t *out, size_t out_size)
{
	uint16_t crc = crc16(bytes, len);
	size_t at = 0;

	if (len == 0 || len > LINK_DATAGRAM_MAX || out_size < 2)
		return 0;
	out[at++] = DELIMITER;		/* ends whatever noise came before */
	for (size_t i = 0; i < len + CRC_LEN; i++) {
		uint8_t byte = i < len ? bytes[i] : (uint8_t)(i == len ? crc : crc >> 8);
		size_t need = must_escape(byte) ? 2 : 1;

		if (out_size - at < need + 1)
			return 0;
		if (need == 2) {
			out[at++] = ESCAPE;
			byte ^= ESCAPE_BIT;
		}
		out[at++] = byte;
	}
	out[at++] = DELIMITER;
	return at;
}

/* A delimiter came: is what stands in the buffer a whole message? */
static bool
frame_ended(struct link_deframe *d, size_t *ret_len)
{
	size_t len = d->len;
	bool cut = d->escaped, noise = d->skipping;

	d->len = 0;
	d->escaped = false;
	d->skipping = false;
	if (noise || (len == 0 && !cut))	/* counted already; or two delimiters in a row */
		return false;
	if (cut || len <= CRC_LEN ||
	    crc16(d->buf, len - CRC_LEN) != (uint16_t)(d->buf[len - 2] | d->buf[len - 1] << 8)) {
		d->bad++;
		return false;
	}
	*ret_len = len - CRC_LEN;
	return true;
}

bool
link_deframe(struct link_deframe *d, uint8_t byte, size_t *ret_len)
{
	if (byte == DELIMITER)
		return frame_ended(d, ret_len);
	if (d->skipping)
		return false;
	if (byte == ESCAPE && !d->escaped) {
		d->escaped = true;
		return false;
	}
	if (d->len == sizeof(d->buf)) {
		d->bad++;
		d->skipping = true;
		return false;
	}
	d->buf[d->len++] = d->escaped ? byte ^ ESCAPE_BIT : byte;
	d->escaped = false;
	return false;
}
