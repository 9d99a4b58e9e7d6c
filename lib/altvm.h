/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libaltvm: the mmap family of system calls, in a window of altvm.
 *
 * A program opens a window, a range of its address space, and maps memory
 * inside it with the calls below.  Each takes the arguments of the system call
 * of its name, behind the window's handle, and fails as that system call does:
 * MAP_FAILED or -1, and errno.  The man pages say what differs.
 *
 * Rules for every function:
 *  - Addresses, lengths and offsets are in bytes.
 *  - All may be called from several threads at once, with one handle or many,
 *    as a handle never changes after altvm_open().  The exception is
 *    altvm_close(), which must be the last call that uses its handle.
 *  - A call is one ioctl(2) and allocates nothing; altvm_open() and
 *    altvm_close() are the exceptions, and altvm_dump() makes many system calls.
 *  - The calls are safe in a signal handler, but for altvm_open() and
 *    altvm_close().
 *  - On success errno is left as it was.
 *  - errno may, besides what is listed, be any of those that <linux/altvm.h>
 *    lists for every command: ENXIO when this process has no window with the
 *    handle, ENOTTY when the loaded module is older than the call.
 */
#ifndef _ALTVM_H
#define _ALTVM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <linux/altvm.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ALTVM_API __attribute__((visibility("default")))

/**
 * struct altvm - a window, and the open file that it is mapped from
 *
 * Made by altvm_open(), ended by altvm_close().
 */
struct altvm;

/**
 * ALTVM_OPEN_NOEXEC - a window without PROT_EXEC
 *
 * For altvm_open(): nothing in the window can be made executable; altvm_mmap()
 * and altvm_mprotect() with PROT_EXEC fail with EACCES.
 */
#define ALTVM_OPEN_NOEXEC 0x1U

/**
 * altvm_open - open /dev/altvm and map a window of it
 * @window_size: the window's length in bytes, rounded up to whole pages; 0 for
 *	1 TiB or, where that does not fit, the largest half, quarter, ... of it
 *	that does, down to 1 GiB
 * @flags: 0, or ALTVM_OPEN_NOEXEC
 *
 * The window takes address space, no memory.  Until altvm_mmap() has put
 * something there, an access to it raises SIGSEGV.  The file is opened with
 * O_CLOEXEC.
 *
 * Thread-safe.
 *
 * Return: the handle, or NULL and errno:
 *   EINVAL  an unknown flag, or a window longer than the module makes
 *   ENOENT  there is no /dev/altvm: the module is not loaded
 *   EACCES  the mode of /dev/altvm does not let this process use it
 *   ENODEV, ENXIO  /dev/altvm is there, its module is not
 *   ENOMEM  the window does not fit in the address space or RLIMIT_AS, or no
 *           memory for the handle
 * or any other errno of open(2) and mmap(2).
 */
ALTVM_API struct altvm *altvm_open(size_t window_size, unsigned int flags);

/**
 * altvm_close - unmap the window and all that is in it, and close its file
 * @vm: the handle, or NULL, which does nothing
 *
 * The handle is gone in any case, even when an error is returned.  Nobody may
 * use it, or the memory in its window, during the call or after it.
 *
 * Return: 0, or -1 and the errno of munmap(2) or close(2).
 */
ALTVM_API int altvm_close(struct altvm *vm);

/**
 * altvm_fd - the open file of a window
 * @vm: the handle
 *
 * For ioctl(2) and /proc/PID/fdinfo.  It belongs to the handle: do not close
 * it.
 *
 * Thread-safe.  Return: the file descriptor; cannot fail.
 */
ALTVM_API int altvm_fd(const struct altvm *vm);

/**
 * altvm_window - where a window is
 * @vm: the handle
 * @length: out: the window's length in bytes; may be NULL
 *
 * altvm_query() says how much of it can hold memory.
 *
 * Thread-safe.  Return: the window's start; cannot fail.
 */
ALTVM_API void *altvm_window(const struct altvm *vm, size_t *length);

