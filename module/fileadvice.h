/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_FILEADVICE_H
#define ALTVM_FILEADVICE_H

#include "tree.h"

int altvm_fileadvice_willneed(const struct altvm_area *area, int advice);
int altvm_fileadvice_remove(const struct altvm_area *area, int advice);

#endif /* ALTVM_FILEADVICE_H */
