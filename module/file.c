// SPDX-License-Identifier: GPL-2.0
/*
 * File areas: what of a file is mapped where.
 *
 * An area of a file has an object, and with it a VMA, which covers exactly the
 * area's range.  The VMA is in no mm's tree but in the file's i_mmap, so that
 * the kernel's rmap comes to our PTEs as it comes to those of any other
 * mapping: truncation zaps them, writeback write-protects them, reclaim and
 * migration unmap them.  Migration gives a PTE the VMA's protection, which is
 * why no other area's VMA may cover it.
 *
 * Vetting.  No module can ask the LSM, the noexec flag, the seals, and whatever
 * else mmap() asks.  But it can have the kernel map a page of the file, look at
 * what became of it, and unmap it: each check is the kernel's own, and so is its
 * errno.  Taken over are ->vm_file (overlayfs replaces it), ->vm_ops and the
 * VM_MAY* flags.  What is not a plain mapping of a page cache is refused.
 *
 * When a file is cut off, what private mappings have copied of the rest is gone
 * too.  The kernel zaps our PTEs, which is not enough; the mmu notifier hears of it
 * with locks held, and notes it in the area; whoever looks at the area next acts.
 *
 * MAP_SHARED | MAP_ANONYMOUS is the mapping of a shmem file of its own, as it is in
 * the kernel.
 *
 * Locks: altvm_space.lock for changes of the tree; the i_mmap lock, taken below it,
 * for the range of a linked VMA.  Whoever meets an
 * area in the tree with the leaf locked, or under RCU, may take a reference.
 */
#include <linux/backing-dev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/interval_tree_generic.h>
#include <linux/magic.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/rmap.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "file.h"
#include "pte.h"
#include "store.h"

static struct kmem_cache *file_area_cache;

/*
 * What a file area's VMA has for an anon_vma, which nobody looks into: it keeps
 * khugepaged from freeing page tables in which the store's pages are mapped.
 */
static struct anon_vma no_anon_vma;

static inline unsigned long itree_start(struct vm_area_struct *vma)
{
	return vma->vm_pgoff;
}

static inline unsigned long itree_last(struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

/* The code that the kernel has for i_mmap, which it does not export. */
INTERVAL_TREE_DEFINE(struct vm_area_struct, shared.rb, unsigned long,
		     shared.rb_subtree_last, itree_start, itree_last,
		     static __maybe_unused, itree)

/* --- vetting */

/* Is it a mapping of the page cache of a file, and nothing else? */
static bool is_plain(const struct vm_area_struct *vma)
{
	const struct vm_operations_struct *ops = vma->vm_ops;
	struct inode *inode = file_inode(vma->vm_file);

	if (vma->vm_flags & (VM_PFNMAP | VM_IO | VM_MIXEDMAP | VM_HUGETLB) ||
	    vma->vm_private_data || !ops->fault)
		return false;
	/* These want to know of each VMA. */
	if (ops->open || ops->may_split || ops->mremap || ops->mprotect)
		return false;
	return (S_ISREG(inode->i_mode) || S_ISBLK(inode->i_mode)) &&
	       !IS_DAX(inode) && inode->i_sb->s_magic != SECRETMEM_MAGIC;
}

/*
 * Look at what the kernel has mapped at @addr.  Should another thread have put
 * something else there: the kernel has granted that to this process, too.
 */
static int vet_look(unsigned long addr, struct altvm_vetted *vetted)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	int ret = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, addr);
	if (!vma) {
		/* Another thread has unmapped it, which it should not. */
		ret = -ENODEV;
	} else if (!vma->vm_ops && !(vma->vm_flags & VM_SHARED)) {
		/* /dev/zero */
		vetted->flags = vma->vm_flags;
	} else if (!vma->vm_ops || !vma->vm_file || !is_plain(vma)) {
		ret = -ENODEV;
	} else {
		vetted->file = get_file(vma->vm_file);
		vetted->ops = vma->vm_ops;
		vetted->flags = vma->vm_flags;
	}
	mmap_read_unlock(mm);
	return ret;
}

