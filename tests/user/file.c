// SPDX-License-Identifier: GPL-2.0
/* Mappings of files: what is in them, and what becomes of the files. */
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <time.h>

#include <linux/falloc.h>
#include <linux/fs.h>

#include "files.h"

#define PAGES 64

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

FILE_FIXTURE(file, PAGES);

static const int types[] = { MAP_SHARED, MAP_SHARED_VALIDATE, MAP_PRIVATE };
static const int two_types[] = { MAP_SHARED, MAP_PRIVATE };

/* SIGBUS at exactly this address. */
#define EXPECT_SIGBUS(write, p) \
	expect_sigbus(_metadata, (char *)(p), write, __LINE__)

static void expect_sigbus(struct __test_metadata *_metadata, char *p,
			  bool write, int line)
{
	struct fault f;

	if (write)
		probe_write(p, 1, &f);
	else
		probe_read(p, NULL, &f);
	EXPECT_EQ(SIGBUS, f.sig)
	{
		TH_LOG("line %d", line);
		return;
	}
	EXPECT_EQ(BUS_ADRERR, f.code);
	EXPECT_EQ((uintptr_t)p, f.addr);
	EXPECT_EQ((uintptr_t)p, f.cr2);
	EXPECT_EQ(write ? 6 : 4, f.err);
	EXPECT_EQ(14, f.trapno);
}

/* Contents and coherence */

TEST_F(file, shows_the_file)
{
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES, PROT_READ, types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		for (k = 0; k < FILE_PAGES; k++) {
			EXPECT_TRUE(page_is(p + k * PAGE, letter(k)));
			EXPECT_EQ(SIGSEGV, probe_rewrite(p + k * PAGE, NULL));
		}
	}
}

TEST_F(file, shows_it_from_an_offset)
{
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		/* Backwards, so that nothing is contiguous. */
		for (k = 0; k < FILE_PAGES; k++)
			ASSERT_NE(MAP_FAILED,
				  (void *)map_at(&self->vm, k, 1, RW, types[i],
						 self->fd, FILE_PAGES - 1 - k));
		for (k = 0; k < FILE_PAGES; k++)
			EXPECT_TRUE(page_is(vm_page(&self->vm, k),
					    letter(FILE_PAGES - 1 - k)));
		EXPECT_EQ(FILE_PAGES, vm_areas(&self->vm));
	}
}

TEST_F(file, finds_a_place_by_itself)
{
	char *p = vm_map_file(&self->vm, NULL, 3 * PAGE, PROT_READ, MAP_SHARED,
			      self->fd, 5 * PAGE);
	char *q = vm_map_file(&self->vm, NULL, PAGE + 1, RW, MAP_PRIVATE,
			      self->fd, 0);

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)q);
	EXPECT_TRUE(page_is(p + 2 * PAGE, letter(7)));
	EXPECT_TRUE(page_is(q + PAGE, letter(1)));
}

TEST_F(file, stores_are_what_read_finds)
{
	size_t i, k;

	for (i = 0; i < 2; i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES, RW, types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		for (k = 0; k < FILE_PAGES; k++) {
			p[k * PAGE + 17] = 'A' + i;
			EXPECT_EQ('A' + i, file_byte(self->fd, k * PAGE + 17));
			EXPECT_EQ(letter(k),
				  file_byte(self->fd, k * PAGE + 18));
		}
	}
}

TEST_F(file, writes_are_what_loads_find)
{
	static const char text[] = "across two pages";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES, PROT_READ, types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		/* A page that was read, and one that was not. */
		EXPECT_EQ(letter(2), p[2 * PAGE]);
		ASSERT_EQ(sizeof(text),
			  pwrite(self->fd, text, sizeof(text), 3 * PAGE - 5));
		EXPECT_STREQ(text, p + 3 * PAGE - 5);
		EXPECT_EQ(letter(2), p[3 * PAGE - 6]);
		ASSERT_TRUE(file_put(self->fd, 9 * PAGE, 'X' + i));
		EXPECT_EQ('X' + (char)i, p[9 * PAGE]);
		ASSERT_TRUE(fill_pages(self->fd, 0, FILE_PAGES));
		EXPECT_TRUE(page_is(p + 2 * PAGE, letter(2)));
	}
}

TEST_F(file, shared_mappings_agree)
{
	char *p = map_at(&self->vm, 0, 8, RW, MAP_SHARED, self->fd, 0);
	char *q = map_at(&self->vm, 20, 8, RW, MAP_SHARED, self->fd, 4);
	char *r = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)q);
	ASSERT_NE(MAP_FAILED, (void *)r);
	p[5 * PAGE] = 'P';
	EXPECT_EQ('P', q[PAGE]);
	EXPECT_EQ('P', r[5 * PAGE]);
	q[2 * PAGE] = 'Q';
	EXPECT_EQ('Q', p[6 * PAGE]);
	EXPECT_EQ('Q', r[6 * PAGE]);
	r[7 * PAGE] = 'R';
	EXPECT_EQ('R', p[7 * PAGE]);
	EXPECT_EQ('R', q[3 * PAGE]);
	munmap(r, 8 * PAGE);
}

/* Another process with a zone of its own, and a native mapping. */
static void answer(struct __test_metadata *_metadata, const struct vm_ops *ops,
		   int fd, int from, int to)
{
	struct vm vm;
	char *p, *r, c;

	EXPECT_EQ(0, vm_open(&vm, ops, PAGES * PAGE));
	p = map_at(&vm, 1, 8, RW, MAP_SHARED, fd, 0);
	r = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, fd, 0);
	EXPECT_EQ(letter(3), p[3 * PAGE]);
	EXPECT_EQ(1, write(to, "x", 1));
	EXPECT_EQ(1, read(from, &c, 1));
	EXPECT_EQ('P', p[3 * PAGE]);
	EXPECT_EQ('P', r[3 * PAGE]);
	p[4 * PAGE] = 'C';
	r[5 * PAGE] = 'N';
	EXPECT_EQ(1, write(to, "x", 1));
	_exit(0);
}

TEST_F(file, shared_with_another_process)
{
	int there[2], back[2];
	char *p, c;
	pid_t pid;

	ASSERT_EQ(0, pipe(there));
	ASSERT_EQ(0, pipe(back));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(back[0]);
		close(there[1]);
		answer(_metadata, self->vm.ops, self->fd, there[0], back[1]);
	}
	close(back[1]);
	p = map_at(&self->vm, 0, 8, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(1, read(back[0], &c, 1));
	p[3 * PAGE] = 'P';
	ASSERT_EQ(1, write(there[1], "x", 1));
	ASSERT_EQ(1, read(back[0], &c, 1));
	EXPECT_EQ('C', p[4 * PAGE]);
	EXPECT_EQ('N', p[5 * PAGE]);
	EXPECT_TRUE(child_done(pid));
}

TEST_F(file, private_stores_stay_private)
{
	char *s =
		map_at(&self->vm, 32, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	char *p =
		map_at(&self->vm, 0, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);
	char *q =
		map_at(&self->vm, 16, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)s);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)q);
	for (i = 0; i < FILE_PAGES; i++) {
		/* Half of them were read before. */
		if (i & 1)
			EXPECT_EQ(letter(i), p[i * PAGE]);
		p[i * PAGE + 5] = 'P';
		EXPECT_EQ('P', p[i * PAGE + 5]);
		EXPECT_EQ(letter(i), p[i * PAGE + 6]);
		EXPECT_EQ(letter(i), file_byte(self->fd, i * PAGE + 5));
		EXPECT_EQ(letter(i), q[i * PAGE + 5]);
		EXPECT_EQ(letter(i), s[i * PAGE + 5]);
	}
}

TEST_F(file, private_follows_the_file_until_written)
{
	char *p = map_at(&self->vm, 0, 4, RW, MAP_PRIVATE, self->fd, 0);
	char *s = map_at(&self->vm, 8, 4, RW, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)s);
	EXPECT_EQ(letter(0), p[0]);
	s[0] = 'S';
	EXPECT_EQ('S', p[0]);
	p[1] = 'P';
	s[0] = 'T';
	s[PAGE] = 'T';
	ASSERT_TRUE(file_put(self->fd, 2, 'F'));
	EXPECT_EQ('S', p[0]);
	EXPECT_EQ('P', p[1]);
	EXPECT_EQ(letter(0), p[2]);
	EXPECT_EQ('T', p[PAGE]);
}

/* Where the file ends */

TEST_F(file, the_last_page_ends_in_zeroes)
{
	static const char zeroes[PAGE];
	struct stat st;
	size_t i;

	ASSERT_EQ(0, ftruncate(self->fd, 3 * PAGE + 100));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		char *p = map_at(&self->vm, 0, 4, RW, types[i], self->fd, 0);

		ASSERT_EQ(self->base, p);
		EXPECT_EQ(letter(3), p[3 * PAGE + 99]);
		EXPECT_EQ(0, memcmp(p + 3 * PAGE + 100, zeroes, PAGE - 100));
		/* It can be written to, but the file does not get it. */
		EXPECT_EQ(0, probe_write(p + 4 * PAGE - 8, ~0UL, NULL));
		EXPECT_EQ(~0UL, *(uint64_t *)(p + 4 * PAGE - 8));
		ASSERT_EQ(0, fsync(self->fd));
		ASSERT_EQ(0, fstat(self->fd, &st));
		EXPECT_EQ(3 * PAGE + 100, st.st_size);
		EXPECT_EQ(-1, file_byte(self->fd, 4 * PAGE - 1));
		ASSERT_EQ(0, vm_munmap(&self->vm, p, 4 * PAGE));
		/* For the next one. */
		ASSERT_EQ(0, ftruncate(self->fd, 3 * PAGE));
		ASSERT_TRUE(fill_pages(self->fd, 3, 1));
		ASSERT_EQ(0, ftruncate(self->fd, 3 * PAGE + 100));
	}
}

