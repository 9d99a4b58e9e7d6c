// SPDX-License-Identifier: GPL-2.0
/*
 * Advice that goes to the file which is mapped: MADV_WILLNEED and MADV_REMOVE.
 *
 * What a file system takes for it comes before mmap_lock, so all of it is done with
 * the space left: the reference of the area keeps the file.
 */
#include <linux/fadvise.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <uapi/linux/falloc.h>

#include "file.h"
#include "fileadvice.h"

static loff_t offset(const struct altvm_area *area)
{
	return (loff_t)altvm_file_pgoff(area->fa, area->start) << PAGE_SHIFT;
}

/*
 * Bring back what is in swap.  The kernel has it read into the swap cache and does
 * not wait, but nothing that can do that is exported.
 */
static void swap_in(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	unsigned long index;
	struct page *page;
	void *entry;

	xa_for_each_range(&mapping->i_pages, index, entry, first, last) {
		if (fatal_signal_pending(current))
			return;
		cond_resched();
		if (!xa_is_value(entry))
			continue;
		page = shmem_read_mapping_page(mapping, index);
		if (!IS_ERR(page))
			put_page(page);
	}
}

/**
 * altvm_fileadvice_willneed() - MADV_WILLNEED
 * @area: clipped to the range; its fa is referenced, or NULL
 * @advice: that
 *
 * As madvise_willneed() in mm/.
 *
 * Context: the space is left; starts I/O.
 * Return: 0.
 */
int altvm_fileadvice_willneed(const struct altvm_area *area, int advice)
{
	unsigned long len = area->end - area->start;
	struct file *file;

	if (!area->fa)
		return 0;
	file = area->fa->vma.vm_file;
	if (shmem_mapping(area->fa->mapping))
		swap_in(area->fa->mapping,
			altvm_file_pgoff(area->fa, area->start),
			altvm_file_pgoff(area->fa, area->end - PAGE_SIZE));
	else
		vfs_fadvise(file, offset(area), len, POSIX_FADV_WILLNEED);
	return 0;
}

/**
 * altvm_fileadvice_remove() - MADV_REMOVE
 * @area: clipped to the range; its fa is referenced, or NULL
 * @advice: that
 *
 * As madvise_remove() in mm/.  The file system zaps all that map what is removed.
 *
 * Context: the space is left; may do I/O.
 * Return: 0; -EINVAL if it is locked or of no file; -EACCES if it is not a shared
 * mapping that may be writable; the errno of fallocate(2).
 */
int altvm_fileadvice_remove(const struct altvm_area *area, int advice)
{
	const unsigned long need = VM_SHARED | VM_MAYWRITE;

	if (area->attr & VM_LOCKED || !area->fa)
		return -EINVAL;
	if ((area->attr & need) != need)
		return -EACCES;
	return vfs_fallocate(area->fa->vma.vm_file,
			     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     offset(area), area->end - area->start);
}
