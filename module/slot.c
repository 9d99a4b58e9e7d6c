// SPDX-License-Identifier: GPL-2.0
/*
 * Slots: where pages go that are paged out.
 *
 * No kernel exports the allocation of swap space.  But shmem files can be swapped
 * out, so a slot is a page of one: the page's content is copied there, and the copy
 * is written to swap space at once, as i915's shrinker does it.  Memory that is in
 * such a file and not written yet, or read again, is on the kernel's LRU lists, where
 * reclaim finds it as it finds any other.
 *
 * There are a few such files, for all spaces together, so that those who page out on
 * different CPUs do not meet.  They are made with the module: under memory pressure
 * nothing that is large has to be made.  They are not the files whose mapping the
 * pages in the store have (store.c): there an index is another thing.
 *
 * Copies are charged to the memcg that the page was charged to, whoever pages it
 * out.
 *
 * Locks: none of ours.  Storing is done with the leaf locked, and in reclaim: it
 * allocates without waiting for long.  Everything else wants nothing locked.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/idr.h>
#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/workqueue.h>
#include <linux/writeback.h>

#include "slot.h"

#define NR_PLACES 8

/* In pages; more than there can be memory and swap space. */
#define PLACE_SIZE ((loff_t)S32_MAX)

/* Where it is called there may be little memory, and there is no harm in failing. */
#define STORE_GFP (GFP_HIGHUSER | __GFP_NORETRY | __GFP_NOWARN)

/**
 * struct altvm_place - a file for slots
 * @file: of shmem
 * @indices: which of its pages are slots
 */
struct altvm_place {
	struct file *file;
	struct ida indices;
};

static struct altvm_place places[NR_PLACES];

/* By page frame: slots that have the same contents as a page, with a reference. */
static DEFINE_XARRAY(copies);

static struct kmem_cache *slot_cache;

static void free_slots(struct work_struct *work);

/* Slots that nobody uses any more, and who takes them away. */
static LLIST_HEAD(unused);
static DECLARE_WORK(free_work, free_slots);
static struct workqueue_struct *free_queue;

static struct address_space *slot_mapping(const struct altvm_slot *slot)
{
	return slot->place->file->f_mapping;
}

/* The memcg that @page was charged to, or the root's; referenced. */
static struct mem_cgroup *get_memcg(struct page *page)
{
	struct mem_cgroup *memcg;

	if (mem_cgroup_disabled())
		return NULL;
	guard(rcu)();
	do
		memcg = folio_memcg(page_folio(page)) ?:
				mem_cgroup_from_task(&init_task);
	while (!css_tryget(&memcg->css));
	return memcg;
}

#ifdef CONFIG_MEMCG
/* As mem_cgroup_get_nr_swap_pages() in mm/, for the unified hierarchy. */
static bool memcg_has_room(struct mem_cgroup *memcg)
{
	for (; memcg; memcg = parent_mem_cgroup(memcg))
		if (page_counter_read(&memcg->swap) >=
		    READ_ONCE(memcg->swap.max))
			return false;
	return true;
}
#else
static bool memcg_has_room(struct mem_cgroup *memcg)
{
	return true;
}
#endif

/**
 * altvm_slot_has_room() - is there swap space?
 * @page: for whom: its memcg may not be allowed to have more; NULL to ask in general
 */
bool altvm_slot_has_room(struct page *page)
{
	struct mem_cgroup *memcg;
	bool room;

	if (get_nr_swap_pages() <= 0)
		return false;
	memcg = page ? get_memcg(page) : NULL;
	if (!memcg)
		return true;
	room = memcg_has_room(memcg);
	mem_cgroup_put(memcg);
	return room;
}

static struct altvm_slot *slot_alloc(void)
{
	struct altvm_place *place = &places[raw_smp_processor_id() % NR_PLACES];
	struct altvm_slot *slot;
	int index;

	slot = kmem_cache_alloc(slot_cache, GFP_KERNEL_ACCOUNT | __GFP_NORETRY |
						    __GFP_NOWARN);
	if (!slot)
		return NULL;
	index = ida_alloc_max(&place->indices, PLACE_SIZE - 1,
			      GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
	if (index < 0) {
		kmem_cache_free(slot_cache, slot);
		return NULL;
	}
	slot->place = place;
	slot->index = index;
	return slot;
}

static void slot_free(struct altvm_slot *slot)
{
	ida_free(&slot->place->indices, slot->index);
	kmem_cache_free(slot_cache, slot);
}

/* Copy @page into its slot's place.  Return: 0 or -ENOMEM, -ENOSPC. */
static int slot_fill(struct altvm_slot *slot, struct page *page)
{
	struct folio *folio;
	int ret;

	ret = shmem_get_folio(file_inode(slot->place->file), slot->index, 0,
			      &folio, SGP_WRITE);
	if (ret)
		return ret;
	if (folio_test_large(folio) && !folio_test_uptodate(folio))
		folio_zero_range(folio, 0, folio_size(folio));
	copy_highpage(folio_file_page(folio, slot->index), page);
	folio_mark_uptodate(folio);
	folio_mark_dirty(folio);
	folio_unlock(folio);
	folio_put(folio);
	return 0;
}

/**
 * altvm_slot_store() - copy a page into a new slot
 * @page: nobody else can write to it
 * @written: the slot is added, to be written later
 *
 * Context: in reclaim, or not; the leaf may be locked.
 * Return: the slot, with one reference; NULL if there is no memory.
 */
struct altvm_slot *altvm_slot_store(struct page *page,
				    struct altvm_slot_list *written)
{
	struct mem_cgroup *memcg = get_memcg(page), *old;
	struct altvm_slot *slot;

