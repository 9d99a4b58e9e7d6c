// SPDX-License-Identifier: GPL-2.0
/*
 * The rows.
 *
 * A row that gets or gives back pages in its timed part has at most ROOM of
 * them: they share the neighbour's page of page-table entries, so only the
 * isolated rows, and a forked child's, pay for page tables.  Rows with more
 * pages keep them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "file.h"
#include "fork.h"
#include "lane.h"

#define TMPFS "/dev/shm"
#define EXT4 "/mnt/ext4"
#define MIB 256 /* pages */

static int lane_advise(struct lane *lane, char *addr, size_t len)
{
	struct world *world = lane->world;

	return world->ops->madvise(world, addr, len, lane->row->prot);
}

/* Setup */

/* One resident page for each op, none beside another: they must not merge. */
static int setup_scattered(struct lane *lane)
{
	char *addr = lane->addr;
	int ret = 0;

	for (unsigned int i = 0; i < lane->row->ops && !ret; i++) {
		ret = lane_map(lane, addr, PAGE, 0, &addr);
		if (!ret)
			touch_pages(addr, 1);
		addr += 2 * PAGE;
	}
	return ret;
}

/* One resident page in each 2 MiB. */
static int setup_sparse(struct lane *lane)
{
	int ret = setup_mapped(lane);

	for (size_t at = 0; at < lane_bytes(lane) && !ret; at += BLOCK)
		touch_pages(lane->addr + at, 1);
	return ret;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Untouched, for pages of 2 MiB. */
static int setup_huge(struct lane *lane)
{
	int ret = write_text("/sys/kernel/mm/transparent_hugepage/enabled",
			     "madvise");

	if (!ret && prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0))
		ret = -errno;
	lane->addr = lane->base + BLOCK;
	return ret		  ? ret :
	       setup_mapped(lane) ?:
		     lane_advise(lane, lane->addr, lane_bytes(lane));
}

static int teardown_huge(struct lane *lane)
{
	int ret = teardown_unmap(lane);

	return prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) ? -errno : ret;
}

static int op_split(struct lane *lane, unsigned long i);

static int setup_split(struct lane *lane)
{
	int ret = setup_mapped(lane);

	for (unsigned int i = 0; i < lane->row->ops && !ret; i++)
		ret = op_split(lane, i);
	return ret;
}

/* Operations */

static int op_spin(struct lane *lane, unsigned long i)
{
	unsigned long x = i;

	for (int k = 0; k < 1000; k++) {
		x = x * 6364136223846793005UL + 1442695040888963407UL;
		asm volatile("" : "+r"(x));
	}
	return 0;
}

static int op_getppid(struct lane *lane, unsigned long i)
{
	syscall(SYS_getppid);
	return 0;
}

static int op_refused(struct lane *lane, unsigned long i)
{
	int ret = lane->world->ops->refused(lane->world);

	return ret == -ENOTTY ? 0 : ret;
}

static int op_map_unmap(struct lane *lane, unsigned long i)
{
	char *p;
	int ret = lane_map(lane, lane->addr, lane_bytes(lane), 0, &p);

	return ret ? ret : lane_unmap(lane, p, lane_bytes(lane));
}

static int op_map_touch_unmap(struct lane *lane, unsigned long i)
{
	char *p;
	int ret = lane_map(lane, lane->addr, lane_bytes(lane), 0, &p);

	if (ret)
		return ret;
	touch_pages(p, lane->row->pages);
	return lane_unmap(lane, p, lane_bytes(lane));
}

static int op_populate(struct lane *lane, unsigned long i)
{
	char *p;

	return lane_map(lane, lane->addr, lane_bytes(lane), MAP_POPULATE, &p);
}

static int op_write(struct lane *lane, unsigned long i)
{
	*(volatile char *)(lane->addr + i * PAGE) = 1;
	return 0;
}

static int op_read(struct lane *lane, unsigned long i)
{
	(void)*(volatile char *)(lane->addr + i * PAGE);
	return 0;
}

static int op_unmap(struct lane *lane, unsigned long i)
{
	return lane_unmap(lane, lane->addr, lane_bytes(lane));
}

