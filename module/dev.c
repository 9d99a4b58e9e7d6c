// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/altvm: the file operations, and the ioctl table.
 *
 * Commands are copied in and out here and nowhere else; the functions that carry
 * them out see kernel memory only.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "advise.h"
#include "brk.h"
#include "debug.h"
#include "dev.h"
#include "lock.h"
#include "map.h"
#include "policy.h"
#include "protect.h"
#include "remap.h"
#include "remote.h"
#include "residency.h"
#include "space.h"
#include "sync.h"

union cmd_buffer {
	u32 size;
	struct altvm_query query;
	struct altvm_mmap mmap;
	struct altvm_munmap munmap;
	struct altvm_mprotect mprotect;
	struct altvm_mincore mincore;
	struct altvm_msync msync;
	struct altvm_madvise madvise;
	struct altvm_mlock mlock;
	struct altvm_munlock munlock;
	struct altvm_mlockall mlockall;
	struct altvm_munlockall munlockall;
	struct altvm_brk brk;
	struct altvm_mremap mremap;
	struct altvm_mbind mbind;
	struct altvm_set_mempolicy set_mempolicy;
	struct altvm_get_mempolicy get_mempolicy;
	struct altvm_process_vm process_vm;
	struct altvm_process_madvise process_madvise;
	struct altvm_process_mrelease process_mrelease;
};

static int cmd_query(struct altvm_ctx *ctx, union cmd_buffer *buf);

static int cmd_mmap(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	if (buf->mmap.__reserved || buf->mmap.__reserved2)
		return -EINVAL;
	return altvm_map_mmap(ctx, &buf->mmap);
}

static int cmd_munmap(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	if (buf->munmap.__reserved)
		return -EINVAL;
	return altvm_map_munmap(ctx, &buf->munmap);
}

static int cmd_mprotect(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	return altvm_protect_mprotect(ctx, &buf->mprotect);
}

static int cmd_mincore(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	if (buf->mincore.flags & ~ALTVM_MINCORE_SWAPPED)
		return -EINVAL;
	return altvm_residency_mincore(ctx, &buf->mincore);
}

static int cmd_msync(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	return altvm_sync_msync(ctx, &buf->msync);
}

static int cmd_madvise(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	return altvm_advise_madvise(ctx, &buf->madvise);
}

static int cmd_mlock(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	return altvm_lock_mlock(ctx, &buf->mlock);
}

static int cmd_munlock(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	if (buf->munlock.__reserved)
		return -EINVAL;
	return altvm_lock_munlock(ctx, &buf->munlock);
}

static int cmd_mlockall(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	return altvm_lock_mlockall(ctx, &buf->mlockall);
}

static int cmd_munlockall(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	if (buf->munlockall.__reserved)
		return -EINVAL;
	return altvm_lock_munlockall(ctx);
}

static int cmd_brk(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	if (buf->brk.__reserved)
		return -EINVAL;
	return altvm_brk(ctx, &buf->brk);
}

static int cmd_mremap(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	return altvm_remap_mremap(ctx, &buf->mremap);
}

static int cmd_mbind(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	if (buf->mbind.__reserved)
		return -EINVAL;
	return altvm_policy_mbind(ctx, &buf->mbind);
}

static int cmd_set_mempolicy(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	return altvm_policy_set_mempolicy(ctx, &buf->set_mempolicy);
}

static int cmd_get_mempolicy(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	if (buf->get_mempolicy.__reserved)
		return -EINVAL;
	return altvm_policy_get_mempolicy(ctx, &buf->get_mempolicy);
}

static int cmd_process_vm_readv(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	if (buf->process_vm.__reserved)
		return -EINVAL;
	return altvm_remote_rw(&buf->process_vm, false);
}

static int cmd_process_vm_writev(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	if (buf->process_vm.__reserved)
		return -EINVAL;
	return altvm_remote_rw(&buf->process_vm, true);
}

static int cmd_process_madvise(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	return altvm_remote_madvise(&buf->process_madvise);
}

static int cmd_process_mrelease(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	if (buf->process_mrelease.__reserved)
		return -EINVAL;
	return altvm_remote_mrelease(&buf->process_mrelease);
}

