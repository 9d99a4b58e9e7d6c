// SPDX-License-Identifier: GPL-2.0
/*
 * process_vm_readv, process_vm_writev, process_madvise and process_mrelease: calls
 * about other processes.
 *
 * The first two copy through the page tables of the other process, as the kernel's
 * do, and know nothing of windows, but for one thing: the core looks at the window's
 * rights where it should look at the area's.
 *
 * process_madvise is madvise, with the window of somebody else entered.
 *
 * process_mrelease takes the pages away from a process that has been killed, while
 * its threads may still be running.  From then on they, and whoever reads their
 * memory, get SIGBUS (altvm_fault_is_reaped()), and not zeros.
 *
 * Which process and with what right: see target.c.
 *
 * Locks: mmap_lock of the other process, for reading, and below that, in
 * process_mrelease, altvm_space.lock and altvm_leaf.lock.  Nothing is entered while
 * user memory is touched or mmap_lock is held.
 */
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include <uapi/linux/mman.h>

#include "advise.h"
#include "pte.h"
#include "remote.h"
#include "store.h"
#include "target.h"
#include "tree.h"

/* How many pages are pinned at once. */
#define PIN_MAX (2 * PAGE_SIZE / sizeof(struct page *))

/**
 * struct transfer - between the caller's memory and that of a process
 * @mm: of the process
 * @iter: the caller's memory, as far as it is left
 * @write: to the process
 * @pages: room for as many as are needed at once
 */
struct transfer {
	struct mm_struct *mm;
	struct iov_iter iter;
	bool write;
	struct page **pages;
};

static struct altvm_space *window_space(struct vm_area_struct *vma)
{
	return vma->vm_ops == &altvm_vm_ops ? altvm_space_of(vma) : NULL;
}

/* Where reading ends for want of the right, between @start and @end. */
static unsigned long readable_in_window(struct altvm_space *space,
					unsigned long start, unsigned long end)
{
	struct altvm_area area;

	altvm_for_each_area(space, &area, start, end)
		if (!(area.attr & (VM_READ | ALTVM_ATTR_BUSY)))
			return max(area.start, start);
	return end;
}

/*
 * How many of @nr pages may be read.  On x86 what may be written or executed can be
 * read, but not by other processes, see check_vma_flags() in mm/.  mmap_lock is
 * held.
 */
static unsigned long readable_pages(struct mm_struct *mm, unsigned long addr,
				    unsigned long nr)
{
	unsigned long at = addr, end = addr + (nr << PAGE_SHIFT);

	while (at < end) {
		struct vm_area_struct *vma = find_vma(mm, at);
		struct altvm_space *space;
		unsigned long last;

		if (!vma || vma->vm_start >= end)
			break;
		space = window_space(vma);
		last = min(vma->vm_end, end);
		at = space ? readable_in_window(space, max(at, vma->vm_start),
						last) :
			     last;
		if (at < last)
			return (at - addr) >> PAGE_SHIFT;
	}
	return nr;
}

/* Pin some pages from @addr on.  Return: how many, or -EFAULT. */
static long pin_some(struct transfer *t, unsigned long addr, unsigned long nr)
{
	int locked = 1;
	long ret;

	nr = min(nr, PIN_MAX);
	mmap_read_lock(t->mm);
	if (!t->write)
		nr = readable_pages(t->mm, addr, nr);
	ret = !nr ? 0 :
		    pin_user_pages_remote(t->mm, addr, nr,
					  t->write ? FOLL_WRITE : 0, t->pages,
					  &locked);
	if (locked)
		mmap_read_unlock(t->mm);
	return ret > 0 ? ret : -EFAULT;
}

/* Copy @len bytes, from @offset in the first of the pinned pages on. */
static int copy_pinned(struct transfer *t, unsigned long offset,
		       unsigned long len)
{
	struct page **pages = t->pages;

	while (len && iov_iter_count(&t->iter)) {
		size_t part = min(len, PAGE_SIZE - offset), done;

		if (t->write)
			done = copy_page_from_iter(*pages, offset, part,
						   &t->iter);
		else
			done = copy_page_to_iter(*pages, offset, part,
						 &t->iter);
		if (done < part && iov_iter_count(&t->iter))
			return -EFAULT;
		len -= done;
		offset = 0;
		pages++;
	}
	return 0;
}

