/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_DISCARD_H
#define ALTVM_DISCARD_H

#include "space.h"
#include "tree.h"

int altvm_discard_area(struct altvm_space *space, struct altvm_area *area,
		       int advice);

#endif /* ALTVM_DISCARD_H */
