/*
 * configsync/core_link.c - the beginning of a link: who we are, and trees and indexes where they differ. Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/zstd.h"
#include "configsync/core_priv.h"

#define PIECE_MOST (WIRE_MAX / 2)	/* bytes of index rows in one message */

/* ---------------------------------------------------------------- digests */

static void
add(struct digest_stream *s, const char *path, uint64_t number, const uint8_t id[DIGEST_LEN])
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(number >> (56 - 8 * i));
	digest_stream_add(s, path, strlen(path) + 1);
	digest_stream_add(s, bytes, sizeof bytes);
	digest_stream_add(s, id, DIGEST_LEN);
}

void
core_tree_digest(const struct core *c, uint8_t ret[DIGEST_LEN])
{
	struct digest_stream *s = digest_stream_new();
	uint8_t id[DIGEST_LEN];
	struct row *r;

	for (struct place p = { 0, 0 }; (r = tree_next(&c->tree, &p)) != NULL;) {
		const struct version *v = row_m(r);

		if (v == NULL)
			continue;
		version_id(v, id);
		add(s, r->path, v->type == ENTRY_DIRECTORY ? 0 : (uint64_t)v->mtime_s * 1000000000u + v->mtime_ns, id);
	}
	digest_stream_end(s, ret);
}

bool
core_have_index(const struct core *c)
{
	return c->ever && !c->first;
}

void
core_index_digest(const struct core *c, uint8_t ret[DIGEST_LEN])
{
	struct digest_stream *s;
	uint8_t id[DIGEST_LEN];
	struct row *r;

	memset(ret, 0, DIGEST_LEN);
	if (!core_have_index(c))
		return;
	s = digest_stream_new();
	for (struct place p = { 0, 0 }; (r = tree_next(&c->tree, &p)) != NULL;) {
		if (r->stamp == 0)
			continue;
		row_base_id(r, id);
		add(s, r->path, r->stamp, id);
	}
	digest_stream_end(s, ret);
}

/* ---------------------------------------------------------------- what is sent */

void
core_hello(struct core *c)
{
	struct wire_hello *h = &c->hello;

	if (!c->sent_hello) {
		*h = (struct wire_hello){ .version = WIRE_VERSION, .epoch = c->o.epoch, .serial = c->serial };
		memcpy(h->scope, c->o.scope_digest, DIGEST_LEN);
		core_tree_digest(c, h->tree);
		core_index_digest(c, h->index);
		h->born = c->born;
		h->clock = c->clock;
		core_next(c);		/* what the other node gives to mine, which is higher */
		c->sent_hello = true;
	}
	h->role = c->role;
	h->tenure = c->tenure;
	core_act(c, CORE_SEND)->wire = (struct wire){ .type = WIRE_HELLO, .hello = *h };
}

static void
ask(struct core *c, enum wire_list list)
{
	core_act(c, CORE_SEND)->wire = (struct wire){ .type = WIRE_ASK, .ask = { list } };
}

void
core_send_tree(struct core *c)
{
	struct manifest *m = core_mine(c);
	size_t plain, len;
	uint8_t *bytes = manifest_encode(m, &plain), *packed = zstd_compress(bytes, plain, &len), *kept;

	if (packed == NULL)
		len = plain;
	kept = arena_take(c->out, len);
	memcpy(kept, packed == NULL ? bytes : packed, len);
	free(bytes);
	free(packed);
	manifest_free(m);
	for (size_t at = 0; at < len; at += WIRE_CHUNK) {
		core_act(c, CORE_SEND)->wire = (struct wire){ .type = WIRE_TREE, .tree = { .serial = c->hello.serial, .total = (uint32_t)len,
			.offset = (uint32_t)at, .plain = (uint32_t)plain, .bytes = kept + at,
			.len = (uint32_t)(len - at < WIRE_CHUNK ? len - at : WIRE_CHUNK) } };
	}
	c->serve_tree = false;
}

void
core_send_index(struct core *c)
{
	struct place p = { 0, 0 };
	bool first = true;
	struct row *r;

	do {
		struct wire_index_row *row = arena_take(c->out, WIRE_ROWS_MAX * sizeof *row);
		size_t n = 0, bytes = 0;

		while (n < WIRE_ROWS_MAX && bytes < PIECE_MOST && (r = tree_next(&c->tree, &p)) != NULL) {
			if (r->stamp == 0)
				continue;
			row[n] = (struct wire_index_row){ .path = r->path, .stamp = r->stamp };
			row_base_id(r, row[n++].identity);
			bytes += strlen(r->path) + 64;
		}
		r = tree_at(&c->tree, &p);
		core_act(c, CORE_SEND)->wire = (struct wire){ .type = WIRE_INDEX, .index = { first, r == NULL, row, n } };
		first = false;
	} while (r != NULL);
	c->serve_index = false;
}

