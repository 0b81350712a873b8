/*
 * supervisor/fence_answer.c - judge the answers of fence agents, and make what they print fit for
 * reports: one line, printable, no secrets.
 *
 * Leaves calling them to fence_agent.c and what follows to fence.c. Pure; blocks nowhere.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "supervisor/fence_answer.h"

/* A line that is this and nothing else but blanks around it, in any case. */
static bool
has_line(const char *text, const char *want)
{
	size_t want_len = strlen(want), len;

	for (const char *line = text; *line != '\0'; line += len + (line[len] == '\n')) {
		size_t from = 0, to;

		to = len = strcspn(line, "\n");
		while (from < to && isspace((unsigned char)line[from]))
			from++;
		while (to > from && isspace((unsigned char)line[to - 1]))
			to--;
		if (to - from == want_len && strncasecmp(line + from, want, want_len) == 0)
			return true;
	}
	return false;
}

enum fact
fence_answer_power(int code, const char *out, const char *errout)
{
	bool on = has_line(out, "Status: ON"), off = has_line(out, "Status: OFF");

	if (code == 0)
		return off ? FACT_UNKNOWN : FACT_YES;
	if (code != 2 || on)
		return FACT_UNKNOWN;
	return off || errout[strspn(errout, " \t\r\n")] == '\0' ? FACT_NO : FACT_UNKNOWN;
}

/*
 * Position behind the next "<action" element's name attribute, or NULL; the value is *ret_len long.
 */
static const char *
next_action(const char *at, const char *end, size_t *ret_len)
{
	while ((at = strstr(at, "<action")) != NULL && at < end) {
		const char *close = strchr(at, '>'), *name;

		at += strlen("<action");
		if (close == NULL || close > end)
			return NULL;
		if (!isspace((unsigned char)*at))
			continue; /* "<actions>" itself */
		for (name = at; name + 6 < close; name++) {
			const char *quote;

			if (!isspace((unsigned char)name[0]) || strncmp(name + 1, "name=", 5) != 0)
				continue;
			quote = name + 6;
			if (*quote != '"' && *quote != '\'')
				continue;
			for (const char *to = quote + 1; to < close; to++) {
				if (*to != *quote)
					continue;
				*ret_len = (size_t)(to - quote - 1);
				return quote + 1;
			}
		}
	}
	return NULL;
}

enum fact
fence_metadata_offers(const char *xml, const char *action)
{
	const char *begin = strstr(xml, "<actions>"), *end, *at;
	enum fact offers = FACT_UNKNOWN;
	size_t len;

	end = begin == NULL ? NULL : strstr(begin, "</actions>");
	if (end == NULL)
		return FACT_UNKNOWN;
	for (at = begin; (at = next_action(at, end, &len)) != NULL; at += len) {
		if (len == strlen(action) && strncmp(at, action, len) == 0)
			return FACT_YES;
		offers = FACT_NO; /* the list has entries: it is one */
	}
	return offers;
}

/* Paths of files that hold a secret are none, and operators need to see them. */
static bool
option_is_secret(const char *option, size_t key_len)
{
	static const char *const words[] = {
	    "pass", "pwd", "secret", "token", "key", "community", "credential", "auth"};
	static const char *const paths[] = {"_script", "_file"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		size_t len = strlen(paths[i]);

		if (key_len >= len && strncasecmp(option + key_len - len, paths[i], len) == 0)
			return false;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (size_t at = 0; at + strlen(words[i]) <= key_len; at++)
			if (strncasecmp(option + at, words[i], strlen(words[i])) == 0)
				return true;
	return false;
}

static void
mark(const char *text, bool *marked, const char *secret, size_t len)
{
	for (const char *at = text; len > 0 && *at != '\0'; at++)
		if (*at == *secret && strncmp(at, secret, len) == 0)
			memset(marked + (at - text), true, len);
}

void
fence_mask(char *text, const struct conf_fence *f)
{
	size_t text_len = strlen(text), to = 0, run = 0;
	bool *marked = calloc(text_len + 1, sizeof(*marked));

	if (marked == NULL) {
		text[0] = '\0'; /* better no words than a password */
		return;
	}
	/* first all are marked, then they are replaced: one secret may be a part of another */
	for (size_t i = 0; i < f->options_len; i++) {
		const char *value = strchr(f->options[i], '=');
		size_t len;

		if (value == NULL ||
		    !option_is_secret(f->options[i], (size_t)(value - f->options[i])))
			continue;
		value++;
		len = strlen(value);
		mark(text, marked, value, len);
		if (len >= 2 && value[0] == '"' && value[len - 1] == '"') /* agents strip these */
			mark(text, marked, value + 1, len - 2);
	}
	for (size_t at = 0; at < text_len; at++) {
		run = marked[at] ? run + 1 : 0;
		if (run == 0)
			text[to++] = text[at];
		else if (run <= 3)
			text[to++] = '*';
	}
	text[to] = '\0';
	free(marked);
}

/*
 * Length of "2026-11-21 18:00:31,250 " and of a level word behind it: the report has its own time.
 */
static size_t
log_prefix(const char *line, size_t len)
{
	static const char form[] = "dddd-dd-dd dd:dd:dd,ddd ";
	static const char *const levels[] = {"ERROR: ", "WARNING: ", "INFO: ", "DEBUG: "};
	size_t at = 0;

	while (at < len && form[at] != '\0' &&
	       (form[at] == 'd' ? isdigit((unsigned char)line[at]) != 0 : line[at] == form[at]))
		at++;
	if (form[at] != '\0')
		at = 0;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (len - at >= strlen(levels[i]) &&
		    strncmp(line + at, levels[i], strlen(levels[i])) == 0)
			return at + strlen(levels[i]);
	return at;
}

static bool
line_holds(const char *line, size_t len, const char *word)
{
	for (size_t at = 0; at + strlen(word) <= len; at++)
		if (strncasecmp(line + at, word, strlen(word)) == 0)
			return true;
	return false;
}

/*
 * The first line that speaks of an error if there is one and it is wanted, else the last with text.
 */
static const char *
telling_line(const char *text, bool failed, size_t *ret_len)
{
	const char *best = NULL;
	size_t len;

	for (const char *line = text; *line != '\0'; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		if (line[strspn(line, " \t\r")] == '\n' || line[strspn(line, " \t\r")] == '\0')
			continue;
		best = line;
		*ret_len = len;
		if (failed && (line_holds(line, len, "error") || line_holds(line, len, "failed")))
			break;
	}
	return best;
}

void
fence_sentence(char ret[FENCE_SENTENCE_MAX], const char *out, const char *errout, bool failed)
{
	const char *line;
	size_t len = 0, to = 0, skip;

	line = telling_line(failed ? errout : out, failed, &len);
	if (line == NULL)
		line = telling_line(failed ? out : errout, failed, &len);
	ret[0] = '\0';
	if (line == NULL)
		return;
	skip = log_prefix(line, len);
	for (size_t at = skip; at < len && to < FENCE_SENTENCE_MAX - 1; at++) {
		unsigned char c = (unsigned char)line[at];

		if (c >= 0x80)
			ret[to++] = '?';
		else if (isgraph(c))
			ret[to++] = (char)c;
		else if (to > 0 && ret[to - 1] != ' ')
			ret[to++] = ' ';
	}
	while (to > 0 && ret[to - 1] == ' ')
		to--;
	ret[to] = '\0';
}
