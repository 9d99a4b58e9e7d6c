// SPDX-License-Identifier: GPL-2.0
/*
 * Page-table entries: the only file that installs, changes or removes them.
 *
 * The kernel's helpers do the work: vm_insert_page(s) takes the references and
 * keeps rmap and RSS right, zap_vma_ptes undoes that, flushes the TLBs and only
 * then frees.  Both take a VMA: its bounds, flags, and protection.  For private
 * memory nothing else of it is looked at, and no rmap walk ever finds it, so
 * every space has eight of them, one for each protection, each as large as the
 * window.  They are constant, so a PTE can never get the protection of an area
 * that is being changed at this moment, and an area needs none of its own.  Pages
 * of files are mapped with them too; it is by the file area's own VMA that rmap
 * finds those.
 *
 * Changes in place go through apply_to_page_range, under the page-table lock.
 *  - More rights: no flush is needed, but for the right to execute: a fetch
 *    through an old TLB entry raises SIGSEGV without asking us.
 *  - Fewer rights: every CPU must have forgotten the old ones before the caller
 *    tells anybody.  No kernel exports a flush.  So altvm_pte_flush() makes the
 *    kernel flush: tlb_finish_mmu(), at the end of a zap, flushes the whole mm if
 *    somebody else, too, has announced that he is changing PTEs, whether or not the
 *    zap has found any.  So it announces that, and zaps the page above all addresses
 *    that a process can have.
 *    A full flush is worth it for many pages; for a few, callers zap and insert anew
 *    instead.
 * PAGE_NONE is never used: the core takes such a PTE in an accessible window
 * for a NUMA hint and makes it accessible.  PROT_NONE is no PTE.
 *
 * Locks: altvm_leaf.lock of the leaf concerned, so that the PTEs agree with the
 * store and the tree, except where nobody else can be interested: in a range
 * that is busy.
 */
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pgtable.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "compat.h"
#include "file.h"
#include "pte.h"
#include "tree.h"

/* Of altvm_space.vma, after those for the protections. */
enum { ZAP_VMA = ALTVM_NR_PROTS, FLUSH_VMA };

/**
 * altvm_pte_init() - make the VMAs that the kernel's helpers are given
 * @space: being made, zeroed
 * @file: the window's, which outlives the space
 *
 * VM_MIXEDMAP lets vm_insert_page work without mmap_lock, VM_PFNMAP makes
 * zap_vma_ptes act.  VM_RAND_READ spares the zap from marking pages accessed
 * that are on no LRU list; ZAP_VMA is for ranges that may have pages of files.
 */
void altvm_pte_init(struct altvm_space *space, struct file *file)
{
	/* Their index is a protection. */
	BUILD_BUG_ON(VM_ACCESS_FLAGS + 1 != ALTVM_NR_PROTS);
	BUILD_BUG_ON(FLUSH_VMA + 1 != ARRAY_SIZE(space->vma));

	for (unsigned long i = 0; i < ARRAY_SIZE(space->vma); i++) {
		unsigned long prot = i & VM_ACCESS_FLAGS;
		struct vm_area_struct *vma = &space->vma[i];

		vma->vm_mm = space->mm;
		vma->vm_start = i == FLUSH_VMA ? TASK_SIZE_MAX : space->start;
		vma->vm_end = i == FLUSH_VMA ? TASK_SIZE_MAX + PAGE_SIZE :
					       space->end;
		vma->vm_page_prot = vm_get_page_prot(VM_SHARED | prot);
		vma->vm_ops = &altvm_vm_ops;
		vma->vm_file = file;
		vm_flags_init(vma, prot | VM_MIXEDMAP | VM_PFNMAP |
					   VM_DONTEXPAND | VM_NOHUGEPAGE);
		if (i < ALTVM_NR_PROTS)
			vm_flags_init(vma, vma->vm_flags | VM_RAND_READ);
		INIT_LIST_HEAD(&vma->anon_vma_chain);
#ifdef CONFIG_PER_VMA_LOCK
		vma->detached = true;
		vma->vm_lock_seq = -1;
#endif
	}
}

static struct vm_area_struct *pte_vma(struct altvm_space *space,
				      unsigned long attr)
{
	return &space->vma[attr & VM_ACCESS_FLAGS];
}

/* With all of an area's rights but the right to write. */
static struct vm_area_struct *readonly_vma(struct altvm_space *space,
					   unsigned long attr)
{
	return pte_vma(space, (attr & ~VM_WRITE) | VM_READ);
}

/**
 * altvm_pte_zap() - remove the PTEs of a range and flush the TLBs
 * @space: entered, or in a fault on its window
 * @start: page-aligned
 * @end: exclusive
 *
 * Pages that only the PTEs held are freed after the flush.
 *
 * Context: leaf locked, or the range is busy.
 */
void altvm_pte_zap(struct altvm_space *space, unsigned long start,
		   unsigned long end)
{
	unsigned int i = READ_ONCE(space->special) ? ZAP_VMA : 0;

	zap_vma_ptes(&space->vma[i], start, end - start);
}

