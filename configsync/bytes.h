/*
 * configsync/bytes.h - numbers, texts and blocks written one after the other, and read back strictly: for the binary forms of
 * manifests and messages. Numbers are big-endian. Pure.
 */
#ifndef CONFIGSYNC_BYTES_H
#define CONFIGSYNC_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begin with zeros; at is the caller's to free. count_only: nothing is kept, len grows all the same. */
struct bytes_out { uint8_t *at; size_t len, room; bool count_only; };

void	bytes_put(struct bytes_out *, uint64_t value, unsigned int len);
/* With its length before it in of_len bytes; 0: without. */
void	bytes_put_block(struct bytes_out *, const void *bytes, size_t len, unsigned int of_len);
void	bytes_put_text(struct bytes_out *, const char *text);	/* length (2), bytes */
/* A block whose length is known when it stands: 4 bytes are left free, and filled in by bytes_put_end(). */
size_t	bytes_put_begin(struct bytes_out *);
void	bytes_put_end(struct bytes_out *, size_t begin);

/* bad: what is wrong, NULL as long as nothing is. Reading goes on without effect then: zeros, "". */
struct bytes_in { const uint8_t *at; size_t left; const char *bad; };

uint64_t bytes_get(struct bytes_in *, unsigned int len);
/* Never NULL, also where bad is set: 32 zeros then. */
const uint8_t *bytes_get_block(struct bytes_in *, size_t len);
/* At least least and at most most bytes, no NUL among them, copied to buf of most + 1; else bad is *what*. Returns buf. */
const char *bytes_get_text(struct bytes_in *, size_t least, size_t most, char *buf, const char *what);

#endif
