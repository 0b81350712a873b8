/*
 * queuesync/check_common.c - what is so in every queue: rules 1 (directories), 2 (strays), 3 (links), 5 (empty
 * files), 6 (times) and 7 (the right sub-directory). Pure.
 */
#include "queuesync/check_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD_MAX (8 * 86400)	/* s that a time of a next try may be ahead: longer than any mail is kept */

static const char *
type_name(uint32_t mode)
{
	switch (QUEUE_TYPE(mode)) {
	case QUEUE_REGULAR: return "a regular file";
	case QUEUE_DIRECTORY: return "a directory";
	case QUEUE_SYMLINK: return "a symbolic link";
	case QUEUE_FIFO: return "a FIFO";
	case QUEUE_SOCKET: return "a socket";
	case QUEUE_CHAR_DEVICE:
	case QUEUE_BLOCK_DEVICE: return "a device";
	default: return "something unknown";
	}
}

/* ---------------------------------------------------------------- rule 1: directories */

/* 128 bits of a path: directories are few, and the seed keeps two from meeting on purpose. */
static struct queue_key
path_key(const struct check *c, const char *path)
{
	uint64_t a = c->options.seed ^ 0x9e3779b97f4a7c15u, b = ~c->options.seed;

	for (; *path != '\0'; path++) {
		a = (a ^ (unsigned char)*path) * 0x100000001b3u;
		b = (b + (unsigned char)*path) * 0xd6e8feb86659fd93u;
		b ^= b >> 29;
	}
	return (struct queue_key){ a | 1, b };
}

bool
check_has_directory(const struct check *c, const char *path)
{
	return table_find(c->directories, path_key(c, path)) != TABLE_NONE;
}

static void
remedy_mkdir(struct finding *f, const struct queue_place *place, const char *path)
{
	struct remedy *r = finding_remedy(f, REMEDY_MKDIR, path, NULL, 0);

	r->mode = place->mode != 0 ? place->mode : 0700;
	r->uid = place->uid;
	r->gid = place->gid;
}

static void
wrong_type(struct check *c, const char *path, uint16_t place, const struct queue_file *self)
{
	struct finding *f;

	if (QUEUE_TYPE(self->mode) == QUEUE_SYMLINK) {
		/* Mail may stand behind it, which nobody can judge from here. */
		f = check_find_at(c, 1, CLASS_REPORT, PROBLEM_WRONG_TYPE, ACK_MAYBE, path, KEY_NONE,
		    "a symbolic link stands where a directory of the queue is right; it is not followed");
		if (f != NULL)
			f->damages = true;
		return;
	}
	f = check_find_at(c, 1, CLASS_STRAY, PROBLEM_WRONG_TYPE, ACK_NO, path, KEY_NONE,
	    "%s stands where a directory of the queue is right", type_name(self->mode));
	if (f == NULL)
		return;
	finding_remedy(f, REMEDY_QUARANTINE, path, NULL, self->ino);
	if (c->layout->place[place].required)
		remedy_mkdir(f, &c->layout->place[place], path);
}

void
check_directory(struct check *c, const char *path, uint16_t place, const struct queue_file *self)
{
	const struct queue_place *p = &c->layout->place[place];
	struct file_norm norm = { .uid = p->uid, .gid = p->gid, .mode = p->mode, .mask = p->mode != 0 ? 07777 : 0 };
	struct queue_file whole = *self;
	uint32_t whys;

	if (strcmp(path, p->path) == 0)
		c->place_seen[place] = true;
	table_make(c->directories, path_key(c, path));
	if (QUEUE_TYPE(self->mode) != QUEUE_DIRECTORY) {
		wrong_type(c, path, place, self);
		return;
	}
	whole.place = place;
	whole.name = path;
	whole.sub = "";
	whys = check_owner_and_mode(c, &whole, &norm, true);
	if (whys != 0)
		check_odd(c, &whole, KEY_NONE, 0, &norm, whys);
}

static void
missing_directory(struct check *c, const struct queue_place *place, const char *path)
{
	struct finding *f = check_find_at(c, 1, CLASS_REPAIR, PROBLEM_MISSING_DIRECTORY, ACK_NO, path, KEY_NONE,
	    "this directory of the queue is missing");

	if (f != NULL)
		remedy_mkdir(f, place, path);
}

