// SPDX-License-Identifier: GPL-2.0
/*
 * Same-page merging: MADV_MERGEABLE, MADV_UNMERGEABLE.
 *
 * A thread looks at the private pages of all mergeable areas, over and over, and
 * makes those with the same contents one, in whichever spaces they are; what is full
 * of zeroes becomes the zero page.  A pass takes the spaces one after the other, and
 * each upwards.
 *
 *  - Of each page there is a checksum, kept in the page itself.  A page whose checksum
 *    is not that of the pass before is left alone: it is likely to change again.
 *  - Otherwise the checksum is looked up in a table, which each pass begins empty.
 *    It says where the same has been seen in this pass: a space and an address, no
 *    pointers, so that nothing is kept by it.  Whatever is there now is looked at
 *    again.
 *
 * Merging two pages.  Both leaves are locked, the second by trying.  The PTEs go, with
 * the TLB entries through which a CPU might write, and with whatever could make new
 * references; then nobody else may have a reference, such as a device that writes to
 * the page; then the contents are compared, and only then can one stand for the other
 * (altvm_store_join()).  Natively KSM does the same.  A page that is merged already is
 * written by nobody, so that its PTEs can stay.
 *
 * A write to a merged page copies it, as after a fork, see fault.c.
 *
 * Neither teardown nor fork waits for longer than two pages take: the thread enters
 * spaces for some pages only and leaves those that are wanted.  A forked child that
 * has made no call yet is not looked at, for it could not wait for us; and by then its
 * parent's TLBs have been flushed, too.
 *
 * Locks: altvm_leaf.lock, two of them; altvm_space.lock is tried.  The tree is read
 * with the leaf locked.
 */
#include <linux/freezer.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/xarray.h>
#include <linux/xxhash.h>

#include "fault.h"
#include "file.h"
#include "merge.h"
#include "pte.h"
#include "store.h"
#include "tree.h"

/* How many places a merged page can have, before forks.  As KSM's max_page_sharing. */
#define SHARING_MAX 256

/* How large the table can be, and how many slots are looked at for a checksum. */
#define SLOTS_MIN 1024UL
#define SLOTS_MAX BIT(26)
#define SLOTS_NEAR 8

static unsigned int pages_to_scan = 100, sleep_millisecs = 20;

/* The spaces that may have mergeable areas, by their merge_id; read under RCU. */
static DEFINE_XARRAY(spaces);
static DECLARE_WAIT_QUEUE_HEAD(wait);
static struct task_struct *thread;

/**
 * struct slot - where the contents with a checksum have been seen in this pass
 * @sum: the checksum; 0 if it is not used
 * @id: of the space
 * @addr: the page
 */
struct slot {
	u64 sum;
	unsigned long id, addr;
};

/**
 * struct spot - a page that is looked at
 * @place: where it is
 * @page: what is stored there
 * @attr: of the area
 * @file: it is an area of a file
 * @zapped: its PTE has been zapped
 */
struct spot {
	struct altvm_entry place;
	struct page *page;
	unsigned long attr;
	bool file, zapped;
};

/**
 * struct scan - how far the thread has come; nobody else has it
 * @id: of the space that it is in, or comes to next
 * @addr: where it goes on
 * @left: pages, and steps, until it sleeps
 * @areas: mergeable areas there are in this space, so far
 * @merged: merged pages there are in it, so far
 * @changes: of its tree, when it was begun
 * @pages: how many there were in this pass
 * @slots: the table; NULL if there is none
 * @nr_slots: a power of two
 * @zeroes: checksum of a page full of them
 */
static struct scan {
	unsigned long id, addr;
	unsigned int left;
	unsigned long areas, merged, changes, pages;
	struct slot *slots;
	unsigned long nr_slots;
	u64 zeroes;
} scan;

/* --- spaces */

/**
 * altvm_merge_learn() - a space is going to have mergeable areas
 * @space: locked, or nobody else has it yet
 */
void altvm_merge_learn(struct altvm_space *space)
{
	static atomic_long_t ids;
	unsigned long id;

	if (space->merge_id)
		return;
	id = atomic_long_inc_return(&ids);
	WRITE_ONCE(space->merge_id, id);
	xa_store(&spaces, id, space, GFP_KERNEL | __GFP_NOFAIL);
	wake_up(&wait);
}

/**
 * altvm_merge_forget() - a space has no mergeable areas any more
 * @space: locked, or nobody is in it, nor will be
 */
void altvm_merge_forget(struct altvm_space *space)
{
	if (space->merge_id)
		xa_erase(&spaces, space->merge_id);
	WRITE_ONCE(space->merge_id, 0);
}

