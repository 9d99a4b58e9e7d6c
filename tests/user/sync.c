// SPDX-License-Identifier: GPL-2.0
/*
 * msync, and that what was stored through a shared mapping reaches the disk,
 * however and whenever it is written out.
 */
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "disk.h"

#define PAGES 64
#define FILE_PAGES 16UL
#define FILE_LEN (FILE_PAGES * PAGE)

DISK_FIXTURE(sync, PAGES, FILE_PAGES);
VM_FIXTURE(msync, PAGES);

/* The word of each page that the tests store to; each page has another place. */
static volatile uint64_t *word(char *map, size_t page)
{
	return (uint64_t *)(map + page * PAGE + (page * 248 & 0xff8));
}

/* Page @page's word on the disk. */
static uint64_t word_on_disk(int fd, size_t page)
{
	uint64_t value = ~0UL;
	off_t off = (uintptr_t)word(NULL, page);

	if (disk_read(fd, &value, sizeof(value), off))
		perror("disk_read");
	return value;
}

static char *map_shared(struct vm *vm, void *addr, int fd)
{
	return vm_map_file(vm, addr, FILE_LEN, RW,
			   MAP_SHARED | (addr ? MAP_FIXED : 0), fd, 0);
}

/* The call's own checks. */

TEST_F(msync, knows_its_flags)
{
	char *p = vm_map_at(&self->vm, 8, 4, RW);
	unsigned int flags;

	ASSERT_NE(MAP_FAILED, (void *)p);
	for (flags = 0; flags < 8; flags++) {
		int want = flags & MS_ASYNC && flags & MS_SYNC ? EINVAL : 0;

		EXPECT_FAIL(want, vm_msync(&self->vm, p, 4 * PAGE, flags));
		EXPECT_FAIL(want, vm_msync(&self->vm, p, 0, flags));
	}
	for (flags = 8; flags; flags *= 2)
		EXPECT_FAIL(EINVAL, vm_msync(&self->vm, p, PAGE, flags));
	EXPECT_FAIL(EINVAL, vm_msync(&self->vm, p, PAGE, MS_SYNC | INT_MIN));
}

TEST_F(msync, wants_an_aligned_address)
{
	static const size_t offsets[] = { 1, 8, PAGE / 2, PAGE - 1 };
	char *p = vm_map_at(&self->vm, 8, 4, RW);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		EXPECT_FAIL(EINVAL,
			    vm_msync(&self->vm, p + offsets[i], PAGE, MS_SYNC));
		EXPECT_FAIL(EINVAL,
			    vm_msync(&self->vm, p + offsets[i], 0, MS_SYNC));
	}
	/* The length need not be. */
	EXPECT_EQ(0, vm_msync(&self->vm, p, 3 * PAGE + 1, MS_SYNC));
	EXPECT_FAIL(ENOMEM, vm_msync(&self->vm, p, 4 * PAGE + 1, MS_SYNC));
}

TEST_F(msync, knows_lengths_that_overflow)
{
	char *p = vm_map_at(&self->vm, 8, 4, RW);

	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_FAIL(ENOMEM, vm_msync(&self->vm, p, -PAGE, MS_SYNC));
	EXPECT_FAIL(ENOMEM, vm_msync(&self->vm, p, 1UL << 63, MS_SYNC));
	EXPECT_FAIL(ENOMEM, vm_msync(&self->vm, p, 1UL << 47, MS_SYNC));
	/* Rounded up, that is nothing. */
	EXPECT_EQ(0, vm_msync(&self->vm, p, -1UL, MS_SYNC));
	EXPECT_EQ(0, vm_msync(&self->vm, p, -PAGE + 1, MS_SYNC));
	/* Of two mistakes, the first that is looked for. */
	EXPECT_FAIL(EINVAL, vm_msync(&self->vm, p + 1, -PAGE, MS_SYNC));
	EXPECT_FAIL(EINVAL, vm_msync(&self->vm, p, -PAGE, 8));
}

