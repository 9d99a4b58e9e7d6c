// SPDX-License-Identifier: GPL-2.0
/* Random scripts, each from a number. */
#include <linux/falloc.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "script.h"
#include "tests/user/nodes.h"

#define FILE_PAGES 24

/* The pages of one page table. */
#define LEAF 512

/* So much of a zone is touched at once at most. */
#define LARGE (600 * PAGE)

/* How many operations a script has at least, and how many more at most. */
#define OPS_LEAST 150
#define OPS_MORE 250

/**
 * struct generator - a script in the making
 * @rng: random numbers
 * @scene: where it is run
 * @odd: how many of 100 calls have odd arguments
 * @depth: how many children the next operation is in
 * @late: how many wait
 * @nodes: where pages are is asked, and they are not merged: one of two goes then
 * @dense: there are few holes
 * @interleave: memory may be interleaved, and is not moved: natively it is by
 * addresses, but after mremap() by those where it was touched first
 */
struct generator {
	struct rng rng;
	struct scene *scene;
	unsigned int odd;
	unsigned int depth;
	unsigned int late;
	bool nodes;
	bool dense;
	bool interleave;
};

static uint64_t below(struct generator *g, uint64_t n)
{
	return rng_below(&g->rng, n);
}

static uint64_t pick(struct generator *g, const uint64_t *from, size_t nr)
{
	return from[below(g, nr)];
}

#define PICK(g, ...)                                       \
	({                                                 \
		const uint64_t __from[] = { __VA_ARGS__ }; \
		pick(g, __from, ARRAY_SIZE(__from));       \
	})

static const int all_advice[] = {
	MADV_NORMAL,	     MADV_RANDOM,
	MADV_SEQUENTIAL,     MADV_WILLNEED,
	MADV_DONTNEED,	     MADV_DONTNEED,
	MADV_DONTNEED,	     MADV_FREE,
	MADV_REMOVE,	     MADV_DONTFORK,
	MADV_DOFORK,	     MADV_WIPEONFORK,
	MADV_KEEPONFORK,     MADV_DONTDUMP,
	MADV_DODUMP,	     MADV_COLD,
	MADV_PAGEOUT,	     MADV_POPULATE_READ,
	MADV_POPULATE_WRITE, MADV_POPULATE_READ,
	MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED,
	MADV_MERGEABLE,	     MADV_UNMERGEABLE,
	MADV_GUARD_INSTALL,  MADV_GUARD_REMOVE,
	MADV_HUGEPAGE,	     MADV_NOHUGEPAGE,
	MADV_COLLAPSE,	     MADV_COLD,
};

static int random_advice(struct generator *g)
{
	int advice;

	if (g->scene->swap && !below(g, 3))
		return PICK(g, MADV_PAGEOUT, MADV_PAGEOUT, MADV_COLD,
			    MADV_WILLNEED);
	do {
		advice = all_advice[below(g, ARRAY_SIZE(all_advice))];
		/*
		 * From when on what is paged out is not resident, differs; and
		 * what may go, goes when there is need.
		 */
	} while (!advice_is_known(advice) ||
		 (g->scene->swap && advice == MADV_FREE) ||
		 (g->nodes && advice == MADV_MERGEABLE) ||
		 (!g->scene->huge && advice == MADV_COLLAPSE) ||
		 (g->scene->strict && advice == MADV_PAGEOUT));
	return advice;
}

static int random_prot(struct generator *g)
{
	static int execute_only = -1;
	int prot = below(g, 8);

	if (execute_only < 0)
		execute_only = has_execute_only();
	if (prot == PROT_EXEC && execute_only)
		return RX;
	return below(g, 3) ? prot : RW;
}

