// SPDX-License-Identifier: GPL-2.0
/*
 * The tree of areas: which addresses are mapped, and how.
 *
 * A maple tree from address ranges to attributes.  A private anonymous area is
 * nothing but a range and its attributes, so it *is* its tree entry: a value,
 * not a pointer to an object.  Hence
 *  - a reader under RCU needs no reference and can meet no freed area;
 *  - a split costs nothing: the maple tree cuts the range, both parts keep the
 *    value.  Nothing has to be allocated, copied, or linked for it;
 *  - neighbours are compatible exactly when their values are equal;
 *  - 100 000 areas take 3 MB, where as many VMAs take 25.
 * The page-table helpers of the kernel want a VMA to work with; they get one of
 * the space's eight, see pte.c.
 *
 * The entry of a file area is a pointer to its object, see file.c.
 *
 * Busy ranges.  To take pages away (munmap, MAP_FIXED over something) takes
 * time, and must not keep the lock.  So the range is claimed: its entry says
 * ALTVM_ATTR_BUSY until the pages are gone and the TLBs flushed, then it becomes
 * a hole or the new area.  A gap search passes over it; a fault, and a call
 * that wants to change the range, wait.  Everybody else goes on.
 *
 * Locks: altvm_space.lock for changes, RCU for look-ups.  A look-up under a
 * leaf's lock is how a fault makes sure that it does not miss a change: each
 * change is made here first, then in every leaf that it concerns, under the
 * leaf's lock.
 */
#include "file.h"
#include "tree.h"

/**
 * altvm_tree_init() - no areas
 * @space: being made
 */
void altvm_tree_init(struct altvm_space *space)
{
	mt_init_flags(&space->tree, MT_FLAGS_ALLOC_RANGE | MT_FLAGS_USE_RCU |
					    MT_FLAGS_LOCK_EXTERN);
	mt_set_external_lock(&space->tree, &space->lock);
}

/**
 * altvm_tree_guard() - see that the tree never becomes empty
 * @space: being made, not a copy
 *
 * mas_find() and mas_prev() under RCU alone dereference NULL if the tree becomes
 * empty meanwhile: mas_rewalk_if_dead() in lib/maple_tree.c takes it for granted
 * that there is a node.  So one entry stays for ever, just beyond the window.
 *
 * Return: 0 or -ENOMEM.
 */
int altvm_tree_guard(struct altvm_space *space)
{
	MA_STATE(mas, &space->tree, space->end, space->end);
	int ret;

	mutex_lock(&space->lock);
	ret = mas_store_gfp(&mas, xa_mk_value(ALTVM_ATTR_BUSY),
			    GFP_KERNEL_ACCOUNT);
	mutex_unlock(&space->lock);
	return ret;
}

/**
 * altvm_tree_destroy() - free the tree
 * @space: nobody is in it
 */
void altvm_tree_destroy(struct altvm_space *space)
{
	mutex_lock(&space->lock);
	__mt_destroy(&space->tree);
	mutex_unlock(&space->lock);
}

/**
 * altvm_tree_clone() - the areas of a forked child
 * @to: being made, empty
 * @from: frozen, so that nothing in it is busy
 *
 * Return: 0 or -ENOMEM.
 */
int altvm_tree_clone(struct altvm_space *to, struct altvm_space *from)
{
	int ret;

	mutex_lock(&from->lock);
	mutex_lock_nested(&to->lock, SINGLE_DEPTH_NESTING);
	ret = __mt_dup(&from->tree, &to->tree, GFP_KERNEL_ACCOUNT);
	to->nr_total = from->nr_total;
	to->nr_data = from->nr_data;
	to->nr_locked = from->nr_locked;
	to->special = from->special;
	to->huge = from->huge;
	mutex_unlock(&to->lock);
	mutex_unlock(&from->lock);
	return ret;
}