/**
 * struct cmd - a command
 * @size: of its structure
 * @min_size: of its structure when it first came to be
 * @out: where its outputs start; they go to the end
 * @run: does it; in kernel memory.  NULL if there is no such command
 */
struct cmd {
	u32 size, min_size, out;
	int (*run)(struct altvm_ctx *ctx, union cmd_buffer *buf);
};

#define CMD_RUN(nr, member, function, last, out_offset)               \
	[ALTVM_CMD_##nr] = {                                          \
		.size = sizeof(struct altvm_##member),                \
		.min_size = offsetofend(struct altvm_##member, last), \
		.out = out_offset,                                    \
		.run = function,                                      \
	}
#define CMD(nr, member, last, out_offset) \
	CMD_RUN(nr, member, cmd_##member, last, out_offset)
#define OUT(member, first) offsetof(struct altvm_##member, first)
#define NO_OUT U32_MAX

static const struct cmd cmds[] = {
	CMD(QUERY, query, window_usable, OUT(query, abi_version)),
	CMD(MMAP, mmap, out_addr, OUT(mmap, out_addr)),
	CMD(MUNMAP, munmap, length, NO_OUT),
	CMD(MPROTECT, mprotect, length, NO_OUT),
	CMD(MINCORE, mincore, vec, NO_OUT),
	CMD(MSYNC, msync, length, NO_OUT),
	CMD(MADVISE, madvise, length, NO_OUT),
	CMD(MREMAP, mremap, out_addr, OUT(mremap, out_addr)),
	CMD(MLOCK, mlock, length, NO_OUT),
	CMD(MUNLOCK, munlock, length, NO_OUT),
	CMD(MLOCKALL, mlockall, flags, NO_OUT),
	CMD(MUNLOCKALL, munlockall, __reserved, NO_OUT),
	CMD(BRK, brk, out_addr, OUT(brk, out_addr)),
	CMD_RUN(PROCESS_VM_READV, process_vm, cmd_process_vm_readv, out_bytes,
		OUT(process_vm, out_bytes)),
	CMD_RUN(PROCESS_VM_WRITEV, process_vm, cmd_process_vm_writev, out_bytes,
		OUT(process_vm, out_bytes)),
	CMD(PROCESS_MADVISE, process_madvise, out_bytes,
	    OUT(process_madvise, out_bytes)),
	CMD(PROCESS_MRELEASE, process_mrelease, __reserved, NO_OUT),
	CMD(MBIND, mbind, __reserved, NO_OUT),
	CMD(SET_MEMPOLICY, set_mempolicy, maxnode, NO_OUT),
	CMD(GET_MEMPOLICY, get_mempolicy, __reserved,
	    OUT(get_mempolicy, out_mode)),
};

static_assert(sizeof(struct altvm_query) == 72);
static_assert(sizeof(struct altvm_mmap) == 56);
static_assert(sizeof(struct altvm_munmap) == 24);
static_assert(sizeof(struct altvm_mprotect) == 24);
static_assert(sizeof(struct altvm_mincore) == 32);
static_assert(sizeof(struct altvm_msync) == 24);
static_assert(sizeof(struct altvm_madvise) == 24);
static_assert(sizeof(struct altvm_mremap) == 48);
static_assert(sizeof(struct altvm_mlock) == 24);
static_assert(sizeof(struct altvm_munlock) == 24);
static_assert(sizeof(struct altvm_mlockall) == 8);
static_assert(sizeof(struct altvm_munlockall) == 8);
static_assert(sizeof(struct altvm_brk) == 24);
static_assert(sizeof(struct altvm_mbind) == 48);
static_assert(sizeof(struct altvm_set_mempolicy) == 24);
static_assert(sizeof(struct altvm_get_mempolicy) == 40);
static_assert(sizeof(struct altvm_process_vm) == 56);
static_assert(sizeof(struct altvm_process_madvise) == 40);
static_assert(sizeof(struct altvm_process_mrelease) == 16);

/* The commands that there are, a bit each. */
static u64 known_commands(void)
{
	u64 known = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(cmds); i++)
		if (cmds[i].run)
			known |= BIT_ULL(i);
	return known;
}

static int cmd_query(struct altvm_ctx *ctx, union cmd_buffer *buf)
{
	struct altvm_query *q = &buf->query;
	struct altvm_space *space;

	if (q->__reserved || q->__reserved2)
		return -EINVAL;
	*q = (struct altvm_query){
		.size = q->size,
		.abi_version = ALTVM_ABI_VERSION,
		.commands = known_commands(),
		.map_flags = ALTVM_MAP_FLAGS,
		.map_flags_ignored = ALTVM_MAP_FLAGS_IGNORED,
		.window_max = ALTVM_WINDOW_MAX,
	};

	space = altvm_space_enter(ctx);
	if (PTR_ERR_OR_ZERO(space) == -ENXIO)
		return 0;
	if (IS_ERR(space))
		return PTR_ERR(space);
	q->window_addr = space->start;
	q->window_len = space->end - space->start;
	q->window_usable = space->end - space->start;
	altvm_space_leave(space);
	return 0;
}

/* As far as the caller knows of them. */
static int copy_out(void __user *user, const union cmd_buffer *buf, u32 size,
		    const struct cmd *cmd)
{
	u32 end = min(size, cmd->size);

	if (cmd->out < end &&
	    copy_to_user(user + cmd->out, (void *)buf + cmd->out,
			 end - cmd->out))
		return -EFAULT;
	return 0;
}

static long altvm_ioctl(struct file *file, unsigned int nr, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	union cmd_buffer buf;
	const struct cmd *cmd;
	u32 size;
	int ret;

	if (nr != _IO(ALTVM_IOC, _IOC_NR(nr)) ||
	    _IOC_NR(nr) >= ARRAY_SIZE(cmds))
		return -ENOTTY;
	cmd = &cmds[array_index_nospec(_IOC_NR(nr), ARRAY_SIZE(cmds))];
	if (!cmd->run)
		return -ENOTTY;

	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < cmd->min_size)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&buf, cmd->size, user, size);
	if (ret)
		return ret;
	/* Where the result cannot be told, nothing is to change. */
	ret = copy_out(user, &buf, size, cmd);
	if (ret)
		return ret;
	/* It may have been changed since. */
	buf.size = size;

	ret = cmd->run(file->private_data, &buf);
	return ret ?: copy_out(user, &buf, size, cmd);
}

