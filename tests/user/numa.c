// SPDX-License-Identifier: GPL-2.0
/*
 * mbind, set_mempolicy, get_mempolicy: what is refused, what is told, where pages come
 * from, and where they are moved to.  With one memory node, what needs two is skipped.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "child.h"
#include "fixture.h"
#include "memcg.h"
#include "memory.h"
#include "nodes.h"

/* The tests are about these. */
#define FIRST 8
#define NR 16
#define ZONE 2048

#define BOTH 3UL
#define STRICT MPOL_MF_STRICT
#define MOVE MPOL_MF_MOVE
#define MOVE_ALL MPOL_MF_MOVE_ALL
#define STATIC MPOL_F_STATIC_NODES
#define RELATIVE MPOL_F_RELATIVE_NODES

VM_FIXTURE(numa, ZONE);
ALTVM_FIXTURE(altvm_numa, ZONE);

static int bind_pages(struct vm *vm, size_t page, size_t pages, int mode,
		      unsigned long nodes, unsigned int flags)
{
	return vm_mbind(vm, vm_page(vm, page), pages * PAGE, mode, nodes,
			flags);
}

static char *map_pages(struct vm *vm)
{
	return vm_map_at(vm, FIRST, NR, RW);
}

/* Pages that say which they are. */
static void mark(char *at, size_t pages)
{
	size_t i;

	for (i = 0; i < pages; i++)
		memset(at + i * PAGE, 'a' + i % 26, PAGE);
}

static bool is_marked(const char *at, size_t pages)
{
	size_t i, k;

	for (i = 0; i < pages; i++)
		for (k = 0; k < PAGE; k++)
			if (at[i * PAGE + k] != (char)('a' + i % 26))
				return false;
	return true;
}

static const int modes[] = { MPOL_DEFAULT,	 MPOL_PREFERRED, MPOL_BIND,
			     MPOL_INTERLEAVE,	 MPOL_LOCAL,	 PREFERRED_MANY,
			     WEIGHTED_INTERLEAVE };

/* --- what is refused */

static const struct refused {
	int err, mode;
	unsigned long nodes;
	unsigned int flags;
} refused[] = {
	{ EINVAL, -1, 1, 0 },
	{ EINVAL, 7, 1, 0 },
	{ EINVAL, 99, 1, 0 },
	{ EINVAL, MPOL_BIND | 1 << 12, 1, 0 },
	{ EINVAL, MPOL_BIND | 1 << 16, 1, 0 },
	{ EINVAL, MPOL_BIND | STATIC | RELATIVE, 1, 0 },
	{ EINVAL, MPOL_DEFAULT, 1, 0 },
	{ 0, MPOL_DEFAULT | STATIC, 0, 0 },
	{ EINVAL, MPOL_LOCAL, 1, 0 },
	{ EINVAL, MPOL_LOCAL | STATIC, 0, 0 },
	{ EINVAL, MPOL_LOCAL | RELATIVE, 0, 0 },
	{ EINVAL, MPOL_BIND, 0, 0 },
	{ EINVAL, MPOL_INTERLEAVE, 0, 0 },
	{ EINVAL, PREFERRED_MANY, 0, 0 },
	{ EINVAL, WEIGHTED_INTERLEAVE, 0, 0 },
	{ 0, MPOL_PREFERRED, 0, 0 },
	{ EINVAL, MPOL_PREFERRED | STATIC, 0, 0 },
	{ EINVAL, MPOL_PREFERRED | RELATIVE, 0, 0 },
	{ EINVAL, MPOL_PREFERRED | NUMA_BALANCING, 1, 0 },
	{ EINVAL, MPOL_INTERLEAVE | NUMA_BALANCING, 1, 0 },
	{ EINVAL, MPOL_DEFAULT | NUMA_BALANCING, 0, 0 },
	{ 0, MPOL_BIND | NUMA_BALANCING, 1, 0 },
	{ 0, PREFERRED_MANY | NUMA_BALANCING | STATIC, 1, 0 },
	/* Nodes that are not there, or have no memory. */
	{ EINVAL, MPOL_BIND, 1UL << 12, 0 },
	{ EINVAL, MPOL_PREFERRED, 1UL << 12, 0 },
	{ EINVAL, MPOL_BIND | STATIC, 1UL << 12, 0 },
	{ 0, MPOL_BIND | RELATIVE, 1UL << 12, 0 },
	{ 0, MPOL_BIND, 1UL << 12 | 1, 0 },
	{ EINVAL, MPOL_BIND, 1, 1 << 3 },
	{ EINVAL, MPOL_BIND, 1, 1 << 4 },
	{ EINVAL, MPOL_BIND, 1, 1U << 31 },
	{ 0, MPOL_BIND, 1, STRICT | MOVE | MOVE_ALL },
	{ 0, MPOL_DEFAULT, 0, STRICT },
};

TEST_F(numa, what_is_refused)
{
	struct vm *vm = &self->vm;
	const struct refused *r;

	ASSERT_NE(MAP_FAILED, (void *)map_pages(vm));
	for (r = refused; r < refused + ARRAY_SIZE(refused); r++) {
		EXPECT_FAIL(r->err, bind_pages(vm, FIRST, 4, r->mode, r->nodes,
					       r->flags))
		{
			TH_LOG("mode %#x, nodes %#lx, flags %#x", r->mode,
			       r->nodes, r->flags);
		}
		/* Nothing was done, or is undone. */
		EXPECT_EQ(0, bind_pages(vm, FIRST, 4, MPOL_DEFAULT, 0, 0));
		EXPECT_EQ(1, vm_areas(vm));
		if (r->flags)
			continue;
		EXPECT_FAIL(r->err, vm_set_mempolicy(vm, r->mode, r->nodes))
		{
			TH_LOG("mode %#x, nodes %#lx", r->mode, r->nodes);
		}
		EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_DEFAULT, 0));
	}
}

TEST_F(numa, ranges)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	int mode;

	EXPECT_FAIL(EFAULT, vm_mbind(vm, p, PAGE, MPOL_BIND, 1, 0));
	EXPECT_FAIL(EFAULT, vm_mbind(vm, p, PAGE, MPOL_DEFAULT, 0, 0));
	ASSERT_NE(MAP_FAILED, (void *)map_pages(vm));
	EXPECT_FAIL(EINVAL, vm_mbind(vm, p + 1, PAGE, MPOL_BIND, 1, 0));
	EXPECT_FAIL(EINVAL, vm_mbind(vm, p + 1, 0, MPOL_BIND, 1, 0));
	EXPECT_FAIL(EINVAL, vm_mbind(vm, p, -PAGE, MPOL_BIND, 1, 0));
	EXPECT_EQ(0, vm_mbind(vm, p, 0, MPOL_BIND, 1, 0));
	/* Only then is the policy looked at. */
	EXPECT_EQ(0, vm_mbind(vm, p, 0, MPOL_BIND, 0, 0));
	EXPECT_EQ(0, vm_mbind(vm, p, -1UL, MPOL_BIND, 0, 0));
	EXPECT_EQ(MPOL_DEFAULT, vm_policy(vm, p, NULL));
	/* Part of a page is a page. */
	EXPECT_EQ(0, vm_mbind(vm, p, PAGE + 1, MPOL_BIND, 1, 0));
	EXPECT_EQ(MPOL_BIND, vm_policy(vm, p + PAGE, NULL));
	EXPECT_EQ(MPOL_BIND, vm_policy(vm, p + 2 * PAGE - 1, NULL));
	EXPECT_EQ(MPOL_DEFAULT, vm_policy(vm, p + 2 * PAGE, NULL));
	EXPECT_EQ(-1, vm_policy(vm, p - 1, NULL));
	EXPECT_EQ(EFAULT, errno);
	for (mode = 0; mode < 2; mode++) {
		/* Holes before, in between, and after. */
		int err = mode ? EFAULT : 0;
		int m = mode ? MPOL_INTERLEAVE : MPOL_DEFAULT;

		EXPECT_FAIL(err, bind_pages(vm, FIRST - 1, 2, m, mode, 0));
		EXPECT_FAIL(err, bind_pages(vm, FIRST + NR - 2, 3, m, mode, 0));
		ASSERT_EQ(0, vm_munmap(vm, vm_page(vm, FIRST + 4), PAGE));
		EXPECT_FAIL(err, bind_pages(vm, FIRST, NR, m, mode, 0));
		EXPECT_FAIL(err,
			    vm_mbind(vm, vm->base, ZONE * PAGE, m, mode, 0));
		EXPECT_FAIL(EFAULT, bind_pages(vm, FIRST + 4, 1, m, mode, 0));
		EXPECT_EQ(MPOL_DEFAULT,
			  vm_policy(vm, vm_page(vm, FIRST + 5), NULL));
		EXPECT_EQ(2, vm_areas(vm));
		ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST + 4, 1, RW));
	}
}

