/*
 * configsync/plan.c - plans as rows, one for each step; and in words, what is other about two versions.
 */
#include "configsync/plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "configsync/manifest.h"

struct words { char *buf; size_t size, len; };

static void __attribute__((format(printf, 2, 3)))
add(struct words *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (w->len > 0 && w->len < w->size)
		w->len += (size_t)snprintf(w->buf + w->len, w->size - w->len, ", ");
	if (w->len >= w->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(w->buf + w->len, w->size - w->len, fmt, ap);
	va_end(ap);
	w->len += n > 0 ? (size_t)n : 0;
}

static const char *
owner(const struct entry_owner *o, char buf[280])
{
	if (o->name[0] != '\0')
		snprintf(buf, 280, "%s", o->name);
	else
		snprintf(buf, 280, "%" PRIu32, o->id);
	return buf;
}

static void
add_owners(struct words *w, const struct entry *was, const struct entry *to)
{
	char a[280], b[280], c[280], d[280];

	add(w, "owner %s:%s -> %s:%s", owner(&was->user, a), owner(&was->group, b), owner(&to->user, c), owner(&to->group, d));
}

static void
add_whole(struct words *w, const struct entry *to)
{
	char user[280], group[280];

	if (to->type == ENTRY_FILE)
		add(w, "%s, %" PRIu64 " bytes", "file", to->size);
	else if (to->type == ENTRY_LINK)
		add(w, "symbolic link to %s", to->target);
	else
		add(w, "%s", entry_type_word(to->type));
	add(w, "mode %04o, owner %s:%s", to->mode, owner(&to->user, user), owner(&to->group, group));
}

const char *
plan_differences(const struct entry *was, const struct entry *to, char *buf, size_t size)
{
	struct words w = { buf, size, 0 };
	unsigned int d = entry_diff(was, to);

	buf[0] = '\0';
	if (to == NULL) {
		add(&w, "%s", was == NULL ? "not there" : "removed");
		return buf;
	}
	if ((d & ENTRY_DIFF_TYPE) != 0) {
		if (was != NULL)
			add(&w, "in place of a %s", entry_type_word(was->type));
		add_whole(&w, to);
		return buf;
	}
	if ((d & ENTRY_DIFF_CONTENT) != 0 && to->type == ENTRY_LINK)
		add(&w, "link to %s -> %s", was->target, to->target);
	else if ((d & ENTRY_DIFF_CONTENT) != 0)
		add(&w, "content, %" PRIu64 " -> %" PRIu64 " bytes", was->size, to->size);
	if ((d & ENTRY_DIFF_MODE) != 0)
		add(&w, "mode %04o -> %04o", was->mode, to->mode);
	if ((d & ENTRY_DIFF_OWNER) != 0)
		add_owners(&w, was, to);
	if ((d & ENTRY_DIFF_XATTR) != 0)
		add(&w, "attributes or ACL");
	if ((d & ENTRY_DIFF_HARD) != 0)
		add(&w, "which names share its bytes");
	if (d == ENTRY_DIFF_TIME)
		add(&w, "time");
	if (d == 0)
		add(&w, "nothing");
	return buf;
}

/* ---------------------------------------------------------------- rows */

void
plan_change(struct ctl_reply *r, const struct change *c)
{
	static const char *const word[CHANGE_COUNT] = { "directory", "file", "link", "hard link", "rename", "change", "remove" };
	char note[1024];

	ctl_row(r, "step");
	ctl_say(r, "do", word[c->kind]);
	ctl_say(r, "path", c->path);
	if (c->kind == CHANGE_RENAME || c->kind == CHANGE_HARD)
		ctl_sayf(r, "note", c->kind == CHANGE_RENAME ? "from /%s" : "another name of /%s", c->from);
	else
		ctl_say(r, "note", plan_differences(c->was, c->to, note, sizeof note));
}

void
plan_step(struct ctl_reply *r, const struct store_step *s)
{
	const char *again = s->moved_on ? "; it was changed again since, which is undone as well" : "";
	char at[CLOCK_RFC3339_MAX];

	ctl_row(r, "step");
	ctl_say(r, "do", s->kind == STORE_STEP_PUT ? "put back" : s->kind == STORE_STEP_REMOVE ? "remove" : "leave");
	ctl_say(r, "path", s->path);
	if (s->kind == STORE_STEP_PUT) {
		ctl_sayf(r, "note", "version %" PRIu64 ", of %s on %s%s", s->to->number, clock_rfc3339(s->to->set.wall_ms, at), s->to->set.node, again);
		ctl_count(r, "version", s->to->number);
	} else if (s->kind == STORE_STEP_REMOVE) {
		ctl_sayf(r, "note", "it was not there before%s", again);
	} else {
		ctl_say(r, "note", "what was before is not known, or not kept any more");
	}
	if (s->moved_on)
		ctl_fact(r, "moved_on", FACT_YES);
}

void
plan_refuse(struct ctl_reply *r, const char *command, const char *active)
{
	if (active == NULL || active[0] == '\0')
		ctl_end(r, 3, "%s is refused: no node is active now, and only the active one's changes count; do it on the one that will be", command);
	else
		ctl_end(r, 3, "%s is refused on this node: only the active one's changes count; do it on %s", command, active);
}
