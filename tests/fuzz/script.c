// SPDX-License-Identifier: GPL-2.0
/*
 * Scripts as text: a line for each operation, its name and what is not 0.
 *
 *	scene pages=64 before=32
 *	mmap len=0x3000 prot=3 flags=0x22
 */
#include <stdlib.h>
#include <string.h>

#include "script.h"

const char *const op_names[NR_OPS] = {
	[OP_NONE] = "none",
	[OP_MMAP] = "mmap",
	[OP_MUNMAP] = "munmap",
	[OP_MPROTECT] = "mprotect",
	[OP_MREMAP] = "mremap",
	[OP_MADVISE] = "madvise",
	[OP_MSYNC] = "msync",
	[OP_MINCORE] = "mincore",
	[OP_MLOCK] = "mlock",
	[OP_MUNLOCK] = "munlock",
	[OP_MLOCKALL] = "mlockall",
	[OP_MUNLOCKALL] = "munlockall",
	[OP_BRK] = "brk",
	[OP_MBIND] = "mbind",
	[OP_SET_MEMPOLICY] = "set_mempolicy",
	[OP_GET_MEMPOLICY] = "get_mempolicy",
	[OP_NODES] = "nodes",
	[OP_READV] = "process_vm_readv",
	[OP_WRITEV] = "process_vm_writev",
	[OP_PROCESS_MADVISE] = "process_madvise",
	[OP_LOAD] = "load",
	[OP_STORE] = "store",
	[OP_CALL] = "call",
	[OP_LOOK] = "look",
	[OP_AREAS] = "areas",
	[OP_PREAD] = "pread",
	[OP_PWRITE] = "pwrite",
	[OP_TRUNCATE] = "ftruncate",
	[OP_FALLOCATE] = "fallocate",
	[OP_FORK] = "fork",
	[OP_END] = "end",
	[OP_JOIN] = "join",
	[OP_RLIMIT] = "setrlimit",
	[OP_RECLAIM] = "reclaim",
};

/**
 * struct field - a member, by its name
 * @name: in the text
 * @offset: of the member
 * @size: of the member
 */
struct field {
	const char *name;
	size_t offset;
	size_t size;
};

#define FIELD(type, member)                                        \
	{                                                          \
		.name = #member, .offset = offsetof(type, member), \
		.size = sizeof(((type *)0)->member),               \
	}

static const struct field op_fields[] = {
	FIELD(struct op, addr),	   FIELD(struct op, absolute),
	FIELD(struct op, len),	   FIELD(struct op, prot),
	FIELD(struct op, flags),   FIELD(struct op, how),
	FIELD(struct op, fd),	   FIELD(struct op, off),
	FIELD(struct op, new_len), FIELD(struct op, to),
	FIELD(struct op, value),   FIELD(struct op, thread),
	FIELD(struct op, child),
};

static const struct field scene_fields[] = {
	FIELD(struct scene, pages),  FIELD(struct scene, before),
	FIELD(struct scene, disk),   FIELD(struct scene, strict),
	FIELD(struct scene, alarms), FIELD(struct scene, lockable),
	FIELD(struct scene, huge),   FIELD(struct scene, limits),
	FIELD(struct scene, swap),
};

static uint64_t field_get(const struct field *field, const void *from)
{
	uint64_t value = 0;

	memcpy(&value, (const char *)from + field->offset, field->size);
	return value;
}

static void print_fields(FILE *f, const struct field *fields, size_t nr,
			 const void *from)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		uint64_t value = field_get(&fields[i], from);

		if (value)
			fprintf(f, " %s=%#lx", fields[i].name, value);
	}
	fputc('\n', f);
}

static bool parse_fields(char *text, const struct field *fields, size_t nr,
			 void *to)
{
	char *word, *value;
	uint64_t number;
	size_t i;

	while ((word = strsep(&text, " \t\n"))) {
		if (!*word)
			continue;
		value = strchr(word, '=');
		if (!value)
			return false;
		*value++ = '\0';
		number = strtoull(value, NULL, 0);
		for (i = 0; i < nr && strcmp(word, fields[i].name); i++)
			;
		if (i == nr)
			return false;
		memcpy((char *)to + fields[i].offset, &number, fields[i].size);
	}
	return true;
}

void op_print(FILE *f, const struct op *op)
{
	fputs(op_names[op->kind], f);
	print_fields(f, op_fields, ARRAY_SIZE(op_fields), op);
}

void script_print(FILE *f, const struct script *s)
{
	size_t i;

	fputs("scene", f);
	print_fields(f, scene_fields, ARRAY_SIZE(scene_fields), &s->scene);
	for (i = 0; i < s->nr; i++)
		op_print(f, &s->ops[i]);
}

static bool parse_line(char *line, struct script *s)
{
	char *name = strsep(&line, " \t\n");
	struct op *op = &s->ops[s->nr];
	int kind;

	if (!*name || *name == '#')
		return true;
	if (!strcmp(name, "scene"))
		return parse_fields(line, scene_fields,
				    ARRAY_SIZE(scene_fields), &s->scene);
	for (kind = 0; kind < NR_OPS && strcmp(name, op_names[kind]); kind++)
		;
	if (kind == NR_OPS || s->nr == OPS_MAX)
		return false;
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	s->nr++;
	return parse_fields(line, op_fields, ARRAY_SIZE(op_fields), op);
}

bool script_parse(FILE *f, struct script *s)
{
	char line[512];

	memset(&s->scene, 0, sizeof(s->scene));
	s->scene.pages = 64;
	s->nr = 0;
	while (fgets(line, sizeof(line), f))
		if (!parse_line(line, s))
			return false;
	return s->nr;
}

void outcome_print(FILE *f, const char *name, const struct outcome *o)
{
	if (!o->done) {
		fprintf(f, "# %8s: not reached\n", name);
		return;
	}
	fprintf(f, "# %8s: %#lx", name, o->ret);
	if (o->err)
		fprintf(f, " %s", strerrorname_np(o->err));
	if (o->sig)
		fprintf(f, " signal %d code %d at %#lx cr2 %#lx error %#x",
			o->sig, o->code, o->addr, o->cr2, o->error);
	fprintf(f, " value %#lx hash %#lx\n", o->value, o->hash);
}

size_t script_after_fork(const struct script *s, size_t i)
{
	int depth = 0;

	for (; i < s->nr; i++) {
		if (s->ops[i].kind == OP_FORK)
			depth++;
		else if (s->ops[i].kind == OP_END && !--depth)
			return i + 1;
	}
	return s->nr;
}
