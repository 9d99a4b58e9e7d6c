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
 * As long as a page is stored, its ->mapping is that of a shmem file that the
 * space keeps, and its ->index says where in the window it is.  It is not in
 * that file's page cache, nor on any LRU list, so nobody comes to it from there.
 * But for those who come from the PTE it says what they need to know:
 *  - a futex that is not process-private is found by mapping and index;
 *  - get_user_pages_fast() takes pages with a mapping only, and long-term pins
 *    of files only from shmem.
 *
 * Locks: altvm_leaf.lock for a leaf; the leaf itself never goes while the
 * space is there.
 */
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "store.h"

static struct kmem_cache *leaf_cache;

static unsigned long leaf_index(const struct altvm_space *space,
				unsigned long addr)
{
	return (addr >> PMD_SHIFT) - (space->start >> PMD_SHIFT);
}

/**
 * altvm_store_init() - no pages
 * @space: being made
 *
 * Return: 0 or -ENOMEM, -ENFILE.
 */
int altvm_store_init(struct altvm_space *space)
{
	loff_t size = space->end - space->start;

	xa_init_flags(&space->leaves, XA_FLAGS_ACCOUNT);
	space->shmem = shmem_kernel_file_setup("altvm", size, VM_NORESERVE);
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
		mutex_lock(&leaf->lock);
		altvm_leaf_strip(leaf, 0, PMD_SIZE);
		altvm_leaf_trim(leaf);
		mutex_unlock(&leaf->lock);
		mutex_destroy(&leaf->lock);
		kmem_cache_free(leaf_cache, leaf);
		cond_resched();
	}
	xa_destroy(&space->leaves);
	fput(space->shmem);
}

/**
 * altvm_store_adopt() - make a page one of this space's
 * @space: entered, or in a fault on its window
 * @addr: where it is going to be stored
 * @page: nobody else has it
 */
void altvm_store_adopt(struct altvm_space *space, unsigned long addr,
		       struct page *page)
{
	page->index = (addr - space->start) >> PAGE_SHIFT;
	/* Whoever sees the mapping sees the index. */
	smp_store_release(&page->mapping, space->shmem->f_mapping);
}

static void store_disown(struct page *page)
{
	/* The allocator wants it so, and the last reference may not be ours. */
	WRITE_ONCE(page->mapping, NULL);
	put_page(page);
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
 * altvm_store_get() - the leaf for an address, made if need be
 * @space: entered, or in a fault on its window
 * @addr: in the window
 *
 * Return: NULL if there is no memory.
 */
struct altvm_leaf *altvm_store_get(struct altvm_space *space,
				   unsigned long addr)
{
	struct altvm_leaf *leaf = altvm_store_find(space, addr), *old;

	if (likely(leaf))
		return leaf;

	leaf = kmem_cache_zalloc(leaf_cache, GFP_KERNEL_ACCOUNT);
	if (!leaf)
		return NULL;
	mutex_init(&leaf->lock);
	old = xa_cmpxchg(&space->leaves, leaf_index(space, addr), NULL, leaf,
			 GFP_KERNEL);
	if (!old)
		return leaf;

	mutex_destroy(&leaf->lock);
	kmem_cache_free(leaf_cache, leaf);
	return xa_is_err(old) ? NULL : old;
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

/**
 * altvm_leaf_prepare() - make sure that altvm_leaf_set() has where to store
 * @leaf: locked
 *
 * Return: 0 or -ENOMEM.
 */
int altvm_leaf_prepare(struct altvm_leaf *leaf)
{
	BUILD_BUG_ON(PTRS_PER_PTE * sizeof(*leaf->pages) != PAGE_SIZE);

	lockdep_assert_held(&leaf->lock);
	if (leaf->pages)
		return 0;
	leaf->pages = (struct page **)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return leaf->pages ? 0 : -ENOMEM;
}

/**
 * altvm_leaf_trim() - free what an empty leaf does not need
 * @leaf: locked
 */
void altvm_leaf_trim(struct altvm_leaf *leaf)
{
	lockdep_assert_held(&leaf->lock);
	if (leaf->nr)
		return;
	free_page((unsigned long)leaf->pages);
	leaf->pages = NULL;
	leaf->ahead = false;
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
 * altvm_leaf_set() - store a page where there is none, or only the zero page
 * @leaf: locked and prepared
 * @addr: in its 2 MiB
 * @page: whose reference goes to the store, or the zero page
 */
void altvm_leaf_set(struct altvm_leaf *leaf, unsigned long addr,
		    struct page *page)
{
	struct page **slot = &leaf->pages[pte_index(addr)];

	lockdep_assert_held(&leaf->lock);
	if (!*slot)
		leaf->nr++;
	else
		WARN_ON_ONCE(!altvm_page_is_zero(*slot));
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

/**
 * altvm_leaf_strip() - drop the pages of a range
 * @leaf: locked
 * @start: in its 2 MiB
 * @end: exclusive
 *
 * PTEs may still map them; then the caller zaps next, see above.
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
	for (; nr; nr--, i++) {
		struct page *page = leaf->pages[i];

		if (!page)
			continue;
		leaf->pages[i] = NULL;
		leaf->nr--;
		if (!altvm_page_is_zero(page))
			store_disown(page);
	}
	return before - leaf->nr;
}

/** altvm_store_module_init() - when the module is loaded */
int __init altvm_store_module_init(void)
{
	leaf_cache = KMEM_CACHE(altvm_leaf, 0);
	return leaf_cache ? 0 : -ENOMEM;
}

/** altvm_store_module_exit() - when the module goes */
void altvm_store_module_exit(void)
{
	kmem_cache_destroy(leaf_cache);
}