static void
missing_directories(struct check *c)
{
	char path[CHECK_PATH_MAX];

	for (size_t i = 0; i < c->layout->places; i++) {
		const struct queue_place *p = &c->layout->place[i];

		if (p->required && !c->place_seen[i])
			missing_directory(c, p, p->path);
		for (uint32_t n = 0; p->subs_required && p->hash == QUEUE_MOD && n < c->layout->split; n++) {
			snprintf(path, sizeof path, "%s/%" PRIu32, p->path, n);
			if (!check_has_directory(c, path))
				missing_directory(c, p, path);
		}
	}
}

void
check_mounted(struct check *c, const char *path, uint16_t place)
{
	struct finding *f;

	table_make(c->directories, path_key(c, path));
	if (strcmp(path, c->layout->place[place].path) == 0)
		c->place_seen[place] = true;
	f = check_find_at(c, 1, CLASS_REPORT, PROBLEM_WRONG_TYPE, ACK_MAYBE, path, KEY_NONE,
	    "another file system is mounted here: mail cannot be renamed into it, and it is not looked into");
	if (f != NULL)
		f->damages = true;
}

void
check_lost_found(struct check *c, const char *path, uint64_t files)
{
	check_find_at(c, 2, CLASS_REPORT, PROBLEM_ORPHAN_PART, ACK_MAYBE, path, KEY_NONE,
	    "fsck put %" PRIu64 " files here that had lost their names: mail may be among them", files);
}

/* ---------------------------------------------------------------- rule 2: strays */

void
check_stray(struct check *c, const struct queue_file *file)
{
	bool regular = QUEUE_TYPE(file->mode) == QUEUE_REGULAR;
	char path[CHECK_PATH_MAX];
	struct finding *f;

	f = check_find(c, 2, CLASS_STRAY, regular ? PROBLEM_FOREIGN_FILE : PROBLEM_WRONG_TYPE, ACK_NO, file, KEY_NONE,
	    regular ? "%s with a name that no file of the queue has here" : "%s is no part of the queue here",
	    type_name(file->mode));
	if (f != NULL)
		finding_remedy(f, REMEDY_QUARANTINE, check_file_path(c, file, path, sizeof path), NULL, file->ino);
}

/* ---------------------------------------------------------------- rules 3, 5, 6: one file */

bool
check_empty(struct check *c, const struct queue_file *file, struct queue_key key, uint32_t bit,
    const struct file_norm *norm)
{
	bool message = (bit & c->rules->message_bits) != 0;
	char path[CHECK_PATH_MAX];
	struct finding *f;

	if (file->size > 0 || norm->may_be_empty)
		return false;
	f = check_find(c, 5, CLASS_QUARANTINE, PROBLEM_EMPTY, message ? ACK_YES : ACK_MAYBE, file, key,
	    "0 bytes, as after a crash that kept the name but not the content");
	if (f != NULL) {
		f->damages = message;
		finding_remedy(f, REMEDY_QUARANTINE, check_file_path(c, file, path, sizeof path), NULL, file->ino);
	}
	return true;
}

static bool
is_ahead(const struct check_options *o, const struct queue_file *file, const struct file_norm *norm)
{
	return file->mtime > o->now + o->slack + (norm->future ? AHEAD_MAX : 0);
}

bool
check_plain(const struct rules *rules, const struct queue_layout *layout, const struct check_options *o, const struct queue_file *file)
{
	struct file_norm norm = { .uid = QUEUE_ID_ANY, .gid = QUEUE_ID_ANY };
	struct queue_key key = KEY_NONE;
	char want[CHECK_SUB_MAX] = "";
	uint32_t bit = 0;

	return QUEUE_TYPE(file->mode) == QUEUE_REGULAR && file->size > 0 && rules->name(layout, file, &key, &bit, &norm) && bit != 0 &&
	    !check_owner_wrong(file, &norm) && !check_mode_wrong(file, &norm) &&
	    (norm.nlink != 0 ? file->nlink == norm.nlink : file->nlink <= 2) && !is_ahead(o, file, &norm) &&
	    (rules->place == NULL || rules->place(layout, file, want)) && (rules->quiet == NULL || rules->quiet(layout, file, bit));
}

