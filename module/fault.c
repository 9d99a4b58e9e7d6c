// SPDX-License-Identifier: GPL-2.0
/*
 * Faults on the window: find the area, check the access, get the page, map it.
 *
 * Private memory, and of a private mapping of a file what has been written to (the
 * rest of files is in filefault.c):
 *
 *   tree        access             store       what happens
 *   ----------  -----------------  ----------  ---------------------------------
 *   nothing     any                            SIGSEGV, SEGV_MAPERR; but if the
 *                                              area above grows down, it does
 *                                              (grow.c), then again
 *   busy        any                            wait, then again
 *   PROT_NONE   any                            SIGSEGV, SEGV_ACCERR
 *   read-only   write                          SIGSEGV, SEGV_ACCERR
 *   any         any                guard       SIGSEGV, SEGV_MAPERR
 *   any         any                poison      SIGBUS, BUS_MCEERR_AR
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
 * The page is allocated and zeroed, or provided by the file system, with no lock of
 * ours held.  Then, with the leaf locked, the tree is read: whoever changes it
 * takes the leaf's lock afterwards, so either we see the change, or he sees our
 * PTE.
 *
 * The core holds mmap_lock or the window's VMA lock, and never finishes a fault
 * itself: all handlers return VM_FAULT_NOPAGE.  A fault can come from another
 * process (process_vm_readv, ptrace) and from the kernel (copy_to_user): no
 * signal then, the caller gets EFAULT.
 */
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>

#include <asm/trap_pf.h>
#include <asm/trapnr.h>

#include "access.h"
#include "fault.h"
#include "filefault.h"
#include "grow.h"
#include "huge.h"
#include "pagecache.h"
#include "policy.h"
#include "pte.h"
#include "space.h"
#include "store.h"
#include "swap.h"
#include "tree.h"

/* How many pages a read of untouched memory maps at most. */
#define ZERO_AHEAD_MAX 16

/**
 * altvm_fault_new_page() - a page for the store, whatever the area's policy
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

/**
 * altvm_fault_alloc() - a page for the store
 * @f: the fault; its @page is set
 *
 * By the policy of the area, if the tree has been read.
 *
 * Return: false if there is no memory.
 */
bool altvm_fault_alloc(struct altvm_fault *f)
{
	f->policy = f->attr & ALTVM_ATTR_POLICY;
	f->page = altvm_policy_alloc(f->space, f->attr, f->fa, f->addr,
				     f->copy ? 0 : __GFP_ZERO);
	return f->page;
}

/**
 * altvm_fault_store() - make sure that the store has what the access needs
 * @f: the fault; may get @need
 * @leaf: locked
 *
 * Return: 0, -ENOMEM, or -EAGAIN if a page must be allocated first; -EFAULT for a
 * guard, -EHWPOISON if the memory is broken.
 */
