/* SPDX-License-Identifier: GPL-2.0 */
/* Runs a script on both sides and compares. */
#ifndef TESTS_FUZZ_TWINS_H
#define TESTS_FUZZ_TWINS_H

#include <sys/types.h>

#include "side.h"

#define SERVERS 24

/**
 * struct server - a process without free addresses but in one zone
 * @pid: which; 0: there is none yet
 * @pages: of its zone
 * @before: of its zone
 * @ask: a pipe to it; a byte: run the script
 * @answer: and from it; a byte: it has been run
 */
struct server {
	pid_t pid;
	uint64_t pages;
	uint64_t before;
	int ask;
	int answer;
};

/**
 * struct twins - both sides
 * @run: what is run
 * @server: the native sides, one for each zone
 * @verbose: print listings
 */
struct twins {
	struct run *run;
	struct server server[SERVERS];
	bool verbose;
};

bool twins_init(struct twins *t, bool verbose);
void twins_end(struct twins *t);

/* Runs the script; are all outcomes the same? */
bool twins_same(struct twins *t);

/* The first operation that differs, after twins_same(). */
size_t twins_difference(const struct twins *t);

void twins_print(FILE *f, const struct twins *t);

#endif /* TESTS_FUZZ_TWINS_H */
