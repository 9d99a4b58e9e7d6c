// SPDX-License-Identifier: GPL-2.0
/*
 * The binary interface: sizes, reserved members, pointers and command numbers
 * of every ioctl, by the rules at the top of <linux/altvm.h>.
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "fixture.h"

#define PAGES 64

union arg {
	__u32 size;
	struct altvm_query query;
	struct altvm_mmap mmap;
	struct altvm_munmap munmap;
	struct altvm_mprotect mprotect;
	struct altvm_mincore mincore;
	struct altvm_msync msync;
	struct altvm_madvise madvise;
	struct altvm_mlock mlock;
	struct altvm_munlock munlock;
	struct altvm_mlockall mlockall;
	struct altvm_munlockall munlockall;
	struct altvm_brk brk;
	struct altvm_mremap mremap;
	struct altvm_process_vm process_vm;
	struct altvm_process_madvise process_madvise;
	struct altvm_process_mrelease process_mrelease;
	struct altvm_mbind mbind;
	struct altvm_set_mempolicy set_mempolicy;
	struct altvm_get_mempolicy get_mempolicy;
	char bytes[256];
};

/* Valid arguments, that may be given again and again; page 0 is mapped. */
static void fill_query(struct vm *vm, union arg *arg)
{
	(void)vm;
	(void)arg;
}

static void fill_mmap(struct vm *vm, union arg *arg)
{
	arg->mmap.addr = (uintptr_t)vm->base;
	arg->mmap.length = PAGE;
	arg->mmap.prot = RW;
	arg->mmap.flags = ANON | MAP_FIXED;
	arg->mmap.fd = -1;
}

static void fill_munmap(struct vm *vm, union arg *arg)
{
	arg->munmap.addr = (uintptr_t)vm->base + 8 * PAGE;
	arg->munmap.length = PAGE;
}

static void fill_mprotect(struct vm *vm, union arg *arg)
{
	arg->mprotect.addr = (uintptr_t)vm->base;
	arg->mprotect.length = PAGE;
	arg->mprotect.prot = RW;
}

static unsigned char vec[PAGES];

static void fill_mincore(struct vm *vm, union arg *arg)
{
	arg->mincore.addr = (uintptr_t)vm->base;
	arg->mincore.length = PAGE;
	arg->mincore.vec = (uintptr_t)vec;
}

static void fill_msync(struct vm *vm, union arg *arg)
{
	arg->msync.addr = (uintptr_t)vm->base;
	arg->msync.length = PAGE;
	arg->msync.flags = MS_ASYNC;
}

static void fill_madvise(struct vm *vm, union arg *arg)
{
	arg->madvise.addr = (uintptr_t)vm->base;
	arg->madvise.length = PAGE;
	arg->madvise.advice = MADV_DOFORK;
}

static void fill_mlock(struct vm *vm, union arg *arg)
{
	arg->mlock.addr = (uintptr_t)vm->base;
	arg->mlock.length = PAGE;
	arg->mlock.flags = MLOCK_ONFAULT;
}

static void fill_munlock(struct vm *vm, union arg *arg)
{
	arg->munlock.addr = (uintptr_t)vm->base;
	arg->munlock.length = PAGE;
}

static void fill_mlockall(struct vm *vm, union arg *arg)
{
	(void)vm;
	arg->mlockall.flags = MCL_CURRENT | MCL_ONFAULT;
}

static void fill_munlockall(struct vm *vm, union arg *arg)
{
	(void)vm;
	(void)arg;
}

static void fill_brk(struct vm *vm, union arg *arg)
{
	(void)vm;
	(void)arg;
}

static void fill_mremap(struct vm *vm, union arg *arg)
{
	arg->mremap.old_addr = (uintptr_t)vm->base;
	arg->mremap.old_length = PAGE;
	arg->mremap.new_length = PAGE;
}

static unsigned long nodes[1024 / 64];

static void fill_mbind(struct vm *vm, union arg *arg)
{
	arg->mbind.addr = (uintptr_t)vm->base;
	arg->mbind.length = PAGE;
	arg->mbind.nodemask = (uintptr_t)nodes;
	arg->mbind.maxnode = 1024;
}

static void fill_set_mempolicy(struct vm *vm, union arg *arg)
{
	(void)vm;
	arg->set_mempolicy.nodemask = (uintptr_t)nodes;
	arg->set_mempolicy.maxnode = 1024;
}

