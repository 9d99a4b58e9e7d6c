// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A compiler, in small: "x x * 3 +" becomes x86-64 code in altvm memory.  The
 * code is never writable and executable at once.
 */
#include <altvm.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trap.h"

#define CODE_SIZE ((size_t)4096)

struct code {
	unsigned char *next, *end;
};

static void emit(struct code *code, const void *bytes, size_t len)
{
	if ((size_t)(code->end - code->next) < len)
		errx(1, "the program is too long");
	memcpy(code->next, bytes, len);
	code->next += len;
}

static void emit_number(struct code *code, int number)
{
	emit(code, "\x68", 1); /* push imm32 */
	emit(code, &number, 4);
}

/* Pop two, apply, push one. */
static void emit_operator(struct code *code, char op)
{
	emit(code, "\x59\x58", 2); /* pop rcx; pop rax */
	switch (op) {
	case '+':
		emit(code, "\x48\x01\xc8", 3); /* add rax, rcx */
		break;
	case '-':
		emit(code, "\x48\x29\xc8", 3); /* sub rax, rcx */
		break;
	case '*':
		emit(code, "\x48\x0f\xaf\xc1", 4); /* imul rax, rcx */
		break;
	default:
		errx(1, "not an operator: %c", op);
	}
	emit(code, "\x50", 1); /* push rax */
}

static void compile(struct code *code, const char *source)
{
	char text[80], *word;

	snprintf(text, sizeof(text), "%s", source);
	for (word = strtok(text, " "); word; word = strtok(NULL, " ")) {
		if (!strcmp(word, "x"))
			emit(code, "\x57", 1); /* push rdi */
		else if (*word >= '0' && *word <= '9')
			emit_number(code, atoi(word));
		else
			emit_operator(code, *word);
	}
	emit(code, "\x58\xc3", 2); /* pop rax; ret */
}

/* Return: the code's start. */
static void *load(struct altvm *vm, const char *source)
{
	struct code code;
	void *p = altvm_mmap(vm, NULL, CODE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "altvm_mmap");
	code.next = p;
	code.end = code.next + CODE_SIZE;
	compile(&code, source);
	if (altvm_mprotect(vm, p, CODE_SIZE, PROT_READ | PROT_EXEC) < 0)
		err(1, "altvm_mprotect");
	return p;
}

static void run(struct altvm *vm, const char *source, long x, long want)
{
	void *code = load(vm, source);
	long (*f)(long x) = code;
	struct trap trap;
	long result = f(x);

	printf("%-16s x = %ld: %ld\n", source, x, result);
	if (result != want)
		errx(1, "should be %ld", want);
	if (!trap_write(code, &trap))
		errx(1, "code could be overwritten");
}

/* Memory that was not made executable is not run. */
static void run_data(void *data)
{
	void (*f)(void) = data;

	f();
}

static void try_data(struct altvm *vm)
{
	struct trap trap;
	char *p = altvm_mmap(vm, NULL, CODE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "altvm_mmap");
	*p = '\xc3'; /* ret */
	if (!trap_run(run_data, p, &trap))
		errx(1, "data was executed");
	printf("data is not run: %s at %p\n", trap_name(&trap), trap.addr);
	if (trap.addr != p)
		errx(1, "not at %p", (void *)p);
}

/* In a window without PROT_EXEC nothing can be made executable. */
static void try_noexec(void)
{
	struct altvm *vm = altvm_open(1 << 20, ALTVM_OPEN_NOEXEC);
	void *p;

	if (!vm)
		err(1, "altvm_open");
	p = altvm_mmap(vm, NULL, CODE_SIZE, PROT_READ,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		err(1, "altvm_mmap");
	if (altvm_mprotect(vm, p, CODE_SIZE, PROT_READ | PROT_EXEC) == 0)
		errx(1, "a window without PROT_EXEC gave it away");
	printf("in a window without PROT_EXEC: %s\n", strerror(errno));
	if (errno != EACCES || altvm_close(vm) < 0)
		err(1, "in a window without PROT_EXEC");
}

int main(void)
{
	struct altvm *vm = altvm_open(0, 0);

	if (!vm)
		err(1, "altvm_open");
	run(vm, "x x * 3 +", 5, 28);
	run(vm, "x 1 - x 1 + *", 100, 9999);
	try_data(vm);
	try_noexec();
	return altvm_close(vm) < 0;
}
