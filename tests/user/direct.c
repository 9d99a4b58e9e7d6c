// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of each kind as a buffer: of devices, that pin its pages; of pipes, that
 * keep them; and of other processes.
 */
#include <linux/io_uring.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "child.h"
#include "fixture.h"
#include "heldio.h"
#include "memory.h"

#define EACH 16
/* At the end there is a hole. */
#define ZONE (NR_MEMORY * EACH + 8)

VM_FIXTURE(direct, ZONE);

static char *place_of(struct vm *vm, enum memory m)
{
	return vm_page(vm, m * EACH);
}

/* Maps @m with protection @prot; its file holds 'f'.  The file, or -1. */
static int furnish_in(const char *dir, struct vm *vm, enum memory m, int prot)
{
	int fd = nameless_file(dir, ZONE * PAGE);
	char page[PAGE];
	size_t i;

	memset(page, 'f', PAGE);
	for (i = 0; i < EACH; i++)
		if (pwrite(fd, page, PAGE, (m * EACH + i) * PAGE) != PAGE)
			return -1;
	if (memory_map(vm, m, m * EACH, EACH, prot, fd) == MAP_FAILED)
		return -1;
	return fd;
}

static int furnish(struct vm *vm, enum memory m, int prot)
{
	return furnish_in(files_dir(), vm, m, prot);
}

/* What untouched memory holds. */
static char initial(enum memory m)
{
	return memory_is_file(m) ? 'f' : 0;
}

static char byte_of_file(int fd, enum memory m, size_t page)
{
	char c = '?';

	if (pread(fd, &c, 1, (m * EACH + page) * PAGE) != 1)
		return '?';
	return c;
}

static bool all_are(const char *p, char c, size_t len)
{
	return p[0] == c && !memcmp(p, p + 1, len - 1);
}

static const char *const disks[] = { "/mnt/ext4", "/mnt/xfs", "/mnt/btrfs",
				     "/var/tmp" };

/* A file that takes O_DIRECT on one of those, with 'd' in its first 8 pages. */
static int open_direct(const char *dir)
{
	char path[64], page[PAGE];
	int fd = nameless_file(dir, 16 * PAGE);
	int direct, i;

	if (fd < 0)
		return -1;
	memset(page, 'd', PAGE);
	for (i = 0; i < 8; i++)
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			abort();
	fsync(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	close(fd);
	return direct;
}

static void check_disk(struct __test_metadata *_metadata, struct vm *vm,
		       enum memory m, const char *dir)
{
	static __attribute__((aligned(PAGE))) char buf[8 * PAGE];
	const size_t len = 8 * PAGE;
	int disk = open_direct(dir);
	int fd = furnish_in(dir, vm, m, RW);
	char *p = place_of(vm, m);

	ASSERT_LE(0, fd);
	/* A few are not there yet, some are, and some are only read. */
	p[0] = 'x';
	EXPECT_EQ(initial(m), p[3 * PAGE]);
	EXPECT_EQ(len, pread(disk, p, len, 0));
	EXPECT_TRUE(all_are(p, 'd', len))
	{
		TH_LOG("%s, %s", memory_name(m), dir);
	}
	EXPECT_EQ(initial(m), p[8 * PAGE]);
	EXPECT_EQ(m == SHARED_FILE ? 'd' : 'f', byte_of_file(fd, m, 0));
	EXPECT_EQ(m == SHARED_FILE ? 'd' : 'f', byte_of_file(fd, m, 7));
	memset(p, 'e', 4 * PAGE);
	EXPECT_EQ(len, pwrite(disk, p, len, len));
	EXPECT_EQ(len, pread(disk, buf, len, len));
	EXPECT_TRUE(all_are(buf, 'e', 4 * PAGE));
	EXPECT_TRUE(all_are(buf + 4 * PAGE, 'd', 4 * PAGE));
	/* From pages that nobody has touched. */
	EXPECT_EQ(4 * PAGE, pwrite(disk, p + 12 * PAGE, 4 * PAGE, 0));
	EXPECT_EQ(4 * PAGE, pread(disk, buf, 4 * PAGE, 0));
	EXPECT_TRUE(all_are(buf, initial(m), 4 * PAGE));
	close(disk);
	close(fd);
}

TEST_F_TIMEOUT(direct, reads_and_writes, SLOW)
{
	enum memory m;
	size_t i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(disks); i++) {
		int disk = open_direct(disks[i]);

		if (disk < 0)
			continue;
		close(disk);
		nr++;
		for_each_memory(m)
			check_disk(_metadata, &self->vm, m, disks[i]);
	}
	if (!nr)
		SKIP(return, "no file system for O_DIRECT");
}

