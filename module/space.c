// SPDX-License-Identifier: GPL-2.0
/*
 * Spaces: one window in one mm, from mmap(2) of /dev/altvm to its munmap.
 *
 *   struct file ── altvm_ctx ──┬── altvm_space ── mm A   (window in A)
 *                              └── altvm_space ── mm B   (A's child, by fork)
 *   mm A ── altvm_mm ──┬── altvm_space   (window of this file)
 *                      └── altvm_space   (window of another open file)
 *
 * The window is the VMA that the kernel sees.  It pins the file, and with it
 * the ctx.  The space lives exactly as long as the window: from ->mmap (or
 * ->open in a forked child) to ->close.  Whoever finds a space through its
 * ctx does so under RCU and enters it; from then on the space stays.
 *
 * Teardown.  The kernel frees the page tables below a VMA before it calls
 * ->close, so by then nothing may touch them.  The mmu_notifier says when:
 *  - munmap: at invalidate_range_start(MMU_NOTIFY_UNMAP) the space dies and the
 *    calls inside it are waited for; new calls get ENXIO.  Faults need no wait:
 *    whoever unmaps the window has write-locked it.
 *  - exit: there can be no call and no fault any more.
 * In ->close the PTEs are gone and the TLBs flushed, so that the store can let
 * go of its pages.  Rmap must not come to our file areas from the moment on that
 * the page tables may be freed, nor may it miss a PTE before:
 *  - munmap: they are unlinked at invalidate_range_end(MMU_NOTIFY_UNMAP);
 *  - exit: ->release zaps them and unlinks them, for it is told nothing later.
 *
 * A fork keeps calls away in the same way, but for a while only, so that it copies
 * what is the state at one moment.
 *
 * Calls are kept apart from teardown by a counter and not by a rwsem: a call
 * that zaps enters the notifier's lockdep map with the space entered, teardown
 * enters the space within that map.  There is no deadlock in it, for altvm's
 * callback ignores the events of zaps, but lockdep could not know that.
 *
 * Lock order (the whole module; Documentation/locking.rst says more):
 *
 *   mmap_lock, per-VMA lock of the window
 *     altvm_space entered (altvm_space_enter(); calls never take mmap_lock and
 *     never touch user memory from here on)
 *       altvm_space.lock
 *         altvm_leaf.lock
 *           the lock of a page of a file (tried only)
 *             page-table locks (inside the kernel's helpers)
 *         i_mmap_rwsem of a file
 *       altvm_space.flush_lock, xa_lock of altvm_space.leaves
 *     altvm_ctx.lock, altvm_mm.lock (innermost; nothing is taken below them)
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "fault.h"
#include "file.h"
#include "huge.h"
#include "merge.h"
#include "policy.h"
#include "pte.h"
#include "space.h"
#include "store.h"
#include "tree.h"

static struct kmem_cache *space_cache;

static unsigned long space_pages(const struct altvm_space *space)
{
	return (space->end - space->start) >> PAGE_SHIFT;
}

static struct altvm_mm *to_altvm_mm(struct mmu_notifier *mn)
{
	return container_of(mn, struct altvm_mm, mn);
}

/* No call is inside the space, and none will be, when this returns. */
static void space_kill(struct altvm_space *space)
{
	WRITE_ONCE(space->dead, true);
	/* Pairs with atomic_inc_return() in altvm_space_enter(). */
	smp_mb();
	wait_event(space->idle, !atomic_read(&space->users));
}

/*
 * Do something to all windows that a munmap takes away.  mmap_lock is held for
 * write: no window of this mm comes or goes.  A window cannot be split, so a range
 * that meets it covers it, unless this is a munmap that may_split is going to
 * refuse, in which case nothing was sent.
 */
static void mn_unmapped(struct mmu_notifier *mn,
			const struct mmu_notifier_range *range,
			void (*fn)(struct altvm_space *space))
{
	struct altvm_space *space;

	if (likely(range->event != MMU_NOTIFY_UNMAP))
		return;
	hlist_for_each_entry_rcu(space, &to_altvm_mm(mn)->spaces, in_mm, true)
		if (range->start <= space->start && space->end <= range->end)
			fn(space);
}

