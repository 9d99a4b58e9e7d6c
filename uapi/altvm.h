/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * altvm: a second virtual-memory system for a process.
 *
 * How to use it without the library:
 *
 *   fd = open("/dev/altvm", O_RDWR | O_CLOEXEC);
 *   win = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC,
 *              MAP_SHARED | MAP_NORESERVE, fd, 0);
 *   struct altvm_mmap m = { .size = sizeof(m), .length = 4096, ... };
 *   ioctl(fd, ALTVM_MMAP, &m);
 *
 * The mapping of /dev/altvm is the *window*.  It holds nothing by itself:
 * an access to it raises SIGSEGV (SEGV_MAPERR) until ALTVM_MMAP has put an
 * area there.  The window's own protection bounds that of its areas.  An open
 * file has one window in each process (mm); open the device again for another.
 * An ioctl acts on the window that the calling process has with that file: the
 * one it made, or its copy-on-write copy of its parent's.
 *
 * Rules for every command:
 *  - The argument points to a structure whose first member, @size, is the
 *    sizeof() that the caller was compiled with.  A longer structure than the
 *    kernel knows is accepted if the excess is zero (else E2BIG); a shorter one
 *    is accepted down to the size that the command first had (else EINVAL) and
 *    is filled up with zeros.  Outputs are written back only as far as @size.
 *  - Reserved members must be zero (else EINVAL).
 *  - Addresses, lengths and offsets are in bytes.
 *  - The ioctl returns 0, or -1 and errno.  Each errno is that of the system
 *    call of the same name, see its man page, and further:
 *      ENOTTY  unknown command
 *      EFAULT  the structure cannot be read or written
 *      ENXIO   this process has no window with this file
 *      EINTR   killed while waiting
 *      EOPNOTSUPP  a flag that Linux knows and this version of altvm does not
 */
#ifndef _UAPI_ALTVM_H
#define _UAPI_ALTVM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Grows by one with each release that adds a command, a member or a flag. */
#define ALTVM_ABI_VERSION 3

#define ALTVM_IOC 0xD5

enum {
	ALTVM_CMD_QUERY = 0,
	ALTVM_CMD_MMAP = 1,
	ALTVM_CMD_MUNMAP = 2,
	ALTVM_CMD_MPROTECT = 3,
	ALTVM_CMD_MINCORE = 4,
	ALTVM_CMD_MSYNC = 5,
	ALTVM_CMD_MADVISE = 6,
	ALTVM_CMD_MREMAP = 7,
	ALTVM_CMD_MLOCK = 8,
	ALTVM_CMD_MUNLOCK = 9,
	ALTVM_CMD_MLOCKALL = 10,
	ALTVM_CMD_MUNLOCKALL = 11,
	ALTVM_CMD_BRK = 12,
	ALTVM_CMD_PROCESS_VM_READV = 13,
	ALTVM_CMD_PROCESS_VM_WRITEV = 14,
	ALTVM_CMD_PROCESS_MADVISE = 15,
	ALTVM_CMD_PROCESS_MRELEASE = 16,
	ALTVM_CMD_MBIND = 17,
	ALTVM_CMD_SET_MEMPOLICY = 18,
	ALTVM_CMD_GET_MEMPOLICY = 19,
};

/**
 * struct altvm_query - ioctl(ALTVM_QUERY): what can this module do?
 * @size: sizeof(struct altvm_query)
 * @__reserved: must be 0
 * @__reserved2: must be 0
 * @abi_version: out: the module's ALTVM_ABI_VERSION
 * @commands: out: bit n is set if the command with number n exists
 * @map_flags: out: the MAP_* bits that ALTVM_MMAP acts on
 * @map_flags_ignored: out: the MAP_* bits that ALTVM_MMAP accepts and that
 *	change nothing, as on Linux
 * @window_max: out: the largest window that can be asked for, in bytes
 * @window_addr: out: where this process's window with this file starts; 0
 *	while there is none
 * @window_len: out: the window's length in bytes; 0 while there is none
 * @window_usable: out: how many bytes of it, from its start, can hold areas: all
 *
 * Works with or without a window and changes nothing.
 */
