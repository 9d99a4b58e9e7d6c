/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_FILE_H
#define ALTVM_FILE_H

#include <linux/mm.h>
#include <linux/refcount.h>

#include "space.h"
#include "tree.h"

/* Stores must ask the file system first, by ->page_mkwrite. */
#define ALTVM_ATTR_NOTIFY BIT(60)

#define ALTVM_ATTR_MAY (VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)

/**
 * struct altvm_file_area - an area that a file is mapped in
 * @vma: what the file system and rmap see of it; vm_start and vm_pgoff are
 *	constant, vm_end changes under the lock of the file's i_mmap only
 * @mapping: of the file; under RCU it may be looked at without a reference
 * @attr: VM_* flags, those of VM_MAY* too, and ALTVM_ATTR_NOTIFY; constant
 * @vetted: the rights that the kernel has granted so far
 * @cut: the file has been cut off here, in pages, and what is stored of this area
 *	beyond is to be dropped; ULONG_MAX if there is nothing to do
 * @refs: the tree has one, a fault in progress has one
 * @linked: is @vma in the file's i_mmap?  Protected by the lock of that
 * @node: while the area is being taken away
 * @rcu: for freeing
 */
struct altvm_file_area {
	struct vm_area_struct vma;
	struct address_space *mapping;
	unsigned long attr, vetted;
	pgoff_t cut;
	refcount_t refs;
	bool linked;
	struct list_head node;
	struct rcu_head rcu;
};

/**
 * struct altvm_vetted - what the kernel would have mapped
 * @file: as it would be ->vm_file, referenced; NULL for private memory
 * @ops: as ->vm_ops
 * @flags: as ->vm_flags
 */
struct altvm_vetted {
	struct file *file;
	const struct vm_operations_struct *ops;
	unsigned long flags;
};

int altvm_file_vet(struct file *file, unsigned long prot, unsigned long flags,
		   u64 offset, struct altvm_vetted *vetted);
int altvm_file_revet(struct altvm_file_area *fa, unsigned long attr);
int altvm_file_vet_anon(unsigned long len, unsigned long prot,
			unsigned long flags, struct altvm_vetted *vetted);

struct altvm_file_area *altvm_file_create(struct altvm_vetted *vetted,
					  pgoff_t pgoff);
struct altvm_file_area *altvm_file_copy(struct altvm_space *space,
					const struct altvm_file_area *fa,
					unsigned long addr);
struct altvm_file_area *altvm_file_get_at(struct altvm_space *space,
					  unsigned long addr);
void altvm_file_put(struct altvm_file_area *fa);
void altvm_file_place(struct altvm_file_area *fa, struct altvm_space *space,
		      unsigned long start, unsigned long len);

void altvm_file_set_lock(struct altvm_file_area *fa, unsigned long lock);
void altvm_file_unlink(struct altvm_file_area *fa);
void altvm_file_drop(struct altvm_file_area *fa);
void altvm_file_collect(struct altvm_space *space, unsigned long start,
			unsigned long end, struct list_head *files);
void altvm_file_unlink_list(struct list_head *files);
void altvm_file_drop_list(struct list_head *files);

int altvm_file_split(struct altvm_space *space, unsigned long addr);
void altvm_file_merge(struct altvm_space *space, unsigned long addr);
int altvm_file_change(struct altvm_space *space, const struct altvm_area *area,
		      unsigned long attr);

int altvm_file_extend(struct altvm_space *space, struct altvm_file_area *fa,
		      unsigned long end);

void altvm_file_note_cut(struct altvm_space *space, unsigned long start,
			 unsigned long end);
void altvm_file_apply_cut(struct altvm_space *space,
			  struct altvm_file_area *fa);

int altvm_file_clone_all(struct altvm_space *child);
void altvm_file_link_all(struct altvm_space *space);
void altvm_file_unlink_all(struct altvm_space *space);
void altvm_file_drop_all(struct altvm_space *space);

/* The page of the file that is mapped at @addr. */
static inline pgoff_t altvm_file_pgoff(const struct altvm_file_area *fa,
				       unsigned long addr)
{
	return fa->vma.vm_pgoff + ((addr - fa->vma.vm_start) >> PAGE_SHIFT);
}

/* Is altvm_file_apply_cut() needed before @addr may be looked at?  Leaf locked. */
static inline bool altvm_file_is_cut(const struct altvm_file_area *fa,
				     unsigned long addr)
{
	return altvm_file_pgoff(fa, addr) >= READ_ONCE(fa->cut);
}

int altvm_file_module_init(void);
void altvm_file_module_exit(void);

#endif /* ALTVM_FILE_H */
