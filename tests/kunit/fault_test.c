// SPDX-License-Identifier: GPL-2.0
/*
 * Faults, through the real handler: a real window, calls as the ioctls make
 * them, accesses by copy_to_user() and copy_from_user().  After them the page
 * tables are read and must agree with the tree and the store.
 *
 * The kernel's own accesses get EFAULT where a program's would get a signal.
 */
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "fixture.h"
#include "map.h"
#include "protect.h"
#include "residency.h"
#include "store.h"
#include "tree.h"

#define SMALL SZ_64M
#define LARGE SZ_1G

#define R PROT_READ
#define W PROT_WRITE
#define RW (PROT_READ | PROT_WRITE)

/* Pages are numbered; EDGE is the first of a leaf and of a page table. */
#define EDGE ((unsigned int)PTRS_PER_PTE)

static const unsigned long sizes[] = { SMALL, LARGE };

static void size_desc(const unsigned long *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "window of %lu MiB", *size >> 20);
}

KUNIT_ARRAY_PARAM(size, sizes, size_desc);

static unsigned long param_size(const struct kunit *test)
{
	return *(const unsigned long *)test->param_value;
}

static unsigned long addr_of(const struct altvm_fixture_window *win,
			     unsigned int page)
{
	return win->start + page * PAGE_SIZE;
}

static int map(const struct altvm_fixture_window *win, unsigned int from,
	       unsigned int nr, u32 prot, u32 flags)
{
	struct altvm_mmap cmd = {
		.addr = addr_of(win, from),
		.length = nr * PAGE_SIZE,
		.prot = prot,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags,
	};

	return altvm_map_mmap(win->ctx, &cmd);
}

static int unmap(const struct altvm_fixture_window *win, unsigned int from,
		 unsigned int nr)
{
	struct altvm_munmap cmd = {
		.addr = addr_of(win, from),
		.length = nr * PAGE_SIZE,
	};

	return altvm_map_munmap(win->ctx, &cmd);
}

static int protect(const struct altvm_fixture_window *win, unsigned int from,
		   unsigned int nr, u32 prot)
{
	struct altvm_mprotect cmd = {
		.addr = addr_of(win, from),
		.length = nr * PAGE_SIZE,
		.prot = prot,
	};

	return altvm_protect_mprotect(win->ctx, &cmd);
}

static int put_word(const struct altvm_fixture_window *win, unsigned int page,
		    unsigned int word, u64 value)
{
	u64 __user *at = (u64 __user *)addr_of(win, page) + word;

	return copy_to_user(at, &value, sizeof(value)) ? -EFAULT : 0;
}

static int get_word(const struct altvm_fixture_window *win, unsigned int page,
		    unsigned int word, u64 *value)
{
	const u64 __user *at = (const u64 __user *)addr_of(win, page) + word;

	return copy_from_user(value, at, sizeof(*value)) ? -EFAULT : 0;
}

static int put(const struct altvm_fixture_window *win, unsigned int page,
	       u64 value)
{
	return put_word(win, page, 0, value);
}

static int get(const struct altvm_fixture_window *win, unsigned int page,
	       u64 *value)
{
	return get_word(win, page, 0, value);
}

static void expect_value(const struct altvm_fixture_window *win,
			 unsigned int page, u64 want)
{
	u64 value = ~want;

	KUNIT_EXPECT_EQ_MSG(win->test, 0, get(win, page, &value), "page %u",
			    page);
	KUNIT_EXPECT_EQ_MSG(win->test, want, value, "page %u", page);
}

/* Page n gets the value @base + n. */
static void put_all(const struct altvm_fixture_window *win, unsigned int from,
		    unsigned int nr, u64 base)
{
	for (unsigned int i = from; i < from + nr; i++)
		KUNIT_EXPECT_EQ(win->test, 0, put(win, i, base + i));
}

static void expect_all(const struct altvm_fixture_window *win,
		       unsigned int from, unsigned int nr, u64 base)
{
	for (unsigned int i = from; i < from + nr; i++)
		expect_value(win, i, base + i);
}

static void expect_zero(const struct altvm_fixture_window *win,
			unsigned int from, unsigned int nr)
{
	for (unsigned int i = from; i < from + nr; i++)
		expect_value(win, i, 0);
}

static void expect_fault(const struct altvm_fixture_window *win,
			 unsigned int page)
{
	u64 value;

	KUNIT_EXPECT_EQ(win->test, -EFAULT, get(win, page, &value));
	KUNIT_EXPECT_EQ(win->test, -EFAULT, put(win, page, 1));
}

/* What the store has for a page. */
static struct page *stored(const struct altvm_fixture_window *win,
			   unsigned int page)
{
	struct altvm_leaf *leaf =
		altvm_store_find(win->space, addr_of(win, page));
	struct page *ret;

	if (!leaf)
		return NULL;
	mutex_lock(&leaf->lock);
	ret = altvm_leaf_page(leaf, addr_of(win, page));
	mutex_unlock(&leaf->lock);
	return ret;
}

/* As stored(), which must be a page of its own; the caller puts it. */
static struct page *grab(const struct altvm_fixture_window *win,
			 unsigned int page)
{
	struct page *ret = stored(win, page);

	KUNIT_ASSERT_NOT_NULL(win->test, ret);
	KUNIT_ASSERT_FALSE(win->test, altvm_page_is_zero(ret));
	get_page(ret);
	return ret;
}

/* Put what grab() returned, which must be the last to have it. */
static void expect_last(const struct altvm_fixture_window *win,
			struct page *page)
{
	KUNIT_EXPECT_EQ(win->test, 1, page_count(page));
	KUNIT_EXPECT_NULL(win->test, page->mapping);
	put_page(page);
}

struct ptes {
	unsigned long start;
	pte_t *pte;
};

static int read_pte(pte_t *pte, unsigned long addr, void *data)
{
	struct ptes *ptes = data;

	ptes->pte[(addr - ptes->start) >> PAGE_SHIFT] = ptep_get(pte);
	return 0;
}

static void read_ptes(const struct altvm_fixture_window *win, unsigned int from,
		      unsigned int nr, pte_t *pte)
{
	struct ptes ptes = { .start = addr_of(win, from), .pte = pte };

	for (unsigned int i = 0; i < nr; i++)
		pte[i] = __pte(0);
	/* It stops at an upper table that is not there. */
	for (unsigned int i = 0; i < nr; i++)
		apply_to_existing_page_range(win->mm, addr_of(win, from + i),
					     PAGE_SIZE, read_pte, &ptes);
}

enum pte_kind { NO_PTE, ZERO_PTE, READ_PTE, WRITE_PTE };

static enum pte_kind pte_kind(pte_t pte)
{
	if (pte_none(pte))
		return NO_PTE;
	if (pte_special(pte))
		return ZERO_PTE;
	return pte_write(pte) ? WRITE_PTE : READ_PTE;
}

