// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * altvm_dump() without the module: the window is a mapping of the kernel's, and
 * the list of its areas is made up.  Linked with -Wl,--wrap for the system calls
 * that the dump makes.  Prints TAP.
 *
 *   dump               the tests
 *   dump FILE          leave a dump for a debugger in FILE
 *   dump FILE many     one of very many areas
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <altvm.h>

#include "core.h"
#include "tap.h"

#define PAGE ((size_t)4096)
#define PAGES 64
#define MANY 70000
#define RW (PROT_READ | PROT_WRITE)

int __real_open(const char *path, int flags, ...);
ssize_t __real_read(int fd, void *buffer, size_t length);
ssize_t __real_pwrite(int fd, const void *buffer, size_t length, off_t offset);
void *__real_mmap(void *addr, size_t length, int prot, int flags, int fd,
		  off_t offset);

/* The system: what it shows, and how it answers. */
static struct {
	char *list, *second_list; /* the text of fdinfo */
	int opens;
	int open_errno, ioctl_errno;
	size_t most; /* no more bytes are read or written at once */
	long writes_left; /* then the disk is full */
	bool interrupt; /* every other call */
	void (*when_listed)(void); /* called by the second open */
} sys;

static struct altvm *vm;
static char *base;

static int fail(int err)
{
	errno = err;
	return -1;
}

static int open_list(void)
{
	const char *list = sys.list;
	int fd;

	if (sys.opens++ == 1) {
		if (sys.second_list)
			list = sys.second_list;
		if (sys.when_listed)
			sys.when_listed();
	}
	if (!list)
		return fail(ENOENT);
	fd = memfd_create("fdinfo", MFD_CLOEXEC);
	if (fd < 0 || write(fd, list, strlen(list)) != (ssize_t)strlen(list) ||
	    lseek(fd, 0, SEEK_SET))
		return fail(ENFILE);
	return fd;
}

int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	static const char fdinfo[] = "/proc/self/fdinfo/";
	int fd;

	if (!strcmp(path, "/dev/altvm"))
		return memfd_create("altvm", 0);
	/* What the test itself opens. */
	if (strncmp(path, fdinfo, strlen(fdinfo)))
		return __real_open(path, flags, 0600);
	fd = atoi(path + strlen(fdinfo));
	return vm && fd == altvm_fd(vm) ? open_list() : fail(EBADF);
}

void *__wrap_mmap(void *addr, size_t length, int prot, int flags, int fd,
		  off_t offset);
void *__wrap_mmap(void *addr, size_t length, int prot, int flags, int fd,
		  off_t offset)
{
	(void)flags;
	(void)fd;
	return __real_mmap(addr, length, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   offset);
}

int __wrap_ioctl(int fd, unsigned long cmd, ...);
int __wrap_ioctl(int fd, unsigned long cmd, ...)
{
	const struct altvm_mincore *arg;
	va_list ap;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (sys.ioctl_errno || fd != altvm_fd(vm) || cmd != ALTVM_MINCORE)
		return fail(sys.ioctl_errno ? sys.ioctl_errno : ENOTTY);
	return mincore((void *)arg->addr, arg->length, (void *)arg->vec);
}

/* How much of a read or write is done; 0 if it fails. */
static size_t part(size_t length)
{
	static bool odd;

	odd = !odd;
	if (sys.interrupt && odd)
		return (size_t)fail(EINTR) + 1;
	return sys.most && length > sys.most ? sys.most : length;
}

ssize_t __wrap_read(int fd, void *buffer, size_t length);
ssize_t __wrap_read(int fd, void *buffer, size_t length)
{
	length = part(length);
	return length ? __real_read(fd, buffer, length) : -1;
}

ssize_t __wrap_pwrite(int fd, const void *buffer, size_t length, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buffer, size_t length, off_t offset)
{
	if (!sys.writes_left)
		return fail(ENOSPC);
	sys.writes_left--;
	length = part(length);
	return length ? __real_pwrite(fd, buffer, length, offset) : -1;
}

/* --- the list --- */

static char text[4 << 20];

static void list_add(const char *format, ...)
{
	size_t len = strlen(text);
	va_list ap;

	va_start(ap, format);
	vsnprintf(text + len, sizeof(text) - len, format, ap);
	va_end(ap);
}

static void list_window(const char *end)
{
	static const char text[] =
		"altvm-window:\t%08lx-%08lx pid 42 mapped 8 kB swapped 0 kB%s\n"
		"altvm-swap:\tout 0 in 0 freed 0\n";

	list_add(text, (unsigned long)base, (unsigned long)base + PAGES * PAGE,
		 end);
}

