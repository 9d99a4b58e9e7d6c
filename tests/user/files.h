/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files with known contents, on each of the file systems that there are.
 *
 * ALTVM_DIRS lists directories, separated by colons.  The first that lies on an
 * ext4 stands for ext4, and so on.  An overlayfs is made where none is listed.
 */
#ifndef TESTS_USER_FILES_H
#define TESTS_USER_FILES_H

#include <ftw.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "fixture.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

#define FILE_DIRS "/dev/shm:/tmp:/mnt/ext4:/mnt/xfs:/mnt/btrfs:/mnt/overlay"

/**
 * struct place - a directory of our own on some file system
 * @fs: its name; "memfd" has no directory
 * @top: the directory to remove at the end
 * @dir: the directory for files: @top, or what is mounted below it
 */
struct place {
	const char *fs;
	char top[PATH_MAX / 4];
	char dir[PATH_MAX / 2];
};

static inline bool place_has_dir(const struct place *place)
{
	return strcmp(place->fs, "memfd");
}

/* A file system with a disk: files can be thrown out of the page cache. */
static inline bool place_has_disk(const struct place *place)
{
	return place_has_dir(place) && strcmp(place->fs, "tmpfs");
}

static inline long place_magic(const char *fs)
{
	static const struct {
		const char *fs;
		long magic;
	} known[] = {
		{ "tmpfs", TMPFS_MAGIC },   { "ext4", EXT4_SUPER_MAGIC },
		{ "xfs", XFS_SUPER_MAGIC }, { "btrfs", BTRFS_SUPER_MAGIC },
		{ "overlay", 0x794c7630L },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].fs, fs))
			return known[i].magic;
	return -1;
}

/* A new directory on a file system of type @fs. */
static inline bool place_find(const char *fs, char *out, size_t size)
{
	const char *dirs = getenv("ALTVM_DIRS");
	char list[PATH_MAX], *next = list, *dir;
	struct statfs st;

	snprintf(list, sizeof(list), "%s", dirs ? dirs : FILE_DIRS);
	while ((dir = strsep(&next, ":"))) {
		if (statfs(dir, &st) || st.f_type != place_magic(fs))
			continue;
		snprintf(out, size, "%s/altvm-XXXXXX", dir);
		if (mkdtemp(out))
			return true;
	}
	return false;
}

/* Mounts are the calling process's own, and go with it. */
static inline bool mount_privately(const char *type, const char *dir,
				   const char *options, unsigned long flags)
{
	return !unshare(CLONE_NEWNS) &&
	       !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("none", dir, type, flags, options);
}

/* The file that the overlay's lower layer has. */
#define LOWER_FILE "below"

static inline bool place_make_overlay(struct place *place)
{
	static const char *const dirs[] = { "lower", "upper", "work", "all" };
	char options[2 * PATH_MAX], path[PATH_MAX];
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", place->top, dirs[i]);
		if (mkdir(path, 0755))
			return false;
	}
	snprintf(place->dir, sizeof(place->dir), "%s/all", place->top);
	snprintf(path, sizeof(path), "%s/lower/" LOWER_FILE, place->top);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, PAGE))
		return false;
	close(fd);
	snprintf(options, sizeof(options),
		 "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work",
		 place->top, place->top, place->top);
	return mount_privately("overlay", place->dir, options, 0);
}

static inline int place_remove_one(const char *path, const struct stat *st,
				   int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void place_remove(const char *dir)
{
	if (nftw(dir, place_remove_one, 16, FTW_DEPTH | FTW_PHYS))
		perror(dir);
}

static inline void place_close(struct place *place)
{
	if (!place_has_dir(place))
		return;
	if (strcmp(place->top, place->dir))
		umount2(place->dir, MNT_DETACH);
	place_remove(place->top);
}

/* Whether there is one. */
static inline bool place_open(struct place *place, const char *fs)
{
	place->fs = fs;
	if (!place_has_dir(place))
		return true;
	if (!place_find(fs, place->top, sizeof(place->top))) {
		if (strcmp(fs, "overlay") ||
		    (!place_find("ext4", place->top, sizeof(place->top)) &&
		     !place_find("tmpfs", place->top, sizeof(place->top))))
			return false;
		if (place_make_overlay(place))
			return true;
		place_close(place);
		return false;
	}
	snprintf(place->dir, sizeof(place->dir), "%s", place->top);
	return true;
}

/* A tmpfs of its own. */
static inline bool place_open_tmpfs(struct place *place, const char *options,
				    unsigned long flags)
{
	place->fs = "tmpfs";
	if (!place_find("tmpfs", place->top, sizeof(place->top)))
		return false;
	snprintf(place->dir, sizeof(place->dir), "%s/own", place->top);
	if (!mkdir(place->dir, 0755) &&
	    mount_privately("tmpfs", place->dir, options, flags))
		return true;
	place_remove(place->top);
	return false;
}

static inline void place_path(const struct place *place, const char *name,
			      char *path)
{
	snprintf(path, PATH_MAX, "%s/%s", place->dir, name);
}

/* Each page holds a letter of its own. */
static inline char letter(size_t page)
{
	return 'a' + page % 26;
}

static inline bool fill_pages(int fd, size_t page, size_t pages)
{
	char data[PAGE];

	for (; pages; page++, pages--) {
		memset(data, letter(page), PAGE);
		if (pwrite(fd, data, PAGE, page * PAGE) != PAGE)
			return false;
	}
	return true;
}

/* A new file of @pages pages, or -1. */
static inline int file_make(const struct place *place, const char *name,
			    size_t pages)
{
	char path[PATH_MAX];
	int fd;

	place_path(place, name, path);
	if (place_has_dir(place))
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	else
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || !fill_pages(fd, 0, pages))
		return -1;
	return fd;
}