static void expect_pte(const struct altvm_fixture_window *win,
		       unsigned int page, enum pte_kind want)
{
	pte_t pte;

	read_ptes(win, page, 1, &pte);
	KUNIT_EXPECT_EQ_MSG(win->test, want, pte_kind(pte), "page %u", page);
}

/* May there be such a PTE, with that area and that page? */
static bool pte_agrees(pte_t pte, bool mapped, unsigned long attr,
		       const struct page *page)
{
	if (pte_none(pte))
		return true;
	if (!pte_present(pte) || !mapped || attr & ALTVM_ATTR_BUSY ||
	    !(attr & VM_ACCESS_FLAGS) || !page)
		return false;
	if (!!pte_exec(pte) != !!(attr & VM_EXEC))
		return false;
	if (altvm_page_is_zero(page))
		return pte_special(pte) && !pte_write(pte) &&
		       pte_pfn(pte) == page_to_pfn(ZERO_PAGE(0));
	return !pte_special(pte) && pte_pfn(pte) == page_to_pfn(page) &&
	       !!pte_write(pte) == !!(attr & VM_WRITE);
}

/* Does a page have the references of the store and its PTE, if it has a PTE? */
static bool refs_agree(pte_t pte, bool mapped, const struct page *page)
{
	if (!page || altvm_page_is_zero(page))
		return true;
	return mapped && page_count(page) == (pte_none(pte) ? 1 : 2);
}

/*
 * No PTE, or one as the tree and the store say; and each page's references.
 * Does not end the test, for there may be threads.  Return: did all agree?
 */
static bool expect_agree(const struct altvm_fixture_window *win,
			 unsigned int from, unsigned int nr)
{
	pte_t *pte = kmalloc_array(nr, sizeof(*pte), GFP_KERNEL | __GFP_NOFAIL);
	bool agree = true;

	read_ptes(win, from, nr, pte);
	for (unsigned int i = 0; agree && i < nr; i++) {
		unsigned long addr = addr_of(win, from + i), attr = 0;
		struct page *page = stored(win, from + i);
		struct altvm_file_area *fa;
		bool mapped = altvm_tree_load(win->space, addr, &attr, &fa);

		agree = pte_agrees(pte[i], mapped, attr, page) &&
			refs_agree(pte[i], mapped, page);
		if (!agree)
			KUNIT_FAIL(win->test,
				   "page %u: pte %lx, area %lx, references %d",
				   from + i, pte_val(pte[i]),
				   mapped ? attr : ULONG_MAX,
				   page && !altvm_page_is_zero(page) ?
					   page_count(page) :
					   0);
	}
	kfree(pte);
	return agree;
}

/* The answer goes to page 0, an area of its own, and from there to @vec. */
static int mincore(const struct altvm_fixture_window *win, unsigned int from,
		   unsigned int nr, u8 *vec)
{
	struct altvm_mincore cmd = {
		.addr = addr_of(win, from),
		.length = nr * PAGE_SIZE,
		.vec = win->start,
	};
	int ret = map(win, 0, 1, RW, 0) ?:
					  altvm_residency_mincore(win->ctx, &cmd);

	if (!ret && copy_from_user(vec, (void __user *)win->start, nr))
		return -EFAULT;
	return ret;
}

static void fault_hole(struct kunit *test)
{
	struct altvm_fixture_window win;

	altvm_fixture_open(test, &win, SMALL);
	KUNIT_EXPECT_EQ(test, 0, map(&win, EDGE - 1, 3, RW, 0));
	KUNIT_EXPECT_EQ(test, 0, unmap(&win, EDGE, 1));
	expect_fault(&win, EDGE - 2);
	expect_fault(&win, EDGE);
	expect_fault(&win, EDGE + 2);
	KUNIT_EXPECT_EQ(test, 0, put(&win, EDGE - 1, 1));
	KUNIT_EXPECT_EQ(test, 0, put(&win, EDGE + 1, 1));
	expect_agree(&win, EDGE - 5, 10);
	/* An access that fails makes nothing. */
	expect_fault(&win, 5 * EDGE);
	KUNIT_EXPECT_NULL(test,
			  altvm_store_find(win.space, addr_of(&win, 5 * EDGE)));
	altvm_fixture_close(&win);
}

static void fault_prot_none(struct kunit *test)
{
	struct altvm_fixture_window win;

	altvm_fixture_open(test, &win, SMALL);
	KUNIT_EXPECT_EQ(test, 0, map(&win, 8, 4, PROT_NONE, 0));
	expect_fault(&win, 8);
	expect_pte(&win, 8, NO_PTE);
	KUNIT_EXPECT_NULL(test, stored(&win, 8));
	KUNIT_EXPECT_EQ(test, 0, map(&win, 16, 4, PROT_NONE, MAP_POPULATE));
	expect_fault(&win, 16);
	KUNIT_EXPECT_NULL(test, stored(&win, 16));
	altvm_fixture_close(&win);
}

static void fault_read_only(struct kunit *test)
{
	struct altvm_fixture_window win;

	altvm_fixture_open(test, &win, SMALL);
	KUNIT_EXPECT_EQ(test, 0, map(&win, 8, 4, R, 0));
	KUNIT_EXPECT_EQ(test, -EFAULT, put(&win, 8, 1));
	expect_pte(&win, 8, NO_PTE);
	expect_value(&win, 8, 0);
	expect_pte(&win, 8, ZERO_PTE);
	/* Another way through the core: the page is mapped. */
	KUNIT_EXPECT_EQ(test, -EFAULT, put(&win, 8, 1));
	expect_value(&win, 8, 0);
	KUNIT_EXPECT_TRUE(test, altvm_page_is_zero(stored(&win, 8)));
	expect_agree(&win, 8, 4);

	/* The same with a page of its own. */
	KUNIT_EXPECT_EQ(test, 0, map(&win, 16, 4, RW, 0));
	put_all(&win, 16, 4, 100);
	KUNIT_EXPECT_EQ(test, 0, protect(&win, 16, 4, R));
	KUNIT_EXPECT_EQ(test, -EFAULT, put(&win, 16, 1));
	expect_all(&win, 16, 4, 100);
	expect_pte(&win, 16, READ_PTE);
	KUNIT_EXPECT_EQ(test, -EFAULT, put(&win, 16, 1));
	expect_agree(&win, 16, 4);
	altvm_fixture_close(&win);
}

/* On x86 what can be written or executed can be read. */
static void fault_implied_read(struct kunit *test)
{
	struct altvm_fixture_window win;

	altvm_fixture_open(test, &win, SMALL);
	KUNIT_EXPECT_EQ(test, 0, map(&win, 8, 4, W, 0));
	expect_value(&win, 8, 0);
	expect_pte(&win, 8, ZERO_PTE);
	expect_agree(&win, 8, 4);
	put_all(&win, 8, 4, 100);
	expect_all(&win, 8, 4, 100);
	expect_pte(&win, 8, WRITE_PTE);
	KUNIT_EXPECT_EQ(test, 0, map(&win, 16, 4, PROT_EXEC, 0));
	expect_value(&win, 16, 0);
	KUNIT_EXPECT_EQ(test, -EFAULT, put(&win, 16, 1));
	expect_agree(&win, 8, 16);
	altvm_fixture_close(&win);
}

