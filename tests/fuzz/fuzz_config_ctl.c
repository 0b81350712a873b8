/*
 * tests/fuzz/fuzz_config_ctl.c - any bytes as a question and as a line of an answer of config.sock: what is accepted lies inside of the text, what
 * is refused has a reason; and any text comes out of a line as it went in.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/ctl_priv.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char *
copy(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);

	assert(text != NULL);
	memcpy(text, data, len);
	text[len] = '\0';
	return text;
}

static void
question(const uint8_t *data, size_t len)
{
	char *text = copy(data, len);
	struct ctl_request q = { .command = NULL };
	struct err err = { 0, "" };

	if (ctl_parse(text, &q, &err)) {
		assert(q.args <= CTL_ARGS_MAX && q.command == text);
		for (size_t i = 0; i < q.args; i++) {
			assert(q.arg[i].key > text && q.arg[i].value + strlen(q.arg[i].value) <= text + len);
			assert(ctl_arg(&q, q.arg[i].key) != NULL);
		}
		ctl_request_free(&q);
	} else {
		assert(err.text[0] != '\0');
	}
	free(text);
}

static void
answer(const uint8_t *data, size_t len)
{
	char *text = copy(data, len);
	struct ctl_line line;
	struct err err = { 0, "" };

	if (ctl_line_parse(text, &line, &err)) {
		assert(line.kind == text && line.values <= CTL_VALUES_MAX);
		for (size_t i = 0; i < line.values; i++)
			assert(line.value[i].key > text && line.value[i].text + strlen(line.value[i].text) <= text + len);
	} else {
		assert(err.text[0] != '\0');
	}
	free(text);
}

static void
there_and_back(const uint8_t *data, size_t len)
{
	char *text = copy(data, len), *sent = malloc(3 * len + 16);
	struct ctl_line line;
	struct err err;
	size_t n;

	assert(sent != NULL);
	memcpy(sent, "row\tkey=", 8);
	n = 8 + ctl_encode(text, sent + 8);
	sent[n] = '\0';
	assert(strpbrk(sent + 8, "\n\t") == NULL);
	assert(ctl_line_parse(sent, &line, &err) && strcmp(ctl_value(&line, "key"), text) == 0);
	free(sent);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	question(data, len);
	answer(data, len);
	there_and_back(data, len);
	return 0;
}
