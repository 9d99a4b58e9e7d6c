// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * demo [AREAS]: a tour of altvm.  Each step says what it does, shows what the
 * kernel makes of it, and checks it.  Exits with 1 if anything is not as told.
 *
 * AREAS: how many to make in the step in which mprotect(2) fails.  Fewer are for
 * debug kernels, where altvm checks all areas after each call.
 */
#define _GNU_SOURCE
#include <altvm.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare.h"
#include "pagemap.h"
#include "trap.h"

#define PAGE ((size_t)4096)
#define RW (PROT_READ | PROT_WRITE)

static struct altvm *vm;
static unsigned int steps, checks, failures;

/* What the demo prints: a title, sentences, evidence, verdicts. */

static void step(const char *title)
{
	printf("\n%u. %s\n\n", ++steps, title);
}

static void say(const char *sentence)
{
	printf("   %s\n", sentence);
}

#define show(fmt, ...) printf("      " fmt "\n", ##__VA_ARGS__)

static void check(bool good, const char *claim)
{
	printf("   %s %s\n", good ? "[ok]   " : "[WRONG]", claim);
	checks++;
	failures += !good;
}

static char *map(size_t length, int prot)
{
	void *p = altvm_mmap(vm, NULL, length, prot,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "altvm_mmap of %zu bytes", length);
	return p;
}

static void unmap(void *p, size_t length)
{
	if (altvm_munmap(vm, p, length) < 0)
		err(1, "altvm_munmap of %zu bytes", length);
}

static void protect(void *p, size_t length, int prot)
{
	if (altvm_mprotect(vm, p, length, prot) < 0)
		err(1, "altvm_mprotect of %zu bytes", length);
}

static void write_text(char *to, const char *text)
{
	memcpy(to, text, strlen(text) + 1);
}

/* Listings: lines "start-end rwx..." of a file in /proc. */

/* What to do with a line; @line has no newline. */
struct lister {
	void (*line)(struct lister *lister, const char *line, uintptr_t start,
		     uintptr_t end, const char *rights);
	uintptr_t start, end; /* of interest */
	const char *rights;
	unsigned int seen;
};

static void list(const char *path, struct lister *lister)
{
	FILE *file = fopen(path, "re");
	char line[512], rights[5];
	unsigned long start, end;

	if (!file)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3)
			lister->line(lister, line, start, end, rights);
	}
	fclose(file);
}

static void show_if_inside(struct lister *lister, const char *line,
			   uintptr_t start, uintptr_t end, const char *rights)
{
	(void)rights;
	if (start < lister->end && end > lister->start) {
		show("%s", line);
		lister->seen++;
	}
}

static void count_if_same(struct lister *lister, const char *line,
			  uintptr_t start, uintptr_t end, const char *rights)
{
	(void)line;
	lister->seen += start == lister->start && end == lister->end &&
			!strncmp(rights, lister->rights, 3);
}

/* Show the kernel's own list of what lies in a range; return how many. */
static unsigned int show_maps(void *start, size_t length)
{
	struct lister lister = {
		.line = show_if_inside,
		.start = (uintptr_t)start,
		.end = (uintptr_t)start + length,
	};

	list("/proc/self/maps", &lister);
	return lister.seen;
}

static const char *fdinfo_path(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", altvm_fd(vm));
	return path;
}

static void show_areas(void)
{
	struct lister lister = { .line = show_if_inside, .end = UINTPTR_MAX };

	list(fdinfo_path(), &lister);
}

static bool area_is_listed(void *start, size_t length, const char *rights)
{
	struct lister lister = {
		.line = count_if_same,
		.start = (uintptr_t)start,
		.end = (uintptr_t)start + length,
		.rights = rights,
	};

	list(fdinfo_path(), &lister);
	return lister.seen == 1;
}

static struct page_info show_page(const char *name, void *addr)
{
	struct page_info info = pagemap_read(addr);
	char text[256];

	pagemap_format(&info, text, sizeof(text));
	show("%p %-9s %s", addr, name, text);
	return info;
}

static void show_trap(const char *what, void *addr, bool trapped,
		      const struct trap *trap)
{
	if (trapped)
		show("%s %p: %s, si_addr %p", what, addr, trap_name(trap),
		     trap->addr);
	else
		show("%s %p: went through", what, addr);
}

/* Does a read or a write of a byte trap just there, with that si_code? */
static bool read_traps(void *addr, int code)
{
	struct trap trap;
	bool trapped = trap_read(addr, &trap);

	show_trap("read of", addr, trapped, &trap);
	return trapped && trap.signo == SIGSEGV && trap.code == code &&
	       trap.addr == addr;
}

static bool write_traps(void *addr, int code)
{
	struct trap trap;
	bool trapped = trap_write(addr, &trap);

	show_trap("write to", addr, trapped, &trap);
	return trapped && trap.signo == SIGSEGV && trap.code == code &&
	       trap.addr == addr;
}

/* The steps. */