static int any_direct(void)
{
	int fd = -1;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(disks) && fd < 0; i++)
		fd = open_direct(disks[i]);
	return fd;
}

TEST_F(direct, protection_counts)
{
	int disk = any_direct();
	enum memory m;

	if (disk < 0)
		SKIP(return, "no file system for O_DIRECT");
	for_each_memory(m) {
		int fd = furnish(&self->vm, m, PROT_READ);
		char *p = place_of(&self->vm, m);

		ASSERT_LE(0, fd);
		EXPECT_FAIL(EFAULT, pread(disk, p, PAGE, 0));
		EXPECT_EQ(PAGE, pwrite(disk, p, PAGE, 8 * PAGE));
		ASSERT_EQ(0, vm_mprotect(&self->vm, p, PAGE, PROT_NONE));
		EXPECT_FAIL(EFAULT, pwrite(disk, p, PAGE, 8 * PAGE));
		ASSERT_EQ(0, vm_mprotect(&self->vm, p, PAGE, RW));
		EXPECT_EQ(initial(m), *p);
		EXPECT_EQ(PAGE, pread(disk, p, PAGE, 0));
		EXPECT_EQ('d', *p);
		ASSERT_EQ(0, vm_munmap(&self->vm, p, PAGE));
		EXPECT_FAIL(EFAULT, pread(disk, p, PAGE, 0));
		close(fd);
	}
	close(disk);
}

/**
 * struct uring - an io_uring, for one request at a time
 * @fd: its file
 * @sq: the submission ring
 * @cq: the completion ring
 * @sqe: the requests
 * @p: how it was set up
 */
struct uring {
	int fd;
	char *sq, *cq;
	struct io_uring_sqe *sqe;
	struct io_uring_params p;
};

static void *uring_map(struct uring *u, size_t len, off_t what)
{
	return mmap(NULL, len, RW, MAP_SHARED | MAP_POPULATE, u->fd, what);
}

static bool uring_open(struct uring *u)
{
	memset(u, 0, sizeof(*u));
	u->fd = syscall(SYS_io_uring_setup, 4, &u->p);
	if (u->fd < 0)
		return false;
	u->sq = uring_map(u, u->p.sq_off.array + 4 * sizeof(__u32),
			  IORING_OFF_SQ_RING);
	u->cq = uring_map(u, u->p.cq_off.cqes + 8 * sizeof(struct io_uring_cqe),
			  IORING_OFF_CQ_RING);
	u->sqe = uring_map(u, 4 * sizeof(*u->sqe), IORING_OFF_SQES);
	return u->sq != MAP_FAILED && u->cq != MAP_FAILED &&
	       u->sqe != MAP_FAILED;
}

static __u32 *ring_word(char *ring, __u32 offset)
{
	return (__u32 *)(ring + offset);
}

