/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_ADVISE_H
#define ALTVM_ADVISE_H

#include "altvm.h"
#include "space.h"

int altvm_advise_check(const struct altvm_madvise *cmd);
int altvm_advise_mm(struct altvm_ctx *ctx, struct mm_struct *mm,
		    const struct altvm_madvise *cmd);
int altvm_advise_madvise(struct altvm_ctx *ctx, struct altvm_madvise *cmd);

#endif /* ALTVM_ADVISE_H */
