/*
 * mta/exim_defaults.c - reads the distribution's settings for starting Exim. Pure.
 */
#include "mta/exim_defaults.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Where Debian's script has the queue runner write its pid, when it is a process of its own. */
#define DEBIAN_RUNNER_PID "/run/exim4/eximqr.pid"
#define DEBIAN_PID "/run/exim4/exim.pid"
#define VALUE_MAX 256

struct variable { const char *name; char *value; };

const char *
exim_args_next(const struct exim_args *args, const char *word)
{
	return word == NULL ? args->text : word + strlen(word) + 1;
}

static void
args_add(struct exim_args *args, const char *word, size_t len)
{
	if (len == 0)
		return;
	if (args->len == EXIM_ARGS_MAX || args->used + len + 1 > sizeof args->text) {
		args->full = true;
		return;
	}
	memcpy(args->text + args->used, word, len);
	args->text[args->used + len] = '\0';
	args->used += len + 1;
	args->len++;
}

/* The words of an unquoted shell variable. */
static void
args_split(struct exim_args *args, const char *text)
{
	while (*(text += strspn(text, " \t")) != '\0') {
		size_t len = strcspn(text, " \t");

		args_add(args, text, len);
		text += len;
	}
}

static void
args_word(struct exim_args *args, const char *word)
{
	args_add(args, word, strlen(word));
}

/*
 * One line of shell: blank, a comment, or NAME=VALUE with VALUE plain or within one pair of quotes, and without anything
 * that the shell would replace. False: something else.
 */
static bool
take_line(const char *line, size_t len, const struct variable *known)
{
	const char *end = line + len, *value;
	size_t name = 0;
	char quote = '\0';

	while (line < end && isspace((unsigned char)*line))
		line++;
	if (line == end || *line == '#')
		return true;
	while (line + name < end && (isalnum((unsigned char)line[name]) || line[name] == '_'))
		name++;
	if (name == 0 || line + name == end || line[name] != '=')
		return false;
	value = line + name + 1;
	if (value < end && (*value == '\'' || *value == '"'))
		quote = *value++;
	len = 0;
	while (value + len < end && (quote != '\0' ? value[len] != quote : !isspace((unsigned char)value[len]) && value[len] != ';'))
		len++;
	if (memchr(value, '$', len) != NULL || memchr(value, '`', len) != NULL || memchr(value, '\\', len) != NULL || len >= VALUE_MAX)
		return false;
	if (quote == '\0' && (memchr(value, '\'', len) != NULL || memchr(value, '"', len) != NULL))
		return false;
	for (const char *rest = value + len + (quote != '\0'); rest < end; rest++) {
		if (*rest == '#')
			break;
		if (!isspace((unsigned char)*rest))
			return false;
	}
	if (quote != '\0' && value + len == end)
		return false;
	for (; known->name != NULL; known++)
		if (strlen(known->name) == name && memcmp(known->name, line, name) == 0)
			snprintf(known->value, VALUE_MAX, "%.*s", (int)len, value);
	return true;
}

/* False with the line that is no plain assignment in odd. */
static bool
take_all(const char *text, const struct variable *known, const char *file, struct exim_defaults *ret)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		if (!take_line(text, len, known)) {
			snprintf(ret->odd, sizeof ret->odd, "%s has the line \"%.*s\", which is not a plain setting", file,
			    (int)(len < 60 ? len : 60), text);
			return false;
		}
		text += len + (text[len] == '\n');
	}
	return true;
}

static void
queue_option(struct exim_args *args, const char *flags, const char *interval)
{
	char word[2 * VALUE_MAX + 4];

	snprintf(word, sizeof word, "-q%s%s", flags, interval);
	args_word(args, word);
}

void
exim_defaults_none(struct exim_defaults *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->listens = true;
	args_word(&ret->daemon, "-bd");
	args_word(&ret->daemon, "-q30m");
}

/* A second process for the queue: as Debian's script starts it. */
static void
separate_runner(struct exim_defaults *ret, const char *flags, const char *interval, const char *common, const char *options)
{
	args_word(&ret->daemon, "-oY");
	args_word(&ret->runner, "-oP");
	args_word(&ret->runner, DEBIAN_RUNNER_PID);
	queue_option(&ret->runner, flags, interval);
	args_split(&ret->runner, common);
	args_word(&ret->runner, "-oY");
	args_split(&ret->runner, options);
}

void
exim_defaults_debian(struct exim_defaults *ret, const char *text)
{
	char kind[VALUE_MAX] = "combined", interval[VALUE_MAX] = "30m", flags[VALUE_MAX] = "", common[VALUE_MAX] = "";
	char runner[VALUE_MAX] = "", listener[VALUE_MAX] = "";
	const struct variable known[] = { { "QUEUERUNNER", kind }, { "QUEUEINTERVAL", interval }, { "QFLAGS", flags },
		{ "COMMONOPTIONS", common }, { "QUEUERUNNEROPTIONS", runner }, { "SMTPLISTENEROPTIONS", listener }, { NULL, NULL } };

	memset(ret, 0, sizeof *ret);
	if (!take_all(text, known, "/etc/default/exim4", ret))
		return;
	ret->listens = strcmp(kind, "queueonly") != 0;
	if (ret->listens) {
		args_word(&ret->daemon, "-bd");
	} else {
		args_word(&ret->daemon, "-oP");
		args_word(&ret->daemon, DEBIAN_PID);
	}
	if (strcmp(kind, "combined") == 0 || strcmp(kind, "queueonly") == 0)
		queue_option(&ret->daemon, flags, interval);
	args_split(&ret->daemon, common);
	if (strcmp(kind, "combined") == 0 || strcmp(kind, "queueonly") == 0)
		args_split(&ret->daemon, runner);
	if (strcmp(kind, "separate") == 0)
		separate_runner(ret, flags, interval, common, runner);
	if (ret->listens)
		args_split(&ret->daemon, listener);
	if (strcmp(kind, "nodaemon") == 0)
		ret->off = true;
	else if (strcmp(kind, "combined") != 0 && strcmp(kind, "queueonly") != 0 && strcmp(kind, "separate") != 0 &&
	    strcmp(kind, "no") != 0 && strcmp(kind, "ppp") != 0)
		snprintf(ret->odd, sizeof ret->odd, "/etc/default/exim4 has QUEUERUNNER=\"%.60s\"", kind);
	else if (ret->daemon.full || ret->runner.full)
		snprintf(ret->odd, sizeof ret->odd, "/etc/default/exim4 has more than %d options", EXIM_ARGS_MAX);
}

void
exim_defaults_redhat(struct exim_defaults *ret, const char *text)
{
	char daemon[VALUE_MAX] = "yes", queue[VALUE_MAX] = "1h";
	const struct variable known[] = { { "DAEMON", daemon }, { "QUEUE", queue }, { NULL, NULL } };

	memset(ret, 0, sizeof *ret);
	if (!take_all(text, known, "/etc/sysconfig/exim", ret))
		return;
	ret->listens = strcmp(daemon, "yes") == 0;
	if (ret->listens)
		args_word(&ret->daemon, "-bd");
	if (queue[0] != '\0')
		queue_option(&ret->daemon, "", queue);
	ret->off = ret->daemon.len == 0;
}
