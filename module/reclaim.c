// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim: the kernel wants memory, of the whole machine or of a memcg.
 *
 * It finds leaves in a list for each memcg and node, by the memcg that the leaf was
 * charged to.  The leaf that has waited longest is looked at: what has not been
 * accessed since the last look is paged out (swap.c), and the leaf goes to the end of
 * the list.  So a page has a second chance, and its age is known by leaf.
 *
 * What is paged out is not free yet: it becomes pages of shmem files, which are being
 * written, and which the kernel's own reclaim then frees.  It does so in its next
 * round, for it tries several times before it kills.
 *
 * Locks: it is called with any lock held, ours among them, so here nothing is waited
 * for: leaves are locked, and spaces entered, if that is possible at once.
 */
#include <linux/shrinker.h>
#include <linux/swap.h>

#include "reclaim.h"
#include "space.h"
#include "store.h"
#include "swap.h"

/* How many leaves without pages are passed over to find one with pages. */
#define PASS_OVER_MAX 64

/* All leaves of all spaces. */
struct list_lru altvm_reclaim_leaves;

static struct shrinker *shrinker;

/**
 * altvm_reclaim_learn() - a leaf may be looked at from now on
 * @leaf: in a space, not locked
 */
void altvm_reclaim_learn(struct altvm_leaf *leaf)
{
	list_lru_add_obj(&altvm_reclaim_leaves, &leaf->lru);
}

/**
 * altvm_reclaim_forget() - nobody will look at a leaf any more
 * @leaf: nobody is in its space, and nobody enters it
 */
void altvm_reclaim_forget(struct altvm_leaf *leaf)
{
	list_lru_del_obj(&altvm_reclaim_leaves, &leaf->lru);
}

/* Take one leaf.  As long as the list is locked it stays; then the space keeps it. */
static enum lru_status pick_leaf(struct list_head *item,
				 struct list_lru_one *list, spinlock_t *lock,
				 void *data)
{
	struct altvm_leaf *leaf = container_of(item, struct altvm_leaf, lru);
	struct altvm_leaf **picked = data;

	if (READ_ONCE(leaf->nr) == READ_ONCE(leaf->nr_slots) ||
	    altvm_space_try_enter(leaf->space))
		return LRU_ROTATE;
	list_move_tail(item, &list->list);
	*picked = leaf;
	return LRU_STOP;
}

static unsigned long count_pages(struct shrinker *sh, struct shrink_control *sc)
{
	return list_lru_shrink_count(&altvm_reclaim_leaves, sc) * PTRS_PER_PTE;
}

/*
 * The kernel gives up if it is not soon that something becomes free, and we would page
 * out more than is needed.  As legacy memcg reclaim does, in mm/, and with its reasons
 * for when it is safe.
 */
static bool may_wait(const struct shrink_control *sc)
{
	return !current_is_kswapd() && sc->gfp_mask & __GFP_IO &&
	       sc->gfp_mask & __GFP_FS;
}

/* A leaf counts as many objects as it can have, whatever it has. */
static unsigned long scan_pages(struct shrinker *sh, struct shrink_control *sc)
{
	unsigned long freed = 0, scanned = 0, nr;
	struct altvm_slot_list written = {};
	struct altvm_leaf *leaf;

	while (scanned < sc->nr_to_scan) {
		leaf = NULL;
		nr = PASS_OVER_MAX;
		list_lru_walk_one(&altvm_reclaim_leaves, sc->nid, sc->memcg,
				  pick_leaf, &leaf, &nr);
		if (!leaf)
			break;
		freed += altvm_swap_reclaim(leaf, sc->gfp_mask & __GFP_IO,
					    &written);
		altvm_space_leave(leaf->space);
		altvm_slot_wait(&written, may_wait(sc));
		scanned += PTRS_PER_PTE;
	}
	if (!scanned)
		return SHRINK_STOP;
	sc->nr_scanned = scanned;
	return freed;
}

/** altvm_reclaim_init() - when the module is loaded, before there is a leaf */
int __init altvm_reclaim_init(void)
{
	int ret;

	shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE,
				  "altvm");
	if (!shrinker)
		return -ENOMEM;
	ret = list_lru_init_memcg(&altvm_reclaim_leaves, shrinker);
	if (ret) {
		shrinker_free(shrinker);
		return ret;
	}
	shrinker->count_objects = count_pages;
	shrinker->scan_objects = scan_pages;
	shrinker->batch = PTRS_PER_PTE;
	shrinker->seeks = DEFAULT_SEEKS;
	shrinker_register(shrinker);
	return 0;
}

/** altvm_reclaim_exit() - when the module goes: no leaf is left */
void altvm_reclaim_exit(void)
{
	shrinker_free(shrinker);
	list_lru_destroy(&altvm_reclaim_leaves);
}