/* Pages [@first, @last); @rest: from the protection on. */
static void list_area(size_t first, size_t last, const char *rest)
{
	list_add("%08lx-%08lx %s\n", (unsigned long)base + first * PAGE,
		 (unsigned long)base + last * PAGE, rest);
}

static void list_start(void)
{
	memset(&sys, 0, sizeof(sys));
	sys.list = text;
	sys.writes_left = -1;
	*text = '\0';
	list_add("pos:\t0\nflags:\t02100002\nmnt_id:\t15\nino:\t9\n");
	/* Another process has windows with this file, at the same place. */
	list_window("");
	list_area(0, 1, "rw-p 00000000 00:00 0");
	list_window(" self");
}

/* --- the dump, read back --- */

static char file_name[64];
static int file;

/* How much is dumped of the area that starts at page @page; -1 for no area. */
static long dumped(size_t page)
{
	struct elf64_phdr phdr = core_find(file, base + page * PAGE);

	return phdr.p_type == PT_LOAD ? (long)phdr.p_filesz : -1;
}

/* What all of a page is; -1 if it is not there, -2 if it is not all the same. */
static int page_byte(size_t page)
{
	int first = core_byte(file, base + page * PAGE);

	return first == core_byte(file, base + (page + 1) * PAGE - 1) ? first :
									-2;
}

static bool resident(size_t page)
{
	unsigned char vec = 0;

	mincore(base + page * PAGE, PAGE, &vec);
	return vec & 1;
}

/* --- the tests --- */

static void fill(size_t page, int byte)
{
	memset(base + page * PAGE, byte, PAGE);
}

/* A window of which the even pages below 32 are there, page N holding N. */
static void new_window(void)
{
	size_t i;

	if (vm)
		altvm_close(vm);
	vm = NULL;
	vm = altvm_open(PAGES * PAGE, ALTVM_OPEN_NOEXEC);
	if (!vm)
		exit(2);
	base = altvm_window(vm, NULL);
	for (i = 2; i < 32; i += 2)
		fill(i, (int)i);
	list_start();
}

static void test_contents(void)
{
	new_window();
	list_area(1, 4, "rw-p 00000000 00:00 0");
	list_area(4, 5, "r--p 00000000 00:00 0 [dc wf]");
	list_area(40, 64, "rw-p 00000000 00:00 0");
	/* Old contents of the file do not show through the holes. */
	ftruncate(file, 1 << 20);
	for (off_t i = 0; i < 1 << 20; i += (off_t)PAGE)
		pwrite(file, "old", 3, i);
	errno = 77;
	ok(altvm_dump(vm, file, 0) == 0 && errno == 77, "a dump");
	ok(core_segments(file) == 4, "a segment for each area, and the note");
	ok(core_segment(file, 0).p_type == PT_NOTE, "the note is the first");
	ok(core_segment(file, 1).p_memsz == 3 * PAGE, "their length");
	ok(core_segment(file, 1).p_flags == (PF_R | PF_W), "their protection");
	ok(core_segment(file, 2).p_flags == PF_R, "of each its own");
	ok(page_byte(2) == 2 && page_byte(4) == 4, "what is there");
	ok(page_byte(1) == 0 && page_byte(3) == 0, "and what is not: holes");
	ok(page_byte(63) == 0, "at the end too");
	ok(!resident(1) && !resident(63), "nothing was touched");
	ok(dumped(0) == -1, "another process's window is left out");
}

static void test_kinds(void)
{
	new_window();
	list_area(2, 4, "---p 00000000 00:00 0");
	list_area(4, 6, "rw-p 00000000 00:00 0 [dd]");
	list_area(6, 8, "rw-p 00000000 00:00 0 [dc dd]");
	list_area(8, 10, "rw-p 00000000 00:00 0 [ddx xdd]");
	list_area(10, 12, "rw-s 00001000 08:01 77 /a (deleted) file");
	list_area(12, 14, "rw-s 00000000 00:01 78 /dev/zero (deleted)");
	list_area(14, 16, "r--s 00000000 00:01 79 [dc] /memfd:x (deleted)");
	list_area(16, 18, "rw-p 00000000 08:01 80 /file");
	list_area(18, 20, "r-xp 00000000 08:01 80 /file");
	list_area(20, 22, "rw-s 00000000 08:01 81 [dd] /x (deleted)");
	list_area(22, 24, "r--p 00000000 08:01 82 /x (deleted)");
	list_area(24, 26, "rw-s 00000000 08:01 83 /x (del (deleted)");
	ok(altvm_dump(vm, file, 0) == 0, "kinds of areas");
	ok(dumped(2) == 0, "PROT_NONE: no contents");
	ok(dumped(4) == 0 && dumped(6) == 0, "MADV_DONTDUMP: none");
	ok(dumped(8) == 2 * PAGE, "flags that only look like it");
	ok(dumped(10) == 0, "a shared file: none");
	ok(dumped(12) == 2 * PAGE && page_byte(12) == 12, "shared anonymous");
	ok(dumped(14) == 2 * PAGE && page_byte(14) == 14, "a memfd");
	ok(dumped(16) == 2 * PAGE, "a private file that can be written");
	ok(dumped(18) == 0, "and one that cannot: none");
	ok(dumped(20) == 0, "MADV_DONTDUMP of an unlinked file: none");
	ok(dumped(22) == 0, "an unlinked file that is private: none");
	ok(dumped(24) == 2 * PAGE, "an unlinked file of an odd name");
	ok(altvm_dump(vm, file, ALTVM_DUMP_SHARED) == 0, "ALTVM_DUMP_SHARED");
	ok(dumped(10) == 2 * PAGE && dumped(18) == 0, "also the shared file");
}

