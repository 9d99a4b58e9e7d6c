// SPDX-License-Identifier: GPL-2.0
/*
 * process_vm_readv and process_vm_writev: what is copied, and what is refused.  Who may
 * is in rights.c.
 *
 * Each test runs on the kernel's own calls and memory, on altvm's, and with the
 * kernel's own calls on altvm's memory.
 */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "fixture.h"
#include "memory.h"
#include "remote.h"

#define ZONE 256
#define FIRST 8

VM_FIXTURE(remote, ZONE);

VM_VARIANT(remote, kernels_calls_on_altvm, &vm_outside);

static bool is_outside(struct vm *vm)
{
	return vm->ops == &vm_outside;
}

/* Pages of the zone, each byte of which says where it is. */
static char mark_at(size_t i, int salt)
{
	return (char)(i * 7 + i / PAGE + salt);
}

static void mark(char *p, size_t len, int salt)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = mark_at(i, salt);
}

static bool is_marked(const char *p, size_t len, size_t at, int salt)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != mark_at(at + i, salt))
			return false;
	return true;
}

/* A child with a copy of the zone, which it has marked its own way. */
static bool marking_peer(struct vm *vm, struct peer *peer, size_t pages)
{
	if (peer_fork(peer)) {
		mark(vm_page(vm, FIRST), pages * PAGE, 1);
		say(peer->line);
		/* It is asked whether what has been written is right. */
		while (hear(peer->line))
			say_byte(peer->line, is_marked(vm_page(vm, FIRST),
						       pages * PAGE, 0, 2) ?
						     'y' :
						     'n');
		_exit(0);
	}
	return peer->pid > 0 && hear(peer->line);
}

TEST_F(remote, both_ways)
{
	struct vm *vm = &self->vm;
	static char buffer[16 * PAGE];
	struct peer peer = {};
	char *zone = vm_page(vm, FIRST);

	ASSERT_EQ(zone, vm_map_at(vm, FIRST, 16, RW));
	memset(zone, 'p', 16 * PAGE);
	ASSERT_TRUE(marking_peer(vm, &peer, 16));
	EXPECT_EQ(16 * PAGE, vm_fetch(vm, peer.pid, buffer, zone, 16 * PAGE));
	EXPECT_TRUE(is_marked(buffer, 16 * PAGE, 0, 1));
	EXPECT_EQ(100, vm_fetch(vm, peer.pid, buffer, zone + PAGE - 50, 100));
	EXPECT_TRUE(is_marked(buffer, 100, PAGE - 50, 1));
	EXPECT_EQ(1, vm_fetch(vm, peer.pid, buffer, zone + 16 * PAGE - 1, 1));
	EXPECT_TRUE(is_marked(buffer, 1, 16 * PAGE - 1, 1));

	mark(buffer, 16 * PAGE, 2);
	EXPECT_EQ(16 * PAGE, vm_put(vm, peer.pid, zone, buffer, 16 * PAGE));
	say(peer.line);
	EXPECT_EQ('y', peer_hear(&peer));
	/* The copy is its own. */
	EXPECT_EQ('p', zone[0]);
	EXPECT_EQ('p', zone[16 * PAGE - 1]);
	peer_end(&peer);
}

/* Pieces that have nothing to do with each other on the two sides. */
TEST_F(remote, many_pieces)
{
	struct vm *vm = &self->vm;
	static char buffer[32 * PAGE];
	struct iovec local[64], remote[64];
	struct rng rng = { 1 };
	size_t i, at = 0, total = 0;
	struct peer peer = {};
	char *zone = vm_page(vm, FIRST);

	ASSERT_EQ(zone, vm_map_at(vm, FIRST, 64, RW));
	ASSERT_TRUE(marking_peer(vm, &peer, 64));
	for (i = 0; i < 64; i++) {
		remote[i].iov_base = zone + rng_below(&rng, 60 * PAGE);
		remote[i].iov_len = rng_below(&rng, 3 * PAGE / 2);
		total += remote[i].iov_len;
		local[i].iov_base = buffer + i * PAGE / 2;
		local[i].iov_len = rng_below(&rng, PAGE / 2);
		at += local[i].iov_len;
	}
	/* What is there ends, or what there is room for. */
	total = total < at ? total : at;
	ASSERT_EQ((ssize_t)total,
		  vm_process(vm, false, peer.pid, local, 64, remote, 64));
	/* Gone through byte by byte. */
	size_t l = 0, lo = 0, r = 0, ro = 0;

	for (i = 0; i < total; i++) {
		while (lo == local[l].iov_len)
			l++, lo = 0;
		while (ro == remote[r].iov_len)
			r++, ro = 0;
		at = (char *)remote[r].iov_base - zone + ro++;
		if (((char *)local[l].iov_base)[lo++] != mark_at(at, 1))
			break;
	}
	EXPECT_EQ(total, i);
	peer_end(&peer);
}

