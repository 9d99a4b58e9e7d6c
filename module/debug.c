// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/PID/fdinfo/N of an open /dev/altvm: the windows made with this file and
 * their areas, a line each in the style of /proc/PID/maps.
 *
 * Lockless: under RCU, so that a reader holds nobody up.  Areas that change
 * meanwhile may be shown as before or as after.
 */
#include <linux/capability.h>
#include <linux/cred.h>

#include "debug.h"
#include "tree.h"

static void show_area(struct seq_file *m, const struct altvm_area *area)
{
	if (area->attr & ALTVM_ATTR_BUSY)
		return;
	seq_printf(m, "%08lx-%08lx %c%c%cp 00000000 00:00 0\n", area->start,
		   area->end, area->attr & VM_READ ? 'r' : '-',
		   area->attr & VM_WRITE ? 'w' : '-',
		   area->attr & VM_EXEC ? 'x' : '-');
}

/*
 * Who may see the layout of a window?  Whoever opens this file may inspect a
 * process that has the device open, but others may share that open file.  There
 * is no ptrace_may_access() for modules: the same user, or CAP_SYS_PTRACE.
 */
static bool may_show(const struct altvm_space *space)
{
	return space->mm == current->mm || uid_eq(space->uid, current_uid()) ||
	       capable(CAP_SYS_PTRACE);
}

static void show_space(struct seq_file *m, struct altvm_space *space)
{
	struct altvm_area area;

	seq_printf(m, "altvm-window:\t%08lx-%08lx pid %d mapped %lu kB\n",
		   space->start, space->end, space->tgid,
		   READ_ONCE(space->nr_total) << (PAGE_SHIFT - 10));
	altvm_for_each_area(space, &area, space->start, space->limit) {
		show_area(m, &area);
		if (seq_has_overflowed(m))
			break;
	}
}

/**
 * altvm_debug_show_fdinfo() - file_operations->show_fdinfo
 * @m: where to print
 * @file: an open /dev/altvm
 */
void altvm_debug_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct altvm_ctx *ctx = file->private_data;
	struct altvm_space *space;

	rcu_read_lock();
	hlist_for_each_entry_rcu(space, &ctx->spaces, in_ctx)
		if (may_show(space))
			show_space(m, space);
	rcu_read_unlock();
}
