/*
 * supervisor/serve.c - see serve.h. Translates words into operations and outcomes into exit codes (contract: 0 done, 1 no,
 * 2 cannot, 3 refused as unsafe); judges nothing itself. Runs in mailpaird's supervisor process.
 */
#include "supervisor/serve.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "supervisor/engine_priv.h"

#define WAIT_DEFAULT_MS 60000
#define LINES_MAX 32768

/* What a waiting request waits for. */
enum goal {
	GOAL_NODE_ACTIVE,	/* a given node is active */
	GOAL_STOPPED,		/* this node has let go and stays away */
	GOAL_IDLE,		/* actions have ended; good: the mail program is in the wanted state */
	GOAL_HELD		/* the spool is held here */
};

struct wait {
	struct serve		*serve;
	struct client		*client;
	struct engine_watcher	 watcher;
	struct loop_timer	*timer;
	enum goal		 goal;
	int			 node;		/* GOAL_NODE_ACTIVE */
	bool			 want_mta;	/* GOAL_IDLE */
	bool			 json, begun;
	uint64_t		 began_ms;
	char			 lines[LINES_MAX];	/* what happened, for the JSON document */
	size_t			 lines_len;
};

/* ---------------------------------------------------------------- one document or one sentence */

static void
answer(struct client *cl, bool json, int code, const char *steps, const char *text)
{
	static const char *const results[] = { "done", "no", "cannot", "refused" };

	if (json) {
		char buf[LINES_MAX * 2];
		struct json j;

		json_init(&j, buf, sizeof(buf));
		json_object(&j, NULL);
		json_string(&j, "result", results[code]);
		json_string(&j, "message", text);
		json_array(&j, "steps");
		while (steps != NULL && *steps != '\0') {
			size_t n = strcspn(steps, "\n");
			char line[700];

			snprintf(line, sizeof(line), "%.*s", (int)n, steps);
			json_string(&j, NULL, line);
			steps += n + (steps[n] == '\n');
		}
		json_array_end(&j);
		json_object_end(&j);
		json_finish(&j);
		client_out(cl, buf);
	} else if (text[0] != '\0' && code == 0) {
		client_outf(cl, "%s", text);
	} else if (text[0] != '\0') {
		client_errf(cl, "%s", text);
	}
	client_end(cl, code);
}

static void
answer_result(struct client *cl, bool json, enum op_result result, const struct err *err, const char *done)
{
	switch (result) {
	case OP_DONE:
	case OP_STARTED:
		answer(cl, json, 0, NULL, err->text[0] != '\0' ? err->text : done);
		break;
	case OP_NO:
		answer(cl, json, 1, NULL, err->text);
		break;
	case OP_UNSAFE:
		answer(cl, json, 3, NULL, err->text);
		break;
	}
}

/* ---------------------------------------------------------------- waiting for an outcome */

static void
wait_over(struct wait *w, int code, const char *text)
{
	engine_unwatch(w->serve->engine, &w->watcher);
	loop_timer_free(w->timer);
	answer(w->client, w->json, code, w->lines, text);
	free(w);
}

static void
wait_timed_out(void *arg)
{
	struct wait *w = arg;

	wait_over(w, 1, "the time is over; what was begun goes on: see 'mailpair status'");
}

static void
wait_line(void *arg, const char *text)
{
	struct wait *w = arg;
	int n;

	if (!w->json) {
		client_outf(w->client, "%s", text);
		return;
	}
	n = snprintf(w->lines + w->lines_len, sizeof(w->lines) - w->lines_len, "%s\n", text);
	if (n > 0 && w->lines_len + (size_t)n < sizeof(w->lines))
		w->lines_len += (size_t)n;
	else
		w->lines[w->lines_len] = '\0';
}

