// SPDX-License-Identifier: GPL-2.0
/* What differs for a reason. */
#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/resource.h>

#include "filter.h"
#include "side.h"
#include "tests/user/nodes.h"

/*
 * Which mappings are one: natively it depends on their history, equal private
 * neighbours are always one area of altvm.  Both get only as much as natively is
 * one mapping.
 */
uint64_t filter_seam(const struct op *op, const char *base)
{
	const bool place = op->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	unsigned long addr = (uintptr_t)base + op->addr;
	unsigned long seam;

	if (op->absolute || addr % PAGE || (!place && op->len >= op->new_len))
		return 0;
	seam = side_seam(addr);
	return seam && op->len > seam - addr ? seam - addr : 0;
}

/*
 * Natively RLIMIT_DATA is looked at for each mapping, up to one that would be too
 * much; which are one depends on their history, see above.
 */
uint64_t filter_first(const struct side *side, const struct op *op)
{
	const unsigned long addr = (uintptr_t)side->vm.base + op->addr;
	unsigned long end;

	if (side->run->script.scene.limits != RLIMIT_DATA + 1 || op->absolute)
		return 0;
	end = side_area_end(addr);
	return end && op->len > end - addr ? end - addr : 0;
}

bool filter_hint(const struct side *side, const struct op *op)
{
	return side->run->system == PRELOAD && op->absolute;
}

bool filter_transfer(const struct side *side, const struct op *op)
{
	return side->run->system == PRELOAD && op->kind == OP_READV;
}

bool filter_limit(const struct side *side, const struct op *op)
{
	return side->run->system == PRELOAD && op->how == RLIMIT_AS;
}

bool filter_policy(const struct side *side, const struct op *op)
{
	const int mode = op->prot & 7;

	return side->run->system == PRELOAD &&
	       (mode == MPOL_INTERLEAVE || mode == WEIGHTED_INTERLEAVE);
}

void *filter_elsewhere(const struct side *side, void *p, size_t len)
{
	const unsigned long offset = (char *)p - side->vm.base;

	if (p == MAP_FAILED || offset < side->vm.len)
		return p;
	munmap(p, len);
	errno = ENOMEM;
	return MAP_FAILED;
}

static void unmap_inside(struct side *side, uint64_t addr, uint64_t len)
{
	if (addr < side->vm.len && len <= side->vm.len - addr)
		vm_munmap(&side->vm, side->vm.base + addr, len);
}

/*
 * Natively an mremap that fails may have unmapped already, at the new place and
 * the old; with altvm, what was at the new one is still there.
 */
void filter_failed_mremap(struct side *side, const struct op *op)
{
	int err = errno;

	if (op->flags & MREMAP_FIXED) {
		unmap_inside(side, op->to, op->new_len);
		if (!op->absolute)
			unmap_inside(side, op->addr, op->len);
	}
	errno = err;
}

/*
 * Natively a file system is asked when what was there is gone already; altvm asks
 * before.
 */
void filter_failed_mmap(struct side *side, const struct op *op)
{
	int err = errno;

	if (op->flags & MAP_SYNC && op->flags & MAP_FIXED && !op->absolute)
		unmap_inside(side, op->addr, op->len);
	errno = err;
}

/*
 * A window is linked to its files at a child's first access: what is cut off from a
 * file before, and then grows again, the child still has.
 */
void filter_child(struct side *side)
{
	unsigned char vec;

	vm_mincore(&side->vm, side->vm.base, PAGE, &vec);
}

void filter_outcome(const struct side *side, const struct op *op,
		    struct outcome *o)
{
	/* Whether what must not be accessed is mapped meanwhile is no promise. */
	o->error &= ~1;
	/* A page elsewhere before a hole: which is found first depends on seams. */
	if (op->kind == OP_MBIND && o->err == EIO)
		o->err = EFAULT;
	/* Natively the next node follows from all that was allocated before. */
	if (op->kind == OP_GET_MEMPOLICY && op->flags == MPOL_F_NODE)
		o->value = 0;
	/* Where the window is full, the kernel looks, has room, and finds mistakes. */
	if (op->kind == OP_MMAP && side->run->system == PRELOAD &&
	    !(op->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		o->err = 0;
	/*
	 * Nor is which pages of zeroes fork takes along, and which pages are mapped
	 * around one that is read.
	 */
	if (side->run->script.scene.strict)
		return;
	if (op->kind == OP_MINCORE) {
		o->value = 0;
		o->hash = 0;
	}
	/* What is on different pages can be collapsed or not. */
	if (op->kind == OP_MADVISE && op->how == MADV_COLLAPSE) {
		o->ret = 0;
		o->err = 0;
	}
	/*
	 * Whether there is a page where none may be read tells this call; and where
	 * a page of a file is follows from the thread's policy, not the window's.
	 */
	if (op->kind == OP_GET_MEMPOLICY &&
	    op->flags == (MPOL_F_NODE | MPOL_F_ADDR)) {
		o->ret = 0;
		o->err = 0;
		o->value = 0;
		o->hash = 0;
	}
}
