/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_BENCH_LANE_H
#define ALTVM_BENCH_LANE_H

#include "bench.h"

#define RW (PROT_READ | PROT_WRITE)

int lane_open(struct lane *lane, unsigned int decoys);
void lane_close(struct lane *lane);

/* Calls on the lane's memory; 0 or -errno. */
int lane_map(struct lane *lane, char *addr, size_t len, int flags, char **out);
int lane_unmap(struct lane *lane, char *addr, size_t len);
int lane_protect(struct lane *lane, char *addr, size_t len, int prot);

void touch_pages(char *addr, size_t pages);

static inline size_t lane_bytes(const struct lane *lane)
{
	return lane->row->pages * PAGE;
}

/* What an operation does between the two is not measured. */
void lane_pause(struct lane *lane);
void lane_resume(struct lane *lane);

/* For many rows: the mapping, the same with its pages written, and its end. */
int setup_mapped(struct lane *lane);
int setup_resident(struct lane *lane);
int teardown_unmap(struct lane *lane);

#endif /* ALTVM_BENCH_LANE_H */
