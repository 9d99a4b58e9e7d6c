/* SPDX-License-Identifier: GPL-2.0 */
/* Calls about other processes, and processes to be the other ones. */
#ifndef TESTS_USER_REMOTE_H
#define TESTS_USER_REMOTE_H

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "child.h"
#include "vm.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static inline int open_pidfd(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

static inline ssize_t vm_process(struct vm *vm, bool write, pid_t pid,
				 const struct iovec *local, unsigned long nl,
				 const struct iovec *remote, unsigned long nr)
{
	return vm->ops->process_vm(vm, write, pid, local, nl, remote, nr, 0);
}

/* One piece: how many bytes, or -errno. */
static inline ssize_t vm_copy(struct vm *vm, bool write, pid_t pid, void *local,
			      void *remote, size_t len)
{
	struct iovec l = { local, len }, r = { remote, len };
	ssize_t n = vm_process(vm, write, pid, &l, 1, &r, 1);

	return n < 0 ? -errno : n;
}

static inline ssize_t vm_fetch(struct vm *vm, pid_t pid, void *to, void *from,
			       size_t len)
{
	return vm_copy(vm, false, pid, to, from, len);
}

static inline ssize_t vm_put(struct vm *vm, pid_t pid, void *to, void *from,
			     size_t len)
{
	return vm_copy(vm, true, pid, from, to, len);
}

static inline ssize_t vm_process_madvise(struct vm *vm, int pidfd,
					 const struct iovec *vec, size_t nr,
					 int advice)
{
	return vm->ops->process_madvise(vm, pidfd, vec, nr, advice, 0);
}

static inline int vm_mrelease(struct vm *vm, int pidfd)
{
	return vm->ops->process_mrelease(vm, pidfd, 0);
}

/**
 * struct peer - a process that waits to be told what to do
 * @pid: its ID; 0 in the peer itself
 * @pidfd: of it
 * @line: to it; to the other side in the peer itself
 */
struct peer {
	pid_t pid;
	int pidfd, line;
};

static inline bool peer_fork(struct peer *peer)
{
	peer->pid = fork_with(&peer->line);
	if (peer->pid > 0)
		peer->pidfd = open_pidfd(peer->pid);
	return !peer->pid;
}

/* What the peer has said, or a byte that says nothing. */
static inline int peer_hear(struct peer *peer)
{
	return hear_byte(peer->line);
}

/* It is dead and waited for. */
static inline void peer_end(struct peer *peer)
{
	kill(peer->pid, SIGKILL);
	end_of(peer->pid);
	close(peer->line);
	close(peer->pidfd);
}

/* For the peer: until it is killed, or the other side is gone. */
static inline void __attribute__((noreturn)) peer_idle(struct peer *peer)
{
	while (hear(peer->line))
		;
	_exit(0);
}

#endif /* TESTS_USER_REMOTE_H */