/* Large zones are used at both ends, and at borders of 2 MiB. */
static uint64_t random_page(struct generator *g, uint64_t *room)
{
	const uint64_t pages = g->scene->pages;
	uint64_t page;

	if (pages <= 64) {
		page = below(g, pages);
		*room = pages - page;
	} else if (!below(g, g->scene->huge ? 2 : 6)) {
		page = g->scene->before % LEAF + below(g, 2) * LEAF;
		*room = LEAF;
	} else {
		page = below(g, 48);
		*room = 64 - page;
		if (below(g, 2)) {
			page += pages - 48;
			*room = pages - page;
		}
	}
	return page;
}

static void random_range(struct generator *g, struct op *op)
{
	uint64_t room, page = random_page(g, &room);

	op->addr = page * PAGE;
	op->len = 1 + below(g, (room < 12 ? room : 12) * PAGE);
	if (!below(g, 20)) {
		op->addr = 0;
		op->len = g->scene->pages * PAGE;
	} else if (!below(g, g->scene->huge ? 3 : 8)) {
		op->len = room * PAGE;
	}
}

static void random_access(struct generator *g, struct op *op)
{
	uint64_t room;

	op->len = 0;
	op->addr = random_page(g, &room) * PAGE;
	op->addr += PICK(g, 0, 0, 8, 2048, PAGE - 8);
	if (op->kind == OP_CALL)
		op->addr &= -PAGE;
	op->value = (rng_next(&g->rng) & ~0xffUL) | RET_INSN;
	/* Across two pages. */
	if (op->kind != OP_CALL && !below(g, 10) && room > 1)
		op->addr = (op->addr & -PAGE) + PAGE - 4;
}

static void random_type(struct generator *g, struct op *op)
{
	const bool files = !g->scene->strict;
	uint64_t kind = below(g, files ? 10 : 4);

	if (kind < 4) {
		op->flags |= ANON;
	} else if (kind < 5) {
		op->flags |= MAP_SHARED | MAP_ANONYMOUS;
	} else if (kind < 6 && below(g, 4) == 0 && !g->scene->swap) {
		op->flags |= MAP_DROPPABLE | MAP_ANONYMOUS;
	} else {
		op->flags |= PICK(g, MAP_SHARED, MAP_PRIVATE, MAP_PRIVATE,
				  MAP_SHARED_VALIDATE);
		op->fd = PICK(g, FILE_DATA, FILE_DATA, FILE_DATA, FILE_READER,
			      FILE_OTHER, FILE_ZERO);
		op->off = below(g, FILE_PAGES) * PAGE;
	}
}

static void random_mmap(struct generator *g, struct op *op)
{
	op->flags = PICK(g, 0, 0, MAP_FIXED, MAP_FIXED, MAP_FIXED,
			 MAP_FIXED_NOREPLACE);
	/* Natively what is replaced counts as data, whatever it was. */
	if (g->scene->limits == RLIMIT_DATA + 1 && op->flags == MAP_FIXED)
		op->flags = MAP_FIXED_NOREPLACE;
	op->flags |= PICK(g, 0, 0, 0, 0, MAP_POPULATE, MAP_NORESERVE, MAP_STACK,
			  MAP_POPULATE | MAP_NONBLOCK, MAP_DENYWRITE,
			  MAP_LOCKED, MAP_GROWSDOWN);
	random_type(g, op);
	if (!(op->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) && below(g, 2)) {
		op->absolute = true;
		op->addr = 0;
	}
	/* Not all of a large zone: what is populated takes time. */
	if (op->len > LARGE)
		op->len = LARGE;
}

/* Beyond the zone the two systems differ. */
static void keep_inside(const struct generator *g, struct op *op)
{
	const uint64_t size = g->scene->pages * PAGE;

	if (op->addr < size && op->len > size - op->addr)
		op->len = size - op->addr;
}

