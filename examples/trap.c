// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <err.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

#include "trap.h"

static sigjmp_buf back;
static struct trap caught;

/* On a stack of its own: what trapped may be an overflow of the stack. */
static char handler_stack[64 << 10];

static void on_trap(int signo, siginfo_t *info, void *context)
{
	(void)context;
	caught.signo = signo;
	caught.code = info->si_code;
	caught.addr = info->si_addr;
	siglongjmp(back, 1);
}

static void install(void)
{
	stack_t stack = {
		.ss_sp = handler_stack,
		.ss_size = sizeof(handler_stack),
	};
	struct sigaction action = {
		.sa_sigaction = on_trap,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND,
	};

	if (sigaltstack(&stack, NULL) < 0 ||
	    sigaction(SIGSEGV, &action, NULL) < 0 ||
	    sigaction(SIGBUS, &action, NULL) < 0)
		err(1, "signal handler");
}

static void uninstall(void)
{
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
}

bool trap_run(void (*fn)(void *arg), void *arg, struct trap *trap)
{
	install();
	if (sigsetjmp(back, 1)) {
		uninstall();
		*trap = caught;
		return true;
	}
	fn(arg);
	uninstall();
	return false;
}

static void read_byte(void *addr)
{
	__atomic_load_n((char *)addr, __ATOMIC_RELAXED);
}

static void write_byte(void *addr)
{
	__atomic_store_n((char *)addr, 1, __ATOMIC_RELAXED);
}

bool trap_read(void *addr, struct trap *trap)
{
	return trap_run(read_byte, addr, trap);
}

bool trap_write(void *addr, struct trap *trap)
{
	return trap_run(write_byte, addr, trap);
}

const char *trap_name(const struct trap *trap)
{
	if (trap->signo == SIGBUS)
		return "SIGBUS";
	if (trap->code == SEGV_MAPERR)
		return "SIGSEGV/SEGV_MAPERR";
	if (trap->code == SEGV_ACCERR)
		return "SIGSEGV/SEGV_ACCERR";
	return "SIGSEGV";
}
