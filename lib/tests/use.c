// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A program that uses every function, for C and for C++: does it compile and
 * link with what was installed?  It is run without arguments, and then calls
 * only what needs no module.
 */
#include <altvm.h>
#include <stdio.h>

static int use_all(struct altvm *vm)
{
	struct altvm_query query = {};
	unsigned char vec[1];
	size_t length;
	void *p;

	query.size = sizeof(query);
	if (altvm_query(vm, &query) < 0 || !altvm_window(vm, &length) ||
	    altvm_fd(vm) < 0)
		return 1;
	p = altvm_mmap(vm, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	if (p == MAP_FAILED || altvm_mprotect(vm, p, 4096, PROT_NONE) < 0 ||
	    altvm_mincore(vm, p, 4096, vec) < 0 ||
	    altvm_msync(vm, p, 4096, MS_SYNC) < 0 ||
	    altvm_madvise(vm, p, 4096, MADV_DONTFORK) < 0 ||
	    altvm_mremap(vm, p, 4096, 8192, 0, NULL) == MAP_FAILED ||
	    altvm_mbind(vm, p, 4096, 0, NULL, 0, 0) < 0 ||
	    altvm_set_mempolicy(vm, 0, NULL, 0) < 0 ||
	    altvm_get_mempolicy(vm, NULL, NULL, 0, NULL, 0) < 0 ||
	    altvm_process_vm_readv(vm, 1, NULL, 0, NULL, 0, 0) < 0 ||
	    altvm_process_vm_writev(vm, 1, NULL, 0, NULL, 0, 0) < 0 ||
	    altvm_process_madvise(vm, 1, NULL, 0, 0, 0) < 0 ||
	    altvm_process_mrelease(vm, 1, 0) < 0 ||
	    altvm_dump(vm, 1, ALTVM_DUMP_SHARED) < 0 ||
	    altvm_munmap(vm, p, 4096) < 0)
		return 1;
	return altvm_close(vm);
}

int main(int argc, char **argv)
{
	struct altvm *vm;

	(void)argv;
	vm = altvm_open(0, argc > 1 ? ALTVM_OPEN_NOEXEC : ~0U);
	return vm ? use_all(vm) : 0;
}
