/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_SYNC_H
#define ALTVM_SYNC_H

#include "altvm.h"
#include "space.h"

int altvm_sync_msync(struct altvm_ctx *ctx, struct altvm_msync *cmd);

#endif /* ALTVM_SYNC_H */
