/*
 * tests/fuzz/fuzz_control.c - any line at all into control_parse(): what it accepts lies inside the line, is
 * printable, and what it refuses has a reason.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/control.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_text(const char *text, const char *line, size_t len)
{
	assert(text >= line && text + strlen(text) <= line + len);
	for (; *text != '\0'; text++)
		assert((unsigned char)*text >= 0x20 && *text != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *line = malloc(len + 1);
	struct control_request request;
	struct err err = { 0, "" };

	assert(line != NULL);
	memcpy(line, data, len);
	line[len] = '\0';
	if (control_parse(line, &request, &err)) {
		assert(request.args <= CONTROL_ARGS_MAX);
		check_text(request.command, line, len);
		for (size_t i = 0; i < request.args; i++) {
			check_text(request.arg[i].key, line, len);
			check_text(request.arg[i].value, line, len);
			assert(control_arg(&request, request.arg[i].key) == request.arg[i].value);
		}
	} else {
		assert(err.text[0] != '\0');
	}
	free(line);
	return 0;
}