/* Callers may hold the i_mmap lock of a file, or leaves' locks of ours. */
static void mn_cleared(struct mmu_notifier *mn,
		       const struct mmu_notifier_range *range)
{
	struct altvm_space *space;

	if (range->event != MMU_NOTIFY_CLEAR)
		return;
	guard(rcu)();
	hlist_for_each_entry_rcu(space, &to_altvm_mm(mn)->spaces, in_mm)
		if (READ_ONCE(space->special) && range->start < space->end &&
		    space->start < range->end)
			altvm_file_note_cut(space, range->start, range->end);
}

static void space_unmap(struct altvm_space *space)
{
	space_kill(space);
	altvm_huge_unpark(space);
}

static int mn_invalidate_range_start(struct mmu_notifier *mn,
				     const struct mmu_notifier_range *range)
{
	mn_cleared(mn, range);
	mn_unmapped(mn, range, space_unmap);
	return 0;
}

static void mn_invalidate_range_end(struct mmu_notifier *mn,
				    const struct mmu_notifier_range *range)
{
	mn_unmapped(mn, range, altvm_file_unlink_all);
}

/* The mm exits: there is no call, no fault, and no munmap any more. */
static void mn_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct altvm_space *space;

	hlist_for_each_entry_rcu(space, &to_altvm_mm(mn)->spaces, in_mm, true) {
		space_kill(space);
		altvm_huge_unpark(space);
		if (!space->special)
			continue;
		altvm_pte_zap(space, space->start, space->end);
		altvm_file_unlink_all(space);
	}
}

static struct mmu_notifier *mn_alloc(struct mm_struct *mm)
{
	struct altvm_mm *amm = kzalloc(sizeof(*amm), GFP_KERNEL_ACCOUNT);

	if (!amm)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&amm->lock);
	INIT_HLIST_HEAD(&amm->spaces);
	return &amm->mn;
}

static void mn_free(struct mmu_notifier *mn)
{
	kfree(to_altvm_mm(mn));
}

static const struct mmu_notifier_ops altvm_mn_ops = {
	.invalidate_range_start = mn_invalidate_range_start,
	.invalidate_range_end = mn_invalidate_range_end,
	.release = mn_release,
	.alloc_notifier = mn_alloc,
	.free_notifier = mn_free,
};

/* Make the space known to its mm; mmap_lock is held for write. */
static int space_attach(struct altvm_space *space)
{
	struct mmu_notifier *mn;
	struct altvm_mm *amm;

	mn = mmu_notifier_get_locked(&altvm_mn_ops, space->mm);
	if (IS_ERR(mn))
		return PTR_ERR(mn);

	amm = to_altvm_mm(mn);
	atomic_long_add(space->nr_total, &amm->total);
	atomic_long_add(space->nr_data, &amm->data);
	atomic_long_add(space->nr_locked, &amm->locked);
	spin_lock(&amm->lock);
	hlist_add_head_rcu(&space->in_mm, &amm->spaces);
	spin_unlock(&amm->lock);
	altvm_file_link_all(space);
	if (!space->tgid && space->mm == current->mm)
		WRITE_ONCE(space->tgid, task_tgid_nr(current));
	/* Pairs with space_try_enter() and faults on files. */
	smp_store_release(&space->amm, amm);
	return 0;
}

static void space_detach(struct altvm_space *space)
{
	struct altvm_mm *amm = space->amm;

	spin_lock(&amm->lock);
	hlist_del_rcu(&space->in_mm);
	spin_unlock(&amm->lock);
	atomic_long_sub(space->nr_total, &amm->total);
	atomic_long_sub(space->nr_data, &amm->data);
	atomic_long_sub(space->nr_locked, &amm->locked);
	mmu_notifier_put(&amm->mn);
}

/* @shmem: of the space that this one is forked from, or NULL. */
static struct altvm_space *space_alloc(struct altvm_ctx *ctx,
				       struct vm_area_struct *window,
				       struct file *shmem)
{
	struct altvm_space *space;

	space = kmem_cache_zalloc(space_cache, GFP_KERNEL_ACCOUNT);
	if (!space)
		return NULL;