/**
 * altvm_file_vet() - may the current process map a file?
 * @file: the file
 * @prot: PROT_* of mmap(2)
 * @flags: MAP_* of mmap(2)
 * @offset: of one of the pages, in bytes; the last one lets the kernel check the
 *	whole range
 * @vetted: out; its file is NULL if the mapping would be private memory
 *
 * Context: takes mmap_lock; no lock held, no space entered.
 * Return: 0 and the caller puts the file; the errno of mmap(2); -ENODEV also for
 * mappings that only the kernel can do.
 */
int altvm_file_vet(struct file *file, unsigned long prot, unsigned long flags,
		   u64 offset, struct altvm_vetted *vetted)
{
	/* Not where, nor what is done with it once it is there. */
	const unsigned long drop = MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_32BIT |
				   MAP_POPULATE | MAP_LOCKED;
	unsigned long addr;
	int ret;

	/* Not a flag that may be validated: one that never will be, instead. */
	if ((flags & MAP_TYPE) == MAP_SHARED_VALIDATE &&
	    flags & MAP_FIXED_NOREPLACE)
		flags |= BIT(25);
	*vetted = (struct altvm_vetted){};
	addr = vm_mmap(file, 0, PAGE_SIZE, prot, flags & ~drop, offset);
	if (IS_ERR_VALUE(addr))
		return addr;
	ret = vet_look(addr, vetted);
	vm_munmap(addr, PAGE_SIZE);
	return ret;
}

/* As path_noexec(). */
static bool is_noexec(const struct file *file)
{
	const struct vfsmount *mnt = file->f_path.mnt;

	return mnt->mnt_flags & MNT_NOEXEC ||
	       mnt->mnt_sb->s_iflags & SB_I_NOEXEC;
}

/*
 * Does an error come from what mprotect() does not ask?  The LSM comes before: is
 * it a swap file, on a file system that does not let execute by now, to be locked.
 */
static bool is_for_mmap_only(int error, const struct file *file)
{
	return error == -ETXTBSY || error == -ENODEV || error == -EAGAIN ||
	       (error == -EPERM && is_noexec(file));
}

/**
 * altvm_file_revet() - may an area of a file have more rights?
 * @fa: the area, referenced; the reference is dropped
 * @attr: with the rights
 *
 * Stands for security_file_mprotect().
 *
 * Context: as altvm_file_vet().
 * Return: 0, and they are in altvm_file_area.vetted; an errno of mmap(2).
 */
int altvm_file_revet(struct altvm_file_area *fa, unsigned long attr)
{
	unsigned long type = attr & VM_MAYSHARE ? MAP_SHARED : MAP_PRIVATE;
	unsigned long prot = attr & VM_ACCESS_FLAGS;
	struct altvm_vetted vetted;
	int ret;

	ret = altvm_file_vet(fa->vma.vm_file, prot, type,
			     (u64)fa->vma.vm_pgoff << PAGE_SHIFT, &vetted);
	if (!ret && vetted.file)
		fput(vetted.file);
	if (is_for_mmap_only(ret, fa->vma.vm_file))
		ret = 0;
	if (!ret)
		WRITE_ONCE(fa->vetted, READ_ONCE(fa->vetted) | prot);
	altvm_file_put(fa);
	return ret;
}

/* The vm_ops that a mapping of a shmem file has. */
static const struct vm_operations_struct *shmem_ops(struct file *file)
{
	static const struct vm_operations_struct *ops;
	struct altvm_vetted vetted;
	int ret;

	if (READ_ONCE(ops))
		return ops;
	ret = altvm_file_vet(file, PROT_READ, MAP_SHARED, 0, &vetted);
	if (ret)
		return ERR_PTR(ret);
	/* Another thread may have put something else in its place. */
	ret = vetted.file == file ? 0 : -ENODEV;
	if (vetted.file)
		fput(vetted.file);
	if (ret)
		return ERR_PTR(ret);
	WRITE_ONCE(ops, vetted.ops);
	return vetted.ops;
}

