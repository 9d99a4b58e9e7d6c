// SPDX-License-Identifier: GPL-2.0
/*
 * madvise: MADV_HWPOISON and MADV_SOFT_OFFLINE.  Each page that is poisoned is lost
 * until the machine is booted again: only in virtual machines, and not if
 * ALTVM_POISON is 0.
 */
#include <pthread.h>
#include <sys/uio.h>

#include "child.h"
#include "fixture.h"
#include "heldio.h"
#include "memory.h"

#define FIRST 8
#define NR 16
#define ZONE 64

/* Newer than some C libraries. */
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef BUS_MCEERR_AR
#define BUS_MCEERR_AR 4
#endif

VM_FIXTURE(poison, ZONE);

static volatile siginfo_t told;
static volatile int times;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	told = *info;
	times++;
}

static bool in_virtual_machine(void)
{
	char line[8192];
	bool found = false;
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f && !found && fgets(line, sizeof(line), f))
		found = !strncmp(line, "flags", 5) &&
			strstr(line, " hypervisor");
	if (f)
		fclose(f);
	return found;
}

/* May memory be spoilt, and is this the right kernel for it? */
static bool may_poison(struct vm *vm)
{
	bool may;

	if (!in_virtual_machine() || !env_number("ALTVM_POISON", 1) || getuid())
		return false;
	vm_map_at(vm, FIRST, 1, RW);
	may = !vm_madvise(vm, vm_page(vm, FIRST), 0, MADV_HWPOISON);
	vm_munmap(vm, vm_page(vm, FIRST), PAGE);
	return may;
}

static int advise(struct vm *vm, size_t page, size_t pages, int advice)
{
	return vm_madvise(vm, vm_page(vm, page), pages * PAGE, advice);
}

/* Poison, and be told of it once. */
static int poison(struct vm *vm, size_t page, size_t pages)
{
	struct sigaction act = { .sa_sigaction = on_sigbus,
				 .sa_flags = SA_SIGINFO };
	struct sigaction old;
	int ret, saved;

	times = 0;
	memset((void *)&told, 0, sizeof(told));
	sigaction(SIGBUS, &act, &old);
	ret = advise(vm, page, pages, MADV_HWPOISON);
	saved = errno;
	sigaction(SIGBUS, &old, NULL);
	errno = saved;
	return ret;
}

/* The memory holds 'p', the file 'f'; the file, or -1. */
static int furnish(struct vm *vm, enum memory m)
{
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	char page[PAGE];
	size_t i;

	memset(page, 'f', PAGE);
	for (i = FIRST; i < FIRST + NR; i++)
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			return -1;
	if (memory_map(vm, m, FIRST, NR, RW, fd) == MAP_FAILED)
		return -1;
	memset(vm_page(vm, FIRST), 'p', NR * PAGE);
	return fd;
}

/* A letter for a page: '!' it is broken, '0' zeroes, its mark. */
static const char *look(struct vm *vm)
{
	static char now[NR + 1];
	size_t i;

	for (i = 0; i < NR; i++) {
		struct fault f;
		uint64_t value;

		if (probe_read(vm_page(vm, FIRST + i), &value, &f))
			now[i] = f.sig == SIGBUS && f.code == BUS_MCEERR_AR ?
					 '!' :
					 '?';
		else
			now[i] = value ? (char)value : '0';
	}
	return now;
}

/* Memory of a file is dropped, or broken, as the kernel has it. */
static const enum memory kinds[] = { PRIVATE_ANON, PRIVATE_FILE };

TEST_F(poison, an_access_raises_sigbus)
{
	struct vm *vm = &self->vm;
	struct fault f;
	size_t k;

	if (!may_poison(vm))
		SKIP(return, "not here");
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		int fd = furnish(vm, kinds[k]);
		char *p = vm_page(vm, FIRST + 4);

		ASSERT_LE(0, fd);
		EXPECT_EQ(0, poison(vm, FIRST + 4, 1));
		/* It is told at once, too. */
		EXPECT_EQ(1, times);
		EXPECT_EQ(BUS_MCEERR_AR, told.si_code);
		EXPECT_EQ((void *)p, told.si_addr);
		EXPECT_EQ(12, told.si_addr_lsb);
		EXPECT_STREQ("pppp!ppppppppppp", look(vm));
		EXPECT_EQ(SIGBUS, probe_write(p + 16, 1, &f));
		EXPECT_EQ(BUS_MCEERR_AR, f.code);
		EXPECT_EQ((uintptr_t)p + 16, f.addr);
		EXPECT_EQ(1, vm_areas(vm));
		EXPECT_EQ(1, vm_resident(vm, p));
		close(fd);
	}
}

/* The signal comes once, as long as the first one has not been taken. */
TEST_F(poison, several_pages)
{
	struct vm *vm = &self->vm;

	if (!may_poison(vm))
		SKIP(return, "not here");
	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	EXPECT_EQ(0, poison(vm, FIRST + 2, 3));
	EXPECT_EQ(1, times);
	EXPECT_EQ((void *)vm_page(vm, FIRST + 2), told.si_addr);
	EXPECT_STREQ("pp!!!ppppppppppp", look(vm));
	/* As far as there is something. */
	ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST + 8), PAGE));
	EXPECT_FAIL(EFAULT, poison(vm, FIRST + 7, 3));
	EXPECT_EQ((void *)vm_page(vm, FIRST + 7), told.si_addr);
	EXPECT_STREQ("pp!!!pp!?ppppppp", look(vm));
}