static void fault_write(struct kunit *test)
{
	struct altvm_fixture_window win;
	struct page *page;

	altvm_fixture_open(test, &win, SMALL);
	KUNIT_EXPECT_EQ(test, 0, map(&win, EDGE - 2, 4, RW, 0));
	put_all(&win, EDGE - 2, 4, 100);
	expect_all(&win, EDGE - 2, 4, 100);
	for (unsigned int i = EDGE - 2; i < EDGE + 2; i++) {
		page = stored(&win, i);
		KUNIT_ASSERT_NOT_NULL(test, page);
		expect_pte(&win, i, WRITE_PTE);
		/* The store's and the PTE's. */
		KUNIT_EXPECT_EQ(test, 2, page_count(page));
		/* As those who come from the PTE expect it. */
		KUNIT_EXPECT_PTR_EQ(test, win.space->shmem->f_mapping,
				    page->mapping);
	}
	expect_agree(&win, EDGE - 8, 16);
	altvm_fixture_close(&win);
}

static void fault_zero_then_write(struct kunit *test)
{
	const unsigned int last = PAGE_SIZE / sizeof(u64) - 1;
	struct altvm_fixture_window win;
	u64 value = 1;

	altvm_fixture_open(test, &win, SMALL);
	KUNIT_EXPECT_EQ(test, 0, map(&win, 8, 4, RW, 0));
	expect_value(&win, 8, 0);
	expect_pte(&win, 8, ZERO_PTE);
	KUNIT_EXPECT_TRUE(test, altvm_page_is_zero(stored(&win, 8)));

	KUNIT_EXPECT_EQ(test, 0, put(&win, 8, 7));
	expect_pte(&win, 8, WRITE_PTE);
	expect_value(&win, 8, 7);
	/* The rest is zero, and the zero page still is. */
	for (unsigned int word = 1; word <= last; word++) {
		KUNIT_EXPECT_EQ(test, 0, get_word(&win, 8, word, &value));
		KUNIT_EXPECT_EQ(test, 0ULL, value);
	}
	expect_zero(&win, 9, 3);
	KUNIT_EXPECT_NULL(test,
			  memchr_inv(page_address(ZERO_PAGE(0)), 0, PAGE_SIZE));
	expect_agree(&win, 8, 4);
	altvm_fixture_close(&win);
}

/* From and to each protection: what can be done then, and nothing is lost. */
static void fault_protect(struct kunit *test)
{
	static const u32 prots[] = {
		RW,	   R,
		RW,	   PROT_NONE,
		R,	   PROT_NONE,
		RW,	   R | PROT_EXEC,
		R,	   RW | PROT_EXEC,
		PROT_EXEC, W,
		PROT_NONE, W,
		R,
	};
	/* Few, many, and over the edge of a leaf. */
	static const unsigned int starts[] = { 16, 32, EDGE - 30 };
	static const unsigned int nrs[] = { 1, 40, 100 };
	struct altvm_fixture_window win;

	altvm_fixture_open(test, &win, param_size(test));
	KUNIT_EXPECT_EQ(test, 0, map(&win, 8, 2 * EDGE, RW, 0));
	put_all(&win, 8, 2 * EDGE, 100);
	for (int i = 0; i < ARRAY_SIZE(prots) * ARRAY_SIZE(nrs); i++) {
		u32 prot = prots[i / ARRAY_SIZE(nrs)];
		unsigned int nr = nrs[i % ARRAY_SIZE(nrs)];
		unsigned int from = starts[i % ARRAY_SIZE(nrs)];
		unsigned int last = from + nr - 1;

		KUNIT_ASSERT_EQ(test, 0, protect(&win, from, nr, prot));
		expect_agree(&win, from - 1, nr + 2);
		/* At once, no fault is needed. */
		expect_pte(&win, from,
			   prot & W ? WRITE_PTE :
			   prot	    ? READ_PTE :
				      NO_PTE);
		if (prot)
			expect_all(&win, from, nr, 100);
		else
			expect_fault(&win, from);
		KUNIT_EXPECT_EQ(test, prot & W ? 0 : -EFAULT,
				put(&win, last, 100 + last));
		/* Neighbours are as before. */
		expect_pte(&win, from - 1, WRITE_PTE);
		expect_pte(&win, last + 1, WRITE_PTE);
	}
	KUNIT_EXPECT_EQ(test, 0, protect(&win, 8, 2 * EDGE, R));
	expect_all(&win, 8, 2 * EDGE, 100);
	altvm_fixture_close(&win);
}

/* What was not touched, or only read, before the protection changed. */
static void fault_protect_untouched(struct kunit *test)
{
	struct altvm_fixture_window win;

	altvm_fixture_open(test, &win, param_size(test));
	for (unsigned int nr = 4; nr <= 64; nr *= 4) {
		KUNIT_EXPECT_EQ(test, 0, map(&win, 100, nr, R, 0));
		expect_zero(&win, 100, nr / 2);
		KUNIT_EXPECT_EQ(test, 0, protect(&win, 100, nr, RW));
		/* Not even now can the zero page be written. */
		expect_agree(&win, 100, nr);
		put_all(&win, 100, nr, 50);
		expect_all(&win, 100, nr, 50);

		KUNIT_EXPECT_EQ(test, 0, map(&win, 100, nr, RW, 0));
		expect_zero(&win, 100, nr / 2);
		KUNIT_EXPECT_EQ(test, 0, protect(&win, 100, nr, R));
		KUNIT_EXPECT_EQ(test, -EFAULT, put(&win, 100, 1));
		KUNIT_EXPECT_EQ(test, -EFAULT, put(&win, 100 + nr - 1, 1));
		expect_zero(&win, 100, nr);
		expect_agree(&win, 100, nr);
	}
	altvm_fixture_close(&win);
}

static void fault_unmap(struct kunit *test)
{
	struct altvm_fixture_window win;
	struct page *page[4];

	altvm_fixture_open(test, &win, SMALL);
	KUNIT_EXPECT_EQ(test, 0, map(&win, EDGE - 8, 16, RW, 0));
	put_all(&win, EDGE - 8, 16, 100);
	for (int i = 0; i < 4; i++)
		page[i] = grab(&win, EDGE - 2 + i);
	KUNIT_EXPECT_EQ(test, 0, unmap(&win, EDGE - 2, 4));
	for (int i = 0; i < 4; i++) {
		expect_last(&win, page[i]);
		expect_pte(&win, EDGE - 2 + i, NO_PTE);
		KUNIT_EXPECT_NULL(test, stored(&win, EDGE - 2 + i));
		expect_fault(&win, EDGE - 2 + i);
	}
	expect_all(&win, EDGE - 8, 6, 100);
	expect_all(&win, EDGE + 2, 6, 100);

	/* What comes there next is new. */
	KUNIT_EXPECT_EQ(test, 0, map(&win, EDGE - 2, 4, RW, 0));
	expect_zero(&win, EDGE - 2, 4);
	put_all(&win, EDGE - 2, 4, 200);
	expect_all(&win, EDGE - 2, 4, 200);
	expect_agree(&win, EDGE - 10, 20);

	/* Without pages, and where nothing is. */
	KUNIT_EXPECT_EQ(test, 0, map(&win, 100, 4, RW, 0));
	KUNIT_EXPECT_EQ(test, 0, unmap(&win, 90, 20));
	KUNIT_EXPECT_EQ(test, 0, unmap(&win, 90, 20));
	expect_fault(&win, 100);
	altvm_fixture_close(&win);
}