	space->mm = window->vm_mm;
	space->ctx = ctx;
	space->start = window->vm_start;
	space->end = window->vm_end;
	space->brk = space->start;
	space->prot = window->vm_flags & VM_ACCESS_FLAGS;
	/* A child's is not known yet. */
	space->tgid = shmem ? 0 : task_tgid_nr(current);
	space->uid = uid_eq(current_uid(), current_euid()) ? current_uid() :
							     INVALID_UID;
	init_waitqueue_head(&space->idle);
	mutex_init(&space->lock);
	mutex_init(&space->flush_lock);
	altvm_tree_init(space);
	altvm_policy_init(space);
	altvm_pte_init(space, window->vm_file);
	if (altvm_store_init(space, shmem)) {
		kmem_cache_free(space_cache, space);
		return NULL;
	}
	return space;
}

/*
 * Count the window's pages in mm->total_vm, or not any more: for RLIMIT_AS it is not
 * the window that counts, but what is mapped in it, see limits.c.
 *
 * The kernel adds them after ->mmap and subtracts them before ->close, or at least
 * with mmap_lock held all the time.  So what is less than nothing meanwhile is seen by
 * nobody but /proc.
 */
static void space_count(struct altvm_space *space, bool count)
{
	unsigned long pages = space_pages(space), *total = &space->mm->total_vm;

	if (space->uncounted == !count)
		return;
	space->uncounted = !count;
	WRITE_ONCE(*total, *total + (count ? pages : -pages));
}

/* Make the space findable. */
static void space_publish(struct altvm_space *space,
			  struct vm_area_struct *window)
{
	struct altvm_ctx *ctx = space->ctx;

	window->vm_private_data = space;
	spin_lock(&ctx->lock);
	hlist_add_head_rcu(&space->in_ctx, &ctx->spaces);
	spin_unlock(&ctx->lock);
}

static void space_free(struct altvm_space *space)
{
	altvm_store_destroy(space);
	altvm_file_drop_all(space);
	altvm_tree_destroy(space);
	altvm_policy_destroy(space);
	kmem_cache_free(space_cache, space);
}

static void space_free_rcu(struct rcu_head *rcu)
{
	kmem_cache_free(space_cache,
			container_of(rcu, struct altvm_space, rcu));
}

static struct altvm_space *space_find(struct altvm_ctx *ctx,
				      struct mm_struct *mm)
{
	struct altvm_space *space;

	hlist_for_each_entry_rcu(space, &ctx->spaces, in_ctx)
		if (space->mm == mm && !READ_ONCE(space->dead))
			return space;
	return NULL;
}

/**
 * altvm_space_exists() - does this process have a window with this file?
 * @ctx: the file's
 *
 * Context: mmap_lock of current->mm held for write, so that the answer stays.
 */
bool altvm_space_exists(struct altvm_ctx *ctx)
{
	bool exists;

	rcu_read_lock();
	exists = space_find(ctx, current->mm);
	rcu_read_unlock();
	return exists;
}

/**
 * altvm_space_mmap() - make a window
 * @ctx: the file's
 * @window: the VMA that is being made
 *
 * Context: mmap_lock held for write.
 * Return: 0; -EBUSY if this process has a window with this file already;
 * -ENOMEM.
 */
int altvm_space_mmap(struct altvm_ctx *ctx, struct vm_area_struct *window)
{
	struct altvm_space *space;
	int ret;

	if (altvm_space_exists(ctx))
		return -EBUSY;

	space = space_alloc(ctx, window, NULL);
	if (!space)
		return -ENOMEM;
	ret = altvm_tree_guard(space) ?: space_attach(space);
	if (ret) {
		space_free(space);
		return ret;
	}

	vm_flags_set(window, VM_MIXEDMAP | VM_DONTEXPAND | VM_NORESERVE |
				     VM_DONTDUMP | VM_WIPEONFORK | VM_HUGEPAGE);
	window->vm_ops = &altvm_vm_ops;
	space_publish(space, window);
	space_count(space, false);
	return 0;
}

/* No call is inside the space, and none enters, until space_thaw(). */
static void space_freeze(struct altvm_space *space)
{
	WRITE_ONCE(space->frozen, true);
	/* Pairs with atomic_inc_return() in altvm_space_enter(). */
	smp_mb();
	wait_event(space->idle, !atomic_read(&space->users));
}

static void space_thaw(struct altvm_space *space)
{
	WRITE_ONCE(space->frozen, false);
	wake_up_all(&space->ctx->busy);
}

