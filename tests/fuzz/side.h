/* SPDX-License-Identifier: GPL-2.0 */
/* Runs scripts on one of the two systems. */
#ifndef TESTS_FUZZ_SIDE_H
#define TESTS_FUZZ_SIDE_H

#include "script.h"

/**
 * struct run - a script and what both systems did, in memory that processes share
 * @script: which is run
 * @clip: for mremap: the old length that both use; the native side says
 * @log: of the native side, and altvm's
 * @ns: how long operations have taken, by kind
 * @count: how many they were
 * @good: how many of them succeeded
 */
struct run {
	struct script script;
	uint64_t clip[OPS_MAX];
	struct outcome log[2][OPS_MAX];
	uint64_t ns[2][NR_OPS];
	uint64_t count[2][NR_OPS];
	uint64_t good[2][NR_OPS];
};

/**
 * struct side - a system, in a process of its own
 * @vm: the zone
 * @run: what is run
 * @log: its outcomes
 * @fd: its files, opened when they are needed; else -1
 * @verbose: print listings
 */
struct side {
	struct vm vm;
	struct run *run;
	struct outcome *log;
	int fd[NR_FILES];
	bool verbose;
};

/* Where a zone starts. */
char *zone_base(const struct scene *scene);

/* Give a process whose zone is to be native no other free address. */
void side_enclose(const struct scene *scene);

/* Run the script, in a process that ends afterwards. */
void side_run(struct run *run, bool native, bool verbose);

/* The areas of the zone: their number by pages, hashed. */
void side_areas(struct side *side, const struct op *op, struct outcome *o);

/* What follows natively @addr's area, if altvm may take both for one; else 0. */
unsigned long side_seam(unsigned long addr);

int side_file(struct side *side, int which);

/* The number of a file of this side from its inode; NR_FILES: none of them. */
int side_file_by_inode(struct side *side, unsigned long inode);

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
