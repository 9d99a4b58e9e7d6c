// SPDX-License-Identifier: GPL-2.0
/*
 * bench: what memory calls cost, altvm beside the kernel's own.
 *
 * Each row is run in each world in turn, several times over, so that a drift is
 * one for both.  A run has a process of its own, for altvm in a process makes
 * the kernel's own calls there dearer: they have to tell its mmu_notifier.  It
 * is made of batches: set up, take the time of row->ops operations, tear down.
 * The loop's own cost is measured with an empty operation and subtracted.
 *
 * What a change to a tree of mappings costs depends on how full the tree's
 * nodes happen to be.  So each repetition has one more mapping in the tree than
 * the one before, a decoy; the mean of SHAPES repetitions favours nobody.
 *
 * Prints a line of JSON for each row, world, mode and number of threads, with
 * the cost of one unit in each repetition; "run" makes a table of them.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bench.h"
#include "lane.h"

#define SHAPES 8 /* a mapping and a gap: two of a maple node's 16 slots */
#define REPS_MAX (2 * SHAPES)
#define WORLDS 2

/**
 * struct mode - a way to measure
 * @name: for the output
 * @clock: what is measured, as a counter that only grows
 * @threads: lanes run at a time
 * @spinner: keep another CPU busy in this process
 * @reps: repetitions, the worlds taking turns
 * @ticks: what a repetition lasts at least; it is made of whole batches
 */
struct mode {
	const char *name;
	double (*clock)(void);
	unsigned int threads;
	bool spinner;
	unsigned int reps;
	double ticks;
};

/**
 * struct result - one repetition
 * @cost: clock ticks per unit
 * @done: operations done in each batch
 * @error: 0, or -errno of what ended a batch early
 */
struct result {
	double cost;
	unsigned long done;
	int error;
};

/* What the lanes of one repetition share. */
struct crew {
	const struct mode *mode;
	double overhead;
	unsigned int decoys;
	pthread_barrier_t start;
	atomic_uint finished;
};

struct worker {
	struct lane lane;
	struct crew *crew;
	unsigned int cpu;
	pthread_t thread;
	struct result result;
};

static const struct world_ops *const worlds[WORLDS] = {
	&native_world_ops,
	&altvm_world_ops,
};

static unsigned int nr_worlds = WORLDS;

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* Clocks */

/* Under -icount shift=0 this counts instructions, exactly. */
static double clock_tsc(void)
{
	return __rdtsc();
}

static double clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* TLB shootdown interrupts that all CPUs have received. */
static double clock_shootdowns(void)
{
	FILE *f = fopen("/proc/interrupts", "r");
	char line[4096], *p, *end;
	double sum = 0;

	if (!f)
		die("/proc/interrupts: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		p = strstr(line, "TLB:");
		if (!p)
			continue;
		for (p += 4;; p = end) {
			unsigned long n = strtoul(p, &end, 10);

			if (end == p)
				break;
			sum += n;
		}
	}
	fclose(f);
	return sum;
}

/* Measuring */

static int op_nothing(struct lane *lane, unsigned long i)
{
	return 0;
}

/* Not inlined: the empty operation must be called like any other. */
static __attribute__((noinline)) int
loop(op_fn op, struct lane *lane, unsigned long ops, unsigned long *done)
{
	unsigned long i;
	int ret = 0;

	for (i = 0; i < ops; i++) {
		ret = op(lane, i);
		if (ret)
			break;
	}
	*done = i;
	return ret;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double loop_overhead(const struct mode *mode, unsigned int ops)
{
	double ticks[5];
	unsigned long done;

	for (int i = 0; i < 5; i++) {
		ticks[i] = -mode->clock();
		loop(op_nothing, NULL, ops, &done);
		ticks[i] += mode->clock();
	}
	qsort(ticks, 5, sizeof(ticks[0]), compare_doubles);
	return ticks[2];
}

static void run_batch(struct lane *lane, const struct crew *crew, double *ticks,
		      struct result *result)
{
	const struct row *row = lane->row;
	int ret;

	result->done = 0;
	result->error = row->setup ? row->setup(lane) : 0;
	if (!result->error) {
		lane->skipped = crew->overhead;
		*ticks -= lane->clock();
		result->error = loop(row->op, lane, row->ops, &result->done);
		*ticks += lane->clock() - lane->skipped;
	}
	ret = row->teardown ? row->teardown(lane) : 0;
	if (!result->error)
		result->error = ret;
}

static void pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity: %s", strerror(errno));
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct lane *lane = &worker->lane;
	struct result *result = &worker->result;
	struct crew *crew = worker->crew;
	double target = lane->row->flags & ROW_ONCE ? 0 : crew->mode->ticks;
	double ticks = 0, ignored = 0;
	unsigned long units = 0;
	struct result extra;

	pin(worker->cpu);
	result->error = lane_open(lane, crew->decoys);
	/* Warm up. */
	if (!result->error && !(lane->row->flags & ROW_ONCE))
		run_batch(lane, crew, &ignored, result);
	pthread_barrier_wait(&crew->start);
	while (!result->error) {
		run_batch(lane, crew, &ticks, result);
		units += result->done * lane->row->units;
		if (ticks >= target)
			break;
	}
	result->cost = units ? ticks / units : 0;
	/* Keep the others company until they have finished too. */
	crew->finished++;
	while (crew->finished < crew->mode->threads && !result->error)
		run_batch(lane, crew, &ignored, &extra);
	lane_close(lane);
	return NULL;
}