static void fault_map_over(struct kunit *test)
{
	struct altvm_fixture_window win;
	struct page *page;

	altvm_fixture_open(test, &win, SMALL);
	KUNIT_EXPECT_EQ(test, 0, map(&win, EDGE - 8, 16, RW, 0));
	put_all(&win, EDGE - 8, 16, 100);
	page = grab(&win, EDGE);
	KUNIT_EXPECT_EQ(test, 0, map(&win, EDGE - 2, 4, R, 0));
	expect_last(&win, page);
	expect_zero(&win, EDGE - 2, 4);
	KUNIT_EXPECT_EQ(test, -EFAULT, put(&win, EDGE, 1));
	expect_all(&win, EDGE - 8, 6, 100);
	expect_all(&win, EDGE + 2, 6, 100);
	expect_agree(&win, EDGE - 10, 20);

	/* As it is already: new all the same. */
	KUNIT_EXPECT_EQ(test, 0, map(&win, EDGE - 8, 4, RW, 0));
	expect_zero(&win, EDGE - 8, 4);
	KUNIT_EXPECT_EQ(test, -EEXIST,
			map(&win, EDGE + 7, 2, RW, MAP_FIXED_NOREPLACE));
	expect_value(&win, EDGE + 7, 100 + EDGE + 7);
	altvm_fixture_close(&win);
}

static void fault_populate(struct kunit *test)
{
	const unsigned int from = EDGE - 200, nr = 400;
	struct altvm_fixture_window win;
	u8 *vec = kunit_kzalloc(test, nr, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vec);
	altvm_fixture_open(test, &win, SMALL);
	KUNIT_EXPECT_EQ(test, 0, map(&win, from, nr, RW, MAP_POPULATE));
	KUNIT_EXPECT_EQ(test, 0, mincore(&win, from, nr, vec));
	KUNIT_EXPECT_NULL(test, memchr_inv(vec, 1, nr));
	for (unsigned int i = from; i < from + nr; i++)
		expect_pte(&win, i, WRITE_PTE);
	expect_agree(&win, from, nr);
	expect_zero(&win, from, nr);

	KUNIT_EXPECT_EQ(test, 0, map(&win, from, nr, R, MAP_POPULATE));
	KUNIT_EXPECT_EQ(test, 0, mincore(&win, from, nr, vec));
	KUNIT_EXPECT_NULL(test, memchr_inv(vec, 1, nr));
	for (unsigned int i = from; i < from + nr; i++)
		expect_pte(&win, i, ZERO_PTE);

	/* Not asked for. */
	KUNIT_EXPECT_EQ(test, 0, map(&win, from, nr, RW, 0));
	KUNIT_EXPECT_EQ(test, 0, mincore(&win, from, nr, vec));
	KUNIT_EXPECT_NULL(test, memchr_inv(vec, 0, nr));
	KUNIT_EXPECT_EQ(test, 0,
			map(&win, from, nr, RW, MAP_POPULATE | MAP_NONBLOCK));
	KUNIT_EXPECT_EQ(test, 0, mincore(&win, from, nr, vec));
	KUNIT_EXPECT_NULL(test, memchr_inv(vec, 0, nr));
	altvm_fixture_close(&win);
}

static void fault_mincore(struct kunit *test)
{
	const unsigned int from = EDGE - 30, nr = 60;
	struct altvm_fixture_window win;
	u8 vec[60];

	altvm_fixture_open(test, &win, SMALL);
	KUNIT_EXPECT_EQ(test, 0, map(&win, from, nr, RW, 0));
	for (unsigned int i = 0; i < nr; i += 3)
		KUNIT_EXPECT_EQ(test, 0, put(&win, from + i, 1));
	for (unsigned int i = 0; i < nr; i += 5)
		expect_value(&win, from + i, i % 3 ? 0 : 1);
	KUNIT_EXPECT_EQ(test, 0, mincore(&win, from, nr, vec));
	for (unsigned int i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, !(i % 3) || !(i % 5), vec[i],
				    "page %u", i);
	/* Protection does not matter, a hole does. */
	KUNIT_EXPECT_EQ(test, 0, protect(&win, from, 10, PROT_NONE));
	KUNIT_EXPECT_EQ(test, 0, mincore(&win, from, nr, vec));
	KUNIT_EXPECT_EQ(test, 1, vec[0]);
	KUNIT_EXPECT_EQ(test, 0, vec[1]);
	KUNIT_EXPECT_EQ(test, 0, unmap(&win, from + 20, 1));
	KUNIT_EXPECT_EQ(test, -ENOMEM, mincore(&win, from, nr, vec));
	KUNIT_EXPECT_EQ(test, 0, mincore(&win, from, 20, vec));
	altvm_fixture_close(&win);
}

/* Only the pages with a bit in @want, of the 20 from @from on, are resident. */
static void expect_resident_set(const struct altvm_fixture_window *win,
				unsigned int from, unsigned int want)
{
	unsigned int found = 0;
	u8 vec[20];

	KUNIT_EXPECT_EQ(win->test, 0, mincore(win, from, 20, vec));
	for (int i = 0; i < 20; i++)
		found |= vec[i] << i;
	KUNIT_EXPECT_EQ(win->test, want, found);
}

/*
 * The zero page may be mapped ahead of who reads page by page.  He must not be
 * able to tell, but by the time that it takes.
 */
static void fault_ahead(struct kunit *test)
{
	struct altvm_fixture_window win;
	unsigned int want = BIT(0) | BIT(1);

	altvm_fixture_open(test, &win, param_size(test));
	KUNIT_EXPECT_EQ(test, 0, map(&win, 40, 20, R, 0));
	expect_zero(&win, 40, 2);
	expect_resident_set(&win, 40, want);
	/* What is denied has not happened. */
	KUNIT_EXPECT_EQ(test, -EFAULT, put(&win, 45, 1));
	expect_resident_set(&win, 40, want);

	KUNIT_EXPECT_EQ(test, 0, protect(&win, 40, 20, RW));
	expect_resident_set(&win, 40, want);
	expect_value(&win, 46, 0);
	KUNIT_EXPECT_EQ(test, 0, put(&win, 47, 7));
	want |= BIT(6) | BIT(7);
	expect_resident_set(&win, 40, want);
	expect_agree(&win, 40, 20);

	KUNIT_EXPECT_EQ(test, 0, protect(&win, 40, 20, PROT_NONE));
	expect_fault(&win, 48);
	expect_resident_set(&win, 40, want);
	KUNIT_EXPECT_EQ(test, 0, protect(&win, 40, 20, R));
	KUNIT_EXPECT_EQ(test, -EFAULT, put(&win, 49, 1));
	expect_resident_set(&win, 40, want);
	expect_zero(&win, 50, 3);
	want |= BIT(10) | BIT(11) | BIT(12);
	KUNIT_EXPECT_EQ(test, 0, protect(&win, 52, 4, R | PROT_EXEC));
	expect_resident_set(&win, 40, want);
	expect_value(&win, 47, 7);
	expect_agree(&win, 40, 20);
	altvm_fixture_close(&win);
}

