/*
 * tests/sim/play_serve.c - stands for supervisor/control.c in a play: request lines come from a real mailpair and are carried out by
 * supervisor/serve.c; status is what that says.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/serve.h"
#include "supervisor/status.h"
#include "tests/sim/play.h"

#define CLIENTS_MAX 8
#define OUT_BYTES (1024 * 1024)

struct client {
	bool		used, ended;
	int		node;
	uint64_t	life;		/* of the daemon that it talks to */
	size_t		len, told;
	char		out[OUT_BYTES];
};

static struct client client[CLIENTS_MAX];
static struct serve serve[NODES];
static struct upkeep upkeep[NODES];
static struct status last_status[NODES];

/* ---------------------------------------------------------------- clients of the control socket */

static void
put(struct client *cl, char kind, const char *text)
{
	for (const char *end; *text != '\0'; text = *end != '\0' ? end + 1 : end) {
		int n;

		end = text + strcspn(text, "\n");
		n = snprintf(cl->out + cl->len, sizeof(cl->out) - cl->len, "%c %.*s\n", kind, (int)(end - text), text);
		if (n > 0 && (size_t)n < sizeof(cl->out) - cl->len)
			cl->len += (size_t)n;
	}
	play.news = true;
}

static void __attribute__((format(printf, 3, 0)))
put_format(struct client *cl, char kind, const char *fmt, va_list ap)
{
	char text[4096];

	vsnprintf(text, sizeof(text), fmt, ap);
	put(cl, kind, text);
}

void
client_out(struct client *cl, const char *text)
{
	put(cl, 'o', text);
}

void
client_outf(struct client *cl, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_format(cl, 'o', fmt, ap);
	va_end(ap);
}

void
client_errf(struct client *cl, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_format(cl, 'e', fmt, ap);
	va_end(ap);
}

void
client_end(struct client *cl, int exit_code)
{
	char code[16];

	snprintf(code, sizeof(code), "%d", exit_code);
	put(cl, 'x', code);
	cl->ended = true;
}

bool
client_gone(const struct client *cl)
{
	(void)cl;
	return false;
}

static uint64_t
life_of(int node)
{
	const struct node *n = &sim->node[node];

	return n->running ? n->en.session : 0;
}

void
play_serve_look(void)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *cl = &client[i];

		if (cl->used && !cl->ended && cl->life != life_of(cl->node)) {
			cl->ended = true;	/* its socket closes without a word */
			play.news = true;
		}
	}
}

/* ---------------------------------------------------------------- what supervisor/main.c does for it */

static void
reload(void *arg, struct client *cl, bool json)
{
	struct node *n = arg;
	struct conf_mistakes m = { NULL, 0 };
	struct authkeys keys;
	struct conf *conf = NULL;
	char path[300];
	struct err err = { .text = "" };
	bool ok;

	snprintf(path, sizeof(path), "%s/%s/authkeys", play.dir, n->conf.node[n->id]);
	ok = conf_load(play.conf_file, n->conf.node[n->id], &conf, &m);
	if (ok)
		conf->state_dir = n->conf.state_dir;
	ok = ok && authkeys_load(path, conf->allow_weak_auth, &keys, &m) && conf_can_reload(n->now, conf, &err);
	if (!ok) {
		serve_answer(cl, json, 1, NULL, m.len > 0 ? m.item[0].text : err.text);
		return;
	}
	n->now = conf;
	n->keys = keys;
	engine_reconf(&n->en, conf, &keys);
	serve_answer(cl, json, 0, NULL, "the new configuration is in force");
}

static void
alarm_given(void *arg, const char *text)
{
	struct node *n = arg;

	engine_alarm(&n->en, text);
}

static struct serve *
serve_of(struct node *n)
{
	upkeep_init(&upkeep[n->id], play_scribe(n), n->now, alarm_given, n);
	serve[n->id] = (struct serve){ .engine = &n->en, .reload = reload, .reload_arg = n, .upkeep = &upkeep[n->id] };
	return &serve[n->id];
}

