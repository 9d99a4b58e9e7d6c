// SPDX-License-Identifier: GPL-2.0
/*
 * mmap and munmap.
 *
 * Both change the tree under altvm_space.lock and do what takes time without it:
 * populating, and taking pages away from a range that is busy (see tree.c).
 *
 * Taking away: 1. the range is busy, so no fault can validate in it any more;
 * 2. each leaf is locked in turn, which waits for the faults that validated
 * before, and stripped; 3. one zap removes all PTEs, flushes, and frees, and
 * files are unlinked; 4. the range is a hole, or the new area.
 */
#include <linux/file.h>
#include <linux/major.h>
#include <linux/mman.h>
#include <linux/personality.h>
#include <linux/sched/mm.h>

#include "file.h"
#include "grow.h"
#include "huge.h"
#include "limits.h"
#include "map.h"
#include "merge.h"
#include "populate.h"
#include "pte.h"
#include "store.h"
#include "tree.h"

/* Where MAP_32BIT maps, as in arch/x86. */
#define LOW_START 0x40000000UL
#define LOW_END 0x80000000UL

/**
 * altvm_map_count() - how much of a range is mapped?
 * @space: locked
 * @start: in bytes
 * @end: exclusive
 */
struct altvm_count altvm_map_count(struct altvm_space *space,
				   unsigned long start, unsigned long end)
{
	struct altvm_count count = {};
	struct altvm_area area;

	altvm_for_each_area(space, &area, start, end) {
		altvm_area_clip(&area, start, end);
		count.total += altvm_area_pages(&area);
		if (altvm_attr_is_data(area.attr))
			count.data += altvm_area_pages(&area);
		if (area.attr & VM_LOCKED)
			count.locked += altvm_area_pages(&area);
	}
	return count;
}

/*
 * Step 2.  @trim: set if a leaf is empty now.  @blocks: what must not be freed before
 * the zap.
 * Return: how many entries there were.
 */
static unsigned long strip_leaves(struct altvm_space *space,
				  unsigned long start, unsigned long end,
				  bool *trim, struct list_head *blocks)
{
	unsigned long lo, hi, stripped = 0;
	struct altvm_leaf *leaf;

	altvm_for_each_leaf(space, leaf, start, end, lo, hi) {
		mutex_lock(&leaf->lock);
		altvm_huge_take(space, leaf, lo, hi, blocks);
		/* Once dropped, another space may write to them. */
		if (altvm_leaf_is_shared(leaf))
			altvm_pte_zap(space, lo, hi);
		stripped += altvm_leaf_strip(leaf, lo, hi);
		*trim |= leaf->pages && !leaf->nr;
		mutex_unlock(&leaf->lock);
		cond_resched();
	}
	return stripped;
}

/**
 * altvm_map_take() - take the pages of a range away, steps 2 and 3
 * @space: entered
 * @start: of the range, which is busy
 * @end: exclusive
 * @taken: its files; they are unlinked
 */
void altvm_map_take(struct altvm_space *space, unsigned long start,
		    unsigned long end, struct altvm_taken *taken)
{
	LIST_HEAD(blocks);

	if (strip_leaves(space, start, end, &taken->trim, &blocks) ||
	    !list_empty(&taken->files))
		altvm_pte_zap(space, start, end);
	altvm_huge_free(&blocks);
	altvm_file_unlink_list(&taken->files);
}

/**
 * altvm_map_trim() - free what leaves in a hole do not need any more
 * @space: entered
 * @start: of the range, around which the hole is
 * @end: exclusive
 */
void altvm_map_trim(struct altvm_space *space, unsigned long start,
		    unsigned long end)
{
	unsigned long lo, hi, floor = space->start, ceiling = space->end;
	struct altvm_leaf *leaf;
	struct altvm_area area;

	if (altvm_tree_prev(space, start, &area))
		floor = area.end;
	if (altvm_tree_next(space, end, space->end, &area))
		ceiling = area.start;
	altvm_for_each_leaf(space, leaf, start, end, lo, hi) {
		if (READ_ONCE(leaf->nr) || ALIGN_DOWN(lo, PMD_SIZE) < floor ||
		    ALIGN(hi, PMD_SIZE) > ceiling)
			continue;
		mutex_lock(&leaf->lock);
		altvm_leaf_trim(leaf);
		mutex_unlock(&leaf->lock);
	}
}

