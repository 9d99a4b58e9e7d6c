// SPDX-License-Identifier: GPL-2.0
/*
 * NUMA policy: from which memory nodes pages come.
 *
 * The kernel allocates by a policy that is found through a VMA
 * (vma_alloc_folio()).  So each of our policies is a struct mempolicy with a VMA
 * around it, and the kernel's own code interleaves, weighs, falls back, and runs out
 * of memory.  The kernel's policies cannot be had: mpol_new() and mpol_put() are not
 * exported.  But what is in one is public, and ours are never given away: who keeps a
 * policy (shmem) makes a copy.
 *
 * Which policy a page of private memory comes by:
 *  1. of a mapping of tmpfs and what is like it, that of the file's pages, if they
 *     have one, see altvm_policy_mbind();
 *  2. the area's.  Areas are values, so that has to be in their attributes: it is an
 *     index into the space's table (ALTVM_ATTR_POLICY).  Equal policies have one
 *     index, so neighbours with equal policies are one area;
 *  3. the space's (ALTVM_SET_MEMPOLICY);
 *  4. the thread's own, of set_mempolicy(2), as for every allocation.
 * Pages of files are allocated by the file system, and for it the last two are one.
 *
 * Policies never change.  When a cpuset confines the thread to other nodes than the
 * policy was made for, it is translated at each use.
 *
 * Locks: altvm_space.lock for changes of the table, RCU and a reference for its use.
 */
#include <linux/capability.h>
#include <linux/mempolicy.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "migrate.h"
#include "nodes.h"
#include "policy.h"
#include "pte.h"

#define POLICY_SHIFT __ffs(ALTVM_ATTR_POLICY)
#define POLICY_MAX (ALTVM_ATTR_POLICY >> POLICY_SHIFT)

/**
 * struct altvm_policy - a policy; constant
 * @mpol: what the kernel sees of it
 * @mems: the nodes that were allowed when it was made
 * @vma: by which the kernel finds @mpol; begins at address 0 and page 0, so that an
 *	address says how to interleave
 * @refs: each table that it is in has one, each user another
 * @rcu: for freeing
 */
struct altvm_policy {
	struct mempolicy mpol;
	nodemask_t mems;
	struct vm_area_struct vma;
	refcount_t refs;
	struct rcu_head rcu;
};

/* --- policies */

static void policy_put(struct altvm_policy *policy)
{
	if (policy && refcount_dec_and_test(&policy->refs))
		kfree_rcu(policy, rcu);
}

/* What the current thread may use, as cpusets have it. */
static void get_mems_allowed(nodemask_t *mems)
{
	task_lock(current);
	*mems = current->mems_allowed;
	task_unlock(current);
}

/* The n-th of the user's nodes is the n-th of those that there are, and so around. */
static void nodes_relative(nodemask_t *nodes, const nodemask_t *user,
			   const nodemask_t *there)
{
	unsigned int nid, n = 0, nr = nodes_weight(*there);
	nodemask_t folded = NODE_MASK_NONE;

	for_each_node_mask(nid, *user)
		node_set(nid % nr, folded);
	nodes_clear(*nodes);
	for_each_node_mask(nid, *there)
		if (node_isset(n++, folded))
			node_set(nid, *nodes);
}

/* What the user asked for, as in mpol_set_nodemask() in mm/. */
static int policy_set_nodes(struct altvm_policy *policy, const nodemask_t *user)
{
	struct mempolicy *mpol = &policy->mpol;
	nodemask_t there;

	get_mems_allowed(&policy->mems);
	if (mpol->mode == MPOL_LOCAL)
		return 0;
	nodes_and(there, policy->mems, node_states[N_MEMORY]);
	if (mpol->flags & MPOL_F_RELATIVE_NODES)
		nodes_relative(&mpol->nodes, user, &there);
	else
		nodes_and(mpol->nodes, *user, there);
	if (nodes_empty(mpol->nodes))
		return -EINVAL;
	if (mpol->mode == MPOL_PREFERRED)
		mpol->nodes = nodemask_of_node(first_node(mpol->nodes));
	if (mpol->flags & MPOL_MODE_FLAGS)
		mpol->w.user_nodemask = *user;
	else
		mpol->w.cpuset_mems_allowed = policy->mems;
	return 0;
}