static void fill_get_mempolicy(struct vm *vm, union arg *arg)
{
	(void)vm;
	arg->get_mempolicy.nodemask = (uintptr_t)nodes;
	arg->get_mempolicy.maxnode = 1024;
}

static void fill_process_vm(struct vm *vm, union arg *arg)
{
	static char from[8], to[8];
	static struct iovec local, remote;

	(void)vm;
	local.iov_base = to;
	local.iov_len = sizeof(to);
	remote.iov_base = from;
	remote.iov_len = sizeof(from);
	arg->process_vm.pid = getpid();
	arg->process_vm.local = (uintptr_t)&local;
	arg->process_vm.nr_local = 1;
	arg->process_vm.remote = (uintptr_t)&remote;
	arg->process_vm.nr_remote = 1;
}

static void fill_process_madvise(struct vm *vm, union arg *arg)
{
	static int self;

	(void)vm;
	if (!self)
		self = syscall(SYS_pidfd_open, getpid(), 0);
	arg->process_madvise.pidfd = self;
	arg->process_madvise.advice = MADV_COLD;
}

/* A process that ends, and does not while it is traced; a pidfd of it. */
static int dying_process(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, NULL,
	       PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	waitpid(pid, &status, 0);
	return syscall(SYS_pidfd_open, pid, 0);
}

static void fill_process_mrelease(struct vm *vm, union arg *arg)
{
	static int pidfd;

	(void)vm;
	if (!pidfd)
		pidfd = dying_process();
	arg->process_mrelease.pidfd = pidfd;
}

#define RESERVED(type, member) offsetof(struct type, member)
#define NO_RESERVED ((size_t)-1)

/**
 * struct command - an ioctl
 * @name: for messages
 * @nr: the command
 * @size: of its structure now
 * @min: of its structure when the command first came
 * @writes: does it write the structure?
 * @windowless: does it work without a window?
 * @reserved: where the reserved words are
 * @fill: makes valid arguments
 */
