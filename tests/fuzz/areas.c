// SPDX-License-Identifier: GPL-2.0
/*
 * The listing of areas: natively by ioctl(PROCMAP_QUERY) and /proc/self/smaps,
 * of altvm by /proc/self/fdinfo.  Areas that are alike and adjacent count as one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "side.h"

/* Newer than some kernel headers: struct procmap_query of <linux/fs.h>. */
struct query {
	uint64_t size;
	uint64_t query_flags;
	uint64_t query_addr;
	uint64_t vma_start;
	uint64_t vma_end;
	uint64_t vma_flags;
	uint64_t vma_page_size;
	uint64_t vma_offset;
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t vma_name_size;
	uint32_t build_id_size;
	uint64_t vma_name_addr;
	uint64_t build_id_addr;
};

#define QUERY _IOWR('f', 17, struct query)
#define QUERY_SHARED 0x08
#define QUERY_NEXT 0x10

/* The flags that both list, by their names in smaps. */
static const char *const flag_names[] = {
	"gd", "lo", "lf", "dc", "dd", "nr", "rr", "sr", "wf", "dp",
};

/**
 * struct listed - an area
 * @start: first address
 * @end: behind it
 * @prot: PROT_*, and QUERY_SHARED
 * @file: FILE_*, NR_FILES for shared memory, -1 for private
 * @offset: in the file, in bytes
 * @flags: bits of flag_names
 */
struct listed {
	unsigned long start;
	unsigned long end;
	unsigned int prot;
	int file;
	unsigned long offset;
	unsigned int flags;
};

/**
 * struct listing - what has been read of a listing
 * @side: whose
 * @last: joined of all that are alike; end 0: none yet
 * @o: the outcome
 */
struct listing {
	struct side *side;
	struct listed last;
	struct outcome *o;
};

static void finish(struct listing *l)
{
	const struct listed *a = &l->last;
	const unsigned long base = (uintptr_t)l->side->vm.base;

	if (!a->end)
		return;
	l->o->value++;
	l->o->hash = hash_add(l->o->hash, a->start - base);
	l->o->hash = hash_add(l->o->hash, a->end - base);
	l->o->hash = hash_add(l->o->hash, a->prot | a->flags << 8);
	l->o->hash = hash_add(l->o->hash, a->offset + a->file);
	if (l->side->verbose)
		dprintf(2,
			"# %8s: %#lx-%#lx prot %#x file %d at %#lx flags %#x\n",
			l->side->vm.ops->name, a->start - base, a->end - base,
			a->prot, a->file, a->offset, a->flags);
}

static void add(struct listing *l, struct listed *a)
{
	struct listed *last = &l->last;
	const unsigned long base = (uintptr_t)l->side->vm.base;
	const unsigned long end = base + l->side->vm.len;

	if (a->end <= base || a->start >= end)
		return;
	/* What takes the addresses outside may have become one with it. */
	if (a->start < base)
		a->start = base;
	if (a->end > end)
		a->end = end;
	if (a->file < 0)
		a->offset = 0;
	if (last->end == a->start && last->prot == a->prot &&
	    last->file == a->file && last->flags == a->flags &&
	    (a->file < 0 ||
	     last->offset + (last->end - last->start) == a->offset)) {
		last->end = a->end;
		return;
	}
	finish(l);
	*last = *a;
}

static int file_of(struct side *side, dev_t dev, unsigned long inode)
{
	int file = inode ? side_file_by_inode(side, dev, inode) : -1;

	/* Which is shared memory. */
	return file == FILE_ZERO ? NR_FILES : file;
}

static bool query(int fd, unsigned long addr, bool next, struct query *q)
{
	memset(q, 0, sizeof(*q));
	q->size = sizeof(*q);
	q->query_addr = addr;
	q->query_flags = next ? QUERY_NEXT : 0;
	return !ioctl(fd, QUERY, q);
}

unsigned long side_seam(unsigned long addr)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	unsigned long seam = 0;
	struct query q, next;

	if (query(fd, addr, false, &q) && query(fd, q.vma_end, false, &next) &&
	    q.vma_flags == next.vma_flags)
		seam = q.vma_end;
	close(fd);
	return seam;
}