/*
 * The first lane runs in the main thread: with one lane, the process is a
 * single-threaded one.  The cost of a unit with several lanes is that of the
 * whole crew: what one lane would need to be as fast as all of them.
 */
static struct result run_crew(struct world *world, const struct row *row,
			      const struct mode *mode, double overhead,
			      unsigned int decoys)
{
	static unsigned char vec[LANES_MAX][512];
	struct worker workers[LANES_MAX] = { 0 };
	struct crew crew = {
		.mode = mode,
		.overhead = overhead,
		.decoys = decoys,
	};
	struct result result = { 0 };
	double rate = 0;

	pthread_barrier_init(&crew.start, NULL, mode->threads);
	for (unsigned int i = mode->threads; i-- > 0;) {
		workers[i].crew = &crew;
		workers[i].cpu = i;
		workers[i].lane.world = world;
		workers[i].lane.row = row;
		workers[i].lane.base = world->base + i * LANE_SIZE;
		workers[i].lane.vec = vec[i];
		workers[i].lane.clock = mode->clock;
		if (i == 0)
			work(&workers[0]);
		else if (pthread_create(&workers[i].thread, NULL, work,
					&workers[i]))
			die("pthread_create failed");
	}
	for (unsigned int i = 0; i < mode->threads; i++) {
		if (i)
			pthread_join(workers[i].thread, NULL);
		result.done = workers[i].result.done;
		if (workers[i].result.error)
			result.error = workers[i].result.error;
		if (workers[i].result.cost > 0)
			rate += 1 / workers[i].result.cost;
	}
	pthread_barrier_destroy(&crew.start);
	result.cost = rate > 0 ? 1 / rate : 0;
	return result;
}

/* Keeps this process's memory in use on another CPU: its TLB must be told. */
struct spinner {
	pthread_t thread;
	atomic_bool started, stop;
};

static void *spin(void *arg)
{
	struct spinner *spinner = arg;

	pin(1);
	spinner->started = true;
	while (!spinner->stop)
		__builtin_ia32_pause();
	return NULL;
}

static void start_spinner(struct spinner *spinner)
{
	if (pthread_create(&spinner->thread, NULL, spin, spinner))
		die("pthread_create failed");
	while (!spinner->started)
		sched_yield();
}

static void stop_spinner(struct spinner *spinner)
{
	spinner->stop = true;
	pthread_join(spinner->thread, NULL);
}

static struct result run_world(const struct world_ops *ops,
			       const struct row *row, const struct mode *mode,
			       double overhead, unsigned int decoys)
{
	struct world world = { .ops = ops };
	struct spinner spinner = { 0 };
	struct result result;
	int ret;

	ret = ops->open(&world);
	if (ret)
		die("%s: %s", ops->name, strerror(-ret));
	if (mode->spinner)
		start_spinner(&spinner);
	result = run_crew(&world, row, mode, overhead, decoys);
	if (mode->spinner)
		stop_spinner(&spinner);
	return result;
}

/* The same, in a process of its own. */
static struct result run_apart(const struct world_ops *ops,
			       const struct row *row, const struct mode *mode,
			       double overhead, unsigned int decoys)
{
	struct result result;
	int status, ends[2];
	pid_t child;

	if (pipe(ends))
		die("pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child) {
		result = run_world(ops, row, mode, overhead, decoys);
		status = write(ends[1], &result, sizeof(result));
		_exit(status != sizeof(result));
	}
	close(ends[1]);
	if (read(ends[0], &result, sizeof(result)) != sizeof(result))
		die("%s: no result from %s", row->name, ops->name);
	close(ends[0]);
	if (waitpid(child, &status, 0) < 0 || status)
		die("%s: status %#x from %s", row->name, status, ops->name);
	return result;
}

/* Output */

