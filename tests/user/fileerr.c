// SPDX-License-Identifier: GPL-2.0
/*
 * What cannot be mapped, and with which errno; and what is not quite a file:
 * shared anonymous memory, /dev/zero, devices.
 */
#include <arpa/inet.h>
#include <linux/fs.h>
#include <linux/if_packet.h>
#include <linux/perf_event.h>
#include <net/ethernet.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/swap.h>
#include <sys/syscall.h>

#include "files.h"

#define PAGES 64
#define MAP_UNKNOWN 0x200000

#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif

FILE_FIXTURE(fileerr, PAGES);

static const int types[] = { MAP_SHARED, MAP_SHARED_VALIDATE, MAP_PRIVATE };
static const int prots[] = { PROT_NONE, PROT_READ, PROT_WRITE, RW, RX, RWX };

#define EXPECT_MAPS(...) \
	EXPECT_NE(MAP_FAILED, (void *)map_at(&self->vm, __VA_ARGS__))
#define EXPECT_MAP_FAIL(want, ...) \
	EXPECT_FAIL(want, map_at(&self->vm, __VA_ARGS__))

/* The descriptor */

TEST_F(fileerr, needs_a_readable_descriptor)
{
	int fd = file_reopen(self->fd, O_WRONLY);
	size_t i, k;

	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		for (k = 0; k < ARRAY_SIZE(prots); k++)
			EXPECT_MAP_FAIL(EACCES, 0, 1, prots[k], types[i], fd,
					0);
	close(fd);
}

TEST_F(fileerr, needs_a_writable_descriptor_to_share_stores)
{
	int fd = file_reopen(self->fd, O_RDONLY);
	size_t k;

	ASSERT_LE(0, fd);
	for (k = 0; k < ARRAY_SIZE(prots); k++) {
		int want = prots[k] & PROT_WRITE ? EACCES : 0;

		EXPECT_MAP_FAIL(want, 0, 1, prots[k], MAP_SHARED, fd, 0);
		EXPECT_MAP_FAIL(want, 0, 1, prots[k], MAP_SHARED_VALIDATE, fd,
				0);
		EXPECT_MAP_FAIL(0, 0, 1, prots[k], MAP_PRIVATE, fd, 0);
	}
	close(fd);
}

TEST_F(fileerr, needs_a_descriptor)
{
	int path = file_reopen(self->fd, O_PATH);
	int fd = dup(self->fd);
	size_t i;

	ASSERT_LE(0, path);
	ASSERT_LE(0, fd);
	close(fd);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		EXPECT_MAP_FAIL(EBADF, 0, 1, RW, types[i], path, 0);
		EXPECT_MAP_FAIL(EBADF, 0, 1, RW, types[i], fd, 0);
		EXPECT_MAP_FAIL(EBADF, 0, 1, RW, types[i], -1, 0);
		EXPECT_MAP_FAIL(EBADF, 0, 1, RW, types[i], 1 << 30, 0);
	}
	close(path);
}

