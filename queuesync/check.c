/*
 * queuesync/check.c - the sequence of a check, and what the rules work with: the table of messages, odd
 * files that are kept whole, findings that are bounded. Pure; one thread.
 */
#include "queuesync/check_priv.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ODD_HEADS 16384u
#define ASKED_ODD_MAX 65536u
#define DETAIL_MAX 600

struct check *
check_new(const struct rules *rules, const struct queue_layout *layout, const struct check_options *options)
{
	struct check *c = need(calloc(1, sizeof *c));

	c->rules = rules;
	c->layout = layout;
	c->options = *options;
	c->table = table_new(options->seed);
	c->directories = table_new(options->seed);
	c->place_seen = need(calloc(layout->places + 1, sizeof *c->place_seen));
	c->odd_head = need(calloc(ODD_HEADS, sizeof *c->odd_head));
	return c;
}

void
check_free(struct check *c)
{
	for (size_t i = 0; i < c->odds; i++)
		free(c->odd[i]);
	for (size_t i = 0; i < c->patterns; i++)
		free(c->pattern[i].path);
	table_free(c->table);
	table_free(c->directories);
	findings_free(&c->findings);
	free(c->finding_key);
	free(c->group);
	free(c->odd);
	free(c->odd_head);
	free(c->ask);
	free(c->place_seen);
	free(c->own);
	free(c);
}

const struct queue_layout *
check_layout(const struct check *c)
{
	return c->layout;
}

const struct check_options *
check_options(const struct check *c)
{
	return &c->options;
}

void *
check_own(struct check *c, size_t size)
{
	if (c->own == NULL)
		c->own = need(calloc(1, size));
	return c->own;
}

/* ---------------------------------------------------------------- the table */

uint32_t
check_parts(const struct check *c, struct queue_key key)
{
	uint32_t number = table_find(c->table, key);

	return number == TABLE_NONE ? 0 : table_row(c->table, number)->parts;
}

uint32_t
check_more(const struct check *c, struct queue_key key)
{
	uint32_t number = table_find(c->table, key);

	return number == TABLE_NONE ? 0 : table_row(c->table, number)->more;
}

void
check_set(struct check *c, struct queue_key key, uint32_t parts, uint32_t more)
{
	struct table_row *row = table_row(c->table, table_make(c->table, key));

	row->parts |= parts;
	row->more |= more;
}

void
check_each(struct check *c, check_row_f *f, void *arg)
{
	uint32_t len = table_len(c->table);

	for (uint32_t i = 0; i < len; i++) {
		const struct table_row *row = table_row(c->table, i);

		f(c, row->key, row->parts, row->more, arg);
		assert(table_len(c->table) == len);
	}
}

/* ---------------------------------------------------------------- paths */

const char *
check_file_path(const struct check *c, const struct queue_file *file, char *buf, size_t size)
{
	return queue_file_path(c->layout, file, buf, size);
}

const char *
check_odd_path(const struct check *c, const struct odd *odd, char *buf, size_t size)
{
	if (QUEUE_TYPE(odd->file.mode) != QUEUE_DIRECTORY || odd->bit != 0)
		return check_file_path(c, &odd->file, buf, size);
	snprintf(buf, size, "%s", odd->file.name);
	return buf;
}

/* ---------------------------------------------------------------- odd files */

static uint32_t
odd_slot(struct queue_key key, uint32_t bit)
{
	return (uint32_t)((key.lo * 0x9e3779b97f4a7c15u ^ key.hi * 0xc2b2ae3d27d4eb4fu ^ bit) >> 16) & (ODD_HEADS - 1);
}

static struct odd *
odd_new(const struct queue_file *file, struct queue_key key, uint32_t bit)
{
	size_t name = strlen(file->name) + 1, sub = strlen(file->sub) + 1;
	struct odd *odd = need(calloc(1, sizeof *odd + name + sub));
	char *text = (char *)(odd + 1);

	odd->file = *file;
	odd->file.name = memcpy(text, file->name, name);
	odd->file.sub = memcpy(text + name, file->sub, sub);
	odd->key = key;
	odd->bit = bit;
	return odd;
}