int altvm_fault_store(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	struct page *page;
	bool copy;
	int ret;

	if (unlikely(altvm_page_is_slot(altvm_leaf_page(leaf, f->addr)))) {
		ret = altvm_swap_in(f, leaf);
		if (ret)
			return ret;
	}
	page = altvm_leaf_page(leaf, f->addr);
	if (unlikely(altvm_page_is_marker(page)))
		return page == ALTVM_GUARD ? -EFAULT : -EHWPOISON;
	copy = altvm_page_is_real(page);
	if (copy && unlikely(PageHWPoison(page)))
		return -EHWPOISON;
	if (page && !f->write)
		return 0;
	/* The core has a reference of what is mapped, and so have we. */
	if (copy && altvm_store_own(f->space, leaf, f->addr,
				    f->cached == page ? 2 : 0)) {
		/* Not all who write do so through the PTE. */
		if (unlikely(altvm_page_is_lazy(page)))
			ClearPageChecked(page);
		return 0;
	}
	if (f->write && !altvm_fault_has_page(f)) {
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
	f->present = false;
	if (copy)
		copy_highpage(f->page, page);
	else if (f->copy)
		/* There was something to copy when it was allocated. */
		clear_highpage(f->page);
	altvm_store_adopt(f->space, leaf, f->addr, f->page);
	leaf->lazy |= !!(f->attr & VM_DROPPABLE);
	altvm_leaf_set(leaf, f->addr, f->page);
	f->page = NULL;
	return 0;
}

/*
 * A read got the zero page.  If it follows another such read, map the zero page
 * on some more pages: that costs no memory.  The leaf is locked.
 */
static void fault_ahead(struct altvm_fault *f, struct altvm_leaf *leaf)
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

/**
 * altvm_fault_map() - map what the store has
 * @f: the fault
 * @leaf: locked; it has something
 *
 * The PTE that is there gets the area's rights.
 *
 * Return: 0, -ENOMEM, or -EAGAIN if the page table has gone at the wrong moment.
 */
int altvm_fault_map(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	int ret = f->present ?
			  -EBUSY :
			  altvm_pte_insert(f->space, leaf, f->addr, f->attr);

	if (ret == -EBUSY) {
		altvm_pte_protect(f->space, leaf, f->addr, f->addr + PAGE_SIZE,
				  f->attr);
		ret = 0;
	}
	/* The page table may have gone at the wrong moment. */
	return ret == -EFAULT ? -EAGAIN : ret;
}

static void fault_unload(struct altvm_fault *f)
{
	if (unlikely(f->fa))
		altvm_file_put(f->fa);
	f->fa = NULL;
}

/**
 * altvm_fault_load() - read the tree
 * @f: the fault; its @attr and @fa are set
 *
 * Return: false if nothing is mapped.
 */
bool altvm_fault_load(struct altvm_fault *f)
{
	bool mapped;

	fault_unload(f);
	rcu_read_lock();
	do
		mapped = altvm_tree_load(f->space, f->addr, &f->attr, &f->fa);
	while (mapped && f->fa && !refcount_inc_not_zero(&f->fa->refs));
	rcu_read_unlock();
	return mapped;
}

/* A fault on private memory.  The leaf is locked.  As altvm_fault_store(). */
static int fault_private(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	bool first = !f->write && !altvm_leaf_page(leaf, f->addr);
	int ret = altvm_fault_store(f, leaf) ?: altvm_fault_map(f, leaf);

	if (!ret && first)
		fault_ahead(f, leaf);
	if (!ret && unlikely(leaf->broken))
		altvm_huge_refill(f, leaf);
	return ret;
}

static bool fault_allowed(const struct altvm_fault *f)
{
	/* As access_error() in the kernel: on x86 any right implies reading. */
	return f->attr & (f->write ? VM_WRITE : VM_ACCESS_FLAGS);
}

/*
 * What the tree says.
 * Return: 0; -ENOENT if nothing is mapped; -EACCES; -EBUSY to wait; -EIO, and
 * @result says what.
 */
static int fault_check(struct altvm_fault *f)
{
	if (!altvm_fault_load(f))
		return -ENOENT;
	if (unlikely(f->attr & ALTVM_ATTR_BUSY))
		return -EBUSY;
	if (!fault_allowed(f))
		return -EACCES;
	if (!altvm_fault_is_reaped(f))
		return 0;
	f->result |= VM_FAULT_SIGBUS;
	return -EIO;
}

/* The leaf of the address; NULL if there is none yet. */
static struct altvm_leaf *fault_leaf(struct altvm_fault *f)
{
	if (!f->leaf)
		f->leaf = altvm_store_find(f->space, f->addr);
	return f->leaf;
}

/* As fault_check() and altvm_filefault_handle(). */
static int fault_try(struct altvm_fault *f)
{
	struct altvm_leaf *leaf = fault_leaf(f);
	int ret;

	if (unlikely(!leaf)) {
		/* Not for an address where nothing is mapped. */
		ret = fault_check(f);
		if (ret)
			return ret;
		leaf = altvm_store_get(f->space, f->addr);
		if (!leaf)
			return -ENOMEM;
		f->leaf = leaf;
	}
	if (f->need && !f->page && !altvm_fault_alloc(f))
		return -ENOMEM;

	mutex_lock(&leaf->lock);
	ret = fault_check(f);
	if (!ret)
		ret = f->fa ? altvm_filefault_handle(f, leaf) :
			      fault_private(f, leaf);
	mutex_unlock(&leaf->lock);
	return ret;
}

/*
 * May the core's lock be dropped to wait for a disk?  Who has the window locked holds up
 * a fork, and that everybody.  Not all callers of ->pfn_mkwrite know VM_FAULT_RETRY.
 */
static bool may_unlock(const struct altvm_fault *f)
{
	return f->vmf && !(f->vmf->flags & FAULT_FLAG_MKWRITE) &&
	       fault_flag_allow_retry_first(f->vmf->flags) &&
	       !(f->vmf->flags & FAULT_FLAG_RETRY_NOWAIT);
}

/**
 * altvm_fault_provide() - do what has been found to be missing
 * @f: the fault
 * @ret: of altvm_filefault_handle()
 *
 * Context: nothing is locked.
 * Return: -EAGAIN when it is done; @ret if that was something else; -EIO;
 * -EINPROGRESS if it is to be done without the core's lock.
 */
int altvm_fault_provide(struct altvm_fault *f, int ret)
{
	if (ret == -ESTALE) {
		altvm_file_apply_cut(f->space, f->fa);
		return -EAGAIN;
	}
	if (ret == -EAGAIN && f->locked) {
		f->locked = false;
		altvm_pagecache_wait(f->cached);
	}
	if (ret == -EAGAIN && altvm_swap_is_wanted(f))
		return may_unlock(f) && altvm_slot_waits(f->slot) ?
			       -EINPROGRESS :
			       altvm_swap_load(f);
	if (ret != -EAGAIN || !f->fetch)
		return ret;
	if (may_unlock(f) && altvm_pagecache_waits(f->from, f->addr))
		return -EINPROGRESS;
	return altvm_filefault_fetch(f);
}

/*
 * Nothing is mapped.  Does the area above grow down to here?  As natively, not for
 * other processes.
 * Return: -EAGAIN if it has; -EFAULT, -EINTR, -ENODEV.
 */
static int fault_grow(struct altvm_fault *f)
{
	struct altvm_space *space = f->space;
	struct altvm_area area;

	if (!altvm_tree_next(space, f->addr, space->end, &area) ||
	    !(area.attr & (VM_GROWSDOWN | ALTVM_ATTR_BUSY)) ||
	    space->mm != current->mm || f->vmf->flags & FAULT_FLAG_REMOTE)
		return -EFAULT;
	if (!altvm_filefault_is_attached(f))
		return -ENODEV;
	return altvm_grow(space, f->addr) ?: -EAGAIN;
}

/*
 * Return: 0 when the page is mapped; -EFAULT if nothing is mapped there, or a guard;
 * -EACCES, -EINTR, -ENOMEM, -EIO, -ENODEV, -EHWPOISON.
 */
static int fault_handle(struct altvm_fault *f)
{
	int ret;

	do {
		ret = f->fetch ? -EAGAIN : fault_try(f);
		if (unlikely(ret == -EBUSY))
			ret = altvm_tree_wait(f->space, f->addr) ?: -EAGAIN;
		else if (unlikely(ret == -ENOENT))
			ret = fault_grow(f);
		ret = altvm_fault_provide(f, ret);
		if (ret == -EAGAIN && f->ask)
			ret = altvm_filefault_ask_mark(f);
		if (ret == -EAGAIN && fatal_signal_pending(current))
			ret = -EINTR;
	} while (ret == -EAGAIN);
	return ret;
}

/**
 * altvm_fault_finish() - let go of what a fault has taken
 * @f: the fault
 *
 * Context: nothing is locked.
 */
void altvm_fault_finish(struct altvm_fault *f)
{
	if (f->page)
		put_page(f->page);
	altvm_filefault_forget(f);
	altvm_swap_forget(f);
	fault_unload(f);
	if (f->dirtied) {
		altvm_pagecache_dirtied(f->dirtied);
		altvm_file_put(f->dirtied);
	}
}

/*
 * The access is denied.  Map what can be read there, as it would be natively.
 * Return: was there anything?
 */
static bool fault_restore(struct altvm_fault *f)
{
	struct altvm_leaf *leaf = fault_leaf(f);
	bool present = false;
	struct page *page;

	if (!leaf)
		return false;
	mutex_lock(&leaf->lock);
	if (fault_check(f) == -EACCES && f->attr & VM_ACCESS_FLAGS) {
		page = altvm_leaf_page(leaf, f->addr);
		present = page && !altvm_page_is_marker(page) &&
			  !(f->fa && altvm_file_is_cut(f->fa, f->addr));
		if (present && altvm_huge_restore(f, leaf))
			;
		else if (present && f->fa)
			altvm_filefault_map(f, leaf);
		else if (present)
			altvm_fault_map(f, leaf);
		else if (f->fa && !page && altvm_filefault_is_attached(f))
			present = altvm_filefault_around(f, leaf);
	}
	mutex_unlock(&leaf->lock);
	fault_unload(f);
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
static vm_fault_t fault_deny(struct vm_fault *vmf, struct altvm_fault *f,
			     bool user)
{
	bool present = fault_restore(f) || vmf->flags & FAULT_FLAG_MKWRITE;
	struct kernel_siginfo info;

	if (!user || f->space->mm != current->mm || must_be_forced())
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
 * Is the current thread running its program, and not a system call?  It is while an
 * exception is handled, which has no number.
 */
static bool runs_its_program(void)
{
	return !(current->flags & (PF_KTHREAD | PF_USER_WORKER)) &&
	       task_pt_regs(current)->orig_ax == -1UL;
}

/*
 * A denied write to a page that is mapped.  The core does not tell ->page_mkwrite
 * who is writing.  Without the PTE the access comes again, to ->fault.
 *
 * But an instruction may read the page before it writes there, and other threads may
 * read it, and then it comes here again.  So note in the thread that it has been here:
 * what the kernel itself notes there of an access always has X86_PF_USER.
 */
static vm_fault_t fault_again(struct vm_fault *vmf, struct altvm_fault *f)
{
	struct altvm_leaf *leaf = fault_leaf(f);
	struct thread_struct *thread = &current->thread;

	if (thread->cr2 == vmf->real_address &&
	    thread->trap_nr == X86_TRAP_PF &&
	    thread->error_code == (X86_PF_PROT | X86_PF_WRITE))
		return fault_deny(vmf, f, runs_its_program());
	thread->cr2 = vmf->real_address;
	thread->trap_nr = X86_TRAP_PF;
	thread->error_code = X86_PF_PROT | X86_PF_WRITE;

	if (leaf) {
		mutex_lock(&leaf->lock);
		altvm_pte_settle(f->space, leaf, f->addr, f->addr + PAGE_SIZE);
		altvm_pte_zap(f->space, f->addr, f->addr + PAGE_SIZE);
		mutex_unlock(&leaf->lock);
	}
	return VM_FAULT_NOPAGE;
}

/*
 * A forked child's first access to a file: its mm has to get our notifier before,
 * and that needs mmap_lock for write.  So the core is to come again.
 */
static vm_fault_t fault_attach(struct vm_fault *vmf)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	struct file *file;

	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY) ||
	    vmf->flags & FAULT_FLAG_MKWRITE)
		return VM_FAULT_SIGBUS;
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	file = get_file(vmf->vma->vm_file);
	release_fault_lock(vmf);
	altvm_space_attach(file->private_data, mm);
	fput(file);
	return VM_FAULT_RETRY;
}

