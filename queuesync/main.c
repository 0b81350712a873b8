/*
 * queuesync/main.c - mailpair-queue: is a mail queue whole, and what is in it. The arguments, and what is printed; "mailpair
 * queue ..." runs it. Needs no daemon. Everything blocks.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "queuesync/list.h"
#include "queuesync/look.h"
#include "queuesync/output.h"
#include "queuesync/read.h"
#include "queuesync/target.h"

#define CONF "/etc/mailpair/mailpair.conf"
#define PER_SECOND_MAX 1000000

/* Exit status, as the contract has it. */
enum { EXIT_WHOLE, EXIT_PROBLEMS, EXIT_CANNOT, EXIT_REFUSED };

struct arguments {
	const char		*command;
	struct target_wish	 wish;
	struct look_options	 look;
	bool			 json;
};

static const char help[] =
    "mailpair-queue - is a mail queue whole, and what is in it\n\n"
    "Usage: mailpair-queue check [OPTIONS]   what is not as the mail program would have left it\n"
    "       mailpair-queue list [OPTIONS]    messages, in one form for every mail program\n\n"
    "  --mta NAME        the mail program: %s (else told from the tree, or by mailpair.conf)\n"
    "  --queue DIR       another queue than the program's own, an image or a foreign node's\n"
    "  --config DIR      the program's configuration directory\n"
    "  --owners FILE     accounts of the node that DIR came from: lines \"user NAME UID\", \"group NAME GID\"\n"
    "  --deep            check: every record of every file, not names, places and sizes alone\n"
    "  --throttle N      check: read at most N files a second, when nobody else wants the disk\n"
    "  --timeout T       check: read files for so long at most (30s, 5min)\n"
    "  --json            one JSON document on standard output\n"
    "  --conf FILE       mailpair.conf (" CONF ")\n"
    "  --node NAME       be this node of it\n\n"
    "Nothing is written. Exit status: 0 consistent, 1 problems found, 2 wrong usage or cannot be done here.\n";

