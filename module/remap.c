// SPDX-License-Identifier: GPL-2.0
/*
 * mremap: areas that grow, shrink, and move.
 *
 * Moving.  Contents are never copied.  The old range and the new one are busy (see
 * tree.c), so no fault can validate in either, and each old leaf is locked in turn,
 * which waits for those that validated before.  Then
 *  - whole leaves exchange all that is stored in them, and their page tables: some
 *    hundred instructions for 2 MiB, whatever is resident;
 *  - of other leaves entries and PTEs are moved one by one;
 *  - one flush of the mm makes every CPU forget the old addresses.
 * For a few pages, and for files, whose PTEs must be where rmap looks for them, the
 * old range is zapped instead, and the new one left to faults or, of private memory,
 * mapped at once.
 *
 * An area of a file gets another object for the new place.  It is linked before the
 * old one is unlinked, so that rmap misses nothing.
 *
 * All that can fail is done before anything is changed, but that a range is busy may
 * have to be waited for, and what shrinks is unmapped first, as natively.
 *
 * Locks: altvm_space.lock for the tree; two leaves, the one with the lower address
 * first.
 */
#include <linux/mman.h>
#include <linux/slab.h>

#include "file.h"
#include "limits.h"
#include "map.h"
#include "populate.h"
#include "pte.h"
#include "remap.h"
#include "store.h"
#include "tree.h"

/* Up to so many pages it is cheaper to map anew than to flush everything. */
#define ANEW_MAX 16

/**
 * struct remap - what mremap is asked for
 * @old: in bytes, page-aligned
 * @old_len: how much is moved; 0 to have the same twice
 * @hint: where to, perhaps
 * @new: where to
 * @new_len: in bytes
 * @flags: MREMAP_* of mremap(2)
 * @area: what is at @old; not clipped
 * @copy: of a file: the area at the new place
 * @target: what is mapped at the new place, and goes
 * @taken: what has been taken away from there
 * @shrunk: what has been taken away from the old place
 * @ptes: room for those of a leaf
 */
struct remap {
	unsigned long old, old_len, hint, new, new_len;
	u32 flags;
	struct altvm_area area;
	struct altvm_file_area *copy;
	struct altvm_count target;
	struct altvm_taken taken, shrunk;
	pte_t *ptes;
};

static bool stays(const struct remap *r)
{
	return r->flags & MREMAP_DONTUNMAP || !r->old_len;
}

/* --- pages */

static void lock_leaves(struct altvm_leaf *a, struct altvm_leaf *b)
{
	mutex_lock(&a->lock);
	if (a != b)
		mutex_lock_nested(&b->lock, SINGLE_DEPTH_NESTING);
}

static void unlock_leaves(struct altvm_leaf *a, struct altvm_leaf *b)
{
	if (a != b)
		mutex_unlock(&b->lock);
	mutex_unlock(&a->lock);
}

/**
 * remap_for_each_part() - what lies in one leaf each, at both places
 * @space: entered
 * @r: struct remap *
 * @at: unsigned long, the offset
 * @len: unsigned long, in bytes
 *
 * What has no leaf at the old place is passed over.
 */
#define remap_for_each_part(space, r, at, len) \
	for ((at) = 0; ((len) = next_part(space, r, &(at))) != 0; (at) += (len))

static unsigned long next_part(struct altvm_space *space, const struct remap *r,
			       unsigned long *at)
{
	unsigned long old = r->old + *at, end = r->old + r->old_len, new;

	if (!altvm_store_next(space, &old, end))
		return 0;
	*at = old - r->old;
	new = r->new + *at;
	return min3(end - old, ALIGN(old + 1, PMD_SIZE) - old,
		    ALIGN(new + 1, PMD_SIZE) - new);
}

/*
 * Make sure that a leaf can get PTEs; or if it gets a @whole page table, that there is
 * where to enter that.  Return: 0 or -ENOMEM.
 */