static int op_unmap_scattered(struct lane *lane, unsigned long i)
{
	return lane_unmap(lane, lane->addr + 2 * i * PAGE, PAGE);
}

static int op_protect(struct lane *lane, unsigned long i)
{
	return lane_protect(lane, lane->addr, lane_bytes(lane),
			    i & 1 ? RW : lane->row->prot);
}

/* A call that defers its work to the next access does not win this row. */
static int op_protect_touch(struct lane *lane, unsigned long i)
{
	int ret = lane_protect(lane, lane->addr, lane_bytes(lane),
			       lane->row->prot);

	if (!ret)
		ret = lane_protect(lane, lane->addr, lane_bytes(lane), RW);
	if (!ret)
		touch_pages(lane->addr, lane->row->pages);
	return ret;
}

/* Three areas, then one again. */
static int op_protect_middle(struct lane *lane, unsigned long i)
{
	char *addr = lane->addr + lane->row->pages / 2 * PAGE;
	int ret = lane_protect(lane, addr, PAGE, lane->row->prot);

	return ret ? ret : lane_protect(lane, addr, PAGE, RW);
}

static int op_split(struct lane *lane, unsigned long i)
{
	return lane_protect(lane, lane->addr + (2 * i + 1) * PAGE, PAGE,
			    lane->row->prot);
}

static int op_merge(struct lane *lane, unsigned long i)
{
	return lane_protect(lane, lane->addr + (2 * i + 1) * PAGE, PAGE, RW);
}

static int op_advise(struct lane *lane, unsigned long i)
{
	return lane_advise(lane, lane->addr, lane_bytes(lane));
}

/* One page, none beside another. */
static int op_advise_scattered(struct lane *lane, unsigned long i)
{
	return lane_advise(lane, lane->addr + 2 * i * PAGE, PAGE);
}

static int op_advise_touch(struct lane *lane, unsigned long i)
{
	int ret = lane_advise(lane, lane->addr, lane_bytes(lane));

	if (!ret)
		touch_pages(lane->addr, lane->row->pages);
	return ret;
}

static int setup_paged_out(struct lane *lane)
{
	int ret = setup_resident(lane);

	return ret ? ret : lane_advise(lane, lane->addr, lane_bytes(lane));
}

static int op_write_huge(struct lane *lane, unsigned long i)
{
	*(volatile char *)(lane->addr + i * BLOCK) = 1;
	return 0;
}

static int op_lock(struct lane *lane, unsigned long i)
{
	struct world *world = lane->world;

	return world->ops->lock(world, lane->addr, lane_bytes(lane));
}

static int op_lock_unlock(struct lane *lane, unsigned long i)
{
	struct world *world = lane->world;
	int ret = op_lock(lane, i);

	return ret ? ret :
		     world->ops->unlock(world, lane->addr, lane_bytes(lane));
}

#define GIB (1UL << 30)

/* 1 GiB, on a border of 1 GiB, far from the decoys. */
static int setup_gib(struct lane *lane)
{
	lane->addr = lane->base + GIB;
	return setup_populated(lane);
}

/* To a place that is like the old one seen from a page table, and back. */
static int move_to(struct lane *lane, unsigned long i, char *to)
{
	struct world *world = lane->world;

	return i & 1 ? world->ops->move(world, to, lane_bytes(lane),
					lane->addr) :
		       world->ops->move(world, lane->addr, lane_bytes(lane),
					to);
}

static int op_move_near(struct lane *lane, unsigned long i)
{
	return move_to(lane, i, lane->addr + 16 * PAGE);
}

static int op_move(struct lane *lane, unsigned long i)
{
	return move_to(lane, i, lane->addr + 4 * BLOCK);
}

static int op_move_unaligned(struct lane *lane, unsigned long i)
{
	return move_to(lane, i, lane->addr + 4 * BLOCK + 7 * PAGE);
}

static int op_move_far(struct lane *lane, unsigned long i)
{
	return move_to(lane, i, lane->base + LANE_SIZE - 5 * GIB / 4);
}

static int op_move_far_aligned(struct lane *lane, unsigned long i)
{
	return move_to(lane, i, lane->base + 3 * GIB);
}