/* Have a page read from a disk with the core's lock dropped. */
static vm_fault_t fault_wait(struct vm_fault *vmf, struct altvm_fault *f)
{
	/* Keeps the module, too. */
	struct file *file = get_file(vmf->vma->vm_file);

	release_fault_lock(vmf);
	if (altvm_swap_is_wanted(f))
		altvm_swap_prefetch(f);
	else
		altvm_filefault_fetch(f);
	altvm_fault_finish(f);
	fput(file);
	/* An error comes again, and then with the lock. */
	return VM_FAULT_RETRY | (f->result & VM_FAULT_MAJOR);
}

/*
 * Has a forked child to be made known to its mm now?  Before that nothing of it can be
 * paged out, nor can what it shares be freed.  Without swap space it is of no use.
 */
static bool fault_must_attach(struct vm_fault *vmf, struct altvm_space *space)
{
	return !(vmf->flags & (FAULT_FLAG_MKWRITE | FAULT_FLAG_RETRY_NOWAIT)) &&
	       fault_flag_allow_retry_first(vmf->flags) &&
	       !READ_ONCE(space->amm) && altvm_slot_has_room(NULL);
}

/* Has a file area nothing stored, so that a page of the file is needed? */
static bool fault_may_fetch(struct altvm_fault *f)
{
	struct altvm_leaf *leaf = fault_leaf(f);

	if (!fault_allowed(f) || !altvm_filefault_is_attached(f) ||
	    altvm_file_is_cut(f->fa, f->addr))
		return false;
	if (!leaf)
		return true;
	guard(mutex)(&leaf->lock);
	return !altvm_leaf_page(leaf, f->addr);
}

