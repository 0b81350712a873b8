/*
 * tests/sim/play.c - the lines of a play, and its time: play SEED [trace]. Each line on standard input is answered by lines "| TEXT" and then
 * "ok TIME" or "no WHY"; after the first "no LAW ..." nothing goes on. Times are virtual microseconds. The end of the input ends it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "supervisor/edge.h"
#include "supervisor/edge_fence.h"
#include "tests/sim/play.h"

#define LINE_BYTES 4096
#define PACE 100	/* permille: what the machines of the live tests take is at the lower end of what the simulator draws */
#define NODE_NAMES "mx1 and mx2"

struct play play;

bool
play_number(const char *text, uint64_t *ret, struct err *err)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0')
		return err_set(err, 0, "\"%s\" is no number", text);
	return true;
}

bool
play_node(const char *name, struct node **ret, struct err *err)
{
	for (int i = 0; i < NODES; i++) {
		*ret = &sim->node[i];
		if (strcmp(name, sim->node[i].conf.node[i]) == 0)
			return true;
	}
	return err_set(err, 0, "there is no node \"%s\", only " NODE_NAMES, name);
}

bool
play_link(const char *name, size_t *ret, struct err *err)
{
	for (*ret = 0; *ret < play.conf[0]->links; ++*ret) {
		if (strcmp(play.conf[0]->link[*ret].name, name) == 0)
			return true;
	}
	return err_set(err, 0, "there is no link \"%s\"", name);
}

/* ---------------------------------------------------------------- the beginning */

/* IT_SCRIPT has two uses: the alarm of "until", and the clients' clock. */
static void
item_due(const struct item *it)
{
	if (it->slot == &play.alarm)
		play.rang = true;
	else
		play_clients_tick();
}

static const struct script script = {
	.takes = play_takes, .sent = play_sent, .power_changed = play_power_changed, .journal = play_journal, .item = item_due,
};

static bool
read_conf(struct err *err)
{
	static const char *const names[NODES] = { "mx1", "mx2" };
	struct conf_mistakes m = { NULL, 0 };

	for (int i = 0; i < NODES; i++) {
		char *dir;

		if (!conf_load(play.conf_file, names[i], &play.conf[i], &m))
			return err_set(err, 0, "%s:%d: %s", play.conf_file, m.item[0].line, m.item[0].text);
		/* the same file on both nodes, but a place of its own for what each remembers */
		if (asprintf(&dir, "%s/%s", play.dir, names[i]) == -1)
			return err_set(err, ENOMEM, "%s", names[i]);
		play.conf[i]->state_dir = dir;
		play.plan.conf[i] = play.conf[i];
	}
	return true;
}

/* begin CONF DIR lawful|unlawful: the machines stand there without power */
static bool
verb_begin(const struct words *w, struct err *err)
{
	static struct script full;

	if (snprintf(play.conf_file, sizeof(play.conf_file), "%s", w->word[1]) >= (int)sizeof(play.conf_file) ||
	    snprintf(play.dir, sizeof(play.dir), "%s", w->word[2]) >= (int)sizeof(play.dir))
		return err_set(err, ENAMETOOLONG, "%s", w->word[1]);
	if (!read_conf(err) || !play_clients_open(err))
		return false;
	/* judgement of fence devices and their levels is production code: only the agents are played */
	full = script;
	full.power = edge_power;
	full.fence_monitor = edge_fence_monitor;
	play.plan.liar = strcmp(w->word[3], "unlawful") == 0;
	play.plan.pace = PACE;
	play.plan.keep_off = play.plan.absent = -1;
	play.plan.calm_at = NEVER / 4;
	sim->script = &full;
	world_init(&play.plan);
	sim->calm = true;
	for (size_t i = 0; i < CONF_LINKS_MAX; i++)
		play.carrier[i] = false;
	return true;
}

/* ---------------------------------------------------------------- time */

struct seen { bool power, running, mounted, mta, address; int pid; };

/* What an observer outside of the machines sees. */
static bool
seen_changed(void)
{
	static struct seen last[NODES];
	bool changed = false;

	for (int i = 0; i < NODES; i++) {
		const struct node *n = &sim->node[i];
		struct seen now;

		memset(&now, 0, sizeof(now));
		now.power = n->power;
		now.running = n->running;
		now.mounted = n->mounted;
		now.mta = n->mta_pid != 0;
		now.address = n->address;
		now.pid = n->mta_pid;
		changed = changed || memcmp(&now, &last[i], sizeof(now)) != 0;
		last[i] = now;
	}
	return changed;
}

