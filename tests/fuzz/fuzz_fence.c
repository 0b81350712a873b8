/*
 * tests/fuzz/fuzz_fence.c - any output of a fence agent: the first byte is its exit status, a NUL
 * parts stdout from stderr. Nothing is read out of bounds, "off" needs exit 2, what reaches a
 * report is one printable line, and no secret is in it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/fence_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
must(bool law)
{
	if (!law)
		abort();
}

static void
must_be_a_line(const char *sentence)
{
	must(strlen(sentence) < FENCE_SENTENCE_MAX);
	for (const char *c = sentence; *c != '\0'; c++)
		must(*c >= ' ' && *c <= '~');
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct conf_fence f = {
	    .options = {"ip=192.0.2.1", "password=hidden", "snmp_priv_passwd=\"hid\"",
		"token=den-more", "community=", "password_script=/etc/pw"},
	    .options_len = 6,
	};
	char sentence[FENCE_SENTENCE_MAX], *out, *errout;
	size_t out_len, before;
	enum fact power, offers;
	int code;

	if (len == 0)
		return 0;
	code = bytes[0] % 4;
	out = malloc(len);
	must(out != NULL);
	memcpy(out, bytes + 1, len - 1);
	out[len - 1] = '\0';
	out_len = strlen(out);
	errout = strdup(out_len + 1 < len ? out + out_len + 1 : "");
	must(errout != NULL);

	power = fence_answer_power(code, out, errout);
	must(power != FACT_NO || code == 2);
	must(power != FACT_YES || code == 0);
	offers = fence_metadata_offers(out, "status");
	must(offers == FACT_UNKNOWN || strstr(out, "</actions>") != NULL);
	must(offers != FACT_YES || strstr(out, "status") != NULL);

	before = strlen(out);
	fence_mask(out, &f);
	fence_mask(errout, &f);
	must(strlen(out) <= before);
	must(strstr(out, "hidden") == NULL && strstr(out, "den-more") == NULL);
	for (int failed = 0; failed < 2; failed++) {
		fence_sentence(sentence, out, errout, failed != 0);
		must_be_a_line(sentence);
		must(strstr(sentence, "hidden") == NULL);
	}
	free(out);
	free(errout);
	return 0;
}
