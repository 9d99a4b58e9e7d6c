// SPDX-License-Identifier: GPL-2.0
/*
 * usage: durable store native|altvm FILE [NAME]
 *        durable check FILE NUMBER
 *
 * "store" writes records to FILE through a shared mapping, without end, and after
 * each msync prints NAME and how many records are safe now.  Then the machine is
 * killed.  "check" says whether the first NUMBER records are there.
 *
 * Records have slots, first one after the other in no order, so that the file grows
 * in all places; then those are used again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm.h"

#define SLOTS 512UL
/* Not a multiple of the page size: records share pages with others. */
#define RECORD_WORDS 900UL
#define RECORD_LEN (RECORD_WORDS * 8)
#define FILE_LEN ((SLOTS * RECORD_LEN + PAGE - 1) & -PAGE)

/* Records are numbered from 1. */
static size_t slot_of(uint64_t number)
{
	return number * 197 % SLOTS;
}

static void fill(volatile uint64_t *record, uint64_t number)
{
	struct rng rng = { .state = number };
	size_t i;

	record[0] = number;
	for (i = 1; i < RECORD_WORDS; i++)
		record[i] = rng_next(&rng);
}

static bool is_whole(const uint64_t *record)
{
	struct rng rng = { .state = record[0] };
	size_t i;

	for (i = 1; i < RECORD_WORDS; i++)
		if (record[i] != rng_next(&rng))
			return false;
	return true;
}

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int store(const struct vm_ops *ops, const char *path, const char *name)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint64_t number;
	struct vm vm;
	char *map;

	/* The file itself has to be there, too. */
	if (fd < 0 || ftruncate(fd, FILE_LEN) || syncfs(fd))
		return fail(path);
	if (vm_open(&vm, ops, FILE_LEN))
		return fail("vm_open");
	map = vm_map_file(&vm, NULL, FILE_LEN, RW, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return fail("mmap");
	for (number = 1;; number++) {
		char *p = map + slot_of(number) * RECORD_LEN;
		char *start = (char *)((uintptr_t)p & -PAGE);

		fill((uint64_t *)p, number);
		if (vm_msync(&vm, start, p + RECORD_LEN - start, MS_SYNC))
			return fail("msync");
		printf("%s %lu\n", name, number);
		fflush(stdout);
	}
}

/* The last of the first @number records that went to @slot; 0 if none did. */
static uint64_t last_in(size_t slot, uint64_t number)
{
	uint64_t n;

	for (n = number; n && number - n < SLOTS; n--)
		if (slot_of(n) == slot)
			return n;
	return 0;
}

/*
 * Later records may be there as well, if the machine did not live to tell.  The one
 * that was about to be written may have left anything in its slot.
 */
static int check(const char *path, uint64_t number)
{
	static uint64_t file[SLOTS][RECORD_WORDS];
	uint64_t newest = number;
	int fd = open(path, O_RDONLY | O_CLOEXEC), bad = 0;
	size_t i;

	if (fd < 0 || read(fd, file, sizeof(file)) != sizeof(file))
		return fail(path);
	for (i = 0; i < SLOTS; i++)
		if (file[i][0] > newest && slot_of(file[i][0]) == i &&
		    is_whole(file[i]))
			newest = file[i][0];
	for (i = 0; i < SLOTS; i++) {
		uint64_t want = last_in(i, number);

		if (!want || i == slot_of(newest + 1) ||
		    (file[i][0] >= want && slot_of(file[i][0]) == i &&
		     is_whole(file[i])))
			continue;
		printf("# slot %zu: record %lu should be there, is %lu, %s\n",
		       i, want, file[i][0],
		       is_whole(file[i]) ? "whole" : "not whole");
		bad = 1;
	}
	printf("# %s: %lu records were safe, %lu are there\n", path, number,
	       newest);
	return bad;
}

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "store"))
		return store(!strcmp(argv[2], "native") ? &vm_native :
							  &vm_ioctl,
			     argv[3], argc > 4 ? argv[4] : "");
	if (argc == 4 && !strcmp(argv[1], "check"))
		return check(argv[2], strtoul(argv[3], NULL, 0));
	fprintf(stderr, "usage: durable store native|altvm FILE [NAME]\n"
			"       durable check FILE NUMBER\n");
	return 2;
}
