// SPDX-License-Identifier: GPL-2.0
/*
 * Faults on files, where the store has nothing.
 *
 *   area        access   PTE        what happens
 *   ----------  -------  ---------  ----------------------------------------------
 *   any         read     none       map what is cached around; if that was not the
 *                                   page, have the file system provide it
 *   shared      write    none       have it provided, then as below
 *   shared      write    read-only  ask the file system, then make it writable
 *   private     write    none       have it provided, then as below
 *   private     write    read-only  store a copy
 *   beyond the end of the file      SIGBUS
 *
 * No lock of ours is held while the file system provides a page.
 *
 * Nor is a lock of ours held while the file system is asked for the right to store
 * to a shared page, which may take as long as a file system is frozen.  The answer
 * is good until the page is written back.  So with the page locked the PTE, still
 * read-only, is marked dirty: writeback takes that mark away.  If it is there with
 * the leaf locked, the PTE becomes writable.
 */
#include <linux/highmem.h>
#include <linux/pagemap.h>

#include "filefault.h"
#include "pagecache.h"
#include "pte.h"
#include "store.h"
#include "tree.h"

/* The aligned piece of a file of which a read maps what is cached. */
#define AROUND_SIZE (16 * PAGE_SIZE)

/**
 * altvm_filefault_forget() - let go of the cached page
 * @f: the fault
 */
void altvm_filefault_forget(struct altvm_fault *f)
{
	if (f->cached)
		put_page(f->cached);
	if (f->from)
		altvm_file_put(f->from);
	f->cached = NULL;
	f->from = NULL;
	f->asked = false;
	f->mapped = false;
}

/**
 * altvm_filefault_want() - have a page of the file fetched
 * @f: the fault, with @fa
 *
 * Context: leaf locked.
 * Return: -EAGAIN.
 */
int altvm_filefault_want(struct altvm_fault *f)
{
	altvm_filefault_forget(f);
	refcount_inc(&f->fa->refs);
	f->from = f->fa;
	f->fetch = true;
	return -EAGAIN;
}

/**
 * altvm_filefault_fetch() - have the file system provide the page
 * @f: the fault, with @from
 *
 * Context: nothing is locked; may do I/O.
 * Return: -EAGAIN, or -EIO and @result says what.
 */
int altvm_filefault_fetch(struct altvm_fault *f)
{
	unsigned int flags = f->vmf ? f->vmf->flags : 0;
	vm_fault_t ret;

	f->fetch = false;
	ret = altvm_pagecache_fetch(f->from, f->addr, flags, &f->cached);
	f->result |= ret & ~VM_FAULT_NOPAGE;
	return ret & VM_FAULT_ERROR ? -EIO : -EAGAIN;
}

/**
 * altvm_filefault_around() - map what is cached around a read
 * @f: the fault, with @fa and @vmf
 * @leaf: locked
 *
 * What is stored is not hidden by it.
 *
 * Return: is the page itself mapped now?
 */
bool altvm_filefault_around(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	unsigned long low = ALIGN_DOWN(f->addr, AROUND_SIZE);
	unsigned long high = min(low + AROUND_SIZE, f->fa->vma.vm_end);
	unsigned long start = f->addr, end = f->addr + PAGE_SIZE;

	low = max(low, f->fa->vma.vm_start);
	while (start > low && !altvm_leaf_page(leaf, start - PAGE_SIZE))
		start -= PAGE_SIZE;
	while (end < high && !altvm_leaf_page(leaf, end))
		end += PAGE_SIZE;
	return altvm_pte_insert_around(f->fa, f->vmf, f->addr, start, end);
}

/*
 * Lock the cached page.  Make sure of the page table before, since with a page locked
 * none may be allocated.  The leaf is locked.
 * Return: 0; -EAGAIN if it has to be waited for, or another one fetched; -ENOMEM.
 */
static int lock_cached(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	int ret;

	if (!leaf->table && altvm_pte_populate(f->space, f->addr))
		return -ENOMEM;
	leaf->table = true;
	ret = altvm_pagecache_trylock(f->fa, f->addr, f->cached);
	if (!ret)
		return 0;
	if (ret != -EBUSY)
		return altvm_filefault_want(f);
	f->locked = true;
	return -EAGAIN;
}

/* Map the cached page for reading.  The leaf is locked. */
static int map_cached(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	bool write = f->attr & VM_SHARED && f->attr & VM_WRITE &&
		     !(f->attr & ALTVM_ATTR_NOTIFY);
	int ret = lock_cached(f, leaf);

	if (ret)
		return ret;
	ret = altvm_pte_insert_file(f->space, f->addr, f->cached, f->attr,
				    write);
	unlock_page(f->cached);
	return ret;
}

/**
 * altvm_filefault_dirtied() - the cached page has been, or is going to be, stored to
 * @f: the fault; the page is locked, and is unlocked
 */
void altvm_filefault_dirtied(struct altvm_fault *f)
{
	folio_mark_dirty(page_folio(f->cached));
	unlock_page(f->cached);
	if (f->dirtied)
		return;
	refcount_inc(&f->fa->refs);
	f->dirtied = f->fa;
}

/**
 * altvm_filefault_ask() - ask whether the cached page may be stored to
 * @f: the fault, with @cached and @from
 *
 * Context: nothing is locked; may take long.
 * Return: 0, and the page is locked; -EAGAIN if it is another one by now; -EIO,
 * and @result says what.
 */
int altvm_filefault_ask(struct altvm_fault *f)
{
	vm_fault_t result;

	f->ask = false;
	result = altvm_pagecache_mkwrite(f->from, f->addr, f->cached);
	if (result & VM_FAULT_LOCKED)
		return 0;
	f->result |= result & VM_FAULT_ERROR;
	altvm_filefault_forget(f);
	return result & VM_FAULT_ERROR ? -EIO : -EAGAIN;
}