static void random_remap(struct generator *g, struct op *op)
{
	uint64_t room;

	op->flags = PICK(g, 0, 0, MREMAP_MAYMOVE, MREMAP_MAYMOVE,
			 MREMAP_MAYMOVE | MREMAP_FIXED,
			 MREMAP_MAYMOVE | MREMAP_FIXED,
			 MREMAP_MAYMOVE | MREMAP_FIXED,
			 MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
			 MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP);
	if (g->dense && op->flags & MREMAP_FIXED && below(g, 2))
		op->flags |= MREMAP_DONTUNMAP;
	op->to = random_page(g, &room) * PAGE;
	room = g->scene->pages * PAGE - op->to;
	if (op->len > LARGE)
		op->len = LARGE;
	if (below(g, 2))
		op->len += below(g, LARGE - op->len + 1);
	keep_inside(g, op);
	op->new_len = op->len;
	if (!(op->flags & MREMAP_DONTUNMAP) && below(g, 2))
		op->new_len = 1 + below(g, op->len + 8 * PAGE);
	if (!g->scene->strict && !below(g, 8))
		op->len = 0;
	/* Natively there is something behind the zone. */
	if (op->flags & MREMAP_FIXED && op->new_len > room) {
		op->new_len = room;
		if (op->flags & MREMAP_DONTUNMAP)
			op->len = room;
	}
}

static void random_file_op(struct generator *g, struct op *op)
{
	const uint64_t page = below(g, FILE_PAGES);

	op->fd = below(g, 4) ? FILE_DATA : FILE_OTHER;
	op->off = page * PAGE;
	switch (op->kind) {
	case OP_TRUNCATE:
		/* What is stored behind the end of a file is undefined. */
		op->len = page * PAGE;
		op->off = 0;
		op->addr = 0;
		break;
	case OP_FALLOCATE:
		op->addr = 0;
		op->flags = PICK(g, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				 FALLOC_FL_KEEP_SIZE);
		op->off += PICK(g, 0, 0, 0, 100, 2048);
		op->len = 1 + below(g, 8 * PAGE);
		break;
	default:
		op->fd = PICK(g, FILE_DATA, FILE_OTHER, FILE_READER);
		op->addr += PICK(g, 0, 0, 1, 8, 2048);
		op->len = 1 + below(g, 3 * PAGE);
	}
}

/* Also nodes that there are only on larger machines, or nowhere. */
static void random_nodes(struct generator *g, struct op *op)
{
	op->prot = PICK(g, MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND,
			MPOL_INTERLEAVE, MPOL_LOCAL, PREFERRED_MANY,
			WEIGHTED_INTERLEAVE);
	if (!g->interleave &&
	    (op->prot == MPOL_INTERLEAVE || op->prot == WEIGHTED_INTERLEAVE))
		op->prot = MPOL_BIND;
	if (!below(g, 4))
		op->prot |= PICK(g, MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES,
				 NUMA_BALANCING);
	op->value = PICK(g, 1, 2, 3);
	if ((op->prot & 7) == MPOL_DEFAULT || (op->prot & 7) == MPOL_LOCAL)
		op->value = 0;
	op->off = 64;
	if (!below(g, 10))
		op->value = PICK(g, 0, 1, 2, 4, 5, 1UL << 62);
	if (!below(g, 20))
		op->off = PICK(g, 0, 1, 2, 3, 63, 65);
}

static void random_policy(struct generator *g, struct op *op)
{
	if (op->kind == OP_GET_MEMPOLICY) {
		op->flags = PICK(g, MPOL_F_ADDR, MPOL_F_ADDR, 0,
				 MPOL_F_ADDR | MPOL_F_NODE, MPOL_F_NODE,
				 MPOL_F_MEMS_ALLOWED);
		if (!(op->flags & MPOL_F_ADDR)) {
			op->absolute = true;
			op->addr = 0;
		}
		op->len = 0;
		return;
	}
	random_nodes(g, op);
	if (op->kind == OP_SET_MEMPOLICY) {
		op->addr = 0;
		op->len = 0;
		/* Natively it is the thread's. */
		op->thread = false;
		return;
	}
	op->flags = PICK(g, 0, 0, MPOL_MF_MOVE);
	/* It tells which pages are mapped: natively also those around others. */
	if (g->scene->strict)
		op->flags |= PICK(g, 0, MPOL_MF_STRICT);
}