/**
 * altvm_file_vet_anon() - memory for MAP_SHARED | MAP_ANONYMOUS
 * @len: in bytes
 * @prot: PROT_* of mmap(2), as VM_* flags
 * @flags: VM_NORESERVE, VM_NOHUGEPAGE
 * @vetted: out
 *
 * As shmem_zero_setup() in mm/.
 *
 * Context: takes mmap_lock; no lock held, no space entered.
 * Return: 0 and the caller puts the file; -ENOMEM, -ENFILE, -EINTR.
 */
int altvm_file_vet_anon(unsigned long len, unsigned long prot,
			unsigned long flags, struct altvm_vetted *vetted)
{
	const struct vm_operations_struct *ops;
	struct file *file;

	file = shmem_kernel_file_setup("dev/zero", len, flags & VM_NORESERVE);
	if (IS_ERR(file))
		return PTR_ERR(file);
	ops = shmem_ops(file);
	if (IS_ERR(ops)) {
		fput(file);
		return PTR_ERR(ops);
	}
	*vetted = (struct altvm_vetted){
		.file = file,
		.ops = ops,
		.flags = prot | flags | ALTVM_ATTR_MAY | VM_SHARED |
			 VM_MAYSHARE,
	};
	return 0;
}

/* --- objects */

static bool counts_writable(const struct altvm_file_area *fa)
{
	return (fa->attr & (VM_SHARED | VM_MAYWRITE)) ==
	       (VM_SHARED | VM_MAYWRITE);
}

/* Stores to a shared page must be asked for, as vma_needs_dirty_tracking(). */
static bool needs_notify(const struct altvm_vetted *vetted)
{
	return vetted->flags & VM_SHARED &&
	       (vetted->ops->page_mkwrite || vetted->ops->pfn_mkwrite ||
		mapping_can_writeback(vetted->file->f_mapping));
}

static struct altvm_file_area *file_area_alloc(void)
{
	struct altvm_file_area *fa;

	fa = kmem_cache_zalloc(file_area_cache, GFP_KERNEL_ACCOUNT);
	if (!fa)
		return NULL;
	refcount_set(&fa->refs, 1);
	fa->cut = ULONG_MAX;
	INIT_LIST_HEAD(&fa->node);
	INIT_LIST_HEAD(&fa->vma.anon_vma_chain);
	fa->vma.anon_vma = &no_anon_vma;
#ifdef CONFIG_PER_VMA_LOCK
	fa->vma.detached = true;
	fa->vma.vm_lock_seq = -1;
#endif
	return fa;
}

/*
 * What reaches PTEs by the VMA never has the right to write where a store has to be
 * asked for, or copied; and something is always readable, see PAGE_NONE in pte.c.
 */
static void file_area_set_attr(struct altvm_file_area *fa, unsigned long attr)
{
	unsigned long rights = (attr & VM_ACCESS_FLAGS) | VM_READ;

	if (attr & ALTVM_ATTR_NOTIFY || !(attr & VM_SHARED))
		rights &= ~VM_WRITE;
	fa->attr = attr;
	fa->vma.vm_page_prot = vm_get_page_prot(VM_SHARED | rights);
	attr &= ~(ALTVM_ATTR_NOTIFY | ALTVM_ATTR_POLICY);
	vm_flags_init(&fa->vma, attr | VM_MIXEDMAP | VM_PFNMAP | VM_DONTEXPAND |
					VM_NOHUGEPAGE);
}

/**
 * altvm_file_create() - an area of a file, which is nowhere yet
 * @vetted: its file's reference goes to the area
 * @pgoff: the first page of the file
 *
 * Return: the area; ERR_PTR: -ENOMEM, or -EPERM if the file has been sealed
 * meanwhile.
 */