TEST_F(numa, sets_of_nodes)
{
	unsigned long set[4 * PAGE / 8] = { 1 };
	struct vm *vm = &self->vm;
	char *p = map_pages(vm);
	unsigned long *edge;
	unsigned long i;

	ASSERT_NE(MAP_FAILED, (void *)p);
#define TRY(set, max) vm->ops->mbind(vm, p, PAGE, MPOL_BIND, set, max, 0)
	/* The last bit that counts is that before the last. */
	EXPECT_FAIL(EINVAL, TRY(set, 1));
	EXPECT_EQ(0, TRY(set, 2));
	EXPECT_EQ(0, TRY(set, 64));
	EXPECT_EQ(0, TRY(set, 65));
	EXPECT_FAIL(EINVAL, TRY(set, 0));
	EXPECT_FAIL(EINVAL, TRY(NULL, 64));
	EXPECT_FAIL(EINVAL, TRY(NULL, 0));
	EXPECT_EQ(0, TRY(set, PAGE * 8 + 1));
	EXPECT_FAIL(EINVAL, TRY(set, PAGE * 8 + 2));
	EXPECT_FAIL(EINVAL, TRY(set, -1UL));
	for (i = NODES_MAX; i < PAGE * 8; i += 997) {
		set[i / 64] = 1UL << i % 64;
		EXPECT_FAIL(EINVAL, TRY(set, PAGE * 8 + 1));
		EXPECT_EQ(0, TRY(set, i / 64 * 64 + 1));
		set[i / 64] = 0;
	}
	/* Not a word too many is read, and bad ones are found. */
	edge = mmap(NULL, 2 * PAGE, RW, ANON, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)edge);
	ASSERT_EQ(0, munmap((char *)edge + PAGE, PAGE));
	edge += PAGE / 8 - 1;
	*edge = 1;
	EXPECT_EQ(0, TRY(edge, 2));
	EXPECT_EQ(0, TRY(edge, 65));
	EXPECT_FAIL(EFAULT, TRY(edge, 66));
	EXPECT_FAIL(EFAULT, TRY(edge, PAGE * 8 + 1));
	EXPECT_FAIL(EFAULT, TRY((unsigned long *)8, 2));
	EXPECT_FAIL(EFAULT, TRY((unsigned long *)-8UL, 2));
	EXPECT_FAIL(EFAULT, TRY((unsigned long *)vm_page(vm, FIRST + NR), 2));
	/* The mode is looked at first, the range afterwards. */
	EXPECT_FAIL(EINVAL,
		    vm->ops->mbind(vm, p, PAGE, 99, (unsigned long *)8, 2, 0));
	EXPECT_FAIL(EFAULT, vm->ops->mbind(vm, p + 1, PAGE, MPOL_BIND,
					   (unsigned long *)8, 2, 99));
	/* The window itself can hold them. */
	*(unsigned long *)p = 1;
	EXPECT_EQ(0, TRY((unsigned long *)p, 64));
#undef TRY
	EXPECT_FAIL(EFAULT, vm->ops->set_mempolicy(vm, MPOL_BIND, edge, 66));
	EXPECT_FAIL(EINVAL, vm->ops->set_mempolicy(vm, MPOL_BIND, set, 1));
	EXPECT_FAIL(EINVAL,
		    vm->ops->set_mempolicy(vm, MPOL_BIND, set, PAGE * 8 + 2));
}

TEST_F(numa, what_can_be_asked)
{
	static const unsigned int bad[] = {
		1 << 3,
		1U << 31,
		MPOL_F_MEMS_ALLOWED | MPOL_F_NODE,
		MPOL_F_MEMS_ALLOWED | MPOL_F_ADDR,
		MPOL_F_NODE,
	};
	unsigned long nodes, set[4 * PAGE / 8];
	struct vm *vm = &self->vm;
	char *p = map_pages(vm);
	unsigned long *edge;
	int mode = 99;
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_FAIL(EINVAL,
			    vm_get_mempolicy(vm, &mode, NULL, NULL, bad[i]));
	EXPECT_FAIL(EINVAL, vm_get_mempolicy(vm, &mode, NULL, p, 0));
	EXPECT_EQ(99, mode);
	EXPECT_EQ(0, vm_get_mempolicy(vm, &mode, &nodes, NULL,
				      MPOL_F_MEMS_ALLOWED));
	EXPECT_EQ(0, mode);
	EXPECT_EQ(nodes_there(), nodes);
	EXPECT_EQ(0,
		  vm_get_mempolicy(vm, &mode, &nodes, p, MPOL_F_MEMS_ALLOWED));
	EXPECT_EQ(0, vm->ops->get_mempolicy(vm, NULL, NULL, 0, NULL, 0));
	EXPECT_EQ(0,
		  vm->ops->get_mempolicy(vm, &mode, NULL, 0, p, MPOL_F_ADDR));
	/* Too little room, or too much. */
	EXPECT_FAIL(EINVAL, vm->ops->get_mempolicy(vm, &mode, set, 0, NULL, 0));
	EXPECT_EQ(0, vm->ops->get_mempolicy(vm, &mode, set, PAGE * 8 + 1, NULL,
					    0));
	EXPECT_FAIL(EINVAL, vm->ops->get_mempolicy(vm, &mode, set, PAGE * 8 + 2,
						   NULL, 0));
	/* What there is room for is cleared, and no more. */
	memset(set, 0xff, sizeof(set));
	EXPECT_EQ(0, vm->ops->get_mempolicy(vm, &mode, set, 10 * 64, NULL,
					    MPOL_F_MEMS_ALLOWED));
	EXPECT_EQ(nodes_there(), set[0]);
	for (i = 1; i < 10; i++)
		EXPECT_EQ(0, set[i]);
	EXPECT_EQ(-1UL, set[10]);
	edge = mmap(NULL, 2 * PAGE, RW, ANON, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)edge);
	ASSERT_EQ(0, munmap((char *)edge + PAGE, PAGE));
	edge += PAGE / 8 - 1;
	EXPECT_EQ(0, vm->ops->get_mempolicy(vm, &mode, edge, 64, NULL, 0));
	EXPECT_FAIL(EFAULT, vm->ops->get_mempolicy(vm, &mode, edge,
						   NODES_MAX + 64, NULL, 0));
	EXPECT_FAIL(EFAULT,
		    vm->ops->get_mempolicy(vm, &mode, (void *)8, 64, NULL, 0));
}

/* Random arguments: what the kernel says is right. */
static const unsigned long odd_maxnodes[] = {
	0, 1, 2, 3, 17, 64, 65, 1024, 1025, 2000, PAGE * 8 + 1, PAGE * 8 + 2
};

/* Two equal zones: pages, some of them touched, a hole, and a file. */
static int furnish(struct vm *vm, int fd)
{
	char *p = map_pages(vm);

	if (p == MAP_FAILED || vm_munmap(vm, p + 4 * PAGE, PAGE) ||
	    vm_mprotect(vm, p + 8 * PAGE, PAGE, PROT_READ) ||
	    memory_map(vm, PRIVATE_FILE, FIRST + 12, 2, RW, fd) == MAP_FAILED)
		return -1;
	p[0] = 1;
	p[5 * PAGE] = 1;
	p[12 * PAGE] = 1;
	return 0;
}

enum odd_call { ODD_BIND = 0, ODD_SET = 6, ODD_GET = 7, ODD_GET_AREA = 9 };

/* A call with odd arguments. */
struct odd {
	enum odd_call call;
	size_t page, off, len;
	int mode;
	unsigned int flags;
	unsigned long maxnode;
	bool null;
	unsigned long set[PAGE / 8 + 8];
};

static void odd_make(struct rng *rng, struct odd *odd)
{
	memset(odd, 0, sizeof(*odd));
	odd->call = rng_below(rng, 10);
	odd->page = FIRST - 2 + rng_below(rng, NR + 4);
	odd->off = rng_below(rng, 20) ? 0 : 7;
	odd->len = rng_below(rng, 6) * PAGE;
	odd->mode = modes[rng_below(rng, ARRAY_SIZE(modes))];
	if (!rng_below(rng, 3))
		odd->mode |= 1 << (8 + rng_below(rng, 9));
	/* Where pages are by chance, and how they move, is not compared. */
	if (!rng_below(rng, 3))
		odd->flags = rng_below(rng, 4) << (odd->call < ODD_SET ? 3 : 1);
	odd->maxnode = odd_maxnodes[rng_below(rng, ARRAY_SIZE(odd_maxnodes))];
	odd->null = !rng_below(rng, 8);
	if (rng_below(rng, 4))
		odd->set[0] = rng_below(rng, 8);
	if (!rng_below(rng, 8))
		odd->set[rng_below(rng, PAGE / 8)] = 1;
}

/* Return: errno.  @mode and what is in @odd: what is told. */
static int odd_do(struct vm *vm, struct odd *odd, int *mode)
{
	char *addr = vm_page(vm, odd->page) + odd->off;
	unsigned long *set = odd->null ? NULL : odd->set;
	unsigned int flags = odd->flags;
	int err;

	*mode = -1;
	errno = 0;
	if (odd->call < ODD_SET) {
		err = vm->ops->mbind(vm, addr, odd->len, odd->mode, set,
				     odd->maxnode, flags);
		return err ? errno : 0;
	}
	if (odd->call >= ODD_GET) {
		flags |= odd->call >= ODD_GET_AREA ? MPOL_F_ADDR : 0;
		addr = flags & MPOL_F_ADDR ? addr : NULL;
		err = vm->ops->get_mempolicy(vm, mode, set, odd->maxnode, addr,
					     flags);
		return err ? errno : 0;
	}
	err = vm->ops->set_mempolicy(vm, odd->mode, set, odd->maxnode);
	err = err ? errno : 0;
	vm_get_mempolicy(vm, mode, odd->set, NULL, 0);
	/* Not to be in the way of the other system. */
	vm->ops->set_mempolicy(vm, MPOL_DEFAULT, NULL, 0);
	return err;
}

/* Is every page's policy the same in both? */
static bool same_policies(struct vm vms[2])
{
	unsigned long nodes[2] = { 0 };
	int mode[2];
	size_t i;
	int k;

	for (i = FIRST - 1; i <= FIRST + NR; i++) {
		for (k = 0; k < 2; k++)
			mode[k] = vm_policy(&vms[k], vm_page(&vms[k], i),
					    &nodes[k]);
		if (mode[0] != mode[1] || nodes[0] != nodes[1])
			return false;
	}
	return vm_areas(&vms[0]) == vm_areas(&vms[1]);
}