/* The result of one request: a number of bytes, or -errno. */
static int uring_do(struct uring *u, int op, int fd, void *buf, size_t len,
		    off_t off)
{
	__u32 *tail = ring_word(u->sq, u->p.sq_off.tail);
	__u32 *head = ring_word(u->cq, u->p.cq_off.head);
	const struct io_uring_cqe *cqe = (void *)(u->cq + u->p.cq_off.cqes);
	int ret;

	memset(u->sqe, 0, sizeof(*u->sqe));
	u->sqe->opcode = op;
	u->sqe->fd = fd;
	u->sqe->addr = (uintptr_t)buf;
	u->sqe->len = len;
	u->sqe->off = off;
	ring_word(u->sq, u->p.sq_off.array)[*tail & (u->p.sq_entries - 1)] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	ret = syscall(SYS_io_uring_enter, u->fd, 1, 1, IORING_ENTER_GETEVENTS,
		      NULL, 0);
	if (ret != 1)
		return ret < 0 ? -errno : -EIO;
	ret = cqe[*head & (u->p.cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return ret;
}

static int uring_register(struct uring *u, void *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };

	return syscall(SYS_io_uring_register, u->fd, IORING_REGISTER_BUFFERS,
		       &iov, 1);
}

static int uring_unregister(struct uring *u)
{
	return syscall(SYS_io_uring_register, u->fd, IORING_UNREGISTER_BUFFERS,
		       NULL, 0);
}

static void uring_close(struct uring *u)
{
	munmap(u->sq, u->p.sq_off.array + 4 * sizeof(__u32));
	munmap(u->cq, u->p.cq_off.cqes + 8 * sizeof(struct io_uring_cqe));
	munmap(u->sqe, 4 * sizeof(*u->sqe));
	close(u->fd);
}

TEST_F_TIMEOUT(direct, io_uring, SLOW)
{
	int disk = any_direct();
	struct uring u;
	enum memory m;

	if (disk < 0 || !uring_open(&u))
		SKIP(return, "no io_uring, or no file system for O_DIRECT");
	for_each_memory(m) {
		int fd = furnish(&self->vm, m, RW);
		char *p = place_of(&self->vm, m);

		ASSERT_LE(0, fd);
		EXPECT_EQ(4 * PAGE,
			  uring_do(&u, IORING_OP_READ, disk, p, 4 * PAGE, 0));
		EXPECT_TRUE(all_are(p, 'd', 4 * PAGE));
		memset(p, 'u', PAGE);
		EXPECT_EQ(4 * PAGE, uring_do(&u, IORING_OP_WRITE, disk, p,
					     4 * PAGE, 8 * PAGE));
		EXPECT_EQ(4 * PAGE, uring_do(&u, IORING_OP_READ, disk,
					     p + 8 * PAGE, 4 * PAGE, 8 * PAGE));
		EXPECT_TRUE(all_are(p + 8 * PAGE, 'u', PAGE));
		EXPECT_TRUE(all_are(p + 9 * PAGE, 'd', 3 * PAGE));
		ASSERT_EQ(0, vm_mprotect(&self->vm, p, PAGE, PROT_READ));
		EXPECT_EQ(-EFAULT,
			  uring_do(&u, IORING_OP_READ, disk, p, PAGE, 0));
		close(fd);
	}
	uring_close(&u);
	close(disk);
}

/*
 * Registered buffers are pinned for long, which the kernel does not allow in a
 * shared mapping of a file on a disk.
 */
TEST_F_TIMEOUT(direct, io_uring_registered, SLOW)
{
	int disk = any_direct();
	struct uring u;
	enum memory m;
	pid_t pid;

	if (disk < 0 || !uring_open(&u))
		SKIP(return, "no io_uring, or no file system for O_DIRECT");
	for_each_memory(m) {
		int fd = furnish_in(m == SHARED_FILE ? disks[0] : files_dir(),
				    &self->vm, m, RW);
		char *p = place_of(&self->vm, m);

		if (fd < 0)
			continue;
		memset(p, 'x', 8 * PAGE);
		EXPECT_FAIL(m == SHARED_FILE ? EFAULT : 0,
			    uring_register(&u, p, 4 * PAGE))
		{
			TH_LOG("%s", memory_name(m));
		}
		if (m == SHARED_FILE)
			continue;
		EXPECT_EQ(PAGE,
			  uring_do(&u, IORING_OP_READ_FIXED, disk, p, PAGE, 0));
		EXPECT_TRUE(all_are(p, 'd', PAGE));
		/* They stay the parent's when it forks. */
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHECK(p[0] == 'd' && p[PAGE] == 'x');
			p[2 * PAGE] = 'c';
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
		p[3 * PAGE] = 'y';
		EXPECT_EQ(2 * PAGE, uring_do(&u, IORING_OP_READ_FIXED, disk,
					     p + PAGE, 2 * PAGE, 0));
		EXPECT_TRUE(all_are(p, 'd', 3 * PAGE));
		EXPECT_EQ(PAGE, uring_do(&u, IORING_OP_WRITE_FIXED, disk,
					 p + 3 * PAGE, PAGE, 8 * PAGE));
		EXPECT_EQ(PAGE, pread(disk, p + 4 * PAGE, PAGE, 8 * PAGE));
		EXPECT_EQ('y', p[4 * PAGE]);
		EXPECT_EQ(0, uring_unregister(&u));
		close(fd);
	}
	uring_close(&u);
	close(disk);
}

/* Registered by a child, natively as the first thing that it does with them. */
TEST_F(direct, io_uring_registered_by_a_child)
{
	struct uring u;
	enum memory m;

	for_each_memory(m) {
		int fd = furnish(&self->vm, m, RW);
		char *p = place_of(&self->vm, m);
		pid_t pid;

		ASSERT_LE(0, fd);
		if (m == SHARED_FILE)
			continue;
		memset(p, 'x', 4 * PAGE);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (!uring_open(&u))
				_exit(0);
			/* altvm's must be mapped before: conformance.rst. */
			if (!vm_is_native(&self->vm))
				memset(p, 'x', 4 * PAGE);
			CHECK(!uring_register(&u, p, 4 * PAGE));
			CHECK(all_are(p, 'x', 4 * PAGE));
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid))
		{
			TH_LOG("%s", memory_name(m));
		}
		close(fd);
	}
}