static const struct command {
	const char *name;
	unsigned int nr;
	size_t size;
	size_t min;
	bool writes;
	bool windowless;
	size_t reserved[2];
	void (*fill)(struct vm *vm, union arg *arg);
} commands[] = {
	{
		.name = "query",
		.nr = ALTVM_QUERY,
		.size = sizeof(struct altvm_query),
		.min = 72,
		.writes = true,
		.windowless = true,
		.reserved = { RESERVED(altvm_query, __reserved),
			      RESERVED(altvm_query, __reserved2) },
		.fill = fill_query,
	},
	{
		.name = "mmap",
		.nr = ALTVM_MMAP,
		.size = sizeof(struct altvm_mmap),
		.min = 56,
		.writes = true,
		.reserved = { RESERVED(altvm_mmap, __reserved),
			      RESERVED(altvm_mmap, __reserved2) },
		.fill = fill_mmap,
	},
	{
		.name = "munmap",
		.nr = ALTVM_MUNMAP,
		.size = sizeof(struct altvm_munmap),
		.min = 24,
		.reserved = { RESERVED(altvm_munmap, __reserved), NO_RESERVED },
		.fill = fill_munmap,
	},
	{
		.name = "mprotect",
		.nr = ALTVM_MPROTECT,
		.size = sizeof(struct altvm_mprotect),
		.min = 24,
		.reserved = { NO_RESERVED, NO_RESERVED },
		.fill = fill_mprotect,
	},
	{
		.name = "mincore",
		.nr = ALTVM_MINCORE,
		.size = sizeof(struct altvm_mincore),
		.min = 32,
		.reserved = { NO_RESERVED, NO_RESERVED },
		.fill = fill_mincore,
	},
	{
		.name = "msync",
		.nr = ALTVM_MSYNC,
		.size = sizeof(struct altvm_msync),
		.min = 24,
		.reserved = { NO_RESERVED, NO_RESERVED },
		.fill = fill_msync,
	},
	{
		.name = "madvise",
		.nr = ALTVM_MADVISE,
		.size = sizeof(struct altvm_madvise),
		.min = 24,
		.reserved = { NO_RESERVED, NO_RESERVED },
		.fill = fill_madvise,
	},
	{
		.name = "mlock",
		.nr = ALTVM_MLOCK,
		.size = sizeof(struct altvm_mlock),
		.min = 24,
		.reserved = { NO_RESERVED, NO_RESERVED },
		.fill = fill_mlock,
	},
	{
		.name = "munlock",
		.nr = ALTVM_MUNLOCK,
		.size = sizeof(struct altvm_munlock),
		.min = 24,
		.reserved = { RESERVED(altvm_munlock, __reserved),
			      NO_RESERVED },
		.fill = fill_munlock,
	},
	{
		.name = "mlockall",
		.nr = ALTVM_MLOCKALL,
		.size = sizeof(struct altvm_mlockall),
		.min = 8,
		.reserved = { NO_RESERVED, NO_RESERVED },
		.fill = fill_mlockall,
	},
	{
		.name = "munlockall",
		.nr = ALTVM_MUNLOCKALL,
		.size = sizeof(struct altvm_munlockall),
		.min = 8,
		.reserved = { RESERVED(altvm_munlockall, __reserved),
			      NO_RESERVED },
		.fill = fill_munlockall,
	},
	{
		.name = "brk",
		.nr = ALTVM_BRK,
		.size = sizeof(struct altvm_brk),
		.min = 24,
		.writes = true,
		.reserved = { RESERVED(altvm_brk, __reserved), NO_RESERVED },
		.fill = fill_brk,
	},
	{
		.name = "mremap",
		.nr = ALTVM_MREMAP,
		.size = sizeof(struct altvm_mremap),
		.min = 48,
		.writes = true,
		.reserved = { NO_RESERVED, NO_RESERVED },
		.fill = fill_mremap,
	},
	{
		.name = "process_vm_readv",
		.nr = ALTVM_PROCESS_VM_READV,
		.size = sizeof(struct altvm_process_vm),
		.min = 56,
		.writes = true,
		.windowless = true,
		.reserved = { RESERVED(altvm_process_vm, __reserved),
			      NO_RESERVED },
		.fill = fill_process_vm,
	},
	{
		.name = "process_vm_writev",
		.nr = ALTVM_PROCESS_VM_WRITEV,
		.size = sizeof(struct altvm_process_vm),
		.min = 56,
		.writes = true,
		.windowless = true,
		.reserved = { RESERVED(altvm_process_vm, __reserved),
			      NO_RESERVED },
		.fill = fill_process_vm,
	},
	{
		.name = "process_madvise",
		.nr = ALTVM_PROCESS_MADVISE,
		.size = sizeof(struct altvm_process_madvise),
		.min = 40,
		.writes = true,
		.windowless = true,
		.reserved = { RESERVED(altvm_process_madvise, flags),
			      NO_RESERVED },
		.fill = fill_process_madvise,
	},
	{
		.name = "process_mrelease",
		.nr = ALTVM_PROCESS_MRELEASE,
		.size = sizeof(struct altvm_process_mrelease),
		.min = 16,
		.windowless = true,
		.reserved = { RESERVED(altvm_process_mrelease, flags),
			      RESERVED(altvm_process_mrelease, __reserved) },
		.fill = fill_process_mrelease,
	},
	{
		.name = "mbind",
		.nr = ALTVM_MBIND,
		.size = sizeof(struct altvm_mbind),
		.min = 48,
		.reserved = { RESERVED(altvm_mbind, __reserved), NO_RESERVED },
		.fill = fill_mbind,
	},
	{
		.name = "set_mempolicy",
		.nr = ALTVM_SET_MEMPOLICY,
		.size = sizeof(struct altvm_set_mempolicy),
		.min = 24,
		.reserved = { NO_RESERVED, NO_RESERVED },
		.fill = fill_set_mempolicy,
	},
	{
		.name = "get_mempolicy",
		.nr = ALTVM_GET_MEMPOLICY,
		.size = sizeof(struct altvm_get_mempolicy),
		.min = 40,
		.writes = true,
		.reserved = { RESERVED(altvm_get_mempolicy, __reserved),
			      NO_RESERVED },
		.fill = fill_get_mempolicy,
	},
};

#define for_each_command(c) \
	for (c = commands; c < commands + ARRAY_SIZE(commands); c++)

ALTVM_FIXTURE(abi, PAGES);

static void fill(const struct command *c, struct vm *vm, union arg *arg)
{
	memset(arg, 0, sizeof(*arg));
	c->fill(vm, arg);
	arg->size = c->size;
}

