// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is broken: MADV_HWPOISON, as if the hardware had reported it, and
 * MADV_SOFT_OFFLINE, to take a page out of use before it breaks.
 *
 * The pages of files are memory_failure()'s, which finds our PTEs by rmap.  Of the
 * store's it knows nothing, so they are taken out of the store first:
 *  - HWPOISON: an entry says that the memory is broken, the PTE goes, and whoever
 *    accesses it gets SIGBUS;
 *  - SOFT_OFFLINE: its contents move to another page.
 * Then nobody has the page but us, and memory_failure() marks and counts it.  It
 * keeps our reference, so that the page is never used again.  What it writes into
 * the kernel's log is that it could not do anything for a page it does not know.
 *
 * A page that other processes have since a fork is broken for them too, but they hear
 * of it when they fault on it next: see altvm_fault_store().
 *
 * Locks: altvm_leaf.lock.  memory_failure() is called with the space left.
 */
#include <linux/capability.h>
#include <linux/highmem.h>
#include <linux/sched/signal.h>
#include <uapi/linux/mman.h>

#include "compat.h"
#include "fault.h"
#include "poison.h"
#include "pte.h"
#include "store.h"
#include "tree.h"

/* The page is broken.  The leaf is locked.  Return: 0 or -ENOMEM. */
static int break_page(struct altvm_space *space, struct altvm_leaf *leaf,
		      unsigned long addr)
{
	if (altvm_leaf_prepare(leaf))
		return -ENOMEM;
	/* First, for another space may own the page from now on. */
	altvm_pte_break(space, leaf, addr);
	altvm_pte_zap(space, addr, addr + PAGE_SIZE);
	altvm_leaf_set(leaf, addr, ALTVM_POISON);
	return 0;
}

/*
 * Put @new in the place of a page of which nobody else knows.  The leaf is locked.
 * Return: 0, and @new is the store's; -EBUSY, -ENOMEM.
 */
static int replace_page(struct altvm_space *space, struct altvm_leaf *leaf,
			unsigned long addr, struct page *new)
{
	struct page *old = altvm_leaf_page(leaf, addr);

	if (altvm_leaf_prepare(leaf))
		return -ENOMEM;
	if (!altvm_store_own(space, leaf, addr, 1))
		return -EBUSY;
	altvm_pte_break(space, leaf, addr);
	altvm_pte_zap(space, addr, addr + PAGE_SIZE);
	/* The store's and ours.  A device that has it could still write to it. */
	if (page_count(old) != 2)
		return -EBUSY;
	copy_highpage(new, old);
	altvm_store_adopt(space, leaf, addr, new);
	altvm_leaf_set(leaf, addr, new);
	return 0;
}

/*
 * If the page is the store's, take it out.
 * Return: 1 if it was and is out; 0 if it is of a file; -EAGAIN if another page is
 * there by now; -ENOMEM, -EBUSY.
 */
static int take_out(struct altvm_space *space, unsigned long addr,
		    struct page *page, struct page **new)
{
	struct altvm_leaf *leaf = altvm_store_find(space, addr);
	struct page *stored;
	int ret = 0;

	if (!leaf)
		return 0;
	mutex_lock(&leaf->lock);
	stored = altvm_leaf_page(leaf, addr);
	if (stored && stored != page) {
		ret = -EAGAIN;
	} else if (stored && *new) {
		ret = replace_page(space, leaf, addr, *new) ?: 1;
		if (ret == 1)
			*new = NULL;
	} else if (stored) {
		ret = break_page(space, leaf, addr) ?: 1;
	}
	mutex_unlock(&leaf->lock);
	return ret;
}

static int enter_take_out(struct altvm_ctx *ctx, unsigned long addr,
			  struct page *page, struct page **new)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	int ret;

	if (IS_ERR(space))
		return PTR_ERR(space);
	ret = take_out(space, addr, page, new);
	altvm_space_leave(space);
	return ret;
}

/* As kill_proc() in mm/: the process is told that it has lost something. */
static void tell(unsigned long addr)
{
	struct sighand_struct *sighand = rcu_access_pointer(current->sighand);

	if (sigismember(&current->blocked, SIGBUS) ||
	    READ_ONCE(sighand->action[SIGBUS - 1].sa.sa_handler) == SIG_IGN)
		force_sig(SIGBUS);
	else
		send_sig_mceerr(BUS_MCEERR_AR, (void __user *)addr, PAGE_SHIFT,
				current);
}