/* As mpol_new() in mm/ checks it.  Return: the mode, or -EINVAL. */
static int check_mode(int mode, unsigned short flags, const nodemask_t *nodes)
{
	bool empty = nodes_empty(*nodes);
	bool fixed = flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES);

	switch (mode) {
	case MPOL_DEFAULT:
		return empty ? mode : -EINVAL;
	case MPOL_LOCAL:
		return empty && !fixed ? mode : -EINVAL;
	case MPOL_PREFERRED:
		if (!empty)
			return mode;
		return fixed ? -EINVAL : MPOL_LOCAL;
	default:
		return empty ? -EINVAL : mode;
	}
}

static struct altvm_policy *policy_alloc(void)
{
	struct altvm_policy *policy =
		kzalloc(sizeof(*policy), GFP_KERNEL_ACCOUNT);

	if (!policy)
		return NULL;
	atomic_set(&policy->mpol.refcnt, 1);
	refcount_set(&policy->refs, 1);
	policy->mpol.home_node = NUMA_NO_NODE;
	policy->vma.vm_policy = &policy->mpol;
	return policy;
}

/* Return: NULL for MPOL_DEFAULT; ERR_PTR: -EINVAL, -ENOMEM. */
static struct altvm_policy *policy_create(int mode, unsigned short flags,
					  const nodemask_t *nodes)
{
	struct altvm_policy *policy;
	int ret;

	mode = check_mode(mode, flags, nodes);
	if (mode <= 0)
		return ERR_PTR(mode);
	policy = policy_alloc();
	if (!policy)
		return ERR_PTR(-ENOMEM);
	policy->mpol.mode = mode;
	policy->mpol.flags = flags;
	ret = policy_set_nodes(policy, nodes);
	if (ret) {
		policy_put(policy);
		return ERR_PTR(ret);
	}
	return policy;
}

/*
 * A policy for the nodes that are allowed now, as mpol_rebind_policy() in mm/.
 * Return: with a reference; NULL without memory.
 */
static struct altvm_policy *policy_rebind(const struct altvm_policy *policy,
					  const nodemask_t *mems)
{
	struct altvm_policy *new = policy_alloc();
	const nodemask_t *user = &policy->mpol.w.user_nodemask;
	nodemask_t *nodes;

	if (!new)
		return NULL;
	new->mpol = policy->mpol;
	new->mems = *mems;
	nodes = &new->mpol.nodes;
	if (policy->mpol.mode == MPOL_PREFERRED ||
	    policy->mpol.mode == MPOL_PREFERRED_MANY)
		return new;
	if (policy->mpol.flags & MPOL_F_STATIC_NODES)
		nodes_and(*nodes, *user, *mems);
	else if (policy->mpol.flags & MPOL_F_RELATIVE_NODES)
		nodes_relative(nodes, user, mems);
	else
		nodes_remap(*nodes, policy->mpol.nodes, policy->mems, *mems);
	if (nodes_empty(*nodes))
		*nodes = *mems;
	return new;
}

/* The policy as the current thread sees it.  @policy: whose reference goes. */
static struct altvm_policy *policy_bound(struct altvm_policy *policy)
{
	struct altvm_policy *new = NULL;
	nodemask_t mems;

	if (policy->mpol.mode == MPOL_LOCAL)
		return policy;
	get_mems_allowed(&mems);
	if (likely(nodes_equal(policy->mems, mems)) || nodes_empty(mems))
		return policy;
	new = policy_rebind(policy, &mems);
	if (!new)
		return policy;
	policy_put(policy);
	return new;
}

static bool policy_equal(const struct altvm_policy *a,
			 const struct altvm_policy *b)
{
	return a->mpol.mode == b->mpol.mode && a->mpol.flags == b->mpol.flags &&
	       nodes_equal(a->mpol.nodes, b->mpol.nodes) &&
	       nodes_equal(a->mpol.w.user_nodemask, b->mpol.w.user_nodemask) &&
	       nodes_equal(a->mems, b->mems);
}

/* --- the table of a space */

/**
 * altvm_policy_init() - no policies
 * @space: being made
 */
