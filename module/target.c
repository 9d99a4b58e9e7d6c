// SPDX-License-Identifier: GPL-2.0
/*
 * Targets: the other processes that a call is about, and what the caller may do to
 * them.
 *
 * The kernel decides that in mm_access(), with the LSMs' help.  Neither is
 * exported, but files of /proc/PID ask it when they are opened:
 *
 *   environ  PTRACE_MODE_READ_FSCREDS
 *   mem      PTRACE_MODE_ATTACH_FSCREDS
 *
 * and both keep the mm in file->private_data.  So altvm opens them.  What comes
 * out is the mm that was checked, whatever the target executes meanwhile, and that
 * is the mm which the call then uses.
 *
 *  - The file is looked up with the kernel's own credentials in a proc that only
 *    altvm has, of the initial PID namespace: a caller's own /proc may be anything,
 *    and how he comes to the file is not the question.
 *  - It is opened by its ->open alone, with the caller's credentials.  open(2) would
 *    also ask for the file's mode, and the LSMs whether a file may be opened, which
 *    the system calls do not.
 *  - process_vm_readv(2) goes by the real IDs and the permitted capabilities, where
 *    files go by those of file systems and the effective ones.  See open_attach().
 *
 * A number that comes to be another process's between the caller's words and the
 * lookup is that process's for a system call, too; but a pidfd is not, so the struct
 * pid must still be alive afterwards: as long as it is, nobody else has its number.
 *
 * Locks: none; takes exec_update_lock of the target, and what a lookup takes.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "target.h"

static struct vfsmount *proc_mnt;

/**
 * altvm_target_find() - the process or thread with a number
 * @nr: in the caller's PID namespace
 *
 * Return: referenced; NULL if there is none.
 */
struct pid *altvm_target_find(pid_t nr)
{
	return find_get_pid(nr);
}

/**
 * altvm_target_of_pidfd() - the process of a pidfd
 * @fd: the file descriptor
 *
 * As pidfd_get_task(): a pidfd of a thread is of no process.
 *
 * Return: referenced; ERR_PTR: -EBADF if it is no pidfd, -ESRCH if the process has
 * been waited for.
 */
struct pid *altvm_target_of_pidfd(int fd)
{
	struct file *file = fget(fd);
	struct pid *pid = NULL;
	bool alive;

	if (!file)
		return ERR_PTR(-EBADF);
	/* Nothing but pidfds is in this file system that can be opened. */
	if (file_inode(file)->i_sb->s_magic == PID_FS_MAGIC)
		pid = get_pid(file_inode(file)->i_private);
	fput(file);
	if (!pid)
		return ERR_PTR(-EBADF);

	rcu_read_lock();
	alive = pid_task(pid, PIDTYPE_TGID);
	rcu_read_unlock();
	if (alive)
		return pid;
	put_pid(pid);
	return ERR_PTR(-ESRCH);
}

static bool pid_is_alive(struct pid *pid)
{
	guard(rcu)();
	return pid_task(pid, PIDTYPE_PID);
}

/* Find a file of a process's directory. */
static int look_up(struct pid *pid, const char *name, struct path *path)
{
	const struct cred *old = override_creds(kernel_cred());
	char buf[32];
	int ret;

	snprintf(buf, sizeof(buf), "%d/%s", pid_nr(pid), name);
	ret = vfs_path_lookup(proc_mnt->mnt_root, proc_mnt, buf, 0, path);
	revert_creds(old);
	return ret;
}

/* Let the kernel check, with @cred.  Return: 0, and @file is open; its errno. */
static int open_with(struct file *file, const struct cred *cred)
{
	const struct cred *old = override_creds(cred);
	int ret = file->f_op->open(file_inode(file), file);

	revert_creds(old);
	return ret;
}

/*
 * As open_with(), but no capability in @cred counts with ns_capable(): that has left
 * its mark then.
 */
static int open_without_capable(struct file *file, const struct cred *cred)
{
	unsigned int saved = current->flags & PF_SUPERPRIV;
	int ret;

	current->flags &= ~PF_SUPERPRIV;
	ret = open_with(file, cred);
	if (!ret && current->flags & PF_SUPERPRIV) {
		file->f_op->release(file_inode(file), file);
		ret = -EACCES;
	}
	current->flags &= ~PF_SUPERPRIV;
	current->flags |= saved;
	return ret;
}

/*
 * PTRACE_MODE_ATTACH_REALCREDS, by a check that is about FSCREDS.  The kernel treats
 * them differently in two places:
 *  - Whose IDs must be the target's: with FSCREDS, the fsuid and fsgid.  So these are
 *    made the real ones.
 *  - What may not be less than the target's permitted capabilities: the caller's
 *    effective ones, or with REALCREDS the permitted ones.  So if the first attempt
 *    fails, whose answer yes is right in any case, there is a second, with all
 *    permitted capabilities effective.  Its yes is right if no ns_capable() was
 *    answered by yes on the way: that would have been no with the effective ones, or
 *    the first attempt would not have failed.
 */
