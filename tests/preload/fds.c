// SPDX-License-Identifier: GPL-2.0
/* Descriptors: the program has all numbers, and may close what it wants. */
#include <dirent.h>

#include "kselftest_harness.h"
#include "common.h"

/* The device's, as the program might come across it; -1 natively. */
static int device_fd(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[64];
	ssize_t length;
	int fd = -1;

	while (dir && (entry = readdir(dir))) {
		length = readlinkat(dirfd(dir), entry->d_name, target,
				    sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		if (!strcmp(target, "/dev/altvm"))
			fd = atoi(entry->d_name);
	}
	closedir(dir);
	return fd;
}

/* That all kinds of calls still work. */
static bool memory_works(void)
{
	int fd = make_file(2);
	char *p = map_rw(4);
	char *file = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);

	close(fd);
	return p != MAP_FAILED && file != MAP_FAILED &&
	       in_window(p) == under_altvm() &&
	       in_window(file) == under_altvm() && can_store(p) &&
	       file[PAGE] == 'b' && !mprotect(p, PAGE, PROT_READ) &&
	       !can_store(p) && !munmap(p, 4 * PAGE) && !munmap(file, 2 * PAGE);
}

/* A descriptor that the tests may not lose. */
static void keep_output(void)
{
	struct rlimit limit = { 8192, 8192 };

	setrlimit(RLIMIT_NOFILE, &limit);
}

TEST(numbers_are_the_lowest)
{
	int first = open("/dev/null", O_RDONLY), second;

	ASSERT_LE(3, first);
	EXPECT_GT(20, first);
	second = dup(first);
	EXPECT_EQ(first + 1, second);
	close(first);
	EXPECT_EQ(first, open("/dev/null", O_RDONLY));
}

TEST(as_many_as_allowed)
{
	struct rlimit limit;
	int last = -1, fd;

	getrlimit(RLIMIT_NOFILE, &limit);
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		last = fd;
	EXPECT_EQ(EMFILE, errno);
	EXPECT_EQ((int)limit.rlim_cur - 1, last);
	EXPECT_EQ(0, close_range(10, ~0U, 0));
	EXPECT_TRUE(memory_works());
}

TEST(all_are_closed_one_by_one)
{
	int fd;

	keep_output();
	for (fd = 3; fd < 8192; fd++) {
		if (!close(fd))
			continue;
		EXPECT_EQ(EBADF, errno);
	}
	EXPECT_TRUE(memory_works());
}

TEST(all_that_are_listed_are_closed)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while ((entry = readdir(dir))) {
		if (atoi(entry->d_name) > 2 &&
		    atoi(entry->d_name) != dirfd(dir))
			close(atoi(entry->d_name));
	}
	closedir(dir);
	EXPECT_TRUE(memory_works());
}

TEST(ranges_are_closed)
{
	int fd = device_fd();

	EXPECT_EQ(0, close_range(3, ~0U, 0));
	EXPECT_TRUE(memory_works());
	EXPECT_EQ(0, close_range(3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */));
	EXPECT_TRUE(memory_works());
	EXPECT_EQ(-1, close_range(9, 8, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, close_range(3, ~0U, 0x1000));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, syscall(SYS_close_range, 3, ~0U, 0));
	EXPECT_TRUE(memory_works());
	closefrom(3);
	EXPECT_TRUE(memory_works());
	if (fd < 0)
		return;
	EXPECT_EQ(0, close_range((unsigned int)fd, (unsigned int)fd, 0));
	EXPECT_EQ(-1, close_range((unsigned int)fd, (unsigned int)fd, 0x1000));
	EXPECT_EQ(0, close_range((unsigned int)fd, ~0U, 0));
	EXPECT_EQ(0, close_range(3, (unsigned int)fd, 0));
	EXPECT_TRUE(memory_works());
}

TEST(it_is_not_there_for_the_program)
{
	int fd = device_fd();

	if (fd < 0)
		SKIP(return, "natively it is not");
	EXPECT_EQ(-1, fcntl(fd, F_GETFD));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, close(fd));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, dup(fd));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, dup2(fd, 20));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, dup2(fd, fd));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, dup3(fd, 20, 0));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, syscall(SYS_close, fd));
	EXPECT_EQ(-1, syscall(SYS_dup2, fd, 20));
	EXPECT_EQ(-1, syscall(SYS_fcntl, fd, F_DUPFD, 0));
	EXPECT_EQ(-1, dup2(0, fd));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
	EXPECT_EQ(EBADF, errno);
	EXPECT_TRUE(memory_works());
}

TEST(its_number_is_wanted)
{
	int fd = device_fd() < 0 ? 1024 : device_fd(), i;
	char buffer[2];
	int pipes[2];

	keep_output();
	ASSERT_EQ(0, pipe(pipes));
	EXPECT_EQ(-1, dup2(777, fd));
	EXPECT_EQ(EBADF, errno);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(fd + i, dup2(pipes[1], fd + i));
		EXPECT_EQ(2, write(fd + i, "hi", 2));
		EXPECT_EQ(2, read(pipes[0], buffer, 2));
		EXPECT_EQ(0, fcntl(fd + i, F_GETFD));
		EXPECT_TRUE(memory_works());
	}
	EXPECT_EQ(fd, dup3(pipes[0], fd, O_CLOEXEC));
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(-1, close(fd));
	EXPECT_TRUE(memory_works());
}

TEST(vfork_wants_its_number)
{
	int fd = device_fd() < 0 ? 1024 : device_fd();
	pid_t child;

	keep_output();
	child = vfork();
	if (!child)
		_exit(dup2(0, fd) != fd);
	EXPECT_TRUE(child_ended_well(child));
	EXPECT_TRUE(memory_works());
}

TEST(in_a_child)
{
	pid_t child = fork();

	if (!child) {
		close_range(3, ~0U, 0);
		_exit(!memory_works());
	}
	EXPECT_TRUE(child_ended_well(child));
	EXPECT_TRUE(memory_works());
}

TEST(it_is_not_inherited_by_programs)
{
	static const char look[] =
		"env -u LD_PRELOAD sh -c '! ls -l /proc/self/fd | grep -q altvm'";

	EXPECT_EQ(0, system(look));
}

TEST_HARNESS_MAIN
