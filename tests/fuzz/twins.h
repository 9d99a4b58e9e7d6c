/* SPDX-License-Identifier: GPL-2.0 */
/* Runs a script on both sides and compares. */
#ifndef TESTS_FUZZ_TWINS_H
#define TESTS_FUZZ_TWINS_H

#include <sys/types.h>

#include "side.h"

#define SERVERS 48

/**
 * struct server - a process without free addresses but in one zone
 * @system: whose addresses they are
 * @pid: which; 0: there is none yet
 * @pages: of its zone
 * @before: of its zone
 * @ask: a pipe to it; a byte: run the script
 * @answer: and from it; a byte: it has been run
 */
struct server {
	enum system system;
	pid_t pid;
	uint64_t pages;
	uint64_t before;
	int ask;
	int answer;
};

/**
 * struct twins - both sides
 * @run: what is run
 * @fd: the file that it is in
 * @preload: the library, if that is to be tested; else NULL
 * @server: the native sides, one for each zone; and those with a library
 * @verbose: print listings
 */
struct twins {
	struct run *run;
	int fd;
	const char *preload;
	struct server server[SERVERS];
	bool verbose;
};

/* Compare @which with the native one; @preload: the library to preload. */
bool twins_init(struct twins *t, enum system which, const char *preload,
		bool verbose);
void twins_end(struct twins *t);

/* A server with the library: "RUN ASK ANSWER" are descriptors. */
void twins_serve(char **argv);

/* Runs the script; are all outcomes the same? */
bool twins_same(struct twins *t);

/* The first operation that differs, after twins_same(). */
size_t twins_difference(const struct twins *t);

void twins_print(FILE *f, const struct twins *t);

#endif /* TESTS_FUZZ_TWINS_H */
