/*
 * supervisor/ctl_ask.c - commands that mailpaird carries out: from arguments to a request line.
 *
 * Runs in the program mailpair and blocks until the command has ended. Whether a command is safe is
 * for mailpaird to judge; only the question to the person stands here.
 */
#include "supervisor/ctl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"

static int
bad_duration(const struct ctl *ctl, const char *text)
{
	return ctl_usage(
	    ctl, "\"%s\" is no duration: write it like 500ms, 30s, 10min or 2h.", text);
}

int
ctl_plain(const struct ctl *ctl)
{
	struct ctl_request request;

	ctl_request(&request, ctl->command->name);
	return ctl_ask(ctl, &request);
}

int
ctl_switchover(const struct ctl *ctl)
{
	const char *to = ctl_option(ctl, "--to"), *timeout = ctl_option(ctl, "--timeout");
	struct ctl_request request;
	uint32_t ms;

	ctl_request(&request, "switchover");
	if (to != NULL)
		ctl_request_add(&request, "to", to);
	if (timeout != NULL) {
		if (!conf_duration(timeout, &ms))
			return bad_duration(ctl, timeout);
		ctl_request_addf(&request, "timeout", "%u", ms);
	}
	return ctl_ask(ctl, &request);
}

int
ctl_maintenance(const struct ctl *ctl)
{
	static const char *const states[] = { "on", "off", NULL };
	const char *state = ctl->operand[0], *duration = ctl_option(ctl, "--for");
	struct ctl_request request;
	uint32_t ms;

	if (!ctl_one_of(state, states))
		return ctl_usage(ctl, "Maintenance can be on or off, not \"%s\".", state);
	ctl_request(&request, "maintenance");
	ctl_request_add(&request, "state", state);
	if (duration != NULL) {
		if (strcmp(state, "on") != 0)
			return ctl_usage(ctl, "--for belongs to \"maintenance on\".");
		if (!conf_duration(duration, &ms) || ms == 0)
			return bad_duration(ctl, duration);
		ctl_request_addf(&request, "for", "%u", ms);
	}
	return ctl_ask(ctl, &request);
}

/* True: the person typed exactly this name. */
static bool
typed(const char *name)
{
	char line[256];

	fprintf(stderr,
	    "If %s still runs, both nodes will write to the spool and mail will be lost.\n"
	    "Look at the machine itself, not at a ping: is its power off?\n"
	    "Type the name of the node to vouch that it is: ",
	    name);
	fflush(stderr);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return false;
	line[strcspn(line, "\n")] = '\0';
	return strcmp(line, name) == 0;
}

int
ctl_confirm_dead(const struct ctl *ctl)
{
	const char *node = ctl->operand[0], *yes = ctl_option(ctl, "--yes");
	struct ctl_request request;

	if (yes != NULL && strcmp(yes, node) != 0)
		return ctl_fail(CTL_REFUSED,
		    "Refused: --yes names \"%s\", but the command is about \"%s\". Nothing was "
		    "done.",
		    yes, node);
	if (yes == NULL && !isatty(STDIN_FILENO))
		return ctl_fail(CTL_REFUSED,
		    "Refused: there is no terminal to ask. A script that knows that %s is "
		    "powered off says: mailpair confirm-dead %s --yes %s",
		    node, node, node);
	if (yes == NULL && !typed(node))
		return ctl_fail(CTL_REFUSED,
		    "Not confirmed: the name of the node was not typed. Nothing was done.");
	ctl_request(&request, "confirm-dead");
	ctl_request_add(&request, "node", node);
	return ctl_ask(ctl, &request);
}

int
ctl_fence(const struct ctl *ctl)
{
	static const char *const actions[] = { "status", "off", "on", "reset", "test", NULL };
	const char *action = NULL;
	struct ctl_request request;
	char option[16];

	for (size_t i = 0; actions[i] != NULL; i++) {
		snprintf(option, sizeof(option), "--%s", actions[i]);
		if (ctl_option(ctl, option) == NULL)
			continue;
		if (action != NULL)
			return ctl_usage(
			    ctl, "Only one of --%s and --%s can be done.", action, actions[i]);
		action = actions[i];
	}
	ctl_request(&request, "fence");
	ctl_request_add(&request, "node", ctl->operand[0]);
	ctl_request_add(&request, "action", action != NULL ? action : "status");
	return ctl_ask(ctl, &request);
}

static int
ask_to_do(const struct ctl *ctl, const char *const *words)
{
	struct ctl_request request;

	if (!ctl_one_of(ctl->operand[0], words))
		return ctl_usage(
		    ctl, "The command %s cannot \"%s\".", ctl->command->name, ctl->operand[0]);
	ctl_request(&request, ctl->command->name);
	ctl_request_add(&request, "do", ctl->operand[0]);
	return ctl_ask(ctl, &request);
}

int
ctl_services(const struct ctl *ctl)
{
	static const char *const words[] = { "start", "stop", "status", "restart", NULL };

	if (strcmp(ctl->operand[0], "may-start") == 0)	/* for units and scripts; see mailpair(8) */
		return ctl_may_start(ctl);
	return ask_to_do(ctl, words);
}

int
ctl_cluster(const struct ctl *ctl)
{
	static const char *const words[] = { "start", "stop", "status", NULL };

	return ask_to_do(ctl, words);
}