static void print_machine(void)
{
	struct utsname name;

	if (uname(&name))
		die("uname: %s", strerror(errno));
	printf("{\"bench\":\"machine\",\"release\":\"%s\",\"version\":\"%s\",",
	       name.release, name.version);
	printf("\"cpus\":%ld,\"pages\":%ld}\n", sysconf(_SC_NPROCESSORS_ONLN),
	       sysconf(_SC_PHYS_PAGES));
}

static void print_results(const struct row *row, const struct world_ops *ops,
			  const struct mode *mode, const struct result *results,
			  unsigned int reps)
{
	const struct result *last = &results[reps - 1];

	printf("{\"bench\":\"%s\",\"row\":\"%s\",\"unit\":\"%s\",", mode->name,
	       row->name, row->unit);
	printf("\"world\":\"%s\",\"threads\":%u,", ops->name, mode->threads);
	printf("\"ops\":%u,\"units\":%u,\"done\":%lu,", row->ops, row->units,
	       last->done);
	if (last->error)
		printf("\"error\":\"%s\",", strerrorname_np(-last->error));
	printf("\"cost\":[");
	for (unsigned int i = 0; i < reps; i++)
		printf("%s%.3f", i ? "," : "", results[i].cost);
	puts("]}");
}

static void run_row(const struct row *row, const struct mode *mode)
{
	struct result results[WORLDS][REPS_MAX];
	unsigned int reps = row->flags & ROW_ONCE ? 1 : mode->reps;
	unsigned int n = row->flags & ROW_NATIVE ? 1 : nr_worlds;
	double overhead = loop_overhead(mode, row->ops);

	if (row->flags & ROW_ONCE && (mode->threads > 1 || mode->spinner))
		return;
	if (row->flags & ROW_ALONE && mode->threads > 1)
		return;
	for (unsigned int rep = 0; rep < reps; rep++)
		for (unsigned int w = 0; w < n; w++)
			results[w][rep] =
				run_apart(worlds[w], row, mode, overhead, rep);
	for (unsigned int w = 0; w < n; w++)
		print_results(row, worlds[w], mode, results[w], reps);
}

static void run_mode(const struct mode *mode, const regex_t *filter)
{
	for (size_t i = 0; i < nr_rows; i++)
		if (!regexec(filter, rows[i].name, 0, NULL, 0))
			run_row(&rows[i], mode);
}

/* Addresses at random would make page tables, and so the numbers, random. */
static void fix_addresses(char **argv)
{
	int old = personality(0xffffffff);

	if (old == -1 || old & ADDR_NO_RANDOMIZE)
		return;
	if (personality(old | ADDR_NO_RANDOMIZE) != -1)
		execv("/proc/self/exe", argv);
}

static const char usage[] =
	"usage: bench [--icount | --wall] [--native-only] [--quick] [--rows REGEX]\n"
	"  --icount  count instructions: for a machine whose TSC does so\n"
	"  --wall    time, with one thread and with two, and TLB shootdowns\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "icount", no_argument, NULL, 'i' },
		{ "wall", no_argument, NULL, 'w' },
		{ "native-only", no_argument, NULL, 'n' },
		{ "quick", no_argument, NULL, 'q' },
		{ "rows", required_argument, NULL, 'r' },
		{}
	};
	struct mode icount = { "icount", clock_tsc, 1, false, SHAPES, 16e6 };
	struct mode wall[] = {
		{ "wall", clock_ns, 1, false, SHAPES, 10e6 },
		{ "wall", clock_ns, 2, false, SHAPES, 10e6 },
		{ "shootdowns", clock_shootdowns, 1, true, 1, 0 },
	};
	bool do_icount = false, quick = false;
	const char *pattern = "";
	regex_t filter;
	int c;

	fix_addresses(argv);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'i':
			do_icount = true;
			break;
		case 'w':
			do_icount = false;
			break;
		case 'n':
			nr_worlds = 1;
			break;
		case 'q':
			quick = true;
			break;
		case 'r':
			pattern = optarg;
			break;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (regcomp(&filter, pattern, REG_EXTENDED | REG_NOSUB))
		die("bad pattern: %s", pattern);
	if (quick) {
		icount.ticks /= 4;
		wall[0].reps = 3;
		wall[1].reps = 3;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	print_machine();
	if (do_icount) {
		run_mode(&icount, &filter);
		return 0;
	}
	for (unsigned int i = 0; i < sizeof(wall) / sizeof(wall[0]); i++)
		if (sysconf(_SC_NPROCESSORS_ONLN) > 1 ||
		    (wall[i].threads == 1 && !wall[i].spinner))
			run_mode(&wall[i], &filter);
	return 0;
}
