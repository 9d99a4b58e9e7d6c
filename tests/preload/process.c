// SPDX-License-Identifier: GPL-2.0
/* Threads, processes, signals, libraries, limits. */
#include <dlfcn.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "kselftest_harness.h"
#include "common.h"

extern char **environ;
extern void *early_memory;

/* What this program does when it is executed with a word. */
static int play(const char *role)
{
	char *p = map_rw(4);

	if (p == MAP_FAILED)
		return 2;
	memset(p, 1, 4 * PAGE);
	if (!strcmp(role, "window"))
		return under_altvm() == in_window(p) ? 0 : 1;
	return strcmp(role, "memory") || !malloc(100000) ? 3 : 0;
}

__attribute__((constructor)) static void player(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--play"))
		_exit(play(argv[2]));
}

static char *const play_window[] = { "process", "--play", "window", NULL };
static char *const play_memory[] = { "process", "--play", "memory", NULL };

TEST(before_other_constructors)
{
	ASSERT_NE(MAP_FAILED, early_memory);
	EXPECT_EQ(under_altvm(), in_window(early_memory));
	EXPECT_TRUE(can_store(early_memory));
}

#define THREADS 4

static atomic_int wrong;

static void *map_and_unmap(void *arg)
{
	char *p[16];
	int i, j, n = rounds(60);

	for (i = 0; i < n; i++) {
		for (j = 0; j < 16; j++) {
			p[j] = map_rw((size_t)j + 1);
			memset(p[j], (int)(long)arg, ((size_t)j + 1) * PAGE);
		}
		for (j = 0; j < 16; j++) {
			if (p[j][j * PAGE] != (char)(long)arg)
				wrong++;
			wrong += munmap(p[j], ((size_t)j + 1) * PAGE);
		}
	}
	return NULL;
}

TEST(threads)
{
	pthread_t threads[THREADS];
	long i;

	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, map_and_unmap,
					    (void *)(i + 1)));
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, wrong);
}

static void *sleep_in_msync(void *arg)
{
	for (;;)
		msync(arg, PAGE, MS_ASYNC);
	return NULL;
}

TEST(a_thread_is_cancelled)
{
	void *result = NULL;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, sleep_in_msync, map_rw(1)));
	EXPECT_EQ(0, pthread_cancel(thread));
	EXPECT_EQ(0, pthread_join(thread, &result));
	EXPECT_EQ(PTHREAD_CANCELED, result);
}

TEST(a_child_has_a_copy)
{
	char *private = map_rw(4), *p;
	char *shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	strcpy(private, "parent");
	child = fork();
	if (!child) {
		if (strcmp(private, "parent"))
			_exit(1);
		strcpy(private, "child");
		strcpy(shared, private);
		p = map_rw(4);
		if (!can_store(p) || in_window(p) != under_altvm())
			_exit(2);
		_exit(mprotect(private, PAGE, PROT_READ) || can_store(private));
	}
	EXPECT_TRUE(child_ended_well(child));
	EXPECT_STREQ("parent", private);
	EXPECT_STREQ("child", shared);
	EXPECT_TRUE(can_store(private));
}

TEST(many_generations)
{
	char *p = map_rw(2);
	pid_t child;
	int i;

	for (i = 0; i < 8; i++) {
		*p = (char)i;
		child = fork();
		if (child) {
			if (i)
				_exit(!child_ended_well(child) || *p != i);
			break;
		}
		if (*p != i)
			_exit(1);
		p[PAGE] = 1;
		map_rw(3)[PAGE] = 2;
	}
	if (i == 8)
		_exit(0);
	EXPECT_TRUE(child_ended_well(child));
}

