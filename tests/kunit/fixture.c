// SPDX-License-Identifier: GPL-2.0
/*
 * Bare spaces, windows, threads and seeds for the suites.
 */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "fixture.h"
#include "store.h"
#include "tree.h"

#define JOIN_MAX (30 * HZ)

static ulong kunit_seed;
module_param(kunit_seed, ulong, 0444);
MODULE_PARM_DESC(kunit_seed, "for the random unit tests; 0: another each time");

/**
 * altvm_fixture_seed() - begin a random test, and say how to repeat it
 * @test: the test
 * @rnd: out: what to draw numbers from
 */
void altvm_fixture_seed(struct kunit *test, struct rnd_state *rnd)
{
	unsigned long seed = kunit_seed ?: get_random_u32();

	kunit_info(test, "kunit_seed=%lu\n", seed);
	prandom_seed_state(rnd, seed);
}

KUNIT_DEFINE_ACTION_WRAPPER(free_ctx, altvm_ctx_destroy, struct altvm_ctx *);
KUNIT_DEFINE_ACTION_WRAPPER(free_tree, altvm_tree_destroy,
			    struct altvm_space *);
KUNIT_DEFINE_ACTION_WRAPPER(free_store, altvm_store_destroy,
			    struct altvm_space *);

/**
 * altvm_fixture_bare() - a space without a window
 * @test: when it ends the space goes
 * @start: where areas can be, in bytes
 * @end: exclusive
 *
 * Its mm and altvm_mm are blank, and its own.
 */
struct altvm_space *altvm_fixture_bare(struct kunit *test, unsigned long start,
				       unsigned long end)
{
	struct altvm_space *space;

	space = kunit_kzalloc(test, sizeof(*space), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, space);
	space->mm = kunit_kzalloc(test, sizeof(*space->mm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, space->mm);
	space->amm = kunit_kzalloc(test, sizeof(*space->amm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, space->amm);
	space->ctx = altvm_ctx_create();
	KUNIT_ASSERT_NOT_NULL(test, space->ctx);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_ctx, space->ctx));

	space->start = start;
	space->end = end;
	space->end = end;
	mutex_init(&space->lock);
	altvm_tree_init(space);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_tree, space));
	KUNIT_ASSERT_EQ(test, 0, altvm_store_init(space, NULL));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_store, space));
	return space;
}

/**
 * altvm_fixture_open() - make a window
 * @test: the test
 * @win: out: the window
 * @size: in bytes
 *
 * The first window makes the mm.  altvm_fixture_close() must follow, in the same
 * thread.
 */
void altvm_fixture_open(struct kunit *test, struct altvm_fixture_window *win,
			unsigned long size)
{
	struct file *file = filp_open("/dev/altvm", O_RDWR, 0);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	*win = (struct altvm_fixture_window){
		.test = test,
		.ctx = file->private_data,
	};
	win->start = kunit_vm_mmap(test, file, 0, size,
				   PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_SHARED | MAP_NORESERVE, 0);
	fput(file);
	KUNIT_ASSERT_FALSE_MSG(test, !win->start || IS_ERR_VALUE(win->start),
			       "mmap of /dev/altvm: %ld", win->start);
	win->end = win->start + size;
	win->mm = current->mm;

	win->space = altvm_space_enter(win->ctx);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, win->space);
	altvm_space_leave(win->space);
}

/**
 * altvm_fixture_close() - exit from the window's mm, as a process does
 * @win: the window; nobody else uses its mm any more
 *
 * KUnit itself would leave the mm behind.
 */
void altvm_fixture_close(struct altvm_fixture_window *win)
{
	kthread_unuse_mm(win->mm);
	mmput(win->mm);
	flush_delayed_fput();
}

static int thread_main(void *data)
{
	struct altvm_fixture_thread *thread = data;
	int ret;

	allow_signal(SIGKILL);
	ret = thread->run(thread->data);
	complete(&thread->done);
	return ret;
}

/**
 * altvm_fixture_start() - start a thread
 * @test: the test; it must join the thread
 * @thread: out: the thread
 * @run: what it does
 * @data: for @run
 */
void altvm_fixture_start(struct kunit *test,
			 struct altvm_fixture_thread *thread,
			 int (*run)(void *data), void *data)
{
	struct task_struct *task;

	thread->run = run;
	thread->data = data;
	init_completion(&thread->done);
	task = kthread_create(thread_main, thread, "altvm_kunit");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	thread->task = get_task_struct(task);
	wake_up_process(task);
}

/**
 * altvm_fixture_sleeps() - wait until a thread sleeps where only a kill reaches it
 * @thread: the thread
 *
 * Return: false if it does not, and has probably run to its end.
 */
bool altvm_fixture_sleeps(struct altvm_fixture_thread *thread)
{
	for (int ms = 0; ms < 1000; ms += 20) {
		if (READ_ONCE(thread->task->__state) == TASK_KILLABLE)
			return true;
		if (completion_done(&thread->done))
			return false;
		msleep(20);
	}
	return false;
}

/**
 * altvm_fixture_join() - wait until a thread has ended
 * @thread: the thread; killed if it takes too long
 *
 * Return: what it returned, or -ETIMEDOUT.
 */
int altvm_fixture_join(struct altvm_fixture_thread *thread)
{
	bool late = !wait_for_completion_timeout(&thread->done, JOIN_MAX);
	int ret;

	/* Stopped before it has begun, it would not begin at all. */
	if (late) {
		send_sig(SIGKILL, thread->task, 1);
		wait_for_completion(&thread->done);
	}
	ret = kthread_stop_put(thread->task);
	return late ? -ETIMEDOUT : ret;
}