/* What an entry says; under RCU, or locked. */
static unsigned long entry_attr(const void *entry)
{
	const struct altvm_file_area *fa = entry;

	return xa_is_value(entry) ? xa_to_value(entry) : fa->attr;
}

static struct altvm_file_area *entry_file(void *entry)
{
	return xa_is_value(entry) ? NULL : entry;
}

/* What the tree says where a look-up has ended. */
static void area_fill(struct altvm_area *area, const struct ma_state *mas,
		      void *entry)
{
	*area = (struct altvm_area){
		.start = mas->index,
		.end = mas->last + 1,
		.attr = entry_attr(entry),
		.fa = entry_file(entry),
	};
}

/**
 * altvm_tree_load() - what is at an address?
 * @space: entered, or in a fault on its window
 * @addr: in bytes
 * @attr: out: the area's attributes, or ALTVM_ATTR_BUSY
 * @fa: out: as in struct altvm_area
 *
 * Return: false if nothing is mapped there.
 */
bool altvm_tree_load(struct altvm_space *space, unsigned long addr,
		     unsigned long *attr, struct altvm_file_area **fa)
{
	void *entry;

	guard(rcu)();
	entry = mtree_load(&space->tree, addr);
	if (!entry)
		return false;
	*attr = entry_attr(entry);
	*fa = entry_file(entry);
	return true;
}

/**
 * altvm_tree_next() - the first area or busy range that meets a range
 * @space: entered
 * @start: of the range
 * @end: of the range, exclusive
 * @area: out: a copy, not clipped
 *
 * Return: false if there is none.
 */
bool altvm_tree_next(struct altvm_space *space, unsigned long start,
		     unsigned long end, struct altvm_area *area)
{
	MA_STATE(mas, &space->tree, start, start);
	void *entry;

	if (start >= end)
		return false;
	guard(rcu)();
	entry = mas_find(&mas, end - 1);
	if (!entry)
		return false;
	area_fill(area, &mas, entry);
	return true;
}

/**
 * altvm_tree_is_same() - is a range still in an area like this one?
 * @space: entered
 * @area: as altvm_tree_next() has found it; its range does not matter
 * @start: of the range
 * @end: of the range, exclusive
 *
 * With the leaf locked in which the range is: whoever changes the tree comes for
 * the leaf later.
 */
bool altvm_tree_is_same(struct altvm_space *space,
			const struct altvm_area *area, unsigned long start,
			unsigned long end)
{
	struct altvm_area now;

	return altvm_tree_next(space, start, end, &now) && now.start <= start &&
	       now.end >= end && now.attr == area->attr && now.fa == area->fa;
}

/**
 * altvm_tree_prev() - the last area or busy range below an address
 * @space: entered
 * @addr: in bytes
 * @area: out: a copy
 *
 * Return: false if there is none.
 */
bool altvm_tree_prev(struct altvm_space *space, unsigned long addr,
		     struct altvm_area *area)
{
	MA_STATE(mas, &space->tree, addr, addr);
	void *entry;

	guard(rcu)();
	entry = mas_prev(&mas, space->start);
	if (!entry)
		return false;
	area_fill(area, &mas, entry);
	return true;
}

/**
 * altvm_tree_gap() - find the highest (or lowest) hole that is large enough
 * @space: locked
 * @size: in bytes
 * @low: the lowest address allowed
 * @high: the end of what is allowed, exclusive
 * @lowest: search upwards
 * @addr: out: the highest (lowest) start that fits
 *
 * Return: 0 or -ENOMEM.
 */
int altvm_tree_gap(struct altvm_space *space, unsigned long size,
		   unsigned long low, unsigned long high, bool lowest,
		   unsigned long *addr)
{
	MA_STATE(mas, &space->tree, 0, 0);

	if (low >= high || high - low < size)
		return -ENOMEM;
	if (lowest) {
		if (mas_empty_area(&mas, low, high - 1, size))
			return -ENOMEM;
		*addr = mas.index;
	} else {
		if (mas_empty_area_rev(&mas, low, high - 1, size))
			return -ENOMEM;
		*addr = mas.last + 1 - size;
	}
	return 0;
}

