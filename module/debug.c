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
#include "file.h"
#include "policy.h"
#include "tree.h"

/* Those of the VmFlags in /proc/PID/smaps that one can ask for, and the policy. */
static void show_flags(struct seq_file *m, struct altvm_space *space,
		       unsigned long attr)
{
	static const struct {
		unsigned long flag;
		const char *name;
	} flags[] = {
		{ VM_GROWSDOWN, "gd" },	  { VM_LOCKED, "lo" },
		{ VM_LOCKONFAULT, "lf" }, { VM_DONTCOPY, "dc" },
		{ VM_DONTDUMP, "dd" },	  { VM_NORESERVE, "nr" },
		{ VM_HUGEPAGE, "hg" },	  { VM_NOHUGEPAGE, "nh" },
		{ VM_RAND_READ, "rr" },	  { VM_SEQ_READ, "sr" },
		{ VM_WIPEONFORK, "wf" },  { VM_DROPPABLE, "dp" },
		{ VM_MERGEABLE, "mg" },
	};
	bool any = false;

	for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++) {
		if (!(attr & flags[i].flag))
			continue;
		seq_printf(m, "%s%s", any ? " " : " [", flags[i].name);
		any = true;
	}
	if (attr & ALTVM_ATTR_POLICY) {
		seq_puts(m, any ? " " : " [");
		altvm_policy_show(m, space, attr);
		any = true;
	}
	if (any)
		seq_putc(m, ']');
}

/* Under RCU: another reference keeps the file from going. */
static void show_file(struct seq_file *m, struct altvm_space *space,
		      const struct altvm_area *area)
{
	struct altvm_file_area *fa = area->fa;
	const struct inode *inode;

	if (!fa || !refcount_inc_not_zero(&fa->refs)) {
		seq_puts(m, "00000000 00:00 0");
		show_flags(m, space, area->attr);
		return;
	}
	inode = file_user_inode(fa->vma.vm_file);
	seq_printf(m, "%08llx %02x:%02x %lu",
		   (u64)altvm_file_pgoff(fa, area->start) << PAGE_SHIFT,
		   MAJOR(inode->i_sb->s_dev), MINOR(inode->i_sb->s_dev),
		   inode->i_ino);
	show_flags(m, space, area->attr);
	seq_putc(m, ' ');
	seq_path(m, file_user_path(fa->vma.vm_file), "\n");
	altvm_file_put(fa);
}

static void show_area(struct seq_file *m, struct altvm_space *space,
		      const struct altvm_area *area)
{
	if (area->attr & ALTVM_ATTR_BUSY)
		return;
	seq_printf(m, "%08lx-%08lx %c%c%c%c ", area->start, area->end,
		   area->attr & VM_READ ? 'r' : '-',
		   area->attr & VM_WRITE ? 'w' : '-',
		   area->attr & VM_EXEC ? 'x' : '-',
		   area->attr & VM_MAYSHARE ? 's' : 'p');
	show_file(m, space, area);
	seq_putc(m, '\n');
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

/* What merging has done, if it ever was wanted. */
static void show_merged(struct seq_file *m, const struct altvm_space *space)
{
	unsigned long passes = READ_ONCE(space->merge_passes);

	if (!passes && !READ_ONCE(space->merge_id))
		return;
	seq_printf(m, " merged %lu kB zeroed %lu kB passes %lu",
		   READ_ONCE(space->merged) << (PAGE_SHIFT - 10),
		   READ_ONCE(space->zeroed) << (PAGE_SHIFT - 10), passes);
}

static void show_space(struct seq_file *m, struct altvm_space *space)
{
	struct altvm_area area;

	seq_printf(m, "altvm-window:\t%08lx-%08lx pid %d mapped %lu kB",
		   space->start, space->end, READ_ONCE(space->tgid),
		   READ_ONCE(space->nr_total) << (PAGE_SHIFT - 10));
	seq_printf(m, " locked %lu kB swapped %lu kB",
		   READ_ONCE(space->nr_locked) << (PAGE_SHIFT - 10),
		   atomic_long_read(&space->nr_swapped) << (PAGE_SHIFT - 10));
	show_merged(m, space);
	seq_puts(m, space->mm == current->mm ? " self\n" : "\n");
	seq_printf(m, "altvm-swap:\tout %lu in %lu freed %lu\n",
		   atomic_long_read(&space->paged_out),
		   atomic_long_read(&space->paged_in),
		   atomic_long_read(&space->lazily_freed));
	altvm_for_each_area(space, &area, space->start, space->end) {
		show_area(m, space, &area);
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
