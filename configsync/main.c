/*
 * configsync/main.c - mailpair-config: the same configuration on both nodes, and every version of it. The arguments and the table of
 * commands; "mailpair config ..." runs it. Everything blocks.
 */
#include "configsync/main.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/conf.h"
#include "configsync/desk.h"
#include "configsync/net_child.h"

#define STATE_DIR "/var/lib/mailpair"
#define RUN_DIR "/run/mailpair"
#define LIMIT_MAX 1000000

static const struct {
	const char	*word, *form;
	size_t		 min, max;
	int		(*run)(const struct wish *);
} commands[] = {
	{ "run", "run", 0, 0, main_run },
	{ "status", "status", 0, 0, main_status },
	{ "log", "log [PATH|SET] [-n N]", 0, 1, main_log },
	{ "show", "show VERSION|PATH[@N]", 1, 1, main_show },
	{ "diff", "diff [SET|PATH[@N]|OLD NEW]", 0, 2, main_diff },
	{ "rollback", "rollback SET|VERSION [--back-to] [--apply]", 1, 1, main_rollback },
	{ "resync", "resync --from NODE [--apply]", 0, 0, main_resync },
	{ "resolve", "resolve PATH... --take NODE", 1, MAIN_OPERANDS, main_resolve },
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static const char help[] =
    "mailpair-config - the same configuration on both nodes, and every version of it\n\n"
    "Usage: mailpair-config COMMAND [OPTIONS]\n\n"
    "  run                        keep this node in step, until SIGTERM: what mailpaird starts\n"
    "  status                     are both nodes in step, what waits, what is in conflict, and what to do\n"
    "  log [PATH|SET] [-n N]      versions, newest first (20)\n"
    "  show VERSION|PATH[@N]      a version's content; N: versions before the newest\n"
    "  diff                       what the newest set changed\n"
    "  diff SET|PATH[@N]          what this set changed; what changed at PATH since N (1) versions before; both sides of a conflict\n"
    "  diff OLD NEW               two versions\n"
    "  rollback SET               undo what this set did; with --back-to, all that was done after it\n"
    "  rollback VERSION           put this version of its file back\n"
    "  resync --from NODE         make everything as it is on NODE\n"
    "  resolve PATH... --take NODE   end a conflict: this side's version counts\n\n"
    "  --apply         do it; rollback and resync else only say what they would do\n"
    "  --json          one JSON document on standard output\n"
    "  --conf FILE     mailpair.conf (" MAIN_CONF ")\n"
    "  --node NAME     be this node of it\n"
    "  --journal FILE  log, show, diff: this journal, not the one of mailpair.conf\n"
    "  --root DIR      run: the trees are below DIR, not below /\n"
    "  --socket PATH   the socket of the running program\n\n"
    "Exit status: 0 done, in step; 1 no, problems found; 2 wrong usage or cannot be done here; 3 refused because it\n"
    "would be unsafe.\n";

void
complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("mailpair-config: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static void
sink(void *arg, const char *bytes, size_t len)
{
	/* a reader that went away is noticed at the end; there is nobody else to tell */
	if (fwrite(bytes, 1, len, arg) != len)
		return;
}

void
document_begin(struct document *d)
{
	json_stream(&d->json, d->buffer, sizeof d->buffer, sink, stdout);
}

void
document_end(struct document *d)
{
	json_finish(&d->json);
}

int
sorry(const struct wish *w, int status, const char *fmt, ...)
{
	static struct document d;
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	complain("%s", text);
	if (w->json) {
		document_begin(&d);
		json_object(&d.json, NULL);
		json_string(&d.json, "result", status == EXIT_REFUSED ? "refused" : status == EXIT_NO ? "no" : "cannot");
		json_string(&d.json, "message", text);
		json_object_end(&d.json);
		document_end(&d);
	}
	return status;
}

/* ---------------------------------------------------------------- where things are */

/* Out of mailpair.conf, else the usual. False: the file was named and is wrong, which was said. */
static bool
directories(const struct wish *w, char *state, char *run, size_t size)
{
	struct conf_mistakes m = { NULL, 0 };
	const char *file = w->conf != NULL ? w->conf : MAIN_CONF;
	struct conf *conf = NULL;
	bool ok = conf_load(file, w->node, &conf, &m);

	snprintf(state, size, "%s", ok ? conf->state_dir : STATE_DIR);
	snprintf(run, size, "%s", ok ? conf->run_dir : RUN_DIR);
	if (!ok && w->conf != NULL)
		(void)sorry(w, EXIT_CANNOT, m.item[0].line > 0 ? "%s: %s (line %d)" : "%s: %s", file, m.item[0].text, m.item[0].line);
	conf_mistakes_free(&m);
	conf_free(conf);
	return ok || w->conf == NULL;
}

bool
main_socket(const struct wish *w, char *buf, size_t size)
{
	char state[1100], run[1100];

	if (w->socket != NULL)
		snprintf(buf, size, "%s", w->socket);
	else if (directories(w, state, run, sizeof run))
		snprintf(buf, size, "%s/config.sock", run);
	else
		return false;
	return true;
}

bool
main_store(const struct wish *w, struct store **ret)
{
	char state[1100], run[1100], path[1200];
	struct err err = { 0 };

	if (w->journal != NULL)
		snprintf(path, sizeof path, "%s", w->journal);
	else if (directories(w, state, run, sizeof run))
		snprintf(path, sizeof path, "%s/journal.db", state);
	else
		return false;
	if (store_open(path, false, ret, NULL, &err))
		return true;
	(void)sorry(w, EXIT_CANNOT, "%s%s", err.text, err.sys == EACCES ? "; be root" : "");
	return false;
}

/* ---------------------------------------------------------------- arguments */

static bool
number(const char *text, size_t *ret)
{
	size_t len = strlen(text);
	unsigned long n;

	if (len == 0 || len > 7 || strspn(text, "0123456789") != len || (n = strtoul(text, NULL, 10)) == 0 || n > LIMIT_MAX) {
		complain("-n %s: a number of versions, from 1 to %d, is right", text, LIMIT_MAX);
		return false;
	}
	*ret = n;
	return true;
}

/* False: its value is wrong, and that was said. */
static bool
option_set(struct wish *w, int option, const char *value)
{
	switch (option) {
	case 'f': w->conf = value; return true;
	case 'N': w->node = value; return true;
	case 'J': w->journal = value; return true;
	case 'S': w->socket = value; return true;
	case 'R': w->root = value; return true;
	case 'F': w->from = value; return true;
	case 't': w->take = value; return true;
	case 'a': w->apply = true; return true;
	case 'b': w->back_to = true; return true;
	case 'j': w->json = true; return true;
	case 'n': return number(value, &w->limit);
	default: return false;		/* getopt has said it */
	}
}

/* The command's row, or COMMANDS. */
static size_t
arguments(int argc, char **argv, struct wish *w)
{
	static const struct option options[] = {
		{ "conf", required_argument, NULL, 'f' }, { "node", required_argument, NULL, 'N' }, { "journal", required_argument, NULL, 'J' },
		{ "root", required_argument, NULL, 'R' }, { "socket", required_argument, NULL, 'S' }, { "from", required_argument, NULL, 'F' }, { "take", required_argument, NULL, 't' },
		{ "apply", no_argument, NULL, 'a' }, { "back-to", no_argument, NULL, 'b' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 }
	};
	size_t command = 0;
	int option;

	while ((option = getopt_long(argc, argv, "hjn:", options, NULL)) != -1) {
		if (option == 'h' || option == 'V') {
			fputs(option == 'h' ? help : "mailpair-config " MAILPAIR_VERSION "\n", stdout);
			exit(EXIT_DONE);
		}
		if (!option_set(w, option, optarg))
			return COMMANDS;
	}
	if (optind == argc) {
		complain("a command is missing: status, log, show, diff, rollback, resync or resolve; more: mailpair-config --help");
		return COMMANDS;
	}
	while (command < COMMANDS && strcmp(commands[command].word, argv[optind]) != 0)
		command++;
	if (command == COMMANDS) {
		complain("there is no command \"%s\"; status, log, show, diff, rollback, resync or resolve is right", argv[optind]);
		return COMMANDS;
	}
	for (optind++; optind < argc && w->operands < MAIN_OPERANDS; optind++)
		w->operand[w->operands++] = argv[optind];
	if (optind < argc || w->operands > commands[command].max)
		complain("\"%s\" is too many; right is: mailpair-config %s", argv[optind < argc ? optind : argc - 1], commands[command].form);
	else if (w->operands < commands[command].min)
		complain("%s needs more; right is: mailpair-config %s", commands[command].word, commands[command].form);
	else
		return command;
	return COMMANDS;
}

/* ---------------------------------------------------------------- run */

/* Whoever started us with a pipe or a socket for standard input has something to say. */
int
main_run(const struct wish *w)
{
	struct stat st;
	struct desk_setup setup = { .conf = w->conf != NULL ? w->conf : MAIN_CONF, .node = w->node, .root = w->root,
		.lines = fstat(STDIN_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) };

	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);		/* scan.h */
	return desk_run(&setup);
}

int
main(int argc, char **argv)
{
	struct wish w = { .conf = NULL };
	size_t command;
	int status;

	if (argc > 1 && strcmp(argv[1], DESK_NET_CHILD) == 0)
		return net_child_main();
	command = arguments(argc, argv, &w);
	signal(SIGPIPE, SIG_DFL);
	if (command == COMMANDS)
		return EXIT_CANNOT;
	status = commands[command].run(&w);
	if (fflush(stdout) == EOF || ferror(stdout)) {
		complain("standard output cannot be written: %s", strerror(errno));
		return EXIT_CANNOT;
	}
	return status;
}
