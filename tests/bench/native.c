// SPDX-License-Identifier: GPL-2.0
/* The kernel's own mmap family. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench.h"

static int native_open(struct world *world)
{
	/* room to align the lanes, and for what the world itself places */
	size_t len = (LANES_MAX + 2) * LANE_SIZE;
	char *p;

	/* altvm's pages are small; a huge page here would compare other things */
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		return -errno;
	world->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (world->fd < 0)
		return -errno;
	/*
	 * Find a place and leave it free.  It stays so: other mappings fill the
	 * space above the lanes first.
	 */
	p = mmap(NULL, len, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	munmap(p, len);
	world->base = (char *)(((uintptr_t)p + LANE_SIZE - 1) & -LANE_SIZE);
	return 0;
}

static int native_map(struct world *world, char *addr, size_t len, int prot,
		      int flags, int fd, off_t off, char **out)
{
	*out = mmap(addr, len, prot, flags, fd, off);
	return *out == MAP_FAILED ? -errno : 0;
}

static int native_unmap(struct world *world, char *addr, size_t len)
{
	return munmap(addr, len) ? -errno : 0;
}

static int native_protect(struct world *world, char *addr, size_t len, int prot)
{
	return mprotect(addr, len, prot) ? -errno : 0;
}

static int native_move(struct world *world, char *addr, size_t len, char *to)
{
	void *p = mremap(addr, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);

	return p == MAP_FAILED ? -errno : 0;
}

static int native_mincore(struct world *world, char *addr, size_t len,
			  unsigned char *vec)
{
	return mincore(addr, len, vec) ? -errno : 0;
}

static int native_msync(struct world *world, char *addr, size_t len, int flags)
{
	return msync(addr, len, flags) ? -errno : 0;
}

static int native_madvise(struct world *world, char *addr, size_t len,
			  int advice)
{
	return madvise(addr, len, advice) ? -errno : 0;
}

static int native_lock(struct world *world, char *addr, size_t len)
{
	return mlock(addr, len) ? -errno : 0;
}

static int native_unlock(struct world *world, char *addr, size_t len)
{
	return munlock(addr, len) ? -errno : 0;
}

static int native_refused(struct world *world)
{
	return ioctl(world->fd, 0) ? -errno : 0;
}

const struct world_ops native_world_ops = {
	.name = "native",
	.open = native_open,
	.map = native_map,
	.unmap = native_unmap,
	.protect = native_protect,
	.move = native_move,
	.mincore = native_mincore,
	.msync = native_msync,
	.madvise = native_madvise,
	.lock = native_lock,
	.unlock = native_unlock,
	.refused = native_refused,
};