struct altvm_query {
	__u32 size;
	__u32 __reserved;
	__u32 abi_version;
	__u32 __reserved2;
	__aligned_u64 commands;
	__aligned_u64 map_flags;
	__aligned_u64 map_flags_ignored;
	__aligned_u64 window_max;
	__aligned_u64 window_addr;
	__aligned_u64 window_len;
	__aligned_u64 window_usable;
};

#define ALTVM_QUERY _IO(ALTVM_IOC, ALTVM_CMD_QUERY)

/**
 * struct altvm_mmap - ioctl(ALTVM_MMAP): mmap(2) inside the window
 * @size: sizeof(struct altvm_mmap)
 * @__reserved: must be 0
 * @addr: a hint, or with MAP_FIXED or MAP_FIXED_NOREPLACE the address
 * @length: in bytes, rounded up to whole pages
 * @prot: PROT_* of mmap(2)
 * @flags: MAP_* of mmap(2)
 * @fd: the file; not looked at with MAP_ANONYMOUS
 * @__reserved2: must be 0
 * @offset: the offset in the file, a multiple of the page size
 * @out_addr: out: where the area starts
 *
 * errno: those of mmap(2).  ENOMEM also for an address outside the window;
 * EACCES also for a protection that the window itself does not have.
 */
struct altvm_mmap {
	__u32 size;
	__u32 __reserved;
	__aligned_u64 addr;
	__aligned_u64 length;
	__u32 prot;
	__u32 flags;
	__s32 fd;
	__u32 __reserved2;
	__aligned_u64 offset;
	__aligned_u64 out_addr;
};

#define ALTVM_MMAP _IO(ALTVM_IOC, ALTVM_CMD_MMAP)

/**
 * struct altvm_munmap - ioctl(ALTVM_MUNMAP): munmap(2) inside the window
 * @size: sizeof(struct altvm_munmap)
 * @__reserved: must be 0
 * @addr: start, a multiple of the page size
 * @length: in bytes, rounded up to whole pages
 *
 * Holes are no error.  errno: those of munmap(2); EINVAL also for a range that
 * is not inside the window.
 */
struct altvm_munmap {
	__u32 size;
	__u32 __reserved;
	__aligned_u64 addr;
	__aligned_u64 length;
};

#define ALTVM_MUNMAP _IO(ALTVM_IOC, ALTVM_CMD_MUNMAP)

/**
 * struct altvm_mprotect - ioctl(ALTVM_MPROTECT): mprotect(2) inside the window
 * @size: sizeof(struct altvm_mprotect)
 * @prot: PROT_* of mprotect(2)
 * @addr: start, a multiple of the page size
 * @length: in bytes, rounded up to whole pages
 *
 * As with mprotect(2), when a range has a hole the areas before the hole are
 * changed and ENOMEM is returned.
 */
struct altvm_mprotect {
	__u32 size;
	__u32 prot;
	__aligned_u64 addr;
	__aligned_u64 length;
};

#define ALTVM_MPROTECT _IO(ALTVM_IOC, ALTVM_CMD_MPROTECT)

/**
 * struct altvm_mincore - ioctl(ALTVM_MINCORE): mincore(2) inside the window
 * @size: sizeof(struct altvm_mincore)
 * @flags: ALTVM_MINCORE_* or 0
 * @addr: start, a multiple of the page size
 * @length: in bytes, rounded up to whole pages
 * @vec: user address of one byte for each page; bit 0 is set if it is resident
 */
struct altvm_mincore {
	__u32 size;
	__u32 flags;
	__aligned_u64 addr;
	__aligned_u64 length;
	__aligned_u64 vec;
};

#define ALTVM_MINCORE _IO(ALTVM_IOC, ALTVM_CMD_MINCORE)

/* Bit 1 is set if it is paged out: private memory, or what is shared in memory only. */
#define ALTVM_MINCORE_SWAPPED 1

/**
 * struct altvm_msync - ioctl(ALTVM_MSYNC): msync(2) inside the window
 * @size: sizeof(struct altvm_msync)
 * @flags: MS_* of msync(2)
 * @addr: start, a multiple of the page size
 * @length: in bytes, rounded up to whole pages
 *
 * As with msync(2), when a range has holes what is mapped is written and ENOMEM
 * is returned.
 */
