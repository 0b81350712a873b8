/*
 * configsync/desk_tables.c - what tables say on both nodes. Each makes its own of a source that travels; before a set with such a source is
 * taken, the other node is asked what its program makes of the same source (WIRE_TABLES). Another answer than ours: the set is not valid.
 *
 * Who is asked makes the table anew, of the source that is in place, by its own check: the one in use may be older. Where it says something
 * else, that is a problem here, as soon as it was so twice: whoever edits a source makes its table a moment later.
 *
 * A node that cannot say it (it has no such table, no such program, or another version of the source by now) keeps nothing back.
 */
#include "configsync/desk_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "configsync/derived.h"
#include "configsync/verify.h"

#define PROBLEM "old-table"
#define BEYOND_MS 5000u		/* its deadline is ours; its answer has to travel */
#define WAITING_MAX 16u		/* questions that wait here */
#define AGAIN_MS 2000u		/* an old table is looked at again, after twice the time each time ... */
#define AGAIN_MAX_MS 600000u	/* ... up to this */
#define OLD_MAX 64u

/* A set that was found valid here, and waits for what the other node's tables say. */
struct comparing {
	struct comparing *next;
	struct desk	*d;
	uint64_t	 id;
	desk_checked_f	*done;
	struct set_id	 set;
	char		 why[512];
	struct desk_table *table;
	size_t		 tables, open;
	struct loop_timer *timer;
};

/* Sources of one set that somebody asks about; reply: the other node, else it is ours to know. */
struct question {
	struct question	*next;
	struct set_id	 set;
	struct view_change *change;		/* those that are what was asked about */
	size_t		 changes;
	char		**path;
	uint8_t		(*source)[DIGEST_LEN];
	size_t		 paths;
	bool		 reply;
};

struct tables {
	struct comparing *comparing;
	struct question	*first, **end;		/* the first is being answered */
	size_t		 waiting;
	struct verify	*verify;
	struct verify_job job;
	char		 scratch[PATH_MAX];
	struct old { char *path; bool told; } old[OLD_MAX];
	size_t		 olds;
	struct loop_timer *timer;
	uint32_t	 again_ms;
};

/* ---------------------------------------------------------------- asking */

static void
comparing_end(struct comparing *c, enum validity verdict, const char *why)
{
	struct comparing **at = &c->d->tables->comparing;
	struct desk *d = c->d;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (verdict == VALIDITY_VALID)
		for (size_t i = 0; i < c->tables; i++)
			desk_dumps(d, c->id, &c->table[i].dump, 1);
	if (verdict != VALIDITY_COUNT)
		c->done(d, c->id, &c->set, verdict, why);
	loop_timer_free(c->timer);
	free(c->table);
	free(c);
}

static void
too_late(void *arg)
{
	struct comparing *c = arg;
	struct desk *d = c->d;

	comparing_end(c, VALIDITY_UNKNOWN, "the other node has not said in time what its tables of the same sources say; it is asked again");
	desk_work(d);
}

void
desk_compare(struct desk *d, uint64_t id, const struct set_id *set, const struct desk_table *table, size_t n, const char *why, desk_checked_f *done)
{
	struct wire_table_row *row = desk_alloc(n * sizeof *row);
	struct comparing *c = desk_alloc(sizeof *c);

	*c = (struct comparing){ .next = d->tables->comparing, .d = d, .id = id, .done = done, .set = *set, .table = desk_alloc(n * sizeof *table), .tables = n,
		.open = n };
	memcpy(c->table, table, n * sizeof *table);
	snprintf(c->why, sizeof c->why, "%s", why);
	for (size_t i = 0; i < n; i++) {
		row[i].path = table[i].dump.path;
		memcpy(row[i].source, table[i].source, DIGEST_LEN);
	}
	d->tables->comparing = c;
	c->timer = loop_timer_new(d->loop, too_late, c);
	loop_timer_in(c->timer, d->conf->sync.validate_ms + BEYOND_MS);
	desk_send(d, &(struct wire){ .type = WIRE_TABLES, .tables = { .ask = true, .row = row, .rows = n } });
	free(row);
}

void
desk_compare_forget(struct desk *d, uint64_t id)
{
	struct comparing *next;

	for (struct comparing *c = d->tables->comparing; c != NULL; c = next) {
		next = c->next;
		if (c->id == id || id == 0)
			comparing_end(c, VALIDITY_COUNT, NULL);
	}
}

