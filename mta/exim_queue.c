/*
 * mta/exim_queue.c - the directories of Exim's spool as places of a layout, and the names in them. The names are
 * pure; the layout looks into directories and blocks. Nothing is followed, nothing is opened but directories.
 */
#include "mta/exim_queue.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MAX 4096		/* looked at to tell what ids and which split a tree has */
#define QUEUES_MAX 200		/* named ones; the kernel's names of places are 16 bits, ours are a list */
#define DIRECTORY_MODE 0750

uint8_t
exim_kind(enum exim_holds holds, unsigned int queue)
{
	return (uint8_t)((unsigned int)holds | queue << 4);
}

enum exim_holds
exim_holds(uint8_t kind)
{
	return (enum exim_holds)(kind & 15);
}

unsigned int
exim_queue_number(uint8_t kind)
{
	return kind >> 4;
}

/* ---------------------------------------------------------------- names */

static bool
all_digits(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isdigit((unsigned char)text[i]))
			return false;
	return len != 0;
}

/* An id at the beginning, then "-": how long it is, 0: there is none. */
static size_t
leading_id(const char *name, size_t len, struct exim_id *ret)
{
	static const size_t lengths[] = { EXIM_ID_LONG, EXIM_ID_SHORT };

	for (size_t i = 0; i < 2; i++)
		if (len > lengths[i] && name[lengths[i]] == '-' && exim_id_parse(name, lengths[i], ret))
			return lengths[i];
	return 0;
}

static bool
input_name(const char *name, size_t len, enum exim_part *ret_part, struct exim_id *ret_id)
{
	static const struct { char letter; enum exim_part part; } letters[] = {
		{ 'H', EXIM_PART_HEADER }, { 'D', EXIM_PART_DATA }, { 'J', EXIM_PART_JOURNAL }, { 'K', EXIM_PART_LEFT } };
	size_t id = leading_id(name, len, ret_id);

	*ret_part = EXIM_PART_LEFT;
	if (len > 4 && memcmp(name, "hdr.", 4) == 0)
		return exim_id_parse(name + 4, len - 4, ret_id) || all_digits(name + 4, len - 4);
	if (id == 0)
		return false;
	for (size_t i = 0; len == id + 2 && i < sizeof letters / sizeof letters[0]; i++) {
		if (name[id + 1] == letters[i].letter) {
			*ret_part = letters[i].part;
			return true;
		}
	}
	return len > id + 3 && memcmp(name + len - 2, "-K", 2) == 0 && all_digits(name + id + 1, len - id - 3);
}

static bool
log_name(const char *name, size_t len, enum exim_part *ret_part, struct exim_id *ret_id)
{
	size_t id;
	const char *dash;

	*ret_part = EXIM_PART_LOG;
	if (exim_id_parse(name, len, ret_id))
		return true;
	*ret_part = EXIM_PART_LEFT;
	id = leading_id(name, len, ret_id);
	dash = id != 0 ? strchr(name + id + 1, '-') : NULL;
	return dash != NULL && all_digits(name + id + 1, (size_t)(dash - name) - id - 1) && all_digits(dash + 1, strlen(dash + 1));
}

bool
exim_name(enum exim_holds holds, const char *name, enum exim_part *ret_part, struct exim_id *ret_id)
{
	static const char lock[] = ".lockfile";
	enum exim_part part = EXIM_PART_HINTS;
	struct exim_id id = { 0, 0 };
	size_t len = strlen(name);
	bool known = true;

	switch (holds) {
	case EXIM_HOLDS_INPUT:
		known = input_name(name, len, &part, &id);
		break;
	case EXIM_HOLDS_LOGS:
		known = log_name(name, len, &part, &id);
		break;
	case EXIM_HOLDS_HINTS:
		if (len > sizeof lock - 1 && strcmp(name + len - (sizeof lock - 1), lock) == 0)
			part = EXIM_PART_LOCK;
		break;
	case EXIM_HOLDS_SCAN:
	case EXIM_HOLDS_OLD_LOGS:
		part = EXIM_PART_LEFT;
		break;
	}
	if (known) {
		*ret_part = part;
		*ret_id = id;
	}
	return known;
}

/* ---------------------------------------------------------------- the tree */

static int
open_below(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
}

/* What the ids of a tree tell: how many are short and long, and stand split or not. */
struct counts { unsigned int seen, shorter, longer, split, flat; };

static void
count_ids(int fd, bool is_sub, struct counts *counts)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;

	while (dir != NULL && counts->seen < NAMES_MAX && (entry = readdir(dir)) != NULL) {
		enum exim_part part;
		struct exim_id id;

		counts->seen++;
		if (!is_sub && isalnum((unsigned char)entry->d_name[0]) && entry->d_name[1] == '\0') {
			int sub = open_below(dirfd(dir), entry->d_name);

			if (sub != -1)
				count_ids(sub, true, counts);
		} else if (exim_name(EXIM_HOLDS_INPUT, entry->d_name, &part, &id) && part == EXIM_PART_HEADER) {
			if (exim_id_length(id) == EXIM_ID_LONG)
				counts->longer++;
			else
				counts->shorter++;
			if (is_sub)
				counts->split++;
			else
				counts->flat++;
		}
	}
	if (dir != NULL)
		closedir(dir);
	else
		close(fd);
}