void altvm_policy_init(struct altvm_space *space)
{
	xa_init_flags(&space->policies, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
}

/**
 * altvm_policy_clone() - the policies of a forked child
 * @to: being made
 * @from: frozen
 *
 * Return: 0 or -ENOMEM.
 */
int altvm_policy_clone(struct altvm_space *to, struct altvm_space *from)
{
	struct altvm_policy *policy;
	unsigned long index;
	int ret;

	to->policy = from->policy;
	xa_for_each(&from->policies, index, policy) {
		ret = xa_insert(&to->policies, index, policy, GFP_KERNEL);
		if (ret)
			return ret;
		refcount_inc(&policy->refs);
	}
	return 0;
}

/**
 * altvm_policy_destroy() - let go of all policies
 * @space: nobody is in it
 */
void altvm_policy_destroy(struct altvm_space *space)
{
	struct altvm_policy *policy;
	unsigned long index;

	xa_for_each(&space->policies, index, policy)
		policy_put(policy);
	xa_destroy(&space->policies);
}

/*
 * Forget the policies that nothing has any more.  The space is locked.
 * Return: 0; -EAGAIN if it was unlocked meanwhile; -EINTR.
 */
static int table_reclaim(struct altvm_space *space)
{
	DECLARE_BITMAP(used, POLICY_MAX + 1) = {};
	struct altvm_policy *policy;
	struct altvm_area area;
	unsigned long index;

	/* Whoever has made a range busy may be going to put back what was there. */
	if (space->nr_busy)
		return altvm_tree_wait_locked(space, space->start, space->end) ?:
			       -EAGAIN;
	__set_bit(space->policy, used);
	altvm_for_each_area(space, &area, space->start, space->end)
		__set_bit((area.attr & ALTVM_ATTR_POLICY) >> POLICY_SHIFT,
			  used);
	xa_for_each(&space->policies, index, policy) {
		if (test_bit(index, used))
			continue;
		xa_erase(&space->policies, index);
		policy_put(policy);
	}
	return 0;
}

static int table_add(struct altvm_space *space, struct altvm_policy *policy,
		     u32 *index)
{
	int ret = xa_alloc(&space->policies, index, policy,
			   XA_LIMIT(1, POLICY_MAX), GFP_KERNEL);

	if (!ret)
		refcount_inc(&policy->refs);
	return ret;
}

/*
 * Find the index of a policy, or give it one, which stays as long as the space is
 * locked.  @policy: NULL has 0.
 * Return: 0; -ENOMEM; -EAGAIN if the space was unlocked meanwhile; -EINTR.
 */
static int table_index(struct altvm_space *space, struct altvm_policy *policy,
		       u32 *index)
{
	struct altvm_policy *old;
	unsigned long at;
	int ret;

	*index = 0;
	if (!policy)
		return 0;
	xa_for_each(&space->policies, at, old)
		if (policy_equal(policy, old)) {
			*index = at;
			return 0;
		}
	ret = table_add(space, policy, index);
	if (ret == -EBUSY)
		ret = table_reclaim(space) ?: table_add(space, policy, index);
	return ret == -EBUSY ? -ENOMEM : ret;
}

/* With a reference; NULL if there is none. */
static struct altvm_policy *table_get(struct altvm_space *space,
				      unsigned long index)
{
	struct altvm_policy *policy;

	guard(rcu)();
	do
		policy = xa_load(&space->policies, index);
	while (policy && !refcount_inc_not_zero(&policy->refs));
	return policy;
}

static unsigned long attr_index(unsigned long attr)
{
	return (attr & ALTVM_ATTR_POLICY) >> POLICY_SHIFT;
}

/* --- allocation */

/* What mpol_cond_put() would do, if it were exported. */
static void shared_put(struct mempolicy *mpol)
{
	/* It is from a slab cache, for which kfree() is as good. */
	if (mpol->flags & MPOL_F_SHARED && atomic_dec_and_test(&mpol->refcnt))
		kfree(mpol);
}

/*
 * The policy that the pages of a file have themselves, for shared_put(); NULL if they
 * have none.
 */
static struct mempolicy *object_policy(struct altvm_file_area *fa,
				       unsigned long addr)
{
	const struct vm_operations_struct *ops = fa ? fa->vma.vm_ops : NULL;
	pgoff_t ilx = 0;

	if (!ops || !ops->get_policy)
		return NULL;
	return ops->get_policy(&fa->vma, addr, &ilx);
}

static struct page *alloc_by_vma(struct vm_area_struct *vma, unsigned long addr,
				 gfp_t gfp, unsigned int order)
{
	struct folio *folio = vma_alloc_folio(gfp, order, vma, addr, order);

	return folio ? folio_page(folio, 0) : NULL;
}

/**
 * altvm_policy_alloc_for() - altvm_policy_alloc(), where there may be a policy
 * @space: entered, or in a fault on its window
 * @attr: of the area that the page is for
 * @fa: of a file area, or NULL
 * @addr: what the page is for
 * @gfp: all flags
 * @order: of the page; if it is not 0, @fa is NULL and @gfp has __GFP_COMP
 *
 * Return: NULL if there is no memory where the policy lets it be.
 */
struct page *altvm_policy_alloc_for(struct altvm_space *space,
				    unsigned long attr,
				    struct altvm_file_area *fa,
				    unsigned long addr, gfp_t gfp,
				    unsigned int order)
{
	struct mempolicy *object = object_policy(fa, addr);
	struct altvm_policy *policy;
	struct page *page;

	if (object) {
		shared_put(object);
		return alloc_by_vma(&fa->vma, addr, gfp, order);
	}
	policy = table_get(space, attr_index(attr) ?: READ_ONCE(space->policy));
	if (!policy)
		return alloc_pages(gfp, order);
	/* In another's memory, the owner's cpuset cannot be told. */
	if (space->mm == current->mm)
		policy = policy_bound(policy);
	if (fa)
		addr = altvm_file_pgoff(fa, addr) << PAGE_SHIFT;
	page = alloc_by_vma(&policy->vma, addr, gfp, order);
	policy_put(policy);
	return page;
}

/**
 * altvm_policy_alloc_at() - altvm_policy_alloc() for who has not read the tree
 * @space: entered, or in a fault on its window
 * @addr: what the page is for
 * @gfp: __GFP_ZERO or 0, and what else is special
 *
 * Return: NULL if there is no memory where the policy lets it be.
 */
struct page *altvm_policy_alloc_at(struct altvm_space *space,
				   unsigned long addr, gfp_t gfp)
{
	struct altvm_file_area *fa = NULL;
	unsigned long attr = 0;
	struct page *page;

	if (altvm_policy_any(space) || READ_ONCE(space->special)) {
		guard(rcu)();
		if (!altvm_tree_load(space, addr, &attr, &fa))
			attr = 0;
		else if (fa && !refcount_inc_not_zero(&fa->refs))
			fa = NULL;
	}
	page = altvm_policy_alloc(space, attr, fa, addr, gfp);
	if (fa)
		altvm_file_put(fa);
	return page;
}

/* --- the listing */

/**
 * altvm_policy_show() - print an area's policy, in the style of numa_maps
 * @m: where to
 * @space: whose
 * @attr: of the area, with a policy
 *
 * Context: RCU.
 */
void altvm_policy_show(struct seq_file *m, struct altvm_space *space,
		       unsigned long attr)
{
	static const char *const names[] = {
		[MPOL_PREFERRED] = "prefer",
		[MPOL_BIND] = "bind",
		[MPOL_INTERLEAVE] = "interleave",
		[MPOL_LOCAL] = "local",
		[MPOL_PREFERRED_MANY] = "prefer-many",
		[MPOL_WEIGHTED_INTERLEAVE] = "weighted-interleave",
	};
	struct altvm_policy *policy =
		xa_load(&space->policies, attr_index(attr));

	if (!policy || policy->mpol.mode >= ARRAY_SIZE(names))
		return;
	seq_puts(m, names[policy->mpol.mode]);
	if (policy->mpol.flags & MPOL_F_STATIC_NODES)
		seq_puts(m, "=static");
	else if (policy->mpol.flags & MPOL_F_RELATIVE_NODES)
		seq_puts(m, "=relative");
	if (!nodes_empty(policy->mpol.nodes))
		seq_printf(m, ":%*pbl", nodemask_pr_args(&policy->mpol.nodes));
}

/* --- mbind and set_mempolicy */

/* As sanitize_mpol_flags() in mm/.  @mode: in and out. */
static int split_mode(int *mode, unsigned short *flags)
{
	const int fixed = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES;

	*flags = *mode & MPOL_MODE_FLAGS;
	*mode &= ~MPOL_MODE_FLAGS;
	if ((unsigned int)*mode >= MPOL_MAX || (*flags & fixed) == fixed)
		return -EINVAL;
	if (*flags & MPOL_F_NUMA_BALANCING) {
		if (*mode != MPOL_BIND && *mode != MPOL_PREFERRED_MANY)
			return -EINVAL;
		*flags |= MPOL_F_MOF | MPOL_F_MORON;
	}
	return 0;
}

/**
 * struct bind - an mbind in progress
 * @start: in bytes
 * @end: exclusive
 * @policy: the new one; NULL for MPOL_DEFAULT
 * @strict: pages on other nodes are an error, and are not to be moved
 * @move: how to move pages, if they are to be
 */
struct bind {
	unsigned long start, end;
	struct altvm_policy *policy;
	bool strict;
	struct altvm_migrate move;
};

/* Does another area or the end of the range follow without a hole? */
static bool is_followed(struct altvm_space *space, const struct bind *bind,
			unsigned long addr)
{
	struct altvm_area next;

	if (addr >= bind->end)
		return true;
	return altvm_tree_next(space, addr, min(bind->end, space->end),
			       &next) &&
	       next.start == addr;
}

/*
 * As queue_pages_range() in mm/: first whether there are holes behind an area, then
 * its pages.  The space is locked, nothing in the range is busy.
 */
static int bind_check(struct altvm_space *space, struct bind *bind)
{
	unsigned long start = max(bind->start, space->start);
	unsigned long end = min(bind->end, space->end);
	struct altvm_area area;
	bool any = false;
	int ret;

	altvm_for_each_area(space, &area, start, end) {
		if (bind->policy && ((!any && area.start > bind->start) ||
				     !is_followed(space, bind, area.end)))
			return -EFAULT;
		any = true;
		if (!bind->strict)
			continue;
		altvm_area_clip(&area, start, end);
		ret = altvm_migrate_check(space, &area, &bind->move.nodes);
		if (ret)
			return ret;
		cond_resched();
	}
	return any ? 0 : -EFAULT;
}

/*
 * Shared memory has its policy in the object, whoever maps it: the file system keeps
 * a copy of it for these pages.
 */
static int bind_object(const struct altvm_area *area,
		       struct altvm_policy *policy)
{
	struct altvm_file_area *fa = area->fa;
	struct vm_area_struct vma = {};

	if (!fa || !fa->vma.vm_ops->set_policy)
		return 0;
	vma.vm_mm = fa->vma.vm_mm;
	vma.vm_start = area->start;
	vma.vm_end = area->end;
	vma.vm_pgoff = altvm_file_pgoff(fa, area->start);
	vma.vm_file = fa->vma.vm_file;
	vma.vm_ops = fa->vma.vm_ops;
	vm_flags_init(&vma, fa->vma.vm_flags);
	return vma.vm_ops->set_policy(&vma, policy ? &policy->mpol : NULL);
}

static int bind_area(struct altvm_space *space, struct altvm_area *area,
		     struct altvm_policy *policy, unsigned long attr)
{
	int ret;

	attr |= area->attr & ~ALTVM_ATTR_POLICY;
	if (attr == area->attr)
		return 0;
	ret = bind_object(area, policy);
	if (ret)
		return ret;
	if (area->fa)
		return altvm_file_change(space, area, attr);
	return altvm_tree_store(space, area->start, area->end, attr,
				GFP_KERNEL);
}

/* Set the policy.  The space is locked, but not all the time. */
static int bind_locked(struct altvm_space *space, struct bind *bind)
{
	unsigned long start = max(bind->start, space->start);
	unsigned long end = min(bind->end, space->end);
	struct altvm_area area;
	u32 index;
	int ret;

	do
		ret = altvm_tree_wait_locked(space, start, end) ?:
			      bind_check(space, bind)		?:
			      table_index(space, bind->policy, &index);
	while (ret == -EAGAIN);
	if (ret)
		return ret;
	bind->move.attr = (unsigned long)index << POLICY_SHIFT;
	altvm_for_each_area(space, &area, start, end) {
		altvm_area_clip(&area, start, end);
		ret = bind_area(space, &area, bind->policy, bind->move.attr);
		if (ret)
			break;
		cond_resched();
	}
	return ret;
}

static int bind_in(struct altvm_ctx *ctx, struct bind *bind)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	int ret;

	if (IS_ERR(space))
		return PTR_ERR(space);
	mutex_lock(&space->lock);
	ret = bind_locked(space, bind);
	altvm_tree_validate(space);
	mutex_unlock(&space->lock);
	altvm_space_leave(space);
	return ret;
}