/* until TIME all|quiet|event: time goes on until then, or until anything changes that a claim can see ("quiet": but for what clients are told) */
static bool
verb_until(const struct words *w, struct err *err)
{
	bool all = strcmp(w->word[2], "all") == 0, each = strcmp(w->word[2], "event") == 0, changed = false;
	uint64_t at;

	if (!play_number(w->word[1], &at, err))
		return false;
	play.rang = play.news = false;	/* what was so before was looked at before */
	item_drop(&play.alarm);
	item_add(&play.alarm, at > sim->now ? at : sim->now, IT_SCRIPT, CLASS_WORLD, -1, NULL, 0);
	while (!play.rang && !changed && !sim->failed) {
		int whose = world_step();

		play_serve_look();
		changed = seen_changed() || play.news || each || (whose >= 0 && whose < NODES && play_status_changed(whose));
		changed = (play_clients_flush() && all) || changed;
		play.news = false;
	}
	item_drop(&play.alarm);
	return true;
}

/* facts: NODE power daemon disk mta address, 0 or 1 each but for mta, which is its process */
static bool
verb_facts(const struct words *w, struct err *err)
{
	(void)w;
	(void)err;
	for (int i = 0; i < NODES; i++) {
		const struct node *n = &sim->node[i];

		SAY("| %s %d %d %d %d %d\n", n->conf.node[i], n->power, n->running, n->mounted, n->mta_pid, n->address);
	}
	play_asked_print();
	return true;
}

/* ---------------------------------------------------------------- lines */

static const struct play_verb own_verbs[] = {
	{ "begin", 4, verb_begin }, { "until", 3, verb_until }, { "facts", 1, verb_facts }, { NULL, 0, NULL },
};

static const struct play_verb *
verb_find(const char *name)
{
	const struct play_verb *const tables[] = { own_verbs, play_deeds, play_clients, play_serves, play_scribes };

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct play_verb *v = tables[t]; v->name != NULL; v++) {
			if (strcmp(v->name, name) == 0)
				return v;
		}
	}
	return NULL;
}

/* The last word a verb takes is the rest of the line. */
static void
cut(char *line, size_t most, struct words *ret)
{
	ret->len = 0;
	line[strcspn(line, "\n")] = '\0';
	while (*line != '\0' && ret->len < most) {
		size_t n = ret->len + 1 == most ? strlen(line) : strcspn(line, " ");

		ret->word[ret->len++] = line;
		line += n;
		if (*line != '\0')
			*line++ = '\0';
	}
}

/* False: a law was broken, and nothing goes on. */
static bool
obey(char *line)
{
	char name[32] = "";
	const struct play_verb *v;
	struct words w;
	struct err err = { .text = "" };

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(line, " \n"), line);
	v = verb_find(name);
	if (v == NULL) {
		SAY("no there is no verb \"%s\"\n", name);
		return true;
	}
	cut(line, v->words, &w);
	if (w.len < v->words || (v->run != verb_begin && sim->plan == NULL))
		err_set(&err, 0, "%s needs %zu words after a \"begin\"", name, v->words - 1);
	else if (v->run(&w, &err))
		err.text[0] = '\0';
	play_clients_flush();
	if (sim->failed) {
		SAY("no LAW %s\n", sim->why);
		return false;
	}
	if (err.text[0] != '\0')
		SAY("no %s\n", err.text);
	else
		SAY("ok %" PRIu64 "\n", sim->now);
	return true;
}

static void
no_log(void *arg, enum log_level level, const char *line)
{
	const bool *trace = arg;

	if (*trace)
		sim_trace("%s: %s%s", sim->cur->conf.node[sim->cur->id], level <= LOG_LVL_WARN ? "! " : "", line);
}

int
main(int argc, char **argv)
{
	static char line[LINE_BYTES];
	struct err err;

	sim = calloc(1, sizeof(*sim));
	/* replies go where our standard output goes; what the simulator prints goes to standard error */
	play.out = fdopen(dup(STDOUT_FILENO), "w");
	if (sim == NULL || play.out == NULL || dup2(STDERR_FILENO, STDOUT_FILENO) == -1 || argc < 2 ||
	    !play_number(argv[1], &play.plan.seed, &err) || !plan_setup()) {
		fputs("usage: play SEED [trace], in the top directory; lines on standard input: tests/sim/play.c\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	sim->trace = argc > 2;
	cover_open();
	log_to(no_log, &sim->trace);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		bool on = obey(line);

		if (fflush(play.out) != 0 || !on)
			return 1;
	}
	return 0;
}