static int gup(const struct altvm_fixture_window *win, unsigned int from,
	       unsigned int nr, unsigned int flags, struct page **pages)
{
	return get_user_pages_fast(addr_of(win, from), nr, flags, pages);
}

/* As O_DIRECT and io_uring do: the pages are those of the store. */
static void fault_gup(struct kunit *test)
{
	struct altvm_fixture_window win;
	struct page *pages[8];

	altvm_fixture_open(test, &win, SMALL);
	KUNIT_EXPECT_EQ(test, 0, map(&win, EDGE - 4, 8, RW, 0));
	put_all(&win, EDGE - 2, 2, 100);
	KUNIT_ASSERT_EQ(test, 8, gup(&win, EDGE - 4, 8, FOLL_WRITE, pages));
	for (unsigned int i = 0; i < 8; i++) {
		KUNIT_EXPECT_PTR_EQ(test, pages[i], stored(&win, EDGE - 4 + i));
		*(u64 *)page_address(pages[i]) = 200 + EDGE - 4 + i;
		put_page(pages[i]);
	}
	expect_all(&win, EDGE - 4, 8, 200);
	expect_agree(&win, EDGE - 4, 8);

	KUNIT_EXPECT_EQ(test, 0, protect(&win, EDGE, 4, R));
	KUNIT_EXPECT_EQ(test, 2, gup(&win, EDGE - 2, 8, FOLL_WRITE, pages));
	put_page(pages[0]);
	put_page(pages[1]);
	KUNIT_EXPECT_EQ(test, -EFAULT, gup(&win, EDGE, 1, FOLL_WRITE, pages));
	KUNIT_EXPECT_EQ(test, 1, gup(&win, EDGE, 1, 0, pages));
	KUNIT_EXPECT_PTR_EQ(test, pages[0], stored(&win, EDGE));
	put_page(pages[0]);
	KUNIT_EXPECT_EQ(test, -EFAULT, gup(&win, 8, 1, 0, pages));

	/* What somebody has pinned outlives its area. */
	KUNIT_ASSERT_EQ(test, 1, gup(&win, EDGE - 4, 1, FOLL_WRITE, pages));
	KUNIT_EXPECT_EQ(test, 0, unmap(&win, EDGE - 4, 8));
	KUNIT_EXPECT_EQ(test, 200ULL + EDGE - 4,
			*(u64 *)page_address(pages[0]));
	expect_last(&win, pages[0]);
	altvm_fixture_close(&win);
}

static int access(const struct altvm_fixture_window *win, unsigned long addr,
		  void *buf, int len, int write)
{
	struct vm_area_struct *window;
	int ret;

	mmap_read_lock(win->mm);
	window = vma_lookup(win->mm, win->start);
	ret = window->vm_ops->access(window, addr, buf, len, write);
	mmap_read_unlock(win->mm);
	return ret;
}

/* As a debugger does where the protection has refused. */
static void fault_access(struct kunit *test)
{
	struct altvm_fixture_window win;
	u64 value[2] = { 11, 12 };
	unsigned long addr;

	altvm_fixture_open(test, &win, SMALL);
	KUNIT_EXPECT_EQ(test, 0, map(&win, EDGE - 2, 4, PROT_NONE, 0));
	addr = addr_of(&win, EDGE) - sizeof(u64);
	KUNIT_EXPECT_EQ(test, 16, access(&win, addr, value, 16, 1));
	value[0] = 0;
	value[1] = 0;
	KUNIT_EXPECT_EQ(test, 16, access(&win, addr, value, 16, 0));
	KUNIT_EXPECT_EQ(test, 11ULL, value[0]);
	KUNIT_EXPECT_EQ(test, 12ULL, value[1]);
	expect_fault(&win, EDGE);
	expect_agree(&win, EDGE - 2, 4);
	KUNIT_EXPECT_EQ(test, 0, protect(&win, EDGE - 2, 4, R));
	expect_value(&win, EDGE, 12);
	expect_value(&win, EDGE - 1, 0);

	/* As far as there is something. */
	addr = addr_of(&win, EDGE + 2) - sizeof(u64);
	KUNIT_EXPECT_EQ(test, 8, access(&win, addr, value, 16, 0));
	KUNIT_EXPECT_EQ(test, 0ULL, value[0]);
	addr = addr_of(&win, EDGE + 2);
	KUNIT_EXPECT_EQ(test, -EFAULT, access(&win, addr, value, 8, 0));
	KUNIT_EXPECT_EQ(test, -EFAULT, access(&win, addr, value, 8, 1));
	altvm_fixture_close(&win);
}

static void fault_exit(struct kunit *test)
{
	struct altvm_fixture_window win;
	struct page *page[3];

	altvm_fixture_open(test, &win, param_size(test));
	KUNIT_EXPECT_EQ(test, 0, map(&win, EDGE - 1, 2, RW, 0));
	KUNIT_EXPECT_EQ(test, 0, map(&win, 5 * EDGE, 1, RW, 0));
	put_all(&win, EDGE - 1, 2, 1);
	put_all(&win, 5 * EDGE, 1, 1);
	page[0] = grab(&win, EDGE - 1);
	page[1] = grab(&win, EDGE);
	page[2] = grab(&win, 5 * EDGE);
	/* In the store only. */
	KUNIT_EXPECT_EQ(test, 0, protect(&win, 5 * EDGE, 1, PROT_NONE));
	altvm_fixture_close(&win);
	for (int i = 0; i < ARRAY_SIZE(page); i++)
		expect_last(&win, page[i]);
}

/* In one mm; munmap of one leaves the other alone. */
static void fault_two_windows(struct kunit *test)
{
	struct altvm_fixture_window a, b;
	struct page *page;

	altvm_fixture_open(test, &a, SMALL);
	altvm_fixture_open(test, &b, LARGE);
	KUNIT_EXPECT_EQ(test, 0, map(&a, 8, 4, RW, 0));
	KUNIT_EXPECT_EQ(test, 0, map(&b, 8, 4, RW, 0));
	put_all(&a, 8, 4, 100);
	put_all(&b, 8, 4, 200);
	page = grab(&a, 8);
	KUNIT_EXPECT_EQ(test, 4L,
			atomic_long_read(&b.space->amm->data) -
				(long)b.space->nr_data);
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(a.start, SMALL));
	expect_last(&a, page);
	expect_fault(&a, 8);
	KUNIT_EXPECT_EQ(test, 4L, atomic_long_read(&b.space->amm->data));
	expect_all(&b, 8, 4, 200);
	expect_agree(&b, 8, 4);
	altvm_fixture_close(&b);
}