/* YES: one of those that the other node makes of this source says the same. UNKNOWN: it does not say, and *why why not; NULL: it was not asked this. */
static enum fact
is_same(const struct wire_tables *w, const struct desk_table *t, const char **why)
{
	enum fact same = FACT_UNKNOWN;
	char hex[DIGEST_HEX];

	*why = NULL;
	for (size_t i = 0; i < w->rows; i++) {
		const struct wire_table_row *r = &w->row[i];

		if (strcmp(r->path, t->dump.path) != 0 || memcmp(r->source, t->source, DIGEST_LEN) != 0)
			continue;
		if (!r->known)
			*why = r->why;
		else if (strcmp(digest_hex(r->rows, DIGEST_LEN, hex), t->dump.digest) == 0)
			return FACT_YES;
		else
			same = FACT_NO;
	}
	return same;
}

/* One answer is for all that wait for it. */
static void
compare(struct comparing *c, const struct wire_tables *w)
{
	char why[800];
	const char *not;

	for (size_t i = 0; i < c->tables; i++) {
		struct desk_table *t = &c->table[i];
		enum fact same = t->answered ? FACT_UNKNOWN : is_same(w, t, &not);

		if (t->answered || (same == FACT_UNKNOWN && not == NULL))
			continue;
		if (same == FACT_NO) {
			snprintf(why, sizeof why, "/%s: the table that is made of it here (%s) has other rows than the one that the other node makes of the same source: are "
			    "the programs of both nodes of one version?", t->dump.path, t->dump.type);
			comparing_end(c, VALIDITY_INVALID, why);
			return;
		}
		if (same == FACT_UNKNOWN)
			log_info("the table of /%s is not compared with the other node's: %s", t->dump.path, not);
		t->answered = true;
		c->open--;
	}
	if (c->open == 0)
		comparing_end(c, VALIDITY_VALID, c->why);
}

/* ---------------------------------------------------------------- being asked */

static void begin(struct desk *);

static void
question_free(struct question *q)
{
	while (q->changes > 0)
		free((void *)(uintptr_t)q->change[--q->changes].from);
	while (q->paths > 0)
		free(q->path[--q->paths]);
	free(q->change);
	free(q->path);
	free(q->source);
	free(q);
}

/* The answer that is the same for all of them. */
static void
say_not(struct desk *d, const struct question *q, const char *why)
{
	struct wire_table_row *row = desk_alloc(q->paths * sizeof *row);

	for (size_t i = 0; i < q->paths; i++) {
		row[i] = (struct wire_table_row){ .path = q->path[i], .why = why };
		memcpy(row[i].source, q->source[i], DIGEST_LEN);
	}
	if (q->reply)
		desk_send(d, &(struct wire){ .type = WIRE_TABLES, .tables = { .row = row, .rows = q->paths } });
	free(row);
}

bool
desk_digest(const char *path, uint8_t ret[DIGEST_LEN])
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	bool ok = fd != -1 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && digest_sha256_fd(fd, ret);	/* a device might never end */

	if (fd != -1)
		close(fd);
	return ok;
}

/* Sixty-four digits of our own worker. */
static void
from_hex(const char *hex, uint8_t ret[DIGEST_LEN])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_LEN && hex[2 * i] != '\0'; i++) {
		const char *high = strchr(digits, hex[2 * i]), *low = strchr(digits, hex[2 * i + 1]);

		ret[i] = high == NULL || low == NULL ? 0 : (uint8_t)((high - digits) << 4 | (low - digits));
	}
}

/* Is the source still what was asked about? */
static bool
stands(const struct question *q, size_t i, const char *at)
{
	uint8_t now[DIGEST_LEN];

	return desk_digest(at, now) && (!q->reply || memcmp(now, q->source[i], DIGEST_LEN) == 0);
}

static const char *
place_of(const struct question *q, const char *path)
{
	for (size_t i = 0; i < q->changes; i++)
		if (strcmp(q->change[i].path, path) == 0)
			return q->change[i].from;
	return NULL;
}

