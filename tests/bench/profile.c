// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU plugin for "profile": counts each instruction of the guest that is
 * executed within the timed part of a benchmark, apart for each world.
 *
 * Arguments, addresses in hexadecimal:
 *   out=FILE     where to write lines "address native altvm" at the end
 *   on=ADDRESS   executing this instruction starts counting
 *   off=ADDRESS  ... and this one stops it
 *   native=ADDRESS, altvm=ADDRESS
 *                what follows belongs to that world; as many as needed
 *
 * qemu-plugin.h is not in distributions' packages: what is needed of it is
 * declared here.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define KERNEL (1UL << 63)
#define USER_END 0x1000000 /* the benchmark is a static program */
#define NR_COUNTERS (1U << 22)
#define NR_MARKS 64

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*exec_fn)(unsigned int cpu, void *data);
typedef void (*translate_fn)(plugin_id id, struct qemu_plugin_tb *tb);
typedef void (*exit_fn)(plugin_id id, void *data);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    exec_fn fn, int flags, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, translate_fn fn);
void qemu_plugin_register_atexit_cb(plugin_id id, exit_fn fn, void *data);

struct counter {
	uint64_t address;
	uint64_t executed[2];
};

struct mark {
	uint64_t address;
	exec_fn fn;
};

EXPORT int qemu_plugin_version = 1;

/* A hash table with open addressing; nothing is ever removed. */
static struct counter counters[NR_COUNTERS];
static struct mark marks[NR_MARKS];
static unsigned int nr_marks, world;
static char *out;
static bool on;

static struct counter *find_counter(uint64_t address)
{
	unsigned int i = address * 0x9e3779b97f4a7c15 >> 42;

	while (counters[i].address && counters[i].address != address)
		i = (i + 1) % NR_COUNTERS;
	counters[i].address = address;
	return &counters[i];
}

static void count(unsigned int cpu, void *data)
{
	struct counter *counter = data;

	counter->executed[world] += on;
}

static void turn_on(unsigned int cpu, void *data)
{
	on = true;
}

static void turn_off(unsigned int cpu, void *data)
{
	on = false;
}

static void enter_native(unsigned int cpu, void *data)
{
	world = 0;
}

static void enter_altvm(unsigned int cpu, void *data)
{
	world = 1;
}

static void call_before(struct qemu_plugin_insn *insn, exec_fn fn, void *data)
{
	qemu_plugin_register_vcpu_insn_exec_cb(insn, fn, 0, data);
}

static void translate(plugin_id id, struct qemu_plugin_tb *tb)
{
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn);

		if (address >= USER_END && address < KERNEL)
			continue;
		for (unsigned int m = 0; m < nr_marks; m++)
			if (marks[m].address == address)
				call_before(insn, marks[m].fn, NULL);
		call_before(insn, count, find_counter(address));
	}
}

static void write_counters(plugin_id id, void *data)
{
	FILE *f = fopen(out, "w");

	if (!f) {
		perror(out);
		return;
	}
	for (unsigned int i = 0; i < NR_COUNTERS; i++) {
		struct counter *c = &counters[i];

		if (c->executed[0] || c->executed[1])
			fprintf(f, "%lx %lu %lu\n", c->address, c->executed[0],
				c->executed[1]);
	}
	fclose(f);
}

static bool add_mark(const char *key, const char *value)
{
	static const struct {
		const char *key;
		exec_fn fn;
	} kinds[] = {
		{ "on", turn_on },
		{ "off", turn_off },
		{ "native", enter_native },
		{ "altvm", enter_altvm },
	};

	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(key, kinds[i].key) || nr_marks == NR_MARKS)
			continue;
		marks[nr_marks].address = strtoull(value, NULL, 16);
		marks[nr_marks++].fn = kinds[i].fn;
		return true;
	}
	return false;
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc,
			       char **argv)
{
	for (int i = 0; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			return -1;
		*value++ = '\0';
		if (!strcmp(argv[i], "out"))
			out = strdup(value);
		else if (!add_mark(argv[i], value))
			return -1;
	}
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, write_counters, NULL);
	return 0;
}
