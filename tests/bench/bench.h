/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The benchmark's three nouns.
 *
 * A *world* is something that manages memory by calls of the mmap family: the
 * kernel's own (native.c) or altvm (altvm.c).  A *row* is one thing to measure,
 * written once and run in each world (rows.c).  A *lane* is one thread's run of
 * one row: its own part of the address space, so that lanes are disjoint.
 * bench.c measures lanes and prints what it found.
 */
#ifndef ALTVM_BENCH_H
#define ALTVM_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PAGE 4096UL
#define BLOCK (512 * PAGE) /* what one page of page-table entries maps */
#define LANE_SIZE (1UL << 32)
#define LANES_MAX 2
#define ROOM 500 /* pages that fit beside a neighbour */

struct world;

/* Calls return 0 or -errno; map() also sets *@out. */
struct world_ops {
	const char *name;
	int (*open)(struct world *world);
	int (*map)(struct world *world, char *addr, size_t len, int prot,
		   int flags, int fd, off_t off, char **out);
	int (*unmap)(struct world *world, char *addr, size_t len);
	int (*protect)(struct world *world, char *addr, size_t len, int prot);
	int (*move)(struct world *world, char *addr, size_t len, char *to);
	int (*mincore)(struct world *world, char *addr, size_t len,
		       unsigned char *vec);
	int (*msync)(struct world *world, char *addr, size_t len, int flags);
	int (*madvise)(struct world *world, char *addr, size_t len, int advice);
	int (*lock)(struct world *world, char *addr, size_t len);
	int (*unlock)(struct world *world, char *addr, size_t len);
	/* the cheapest call: one that is refused as unknown */
	int (*refused)(struct world *world);
};

/**
 * struct world - one way to manage memory
 * @ops: its calls
 * @base: LANES_MAX * LANE_SIZE bytes of address space for the rows to map in,
 *	aligned to LANE_SIZE so that lanes share no page-table page
 * @priv: the world's own
 * @fd: the world's own
 */
struct world {
	const struct world_ops *ops;
	char *base;
	void *priv;
	int fd;
};

extern const struct world_ops native_world_ops;
extern const struct world_ops altvm_world_ops;

/**
 * struct lane - one thread's run of one row
 * @world: where
 * @row: what
 * @base: this lane's LANE_SIZE bytes
 * @addr: where the row maps; NULL lets the world choose
 * @neighbour: a resident page that keeps the page tables around @addr alive
 * @vec: for mincore
 * @fd: the file that the row maps; -1 for anonymous memory
 * @child: a forked process that waits to be killed; 0 if there is none
 * @clock: what is measured, as a counter that only grows
 * @skipped: what to subtract from the batch, see lane_pause()
 */
struct lane {
	struct world *world;
	const struct row *row;
	char *base;
	char *addr;
	char *neighbour;
	unsigned char *vec;
	int fd;
	pid_t child;
	double (*clock)(void);
	double skipped;
};

/*
 * ROW_ANYWHERE: the world chooses the address, else the row asks for one
 * ROW_ISOLATED: no neighbour: page tables come and go with the mapping
 * ROW_NATIVE:   has no meaning in another world
 * ROW_ONCE:     long, and needs no repetition; not run with threads
 * ROW_ALONE:    does something to the whole process; not run with threads
 * ROW_SPARSE:   the file is one hole
 */
#define ROW_ANYWHERE 0x1
#define ROW_ISOLATED 0x2
#define ROW_NATIVE 0x4
#define ROW_ONCE 0x8
#define ROW_ALONE 0x10
#define ROW_SPARSE 0x20

typedef int (*op_fn)(struct lane *lane, unsigned long i);

/**
 * struct row - one thing to measure
 * @name: for the table, for --rows and for the file of limits
 * @unit: what @units counts: "call", "page", ...
 * @ops: how often @op is called in one batch
 * @units: how many units one @op is
 * @pages: the size of the mapping that the row works on
 * @prot: the protection that the row changes to, or the advice that it gives
 * @flags: ROW_*
 * @dir: where the file is that the row maps; NULL for anonymous memory
 * @map: MAP_SHARED, or 0 for MAP_PRIVATE
 * @setup: before each batch, not timed; may be NULL
 * @op: what is timed; @i counts from 0 in each batch.  A batch ends at the
 *	first that returns an error, which is reported beside the time.
 * @teardown: after each batch, not timed; may be NULL
 */
struct row {
	const char *name;
	const char *unit;
	unsigned int ops;
	unsigned int units;
	unsigned int pages;
	int prot;
	unsigned int flags;
	const char *dir;
	int map;
	int (*setup)(struct lane *lane);
	op_fn op;
	int (*teardown)(struct lane *lane);
};

extern const struct row rows[];
extern const size_t nr_rows;

#endif /* ALTVM_BENCH_H */
