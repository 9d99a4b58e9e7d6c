/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_POISON_H
#define ALTVM_POISON_H

#include "space.h"

int altvm_poison_advised(struct altvm_ctx *ctx, unsigned long start,
			 unsigned long end, int advice);

#endif /* ALTVM_POISON_H */