struct altvm_msync {
	__u32 size;
	__u32 flags;
	__aligned_u64 addr;
	__aligned_u64 length;
};

#define ALTVM_MSYNC _IO(ALTVM_IOC, ALTVM_CMD_MSYNC)

/**
 * struct altvm_madvise - ioctl(ALTVM_MADVISE): madvise(2) inside the window
 * @size: sizeof(struct altvm_madvise)
 * @advice: MADV_* of madvise(2)
 * @addr: start, a multiple of the page size
 * @length: in bytes, rounded up to whole pages
 *
 * As with madvise(2), when a range has holes what is mapped is advised and ENOMEM
 * is returned.  Advice that this version does not know is EINVAL.
 */
struct altvm_madvise {
	__u32 size;
	__s32 advice;
	__aligned_u64 addr;
	__aligned_u64 length;
};

#define ALTVM_MADVISE _IO(ALTVM_IOC, ALTVM_CMD_MADVISE)

/**
 * struct altvm_mlock - ioctl(ALTVM_MLOCK): mlock2(2) inside the window
 * @size: sizeof(struct altvm_mlock)
 * @flags: 0, as mlock(2), or MLOCK_ONFAULT
 * @addr: start, rounded down to a whole page
 * @length: in bytes, rounded up so that the last byte's page is in it
 *
 * As with mlock(2), when a range has a hole the areas before the hole are
 * locked and ENOMEM is returned.
 */
struct altvm_mlock {
	__u32 size;
	__u32 flags;
	__aligned_u64 addr;
	__aligned_u64 length;
};

#define ALTVM_MLOCK _IO(ALTVM_IOC, ALTVM_CMD_MLOCK)

/**
 * struct altvm_munlock - ioctl(ALTVM_MUNLOCK): munlock(2) inside the window
 * @size: sizeof(struct altvm_munlock)
 * @__reserved: must be 0
 * @addr: start, rounded down to a whole page
 * @length: in bytes, rounded up so that the last byte's page is in it
 *
 * Holes are as with ALTVM_MLOCK.
 */
struct altvm_munlock {
	__u32 size;
	__u32 __reserved;
	__aligned_u64 addr;
	__aligned_u64 length;
};

#define ALTVM_MUNLOCK _IO(ALTVM_IOC, ALTVM_CMD_MUNLOCK)

/**
 * struct altvm_mlockall - ioctl(ALTVM_MLOCKALL): mlockall(2) for the window
 * @size: sizeof(struct altvm_mlockall)
 * @flags: MCL_* of mlockall(2)
 *
 * MCL_CURRENT is about all that is in the window, MCL_FUTURE about what
 * ALTVM_MMAP and ALTVM_BRK will put there.
 */
struct altvm_mlockall {
	__u32 size;
	__u32 flags;
};

#define ALTVM_MLOCKALL _IO(ALTVM_IOC, ALTVM_CMD_MLOCKALL)

/**
 * struct altvm_munlockall - ioctl(ALTVM_MUNLOCKALL): munlockall(2) for the window
 * @size: sizeof(struct altvm_munlockall)
 * @__reserved: must be 0
 */
struct altvm_munlockall {
	__u32 size;
	__u32 __reserved;
};

#define ALTVM_MUNLOCKALL _IO(ALTVM_IOC, ALTVM_CMD_MUNLOCKALL)

/**
 * struct altvm_brk - ioctl(ALTVM_BRK): brk, the system call, for the window's heap
 * @size: sizeof(struct altvm_brk)
 * @__reserved: must be 0
 * @addr: the new break; 0 to ask
 * @out_addr: out: the break, which is @addr if that was possible
 *
 * The heap starts at the window's start.  As natively, where the break cannot be
 * moved the call succeeds, and @out_addr is where it was.
 */
struct altvm_brk {
	__u32 size;
	__u32 __reserved;
	__aligned_u64 addr;
	__aligned_u64 out_addr;
};

#define ALTVM_BRK _IO(ALTVM_IOC, ALTVM_CMD_BRK)