/* All that can be told of the arguments, in the order of do_mbind() in mm/. */
static int bind_args(const struct altvm_mbind *cmd, struct bind *bind)
{
	int ret = altvm_nodes_get(&bind->move.nodes,
				  u64_to_user_ptr(cmd->nodemask), cmd->maxnode);

	if (ret)
		return ret;
	if (cmd->flags & ~MPOL_MF_VALID)
		return -EINVAL;
	if (cmd->flags & MPOL_MF_MOVE_ALL && !capable(CAP_SYS_NICE))
		return -EPERM;
	bind->start = cmd->addr;
	bind->end = cmd->addr + PAGE_ALIGN(cmd->length);
	return offset_in_page(bind->start) || bind->end < bind->start ?
		       -EINVAL :
		       0;
}

/* As do_mbind() in mm/. */
static int bind_do(struct altvm_ctx *ctx, struct bind *bind, int mode,
		   unsigned short mode_flags, u32 flags)
{
	const u32 moves = MPOL_MF_MOVE | MPOL_MF_MOVE_ALL;
	int ret;

	if (mode == MPOL_DEFAULT)
		flags &= ~MPOL_MF_STRICT;
	if (bind->end == bind->start)
		return 0;
	bind->policy = policy_create(mode, mode_flags, &bind->move.nodes);
	if (IS_ERR(bind->policy))
		return PTR_ERR(bind->policy);

	bind->strict = (flags & (MPOL_MF_STRICT | moves)) == MPOL_MF_STRICT;
	bind->move.all = flags & MPOL_MF_MOVE_ALL;
	ret = bind_in(ctx, bind);
	if (!ret && flags & moves)
		ret = altvm_migrate(ctx, bind->start, bind->end, &bind->move);
	if (ret > 0)
		ret = flags & MPOL_MF_STRICT ? -EIO : 0;
	policy_put(bind->policy);
	return ret;
}

