// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses to a zone's memory other than a thread's own plain ones (of which
 * oracle.c makes many): by the kernel, by other processes, by devices; and how
 * a process dies of a denied one.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "fixture.h"

#define PAGES 64

VM_FIXTURE(fault, PAGES);

/* Each gives the kernel @len bytes at @buf; its result, or -errno. */

static long by_pipe_write(char *buf, size_t len)
{
	int fds[2];
	long ret;

	if (pipe(fds))
		return -EIO;
	ret = write(fds[1], buf, len);
	ret = ret < 0 ? -errno : ret;
	close(fds[0]);
	close(fds[1]);
	return ret;
}

static long by_pipe_read(char *buf, size_t len)
{
	static char full[2 * PAGE];
	int fds[2];
	long ret;

	memset(full, 0xab, sizeof(full));
	if (pipe(fds) || write(fds[1], full, len) != (long)len)
		return -EIO;
	ret = read(fds[0], buf, len);
	ret = ret < 0 ? -errno : ret;
	close(fds[0]);
	close(fds[1]);
	return ret;
}

static long by_vmsplice(char *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	int fds[2];
	long ret;

	if (pipe(fds))
		return -EIO;
	ret = vmsplice(fds[1], &iov, 1, 0);
	ret = ret < 0 ? -errno : ret;
	close(fds[0]);
	close(fds[1]);
	return ret;
}

static long by_file_write(char *buf, size_t len)
{
	int fd = memfd_create("altvm-test", MFD_CLOEXEC);
	long ret = write(fd, buf, len);

	ret = ret < 0 ? -errno : ret;
	close(fd);
	return ret;
}

static long by_file_read(char *buf, size_t len)
{
	int fd = memfd_create("altvm-test", MFD_CLOEXEC);
	long ret;

	if (fd < 0 || ftruncate(fd, len))
		return -EIO;
	ret = pread(fd, buf, len, 0);
	ret = ret < 0 ? -errno : ret;
	close(fd);
	return ret;
}

static long by_readv(char *buf, size_t len)
{
	struct iovec iov[2] = {
		{ .iov_base = buf, .iov_len = len / 3 },
		{ .iov_base = buf + len / 3, .iov_len = len - len / 3 },
	};
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	long ret = readv(fd, iov, 2);

	ret = ret < 0 ? -errno : ret;
	close(fd);
	return ret;
}

static long by_getrandom(char *buf, size_t len)
{
	long ret = getrandom(buf, len, GRND_INSECURE);

	/* What it wrote is not the same twice. */
	if (ret > 0)
		memset(buf, 0, ret);
	return ret < 0 ? -errno : ret;
}

static long by_socket(char *buf, size_t len)
{
	int fds[2];
	long ret;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return -EIO;
	ret = send(fds[0], buf, len, 0);
	ret = ret < 0 ? -errno : ret;
	close(fds[0]);
	close(fds[1]);
	return ret;
}

static long by_path(char *buf, size_t len)
{
	/* A string that goes on to the end of what can be read. */
	(void)len;
	return access(buf, F_OK) ? -errno : 0;
}

static long by_stat(char *buf, size_t len)
{
	(void)len;
	return fstat(0, (struct stat *)buf) ? -errno : 0;
}

static long by_clock(char *buf, size_t len)
{
	/* The same at all times, also if only a part of it could be written. */
	long ret = syscall(SYS_clock_getres, CLOCK_MONOTONIC, buf + len - 16);

	return ret ? -errno : 0;
}

static char other[2 * PAGE];

static long by_vm_readv(char *buf, size_t len)
{
	struct iovec local = { .iov_base = other, .iov_len = len };
	struct iovec remote = { .iov_base = buf, .iov_len = len };
	long ret = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	return ret < 0 ? -errno : ret;
}

static long by_vm_writev(char *buf, size_t len)
{
	struct iovec local = { .iov_base = other, .iov_len = len };
	struct iovec remote = { .iov_base = buf, .iov_len = len };
	long ret = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);

	return ret < 0 ? -errno : ret;
}

static long by_mem_read(char *buf, size_t len)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	long ret = pread(fd, other, len, (uintptr_t)buf);

	ret = ret < 0 ? -errno : ret;
	close(fd);
	return ret;
}

