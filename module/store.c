// SPDX-License-Identifier: GPL-2.0
/*
 * The store: the pages that belong to a space.
 *
 * An xarray of leaves, each standing for the 2 MiB of address space that one
 * PTE table maps.  The store says what a page *is*; PTEs are only a cache of it
 * and may be missing at any time.  It has one reference of each page, each PTE
 * has another.
 *
 * A page may be dropped from the store while PTEs still map it: their reference
 * keeps it until the zap that follows, which frees it after its TLB flush, in a
 * batch.  A page that no PTE maps can be in no TLB and is freed at once.
 *
 * Fork.  A child's leaves share their parent's tables of pages, whole.  Before a
 * leaf of either is changed it takes a copy of the table, so that its pages are
 * in two tables.  A page may be mapped writable only by a space that owns it, see
 * altvm_store_own().  Where a space gives up a page that another may then own,
 * its own PTEs must be gone before.
 *
 * Merging.  Pages with the same contents become one, which is then in several
 * tables, or several times in one, and no space's own, see merge.c.
 *
 * As long as a page is stored, its ->mapping is that of a shmem file that a
 * space and those forked from it keep, and its ->index says in which leaf it is and
 * where.  Merged pages have a file and numbers of their own, for they can outlive the
 * spaces that they come from; but whoever wants to write to one gets a page with the
 * identity that was there before.  It is not in that file's page cache, nor on any LRU list, so
 * nobody comes to it from there.  But for those who come from the PTE it says
 * what they need to know:
 *  - a futex that is not process-private is found by mapping and index;
 *  - get_user_pages_fast() takes pages with a mapping only, and long-term pins
 *    of files only from shmem.
 *
 * Blocks.  512 pages that were allocated as one, a large folio, can be mapped by one
 * entry of the table above (huge.c).  The store has a reference of it and not of each
 * page; how many entries there are in tables is in the first page.  A block is always
 * one space's alone: a fork divides it, and where that cannot be, copies it.
 *
 * Locks: altvm_leaf.lock for a leaf; the leaf itself never goes while the
 * space is there.
 */
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "policy.h"
#include "reclaim.h"
#include "store.h"

static struct kmem_cache *leaf_cache;
static struct file *merged_shmem;

static unsigned long leaf_index(const struct altvm_space *space,
				unsigned long addr)
{
	return (addr >> PMD_SHIFT) - (space->start >> PMD_SHIFT);
}

/*
 * In page->private: how many tables the page is in, and above that, the leaf->gen
 * of its owner, if it has one.
 */
#define TABLES_BITS 24
#define TABLES_MASK (BIT(TABLES_BITS) - 1)

static atomic_long_t *page_state(struct page *page)
{
	return (atomic_long_t *)&compound_head(page)->private;
}

/*
 * A merged page can be in many tables, and each fork can make them more.  Before the
 * count overflows it stays where it is, as that of a refcount_t, and the page stays
 * for ever.
 */
#define TABLES_MAX (TABLES_MASK / 2)
#define TABLES_SATURATED (TABLES_MASK / 4 * 3)

static void saturate(struct page *page)
{
	long old = atomic_long_read(page_state(page)), new;

	do
		new = (old & ~TABLES_MASK) | TABLES_SATURATED;
	while (!atomic_long_try_cmpxchg(page_state(page), &old, new));
}

/* A page is in one more table. */
static void table_add(struct page *page)
{
	long state = atomic_long_inc_return(page_state(page));

	if (unlikely((state & TABLES_MASK) > TABLES_MAX))
		saturate(page);
}

/* A table has one page less. */
static void table_drop(struct page *page)
{
	unsigned long tables;

	tables = atomic_long_dec_return(page_state(page)) & TABLES_MASK;
	if (unlikely(tables >= TABLES_MAX))
		saturate(page);
	if (tables)
		return;
	page = compound_head(page);
	if (unlikely(altvm_page_has_slot(page)))
		altvm_slot_forget(page);
	/* The allocator wants it so, and the last reference may not be ours. */
	WRITE_ONCE(page->mapping, NULL);
	put_page(page);
}

/* A table has one entry less. */
static void entry_drop(struct page *page)
{
	if (altvm_page_is_real(page))
		table_drop(page);
	else if (altvm_page_is_slot(page))
		altvm_slot_put(altvm_slot_of(page));
}

static void table_free(struct page **pages)
{
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++)
		entry_drop(pages[i]);
	free_page((unsigned long)pages);
}