/* Memory goes through two pipes, to a file, and is unmapped on the way. */
TEST_F(direct, through_pipes)
{
	int target = nameless_file(files_dir(), 0);
	char buf[2 * PAGE];
	enum memory m;

	ASSERT_LE(0, target);
	for_each_memory(m) {
		char *p = place_of(&self->vm, m);
		struct iovec iov = { .iov_base = p, .iov_len = 2 * PAGE };
		int one[2], two[2], fd = furnish(&self->vm, m, RW);
		loff_t at = 0;

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, pipe(one));
		ASSERT_EQ(0, pipe(two));
		memset(p, 's', PAGE);
		EXPECT_EQ(2 * PAGE, vmsplice(one[1], &iov, 1, 0));
		EXPECT_EQ(2 * PAGE, tee(one[0], two[1], 2 * PAGE, 0));
		ASSERT_EQ(0, vm_munmap(&self->vm, p, EACH * PAGE));
		EXPECT_EQ(2 * PAGE,
			  splice(two[0], NULL, target, &at, 2 * PAGE, 0));
		EXPECT_EQ(2 * PAGE, read(one[0], buf, 2 * PAGE));
		EXPECT_TRUE(all_are(buf, 's', PAGE));
		EXPECT_TRUE(all_are(buf + PAGE, initial(m), PAGE));
		memset(buf, 0, sizeof(buf));
		EXPECT_EQ(2 * PAGE, pread(target, buf, 2 * PAGE, 0));
		EXPECT_TRUE(all_are(buf, 's', PAGE));
		EXPECT_TRUE(all_are(buf + PAGE, initial(m), PAGE));
		/* And back, from the file. */
		ASSERT_NE(MAP_FAILED, (void *)memory_map(&self->vm, m, m * EACH,
							 EACH, RW, fd));
		at = 0;
		EXPECT_EQ(PAGE, splice(target, &at, one[1], NULL, PAGE, 0));
		iov.iov_len = PAGE;
		EXPECT_EQ(PAGE, vmsplice(one[0], &iov, 1, 0));
		EXPECT_TRUE(all_are(p, 's', PAGE));
		close(one[0]);
		close(one[1]);
		close(two[0]);
		close(two[1]);
		close(fd);
	}
}

/* Another process reads and writes all kinds at once, as far as there is one. */
TEST_F(direct, process_vm)
{
	static char buf[NR_MEMORY * EACH * PAGE];
	struct iovec own = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct iovec other = { .iov_base = self->base, .iov_len = sizeof(buf) };
	int line, fd[NR_MEMORY];
	enum memory m;
	pid_t pid;

	for_each_memory(m) {
		fd[m] = furnish(&self->vm, m, RW);
		ASSERT_LE(0, fd[m]);
		*place_of(&self->vm, m) = 'a' + m;
	}
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(hear(line));
		CHECK(all_are(self->base, 'w', sizeof(buf)));
		CHECK(!vm_munmap(&self->vm, self->base + 7 * PAGE, PAGE));
		CHECK(!vm_mprotect(&self->vm, place_of(&self->vm, 2), PAGE,
				   PROT_READ));
		CHECK(say(line));
		CHECK(hear(line));
		_exit(0);
	}
	EXPECT_EQ(sizeof(buf), process_vm_readv(pid, &own, 1, &other, 1, 0));
	for_each_memory(m) {
		EXPECT_EQ('a' + m, buf[m * EACH * PAGE]);
		EXPECT_EQ(initial(m), buf[(m * EACH + 1) * PAGE]);
	}
	memset(buf, 'w', sizeof(buf));
	EXPECT_EQ(sizeof(buf), process_vm_writev(pid, &own, 1, &other, 1, 0));
	for_each_memory(m)
		EXPECT_EQ(memory_is_shared(m) ? 'w' : initial(m),
			  place_of(&self->vm, m)[PAGE]);
	EXPECT_TRUE(say(line));
	ASSERT_TRUE(hear(line));
	/* Up to the hole, up to what it may not write. */
	EXPECT_EQ(7 * PAGE, process_vm_readv(pid, &own, 1, &other, 1, 0));
	other.iov_base = self->base + 8 * PAGE;
	other.iov_len -= 8 * PAGE;
	EXPECT_EQ((2 * EACH - 8) * PAGE,
		  process_vm_writev(pid, &own, 1, &other, 1, 0));
	EXPECT_TRUE(say(line));
	EXPECT_EQ(0, end_of(pid));
}

