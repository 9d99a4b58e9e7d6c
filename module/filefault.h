/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_FILEFAULT_H
#define ALTVM_FILEFAULT_H

#include "fault.h"

void altvm_filefault_forget(struct altvm_fault *f);
int altvm_filefault_want(struct altvm_fault *f);
int altvm_filefault_fetch(struct altvm_fault *f);
bool altvm_filefault_around(struct altvm_fault *f, struct altvm_leaf *leaf);
void altvm_filefault_dirtied(struct altvm_fault *f);
int altvm_filefault_ask(struct altvm_fault *f);
int altvm_filefault_ask_mark(struct altvm_fault *f);
int altvm_filefault_copy(struct altvm_fault *f, struct altvm_leaf *leaf);
bool altvm_filefault_is_attached(const struct altvm_fault *f);
int altvm_filefault_map(struct altvm_fault *f, struct altvm_leaf *leaf);
int altvm_filefault_handle(struct altvm_fault *f, struct altvm_leaf *leaf);

#endif /* ALTVM_FILEFAULT_H */