/**
 * altvm_policy_mbind() - ALTVM_MBIND
 * @ctx: the file's
 * @cmd: the arguments
 *
 * Semantics: mbind(2), do_mbind() in mm/.
 *
 * Return: 0, -EINVAL, -EFAULT, -EPERM, -EIO, -ENOMEM, -EINTR, -ENXIO.
 */
int altvm_policy_mbind(struct altvm_ctx *ctx, struct altvm_mbind *cmd)
{
	unsigned short mode_flags;
	int mode = cmd->mode, ret;
	struct bind *bind;

	ret = split_mode(&mode, &mode_flags);
	if (ret)
		return ret;
	bind = kzalloc(sizeof(*bind), GFP_KERNEL);
	if (!bind)
		return -ENOMEM;
	ret = bind_args(cmd, bind) ?:
		      bind_do(ctx, bind, mode, mode_flags, cmd->flags);
	kfree(bind);
	return ret;
}

static int set_policy(struct altvm_ctx *ctx, struct altvm_policy *policy)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	u32 index;
	int ret;

	if (IS_ERR(space))
		return PTR_ERR(space);
	mutex_lock(&space->lock);
	do
		ret = table_index(space, policy, &index);
	while (ret == -EAGAIN);
	if (!ret)
		WRITE_ONCE(space->policy, index);
	mutex_unlock(&space->lock);
	altvm_space_leave(space);
	return ret;
}