/* Enter the space with a number.  Return: NULL if that is not possible now. */
static struct altvm_space *enter(unsigned long id)
{
	struct altvm_space *space;

	guard(rcu)();
	space = xa_load(&spaces, id);
	return space && !altvm_space_try_enter(space) ? space : NULL;
}

/*
 * Enter the next space.
 * Return: ERR_PTR: -ENOENT if there is none; -EBUSY to come again.
 */
static struct altvm_space *enter_next(void)
{
	unsigned long id = scan.id;
	struct altvm_space *space;
	int ret;

	guard(rcu)();
	for (;; id++) {
		space = xa_find(&spaces, &id, ULONG_MAX, XA_PRESENT);
		if (!space)
			return ERR_PTR(-ENOENT);
		ret = altvm_space_try_enter(space);
		if (ret == -EBUSY)
			return ERR_PTR(-EBUSY);
		if (!ret)
			break;
	}
	if (id != scan.id || !scan.addr) {
		scan.id = id;
		scan.addr = space->start;
		scan.areas = 0;
		scan.merged = 0;
		scan.changes = READ_ONCE(space->changes);
	}
	return space;
}

/* --- the table */

/* For the next pass.  It holds half as much again as this one has had. */
static void empty_slots(void)
{
	unsigned long nr = roundup_pow_of_two(scan.pages / 2 * 3 + 1);

	nr = clamp(nr, SLOTS_MIN, SLOTS_MAX);
	kvfree(scan.slots);
	scan.slots =
		kvcalloc(nr, sizeof(*scan.slots), GFP_KERNEL | __GFP_NOWARN);
	scan.nr_slots = scan.slots ? nr : 0;
	scan.pages = 0;
}

static void free_slots(void)
{
	kvfree(scan.slots);
	scan.slots = NULL;
	scan.nr_slots = 0;
}

/*
 * The slot with a checksum, or one to put it into: an empty one, or where all are in
 * use another's.  Return: NULL if there is no table.
 */
static struct slot *find_slot(u64 sum)
{
	unsigned long mask = scan.nr_slots - 1;

	if (!scan.nr_slots)
		return NULL;
	for (unsigned int i = 0; i < SLOTS_NEAR; i++) {
		struct slot *slot = &scan.slots[(sum + i) & mask];

		if (slot->sum == sum || !slot->sum)
			return slot;
	}
	return &scan.slots[sum & mask];
}

static void fill_slot(struct slot *slot, u64 sum, const struct spot *spot)
{
	slot->sum = sum;
	slot->id = scan.id;
	slot->addr = spot->place.addr;
}

/* --- pages */

/*
 * Nobody has the pages of the store on a list, so there is room in them.  Those of a
 * block, but for the first, have it elsewhere.
 */
static u64 *checksum_of(struct page *page)
{
	return PageTail(page) ? (u64 *)&page->private : (u64 *)&page->lru.prev;
}

/* Never 0. */
static u64 checksum(struct page *page)
{
	void *kaddr = kmap_local_page(page);
	u64 sum = xxh64(kaddr, PAGE_SIZE, 0);

	kunmap_local(kaddr);
	return sum | 1;
}

static bool is_zero(struct page *page)
{
	void *kaddr = kmap_local_page(page);
	bool zero = !memchr_inv(kaddr, 0, PAGE_SIZE);

	kunmap_local(kaddr);
	return zero;
}

static bool is_equal(struct page *a, struct page *b)
{
	void *ka = kmap_local_page(a), *kb = kmap_local_page(b);
	bool equal = !memcmp(ka, kb, PAGE_SIZE);

	kunmap_local(kb);
	kunmap_local(ka);
	return equal;
}

/* Is it one of several places that have the page? */
static bool is_merged(const struct spot *spot)
{
	return altvm_page_is_merged(spot->page) &&
	       altvm_page_tables(spot->page) > 1;
}

/* Is there a page that may be merged?  Fills in what is there.  The leaf is locked. */
static bool look(struct spot *spot)
{
	const struct altvm_entry *p = &spot->place;
	struct altvm_area area;

	spot->page = altvm_leaf_page(p->leaf, p->addr);
	if (!altvm_page_is_real(spot->page) || PageHWPoison(spot->page) ||
	    (PageCompound(spot->page) && !p->leaf->block) ||
	    !altvm_tree_next(p->space, p->addr, p->addr + PAGE_SIZE, &area) ||
	    area.attr & ALTVM_ATTR_BUSY || !(area.attr & VM_MERGEABLE) ||
	    (area.fa && altvm_file_is_cut(area.fa, p->addr)))
		return false;
	spot->attr = area.attr;
	spot->file = area.fa;
	return true;
}