/* How many pages part of the other process's memory is in. */
static unsigned long vec_pages(const struct iovec *vec)
{
	unsigned long addr = (unsigned long)vec->iov_base;

	if (!vec->iov_len)
		return 0;
	return (addr + vec->iov_len - 1) / PAGE_SIZE - addr / PAGE_SIZE + 1;
}

static int transfer_vec(struct transfer *t, const struct iovec *vec)
{
	unsigned long addr = (unsigned long)vec->iov_base;
	unsigned long nr = vec_pages(vec), left = vec->iov_len;
	int ret = 0;

	while (!ret && nr && iov_iter_count(&t->iter)) {
		unsigned long offset = offset_in_page(addr);
		long pinned = pin_some(t, addr & PAGE_MASK, nr);
		unsigned long len;

		if (pinned < 0)
			return pinned;
		len = min((pinned << PAGE_SHIFT) - offset, left);
		ret = copy_pinned(t, offset, len);
		unpin_user_pages_dirty_lock(t->pages, pinned, t->write);
		left -= len;
		addr += len;
		nr -= pinned;
	}
	return ret;
}

/* The struct iovec of a 32-bit program. */
static int get_compat_vecs(struct iovec *vecs,
			   const struct compat_iovec __user *user,
			   unsigned long nr)
{
	struct compat_iovec vec;

	if (!access_ok(user, nr * sizeof(*user)))
		return -EFAULT;
	for (; nr; nr--, user++, vecs++) {
		if (copy_from_user(&vec, user, sizeof(vec)))
			return -EFAULT;
		if ((compat_ssize_t)vec.iov_len < 0)
			return -EINVAL;
		vecs->iov_base = compat_ptr(vec.iov_base);
		vecs->iov_len = vec.iov_len;
	}
	return 0;
}

static int get_native_vecs(struct iovec *vecs, const struct iovec __user *user,
			   unsigned long nr)
{
	if (!access_ok(user, nr * sizeof(*user)))
		return -EFAULT;
	for (; nr; nr--, user++, vecs++) {
		if (copy_from_user(vecs, user, sizeof(*vecs)))
			return -EFAULT;
		if ((ssize_t)vecs->iov_len < 0)
			return -EINVAL;
	}
	return 0;
}

/*
 * As iovec_from_user(), of what is not the caller's memory.
 * Return: the array, or ERR_PTR.
 */
static struct iovec *get_vecs(const void __user *user, unsigned long nr)
{
	struct iovec *vecs;
	int ret;

	if (nr > UIO_MAXIOV)
		return ERR_PTR(-EINVAL);
	vecs = kvmalloc_array(nr, sizeof(*vecs), GFP_KERNEL_ACCOUNT);
	if (!vecs)
		return ERR_PTR(-ENOMEM);
	ret = !nr		  ? 0 :
	      in_compat_syscall() ? get_compat_vecs(vecs, user, nr) :
				    get_native_vecs(vecs, user, nr);
	if (!ret)
		return vecs;
	kvfree(vecs);
	return ERR_PTR(ret);
}

/* @pid: a number, or a pidfd.  Return: referenced, or ERR_PTR. */
static struct pid *find_target(const struct altvm_process_vm *cmd)
{
	struct pid *pid;

	if (cmd->flags & ALTVM_PROCESS_PIDFD)
		return altvm_target_of_pidfd(cmd->pid);
	pid = altvm_target_find(cmd->pid);
	return pid ?: ERR_PTR(-ESRCH);
}

/* With what is to be copied known to be something.  Return: its errno. */
static int transfer_vecs(struct transfer *t, struct altvm_process_vm *cmd,
			 const struct iovec *vecs)
{
	size_t total = iov_iter_count(&t->iter);
	struct pid *pid = find_target(cmd);
	int ret = 0;

	if (IS_ERR(pid))
		return PTR_ERR(pid);
	t->mm = altvm_target_mm(pid, ALTVM_TARGET_ATTACH);
	put_pid(pid);
	if (IS_ERR(t->mm))
		return t->mm == ERR_PTR(-EACCES) ? -EPERM : PTR_ERR(t->mm);

	for (u64 i = 0; !ret && i < cmd->nr_remote && iov_iter_count(&t->iter);
	     i++)
		ret = transfer_vec(t, &vecs[i]);
	mmput(t->mm);
	cmd->out_bytes = total - iov_iter_count(&t->iter);
	return cmd->out_bytes ? 0 : ret;
}