TEST_F_TIMEOUT(altvm_numa, odd_arguments, SLOW)
{
	struct rng rng = { .state = env_number("ALTVM_SEED", 7) };
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	int err[2], mode[2], n, k;
	struct vm vms[2] = { [1] = self->vm };
	struct odd odd[2];

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vm_open(&vms[0], &vm_native, ZONE * PAGE));
	for (k = 0; k < 2; k++)
		ASSERT_EQ(0, furnish(&vms[k], fd));
	for (n = 0; n < scaled(3000); n++) {
		odd_make(&rng, &odd[0]);
		odd[1] = odd[0];
		for (k = 0; k < 2; k++)
			err[k] = odd_do(&vms[k], &odd[k], &mode[k]);
		ASSERT_EQ(err[0], err[1])
		{
			TH_LOG("%d: call %d, page %zu + %zu, length %zu", n,
			       odd->call, odd->page, odd->off, odd->len);
			TH_LOG("mode %#x, flags %#x, maxnode %lu, nodes %#lx",
			       odd->mode, odd->flags, odd->maxnode,
			       odd->set[0]);
		}
		/* Natively something may be told before an error is found. */
		if (!err[0])
			ASSERT_EQ(mode[0], mode[1]);
		ASSERT_EQ(0, memcmp(&odd[0], &odd[1], sizeof(odd[0])));
		/* To look at all costs more than to change it. */
		if (n % 16 == 0)
			ASSERT_TRUE(same_policies(vms));
	}
	vm_close(&vms[0]);
	close(fd);
}

TEST_F(numa, moving_all_needs_a_right)
{
	struct vm *vm = &self->vm;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)map_pages(vm));
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, 1, MOVE_ALL));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		char *p = vm_page(vm, FIRST);

		CHECK(!setresuid(65534, 65534, 65534));
		errno = 0;
		CHECK(vm_mbind(vm, p, PAGE, MPOL_BIND, 1, MOVE_ALL) == -1);
		CHECK(errno == EPERM);
		/* Before the range, after the flags. */
		CHECK(vm_mbind(vm, p + 1, PAGE, MPOL_BIND, 1, MOVE_ALL) == -1);
		CHECK(errno == EPERM);
		CHECK(vm_mbind(vm, p, PAGE, MPOL_BIND, 1, MOVE_ALL | 8) == -1);
		CHECK(errno == EINVAL);
		CHECK(!vm_mbind(vm, p, PAGE, MPOL_BIND, 1, MOVE));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
}

/* --- what is told */

static const struct told {
	int mode;
	unsigned long nodes;
	int as;
	unsigned long nodes_as;
} told[] = {
	{ MPOL_DEFAULT, 0, MPOL_DEFAULT, 0 },
	{ MPOL_LOCAL, 0, MPOL_LOCAL, 0 },
	{ MPOL_PREFERRED, 0, MPOL_LOCAL, 0 },
	{ MPOL_PREFERRED, 1, MPOL_PREFERRED, 1 },
	{ MPOL_PREFERRED, 3, MPOL_PREFERRED, 1 },
	{ MPOL_BIND, 1, MPOL_BIND, 1 },
	{ MPOL_BIND | STATIC, 0x101, MPOL_BIND | STATIC, 0x101 },
	{ MPOL_BIND | RELATIVE, 0x104, MPOL_BIND | RELATIVE, 0x104 },
	{ MPOL_BIND | NUMA_BALANCING, 0x101, MPOL_BIND | NUMA_BALANCING,
	  0x101 },
	{ MPOL_BIND, 0x101, MPOL_BIND, 1 },
	{ MPOL_PREFERRED | STATIC, 0x101, MPOL_PREFERRED | STATIC, 0x101 },
	{ MPOL_INTERLEAVE, 0x101, MPOL_INTERLEAVE, 1 },
	{ MPOL_INTERLEAVE | RELATIVE, 1, MPOL_INTERLEAVE | RELATIVE, 1 },
	{ PREFERRED_MANY, 0x101, PREFERRED_MANY, 1 },
	{ WEIGHTED_INTERLEAVE, 0x101, WEIGHTED_INTERLEAVE, 1 },
};

TEST_F(numa, what_is_told)
{
	struct vm *vm = &self->vm;
	const struct told *t;
	unsigned long nodes;
	enum memory m;
	int mode;

	for_each_memory(m) {
		int fd = nameless_file(files_dir(), ZONE * PAGE);

		ASSERT_LE(0, fd);
		ASSERT_NE(MAP_FAILED,
			  (void *)memory_map(vm, m, FIRST, NR, RW, fd));
		for (t = told; t < told + ARRAY_SIZE(told); t++) {
			EXPECT_EQ(0, bind_pages(vm, FIRST + 2, 4, t->mode,
						t->nodes, 0));
			EXPECT_EQ(t->as,
				  vm_policy(vm, vm_page(vm, FIRST + 3), &nodes))
			{
				TH_LOG("%s, %#x", memory_name(m), t->mode);
			}
			EXPECT_EQ(t->nodes_as, nodes);
			EXPECT_EQ(MPOL_DEFAULT,
				  vm_policy(vm, vm_page(vm, FIRST + 6), NULL));
			if (m)
				continue;
			EXPECT_EQ(0, vm_set_mempolicy(vm, t->mode, t->nodes));
			EXPECT_EQ(0,
				  vm_get_mempolicy(vm, &mode, &nodes, NULL, 0));
			EXPECT_EQ(t->as, mode);
			EXPECT_EQ(t->nodes_as, nodes);
			EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_DEFAULT, 0));
		}
		/* It is not the area's. */
		EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_BIND, 1));
		EXPECT_EQ(MPOL_DEFAULT,
			  vm_policy(vm, vm_page(vm, FIRST + 6), NULL));
		EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_DEFAULT, 0));
		close(fd);
	}
}

/* The node that would be the next. */
TEST_F(numa, the_next_node)
{
	struct vm *vm = &self->vm;
	int mode, node;

	for (mode = MPOL_BIND; mode <= WEIGHTED_INTERLEAVE; mode++) {
		int err = mode == MPOL_INTERLEAVE ||
					  mode == WEIGHTED_INTERLEAVE ?
				  0 :
				  EINVAL;

		EXPECT_EQ(0, vm_set_mempolicy(vm, mode,
					      mode == MPOL_LOCAL ? 0 : 1));
		EXPECT_FAIL(err, vm_get_mempolicy(vm, &node, NULL, NULL,
						  MPOL_F_NODE));
		if (!err)
			EXPECT_EQ(0, node);
	}
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_DEFAULT, 0));
}

TEST_F(numa, the_node_of_a_page)
{
	struct vm *vm = &self->vm;
	char *p = map_pages(vm);
	unsigned long nodes;
	int node;

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(0, bind_pages(vm, FIRST, 4, MPOL_BIND, 1, 0));
	ASSERT_EQ(0, vm_mprotect(vm, p + 2 * PAGE, PAGE, PROT_NONE));
	*p = 1;
	EXPECT_EQ(0, vm_get_mempolicy(vm, &node, &nodes, p + 5,
				      MPOL_F_NODE | MPOL_F_ADDR));
	EXPECT_EQ(0, node);
	EXPECT_EQ(1, nodes);
	/* It is read, to see. */
	EXPECT_EQ(0, vm_resident(vm, p + PAGE));
	EXPECT_EQ(0, vm_get_mempolicy(vm, &node, &nodes, p + PAGE,
				      MPOL_F_NODE | MPOL_F_ADDR));
	EXPECT_EQ(1, vm_resident(vm, p + PAGE));
	EXPECT_FAIL(EFAULT, vm_get_mempolicy(vm, &node, NULL, p + 2 * PAGE,
					     MPOL_F_NODE | MPOL_F_ADDR));
	EXPECT_FAIL(EFAULT, vm_get_mempolicy(vm, &node, NULL, p - 1,
					     MPOL_F_NODE | MPOL_F_ADDR));
	EXPECT_FAIL(EFAULT, vm_get_mempolicy(vm, &node, NULL, NULL,
					     MPOL_F_NODE | MPOL_F_ADDR));
}

/* Areas are cut where policies differ, and whole again where they do not. */
TEST_F(numa, parts_of_areas)
{
	struct vm *vm = &self->vm;
	enum memory m;

	for_each_memory(m) {
		int fd = nameless_file(files_dir(), ZONE * PAGE);

		/* Natively, memory with a policy of its own is not joined. */
		if (m == SHARED_ANON)
			continue;
		ASSERT_LE(0, fd);
		ASSERT_NE(MAP_FAILED,
			  (void *)memory_map(vm, m, FIRST, NR, RW, fd));
		EXPECT_EQ(0, bind_pages(vm, FIRST + 4, 4, MPOL_BIND, 1, 0));
		EXPECT_EQ(3, vm_areas(vm));
		EXPECT_EQ(0, bind_pages(vm, FIRST + 5, 2, MPOL_BIND, 1, 0));
		EXPECT_EQ(3, vm_areas(vm));
		EXPECT_EQ(0, bind_pages(vm, FIRST, 4, MPOL_BIND, 1, 0));
		EXPECT_EQ(2, vm_areas(vm));
		EXPECT_EQ(0, bind_pages(vm, FIRST + 1, 1, MPOL_LOCAL, 0, 0));
		EXPECT_EQ(4, vm_areas(vm));
		EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_LOCAL, 0, 0));
		EXPECT_EQ(1, vm_areas(vm));
		EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_DEFAULT, 0, 0));
		EXPECT_EQ(1, vm_areas(vm));
		close(fd);
	}
}

