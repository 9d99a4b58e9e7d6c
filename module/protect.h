/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_PROTECT_H
#define ALTVM_PROTECT_H

#include "altvm.h"
#include "space.h"

int altvm_protect_mprotect(struct altvm_ctx *ctx, struct altvm_mprotect *cmd);

#endif /* ALTVM_PROTECT_H */