static struct page **table_copy(struct page **pages, gfp_t gfp)
{
	struct page **copy = (struct page **)__get_free_page(gfp);

	if (!copy)
		return NULL;
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++) {
		copy[i] = pages[i];
		if (altvm_page_is_real(copy[i]))
			table_add(copy[i]);
		else if (altvm_page_is_slot(copy[i]))
			altvm_slot_get(altvm_slot_of(copy[i]));
	}
	return copy;
}

/* A leaf leaves a table that it shares. */
static void share_put(struct altvm_share *share, struct page **pages)
{
	if (!refcount_dec_and_test(&share->refs))
		return;
	table_free(pages);
	kfree(share);
}

/* Is the leaf the only one left of those that shared its table? */
static bool leaf_is_last(struct altvm_leaf *leaf)
{
	if (refcount_read(&leaf->share->refs) != 1)
		return false;
	/* Pairs with refcount_dec_and_test() of those that left. */
	smp_acquire__after_ctrl_dep();
	kfree(leaf->share);
	leaf->share = NULL;
	return true;
}

/* Make the leaf's table its own. */
static int leaf_unshare(struct altvm_leaf *leaf, gfp_t gfp)
{
	struct page **copy;

	if (!leaf->share || leaf_is_last(leaf))
		return 0;
	copy = table_copy(leaf->pages, gfp);
	if (!copy)
		return -ENOMEM;
	share_put(leaf->share, leaf->pages);
	leaf->share = NULL;
	leaf->pages = copy;
	return 0;
}

static void count_slots(struct altvm_leaf *leaf, int nr)
{
	leaf->nr_slots += nr;
	atomic_long_add(nr, &leaf->space->nr_swapped);
}

/* An entry comes, or goes. */
static void count_entry(struct altvm_leaf *leaf, const struct page *page,
			int nr)
{
	if (unlikely(altvm_page_is_slot(page)))
		count_slots(leaf, nr);
}

/* Drop everything. */
static void leaf_empty(struct altvm_leaf *leaf)
{
	if (leaf->nr_slots)
		count_slots(leaf, -leaf->nr_slots);
	if (leaf->share)
		share_put(leaf->share, leaf->pages);
	else if (leaf->nr)
		table_free(leaf->pages);
	else
		free_page((unsigned long)leaf->pages);
	leaf->share = NULL;
	leaf->pages = NULL;
	leaf->block = NULL;
	leaf->nr = 0;
	leaf->ahead = false;
	leaf->lazy = false;
	leaf->tried = false;
	leaf->broken = false;
}

/**
 * altvm_store_init() - no pages
 * @space: being made
 * @shmem: the file of the space that this one is forked from, or NULL
 *
 * Return: 0 or -ENOMEM, -ENFILE.
 */
int altvm_store_init(struct altvm_space *space, struct file *shmem)
{
	loff_t size = space->end - space->start;

	xa_init_flags(&space->leaves, XA_FLAGS_ACCOUNT);
	space->shmem =
		shmem ? get_file(shmem) :
			shmem_kernel_file_setup("altvm", size, VM_NORESERVE);
	return PTR_ERR_OR_ZERO(space->shmem);
}

/**
 * altvm_store_destroy() - let go of all pages
 * @space: nobody is in it, no PTE is left, the TLBs are flushed
 */
void altvm_store_destroy(struct altvm_space *space)
{
	struct altvm_leaf *leaf;
	unsigned long index;

	xa_for_each(&space->leaves, index, leaf) {
		altvm_reclaim_forget(leaf);
		leaf_empty(leaf);
		mutex_destroy(&leaf->lock);
		kmem_cache_free(leaf_cache, leaf);
		cond_resched();
	}
	xa_destroy(&space->leaves);
	fput(space->shmem);
}

/**
 * altvm_store_adopt() - say that a page is this space's alone
 * @space: entered, or in a fault on its window
 * @leaf: locked
 * @addr: where the page is stored, or is going to be
 * @page: in no other table; if it is part of a block, nothing is to be said
 */
void altvm_store_adopt(struct altvm_space *space, struct altvm_leaf *leaf,
		       unsigned long addr, struct page *page)
{
	if (unlikely(PageCompound(page)))
		return;
	if (unlikely(altvm_page_has_slot(page)))
		altvm_slot_forget(page);
	atomic_long_set(page_state(page), leaf->gen << TABLES_BITS | 1);
	page->index = leaf->id * PTRS_PER_PTE + pte_index(addr);
	/* Whoever sees the mapping sees the index. */
	smp_store_release(&page->mapping, space->shmem->f_mapping);
}