/* A range within one leaf: a hole at once, if the leaf has no page there. */
static int unmap_in_leaf(struct altvm_space *space, struct altvm_leaf *leaf,
			 unsigned long start, unsigned long end)
{
	int ret = 0;

	/* Its lock keeps faults out until they see the hole. */
	mutex_lock(&leaf->lock);
	if (altvm_leaf_is_empty(leaf, start, end))
		ret = altvm_tree_erase(space, start, end, GFP_KERNEL) ?: 1;
	mutex_unlock(&leaf->lock);
	return ret;
}

/*
 * Make [start, end) a hole at once if that is easy, because no page is there;
 * otherwise claim it.  @files: there are files, of whose pages only the PTEs know.
 * Return: 1 if it is a hole, 0 if it is busy, -ENOMEM and nothing has changed.
 */
static int unmap_begin(struct altvm_space *space, unsigned long start,
		       unsigned long end, bool files)
{
	unsigned long at = start;
	struct altvm_leaf *leaf = altvm_store_next(space, &at, end);
	int ret = 0;

	if (!leaf) {
		ret = altvm_tree_erase(space, start, end, GFP_KERNEL);
		if (ret)
			return ret;
		/* A fault makes the leaf, locks it, then reads the tree. */
		smp_mb();
		if (likely(!altvm_store_next(space, &at, end)))
			return 1;
		/* One was faster. */
		return altvm_tree_claim(space, start, end,
					GFP_KERNEL | __GFP_NOFAIL);
	}
	if (!files && at == start && ALIGN(at + 1, PMD_SIZE) >= end)
		ret = unmap_in_leaf(space, leaf, start, end);
	return ret ?: altvm_tree_claim(space, start, end, GFP_KERNEL);
}

/* Cut what is mapped at the edges of a range.  The space is locked. */
static int cut_files(struct altvm_space *space, unsigned long start,
		     unsigned long end)
{
	return altvm_file_split(space, start) ?: altvm_file_split(space, end);
}

/**
 * altvm_map_unmap_locked() - unmap a range
 * @space: locked, also on return, but not all the time
 * @start: in bytes
 * @end: exclusive
 * @taken: out: what is to be done with the space left
 *
 * Return: 0, -ENOMEM, -EINTR.
 */
int altvm_map_unmap_locked(struct altvm_space *space, unsigned long start,
			   unsigned long end, struct altvm_taken *taken)
{
	struct altvm_count count;
	int ret;

	ret = altvm_tree_wait_locked(space, start, end) ?:
		      cut_files(space, start, end);
	if (ret)
		return ret;
	count = altvm_map_count(space, start, end);
	if (!count.total)
		return 0;

	altvm_file_collect(space, start, end, &taken->files);
	ret = unmap_begin(space, start, end, !list_empty(&taken->files));
	if (ret < 0) {
		INIT_LIST_HEAD(&taken->files);
		return ret;
	}
	altvm_limits_uncharge(space, count.total, count.data);
	altvm_limits_count_locked(space, -count.locked);
	if (ret > 0) {
		altvm_file_unlink_list(&taken->files);
		return 0;
	}

	mutex_unlock(&space->lock);
	altvm_map_take(space, start, end, taken);
	mutex_lock(&space->lock);
	altvm_tree_erase(space, start, end, GFP_KERNEL | __GFP_NOFAIL);
	altvm_tree_release(space);
	return 0;
}

/**
 * altvm_map_munmap() - ALTVM_MUNMAP
 * @ctx: the file's
 * @cmd: the arguments
 *
 * Semantics: munmap(2), do_vmi_munmap() in mm/.
 *
 * Return: 0, -EINVAL, -ENOMEM, -EINTR, -ENXIO.
 */
int altvm_map_munmap(struct altvm_ctx *ctx, struct altvm_munmap *cmd)
{
	unsigned long start = cmd->addr, len = PAGE_ALIGN(cmd->length);
	struct altvm_taken taken = { .files = LIST_HEAD_INIT(taken.files) };
	struct altvm_space *space;
	int ret = -EINVAL;

	if (offset_in_page(start) || !len)
		return -EINVAL;
	space = altvm_space_enter(ctx);
	if (IS_ERR(space))
		return PTR_ERR(space);

	if (altvm_range_ok(space, start, len)) {
		mutex_lock(&space->lock);
		ret = altvm_map_unmap_locked(space, start, start + len, &taken);
		altvm_tree_validate(space);
		mutex_unlock(&space->lock);
		if (taken.trim)
			altvm_map_trim(space, start, start + len);
	}
	altvm_space_leave(space);
	altvm_file_drop_list(&taken.files);
	return ret;
}