static void random_transfer(struct generator *g, struct op *op)
{
	op->addr += PICK(g, 0, 0, 1, 8, 2048);
	op->len = 1 + below(g, 4 * PAGE);
	op->value = rng_next(&g->rng);
	op->child = below(g, 2);
	if (op->kind == OP_PROCESS_MADVISE) {
		uint64_t room;

		op->addr &= -PAGE;
		op->how = PICK(g, MADV_COLD, MADV_WILLNEED);
		if (!g->scene->strict && below(g, 2))
			op->how = MADV_PAGEOUT;
		op->to = random_page(g, &room) * PAGE;
		op->new_len = PAGE;
		op->value = 0;
	}
}

static void random_limit(struct generator *g, struct op *op)
{
	op->addr = 0;
	op->how = g->scene->limits - 1;
	op->thread = false;
	op->value = PICK(g, -1UL, 4, 8, 16, 32, 48, 64, 256);
	op->len = 0;
}

/* The arguments of its kind. */
static void random_arguments(struct generator *g, struct op *op)
{
	random_range(g, op);
	op->thread = !below(g, 100);
	switch (op->kind) {
	case OP_MMAP:
		op->prot = random_prot(g);
		return random_mmap(g, op);
	case OP_MPROTECT:
		op->prot = random_prot(g);
		return;
	case OP_MREMAP:
		return random_remap(g, op);
	case OP_MADVISE:
		op->how = random_advice(g);
		return;
	case OP_AREAS:
		op->addr = 0;
		op->len = 0;
		op->how = !below(g, 4);
		return;
	case OP_MINCORE:
		if (below(g, 2))
			op->len = 64 * PAGE;
		return;
	case OP_LOOK:
		op->len = op->len < 64 * PAGE ? op->len : 64 * PAGE;
		return;
	case OP_MSYNC:
		op->flags =
			PICK(g, 0, MS_SYNC, MS_ASYNC, MS_SYNC | MS_INVALIDATE);
		return;
	case OP_MLOCK:
		op->addr += PICK(g, 0, 0, 1, 2048);
		op->flags = PICK(g, 0, 0, MLOCK_ONFAULT);
		return;
	case OP_MLOCKALL:
		op->addr = 0;
		op->len = 0;
		op->flags = PICK(g, MCL_CURRENT, MCL_FUTURE,
				 MCL_CURRENT | MCL_FUTURE,
				 MCL_CURRENT | MCL_ONFAULT,
				 MCL_FUTURE | MCL_ONFAULT);
		return;
	case OP_BRK:
		op->addr = below(g, 16) * PAGE + PICK(g, 0, 1, 100, 4095);
		op->len = 0;
		return;
	case OP_MBIND:
	case OP_SET_MEMPOLICY:
	case OP_GET_MEMPOLICY:
		return random_policy(g, op);
	case OP_NODES:
		op->len = op->len < 32 * PAGE ? op->len : 32 * PAGE;
		return;
	case OP_RLIMIT:
		return random_limit(g, op);
	case OP_RECLAIM:
		op->addr = 0;
		op->len = PICK(g, 64, 256, 1024) * PAGE;
		return;
	case OP_READV:
	case OP_WRITEV:
	case OP_PROCESS_MADVISE:
		return random_transfer(g, op);
	case OP_LOAD:
	case OP_STORE:
	case OP_CALL:
		return random_access(g, op);
	case OP_PREAD:
	case OP_PWRITE:
	case OP_TRUNCATE:
	case OP_FALLOCATE:
		return random_file_op(g, op);
	default:
		return;
	}
}

static bool is_fixed(const struct op *op)
{
	return op->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
}

/*
 * Beyond the zone the native system has other mappings and altvm has nothing,
 * so there they differ by design; and a native call would do damage.
 */