/* Where the page table for an address is entered; NULL if there is nothing above. */
static pmd_t *pmd_of(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	return pud_none(*pud) ? NULL : pmd_offset(pud, addr);
}

/**
 * altvm_pte_has_entry() - is there where a page table can be entered?
 * @space: entered
 * @addr: in its 2 MiB
 *
 * Once there is, it stays.
 */
bool altvm_pte_has_entry(struct altvm_space *space, unsigned long addr)
{
	return pmd_of(space->mm, addr);
}

static bool has_table(pmd_t *pmd)
{
	return pmd && pmd_present(*pmd) && !pmd_leaf(*pmd);
}

/* --- blocks: 512 pages mapped by one entry of the table above, see huge.c */

/**
 * altvm_pte_count_huge() - count a block as resident, or not any more
 * @space: whose
 * @leaf: locked, or nobody else has it
 * @huge: is it mapped from now on?
 *
 * The kernel counts PTEs only.  Where it has dropped the entry itself, as for an
 * madvise(2) on the window, the block still counts: so what is added is subtracted
 * again, once.
 */
void altvm_pte_count_huge(struct altvm_space *space, struct altvm_leaf *leaf,
			  bool huge)
{
	if (huge == leaf->huge)
		return;
	leaf->huge = huge;
	percpu_counter_add(&space->mm->rss_stat[MM_FILEPAGES],
			   huge ? PTRS_PER_PTE : -PTRS_PER_PTE);
}

/*
 * Take an empty page table away.  Those who walk page tables without a lock may still
 * look at it: it stays as it is, and comes back to this place or to where the block
 * is moved.  Not before the mm tells when it ends, see altvm_huge_unpark().  The entry's
 * table is locked.
 */
static bool park_table(struct altvm_space *space, struct altvm_leaf *leaf,
		       pmd_t *pmd)
{
	spinlock_t *ptl;
	bool empty;

	/* Once it is set it stays. */
	if (!has_table(pmd) || pmd_val(leaf->parked) || !READ_ONCE(space->amm))
		return false;
	ptl = pte_lockptr(space->mm, pmd);
	spin_lock_nested(ptl, SINGLE_DEPTH_NESTING);
	empty = !memchr_inv((void *)pmd_page_vaddr(*pmd), 0, PAGE_SIZE);
	if (empty) {
		leaf->parked = *pmd;
		pmd_clear(pmd);
	}
	spin_unlock(ptl);
	return empty;
}

static void unpark_table(struct altvm_leaf *leaf, pmd_t *pmd)
{
	if (!pmd_val(leaf->parked) || WARN_ON_ONCE(!pmd_none(*pmd)))
		return;
	set_pmd(pmd, leaf->parked);
	leaf->parked = __pmd(0);
}

/**
 * altvm_pte_unpark() - put a page table back before the kernel frees them all
 * @space: the window is going, and nobody is in it
 * @leaf: of the space
 * @addr: in its 2 MiB
 *
 * Whoever frees the page tables flushes the TLBs.
 */
void altvm_pte_unpark(struct altvm_space *space, struct altvm_leaf *leaf,
		      unsigned long addr)
{
	pmd_t *pmd = pmd_of(space->mm, addr);
	spinlock_t *ptl;

	if (!pmd_val(leaf->parked))
		return;
	ptl = pmd_lock(space->mm, pmd);
	if (pmd_trans_huge(*pmd))
		pmdp_huge_get_and_clear(space->mm, addr & PMD_MASK, pmd);
	unpark_table(leaf, pmd);
	spin_unlock(ptl);
}

static pmd_t huge_entry(struct altvm_space *space, struct altvm_leaf *leaf,
			unsigned long attr)
{
	pgprot_t prot = pte_vma(space, attr)->vm_page_prot;
	pmd_t pmd = pmd_mkhuge(pfn_pmd(page_to_pfn(leaf->block), prot));

	if (attr & VM_WRITE)
		pmd = pmd_mkwrite_novma(pmd_mkdirty(pmd));
	return pmd_mkyoung(pmd);
}

/**
 * altvm_pte_insert_huge() - map a block by one entry
 * @space: entered, or in a fault on its window
 * @leaf: locked; it has a block
 * @addr: in its 2 MiB
 * @attr: of the area, which has all of them; not PROT_NONE
 *
 * If there is an entry already, it gets the area's rights.  As altvm_pte_protect()
 * it does not flush.
 *
 * The entry takes no reference: the store keeps the block until nobody can reach it
 * any more.  For get_user_pages() it is like any other large folio; rmap and the
 * page's map count do not know of it, as they know of no other page that is stored.
 *
 * Return: false if there is a page table which is not empty, or nowhere to put the
 * entry.
 */
