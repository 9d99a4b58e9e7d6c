/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_HUGE_H
#define ALTVM_HUGE_H

#include "fault.h"
#include "space.h"
#include "store.h"
#include "tree.h"

struct page *altvm_huge_alloc(struct altvm_space *space, unsigned long attr,
			      unsigned long addr);
bool altvm_huge_area(struct altvm_space *space, unsigned long addr,
		     struct altvm_area *area);
bool altvm_huge_is_forbidden(const struct altvm_space *space);
int altvm_huge_fault(struct altvm_fault *f);
bool altvm_huge_populate(struct altvm_space *space, unsigned long start,
			 unsigned long end, unsigned long attr);
bool altvm_huge_restore(struct altvm_fault *f, struct altvm_leaf *leaf);
void altvm_huge_refill(struct altvm_fault *f, struct altvm_leaf *leaf);
void altvm_huge_take(struct altvm_space *space, struct altvm_leaf *leaf,
		     unsigned long start, unsigned long end,
		     struct list_head *blocks);
void altvm_huge_free(struct list_head *blocks);
int altvm_huge_reserve(struct altvm_ctx *ctx, unsigned long len,
		       struct list_head *blocks);
void altvm_huge_fill(struct altvm_ctx *ctx, unsigned long addr,
		     struct list_head *blocks);
void altvm_huge_divide(struct altvm_space *space, struct altvm_leaf *leaf,
		       unsigned long addr);
void altvm_huge_unpark(struct altvm_space *space);
void altvm_huge_uncount(struct altvm_space *space);

#endif /* ALTVM_HUGE_H */
