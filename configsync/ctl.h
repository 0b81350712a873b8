/*
 * configsync/ctl.h - the socket of a running mailpair-config: <run-dir>/config.sock. A question comes in, rows go out. The serving half
 * never blocks; the asking half (ctl_call()) does.
 *
 * Question:  lines "COMMAND\n", "KEY VALUE\n" ..., "\n"; at most CTL_QUESTION_MAX bytes in all. A key may come again.
 * Answer:    lines "KIND\tKEY=VALUE\tKEY#NUMBER\tKEY?yes|no|unknown ...\n": a row each, rows of a kind one after the other; the kind "-" is
 *            said of the whole. A line that begins with "." is the last: ".\tcode#EXIT\ttext=SENTENCE".
 * Values hold any bytes but NUL; "%", control characters and DEL are written as "%" and two hexadecimal digits.
 * Who may: root and ourselves; the members of the socket's group may ask for the status, and nothing that changes a file.
 */
#ifndef CONFIGSYNC_CTL_H
#define CONFIGSYNC_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/fact.h"
#include "common/loop.h"

#define CTL_QUESTION_MAX (256u * 1024)
#define CTL_ARGS_MAX 4096
#define CTL_ANSWER_MAX (16u * 1024 * 1024)	/* that wait for a client */
#define CTL_CLIENTS_MAX 16
#define CTL_PATIENCE_MS 10000			/* for the rest of a question, or until some of the answer is taken */

/* ---------------------------------------------------------------- the serving half */

struct ctl_request {
	const char	*command;		/* "status", "resync", "resolve", "rollback" */
	struct { const char *key, *value; } *arg;
	size_t		 args;
	uint32_t	 uid;
};
/* The first value of key, NULL: it was not given. */
const char *ctl_arg(const struct ctl_request *, const char *key);
/* Pure: cuts text (with a NUL behind it) in place. arg is malloc'd, free with ctl_request_free(). False: *err says what is wrong. */
bool	ctl_parse(char *text, struct ctl_request *ret, struct err *);
void	ctl_request_free(struct ctl_request *);

struct ctl;
struct ctl_reply;
/* The request is valid during the call only. The handler answers now or later, and ends with ctl_end(), even where ctl_gone(). */
typedef void ctl_asked_f(void *arg, const struct ctl_request *, struct ctl_reply *);

/* 0660 root:group (NULL: none); a socket that nobody listens on is replaced, another one is an error. */
struct ctl *ctl_new(struct loop *, const char *path, const char *group, ctl_asked_f *, void *arg, struct err *);
/* Replies that a handler still owes an end stay valid; their connections are closed. NULL is allowed. */
void	ctl_free(struct ctl *);
/* For clients that come from now on. */
void	ctl_patience(struct ctl *, uint32_t ms);

void	ctl_row(struct ctl_reply *, const char *kind);	/* begins a row; what is said next belongs to it */
void	ctl_say(struct ctl_reply *, const char *key, const char *value);	/* NULL: nothing is said */
void	ctl_sayf(struct ctl_reply *, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void	ctl_count(struct ctl_reply *, const char *key, uint64_t value);
void	ctl_fact(struct ctl_reply *, const char *key, enum fact value);
/* code: exit status of the contract; the sentence may be "". */
void	ctl_end(struct ctl_reply *, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool	ctl_gone(const struct ctl_reply *);

/* ---------------------------------------------------------------- the asking half */

enum ctl_type { CTL_TEXT, CTL_NUMBER, CTL_FACT };
struct ctl_value { const char *key, *text; enum ctl_type type; };	/* text: of a fact "yes", "no", "unknown" */
#define CTL_VALUES_MAX 32
struct ctl_line { const char *kind; struct ctl_value value[CTL_VALUES_MAX]; size_t values; };
const char *ctl_value(const struct ctl_line *, const char *key);	/* NULL: not there */
/* Pure: one line of an answer without its end, cut in place. */
bool	ctl_line_parse(char *text, struct ctl_line *ret, struct err *);

/* keys and values in turn, ends with NULL */
struct ctl_question { const char *command; const char *const *args; };
/*
 * Asks and gives each row to told(); the last line, which tells the exit status, is returned with its sentence in text. -1 with *err:
 * nobody answers (err.sys ENOENT, ECONNREFUSED), or not as it should. Blocks until the answer is there.
 */
int	ctl_call(const char *path, const struct ctl_question *, void (*told)(void *, const struct ctl_line *), void *arg, char *text, size_t size,
	    struct err *);

#endif
