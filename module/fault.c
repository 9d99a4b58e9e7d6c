// SPDX-License-Identifier: GPL-2.0
/*
 * Faults on the window: find the area, check the access, get the page, map it.
 *
 * Private memory, and of a private mapping of a file what has been written to:
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
 * A file, where the store has nothing:
 *
 *   area        access   PTE        what happens
 *   ----------  -------  ---------  ----------------------------------------------
 *   any         read     none       map what is cached around; if that was not the
 *                                   page, have the file system provide it
 *   shared      write    none       have it provided, then as below
 *   shared      write    read-only  ask the file system, then make it writable
 *   private     write    none       have it provided, then as below
 *   private     write    read-only  store a copy
 *   beyond the end of the file      SIGBUS
 *
 * An instruction fetch is a read here: on a page that is mapped without execute
 * rights the CPU faults again, and the kernel then raises SEGV_ACCERR by itself.
 *
 * The page is allocated and zeroed, or provided by the file system, with no lock of
 * ours held.  Then, with the leaf locked, the tree is read: whoever changes it
 * takes the leaf's lock afterwards, so either we see the change, or he sees our
 * PTE.
 *
 * Nor is a lock of ours held while the file system is asked for the right to store
 * to a shared page, which may take as long as a file system is frozen.  The answer
 * is good until the page is written back.  So with the page locked the PTE, still
 * read-only, is marked dirty: writeback takes that mark away.  If it is there with
 * the leaf locked, the PTE becomes writable.
 *
 * The core holds mmap_lock or the window's VMA lock, and never finishes a fault
 * itself: all handlers return VM_FAULT_NOPAGE.  A fault can come from another
 * process (process_vm_readv, ptrace) and from the kernel (copy_to_user): no
 * signal then, the caller gets EFAULT.
 */
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include <asm/trap_pf.h>
#include <asm/trapnr.h>

#include "fault.h"
#include "pagecache.h"
#include "pte.h"
#include "space.h"
#include "store.h"
#include "tree.h"

/* How many pages a read of untouched memory maps at most. */
#define ZERO_AHEAD_MAX 16

/* The aligned piece of a file of which a read maps what is cached. */
#define AROUND_SIZE (16 * PAGE_SIZE)

/**
 * struct fault - what is known about a fault
 * @space: where
 * @addr: page-aligned
 * @vmf: the core's; NULL if it is no fault
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
 * @page: a new zeroed page, ready to be stored; NULL if there is none yet
 * @cached: a page of a file; referenced
 * @from: the file area that @cached was, or is to be, fetched for; referenced
 * @dirtied: the file area that was stored to; referenced
 * @result: VM_FAULT_* that the file system has said
 */
