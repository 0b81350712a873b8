/*
 * mta/exim_hints.c - would the library open this database of hints? Pure: bytes in, an answer out.
 *
 * Tried with Exim 4.96 and Berkeley DB 5.3: a file that is cut at a page, or longer, or has pages of zeros is used; one that is cut
 * within a page, has no magic, or a page with another page's number is not.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mta/exim_data.h"

#define BDB_HASH 0x061561u
#define BDB_BTREE 0x053162u
#define BDB_META_PAGE 8		/* type of a hash's first page; a btree's is 9 */
#define GDBM_FIRST 0x13579acdu	/* ... to FIRST + 4, in the byte order of its machine */

static bool
refuse(struct exim_trouble *trouble, enum exim_fault kind, const char *what)
{
	trouble->fault = kind;
	snprintf(trouble->what, sizeof trouble->what, "%s", what);
	return false;
}

static uint32_t
number(const unsigned char *at, bool swapped)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return swapped ? __builtin_bswap32(value) : value;
}

/* Each page that was ever written says which it is. */
static bool
bdb_pages(struct queue_source *source, uint32_t page, bool swapped, struct exim_trouble *trouble)
{
	unsigned char head[26];

	for (uint64_t at = page, n = 1; at + page <= source->size; at += page, n++) {
		static const unsigned char zero[sizeof head];
		ssize_t got = source->at(source->arg, head, sizeof head, at);

		if (got == -1)
			return refuse(trouble, EXIM_FAULT_READ, strerror(errno));
		if (got != sizeof head)
			return refuse(trouble, EXIM_FAULT_CUT, "it ends within a page");
		if (memcmp(head, zero, sizeof head) != 0 && number(head + 8, swapped) != (uint32_t)n) {
			snprintf(trouble->what, sizeof trouble->what, "page %llu says that it is page %u", (unsigned long long)n,
			    number(head + 8, swapped));
			trouble->fault = EXIM_FAULT_FORM;
			return false;
		}
	}
	return true;
}

static bool
bdb(struct queue_source *source, const unsigned char *head, bool swapped, bool whole, struct exim_trouble *trouble)
{
	uint32_t version = number(head + 16, swapped), page = number(head + 20, swapped);

	if (version < 7 || version > 10 || head[24] != 0)
		return refuse(trouble, EXIM_FAULT_FORM, "a Berkeley DB of no version that Exim uses");
	if (page < 512 || page > 65536 || (page & (page - 1)) != 0 || head[25] < BDB_META_PAGE || head[25] > BDB_META_PAGE + 1)
		return refuse(trouble, EXIM_FAULT_FORM, "the first page of the Berkeley DB is damaged");
	if (source->size % page != 0)
		return refuse(trouble, EXIM_FAULT_CUT, "the Berkeley DB ends within a page");
	return !whole || bdb_pages(source, page, swapped, trouble);
}

static bool
sqlite(struct queue_source *source, const unsigned char *head, struct exim_trouble *trouble)
{
	uint32_t page = (uint32_t)head[16] << 8 | head[17];

	if (page == 1)
		page = 65536;
	if (page < 512 || (page & (page - 1)) != 0)
		return refuse(trouble, EXIM_FAULT_FORM, "the first page of the SQLite database is damaged");
	return source->size % page == 0 || refuse(trouble, EXIM_FAULT_CUT, "the SQLite database ends within a page");
}

bool
exim_hints_read(struct queue_source *source, bool whole, const char **ret_kind, struct exim_trouble *trouble)
{
	unsigned char head[64] = { 0 };
	ssize_t n = source->at(source->arg, head, sizeof head, 0);

	memset(trouble, 0, sizeof *trouble);
	*ret_kind = "nothing that is known";
	if (n == -1)
		return refuse(trouble, EXIM_FAULT_READ, strerror(errno));
	if (n == 0)
		return true;
	for (int swapped = 0; swapped < 2; swapped++) {
		uint32_t first = number(head, swapped == 1), magic = number(head + 12, swapped == 1);

		if (magic == BDB_HASH || magic == BDB_BTREE) {
			*ret_kind = "Berkeley DB";
			return bdb(source, head, swapped == 1, whole, trouble);
		}
		if (first >= GDBM_FIRST && first <= GDBM_FIRST + 4) {
			uint32_t block = number(head + 4, swapped == 1);

			*ret_kind = "GDBM";
			return (block >= 512 && source->size >= block) ||
			    refuse(trouble, EXIM_FAULT_CUT, "the GDBM file ends within its first block");
		}
	}
	if (memcmp(head, "TDB file\n", 9) == 0) {
		*ret_kind = "TDB";
		return n == sizeof head || refuse(trouble, EXIM_FAULT_CUT, "the TDB file ends within its head");
	}
	if (memcmp(head, "SQLite format 3", 16) == 0) {
		*ret_kind = "SQLite";
		return sqlite(source, head, trouble);
	}
	return refuse(trouble, EXIM_FAULT_FORM, "it is neither Berkeley DB, GDBM, TDB nor SQLite");
}