/**
 * altvm_filefault_ask_mark() - the same, and the answer goes into the PTE
 * @f: the fault, with @cached and @from
 *
 * Context: as altvm_filefault_ask().
 * Return: -EAGAIN or -EIO.
 */
int altvm_filefault_ask_mark(struct altvm_fault *f)
{
	int ret = altvm_filefault_ask(f);

	if (ret)
		return ret;
	/* Where something else is mapped by now, a mark would stay. */
	if (READ_ONCE(f->from->linked))
		altvm_pte_mkdirty(f->space, f->addr, f->cached);
	altvm_filefault_dirtied(f);
	f->asked = true;
	return -EAGAIN;
}

/*
 * Let the cached page of a shared mapping be written, if the file system must be
 * asked for it.  The leaf is locked.
 */
static int write_notify(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	int ret;

	if (f->asked && altvm_pte_mkwrite(f->space, f->addr, f->cached, true))
		return 0;
	/* What is mapped is to be marked. */
	if (f->asked || !f->mapped) {
		ret = map_cached(f, leaf);
		if (ret && ret != -EBUSY)
			return ret;
	}
	f->asked = false;
	if (!f->from) {
		refcount_inc(&f->fa->refs);
		f->from = f->fa;
	}
	f->ask = true;
	return -EAGAIN;
}

/* The same if it need not.  The leaf is locked. */
static int write_cached(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	int ret = lock_cached(f, leaf);

	if (ret)
		return ret;
	ret = altvm_pte_insert_file(f->space, f->addr, f->cached, f->attr,
				    true);
	if (ret == -EBUSY &&
	    altvm_pte_mkwrite(f->space, f->addr, f->cached, false))
		ret = 0;
	altvm_filefault_dirtied(f);
	return ret;
}

/**
 * altvm_filefault_copy() - store a copy of the cached page of a private mapping
 * @f: the fault, with @cached
 * @leaf: locked
 *
 * Return: 0; -EAGAIN if something is missing yet; -ENOMEM.
 */
int altvm_filefault_copy(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	int ret;

	if (!altvm_fault_has_page(f)) {
		f->need = true;
		f->copy = true;
		return -EAGAIN;
	}
	if (altvm_leaf_prepare(leaf))
		return -ENOMEM;
	ret = lock_cached(f, leaf);
	if (ret)
		return ret;
	copy_highpage(f->page, f->cached);
	altvm_pte_zap(f->space, f->addr, f->addr + PAGE_SIZE);
	f->present = false;
	altvm_store_adopt(f->space, leaf, f->addr, f->page);
	altvm_leaf_set(leaf, f->addr, f->page);
	f->page = NULL;
	unlock_page(f->cached);
	return 0;
}

/*
 * The store has nothing of a file area.  The leaf is locked.
 * Return: 0, and the page is mapped, or it is stored now; -EAGAIN if a page must
 * be fetched or allocated first, -ENOMEM; -EIO, and f->result says what.
 */
static int handle_empty(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	int ret;

	/* The area may have become another since. */
	if (f->from && f->from != f->fa)
		altvm_filefault_forget(f);
	if (!f->cached)
		return !f->write && altvm_filefault_around(f, leaf) ?
			       0 :
			       altvm_filefault_want(f);
	if (f->write && !(f->attr & VM_SHARED))
		return altvm_filefault_copy(f, leaf);

	if (!f->write)
		ret = map_cached(f, leaf);
	else if (f->attr & ALTVM_ATTR_NOTIFY)
		ret = write_notify(f, leaf);
	else
		ret = write_cached(f, leaf);
	/* Something else is there, as while it migrates.  The core knows. */
	return ret == -EBUSY ? 0 : ret;
}

/**
 * altvm_filefault_is_attached() - does rmap know of the space's files?
 * @f: the fault
 *
 * Of a forked child's it may not know yet.
 */
bool altvm_filefault_is_attached(const struct altvm_fault *f)
{
	/* Pairs with space_attach(). */
	return smp_load_acquire(&f->space->amm);
}

/**
 * altvm_filefault_map() - map what a file area has stored
 * @f: the fault, with @fa
 * @leaf: locked; it has something
 *
 * If the file is cut off meanwhile, its last zap may have come before our PTE; but
 * its note has come before its zap.
 *
 * Return: as altvm_fault_map(), or -ESTALE.
 */
int altvm_filefault_map(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	int ret = altvm_fault_map(f, leaf);

	if (likely(ret || !altvm_file_is_cut(f->fa, f->addr)))
		return ret;
	altvm_pte_zap(f->space, f->addr, f->addr + PAGE_SIZE);
	f->present = false;
	return -ESTALE;
}

/**
 * altvm_filefault_handle() - a fault on a file area
 * @f: the fault, with @fa
 * @leaf: locked
 *
 * Return: 0 and the page is mapped; -EAGAIN if a page must be fetched or
 * allocated first; -ENOMEM; -EIO, and @result says what; -ENODEV if
 * the space must be attached first; -ESTALE if altvm_file_apply_cut() is needed.
 */
int altvm_filefault_handle(struct altvm_fault *f, struct altvm_leaf *leaf)
{
	if (unlikely(!altvm_filefault_is_attached(f)))
		return -ENODEV;
	if (unlikely(altvm_file_is_cut(f->fa, f->addr)))
		return -ESTALE;
	if (!altvm_leaf_page(leaf, f->addr)) {
		int ret = handle_empty(f, leaf);

		if (ret || !altvm_leaf_page(leaf, f->addr))
			return ret;
	}
	return altvm_fault_store(f, leaf) ?: altvm_filefault_map(f, leaf);
}
