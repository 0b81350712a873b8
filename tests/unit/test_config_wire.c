/*
 * tests/unit/test_config_wire.c - laws of configsync/wire.h: what is parsed is what was sent, at all limits, and whatever else
 * comes is refused with what is wrong and where.
 */
#include "tests/unit/harness.h"

#include "tests/unit/wire_toy.h"

#define TYPES (WIRE_TYPE_END - WIRE_HELLO)
#define SEEDS 40

static void
parsed(struct wire *ret, const struct wire *w, uint8_t **ret_bytes, size_t *ret_len)
{
	struct err err = { 0 };

	*ret_bytes = wire_encode(w, ret_len);
	ck_assert_uint_eq(*ret_len, wire_size(w));
	ck_assert_msg(wire_parse(ret, (uint8_t)w->type, *ret_bytes, *ret_len, &err), "%s", err.text);
	ck_assert_int_eq(ret->type, w->type);
}

/* Parsed, and written again as the same bytes. */
static void
survives(const struct wire *w)
{
	uint8_t *bytes, *again;
	size_t len, again_len;
	struct wire back;

	parsed(&back, w, &bytes, &len);
	again = wire_encode(&back, &again_len);
	ck_assert_uint_eq(len, again_len);
	ck_assert_mem_eq(bytes, again, len);
	wire_free(&back);
	free(bytes);
	free(again);
}

START_TEST(every_message_survives_its_binary_form)
{
	struct toy_message *m = toy_message_new((enum wire_type)(WIRE_HELLO + _i % TYPES), (uint64_t)_i);

	survives(&m->w);
	toy_message_free(m);
}
END_TEST

START_TEST(what_tables_say_arrives_with_the_sources_it_is_of)
{
	struct toy_message *m = toy_message_new(WIRE_TABLES, (uint64_t)_i);
	struct wire back;
	uint8_t *bytes;
	size_t len;

	m->w.tables.ask = _i % 2 > 0;
	parsed(&back, &m->w, &bytes, &len);
	ck_assert(back.tables.ask == m->w.tables.ask && back.tables.rows == m->w.tables.rows);
	for (size_t i = 0; i < back.tables.rows; i++) {
		const struct wire_table_row *a = &m->w.tables.row[i], *b = &back.tables.row[i];

		ck_assert_str_eq(a->path, b->path);
		ck_assert_mem_eq(a->source, b->source, DIGEST_LEN);
		ck_assert(b->known == (a->known && !back.tables.ask));
		if (b->known)
			ck_assert_mem_eq(a->rows, b->rows, DIGEST_LEN);
		else if (!back.tables.ask)
			ck_assert_str_eq(a->why, b->why);
	}
	wire_free(&back);
	free(bytes);
	toy_message_free(m);
}
END_TEST

START_TEST(news_arrive_with_entries_and_contents_as_they_were)
{
	struct toy_message *m = toy_message_new(WIRE_NEWS, (uint64_t)_i);
	struct wire back;
	uint8_t *bytes;
	size_t len;

	parsed(&back, &m->w, &bytes, &len);
	ck_assert_uint_eq(back.news.rows, m->w.news.rows);
	ck_assert_str_eq(back.news.why, m->w.news.why);
	for (size_t i = 0; i < back.news.rows; i++) {
		const struct wire_news_row *a = &m->w.news.row[i], *b = &back.news.row[i];

		ck_assert_str_eq(a->path, b->path);
		ck_assert_uint_eq(a->stamp, b->stamp);
		ck_assert_uint_eq(entry_diff(a->entry, b->entry), 0);
		ck_assert(b->entry == NULL || strcmp(b->entry->path, b->path) == 0);
		ck_assert_int_eq(a->content == NULL, b->content == NULL);
		ck_assert(a->content == NULL || (a->content_len == b->content_len && memcmp(a->content, b->content, a->content_len) == 0));
	}
	wire_free(&back);
	free(bytes);
	toy_message_free(m);
}
END_TEST