/* Peeks and pokes at a stopped child by ptrace or by its /proc/PID/mem. */
struct debugger {
	pid_t pid;
	int mem;
	bool by_file;
};

static int debugger_peek(struct debugger *d, const char *p, long *value)
{
	if (d->by_file)
		return pread(d->mem, value, sizeof(*value),
			     (off_t)(uintptr_t)p) == sizeof(*value) ?
			       0 :
			       errno;
	errno = 0;
	*value = ptrace(PTRACE_PEEKDATA, d->pid, p, NULL);
	return errno;
}

static int debugger_poke(struct debugger *d, char *p, long value)
{
	if (d->by_file)
		return pwrite(d->mem, &value, sizeof(value),
			      (off_t)(uintptr_t)p) == sizeof(value) ?
			       0 :
			       errno;
	return ERRNO_OF(ptrace(PTRACE_POKEDATA, d->pid, p, (void *)value));
}

static bool debugger_start(struct debugger *d)
{
	char path[32];
	int status;

	snprintf(path, sizeof(path), "/proc/%d/mem", d->pid);
	d->mem = open(path, O_RDWR | O_CLOEXEC);
	return d->mem >= 0 && !ptrace(PTRACE_SEIZE, d->pid, NULL, NULL) &&
	       !ptrace(PTRACE_INTERRUPT, d->pid, NULL, NULL) &&
	       waitpid(d->pid, &status, __WALL) == d->pid;
}

#define VALUE 0x123456789abcdef

/*
 * A child with pages of protection @prot, some of which it has touched.  A
 * debugger can read all of them, and write where it gets a copy or where the
 * child can.
 */
static void debug_child(struct __test_metadata *_metadata, struct vm *vm,
			enum memory m, int prot, bool by_file)
{
	bool can_poke = !memory_is_shared(m) || prot & PROT_WRITE;
	int fd = furnish(vm, m, RW), line, page;
	struct debugger d = { .by_file = by_file };
	char *p = place_of(vm, m);
	long value;

	ASSERT_LE(0, fd);
	d.pid = fork_with(&line);
	ASSERT_LE(0, d.pid);
	if (!d.pid) {
		memset(p, 't', PAGE);
		CHECK(p[PAGE] == initial(m));
		CHECK(!vm_mprotect(vm, p, EACH * PAGE, prot));
		CHECK(say(line) && hear(line));
		CHECK(!vm_mprotect(vm, p, EACH * PAGE, RW));
		for (page = 0; page < 4; page++)
			CHECK((*(long *)(p + page * PAGE) == VALUE) ==
			      can_poke);
		CHECK(p[PAGE + 8] == initial(m));
		_exit(0);
	}
	ASSERT_TRUE(hear(line));
	ASSERT_TRUE(debugger_start(&d));
	for (page = 0; page < 4; page++) {
		/* Before, in every second case. */
		if (page & 1) {
			EXPECT_EQ(0,
				  debugger_peek(&d, p + page * PAGE, &value));
			EXPECT_EQ(initial(m), (char)value);
		}
		EXPECT_EQ(can_poke ? 0 : EIO,
			  debugger_poke(&d, p + page * PAGE, VALUE))
		{
			TH_LOG("%s, prot %d, page %d", memory_name(m), prot,
			       page);
		}
		EXPECT_EQ(0, debugger_peek(&d, p + page * PAGE, &value));
		EXPECT_EQ(can_poke, value == VALUE);
	}
	/* A copy is the child's alone. */
	EXPECT_EQ(memory_is_shared(m) && can_poke ? (char)VALUE : initial(m),
		  p[PAGE]);
	if (memory_is_file(m))
		EXPECT_EQ(p[PAGE], byte_of_file(fd, m, 1));
	EXPECT_EQ(EIO, debugger_peek(&d, p + EACH * PAGE, &value));
	EXPECT_EQ(EIO, debugger_poke(&d, p + EACH * PAGE, VALUE));
	ptrace(PTRACE_DETACH, d.pid, NULL, NULL);
	EXPECT_TRUE(say(line));
	EXPECT_EQ(0, end_of(d.pid));
	close(line);
	close(d.mem);
	close(fd);
	ASSERT_EQ(0, vm_munmap(vm, vm->base, ZONE * PAGE));
}

