/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_BENCH_FORK_H
#define ALTVM_BENCH_FORK_H

#include "bench.h"

int setup_populated(struct lane *lane);
int setup_forked(struct lane *lane);
int setup_beside_child(struct lane *lane);
int setup_in_child(struct lane *lane);
int teardown_child(struct lane *lane);

int op_fork(struct lane *lane, unsigned long i);
int op_fork_dirtied(struct lane *lane, unsigned long i);
int op_fork_dirtied_1m(struct lane *lane, unsigned long i);
int op_fork_exit(struct lane *lane, unsigned long i);

#endif /* ALTVM_BENCH_FORK_H */