/**
 * struct altvm_mremap - ioctl(ALTVM_MREMAP): mremap(2) inside the window
 * @size: sizeof(struct altvm_mremap)
 * @flags: MREMAP_* of mremap(2)
 * @old_addr: start, a multiple of the page size
 * @old_length: in bytes, rounded up to whole pages; 0 for a second mapping of
 *	what is shared
 * @new_length: in bytes, rounded up to whole pages
 * @new_addr: with MREMAP_FIXED where it goes, with MREMAP_DONTUNMAP alone a
 *	hint; else not looked at
 * @out_addr: out: where it is now
 *
 * errno: those of mremap(2).  EFAULT also for an old address outside the
 * window, ENOMEM for a new one.
 */
struct altvm_mremap {
	__u32 size;
	__u32 flags;
	__aligned_u64 old_addr;
	__aligned_u64 old_length;
	__aligned_u64 new_length;
	__aligned_u64 new_addr;
	__aligned_u64 out_addr;
};

#define ALTVM_MREMAP _IO(ALTVM_IOC, ALTVM_CMD_MREMAP)

/**
 * struct altvm_mbind - ioctl(ALTVM_MBIND): mbind(2) inside the window
 * @size: sizeof(struct altvm_mbind)
 * @flags: MPOL_MF_* of mbind(2)
 * @addr: start, a multiple of the page size
 * @length: in bytes, rounded up to whole pages
 * @nodemask: user address of the set of nodes; may be 0
 * @maxnode: how many bits that set has, as for mbind(2)
 * @mode: MPOL_* of mbind(2), and MPOL_F_* for modes
 * @__reserved: must be 0
 *
 * Of shared memory without a file, and of files on tmpfs, it is the policy of the
 * memory, whoever maps it.  Pages that the window shares with files cannot be moved
 * by this call: EIO if MPOL_MF_STRICT wants them moved.
 *
 * errno: those of mbind(2).  ENOMEM also for more than 1023 different policies in one
 * window.
 */
struct altvm_mbind {
	__u32 size;
	__u32 flags;
	__aligned_u64 addr;
	__aligned_u64 length;
	__aligned_u64 nodemask;
	__aligned_u64 maxnode;
	__u32 mode;
	__u32 __reserved;
};

#define ALTVM_MBIND _IO(ALTVM_IOC, ALTVM_CMD_MBIND)

/**
 * struct altvm_set_mempolicy - ioctl(ALTVM_SET_MEMPOLICY): set_mempolicy(2) for the
 *	window
 * @size: sizeof(struct altvm_set_mempolicy)
 * @mode: MPOL_* of set_mempolicy(2), and MPOL_F_* for modes
 * @nodemask: user address of the set of nodes; may be 0
 * @maxnode: how many bits that set has, as for set_mempolicy(2)
 *
 * The policy of the window's private memory for which ALTVM_MBIND has set none,
 * whichever thread touches it.  With MPOL_DEFAULT, as in the beginning, it is the
 * thread's, of set_mempolicy(2).  A forked child's window inherits it.
 */
struct altvm_set_mempolicy {
	__u32 size;
	__u32 mode;
	__aligned_u64 nodemask;
	__aligned_u64 maxnode;
};

#define ALTVM_SET_MEMPOLICY _IO(ALTVM_IOC, ALTVM_CMD_SET_MEMPOLICY)

/**
 * struct altvm_get_mempolicy - ioctl(ALTVM_GET_MEMPOLICY): get_mempolicy(2) for the
 *	window
 * @size: sizeof(struct altvm_get_mempolicy)
 * @flags: MPOL_F_NODE, MPOL_F_ADDR, MPOL_F_MEMS_ALLOWED of get_mempolicy(2)
 * @addr: with MPOL_F_ADDR an address, otherwise 0
 * @nodemask: user address where the set of nodes is written; may be 0
 * @maxnode: how many bits there is room for, as for get_mempolicy(2)
 * @out_mode: out: the mode, or with MPOL_F_NODE a node
 * @__reserved: must be 0
 *
 * Without MPOL_F_ADDR it is the window's policy, and if there is none the thread's.
 */
