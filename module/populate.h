/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_POPULATE_H
#define ALTVM_POPULATE_H

#include "space.h"

int altvm_populate(struct altvm_space *space, unsigned long *start,
		   unsigned long end);
int altvm_populate_advised(struct altvm_ctx *ctx, unsigned long start,
			   unsigned long end, int advice);
int altvm_populate_range(struct altvm_ctx *ctx, unsigned long start,
			 unsigned long end, bool ignore_errors);
void altvm_populate_locked(struct altvm_ctx *ctx, unsigned long start,
			   unsigned long end);
void altvm_populate_moved(struct altvm_ctx *ctx, unsigned long start,
			  unsigned long end);

#endif /* ALTVM_POPULATE_H */
