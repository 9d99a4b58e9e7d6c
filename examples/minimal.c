// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The smallest program: a window, a page in it, a write to it. */
#include <altvm.h>
#include <err.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	struct altvm *vm = altvm_open(0, 0);
	char *p;

	if (!vm)
		err(1, "altvm_open");
	p = altvm_mmap(vm, NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		err(1, "altvm_mmap");
	memcpy(p, "Hello from altvm", 17);
	printf("%s at %p\n", p, (void *)p);
	return altvm_close(vm) < 0;
}