static void
wait_node_active(struct wait *w)
{
	const struct engine *en = w->serve->engine;
	bool self = w->node == en->conf->self;
	enum role here = en->role, there = engine_peer_alive(en) ? en->peer.role : ROLE_JOINING;
	char text[256];

	if ((self ? here : there) == ROLE_ACTIVE && !engine_busy(en)) {
		snprintf(text, sizeof(text), "%s is active after %" PRIu64 " ms", en->conf->node[w->node], clock_mono_ms() - w->began_ms);
		wait_over(w, 0, text);
		return;
	}
	if (here == ROLE_FAILED) {
		wait_over(w, 1, "this node could not let go of the spool: see 'mailpair status'");
		return;
	}
	/* the other one is active again although it gave the spool away: the new one could not take it */
	if (!w->begun)
		w->begun = here == ROLE_RELEASING || here == ROLE_ACQUIRING || (!self && here == ROLE_STANDBY);
	else if ((self ? there : here) == ROLE_ACTIVE) {
		snprintf(text, sizeof(text), "%s could not take the spool; %s owns it again: see 'mailpair history' there", en->conf->node[w->node],
		    en->conf->node[1 - w->node]);
		wait_over(w, 1, text);
	} else if (self && here == ROLE_STANDBY && w->begun && en->last_error[0] != '\0') {
		snprintf(text, sizeof(text), "this node could not take the spool: %.200s", en->last_error);
		wait_over(w, 1, text);
	}
}

static void
wait_look(void *arg)
{
	struct wait *w = arg;
	const struct engine *en = w->serve->engine;

	switch (w->goal) {
	case GOAL_NODE_ACTIVE:
		wait_node_active(w);
		break;
	case GOAL_STOPPED:
		if (en->role == ROLE_STOPPED || en->role == ROLE_STANDBY)
			wait_over(w, 0, "this node has let go of everything");
		else if (en->role == ROLE_FAILED)
			wait_over(w, 1, "this node could not let go of the spool: see 'mailpair status'");
		break;
	case GOAL_IDLE:
		if (engine_busy(en))
			break;
		if ((en->hold.mta == FACT_YES) == w->want_mta)
			wait_over(w, 0, w->want_mta ? "the mail services run" : "the mail services are stopped");
		else
			wait_over(w, 1, en->last_error[0] != '\0' ? en->last_error : "it did not work: see 'mailpair status'");
		break;
	case GOAL_HELD:
		if (en->role == ROLE_ACTIVE && !engine_busy(en))
			wait_over(w, 0, "the spool is held here; 'mailpair services start' starts the mail services");
		else if (en->role == ROLE_RELEASING)
			wait_over(w, 1, en->last_error);
		break;
	}
}

static void
wait_begin(struct serve *s, struct client *cl, const struct control_request *req, enum goal goal, int node, bool want_mta)
{
	struct wait *w = calloc(1, sizeof(*w));
	const char *timeout = control_arg(req, "timeout");
	uint64_t ms = timeout != NULL ? strtoull(timeout, NULL, 10) : WAIT_DEFAULT_MS;

	if (w == NULL) {
		client_errf(cl, "out of memory");
		client_end(cl, 2);
		return;
	}
	*w = (struct wait){ .serve = s, .client = cl, .goal = goal, .node = node, .want_mta = want_mta, .json = req->json,
		.began_ms = clock_mono_ms() };
	w->watcher = (struct engine_watcher){ .line = wait_line, .role = wait_look, .arg = w };
	w->timer = loop_timer_new(s->engine->loop, wait_timed_out, w);
	loop_timer_in(w->timer, ms);
	engine_watch(s->engine, &w->watcher);
	wait_look(w);
}

/* ---------------------------------------------------------------- commands */

static void
req_status(struct serve *s, struct client *cl, const struct control_request *req)
{
	struct status *st = malloc(sizeof(*st));
	size_t size = 256 * 1024;
	char *buf = malloc(size);

	if (st == NULL || buf == NULL) {
		client_errf(cl, "out of memory");
		client_end(cl, 2);
	} else {
		engine_status(s->engine, st);
		if (s->journal_dropped != NULL)
			st->journal_dropped = s->journal_dropped(s->journal_arg);
		if (req->json)
			status_json(st, buf, size);
		else
			status_text(st, buf, size);
		client_out(cl, buf);
		client_end(cl, status_healthy(st) ? 0 : 1);
	}
	free(st);
	free(buf);
}