bool altvm_pte_insert_huge(struct altvm_space *space, struct altvm_leaf *leaf,
			   unsigned long addr, unsigned long attr)
{
	pmd_t *pmd = pmd_of(space->mm, addr);
	spinlock_t *ptl;
	bool done;

	addr &= PMD_MASK;
	if (!pmd) {
		/* The table that this makes beside those above it is parked. */
		if (altvm_pte_populate(space, addr))
			return false;
		pmd = pmd_of(space->mm, addr);
	}
	ptl = pmd_lock(space->mm, pmd);
	/* Clear first: the CPU may be setting the dirty bit. */
	if (pmd_trans_huge(*pmd))
		pmdp_huge_get_and_clear(space->mm, addr, pmd);
	done = pmd_none(*pmd) || park_table(space, leaf, pmd);
	if (done)
		set_pmd_at(space->mm, addr, pmd, huge_entry(space, leaf, attr));
	spin_unlock(ptl);
	if (done)
		altvm_pte_count_huge(space, leaf, true);
	return done;
}

/**
 * altvm_pte_clear_huge() - remove the entry of a block, and do not flush
 * @space: entered, or frozen by a fork, which flushes
 * @leaf: locked; it has a block
 * @addr: in its 2 MiB
 */
void altvm_pte_clear_huge(struct altvm_space *space, struct altvm_leaf *leaf,
			  unsigned long addr)
{
	pmd_t *pmd = pmd_of(space->mm, addr);
	spinlock_t *ptl;

	if (!leaf->huge)
		return;
	ptl = pmd_lock(space->mm, pmd);
	if (pmd_trans_huge(*pmd))
		pmdp_huge_get_and_clear(space->mm, addr & PMD_MASK, pmd);
	unpark_table(leaf, pmd);
	spin_unlock(ptl);
	altvm_pte_count_huge(space, leaf, false);
}

/**
 * altvm_pte_drop_huge() - remove the entry of a block and flush the TLBs
 * @space: entered, or in a fault on its window
 * @leaf: locked
 * @addr: in its 2 MiB
 */
void altvm_pte_drop_huge(struct altvm_space *space, struct altvm_leaf *leaf,
			 unsigned long addr)
{
	if (!leaf->huge)
		return;
	addr &= PMD_MASK;
	altvm_pte_zap(space, addr, addr + PMD_SIZE);
	altvm_pte_clear_huge(space, leaf, addr);
}

/**
 * altvm_pte_break() - make ordinary pages of a block, if there is one
 * @space: entered, or in a fault on its window
 * @leaf: locked
 * @addr: in its 2 MiB
 *
 * To be called before anything is done to a part of a leaf.  What is left is mapped
 * by the next fault.
 */
void altvm_pte_break(struct altvm_space *space, struct altvm_leaf *leaf,
		     unsigned long addr)
{
	if (likely(!leaf->block))
		return;
	altvm_pte_drop_huge(space, leaf, addr);
	leaf->broken = true;
	if (!altvm_store_divide(space, leaf))
		WRITE_ONCE(space->undivided, true);
}

static bool is_whole(unsigned long start, unsigned long end)
{
	return end - start == PMD_SIZE;
}

/**
 * altvm_pte_zap_leaf() - altvm_pte_zap() for part of a leaf, or all of it
 * @space: entered, or in a fault on its window
 * @leaf: locked
 * @start: in its 2 MiB
 * @end: exclusive
 *
 * A block stays one if all of it is zapped.
 */
void altvm_pte_zap_leaf(struct altvm_space *space, struct altvm_leaf *leaf,
			unsigned long start, unsigned long end)
{
	if (leaf->block && is_whole(start, end)) {
		altvm_pte_drop_huge(space, leaf, start);
		return;
	}
	altvm_pte_break(space, leaf, start);
	altvm_pte_zap(space, start, end);
}

/* The block: has it been accessed?  Forget it. */
static bool age_huge(struct altvm_space *space, struct altvm_leaf *leaf,
		     unsigned long addr)
{
	pmd_t *pmd = pmd_of(space->mm, addr);
	spinlock_t *ptl;
	bool young;

	if (!leaf->huge)
		return false;
	ptl = pmd_lock(space->mm, pmd);
	young = pmd_trans_huge(*pmd) &&
		test_and_clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)pmd);
	spin_unlock(ptl);
	return young;
}

/* --- pages */

/*
 * What a walk over the PTEs of a leaf needs.  The kernel calls back for the first
 * PTE, with its table locked, and the callback goes on within the table: one
 * call for each would cost more than the work.
 */
struct walk {
	struct altvm_space *space;
	struct altvm_leaf *leaf;
	unsigned long end;
	struct vm_area_struct *vma, *readonly;
	unsigned long attr;
	struct page *page;
	pte_t *ptes;
	unsigned long *bitmap;
	bool old, young, done;
};

/* Where there is no PTE, map the zero page. */
static int walk_set_zero(pte_t *pte, unsigned long addr, void *data)
{
	unsigned long pfn = page_to_pfn(ZERO_PAGE(0));
	struct walk *w = data;
	pte_t zero = pte_mkspecial(pfn_pte(pfn, w->readonly->vm_page_prot));

	if (w->old)
		zero = pte_mkold(zero);
	for (; addr < w->end; addr += PAGE_SIZE, pte++)
		if (pte_none(ptep_get(pte)))
			set_pte_at(w->space->mm, addr, pte, zero);
	return 0;
}