START_TEST(a_hello_arrives_field_by_field)
{
	struct toy_message *m = toy_message_new(WIRE_HELLO, 1);
	struct wire back;
	uint8_t *bytes;
	size_t len;

	parsed(&back, &m->w, &bytes, &len);
	ck_assert_uint_eq(back.hello.epoch, UINT64_MAX);
	ck_assert_uint_eq(back.hello.serial, m->w.hello.serial);
	ck_assert_int_eq(back.hello.role, WIRE_ROLE_ACTIVE);
	ck_assert_uint_eq(back.hello.tenure, 17);
	ck_assert_uint_eq(back.hello.born, 40);
	ck_assert_uint_eq(back.hello.clock, WIRE_STAMP_MAX);
	ck_assert_uint_eq(back.hello.scope[0], 1);
	ck_assert_uint_eq(back.hello.tree[0], 2);
	ck_assert_uint_eq(back.hello.index[0], 3);
	free(bytes);
	toy_message_free(m);
}
END_TEST

START_TEST(a_row_makes_a_message_longer_by_what_was_said_before)
{
	struct toy_message *m = toy_message_new(WIRE_NEWS, (uint64_t)_i);
	size_t last = m->tree->len - 1, with = wire_size(&m->w);

	m->w.news.rows = last;
	ck_assert_uint_eq(with, wire_size(&m->w) + wire_news_row_size(&m->news[last]));
	m->w = (struct wire){ .type = WIRE_INDEX, .index = { .row = m->index, .rows = last + 1 } };
	with = wire_size(&m->w);
	m->w.index.rows = last;
	ck_assert_uint_eq(with, wire_size(&m->w) + wire_index_row_size(&m->index[last]));
	toy_message_free(m);
}
END_TEST

/* ---------------------------------------------------------------- limits */

/* Names that ascend, on all rows there are and one more. */
static void
fill_rows(struct toy_message *m, char (*name)[8], size_t rows)
{
	for (size_t i = 0; i < rows; i++) {
		snprintf(name[i], sizeof name[i], "%06zu", i);
		m->news[i] = (struct wire_news_row){ .path = name[i] };
		m->index[i] = (struct wire_index_row){ .path = name[i] };
		m->report[i] = (struct wire_report_row){ .kind = "invalid", .path = name[i], .text = "" };
		m->want[i] = (struct wire_want_row){ .size = 1, .path = name[i] };
		m->small[i] = (struct wire_small_row){ .size = 1 };
		m->table[i] = (struct wire_table_row){ .path = name[i], .why = "" };
		m->path[i] = name[i];
	}
	if (m->w.type == WIRE_INDEX)
		m->w.index.rows = rows;
	else if (m->w.type == WIRE_REPORT)
		m->w.report.rows = rows;
	else if (m->w.type == WIRE_ORDER)
		m->w.order.paths = rows;
	else if (m->w.type == WIRE_WANT)
		m->w.want.rows = rows;
	else if (m->w.type == WIRE_TABLES)
		m->w.tables.rows = rows;
	else if (m->w.type == WIRE_SMALL)
		m->w.small.plain = (uint32_t)(m->w.small.rows = rows);
	else
		m->w.news.rows = rows;
}

static void
refused(const uint8_t *bytes, size_t len, uint8_t type, const char *why)
{
	uint8_t *exact = malloc(len + 1);	/* so that a byte too far is noticed */
	struct err err = { 0 };
	struct wire back;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, bytes, len);
	ck_assert_msg(!wire_parse(&back, type, exact, len, &err), "taken, though: %s", why);
	ck_assert_msg(strstr(err.text, why) != NULL, "\"%s\" does not say \"%s\"", err.text, why);
	ck_assert_msg(strstr(err.text, wire_type_word(type)) != NULL || strstr(err.text, "type") != NULL, "%s", err.text);
	free(exact);
}

static void
refused_wire(const struct wire *w, const char *why)
{
	size_t len;
	uint8_t *bytes = wire_encode(w, &len);

	refused(bytes, len, (uint8_t)w->type, why);
	free(bytes);
}

START_TEST(so_many_rows_and_no_more)
{
	static const enum wire_type type[] = { WIRE_NEWS, WIRE_INDEX, WIRE_REPORT, WIRE_ORDER, WIRE_WANT, WIRE_SMALL, WIRE_TABLES };
	struct toy_message *m = toy_message_new(type[_i], 1);
	char (*name)[8] = calloc(WIRE_ROWS_MAX + 1, sizeof *name);

	ck_assert_ptr_nonnull(name);
	fill_rows(m, name, WIRE_ROWS_MAX);
	survives(&m->w);
	fill_rows(m, name, WIRE_ROWS_MAX + 1);
	refused_wire(&m->w, "more rows than allowed");
	free(name);
	toy_message_free(m);
}
END_TEST

