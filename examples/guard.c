// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * guard [STACKS]: stacks for coroutines, each above a guard page.  A guard page
 * costs the kernel a mapping of its own, and the stack another: a process gets no
 * more than vm.max_map_count (65530), which is some 32000 stacks.  altvm has no
 * such limit.
 */
#include <altvm.h>
#include <err.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include "trap.h"

#define PAGE ((size_t)4096)
#define STACK (4 * PAGE) /* the lowest page of it is the guard */

static size_t nr_stacks = 40000;

struct coroutine {
	char *stack;
	ucontext_t here, caller;
	unsigned int depth; /* how deep the recursion goes */
	unsigned int reached;
};

/* All stacks are one mapping; taking the rights off every fourth page splits it. */
static char *make_stacks(struct altvm *vm)
{
	char *stacks =
		altvm_mmap(vm, NULL, nr_stacks * STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stacks == MAP_FAILED)
		err(1, "altvm_mmap");
	for (size_t i = 0; i < nr_stacks; i++)
		if (altvm_mprotect(vm, stacks + i * STACK, PAGE, PROT_NONE) < 0)
			err(1, "guard page %zu", i);
	return stacks;
}

static unsigned int descend(struct coroutine *co, unsigned int depth)
{
	char frame[256];

	/* Not for the optimizer to leave out. */
	__atomic_store_n(frame, (char)depth, __ATOMIC_RELAXED);
	co->reached++;
	if (depth > 1)
		depth = 1 + descend(co, depth - 1);
	return depth + (__atomic_load_n(frame, __ATOMIC_RELAXED) & 0);
}

/* makecontext() hands over ints only: the pointer comes in two of them. */
static void body(unsigned int high, unsigned int low)
{
	struct coroutine *co = (void *)((uintptr_t)high << 32 | low);

	descend(co, co->depth);
}

static void resume(void *arg)
{
	struct coroutine *co = arg;
	uintptr_t self = (uintptr_t)co;

	if (getcontext(&co->here) < 0)
		err(1, "getcontext");
	co->here.uc_stack.ss_sp = co->stack + PAGE;
	co->here.uc_stack.ss_size = STACK - PAGE;
	co->here.uc_link = &co->caller;
	makecontext(&co->here, (void (*)(void))body, 2,
		    (unsigned int)(self >> 32), (unsigned int)self);
	if (swapcontext(&co->caller, &co->here) < 0)
		err(1, "swapcontext");
}

/* Every stack works. */
static void run_some(char *stacks)
{
	static struct coroutine co;
	struct trap trap;

	for (size_t i = 0; i < nr_stacks; i += 1000) {
		co = (struct coroutine){
			.stack = stacks + i * STACK,
			.depth = 10,
		};
		if (trap_run(resume, &co, &trap) || co.reached != 10)
			errx(1, "stack %zu does not work", i);
	}
	printf("ran a coroutine on every 1000th\n");
}

/* And stops who goes too deep. */
static void overflow_one(char *stacks, size_t i)
{
	static struct coroutine co;
	struct trap trap;
	char *at;

	co = (struct coroutine){ .stack = stacks + i * STACK, .depth = 1000 };
	if (!trap_run(resume, &co, &trap))
		errx(1, "stack %zu overflowed and nobody noticed", i);
	at = trap.addr;
	printf("stack %zu overflowed at depth %u: %s at %p\n", i, co.reached,
	       trap_name(&trap), trap.addr);
	if (trap.code != SEGV_ACCERR || at < co.stack || at >= co.stack + PAGE)
		errx(1, "not in its guard page %p", (void *)co.stack);
}

int main(int argc, char **argv)
{
	struct altvm *vm = altvm_open(0, ALTVM_OPEN_NOEXEC);
	char *stacks;

	if (argc > 1)
		nr_stacks = strtoul(argv[1], NULL, 0);
	if (!vm)
		err(1, "altvm_open");
	stacks = make_stacks(vm);
	printf("%zu stacks with guard pages: %zu areas\n", nr_stacks,
	       2 * nr_stacks);
	run_some(stacks);
	overflow_one(stacks, nr_stacks / 2);
	return altvm_close(vm) < 0;
}