struct altvm_file_area *altvm_file_create(struct altvm_vetted *vetted,
					  pgoff_t pgoff)
{
	/* The process may have locked all that it maps natively. */
	const unsigned long keep = (ALTVM_ATTR_MASK & ~VM_LOCKED_MASK) |
				   ALTVM_ATTR_MAY | VM_SHARED | VM_MAYSHARE;
	unsigned long attr = vetted->flags & keep;
	struct altvm_file_area *fa = file_area_alloc();

	if (!fa)
		return ERR_PTR(-ENOMEM);
	fa->vma.vm_pgoff = pgoff;
	fa->vma.vm_ops = vetted->ops;
	fa->vetted = vetted->flags & VM_ACCESS_FLAGS;
	if (needs_notify(vetted))
		attr |= ALTVM_ATTR_NOTIFY;
	file_area_set_attr(fa, attr);
	if (counts_writable(fa) &&
	    mapping_map_writable(vetted->file->f_mapping)) {
		kmem_cache_free(file_area_cache, fa);
		return ERR_PTR(-EPERM);
	}
	fa->vma.vm_file = vetted->file;
	fa->mapping = vetted->file->f_mapping;
	vetted->file = NULL;
	return fa;
}

/* Another area of the same file, for the part from @addr on, with @attr. */
static struct altvm_file_area *file_area_copy(const struct altvm_file_area *fa,
					      struct mm_struct *mm,
					      unsigned long addr,
					      unsigned long attr)
{
	struct altvm_file_area *copy = file_area_alloc();

	if (!copy)
		return NULL;
	copy->vma.vm_mm = mm;
	copy->vma.vm_start = addr;
	copy->vma.vm_end = fa->vma.vm_end;
	copy->vma.vm_pgoff = altvm_file_pgoff(fa, addr);
	copy->vma.vm_ops = fa->vma.vm_ops;
	copy->vma.vm_file = get_file(fa->vma.vm_file);
	copy->mapping = fa->mapping;
	copy->vetted = fa->vetted;
	copy->cut = READ_ONCE(fa->cut);
	file_area_set_attr(copy, attr);
	if (counts_writable(copy))
		mapping_allow_writable(copy->mapping);
	return copy;
}

/**
 * altvm_file_copy() - another area of the same file, which is nowhere yet
 * @space: locked
 * @fa: the area
 * @addr: from where on, in bytes
 *
 * Return: NULL if there is no memory.
 */
struct altvm_file_area *altvm_file_copy(struct altvm_space *space,
					const struct altvm_file_area *fa,
					unsigned long addr)
{
	return file_area_copy(fa, space->mm, addr, fa->attr);
}

static void file_area_free_rcu(struct rcu_head *rcu)
{
	kmem_cache_free(file_area_cache,
			container_of(rcu, struct altvm_file_area, rcu));
}

/**
 * altvm_file_put() - drop a reference
 * @fa: the area; whoever drops the last one has nothing mapped or linked
 */
void altvm_file_put(struct altvm_file_area *fa)
{
	if (!refcount_dec_and_test(&fa->refs))
		return;
	WARN_ON_ONCE(fa->linked);
	if (counts_writable(fa))
		mapping_unmap_writable(fa->mapping);
	fput(fa->vma.vm_file);
	call_rcu(&fa->rcu, file_area_free_rcu);
}

/**
 * altvm_file_get_at() - a reference of the area at an address
 * @space: entered
 * @addr: in bytes
 *
 * Return: NULL if no file is mapped there, or it is going away.
 */
struct altvm_file_area *altvm_file_get_at(struct altvm_space *space,
					  unsigned long addr)
{
	struct altvm_file_area *fa;
	unsigned long attr;

	guard(rcu)();
	if (!altvm_tree_load(space, addr, &attr, &fa) || !fa ||
	    !refcount_inc_not_zero(&fa->refs))
		return NULL;
	return fa;
}

