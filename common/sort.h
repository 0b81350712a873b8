/*
 * common/sort.h - sorting of what is in order already, or is a few ordered rows one behind the other, as most lists of paths are. Pure.
 */
#ifndef COMMON_SORT_H
#define COMMON_SORT_H

#include <stddef.h>

/*
 * As qsort(3), and stable but where there are many rows: one comparison for each of n elements where they are in order, and as many more for each time that the number
 * of ordered rows is halved. Takes memory for n elements where they are not in order; ends the program where there is none (common/need.h).
 */
void	sort_rows(void *base, size_t n, size_t size, int (*order)(const void *, const void *));

#endif
