/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_BENCH_FILE_H
#define ALTVM_BENCH_FILE_H

#include "bench.h"

int setup_clean(struct lane *lane);
int teardown_clean(struct lane *lane);

int op_map_unmap_opened(struct lane *lane, unsigned long i);
int op_map_read_unmap(struct lane *lane, unsigned long i);
int op_read_scattered(struct lane *lane, unsigned long i);
int op_msync(struct lane *lane, unsigned long i);

#endif /* ALTVM_BENCH_FILE_H */
