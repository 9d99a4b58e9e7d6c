/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The same work done by the kernel's mmap family and by altvm's, by the clock. */
#ifndef EXAMPLES_COMPARE_H
#define EXAMPLES_COMPARE_H

struct altvm;

/* Print a table; exits if a call fails. */
void compare_print(struct altvm *vm);

#endif /* EXAMPLES_COMPARE_H */
