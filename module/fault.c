// SPDX-License-Identifier: GPL-2.0
/*
 * Faults on the window: find the area, check the access, get the page, map it.
 *
 *   tree        access             store       what happens
 *   ----------  -----------------  ----------  ---------------------------------
 *   nothing     any                            SIGSEGV, SEGV_MAPERR
 *   busy        any                            wait, then again
 *   PROT_NONE   any                            SIGSEGV, SEGV_ACCERR
 *   read-only   write                          SIGSEGV, SEGV_ACCERR
 *   area        read               empty       the zero page; if the page below
 *                                              has it too, some pages ahead
 *   area        write              empty       a new page
 *   area        write              zero page   zap it, then a new page
 *   area        read or write      a page      map that page, writable if the
 *                                              area is
 *   area        read               a page of   map that page, read-only
 *                                  others too
 *   area        write              a page of   a copy; if the others are gone,
 *                                  others too  that page
 *
 * An instruction fetch is a read here: on a page that is mapped without execute
 * rights the CPU faults again, and the kernel then raises SEGV_ACCERR by itself.
 *
 * The page is allocated and zeroed with no lock of ours held.  Then, with the
 * leaf locked, the tree is read: whoever changes it takes the leaf's lock
 * afterwards, so either we see the change, or he sees our PTE.
 *
 * The core holds mmap_lock or the window's VMA lock, and never finishes a fault
 * itself: all handlers return VM_FAULT_NOPAGE.  A fault can come from another
 * process (process_vm_readv, ptrace) and from the kernel (copy_to_user): no
 * signal then, the caller gets EFAULT.
 */
#include <linux/highmem.h>
#include <linux/sched/signal.h>

#include <asm/trap_pf.h>
#include <asm/trapnr.h>

#include "fault.h"
#include "pte.h"
#include "space.h"
#include "store.h"
#include "tree.h"

/* How many pages a read of untouched memory maps at most. */
#define ZERO_AHEAD_MAX 16

/**
 * struct fault - what is known about a fault
 * @space: where
 * @addr: page-aligned
 * @write: is it a write?
 * @present: is there a PTE, which does not let write?
 * @need: is a new page likely to be needed?
 * @copy: is it going to be copied to, so that it need not be zeroed?
 * @attr: of the area, as read from the tree
 * @page: a new zeroed page, ready to be stored; NULL if there is none yet
 */
struct fault {
	struct altvm_space *space;
	unsigned long addr;
	bool write, present, need, copy;
	unsigned long attr;
	struct page *page;
};

/**
 * altvm_fault_new_page() - a page for the store
 * @gfp: __GFP_ZERO or 0
 *
 * Charged to the current memcg.
 *
 * Return: NULL if there is no memory.
 */
struct page *altvm_fault_new_page(gfp_t gfp)
{
	return alloc_page(GFP_HIGHUSER | __GFP_ACCOUNT | gfp);
}

/*
 * Make sure that the store has what the access needs.  The leaf is locked.
 * Return: 0, -ENOMEM, or -EAGAIN if a page must be allocated first.
 */
static int fault_store(struct fault *f, struct altvm_leaf *leaf)
{
	struct page *page = altvm_leaf_page(leaf, f->addr);
	bool copy = page && !altvm_page_is_zero(page);

	if (page && !f->write)
		return 0;
	if (copy && altvm_store_own(f->space, leaf, f->addr))
		return 0;
	if (f->write && !f->page) {
		f->need = true;
		f->copy = copy;
		return -EAGAIN;
	}
	if (altvm_leaf_prepare(leaf))
		return -ENOMEM;
	if (!f->write) {
		altvm_leaf_set(leaf, f->addr, ZERO_PAGE(0));
		return 0;
	}

	/* First, so that no store through an old TLB entry is lost. */
	if (page || f->present)
		altvm_pte_zap(f->space, f->addr, f->addr + PAGE_SIZE);
	if (copy)
		copy_highpage(f->page, page);
	else if (f->copy)
		/* There was something to copy when it was allocated. */
		clear_highpage(f->page);
	altvm_store_adopt(f->space, leaf, f->addr, f->page);
	altvm_leaf_set(leaf, f->addr, f->page);
	f->page = NULL;
	return 0;
}