/**
 * altvm_file_drop() - the tree's reference, for good
 * @fa: not linked, not in the tree
 *
 * Context: may do I/O; no lock of ours is held.
 */
void altvm_file_drop(struct altvm_file_area *fa)
{
	/* Some network file systems write here what is dirty. */
	if (fa->vma.vm_ops->close && fa->vma.vm_mm)
		fa->vma.vm_ops->close(&fa->vma);
	altvm_file_put(fa);
}

/* --- i_mmap */

static void file_area_link(struct altvm_file_area *fa)
{
	struct address_space *mapping = fa->mapping;

	i_mmap_lock_write(mapping);
	itree_insert(&fa->vma, &mapping->i_mmap);
	fa->linked = true;
	i_mmap_unlock_write(mapping);
}

/*
 * @subclass: lockdep knows that zaps call mmu notifiers with this lock held, and
 * does not know that ours then ignores them.
 */
static void file_area_unlink(struct altvm_file_area *fa, int subclass)
{
	struct address_space *mapping = fa->mapping;

	down_write_nested(&mapping->i_mmap_rwsem, subclass);
	if (fa->linked)
		itree_remove(&fa->vma, &mapping->i_mmap);
	fa->linked = false;
	i_mmap_unlock_write(mapping);
}

/**
 * altvm_file_place() - say where an area is, and let rmap know
 * @fa: new
 * @space: entered
 * @start: in bytes
 * @len: in bytes
 *
 * To be called before the area can be found in the tree.
 */
void altvm_file_place(struct altvm_file_area *fa, struct altvm_space *space,
		      unsigned long start, unsigned long len)
{
	fa->vma.vm_mm = space->mm;
	fa->vma.vm_start = start;
	fa->vma.vm_end = start + len;
	WRITE_ONCE(space->special, true);
	file_area_link(fa);
}

/**
 * altvm_file_set_lock() - an area is to be locked
 * @fa: new, and nowhere yet
 * @lock: VM_LOCKED, VM_LOCKONFAULT
 */
void altvm_file_set_lock(struct altvm_file_area *fa, unsigned long lock)
{
	file_area_set_attr(fa, fa->attr | lock);
}

/**
 * altvm_file_unlink() - rmap does not see the area any more
 * @fa: no PTE maps a page of it, or it has not been stored in the tree
 */
void altvm_file_unlink(struct altvm_file_area *fa)
{
	file_area_unlink(fa, 0);
}

/**
 * altvm_file_collect() - the file areas of a range
 * @space: locked
 * @start: in bytes; no file area goes across it
 * @end: exclusive; nor across this
 * @files: out: list of them, by @node
 */
void altvm_file_collect(struct altvm_space *space, unsigned long start,
			unsigned long end, struct list_head *files)
{
	struct altvm_area area;

	if (!space->special)
		return;
	altvm_for_each_area(space, &area, start, end)
		if (area.fa)
			list_add_tail(&area.fa->node, files);
}

/**
 * altvm_file_unlink_list() - rmap does not see these areas any more
 * @files: no PTE maps a page of them
 */
void altvm_file_unlink_list(struct list_head *files)
{
	struct altvm_file_area *fa;

	list_for_each_entry(fa, files, node)
		file_area_unlink(fa, 0);
}

/**
 * altvm_file_drop_list() - drop the tree's references
 * @files: unlinked
 *
 * Context: as altvm_file_drop().
 */
void altvm_file_drop_list(struct list_head *files)
{
	struct altvm_file_area *fa, *next;

	list_for_each_entry_safe(fa, next, files, node)
		altvm_file_drop(fa);
}

/* --- files that are cut off */

static struct altvm_file_area *file_area_at(struct altvm_space *space,
					    unsigned long addr)
{
	struct altvm_area area;

	return altvm_tree_next(space, addr, addr + 1, &area) ? area.fa : NULL;
}

