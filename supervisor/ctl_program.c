/*
 * supervisor/ctl_program.c - commands that are programs of their own: mailpair becomes the program, whose exit status and
 * output are then the command's.
 */
#include "supervisor/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define ARGUMENTS_MAX 256

/* Beside this very program, so that a build or a second version runs its own. */
static bool
beside_us(const char *name, char *buf, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", buf, size - 1);
	char *slash;

	if (len <= 0)
		return false;
	buf[len] = '\0';
	slash = strrchr(buf, '/');
	if (slash == NULL || (size_t)(slash + 1 - buf) + strlen(name) + 1 > size)
		return false;
	memcpy(slash + 1, name, strlen(name) + 1);
	return true;
}

int
ctl_program(const struct ctl *ctl)
{
	const char *arguments[ARGUMENTS_MAX + 8] = { ctl->command->program };
	size_t n = 1;
	char path[4096];

	/* What stood in front of the command holds for it as well. */
	if (ctl->help)
		arguments[n++] = "--help";
	if (ctl->version)
		arguments[n++] = "--version";
	if (ctl->json)
		arguments[n++] = "--json";
	if (ctl->conf != NULL) {
		arguments[n++] = "--conf";
		arguments[n++] = ctl->conf;
	}
	if (ctl->node != NULL) {
		arguments[n++] = "--node";
		arguments[n++] = ctl->node;
	}
	for (char **rest = ctl->rest; rest != NULL && *rest != NULL; rest++) {
		if (n == ARGUMENTS_MAX)
			return ctl_usage(ctl, "These are too many arguments.");
		arguments[n++] = *rest;
	}
	if (!beside_us(ctl->command->program, path, sizeof(path)))
		return ctl_fail(CTL_CANNOT, "It is not known where this program is, so %s is not found.", ctl->command->program);
	execv(path, (char *const *)(const void *)arguments);
	return ctl_fail(CTL_CANNOT, "%s cannot be run: %s", path, strerror(errno));
}