/*
 * A read got the zero page.  If it follows another such read, map the zero page
 * on some more pages: that costs no memory.  The leaf is locked.
 */
static void fault_ahead(struct fault *f, struct altvm_leaf *leaf)
{
	unsigned long start = f->addr + PAGE_SIZE, end = start;
	unsigned long limit = ALIGN(start, PMD_SIZE);
	struct altvm_area area;

	if (!(f->addr & ~PMD_MASK) ||
	    !altvm_page_is_zero(altvm_leaf_page(leaf, f->addr - PAGE_SIZE)) ||
	    !altvm_tree_next(f->space, f->addr, start, &area) ||
	    area.attr != f->attr)
		return;
	limit = min3(limit, area.end, f->addr + ZERO_AHEAD_MAX * PAGE_SIZE);
	while (end < limit && !altvm_leaf_page(leaf, end))
		end += PAGE_SIZE;
	if (start == end ||
	    altvm_pte_insert_ahead(f->space, start, end, f->attr))
		return;
	for (; start < end; start += PAGE_SIZE)
		altvm_leaf_set(leaf, start, ALTVM_ZERO_AHEAD);
}

/*
 * Map what the store has, or give the PTE that is there the area's rights.  The
 * leaf is locked.
 */
static int fault_map(struct fault *f, struct altvm_leaf *leaf)
{
	int ret = altvm_pte_insert(f->space, leaf, f->addr, f->attr);

	if (ret == -EBUSY) {
		altvm_pte_protect(f->space, leaf, f->addr, f->addr + PAGE_SIZE,
				  f->attr);
		ret = 0;
	}
	/* The page table may have gone at the wrong moment. */
	return ret == -EFAULT ? -EAGAIN : ret;
}

static bool fault_allowed(const struct fault *f)
{
	/* As access_error() in the kernel: on x86 any right implies reading. */
	return f->attr & (f->write ? VM_WRITE : VM_ACCESS_FLAGS);
}

/* What the tree says.  Return: 0, -EFAULT, -EACCES, or -EBUSY to wait. */
static int fault_check(struct fault *f)
{
	if (!altvm_tree_load(f->space, f->addr, &f->attr))
		return -EFAULT;
	if (unlikely(f->attr & ALTVM_ATTR_BUSY))
		return -EBUSY;
	return fault_allowed(f) ? 0 : -EACCES;
}

/* As fault_check(), or -ENOMEM, or -EAGAIN if something is missing. */
static int fault_try(struct fault *f)
{
	struct altvm_leaf *leaf = altvm_store_find(f->space, f->addr);
	bool first;
	int ret;

	if (unlikely(!leaf)) {
		/* Not for an address where nothing is mapped. */
		ret = fault_check(f);
		if (ret)
			return ret;
		leaf = altvm_store_get(f->space, f->addr);
		if (!leaf)
			return -ENOMEM;
	}
	if (f->need && !f->page) {
		f->page = altvm_fault_new_page(f->copy ? 0 : __GFP_ZERO);
		if (!f->page)
			return -ENOMEM;
	}

	mutex_lock(&leaf->lock);
	ret = fault_check(f);
	first = !f->write && !altvm_leaf_page(leaf, f->addr);
	if (!ret)
		ret = fault_store(f, leaf);
	if (!ret)
		ret = fault_map(f, leaf);
	if (!ret && first)
		fault_ahead(f, leaf);
	mutex_unlock(&leaf->lock);
	return ret;
}

/*
 * Return: 0 when the page is mapped, -EFAULT if nothing is mapped there,
 * -EACCES, -EINTR, -ENOMEM.
 */