struct fault {
	struct altvm_space *space;
	unsigned long addr;
	struct vm_fault *vmf;
	bool write, present, mapped, need, copy, fetch, locked, ask, asked;
	unsigned long attr;
	struct altvm_file_area *fa;
	struct page *page, *cached;
	struct altvm_file_area *from, *dirtied;
	vm_fault_t result;
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
	/* The core has a reference of what is mapped, and so have we. */
	if (copy &&
	    altvm_store_own(f->space, leaf, f->addr, f->cached == page ? 2 : 0))
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
	f->present = false;
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

static void forget_cached(struct fault *f)
{
	if (f->cached)
		put_page(f->cached);
	if (f->from)
		altvm_file_put(f->from);
	f->cached = NULL;
	f->from = NULL;
	f->asked = false;
	f->mapped = false;
}

static void fault_unload(struct fault *f)
{
	if (unlikely(f->fa))
		altvm_file_put(f->fa);
	f->fa = NULL;
}

/* Read the tree.  Return: false if nothing is mapped. */
static bool fault_load(struct fault *f)
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

/* Have a page of the file fetched, and come again.  The leaf is locked. */
static int want_cached(struct fault *f)
{
	forget_cached(f);
	refcount_inc(&f->fa->refs);
	f->from = f->fa;
	f->fetch = true;
	return -EAGAIN;
}

/* Nothing is locked.  Return: -EAGAIN, or -EIO and f->result says what. */
static int fault_fetch(struct fault *f)
{
	unsigned int flags = f->vmf ? f->vmf->flags : 0;
	vm_fault_t ret;

	f->fetch = false;
	ret = altvm_pagecache_fetch(f->from, f->addr, flags, &f->cached);
	f->result |= ret & ~VM_FAULT_NOPAGE;
	return ret & VM_FAULT_ERROR ? -EIO : -EAGAIN;
}

/*
 * Map what is cached around a read, without hiding what is stored there.  The
 * leaf is locked.
 */
static bool fault_around(struct fault *f, struct altvm_leaf *leaf)
{
	unsigned long low = ALIGN_DOWN(f->addr, AROUND_SIZE);
	unsigned long high = min(low + AROUND_SIZE, f->fa->vma.vm_end);
	unsigned long start = f->addr, end = f->addr + PAGE_SIZE;

	low = max(low, f->fa->vma.vm_start);
	while (start > low && !altvm_leaf_page(leaf, start - PAGE_SIZE))
		start -= PAGE_SIZE;
	while (end < high && !altvm_leaf_page(leaf, end))
		end += PAGE_SIZE;
	return altvm_pte_insert_around(f->fa, f->vmf, f->addr, start, end);
}

/*
 * Lock the cached page.  Make sure of the page table before, since with a page locked
 * none may be allocated.  The leaf is locked.
 * Return: 0; -EAGAIN if it has to be waited for, or another one fetched; -ENOMEM.
 */
static int lock_cached(struct fault *f, struct altvm_leaf *leaf)
{
	int ret;

	if (!leaf->table && altvm_pte_populate(f->space, f->addr))
		return -ENOMEM;
	leaf->table = true;
	ret = altvm_pagecache_trylock(f->fa, f->addr, f->cached);
	if (!ret)
		return 0;
	if (ret != -EBUSY)
		return want_cached(f);
	f->locked = true;
	return -EAGAIN;
}

/* Map the cached page for reading.  The leaf is locked. */
static int fault_file_read(struct fault *f, struct altvm_leaf *leaf)
{
	bool write = f->attr & VM_SHARED && f->attr & VM_WRITE &&
		     !(f->attr & ALTVM_ATTR_NOTIFY);
	int ret = lock_cached(f, leaf);

	if (ret)
		return ret;
	ret = altvm_pte_insert_file(f->space, f->addr, f->cached, f->attr,
				    write);
	unlock_page(f->cached);
	return ret;
}

/* The cached page, which is locked, has been or is going to be stored to. */
static void fault_file_dirtied(struct fault *f)
{
	folio_mark_dirty(page_folio(f->cached));
	unlock_page(f->cached);
	if (f->dirtied)
		return;
	refcount_inc(&f->fa->refs);
	f->dirtied = f->fa;
}

/*
 * Ask the file system whether the cached page may be stored to.  Nothing is locked.
 * Return: 0, and the page is locked; -EAGAIN if it is another one by now; -EIO, and
 * f->result says what.
 */
static int fault_ask(struct fault *f)
{
	vm_fault_t result;

	f->ask = false;
	result = altvm_pagecache_mkwrite(f->from, f->addr, f->cached);
	if (result & VM_FAULT_LOCKED)
		return 0;
	f->result |= result & VM_FAULT_ERROR;
	forget_cached(f);
	return result & VM_FAULT_ERROR ? -EIO : -EAGAIN;
}

/* As fault_ask(); the answer goes into the PTE.  Return: -EAGAIN or -EIO. */
static int fault_ask_mark(struct fault *f)
{
	int ret = fault_ask(f);

	if (ret)
		return ret;
	/* Where something else is mapped by now, a mark would stay. */
	if (READ_ONCE(f->from->linked))
		altvm_pte_mkdirty(f->space, f->addr, f->cached);
	fault_file_dirtied(f);
	f->asked = true;
	return -EAGAIN;
}

/*
 * Let the cached page of a shared mapping be written, if the file system must be
 * asked for it.  The leaf is locked.
 */
static int fault_file_notify(struct fault *f, struct altvm_leaf *leaf)
{
	int ret;

	if (f->asked && altvm_pte_mkwrite(f->space, f->addr, f->cached, true))
		return 0;
	/* What is mapped is to be marked. */
	if (f->asked || !f->mapped) {
		ret = fault_file_read(f, leaf);
		if (ret && ret != -EBUSY)
			return ret;
	}
	f->asked = false;
	if (!f->from) {
		refcount_inc(&f->fa->refs);
		f->from = f->fa;
	}
	f->ask = true;
	return -EAGAIN;
}

/* The same if it need not.  The leaf is locked. */
static int fault_file_write(struct fault *f, struct altvm_leaf *leaf)
{
	int ret = lock_cached(f, leaf);

	if (ret)
		return ret;
	ret = altvm_pte_insert_file(f->space, f->addr, f->cached, f->attr,
				    true);
	if (ret == -EBUSY &&
	    altvm_pte_mkwrite(f->space, f->addr, f->cached, false))
		ret = 0;
	fault_file_dirtied(f);
	return ret;
}

/* Store a copy of the cached page of a private mapping.  The leaf is locked. */
static int fault_file_copy(struct fault *f, struct altvm_leaf *leaf)
{
	int ret;

	if (!f->page) {
		f->need = true;
		f->copy = true;
		return -EAGAIN;
	}
	if (altvm_leaf_prepare(leaf))
		return -ENOMEM;
	ret = lock_cached(f, leaf);
	if (ret)
		return ret;
	copy_highpage(f->page, f->cached);
	altvm_pte_zap(f->space, f->addr, f->addr + PAGE_SIZE);
	f->present = false;
	altvm_store_adopt(f->space, leaf, f->addr, f->page);
	altvm_leaf_set(leaf, f->addr, f->page);
	f->page = NULL;
	unlock_page(f->cached);
	return 0;
}

/*
 * The store has nothing of a file area.  The leaf is locked.
 * Return: 0, and the page is mapped, or it is stored now; -EAGAIN if a page must
 * be fetched or allocated first, -ENOMEM; -EIO, and f->result says what.
 */
static int fault_file_empty(struct fault *f, struct altvm_leaf *leaf)
{
	int ret;

	/* The area may have become another since. */
	if (f->from && f->from != f->fa)
		forget_cached(f);
	if (!f->cached)
		return !f->write && fault_around(f, leaf) ? 0 : want_cached(f);
	if (f->write && !(f->attr & VM_SHARED))
		return fault_file_copy(f, leaf);

	if (!f->write)
		ret = fault_file_read(f, leaf);
	else if (f->attr & ALTVM_ATTR_NOTIFY)
		ret = fault_file_notify(f, leaf);
	else
		ret = fault_file_write(f, leaf);
	/* Something else is there, as while it migrates.  The core knows. */
	return ret == -EBUSY ? 0 : ret;
}

/* Rmap may not know of a forked child's files yet. */
static bool fault_is_attached(const struct fault *f)
{
	/* Pairs with space_attach(). */
	return smp_load_acquire(&f->space->amm);
}

/*
 * Map what a file area has stored.  If the file is cut off meanwhile, its last zap may
 * have come before our PTE; but its note has come before its zap.  The leaf is locked.
 */
static int fault_map_stored(struct fault *f, struct altvm_leaf *leaf)
{
	int ret = fault_map(f, leaf);

	if (likely(ret || !altvm_file_is_cut(f->fa, f->addr)))
		return ret;
	altvm_pte_zap(f->space, f->addr, f->addr + PAGE_SIZE);
	f->present = false;
	return -ESTALE;
}

/*
 * A fault on a file area.  The leaf is locked.  As fault_file_empty(), or -ENODEV;
 * -ESTALE, and altvm_file_apply_cut() is needed.
 */
static int fault_file(struct fault *f, struct altvm_leaf *leaf)
{
	if (unlikely(!fault_is_attached(f)))
		return -ENODEV;
	if (unlikely(altvm_file_is_cut(f->fa, f->addr)))
		return -ESTALE;
	if (!altvm_leaf_page(leaf, f->addr)) {
		int ret = fault_file_empty(f, leaf);

		if (ret || !altvm_leaf_page(leaf, f->addr))
			return ret;
	}
	return fault_store(f, leaf) ?: fault_map_stored(f, leaf);
}

/* A fault on private memory.  The leaf is locked.  As fault_store(). */
static int fault_private(struct fault *f, struct altvm_leaf *leaf)
{
	bool first = !f->write && !altvm_leaf_page(leaf, f->addr);
	int ret = fault_store(f, leaf) ?: fault_map(f, leaf);

	if (!ret && first)
		fault_ahead(f, leaf);
	return ret;
}

static bool fault_allowed(const struct fault *f)
{
	/* As access_error() in the kernel: on x86 any right implies reading. */
	return f->attr & (f->write ? VM_WRITE : VM_ACCESS_FLAGS);
}

/* What the tree says.  Return: 0, -EFAULT, -EACCES, or -EBUSY to wait. */
static int fault_check(struct fault *f)
{
	if (!fault_load(f))
		return -EFAULT;
	if (unlikely(f->attr & ALTVM_ATTR_BUSY))
		return -EBUSY;
	return fault_allowed(f) ? 0 : -EACCES;
}

/* As fault_check() and fault_file(). */
static int fault_try(struct fault *f)
{
	struct altvm_leaf *leaf = altvm_store_find(f->space, f->addr);
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
	if (!ret)
		ret = f->fa ? fault_file(f, leaf) : fault_private(f, leaf);
	mutex_unlock(&leaf->lock);
	return ret;
}

/*
 * Do what fault_file() has found to be missing.  Nothing is locked.
 * Return: -EAGAIN when it is done, as before if that was something else; -EIO;
 * -EINPROGRESS if it is to be done without the core's lock.
 */
static int fault_provide(struct fault *f, int ret)
{
	if (ret == -ESTALE) {
		altvm_file_apply_cut(f->space, f->fa);
		return -EAGAIN;
	}
	if (ret == -EAGAIN && f->locked) {
		f->locked = false;
		altvm_pagecache_wait(f->cached);
	}
	if (ret != -EAGAIN || !f->fetch)
		return ret;
	/*
	 * Who has the window locked holds up a fork, and that everybody.  Not all
	 * callers of ->pfn_mkwrite know VM_FAULT_RETRY.
	 */
	if (f->vmf && !(f->vmf->flags & FAULT_FLAG_MKWRITE) &&
	    fault_flag_allow_retry_first(f->vmf->flags) &&
	    !(f->vmf->flags & FAULT_FLAG_RETRY_NOWAIT) &&
	    altvm_pagecache_waits(f->from, f->addr))
		return -EINPROGRESS;
	return fault_fetch(f);
}

/*
 * Return: 0 when the page is mapped; -EFAULT if nothing is mapped there; -EACCES,
 * -EINTR, -ENOMEM, -EIO, -ENODEV.
 */
static int fault_handle(struct fault *f)
{
	int ret;

	do {
		ret = fault_try(f);
		if (unlikely(ret == -EBUSY))
			ret = altvm_tree_wait(f->space, f->addr) ?: -EAGAIN;
		ret = fault_provide(f, ret);
		if (ret == -EAGAIN && f->ask)
			ret = fault_ask_mark(f);
		if (ret == -EAGAIN && fatal_signal_pending(current))
			ret = -EINTR;
	} while (ret == -EAGAIN);
	return ret;
}

/* Let go of what a fault has taken.  Nothing is locked. */
static void fault_finish(struct fault *f)
{
	if (f->page)
		put_page(f->page);
	forget_cached(f);
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
static bool fault_restore(struct fault *f)
{
	struct altvm_leaf *leaf = altvm_store_find(f->space, f->addr);
	bool present = false;

	if (!leaf)
		return false;
	mutex_lock(&leaf->lock);
	if (fault_check(f) == -EACCES && f->attr & VM_ACCESS_FLAGS) {
		present = altvm_leaf_page(leaf, f->addr) &&
			  !(f->fa && altvm_file_is_cut(f->fa, f->addr));
		if (present && f->fa)
			fault_map_stored(f, leaf);
		else if (present)
			fault_map(f, leaf);
		else if (f->fa && !altvm_leaf_page(leaf, f->addr) &&
			 fault_is_attached(f))
			present = fault_around(f, leaf);
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
static vm_fault_t fault_wait(struct vm_fault *vmf, struct fault *f)
{
	/* Keeps the module, too. */
	struct file *file = get_file(vmf->vma->vm_file);

	release_fault_lock(vmf);
	fault_fetch(f);
	fault_finish(f);
	fput(file);
	/* An error comes again, and then with the lock. */
	return VM_FAULT_RETRY | (f->result & VM_FAULT_MAJOR);
}

/* Where there may be files, a write does not always need a new page. */
static void fault_guess(struct fault *f)
{
	if (!f->need || !READ_ONCE(f->space->special) || !fault_load(f))
		return;
	f->need = !(f->attr & VM_SHARED);
	f->copy = f->fa;
}

static vm_fault_t fault(struct vm_fault *vmf)
{
	struct fault f = {
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
	fault_guess(&f);
	if (f.present && vmf->page) {
		get_page(vmf->page);
		f.cached = vmf->page;
		f.mapped = true;
	}
	ret = fault_handle(&f);
	if (ret == -EINPROGRESS)
		return fault_wait(vmf, &f);
	fault_finish(&f);

	switch (ret) {
	case 0:
		return VM_FAULT_NOPAGE | (f.result & VM_FAULT_MAJOR);
	case -EIO:
		return f.result;
	case -ENODEV:
		return fault_attach(vmf);
	case -EFAULT:
		return VM_FAULT_SIGSEGV;
	case -EACCES:
		return vmf->flags & FAULT_FLAG_MKWRITE ? fault_again(&f) :
							 fault_deny(vmf, &f);
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

/* Copy part of one page. */
static void access_copy(struct page *page, unsigned long addr, void *buf,
			int len, bool write)
{
	void *kaddr =
		kmap_local_page(altvm_page_is_zero(page) ? ZERO_PAGE(0) : page);

	if (write)
		memcpy(kaddr + offset_in_page(addr), buf, len);
	else
		memcpy(buf, kaddr + offset_in_page(addr), len);
	kunmap_local(kaddr);
}

/* As check_vma_flags() in mm/: only a copy may be written against its protection. */
static bool access_allowed(const struct fault *f)
{
	if (!f->write)
		return f->attr & VM_MAYREAD;
	return f->attr & (f->attr & VM_SHARED ? VM_WRITE : VM_MAYWRITE);
}

/*
 * The page to read or write, whatever its protection is.  The leaf is locked.
 * Return: 0, -EFAULT, or as fault_file().
 */
static int access_page(struct fault *f, struct altvm_leaf *leaf,
		       struct page **page)
{
	int ret;

	if (!fault_load(f) || f->attr & ALTVM_ATTR_BUSY)
		return -EFAULT;
	if (f->fa && altvm_file_is_cut(f->fa, f->addr))
		return -ESTALE;
	if (!f->fa || altvm_leaf_page(leaf, f->addr)) {
		ret = fault_store(f, leaf);
	} else {
		if (!access_allowed(f))
			return -EFAULT;
		if (!f->cached || f->from != f->fa)
			return want_cached(f);
		*page = f->cached;
		if (!f->write || f->attr & VM_SHARED)
			return 0;
		ret = fault_file_copy(f, leaf);
	}
	*page = altvm_leaf_page(leaf, f->addr);
	return ret;
}

/* Read or write, but what is shared is written later.  The leaf is locked. */
static int access_do(struct fault *f, struct altvm_leaf *leaf,
		     unsigned long addr, void *buf, int len)
{
	struct page *page;
	int ret = access_page(f, leaf, &page);

	if (ret)
		return ret;
	if (f->write && page == f->cached) {
		f->ask = true;
		return -EAGAIN;
	}
	access_copy(page, addr, buf, len, f->write);
	return 0;
}

/* Write to a page that is shared.  Nothing is locked. */
static int access_shared(struct fault *f, unsigned long addr, void *buf,
			 int len)
{
	int ret = fault_ask(f);

	if (ret)
		return ret;
	access_copy(f->cached, addr, buf, len, true);
	fault_file_dirtied(f);
	return 0;
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
		ret = access_do(&f, leaf, addr, buf, len);
		mutex_unlock(&leaf->lock);
		ret = fault_provide(&f, ret);
		if (ret == -EAGAIN && f.ask)
			ret = access_shared(&f, addr, buf, len);
	} while (ret == -EAGAIN && !fatal_signal_pending(current));
	fault_finish(&f);
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

/* The window's operations. */
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
	/* Files are populated through the core, see map.c. */
	if (!(area.attr & VM_ACCESS_FLAGS) || area.fa)
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
 * -ENOMEM for a hole or without memory; -EFAULT for PROT_NONE and for files; -EINTR
 * if killed.
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
