// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A window as an ELF core file.
 *
 *   ELF header, and section header 0 where there are very many areas
 *   NT_PRSTATUS, without which gdb takes nothing for a core file
 *   program headers: PT_NOTE, and PT_LOAD for each area
 *   the contents of the areas that are dumped, as long as they are; pages that
 *   have none, or cannot be read, are holes of the file
 *
 * For signal handlers of a process that has just crashed: no allocation, no
 * stdio, no lock, little stack; and the memory is read by pwrite(2), which tells
 * what cannot be read where an access would raise a signal.
 *
 * The list of areas is read twice, to count them and to write them, and may
 * change meanwhile: there is some room for more of them.
 */
#include <assert.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include <linux/elf.h>

#include "altvm.h"
#include "areas.h"
#include "handle.h"
#include "raw.h"

/* What mincore tells of pages that have contents: in memory, or paged out. */
#define HAS_CONTENTS 3U

/* How many pages mincore is asked for at once. */
#define VEC 1024

/* The start of the file. */
struct head {
	struct elf64_hdr elf;
	struct elf64_shdr section;
	/* A note's parts follow each other without a gap, so it must start here. */
	__u32 gap;
	struct elf64_note note;
	char note_name[8];
	struct elf_prstatus prstatus;
};

static_assert(offsetof(struct head, prstatus) ==
		      offsetof(struct head, note_name) + 8,
	      "the note has a gap");

/**
 * struct dump - a dump that is being written
 * @vm: the window
 * @fd: the file
 * @flags: ALTVM_DUMP_*
 * @page: the size of a page in bytes
 * @slots: how many areas there is room for
 * @used: how many of them have been written
 * @data: where the next contents go
 */
struct dump {
	const struct altvm *vm;
	int fd;
	unsigned int flags;
	size_t page;
	size_t slots, used;
	off_t data;
};

/* Where it was called: what a debugger shows as the place of the crash. */
struct caller {
	uintptr_t ip, sp, fp;
};

/* Writes all; a page of it that cannot be read is left out. */
static int put(struct dump *d, const void *from, size_t len, off_t to)
{
	const char *p = from;

	while (len) {
		ssize_t n = raw_pwrite(d->fd, p, len, to);

		if (n == -EINTR)
			continue;
		if (n == -EFAULT)
			n = (ssize_t)(d->page - (uintptr_t)p % d->page);
		else if (n <= 0)
			return n ? (int)n : -EIO;
		if ((size_t)n >= len)
			break;
		p += n;
		len -= (size_t)n;
		to += n;
	}
	return 0;
}

/* The runs of pages that have contents, as @vec says. */
static int put_pages(struct dump *d, const char *from, size_t pages,
		     const unsigned char *vec, off_t to)
{
	size_t i, run;
	int ret = 0;

	for (i = 0; i < pages && !ret; i += run) {
		for (run = 0; i + run < pages && vec[i + run] & HAS_CONTENTS;
		     run++)
			;
		if (run)
			ret = put(d, from + i * d->page, run * d->page,
				  to + (off_t)(i * d->page));
		else
			run = 1;
	}
	return ret;
}

static int look(struct dump *d, uintptr_t addr, size_t pages,
		unsigned char *vec)
{
	struct altvm_mincore arg = {
		.size = sizeof(arg),
		.flags = ALTVM_MINCORE_SWAPPED,
		.addr = addr,
		.length = pages * d->page,
		.vec = (uintptr_t)vec,
	};

	int ret = raw_ioctl(d->vm->fd, ALTVM_MINCORE, &arg);

	if (ret != -EINVAL)
		return ret;
	/* A module that knows no paging out. */
	arg.flags = 0;
	return raw_ioctl(d->vm->fd, ALTVM_MINCORE, &arg);
}

/*
 * Only pages that have contents, so that a dump of a crash for want of memory takes
 * none but for what is paged out.  Of a range in which something was unmapped
 * meanwhile nothing is told, so its pages are asked for one by one.
 */
static int put_contents(struct dump *d, const struct area *area, off_t to)
{
	unsigned char vec[VEC];
	uintptr_t at = area->start, single = at;
	size_t pages;
	int ret = 0;

	while (at < area->end && !ret) {
		pages = (area->end - at) / d->page;
		if (at < single)
			pages = 1;
		else if (pages > VEC)
			pages = VEC;
		if (!look(d, at, pages, vec)) {
			ret = put_pages(d, (const char *)at, pages, vec,
					to + (off_t)(at - area->start));
		} else if (pages > 1) {
			single = at + pages * d->page;
			continue;
		}
		at += pages * d->page;
	}
	return ret;
}

/* As the kernel does with the default of /proc/PID/coredump_filter. */
static bool is_wanted(const struct dump *d, const struct area *area)
{
	if (area->dontdump || !area->prot)
		return false;
	if (!area->file || (area->shared && area->deleted))
		return true;
	if (area->shared)
		return d->flags & ALTVM_DUMP_SHARED;
	/* Some of its pages may have been written, and be nowhere else. */
	return area->prot & PROT_WRITE;
}

static __u32 elf_flags(int prot)
{
	return (prot & PROT_READ ? PF_R : 0U) |
	       (prot & PROT_WRITE ? PF_W : 0U) | (prot & PROT_EXEC ? PF_X : 0U);
}

static off_t slot_offset(size_t slot)
{
	return (off_t)(sizeof(struct head) + slot * sizeof(struct elf64_phdr));
}