static bool set_flags(int fd, int flags)
{
	int old;

	if (ioctl(fd, FS_IOC_GETFLAGS, &old))
		return false;
	flags |= old & ~(FS_APPEND_FL | FS_IMMUTABLE_FL);
	return !ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

TEST_F(fileerr, an_append_only_file)
{
	int writer, reader;

	if (!set_flags(self->fd, FS_APPEND_FL))
		SKIP(return, "no append-only files: %s", strerror(errno));
	writer = file_reopen(self->fd, O_RDWR | O_APPEND);
	reader = file_reopen(self->fd, O_RDONLY);
	EXPECT_MAP_FAIL(EACCES, 0, 1, RW, MAP_SHARED, writer, 0);
	EXPECT_MAP_FAIL(EACCES, 0, 1, PROT_READ, MAP_SHARED, writer, 0);
	EXPECT_MAP_FAIL(EACCES, 0, 1, PROT_NONE, MAP_SHARED, writer, 0);
	EXPECT_MAPS(0, 1, RW, MAP_PRIVATE, writer, 0);
	EXPECT_MAPS(1, 1, PROT_READ, MAP_SHARED, reader, 0);
	EXPECT_FAIL(EACCES,
		    vm_mprotect(&self->vm, self->base + PAGE, PAGE, RW));
	EXPECT_MAPS(2, 1, RW, MAP_PRIVATE, reader, 0);
	EXPECT_TRUE(set_flags(self->fd, 0));
	EXPECT_MAPS(3, 1, RW, MAP_SHARED, writer, 0);
	close(writer);
	close(reader);
}

/* How a store goes to a file that has become immutable. */
static int immutable_store(struct vm *vm, int fd)
{
	char *p = map_at(vm, 0, 1, RW, MAP_SHARED, fd, 0);
	int sig;

	if (p == MAP_FAILED || *p != letter(0) || fsync(fd) ||
	    !set_flags(fd, FS_IMMUTABLE_FL))
		return -1;
	sig = probe_rewrite(p, NULL);
	return set_flags(fd, 0) ? sig : -1;
}

TEST_F(fileerr, an_immutable_file)
{
	struct vm vm;
	int want;

	if (!set_flags(self->fd, FS_IMMUTABLE_FL))
		SKIP(return, "no immutable files: %s", strerror(errno));
	ASSERT_TRUE(set_flags(self->fd, 0));
	ASSERT_EQ(0, vm_open(&vm, &vm_native, PAGES * PAGE));
	want = immutable_store(&vm, self->fd);
	EXPECT_LE(0, want);
	vm_close(&vm);
	EXPECT_EQ(want, immutable_store(&self->vm, self->fd));
}

/* A file that is swap space: no new mappings for stores, and no new stores. */
static bool make_swap(int fd)
{
	static const uint32_t info[] = { 1, FILE_PAGES - 1, 0 };

	return fill_pages(fd, 0, FILE_PAGES) &&
	       pwrite(fd, info, sizeof(info), 1024) == sizeof(info) &&
	       pwrite(fd, "SWAPSPACE2", 10, PAGE - 10) == 10 &&
	       !fchmod(fd, 0600);
}

TEST_F(fileerr, a_swap_file)
{
	char path[64], *p;

	if (access(DEVICE, F_OK))
		SKIP(return, "not on a machine that is used otherwise");
	ASSERT_TRUE(make_swap(self->fd));
	p = map_at(&self->vm, 0, 2, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	p[PAGE] = 'x';
	ASSERT_EQ(0, fsync(self->fd));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	if (swapon(path, 0))
		SKIP(return, "swapon: %s", strerror(errno));
	EXPECT_EQ('x', p[PAGE]);
	EXPECT_EQ(SIGBUS, probe_rewrite(p + PAGE, NULL));
	EXPECT_MAP_FAIL(ETXTBSY, 4, 1, RW, MAP_SHARED, self->fd, 0);
	EXPECT_MAP_FAIL(ETXTBSY, 4, 1, RW, MAP_SHARED_VALIDATE, self->fd, 0);
	EXPECT_MAPS(5, 1, PROT_READ, MAP_SHARED, self->fd, 0);
	EXPECT_MAPS(6, 1, RW, MAP_PRIVATE, self->fd, 1);
	EXPECT_EQ(0, probe_rewrite(self->base + 6 * PAGE, NULL));
	EXPECT_EQ(0, vm_mprotect(&self->vm, self->base + 5 * PAGE, PAGE, RW));
	EXPECT_EQ(SIGBUS, probe_rewrite(self->base + 5 * PAGE, NULL));
	ASSERT_EQ(0, swapoff(path));
	EXPECT_EQ(0, probe_rewrite(p + PAGE, NULL));
	EXPECT_MAPS(4, 1, RW, MAP_SHARED, self->fd, 0);
}

/* Arguments */

TEST_F(fileerr, no_length)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		EXPECT_MAP_FAIL(EINVAL, 0, 0, RW, types[i], self->fd, 0);
		EXPECT_FAIL(EINVAL, vm_map_file(&self->vm, NULL, 0, RW,
						types[i], self->fd, 0));
	}
}

TEST_F(fileerr, an_unaligned_offset)
{
	static const off_t offs[] = { 1, 512, 2048, PAGE - 1, PAGE + 1, -1 };
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		for (k = 0; k < ARRAY_SIZE(offs); k++)
			EXPECT_FAIL(EINVAL,
				    vm_map_file(&self->vm, NULL, PAGE, RW,
						types[i], self->fd, offs[k]));
}

TEST_F(fileerr, a_type_that_is_none)
{
	static const int bad[] = { 0, 4, 5, 6, 7, 8, 0xc, 0xf };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_MAP_FAIL(EINVAL, 0, 1, RW, bad[i], self->fd, 0);
}

TEST_F(fileerr, an_offset_that_overflows)
{
	static const off_t offs[] = {
		-(off_t)PAGE,
		LONG_MIN,
		LONG_MIN + (off_t)(8 * PAGE),
		-(off_t)(8 * PAGE),
	};
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		for (k = 0; k < ARRAY_SIZE(offs); k++)
			EXPECT_FAIL(EOVERFLOW,
				    vm_map_file(&self->vm, NULL, 16 * PAGE, RW,
						types[i], self->fd, offs[k]));
}

TEST_F(fileerr, unknown_flags_are_validated)
{
	const int type = MAP_SHARED_VALIDATE;

	EXPECT_MAP_FAIL(EOPNOTSUPP, 0, 1, RW, type | MAP_UNKNOWN, self->fd, 0);
	EXPECT_MAP_FAIL(EOPNOTSUPP, 0, 1, PROT_READ, type | 0x1000000, self->fd,
			0);
	EXPECT_MAP_FAIL(EOPNOTSUPP, 0, 1, RW, type | MAP_SYNC, self->fd, 0);
	EXPECT_FAIL(EOPNOTSUPP,
		    vm_map_file(&self->vm, self->base, PAGE, RW,
				type | MAP_FIXED_NOREPLACE, self->fd, 0));
	EXPECT_MAPS(0, 1, RW, type | MAP_NORESERVE | MAP_POPULATE, self->fd, 0);
}

