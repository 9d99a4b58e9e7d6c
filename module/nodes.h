/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_NODES_H
#define ALTVM_NODES_H

#include <linux/nodemask.h>

int altvm_nodes_get(nodemask_t *nodes, const void __user *mask,
		    unsigned long maxnode);
int altvm_nodes_put(void __user *mask, unsigned long maxnode,
		    const nodemask_t *nodes);

#endif /* ALTVM_NODES_H */