TEST_F(file, sigbus_beyond_the_end)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES + 8, RW, types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		EXPECT_EQ(0, probe_rewrite(p + FILE_PAGES * PAGE - 1, NULL));
		EXPECT_SIGBUS(false, p + FILE_PAGES * PAGE);
		EXPECT_SIGBUS(true, p + FILE_PAGES * PAGE + 16);
		EXPECT_SIGBUS(true, p + (FILE_PAGES + 7) * PAGE + 2048);
		EXPECT_SIGBUS(false, p + (FILE_PAGES + 7) * PAGE + 4088);
		/* A right that is missing counts for more. */
		ASSERT_EQ(0, vm_mprotect(&self->vm, p + FILE_PAGES * PAGE,
					 4 * PAGE, PROT_READ));
		EXPECT_SIGBUS(false, p + FILE_PAGES * PAGE);
		EXPECT_EQ(SIGSEGV, probe_write(p + FILE_PAGES * PAGE, 1, NULL));
	}
}

TEST_F(file, efault_beyond_the_end)
{
	char *p = map_at(&self->vm, 0, FILE_PAGES + 1, RW, MAP_SHARED, self->fd,
			 0);
	int fds[2];

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(0, pipe(fds));
	p += FILE_PAGES * PAGE;
	EXPECT_FAIL(EFAULT, write(fds[1], p, 8));
	ASSERT_EQ(8, write(fds[1], "12345678", 8));
	EXPECT_FAIL(EFAULT, read(fds[0], p, 8));
}

TEST_F(file, an_empty_file)
{
	struct fault f;
	size_t i;

	ASSERT_EQ(0, ftruncate(self->fd, 0));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		char *p = map_at(&self->vm, 0, 2, RWX, types[i], self->fd, 0);

		ASSERT_EQ(self->base, p);
		EXPECT_SIGBUS(false, p);
		EXPECT_SIGBUS(true, p + PAGE);
		EXPECT_EQ(SIGBUS, probe_call(p, &f));
		EXPECT_EQ((uintptr_t)p, f.addr);
		ASSERT_TRUE(file_put(self->fd, 10, 'x'));
		EXPECT_EQ('x', p[10]);
		EXPECT_SIGBUS(false, p + PAGE);
		ASSERT_EQ(0, ftruncate(self->fd, 0));
		EXPECT_SIGBUS(false, p);
	}
}

/* Truncation and holes */

TEST_F(file, truncated_down_and_up)
{
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES, RW, types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		for (k = 0; k < FILE_PAGES; k++)
			p[k * PAGE + 1] = 'P';
		ASSERT_EQ(0, ftruncate(self->fd, 8 * PAGE));
		EXPECT_EQ('P', p[7 * PAGE + 1]);
		EXPECT_SIGBUS(false, p + 8 * PAGE);
		EXPECT_SIGBUS(true, p + (FILE_PAGES - 1) * PAGE);
		ASSERT_EQ(0, ftruncate(self->fd, FILE_PAGES * PAGE));
		EXPECT_EQ('P', p[7 * PAGE + 1]);
		/* The copies of a private mapping are gone as well. */
		for (k = 8; k < FILE_PAGES; k++) {
			EXPECT_TRUE(page_is(p + k * PAGE, 0));
			EXPECT_EQ(0, probe_write(p + k * PAGE, 1, NULL));
		}
		ASSERT_TRUE(fill_pages(self->fd, 0, FILE_PAGES));
	}
}

TEST_F(file, truncated_within_a_page)
{
	char *s = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	char *p =
		map_at(&self->vm, 16, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);
	char *q =
		map_at(&self->vm, 32, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, (void *)s);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)q);
	s[3 * PAGE + 200] = 'S';
	p[3 * PAGE + 200] = 'P';
	EXPECT_EQ('S', q[3 * PAGE + 200]);
	ASSERT_EQ(0, ftruncate(self->fd, 3 * PAGE + 100));
	EXPECT_EQ(0, s[3 * PAGE + 200]);
	EXPECT_EQ(0, q[3 * PAGE + 200]);
	/* A copy is nothing of the file's any more. */
	EXPECT_EQ('P', p[3 * PAGE + 200]);
	EXPECT_EQ(letter(3), s[3 * PAGE + 99]);
	EXPECT_SIGBUS(false, s + 4 * PAGE);
	EXPECT_SIGBUS(false, p + 4 * PAGE);
	ASSERT_EQ(0, ftruncate(self->fd, FILE_PAGES * PAGE));
	EXPECT_EQ(0, s[3 * PAGE + 200]);
	EXPECT_EQ('P', p[3 * PAGE + 200]);
	EXPECT_EQ(0, s[4 * PAGE]);
}

/* What is gone does not come back because the rights change. */
TEST_F(file, truncated_and_protected)
{
	char *p =
		map_at(&self->vm, 0, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(p, 'P', FILE_PAGES * PAGE);
	ASSERT_EQ(0, ftruncate(self->fd, 4 * PAGE));
	ASSERT_EQ(0, ftruncate(self->fd, FILE_PAGES * PAGE));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, 8 * PAGE, PROT_READ));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 8 * PAGE, 8 * PAGE, PROT_NONE));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 8 * PAGE, 8 * PAGE, RW));
	for (i = 0; i < FILE_PAGES; i++)
		EXPECT_TRUE(page_is(p + i * PAGE, i < 4 ? 'P' : 0));
}

/* A mapping that went beyond the end once, and its neighbour which did not. */
TEST_F(file, copies_stay_when_neighbours_become_one)
{
	char *p = map_at(&self->vm, 0, 4, RW, MAP_PRIVATE, self->fd, 4);
	char *q = map_at(&self->vm, 4, 4, RWX, MAP_PRIVATE, self->fd, 8);

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)q);
	p[0] = 'P';
	ASSERT_EQ(0, ftruncate(self->fd, 5 * PAGE));
	ASSERT_EQ(0, ftruncate(self->fd, FILE_PAGES * PAGE));
	q[PAGE] = 'Q';
	ASSERT_EQ(0, vm_mprotect(&self->vm, q, 4 * PAGE, RW));
	/* Both are looked at again. */
	EXPECT_EQ(0, p[2 * PAGE]);
	p[3 * PAGE] = 'R';
	EXPECT_EQ('P', p[0]);
	EXPECT_EQ('Q', q[PAGE]);
	ASSERT_EQ(0, vm_mprotect(&self->vm, p, 8 * PAGE, PROT_READ));
	EXPECT_EQ('Q', q[PAGE]);
	EXPECT_EQ('R', p[3 * PAGE]);
}

TEST_F(file, grows_under_its_mapping)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES + 4, RW, types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		p += FILE_PAGES * PAGE;
		EXPECT_SIGBUS(false, p);
		ASSERT_EQ(0, ftruncate(self->fd, FILE_PAGES * PAGE + 1));
		EXPECT_EQ(0, *p);
		EXPECT_SIGBUS(false, p + PAGE);
		ASSERT_TRUE(file_put(self->fd, (FILE_PAGES + 2) * PAGE, 'z'));
		EXPECT_EQ('z', p[2 * PAGE]);
		EXPECT_EQ(0, p[PAGE]);
		EXPECT_SIGBUS(true, p + 3 * PAGE);
		ASSERT_EQ(0, ftruncate(self->fd, FILE_PAGES * PAGE));
	}
}

TEST_F(file, by_another_name_truncated)
{
	char *p = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	char *q =
		map_at(&self->vm, 16, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);
	int fd;

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)q);
	p[0] = 'P';
	q[0] = 'Q';
	fd = file_reopen(self->fd, O_RDWR | O_TRUNC);
	ASSERT_LE(0, fd);
	EXPECT_SIGBUS(true, p);
	EXPECT_SIGBUS(true, q);
	close(fd);
}

TEST_F(file, punched)
{
	const int how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	char *s = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	char *p =
		map_at(&self->vm, 16, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, (void *)s);
	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(s + 4 * PAGE, 'S', 4 * PAGE);
	p[5 * PAGE] = 'P';
	EXPECT_EQ('S', p[6 * PAGE]);
	/* From the middle of page 4 to the middle of 7. */
	ASSERT_EQ(0, fallocate(self->fd, how, 4 * PAGE + 2048, 3 * PAGE));
	EXPECT_EQ('S', s[4 * PAGE + 2047]);
	EXPECT_EQ(0, s[4 * PAGE + 2048]);
	EXPECT_TRUE(page_is(s + 5 * PAGE, 0));
	EXPECT_TRUE(page_is(s + 6 * PAGE, 0));
	EXPECT_EQ(0, s[7 * PAGE + 2047]);
	EXPECT_EQ('S', s[7 * PAGE + 2048]);
	/* Copies stay. */
	EXPECT_EQ('P', p[5 * PAGE]);
	EXPECT_EQ('S', p[5 * PAGE + 1]);
	EXPECT_TRUE(page_is(p + 6 * PAGE, 0));
	s[6 * PAGE] = 'T';
	EXPECT_EQ('T', file_byte(self->fd, 6 * PAGE));
	EXPECT_EQ('T', p[6 * PAGE]);
}

TEST_F(file, a_hole_is_filled_by_stores)
{
	char *p;

	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, ftruncate(self->fd, FILE_PAGES * PAGE));
	p = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(0, p[3 * PAGE]);
	p[3 * PAGE] = 'x';
	p[5 * PAGE] = 'y';
	EXPECT_EQ('x', file_byte(self->fd, 3 * PAGE));
	ASSERT_EQ(0, fsync(self->fd));
	posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED);
	EXPECT_EQ('y', file_byte(self->fd, 5 * PAGE));
	/* With large pages, more than what was stored is filled. */
	EXPECT_GE(3 * PAGE, lseek(self->fd, 0, SEEK_DATA));
	EXPECT_EQ(0, p[4 * PAGE]);
}

/* What else moves a file's contents; not every file system has each of it. */

