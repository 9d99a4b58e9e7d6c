// SPDX-License-Identifier: GPL-2.0
/* A lane: where a row runs, what surrounds it, and the calls it makes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lane.h"

/* Read-only, so that it does not merge with what the row maps. */
static int map_companion(struct lane *lane, char *addr, char **out)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	if (addr)
		flags |= MAP_FIXED_NOREPLACE;
	return lane->world->ops->map(lane->world, addr, PAGE, PROT_READ, flags,
				     -1, 0, out);
}

static int map_decoys(struct lane *lane, unsigned int nr)
{
	char *addr = lane->base + LANE_SIZE / 2, *out;
	int ret = 0;

	for (unsigned int i = 0; i < nr && !ret; i++)
		ret = map_companion(lane, addr + 2 * i * PAGE, &out);
	return ret;
}

/*
 * To map a file, altvm has the kernel map it too, for a moment: the kernel's tree
 * is one of those whose shape matters.
 */
static int map_native_decoys(const struct lane *lane, unsigned int nr)
{
	char *addr;

	if (!nr || !lane->row->dir || lane->world->ops == &native_world_ops)
		return 0;
	addr = mmap(NULL, 2 * nr * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (addr == MAP_FAILED)
		return -errno;
	for (unsigned int i = 0; i < nr; i++)
		munmap(addr + 2 * i * PAGE, PAGE);
	return 0;
}

static int map_neighbour(struct lane *lane)
{
	char *hint = lane->row->flags & ROW_ANYWHERE ? NULL : lane->base;
	int ret = map_companion(lane, hint, &lane->neighbour);

	if (!ret)
		(void)*(volatile char *)lane->neighbour;
	return ret;
}

/* All of it in the page cache, and clean. */
static int fill_file(int fd, size_t pages)
{
	static const char zeroes[PAGE];

	for (size_t i = 0; i < pages; i++)
		if (write(fd, zeroes, PAGE) != (ssize_t)PAGE)
			return -EIO;
	return fsync(fd) ? -errno : 0;
}

static int open_file(struct lane *lane)
{
	const struct row *row = lane->row;

	lane->fd = open(row->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (lane->fd < 0)
		return -errno;
	if (row->flags & ROW_SPARSE)
		return ftruncate(lane->fd, lane_bytes(lane)) ? -errno : 0;
	return fill_file(lane->fd, row->pages);
}

/* @decoys: how many other mappings to make. */
int lane_open(struct lane *lane, unsigned int decoys)
{
	const struct row *row = lane->row;
	int ret;

	ret = map_decoys(lane, decoys);
	if (!ret)
		ret = map_native_decoys(lane, decoys);
	lane->fd = -1;
	if (!(row->flags & ROW_ANYWHERE))
		lane->addr =
			lane->base + (row->pages > ROOM ? BLOCK : 4 * PAGE);
	if (!ret && row->dir)
		ret = open_file(lane);
	if (!ret && !(row->flags & ROW_ISOLATED))
		ret = map_neighbour(lane);
	return ret;
}

/* The process ends soon, and all that is mapped with it. */
void lane_close(struct lane *lane)
{
	if (lane->fd >= 0)
		close(lane->fd);
}

int lane_map(struct lane *lane, char *addr, size_t len, int flags, char **out)
{
	struct world *world = lane->world;

	flags |= lane->row->map ?: MAP_PRIVATE;
	if (lane->fd < 0)
		flags |= MAP_ANONYMOUS;
	if (addr)
		flags |= MAP_FIXED_NOREPLACE;
	return world->ops->map(world, addr, len, RW, flags, lane->fd, 0, out);
}

int lane_unmap(struct lane *lane, char *addr, size_t len)
{
	return lane->world->ops->unmap(lane->world, addr, len);
}

int lane_protect(struct lane *lane, char *addr, size_t len, int prot)
{
	return lane->world->ops->protect(lane->world, addr, len, prot);
}

void touch_pages(char *addr, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		*(volatile char *)(addr + i * PAGE) = 1;
}

/* "profile" looks for calls of it: what comes next is timed. */
static __attribute__((noinline)) void timed(void)
{
	asm volatile("");
}

void lane_pause(struct lane *lane)
{
	lane->skipped -= lane->clock();
}

void lane_resume(struct lane *lane)
{
	lane->skipped += lane->clock();
	timed();
}

int setup_mapped(struct lane *lane)
{
	char *out;

	return lane_map(lane, lane->addr, lane_bytes(lane), 0, &out);
}

int setup_resident(struct lane *lane)
{
	int ret = setup_mapped(lane);

	if (!ret)
		touch_pages(lane->addr, lane->row->pages);
	return ret;
}

int teardown_unmap(struct lane *lane)
{
	return lane_unmap(lane, lane->addr, lane_bytes(lane));
}