/* What was there before is there afterwards. */
TEST_F(fileerr, a_failed_fixed_changes_nothing)
{
	const off_t overflow = -(off_t)PAGE;
	int reader = file_reopen(self->fd, O_RDONLY);
	int writer = file_reopen(self->fd, O_WRONLY);
	int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct {
		int want, prot, flags, fd;
		size_t len;
		off_t off;
	} t[] = {
		{ EACCES, RW, MAP_SHARED, reader, 6 * PAGE, 0 },
		{ EACCES, PROT_READ, MAP_PRIVATE, writer, 6 * PAGE, 0 },
		{ EBADF, RW, MAP_SHARED, -1, 6 * PAGE, 0 },
		{ ENODEV, PROT_READ, MAP_PRIVATE, dir, 6 * PAGE, 0 },
		{ EINVAL, RW, MAP_SHARED, self->fd, 6 * PAGE, 1 },
		{ EINVAL, RW, 0, self->fd, 6 * PAGE, 0 },
		{ EINVAL, RW, MAP_SHARED, self->fd, 0, 0 },
		{ ENOMEM, RW, MAP_SHARED, self->fd, 1UL << 47, 0 },
		{ EOVERFLOW, RW, MAP_SHARED, self->fd, 6 * PAGE, overflow },
		{ EOPNOTSUPP, RW, MAP_SHARED_VALIDATE | MAP_UNKNOWN, self->fd,
		  6 * PAGE, 0 },
	};
	char *anon = vm_map_at(&self->vm, 8, 4, RW);
	char *file = map_at(&self->vm, 12, 4, RW, MAP_SHARED, self->fd, 4);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)anon);
	ASSERT_NE(MAP_FAILED, (void *)file);
	memset(anon, 'A', 4 * PAGE);
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		EXPECT_FAIL(t[i].want,
			    vm_map_file(&self->vm, anon + PAGE, t[i].len,
					t[i].prot, t[i].flags | MAP_FIXED,
					t[i].fd, t[i].off))
		{
			TH_LOG("row %zu", i);
		}
		EXPECT_EQ(2, vm_areas(&self->vm));
		EXPECT_TRUE(page_is(anon + PAGE, 'A'));
		EXPECT_TRUE(page_is(anon + 3 * PAGE, 'A'));
		EXPECT_EQ(letter(5), file[PAGE]);
		EXPECT_EQ(0, probe_rewrite(file + 2 * PAGE, NULL));
	}
	close(reader);
	close(writer);
	close(dir);
}

/* Two mistakes at once: the same errno as natively wins. */

enum { FDS = 14 };

struct sweep {
	struct vm native;
	struct vm *vm;
	struct rng rng;
	int fds[FDS];
};

struct call {
	int fd, type, prot, where;
	size_t len;
	off_t off;
};

static void sweep_open_fds(struct sweep *s, int fd)
{
	int pair[2];
	size_t i = 0;

	s->fds[i++] = fd;
	s->fds[i++] = file_reopen(fd, O_RDONLY);
	s->fds[i++] = file_reopen(fd, O_WRONLY);
	s->fds[i++] = file_reopen(fd, O_PATH);
	s->fds[i++] = -1;
	s->fds[i++] = 1 << 20;
	s->fds[i++] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->fds[i++] = pipe(pair) ? -1 : pair[0];
	s->fds[i++] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->fds[i++] = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	s->fds[i++] = open("/proc/uptime", O_RDONLY | O_CLOEXEC);
	s->fds[i++] = open("/dev/null", O_RDWR | O_CLOEXEC);
	s->fds[i++] = eventfd(0, EFD_CLOEXEC);
	s->fds[i++] = memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	ftruncate(s->fds[i - 1], 4 * PAGE);
	fcntl(s->fds[i - 1], F_ADD_SEALS, F_SEAL_WRITE);
}

static struct call sweep_call(struct sweep *s)
{
	static const int type[] = {
		MAP_SHARED,
		MAP_PRIVATE,
		MAP_SHARED_VALIDATE,
		0,
		4,
		MAP_SHARED | MAP_UNKNOWN,
		MAP_PRIVATE | MAP_SYNC,
		MAP_SHARED | MAP_SYNC,
		MAP_SHARED_VALIDATE | MAP_UNKNOWN,
		MAP_SHARED_VALIDATE | MAP_SYNC,
		MAP_SHARED | MAP_NORESERVE,
	};
	static const size_t len[] = {
		PAGE,  1,	  3 * PAGE, 0,		1UL << 47,
		-PAGE, -PAGE + 1, ~0UL,	    PAGE + 100,
	};
	static const off_t off[] = {
		0,	  PAGE,		40 * PAGE, 1,
		2048,	  -(off_t)PAGE, LONG_MIN,  LONG_MAX & -PAGE,
		1L << 43, 1L << 44,
	};

	return (struct call){
		.fd = s->fds[rng_below(&s->rng, FDS)],
		.type = type[rng_below(&s->rng, ARRAY_SIZE(type))],
		.prot = rng_below(&s->rng, 8),
		.where = rng_below(&s->rng, 5),
		.len = len[rng_below(&s->rng, ARRAY_SIZE(len))],
		.off = off[rng_below(&s->rng, ARRAY_SIZE(off))],
	};
}

/* Something is mapped at page 8, which is what MAP_FIXED_NOREPLACE finds. */
static int sweep_try(struct vm *vm, const struct call *c)
{
	static const int flags[] = { 0, MAP_FIXED, MAP_FIXED_NOREPLACE,
				     MAP_FIXED, MAP_FIXED_NOREPLACE };
	char *at = vm_page(vm, 8) + (c->where == 3 ? 100 : 0);
	char *p;

	if (c->where == 0)
		at = NULL;
	else if (c->where == 4)
		at += 16 * PAGE;
	/* A file system that refuses late has unmapped what was there. */
	vm_map_at(vm, 8, 1, RW);
	p = vm_map_file(vm, at, c->len, c->prot, c->type | flags[c->where],
			c->fd, c->off);
	if (p == MAP_FAILED)
		return errno;
	vm_munmap(vm, p, c->len);
	return 0;
}

