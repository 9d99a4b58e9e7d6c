// SPDX-License-Identifier: GPL-2.0
/*
 * The pages of files: what a fault asks the file system for.
 *
 * The file system sees the area's own VMA and a struct vm_fault of its own, with
 * none of the flags that would let it drop, or rely on, the core's locks.
 *
 * Locks: a page is fetched, which may mean reading it from a disk, with nothing
 * locked but what the core holds in a fault.  It comes back unlocked: with the
 * leaf locked it is locked again and looked at, for a truncation may have been
 * faster.  In this order, because memory is allocated with the leaf locked, and
 * reclaim may wait for whoever waits for the page's lock.
 */
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/writeback.h>

#include "pagecache.h"

/* What file systems understand when they are not called by the core. */
#define FETCH_FLAGS                                               \
	(FAULT_FLAG_WRITE | FAULT_FLAG_USER | FAULT_FLAG_REMOTE | \
	 FAULT_FLAG_INSTRUCTION)

static gfp_t fault_gfp(struct altvm_file_area *fa)
{
	return mapping_gfp_mask(fa->mapping) | __GFP_FS | __GFP_IO;
}

/**
 * altvm_pagecache_fetch() - have the file system provide a page
 * @fa: the area, referenced
 * @addr: page-aligned
 * @flags: FAULT_FLAG_*
 * @page: out: a referenced page, not locked
 *
 * As __do_fault() in mm/.
 *
 * Context: may do I/O; no lock of ours is held.
 * Return: 0 or VM_FAULT_MAJOR and a page; or no page: VM_FAULT_NOPAGE to try
 * again, or an error of vm_ops->fault, VM_FAULT_SIGBUS beyond the end of the file.
 */
vm_fault_t altvm_pagecache_fetch(struct altvm_file_area *fa, unsigned long addr,
				 unsigned int flags, struct page **page)
{
	struct vm_fault vmf = {
		.vma = &fa->vma,
		.gfp_mask = fault_gfp(fa),
		.pgoff = altvm_file_pgoff(fa, addr),
		.address = addr,
		.real_address = addr,
		.flags = flags & FETCH_FLAGS,
	};
	vm_fault_t ret;

	ret = fa->vma.vm_ops->fault(&vmf);
	if (ret & (VM_FAULT_ERROR | VM_FAULT_NOPAGE | VM_FAULT_RETRY |
		   VM_FAULT_DONE_COW))
		return ret & VM_FAULT_ERROR ?: VM_FAULT_NOPAGE;
	if (ret & VM_FAULT_LOCKED)
		unlock_page(vmf.page);
	if (unlikely(PageHWPoison(vmf.page))) {
		put_page(vmf.page);
		return VM_FAULT_HWPOISON;
	}
	*page = vmf.page;
	return ret & VM_FAULT_MAJOR;
}

static bool is_mapped_at(struct altvm_file_area *fa, unsigned long addr,
			 struct page *page)
{
	struct folio *folio = page_folio(page);

	return folio->mapping == fa->mapping &&
	       folio->index + folio_page_idx(folio, page) ==
		       altvm_file_pgoff(fa, addr);
}

/**
 * altvm_pagecache_trylock() - lock a page, if it is what is to be mapped
 * @fa: the area
 * @addr: page-aligned
 * @page: referenced
 *
 * While it is locked, the page stays part of the file.  Whoever has it locked may be
 * waiting for a disk, and must not be waited for with the leaf locked.
 *
 * Context: leaf locked, page table populated: nothing may be allocated until
 * the page is unlocked.
 * Return: 0; -EBUSY if it is locked; -ESTALE if it is another page, or is by now.
 */
int altvm_pagecache_trylock(struct altvm_file_area *fa, unsigned long addr,
			    struct page *page)
{
	struct folio *folio = page_folio(page);

	if (!folio_trylock(folio))
		return -EBUSY;
	if (is_mapped_at(fa, addr, page))
		return 0;
	folio_unlock(folio);
	return -ESTALE;
}

/**
 * altvm_pagecache_wait() - wait until a page is not locked
 * @page: referenced
 *
 * Context: no lock of ours is held.
 */
void altvm_pagecache_wait(struct page *page)
{
	wait_on_page_locked(page);
}

