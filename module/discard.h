/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_DISCARD_H
#define ALTVM_DISCARD_H

#include "space.h"
#include "tree.h"

/* Since Linux 6.13, and here whatever the kernel is. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

int altvm_discard_area(struct altvm_space *space, struct altvm_area *area,
		       int advice);
int altvm_discard_guard(struct altvm_space *space, struct altvm_area *area,
			int advice);
int altvm_discard_unguard(struct altvm_space *space, struct altvm_area *area,
			  int advice);

#endif /* ALTVM_DISCARD_H */
