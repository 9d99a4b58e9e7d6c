// SPDX-License-Identifier: GPL-2.0
/*
 * For rmmod.sh: holds a window, with no descriptor left, until its standard
 * input ends.  Says so when it has it; fails if the memory does not stay.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vm.h"

int main(void)
{
	struct vm vm;
	char c;

	if (vm_open(&vm, &vm_ioctl, 64 * PAGE) ||
	    vm_map_at(&vm, 0, 64, RW) == MAP_FAILED)
		return 1;
	memset(vm.base, 1, 32 * PAGE);
	close(vm.fd);
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	/* New pages come from the module too. */
	memset(vm.base + 32 * PAGE, 1, 32 * PAGE);
	return memcmp(vm.base, vm.base + 32 * PAGE, 32 * PAGE) != 0;
}