/**
 * altvm_store_own() - may a page be written?
 * @space: entered, or in a fault on its window
 * @leaf: locked; it has a real page at @addr
 * @addr: in its 2 MiB
 * @known: how many references the caller knows of, besides those below
 *
 * A page that was another's too can become ours when the others have let go of
 * it.  But they may have passed it on before (vmsplice(2)), so nobody else may have
 * a reference but the store and our PTE, as in do_wp_page().  Once it is ours it
 * stays ours until the next clone, whoever takes a reference.
 *
 * Return: true if it is this space's alone.
 */
bool altvm_store_own(struct altvm_space *space, struct altvm_leaf *leaf,
		     unsigned long addr, unsigned int known)
{
	struct page *page = altvm_leaf_page(leaf, addr);
	u64 state;

	lockdep_assert_held(&leaf->lock);
	if (leaf->share && !leaf_is_last(leaf))
		return false;
	if (!leaf->cow || PageCompound(page))
		return true;
	state = atomic_long_read_acquire(page_state(page));
	if (state >> TABLES_BITS == leaf->gen)
		return true;
	/* Only we could put it into another table. */
	if ((state & TABLES_MASK) != 1 ||
	    page_count(page) != 1 + known + folio_mapcount(page_folio(page)))
		return false;
	altvm_store_adopt(space, leaf, addr, page);
	return true;
}

/**
 * altvm_store_is_shared() - do other spaces have a page, too?
 * @leaf: locked; it has a real page at @addr
 * @addr: in its 2 MiB
 */
bool altvm_store_is_shared(struct altvm_leaf *leaf, unsigned long addr)
{
	struct page *page = altvm_leaf_page(leaf, addr);

	lockdep_assert_held(&leaf->lock);
	if (leaf->share && !leaf_is_last(leaf))
		return true;
	return leaf->cow && !PageCompound(page) &&
	       (atomic_long_read_acquire(page_state(page)) & TABLES_MASK) != 1;
}

/**
 * altvm_store_is_owned() - may there be a writable PTE of a page?
 * @leaf: locked; it has a real page at @addr
 * @addr: in its 2 MiB
 */
bool altvm_store_is_owned(const struct altvm_leaf *leaf, unsigned long addr)
{
	struct page *page = altvm_leaf_page(leaf, addr);

	lockdep_assert_held(&leaf->lock);
	return !leaf->cow ||
	       (u64)atomic_long_read(page_state(page)) >> TABLES_BITS ==
		       leaf->gen;
}

/**
 * altvm_store_is_held() - has anybody a page but spaces and their PTEs?
 * @leaf: locked; it has a real page at @addr
 * @addr: in its 2 MiB
 *
 * If there is no PTE and the page is not shared, the answer stays: nobody can come to
 * the page any more.
 */
bool altvm_store_is_held(struct altvm_leaf *leaf, unsigned long addr)
{
	struct page *page = altvm_leaf_page(leaf, addr);

	lockdep_assert_held(&leaf->lock);
	return page_count(page) != 1 + folio_mapcount(page_folio(page));
}

/**
 * altvm_leaf_is_alone() - is the leaf's table its own?
 * @leaf: locked
 */
bool altvm_leaf_is_alone(struct altvm_leaf *leaf)
{
	lockdep_assert_held(&leaf->lock);
	return !leaf->share || leaf_is_last(leaf);
}

/**
 * altvm_leaf_unshare() - give the leaf a table of its own
 * @leaf: locked
 * @gfp: for that
 *
 * Return: 0 or -ENOMEM.
 */
int altvm_leaf_unshare(struct altvm_leaf *leaf, gfp_t gfp)
{
	lockdep_assert_held(&leaf->lock);
	return leaf_unshare(leaf, gfp);
}

/**
 * altvm_store_is_alone() - is a page in one table only?
 * @page: in a table that is its leaf's own; the leaf is locked
 */
bool altvm_store_is_alone(struct page *page)
{
	return (atomic_long_read_acquire(page_state(page)) & TABLES_MASK) == 1;
}

/**
 * altvm_store_put_block() - store a block
 * @space: entered, or in a fault on its window
 * @leaf: locked and prepared; nothing is stored in it
 * @block: whose reference goes to the store
 */
void altvm_store_put_block(struct altvm_space *space, struct altvm_leaf *leaf,
			   struct page *block)
{
	lockdep_assert_held(&leaf->lock);
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++)
		leaf->pages[i] = block + i;
	leaf->nr = PTRS_PER_PTE;
	leaf->block = block;
	atomic_long_set(page_state(block), PTRS_PER_PTE);
	block->index = leaf->id * PTRS_PER_PTE;
	/* Whoever sees the mapping sees the index. */
	smp_store_release(&block->mapping, space->shmem->f_mapping);
}

