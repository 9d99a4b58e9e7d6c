// SPDX-License-Identifier: GPL-2.0
/*
 * Shrinking: leave out operations, then make numbers smaller, as long as there is
 * a difference; whichever it is.
 */
#include <string.h>
#include <time.h>

#include "shrink.h"
#include "twins.h"

/**
 * struct wanted - which difference it is
 * @kind: of the operation
 * @end: when to stop
 */
struct wanted {
	enum kind kind;
	time_t end;
};

static struct wanted wanted;

/* For so many seconds at most. */
#define TIME 200

/* Another difference could be one that the generator avoids. */
static bool differs(struct twins *t)
{
	return !twins_same(t) &&
	       t->run->script.ops[twins_difference(t)].kind == wanted.kind;
}

/* Does it still differ without [@from, @from + @nr)?  If not, it is as before. */
static bool without(struct twins *t, size_t from, size_t nr)
{
	static struct script saved;
	struct script *s = &t->run->script;

	if (time(NULL) > wanted.end)
		return false;
	saved = *s;
	memmove(&s->ops[from], &s->ops[from + nr],
		(s->nr - from - nr) * sizeof(s->ops[0]));
	s->nr -= nr;
	if (s->nr && differs(t))
		return true;
	*s = saved;
	return false;
}

static void leave_out(struct twins *t)
{
	struct script *s = &t->run->script;
	size_t nr, i;

	/* What comes after the difference. */
	i = twins_difference(t) + 1;
	if (i < s->nr)
		without(t, i, s->nr - i);
	for (nr = s->nr / 2; nr; nr /= 2)
		for (i = s->nr; i >= nr; i -= nr > i ? i : nr)
			without(t, i - nr, nr);
}

static bool with(struct twins *t, struct op *op, const struct op *changed)
{
	const struct op saved = *op;

	if (!memcmp(op, changed, sizeof(*op)) || time(NULL) > wanted.end)
		return false;
	*op = *changed;
	if (differs(t))
		return true;
	*op = saved;
	return false;
}

/* Tries @new in the 64-bit member @m of @op. */
#define TRY(t, op, m, new)                   \
	({                                   \
		struct op __changed = *(op); \
		__changed.m = (new);         \
		with(t, op, &__changed);     \
	})

static void smaller(struct twins *t, struct op *op)
{
	int bit;

	TRY(t, op, thread, false);
	TRY(t, op, how, 0);
	TRY(t, op, value, 0);
	TRY(t, op, off, 0);
	for (bit = 0; bit < 31; bit++)
		if (op->flags & 1 << bit)
			TRY(t, op, flags, op->flags & ~(1 << bit));
	for (bit = 0; bit < 31; bit++)
		if (op->prot & 1 << bit &&
		    (op->prot & ~(1 << bit)) != PROT_EXEC)
			TRY(t, op, prot, op->prot & ~(1 << bit));
	TRY(t, op, len, (op->len + PAGE - 1) & -PAGE);
	TRY(t, op, new_len, (op->new_len + PAGE - 1) & -PAGE);
	while (op->len > PAGE && TRY(t, op, len, op->len / 2 & -PAGE))
		;
	while (op->len > PAGE && TRY(t, op, len, op->len - PAGE))
		;
	while (op->new_len > PAGE && TRY(t, op, new_len, op->new_len - PAGE))
		;
	TRY(t, op, addr, op->addr & -PAGE);
}

/* What makes a scene special. */
static void plainer(struct twins *t)
{
	struct scene *scene = &t->run->script.scene;
	const struct scene saved = *scene;
	struct scene plain = saved;
	int *members[] = { &plain.alarms, &plain.disk, &plain.huge,
			   &plain.lockable };
	int old;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(members); i++) {
		old = *members[i];
		*members[i] = 0;
		*scene = plain;
		if (!differs(t))
			*members[i] = old;
	}
	*scene = plain;
}

void shrink(struct twins *t)
{
	struct script *s = &t->run->script;
	const bool verbose = t->verbose;
	size_t before, i;

	t->verbose = false;
	wanted.end = time(NULL) + TIME;
	wanted.kind = s->ops[twins_difference(t)].kind;
	plainer(t);
	if (differs(t)) {
		do {
			before = s->nr;
			leave_out(t);
		} while (s->nr < before);
		for (i = 0; i < s->nr; i++)
			smaller(t, &s->ops[i]);
		leave_out(t);
	}
	t->verbose = verbose;
	twins_same(t);
}