START_TEST(texts_paths_pieces_and_contents_have_their_limits)
{
	struct toy_message *m = toy_message_new(WIRE_NEWS, 1);
	uint8_t *big = calloc(1, WIRE_MAX + 1);
	struct entry file = { .path = "a", .type = ENTRY_FILE, .user = { "root", 0 }, .group = { "root", 0 }, .size = WIRE_INLINE_MAX };
	char path[ENTRY_PATH_MAX + 1];	/* the limit counts a NUL */

	ck_assert_ptr_nonnull(big);
	for (size_t i = 0; i < sizeof path; i++)
		path[i] = i % 100 == 99 ? '/' : 'x';
	path[ENTRY_PATH_MAX - 1] = '\0';
	m->news[0] = (struct wire_news_row){ .path = "a", .stamp = WIRE_STAMP_MAX, .entry = &file, .content = big, .content_len = WIRE_INLINE_MAX };
	m->news[1] = (struct wire_news_row){ .path = path };
	m->w.news.rows = 2;
	memset(m->w.news.set, 's', WIRE_NAME_MAX - 1);
	memset(m->w.news.who, 'w', WIRE_NAME_MAX - 1);
	memset(m->w.news.why, 'y', WIRE_TEXT_MAX - 1);
	survives(&m->w);
	m->news[0].content_len = (uint32_t)++file.size;
	refused_wire(&m->w, "row 1 of 2: content that is too long");
	m->news[0].content_len = (uint32_t)(file.size = 0);
	survives(&m->w);
	m->news[0].stamp++;
	refused_wire(&m->w, "row 1 of 2: stamp");
	m->news[0].stamp = 0;
	path[ENTRY_PATH_MAX - 1] = 'x';
	path[ENTRY_PATH_MAX] = '\0';
	refused_wire(&m->w, "row 2 of 2: path");

	m->w = (struct wire){ .type = WIRE_CONTENT, .content = { .size = INT64_MAX, .offset = INT64_MAX - WIRE_CHUNK, .plain = WIRE_CHUNK,
		.bytes = big, .len = WIRE_CHUNK } };
	survives(&m->w);
	m->w.content.size++;
	refused_wire(&m->w, "beyond the end");
	m->w.content.size = INT64_MAX;
	m->w.content.offset = 0;
	m->w.content.len = 10;
	m->w.content.plain++;
	refused_wire(&m->w, "too long");
	m->w.content.plain--;
	m->w.content.len = WIRE_CHUNK + 1;
	refused_wire(&m->w, "too long");
	m->w = (struct wire){ .type = WIRE_SMALL, .small = { .row = m->small, .rows = 8, .plain = WIRE_CHUNK, .bytes = big, .len = WIRE_CHUNK } };
	for (size_t i = 0; i < 9; i++)
		m->small[i].size = WIRE_INLINE_MAX;
	survives(&m->w);
	m->small[7].size++;
	m->w.small.plain++;
	refused_wire(&m->w, "not small");
	m->small[7].size--;
	m->small[8].size = 1;
	m->w.small.rows = 9;
	refused_wire(&m->w, "too long");
	m->w = (struct wire){ .type = WIRE_TREE, .tree = { .total = UINT32_MAX, .plain = UINT32_MAX, .offset = UINT32_MAX - WIRE_CHUNK, .bytes = big,
		.len = WIRE_CHUNK } };
	survives(&m->w);
	m->w.tree.offset++;
	refused_wire(&m->w, "beyond the end");
	refused(big, WIRE_MAX + 1, WIRE_TREE, "longer than any message");
	free(big);
	toy_message_free(m);
}
END_TEST

/* ---------------------------------------------------------------- refusals */