static bool stays_inside(const struct generator *g, const struct op *op)
{
	const uint64_t size = g->scene->pages * PAGE;
	const uint64_t end = op->addr + op->len;

	if (op->kind == OP_MMAP && !is_fixed(op))
		return true;
	if (op->absolute)
		return false;
	if (op->kind == OP_MREMAP && op->flags & MREMAP_FIXED &&
	    (op->to >= size || op->new_len > size - op->to))
		return false;
	if (op->kind == OP_MREMAP && op->len > size - op->addr)
		return op->addr && op->len > -op->addr;
	return op->addr < size && (end <= size || end < op->len);
}

static void make_one_odd(struct generator *g, struct op *op)
{
	const uint64_t zone = g->scene->pages * PAGE;
	const uint64_t size = zone < LARGE ? zone : LARGE;

	switch (below(g, 6)) {
	case 0:
		op->len = PICK(g, 0, -1UL, -PAGE, -PAGE + 1, -PAGE - 1, size,
			       size + 1);
		if (below(g, 2))
			op->new_len = op->len;
		break;
	case 1:
		op->addr += PICK(g, 1, 8, 2048, 4095);
		break;
	case 2:
		op->absolute = true;
		op->addr = PICK(g, 0, 1, PAGE, 65536, 1UL << 46, 1UL << 47,
				1UL << 63, -PAGE, -1UL, 0x7fffffffe000);
		break;
	case 3:
		/*
		 * Not PROT_GROWSDOWN alone: where a mapping starts depends
		 * natively on its history.
		 */
		op->prot |= PICK(g, 8, 0x10, 0x20, PROT_GROWSUP, 0x40000000,
				 PROT_GROWSDOWN | PROT_GROWSUP);
		break;
	case 4:
		op->flags ^= PICK(g, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_32BIT,
				  0x80, 0x200000, 0x80000, 0x10000000,
				  MAP_PRIVATE, MAP_SHARED, 4, 8);
		op->to += PICK(g, 0, 0, 1, 2048);
		break;
	default:
		op->how = PICK(g, -1, 5, 6, 7, 26, 99, 1 << 20);
		op->off = PICK(g, 1, 2048, PAGE, 1L << 40, -PAGE);
		if (!below(g, 4))
			op->fd = FILE_BAD;
	}
}

/* One thing is wrong with it, or two. */
static void make_odd(struct generator *g, struct op *op)
{
	struct op odd = *op;

	if (op->kind < OP_MMAP || op->kind > OP_MUNLOCKALL)
		return;
	do {
		if (!stays_inside(g, &odd))
			odd = *op;
		make_one_odd(g, &odd);
	} while (!stays_inside(g, &odd) || !below(g, 3));
	*op = odd;
}

/**
 * struct share - how often an operation is made
 * @kind: which
 * @strict: parts of all, where nothing makes residency uncertain
 * @any: elsewhere
 */
static const struct share {
	enum kind kind;
	unsigned int strict;
	unsigned int any;
} shares[] = {
	{ OP_MMAP, 16, 16 },
	{ OP_MUNMAP, 8, 6 },
	{ OP_MPROTECT, 14, 12 },
	{ OP_MREMAP, 16, 12 },
	{ OP_MADVISE, 20, 18 },
	{ OP_MSYNC, 2, 2 },
	{ OP_MINCORE, 8, 1 },
	{ OP_MLOCK, 4, 4 },
	{ OP_MUNLOCK, 3, 3 },
	{ OP_MLOCKALL, 1, 1 },
	{ OP_MUNLOCKALL, 1, 1 },
	{ OP_BRK, 3, 2 },
	{ OP_MBIND, 4, 2 },
	{ OP_SET_MEMPOLICY, 1, 1 },
	{ OP_GET_MEMPOLICY, 2, 1 },
	{ OP_NODES, 3, 0 },
	/* Pages that were mapped ahead count as resident once a CPU reads them. */
	{ OP_READV, 0, 3 },
	{ OP_WRITEV, 3, 3 },
	{ OP_PROCESS_MADVISE, 1, 1 },
	{ OP_LOAD, 10, 10 },
	{ OP_STORE, 24, 24 },
	{ OP_CALL, 4, 4 },
	{ OP_LOOK, 1, 2 },
	{ OP_AREAS, 2, 2 },
	{ OP_PREAD, 0, 3 },
	{ OP_PWRITE, 0, 3 },
	{ OP_TRUNCATE, 0, 3 },
	{ OP_FALLOCATE, 0, 3 },
	{ OP_FORK, 0, 2 },
	{ OP_END, 0, 3 },
	{ OP_JOIN, 0, 1 },
	{ OP_RLIMIT, 3, 3 },
	{ OP_RECLAIM, 0, 2 },
};