TEST_F(file, a_range_is_taken_out)
{
	char *s = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	char *p =
		map_at(&self->vm, 16, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)s);
	ASSERT_NE(MAP_FAILED, (void *)p);
	s[8 * PAGE] = 'S';
	p[9 * PAGE] = 'P';
	if (fallocate(self->fd, FALLOC_FL_COLLAPSE_RANGE, 4 * PAGE, 4 * PAGE))
		SKIP(return, "%s: %s", variant->fs, strerror(errno));
	EXPECT_EQ('S', s[4 * PAGE]);
	EXPECT_EQ('S', p[4 * PAGE]);
	for (i = 5; i < FILE_PAGES - 4; i++) {
		EXPECT_TRUE(page_is(s + i * PAGE, letter(i + 4)));
		/* ext4 takes copies out, xfs does not. */
		if (i != 9)
			EXPECT_TRUE(page_is(p + i * PAGE, letter(i + 4)));
	}
	EXPECT_SIGBUS(false, s + (FILE_PAGES - 4) * PAGE);
	EXPECT_SIGBUS(false, p + (FILE_PAGES - 4) * PAGE);
}

TEST_F(file, a_range_is_put_in)
{
	char *s = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)s);
	s[8 * PAGE] = 'S';
	if (fallocate(self->fd, FALLOC_FL_INSERT_RANGE, 4 * PAGE, 4 * PAGE))
		SKIP(return, "%s: %s", variant->fs, strerror(errno));
	EXPECT_EQ('S', s[12 * PAGE]);
	for (i = 0; i < 8; i++)
		EXPECT_TRUE(page_is(s + i * PAGE, i < 4 ? letter(i) : 0));
	s[5 * PAGE] = 'T';
	EXPECT_EQ('T', file_byte(self->fd, 5 * PAGE));
}

TEST_F(file, a_range_is_zeroed)
{
	char *s = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, (void *)s);
	memset(s, 'S', 8 * PAGE);
	if (fallocate(self->fd, FALLOC_FL_ZERO_RANGE, 2 * PAGE, 4 * PAGE))
		SKIP(return, "%s: %s", variant->fs, strerror(errno));
	EXPECT_TRUE(page_is(s + PAGE, 'S'));
	EXPECT_TRUE(page_is(s + 2 * PAGE, 0));
	EXPECT_TRUE(page_is(s + 5 * PAGE, 0));
	EXPECT_TRUE(page_is(s + 6 * PAGE, 'S'));
	s[3 * PAGE] = 'T';
	EXPECT_EQ('T', file_byte(self->fd, 3 * PAGE));
}

TEST_F(file, a_clone_keeps_its_contents)
{
	char *s = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	char *t;
	int fd = file_make(&self->place, "clone", 0);

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED, (void *)s);
	s[0] = 'S';
	if (ioctl(fd, FICLONE, self->fd))
		SKIP(return, "%s: %s", variant->fs, strerror(errno));
	t = map_at(&self->vm, 16, FILE_PAGES, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)t);
	EXPECT_EQ('S', t[0]);
	s[0] = 'T';
	t[PAGE] = 'U';
	EXPECT_EQ('S', file_byte(fd, 0));
	EXPECT_EQ(letter(1), file_byte(self->fd, PAGE));
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, fsync(fd));
	EXPECT_EQ('S', t[0]);
	EXPECT_EQ('T', s[0]);
	close(fd);
}

TEST_F(file, copies_see_what_was_stored)
{
	char *s = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	int fd = file_make(&self->place, "copy", 0);
	off_t off = 0, to = 8 * PAGE;

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED, (void *)s);
	s[PAGE] = 'S';
	ASSERT_EQ(4 * PAGE, sendfile(fd, self->fd, &off, 4 * PAGE));
	EXPECT_EQ('S', file_byte(fd, PAGE));
	off = 0;
	ASSERT_EQ(4 * PAGE,
		  copy_file_range(self->fd, &off, self->fd, &to, 4 * PAGE, 0));
	EXPECT_EQ('S', s[9 * PAGE]);
	EXPECT_EQ(letter(2), s[10 * PAGE]);
	close(fd);
}

/* Cutting mappings up */

TEST_F(file, parts_are_unmapped)
{
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES, RW, two_types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		for (k = 0; k < FILE_PAGES; k += 3)
			p[k * PAGE] = 'P';
		ASSERT_EQ(0, vm_munmap(&self->vm, p, 2 * PAGE));
		EXPECT_EQ(1, vm_areas(&self->vm));
		ASSERT_EQ(0, vm_munmap(&self->vm, p + 14 * PAGE, 2 * PAGE));
		EXPECT_EQ(1, vm_areas(&self->vm));
		ASSERT_EQ(0, vm_munmap(&self->vm, p + 7 * PAGE, 2 * PAGE));
		EXPECT_EQ(2, vm_areas(&self->vm));
		for (k = 0; k < FILE_PAGES; k++) {
			bool gone = k < 2 || k == 7 || k == 8 || k >= 14;

			EXPECT_EQ(gone ? SIGSEGV : 0,
				  probe_rewrite(p + k * PAGE, NULL));
			if (!gone)
				EXPECT_EQ(k % 3 ? letter(k) : 'P', p[k * PAGE]);
		}
		ASSERT_EQ(0, vm_munmap(&self->vm, p, FILE_PAGES * PAGE));
		EXPECT_EQ(0, vm_areas(&self->vm));
		EXPECT_EQ('P', file_byte(self->fd, 3 * PAGE));
	}
}

/* What is cut off is still the file's to truncate and to write back. */
TEST_F(file, parts_are_truncated)
{
	char *p = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(p, 'S', FILE_PAGES * PAGE);
	ASSERT_EQ(0, vm_munmap(&self->vm, p + 4 * PAGE, 2 * PAGE));
	ASSERT_EQ(0, vm_mprotect(&self->vm, p + 10 * PAGE, PAGE, PROT_READ));
	ASSERT_EQ(4, vm_areas(&self->vm));
	ASSERT_EQ(0, ftruncate(self->fd, 8 * PAGE));
	EXPECT_EQ('S', p[3 * PAGE]);
	EXPECT_EQ('S', p[7 * PAGE]);
	EXPECT_SIGBUS(true, p + 8 * PAGE);
	EXPECT_SIGBUS(false, p + 10 * PAGE);
	EXPECT_SIGBUS(true, p + 15 * PAGE);
	ASSERT_EQ(0, ftruncate(self->fd, 2 * PAGE));
	EXPECT_EQ('S', p[PAGE]);
	EXPECT_SIGBUS(false, p + 3 * PAGE);
	EXPECT_SIGBUS(false, p + 6 * PAGE);
	EXPECT_EQ(SIGSEGV, probe_read(p + 4 * PAGE, NULL, NULL));
}

TEST_F(file, is_replaced_in_parts)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES, RW, two_types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		memset(p, 'P', FILE_PAGES * PAGE);
		/* Anonymous memory, another part of it, the other type. */
		ASSERT_EQ(p + 2 * PAGE, vm_map_at(&self->vm, 2, 3, RW));
		ASSERT_EQ(p + 7 * PAGE, map_at(&self->vm, 7, 2, RW,
					       two_types[i], self->fd, 0));
		ASSERT_EQ(p + 12 * PAGE, map_at(&self->vm, 12, 2, RW,
						two_types[!i], self->fd, 12));
		EXPECT_EQ(7, vm_areas(&self->vm));
		EXPECT_TRUE(page_is(p + PAGE, 'P'));
		EXPECT_TRUE(page_is(p + 2 * PAGE, 0));
		EXPECT_TRUE(page_is(p + 4 * PAGE, 0));
		EXPECT_TRUE(page_is(p + 6 * PAGE, 'P'));
		EXPECT_TRUE(page_is(p + 8 * PAGE, i ? letter(1) : 'P'));
		EXPECT_TRUE(page_is(p + 9 * PAGE, 'P'));
		EXPECT_TRUE(page_is(p + 13 * PAGE, i ? letter(13) : 'P'));
		EXPECT_TRUE(page_is(p + 14 * PAGE, 'P'));
		/* The shared one is on either side now. */
		p[12 * PAGE] = 'Q';
		p[14 * PAGE] = 'R';
		EXPECT_EQ(i ? 'Q' : 'P', file_byte(self->fd, 12 * PAGE));
		EXPECT_EQ(i ? letter(14) : 'R', file_byte(self->fd, 14 * PAGE));
		ASSERT_TRUE(fill_pages(self->fd, 0, FILE_PAGES));
		ASSERT_EQ(0, vm_munmap(&self->vm, p, FILE_PAGES * PAGE));
	}
}

TEST_F(file, replaces_anonymous_memory)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		char *p = vm_map_at(&self->vm, 0, 16, RW);

		ASSERT_EQ(self->base, p);
		memset(p, 'A', 16 * PAGE);
		ASSERT_EQ(p + 4 * PAGE, map_at(&self->vm, 4, 4, RW,
					       two_types[i], self->fd, 4));
		EXPECT_EQ(3, vm_areas(&self->vm));
		EXPECT_TRUE(page_is(p + 3 * PAGE, 'A'));
		EXPECT_TRUE(page_is(p + 4 * PAGE, letter(4)));
		EXPECT_TRUE(page_is(p + 7 * PAGE, letter(7)));
		EXPECT_TRUE(page_is(p + 8 * PAGE, 'A'));
		p[5 * PAGE] = 'X';
		EXPECT_EQ(i ? letter(5) : 'X', file_byte(self->fd, 5 * PAGE));
		ASSERT_TRUE(fill_pages(self->fd, 0, FILE_PAGES));
	}
}

TEST_F(file, does_not_replace)
{
	const int flags = MAP_SHARED | MAP_FIXED_NOREPLACE;
	char *p = map_at(&self->vm, 4, 4, RW, MAP_PRIVATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, (void *)p);
	p[0] = 'P';
	EXPECT_FAIL(EEXIST, vm_map_file(&self->vm, p - PAGE, 2 * PAGE, RW,
					flags, self->fd, 0));
	EXPECT_FAIL(EEXIST, vm_map_file(&self->vm, p + 3 * PAGE, 2 * PAGE, RW,
					flags, self->fd, 0));
	EXPECT_EQ((void *)(p + 4 * PAGE),
		  vm_map_file(&self->vm, p + 4 * PAGE, 2 * PAGE, RW, flags,
			      self->fd, 0));
	EXPECT_EQ('P', p[0]);
}