static void expect_call(struct __test_metadata *_metadata, int fd, int want,
			const struct command *c, void *arg)
{
	EXPECT_EQ(want, ERRNO_OF(ioctl(fd, c->nr, arg)))
	{
		TH_LOG("command %s", c->name);
	}
}

#define EXPECT_CALL(want, c, arg) expect_call(_metadata, self->fd, want, c, arg)

TEST_F(abi, exact_size)
{
	const struct command *c;
	union arg arg;

	for_each_command(c) {
		fill(c, &self->vm, &arg);
		EXPECT_CALL(0, c, &arg);
		EXPECT_EQ(c->size, arg.size);
	}
}

TEST_F(abi, too_short)
{
	const struct command *c;
	union arg arg;
	size_t size;

	for_each_command(c) {
		for (size = 0; size < c->min; size++) {
			fill(c, &self->vm, &arg);
			arg.size = size;
			EXPECT_CALL(EINVAL, c, &arg);
		}
	}
}

/* What a caller has that was compiled with the first version. */
TEST_F(abi, first_size)
{
	const struct command *c;
	union arg arg;
	size_t i;

	for_each_command(c) {
		fill(c, &self->vm, &arg);
		arg.size = c->min;
		memset(arg.bytes + c->min, 0x5a, sizeof(arg) - c->min);
		EXPECT_CALL(0, c, &arg);
		EXPECT_EQ(c->min, arg.size);
		for (i = c->min; i < sizeof(arg); i++)
			EXPECT_EQ(0x5a, arg.bytes[i]);
	}
}

TEST_F(abi, longer_and_zero)
{
	const struct command *c;
	union arg arg;
	size_t size, i;

	for_each_command(c) {
		for (size = c->size; size < sizeof(arg); size += 3) {
			fill(c, &self->vm, &arg);
			arg.size = size;
			EXPECT_CALL(0, c, &arg);
			EXPECT_EQ(size, arg.size);
			for (i = c->size; i < sizeof(arg); i++)
				EXPECT_EQ(0, arg.bytes[i]);
		}
	}
}

TEST_F(abi, longer_and_not_zero)
{
	const struct command *c;
	union arg arg;
	size_t i;

	for_each_command(c) {
		for (i = c->size; i < sizeof(arg); i++) {
			fill(c, &self->vm, &arg);
			arg.size = i + 1;
			arg.bytes[i] = 1;
			EXPECT_CALL(E2BIG, c, &arg);
			/* Not a byte too many is looked at. */
			arg.size = i;
			EXPECT_CALL(0, c, &arg);
		}
	}
}

TEST_F(abi, absurd_size)
{
	static const __u32 sizes[] = { 0x7fffffff, 0x80000000, 0xffffffff };
	const struct command *c;
	union arg *arg;
	size_t i;
	int err;

	arg = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)arg);
	for_each_command(c) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			fill(c, &self->vm, arg);
			arg->size = sizes[i];
			err = ERRNO_OF(ioctl(self->fd, c->nr, arg));
			EXPECT_TRUE(err == E2BIG || err == EFAULT);
		}
	}
	munmap(arg, 2 * PAGE);
}

TEST_F(abi, reserved_is_zero)
{
	const struct command *c;
	union arg arg;
	size_t i;
	int bit;

	for_each_command(c) {
		for (i = 0; i < 2; i++) {
			if (c->reserved[i] == NO_RESERVED)
				continue;
			for (bit = 0; bit < 32; bit++) {
				__u32 word = 1U << bit;

				fill(c, &self->vm, &arg);
				memcpy(arg.bytes + c->reserved[i], &word, 4);
				EXPECT_CALL(EINVAL, c, &arg);
			}
		}
	}
}

TEST_F(abi, output_is_not_input)
{
	union arg arg;

	/* Members that are written need not be cleared. */
	fill_mmap(&self->vm, memset(&arg, 0, sizeof(arg)));
	arg.size = sizeof(arg.mmap);
	arg.mmap.out_addr = ~0UL;
	EXPECT_EQ(0, ioctl(self->fd, ALTVM_MMAP, &arg));
	EXPECT_EQ((uintptr_t)self->base, arg.mmap.out_addr);

	memset(&arg, 0xff, sizeof(arg));
	arg.size = sizeof(arg.query);
	arg.query.__reserved = 0;
	arg.query.__reserved2 = 0;
	EXPECT_EQ(0, ioctl(self->fd, ALTVM_QUERY, &arg));
	EXPECT_EQ(ALTVM_ABI_VERSION, arg.query.abi_version);
}