static void
answer(struct desk *d, const struct question *q, const struct verify_result *r)
{
	struct wire_table_row *row = desk_alloc((q->paths + r->dumps) * sizeof *row);
	char why[WIRE_TEXT_MAX];
	size_t n = 0;

	snprintf(why, sizeof why, "%s", r->verdict == VALIDITY_VALID ? "no table is made of it there" : r->why);
	for (size_t i = 0; i < q->paths; i++) {
		const char *at = place_of(q, q->path[i]);
		bool there = at != NULL && stands(q, i, at), known = false;

		for (size_t k = 0; k < r->dumps && there && r->verdict == VALIDITY_VALID; k++) {
			if (strcmp(r->dump[k].path, q->path[i]) != 0)
				continue;
			from_hex(r->dump[k].digest, row[n].rows);
			row[n].known = known = true;
			row[n].path = q->path[i];
			memcpy(row[n++].source, q->source[i], DIGEST_LEN);
		}
		if (known)
			continue;
		row[n] = (struct wire_table_row){ .path = q->path[i], .why = there ? why : "the source is another one there by now" };
		memcpy(row[n++].source, q->source[i], DIGEST_LEN);
	}
	desk_send(d, &(struct wire){ .type = WIRE_TABLES, .tables = { .row = row, .rows = n } });
	free(row);
}

/* ---------------------------------------------------------------- old tables */

static void
tell_old(struct desk *d, struct old *o)
{
	const struct derived_row *row;
	char table[ENTRY_PATH_MAX + 1], text[WIRE_TEXT_MAX], command[128];
	size_t i = 0;

	row = derived_of(o->path, &i, table, sizeof table);
	snprintf(command, sizeof command, "%.*s", row == NULL ? 0 : (int)strcspn(row->command, " "), row == NULL ? "" : row->command);
	snprintf(text, sizeof text, "was edited, and the table that is in use here was not made of it since: run %s; the other node has made its own",
	    command[0] != '\0' ? command : "postmap");
	core_problem(d->core, PROBLEM, o->path, text, clock_wall_ms());
}

static void
old_seen(struct desk *d, const char *path, bool is)
{
	struct tables *t = d->tables;
	size_t i = 0;

	while (i < t->olds && strcmp(t->old[i].path, path) != 0)
		i++;
	if (is && i < t->olds) {
		t->old[i].told = true;
		tell_old(d, &t->old[i]);
	} else if (is && i < OLD_MAX) {
		t->old[i] = (struct old){ .path = strdup(path) };
		if (t->old[t->olds++].path == NULL)
			abort();
		t->again_ms = AGAIN_MS;
	} else if (!is && i < t->olds) {
		if (t->old[i].told)
			core_problem(d->core, PROBLEM, path, NULL, clock_wall_ms());
		free(t->old[i].path);
		t->old[i] = t->old[--t->olds];
	}
	if (t->olds > 0 && !loop_timer_pending(t->timer))
		loop_timer_in(t->timer, t->again_ms);
}

static void
look_at_old(struct desk *d, const struct question *q, const struct verify_result *r)
{
	for (size_t i = 0; i < q->changes; i++) {
		bool made = false, is = false;

		for (size_t k = 0; k < r->dumps; k++)
			if (strcmp(r->dump[k].path, q->change[i].path) == 0) {
				made = true;
				is = is || r->dump[k].old;
			}
		if (made || r->verdict == VALIDITY_VALID)
			old_seen(d, q->change[i].path, is);
	}
}

/* ---------------------------------------------------------------- one question after the other */

static void
next(struct desk *d)
{
	struct tables *t = d->tables;
	struct question *q = t->first;

	t->first = q->next;
	if (t->first == NULL)
		t->end = &t->first;
	t->waiting--;
	question_free(q);
	begin(d);
}

static void
checked(void *arg, const struct verify_result *r)
{
	struct desk *d = arg;
	struct question *q = d->tables->first;

	d->tables->verify = NULL;
	if (q->reply)
		answer(d, q, r);
	look_at_old(d, q, r);
	next(d);
	desk_work(d);
}

/* Only what is carried and is still the same. The tree's own command has nothing to do with tables. */
static void
find_changes(struct desk *d, struct question *q)
{
	char *at;

	q->change = desk_alloc(q->paths * sizeof *q->change);
	set_of(&d->setup->sets, q->path[0], &q->set);
	q->set.validate = NULL;
	for (size_t i = 0; i < q->paths; i++) {
		if (q->set.kind == SET_SINGLE || scope_place(d->scope, q->path[i]) != SCOPE_INSIDE)
			continue;
		if (asprintf(&at, "%s/%s", d->root_path, q->path[i]) == -1)
			abort();
		if (stands(q, i, at))
			q->change[q->changes++] = (struct view_change){ q->path[i], at };
		else
			free(at);
	}
}

