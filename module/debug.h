/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_DEBUG_H
#define ALTVM_DEBUG_H

#include <linux/fs.h>
#include <linux/seq_file.h>

void altvm_debug_show_fdinfo(struct seq_file *m, struct file *file);

#endif /* ALTVM_DEBUG_H */