/**
 * struct map_request - what mmap is asked for
 * @addr: where; in the end, where it is
 * @len: in bytes
 * @attr: of the area
 * @flags: MAP_* of mmap(2)
 * @fa: of a file: the area
 * @error: that the file does not let itself be mapped; but where it does not fit is
 *	told first, as natively
 * @populate: it is to be faulted in
 */
struct map_request {
	unsigned long addr, len, attr;
	u32 flags;
	struct altvm_file_area *fa;
	int error;
	bool populate;
};

static bool is_dev_zero(const struct file *file)
{
	return S_ISCHR(file_inode(file)->i_mode) &&
	       file_inode(file)->i_rdev == MKDEV(MEM_MAJOR, 5);
}

/* May the file be mapped, and how?  @file: NULL for MAP_ANONYMOUS. */
static int map_vet(const struct altvm_mmap *cmd, struct file *file,
		   struct map_request *req, struct altvm_vetted *vetted)
{
	unsigned long flags = VM_SHARED | VM_MAYWRITE;
	u64 last = cmd->offset + req->len - PAGE_SIZE;
	int ret;

	if (file) {
		if (last < cmd->offset || last > -2 * PAGE_SIZE)
			return -EOVERFLOW;
		ret = altvm_file_vet(file, cmd->prot, req->flags, last, vetted);
		if (ret || !is_dev_zero(file) ||
		    (!vetted->file && vetted->flags & VM_MAYWRITE))
			return ret;
		/* /dev/zero, and the kernel's shmem file is of one page only. */
		flags = vetted->flags;
		if (vetted->file)
			fput(vetted->file);
	}
	ret = altvm_file_vet_anon(req->len, req->attr & VM_ACCESS_FLAGS,
				  req->attr & (VM_NORESERVE | VM_NOHUGEPAGE),
				  vetted);
	if (ret)
		return ret;
	/* It may have been opened read-only. */
	vetted->flags &= flags | ~(VM_SHARED | VM_MAYWRITE);
	return 0;
}

/* Make the area of a file mapping, or find out why there cannot be any. */
static void map_make_file(const struct altvm_mmap *cmd, struct file *file,
			  struct map_request *req)
{
	struct altvm_vetted vetted;
	struct altvm_file_area *fa;

	req->error = map_vet(cmd, file, req, &vetted);
	/* Without a file it is private memory, of /dev/zero. */
	if (req->error || !vetted.file)
		return;
	fa = altvm_file_create(&vetted, file ? cmd->offset >> PAGE_SHIFT : 0);
	if (IS_ERR(fa)) {
		req->error = PTR_ERR(fa);
		fput(vetted.file);
		return;
	}
	req->fa = fa;
	req->attr = fa->attr;
}

/* The size of the pages that MAP_HUGETLB asks for; 0 if there is no such size. */
static unsigned long map_huge_size(u32 flags)
{
	switch ((flags >> MAP_HUGE_SHIFT) & MAP_HUGE_MASK) {
	case 0:
	case PMD_SHIFT:
		return PMD_SIZE;
	case PUD_SHIFT:
		return boot_cpu_has(X86_FEATURE_GBPAGES) ? PUD_SIZE : 0;
	default:
		return 0;
	}
}

/* MAP_HUGETLB, and what altvm has pages for. */
static bool map_is_huge(const struct map_request *req)
{
	return req->flags & MAP_HUGETLB && !req->fa &&
	       map_huge_size(req->flags) == PMD_SIZE;
}

/* What do_mmap() checks once the place is known. */
static int map_check_type(struct altvm_space *space,
			  const struct map_request *req)
{
	if (req->error)
		return req->error;
	/* As with an empty pool, or no such place. */
	if (req->flags & MAP_HUGETLB &&
	    (!map_is_huge(req) || req->addr & ~PMD_MASK))
		return -ENOMEM;
	if (req->attr & VM_ACCESS_FLAGS & ~space->prot ||
	    map_deny_write_exec(req->attr, req->attr))
		return -EACCES;
	return 0;
}