static bool
odd_room(struct check *c, uint32_t why, uint32_t bit)
{
	uint32_t *count = &c->why_count[__builtin_ctz(why)], most = CHECK_ODD_MAX;

	if (why == WHY_KEPT)
		count = &c->bit_count[bit == 0 ? 31 : __builtin_ctz(bit)];
	else if (why == WHY_ASKED)
		most = ASKED_ODD_MAX;
	if (*count == most)
		return false;
	(*count)++;
	return true;
}

struct odd *
check_odd(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit,
    const struct file_norm *norm, uint32_t whys)
{
	uint32_t kept = 0, *head = &c->odd_head[odd_slot(key, bit)];
	struct odd *odd;

	for (uint32_t why = 1; why <= WHY_ASKED; why <<= 1)
		if ((whys & why) != 0 && odd_room(c, why, bit))
			kept |= why;
	if (kept == 0)
		return NULL;
	if (c->odds == c->odd_room) {
		c->odd_room = c->odd_room == 0 ? 64 : 2 * c->odd_room;
		c->odd = need(reallocarray(c->odd, c->odd_room, sizeof(struct odd *)));
	}
	odd = c->odd[c->odds++] = odd_new(file, key, bit);
	odd->whys = kept;
	if (norm != NULL)
		odd->norm = *norm;
	odd->next = *head;
	*head = (uint32_t)c->odds;
	return odd;
}

bool
check_keep(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit)
{
	return check_odd(c, file, key, bit, NULL, WHY_KEPT) != NULL;
}

const struct queue_file *
check_kept(struct check *c, struct queue_key key, uint32_t bit)
{
	const struct queue_file *first = NULL;

	/* The chain is from the last to the first; the first that was kept is meant. */
	for (uint32_t i = c->odd_head[odd_slot(key, bit)]; i != 0; i = c->odd[i - 1]->next) {
		const struct odd *odd = c->odd[i - 1];

		if ((odd->whys & WHY_KEPT) != 0 && odd->bit == bit && odd->key.lo == key.lo && odd->key.hi == key.hi)
			first = &odd->file;
	}
	return first;
}

void
check_each_kept(struct check *c, uint32_t bits, check_kept_f *f, void *arg)
{
	size_t odds = c->odds;

	for (size_t i = 0; i < odds; i++)
		if ((c->odd[i]->whys & WHY_KEPT) != 0 && (c->odd[i]->bit & bits) != 0)
			f(c, &c->odd[i]->file, c->odd[i]->key, c->odd[i]->bit, arg);
}

/* ---------------------------------------------------------------- findings */

static struct group *
group_of(struct check *c, unsigned int rule, enum finding_class class, enum problem problem)
{
	for (size_t i = 0; i < c->groups; i++)
		if (c->group[i].rule == rule && c->group[i].class == class && c->group[i].problem == problem)
			return &c->group[i];
	if ((c->groups & (c->groups - 1)) == 0)
		c->group = need(reallocarray(c->group, c->groups == 0 ? 1 : 2 * c->groups, sizeof *c->group));
	c->group[c->groups] = (struct group){ .rule = (uint8_t)rule, .class = (uint8_t)class, .problem = (uint8_t)problem };
	return &c->group[c->groups++];
}

static void
key_of_last(struct check *c, struct queue_key key)
{
	if ((c->finding_keys & (c->finding_keys - 1)) == 0)
		c->finding_key = need(reallocarray(c->finding_key, c->finding_keys == 0 ? 1 : 2 * c->finding_keys,
		    sizeof *c->finding_key));
	c->finding_key[c->finding_keys++] = key;
}

static void
overflow(struct check *c, struct group *group, enum acknowledged ack, const char *path, uint64_t n)
{
	if (group->overflow != 0) {
		c->findings.at[group->overflow - 1].count += n;
		return;
	}
	finding_add(&c->findings, group->rule, (enum finding_class)group->class, (enum problem)group->problem, ack, path,
	    NULL, "more of the same kind than are listed here; they come up when those are mended")->count = n;
	key_of_last(c, KEY_NONE);
	group->overflow = (uint32_t)c->findings.len;
}

