// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include <err.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "pagemap.h"

/* Documentation/admin-guide/mm/pagemap.rst in the kernel. */
#define BIT(n) (1UL << (n))
#define PM_PFN (BIT(55) - 1)
#define PM_SOFT_DIRTY BIT(55)
#define PM_FILE_OR_SHARED BIT(61)
#define PM_PRESENT BIT(63)

static const struct {
	int bit;
	const char *name;
} kflag_names[] = {
	{ KPF_REFERENCED, "referenced" },
	{ KPF_UPTODATE, "uptodate" },
	{ KPF_DIRTY, "dirty" },
	{ KPF_LRU, "lru" },
	{ KPF_ACTIVE, "active" },
	{ KPF_SLAB, "slab" },
	{ KPF_MMAP, "mmap" },
	{ KPF_ANON, "anon" },
	{ KPF_SWAPBACKED, "swapbacked" },
	{ KPF_COMPOUND_HEAD, "head" },
	{ KPF_COMPOUND_TAIL, "tail" },
	{ KPF_HUGE, "huge" },
	{ KPF_THP, "thp" },
	{ KPF_ZERO_PAGE, "zero-page" },
};

/* The @index-th 64-bit word of a file; false if it cannot be read. */
static bool read_word(const char *path, unsigned long index,
		      unsigned long *word)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return false;
	len = pread(fd, word, sizeof(*word), (off_t)(index * sizeof(*word)));
	close(fd);
	return len == sizeof(*word);
}

struct page_info pagemap_read(const void *addr)
{
	unsigned long page = (uintptr_t)addr / (uintptr_t)sysconf(_SC_PAGESIZE);
	struct page_info info = {};
	unsigned long entry;

	if (!read_word("/proc/self/pagemap", page, &entry))
		err(1, "/proc/self/pagemap");
	info.present = entry & PM_PRESENT;
	info.soft_dirty = entry & PM_SOFT_DIRTY;
	info.shared = entry & PM_FILE_OR_SHARED;
	if (info.present)
		info.pfn = entry & PM_PFN;
	if (info.pfn && !read_word("/proc/kpageflags", info.pfn, &info.kflags))
		info.kflags = 0;
	return info;
}

static void append(char **buf, size_t *len, const char *text)
{
	int done = snprintf(*buf, *len, " %s", text);

	if (done > 0 && (size_t)done < *len) {
		*buf += done;
		*len -= (size_t)done;
	}
}

void pagemap_format(const struct page_info *info, char *buf, size_t len)
{
	char frame[32];

	*buf = '\0';
	if (!info->present) {
		append(&buf, &len, "not present");
		return;
	}
	append(&buf, &len, "present");
	if (info->soft_dirty)
		append(&buf, &len, "soft-dirty");
	if (info->shared)
		append(&buf, &len, "shared");
	if (info->pfn) {
		snprintf(frame, sizeof(frame), "frame %#lx:", info->pfn);
		append(&buf, &len, frame);
	}
	for (size_t i = 0; i < sizeof(kflag_names) / sizeof(*kflag_names); i++)
		if (info->kflags & BIT(kflag_names[i].bit))
			append(&buf, &len, kflag_names[i].name);
}