/* As ksys_mmap_pgoff(): what is different for huge pages. */
static int map_check_huge(const struct altvm_mmap *cmd, struct map_request *req)
{
	unsigned long size = map_huge_size(cmd->flags);

	if (!(cmd->flags & MAP_ANONYMOUS) || !size)
		return -EINVAL;
	req->len = ALIGN(cmd->length, size);
	if (!req->len || req->len > TASK_SIZE)
		return -ENOMEM;
	if (cmd->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) &&
	    cmd->addr & (size - 1))
		return -EINVAL;
	return 0;
}

/* All that can be told of the arguments, in the order of do_mmap(). */
static int map_check(const struct altvm_mmap *cmd, struct map_request *req)
{
	if (!cmd->length)
		return -EINVAL;
	req->len = PAGE_ALIGN(cmd->length);
	if (!req->len || req->len > TASK_SIZE)
		return -ENOMEM;
	if (cmd->flags & MAP_HUGETLB) {
		int ret = map_check_huge(cmd, req);

		if (ret)
			return ret;
	}

	req->flags = cmd->flags;
	if (req->flags & MAP_FIXED_NOREPLACE)
		req->flags |= MAP_FIXED;
	req->addr = cmd->addr;
	if (!(req->flags & MAP_FIXED))
		req->addr &= PAGE_MASK;

	req->attr = cmd->prot & VM_ACCESS_FLAGS;
	if (req->attr & VM_READ && current->personality & READ_IMPLIES_EXEC)
		req->attr |= VM_EXEC;
	if (req->flags & MAP_NORESERVE)
		req->attr |= VM_NORESERVE;
	if (req->flags & MAP_HUGETLB) {
		req->attr |= VM_HUGEPAGE;
		req->addr &= PMD_MASK;
	} else if (req->flags & MAP_STACK) {
		req->attr |= VM_NOHUGEPAGE;
	}
	if (req->flags & MAP_GROWSDOWN)
		req->attr |= VM_GROWSDOWN;
	/* What is shared has other attributes. */
	req->attr |= altvm_merge_attr();
	return 0;
}

/* What is mapped: private memory, or what has been vetted. */
static void map_make(const struct altvm_mmap *cmd, struct file *file,
		     struct map_request *req)
{
	const u32 not_shared = MAP_GROWSDOWN;
	const u32 not_dropped = MAP_LOCKED | MAP_HUGETLB | MAP_GROWSDOWN;
	const u32 not_huge = MAP_HUGETLB | MAP_GROWSDOWN;
	u32 type = req->flags & MAP_TYPE;

	if (file || (type == MAP_SHARED && !(req->flags & not_shared)))
		map_make_file(cmd, file, req);
	else if (type == MAP_DROPPABLE && !(req->flags & not_dropped))
		req->attr = (req->attr & ~VM_MERGEABLE) | VM_DROPPABLE |
			    VM_NORESERVE | VM_WIPEONFORK | VM_DONTDUMP;
	else if (type != MAP_PRIVATE || (req->flags & not_huge) == not_huge)
		req->error = -EINVAL;
}

/**
 * altvm_map_is_hole() - is nothing mapped in a range, and nothing busy?
 * @space: locked
 * @start: in bytes
 * @end: exclusive
 */
bool altvm_map_is_hole(struct altvm_space *space, unsigned long start,
		       unsigned long end)
{
	struct altvm_area area;

	return !altvm_tree_next(space, start, end, &area);
}

/* As altvm_tree_gap(), but keep away from areas that grow down. */
static int map_gap(struct altvm_space *space, unsigned long *addr,
		   unsigned long len, unsigned long low, unsigned long high,
		   bool lowest)
{
	struct altvm_area area;
	int ret;

	for (;;) {
		ret = altvm_tree_gap(space, len, low, high, lowest, addr);
		if (ret || !altvm_grow_next(space, *addr, *addr + len, &area))
			return ret;
		if (lowest)
			low = area.end;
		else
			high = altvm_grow_start(&area);
	}
}

/*
 * The same, at a multiple of 2 MiB if there is room, so that all of it can have huge
 * pages: as thp_get_unmapped_area_vmflags() in mm/.
 */
static int map_gap_aligned(struct altvm_space *space, unsigned long *addr,
			   unsigned long len, unsigned long low,
			   unsigned long high, bool lowest)
{
	if (map_gap(space, addr, len + PMD_SIZE, low, high, lowest))
		return map_gap(space, addr, len, low, high, lowest);
	*addr = ALIGN_DOWN(*addr + PMD_SIZE, PMD_SIZE);
	return 0;
}

