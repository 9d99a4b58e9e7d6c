// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Each row is the best of several rounds, in which the two sides take turns, so
 * that whatever else the machine does meets both.  For numbers to rely on there
 * is tests/bench.
 */
#include <altvm.h>
#include <err.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "compare.h"

#define PAGE ((size_t)4096)
#define RW (PROT_READ | PROT_WRITE)
#define ROUNDS 5
#define CALLS 1000 /* in a round */
#define PAGES 1024 /* touched in a round */

/* One side: its calls, and its name for the table. */
struct side {
	const char *name;
	struct altvm *vm; /* NULL: the kernel's own calls */
};

static char *side_map(const struct side *side, size_t length)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *p;

	if (side->vm)
		p = altvm_mmap(side->vm, NULL, length, RW, flags, -1, 0);
	else
		p = mmap(NULL, length, RW, flags, -1, 0);
	if (p == MAP_FAILED)
		err(1, "%s: mmap", side->name);
	/* Else the kernel may serve one side with huge pages. */
	if (!side->vm)
		madvise(p, length, MADV_NOHUGEPAGE);
	return p;
}

static void side_unmap(const struct side *side, void *p, size_t length)
{
	int ret;

	if (side->vm)
		ret = altvm_munmap(side->vm, p, length);
	else
		ret = munmap(p, length);
	if (ret < 0)
		err(1, "%s: munmap", side->name);
}

static void side_protect(const struct side *side, void *p, size_t length,
			 int prot)
{
	int ret;

	if (side->vm)
		ret = altvm_mprotect(side->vm, p, length, prot);
	else
		ret = mprotect(p, length, prot);
	if (ret < 0)
		err(1, "%s: mprotect", side->name);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void touch(char *p, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		__atomic_store_n(p + i * PAGE, 1, __ATOMIC_RELAXED);
}

/* The rows: each returns nanoseconds for one operation. */
static double map_and_unmap(const struct side *side)
{
	double start = now();

	for (int i = 0; i < CALLS; i++)
		side_unmap(side, side_map(side, PAGE), PAGE);
	return (now() - start) / CALLS;
}

static double first_write(const struct side *side)
{
	char *p = side_map(side, PAGES * PAGE);
	double start = now(), time;

	touch(p, PAGES);
	time = now() - start;
	side_unmap(side, p, PAGES * PAGE);
	return time / PAGES;
}

static double unmap_touched(const struct side *side)
{
	char *p = side_map(side, PAGES * PAGE);
	double start;

	touch(p, PAGES);
	start = now();
	side_unmap(side, p, PAGES * PAGE);
	return (now() - start) / PAGES;
}

static double protect_one(const struct side *side)
{
	char *p = side_map(side, 3 * PAGE);
	double start, time;

	touch(p, 3);
	start = now();
	for (int i = 0; i < CALLS / 2; i++) {
		side_protect(side, p + PAGE, PAGE, PROT_READ);
		side_protect(side, p + PAGE, PAGE, RW);
	}
	time = now() - start;
	side_unmap(side, p, 3 * PAGE);
	return time / CALLS;
}

static const struct row {
	const char *name;
	double (*run)(const struct side *side);
} rows[] = {
	{ "mmap + munmap of a page", map_and_unmap },
	{ "first write to a page", first_write },
	{ "munmap, per page written", unmap_touched },
	{ "mprotect of a page", protect_one },
};

static double min(double a, double b)
{
	return a < b ? a : b;
}

void compare_print(struct altvm *vm)
{
	const struct side native = { "mmap", NULL }, altvm = { "altvm", vm };

	printf("      %-26s %12s %12s\n", "ns each", native.name, altvm.name);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		double a = rows[i].run(&native), b = rows[i].run(&altvm);

		for (int round = 1; round < ROUNDS; round++) {
			a = min(a, rows[i].run(&native));
			b = min(b, rows[i].run(&altvm));
		}
		printf("      %-26s %12.0f %12.0f\n", rows[i].name, a, b);
	}
}
