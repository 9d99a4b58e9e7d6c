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
	 MAP_POPULATE | MAP_NONBLOCK | MAP_NORESERVE | MAP_STACK |        \
	 MAP_LOCKED | MAP_GROWSDOWN | MAP_DROPPABLE)
#define ALTVM_MAP_FLAGS_IGNORED \
	(MAP_DENYWRITE | MAP_EXECUTABLE | MAP_UNINITIALIZED)

/**
 * struct altvm_count - of a range, in pages
 * @total: what is mapped
 * @data: what of it RLIMIT_DATA counts
 * @locked: what of it RLIMIT_MEMLOCK counts
 */
struct altvm_count {
	unsigned long total, data, locked;
};

/**
 * struct altvm_taken - what is left to do when a range has been taken away
 * @files: its file areas, for altvm_file_drop_list() with the space left
 * @trim: there may be leaves that can be trimmed
 */
struct altvm_taken {
	struct list_head files;
	bool trim;
};

struct altvm_count altvm_map_count(struct altvm_space *space,
				   unsigned long start, unsigned long end);
bool altvm_map_is_hole(struct altvm_space *space, unsigned long start,
		       unsigned long end);
int altvm_map_find(struct altvm_space *space, unsigned long *addr,
		   unsigned long len, bool align, bool below);
void altvm_map_take(struct altvm_space *space, unsigned long start,
		    unsigned long end, struct altvm_taken *taken);
void altvm_map_trim(struct altvm_space *space, unsigned long start,
		    unsigned long end);
int altvm_map_unmap_locked(struct altvm_space *space, unsigned long start,
			   unsigned long end, struct altvm_taken *taken);

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
	return addr >= space->start && addr <= space->end &&
	       len <= space->end - addr;
}

#endif /* ALTVM_MAP_H */