static void note_cut(struct altvm_file_area *fa, unsigned long start,
		     unsigned long end)
{
	loff_t size = i_size_read(fa->mapping->host);
	pgoff_t eof = DIV_ROUND_UP(size, PAGE_SIZE), cut, old;

	if (altvm_file_pgoff(fa, end - 1) < eof)
		return;
	cut = max(eof, altvm_file_pgoff(fa, start));
	old = READ_ONCE(fa->cut);
	while (cut < old && !try_cmpxchg(&fa->cut, &old, cut))
		;
}

/**
 * altvm_file_note_cut() - PTEs go, maybe because files have been cut off
 * @space: with whose PTEs it happens
 * @start: in bytes
 * @end: exclusive
 *
 * Context: cannot sleep, takes no lock.
 */
void altvm_file_note_cut(struct altvm_space *space, unsigned long start,
			 unsigned long end)
{
	struct altvm_area area;

	guard(rcu)();
	altvm_for_each_area(space, &area, start, end) {
		altvm_area_clip(&area, start, end);
		if (area.fa && !(area.attr & VM_SHARED))
			note_cut(area.fa, area.start, area.end);
	}
}

static void drop_stored(struct altvm_space *space, unsigned long start,
			unsigned long end)
{
	struct altvm_leaf *leaf;
	unsigned long lo, hi;

	altvm_for_each_leaf(space, leaf, start, end, lo, hi) {
		mutex_lock(&leaf->lock);
		altvm_pte_zap(space, lo, hi);
		altvm_leaf_discard(leaf, lo, hi);
		mutex_unlock(&leaf->lock);
	}
}

/* The space is locked, and the area is in it. */
static void apply_cut_locked(struct altvm_space *space,
			     struct altvm_file_area *fa)
{
	pgoff_t cut = READ_ONCE(fa->cut);
	unsigned long start;

	if (cut == ULONG_MAX)
		return;
	do {
		start = fa->vma.vm_start;
		if (cut > fa->vma.vm_pgoff)
			start += (cut - fa->vma.vm_pgoff) << PAGE_SHIFT;
		drop_stored(space, start, fa->vma.vm_end);
	} while (!try_cmpxchg(&fa->cut, &cut, ULONG_MAX));
}

/**
 * altvm_file_apply_cut() - drop what was stored beyond where a file was cut off
 * @space: entered, or in a fault on its window
 * @fa: the area, referenced
 *
 * Until it is done, nothing is stored there.
 *
 * Context: takes altvm_space.lock and altvm_leaf.lock.
 */
void altvm_file_apply_cut(struct altvm_space *space, struct altvm_file_area *fa)
{
	mutex_lock(&space->lock);
	if (file_area_at(space, fa->vma.vm_start) == fa)
		apply_cut_locked(space, fa);
	mutex_unlock(&space->lock);
}

/* --- cutting and joining */

/**
 * altvm_file_split() - see that no file area goes across an address
 * @space: locked
 * @addr: page-aligned
 *
 * A fault that found the left part before the tree changed may still map pages
 * of the right one with it, with the rights that both had when it locked the leaf.
 *
 * Return: 0, or -ENOMEM and nothing has changed.
 */
int altvm_file_split(struct altvm_space *space, unsigned long addr)
{
	struct altvm_file_area *left, *right;
	struct address_space *mapping;
	int ret;

	if (!space->special)
		return 0;
	left = file_area_at(space, addr);
	if (!left || left->vma.vm_start == addr)
		return 0;
	apply_cut_locked(space, left);
	right = file_area_copy(left, space->mm, addr, left->attr);
	if (!right)
		return -ENOMEM;
	ret = altvm_tree_put(space, addr, left->vma.vm_end, right, GFP_KERNEL);
	if (ret) {
		altvm_file_put(right);
		return ret;
	}

	mapping = left->mapping;
	i_mmap_lock_write(mapping);
	itree_remove(&left->vma, &mapping->i_mmap);
	left->vma.vm_end = addr;
	itree_insert(&left->vma, &mapping->i_mmap);
	itree_insert(&right->vma, &mapping->i_mmap);
	right->linked = true;
	/* It may have been cut off since. */
	right->cut = min(right->cut, left->cut);
	i_mmap_unlock_write(mapping);
	return 0;
}

