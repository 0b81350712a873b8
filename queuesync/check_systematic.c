/*
 * queuesync/check_systematic.c - rule 4: owners and permissions. Where most of what should be someone's is
 * someone else's, the queue came from a node with other numbers, or was restored by root: that is one finding, and
 * its remedies are sweeps. Pure.
 *
 * Only counts are kept while the scan runs: of each way to be wrong in each place one pattern.
 */
#include "queuesync/check_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct expect *
expect_of(struct check *c, bool directory, bool modes, bool group, uint32_t id)
{
	for (size_t i = 0; i < c->expects; i++) {
		struct expect *e = &c->expect[i];

		if (e->id == id && e->directory == directory && e->modes == modes && e->group == group)
			return e;
	}
	if (c->expects == EXPECTS_MAX)
		return NULL;
	c->expect[c->expects] = (struct expect){ .directory = directory, .modes = modes, .group = group, .id = id };
	return &c->expect[c->expects++];
}

static void
expect_one(struct check *c, bool directory, bool modes, bool group, uint32_t id)
{
	struct expect *e = expect_of(c, directory, modes, group, id);

	if (e != NULL)
		e->total++;
}

static bool
alike(const struct pattern *a, const struct pattern *b)
{
	return a->place == b->place && a->directory == b->directory && a->modes == b->modes && a->uid == b->uid &&
	    a->gid == b->gid && a->want_uid == b->want_uid && a->want_gid == b->want_gid && a->mode == b->mode &&
	    a->want_mode == b->want_mode && a->links == b->links;
}

static struct pattern *
pattern_find(struct check *c, const struct pattern *like)
{
	for (size_t i = 0; i < c->patterns; i++)
		if (alike(&c->pattern[i], like))
			return &c->pattern[i];
	return NULL;
}

static void
pattern_add(struct check *c, const struct queue_file *file, const struct pattern *like)
{
	struct pattern *p = pattern_find(c, like);
	char path[CHECK_PATH_MAX];

	if (p == NULL && c->patterns == PATTERNS_MAX) {
		c->pattern_rest[like->modes]++;
		return;
	}
	if (p == NULL) {
		p = &c->pattern[c->patterns++];
		*p = *like;
		p->path = need(strdup(like->directory ? file->name : check_file_path(c, file, path, sizeof path)));
	}
	p->count++;
}

static struct pattern
owner_pattern(const struct queue_file *file, const struct file_norm *norm, bool directory)
{
	bool uid = norm->uid != QUEUE_ID_ANY && file->uid != norm->uid;
	bool gid = norm->gid != QUEUE_ID_ANY && file->gid != norm->gid;

	return (struct pattern){ .place = file->place, .directory = directory, .uid = uid ? file->uid : QUEUE_ID_ANY,
	    .gid = gid ? file->gid : QUEUE_ID_ANY, .want_uid = uid ? norm->uid : QUEUE_ID_ANY,
	    .want_gid = gid ? norm->gid : QUEUE_ID_ANY, .links = norm->nlink != 0 ? norm->nlink : UINT32_MAX };
}

static struct pattern
mode_pattern(const struct queue_file *file, const struct file_norm *norm, bool directory)
{
	uint32_t mode = QUEUE_PERMISSIONS(file->mode);

	return (struct pattern){ .place = file->place, .directory = directory, .modes = true, .mode = mode,
	    .want_mode = (mode & ~norm->mask) | norm->mode, .links = norm->nlink != 0 ? norm->nlink : UINT32_MAX };
}

bool
check_owner_wrong(const struct queue_file *file, const struct file_norm *norm)
{
	return (norm->uid != QUEUE_ID_ANY && file->uid != norm->uid) || (norm->gid != QUEUE_ID_ANY && file->gid != norm->gid);
}

bool
check_mode_wrong(const struct queue_file *file, const struct file_norm *norm)
{
	return ((QUEUE_PERMISSIONS(file->mode) ^ norm->mode) & norm->mask) != 0;
}