/**
 * altvm_query - what the module can do, and the state of the window
 * @vm: the handle
 * @query: in: @query->size is sizeof(*query), all else 0; out: see struct
 *	altvm_query in <linux/altvm.h>
 *
 * The caller sets the size because the structure grows with the module: the
 * library may be newer than the program.
 *
 * Thread-safe.
 *
 * Return: 0, or -1 and errno:
 *   EINVAL  @query->size is too small, or a reserved member is not 0
 *   E2BIG   a part of @query that the module does not know is not 0
 */
ALTVM_API int altvm_query(struct altvm *vm, struct altvm_query *query);

/**
 * altvm_mmap - mmap(2) inside the window
 * @vm: the handle
 * @addr: a hint, or with MAP_FIXED or MAP_FIXED_NOREPLACE the address
 * @length: in bytes, rounded up to whole pages
 * @prot: PROT_* of mmap(2)
 * @flags: MAP_* of mmap(2)
 * @fd: the file; not looked at with MAP_ANONYMOUS
 * @offset: the offset in the file in bytes, a multiple of the page size
 *
 * Thread-safe, against other calls on the same range too: they take effect one
 * after the other.
 *
 * Return: the start of the mapping, or MAP_FAILED and the errno of mmap(2);
 * also:
 *   ENOMEM  the window has no room, or a fixed address is not inside it
 *   EACCES  the window does not have the protection @prot
 *   ENODEV  also: the pages of the file are not in the page cache
 *   EOPNOTSUPP  the module does not support one of @flags yet
 */
ALTVM_API void *altvm_mmap(struct altvm *vm, void *addr, size_t length,
			   int prot, int flags, int fd, off_t offset);

/**
 * altvm_munmap - munmap(2) inside the window
 * @vm: the handle
 * @addr: start, a multiple of the page size
 * @length: in bytes, rounded up to whole pages
 *
 * Pages of the range that nothing is mapped at are no error.
 *
 * Thread-safe, as altvm_mmap() is.
 *
 * Return: 0, or -1 and the errno of munmap(2); also:
 *   EINVAL  the range is not inside the window
 */
ALTVM_API int altvm_munmap(struct altvm *vm, void *addr, size_t length);

/**
 * altvm_mprotect - mprotect(2) inside the window
 * @vm: the handle
 * @addr: start, a multiple of the page size
 * @length: in bytes, rounded up to whole pages
 * @prot: PROT_* of mprotect(2)
 *
 * A protection that was taken away is gone on every CPU when the call returns.
 *
 * Thread-safe, as altvm_mmap() is.
 *
 * Return: 0, or -1 and the errno of mprotect(2):
 *   ENOMEM  nothing is mapped at a part of the range; what lies before that
 *           part has been changed
 *   EACCES  also: the window does not have the protection @prot
 */
ALTVM_API int altvm_mprotect(struct altvm *vm, void *addr, size_t length,
			     int prot);

/**
 * altvm_mincore - mincore(2) inside the window
 * @vm: the handle
 * @addr: start, a multiple of the page size
 * @length: in bytes, rounded up to whole pages
 * @vec: out: one byte for each page; bit 0 is set if the page is in memory
 *
 * The answer may be out of date when another thread acts on the range.
 *
 * Thread-safe.
 *
 * Return: 0, or -1 and the errno of mincore(2):
 *   ENOMEM  nothing is mapped at a part of the range
 *   EFAULT  @vec cannot be written
 */
ALTVM_API int altvm_mincore(struct altvm *vm, void *addr, size_t length,
			    unsigned char *vec);

/**
 * altvm_msync - msync(2) inside the window
 * @vm: the handle
 * @addr: start, a multiple of the page size
 * @length: in bytes, rounded up to whole pages
 * @flags: MS_SYNC or MS_ASYNC, and MS_INVALIDATE
 *
 * With MS_SYNC, what was stored through a shared mapping of a file before the
 * call is on the disk when it returns.
 *
 * Thread-safe.
 *
 * Return: 0, or -1 and the errno of msync(2):
 *   ENOMEM  nothing is mapped at a part of the range; the rest has been written
 *   EIO     and whatever else fsync(2) of the file fails with
 */
ALTVM_API int altvm_msync(struct altvm *vm, void *addr, size_t length,
			  int flags);

