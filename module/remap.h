/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_REMAP_H
#define ALTVM_REMAP_H

#include "altvm.h"
#include "space.h"

int altvm_remap_mremap(struct altvm_ctx *ctx, struct altvm_mremap *cmd);

#endif /* ALTVM_REMAP_H */