unsigned long side_area_end(unsigned long addr)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct query q;
	bool found = query(fd, addr, false, &q);

	close(fd);
	return found ? q.vma_end : 0;
}

static void list_native(struct listing *l)
{
	unsigned long addr = (uintptr_t)l->side->vm.base;
	const unsigned long end = addr + l->side->vm.len;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct query q;

	while (addr < end && query(fd, addr, true, &q)) {
		struct listed a = {
			.start = q.vma_start,
			.end = q.vma_end,
			.prot = q.vma_flags,
			.file = file_of(l->side,
					makedev(q.dev_major, q.dev_minor),
					q.inode),
			.offset = q.vma_offset,
		};

		add(l, &a);
		addr = q.vma_end;
	}
	close(fd);
}

static unsigned int parse_flags(const char *s)
{
	unsigned int flags = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flag_names); i++) {
		const char *p = strstr(s, flag_names[i]);

		if (p && (p[-1] == ' ' || p[-1] == '[') &&
		    (p[2] == ' ' || p[2] == ']' || p[2] == '\n'))
			flags |= 1U << i;
	}
	return flags;
}

/* A line as in /proc/PID/maps. */
static bool parse_area(struct side *side, const char *line, struct listed *a)
{
	unsigned int major, minor;
	unsigned long inode;
	char prot[5];

	memset(a, 0, sizeof(*a));
	if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu", &a->start, &a->end, prot,
		   &a->offset, &major, &minor, &inode) != 7)
		return false;
	a->prot = (prot[0] == 'r') * PROT_READ | (prot[1] == 'w') * PROT_WRITE |
		  (prot[2] == 'x') * PROT_EXEC |
		  (prot[3] == 's') * QUERY_SHARED;
	a->file = file_of(side, makedev(major, minor), inode);
	return true;
}

/* Reads lines without allocating. */
struct lines {
	int fd;
	size_t pos, len;
	char data[4096];
};

static bool next_line(struct lines *f, char *line, size_t size)
{
	size_t n = 0;

	for (;;) {
		if (f->pos == f->len) {
			ssize_t got = read(f->fd, f->data, sizeof(f->data));

			f->pos = 0;
			f->len = got > 0 ? got : 0;
			if (!f->len)
				return n;
		}
		if (n < size - 2)
			line[n++] = f->data[f->pos];
		if (f->data[f->pos++] == '\n')
			break;
	}
	line[n - 1] = '\n';
	line[n] = '\0';
	return true;
}

static void list_smaps(struct listing *l)
{
	struct lines f = { .fd = open("/proc/self/smaps", O_RDONLY) };
	struct listed a = {};
	char line[512];

	while (next_line(&f, line, sizeof(line))) {
		if (!strncmp(line, "VmFlags:", 8)) {
			a.flags = parse_flags(line);
			add(l, &a);
		} else if (line[0] < 'A' || line[0] > 'Z') {
			parse_area(l->side, line, &a);
		}
	}
	close(f.fd);
}

static void list_altvm(struct listing *l, bool flags)
{
	struct lines f = {};
	char line[512];
	bool ours = false;
	struct listed a;

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", l->side->vm.fd);
	f.fd = open(line, O_RDONLY | O_CLOEXEC);
	while (next_line(&f, line, sizeof(line))) {
		if (!strncmp(line, "altvm-window:", 13)) {
			ours = strstr(line, " self");
		} else if (ours && parse_area(l->side, line, &a)) {
			a.flags = flags && strchr(line, '[') ?
					  parse_flags(strchr(line, '[')) :
					  0;
			add(l, &a);
		}
	}
	close(f.fd);
}

void side_areas(struct side *side, const struct op *op, struct outcome *o)
{
	struct listing l = { .side = side, .o = o };

	if (!vm_is_native(&side->vm))
		list_altvm(&l, op->how);
	else if (op->how)
		list_smaps(&l);
	else
		list_native(&l);
	finish(&l);
}