static int tree_write(struct altvm_space *space, struct ma_state *mas,
		      void *entry, gfp_t gfp)
{
	/*
	 * No limit but the memcg's bounds the number of areas.  mas_store_gfp()
	 * looks at its flags only when it runs short.
	 */
	int ret = mas_preallocate(mas, entry, gfp | __GFP_ACCOUNT);

	if (ret)
		return ret;
	mas_store_prealloc(mas, entry);
	WRITE_ONCE(space->changes, space->changes + 1);
	return 0;
}

/**
 * altvm_tree_store() - make [start, end) one area, with its equal neighbours
 * @space: locked
 * @start: in bytes
 * @end: exclusive
 * @attr: of the area
 * @gfp: GFP_KERNEL; with __GFP_NOFAIL it cannot fail
 *
 * The range does not begin or end inside an area that is equal already.
 *
 * Return: 0, or -ENOMEM and nothing has changed.
 */
int altvm_tree_store(struct altvm_space *space, unsigned long start,
		     unsigned long end, unsigned long attr, gfp_t gfp)
{
	MA_STATE(mas, &space->tree, start, start);
	void *entry = xa_mk_value(attr), *next = NULL;
	bool first, last;

	/* No need to look beyond an end that lies within an entry. */
	mas_walk(&mas);
	first = mas.index == start;
	last = mas.last == end - 1;
	if (last) {
		next = mas_next_range(&mas, ULONG_MAX);
	} else if (mas.last < end) {
		mas_set(&mas, end);
		next = mas_walk(&mas);
	}
	if (next == entry)
		end = mas.last + 1;
	if (first) {
		mas_set(&mas, start - 1);
		if (mas_walk(&mas) == entry)
			start = mas.index;
	}
	mas_set_range(&mas, start, end - 1);
	return tree_write(space, &mas, entry, gfp);
}

/**
 * altvm_tree_put() - make [start, end) a file area
 * @space: locked
 * @start: in bytes
 * @end: exclusive
 * @fa: the area, or NULL for a hole
 * @gfp: GFP_KERNEL; with __GFP_NOFAIL it cannot fail
 *
 * Return: 0, or -ENOMEM and nothing has changed.
 */
int altvm_tree_put(struct altvm_space *space, unsigned long start,
		   unsigned long end, struct altvm_file_area *fa, gfp_t gfp)
{
	MA_STATE(mas, &space->tree, start, end - 1);

	return tree_write(space, &mas, fa, gfp);
}

/**
 * altvm_tree_erase() - make [start, end) a hole
 * @space: locked
 * @start: in bytes
 * @end: exclusive
 * @gfp: GFP_KERNEL; with __GFP_NOFAIL it cannot fail
 *
 * Return: 0, or -ENOMEM and nothing has changed.
 */
int altvm_tree_erase(struct altvm_space *space, unsigned long start,
		     unsigned long end, gfp_t gfp)
{
	return altvm_tree_put(space, start, end, NULL, gfp);
}

/**
 * altvm_tree_claim() - make [start, end) busy
 * @space: locked; nothing in the range is busy
 * @start: in bytes
 * @end: exclusive
 * @gfp: GFP_KERNEL; with __GFP_NOFAIL it cannot fail
 *
 * Whoever claims must later erase the range or store an area there, and call
 * altvm_tree_release().
 *
 * Return: 0, or -ENOMEM and nothing has changed.
 */
int altvm_tree_claim(struct altvm_space *space, unsigned long start,
		     unsigned long end, gfp_t gfp)
{
	MA_STATE(mas, &space->tree, start, end - 1);
	int ret;

	ret = tree_write(space, &mas, xa_mk_value(ALTVM_ATTR_BUSY), gfp);
	if (!ret)
		space->nr_busy++;
	return ret;
}