/* Put another object in the place of one.  The space is locked. */
static int file_area_replace(struct altvm_space *space,
			     struct altvm_file_area *old,
			     struct altvm_file_area *new)
{
	struct address_space *mapping = old->mapping;
	int ret;

	ret = altvm_tree_put(space, old->vma.vm_start, old->vma.vm_end, new,
			     GFP_KERNEL);
	if (ret)
		return ret;
	i_mmap_lock_write(mapping);
	itree_remove(&old->vma, &mapping->i_mmap);
	old->linked = false;
	itree_insert(&new->vma, &mapping->i_mmap);
	new->linked = true;
	/* It may have been cut off since. */
	new->cut = min(new->cut, old->cut);
	i_mmap_unlock_write(mapping);
	altvm_file_put(old);
	return 0;
}

/**
 * altvm_file_change() - change the attributes of a file area, or of a part of one
 * @space: locked
 * @area: the part
 * @attr: the new ones
 *
 * What is changed gets an object of its own, for an object's attributes never change:
 * a fault that has found it in the tree may be at work with it, on what is another
 * area by now.
 *
 * Return: 0, or -ENOMEM.
 */
int altvm_file_change(struct altvm_space *space, const struct altvm_area *area,
		      unsigned long attr)
{
	struct altvm_file_area *old, *new;
	int ret;

	ret = altvm_file_split(space, area->end) ?:
		      altvm_file_split(space, area->start);
	if (ret)
		return ret;
	old = file_area_at(space, area->start);
	new = file_area_copy(old, space->mm, area->start, attr);
	if (!new)
		return -ENOMEM;
	ret = file_area_replace(space, old, new);
	if (ret) {
		altvm_file_put(new);
		return ret;
	}
	altvm_file_merge(space, area->start);
	altvm_file_merge(space, area->end);
	return 0;
}

/**
 * altvm_file_extend() - let a file area become larger
 * @space: locked
 * @fa: the area
 * @end: its new end, exclusive; until there is nothing
 *
 * Return: 0, or -ENOMEM and nothing has changed.
 */
int altvm_file_extend(struct altvm_space *space, struct altvm_file_area *fa,
		      unsigned long end)
{
	struct address_space *mapping = fa->mapping;
	int ret;

	/* What is cut off later concerns all of it. */
	apply_cut_locked(space, fa);
	ret = altvm_tree_put(space, fa->vma.vm_start, end, fa, GFP_KERNEL);
	if (ret)
		return ret;
	i_mmap_lock_write(mapping);
	itree_remove(&fa->vma, &mapping->i_mmap);
	fa->vma.vm_end = end;
	itree_insert(&fa->vma, &mapping->i_mmap);
	i_mmap_unlock_write(mapping);
	altvm_file_merge(space, end);
	return 0;
}

static bool may_merge(const struct altvm_file_area *left,
		      const struct altvm_file_area *right)
{
	return left->vma.vm_file == right->vma.vm_file &&
	       left->vma.vm_end == right->vma.vm_start &&
	       left->attr == right->attr && !left->vma.vm_ops->close &&
	       altvm_file_pgoff(left, right->vma.vm_start) ==
		       right->vma.vm_pgoff;
}

/**
 * altvm_file_merge() - join two file areas at an address, if they can be one
 * @space: locked
 * @addr: page-aligned, above the window's start
 */
