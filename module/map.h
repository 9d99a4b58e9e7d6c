/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_MAP_H
#define ALTVM_MAP_H

#include <uapi/linux/mman.h>

#include "altvm.h"
#include "space.h"

/* What ALTVM_MMAP acts on, and what it accepts and ignores, as Linux does. */
#define ALTVM_MAP_FLAGS                                                   \
	(MAP_SHARED | MAP_PRIVATE | MAP_SHARED_VALIDATE | MAP_ANONYMOUS | \
	 MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_SYNC | MAP_32BIT |         \
	 MAP_POPULATE | MAP_NONBLOCK | MAP_NORESERVE | MAP_STACK)
#define ALTVM_MAP_FLAGS_IGNORED \
	(MAP_DENYWRITE | MAP_EXECUTABLE | MAP_UNINITIALIZED)

int altvm_map_mmap(struct altvm_ctx *ctx, struct altvm_mmap *cmd);
int altvm_map_munmap(struct altvm_ctx *ctx, struct altvm_munmap *cmd);

/**
 * altvm_range_ok() - does a range lie where areas can be?
 * @space: entered
 * @addr: in bytes
 * @len: in bytes
 */
static inline bool altvm_range_ok(const struct altvm_space *space, u64 addr,
				  u64 len)
{
	return addr >= space->start && addr <= space->limit &&
	       len <= space->limit - addr;
}

#endif /* ALTVM_MAP_H */
