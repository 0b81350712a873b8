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

#include "common/clock.h"
#include "common/conf.h"
#include "common/utf8.h"
#include "queuesync/list.h"
#include "queuesync/look.h"
#include "queuesync/output.h"
#include "queuesync/progress.h"
#include "queuesync/read.h"
#include "queuesync/repair.h"
#include "queuesync/target.h"

#define CONF "/etc/mailpair/mailpair.conf"
#define PER_SECOND_MAX 1000000

/* Exit status, as the contract has it. */
enum { EXIT_WHOLE, EXIT_PROBLEMS, EXIT_CANNOT, EXIT_REFUSED };

struct arguments {
	const char		*command;
	struct target_wish	 wish;
	struct look_options	 look;
	bool			 json, brief, repair, progress;
	const char		*run;		/* of "restore" */
};

static const char help[] =
    "mailpair-queue - is a mail queue whole, and what is in it\n\n"
    "Usage: mailpair-queue check [OPTIONS]   what is not as the mail program would have left it\n"
    "       mailpair-queue list [OPTIONS]    messages, in one form for every mail program\n"
    "       mailpair-queue restore RUN [OPTIONS]   put back what a repair has put aside\n\n"
    "  --mta NAME        the mail program: %s (else told from the tree, or by mailpair.conf)\n"
    "  --queue DIR       another queue than the program's own, an image or a foreign node's\n"
    "  --config DIR      the program's configuration directory\n"
    "  --owners FILE     accounts of the node that DIR came from: lines \"user NAME UID\", \"group NAME GID\"\n"
    "  --deep            check: every record of every file, not names, places and sizes alone\n"
    "  --repair          check: mend what can be mended, put aside what must not stay; not while the mail program runs\n"
    "  --throttle N      check: read at most N files a second, when nobody else wants the disk\n"
    "  --timeout T       check: read files for so long at most (30s, 5min)\n"
    "  --at-rest         check: nobody works on the queue, so ext4's inode tables may tell what is right\n"
    "  --names-first T   the same, and where they cannot and all names are right, ask about files for so long at most\n"
    "  --brief           check: lines \"queue-KEY VALUE\", for programs\n"
    "  --progress        check --repair: lines \"progress N of M WHAT\" while it comes further, for programs\n"
    "  --run-dir DIR     where mailpaird keeps what it knows of the program's settings (else the program is asked)\n"
    "  --json            one JSON document on standard output\n"
    "  --conf FILE       mailpair.conf (" CONF ")\n"
    "  --node NAME       be this node of it\n\n"
    "Nothing is written without --repair, and nothing is ever deleted. Exit status: 0 consistent or repaired, 1 problems\n"
    "found, 2 wrong usage or cannot be done here, 3 refused because it would be unsafe.\n";

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
sorry(const struct arguments *args, struct json *j, int status, const struct err *err)
{
	complain("%s", err->text);
	if (args->json) {
		json_object(j, NULL);
		json_string(j, "result", status == EXIT_REFUSED ? "refused" : "cannot");
		json_string(j, "message", err->text);
		json_object_end(j);
	}
	return status;
}