/* What other calls make of it. */
TEST_F(numa, later_calls)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	enum memory m, type;
	pid_t pid;

	for_each_memory(m) {
		int fd = nameless_file(files_dir(), ZONE * PAGE);

		ASSERT_LE(0, fd);
		ASSERT_NE(MAP_FAILED,
			  (void *)memory_map(vm, m, FIRST, NR, RW, fd));
		EXPECT_EQ(0, bind_pages(vm, FIRST, 8, MPOL_BIND, 1, 0));
		EXPECT_EQ(0, vm_mprotect(vm, p, 2 * PAGE, PROT_READ));
		EXPECT_EQ(0, vm_madvise(vm, p + PAGE, PAGE, MADV_RANDOM));
		EXPECT_EQ(MPOL_BIND, vm_policy(vm, p, NULL));
		EXPECT_EQ(MPOL_BIND, vm_policy(vm, p + PAGE, NULL));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			CHECK(vm_policy(vm, p + PAGE, NULL) == MPOL_BIND);
			CHECK(vm_policy(vm, p + 8 * PAGE, NULL) ==
			      MPOL_DEFAULT);
			if (!memory_is_shared(m))
				CHECK(!vm_mbind(vm, p, PAGE, MPOL_LOCAL, 0, 0));
			_exit(0);
		}
		EXPECT_EQ(0, end_of(pid));
		EXPECT_EQ(MPOL_BIND, vm_policy(vm, p, NULL));
		EXPECT_EQ(p + 20 * PAGE,
			  vm_mremap(vm, p + 4 * PAGE, 2 * PAGE, 2 * PAGE,
				    MREMAP_MAYMOVE | MREMAP_FIXED,
				    p + 20 * PAGE));
		EXPECT_EQ(MPOL_BIND, vm_policy(vm, p + 21 * PAGE, NULL));
		/* What is new has none. */
		type = m == SHARED_ANON ? PRIVATE_ANON : m;
		ASSERT_EQ(p, memory_map(vm, type, FIRST, 1, RW, fd));
		EXPECT_EQ(MPOL_DEFAULT, vm_policy(vm, p, NULL));
		EXPECT_EQ(0, vm_munmap(vm, p, 32 * PAGE));
		EXPECT_EQ(-1, vm_policy(vm, p, NULL));
		close(fd);
	}
}

/* --- where pages come from */

/* The nodes of what is mapped there and written to. */
static const char *touched(struct vm *vm, enum memory m, int mode,
			   unsigned long nodes, int fd)
{
	char *p = memory_map(vm, m, FIRST, NR, RW, fd);

	if (p == MAP_FAILED || bind_pages(vm, FIRST, NR, mode, nodes, 0))
		return "failed";
	mark(p, NR);
	return nodes_of(p, NR);
}

#define ALL0 "0000000000000000"
#define ALL1 "1111111111111111"
#define ALTERNATE "0101010101010101"

TEST_F(numa, where_pages_come_from)
{
	static const int single[] = { MPOL_BIND, MPOL_PREFERRED, PREFERRED_MANY,
				      MPOL_INTERLEAVE, WEIGHTED_INTERLEAVE };
	struct vm *vm = &self->vm;
	enum memory m;
	size_t i;

	if (!nodes_are_two())
		SKIP(return, "one node");
	for_each_memory(m) {
		/* A file's own pages are where they are read. */
		int fd = nameless_file(files_dir(), ZONE * PAGE);

		ASSERT_LE(0, fd);
		if (m == SHARED_FILE)
			continue;
		for (i = 0; i < ARRAY_SIZE(single); i++) {
			EXPECT_STREQ(ALL0, touched(vm, m, single[i], 1, fd));
			EXPECT_STREQ(ALL1, touched(vm, m, single[i], 2, fd))
			{
				TH_LOG("%s, mode %d", memory_name(m),
				       single[i]);
			}
			EXPECT_STREQ(ALL0, touched(vm, m, single[i] | RELATIVE,
						   1 << 2, fd));
			EXPECT_STREQ(ALL1, touched(vm, m, single[i] | RELATIVE,
						   1 << 3, fd));
			EXPECT_STREQ(ALL1, touched(vm, m, single[i] | STATIC,
						   1 << 3 | 2, fd));
		}
		close(fd);
	}
}

TEST_F(numa, the_local_node)
{
	struct vm *vm = &self->vm;
	enum memory m;
	int node;

	if (!nodes_are_two())
		SKIP(return, "one node");
	for (node = 0; node < 2; node++) {
		const char *want = node ? ALL1 : ALL0;

		if (!run_on_node(node))
			SKIP(return, "no CPU there");
		for_each_memory(m) {
			int fd = nameless_file(files_dir(), ZONE * PAGE);

			ASSERT_LE(0, fd);
			EXPECT_STREQ(want, touched(vm, m, MPOL_LOCAL, 0, fd));
			EXPECT_STREQ(want, touched(vm, m, MPOL_DEFAULT, 0, fd));
			close(fd);
		}
	}
}

/* Private memory goes by address, a private copy of a file by its offset. */
TEST_F(numa, interleaving)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	size_t i;

	if (!nodes_are_two())
		SKIP(return, "one node");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, (uintptr_t)p & PAGE);
	EXPECT_STREQ(ALTERNATE,
		     touched(vm, PRIVATE_ANON, MPOL_INTERLEAVE, BOTH, fd));
	EXPECT_STREQ(ALTERNATE,
		     touched(vm, PRIVATE_ANON, WEIGHTED_INTERLEAVE, BOTH, fd));
	EXPECT_STREQ(ALTERNATE,
		     touched(vm, PRIVATE_FILE, MPOL_INTERLEAVE, BOTH, fd));
	/* Whichever comes first. */
	ASSERT_EQ(p, vm_map_at(vm, FIRST, NR, RW));
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_INTERLEAVE, BOTH, 0));
	for (i = NR; i-- > 0;)
		p[i * PAGE] = 1;
	EXPECT_STREQ(ALTERNATE, nodes_of(p, NR));
	/* One page farther in the file. */
	ASSERT_EQ(p, vm_map_file(vm, p, NR * PAGE, RW, MAP_PRIVATE | MAP_FIXED,
				 fd, PAGE));
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_INTERLEAVE, BOTH, 0));
	mark(p, NR);
	EXPECT_STREQ("1010101010101010", nodes_of(p, NR));
	/* Of shared memory each object begins elsewhere. */
	EXPECT_STREQ(*touched(vm, SHARED_ANON, MPOL_INTERLEAVE, BOTH, fd) ==
				     '0' ?
			     ALTERNATE :
			     "1010101010101010",
		     nodes_of(p, NR));
	close(fd);
}

static bool set_weight(int node, int weight)
{
	char path[80];
	bool ok;
	FILE *f;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/mempolicy/weighted_interleave/node%d", node);
	f = fopen(path, "we");
	if (!f)
		return false;
	ok = fprintf(f, "%d", weight) > 0;
	return !fclose(f) && ok;
}

TEST_F(numa, weights)
{
	struct vm *vm = &self->vm;

	if (!nodes_are_two())
		SKIP(return, "one node");
	if (!set_weight(0, 3))
		SKIP(return, "no weights");
	EXPECT_STREQ("0001000100010001",
		     touched(vm, PRIVATE_ANON, WEIGHTED_INTERLEAVE, BOTH, -1))
	{
		TH_LOG("from %p", vm->base);
	}
	EXPECT_TRUE(set_weight(0, 1));
}

/* Pages that come otherwise than by a write. */
TEST_F(numa, other_ways_to_get_pages)
{
	struct vm *vm = &self->vm;
	char *p = map_pages(vm), buf[PAGE] = "x";
	int fds[2], mem;
	pid_t pid;

	if (!nodes_are_two())
		SKIP(return, "one node");
	ASSERT_NE(MAP_FAILED, (void *)p);
	if (!run_on_node(0))
		SKIP(return, "no CPU there");
	ASSERT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, 2, 0));
	/* By the kernel, and over a page of zeroes. */
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(PAGE, (size_t)write(fds[1], buf, PAGE));
	ASSERT_EQ(PAGE, (size_t)read(fds[0], p, PAGE));
	EXPECT_EQ(1, node_of(p));
	EXPECT_EQ(0, p[PAGE]);
	p[PAGE] = 1;
	EXPECT_EQ(1, node_of(p + PAGE));
	/* By a debugger's file, also without the right to write. */
	ASSERT_EQ(0, vm_mprotect(vm, p + 2 * PAGE, PAGE, PROT_READ));
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, mem);
	EXPECT_EQ(1, pwrite(mem, buf, 1, (uintptr_t)p + 2 * PAGE));
	EXPECT_EQ('x', p[2 * PAGE]);
	EXPECT_EQ(1, node_of(p + 2 * PAGE));
	/* By copying what is shared with a child. */
	ASSERT_EQ(0, bind_pages(vm, FIRST, 1, MPOL_BIND, 1, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		*p = 'y';
		CHECK(node_of(p) == 0);
		p[PAGE] = 'y';
		CHECK(node_of(p + PAGE) == 1);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(1, node_of(p));
	close(mem);
	close(fds[0]);
	close(fds[1]);
}

/* MAP_POPULATE goes by what is set for all. */
TEST_F(numa, the_policy_of_all)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST);
	pid_t pid;

	if (!nodes_are_two())
		SKIP(return, "one node");
	if (!run_on_node(0))
		SKIP(return, "no CPU there");
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_BIND, 2));
	EXPECT_EQ(p, vm->ops->mmap(vm, p, NR * PAGE, RW,
				   ANON | MAP_FIXED | MAP_POPULATE, -1, 0));
	EXPECT_STREQ(ALL1, nodes_of(p, NR));
	EXPECT_EQ(p, map_pages(vm));
	mark(p, NR);
	EXPECT_STREQ(ALL1, nodes_of(p, NR));
	/* An area's comes first. */
	EXPECT_STREQ(ALL0, touched(vm, PRIVATE_ANON, MPOL_BIND, 1, -1));
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_INTERLEAVE, BOTH));
	EXPECT_STREQ(ALTERNATE, touched(vm, PRIVATE_ANON, MPOL_DEFAULT, 0, -1));
	/* Children have it, too. */
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_PREFERRED, 2));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int mode = 0;

		CHECK(!strcmp(ALL1,
			      touched(vm, PRIVATE_ANON, MPOL_DEFAULT, 0, -1)));
		CHECK(!vm_get_mempolicy(vm, &mode, NULL, NULL, 0));
		CHECK(mode == MPOL_PREFERRED);
		CHECK(!vm_set_mempolicy(vm, MPOL_BIND, 1));
		CHECK(!strcmp(ALL0,
			      touched(vm, PRIVATE_ANON, MPOL_DEFAULT, 0, -1)));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_STREQ(ALL1, touched(vm, PRIVATE_ANON, MPOL_DEFAULT, 0, -1));
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_DEFAULT, 0));
	EXPECT_STREQ(ALL0, touched(vm, PRIVATE_ANON, MPOL_DEFAULT, 0, -1));
}

