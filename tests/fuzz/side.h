/* SPDX-License-Identifier: GPL-2.0 */
/* Runs scripts on one of the two systems. */
#ifndef TESTS_FUZZ_SIDE_H
#define TESTS_FUZZ_SIDE_H

#include "script.h"

/* Under what a script is run. */
enum system {
	NATIVE,
	/* By ioctls. */
	ALTVM,
	/* By libaltvm. */
	LIBRARY,
	/* The C library's calls, with libaltvm-preload. */
	PRELOAD,
};

/**
 * struct run - a script and what both systems did, in memory that processes share
 * @script: which is run
 * @system: what is compared with the native one
 * @clip: of mremap the old length, and the length of mprotect, that both use; the
 *	native side says
 * @log: of the native side, and altvm's
 * @ns: how long operations have taken, by kind
 * @count: how many they were
 * @good: how many of them succeeded
 */
struct run {
	struct script script;
	enum system system;
	uint64_t clip[OPS_MAX];
	struct outcome log[2][OPS_MAX];
	uint64_t ns[2][NR_OPS];
	uint64_t count[2][NR_OPS];
	uint64_t good[2][NR_OPS];
};

/**
 * struct side - a system, in a process of its own
 * @vm: the zone
 * @system: which it is
 * @run: what is run
 * @log: its outcomes
 * @fd: its files, opened when they are needed; else -1
 * @child: the youngest child that waits; 0: there is none
 * @base: bytes that count for the limit that the scene changes, in the beginning
 * @verbose: print listings
 */
struct side {
	struct vm vm;
	enum system system;
	struct run *run;
	struct outcome *log;
	int fd[NR_FILES];
	pid_t child;
	uint64_t base;
	bool verbose;
};

/* Where a zone starts. */
char *zone_base(const struct scene *scene);

/* Give a process no free address but in the zone, or in the window. */
void side_enclose(const struct scene *scene, enum system which);

/* A memory cgroup for this process and its children, where there are any. */
void side_own_group(void);
void side_leave_group(void);

/* Run the script, in a process that ends afterwards. */
void side_run(struct run *run, enum system which, bool verbose);

/* The areas of the zone: their number by pages, hashed. */
void side_areas(struct side *side, const struct op *op, struct outcome *o);

/* What follows natively @addr's area, if altvm may take both for one; else 0. */
unsigned long side_seam(unsigned long addr);

/* Where natively the mapping at @addr ends; 0: there is none. */
unsigned long side_area_end(unsigned long addr);

int side_file(struct side *side, int which);

/*
 * The number of a file of this side from its inode, which is one of its device only;
 * NR_FILES: none of them.
 */
int side_file_by_inode(struct side *side, dev_t dev, unsigned long inode);

/* program/start.c: how each program in C starts. */
extern const char program_start[];

/* The script as a program in C. */
void program_print(FILE *f, const struct run *run);

static inline uint64_t hash_add(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15;
	return hash ^ (hash >> 29);
}

#endif /* TESTS_FUZZ_SIDE_H */