uint32_t
check_owner_and_mode(struct check *c, const struct queue_file *file, const struct file_norm *norm, bool directory)
{
	struct pattern p;
	uint32_t whys = 0;

	if (norm->uid != QUEUE_ID_ANY)
		expect_one(c, directory, false, false, norm->uid);
	if (norm->gid != QUEUE_ID_ANY)
		expect_one(c, directory, false, true, norm->gid);
	if (norm->mask != 0)
		expect_one(c, directory, true, false, file->place);
	if (check_owner_wrong(file, norm)) {
		p = owner_pattern(file, norm, directory);
		pattern_add(c, file, &p);
		whys |= WHY_OWNER;
	}
	if (check_mode_wrong(file, norm)) {
		p = mode_pattern(file, norm, directory);
		pattern_add(c, file, &p);
		whys |= WHY_MODE;
	}
	return whys;
}

/* ---------------------------------------------------------------- most of them alike? */

/* Of what should be of account "want", are more than half of account "id"? */
static bool
most_are(const struct check *c, bool directory, bool group, uint32_t id, uint32_t want)
{
	uint64_t wrong = 0, total = 0;

	if (want == QUEUE_ID_ANY)
		return true;
	for (size_t i = 0; i < c->patterns; i++) {
		const struct pattern *p = &c->pattern[i];

		if (!p->modes && p->directory == directory && (group ? p->gid : p->uid) == id &&
		    (group ? p->want_gid : p->want_uid) == want)
			wrong += p->count;
	}
	for (size_t i = 0; i < c->expects; i++) {
		const struct expect *e = &c->expect[i];

		if (!e->modes && e->directory == directory && e->group == group && e->id == want)
			total = e->total;
	}
	return 2 * wrong > total;
}

static bool
most_have(const struct check *c, const struct pattern *p)
{
	for (size_t i = 0; i < c->expects; i++) {
		const struct expect *e = &c->expect[i];

		if (e->modes && e->directory == p->directory && e->id == p->place)
			return 2 * p->count > e->total;
	}
	return false;
}

/* Marks the patterns that are systematic; returns how many things they stand for. */
static uint64_t
mark(struct check *c, bool modes)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->patterns; i++) {
		struct pattern *p = &c->pattern[i];

		if (p->modes != modes)
			continue;
		p->systematic = modes ? most_have(c, p) : most_are(c, p->directory, false, p->uid, p->want_uid) &&
		    most_are(c, p->directory, true, p->gid, p->want_gid);
		sum += p->systematic ? p->count : 0;
	}
	for (size_t i = 0; sum < SYSTEMATIC_LEAST && i < c->patterns; i++)
		if (c->pattern[i].modes == modes)
			c->pattern[i].systematic = false;
	return sum < SYSTEMATIC_LEAST ? 0 : sum;
}

static struct pattern
pattern_of_odd(const struct odd *odd, bool modes)
{
	bool directory = QUEUE_TYPE(odd->file.mode) == QUEUE_DIRECTORY;

	return modes ? mode_pattern(&odd->file, &odd->norm, directory) : owner_pattern(&odd->file, &odd->norm, directory);
}

/* ---------------------------------------------------------------- findings */

static const char *
id_text(uint32_t id, char buf[16])
{
	snprintf(buf, 16, id == QUEUE_ID_ANY ? "*" : "%" PRIu32, id);
	return buf;
}

/* "mess: 1001:* instead of 7794:*" */
static void
describe(const struct check *c, const struct pattern *p, char *buf, size_t size)
{
	const char *place = p->directory ? p->path : c->layout->place[p->place].path;
	char uid[16], gid[16], want_uid[16], want_gid[16];

	if (p->modes)
		snprintf(buf, size, "%s: %04" PRIo32 " instead of %04" PRIo32, place, p->mode, p->want_mode);
	else
		snprintf(buf, size, "%s: %s:%s instead of %s:%s", place, id_text(p->uid, uid), id_text(p->gid, gid),
		    id_text(p->want_uid, want_uid), id_text(p->want_gid, want_gid));
}

static void
remedy(struct finding *f, bool sweep, const char *path, uint64_t ino, const struct pattern *p)
{
	struct remedy *r;

	if (p->modes) {
		r = finding_remedy(f, sweep ? REMEDY_SWEEP_MODE : REMEDY_MODE, path, NULL, ino);
		r->mode = p->want_mode;
		r->offset = p->mode;
	} else {
		r = finding_remedy(f, sweep ? REMEDY_SWEEP_OWNER : REMEDY_OWNER, path, NULL, ino);
		r->uid = p->want_uid;
		r->gid = p->want_gid;
		r->old_uid = p->uid;
		r->old_gid = p->gid;
	}
	r->links = p->links;
}

