// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own mmap family says what is right: the same random calls and
 * accesses are made in a native zone and in a window, and everything that a
 * program can see of the two must stay the same.
 *
 * ALTVM_SEED runs that seed only; ALTVM_STEPS sets the number of steps.
 */
#include "fixture.h"
#include "moves.h"

/* Newer than some C libraries. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

#define PAGES 64
#define STEPS 1500
#define HISTORY 12

enum op {
	OP_MMAP,
	OP_MUNMAP,
	OP_MPROTECT,
	OP_MREMAP,
	OP_MINCORE,
	OP_MADVISE,
	OP_READ,
	OP_WRITE,
	OP_CALL,
	NR_OPS
};

static const char *const op_names[NR_OPS] = {
	"mmap",	   "munmap", "mprotect", "mremap", "mincore",
	"madvise", "read",   "write",	 "call",
};

/**
 * struct step - one call or access
 * @op: which
 * @absolute: @addr is an address, not an offset in the zone
 * @addr: where
 * @len: of the call in bytes
 * @prot: of the call
 * @flags: of the call
 * @fd: of the call
 * @off: of the call
 * @new_len: of mremap, in bytes
 * @new_addr: of mremap, an offset in the zone
 * @advice: of the call
 * @value: to write
 */
struct step {
	enum op op;
	bool absolute;
	unsigned long addr;
	unsigned long len;
	int prot;
	int flags;
	int fd;
	long off;
	unsigned long new_len;
	unsigned long new_addr;
	int advice;
	uint64_t value;
};

/**
 * struct outcome - all that can be seen of a step
 * @ret: -1, or 0, or the offset of the new area
 * @err: errno
 * @sig: of the access
 * @code: si_code
 * @fault: si_addr's offset in the zone
 * @cr2: the signal frame's, likewise
 * @error: the signal frame's page-fault error code
 * @trapno: the signal frame's
 * @value: that was read
 * @vec: mincore's
 */
struct outcome {
	long ret;
	int err;
	int sig;
	int code;
	long fault;
	long cr2;
	unsigned long error;
	unsigned long trapno;
	uint64_t value;
	unsigned char vec[PAGES];
};

static void run_access(struct vm *vm, const struct step *s, char *addr,
		       struct outcome *o)
{
	struct fault f;
	uint64_t value;

	switch (s->op) {
	case OP_READ:
		if (!probe_read(addr, &value, &f))
			o->value = value;
		break;
	case OP_WRITE:
		probe_write(addr, s->value, &f);
		break;
	default:
		if (!probe_call_return(addr, &f))
			return;
	}
	o->sig = f.sig;
	o->code = f.code;
	o->error = f.err;
	o->trapno = f.trapno;
	if (f.sig) {
		o->fault = f.addr - (uintptr_t)vm->base;
		o->cr2 = f.cr2 - (uintptr_t)vm->base;
	}
}

static void run_step(struct vm *vm, const struct step *s, struct outcome *o)
{
	char *addr = s->absolute ? (char *)s->addr : vm->base + s->addr;
	void *p;

	memset(o, 0, sizeof(*o));
	memset(o->vec, 0xee, sizeof(o->vec));
	errno = 0;
	switch (s->op) {
	case OP_MMAP:
		p = vm->ops->mmap(vm, addr, s->len, s->prot, s->flags, s->fd,
				  s->off);
		o->ret = p == MAP_FAILED ? -1 : (char *)p - vm->base;
		break;
	case OP_MUNMAP:
		o->ret = vm_munmap(vm, addr, s->len);
		break;
	case OP_MPROTECT:
		o->ret = vm_mprotect(vm, addr, s->len, s->prot);
		break;
	case OP_MREMAP:
		p = vm_mremap(vm, addr, s->len, s->new_len, s->flags,
			      vm->base + s->new_addr);
		o->ret = p == MAP_FAILED ? -1 : (char *)p - vm->base;
		break;
	case OP_MINCORE:
		o->ret = vm_mincore(vm, addr, s->len, o->vec);
		break;
	case OP_MADVISE:
		o->ret = vm_madvise(vm, addr, s->len, s->advice);
		break;
	default:
		run_access(vm, s, addr, o);
		return;
	}
	o->err = o->ret == -1 ? errno : 0;
	/* What is written before an error is not specified. */
	if (s->op == OP_MINCORE && o->ret)
		memset(o->vec, 0xee, sizeof(o->vec));
}