static long by_mem_write(char *buf, size_t len)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	long ret;

	memset(other, 0x5c, sizeof(other));
	ret = pwrite(fd, other, len, (uintptr_t)buf);
	ret = ret < 0 ? -errno : ret;
	close(fd);
	return ret;
}

static const struct {
	const char *name;
	long (*call)(char *buf, size_t len);
} by_kernel[] = {
	{ "write to a pipe", by_pipe_write },
	{ "read of a pipe", by_pipe_read },
	{ "vmsplice", by_vmsplice },
	{ "write to a file", by_file_write },
	{ "read of a file", by_file_read },
	{ "readv of /dev/zero", by_readv },
	{ "getrandom", by_getrandom },
	{ "send", by_socket },
	{ "a path", by_path },
	{ "fstat", by_stat },
	{ "clock_getres", by_clock },
	{ "process_vm_readv", by_vm_readv },
	{ "process_vm_writev", by_vm_writev },
	{ "read of /proc/self/mem", by_mem_read },
	{ "write to /proc/self/mem", by_mem_write },
};

/* Two pages with these protections, -1 for a hole. */
static const struct {
	int prot[2];
	bool touched;
} pairs[] = {
	{ { RW, RW }, false },	     { { RW, RW }, true },
	{ { RW, -1 }, true },	     { { RW, -1 }, false },
	{ { RW, PROT_NONE }, true }, { { RW, PROT_NONE }, false },
	{ { RW, PROT_READ }, true }, { { RW, PROT_READ }, false },
	{ { PROT_READ, RW }, true }, { { PROT_READ, RW }, false },
	{ { PROT_READ, -1 }, true }, { { RX, PROT_NONE }, true },
	{ { PROT_NONE, RW }, true }, { { -1, RW }, true },
	{ { -1, -1 }, false },
};

/* All that is seen of a kernel access: its result, and a sum of the memory. */
struct seen {
	long ret;
	uint64_t sum;
};

static uint64_t sum_of(struct vm *vm)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < 2; i++) {
		char *p = vm->base + (8 + i) * PAGE;
		size_t k;

		/* Those that cannot be read now may hide a change. */
		vm_mprotect(vm, p, PAGE, PROT_READ);
		if (probe_read(p, NULL, NULL))
			continue;
		for (k = 0; k < PAGE; k++)
			sum = sum * 31 + (unsigned char)p[k];
	}
	return sum;
}

static int set_up(struct vm *vm, size_t pair)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		char *p = vm->base + (8 + i) * PAGE;
		int prot = pairs[pair].prot[i];

		if (vm_munmap(vm, p, PAGE))
			return -1;
		if (prot < 0)
			continue;
		if (vm_map_at(vm, 8 + i, 1, RW) == MAP_FAILED)
			return -1;
		if (pairs[pair].touched)
			memset(p, '/', PAGE);
		if (vm_mprotect(vm, p, PAGE, prot))
			return -1;
	}
	return 0;
}

static const size_t offsets[] = { 0, 1, 100, 2048, PAGE - 8, PAGE - 1 };

/* The access, its result and what it left, at several offsets. */
static int see(struct vm *vm, size_t how, size_t pair, struct seen *seen)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		char *buf = vm->base + 8 * PAGE + offsets[i];
		size_t len = 2 * PAGE - 2 * offsets[i];

		if (set_up(vm, pair))
			return -1;
		if (len < 16)
			len = 16;
		seen[i].ret = by_kernel[how].call(buf, len);
		seen[i].sum = sum_of(vm);
	}
	return 0;
}

FIXTURE(kernel)
{
	struct vm native;
	struct vm vm;
};

FIXTURE_SETUP(kernel)
{
	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	ASSERT_EQ(0, vm_open(&self->native, &vm_native, PAGES * PAGE));
	ASSERT_EQ(0, vm_open(&self->vm, &vm_ioctl, PAGES * PAGE));
}

FIXTURE_TEARDOWN(kernel)
{
	vm_close(&self->vm);
}