static int
cannot(const struct arguments *args, struct json *j, const struct err *err)
{
	return sorry(args, j, EXIT_CANNOT, err);
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

static void
print(const struct arguments *args, const struct report *r, struct output *out)
{
	if (args->json)
		output_report_json(&out->json, r);
	else if (args->brief)
		output_report_brief(stdout, r);
	else
		output_report_text(stdout, r);
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
	print(args, &r, out);
	status = status_of(&r);
	findings_free(&look.findings);
	return status;
}

/* ---------------------------------------------------------------- check --repair, restore */

struct looking { const struct target *target; const struct look_options *options; };

static bool
look_again(void *arg, struct findings *ret, uint64_t *messages, uint64_t *files, struct err *err)
{
	const struct looking *l = arg;
	struct look look;

	if (!look_at(l->target, l->options, &look, err))
		return false;
	*ret = look.findings;
	*messages = look.messages;
	*files = look.files;
	return true;
}

static int
repair_one(const struct arguments *args, const struct target *t, struct output *out)
{
	struct look_options look = args->look;
	struct looking looking = { t, &look };
	uint64_t began_ms = clock_mono_ms();
	struct repair_result done;
	struct err err = { 0 };
	struct report r = { .mta = t->driver->name, .queue = t->layout.root, .deep = args->look.deep };
	enum repair_end end;

	look.mending = true;
	look.at_rest = true;	/* it is looked at behind the program's lock */
	if (args->progress)
		progress_to(stdout);
	end = repair_queue(t->driver, &t->params, &t->layout, look_again, &looking, &done, &err);

	if (end != REPAIR_DONE)
		return sorry(args, &out->json, end == REPAIR_UNSAFE ? EXIT_REFUSED : EXIT_CANNOT, &err);
	r.messages = done.messages;
	r.files = done.files;
	r.took_ms = clock_mono_ms() - began_ms;
	r.verdict = done.verdict;
	r.findings = &done.findings;
	r.run = done.put_aside != 0 ? done.run : NULL;
	print(args, &r, out);
	findings_free(&done.findings);
	return status_of(&r);
}

static void
restore_told(void *arg, const char *path, bool ok, const char *why)
{
	const struct arguments *args = arg;
	char shown[1100];

	utf8_shown(path, shown, sizeof shown);
	if (!ok)
		complain("%s stays in the quarantine: %s", shown, why);
	else if (!args->json)
		printf("put back: %s\n", shown);
}

static int
command_restore(const struct arguments *args, const struct targets *targets)
{
	const struct target *t = &targets->at[0];
	struct arguments told = *args;
	struct err err = { 0 };
	struct output out;
	enum repair_end end;
	int status = EXIT_WHOLE;

	output_begin(&out, stdout);
	if (targets->len > 1) {
		err_set(&err, 0, "a run belongs to one queue: say which with --mta and --queue");
		status = cannot(args, &out.json, &err);
	} else {
		end = restore_run(t->driver, &t->params, &t->layout, args->run, restore_told, &told, &err);
		if (end != REPAIR_DONE)
			status = sorry(args, &out.json, end == REPAIR_UNSAFE ? EXIT_REFUSED : err.sys == 0 ? EXIT_PROBLEMS : EXIT_CANNOT, &err);
		else if (args->json) {
			json_object(&out.json, NULL);
			json_string(&out.json, "result", "restored");
			json_string(&out.json, "run", args->run);
			json_object_end(&out.json);
		}
	}
	output_end(&out);
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
		int status = args->repair ? repair_one(args, &targets->at[i], &out) : check_one(args, &targets->at[i], &out);

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
	{ "check", command_check }, { "list", command_list }, { "restore", command_restore },
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

static bool
duration(const char *option, const char *text, uint32_t *ret_ms)
{
	if (conf_duration(text, ret_ms) && *ret_ms > 0)
		return true;
	complain("%s %s: no duration; 30s or 5min is right", option, text);
	return false;
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
	case 'R': args->wish.run_dir = value; return true;
	case 'j': args->json = true; return true;
	case 'b': args->brief = true; return true;
	case 'p': args->progress = true; return true;
	case 'r': args->repair = true; return true;
	case 't': return per_second(value, &args->look.per_second);
	case 'l': return duration("--timeout", value, &args->look.limit_ms);
	case 'A': args->look.at_rest = true; return true;
	case 'N':
		args->look.at_rest = true;
		return duration("--names-first", value, &args->look.names_ms);
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
		{ "run-dir", required_argument, NULL, 'R' }, { "deep", no_argument, NULL, 'd' }, { "json", no_argument, NULL, 'j' },
		{ "brief", no_argument, NULL, 'b' }, { "progress", no_argument, NULL, 'p' }, { "repair", no_argument, NULL, 'r' },
		{ "throttle", required_argument, NULL, 't' }, { "timeout", required_argument, NULL, 'l' },
		{ "at-rest", no_argument, NULL, 'A' }, { "names-first", required_argument, NULL, 'N' },
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
		complain("a command is missing: check, list or restore; more: mailpair-queue --help");
		return false;
	}
	args->command = argv[optind++];
	if (strcmp(args->command, "restore") == 0) {
		if (optind == argc) {
			complain("restore: which run? Its name stands in what \"check --repair\" said, and in %s of the queue", QUEUE_QUARANTINE);
			return false;
		}
		args->run = argv[optind++];
	}
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
		complain("there is no command \"%s\"; check, list or restore is right", args.command);
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