/*
 * Where there may be files, a write does not always need a new page, but perhaps one of
 * the file; and there may be a policy for it.
 */
static void fault_guess(struct altvm_fault *f)
{
	if (!f->need ||
	    !(READ_ONCE(f->space->special) || altvm_policy_any(f->space)) ||
	    !altvm_fault_load(f))
		return;
	f->need = !(f->attr & VM_SHARED);
	f->copy = f->fa;
	if (f->fa && fault_may_fetch(f))
		altvm_filefault_want(f);
}

/*
 * There is a page table, so the core has not asked for a huge page: would it?  Whether
 * the system's policy allows them is known only from whether it does ask where there
 * is none.
 */
static bool fault_may_be_huge(struct vm_fault *vmf, struct altvm_space *space)
{
	if (pmd_none(READ_ONCE(*vmf->pmd))) {
		if (READ_ONCE(space->asker) != current)
			WRITE_ONCE(space->forbidden, true);
		return false;
	}
	return !(vmf->vma->vm_flags & VM_NOHUGEPAGE) &&
	       !altvm_huge_is_forbidden(space);
}

static vm_fault_t fault(struct vm_fault *vmf)
{
	struct altvm_fault f = {
		.space = altvm_space_of(vmf->vma),
		.addr = vmf->address & PAGE_MASK,
		.vmf = vmf,
		.write = vmf->flags & FAULT_FLAG_WRITE,
		.present = vmf->flags & FAULT_FLAG_MKWRITE,
		/* Other than the zero page, what is mapped is in the store. */
		.need = vmf->flags & FAULT_FLAG_WRITE && !vmf->page,
	};
	int ret;

	if (!f.space)
		return VM_FAULT_SIGBUS;
	if (unlikely(!READ_ONCE(f.space->amm)) &&
	    fault_must_attach(vmf, f.space))
		return fault_attach(vmf);
	if (unlikely(READ_ONCE(f.space->huge)) && f.write &&
	    fault_may_be_huge(vmf, f.space) && !altvm_huge_fault(&f))
		return VM_FAULT_NOPAGE;
	fault_guess(&f);
	if (f.present && vmf->page) {
		get_page(vmf->page);
		f.cached = vmf->page;
		f.mapped = true;
	}
	ret = fault_handle(&f);
	if (ret == -EINPROGRESS)
		return fault_wait(vmf, &f);
	altvm_fault_finish(&f);

	switch (ret) {
	case 0:
		return VM_FAULT_NOPAGE | (f.result & VM_FAULT_MAJOR);
	case -EIO:
		return f.result;
	case -ENODEV:
		return fault_attach(vmf);
	case -EFAULT:
		return VM_FAULT_SIGSEGV;
	case -EHWPOISON:
		return VM_FAULT_HWPOISON;
	case -EACCES:
		if (vmf->flags & FAULT_FLAG_MKWRITE)
			return fault_again(vmf, &f);
		return fault_deny(vmf, &f, vmf->flags & FAULT_FLAG_USER);
	case -ENOMEM:
		return VM_FAULT_OOM;
	default:
		/* Killed: the signal that did it comes first. */
		return VM_FAULT_SIGBUS;
	}
}