/* ---------------------------------------------------------------- up and down */

static void
forget_theirs(struct core *c)
{
	for (size_t i = 0; i < c->their_indexes; i++)
		free(c->their_index[i].path);
	c->their_indexes = 0;
	manifest_free(c->their_tree);
	c->their_tree = NULL;
	free(c->tree_bytes);
	c->tree_bytes = NULL;
	c->tree_have = c->tree_total = 0;
}

static void
forget_list(struct row_list *l)
{
	for (size_t i = 0; i < l->len; i++) {
		l->at[i]->dirty = l->at[i]->later = false;
		if (l->at[i]->ext != NULL)
			l->at[i]->ext->say = false;
	}
	l->len = 0;
}

void
core_forget_lists(struct core *c)
{
	forget_list(&c->dirty);
	forget_list(&c->say);
	forget_list(&c->later);
}

void
core_link(struct core *c, bool up, uint64_t now_ms)
{
	core_begin(c, now_ms);
	for (struct job *j = c->job, *next; j != NULL; j = next) {
		next = j->next;
		if (j->state != JOB_INSTALL)
			core_job_cancel(c, j);
	}
	forget_theirs(c);
	core_forget_lists(c);
	c->sent_hello = c->heard_hello = c->compared = c->more = c->their_index_done = false;
	c->need_tree = c->need_index = c->serve_tree = c->serve_index = false;
	if (up) {
		c->link = CORE_WAITING;
		c->link_why[0] = '\0';
	} else if (c->link != CORE_DOWN) {
		c->link = CORE_DOWN;	/* why it was refused stays, for the status */
	}
	core_end(c);
}

static void
compare(struct core *c)
{
	const struct wire_hello *a = &c->hello, *b = &c->peer_hello;

	c->compared = true;
	c->need_tree = c->serve_tree = !digest_equal(a->tree, b->tree, DIGEST_LEN);
	if (!digest_equal(a->index, b->index, DIGEST_LEN)) {
		c->need_index = !id_none(b->index);
		c->serve_index = !id_none(a->index);
	}
	if (c->need_tree)
		ask(c, WIRE_LIST_TREE);
	if (c->need_index)
		ask(c, WIRE_LIST_INDEX);
}

void
core_greet(struct core *c)
{
	if (c->link == CORE_WAITING && c->scanned && !core_installing(c, NULL)) {
		core_doubt(c);
		c->link = CORE_GREETING;
		core_hello(c);
	}
	if (c->link != CORE_GREETING || !c->heard_hello)
		return;
	if (!c->compared)
		compare(c);
	if ((c->need_tree && c->their_tree == NULL) || (c->need_index && !c->their_index_done) || c->serve_tree || c->serve_index)
		return;
	core_merge(c);
	forget_theirs(c);
}

/* ---------------------------------------------------------------- what is heard */

static void
on_hello(struct core *c, const struct wire_hello *h)
{
	enum wire_role role = c->peer_hello.role;
	uint64_t tenure = c->peer_hello.tenure;

	if (h->version != WIRE_VERSION) {
		core_fail(c, "%s speaks version %u of the protocol, this node %u: install the same mailpair on both", c->peer, h->version, WIRE_VERSION);
		return;
	}
	if (!digest_equal(h->scope, c->o.scope_digest, DIGEST_LEN)) {
		core_fail(c, "the nodes are configured to carry different paths (trees, include, exclude or writers of config-sync): nothing is done until they agree");
		return;
	}
	if (!c->heard_hello) {
		c->peer_serial = h->serial;
		c->peer_hello = *h;
		c->heard_hello = true;
	}
	c->peer_hello.role = h->role;
	c->peer_hello.tenure = h->tenure;
	if (role != h->role || tenure != h->tenure)
		core_reconsider(c);
}

static bool
in_scope(struct core *c, const char *path, const char *before)
{
	if (c->o.scope == NULL || scope_holds(c->o.scope, path, before))
		return true;
	core_fail(c, "%s sent %.300s, which is not carried", c->peer, path);
	return false;
}

static void
tree_whole(struct core *c)
{
	const struct manifest_limits limits = { c->o.limits.entries, c->o.limits.bytes };
	uint8_t *plain = c->tree_bytes;
	struct err err = { 0 };

	if (c->tree_plain != c->tree_total) {
		plain = need(malloc((size_t)c->tree_plain + 1));
		if (!zstd_expand(c->tree_bytes, c->tree_total, plain, c->tree_plain, &err)) {
			free(plain);
			core_fail(c, "the tree of %s: %s", c->peer, err.text);
			return;
		}
	}
	c->their_tree = manifest_parse(plain, c->tree_plain, &limits, &err);
	if (plain != c->tree_bytes)
		free(plain);
	if (c->their_tree == NULL)
		core_fail(c, "the tree of %s: %s", c->peer, err.text);
	for (size_t i = 0; c->their_tree != NULL && i < c->their_tree->len; i++)
		if (!in_scope(c, c->their_tree->at[i].path, i > 0 ? c->their_tree->at[i - 1].path : NULL))
			break;
}

