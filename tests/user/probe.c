// SPDX-License-Identifier: GPL-2.0
/* Single accesses to memory that may not be there. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "vm.h"

static __thread sigjmp_buf probe_env;
static __thread volatile bool probing;
static __thread struct fault last;

static void probe_handler(int sig, siginfo_t *info, void *context)
{
	const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	if (!probing) {
		/* Not ours: let the access happen again and kill. */
		dprintf(2, "# signal %d code %d at %p, ip %#llx\n", sig,
			info->si_code, info->si_addr, regs[REG_RIP]);
		signal(sig, SIG_DFL);
		return;
	}
	last.sig = sig;
	last.code = info->si_code;
	last.addr = (uintptr_t)info->si_addr;
	last.err = regs[REG_ERR];
	last.cr2 = regs[REG_CR2];
	last.trapno = regs[REG_TRAPNO];
	siglongjmp(probe_env, 1);
}

static void probe_begin(void)
{
	/* SA_NODEFER: the jump out does not restore the signal mask. */
	static const struct sigaction action = {
		.sa_sigaction = probe_handler,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};
	static __thread bool armed;

	if (!armed) {
		sigaction(SIGSEGV, &action, NULL);
		sigaction(SIGBUS, &action, NULL);
		armed = true;
	}
	memset(&last, 0, sizeof(last));
	probing = true;
}

static int probe_end(struct fault *f)
{
	probing = false;
	if (f)
		*f = last;
	return last.sig;
}

int probe_read(const void *addr, uint64_t *value, struct fault *f)
{
	probe_begin();
	if (!sigsetjmp(probe_env, 0)) {
		uint64_t v = *(const volatile uint64_t *)addr;

		if (value)
			*value = v;
	}
	return probe_end(f);
}

int probe_write(void *addr, uint64_t value, struct fault *f)
{
	probe_begin();
	if (!sigsetjmp(probe_env, 0))
		*(volatile uint64_t *)addr = value;
	return probe_end(f);
}

int probe_rewrite(void *addr, struct fault *f)
{
	probe_begin();
	if (!sigsetjmp(probe_env, 0))
		asm volatile("lock; orb $0, %0" : "+m"(*(char *)addr));
	return probe_end(f);
}

int probe_copy(void *addr, struct fault *f)
{
	const char *from = (char *)addr + 1;
	char *to = addr;

	probe_begin();
	if (!sigsetjmp(probe_env, 0))
		asm volatile("movsb" : "+D"(to), "+S"(from)::"memory");
	return probe_end(f);
}

int probe_call(const void *addr, struct fault *f)
{
	probe_begin();
	if (!sigsetjmp(probe_env, 0))
		((void (*)(void))(uintptr_t)addr)();
	return probe_end(f);
}

bool probe_call_return(const void *addr, struct fault *f)
{
	uint64_t value;

	if (!probe_read(addr, &value, NULL) && (value & 0xff) != RET_INSN)
		return false;
	probe_call(addr, f);
	return true;
}

int probe(void *addr, enum access access, struct fault *f)
{
	switch (access) {
	case ACCESS_READ:
		return probe_read(addr, NULL, f);
	case ACCESS_WRITE:
		return probe_write(addr, RET_INSN, f);
	default:
		return probe_call(addr, f);
	}
}
