/*
 * configsync/wire.c - messages between two mailpair-config as bytes; back again: wire_parse.c. One message has one form. Pure.
 *
 *	HELLO	version (2) epoch (8) serial (8) scope (32) tree (32) index (32) role (1) tenure (8) born (8) clock (8)
 *	ASK	list (1)
 *	TREE	serial (8) total (4) offset (4) plain (4), the rest: bytes
 *	INDEX	flags (1: bit 0 first, 1 last) rows (2); of each its path, stamp (8) identity (32)
 *	NEWS	serial (8) flags (1: bit 0 more) set, node, who, why: texts; cause (1) wall (8) rows (2); of each flags (1: bit 0 entry,
 *		1 content) stamp (8); its entry, which has the path, or else the path; its content: length (4), bytes
 *	WANT	rows (2); of each digest (32) offset (8) size (8), its path
 *	CONTENT	digest (32) offset (8) size (8) plain (4), the rest: bytes
 *	ABSENT	digest (32)
 *	REPORT	flags (1: bit 0 cut) rows (2); of each kind, path, text: texts; since (8)
 *	ORDER	who: text; paths (2); of each its path; flags (1: bit 0 ask)
 *	SMALL	rows (2); of each digest (32) size (4); plain (4), the rest: bytes
 *	TABLES	flags (1: bit 0 ask) rows (2); of each path, source (32); in an answer flags (1: bit 0 known), and rows (32) or why: text
 *	SOON	nothing
 */
#include "configsync/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "configsync/arena.h"
#include "configsync/manifest_wire.h"
#include "configsync/wire_form.h"

const char *
wire_type_word(uint8_t type)
{
	static const char *const word[] = { "hello", "ask", "tree", "index", "news", "want", "content", "absent", "report", "order", "small", "tables", "soon", "read" };

	_Static_assert(sizeof word / sizeof *word == WIRE_TYPE_END - WIRE_HELLO, "a word for each type");
	return type >= WIRE_HELLO && type < WIRE_TYPE_END ? word[type - WIRE_HELLO] : "message of unknown type";
}

/* ---------------------------------------------------------------- writing */

/* What a person wrote or a program said: made fit to be shown here, so that the peer has no reason to refuse it. */
static void
put_shown(struct bytes_out *o, const char *text, size_t size)
{
	char shown[WIRE_TEXT_MAX];

	bytes_put_text(o, utf8_shown(text, shown, size));
}

static void
put_hello(struct bytes_out *o, const struct wire_hello *h)
{
	bytes_put(o, h->version, 2);
	if (h->version != WIRE_VERSION)
		return;		/* nothing else is known of it */
	bytes_put(o, h->epoch, 8);
	bytes_put(o, h->serial, 8);
	bytes_put_block(o, h->scope, DIGEST_LEN, 0);
	bytes_put_block(o, h->tree, DIGEST_LEN, 0);
	bytes_put_block(o, h->index, DIGEST_LEN, 0);
	bytes_put(o, h->role, 1);
	bytes_put(o, h->tenure, 8);
	bytes_put(o, h->born, 8);
	bytes_put(o, h->clock, 8);
}

static void
put_tree(struct bytes_out *o, const struct wire_tree *t)
{
	bytes_put(o, t->serial, 8);
	bytes_put(o, t->total, 4);
	bytes_put(o, t->offset, 4);
	bytes_put(o, t->plain, 4);
	bytes_put_block(o, t->bytes, t->len, 0);
}

static void
put_index_row(struct bytes_out *o, const struct wire_index_row *r)
{
	bytes_put_text(o, r->path);
	bytes_put(o, r->stamp, 8);
	bytes_put_block(o, r->identity, DIGEST_LEN, 0);
}

static void
put_news_row(struct bytes_out *o, const struct wire_news_row *r)
{
	bytes_put(o, (r->entry != NULL ? WITH_ENTRY : 0) | (r->content != NULL ? WITH_CONTENT : 0), 1);
	bytes_put(o, r->stamp, 8);
	if (r->entry != NULL) {
		size_t begin = bytes_put_begin(o);

		manifest_put_entry(o, r->entry);
		bytes_put_end(o, begin);
	} else {
		bytes_put_text(o, r->path);
	}
	if (r->content != NULL)
		bytes_put_block(o, r->content, r->content_len, 4);
}

static void
put_news(struct bytes_out *o, const struct wire_news *n)
{
	bytes_put(o, n->serial, 8);
	bytes_put(o, n->more ? MORE : 0, 1);
	bytes_put_text(o, n->set);
	bytes_put_text(o, n->node);
	put_shown(o, n->who, sizeof n->who);
	put_shown(o, n->why, sizeof n->why);
	bytes_put(o, n->cause, 1);
	bytes_put(o, n->wall_ms, 8);
	bytes_put(o, n->rows, 2);
	for (size_t i = 0; i < n->rows; i++)
		put_news_row(o, &n->row[i]);
}

static void
put_content(struct bytes_out *o, const struct wire_content *c)
{
	bytes_put_block(o, c->digest, DIGEST_LEN, 0);
	bytes_put(o, c->offset, 8);
	bytes_put(o, c->size, 8);
	bytes_put(o, c->plain, 4);
	bytes_put_block(o, c->bytes, c->len, 0);
}

