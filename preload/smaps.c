// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * /proc/self/smaps with altvm's areas in the place of the window.  What is resident
 * is what page tables map, as the kernel has it in pagemap; who else has a page
 * cannot be seen: it counts as private in private memory and as shared elsewhere.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "preload.h"
#include "proc.h"
#include "sys.h"

/* Of ioctl(PAGEMAP_SCAN), which the C library's headers may not have. */
struct region {
	__u64 start, end, categories;
};

struct scan {
	__u64 size, flags, start, end, walk_end;
	__u64 vec, vec_len, max_pages;
	__u64 inverted, mask, any_of, returned;
};

#define SCAN _IOWR('f', 16, struct scan)

enum { PRESENT = 1 << 3, ZERO_PAGE = 1 << 5, HUGE = 1 << 6 };

#define REGIONS 32

/**
 * struct usage - what there is of an area, in bytes
 * @resident: mapped
 * @huge: of that by entries of 2 MiB
 * @swapped: paged out
 */
struct usage {
	size_t resident, huge, swapped;
};

static void scan(int pagemap, uintptr_t start, uintptr_t end,
		 struct usage *usage)
{
	struct region regions[REGIONS];
	struct scan arg = {
		.size = sizeof(arg),
		.end = end,
		.vec = (uintptr_t)regions,
		.vec_len = REGIONS,
		.mask = PRESENT,
		.returned = PRESENT | ZERO_PAGE | HUGE,
	};
	long i, n;

	for (arg.start = start; arg.start < end; arg.start = arg.walk_end) {
		n = sys_ioctl(pagemap, SCAN, &arg);
		if (n < 0)
			return;
		for (i = 0; i < n; i++) {
			size_t size = regions[i].end - regions[i].start;

			if (!(regions[i].categories & ZERO_PAGE))
				usage->resident += size;
			if (regions[i].categories & HUGE)
				usage->huge += size;
		}
	}
}

static void count_swapped(uintptr_t start, uintptr_t end, struct usage *usage)
{
	unsigned char vec[4096];
	struct altvm_mincore arg = {
		.size = sizeof(arg),
		.flags = ALTVM_MINCORE_SWAPPED,
		.vec = (uintptr_t)vec,
	};
	size_t i, pages;

	for (; start < end; start += pages * PAGE_SIZE) {
		pages = (end - start) / PAGE_SIZE;
		if (pages > sizeof(vec))
			pages = sizeof(vec);
		arg.addr = start;
		arg.length = pages * PAGE_SIZE;
		if (window_ioctl(window_get(), ALTVM_MINCORE, &arg) < 0)
			return;
		for (i = 0; i < pages; i++)
			usage->swapped += vec[i] & 2 ? PAGE_SIZE : 0;
	}
}

/**
 * struct source - where usage is found
 * @pagemap: the open file, or -errno
 * @swapped: has anything in the window been paged out?
 */
struct source {
	long pagemap;
	bool swapped;
};

static struct usage find_usage(const struct source *source, uintptr_t start,
			       uintptr_t end)
{
	struct usage usage = { 0 };

	if (source->pagemap >= 0)
		scan((int)source->pagemap, start, end, &usage);
	if (source->swapped)
		count_swapped(start, end, &usage);
	return usage;
}

/* The numbers are in one column. */
static void put_size(struct writer *out, const char *name, size_t bytes)
{
	size_t column = strlen(name) + 1;

	proc_put(out, name);
	proc_put(out, ":");
	for (; column < 16; column++)
		proc_put(out, " ");
	proc_put_kib(out, bytes / 1024);
}

/* Altvm's flags are those of the kernel, in brackets, and perhaps a policy. */
static bool has_flag(const char *flags, const char *flag)
{
	const char *end = flags ? strchr(flags, ']') : NULL;
	const char *at = end ? strstr(flags, flag) : NULL;

	return at && at < end && strchr("[ ", at[-1]) && strchr(" ]", at[2]);
}

static void put_flags(struct writer *out, const char *rights, const char *flags)
{
	static const char names[][3] = { "gd", "lo", "lf", "sr", "rr",
					 "dc", "dd", "nr", "wf", "dp",
					 "hg", "nh", "mg" };
	bool shared = rights[3] == 's';
	size_t i;

	proc_put(out, "VmFlags: ");
	proc_put(out, rights[0] == 'r' ? "rd " : "");
	proc_put(out, rights[1] == 'w' ? "wr " : "");
	proc_put(out, rights[2] == 'x' ? "ex " : "");
	proc_put(out, shared ? "sh mr " : "mr ");
	proc_put(out, !shared || rights[1] == 'w' ? "mw me " : "me ");
	proc_put(out, shared ? "ms " : "");
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (has_flag(flags, names[i])) {
			proc_put(out, names[i]);
			proc_put(out, " ");
		}
	}
	proc_put(out, "\n");
}

static void put_area(struct writer *out, const char *line, void *arg)
{
	uintptr_t start = proc_number(line, 16);
	uintptr_t end = proc_number(strchr(line, '-') + 1, 16);
	const char *rights = strchr(line, ' ') + 1;
	const char *path = strchr(line, '/'), *flags = strchr(line, '[');
	struct usage usage = find_usage(arg, start, end);
	bool shared = rights[3] == 's', is_file = path;
	size_t own = shared ? 0 : usage.resident;

	if (flags && path && flags > path)
		flags = NULL;
	proc_put_area(out, line, NULL);
	put_size(out, "Size", end - start);
	put_size(out, "KernelPageSize", PAGE_SIZE);
	put_size(out, "MMUPageSize", PAGE_SIZE);
	put_size(out, "Rss", usage.resident);
	put_size(out, "Pss", usage.resident);
	put_size(out, "Pss_Dirty", is_file ? 0 : usage.resident);
	put_size(out, "Shared_Clean", shared && is_file ? usage.resident : 0);
	put_size(out, "Shared_Dirty", shared && !is_file ? usage.resident : 0);
	put_size(out, "Private_Clean", is_file ? own : 0);
	put_size(out, "Private_Dirty", is_file ? 0 : own);
	put_size(out, "Referenced", usage.resident);
	put_size(out, "Anonymous", is_file ? 0 : own);
	put_size(out, "KSM", 0);
	put_size(out, "LazyFree", 0);
	put_size(out, "AnonHugePages", usage.huge);
	put_size(out, "ShmemPmdMapped", 0);
	put_size(out, "FilePmdMapped", 0);
	put_size(out, "Shared_Hugetlb", 0);
	put_size(out, "Private_Hugetlb", 0);
	put_size(out, "Swap", usage.swapped);
	put_size(out, "SwapPss", usage.swapped);
	put_size(out, "Locked", has_flag(flags, "lo") ? usage.resident : 0);
	proc_put(out, has_flag(flags, "hg") ? "THPeligible:           1\n" :
					      "THPeligible:           0\n");
	put_flags(out, rights, flags);
}

/**
 * smaps_put() - make a file in the place of smaps
 * @out: the file
 * @window: this process'
 * @in: the kernel's file
 */
void smaps_put(struct writer *out, const struct window *window,
	       struct reader *in)
{
	struct source source = {
		.pagemap = sys_open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC),
		.swapped = proc_sizes(window).swapped,
	};
	bool in_window = false;

	while (proc_next_line(in)) {
		if (proc_is_area(in->line)) {
			in_window = proc_number(in->line, 16) == window->start;
			if (in_window)
				proc_put_areas(out, window, put_area, &source);
		}
		if (!in_window)
			proc_put_line(out, in->line);
	}
	if (source.pagemap >= 0)
		sys_close((int)source.pagemap);
}