TEST_F_TIMEOUT(direct, debugger, SLOW)
{
	static const int prots[] = { RW, PROT_READ, PROT_NONE };
	enum memory m;
	size_t i;

	for_each_memory(m)
		for (i = 0; i < 2 * ARRAY_SIZE(prots); i++)
			debug_child(_metadata, &self->vm, m, prots[i / 2],
				    i & 1);
}

/* /proc/PID/mem over several pages, up to a hole. */
TEST_F(direct, proc_mem)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	static char buf[EACH * PAGE];
	enum memory m;

	ASSERT_LE(0, mem);
	for_each_memory(m) {
		char *p = place_of(&self->vm, m);
		off_t at = (off_t)(uintptr_t)p;
		int fd = furnish(&self->vm, m, RW);

		ASSERT_LE(0, fd);
		p[PAGE] = 'm';
		EXPECT_EQ(4 * PAGE, pread(mem, buf, 4 * PAGE, at + 5));
		EXPECT_EQ('m', buf[PAGE - 5]);
		EXPECT_EQ(initial(m), buf[PAGE - 6]);
		memset(buf, 'w', sizeof(buf));
		EXPECT_EQ(4 * PAGE, pwrite(mem, buf, 4 * PAGE, at + 5));
		EXPECT_TRUE(all_are(p + 5, 'w', 4 * PAGE));
		EXPECT_EQ(initial(m), p[4]);
		EXPECT_EQ(initial(m), p[4 * PAGE + 5]);
		ASSERT_EQ(0, vm_munmap(&self->vm, p + 2 * PAGE, PAGE));
		EXPECT_EQ(2 * PAGE, pread(mem, buf, 4 * PAGE, at));
		EXPECT_EQ(2 * PAGE, pwrite(mem, buf, 4 * PAGE, at));
		EXPECT_FAIL(EIO, pread(mem, buf, PAGE, at + 2 * PAGE));
		close(fd);
	}
	close(mem);
}

/* What happens while a slow device has the pages. */
TEST_F_TIMEOUT(direct, fork_while_a_device_writes, SLOW)
{
	enum memory m;
	struct held *h = held_open();

	if (!h)
		SKIP(return, "no FUSE");
	for_each_memory(m) {
		int fd = furnish(&self->vm, m, RW), line;
		char *p = place_of(&self->vm, m);
		char kept;
		pid_t pid;

		ASSERT_LE(0, fd);
		memset(p, 'x', PAGE);
		h->content = 'h';
		/* One page and a half, of which the second is not there yet. */
		held_begin(h, p, PAGE + PAGE / 2, false);
		pid = fork_with(&line);
		ASSERT_LE(0, pid);
		kept = memory_is_shared(m) ? 'h' : 'x';
		if (!pid) {
			CHECK(p[0] == 'x' && p[PAGE] == initial(m));
			CHECK(say(line) && hear(line));
			CHECK(all_are(p, kept, PAGE));
			CHECK(p[PAGE] ==
			      (memory_is_shared(m) ? 'h' : initial(m)));
			p[1] = 'c';
			_exit(0);
		}
		ASSERT_TRUE(hear(line));
		/* Beside what the device is to write. */
		p[2 * PAGE - 1] = 'y';
		EXPECT_EQ(PAGE + PAGE / 2, held_let_go(h));
		EXPECT_TRUE(all_are(p, 'h', PAGE + PAGE / 2))
		{
			TH_LOG("%s: %d %d", memory_name(m), p[0], p[PAGE]);
		}
		EXPECT_EQ('y', p[2 * PAGE - 1]);
		EXPECT_TRUE(say(line));
		EXPECT_EQ(0, end_of(pid));
		EXPECT_EQ(memory_is_shared(m) ? 'c' : 'h', p[1]);
		close(line);
		close(fd);
	}
	held_close(h);
}