static int fault_handle(struct fault *f)
{
	int ret;

	do {
		ret = fault_try(f);
		if (unlikely(ret == -EBUSY))
			ret = altvm_tree_wait(f->space, f->addr) ?: -EAGAIN;
	} while (ret == -EAGAIN);
	return ret;
}

/*
 * The access is denied.  Map what can be read there, as it would be natively.
 * Return: was there anything?
 */
static bool fault_restore(struct fault *f)
{
	struct altvm_leaf *leaf = altvm_store_find(f->space, f->addr);
	unsigned long attr;
	bool present;

	if (!leaf)
		return false;
	mutex_lock(&leaf->lock);
	present = altvm_leaf_page(leaf, f->addr) &&
		  altvm_tree_load(f->space, f->addr, &attr) &&
		  attr == f->attr && attr & VM_ACCESS_FLAGS;
	if (present)
		fault_map(f, leaf);
	mutex_unlock(&leaf->lock);
	return present;
}

/* Would the current thread not act on a SIGSEGV that is merely sent? */
static bool must_be_forced(void)
{
	struct sighand_struct *sighand = rcu_access_pointer(current->sighand);

	return sigismember(&current->blocked, SIGSEGV) ||
	       READ_ONCE(sighand->action[SIGSEGV - 1].sa.sa_handler) ==
		       SIG_IGN ||
	       current->signal->flags & SIGNAL_UNKILLABLE;
}

/*
 * Raise SIGSEGV as the kernel does for a denied access; VM_FAULT_SIGSEGV alone
 * would say SEGV_MAPERR.  force_sig_fault() is not exported, so where the signal
 * has to be forced on the process, it gets the kernel's.
 */
static vm_fault_t fault_deny(struct vm_fault *vmf, struct fault *f)
{
	struct kernel_siginfo info;
	bool present = fault_restore(f);

	if (!(vmf->flags & FAULT_FLAG_USER) || f->space->mm != current->mm ||
	    must_be_forced())
		return VM_FAULT_SIGSEGV;

	current->thread.cr2 = vmf->real_address;
	current->thread.trap_nr = X86_TRAP_PF;
	current->thread.error_code = X86_PF_USER;
	if (present)
		current->thread.error_code |= X86_PF_PROT;
	if (vmf->flags & FAULT_FLAG_WRITE)
		current->thread.error_code |= X86_PF_WRITE;
	if (vmf->flags & FAULT_FLAG_INSTRUCTION)
		current->thread.error_code |= X86_PF_INSTR;

	clear_siginfo(&info);
	info.si_signo = SIGSEGV;
	info.si_code = SEGV_ACCERR;
	info.si_addr = (void __user *)vmf->real_address;
	send_sig_info(SIGSEGV, &info, current);
	return VM_FAULT_NOPAGE;
}

/*
 * A denied write to a page that is mapped.  The core does not tell ->page_mkwrite
 * who is writing.  Without the PTE the access comes again, to ->fault.
 */
static vm_fault_t fault_again(struct fault *f)
{
	struct altvm_leaf *leaf = altvm_store_find(f->space, f->addr);

	if (leaf) {
		mutex_lock(&leaf->lock);
		altvm_pte_settle(f->space, leaf, f->addr, f->addr + PAGE_SIZE);
		altvm_pte_zap(f->space, f->addr, f->addr + PAGE_SIZE);
		mutex_unlock(&leaf->lock);
	}
	return VM_FAULT_NOPAGE;
}

