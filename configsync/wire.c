/*
 * configsync/wire.c - messages between two mailpair-config as bytes, and back: one message has one form, and nothing else is
 * accepted. Pure.
 *
 *	HELLO	version (2) epoch (8) serial (8) scope (32) tree (32) index (32) role (1) tenure (8)
 *	ASK	list (1)
 *	TREE	serial (8) total (4) offset (4) plain (4), the rest: bytes
 *	INDEX	flags (1: bit 0 first, 1 last) rows (2); of each its path, stamp (8) identity (32)
 *	NEWS	serial (8) flags (1: bit 0 more) set, node, who, why: texts; cause (1) wall (8) rows (2); of each flags (1: bit 0 entry,
 *		1 content) stamp (8); its entry, which has the path, or else the path; its content: length (4), bytes
 *	WANT	digest (32) offset (8) size (8)
 *	CONTENT	digest (32) offset (8) size (8) plain (4), the rest: bytes
 *	ABSENT	digest (32)
 *	REPORT	flags (1: bit 0 cut) rows (2); of each kind, path, text: texts; since (8)
 *	ORDER	who: text; paths (2); of each its path; flags (1: bit 0 ask)
 */
#include "configsync/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "configsync/arena.h"
#include "configsync/manifest_wire.h"
#include "configsync/store.h"

enum flag { FIRST = 1, LAST = 2, MORE = 1, ASK = 1, WITH_ENTRY = 1, WITH_CONTENT = 2, CUT = 1 };