/**
 * altvm_map_find() - find a place for a mapping
 * @space: locked, but not all the time
 * @addr: in: a hint, page-aligned, or 0; out: the place
 * @len: in bytes
 * @align: at a multiple of 2 MiB, if there is room
 * @below: in the low 2 GiB, as with MAP_32BIT
 *
 * Return: 0, -ENOMEM, -EINTR.
 */
int altvm_map_find(struct altvm_space *space, unsigned long *addr,
		   unsigned long len, bool align, bool below)
{
	unsigned long low = space->start, high = space->end;
	struct altvm_area area;
	int ret;

	if (below) {
		low = max(low, LOW_START);
		high = min(high, LOW_END);
	}
	if (*addr >= low && *addr < high && len <= high - *addr &&
	    !altvm_grow_next(space, *addr, *addr + len, &area))
		return 0;

	for (;;) {
		ret = align ? map_gap_aligned(space, addr, len, low, high,
					      below) :
			      map_gap(space, addr, len, low, high, below);
		if (!ret || !altvm_tree_is_busy(space, low, high))
			return ret;
		/* What is being unmapped counts as free. */
		ret = altvm_tree_wait_locked(space, low, high);
		if (ret)
			return ret;
	}
}

/* Check the place for a mapping with MAP_FIXED.  The space is locked. */
static int map_fixed(struct altvm_space *space, struct map_request *req)
{
	int ret;

	if (req->addr > TASK_SIZE - req->len)
		return -ENOMEM;
	if (offset_in_page(req->addr))
		return -EINVAL;
	if (!altvm_range_ok(space, req->addr, req->len))
		return -ENOMEM;
	ret = altvm_tree_wait_locked(space, req->addr, req->addr + req->len);
	if (ret)
		return ret;
	if (req->flags & MAP_FIXED_NOREPLACE &&
	    !altvm_map_is_hole(space, req->addr, req->addr + req->len))
		return -EEXIST;
	return 0;
}

/* Enter the new area into the tree. */
static int map_store(struct altvm_space *space, struct map_request *req,
		     gfp_t gfp)
{
	unsigned long end = req->addr + req->len;
	int ret;

	if (req->attr & VM_WIPEONFORK)
		WRITE_ONCE(space->special, true);
	if (req->attr & VM_MERGEABLE)
		altvm_merge_learn(space);
	if (req->attr & VM_HUGEPAGE)
		WRITE_ONCE(space->huge, true);
	if (!req->fa)
		return altvm_tree_store(space, req->addr, end, req->attr, gfp);
	altvm_file_place(req->fa, space, req->addr, req->len);
	ret = altvm_tree_put(space, req->addr, end, req->fa, gfp);
	if (ret) {
		altvm_file_unlink(req->fa);
		return ret;
	}
	req->fa = NULL;
	altvm_file_merge(space, req->addr);
	altvm_file_merge(space, end);
	return 0;
}

/* Replace what is there.  The space is locked, but not all the time. */
static int map_over(struct altvm_space *space, struct map_request *req,
		    struct altvm_taken *taken)
{
	unsigned long end = req->addr + req->len;
	int ret;

	altvm_file_collect(space, req->addr, end, &taken->files);
	ret = altvm_tree_claim(space, req->addr, end, GFP_KERNEL);
	if (ret) {
		INIT_LIST_HEAD(&taken->files);
		return ret;
	}
	mutex_unlock(&space->lock);
	altvm_map_take(space, req->addr, end, taken);
	mutex_lock(&space->lock);
	map_store(space, req, GFP_KERNEL | __GFP_NOFAIL);
	altvm_tree_release(space);
	return 0;
}

/* Is it to be locked, and may it be?  The space is locked. */
static int map_lock(struct altvm_space *space, struct map_request *req)
{
	unsigned long lock = space->def_lock;

	if (req->flags & MAP_LOCKED) {
		if (!can_do_mlock())
			return -EPERM;
		lock |= VM_LOCKED;
	}
	if (!lock)
		return 0;
	if (!altvm_limits_may_lock(space, req->len >> PAGE_SHIFT))
		return -EAGAIN;
	/* As do_mmap(): whether it then is locked, or not. */
	req->populate = true;
	/* As mmap_region(). */
	if (req->attr & VM_DROPPABLE)
		return 0;
	req->attr |= lock;
	if (req->fa)
		altvm_file_set_lock(req->fa, lock);
	return 0;
}