static void __attribute__((format(printf, 1, 2)))
complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("mailpair-queue: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* The sentence, and with --json an object where the report would stand. */
static int
cannot(const struct arguments *args, struct json *j, const struct err *err)
{
	complain("%s", err->text);
	if (args->json) {
		json_object(j, NULL);
		json_string(j, "result", "cannot");
		json_string(j, "message", err->text);
		json_object_end(j);
	}
	return EXIT_CANNOT;
}

/* ---------------------------------------------------------------- check */

static int
status_of(const struct report *r)
{
	if (r->verdict != VERDICT_CONSISTENT && r->verdict != VERDICT_REPAIRED)
		return EXIT_PROBLEMS;
	/* No problem was found, but not everything was looked at. */
	return r->cut ? EXIT_CANNOT : EXIT_WHOLE;
}

static int
check_one(const struct arguments *args, const struct target *t, struct output *out)
{
	struct err err = { 0 };
	struct look look;
	struct report r = { .mta = t->driver->name, .queue = t->layout.root, .deep = args->look.deep };
	int status;

	if (!look_at(t, &args->look, &look, &err))
		return cannot(args, &out->json, &err);
	r.live = look.live;
	r.cut = look.cut;
	r.messages = look.messages;
	r.files = look.files;
	r.took_ms = look.took_ms;
	r.verdict = findings_verdict(&look.findings);
	r.findings = &look.findings;
	if (args->json)
		output_report_json(&out->json, &r);
	else
		output_report_text(stdout, &r);
	status = status_of(&r);
	findings_free(&look.findings);
	return status;
}

static int
command_check(const struct arguments *args, const struct targets *targets)
{
	int worst = EXIT_WHOLE;
	struct output out;

	output_begin(&out, stdout);
	if (targets->len > 1 && args->json)
		json_array(&out.json, NULL);
	for (size_t i = 0; i < targets->len; i++) {
		int status = check_one(args, &targets->at[i], &out);

		worst = status > worst ? status : worst;
	}
	if (targets->len > 1 && args->json)
		json_array_end(&out.json);
	output_end(&out);
	return worst;
}

/* ---------------------------------------------------------------- list */

struct listing { const struct arguments *args; struct output out; const char *mta; };

static void
list_one(void *arg, const struct queue_message *message)
{
	struct listing *l = arg;

	if (l->args->json)
		output_message_json(&l->out.json, l->mta, message);
	else
		output_message_text(stdout, l->mta, message);
}

static bool
list_target(struct listing *l, const struct target *t, struct err *err)
{
	struct check *check = look_for_list(t, err);
	bool ok;

	if (check == NULL)
		return false;
	l->mta = t->driver->name;
	ok = list_messages(t->rules, &t->layout, check, READ_THREADS, list_one, l, err);
	check_free(check);
	return ok;
}

static int
command_list(const struct arguments *args, const struct targets *targets)
{
	struct listing l = { .args = args };
	int status = EXIT_WHOLE;
	struct err err;

	output_begin(&l.out, stdout);
	if (args->json)
		json_array(&l.out.json, NULL);
	else
		output_messages_head(stdout);
	for (size_t i = 0; i < targets->len; i++) {
		if (!list_target(&l, &targets->at[i], &err)) {
			complain("%s", err.text);
			status = EXIT_CANNOT;
		}
	}
	if (args->json)
		json_array_end(&l.out.json);
	output_end(&l.out);
	return status;
}

/* ---------------------------------------------------------------- arguments */

static const struct { const char *word; int (*run)(const struct arguments *, const struct targets *); } commands[] = {
	{ "check", command_check }, { "list", command_list },
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static bool
per_second(const char *text, uint32_t *ret)
{
	size_t len = strlen(text);
	unsigned long n;

	if (len == 0 || len > 7 || strspn(text, "0123456789") != len || (n = strtoul(text, NULL, 10)) == 0 ||
	    n > PER_SECOND_MAX) {
		complain("--throttle %s: a number of files a second, from 1 to %d, is right", text, PER_SECOND_MAX);
		return false;
	}
	*ret = (uint32_t)n;
	return true;
}

/* What one option sets. False: its value is wrong, and that was said. */
static bool
option_set(struct arguments *args, int option, const char *value)
{
	switch (option) {
	case 'm': args->wish.mta = value; return true;
	case 'q': args->wish.queue = value; return true;
	case 'c': args->wish.config = value; return true;
	case 'o': args->wish.owners = value; return true;
	case 'f': args->wish.conf = value; return true;
	case 'n': args->wish.node = value; return true;
	case 'd': args->look.deep = true; return true;
	case 'j': args->json = true; return true;
	case 't': return per_second(value, &args->look.per_second);
	case 'l':
		if (conf_duration(value, &args->look.limit_ms) && args->look.limit_ms > 0)
			return true;
		complain("--timeout %s: no duration; 30s or 5min is right", value);
		return false;
	default: return false;		/* getopt has said it */
	}
}

static bool
arguments_parse(int argc, char **argv, struct arguments *args)
{
	static const struct option options[] = {
		{ "mta", required_argument, NULL, 'm' }, { "queue", required_argument, NULL, 'q' },
		{ "config", required_argument, NULL, 'c' }, { "owners", required_argument, NULL, 'o' },
		{ "conf", required_argument, NULL, 'f' }, { "node", required_argument, NULL, 'n' },
		{ "deep", no_argument, NULL, 'd' }, { "json", no_argument, NULL, 'j' },
		{ "throttle", required_argument, NULL, 't' }, { "timeout", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "hj", options, NULL)) != -1) {
		if (option == 'h') {
			printf(help, mta_names());
			exit(EXIT_WHOLE);
		}
		if (option == 'V') {
			puts("mailpair-queue " MAILPAIR_VERSION);
			exit(EXIT_WHOLE);
		}
		if (!option_set(args, option, optarg))
			return false;
	}
	if (optind == argc) {
		complain("a command is missing: check or list; more: mailpair-queue --help");
		return false;
	}
	args->command = argv[optind++];
	if (optind < argc) {
		complain("\"%s\" is too many; more: mailpair-queue --help", argv[optind]);
		return false;
	}
	return true;
}

int
main(int argc, char **argv)
{
	struct arguments args = { .wish = { .conf = CONF } };
	struct targets targets;
	struct output out;
	struct err err = { 0 };
	size_t command = 0;
	int status;

	signal(SIGPIPE, SIG_DFL);
	if (!arguments_parse(argc, argv, &args))
		return EXIT_CANNOT;
	while (command < COMMANDS && strcmp(commands[command].word, args.command) != 0)
		command++;
	if (command == COMMANDS) {
		complain("there is no command \"%s\"; check or list is right", args.command);
		return EXIT_CANNOT;
	}
	if (targets_find(&args.wish, &targets, &err)) {
		status = commands[command].run(&args, &targets);
	} else {
		output_begin(&out, stdout);
		status = cannot(&args, &out.json, &err);
		output_end(&out);
	}
	targets_free(&targets);
	if (fflush(stdout) == EOF || ferror(stdout)) {
		complain("standard output cannot be written: %s", strerror(errno));
		return EXIT_CANNOT;
	}
	return status;
}