/* As process_vm_rw_core() in mm/.  The caller's memory is known. */
static int transfer_remote(struct transfer *t, struct altvm_process_vm *cmd)
{
	struct iovec *vecs =
		get_vecs(u64_to_user_ptr(cmd->remote), cmd->nr_remote);
	unsigned long nr = 0;
	int ret = 0;

	if (IS_ERR(vecs))
		return PTR_ERR(vecs);
	for (u64 i = 0; i < cmd->nr_remote; i++)
		nr = max(nr, vec_pages(&vecs[i]));
	if (nr) {
		t->pages = kvmalloc_array(min(nr, PIN_MAX), sizeof(*t->pages),
					  GFP_KERNEL_ACCOUNT);
		ret = t->pages ? transfer_vecs(t, cmd, vecs) : -ENOMEM;
		kvfree(t->pages);
	}
	kvfree(vecs);
	return ret;
}

/**
 * altvm_remote_rw() - ALTVM_PROCESS_VM_READV, ALTVM_PROCESS_VM_WRITEV
 * @cmd: the arguments; @out_bytes is set on success
 * @write: to the process
 *
 * Semantics: process_vm_readv(2), process_vm_rw() in mm/.
 *
 * Return: 0, -EINVAL, -EFAULT, -ENOMEM, -ESRCH, -EPERM, -EBADF, -EINTR.
 */
int altvm_remote_rw(struct altvm_process_vm *cmd, bool write)
{
	struct iovec fast[UIO_FASTIOV], *vecs = fast;
	struct transfer t = { .write = write };
	ssize_t ret;

	cmd->out_bytes = 0;
	if (cmd->flags & ~ALTVM_PROCESS_PIDFD)
		return -EINVAL;
	ret = import_iovec(write ? ITER_SOURCE : ITER_DEST,
			   u64_to_user_ptr(cmd->local), cmd->nr_local,
			   ARRAY_SIZE(fast), &vecs, &t.iter);
	if (ret > 0)
		ret = transfer_remote(&t, cmd);
	kfree(vecs);
	return ret;
}

/*
 * The open file of the first window that meets a range; the range is cut down to the
 * window.
 * Return: referenced; NULL if there is none, ERR_PTR(-EINTR).
 */
static struct file *find_window(struct mm_struct *mm, unsigned long *start,
				unsigned long *end)
{
	VMA_ITERATOR(vmi, mm, *start);
	struct vm_area_struct *vma;
	struct file *file = NULL;

	if (mmap_read_lock_killable(mm))
		return ERR_PTR(-EINTR);
	for_each_vma_range(vmi, vma, *end) {
		if (!window_space(vma))
			continue;
		file = get_file(vma->vm_file);
		*start = max(*start, vma->vm_start);
		*end = min(*end, vma->vm_end);
		break;
	}
	mmap_read_unlock(mm);
	return file;
}

/* What is between windows is a hole, and told in the end. */
static int advise_windows(struct mm_struct *mm, unsigned long at,
			  unsigned long end, s32 advice)
{
	int ret, holes = 0;

	while (at < end) {
		unsigned long start = at, last = end;
		struct file *file = find_window(mm, &start, &last);
		struct altvm_madvise part = { .addr = start,
					      .length = last - start,
					      .advice = advice };

		if (IS_ERR(file))
			return PTR_ERR(file);
		if (!file)
			return -ENOMEM;
		ret = altvm_advise_mm(file->private_data, mm, &part);
		fput(file);
		if (ret && ret != -ENOMEM && ret != -ENXIO)
			return ret;
		if (ret || start > at)
			holes = -ENOMEM;
		at = last;
	}
	return holes;
}

