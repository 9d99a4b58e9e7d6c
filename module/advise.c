// SPDX-License-Identifier: GPL-2.0
/*
 * madvise: advice that is kept as attributes of areas.
 *
 * Whoever acts on it looks at the attributes: a fork (space.c), the file system's
 * readahead, by the flags of the area's own VMA, and the listing (debug.c) for those
 * who dump memory.
 *
 * Locks: altvm_space.lock.
 */
#include <uapi/linux/mman.h>

#include "advise.h"
#include "file.h"
#include "map.h"
#include "tree.h"

/**
 * struct advice - what one MADV_* does
 * @known: is there such advice?
 * @private: for private anonymous memory only
 * @clear: attributes that it takes away
 * @set: attributes that it adds
 */
struct advice {
	bool known, private;
	unsigned long clear, set;
};

static const struct advice advices[] = {
	[MADV_NORMAL] = { .known = true, .clear = VM_RAND_READ | VM_SEQ_READ },
	[MADV_RANDOM] = { .known = true,
			  .clear = VM_SEQ_READ,
			  .set = VM_RAND_READ },
	[MADV_SEQUENTIAL] = { .known = true,
			      .clear = VM_RAND_READ,
			      .set = VM_SEQ_READ },
	[MADV_DONTFORK] = { .known = true, .set = VM_DONTCOPY },
	[MADV_DOFORK] = { .known = true, .clear = VM_DONTCOPY },
	[MADV_DONTDUMP] = { .known = true, .set = VM_DONTDUMP },
	[MADV_DODUMP] = { .known = true, .clear = VM_DONTDUMP },
	[MADV_WIPEONFORK] = { .known = true,
			      .private = true,
			      .set = VM_WIPEONFORK },
	[MADV_KEEPONFORK] = { .known = true, .clear = VM_WIPEONFORK },
};

/* One area, clipped to the range.  The space is locked. */
static int advise_area(struct altvm_space *space, struct altvm_area *area,
		       const struct advice *advice)
{
	unsigned long attr = (area->attr & ~advice->clear) | advice->set;

	if (advice->private && area->fa)
		return -EINVAL;
	if (attr == area->attr)
		return 0;
	if (attr & (VM_DONTCOPY | VM_WIPEONFORK))
		WRITE_ONCE(space->special, true);
	if (!area->fa)
		return altvm_tree_store(space, area->start, area->end, attr,
					GFP_KERNEL);
	return altvm_file_change(space, area, attr);
}

/* As madvise_walk_vmas(): holes are passed over, and told in the end. */
static int advise_locked(struct altvm_space *space, unsigned long start,
			 unsigned long end, const struct advice *advice)
{
	unsigned long at = start;
	struct altvm_area area;
	int ret, holes = 0;

	ret = altvm_tree_wait_locked(space, start, end);
	while (!ret && at < end) {
		if (!altvm_tree_next(space, at, end, &area))
			return -ENOMEM;
		if (area.start > at)
			holes = -ENOMEM;
		altvm_area_clip(&area, at, end);
		at = area.end;
		ret = advise_area(space, &area, advice);
		/* madvise(2): resources are temporarily unavailable. */
		if (ret == -ENOMEM)
			ret = -EAGAIN;
	}
	return ret ?: holes;
}

/**
 * altvm_advise_madvise() - ALTVM_MADVISE
 * @ctx: the file's
 * @cmd: the arguments
 *
 * Semantics: madvise(2), do_madvise() in mm/.
 *
 * Return: 0, -EINVAL, -ENOMEM, -EAGAIN, -EINTR, -ENXIO.
 */
int altvm_advise_madvise(struct altvm_ctx *ctx, struct altvm_madvise *cmd)
{
	unsigned long start = cmd->addr, len = PAGE_ALIGN(cmd->length);
	unsigned long end = start + len;
	const struct advice *advice;
	struct altvm_space *space;
	int ret = -ENOMEM;

	if (cmd->advice < 0 || cmd->advice >= ARRAY_SIZE(advices))
		return -EINVAL;
	advice = &advices[array_index_nospec(cmd->advice, ARRAY_SIZE(advices))];
	if (!advice->known || offset_in_page(start) || (cmd->length && !len) ||
	    end < start)
		return -EINVAL;
	space = altvm_space_enter(ctx);
	if (IS_ERR(space))
		return PTR_ERR(space);

	if (start == end) {
		ret = 0;
	} else if (start < space->limit && end > space->start) {
		/* Outside of the window is a hole. */
		bool hole = start < space->start || end > space->limit;

		mutex_lock(&space->lock);
		ret = advise_locked(space, max(start, space->start),
				    min(end, space->limit), advice);
		altvm_tree_validate(space);
		mutex_unlock(&space->lock);
		ret = ret ?: (hole ? -ENOMEM : 0);
	}
	altvm_space_leave(space);
	return ret;
}
