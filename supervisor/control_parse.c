/*
 * supervisor/control_parse.c - one request line of the control socket, cut into command and
 * arguments.
 *
 * Pure, used by mailpaird for whatever comes over the socket: the line may hold any bytes. It does
 * not know which commands exist; that is the handler's.
 */
#include "supervisor/control.h"

#include <ctype.h>
#include <string.h>

const char *
control_arg(const struct control_request *request, const char *key)
{
	for (size_t i = 0; i < request->args; i++)
		if (strcmp(request->arg[i].key, key) == 0)
			return request->arg[i].value;
	return NULL;
}

/* "switchover", "may-start": a small letter, then small letters, digits and hyphens. */
static bool
is_word(const char *text)
{
	if (!islower((unsigned char)*text))
		return false;
	for (; *text != '\0'; text++)
		if (!islower((unsigned char)*text) && !isdigit((unsigned char)*text) &&
		    *text != '-')
			return false;
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* In place. Control characters are refused even when encoded: values end up in logs and on
 * terminals. */
static bool
percent_decode(char *text)
{
	char *out = text;

	for (const char *in = text; *in != '\0'; in++, out++) {
		if (*in == '%') {
			int high = hex_digit(in[1]);
			int low = high == -1 ? -1 : hex_digit(in[2]);

			if (low == -1)
				return false;
			*out = (char)(high * 16 + low);
			in += 2;
		} else {
			*out = *in;
		}
		if ((unsigned char)*out < 0x20 || *out == 0x7f)
			return false;
	}
	*out = '\0';
	return true;
}

static bool
parse_argument(char *word, struct control_request *request, struct err *err)
{
	char *equals = strchr(word, '=');

	if (equals == NULL)
		return err_set(err, 0, "the request has an argument without \"=\"");
	*equals = '\0';
	if (!is_word(word))
		return err_set(err, 0,
		    "the request has an argument whose key is not a word of a-z, 0-9 and -");
	if (!percent_decode(equals + 1))
		return err_set(
		    err, 0, "the value of \"%s\" in the request is not well encoded", word);
	if (control_arg(request, word) != NULL)
		return err_set(err, 0, "the request has the argument \"%s\" twice", word);
	if (request->args == CONTROL_ARGS_MAX)
		return err_set(err, 0, "the request has more than %d arguments", CONTROL_ARGS_MAX);
	if (strcmp(word, "json") == 0) {
		if (strcmp(equals + 1, "yes") != 0 && strcmp(equals + 1, "no") != 0)
			return err_set(
			    err, 0, "the value of \"json\" in the request is neither yes nor no");
		request->json = strcmp(equals + 1, "yes") == 0;
	}
	request->arg[request->args].key = word;
	request->arg[request->args].value = equals + 1;
	request->args++;
	return true;
}

bool
control_parse(char *line, struct control_request *ret, struct err *err)
{
	struct control_request request = { .command = NULL };
	char *next = line;

	while (next != NULL) {
		char *word = next;

		next = strchr(word, ' ');
		if (next != NULL)
			*next++ = '\0';
		if (*word == '\0')
			continue;		/* blanks in a row, or at an end */
		if (request.command == NULL) {
			if (!is_word(word))
				return err_set(err, 0, "the request does not begin with a command");
			request.command = word;
		} else if (!parse_argument(word, &request, err)) {
			return false;
		}
	}
	if (request.command == NULL)
		return err_set(err, 0, "the request is empty");
	*ret = request;
	return true;
}