/**
 * altvm_pagecache_mkwrite() - ask the file system to let a shared page be written
 * @fa: the area
 * @addr: page-aligned
 * @page: referenced
 *
 * As do_page_mkwrite() in mm/.  It may wait for the page's writeback, for blocks on
 * the disk, and for a frozen file system.
 *
 * Context: no lock of ours is held.
 * Return: VM_FAULT_LOCKED, and the page is locked; VM_FAULT_NOPAGE to try again;
 * an error of vm_ops->page_mkwrite.
 */
vm_fault_t altvm_pagecache_mkwrite(struct altvm_file_area *fa,
				   unsigned long addr, struct page *page)
{
	struct vm_fault vmf = {
		.vma = &fa->vma,
		.gfp_mask = fault_gfp(fa),
		.pgoff = altvm_file_pgoff(fa, addr),
		.address = addr,
		.real_address = addr,
		.flags = FAULT_FLAG_WRITE | FAULT_FLAG_MKWRITE,
		.page = page,
	};
	vm_fault_t ret = 0;

	if (IS_SWAPFILE(fa->mapping->host))
		return VM_FAULT_SIGBUS;
	/* The file system looks at the file only, not at what it has there. */
	if (page_folio(page)->mapping != fa->mapping)
		return VM_FAULT_NOPAGE;
	if (fa->vma.vm_ops->page_mkwrite)
		ret = fa->vma.vm_ops->page_mkwrite(&vmf);
	if (ret & (VM_FAULT_ERROR | VM_FAULT_NOPAGE | VM_FAULT_RETRY))
		return ret & VM_FAULT_ERROR ?: VM_FAULT_NOPAGE;

	if (!(ret & VM_FAULT_LOCKED))
		lock_page(page);
	if (is_mapped_at(fa, addr, page))
		return VM_FAULT_LOCKED;
	unlock_page(page);
	return VM_FAULT_NOPAGE;
}

/**
 * altvm_pagecache_dirtied() - a shared page was dirtied by a store
 * @fa: the area, referenced
 *
 * As fault_dirty_shared_page() in mm/: sets the file's times where ->page_mkwrite
 * does not, and makes those wait who dirty faster than the disk writes.
 *
 * Context: may sleep long; no lock of ours is held.
 */
void altvm_pagecache_dirtied(struct altvm_file_area *fa)
{
	if (!fa->vma.vm_ops->page_mkwrite)
		file_update_time(fa->vma.vm_file);
	balance_dirty_pages_ratelimited(fa->mapping);
}

/**
 * altvm_pagecache_may_tell() - may it be told which pages are cached?
 * @fa: the area, referenced
 *
 * As can_do_mincore() in mm/: whoever could write to the file could find out in
 * other ways.
 */
bool altvm_pagecache_may_tell(struct altvm_file_area *fa)
{
	struct file *file = fa->vma.vm_file;

	return file_owner_or_capable(file) || !file_permission(file, MAY_WRITE);
}

/**
 * altvm_pagecache_has() - is the page of an address cached?
 * @fa: the area, referenced
 * @addr: in bytes
 */
bool altvm_pagecache_has(struct altvm_file_area *fa, unsigned long addr)
{
	struct folio *folio =
		filemap_get_folio(fa->mapping, altvm_file_pgoff(fa, addr));
	bool has;

	if (IS_ERR(folio))
		return false;
	has = folio_test_uptodate(folio);
	folio_put(folio);
	return has;
}

/**
 * altvm_pagecache_is_swapped() - is the page of an address in swap space?
 * @fa: the area, referenced
 * @addr: in bytes
 */
bool altvm_pagecache_is_swapped(struct altvm_file_area *fa, unsigned long addr)
{
	struct address_space *mapping = fa->mapping;
	pgoff_t pgoff = altvm_file_pgoff(fa, addr);

	return shmem_mapping(mapping) &&
	       READ_ONCE(SHMEM_I(mapping->host)->swapped) &&
	       xa_is_value(xa_load(&mapping->i_pages, pgoff));
}

/**
 * altvm_pagecache_waits() - must one wait for a disk to get a page?
 * @fa: the area, referenced
 * @addr: in bytes
 */
bool altvm_pagecache_waits(struct altvm_file_area *fa, unsigned long addr)
{
	/* What is not there comes into being at once, unless it is in swap. */
	if (shmem_mapping(fa->mapping))
		return altvm_pagecache_is_swapped(fa, addr);
	return !altvm_pagecache_has(fa, addr);
}
