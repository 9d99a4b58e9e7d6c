/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_POPULATE_H
#define ALTVM_POPULATE_H

#include "space.h"

int altvm_populate(struct altvm_space *space, unsigned long *start,
		   unsigned long end);

#endif /* ALTVM_POPULATE_H */
