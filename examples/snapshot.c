// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * snapshot [MIB]: save a heap that is in use.  A child of fork() has the window as
 * it was at that moment, and writes it to a file; the parent goes on changing it.
 * Only what the parent changes meanwhile is copied.
 */
#include <altvm.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define WORDS (PAGE / sizeof(uint64_t))

static size_t pages = 64 << 8;

/* All words of the heap hold the generation, so that a mix is seen. */
static void set_all(uint64_t *heap, uint64_t generation)
{
	for (size_t i = 0; i < pages * WORDS; i++)
		heap[i] = generation;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The child's work.  It ends with _exit(): the rest is the parent's. */
static void save(const uint64_t *heap, int fd)
{
	const char *p = (const char *)heap;
	size_t left = pages * PAGE;
	ssize_t n = 1;

	for (; left && n > 0; p += n, left -= (size_t)n)
		n = write(fd, p, left);
	_exit(left != 0);
}

static pid_t snapshot(const uint64_t *heap, int fd)
{
	double start = now_ms();
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (!pid)
		save(heap, fd);
	printf("fork with %zu MiB: %.1f ms\n", pages >> 8, now_ms() - start);
	return pid;
}

/* Every word of the file is of one generation. */
static void check(int fd, uint64_t generation)
{
	uint64_t words[WORDS];

	for (size_t page = 0; page < pages; page++) {
		if (pread(fd, words, PAGE, (off_t)(page * PAGE)) !=
		    (ssize_t)PAGE)
			err(1, "page %zu of the file", page);
		for (size_t i = 0; i < WORDS; i++)
			if (words[i] != generation)
				errx(1, "page %zu has generation %llu", page,
				     (unsigned long long)words[i]);
	}
}

int main(int argc, char **argv)
{
	struct altvm *vm = altvm_open(0, ALTVM_OPEN_NOEXEC);
	uint64_t *heap, generation = 1;
	FILE *file = tmpfile();
	int status;
	pid_t pid;

	if (argc > 1)
		pages = strtoul(argv[1], NULL, 0) << 8;
	if (!vm || !file)
		err(1, vm ? "tmpfile" : "altvm_open");
	heap = altvm_mmap(vm, NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (heap == MAP_FAILED)
		err(1, "altvm_mmap");

	set_all(heap, generation);
	pid = snapshot(heap, fileno(file));
	do
		set_all(heap, ++generation);
	while (!waitpid(pid, &status, WNOHANG));
	if (status)
		errx(1, "the child failed");
	check(fileno(file), 1);
	printf("the file has generation 1 throughout, the heap is at %llu\n",
	       (unsigned long long)generation);
	return altvm_close(vm) < 0;
}
