/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_BRK_H
#define ALTVM_BRK_H

#include "altvm.h"
#include "space.h"

int altvm_brk(struct altvm_ctx *ctx, struct altvm_brk *cmd);

#endif /* ALTVM_BRK_H */
