// SPDX-License-Identifier: GPL-2.0
/*
 * The oracle fuzzer: random scripts of calls and accesses, run natively and on
 * altvm; whatever a program can see of the two must be the same.
 *
 * Each script is run natively by a process of its own, then on altvm by another;
 * both have the zone at the same address and write down what they see.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"
#include "shrink.h"
#include "side.h"
#include "tests/user/nodes.h"
#include "twins.h"

/**
 * struct options - what was asked for
 * @seed: of the first script
 * @ops: how many operations at least; 0: no number
 * @scripts: how many scripts at most; 0: no number
 * @seconds: for how long; 0: until there are enough
 * @jobs: how many at a time
 * @hostile: throw garbage at the device instead
 * @verbose: print the scripts, and what was seen
 * @keep: do not shrink
 * @print: print scripts, do not run them
 * @program: print the scripts of files as programs in C
 * @library: compare with libaltvm
 * @preload: compare with the C library and this one
 * @times: say what takes how long
 */
struct options {
	uint64_t seed;
	uint64_t ops;
	uint64_t scripts;
	uint64_t seconds;
	uint64_t jobs;
	bool hostile;
	bool verbose;
	bool keep;
	bool print;
	bool program;
	bool times;
	bool library;
	const char *preload;
};

static struct options options = { .seed = 1 };

/**
 * struct shared - what the workers have in common
 * @next: the next script
 * @ops: how many operations have been run
 * @scripts: how many scripts
 * @differences: how many of them differed
 * @programs: how many of those were printed in C
 */
struct shared {
	atomic_ulong next;
	atomic_ulong ops;
	atomic_ulong scripts;
	atomic_ulong differences;
	atomic_ulong programs;
};

static struct shared *shared;
static time_t end;

static bool is_enough(void)
{
	if (shared->differences >= 3)
		return true;
	if (options.seconds && time(NULL) >= end)
		return true;
	if (options.scripts && shared->next >= options.seed + options.scripts)
		return true;
	return options.ops && shared->ops >= options.ops;
}

/* In one piece, for others print too. */
static void print_shrunk(const struct twins *t)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	/* The C of one is enough to begin with. */
	bool first = !shared || !shared->programs++;

	fprintf(f, "# shrunk, it is\n");
	script_print(f, &t->run->script);
	twins_print(f, t);
	fprintf(f, "# fuzz --program makes a program in C of that%s\n",
		first ? ", which is" : "");
	if (first)
		program_print(f, t->run);
	fclose(f);
	fwrite(text, 1, len, stdout);
	fflush(stdout);
	free(text);
}

/* Says what differs; the script becomes the shortest that does. */
static void report(struct twins *t, uint64_t seed, const char *name)
{
	printf("# %s %ld differs\n", name, seed);
	twins_print(stdout, t);
	fflush(stdout);
	if (options.keep)
		return;
	shrink(t);
	print_shrunk(t);
}

/* How long each kind of operation takes. */
static void print_times(const struct run *run)
{
	uint64_t us[2];
	int kind, i;

	for (kind = 0; kind < NR_OPS; kind++) {
		if (!run->count[0][kind])
			continue;
		for (i = 0; i < 2; i++)
			us[i] = run->ns[i][kind] / 1000 / run->count[0][kind];
		printf("# %18s: %6ld times, %3ld %% good, natively %5ld us, altvm %5ld us\n",
		       op_names[kind], run->count[0][kind],
		       run->good[0][kind] * 100 / run->count[0][kind], us[0],
		       us[1]);
	}
}

/*
 * Both sides on one CPU, and what is there stays: else the local node would be one
 * or another.
 */
static void stay_on_node(unsigned int cpu)
{
	int fd = open("/proc/sys/kernel/numa_balancing", O_WRONLY | O_CLOEXEC);
	cpu_set_t cpus;

	if (!nodes_are_two())
		return;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		perror("# cannot stay on one CPU");
	if (fd >= 0 && write(fd, "0", 1) == 1)
		close(fd);
}

static void start(struct twins *t)
{
	enum system which = options.library ? LIBRARY : ALTVM;

	if (options.preload)
		which = PRELOAD;
	if (!twins_init(t, which, options.preload, options.verbose)) {
		perror("fuzz");
		exit(2);
	}
}

static void work(unsigned int cpu)
{
	struct twins t;

	stay_on_node(cpu);
	start(&t);
	while (!is_enough()) {
		uint64_t seed = shared->next++;

		script_generate(&t.run->script, seed);
		if (options.verbose)
			script_print(stdout, &t.run->script);
		fflush(stdout);
		if (!twins_same(&t)) {
			shared->differences++;
			report(&t, seed, "script");
		}
		shared->ops += t.run->script.nr;
		shared->scripts++;
	}
	if (options.times)
		print_times(t.run);
	twins_end(&t);
}

/* Every minute how far it is. */
static void tell(time_t start)
{
	printf("# %ld scripts, %ld operations, %ld s, %ld differences\n",
	       shared->scripts, shared->ops, time(NULL) - start,
	       shared->differences);
	fflush(stdout);
}

