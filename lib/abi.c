// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The layout of the ABI, as programs have been compiled with it.  A structure
 * may grow at its end; a member that moved, or a hole that would carry stack
 * bytes into the kernel, does not compile.
 */
#include <assert.h>
#include <stddef.h>
#include <sys/types.h>

/* From here on, where no system header follows, a hole is an error. */
#pragma GCC diagnostic error "-Wpadded"
#include <linux/altvm.h>

#define ASSERT_OFFSET(type, member, at)                      \
	static_assert(offsetof(struct type, member) == (at), \
		      "the ABI: " #type "." #member " is not where it was")
#define ASSERT_SIZE(type, bytes)                      \
	static_assert(sizeof(struct type) == (bytes), \
		      "the ABI: sizeof(" #type ") changed")

ASSERT_OFFSET(altvm_query, size, 0);
ASSERT_OFFSET(altvm_query, __reserved, 4);
ASSERT_OFFSET(altvm_query, abi_version, 8);
ASSERT_OFFSET(altvm_query, __reserved2, 12);
ASSERT_OFFSET(altvm_query, commands, 16);
ASSERT_OFFSET(altvm_query, map_flags, 24);
ASSERT_OFFSET(altvm_query, map_flags_ignored, 32);
ASSERT_OFFSET(altvm_query, window_max, 40);
ASSERT_OFFSET(altvm_query, window_addr, 48);
ASSERT_OFFSET(altvm_query, window_len, 56);
ASSERT_OFFSET(altvm_query, window_usable, 64);
ASSERT_SIZE(altvm_query, 72);

ASSERT_OFFSET(altvm_mmap, size, 0);
ASSERT_OFFSET(altvm_mmap, __reserved, 4);
ASSERT_OFFSET(altvm_mmap, addr, 8);
ASSERT_OFFSET(altvm_mmap, length, 16);
ASSERT_OFFSET(altvm_mmap, prot, 24);
ASSERT_OFFSET(altvm_mmap, flags, 28);
ASSERT_OFFSET(altvm_mmap, fd, 32);
ASSERT_OFFSET(altvm_mmap, __reserved2, 36);
ASSERT_OFFSET(altvm_mmap, offset, 40);
ASSERT_OFFSET(altvm_mmap, out_addr, 48);
ASSERT_SIZE(altvm_mmap, 56);

ASSERT_OFFSET(altvm_munmap, size, 0);
ASSERT_OFFSET(altvm_munmap, __reserved, 4);
ASSERT_OFFSET(altvm_munmap, addr, 8);
ASSERT_OFFSET(altvm_munmap, length, 16);
ASSERT_SIZE(altvm_munmap, 24);

ASSERT_OFFSET(altvm_mprotect, size, 0);
ASSERT_OFFSET(altvm_mprotect, prot, 4);
ASSERT_OFFSET(altvm_mprotect, addr, 8);
ASSERT_OFFSET(altvm_mprotect, length, 16);
ASSERT_SIZE(altvm_mprotect, 24);

ASSERT_OFFSET(altvm_mincore, size, 0);
ASSERT_OFFSET(altvm_mincore, flags, 4);
ASSERT_OFFSET(altvm_mincore, addr, 8);
ASSERT_OFFSET(altvm_mincore, length, 16);
ASSERT_OFFSET(altvm_mincore, vec, 24);
ASSERT_SIZE(altvm_mincore, 32);

ASSERT_OFFSET(altvm_msync, size, 0);
ASSERT_OFFSET(altvm_msync, flags, 4);
ASSERT_OFFSET(altvm_msync, addr, 8);
ASSERT_OFFSET(altvm_msync, length, 16);
ASSERT_SIZE(altvm_msync, 24);

ASSERT_OFFSET(altvm_madvise, size, 0);
ASSERT_OFFSET(altvm_madvise, advice, 4);
ASSERT_OFFSET(altvm_madvise, addr, 8);
ASSERT_OFFSET(altvm_madvise, length, 16);
ASSERT_SIZE(altvm_madvise, 24);

ASSERT_OFFSET(altvm_mlock, size, 0);
ASSERT_OFFSET(altvm_mlock, flags, 4);
ASSERT_OFFSET(altvm_mlock, addr, 8);
ASSERT_OFFSET(altvm_mlock, length, 16);
ASSERT_SIZE(altvm_mlock, 24);

ASSERT_OFFSET(altvm_munlock, size, 0);
ASSERT_OFFSET(altvm_munlock, __reserved, 4);
ASSERT_OFFSET(altvm_munlock, addr, 8);
ASSERT_OFFSET(altvm_munlock, length, 16);
ASSERT_SIZE(altvm_munlock, 24);

ASSERT_OFFSET(altvm_mlockall, size, 0);
ASSERT_OFFSET(altvm_mlockall, flags, 4);
ASSERT_SIZE(altvm_mlockall, 8);

ASSERT_OFFSET(altvm_munlockall, size, 0);
ASSERT_OFFSET(altvm_munlockall, __reserved, 4);
ASSERT_SIZE(altvm_munlockall, 8);

ASSERT_OFFSET(altvm_brk, size, 0);
ASSERT_OFFSET(altvm_brk, __reserved, 4);
ASSERT_OFFSET(altvm_brk, addr, 8);
ASSERT_OFFSET(altvm_brk, out_addr, 16);
ASSERT_SIZE(altvm_brk, 24);

ASSERT_OFFSET(altvm_mremap, size, 0);
ASSERT_OFFSET(altvm_mremap, flags, 4);
ASSERT_OFFSET(altvm_mremap, old_addr, 8);
ASSERT_OFFSET(altvm_mremap, old_length, 16);
ASSERT_OFFSET(altvm_mremap, new_length, 24);
ASSERT_OFFSET(altvm_mremap, new_addr, 32);
ASSERT_OFFSET(altvm_mremap, out_addr, 40);
ASSERT_SIZE(altvm_mremap, 48);

ASSERT_OFFSET(altvm_mbind, size, 0);
ASSERT_OFFSET(altvm_mbind, flags, 4);
ASSERT_OFFSET(altvm_mbind, addr, 8);
ASSERT_OFFSET(altvm_mbind, length, 16);
ASSERT_OFFSET(altvm_mbind, nodemask, 24);
ASSERT_OFFSET(altvm_mbind, maxnode, 32);
ASSERT_OFFSET(altvm_mbind, mode, 40);
ASSERT_OFFSET(altvm_mbind, __reserved, 44);
ASSERT_SIZE(altvm_mbind, 48);

ASSERT_OFFSET(altvm_set_mempolicy, size, 0);
ASSERT_OFFSET(altvm_set_mempolicy, mode, 4);
ASSERT_OFFSET(altvm_set_mempolicy, nodemask, 8);
ASSERT_OFFSET(altvm_set_mempolicy, maxnode, 16);
ASSERT_SIZE(altvm_set_mempolicy, 24);

ASSERT_OFFSET(altvm_get_mempolicy, size, 0);
ASSERT_OFFSET(altvm_get_mempolicy, flags, 4);
ASSERT_OFFSET(altvm_get_mempolicy, addr, 8);
ASSERT_OFFSET(altvm_get_mempolicy, nodemask, 16);
ASSERT_OFFSET(altvm_get_mempolicy, maxnode, 24);
ASSERT_OFFSET(altvm_get_mempolicy, out_mode, 32);
ASSERT_OFFSET(altvm_get_mempolicy, __reserved, 36);
ASSERT_SIZE(altvm_get_mempolicy, 40);

ASSERT_OFFSET(altvm_process_vm, size, 0);
ASSERT_OFFSET(altvm_process_vm, flags, 4);
ASSERT_OFFSET(altvm_process_vm, pid, 8);
ASSERT_OFFSET(altvm_process_vm, __reserved, 12);
ASSERT_OFFSET(altvm_process_vm, local, 16);
ASSERT_OFFSET(altvm_process_vm, nr_local, 24);
ASSERT_OFFSET(altvm_process_vm, remote, 32);
ASSERT_OFFSET(altvm_process_vm, nr_remote, 40);
ASSERT_OFFSET(altvm_process_vm, out_bytes, 48);
ASSERT_SIZE(altvm_process_vm, 56);

ASSERT_OFFSET(altvm_process_madvise, size, 0);
ASSERT_OFFSET(altvm_process_madvise, flags, 4);
ASSERT_OFFSET(altvm_process_madvise, pidfd, 8);
ASSERT_OFFSET(altvm_process_madvise, advice, 12);
ASSERT_OFFSET(altvm_process_madvise, vec, 16);
ASSERT_OFFSET(altvm_process_madvise, nr_vec, 24);
ASSERT_OFFSET(altvm_process_madvise, out_bytes, 32);
ASSERT_SIZE(altvm_process_madvise, 40);

ASSERT_OFFSET(altvm_process_mrelease, size, 0);
ASSERT_OFFSET(altvm_process_mrelease, flags, 4);
ASSERT_OFFSET(altvm_process_mrelease, pidfd, 8);
ASSERT_OFFSET(altvm_process_mrelease, __reserved, 12);
ASSERT_SIZE(altvm_process_mrelease, 16);

static_assert(ALTVM_QUERY == 0xd500, "the ABI: ALTVM_QUERY changed");
static_assert(ALTVM_MMAP == 0xd501, "the ABI: ALTVM_MMAP changed");
static_assert(ALTVM_MUNMAP == 0xd502, "the ABI: ALTVM_MUNMAP changed");
static_assert(ALTVM_MPROTECT == 0xd503, "the ABI: ALTVM_MPROTECT changed");
static_assert(ALTVM_MINCORE == 0xd504, "the ABI: ALTVM_MINCORE changed");
static_assert(ALTVM_MSYNC == 0xd505, "the ABI: ALTVM_MSYNC changed");
static_assert(ALTVM_MADVISE == 0xd506, "the ABI: ALTVM_MADVISE changed");
static_assert(ALTVM_MREMAP == 0xd507, "the ABI: ALTVM_MREMAP changed");
static_assert(ALTVM_MLOCK == 0xd508, "the ABI: ALTVM_MLOCK changed");
static_assert(ALTVM_MUNLOCK == 0xd509, "the ABI: ALTVM_MUNLOCK changed");
static_assert(ALTVM_MLOCKALL == 0xd50a, "the ABI: ALTVM_MLOCKALL changed");
static_assert(ALTVM_MUNLOCKALL == 0xd50b, "the ABI: ALTVM_MUNLOCKALL changed");
static_assert(ALTVM_BRK == 0xd50c, "the ABI: ALTVM_BRK changed");
static_assert(ALTVM_PROCESS_VM_READV == 0xd50d,
	      "the ABI: ALTVM_PROCESS_VM_READV changed");
static_assert(ALTVM_PROCESS_VM_WRITEV == 0xd50e,
	      "the ABI: ALTVM_PROCESS_VM_WRITEV changed");
static_assert(ALTVM_PROCESS_MADVISE == 0xd50f,
	      "the ABI: ALTVM_PROCESS_MADVISE changed");
static_assert(ALTVM_PROCESS_MRELEASE == 0xd510,
	      "the ABI: ALTVM_PROCESS_MRELEASE changed");
static_assert(ALTVM_MBIND == 0xd511, "the ABI: ALTVM_MBIND changed");
static_assert(ALTVM_SET_MEMPOLICY == 0xd512,
	      "the ABI: ALTVM_SET_MEMPOLICY changed");
static_assert(ALTVM_GET_MEMPOLICY == 0xd513,
	      "the ABI: ALTVM_GET_MEMPOLICY changed");

static_assert(sizeof(size_t) == 8, "altvm is for 64-bit programs");
static_assert(sizeof(off_t) == 8, "altvm is for 64-bit programs");
