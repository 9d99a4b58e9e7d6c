/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between kernels, by feature.  The only file that looks at
 * kernel versions and configurations on altvm's behalf.
 */
#ifndef ALTVM_COMPAT_H
#define ALTVM_COMPAT_H

#include <linux/version.h>

#ifndef CONFIG_MMU_NOTIFIER
#error "altvm needs a kernel with CONFIG_MMU_NOTIFIER"
#endif

#ifndef CONFIG_NUMA
#error "altvm needs a kernel with CONFIG_NUMA"
#endif

#ifndef CONFIG_PROC_FS
#error "altvm needs a kernel with CONFIG_PROC_FS"
#endif

#if !IS_ENABLED(CONFIG_XXHASH)
#error "altvm needs a kernel with CONFIG_XXHASH"
#endif

#ifndef CONFIG_X86_64
#error "altvm supports x86-64 only"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0) || \
	LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#error "this version of altvm supports Linux 6.12"
#endif

/* Can the kernel take broken memory out of use? */
#define ALTVM_MEMORY_FAILURE IS_ENABLED(CONFIG_MEMORY_FAILURE)

/* Does the kernel know same-page merging?  altvm's is its own, but the advice is its. */
#define ALTVM_KSM IS_ENABLED(CONFIG_KSM)

#endif /* ALTVM_COMPAT_H */