/* Write-protect part of a leaf; shared memory stays as it is. */
static void leaf_wrprotect(struct altvm_space *space, struct altvm_leaf *leaf,
			   unsigned long start, unsigned long end)
{
	struct altvm_area area;

	if (!space->special) {
		altvm_pte_wrprotect(space, leaf, start, end);
		return;
	}
	altvm_for_each_area(space, &area, start, end) {
		altvm_area_clip(&area, start, end);
		if (!(area.attr & VM_SHARED))
			altvm_pte_wrprotect(space, leaf, area.start, area.end);
	}
}

/* Write-protect all that is mapped, and take stock of what was mapped ahead. */
static void space_wrprotect(struct altvm_space *space)
{
	struct altvm_leaf *leaf;
	unsigned long lo, hi;

	altvm_for_each_leaf(space, leaf, space->start, space->end, lo, hi) {
		mutex_lock(&leaf->lock);
		altvm_huge_divide(space, leaf, lo);
		if (leaf->ahead) {
			altvm_pte_settle(space, leaf, lo, hi);
			altvm_pte_zap(space, lo, hi);
			leaf->ahead = false;
		} else if (leaf->writable) {
			leaf_wrprotect(space, leaf, lo, hi);
		}
		leaf->writable = false;
		mutex_unlock(&leaf->lock);
		cond_resched();
	}
}

static void drop_leaves(struct altvm_space *space, unsigned long start,
			unsigned long end)
{
	struct altvm_leaf *leaf;
	unsigned long lo, hi;

	altvm_for_each_leaf(space, leaf, start, end, lo, hi) {
		mutex_lock(&leaf->lock);
		altvm_leaf_strip(leaf, lo, hi);
		mutex_unlock(&leaf->lock);
	}
}

/* Take away what MADV_DONTFORK and MADV_WIPEONFORK keep from a child. */
static void space_heed_advice(struct altvm_space *child)
{
	struct altvm_area area;

	mutex_lock(&child->lock);
	altvm_for_each_area(child, &area, child->start, child->end) {
		if (!(area.attr & (VM_DONTCOPY | VM_WIPEONFORK)))
			continue;
		drop_leaves(child, area.start, area.end);
		if (!(area.attr & VM_DONTCOPY))
			continue;
		altvm_tree_erase(child, area.start, area.end,
				 GFP_KERNEL | __GFP_NOFAIL);
		child->nr_total -= altvm_area_pages(&area);
		if (altvm_attr_is_data(area.attr))
			child->nr_data -= altvm_area_pages(&area);
		if (area.fa)
			altvm_file_put(area.fa);
	}
	altvm_tree_validate(child);
	mutex_unlock(&child->lock);
}

/* Memory locks are not inherited.  File areas have been copied without them. */
static void space_unlock_areas(struct altvm_space *child)
{
	struct altvm_area area;

	mutex_lock(&child->lock);
	altvm_for_each_area(child, &area, child->start, child->end)
		if (area.attr & VM_LOCKED)
			altvm_tree_store(child, area.start, area.end,
					 area.attr & ~VM_LOCKED_MASK,
					 GFP_KERNEL | __GFP_NOFAIL);
	child->nr_locked = 0;
	altvm_tree_validate(child);
	mutex_unlock(&child->lock);
}

/*
 * Make @child, which is new, a copy of @parent as fork does.  The parent's pages
 * that a device may be writing to are its own even afterwards; the seqcount
 * makes get_user_pages_fast() stay away meanwhile, as copy_page_range() does.
 */
static int space_clone(struct altvm_space *child, struct altvm_space *parent)
{
	struct mm_struct *mm = parent->mm;
	int ret;

	ret = altvm_tree_clone(child, parent) ?:
						altvm_policy_clone(child, parent);
	if (!ret && parent->special)
		ret = altvm_file_clone_all(child);
	if (ret)
		return ret;
	if (child->nr_locked)
		space_unlock_areas(child);
	child->brk = parent->brk;
	raw_write_seqcount_begin(&mm->write_protect_seq);
	space_wrprotect(parent);
	ret = altvm_store_clone(child, parent);
	if (!ret && (test_bit(MMF_HAS_PINNED, &mm->flags) || parent->undivided))
		ret = altvm_store_copy_pinned(child, parent);
	raw_write_seqcount_end(&mm->write_protect_seq);
	if (!ret && child->special)
		space_heed_advice(child);
	return ret;
}