static vm_fault_t fault(struct vm_fault *vmf)
{
	struct fault f = {
		.space = altvm_space_of(vmf->vma),
		.addr = vmf->address & PAGE_MASK,
		.write = vmf->flags & FAULT_FLAG_WRITE,
		.present = vmf->flags & FAULT_FLAG_MKWRITE,
		/* Other than the zero page, what is mapped is in the store. */
		.need = vmf->flags & FAULT_FLAG_WRITE && !vmf->page,
	};
	int ret;

	if (!f.space)
		return VM_FAULT_SIGBUS;
	ret = fault_handle(&f);
	if (f.page)
		put_page(f.page);

	switch (ret) {
	case 0:
		return VM_FAULT_NOPAGE;
	case -EFAULT:
		return VM_FAULT_SIGSEGV;
	case -EACCES:
		return f.present ? fault_again(&f) : fault_deny(vmf, &f);
	case -ENOMEM:
		return VM_FAULT_OOM;
	default:
		/* Killed: the signal that did it comes first. */
		return VM_FAULT_SIGBUS;
	}
}

/* Its presence lets the core call ->fault under the VMA's lock alone. */
static vm_fault_t altvm_vm_map_pages(struct vm_fault *vmf, pgoff_t start,
				     pgoff_t end)
{
	return 0;
}

static int altvm_vm_may_split(struct vm_area_struct *window, unsigned long addr)
{
	return -EINVAL;
}

static int altvm_vm_mremap(struct vm_area_struct *window)
{
	return -EINVAL;
}

static int altvm_vm_mprotect(struct vm_area_struct *window, unsigned long start,
			     unsigned long end, unsigned long flags)
{
	return -EACCES;
}

/* Copy part of one page; the leaf is locked and has the page. */
static void fault_copy(struct altvm_leaf *leaf, unsigned long addr, void *buf,
		       int len, bool write)
{
	struct page *page = altvm_leaf_page(leaf, addr);
	void *kaddr =
		kmap_local_page(altvm_page_is_zero(page) ? ZERO_PAGE(0) : page);

	if (write)
		memcpy(kaddr + offset_in_page(addr), buf, len);
	else
		memcpy(buf, kaddr + offset_in_page(addr), len);
	kunmap_local(kaddr);
}

/* Read or write one page whatever its protection, as a debugger does. */
static int fault_access(struct altvm_space *space, unsigned long addr,
			void *buf, int len, bool write)
{
	struct fault f = {
		.space = space,
		.addr = addr & PAGE_MASK,
		.write = write,
	};
	struct altvm_leaf *leaf;
	int ret;

	do {
		if (f.need && !f.page)
			f.page = altvm_fault_new_page(__GFP_ZERO);
		leaf = altvm_store_get(space, addr);
		ret = -ENOMEM;
		if (!leaf || (f.need && !f.page))
			break;

		mutex_lock(&leaf->lock);
		if (!altvm_tree_load(space, addr, &f.attr) ||
		    f.attr & ALTVM_ATTR_BUSY)
			ret = -EFAULT;
		else
			ret = fault_store(&f, leaf);
		if (!ret)
			fault_copy(leaf, addr, buf, len, write);
		mutex_unlock(&leaf->lock);
	} while (ret == -EAGAIN);
	if (f.page)
		put_page(f.page);
	return ret;
}

/* For access_process_vm(), after the area's protection has refused. */
static int altvm_vm_access(struct vm_area_struct *window, unsigned long addr,
			   void *buf, int len, int write)
{
	struct altvm_space *space = altvm_space_of(window);
	int done = 0;

	while (space && done < len) {
		int part = min_t(int, len - done,
				 PAGE_SIZE - offset_in_page(addr + done));

		if (fault_access(space, addr + done, buf + done, part, write))
			break;
		done += part;
	}
	return done ?: -EFAULT;
}

/* The window's operations; the embedded VMAs share them. */
const struct vm_operations_struct altvm_vm_ops = {
	.open = altvm_space_vm_open,
	.close = altvm_space_vm_close,
	.may_split = altvm_vm_may_split,
	.mremap = altvm_vm_mremap,
	.mprotect = altvm_vm_mprotect,
	.fault = fault,
	.map_pages = altvm_vm_map_pages,
	.page_mkwrite = fault,
	.pfn_mkwrite = fault,
	.access = altvm_vm_access,
};

