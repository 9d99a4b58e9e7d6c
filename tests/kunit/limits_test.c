// SPDX-License-Identifier: GPL-2.0
/*
 * Limits: what is counted, and what RLIMIT_AS and RLIMIT_DATA refuse.
 *
 * KUnit runs each case in a process of its own, so that the limits set here are
 * nobody else's.
 */
#include <linux/sched/signal.h>

#include "fixture.h"
#include "limits.h"

/* What the kernel has mapped in the mm, and how much of it is altvm's window. */
#define NATIVE 100
#define DATA 40

static void set_limit(unsigned int limit, unsigned long pages)
{
	task_lock(current->group_leader);
	current->signal->rlim[limit].rlim_cur =
		pages == RLIM_INFINITY ? RLIM_INFINITY : pages << PAGE_SHIFT;
	task_unlock(current->group_leader);
}

/* What the space may map until it reaches the limits. */
static void set_room(unsigned long total, unsigned long data)
{
	set_limit(RLIMIT_AS, NATIVE + total);
	set_limit(RLIMIT_DATA, DATA + data);
}

static struct altvm_space *new_space(struct kunit *test)
{
	struct altvm_space *space;

	space = altvm_fixture_bare(test, PMD_SIZE, PMD_SIZE + 1000 * PAGE_SIZE);
	space->mm->total_vm = NATIVE;
	space->mm->data_vm = DATA;
	return space;
}

static int charge(struct altvm_space *space, long total, long data)
{
	int ret;

	mutex_lock(&space->lock);
	ret = altvm_limits_charge(space, total, data, data > 0);
	mutex_unlock(&space->lock);
	return ret;
}

static int charge_data(struct altvm_space *space, long data)
{
	int ret;

	mutex_lock(&space->lock);
	ret = altvm_limits_charge_data(space, data);
	mutex_unlock(&space->lock);
	return ret;
}

static void uncharge(struct altvm_space *space, unsigned long total,
		     unsigned long data)
{
	mutex_lock(&space->lock);
	altvm_limits_uncharge(space, total, data);
	mutex_unlock(&space->lock);
}

static void expect_counts(struct kunit *test, const struct altvm_space *space,
			  long total, long data)
{
	KUNIT_EXPECT_EQ(test, total, (long)space->nr_total);
	KUNIT_EXPECT_EQ(test, data, (long)space->nr_data);
	KUNIT_EXPECT_EQ(test, total, atomic_long_read(&space->amm->total));
	KUNIT_EXPECT_EQ(test, data, atomic_long_read(&space->amm->data));
}

static void limits_count(struct kunit *test)
{
	struct altvm_space *space = new_space(test);

	set_limit(RLIMIT_AS, RLIM_INFINITY);
	set_limit(RLIMIT_DATA, RLIM_INFINITY);
	expect_counts(test, space, 0, 0);
	KUNIT_EXPECT_EQ(test, 0, charge(space, 10, 4));
	expect_counts(test, space, 10, 4);
	KUNIT_EXPECT_EQ(test, 0, charge_data(space, 3));
	expect_counts(test, space, 10, 7);
	KUNIT_EXPECT_EQ(test, 0, charge(space, -4, -2));
	expect_counts(test, space, 6, 5);
	KUNIT_EXPECT_EQ(test, 0, charge_data(space, -1));
	expect_counts(test, space, 6, 4);
	uncharge(space, 6, 4);
	expect_counts(test, space, 0, 0);
}

/* The window itself does not count, all else that the kernel has mapped does. */
static void limits_as(struct kunit *test)
{
	struct altvm_space *space = new_space(test);

	set_room(20, 1000);
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(space, 21, 0));
	expect_counts(test, space, 0, 0);
	KUNIT_EXPECT_EQ(test, 0, charge(space, 20, 0));
	expect_counts(test, space, 20, 0);
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(space, 1, 1));
	expect_counts(test, space, 20, 0);
	KUNIT_EXPECT_EQ(test, 0, charge(space, 0, 0));
	uncharge(space, 1, 0);
	KUNIT_EXPECT_EQ(test, 0, charge(space, 1, 1));
	expect_counts(test, space, 20, 1);

	/* The kernel maps a page more: the process is over its limit. */
	space->mm->total_vm++;
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(space, 1, 0));
	KUNIT_EXPECT_EQ(test, 0, charge(space, -1, 0));
	expect_counts(test, space, 19, 1);
}