uint32_t
check_whys(struct check *c, const struct queue_file *file, const struct file_norm *norm)
{
	uint32_t whys = check_owner_and_mode(c, file, norm, false);

	if (norm->nlink != 0 && file->nlink != norm->nlink) {
		if (c->why_count[__builtin_ctz(WHY_LINKS)] == CHECK_ODD_MAX)
			c->unlisted_links++;
		whys |= WHY_LINKS;
	}
	if (is_ahead(&c->options, file, norm)) {
		c->future++;
		whys |= WHY_TIME;
	}
	return whys;
}

/* ---------------------------------------------------------------- rule 6: times */

static void
join_times(struct check *c)
{
	char path[CHECK_PATH_MAX];
	uint64_t listed = 0;

	if (c->future == 0)
		return;
	/* Most of a queue is not from the future: this node's clock is behind, and what it says is no remedy. */
	if (c->future >= SYSTEMATIC_LEAST && 2 * c->future > c->regular) {
		check_find_at(c, 6, CLASS_REPORT, PROBLEM_BAD_TIME, ACK_MAYBE, "", KEY_NONE,
		    "most files (%" PRIu64 " of %" PRIu64 ") are from the future: is this node's clock behind?", c->future,
		    c->regular)->count = c->future;
		return;
	}
	for (size_t i = 0; i < c->odds; i++) {
		const struct odd *odd = c->odd[i];
		struct finding *f;

		if ((odd->whys & WHY_TIME) == 0)
			continue;
		listed++;
		f = check_find(c, 6, CLASS_REPAIR, PROBLEM_BAD_TIME, ACK_MAYBE, &odd->file, odd->key,
		    "its time is %" PRId64 " s ahead", odd->file.mtime - c->options.now);
		if (f != NULL && odd->file.nlink <= (odd->norm.nlink != 0 ? odd->norm.nlink : UINT32_MAX))
			finding_remedy(f, REMEDY_TIMES, check_file_path(c, &odd->file, path, sizeof path), NULL,
			    odd->file.ino);
	}
	check_unlisted(c, 6, CLASS_REPAIR, PROBLEM_BAD_TIME, c->future - listed);
}

/* ---------------------------------------------------------------- rule 3: two paths to one file */

static int
order_links(const void *left, const void *right)
{
	const struct odd *a = *(struct odd *const *)left, *b = *(struct odd *const *)right;

	return a->file.ino < b->file.ino ? -1 : a->file.ino > b->file.ino;
}

/* Which of two names of one file goes: 0, 1, or -2 where the rules of the program deal with it. */
static int
which_goes(struct check *c, const struct odd *a, const struct odd *b)
{
	int which = c->rules->linked == NULL ? -1 :
	    c->rules->linked(c, &a->file, a->key, a->bit, &b->file, b->key, b->bit);

	if (which != -1)
		return which;
	if ((a->whys & WHY_PLACE) != (b->whys & WHY_PLACE))
		return (a->whys & WHY_PLACE) != 0 ? 0 : 1;
	/* Places stand in the order of a message's life. */
	return a->file.place <= b->file.place ? 0 : 1;
}

/* One file under several names of the queue: all but one go, of which none takes content along. */
static void
same_file(struct check *c, struct odd **names, size_t n)
{
	char path[CHECK_PATH_MAX], stays[CHECK_PATH_MAX];
	struct odd *stay = names[0];

	for (size_t i = 1; i < n; i++) {
		int which = which_goes(c, stay, names[i]);
		struct odd *goes = which == 0 ? stay : names[i];
		struct finding *f;

		if (which == -2)
			continue;
		stay = which == 0 ? names[i] : stay;
		goes->settled = true;
		check_odd_path(c, stay, stays, sizeof stays);
		f = check_find(c, 3, CLASS_REPAIR, PROBLEM_DUPLICATE, ACK_YES, &goes->file, goes->key,
		    "the same file as %s, under a second name", stays);
		if (f != NULL)
			finding_remedy(f, REMEDY_QUARANTINE, check_odd_path(c, goes, path, sizeof path), NULL,
			    goes->file.ino);
	}
}