TEST_F_TIMEOUT(kernel, reads_and_writes_as_natively, SLOW)
{
	struct seen want[ARRAY_SIZE(offsets)], got[ARRAY_SIZE(offsets)];
	size_t how, pair, i;

	for (how = 0; how < ARRAY_SIZE(by_kernel); how++) {
		for (pair = 0; pair < ARRAY_SIZE(pairs); pair++) {
			ASSERT_EQ(0, see(&self->native, how, pair, want));
			ASSERT_EQ(0, see(&self->vm, how, pair, got));
			for (i = 0; i < ARRAY_SIZE(offsets); i++) {
				EXPECT_EQ(want[i].ret, got[i].ret)
				{
					TH_LOG("%s, pair %zu, offset %zu",
					       by_kernel[how].name, pair,
					       offsets[i]);
				}
				EXPECT_EQ(want[i].sum, got[i].sum)
				{
					TH_LOG("contents: %s, pair %zu, offset %zu",
					       by_kernel[how].name, pair,
					       offsets[i]);
				}
			}
		}
	}
}

/* Another process with a zone in it, stopped, to be looked at from here. */
struct patient {
	char *base;
	bool ok;
};

enum {
	P_RW,
	P_READ,
	P_NONE,
	P_UNTOUCHED,
	P_UNTOUCHED_READ,
	P_HOLE,
	P_CODE,
	NR_P
};

static void be_patient(const struct vm_ops *ops, struct patient *shared)
{
	static const int prot[NR_P] = {
		RW, PROT_READ, PROT_NONE, RW, PROT_READ, -1, RX,
	};
	struct vm vm;
	int i;

	if (vm_open(&vm, ops, PAGES * PAGE))
		_exit(1);
	for (i = 0; i < NR_P; i++) {
		char *p = vm.base + (1 + 2 * i) * PAGE;

		if (prot[i] < 0)
			continue;
		if (vm_map_at(&vm, 1 + 2 * i, 1, RW) == MAP_FAILED)
			_exit(1);
		if (i != P_UNTOUCHED && i != P_UNTOUCHED_READ)
			memset(p, 0x60 + i, PAGE);
		if (vm_mprotect(&vm, p, PAGE, prot[i]))
			_exit(1);
	}
	shared->base = vm.base;
	shared->ok = true;
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	/* What was poked through a denied protection is really there. */
	for (i = 0; i < NR_P; i++) {
		uint64_t value;

		if (prot[i] >= 0 &&
		    vm_mprotect(&vm, vm.base + (1 + 2 * i) * PAGE, PAGE,
				PROT_READ))
			_exit(1);
		shared->ok = false;
		if (!probe_read(vm.base + (1 + 2 * i) * PAGE + 64, &value,
				NULL))
			((uint64_t *)(shared + 1))[i] = value;
	}
	shared->ok = true;
	_exit(0);
}

#define NR_SEEN 128

/* Everything that can be done to a patient; the results go to @seen. */
static int examine(const struct vm_ops *ops, long *seen)
{
	struct patient *p =
		mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char buf[64], path[64];
	pid_t pid;
	int i, status, fd, ret = -1;
	long *end = seen;

	pid = fork();
	if (!pid)
		be_patient(ops, p);
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) || !p->ok) {
		fprintf(stderr, "# patient: status %#x\n", status);
		goto out;
	}
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (i = 0; i < NR_P; i++) {
		char *addr = p->base + (1 + 2 * i) * PAGE;
		struct iovec local = { .iov_base = buf, .iov_len = 64 };
		struct iovec remote = { .iov_base = addr, .iov_len = 64 };

		errno = 0;
		*end++ = ptrace(PTRACE_PEEKDATA, pid, addr, NULL);
		*end++ = errno;
		*end++ = process_vm_readv(pid, &local, 1, &remote, 1, 0);
		*end++ = pread(fd, buf, 64, (uintptr_t)addr);
		memset(buf, 0x20 + i, sizeof(buf));
		*end++ = process_vm_writev(pid, &local, 1, &remote, 1, 0);
		*end++ = ptrace(PTRACE_POKEDATA, pid, addr + 64, 0x1234567 + i);
		*end++ = pwrite(fd, buf, 64, (uintptr_t)addr + 128);
		/* Over the edge of the page, into a hole. */
		*end++ = pread(fd, buf, 64, (uintptr_t)addr + PAGE - 32);
		remote.iov_base = addr + PAGE - 32;
		*end++ = process_vm_readv(pid, &local, 1, &remote, 1, 0);
		errno = 0;
		*end++ = ptrace(PTRACE_PEEKDATA, pid, addr + PAGE - 4, NULL);
		*end++ = errno;
		errno = 0;
		*end++ = ptrace(PTRACE_PEEKDATA, pid, addr, NULL);
		*end++ = errno;
	}
	close(fd);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	    !WEXITSTATUS(status) && p->ok)
		ret = 0;
	else
		fprintf(stderr, "# patient: end %#x\n", status);
	for (i = 0; i < NR_P; i++)
		*end++ = ((uint64_t *)(p + 1))[i];