static void print_step(const char *what, const struct step *s)
{
	fprintf(stderr, "# %s %s(%s%#lx, %#lx", what, op_names[s->op],
		s->absolute ? "" : "base + ", s->addr, s->len);
	if (s->op == OP_MMAP || s->op == OP_MPROTECT)
		fprintf(stderr, ", prot %#x", s->prot);
	if (s->op == OP_MMAP)
		fprintf(stderr, ", flags %#x, fd %d, off %#lx", s->flags, s->fd,
			s->off);
	if (s->op == OP_MREMAP)
		fprintf(stderr, ", %#lx, flags %#x, base + %#lx", s->new_len,
			s->flags, s->new_addr);
	if (s->op == OP_MADVISE)
		fprintf(stderr, ", advice %d", s->advice);
	fprintf(stderr, ")\n");
}

static void print_outcome(const char *name, const struct outcome *o)
{
	size_t i;

	fprintf(stderr, "# %8s: ret %#lx %s", name, o->ret, strerror(o->err));
	fprintf(stderr, ", signal %d code %d", o->sig, o->code);
	fprintf(stderr, " si_addr %#lx cr2 %#lx err %#lx trap %ld", o->fault,
		o->cr2, o->error, o->trapno);
	fprintf(stderr, ", value %#lx, vec ", o->value);
	for (i = 0; i < PAGES; i++)
		fprintf(stderr, "%x", o->vec[i] & 0xf);
	fprintf(stderr, "\n");
}

static unsigned long pick(struct rng *rng, const unsigned long *from, size_t nr)
{
	return from[rng_below(rng, nr)];
}

#define PICK(rng, ...)                                          \
	({                                                      \
		const unsigned long __from[] = { __VA_ARGS__ }; \
		pick(rng, __from, ARRAY_SIZE(__from));          \
	})

static int random_prot(struct rng *rng)
{
	static bool known, execute_only;
	int prot = rng_below(rng, 8);

	if (!known) {
		execute_only = has_execute_only();
		known = true;
	}
	return prot == PROT_EXEC && execute_only ? RX : prot;
}

/* Mostly a few pages inside the zone. */
static void random_range(struct rng *rng, struct step *s)
{
	unsigned long page = rng_below(rng, PAGES);
	unsigned long max = PAGES - page;

	s->addr = page * PAGE;
	s->len = 1 + rng_below(rng, (max < 12 ? max : 12) * PAGE);
	if (!rng_below(rng, 20)) {
		s->addr = 0;
		s->len = PAGES * PAGE;
	}
}

static void random_mmap_flags(struct rng *rng, struct step *s)
{
	s->flags = ANON | PICK(rng, 0, 0, MAP_FIXED, MAP_FIXED, MAP_FIXED,
			       MAP_FIXED_NOREPLACE);
	s->flags |= PICK(rng, 0, 0, 0, MAP_POPULATE, MAP_NORESERVE, MAP_STACK,
			 MAP_POPULATE | MAP_NONBLOCK, MAP_DENYWRITE);
	s->fd = PICK(rng, -1, -1, 99999);
	if (!(s->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) &&
	    rng_below(rng, 2)) {
		s->absolute = true;
		s->addr = 0;
	}
}