static void
on_tree(struct core *c, const struct wire_tree *t)
{
	if (!c->need_tree || c->their_tree != NULL || t->total > c->o.limits.bytes || t->plain > c->o.limits.bytes ||
	    t->offset != c->tree_have || t->len > t->total - t->offset ||
	    (c->tree_have != 0 && (t->total != c->tree_total || t->plain != c->tree_plain))) {
		core_fail(c, "%s sent a piece of its tree that was not asked for, is out of order or too large (%u bytes of at most %zu)", c->peer,
		    t->total, c->o.limits.bytes);
		return;
	}
	if (c->tree_bytes == NULL)
		c->tree_bytes = need(malloc((size_t)t->total + 1));
	c->tree_total = t->total;
	c->tree_plain = t->plain;
	if (t->len > 0)
		memcpy(c->tree_bytes + t->offset, t->bytes, t->len);
	c->tree_have += t->len;
	if (c->tree_have == c->tree_total)
		tree_whole(c);
}

static void
on_index(struct core *c, const struct wire_index *x)
{
	if (!c->need_index || c->their_index_done || c->their_indexes + x->rows > c->o.limits.entries) {
		core_fail(c, "%s sent an index that was not asked for, or of more than %zu paths", c->peer, c->o.limits.entries);
		return;
	}
	for (size_t i = 0; i < x->rows; i++) {
		const struct wire_index_row *r = &x->row[i];

		if (!in_scope(c, r->path, c->their_indexes > 0 ? c->their_index[c->their_indexes - 1].path : NULL))
			return;
		if (c->their_indexes > 0 && entry_path_order(c->their_index[c->their_indexes - 1].path, r->path) >= 0) {
			core_fail(c, "%s sent an index out of order at %.300s", c->peer, r->path);
			return;
		}
		if (c->their_indexes == c->their_index_room) {
			c->their_index_room = c->their_index_room == 0 ? 256 : 2 * c->their_index_room;
			c->their_index = need(reallocarray(c->their_index, c->their_index_room, sizeof *c->their_index));
		}
		c->their_index[c->their_indexes] = (struct index_row){ .path = need(strdup(r->path)), .stamp = r->stamp };
		memcpy(c->their_index[c->their_indexes++].id, r->identity, DIGEST_LEN);
	}
	c->their_index_done = x->last;
}

static void
on_ask(struct core *c, enum wire_list list)
{
	if (c->link == CORE_GREETING && list == WIRE_LIST_TREE && c->serve_tree)
		core_send_tree(c);
	else if (c->link == CORE_GREETING && list == WIRE_LIST_INDEX && c->serve_index)
		core_send_index(c);
	else
		core_fail(c, "%s asked for what it should have: both nodes read the same digests otherwise", c->peer);
}

static void
dispatch(struct core *c, const struct wire *w)
{
	if (w->type != WIRE_HELLO && !c->heard_hello) {
		core_fail(c, "%s sent %s before its hello", c->peer, wire_type_word((uint8_t)w->type));
		return;
	}
	if ((w->type == WIRE_NEWS || w->type == WIRE_ORDER || w->type == WIRE_REPORT) && c->link != CORE_LINKED) {
		core_fail(c, "%s sent %s before both trees were compared", c->peer, wire_type_word((uint8_t)w->type));
		return;
	}
	switch (w->type) {
	case WIRE_HELLO:
		on_hello(c, &w->hello);
		break;
	case WIRE_ASK:
		on_ask(c, w->ask.list);
		break;
	case WIRE_TREE:
		on_tree(c, &w->tree);
		break;
	case WIRE_INDEX:
		on_index(c, &w->index);
		break;
	case WIRE_NEWS:
		core_news(c, &w->news);
		break;
	case WIRE_REPORT:
		core_reported(c, &w->report);
		break;
	case WIRE_ORDER:
		core_ordered(c, &w->order);
		break;
	case WIRE_WANT:
	case WIRE_CONTENT:
	case WIRE_ABSENT:
	case WIRE_SMALL:
	case WIRE_TABLES:
	case WIRE_SOON:
	case WIRE_READ:
	case WIRE_TYPE_END:
		break;
	}
}

void
core_wire(struct core *c, const struct wire *w, uint64_t now_ms, uint64_t wall_ms)
{
	core_begin(c, now_ms);
	c->wall_offset = wall_ms - now_ms;
	if (c->link != CORE_DOWN && c->link != CORE_REFUSED)
		dispatch(c, w);
	core_end(c);
}
