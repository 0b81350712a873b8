/*
 * supervisor/serve_why.c - the requests "why" and "whatif" of the control socket: facts from the engine, sentences from
 * why.c and whatif.c. Changes nothing. Runs in mailpaird's supervisor process; nothing here blocks.
 */
#include <stdlib.h>

#include "common/clock.h"
#include "supervisor/serve.h"

static void
out_of_memory(struct client *cl, bool json)
{
	serve_answer(cl, json, 2, NULL, "out of memory");
}

void
serve_why(struct serve *s, struct client *cl, const struct control_request *req)
{
	struct why_facts *facts = malloc(sizeof(*facts));
	struct why *why = malloc(sizeof(*why));
	char at[CLOCK_RFC3339_MAX], *buf = NULL;
	size_t len = 0;

	if (facts != NULL && why != NULL) {
		engine_why(s->engine, facts);
		why_explain(facts, clock_rfc3339(facts->entered.wall_ms, at), why);
		len = (req->json ? why_json : why_text)(facts, why, NULL, 0);
		buf = malloc(len + 1);
	}
	if (buf == NULL) {
		out_of_memory(cl, req->json);
	} else {
		(req->json ? why_json : why_text)(facts, why, buf, len + 1);
		client_out(cl, buf);
		client_end(cl, 0);
	}
	free(facts);
	free(why);
	free(buf);
}

void
serve_whatif(struct serve *s, struct client *cl, const struct control_request *req)
{
	struct whatif_world *world = malloc(sizeof(*world));
	struct whatif *steps = malloc(sizeof(*steps));
	const char *events = control_arg(req, "events");
	struct err err = { .text = "" };
	char *buf = NULL;
	size_t len = 0;
	bool known = true;

	if (world != NULL && steps != NULL) {
		engine_whatif(s->engine, world);
		known = whatif_run(world, events != NULL ? events : "", steps, &err);
		len = (req->json ? whatif_json : whatif_text)(world, steps, NULL, 0);
		buf = malloc(len + 1);
	}
	if (buf == NULL) {
		out_of_memory(cl, req->json);
	} else if (!known) {
		serve_answer(cl, req->json, 2, NULL, err.text);
	} else {
		(req->json ? whatif_json : whatif_text)(world, steps, buf, len + 1);
		client_out(cl, buf);
		client_end(cl, 0);
	}
	free(world);
	free(steps);
	free(buf);
}