TEST_F(file, neighbours_become_one)
{
	size_t i;

	if (!strcmp(variant->fs, "overlay"))
		SKIP(return, "natively they do not");
	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		struct vm *vm = &self->vm;
		const int type = two_types[i];

		ASSERT_NE(MAP_FAILED, map_at(vm, 4, 4, RW, type, self->fd, 4));
		ASSERT_NE(MAP_FAILED, map_at(vm, 8, 4, RW, type, self->fd, 8));
		EXPECT_EQ(1, vm_areas(vm));
		ASSERT_NE(MAP_FAILED, map_at(vm, 0, 3, RW, type, self->fd, 0));
		EXPECT_EQ(2, vm_areas(vm));
		ASSERT_NE(MAP_FAILED, map_at(vm, 3, 1, RW, type, self->fd, 3));
		EXPECT_EQ(1, vm_areas(vm));
		/* But not with what is elsewhere in the file, or another type. */
		ASSERT_NE(MAP_FAILED, map_at(vm, 12, 1, RW, type, self->fd, 0));
		EXPECT_EQ(2, vm_areas(vm));
		ASSERT_NE(MAP_FAILED,
			  map_at(vm, 13, 1, RW, two_types[!i], self->fd, 1));
		EXPECT_EQ(3, vm_areas(vm));
		EXPECT_EQ(letter(3), self->base[3 * PAGE]);
		EXPECT_EQ(letter(0), self->base[12 * PAGE]);
		EXPECT_EQ(letter(1), self->base[13 * PAGE]);
		ASSERT_EQ(0, vm_munmap(vm, self->base, PAGES * PAGE));
	}
}

/* The same file opened twice is two files here. */
TEST_F(file, neighbours_of_another_descriptor)
{
	int fd = file_reopen(self->fd, O_RDWR);

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED,
		  map_at(&self->vm, 0, 4, RW, MAP_SHARED, self->fd, 0));
	ASSERT_NE(MAP_FAILED, map_at(&self->vm, 4, 4, RW, MAP_SHARED, fd, 4));
	EXPECT_EQ(2, vm_areas(&self->vm));
	EXPECT_EQ(letter(7), self->base[7 * PAGE]);
	close(fd);
}

/* Protections */

TEST_F(file, parts_are_protected)
{
	static const int prot[] = { PROT_READ, PROT_NONE, RX, RWX, RW };
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES, RW, two_types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		for (k = 0; k < ARRAY_SIZE(prot); k++) {
			char *q = p + (2 + 2 * k) * PAGE;
			bool hidden = prot[k] == PROT_NONE;
			bool writable = prot[k] & PROT_WRITE;

			q[8] = RET_INSN;
			ASSERT_EQ(0, vm_mprotect(&self->vm, q, PAGE, prot[k]));
			EXPECT_EQ(writable ? 0 : SIGSEGV,
				  probe_rewrite(q, NULL));
			EXPECT_EQ(hidden ? SIGSEGV : 0,
				  probe_read(q, NULL, NULL));
			EXPECT_EQ(prot[k] & PROT_EXEC ? 0 : SIGSEGV,
				  probe_call(q + 8, NULL));
			EXPECT_EQ(0, probe_rewrite(q - PAGE, NULL));
			EXPECT_EQ(0, probe_rewrite(q + PAGE, NULL));
		}
		EXPECT_EQ(9, vm_areas(&self->vm));
		ASSERT_EQ(0, vm_mprotect(&self->vm, p, FILE_PAGES * PAGE, RW));
		EXPECT_EQ(1, vm_areas(&self->vm));
		for (k = 0; k < FILE_PAGES; k++) {
			EXPECT_EQ(letter(k), p[k * PAGE]);
			EXPECT_EQ(0, probe_rewrite(p + k * PAGE, NULL));
		}
		ASSERT_TRUE(fill_pages(self->fd, 0, FILE_PAGES));
	}
}

/* Rights that come and go before and after a page is there. */
TEST_F(file, every_protection_before_every_touch)
{
	static const int prot[] = { PROT_NONE, PROT_READ, RW, RX, RWX };
	size_t i, k, j;

	for (i = 0; i < ARRAY_SIZE(two_types); i++)
		for (k = 0; k < ARRAY_SIZE(prot); k++)
			for (j = 0; j < ARRAY_SIZE(prot); j++) {
				char *p = map_at(&self->vm, 0, 2, prot[k],
						 two_types[i], self->fd, 0);

				ASSERT_EQ(self->base, p);
				EXPECT_EQ(prot[k] ? 0 : SIGSEGV,
					  probe_read(p, NULL, NULL));
				EXPECT_EQ(prot[k] & PROT_WRITE ? 0 : SIGSEGV,
					  probe_rewrite(p, NULL));
				ASSERT_EQ(0, vm_mprotect(&self->vm, p, 2 * PAGE,
							 prot[j]));
				EXPECT_EQ(prot[j] ? 0 : SIGSEGV,
					  probe_read(p, NULL, NULL));
				EXPECT_EQ(prot[j] & PROT_WRITE ? 0 : SIGSEGV,
					  probe_rewrite(p, NULL));
				EXPECT_EQ(prot[j] & PROT_WRITE ? 0 : SIGSEGV,
					  probe_rewrite(p + PAGE, NULL));
			}
}

TEST_F(file, of_a_read_only_descriptor)
{
	int fd = file_reopen(self->fd, O_RDONLY);
	char *s, *p;

	ASSERT_LE(0, fd);
	s = map_at(&self->vm, 0, 4, PROT_READ, MAP_SHARED, fd, 0);
	p = map_at(&self->vm, 8, 4, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)s);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_FAIL(EACCES, vm_mprotect(&self->vm, s, 4 * PAGE, RW));
	EXPECT_FAIL(EACCES, vm_mprotect(&self->vm, s, PAGE, PROT_WRITE));
	EXPECT_FAIL(EACCES, vm_mprotect(&self->vm, s, PAGE, RWX));
	EXPECT_EQ(1 + 1, vm_areas(&self->vm));
	EXPECT_EQ(SIGSEGV, probe_rewrite(s, NULL));
	EXPECT_EQ(0, vm_mprotect(&self->vm, s, PAGE, RX));
	EXPECT_EQ(0, vm_mprotect(&self->vm, s, PAGE, PROT_NONE));
	EXPECT_EQ(0, vm_mprotect(&self->vm, s, PAGE, PROT_READ));
	EXPECT_EQ(0, vm_mprotect(&self->vm, p, 4 * PAGE, RW));
	p[0] = 'P';
	EXPECT_EQ(letter(0), s[0]);
	/* It still sees what others write. */
	ASSERT_TRUE(file_put(self->fd, 1, 'F'));
	EXPECT_EQ('F', s[1]);
	close(fd);
}

/* What comes before the part that cannot be changed is changed. */
TEST_F(file, is_protected_up_to_the_first_failure)
{
	int fd = file_reopen(self->fd, O_RDONLY);

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED,
		  map_at(&self->vm, 0, 4, PROT_READ, MAP_PRIVATE, self->fd, 0));
	ASSERT_NE(MAP_FAILED,
		  map_at(&self->vm, 4, 4, PROT_READ, MAP_SHARED, fd, 4));
	ASSERT_NE(MAP_FAILED,
		  map_at(&self->vm, 8, 4, PROT_READ, MAP_SHARED, self->fd, 8));
	EXPECT_FAIL(EACCES, vm_mprotect(&self->vm, self->base + 2 * PAGE,
					8 * PAGE, RW));
	EXPECT_EQ(SIGSEGV, probe_rewrite(self->base + PAGE, NULL));
	EXPECT_EQ(0, probe_rewrite(self->base + 3 * PAGE, NULL));
	EXPECT_EQ(SIGSEGV, probe_rewrite(self->base + 4 * PAGE, NULL));
	EXPECT_EQ(SIGSEGV, probe_rewrite(self->base + 8 * PAGE, NULL));
	EXPECT_EQ(4, vm_areas(&self->vm));
	close(fd);
}

TEST_F(file, hidden_at_first)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES + 1, PROT_NONE,
				 two_types[i], self->fd, 0);
		struct fault f;

		ASSERT_EQ(self->base, p);
		EXPECT_EQ(SIGSEGV, probe_read(p, NULL, &f));
		EXPECT_EQ(SEGV_ACCERR, f.code);
		/* Not SIGBUS. */
		EXPECT_EQ(SIGSEGV, probe_write(p + FILE_PAGES * PAGE, 1, NULL));
		ASSERT_EQ(0, vm_mprotect(&self->vm, p, 2 * PAGE, RW));
		EXPECT_TRUE(page_is(p + PAGE, letter(1)));
		p[0] = 'P';
		EXPECT_EQ(i ? letter(0) : 'P', file_byte(self->fd, 0));
		ASSERT_TRUE(fill_pages(self->fd, 0, 1));
	}
}

TEST_F(file, is_executed)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		char *p;

		ASSERT_TRUE(file_put(self->fd, PAGE, RET_INSN));
		p = map_at(&self->vm, 0, FILE_PAGES, RX, two_types[i], self->fd,
			   0);
		ASSERT_EQ(self->base, p);
		EXPECT_EQ(0, probe_call(p + PAGE, NULL));
		ASSERT_TRUE(file_put(self->fd, 3 * PAGE, RET_INSN));
		EXPECT_EQ(0, probe_call(p + 3 * PAGE, NULL));
		EXPECT_EQ(SIGSEGV, probe_rewrite(p, NULL));
		ASSERT_EQ(0, vm_mprotect(&self->vm, p, PAGE * 8, RWX));
		p[5 * PAGE] = RET_INSN;
		EXPECT_EQ(0, probe_call(p + 5 * PAGE, NULL));
		ASSERT_EQ(0, vm_mprotect(&self->vm, p, PAGE * 8, RW));
		EXPECT_EQ(SIGSEGV, probe_call(p + 5 * PAGE, NULL));
	}
}

/* Residency */

