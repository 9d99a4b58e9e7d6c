// SPDX-License-Identifier: GPL-2.0
/*
 * Files that are larger than the memory that there is for them: pages are taken out
 * of mappings, written, and read again, and nobody notices.
 */
#include <pthread.h>

#include "child.h"
#include "disk.h"
#include "memcg.h"

/* In MiB; with less than the least a process can hardly run. */
#define LIMIT_MAX 8
#define LIMIT_MIN 5

#define LIMIT limit()
#define FILE_LEN (3 * LIMIT)
#define FILE_PAGES (FILE_LEN / PAGE)
#define FILE_PAGES_MAX (3 * LIMIT_MAX * MiB / PAGE)
#define ZONE_LEN (2 * FILE_LEN)

/* Where a page's second word is, and the first page of every so many. */
#define TAIL (PAGE - 8)
#define SOME 16

FIXTURE(reclaim)
{
	struct memcg group;
	int fd;
};

FIXTURE_VARIANT(reclaim)
{
	const struct vm_ops *ops;
	const struct disk *disk;
};

DISK_VARIANTS(reclaim, native, &vm_native);
DISK_VARIANTS(reclaim, altvm, &vm_ioctl);

static size_t limit(void)
{
	static size_t mib;

	if (!mib)
		mib = scaled(LIMIT_MAX);
	if (mib < LIMIT_MIN)
		mib = LIMIT_MIN;
	return mib * MiB;
}

static uint64_t content(size_t page, uint64_t version)
{
	return version << 32 | (page + 1);
}

static void fill(char *p, size_t page, uint64_t version)
{
	*(volatile uint64_t *)p = content(page, version);
	*(volatile uint64_t *)(p + TAIL) = ~content(page, version);
}

static bool is_filled(const char *p, size_t page, uint64_t version)
{
	return *(volatile uint64_t *)p == content(page, version) &&
	       *(volatile uint64_t *)(p + TAIL) == ~content(page, version);
}

/* Every page once, not in order. */
static size_t nth_page(size_t i)
{
	return i * 7919 % FILE_PAGES;
}

static int write_file(int fd)
{
	static char buf[1 << 20];
	size_t page, at;

	for (page = 0; page < FILE_PAGES; page += sizeof(buf) / PAGE) {
		for (at = 0; at < MiB / PAGE; at++)
			fill(buf + at * PAGE, page + at, 1);
		if (write(fd, buf, MiB) != MiB)
			return -1;
	}
	return fsync(fd);
}

/* The first page that is not as it should be on the disk; -1 if there is none. */
static long wrong_on_disk(int fd, uint64_t version)
{
	static char buf[1 << 20];
	size_t page, at;

	if (fsync(fd) || disk_dirty(fd, 0, FILE_LEN) > 0)
		return FILE_PAGES;
	for (page = 0; page < FILE_PAGES; page += MiB / PAGE) {
		if (disk_read(fd, buf, MiB, page * PAGE))
			return page;
		for (at = 0; at < MiB / PAGE; at++)
			if (!is_filled(buf + at * PAGE, page + at, version))
				return page + at;
	}
	return -1;
}

FIXTURE_SETUP(reclaim)
{
	if (!disk_is_there(variant->disk))
		SKIP(return, "no file system at %s", variant->disk->dir);
	if (!vm_available(variant->ops))
		SKIP(return, "no " DEVICE);
	if (!memcg_open(&self->group, LIMIT, false))
		SKIP(return, "no cgroup2 with memory");
	self->fd = disk_file(variant->disk, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, write_file(self->fd));
	/* Who reads it first will be charged for it. */
	disk_forget(self->fd);
}

FIXTURE_TEARDOWN(reclaim)
{
	close(self->fd);
	EXPECT_EQ(0, memcg_close(&self->group));
}

/* A child in the group, with an open zone; in it, 0. */
static pid_t fork_into(const struct memcg *group, const struct vm_ops *ops,
		       struct vm *vm)
{
	pid_t pid = fork();

	if (!pid) {
		CHECK(!memcg_enter(group));
		CHECK(!vm_open(vm, ops, ZONE_LEN));
	}
	return pid;
}

/* The child did what it should, within its limit but not without meeting it. */
static void expect_reclaim(struct __test_metadata *_metadata,
			   const struct memcg *group, pid_t pid)
{
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(group));
	EXPECT_LT(0, memcg_get(group, "memory.events", "max "));
}