/**
 * altvm_madvise - madvise(2) inside the window
 * @vm: the handle
 * @addr: start, a multiple of the page size
 * @length: in bytes, rounded up to whole pages
 * @advice: MADV_* of madvise(2); the man page says which there are
 *
 * Thread-safe, as altvm_mmap() is.
 *
 * Return: 0, or -1 and the errno of madvise(2):
 *   EINVAL  also: the module does not know @advice
 *   ENOMEM  nothing is mapped at a part of the range; the rest has been advised
 */
ALTVM_API int altvm_madvise(struct altvm *vm, void *addr, size_t length,
			    int advice);

/**
 * altvm_mlock - mlock(2) inside the window
 * @vm: the handle
 * @addr: start
 * @length: in bytes; each page that has a byte of the range is locked
 *
 * The pages are in memory when the call returns, and stay there until
 * altvm_munlock() or altvm_munmap().
 *
 * Thread-safe, as altvm_mmap() is.
 *
 * Return: 0, or -1 and the errno of mlock(2):
 *   ENOMEM  nothing is mapped at a part of the range, what lies before that part
 *           has been locked; or RLIMIT_MEMLOCK; or the memory has no protection
 *           but PROT_NONE, or is beyond the end of its file
 *   EPERM   RLIMIT_MEMLOCK is 0
 *   EAGAIN  there is no memory for some pages
 */
ALTVM_API int altvm_mlock(struct altvm *vm, const void *addr, size_t length);

/**
 * altvm_mlock2 - mlock2(2) inside the window
 * @vm: the handle
 * @addr: start
 * @length: in bytes
 * @flags: 0, or MLOCK_ONFAULT: lock each page when it comes into memory
 *
 * Thread-safe, as altvm_mmap() is.
 *
 * Return: as altvm_mlock(); also:
 *   EINVAL  an unknown flag
 */
ALTVM_API int altvm_mlock2(struct altvm *vm, const void *addr, size_t length,
			   unsigned int flags);

/**
 * altvm_munlock - munlock(2) inside the window
 * @vm: the handle
 * @addr: start
 * @length: in bytes
 *
 * Thread-safe, as altvm_mmap() is.
 *
 * Return: 0, or -1 and the errno of munlock(2):
 *   ENOMEM  nothing is mapped at a part of the range; what lies before that part
 *           has been unlocked
 */
ALTVM_API int altvm_munlock(struct altvm *vm, const void *addr, size_t length);

/**
 * altvm_mlockall - mlockall(2) for what is in the window
 * @vm: the handle
 * @flags: MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT
 *
 * Thread-safe, as altvm_mmap() is.
 *
 * Return: 0, or -1 and the errno of mlockall(2).
 */
ALTVM_API int altvm_mlockall(struct altvm *vm, int flags);

/**
 * altvm_munlockall - munlockall(2) for what is in the window
 * @vm: the handle
 *
 * Thread-safe, as altvm_mmap() is.
 *
 * Return: 0, or -1 and the errno of munlockall(2).
 */
ALTVM_API int altvm_munlockall(struct altvm *vm);

/**
 * altvm_brk - brk(2) for the window's heap
 * @vm: the handle
 * @addr: where the heap is to end; it starts where the window does
 *
 * Thread-safe.
 *
 * Return: 0, or -1 and errno:
 *   ENOMEM  the break cannot be there, for RLIMIT_DATA, RLIMIT_AS, what is mapped
 *           in the way, or the window's bounds; it is where it was
 */
ALTVM_API int altvm_brk(struct altvm *vm, void *addr);

/**
 * altvm_sbrk - sbrk(2) for the window's heap
 * @vm: the handle
 * @increment: how many bytes the heap is to grow, or if negative to shrink
 *
 * As sbrk(2), which asks and then acts: calls by several threads may take each
 * other's memory.
 *
 * Return: where the heap ended before the call, or (void *)-1 and errno:
 *   ENOMEM  as altvm_brk()
 */
ALTVM_API void *altvm_sbrk(struct altvm *vm, intptr_t increment);

