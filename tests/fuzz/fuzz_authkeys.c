/*
 * tests/fuzz/fuzz_authkeys.c - any bytes as a key file: refused with a mistake or taken, never
 * worse.
 */
#include <stdlib.h>

#include "common/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int weak = 0; weak < 2; weak++) {
		struct conf_mistakes m = {0};
		struct authkeys keys;
		bool ok = authkeys_parse((const char *)data, size, weak == 1, &keys, &m);

		if (ok != (m.len == 0))
			abort();
		if (ok && (keys.len == 0 || keys.len > AUTHKEYS_MAX || keys.sending >= keys.len))
			abort();
		for (size_t i = 0; ok && i < keys.len; i++)
			if (keys.key[i].len > sizeof(keys.key[i].key))
				abort();
		conf_mistakes_free(&m);
	}
	return 0;
}
