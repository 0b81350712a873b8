/*
 * common/sort.c - merge sort of the rows that are there (natural merge sort; Knuth, The Art of Computer Programming, vol. 3, 5.2.4, algorithm N).
 */
#include "common/sort.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/need.h"

#define MANY 64u	/* rows from which on the library's is as good */

struct sorting { size_t n, size; int (*order)(const void *, const void *); };

/* Where the rows end, the last of them at n. False: they are many. */
static bool
find_rows(const struct sorting *s, const uint8_t *at, size_t end[MANY], size_t *ret_rows)
{
	*ret_rows = 0;
	for (size_t i = 1; i <= s->n; i++) {
		if (i < s->n && s->order(at + (i - 1) * s->size, at + i * s->size) <= 0)
			continue;
		if (*ret_rows == MANY)
			return false;
		end[(*ret_rows)++] = i;
	}
	return true;
}

/* Rows [from, middle) and [middle, end) to the same place in to. */
static void
merge(const struct sorting *s, const uint8_t *at, size_t from, size_t middle, size_t end, uint8_t *to)
{
	size_t left = from, right = middle, size = s->size;

	for (size_t i = from; i < end; i++) {
		bool take_left = left < middle && (right == end || s->order(at + left * size, at + right * size) <= 0);

		memcpy(to + i * size, at + (take_left ? left++ : right++) * size, size);
	}
}

void
sort_rows(void *base, size_t n, size_t size, int (*order)(const void *, const void *))
{
	const struct sorting s = { n, size, order };
	uint8_t *from = base, *to, *memory;
	size_t end[MANY], rows;

	if (n < 2)
		return;
	if (!find_rows(&s, base, end, &rows)) {
		qsort(base, n, size, order);
		return;
	}
	if (rows == 1)
		return;
	to = memory = need(reallocarray(NULL, n, size));
	while (rows > 1) {
		size_t begin = 0, left = 0;

		for (size_t i = 0; i < rows; i += 2) {
			size_t last = end[i + 1 < rows ? i + 1 : i];

			merge(&s, from, begin, end[i], last, to);
			end[left++] = begin = last;
		}
		rows = left;
		from = to;
		to = from == memory ? base : memory;
	}
	if (from == memory)
		memcpy(base, memory, n * size);
	free(memory);
}
