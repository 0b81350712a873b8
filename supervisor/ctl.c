/*
 * supervisor/ctl.c - mailpair, the command line: the table of commands, the arguments, help.
 *
 * Runs in a terminal, from scripts and from cron. What a command does stands in ctl_*.c; what it means
 * is mailpaird's. Options may stand before or after the command; "--" ends them.
 */
#include "supervisor/ctl.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/whatif.h"

static const struct ctl_option global_options[] = {
	{ "--json", NULL }, { "--help", NULL }, { "-h", NULL }, { "--version", NULL }, { "--socket", "PATH" },
	{ "--conf", "FILE" }, { "--node", "NAME" },
};

static const struct ctl_command commands[] = {
	{ .name = "status", .synopsis = "status", .run = ctl_status,
	    .summary = "both nodes, roles, links, storage, mail, and what to do next",
	    .help = "Exit status 1 where anything is not healthy." },
	{ .name = "top", .synopsis = "top", .run = ctl_top,
	    .summary = "the same, live in the terminal; q ends it" },
	{ .name = "switchover", .synopsis = "switchover [--to NODE] [--timeout T]", .run = ctl_switchover,
	    .summary = "move mail to the other node, as planned work",
	    .help = "Prints each step with its time. Refuses (3) where the other node could not take over.\n"
	    "When it is interrupted, the move itself goes on.",
	    .option = { { "--to", "NODE" }, { "--timeout", "T" } } },
	{ .name = "standby", .synopsis = "standby", .run = ctl_plain,
	    .summary = "this node gives mail up and stays away until \"online\"" },
	{ .name = "online", .synopsis = "online", .run = ctl_plain,
	    .summary = "this node may own mail again" },
	{ .name = "maintenance", .synopsis = "maintenance on|off [--for T]", .run = ctl_maintenance,
	    .summary = "nothing is moved, restarted or fenced while it is on",
	    .help = "With --for it ends by itself: 30min, 2h.",
	    .option = { { "--for", "T" } }, .operands_min = 1, .operands_max = 1 },
	{ .name = "confirm-dead", .synopsis = "confirm-dead NODE [--yes NODE]", .run = ctl_confirm_dead,
	    .summary = "you vouch that NODE is powered off; mail may be taken from it",
	    .help = "Asks to type the name of the node; --yes NODE is for scripts. If NODE still runs, both nodes\n"
	    "will write to the spool and mail will be lost.",
	    .option = { { "--yes", "NODE" } }, .operands_min = 1, .operands_max = 1 },
	{ .name = "fence", .synopsis = "fence NODE [--status|--off|--on|--reset|--test]", .run = ctl_fence,
	    .summary = "use the fence devices of NODE by hand",
	    .help = "--status (default) asks for its power, --off, --on and --reset switch it, --test rehearses a\n"
	    "takeover's fence; status shows the date of the last test.",
	    .option = { { "--status", NULL }, { "--off", NULL }, { "--on", NULL }, { "--reset", NULL },
	    { "--test", NULL } }, .operands_min = 1, .operands_max = 1 },
	{ .name = "services", .synopsis = "services start|stop|status|restart", .run = ctl_services,
	    .summary = "the mail services only", .operands_min = 1, .operands_max = 1 },
	{ .name = "cluster", .synopsis = "cluster start|stop|status", .run = ctl_cluster,
	    .summary = "the storage only: take and mount, or unmount and release",
	    .operands_min = 1, .operands_max = 1 },
	{ .name = "why", .synopsis = "why", .run = ctl_plain,
	    .summary = "why this node is in its role, what stands against a move, and what would change that" },
	{ .name = "whatif", .synopsis = "whatif EVENT...", .run = ctl_whatif,
	    .summary = "what would be decided if these things happened, one after the other; nothing is done",
	    .help = "Each EVENT is one argument: mailpair whatif 'link cross down' 'peer power off'. What the world would\n"
	    "have to answer is shown as \"if\". Events: " WHATIF_WORDS ".",
	    .operands_min = 1, .operands_max = CTL_OPERANDS_MAX },
	{ .name = "replay", .synopsis = "replay FILE", .run = ctl_replay,
	    .summary = "would this version decide a recorded incident otherwise? (1: yes)",
	    .help = "FILE is what \"mailpair history --export\" wrote, of any version; - is standard input. Needs no mailpaird.",
	    .operands_min = 1, .operands_max = 1 },
	{ .name = "history", .synopsis = "history [-n N] [--steps|--export] [--journal FILE]", .run = ctl_history,
	    .summary = "transitions, why they were made and how long each step took",
	    .help = "Reads the journal itself, so it works without mailpaird. N is 10 by default.\n"
	    "--export writes the last N (100) changes of role for \"mailpair replay\".",
	    .option = { { "-n", "N" }, { "--steps", NULL }, { "--export", NULL }, { "--journal", "FILE" } } },
	{ .name = "reload", .synopsis = "reload", .run = ctl_plain,
	    .summary = "take a new configuration whole, or keep the old one" },
	{ .name = "check", .synopsis = "check", .run = ctl_check,
	    .summary = "print all mistakes of the configuration (as mailpaird -t)" },
	{ .name = "keygen", .synopsis = "keygen [--add FILE]", .run = ctl_keygen,
	    .summary = "print an authkeys file with a fresh key, or add one to FILE",
	    .help = "A key that was added is accepted, but not yet used. Put FILE on both nodes and reload both,\n"
	    "then change its \"auth\" line on both and reload again: so keys change without a gap.",
	    .option = { { "--add", "FILE" } } },
	{ .name = "queue", .synopsis = "queue check|list [OPTIONS]", .program = "mailpair-queue", .run = ctl_program,
	    .summary = "is a mail queue whole, and what is in it (runs mailpair-queue; needs no mailpaird)" },
	{ .name = "config", .synopsis = "config COMMAND [OPTIONS]", .program = "mailpair-config", .run = ctl_program,
	    .summary = "the synchronised configuration: log, show, diff, ... (runs mailpair-config)" },
	{ .name = "version", .synopsis = "version", .run = ctl_version, .summary = "print the version" },
	{ .name = "connector" }, { .name = "doctor" }, { .name = "drbd" },
	{ .name = "import" }, { .name = "report" },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void __attribute__((format(printf, 1, 0)))
complain(const char *fmt, va_list ap)
{
	fputs("mailpair: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int
ctl_fail(enum ctl_exit code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	return (int)code;
}

int
ctl_usage(const struct ctl *ctl, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	if (ctl->command != NULL && ctl->command->run != NULL)
		fprintf(stderr, "Usage: mailpair %s\n", ctl->command->synopsis);
	else
		fputs("The list of commands: mailpair --help\n", stderr);
	return CTL_CANNOT;
}

bool
ctl_one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

const char *
ctl_option(const struct ctl *ctl, const char *name)
{
	for (size_t i = 0; i < CTL_OPTIONS_MAX; i++)
		if (ctl->command->option[i].name != NULL && strcmp(ctl->command->option[i].name, name) == 0)
			return ctl->option[i];
	return NULL;
}

static void
print_help(void)
{
	puts("mailpair - two mail servers that look after each other\n\n"
	    "Usage: mailpair [OPTIONS] COMMAND [ARGUMENTS]\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		if (commands[i].run == NULL)
			continue;
		printf("  %s\n        %s\n", commands[i].synopsis, commands[i].summary);
	}
	fputs("\nNot in this version:", stdout);
	for (size_t i = 0; i < COMMANDS; i++)
		if (commands[i].run == NULL)
			printf(" %s", commands[i].name);
	puts("\n\nOptions:\n"
	    "  --json          one JSON document on standard output\n"
	    "  --help          this text; after a command: about that command\n"
	    "  --socket PATH   control socket of mailpaird (" CTL_RUN_DIR "/control.sock)\n"
	    "  --conf FILE     configuration (" CTL_CONF ")\n"
	    "  --node NAME     be this node of the configuration, not the one of the host name\n\n"
	    "Exit status: 0 done, healthy; 1 no, problems found; 2 wrong usage or cannot be\n"
	    "done here; 3 refused because it would be unsafe.");
}

static void
print_command_help(const struct ctl_command *command)
{
	printf("Usage: mailpair [OPTIONS] %s\n\n%s\n", command->synopsis, command->summary);
	if (command->help != NULL)
		printf("%s\n", command->help);
	puts("\nExit status: 0 done, healthy; 1 no, problems found; 2 wrong usage or cannot be\n"
	    "done here; 3 refused because it would be unsafe. More: man mailpair");
}

/* Does this argument spell the option? *ret_value: what stands behind "=" or a short option, or NULL. */
static bool
spells(const char *argument, const char *name, const char **ret_value)
{
	size_t len = strlen(name);

	if (strncmp(argument, name, len) != 0)
		return false;
	if (argument[len] == '\0')
		*ret_value = NULL;
	else if (name[1] == '-' && argument[len] == '=')
		*ret_value = argument + len + 1;
	else if (name[1] != '-')
		*ret_value = argument + len;
	else
		return false;
	return true;
}

static void
set_global(struct ctl *ctl, const char *name, const char *value)
{
	if (strcmp(name, "--json") == 0)
		ctl->json = true;
	else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		ctl->help = true;
	else if (strcmp(name, "--version") == 0)
		ctl->version = true;
	else if (strcmp(name, "--socket") == 0)
		ctl->socket = value;
	else if (strcmp(name, "--conf") == 0)
		ctl->conf = value;
	else
		ctl->node = value;
}

/* One option, with its value from the same or the next argument. 0: taken; else the exit status. */
static int
take_option(struct ctl *ctl, char **argv, int argc, int *at)
{
	const char *argument = argv[*at], *value = NULL;
	const struct ctl_option *option = NULL;
	size_t own = CTL_OPTIONS_MAX;

	for (size_t i = 0; ctl->command != NULL && i < CTL_OPTIONS_MAX && option == NULL; i++) {
		if (ctl->command->option[i].name != NULL &&
		    spells(argument, ctl->command->option[i].name, &value)) {
			option = &ctl->command->option[i];
			own = i;
		}
	}
	for (size_t i = 0; i < sizeof(global_options) / sizeof(global_options[0]) && option == NULL; i++)
		if (spells(argument, global_options[i].name, &value))
			option = &global_options[i];
	if (option == NULL)
		return ctl_usage(ctl, "There is no option \"%s\"%s%s.", argument,
		    ctl->command != NULL ? " of the command " : "", ctl->command != NULL ? ctl->command->name : "");
	if (option->value == NULL && value != NULL)
		return ctl_usage(ctl, "The option %s takes no value.", option->name);
	if (option->value != NULL && value == NULL) {
		if (*at + 1 >= argc)
			return ctl_usage(ctl, "The option %s needs %s after it.", option->name, option->value);
		value = argv[++*at];
	}
	if (own < CTL_OPTIONS_MAX)
		ctl->option[own] = value != NULL ? value : "";
	else
		set_global(ctl, option->name, value);
	return 0;
}

static int
take_word(struct ctl *ctl, const char *word)
{
	if (ctl->command != NULL) {
		if (ctl->operands == CTL_OPERANDS_MAX)
			return ctl_usage(ctl, "\"%s\" is one argument too many.", word);
		ctl->operand[ctl->operands++] = word;
		return 0;
	}
	if (strcmp(word, "help") == 0) {
		ctl->help = true;
		return 0;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, word) == 0) {
			ctl->command = &commands[i];
			return 0;
		}
	}
	return ctl_usage(ctl, "There is no command \"%s\".", word);
}

static int
parse_arguments(struct ctl *ctl, int argc, char **argv)
{
	bool options = true;
	int code = 0;

	for (int i = 1; i < argc && code == 0; i++) {
		if (ctl->command != NULL && ctl->command->run == NULL)
			break;			/* not in this version: whatever follows */
		if (ctl->command != NULL && ctl->command->program != NULL) {
			ctl->rest = argv + i;	/* its words and options are its own */
			break;
		}
		if (options && strcmp(argv[i], "--") == 0)
			options = false;
		else if (options && argv[i][0] == '-' && argv[i][1] != '\0')
			code = take_option(ctl, argv, argc, &i);
		else
			code = take_word(ctl, argv[i]);
	}
	return code;
}

int
main(int argc, char **argv)
{
	struct ctl ctl = { .json = false };
	int code = parse_arguments(&ctl, argc, argv);

	signal(SIGPIPE, SIG_IGN);	/* mailpaird may go away while we speak to it */
	if (code != 0)
		return code;
	if (ctl.command != NULL && ctl.command->run == NULL)
		return ctl_fail(CTL_CANNOT, "The command \"%s\" is not in this version (%s) of mailpair.",
		    ctl.command->name, MAILPAIR_VERSION);
	if (ctl.command != NULL && ctl.command->program != NULL)
		return ctl_program(&ctl);
	if (ctl.help) {
		if (ctl.command != NULL)
			print_command_help(ctl.command);
		else
			print_help();
		return CTL_DONE;
	}
	if (ctl.version)
		return ctl_version(&ctl);
	if (ctl.command == NULL)
		return ctl_usage(&ctl, "A command is missing.");
	if (ctl.operands < ctl.command->operands_min)
		return ctl_usage(&ctl, "The command %s needs an argument.", ctl.command->name);
	if (ctl.operands > ctl.command->operands_max)
		return ctl_usage(&ctl, "\"%s\" is one argument too many.", ctl.operand[ctl.command->operands_max]);
	code = ctl.command->run(&ctl);
	if (fflush(stdout) != 0 || ferror(stdout))
		return ctl_fail(CTL_CANNOT, "Standard output could not be written.");
	return code;
}