const char *
wire_type_word(uint8_t type)
{
	static const char *const word[] = { "hello", "ask", "tree", "index", "news", "want", "content", "absent", "report", "order" };

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
	bytes_put(o, h->epoch, 8);
	bytes_put(o, h->serial, 8);
	bytes_put_block(o, h->scope, DIGEST_LEN, 0);
	bytes_put_block(o, h->tree, DIGEST_LEN, 0);
	bytes_put_block(o, h->index, DIGEST_LEN, 0);
	bytes_put(o, h->role, 1);
	bytes_put(o, h->tenure, 8);
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
		bytes_put_block(o, w->want.digest, DIGEST_LEN, 0);
		bytes_put(o, w->want.offset, 8);
		bytes_put(o, w->want.size, 8);
		bytes_put_text(o, w->want.path);
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
	return o.at;
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

/* ---------------------------------------------------------------- reading */

/* row: which one is being read, from 1; 0: none. */
struct parse {
	struct bytes_in	 in;
	struct wire	*w;
	size_t		 row, rows;
	struct err	 entry;		/* what is wrong in an entry, where in.bad is its text */
	char		 buf[ENTRY_PATH_MAX + 1];
};

static void
wrong_if(struct parse *p, bool wrong, const char *what)
{
	if (wrong && p->in.bad == NULL)
		p->in.bad = what;
}

static void
get_digest(struct parse *p, uint8_t ret[DIGEST_LEN])
{
	memcpy(ret, bytes_get_block(&p->in, DIGEST_LEN), DIGEST_LEN);
}

static unsigned int
get_flags(struct parse *p, unsigned int known)
{
	unsigned int flags = (unsigned int)bytes_get(&p->in, 1);

	wrong_if(p, (flags & ~known) != 0, "unknown flags");
	return flags;
}

static uint64_t
get_stamp(struct parse *p)
{
	uint64_t stamp = bytes_get(&p->in, 8);

	wrong_if(p, stamp > WIRE_STAMP_MAX, "stamp beyond all bounds");
	return stamp;
}

/* A name of a set, node or kind: printable ASCII without blanks, at least one. */
static void
get_name(struct parse *p, char *buf, size_t size, const char *what)
{
	bytes_get_text(&p->in, 1, size - 1, buf, what);
	for (const char *c = buf; *c != '\0'; c++)
		wrong_if(p, *c <= ' ' || *c > '~', what);
}

/* buf may not be p->buf. */
static void
get_shown(struct parse *p, char *buf, size_t size, const char *what)
{
	bytes_get_text(&p->in, 0, size - 1, buf, what);
	wrong_if(p, strcmp(utf8_shown(buf, p->buf, sizeof p->buf), buf) != 0, what);
}

static const char *
get_path(struct parse *p)
{
	bytes_get_text(&p->in, 1, ENTRY_PATH_MAX, p->buf, "path that is empty, too long or has a NUL");
	wrong_if(p, !entry_path_ok(p->buf), "path that is absolute, has an empty component, \".\" or \"..\", or is too long");
	return arena_text(p->w->keep->arena, p->buf);
}

static void
ascend(struct parse *p, const char *before, const char *path)
{
	wrong_if(p, entry_path_order(before, path) >= 0, "path out of order");
}

/* Room for as many rows as the message says; NULL where it cannot be. least: bytes of the shortest row. */
static void *
get_rows(struct parse *p, size_t least, size_t size)
{
	p->rows = bytes_get(&p->in, 2);
	wrong_if(p, p->rows > WIRE_ROWS_MAX, "more rows than allowed");
	wrong_if(p, p->rows > p->in.left / least, "more rows than there is room for");
	if (p->in.bad != NULL)
		return NULL;
	p->w->keep = manifest_new();
	p->w->rows = need(calloc(p->rows + 1, size));
	return p->w->rows;
}

static bool
next_row(struct parse *p)
{
	return p->in.bad == NULL && p->row < p->rows && p->row++ < p->rows;
}

static void
get_hello(struct parse *p, struct wire_hello *h)
{
	uint64_t role;

	h->version = (uint16_t)bytes_get(&p->in, 2);
	wrong_if(p, h->version != WIRE_VERSION, "another version of the protocol than this program's");
	h->epoch = bytes_get(&p->in, 8);
	h->serial = bytes_get(&p->in, 8);
	get_digest(p, h->scope);
	get_digest(p, h->tree);
	get_digest(p, h->index);
	role = bytes_get(&p->in, 1);
	wrong_if(p, role >= WIRE_ROLE_COUNT, "unknown role");
	h->role = p->in.bad == NULL ? (enum wire_role)role : WIRE_ROLE_UNKNOWN;
	h->tenure = bytes_get(&p->in, 8);
}

static void
get_ask(struct parse *p, struct wire_ask *a)
{
	uint64_t list = bytes_get(&p->in, 1);

	wrong_if(p, list >= WIRE_LIST_COUNT, "unknown list");
	a->list = p->in.bad == NULL ? (enum wire_list)list : WIRE_LIST_TREE;
}

/* All that is left is the piece. */
static const uint8_t *
get_piece(struct parse *p, uint32_t *ret_len)
{
	wrong_if(p, p->in.left == 0, "piece without bytes");
	wrong_if(p, p->in.left > WIRE_CHUNK, "piece that is too long");
	*ret_len = p->in.bad == NULL ? (uint32_t)p->in.left : 0;
	return bytes_get_block(&p->in, *ret_len);
}

static void
get_tree(struct parse *p, struct wire_tree *t)
{
	t->serial = bytes_get(&p->in, 8);
	t->total = (uint32_t)bytes_get(&p->in, 4);
	t->offset = (uint32_t)bytes_get(&p->in, 4);
	t->plain = (uint32_t)bytes_get(&p->in, 4);
	wrong_if(p, t->plain < t->total, "longer compressed than not");
	t->bytes = get_piece(p, &t->len);
	wrong_if(p, (uint64_t)t->offset + t->len > t->total, "piece beyond the end of the whole");
}

static void
get_index(struct parse *p, struct wire_index *x)
{
	unsigned int flags = get_flags(p, FIRST | LAST);
	struct wire_index_row *row = get_rows(p, 2 + 1 + 8 + DIGEST_LEN, sizeof *row);

	x->first = (flags & FIRST) != 0;
	x->last = (flags & LAST) != 0;
	wrong_if(p, p->rows == 0 && !x->last, "piece without rows that is not the last");
	while (next_row(p)) {
		struct wire_index_row *r = &row[p->row - 1];

		r->path = get_path(p);
		r->stamp = get_stamp(p);
		get_digest(p, r->identity);
		if (p->row > 1)
			ascend(p, r[-1].path, r->path);
	}
	x->row = row;
	x->rows = p->rows;
}

/* Its place in keep moves with the next one: the row gets its number, and the entry at the end. */
static void
get_entry(struct parse *p, struct wire_news_row *r)
{
	size_t len = bytes_get(&p->in, 4);
	const uint8_t *bytes = bytes_get_block(&p->in, len);
	const struct entry *e;

	if (p->in.bad != NULL)
		return;
	if (!manifest_parse_entry(p->w->keep, bytes, len, &p->entry)) {
		p->in.bad = p->entry.text;
		return;
	}
	e = &p->w->keep->at[p->w->keep->len - 1];
	wrong_if(p, e->hard != NULL && (!entry_path_ok(e->hard) || entry_path_order(e->hard, e->path) > 0), "impossible hard link");
	r->path = e->path;
}

static void
get_content_of(struct parse *p, struct wire_news_row *r)
{
	const struct entry *e = p->in.bad == NULL && p->w->keep->len > 0 ? &p->w->keep->at[p->w->keep->len - 1] : NULL;

	r->content_len = (uint32_t)bytes_get(&p->in, 4);
	wrong_if(p, r->content_len > WIRE_INLINE_MAX, "content that is too long to travel with its news");
	wrong_if(p, e == NULL || e->type != ENTRY_FILE || e->size != r->content_len, "content that is not this file's");
	r->content = bytes_get_block(&p->in, p->in.bad == NULL ? r->content_len : 0);
}

static void
get_news_rows(struct parse *p, struct wire_news_row *row)
{
	size_t entries = 0;

	while (next_row(p)) {
		struct wire_news_row *r = &row[p->row - 1];
		unsigned int flags = get_flags(p, WITH_ENTRY | WITH_CONTENT);

		wrong_if(p, flags == WITH_CONTENT, "content of what is not there");
		r->stamp = get_stamp(p);
		if ((flags & WITH_ENTRY) == 0)
			r->path = get_path(p);
		else
			get_entry(p, r);
		if ((flags & WITH_CONTENT) != 0)
			get_content_of(p, r);
		if (p->row > 1 && p->in.bad == NULL)
			ascend(p, r[-1].path, r->path);
	}
	for (size_t i = 0; p->in.bad == NULL && i < p->rows; i++) {
		if (entries < p->w->keep->len && row[i].path == p->w->keep->at[entries].path)
			row[i].entry = &p->w->keep->at[entries++];
	}
}

static void
get_news(struct parse *p, struct wire_news *n)
{
	struct wire_news_row *row;

	n->serial = bytes_get(&p->in, 8);
	n->more = (get_flags(p, MORE) & MORE) != 0;
	get_name(p, n->set, sizeof n->set, "bad name of a set");
	get_name(p, n->node, sizeof n->node, "bad name of a node");
	get_shown(p, n->who, sizeof n->who, "bad name of who did it");
	get_shown(p, n->why, sizeof n->why, "bad reason");
	n->cause = (uint8_t)bytes_get(&p->in, 1);
	wrong_if(p, n->cause >= STORE_CAUSE_COUNT, "unknown cause");
	n->wall_ms = bytes_get(&p->in, 8);
	row = get_rows(p, 1 + 8 + 2 + 1, sizeof *row);
	wrong_if(p, p->rows == 0, "no rows");
	get_news_rows(p, row);
	n->row = row;
	n->rows = p->rows;
}

static void
get_want(struct parse *p, struct wire_want *w)
{
	get_digest(p, w->digest);
	w->offset = bytes_get(&p->in, 8);
	w->size = bytes_get(&p->in, 8);
	wrong_if(p, w->size > INT64_MAX || w->offset >= w->size, "offset that is not within the content");
	p->w->keep = manifest_new();
	w->path = get_path(p);
}

static void
get_content(struct parse *p, struct wire_content *c)
{
	get_digest(p, c->digest);
	c->offset = bytes_get(&p->in, 8);
	c->size = bytes_get(&p->in, 8);
	c->plain = (uint32_t)bytes_get(&p->in, 4);
	wrong_if(p, c->plain > WIRE_CHUNK, "piece that is too long");
	wrong_if(p, c->size > INT64_MAX || c->offset > c->size || c->plain > c->size - c->offset, "piece beyond the end of the content");
	c->bytes = get_piece(p, &c->len);
	wrong_if(p, c->plain < c->len, "longer compressed than not");
}

static void
get_report(struct parse *p, struct wire_report *t)
{
	struct wire_report_row *row;
	char text[WIRE_TEXT_MAX];

	t->cut = (get_flags(p, CUT) & CUT) != 0;
	row = get_rows(p, 2 + 1 + 2 + 2 + 8, sizeof *row);
	while (next_row(p)) {
		struct wire_report_row *r = &row[p->row - 1];

		get_name(p, r->kind, sizeof r->kind, "bad kind");
		r->path = arena_text(p->w->keep->arena, bytes_get_text(&p->in, 0, ENTRY_PATH_MAX, p->buf, "bad path"));
		get_shown(p, text, sizeof text, "bad sentence");
		r->text = arena_text(p->w->keep->arena, text);
		r->since_ms = bytes_get(&p->in, 8);
	}
	t->row = row;
	t->rows = p->rows;
}

static void
get_order(struct parse *p, struct wire_order *o)
{
	const char **path;

	get_shown(p, o->who, sizeof o->who, "bad name of who gave it");
	path = get_rows(p, 2 + 1, sizeof *path);
	while (next_row(p)) {
		path[p->row - 1] = get_path(p);
		if (p->row > 1)
			ascend(p, path[p->row - 2], path[p->row - 1]);
	}
	o->path = path;
	o->paths = p->rows;
	o->ask = (get_flags(p, ASK) & ASK) != 0;
}

static void
get_message(struct parse *p)
{
	switch (p->w->type) {
	case WIRE_HELLO:
		get_hello(p, &p->w->hello);
		break;
	case WIRE_ASK:
		get_ask(p, &p->w->ask);
		break;
	case WIRE_TREE:
		get_tree(p, &p->w->tree);
		break;
	case WIRE_INDEX:
		get_index(p, &p->w->index);
		break;
	case WIRE_NEWS:
		get_news(p, &p->w->news);
		break;
	case WIRE_WANT:
		get_want(p, &p->w->want);
		break;
	case WIRE_CONTENT:
		get_content(p, &p->w->content);
		break;
	case WIRE_ABSENT:
		get_digest(p, p->w->absent.digest);
		break;
	case WIRE_REPORT:
		get_report(p, &p->w->report);
		break;
	case WIRE_ORDER:
		get_order(p, &p->w->order);
		break;
	case WIRE_TYPE_END:
	default:
		p->in.bad = "unknown type";
	}
}

bool
wire_parse(struct wire *ret, uint8_t type, const uint8_t *bytes, size_t len, struct err *err)
{
	struct wire w = { .type = (enum wire_type)type };
	struct parse p = { .in = { .at = bytes, .left = len }, .w = &w };

	if (type < WIRE_HELLO || type >= WIRE_TYPE_END)
		return err_set(err, 0, "message of type %u from the peer: this program knows %u to %u", type, (unsigned int)WIRE_HELLO,
		    (unsigned int)WIRE_TYPE_END - 1);
	wrong_if(&p, len > WIRE_MAX, "longer than any message");
	get_message(&p);
	if (p.in.bad == NULL && p.row > 0)
		p.row = 0;
	wrong_if(&p, p.in.left != 0, "bytes behind its end");
	if (p.in.bad == NULL) {
		*ret = w;
		return true;
	}
	if (p.row > 0)
		err_set(err, 0, "%s from the peer, %zu bytes, row %zu of %zu: %s", wire_type_word(type), len, p.row, p.rows, p.in.bad);
	else
		err_set(err, 0, "%s from the peer, byte %zu of %zu: %s", wire_type_word(type), len - p.in.left, len, p.in.bad);
	wire_free(&w);
	return false;
}

void
wire_free(struct wire *w)
{
	manifest_free(w->keep);
	free(w->rows);
	w->keep = NULL;
	w->rows = NULL;
}