TEST_F_TIMEOUT(fileerr, two_mistakes_at_once, SLOW)
{
	long rounds = scaled(6000), differ = 0;
	struct sweep s = {
		.vm = &self->vm,
		.rng.state = env_number("ALTVM_SEED", 1),
	};

	/* In this order, or they would get the same zone. */
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(s.vm, 8, 1, RW));
	ASSERT_EQ(0, vm_open(&s.native, &vm_native, PAGES * PAGE));
	ASSERT_NE(MAP_FAILED, (void *)vm_map_at(&s.native, 8, 1, RW));
	sweep_open_fds(&s, self->fd);
	while (rounds-- && differ < 10) {
		struct call c = sweep_call(&s);
		int want = sweep_try(&s.native, &c);
		int got = sweep_try(s.vm, &c);

		EXPECT_EQ(want, got)
		{
			TH_LOG("fd %d type %#x prot %d where %d len %#lx off %#lx: %s, natively %s",
			       c.fd, c.type, c.prot, c.where, c.len, c.off,
			       strerrorname_np(got), strerrorname_np(want));
			differ++;
		}
	}
	vm_close(&s.native);
}

/* Mounts */

VM_FIXTURE(mounted, PAGES);

TEST_F(mounted, noexec)
{
	struct place place;
	size_t i;
	int fd;

	if (!place_open_tmpfs(&place, NULL, MS_NOEXEC))
		SKIP(return, "cannot mount a tmpfs");
	fd = file_make(&place, "file", 4);
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		EXPECT_MAP_FAIL(EPERM, 0, 1, RX, types[i], fd, 0);
		EXPECT_MAP_FAIL(EPERM, 0, 1, PROT_EXEC, types[i], fd, 0);
		EXPECT_MAPS(0, 4, RW, types[i], fd, 0);
		EXPECT_FAIL(EACCES,
			    vm_mprotect(&self->vm, self->base, PAGE, RX));
		EXPECT_FAIL(EACCES, vm_mprotect(&self->vm, self->base, PAGE,
						PROT_EXEC));
		EXPECT_EQ(0,
			  vm_mprotect(&self->vm, self->base, PAGE, PROT_READ));
		EXPECT_EQ(0, vm_mprotect(&self->vm, self->base, PAGE, RW));
		EXPECT_EQ(1, vm_areas(&self->vm));
	}
	vm_munmap(&self->vm, self->base, PAGES * PAGE);
	close(fd);
	place_close(&place);
}

static int remount(const struct place *place, unsigned long flags)
{
	return mount("none", place->dir, NULL, MS_REMOUNT | flags, NULL);
}

/* What was allowed when it was mapped stays allowed. */
TEST_F(mounted, noexec_later)
{
	struct place place;
	int fd;

	if (!place_open_tmpfs(&place, NULL, 0))
		SKIP(return, "cannot mount a tmpfs");
	fd = file_make(&place, "file", 4);
	ASSERT_LE(0, fd);
	EXPECT_MAPS(0, 4, RW, MAP_PRIVATE, fd, 0);
	ASSERT_EQ(0, remount(&place, MS_NOEXEC));
	self->base[0] = RET_INSN;
	EXPECT_EQ(0, vm_mprotect(&self->vm, self->base, PAGE, RX));
	EXPECT_EQ(0, probe_call(self->base, NULL));
	EXPECT_MAP_FAIL(EPERM, 8, 1, RX, MAP_PRIVATE, fd, 0);
	vm_munmap(&self->vm, self->base, PAGES * PAGE);
	close(fd);
	place_close(&place);
}

/* A mapping for stores keeps a file system from becoming read-only. */
TEST_F(mounted, read_only)
{
	struct place place;
	int round, fd;

	if (!place_open_tmpfs(&place, NULL, 0))
		SKIP(return, "cannot mount a tmpfs");
	fd = file_make(&place, "file", 4);
	ASSERT_LE(0, fd);
	EXPECT_MAPS(0, 4, RW, MAP_SHARED, fd, 0);
	self->base[0] = 'x';
	close(fd);
	EXPECT_FAIL(EBUSY, remount(&place, MS_RDONLY));
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base, 4 * PAGE));
	/* The last reference to a file may go a moment later. */
	for (round = 0; round < 500 && remount(&place, MS_RDONLY); round++)
		usleep(10000);
	EXPECT_EQ(0, remount(&place, MS_RDONLY));
	place_close(&place);
}

/* Sealed files */

VM_FIXTURE(sealed, PAGES);

static int make_memfd(void)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	return fd >= 0 && fill_pages(fd, 0, 8) ? fd : -1;
}

static int seal(int fd, int seals)
{
	return fcntl(fd, F_ADD_SEALS, seals);
}

