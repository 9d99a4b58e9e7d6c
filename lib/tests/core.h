/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A core file, read back: its program headers, and the bytes of an address. */
#ifndef LIB_TESTS_CORE_H
#define LIB_TESTS_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <linux/elf.h>

static inline bool core_read(int fd, void *to, size_t len, uint64_t at)
{
	return pread(fd, to, len, (off_t)at) == (ssize_t)len;
}

/* How many program headers there are; 0 if it is no core file. */
static inline size_t core_segments(int fd)
{
	struct elf64_shdr section;
	struct elf64_hdr elf;

	if (!core_read(fd, &elf, sizeof(elf), 0) ||
	    memcmp(elf.e_ident, ELFMAG, SELFMAG) || elf.e_type != ET_CORE)
		return 0;
	if (elf.e_phnum != PN_XNUM)
		return elf.e_phnum;
	if (!core_read(fd, &section, sizeof(section), elf.e_shoff))
		return 0;
	return section.sh_info;
}

/* Program header @i; all zeros if there is none. */
static inline struct elf64_phdr core_segment(int fd, size_t i)
{
	struct elf64_phdr phdr = {};
	struct elf64_hdr elf;

	if (core_read(fd, &elf, sizeof(elf), 0))
		core_read(fd, &phdr, sizeof(phdr),
			  elf.e_phoff + i * sizeof(phdr));
	return phdr;
}

/* The segment with the address @addr; all zeros if there is none. */
static inline struct elf64_phdr core_find(int fd, const void *addr)
{
	size_t i, nr = core_segments(fd);
	struct elf64_phdr phdr;

	for (i = 0; i < nr; i++) {
		phdr = core_segment(fd, i);
		if (phdr.p_type == PT_LOAD &&
		    (uintptr_t)addr - phdr.p_vaddr < phdr.p_memsz)
			return phdr;
	}
	return (struct elf64_phdr){};
}

/* The byte at @addr; -1 if it is not there. */
static inline int core_byte(int fd, const void *addr)
{
	struct elf64_phdr phdr = core_find(fd, addr);
	uint64_t at = (uintptr_t)addr - phdr.p_vaddr;
	unsigned char c;

	if (at >= phdr.p_filesz || !core_read(fd, &c, 1, phdr.p_offset + at))
		return -1;
	return c;
}

#endif /* LIB_TESTS_CORE_H */