/* Pages 8 to 11 and 14 to 17 are mapped. */
TEST_F(msync, needs_everything_mapped)
{
	static const int flags[] = { 0, MS_ASYNC, MS_SYNC, MS_INVALIDATE,
				     MS_SYNC | MS_INVALIDATE };
	static const struct {
		size_t first, nr;
		int want;
	} ranges[] = {
		{ 8, 4, 0 },	   { 9, 2, 0 },
		{ 14, 4, 0 },	   { 12, 0, 0 },
		{ 7, 2, ENOMEM },  { 11, 2, ENOMEM },
		{ 12, 2, ENOMEM }, { 0, 8, ENOMEM },
		{ 10, 6, ENOMEM }, { 0, PAGES, ENOMEM },
		{ 8, 7, ENOMEM },  { PAGES - 1, 2, ENOMEM },
	};
	size_t i, k;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&self->vm, 8, 4, RW));
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&self->vm, 14, 4, PROT_NONE));
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		for (k = 0; k < ARRAY_SIZE(ranges); k++) {
			char *p = vm_page(&self->vm, ranges[k].first);
			size_t len = ranges[k].nr * PAGE;

			EXPECT_FAIL(ranges[k].want,
				    vm_msync(&self->vm, p, len, flags[i]))
			{
				TH_LOG("range %zu, flags %d", k, flags[i]);
			}
		}
}

TEST_F(msync, does_nothing_to_memory)
{
	char *p = vm_map_at(&self->vm, 8, 4, RW);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(p, 'a', 2 * PAGE);
	EXPECT_EQ(0, vm_msync(&self->vm, p, 4 * PAGE, MS_SYNC | MS_INVALIDATE));
	for (i = 0; i < 4 * PAGE; i++)
		ASSERT_EQ(i < 2 * PAGE ? 'a' : 0, p[i]);
	EXPECT_EQ(1, vm_areas(&self->vm));
}

/* What it writes. */

TEST_F(sync, reaches_the_disk)
{
	char *p = map_shared(&self->vm, NULL, self->fd);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < FILE_PAGES; i++)
		*word(p, i) = 100 + i;
	if (disk_is_real(variant->disk))
		EXPECT_LT(0, disk_dirty(self->fd, 0, FILE_LEN));
	EXPECT_EQ(0, vm_msync(&self->vm, p, FILE_LEN, MS_SYNC));
	EXPECT_GE(0, disk_dirty(self->fd, 0, FILE_LEN));
	for (i = 0; i < FILE_PAGES; i++)
		EXPECT_EQ(100 + i, word_on_disk(self->fd, i));
	EXPECT_EQ(0, vm_munmap(&self->vm, p, FILE_LEN));
	disk_forget(self->fd);
	p = map_shared(&self->vm, NULL, self->fd);
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < FILE_PAGES; i++)
		EXPECT_EQ(100 + i, *word(p, i));
}

TEST_F(sync, leaves_pages_dirty_if_not_told_to_wait)
{
	static const int flags[] = { 0, MS_ASYNC, MS_INVALIDATE,
				     MS_ASYNC | MS_INVALIDATE };
	char *p = map_shared(&self->vm, NULL, self->fd);
	size_t i;

	if (!disk_is_real(variant->disk))
		SKIP(return, "tmpfs has no dirty pages");
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		*word(p, i) = 1;
		EXPECT_EQ(0, vm_msync(&self->vm, p, FILE_LEN, flags[i]));
		EXPECT_NE(0, disk_dirty(self->fd, 0, FILE_LEN));
	}
}

/* A partial page is synced as a whole, and so is what a small length touches. */
TEST_F(sync, rounds_to_pages)
{
	char *p = map_shared(&self->vm, NULL, self->fd);

	ASSERT_NE(MAP_FAILED, (void *)p);
	p[PAGE - 1] = 'a';
	p[2 * PAGE - 1] = 'b';
	EXPECT_EQ(0, vm_msync(&self->vm, p, PAGE + 1, MS_SYNC));
	EXPECT_GE(0, disk_dirty(self->fd, 0, 2 * PAGE));
}

