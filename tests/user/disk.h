/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DISK_FIXTURE(): tests that run on each VM system and, with each, on the file
 * systems that the virtual machine has.  clang-format takes the braces of the
 * harness' macros for blocks, and is off around those.
 */
#ifndef TESTS_USER_DISK_H
#define TESTS_USER_DISK_H

#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* Where a file system is, and what statfs(2) calls it. */
struct disk {
	const char *dir;
	long magic;
};

static const struct disk disk_tmpfs = { "/dev/shm", TMPFS_MAGIC };
static const struct disk disk_ext4 = { "/mnt/ext4", EXT4_SUPER_MAGIC };
static const struct disk disk_xfs = { "/mnt/xfs", XFS_SUPER_MAGIC };
static const struct disk disk_btrfs = { "/mnt/btrfs", BTRFS_SUPER_MAGIC };

/* tmpfs has nothing but its page cache. */
static inline bool disk_is_real(const struct disk *disk)
{
	return disk->magic != TMPFS_MAGIC;
}

static inline bool disk_is_there(const struct disk *disk)
{
	struct statfs st;

	return !statfs(disk->dir, &st) && st.f_type == disk->magic;
}

/* A new file of @len bytes that nobody else sees; -1 and errno. */
static inline int disk_file(const struct disk *disk, size_t len)
{
	int fd = open(disk->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 && ftruncate(fd, len)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The same file, opened once more. */
static inline int disk_reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

/*
 * Reads what the disk has, not what the page cache has: 0 or -1.  (Pages that are
 * known to be dirty are written out first.)  tmpfs has nothing but its pages.
 */
static inline int disk_read(int fd, void *buf, size_t len, off_t off)
{
	static __thread void *bounce;
	int direct = disk_reopen(fd, O_RDONLY | O_DIRECT);
	size_t room = (len + 2 * PAGE - 1) & -PAGE;
	off_t start = off & -PAGE;
	ssize_t got;

	if (direct < 0)
		direct = disk_reopen(fd, O_RDONLY);
	if (direct < 0 || posix_memalign(&bounce, PAGE, room))
		return -1;
	got = pread(direct, bounce, room, start);
	if (got >= (ssize_t)(off - start + len))
		memcpy(buf, (char *)bounce + (off - start), len);
	else
		got = -1;
	free(bounce);
	close(direct);
	return got < 0 ? -1 : 0;
}

/* What cachestat(2) tells of a file. */
struct cached {
	uint64_t pages;
	uint64_t dirty;
	uint64_t writeback;
	uint64_t evicted;
	uint64_t recently_evicted;
};

/* 0, or -1 where the kernel is too old. */
static inline int disk_cached(int fd, off_t off, size_t len, struct cached *c)
{
	uint64_t range[2] = { off, len };

	return syscall(SYS_cachestat, fd, range, c, 0);
}

/* Pages of the range that have not reached the disk; -1 if unknown. */
static inline long disk_dirty(int fd, off_t off, size_t len)
{
	struct cached c;

	return disk_cached(fd, off, len, &c) ? -1 :
					       (long)(c.dirty + c.writeback);
}

/* Forgets what is cached of a file that is clean and not mapped. */
static inline void disk_forget(int fd)
{
	int drop;

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	/* That leaves pages that another CPU has just used; root can do more. */
	drop = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (drop >= 0) {
		if (write(drop, "1", 1) < 0)
			perror("drop_caches");
		close(drop);
	}
}

static inline void disk_setup(struct __test_metadata *_metadata, struct vm *vm,
			      int *fd, const struct vm_ops *ops,
			      const struct disk *disk, size_t zone_pages,
			      size_t file_pages)
{
	if (!disk_is_there(disk))
		SKIP(return, "no file system at %s", disk->dir);
	fixture_open(_metadata, vm, ops, zone_pages);
	*fd = disk_file(disk, file_pages * PAGE);
	ASSERT_LE(0, *fd);
}

/* clang-format off */
#define DISK_VARIANT(name, system, vm_system, fs)                            \
	FIXTURE_VARIANT_ADD(name, system##_##fs)                             \
	{                                                                    \
		.ops = vm_system,                                            \
		.disk = &disk_##fs,                                          \
	};                                                                   \
	struct vm

/* What is on a disk: tmpfs is not. */
#define DISK_VARIANTS(name, system, vm_system)                               \
	DISK_VARIANT(name, system, vm_system, ext4);                         \
	DISK_VARIANT(name, system, vm_system, xfs);                          \
	DISK_VARIANT(name, system, vm_system, btrfs);                        \
	struct vm

/*
 * A fixture named @name with an empty zone of @zone_pages pages, self->vm, and an
 * empty file of @file_pages pages, self->fd.
 */
#define DISK_FIXTURE(name, zone_pages, file_pages)                           \
	FIXTURE(name)                                                        \
	{                                                                    \
		struct vm vm;                                                \
		int fd;                                                      \
	};                                                                   \
	FIXTURE_VARIANT(name)                                                \
	{                                                                    \
		const struct vm_ops *ops;                                    \
		const struct disk *disk;                                     \
	};                                                                   \
	DISK_VARIANT(name, native, &vm_native, tmpfs);                       \
	DISK_VARIANTS(name, native, &vm_native);                             \
	DISK_VARIANT(name, altvm, &vm_ioctl, tmpfs);                         \
	DISK_VARIANTS(name, altvm, &vm_ioctl);                               \
	FIXTURE_SETUP(name)                                                  \
	{                                                                    \
		disk_setup(_metadata, &self->vm, &self->fd, variant->ops,    \
			   variant->disk, zone_pages, file_pages);           \
	}                                                                    \
	FIXTURE_TEARDOWN(name)                                               \
	{                                                                    \
		vm_close(&self->vm);                                         \
		close(self->fd);                                             \
	}                                                                    \
	struct vm

/* clang-format on */

#endif /* TESTS_USER_DISK_H */