static void test_long_lines(void)
{
	static char path[6000];

	new_window();
	memset(path, 'x', sizeof(path) - 1);
	list_add("%08lx-%08lx rw-s 00000000 08:01 7 /%s (deleted)\n",
		 (unsigned long)base + 2 * PAGE, (unsigned long)base + 4 * PAGE,
		 path);
	list_add("%08lx-%08lx rw-s 00000000 08:01 7 /%s (deleted) (delete\n",
		 (unsigned long)base + 4 * PAGE, (unsigned long)base + 6 * PAGE,
		 path);
	list_area(6, 8, "rw-p 00000000 00:00 0");
	ok(altvm_dump(vm, file, 0) == 0, "very long paths");
	ok(dumped(2) == 2 * PAGE, "are read to their end");
	ok(dumped(4) == 0 && dumped(6) == 2 * PAGE, "and no further");
}

static void test_small_steps(void)
{
	new_window();
	list_area(2, 5, "rw-p 00000000 00:00 0");
	list_area(30, 40, "rw-p 00000000 00:00 0");
	sys.most = 7;
	sys.interrupt = true;
	ok(altvm_dump(vm, file, 0) == 0, "short and interrupted calls");
	ok(page_byte(2) == 2 && page_byte(4) == 4 && page_byte(30) == 30,
	   "make no difference");
	ok(page_byte(3) == 0 && page_byte(39) == 0, "to holes either");
}

static void test_unreadable(void)
{
	size_t i;

	new_window();
	for (i = 2; i < 12; i++)
		fill(i, 0x55);
	list_area(2, 12, "rw-p 00000000 00:00 0");
	mprotect(base + 4 * PAGE, PAGE, PROT_NONE);
	mprotect(base + 11 * PAGE, PAGE, PROT_NONE);
	errno = 77;
	ok(altvm_dump(vm, file, 0) == 0 && errno == 77,
	   "memory that cannot be read");
	ok(page_byte(3) == 0x55 && page_byte(5) == 0x55, "is no harm");
	ok(page_byte(4) == 0 && page_byte(11) == 0, "and a hole");
	ok(dumped(2) == 10 * PAGE, "the file is as long as it should be");
}

static void unmap_some(void)
{
	munmap(base + 4 * PAGE, PAGE);
	munmap(base + 8 * PAGE, 2 * PAGE);
}

static void test_unmapped_meanwhile(void)
{
	new_window();
	list_area(2, 12, "rw-p 00000000 00:00 0");
	sys.when_listed = unmap_some;
	ok(altvm_dump(vm, file, 0) == 0, "memory that goes away meanwhile");
	ok(page_byte(2) == 2 && page_byte(6) == 6 && page_byte(10) == 10,
	   "the rest is there");
	ok(page_byte(4) == 0 && page_byte(8) == 0, "and it is a hole");
}

static void test_more_meanwhile(void)
{
	static char first[1000];
	size_t i;

	new_window();
	list_area(2, 3, "rw-p 00000000 00:00 0");
	strcpy(first, text);
	for (i = 4; i < 14; i++)
		list_area(i, i + 1, "rw-p 00000000 00:00 0");
	sys.list = first;
	sys.second_list = text;
	ok(altvm_dump(vm, file, 0) == 0, "some areas come meanwhile");
	ok(page_byte(2) == 2 && page_byte(12) == 12, "they are there");
	for (i = 14; i < 60; i++)
		list_area(i, i + 1, "rw-p 00000000 00:00 0");
	sys.opens = 0;
	ok(altvm_dump(vm, file, 0) == -1 && errno == EAGAIN, "many: EAGAIN");
	ok(page_byte(2) == 2 && page_byte(12) == 12, "but most are there");
	sys.opens = 0;
	sys.list = text;
	sys.second_list = first;
	ok(altvm_dump(vm, file, 0) == 0 && core_segments(file) == 2,
	   "areas that go are not there");
}