/* Says which signal ended the child. */
static int end_by(pid_t pid)
{
	int status = end_of(pid);

	return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

static int poison_without_handler(struct vm *vm, bool ignored, bool blocked)
{
	pid_t pid = fork();
	sigset_t set;

	if (pid)
		return end_by(pid);
	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	signal(SIGBUS, ignored ? SIG_IGN : SIG_DFL);
	sigprocmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
	*vm_page(vm, FIRST) = 'c';
	advise(vm, FIRST, 1, MADV_HWPOISON);
	_exit(0);
}

TEST_F(poison, without_a_handler)
{
	struct vm *vm = &self->vm;
	int i;

	if (!may_poison(vm))
		SKIP(return, "not here");
	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(SIGBUS, poison_without_handler(vm, i & 1, i & 2))
		{
			TH_LOG("%d", i);
		}
	EXPECT_STREQ("pppppppppppppppp", look(vm));
}

TEST_F(poison, what_is_refused)
{
	static const int advice[] = { MADV_HWPOISON, MADV_SOFT_OFFLINE };
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	size_t i;
	pid_t pid;

	if (!may_poison(vm))
		SKIP(return, "not here");
	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p + 1, PAGE, advice[i]));
		EXPECT_FAIL(EINVAL, vm_madvise(vm, p, -1UL, advice[i]));
		EXPECT_EQ(0, vm_madvise(vm, p, 0, advice[i]));
		EXPECT_FAIL(EFAULT, vm_madvise(vm, vm->base, PAGE, advice[i]));
		ASSERT_EQ(0, vm_mprotect(vm, p, PAGE, PROT_NONE));
		EXPECT_FAIL(EFAULT, vm_madvise(vm, p, PAGE, advice[i]));
		ASSERT_EQ(0, vm_mprotect(vm, p, PAGE, RW));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHECK(!setresuid(65534, 65534, 65534));
			CHECK(ERRNO_OF(advise(vm, FIRST, 1, advice[i])) ==
			      EPERM);
			CHECK(ERRNO_OF(advise(vm, 0, 1, advice[i])) == EPERM);
			CHECK(!advise(vm, FIRST, 0, advice[i]));
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
	}
	EXPECT_STREQ("pppppppppppppppp", look(vm));
}

/* What nobody has written to is the zero page, which cannot be spared. */
TEST_F(poison, the_zero_page)
{
	struct vm *vm = &self->vm;

	if (!may_poison(vm) || vm_is_native(vm))
		SKIP(return, "the kernel would spoil it");
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, NR, RW));
	EXPECT_FAIL(EBUSY, advise(vm, FIRST, 1, MADV_HWPOISON));
	EXPECT_FAIL(EBUSY, advise(vm, FIRST, 1, MADV_SOFT_OFFLINE));
	EXPECT_STREQ("0000000000000000", look(vm));
}

TEST_F(poison, until_it_is_dropped)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);

	if (!may_poison(vm))
		SKIP(return, "not here");
	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	EXPECT_EQ(0, poison(vm, FIRST, 1));
	EXPECT_EQ(0, poison(vm, FIRST + 2, 1));
	EXPECT_EQ(0, poison(vm, FIRST + 4, 1));
	EXPECT_STREQ("!p!p!ppppppppppp", look(vm));
	EXPECT_EQ(0, vm_mprotect(vm, p, NR * PAGE, PROT_READ));
	EXPECT_STREQ("!p!p!ppppppppppp", look(vm));
	EXPECT_EQ(0, vm_mprotect(vm, p, NR * PAGE, RW));
	EXPECT_EQ(0, advise(vm, FIRST, 2, MADV_DONTNEED));
	EXPECT_STREQ("00!p!ppppppppppp", look(vm));
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST + 2, 1, RW));
	EXPECT_STREQ("000p!ppppppppppp", look(vm));
	memset(p, 'q', 4 * PAGE);
	EXPECT_STREQ("qqqq!ppppppppppp", look(vm));
}

TEST_F(poison, by_the_kernel)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST), buf[8];
	struct iovec to = { buf, 8 }, from = { p, 8 };
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	if (!may_poison(vm))
		SKIP(return, "not here");
	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	EXPECT_EQ(0, poison(vm, FIRST, 1));
	EXPECT_FAIL(EFAULT, read(zero, p, 8));
	EXPECT_FAIL(EFAULT, process_vm_readv(getpid(), &to, 1, &from, 1, 0));
	EXPECT_FAIL(EIO, pread(mem, buf, 8, (off_t)p));
	EXPECT_FAIL(EHWPOISON, advise(vm, FIRST, 2, MADV_POPULATE_READ));
	EXPECT_FAIL(EHWPOISON, advise(vm, FIRST, 2, MADV_POPULATE_WRITE));
	EXPECT_FAIL(EFAULT, advise(vm, FIRST, 1, MADV_HWPOISON));
	close(mem);
	close(zero);
}