/* Make 512 pages of one, of which nobody else has a reference. */
static bool block_divide(struct page *block)
{
	if (!page_ref_freeze(block, 1))
		return false;
	/* Undo prep_compound_page(). */
	block[1].flags &= ~PAGE_FLAGS_SECOND;
	for (unsigned int i = 1; i < PTRS_PER_PTE; i++) {
		block[i].mapping = NULL;
		block[i].index = 0;
		set_page_private(block + i, 0);
		clear_compound_head(block + i);
	}
	__folio_clear_head(page_folio(block));
	page_ref_unfreeze(block, 1);
	split_page(block, PMD_SHIFT - PAGE_SHIFT);
	return true;
}

/**
 * altvm_store_divide() - make ordinary pages of a block
 * @space: entered, or in a fault on its window
 * @leaf: locked; it has a block, which is mapped nowhere
 *
 * While somebody has a reference of it, it cannot be done, and the pages stay what
 * they are: all of them are freed when none is needed any more.
 *
 * Return: has it been done?
 */
bool altvm_store_divide(struct altvm_space *space, struct altvm_leaf *leaf)
{
	struct page *block = leaf->block;

	lockdep_assert_held(&leaf->lock);
	leaf->block = NULL;
	if (!block_divide(block))
		return false;
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++)
		altvm_store_adopt(space, leaf, i << PAGE_SHIFT, block + i);
	return true;
}

/* What was owned before is not any more. */
static void leaf_disown(struct altvm_leaf *leaf)
{
	static atomic64_t gens;

	leaf->cow = true;
	leaf->gen = atomic64_inc_return(&gens);
}

/* Give @to's new leaf the pages of @from's. */
static int leaf_clone(struct altvm_leaf *to, struct altvm_leaf *from)
{
	if (!from->share) {
		from->share = kzalloc(sizeof(*from->share), GFP_KERNEL_ACCOUNT);
		if (!from->share)
			return -ENOMEM;
		refcount_set(&from->share->refs, 1);
	}
	refcount_inc(&from->share->refs);
	to->share = from->share;
	to->pages = from->pages;
	to->nr = from->nr;
	to->lazy = from->lazy;
	if (from->nr_slots)
		count_slots(to, from->nr_slots);
	leaf_disown(to);
	leaf_disown(from);
	return 0;
}

static struct altvm_leaf *leaf_alloc(struct altvm_space *space,
				     unsigned long index, gfp_t gfp)
{
	static atomic64_t ids;
	struct altvm_leaf *leaf;

	leaf = kmem_cache_alloc_lru(leaf_cache, &altvm_reclaim_leaves,
				    gfp | __GFP_ACCOUNT | __GFP_ZERO);
	if (!leaf)
		return NULL;
	mutex_init(&leaf->lock);
	INIT_LIST_HEAD(&leaf->lru);
	leaf->space = space;
	leaf->start = ALIGN_DOWN(space->start, PMD_SIZE) + index * PMD_SIZE;
	leaf->id = atomic64_inc_return(&ids);
	return leaf;
}

/**
 * altvm_store_clone() - a copy-on-write copy of all pages
 * @to: a space that is being made, empty, at the same addresses
 * @from: frozen, no fault on it; no PTE of it is writable, and nothing has been
 *	mapped ahead
 *
 * Costs a few hundred instructions a leaf.
 *
 * Return: 0, or -ENOMEM: then @to is to be destroyed.
 */
int altvm_store_clone(struct altvm_space *to, struct altvm_space *from)
{
	struct altvm_leaf *leaf, *copy;
	unsigned long index;
	int ret;

	xa_for_each(&from->leaves, index, leaf) {
		if (!leaf->nr)
			continue;
		copy = leaf_alloc(to, index, GFP_KERNEL);
		if (!copy)
			return -ENOMEM;
		ret = xa_insert(&to->leaves, index, copy, GFP_KERNEL);
		if (ret) {
			kmem_cache_free(leaf_cache, copy);
			return ret;
		}
		mutex_lock(&leaf->lock);
		ret = leaf_clone(copy, leaf);
		mutex_unlock(&leaf->lock);
		if (ret)
			return ret;
		altvm_reclaim_learn(copy);
		cond_resched();
	}
	return 0;
}