void
check_unlisted(struct check *c, unsigned int rule, enum finding_class class, enum problem problem, uint64_t n)
{
	if (n > 0)
		overflow(c, group_of(c, rule, class, problem), ACK_MAYBE, "", n);
}

static struct finding *
find(struct check *c, unsigned int rule, enum finding_class class, enum problem problem, enum acknowledged ack,
    const char *path, struct queue_key key, const char *detail)
{
	struct group *group = group_of(c, rule, class, problem);
	char id[64];
	struct finding *f;

	if (group->listed == (c->options.mending ? CHECK_ODD_MAX : CHECK_LISTED_MAX)) {
		overflow(c, group, ack, path, 1);
		return NULL;
	}
	group->listed++;
	f = finding_add(&c->findings, rule, class, problem, ack, path,
	    key.hi != 0 || key.lo != 0 ? c->rules->id(c->layout, key, id) : NULL, "%s", detail);
	key_of_last(c, key);
	return f;
}

struct finding *
check_find(struct check *c, unsigned int rule, enum finding_class class, enum problem problem, enum acknowledged ack,
    const struct queue_file *file, struct queue_key key, const char *detail, ...)
{
	char text[DETAIL_MAX], path[CHECK_PATH_MAX];
	va_list ap;

	va_start(ap, detail);
	vsnprintf(text, sizeof text, detail, ap);
	va_end(ap);
	return find(c, rule, class, problem, ack, file == NULL ? "" : check_file_path(c, file, path, sizeof path), key, text);
}

struct finding *
check_find_at(struct check *c, unsigned int rule, enum finding_class class, enum problem problem,
    enum acknowledged ack, const char *path, struct queue_key key, const char *detail, ...)
{
	char text[DETAIL_MAX];
	va_list ap;

	va_start(ap, detail);
	vsnprintf(text, sizeof text, detail, ap);
	va_end(ap);
	return find(c, rule, class, problem, ack, path, key, text);
}

/* ---------------------------------------------------------------- the sequence */

/* The part is there: into the table; the second of a kind makes the row CHECK_TWICE. Returns whether it is the first. */
static bool
part_add(struct check *c, struct queue_key key, uint32_t bit)
{
	struct table_row *row = table_row(c->table, table_make(c->table, key));
	bool first = (row->parts & bit) == 0;

	row->parts |= bit | (first ? 0 : CHECK_TWICE);
	return first;
}

bool
check_reads(const struct rules *rules, const struct queue_layout *layout, const struct queue_file *file)
{
	struct file_norm norm;
	struct queue_key key;
	uint32_t bit = 0;

	return rules->plain != NULL && rules->name(layout, file, &key, &bit, &norm) && bit != 0 && (bit & rules->unread_bits) == 0;
}

/* A deep pass reads it when all names are known: content NULL, or something in it that is to be judged then. */
static bool
is_wanted(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit, uint32_t whys,
    const struct queue_content *content)
{
	if (!c->options.deep || (bit & c->rules->unread_bits) != 0)
		return false;
	/* what stands in a wrong place, or twice, cannot be asked for by its key */
	return content == NULL || (whys & (WHY_PLACE | WHY_SECOND)) != 0 || !c->rules->plain(c, file, key, bit, content);
}

void
check_file(struct check *c, const struct queue_file *file)
{
	check_file_read(c, file, NULL);
}