/* Pages of the random test, over the edge of a leaf. */
#define NR_RANDOM 96
#define FIRST_RANDOM (EDGE - NR_RANDOM / 2)
#define RANDOM_STEPS 1500

/**
 * struct model - what a window should hold
 * @win: the window
 * @page: @prot is negative in a hole
 * @rnd: what to do next
 */
struct model {
	struct altvm_fixture_window win;
	struct {
		int prot;
		u64 value;
		bool resident;
	} page[NR_RANDOM];
	struct rnd_state rnd;
};

static void random_map(struct model *model, unsigned int from, unsigned int to,
		       u32 prot)
{
	bool populate = !altvm_fixture_below(&model->rnd, 4);

	KUNIT_ASSERT_EQ(model->win.test, 0,
			map(&model->win, FIRST_RANDOM + from, to - from, prot,
			    populate ? MAP_POPULATE : 0));
	for (; from < to; from++) {
		model->page[from].prot = prot;
		model->page[from].value = 0;
		model->page[from].resident = populate && prot;
	}
}

static void random_unmap(struct model *model, unsigned int from,
			 unsigned int to)
{
	KUNIT_ASSERT_EQ(model->win.test, 0,
			unmap(&model->win, FIRST_RANDOM + from, to - from));
	for (; from < to; from++) {
		model->page[from].prot = -1;
		model->page[from].resident = false;
	}
}

static void random_protect(struct model *model, unsigned int from,
			   unsigned int to, u32 prot)
{
	int ret = protect(&model->win, FIRST_RANDOM + from, to - from, prot);

	for (; from < to && model->page[from].prot >= 0; from++)
		model->page[from].prot = prot;
	KUNIT_ASSERT_EQ(model->win.test, from < to ? -ENOMEM : 0, ret);
}

static void random_touch(struct model *model, unsigned int page)
{
	unsigned int number = FIRST_RANDOM + page;
	int prot = model->page[page].prot;
	u64 value = prandom_u32_state(&model->rnd);
	bool allowed;

	if (altvm_fixture_below(&model->rnd, 2)) {
		allowed = prot > 0 && prot & W;
		KUNIT_ASSERT_EQ(model->win.test, allowed ? 0 : -EFAULT,
				put(&model->win, number, value));
		if (allowed)
			model->page[page].value = value;
	} else {
		allowed = prot > 0;
		KUNIT_ASSERT_EQ(model->win.test, allowed ? 0 : -EFAULT,
				get(&model->win, number, &value));
		if (allowed)
			KUNIT_ASSERT_EQ(model->win.test, value,
					model->page[page].value);
	}
	model->page[page].resident |= allowed;
}

static void expect_resident(struct model *model, unsigned int from,
			    unsigned int to)
{
	u8 vec[NR_RANDOM];
	int ret = mincore(&model->win, FIRST_RANDOM + from, to - from, vec);

	for (unsigned int i = from; i < to; i++) {
		if (model->page[i].prot < 0) {
			KUNIT_ASSERT_EQ(model->win.test, -ENOMEM, ret);
			return;
		}
	}
	KUNIT_ASSERT_EQ(model->win.test, 0, ret);
	for (unsigned int i = from; i < to; i++)
		KUNIT_ASSERT_EQ_MSG(model->win.test, model->page[i].resident,
				    vec[i - from], "page %u", i);
}

static void random_step(struct model *model)
{
	static const u32 prots[] = {
		RW, RW, RW, R, R, PROT_NONE, RW | PROT_EXEC, PROT_EXEC, W,
	};
	u32 prot = prots[altvm_fixture_below(&model->rnd, ARRAY_SIZE(prots))];
	unsigned int from, to;

	altvm_fixture_range(&model->rnd, NR_RANDOM, 40, &from, &to);
	switch (altvm_fixture_below(&model->rnd, 16)) {
	case 0 ... 1:
		random_map(model, from, to, prot);
		break;
	case 2:
		random_unmap(model, from, to);
		break;
	case 3 ... 6:
		random_protect(model, from, to, prot);
		break;
	case 7:
		expect_resident(model, from, to);
		break;
	default:
		for (; from < to; from += 3)
			random_touch(model, from);
	}
}

static void fault_random(struct kunit *test)
{
	struct model *model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, model);
	altvm_fixture_seed(test, &model->rnd);
	altvm_fixture_open(test, &model->win, param_size(test));
	random_unmap(model, 0, NR_RANDOM);
	for (int step = 0; step < RANDOM_STEPS; step++) {
		random_step(model);
		if (step % 4 == 0 &&
		    !expect_agree(&model->win, FIRST_RANDOM, NR_RANDOM))
			break;
		cond_resched();
	}
	for (unsigned int page = 0; page < NR_RANDOM; page++) {
		if (model->page[page].prot > 0)
			expect_value(&model->win, FIRST_RANDOM + page,
				     model->page[page].value);
		else
			expect_fault(&model->win, FIRST_RANDOM + page);
	}
	altvm_fixture_close(&model->win);
}

/* Pages that the races are about, over the edge of a leaf. */
#define NR_RACE 24
#define FIRST_RACE (EDGE - NR_RACE / 2)
#define NR_THREADS 3

/* How long a race is; longer where the threads have not come to much. */
#define RACE_TIME (2 * HZ)
#define RACE_MAX (30 * HZ)
#define RACE_USED 500

/**
 * struct race - one owner, the test, and threads that use the window with him
 * @win: the window
 * @start: when it began, in jiffies
 * @stop: the threads shall end
 * @low: the oldest value that can still be in a page
 * @high: the newest
 * @stage: race_protect(): even while nothing changes, odd meanwhile
 * @round: where threads go in rounds, which one they are in
 * @ready: how many threads have ended it
 * @used: how many accesses have succeeded
 * @wrong: how many did what they must not
 */
struct race {
	struct altvm_fixture_window win;
	unsigned long start;
	bool stop;
	u64 low, high;
	unsigned int stage, round;
	atomic_t ready, used, wrong;
};

/**
 * struct racer - one thread of a race
 * @thread: it
 * @race: which one
 * @run: what it does
 * @nr: which thread it is
 * @round: the last that it has begun
 * @rnd: what to do next
 */
struct racer {
	struct altvm_fixture_thread thread;
	struct race *race;
	void (*run)(struct racer *racer, unsigned int step);
	unsigned int nr, round;
	struct rnd_state rnd;
};

static int race_main(void *data)
{
	struct racer *racer = data;
	struct race *race = racer->race;

	kthread_use_mm(race->win.mm);
	for (unsigned int step = 0; !READ_ONCE(race->stop); step++) {
		racer->run(racer, step);
		cond_resched();
	}
	kthread_unuse_mm(race->win.mm);
	return 0;
}