static int advise_vec(struct mm_struct *mm, const struct iov_iter *vec,
		      s32 advice)
{
	struct altvm_madvise part = {
		.addr = (unsigned long)iter_iov_addr(vec),
		.length = iter_iov_len(vec),
		.advice = advice,
	};

	return altvm_advise_check(&part) ?:
					   advise_windows(mm, part.addr,
							  part.addr + PAGE_ALIGN(part.length),
							  advice);
}

/* Has the process any window?  Return: 0, -ENXIO, -EINTR. */
static int check_window(struct mm_struct *mm)
{
	unsigned long start = 0, end = TASK_SIZE;
	struct file *file = find_window(mm, &start, &end);

	if (IS_ERR_OR_NULL(file))
		return file ? PTR_ERR(file) : -ENXIO;
	fput(file);
	return 0;
}

/* As process_madvise_behavior_valid() in mm/: what harms nobody. */
static bool advice_is_valid(s32 advice)
{
	return advice == MADV_COLD || advice == MADV_PAGEOUT ||
	       advice == MADV_WILLNEED || advice == MADV_COLLAPSE;
}

static int advise_vecs(struct mm_struct *mm, struct iov_iter *iter,
		       struct altvm_process_madvise *cmd)
{
	size_t total = iov_iter_count(iter);
	int ret = 0;

	if (mm != current->mm && !capable(CAP_SYS_NICE))
		return -EPERM;
	if (total)
		ret = check_window(mm);
	while (!ret && iov_iter_count(iter)) {
		ret = advise_vec(mm, iter, cmd->advice);
		if (!ret)
			iov_iter_advance(iter, iter_iov_len(iter));
	}
	cmd->out_bytes = total - iov_iter_count(iter);
	return cmd->out_bytes ? 0 : ret;
}

static int advise_process(struct iov_iter *iter,
			  struct altvm_process_madvise *cmd)
{
	struct pid *pid = altvm_target_of_pidfd(cmd->pidfd);
	struct mm_struct *mm;
	int ret = -EINVAL;

	if (IS_ERR(pid))
		return PTR_ERR(pid);
	if (advice_is_valid(cmd->advice)) {
		mm = altvm_target_mm(pid, ALTVM_TARGET_READ);
		ret = PTR_ERR_OR_ZERO(mm);
		if (!ret) {
			ret = advise_vecs(mm, iter, cmd);
			mmput(mm);
		}
	}
	put_pid(pid);
	return ret;
}

/**
 * altvm_remote_madvise() - ALTVM_PROCESS_MADVISE
 * @cmd: the arguments; @out_bytes is set on success
 *
 * Semantics: process_madvise(2).
 *
 * Return: 0, -EINVAL, -EFAULT, -ENOMEM, -ESRCH, -EACCES, -EPERM, -EBADF, -EINTR,
 * -EAGAIN, -ENXIO.
 */
int altvm_remote_madvise(struct altvm_process_madvise *cmd)
{
	struct iovec fast[UIO_FASTIOV], *vecs = fast;
	struct iov_iter iter;
	ssize_t ret;

	cmd->out_bytes = 0;
	if (cmd->flags)
		return -EINVAL;
	ret = import_iovec(ITER_DEST, u64_to_user_ptr(cmd->vec), cmd->nr_vec,
			   ARRAY_SIZE(fast), &vecs, &iter);
	if (ret >= 0)
		ret = advise_process(&iter, cmd);
	kfree(vecs);
	return ret;
}

/* As __task_will_free_mem() in mm/. */
static bool is_dying(struct task_struct *task)
{
	struct signal_struct *sig = task->signal;

	/* It may take long over its core dump. */
	if (sig->core_state)
		return false;
	return sig->flags & SIGNAL_GROUP_EXIT ||
	       (thread_group_empty(task) && task->flags & PF_EXITING);
}

/* As process_shares_mm() in mm/. */
static bool process_has(struct task_struct *process, const struct mm_struct *mm)
{
	struct task_struct *t;

	for_each_thread(process, t) {
		const struct mm_struct *its = READ_ONCE(t->mm);

		if (its)
			return its == mm;
	}
	return false;
}

/* Are all other processes dying that have the same memory? */
static bool others_are_dying(struct task_struct *task,
			     const struct mm_struct *mm)
{
	struct task_struct *p;

	guard(rcu)();
	for_each_process(p)
		if (!same_thread_group(task, p) && process_has(p, mm) &&
		    !is_dying(p))
			return false;
	return true;
}

