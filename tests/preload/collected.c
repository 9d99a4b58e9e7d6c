// SPDX-License-Identifier: GPL-2.0
/* Lists that are built, changed and dropped, in memory of an incremental collector. */
#include <gc/gc.h>
#include <stdio.h>

#define LISTS 64
#define LENGTH 2000
#define ROUNDS 60

/**
 * struct node - of a list
 * @next: the next one
 * @value: the list's number and the place in it
 * @ballast: so that they are many pages
 */
struct node {
	struct node *next;
	unsigned long value;
	char ballast[100];
};

static struct node *make_list(unsigned long number)
{
	struct node *list = NULL, *node;
	unsigned long i;

	for (i = 0; i < LENGTH; i++) {
		node = GC_MALLOC(sizeof(*node));
		node->next = list;
		node->value = number + i;
		list = node;
	}
	return list;
}

/* Turned round, so that old memory is written to. */
static struct node *reverse(struct node *list)
{
	struct node *done = NULL, *next;

	for (; list; list = next) {
		next = list->next;
		list->next = done;
		done = list;
	}
	return done;
}

static unsigned long sum(const struct node *list)
{
	unsigned long total = 0;

	for (; list; list = list->next)
		total += list->value;
	return total;
}

int main(void)
{
	struct node *lists[LISTS];
	unsigned long total = 0;
	int round, i;

	GC_INIT();
	GC_enable_incremental();
	for (i = 0; i < LISTS; i++)
		lists[i] = make_list((unsigned long)i);
	for (round = 0; round < ROUNDS; round++) {
		lists[round % LISTS] = make_list((unsigned long)round);
		for (i = 0; i < LISTS; i++)
			lists[i] = reverse(lists[i]);
	}
	for (i = 0; i < LISTS; i++)
		total += sum(lists[i]);
	printf("%lu, collected: %s\n", total, GC_get_gc_no() ? "yes" : "no");
	return 0;
}