static int lowest_free_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void test_errors(void)
{
	int fd, before;

	new_window();
	list_area(2, 3, "rw-p 00000000 00:00 0");
	before = lowest_free_fd();
	ok(altvm_dump(vm, file, 0x80000000) == -1 && errno == EINVAL,
	   "an unknown flag: EINVAL");
	fd = __real_open(file_name, O_RDWR | O_APPEND);
	ok(altvm_dump(vm, fd, 0) == -1 && errno == EINVAL, "O_APPEND: EINVAL");
	close(fd);
	ok(altvm_dump(vm, fd, 0) == -1 && errno == EBADF, "no file: EBADF");
	fd = __real_open(file_name, O_RDONLY);
	ok(altvm_dump(vm, fd, 0) == -1 && errno == EINVAL,
	   "a file to read: EINVAL, as ftruncate says");
	close(fd);
	sys.list = NULL;
	ok(altvm_dump(vm, file, 0) == -1 && errno == ENOENT,
	   "no /proc: ENOENT");
	*text = '\0';
	list_window("");
	list_area(2, 3, "rw-p 00000000 00:00 0");
	sys.list = text;
	ok(altvm_dump(vm, file, 0) == -1 && errno == ENXIO, "no window: ENXIO");
	ok(lowest_free_fd() == before, "no file is left open");
}

/* Wherever the disk is full: that is told, and no file stays open. */
static void test_full_disk(void)
{
	long i, told = 0;
	int before;

	new_window();
	list_area(2, 5, "rw-p 00000000 00:00 0");
	list_area(6, 7, "rw-p 00000000 00:00 0");
	before = lowest_free_fd();
	for (i = 0;; i++) {
		sys.writes_left = i;
		if (!altvm_dump(vm, file, 0))
			break;
		told += errno == ENOSPC;
	}
	ok(i > 5 && told == i, "a full disk: ENOSPC");
	ok(lowest_free_fd() == before, "and no file is left open");
}

/* --- on little stack --- */

#define STACK (64 << 10)

static char *stack_bottom, *stack_top;

static void *dump_on_stack(void *arg)
{
	char here;

	memset(stack_bottom, 0x5a, (size_t)(&here - stack_bottom) - 512);
	stack_top = &here;
	*(int *)arg = altvm_dump(vm, file, 0);
	return NULL;
}

static void test_stack(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret = -1;
	char *p;

	new_window();
	list_area(2, 5, "rw-p 00000000 00:00 0");
	stack_bottom = __real_mmap(NULL, STACK, RW, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack_bottom, STACK);
	if (!pthread_create(&thread, &attr, dump_on_stack, &ret))
		pthread_join(thread, NULL);
	for (p = stack_bottom; p < stack_top && *p == 0x5a; p++)
		;
	printf("# %zu bytes of stack\n", (size_t)(stack_top - p));
	ok(ret == 0 && stack_top - p < 4096, "less than 4 KiB of stack");
	munmap(stack_bottom, STACK);
}

/* Most are outside of the window, where nobody looks. */
static void list_many(void)
{
	list_area(2, 4, "rw-p 00000000 00:00 0");
	for (size_t i = 1; i <= MANY; i++)
		list_area(PAGES + i, PAGES + i + 1, "---p 00000000 00:00 0");
}

static void test_many(void)
{
	new_window();
	list_many();
	ok(altvm_dump(vm, file, 0) == 0, "more areas than e_phnum can tell");
	ok(core_segments(file) == MANY + 2, "are counted elsewhere");
	ok(page_byte(2) == 2, "and are there");
}

static int leave_a_dump(const char *path, bool many)
{
	file = __real_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	new_window();
	strcpy(base + 2 * PAGE, "for the debugger");
	printf("%p %p\n", (void *)(base + 2 * PAGE), (void *)(base + 3 * PAGE));
	if (many)
		list_many();
	else
		list_area(2, 5, "rw-p 00000000 00:00 0");
	return altvm_dump(vm, file, 0) < 0;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return leave_a_dump(argv[1], argc > 2);
	strcpy(file_name, "/tmp/altvm-dump.XXXXXX");
	file = mkstemp(file_name);
	if (file < 0)
		return 2;
	test_contents();
	test_kinds();
	test_long_lines();
	test_small_steps();
	test_unreadable();
	test_unmapped_meanwhile();
	test_more_meanwhile();
	test_errors();
	test_full_disk();
	test_stack();
	test_many();
	altvm_close(vm);
	unlink(file_name);
	return tap_end();
}