/**
 * altvm_mremap - mremap(2) inside the window
 * @vm: the handle
 * @old_addr: start, a multiple of the page size
 * @old_length: in bytes, rounded up to whole pages; 0 maps what is shared a
 *	second time
 * @new_length: in bytes, rounded up to whole pages
 * @flags: MREMAP_* of mremap(2)
 * @new_addr: with MREMAP_FIXED where it goes, with MREMAP_DONTUNMAP alone a
 *	hint; else not looked at
 *
 * The pages are moved, not copied.
 *
 * Thread-safe, as altvm_mmap() is.
 *
 * Return: where the memory is now, or MAP_FAILED and the errno of mremap(2):
 *   EFAULT  not all of the old range is one mapping inside the window
 *   EINVAL  a flag or an address that is none, ranges that overlap, or
 *           @old_length is 0 and the mapping is private
 *   ENOMEM  it cannot grow where it is and may not be moved, the window has no
 *           room, or the new address is not inside it
 */
ALTVM_API void *altvm_mremap(struct altvm *vm, void *old_addr,
			     size_t old_length, size_t new_length, int flags,
			     void *new_addr);

/**
 * altvm_mbind - mbind(2) inside the window
 * @vm: the handle
 * @addr: start, a multiple of the page size
 * @length: in bytes, rounded up to whole pages
 * @mode: MPOL_* of mbind(2), and MPOL_F_* for modes
 * @nodemask: a set of nodes, or NULL
 * @maxnode: how many bits that has, as for mbind(2)
 * @flags: MPOL_MF_* of mbind(2)
 *
 * Thread-safe, as altvm_mmap() is.
 *
 * Return: 0, or -1 and the errno of mbind(2):
 *   EIO     with MPOL_MF_STRICT: there are pages on other nodes, which are not moved;
 *           pages that are shared with files cannot be
 *   ENOMEM  also: there are 1023 other policies in the window
 */
ALTVM_API int altvm_mbind(struct altvm *vm, void *addr, size_t length, int mode,
			  const unsigned long *nodemask, unsigned long maxnode,
			  unsigned int flags);

/**
 * altvm_set_mempolicy - a policy for the private memory in the window
 * @vm: the handle
 * @mode: MPOL_* of set_mempolicy(2), and MPOL_F_* for modes
 * @nodemask: a set of nodes, or NULL
 * @maxnode: how many bits that has, as for set_mempolicy(2)
 *
 * Where altvm_mbind() has set none, whichever thread touches it.  With MPOL_DEFAULT,
 * as in the beginning, it is the thread's, of set_mempolicy(2).
 *
 * Thread-safe.
 *
 * Return: 0, or -1 and the errno of set_mempolicy(2).
 */
ALTVM_API int altvm_set_mempolicy(struct altvm *vm, int mode,
				  const unsigned long *nodemask,
				  unsigned long maxnode);

/**
 * altvm_get_mempolicy - get_mempolicy(2) inside the window
 * @vm: the handle
 * @mode: out: the mode, or with MPOL_F_NODE a node; may be NULL
 * @nodemask: out: the set of nodes; may be NULL
 * @maxnode: how many bits that has room for, as for get_mempolicy(2)
 * @addr: with MPOL_F_ADDR an address, otherwise NULL
 * @flags: MPOL_F_NODE, MPOL_F_ADDR, MPOL_F_MEMS_ALLOWED
 *
 * Without MPOL_F_ADDR it is what altvm_set_mempolicy() has set, and after that the
 * thread's.
 *
 * Thread-safe.
 *
 * Return: 0, or -1 and the errno of get_mempolicy(2).
 */
ALTVM_API int altvm_get_mempolicy(struct altvm *vm, int *mode,
				  unsigned long *nodemask,
				  unsigned long maxnode, void *addr,
				  unsigned int flags);

/**
 * altvm_process_vm_readv - process_vm_readv(2)
 * @vm: the handle
 * @pid: the process or thread; with ALTVM_PROCESS_PIDFD its pidfd
 * @local: memory of this process, to be written
 * @nr_local: how many elements @local has
 * @remote: memory of that process, to be read
 * @nr_remote: how many elements @remote has
 * @flags: 0, or ALTVM_PROCESS_PIDFD
 *
 * Any memory of either process, in windows or not.
 *
 * Thread-safe.
 *
 * Return: how many bytes were copied, fewer than asked for where memory cannot be
 * accessed; or -1 and the errno of process_vm_readv(2); with ALTVM_PROCESS_PIDFD also:
 *   EBADF   @pid is no pidfd
 */