/* A digit of @want for each page, from @p on. */
static void expect_resident(struct __test_metadata *_metadata, struct vm *vm,
			    const char *want, char *p)
{
	const size_t pages = strlen(want);
	unsigned char vec[PAGES];
	size_t i;

	memset(vec, 0xee, sizeof(vec));
	EXPECT_EQ(0, vm_mincore(vm, p, pages * PAGE, vec));
	for (i = 0; i < pages; i++)
		EXPECT_EQ(want[i], '0' + vec[i])
		{
			TH_LOG("page %zu, want %s", i, want);
		}
}

#define EXPECT_RESIDENT(want, p) expect_resident(_metadata, &self->vm, want, p)

TEST_F(file, is_resident_where_it_is_cached)
{
	size_t i;

	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, ftruncate(self->fd, 8 * PAGE));
	ASSERT_TRUE(file_put(self->fd, 3 * PAGE, 'x'));
	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		char *p = map_at(&self->vm, 0, 10, PROT_READ, two_types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		/* Nothing was touched in here. */
		EXPECT_RESIDENT("0001000000", p);
		ASSERT_EQ(0, vm_mprotect(&self->vm, p, 10 * PAGE, PROT_NONE));
		EXPECT_RESIDENT("0001000000", p);
		ASSERT_EQ(0, vm_munmap(&self->vm, p, 10 * PAGE));
	}
}

TEST_F(file, a_copy_is_resident)
{
	char *p = map_at(&self->vm, 0, 8, RW, MAP_PRIVATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, (void *)p);
	p[3 * PAGE] = 'P';
	ASSERT_EQ(0, fallocate(self->fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			       8 * PAGE));
	EXPECT_RESIDENT("00010000", p);
	p[5 * PAGE] = 'P';
	EXPECT_EQ(1, vm_resident(&self->vm, p + 5 * PAGE));
}

/* The kernel may hold a page for a moment: it is asked until it lets go. */
static bool thrown_out(struct vm *vm, int fd, char *p, size_t pages)
{
	unsigned char vec[PAGES];
	int round;

	for (round = 0; round < 200; round++) {
		if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) ||
		    vm_mincore(vm, p, pages * PAGE, vec))
			return false;
		if (!memchr(vec, 1, pages))
			return true;
		usleep(10000);
	}
	return false;
}

TEST_F(file, is_not_resident_once_thrown_out)
{
	char *p = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	size_t i;

	if (!place_has_disk(&self->place) || !strcmp(variant->fs, "overlay"))
		SKIP(return, "%s keeps its pages", variant->fs);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_RESIDENT("1111111111111111", p);
	ASSERT_TRUE(thrown_out(&self->vm, self->fd, p, FILE_PAGES));
	for (i = 0; i < FILE_PAGES; i++)
		EXPECT_EQ(letter(i), p[i * PAGE]);
	EXPECT_RESIDENT("1111111111111111", p);
	p[0] = 'S';
	/* Mapped pages do not go. */
	ASSERT_EQ(0, fsync(self->fd));
	posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED);
	EXPECT_RESIDENT("1111111111111111", p);
	ASSERT_EQ(0, vm_munmap(&self->vm, p, FILE_PAGES * PAGE));
	p = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_TRUE(thrown_out(&self->vm, self->fd, p, FILE_PAGES));
	p[PAGE] = 'P';
	EXPECT_EQ('S', p[0]);
}

/* Who may not write to a file is told nothing about its pages. */
TEST_F(file, of_others_seems_resident)
{
	char *p, *q;
	pid_t pid;
	int fd;

	if (getuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, ftruncate(self->fd, 8 * PAGE));
	ASSERT_EQ(0, fchmod(self->fd, 0444));
	fd = file_reopen(self->fd, O_RDONLY);
	ASSERT_LE(0, fd);
	p = map_at(&self->vm, 0, 4, PROT_READ, MAP_SHARED, fd, 0);
	q = map_at(&self->vm, 8, 4, RW, MAP_PRIVATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)q);
	EXPECT_RESIDENT("0000", p);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		EXPECT_EQ(0, setresuid(65534, 65534, 65534));
		EXPECT_RESIDENT("1111", p);
		EXPECT_RESIDENT("1111", q);
		_exit(0);
	}
	EXPECT_TRUE(child_done(pid));
	ASSERT_EQ(0, fchmod(self->fd, 0666));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		EXPECT_EQ(0, setresuid(65534, 65534, 65534));
		EXPECT_RESIDENT("0000", p);
		_exit(0);
	}
	EXPECT_TRUE(child_done(pid));
	close(fd);
}

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

TEST_F(file, is_populated)
{
	const struct {
		int type, prot;
	} t[] = {
		{ MAP_SHARED, PROT_READ },
		{ MAP_SHARED, RW },
		{ MAP_PRIVATE, PROT_READ },
		{ MAP_PRIVATE, RW },
	};
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES + 2, t[i].prot,
				 t[i].type | MAP_POPULATE, self->fd, 0);
		bool copied = i == 3;
		long faults;
		int sum = 0;

		ASSERT_EQ(self->base, p);
		faults = minor_faults();
		for (k = 0; k < FILE_PAGES; k++)
			sum += *(volatile char *)(p + k * PAGE);
		EXPECT_EQ(faults, minor_faults());
		EXPECT_SIGBUS(false, p + FILE_PAGES * PAGE);
		/* A private writable page is copied at once. */
		ASSERT_TRUE(file_put(self->fd, 2 * PAGE, 'F'));
		EXPECT_EQ(copied ? letter(2) : 'F', p[2 * PAGE]);
		ASSERT_TRUE(file_put(self->fd, 2 * PAGE, letter(2)));
		EXPECT_NE(0, sum);
	}
}

TEST_F(file, populate_fills_holes)
{
	char *p;

	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, ftruncate(self->fd, 8 * PAGE));
	p = map_at(&self->vm, 0, 10, PROT_READ, MAP_SHARED | MAP_POPULATE,
		   self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_RESIDENT("1111111100", p);
	/* What was only read is still a hole. */
	if (place_has_disk(&self->place))
		EXPECT_FAIL(ENXIO, lseek(self->fd, 0, SEEK_DATA));
}

static long rss_pages(const struct place *place)
{
	bool shmem = !place_has_dir(place) || !strcmp(place->fs, "tmpfs");

	return proc_number("/proc/self/status",
			   shmem ? "RssShmem:" : "RssFile:") /
	       4;
}

/* The kernel's counters may be off by a batch for each CPU. */
#define RSS_PAGES 4096L
#define RSS_SLACK 1024L

TEST_F(file, counts_as_resident)
{
	const size_t len = RSS_PAGES * PAGE;
	struct vm vm;
	long before, with;
	size_t i, k;
	char *p;

	ASSERT_EQ(0, vm_open(&vm, self->vm.ops, len));
	ASSERT_EQ(0, ftruncate(self->fd, len));
	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		before = rss_pages(&self->place);
		p = map_at(&vm, 0, RSS_PAGES, RW, two_types[i], self->fd, 0);
		ASSERT_EQ(vm.base, p);
		for (k = 0; k < RSS_PAGES; k++)
			EXPECT_EQ(0, probe_read(p + k * PAGE, NULL, NULL));
		with = rss_pages(&self->place);
		EXPECT_GE(before + RSS_PAGES + RSS_SLACK, with);
		EXPECT_LE(before + RSS_PAGES - RSS_SLACK, with);
		ASSERT_EQ(0, vm_munmap(&vm, p, len / 2));
		with = rss_pages(&self->place);
		EXPECT_GE(before + RSS_PAGES / 2 + RSS_SLACK, with);
		EXPECT_LE(before + RSS_PAGES / 2 - RSS_SLACK, with);
		/* Truncation takes pages out as well. */
		ASSERT_EQ(0, ftruncate(self->fd, len / 2));
		EXPECT_GE(before + RSS_SLACK, rss_pages(&self->place));
		ASSERT_EQ(0, ftruncate(self->fd, len));
		ASSERT_EQ(0, vm_munmap(&vm, p, len));
	}
	vm_close(&vm);
}

/* The file's own fate */

TEST_F(file, closed_and_unlinked)
{
	char path[PATH_MAX], *s, *p;
	struct stat st;
	int other;

	s = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	p = map_at(&self->vm, 16, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)s);
	ASSERT_NE(MAP_FAILED, (void *)p);
	s[0] = 'S';
	ASSERT_EQ(0, close(self->fd));
	self->fd = -1;
	place_path(&self->place, "file", path);
	if (place_has_dir(&self->place))
		ASSERT_EQ(0, unlink(path));
	/* A new file of that name is another one. */
	other = file_make(&self->place, "file", 2);
	ASSERT_LE(0, other);
	EXPECT_EQ('S', p[0]);
	s[PAGE] = 'T';
	EXPECT_EQ('T', p[PAGE]);
	p[2 * PAGE] = 'P';
	EXPECT_EQ(letter(2), s[2 * PAGE]);
	ASSERT_EQ(0, vm_munmap(&self->vm, s + 4 * PAGE, 2 * PAGE));
	EXPECT_EQ(letter(6), s[6 * PAGE]);
	EXPECT_EQ(letter(0), file_byte(other, 0));
	ASSERT_EQ(0, fstat(other, &st));
	EXPECT_EQ(2 * PAGE, st.st_size);
	close(other);
}

TEST_F(file, renamed)
{
	char from[PATH_MAX], to[PATH_MAX], *s;
	int fd;

	if (!place_has_dir(&self->place))
		SKIP(return, "a memfd has no name");
	s = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)s);
	s[0] = 'S';
	place_path(&self->place, "file", from);
	place_path(&self->place, "name", to);
	ASSERT_EQ(0, rename(from, to));
	s[1] = 'T';
	fd = open(to, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ('S', file_byte(fd, 0));
	EXPECT_EQ('T', file_byte(fd, 1));
	ASSERT_TRUE(file_put(fd, 2, 'U'));
	EXPECT_EQ('U', s[2]);
	/* Another file takes its place. */
	close(fd);
	fd = file_make(&self->place, "file", 1);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rename(from, to));
	s[3] = 'V';
	EXPECT_EQ(letter(0), file_byte(fd, 3));
	EXPECT_EQ('V', file_byte(self->fd, 3));
	close(fd);
}