static void clock(struct toy_message *m) { m->w.hello.clock = WIRE_STAMP_MAX + 1; }
static void born(struct toy_message *m) { m->w.hello.born = m->w.hello.clock + 1; }
static void role(struct toy_message *m) { m->w.hello.role = WIRE_ROLE_COUNT; }
static void list(struct toy_message *m) { m->w.ask.list = WIRE_LIST_COUNT; }
static void tree_empty(struct toy_message *m) { m->w.tree.len = 0; }
static void tree_grows(struct toy_message *m) { m->w.tree.plain = m->w.tree.total - 1; }
static void tree_beyond(struct toy_message *m) { m->w.tree.offset++; }
static void index_order(struct toy_message *m) { m->index[1].path = m->index[0].path; }
static void index_path(struct toy_message *m) { m->index[1].path = "../etc/passwd"; }
static void index_stamp(struct toy_message *m) { m->index[2].stamp = WIRE_STAMP_MAX + 1; }
static void index_open(struct toy_message *m) { m->w.index.rows = 0; m->w.index.last = false; }
static void news_set(struct toy_message *m) { m->w.news.set[0] = '\0'; }
static void news_node(struct toy_message *m) { memcpy(m->w.news.node, "mx 1", 5); }
static void news_cause(struct toy_message *m) { m->w.news.cause = 6; }
static void news_none(struct toy_message *m) { m->w.news.rows = 0; }
static void news_path(struct toy_message *m) { m->news[1].path = "/etc/passwd"; m->news[1].entry = NULL; m->news[1].content = NULL; }
static void news_order(struct toy_message *m) { m->news[1] = m->news[0]; }
static void news_gone(struct toy_message *m) { m->news[0].entry = NULL; m->news[0].content = (const uint8_t *)"x"; m->news[0].content_len = 1; }
static void want_none(struct toy_message *m) { m->w.want.rows = 0; }
static void want_nothing(struct toy_message *m) { m->want[1].size = m->want[1].offset = 0; }
static void want_beyond(struct toy_message *m) { m->want[0].offset = m->want[0].size; }
static void want_huge(struct toy_message *m) { m->want[0].size = (uint64_t)INT64_MAX + 1; }
static void want_path(struct toy_message *m) { m->want[2].path = "a/../../b"; }
static void small_none(struct toy_message *m) { m->w.small.rows = 0; }
static void small_empty(struct toy_message *m) { m->small[1].size = 0; }
static void small_more(struct toy_message *m) { m->w.small.plain++; }
static void small_less(struct toy_message *m) { m->small[2].size++; }
static void small_grows(struct toy_message *m) { m->w.small.len = m->w.small.plain + 1; }
static void small_bytes(struct toy_message *m) { m->w.small.len = 0; }
static void content_empty(struct toy_message *m) { m->w.content.len = 0; }
static void content_grows(struct toy_message *m) { m->w.content.plain = m->w.content.len - 1; }
static void content_beyond(struct toy_message *m) { m->w.content.offset = 93; }
static void content_offset(struct toy_message *m) { m->w.content.offset = UINT64_MAX; }
static void report_kind(struct toy_message *m) { m->report[1].kind[0] = '\n'; }
static void order_path(struct toy_message *m) { m->path[2] = "a//b"; }
static void order_order(struct toy_message *m) { m->path[2] = m->path[0]; }

/* The entry stands in row 1, as a file of that size with content. */
static struct entry bad_entry;
static void
with_entry(struct toy_message *m)
{
	m->news[0] = (struct wire_news_row){ .path = bad_entry.path, .entry = &bad_entry };
	m->w.news.rows = 1;
}

static void
entry_path(struct toy_message *m)
{
	bad_entry = (struct entry){ .path = "a/../b", .type = ENTRY_DIRECTORY, .user = { "", 0 }, .group = { "", 0 } };
	with_entry(m);
}

static void
entry_hard(struct toy_message *m)
{
	bad_entry = (struct entry){ .path = "a", .type = ENTRY_FILE, .user = { "", 0 }, .group = { "", 0 }, .hard = "/b" };
	with_entry(m);
}

static void
entry_hard_later(struct toy_message *m)
{
	entry_hard(m);
	bad_entry.hard = "b";
}

static void
entry_directory(struct toy_message *m)
{
	entry_path(m);
	bad_entry.path = "a";
	m->news[0].content = (const uint8_t *)"";
}

static void
tables_none(struct toy_message *m)
{
	m->w.tables.rows = 0;
}

static void
tables_path(struct toy_message *m)
{
	m->table[2].path = "/etc/aliases";
}

static void
entry_size(struct toy_message *m)
{
	entry_hard(m);
	bad_entry.hard = NULL;
	bad_entry.size = 2;
	m->news[0].content = (const uint8_t *)"x";
	m->news[0].content_len = 1;
}

