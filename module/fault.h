/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_FAULT_H
#define ALTVM_FAULT_H

#include <linux/mm.h>

#include "space.h"

struct page *altvm_fault_new_page(gfp_t gfp);
int altvm_fault_populate(struct altvm_space *space, unsigned long *start,
			 unsigned long end);

#endif /* ALTVM_FAULT_H */
