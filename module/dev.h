/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_DEV_H
#define ALTVM_DEV_H

int altvm_dev_init(void);
void altvm_dev_exit(void);

#endif /* ALTVM_DEV_H */