TEST_F(sealed, against_writing)
{
	static const int seals[] = { F_SEAL_WRITE, F_SEAL_FUTURE_WRITE };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(seals); i++) {
		int fd = make_memfd();

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, seal(fd, seals[i]));
		EXPECT_MAP_FAIL(EPERM, 0, 4, RW, MAP_SHARED, fd, 0);
		EXPECT_MAP_FAIL(EPERM, 0, 4, PROT_WRITE, MAP_SHARED_VALIDATE,
				fd, 0);
		EXPECT_MAPS(0, 4, PROT_READ, MAP_SHARED, fd, 0);
		EXPECT_EQ(letter(3), self->base[3 * PAGE]);
		EXPECT_FAIL(EACCES,
			    vm_mprotect(&self->vm, self->base, PAGE, RW));
		EXPECT_EQ(SIGSEGV, probe_rewrite(self->base, NULL));
		EXPECT_MAPS(8, 4, RW, MAP_PRIVATE, fd, 0);
		EXPECT_EQ(0, probe_write(self->base + 8 * PAGE, 1, NULL));
		EXPECT_EQ(letter(0), file_byte(fd, 0));
		close(fd);
	}
}

TEST_F(sealed, not_while_it_is_mapped_for_writing)
{
	int fd = make_memfd();

	ASSERT_LE(0, fd);
	EXPECT_MAPS(0, 4, RW, MAP_SHARED, fd, 0);
	self->base[0] = 'S';
	EXPECT_FAIL(EBUSY, seal(fd, F_SEAL_WRITE));
	/* It could be made writable again. */
	ASSERT_EQ(0, vm_mprotect(&self->vm, self->base, 4 * PAGE, PROT_READ));
	EXPECT_FAIL(EBUSY, seal(fd, F_SEAL_WRITE));
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base + PAGE, PAGE));
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base, PAGE));
	EXPECT_FAIL(EBUSY, seal(fd, F_SEAL_WRITE));
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base, 4 * PAGE));
	EXPECT_EQ(0, seal(fd, F_SEAL_WRITE));
	EXPECT_EQ('S', file_byte(fd, 0));
	close(fd);
}

TEST_F(sealed, while_it_is_mapped_otherwise)
{
	int fd = make_memfd();
	int reader;

	ASSERT_LE(0, fd);
	reader = file_reopen(fd, O_RDONLY);
	ASSERT_LE(0, reader);
	EXPECT_MAPS(0, 4, RW, MAP_PRIVATE, fd, 0);
	EXPECT_MAPS(8, 4, PROT_READ, MAP_SHARED, reader, 0);
	self->base[0] = 'P';
	EXPECT_EQ(letter(3), self->base[11 * PAGE]);
	EXPECT_EQ(0, seal(fd, F_SEAL_WRITE));
	self->base[PAGE] = 'P';
	EXPECT_EQ(letter(0), self->base[8 * PAGE]);
	EXPECT_FAIL(EACCES,
		    vm_mprotect(&self->vm, self->base + 8 * PAGE, PAGE, RW));
	close(reader);
	close(fd);
}

TEST_F(sealed, not_while_a_child_maps_it)
{
	int fd = make_memfd();
	pid_t pid;

	ASSERT_LE(0, fd);
	EXPECT_MAPS(0, 4, RW, MAP_SHARED, fd, 0);
	self->base[0] = 'S';
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pause();
		_exit(0);
	}
	ASSERT_EQ(0, vm_munmap(&self->vm, self->base, 4 * PAGE));
	EXPECT_FAIL(EBUSY, seal(fd, F_SEAL_WRITE));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(0, seal(fd, F_SEAL_WRITE));
	close(fd);
}

TEST_F(sealed, not_while_a_zone_maps_it)
{
	int fd = make_memfd();
	struct vm vm;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vm_open(&vm, self->vm.ops, PAGES * PAGE));
	EXPECT_NE(MAP_FAILED, (void *)map_at(&vm, 0, 4, RW, MAP_SHARED, fd, 0));
	EXPECT_FAIL(EBUSY, seal(fd, F_SEAL_WRITE));
	vm_close(&vm);
	EXPECT_EQ(0, seal(fd, F_SEAL_WRITE));
	close(fd);
}

/* An existing mapping goes on. */
TEST_F(sealed, against_future_writing)
{
	int fd = make_memfd();

	ASSERT_LE(0, fd);
	EXPECT_MAPS(0, 4, RW, MAP_SHARED, fd, 0);
	ASSERT_EQ(0, seal(fd, F_SEAL_FUTURE_WRITE));
	self->base[0] = 'S';
	EXPECT_EQ('S', file_byte(fd, 0));
	ASSERT_EQ(0, vm_mprotect(&self->vm, self->base, PAGE, PROT_READ));
	EXPECT_EQ(0, vm_mprotect(&self->vm, self->base, PAGE, RW));
	EXPECT_EQ(0, probe_rewrite(self->base, NULL));
	EXPECT_MAP_FAIL(EPERM, 8, 4, RW, MAP_SHARED, fd, 0);
	close(fd);
}

TEST_F(sealed, against_shrinking)
{
	int fd = make_memfd();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, seal(fd, F_SEAL_SHRINK | F_SEAL_GROW));
	EXPECT_MAPS(0, 8, RW, MAP_SHARED, fd, 0);
	EXPECT_FAIL(EPERM, ftruncate(fd, PAGE));
	EXPECT_EQ(0, probe_rewrite(self->base + 7 * PAGE, NULL));
	close(fd);
}

/* Resource limits */

VM_FIXTURE(limited, PAGES);

/* Leaves room for @pages more pages. */
static bool leave_room(int resource, long pages)
{
	const char *key = resource == RLIMIT_AS ? "VmSize:" : "VmData:";
	long has = proc_number("/proc/self/status", key) * 1024;
	struct rlimit limit;

	if (getrlimit(resource, &limit))
		return false;
	limit.rlim_cur = has + pages * PAGE;
	return !setrlimit(resource, &limit);
}