/* Some file systems always sync the whole file. */
TEST_F(sync, writes_its_range_as_natively)
{
	struct vm native;
	long want[4], got[4];
	long *dirty = want;
	struct vm *vm = &native;
	int fd;

	ASSERT_EQ(0, vm_open(&native, &vm_native, PAGES * PAGE));
	fd = disk_file(variant->disk, FILE_LEN);
	for (;;) {
		char *p = map_shared(vm, NULL, fd);
		size_t i;

		ASSERT_NE(MAP_FAILED, (void *)p);
		for (i = 0; i < FILE_PAGES; i++)
			*word(p, i) = 1;
		dirty[0] = disk_dirty(fd, 0, FILE_LEN);
		ASSERT_EQ(0, vm_msync(vm, p + 4 * PAGE, 4 * PAGE, MS_SYNC));
		dirty[1] = disk_dirty(fd, 0, 4 * PAGE);
		dirty[2] = disk_dirty(fd, 4 * PAGE, 4 * PAGE);
		dirty[3] = disk_dirty(fd, 8 * PAGE, 8 * PAGE);
		ASSERT_EQ(0, vm_munmap(vm, p, FILE_LEN));
		if (dirty == got)
			break;
		dirty = got;
		vm = &self->vm;
		fd = self->fd;
	}
	EXPECT_EQ(want[0], got[0]);
	EXPECT_EQ(want[1], got[1]);
	EXPECT_EQ(want[2], got[2]);
	EXPECT_EQ(want[3], got[3]);
	EXPECT_GE(0, got[2]);
	vm_close(&native);
}

/*
 * Three pages of the file, a hole, three more, another hole: two places each in
 * which a file of its own is mapped.
 */
TEST_F(sync, writes_what_is_around_a_hole)
{
	static const int flags[] = { MS_SYNC, MS_SYNC | MS_INVALIDATE };
	char *p = vm_page(&self->vm, 10);
	int second = disk_file(variant->disk, FILE_LEN);
	size_t i;

	ASSERT_LE(0, second);
	ASSERT_EQ(p, vm_map_file(&self->vm, p, 3 * PAGE, RW,
				 MAP_SHARED | MAP_FIXED, self->fd, 2 * PAGE));
	ASSERT_EQ(p + 5 * PAGE,
		  vm_map_file(&self->vm, p + 5 * PAGE, 3 * PAGE, RW,
			      MAP_SHARED | MAP_FIXED, second, 0));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		memset(p, 'a' + i, 3 * PAGE);
		memset(p + 5 * PAGE, 'b' + i, 3 * PAGE);
		EXPECT_FAIL(ENOMEM, vm_msync(&self->vm, p - 2 * PAGE, 12 * PAGE,
					     flags[i]));
		EXPECT_GE(0, disk_dirty(self->fd, 0, FILE_LEN));
		EXPECT_GE(0, disk_dirty(second, 0, FILE_LEN));
	}
	/* But if nothing is to be waited for, there is nothing to go on for. */
	memset(p, 'a', PAGE);
	EXPECT_FAIL(ENOMEM, vm_msync(&self->vm, p, 6 * PAGE, MS_ASYNC));
	close(second);
}

/* Areas that adjoin, with other files, offsets, protections; and memory. */
TEST_F(sync, writes_all_areas)
{
	char *p = vm_page(&self->vm, 10);
	int second = disk_file(variant->disk, FILE_LEN);

	ASSERT_LE(0, second);
	ASSERT_EQ(p, vm_map_file(&self->vm, p, 4 * PAGE, RW,
				 MAP_SHARED | MAP_FIXED, self->fd, 0));
	ASSERT_EQ(p + 4 * PAGE, vm_map_at(&self->vm, 14, 2, RW));
	ASSERT_EQ(p + 6 * PAGE,
		  vm_map_file(&self->vm, p + 6 * PAGE, 2 * PAGE, RW,
			      MAP_SHARED | MAP_FIXED, second, 4 * PAGE));
	memset(p, 'a', 8 * PAGE);
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + PAGE, PAGE, PROT_NONE));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 7 * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(0, vm_msync(&self->vm, p, 8 * PAGE, MS_SYNC));
	EXPECT_GE(0, disk_dirty(self->fd, 0, FILE_LEN));
	EXPECT_GE(0, disk_dirty(second, 0, FILE_LEN));
	EXPECT_EQ(0x6161616161616161, word_on_disk(self->fd, 1));
	EXPECT_EQ(0x6161616161616161, word_on_disk(second, 4));
	EXPECT_EQ(0x6161616161616161, word_on_disk(second, 5));
	close(second);
}

