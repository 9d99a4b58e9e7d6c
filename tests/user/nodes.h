/* SPDX-License-Identifier: GPL-2.0 */
/* Memory nodes: which there are, where pages are, and sets of them. */
#ifndef TESTS_USER_NODES_H
#define TESTS_USER_NODES_H

#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vm.h"

/* As many as any kernel has. */
#define NODES_MAX 1024
#define NODES_WORDS (NODES_MAX / 64)

/* Newer than some systems' headers. */
#define PREFERRED_MANY 5
#define WEIGHTED_INTERLEAVE 6
#define NUMA_BALANCING (1 << 13)

/* What system calls take for "that many bits". */
#define MAXNODE (NODES_MAX + 1)

/* The lowest two nodes that have memory, as a set of up to 64. */
static inline unsigned long nodes_there(void)
{
	unsigned long nodes[NODES_WORDS] = { 0 };

	syscall(SYS_get_mempolicy, NULL, nodes, NODES_MAX, NULL,
		MPOL_F_MEMS_ALLOWED);
	return nodes[0];
}

static inline bool nodes_are_two(void)
{
	return (nodes_there() & 3) == 3;
}

/* The node of what is mapped at an address; -errno if nothing is. */
static inline int node_of(void *addr)
{
	int status = -1;

	if (syscall(SYS_move_pages, 0, 1UL, &addr, NULL, &status, 0))
		return -errno;
	return status;
}

/* The same for several pages, as digits; '-' where there is none. */
static inline const char *nodes_of(char *at, size_t pages)
{
	static char text[1025];
	size_t i;

	for (i = 0; i < pages; i++) {
		int node = node_of(at + i * PAGE);

		text[i] = node < 0 ? '-' : (char)('0' + node);
	}
	text[pages] = 0;
	return text;
}

/* Run on a CPU of the node; false if it has none. */
static inline bool run_on_node(int node)
{
	char path[64];
	cpu_set_t cpus;
	FILE *f;
	int cpu;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist",
		 node);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%d", &cpu) != 1)
		cpu = -1;
	fclose(f);
	if (cpu < 0)
		return false;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return !sched_setaffinity(0, sizeof(cpus), &cpus);
}

static inline int vm_mbind(struct vm *vm, void *addr, size_t len, int mode,
			   unsigned long nodes, unsigned int flags)
{
	unsigned long set[NODES_WORDS] = { nodes };

	return vm->ops->mbind(vm, addr, len, mode, set, MAXNODE, flags);
}

static inline int vm_set_mempolicy(struct vm *vm, int mode, unsigned long nodes)
{
	unsigned long set[NODES_WORDS] = { nodes };

	return vm->ops->set_mempolicy(vm, mode, set, MAXNODE);
}

/* @nodes: the lowest 64; may be NULL. */
static inline int vm_get_mempolicy(struct vm *vm, int *mode,
				   unsigned long *nodes, void *addr,
				   unsigned int flags)
{
	unsigned long set[NODES_WORDS] = { 0 };
	int ret = vm->ops->get_mempolicy(vm, mode, set, NODES_MAX, addr, flags);

	if (nodes)
		*nodes = set[0];
	return ret;
}

/* The policy of an address; -1 and errno. */
static inline int vm_policy(struct vm *vm, void *addr, unsigned long *nodes)
{
	int mode = -1;

	if (vm_get_mempolicy(vm, &mode, nodes, addr, MPOL_F_ADDR))
		return -1;
	return mode;
}

#endif /* TESTS_USER_NODES_H */