/* Shared memory has one policy, whoever maps it. */
TEST_F(numa, of_shared_memory)
{
	struct vm *vm = &self->vm;
	char *p = vm_page(vm, FIRST), *q;
	int fd = nameless_file("/dev/shm", ZONE * PAGE);
	unsigned long nodes;
	int how;
	pid_t pid;

	if (!nodes_are_two())
		SKIP(return, "one node");
	if (!run_on_node(0))
		SKIP(return, "no CPU there");
	if (fd < 0)
		SKIP(return, "no tmpfs");
	for (how = 0; how < 2; how++) {
		int type = how ? MAP_SHARED : MAP_PRIVATE;

		ASSERT_EQ(0, ftruncate(fd, 0));
		ASSERT_EQ(0, ftruncate(fd, ZONE * PAGE));
		ASSERT_EQ(p, vm_map_file(vm, p, NR * PAGE, RW, type | MAP_FIXED,
					 fd, 0));
		ASSERT_EQ(0, bind_pages(vm, FIRST + 2, 4, MPOL_BIND, 2, 0));
		/* Another mapping of it, an unrelated one. */
		q = mmap(NULL, NR * PAGE, RW, MAP_SHARED, fd, 0);
		ASSERT_NE(MAP_FAILED, (void *)q);
		memset(q, 1, NR * PAGE);
		EXPECT_STREQ("0011110000000000", nodes_of(q, NR));
		EXPECT_EQ(0, syscall(SYS_mbind, q + 8 * PAGE, 2 * PAGE,
				     MPOL_PREFERRED, &(unsigned long){ 2 }, 64,
				     0));
		EXPECT_EQ(MPOL_PREFERRED, vm_policy(vm, p + 9 * PAGE, &nodes));
		EXPECT_EQ(2, nodes);
		EXPECT_EQ(MPOL_DEFAULT, vm_policy(vm, p + 10 * PAGE, NULL));
		EXPECT_EQ(MPOL_BIND, vm_policy(vm, p + 5 * PAGE, NULL));
		/* Copies are by that policy, too. */
		mark(p, NR);
		EXPECT_STREQ(how ? "0011110000000000" : "0011110011000000",
			     nodes_of(p, NR));
		EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_DEFAULT, 0, 0));
		EXPECT_EQ(MPOL_DEFAULT, vm_policy(vm, p + 5 * PAGE, NULL));
		EXPECT_EQ(0, syscall(SYS_mbind, q + 8 * PAGE, 2 * PAGE,
				     MPOL_DEFAULT, NULL, 0, 0));
		munmap(q, NR * PAGE);
	}
	/* A child's setting is the parent's. */
	ASSERT_NE(MAP_FAILED,
		  (void *)memory_map(vm, SHARED_ANON, FIRST, NR, RW, -1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(!bind_pages(vm, FIRST, NR, MPOL_BIND, 2, 0));
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(MPOL_BIND, vm_policy(vm, p, NULL));
	mark(p, NR);
	EXPECT_STREQ(ALL1, nodes_of(p, NR));
	close(fd);
}

/* A group that may use node 1 only; false if there is none. */
static bool cpuset_open(struct memcg *g)
{
	static const struct memcg all = { CGROUPS };

	snprintf(g->dir, sizeof(g->dir), CGROUPS "/altvm-nodes.%d", getpid());
	memcg_put(&all, "cgroup.subtree_control", "+cpuset");
	if (mkdir(g->dir, 0700))
		return false;
	if (!memcg_put(g, "cpuset.mems", "1"))
		return true;
	rmdir(g->dir);
	return false;
}

static const struct confined {
	int mode;
	unsigned long nodes;
	unsigned long inside; /* what is told */
} confined[] = {
	{ MPOL_BIND, 1, 2 },
	{ MPOL_BIND, 2, 2 },
	{ MPOL_BIND | STATIC, 1, 1 },
	{ MPOL_BIND | RELATIVE, 1, 1 },
	{ MPOL_INTERLEAVE, BOTH, 2 },
	{ MPOL_PREFERRED, 1, 1 },
	{ PREFERRED_MANY, 1, 1 },
	{ MPOL_LOCAL, 0, 0 },
	{ WEIGHTED_INTERLEAVE | STATIC, 1, 1 },
};

static void be_confined(struct vm *vm, const struct memcg *g)
{
	const struct confined *c;
	unsigned long nodes;
	char *p;

	CHECK(!memcg_enter(g));
	CHECK(nodes_there() == 2);
	for (c = confined; c < confined + ARRAY_SIZE(confined); c++) {
		p = vm_page(vm, FIRST + (c - confined));
		CHECK(vm_policy(vm, p, &nodes) == c->mode);
		if (nodes != c->inside)
			fprintf(stderr, "# mode %#x: %#lx\n", c->mode, nodes);
		CHECK(nodes == c->inside);
		*p = 1;
		CHECK(node_of(p) == 1);
	}
	CHECK(!vm_get_mempolicy(vm, NULL, &nodes, NULL, MPOL_F_MEMS_ALLOWED));
	CHECK(nodes == 2);
	CHECK(!vm_get_mempolicy(vm, NULL, &nodes, NULL, 0));
	CHECK(nodes == 2);
	/* What can be asked for now. */
	errno = 0;
	CHECK(vm_mbind(vm, p, PAGE, MPOL_BIND, 1, 0) == -1 && errno == EINVAL);
	CHECK(!vm_mbind(vm, p, PAGE, MPOL_BIND, BOTH, 0));
	CHECK(vm_policy(vm, p, &nodes) == MPOL_BIND && nodes == 2);
	CHECK(!vm_mbind(vm, p, PAGE, MPOL_BIND | RELATIVE, 1, 0));
	_exit(0);
}

/* Policies follow the nodes that the group has. */
TEST_F(numa, a_group_with_fewer_nodes)
{
	struct vm *vm = &self->vm;
	const struct confined *c;
	struct memcg g;
	pid_t pid;

	if (!nodes_are_two())
		SKIP(return, "one node");
	if (!cpuset_open(&g))
		SKIP(return, "no cpusets");
	ASSERT_NE(MAP_FAILED, (void *)map_pages(vm));
	for (c = confined; c < confined + ARRAY_SIZE(confined); c++)
		EXPECT_EQ(0, bind_pages(vm, FIRST + (c - confined), 1, c->mode,
					c->nodes, 0));
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_BIND, 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		be_confined(vm, &g);
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_DEFAULT, 0));
	EXPECT_EQ(0, rmdir(g.dir));
}

/* --- moving */

/* Pages with marks, on one node. */
static char *settle(struct vm *vm, int node, unsigned long pages)
{
	char *p = vm_map_at(vm, FIRST, pages, RW);

	if (p == MAP_FAILED ||
	    bind_pages(vm, FIRST, pages, MPOL_BIND, 1UL << node, 0))
		return MAP_FAILED;
	mark(p, pages);
	if (bind_pages(vm, FIRST, pages, MPOL_DEFAULT, 0, 0))
		return MAP_FAILED;
	return p;
}

TEST_F(numa, strict)
{
	struct vm *vm = &self->vm;
	char *p;

	if (!nodes_are_two())
		SKIP(return, "one node");
	p = settle(vm, 0, NR);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_FAIL(EIO, bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT));
	EXPECT_EQ(MPOL_DEFAULT, vm_policy(vm, p, NULL));
	EXPECT_EQ(1, vm_areas(vm));
	EXPECT_FAIL(EIO,
		    bind_pages(vm, FIRST + NR - 1, 1, MPOL_LOCAL, 0, STRICT));
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, BOTH, STRICT));
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, 1, STRICT));
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_DEFAULT, 0, STRICT));
	/* What is not there is nowhere. */
	EXPECT_EQ(p + PAGE, vm_map_at(vm, FIRST + 1, NR - 1, RW));
	EXPECT_EQ(0, bind_pages(vm, FIRST + 1, NR - 1, MPOL_BIND, 2, STRICT));
	EXPECT_EQ(0, p[2 * PAGE]);
	EXPECT_EQ(0,
		  bind_pages(vm, FIRST + 1, NR - 1, MPOL_PREFERRED, 2, STRICT));
	/* Holes are found first, unless something is wrong before. */
	EXPECT_EQ(0, vm_munmap(vm, p + 8 * PAGE, PAGE));
	EXPECT_FAIL(EFAULT,
		    bind_pages(vm, FIRST + 2, NR - 2, MPOL_BIND, 2, STRICT));
	EXPECT_FAIL(EIO, bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT));
}

