/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_RECLAIM_H
#define ALTVM_RECLAIM_H

#include <linux/list_lru.h>

struct altvm_leaf;

extern struct list_lru altvm_reclaim_leaves;

void altvm_reclaim_learn(struct altvm_leaf *leaf);
void altvm_reclaim_forget(struct altvm_leaf *leaf);

int altvm_reclaim_init(void);
void altvm_reclaim_exit(void);

#endif /* ALTVM_RECLAIM_H */
