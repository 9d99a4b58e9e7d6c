/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_SWAP_H
#define ALTVM_SWAP_H

#include "fault.h"
#include "space.h"
#include "store.h"
#include "tree.h"

int altvm_swap_in(struct altvm_fault *f, struct altvm_leaf *leaf);
bool altvm_swap_is_wanted(const struct altvm_fault *f);
int altvm_swap_load(struct altvm_fault *f);
void altvm_swap_prefetch(struct altvm_fault *f);
void altvm_swap_forget(struct altvm_fault *f);
int altvm_swap_bring(struct altvm_space *space, unsigned long addr);

unsigned long altvm_swap_reclaim(struct altvm_leaf *leaf, bool write,
				 struct altvm_slot_list *written);
int altvm_swap_area(struct altvm_space *space, struct altvm_area *area,
		    int advice);

#endif /* ALTVM_SWAP_H */
