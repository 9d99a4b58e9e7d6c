// SPDX-License-Identifier: GPL-2.0
/* Allocations of all sizes, by threads that free each other's, and by a child. */
#include <pthread.h>
#include <stdatomic.h>

#include "common.h"

#define THREADS 4
#define SLOTS 512
#define ROUNDS 20000

/**
 * struct block - an allocation
 * @size: of the whole
 * @tag: what it is full of
 */
struct block {
	size_t size;
	unsigned char tag;
	unsigned char bytes[];
};

static struct block *slots[SLOTS];
static atomic_int wrong;

static unsigned int next_random(unsigned int *seed)
{
	return *seed = *seed * 1103515245 + 12345;
}

static size_t pick_size(unsigned int *seed)
{
	unsigned int kind = next_random(seed) >> 16 & 63;
	size_t limit = kind < 40 ? 200 : kind < 60 ? 8000 : 300000;

	return sizeof(struct block) + (next_random(seed) >> 8) % limit;
}

static struct block *take(struct block **slot, struct block *new)
{
	return __atomic_exchange_n(slot, new, __ATOMIC_ACQ_REL);
}

static void check_and_free(struct block *block)
{
	size_t i, length;

	if (!block)
		return;
	length = block->size - sizeof(*block);
	for (i = 0; i < length; i += 61) {
		if (block->bytes[i] != block->tag)
			wrong++;
	}
	free(block);
}

static void *churn(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	struct block *block;
	size_t size, slot;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		size = pick_size(&seed);
		block = malloc(size);
		if (!block) {
			wrong++;
			continue;
		}
		block->size = size;
		block->tag = (unsigned char)seed;
		memset(block->bytes, block->tag, size - sizeof(*block));
		slot = (next_random(&seed) >> 16) % SLOTS;
		check_and_free(take(&slots[slot], block));
	}
	return NULL;
}

static void churn_in_threads(void)
{
	pthread_t threads[THREADS];
	long i;

	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, churn, (void *)(i + 1));
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void free_all(void)
{
	int i;

	for (i = 0; i < SLOTS; i++)
		check_and_free(take(&slots[i], NULL));
}

int main(void)
{
	bool child_ok;
	pid_t child;

	churn_in_threads();
	child = fork();
	if (!child) {
		churn_in_threads();
		free_all();
		_exit(wrong != 0);
	}
	churn_in_threads();
	free_all();
	child_ok = child_ended_well(child);
	printf("wrong: %d, child: %s\n", wrong, child_ok ? "ok" : "failed");
	return wrong || !child_ok;
}