/* A special PTE counts nowhere and takes no reference. */
static int pte_insert_zero(struct altvm_space *space, unsigned long start,
			   unsigned long end, unsigned long attr, bool old)
{
	struct walk w = {
		.space = space,
		.end = end,
		.readonly = readonly_vma(space, attr),
		.old = old,
	};

	return apply_to_page_range(space->mm, start, PAGE_SIZE, walk_set_zero,
				   &w);
}

/**
 * altvm_pte_insert_ahead() - map the zero page where there is no PTE yet
 * @space: entered, or in a fault on its window
 * @start: page-aligned
 * @end: exclusive, in the same 2 MiB
 * @attr: of the area
 *
 * Context: leaf locked.
 * Return: 0 or -ENOMEM.
 */
int altvm_pte_insert_ahead(struct altvm_space *space, unsigned long start,
			   unsigned long end, unsigned long attr)
{
	return pte_insert_zero(space, start, end, attr, true);
}

static int walk_young(pte_t *pte, unsigned long addr, void *data)
{
	struct walk *w = data;

	w->young = pte_young(ptep_get(pte));
	return 0;
}

/**
 * altvm_pte_young() - has the page been accessed through its PTE?
 * @space: entered
 * @addr: page-aligned
 *
 * Context: leaf locked.
 */
bool altvm_pte_young(struct altvm_space *space, unsigned long addr)
{
	struct walk w = {};

	apply_to_existing_page_range(space->mm, addr, PAGE_SIZE, walk_young,
				     &w);
	return w.young;
}

/*
 * Of the zero page, it says whether it was mapped ahead.  Of files, it is the kernel's
 * reclaim that wants to know.
 */
static bool may_age(const struct walk *w, const struct page *page)
{
	return altvm_page_is_real(page) || (!page && !w->bitmap);
}

static int walk_age(pte_t *pte, unsigned long addr, void *data)
{
	struct walk *w = data;

	for (; addr < w->end; addr += PAGE_SIZE, pte++)
		if (may_age(w, altvm_leaf_page(w->leaf, addr)) &&
		    pte_present(ptep_get(pte)) &&
		    test_and_clear_bit(_PAGE_BIT_ACCESSED,
				       (unsigned long *)&pte->pte) &&
		    w->bitmap)
			__set_bit(pte_index(addr), w->bitmap);
	return 0;
}

/**
 * altvm_pte_age() - take note of which pages were accessed, and forget it
 * @space: entered
 * @leaf: locked
 * @start: in its 2 MiB
 * @end: exclusive
 * @young: PTRS_PER_PTE bits: those of stored pages that were accessed are set; or NULL,
 *	then what is mapped of files is meant, too
 *
 * Does not flush, as ptep_clear_flush_young() on this architecture: an access through
 * a TLB entry that is left will not be noted.
 */
void altvm_pte_age(struct altvm_space *space, struct altvm_leaf *leaf,
		   unsigned long start, unsigned long end, unsigned long *young)
{
	struct walk w = {
		.space = space,
		.leaf = leaf,
		.end = end,
		.bitmap = young,
	};

	if (leaf->block) {
		if (age_huge(space, leaf, start) && young)
			bitmap_set(young, pte_index(start),
				   (end - start) >> PAGE_SHIFT);
		return;
	}
	apply_to_existing_page_range(space->mm, start, PAGE_SIZE, walk_age, &w);
}

/**
 * altvm_pte_settle() - find out which pages mapped ahead were accessed
 * @space: entered
 * @leaf: locked
 * @start: in its 2 MiB
 * @end: exclusive
 *
 * To be called right before PTEs are zapped whose pages stay in the store: where
 * nobody has read, the entry goes, and so must the PTE.
 */
void altvm_pte_settle(struct altvm_space *space, struct altvm_leaf *leaf,
		      unsigned long start, unsigned long end)
{
	if (!leaf->ahead)
		return;
	for (; start < end; start += PAGE_SIZE)
		if (altvm_leaf_page(leaf, start) == ALTVM_ZERO_AHEAD)
			altvm_leaf_settle(leaf, start,
					  altvm_pte_young(space, start));
}

/* The VMA to map a real page with: writable only if no other space has it. */
static struct vm_area_struct *page_vma(struct altvm_space *space,
				       struct altvm_leaf *leaf,
				       unsigned long addr, unsigned long attr)
{
	if (!(attr & VM_WRITE) || !altvm_store_own(space, leaf, addr, 0))
		return readonly_vma(space, attr);
	leaf->writable = true;
	return pte_vma(space, attr);
}

/**
 * altvm_pte_insert() - map what a leaf has for an address
 * @space: entered, or in a fault on its window
 * @leaf: locked; it has something
 * @addr: page-aligned
 * @attr: of the area
 *
 * Markers are never mapped.
 *
 * Return: 0; -EBUSY if there is a PTE already, which stays; -ENOMEM.
 */
int altvm_pte_insert(struct altvm_space *space, struct altvm_leaf *leaf,
		     unsigned long addr, unsigned long attr)
{
	struct page *page = altvm_leaf_page(leaf, addr);

	if (altvm_page_is_marker(page))
		return 0;
	altvm_pte_break(space, leaf, addr);
	if (altvm_page_is_zero(page))
		return pte_insert_zero(space, addr, addr + PAGE_SIZE, attr,
				       false);
	return vm_insert_page(page_vma(space, leaf, addr, attr), addr, page);
}