/**
 * altvm_space_vm_open() - vm_ops->open: a fork copies the window
 * @window: the child's VMA
 *
 * dup_mmap() calls it.  VM_WIPEONFORK on the window keeps it from copying PTEs;
 * the child's come by its faults.  The parent's are write-protected here, and
 * dup_mmap() flushes the parent's TLBs when it is done, before the child runs.
 *
 * Fork cannot be failed from here: without memory the child's window has no
 * space, accesses to it raise SIGBUS and calls get ENXIO.  The notifier is left
 * to the child's first call, for the child's mm is half built.
 *
 * Context: mmap_lock of both mms held for write, all VMAs of the parent's
 * write-locked.
 */
void altvm_space_vm_open(struct vm_area_struct *window)
{
	struct altvm_space *parent = window->vm_private_data, *child;
	bool forked = parent && parent->mm != window->vm_mm;

	/* The user may have cleared it, and then PTEs would be copied. */
	vm_flags_set(window, VM_WIPEONFORK);
	window->vm_private_data = NULL;
	if (!parent)
		return;
	/* The child's count is a copy of the parent's.  A mremap() will add them. */
	if (forked)
		window->vm_mm->total_vm += vma_pages(window);
	child = space_alloc(parent->ctx, window, parent->shmem);
	if (!child)
		return;

	space_freeze(parent);
	if (space_clone(child, parent)) {
		space_free(child);
	} else {
		if (forked)
			space_count(child, false);
		if (parent->merge_id)
			altvm_merge_learn(child);
		space_publish(child, window);
	}
	space_thaw(parent);
}

/**
 * altvm_space_vm_close() - vm_ops->close: the window is gone
 * @window: the VMA
 *
 * Context: mmap_lock held for write, or exit.  The PTEs are gone and the TLBs
 * flushed.
 */
void altvm_space_vm_close(struct vm_area_struct *window)
{
	struct altvm_space *space = altvm_space_of(window);

	if (!space)
		return;

	space_kill(space);
	space_count(space, true);
	altvm_merge_forget(space);
	spin_lock(&space->ctx->lock);
	hlist_del_rcu(&space->in_ctx);
	spin_unlock(&space->ctx->lock);
	if (space->amm)
		space_detach(space);
	window->vm_private_data = NULL;

	altvm_huge_uncount(space);
	altvm_store_destroy(space);
	altvm_file_drop_all(space);
	altvm_tree_destroy(space);
	altvm_policy_destroy(space);
	call_rcu(&space->rcu, space_free_rcu);
}

/**
 * altvm_space_attach() - make a forked child's space known to its mm
 * @ctx: the file's
 * @mm: the child's, which is whole now
 *
 * At the child's first call, or its first access to a file.
 *
 * Context: takes mmap_lock of @mm for write.
 * Return: 0, -EINTR if killed, -ENXIO if there is no window, -ENOMEM.
 */
int altvm_space_attach(struct altvm_ctx *ctx, struct mm_struct *mm)
{
	struct altvm_space *space;
	int ret = 0;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	/* mmap_lock keeps the window, and so the space, in being. */
	rcu_read_lock();
	space = space_find(ctx, mm);
	rcu_read_unlock();
	if (!space)
		ret = -ENXIO;
	else if (!space->amm)
		ret = space_attach(space);
	mmap_write_unlock(mm);
	return ret;
}

/**
 * altvm_space_try_enter() - enter a space that somebody has found
 * @space: stays meanwhile
 *
 * Context: any; does not wait.
 * Return: 0; -ENODEV if it is a child's that is not known to its mm yet, -ENXIO if
 * its window goes, -EBUSY if it is frozen.
 */
int altvm_space_try_enter(struct altvm_space *space)
{
	int ret;

	/* Pairs with space_attach(). */
	if (unlikely(!smp_load_acquire(&space->amm)))
		return -ENODEV;

	/* A full barrier, as those of space_kill() and space_freeze(). */
	atomic_inc_return(&space->users);
	if (likely(!altvm_space_wanted(space)))
		return 0;
	ret = READ_ONCE(space->dead) ? -ENXIO : -EBUSY;
	altvm_space_leave(space);
	return ret;
}