static const struct wrong {
	enum wire_type	 type;
	void		 (*change)(struct toy_message *);
	const char	*why;
} wrong[] = {
	{ WIRE_HELLO, clock, "impossible stamp" },
	{ WIRE_HELLO, born, "impossible stamp" },
	{ WIRE_HELLO, role, "unknown role" },
	{ WIRE_ASK, list, "unknown list" },
	{ WIRE_TREE, tree_empty, "without bytes" },
	{ WIRE_TREE, tree_grows, "longer compressed" },
	{ WIRE_TREE, tree_beyond, "beyond the end" },
	{ WIRE_INDEX, index_order, "row 2 of" },
	{ WIRE_INDEX, index_path, "path that is absolute" },
	{ WIRE_INDEX, index_stamp, "stamp" },
	{ WIRE_INDEX, index_open, "not the last" },
	{ WIRE_NEWS, news_set, "name of a set" },
	{ WIRE_NEWS, news_node, "name of a node" },
	{ WIRE_NEWS, news_cause, "unknown cause" },
	{ WIRE_NEWS, news_none, "no rows" },
	{ WIRE_NEWS, news_path, "row 2 of" },
	{ WIRE_NEWS, news_order, "out of order" },
	{ WIRE_NEWS, news_gone, "content of what is not there" },
	{ WIRE_NEWS, entry_path, "row 1 of 1: entry of 46 bytes: path that is absolute" },
	{ WIRE_NEWS, entry_hard, "row 1 of 1: impossible hard link" },
	{ WIRE_NEWS, entry_hard_later, "impossible hard link" },
	{ WIRE_NEWS, entry_directory, "not this file's" },
	{ WIRE_NEWS, entry_size, "not this file's" },
	{ WIRE_WANT, want_nothing, "not within" },
	{ WIRE_WANT, want_beyond, "not within" },
	{ WIRE_WANT, want_huge, "not within" },
	{ WIRE_WANT, want_none, "no rows" },
	{ WIRE_WANT, want_path, "row 3 of" },
	{ WIRE_SMALL, small_none, "no rows" },
	{ WIRE_SMALL, small_empty, "row 2 of 3: content that is empty" },
	{ WIRE_SMALL, small_more, "another length" },
	{ WIRE_SMALL, small_less, "another length" },
	{ WIRE_SMALL, small_grows, "longer compressed" },
	{ WIRE_SMALL, small_bytes, "without bytes" },
	{ WIRE_CONTENT, content_empty, "without bytes" },
	{ WIRE_CONTENT, content_grows, "longer compressed" },
	{ WIRE_CONTENT, content_beyond, "beyond the end" },
	{ WIRE_CONTENT, content_offset, "beyond the end" },
	{ WIRE_TABLES, tables_none, "no rows" },
	{ WIRE_TABLES, tables_path, "row 3 of" },
	{ WIRE_REPORT, report_kind, "row 2 of" },
	{ WIRE_ORDER, order_path, "row 3 of" },
	{ WIRE_ORDER, order_order, "out of order" },
};

START_TEST(what_makes_no_sense_is_refused_with_what_and_where)
{
	struct toy_message *m = toy_message_new(wrong[_i].type, 5);

	survives(&m->w);
	wrong[_i].change(m);
	refused_wire(&m->w, wrong[_i].why);
	toy_message_free(m);
}
END_TEST

/* At the byte that is meant stands now what no encoder writes. */
static const struct { enum wire_type type; size_t at; uint8_t value; const char *why; } patch[] = {
	{ WIRE_INDEX, 0, 4, "unknown flags" },
	{ WIRE_INDEX, 5, 0, "row 1" },		/* first byte of the first path: NUL */
	{ WIRE_NEWS, 8, 2, "unknown flags" },
	{ WIRE_NEWS, 22, '\x07', "who did it" },
	{ WIRE_NEWS, 19, 64, "who did it" },
	{ WIRE_TABLES, 0, 2, "unknown flags" },
	{ WIRE_REPORT, 0, 2, "unknown flags" },
	{ WIRE_REPORT, 1, 1, "more rows than there is room for" },
	{ WIRE_ORDER, 2, 0xff, "who gave it" },
	{ WIRE_ORDER, 0, 1, "who gave it" },
	{ WIRE_ASK, 0, 99, "unknown list" },
};

START_TEST(bytes_that_no_encoder_writes_are_refused)
{
	struct toy_message *m = toy_message_new(patch[_i].type, 5);
	size_t len;
	uint8_t *bytes = wire_encode(&m->w, &len);

	ck_assert_uint_lt(patch[_i].at, len);
	bytes[patch[_i].at] = patch[_i].value;
	refused(bytes, len, (uint8_t)patch[_i].type, patch[_i].why);
	free(bytes);
	toy_message_free(m);
}
END_TEST