/* More pages than are pinned at once. */
TEST_F(remote, much_at_once)
{
	struct vm *vm = &self->vm;
	const size_t len = 3000 * PAGE + 123;
	struct peer peer = {};
	struct vm big;
	char *buffer;

	ASSERT_EQ(0, vm_open(&big, variant->ops, 4096 * PAGE));
	buffer = mmap(NULL, len, RW, ANON, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)buffer);
	ASSERT_NE(MAP_FAILED,
		  vm_mmap(&big, big.base, 3001 * PAGE, RW, ANON | MAP_FIXED));
	if (peer_fork(&peer)) {
		mark(big.base, 3001 * PAGE, 1);
		say(peer.line);
		peer_idle(&peer);
	}
	ASSERT_TRUE(hear(peer.line));
	EXPECT_EQ((ssize_t)len,
		  vm_fetch(vm, peer.pid, buffer, big.base + 7, len));
	EXPECT_TRUE(is_marked(buffer, len, 7, 1));
	EXPECT_EQ((ssize_t)len,
		  vm_put(vm, peer.pid, big.base + 3, buffer, len));
	memset(buffer, 0, len);
	EXPECT_EQ((ssize_t)len,
		  vm_fetch(vm, peer.pid, buffer, big.base + 3, len));
	EXPECT_TRUE(is_marked(buffer, len, 7, 1));
	munmap(buffer, len);
	vm_close(&big);
	peer_end(&peer);
}

/* It ends where the process has nothing, or not with that right. */
TEST_F(remote, partial)
{
	struct vm *vm = &self->vm;
	static char buffer[16 * PAGE];
	static const int prots[] = { PROT_NONE,
				     PROT_READ,
				     PROT_WRITE,
				     PROT_EXEC,
				     RW,
				     RX,
				     PROT_WRITE | PROT_EXEC };
	char *zone = vm_page(vm, FIRST);
	struct peer peer = {};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		const bool r = prots[i] & PROT_READ, w = prots[i] & PROT_WRITE;

		ASSERT_EQ(zone, vm_map_at(vm, FIRST, 16, RW));
		memset(zone, 'p', 16 * PAGE);
		ASSERT_EQ(0,
			  vm_mprotect(vm, zone + 4 * PAGE, 2 * PAGE, prots[i]));
		ASSERT_EQ(0, vm_munmap(vm, zone + 10 * PAGE, PAGE));
		if (peer_fork(&peer))
			peer_idle(&peer);
		/* The kernel's own look at the window's rights. */
		if (!is_outside(vm) || !prots[i]) {
			EXPECT_EQ(r ? 10 * PAGE - 5 : 4 * PAGE - 5,
				  vm_fetch(vm, peer.pid, buffer, zone + 5,
					   16 * PAGE - 5));
			EXPECT_EQ(r ? (ssize_t)PAGE : -EFAULT,
				  vm_fetch(vm, peer.pid, buffer,
					   zone + 5 * PAGE, PAGE));
		}
		EXPECT_EQ(w ? 10 * PAGE - 5 : 4 * PAGE - 5,
			  vm_put(vm, peer.pid, zone + 5, buffer,
				 16 * PAGE - 5));
		EXPECT_EQ(w ? (ssize_t)PAGE : -EFAULT,
			  vm_put(vm, peer.pid, zone + 5 * PAGE, buffer, PAGE));
		EXPECT_EQ(-EFAULT,
			  vm_fetch(vm, peer.pid, buffer, zone + 10 * PAGE, 1));
		EXPECT_EQ(-EFAULT,
			  vm_put(vm, peer.pid, zone + 10 * PAGE, buffer, 1));
		EXPECT_EQ(5 * PAGE, vm_fetch(vm, peer.pid, buffer,
					     zone + 11 * PAGE, 5 * PAGE));
		peer_end(&peer);
	}
}

/* The pieces behind one that fails are not looked at. */
TEST_F(remote, a_bad_piece_is_the_last)
{
	struct vm *vm = &self->vm;
	static char buffer[8 * PAGE];
	char *zone = vm_page(vm, FIRST);
	struct iovec local = { buffer, sizeof(buffer) };
	struct iovec remote[] = { { zone, PAGE },
				  { zone + 2 * PAGE, 1 },
				  { zone, PAGE } };
	struct peer peer = {};

	ASSERT_EQ(zone, vm_map_at(vm, FIRST, 2, RW));
	ASSERT_TRUE(marking_peer(vm, &peer, 2));
	EXPECT_EQ(PAGE, (size_t)vm_process(vm, false, peer.pid, &local, 1,
					   remote, 3));
	EXPECT_FAIL(EFAULT,
		    vm_process(vm, false, peer.pid, &local, 1, remote + 1, 2));
	/* Nor is one that there is no room for. */
	local.iov_len = PAGE;
	EXPECT_EQ(PAGE, (size_t)vm_process(vm, false, peer.pid, &local, 1,
					   remote, 3));
	peer_end(&peer);
}