/* What the limits will count more, in place of @old. */
static struct altvm_count map_count(const struct map_request *req,
				    const struct altvm_count *old)
{
	unsigned long pages = req->len >> PAGE_SHIFT;
	bool data = altvm_attr_is_data(req->attr);
	bool locked = req->attr & VM_LOCKED;

	return (struct altvm_count){
		.total = pages - old->total,
		.data = (data ? pages : 0) - old->data,
		.locked = (locked ? pages : 0) - old->locked,
	};
}

static int map_locked(struct altvm_space *space, struct map_request *req,
		      struct altvm_taken *taken)
{
	bool align = !req->fa && IS_ALIGNED(req->len, PMD_SIZE) &&
		     (!req->addr || req->flags & MAP_HUGETLB);
	struct altvm_count old = {}, more;
	int ret;

	if (req->flags & MAP_FIXED)
		ret = map_fixed(space, req);
	else
		ret = altvm_map_find(space, &req->addr, req->len, align,
				     req->flags & MAP_32BIT);
	ret = ret ?: map_lock(space, req) ?: map_check_type(space, req);
	if (!ret && req->flags & MAP_FIXED) {
		old = altvm_map_count(space, req->addr, req->addr + req->len);
		ret = cut_files(space, req->addr, req->addr + req->len);
	}
	if (ret)
		return ret;

	more = map_count(req, &old);
	ret = altvm_limits_charge(space, more.total, more.data, more.data > 0);
	if (ret)
		return ret;
	altvm_limits_count_locked(space, more.locked);
	if (old.total)
		ret = map_over(space, req, taken);
	else
		ret = map_store(space, req, GFP_KERNEL);
	if (ret) {
		altvm_limits_uncharge(space, more.total, more.data);
		altvm_limits_count_locked(space, -more.locked);
	}
	return ret;
}

static int map_request(struct altvm_ctx *ctx, struct map_request *req)
{
	struct altvm_taken taken = { .files = LIST_HEAD_INIT(taken.files) };
	struct altvm_space *space = altvm_space_enter(ctx);
	int ret;

	if (IS_ERR(space))
		return PTR_ERR(space);
	mutex_lock(&space->lock);
	ret = map_locked(space, req, &taken);
	altvm_tree_validate(space);
	mutex_unlock(&space->lock);
	altvm_space_leave(space);
	altvm_file_drop_list(&taken.files);
	return ret;
}

/* @file: NULL for MAP_ANONYMOUS. */
static int map_file(struct altvm_ctx *ctx, struct altvm_mmap *cmd,
		    struct file *file)
{
	struct map_request req = {};
	LIST_HEAD(blocks);
	int ret;

	ret = map_check(cmd, &req);
	if (ret)
		return ret;
	map_make(cmd, file, &req);
	if (map_is_huge(&req) && !req.error && !(req.flags & MAP_NORESERVE))
		ret = altvm_huge_reserve(ctx, req.len, &blocks);
	ret = ret ?: map_request(ctx, &req);
	if (req.fa)
		altvm_file_put(req.fa);
	if (ret) {
		altvm_huge_free(&blocks);
		return ret;
	}
	altvm_huge_fill(ctx, req.addr, &blocks);

	cmd->out_addr = req.addr;
	/* As natively, what cannot be populated is left to faults. */
	if (req.populate ||
	    (req.flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE)
		altvm_populate_range(ctx, req.addr, req.addr + req.len, true);
	return 0;
}

/**
 * altvm_map_mmap() - ALTVM_MMAP
 * @ctx: the file's
 * @cmd: the arguments; @out_addr is set on success
 *
 * Semantics: mmap(2), do_mmap() in mm/.
 *
 * Return: 0, or the errno of mmap(2); -EINTR, -ENXIO.
 */
int altvm_map_mmap(struct altvm_ctx *ctx, struct altvm_mmap *cmd)
{
	struct file *file = NULL;
	int ret;

	if (offset_in_page(cmd->offset))
		return -EINVAL;
	if (!(cmd->flags & MAP_ANONYMOUS)) {
		file = fget(cmd->fd);
		if (!file)
			return -EBADF;
	}
	ret = map_file(ctx, cmd, file);
	if (file)
		fput(file);
	return ret;
}
