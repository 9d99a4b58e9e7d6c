/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_FAULT_H
#define ALTVM_FAULT_H

#include <linux/mm.h>
#include <linux/sched/coredump.h>

#include "file.h"
#include "space.h"
#include "store.h"

/**
 * struct altvm_fault - what is known about a fault
 * @space: where
 * @addr: page-aligned
 * @vmf: the core's; NULL if it is no fault
 * @leaf: of @addr, once it has been found; it stays
 * @write: is it a write?
 * @present: is there a PTE, which does not let write?
 * @mapped: is it of @cached?
 * @need: is a new page likely to be needed?
 * @copy: is it going to be copied to, so that it need not be zeroed?
 * @fetch: is a page of @from needed?
 * @locked: has somebody else locked @cached?
 * @ask: is the file system to be asked for the right to store to @cached?
 * @asked: has it been?
 * @attr: of the area, as read from the tree
 * @fa: of the area, as read from the tree; referenced
 * @page: a new zeroed page, ready to be stored; NULL if there is none yet; see
 *	altvm_fault_has_page()
 * @policy: as in the attributes of the area that @page was allocated for
 * @cached: a page of a file; referenced
 * @from: the file area that @cached was, or is to be, fetched for; referenced
 * @dirtied: the file area that was stored to; referenced
 * @slot: what is paged out; referenced
 * @loaded: has @page what is in @slot?
 * @result: VM_FAULT_* that the file system has said
 */
struct altvm_fault {
	struct altvm_space *space;
	unsigned long addr;
	struct vm_fault *vmf;
	struct altvm_leaf *leaf;
	bool write, present, mapped, need, copy, fetch, locked, ask, asked;
	unsigned long attr;
	struct altvm_file_area *fa;
	struct page *page, *cached;
	unsigned long policy;
	struct altvm_file_area *from, *dirtied;
	struct altvm_slot *slot;
	bool loaded;
	vm_fault_t result;
};

struct page *altvm_fault_new_page(gfp_t gfp);
bool altvm_fault_alloc(struct altvm_fault *f);
bool altvm_fault_load(struct altvm_fault *f);
int altvm_fault_store(struct altvm_fault *f, struct altvm_leaf *leaf);
int altvm_fault_map(struct altvm_fault *f, struct altvm_leaf *leaf);
int altvm_fault_provide(struct altvm_fault *f, int ret);
void altvm_fault_finish(struct altvm_fault *f);

/**
 * altvm_fault_has_page() - has the page been allocated that is to be stored?
 * @f: the fault; the tree has been read with the leaf locked
 *
 * If the area has got another policy since, the page goes.
 */
static inline bool altvm_fault_has_page(struct altvm_fault *f)
{
	if (f->page && unlikely((f->attr ^ f->policy) & ALTVM_ATTR_POLICY)) {
		put_page(f->page);
		f->page = NULL;
		f->loaded = false;
	}
	return f->page;
}

/**
 * altvm_fault_is_reaped() - may private memory have been taken from a dying process?
 * @f: the fault, with @attr
 *
 * What comes in its place would be zeros, and the process may be writing its memory
 * to a file at this moment.  As check_stable_address_space() in mm/.
 *
 * Context: leaf locked.
 */
static inline bool altvm_fault_is_reaped(const struct altvm_fault *f)
{
	return unlikely(test_bit(MMF_UNSTABLE, &f->space->mm->flags)) &&
	       !(f->attr & VM_SHARED);
}

#endif /* ALTVM_FAULT_H */