static bool is_mappable(const struct page *page)
{
	return page && !altvm_page_is_marker(page);
}

/* How many real pages there are from @addr on, without a gap. */
static unsigned long leaf_run(const struct altvm_leaf *leaf, unsigned long addr,
			      unsigned long end)
{
	unsigned long nr = 0;

	while (addr < end && altvm_page_is_real(altvm_leaf_page(leaf, addr))) {
		addr += PAGE_SIZE;
		nr++;
	}
	return nr;
}

/* Map a run of real pages from *addr on, and move that to where it ended. */
static int insert_run(struct altvm_space *space, struct altvm_leaf *leaf,
		      unsigned long *addr, unsigned long nr, unsigned long attr)
{
	struct page **pages = &leaf->pages[pte_index(*addr)];
	unsigned long left = nr;
	int ret;

	ret = vm_insert_pages(page_vma(space, leaf, *addr, attr), *addr, pages,
			      &left);
	*addr += (nr - left) << PAGE_SHIFT;
	return ret;
}

/**
 * altvm_pte_insert_leaf() - map what a leaf has for a range
 * @space: entered
 * @leaf: locked
 * @start: in its 2 MiB
 * @end: exclusive
 * @attr: of the area that the range is in
 *
 * PTEs that are there already stay as they are.
 *
 * Return: 0 or -ENOMEM; a fault maps what is missing then.
 */
int altvm_pte_insert_leaf(struct altvm_space *space, struct altvm_leaf *leaf,
			  unsigned long start, unsigned long end,
			  unsigned long attr)
{
	/* In a leaf that is shared, each page may have other rights. */
	bool single = altvm_leaf_is_shared(leaf);
	int ret = 0;

	if (leaf->block) {
		if (is_whole(start, end) &&
		    altvm_pte_insert_huge(space, leaf, start, attr))
			return 0;
		altvm_pte_break(space, leaf, start);
	}
	while (leaf->nr && start < end) {
		unsigned long nr = leaf_run(leaf, start, end);

		if (nr > 1 && !single) {
			ret = insert_run(space, leaf, &start, nr, attr);
			if (!ret)
				continue;
		} else if (is_mappable(altvm_leaf_page(leaf, start))) {
			ret = altvm_pte_insert(space, leaf, start, attr);
		}
		if (ret && ret != -EBUSY)
			return ret;
		start += PAGE_SIZE;
	}
	return 0;
}

/**
 * altvm_pte_insert_around() - map what is cached of a file around an address
 * @fa: the area, in a fault on its window
 * @vmf: the core's, of the fault
 * @addr: of the fault, page-aligned
 * @start: in its 2 MiB; nothing is stored from here
 * @end: to here, exclusive
 *
 * As do_fault_around() in mm/.
 *
 * Context: leaf locked.
 * Return: is @addr mapped now?
 */
bool altvm_pte_insert_around(struct altvm_file_area *fa, struct vm_fault *vmf,
			     unsigned long addr, unsigned long start,
			     unsigned long end)
{
	struct vm_fault around = {
		.vma = &fa->vma,
		.pgoff = altvm_file_pgoff(fa, addr),
		.address = addr,
		.real_address = addr,
		.pmd = vmf->pmd,
		.prealloc_pte = vmf->prealloc_pte,
	};
	vm_fault_t ret;

	if (fa->vma.vm_ops->map_pages != filemap_map_pages)
		return false;
	ret = filemap_map_pages(&around, altvm_file_pgoff(fa, start),
				altvm_file_pgoff(fa, end - PAGE_SIZE));
	vmf->prealloc_pte = around.prealloc_pte;
	return ret & VM_FAULT_NOPAGE;
}

static bool maps_page(const struct walk *w, pte_t pte)
{
	return pte_present(pte) && pte_pfn(pte) == page_to_pfn(w->page);
}

static int walk_mkdirty(pte_t *pte, unsigned long addr, void *data)
{
	struct walk *w = data;
	pte_t old = ptep_get(pte);

	if (maps_page(w, old))
		set_pte_at(w->space->mm, addr, pte, pte_mkdirty(old));
	return 0;
}

/**
 * altvm_pte_mkdirty() - mark a PTE dirty which is not writable
 * @space: in a fault on its window
 * @addr: page-aligned
 * @page: locked, and may be written to; does nothing if it is not mapped there
 *
 * Context: the leaf need not be locked: whatever the area is, and whoever changes
 * it, a page that is dirty is dirty.
 */
void altvm_pte_mkdirty(struct altvm_space *space, unsigned long addr,
		       struct page *page)
{
	struct walk w = { .space = space, .page = page };

	apply_to_existing_page_range(space->mm, addr, PAGE_SIZE, walk_mkdirty,
				     &w);
}

