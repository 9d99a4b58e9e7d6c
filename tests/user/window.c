// SPDX-License-Identifier: GPL-2.0
/* The window itself: what the kernel's own system calls can do to it. */
#include <dirent.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "fixture.h"

#define PAGES 64

ALTVM_FIXTURE(window, PAGES);

/* Something in the window: 8 pages with contents, one of each protection. */
static int furnish(struct vm *vm)
{
	size_t i;

	if (vm_map_at(vm, 8, 8, RW) == MAP_FAILED)
		return -1;
	for (i = 8; i < 16; i++)
		memset(vm->base + i * PAGE, i, PAGE);
	if (vm_mprotect(vm, vm->base + 10 * PAGE, PAGE, PROT_READ))
		return -1;
	return vm_mprotect(vm, vm->base + 12 * PAGE, PAGE, PROT_NONE);
}

/* All as furnish() left it, and it still works. */
static bool is_furnished(struct vm *vm)
{
	size_t i, k;

	for (i = 7; i < 17; i++) {
		const char *p = vm->base + i * PAGE;
		bool there = i >= 8 && i < 16 && i != 12;

		if (there != !probe_read(p, NULL, NULL))
			return false;
		if ((there && i != 10) != !probe_rewrite((void *)p, NULL))
			return false;
		for (k = 0; there && k < PAGE; k++)
			if (p[k] != (char)i)
				return false;
	}
	/* And new areas can be made. */
	if (vm_map_at(vm, 40, 1, RW) == MAP_FAILED || vm->base[40 * PAGE] ||
	    probe_write(vm->base + 40 * PAGE, 1, NULL))
		return false;
	return !vm_munmap(vm, vm->base + 40 * PAGE, PAGE);
}

static int device(void)
{
	return open(DEVICE, O_RDWR | O_CLOEXEC);
}

TEST_F(window, holds_nothing_at_first)
{
	struct fault f;
	size_t i;

	for (i = 0; i < PAGES; i += 7) {
		char *p = self->base + i * PAGE;

		EXPECT_EQ(SIGSEGV, probe_read(p, NULL, &f));
		EXPECT_EQ(SEGV_MAPERR, f.code);
		EXPECT_EQ((uintptr_t)p, f.addr);
		EXPECT_EQ(SIGSEGV, probe_write(p, 1, &f));
		EXPECT_EQ(SEGV_MAPERR, f.code);
		EXPECT_EQ(SIGSEGV, probe_call(p, &f));
		EXPECT_EQ(SEGV_MAPERR, f.code);
	}
}

TEST_F(window, must_be_shared_and_start_at_0)
{
	int fd = device();

	EXPECT_FAIL(EINVAL, mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0));
	EXPECT_FAIL(EINVAL, mmap(NULL, PAGE, RW, MAP_SHARED, fd, PAGE));
	close(fd);
}

TEST_F(window, sizes)
{
	struct altvm_query q;
	size_t i;
	static const size_t sizes[] = {
		1,
		PAGE,
		PAGE + 1,
		2 * MiB,
		2 * MiB + PAGE,
		3 * MiB - PAGE,
		GiB - PAGE,
		GiB,
		GiB + PAGE,
		TiB,
		16 * TiB,
	};

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct vm vm;
		char *last;

		ASSERT_EQ(0, vm_open(&vm, &vm_ioctl, sizes[i]))
		{
			TH_LOG("size %#lx", sizes[i]);
		}
		ASSERT_EQ(0, altvm_ioctl_query(vm.fd, &q));
		/* The last page, and the first. */
		last = vm.base + q.window_usable - PAGE;
		ASSERT_EQ((void *)last, vm_mmap(&vm, NULL, PAGE, RW, ANON));
		EXPECT_EQ(0, probe_write(last + PAGE - 8, 1, NULL));
		ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&vm, 0, 1, RW));
		EXPECT_EQ(0, probe_write(vm.base, 1, NULL));
		EXPECT_FAIL(ENOMEM, vm_mmap(&vm, last + PAGE, PAGE, RW,
					    ANON | MAP_FIXED));
		EXPECT_FAIL(ENOMEM,
			    vm_mmap(&vm, last, 2 * PAGE, RW, ANON | MAP_FIXED));
		vm_close(&vm);
	}
}