/* Take the PTE away. */
static void zap(struct spot *spot)
{
	const struct altvm_entry *p = &spot->place;
	int before;

	altvm_pte_break(p->space, p->leaf, p->addr);
	before = folio_mapcount(page_folio(spot->page));
	altvm_pte_zap(p->space, p->addr, p->addr + PAGE_SIZE);
	/* Others may come and go, but then it does not matter. */
	spot->zapped = folio_mapcount(page_folio(spot->page)) < before;
}

/* If there was a PTE, there is one again, of what is stored now. */
static void unzap(struct spot *spot)
{
	const struct altvm_entry *p = &spot->place;

	/* A file's are left to faults, which know whether it has been cut off. */
	if (spot->zapped && spot->attr & VM_ACCESS_FLAGS && !spot->file)
		altvm_pte_insert(p->space, p->leaf, p->addr, spot->attr);
	spot->zapped = false;
}

/*
 * May anybody else write to the page, now or later?  Part of a block that could not be
 * divided is held by somebody, too.
 */
static bool is_held(const struct spot *spot)
{
	return PageCompound(spot->page) ||
	       altvm_store_is_held(spot->place.leaf, spot->place.addr);
}

/*
 * Make sure that nobody writes to the page.  Even if it is not owned, a CPU may until
 * the fork that has just made it so has flushed the TLBs.
 * Return: false if somebody may.
 */
static bool still(struct spot *spot)
{
	const struct altvm_entry *p = &spot->place;

	if (altvm_page_is_merged(spot->page) &&
	    !altvm_store_is_owned(p->leaf, p->addr))
		return true;
	zap(spot);
	return !is_held(spot);
}

/* As altvm_store_join(), if the pages are the same.  The leaves are locked. */
static bool join(struct spot *to, struct spot *from)
{
	bool joined = false;

	/* Before anything is done for nothing. */
	if (!is_equal(to->page, from->page) ||
	    altvm_store_is_held(from->place.leaf, from->place.addr) ||
	    altvm_leaf_try_prepare(from->place.leaf))
		return false;
	zap(from);
	if (!is_held(from) && still(to) && is_equal(to->page, from->page)) {
		altvm_store_join(&to->place, &from->place);
		*checksum_of(to->page) = checksum(to->page);
		joined = true;
	}
	unzap(from);
	unzap(to);
	return joined;
}

/* Replace a page by the zero page, if it is full of zeroes.  The leaf is locked. */
static bool join_zero(struct spot *spot)
{
	const struct altvm_entry *p = &spot->place;
	bool joined = false;

	if (!is_zero(spot->page) || altvm_store_is_held(p->leaf, p->addr) ||
	    altvm_leaf_try_prepare(p->leaf))
		return false;
	zap(spot);
	if (!is_held(spot) && is_zero(spot->page)) {
		altvm_leaf_set(p->leaf, p->addr, ZERO_PAGE(0));
		WRITE_ONCE(p->space->zeroed, p->space->zeroed + 1);
		joined = true;
	}
	unzap(spot);
	return joined;
}

/*
 * Two places with the same checksum; both leaves are locked.
 * Return: shall later ones meet the first, and not the second?
 */
static bool meet(struct spot *spot, struct spot *other)
{
	bool merged = is_merged(spot), other_merged = is_merged(other);
	struct spot *to = merged ? spot : other;

	if (spot->page == other->page)
		return false;
	if (altvm_page_tables(to->page) >= SHARING_MAX)
		return !merged;
	if (merged && other_merged)
		return altvm_page_tables(other->page) >= SHARING_MAX;
	if (!join(to, merged ? other : spot))
		return true;
	scan.merged += !merged;
	return merged;
}

/* The same, but the second is not locked yet, and may not be there any more. */
static bool meet_at(struct spot *spot, struct altvm_space *space,
		    unsigned long addr)
{
	struct spot other = {
		.place = {
			.space = space,
			.leaf = altvm_store_find(space, addr),
			.addr = addr,
		},
	};
	bool locked = other.place.leaf != spot->place.leaf, ret = true;

	if (!other.place.leaf)
		return true;
	/* Whoever has it may want ours. */
	if (locked && !mutex_trylock(&other.place.leaf->lock))
		return false;
	if (look(&other))
		ret = meet(spot, &other);
	if (locked)
		mutex_unlock(&other.place.leaf->lock);
	return ret;
}