TEST_F(numa, pages_move)
{
	/* More than one table of pages. */
	const size_t pages = 1200;
	struct vm *vm = &self->vm;
	char *p, *want;
	int to;

	if (!nodes_are_two())
		SKIP(return, "one node");
	p = settle(vm, 0, pages);
	ASSERT_NE(MAP_FAILED, (void *)p);
	want = malloc(pages + 1);
	ASSERT_NE(NULL, want);
	want[1024] = 0;
	for (to = 1; to < 4; to++) {
		memset(want, '0' + to % 2, 1024);
		EXPECT_EQ(0, bind_pages(vm, FIRST, pages, MPOL_BIND,
					1UL << to % 2, STRICT | MOVE));
		EXPECT_STREQ(want, nodes_of(p, 1024));
		EXPECT_EQ(to % 2, node_of(p + (pages - 1) * PAGE));
		EXPECT_TRUE(is_marked(p, pages));
		mark(p, pages);
	}
	/* What is on one of them stays. */
	EXPECT_EQ(0, bind_pages(vm, FIRST, 4, MPOL_BIND, 1, MOVE));
	EXPECT_EQ(0, bind_pages(vm, FIRST, 8, MPOL_INTERLEAVE, BOTH, MOVE));
	EXPECT_STREQ("00001111", nodes_of(p, 8));
	EXPECT_EQ(0, bind_pages(vm, FIRST, 8, MPOL_PREFERRED, BOTH, MOVE));
	EXPECT_STREQ("00001111", nodes_of(p, 8));
	EXPECT_EQ(0, bind_pages(vm, FIRST, 8, PREFERRED_MANY, 2, MOVE));
	EXPECT_STREQ("11111111", nodes_of(p, 8));
	EXPECT_TRUE(is_marked(p, pages));
	free(want);
}

/* To where a new page would come from. */
TEST_F(numa, pages_move_to_the_local_node)
{
	struct vm *vm = &self->vm;
	char *p;
	int mode;

	if (!nodes_are_two())
		SKIP(return, "one node");
	if (!run_on_node(1))
		SKIP(return, "no CPU there");
	for (mode = 0; mode < 2; mode++) {
		p = settle(vm, 0, NR);
		ASSERT_NE(MAP_FAILED, (void *)p);
		EXPECT_EQ(0, bind_pages(vm, FIRST, NR,
					mode ? MPOL_LOCAL : MPOL_DEFAULT, 0,
					STRICT | MOVE));
		EXPECT_STREQ(ALL1, nodes_of(p, NR));
		EXPECT_TRUE(is_marked(p, NR));
	}
}

/* Whatever may be done to them, and where there are none. */
TEST_F(numa, pages_move_with_other_rights)
{
	struct vm *vm = &self->vm;
	char *p;

	if (!nodes_are_two())
		SKIP(return, "one node");
	p = settle(vm, 0, NR);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(0, vm_mprotect(vm, p, PAGE, PROT_READ));
	ASSERT_EQ(0, vm_mprotect(vm, p + PAGE, PAGE, PROT_NONE));
	ASSERT_EQ(p + 2 * PAGE, vm_map_at(vm, FIRST + 2, 2, RW));
	EXPECT_EQ(0, p[3 * PAGE]);
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT | MOVE));
	EXPECT_EQ(1, vm_resident(vm, p));
	EXPECT_EQ(1, vm_resident(vm, p + PAGE));
	EXPECT_EQ(0, vm_resident(vm, p + 2 * PAGE));
	EXPECT_EQ(1, vm_resident(vm, p + 3 * PAGE));
	EXPECT_EQ(SIGSEGV, probe_write(p, 1, NULL));
	EXPECT_EQ(SIGSEGV, probe_read(p + PAGE, NULL, NULL));
	EXPECT_EQ('a', *p);
	EXPECT_EQ(1, node_of(p));
	ASSERT_EQ(0, vm_mprotect(vm, p + PAGE, PAGE, RW));
	EXPECT_EQ('b', p[PAGE]);
	EXPECT_EQ(1, node_of(p + PAGE));
	EXPECT_EQ(0, p[2 * PAGE]);
	p[2 * PAGE] = 1;
	p[3 * PAGE] = 1;
	EXPECT_STREQ(ALL1, nodes_of(p, NR));
}

/* Private copies of a file's pages. */
TEST_F(numa, copies_of_a_file_move)
{
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	struct vm *vm = &self->vm;
	char *p;

	if (!nodes_are_two())
		SKIP(return, "one node");
	ASSERT_LE(0, fd);
	p = memory_map(vm, PRIVATE_FILE, FIRST, NR, RW, fd);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, 1, 0));
	mark(p, NR);
	EXPECT_STREQ(ALL0, nodes_of(p, NR));
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT | MOVE));
	EXPECT_TRUE(is_marked(p, NR));
	EXPECT_STREQ(ALL1, nodes_of(p, NR));
	mark(p, NR);
	EXPECT_TRUE(is_marked(p, NR));
	close(fd);
}

/* What somebody else has a hand on stays where it is. */
TEST_F(numa, held_pages_stay)
{
	struct vm *vm = &self->vm;
	struct iovec iov;
	char buf[PAGE];
	int fds[2];
	char *p;

	if (!nodes_are_two())
		SKIP(return, "one node");
	p = settle(vm, 0, NR);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(0, pipe(fds));
	iov = (struct iovec){ p + 2 * PAGE, PAGE };
	ASSERT_EQ(PAGE, (size_t)vmsplice(fds[1], &iov, 1, 0));
	EXPECT_FAIL(EIO,
		    bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT | MOVE));
	/* The others have moved. */
	EXPECT_STREQ("1101111111111111", nodes_of(p, NR));
	EXPECT_EQ(MPOL_BIND, vm_policy(vm, p, NULL));
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, 2, MOVE));
	EXPECT_EQ(0, node_of(p + 2 * PAGE));
	p[2 * PAGE] = 'x';
	ASSERT_EQ(PAGE, (size_t)read(fds[0], buf, PAGE));
	EXPECT_EQ('x', buf[0]);
	/* And now this one. */
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT | MOVE));
	EXPECT_STREQ(ALL1, nodes_of(p, NR));
	EXPECT_EQ('x', p[2 * PAGE]);
	close(fds[0]);
	close(fds[1]);
}

/* What a child has, too, moves on request only. */
TEST_F(numa, pages_that_a_child_has)
{
	struct vm *vm = &self->vm;
	int line;
	pid_t pid;
	char *p;

	if (!nodes_are_two())
		SKIP(return, "one node");
	p = settle(vm, 0, NR);
	ASSERT_NE(MAP_FAILED, (void *)p);
	pid = fork_with(&line);
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(is_marked(p, NR));
		p[0] = 'x';
		CHECK(say_byte(line, 1));
		CHECK(hear_byte(line) == 1);
		CHECK(p[0] == 'x');
		p[0] = 'a';
		CHECK(is_marked(p, NR));
		mark(p, NR);
		CHECK(is_marked(p, NR));
		_exit(0);
	}
	ASSERT_EQ(1, hear_byte(line));
	/* No failure is told. */
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT | MOVE));
	EXPECT_STREQ("1000000000000000", nodes_of(p, NR));
	EXPECT_FAIL(EIO, bind_pages(vm, FIRST, NR, MPOL_PREFERRED, 2, STRICT));
	EXPECT_EQ(0,
		  bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT | MOVE_ALL));
	EXPECT_STREQ(ALL1, nodes_of(p, NR));
	EXPECT_TRUE(is_marked(p, NR));
	p[PAGE] = 'y';
	EXPECT_TRUE(say_byte(line, 1));
	EXPECT_EQ(0, end_of(pid));
	p[PAGE] = 'b';
	EXPECT_TRUE(is_marked(p, NR));
	close(line);
}

/* A file's own pages are moved by move_pages(2), also in a window. */
TEST_F(numa, pages_of_a_file)
{
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	struct vm *vm = &self->vm;
	int node = 1, status = -1;
	bool native = vm_is_native(vm);
	void *at;
	char *p;

	if (!nodes_are_two())
		SKIP(return, "one node");
	if (!run_on_node(0))
		SKIP(return, "no CPU there");
	ASSERT_LE(0, fd);
	p = memory_map(vm, SHARED_FILE, FIRST, NR, RW, fd);
	ASSERT_NE(MAP_FAILED, (void *)p);
	mark(p, 1);
	EXPECT_EQ(0, node_of(p));
	EXPECT_FAIL(EIO, bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT));
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, 2, MOVE));
	EXPECT_EQ(native, node_of(p));
	EXPECT_FAIL(native ? 0 : EIO,
		    bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT | MOVE));
	EXPECT_FAIL(native ? 0 : EIO,
		    bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT | MOVE_ALL));
	at = p;
	EXPECT_EQ(0, syscall(SYS_move_pages, 0, 1UL, &at, &node, &status,
			     MOVE_ALL));
	EXPECT_EQ(1, status);
	EXPECT_EQ('a', *p);
	EXPECT_EQ(1, node_of(p));
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT));
	close(fd);
}

/* --- many policies */

/* The n-th of many that are all different. */
static int bind_nth(struct vm *vm, size_t page, size_t pages, unsigned long n)
{
	return bind_pages(vm, page, pages, MPOL_BIND | STATIC, n << 1 | 1, 0);
}

