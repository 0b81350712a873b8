/*
 * common/zstd.c - Zstandard in one call each way.
 */
#include "common/zstd.h"

#include <stdlib.h>
#include <zstd.h>

#define LEVEL 1		/* configuration is text: the higher levels save a few more percent for many times the time */

uint8_t *
zstd_compress(const void *bytes, size_t len, size_t *ret_len)
{
	uint8_t *made;
	size_t made_len;

	if (len < 2 || (made = malloc(len - 1)) == NULL)
		return NULL;
	made_len = ZSTD_compress(made, len - 1, bytes, len, LEVEL);
	if (ZSTD_isError(made_len)) {	/* no room: it would not be shorter */
		free(made);
		return NULL;
	}
	*ret_len = made_len;
	return made;
}

bool
zstd_expand(const void *bytes, size_t len, uint8_t *plain, size_t plain_len, struct err *err)
{
	size_t frame = ZSTD_findFrameCompressedSize(bytes, len), had;

	if (ZSTD_isError(frame))
		return err_set(err, 0, "%zu bytes that should be compressed: %s", len, ZSTD_getErrorName(frame));
	if (frame != len)
		return err_set(err, 0, "%zu bytes behind %zu compressed ones", len - frame, frame);
	had = ZSTD_decompress(plain, plain_len, bytes, len);
	if (ZSTD_isError(had))
		return err_set(err, 0, "%zu compressed bytes that should hold %zu: %s", len, plain_len, ZSTD_getErrorName(had));
	if (had != plain_len)
		return err_set(err, 0, "%zu compressed bytes that should hold %zu hold %zu", len, plain_len, had);
	return true;
}