/*
 * It is the file that is synced, whoever has dirtied it; but only through a mapping
 * that might be made writable.
 */
TEST_F(sync, works_through_a_read_only_mapping)
{
	int fd = disk_reopen(self->fd, O_RDONLY);
	char *p = vm_map_file(&self->vm, NULL, FILE_LEN, PROT_READ, MAP_SHARED,
			      self->fd, 0);
	char *q = vm_map_file(&self->vm, NULL, FILE_LEN, PROT_READ, MAP_SHARED,
			      fd, 0);
	uint64_t value = 5;

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)q);
	ASSERT_EQ(8, pwrite(self->fd, &value, 8, 0));
	EXPECT_EQ(5, *word(p, 0));
	EXPECT_EQ(5, *word(q, 0));
	EXPECT_EQ(0, vm_msync(&self->vm, q, FILE_LEN, MS_SYNC));
	if (disk_is_real(variant->disk))
		EXPECT_NE(0, disk_dirty(self->fd, 0, FILE_LEN));
	EXPECT_EQ(0, vm_msync(&self->vm, p, FILE_LEN, MS_SYNC));
	EXPECT_GE(0, disk_dirty(self->fd, 0, FILE_LEN));
	EXPECT_EQ(5, word_on_disk(self->fd, 0));
	close(fd);
}

TEST_F(sync, leaves_private_mappings_alone)
{
	char *p = vm_map_file(&self->vm, NULL, FILE_LEN, RW, MAP_PRIVATE,
			      self->fd, 0);
	uint64_t value = 5;

	ASSERT_NE(MAP_FAILED, (void *)p);
	*word(p, 0) = 7;
	ASSERT_EQ(8, pwrite(self->fd, &value, 8, FILE_LEN - 8));
	EXPECT_EQ(0, vm_msync(&self->vm, p, FILE_LEN, MS_SYNC | MS_INVALIDATE));
	/* Neither the private page nor what somebody else has dirtied. */
	EXPECT_EQ(7, *word(p, 0));
	if (disk_is_real(variant->disk))
		EXPECT_NE(0, disk_dirty(self->fd, 0, FILE_LEN));
	EXPECT_EQ(0, fsync(self->fd));
	EXPECT_EQ(0, word_on_disk(self->fd, 0));
	EXPECT_EQ(7, *word(p, 0));
}

/* Other ways out: what takes the page-table entry away must not take the store. */

static void check_lost(struct __test_metadata *_metadata, int fd, size_t page,
		       uint64_t want)
{
	EXPECT_EQ(0, fsync(fd));
	EXPECT_GE(0, disk_dirty(fd, 0, FILE_LEN));
	EXPECT_EQ(want, word_on_disk(fd, page))
	{
		TH_LOG("page %zu", page);
	}
}

/*
 * Each page is stored to twice, once before and once after it was written out, so
 * that the first store cannot make up for the second.
 */
static char *store_twice(struct vm *vm, void *addr, int fd, uint64_t value)
{
	char *p = map_shared(vm, addr, fd);
	size_t i;

	if (p == MAP_FAILED)
		return NULL;
	for (i = 0; i < FILE_PAGES; i++)
		*word(p, i) = value - 1;
	if (fsync(fd))
		return NULL;
	for (i = 0; i < FILE_PAGES; i++)
		*word(p, i) = value + i;
	return p;
}

TEST_F(sync, follows_munmap)
{
	char *p = store_twice(&self->vm, NULL, self->fd, 1000);
	size_t i;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, vm_munmap(&self->vm, p + 4 * PAGE, 4 * PAGE));
	ASSERT_EQ(0, vm_munmap(&self->vm, p, FILE_LEN));
	for (i = 0; i < FILE_PAGES; i++)
		check_lost(_metadata, self->fd, i, 1000 + i);
}

