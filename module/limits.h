/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_LIMITS_H
#define ALTVM_LIMITS_H

#include "space.h"

int altvm_limits_charge(struct altvm_space *space, long total, long data,
			bool is_data);
int altvm_limits_charge_data(struct altvm_space *space, long data);
bool altvm_limits_may_lock(struct altvm_space *space, unsigned long pages);
unsigned long altvm_limits_locked(struct altvm_space *space);
void altvm_limits_count_locked(struct altvm_space *space, long pages);
void altvm_limits_uncharge(struct altvm_space *space, unsigned long total,
			   unsigned long data);

#endif /* ALTVM_LIMITS_H */
