// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * syscall(2).  The numbers of what this library does go there; all others to the
 * kernel with the registers as they are, as the C library's syscall() does it:
 * on the caller's stack there is nothing but what the caller put there.
 */
#include <errno.h>

#include "preload.h"
#include "sys.h"

#define NUMBERS 512

/* Which are not the kernel's alone; looked at below. */
__attribute__((used)) static const unsigned char ours[NUMBERS] = {
	[SYS_mmap] = 1,
	[SYS_munmap] = 1,
	[SYS_mprotect] = 1,
	[SYS_pkey_mprotect] = 1,
	[SYS_mremap] = 1,
	[SYS_msync] = 1,
	[SYS_mincore] = 1,
	[SYS_madvise] = 1,
	[SYS_mlock] = 1,
	[SYS_mlock2] = 1,
	[SYS_munlock] = 1,
	[SYS_mlockall] = 1,
	[SYS_munlockall] = 1,
	[SYS_brk] = 1,
	[SYS_mbind] = 1,
	[SYS_get_mempolicy] = 1,
	[SYS_process_madvise] = 1,
	[SYS_process_mrelease] = 1,
	[SYS_close] = 1,
	[SYS_close_range] = 1,
	[SYS_dup] = 1,
	[SYS_dup2] = 1,
	[SYS_dup3] = 1,
	[SYS_fcntl] = 1,
	[SYS_open] = 1,
	[SYS_openat] = 1,
	[SYS_pkey_alloc] = 1,
	[SYS_userfaultfd] = 1,
};

static long call_memory(long nr, unsigned long a, unsigned long b,
			unsigned long c, unsigned long d, unsigned long e,
			unsigned long f)
{
	switch (nr) {
	case SYS_mmap:
		return do_mmap(a, b, (int)c, (int)d, (int)e, f);
	case SYS_munmap:
		return do_munmap(a, b);
	case SYS_mprotect:
		return do_mprotect(a, b, (int)c);
	case SYS_pkey_mprotect:
		return do_pkey_mprotect(a, b, (int)c, (int)d);
	case SYS_mremap:
		return do_mremap(a, b, c, (int)d, e);
	case SYS_brk:
		return do_brk(a);
	case SYS_msync:
		return do_msync(a, b, (int)c);
	case SYS_mincore:
		return do_mincore(a, b, c);
	default:
		return do_madvise(a, b, (int)c);
	}
}

static long call_other(long nr, unsigned long a, unsigned long b,
		       unsigned long c, unsigned long d, unsigned long e,
		       unsigned long f)
{
	switch (nr) {
	case SYS_mlock:
		return do_mlock(a, b);
	case SYS_mlock2:
		return do_mlock2(a, b, (unsigned int)c);
	case SYS_munlock:
		return do_munlock(a, b);
	case SYS_mlockall:
		return do_mlockall((int)a);
	case SYS_munlockall:
		return do_munlockall();
	case SYS_pkey_alloc:
		return do_pkey_alloc(a, b);
	case SYS_userfaultfd:
		map_by_kernel();
		return sys3(nr, a, 0, 0);
	case SYS_mbind:
		return do_mbind(a, b, c, d, e, (unsigned int)f);
	case SYS_get_mempolicy:
		return do_get_mempolicy(a, b, c, d, e);
	case SYS_process_madvise:
		return do_process_madvise((int)a, b, c, (int)d,
					  (unsigned int)e);
	default:
		return do_process_mrelease((int)a, (unsigned int)b);
	}
}

static long call_fd(long nr, unsigned long a, unsigned long b, unsigned long c)
{
	switch (nr) {
	case SYS_close:
		return fd_close((int)a);
	case SYS_close_range:
		return fd_close_range((unsigned int)a, (unsigned int)b,
				      (unsigned int)c);
	case SYS_dup:
		return fd_dup((int)a);
	case SYS_dup2:
		return fd_dup2((int)a, (int)b);
	case SYS_dup3:
		return fd_dup3((int)a, (int)b, (int)c);
	default:
		return fd_is_ours((int)a) ? -EBADF :
					    sys_fcntl((int)a, (int)b, c);
	}
}

static long call_open(long nr, unsigned long a, unsigned long b,
		      unsigned long c, unsigned long d)
{
	long fd = nr == SYS_open ? proc_open(a, (int)b) : proc_open(b, (int)c);

	return fd >= 0 ? fd : sys6(nr, a, b, c, d, 0, 0);
}

/* From below: the arguments are where those of syscall() are. */
__attribute__((used)) static long dispatch(long nr, unsigned long a,
					   unsigned long b, unsigned long c,
					   unsigned long d, unsigned long e,
					   unsigned long f)
{
	switch (nr) {
	case SYS_mmap:
	case SYS_munmap:
	case SYS_mprotect:
	case SYS_pkey_mprotect:
	case SYS_mremap:
	case SYS_brk:
	case SYS_msync:
	case SYS_mincore:
	case SYS_madvise:
		return finish(call_memory(nr, a, b, c, d, e, f));
	case SYS_close:
	case SYS_close_range:
	case SYS_dup:
	case SYS_dup2:
	case SYS_dup3:
	case SYS_fcntl:
		return finish(call_fd(nr, a, b, c));
	case SYS_open:
	case SYS_openat:
		return finish(call_open(nr, a, b, c, d));
	default:
		return finish(call_other(nr, a, b, c, d, e, f));
	}
}

/* clang-format off */
__asm__("	.text\n"
"	.globl	syscall\n"
"	.type	syscall, @function\n"
"syscall:\n"
"	.cfi_startproc\n"
"	endbr64\n"
"	cmpq	$511, %rdi\n"
"	ja	1f\n"
"	leaq	ours(%rip), %rax\n"
"	cmpb	$0, (%rax,%rdi)\n"
"	jne	dispatch\n"
"1:	movq	%rdi, %rax\n"
"	movq	%rsi, %rdi\n"
"	movq	%rdx, %rsi\n"
"	movq	%rcx, %rdx\n"
"	movq	%r8, %r10\n"
"	movq	%r9, %r8\n"
"	movq	8(%rsp), %r9\n"
"	syscall\n"
"	cmpq	$-4095, %rax\n"
"	jae	2f\n"
"	ret\n"
"2:	movq	%rax, %rdi\n"
"	jmp	syscall_failed\n"
"	.cfi_endproc\n"
"	.size	syscall, . - syscall\n"
);
/* clang-format on */

__attribute__((used)) static long syscall_failed(long ret)
{
	return finish(ret);
}