static int op_mincore(struct lane *lane, unsigned long i)
{
	struct world *world = lane->world;

	return world->ops->mincore(world, lane->addr, lane_bytes(lane),
				   lane->vec);
}

#define MAPPED .setup = setup_mapped, .teardown = teardown_unmap
#define RESIDENT .setup = setup_resident, .teardown = teardown_unmap
#define POPULATED .setup = setup_populated, .teardown = teardown_unmap
#define SPARSE .setup = setup_sparse, .teardown = teardown_unmap
#define FOR_HUGE .setup = setup_huge, .teardown = teardown_huge
#define PAGED_OUT .setup = setup_paged_out, .teardown = teardown_unmap
#define FORKED .setup = setup_forked, .teardown = teardown_unmap
#define IN_CHILD .setup = setup_in_child, .teardown = teardown_unmap
#define BESIDE_CHILD .setup = setup_beside_child, .teardown = teardown_child
#define UNMAPPED_CLEAN .setup = setup_mapped, .teardown = teardown_clean
#define MAPPED_CLEAN .setup = setup_clean, .teardown = teardown_clean
#define SHARED(where) .dir = (where), .map = MAP_SHARED

const struct row rows[] = {
	/* References: the machine's and the kernel's own speed. */
	{ "spin", "call", 256, 1, .op = op_spin, .flags = ROW_NATIVE },
	{ "getppid", "call", 1024, 1, .op = op_getppid, .flags = ROW_NATIVE },
	{ "refused ioctl", "call", 1024, 1, .op = op_refused },

	/* Mapping and unmapping: a call here is the pair. */
	{ "mmap+munmap 4K anywhere", "pair", 256, 1, 1, .op = op_map_unmap,
	  .flags = ROW_ANYWHERE },
	{ "mmap+munmap 4K fixed", "pair", 256, 1, 1, .op = op_map_unmap },
	{ "mmap+munmap 1M anywhere", "pair", 256, 1, 256, .op = op_map_unmap,
	  .flags = ROW_ANYWHERE },
	{ "mmap+munmap 1M fixed", "pair", 256, 1, 256, .op = op_map_unmap },
	{ "mmap+touch+munmap 4K", "page", 128, 1, 1, .op = op_map_touch_unmap },
	{ "mmap+touch+munmap 4K isolated", "page", 128, 1, 1,
	  .op = op_map_touch_unmap, .flags = ROW_ISOLATED },
	{ "mmap+touch+munmap 1M", "page", 4, 256, 256,
	  .op = op_map_touch_unmap },
	{ "munmap resident 4K", "page", 128, 1, 256, .setup = setup_scattered,
	  .teardown = teardown_unmap, .op = op_unmap_scattered },
	{ "munmap resident 1M", "page", 1, 256, 256, RESIDENT, .op = op_unmap },

	/* Getting pages. */
	{ "write fault", "page", 256, 1, 256, MAPPED, .op = op_write },
	{ "read fault", "page", 256, 1, 256, MAPPED, .op = op_read },
	{ "write fault 2M", "fault", 8, 1, 8 * 2 * MIB, MADV_HUGEPAGE, FOR_HUGE,
	  .op = op_write_huge, .flags = ROW_ALONE },
	{ "mmap populate 1M", "page", 1, 256, 256, .op = op_populate,
	  .teardown = teardown_unmap },

	/* Protections. */
	{ "mprotect 1 RW/R", "call", 256, 1, 1, PROT_READ, RESIDENT,
	  .op = op_protect },
	{ "mprotect 1 RW/NONE", "call", 256, 1, 1, PROT_NONE, RESIDENT,
	  .op = op_protect },
	{ "mprotect 512 RW/R", "call", 32, 1, 512, PROT_READ, RESIDENT,
	  .op = op_protect },
	{ "mprotect 512 RW/NONE", "call", 32, 1, 512, PROT_NONE, RESIDENT,
	  .op = op_protect },
	{ "mprotect 1 R, RW, touch", "cycle", 128, 1, 1, PROT_READ, RESIDENT,
	  .op = op_protect_touch },
	{ "mprotect 512 R, RW, touch", "cycle", 8, 1, 512, PROT_READ, RESIDENT,
	  .op = op_protect_touch },
	{ "mprotect 512 NONE, RW, touch", "cycle", 8, 1, 512, PROT_NONE,
	  RESIDENT, .op = op_protect_touch },
	{ "mprotect 1 of 512 R, RW", "cycle", 128, 1, 512, PROT_READ, RESIDENT,
	  .op = op_protect_middle },
	{ "mprotect split", "call", 1000, 1, 2002, PROT_READ, MAPPED,
	  .op = op_split },
	{ "mprotect merge", "call", 1000, 1, 2002, PROT_READ,
	  .setup = setup_split, .teardown = teardown_unmap, .op = op_merge },
	{ "mprotect alternating 100000", "call", 50000, 1, 100001, PROT_READ,
	  MAPPED, .op = op_split, .flags = ROW_ONCE },

	/* Giving pages back, and getting them, without a new mapping. */
	{ "DONTNEED 1", "page", 128, 1, 256, MADV_DONTNEED, RESIDENT,
	  .op = op_advise_scattered },
	{ "DONTNEED 1M", "page", 1, 256, 256, MADV_DONTNEED, RESIDENT,
	  .op = op_advise },
	{ "DONTNEED 16M", "page", 1, 16 * MIB, 16 * MIB, MADV_DONTNEED,
	  POPULATED, .op = op_advise, .flags = ROW_ONCE },
	{ "DONTNEED 512 of 1G", "page", 1, 512, 512 * 2 * MIB, MADV_DONTNEED,
	  SPARSE, .op = op_advise, .flags = ROW_ONCE },
	{ "DONTNEED 1, touch", "cycle", 128, 1, 1, MADV_DONTNEED, RESIDENT,
	  .op = op_advise_touch },
	{ "DONTNEED 1 untouched", "call", 128, 1, 256, MADV_DONTNEED, MAPPED,
	  .op = op_advise_scattered },
	{ "DONTNEED 1M file", "page", 1, 256, 256, MADV_DONTNEED, RESIDENT,
	  .op = op_advise, SHARED(EXT4) },
	{ "POPULATE_WRITE 1M", "page", 1, 256, 256, MADV_POPULATE_WRITE, MAPPED,
	  .op = op_advise },
	{ "POPULATE_READ 1M", "page", 1, 256, 256, MADV_POPULATE_READ, MAPPED,
	  .op = op_advise },

	/* Keeping pages, and what swap costs. */
	{ "mlock 1M", "page", 1, 256, 256, MAPPED, .op = op_lock },
	{ "mlock+munlock 4K", "pair", 128, 1, 1, RESIDENT,
	  .op = op_lock_unlock },
	{ "mlock+munlock 1M", "pair", 16, 1, 256, RESIDENT,
	  .op = op_lock_unlock },
	{ "PAGEOUT 1M", "page", 1, 256, 256, MADV_PAGEOUT, RESIDENT,
	  .op = op_advise, .flags = ROW_ALONE },
	{ "fault from swap", "page", 256, 1, 256, MADV_PAGEOUT, PAGED_OUT,
	  .op = op_read, .flags = ROW_ALONE },

	/* Moving: what is resident goes along. */
	{ "mremap 4K", "call", 256, 1, 1, RESIDENT, .op = op_move_near },
	{ "mremap 2M", "call", 32, 1, 512, RESIDENT, .op = op_move },
	{ "mremap 2M unaligned", "call", 32, 1, 512, RESIDENT,
	  .op = op_move_unaligned },
	{ "mremap 1G", "call", 2, 1, 1024 * MIB, POPULATED, .op = op_move_far,
	  .flags = ROW_ONCE },
	{ "mremap 1G on 1G", "call", 2, 1, 1024 * MIB, .setup = setup_gib,
	  .teardown = teardown_unmap, .op = op_move_far_aligned,
	  .flags = ROW_ONCE },

	/* Fork. */
	{ "fork, nothing mapped", "fork", 16, 1, .op = op_fork,
	  .flags = ROW_ALONE },
	{ "fork 256M, all dirtied", "fork", 4, 1, 256 * MIB, POPULATED,
	  .op = op_fork_dirtied, .flags = ROW_ONCE },
	{ "fork 256M, 1M dirtied", "fork", 4, 1, 256 * MIB, FORKED,
	  .op = op_fork_dirtied_1m, .flags = ROW_ONCE },
	{ "fork 256M, nothing dirtied", "fork", 4, 1, 256 * MIB, FORKED,
	  .op = op_fork, .flags = ROW_ONCE },
	{ "fork 1G, all dirtied", "fork", 2, 1, 1024 * MIB, POPULATED,
	  .op = op_fork_dirtied, .flags = ROW_ONCE },
	{ "fork 1G, 1M dirtied", "fork", 4, 1, 1024 * MIB, FORKED,
	  .op = op_fork_dirtied_1m, .flags = ROW_ONCE },
	{ "fork 1G, nothing dirtied", "fork", 4, 1, 1024 * MIB, FORKED,
	  .op = op_fork, .flags = ROW_ONCE },
	{ "fork+exit+wait 256M", "cycle", 4, 1, 256 * MIB, POPULATED,
	  .op = op_fork_exit, .flags = ROW_ONCE },
	{ "COW fault after fork", "page", 256, 1, 1 * MIB, BESIDE_CHILD,
	  .op = op_write, .flags = ROW_ALONE },
	{ "write fault after fork+exit", "page", 256, 1, 1 * MIB, FORKED,
	  .op = op_write, .flags = ROW_ALONE },
	{ "read in forked child 16M", "page", 16 * MIB, 1, 16 * MIB, IN_CHILD,
	  .op = op_read, .flags = ROW_ONCE },
	{ "write in forked child 16M", "page", 16 * MIB, 1, 16 * MIB, IN_CHILD,
	  .op = op_write, .flags = ROW_ONCE },

	/* Files, in the page cache. */
	{ "mmap+munmap file 1M", "pair", 256, 1, 256, .op = op_map_unmap,
	  SHARED(EXT4) },
	{ "mmap+munmap file 1M opened", "pair", 64, 1, 256,
	  .op = op_map_unmap_opened, SHARED(EXT4) },
	{ "mmap+read+munmap file 1M", "page", 4, 256, 256,
	  .op = op_map_read_unmap, SHARED(EXT4) },
	{ "file read fault", "page", 256, 1, 256, MAPPED, .op = op_read,
	  SHARED(EXT4) },
	{ "file read fault scattered", "fault", 30, 1, 480, MAPPED,
	  .op = op_read_scattered, SHARED(EXT4) },
	{ "shared write fault ext4", "page", 256, 1, 256, UNMAPPED_CLEAN,
	  .op = op_write, SHARED(EXT4) },
	{ "shared write fault tmpfs", "page", 256, 1, 256, UNMAPPED_CLEAN,
	  .op = op_write, SHARED(TMPFS) },
	{ "shared write fault anonymous", "page", 256, 1, 256, MAPPED,
	  .op = op_write, .map = MAP_SHARED },
	{ "shared write after sync ext4", "page", 256, 1, 256, MAPPED_CLEAN,
	  .op = op_write, SHARED(EXT4) },
	{ "private file COW fault", "page", 256, 1, 256, MAPPED, .op = op_write,
	  .dir = EXT4 },
	{ "msync 1 of 1G ext4", "call", 64, 1, 1024 * MIB, MAPPED,
	  .op = op_msync, SHARED(EXT4), .flags = ROW_SPARSE },
	{ "mprotect 1 of 480 file R, RW", "cycle", 128, 1, 480, PROT_READ,
	  RESIDENT, .op = op_protect_middle, SHARED(EXT4) },
	{ "mprotect 480 file RW/R", "call", 32, 1, 480, PROT_READ, RESIDENT,
	  .op = op_protect, SHARED(EXT4) },

	/* Looking. */
	{ "mincore 512", "call", 64, 1, 512, RESIDENT, .op = op_mincore },
};

const size_t nr_rows = sizeof(rows) / sizeof(rows[0]);