TEST_F(file, keeps_what_was_stored_when_unmapped)
{
	char *s = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)s);
	for (i = 0; i < FILE_PAGES; i++)
		s[i * PAGE] = 'A' + i;
	ASSERT_EQ(0, vm_munmap(&self->vm, s, FILE_PAGES / 2 * PAGE));
	vm_close(&self->vm);
	for (i = 0; i < FILE_PAGES; i++)
		EXPECT_EQ('A' + (int)i, file_byte(self->fd, i * PAGE));
	ASSERT_EQ(0, fsync(self->fd));
	posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED);
	for (i = 0; i < FILE_PAGES; i++)
		EXPECT_EQ('A' + (int)i, file_byte(self->fd, i * PAGE));
	ASSERT_EQ(0, vm_open(&self->vm, variant->ops, PAGES * PAGE));
}

/* Times: what changes them must be what does natively. */

static bool changed(int fd, struct stat *was, bool access)
{
	/* Longer than a tick, which is how exact a file's times are. */
	const struct timespec tick = { .tv_nsec = 30000000 };
	const struct stat old = *was;
	const struct timespec *a = access ? &old.st_atim : &old.st_mtim;
	const struct timespec *b = access ? &was->st_atim : &was->st_mtim;

	fstat(fd, was);
	nanosleep(&tick, NULL);
	return a->tv_sec != b->tv_sec || a->tv_nsec != b->tv_nsec;
}

/* A bit for each step that changed a time; -1 if it could not be done. */
static int times_changed(struct vm *vm, int fd, int type)
{
	const struct timespec old[2] = { { .tv_sec = 1000000000 },
					 { .tv_sec = 1000000001 } };
	int bits = 0;
	struct stat st;
	char *p;

	if (fsync(fd) || futimens(fd, old))
		return -1;
	fstat(fd, &st);
	p = map_at(vm, 0, FILE_PAGES, RW, type, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	bits |= changed(fd, &st, true) << 0;
	probe_read(p, NULL, NULL);
	bits |= changed(fd, &st, true) << 1;
	bits |= changed(fd, &st, false) << 2;
	p[0] = 'x';
	bits |= changed(fd, &st, false) << 3;
	p[1] = 'x';
	bits |= changed(fd, &st, false) << 4;
	if (fsync(fd))
		return -1;
	bits |= changed(fd, &st, false) << 5;
	p[2] = 'x';
	bits |= changed(fd, &st, false) << 6;
	if (vm_munmap(vm, p, FILE_PAGES * PAGE))
		return -1;
	bits |= changed(fd, &st, false) << 7;
	return bits;
}

TEST_F_TIMEOUT(file, times_change_as_natively, SLOW)
{
	int fd = file_make(&self->place, "other", FILE_PAGES);
	size_t i, round;
	struct vm vm;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vm_open(&vm, &vm_native, PAGES * PAGE));
	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		int want = -1, got = -2;

		/* The kernel may write a page back at any moment. */
		for (round = 0; round < 4 && want != got; round++) {
			want = times_changed(&vm, fd, two_types[i]);
			got = times_changed(&self->vm, self->fd, two_types[i]);
		}
		EXPECT_LE(0, want);
		EXPECT_EQ(want, got);
	}
	vm_close(&vm);
	close(fd);
}

TEST_F(file, ignores_what_linux_ignores)
{
	static const int flags[] = {
		MAP_NORESERVE,	MAP_STACK,    MAP_DENYWRITE,
		MAP_EXECUTABLE, MAP_NONBLOCK, 0x4000000 /* UNINITIALIZED */,
	};
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		for (k = 0; k < ARRAY_SIZE(types); k++) {
			char *p = map_at(&self->vm, 0, 4, RW,
					 types[k] | flags[i], self->fd, 0);

			EXPECT_EQ(self->base, p)
			{
				TH_LOG("flag %#x: %s", flags[i],
				       strerror(errno));
				continue;
			}
			EXPECT_EQ(letter(1), p[PAGE]);
			EXPECT_EQ(0, probe_rewrite(p, NULL));
		}
	/* Unknown flags are ignored by all but MAP_SHARED_VALIDATE. */
	for (k = 0; k < ARRAY_SIZE(two_types); k++)
		EXPECT_NE(MAP_FAILED,
			  map_at(&self->vm, 0, 4, RW, two_types[k] | 0x200000,
				 self->fd, 0));
}

TEST_F(file, of_a_terabyte)
{
	static const off_t at[] = {
		0, GiB - PAGE, GiB, 3 * GiB + 7 * PAGE, TiB / 2, TiB - PAGE,
	};
	struct vm vm;
	size_t i, k;
	char *p;

	if (ftruncate(self->fd, TiB))
		SKIP(return, "%s: %s", variant->fs, strerror(errno));
	ASSERT_EQ(0, vm_open(&vm, variant->ops, TiB + GiB));
	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		p = vm_map_file(&vm, vm.base, TiB + PAGE, RW,
				two_types[i] | MAP_FIXED | MAP_NORESERVE,
				self->fd, 0);
		ASSERT_EQ(vm.base, p);
		for (k = 0; k < ARRAY_SIZE(at); k++) {
			if (k)
				EXPECT_EQ(i ? '0' + (char)k : 0, p[at[k]]);
			p[at[k]] = '0' + k;
			EXPECT_EQ('0' + (int)k, file_byte(self->fd, at[k]));
			if (i) {
				p[at[k]] = 'x';
				EXPECT_EQ('0' + (int)k,
					  file_byte(self->fd, at[k]));
			}
		}
		EXPECT_SIGBUS(false, p + TiB);
		ASSERT_EQ(0, vm_munmap(&vm, p + GiB, TiB / 2));
		EXPECT_EQ(i ? 'x' : '5', *(p + TiB - PAGE));
	}
	/* A window at the far end. */
	p = map_at(&vm, 0, 2, RW, MAP_SHARED, self->fd, TiB / PAGE - 2);
	ASSERT_EQ(vm.base, p);
	EXPECT_EQ('5', p[PAGE]);
	vm_close(&vm);
}

/* Processes */

TEST_F(file, a_child_shares_it)
{
	char *s = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)s);
	s[0] = 'P';
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		EXPECT_EQ('P', s[0]);
		EXPECT_EQ(letter(1), s[PAGE]);
		s[0] = 'C';
		s[2 * PAGE] = 'C';
		/* Its own mappings are its own. */
		vm_munmap(&self->vm, s + 8 * PAGE, 2 * PAGE);
		EXPECT_EQ(SIGSEGV, probe_read(s + 8 * PAGE, NULL, NULL));
		_exit(0);
	}
	EXPECT_TRUE(child_done(pid));
	EXPECT_EQ('C', s[0]);
	EXPECT_EQ('C', s[2 * PAGE]);
	EXPECT_EQ(letter(8), s[8 * PAGE]);
	EXPECT_EQ('C', file_byte(self->fd, 2 * PAGE));
}

TEST_F(file, a_child_has_copies)
{
	char *p =
		map_at(&self->vm, 0, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);
	int fds[2];
	pid_t pid;
	char c;

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_EQ(0, pipe(fds));
	p[0] = 'P';
	p[PAGE] = 'P';
	EXPECT_EQ(letter(2), p[2 * PAGE]);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(fds[1]);
		p[0] = 'C';
		p[2 * PAGE] = 'C';
		p[4 * PAGE] = 'C';
		EXPECT_EQ(0, read(fds[0], &c, 1));
		/* The parent has written by now. */
		EXPECT_EQ('C', p[0]);
		EXPECT_EQ('P', p[PAGE]);
		EXPECT_EQ('C', p[2 * PAGE]);
		EXPECT_EQ(letter(3), p[3 * PAGE]);
		EXPECT_EQ('F', p[5 * PAGE]);
		_exit(0);
	}
	p[PAGE] = 'Q';
	p[3 * PAGE] = 'Q';
	ASSERT_TRUE(file_put(self->fd, 5 * PAGE, 'F'));
	close(fds[1]);
	EXPECT_TRUE(child_done(pid));
	EXPECT_EQ('P', p[0]);
	EXPECT_EQ('Q', p[PAGE]);
	EXPECT_EQ(letter(2), p[2 * PAGE]);
	EXPECT_EQ('Q', p[3 * PAGE]);
	EXPECT_EQ(letter(4), p[4 * PAGE]);
	EXPECT_EQ(letter(0), file_byte(self->fd, 0));
}

/* The copies of a child go with a truncation as the parent's do. */
TEST_F(file, a_childs_copies_are_truncated)
{
	char *p =
		map_at(&self->vm, 0, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);
	char *s =
		map_at(&self->vm, 16, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)s);
	p[8 * PAGE] = 'P';
	s[9 * PAGE] = 'S';
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		EXPECT_EQ('P', p[8 * PAGE]);
		EXPECT_EQ('S', s[9 * PAGE]);
		EXPECT_EQ(0, ftruncate(self->fd, 4 * PAGE));
		EXPECT_SIGBUS(false, p + 8 * PAGE);
		EXPECT_SIGBUS(true, s + 9 * PAGE);
		_exit(0);
	}
	EXPECT_TRUE(child_done(pid));
	EXPECT_SIGBUS(true, p + 8 * PAGE);
	EXPECT_SIGBUS(false, s + 9 * PAGE);
	ASSERT_EQ(0, ftruncate(self->fd, FILE_PAGES * PAGE));
	EXPECT_EQ(0, p[8 * PAGE]);
	EXPECT_EQ(0, s[9 * PAGE]);
}

/*
 * A child that never touched its window, while the file changes.  On altvm nobody
 * tells it, so that the private copy may stay.
 */
