/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_REMOTE_H
#define ALTVM_REMOTE_H

#include "altvm.h"
#include "space.h"

int altvm_remote_rw(struct altvm_process_vm *cmd, bool write);
int altvm_remote_madvise(struct altvm_process_madvise *cmd);
int altvm_remote_mrelease(struct altvm_process_mrelease *cmd);

#endif /* ALTVM_REMOTE_H */