static char *map_file(struct vm *vm, int prot, int flags, int fd)
{
	char *p = vm_map_file(vm, NULL, FILE_LEN, prot, flags, fd, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* From here on pages are wanted one by one: no other is to be read ahead. */
static void go_random(struct vm *vm, char *p)
{
	CHECK(!vm_madvise(vm, p, FILE_LEN, MADV_RANDOM));
}

TEST_F_TIMEOUT(reclaim, of_pages_that_are_read, SLOW)
{
	struct vm vm;
	size_t i;
	pid_t pid = fork_into(&self->group, variant->ops, &vm);

	if (!pid) {
		char *p = map_file(&vm, PROT_READ, MAP_SHARED, self->fd);

		for (i = 0; i < FILE_PAGES; i++)
			CHECK(is_filled(p + i * PAGE, i, 1));
		go_random(&vm, p);
		for (i = 0; i < FILE_PAGES; i++) {
			size_t page = nth_page(i);

			CHECK(is_filled(p + page * PAGE, page, 1));
		}
		_exit(0);
	}
	expect_reclaim(_metadata, &self->group, pid);
}

/* Stored through one mapping, looked at through two. */
TEST_F_TIMEOUT(reclaim, of_pages_that_are_written, SLOW)
{
	struct vm vm, native;
	size_t i;
	pid_t pid = fork_into(&self->group, variant->ops, &vm);

	if (!pid) {
		char *p = map_file(&vm, RW, MAP_SHARED, self->fd), *q;

		CHECK(!vm_open(&native, &vm_native, ZONE_LEN));
		q = map_file(&native, RW, MAP_SHARED, self->fd);
		for (i = 0; i < FILE_PAGES; i++)
			fill(p + i * PAGE, i, 2);
		go_random(&vm, p);
		go_random(&native, q);
		for (i = 0; i < FILE_PAGES; i++) {
			size_t page = nth_page(i);

			CHECK(is_filled(p + page * PAGE, page, 2));
			fill((page & 1 ? p : q) + page * PAGE, page, 3);
			CHECK(is_filled(q + page * PAGE, page, 3));
		}
		_exit(0);
	}
	expect_reclaim(_metadata, &self->group, pid);
	EXPECT_EQ(-1, wrong_on_disk(self->fd, 3));
}

/**
 * struct user - a thread that uses every other page
 * @map: the mapping
 * @version: what is in the pages
 * @rng: its random numbers
 * @odd: which pages
 * @steps: how many it does
 */
struct user {
	char *map;
	unsigned char version[FILE_PAGES_MAX];
	struct rng rng;
	bool odd;
	long steps;
};

static void *use(void *arg)
{
	struct user *u = arg;

	memset(u->version, 1, sizeof(u->version));
	while (u->steps--) {
		size_t page = rng_below(&u->rng, FILE_PAGES / 2) * 2 + u->odd;
		char *p = u->map + page * PAGE;

		CHECK(is_filled(p, page, u->version[page]));
		if (rng_below(&u->rng, 3)) {
			u->version[page] = u->version[page] % 255 + 1;
			fill(p, page, u->version[page]);
		}
	}
	return NULL;
}

/* Pages are taken away from one thread while another stores beside them. */
TEST_F_TIMEOUT(reclaim, of_pages_of_several_threads, SLOW)
{
	static struct user user[2];
	struct vm vm;
	size_t i;
	pid_t pid = fork_into(&self->group, variant->ops, &vm);

	if (!pid) {
		char *p = map_file(&vm, RW, MAP_SHARED, self->fd);
		pthread_t thread[2];

		go_random(&vm, p);
		for (i = 0; i < 2; i++) {
			user[i].map = p;
			user[i].odd = i;
			user[i].steps = scaled(6000);
			user[i].rng.state = env_number("ALTVM_SEED", 1) + i;
			pthread_create(&thread[i], NULL, use, &user[i]);
		}
		for (i = 0; i < 2; i++)
			pthread_join(thread[i], NULL);
		for (i = 0; i < FILE_PAGES; i++)
			CHECK(is_filled(p + i * PAGE, i,
					user[i & 1].version[i]));
		_exit(0);
	}
	expect_reclaim(_metadata, &self->group, pid);
}

/* A private mapping's copies stay, and all else goes and comes. */
TEST_F_TIMEOUT(reclaim, of_what_is_not_private, SLOW)
{
	struct vm vm;
	size_t i;
	pid_t pid = fork_into(&self->group, variant->ops, &vm);

	if (!pid) {
		char *p = map_file(&vm, RW, MAP_PRIVATE, self->fd);

		for (i = 0; i < FILE_PAGES; i += SOME)
			fill(p + i * PAGE, i, 2);
		for (i = 0; i < 2 * FILE_PAGES; i++) {
			size_t page = i < FILE_PAGES ? i : nth_page(i);

			if (i == FILE_PAGES)
				go_random(&vm, p);
			CHECK(is_filled(p + page * PAGE, page,
					page % SOME ? 1 : 2));
		}
		_exit(0);
	}
	expect_reclaim(_metadata, &self->group, pid);
	EXPECT_EQ(-1, wrong_on_disk(self->fd, 1));
}

TEST_F_TIMEOUT(reclaim, cannot_help_who_copies_too_much, SLOW)
{
	struct vm vm;
	size_t i;
	pid_t pid = fork_into(&self->group, variant->ops, &vm);

	if (!pid) {
		char *p = map_file(&vm, RW, MAP_PRIVATE, self->fd);

		for (i = 0; i < FILE_PAGES; i++)
			fill(p + i * PAGE, i, 2);
		_exit(0);
	}
	EXPECT_EQ(SIGKILL, end_of(pid));
	EXPECT_EQ(1, memcg_kills(&self->group));
	EXPECT_EQ(-1, wrong_on_disk(self->fd, 1));
}

static size_t resident(struct vm *vm, char *p, size_t len)
{
	static unsigned char vec[FILE_PAGES_MAX];
	size_t i, nr = 0;

	CHECK(!vm_mincore(vm, p, len, vec));
	for (i = 0; i < len / PAGE; i++)
		nr += vec[i] & 1;
	return nr;
}

/*
 * Nobody needs the memory, but the kernel is asked for it.  What has left the page
 * cache has left the mapping, and the process' account.
 */
TEST_F_TIMEOUT(reclaim, on_demand, SLOW)
{
	const size_t len = LIMIT / 2;
	struct vm vm;
	size_t i;
	pid_t pid = fork_into(&self->group, variant->ops, &vm);

	if (!pid) {
		char *p = map_file(&vm, RW, MAP_SHARED, self->fd);
		/* Of the program itself: the kernel may begin at any time. */
		long own = proc_number("/proc/self/status", "RssFile:");
		long after;
		size_t left;

		for (i = 0; i < len / PAGE; i++)
			fill(p + i * PAGE, i, 2);
		CHECK(!vm_msync(&vm, p, FILE_LEN, MS_SYNC));
		/* Pages that were just used stay at first. */
		for (i = 0; i < 20; i++) {
			memcg_put(&self->group, "memory.reclaim", "4M");
			left = resident(&vm, p, len);
			if (left < len / PAGE / 4)
				break;
		}
		CHECK(left < len / PAGE / 4);
		after = proc_number("/proc/self/status", "RssFile:");
		CHECK(after - own < (long)(len / 1024) / 2);
		for (i = 0; i < len / PAGE; i++)
			CHECK(is_filled(p + i * PAGE, i, 2));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, memcg_kills(&self->group));
}

/* Shared memory without a file of its own. */

FIXTURE(shared_memory)
{
	struct memcg group;
};

FIXTURE_VARIANT(shared_memory)
{
	const struct vm_ops *ops;
	bool swap;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(shared_memory, native) {
	.ops = &vm_native,
};

FIXTURE_VARIANT_ADD(shared_memory, altvm) {
	.ops = &vm_ioctl,
};

FIXTURE_VARIANT_ADD(shared_memory, native_swap) {
	.ops = &vm_native,
	.swap = true,
};

FIXTURE_VARIANT_ADD(shared_memory, altvm_swap) {
	.ops = &vm_ioctl,
	.swap = true,
};

/* clang-format on */

FIXTURE_SETUP(shared_memory)
{
	if (!vm_available(variant->ops))
		SKIP(return, "no " DEVICE);
	if (variant->swap && proc_number("/proc/meminfo", "SwapFree:") <
				     (long)(2 * FILE_LEN / 1024))
		SKIP(return, "no swap");
	if (!memcg_open(&self->group, LIMIT, variant->swap))
		SKIP(return, "no cgroup2 with memory");
}

FIXTURE_TEARDOWN(shared_memory)
{
	EXPECT_EQ(0, memcg_close(&self->group));
}

/* Without swap it counts, and kills; with swap it is paged out and in. */
TEST_F_TIMEOUT(shared_memory, counts_or_is_paged_out, SLOW)
{
	struct vm vm;
	size_t i;
	pid_t pid = fork_into(&self->group, variant->ops, &vm);

	if (!pid) {
		char *p = map_file(&vm, RW, MAP_SHARED | MAP_ANONYMOUS, -1);

		for (i = 0; i < FILE_PAGES; i++)
			fill(p + i * PAGE, i, 1);
		for (i = 0; i < FILE_PAGES; i++) {
			size_t page = nth_page(i);

			CHECK(is_filled(p + page * PAGE, page, 1));
			fill(p + page * PAGE, page, 2);
		}
		for (i = 0; i < FILE_PAGES; i++)
			CHECK(is_filled(p + i * PAGE, i, 2));
		_exit(0);
	}
	if (variant->swap) {
		expect_reclaim(_metadata, &self->group, pid);
	} else {
		EXPECT_EQ(SIGKILL, end_of(pid));
		EXPECT_EQ(1, memcg_kills(&self->group));
	}
}

TEST_HARNESS_MAIN