static enum kind random_kind(struct generator *g)
{
	unsigned int total = 0, n;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shares); i++)
		total += g->scene->strict ? shares[i].strict : shares[i].any;
	n = below(g, total);
	for (i = 0; i < ARRAY_SIZE(shares); i++) {
		unsigned int share = g->scene->strict ? shares[i].strict :
							shares[i].any;

		if (n < share)
			break;
		n -= share;
	}
	return shares[i].kind;
}

/* With a limit, what the rest of the process locks would count natively. */
static bool is_wanted(struct generator *g, enum kind kind)
{
	if (kind == OP_MLOCKALL || kind == OP_MUNLOCKALL)
		return !g->scene->lockable;
	if (kind == OP_MUNMAP)
		return !g->dense || !below(g, 4);
	/* RLIMIT_STACK: which mappings are one depends natively on their history. */
	if (g->scene->limits == RLIMIT_STACK + 1 &&
	    (kind == OP_MREMAP || kind == OP_MLOCK))
		return false;
	if (kind == OP_MREMAP)
		return !g->interleave || !g->scene->strict;
	if (kind == OP_NODES || kind == OP_GET_MEMPOLICY)
		return g->nodes || !g->scene->strict;
	if (kind == OP_RLIMIT)
		return g->scene->limits;
	if (kind == OP_RECLAIM)
		return g->scene->swap;
	/* Of it counts natively what the program has. */
	if (kind == OP_BRK)
		return g->scene->limits != RLIMIT_DATA + 1;
	if (kind == OP_END)
		return g->depth;
	if (kind == OP_FORK)
		return g->depth < 3;
	return true;
}

/* Natively a new place that has the old one in it is unmapped before. */
static bool unmaps_itself(const struct op *op)
{
	/* Also a length that wraps to none. */
	return op->kind == OP_MREMAP && op->flags & MREMAP_FIXED &&
	       !((op->len + PAGE - 1) & -PAGE) && op->addr >= op->to &&
	       op->addr - op->to < op->new_len;
}

/* It is memory without a file for altvm; natively advice may tell. */
static bool is_private_zero(const struct op *op)
{
	return op->kind == OP_MMAP && op->fd == FILE_ZERO &&
	       (op->flags & MAP_TYPE) == MAP_PRIVATE;
}

static bool is_of_disk(const struct generator *g, const struct op *op)
{
	return g->scene->disk && !(op->flags & MAP_ANONYMOUS);
}

/*
 * If the system chooses the place, it natively is where a huge page begins, also for
 * other memory than altvm does that for.
 */
static bool is_aligned(const struct generator *g, const struct op *op)
{
	const uint64_t len = op->kind == OP_MMAP ? op->len : op->new_len;
	const uint64_t pages = (len + PAGE - 1) / PAGE;

	if (!pages || (pages % LEAF && !(pages > LEAF && is_of_disk(g, op))))
		return false;
	if (op->kind == OP_MMAP && op->flags & MAP_ANONYMOUS &&
	    op->flags & MAP_PRIVATE)
		return false;
	return (op->kind == OP_MMAP && !is_fixed(op)) ||
	       (op->kind == OP_MREMAP && !(op->flags & MREMAP_FIXED));
}