static int prepare_leaf(struct altvm_space *space, unsigned long addr,
			bool whole)
{
	struct altvm_leaf *leaf = altvm_store_get(space, addr);
	int ret;

	if (!leaf)
		return -ENOMEM;
	mutex_lock(&leaf->lock);
	altvm_pte_break(space, leaf, addr);
	ret = leaf->table || (whole && altvm_pte_has_entry(space, addr)) ?
		      0 :
		      altvm_pte_populate(space, addr);
	leaf->table |= !ret && !whole;
	mutex_unlock(&leaf->lock);
	return ret;
}

/* Make sure that there is where to move to.  Return: 0 or -ENOMEM. */
static int prepare_pages(struct altvm_space *space, struct remap *r)
{
	unsigned long at, len;

	remap_for_each_part(space, r, at, len) {
		bool whole = !r->area.fa && len == PMD_SIZE;

		if (prepare_leaf(space, r->new + at, whole))
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

/*
 * Wait for faults that read the tree before.  Return: how many pages are stored in
 * the leaves.
 */
static unsigned long settle_pages(struct altvm_space *space,
				  const struct remap *r)
{
	unsigned long lo, hi, nr = 0;
	struct altvm_leaf *leaf;

	/* A fault makes the leaf, locks it, then reads the tree. */
	smp_mb();
	altvm_for_each_leaf(space, leaf, r->old, r->old + r->old_len, lo, hi) {
		mutex_lock(&leaf->lock);
		nr += leaf->nr;
		mutex_unlock(&leaf->lock);
	}
	return nr;
}

/* Take the PTEs of a part of the old place away.  Its leaves are not locked. */
static void zap_pages(struct altvm_space *space, unsigned long start,
		      unsigned long end)
{
	unsigned long lo, hi;
	struct altvm_leaf *leaf;

	altvm_for_each_leaf(space, leaf, start, end, lo, hi) {
		mutex_lock(&leaf->lock);
		altvm_pte_settle(space, leaf, lo, hi);
		if (leaf->block)
			altvm_pte_zap_leaf(space, leaf, lo, hi);
		mutex_unlock(&leaf->lock);
	}
	altvm_pte_zap(space, start, end);
}

/* Move what is in one leaf each.  @zapped: there are no PTEs.  Both are locked. */
static void move_part(struct altvm_space *space, struct remap *r,
		      struct altvm_leaf *to, struct altvm_leaf *from,
		      unsigned long at, unsigned long len, bool zapped)
{
	unsigned long old = r->old + at, new = r->new + at;

	if (len < PMD_SIZE)
		altvm_pte_break(space, from, old);
	altvm_leaf_move(space, to, new, from, old, len);
	if (!zapped && len == PMD_SIZE) {
		altvm_pte_swap_tables(space, old, new);
		swap(to->table, from->table);
	} else if (!zapped) {
		altvm_pte_move(space, new, old, len, r->ptes);
	} else if (!r->area.fa && r->area.attr & VM_ACCESS_FLAGS) {
		altvm_pte_insert_leaf(space, to, new, new + len, r->area.attr);
	}
}

/* The same, if there is anything.  Nothing is locked. */
static void lock_part(struct altvm_space *space, struct remap *r,
		      unsigned long at, unsigned long len, bool zapped)
{
	struct altvm_leaf *from = altvm_store_find(space, r->old + at);
	struct altvm_leaf *to = altvm_store_find(space, r->new + at);

	if (!from || !READ_ONCE(from->nr))
		return;
	if (!to) {
		/* A fault was faster than move_begin(). */
		to = altvm_store_make(space, r->new + at,
				      GFP_KERNEL | __GFP_NOFAIL);
		if (!zapped)
			zap_pages(space, r->old + at, r->old + at + len);
		zapped = true;
	}
	if (r->old < r->new)
		lock_leaves(from, to);
	else
		lock_leaves(to, from);
	move_part(space, r, to, from, at, len, zapped);
	if (r->old < r->new)
		unlock_leaves(from, to);
	else
		unlock_leaves(to, from);
}

/* Both ranges are busy, and at the new place there is nothing. */
static void move_pages(struct altvm_space *space, struct remap *r)
{
	unsigned long at, len, nr = settle_pages(space, r);
	bool zap = r->area.fa || nr <= ANEW_MAX ||
		   r->old_len <= ANEW_MAX * PAGE_SIZE;

	if (!nr && !r->area.fa)
		return;
	if (zap)
		zap_pages(space, r->old, r->old + r->old_len);
	remap_for_each_part(space, r, at, len) {
		lock_part(space, r, at, len, zap);
		cond_resched();
	}
	if (!zap)
		altvm_pte_flush(space);
}

/* --- areas */

/* What is at the old place? */
static int find_old(struct altvm_space *space, struct remap *r)
{
	if (!altvm_range_ok(space, r->old, PAGE_SIZE) ||
	    !altvm_tree_next(space, r->old, r->old + PAGE_SIZE, &r->area))
		return -EFAULT;
	return 0;
}

/* May what is new of it be locked?  What is at the new place will be gone. */
static bool may_be_locked(struct altvm_space *space, const struct remap *r)
{
	unsigned long more = (r->new_len - r->old_len) >> PAGE_SHIFT;

	if (!(r->area.attr & VM_LOCKED) || !more)
		return true;
	if (r->flags & MREMAP_FIXED &&
	    altvm_range_ok(space, r->hint, r->new_len))
		more -= altvm_map_count(space, r->hint, r->hint + r->new_len)
				.locked;
	return altvm_limits_may_lock(space, more);
}

/*
 * Is it what is to be moved?  As vma_to_resize() in mm/, but for limits of what is
 * mapped.
 */
static int check_old(struct altvm_space *space, const struct remap *r)
{
	if (!r->old_len && !(r->area.attr & VM_MAYSHARE))
		return -EINVAL;
	if (r->old_len > r->area.end - r->old)
		return -EFAULT;
	if (r->area.fa && r->new_len > r->old_len) {
		pgoff_t pgoff = altvm_file_pgoff(r->area.fa, r->old);

		if (pgoff + (r->new_len >> PAGE_SHIFT) < pgoff)
			return -EINVAL;
	}
	return may_be_locked(space, r) ? 0 : -ENOLCK;
}

/* What mremap_to() in mm/ checks of the new place. */
static int check_new(const struct remap *r)
{
	if (!(r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)))
		return 0;
	if (offset_in_page(r->hint) || r->new_len > TASK_SIZE ||
	    r->hint > TASK_SIZE - r->new_len)
		return -EINVAL;
	if (r->old + r->old_len > r->hint && r->hint + r->new_len > r->old)
		return -EINVAL;
	return 0;
}

/* How many pages more are locked, with MREMAP_DONTUNMAP too: see move_end_old(). */
static long more_locked(const struct remap *r)
{
	long more = (long)(r->new_len - r->old_len) >> PAGE_SHIFT;

	return (r->area.attr & VM_LOCKED ? more : 0) - (long)r->target.locked;
}

/* As vma_to_resize() in mm/: who is over a limit already may still move and shrink. */
static int charge(struct altvm_space *space, const struct remap *r, long pages)
{
	bool is_data = altvm_attr_is_data(r->area.attr);
	long total = pages - (long)r->target.total;
	long data = (is_data ? pages : 0) - (long)r->target.data;
	int ret = 0;

	if (pages > 0)
		ret = altvm_limits_charge(space, total, data, is_data);
	else
		altvm_limits_uncharge(space, -total, -data);
	if (!ret)
		altvm_limits_count_locked(space, more_locked(r));
	return ret;
}

static void uncharge(struct altvm_space *space, const struct remap *r,
		     long pages)
{
	bool data = altvm_attr_is_data(r->area.attr);

	altvm_limits_uncharge(space, pages - (long)r->target.total,
			      (data ? pages : 0) - (long)r->target.data);
	altvm_limits_count_locked(space, -more_locked(r));
}

/* How many pages more are mapped when it has been moved. */
static long growth(const struct remap *r)
{
	return (long)(r->new_len - (stays(r) ? 0 : r->old_len)) >> PAGE_SHIFT;
}

/* Let the area become larger where it is, if it can. Return: 1 if it cannot. */
static int grow(struct altvm_space *space, struct remap *r)
{
	unsigned long end = r->area.end, delta = r->new_len - r->old_len;
	int ret;

	if (r->old + r->old_len != end || !altvm_range_ok(space, end, delta) ||
	    !altvm_map_is_hole(space, end, end + delta))
		return 1;
	ret = charge(space, r, delta >> PAGE_SHIFT);
	if (ret)
		return ret;
	if (r->area.fa)
		ret = altvm_file_extend(space, r->area.fa, end + delta);
	else
		ret = altvm_tree_store(space, end, end + delta, r->area.attr,
				       GFP_KERNEL);
	if (ret)
		uncharge(space, r, delta >> PAGE_SHIFT);
	return ret;
}

/* Put the area at a place that is busy.  It cannot fail. */
static void store_area(struct altvm_space *space, unsigned long start,
		       unsigned long len, unsigned long attr,
		       struct altvm_file_area *fa)
{
	if (!fa) {
		altvm_tree_store(space, start, start + len, attr,
				 GFP_KERNEL | __GFP_NOFAIL);
		return;
	}
	if (!fa->linked)
		altvm_file_place(fa, space, start, len);
	altvm_tree_put(space, start, start + len, fa,
		       GFP_KERNEL | __GFP_NOFAIL);
	/* What was cut off while it was not in the tree. */
	altvm_file_note_cut(space, start, start + len);
	altvm_file_merge(space, start);
	altvm_file_merge(space, start + len);
}

/* Make both places busy.  Return: 0, or -ENOMEM and nothing has changed. */
static int claim(struct altvm_space *space, struct remap *r)
{
	unsigned long old_end = r->old + r->old_len;
	unsigned long new_end = r->new + r->new_len;
	int ret = 0;

	if (r->old_len)
		ret = altvm_tree_claim(space, r->old, old_end, GFP_KERNEL);
	if (ret)
		return ret;
	altvm_file_collect(space, r->new, new_end, &r->taken.files);
	ret = altvm_tree_claim(space, r->new, new_end, GFP_KERNEL);
	if (!ret)
		return 0;
	INIT_LIST_HEAD(&r->taken.files);
	if (r->old_len) {
		store_area(space, r->old, r->old_len, r->area.attr, r->area.fa);
		altvm_tree_release(space);
	}
	return ret;
}

/* Cut what is mapped at the edges of both places; then there is only one object. */
static int cut(struct altvm_space *space, struct remap *r)
{
	int ret = altvm_file_split(space, r->new) ?:
			  altvm_file_split(space, r->new + r->new_len);

	if (ret || !r->old_len)
		return ret;
	ret = altvm_file_split(space, r->old) ?:
		      altvm_file_split(space, r->old + r->old_len);
	if (!ret)
		altvm_tree_next(space, r->old, r->old + 1, &r->area);
	return ret;
}

/* All that can fail.  Return: 0 and both places are busy. */
static int move_begin(struct altvm_space *space, struct remap *r)
{
	int ret;

	ret = cut(space, r) ?: prepare_pages(space, r);
	if (ret)
		return ret;
	if (r->area.fa) {
		r->copy = altvm_file_copy(space, r->area.fa, r->old);
		if (!r->copy)
			return -ENOMEM;
	}
	return claim(space, r);
}

/*
 * The old place stays, empty, and as natively it is not locked any more.  If there is no
 * memory to say so of a file, it is, and counts.
 */
static void restore_old(struct altvm_space *space, struct remap *r)
{
	unsigned long attr = r->area.attr & ~VM_LOCKED_MASK;
	struct altvm_area old = { .start = r->old, .end = r->old + r->old_len };

	store_area(space, r->old, r->old_len, r->area.fa ? r->area.attr : attr,
		   r->area.fa);
	if (r->area.fa && attr != r->area.attr &&
	    altvm_file_change(space, &old, attr))
		altvm_limits_count_locked(space, altvm_area_pages(&old));
}

/* The old place becomes a hole, or empty. */
static void move_end_old(struct altvm_space *space, struct remap *r)
{
	unsigned long end = r->old + r->old_len;

	if (!r->old_len)
		return;
	if (stays(r))
		restore_old(space, r);
	else
		altvm_tree_erase(space, r->old, end, GFP_KERNEL | __GFP_NOFAIL);
	altvm_tree_release(space);
}

/* Both places are good.  The space is locked, but not all the time. */
static int move_locked(struct altvm_space *space, struct remap *r)
{
	int ret = move_begin(space, r);

	if (ret)
		return ret;
	mutex_unlock(&space->lock);
	if (r->target.total)
		altvm_map_take(space, r->new, r->new + r->new_len, &r->taken);
	if (r->old_len)
		move_pages(space, r);
	if (r->area.fa && !stays(r)) {
		altvm_file_unlink(r->area.fa);
		list_add(&r->area.fa->node, &r->taken.files);
	}
	mutex_lock(&space->lock);
	store_area(space, r->new, r->new_len, r->area.attr, r->copy);
	r->copy = NULL;
	altvm_tree_release(space);
	move_end_old(space, r);
	return 0;
}

/*
 * Choose the new place.  The space is locked, but not all the time.
 * Return: 0; -EAGAIN if something has changed meanwhile; -ENOMEM, -EINTR.
 */
static int find_place(struct altvm_space *space, struct remap *r)
{
	bool align = !r->area.fa && !r->hint &&
		     IS_ALIGNED(r->new_len, PMD_SIZE);
	unsigned long changes = space->changes;
	int ret;

	r->new = r->hint;
	if (r->flags & MREMAP_FIXED) {
		if (!altvm_range_ok(space, r->new, r->new_len))
			return -ENOMEM;
		r->target = altvm_map_count(space, r->new, r->new + r->new_len);
		return 0;
	}
	ret = altvm_map_find(space, &r->new, r->new_len, align, false);
	return ret ?: (space->changes == changes ? 0 : -EAGAIN);
}

/* Return: 1 when it has been moved; as find_place(). */
static int move(struct altvm_space *space, struct remap *r)
{
	int ret;

	ret = find_place(space, r) ?: charge(space, r, growth(r));
	if (ret)
		return ret;
	ret = move_locked(space, r);
	if (ret)
		uncharge(space, r, growth(r));
	return ret ?: 1;
}

/* Wait until nothing in a range, as far as it is in the window, is busy. */
static int wait_locked(struct altvm_space *space, unsigned long start,
		       unsigned long len)
{
	unsigned long end = start + len;

	if (end < start || end > space->end)
		end = space->end;
	return altvm_tree_wait_locked(space, start, end);
}

/* The same for both places. */
static int wait_both(struct altvm_space *space, const struct remap *r)
{
	unsigned long len = max(r->old_len, r->new_len), changes;
	int ret;

	do {
		changes = space->changes;
		ret = wait_locked(space, r->old, len);
		if (!ret && r->flags & MREMAP_FIXED)
			ret = wait_locked(space, r->hint, r->new_len);
	} while (!ret && changes != space->changes);
	return ret;
}

/* What is mapped beyond the new length goes. */
static int shrink(struct altvm_space *space, struct remap *r)
{
	unsigned long start = r->old + r->new_len;
	unsigned long end = r->old + r->old_len;

	if (end < r->old || !altvm_range_ok(space, start, end - start))
		return -EINVAL;
	r->old_len = r->new_len;
	return altvm_map_unmap_locked(space, start, end, &r->shrunk);
}

/* As remap_locked(), but once; or -EAGAIN. */
static int remap_try(struct altvm_space *space, struct remap *r)
{
	bool place = r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	int ret;

	ret = wait_both(space, r) ?: find_old(space, r) ?: check_new(r);
	if (ret)
		return ret;
	if (r->old_len > r->new_len) {
		ret = shrink(space, r);
		return ret ?: (place ? -EAGAIN : 0);
	}
	if (!place && r->old_len == r->new_len)
		return 0;
	ret = check_old(space, r);
	if (ret)
		return ret;
	if (!place) {
		ret = grow(space, r);
		if (ret <= 0)
			return ret;
		if (!(r->flags & MREMAP_MAYMOVE))
			return -ENOMEM;
		r->hint = 0;
	}
	return move(space, r);
}

/*
 * The space is locked, but not all the time.
 * Return: 1 if it has been moved, 0 if it is where it was, or an error.
 */
static int remap_locked(struct altvm_space *space, struct remap *r)
{
	int ret;

	do
		ret = remap_try(space, r);
	while (ret == -EAGAIN);
	return ret;
}

static int remap_space(struct altvm_space *space, struct remap *r)
{
	int ret;

	mutex_lock(&space->lock);
	ret = remap_locked(space, r);
	altvm_tree_validate(space);
	mutex_unlock(&space->lock);
	if (ret > 0 && !stays(r))
		altvm_map_trim(space, r->old, r->old + r->old_len);
	else if (r->shrunk.trim)
		altvm_map_trim(space, r->old + r->new_len, space->end);
	return ret;
}

static int remap(struct altvm_ctx *ctx, struct remap *r)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	int ret;

	if (IS_ERR(space))
		return PTR_ERR(space);
	ret = remap_space(space, r);
	altvm_space_leave(space);
	altvm_file_drop_list(&r->taken.files);
	altvm_file_drop_list(&r->shrunk.files);
	if (r->copy)
		altvm_file_put(r->copy);
	return ret;
}

