/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_TREE_H
#define ALTVM_TREE_H

#include <linux/mm.h>

#include "space.h"

/* The index of its NUMA policy, 0 if it has none, see policy.c. */
#define ALTVM_ATTR_POLICY GENMASK(57, 48)

/*
 * What an area is: the VM_* flags of a Linux mapping, with their meaning there.
 * Two private anonymous neighbours with equal attributes are one area.
 */
#define ALTVM_ATTR_MASK                                                 \
	(VM_ACCESS_FLAGS | VM_NORESERVE | VM_HUGEPAGE | VM_NOHUGEPAGE | \
	 VM_DONTCOPY | VM_WIPEONFORK | VM_DONTDUMP | VM_RAND_READ |     \
	 VM_SEQ_READ | VM_LOCKED_MASK | VM_GROWSDOWN | VM_DROPPABLE |   \
	 ALTVM_ATTR_POLICY | VM_MERGEABLE)

/* Not an area: the range is being taken away or replaced, see tree.c. */
#define ALTVM_ATTR_BUSY BIT(61)

struct altvm_file_area;

/**
 * struct altvm_area - a copy of what the tree says about a range
 * @start: in bytes
 * @end: exclusive
 * @attr: VM_* flags, or ALTVM_ATTR_BUSY
 * @fa: of a file area; it stays while the space or the leaf is locked, or under
 *	RCU
 */
struct altvm_area {
	unsigned long start, end, attr;
	struct altvm_file_area *fa;
};

/**
 * altvm_for_each_area() - the areas and busy ranges that meet a range, upwards
 * @space: entered
 * @area: struct altvm_area *, the copy; not clipped to the range
 * @from: start of the range
 * @to: end of the range, exclusive
 *
 * Each step finds its place again, so the body may change the tree.
 */
#define altvm_for_each_area(space, area, from, to) \
	for (unsigned long __at = (from);          \
	     altvm_tree_next(space, __at, to, area); __at = (area)->end)

void altvm_tree_init(struct altvm_space *space);
int altvm_tree_guard(struct altvm_space *space);
void altvm_tree_destroy(struct altvm_space *space);
int altvm_tree_clone(struct altvm_space *to, struct altvm_space *from);

bool altvm_tree_load(struct altvm_space *space, unsigned long addr,
		     unsigned long *attr, struct altvm_file_area **fa);
bool altvm_tree_next(struct altvm_space *space, unsigned long start,
		     unsigned long end, struct altvm_area *area);
bool altvm_tree_is_same(struct altvm_space *space,
			const struct altvm_area *area, unsigned long start,
			unsigned long end);
bool altvm_tree_prev(struct altvm_space *space, unsigned long addr,
		     struct altvm_area *area);
int altvm_tree_gap(struct altvm_space *space, unsigned long size,
		   unsigned long low, unsigned long high, bool lowest,
		   unsigned long *addr);
int altvm_tree_store(struct altvm_space *space, unsigned long start,
		     unsigned long end, unsigned long attr, gfp_t gfp);
int altvm_tree_put(struct altvm_space *space, unsigned long start,
		   unsigned long end, struct altvm_file_area *fa, gfp_t gfp);
int altvm_tree_erase(struct altvm_space *space, unsigned long start,
		     unsigned long end, gfp_t gfp);

int altvm_tree_claim(struct altvm_space *space, unsigned long start,
		     unsigned long end, gfp_t gfp);
bool altvm_tree_is_busy(struct altvm_space *space, unsigned long start,
			unsigned long end);
void altvm_tree_release(struct altvm_space *space);
int altvm_tree_wait_locked(struct altvm_space *space, unsigned long start,
			   unsigned long end);
int altvm_tree_wait(struct altvm_space *space, unsigned long addr);

#ifdef CONFIG_ALTVM_DEBUG
void altvm_tree_validate(struct altvm_space *space);
#else
static inline void altvm_tree_validate(struct altvm_space *space)
{
}
#endif

/**
 * altvm_attr_is_data() - does RLIMIT_DATA count it?
 * @attr: an area's
 *
 * As is_data_mapping() in mm/: private and writable, and no stack.
 */
static inline bool altvm_attr_is_data(unsigned long attr)
{
	return (attr & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE;
}

/* The size of an area in pages. */
static inline unsigned long altvm_area_pages(const struct altvm_area *area)
{
	return (area->end - area->start) >> PAGE_SHIFT;
}

/* Cut the copy down to [start, end). */
static inline void altvm_area_clip(struct altvm_area *area, unsigned long start,
				   unsigned long end)
{
	area->start = max(area->start, start);
	area->end = min(area->end, end);
}

#endif /* ALTVM_TREE_H */