out:
	munmap(p, PAGE);
	return ret;
}

TEST(other_processes_as_natively)
{
	long want[NR_SEEN] = {}, got[NR_SEEN] = {};
	int i;

	ASSERT_EQ(0, examine(&vm_native, want));
	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	ASSERT_EQ(0, examine(&vm_ioctl, got));
	for (i = 0; i < NR_SEEN; i++) {
		EXPECT_EQ(want[i], got[i])
		{
			TH_LOG("page kind %d, result %d", i / 13, i % 13);
		}
	}
}

/* The page that a device or a pipe holds stays as it is after munmap. */
TEST_F(fault, a_spliced_page_outlives_its_mapping)
{
	char *p = vm_map_at(&self->vm, 8, 4, RW);
	struct iovec iov = { .iov_base = p, .iov_len = 4 * PAGE };
	static char buf[4 * PAGE];
	int fds[2];
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(p, 0x31, 4 * PAGE);
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(4 * PAGE, vmsplice(fds[1], &iov, 1, 0));
	ASSERT_EQ(0, vm_munmap(&self->vm, p, 4 * PAGE));
	/* New pages, which must not be the same. */
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, PAGES, RW));
		memset(self->base, 0x32, PAGES * PAGE);
		ASSERT_EQ(0, vm_munmap(&self->vm, self->base, PAGES * PAGE));
	}
	ASSERT_EQ(4 * PAGE, read(fds[0], buf, sizeof(buf)));
	for (i = 0; i < sizeof(buf); i++)
		ASSERT_EQ(0x31, buf[i]);
}

/* A file that takes O_DIRECT, or -1. */
static int open_direct(void)
{
	static const char *const dirs[] = { "/mnt/ext4", "/var/tmp", "." };
	char path[64];
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "%s/altvm-fault.%d", dirs[i],
			 getpid());
		fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
		unlink(path);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

TEST_F(fault, direct_io)
{
	const size_t len = 8 * PAGE;
	char *p = vm_map_at(&self->vm, 8, 16, RW);
	int fd = open_direct();
	ssize_t got;
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	if (fd < 0)
		SKIP(return, "no file system for O_DIRECT");
	for (i = 0; i < len; i++)
		p[i] = i % 251;
	ASSERT_EQ(len, pwrite(fd, p, len, 0));
	/* Into pages that nobody has touched, over the edge of two areas. */
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 12 * PAGE, PAGE, RWX));
	ASSERT_EQ(len, pread(fd, p + len, len, 0));
	EXPECT_EQ(0, memcmp(p, p + len, len));
	/* From memory that may only be read, and into it. */
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, len, PROT_READ));
	EXPECT_EQ(len, pwrite(fd, p, len, len));
	EXPECT_FAIL(EFAULT, pread(fd, p, len, 0));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, len, PROT_NONE));
	EXPECT_FAIL(EFAULT, pwrite(fd, p, len, 0));
	EXPECT_FAIL(EFAULT, pwrite(fd, self->base + 40 * PAGE, len, 0));
	/* Half of it is there: file systems differ in what they say. */
	got = pread(fd, p + 12 * PAGE, len, 0);
	EXPECT_TRUE(got == -1 || got == 4 * PAGE);
	close(fd);
}

static long futex(void *addr, int op, uint32_t value, struct timespec *t)
{
	return syscall(SYS_futex, addr, op, value, t, NULL, 0);
}

struct waiter {
	pthread_t thread;
	uint32_t *word;
	int op;
	long ret;
	int err;
};

static void *wait_on_futex(void *arg)
{
	struct timespec t = { .tv_sec = SLOW };
	struct waiter *w = arg;

	/* Until the word says that it is over; a wake may come too early. */
	while (__atomic_load_n(w->word, __ATOMIC_SEQ_CST) == 1) {
		w->ret = futex(w->word, w->op, 1, &t);
		w->err = errno;
		if (w->ret && w->err != EAGAIN && w->err != EINTR)
			break;
		w->ret = 0;
	}
	return NULL;
}