TEST_F(sync, follows_map_fixed_and_mprotect)
{
	char *p = store_twice(&self->vm, NULL, self->fd, 2000);
	size_t i;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(p, vm_mmap(&self->vm, p, 4 * PAGE, RW, ANON | MAP_FIXED));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 4 * PAGE, 4 * PAGE, PROT_READ));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 8 * PAGE, 4 * PAGE, PROT_NONE));
	for (i = 0; i < FILE_PAGES; i++)
		check_lost(_metadata, self->fd, i, 2000 + i);
	/* And back: the protection that comes is not more than the file allows. */
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 4 * PAGE, 8 * PAGE, RW));
	for (i = 4; i < 12; i++)
		*word(p, i) = 3000 + i;
	EXPECT_EQ(0, vm_msync(&self->vm, p, FILE_LEN, MS_SYNC));
	for (i = 4; i < 12; i++)
		EXPECT_EQ(3000 + i, word_on_disk(self->fd, i));
}

/* The end of the process, and of the window. */
TEST_F(sync, follows_exit)
{
	int status, way;
	size_t i;

	for (way = 0; way < 3; way++) {
		uint64_t value = 1000 * (way + 1);
		pid_t pid = fork();

		if (!pid) {
			struct vm vm;

			if (vm_open(&vm, variant->ops, PAGES * PAGE) ||
			    !store_twice(&vm, NULL, self->fd, value))
				_exit(1);
			if (way == 1)
				vm_close(&vm);
			if (way == 2)
				raise(SIGKILL);
			_exit(0);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(way == 2 ? SIGKILL : 0, status);
		for (i = 0; i < FILE_PAGES; i++)
			check_lost(_metadata, self->fd, i, value + i);
	}
}

/* A child of fork stores through the mapping that it has inherited. */
TEST_F(sync, follows_fork)
{
	char *p = store_twice(&self->vm, NULL, self->fd, 1000);
	size_t i;
	int status;
	pid_t pid;

	ASSERT_NE(NULL, p);
	pid = fork();
	if (!pid) {
		for (i = 0; i < FILE_PAGES; i += 2)
			*word(p, i) = 2000 + i;
		_exit(vm_msync(&self->vm, p, PAGE, MS_SYNC));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	for (i = 0; i < FILE_PAGES; i++)
		check_lost(_metadata, self->fd, i, (i & 1 ? 1000 : 2000) + i);
}

/* Many rounds. */

enum flush { MSYNC, FSYNC, FDATASYNC, SYNC_RANGE, OTHER_MSYNC, NR_FLUSHES };

static int sync_range(int fd)
{
	return sync_file_range(fd, 0, 0,
			       SYNC_FILE_RANGE_WAIT_BEFORE |
				       SYNC_FILE_RANGE_WRITE |
				       SYNC_FILE_RANGE_WAIT_AFTER);
}

static int flush(enum flush how, struct vm *vm, char *map, int fd)
{
	switch (how) {
	case MSYNC:
		return vm_msync(vm, map, FILE_LEN, MS_SYNC);
	case FSYNC:
		return fsync(fd);
	case FDATASYNC:
		return fdatasync(fd);
	case SYNC_RANGE:
		return sync_range(fd);
	default: {
		/* Through a mapping that never had a page. */
		void *p = mmap(NULL, FILE_LEN, PROT_READ, MAP_SHARED, fd, 0);
		int ret = msync(p, FILE_LEN, MS_SYNC);

		munmap(p, FILE_LEN);
		return ret;
	}
	}
}

TEST_F_TIMEOUT(sync, loses_no_store_over_many_rounds, SLOW)
{
	struct rng rng = { .state = env_number("ALTVM_SEED", 1) };
	long rounds = scaled(disk_is_real(variant->disk) ? 150 : 50), round;
	uint64_t want[FILE_PAGES] = {};
	char *p = map_shared(&self->vm, NULL, self->fd);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	for (round = 1; round <= rounds; round++) {
		enum flush how = rng_below(&rng, NR_FLUSHES);

		for (i = rng_below(&rng, 8); i; i--) {
			size_t page = rng_below(&rng, FILE_PAGES);

			want[page] = rng_next(&rng);
			*word(p, page) = want[page];
		}
		ASSERT_EQ(0, flush(how, &self->vm, p, self->fd));
		ASSERT_GE(0, disk_dirty(self->fd, 0, FILE_LEN))
		{
			TH_LOG("round %ld, way %d", round, how);
		}
		if (!rng_below(&rng, 4)) {
			ASSERT_EQ(0, vm_munmap(&self->vm, p, FILE_LEN));
			disk_forget(self->fd);
			p = map_shared(&self->vm, NULL, self->fd);
			ASSERT_NE(MAP_FAILED, (void *)p);
		}
		for (i = 0; i < FILE_PAGES; i++)
			ASSERT_EQ(want[i], word_on_disk(self->fd, i))
			{
				TH_LOG("round %ld, way %d, page %zu", round,
				       how, i);
			}
	}
}

/**
 * struct counting - a thread that stores a counter to all pages in turn
 * @map: the mapping
 * @fd: of the file
 * @stored: what has certainly been stored to each page
 * @stop: set when it shall end
 */
struct counting {
	char *map;
	int fd;
	uint64_t stored[FILE_PAGES];
	bool stop;
};

static void *count(void *arg)
{
	struct counting *c = arg;
	uint64_t n;
	size_t i;

	for (n = 1; !__atomic_load_n(&c->stop, __ATOMIC_RELAXED); n++)
		for (i = 0; i < FILE_PAGES; i++) {
			*word(c->map, i) = n;
			__atomic_store_n(&c->stored[i], n, __ATOMIC_RELEASE);
		}
	return NULL;
}

/* Starts writing behind the back of those who wait for it. */
static void *disturb(void *arg)
{
	struct counting *c = arg;

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		sync_file_range(c->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		usleep(500);
	}
	return NULL;
}

TEST_F_TIMEOUT(sync, covers_every_store_before_it, SLOW)
{
	struct counting c = { .fd = self->fd };
	long rounds = scaled(disk_is_real(variant->disk) ? 100 : 20), round;
	uint64_t before[FILE_PAGES];
	pthread_t counter, disturber;
	size_t i;

	c.map = map_shared(&self->vm, NULL, self->fd);
	ASSERT_NE(MAP_FAILED, (void *)c.map);
	ASSERT_EQ(0, pthread_create(&counter, NULL, count, &c));
	ASSERT_EQ(0, pthread_create(&disturber, NULL, disturb, &c));
	while (!__atomic_load_n(&c.stored[FILE_PAGES - 1], __ATOMIC_ACQUIRE))
		usleep(1000);
	for (round = 0; round < rounds; round++) {
		enum flush how = round % NR_FLUSHES;

		for (i = 0; i < FILE_PAGES; i++)
			before[i] =
				__atomic_load_n(&c.stored[i], __ATOMIC_ACQUIRE);
		ASSERT_EQ(0, flush(how, &self->vm, c.map, self->fd));
		for (i = 0; i < FILE_PAGES; i++)
			ASSERT_LE(before[i], word_on_disk(self->fd, i))
			{
				TH_LOG("round %ld, way %d, page %zu", round,
				       how, i);
			}
	}
	c.stop = true;
	pthread_join(counter, NULL);
	pthread_join(disturber, NULL);
	ASSERT_EQ(0, fsync(self->fd));
	for (i = 0; i < FILE_PAGES; i++)
		EXPECT_EQ(c.stored[i], word_on_disk(self->fd, i));
}

/* Times. */

/* Was the file changed since the last call, as its times tell? */
static bool has_changed(int fd)
{
	static const struct timespec past[2] = { { 1000, 0 }, { 1000, 0 } };
	struct stat st;
	bool changed;

	fstat(fd, &st);
	changed = st.st_mtime != past[1].tv_sec;
	futimens(fd, past);
	return changed;
}

/* Whether each of some steps changes the file's time. */
static void time_changes(struct vm *vm, int fd, char *out)
{
	char *p = map_shared(vm, NULL, fd);
	size_t n = 0;

	/* clang-format off */
#define STEP(what) ((what), out[n++] = '0' + has_changed(fd))
	/* clang-format on */
	has_changed(fd);
	STEP(*word(p, 1));
	STEP(*word(p, 0) = 1);
	STEP(*word(p, 0) = 2);
	STEP(*word(p, 1) = 3);
	STEP(vm_msync(vm, p, FILE_LEN, MS_ASYNC));
	STEP(*word(p, 0) = 4);
	STEP(vm_msync(vm, p, FILE_LEN, MS_SYNC));
	STEP(*word(p, 0));
	STEP(*word(p, 0) = 5);
	STEP(*word(p, 0) = 6);
	STEP(vm_mprotect(vm, p, PAGE, PROT_READ));
	STEP(vm_mprotect(vm, p, PAGE, RW));
	STEP(fsync(fd));
	STEP(*word(p, 0) = 7);
	STEP(vm_munmap(vm, p, FILE_LEN));
	p = map_shared(vm, NULL, fd);
	STEP(*word(p, 0) = 8);
	STEP(*word(p, 2));
	STEP(*word(p, 2) = 9);
	vm_munmap(vm, p, FILE_LEN);
	out[n] = 0;
#undef STEP
}

TEST_F(sync, changes_times_as_natively)
{
	char want[32], got[32];
	struct vm native;
	int fd = disk_file(variant->disk, FILE_LEN);
	size_t i;

	ASSERT_EQ(0, vm_open(&native, &vm_native, PAGES * PAGE));
	time_changes(&native, fd, want);
	time_changes(&self->vm, self->fd, got);
	if (disk_is_real(variant->disk))
		EXPECT_STREQ(want, got);
	/*
	 * On tmpfs it is the fault that sets them: after mprotect altvm may need one
	 * more.
	 */
	for (i = 0; want[i]; i++)
		EXPECT_LE(want[i], got[i]);
	/* A store to a page that was clean does, where it can be known. */
	EXPECT_EQ('1', got[1]);
	EXPECT_EQ('0', got[0]);
	if (disk_is_real(variant->disk))
		EXPECT_EQ('1', got[8]);
	vm_close(&native);
}

/* A file system that is frozen. */

static void *store_one(void *map)
{
	*word(map, 0) = 2;
	return NULL;
}

/*
 * A process that thaws the file system of @dir when it is told to by the end of the
 * line, or after a while: nobody can while it is frozen for who shall tell.  It
 * exits with 1 then.
 */
static pid_t start_thawing(int dir, int *line)
{
	struct pollfd end = { .events = POLLIN };
	int fds[2], ready;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid) {
		close(fds[0]);
		*line = fds[1];
		return pid;
	}
	close(fds[1]);
	end.fd = fds[0];
	ready = poll(&end, 1, 10000);
	_exit(ioctl(dir, FITHAW, 0) || ready != 1);
}

/*
 * A store waits until the file system thaws, and meanwhile its process can do what
 * has to do with other memory.
 */
TEST_F_TIMEOUT(sync, waits_while_a_file_system_is_frozen, SLOW)
{
	char *p = map_shared(&self->vm, NULL, self->fd), *other;
	int dir = open(variant->disk->dir, O_RDONLY | O_CLOEXEC);
	int line, status, i;
	pthread_t thread;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)p);
	*word(p, 0) = 1;
	*word(p, 1) = 1;
	ASSERT_EQ(0, vm_msync(&self->vm, p, FILE_LEN, MS_SYNC));
	if (ioctl(dir, FIFREEZE, 0))
		SKIP(return, "cannot freeze: %s", strerror(errno));
	pid = start_thawing(dir, &line);
	pthread_create(&thread, NULL, store_one, p);
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(1, *word(p, 0));
		usleep(10000);
	}
	EXPECT_EQ(1, *word(p, 1));
	other = vm_mmap(&self->vm, NULL, PAGE, RW, ANON);
	if (other != MAP_FAILED)
		*other = 1;
	close(line);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status)
	{
		TH_LOG("something else had to wait, too");
	}
	EXPECT_NE(MAP_FAILED, (void *)other);
	pthread_join(thread, NULL);
	EXPECT_EQ(2, *word(p, 0));
	EXPECT_EQ(0, vm_msync(&self->vm, p, FILE_LEN, MS_SYNC));
	EXPECT_EQ(2, word_on_disk(self->fd, 0));
	close(dir);
}

TEST_HARNESS_MAIN