static void
settings_from_tree(int root, struct queue_layout *layout)
{
	struct counts counts = { 0 };
	int fd = open_below(root, "input");

	if (fd != -1)
		count_ids(fd, false, &counts);
	layout->split_spool = counts.split > counts.flat;
	layout->id_length = counts.longer > 0 ? EXIM_ID_LONG : counts.shorter > 0 ? EXIM_ID_SHORT : 0;
}

static void
add(struct queue_layout *layout, const struct exim_spool *spool, const char *path, enum exim_holds holds, unsigned int queue)
{
	struct queue_place *place = queue_place_add(layout, path, exim_kind(holds, queue));

	if (holds == EXIM_HOLDS_INPUT || holds == EXIM_HOLDS_LOGS) {
		place->hash = QUEUE_EXIM;
		place->depth = 1;
	}
	/* Exim makes the others when it needs them; without this one it is not the spool, or nothing is mounted there. */
	place->required = holds == EXIM_HOLDS_INPUT && queue == EXIM_QUEUE_DEFAULT;
	place->uid = spool->uid;
	place->gid = spool->gid;
	place->mode = DIRECTORY_MODE;
	place->skipped = holds == EXIM_HOLDS_OLD_LOGS;	/* kept by the operator's own wish */
}

/* A name that queue_name may have, and no directory of the default queue. */
static bool
may_be_queue(const char *name)
{
	static const char *const own[] = { "input", "msglog", "Finput", "Fmsglog", "db", "scan", "msglog.OLD", "log", "lost+found" };

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (strcmp(name, own[i]) == 0)
			return false;
	return name[0] != '.' && strlen(name) < 200;
}

static bool
is_directory(int root, const char *path)
{
	int fd = open_below(root, path);

	if (fd != -1)
		close(fd);
	return fd != -1;
}

static int
by_name(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Named queues in the order of their names: the numbers must be the same at each look. */
static bool
named_queues(int root, const struct exim_spool *spool, struct queue_layout *layout, struct err *err)
{
	char *name[QUEUES_MAX], path[512];
	int fd = open_below(root, ".");
	DIR *dir = fd != -1 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	size_t names = 0;

	if (dir == NULL)
		return err_set(err, errno, "Exim's spool %s cannot be looked into", spool->directory);
	while (names < QUEUES_MAX && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof path, "%s/input", entry->d_name);
		if (may_be_queue(entry->d_name) && is_directory(root, path) && (name[names] = strdup(entry->d_name)) != NULL)
			names++;
	}
	closedir(dir);
	qsort(name, names, sizeof name[0], by_name);
	for (size_t i = 0; i < names; i++) {
		unsigned int queue = EXIM_QUEUE_NAMED + (unsigned int)i;

		if (queue > EXIM_QUEUE_REST)
			queue = EXIM_QUEUE_REST;
		snprintf(path, sizeof path, "%s/input", name[i]);
		add(layout, spool, path, EXIM_HOLDS_INPUT, queue);
		snprintf(path, sizeof path, "%s/msglog", name[i]);
		add(layout, spool, path, EXIM_HOLDS_LOGS, queue);
		free(name[i]);
	}
	return true;
}

bool
exim_spool_layout(const struct exim_spool *spool, struct queue_layout *ret, struct err *err)
{
	struct queue_layout layout = { .mta = "exim", .split_spool = spool->split, .id_length = spool->id_length };
	int root = open(spool->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok;

	if (root == -1)
		return err_set(err, errno, "Exim's spool %s cannot be looked into", spool->directory);
	add(&layout, spool, "input", EXIM_HOLDS_INPUT, EXIM_QUEUE_DEFAULT);
	add(&layout, spool, "msglog", EXIM_HOLDS_LOGS, EXIM_QUEUE_DEFAULT);
	add(&layout, spool, "Finput", EXIM_HOLDS_INPUT, EXIM_QUEUE_FROZEN);
	add(&layout, spool, "Fmsglog", EXIM_HOLDS_LOGS, EXIM_QUEUE_FROZEN);
	add(&layout, spool, "db", EXIM_HOLDS_HINTS, EXIM_QUEUE_DEFAULT);
	add(&layout, spool, "scan", EXIM_HOLDS_SCAN, EXIM_QUEUE_DEFAULT);
	add(&layout, spool, "msglog.OLD", EXIM_HOLDS_OLD_LOGS, EXIM_QUEUE_DEFAULT);
	ok = named_queues(root, spool, &layout, err);
	if (ok && !spool->settings)
		settings_from_tree(root, &layout);
	close(root);
	layout.root = ok ? strdup(spool->directory) : NULL;
	if (ok && layout.root == NULL)
		ok = err_set(err, 0, "out of memory");
	if (ok)
		*ret = layout;
	else
		queue_layout_free(&layout);
	return ok;
}
