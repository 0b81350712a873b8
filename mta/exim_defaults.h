/*
 * mta/exim_defaults.h - how the distribution starts Exim: Debian's /etc/default/exim4, Red Hat's /etc/sysconfig/exim. They are
 * shell; plain assignments are understood, and anything else is left to the distribution's own script. Pure.
 */
#ifndef MTA_EXIM_DEFAULTS_H
#define MTA_EXIM_DEFAULTS_H

#include <stdbool.h>
#include <stddef.h>

#define EXIM_ARGS_MAX 24

/* Words of one command line behind the program's name, each with its NUL, one after another. */
struct exim_args { size_t len, used; bool full; char text[768]; };
/* The first word, and the one after a word; only len of them. */
const char *exim_args_next(const struct exim_args *, const char *word);

struct exim_defaults {
	struct exim_args daemon;	/* listens, and runs the queue unless there is a second process */
	struct exim_args runner;	/* the second process, which runs the queue only; len 0: there is none */
	bool		 off;		/* the distribution is told not to start Exim at all */
	bool		 listens;	/* the daemon takes mail */
	char		 odd[160];	/* why only the distribution's script can tell, or "" */
};

/* Without any such file: exim -bd -q30m. */
void	exim_defaults_none(struct exim_defaults *ret);
/* Of that file's text. */
void	exim_defaults_debian(struct exim_defaults *ret, const char *text);
void	exim_defaults_redhat(struct exim_defaults *ret, const char *text);

#endif