static long futex(atomic_int *word, int op, int value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* A results page, as test runners have it. */
TEST(processes_wait_for_each_other)
{
	atomic_int *page =
		mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int i;

	if (!fork()) {
		for (i = 0; i < 100; i++) {
			while (page[0] <= i)
				futex(&page[0], FUTEX_WAIT, i);
			page[1] = i + 1;
			futex(&page[1], FUTEX_WAKE, 1);
		}
		_exit(0);
	}
	for (i = 0; i < 100; i++) {
		page[0] = i + 1;
		futex(&page[0], FUTEX_WAKE, 1);
		while (page[1] <= i)
			futex(&page[1], FUTEX_WAIT, i);
	}
	EXPECT_EQ(100, page[1]);
	wait(NULL);
}

TEST(a_program_is_executed)
{
	pid_t child = fork();

	if (!child) {
		execv("/proc/self/exe", play_window);
		_exit(127);
	}
	EXPECT_TRUE(child_ended_well(child));
	EXPECT_TRUE(can_store(map_rw(1)));
}

TEST(a_program_is_spawned)
{
	posix_spawn_file_actions_t actions;
	char *p = map_rw(1);
	pid_t child;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	ASSERT_EQ(0, posix_spawn(&child, "/proc/self/exe", &actions, NULL,
				 play_window, environ));
	EXPECT_TRUE(child_ended_well(child));
	EXPECT_TRUE(can_store(p));
	EXPECT_EQ(under_altvm(), in_window(map_rw(1)));
	EXPECT_EQ(0, system("exec true"));
}

/* Its descriptors are its own, its memory is the parent's. */
TEST(vfork_closes_all)
{
	static char *p;
	pid_t child;

	p = map_rw(1);
	child = vfork();
	if (!child) {
		int fd;

		for (fd = 3; fd < 4096; fd++)
			close(fd);
		close_range(3, ~0U, 0);
		dup2(0, 1000);
		*p = 5;
		execv("/proc/self/exe", play_window);
		_exit(127);
	}
	EXPECT_TRUE(child_ended_well(child));
	EXPECT_EQ(5, *p);
	p = map_rw(1);
	EXPECT_EQ(under_altvm(), in_window(p));
	EXPECT_TRUE(can_store(p));
	EXPECT_EQ(0, munmap(p, PAGE));
}

static int map_one(void *arg)
{
	*(char **)arg = map_rw(1);
	return 0;
}

TEST(a_child_that_shares_memory)
{
	char *stack = map_rw(16), *p = NULL;
	pid_t child = clone(map_one, stack + 16 * PAGE, CLONE_VM | SIGCHLD, &p);

	ASSERT_LT(0, child);
	EXPECT_TRUE(child_ended_well(child));
	ASSERT_NE(NULL, p);
	EXPECT_EQ(under_altvm(), in_window(p));
	EXPECT_TRUE(can_store(p));
}

TEST(signals_tell_why)
{
	int fd = make_file(1);
	char *p = map_rw(3);
	char *file = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	struct caught caught;

	munmap(p + PAGE, PAGE);
	mprotect(p + 2 * PAGE, PAGE, PROT_NONE);
	caught = touch(p + PAGE + 5, false);
	EXPECT_EQ(SIGSEGV, caught.signal);
	EXPECT_EQ(SEGV_MAPERR, caught.code);
	EXPECT_EQ(p + PAGE + 5, caught.addr);
	caught = touch(p + 2 * PAGE + 7, true);
	EXPECT_EQ(SIGSEGV, caught.signal);
	EXPECT_EQ(SEGV_ACCERR, caught.code);
	EXPECT_EQ(p + 2 * PAGE + 7, caught.addr);
	mprotect(p, PAGE, PROT_READ);
	caught = touch(p + 9, true);
	EXPECT_EQ(SEGV_ACCERR, caught.code);
	EXPECT_EQ(p + 9, caught.addr);
	caught = touch(file + PAGE + 3, false);
	EXPECT_EQ(SIGBUS, caught.signal);
	EXPECT_EQ(BUS_ADRERR, caught.code);
	EXPECT_EQ(file + PAGE + 3, caught.addr);
	ASSERT_EQ(0, ftruncate(fd, 0));
	caught = touch(file, true);
	EXPECT_EQ(SIGBUS, caught.signal);
	EXPECT_EQ(file, caught.addr);
}

static int barriers;

/* A collector's write barrier. */
static void let_it_write(int signal, siginfo_t *info, void *context)
{
	char *page = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));

	(void)signal;
	(void)context;
	if (mprotect(page, PAGE, RW))
		_exit(1);
	munmap(map_rw(2), 2 * PAGE);
	barriers++;
}

TEST(a_handler_makes_calls)
{
	struct sigaction action = {
		.sa_sigaction = let_it_write,
		.sa_flags = SA_SIGINFO,
	};
	char *p = map_rw(64);
	int i;

	sigaction(SIGSEGV, &action, NULL);
	mprotect(p, 64 * PAGE, PROT_READ);
	for (i = 0; i < 64; i++)
		p[(size_t)i * PAGE + 1] = 1;
	EXPECT_EQ(64, barriers);
}

static volatile int ticks;

static void tick(int signal)
{
	(void)signal;
	munmap(map_rw(1), PAGE);
	ticks++;
}