/* Calls do not wait for devices, nor do they take their pages from them. */
TEST_F_TIMEOUT(direct, calls_while_a_device_writes, SLOW)
{
	enum memory m;
	struct held *h = held_open();

	if (!h)
		SKIP(return, "no FUSE");
	for_each_memory(m) {
		int fd = furnish(&self->vm, m, RW);
		char *p = place_of(&self->vm, m);
		const bool seen = m == SHARED_FILE;

		ASSERT_LE(0, fd);
		h->content = 'h';
		held_begin(h, p, 6 * PAGE, false);
		EXPECT_EQ(0, vm_mprotect(&self->vm, p, PAGE, PROT_READ));
		EXPECT_EQ(0, vm_mprotect(&self->vm, p + PAGE, PAGE, PROT_NONE));
		EXPECT_EQ(0, vm_munmap(&self->vm, p + 2 * PAGE, PAGE));
		EXPECT_EQ(p + 3 * PAGE,
			  memory_map(&self->vm, m, m * EACH + 3, 1, RW, fd));
		EXPECT_EQ(initial(m), p[3 * PAGE]);
		EXPECT_EQ(0, vm_msync(&self->vm, p + 5 * PAGE, PAGE, MS_SYNC));
		EXPECT_EQ(6 * PAGE, held_let_go(h));
		EXPECT_TRUE(all_are(p, 'h', PAGE));
		EXPECT_EQ(SIGSEGV, probe_read(p + PAGE, NULL, NULL));
		EXPECT_EQ(0, vm_mprotect(&self->vm, p + PAGE, PAGE, PROT_READ));
		EXPECT_TRUE(all_are(p + PAGE, 'h', PAGE));
		EXPECT_EQ(SIGSEGV, probe_read(p + 2 * PAGE, NULL, NULL));
		/* A new mapping has new pages, but of the same file. */
		EXPECT_EQ(seen ? 'h' : initial(m), p[3 * PAGE]);
		EXPECT_TRUE(all_are(p + 4 * PAGE, 'h', 2 * PAGE));
		EXPECT_EQ(initial(m), p[6 * PAGE]);
		if (memory_is_file(m)) {
			EXPECT_EQ(seen ? 'h' : 'f', byte_of_file(fd, m, 2));
			EXPECT_EQ(seen ? 'h' : 'f', byte_of_file(fd, m, 5));
		}
		close(fd);
	}
	held_close(h);
}

/* What a device has written after the first msync reaches the disk with the next. */
TEST_F_TIMEOUT(direct, written_back_while_a_device_writes, SLOW)
{
	static __attribute__((aligned(PAGE))) char buf[PAGE];
	char *p = place_of(&self->vm, SHARED_FILE);
	char path[64];
	struct held *h = held_open();
	int fd, disk;

	if (!h)
		SKIP(return, "no FUSE");
	fd = furnish(&self->vm, SHARED_FILE, RW);
	ASSERT_LE(0, fd);
	p[0] = 'x';
	h->content = 'h';
	held_begin(h, p, PAGE, false);
	EXPECT_EQ(0, vm_msync(&self->vm, p, PAGE, MS_SYNC));
	EXPECT_EQ(PAGE, held_let_go(h));
	EXPECT_EQ('h', p[0]);
	EXPECT_EQ(0, vm_msync(&self->vm, p, PAGE, MS_SYNC));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	disk = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (disk < 0)
		SKIP(goto out, "no file system for O_DIRECT");
	EXPECT_EQ(PAGE, pread(disk, buf, PAGE, SHARED_FILE * EACH * PAGE));
	EXPECT_TRUE(all_are(buf, 'h', PAGE));
	close(disk);
out:
	close(fd);
	held_close(h);
}

/* The file ends before its pages while a device writes to them. */
TEST_F_TIMEOUT(direct, truncated_while_a_device_writes, SLOW)
{
	enum memory m;
	struct held *h = held_open();

	if (!h)
		SKIP(return, "no FUSE");
	for (m = PRIVATE_FILE; m <= SHARED_FILE; m++) {
		int fd = furnish(&self->vm, m, RW);
		char *p = place_of(&self->vm, m);
		struct fault f;

		ASSERT_LE(0, fd);
		h->content = 'h';
		held_begin(h, p, 2 * PAGE, false);
		ASSERT_EQ(0, ftruncate(fd, (m * EACH + 1) * PAGE));
		EXPECT_EQ(SIGBUS, probe_read(p + PAGE, NULL, &f));
		EXPECT_EQ(BUS_ADRERR, f.code);
		EXPECT_EQ(2 * PAGE, held_let_go(h));
		EXPECT_TRUE(all_are(p, 'h', PAGE));
		EXPECT_EQ(SIGBUS, probe_read(p + PAGE, NULL, NULL));
		ASSERT_EQ(0, ftruncate(fd, ZONE * PAGE));
		EXPECT_EQ(0, p[PAGE]);
		EXPECT_EQ(0, byte_of_file(fd, m, 1));
		close(fd);
	}
	held_close(h);
}