static void
put_want_row(struct bytes_out *o, const struct wire_want_row *r)
{
	bytes_put_block(o, r->digest, DIGEST_LEN, 0);
	bytes_put(o, r->offset, 8);
	bytes_put(o, r->size, 8);
	bytes_put_text(o, r->path);
}

static void
put_small(struct bytes_out *o, const struct wire_small *s)
{
	bytes_put(o, s->rows, 2);
	for (size_t i = 0; i < s->rows; i++) {
		bytes_put_block(o, s->row[i].digest, DIGEST_LEN, 0);
		bytes_put(o, s->row[i].size, 4);
	}
	bytes_put(o, s->plain, 4);
	bytes_put_block(o, s->bytes, s->len, 0);
}

static void
put_table_row(struct bytes_out *o, const struct wire_table_row *r, bool ask)
{
	bytes_put_text(o, r->path);
	bytes_put_block(o, r->source, DIGEST_LEN, 0);
	if (ask)
		return;
	bytes_put(o, r->known ? ROWS_KNOWN : 0, 1);
	if (r->known)
		bytes_put_block(o, r->rows, DIGEST_LEN, 0);
	else
		put_shown(o, r->why, WIRE_TEXT_MAX);
}

static void
put_report_row(struct bytes_out *o, const struct wire_report_row *r)
{
	bytes_put_text(o, r->kind);
	bytes_put_text(o, r->path);
	put_shown(o, r->text, WIRE_TEXT_MAX);
	bytes_put(o, r->since_ms, 8);
}

static void
put_message(struct bytes_out *o, const struct wire *w)
{
	switch (w->type) {
	case WIRE_HELLO:
		put_hello(o, &w->hello);
		break;
	case WIRE_ASK:
		bytes_put(o, w->ask.list, 1);
		break;
	case WIRE_TREE:
		put_tree(o, &w->tree);
		break;
	case WIRE_INDEX:
		bytes_put(o, (w->index.first ? FIRST : 0) | (w->index.last ? LAST : 0), 1);
		bytes_put(o, w->index.rows, 2);
		for (size_t i = 0; i < w->index.rows; i++)
			put_index_row(o, &w->index.row[i]);
		break;
	case WIRE_NEWS:
		put_news(o, &w->news);
		break;
	case WIRE_WANT:
		bytes_put(o, w->want.rows, 2);
		for (size_t i = 0; i < w->want.rows; i++)
			put_want_row(o, &w->want.row[i]);
		break;
	case WIRE_CONTENT:
		put_content(o, &w->content);
		break;
	case WIRE_ABSENT:
		bytes_put_block(o, w->absent.digest, DIGEST_LEN, 0);
		break;
	case WIRE_REPORT:
		bytes_put(o, w->report.cut ? CUT : 0, 1);
		bytes_put(o, w->report.rows, 2);
		for (size_t i = 0; i < w->report.rows; i++)
			put_report_row(o, &w->report.row[i]);
		break;
	case WIRE_ORDER:
		put_shown(o, w->order.who, sizeof w->order.who);
		bytes_put(o, w->order.paths, 2);
		for (size_t i = 0; i < w->order.paths; i++)
			bytes_put_text(o, w->order.path[i]);
		bytes_put(o, w->order.ask ? ASK : 0, 1);
		break;
	case WIRE_SMALL:
		put_small(o, &w->small);
		break;
	case WIRE_TABLES:
		bytes_put(o, w->tables.ask ? ASK : 0, 1);
		bytes_put(o, w->tables.rows, 2);
		for (size_t i = 0; i < w->tables.rows; i++)
			put_table_row(o, &w->tables.row[i], w->tables.ask);
		break;
	case WIRE_SOON:
	case WIRE_READ:
		break;
	case WIRE_TYPE_END:
	default:
		abort();
	}
}

uint8_t *
wire_encode(const struct wire *w, size_t *ret_len)
{
	struct bytes_out o = { 0 };

	put_message(&o, w);
	assert(o.len <= WIRE_MAX);
	*ret_len = o.len;
	return o.at != NULL ? o.at : need(malloc(1));	/* of one that says nothing */
}

size_t
wire_size(const struct wire *w)
{
	struct bytes_out o = { .count_only = true };

	put_message(&o, w);
	return o.len;
}

size_t
wire_news_row_size(const struct wire_news_row *r)
{
	struct bytes_out o = { .count_only = true };

	put_news_row(&o, r);
	return o.len;
}

size_t
wire_index_row_size(const struct wire_index_row *r)
{
	struct bytes_out o = { .count_only = true };

	put_index_row(&o, r);
	return o.len;
}

size_t
wire_want_row_size(const struct wire_want_row *r)
{
	struct bytes_out o = { .count_only = true };

	put_want_row(&o, r);
	return o.len;
}

void
wire_free(struct wire *w)
{
	manifest_free(w->keep);
	free(w->rows);
	w->keep = NULL;
	w->rows = NULL;
}
