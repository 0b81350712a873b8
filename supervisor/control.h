/*
 * supervisor/control.h - the control socket of mailpaird: one request line in, lines out. Never blocks:
 * output is buffered per client (CONTROL_OUT_MAX), a slow or silent client is cut after 10 s of nothing.
 *
 * Request:  "COMMAND key=value ... \n" (values percent-encoded), at most CONTROL_LINE_MAX bytes.
 * Reply:    lines "o TEXT" (standard output), "e TEXT" (standard error), and last "x EXITCODE".
 * Who may: members of the group by the socket's mode; SO_PEERCRED root or that group for all; nothing else.
 */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/loop.h"

#define CONTROL_LINE_MAX 1024
#define CONTROL_OUT_MAX (1024 * 1024)
#define CONTROL_CLIENTS_MAX 64
#define CONTROL_ARGS_MAX 16
#define CONTROL_PATIENCE_MS 10000

struct control_request {
	const char	*command;		/* "status", "switchover", ... */
	struct { const char *key, *value; } arg[CONTROL_ARGS_MAX];
	size_t		 args;
	bool		 json;			/* json=yes was among them */
};
const char *control_arg(const struct control_request *, const char *key);	/* NULL if absent */
/* Pure; cuts the line in place. False: *err says what is wrong with it. */
bool	control_parse(char *line, struct control_request *ret, struct err *);

struct control;
struct client;
/* The request is valid during the call only. The handler answers now or later, and ends with client_end(). */
typedef void control_handler_f(void *arg, struct client *, const struct control_request *);

/* socket path 0660 root:group (group may be NULL); a stale one is replaced, a live one is an error */
struct control	*control_new(struct loop *, const char *path, const char *group, control_handler_f *, void *arg, struct err *);
/* Clients that a handler still owes a client_end() stay valid; their connections are closed. */
void		 control_free(struct control *);
/* How long half a request or a reply that is not taken may last; for clients that come from now on. */
void		 control_patience(struct control *, uint64_t ms);

/* Text may have several lines. Harmless after the client went away. */
void	client_out(struct client *, const char *text);
void	client_outf(struct client *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void	client_errf(struct client *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void	client_end(struct client *, int exit_code);
/* The client stays valid until client_end(), even when its connection is gone. */
bool	client_gone(const struct client *);

#endif
