/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_SLOT_H
#define ALTVM_SLOT_H

#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/refcount.h>

struct altvm_place;

/**
 * struct altvm_slot - a page that is paged out
 * @refs: how many tables it is in, and who uses it at this moment
 * @index: of the page in the place's file; constant
 * @place: where; constant
 * @node: while it waits to be written or freed
 */
struct altvm_slot {
	refcount_t refs;
	u32 index;
	struct altvm_place *place;
	struct llist_node node;
};

/**
 * struct altvm_slot_list - slots to be written
 * @first: linked by altvm_slot.node; a reference of each
 * @last: what has been begun to be written last, referenced; NULL if nothing
 */
struct altvm_slot_list {
	struct llist_node *first;
	struct folio *last;
};

/* How an entry of the store says that it is a slot: one of the markers' bits. */
#define ALTVM_SLOT_BIT 2UL

/**
 * altvm_page_is_slot() - is an entry of the store a slot?
 * @page: the entry
 *
 * Other markers are small numbers.
 */
static inline bool altvm_page_is_slot(const struct page *page)
{
	return (unsigned long)page & ALTVM_SLOT_BIT &&
	       (unsigned long)page >= PAGE_SIZE;
}

/* The slot of an entry that is one. */
static inline struct altvm_slot *altvm_slot_of(const struct page *page)
{
	return (struct altvm_slot *)((unsigned long)page & ~ALTVM_SLOT_BIT);
}

/* The entry for a slot. */
static inline struct page *altvm_slot_entry(const struct altvm_slot *slot)
{
	return (struct page *)((unsigned long)slot | ALTVM_SLOT_BIT);
}

/* Is there a slot with the same contents? */
static inline bool altvm_page_has_slot(struct page *page)
{
	return folio_test_owner_2(page_folio(page));
}

static inline void altvm_slot_get(struct altvm_slot *slot)
{
	refcount_inc(&slot->refs);
}

bool altvm_slot_has_room(struct page *page);
struct altvm_slot *altvm_slot_store(struct page *page,
				    struct altvm_slot_list *written);
void altvm_slot_remember(struct altvm_slot *slot, struct page *page);
struct altvm_slot *altvm_slot_find(struct page *page);
void altvm_slot_forget(struct page *page);
void altvm_slot_write(struct altvm_slot_list *list);
void altvm_slot_wait(struct altvm_slot_list *list, bool wait);
bool altvm_slot_write_folio(struct folio *folio);
bool altvm_slot_waits(struct altvm_slot *slot);
int altvm_slot_load(struct altvm_slot *slot, struct page *page);
void altvm_slot_put(struct altvm_slot *slot);
void altvm_slot_put_now(struct altvm_slot *slot);

int altvm_slot_module_init(void);
void altvm_slot_module_exit(void);

#endif /* ALTVM_SLOT_H */
