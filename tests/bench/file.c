// SPDX-License-Identifier: GPL-2.0
/* What only mappings of files can do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "file.h"
#include "lane.h"

#define AROUND 16 /* the kernel maps that many pages in a read fault */

static int clean(struct lane *lane)
{
	return fsync(lane->fd) ? -errno : 0;
}

/* All pages are mapped, and write-protected since they are clean. */
int setup_clean(struct lane *lane)
{
	int ret = setup_resident(lane);

	return ret ? ret : clean(lane);
}

int teardown_clean(struct lane *lane)
{
	int ret = teardown_unmap(lane);

	return ret ? ret : clean(lane);
}

/* What a world has found out about an open file does not help here. */
int op_map_unmap_opened(struct lane *lane, unsigned long i)
{
	char path[32], *p;
	int ret, fd, old = lane->fd;

	lane_pause(lane);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", old);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	lane->fd = fd;
	lane_resume(lane);
	ret = lane_map(lane, lane->addr, lane_bytes(lane), 0, &p);
	if (!ret)
		ret = lane_unmap(lane, p, lane_bytes(lane));
	lane_pause(lane);
	close(fd);
	lane->fd = old;
	lane_resume(lane);
	return ret;
}

int op_map_read_unmap(struct lane *lane, unsigned long i)
{
	char *p;
	int ret = lane_map(lane, lane->addr, lane_bytes(lane), 0, &p);

	if (ret)
		return ret;
	for (size_t k = 0; k < lane->row->pages; k++)
		(void)*(volatile char *)(p + k * PAGE);
	return lane_unmap(lane, p, lane_bytes(lane));
}

/* One page of each AROUND, and not one after the other. */
int op_read_scattered(struct lane *lane, unsigned long i)
{
	unsigned long k = i * 7 % lane->row->ops * AROUND + AROUND / 2;

	(void)*(volatile char *)(lane->addr + k * PAGE);
	return 0;
}

/* The store is not measured, other rows do that. */
int op_msync(struct lane *lane, unsigned long i)
{
	struct world *world = lane->world;

	lane_pause(lane);
	touch_pages(lane->addr + i * PAGE, 1);
	lane_resume(lane);
	return world->ops->msync(world, lane->addr, lane_bytes(lane), MS_SYNC);
}
