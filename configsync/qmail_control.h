/*
 * configsync/qmail_control.h - is a control file of qmail one that its programs read as it is meant? Pure.
 *
 * qmail itself says little: a number that is none is the default, a line with a carriage return at its end matches nothing.
 * Source: the manual pages of qmail-control(5) and those it names, and control.c of netqmail 1.06.
 */
#ifndef CONFIGSYNC_QMAIL_CONTROL_H
#define CONFIGSYNC_QMAIL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

struct control_fault {
	unsigned int	line;		/* 0: the file as a whole */
	char		value[128];	/* the line as far as it can be printed, or "" */
	char		right[256];	/* what is wrong with it, and what would be right */
};

/* name: of the file in control/. True: valid; or no file that qmail knows, and text. */
bool	control_check(const char *name, const char *bytes, size_t len, struct control_fault *ret);
/* May this one go? */
bool	control_may_lack(const char *name, struct control_fault *ret);
bool	control_known(const char *name);
/* users/assign, by qmail-users(5). */
bool	assign_check(const char *bytes, size_t len, struct control_fault *ret);
/* aliases(5): where no program that would make a table of them is there. */
bool	aliases_check(const char *bytes, size_t len, struct control_fault *ret);

#endif