/**
 * altvm_policy_set_mempolicy() - ALTVM_SET_MEMPOLICY
 * @ctx: the file's
 * @cmd: the arguments
 *
 * The arguments are those of set_mempolicy(2).  A thread's policy cannot be set from
 * here, so it is the window's.
 *
 * Return: 0, -EINVAL, -EFAULT, -ENOMEM, -EINTR, -ENXIO.
 */
int altvm_policy_set_mempolicy(struct altvm_ctx *ctx,
			       struct altvm_set_mempolicy *cmd)
{
	struct altvm_policy *policy;
	unsigned short mode_flags;
	int mode = cmd->mode, ret;
	nodemask_t nodes;

	ret = split_mode(&mode, &mode_flags) ?:
		      altvm_nodes_get(&nodes, u64_to_user_ptr(cmd->nodemask),
				      cmd->maxnode);
	if (ret)
		return ret;
	policy = policy_create(mode, mode_flags, &nodes);
	if (IS_ERR(policy))
		return PTR_ERR(policy);
	ret = set_policy(ctx, policy);
	policy_put(policy);
	return ret;
}

/* --- get_mempolicy */

/**
 * struct answer - what get_mempolicy says
 * @mode: and flags; or a node
 * @nodes: the set of nodes
 * @attr: of the area
 */
