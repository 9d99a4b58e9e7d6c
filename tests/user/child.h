/* SPDX-License-Identifier: GPL-2.0 */
/* Processes that a test forks: what they found, and how they take turns. */
#ifndef TESTS_USER_CHILD_H
#define TESTS_USER_CHILD_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* For the child, which cannot use the harness' own checks. */
#define CHECK(cond)                                                          \
	do {                                                                 \
		if (!(cond)) {                                               \
			fprintf(stderr, "# %s:%d: child %d: %s\n", __FILE__, \
				__LINE__, getpid(), #cond);                  \
			_exit(1);                                            \
		}                                                            \
	} while (0)

/* Waits for the child, or for any if that is -1; its status. */
static inline int end_of(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) > 0 ? status : -1;
}

/*
 * fork(); *@line connects the two.  Whoever is alone on it hears nothing more,
 * so that neither waits for one that has died.
 */
static inline pid_t fork_with(int *line)
{
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -1;
	pid = fork();
	close(fds[!pid]);
	*line = fds[!!pid];
	return pid;
}

/* One byte to the other side. */
static inline bool say_byte(int line, char c)
{
	return send(line, &c, 1, MSG_NOSIGNAL) == 1;
}

/* One byte from it, or -1. */
static inline int hear_byte(int line)
{
	unsigned char c;

	return read(line, &c, 1) == 1 ? c : -1;
}

static inline bool say(int line)
{
	return say_byte(line, 'x');
}

static inline bool hear(int line)
{
	return hear_byte(line) == 'x';
}

#endif /* TESTS_USER_CHILD_H */