/* The one finding that stands for all patterns marked: places are swept; directories, which are few, go one by one. */
static void
systematic(struct check *c, bool modes, uint64_t count)
{
	const struct pattern *first = NULL;
	char what[200], path[CHECK_PATH_MAX];
	struct finding *f;

	for (size_t i = c->patterns; i-- > 0;)
		if (c->pattern[i].modes == modes && c->pattern[i].systematic)
			first = &c->pattern[i];
	if (first == NULL)
		return;
	describe(c, first, what, sizeof what);
	f = check_find_at(c, 4, CLASS_REPAIR, modes ? PROBLEM_WRONG_MODE : PROBLEM_UID_MAP, ACK_YES, first->path, KEY_NONE,
	    modes ? "most files have lost their permissions in the same way: %s, ..." :
	    "most files belong to other numbers than this node's accounts: %s, ...", what);
	if (f == NULL)
		return;
	f->count = count;
	for (size_t i = 0; i < c->odds; i++) {
		struct pattern like = pattern_of_odd(c->odd[i], modes);
		const struct pattern *p = pattern_find(c, &like);

		if ((c->odd[i]->whys & (modes ? WHY_MODE : WHY_OWNER)) != 0 && p != NULL && p->systematic && p->directory)
			remedy(f, false, check_odd_path(c, c->odd[i], path, sizeof path), c->odd[i]->file.ino, p);
	}
	for (size_t i = 0; i < c->patterns; i++)
		if (c->pattern[i].modes == modes && c->pattern[i].systematic && !c->pattern[i].directory)
			remedy(f, true, c->layout->place[c->pattern[i].place].path, 0, &c->pattern[i]);
}

static void
single(struct check *c, const struct odd *odd, const struct pattern *p)
{
	/* A file with names elsewhere may be someone else's, put here to be given away by root. */
	bool safe = p->directory || odd->file.nlink <= p->links;
	char path[CHECK_PATH_MAX], what[200];
	struct finding *f;

	check_odd_path(c, odd, path, sizeof path);
	if (p->modes)
		snprintf(what, sizeof what, "permissions %04" PRIo32 ", right is %04" PRIo32, p->mode, p->want_mode);
	else
		snprintf(what, sizeof what, "owner %" PRIu32 ":%" PRIu32 ", right is %" PRIu32 ":%" PRIu32, odd->file.uid,
		    odd->file.gid, p->want_uid == QUEUE_ID_ANY ? odd->file.uid : p->want_uid,
		    p->want_gid == QUEUE_ID_ANY ? odd->file.gid : p->want_gid);
	f = check_find_at(c, 4, safe ? CLASS_REPAIR : CLASS_REPORT, p->modes ? PROBLEM_WRONG_MODE : PROBLEM_WRONG_OWNER,
	    odd->bit != 0 ? ACK_YES : ACK_NO, path, odd->key, "%s%s", what,
	    safe ? "" : "; left alone, since it has another name elsewhere");
	if (f != NULL && safe)
		remedy(f, false, path, odd->file.ino, p);
}

static void
join(struct check *c, bool modes)
{
	uint64_t rest = c->pattern_rest[modes];

	systematic(c, modes, mark(c, modes));
	for (size_t i = 0; i < c->odds; i++) {
		struct pattern like, *p;

		if ((c->odd[i]->whys & (modes ? WHY_MODE : WHY_OWNER)) == 0)
			continue;
		like = pattern_of_odd(c->odd[i], modes);
		p = pattern_find(c, &like);
		if (p != NULL)
			p->kept++;
		else
			rest--;
		if (p == NULL || !p->systematic)
			single(c, c->odd[i], p != NULL ? p : &like);
	}
	for (size_t i = 0; i < c->patterns; i++)
		if (c->pattern[i].modes == modes && !c->pattern[i].systematic)
			rest += c->pattern[i].count - c->pattern[i].kept;
	check_unlisted(c, 4, CLASS_REPAIR, modes ? PROBLEM_WRONG_MODE : PROBLEM_WRONG_OWNER, rest);
}

void
check_systematic_join(struct check *c)
{
	join(c, false);
	join(c, true);
}