/**
 * altvm_tree_release() - wake whoever waits for a range that was busy
 * @space: locked; the range is busy no more
 */
void altvm_tree_release(struct altvm_space *space)
{
	lockdep_assert_held(&space->lock);
	space->nr_busy--;
	if (wq_has_sleeper(&space->ctx->busy))
		wake_up_all(&space->ctx->busy);
}

/**
 * altvm_tree_is_busy() - is anything in a range busy?
 * @space: entered, or in a fault on its window
 * @start: in bytes
 * @end: exclusive
 */
bool altvm_tree_is_busy(struct altvm_space *space, unsigned long start,
			unsigned long end)
{
	struct altvm_area area;

	altvm_for_each_area(space, &area, start, end)
		if (area.attr & ALTVM_ATTR_BUSY)
			return true;
	return false;
}

/**
 * altvm_tree_wait_locked() - wait until nothing in a range is busy
 * @space: locked; the lock is dropped while waiting
 * @start: in bytes
 * @end: exclusive
 *
 * Return: 0, and nothing in the range is busy; or -EINTR, killed.  The lock is
 * held in both cases.
 */
int altvm_tree_wait_locked(struct altvm_space *space, unsigned long start,
			   unsigned long end)
{
	int ret;

	while (unlikely(space->nr_busy) &&
	       altvm_tree_is_busy(space, start, end)) {
		mutex_unlock(&space->lock);
		ret = wait_event_killable(space->ctx->busy,
					  !altvm_tree_is_busy(space, start,
							      end));
		mutex_lock(&space->lock);
		if (ret)
			return -EINTR;
	}
	return 0;
}

/**
 * altvm_tree_wait() - wait until an address is not busy
 * @space: not locked
 * @addr: in bytes
 *
 * Return: 0 or -EINTR, killed.
 */
int altvm_tree_wait(struct altvm_space *space, unsigned long addr)
{
	if (wait_event_killable(space->ctx->busy,
				!altvm_tree_is_busy(space, addr,
						    addr + PAGE_SIZE)))
		return -EINTR;
	return 0;
}

#ifdef CONFIG_ALTVM_DEBUG
/**
 * altvm_tree_validate() - check the whole tree
 * @space: locked
 *
 * Areas lie within the window, are whole pages, have known attributes, equal
 * neighbours are merged, file areas have the range of their VMA, and the counts
 * are right.
 */
void altvm_tree_validate(struct altvm_space *space)
{
	unsigned long total = 0, data = 0, locked = 0;
	struct altvm_area area, prev = {};
	bool busy = false;

	/* Where there are many, now and then is enough. */
	if (space->changes > 4096 && space->changes % 1024)
		return;
	altvm_for_each_area(space, &area, 0, space->end) {
		WARN_ON_ONCE(area.start < space->start ||
			     area.end > space->end);
		WARN_ON_ONCE(!PAGE_ALIGNED(area.start | area.end));
		WARN_ON_ONCE(!area.fa &&
			     area.attr & ~(ALTVM_ATTR_MASK | ALTVM_ATTR_BUSY));
		busy |= area.attr & ALTVM_ATTR_BUSY;
		WARN_ON_ONCE(!area.fa && !prev.fa &&
			     !(area.attr & ALTVM_ATTR_BUSY) &&
			     area.start == prev.end && area.attr == prev.attr);
		WARN_ON_ONCE(area.fa && (area.start != area.fa->vma.vm_start ||
					 area.end != area.fa->vma.vm_end));
		total += altvm_area_pages(&area);
		if (altvm_attr_is_data(area.attr))
			data += altvm_area_pages(&area);
		if (area.attr & VM_LOCKED)
			locked += altvm_area_pages(&area);
		prev = area;
	}
	/* A range that is busy to be replaced is counted already. */
	WARN_ON_ONCE(!busy &&
		     (total != space->nr_total || data != space->nr_data ||
		      locked != space->nr_locked));
}
#endif