static void run_futex(struct __test_metadata *_metadata, void *page, int flag)
{
	struct waiter w = { .word = page, .op = FUTEX_WAIT | flag };
	struct timespec t = { .tv_nsec = 1000 };
	long woken = 0, i;

	*w.word = 1;
	EXPECT_FAIL(EAGAIN, futex(page, FUTEX_WAIT | flag, 2, NULL));
	EXPECT_FAIL(ETIMEDOUT, futex(page, FUTEX_WAIT | flag, 1, &t));
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, wait_on_futex, &w));
	for (i = 0; i < 100000 && woken < 1; i++) {
		woken = futex(page, FUTEX_WAKE | flag, 1, NULL);
		if (!woken)
			usleep(100);
	}
	EXPECT_EQ(1, woken)
	{
		TH_LOG("FUTEX_WAKE: %s", strerror(errno));
	}
	*w.word = 0;
	futex(page, FUTEX_WAKE | flag, 1, NULL);
	pthread_join(w.thread, NULL);
	EXPECT_EQ(0, w.ret)
	{
		TH_LOG("FUTEX_WAIT: %s", strerror(w.err));
	}
}

TEST_F_TIMEOUT(fault, private_futex, SLOW)
{
	char *p = vm_map_at(&self->vm, 8, 1, RW);

	ASSERT_NE(MAP_FAILED, (void *)p);
	run_futex(_metadata, p, FUTEX_PRIVATE_FLAG);
}

TEST_F_TIMEOUT(fault, shared_futex, SLOW)
{
	char *p = vm_map_at(&self->vm, 8, 1, RW);

	ASSERT_NE(MAP_FAILED, (void *)p);
	run_futex(_metadata, p, 0);
}

TEST_F(fault, futex_in_denied_memory)
{
	char *p = vm_map_at(&self->vm, 8, 3, RW);

	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(p, 0, 3 * PAGE);
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, PAGE, PROT_NONE));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + PAGE, PAGE, PROT_READ));
	EXPECT_FAIL(EFAULT, futex(p, FUTEX_WAIT_PRIVATE, 1, NULL));
	EXPECT_FAIL(EAGAIN, futex(p + PAGE, FUTEX_WAIT_PRIVATE, 1, NULL));
	EXPECT_FAIL(EFAULT, futex(self->base, FUTEX_WAIT_PRIVATE, 1, NULL));
	/* This one writes. */
	EXPECT_FAIL(EFAULT, futex(p + PAGE, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	EXPECT_EQ(0, futex(p + 2 * PAGE, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	EXPECT_EQ(0, futex(p + 2 * PAGE, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL));
}

static void *touch_stack(void *arg)
{
	volatile char frame[64 << 10];
	size_t i;

	for (i = 0; i < sizeof(frame); i += PAGE)
		frame[i] = 1;
	return arg;
}

/* The kernel's last write for a thread, and the wake for join, go there. */
TEST_F(fault, a_thread_has_its_stack_there)
{
	const size_t len = 48 * PAGE;
	pthread_attr_t attr;
	pthread_t thread;
	void *ret;
	int i;

	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&self->vm, 0, 48, RW));
	pthread_attr_init(&attr);
	ASSERT_EQ(0, pthread_attr_setstack(&attr, self->base, len));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, pthread_create(&thread, &attr, touch_stack,
					    self->base));
		ASSERT_EQ(0, pthread_join(thread, &ret));
		ASSERT_EQ((void *)self->base, ret);
	}
}

TEST_F(fault, runs_code)
{
	/* mov $imm32, %eax; ret */
	static const unsigned char code[] = { 0xb8, 0, 0, 0, 0, RET_INSN };
	char *p = vm_map_at(&self->vm, 8, 2, RW);
	int (*f)(void);
	int i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	/* Over the edge of two pages. */
	p += PAGE - 3;
	f = (int (*)(void))(uintptr_t)p;
	for (i = 1; i < 200; i++) {
		ASSERT_EQ(0, vm_mprotect(&self->vm, self->base + 8 * PAGE,
					 2 * PAGE, i % 3 ? RW : RWX));
		memcpy(p, code, sizeof(code));
		memcpy(p + 1, &i, sizeof(i));
		ASSERT_EQ(0, vm_mprotect(&self->vm, self->base + 8 * PAGE,
					 2 * PAGE, RX));
		ASSERT_EQ(i, f());
		ASSERT_EQ(SIGSEGV, probe_rewrite(p, NULL));
	}
}