/*
 * Undo the cloning of one page: @to gets a copy, @from has the page for itself.
 * No PTE of @to maps it.
 */
static int copy_pinned(struct altvm_space *to, struct altvm_leaf *copy,
		       struct altvm_space *from, struct altvm_leaf *leaf,
		       unsigned long addr)
{
	struct page *old = altvm_leaf_page(leaf, addr);
	struct page *new = altvm_policy_alloc_at(from, addr, 0);

	if (!new)
		return -ENOMEM;
	if (leaf_unshare(copy, GFP_KERNEL_ACCOUNT)) {
		put_page(new);
		return -ENOMEM;
	}
	copy_highpage(new, old);
	altvm_store_adopt(to, copy, addr, new);
	altvm_leaf_set(copy, addr, new);
	if ((!leaf->share || leaf_is_last(leaf)) &&
	    (atomic_long_read(page_state(old)) & TABLES_MASK) == 1)
		altvm_store_adopt(from, leaf, addr, old);
	return 0;
}

static int leaf_copy_pinned(struct altvm_space *to, struct altvm_space *from,
			    struct altvm_leaf *leaf, unsigned long start,
			    unsigned long end)
{
	struct altvm_leaf *copy = altvm_store_find(to, start);
	int ret = 0;

	if (!copy)
		return 0;
	mutex_lock_nested(&copy->lock, SINGLE_DEPTH_NESTING);
	for (; !ret && start < end; start += PAGE_SIZE) {
		struct page *page = altvm_leaf_page(leaf, start);

		if (altvm_page_is_real(page) &&
		    (PageCompound(page) ||
		     folio_maybe_dma_pinned(page_folio(page))))
			ret = copy_pinned(to, copy, from, leaf, start);
	}
	mutex_unlock(&copy->lock);
	return ret;
}

/**
 * altvm_store_copy_pinned() - give back what devices may be writing to, and blocks
 * @to: a clone, not used yet
 * @from: what it was cloned from, still frozen
 *
 * Such pages stay @from's, and @to has copies, as page_needs_cow_for_dma() in mm/
 * has it.
 *
 * Return: 0 or -ENOMEM.
 */
int altvm_store_copy_pinned(struct altvm_space *to, struct altvm_space *from)
{
	struct altvm_leaf *leaf;
	unsigned long lo, hi;
	int ret = 0;

	altvm_for_each_leaf(from, leaf, from->start, from->end, lo, hi) {
		mutex_lock(&leaf->lock);
		if (leaf->nr)
			ret = leaf_copy_pinned(to, from, leaf, lo, hi);
		mutex_unlock(&leaf->lock);
		if (ret)
			break;
	}
	return ret;
}

/**
 * altvm_store_find() - the leaf for an address
 * @space: entered, or in a fault on its window
 * @addr: in the window
 *
 * Return: NULL if there is none yet.
 */
struct altvm_leaf *altvm_store_find(struct altvm_space *space,
				    unsigned long addr)
{
	return xa_load(&space->leaves, leaf_index(space, addr));
}

/**
 * altvm_store_make() - make the leaf for an address
 * @space: entered, or in a fault on its window
 * @addr: in the window
 * @gfp: GFP_KERNEL; with __GFP_NOFAIL it cannot fail
 *
 * Return: the leaf, made by us or by somebody who was faster; NULL if there is no
 * memory.
 */
struct altvm_leaf *altvm_store_make(struct altvm_space *space,
				    unsigned long addr, gfp_t gfp)
{
	unsigned long index = leaf_index(space, addr);
	struct altvm_leaf *leaf = leaf_alloc(space, index, gfp), *old;

	if (!leaf)
		return NULL;
	old = xa_cmpxchg(&space->leaves, index, NULL, leaf, gfp);
	if (!old) {
		altvm_reclaim_learn(leaf);
		return leaf;
	}

	mutex_destroy(&leaf->lock);
	kmem_cache_free(leaf_cache, leaf);
	return xa_is_err(old) ? NULL : old;
}

/**
 * altvm_store_get() - the leaf for an address, made if need be
 * @space: entered, or in a fault on its window
 * @addr: in the window
 *
 * Return: NULL if there is no memory.
 */
struct altvm_leaf *altvm_store_get(struct altvm_space *space,
				   unsigned long addr)
{
	struct altvm_leaf *leaf = altvm_store_find(space, addr);

	return likely(leaf) ? leaf : altvm_store_make(space, addr, GFP_KERNEL);
}