TEST_F(poison, forks)
{
	struct vm *vm = &self->vm;
	pid_t pid;

	if (!may_poison(vm))
		SKIP(return, "not here");
	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	EXPECT_EQ(0, poison(vm, FIRST + 4, 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(!strcmp("pppp!ppppppppppp", look(vm)));
		CHECK(!advise(vm, FIRST + 4, 1, MADV_DONTNEED));
		CHECK(!strcmp("pppp0ppppppppppp", look(vm)));
		/* Its own copy, then. */
		memset(vm_page(vm, FIRST), 'c', 2 * PAGE);
		CHECK(!poison(vm, FIRST, 1));
		CHECK(!strcmp("!cpp0ppppppppppp", look(vm)));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_STREQ("pppp!ppppppppppp", look(vm));
}

/* What a child has not touched since the fork is broken for both. */
TEST_F(poison, shared_since_a_fork)
{
	struct vm *vm = &self->vm;
	int line;
	pid_t pid;

	if (!may_poison(vm))
		SKIP(return, "not here");
	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(hear(line));
		CHECK(!strcmp("p!pppppppppppppp", look(vm)));
		CHECK(probe_write(vm_page(vm, FIRST + 1), 1, NULL) == SIGBUS);
		_exit(0);
	}
	EXPECT_EQ(0, poison(vm, FIRST + 1, 1));
	EXPECT_TRUE(say(line));
	EXPECT_EQ(0, end_of(pid));
	EXPECT_STREQ("p!pppppppppppppp", look(vm));
	close(line);
}

/* The pages of files are the kernel's, whoever maps them. */
TEST_F(poison, pages_of_files)
{
	struct vm *vm = &self->vm;
	enum memory m;

	if (!may_poison(vm))
		SKIP(return, "not here");
	for (m = SHARED_ANON; m < NR_MEMORY; m++) {
		int fd;

		if (!memory_is_shared(m))
			continue;
		fd = furnish(vm, m);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, poison(vm, FIRST + 4, 1))
		{
			TH_LOG("%s: %s", memory_name(m), strerror(errno));
		}
		EXPECT_EQ(1, times);
		EXPECT_EQ((void *)vm_page(vm, FIRST + 4), told.si_addr);
		EXPECT_STREQ("pppp!ppppppppppp", look(vm));
		EXPECT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST), NR * PAGE));
		close(fd);
	}
}

/* --- soft offlining: nobody notices */

TEST_F(poison, moved_to_another_page)
{
	struct vm *vm = &self->vm;
	long before = proc_number("/proc/meminfo", "HardwareCorrupted:");
	size_t k;

	if (!may_poison(vm))
		SKIP(return, "not here");
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		int fd = furnish(vm, kinds[k]);

		ASSERT_LE(0, fd);
		EXPECT_EQ(0, advise(vm, FIRST + 2, 2, MADV_SOFT_OFFLINE));
		EXPECT_STREQ("pppppppppppppppp", look(vm));
		memset(vm_page(vm, FIRST + 2), 'q', PAGE);
		EXPECT_STREQ("ppqppppppppppppp", look(vm));
		close(fd);
	}
	/* The machine has that much less. */
	EXPECT_EQ(before + 16,
		  proc_number("/proc/meminfo", "HardwareCorrupted:"));
}

static volatile bool stop;
static volatile long wrong;

static void *counts(void *arg)
{
	volatile uint64_t *p = arg;
	uint64_t n = 0;

	while (!stop) {
		if (*p != n)
			wrong++;
		*p = ++n;
	}
	return NULL;
}

/* While somebody writes to it. */
TEST_F_TIMEOUT(poison, moved_under_a_writer, SLOW)
{
	struct vm *vm = &self->vm;
	pthread_t thread;
	int i;

	if (!may_poison(vm))
		SKIP(return, "not here");
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, NR, RW));
	stop = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, counts, vm_page(vm, FIRST)));
	usleep(10000);
	for (i = 0; i < 20; i++)
		EXPECT_EQ(0, advise(vm, FIRST, 1, MADV_SOFT_OFFLINE));
	stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, wrong);
}

/* A device's page stays where it is. */
TEST_F_TIMEOUT(poison, not_moved_from_a_device, SLOW)
{
	struct vm *vm = &self->vm;
	struct held *held;

	if (!may_poison(vm))
		SKIP(return, "not here");
	held = held_open();
	if (!held)
		SKIP(return, "no FUSE");
	ASSERT_LE(0, furnish(vm, PRIVATE_ANON));
	held->content = 'd';
	held_begin(held, vm_page(vm, FIRST), 2 * PAGE, false);
	EXPECT_EQ(-1, advise(vm, FIRST, 1, MADV_SOFT_OFFLINE));
	EXPECT_EQ(2 * PAGE, held_let_go(held));
	EXPECT_STREQ("ddpppppppppppppp", look(vm));
	held_close(held);
}

TEST_HARNESS_MAIN