/*
 * A thread's memory, if it is going to be freed soon.  The thread is locked.
 * Return: with a reference to the structure; NULL if it has been freed already;
 * ERR_PTR(-EINVAL).
 */
static struct mm_struct *dying_mm(struct task_struct *task)
{
	struct mm_struct *mm = task->mm;

	if (test_bit(MMF_OOM_SKIP, &mm->flags))
		return NULL;
	if (!is_dying(task) ||
	    (atomic_read(&mm->mm_users) > 1 && !others_are_dying(task, mm)))
		return ERR_PTR(-EINVAL);
	mmgrab(mm);
	return mm;
}

/* Of any thread that still has it.  Return: as dying_mm(), or ERR_PTR(-ESRCH). */
static struct mm_struct *find_dying_mm(struct pid *pid)
{
	struct task_struct *task, *t;
	struct mm_struct *mm;

	guard(rcu)();
	task = pid_task(pid, PIDTYPE_TGID);
	if (!task)
		return ERR_PTR(-ESRCH);
	for_each_thread(task, t) {
		task_lock(t);
		mm = t->mm ? dying_mm(t) : ERR_PTR(-ESRCH);
		task_unlock(t);
		if (mm != ERR_PTR(-ESRCH))
			return mm;
	}
	return ERR_PTR(-ESRCH);
}

static void reap_leaf(struct altvm_space *space, struct altvm_leaf *leaf,
		      unsigned long start, unsigned long end)
{
	mutex_lock(&leaf->lock);
	if (leaf->nr) {
		/* Once dropped, another space may write to them. */
		altvm_pte_zap_leaf(space, leaf, start, end);
		altvm_leaf_strip(leaf, start, end);
	}
	mutex_unlock(&leaf->lock);
}

/*
 * In a range that is busy, TLBs may still have addresses that its pages have been moved
 * away from.  So nothing may be busy.
 */
static int reap_space(struct altvm_space *space)
{
	struct altvm_leaf *leaf;
	unsigned long lo, hi;
	int ret;

	mutex_lock(&space->lock);
	ret = altvm_tree_wait_locked(space, space->start, space->end);
	if (!ret) {
		altvm_for_each_leaf(space, leaf, space->start, space->end, lo,
				    hi) {
			reap_leaf(space, leaf, lo, hi);
			cond_resched();
		}
	}
	mutex_unlock(&space->lock);
	return ret;
}

static int reap_locked(struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	struct vma_iterator vmi;
	int ret = 0;

	/* Set by exit_mmap() when nothing is left to free. */
	if (test_bit(MMF_OOM_SKIP, &mm->flags))
		return 0;
	/* First, see altvm_fault_is_reaped(). */
	set_bit(MMF_UNSTABLE, &mm->flags);
	vma_iter_init(&vmi, mm, 0);
	for_each_vma(vmi, vma)
		if (!ret && window_space(vma))
			ret = reap_space(window_space(vma));
	return ret;
}

/*
 * Who holds mmap_lock for reading keeps forks and munmap of the window away, and the
 * freeing of page tables at exit, as a fault does; so nothing need be entered.
 */
static int reap_windows(struct mm_struct *mm)
{
	int ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	ret = reap_locked(mm);
	mmap_read_unlock(mm);
	return ret;
}

/**
 * altvm_remote_mrelease() - ALTVM_PROCESS_MRELEASE
 * @cmd: the arguments
 *
 * Semantics: process_mrelease(2).
 *
 * Return: 0, -EINVAL, -ESRCH, -EBADF, -EINTR.
 */
int altvm_remote_mrelease(struct altvm_process_mrelease *cmd)
{
	struct mm_struct *mm;
	struct pid *pid;
	int ret;

	if (cmd->flags)
		return -EINVAL;
	pid = altvm_target_of_pidfd(cmd->pidfd);
	if (IS_ERR(pid))
		return PTR_ERR(pid);
	mm = find_dying_mm(pid);
	put_pid(pid);
	if (IS_ERR_OR_NULL(mm))
		return PTR_ERR_OR_ZERO(mm);
	ret = reap_windows(mm);
	mmdrop(mm);
	return ret;
}