static int walk_mkwrite(pte_t *pte, unsigned long addr, void *data)
{
	struct walk *w = data;
	pte_t old = ptep_get(pte);

	w->done = maps_page(w, old) && (!w->old || pte_dirty(old));
	if (w->done && !pte_write(old))
		set_pte_at(w->space->mm, addr, pte,
			   pte_mkyoung(pte_mkdirty(pte_mkwrite_novma(old))));
	return 0;
}

/**
 * altvm_pte_mkwrite() - let a page of a file be written
 * @space: in a fault on its window
 * @addr: page-aligned
 * @page: of a shared mapping that may be written
 * @marked: only if altvm_pte_mkdirty() has marked it, and it has not been written
 *	back since
 *
 * Context: leaf locked.
 * Return: can it be written now?
 */
bool altvm_pte_mkwrite(struct altvm_space *space, unsigned long addr,
		       struct page *page, bool marked)
{
	struct walk w = { .space = space, .page = page, .old = marked };

	apply_to_existing_page_range(space->mm, addr, PAGE_SIZE, walk_mkwrite,
				     &w);
	return w.done;
}

/**
 * altvm_pte_insert_file() - map a page of a file
 * @space: in a fault on its window
 * @addr: page-aligned
 * @page: locked
 * @attr: of the area
 * @write: may it be written?  Otherwise not, whatever the area's rights are
 *
 * Context: leaf locked, page table populated.
 * Return: 0; -EBUSY if something is mapped there.
 */
int altvm_pte_insert_file(struct altvm_space *space, unsigned long addr,
			  struct page *page, unsigned long attr, bool write)
{
	return vm_insert_page(write ? pte_vma(space, attr) :
				      readonly_vma(space, attr),
			      addr, page);
}

/* pte_modify() would do, but wants a symbol that is not exported. */
static pte_t pte_with_prot(pte_t pte, pgprotval_t prot)
{
	if (prot & _PAGE_RW)
		pte = pte_clear_saveddirty(pte_mkwrite_novma(pte));
	else
		pte = pte_wrprotect(pte);
	if (prot & _PAGE_NX & __supported_pte_mask)
		return pte_set_flags(pte, _PAGE_NX);
	return pte_mkexec(pte);
}

/* May a PTE, which is @old, be writable if its area is? */
static bool may_be_writable(struct walk *w, unsigned long addr, pte_t old)
{
	/* The zero page. */
	if (pte_special(old))
		return false;
	/* A page of a file: whoever may store there has asked before. */
	if (w->attr & ALTVM_ATTR_MAY && !altvm_leaf_page(w->leaf, addr))
		return w->attr & VM_SHARED &&
		       (pte_write(old) || !(w->attr & ALTVM_ATTR_NOTIFY));
	return !w->readonly || altvm_store_own(w->space, w->leaf, addr, 0);
}

/*
 * A page of a file that is being moved: its new PTE gets the VMA's protection, but
 * that it is writable is in the entry.  As change_pte_range() in mm/.
 */
static void protect_migrating(struct walk *w, unsigned long addr, pte_t *pte,
			      pte_t old)
{
	swp_entry_t entry = pte_to_swp_entry(old);
	pte_t new;

	if (w->attr & VM_WRITE || !is_writable_migration_entry(entry))
		return;
	entry = make_readable_migration_entry(swp_offset(entry));
	new = swp_entry_to_pte(entry);
	if (pte_swp_soft_dirty(old))
		new = pte_swp_mksoft_dirty(new);
	set_pte_at(w->space->mm, addr, pte, new);
}

static int walk_protect(pte_t *pte, unsigned long addr, void *data)
{
	struct walk *w = data;

	for (; addr < w->end; addr += PAGE_SIZE, pte++) {
		struct vm_area_struct *vma = w->vma;
		pte_t old = ptep_get(pte);

		if (!pte_present(old)) {
			if (!pte_none(old))
				protect_migrating(w, addr, pte, old);
			continue;
		}
		if (!may_be_writable(w, addr, old))
			vma = readonly_vma(w->space, vma->vm_flags);
		/* Clear first: the CPU may be setting the dirty bit. */
		set_pte_at(w->space->mm, addr, pte,
			   pte_with_prot(ptep_get_and_clear(w->space->mm, addr,
							    pte),
					 pgprot_val(vma->vm_page_prot)));
	}
	return 0;
}

/**
 * altvm_pte_protect() - change the protection of PTEs in place
 * @space: entered, or in a fault on its window
 * @leaf: locked
 * @start: in its 2 MiB
 * @end: exclusive
 * @attr: with the new protection, not PROT_NONE
 *
 * Does not flush: where rights are taken away, or that to execute comes in,
 * altvm_pte_flush() must follow before the call returns to its user.
 */
void altvm_pte_protect(struct altvm_space *space, struct altvm_leaf *leaf,
		       unsigned long start, unsigned long end,
		       unsigned long attr)
{
	struct walk w = {
		.space = space,
		.leaf = leaf,
		.end = end,
		.vma = pte_vma(space, attr),
		.attr = attr,
	};

	if (leaf->block && is_whole(start, end)) {
		if (leaf->huge)
			altvm_pte_insert_huge(space, leaf, start, attr);
		return;
	}
	altvm_pte_break(space, leaf, start);
	if (attr & VM_WRITE && altvm_leaf_is_shared(leaf))
		w.readonly = readonly_vma(space, attr);
	leaf->writable |= attr & VM_WRITE;
	/* It fails only where it has to make a page table: nothing is mapped. */
	apply_to_page_range(space->mm, start, PAGE_SIZE, walk_protect, &w);
}