static void
req_switchover(struct serve *s, struct client *cl, const struct control_request *req)
{
	struct engine *en = s->engine;
	const char *to = control_arg(req, "to");
	struct err err = { .text = "" };
	enum op_result result;
	int node = to == NULL ? (en->role == ROLE_ACTIVE ? 1 - en->conf->self : en->conf->self) :
	    strcmp(to, en->conf->node[0]) == 0 ? 0 : 1;

	result = engine_op_switchover(en, to, &err);
	if (result == OP_STARTED)
		wait_begin(s, cl, req, GOAL_NODE_ACTIVE, node, true);
	else
		answer_result(cl, req->json, result, &err, "");
}

static void
req_confirm_dead(struct serve *s, struct client *cl, const struct control_request *req)
{
	struct engine *en = s->engine;
	const char *node = control_arg(req, "node");
	struct err err = { .text = "" };
	enum op_result result;

	result = engine_op_confirm_dead(en, node != NULL ? node : "", &err);
	if (result == OP_STARTED && en->role == ROLE_ACQUIRING)
		wait_begin(s, cl, req, GOAL_NODE_ACTIVE, en->conf->self, true);
	else
		answer_result(cl, req->json, result, &err, en->role == ROLE_ACTIVE ? "noted" :
		    "noted; this node does not take the spool now: see 'mailpair status'");
}

static void
req_services(struct serve *s, struct client *cl, const struct control_request *req)
{
	struct engine *en = s->engine;
	const char *what = control_arg(req, "do");
	struct err err = { .text = "" };
	enum op_result result;
	bool start, runs = en->role == ROLE_ACTIVE && en->hold.mta == FACT_YES;

	if (what != NULL && strcmp(what, "status") == 0) {
		answer(cl, req->json, runs ? 0 : 1, NULL, runs ? "running" : "stopped");
		return;
	}
	if (what == NULL || (strcmp(what, "start") != 0 && strcmp(what, "stop") != 0 && strcmp(what, "restart") != 0)) {
		answer(cl, req->json, 2, NULL, "services: start, stop, restart or status");
		return;
	}
	start = strcmp(what, "stop") != 0;
	if (strcmp(what, "restart") == 0 && en->role == ROLE_ACTIVE && !engine_busy(en)) {
		en->state.services_stopped = false;
		en->restart_ordered = en->mta_died = true;	/* offered as "mta down" at the next turn, without using up the budget */
		en->restarts = 0;
		engine_consider(en);
		wait_begin(s, cl, req, GOAL_IDLE, 0, true);
		return;
	}
	result = engine_op_services(en, start, &err);
	if (result == OP_STARTED)
		wait_begin(s, cl, req, GOAL_IDLE, 0, start);
	else
		answer_result(cl, req->json, result, &err, "");
}

static void
req_cluster(struct serve *s, struct client *cl, const struct control_request *req)
{
	struct engine *en = s->engine;
	const char *what = control_arg(req, "do");
	struct err err = { .text = "" };
	enum op_result result;

	if (what != NULL && strcmp(what, "status") == 0) {
		answer(cl, req->json, en->hold.storage == FACT_YES ? 0 : 1, NULL, en->hold.storage == FACT_YES ? "running (held)" :
		    en->hold.storage == FACT_NO ? "stopped (not held)" : "unknown");
		return;
	}
	if (what == NULL || (strcmp(what, "start") != 0 && strcmp(what, "stop") != 0)) {
		answer(cl, req->json, 2, NULL, "cluster: start, stop or status");
		return;
	}
	result = engine_op_cluster(en, strcmp(what, "start") == 0, &err);
	if (result == OP_STARTED)
		wait_begin(s, cl, req, strcmp(what, "start") == 0 ? GOAL_HELD : GOAL_STOPPED, 0, false);
	else
		answer_result(cl, req->json, result, &err, "");
}

/* ---------------------------------------------------------------- fence by hand */

