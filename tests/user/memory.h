/* SPDX-License-Identifier: GPL-2.0 */
/* The kinds of memory that can be mapped: those of a file, or without one. */
#ifndef TESTS_USER_MEMORY_H
#define TESTS_USER_MEMORY_H

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "vm.h"

enum memory { PRIVATE_ANON, SHARED_ANON, PRIVATE_FILE, SHARED_FILE, NR_MEMORY };

#define for_each_memory(m) for ((m) = 0; (m) < NR_MEMORY; (m)++)

static inline const char *memory_name(enum memory m)
{
	static const char *const name[] = { "private anonymous",
					    "shared anonymous", "private file",
					    "shared file" };

	return name[m];
}

static inline bool memory_is_shared(enum memory m)
{
	return m == SHARED_ANON || m == SHARED_FILE;
}

static inline bool memory_is_file(enum memory m)
{
	return m == PRIVATE_FILE || m == SHARED_FILE;
}

/*
 * MAP_FIXED at page @page of the zone, and if it is to be of a file, of the same
 * page of that.
 */
static inline char *memory_map(struct vm *vm, enum memory m, size_t page,
			       size_t pages, int prot, int fd)
{
	int flags = MAP_FIXED |
		    (memory_is_shared(m) ? MAP_SHARED : MAP_PRIVATE) |
		    (memory_is_file(m) ? 0 : MAP_ANONYMOUS);

	return vm_map_file(vm, vm_page(vm, page), pages * PAGE, prot, flags,
			   memory_is_file(m) ? fd : -1, page * PAGE);
}

/* A file without a name of @len bytes in @dir; -1 and errno. */
static inline int nameless_file(const char *dir, size_t len)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 && ftruncate(fd, len)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Where tests have their files: on a disk if there is one for them. */
static inline const char *files_dir(void)
{
	if (getenv("ALTVM_DIR"))
		return getenv("ALTVM_DIR");
	return access("/mnt/ext4", W_OK) ? "/tmp" : "/mnt/ext4";
}

#endif /* TESTS_USER_MEMORY_H */