static void lift_limit(int resource)
{
	struct rlimit limit;

	getrlimit(resource, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(resource, &limit);
}

/* The errno of mapping @pages pages of @fd where there is room for 8. */
static int err_in_room(struct vm *vm, int resource, size_t pages, int prot,
		       int flags, int fd)
{
	char *p;
	int err;

	if (!leave_room(resource, 8))
		return -1;
	p = map_at(vm, 0, pages, prot, flags, fd, 0);
	err = p == MAP_FAILED ? errno : 0;
	lift_limit(resource);
	if (!err)
		vm_munmap(vm, p, pages * PAGE);
	return err;
}

/* Each kind of mapping of 8 and of 9 pages; whether it counts is @counts. */
static void expect_limit(struct __test_metadata *_metadata, struct vm *vm,
			 int resource, bool (*counts)(int prot, int type))
{
	int fd = make_memfd();
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		for (k = 0; k < ARRAY_SIZE(prots); k++) {
			int want = counts(prots[k], types[i]) ? ENOMEM : 0;

			EXPECT_EQ(0, err_in_room(vm, resource, 8, prots[k],
						 types[i], fd));
			EXPECT_EQ(want, err_in_room(vm, resource, 9, prots[k],
						    types[i], fd));
		}
	close(fd);
}

static bool is_mapped(int prot, int type)
{
	(void)prot;
	(void)type;
	return true;
}

static bool is_data(int prot, int type)
{
	return prot & PROT_WRITE && type == MAP_PRIVATE;
}

TEST_F(limited, address_space)
{
	expect_limit(_metadata, &self->vm, RLIMIT_AS, is_mapped);
}

TEST_F(limited, private_data)
{
	expect_limit(_metadata, &self->vm, RLIMIT_DATA, is_data);
}

TEST_F(limited, data_by_mprotect)
{
	int fd = make_memfd();
	int many, few, shared;
	char *p;

	ASSERT_LE(0, fd);
	EXPECT_MAPS(0, 16, PROT_READ, MAP_PRIVATE, fd, 0);
	EXPECT_MAPS(16, 16, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_TRUE(leave_room(RLIMIT_DATA, 8));
	many = ERRNO_OF(vm_mprotect(&self->vm, self->base, 9 * PAGE, RW));
	few = ERRNO_OF(vm_mprotect(&self->vm, self->base, 8 * PAGE, RW));
	p = self->base + 16 * PAGE;
	shared = ERRNO_OF(vm_mprotect(&self->vm, p, 16 * PAGE, RW));
	lift_limit(RLIMIT_DATA);
	EXPECT_EQ(ENOMEM, many);
	EXPECT_EQ(0, few);
	EXPECT_EQ(0, shared);
	close(fd);
}

/* Shared anonymous memory and /dev/zero */

VM_FIXTURE(zeroes, PAGES);

#define SHARED_ANON (MAP_SHARED | MAP_ANONYMOUS)

TEST_F(zeroes, shared_and_anonymous)
{
	char *p = vm_mmap(&self->vm, self->base, 16 * PAGE, RW,
			  SHARED_ANON | MAP_FIXED);
	size_t i;

	ASSERT_EQ(self->base, p);
	for (i = 0; i < 16; i++) {
		EXPECT_EQ(0, vm_resident(&self->vm, p + i * PAGE));
		EXPECT_TRUE(page_is(p + i * PAGE, 0));
		p[i * PAGE] = letter(i);
		EXPECT_EQ(1, vm_resident(&self->vm, p + i * PAGE));
	}
	ASSERT_EQ(0, vm_munmap(&self->vm, p + 4 * PAGE, 2 * PAGE));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 8 * PAGE, 2 * PAGE, PROT_READ));
	EXPECT_EQ(4, vm_areas(&self->vm));
	EXPECT_EQ(SIGSEGV, probe_rewrite(p + 8 * PAGE, NULL));
	EXPECT_EQ(SIGSEGV, probe_read(p + 5 * PAGE, NULL, NULL));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 8 * PAGE, 2 * PAGE, RWX));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 8 * PAGE, 2 * PAGE, RW));
	EXPECT_EQ(2, vm_areas(&self->vm));
	for (i = 0; i < 16; i++)
		if (i != 4 && i != 5)
			EXPECT_EQ(letter(i), p[i * PAGE]);
}

TEST_F(zeroes, shared_with_a_child)
{
	char *p = vm_mmap(&self->vm, NULL, 4 * PAGE, RW, SHARED_ANON);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)p);
	p[0] = 'P';
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		EXPECT_EQ('P', p[0]);
		p[0] = 'C';
		p[2 * PAGE] = 'C';
		_exit(0);
	}
	EXPECT_TRUE(child_done(pid));
	EXPECT_EQ('C', p[0]);
	EXPECT_EQ('C', p[2 * PAGE]);
	EXPECT_EQ(0, p[PAGE]);
}