/* The same file once more; works for those without a name, too. */
static inline int file_reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

/* What read(2) finds at @off; -1 at the end of the file. */
static inline int file_byte(int fd, off_t off)
{
	char c;

	return pread(fd, &c, 1, off) == 1 ? c : -1;
}

static inline bool file_put(int fd, off_t off, char c)
{
	return pwrite(fd, &c, 1, off) == 1;
}

/* The page at @p has the byte @c everywhere. */
static inline bool page_is(const char *p, char c)
{
	size_t i;

	for (i = 0; i < PAGE; i++)
		if (p[i] != c)
			return false;
	return true;
}

/* MAP_FIXED at page @page of the zone, from page @from of the file. */
static inline char *map_at(struct vm *vm, size_t page, size_t pages, int prot,
			   int flags, int fd, size_t from)
{
	return vm_map_file(vm, vm_page(vm, page), pages * PAGE, prot,
			   flags | MAP_FIXED, fd, from * PAGE);
}

/* Whether the child ended well. */
static inline bool child_done(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && !status;
}

#define FILE_PAGES 16

static inline void file_fixture_open(struct __test_metadata *_metadata,
				     struct vm *vm, const struct vm_ops *ops,
				     size_t pages, struct place *place,
				     const char *fs, int *fd)
{
	fixture_open(_metadata, vm, ops, pages);
	if (!vm->base)
		return;
	if (!place_open(place, fs))
		SKIP(return, "no %s", fs);
	*fd = file_make(place, "file", FILE_PAGES);
	ASSERT_LE(0, *fd);
}

/* clang-format off */
/*
 * A fixture that runs each test natively and on altvm on each file system:
 * self->fd is a file of FILE_PAGES pages, with letter(i) all over page i.
 */
#define FILE_FIXTURE(name, pages)                                            \
	FIXTURE(name)                                                        \
	{                                                                    \
		struct vm vm;                                                \
		char *base;                                                  \
		struct place place;                                          \
		int fd;                                                      \
	};                                                                   \
	FIXTURE_VARIANT(name)                                                \
	{                                                                    \
		const struct vm_ops *ops;                                    \
		const char *fs;                                              \
	};                                                                   \
	FIXTURE_VARIANT_ADD(name, tmpfs_native) { &vm_native, "tmpfs" };     \
	FIXTURE_VARIANT_ADD(name, tmpfs_altvm) { &vm_ioctl, "tmpfs" };       \
	FIXTURE_VARIANT_ADD(name, ext4_native) { &vm_native, "ext4" };       \
	FIXTURE_VARIANT_ADD(name, ext4_altvm) { &vm_ioctl, "ext4" };         \
	FIXTURE_VARIANT_ADD(name, xfs_native) { &vm_native, "xfs" };         \
	FIXTURE_VARIANT_ADD(name, xfs_altvm) { &vm_ioctl, "xfs" };           \
	FIXTURE_VARIANT_ADD(name, btrfs_native) { &vm_native, "btrfs" };     \
	FIXTURE_VARIANT_ADD(name, btrfs_altvm) { &vm_ioctl, "btrfs" };       \
	FIXTURE_VARIANT_ADD(name, overlay_native) { &vm_native, "overlay" }; \
	FIXTURE_VARIANT_ADD(name, overlay_altvm) { &vm_ioctl, "overlay" };   \
	FIXTURE_VARIANT_ADD(name, memfd_native) { &vm_native, "memfd" };     \
	FIXTURE_VARIANT_ADD(name, memfd_altvm) { &vm_ioctl, "memfd" };       \
	FIXTURE_SETUP(name)                                                  \
	{                                                                    \
		file_fixture_open(_metadata, &self->vm,                      \
				  variant->ops, pages,                       \
				  &self->place, variant->fs,                 \
				  &self->fd);                                \
		self->base = self->vm.base;                                  \
	}                                                                    \
	FIXTURE_TEARDOWN(name)                                               \
	{                                                                    \
		vm_close(&self->vm);                                         \
		close(self->fd);                                             \
		place_close(&self->place);                                   \
	}                                                                    \
	struct vm

/* clang-format on */

#endif /* TESTS_USER_FILES_H */