/* How many pages populate allocates before it takes the leaf's lock. */
#define POPULATE_BATCH 64

/*
 * Populate [start, end), part of one leaf and no more than a batch.  A writable
 * area gets @pages; what is not used stays in the array.
 * Return: 0, -EAGAIN if the area has changed, -ENOMEM.
 */
static int populate_batch(struct altvm_space *space, unsigned long start,
			  unsigned long end, unsigned long attr,
			  struct page **pages)
{
	struct altvm_leaf *leaf = altvm_store_get(space, start);
	struct altvm_area area;
	int ret = 0;

	if (!leaf)
		return -ENOMEM;
	mutex_lock(&leaf->lock);
	if (!altvm_tree_next(space, start, end, &area) || area.start > start ||
	    area.end < end || area.attr != attr)
		ret = -EAGAIN;
	else if (altvm_leaf_prepare(leaf))
		ret = -ENOMEM;

	for (unsigned long addr = start; !ret && addr < end;
	     addr += PAGE_SIZE) {
		struct fault f = {
			.space = space,
			.addr = addr,
			.attr = attr,
			.write = attr & VM_WRITE,
			.page = *pages,
		};

		ret = fault_store(&f, leaf);
		*pages++ = f.page;
	}
	if (!ret)
		ret = altvm_pte_insert_leaf(space, leaf, start, end, attr);
	mutex_unlock(&leaf->lock);
	return ret == -EFAULT ? -EAGAIN : ret;
}

static int populate_alloc(struct page **pages, unsigned long nr)
{
	for (unsigned long i = 0; i < nr; i++) {
		pages[i] = altvm_fault_new_page(__GFP_ZERO);
		if (!pages[i])
			return -ENOMEM;
	}
	return 0;
}

/* Populate from *addr on as far as one batch goes. */
static int populate_some(struct altvm_space *space, unsigned long *addr,
			 unsigned long end)
{
	struct page *pages[POPULATE_BATCH] = {};
	struct altvm_area area;
	unsigned long nr;
	int ret;

	if (!altvm_tree_next(space, *addr, *addr + PAGE_SIZE, &area))
		return -ENOMEM;
	if (area.attr & ALTVM_ATTR_BUSY)
		return altvm_tree_wait(space, *addr);
	if (!(area.attr & VM_ACCESS_FLAGS))
		return -EFAULT;

	end = min3(end, area.end, ALIGN(*addr + 1, PMD_SIZE));
	nr = min_t(unsigned long, (end - *addr) >> PAGE_SHIFT, POPULATE_BATCH);
	end = *addr + (nr << PAGE_SHIFT);
	ret = area.attr & VM_WRITE ? populate_alloc(pages, nr) : 0;
	if (!ret)
		ret = populate_batch(space, *addr, end, area.attr, pages);
	for (unsigned long i = 0; i < nr; i++)
		if (pages[i])
			put_page(pages[i]);
	if (!ret)
		*addr = end;
	return ret == -EAGAIN ? 0 : ret;
}

/**
 * altvm_fault_populate() - fault a range in, as mm_populate() does
 * @space: entered
 * @start: page-aligned; moved to where the populating ended
 * @end: exclusive
 *
 * Writable areas get pages, others the zero page where they have none.
 *
 * Context: no lock held.
 * Return: 0; -EAGAIN if somebody waits for the calls in this space to leave it;
 * -ENOMEM for a hole or without memory; -EFAULT for PROT_NONE; -EINTR if killed.
 */
int altvm_fault_populate(struct altvm_space *space, unsigned long *start,
			 unsigned long end)
{
	while (*start < end) {
		int ret = populate_some(space, start, end);

		if (ret)
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (altvm_space_wanted(space))
			return -EAGAIN;
		cond_resched();
	}
	return 0;
}