static int altvm_mmap(struct file *file, struct vm_area_struct *window)
{
	if (!(window->vm_flags & VM_SHARED) || window->vm_pgoff ||
	    window->vm_end - window->vm_start > ALTVM_WINDOW_MAX)
		return -EINVAL;
	return altvm_space_mmap(file->private_data, window);
}

/*
 * Called with mmap_lock held for write, also by mremap(2) before it moves
 * anything: that is how moving the window is refused.
 */
static unsigned long altvm_get_unmapped_area(struct file *file,
					     unsigned long addr,
					     unsigned long len,
					     unsigned long pgoff,
					     unsigned long flags)
{
	if (altvm_space_exists(file->private_data))
		return -EBUSY;
	/* Aligned to 2 MiB where possible, so that leaves are whole. */
	return thp_get_unmapped_area(file, addr, len, pgoff, flags);
}

static int altvm_open(struct inode *inode, struct file *file)
{
	file->private_data = altvm_ctx_create();
	return file->private_data ? 0 : -ENOMEM;
}

static int altvm_release(struct inode *inode, struct file *file)
{
	altvm_ctx_destroy(file->private_data);
	return 0;
}

static const struct file_operations altvm_fops = {
	.owner = THIS_MODULE,
	.open = altvm_open,
	.release = altvm_release,
	.mmap = altvm_mmap,
	.get_unmapped_area = altvm_get_unmapped_area,
	.unlocked_ioctl = altvm_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = altvm_debug_show_fdinfo,
	.llseek = noop_llseek,
};

static struct miscdevice altvm_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "altvm",
	.fops = &altvm_fops,
	.mode = 0660,
};

/** altvm_dev_init() - the device appears */
int __init altvm_dev_init(void)
{
	return misc_register(&altvm_dev);
}

/** altvm_dev_exit() - the device goes; no file is open */
void altvm_dev_exit(void)
{
	misc_deregister(&altvm_dev);
}