/* RLIMIT_DATA matters where data grows, and nowhere else. */
static void limits_data(struct kunit *test)
{
	struct altvm_space *space = new_space(test);

	set_room(1000, 20);
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(space, 30, 21));
	expect_counts(test, space, 0, 0);
	KUNIT_EXPECT_EQ(test, 0, charge(space, 30, 20));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(space, 1, 1));
	expect_counts(test, space, 30, 20);

	set_room(1000, 10);
	KUNIT_EXPECT_EQ(test, 0, charge(space, 1, 0));
	KUNIT_EXPECT_EQ(test, 0, charge(space, 1, -1));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(space, 0, 1));
	expect_counts(test, space, 32, 19);
}

static void limits_protect(struct kunit *test)
{
	struct altvm_space *space = new_space(test);

	set_room(50, 20);
	KUNIT_ASSERT_EQ(test, 0, charge(space, 50, 0));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge_data(space, 21));
	expect_counts(test, space, 50, 0);
	KUNIT_EXPECT_EQ(test, 0, charge_data(space, 20));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge_data(space, 1));
	expect_counts(test, space, 50, 20);

	/* Over both limits: RLIMIT_AS is not asked, less data is welcome. */
	set_room(5, 5);
	KUNIT_EXPECT_EQ(test, 0, charge_data(space, 0));
	KUNIT_EXPECT_EQ(test, 0, charge_data(space, -1));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge_data(space, 1));
	expect_counts(test, space, 50, 19);
	set_room(5, 20);
	KUNIT_EXPECT_EQ(test, 0, charge_data(space, 1));
	expect_counts(test, space, 50, 20);
}

/* The limits are the process's: two windows share them. */
static void limits_two_windows(struct kunit *test)
{
	struct altvm_space *a = new_space(test), *b = new_space(test);

	b->mm = a->mm;
	b->amm = a->amm;

	set_room(20, 10);
	KUNIT_EXPECT_EQ(test, 0, charge(a, 12, 6));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(b, 9, 0));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(b, 5, 5));
	KUNIT_EXPECT_EQ(test, 0, charge(b, 8, 4));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge_data(a, 1));
	uncharge(b, 8, 4);
	KUNIT_EXPECT_EQ(test, 0, charge(a, 8, 4));
	expect_counts(test, a, 20, 10);
	KUNIT_EXPECT_EQ(test, 0UL, b->nr_total);
	KUNIT_EXPECT_EQ(test, 0UL, b->nr_data);
}

/*
 * While another window comes or goes, its pages are in altvm's count and not in
 * the kernel's.  What is left is no reason to refuse anything.
 */
static void limits_negative(struct kunit *test)
{
	struct altvm_space *space = new_space(test);

	space->mm->total_vm = NATIVE;
	set_limit(RLIMIT_AS, RLIM_INFINITY);
	set_limit(RLIMIT_DATA, RLIM_INFINITY);
	KUNIT_EXPECT_EQ(test, 0, charge(space, 1, 1));
	set_room(20, 20);
	KUNIT_EXPECT_EQ(test, 0, charge(space, 1, 1));
	expect_counts(test, space, 2, 2);
}

/* Numbers larger than any limit are over the limit, not below zero. */
static void limits_huge(struct kunit *test)
{
	const long huge = ULONG_MAX >> PAGE_SHIFT;
	struct altvm_space *space = new_space(test);

	set_limit(RLIMIT_AS, RLIM_INFINITY);
	set_limit(RLIMIT_DATA, RLIM_INFINITY);
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(space, huge, 0));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(space, 0, huge));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge_data(space, huge));
	expect_counts(test, space, 0, 0);
	KUNIT_EXPECT_EQ(test, 0, charge(space, huge - NATIVE, huge - DATA));
	expect_counts(test, space, huge - NATIVE, huge - DATA);
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge(space, 1, 0));
	KUNIT_EXPECT_EQ(test, -ENOMEM, charge_data(space, 1));
	uncharge(space, huge - NATIVE, huge - DATA);
	expect_counts(test, space, 0, 0);
}

static struct kunit_case limits_cases[] = {
	KUNIT_CASE(limits_count),	KUNIT_CASE(limits_as),
	KUNIT_CASE(limits_data),	KUNIT_CASE(limits_protect),
	KUNIT_CASE(limits_two_windows), KUNIT_CASE(limits_negative),
	KUNIT_CASE(limits_huge),	{},
};

static struct kunit_suite limits_suite = {
	.name = "altvm_limits",
	.test_cases = limits_cases,
};

kunit_test_suite(limits_suite);
