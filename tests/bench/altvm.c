// SPDX-License-Identifier: GPL-2.0
/* altvm, through its library, as a program would use it. */
#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include <altvm.h>

#include "bench.h"

static int altvm_world_open(struct world *world)
{
	uintptr_t start;

	/* room to align the lanes, and more: a window's end is not for use */
	world->priv = altvm_open((LANES_MAX + 2) * LANE_SIZE, 0);
	if (!world->priv)
		return -errno;
	world->fd = altvm_fd(world->priv);
	start = (uintptr_t)altvm_window(world->priv, NULL);
	world->base = (char *)((start + LANE_SIZE - 1) & -LANE_SIZE);
	return 0;
}

static int altvm_world_map(struct world *world, char *addr, size_t len,
			   int prot, int flags, int fd, off_t off, char **out)
{
	*out = altvm_mmap(world->priv, addr, len, prot, flags, fd, off);
	return *out == MAP_FAILED ? -errno : 0;
}

static int altvm_world_unmap(struct world *world, char *addr, size_t len)
{
	return altvm_munmap(world->priv, addr, len) ? -errno : 0;
}

static int altvm_world_protect(struct world *world, char *addr, size_t len,
			       int prot)
{
	return altvm_mprotect(world->priv, addr, len, prot) ? -errno : 0;
}

static int altvm_world_move(struct world *world, char *addr, size_t len,
			    char *to)
{
	void *p = altvm_mremap(world->priv, addr, len, len,
			       MREMAP_MAYMOVE | MREMAP_FIXED, to);

	return p == MAP_FAILED ? -errno : 0;
}

static int altvm_world_mincore(struct world *world, char *addr, size_t len,
			       unsigned char *vec)
{
	return altvm_mincore(world->priv, addr, len, vec) ? -errno : 0;
}

static int altvm_world_msync(struct world *world, char *addr, size_t len,
			     int flags)
{
	return altvm_msync(world->priv, addr, len, flags) ? -errno : 0;
}

static int altvm_world_madvise(struct world *world, char *addr, size_t len,
			       int advice)
{
	return altvm_madvise(world->priv, addr, len, advice) ? -errno : 0;
}

static int altvm_world_lock(struct world *world, char *addr, size_t len)
{
	return altvm_mlock(world->priv, addr, len) ? -errno : 0;
}

static int altvm_world_unlock(struct world *world, char *addr, size_t len)
{
	return altvm_munlock(world->priv, addr, len) ? -errno : 0;
}

static int altvm_world_refused(struct world *world)
{
	return ioctl(world->fd, 0) ? -errno : 0;
}

const struct world_ops altvm_world_ops = {
	.name = "altvm",
	.open = altvm_world_open,
	.map = altvm_world_map,
	.unmap = altvm_world_unmap,
	.protect = altvm_world_protect,
	.move = altvm_world_move,
	.mincore = altvm_world_mincore,
	.msync = altvm_world_msync,
	.madvise = altvm_world_madvise,
	.lock = altvm_world_lock,
	.unlock = altvm_world_unlock,
	.refused = altvm_world_refused,
};