/* So that it can be said which it is; the rest is in a form that this program does not know. */
START_TEST(of_a_hello_of_another_version_that_version_is_read)
{
	static const uint8_t older[] = { 0, 1, 7, 7, 7 }, newer[] = { 0xff, 0xff };
	struct wire w;

	ck_assert(wire_parse(&w, WIRE_HELLO, older, sizeof older, NULL));
	ck_assert_uint_eq(w.hello.version, 1);
	wire_free(&w);
	ck_assert(wire_parse(&w, WIRE_HELLO, newer, sizeof newer, NULL));
	ck_assert_uint_eq(w.hello.version, 0xffff);
	wire_free(&w);
}
END_TEST

START_TEST(no_type_but_the_known_ones_is_taken)
{
	refused((const uint8_t *)"", 0, WIRE_HELLO - 1, "type 15");
	refused((const uint8_t *)"", 0, WIRE_TYPE_END, "type 30");
	refused((const uint8_t *)"", 0, 255, "knows 16 to 29");
}
END_TEST

/* A piece may be shorter: all else is refused when a byte is missing, or one is too many. */
START_TEST(a_message_that_is_cut_or_has_more_behind_it_is_refused)
{
	enum wire_type type = (enum wire_type)(WIRE_HELLO + _i % TYPES);
	struct toy_message *m = toy_message_new(type, (uint64_t)_i);
	size_t len, least = 0;
	uint8_t *bytes = wire_encode(&m->w, &len);

	bytes = realloc(bytes, len + 1);
	ck_assert_ptr_nonnull(bytes);
	bytes[len] = 0;
	if (type == WIRE_TREE || type == WIRE_CONTENT)
		least = len - 8;
	if (type == WIRE_SMALL)
		least = len - m->w.small.len;
	for (size_t cut = 0; cut < (least > 0 ? least : len); cut++)
		refused(bytes, cut, (uint8_t)type, cut == least && least > 0 ? "without" : "");
	if (type == WIRE_TREE)
		refused(bytes, len + 1, (uint8_t)type, "beyond the end");
	else if (type == WIRE_SMALL && m->w.small.len == m->w.small.plain)
		refused(bytes, len + 1, (uint8_t)type, "longer compressed");
	else if (type != WIRE_SMALL && type != WIRE_CONTENT)
		refused(bytes, len + 1, (uint8_t)type, "behind its end");
	free(bytes);
	toy_message_free(m);
}
END_TEST

START_TEST(what_cannot_be_shown_is_sent_as_a_question_mark)
{
	struct toy_message *m = toy_message_new(WIRE_NEWS, 1);
	struct wire back;
	uint8_t *bytes;
	size_t len;

	memcpy(m->w.news.who, "a\nb\xff", 5);
	memcpy(m->w.news.why, "\x1b[31m\xc3\xa9", 8);
	parsed(&back, &m->w, &bytes, &len);
	ck_assert_str_eq(back.news.who, "a?b?");
	ck_assert_str_eq(back.news.why, "?[31m\xc3\xa9");
	wire_free(&back);
	free(bytes);
	toy_message_free(m);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config_wire");
	TCase *c = tcase_create("wire");

	tcase_add_loop_test(c, every_message_survives_its_binary_form, 0, TYPES * SEEDS);
	tcase_add_loop_test(c, what_tables_say_arrives_with_the_sources_it_is_of, 0, 8);
	tcase_add_loop_test(c, news_arrive_with_entries_and_contents_as_they_were, 0, SEEDS);
	tcase_add_test(c, a_hello_arrives_field_by_field);
	tcase_add_loop_test(c, a_row_makes_a_message_longer_by_what_was_said_before, 0, SEEDS);
	tcase_add_loop_test(c, so_many_rows_and_no_more, 0, 7);
	tcase_add_test(c, texts_paths_pieces_and_contents_have_their_limits);
	tcase_add_loop_test(c, what_makes_no_sense_is_refused_with_what_and_where, 0, sizeof wrong / sizeof *wrong);
	tcase_add_loop_test(c, bytes_that_no_encoder_writes_are_refused, 0, sizeof patch / sizeof *patch);
	tcase_add_test(c, of_a_hello_of_another_version_that_version_is_read);
	tcase_add_test(c, no_type_but_the_known_ones_is_taken);
	tcase_add_loop_test(c, a_message_that_is_cut_or_has_more_behind_it_is_refused, 0, TYPES * 2);
	tcase_add_test(c, what_cannot_be_shown_is_sent_as_a_question_mark);
	suite_add_tcase(suite, c);
	return unit_main(suite);
}