/*
 * What a device reads is the memory as it is when it reads.  But in a window a
 * page that is a child's too is not made the parent's before: conformance.rst.
 */
TEST_F_TIMEOUT(direct, stores_while_a_device_reads, SLOW)
{
	enum memory m;
	struct held *h = held_open();
	int later;

	if (!h)
		SKIP(return, "no FUSE");
	for_each_memory(m)
		for (later = 0; later < 2; later++) {
			int fd = furnish(&self->vm, m, RW), line;
			char *p = place_of(&self->vm, m);
			bool may_be_old = !later && !memory_is_shared(m) &&
					  !vm_is_native(&self->vm);
			pid_t pid;

			ASSERT_LE(0, fd);
			memset(p, 'x', 2 * PAGE);
			if (later)
				held_begin(h, p, PAGE, true);
			pid = fork_with(&line);
			ASSERT_LE(0, pid);
			if (!pid) {
				CHECK(hear(line));
				CHECK(*p == (memory_is_shared(m) ? 'y' : 'x'));
				_exit(0);
			}
			if (!later)
				held_begin(h, p, PAGE, true);
			*p = 'y';
			EXPECT_TRUE(say(line));
			EXPECT_EQ(0, end_of(pid));
			EXPECT_EQ(PAGE, held_let_go(h));
			EXPECT_TRUE(h->written[0] == 'y' ||
				    (h->written[0] == 'x' && may_be_old))
			{
				TH_LOG("%s, fork %s", memory_name(m),
				       later ? "later" : "before");
			}
			close(line);
			close(fd);
		}
	held_close(h);
}

static void *reads_at(void *arg)
{
	return (void *)(long)*(volatile char *)arg;
}

/* The file of the mapping is slow: only who accesses it waits. */
TEST_F_TIMEOUT(direct, others_while_an_access_waits, SLOW)
{
	char *p = vm_page(&self->vm, 2 * EACH);
	pthread_t thread;
	struct held *h = held_open();
	pid_t pid;
	void *value;

	if (!h)
		SKIP(return, "no FUSE");
	ASSERT_EQ(p,
		  memory_map(&self->vm, PRIVATE_FILE, 2 * EACH, 4, RW, h->fd));
	h->content = 'h';
	h->hold = true;
	ASSERT_EQ(0, pthread_create(&thread, NULL, reads_at, p));
	sem_wait(&h->arrived);
	/* In the same 2 MiB, and all over the process. */
	EXPECT_EQ(self->base, vm_map_at(&self->vm, 0, 2, RW));
	*self->base = 'x';
	EXPECT_EQ(0, vm_mprotect(&self->vm, self->base, PAGE, PROT_READ));
	EXPECT_EQ(0, vm_munmap(&self->vm, self->base + PAGE, PAGE));
	EXPECT_EQ(0, vm_mprotect(&self->vm, p + 2 * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(0, munmap(mmap(NULL, PAGE, RW, ANON, -1, 0), PAGE));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(*self->base == 'x');
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_FALSE(h->gave_up);
	sem_post(&h->go);
	pthread_join(thread, &value);
	EXPECT_EQ('h', (long)value);
	EXPECT_EQ('h', p[3 * PAGE]);
	/* The mapping would keep the file open. */
	ASSERT_EQ(0, vm_munmap(&self->vm, p, 4 * PAGE));
	held_close(h);
}

/* ...and can be killed. */
TEST_F_TIMEOUT(direct, an_access_that_waits_is_killed, SLOW)
{
	char *p = vm_page(&self->vm, 2 * EACH);
	int status = 0, i, ended = 0;
	struct held *h = held_open();
	pid_t pid;

	if (!h)
		SKIP(return, "no FUSE");
	ASSERT_EQ(p,
		  memory_map(&self->vm, PRIVATE_FILE, 2 * EACH, 4, RW, h->fd));
	h->hold = true;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(*p);
	sem_wait(&h->arrived);
	kill(pid, SIGKILL);
	for (i = 0; i < 200 && !ended; i++) {
		usleep(50000);
		ended = waitpid(pid, &status, WNOHANG);
	}
	EXPECT_EQ(pid, ended);
	sem_post(&h->go);
	if (!ended)
		status = end_of(pid);
	EXPECT_EQ(SIGKILL, status);
	ASSERT_EQ(0, vm_munmap(&self->vm, p, 4 * PAGE));
	held_close(h);
}

TEST_HARNESS_MAIN
