/*
 * supervisor/ctl.h - the command line program mailpair: what its files share.
 *
 *   ctl.c		the table of commands, the arguments, help
 *   ctl_client.c	the conversation with mailpaird
 *   ctl_ask.c		commands that mailpaird carries out
 *   ctl_status.c	status, top, and the question whether mail may be started by hand
 *   ctl_history.c	the journal, read without mailpaird
 *   ctl_why.c	why and what if; a recorded incident against this version
 *   ctl_local.c	keygen, check, version
 *   ctl_program.c	commands that are programs of their own: queue, config
 *
 * Everything here blocks: it is a program of its own, and no part of mailpaird.
 */
#ifndef SUPERVISOR_CTL_H
#define SUPERVISOR_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "supervisor/control.h"

#define CTL_CONF "/etc/mailpair/mailpair.conf"
#define CTL_RUN_DIR "/run/mailpair"
#define CTL_STATE_DIR "/var/lib/mailpair"
#define CTL_OPTIONS_MAX 6
#define CTL_OPERANDS_MAX 32

/* Exit status, as the contract has it. */
enum ctl_exit {
	CTL_DONE,		/* done, consistent, healthy */
	CTL_NO,			/* the answer is no, or problems were found */
	CTL_CANNOT,		/* wrong usage, or cannot be done here */
	CTL_REFUSED		/* would be unsafe */
};

struct ctl_option {
	const char	*name;	/* "--to", "-n" */
	const char	*value;	/* what it takes, for help; NULL: nothing */
};

struct ctl;
struct ctl_command {
	const char		*name, *synopsis, *summary, *help;
	struct ctl_option	 option[CTL_OPTIONS_MAX];
	size_t			 operands_min, operands_max;
	const char		*program;	/* what follows is for this program: NULL: none */
	int			(*run)(const struct ctl *);	/* NULL: not in this version */
};

struct ctl {
	bool			 json, help, version;
	const char		*socket, *conf, *node;	/* as given, or NULL */
	const struct ctl_command *command;
	const char		*operand[CTL_OPERANDS_MAX];
	size_t			 operands;
	const char		*option[CTL_OPTIONS_MAX];	/* as command->option; NULL: not given; flags: "" */
	char			**rest;		/* for command->program, ended by NULL */
};
/* What was given for an option of the command, or NULL. */
const char *ctl_option(const struct ctl *, const char *name);
/* A sentence to standard error, begun with "mailpair: ". Returns the exit status given. */
int	ctl_fail(enum ctl_exit, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Wrong usage: the sentence, and where the right one stands. Returns CTL_CANNOT. */
int	ctl_usage(const struct ctl *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Is the word one of these (ended by NULL)? */
bool	ctl_one_of(const char *word, const char *const *words);

/* ctl_client.c */
struct ctl_request {
	char	line[CONTROL_LINE_MAX + 1];
	size_t	len;
	bool	too_long;
};
void	ctl_request(struct ctl_request *, const char *command);
void	ctl_request_add(struct ctl_request *, const char *key, const char *value);
void	ctl_request_addf(struct ctl_request *, const char *key, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

typedef void ctl_line_f(void *arg, char kind, const char *text);	/* 'o' or 'e' */
/* Lines are handed over as they come. Waits for at most quiet_ms without any (-1: for ever). Returns
 * mailpaird's exit code, or -1 with a sentence that says what to do. */
int	ctl_talk(const struct ctl *, const struct ctl_request *, int quiet_ms, ctl_line_f *, void *arg, struct err *);
/* The same with lines printed as they come; with --json there is always a document. */
int	ctl_ask(const struct ctl *, const struct ctl_request *);
/* Directories of the configuration, where it can be read, else the defaults; --conf must be readable. */
bool	ctl_directory(const struct ctl *, bool state, char *buf, size_t size, struct err *);

/* What the commands do: one function each. */
int	ctl_status(const struct ctl *);
int	ctl_top(const struct ctl *);
int	ctl_may_start(const struct ctl *);
int	ctl_switchover(const struct ctl *);
int	ctl_plain(const struct ctl *);		/* standby, online, reload, why */
int	ctl_maintenance(const struct ctl *);
int	ctl_confirm_dead(const struct ctl *);
int	ctl_fence(const struct ctl *);
int	ctl_services(const struct ctl *);
int	ctl_cluster(const struct ctl *);
int	ctl_history(const struct ctl *);
int	ctl_whatif(const struct ctl *);
int	ctl_replay(const struct ctl *);
int	ctl_keygen(const struct ctl *);
int	ctl_check(const struct ctl *);
int	ctl_version(const struct ctl *);
int	ctl_program(const struct ctl *);	/* returns only when the program cannot be run */

#endif