static struct client *
request(struct node *n, char *line, struct err *err)
{
	struct control_request req;
	struct client *cl = client;

	if (!n->running || n->paused_until > sim->now) {
		err_set(err, 0, "mailpaird of %s does not answer", n->conf.node[n->id]);
		return NULL;
	}
	while (cl < client + CLIENTS_MAX && cl->used)
		cl++;
	if (cl == client + CLIENTS_MAX) {
		err_set(err, 0, "more than %d requests at once", CLIENTS_MAX);
		return NULL;
	}
	cl->used = true;
	cl->ended = false;
	cl->node = n->id;
	cl->life = life_of(n->id);
	cl->len = cl->told = 0;
	sim->cur = n;
	if (control_parse(line, &req, err)) {
		serve_request(serve_of(n), cl, &req);
	} else {
		client_errf(cl, "%s", err->text);
		client_end(cl, 2);
	}
	return cl;
}

/* ask NODE LINE: a request; its number is answered */
static bool
verb_ask(const struct words *w, struct err *err)
{
	struct client *cl;
	struct node *n;

	if (!play_node(w->word[1], &n, err) || (cl = request(n, w->word[2], err)) == NULL)
		return false;
	SAY("| %td\n", cl - client);
	return true;
}

/* answer NUMBER: what it was told since the last time, and last whether it is "open" or "over" */
static bool
verb_answer(const struct words *w, struct err *err)
{
	struct client *cl;
	uint64_t i;

	if (!play_number(w->word[1], &i, err))
		return false;
	if (i >= CLIENTS_MAX || !client[i].used)
		return err_set(err, 0, "there is no such request");
	cl = &client[i];
	while (cl->told < cl->len) {
		size_t n = strcspn(cl->out + cl->told, "\n");

		SAY("| %.*s\n", (int)n, cl->out + cl->told);
		cl->told += n + 1;
	}
	SAY("| %s\n", cl->ended ? "over" : "open");
	/* the daemon's side of one that is not over may still write to it */
	if (cl->ended)
		cl->used = false;
	return true;
}

/* status NODE: the document of "mailpair status --json" */
static bool
verb_status(const struct words *w, struct err *err)
{
	char line[] = "status json=yes";
	struct client *cl;
	struct node *n;

	if (!play_node(w->word[1], &n, err) || (cl = request(n, line, err)) == NULL)
		return false;
	for (const char *p = cl->out; p < cl->out + cl->len; p += strcspn(p, "\n") + 1) {
		if (*p == 'o')
			SAY("| %.*s\n", (int)strcspn(p, "\n") - 2, p + 2);
	}
	cl->used = false;
	return true;
}

/* What every beat changes is of no interest; what is left changes seldom. */
static void
settle(struct status *st)
{
	for (size_t i = 0; i < st->links; i++) {
		struct status_link *l = &st->link[i];

		l->last_heard_ms = l->rtt_us = 0;
		l->gap = NULL;
		l->sent = l->received = 0;
	}
	st->beats_sent = 0;
	st->clock_offset_ms = 0;
	st->doing[0] = '\0';
}

bool
play_status_changed(int node)
{
	static struct status now;
	struct node *n = &sim->node[node];

	if (n->running) {
		sim->cur = n;
		engine_status(&n->en, &now);
		settle(&now);
	} else {
		memset(&now, 0, sizeof(now));
	}
	if (memcmp(&now, &last_status[node], sizeof(now)) == 0)
		return false;
	last_status[node] = now;
	return true;
}

/* keys NODE: reads DIR/NODE/authkeys as at a start; a reload does the same later */
static bool
verb_keys(const struct words *w, struct err *err)
{
	struct conf_mistakes m = { NULL, 0 };
	struct node *n;
	char path[300];

	if (!play_node(w->word[1], &n, err))
		return false;
	snprintf(path, sizeof(path), "%s/%s/authkeys", play.dir, w->word[1]);
	return authkeys_load(path, false, &n->keys, &m) || err_set(err, 0, "%s: %s", path, m.item[0].text);
}

const struct play_verb play_serves[] = {
	{ "ask", 3, verb_ask }, { "answer", 2, verb_answer }, { "status", 2, verb_status }, { "keys", 2, verb_keys }, { NULL, 0, NULL },
};