/**
 * altvm_store_next() - the first leaf that meets a range
 * @space: entered
 * @addr: in: start of the range; out: moved up to where the leaf meets it
 * @end: of the range, exclusive
 *
 * Return: NULL if there is none.
 */
struct altvm_leaf *altvm_store_next(struct altvm_space *space,
				    unsigned long *addr, unsigned long end)
{
	unsigned long first, last, index;
	struct altvm_leaf *leaf;

	if (*addr >= end)
		return NULL;
	first = leaf_index(space, *addr);
	last = leaf_index(space, end - 1);
	leaf = xa_load(&space->leaves, first);
	if (leaf || first == last)
		return leaf;
	index = first + 1;
	leaf = xa_find(&space->leaves, &index, last, XA_PRESENT);
	if (leaf)
		*addr = ALIGN_DOWN(space->start, PMD_SIZE) + index * PMD_SIZE;
	return leaf;
}

static int leaf_prepare(struct altvm_leaf *leaf, gfp_t gfp)
{
	BUILD_BUG_ON(PTRS_PER_PTE * sizeof(*leaf->pages) != PAGE_SIZE);

	lockdep_assert_held(&leaf->lock);
	if (leaf->share)
		return leaf_unshare(leaf, gfp);
	if (leaf->pages)
		return 0;
	leaf->pages = (struct page **)get_zeroed_page(gfp);
	return leaf->pages ? 0 : -ENOMEM;
}

/**
 * altvm_leaf_prepare() - make sure that altvm_leaf_set() has where to store
 * @leaf: locked
 *
 * Return: 0 or -ENOMEM.
 */
int altvm_leaf_prepare(struct altvm_leaf *leaf)
{
	return leaf_prepare(leaf, GFP_KERNEL_ACCOUNT);
}

/**
 * altvm_leaf_try_prepare() - the same, but where memory is short, give up at once
 * @leaf: locked
 *
 * Return: 0 or -ENOMEM.
 */
int altvm_leaf_try_prepare(struct altvm_leaf *leaf)
{
	return leaf_prepare(leaf,
			    GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);
}

/**
 * altvm_leaf_trim() - free what an empty leaf does not need
 * @leaf: locked
 */
void altvm_leaf_trim(struct altvm_leaf *leaf)
{
	lockdep_assert_held(&leaf->lock);
	if (!leaf->nr)
		leaf_empty(leaf);
}

/**
 * altvm_leaf_is_empty() - is nothing stored for a range?
 * @leaf: locked
 * @start: in its 2 MiB
 * @end: exclusive
 */
bool altvm_leaf_is_empty(const struct altvm_leaf *leaf, unsigned long start,
			 unsigned long end)
{
	unsigned int i = pte_index(start), nr = (end - start) >> PAGE_SHIFT;

	lockdep_assert_held(&leaf->lock);
	return !leaf->nr ||
	       !memchr_inv(&leaf->pages[i], 0, nr * sizeof(*leaf->pages));
}

/**
 * altvm_leaf_set() - store a page
 * @leaf: locked and prepared
 * @addr: in its 2 MiB
 * @page: whose reference goes to the store, or the zero page
 *
 * What was there before is dropped; no PTE maps it any more.
 */
void altvm_leaf_set(struct altvm_leaf *leaf, unsigned long addr,
		    struct page *page)
{
	struct page **slot = &leaf->pages[pte_index(addr)];

	lockdep_assert_held(&leaf->lock);
	VM_WARN_ON_ONCE(leaf->huge);
	leaf->block = NULL;
	if (!*slot)
		leaf->nr++;
	count_entry(leaf, *slot, -1);
	entry_drop(*slot);
	count_entry(leaf, page, 1);
	leaf->ahead |= page == ALTVM_ZERO_AHEAD;
	*slot = page;
}

/**
 * altvm_leaf_settle() - replace ALTVM_ZERO_AHEAD by what it has turned out to be
 * @leaf: locked
 * @addr: in its 2 MiB, of such an entry
 * @young: has the page been read?
 */
void altvm_leaf_settle(struct altvm_leaf *leaf, unsigned long addr, bool young)
{
	struct page **slot = &leaf->pages[pte_index(addr)];

	lockdep_assert_held(&leaf->lock);
	*slot = young ? ZERO_PAGE(0) : NULL;
	if (!young)
		leaf->nr--;
}

/* Drop one entry, which is there. */
static void leaf_clear(struct altvm_leaf *leaf, unsigned int i)
{
	struct page *page = leaf->pages[i];

	leaf->pages[i] = NULL;
	leaf->nr--;
	leaf->block = NULL;
	if (!leaf->nr) {
		leaf->tried = false;
		leaf->broken = false;
	}
	count_entry(leaf, page, -1);
	entry_drop(page);
}

