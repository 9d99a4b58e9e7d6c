// SPDX-License-Identifier: GPL-2.0
/* Which advice both systems know. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "script.h"

static bool known[256];

bool advice_is_known(int advice)
{
	return advice >= 0 && advice < 256 && known[advice];
}

static bool accepts(const struct vm_ops *ops, int advice)
{
	struct vm vm;
	char *p;
	bool ok;

	if (vm_open(&vm, ops, 2 * PAGE))
		return false;
	p = vm_mmap(&vm, vm.base, PAGE, RW, ANON | MAP_FIXED);
	ok = p != MAP_FAILED && !vm_madvise(&vm, p, PAGE, advice);
	vm_close(&vm);
	return ok;
}

void advice_find_known(void)
{
	static const int sure[] = { MADV_REMOVE, MADV_COLLAPSE };
	int advice;
	size_t i;

	/* Scripts can be printed anywhere. */
	if (access(DEVICE, F_OK)) {
		memset(known, true, sizeof(known));
		return;
	}
	for (advice = 0; advice < 256; advice++)
		if (advice != MADV_HWPOISON && advice != MADV_SOFT_OFFLINE)
			known[advice] = accepts(&vm_native, advice) &&
					accepts(&vm_ioctl, advice);
	for (i = 0; i < ARRAY_SIZE(sure); i++)
		known[sure[i]] = true;
}