static int put_area(struct dump *d, const struct area *area)
{
	struct elf64_phdr phdr = {
		.p_type = PT_LOAD,
		.p_flags = elf_flags(area->prot),
		.p_offset = (__u64)d->data,
		.p_vaddr = area->start,
		.p_memsz = area->end - area->start,
		.p_align = d->page,
	};
	int ret;

	if (d->used == d->slots)
		return -EAGAIN;
	if (is_wanted(d, area)) {
		phdr.p_filesz = phdr.p_memsz;
		d->data += (off_t)phdr.p_memsz;
	}
	/* The slot of PT_NOTE is the first. */
	ret = put(d, &phdr, sizeof(phdr), slot_offset(++d->used));
	if (!ret && phdr.p_filesz)
		ret = put_contents(d, area, (off_t)phdr.p_offset);
	return ret;
}

static int put_areas(struct dump *d)
{
	struct area_list list;
	struct area area;
	int ret;

	ret = area_list_open(&list, d->vm);
	if (ret < 0)
		return ret;
	while ((ret = area_list_next(&list, &area)) > 0) {
		ret = put_area(d, &area);
		if (ret < 0)
			break;
	}
	area_list_close(&list);
	return ret;
}

static int count_areas(struct dump *d)
{
	struct area_list list;
	struct area area;
	int ret;

	ret = area_list_open(&list, d->vm);
	if (ret < 0)
		return ret;
	while ((ret = area_list_next(&list, &area)) > 0)
		d->slots++;
	area_list_close(&list);
	d->slots += d->slots / 8 + 16;
	return ret;
}

static void fill_elf(struct head *head, size_t segments)
{
	struct elf64_hdr *elf = &head->elf;

	memcpy(elf->e_ident, ELFMAG, SELFMAG);
	elf->e_ident[EI_CLASS] = ELFCLASS64;
	elf->e_ident[EI_DATA] = ELFDATA2LSB;
	elf->e_ident[EI_VERSION] = EV_CURRENT;
	elf->e_type = ET_CORE;
	elf->e_machine = EM_X86_64;
	elf->e_version = EV_CURRENT;
	elf->e_phoff = sizeof(*head);
	elf->e_ehsize = sizeof(*elf);
	elf->e_phentsize = sizeof(struct elf64_phdr);
	elf->e_phnum = (__u16)segments;
	if (segments < PN_XNUM)
		return;
	/* Too many for that member: a section header has the number. */
	elf->e_phnum = PN_XNUM;
	elf->e_shoff = offsetof(struct head, section);
	elf->e_shentsize = sizeof(head->section);
	elf->e_shnum = 1;
	head->section.sh_info = (__u32)segments;
}

static void fill_note(struct head *head, const struct caller *caller)
{
	static const char name[] = "CORE";
	struct user_regs_struct regs = {
		.rip = caller->ip,
		.rsp = caller->sp,
		.rbp = caller->fp,
	};

	head->note.n_namesz = sizeof(name);
	head->note.n_descsz = sizeof(head->prstatus);
	head->note.n_type = NT_PRSTATUS;
	memcpy(head->note_name, name, sizeof(name));
	head->prstatus.pr_pid = getpid();
	memcpy(head->prstatus.pr_reg, &regs, sizeof(regs));
}

static int put_head(struct dump *d, const struct caller *caller)
{
	const struct elf64_phdr note = {
		.p_type = PT_NOTE,
		.p_offset = offsetof(struct head, note),
		.p_filesz = sizeof(struct head) - offsetof(struct head, note),
		.p_align = 4,
	};
	struct head head = {};
	int ret;

	fill_elf(&head, 1 + d->used);
	fill_note(&head, caller);
	ret = put(d, &head, sizeof(head), 0);
	return ret ? ret : put(d, &note, sizeof(note), slot_offset(0));
}

static int prepare(struct dump *d)
{
	int ret = raw_getfl(d->fd);

	if (ret < 0)
		return ret;
	/* pwrite would append too. */
	if (d->flags & ~ALTVM_DUMP_SHARED || ret & O_APPEND)
		return -EINVAL;
	ret = count_areas(d);
	if (ret < 0)
		return ret;
	d->data = slot_offset(1 + d->slots) + (off_t)d->page - 1;
	d->data -= d->data % (off_t)d->page;
	return raw_ftruncate(d->fd, 0);
}

/* Whatever fails, the file can be used as far as it was written. */
static int dump(struct dump *d, const struct caller *caller)
{
	int ret, err;

	ret = prepare(d);
	if (ret < 0)
		return ret;
	ret = put_areas(d);
	err = put_head(d, caller);
	if (!ret)
		ret = err;
	/* Areas may end with a hole. */
	err = raw_ftruncate(d->fd, d->data);
	return ret ? ret : err;
}

int altvm_dump(struct altvm *vm, int fd, unsigned int flags)
{
	const uintptr_t *frame = __builtin_frame_address(0);
	const struct caller caller = {
		.ip = (uintptr_t)__builtin_return_address(0),
		.sp = (uintptr_t)(frame + 2),
		.fp = *frame,
	};
	struct dump d = {
		.vm = vm,
		.fd = fd,
		.flags = flags,
		.page = (size_t)sysconf(_SC_PAGESIZE),
	};
	int saved = errno, ret = dump(&d, &caller);

	errno = saved;
	return altvm_result(ret);
}
