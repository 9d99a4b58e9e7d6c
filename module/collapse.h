/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_COLLAPSE_H
#define ALTVM_COLLAPSE_H

#include "space.h"

int altvm_collapse(struct altvm_ctx *ctx, unsigned long start,
		   unsigned long end, int advice);

#endif /* ALTVM_COLLAPSE_H */
