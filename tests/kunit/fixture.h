/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the suites share.  A bare space has a tree, a store and counts, and no
 * window: for what never touches page tables.  A window is a real one, made by
 * mmap of /dev/altvm in an mm of the test's own.
 */
#ifndef ALTVM_KUNIT_FIXTURE_H
#define ALTVM_KUNIT_FIXTURE_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/prandom.h>

#include "space.h"

/**
 * struct altvm_fixture_window - a window, and the mm that it is in
 * @test: whose
 * @mm: used by the test's thread; for others kthread_use_mm()
 * @ctx: of the open file, which the window pins
 * @space: behind the window
 * @start: the window, in bytes
 * @end: exclusive
 */
struct altvm_fixture_window {
	struct kunit *test;
	struct mm_struct *mm;
	struct altvm_ctx *ctx;
	struct altvm_space *space;
	unsigned long start, end;
};

/**
 * struct altvm_fixture_thread - a thread beside the test's
 * @task: itself
 * @done: it has run
 * @run: what it does
 * @data: for @run
 */
struct altvm_fixture_thread {
	struct task_struct *task;
	struct completion done;
	int (*run)(void *data);
	void *data;
};

struct altvm_space *altvm_fixture_bare(struct kunit *test, unsigned long start,
				       unsigned long end);

void altvm_fixture_open(struct kunit *test, struct altvm_fixture_window *win,
			unsigned long size);
void altvm_fixture_close(struct altvm_fixture_window *win);

void altvm_fixture_start(struct kunit *test,
			 struct altvm_fixture_thread *thread,
			 int (*run)(void *data), void *data);
bool altvm_fixture_sleeps(struct altvm_fixture_thread *thread);
int altvm_fixture_join(struct altvm_fixture_thread *thread);

void altvm_fixture_seed(struct kunit *test, struct rnd_state *rnd);

/* A number below @limit. */
static inline unsigned int altvm_fixture_below(struct rnd_state *rnd,
					       unsigned int limit)
{
	return prandom_u32_state(rnd) % limit;
}

/* A range of at least one and at most @max pages, of the @nr that there are. */
static inline void altvm_fixture_range(struct rnd_state *rnd, unsigned int nr,
				       unsigned int max, unsigned int *from,
				       unsigned int *to)
{
	*from = altvm_fixture_below(rnd, nr);
	*to = *from + 1 + altvm_fixture_below(rnd, min(max, nr - *from));
}

#endif /* ALTVM_KUNIT_FIXTURE_H */