void
check_file_read(struct check *c, const struct queue_file *file, const struct queue_content *content)
{
	struct file_norm norm = { .uid = QUEUE_ID_ANY, .gid = QUEUE_ID_ANY };
	struct queue_key key = KEY_NONE;
	uint32_t bit = 0, whys;
	char want[CHECK_SUB_MAX] = "";

	c->files++;
	if (QUEUE_TYPE(file->mode) != QUEUE_REGULAR || !c->rules->name(c->layout, file, &key, &bit, &norm)) {
		if (c->rules->odd == NULL || !c->rules->odd(c, file))
			check_stray(c, file);
		return;
	}
	assert((bit & (CHECK_TWICE | CHECK_BROKEN)) == 0);
	c->regular++;
	whys = check_whys(c, file, &norm);
	if (!check_empty(c, file, key, bit, &norm) &&
	    (c->rules->file == NULL || c->rules->file(c, file, key, bit)) && bit != 0) {
		if (!part_add(c, key, bit))
			whys |= WHY_SECOND;
		if (c->rules->place != NULL && !c->rules->place(c->layout, file, want)) {
			whys |= WHY_PLACE;
			c->wrong_places++;
		}
		if (is_wanted(c, file, key, bit, whys, content))
			check_ask_read(c, file, key, bit);
	}
	if (whys != 0)
		check_odd(c, file, key, bit, &norm, whys);
}

void
check_joined(struct check *c)
{
	check_systematic_join(c);
	check_common_join(c);
	if (c->rules->join != NULL)
		c->rules->join(c);
}

void
check_content(struct check *c, const struct check_asked *asked, const struct queue_content *content)
{
	if (c->rules->content != NULL)
		c->rules->content(c, &asked->file, asked->key, asked->bit, content);
}

void
check_unreadable(struct check *c, const struct check_asked *asked, const char *why)
{
	struct finding *f = check_find(c, 5, CLASS_REPORT, PROBLEM_BAD_RECORD, ACK_MAYBE, &asked->file, asked->key,
	    "cannot be read, so nothing is known of it: %s", why);

	/* Of what cannot be judged nobody may say that it is whole. */
	if (f != NULL)
		f->damages = true;
}

void
check_blind(struct check *c, const struct queue_file *file, const char *why)
{
	struct finding *f;

	c->files++;
	f = check_find(c, 5, CLASS_REPORT, PROBLEM_BAD_RECORD, ACK_MAYBE, file, KEY_NONE,
	    "the file system cannot say what it is: %s; fsck is needed", why);
	if (f != NULL)
		f->damages = true;
}

/* Whole messages: rows with a message's part, less those that a finding calls damaged. */
static uint64_t
count_messages(struct check *c)
{
	uint64_t whole = 0, unlisted = 0;

	for (size_t i = 0; i < c->findings.len; i++) {
		struct queue_key key = c->finding_key[i];
		uint32_t number;

		if (!c->findings.at[i].damages)
			continue;
		if (c->findings.at[i].count > 1)
			unlisted += c->findings.at[i].count;
		else if ((key.hi != 0 || key.lo != 0) && (number = table_find(c->table, key)) != TABLE_NONE)
			table_row(c->table, number)->parts |= CHECK_BROKEN;
	}
	for (uint32_t i = 0; i < table_len(c->table); i++) {
		uint32_t parts = table_row(c->table, i)->parts;

		whole += (parts & c->rules->message_bits) != 0 && (parts & CHECK_BROKEN) == 0;
	}
	return whole > unlisted ? whole - unlisted : 0;
}

/* What could not be listed is as bad as what was. */
static void
overflows_inherit(struct check *c)
{
	for (size_t i = 0; i < c->findings.len; i++) {
		const struct finding *f = &c->findings.at[i];
		struct group *group = group_of(c, f->rule, f->class, f->problem);

		if (f->damages && group->overflow != 0)
			c->findings.at[group->overflow - 1].damages = true;
	}
}

void
check_end(struct check *c, struct findings *ret, uint64_t *messages, uint64_t *files)
{
	if (c->ask_missed > 0)
		check_find_at(c, 5, CLASS_REPORT, PROBLEM_FOREIGN_FILE, ACK_MAYBE, "", KEY_NONE,
		    "%llu files in unexpected places were not read: too many", (unsigned long long)c->ask_missed);
	if (c->rules->end != NULL)
		c->rules->end(c);
	overflows_inherit(c);
	*messages = count_messages(c);
	*files = c->files;
	*ret = c->findings;
	c->findings = (struct findings){ 0 };
	c->finding_keys = 0;
	findings_sort(ret);
}
