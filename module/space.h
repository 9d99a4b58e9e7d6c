/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_SPACE_H
#define ALTVM_SPACE_H

#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#define ALTVM_WINDOW_MAX (64ULL << 40)

/* One for each combination of VM_READ, VM_WRITE and VM_EXEC. */
#define ALTVM_NR_PROTS 8

/**
 * struct altvm_ctx - one open file of /dev/altvm
 * @lock: protects writers of @spaces
 * @spaces: the windows made with this file, one in each mm; read under RCU
 * @busy: waited on by whoever meets a busy range, see tree.c; it is here and
 *	not in the space because a file outlives all its spaces
 */
struct altvm_ctx {
	spinlock_t lock;
	struct hlist_head spaces;
	wait_queue_head_t busy;
};

/**
 * struct altvm_mm - what all windows in one mm share
 * @mn: hears when a window is unmapped and when the mm exits; it is refcounted
 *	by the kernel, one count for each space
 * @total: pages mapped in all windows of this mm, for RLIMIT_AS
 * @data: those of them that are private and writable, for RLIMIT_DATA
 * @locked: those of them that are locked, for RLIMIT_MEMLOCK
 * @lock: protects writers of @spaces
 * @spaces: the windows in this mm; read under RCU
 */
struct altvm_mm {
	struct mmu_notifier mn;
	atomic_long_t total;
	atomic_long_t data;
	atomic_long_t locked;
	spinlock_t lock;
	struct hlist_head spaces;
};

/**
 * struct altvm_space - one window in one mm
 * @mm: whose window; not counted: the space never outlives its VMA
 * @ctx: the file's; constant
 * @start: the window, in bytes; constant
 * @end: exclusive; constant
 * @prot: VM_READ, VM_WRITE, VM_EXEC that areas may have; constant
 * @tgid: the owner's process ID, for the listing; 0 in a forked child until its
 *	first call
 * @uid: of the owner, if it was not running as another user; constant
 * @vma: one for each protection, and two to zap with, to hand to the kernel's
 *	page-table helpers; constant, see pte.c
 * @special: an area may be of a file, or have advice for fork; once set it stays;
 *	written under @lock
 * @huge: an area may have blocks; once set it stays; written under @lock
 * @asker: who was last asked for a huge page by the core
 * @forbidden: it has not been asked when it should have been
 * @undivided: a block could not be divided, see store.c; once set it stays
 * @users: calls that are inside the space, see altvm_space_enter()
 * @dead: set once when the window goes; then nobody enters any more
 * @frozen: a fork is copying the space; whoever wants to enter waits
 * @idle: waited on until @users is 0
 * @uncounted: mm->total_vm does not have the window's pages; protected by mmap_lock
 * @lock: protects changes of @tree, @nr_total, @nr_data, @nr_locked,
 *	@nr_busy, @changes, @def_lock and @brk
 * @tree: the areas, see tree.c; read under RCU
 * @nr_total: pages mapped in this window
 * @nr_data: those that are private and writable
 * @nr_locked: those that are locked
 * @nr_busy: ranges that are busy
 * @changes: of @tree, so that one can tell that there were none
 * @def_lock: VM_LOCKED and VM_LOCKONFAULT as new areas get them
 * @brk: the end of the heap, in bytes
 * @leaves: the pages, see store.c
 * @nr_swapped: pages that are paged out, in all leaves
 * @paged_out: pages that ever were
 * @paged_in: pages that came back
 * @lazily_freed: pages that went because of MADV_FREE
 * @shmem: whose mapping the pages have, see store.c; constant
 * @policies: the NUMA policies of its areas by their index, and its own, see policy.c;
 *	changed under @lock, read under RCU
 * @policy: the index of its own; 0 if it has none; written under @lock
 * @merge_id: by which merge.c knows it, while it may have mergeable areas; written
 *	under @lock, or before anybody else can have it
 * @merge_passes: how often merge.c has looked at all of it
 * @merged: pages that are merged, as the last time found
 * @zeroed: pages that have become the zero page, in all
 * @flush_lock: one altvm_pte_flush() at a time; protects @flush_gen
 * @flush_gen: how many flushes have begun
 * @amm: shared by all windows in @mm; NULL in a forked child until its first
 *	call, then constant; written under mmap_lock
 * @in_ctx: on altvm_ctx.spaces
 * @in_mm: on altvm_mm.spaces
 * @rcu: for freeing
 */
struct altvm_space {
	struct mm_struct *mm;
	struct altvm_ctx *ctx;
	unsigned long start, end;
	unsigned long prot;
	pid_t tgid;
	kuid_t uid;
	struct vm_area_struct vma[ALTVM_NR_PROTS + 2];

	atomic_t users;
	bool dead, frozen, special, huge, forbidden, undivided;
	const void *asker;
	wait_queue_head_t idle;
	bool uncounted;

	struct mutex lock ____cacheline_aligned_in_smp;
	struct maple_tree tree;
	unsigned long nr_total, nr_data, nr_locked, nr_busy, changes;
	unsigned long def_lock, brk;

	struct xarray leaves;
	atomic_long_t nr_swapped, paged_out, paged_in, lazily_freed;
	struct file *shmem;
	struct xarray policies;
	unsigned int policy;
	unsigned long merge_id, merge_passes, merged, zeroed;
	struct mutex flush_lock;
	unsigned long flush_gen;
	struct altvm_mm *amm;
	struct hlist_node in_ctx, in_mm;
	struct rcu_head rcu;
};

extern const struct vm_operations_struct altvm_vm_ops;

int altvm_space_attach(struct altvm_ctx *ctx, struct mm_struct *mm);
int altvm_space_mmap(struct altvm_ctx *ctx, struct vm_area_struct *window);
bool altvm_space_exists(struct altvm_ctx *ctx);
struct altvm_space *altvm_space_enter(struct altvm_ctx *ctx);
int altvm_space_try_enter(struct altvm_space *space);
struct altvm_space *altvm_space_enter_mm(struct altvm_ctx *ctx,
					 struct mm_struct *mm);
void altvm_space_leave(struct altvm_space *space);

void altvm_space_vm_open(struct vm_area_struct *window);
void altvm_space_vm_close(struct vm_area_struct *window);

struct altvm_ctx *altvm_ctx_create(void);
void altvm_ctx_destroy(struct altvm_ctx *ctx);

int altvm_space_init(void);
void altvm_space_exit(void);

/**
 * altvm_space_of() - the space behind a window's VMA
 * @window: the VMA
 *
 * Context: mmap_lock or the VMA's lock held.
 * Return: NULL if there is none, as in a child whose space could not be made;
 * until fork has called ->open, a child's VMA still points to its parent's.
 */
static inline struct altvm_space *altvm_space_of(struct vm_area_struct *window)
{
	struct altvm_space *space = window->vm_private_data;

	return space && space->mm == window->vm_mm ? space : NULL;
}

/* Does a fork, or the window's end, wait for the calls in it?  @space: entered. */
static inline bool altvm_space_wanted(const struct altvm_space *space)
{
	return READ_ONCE(space->dead) || READ_ONCE(space->frozen);
}

#endif /* ALTVM_SPACE_H */
