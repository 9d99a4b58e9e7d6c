/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Scripts: sequences of calls and accesses that can be run natively and on altvm,
 * and what was seen of them.
 */
#ifndef TESTS_FUZZ_SCRIPT_H
#define TESTS_FUZZ_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/user/vm.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Newer than some C libraries. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 8
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define OPS_MAX 1024
#define HUGE_PAGE (2 * MiB)

/* No zone is larger. */
#define ZONE_PAGES_MAX (GiB / PAGE + 64)

enum kind {
	OP_NONE,
	OP_MMAP,
	OP_MUNMAP,
	OP_MPROTECT,
	OP_MREMAP,
	OP_MADVISE,
	OP_MSYNC,
	OP_MINCORE,
	OP_MLOCK,
	OP_MUNLOCK,
	OP_MLOCKALL,
	OP_MUNLOCKALL,
	OP_BRK,
	OP_MBIND,
	OP_SET_MEMPOLICY,
	OP_GET_MEMPOLICY,
	OP_NODES,
	OP_READV,
	OP_WRITEV,
	OP_PROCESS_MADVISE,
	OP_LOAD,
	OP_STORE,
	OP_CALL,
	OP_LOOK,
	OP_AREAS,
	OP_PREAD,
	OP_PWRITE,
	OP_TRUNCATE,
	OP_FALLOCATE,
	OP_FORK,
	OP_END,
	OP_JOIN,
	OP_RLIMIT,
	OP_RECLAIM,
	NR_OPS,
};

/* struct op.how of OP_FORK */
#define FORK_LATE 1 /* the child waits until OP_JOIN */
#define FORK_KILL 2 /* and ends by SIGKILL */

/* struct op.fd: the files of a side */
enum {
	FILE_DATA,
	FILE_READER, /* the same, open for reading only */
	FILE_OTHER,
	FILE_ZERO, /* /dev/zero */
	NR_FILES,
	FILE_BAD = 99,
};

/**
 * struct op - one call or access
 * @kind: which
 * @absolute: @addr is an address, not an offset in the zone
 * @thread: another thread makes it
 * @prot: of mmap and mprotect; the mode of a memory policy
 * @flags: of the call
 * @how: the advice of madvise; FORK_*; OP_AREAS: with flags; of OP_RLIMIT which
 * @fd: FILE_*
 * @addr: where, in bytes
 * @len: of the call in bytes
 * @to: the new address of mremap, likewise; of process_madvise a second range
 * @child: it is about the youngest child that waits, if there is one
 * @new_len: of mremap, in bytes
 * @off: in the file in bytes
 * @value: to be stored; nodes; a limit in pages, -1 for none
 */
struct op {
	enum kind kind;
	bool absolute;
	bool thread;
	bool child;
	int prot;
	int flags;
	int how;
	int fd;
	uint64_t addr;
	uint64_t len;
	uint64_t to;
	uint64_t new_len;
	uint64_t off;
	uint64_t value;
};

/**
 * struct scene - where a script is run
 * @pages: of the zone
 * @before: how many of them are below a border of 2 MiB
 * @disk: the files are on the file system of a disk
 * @strict: there is nothing that makes residency uncertain
 * @alarms: signals are handled meanwhile
 * @huge: huge pages are allowed
 * @lockable: how many pages may be locked; 0: any number
 * @limits: RLIMIT_* that changes, plus 1; 0: none
 * @swap: memory is reclaimed meanwhile
 */
struct scene {
	uint64_t pages;
	uint64_t before;
	int disk;
	int strict;
	int alarms;
	int huge;
	int lockable;
	int limits;
	int swap;
};

/**
 * struct script - what is run
 * @scene: and where
 * @nr: how many operations
 * @ops: they
 */
struct script {
	struct scene scene;
	size_t nr;
	struct op ops[OPS_MAX];
};

/**
 * struct outcome - all that can be seen of an operation
 * @done: it was run
 * @ret: what it returned, addresses as offsets in the zone
 * @err: errno
 * @sig: of the access
 * @code: si_code
 * @error: the page-fault error code of the signal frame
 * @addr: si_addr, as an offset in the zone
 * @cr2: the signal frame's, likewise
 * @value: what was read, or residency by pages
 * @hash: of all that was read
 */
struct outcome {
	int64_t done;
	int64_t ret;
	int32_t err;
	int32_t sig;
	int32_t code;
	int32_t error;
	int64_t addr;
	int64_t cr2;
	uint64_t value;
	uint64_t hash;
};

extern const char *const op_names[NR_OPS];

void op_print(FILE *f, const struct op *op);
void script_print(FILE *f, const struct script *s);
bool script_parse(FILE *f, struct script *s);
void outcome_print(FILE *f, const char *name, const struct outcome *o);

/* The index behind the OP_END of the OP_FORK at @i. */
size_t script_after_fork(const struct script *s, size_t i);

/* A random script; the same for the same number. */
void script_generate(struct script *s, uint64_t seed);

/* What altvm, or the kernel, does not know is left out. */
bool advice_is_known(int advice);
void advice_find_known(void);

#endif /* TESTS_FUZZ_SCRIPT_H */