/*
 * No page table is there, or what is there is the entry of a block that cannot be
 * written to.
 */
static vm_fault_t huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct altvm_fault f = {
		.space = altvm_space_of(vmf->vma),
		.addr = vmf->address & PAGE_MASK,
		.vmf = vmf,
		.write = vmf->flags & FAULT_FLAG_WRITE,
	};
	int ret;

	if (order != HPAGE_PMD_ORDER || !f.space || !READ_ONCE(f.space->huge))
		return VM_FAULT_FALLBACK;
	WRITE_ONCE(f.space->forbidden, false);
	WRITE_ONCE(f.space->asker, current);
	ret = altvm_huge_fault(&f);
	if (ret == -EACCES)
		return fault_deny(vmf, &f, vmf->flags & FAULT_FLAG_USER);
	return ret ? VM_FAULT_FALLBACK : VM_FAULT_NOPAGE;
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

/* The window's operations. */
const struct vm_operations_struct altvm_vm_ops = {
	.open = altvm_space_vm_open,
	.close = altvm_space_vm_close,
	.may_split = altvm_vm_may_split,
	.mremap = altvm_vm_mremap,
	.mprotect = altvm_vm_mprotect,
	.fault = fault,
	.huge_fault = huge_fault,
	.map_pages = altvm_vm_map_pages,
	.page_mkwrite = fault,
	.pfn_mkwrite = fault,
	.access = altvm_access,
};