static int open_attach(struct file *file, bool permitted)
{
	struct cred *cred = prepare_creds();
	int ret;

	if (!cred)
		return -ENOMEM;
	cred->fsuid = cred->uid;
	cred->fsgid = cred->gid;
	if (permitted) {
		cred->cap_effective = cred->cap_permitted;
		ret = open_without_capable(file, cred);
	} else {
		ret = open_with(file, cred);
	}
	put_cred(cred);
	return ret;
}

static int open_by_mode(struct file *file, enum altvm_target_mode mode)
{
	const struct cred *cred = current_cred();
	int ret;

	if (mode == ALTVM_TARGET_READ)
		return open_with(file, cred);
	ret = open_attach(file, false);
	if (ret == -EACCES &&
	    !cap_issubset(cred->cap_permitted, cred->cap_effective))
		ret = open_attach(file, true);
	return ret;
}

/* What the process runs in, if the caller may: its mm, with a user's reference. */
static struct mm_struct *checked_mm(const struct path *path,
				    enum altvm_target_mode mode)
{
	struct inode *inode = d_inode(path->dentry);
	struct file file = {
		.f_mode = FMODE_READ,
		.f_op = inode->i_fop,
		.f_inode = inode,
		.f_path = *path,
		.f_cred = current_cred(),
	};
	struct mm_struct *mm;
	int ret;

	ret = open_by_mode(&file, mode);
	if (ret)
		return ERR_PTR(ret);
	/* The file does not keep the memory, only the structure. */
	mm = file.private_data;
	if (!mmget_not_zero(mm))
		mm = ERR_PTR(-ESRCH);
	file.f_op->release(inode, &file);
	return mm;
}

/**
 * altvm_target_mm() - the memory of a process, if the caller may touch it
 * @pid: of the process, or of a thread
 * @mode: what the caller wants
 *
 * As mm_access().
 *
 * Context: may sleep.
 * Return: to be given back by mmput(); ERR_PTR: -ESRCH if there is no such process
 * any more, or it has no memory; -EACCES; -EINTR if killed; -ENOMEM.
 */
struct mm_struct *altvm_target_mm(struct pid *pid, enum altvm_target_mode mode)
{
	struct mm_struct *mm;
	struct path path;
	int ret;

	ret = look_up(pid, mode == ALTVM_TARGET_ATTACH ? "mem" : "environ",
		      &path);
	/* What could not be made for want of memory does not exist for proc. */
	if (ret == -ENOENT)
		ret = pid_is_alive(pid) ? -ENOMEM : -ESRCH;
	if (ret)
		return ERR_PTR(ret);
	mm = checked_mm(&path, mode);
	path_put(&path);
	if (pid_is_alive(pid))
		return mm;
	if (!IS_ERR(mm))
		mmput(mm);
	return ERR_PTR(-ESRCH);
}

/* In a kernel thread, whose PID namespace is the initial one. */
static void mount_proc(struct work_struct *work)
{
	struct file_system_type *type = get_fs_type("proc");

	if (!type) {
		proc_mnt = ERR_PTR(-ENODEV);
		return;
	}
	proc_mnt = kern_mount(type);
	module_put(type->owner);
}

/* Is what this relies on as it says above? */
static int self_test(void)
{
	static const enum altvm_target_mode modes[] = { ALTVM_TARGET_READ,
							ALTVM_TARGET_ATTACH };
	struct pid *pid = get_task_pid(current, PIDTYPE_PID);
	bool as_expected = true;

	for (unsigned int i = 0; i < ARRAY_SIZE(modes); i++) {
		struct mm_struct *mm = altvm_target_mm(pid, modes[i]);

		as_expected &= mm == current->mm;
		if (!IS_ERR(mm))
			mmput(mm);
	}
	put_pid(pid);
	return as_expected ? 0 : -EOPNOTSUPP;
}

/** altvm_target_init() - when the module is loaded */
int __init altvm_target_init(void)
{
	struct work_struct work;
	int ret;

	INIT_WORK_ONSTACK(&work, mount_proc);
	queue_work(system_unbound_wq, &work);
	flush_work(&work);
	destroy_work_on_stack(&work);
	if (IS_ERR(proc_mnt))
		return PTR_ERR(proc_mnt);
	ret = self_test();
	if (ret)
		altvm_target_exit();
	return ret;
}

/** altvm_target_exit() - when the module goes */
void altvm_target_exit(void)
{
	kern_unmount(proc_mnt);
}