/* A page which has not changed since the last pass.  The leaf is locked. */
static void look_up(struct spot *spot, u64 sum)
{
	struct slot *slot = find_slot(sum);
	struct altvm_space *space = spot->place.space;
	bool replace = true;

	if (!slot)
		return;
	if (slot->sum == sum) {
		bool entered = slot->id != scan.id;

		if (entered)
			space = enter(slot->id);
		if (space)
			replace = meet_at(spot, space, slot->addr);
		if (space && entered)
			altvm_space_leave(space);
	}
	if (replace)
		fill_slot(slot, sum, spot);
}

/* The leaf is locked. */
static void scan_page(struct spot *spot)
{
	u64 sum, *last;

	if (!look(spot))
		return;
	scan.pages++;
	scan.left--;
	last = checksum_of(spot->page);
	if (is_merged(spot)) {
		scan.merged++;
		look_up(spot, *last);
		return;
	}
	sum = checksum(spot->page);
	if (sum != *last) {
		*last = sum;
		return;
	}
	if (sum == scan.zeroes && !spot->file && join_zero(spot))
		return;
	look_up(spot, sum);
}

/* --- the thread */

static bool is_over(const struct altvm_space *space)
{
	return !scan.left || altvm_space_wanted(space);
}

/* Something that is no page has taken some time. */
static void step(void)
{
	if (scan.left)
		scan.left--;
}

static void scan_leaf(struct altvm_space *space, struct altvm_leaf *leaf,
		      unsigned long start, unsigned long end)
{
	struct spot spot = { .place = { .space = space, .leaf = leaf } };

	for (; start < end && READ_ONCE(leaf->nr) && !is_over(space);
	     start += PAGE_SIZE) {
		spot.place.addr = start;
		/* Page by page, so that nobody waits for long. */
		mutex_lock(&leaf->lock);
		scan_page(&spot);
		mutex_unlock(&leaf->lock);
		scan.addr = start + PAGE_SIZE;
		cond_resched();
	}
	if (!READ_ONCE(leaf->nr))
		scan.addr = end;
}

static void scan_area(struct altvm_space *space, unsigned long end)
{
	struct altvm_leaf *leaf;
	unsigned long lo, hi;

	altvm_for_each_leaf(space, leaf, scan.addr, end, lo, hi) {
		if (is_over(space))
			return;
		scan.addr = lo;
		scan_leaf(space, leaf, lo, hi);
		step();
	}
	if (!is_over(space))
		scan.addr = end;
}

/* All of the space has been looked at. */
static void finish_space(struct altvm_space *space)
{
	WRITE_ONCE(space->merged, scan.merged);
	WRITE_ONCE(space->merge_passes, space->merge_passes + 1);
	if (!scan.areas && mutex_trylock(&space->lock)) {
		if (space->changes == scan.changes)
			altvm_merge_forget(space);
		mutex_unlock(&space->lock);
	}
	scan.id++;
	scan.addr = 0;
}

static void scan_space(struct altvm_space *space)
{
	struct altvm_area area;

	while (!is_over(space)) {
		if (!altvm_tree_next(space, scan.addr, space->end, &area)) {
			finish_space(space);
			return;
		}
		scan.addr = max(scan.addr, area.start);
		scan.areas += !!(area.attr & VM_MERGEABLE);
		if ((area.attr & (VM_MERGEABLE | ALTVM_ATTR_BUSY)) ==
		    VM_MERGEABLE) {
			scan_area(space, area.end);
		} else {
			scan.addr = area.end;
			step();
		}
		cond_resched();
	}
}

/* The same, and what it takes is charged to whoever has the space. */
static void scan_charged(struct altvm_space *space)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(space->mm);
	struct mem_cgroup *old = set_active_memcg(memcg);

	scan_space(space);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
}

/* Look at some pages.  Return: whether to rest before the next. */
static bool scan_some(void)
{
	struct altvm_space *space;

	scan.left = READ_ONCE(pages_to_scan);
	while (scan.left && !kthread_should_stop()) {
		space = enter_next();
		if (space == ERR_PTR(-ENOENT)) {
			empty_slots();
			scan.id = 0;
			scan.addr = 0;
			return false;
		}
		if (IS_ERR(space))
			return true;
		scan_charged(space);
		altvm_space_leave(space);
	}
	return false;
}

static bool has_work(void)
{
	return READ_ONCE(pages_to_scan) && !xa_empty(&spaces);
}

static bool is_stopped(void)
{
	return kthread_should_stop();
}

static bool is_changed(unsigned int ms)
{
	return is_stopped() || READ_ONCE(sleep_millisecs) != ms;
}

/* Sleep until it is time to go on, or that time has been changed. */
static void rest(bool busy)
{
	unsigned int ms = READ_ONCE(sleep_millisecs);
	long timeout = max(msecs_to_jiffies(ms), busy);

	wait_event_freezable_timeout(wait, is_changed(ms), timeout);
	cond_resched();
}