/* @page: referenced; the reference goes. */
static int hwpoison(struct altvm_ctx *ctx, unsigned long addr,
		    struct page *page)
{
	unsigned long pfn = page_to_pfn(page);
	struct page *none = NULL;
	int ret = enter_take_out(ctx, addr, page, &none);

	if (ret < 0) {
		put_page(page);
		return ret;
	}
	pr_info("altvm: injecting memory failure for pfn %#lx at process virtual address %#lx\n",
		pfn, addr);
	if (ret) {
		memory_failure(pfn, MF_COUNT_INCREASED | MF_SW_SIMULATED);
		tell(addr);
		return 0;
	}
	ret = memory_failure(pfn, MF_ACTION_REQUIRED | MF_COUNT_INCREASED |
					  MF_SW_SIMULATED);
	return ret == -EOPNOTSUPP ? 0 : ret;
}

/* @page: referenced; the reference goes. */
static int soft_offline(struct altvm_ctx *ctx, unsigned long addr,
			struct page *page)
{
	unsigned long pfn = page_to_pfn(page);
	struct page *new = altvm_fault_new_page(0);
	int ret = new ? enter_take_out(ctx, addr, page, &new) : -ENOMEM;

	if (new)
		put_page(new);
	if (ret <= 0) {
		put_page(page);
		/* What could do it for files is not exported. */
		return ret ?: -EOPNOTSUPP;
	}
	pr_info("altvm: soft offlining pfn %#lx at process virtual address %#lx\n",
		pfn, addr);
	memory_failure(pfn, MF_COUNT_INCREASED | MF_SW_SIMULATED);
	return 0;
}

/* As long as nobody has a reference, a page can be made an ordinary one. */
static void break_block(struct altvm_space *space, unsigned long addr)
{
	struct altvm_leaf *leaf = altvm_store_find(space, addr);

	if (!leaf)
		return;
	mutex_lock(&leaf->lock);
	altvm_pte_break(space, leaf, addr);
	mutex_unlock(&leaf->lock);
}

/* Is anything mapped in the window? */
static int check_mapped(struct altvm_ctx *ctx, unsigned long addr)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	struct altvm_area area;
	int ret = -EFAULT;

	if (IS_ERR(space))
		return PTR_ERR(space);
	if (addr >= space->start && addr < space->end &&
	    altvm_tree_next(space, addr, addr + PAGE_SIZE, &area)) {
		break_block(space, addr);
		ret = 0;
	}
	altvm_space_leave(space);
	return ret;
}

static int poison_one(struct altvm_ctx *ctx, unsigned long addr, int advice)
{
	struct page *page;
	int ret = check_mapped(ctx, addr);

	if (ret)
		return ret;
	ret = get_user_pages_fast(addr, 1, 0, &page);
	if (ret != 1)
		return ret ?: -EFAULT;
	if (is_zero_pfn(page_to_pfn(page))) {
		put_page(page);
		return -EBUSY;
	}
	return advice == MADV_HWPOISON ? hwpoison(ctx, addr, page) :
					 soft_offline(ctx, addr, page);
}

/**
 * altvm_poison_advised() - MADV_HWPOISON and MADV_SOFT_OFFLINE
 * @ctx: the file's
 * @start: page-aligned
 * @end: exclusive
 * @advice: which of them
 *
 * As madvise_inject_error() in mm/.
 *
 * Context: no space entered.
 * Return: 0; -EPERM; -EFAULT for a hole and where an access would fail; -EBUSY for the
 * zero page, and for what others use and so cannot be moved; -EOPNOTSUPP to move
 * the page of a file; the errno of memory_failure(); -ENOMEM, -EINTR, -ENXIO.
 */
int altvm_poison_advised(struct altvm_ctx *ctx, unsigned long start,
			 unsigned long end, int advice)
{
	int ret = 0;

	if (!ALTVM_MEMORY_FAILURE)
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	while (!ret && start < end) {
		ret = poison_one(ctx, start, advice);
		if (fatal_signal_pending(current))
			return -EINTR;
		if (ret == -EAGAIN)
			ret = 0;
		else
			start += PAGE_SIZE;
		cond_resched();
	}
	return ret;
}