TEST_F(abi, input_comes_back_unchanged)
{
	union arg arg, before;

	memset(&arg, 0, sizeof(arg));
	fill_mmap(&self->vm, &arg);
	arg.size = sizeof(arg.mmap);
	before = arg;
	ASSERT_EQ(0, ioctl(self->fd, ALTVM_MMAP, &arg));
	before.mmap.out_addr = arg.mmap.out_addr;
	EXPECT_EQ(0, memcmp(&before, &arg, sizeof(arg)));
}

TEST_F(abi, an_error_leaves_the_output)
{
	union arg arg;

	fill_mmap(&self->vm, memset(&arg, 0, sizeof(arg)));
	arg.size = sizeof(arg.mmap);
	arg.mmap.length = 0;
	arg.mmap.out_addr = 42;
	EXPECT_FAIL(EINVAL, ioctl(self->fd, ALTVM_MMAP, &arg));
	EXPECT_EQ(42, arg.mmap.out_addr);
}

TEST_F(abi, bad_pointers)
{
	static void *const bad[] = {
		NULL,
		(void *)1,
		(void *)-1,
		(void *)-PAGE,
		(void *)(1UL << 47),
		(void *)(1UL << 63),
		(void *)0xffff888000000000,
		(void *)0xffffffff81000000,
		(void *)0x7ffffffff000,
		(void *)0x7fffffffeffc,
	};
	const struct command *c;
	char *page;
	size_t i;

	page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)page);
	for_each_command(c) {
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			EXPECT_CALL(EFAULT, c, bad[i]);
		EXPECT_CALL(EFAULT, c, page);
		/* A hole in the window. */
		EXPECT_CALL(EFAULT, c, self->base + 20 * PAGE);
	}
	munmap(page, PAGE);
}

TEST_F(abi, straddles_a_bad_page)
{
	const struct command *c;
	union arg arg;
	size_t in;
	char *page;

	page = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)page);
	ASSERT_EQ(0, munmap(page + PAGE, PAGE));
	for_each_command(c) {
		fill(c, &self->vm, &arg);
		for (in = 1; in < c->size; in++) {
			char *p = page + PAGE - in;

			memcpy(p, &arg, in);
			EXPECT_CALL(EFAULT, c, p);
		}
		memcpy(page + PAGE - c->size, &arg, c->size);
		EXPECT_CALL(0, c, page + PAGE - c->size);
		/* The zeroes that a longer one promises are not there. */
		arg.size = c->size + 8;
		memcpy(page + PAGE - c->size, &arg, c->size);
		EXPECT_CALL(EFAULT, c, page + PAGE - c->size);
	}
	munmap(page, PAGE);
}

TEST_F(abi, unaligned_is_fine)
{
	const struct command *c;
	char buffer[sizeof(union arg) + 8];
	union arg arg;
	size_t i;

	for_each_command(c) {
		for (i = 0; i < 8; i++) {
			fill(c, &self->vm, &arg);
			memcpy(buffer + i, &arg, c->size);
			EXPECT_CALL(0, c, buffer + i);
		}
	}
}

TEST_F(abi, read_only_structure)
{
	const struct command *c;
	union arg *arg;

	arg = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)arg);
	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, 1, RW));
	for_each_command(c) {
		fill(c, &self->vm, arg);
		ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
		EXPECT_CALL(c->writes ? EFAULT : 0, c, arg);
		ASSERT_EQ(0, mprotect(arg, PAGE, RW));
	}
	munmap(arg, PAGE);
}

/* Who cannot be told the address has no area. */
TEST_F(abi, an_unwritable_result_changes_nothing)
{
	struct altvm_mmap *m;

	m = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)m);
	m->size = sizeof(*m);
	m->length = PAGE;
	m->prot = RW;
	m->flags = ANON;
	ASSERT_EQ(0, mprotect(m, PAGE, PROT_READ));
	EXPECT_FAIL(EFAULT, ioctl(self->fd, ALTVM_MMAP, m));
	EXPECT_EQ(0, vm_areas(&self->vm));
	munmap(m, PAGE);
}

