/*
 * tests/fuzz/fuzz_config_wire.c - any bytes as a message of the other mailpair-config, the first one its type: refused with a
 * reason, or written again as the same bytes; what is taken is within its bounds.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "configsync/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
news_hold(const struct wire_news *n)
{
	assert(n->rows > 0 && n->rows <= WIRE_ROWS_MAX);
	for (size_t i = 0; i < n->rows; i++) {
		const struct wire_news_row *r = &n->row[i];

		assert(entry_path_ok(r->path) && r->stamp <= WIRE_STAMP_MAX);
		assert(i == 0 || entry_path_order(r[-1].path, r->path) < 0);
		assert(r->entry == NULL || strcmp(r->entry->path, r->path) == 0);
		assert(r->content == NULL || (r->entry->type == ENTRY_FILE && r->entry->size == r->content_len && r->content_len <= WIRE_INLINE_MAX));
		assert(r->entry == NULL || r->entry->hard == NULL || entry_path_ok(r->entry->hard));
	}
}

static void
small_holds(const struct wire_small *s)
{
	uint64_t plain = 0;

	for (size_t i = 0; i < s->rows; i++)
		plain += s->row[i].size;
	assert(s->rows > 0 && plain == s->plain && plain <= WIRE_CHUNK && s->len > 0 && s->len <= s->plain);
}

static void
holds(const struct wire *w)
{
	if (w->type == WIRE_NEWS)
		news_hold(&w->news);
	for (size_t i = 0; w->type == WIRE_INDEX && i < w->index.rows; i++)
		assert(entry_path_ok(w->index.row[i].path) && (i == 0 || entry_path_order(w->index.row[i - 1].path, w->index.row[i].path) < 0));
	for (size_t i = 0; w->type == WIRE_ORDER && i < w->order.paths; i++)
		assert(entry_path_ok(w->order.path[i]));
	if (w->type == WIRE_CONTENT)
		assert(w->content.offset + w->content.plain <= w->content.size && w->content.len <= w->content.plain && w->content.plain <= WIRE_CHUNK);
	for (size_t i = 0; w->type == WIRE_WANT && i < w->want.rows; i++)
		assert(entry_path_ok(w->want.row[i].path) && w->want.row[i].offset < w->want.row[i].size);
	for (size_t i = 0; w->type == WIRE_TABLES && i < w->tables.rows; i++) {
		assert(entry_path_ok(w->tables.row[i].path) && !(w->tables.ask && w->tables.row[i].known));
		assert(w->tables.ask || w->tables.row[i].known || w->tables.row[i].why != NULL);
	}
	if (w->type == WIRE_SMALL)
		small_holds(&w->small);
	if (w->type == WIRE_TREE)
		assert((uint64_t)w->tree.offset + w->tree.len <= w->tree.total && w->tree.total <= w->tree.plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct err err = { .sys = 0 };
	struct wire w;
	uint8_t *again;
	size_t again_len;

	if (len == 0)
		return 0;
	if (!wire_parse(&w, bytes[0], bytes + 1, len - 1, &err)) {
		assert(err.text[0] != '\0');
		return 0;
	}
	holds(&w);
	if (w.type == WIRE_HELLO && w.hello.version != WIRE_VERSION)
		return 0;	/* another program's: nothing else was read */
	assert(wire_size(&w) == len - 1);
	again = wire_encode(&w, &again_len);
	assert(again_len == len - 1 && memcmp(again, bytes + 1, again_len) == 0);
	free(again);
	wire_free(&w);
	return 0;
}
