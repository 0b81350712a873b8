/*
 * tests/fuzz/fuzz_qmail_control.c - "NAME\n" and any bytes as the control file of that name, as users/assign and as aliases. Twice
 * the same; what is refused has a sentence, a line that there is, and a value without control characters; what is
 * taken has no NUL and no carriage return where qmail would read it. The rows of qmail's tables say no more than their source.
 */
#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/qmail_control.h"
#include "configsync/qmail_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
judge(bool ok, const struct control_fault *fault, const char *text, size_t len)
{
	unsigned int lines = 1;

	if (ok)
		return;
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	assert(fault->right[0] != '\0' && fault->line <= lines);
	for (const char *c = fault->value; *c != '\0'; c++)
		assert(isprint((unsigned char)*c));
}

/* No row says more than its source. */
static void
row(void *arg, const void *key, size_t key_len, const void *data, size_t data_len)
{
	const size_t *most = arg;

	assert(key_len + data_len <= *most && (key_len == 0 || ((const char *)key)[0] != '\n') && (data_len == 0 || data != NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const uint8_t *newline = memchr(bytes, '\n', len);
	size_t n = newline != NULL ? (size_t)(newline - bytes) : len;
	struct control_fault fault = { 0 }, again = { 0 };
	char name[64], *text;
	bool ok;

	snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), (const char *)bytes);
	if (newline != NULL)
		n++;
	/* of its very size, so that a byte too far is seen */
	text = malloc(len - n + (len == n));
	assert(text != NULL);
	memcpy(text, bytes + n, len - n);
	ok = control_check(name, text, len - n, &fault);
	assert(ok == control_check(name, text, len - n, &again) && memcmp(&fault, &again, sizeof fault) == 0);
	judge(ok, &fault, text, len - n);
	assert(!ok || control_known(name) || (memchr(text, '\0', len - n) == NULL && memchr(text, '\r', len - n) == NULL));
	ok = assign_check(text, len - n, &fault);
	judge(ok, &fault, text, len - n);
	assert(qmail_rows("qmail-newu", text, len - n, row, &(size_t){ len - n + 2 }) || !ok);	/* qmail-newu takes what we take */
	assert(qmail_rows("qmail-newmrh", text, len - n, row, &(size_t){ len - n + 2 }));
	judge(aliases_check(text, len - n, &fault), &fault, text, len - n);
	free(text);
	return 0;
}