/* As many in use as there can be. */
TEST_F_TIMEOUT(numa, many_policies, SLOW)
{
	const unsigned long most = 1023;
	struct vm *vm = &self->vm;
	unsigned long i, nodes;
	bool native = vm_is_native(vm);
	pid_t pid;

	/* A module that checks a thousand areas after each change is too slow. */
	if (scaled(8) < 8)
		SKIP(return, "takes long");
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, 0, ZONE, RW));
	for (i = 0; i < most; i++)
		ASSERT_EQ(0, bind_nth(vm, i, 1, i));
	EXPECT_EQ((long)most + 1, vm_areas(vm));
	EXPECT_FAIL(native ? 0 : ENOMEM, bind_nth(vm, most, 1, most));
	EXPECT_FAIL(native ? 0 : ENOMEM, vm_set_mempolicy(vm, MPOL_BIND, 1));
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_DEFAULT, 0));
	for (i = 0; i < most; i++) {
		ASSERT_EQ(MPOL_BIND | STATIC,
			  vm_policy(vm, vm_page(vm, i), &nodes));
		ASSERT_EQ(i << 1 | 1, nodes);
	}
	/* One that is there already takes no room. */
	EXPECT_EQ(0, bind_nth(vm, most, 1, 7));
	/* What is not used any more does not count, for children neither. */
	EXPECT_EQ(0, bind_nth(vm, 0, 10, 99));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHECK(!bind_nth(vm, ZONE - 1, 1, 5000));
		CHECK(vm_policy(vm, vm_page(vm, ZONE - 1), &nodes) ==
		      (MPOL_BIND | STATIC));
		CHECK(nodes == 10001);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_BIND, 1));
	for (i = 1; i < 8; i++)
		EXPECT_EQ(0, bind_nth(vm, ZONE - i, 1, 6000 + i));
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_DEFAULT, 0));
	for (i = 10; i < most; i++) {
		ASSERT_EQ(MPOL_BIND | STATIC,
			  vm_policy(vm, vm_page(vm, i), &nodes));
		ASSERT_EQ(i << 1 | 1, nodes);
	}
}

/* Many that are used for a moment only. */
TEST_F_TIMEOUT(numa, passing_policies, SLOW)
{
	struct vm *vm = &self->vm;
	unsigned long i, nodes;

	ASSERT_NE(MAP_FAILED, (void *)map_pages(vm));
	ASSERT_EQ(0, bind_nth(vm, FIRST, 1, 5));
	ASSERT_EQ(0, vm_set_mempolicy(vm, MPOL_PREFERRED, 1));
	for (i = 0; i < 1100; i++)
		ASSERT_EQ(0, bind_nth(vm, FIRST + 1 + i % 8, 1, 100 + i));
	/* What is in use has stayed. */
	EXPECT_EQ(MPOL_BIND | STATIC,
		  vm_policy(vm, vm_page(vm, FIRST), &nodes));
	EXPECT_EQ(11, nodes);
	for (i = 1092; i < 1100; i++) {
		EXPECT_EQ(MPOL_BIND | STATIC,
			  vm_policy(vm, vm_page(vm, FIRST + 1 + i % 8),
				    &nodes));
		EXPECT_EQ((100 + i) << 1 | 1, nodes);
	}
	EXPECT_EQ(0, vm_get_mempolicy(vm, NULL, &nodes, NULL, 0));
	EXPECT_EQ(1, nodes);
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_DEFAULT, 0));
}

/* --- races */

static volatile bool stop;

#define RACE_PAGES 600

/* Counts in each of some pages; nothing of it may be lost. */
struct counter {
	struct vm *vm;
	size_t first;
	unsigned long rounds;
	bool wrong;
};

static void *counts(void *arg)
{
	struct counter *c = arg;
	size_t i;

	while (!stop) {
		for (i = c->first; i < RACE_PAGES; i += 2) {
			unsigned long *p = (void *)vm_page(c->vm, FIRST + i);

			c->wrong |= *(volatile unsigned long *)p != c->rounds;
			*(volatile unsigned long *)p = c->rounds + 1;
		}
		c->rounds++;
	}
	return NULL;
}

static void *moves(void *arg)
{
	struct vm *vm = arg;
	unsigned long to = 1;

	while (!stop) {
		bind_pages(vm, FIRST, RACE_PAGES, MPOL_BIND, to,
			   MOVE | (to & 1 ? MOVE_ALL : STRICT));
		to ^= BOTH;
	}
	return NULL;
}

/* Beside those that write: forks, protections and mappings that come and go. */
static void meanwhile(struct vm *vm, int round)
{
	char *p = vm_page(vm, FIRST + RACE_PAGES / 4);
	unsigned long i;
	pid_t pid;

	switch (round % 3) {
	case 0:
		pid = fork();
		if (!pid) {
			unsigned long *q = (void *)p;

			/* It stays as it was. */
			for (i = *q; i == *q && i < *q + 1000000; i++)
				;
			CHECK(!bind_pages(vm, FIRST, RACE_PAGES, MPOL_BIND, 2,
					  MOVE));
			_exit(0);
		}
		CHECK(!end_of(pid));
		break;
	case 1:
		CHECK(!vm_mprotect(vm, p, 100 * PAGE, RWX));
		CHECK(!vm_mprotect(vm, p, 100 * PAGE, RW));
		break;
	case 2:
		p = vm_page(vm, FIRST + RACE_PAGES);
		CHECK(vm_map_at(vm, FIRST + RACE_PAGES, 64, RW) == p);
		memset(p, 1, 64 * PAGE);
		vm_mbind(vm, p - PAGE, 64 * PAGE, MPOL_INTERLEAVE, BOTH, MOVE);
		CHECK(!vm_munmap(vm, p, 64 * PAGE));
	}
}

TEST_F_TIMEOUT(numa, moves_under_writers, SLOW)
{
	struct vm *vm = &self->vm;
	struct counter c[2] = { { vm, 0, 0, false }, { vm, 1, 0, false } };
	pthread_t thread[3];
	int i;

	if (!nodes_are_two())
		SKIP(return, "one node");
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(vm, FIRST, RACE_PAGES, RW));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, counts, &c[i]));
	ASSERT_EQ(0, pthread_create(&thread[2], NULL, moves, vm));
	for (i = 0; i < scaled(15); i++)
		meanwhile(vm, i);
	for (i = 0; i < 2; i++)
		await_first(c[i].rounds);
	stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < 2; i++)
		EXPECT_FALSE(c[i].wrong);
	for (i = 0; i < RACE_PAGES; i++)
		EXPECT_EQ(c[i % 2].rounds,
			  *(unsigned long *)vm_page(vm, FIRST + i));
}

/* When it returns, no page that came meanwhile is on the wrong node. */
static void *touches(void *arg)
{
	struct vm *vm = arg;
	size_t i;

	for (i = 0; i < RACE_PAGES; i++)
		*vm_page(vm, FIRST + i) = 1;
	return NULL;
}

TEST_F_TIMEOUT(numa, faults_meanwhile, SLOW)
{
	struct vm *vm = &self->vm;
	pthread_t thread;
	int round, bad = 0;
	size_t i;

	if (!nodes_are_two())
		SKIP(return, "one node");
	for (round = 0; round < scaled(15); round++) {
		ASSERT_NE(MAP_FAILED,
			  (void *)vm_map_at(vm, FIRST, RACE_PAGES, RW));
		ASSERT_EQ(0,
			  bind_pages(vm, FIRST, RACE_PAGES, MPOL_BIND, 1, 0));
		ASSERT_EQ(0, pthread_create(&thread, NULL, touches, vm));
		sched_yield();
		EXPECT_EQ(0, bind_pages(vm, FIRST, RACE_PAGES, MPOL_BIND, 2,
					STRICT | MOVE));
		pthread_join(thread, NULL);
		for (i = 0; i < RACE_PAGES; i++)
			bad += node_of(vm_page(vm, FIRST + i)) != 1;
	}
	EXPECT_EQ(0, bad);
}

/* Moves, discards and pages out what is on its way to another node. */
static void *disturbs(void *arg)
{
	struct vm *vm = arg;
	char *p = vm_page(vm, FIRST + 100), *q = vm_page(vm, ZONE - 300);

	for (;;) {
		vm_mremap(vm, p, 100 * PAGE, 100 * PAGE,
			  MREMAP_MAYMOVE | MREMAP_FIXED, q);
		memset(q, 1, 50 * PAGE);
		vm_madvise(vm, q, 100 * PAGE, MADV_PAGEOUT);
		vm_mremap(vm, q, 100 * PAGE, 100 * PAGE,
			  MREMAP_MAYMOVE | MREMAP_FIXED, p);
		vm_madvise(vm, vm_page(vm, FIRST), RACE_PAGES * PAGE / 2,
			   MADV_DONTNEED);
		memset(vm_page(vm, FIRST), 1, 50 * PAGE);
	}
	return NULL;
}

/* Killed at any moment; the module's counters and the kernel's log tell the rest. */
TEST_F_TIMEOUT(numa, killed_meanwhile, SLOW)
{
	struct vm *vm = &self->vm;
	struct rng rng = { 1 };
	char *p;
	int i;

	if (!nodes_are_two())
		SKIP(return, "one node");
	p = vm_map_at(vm, FIRST, RACE_PAGES, RW);
	ASSERT_NE(MAP_FAILED, (void *)p);
	mark(p, RACE_PAGES);
	for (i = 0; i < scaled(40); i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			pthread_t thread[2];

			pthread_create(&thread[0], NULL, moves, vm);
			pthread_create(&thread[1], NULL, disturbs, vm);
			/* Beside it forks, which share what is moved. */
			for (;;) {
				pid = fork();
				if (!pid) {
					bind_pages(vm, FIRST, RACE_PAGES,
						   MPOL_INTERLEAVE, BOTH,
						   MOVE_ALL);
					_exit(0);
				}
				end_of(pid);
			}
		}
		usleep(rng_below(&rng, 60000));
		kill(pid, SIGKILL);
		EXPECT_EQ(SIGKILL, end_of(pid));
	}
	EXPECT_TRUE(is_marked(p, RACE_PAGES));
	EXPECT_EQ(0, bind_pages(vm, FIRST, RACE_PAGES, MPOL_BIND, 2, 0));
}

/* --- what only altvm has */

