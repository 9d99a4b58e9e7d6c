// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * An arena for each thread: memory is handed out by moving a pointer, and given
 * back all at once.  Arenas grow and are reset all the time, which with mmap
 * means that all threads queue for the one lock of their address space.
 */
#include <altvm.h>
#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define THREADS 4
#define ROUNDS 50
#define OBJECTS 2000
#define CHUNK ((size_t)64 << 10)

/* A chunk of an arena; its memory follows. */
struct chunk {
	struct chunk *next;
	size_t used; /* bytes, this header among them */
};

struct arena {
	struct altvm *vm;
	struct chunk *chunks; /* the one that is being filled comes first */
};

static struct chunk *arena_grow(struct arena *arena)
{
	struct chunk *chunk = altvm_mmap(arena->vm, NULL, CHUNK,
					 PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (chunk == MAP_FAILED)
		return NULL;
	chunk->next = arena->chunks;
	chunk->used = sizeof(*chunk);
	arena->chunks = chunk;
	return chunk;
}

/* Zeroed memory; NULL if there is none. */
static void *arena_alloc(struct arena *arena, size_t size)
{
	struct chunk *chunk = arena->chunks;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (size > CHUNK - sizeof(*chunk))
		return NULL;
	if (!chunk || chunk->used + size > CHUNK)
		chunk = arena_grow(arena);
	if (!chunk)
		return NULL;
	p = (char *)chunk + chunk->used;
	chunk->used += size;
	return p;
}

static void arena_reset(struct arena *arena)
{
	struct chunk *chunk;

	while ((chunk = arena->chunks)) {
		arena->chunks = chunk->next;
		if (altvm_munmap(arena->vm, chunk, CHUNK) < 0)
			err(1, "altvm_munmap");
	}
}

/* What a thread makes with its arena: a list. */
struct object {
	struct object *next;
	unsigned long owner;
	char text[100];
};

static struct object *make_list(struct arena *arena, unsigned long owner)
{
	struct object *head = NULL, *object;

	for (int i = 0; i < OBJECTS; i++) {
		object = arena_alloc(arena, sizeof(*object));
		if (!object)
			err(1, "arena_alloc");
		if (object->next || object->owner || object->text[0])
			errx(1, "new memory is not zero");
		object->next = head;
		object->owner = owner;
		memset(object->text, (int)owner, sizeof(object->text));
		head = object;
	}
	return head;
}

static unsigned int check_list(const struct object *object, unsigned long owner)
{
	unsigned int good = 0;

	for (; object; object = object->next)
		good += object->owner == owner &&
			object->text[99] == (char)owner;
	return good;
}

struct worker {
	pthread_t thread;
	struct altvm *vm;
	unsigned long id;
	unsigned int good;
};

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct arena arena = { .vm = worker->vm };

	for (int round = 0; round < ROUNDS; round++) {
		struct object *list = make_list(&arena, worker->id);

		worker->good += check_list(list, worker->id);
		arena_reset(&arena);
	}
	return NULL;
}

static unsigned int run_workers(struct altvm *vm)
{
	struct worker workers[THREADS] = {};
	unsigned int good = 0;

	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i].vm = vm;
		workers[i].id = i + 1;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			errx(1, "pthread_create");
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		good += workers[i].good;
	}
	return good;
}

int main(void)
{
	struct altvm *vm = altvm_open(0, ALTVM_OPEN_NOEXEC);
	unsigned int good;

	if (!vm)
		err(1, "altvm_open");
	good = run_workers(vm);
	printf("%d threads, %d rounds: %u of %u objects as they were written\n",
	       THREADS, ROUNDS, good, THREADS * ROUNDS * OBJECTS);
	return altvm_close(vm) < 0 || good != THREADS * ROUNDS * OBJECTS;
}