TEST(a_timer_interrupts_calls)
{
	struct sigaction action = { .sa_handler = tick,
				    .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 4000 }, { 0, 4000 } }, never = { 0 };
	char *p;
	int i;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (i = 0; i < rounds(2000) || ticks < rounds(20); i++) {
		p = map_rw(4);
		ASSERT_NE(MAP_FAILED, p);
		p[PAGE] = 1;
		ASSERT_EQ(0, mprotect(p, PAGE, PROT_READ));
		ASSERT_EQ(0, munmap(p, 4 * PAGE));
	}
	setitimer(ITIMER_REAL, &never, NULL);
}

TEST(a_library_is_loaded)
{
	void *handle = dlopen("libm.so.6", RTLD_NOW);
	double (*function)(double number);

	ASSERT_NE(NULL, handle);
	function = dlsym(handle, "sqrt");
	ASSERT_NE(NULL, function);
	EXPECT_EQ(3.0, function(9.0));
	EXPECT_EQ(0, dlclose(handle));
}

/* Execute ourselves with a limit, soft or both. */
static bool plays_with(int resource, rlim_t limit, bool hard, char *const *role)
{
	struct rlimit both;
	pid_t child = fork();

	if (!child) {
		getrlimit(resource, &both);
		both.rlim_cur = limit;
		if (hard)
			both.rlim_max = limit;
		if (setrlimit(resource, &both))
			_exit(126);
		execv("/proc/self/exe", role);
		_exit(127);
	}
	return child_ended_well(child);
}

TEST(little_address_space)
{
	EXPECT_TRUE(plays_with(RLIMIT_AS, 1UL << 30, false, play_window));
	EXPECT_TRUE(plays_with(RLIMIT_AS, 1UL << 30, true, play_window));
	EXPECT_TRUE(plays_with(RLIMIT_AS, 24UL << 20, true, play_memory));
	EXPECT_TRUE(plays_with(RLIMIT_AS, 5UL << 20, true, play_memory));
}

TEST(few_descriptors)
{
	EXPECT_TRUE(plays_with(RLIMIT_NOFILE, 64, false, play_window));
	EXPECT_TRUE(plays_with(RLIMIT_NOFILE, 16, true, play_window));
	EXPECT_TRUE(plays_with(RLIMIT_NOFILE, 4, true, play_window));
}

TEST(limits_are_left_alone)
{
	struct rlimit nofile, as;

	getrlimit(RLIMIT_NOFILE, &nofile);
	getrlimit(RLIMIT_AS, &as);
	EXPECT_EQ(RLIM_INFINITY, as.rlim_cur);
	EXPECT_EQ(1024, nofile.rlim_cur);
}

TEST(address_space_is_limited)
{
	struct rlimit limit = { 256UL << 20, 256UL << 20 };
	char *p;

	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	p = map_rw((200UL << 20) / PAGE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(MAP_FAILED, map_rw((200UL << 20) / PAGE));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(MAP_FAILED,
		  mmap((void *)0x12340000, 200UL << 20, RW, ANON, -1, 0));
	EXPECT_EQ(ENOMEM, errno);
	/* The C library's calls are the kernel's, which does not count altvm's. */
	if (!under_altvm())
		EXPECT_EQ(NULL, malloc(200UL << 20));
	EXPECT_EQ(0, munmap(p, 200UL << 20));
	p = map_rw((200UL << 20) / PAGE);
	EXPECT_NE(MAP_FAILED, p);
}

TEST(data_is_limited)
{
	struct rlimit limit = { 64UL << 20, 64UL << 20 };

	ASSERT_EQ(0, setrlimit(RLIMIT_DATA, &limit));
	EXPECT_NE(MAP_FAILED, map_rw((40UL << 20) / PAGE));
	EXPECT_EQ(MAP_FAILED, map_rw((40UL << 20) / PAGE));
	EXPECT_EQ(ENOMEM, errno);
	/* The kernel's count of its own data does not have altvm's in it. */
	if (!under_altvm())
		EXPECT_EQ(NULL, malloc(40UL << 20));
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = { 0 };

	syscall(SYS_capset, &header, none);
}

TEST(locked_memory_is_limited)
{
	struct rlimit limit = { 16 * PAGE, 16 * PAGE };
	char *p = map_rw(10),
	     *q = mmap((void *)0x12340000, 10 * PAGE, RW, ANON, -1, 0);

	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	drop_capabilities();
	EXPECT_EQ(0, mlock(p, 10 * PAGE));
	EXPECT_EQ(-1, mlock(q, 10 * PAGE));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, munlock(p, 10 * PAGE));
	EXPECT_EQ(0, mlock(q, 10 * PAGE));
	EXPECT_EQ(-1, mlock(p, 10 * PAGE));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, mlockall(MCL_CURRENT));
	EXPECT_EQ(ENOMEM, errno);
}

TEST_HARNESS_MAIN
