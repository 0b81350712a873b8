/*
 * tests/fuzz/fuzz_replay.c - any bytes as the lines of a recorded incident: a refusal has a reason, what is accepted reads the
 * same when it is written again, and every step gets a verdict that the table bears out.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
judge(const struct replay_step *step)
{
	struct replay_answer a;

	replay_judge(step, &a);
	assert(a.sames <= REPLAY_ROWS_MAX && a.others <= REPLAY_ROWS_MAX);
	assert((a.verdict == REPLAY_UNKNOWN) == (a.unknown[0] != '\0'));
	assert((a.verdict == REPLAY_SAME) == (a.sames > 0));
	for (size_t i = 0; i < a.sames; i++)
		assert(a.same[i] != NULL);
	for (size_t i = 0; i < a.others; i++)
		assert(a.other[i] != NULL);
}

static void
one_line(const char *line)
{
	static char again[2048];
	struct replay_step step, second;
	struct err err = { .text = "" };
	bool state = false;

	if (!replay_parse(line, &step, &state, &err)) {
		assert(err.text[0] != '\0');
		return;
	}
	if (!state)
		return;
	assert(replay_line(&step, again, sizeof(again)) < sizeof(again));
	assert(replay_parse(again, &second, &state, &err) && state);
	assert(strcmp(step.at, second.at) == 0 && strcmp(step.event, second.event) == 0 && strcmp(step.from, second.from) == 0 &&
	    strcmp(step.to, second.to) == 0);
	judge(&step);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *text = malloc(len + 1), *save = NULL;

	if (text == NULL)
		return 0;
	memcpy(text, bytes, len);
	text[len] = '\0';
	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		one_line(line);
	free(text);
	return 0;
}