TEST_F(fault, execve_with_all_arguments_there)
{
	char *p = vm_map_at(&self->vm, 8, 2, RW);
	char **argv = (char **)p, **envp = argv + 8;
	char *text = p + PAGE - 6;
	int status;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)p);
	argv[0] = strcpy(text, "/bin/sh");
	argv[1] = strcpy(text + 16, "-c");
	argv[2] = strcpy(text + 32, "exit $CODE");
	envp[0] = strcpy(text + 64, "CODE=42");
	pid = vfork();
	if (!pid) {
		execve(argv[0], argv, envp);
		_exit(127);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(42, WEXITSTATUS(status));
}

/*
 * Deaths.  In a child: the signal's action or mask is as named, and then the
 * access must kill with SIGSEGV and not be swallowed, or repeated for ever.
 */
enum reaction {
	BY_DEFAULT,
	IGNORED,
	BLOCKED,
	BLOCKED_WITH_HANDLER,
	HANDLER_WITHOUT_STACK,
	FIRST_OF_A_NAMESPACE,
	NR_REACTIONS
};

static void on_segv(int sig)
{
	_exit(100 + sig);
}

static void react(struct vm *vm, enum reaction how)
{
	stack_t stack = { .ss_sp = vm->base + 40 * PAGE, .ss_size = 16 * PAGE };
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	if (how == IGNORED)
		action.sa_handler = SIG_IGN;
	if (how == BLOCKED_WITH_HANDLER)
		action.sa_handler = on_segv;
	if (how == BLOCKED || how == BLOCKED_WITH_HANDLER)
		sigprocmask(SIG_BLOCK, &set, NULL);
	if (how == HANDLER_WITHOUT_STACK) {
		/* A stack for the handler where nothing is. */
		action.sa_handler = on_segv;
		action.sa_flags = SA_ONSTACK;
		sigaltstack(&stack, NULL);
	}
	sigaction(SIGSEGV, &action, NULL);
}

static void die(const struct vm_ops *ops, enum reaction how, int prot,
		enum access access)
{
	volatile char *addr;
	struct vm vm;

	if (vm_open(&vm, ops, PAGES * PAGE))
		_exit(1);
	addr = vm.base + 8 * PAGE;
	if (prot >= 0) {
		if (vm_map_at(&vm, 8, 1, RW) == MAP_FAILED)
			_exit(2);
		*addr = (char)RET_INSN;
		if (vm_mprotect(&vm, (void *)addr, PAGE, prot))
			_exit(3);
	}
	react(&vm, how);
	switch (access) {
	case ACCESS_READ:
		(void)*addr;
		break;
	case ACCESS_WRITE:
		*addr = 1;
		break;
	default:
		((void (*)(void))(uintptr_t)addr)();
	}
	_exit(0);
}

/* The status, as of waitpid(); -1 for an error. */
static int death(const struct vm_ops *ops, enum reaction how, int prot,
		 enum access access)
{
	int status, i;
	pid_t pid;

