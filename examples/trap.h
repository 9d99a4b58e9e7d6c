/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Try an access, and tell which signal it got instead of dying of it.  For one
 * thread.
 */
#ifndef EXAMPLES_TRAP_H
#define EXAMPLES_TRAP_H

#include <stdbool.h>

/**
 * struct trap - the signal that ended an access
 * @signo: SIGSEGV or SIGBUS
 * @code: si_code, as SEGV_MAPERR (nothing there) or SEGV_ACCERR (not allowed)
 * @addr: si_addr
 */
struct trap {
	int signo;
	int code;
	void *addr;
};

/* Each returns true, and fills in @trap, if a signal ended it. */
bool trap_run(void (*fn)(void *arg), void *arg, struct trap *trap);
bool trap_read(void *addr, struct trap *trap);
bool trap_write(void *addr, struct trap *trap);

/* "SIGSEGV/SEGV_ACCERR" and the like. */
const char *trap_name(const struct trap *trap);

#endif /* EXAMPLES_TRAP_H */