static void random_remap(struct rng *rng, struct step *s)
{
	unsigned long room;

	s->flags = PICK(rng, 0, 0, MREMAP_MAYMOVE, MREMAP_MAYMOVE,
			MREMAP_MAYMOVE | MREMAP_FIXED,
			MREMAP_MAYMOVE | MREMAP_FIXED,
			MREMAP_MAYMOVE | MREMAP_FIXED,
			MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
			MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP);
	s->new_addr = rng_below(rng, PAGES) * PAGE;
	room = PAGES * PAGE - s->new_addr;
	s->new_len = s->len;
	if (!(s->flags & MREMAP_DONTUNMAP) && rng_below(rng, 2))
		s->new_len = 1 + rng_below(rng, s->len + 8 * PAGE);
	/* Natively there is something behind the zone. */
	if (s->flags & MREMAP_FIXED && s->new_len > room) {
		s->new_len = room;
		if (s->flags & MREMAP_DONTUNMAP)
			s->len = room;
	}
}

static int random_advice(struct rng *rng)
{
	return PICK(rng, MADV_DONTNEED, MADV_DONTNEED, MADV_DONTNEED,
		    MADV_POPULATE_READ, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
		    MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED, MADV_WILLNEED,
		    MADV_REMOVE, MADV_RANDOM, MADV_NORMAL);
}

static void random_step(struct rng *rng, struct step *s)
{
	memset(s, 0, sizeof(*s));
	s->op = PICK(rng, OP_MMAP, OP_MMAP, OP_MMAP, OP_MUNMAP, OP_MUNMAP,
		     OP_MPROTECT, OP_MPROTECT, OP_MPROTECT, OP_MREMAP,
		     OP_MREMAP, OP_MREMAP, OP_MINCORE, OP_MADVISE, OP_MADVISE,
		     OP_MADVISE, OP_READ, OP_WRITE, OP_WRITE, OP_WRITE,
		     OP_CALL);
	s->prot = random_prot(rng);
	s->value = (rng_next(rng) & ~0xffUL) | RET_INSN;
	random_range(rng, s);
	if (s->op == OP_MADVISE)
		s->advice = random_advice(rng);
	/* Many pages are not moved as a few are. */
	if (s->op == OP_MREMAP && rng_below(rng, 2))
		s->len += rng_below(rng, PAGES * PAGE - s->addr - s->len + 1);
	if (s->op >= OP_READ)
		s->len = 8;
	if (s->op == OP_MMAP)
		random_mmap_flags(rng, s);
	if (s->op == OP_MREMAP)
		random_remap(rng, s);
}

static bool is_fixed(const struct step *s)
{
	return s->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
}

/*
 * Beyond the zone the native system has other mappings and altvm has nothing,
 * so there they differ by design; and a native call would do damage.
 */
static bool stays_inside(const struct step *s)
{
	const unsigned long end = s->addr + s->len;

	if (s->op == OP_MMAP && !is_fixed(s))
		return true;
	if (s->absolute)
		return false;
	if (s->op == OP_MREMAP && s->flags & MREMAP_FIXED &&
	    (s->new_addr >= PAGES * PAGE ||
	     s->new_len > PAGES * PAGE - s->new_addr))
		return false;
	return s->addr < PAGES * PAGE && (end <= PAGES * PAGE || end < s->len);
}