ALTVM_API ssize_t altvm_process_vm_readv(struct altvm *vm, pid_t pid,
					 const struct iovec *local,
					 unsigned long nr_local,
					 const struct iovec *remote,
					 unsigned long nr_remote,
					 unsigned long flags);

/**
 * altvm_process_vm_writev - process_vm_writev(2)
 * @vm: the handle
 * @pid: the process or thread; with ALTVM_PROCESS_PIDFD its pidfd
 * @local: memory of this process, to be read
 * @nr_local: how many elements @local has
 * @remote: memory of that process, to be written
 * @nr_remote: how many elements @remote has
 * @flags: 0, or ALTVM_PROCESS_PIDFD
 *
 * As altvm_process_vm_readv(), the other way.
 */
ALTVM_API ssize_t altvm_process_vm_writev(struct altvm *vm, pid_t pid,
					  const struct iovec *local,
					  unsigned long nr_local,
					  const struct iovec *remote,
					  unsigned long nr_remote,
					  unsigned long flags);

/**
 * altvm_process_madvise - process_madvise(2) inside the windows of a process
 * @vm: the handle; it need not be that of the windows
 * @pidfd: the process
 * @vec: memory of the process, in its windows
 * @nr_vec: how many elements @vec has
 * @advice: MADV_* of process_madvise(2) that altvm_madvise() knows
 * @flags: 0
 *
 * Thread-safe.
 *
 * Return: how many bytes were advised, fewer than asked for if there was an error
 * behind them; or -1 and the errno of process_madvise(2); also:
 *   EINVAL  the module does not know @advice
 *   ENOMEM  a part of the first element is not in a window, or nothing is mapped
 *           there; the rest of the element has been advised
 *   ENXIO   the process has no window
 */
ALTVM_API ssize_t altvm_process_madvise(struct altvm *vm, int pidfd,
					const struct iovec *vec, size_t nr_vec,
					int advice, unsigned int flags);

/**
 * altvm_process_mrelease - process_mrelease(2) for the windows of a process
 * @vm: the handle; it need not be that of the windows
 * @pidfd: the process, which has been killed
 * @flags: 0
 *
 * Frees the private memory in all windows of the process at once, whatever it is that
 * keeps the process from ending.  For the rest of its memory call
 * process_mrelease(2), too.
 *
 * Thread-safe.
 *
 * Return: 0, or -1 and the errno of process_mrelease(2):
 *   EINVAL  the process is not ending, or another process has the same memory
 *   ESRCH   the process has ended
 */
ALTVM_API int altvm_process_mrelease(struct altvm *vm, int pidfd,
				     unsigned int flags);

/**
 * ALTVM_DUMP_SHARED - also what is stored in files
 *
 * For altvm_dump(): the contents of shared mappings of files too.
 */
#define ALTVM_DUMP_SHARED 0x1U

/**
 * altvm_dump - write what is in a window to an ELF core file
 * @vm: the handle
 * @fd: a regular file that is open for writing, without O_APPEND; what was in
 *	it is lost
 * @flags: 0, or ALTVM_DUMP_SHARED
 *
 * The kernel leaves a window out of core dumps.  This writes it, for gdb and
 * others, from a handler of SIGSEGV, say.  It has a PT_LOAD for each mapping, and
 * the contents of private and of shared anonymous memory, and of private
 * mappings of files that are writable.  Not of what MADV_DONTDUMP was advised
 * for, nor of PROT_NONE.  What is paged out is brought in; pages that have no
 * contents yet are holes of the file.
 *
 * Takes about 3 KiB of stack.  Other threads go on meanwhile: for the memory of
 * one moment call it in a child of fork(2).
 *
 * Thread-safe.
 *
 * Return: 0, or -1 and errno:
 *   EAGAIN  another thread made many mappings meanwhile; the last ones are missing
 *   EINVAL  an unknown flag, or @fd is no regular file or has O_APPEND
 *   ENOENT  there is no /proc
 * or any other errno of pwrite(2), ftruncate(2), and open(2) of /proc.
 */
ALTVM_API int altvm_dump(struct altvm *vm, int fd, unsigned int flags);

#ifdef __cplusplus
}
#endif

#endif /* _ALTVM_H */