/**
 * altvm_leaf_strip() - drop the pages of a range
 * @leaf: locked
 * @start: in its 2 MiB
 * @end: exclusive
 *
 * If the leaf is shared, no PTE maps them any more: another space may write to
 * them from now on.  Otherwise PTEs may, and the caller zaps next, see above.
 *
 * Return: how many entries there were.
 */
unsigned int altvm_leaf_strip(struct altvm_leaf *leaf, unsigned long start,
			      unsigned long end)
{
	unsigned int i = pte_index(start), nr = (end - start) >> PAGE_SHIFT;
	unsigned int before = leaf->nr;

	lockdep_assert_held(&leaf->lock);
	if (!leaf->nr)
		return 0;
	VM_WARN_ON_ONCE(leaf->huge);
	leaf->block = NULL;
	if (leaf->share && nr == PTRS_PER_PTE) {
		leaf_empty(leaf);
		return before;
	}
	leaf_unshare(leaf, GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	for (; nr && leaf->nr; nr--, i++)
		if (leaf->pages[i])
			leaf_clear(leaf, i);
	return before - leaf->nr;
}

static bool has_guard(const struct altvm_leaf *leaf, unsigned int i,
		      unsigned int nr)
{
	for (; nr; nr--, i++)
		if (leaf->pages[i] == ALTVM_GUARD)
			return true;
	return false;
}

/**
 * altvm_leaf_discard() - drop the pages of a range, but keep its guards
 * @leaf: locked
 * @start: in its 2 MiB
 * @end: exclusive
 *
 * Otherwise as altvm_leaf_strip().
 */
void altvm_leaf_discard(struct altvm_leaf *leaf, unsigned long start,
			unsigned long end)
{
	unsigned int i = pte_index(start), nr = (end - start) >> PAGE_SHIFT;

	lockdep_assert_held(&leaf->lock);
	if (!leaf->nr)
		return;
	if (leaf->share && !has_guard(leaf, i, nr)) {
		altvm_leaf_strip(leaf, start, end);
		return;
	}
	leaf_unshare(leaf, GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	for (; nr && leaf->nr; nr--, i++)
		if (leaf->pages[i] && leaf->pages[i] != ALTVM_GUARD)
			leaf_clear(leaf, i);
}

/**
 * altvm_leaf_unguard() - drop the guards of a range
 * @leaf: locked
 * @start: in its 2 MiB
 * @end: exclusive
 */
void altvm_leaf_unguard(struct altvm_leaf *leaf, unsigned long start,
			unsigned long end)
{
	unsigned int i = pte_index(start), nr = (end - start) >> PAGE_SHIFT;

	lockdep_assert_held(&leaf->lock);
	if (!leaf->nr || !has_guard(leaf, i, nr))
		return;
	leaf_unshare(leaf, GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	for (; nr; nr--, i++)
		if (leaf->pages[i] == ALTVM_GUARD)
			leaf_clear(leaf, i);
}

/* Whole leaves: what is stored in one comes to be stored in the other. */
static void leaf_swap(struct altvm_leaf *a, struct altvm_leaf *b)
{
	swap(a->nr, b->nr);
	swap(a->nr_slots, b->nr_slots);
	swap(a->lazy, b->lazy);
	swap(a->ahead, b->ahead);
	swap(a->cow, b->cow);
	swap(a->writable, b->writable);
	swap(a->id, b->id);
	swap(a->gen, b->gen);
	swap(a->share, b->share);
	swap(a->pages, b->pages);
	swap(a->huge, b->huge);
	swap(a->tried, b->tried);
	swap(a->broken, b->broken);
	swap(a->block, b->block);
	swap(a->parked, b->parked);
}

/* From now on not all that is stored is owned; but what is stored now, is. */
static void leaf_make_cow(struct altvm_space *space, struct altvm_leaf *leaf,
			  unsigned long addr)
{
	if (leaf->cow)
		return;
	leaf_disown(leaf);
	addr = ALIGN_DOWN(addr, PMD_SIZE);
	for (unsigned int i = 0; i < PTRS_PER_PTE; i++, addr += PAGE_SIZE)
		if (altvm_page_is_real(leaf->pages[i]))
			altvm_store_adopt(space, leaf, addr, leaf->pages[i]);
}

/**
 * altvm_page_is_merged() - has a page been stored by altvm_store_join()?
 * @page: a stored page; its leaf is locked
 *
 * It can be in one table only by now.
 */
bool altvm_page_is_merged(const struct page *page)
{
	return READ_ONCE(page->mapping) == merged_shmem->f_mapping;
}

/**
 * altvm_page_tables() - in how many tables is a page, or how many times?
 * @page: a stored page; its leaf is locked
 *
 * A table that several leaves share is one.
 */
unsigned long altvm_page_tables(struct page *page)
{
	return PageCompound(page) ?
		       1 :
		       atomic_long_read(page_state(page)) & TABLES_MASK;
}

/* Put a page into one more table.  Nobody owns it any more. */
static void page_merge(struct page *page)
{
	long old = atomic_long_read(page_state(page)), new;
	static atomic64_t ids;

	/* Those that have it, too, may be dropping it. */
	do
		new = (old & TABLES_MASK) + 1;
	while (!atomic_long_try_cmpxchg(page_state(page), &old, new));

	/* Who has not freed it lazily is to find it. */
	ClearPageChecked(page);
	if (altvm_page_is_merged(page))
		return;
	page->index = atomic64_inc_return(&ids);
	/* Whoever sees the mapping sees the index. */
	smp_store_release(&page->mapping, merged_shmem->f_mapping);
}

/**
 * altvm_store_join() - store a page at another place, too
 * @to: where it is; no PTE of this place maps it, unless it is merged already
 * @from: whose page is dropped; no PTE of this place maps it; the leaf is prepared
 *
 * Both leaves can be the same.
 */
void altvm_store_join(const struct altvm_entry *to,
		      const struct altvm_entry *from)
{
	struct page *page = altvm_leaf_page(to->leaf, to->addr);

	lockdep_assert_held(&to->leaf->lock);
	lockdep_assert_held(&from->leaf->lock);
	leaf_make_cow(to->space, to->leaf, to->addr);
	leaf_make_cow(from->space, from->leaf, from->addr);
	page_merge(page);
	altvm_leaf_set(from->leaf, from->addr, page);
}

/**
 * altvm_leaf_move() - move what is stored for a range
 * @space: entered
 * @to: leaf, locked; nothing is stored there
 * @new: where to, in its 2 MiB
 * @from: another leaf, locked, or the same
 * @old: where from, in its 2 MiB
 * @len: in bytes
 *
 * Whole leaves are moved at once, whatever is stored in them.  Entries that are moved
 * singly keep their owner; where they are now, they have another identity.
 */
void altvm_leaf_move(struct altvm_space *space, struct altvm_leaf *to,
		     unsigned long new, struct altvm_leaf *from,
		     unsigned long old, unsigned long len)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOFAIL;

	lockdep_assert_held(&to->lock);
	lockdep_assert_held(&from->lock);
	if (!from->nr)
		return;
	if (len == PMD_SIZE) {
		leaf_swap(to, from);
		return;
	}

	VM_WARN_ON_ONCE(from->huge || to->huge);
	from->block = NULL;
	to->block = NULL;
	leaf_unshare(from, gfp);
	leaf_prepare(to, gfp);
	to->ahead |= from->ahead;
	to->writable |= from->writable;
	to->lazy |= from->lazy;
	for (; len; len -= PAGE_SIZE, old += PAGE_SIZE, new += PAGE_SIZE) {
		struct page *page = altvm_leaf_page(from, old);
		bool real = altvm_page_is_real(page), own;

		if (!page)
			continue;
		own = real && altvm_store_own(space, from, old, 0);
		if (real && !own)
			leaf_make_cow(space, to, new);
		from->pages[pte_index(old)] = NULL;
		from->nr--;
		count_entry(from, page, -1);
		to->pages[pte_index(new)] = page;
		to->nr++;
		count_entry(to, page, 1);
		if (own)
			altvm_store_adopt(space, to, new, page);
	}
}

/** altvm_store_module_init() - when the module is loaded */
int __init altvm_store_module_init(void)
{
	leaf_cache = KMEM_CACHE(altvm_leaf, 0);
	if (!leaf_cache)
		return -ENOMEM;
	merged_shmem = shmem_kernel_file_setup("altvm-merged", PAGE_SIZE,
					       VM_NORESERVE);
	if (IS_ERR(merged_shmem)) {
		kmem_cache_destroy(leaf_cache);
		return PTR_ERR(merged_shmem);
	}
	return 0;
}

/** altvm_store_module_exit() - when the module goes */
void altvm_store_module_exit(void)
{
	fput(merged_shmem);
	kmem_cache_destroy(leaf_cache);
}
