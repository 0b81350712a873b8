/*
 * configsync/diff_variant.c - FILE@NODE: on node NODE, FILE is made as FILE@NODE is. Pure.
 */
#include <string.h>

#include "configsync/arena.h"
#include "configsync/diff_rows.h"

#define NO_MATTER (ENTRY_DIFF_HARD | ENTRY_DIFF_TIME)

static bool
same(const struct entry *a, const struct entry *b)
{
	return (entry_diff(a, b) & ~NO_MATTER) == 0;
}

static void
make_as(struct diff *d, const struct row *variant, const struct row *file, const char *path)
{
	struct entry *to = arena_take(d->arena, sizeof *to);
	const struct entry *is = row_final(variant);
	struct change *c;

	*to = *is;
	to->path = path;
	to->hard = NULL;
	to->local = (struct entry_local){ 0 };
	c = diff_add(d, is->type == ENTRY_LINK ? CHANGE_LINK : CHANGE_FILE, path, file == NULL ? NULL : file->m, to);
	if (is->type == ENTRY_FILE && variant->m != NULL && (entry_diff(variant->m, is) & (ENTRY_DIFF_TYPE | ENTRY_DIFF_CONTENT)) == 0) {
		c->from = variant->path;
		c->from_was = variant->m;
	}
}

/* It is still what mailpair made it, or what both nodes had before there was a variant. */
static bool
untouched(const struct row *variant, const struct row *file)
{
	if (file == NULL || file->m == NULL)
		return true;
	if (variant->b != NULL && variant->b->type != ENTRY_DIRECTORY)
		return same(file->m, variant->b);
	return file->b != NULL && same(file->m, file->b);
}

void
diff_variants(struct diff *d, const struct diff_input *in, const struct rows *rows)
{
	for (size_t i = 0; in->scope != NULL && i < rows->len; i++) {
		const struct row *variant = &rows->at[i];
		const struct entry *is = row_final(variant);
		const char *node;
		size_t len = scope_variant(in->scope, variant->path, &node);
		const struct row *file;
		char *path;

		if (len == 0 || strcmp(node, in->self) != 0 || is == NULL || (is->type != ENTRY_FILE && is->type != ENTRY_LINK))
			continue;
		path = arena_text(d->arena, variant->path);
		path[len] = '\0';
		file = rows_find(rows, path, len);
		if (file != NULL && file->m != NULL && same(file->m, is))
			continue;
		if (untouched(variant, file) && (file == NULL || file->m == NULL || file->m->type == ENTRY_FILE || file->m->type == ENTRY_LINK))
			make_as(d, variant, file, path);
		else
			diff_add_conflict(d, CONFLICT_VARIANT, file);
	}
}