TEST_F(abi, a_move_that_cannot_be_told_is_none)
{
	struct altvm_mremap *m;

	m = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)m);
	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, 1, RW));
	*self->base = 'a';
	m->size = sizeof(*m);
	m->flags = MREMAP_MAYMOVE;
	m->old_addr = (uintptr_t)self->base;
	m->old_length = PAGE;
	m->new_length = 2 * PAGE;
	ASSERT_EQ(0, mprotect(m, PAGE, PROT_READ));
	EXPECT_FAIL(EFAULT, ioctl(self->fd, ALTVM_MREMAP, m));
	EXPECT_EQ(1, vm_areas(&self->vm));
	EXPECT_EQ('a', *self->base);
	EXPECT_EQ(-1, vm_resident(&self->vm, self->base + PAGE));
	munmap(m, PAGE);
}

/* The copies in and out fault in the window that the command works on. */
TEST_F(abi, the_structure_is_in_the_window)
{
	const struct command *c;
	union arg *arg;

	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, 4, RW));
	arg = (union arg *)(self->base + 3 * PAGE - 8);
	for_each_command(c) {
		fill(c, &self->vm, arg);
		EXPECT_CALL(0, c, arg);
	}
	EXPECT_EQ(0, ioctl(self->fd, ALTVM_QUERY,
			   (fill(commands, &self->vm, arg), arg)));
	EXPECT_EQ((uintptr_t)self->base, arg->query.window_addr);
}

TEST_F(abi, a_structure_that_its_command_takes_away)
{
	union arg *arg;

	ASSERT_EQ(self->base, vm_map_at(&self->vm, 0, 2, RW));
	arg = (union arg *)(self->base + PAGE);
	fill_mmap(&self->vm, arg);
	arg->size = sizeof(arg->mmap);
	arg->mmap.addr = (uintptr_t)arg;
	/* The new area is there when the result is written. */
	EXPECT_EQ(0, ioctl(self->fd, ALTVM_MMAP, arg));
	EXPECT_EQ((uintptr_t)arg, arg->mmap.out_addr);

	arg->size = sizeof(arg->mmap);
	arg->mmap.addr = (uintptr_t)arg;
	arg->mmap.length = PAGE;
	arg->mmap.flags = ANON | MAP_FIXED;
	arg->mmap.prot = PROT_READ;
	EXPECT_FAIL(EFAULT, ioctl(self->fd, ALTVM_MMAP, arg));
	EXPECT_EQ(SIGSEGV, probe_rewrite(arg, NULL));

	arg = (union arg *)self->base;
	arg->munmap.size = sizeof(arg->munmap);
	arg->munmap.addr = (uintptr_t)arg;
	arg->munmap.length = PAGE;
	EXPECT_EQ(0, ioctl(self->fd, ALTVM_MUNMAP, arg));
	EXPECT_EQ(SIGSEGV, probe_read(arg, NULL, NULL));
}

static bool is_known(unsigned int nr)
{
	const struct command *c;

	for_each_command(c) {
		if (_IOC_NR(c->nr) == nr)
			return true;
	}
	return false;
}

TEST_F(abi, unknown_commands)
{
	union arg arg = { .size = sizeof(arg) };
	unsigned int nr, type;

	for (nr = 0; nr < 256; nr++) {
		if (is_known(nr))
			continue;
		EXPECT_FAIL(ENOTTY, ioctl(self->fd, _IO(ALTVM_IOC, nr), &arg))
		{
			TH_LOG("nr %u", nr);
		}
	}
	for (type = 0; type < 256; type++) {
		/* Those of 'T' and 'f' that the kernel does for any file. */
		if (type == ALTVM_IOC || type == 'T' || type == 'f')
			continue;
		EXPECT_FAIL(ENOTTY, ioctl(self->fd, _IO(type, 0xee), &arg));
	}
}

TEST_F(abi, other_directions_and_sizes)
{
	const struct command *c;
	union arg arg;

	for_each_command(c) {
		const int nr = _IOC_NR(c->nr);

		fill(c, &self->vm, &arg);
		EXPECT_FAIL(ENOTTY,
			    ioctl(self->fd, _IOC(_IOC_READ, ALTVM_IOC, nr, 0),
				  &arg));
		EXPECT_FAIL(ENOTTY,
			    ioctl(self->fd,
				  _IOC(_IOC_WRITE, ALTVM_IOC, nr, c->size),
				  &arg));
		EXPECT_FAIL(ENOTTY,
			    ioctl(self->fd, _IOC(_IOC_NONE, ALTVM_IOC, nr, 8),
				  &arg));
	}
}