static void show_query(void)
{
	static const char *const names[] = { "query", "mmap", "munmap",
					     "mprotect", "mincore" };
	struct altvm_query query = { .size = sizeof(query) };

	if (altvm_query(vm, &query) < 0)
		err(1, "altvm_query");
	printf("      ABI version %u; commands:", query.abi_version);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (query.commands & 1ULL << i)
			printf(" %s", names[i]);
	putchar('\n');
	show("all but %llu MiB of the window can hold memory",
	     (query.window_len - query.window_usable) >> 20);
}

static void step_window(void)
{
	size_t length;
	char *window;

	step("A window");
	vm = altvm_open(0, 0);
	if (!vm)
		err(1, "/dev/altvm");
	window = altvm_window(vm, &length);
	say("/dev/altvm is open and a window of it is mapped.  For the kernel it");
	say("is one mapping, and that is all it is ever told; see /proc/self/maps:");
	show("%zu GiB at %p", length >> 30, (void *)window);
	check(show_maps(window, length) == 1, "one mapping");
	show_query();
	say("Until something is mapped in it, nothing is there:");
	check(read_traps(window + PAGE, SEGV_MAPERR), "the window is empty");
}

static char *rw, *ro, *none;

static void step_areas(void)
{
	step("Areas");
	say("altvm_mmap() takes what mmap(2) takes.  Three areas:");
	rw = map(4 * PAGE, RW);
	ro = map(2 * PAGE, PROT_READ);
	none = map(PAGE, PROT_NONE);
	show("%p  4 pages to read and write", (void *)rw);
	show("%p  2 pages to read", (void *)ro);
	show("%p  1 page that nobody may touch", (void *)none);
	printf("   altvm lists them in %s:\n", fdinfo_path());
	show_areas();
	check(area_is_listed(rw, 4 * PAGE, "rw-"), "the first is listed");
	check(area_is_listed(ro, 2 * PAGE, "r--"), "so is the second");
	check(area_is_listed(none, PAGE, "---"), "and the third");
}

static void step_pages(void)
{
	struct page_info before, first, second, third;
	unsigned char vec[4] = {};

	step("Pages");
	say("Memory comes with the first access.  What /proc/self/pagemap and");
	say("/proc/kpageflags tell of the first page, before and after a write:");
	before = show_page("untouched", rw);
	write_text(rw, "written through a real page-table entry");
	first = show_page("written", rw);
	check(!before.present && first.present, "the write brought a page");
	say("(It counts as shared, because the window is a device's mapping.)");
	say("And of the next two, when only one of them is written:");
	rw[PAGE] = 1;
	second = show_page("written", rw + PAGE);
	third = show_page("untouched", rw + 2 * PAGE);
	check(second.present && !third.present, "page by page");
	if (first.pfn)
		check(first.pfn != second.pfn, "each has its own frame");
	else
		say("(Page frame numbers and flags are shown to root only.)");

	if (altvm_mincore(vm, rw, 4 * PAGE, vec) < 0)
		err(1, "altvm_mincore");
	show("altvm_mincore of the four: %d %d %d %d", vec[0] & 1, vec[1] & 1,
	     vec[2] & 1, vec[3] & 1);
	check((vec[0] & vec[1] & 1) && !((vec[2] | vec[3]) & 1),
	      "altvm_mincore says the same");
}

static void step_protection(void)
{
	step("Protection");
	say("The CPU enforces what was asked for, and signals come as for mmap.");
	say("A write where only reading is allowed, a read where nothing is:");
	check(write_traps(ro + PAGE, SEGV_ACCERR), "the write was refused");
	check(read_traps(none, SEGV_ACCERR), "the read was refused");
	say("altvm_mprotect() gives and takes rights:");
	protect(ro + PAGE, PAGE, RW);
	ro[PAGE] = 42;
	protect(ro + PAGE, PAGE, PROT_READ);
	check(ro[PAGE] == 42, "allowed, the write went through");
	check(write_traps(ro + PAGE, SEGV_ACCERR), "not allowed, no longer");
}

static void step_hole(void)
{
	step("Holes");
	say("altvm_munmap() of the second of the four pages:");
	unmap(rw + PAGE, PAGE);
	check(!show_page("unmapped", rw + PAGE).present, "the page is gone");
	check(read_traps(rw + PAGE, SEGV_MAPERR), "there is nothing there");
	check(!strncmp(rw, "written", 7), "its neighbour is untouched");
	say("What was one area is two:");
	show_areas();
	check(area_is_listed(rw, PAGE, "rw-"), "one before the hole");
	check(area_is_listed(rw + 2 * PAGE, 2 * PAGE, "rw-"), "one behind it");
}

/* A file that read(2) can fill memory from past the page cache, if possible. */
static int scratch_file(bool *direct)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	if (!dir)
		dir = "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
	*direct = fd >= 0;
	if (fd < 0)
		fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		err(1, "a file in %s", dir);
	return fd;
}