static int scan_all(void *unused)
{
	set_freezable();
	/* As ksmd. */
	set_user_nice(current, 5);
	while (!is_stopped()) {
		if (has_work()) {
			rest(scan_some());
			continue;
		}
		free_slots();
		wait_event_freezable(wait, has_work() || is_stopped());
	}
	free_slots();
	return 0;
}

static int set_param(const char *val, const struct kernel_param *kp)
{
	int ret = param_set_uint(val, kp);

	wake_up(&wait);
	return ret;
}

static const struct kernel_param_ops param_ops = {
	.set = set_param,
	.get = param_get_uint,
};

module_param_cb(merge_pages_to_scan, &param_ops, &pages_to_scan, 0644);
MODULE_PARM_DESC(merge_pages_to_scan,
		 "Pages that merging looks at before it sleeps; 0: none");
module_param_cb(merge_sleep_millisecs, &param_ops, &sleep_millisecs, 0644);
MODULE_PARM_DESC(merge_sleep_millisecs, "How long it sleeps, in milliseconds");

/* --- advice */

/*
 * Give a place a page of its own, as a write would.  The leaf is locked.
 * Return: 0; -EAGAIN if f->page is needed; -ENOMEM.
 */
static int break_page(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	struct page *page = altvm_leaf_page(leaf, f->addr);
	struct altvm_area area;
	int ret;

	if (!altvm_page_is_real(page) || !altvm_page_is_merged(page) ||
	    !altvm_tree_next(f->space, f->addr, f->addr + PAGE_SIZE, &area) ||
	    area.attr & ALTVM_ATTR_BUSY)
		return 0;
	f->attr = area.attr;
	ret = altvm_fault_store(f, leaf);
	if (!ret && area.attr & VM_ACCESS_FLAGS && !area.fa)
		altvm_pte_insert(f->space, leaf, f->addr, area.attr);
	return ret == -EHWPOISON ? 0 : ret;
}

/*
 * As far as it goes.  The leaf is not locked.
 * Return: 0 at the end; -EAGAIN if f->page is needed; -ENOMEM.
 */
static int break_pages(struct altvm_fault *f, struct altvm_leaf *leaf,
		       unsigned long end)
{
	int ret = 0;

	mutex_lock(&leaf->lock);
	while (f->addr < end) {
		ret = break_page(f, leaf);
		if (ret)
			break;
		f->addr += PAGE_SIZE;
	}
	mutex_unlock(&leaf->lock);
	return ret;
}

/* The same for part of a leaf.  Return: 0, -ENOMEM, -EINTR. */
static int break_leaf(struct altvm_space *space, struct altvm_leaf *leaf,
		      unsigned long start, unsigned long end)
{
	struct altvm_fault f = {
		.space = space,
		.addr = start,
		.write = true,
		.copy = true,
	};
	int ret;

	while ((ret = break_pages(&f, leaf, end)) == -EAGAIN) {
		if (f.page)
			put_page(f.page);
		if (fatal_signal_pending(current))
			return -EINTR;
		if (!altvm_fault_alloc(&f))
			return -ENOMEM;
	}
	if (f.page)
		put_page(f.page);
	return ret;
}

/**
 * altvm_merge_break() - MADV_UNMERGEABLE
 * @space: entered; the tree says already that the area is not mergeable
 * @area: clipped to the range; its end is moved down to how far we came
 * @advice: not looked at
 *
 * As unmerge_ksm_pages() in mm/.
 *
 * Return: 0, -ENOMEM, -EINTR.
 */
int altvm_merge_break(struct altvm_space *space, struct altvm_area *area,
		      int advice)
{
	unsigned long lo, hi, end = area->end;
	struct altvm_leaf *leaf;
	int ret = 0;

	altvm_for_each_leaf(space, leaf, area->start, end, lo, hi) {
		ret = break_leaf(space, leaf, lo, hi);
		area->end = hi;
		if (ret || altvm_space_wanted(space))
			return ret;
	}
	area->end = end;
	return ret;
}

/** altvm_merge_init() - when the module is loaded */
int __init altvm_merge_init(void)
{
	scan.zeroes = checksum(ZERO_PAGE(0));
	thread = kthread_run(scan_all, NULL, "altvm_merge");
	return PTR_ERR_OR_ZERO(thread);
}

/** altvm_merge_exit() - when the module goes: there is no space any more */
void altvm_merge_exit(void)
{
	kthread_stop(thread);
	WARN_ON_ONCE(!xa_empty(&spaces));
	xa_destroy(&spaces);
}