TEST(without_a_window)
{
	struct vm vm = { .base = (char *)0x10000000 };
	const struct command *c;
	union arg arg;
	int fd;

	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	for_each_command(c) {
		fill(c, &vm, &arg);
		EXPECT_EQ(c->windowless ? 0 : ENXIO,
			  ERRNO_OF(ioctl(fd, c->nr, &arg)))
		{
			TH_LOG("command %s", c->name);
		}
	}
	close(fd);
}

/* What other system calls do with the file: nothing, and no harm. */
TEST_F(abi, not_a_file_to_read)
{
	char buffer[16] = {};

	EXPECT_FAIL(EINVAL, read(self->fd, buffer, sizeof(buffer)));
	EXPECT_FAIL(EINVAL, write(self->fd, buffer, sizeof(buffer)));
	EXPECT_FAIL(EINVAL, pread(self->fd, buffer, sizeof(buffer), 0));
	EXPECT_FAIL(EINVAL, ftruncate(self->fd, 0));
	EXPECT_FAIL(EINVAL, fsync(self->fd));
}

static volatile bool stop;

/* Turns the size between a good one and a bad one. */
static void *change_size(void *p)
{
	volatile __u32 *size = p;
	const __u32 good = *size;

	while (!stop) {
		*size = 0xffff;
		*size = 4;
		*size = good;
		*size = 0;
		*size = good + 8;
		*size = good;
	}
	return NULL;
}

/* Another thread writes to the structure while the kernel reads it. */
TEST_F_TIMEOUT(abi, the_size_changes_meanwhile, SLOW)
{
	const struct command *c;
	static union {
		union arg arg;
		char bytes[4 * PAGE];
	} shared;
	pthread_t thread;
	int i, err;

	for_each_command(c) {
		fill(c, &self->vm, &shared.arg);
		stop = false;
		ASSERT_EQ(0,
			  pthread_create(&thread, NULL, change_size, &shared));
		for (i = 0; i < 3000; i++) {
			err = ERRNO_OF(ioctl(self->fd, c->nr, &shared));
			if (err && err != EINVAL && err != E2BIG)
				break;
		}
		stop = true;
		pthread_join(thread, NULL);
		EXPECT_EQ(3000, i)
		{
			TH_LOG("%s: %s", c->name, strerror(err));
		}
	}
}

/*
 * The layout is the same for 32-bit programs.  Their system calls can be made
 * from here, with structures and a window below 4 GiB.
 */
static long ioctl32(int fd, unsigned int cmd, void *arg)
{
	long ret;

	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "a"(54), "b"(fd), "c"(cmd), "d"(arg)
		     : "r8", "r9", "r10", "r11", "memory");
	return (int)ret;
}

static bool can_call_32(void)
{
	long ret;
	int pid = fork();

	if (!pid) {
		asm volatile("int $0x80"
			     : "=a"(ret)
			     : "a"(20)
			     : "r8", "r9", "r10", "r11", "memory");
		_exit(ret != getpid());
	}
	waitpid(pid, (int *)&ret, 0);
	return (int)ret == 0;
}

TEST(calls_of_32_bit_programs)
{
	struct vm vm = { .ops = &vm_ioctl };
	const struct command *c;
	union arg *arg;

	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	if (!can_call_32())
		SKIP(return, "no 32-bit system calls");
	ASSERT_EQ(0, vm_ioctl.open(&vm, (void *)0x60000000, PAGES * PAGE, RWX));
	arg = mmap((void *)0x58000000, PAGE, RW,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)arg);
	for_each_command(c) {
		fill(c, &vm, arg);
		EXPECT_EQ(0, ioctl32(vm.fd, c->nr, arg))
		{
			TH_LOG("command %s", c->name);
		}
		fill(c, &vm, arg);
		arg->size = 4;
		EXPECT_EQ(-EINVAL, ioctl32(vm.fd, c->nr, arg));
	}
	vm_close(&vm);
}

TEST_HARNESS_MAIN