static void race_start(struct kunit *test, struct race *race,
		       struct racer *racers,
		       void (*run)(struct racer *racer, unsigned int step))
{
	race->start = jiffies;
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		racers[i].race = race;
		racers[i].run = run;
		racers[i].nr = i;
		altvm_fixture_start(test, &racers[i].thread, race_main,
				    &racers[i]);
	}
}

static void race_stop(struct race *race, struct racer *racers)
{
	WRITE_ONCE(race->stop, true);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		KUNIT_EXPECT_EQ(race->win.test, 0,
				altvm_fixture_join(&racers[i].thread));
	KUNIT_EXPECT_EQ(race->win.test, 0, atomic_read(&race->wrong));
	KUNIT_EXPECT_GT(race->win.test, atomic_read(&race->used), 0);
	expect_agree(&race->win, FIRST_RACE - 2, NR_RACE + 4);
}

static bool race_goes_on(const struct race *race)
{
	return time_before(jiffies, race->start + RACE_TIME) ||
	       (atomic_read(&race->used) < RACE_USED &&
		time_before(jiffies, race->start + RACE_MAX));
}

/* Let the others do something, if they can. */
static void race_pause(struct race *race)
{
	int used = atomic_read(&race->used);

	for (int i = 0; i < 200 && atomic_read(&race->used) - used < 20; i++) {
		cpu_relax();
		cond_resched();
	}
}

/* In a thread: is there a new round?  race_round_end() must follow. */
static bool race_round_begin(struct racer *racer)
{
	/* Pairs with race_round(). */
	unsigned int round = smp_load_acquire(&racer->race->round);

	if (racer->round == round)
		return false;
	racer->round = round;
	return true;
}

static void race_round_end(struct racer *racer)
{
	/* What was done in the round comes first: pairs with race_round(). */
	smp_mb__before_atomic();
	atomic_inc(&racer->race->ready);
}

/* Let all threads run a round.  Return: have they come to its end? */
static bool race_round(struct race *race)
{
	/* Go: pairs with race_round_begin(). */
	smp_store_release(&race->round, race->round + 1);
	while (atomic_read(&race->ready) < NR_THREADS) {
		if (time_after(jiffies, race->start + 2 * RACE_MAX)) {
			KUNIT_FAIL(race->win.test, "round %u has no end",
				   race->round);
			return false;
		}
		cond_resched();
	}
	/* Pairs with race_round_end(). */
	smp_mb();
	atomic_set(&race->ready, 0);
	return true;
}

/* A page that has been unmapped must not be seen any more. */
static void unmap_reader(struct racer *racer, unsigned int step)
{
	struct race *race = racer->race;
	unsigned int page = FIRST_RACE + (step + 7 * racer->nr) % NR_RACE;
	/* Pairs with race_unmap(). */
	u64 low = smp_load_acquire(&race->low), value;

	if (get(&race->win, page, &value))
		return;
	atomic_inc(&race->used);
	if (value && (value < low || value > READ_ONCE(race->high)))
		atomic_inc(&race->wrong);
}

/* Each generation of areas is read while it comes, is, and goes. */
static void race_unmap(struct kunit *test)
{
	struct racer racers[NR_THREADS] = {};
	struct race race = { .low = 1 };

	altvm_fixture_open(test, &race.win, param_size(test));
	race_start(test, &race, racers, unmap_reader);
	for (u64 value = 1; race_goes_on(&race); value++) {
		WRITE_ONCE(race.high, value);
		/* Every other time over the one before. */
		KUNIT_EXPECT_EQ(test, 0,
				map(&race.win, FIRST_RACE, NR_RACE, RW,
				    value % 3 ? 0 : MAP_POPULATE));
		/* What was there before is gone: pairs with unmap_reader(). */
		smp_store_release(&race.low, value);
		for (unsigned int i = 0; i < NR_RACE; i++)
			KUNIT_EXPECT_EQ(test, 0,
					put(&race.win, FIRST_RACE + i, value));
		race_pause(&race);
		if (value % 2)
			continue;
		KUNIT_EXPECT_EQ(test, 0, unmap(&race.win, FIRST_RACE, NR_RACE));
		/* So is this: pairs with unmap_reader(). */
		smp_store_release(&race.low, value + 1);
		if (!expect_agree(&race.win, FIRST_RACE, NR_RACE))
			break;
	}
	race_stop(&race, racers);
	altvm_fixture_close(&race.win);
}

/* What race_protect() goes round. */
static const u32 race_prots[] = { RW, R, RW, PROT_NONE, R, PROT_NONE };

static void protect_user(struct racer *racer, unsigned int step)
{
	struct race *race = racer->race;
	/* Few, at the edge, so that they meet in the TLB what was before. */
	unsigned int page = EDGE - 2 + step % 4;
	/* Pairs with race_protect(). */
	unsigned int stage = smp_load_acquire(&race->stage);
	u32 prot = race_prots[stage / 2 % ARRAY_SIZE(race_prots)];
	bool want, got;
	u64 value;

	if (step % 3) {
		want = prot & W;
		got = !put_word(&race->win, page, racer->nr + 1, step);
	} else {
		want = prot;
		got = !get_word(&race->win, page, racer->nr + 1, &value);
	}
	atomic_add(got, &race->used);
	/* The access comes before the stage is read again. */
	smp_mb();
	if (stage % 2 == 0 && READ_ONCE(race->stage) == stage && want != got)
		atomic_inc(&race->wrong);
}

static void read_race(struct race *race, u64 *value)
{
	for (unsigned int i = 0; i < NR_RACE * NR_THREADS; i++)
		KUNIT_EXPECT_EQ(race->win.test, 0,
				get_word(&race->win,
					 FIRST_RACE + i / NR_THREADS,
					 1 + i % NR_THREADS, &value[i]));
}

/* While it is read-only, nothing changes, whatever a CPU may remember. */
static void expect_frozen(struct race *race)
{
	static u64 before[NR_RACE * NR_THREADS], after[NR_RACE * NR_THREADS];

	read_race(race, before);
	for (int i = 0; i < 5; i++) {
		cpu_relax();
		cond_resched();
	}
	read_race(race, after);
	KUNIT_EXPECT_MEMEQ(race->win.test, before, after, sizeof(before));
}