/* One thing is wrong with it, or two. */
static void make_odd(struct rng *rng, struct step *s)
{
	struct step odd = *s;

	if (s->op >= OP_READ)
		return;
	do {
		if (!stays_inside(&odd))
			odd = *s;
		switch (rng_below(rng, 6)) {
		case 0:
			odd.len = PICK(rng, 0, -1UL, -PAGE, -PAGE + 1,
				       -PAGE - 1, PAGES * PAGE,
				       PAGES * PAGE + 1);
			if (rng_below(rng, 2))
				odd.new_len = odd.len;
			break;
		case 1:
			odd.addr += PICK(rng, 1, 8, 2048, 4095);
			break;
		case 2:
			odd.absolute = true;
			odd.addr = PICK(rng, 0, 1, PAGE, 65536, 1UL << 46,
					1UL << 47, 1UL << 63, -PAGE, -1UL,
					0x7fffffffe000);
			break;
		case 3:
			odd.prot |= PICK(rng, 8, 0x10, 0x20, PROT_GROWSDOWN,
					 PROT_GROWSUP, 0x40000000,
					 PROT_GROWSDOWN | PROT_GROWSUP);
			break;
		case 4:
			odd.flags ^= PICK(rng, MAP_FIXED, MAP_FIXED_NOREPLACE,
					  MAP_32BIT, 0x80, 0x200000, 0x80000,
					  0x10000000, MAP_PRIVATE, MAP_SHARED,
					  4, 8);
			odd.new_addr += PICK(rng, 0, 0, 1, 2048);
			break;
		default:
			odd.advice = PICK(rng, -1, 5, 6, 7, 26, 99, 1 << 20);
			odd.off = PICK(rng, 1, 2048, PAGE, 1L << 40, -PAGE);
			if (!rng_below(rng, 4))
				odd.flags &= ~MAP_ANONYMOUS;
		}
	} while (!stays_inside(&odd) || rng_below(rng, 2));

	/* A later version's; 8 is MAP_DROPPABLE, which not all kernels know. */
	if (odd.op == OP_MMAP && ((odd.flags & MAP_TYPE) == MAP_SHARED ||
				  (odd.flags & MAP_TYPE) == 8))
		odd.flags = (odd.flags & ~MAP_TYPE) | MAP_PRIVATE;
	if (odd.op == OP_MMAP && !(odd.flags & MAP_ANONYMOUS))
		odd.fd = -1;
	*s = odd;
}

FIXTURE(oracle)
{
	struct vm native;
	struct vm vm;
	struct vm window;
	struct step history[HISTORY];
	bool diverged;
	bool forked;
};