TEST_F(window, has_a_largest_size)
{
	struct altvm_query q;
	char *base;
	int fd = device();

	ASSERT_EQ(0, altvm_ioctl_query(fd, &q));
	EXPECT_EQ(MAP_FAILED,
		  altvm_window_map(fd, NULL, q.window_max + PAGE, RW));
	base = altvm_window_map(fd, NULL, q.window_max, RW);
	EXPECT_NE(MAP_FAILED, (void *)base);
	if (base != MAP_FAILED)
		munmap(base, q.window_max);
	close(fd);
}

TEST_F(window, bounds_the_protection_of_its_areas)
{
	int wprot, prot, to;

	for (wprot = 0; wprot < 8; wprot++) {
		struct vm vm = { .ops = &vm_ioctl };
		char *p;

		ASSERT_EQ(0, vm_ioctl.open(&vm, NULL, PAGES * PAGE, wprot));
		for (prot = 0; prot < 8; prot++) {
			bool ok = !(prot & ~wprot);

			p = vm_map_at(&vm, 8, 1, prot);
			EXPECT_EQ(ok, p != MAP_FAILED)
			{
				TH_LOG("window %d, area %d: %s", wprot, prot,
				       strerror(errno));
			}
			if (!ok)
				EXPECT_EQ(EACCES, errno);
		}
		for (prot = 0; prot < 8; prot++) {
			if (prot & ~wprot)
				continue;
			p = vm_map_at(&vm, 8, 1, prot);
			ASSERT_NE(MAP_FAILED, (void *)p);
			for (to = 0; to < 8; to++) {
				EXPECT_EQ(to & ~wprot ? EACCES : 0,
					  ERRNO_OF(vm_mprotect(&vm, p, PAGE,
							       to)));
			}
		}
		EXPECT_EQ(wprot & PROT_WRITE ? 0 : SIGSEGV,
			  (vm_map_at(&vm, 8, 1, wprot),
			   probe_rewrite(vm.base + 8 * PAGE, NULL)));
		vm_close(&vm);
	}
}

/* The kernel does not count it as shared then. */
TEST_F(window, of_a_read_only_file)
{
	int fd = open(DEVICE, O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	EXPECT_FAIL(EACCES, altvm_window_map(fd, NULL, PAGES * PAGE, RW));
	EXPECT_FAIL(EINVAL,
		    altvm_window_map(fd, NULL, PAGES * PAGE, PROT_READ));
	close(fd);
}

TEST_F(window, one_for_each_file_and_process)
{
	int fd2 = dup(self->fd);

	ASSERT_EQ(0, furnish(&self->vm));
	EXPECT_FAIL(EBUSY, altvm_window_map(self->fd, NULL, PAGE, RW));
	EXPECT_FAIL(EBUSY, altvm_window_map(fd2, NULL, PAGE, RW));
	EXPECT_FAIL(EBUSY, mmap(self->base, PAGES * PAGE, RW,
				MAP_SHARED | MAP_FIXED, self->fd, 0));
	EXPECT_TRUE(is_furnished(&self->vm));
	close(fd2);
}

TEST_F(window, several_do_not_touch_each_other)
{
	struct vm vm[16];
	size_t i;

	ASSERT_EQ(0, furnish(&self->vm));
	for (i = 0; i < ARRAY_SIZE(vm); i++) {
		ASSERT_EQ(0, vm_open(&vm[i], &vm_ioctl, (i + 20) * PAGE));
		ASSERT_EQ(0, furnish(&vm[i]));
	}
	/* A file commands its own window only. */
	EXPECT_FAIL(EINVAL, vm_munmap(&vm[0], vm[1].base + 8 * PAGE, PAGE));
	EXPECT_FAIL(ENOMEM, vm_mprotect(&vm[0], vm[1].base + 8 * PAGE, PAGE,
					PROT_READ));
	EXPECT_FAIL(ENOMEM,
		    vm_mmap(&vm[0], vm[1].base, PAGE, RW, ANON | MAP_FIXED));
	for (i = 0; i < ARRAY_SIZE(vm); i += 2)
		vm_close(&vm[i]);
	for (i = 1; i < ARRAY_SIZE(vm); i += 2) {
		EXPECT_EQ(0, vm_munmap(&vm[i], vm[i].base, (i + 20) * PAGE));
		EXPECT_EQ(0, vm_areas(&vm[i]));
		vm_close(&vm[i]);
	}
	EXPECT_TRUE(is_furnished(&self->vm));
}

TEST_F(window, comes_and_goes)
{
	struct altvm_query q;
	int i;

	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, furnish(&self->vm));
		ASSERT_EQ(0, munmap(self->base, PAGES * PAGE));
		EXPECT_EQ(SIGSEGV,
			  probe_read(self->base + 8 * PAGE, NULL, NULL));
		EXPECT_FAIL(ENXIO, vm_munmap(&self->vm, self->base, PAGE));
		EXPECT_FAIL(ENXIO, vm_mmap(&self->vm, NULL, PAGE, RW, ANON));
		ASSERT_EQ(0, altvm_ioctl_query(self->fd, &q));
		EXPECT_EQ(0, q.window_len);
		ASSERT_EQ(self->base, altvm_window_map(self->fd, self->base,
						       PAGES * PAGE, RWX));
		EXPECT_EQ(0, vm_areas(&self->vm));
		EXPECT_EQ(SIGSEGV,
			  probe_read(self->base + 8 * PAGE, NULL, NULL));
	}
}

