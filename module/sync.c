// SPDX-License-Identifier: GPL-2.0
/*
 * msync: what was stored through shared mappings goes to the disk.
 *
 * Writeback finds our dirty PTEs by rmap, so all there is to do is to call fsync
 * for the files in the range: one after the other, with the space left.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mman.h>

#include "file.h"
#include "sync.h"

/**
 * struct part - what of a range is in one shared mapping
 * @file: referenced
 * @start: in the file, in bytes
 * @last: inclusive
 */
struct part {
	struct file *file;
	loff_t start, last;
};

/*
 * Move *@at over areas that there is nothing to do for, and past the next shared
 * mapping, if there is one: then @part is what is to be written.
 * Return: 0; -ENOMEM if there is nothing mapped any more; -EBUSY for what is locked.
 */
static int next_part(struct altvm_space *space, unsigned long *at,
		     unsigned long end, u32 flags, struct part *part,
		     int *holes)
{
	struct altvm_area area;

	while (*at < end) {
		guard(rcu)();
		if (!altvm_tree_next(space, *at, end, &area))
			return -ENOMEM;
		if (area.start > *at || area.attr & ALTVM_ATTR_BUSY)
			*holes = -ENOMEM;
		if (flags & MS_INVALIDATE && area.attr & VM_LOCKED)
			return -EBUSY;
		altvm_area_clip(&area, *at, end);
		*at = area.end;
		if (!(flags & MS_SYNC) || !(area.attr & VM_SHARED) ||
		    !area.fa || !refcount_inc_not_zero(&area.fa->refs))
			continue;

		part->file = get_file(area.fa->vma.vm_file);
		part->start = (loff_t)altvm_file_pgoff(area.fa, area.start)
			      << PAGE_SHIFT;
		part->last = part->start + (area.end - area.start) - 1;
		altvm_file_put(area.fa);
		return 0;
	}
	return 0;
}

static int sync_next(struct altvm_ctx *ctx, unsigned long *at,
		     unsigned long end, u32 flags, int *holes)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	struct part part = {};
	int ret = -ENOMEM;

	if (IS_ERR(space))
		return PTR_ERR(space);
	/* Outside of the window is a hole. */
	if (*at < space->start) {
		*holes = -ENOMEM;
		*at = min(space->start, end);
	}
	if (*at < space->end)
		ret = next_part(space, at, min(end, space->end), flags, &part,
				holes);
	altvm_space_leave(space);
	if (part.file) {
		ret = vfs_fsync_range(part.file, part.start, part.last, 1);
		fput(part.file);
	}
	return ret;
}

/**
 * altvm_sync_msync() - ALTVM_MSYNC
 * @ctx: the file's
 * @cmd: the arguments
 *
 * Semantics: msync(2).  Without MS_SYNC nothing is to be done: writeback is not
 * triggered, and all mappings of a file are coherent.
 *
 * Context: may do I/O.
 * Return: 0, -EINVAL, -EBUSY, -ENOMEM, -EINTR, -ENXIO, the errno of fsync(2).
 */
int altvm_sync_msync(struct altvm_ctx *ctx, struct altvm_msync *cmd)
{
	unsigned long at = cmd->addr, end = at + PAGE_ALIGN(cmd->length);
	int ret = 0, holes = 0;

	if (cmd->flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) ||
	    offset_in_page(at) ||
	    (cmd->flags & MS_ASYNC && cmd->flags & MS_SYNC))
		return -EINVAL;
	if (end < at)
		return -ENOMEM;
	while (!ret && at < end)
		ret = sync_next(ctx, &at, end, cmd->flags, &holes);
	return ret ?: holes;
}
