// SPDX-License-Identifier: GPL-2.0
/* What the module says of itself. */
#include "altvm.h"
#include "fixture.h"

#define PAGES 64

FIXTURE(query)
{
	int fd;
	struct altvm_query q;
};

FIXTURE_SETUP(query)
{
	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	self->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(query)
{
	close(self->fd);
}

TEST_F(query, version_and_commands)
{
	ASSERT_EQ(0, altvm_ioctl_query(self->fd, &self->q));
	EXPECT_LE(ALTVM_ABI_VERSION, self->q.abi_version);
	EXPECT_EQ(0, ~self->q.commands &
			     (1 << ALTVM_CMD_QUERY | 1 << ALTVM_CMD_MMAP |
			      1 << ALTVM_CMD_MUNMAP | 1 << ALTVM_CMD_MPROTECT |
			      1 << ALTVM_CMD_MINCORE | 1 << ALTVM_CMD_MSYNC |
			      1 << ALTVM_CMD_MADVISE));
	EXPECT_EQ(0, self->q.__reserved);
	EXPECT_EQ(0, self->q.__reserved2);
	EXPECT_LE(1 * TiB, self->q.window_max);
	EXPECT_EQ(0, self->q.window_max % PAGE);
}

/* Each flag is in one set at most, and each known one does what its set says. */
TEST_F(query, map_flags)
{
	char *base = altvm_window_map(self->fd, NULL, PAGES * PAGE, RW);
	const __u64 needed = MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS |
			     MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_POPULATE;
	int bit;

	ASSERT_NE(MAP_FAILED, (void *)base);
	ASSERT_EQ(0, altvm_ioctl_query(self->fd, &self->q));
	EXPECT_EQ(0, self->q.map_flags & self->q.map_flags_ignored);
	EXPECT_EQ(needed, self->q.map_flags & needed);
	EXPECT_EQ(MAP_DENYWRITE | MAP_EXECUTABLE,
		  self->q.map_flags_ignored & (MAP_DENYWRITE | MAP_EXECUTABLE));
	for (bit = 4; bit < 31; bit++) {
		const int flag = 1 << bit;
		void *addr = base;

		if (!(self->q.map_flags & flag) &&
		    !(self->q.map_flags_ignored & flag))
			continue;
		if (flag == MAP_32BIT)
			continue;
		EXPECT_EQ(0, altvm_ioctl_mmap(self->fd, &addr, PAGE, RW,
					      ANON | flag))
		{
			TH_LOG("flag %#x: %s", flag, strerror(errno));
			continue;
		}
		EXPECT_EQ(0, *(char *)addr);
		ASSERT_EQ(base, addr);
		munmap(base, PAGES * PAGE);
		ASSERT_EQ(base,
			  altvm_window_map(self->fd, base, PAGES * PAGE, RW));
	}
}

TEST_F(query, tells_the_window)
{
	char *base;

	ASSERT_EQ(0, altvm_ioctl_query(self->fd, &self->q));
	EXPECT_EQ(0, self->q.window_addr);
	EXPECT_EQ(0, self->q.window_len);
	EXPECT_EQ(0, self->q.window_usable);

	base = altvm_window_map(self->fd, NULL, PAGES * PAGE, RW);
	ASSERT_NE(MAP_FAILED, (void *)base);
	ASSERT_EQ(0, altvm_ioctl_query(self->fd, &self->q));
	EXPECT_EQ((uintptr_t)base, self->q.window_addr);
	EXPECT_EQ(PAGES * PAGE, self->q.window_len);
	EXPECT_EQ(PAGES * PAGE, self->q.window_usable);

	ASSERT_EQ(0, munmap(base, PAGES * PAGE));
	ASSERT_EQ(0, altvm_ioctl_query(self->fd, &self->q));
	EXPECT_EQ(0, self->q.window_addr);
	EXPECT_EQ(0, self->q.window_len);
	EXPECT_EQ(0, self->q.window_usable);
}

TEST_F(query, usable_part)
{
	static const struct {
		size_t len, kept;
	} t[] = {
		{ PAGE, 0 },	   { 2 * MiB, 0 },	     { GiB - PAGE, 0 },
		{ GiB, 16 * MiB }, { GiB + PAGE, 16 * MiB }, { TiB, 16 * MiB },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		char *base = altvm_window_map(self->fd, NULL, t[i].len, RW);

		ASSERT_NE(MAP_FAILED, (void *)base);
		ASSERT_EQ(0, altvm_ioctl_query(self->fd, &self->q));
		EXPECT_EQ(t[i].len, self->q.window_len);
		EXPECT_EQ(t[i].len - t[i].kept, self->q.window_usable);
		munmap(base, t[i].len);
	}
}

TEST_F(query, changes_nothing)
{
	char *base = altvm_window_map(self->fd, NULL, PAGES * PAGE, RW);
	struct altvm_query again;
	void *addr = base;
	int i;

	ASSERT_NE(MAP_FAILED, (void *)base);
	ASSERT_EQ(0, altvm_ioctl_mmap(self->fd, &addr, PAGE, RW,
				      ANON | MAP_FIXED));
	base[5] = 77;
	ASSERT_EQ(0, altvm_ioctl_query(self->fd, &self->q));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, altvm_ioctl_query(self->fd, &again));
		ASSERT_EQ(0, memcmp(&self->q, &again, sizeof(again)));
	}
	EXPECT_EQ(77, base[5]);
}

TEST(the_library_agrees)
{
	struct altvm_query raw, q = { .size = sizeof(q) };
	struct altvm *vm;
	size_t len;

	if (!vm_available(&vm_lib))
		SKIP(return, "no " DEVICE);
	vm = altvm_open(PAGES * PAGE - 1, 0);
	ASSERT_NE(NULL, vm);
	ASSERT_EQ(0, altvm_query(vm, &q));
	ASSERT_EQ(0, altvm_ioctl_query(altvm_fd(vm), &raw));
	EXPECT_EQ(0, memcmp(&raw, &q, sizeof(q)));
	EXPECT_EQ(q.window_addr, (uintptr_t)altvm_window(vm, &len));
	EXPECT_EQ(PAGES * PAGE, len);
	EXPECT_EQ(0, altvm_close(vm));

	/* The default window is large. */
	vm = altvm_open(0, ALTVM_OPEN_NOEXEC);
	ASSERT_NE(NULL, vm);
	altvm_window(vm, &len);
	EXPECT_EQ(TiB, len);
	EXPECT_FAIL(EACCES, altvm_mmap(vm, NULL, PAGE, RX, ANON, -1, 0));
	EXPECT_EQ(0, altvm_close(vm));
}

TEST_HARNESS_MAIN
