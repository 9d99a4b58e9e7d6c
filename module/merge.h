/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_MERGE_H
#define ALTVM_MERGE_H

#include <linux/mm.h>
#include <linux/sched/coredump.h>

#include "space.h"
#include "tree.h"

void altvm_merge_learn(struct altvm_space *space);
void altvm_merge_forget(struct altvm_space *space);
int altvm_merge_break(struct altvm_space *space, struct altvm_area *area,
		      int advice);

/**
 * altvm_merge_attr() - VM_MERGEABLE, if all private memory of this process is to be so
 *
 * By prctl(PR_SET_MEMORY_MERGE), as ksm_add_vma() in mm/.  Return: or 0.
 */
static inline unsigned long altvm_merge_attr(void)
{
	return test_bit(MMF_VM_MERGE_ANY, &current->mm->flags) ? VM_MERGEABLE :
								 0;
}

int altvm_merge_init(void);
void altvm_merge_exit(void);

#endif /* ALTVM_MERGE_H */
