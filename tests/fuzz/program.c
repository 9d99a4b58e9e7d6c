// SPDX-License-Identifier: GPL-2.0
/* A script as a program in C, which needs nothing but libaltvm. */
#include "side.h"

/* Where, as C. */
static const char *where(const struct op *op)
{
	static char text[64];

	if (op->absolute)
		snprintf(text, sizeof(text), "(char *)%#lx", op->addr);
	else
		snprintf(text, sizeof(text), "base + %#lx", op->addr);
	return text;
}

static void print_memory_op(FILE *f, const struct op *op, uint64_t clip)
{
	const uint64_t len = clip ?: op->len;

	switch (op->kind) {
	case OP_MMAP:
		fprintf(f, "do_mmap(%s, %#lx, %#x, %#x, ", where(op), len,
			op->prot, op->flags);
		if (op->flags & MAP_ANONYMOUS)
			fprintf(f, "-1, %#lx);\n", op->off);
		else
			fprintf(f, "file(%d), %#lx);\n", op->fd, op->off);
		return;
	case OP_MREMAP:
		fprintf(f, "do_mremap(%s, %#lx, %#lx, %#x, base + %#lx);\n",
			where(op), len,
			clip && op->flags & MREMAP_DONTUNMAP ? clip :
							       op->new_len,
			op->flags, op->to);
		return;
	case OP_MBIND:
		fprintf(f, "do_mbind(%s, %#lx, %#x, %#lx, %#lx, %#x);\n",
			where(op), len, op->prot, op->value, op->off,
			op->flags);
		return;
	case OP_MPROTECT:
		fprintf(f, "do_mprotect(%s, %#lx, %#x);\n", where(op), len,
			op->prot);
		return;
	case OP_MADVISE:
		fprintf(f, "do_madvise(%s, %#lx, %d);\n", where(op), len,
			op->how);
		return;
	case OP_MSYNC:
	case OP_MLOCK:
		fprintf(f, "do_%s(%s, %#lx, %#x);\n", op_names[op->kind],
			where(op), len, op->flags);
		return;
	default:
		fprintf(f, "do_%s(%s, %#lx);\n", op_names[op->kind], where(op),
			len);
	}
}

static void print_access(FILE *f, const struct op *op)
{
	static const char *const names[] = {
		[OP_LOAD] = "LOAD",
		[OP_STORE] = "STORE",
		[OP_CALL] = "CALL",
	};

	fprintf(f, "do_access(%s, %s, %#lx);\n", names[op->kind], where(op),
		op->value);
}

static void print_file_op(FILE *f, const struct op *op)
{
	if (op->kind == OP_TRUNCATE)
		fprintf(f, "do_ftruncate(file(%d), %#lx);\n", op->fd, op->len);
	else if (op->kind == OP_FALLOCATE)
		fprintf(f, "do_fallocate(file(%d), %#x, %#lx, %#lx);\n", op->fd,
			op->flags, op->off, op->len);
	else
		fprintf(f, "do_%s(file(%d), %s, %#lx, %#lx);\n",
			op_names[op->kind], op->fd, where(op), op->len,
			op->off);
}

static void print_op(FILE *f, const struct op *op, uint64_t clip)
{
	switch (op->kind) {
	case OP_LOAD:
	case OP_STORE:
	case OP_CALL:
		return print_access(f, op);
	case OP_PREAD:
	case OP_PWRITE:
	case OP_TRUNCATE:
	case OP_FALLOCATE:
		return print_file_op(f, op);
	case OP_GET_MEMPOLICY:
		fprintf(f, "do_get_mempolicy(%s, %#x);\n", where(op),
			op->flags);
		return;
	case OP_SET_MEMPOLICY:
		fprintf(f, "do_set_mempolicy(%#x, %#lx, %#lx);\n", op->prot,
			op->value, op->off);
		return;
	case OP_READV:
	case OP_WRITEV:
		fprintf(f, "do_process_vm(%s, %s, %s, %#lx);\n",
			op->kind == OP_WRITEV ? "true" : "false",
			op->child ? "youngest()" : "getpid()", where(op),
			op->len);
		return;
	case OP_PROCESS_MADVISE:
		fprintf(f, "do_process_madvise(%s, %s, %#lx, %d);\n",
			op->child ? "youngest()" : "getpid()", where(op),
			op->len, op->how);
		return;
	case OP_RLIMIT:
		fprintf(f, "do_setrlimit(%d, %#lx);\n", op->how, op->value);
		return;
	case OP_RECLAIM:
		fprintf(f, "do_reclaim(\"%lu\");\n", op->len);
		return;
	case OP_MLOCKALL:
		fprintf(f, "do_mlockall(%#x);\n", op->flags);
		return;
	case OP_MUNLOCKALL:
	case OP_AREAS:
		fprintf(f, "do_%s();\n", op_names[op->kind]);
		return;
	case OP_BRK:
		fprintf(f, "do_brk(%s);\n", where(op));
		return;
	case OP_JOIN:
		fprintf(f, "join();\n");
		return;
	default:
		print_memory_op(f, op, clip);
	}
}

static void print_steps(FILE *f, const struct run *run, size_t *i, int depth)
{
	const struct script *s = &run->script;
	const struct op *op;

	for (; *i < s->nr && s->ops[*i].kind != OP_END; ++*i) {
		op = &s->ops[*i];
		fprintf(f, "%.*s", depth, "\t\t\t\t\t\t\t\t");
		if (op->kind != OP_FORK) {
			print_op(f, op, run->clip[*i]);
			continue;
		}
		fprintf(f, "if (child(%s)) {\n",
			op->how & FORK_LATE ? "true" : "false");
		++*i;
		print_steps(f, run, i, depth + 1);
		fprintf(f, "%.*send(%s);\n%.*s}\n", depth + 1,
			"\t\t\t\t\t\t\t\t",
			op->how & FORK_KILL ? "true" : "false", depth,
			"\t\t\t\t\t\t\t\t");
	}
}

void program_print(FILE *f, const struct run *run)
{
	size_t i = 0;

	fprintf(f, "%s\nstatic void steps(void)\n{\n", program_start);
	print_steps(f, run, &i, 1);
	fprintf(f, "}\n\nint main(void)\n{\n\treturn compare(%lu, %lu);\n}\n",
		run->script.scene.pages, run->script.scene.before);
}
