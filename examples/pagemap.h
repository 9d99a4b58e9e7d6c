/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the kernel says of a page: /proc/self/pagemap and /proc/kpageflags. */
#ifndef EXAMPLES_PAGEMAP_H
#define EXAMPLES_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct page_info - a page of this process's address space
 * @present: is there a page-table entry for it?
 * @soft_dirty: was it written since the soft-dirty bits were cleared?
 * @shared: does the kernel count it as file-backed or shared memory?
 * @pfn: page frame number; 0 unless this process may see it (CAP_SYS_ADMIN)
 * @kflags: the KPF_* bits of the frame; 0 where they cannot be read
 */
struct page_info {
	bool present, soft_dirty, shared;
	unsigned long pfn;
	unsigned long kflags;
};

struct page_info pagemap_read(const void *addr);

/* One line about it, without a newline; @len 256 is enough for any. */
void pagemap_format(const struct page_info *info, char *buf, size_t len);

#endif /* EXAMPLES_PAGEMAP_H */
