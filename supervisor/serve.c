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
	bool			 again;		/* GOAL_IDLE: they are to be started once they have stopped */
	bool			 json, begun;
	bool			 asking;	/* the operation has not answered yet: nothing is over */
	uint64_t		 began_ms;
	char			 lines[LINES_MAX];	/* what happened, for the JSON document */
	size_t			 lines_len;
};

/* ---------------------------------------------------------------- one document or one sentence */

void
serve_answer(struct client *cl, bool json, int code, const char *steps, const char *text)
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
			json_string(&j, NULL, line + strspn(line, " "));
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

/* "Is it so?": the word is the answer, whichever it is, so it always goes to standard output. */
static void
answer_question(struct client *cl, bool json, bool yes, const char *word)
{
	if (json) {
		serve_answer(cl, true, yes ? 0 : 1, NULL, word);
		return;
	}
	client_outf(cl, "%s", word);
	client_end(cl, yes ? 0 : 1);
}

static void
answer_result(struct client *cl, bool json, enum op_result result, const struct err *err, const char *done)
{
	switch (result) {
	case OP_DONE:
	case OP_STARTED:
		serve_answer(cl, json, 0, NULL, err->text[0] != '\0' ? err->text : done);
		break;
	case OP_NO:
		serve_answer(cl, json, 1, NULL, err->text);
		break;
	case OP_UNSAFE:
		serve_answer(cl, json, 3, NULL, err->text);
		break;
	}
}

/* ---------------------------------------------------------------- waiting for an outcome */

