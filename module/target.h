/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_TARGET_H
#define ALTVM_TARGET_H

#include <linux/mm_types.h>
#include <linux/pid.h>

/* What a caller wants to do to another process: PTRACE_MODE_* of the kernel. */
enum altvm_target_mode {
	/* PTRACE_MODE_READ_FSCREDS */
	ALTVM_TARGET_READ,
	/* PTRACE_MODE_ATTACH_REALCREDS */
	ALTVM_TARGET_ATTACH,
};

struct pid *altvm_target_find(pid_t nr);
struct pid *altvm_target_of_pidfd(int fd);
struct mm_struct *altvm_target_mm(struct pid *pid, enum altvm_target_mode mode);

int altvm_target_init(void);
void altvm_target_exit(void);

#endif /* ALTVM_TARGET_H */