struct answer {
	int mode;
	nodemask_t nodes;
	unsigned long attr;
};

/* As do_get_mempolicy() in mm/.  @mpol: NULL for none. */
static void answer_policy(struct answer *answer, const struct mempolicy *mpol)
{
	if (!mpol)
		return;
	answer->mode = mpol->mode | (mpol->flags & MPOL_MODE_FLAGS);
	if (mpol->flags & MPOL_MODE_FLAGS)
		answer->nodes = mpol->w.user_nodemask;
	else if (mpol->mode != MPOL_LOCAL)
		answer->nodes = mpol->nodes;
}

/* From where a thread would take its next page if it interleaved them one by one. */
static int answer_next(struct answer *answer, const struct mempolicy *mpol,
		       unsigned int previous)
{
	if (!mpol || (mpol->mode != MPOL_INTERLEAVE &&
		      mpol->mode != MPOL_WEIGHTED_INTERLEAVE))
		return -EINVAL;
	answer->mode = next_node_in(previous, mpol->nodes);
	return 0;
}

/* The current thread's own policy. */
static int answer_thread(struct answer *answer, bool next)
{
	struct mempolicy *mpol;
	int ret = 0;

	task_lock(current);
	mpol = current->mempolicy;
	answer_policy(answer, mpol);
	if (next)
		ret = answer_next(answer, mpol, current->il_prev);
	if (!ret && next && mpol->mode == MPOL_WEIGHTED_INTERLEAVE &&
	    current->il_weight)
		answer->mode = current->il_prev;
	task_unlock(current);
	return ret;
}

/* The space's policy, or if it has none, the thread's. */
static int answer_space(struct altvm_space *space, struct answer *answer,
			bool next)
{
	struct altvm_policy *policy =
		table_get(space, READ_ONCE(space->policy));
	int ret = 0;

	if (!policy)
		return answer_thread(answer, next);
	policy = policy_bound(policy);
	answer_policy(answer, &policy->mpol);
	/* Private memory is interleaved by addresses: none is the first. */
	if (next)
		ret = answer_next(answer, &policy->mpol, MAX_NUMNODES - 1);
	policy_put(policy);
	return ret;
}

/*
 * What the tree says.  @fa: out: with a reference.
 * Return: 0, -EFAULT, -EBUSY, -EAGAIN.
 */
static int get_area(struct altvm_space *space, unsigned long addr,
		    unsigned long *attr, struct altvm_file_area **fa)
{
	guard(rcu)();
	if (!altvm_tree_load(space, addr, attr, fa))
		return -EFAULT;
	if (*attr & ALTVM_ATTR_BUSY)
		return -EBUSY;
	return *fa && !refcount_inc_not_zero(&(*fa)->refs) ? -EAGAIN : 0;
}

/* The policy of what is at an address. */
static int answer_area(struct altvm_space *space, struct answer *answer,
		       unsigned long addr)
{
	struct altvm_file_area *fa;
	struct altvm_policy *policy;
	struct mempolicy *object;
	unsigned long attr;
	int ret;

	if (addr < space->start || addr >= space->end)
		return -EFAULT;
	do {
		ret = get_area(space, addr, &attr, &fa);
		if (ret == -EBUSY)
			ret = altvm_tree_wait(space, addr & PAGE_MASK) ?:
									 -EAGAIN;
	} while (ret == -EAGAIN);
	if (ret)
		return ret;

	answer->attr = attr;
	if (fa && fa->vma.vm_ops->get_policy) {
		object = object_policy(fa, addr);
		answer_policy(answer, object);
		if (object)
			shared_put(object);
	} else {
		policy = table_get(space, attr_index(attr));
		if (policy) {
			policy = policy_bound(policy);
			answer_policy(answer, &policy->mpol);
			policy_put(policy);
		}
	}
	if (fa)
		altvm_file_put(fa);
	return 0;
}