FIXTURE_VARIANT(oracle)
{
	const struct vm_ops *ops;
	int seeds;
	size_t before;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(oracle, altvm) {
	.ops = &vm_ioctl,
	.seeds = 3,
};

FIXTURE_VARIANT_ADD(oracle, libaltvm) {
	.ops = &vm_lib,
	.seeds = 1,
};

/* The zone lies on a border of 2 MiB. */
FIXTURE_VARIANT_ADD(oracle, altvm_two_tables) {
	.ops = &vm_ioctl,
	.seeds = 1,
	.before = 480,
};

/* clang-format on */

/* A zone at a window's end, whose start is taken. */
static int open_behind(struct vm *vm, const struct vm_ops *ops, size_t before)
{
	if (vm_open(vm, ops, (before + PAGES) * PAGE))
		return -1;
	if (!before)
		return 0;
	return ERRNO_OF(vm_map_at(vm, 0, before, PROT_NONE));
}

FIXTURE_SETUP(oracle)
{
	void *at = NULL;

	if (!vm_available(variant->ops))
		SKIP(return, "no " DEVICE);
	ASSERT_EQ(0, open_behind(&self->window, variant->ops, variant->before));
	self->vm = self->window;
	self->vm.base = vm_page(&self->window, variant->before);
	/* Equally far from a border. */
	if (variant->before)
		at = (char *)(18 * TiB) + variant->before * PAGE;
	memset(&self->native, 0, sizeof(self->native));
	self->native.ops = &vm_native;
	ASSERT_EQ(0, vm_native.open(&self->native, at, PAGES * PAGE, RWX));
	vm_enclose(&self->native);
}

FIXTURE_TEARDOWN(oracle)
{
	vm_close(&self->window);
}

/* Only within what both systems take for one mapping. */
static void avoid_seam(struct vm *native, struct step *s)
{
	const bool place = s->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	const char *addr = native->base + s->addr;
	unsigned long seam, len;

	if (s->absolute || (!place && s->len >= s->new_len))
		return;
	seam = native_seam(addr);
	len = seam - (uintptr_t)addr;
	if (!seam || s->len <= len)
		return;
	if (s->flags & MREMAP_DONTUNMAP && s->len == s->new_len)
		s->new_len = len;
	s->len = len;
}

static void unmap_in_both(struct _test_data_oracle *self, unsigned long addr,
			  unsigned long len)
{
	if (addr >= PAGES * PAGE || len > PAGES * PAGE - addr)
		return;
	vm_munmap(&self->native, self->native.base + addr, len);
	vm_munmap(&self->vm, self->vm.base + addr, len);
}

/*
 * Natively an mremap that fails may have unmapped already, at the new place and
 * the old; with altvm, what was at the new one is still there.
 */
static void forget_failed(struct _test_data_oracle *self, const struct step *s)
{
	if (!(s->flags & MREMAP_FIXED))
		return;
	unmap_in_both(self, s->new_addr, s->new_len);
	if (!s->absolute)
		unmap_in_both(self, s->addr, s->len);
}

/*
 * Makes the step in both; false, and says so, if they differ.  After two errors
 * that differ the two are in the same state still.
 */
static bool same(struct _test_data_oracle *self, struct step *s)
{
	struct outcome want, got;

	self->diverged = false;

	if (s->op == OP_MREMAP)
		avoid_seam(&self->native, s);
	run_step(&self->native, s, &want);
	run_step(&self->vm, s, &got);
	if (self->forked) {
		/*
		 * Which pages of zeroes fork takes along, and whether a page
		 * must be faulted in again, is no promise.
		 */
		memcpy(got.vec, want.vec, sizeof(got.vec));
		got.error |= want.error & 1;
		want.error |= got.error & 1;
	}
	if (s->op == OP_MREMAP && want.ret == -1 && got.ret == -1)
		forget_failed(self, s);
	if (!memcmp(&want, &got, sizeof(want)))
		return true;
	self->diverged = want.ret != -1 || got.ret != -1;
	print_step("differs:", s);
	print_outcome("native", &want);
	print_outcome(self->vm.ops->name, &got);
	return false;
}

static bool same_pages(struct _test_data_oracle *self, enum op op)
{
	struct step s = { .op = op, .len = PAGE };

	for (s.addr = 0; s.addr < PAGES * PAGE; s.addr += PAGE) {
		struct step read = { .op = OP_READ, .addr = s.addr };
		struct outcome o;

		if (op == OP_WRITE) {
			/* What was there, so that nothing is changed. */
			run_step(&self->native, &read, &o);
			if (o.sig)
				continue;
			s.value = o.value;
		}
		if (!same(self, &s))
			return false;
	}
	return true;
}

static void run_script(struct __test_metadata *_metadata,
		       struct _test_data_oracle *self, uint64_t seed, int odd)
{
	struct rng rng = { .state = seed };
	long steps = env_number("ALTVM_STEPS", scaled(STEPS));
	int wrong = 0;
	long i, k;

	ASSERT_EQ(0, vm_munmap(&self->native, self->native.base, PAGES * PAGE));
	ASSERT_EQ(0, vm_munmap(&self->vm, self->vm.base, PAGES * PAGE));
	for (i = 0; i < steps; i++) {
		struct step *s = &self->history[i % HISTORY];
		bool ok;

		random_step(&rng, s);
		if ((int)rng_below(&rng, 100) < odd)
			make_odd(&rng, s);
		ok = same(self, s);
		if (ok && i % 4 == 3)
			ok = same_pages(self, OP_MINCORE);
		/* These make pages resident: not so often. */
		if (ok && (i % 100 == 99 || i == steps - 1))
			ok = same_pages(self, OP_READ) &&
			     same_pages(self, OP_WRITE) &&
			     same_pages(self, OP_CALL);
		if (ok)
			continue;
		EXPECT_TRUE(ok);
		if (!self->diverged && ++wrong < 10)
			continue;
		for (k = i < HISTORY ? 0 : i - HISTORY + 1; k <= i; k++)
			print_step("", &self->history[k % HISTORY]);
		ASSERT_TRUE(ok)
		{
			TH_LOG("ALTVM_SEED=%lu, step %ld", seed, i);
		}
	}
}

static void run_seeds(struct __test_metadata *_metadata,
		      struct _test_data_oracle *self, uint64_t seed, int seeds,
		      int odd)
{
	uint64_t last = seed + seeds;

	if (getenv("ALTVM_SEED")) {
		seed = env_number("ALTVM_SEED", 0);
		last = seed + 1;
	}
	for (; seed < last; seed++)
		run_script(_metadata, self, seed, odd);
}

TEST_F_TIMEOUT(oracle, calls_and_accesses, SLOW)
{
	run_seeds(_metadata, self, 1, variant->seeds, 0);
}

TEST_F_TIMEOUT(oracle, odd_arguments, SLOW)
{
	run_seeds(_metadata, self, 100, variant->seeds, 50);
}

/*
 * A tree of processes: each goes on with a script of its own, in both systems,
 * on what it has inherited.
 */
static bool run_family(struct _test_data_oracle *self, struct rng *rng,
		       int depth, long steps)
{
	pid_t child[4];
	int nr = 0, status;
	bool ok = true;
	long i, k;

	for (i = 0; ok && i < steps; i++) {
		struct step *s = &self->history[i % HISTORY];

		if (depth && nr < 4 && !rng_below(rng, steps / 6)) {
			struct rng own = { .state = rng_next(rng) };

			child[nr] = fork();
			if (!child[nr])
				_exit(!run_family(self, &own, depth - 1,
						  steps / 2));
			nr++;
		}
		random_step(rng, s);
		ok = same(self, s);
		if (ok && (i % 100 == 99 || i == steps - 1))
			ok = same_pages(self, OP_READ) &&
			     same_pages(self, OP_WRITE);
	}
	if (!ok) {
		fprintf(stderr, "# generation %d, step %ld\n", 3 - depth, i);
		for (k = i < HISTORY ? 0 : i - HISTORY; k < i; k++)
			print_step("", &self->history[k % HISTORY]);
	}
	while (nr--)
		if (waitpid(child[nr], &status, 0) != child[nr] || status)
			ok = false;
	return ok;
}

TEST_F_TIMEOUT(oracle, across_forks, SLOW)
{
	uint64_t seed = env_number("ALTVM_SEED", 200);
	uint64_t last = getenv("ALTVM_SEED") ? seed + 1 : seed + variant->seeds;

	self->forked = true;
	for (; seed < last; seed++) {
		struct rng rng = { .state = seed };

		ASSERT_EQ(0, vm_munmap(&self->native, self->native.base,
				       PAGES * PAGE));
		ASSERT_EQ(0, vm_munmap(&self->vm, self->vm.base, PAGES * PAGE));
		ASSERT_TRUE(run_family(self, &rng, 3, scaled(600)))
		{
			TH_LOG("ALTVM_SEED=%lu", seed);
		}
	}
}

/*
 * The fault frame of an access to a page that was mapped with @before, perhaps
 * written, and then protected with @after.
 */
static bool same_fault(struct _test_data_oracle *self, int before, bool touch,
		       int after, enum op access)
{
	struct step map = {
		.op = OP_MMAP,
		.addr = 8 * PAGE,
		.len = PAGE,
		.prot = before,
		.flags = ANON | MAP_FIXED,
	};
	struct step write = {
		.op = OP_WRITE,
		.addr = 8 * PAGE,
		.value = RET_INSN,
	};
	struct step protect = {
		.op = OP_MPROTECT,
		.addr = 8 * PAGE,
		.len = PAGE,
		.prot = after,
	};
	struct step last = {
		.op = access,
		.value = 1,
		.addr = 8 * PAGE + (access == OP_CALL ? 0 : 8),
	};

	return same(self, &map) && (!touch || same(self, &write)) &&
	       same(self, &protect) && same(self, &last);
}

TEST_F_TIMEOUT(oracle, every_fault, SLOW)
{
	int before, after, kind;

	for (kind = 0; kind < 8 * 8 * 6; kind++) {
		before = kind & 7;
		after = kind >> 3 & 7;
		/* The kernel's is other than altvm's, for a reason. */
		if ((before == PROT_EXEC || after == PROT_EXEC) &&
		    has_execute_only())
			continue;
		EXPECT_TRUE(same_fault(self, before, kind >> 6 & 1, after,
				       OP_READ + (kind >> 7)))
		{
			TH_LOG("prot %d, then %d, touched %d, access %d",
			       before, after, kind >> 6 & 1, kind >> 7);
		}
	}
}

TEST_HARNESS_MAIN
