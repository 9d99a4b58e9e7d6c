/* SPDX-License-Identifier: GPL-2.0 */
/* Memory control groups (cgroup v2), for root. */
#ifndef TESTS_USER_MEMCG_H
#define TESTS_USER_MEMCG_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm.h"

#define CGROUPS "/sys/fs/cgroup"

/* A group of our own. */
struct memcg {
	char dir[64];
};

/* Writes to one of the group's files; 0, or -1 and errno. */
static inline int memcg_put(const struct memcg *g, const char *file,
			    const char *text)
{
	char path[128];
	ssize_t ret;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", g->dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text));
	close(fd);
	return ret < 0 ? -1 : 0;
}

/* The number in a group's file, at a line's @key or at its start. */
static inline long memcg_get(const struct memcg *g, const char *file,
			     const char *key)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", g->dir, file);
	return proc_number(path, key);
}

/* How many of its processes were killed for lack of memory. */
static inline long memcg_kills(const struct memcg *g)
{
	return memcg_get(g, "memory.events", "oom_kill ");
}

/* A group that may use @limit bytes and, if @swap, swap space; false if none. */
static inline bool memcg_open(struct memcg *g, size_t limit, bool swap)
{
	static const struct memcg all = { CGROUPS };
	char number[32];

	snprintf(number, sizeof(number), "%lu", limit);
	snprintf(g->dir, sizeof(g->dir), CGROUPS "/altvm-test.%d", getpid());
	memcg_put(&all, "cgroup.subtree_control", "+memory");
	if (mkdir(g->dir, 0700))
		return false;
	/* Where the kernel has no swap, there is no such file. */
	memcg_put(g, "memory.swap.max", swap ? "max" : "0");
	if (!memcg_put(g, "memory.max", number))
		return true;
	rmdir(g->dir);
	return false;
}

/* Moves the calling process into the group. */
static inline int memcg_enter(const struct memcg *g)
{
	return memcg_put(g, "cgroup.procs", "0");
}

/* Fails if it is still charged for something. */
static inline int memcg_close(const struct memcg *g)
{
	return rmdir(g->dir);
}

#endif /* TESTS_USER_MEMCG_H */