static void random_op(struct generator *g, struct op *op)
{
	memset(op, 0, sizeof(*op));
	do {
		op->kind = random_kind(g);
	} while (!is_wanted(g, op->kind));
	if (op->kind == OP_FORK) {
		g->depth++;
		op->how = PICK(g, 0, 0, FORK_LATE, FORK_KILL,
			       FORK_LATE | FORK_KILL);
	} else if (op->kind == OP_END) {
		g->depth--;
	} else if (op->kind != OP_JOIN) {
		random_arguments(g, op);
		if (op->kind != OP_TRUNCATE && op->kind != OP_FALLOCATE &&
		    op->kind != OP_RECLAIM)
			keep_inside(g, op);
	}
	if (below(g, 100) < g->odd)
		make_odd(g, op);
	if (unmaps_itself(op))
		op->len = PAGE;
	if (is_aligned(g, op)) {
		op->len = 500 * PAGE;
		op->new_len = op->len;
		keep_inside(g, op);
	}
	if (is_private_zero(op))
		op->fd = FILE_DATA;
}

static void random_scene(struct generator *g)
{
	struct scene *scene = g->scene;

	memset(scene, 0, sizeof(*scene));
	scene->pages = PICK(g, 64, 64, 64, 64, 1088, 1 + GiB / PAGE);
	scene->before = PICK(g, 0, 32, 511);
	scene->strict = !below(g, 4);
	scene->disk = !scene->strict && !below(g, 6);
	scene->alarms = !below(g, 8);
	scene->huge = !scene->strict && scene->pages > 64 && below(g, 2);
	if (!below(g, 8))
		scene->lockable = 1 + below(g, 40);
	if (!below(g, 6))
		scene->limits =
			1 + PICK(g, RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK);
	if (scene->lockable && below(g, 2))
		scene->limits = 1 + RLIMIT_MEMLOCK;
	scene->swap = !scene->strict && !below(g, 5);
	g->odd = PICK(g, 0, 5, 5, 50);
}

/* Memory at both ends of the zone, of one kind or another. */
static void first_mappings(struct generator *g, struct script *s)
{
	uint64_t page;

	for (page = 0; page < 64; page += 16) {
		struct op op = {
			.kind = OP_MMAP,
			.addr = page * PAGE,
			.len = 16 * PAGE,
			.prot = RW,
		};

		random_type(g, &op);
		op.flags |= MAP_FIXED;
		if (is_private_zero(&op))
			op.fd = FILE_DATA;
		s->ops[s->nr++] = op;
		op.addr += (g->scene->pages - 64) * PAGE;
		if (g->scene->pages > 64)
			s->ops[s->nr++] = op;
	}
}

static void last_looks(struct generator *g, struct script *s)
{
	const uint64_t pages = g->scene->pages;
	const struct op last[] = {
		{ .kind = OP_MINCORE, .len = 64 * PAGE },
		{ .kind = OP_AREAS, .how = 1 },
		{ .kind = OP_LOOK, .len = 64 * PAGE },
		{ .kind = OP_LOOK,
		  .addr = (pages - 64) * PAGE,
		  .len = 64 * PAGE },
		{ .kind = OP_AREAS },
	};
	size_t i;

	while (g->depth--)
		s->ops[s->nr++] = (struct op){ .kind = OP_END };
	for (i = 0; i < ARRAY_SIZE(last); i++)
		s->ops[s->nr++] = last[i];
	if (g->nodes)
		s->ops[s->nr++] =
			(struct op){ .kind = OP_NODES, .len = 64 * PAGE };
}

void script_generate(struct script *s, uint64_t seed)
{
	struct generator g = { .rng.state = seed, .scene = &s->scene };
	size_t nr;

	rng_next(&g.rng);
	random_scene(&g);
	g.interleave = !s->scene.strict || !below(&g, 2);
	g.nodes = s->scene.strict && below(&g, 3);
	nr = OPS_LEAST + below(&g, OPS_MORE);
	g.dense = below(&g, 4);
	s->nr = 0;
	if (g.dense)
		first_mappings(&g, s);
	for (; s->nr < nr; s->nr++)
		random_op(&g, &s->ops[s->nr]);
	last_looks(&g, s);
}
