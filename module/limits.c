// SPDX-License-Identifier: GPL-2.0
/*
 * Resource limits: what is mapped through altvm counts like what is mapped
 * through the kernel, and the window itself does not count.
 *
 * Locks: altvm_space.lock for the space's own counts; those of the mm are
 * atomic, for several windows share them.
 */
#include <linux/capability.h>
#include <linux/sched/signal.h>

#include "limits.h"

static bool over(long pages, unsigned int limit)
{
	return pages > 0 && pages > rlimit(limit) >> PAGE_SHIFT;
}

static void charge(struct altvm_space *space, long total, long data)
{
	lockdep_assert_held(&space->lock);
	space->nr_total += total;
	space->nr_data += data;
	atomic_long_add(total, &space->amm->total);
	atomic_long_add(data, &space->amm->data);
}

static bool over_as(struct altvm_space *space)
{
	struct altvm_mm *amm = space->amm;

	/* While a window comes or goes it may be counted, or the opposite. */
	return over(READ_ONCE(space->mm->total_vm) +
			    atomic_long_read(&amm->total),
		    RLIMIT_AS);
}

/* As may_expand_vm(), for which a limit of 0 is none if it could be raised. */
static bool over_data(struct altvm_space *space)
{
	long pages = READ_ONCE(space->mm->data_vm) +
		     atomic_long_read(&space->amm->data);

	return over(pages, RLIMIT_DATA) &&
	       (rlimit(RLIMIT_DATA) ||
		pages > rlimit_max(RLIMIT_DATA) >> PAGE_SHIFT);
}

/**
 * altvm_limits_charge() - count a new mapping
 * @space: locked
 * @total: pages that are mapped additionally; may be negative
 * @data: the same for private writable pages
 * @is_data: RLIMIT_DATA matters
 *
 * As may_expand_vm() in mm/.
 *
 * Return: 0, or -ENOMEM if RLIMIT_AS or RLIMIT_DATA forbids it, and nothing has
 * been counted.
 */
int altvm_limits_charge(struct altvm_space *space, long total, long data,
			bool is_data)
{
	charge(space, total, data);
	if (!over_as(space) && (!is_data || !over_data(space)))
		return 0;
	charge(space, -total, -data);
	return -ENOMEM;
}

/**
 * altvm_limits_charge_data() - count a change of protection
 * @space: locked
 * @data: private pages that become writable; negative if they cease to be
 *
 * Return: 0, or -ENOMEM if RLIMIT_DATA forbids it, and nothing has been counted.
 */
int altvm_limits_charge_data(struct altvm_space *space, long data)
{
	charge(space, 0, data);
	if (data <= 0 || !over_data(space))
		return 0;
	charge(space, 0, -data);
	return -ENOMEM;
}

/**
 * altvm_limits_may_lock() - does RLIMIT_MEMLOCK allow to lock so much more?
 * @space: locked
 * @pages: that are to be locked
 *
 * As mlock_future_ok() in mm/.  What the kernel has locked for the process counts, too.
 */
bool altvm_limits_may_lock(struct altvm_space *space, unsigned long pages)
{
	pages += altvm_limits_locked(space);
	return pages <= rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT ||
	       capable(CAP_IPC_LOCK);
}

/**
 * altvm_limits_locked() - what counts for RLIMIT_MEMLOCK
 * @space: locked
 *
 * Return: pages.
 */
unsigned long altvm_limits_locked(struct altvm_space *space)
{
	return READ_ONCE(space->mm->locked_vm) +
	       atomic_long_read(&space->amm->locked);
}

/**
 * altvm_limits_count_locked() - count what is locked, and what no more
 * @space: locked
 * @pages: that are locked additionally; may be negative
 */
void altvm_limits_count_locked(struct altvm_space *space, long pages)
{
	lockdep_assert_held(&space->lock);
	space->nr_locked += pages;
	atomic_long_add(pages, &space->amm->locked);
}

/**
 * altvm_limits_uncharge() - count what is mapped no more
 * @space: locked
 * @total: pages
 * @data: those of them that were private and writable
 */
void altvm_limits_uncharge(struct altvm_space *space, unsigned long total,
			   unsigned long data)
{
	charge(space, -total, -data);
}