TEST_F(file, truncated_under_an_idle_child)
{
	char *p =
		map_at(&self->vm, 0, FILE_PAGES, RW, MAP_PRIVATE, self->fd, 0);
	char *s =
		map_at(&self->vm, 16, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	int fds[2];
	pid_t pid;
	char c;

	ASSERT_NE(MAP_FAILED, (void *)p);
	ASSERT_NE(MAP_FAILED, (void *)s);
	ASSERT_EQ(0, pipe(fds));
	memset(p, 'P', FILE_PAGES * PAGE);
	memset(s, 'S', FILE_PAGES * PAGE);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(fds[1]);
		EXPECT_EQ(0, read(fds[0], &c, 1));
		EXPECT_EQ('P', p[7 * PAGE]);
		EXPECT_TRUE(p[8 * PAGE] == 0 ||
			    (!vm_is_native(&self->vm) && p[8 * PAGE] == 'P'));
		EXPECT_EQ('S', s[7 * PAGE]);
		EXPECT_EQ(0, s[8 * PAGE]);
		_exit(0);
	}
	ASSERT_EQ(0, ftruncate(self->fd, 8 * PAGE));
	ASSERT_EQ(0, ftruncate(self->fd, FILE_PAGES * PAGE));
	close(fds[1]);
	EXPECT_TRUE(child_done(pid));
	EXPECT_EQ(0, p[8 * PAGE]);
}

static void end_by_exec(void)
{
	execl("/bin/true", "true", NULL);
	_exit(0);
}

static void end_by_exit(void)
{
	_exit(0);
}

static void end_by_signal(void)
{
	raise(SIGKILL);
}

TEST_F(file, what_an_ended_child_stored_is_there)
{
	void (*const end[])(void) = { end_by_exec, end_by_exit, end_by_signal };
	char *s = map_at(&self->vm, 0, FILE_PAGES, RW, MAP_SHARED, self->fd, 0);
	size_t i;

	ASSERT_NE(MAP_FAILED, (void *)s);
	for (i = 0; i < ARRAY_SIZE(end); i++) {
		pid_t pid = fork();
		int status;

		ASSERT_LE(0, pid);
		if (!pid) {
			s[i * PAGE] = 'C';
			end[i]();
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(i == 2 ? SIGKILL : 0, status);
		EXPECT_EQ('C', file_byte(self->fd, i * PAGE));
		EXPECT_EQ('C', s[i * PAGE]);
	}
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_SIGBUS(false, s);
}

/* Buffers of other calls */

TEST_F(file, is_read_into_and_written_from)
{
	int other = file_make(&self->place, "other", FILE_PAGES);
	size_t i;

	ASSERT_LE(0, other);
	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES, RW, two_types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		/* Across pages that are not there yet. */
		ASSERT_EQ(2 * PAGE,
			  pread(other, p + 2 * PAGE + 100, 2 * PAGE, 8 * PAGE));
		EXPECT_EQ(letter(2), p[2 * PAGE + 99]);
		EXPECT_EQ(letter(8), p[2 * PAGE + 100]);
		EXPECT_EQ(letter(9), p[4 * PAGE + 99]);
		EXPECT_EQ(i ? letter(2) : letter(8),
			  file_byte(self->fd, 2 * PAGE + 100));
		ASSERT_EQ(2 * PAGE,
			  pwrite(other, p + 10 * PAGE + 7, 2 * PAGE, 0));
		EXPECT_EQ(letter(10), file_byte(other, 0));
		EXPECT_EQ(letter(12), file_byte(other, 2 * PAGE - 1));
		ASSERT_TRUE(fill_pages(self->fd, 0, FILE_PAGES));
		ASSERT_TRUE(fill_pages(other, 0, FILE_PAGES));
	}
	close(other);
}

/* The buffer is the file itself: whoever locks a page must not wait for it. */
TEST_F(file, is_read_into_and_written_from_itself)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES, RW, two_types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		/* Onto itself. */
		EXPECT_EQ(PAGE, pread(self->fd, p, PAGE, 0));
		EXPECT_EQ(PAGE, pwrite(self->fd, p + PAGE, PAGE, PAGE));
		EXPECT_TRUE(page_is(p, letter(0)));
		EXPECT_TRUE(page_is(p + PAGE, letter(1)));
		/* To another place. */
		EXPECT_EQ(PAGE, pread(self->fd, p + 2 * PAGE, PAGE, 3 * PAGE));
		EXPECT_EQ(PAGE, pwrite(self->fd, p + 4 * PAGE, PAGE, 5 * PAGE));
		EXPECT_TRUE(page_is(p + 2 * PAGE, letter(3)));
		EXPECT_EQ(i ? letter(2) : letter(3),
			  file_byte(self->fd, 2 * PAGE));
		EXPECT_TRUE(page_is(p + 5 * PAGE, letter(4)));
		/* Overlapping. */
		EXPECT_EQ(PAGE,
			  pwrite(self->fd, p + 7 * PAGE, PAGE, 8 * PAGE - 100));
		EXPECT_EQ(letter(7), file_byte(self->fd, 8 * PAGE + 3000));
		ASSERT_TRUE(fill_pages(self->fd, 0, FILE_PAGES));
	}
}

static int open_direct(int fd)
{
	return file_reopen(fd, O_RDWR | O_DIRECT);
}

TEST_F(file, is_a_buffer_of_direct_io)
{
	int other = file_make(&self->place, "other", FILE_PAGES);
	int direct = open_direct(other);
	size_t i;

	ASSERT_LE(0, other);
	if (direct < 0)
		SKIP(return, "%s: no O_DIRECT", variant->fs);
	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES, RW, two_types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		ASSERT_EQ(0, fsync(other));
		EXPECT_EQ(2 * PAGE,
			  pread(direct, p + 2 * PAGE, 2 * PAGE, 8 * PAGE));
		EXPECT_TRUE(page_is(p + 2 * PAGE, letter(8)));
		EXPECT_TRUE(page_is(p + 3 * PAGE, letter(9)));
		EXPECT_EQ(i ? letter(3) : letter(9),
			  file_byte(self->fd, 3 * PAGE));
		EXPECT_EQ(2 * PAGE,
			  pwrite(direct, p + 10 * PAGE, 2 * PAGE, 4 * PAGE));
		EXPECT_EQ(letter(10), file_byte(other, 4 * PAGE));
		EXPECT_EQ(letter(11), file_byte(other, 5 * PAGE));
		ASSERT_TRUE(fill_pages(self->fd, 0, FILE_PAGES));
		ASSERT_TRUE(fill_pages(other, 0, FILE_PAGES));
	}
	close(direct);
	close(other);
}

TEST_F(file, is_a_buffer_of_direct_io_to_itself)
{
	int direct = open_direct(self->fd);
	size_t i;

	if (direct < 0)
		SKIP(return, "%s: no O_DIRECT", variant->fs);
	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES, RW, two_types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		ASSERT_EQ(0, fsync(self->fd));
		EXPECT_EQ(PAGE, pread(direct, p + 2 * PAGE, PAGE, 8 * PAGE));
		EXPECT_TRUE(page_is(p + 2 * PAGE, letter(8)));
		EXPECT_EQ(PAGE, pwrite(direct, p + 4 * PAGE, PAGE, 6 * PAGE));
		EXPECT_EQ(letter(4), file_byte(self->fd, 6 * PAGE));
		EXPECT_TRUE(page_is(p + 6 * PAGE, letter(4)));
		ASSERT_TRUE(fill_pages(self->fd, 0, FILE_PAGES));
	}
	close(direct);
}

/* A direct write goes below the page cache: mappings must see it. */
TEST_F(file, sees_direct_writes)
{
	int direct = open_direct(self->fd);
	char *data = mmap(NULL, PAGE, RW, ANON, -1, 0);
	size_t i;

	if (direct < 0)
		SKIP(return, "%s: no O_DIRECT", variant->fs);
	memset(data, 'D', PAGE);
	for (i = 0; i < ARRAY_SIZE(two_types); i++) {
		char *p = map_at(&self->vm, 0, FILE_PAGES, RW, two_types[i],
				 self->fd, 0);

		ASSERT_EQ(self->base, p);
		EXPECT_EQ(letter(3), p[3 * PAGE]);
		p[5 * PAGE] = 'P';
		ASSERT_EQ(PAGE, pwrite(direct, data, PAGE, 3 * PAGE));
		ASSERT_EQ(PAGE, pwrite(direct, data, PAGE, 5 * PAGE));
		EXPECT_TRUE(page_is(p + 3 * PAGE, 'D'));
		EXPECT_EQ(i ? 'P' : 'D', p[5 * PAGE]);
		/* And the other way round. */
		if (!i) {
			p[3 * PAGE + 5] = 'S';
			ASSERT_EQ(PAGE, pread(direct, data, PAGE, 3 * PAGE));
			EXPECT_EQ('S', data[5]);
			memset(data, 'D', PAGE);
		}
		ASSERT_TRUE(fill_pages(self->fd, 0, FILE_PAGES));
	}
	munmap(data, PAGE);
	close(direct);
}

/* File systems of a special kind */

VM_FIXTURE(special, 4096);