TEST_F(window, outlives_its_file_descriptor)
{
	char link[64], target[64] = "";
	struct dirent *d;
	DIR *dir;

	ASSERT_EQ(0, furnish(&self->vm));
	close(self->fd);
	/* Memory goes on; only commands have no way in any more. */
	EXPECT_EQ(0, probe_rewrite(self->base + 8 * PAGE, NULL));
	EXPECT_EQ(SIGSEGV, probe_rewrite(self->base + 10 * PAGE, NULL));
	EXPECT_EQ(SIGSEGV, probe_read(self->base + 20 * PAGE, NULL, NULL));
	/* map_files is one. */
	dir = opendir("/proc/self/map_files");
	while (dir && (d = readdir(dir))) {
		snprintf(link, sizeof(link), "/proc/self/map_files/%.40s",
			 d->d_name);
		memset(target, 0, sizeof(target));
		if (readlink(link, target, sizeof(target) - 1) > 0 &&
		    !strcmp(target, DEVICE))
			break;
	}
	EXPECT_STREQ(DEVICE, target);
	closedir(dir);
	ASSERT_EQ(0, munmap(self->base, PAGES * PAGE));
	EXPECT_EQ(SIGSEGV, probe_read(self->base + 8 * PAGE, NULL, NULL));
}

TEST_F(window, cannot_be_cut)
{
	char *b = self->base;

	ASSERT_EQ(0, furnish(&self->vm));
	EXPECT_EQ(-1, munmap(b, PAGE));
	EXPECT_EQ(-1, munmap(b, 9 * PAGE));
	EXPECT_EQ(-1, munmap(b + 9 * PAGE, PAGE));
	EXPECT_EQ(-1, munmap(b + (PAGES - 1) * PAGE, PAGE));
	EXPECT_EQ(-1, munmap(b + 9 * PAGE, PAGES * PAGE));
	EXPECT_EQ(-1, munmap(b - PAGE, 10 * PAGE));
	EXPECT_EQ(MAP_FAILED,
		  mmap(b + 9 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0));
	EXPECT_EQ(MAP_FAILED, mmap(b, PAGE, RW, ANON | MAP_FIXED, -1, 0));
	EXPECT_TRUE(is_furnished(&self->vm));
}

