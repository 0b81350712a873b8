/*
 * common/err.c - fills struct err. Used by every process; nothing here blocks.
 *
 * The sentence is built aside first, so that err->text may itself be among the arguments
 * (wrapping an error of a deeper layer is one call).
 */
#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool
err_set(struct err *err, int sys, const char *fmt, ...)
{
	struct err made = { .sys = sys };
	va_list ap;
	size_t len;

	if (err == NULL)
		return false;
	va_start(ap, fmt);
	vsnprintf(made.text, sizeof(made.text), fmt, ap);
	va_end(ap);
	if (sys != 0) {
		len = strlen(made.text);
		snprintf(made.text + len, sizeof(made.text) - len, ": %s", strerror(sys));
	}
	/* One line for a person, whatever a command or a file name put into it. */
	for (char *c = made.text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	*err = made;
	return false;
}
