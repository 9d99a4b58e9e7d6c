/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_LOCK_H
#define ALTVM_LOCK_H

#include "altvm.h"
#include "space.h"

int altvm_lock_mlock(struct altvm_ctx *ctx, const struct altvm_mlock *cmd);
int altvm_lock_munlock(struct altvm_ctx *ctx, const struct altvm_munlock *cmd);
int altvm_lock_mlockall(struct altvm_ctx *ctx,
			const struct altvm_mlockall *cmd);
int altvm_lock_munlockall(struct altvm_ctx *ctx);

#endif /* ALTVM_LOCK_H */
