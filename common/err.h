/*
 * common/err.h - one error as a value: an errno (or 0) and one sentence for a person.
 *
 * The callee describes, the handler that decides logs it, once. Text has no newline and names its
 * subject (which file, which device, which node). Outputs named ret_* are untouched on failure.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdbool.h>

struct err {
	int	sys;		/* errno, or 0 where no system call is to blame */
	char	text[512];
};

/* Fill *err (may be NULL) from a format; appends ": strerror(sys)" where sys is not 0. Returns false. */
bool	err_set(struct err *err, int sys, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