/* A thread's own policy, of set_mempolicy(2), is the last that is asked. */
TEST_F(altvm_numa, the_policy_of_a_thread)
{
	struct vm *vm = &self->vm;
	unsigned long two = 2, nodes;
	int mode;

	if (!nodes_are_two())
		SKIP(return, "one node");
	if (!run_on_node(0))
		SKIP(return, "no CPU there");
	ASSERT_EQ(0, syscall(SYS_set_mempolicy, MPOL_BIND, &two, 64));
	EXPECT_STREQ(ALL1, touched(vm, PRIVATE_ANON, MPOL_DEFAULT, 0, -1));
	EXPECT_EQ(0, vm_get_mempolicy(vm, &mode, &nodes, NULL, 0));
	EXPECT_EQ(MPOL_BIND, mode);
	EXPECT_EQ(2, nodes);
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_PREFERRED, 1));
	EXPECT_STREQ(ALL0, touched(vm, PRIVATE_ANON, MPOL_DEFAULT, 0, -1));
	EXPECT_EQ(0, vm_get_mempolicy(vm, &mode, &nodes, NULL, 0));
	EXPECT_EQ(MPOL_PREFERRED, mode);
	/* That is not the thread's. */
	EXPECT_EQ(0, syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0));
	EXPECT_EQ(MPOL_BIND, mode);
	EXPECT_EQ(0, vm_set_mempolicy(vm, MPOL_DEFAULT, 0));
	EXPECT_STREQ(ALL1, touched(vm, PRIVATE_ANON, MPOL_DEFAULT, 0, -1));
	EXPECT_STREQ(ALL0, touched(vm, PRIVATE_ANON, MPOL_LOCAL, 0, -1));
	ASSERT_EQ(0, syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &two, 64));
	EXPECT_EQ(0, vm_get_mempolicy(vm, &mode, NULL, NULL, MPOL_F_NODE));
	EXPECT_EQ(1, mode);
	ASSERT_EQ(0, syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
}

/* What was paged out comes back to where a new page would be. */
TEST_F(altvm_numa, pages_come_back)
{
	struct vm *vm = &self->vm;
	char *p;

	if (!nodes_are_two())
		SKIP(return, "one node");
	if (proc_number("/proc/meminfo", "SwapTotal:") <= 0)
		SKIP(return, "no swap");
	p = settle(vm, 0, NR);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(0, vm_madvise(vm, p, NR * PAGE, MADV_PAGEOUT));
	EXPECT_EQ(0, vm_resident(vm, p));
	/* They are nowhere. */
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_INTERLEAVE, BOTH, STRICT));
	EXPECT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_BIND, 2, STRICT | MOVE));
	EXPECT_EQ(0, vm_resident(vm, p));
	EXPECT_TRUE(is_marked(p, NR));
	EXPECT_STREQ(ALL1, nodes_of(p, NR));
}

/* The system call is about the window, and does no harm. */
TEST_F(altvm_numa, the_system_call_on_a_window)
{
	struct vm *vm = &self->vm;
	unsigned long one = 1;
	char *p = map_pages(vm);

	ASSERT_NE(MAP_FAILED, (void *)p);
	mark(p, NR);
	ASSERT_EQ(0, bind_pages(vm, FIRST, NR, MPOL_LOCAL, 0, 0));
	EXPECT_FAIL(EINVAL,
		    syscall(SYS_mbind, p, PAGE, MPOL_BIND, &one, 64, MOVE));
	EXPECT_EQ(0, syscall(SYS_mbind, vm->base, ZONE * PAGE, MPOL_BIND, &one,
			     64, MOVE | MOVE_ALL));
	EXPECT_EQ(MPOL_LOCAL, vm_policy(vm, p, NULL));
	EXPECT_TRUE(is_marked(p, NR));
	mark(vm_map_at(vm, FIRST, NR, RW), NR);
	EXPECT_EQ(MPOL_DEFAULT, vm_policy(vm, p, NULL));
	EXPECT_TRUE(is_marked(p, NR));
}

/* ioctl(2) as a 32-bit program makes it; -1 and errno. */
static int ioctl32(int fd, unsigned int cmd, void *arg)
{
	long ret;

	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "a"(54), "b"(fd), "c"(cmd), "d"(arg)
		     : "r8", "r9", "r10", "r11", "memory");
	if ((int)ret >= 0)
		return (int)ret;
	errno = -(int)ret;
	return -1;
}

/* Sets of nodes have words of 32 bits for them. */
TEST(sets_of_32_bit_programs)
{
	struct vm vm = { .ops = &vm_ioctl };
	struct altvm_get_mempolicy *get;
	struct altvm_mbind *bind;
	unsigned int *set;
	char *low;

	if (!vm_available(&vm_ioctl))
		SKIP(return, "no " DEVICE);
	ASSERT_EQ(0, vm_ioctl.open(&vm, (void *)0x60000000, ZONE * PAGE, RWX));
	low = mmap((void *)0x58000000, 2 * PAGE, RW,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	ASSERT_EQ(0x58000000, (uintptr_t)low);
	ASSERT_EQ(0, munmap(low + PAGE, PAGE));
	ASSERT_NE(MAP_FAILED, (void *)map_pages(&vm));
	set = (unsigned int *)(low + PAGE) - 1;
	*set = 1;
	bind = (void *)low;
	*bind = (struct altvm_mbind){
		.size = sizeof(*bind),
		.addr = (uintptr_t)vm_page(&vm, FIRST),
		.length = PAGE,
		.nodemask = (uintptr_t)set,
		.maxnode = 33,
		.mode = MPOL_BIND,
	};
	if (ioctl32(vm.fd, ALTVM_MBIND, bind) && errno == ENOSYS)
		SKIP(return, "no 32-bit system calls");
	EXPECT_EQ(0, ioctl32(vm.fd, ALTVM_MBIND, bind));
	EXPECT_FAIL(EFAULT, ioctl(vm.fd, ALTVM_MBIND, bind));
	bind->maxnode = 34;
	EXPECT_FAIL(EFAULT, ioctl32(vm.fd, ALTVM_MBIND, bind));
	bind->nodemask -= 4;
	set[-1] = 3;
	*set = 0;
	EXPECT_EQ(0, ioctl32(vm.fd, ALTVM_MBIND, bind));
	get = (void *)low;
	*get = (struct altvm_get_mempolicy){
		.size = sizeof(*get),
		.flags = MPOL_F_ADDR,
		.addr = (uintptr_t)vm_page(&vm, FIRST),
		.nodemask = (uintptr_t)(set - 1),
		.maxnode = 32,
	};
	*set = -1;
	EXPECT_FAIL(0, ioctl32(vm.fd, ALTVM_GET_MEMPOLICY, get));
	EXPECT_EQ(MPOL_BIND, get->out_mode);
	EXPECT_EQ(nodes_there() & 3, set[-1]);
	EXPECT_EQ(0, *set);
	get->nodemask += 4;
	EXPECT_FAIL(EFAULT, ioctl32(vm.fd, ALTVM_GET_MEMPOLICY, get));
	vm_close(&vm);
	munmap(low, PAGE);
}

/* The library hands all on. */
TEST(through_the_library)
{
	unsigned long nodes;
	struct vm vm;
	int mode;
	char *p;

	if (!vm_available(&vm_lib))
		SKIP(return, "no " DEVICE);
	ASSERT_EQ(0, vm_open(&vm, &vm_lib, ZONE * PAGE));
	p = map_pages(&vm);
	EXPECT_EQ(0, vm_mbind(&vm, p, PAGE, MPOL_BIND | STATIC, 5, MOVE));
	EXPECT_EQ(MPOL_BIND | STATIC, vm_policy(&vm, p, &nodes));
	EXPECT_EQ(5, nodes);
	EXPECT_EQ(0, vm_set_mempolicy(&vm, MPOL_PREFERRED, 1));
	EXPECT_EQ(0, vm_get_mempolicy(&vm, &mode, &nodes, NULL, 0));
	EXPECT_EQ(MPOL_PREFERRED, mode);
	EXPECT_FAIL(EINVAL, vm_mbind(&vm, p, PAGE, -1, 0, 0));
	EXPECT_FAIL(EINVAL, vm_set_mempolicy(&vm, -1, 0));
	EXPECT_FAIL(EFAULT,
		    vm_get_mempolicy(&vm, &mode, NULL, NULL, MPOL_F_ADDR));
	vm_close(&vm);
}

/* The listing tells policies. */
TEST_F(altvm_numa, in_the_listing)
{
	static const struct {
		int mode;
		unsigned long nodes;
		const char *text;
	} lines[] = {
		{ MPOL_BIND, 1, "[bind:0]" },
		{ MPOL_PREFERRED, 1, "[prefer:0]" },
		{ MPOL_INTERLEAVE, 1, "[interleave:0]" },
		{ MPOL_LOCAL, 0, "[local]" },
		{ PREFERRED_MANY, 1, "[prefer-many:0]" },
		{ WEIGHTED_INTERLEAVE, 1, "[weighted-interleave:0]" },
		{ MPOL_BIND | STATIC, 0x101, "[bind=static:0]" },
		{ MPOL_BIND | RELATIVE, 1, "[bind=relative:0]" },
	};
	struct vm *vm = &self->vm;
	char path[64], line[512];
	size_t i;
	FILE *f;

	ASSERT_NE(MAP_FAILED, (void *)map_pages(vm));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", vm->fd);
	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		bool found = false;

		ASSERT_EQ(0, bind_pages(vm, FIRST, NR, lines[i].mode,
					lines[i].nodes, 0));
		f = fopen(path, "re");
		ASSERT_NE(NULL, f);
		while (fgets(line, sizeof(line), f))
			found |= !!strstr(line, lines[i].text);
		fclose(f);
		EXPECT_TRUE(found)
		{
			TH_LOG("%s", lines[i].text);
		}
	}
}

TEST_HARNESS_MAIN
