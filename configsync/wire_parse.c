/*
 * configsync/wire_parse.c - bytes of the other node as a message. What is not exactly as wire.c would have written it is refused. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "configsync/arena.h"
#include "configsync/manifest_wire.h"
#include "configsync/store.h"
#include "configsync/wire_form.h"

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
	if (p->in.bad == NULL && h->version != WIRE_VERSION) {
		p->in.left = 0;		/* another program's */
		return;
	}
	h->epoch = bytes_get(&p->in, 8);
	h->serial = bytes_get(&p->in, 8);
	get_digest(p, h->scope);
	get_digest(p, h->tree);
	get_digest(p, h->index);
	role = bytes_get(&p->in, 1);
	wrong_if(p, role >= WIRE_ROLE_COUNT, "unknown role");
	h->role = p->in.bad == NULL ? (enum wire_role)role : WIRE_ROLE_UNKNOWN;
	h->tenure = bytes_get(&p->in, 8);
	h->born = bytes_get(&p->in, 8);
	h->clock = bytes_get(&p->in, 8);
	wrong_if(p, h->born > h->clock || h->clock > WIRE_STAMP_MAX, "impossible stamp");
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
	struct wire_want_row *row = get_rows(p, DIGEST_LEN + 8 + 8 + 2 + 1, sizeof *row);

	wrong_if(p, p->rows == 0, "no rows");
	while (next_row(p)) {
		struct wire_want_row *r = &row[p->row - 1];

		get_digest(p, r->digest);
		r->offset = bytes_get(&p->in, 8);
		r->size = bytes_get(&p->in, 8);
		wrong_if(p, r->size > INT64_MAX || r->offset >= r->size, "offset that is not within the content");
		r->path = get_path(p);
	}
	w->row = row;
	w->rows = p->rows;
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
get_small(struct parse *p, struct wire_small *s)
{
	struct wire_small_row *row = get_rows(p, DIGEST_LEN + 4, sizeof *row);
	uint64_t plain = 0;

	wrong_if(p, p->rows == 0, "no rows");
	while (next_row(p)) {
		struct wire_small_row *r = &row[p->row - 1];

		get_digest(p, r->digest);
		r->size = (uint32_t)bytes_get(&p->in, 4);
		wrong_if(p, r->size == 0 || r->size > WIRE_INLINE_MAX, "content that is empty, or not small");
		plain += r->size;
	}
	s->plain = (uint32_t)bytes_get(&p->in, 4);
	wrong_if(p, s->plain > WIRE_CHUNK, "piece that is too long");
	wrong_if(p, s->plain != plain, "another length than that of all contents");
	s->bytes = get_piece(p, &s->len);
	wrong_if(p, s->plain < s->len, "longer compressed than not");
	s->row = row;
	s->rows = p->rows;
}

static void
get_tables(struct parse *p, struct wire_tables *t)
{
	struct wire_table_row *row;
	char why[WIRE_TEXT_MAX];

	t->ask = (get_flags(p, ASK) & ASK) != 0;
	row = get_rows(p, 2 + 1 + DIGEST_LEN, sizeof *row);
	wrong_if(p, p->rows == 0, "no rows");
	while (next_row(p)) {
		struct wire_table_row *r = &row[p->row - 1];

		r->path = get_path(p);
		get_digest(p, r->source);
		r->known = !t->ask && (get_flags(p, ROWS_KNOWN) & ROWS_KNOWN) != 0;
		if (r->known) {
			get_digest(p, r->rows);
		} else if (!t->ask) {
			get_shown(p, why, sizeof why, "bad sentence");
			r->why = arena_text(p->w->keep->arena, why);
		}
	}
	t->row = row;
	t->rows = p->rows;
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
	case WIRE_SMALL:
		get_small(p, &p->w->small);
		break;
	case WIRE_TABLES:
		get_tables(p, &p->w->tables);
		break;
	case WIRE_SOON:
	case WIRE_READ:
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