static int run_workers(void)
{
	time_t start = time(NULL), told = start;
	int running = 0, bad = 0, status;
	uint64_t i;

	shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared->next = options.seed;
	end = start + options.seconds;
	for (i = 0; i < options.jobs; i++) {
		if (!fork()) {
			work(i % sysconf(_SC_NPROCESSORS_ONLN));
			exit(0);
		}
		running++;
	}
	while (running) {
		if (waitpid(-1, &status, WNOHANG) > 0) {
			running--;
			bad |= status;
			continue;
		}
		usleep(50000);
		if (time(NULL) - told >= 60) {
			told = time(NULL);
			tell(start);
		}
	}
	tell(start);
	return bad || shared->differences;
}

static bool read_script(const char *name, struct script *s)
{
	FILE *f = fopen(name, "r");
	bool ok = f && script_parse(f, s);

	if (!ok)
		fprintf(stderr, "fuzz: cannot read %s\n", name);
	if (f)
		fclose(f);
	return ok;
}

/* The scripts in files, or the one that was asked for; also as programs. */
static int print_scripts(char **files)
{
	static struct run run;

	if (!*files) {
		script_generate(&run.script, options.seed);
		script_print(stdout, &run.script);
	}
	for (; *files; files++) {
		if (!read_script(*files, &run.script))
			return 2;
		if (options.program)
			program_print(stdout, &run);
		else
			script_print(stdout, &run.script);
	}
	return 0;
}

/* The scripts in files. */
static int replay(char **files)
{
	int bad = 0;
	struct twins t;

	stay_on_node(0);
	start(&t);
	for (; *files; files++) {
		if (!read_script(*files, &t.run->script)) {
			bad = 2;
		} else if (twins_same(&t)) {
			printf("# %s is the same\n", *files);
		} else {
			report(&t, 0, *files);
			bad = 1;
		}
	}
	twins_end(&t);
	return bad;
}

static void explain(void)
{
	fputs("usage: fuzz [--seed N] [--ops N] [--scripts N] [--seconds N] [--jobs N]\n"
	      "            [--verbose] [--keep] [--times]\n"
	      "       fuzz [--verbose] [--keep] --replay FILE...\n"
	      "       fuzz-preload --preload LIBRARY [OPTION]... [--replay FILE...]\n"
	      "       fuzz --print [--seed N | FILE...]\n"
	      "       fuzz --program FILE...\n"
	      "       fuzz --hostile [--seed N] [--seconds N] [--jobs N]\n"
	      "\n"
	      "Runs random scripts natively and on altvm, and compares. On a difference\n"
	      "prints the script, made as short as it can be (without --keep), also as a\n"
	      "program in C. Script N is always the same: --seed N --scripts 1 repeats it.\n"
	      "--library: altvm is called by libaltvm. --preload: by the C library, below which\n"
	      "LIBRARY is, libaltvm-preload.so.\n"
	      "--hostile: throws garbage at the device; the kernel log is the verdict.\n"
	      "FUZZ_DISK: a directory on a disk, for files.\n",
	      stderr);
	exit(2);
}

static void parse_options(int argc, char **argv, bool *files)
{
	static const struct option known[] = {
		{ "seed", 1, NULL, 0 },
		{ "ops", 1, NULL, 1 },
		{ "scripts", 1, NULL, 2 },
		{ "seconds", 1, NULL, 3 },
		{ "jobs", 1, NULL, 4 },
		{ "verbose", 0, NULL, 5 },
		{ "keep", 0, NULL, 6 },
		{ "replay", 0, NULL, 7 },
		{ "hostile", 0, NULL, 8 },
		{ "times", 0, NULL, 9 },
		{ "print", 0, NULL, 10 },
		{ "program", 0, NULL, 11 },
		{ "library", 0, NULL, 12 },
		{ "preload", 1, NULL, 13 },
		{},
	};
	uint64_t *const numbers[] = { &options.seed, &options.ops,
				      &options.scripts, &options.seconds,
				      &options.jobs };
	bool *const flags[] = {
		&options.verbose, &options.keep,    files,
		&options.hostile, &options.times,   &options.print,
		&options.program, &options.library,
	};
	int c;

	options.jobs = sysconf(_SC_NPROCESSORS_ONLN);
	while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		if (c == '?')
			explain();
		else if (c == 13)
			options.preload = optarg;
		else if (c < (int)ARRAY_SIZE(numbers))
			*numbers[c] = strtoull(optarg, NULL, 0);
		else
			*flags[c - ARRAY_SIZE(numbers)] = true;
	}
	options.print |= options.program;
}

int main(int argc, char **argv)
{
	bool files = false;

	if (argc == 5 && !strcmp(argv[1], "--serve"))
		twins_serve(argv + 2);
	parse_options(argc, argv, &files);
	advice_find_known();
	if (options.print)
		return print_scripts(argv + optind);
	if (files != !!argv[optind])
		explain();
	if (access(DEVICE, F_OK)) {
		perror(DEVICE);
		return 2;
	}
	if (options.hostile)
		return hostile(options.seed, options.seconds ?: 60,
			       options.jobs);
	if (files)
		return replay(argv + optind);
	if (!options.ops && !options.scripts && !options.seconds)
		explain();
	return run_workers();
}