struct altvm_get_mempolicy {
	__u32 size;
	__u32 flags;
	__aligned_u64 addr;
	__aligned_u64 nodemask;
	__aligned_u64 maxnode;
	__u32 out_mode;
	__u32 __reserved;
};

#define ALTVM_GET_MEMPOLICY _IO(ALTVM_IOC, ALTVM_CMD_GET_MEMPOLICY)

/* Other processes. */

/* For ALTVM_PROCESS_VM_READV and ALTVM_PROCESS_VM_WRITEV: @pid is a pidfd. */
#define ALTVM_PROCESS_PIDFD 0x1

/**
 * struct altvm_process_vm - ioctl(ALTVM_PROCESS_VM_READV) and
 *	ioctl(ALTVM_PROCESS_VM_WRITEV): process_vm_readv(2) and process_vm_writev(2)
 * @size: sizeof(struct altvm_process_vm)
 * @flags: 0 or ALTVM_PROCESS_PIDFD
 * @pid: of the process or thread; or its pidfd
 * @__reserved: must be 0
 * @local: user address of an array of struct iovec: memory of the caller's
 * @nr_local: how many
 * @remote: user address of an array of struct iovec: memory of the process
 * @nr_remote: how many
 * @out_bytes: out: how many bytes were copied; fewer than asked for where memory
 *	of the process cannot be accessed
 *
 * Works with or without windows on either side, on all memory.  The struct iovec is
 * that of the calling program, also a 32-bit one.
 *
 * errno: those of process_vm_readv(2), and with a pidfd EBADF.
 */
struct altvm_process_vm {
	__u32 size;
	__u32 flags;
	__s32 pid;
	__u32 __reserved;
	__aligned_u64 local;
	__aligned_u64 nr_local;
	__aligned_u64 remote;
	__aligned_u64 nr_remote;
	__aligned_u64 out_bytes;
};

#define ALTVM_PROCESS_VM_READV _IO(ALTVM_IOC, ALTVM_CMD_PROCESS_VM_READV)
#define ALTVM_PROCESS_VM_WRITEV _IO(ALTVM_IOC, ALTVM_CMD_PROCESS_VM_WRITEV)

/**
 * struct altvm_process_madvise - ioctl(ALTVM_PROCESS_MADVISE):
 *	process_madvise(2) inside the windows of a process
 * @size: sizeof(struct altvm_process_madvise)
 * @flags: must be 0
 * @pidfd: the process
 * @advice: MADV_* of process_madvise(2) that ALTVM_MADVISE knows
 * @vec: user address of an array of struct iovec: memory of the process
 * @nr_vec: how many
 * @out_bytes: out: how many bytes were advised; fewer than asked for if there was
 *	an error behind them
 *
 * The windows are those that the process has with any open file of /dev/altvm.
 * What is not in a window is a hole: ENOMEM.
 *
 * errno: those of process_madvise(2).  ENXIO if the process has no window.
 */
struct altvm_process_madvise {
	__u32 size;
	__u32 flags;
	__s32 pidfd;
	__s32 advice;
	__aligned_u64 vec;
	__aligned_u64 nr_vec;
	__aligned_u64 out_bytes;
};

#define ALTVM_PROCESS_MADVISE _IO(ALTVM_IOC, ALTVM_CMD_PROCESS_MADVISE)

/**
 * struct altvm_process_mrelease - ioctl(ALTVM_PROCESS_MRELEASE):
 *	process_mrelease(2) for the windows of a process
 * @size: sizeof(struct altvm_process_mrelease)
 * @flags: must be 0
 * @pidfd: the process, which has been killed
 * @__reserved: must be 0
 *
 * Frees the private memory in all windows of the process.  For the rest of its
 * memory there is process_mrelease(2), which leaves windows alone.
 *
 * errno: those of process_mrelease(2).
 */
struct altvm_process_mrelease {
	__u32 size;
	__u32 flags;
	__s32 pidfd;
	__u32 __reserved;
};

#define ALTVM_PROCESS_MRELEASE _IO(ALTVM_IOC, ALTVM_CMD_PROCESS_MRELEASE)

#endif /* _UAPI_ALTVM_H */