TEST_F(window, cannot_be_protected)
{
	char *b = self->base;
	int prot;

	ASSERT_EQ(0, furnish(&self->vm));
	for (prot = 0; prot < 8; prot++) {
		/* The protection that it has is no change. */
		if (prot == RWX)
			continue;
		EXPECT_EQ(-1, mprotect(b, PAGES * PAGE, prot));
		EXPECT_EQ(-1, mprotect(b, PAGE, prot));
		EXPECT_EQ(-1, mprotect(b + 9 * PAGE, PAGE, prot));
		EXPECT_EQ(-1, mprotect(b + (PAGES - 1) * PAGE, PAGE, prot));
	}
	mprotect(b, PAGES * PAGE, RWX);
	mprotect(b + 9 * PAGE, PAGE, RWX);
	EXPECT_TRUE(is_furnished(&self->vm));
}

TEST_F(window, cannot_be_moved)
{
	const size_t len = PAGES * PAGE;
	char *b = self->base;
	char *to;

	ASSERT_EQ(0, furnish(&self->vm));
	to = mmap(NULL, len, PROT_NONE, ANON, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)to);
	EXPECT_EQ(MAP_FAILED, mremap(b, len, len + PAGE, 0));
	EXPECT_EQ(MAP_FAILED, mremap(b, len, len + PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(MAP_FAILED, mremap(b, len, len - PAGE, 0));
	EXPECT_EQ(MAP_FAILED, mremap(b, len, len - PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(MAP_FAILED,
		  mremap(b, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_EQ(MAP_FAILED,
		  mremap(b, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_EQ(MAP_FAILED, mremap(b + 8 * PAGE, PAGE, PAGE,
				     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_EQ(MAP_FAILED,
		  mremap(b, len, len, MREMAP_MAYMOVE | 4 /* DONTUNMAP */));
	/* A second view of a shared mapping. */
	EXPECT_EQ(MAP_FAILED, mremap(b, 0, len, MREMAP_MAYMOVE));
	EXPECT_EQ(MAP_FAILED, mremap(b + 8 * PAGE, 0, PAGE, MREMAP_MAYMOVE));
	/* Another mapping moved into it. */
	EXPECT_EQ(MAP_FAILED,
		  mremap(to, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			 b + 8 * PAGE));
	EXPECT_TRUE(is_furnished(&self->vm));
}

TEST_F(window, can_be_replaced_as_a_whole)
{
	char *b = self->base;
	struct altvm_query q;
	int fd = device();

	ASSERT_EQ(0, furnish(&self->vm));
	ASSERT_EQ((void *)b,
		  mmap(b, PAGES * PAGE, RW, ANON | MAP_FIXED, -1, 0));
	EXPECT_EQ(0, b[8 * PAGE]);
	EXPECT_FAIL(ENXIO, vm_munmap(&self->vm, b, PAGE));
	ASSERT_EQ(0, munmap(b, PAGES * PAGE));
	/* By another file's window. */
	ASSERT_EQ(b, altvm_window_map(self->fd, b, PAGES * PAGE, RWX));
	ASSERT_EQ(0, furnish(&self->vm));
	ASSERT_EQ((void *)b,
		  mmap(b, PAGES * PAGE, RWX, MAP_SHARED | MAP_FIXED, fd, 0));
	EXPECT_FAIL(ENXIO, vm_munmap(&self->vm, b, PAGE));
	EXPECT_EQ(SIGSEGV, probe_read(b + 8 * PAGE, NULL, NULL));
	ASSERT_EQ(0, altvm_ioctl_query(fd, &q));
	EXPECT_EQ((uintptr_t)b, q.window_addr);
	dup2(fd, self->fd);
	ASSERT_EQ(0, furnish(&self->vm));
	EXPECT_TRUE(is_furnished(&self->vm));
	close(fd);
}

TEST_F(window, goes_with_a_larger_range)
{
	char *b = mmap(NULL, (PAGES + 8) * PAGE, PROT_NONE, ANON, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)b);
	ASSERT_EQ(0, munmap(b + 4 * PAGE, PAGES * PAGE));
	ASSERT_EQ(0, munmap(self->base, PAGES * PAGE));
	self->vm.base =
		altvm_window_map(self->fd, b + 4 * PAGE, PAGES * PAGE, RWX);
	ASSERT_EQ(b + 4 * PAGE, self->vm.base);
	ASSERT_EQ(0, furnish(&self->vm));
	ASSERT_EQ(0, munmap(b, (PAGES + 8) * PAGE));
	EXPECT_EQ(SIGSEGV, probe_read(b + 12 * PAGE, NULL, NULL));
	EXPECT_FAIL(ENXIO, vm_munmap(&self->vm, b + 4 * PAGE, PAGE));
}

/*
 * What else the kernel can be told about a range.  The calls may succeed or
 * fail, the memory stays as it was.
 */
TEST_F(window, takes_no_advice)
{
	char *b = self->base;
	size_t len = PAGES * PAGE;
	int advice;

	ASSERT_EQ(0, furnish(&self->vm));
	for (advice = 0; advice < 110; advice++) {
		/* Those destroy memory for good. */
		if (advice == 100 || advice == 101)
			continue;
		madvise(b + 9 * PAGE, 2 * PAGE, advice);
		madvise(b, len, advice);
		ASSERT_TRUE(is_furnished(&self->vm))
		{
			TH_LOG("advice %d", advice);
		}
	}
}

TEST_F(window, other_calls_do_no_harm)
{
	char *b = self->base;
	size_t len = PAGES * PAGE;
	unsigned long nodes = 1;
	unsigned char vec[PAGES];
	int key;

	ASSERT_EQ(0, furnish(&self->vm));
	mlock(b, len);
	mlock(b + 8 * PAGE, PAGE);
	mlock2(b, len, 1);
	munlock(b, len);
	EXPECT_TRUE(is_furnished(&self->vm));
	mlockall(MCL_CURRENT | MCL_FUTURE);
	EXPECT_TRUE(is_furnished(&self->vm));
	munlockall();
	msync(b, len, MS_SYNC);
	msync(b, len, MS_ASYNC | MS_INVALIDATE);
	mincore(b, len, vec);
	EXPECT_TRUE(is_furnished(&self->vm));
	syscall(SYS_mbind, b, len, 2, &nodes, 8, 2);
	syscall(SYS_mbind, b + PAGE, PAGE, 1, &nodes, 8, 2);
	syscall(SYS_migrate_pages, getpid(), 8, &nodes, &nodes);
	EXPECT_TRUE(is_furnished(&self->vm));
	syscall(SYS_remap_file_pages, b, PAGE, 0, 3, 0);
	syscall(SYS_remap_file_pages, b + 8 * PAGE, PAGE, 0, 0, 0);
	syscall(SYS_remap_file_pages, b, len, 0, 0, 0);
	EXPECT_TRUE(is_furnished(&self->vm));
	key = pkey_alloc(0, 0);
	pkey_mprotect(b, len, RWX, key);
	pkey_mprotect(b + 9 * PAGE, PAGE, RW, key);
	pkey_free(key);
	EXPECT_TRUE(is_furnished(&self->vm));
}

static bool read_all(const char *path)
{
	char buf[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return errno == ENOENT;
	do
		ret = read(fd, buf, sizeof(buf));
	while (ret > 0);
	close(fd);
	return !ret;
}

TEST_F(window, proc_files_do_no_harm)
{
	static const char *const files[] = {
		"maps",	  "smaps", "smaps_rollup", "numa_maps",
		"status", "statm", "limits",	   "stat",
	};
	int fd, what;
	size_t i;
	char path[64];

	ASSERT_EQ(0, furnish(&self->vm));
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", files[i]);
		EXPECT_TRUE(read_all(path))
		{
			TH_LOG("%s: %s", path, strerror(errno));
		}
	}
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	EXPECT_TRUE(read_all(path));
	for (what = 1; what <= 5; what++) {
		char c = '0' + what;

		fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
		if (write(fd, &c, 1) != 1)
			TH_LOG("clear_refs %d: %s", what, strerror(errno));
		close(fd);
		EXPECT_TRUE(is_furnished(&self->vm));
	}
}

/* fdinfo has the areas as /proc/PID/maps would have them. */
TEST_F(window, fdinfo_lists_the_areas)
{
	static const struct {
		size_t page, end;
		const char *prot;
	} want[] = {
		{ 8, 10, "rw-p" },  { 10, 11, "r--p" }, { 11, 12, "rw-p" },
		{ 12, 13, "---p" }, { 13, 16, "rw-p" }, { 30, 32, "r-xp" },
	};
	unsigned long start, end;
	char path[64], line[256], prot[8];
	size_t i = 0;
	FILE *f;

	ASSERT_EQ(0, furnish(&self->vm));
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&self->vm, 30, 2, RX));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	f = fopen(path, "re");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %7s", &start, &end, prot) != 3)
			continue;
		ASSERT_GT(ARRAY_SIZE(want), i);
		EXPECT_EQ(want[i].page, (start - (uintptr_t)self->base) / PAGE);
		EXPECT_EQ(want[i].end, (end - (uintptr_t)self->base) / PAGE);
		EXPECT_STREQ(want[i].prot, prot);
		i++;
	}
	EXPECT_EQ(ARRAY_SIZE(want), i);
	fclose(f);
}

static int send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(socket, &msg, 0) == 1 ? 0 : -1;
}

static int receive_fd(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], c;
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(socket, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* The file came from a process whose window it is not ours to touch. */
static int be_stranger(int socket)
{
	struct vm vm = { .ops = &vm_ioctl, .fd = receive_fd(socket) };
	struct altvm_query q;
	unsigned char vec;

	if (vm.fd < 0)
		return 1;
	if (altvm_ioctl_query(vm.fd, &q) || q.window_addr || q.window_len)
		return 2;
	if (ERRNO_OF(vm_mmap(&vm, NULL, PAGE, RW, ANON)) != ENXIO ||
	    ERRNO_OF(vm_munmap(&vm, NULL, PAGE)) != ENXIO ||
	    ERRNO_OF(vm_mprotect(&vm, NULL, PAGE, RW)) != ENXIO ||
	    ERRNO_OF(vm_mincore(&vm, NULL, PAGE, &vec)) != ENXIO)
		return 3;
	/* But it can have its own. */
	vm.len = PAGES * PAGE;
	vm.base = altvm_window_map(vm.fd, NULL, vm.len, RWX);
	if (vm.base == MAP_FAILED)
		return 4;
	if (vm_areas(&vm) || !probe_read(vm.base + 8 * PAGE, NULL, NULL))
		return 5;
	if (furnish(&vm) || !is_furnished(&vm))
		return 6;
	/* It leaves with all of it in use. */
	return 0;
}

TEST(passed_to_a_stranger)
{
	int sockets[2], status;
	struct vm vm;
	pid_t pid;

	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = fork();
	if (!pid)
		_exit(be_stranger(sockets[1]));
	ASSERT_EQ(0, vm_open(&vm, &vm_ioctl, PAGES * PAGE));
	ASSERT_EQ(0, furnish(&vm));
	ASSERT_EQ(0, send_fd(sockets[0], vm.fd));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(is_furnished(&vm));
	vm_close(&vm);
}

TEST_F(window, opened_again_through_proc)
{
	struct vm vm = { .ops = &vm_ioctl, .len = PAGES * PAGE };
	char path[64];

	ASSERT_EQ(0, furnish(&self->vm));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	vm.fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, vm.fd);
	EXPECT_FAIL(ENXIO, vm_mmap(&vm, NULL, PAGE, RW, ANON));
	vm.base = altvm_window_map(vm.fd, NULL, vm.len, RWX);
	ASSERT_NE(MAP_FAILED, (void *)vm.base);
	ASSERT_EQ(0, furnish(&vm));
	EXPECT_TRUE(is_furnished(&vm));
	vm_close(&vm);
	EXPECT_TRUE(is_furnished(&self->vm));
}

static volatile bool stop;
static volatile long accesses, calls, lost;

static void *keep_touching(void *arg)
{
	struct vm *vm = arg;
	struct rng rng = { .state = (uintptr_t)&rng };

	while (!stop) {
		probe_rewrite(vm->base + rng_below(&rng, PAGES) * PAGE, NULL);
		accesses++;
	}
	return NULL;
}

static void *keep_calling(void *arg)
{
	struct vm *vm = arg;
	struct rng rng = { .state = (uintptr_t)&rng };
	unsigned char vec[PAGES];

	while (!stop) {
		char *p = vm->base + rng_below(&rng, PAGES - 8) * PAGE;

		switch (rng_below(&rng, 4)) {
		case 0:
			if (vm_mmap(vm, p, 8 * PAGE, RW,
				    ANON | MAP_FIXED | MAP_POPULATE) ==
			    MAP_FAILED)
				lost += errno != ENXIO;
			break;
		case 1:
			if (vm_munmap(vm, p, 4 * PAGE))
				lost += errno != ENXIO;
			break;
		case 2:
			if (vm_mprotect(vm, p, 2 * PAGE, PROT_READ))
				lost += errno != ENXIO && errno != ENOMEM;
			break;
		default:
			if (vm_mincore(vm, p, 8 * PAGE, vec))
				lost += errno != ENXIO && errno != ENOMEM;
		}
		calls++;
	}
	return NULL;
}

TEST_F_TIMEOUT(window, is_unmapped_under_its_users, SLOW)
{
	pthread_t thread[4];
	struct timespec t = { .tv_nsec = 2000000 };
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0,
			  pthread_create(&thread[i], NULL,
					 i & 1 ? keep_touching : keep_calling,
					 &self->vm));
	for (i = 0; i < scaled(150); i++) {
		t.tv_nsec = i % 5 * 1000000;
		nanosleep(&t, NULL);
		ASSERT_EQ(0, munmap(self->base, PAGES * PAGE));
		ASSERT_EQ(self->base, altvm_window_map(self->fd, self->base,
						       PAGES * PAGE, RWX));
	}
	await_first(accesses);
	await_first(calls);
	stop = true;
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(0, lost);
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base, PAGES * PAGE));
	ASSERT_EQ(0, furnish(&self->vm));
	EXPECT_TRUE(is_furnished(&self->vm));
}

/* A process goes with threads in the middle of everything. */
TEST_F_TIMEOUT(window, its_process_exits_under_its_users, SLOW)
{
	int i, k, status;

	for (i = 0; i < scaled(20); i++) {
		pid_t pid = fork();
		pthread_t thread;

		ASSERT_LE(0, pid);
		if (!pid) {
			for (k = 0; k < 4; k++)
				pthread_create(&thread, NULL,
					       k & 1 ? keep_touching :
						       keep_calling,
					       &self->vm);
			usleep(i * 500);
			_exit(0);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
	}
}

/*
 * A window is a terabyte of mostly nothing: a core dump must neither take for
 * ever nor be as large.
 */
TEST(core_dump_is_small_and_quick)
{
	struct rlimit rlimit = { RLIM_INFINITY, RLIM_INFINITY };
	char pattern[128] = "", path[64] = "/tmp/altvm-core.XXXXXX";
	struct dirent *d;
	long size = 0;
	int fd, status;
	struct vm vm;
	DIR *dir;
	pid_t pid;

	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, pattern, sizeof(pattern) - 1) <= 0 ||
	    pattern[0] == '|' || pattern[0] == '/')
		SKIP(return, "no core files");
	close(fd);
	ASSERT_NE(NULL, mkdtemp(path));
	pid = fork();
	if (!pid) {
		if (chdir(path) || setrlimit(RLIMIT_CORE, &rlimit) ||
		    vm_open(&vm, &vm_ioctl, TiB) || furnish(&vm))
			_exit(1);
		abort();
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(SIGABRT, status & 0x7f);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		char file[400];
		int core;

		snprintf(file, sizeof(file), "%s/%s", path, d->d_name);
		core = open(file, O_RDONLY | O_CLOEXEC);
		if (d->d_name[0] != '.') {
			size += lseek(core, 0, SEEK_END);
			unlink(file);
		}
		close(core);
	}
	closedir(dir);
	rmdir(path);
	EXPECT_LT(size, 256 * MiB);
}

TEST_HARNESS_MAIN