void altvm_file_merge(struct altvm_space *space, unsigned long addr)
{
	struct altvm_file_area *left, *right;
	struct address_space *mapping;

	if (!space->special || addr <= space->start)
		return;
	left = file_area_at(space, addr - PAGE_SIZE);
	right = file_area_at(space, addr);
	if (!left || !right || left == right || !may_merge(left, right))
		return;
	/* What is cut off later concerns both. */
	apply_cut_locked(space, left);
	apply_cut_locked(space, right);
	if (altvm_tree_put(space, left->vma.vm_start, right->vma.vm_end, left,
			   GFP_KERNEL))
		return;

	left->vetted &= right->vetted;
	mapping = left->mapping;
	i_mmap_lock_write(mapping);
	itree_remove(&right->vma, &mapping->i_mmap);
	right->linked = false;
	itree_remove(&left->vma, &mapping->i_mmap);
	left->vma.vm_end = right->vma.vm_end;
	left->cut = min(left->cut, right->cut);
	itree_insert(&left->vma, &mapping->i_mmap);
	i_mmap_unlock_write(mapping);
	altvm_file_put(right);
}

/* --- whole spaces */

/**
 * altvm_file_clone_all() - give a forked child file areas of its own
 * @child: being made; its tree is a copy of the parent's
 *
 * They are linked when the child attaches to its mm.
 *
 * Return: 0, or -ENOMEM: then @child is to be destroyed.
 */
int altvm_file_clone_all(struct altvm_space *child)
{
	struct altvm_file_area *fa;
	struct altvm_area area;
	int ret = 0;

	mutex_lock(&child->lock);
	altvm_for_each_area(child, &area, child->start, child->end) {
		if (!area.fa)
			continue;
		/* Even in case of failure none of the parent's may be left. */
		fa = ret ? NULL :
			   file_area_copy(area.fa, child->mm, area.start,
					  area.attr & ~VM_LOCKED_MASK);
		if (!fa)
			ret = -ENOMEM;
		altvm_tree_put(child, area.start, area.end, fa,
			       GFP_KERNEL | __GFP_NOFAIL);
	}
	mutex_unlock(&child->lock);
	return ret;
}

/**
 * altvm_file_link_all() - let rmap know of all file areas
 * @space: a forked child's, in which nothing has been mapped yet
 */
void altvm_file_link_all(struct altvm_space *space)
{
	struct altvm_area area;

	if (!space->special)
		return;
	altvm_for_each_area(space, &area, space->start, space->end)
		if (area.fa)
			file_area_link(area.fa);
	/* Before, nobody would have told. */
	altvm_file_note_cut(space, space->start, space->end);
}

/**
 * altvm_file_unlink_all() - rmap does not see any area any more
 * @space: dead, no PTE is left
 *
 * Context: an mmu notifier's callback.
 */
void altvm_file_unlink_all(struct altvm_space *space)
{
	struct altvm_area area;

	if (!space->special)
		return;
	altvm_for_each_area(space, &area, space->start, space->end)
		if (area.fa)
			file_area_unlink(area.fa, SINGLE_DEPTH_NESTING);
}

/**
 * altvm_file_drop_all() - drop the tree's references
 * @space: nobody is in it, all areas are unlinked; its tree goes next
 */
void altvm_file_drop_all(struct altvm_space *space)
{
	struct altvm_area area;

	if (!space->special)
		return;
	altvm_for_each_area(space, &area, space->start, space->end)
		if (area.fa)
			altvm_file_drop(area.fa);
}

/** altvm_file_module_init() - when the module is loaded */
int __init altvm_file_module_init(void)
{
	file_area_cache = KMEM_CACHE(altvm_file_area, SLAB_HWCACHE_ALIGN);
	return file_area_cache ? 0 : -ENOMEM;
}

/** altvm_file_module_exit() - when the module goes */
void altvm_file_module_exit(void)
{
	rcu_barrier();
	kmem_cache_destroy(file_area_cache);
}
