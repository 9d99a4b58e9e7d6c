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
			      1 << ALTVM_CMD_MADVISE | 1 << ALTVM_CMD_MREMAP |
			      1 << ALTVM_CMD_MLOCK | 1 << ALTVM_CMD_MUNLOCK |
			      1 << ALTVM_CMD_MLOCKALL |
			      1 << ALTVM_CMD_MUNLOCKALL | 1 << ALTVM_CMD_BRK |
			      1 << ALTVM_CMD_PROCESS_VM_READV |
			      1 << ALTVM_CMD_PROCESS_VM_WRITEV |
			      1 << ALTVM_CMD_PROCESS_MADVISE |
			      1 << ALTVM_CMD_PROCESS_MRELEASE));
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
	static const size_t lens[] = { PAGE, 2 * MiB,	 GiB - PAGE,
				       GiB,  GiB + PAGE, TiB };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		char *base = altvm_window_map(self->fd, NULL, lens[i], RW);

		ASSERT_NE(MAP_FAILED, (void *)base);
		ASSERT_EQ(0, altvm_ioctl_query(self->fd, &self->q));
		EXPECT_EQ(lens[i], self->q.window_len);
		EXPECT_EQ(lens[i], self->q.window_usable);
		munmap(base, lens[i]);
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

/**
 * struct listed - a line of /proc/PID/maps, or of an area in fdinfo
 * @prot: as "rw-p"
 * @flags: in brackets, in fdinfo only
 * @path: the file's
 */
struct listed {
	unsigned long start, end, offset, inode;
	unsigned int major, minor;
	char prot[8], flags[64], path[256];
};

/* The line of the area that starts at @addr. */
static bool find_listed(const char *name, const void *addr, struct listed *l)
{
	FILE *f = fopen(name, "re");
	bool found = false;
	char line[512];
	int rest;

	while (f && !found && fgets(line, sizeof(line), f)) {
		memset(l, 0, sizeof(*l));
		found = sscanf(line, "%lx-%lx %7s %lx %x:%x %lu %n", &l->start,
			       &l->end, l->prot, &l->offset, &l->major,
			       &l->minor, &l->inode, &rest) == 7 &&
			l->start == (uintptr_t)addr;
	}
	if (f)
		fclose(f);
	if (found && sscanf(line + rest, "[%63[^]]]", l->flags) == 1)
		rest += strlen(l->flags) + 3;
	if (found)
		sscanf(line + rest, "%255[^\n]", l->path);
	return found;
}

ALTVM_FIXTURE(listing, PAGES);

/* Maps 2 pages of @fd natively and in the window, and compares the lines. */
static void expect_listed(struct __test_metadata *_metadata, struct vm *vm,
			  int prot, int flags, int fd)
{
	char *p = vm_map_file(vm, NULL, 2 * PAGE, prot, flags, fd, PAGE);
	char *native = mmap(NULL, 2 * PAGE, prot, flags, fd, PAGE);
	struct listed ours, theirs;
	char fdinfo[64];

	snprintf(fdinfo, sizeof(fdinfo), "/proc/self/fdinfo/%d", vm->fd);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)native);
	ASSERT_TRUE(find_listed(fdinfo, p, &ours));
	ASSERT_TRUE(find_listed("/proc/self/maps", native, &theirs));
	EXPECT_EQ(2 * PAGE, ours.end - ours.start);
	EXPECT_STREQ(theirs.prot, ours.prot);
	EXPECT_EQ(theirs.offset, ours.offset);
	EXPECT_EQ(theirs.major, ours.major);
	EXPECT_EQ(theirs.minor, ours.minor);
	/* Each shared anonymous mapping has a file of its own. */
	EXPECT_EQ(theirs.inode == 0, ours.inode == 0);
	if (fd >= 0)
		EXPECT_EQ(theirs.inode, ours.inode);
	EXPECT_STREQ(theirs.path, ours.path);
	EXPECT_STREQ("", ours.flags);
	munmap(native, 2 * PAGE);
}

TEST_F(listing, shows_files_as_proc_maps_does)
{
	char path[] = "/tmp/altvm listing.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	int memfd = memfd_create("a\nmemfd", MFD_CLOEXEC);
	struct vm *vm = &self->vm;

	ASSERT_EQ(0, ftruncate(fd, 4 * PAGE));
	ASSERT_EQ(0, ftruncate(memfd, 4 * PAGE));
	expect_listed(_metadata, vm, RW, MAP_SHARED, fd);
	expect_listed(_metadata, vm, PROT_READ, MAP_SHARED, fd);
	expect_listed(_metadata, vm, RX, MAP_PRIVATE, fd);
	expect_listed(_metadata, vm, PROT_NONE, MAP_PRIVATE, fd);
	expect_listed(_metadata, vm, RW, MAP_SHARED, memfd);
	unlink(path);
	expect_listed(_metadata, vm, RW, MAP_SHARED, fd);
	expect_listed(_metadata, vm, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
	close(fd);
	close(memfd);
}

TEST_F(listing, shows_advice)
{
	char fdinfo[64], *p = vm_map_at(&self->vm, 8, 4, RW);
	struct listed l;

	snprintf(fdinfo, sizeof(fdinfo), "/proc/self/fdinfo/%d", self->fd);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(0, vm_madvise(&self->vm, p, 2 * PAGE, MADV_DONTDUMP));
	ASSERT_EQ(0, vm_madvise(&self->vm, p, 2 * PAGE, MADV_WIPEONFORK));
	ASSERT_EQ(0, vm_madvise(&self->vm, p, 2 * PAGE, MADV_DONTFORK));
	ASSERT_TRUE(find_listed(fdinfo, p, &l));
	EXPECT_STREQ("dc dd wf", l.flags);
	EXPECT_STREQ("", l.path);
	ASSERT_TRUE(find_listed(fdinfo, p + 2 * PAGE, &l));
	EXPECT_STREQ("", l.flags);
	ASSERT_EQ(0, vm_madvise(&self->vm, p, PAGE, MADV_DODUMP));
	ASSERT_TRUE(find_listed(fdinfo, p, &l));
	EXPECT_STREQ("dc wf", l.flags);
}

/* How many windows are listed; @own: how many of them as the reader's. */
static int windows(int fd, int *own)
{
	char name[64], line[256];
	int nr = 0;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	f = fopen(name, "re");
	*own = 0;
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "altvm-window:", 13))
			continue;
		nr++;
		*own += !!strstr(line, " self\n");
	}
	if (f)
		fclose(f);
	return nr;
}

/* A child's window has the same file, and the same address. */
TEST_F(listing, marks_the_readers_window)
{
	int own, status;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&self->vm, 8, 1, RW));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(windows(self->fd, &own) == 2 && own == 1 ? 0 : 1);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, windows(self->fd, &own));
	EXPECT_EQ(1, own);
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
