/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_MIGRATE_H
#define ALTVM_MIGRATE_H

#include <linux/nodemask.h>

#include "space.h"
#include "tree.h"

/**
 * struct altvm_migrate - what pages are to be moved to
 * @nodes: what is on these nodes stays
 * @attr: ALTVM_ATTR_POLICY of the areas whose pages are moved, by which the new ones
 *	are allocated
 * @all: also those that others have, too
 */
struct altvm_migrate {
	nodemask_t nodes;
	unsigned long attr;
	bool all;
};

int altvm_migrate_check(struct altvm_space *space,
			const struct altvm_area *area, const nodemask_t *nodes);
int altvm_migrate(struct altvm_ctx *ctx, unsigned long start, unsigned long end,
		  const struct altvm_migrate *how);

#endif /* ALTVM_MIGRATE_H */