	if (how == FIRST_OF_A_NAMESPACE)
		pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL,
			      NULL, 0);
	else
		pid = fork();
	if (pid < 0)
		return -1;
	if (!pid)
		die(ops, how, prot, access);
	/* Without an end, it is the endless loop of a repeated access. */
	for (i = 0; i < 20000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(1000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -2;
}

TEST_F_TIMEOUT(fault, kills, SLOW)
{
	static const struct {
		int prot;
		enum access access;
	} t[] = {
		{ -1, ACCESS_READ },	     { -1, ACCESS_WRITE },
		{ -1, ACCESS_EXEC },	     { PROT_NONE, ACCESS_READ },
		{ PROT_NONE, ACCESS_WRITE }, { PROT_READ, ACCESS_WRITE },
		{ RW, ACCESS_EXEC },
	};
	int how;
	size_t i;

	for (how = 0; how < NR_REACTIONS; how++) {
		for (i = 0; i < ARRAY_SIZE(t); i++) {
			int status = death(self->vm.ops, how, t[i].prot,
					   t[i].access);

			/* No PID namespaces in this kernel. */
			if (status == -1 && how == FIRST_OF_A_NAMESPACE)
				break;
			EXPECT_EQ(SIGSEGV, status & 0x7f)
			{
				TH_LOG("status %#x, reaction %d, prot %d, access %d",
				       status, how, t[i].prot, t[i].access);
			}
		}
	}
}

static struct vm *handler_vm;
static volatile int handled;
static char *volatile handler_stack;

/* The page that was denied becomes accessible, and the access goes on. */
static void open_page(int sig, siginfo_t *info, void *context)
{
	char here;

	(void)sig;
	(void)context;
	handler_stack = &here;
	if (++handled > 100)
		_exit(9);
	vm_mprotect(handler_vm, (void *)((uintptr_t)info->si_addr & -PAGE),
		    PAGE, RW);
}

/* Where only reading is allowed. */
static void copy_in_place(struct __test_metadata *_metadata, struct vm *vm,
			  int flags)
{
	char *p = vm_mmap(vm, vm->base, 2 * PAGE, RW, flags | MAP_FIXED);
	struct fault f;
	int i;

	ASSERT_NE(MAP_FAILED, p);
	memset(p, 7, PAGE);
	ASSERT_EQ(0, vm_mprotect(vm, p, 2 * PAGE, PROT_READ));
	for (i = 0; i < 4; i++) {
		char *at = p + (i & 1) * PAGE + 80;

		EXPECT_EQ(SIGSEGV, probe_copy(at, &f));
		EXPECT_EQ(SEGV_ACCERR, f.code);
		EXPECT_EQ((uintptr_t)at, f.addr);
		EXPECT_EQ((uintptr_t)at, f.cr2);
		EXPECT_EQ(7, f.err);
		/* The kernel's own accesses are still told of by an error. */
		EXPECT_EQ(-EFAULT, by_file_read(at, 8));
		EXPECT_EQ(-EFAULT, by_pipe_read(at, 8));
	}
	ASSERT_EQ(0, vm_mprotect(vm, p, 2 * PAGE, RW));
	EXPECT_EQ(0, probe_copy(p + 80, &f));
	EXPECT_EQ(7, p[80]);
}

/* The read is allowed, and brings a page; the write to it is not. */
TEST_F(fault, by_an_instruction_that_reads_before_it_writes)
{
	copy_in_place(_metadata, &self->vm, MAP_PRIVATE | MAP_ANONYMOUS);
	copy_in_place(_metadata, &self->vm, MAP_SHARED | MAP_ANONYMOUS);
}

/* What a garbage collector does with its barriers. */
TEST_F(fault, goes_on_after_the_handler)
{
	static const struct sigaction action = {
		.sa_sigaction = open_page,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	stack_t stack = { .ss_size = 16 * PAGE };
	char *p = vm_map_at(&self->vm, 8, 8, RW);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	stack.ss_sp = vm_map_at(&self->vm, 40, 16, RW);
	ASSERT_EQ(0, sigaltstack(&stack, NULL));
	ASSERT_EQ(0, sigaction(SIGSEGV, &action, NULL));
	handler_vm = &self->vm;
	memset(p, 7, 8 * PAGE);
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, 4 * PAGE, PROT_NONE));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 4 * PAGE, 4 * PAGE, PROT_READ));
	for (i = 0; i < 8; i++)
		*(volatile char *)(p + i * PAGE + 9) += i;
	EXPECT_EQ(8, handled);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(7 + i, p[i * PAGE + 9]);
	EXPECT_TRUE(handler_stack >= (char *)stack.ss_sp &&
		    handler_stack < (char *)stack.ss_sp + stack.ss_size);
}

/* pagemap's bit 63 says what the page tables have. */
TEST_F(fault, pagemap_agrees_with_mincore)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	char *p = vm_map_at(&self->vm, 8, 8, RW);
	uint64_t entry[8];
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_LE(0, fd);
	for (i = 0; i < 8; i += 3)
		p[i * PAGE] = 1;
	ASSERT_EQ(sizeof(entry), pread(fd, entry, sizeof(entry),
				       (uintptr_t)p / PAGE * sizeof(entry[0])));
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(i % 3 == 0, entry[i] >> 63);
		EXPECT_EQ(i % 3 == 0, vm_resident(&self->vm, p + i * PAGE));
	}
	close(fd);
}

TEST_HARNESS_MAIN