/* Nobody else's, and not what was there before. */
TEST_F(zeroes, shared_is_new_each_time)
{
	size_t i;

	for (i = 0; i < 3; i++) {
		char *p = vm_mmap(&self->vm, self->base, 2 * PAGE, RW,
				  SHARED_ANON | MAP_FIXED);
		char *q = vm_mmap(&self->vm, self->base + 2 * PAGE, 2 * PAGE,
				  RW, SHARED_ANON | MAP_FIXED);

		ASSERT_EQ(self->base, p);
		ASSERT_EQ(self->base + 2 * PAGE, q);
		/* Two objects: never one area. */
		EXPECT_EQ(2, vm_areas(&self->vm));
		EXPECT_EQ(0, p[0]);
		EXPECT_EQ(0, q[0]);
		p[0] = 'P';
		EXPECT_EQ(0, q[0]);
		q[0] = 'Q';
		EXPECT_EQ('P', p[0]);
	}
}

TEST_F(zeroes, shared_is_populated)
{
	char *p = vm_mmap(&self->vm, NULL, 4 * PAGE, RW,
			  SHARED_ANON | MAP_POPULATE);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(1, vm_resident(&self->vm, p + i * PAGE));
}

TEST_F(zeroes, shared_ignores_fd_and_offset)
{
	struct vm *vm = &self->vm;

	EXPECT_NE(MAP_FAILED, (void *)vm_map_file(vm, NULL, PAGE, RW,
						  SHARED_ANON, 12345, 0));
	EXPECT_NE(MAP_FAILED, (void *)vm_map_file(vm, NULL, PAGE, RW,
						  SHARED_ANON, -1, GiB));
	EXPECT_FAIL(EINVAL,
		    vm_map_file(vm, NULL, PAGE, RW, SHARED_ANON, -1, 1));
	EXPECT_FAIL(EINVAL, vm_map_file(vm, NULL, 0, RW, SHARED_ANON, -1, 0));
	EXPECT_FAIL(EINVAL,
		    vm_map_file(vm, NULL, PAGE, RW,
				MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0));
}

TEST_F(zeroes, of_dev_zero)
{
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	const int how[] = { MAP_SHARED, MAP_PRIVATE };
	size_t i;

	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(how); i++) {
		char *p = map_at(&self->vm, 0, 8, RW, how[i], fd, 0);
		char *q = map_at(&self->vm, 8, 8, RW, how[i], fd, 0);
		pid_t pid;

		ASSERT_EQ(self->base, p);
		ASSERT_NE(MAP_FAILED, (void *)q);
		EXPECT_TRUE(page_is(p + PAGE, 0));
		EXPECT_EQ(0, vm_resident(&self->vm, p + 5 * PAGE));
		p[0] = 'P';
		EXPECT_EQ(0, q[0]);
		EXPECT_EQ(0, file_byte(fd, 0));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			EXPECT_EQ('P', p[0]);
			p[0] = 'C';
			p[2 * PAGE] = 'C';
			_exit(0);
		}
		EXPECT_TRUE(child_done(pid));
		EXPECT_EQ(i ? 'P' : 'C', p[0]);
		EXPECT_EQ(i ? 0 : 'C', p[2 * PAGE]);
		ASSERT_EQ(0, vm_mprotect(&self->vm, p, PAGE, PROT_READ));
		EXPECT_EQ(SIGSEGV, probe_rewrite(p, NULL));
		ASSERT_EQ(0, vm_munmap(&self->vm, p, 16 * PAGE));
	}
	close(fd);
}

/* The object of a shared mapping is as long as that, and starts at 0. */
TEST_F(zeroes, of_dev_zero_from_an_offset)
{
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, fd);
	EXPECT_MAPS(0, 8, RW, MAP_SHARED, fd, 3);
	EXPECT_EQ(0, probe_write(self->base + 4 * PAGE, 1, NULL));
	EXPECT_EQ(SIGBUS, probe_write(self->base + 5 * PAGE, 1, NULL));
	EXPECT_MAPS(8, 8, RW, MAP_PRIVATE, fd, 3);
	EXPECT_EQ(0, probe_write(self->base + 15 * PAGE, 1, NULL));
	close(fd);
}

TEST_F(zeroes, of_a_read_only_dev_zero)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	EXPECT_MAP_FAIL(EACCES, 0, 1, RW, MAP_SHARED, fd, 0);
	EXPECT_MAPS(0, 1, PROT_READ, MAP_SHARED, fd, 0);
	EXPECT_FAIL(EACCES, vm_mprotect(&self->vm, self->base, PAGE, RW));
	EXPECT_EQ(0, self->base[0]);
	EXPECT_MAPS(1, 1, RW, MAP_PRIVATE, fd, 0);
	EXPECT_EQ(0, probe_write(self->base + PAGE, 1, NULL));
	close(fd);
}

/* A block device is a file, too. */

static int open_disk(void)
{
	static const char *const disks[] = { "/dev/vda", "/dev/sda",
					     "/dev/nvme0n1" };
	int fd = -1;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(disks) && fd < 0; i++)
		fd = open(disks[i], O_RDONLY | O_CLOEXEC);
	return fd;
}

VM_FIXTURE(disk, PAGES);

TEST_F(disk, shows_its_sectors)
{
	int fd = open_disk();
	char data[4 * PAGE];
	size_t i;

	if (fd < 0)
		SKIP(return, "no disk that can be read");
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		EXPECT_MAPS(0, 4, PROT_READ, types[i], fd, 16);
		ASSERT_EQ(sizeof(data),
			  pread(fd, data, sizeof(data), 16 * PAGE));
		EXPECT_EQ(0, memcmp(self->base, data, sizeof(data)));
	}
	EXPECT_MAP_FAIL(EACCES, 0, 4, RW, MAP_SHARED, fd, 0);
	EXPECT_MAPS(0, 4, RW, MAP_PRIVATE, fd, 0);
	EXPECT_EQ(0, probe_write(self->base, 1, NULL));
	close(fd);
}

