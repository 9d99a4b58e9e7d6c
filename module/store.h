/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_STORE_H
#define ALTVM_STORE_H

#include <linux/mm.h>
#include <linux/mutex.h>

#include "slot.h"
#include "space.h"

/**
 * struct altvm_share - says that leaves of several spaces have the same @pages
 * @refs: how many leaves
 *
 * Nobody changes a table that is shared.
 */
struct altvm_share {
	refcount_t refs;
};

/**
 * struct altvm_leaf - the pages of 2 MiB of address space, one PTE table's worth
 * @lock: protects the rest, and orders all changes of the PTEs in these 2 MiB
 *	against each other
 * @space: whose; constant
 * @start: of the 2 MiB, in bytes; constant
 * @lru: where reclaim finds it, see reclaim.c
 * @nr: entries that are not NULL
 * @nr_slots: those of them that are slots
 * @lazy: some page may be one that MADV_FREE has been told of, or droppable
 * @ahead: some entry may be ALTVM_ZERO_AHEAD
 * @cow: it was cloned, so that pages may be others' too
 * @id: of what is stored: moves along with all of it; page->index has it
 * @gen: tells the times between clones apart
 * @writable: some PTE may be writable
 * @table: there is a page table, which stays
 * @huge: the pages of @block are mapped by one entry of the table above
 * @tried: do not try to store a block until nothing is stored
 * @broken: they were once, and not all of them may have PTEs yet
 * @block: all that is stored is 512 pages in one, in order; this is the first;
 *	otherwise NULL
 * @parked: the entry of the page table, which is not there while @huge; 0 if
 *	there was none
 * @share: NULL if @pages is this leaf's alone
 * @pages: PTRS_PER_PTE entries, each NULL, the zero page or ALTVM_ZERO_AHEAD
 *	(of which no references are taken), a marker, or a page or a slot of which the
 *	store has a reference; NULL while @nr is 0 or nothing has been stored yet
 *
 * A leaf stays until its space goes: so does the page table above which it
 * stands, which is far larger.
 */
struct altvm_leaf {
	struct mutex lock;
	struct altvm_space *space;
	unsigned long start;
	struct list_head lru;
	unsigned int nr, nr_slots;
	bool ahead, cow, writable, table, lazy, huge, tried, broken;
	u64 id, gen;
	struct page *block;
	pmd_t parked;
	struct altvm_share *share;
	struct page **pages;
};

/**
 * struct altvm_entry - where something is stored
 * @space: entered
 * @leaf: locked
 * @addr: in its 2 MiB
 */
struct altvm_entry {
	struct altvm_space *space;
	struct altvm_leaf *leaf;
	unsigned long addr;
};

/**
 * altvm_for_each_leaf() - the leaves that meet a range, upwards
 * @space: entered
 * @leaf: struct altvm_leaf *
 * @from: start of the range
 * @to: end of the range, exclusive
 * @lo: out: where the part of the range that is in this leaf starts
 * @hi: out: and ends, exclusive
 */
#define altvm_for_each_leaf(space, leaf, from, to, lo, hi)            \
	for ((lo) = (from);                                           \
	     ((leaf) = altvm_store_next(space, &(lo), to)) != NULL && \
	     ((hi) = min((to), ALIGN((lo) + 1, PMD_SIZE)), true);     \
	     (lo) = (hi))

int altvm_store_init(struct altvm_space *space, struct file *shmem);
void altvm_store_destroy(struct altvm_space *space);

int altvm_store_clone(struct altvm_space *to, struct altvm_space *from);
int altvm_store_copy_pinned(struct altvm_space *to, struct altvm_space *from);
void altvm_store_adopt(struct altvm_space *space, struct altvm_leaf *leaf,
		       unsigned long addr, struct page *page);
void altvm_store_put_block(struct altvm_space *space, struct altvm_leaf *leaf,
			   struct page *block);
bool altvm_store_divide(struct altvm_space *space, struct altvm_leaf *leaf);
bool altvm_store_own(struct altvm_space *space, struct altvm_leaf *leaf,
		     unsigned long addr, unsigned int known);
bool altvm_store_is_shared(struct altvm_leaf *leaf, unsigned long addr);
bool altvm_store_is_held(struct altvm_leaf *leaf, unsigned long addr);
bool altvm_store_is_owned(const struct altvm_leaf *leaf, unsigned long addr);
void altvm_store_join(const struct altvm_entry *to,
		      const struct altvm_entry *from);
