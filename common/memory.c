/*
 * common/memory.c - what malloc() holds in reserve, and the read-only segments of all that is loaded.
 */
#include "common/memory.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Segments that were never writable hold nothing of ours: relocations are in the others. */
static int
give_back_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t page = *(const uintptr_t *)arg;

	(void)size;
	if (strstr(info->dlpi_name, "vdso") != NULL)	/* the kernel's own */
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t from = (info->dlpi_addr + p->p_vaddr) & ~(page - 1), to = info->dlpi_addr + p->p_vaddr + p->p_memsz;

		if (p->p_type == PT_LOAD && (p->p_flags & PF_W) == 0)
			madvise((void *)from, to - from, MADV_DONTNEED);	/* what the kernel will not give up it keeps */
	}
	return 0;
}

void
memory_give_back(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	malloc_trim(0);
	dl_iterate_phdr(give_back_segments, &page);
}

void
memory_one_reserve(void)
{
	mallopt(M_ARENA_MAX, 1);
}