/* What is no page cache: altvm may refuse it, and must do no harm. */

ALTVM_FIXTURE(device, PAGES);

static int open_hugetlb(void)
{
	int fd = memfd_create("huge", MFD_HUGETLB | MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, 2 * MiB))
		perror("ftruncate");
	return fd;
}

static int open_secret(void)
{
	int fd = syscall(SYS_memfd_secret, 0);

	if (fd >= 0 && ftruncate(fd, 2 * MiB))
		perror("ftruncate");
	return fd;
}

static int open_perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1,
		       PERF_FLAG_FD_CLOEXEC);
}

static int open_packet_ring(void)
{
	struct tpacket_req req = {
		.tp_block_size = 4 * PAGE,
		.tp_block_nr = 4,
		.tp_frame_size = 2048,
		.tp_frame_nr = 32,
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	if (fd >= 0)
		setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req));
	return fd;
}

static int open_uring(void)
{
	/* struct io_uring_params, all zero. */
	char params[120] = {};

	return syscall(SYS_io_uring_setup, 4, params);
}

static int open_mem(void)
{
	return open("/dev/mem", O_RDWR | O_CLOEXEC);
}

static int open_trace(void)
{
	return open("/sys/kernel/tracing/per_cpu/cpu0/trace_pipe_raw",
		    O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static int open_hpet(void)
{
	return open("/dev/hpet", O_RDONLY | O_CLOEXEC);
}

static int open_window(void)
{
	return open(DEVICE, O_RDWR | O_CLOEXEC);
}

static const struct {
	const char *name;
	int (*open)(void);
	size_t len;
} devices[] = {
	{ "hugetlb", open_hugetlb, 2 * MiB },
	{ "secretmem", open_secret, PAGE },
	{ "perf event", open_perf, 2 * PAGE },
	{ "packet ring", open_packet_ring, 16 * PAGE },
	{ "io_uring", open_uring, PAGE },
	{ "/dev/mem", open_mem, PAGE },
	{ "trace pipe", open_trace, PAGE },
	{ "/dev/hpet", open_hpet, PAGE },
	{ DEVICE, open_window, 4 * PAGE },
};

/*
 * As natively, or where that maps it, ENODEV; or what the driver says of a single
 * page, which is what it is asked for.
 */
static void expect_refused(struct __test_metadata *_metadata, struct vm *vm,
			   const char *name, int fd, size_t len)
{
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		for (k = 0; k < ARRAY_SIZE(prots); k++) {
			char *p = mmap(NULL, len, prots[k], types[i], fd, 0);
			int want = p == MAP_FAILED ? errno : ENODEV;
			char *q;

			if (p != MAP_FAILED)
				munmap(p, len);
			q = vm_map_file(vm, NULL, len, prots[k], types[i], fd,
					0);
			EXPECT_EQ(MAP_FAILED, (void *)q);
			if (errno != EINVAL)
				EXPECT_EQ(want, errno)
				{
					TH_LOG("%s, type %#x, protection %d",
					       name, types[i], prots[k]);
				}
		}
}

TEST_F(device, is_refused)
{
	struct vm vm;
	size_t i;

	ASSERT_EQ(0, vm_open(&vm, &vm_ioctl, 8 * MiB));
	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		int fd = devices[i].open();

		if (fd < 0)
			continue;
		expect_refused(_metadata, &vm, devices[i].name, fd,
			       devices[i].len);
		EXPECT_EQ(0, vm_areas(&vm));
		close(fd);
	}
	/* All is as it was. */
	ASSERT_EQ(vm.base, vm_map_at(&vm, 0, 4, RW));
	memset(vm.base, 'A', 4 * PAGE);
	vm_close(&vm);
}

/* The window's own file, and a file that has a window already. */
TEST_F(device, is_the_window_itself)
{
	char *p = vm_map_at(&self->vm, 0, 4, RW);
	struct altvm_query q;
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(p, 'A', 4 * PAGE);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		EXPECT_EQ(MAP_FAILED, (void *)map_at(&self->vm, 0, 4, RW,
						     types[i], self->fd, 0));
	EXPECT_TRUE(page_is(p + PAGE, 'A'));
	ASSERT_EQ(0, altvm_ioctl_query(self->fd, &q));
	EXPECT_EQ((uintptr_t)self->base, q.window_addr);
	EXPECT_EQ(1, vm_areas(&self->vm));
	ASSERT_EQ(0, vm_munmap(&self->vm, p, PAGE));
	EXPECT_EQ(SIGSEGV, probe_read(p, NULL, NULL));
}

/* A file that is mapped natively: /proc/self/exe, which nobody may write to. */
TEST_F(device, is_no_program)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char *p;

	ASSERT_LE(0, fd);
	p = vm_map_file(&self->vm, NULL, 4 * PAGE, RX, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(0, memcmp(p, "\177ELF", 4));
	EXPECT_FAIL(EACCES,
		    vm_map_file(&self->vm, NULL, PAGE, RW, MAP_SHARED, fd, 0));
	close(fd);
}

TEST_HARNESS_MAIN