	old = set_active_memcg(memcg);
	slot = slot_alloc();
	if (slot && slot_fill(slot, page)) {
		slot_free(slot);
		slot = NULL;
	}
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	if (!slot)
		return NULL;

	refcount_set(&slot->refs, 2);
	slot->node.next = written->first;
	written->first = &slot->node;
	return slot;
}

/**
 * altvm_slot_write_folio() - begin to write a page of a shmem file to swap space
 * @folio: referenced; nothing is done if somebody uses it
 *
 * What is written leaves memory as soon as the kernel looks for some.
 *
 * Context: in reclaim, or not; nothing of ours is locked.
 * Return: is it being written?
 */
bool altvm_slot_write_folio(struct folio *folio)
{
	struct writeback_control wbc = {
		.sync_mode = WB_SYNC_NONE,
		.nr_to_write = SWAP_CLUSTER_MAX,
		.range_end = LLONG_MAX,
		.for_reclaim = 1,
	};
	struct address_space *mapping;
	int ret;

	if (!folio_trylock(folio))
		return false;
	mapping = folio->mapping;
	if (mapping && shmem_mapping(mapping) &&
	    !mapping_unevictable(mapping) && !folio_test_large(folio) &&
	    !folio_mapped(folio) && !folio_maybe_dma_pinned(folio) &&
	    !folio_test_writeback(folio) && folio_clear_dirty_for_io(folio)) {
		folio_set_reclaim(folio);
		ret = mapping->a_ops->writepage(&folio->page, &wbc);
		if (!folio_test_writeback(folio))
			folio_clear_reclaim(folio);
		/* Then it has been unlocked. */
		if (!ret)
			return true;
	}
	folio_unlock(folio);
	return false;
}

/**
 * altvm_slot_write() - begin to write slots to swap space
 * @list: of altvm_slot_store(); altvm_slot_wait() must follow
 *
 * Context: as altvm_slot_write_folio().
 */
void altvm_slot_write(struct altvm_slot_list *list)
{
	struct altvm_slot *slot, *next;
	struct blk_plug plug;
	struct folio *folio;

	if (!list->first)
		return;
	blk_start_plug(&plug);
	llist_for_each_entry_safe(slot, next, llist_reverse_order(list->first),
				  node) {
		folio = filemap_get_folio(slot_mapping(slot), slot->index);
		if (!IS_ERR(folio) && altvm_slot_write_folio(folio))
			swap(folio, list->last);
		if (!IS_ERR_OR_NULL(folio))
			folio_put(folio);
		altvm_slot_put(slot);
	}
	blk_finish_plug(&plug);
	list->first = NULL;
}

/**
 * altvm_slot_wait() - wait until the slots are written
 * @list: of altvm_slot_write(); is empty afterwards
 * @wait: otherwise forget it
 *
 * Disks write in order, mostly, so it is enough to wait for the last one.
 *
 * Context: nothing of ours is locked or entered.
 */
void altvm_slot_wait(struct altvm_slot_list *list, bool wait)
{
	if (!list->last)
		return;
	if (wait)
		folio_wait_writeback(list->last);
	folio_put(list->last);
	list->last = NULL;
}

/**
 * altvm_slot_waits() - may altvm_slot_load() have to wait for a disk?
 * @slot: referenced
 */
bool altvm_slot_waits(struct altvm_slot *slot)
{
	struct folio *folio =
		filemap_get_folio(slot_mapping(slot), slot->index);

	if (IS_ERR(folio))
		return true;
	folio_put(folio);
	return false;
}

/**
 * altvm_slot_load() - read what is in a slot
 * @slot: referenced
 * @page: where to copy it to; NULL to have it in memory only
 *
 * Context: may do I/O; nothing of ours is locked.
 * Return: 0, -ENOMEM, -EIO.
 */
int altvm_slot_load(struct altvm_slot *slot, struct page *page)
{
	struct address_space *mapping = slot_mapping(slot);
	struct page *copy;

	copy = shmem_read_mapping_page_gfp(mapping, slot->index, GFP_HIGHUSER);
	if (IS_ERR(copy))
		return PTR_ERR(copy) == -ENOMEM ? -ENOMEM : -EIO;
	/* Nobody writes to it any more. */
	if (page)
		copy_highpage(page, copy);
	put_page(copy);
	return 0;
}

/**
 * altvm_slot_remember() - let others find the slot that a page was copied to
 * @slot: referenced
 * @page: in another table, too, so that nobody may write to it
 *
 * Context: a leaf that has the page is locked.
 */
void altvm_slot_remember(struct altvm_slot *slot, struct page *page)
{
	if (xa_insert(&copies, page_to_pfn(page), slot,
		      GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN))
		return;
	altvm_slot_get(slot);
	folio_set_owner_2(page_folio(page));
}

/**
 * altvm_slot_find() - the slot that a page was copied to
 * @page: altvm_page_has_slot()
 *
 * Context: as altvm_slot_remember().
 * Return: the slot, referenced.
 */
struct altvm_slot *altvm_slot_find(struct page *page)
{
	struct altvm_slot *slot = xa_load(&copies, page_to_pfn(page));