static void
begin(struct desk *d)
{
	struct tables *t = d->tables;
	struct question *q = t->first;

	if (q == NULL || t->verify != NULL)
		return;
	find_changes(d, q);
	if (q->changes == 0) {
		say_not(d, q, "the source is another one there by now, or is not carried");
		for (size_t i = 0; i < q->paths && !q->reply; i++)
			old_seen(d, q->path[i], false);
		next(d);
		return;
	}
	snprintf(t->scratch, sizeof t->scratch, "%s/config.work/tables", d->conf->state_dir);
	t->job = (struct verify_job){ .set = q->set, .view = { d->root_path[0] != '\0' ? d->root_path : "/", q->change, q->changes }, .scratch = t->scratch,
		.deadline_ms = d->conf->sync.validate_ms, .in_place = true };
	t->verify = verify_start(d->loop, &t->job, checked, d);
}

static void
ask(struct desk *d, const char *const *path, const uint8_t (*source)[DIGEST_LEN], size_t n, bool reply)
{
	struct tables *t = d->tables;
	struct question *q = desk_alloc(sizeof *q);

	q->path = desk_alloc(n * sizeof *q->path);
	q->source = desk_alloc(n * sizeof *q->source);
	q->reply = reply;
	for (; q->paths < n; q->paths++) {
		if ((q->path[q->paths] = strdup(path[q->paths])) == NULL)
			abort();
		if (source != NULL)
			memcpy(q->source[q->paths], source[q->paths], DIGEST_LEN);
	}
	if (n > VERIFY_DUMPS_MAX || t->waiting == WAITING_MAX) {
		say_not(d, q, "too much is asked there at once");
		question_free(q);
		return;
	}
	*t->end = q;
	t->end = &q->next;
	t->waiting++;
	begin(d);
}

static void
again(void *arg)
{
	struct desk *d = arg;
	struct tables *t = d->tables;

	t->again_ms = 2 * t->again_ms < AGAIN_MAX_MS ? 2 * t->again_ms : AGAIN_MAX_MS;
	loop_timer_in(t->timer, t->again_ms);	/* where a question has no place now */
	for (size_t i = 0; i < t->olds; i++)
		ask(d, (const char *const[]){ t->old[i].path }, NULL, 1, false);
	if (t->olds == 0)
		loop_timer_cancel(t->timer);
}

/* ---------------------------------------------------------------- from the other node; begin and end */

/* main.cf names the aliases as well, which are a set of their own: a check is of one set. */
void
desk_tables_came(struct desk *d, const struct wire_tables *w)
{
	struct comparing *following;
	struct set_id first, set;
	const char **path;
	uint8_t (*source)[DIGEST_LEN];
	bool *asked;
	size_t n;

	if (!w->ask) {
		for (struct comparing *c = d->tables->comparing; c != NULL; c = following) {
			following = c->next;
			compare(c, w);
		}
		return;
	}
	path = desk_alloc(w->rows * sizeof *path);
	source = desk_alloc(w->rows * sizeof *source);
	asked = desk_alloc(w->rows * sizeof *asked);
	for (size_t i = 0; i < w->rows; i++) {
		if (asked[i])
			continue;
		n = 0;
		set_of(&d->setup->sets, w->row[i].path, &first);
		for (size_t k = i; k < w->rows; k++) {
			set_of(&d->setup->sets, w->row[k].path, &set);
			if (asked[k] || !set_same(&first, &set))
				continue;
			asked[k] = true;
			path[n] = w->row[k].path;
			memcpy(source[n++], w->row[k].source, DIGEST_LEN);
		}
		ask(d, path, (const uint8_t (*)[DIGEST_LEN])source, n, true);
	}
	free(asked);
	free(path);
	free(source);
}

/* Nobody waits for the answers, and what they stand on may be another configuration. */
void
desk_tables_forget(struct desk *d)
{
	struct tables *t = d->tables;

	if (t->verify != NULL)
		verify_forget(t->verify);
	t->verify = NULL;
	while (t->first != NULL) {
		struct question *q = t->first;

		t->first = q->next;
		question_free(q);
	}
	t->end = &t->first;
	t->waiting = 0;
}

void
desk_tables_begin(struct desk *d)
{
	d->tables = desk_alloc(sizeof *d->tables);
	d->tables->end = &d->tables->first;
	d->tables->timer = loop_timer_new(d->loop, again, d);
}

void
desk_tables_end(struct desk *d)
{
	struct tables *t = d->tables;

	if (t == NULL)
		return;
	desk_compare_forget(d, 0);
	desk_tables_forget(d);
	loop_timer_free(t->timer);
	while (t->olds > 0)
		free(t->old[--t->olds].path);
	free(t);
	d->tables = NULL;
}
