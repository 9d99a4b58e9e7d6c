/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_ACCESS_H
#define ALTVM_ACCESS_H

#include <linux/mm.h>

int altvm_access(struct vm_area_struct *window, unsigned long addr, void *buf,
		 int len, int write);

#endif /* ALTVM_ACCESS_H */