bool altvm_page_is_merged(const struct page *page);
unsigned long altvm_page_tables(struct page *page);
struct altvm_leaf *altvm_store_find(struct altvm_space *space,
				    unsigned long addr);
struct altvm_leaf *altvm_store_make(struct altvm_space *space,
				    unsigned long addr, gfp_t gfp);
struct altvm_leaf *altvm_store_get(struct altvm_space *space,
				   unsigned long addr);
struct altvm_leaf *altvm_store_next(struct altvm_space *space,
				    unsigned long *addr, unsigned long end);

int altvm_leaf_prepare(struct altvm_leaf *leaf);
int altvm_leaf_try_prepare(struct altvm_leaf *leaf);
void altvm_leaf_trim(struct altvm_leaf *leaf);
bool altvm_leaf_is_empty(const struct altvm_leaf *leaf, unsigned long start,
			 unsigned long end);
void altvm_leaf_set(struct altvm_leaf *leaf, unsigned long addr,
		    struct page *page);
void altvm_leaf_settle(struct altvm_leaf *leaf, unsigned long addr, bool young);
bool altvm_leaf_is_alone(struct altvm_leaf *leaf);
int altvm_leaf_unshare(struct altvm_leaf *leaf, gfp_t gfp);
bool altvm_store_is_alone(struct page *page);
unsigned int altvm_leaf_strip(struct altvm_leaf *leaf, unsigned long start,
			      unsigned long end);
void altvm_leaf_discard(struct altvm_leaf *leaf, unsigned long start,
			unsigned long end);
void altvm_leaf_unguard(struct altvm_leaf *leaf, unsigned long start,
			unsigned long end);
void altvm_leaf_move(struct altvm_space *space, struct altvm_leaf *to,
		     unsigned long new, struct altvm_leaf *from,
		     unsigned long old, unsigned long len);

/**
 * altvm_leaf_page() - what is stored for an address
 * @leaf: locked
 * @addr: in its 2 MiB
 *
 * Return: a page, the zero page, or NULL.
 */
static inline struct page *altvm_leaf_page(const struct altvm_leaf *leaf,
					   unsigned long addr)
{
	return leaf->pages ? leaf->pages[pte_index(addr)] : NULL;
}

/*
 * The zero page, mapped ahead of a reader who may never come: the page counts
 * as resident only if its PTE is young.
 */
#define ALTVM_ZERO_AHEAD ((struct page *)((unsigned long)ZERO_PAGE(0) | 1))

/* May another space have pages of this leaf?  The leaf is locked. */
static inline bool altvm_leaf_is_shared(const struct altvm_leaf *leaf)
{
	return leaf->share || leaf->cow;
}

/* Is an entry one of the two that stand for the zero page? */
static inline bool altvm_page_is_zero(const struct page *page)
{
	return ((unsigned long)page & ~1UL) == (unsigned long)ZERO_PAGE(0);
}

/* Entries that are no page: their bit 1 is set. */
#define ALTVM_MARKER_BIT 2UL
/* An access raises SIGSEGV, see MADV_GUARD_INSTALL. */
#define ALTVM_GUARD ((struct page *)2UL)
/* The memory is broken: an access raises SIGBUS. */
#define ALTVM_POISON ((struct page *)6UL)

static inline bool altvm_page_is_marker(const struct page *page)
{
	return (unsigned long)page & ALTVM_MARKER_BIT;
}

/* Is an entry a page, of which the store has a reference? */
static inline bool altvm_page_is_real(const struct page *page)
{
	return page && !altvm_page_is_marker(page) && !altvm_page_is_zero(page);
}

/*
 * A page that MADV_FREE has been told of may be dropped unless it is dirty, as in mm/
 * one that is not PG_swapbacked.  Nobody else uses this flag of pages like ours, and
 * PG_dirty says what it says elsewhere: the kernel sets it when it removes a dirty PTE.
 */
static inline bool altvm_page_is_lazy(struct page *page)
{
	return !PageCompound(page) && PageChecked(page);
}

int altvm_store_module_init(void);
void altvm_store_module_exit(void);

#endif /* ALTVM_STORE_H */