struct fence_wait {
	struct client	*client;
	bool		 json;
};

static void
fence_answered(void *arg, const struct spawn_result *res)
{
	struct fence_wait *w = arg;
	bool ok = res->end == SPAWN_EXITED && res->code == 0;
	char power[16] = "", text[512] = "";

	spawn_get(res->out, "power", power, sizeof(power));
	spawn_get(res->out, "text", text, sizeof(text));
	if (!ok)
		snprintf(text, sizeof(text), "%s", res->end == SPAWN_TIMEOUT ? "the fence devices did not answer in time: nothing is proven" :
		    res->err.text);
	else if (text[0] == '\0')
		snprintf(text, sizeof(text), "done");
	if (strcmp(power, "unknown") == 0)
		ok = false;
	answer(w->client, w->json, ok ? 0 : 1, res->out, text);
	free(w);
}

static void
req_fence(struct serve *s, struct client *cl, const struct control_request *req)
{
	static const struct { const char *word; enum edge_power power; } words[] = { { "off", EDGE_POWER_OFF }, { "on", EDGE_POWER_ON },
		{ "reset", EDGE_POWER_RESET }, { "status", EDGE_POWER_STATUS }, { "test", EDGE_POWER_TEST } };
	const char *node = control_arg(req, "node"), *action = control_arg(req, "action");
	struct err err = { .text = "" };
	enum op_result result;
	struct fence_wait *w;

	for (size_t i = 0; node != NULL && action != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(action, words[i].word) != 0)
			continue;
		w = calloc(1, sizeof(*w));
		if (w == NULL)
			break;
		*w = (struct fence_wait){ .client = cl, .json = req->json };
		result = engine_op_fence(s->engine, node, words[i].power, fence_answered, w, &err);
		if (result != OP_STARTED) {
			free(w);
			answer_result(cl, req->json, result, &err, "");
		}
		return;
	}
	answer(cl, req->json, 2, NULL, "fence: a node and one of off, on, reset, status, test");
}

void
serve_request(void *arg, struct client *cl, const struct control_request *req)
{
	struct serve *s = arg;
	struct engine *en = s->engine;
	const char *word;
	struct err err = { .text = "" };
	enum op_result result;

	if (strcmp(req->command, "status") == 0) {
		req_status(s, cl, req);
	} else if (strcmp(req->command, "switchover") == 0) {
		req_switchover(s, cl, req);
	} else if (strcmp(req->command, "standby") == 0) {
		result = engine_op_standby(en, &err);
		if (result == OP_STARTED)
			wait_begin(s, cl, req, GOAL_STOPPED, 0, false);
		else
			answer_result(cl, req->json, result, &err, "");
	} else if (strcmp(req->command, "online") == 0) {
		result = engine_op_online(en, &err);
		if (result == OP_STARTED)
			wait_begin(s, cl, req, GOAL_STOPPED, 0, false);
		else
			answer_result(cl, req->json, result, &err, "this node may own again");
	} else if (strcmp(req->command, "maintenance") == 0) {
		word = control_arg(req, "for");
		result = engine_op_maintenance(en, control_arg(req, "state") != NULL && strcmp(control_arg(req, "state"), "on") == 0,
		    word != NULL ? strtoull(word, NULL, 10) : 0, &err);
		answer_result(cl, req->json, result, &err, en->state.maintenance ?
		    "maintenance is on: nothing is moved, restarted or fenced" : "maintenance is off");
	} else if (strcmp(req->command, "confirm-dead") == 0) {
		req_confirm_dead(s, cl, req);
	} else if (strcmp(req->command, "fence") == 0) {
		req_fence(s, cl, req);
	} else if (strcmp(req->command, "services") == 0) {
		req_services(s, cl, req);
	} else if (strcmp(req->command, "cluster") == 0) {
		req_cluster(s, cl, req);
	} else if (strcmp(req->command, "reload") == 0) {
		s->reload(s->reload_arg, cl);
	} else {
		client_errf(cl, "mailpaird does not know the command \"%s\"", req->command);
		client_end(cl, 2);
	}
}
