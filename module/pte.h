/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_PTE_H
#define ALTVM_PTE_H

#include <linux/nodemask.h>

#include "space.h"
#include "store.h"

struct altvm_file_area;

void altvm_pte_init(struct altvm_space *space, struct file *file);

int altvm_pte_insert(struct altvm_space *space, struct altvm_leaf *leaf,
		     unsigned long addr, unsigned long attr);
int altvm_pte_insert_leaf(struct altvm_space *space, struct altvm_leaf *leaf,
			  unsigned long start, unsigned long end,
			  unsigned long attr);
int altvm_pte_insert_ahead(struct altvm_space *space, unsigned long start,
			   unsigned long end, unsigned long attr);
bool altvm_pte_young(struct altvm_space *space, unsigned long addr);
void altvm_pte_age(struct altvm_space *space, struct altvm_leaf *leaf,
		   unsigned long start, unsigned long end,
		   unsigned long *young);
void altvm_pte_settle(struct altvm_space *space, struct altvm_leaf *leaf,
		      unsigned long start, unsigned long end);
void altvm_pte_protect(struct altvm_space *space, struct altvm_leaf *leaf,
		       unsigned long start, unsigned long end,
		       unsigned long attr);
void altvm_pte_wrprotect(struct altvm_space *space, struct altvm_leaf *leaf,
			 unsigned long start, unsigned long end);
void altvm_pte_zap(struct altvm_space *space, unsigned long start,
		   unsigned long end);
void altvm_pte_zap_leaf(struct altvm_space *space, struct altvm_leaf *leaf,
			unsigned long start, unsigned long end);
bool altvm_pte_insert_huge(struct altvm_space *space, struct altvm_leaf *leaf,
			   unsigned long addr, unsigned long attr);
void altvm_pte_drop_huge(struct altvm_space *space, struct altvm_leaf *leaf,
			 unsigned long addr);
void altvm_pte_clear_huge(struct altvm_space *space, struct altvm_leaf *leaf,
			  unsigned long addr);
void altvm_pte_break(struct altvm_space *space, struct altvm_leaf *leaf,
		     unsigned long addr);
void altvm_pte_unpark(struct altvm_space *space, struct altvm_leaf *leaf,
		      unsigned long addr);
void altvm_pte_count_huge(struct altvm_space *space, struct altvm_leaf *leaf,
			  bool huge);
void altvm_pte_swap_tables(struct altvm_space *space, unsigned long a,
			   unsigned long b);
void altvm_pte_move(struct altvm_space *space, unsigned long new,
		    unsigned long old, unsigned long len, pte_t *ptes);
bool altvm_pte_has_entry(struct altvm_space *space, unsigned long addr);
int altvm_pte_populate(struct altvm_space *space, unsigned long addr);
void altvm_pte_mkdirty(struct altvm_space *space, unsigned long addr,
		       struct page *page);
bool altvm_pte_mkwrite(struct altvm_space *space, unsigned long addr,
		       struct page *page, bool marked);
int altvm_pte_insert_file(struct altvm_space *space, unsigned long addr,
			  struct page *page, unsigned long attr, bool write);
bool altvm_pte_insert_around(struct altvm_file_area *fa, struct vm_fault *vmf,
			     unsigned long addr, unsigned long start,
			     unsigned long end);
unsigned long altvm_pte_count_misplaced(struct altvm_space *space,
					struct altvm_leaf *leaf,
					unsigned long start, unsigned long end,
					const nodemask_t *nodes, bool shared);
void altvm_pte_flush(struct altvm_space *space);

#endif /* ALTVM_PTE_H */