/*
 * What is mapped ahead of a reader is not there yet.  With this call it is, if it may
 * be read.  Return: 0, or -EFAULT if there is nothing that can be asked about.
 */
static int answer_ahead(struct altvm_space *space, const struct answer *answer,
			unsigned long addr)
{
	struct altvm_leaf *leaf = altvm_store_find(space, addr);
	int ret = 0;

	addr &= PAGE_MASK;
	if (!leaf)
		return 0;
	mutex_lock(&leaf->lock);
	if (leaf->ahead && altvm_leaf_page(leaf, addr) == ALTVM_ZERO_AHEAD) {
		if (answer->attr & VM_READ || altvm_pte_young(space, addr))
			altvm_leaf_settle(leaf, addr, true);
		else
			ret = -EFAULT;
	}
	mutex_unlock(&leaf->lock);
	return ret;
}

/*
 * On which node is the page at an address?  It is faulted in; but natively nothing
 * is that may not be read, whereas the kernel takes all of a window as readable.
 */
static int answer_node(struct answer *answer, unsigned long addr)
{
	struct page *page;
	int ret;

	addr &= PAGE_MASK;
	if (answer->attr & VM_READ)
		ret = get_user_pages_fast(addr, 1, 0, &page);
	else
		ret = get_user_pages_fast_only(addr, 1, 0, &page);
	if (ret <= 0)
		return ret ?: -EFAULT;
	answer->mode = page_to_nid(page);
	put_page(page);
	return 0;
}

static int answer_in(struct altvm_ctx *ctx,
		     const struct altvm_get_mempolicy *cmd,
		     struct answer *answer)
{
	struct altvm_space *space = altvm_space_enter(ctx);
	const u32 node = MPOL_F_NODE | MPOL_F_ADDR;
	int ret = 0;

	if (IS_ERR(space))
		return PTR_ERR(space);
	if (cmd->flags & MPOL_F_MEMS_ALLOWED)
		get_mems_allowed(&answer->nodes);
	else if (cmd->flags & MPOL_F_ADDR)
		ret = answer_area(space, answer, cmd->addr);
	else
		ret = answer_space(space, answer, cmd->flags & MPOL_F_NODE);
	if (!ret && (cmd->flags & node) == node)
		ret = answer_ahead(space, answer, cmd->addr);
	altvm_space_leave(space);
	if (!ret && (cmd->flags & node) == node)
		ret = answer_node(answer, cmd->addr);
	return ret;
}

static int check_get(const struct altvm_get_mempolicy *cmd)
{
	const u32 which = MPOL_F_NODE | MPOL_F_ADDR;

	if (cmd->nodemask && cmd->maxnode < nr_node_ids)
		return -EINVAL;
	if (cmd->flags & ~(which | MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if (cmd->flags & MPOL_F_MEMS_ALLOWED)
		return cmd->flags & which ? -EINVAL : 0;
	return !(cmd->flags & MPOL_F_ADDR) && cmd->addr ? -EINVAL : 0;
}

/**
 * altvm_policy_get_mempolicy() - ALTVM_GET_MEMPOLICY
 * @ctx: the file's
 * @cmd: the arguments; @out_mode is set on success
 *
 * Semantics: get_mempolicy(2), do_get_mempolicy() in mm/.
 *
 * Return: 0, -EINVAL, -EFAULT, -EINTR, -ENXIO.
 */
int altvm_policy_get_mempolicy(struct altvm_ctx *ctx,
			       struct altvm_get_mempolicy *cmd)
{
	struct answer answer = { .mode = MPOL_DEFAULT };
	int ret;

	ret = check_get(cmd) ?: answer_in(ctx, cmd, &answer);
	if (ret)
		return ret;
	cmd->out_mode = answer.mode;
	if (!cmd->nodemask)
		return 0;
	return altvm_nodes_put(u64_to_user_ptr(cmd->nodemask), cmd->maxnode,
			       &answer.nodes);
}
