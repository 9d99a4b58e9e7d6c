/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_RESIDENCY_H
#define ALTVM_RESIDENCY_H

#include "altvm.h"
#include "space.h"

int altvm_residency_mincore(struct altvm_ctx *ctx, struct altvm_mincore *cmd);

#endif /* ALTVM_RESIDENCY_H */