static void
wait_over(struct wait *w, int code, const char *text)
{
	engine_unwatch(w->serve->engine, &w->watcher);
	loop_timer_free(w->timer);
	serve_answer(w->client, w->json, code, w->lines, text);
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

/* "services stop", "services start", or the one and then the other. */
static void
wait_idle(struct wait *w)
{
	struct engine *en = w->serve->engine;
	struct err err;

	if (engine_busy(en))
		return;
	if (en->role != ROLE_ACTIVE) {
		wait_over(w, 1, "this node gave the spool up meanwhile: see 'mailpair status'");
	} else if ((en->hold.mta == FACT_YES) != w->want_mta) {
		wait_over(w, 1, en->last_error[0] != '\0' ? en->last_error : "it did not work: see 'mailpair status'");
	} else if (w->again) {
		w->again = false;
		w->want_mta = w->asking = true;
		if (engine_op_services(en, true, &err) != OP_STARTED)
			wait_over(w, 1, err.text);
		else
			w->asking = false;
	} else {
		wait_over(w, 0, w->want_mta ? "the mail services run" : "the mail services are stopped");
	}
}

/* It is said who serves mail now, since that is what the operator has to know next. */
static void
wait_stopped(struct wait *w)
{
	const struct engine *en = w->serve->engine;
	bool alive = engine_peer_alive(en), there = alive && (en->peer.role == ROLE_ACTIVE || en->peer.role == ROLE_ACQUIRING ||
	    (en->peer.role == ROLE_STANDBY && (en->peer.flags & BEAT_HEALTHY) != 0));
	char text[256];

	if (en->role == ROLE_FAILED) {
		wait_over(w, 1, "this node could not let go of the spool: see 'mailpair status'");
	} else if (en->role == ROLE_STANDBY) {
		wait_over(w, 0, "this node has let go of everything and may own again");
	} else if (en->role == ROLE_STOPPED) {
		snprintf(text, sizeof(text), "this node holds nothing and stays away until 'mailpair online'; %s%s",
		    there ? "mail goes to " : "NO NODE SERVES MAIL NOW", there ? engine_peer_name(en) : "");
		wait_over(w, 0, text);
	}
}

static void
wait_look(void *arg)
{
	struct wait *w = arg;
	const struct engine *en = w->serve->engine;

	if (w->asking)
		return;
	switch (w->goal) {
	case GOAL_NODE_ACTIVE:
		wait_node_active(w);
		break;
	case GOAL_STOPPED:
		wait_stopped(w);
		break;
	case GOAL_IDLE:
		wait_idle(w);
		break;
	case GOAL_HELD:
		if (en->role == ROLE_ACTIVE && !engine_busy(en))
			wait_over(w, 0, "the spool is held here; 'mailpair services start' starts the mail services");
		else if (en->role == ROLE_RELEASING)
			wait_over(w, 1, en->last_error);
		break;
	}
}

/* Begins to listen before the operation begins, so that its first line is heard; NULL: the client has been told. */
static struct wait *
wait_new(struct serve *s, struct client *cl, const struct control_request *req, enum goal goal)
{
	struct wait *w = calloc(1, sizeof(*w));
	const char *timeout = control_arg(req, "timeout");
	uint64_t ms = timeout != NULL ? strtoull(timeout, NULL, 10) : WAIT_DEFAULT_MS;

	if (w == NULL) {
		serve_answer(cl, false, 2, NULL, "out of memory");
		return NULL;
	}
	*w = (struct wait){ .serve = s, .client = cl, .goal = goal, .json = req->json, .asking = true,
		.began_ms = clock_mono_ms() };
	w->watcher = (struct engine_watcher){ .line = wait_line, .role = wait_look, .arg = w };
	w->timer = loop_timer_new(s->engine->loop, wait_timed_out, w);
	loop_timer_in(w->timer, ms);
	engine_watch(s->engine, &w->watcher);
	return w;
}

/* The operation has answered: wait for its outcome, or tell why there is none; text: the outcome of one that is done. */
static void
wait_asked(struct wait *w, enum op_result result, const struct err *err, const char *text)
{
	w->asking = false;
	if (result == OP_STARTED) {
		wait_look(w);
		return;
	}
	engine_unwatch(w->serve->engine, &w->watcher);
	loop_timer_free(w->timer);
	answer_result(w->client, w->json, result, err, text);
	free(w);
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
		if (s->upkeep != NULL)
			upkeep_status(s->upkeep, s->engine->disk[DISK_STATE].trial.bad, st);
		if (s->config != NULL)
			config_child_status(s->config, st);
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

/* A standby can serve with the configuration that it has; who moves mail there should know that it is not the one of here. */
static void
warn_of_config(struct serve *s, struct wait *w)
{
	struct status *st = calloc(1, sizeof(*st));
	char text[600];

	if (st == NULL || s->config == NULL) {
		free(st);
		return;
	}
	config_child_status(s->config, st);
	if (st->config_on && st->config.in_step != FACT_YES) {
		snprintf(text, sizeof(text), "warning: the configuration of the two nodes is not %sin step: %s; see 'mailpair config status'",
		    st->config.in_step == FACT_NO ? "" : "known to be ", st->config.conflicts > 0 ? "there are conflicts" :
		    st->config.problem[0] != '\0' ? st->config.problem : st->config.in_step == FACT_NO ? "changes are on the way" :
		    "mailpair-config does not reach the other node's");
		wait_line(w, text);
	}
	free(st);
}

static void
req_switchover(struct serve *s, struct client *cl, const struct control_request *req)
{
	struct engine *en = s->engine;
	const char *to = control_arg(req, "to");
	struct wait *w = wait_new(s, cl, req, GOAL_NODE_ACTIVE);
	struct err err = { .text = "" };
	enum op_result result;
	char text[160];

	if (w == NULL)
		return;
	w->node = to == NULL ? (en->role == ROLE_ACTIVE ? 1 - en->conf->self : en->conf->self) :
	    strcmp(to, en->conf->node[0]) == 0 ? 0 : 1;
	result = engine_op_switchover(en, to, &err);
	if (result == OP_STARTED)
		warn_of_config(s, w);
	if (result == OP_STARTED && w->node == en->conf->self) {
		snprintf(text, sizeof(text), "%s: asks %s to hand over", en->conf->node[en->conf->self], engine_peer_name(en));
		wait_line(w, text);
	}
	wait_asked(w, result, &err, "");
}

static void
req_confirm_dead(struct serve *s, struct client *cl, const struct control_request *req)
{
	struct engine *en = s->engine;
	const char *node = control_arg(req, "node");
	struct wait *w = wait_new(s, cl, req, GOAL_NODE_ACTIVE);
	struct err err = { .text = "" };
	enum op_result result;

	if (w == NULL)
		return;
	w->node = en->conf->self;
	result = engine_op_confirm_dead(en, node != NULL ? node : "", &err);
	if (result == OP_STARTED && en->role != ROLE_ACQUIRING)
		result = OP_DONE;
	wait_asked(w, result, &err, en->role == ROLE_ACTIVE ? "noted; this node owns the spool already" :
	    "noted; this node does not take the spool now: see 'mailpair status'");
}

static void
req_services(struct serve *s, struct client *cl, const struct control_request *req)
{
	struct engine *en = s->engine;
	const char *what = control_arg(req, "do");
	struct err err = { .text = "" };
	bool again, runs = en->role == ROLE_ACTIVE && en->hold.mta == FACT_YES;
	struct wait *w;

	if (what != NULL && strcmp(what, "status") == 0) {
		answer_question(cl, req->json, runs, runs ? "running" : "stopped");
		return;
	}
	if (what == NULL || (strcmp(what, "start") != 0 && strcmp(what, "stop") != 0 && strcmp(what, "restart") != 0)) {
		serve_answer(cl, req->json, 2, NULL, "services: start, stop, restart or status");
		return;
	}
	w = wait_new(s, cl, req, GOAL_IDLE);
	if (w == NULL)
		return;
	/* one stop and one start, in order: a restart that the operator asks for is done in maintenance, too */
	again = strcmp(what, "restart") == 0 && en->role == ROLE_ACTIVE && !en->doubtful;
	w->again = again;
	w->want_mta = !again && strcmp(what, "stop") != 0;
	wait_asked(w, engine_op_services(en, w->want_mta, &err), &err, "");
}

static void
req_cluster(struct serve *s, struct client *cl, const struct control_request *req)
{
	struct engine *en = s->engine;
	const char *what = control_arg(req, "do");
	struct err err = { .text = "" };
	bool start = what != NULL && strcmp(what, "start") == 0;
	struct wait *w;

	if (what != NULL && strcmp(what, "status") == 0) {
		answer_question(cl, req->json, en->hold.storage == FACT_YES, en->hold.storage == FACT_YES ? "running (held)" :
		    en->hold.storage == FACT_NO ? "stopped (not held)" : "unknown");
		return;
	}
	if (what == NULL || (!start && strcmp(what, "stop") != 0)) {
		serve_answer(cl, req->json, 2, NULL, "cluster: start, stop or status");
		return;
	}
	w = wait_new(s, cl, req, start ? GOAL_HELD : GOAL_STOPPED);
	if (w != NULL)
		wait_asked(w, engine_op_cluster(en, start, &err), &err, "");
}

static void
req_maintenance(struct serve *s, struct client *cl, const struct control_request *req)
{
	struct engine *en = s->engine;
	const char *state = control_arg(req, "state"), *word = control_arg(req, "for");
	bool on = state != NULL && strcmp(state, "on") == 0;
	struct err err = { .text = "" };
	enum op_result result = engine_op_maintenance(en, on, word != NULL ? strtoull(word, NULL, 10) : 0, &err);
	char text[256];

	if (result == OP_DONE && !on && en->peer_maintenance) {
		snprintf(text, sizeof(text), "maintenance is off here, but %s keeps it on for both nodes: 'mailpair maintenance off' there ends it",
		    engine_peer_name(en));
		serve_answer(cl, req->json, 1, NULL, text);
		return;
	}
	answer_result(cl, req->json, result, &err, on ? "maintenance is on: nothing is moved, restarted or fenced" : "maintenance is off");
}

/* ---------------------------------------------------------------- fence by hand */

struct fence_wait {
	struct client	*client;
	enum edge_power	 what;
	char		 node[CONF_NAME_MAX];
	bool		 json;
};

/* "device NAME WORD MS SENTENCE" lines of the report, for people. */
static void
fence_lines(const char *report, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (const char *line = report; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
		char name[CONF_NAME_MAX], word[16], ms[16];
		int at = 0, n;

		if (sscanf(line, "device %63s %15s %15s %n", name, word, ms, &at) < 3 || at == 0)
			continue;
		n = snprintf(buf + len, size - len, "%6s ms  %s: %s (%.*s)\n", ms, name, word,
		    (int)strcspn(line + at, "\n"), line + at);
		if (n < 0 || (size_t)n >= size - len) {
			buf[len] = '\0';
			return;
		}
		len += (size_t)n;
	}
}

static void
fence_answered(void *arg, const struct spawn_result *res)
{
	struct fence_wait *w = arg;
	bool ok = res->end == SPAWN_EXITED && res->code == 0;
	char power[16] = "", text[512] = "", lines[4096];

	spawn_get(res->out, "power", power, sizeof(power));
	spawn_get(res->out, "text", text, sizeof(text));
	if (!ok)
		snprintf(text, sizeof(text), "%s", res->end == SPAWN_TIMEOUT ? "the fence devices did not answer in time: nothing is proven" :
		    res->err.text);
	else if (w->what == EDGE_POWER_STATUS && strcmp(power, "unknown") != 0)
		snprintf(text, sizeof(text), "the power of %s is %s", w->node, power);
	else if (w->what == EDGE_POWER_ON)
		snprintf(text, sizeof(text), "%s was switched on", w->node);
	else if (w->what == EDGE_POWER_RESET)
		snprintf(text, sizeof(text), "%s was switched off and on again", w->node);
	else if (text[0] == '\0')
		snprintf(text, sizeof(text), "done");
	if (strcmp(power, "unknown") == 0)
		ok = false;
	fence_lines(res->out, lines, sizeof(lines));
	if (!w->json && lines[0] != '\0')
		client_out(w->client, lines);
	serve_answer(w->client, w->json, ok ? 0 : 1, lines, text);
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
		*w = (struct fence_wait){ .client = cl, .what = words[i].power, .json = req->json };
		snprintf(w->node, sizeof(w->node), "%s", node);
		result = engine_op_fence(s->engine, node, words[i].power, fence_answered, w, &err);
		if (result != OP_STARTED) {
			free(w);
			answer_result(cl, req->json, result, &err, "");
		}
		return;
	}
	serve_answer(cl, req->json, 2, NULL, "fence: a node and one of off, on, reset, status, test");
}

void
serve_request(void *arg, struct client *cl, const struct control_request *req)
{
	struct serve *s = arg;
	struct engine *en = s->engine;
	struct err err = { .text = "" };
	struct wait *w;

	if (strcmp(req->command, "status") == 0) {
		req_status(s, cl, req);
	} else if (strcmp(req->command, "switchover") == 0) {
		req_switchover(s, cl, req);
	} else if (strcmp(req->command, "standby") == 0) {
		w = wait_new(s, cl, req, GOAL_STOPPED);
		if (w != NULL)
			wait_asked(w, engine_op_standby(en, &err), &err, "");
	} else if (strcmp(req->command, "online") == 0) {
		w = wait_new(s, cl, req, GOAL_STOPPED);
		if (w != NULL)
			wait_asked(w, engine_op_online(en, &err), &err, "this node may own again");
	} else if (strcmp(req->command, "maintenance") == 0) {
		req_maintenance(s, cl, req);
	} else if (strcmp(req->command, "confirm-dead") == 0) {
		req_confirm_dead(s, cl, req);
	} else if (strcmp(req->command, "fence") == 0) {
		req_fence(s, cl, req);
	} else if (strcmp(req->command, "services") == 0) {
		req_services(s, cl, req);
	} else if (strcmp(req->command, "cluster") == 0) {
		req_cluster(s, cl, req);
	} else if (strcmp(req->command, "why") == 0) {
		serve_why(s, cl, req);
	} else if (strcmp(req->command, "whatif") == 0) {
		serve_whatif(s, cl, req);
	} else if (strcmp(req->command, "reload") == 0) {
		s->reload(s->reload_arg, cl, req->json);
	} else {
		client_errf(cl, "mailpaird does not know the command \"%s\"", req->command);
		client_end(cl, 2);
	}
}