/*
 * Try to enter the window in an mm.  Return: the space, or ERR_PTR: -ENXIO if
 * there is none, -ENODEV if it is a child's that is not known to its mm yet,
 * -EBUSY if it is frozen.
 */
static struct altvm_space *space_try_enter(struct altvm_ctx *ctx,
					   struct mm_struct *mm)
{
	struct altvm_space *space;
	int ret;

	guard(rcu)();
	space = space_find(ctx, mm);
	if (!space)
		return ERR_PTR(-ENXIO);
	ret = altvm_space_try_enter(space);
	return ret ? ERR_PTR(ret) : space;
}

static bool space_is_frozen(struct altvm_ctx *ctx, struct mm_struct *mm)
{
	struct altvm_space *space;

	guard(rcu)();
	space = space_find(ctx, mm);
	return space && READ_ONCE(space->frozen);
}

/**
 * altvm_space_enter_mm() - begin a call on a process's window
 * @ctx: the file's
 * @mm: the process's; the caller has a reference as a user
 *
 * Until altvm_space_leave(), the window and its page tables stay, and no fork
 * copies it.  Inside, no user memory may be touched and no mmap_lock taken:
 * whoever unmaps the window, or forks, holds mmap_lock and waits for the calls
 * inside.
 *
 * Context: process context.
 * Return: the space, or ERR_PTR: -ENXIO if the process has no window with this
 * file, -EINTR if killed, -ENOMEM.
 */
struct altvm_space *altvm_space_enter_mm(struct altvm_ctx *ctx,
					 struct mm_struct *mm)
{
	struct altvm_space *space;
	int ret = 0;

	do {
		space = space_try_enter(ctx, mm);
		if (!IS_ERR(space))
			return space;
		if (PTR_ERR(space) == -EBUSY)
			ret = wait_event_killable(ctx->busy,
						  !space_is_frozen(ctx, mm)) ?
				      -EINTR :
				      0;
		else if (PTR_ERR(space) == -ENODEV)
			ret = altvm_space_attach(ctx, mm);
		else
			ret = -ENXIO;
	} while (!ret);
	return ERR_PTR(ret);
}

/**
 * altvm_space_enter() - begin a call on this process's window
 * @ctx: the file's
 *
 * As altvm_space_enter_mm() for the caller's own mm.
 *
 * Return: as altvm_space_enter_mm().
 */
struct altvm_space *altvm_space_enter(struct altvm_ctx *ctx)
{
	return altvm_space_enter_mm(ctx, current->mm);
}

/**
 * altvm_space_leave() - end a call
 * @space: as returned by altvm_space_enter(); may be freed from now on
 */
void altvm_space_leave(struct altvm_space *space)
{
	/* Whoever frees it has seen @users at 0, and waits for RCU after that. */
	rcu_read_lock();
	if (atomic_dec_and_test(&space->users) &&
	    unlikely(altvm_space_wanted(space)))
		wake_up_all(&space->idle);
	rcu_read_unlock();
}

/**
 * altvm_ctx_create() - for an open of /dev/altvm
 *
 * Return: NULL if there is no memory.
 */
struct altvm_ctx *altvm_ctx_create(void)
{
	struct altvm_ctx *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);

	if (!ctx)
		return NULL;
	spin_lock_init(&ctx->lock);
	INIT_HLIST_HEAD(&ctx->spaces);
	init_waitqueue_head(&ctx->busy);
	return ctx;
}

/**
 * altvm_ctx_destroy() - for the last close of the file
 * @ctx: no window is left, since each pins the file
 */
void altvm_ctx_destroy(struct altvm_ctx *ctx)
{
	WARN_ON_ONCE(!hlist_empty(&ctx->spaces));
	kfree(ctx);
}

/** altvm_space_init() - when the module is loaded */
int __init altvm_space_init(void)
{
	space_cache = KMEM_CACHE(altvm_space, SLAB_HWCACHE_ALIGN);
	return space_cache ? 0 : -ENOMEM;
}

/** altvm_space_exit() - when the module goes: no file and no mm uses it */
void altvm_space_exit(void)
{
	mmu_notifier_synchronize();
	rcu_barrier();
	kmem_cache_destroy(space_cache);
}