/* What is locked is brought in: what is new of it; of a file what has moved, too. */
static void populate(struct altvm_ctx *ctx, const struct remap *r,
		     unsigned long addr, bool moved)
{
	unsigned long old_end = addr + r->old_len;

	if (!(r->area.attr & VM_LOCKED))
		return;
	if (moved && r->area.fa)
		altvm_populate_moved(ctx, addr, old_end);
	altvm_populate_locked(ctx, old_end, addr + r->new_len);
}

/**
 * altvm_remap_mremap() - ALTVM_MREMAP
 * @ctx: the file's
 * @cmd: the arguments; @out_addr is set on success
 *
 * Semantics: mremap(2), mm/mremap.c.  But nothing is unmapped at the new place if
 * the call can be told to fail.
 *
 * Return: 0, -EINVAL, -EFAULT, -ENOMEM, -EAGAIN, -EINTR, -ENXIO.
 */
int altvm_remap_mremap(struct altvm_ctx *ctx, struct altvm_mremap *cmd)
{
	const u32 known = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
	struct remap r = {
		.old = cmd->old_addr,
		.old_len = PAGE_ALIGN(cmd->old_length),
		.hint = cmd->new_addr,
		.new_len = PAGE_ALIGN(cmd->new_length),
		.flags = cmd->flags,
		.taken.files = LIST_HEAD_INIT(r.taken.files),
		.shrunk.files = LIST_HEAD_INIT(r.shrunk.files),
	};
	int ret;

	if (r.flags & ~known ||
	    (r.flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) &&
	     !(r.flags & MREMAP_MAYMOVE)) ||
	    (r.flags & MREMAP_DONTUNMAP &&
	     cmd->old_length != cmd->new_length) ||
	    offset_in_page(r.old) || !r.new_len)
		return -EINVAL;
	r.ptes = (pte_t *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!r.ptes)
		return -ENOMEM;
	ret = remap(ctx, &r);
	free_page((unsigned long)r.ptes);
	if (ret < 0)
		return ret == -ENOLCK ? -EAGAIN : ret;
	cmd->out_addr = ret ? r.new : r.old;
	populate(ctx, &r, cmd->out_addr, ret);
	return 0;
}
