/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_GROW_H
#define ALTVM_GROW_H

#include "space.h"
#include "tree.h"

/* The kernel's stack_guard_gap, which is not exported, as it is by default. */
#define ALTVM_GROW_GAP (256 * PAGE_SIZE)

int altvm_grow(struct altvm_space *space, unsigned long addr);
bool altvm_grow_next(struct altvm_space *space, unsigned long start,
		     unsigned long end, struct altvm_area *area);

/**
 * altvm_grow_start() - where an area starts, with the gap that it is to keep
 * @area: the area
 *
 * As vm_start_gap() in mm/.
 */
static inline unsigned long altvm_grow_start(const struct altvm_area *area)
{
	if (!(area->attr & VM_GROWSDOWN))
		return area->start;
	return area->start - min(area->start, ALTVM_GROW_GAP);
}

#endif /* ALTVM_GROW_H */