/* The caller's own memory is altvm's, too. */
TEST_F(remote, local_memory)
{
	struct vm *vm = &self->vm;
	char *zone = vm_page(vm, FIRST), *mine = vm_page(vm, FIRST + 64);
	struct peer peer = {};

	ASSERT_EQ(zone, vm_map_at(vm, FIRST, 16, RW));
	ASSERT_TRUE(marking_peer(vm, &peer, 16));
	ASSERT_EQ(mine, vm_map_at(vm, FIRST + 64, 16, RW));
	EXPECT_EQ(16 * PAGE, vm_fetch(vm, peer.pid, mine, zone, 16 * PAGE));
	EXPECT_TRUE(is_marked(mine, 16 * PAGE, 0, 1));
	ASSERT_EQ(0, vm_mprotect(vm, mine + 4 * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(4 * PAGE, vm_fetch(vm, peer.pid, mine, zone, 16 * PAGE));
	EXPECT_EQ(-EFAULT, vm_fetch(vm, peer.pid, mine + 4 * PAGE, zone, PAGE));
	EXPECT_EQ(16 * PAGE, vm_put(vm, peer.pid, zone, mine, 16 * PAGE));
	ASSERT_EQ(0, vm_mprotect(vm, mine + 4 * PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(4 * PAGE, vm_put(vm, peer.pid, zone, mine, 16 * PAGE));
	ASSERT_EQ(0, vm_munmap(vm, mine + 8 * PAGE, PAGE));
	EXPECT_EQ(-EFAULT, vm_put(vm, peer.pid, zone, mine + 8 * PAGE, PAGE));
	peer_end(&peer);
}

/* A child that has not touched anything since it was forked. */
TEST_F(remote, an_idle_child)
{
	struct vm *vm = &self->vm;
	char *zone = vm_page(vm, FIRST), buffer[4 * PAGE];
	struct peer peer = {}, grandchild = {};
	enum memory m;

	for_each_memory(m) {
		int fd = nameless_file(files_dir(), ZONE * PAGE);

		ASSERT_LE(0, fd);
		ASSERT_EQ(zone, memory_map(vm, m, FIRST, 4, RW, fd));
		mark(zone, 4 * PAGE, 1);
		if (peer_fork(&peer)) {
			if (peer_fork(&grandchild))
				peer_idle(&grandchild);
			send(peer.line, &grandchild.pid, sizeof(pid_t), 0);
			peer_idle(&peer);
		}
		ASSERT_EQ(sizeof(pid_t),
			  read(peer.line, &grandchild.pid, sizeof(pid_t)));
		EXPECT_EQ(4 * PAGE,
			  vm_fetch(vm, grandchild.pid, buffer, zone, 4 * PAGE));
		EXPECT_TRUE(is_marked(buffer, 4 * PAGE, 0, 1));
		EXPECT_EQ(4, vm_put(vm, peer.pid, zone + 3 * PAGE, "chld", 4));
		EXPECT_EQ(4 * PAGE,
			  vm_fetch(vm, peer.pid, buffer, zone, 4 * PAGE));
		EXPECT_TRUE(is_marked(buffer, 3 * PAGE, 0, 1));
		EXPECT_EQ(0, memcmp(buffer + 3 * PAGE, "chld", 4));
		EXPECT_EQ(memory_is_shared(m),
			  !memcmp(zone + 3 * PAGE, "chld", 4));
		peer_end(&peer);
		close(fd);
	}
}

/* Files: what is not cached yet, behind the end, copies of them. */
TEST_F(remote, files)
{
	struct vm *vm = &self->vm;
	char *zone = vm_page(vm, FIRST), buffer[8 * PAGE];
	int fd = nameless_file(files_dir(), ZONE * PAGE);
	struct peer peer = {};
	enum memory m;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, (FIRST + 5) * PAGE));
	for (m = PRIVATE_FILE; m <= SHARED_FILE; m++) {
		if (peer_fork(&peer)) {
			CHECK(memory_map(vm, m, FIRST, 8, RW, fd) == zone);
			say(peer.line);
			peer_idle(&peer);
		}
		ASSERT_TRUE(hear(peer.line));
		EXPECT_EQ(5, pwrite(fd, "first", 5, (FIRST + 1) * PAGE));
		EXPECT_EQ(5 * PAGE,
			  vm_fetch(vm, peer.pid, buffer, zone, 8 * PAGE));
		EXPECT_EQ(0, memcmp(buffer + PAGE, "first", 5));
		EXPECT_EQ(5 * PAGE,
			  vm_put(vm, peer.pid, zone, buffer, 8 * PAGE));
		EXPECT_EQ(5, vm_put(vm, peer.pid, zone + PAGE, "other", 5));
		EXPECT_EQ(5, pread(fd, buffer, 5, (FIRST + 1) * PAGE));
		EXPECT_EQ(m == SHARED_FILE, !memcmp(buffer, "other", 5));
		EXPECT_EQ(5, vm_fetch(vm, peer.pid, buffer, zone + PAGE, 5));
		EXPECT_EQ(0, memcmp(buffer, "other", 5));
		peer_end(&peer);
	}
	close(fd);
}

/* To oneself, from one place to another and onto itself. */
TEST_F(remote, to_oneself)
{
	struct vm *vm = &self->vm;
	char *zone = vm_page(vm, FIRST);

	ASSERT_EQ(zone, vm_map_at(vm, FIRST, 16, RW));
	mark(zone, 8 * PAGE, 1);
	EXPECT_EQ(8 * PAGE,
		  vm_put(vm, getpid(), zone + 8 * PAGE, zone, 8 * PAGE));
	EXPECT_TRUE(is_marked(zone + 8 * PAGE, 8 * PAGE, 0, 1));
	EXPECT_EQ(8 * PAGE, vm_fetch(vm, getpid(), zone, zone, 8 * PAGE));
	EXPECT_TRUE(is_marked(zone, 8 * PAGE, 0, 1));
	ASSERT_EQ(0, vm_mprotect(vm, zone, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, vm_put(vm, getpid(), zone, zone, PAGE));
	EXPECT_EQ(-EFAULT, vm_fetch(vm, getpid(), zone, zone, PAGE));
}

static void *wait_in_thread(void *arg)
{
	*(pid_t *)arg = syscall(SYS_gettid);
	pause();
	return NULL;
}

TEST_F(remote, who_is_meant)
{
	struct vm *vm = &self->vm;
	static const pid_t nobody[] = { 0, -1, INT_MIN, INT_MAX, 4194305 };
	char *zone = vm_page(vm, FIRST), buffer[8];
	volatile pid_t tid = 0;
	struct peer peer = {};
	pthread_t thread;
	size_t i;

	ASSERT_EQ(zone, vm_map_at(vm, FIRST, 1, RW));
	mark(zone, PAGE, 1);
	for (i = 0; i < ARRAY_SIZE(nobody); i++) {
		EXPECT_EQ(-ESRCH, vm_fetch(vm, nobody[i], buffer, zone, 8));
		EXPECT_EQ(-ESRCH, vm_put(vm, nobody[i], zone, buffer, 8));
	}
	/* A kernel thread has no memory. */
	if (!geteuid())
		EXPECT_EQ(-ESRCH, vm_fetch(vm, 2, buffer, zone, 8));
	/* Any thread stands for its process. */
	ASSERT_EQ(0,
		  pthread_create(&thread, NULL, wait_in_thread, (void *)&tid));
	while (!tid)
		sched_yield();
	EXPECT_EQ(8, vm_fetch(vm, tid, buffer, zone, 8));
	EXPECT_TRUE(is_marked(buffer, 8, 0, 1));
	/* Whoever has ended has no memory either. */
	if (peer_fork(&peer))
		_exit(0);
	EXPECT_FALSE(hear(peer.line));
	while (vm_fetch(vm, peer.pid, buffer, zone, 8) == 8)
		;
	EXPECT_EQ(-ESRCH, vm_fetch(vm, peer.pid, buffer, zone, 8));
	EXPECT_EQ(-ESRCH, vm_put(vm, peer.pid, zone, buffer, 8));
	peer_end(&peer);
	EXPECT_EQ(-ESRCH, vm_fetch(vm, peer.pid, buffer, zone, 8));
}

/*
 * Arguments of all kinds, by the kernel's call and by ours: the result, the errno and
 * what is in the memory afterwards are the same.
 */
static const unsigned long odd_counts[] = {
	0,	   1,	 2,	    3,	       1023,
	1024,	   1025, 1UL << 31, 1UL << 32, (1UL << 32) + 1,
	1UL << 63, ~0UL,
};

static const unsigned long odd_lens[] = {
	0,	   1,	      2,	  PAGE - 1,   PAGE,	 PAGE + 1,
	3 * PAGE,  20 * PAGE, 0x7ffff000, 0x7fffffff, 1UL << 32, 1UL << 46,
	1UL << 62, ~0UL >> 1, 1UL << 63,  -PAGE,      ~0UL,
};

static const unsigned long odd_addrs[] = {
	0,
	1,
	8,
	-1UL,
	-8UL,
	-PAGE,
	1UL << 47,
	1UL << 63,
	0x7fffffffe000,
	0x7ffffffff000,
	0xffffffff81000000,
};

#define PICK(rng, array) (array)[rng_below(rng, ARRAY_SIZE(array))]

static void pick_vec(struct rng *rng, struct iovec *vec, char *memory)
{
	vec->iov_base = memory + rng_below(rng, 12 * PAGE);
	vec->iov_len = rng_below(rng, PAGE);
	if (!rng_below(rng, 4))
		vec->iov_len = PICK(rng, odd_lens);
	if (!rng_below(rng, 12))
		vec->iov_base = (void *)PICK(rng, odd_addrs);
}

/* Now and then, the vector is not there, or its length is not true. */
static void pick_count(struct rng *rng, const struct iovec **vec,
		       unsigned long *nr)
{
	*nr = 1 + rng_below(rng, 12);
	if (!rng_below(rng, 8))
		*nr = PICK(rng, odd_counts);
	if (!rng_below(rng, 12))
		*vec = (void *)PICK(rng, odd_addrs);
}

struct odd {
	struct iovec vecs[2][1030];
	const struct iovec *vec[2];
	unsigned long nr[2], flags;
	pid_t pid;
	bool write;
};

static void pick_odd(struct rng *rng, struct odd *odd, char *local,
		     char *remote, pid_t pid)
{
	static const unsigned long flags[] = { 2, 3, 1UL << 31 };
	static const pid_t pids[] = { 0, -1, INT_MAX, 2 };
	size_t i;

	for (i = 0; i < 12; i++) {
		pick_vec(rng, &odd->vecs[0][i], local);
		pick_vec(rng, &odd->vecs[1][i], remote);
	}
	odd->write = rng_below(rng, 2);
	odd->pid = rng_below(rng, 20) ? pid : PICK(rng, pids);
	odd->flags = rng_below(rng, 20) ? 0 : PICK(rng, flags);
	for (i = 0; i < 2; i++) {
		odd->vec[i] = odd->vecs[i];
		pick_count(rng, &odd->vec[i], &odd->nr[i]);
	}
}

static ssize_t do_odd(struct vm *vm, const struct vm_ops *ops,
		      const struct odd *odd)
{
	ssize_t n = ops->process_vm(vm, odd->write, odd->pid, odd->vec[0],
				    odd->nr[0], odd->vec[1], odd->nr[1],
				    odd->flags);

	return n < 0 ? -errno : n;
}

/* Memory with something of everything, 16 pages of it. */
static void make_odd_memory(struct vm *vm, char *at)
{
	CHECK(vm_mmap(vm, at, 16 * PAGE, RW, ANON | MAP_FIXED) == at);
	memset(at, 'm', 16 * PAGE);
	CHECK(!vm_mprotect(vm, at + 5 * PAGE, PAGE, PROT_READ));
	CHECK(!vm_mprotect(vm, at + 8 * PAGE, PAGE, PROT_NONE));
	CHECK(!vm_munmap(vm, at + 11 * PAGE, PAGE));
}

/* The same state before either call, on both sides. */
static void fill_odd_memory(char *at, uint64_t salt)
{
	uint64_t *words = (uint64_t *)at;
	size_t i, page;

	for (page = 0; page < 12; page++)
		for (i = page * PAGE / 8; i < (page + 1) * PAGE / 8; i++)
			if (page != 5 && page != 8 && page != 11)
				words[i] = (i + salt) * 0x9e3779b97f4a7c15;
}

static uint64_t sum_odd_memory(const char *at)
{
	const uint64_t *words = (const uint64_t *)at;
	uint64_t sum = 0;
	size_t i, page;

	for (page = 0; page < 11; page++)
		for (i = page * PAGE / 8; i < (page + 1) * PAGE / 8; i++)
			if (page != 8)
				sum = sum * 31 + words[i];
	return sum;
}

/* Answers with what its memory is; and starts anew. */
static void be_odd_peer(struct vm *vm, struct peer *peer)
{
	char *at = vm_page(vm, FIRST);
	uint64_t sum;

	make_odd_memory(vm, at);
	do {
		sum = sum_odd_memory(at);
		fill_odd_memory(at, 1);
		if (send(peer->line, &sum, sizeof(sum), MSG_NOSIGNAL) < 0)
			break;
	} while (hear(peer->line));
	_exit(0);
}

static uint64_t peer_sum(struct peer *peer)
{
	uint64_t sum;

	if (read(peer->line, &sum, sizeof(sum)) != sizeof(sum))
		return 0;
	return sum;
}

static ssize_t try_odd(struct vm *vm, const struct vm_ops *ops,
		       const struct odd *odd, char *local, struct peer *peer,
		       uint64_t sums[2])
{
	ssize_t n;

	fill_odd_memory(local, 2);
	n = do_odd(vm, ops, odd);
	sums[0] = sum_odd_memory(local);
	say(peer->line);
	sums[1] = peer_sum(peer);
	return n;
}

TEST_F_TIMEOUT(remote, odd_arguments, SLOW)
{
	struct vm *vm = &self->vm, ours = { .ops = &vm_ioctl };
	uint64_t sums[2][2];
	ssize_t native, our;
	static struct odd odd;
	struct rng rng = { env_number("ALTVM_SEED", 7) };
	const long rounds = env_number("ALTVM_ROUNDS", scaled(600));
	struct peer peer = {};
	char *local;
	int i;

	if (is_outside(vm))
		SKIP(return, "the other two do it");
	ours.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (ours.fd < 0)
		SKIP(return, "no " DEVICE);
	local = vm_page(vm, FIRST + 64);
	make_odd_memory(vm, local);
	if (peer_fork(&peer))
		be_odd_peer(vm, &peer);
	peer_sum(&peer);
	for (i = 0; i < rounds; i++) {
		pick_odd(&rng, &odd, local, vm_page(vm, FIRST), peer.pid);
		native = try_odd(vm, &vm_native, &odd, local, &peer, sums[0]);
		our = try_odd(&ours, &vm_ioctl, &odd, local, &peer, sums[1]);
		ASSERT_EQ(native, our)
		{
			TH_LOG("round %d: %s %d, %lu at %p, %lu at %p, flags %lx",
			       i, odd.write ? "write" : "read", odd.pid,
			       odd.nr[0], odd.vec[0], odd.nr[1], odd.vec[1],
			       odd.flags);
		}
		ASSERT_EQ(0, memcmp(sums[0], sums[1], sizeof(sums[0])));
	}
	peer_end(&peer);
}

/* By hand, and with the answer known. */
TEST_F(remote, what_is_refused)
{
	struct vm *vm = &self->vm;
	static struct iovec many[1030];
	char *zone = vm_page(vm, FIRST), buffer[8];
	struct iovec v = { buffer, 8 }, r = { zone, 8 }, bad = { buffer, -1UL };
	struct iovec kernel = { (void *)(1UL << 63), 8 };
	const pid_t pid = getpid();
	size_t i;

	ASSERT_EQ(zone, vm_map_at(vm, FIRST, 1, RW));
	for (i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = r;
	EXPECT_EQ(8, vm_process(vm, false, pid, &v, 1, &r, 1));
	EXPECT_EQ(8, vm_process(vm, false, pid, &v, 1, many, 1024));
	EXPECT_EQ(8 * 1024, vm_process(vm, true, pid, many, 1024, many, 1024));
	EXPECT_FAIL(EINVAL, vm_process(vm, false, pid, &v, 1, many, 1025));
	EXPECT_FAIL(EINVAL, vm_process(vm, false, pid, many, 1025, &r, 1));
	EXPECT_FAIL(EINVAL, vm_process(vm, false, pid, &v, 1, &r, -1UL));
	EXPECT_FAIL(EINVAL, vm_process(vm, false, pid, &v, 1, &bad, 1));
	EXPECT_FAIL(EINVAL, vm_process(vm, true, pid, many, 1026, &r, 1));
	EXPECT_FAIL(EFAULT, vm_process(vm, false, pid, NULL, 1, &r, 1));
	EXPECT_FAIL(EFAULT, vm_process(vm, false, pid, &v, 1, NULL, 1));
	EXPECT_FAIL(EFAULT, vm_process(vm, true, pid, &v, 1, &kernel, 1));
	EXPECT_FAIL(EFAULT, vm_process(vm, true, pid, &kernel, 1, &r, 1));
	EXPECT_FAIL(EFAULT,
		    vm_process(vm, false, pid, (void *)zone + PAGE, 1, &r, 1));
	EXPECT_FAIL(EINVAL,
		    vm->ops->process_vm(vm, false, pid, &v, 1, &r, 1, 2));
	/* Nothing to do is done, whoever it is about. */
	EXPECT_EQ(0, vm_process(vm, false, pid, NULL, 0, NULL, 0));
	EXPECT_EQ(0, vm_process(vm, false, -1, &v, 0, NULL, -1UL));
	EXPECT_EQ(0, vm_process(vm, false, -1, &v, 1, &r, 0));
	r.iov_len = 0;
	EXPECT_EQ(0, vm_process(vm, false, -1, &v, 1, &r, 1));
	r.iov_len = 8;
	EXPECT_FAIL(ESRCH, vm_process(vm, false, -1, &v, 1, &r, 1));
}

/* Faults that a transfer meets wait for what is being changed. */
static volatile bool stop;

static void *changes_mappings(void *arg)
{
	struct vm *vm = arg;
	struct rng rng = { getpid() };

	while (!stop) {
		size_t at = FIRST + rng_below(&rng, 60);
		size_t nr = 1 + rng_below(&rng, 4);

		switch (rng_below(&rng, 4)) {
		case 0:
			vm_munmap(vm, vm_page(vm, at), nr * PAGE);
			break;
		case 1:
			vm_mprotect(vm, vm_page(vm, at), nr * PAGE, PROT_READ);
			break;
		default:
			vm_map_at(vm, at, nr, RW);
		}
	}
	return NULL;
}

static void be_busy_peer(struct vm *vm, struct peer *peer)
{
	pthread_t thread;
	pid_t pid;

	CHECK(!pthread_create(&thread, NULL, changes_mappings, vm));
	say(peer->line);
	for (;;) {
		pid = fork();
		if (!pid)
			_exit(0);
		end_of(pid);
	}
}

/* Bytes of a page are all of one time, or zero; what comes is what was put there. */
static bool looks_right(const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] && p[i] != 'w')
			return false;
	return true;
}

static bool transfer_some(struct vm *vm, struct peer *peer, struct rng *rng)
{
	char *at = vm_page(vm, FIRST) + rng_below(rng, 60 * PAGE);
	char buffer[5 * PAGE];
	size_t len = 1 + rng_below(rng, sizeof(buffer));
	ssize_t n;

	memset(buffer, 'w', sizeof(buffer));
	n = vm_copy(vm, rng_below(rng, 2), peer->pid, buffer, at, len);
	return (n >= -1 || n == -EFAULT || n == -ESRCH) && n <= (ssize_t)len &&
	       looks_right(buffer, sizeof(buffer));
}

TEST_F_TIMEOUT(remote, everything_changes_meanwhile, SLOW)
{
	struct vm *vm = &self->vm;
	struct rng rng = { 3 };
	struct peer peer = {};
	int i, round;

	for (round = 0; round < 3; round++) {
		if (peer_fork(&peer))
			be_busy_peer(vm, &peer);
		ASSERT_TRUE(hear(peer.line));
		for (i = 0; i < scaled(400); i++) {
			if (i == scaled(350))
				kill(peer.pid, SIGKILL);
			if (!transfer_some(vm, &peer, &rng))
				break;
		}
		EXPECT_EQ(scaled(400), i);
		peer_end(&peer);
	}
}

/* Who transfers is killed; the other one does not mind. */
TEST_F_TIMEOUT(remote, the_caller_is_killed, SLOW)
{
	struct vm *vm = &self->vm;
	char *zone = vm_page(vm, FIRST), buffer[8];
	struct rng rng = { 5 };
	struct peer peer = {}, caller = {};
	int i;

	ASSERT_EQ(zone, vm_map_at(vm, FIRST, 64, RW));
	if (peer_fork(&peer))
		peer_idle(&peer);
	for (i = 0; i < scaled(30); i++) {
		if (peer_fork(&caller)) {
			say(caller.line);
			for (;;)
				transfer_some(vm, &peer, &rng);
		}
		ASSERT_TRUE(hear(caller.line));
		usleep(rng_below(&rng, 5000));
		peer_end(&caller);
	}
	EXPECT_EQ(8, vm_fetch(vm, peer.pid, buffer, zone, 8));
	peer_end(&peer);
}

/*
 * A process that becomes another program all the time.  This is the program that it
 * becomes: see be_program().
 */
static char *const program[] = { "/proc/self/exe", "become", NULL };

static void __attribute__((constructor)) be_program(void)
{
	if (!getenv("BECOME"))
		return;
	if (atoi(getenv("BECOME")) == 0)
		pause();
	setenv("BECOME", atoi(getenv("BECOME")) % 2 ? "2" : "1", 1);
	execve(program[0], program, environ);
	_exit(1);
}

TEST_F_TIMEOUT(remote, it_becomes_another_program, SLOW)
{
	struct vm *vm = &self->vm;
	static int global;
	struct peer peer = {};
	int i, buffer;
	ssize_t n;

	if (peer_fork(&peer)) {
		setenv("BECOME", "1", 1);
		execve(program[0], program, environ);
		_exit(1);
	}
	for (i = 0; i < scaled(3000); i++) {
		n = vm_fetch(vm, peer.pid, &buffer, &global, sizeof(global));
		if (n != sizeof(global) && n != -EFAULT)
			break;
	}
	EXPECT_EQ(scaled(3000), i)
	{
		TH_LOG("%zd", n);
	}
	EXPECT_EQ(0, kill(peer.pid, 0));
	peer_end(&peer);
}

/* Pidfds, which the kernel's own calls do not take. */
ALTVM_FIXTURE(pidfd, ZONE);

static ssize_t fetch_by_pidfd(struct vm *vm, int pidfd, char *buffer)
{
	struct iovec l = { buffer, 8 }, r = { vm_page(vm, FIRST), 8 };
	ssize_t n = vm->ops->process_vm(vm, false, pidfd, &l, 1, &r, 1,
					ALTVM_PROCESS_PIDFD);

	return n < 0 ? -errno : n;
}

TEST_F(pidfd, means_its_process)
{
	struct vm *vm = &self->vm;
	char buffer[8];
	struct peer peer = {};

	ASSERT_EQ(vm_page(vm, FIRST), vm_map_at(vm, FIRST, 1, RW));
	ASSERT_TRUE(marking_peer(vm, &peer, 1));
	EXPECT_EQ(8, fetch_by_pidfd(vm, peer.pidfd, buffer));
	EXPECT_TRUE(is_marked(buffer, 8, 0, 1));
	kill(peer.pid, SIGKILL);
	while (fetch_by_pidfd(vm, peer.pidfd, buffer) == 8)
		;
	EXPECT_EQ(-ESRCH, fetch_by_pidfd(vm, peer.pidfd, buffer));
	end_of(peer.pid);
	EXPECT_EQ(-ESRCH, fetch_by_pidfd(vm, peer.pidfd, buffer));
	peer_end(&peer);
}

TEST_F(pidfd, other_files_are_none)
{
	struct vm *vm = &self->vm;
	int fds[2], self_dir, memory, path, self_fd = open_pidfd(getpid());
	char buffer[8], name[64];

	ASSERT_EQ(vm_page(vm, FIRST), vm_map_at(vm, FIRST, 1, RW));
	ASSERT_EQ(0, pipe(fds));
	self_dir = open("/proc/self", O_RDONLY | O_DIRECTORY);
	memory = memfd_create("memory", 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", self_fd);
	path = open(name, O_PATH);
	EXPECT_EQ(8, fetch_by_pidfd(vm, self_fd, buffer));
	EXPECT_EQ(-EBADF, fetch_by_pidfd(vm, -1, buffer));
	EXPECT_EQ(-EBADF, fetch_by_pidfd(vm, INT_MIN, buffer));
	EXPECT_EQ(-EBADF, fetch_by_pidfd(vm, INT_MAX, buffer));
	EXPECT_EQ(-EBADF, fetch_by_pidfd(vm, self_dir, buffer));
	EXPECT_EQ(-EBADF, fetch_by_pidfd(vm, memory, buffer));
	EXPECT_EQ(-EBADF, fetch_by_pidfd(vm, fds[0], buffer));
	EXPECT_EQ(-EBADF, fetch_by_pidfd(vm, vm->fd, buffer));
	EXPECT_EQ(-EBADF, fetch_by_pidfd(vm, path, buffer));
	/* Without the flag it is a number. */
	EXPECT_EQ(-ESRCH, vm_fetch(vm, 1000 + self_fd + (1 << 22), buffer,
				   vm_page(vm, FIRST), 8));
	close(self_fd);
	EXPECT_EQ(-EBADF, fetch_by_pidfd(vm, self_fd, buffer));
}

TEST_F(pidfd, of_a_thread)
{
	struct vm *vm = &self->vm;
	volatile pid_t tid = 0;
	pthread_t thread;
	char buffer[8];
	int fd;

	ASSERT_EQ(vm_page(vm, FIRST), vm_map_at(vm, FIRST, 1, RW));
	ASSERT_EQ(0,
		  pthread_create(&thread, NULL, wait_in_thread, (void *)&tid));
	while (!tid)
		sched_yield();
	fd = syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ESRCH, fetch_by_pidfd(vm, fd, buffer));
	close(fd);
	fd = syscall(SYS_pidfd_open, getpid(), PIDFD_THREAD);
	EXPECT_EQ(8, fetch_by_pidfd(vm, fd, buffer));
	close(fd);
}

/* The system calls of 32-bit programs, which can be made from here. */
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
	int pid = fork();

	if (!pid)
		_exit(ioctl32(-1, 0, NULL) != -EBADF);
	return end_of(pid) == 0;
}

struct vec32 {
	uint32_t base, len;
};

/* This program's own memory is below 4 GiB. */
TEST_F(pidfd, vectors_of_32_bit_programs)
{
	static char from[64] = "what a 32-bit program reads", to[64];
	static struct vec32 local[2], remote[2];
	static struct altvm_process_vm arg;

	if ((uintptr_t)to >> 32 || !can_call_32())
		SKIP(return, "no 32-bit system calls");
	local[0] = (struct vec32){ (uintptr_t)to, 5 };
	local[1] = (struct vec32){ (uintptr_t)to + 5, 20 };
	remote[0] = (struct vec32){ (uintptr_t)from, 7 };
	remote[1] = (struct vec32){ (uintptr_t)from + 7, 30 };
	arg.size = sizeof(arg);
	arg.pid = getpid();
	arg.local = (uintptr_t)local;
	arg.nr_local = 2;
	arg.remote = (uintptr_t)remote;
	arg.nr_remote = 2;
	EXPECT_EQ(0, ioctl32(self->fd, ALTVM_PROCESS_VM_READV, &arg));
	EXPECT_EQ(25, arg.out_bytes);
	EXPECT_EQ(0, memcmp(from, to, 25));
	remote[1].len = -1;
	EXPECT_EQ(-EINVAL, ioctl32(self->fd, ALTVM_PROCESS_VM_READV, &arg));
	arg.remote = 0xffffffffUL;
	EXPECT_EQ(-EFAULT, ioctl32(self->fd, ALTVM_PROCESS_VM_READV, &arg));
}

/* Through the library. */
TEST(library)
{
	struct iovec l, r;
	struct vm vm;
	char buffer[8], *p;

	if (!vm_available(&vm_lib))
		SKIP(return, "no " DEVICE);
	ASSERT_EQ(0, vm_open(&vm, &vm_lib, ZONE * PAGE));
	p = vm_map_at(&vm, FIRST, 1, RW);
	ASSERT_NE(MAP_FAILED, (void *)p);
	mark(p, PAGE, 1);
	EXPECT_EQ(8, vm_fetch(&vm, getpid(), buffer, p, 8));
	EXPECT_TRUE(is_marked(buffer, 8, 0, 1));
	EXPECT_EQ(3, vm_put(&vm, getpid(), p, "abc", 3));
	EXPECT_EQ(0, memcmp(p, "abc", 3));
	EXPECT_EQ(-EFAULT, vm_fetch(&vm, getpid(), buffer, p + PAGE, 8));
	EXPECT_EQ(-ESRCH, vm_fetch(&vm, -1, buffer, p, 8));
	l = (struct iovec){ buffer, 8 };
	r = (struct iovec){ p, 8 };
	EXPECT_FAIL(EINVAL, vm.ops->process_vm(&vm, false, getpid(), &l, 1, &r,
					       1, 1UL << 32));
	EXPECT_FAIL(EINVAL,
		    vm.ops->process_vm(&vm, false, getpid(), &l, 1, &r, 1, 2));
	EXPECT_FAIL(EBADF, vm.ops->process_vm(&vm, false, -1, &l, 1, &r, 1,
					      ALTVM_PROCESS_PIDFD));
	vm_close(&vm);
}

TEST_HARNESS_MAIN