static void
join_links(struct check *c)
{
	struct odd **names = need(calloc(c->odds + 1, sizeof(struct odd *)));
	size_t len = 0;

	for (size_t i = 0; i < c->odds; i++)
		if ((c->odd[i]->whys & WHY_LINKS) != 0)
			names[len++] = c->odd[i];
	qsort(names, len, sizeof(struct odd *), order_links);
	for (size_t from = 0, n; from < len; from += n) {
		const struct queue_file *file = &names[from]->file;

		for (n = 1; from + n < len && names[from + n]->file.ino == file->ino; n++)
			continue;
		if (n > 1)
			same_file(c, names + from, n);
		if (file->nlink > n && file->nlink > names[from]->norm.nlink)
			check_find(c, 3, CLASS_REPORT, PROBLEM_DUPLICATE, ACK_MAYBE, file, names[from]->key,
			    "it has %" PRIu32 " names, of which %zu are in the queue: who has another can change it",
			    file->nlink, n);
	}
	free(names);
	check_unlisted(c, 3, CLASS_REPORT, PROBLEM_DUPLICATE, c->unlisted_links);
}

/* ---------------------------------------------------------------- rule 7: the right sub-directory */

/* Another file of the same kind and id that stands where this one belongs. */
static bool
is_taken(const struct check *c, const struct odd *odd)
{
	uint32_t twice = check_parts(c, odd->key) & CHECK_TWICE;

	if (twice == 0)
		return false;
	if ((odd->whys & WHY_SECOND) != 0)
		return true;
	for (size_t i = 0; i < c->odds; i++) {
		const struct odd *o = c->odd[i];

		if ((o->whys & WHY_SECOND) != 0 && (o->whys & WHY_PLACE) == 0 && o->bit == odd->bit &&
		    o->key.lo == odd->key.lo && o->key.hi == odd->key.hi)
			return true;
	}
	return false;
}

static void
wrong_place(struct check *c, const struct odd *odd)
{
	const struct queue_place *place = &c->layout->place[odd->file.place];
	char path[CHECK_PATH_MAX], to[CHECK_PATH_MAX], directory[CHECK_PATH_MAX], want[CHECK_SUB_MAX] = "";
	struct queue_file there = odd->file;
	struct finding *f;

	c->rules->place(c->layout, &odd->file, want);
	there.sub = want;
	check_file_path(c, &odd->file, path, sizeof path);
	check_file_path(c, &there, to, sizeof to);
	snprintf(directory, sizeof directory, "%s", to);
	*strrchr(directory, '/') = '\0';
	if (is_taken(c, odd)) {
		f = check_find(c, 7, CLASS_QUARANTINE, PROBLEM_DUPLICATE, ACK_MAYBE, &odd->file, odd->key,
		    "it belongs to %s, where another file stands: one id was given to two files", to);
		if (f == NULL)
			return;
		f->damages = (odd->bit & c->rules->message_bits) != 0;
		finding_remedy(f, REMEDY_QUARANTINE, path, NULL, odd->file.ino);
		return;
	}
	f = check_find(c, 7, CLASS_REPAIR, PROBLEM_WRONG_DIRECTORY, ACK_YES, &odd->file, odd->key,
	    "its name belongs to %s, where the mail program looks for it", directory);
	if (f == NULL)
		return;
	if (!check_has_directory(c, directory)) {
		remedy_mkdir(f, place, directory);
		table_make(c->directories, path_key(c, directory));
	}
	finding_remedy(f, REMEDY_MOVE, path, to, odd->file.ino);
}

void
check_common_join(struct check *c)
{
	uint64_t listed = 0;

	missing_directories(c);
	join_times(c);
	join_links(c);
	for (size_t i = 0; i < c->odds; i++) {
		if ((c->odd[i]->whys & WHY_PLACE) == 0)
			continue;
		listed++;
		if (!c->odd[i]->settled)
			wrong_place(c, c->odd[i]);
	}
	check_unlisted(c, 7, CLASS_REPAIR, PROBLEM_WRONG_DIRECTORY, c->wrong_places - listed);
}