/* What is dirty does not matter in the store, but to MADV_FREE. */
static void note_dirty(struct walk *w, unsigned long addr, pteval_t old)
{
	struct page *page = altvm_leaf_page(w->leaf, addr);

	if (old & _PAGE_DIRTY && altvm_page_is_real(page) &&
	    altvm_page_is_lazy(page))
		SetPageDirty(page);
}

static int walk_wrprotect(pte_t *pte, unsigned long addr, void *data)
{
	const long bits = _PAGE_RW | _PAGE_DIRTY;
	struct walk *w = data;

	for (; addr < w->end; addr += PAGE_SIZE, pte++) {
		atomic_long_t *entry = (atomic_long_t *)pte;

		if (!(atomic_long_read(entry) & _PAGE_RW))
			continue;
		/* What it was costs more to know. */
		if (likely(!w->leaf->lazy))
			atomic_long_andnot(bits, entry);
		else
			note_dirty(w, addr,
				   atomic_long_fetch_andnot(bits, entry));
	}
	return 0;
}

/**
 * altvm_pte_wrprotect() - write-protect what is mapped of a leaf
 * @space: frozen, no fault on its window
 * @leaf: locked
 * @start: page-aligned
 * @end: exclusive, in the same 2 MiB
 *
 * Does not flush: fork does, see altvm_space_vm_open().
 */
void altvm_pte_wrprotect(struct altvm_space *space, struct altvm_leaf *leaf,
			 unsigned long start, unsigned long end)
{
	struct walk w = { .space = space, .leaf = leaf, .end = end };

	apply_to_page_range(space->mm, start, PAGE_SIZE, walk_wrprotect, &w);
}

/* What locks page tables is one class for lockdep.  Either can be NULL. */
static void lock_two(spinlock_t *a, spinlock_t *b, unsigned int subclass)
	__acquires(a) __acquires(b)
{
	if (a > b)
		swap(a, b);
	if (a)
		spin_lock_nested(a, subclass);
	else
		__acquire(a);
	if (b && a != b)
		spin_lock_nested(b, subclass + 1);
	else
		__acquire(b);
}

static void unlock_two(spinlock_t *a, spinlock_t *b) __releases(a) __releases(b)
{
	if (a)
		spin_unlock(a);
	else
		__release(a);
	if (b && a != b)
		spin_unlock(b);
	else
		__release(b);
}

/* The lock of a page table; NULL if there is none, or only that of the whole mm. */
static spinlock_t *table_lock(struct mm_struct *mm, pmd_t *pmd)
{
	if (!has_table(pmd) || pte_lockptr(mm, pmd) == pmd_lockptr(mm, pmd))
		return NULL;
	return pte_lockptr(mm, pmd);
}

static void swap_entries(pmd_t *a, pmd_t *b)
{
	pmd_t pmd = *a;

	set_pmd(a, *b);
	set_pmd(b, pmd);
}

/*
 * Nobody may be at work in a table while it comes to be for other addresses: a zap by
 * the kernel would flush those that it began with, and CPUs may know a page by the
 * others by now.
 */
static void swap_tables(struct mm_struct *mm, pmd_t *a, pmd_t *b)
{
	spinlock_t *lock_a = table_lock(mm, a), *lock_b = table_lock(mm, b);

	lock_two(lock_a, lock_b, 2);
	swap_entries(a, b);
	unlock_two(lock_a, lock_b);
}

/**
 * altvm_pte_swap_tables() - exchange the page tables of two leaves
 * @space: entered
 * @a: 2 MiB-aligned
 * @b: the same of the other
 *
 * What move_normal_pmd() in mm/ does for mremap, but nothing has to be empty.  Those
 * who walk page tables without a lock look again whether a table is still in its place
 * when they have found something there.  Only where no rmap comes: there are no pages of
 * files.  Where there is the entry of a block instead, or nothing, that moves.
 *
 * Does not flush: altvm_pte_flush() must follow before the call returns to its user.
 *
 * Context: both leaves locked, both ranges busy.
 */
void altvm_pte_swap_tables(struct altvm_space *space, unsigned long a,
			   unsigned long b)
{
	pmd_t *pa = pmd_of(space->mm, a), *pb = pmd_of(space->mm, b);
	spinlock_t *lock_a, *lock_b;

	if (!pa || !pb || (pmd_none(*pa) && pmd_none(*pb)))
		return;
	lock_a = pmd_lockptr(space->mm, pa);
	lock_b = pmd_lockptr(space->mm, pb);
	lock_two(lock_a, lock_b, 0);
	swap_tables(space->mm, pa, pb);
	unlock_two(lock_a, lock_b);
}

