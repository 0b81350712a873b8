/*
 * supervisor/serve.h - requests of the control socket, carried out on the engine. A request that starts a transition
 * is answered line by line as its steps happen, and ended when the outcome is known or its time is over (the
 * transition itself goes on). Nothing here blocks.
 */
#ifndef SUPERVISOR_SERVE_H
#define SUPERVISOR_SERVE_H

#include "supervisor/config_child.h"
#include "supervisor/control.h"
#include "supervisor/engine.h"
#include "supervisor/upkeep.h"

struct serve {
	struct engine	*engine;
	/* a checked reload, carried out by main: answers through client_* and ends the client itself */
	void		(*reload)(void *arg, struct client *, bool json);
	void		*reload_arg;
	const struct config_child *config;	/* NULL: none */
	const struct upkeep *upkeep;	/* NULL: nothing is known of the node's own records */
};

/*
 * The end of a request: one sentence (code 0 to standard output, else to standard error), or one document with it.
 * steps: lines for the document, may be NULL.
 */
void	serve_answer(struct client *, bool json, int code, const char *steps, const char *text);
/* serve_why.c: two of them; nothing is changed by either */
void	serve_why(struct serve *, struct client *, const struct control_request *);
void	serve_whatif(struct serve *, struct client *, const struct control_request *);
/* A control_handler_f; arg is a struct serve that outlives the socket. */
void	serve_request(void *arg, struct client *, const struct control_request *);

#endif