	altvm_slot_get(slot);
	return slot;
}

/**
 * altvm_slot_forget() - the page will be written to, or freed
 * @page: altvm_page_has_slot()
 *
 * Context: it is in one table at most, whose leaf is locked.
 */
void altvm_slot_forget(struct page *page)
{
	folio_clear_owner_2(page_folio(page));
	altvm_slot_put(xa_erase(&copies, page_to_pfn(page)));
}

/* Free @nr pages of a place, from @index on. */
static void truncate_place(struct altvm_place *place, loff_t index, loff_t nr)
{
	shmem_truncate_range(file_inode(place->file), index << PAGE_SHIFT,
			     ((index + nr) << PAGE_SHIFT) - 1);
}

/* Free a run of slots whose pages follow each other; the next one's node. */
static struct llist_node *free_run(struct llist_node *start)
{
	struct altvm_slot *first = llist_entry(start, struct altvm_slot, node);
	struct altvm_slot *slot = first;
	struct llist_node *end, *next;
	unsigned int nr = 0;

	for (end = start; end; end = end->next, nr++) {
		slot = llist_entry(end, struct altvm_slot, node);
		if (slot->place != first->place ||
		    slot->index != first->index + nr)
			break;
	}
	truncate_place(first->place, first->index, nr);
	for (; start != end; start = next) {
		next = start->next;
		slot_free(llist_entry(start, struct altvm_slot, node));
	}
	return end;
}

static void free_slots(struct work_struct *work)
{
	struct llist_node *at = llist_reverse_order(llist_del_all(&unused));

	while (at) {
		at = free_run(at);
		cond_resched();
	}
}

/**
 * altvm_slot_put() - let go of a slot
 * @slot: if nobody has it any more, it is freed later
 *
 * Context: any.
 */
void altvm_slot_put(struct altvm_slot *slot)
{
	if (refcount_dec_and_test(&slot->refs) &&
	    llist_add(&slot->node, &unused))
		queue_work(free_queue, &free_work);
}

/**
 * altvm_slot_put_now() - let go of a slot that has been read
 * @slot: if nobody has it any more, it is freed
 *
 * Who takes memory by paging in gives back as much before he goes on.
 *
 * Context: nothing of ours is locked.
 */
void altvm_slot_put_now(struct altvm_slot *slot)
{
	if (!refcount_dec_and_test(&slot->refs))
		return;
	truncate_place(slot->place, slot->index, 1);
	slot_free(slot);
}

static void close_places(void)
{
	for (unsigned int i = 0; i < NR_PLACES; i++)
		if (places[i].file)
			fput(places[i].file);
	WARN_ON_ONCE(!xa_empty(&copies));
	kmem_cache_destroy(slot_cache);
}

static int open_place(struct altvm_place *place)
{
	struct file *file;

	ida_init(&place->indices);
	file = shmem_kernel_file_setup("altvm-swap", PLACE_SIZE << PAGE_SHIFT,
				       VM_NORESERVE);
	if (IS_ERR(file))
		return PTR_ERR(file);
	mapping_set_gfp_mask(file->f_mapping, STORE_GFP);
	place->file = file;
	return 0;
}

/** altvm_slot_module_init() - when the module is loaded */
int __init altvm_slot_module_init(void)
{
	int ret = 0;

	slot_cache = KMEM_CACHE(altvm_slot, 0);
	if (!slot_cache)
		return -ENOMEM;
	for (unsigned int i = 0; !ret && i < NR_PLACES; i++)
		ret = open_place(&places[i]);
	if (!ret) {
		free_queue = alloc_workqueue("altvm-slots",
					     WQ_MEM_RECLAIM | WQ_UNBOUND, 1);
		ret = free_queue ? 0 : -ENOMEM;
	}
	if (ret)
		close_places();
	return ret;
}

/** altvm_slot_module_exit() - when the module goes: no space is left */
void altvm_slot_module_exit(void)
{
	destroy_workqueue(free_queue);
	close_places();
}