static int walk_take(pte_t *pte, unsigned long addr, void *data)
{
	struct walk *w = data;
	pte_t *buf = w->ptes;

	for (; addr < w->end; addr += PAGE_SIZE, pte++, buf++) {
		*buf = ptep_get(pte);
		/* Clear first: the CPU may be setting the dirty bit. */
		if (!pte_none(*buf))
			*buf = ptep_get_and_clear(w->space->mm, addr, pte);
	}
	return 0;
}

static int walk_give(pte_t *pte, unsigned long addr, void *data)
{
	struct walk *w = data;
	pte_t *buf = w->ptes;

	for (; addr < w->end; addr += PAGE_SIZE, pte++, buf++)
		if (!pte_none(*buf))
			set_pte_at(w->space->mm, addr, pte, *buf);
	return 0;
}

/**
 * altvm_pte_move() - move the PTEs of a range
 * @space: entered
 * @new: where to, populated; nothing is mapped there
 * @old: where from, in one leaf
 * @len: in bytes; both ranges lie in one leaf each
 * @ptes: room for as many PTEs
 *
 * They have the same references and counts as before, so nothing else changes.  Only
 * where no rmap comes, and does not flush, as altvm_pte_swap_tables().
 *
 * Context: as altvm_pte_swap_tables().
 */
void altvm_pte_move(struct altvm_space *space, unsigned long new,
		    unsigned long old, unsigned long len, pte_t *ptes)
{
	struct walk w = { .space = space, .end = old + len, .ptes = ptes };

	memset(ptes, 0, (len >> PAGE_SHIFT) * sizeof(*ptes));
	/* It fails only where it has to make a page table: nothing is mapped. */
	apply_to_page_range(space->mm, old, PAGE_SIZE, walk_take, &w);
	w.end = new + len;
	/* There is a page table, so this cannot fail. */
	apply_to_page_range(space->mm, new, PAGE_SIZE, walk_give, &w);
}

/**
 * struct misplaced - a search for pages on other nodes
 * @leaf: locked
 * @end: of the range, exclusive
 * @nodes: where pages should be
 * @shared: count those that are mapped several times, too
 * @nr: how many there are
 */
struct misplaced {
	struct altvm_leaf *leaf;
	unsigned long end;
	const nodemask_t *nodes;
	bool shared;
	unsigned long nr;
};

static int walk_misplaced(pte_t *pte, unsigned long addr, void *data)
{
	struct misplaced *m = data;

	for (; addr < m->end; addr += PAGE_SIZE, pte++) {
		pte_t old = ptep_get(pte);
		struct page *page;

		if (!pte_present(old) || pte_special(old) ||
		    altvm_leaf_page(m->leaf, addr))
			continue;
		page = pfn_to_page(pte_pfn(old));
		if (!node_isset(page_to_nid(page), *m->nodes) &&
		    (m->shared ||
		     !folio_likely_mapped_shared(page_folio(page))))
			m->nr++;
	}
	return 0;
}

/**
 * altvm_pte_count_misplaced() - pages of a file that are on other nodes
 * @space: entered
 * @leaf: locked
 * @start: in its 2 MiB
 * @end: exclusive
 * @nodes: where pages should be
 * @shared: count those that are mapped several times, too
 *
 * Return: how many of those that are mapped here.
 */
unsigned long altvm_pte_count_misplaced(struct altvm_space *space,
					struct altvm_leaf *leaf,
					unsigned long start, unsigned long end,
					const nodemask_t *nodes, bool shared)
{
	struct misplaced m = {
		.leaf = leaf,
		.end = end,
		.nodes = nodes,
		.shared = shared,
	};

	apply_to_existing_page_range(space->mm, start, PAGE_SIZE,
				     walk_misplaced, &m);
	return m.nr;
}

static int pte_ignore(pte_t *pte, unsigned long addr, void *data)
{
	return 0;
}

/**
 * altvm_pte_populate() - make sure that an address has a page table
 * @space: entered, or in a fault on its window
 * @addr: page-aligned
 *
 * It stays until the window goes.
 *
 * Return: 0 or -ENOMEM.
 */
int altvm_pte_populate(struct altvm_space *space, unsigned long addr)
{
	return apply_to_page_range(space->mm, addr, PAGE_SIZE, pte_ignore,
				   NULL);
}

/**
 * altvm_pte_flush() - flush the whole mm from every CPU's TLB
 * @space: entered
 *
 * Whoever had to wait while somebody else's flush began and ended needs none
 * of his own.
 *
 * Context: takes altvm_space.flush_lock; no leaf is locked.
 */
void altvm_pte_flush(struct altvm_space *space)
{
	struct vm_area_struct *vma = &space->vma[FLUSH_VMA];
	unsigned long gen = READ_ONCE(space->flush_gen);

	mutex_lock(&space->flush_lock);
	if (space->flush_gen - gen < 2) {
		WRITE_ONCE(space->flush_gen, space->flush_gen + 1);
		inc_tlb_flush_pending(space->mm);
		zap_vma_ptes(vma, vma->vm_start, PAGE_SIZE);
		dec_tlb_flush_pending(space->mm);
	}
	mutex_unlock(&space->flush_lock);
}
