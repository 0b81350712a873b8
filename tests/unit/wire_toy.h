/*
 * tests/unit/wire_toy.h - one message of each type between two mailpair-config, with rows of a small random tree. The same seed gives the
 * same message. What it points to lives as long as the struct toy_message.
 */
#ifndef TESTS_UNIT_WIRE_TOY_H
#define TESTS_UNIT_WIRE_TOY_H

#include "configsync/wire.h"
#include "tests/unit/config_toy.h"

struct toy_message {
	struct wire		 w;
	struct manifest		*tree;
	struct wire_news_row	 news[WIRE_ROWS_MAX + 1];
	struct wire_index_row	 index[WIRE_ROWS_MAX + 1];
	struct wire_report_row	 report[WIRE_ROWS_MAX + 1];
	struct wire_want_row	 want[WIRE_ROWS_MAX + 1];
	struct wire_small_row	 small[WIRE_ROWS_MAX + 1];
	struct wire_table_row	 table[WIRE_ROWS_MAX + 1];
	const char		*path[WIRE_ROWS_MAX + 1];
};

static inline void
toy_rows(struct toy_message *m, struct toy *t)
{
	for (size_t i = 0; i < m->tree->len; i++) {
		const struct entry *e = &m->tree->at[i];
		bool gone = toy_below(t, 4) == 0;

		m->news[i] = (struct wire_news_row){ .path = e->path, .stamp = i, .entry = gone ? NULL : e };
		if (!gone && e->type == ENTRY_FILE && toy_below(t, 3) > 0) {
			m->news[i].content = (const uint8_t *)"xyz";
			m->news[i].content_len = (uint32_t)e->size;
		}
		m->index[i] = (struct wire_index_row){ .path = e->path, .stamp = WIRE_STAMP_MAX - i };
		memset(m->index[i].identity, (int)i, DIGEST_LEN);
		m->report[i] = (struct wire_report_row){ .kind = "conflict", .path = e->path, .text = "both sides were edited", .since_ms = i };
		m->want[i] = (struct wire_want_row){ .digest = { (uint8_t)i }, .offset = toy_below(t, 100), .size = 100, .path = e->path };
		m->small[i] = (struct wire_small_row){ .digest = { (uint8_t)i }, .size = 1 };
		m->table[i] = (struct wire_table_row){ .path = e->path, .source = { (uint8_t)i }, .known = toy_below(t, 2) > 0, .rows = { 7 }, .why = "no program" };
		m->path[i] = e->path;
	}
}

static inline struct wire
toy_wire(enum wire_type type, const struct toy_message *m, struct toy *t)
{
	static const uint8_t bytes[] = "abcdefgh";
	struct wire w = { .type = type };
	size_t rows = m->tree->len;

	switch (type) {
	case WIRE_HELLO:
		w.hello = (struct wire_hello){ .version = WIRE_VERSION, .epoch = UINT64_MAX, .serial = toy_below(t, 9), .role = WIRE_ROLE_ACTIVE,
			.scope = { 1 }, .tree = { 2 }, .index = { 3 }, .tenure = 17, .born = 40, .clock = WIRE_STAMP_MAX };
		break;
	case WIRE_ASK:
		w.ask.list = (enum wire_list)toy_below(t, 2);
		break;
	case WIRE_TREE:
		w.tree = (struct wire_tree){ .serial = 3, .total = 100, .offset = 92, .plain = 100 + toy_below(t, 50), .bytes = bytes, .len = 8 };
		break;
	case WIRE_INDEX:
		w.index = (struct wire_index){ .first = toy_below(t, 2) > 0, .last = rows == 0 || toy_below(t, 2) > 0, .row = m->index, .rows = rows };
		break;
	case WIRE_NEWS:
		w.news = (struct wire_news){ .serial = 9, .more = toy_below(t, 2) > 0, .set = "5f", .node = "mx1", .who = "root (vi)",
			.why = "na\xc3\xafve edit", .cause = (uint8_t)toy_below(t, 6), .wall_ms = 1700000000000u, .row = m->news, .rows = rows };
		break;
	case WIRE_WANT:
		w.want = (struct wire_want){ m->want, rows };
		break;
	case WIRE_CONTENT:
		w.content = (struct wire_content){ .digest = { 5 }, .offset = 90, .size = 100, .plain = 8 + toy_below(t, 3), .bytes = bytes, .len = 8 };
		break;
	case WIRE_ABSENT:
		w.absent = (struct wire_absent){ .digest = { 6, 7 } };
		break;
	case WIRE_REPORT:
		w.report = (struct wire_report){ .row = m->report, .rows = rows, .cut = toy_below(t, 2) > 0 };
		break;
	case WIRE_ORDER:
		w.order = (struct wire_order){ .who = "anna", .ask = true, .path = m->path, .paths = rows };
		break;
	case WIRE_SMALL:
		w.small = (struct wire_small){ .row = m->small, .rows = 3, .plain = 3, .bytes = bytes, .len = 2 + toy_below(t, 2) };
		break;
	case WIRE_TABLES:
		w.tables = (struct wire_tables){ .ask = toy_below(t, 2) > 0, .row = m->table, .rows = rows };
		break;
	case WIRE_SOON:
	case WIRE_READ:
		break;
	case WIRE_TYPE_END:
	default:
		abort();
	}
	return w;
}

/* NEWS has one row at least. */
static inline struct toy_message *
toy_message_new(enum wire_type type, uint64_t seed)
{
	struct toy_message *m = calloc(1, sizeof *m);
	struct toy t = toy_of(seed ^ 0x55);

	if (m == NULL)
		abort();
	do {
		manifest_free(m->tree);
		m->tree = toy_tree(seed++);
	} while (m->tree->len < 3);
	toy_rows(m, &t);
	m->w = toy_wire(type, m, &t);
	return m;
}

static inline void
toy_message_free(struct toy_message *m)
{
	manifest_free(m->tree);
	free(m);
}

#endif