static void through_file(char *from, char *to)
{
	bool direct;
	int fd = scratch_file(&direct);
	ssize_t written = pwrite(fd, from, PAGE, 0);
	ssize_t got = pread(fd, to, PAGE, 0);

	show("write %zd bytes, read %zd, %s", written, got,
	     direct ? "both with O_DIRECT" : "no O_DIRECT here");
	check(written == (ssize_t)PAGE && got == written, "all of them");
	check(!memcmp(from, to, PAGE), "and the same came back");
	got = pread(fd, ro, PAGE, 0);
	show("read(2) into the read-only page: %s",
	     got < 0 ? strerror(errno) : "went through");
	check(got < 0 && errno == EFAULT, "the kernel is refused as well");
	close(fd);
}

static void step_kernel(void)
{
	char *p = map(2 * PAGE, RW);
	struct iovec to, from;
	char copy[64];

	step("The kernel's own calls");
	say("They work on altvm memory as on any other: from one page to a file,");
	say("and from the file to another page.");
	memset(p, 'x', PAGE);
	through_file(p, p + PAGE);
	say("process_vm_readv(2), the way of debuggers:");
	to = (struct iovec){ copy, sizeof(copy) };
	from = (struct iovec){ rw, sizeof(copy) };
	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) < 0)
		*copy = '\0';
	show("read \"%.*s\"", (int)sizeof(copy), copy);
	check(!memcmp(copy, rw, sizeof(copy)), "it sees what is there");
	unmap(p, 2 * PAGE);
}

/* In the child: it has what we had, and what it writes is its own. */
static int use_child_window(void)
{
	if (strncmp(rw, "written", 7))
		return 1;
	write_text(rw, "the child's");
	return strncmp(rw, "the child's", 11) ? 2 : 0;
}

static void step_fork(void)
{
	int status;
	pid_t pid;

	step("Fork");
	say("A child gets a copy of the window, copied on write.");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid)
		_exit(use_child_window());
	if (waitpid(pid, &status, 0) < 0)
		err(1, "waitpid");
	show("the child, which wrote where our first page is, exited with %d",
	     WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	show("our first page: \"%s\"", rw);
	check(!status, "the child read our first page, and wrote to it");
	check(!strncmp(rw, "written", 7), "ours is as it was");
}

/* Pages, of which every second one is protected; so many areas come of it. */
static size_t many = 80000;

static unsigned long read_map_limit(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned long max = 0;

	if (file) {
		if (fscanf(file, "%lu", &max) != 1)
			max = 0;
		fclose(file);
	}
	return max;
}

/* Return: how many pages could be protected. */
static size_t alternate_native(void)
{
	char *p = mmap(NULL, many * PAGE, RW,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t done = 0;

	if (p == MAP_FAILED)
		err(1, "mmap");
	while (done < many / 2 &&
	       !mprotect(p + 2 * done * PAGE, PAGE, PROT_NONE))
		done++;
	if (done < many / 2)
		show("mprotect: %s after %zu pages", strerror(errno), done);
	munmap(p, many * PAGE);
	return done;
}

/* Is every 1000th pair a page to write to and one that refuses? */
static bool alternates(char *p)
{
	struct trap trap;

	for (size_t i = 0; i < many; i += 1000)
		if (!trap_write(p + i * PAGE, &trap) ||
		    trap.code != SEGV_ACCERR || trap.addr != p + i * PAGE ||
		    trap_write(p + (i + 1) * PAGE, &trap))
			return false;
	return true;
}

static void alternate_altvm(void)
{
	char *p = map(many * PAGE, RW);
	size_t done = 0;

	while (done < many / 2 &&
	       !altvm_mprotect(vm, p + 2 * done * PAGE, PAGE, PROT_NONE))
		done++;
	show("altvm_mprotect: %zu pages, so %zu areas", done, 2 * done);
	check(done == many / 2, "altvm goes on");
	check(alternates(p), "and each page has the rights it was given");
	unmap(p, many * PAGE);
}

static void step_many(void)
{
	unsigned long max = read_map_limit();

	step("More than 65530 areas");
	say("Guard pages, garbage collectors and JITs give neighbouring pages");
	say("different rights.  Each change is a mapping, and of those a process");
	printf("   gets vm.max_map_count, here %lu:\n", max);
	if (max < many)
		check(alternate_native() < many / 2, "mprotect gives up");
	else
		say("(more than this demo makes: mprotect would not fail)");
	alternate_altvm();
}

static void step_compare(void)
{
	step("By the clock");
	say("The same calls, the kernel's and altvm's.  In an emulated machine the");
	say("time is only a hint; `make bench` counts instructions.");
	compare_print(vm);
}

static void step_end(void)
{
	size_t length;
	char *window = altvm_window(vm, &length);

	step("The end");
	say("altvm_close() gives the window back, and all that is in it.");
	check(altvm_close(vm) == 0, "closed");
	check(show_maps(window, length) == 0, "nothing is left of it");
}

int main(int argc, char **argv)
{
	if (argc > 1)
		many = strtoul(argv[1], NULL, 0) & ~1UL;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("altvm: a second virtual-memory system for this process\n");
	step_window();
	step_areas();
	step_pages();
	step_protection();
	step_hole();
	step_kernel();
	step_fork();
	step_many();
	step_compare();
	step_end();
	printf("\n%u checks, %u wrong\n", checks, failures);
	return failures > 0;
}
