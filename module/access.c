// SPDX-License-Identifier: GPL-2.0
/*
 * Access by debuggers: ptrace(2) and /proc/PID/mem read and write whatever the
 * protection is.
 */
#include <linux/highmem.h>

#include "access.h"
#include "fault.h"
#include "file.h"
#include "filefault.h"
#include "store.h"
#include "tree.h"

/* Copy part of one page. */
static void access_copy(struct page *page, unsigned long addr, void *buf,
			int len, bool write)
{
	void *kaddr =
		kmap_local_page(altvm_page_is_zero(page) ? ZERO_PAGE(0) : page);

	if (write)
		memcpy(kaddr + offset_in_page(addr), buf, len);
	else
		memcpy(buf, kaddr + offset_in_page(addr), len);
	kunmap_local(kaddr);
}

/* As check_vma_flags() in mm/: only a copy may be written against its protection. */
static bool access_allowed(const struct altvm_fault *f)
{
	if (!f->write)
		return f->attr & VM_MAYREAD;
	return f->attr & (f->attr & VM_SHARED ? VM_WRITE : VM_MAYWRITE);
}

/*
 * The page to read or write, whatever its protection is.  The leaf is locked.
 * Return: 0, -EFAULT, or as altvm_filefault_handle().
 */
static int access_page(struct altvm_fault *f, struct altvm_leaf *leaf,
		       struct page **page)
{
	int ret;

	if (!altvm_fault_load(f) || f->attr & ALTVM_ATTR_BUSY ||
	    altvm_fault_is_reaped(f))
		return -EFAULT;
	if (f->fa && altvm_file_is_cut(f->fa, f->addr))
		return -ESTALE;
	if (!f->fa || altvm_leaf_page(leaf, f->addr)) {
		ret = altvm_fault_store(f, leaf);
	} else {
		if (!access_allowed(f))
			return -EFAULT;
		if (!f->cached || f->from != f->fa)
			return altvm_filefault_want(f);
		*page = f->cached;
		if (!f->write || f->attr & VM_SHARED)
			return 0;
		ret = altvm_filefault_copy(f, leaf);
	}
	*page = altvm_leaf_page(leaf, f->addr);
	return ret;
}

/* Read or write, but what is shared is written later.  The leaf is locked. */
static int access_do(struct altvm_fault *f, struct altvm_leaf *leaf,
		     unsigned long addr, void *buf, int len)
{
	struct page *page;
	int ret = access_page(f, leaf, &page);

	if (ret)
		return ret;
	if (f->write && page == f->cached) {
		f->ask = true;
		return -EAGAIN;
	}
	access_copy(page, addr, buf, len, f->write);
	return 0;
}

/* Write to a page that is shared.  Nothing is locked. */
static int access_shared(struct altvm_fault *f, unsigned long addr, void *buf,
			 int len)
{
	int ret = altvm_filefault_ask(f);

	if (ret)
		return ret;
	access_copy(f->cached, addr, buf, len, true);
	altvm_filefault_dirtied(f);
	return 0;
}

/* Read or write one page whatever its protection, as a debugger does. */
static int access_part(struct altvm_space *space, unsigned long addr, void *buf,
		       int len, bool write)
{
	struct altvm_fault f = {
		.space = space,
		.addr = addr & PAGE_MASK,
		.write = write,
	};
	struct altvm_leaf *leaf;
	int ret;

	do {
		if (f.need && !f.page)
			altvm_fault_alloc(&f);
		leaf = altvm_store_get(space, addr);
		ret = -ENOMEM;
		if (!leaf || (f.need && !f.page))
			break;

		mutex_lock(&leaf->lock);
		ret = access_do(&f, leaf, addr, buf, len);
		mutex_unlock(&leaf->lock);
		ret = altvm_fault_provide(&f, ret);
		if (ret == -EAGAIN && f.ask)
			ret = access_shared(&f, addr, buf, len);
	} while (ret == -EAGAIN && !fatal_signal_pending(current));
	altvm_fault_finish(&f);
	return ret;
}

/**
 * altvm_access() - vm_ops->access: read or write whatever the protection is
 * @window: its VMA
 * @addr: in bytes
 * @buf: in kernel memory
 * @len: in bytes
 * @write: from @buf
 *
 * For access_process_vm(), after the area's protection has refused.
 *
 * Context: mmap_lock of the window's mm held.
 * Return: how many bytes, or -EFAULT.
 */
int altvm_access(struct vm_area_struct *window, unsigned long addr, void *buf,
		 int len, int write)
{
	struct altvm_space *space = altvm_space_of(window);
	int done = 0;

	while (space && done < len) {
		int part = min_t(int, len - done,
				 PAGE_SIZE - offset_in_page(addr + done));

		if (access_part(space, addr + done, buf + done, part, write))
			break;
		done += part;
	}
	return done ?: -EFAULT;
}
