// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own mmap family says what is right: every access after every change
 * of protection is made in a native zone and in a window, and all that a signal
 * handler can see of it must be the same.  tests/fuzz does that with random calls,
 * but overlooks one bit of the fault's error code.
 */
#include "fixture.h"

/* Where in the zone. */
#define TARGET 8
#define PAGES 64

/**
 * struct accessed - all that can be seen of an access
 * @sig: the signal
 * @code: si_code
 * @fault: si_addr's offset in the zone
 * @cr2: the signal frame's, likewise
 * @error: the signal frame's page-fault error code
 * @trapno: the signal frame's
 * @value: that was read
 */
struct accessed {
	int sig;
	int code;
	long fault;
	long cr2;
	unsigned long error;
	unsigned long trapno;
	uint64_t value;
};

FIXTURE(oracle)
{
	struct vm native;
	struct vm vm;
};

FIXTURE_VARIANT(oracle)
{
	const struct vm_ops *ops;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(oracle, altvm) {
	.ops = &vm_ioctl,
};

FIXTURE_VARIANT_ADD(oracle, libaltvm) {
	.ops = &vm_lib,
};

/* clang-format on */

FIXTURE_SETUP(oracle)
{
	if (!vm_available(variant->ops))
		SKIP(return, "no " DEVICE);
	ASSERT_EQ(0, vm_open(&self->vm, variant->ops, PAGES * PAGE));
	ASSERT_EQ(0, vm_open(&self->native, &vm_native, PAGES * PAGE));
}

FIXTURE_TEARDOWN(oracle)
{
	vm_close(&self->native);
	vm_close(&self->vm);
}

static void access_once(struct vm *vm, enum access kind, struct accessed *a)
{
	char *addr = vm_page(vm, TARGET) + (kind == ACCESS_EXEC ? 0 : 8);
	struct fault f = {};

	memset(a, 0, sizeof(*a));
	if (kind == ACCESS_READ)
		probe_read(addr, &a->value, &f);
	else if (kind == ACCESS_WRITE)
		probe_write(addr, 1, &f);
	else if (!probe_call_return(addr, &f))
		return;
	a->sig = f.sig;
	a->code = f.code;
	a->error = f.err;
	a->trapno = f.trapno;
	if (f.sig) {
		a->fault = f.addr - (uintptr_t)vm->base;
		a->cr2 = f.cr2 - (uintptr_t)vm->base;
		a->value = 0;
	}
}

/* How an access goes to a page with @before, perhaps written, and then @after. */
static bool try_access(struct vm *vm, int before, bool touch, int after,
		       enum access kind, struct accessed *a)
{
	char *page = vm_map_at(vm, TARGET, 1, before);

	if (page == MAP_FAILED)
		return false;
	if (touch)
		probe_write(page, RET_INSN, NULL);
	if (vm_mprotect(vm, page, PAGE, after))
		return false;
	access_once(vm, kind, a);
	return true;
}

static void print_accessed(const char *name, const struct accessed *a)
{
	fprintf(stderr, "# %8s: signal %d code %d", name, a->sig, a->code);
	fprintf(stderr, " si_addr %#lx cr2 %#lx err %#lx trap %ld", a->fault,
		a->cr2, a->error, a->trapno);
	fprintf(stderr, ", value %#lx\n", a->value);
}

static bool same_access(struct _test_data_oracle *self, int before, bool touch,
			int after, enum access kind)
{
	struct accessed want, got;

	if (!try_access(&self->native, before, touch, after, kind, &want) ||
	    !try_access(&self->vm, before, touch, after, kind, &got))
		return false;
	if (!memcmp(&want, &got, sizeof(want)))
		return true;
	print_accessed("native", &want);
	print_accessed(self->vm.ops->name, &got);
	return false;
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
		EXPECT_TRUE(same_access(self, before, kind >> 6 & 1, after,
					ACCESS_READ + (kind >> 7)))
		{
			TH_LOG("prot %d, then %d, touched %d, access %d",
			       before, after, kind >> 6 & 1, kind >> 7);
		}
	}
}

TEST_HARNESS_MAIN
