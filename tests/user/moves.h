/* SPDX-License-Identifier: GPL-2.0 */
/* What mremap is tried on: ranges of pages of which each says which it is. */
#ifndef TESTS_USER_MOVES_H
#define TESTS_USER_MOVES_H

#include <stdio.h>
#include <string.h>

#include "memory.h"

/* Pages that one table of the module holds. */
#define LEAF 512UL
#define ZONE (16 * LEAF)

/* How large the zone is in truth. */
#define ROOM (4 * GiB / PAGE)

/* What page @i of a range is before the range is moved. */
enum state { UNTOUCHED, LOOKED_AT, WRITTEN };

static inline enum state state_of(size_t i)
{
	/* Some of each, and holes of 100 pages. */
	return i / 100 % 3 == 1 ? UNTOUCHED : (i + i / 5) % 3;
}

/* What a file has at the start of its page @page. */
static inline uint64_t file_mark(size_t page)
{
	return 0x20000000 + page;
}

/* What is at the start of page @i of a range that was of page @from of a file. */
static inline uint64_t mark_of(enum memory m, size_t from, size_t i)
{
	if (state_of(i) == WRITTEN)
		return 0x10000000 + i;
	return memory_is_file(m) ? file_mark(from + i) : 0;
}

/* And what is left in the old range by MREMAP_DONTUNMAP. */
static inline uint64_t mark_left(enum memory m, size_t from, size_t i)
{
	if (memory_is_shared(m))
		return mark_of(m, from, i);
	return m == PRIVATE_FILE ? file_mark(from + i) : 0;
}

/* Volatile, for a page can be in two places. */
static inline volatile uint64_t *word_at(char *p, size_t i)
{
	return (volatile uint64_t *)(p + i * PAGE);
}

/* Give the file the marks of the pages. */
static inline bool mark_file(int fd, size_t from, size_t pages)
{
	size_t i;

	for (i = from; i < from + pages; i++) {
		uint64_t mark[2] = { file_mark(i), 0 };

		if (pwrite(fd, mark, sizeof(mark), i * PAGE) != sizeof(mark))
			return false;
	}
	return true;
}

/* Map @pages at page @from, and of the file the same; make them as state_of(). */
static inline bool furnish(struct vm *vm, enum memory m, size_t from,
			   size_t pages, int fd)
{
	char *p;
	size_t i;

	if (memory_is_file(m) && !mark_file(fd, from, pages))
		return false;
	p = memory_map(vm, m, from, pages, RW, fd);
	if (p == MAP_FAILED)
		return false;
	for (i = 0; i < pages; i++)
		if (state_of(i) == WRITTEN)
			*word_at(p, i) = mark_of(m, from, i);
		else if (state_of(i) == LOOKED_AT)
			(void)*word_at(p, i);
	return true;
}

/* A range of pages that were those from @from on holds @mark's. */
static inline bool holds(char *p, size_t pages, enum memory m, size_t from,
			 uint64_t (*mark)(enum memory m, size_t from, size_t i))
{
	uint64_t value = 0;
	size_t i;
	int sig;

	for (i = 0; i < pages; i++) {
		sig = probe_read(p + i * PAGE, &value, NULL);
		if (!sig && value == mark(m, from, i))
			continue;
		fprintf(stderr,
			"# page %zu of %zu: signal %d, %#lx, not %#lx\n", i,
			pages, sig, value, mark(m, from, i));
		return false;
	}
	return true;
}

/* Nothing is mapped in the range. */
static inline bool is_gone(char *p, size_t pages)
{
	/* A fault that ends in a signal takes long. */
	const size_t step = pages / scaled(pages);
	struct fault f;
	size_t i;

	for (i = 0; i < pages; i += step)
		if (probe_read(p + i * PAGE, NULL, &f) != SIGSEGV ||
		    f.code != SEGV_MAPERR) {
			fprintf(stderr, "# page %zu of %zu is there\n", i,
				pages);
			return false;
		}
	return true;
}

/* Move whole pages; where they are then, or MAP_FAILED. */
static inline char *move_pages(struct vm *vm, size_t from, size_t pages,
			       int flags, size_t to)
{
	return vm_mremap(vm, vm_page(vm, from), pages * PAGE, pages * PAGE,
			 MREMAP_MAYMOVE | MREMAP_FIXED | flags,
			 vm_page(vm, to));
}

/*
 * Where the native mapping ends that @addr is in, if another one like it follows;
 * else 0.  Whether such are one mapping, is for altvm no question.
 */
static inline unsigned long native_seam(const char *addr)
{
	unsigned long start, end, seam = 0;
	char prot[5], of_seam[5], line[512];
	FILE *f = fopen("/proc/self/maps", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &end, prot) != 3)
			continue;
		if (seam && (start != seam || strcmp(prot, of_seam)))
			seam = 0;
		if (seam || start > (uintptr_t)addr)
			break;
		if (end > (uintptr_t)addr) {
			seam = end;
			strcpy(of_seam, prot);
		}
	}
	if (f)
		fclose(f);
	return seam;
}

#endif /* TESTS_USER_MOVES_H */