/* Steady rights are kept to, by all threads, as soon as mprotect returns. */
static void race_protect_some(struct kunit *test, unsigned int nr)
{
	struct racer racers[NR_THREADS] = {};
	struct race race = {};

	altvm_fixture_open(test, &race.win, param_size(test));
	KUNIT_EXPECT_EQ(test, 0, map(&race.win, FIRST_RACE, NR_RACE, RW, 0));
	put_all(&race.win, FIRST_RACE, NR_RACE, 0);
	race_start(test, &race, racers, protect_user);
	for (unsigned int stage = 1; race_goes_on(&race); stage++) {
		u32 prot = race_prots[stage % ARRAY_SIZE(race_prots)];

		WRITE_ONCE(race.stage, 2 * stage - 1);
		/* Before anything changes: pairs with protect_user(). */
		smp_mb();
		for (unsigned int i = 0; i < NR_RACE; i += nr)
			KUNIT_EXPECT_EQ(test, 0,
					protect(&race.win, FIRST_RACE + i, nr,
						prot));
		/* From now on: pairs with protect_user(). */
		smp_store_release(&race.stage, 2 * stage);
		race_pause(&race);
		if (prot == R)
			expect_frozen(&race);
	}
	WRITE_ONCE(race.stage, 1);
	/* Before anything changes: pairs with protect_user(). */
	smp_mb();
	KUNIT_EXPECT_EQ(test, 0, protect(&race.win, FIRST_RACE, NR_RACE, RW));
	race_stop(&race, racers);
	expect_all(&race.win, FIRST_RACE, NR_RACE, 0);
	altvm_fixture_close(&race.win);
}

/* In one call, which flushes everything if it can. */
static void race_protect(struct kunit *test)
{
	race_protect_some(test, NR_RACE);
}

/* In calls so small that they flush page by page. */
static void race_protect_few(struct kunit *test)
{
	race_protect_some(test, 4);
}

/* In each round, a word of the thread's own in each page. */
static void fault_all(struct racer *racer, unsigned int step)
{
	struct race *race = racer->race;
	u64 value;

	if (!race_round_begin(racer))
		return;
	for (unsigned int page = FIRST_RACE; page < FIRST_RACE + NR_RACE;
	     page++) {
		/* Some find the zero page there, some nothing. */
		if ((page + racer->nr) % 3 == 0 &&
		    get_word(&race->win, page, racer->nr, &value))
			atomic_inc(&race->wrong);
		if (put_word(&race->win, page, racer->nr, racer->round))
			atomic_inc(&race->wrong);
		atomic_inc(&race->used);
	}
	race_round_end(racer);
}

/* Faults on one page make one page: no thread's word is lost. */
static void race_fault(struct kunit *test)
{
	struct racer racers[NR_THREADS] = {};
	struct race race = {};

	altvm_fixture_open(test, &race.win, SMALL);
	race_start(test, &race, racers, fault_all);
	while (race_goes_on(&race)) {
		unsigned int lost = 0;
		u64 value;

		KUNIT_EXPECT_EQ(test, 0,
				map(&race.win, FIRST_RACE, NR_RACE, RW, 0));
		if (!race_round(&race))
			break;
		for (unsigned int i = 0; i < NR_RACE * NR_THREADS; i++)
			lost += get_word(&race.win, FIRST_RACE + i / NR_THREADS,
					 i % NR_THREADS, &value) ||
				value != race.round;
		KUNIT_EXPECT_EQ(test, 0U, lost);
	}
	race_stop(&race, racers);
	altvm_fixture_close(&race.win);
}

/* Anything, anywhere; what comes of it cannot be told. */
static void call_any(struct racer *racer)
{
	static const u32 prots[] = { RW, RW, R, PROT_NONE };
	struct altvm_fixture_window *win = &racer->race->win;
	u32 prot = prots[altvm_fixture_below(&racer->rnd, ARRAY_SIZE(prots))];
	unsigned int from, to;
	u64 value;

	altvm_fixture_range(&racer->rnd, NR_RACE, NR_RACE, &from, &to);
	from += FIRST_RACE;
	to += FIRST_RACE;
	switch (altvm_fixture_below(&racer->rnd, 10)) {
	case 0 ... 1:
		unmap(win, from, to - from);
		break;
	case 2:
		map(win, from, to - from, prot, 0);
		break;
	case 3:
		map(win, from, to - from, prot, MAP_POPULATE);
		break;
	case 4 ... 5:
		protect(win, from, to - from, prot);
		break;
	default:
		for (; from < to; from++) {
			get(win, from, &value);
			if (!put(win, from, value))
				atomic_inc(&racer->race->used);
		}
	}
}

static void call_some(struct racer *racer, unsigned int step)
{
	if (!race_round_begin(racer))
		return;
	for (int i = 0; i < 10; i++)
		call_any(racer);
	race_round_end(racer);
}

/* Calls and faults on the same pages, in all threads: after them all agrees. */
static void race_calls(struct kunit *test)
{
	struct racer racers[NR_THREADS] = {};
	struct race race = {};

	altvm_fixture_open(test, &race.win, param_size(test));
	for (unsigned int i = 0; i < NR_THREADS; i++)
		altvm_fixture_seed(test, &racers[i].rnd);
	race_start(test, &race, racers, call_some);
	while (race_goes_on(&race) && race_round(&race)) {
		if (!expect_agree(&race.win, FIRST_RACE, NR_RACE))
			break;
		mutex_lock(&race.win.space->lock);
		altvm_tree_validate(race.win.space);
		mutex_unlock(&race.win.space->lock);
		/* So that there is something to do. */
		map(&race.win, FIRST_RACE, NR_RACE / 2, RW, MAP_POPULATE);
	}
	race_stop(&race, racers);
	/* Nothing has been left busy. */
	KUNIT_EXPECT_EQ(test, 0, unmap(&race.win, 0, SMALL >> PAGE_SHIFT));
	KUNIT_EXPECT_EQ(test, 0UL, race.win.space->nr_total);
	altvm_fixture_close(&race.win);
}

static const struct kunit_attributes slow = { .speed = KUNIT_SPEED_SLOW };

static struct kunit_case fault_cases[] = {
	KUNIT_CASE(fault_hole),
	KUNIT_CASE(fault_prot_none),
	KUNIT_CASE(fault_read_only),
	KUNIT_CASE(fault_implied_read),
	KUNIT_CASE(fault_write),
	KUNIT_CASE(fault_zero_then_write),
	KUNIT_CASE_PARAM(fault_protect, size_gen_params),
	KUNIT_CASE_PARAM(fault_protect_untouched, size_gen_params),
	KUNIT_CASE(fault_unmap),
	KUNIT_CASE(fault_map_over),
	KUNIT_CASE(fault_populate),
	KUNIT_CASE(fault_mincore),
	KUNIT_CASE_PARAM(fault_ahead, size_gen_params),
	KUNIT_CASE(fault_gup),
	KUNIT_CASE(fault_access),
	KUNIT_CASE_PARAM(fault_exit, size_gen_params),
	KUNIT_CASE(fault_two_windows),
	KUNIT_CASE_PARAM(fault_random, size_gen_params),
	KUNIT_CASE_PARAM_ATTR(race_unmap, size_gen_params, slow),
	KUNIT_CASE_PARAM_ATTR(race_protect, size_gen_params, slow),
	KUNIT_CASE_PARAM_ATTR(race_protect_few, size_gen_params, slow),
	KUNIT_CASE_SLOW(race_fault),
	KUNIT_CASE_PARAM_ATTR(race_calls, size_gen_params, slow),
	{},
};

static struct kunit_suite fault_suite = {
	.name = "altvm_fault",
	.test_cases = fault_cases,
};

kunit_test_suite(fault_suite);