/* A file below is copied up when it is opened for writing: another inode. */
TEST_F(special, overlay_copies_up)
{
	char path[PATH_MAX], *p;
	struct place place;
	int below, above;

	if (!place_open(&place, "overlay"))
		SKIP(return, "no overlay");
	place_path(&place, LOWER_FILE, path);
	below = open(path, O_RDONLY | O_CLOEXEC);
	if (below < 0)
		SKIP(place_close(&place); return, "not an overlay of ours");
	p = map_at(&self->vm, 0, 1, PROT_READ, MAP_SHARED, below, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(0, p[0]);
	above = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, above);
	ASSERT_TRUE(file_put(above, 0, 'U'));
	EXPECT_EQ(0, p[0]);
	/* Both descriptors are of the upper file from now on. */
	EXPECT_EQ('U', file_byte(below, 0));
	p = map_at(&self->vm, 0, 1, RW, MAP_SHARED, above, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ('U', p[0]);
	p[1] = 'V';
	EXPECT_EQ('V', file_byte(above, 1));
	vm_munmap(&self->vm, p, PAGE);
	close(below);
	close(above);
	place_close(&place);
}

static int open_huge(struct place *place, size_t len)
{
	long before = proc_number("/proc/meminfo", "ShmemHugePages:");
	int fd;

	if (!place_open_tmpfs(place, "huge=always", 0))
		return -1;
	fd = file_make(place, "huge", 0);
	/* Not by stores: a zone may not let them make huge pages. */
	if (fd >= 0 && !fallocate(fd, 0, 0, len) &&
	    proc_number("/proc/meminfo", "ShmemHugePages:") > before)
		return fd;
	place_close(place);
	return -1;
}

/* Pages of 2 MiB in the page cache, cut by each operation. */
TEST_F(special, huge_pages_of_tmpfs)
{
	const size_t len = 8 * MiB;
	struct place place;
	int fd = open_huge(&place, len);
	char *s, *p;
	size_t i;

	if (fd < 0)
		SKIP(return, "no tmpfs with huge pages");
	s = map_at(&self->vm, 0, 2048, RW, MAP_SHARED, fd, 0);
	p = map_at(&self->vm, 2048, 2048, RW, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)s);
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < len; i += PAGE) {
		s[i] = letter(i / PAGE);
		EXPECT_EQ(letter(i / PAGE), p[i]);
	}
	*(p + MiB) = 'P';
	ASSERT_EQ(0, vm_munmap(&self->vm, s + MiB, MiB / 2));
	ASSERT_EQ(0, vm_mprotect(&self->vm, s + 3 * MiB, MiB, PROT_READ));
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       2 * MiB + PAGE, PAGE));
	ASSERT_EQ(0, ftruncate(fd, 5 * MiB));
	for (i = 0; i < 5 * MiB; i += PAGE) {
		bool gone = i >= MiB && i < MiB + MiB / 2;
		char want = i == 2 * MiB + PAGE ? 0 : letter(i / PAGE);

		EXPECT_EQ(gone ? SIGSEGV : 0, probe_read(s + i, NULL, NULL));
		if (!gone)
			EXPECT_EQ(want, s[i]);
		EXPECT_EQ(i == MiB ? 'P' : want, p[i]);
	}
	EXPECT_SIGBUS(false, s + 5 * MiB);
	EXPECT_SIGBUS(false, p + 7 * MiB);
	EXPECT_EQ(SIGSEGV, probe_rewrite(s + 3 * MiB, NULL));
	vm_munmap(&self->vm, self->base, 16 * MiB);
	close(fd);
	place_close(&place);
}

TEST_F(special, huge_pages_in_a_child)
{
	const size_t len = 4 * MiB;
	struct place place;
	int fd = open_huge(&place, len);
	char *s, *p;
	pid_t pid;

	if (fd < 0)
		SKIP(return, "no tmpfs with huge pages");
	s = map_at(&self->vm, 0, 1024, RW, MAP_SHARED, fd, 0);
	p = map_at(&self->vm, 1024, 1024, RW, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)s);
	ASSERT_NE(MAP_FAILED, (void *)p);
	memset(s, 'S', len);
	p[PAGE] = 'P';
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		EXPECT_EQ('S', *(s + 3 * MiB));
		EXPECT_EQ('P', p[PAGE]);
		memset(s + MiB, 'C', MiB);
		memset(p + 2 * MiB, 'C', MiB);
		_exit(0);
	}
	EXPECT_TRUE(child_done(pid));
	EXPECT_EQ('C', *(s + 2 * MiB - 1));
	EXPECT_EQ('C', *(p + MiB));
	EXPECT_EQ('S', *(p + 2 * MiB));
	EXPECT_EQ('S', *(s + 2 * MiB));
	vm_munmap(&self->vm, self->base, 8 * MiB);
	close(fd);
	place_close(&place);
}

/* Another process makes huge pages of a file's small ones. */
static bool collapse(int fd, size_t len)
{
	char *p = mmap(NULL, len + 2 * MiB, PROT_NONE, ANON, -1, 0);

	p += -(uintptr_t)p % (2 * MiB);
	if (prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) ||
	    mmap(p, len, RW, MAP_SHARED | MAP_FIXED, fd, 0) != p)
		return false;
	return !madvise(p, len, MADV_COLLAPSE);
}

TEST_F(special, huge_pages_made_below_it)
{
	char *s = self->base + -(uintptr_t)self->base % (2 * MiB);
	const size_t len = 4 * MiB;
	struct place place;
	char *p = s + len;
	pid_t pid;
	size_t i;
	int fd;

	if (!place_open_tmpfs(&place, "huge=never", 0))
		SKIP(return, "cannot mount a tmpfs");
	fd = file_make(&place, "huge", len / PAGE);
	ASSERT_LE(0, fd);
	ASSERT_EQ((void *)s, vm_map_file(&self->vm, s, len, RW,
					 MAP_SHARED | MAP_FIXED, fd, 0));
	ASSERT_EQ((void *)p, vm_map_file(&self->vm, p, len, RW,
					 MAP_PRIVATE | MAP_FIXED, fd, 0));
	for (i = 0; i < len; i += PAGE)
		EXPECT_EQ(letter(i / PAGE), *(i & PAGE ? s + i : p + i));
	memset(p + MiB, 'P', PAGE);
	*(s + 3 * MiB) = 'S';
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(!collapse(fd, len));
	if (!child_done(pid))
		SKIP(goto out, "MADV_COLLAPSE does not work");
	EXPECT_TRUE(page_is(p + MiB, 'P'));
	*(s + MiB + 1) = 'T';
	EXPECT_EQ('T', file_byte(fd, MiB + 1));
	EXPECT_EQ('S', *(p + 3 * MiB));
	for (i = 2 * MiB; i < 3 * MiB; i += PAGE) {
		EXPECT_EQ(letter(i / PAGE), s[i]);
		EXPECT_EQ(letter(i / PAGE), p[i]);
		p[i] = 'P';
		EXPECT_EQ(letter(i / PAGE), s[i]);
	}
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	EXPECT_SIGBUS(true, s + MiB);
	EXPECT_SIGBUS(true, p + MiB);
out:
	vm_munmap(&self->vm, self->base, self->vm.len);
	close(fd);
	place_close(&place);
}

/* No room for a page: SIGBUS, and the process goes on. */
TEST_F(special, a_full_file_system)
{
	struct place place;
	struct fault f;
	size_t stored;
	char *p;
	int fd;

	if (!place_open_tmpfs(&place, "size=256k", 0))
		SKIP(return, "cannot mount a tmpfs");
	fd = file_make(&place, "file", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, MiB));
	p = map_at(&self->vm, 0, 256, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (stored = 0; stored < 256; stored++)
		if (probe_write(p + stored * PAGE, stored, &f))
			break;
	EXPECT_EQ(64, stored);
	EXPECT_EQ(SIGBUS, f.sig);
	EXPECT_EQ(BUS_ADRERR, f.code);
	EXPECT_EQ((uintptr_t)p + stored * PAGE, f.addr);
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       0, PAGE));
	EXPECT_EQ(0, probe_write(p + stored * PAGE, stored, NULL));
	EXPECT_EQ(63, p[63 * PAGE]);
	vm_munmap(&self->vm, p, MiB);
	close(fd);
	place_close(&place);
}

static bool unmounts(const char *dir)
{
	int round;

	/* The last reference to a file may go a moment later. */
	for (round = 0; round < 500; round++) {
		if (!umount2(dir, 0))
			return true;
		usleep(10000);
	}
	return false;
}

/* A mapping keeps its file system busy, and lets go of it. */
TEST_F(special, keeps_and_releases_the_file_system)
{
	const int how[] = { MAP_SHARED, MAP_PRIVATE };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		struct place place;
		char *p;
		int fd;

		if (!place_open_tmpfs(&place, NULL, 0))
			SKIP(return, "cannot mount a tmpfs");
		fd = file_make(&place, "file", 4);
		ASSERT_LE(0, fd);
		p = map_at(&self->vm, 0, 4, RW, how[i], fd, 0);
		ASSERT_NE(MAP_FAILED, (void *)p);
		p[0] = 'x';
		close(fd);
		EXPECT_FAIL(EBUSY, umount2(place.dir, 0));
		ASSERT_EQ(0, vm_munmap(&self->vm, p + PAGE, PAGE));
		EXPECT_FAIL(EBUSY, umount2(place.dir, 0));
		ASSERT_EQ(0, vm_munmap(&self->vm, p, 4 * PAGE));
		EXPECT_TRUE(unmounts(place.dir));
		place_remove(place.top);
	}
}

/* The window's end, a child's too, lets go of it. */
TEST_F(special, releases_the_file_system_with_its_zone)
{
	struct place place;
	struct vm vm;
	pid_t pid;
	char *p;
	int fd;

	if (!place_open_tmpfs(&place, NULL, 0))
		SKIP(return, "cannot mount a tmpfs");
	ASSERT_EQ(0, vm_open(&vm, self->vm.ops, PAGES * PAGE));
	fd = file_make(&place, "file", 4);
	ASSERT_LE(0, fd);
	p = map_at(&vm, 0, 4, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	p[0] = 'x';
	close(fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pause();
		_exit(0);
	}
	vm_close(&vm);
	EXPECT_FAIL(EBUSY, umount2(place.dir, 0));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_TRUE(unmounts(place.dir));
	place_remove(place.top);
}

ALTVM_FIXTURE(altvm_file, PAGES);

/* How a mapping is checked must not be seen. */
TEST_F(altvm_file, leaves_no_other_mapping)
{
	int fd = memfd_create("altvm-test", MFD_CLOEXEC);
	char line[512];
	FILE *f;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(fill_pages(fd, 0, 4));
	ASSERT_NE(MAP_FAILED, map_at(&self->vm, 0, 4, RW, MAP_SHARED, fd, 0));
	EXPECT_EQ(letter(3), self->base[3 * PAGE]);
	f = fopen("/proc/self/maps", "re");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f))
		EXPECT_EQ(NULL, strstr(line, "altvm-test"))
		{
			TH_LOG("%s", line);
		}
	fclose(f);
	close(fd);
}

TEST_HARNESS_MAIN
