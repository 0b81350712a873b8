/*
 * common/memory.h - for processes that mostly wait: memory that is not in use goes back to the kernel. Does not block; some milliseconds
 * where much was freed.
 */
#ifndef COMMON_MEMORY_H
#define COMMON_MEMORY_H

/*
 * What was freed, and the pages of this program and of its libraries that come from their files unchanged: those are read again from
 * the page cache when they are used. So it is for a process that has had nothing to do for some seconds.
 */
void	memory_give_back(void);

/* For a process whose other threads need little: they take from the same reserve as the first one. To be called before there are any. */
void	memory_one_reserve(void);

#endif
