// SPDX-License-Identifier: GPL-2.0
/* A library whose constructor needs memory before anybody else's has run. */
#include "common.h"

extern void *early_memory;
void *early_memory = MAP_FAILED;

__attribute__((constructor(101))) static void early(void)
{
	early_memory = mmap(NULL, EARLY_PAGES * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
