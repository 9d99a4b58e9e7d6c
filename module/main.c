// SPDX-License-Identifier: GPL-2.0
/*
 * altvm: a second virtual-memory system for a process.
 *
 * Loading and unloading.  An open file pins the module, and a window pins its
 * file, so when altvm_exit() runs nobody uses anything any more.
 */
#include <linux/module.h>

#include "dev.h"
#include "file.h"
#include "merge.h"
#include "reclaim.h"
#include "slot.h"
#include "space.h"
#include "store.h"
#include "target.h"

static int __init altvm_init(void)
{
	int ret;

	ret = altvm_space_init();
	if (ret)
		return ret;
	ret = altvm_reclaim_init();
	if (ret)
		goto err_space;
	ret = altvm_slot_module_init();
	if (ret)
		goto err_reclaim;
	ret = altvm_store_module_init();
	if (ret)
		goto err_slot;
	ret = altvm_file_module_init();
	if (ret)
		goto err_store;
	ret = altvm_target_init();
	if (ret)
		goto err_file;
	ret = altvm_merge_init();
	if (ret)
		goto err_target;
	ret = altvm_dev_init();
	if (ret)
		goto err_merge;
	return 0;

err_merge:
	altvm_merge_exit();
err_target:
	altvm_target_exit();
err_file:
	altvm_file_module_exit();
err_store:
	altvm_store_module_exit();
err_slot:
	altvm_slot_module_exit();
err_reclaim:
	altvm_reclaim_exit();
err_space:
	altvm_space_exit();
	return ret;
}

static void __exit altvm_exit(void)
{
	altvm_dev_exit();
	altvm_merge_exit();
	altvm_target_exit();
	/* Waits for what is freed by RCU, spaces among it. */
	altvm_space_exit();
	altvm_file_module_exit();
	altvm_store_module_exit();
	altvm_slot_module_exit();
	altvm_reclaim_exit();
}

module_init(altvm_init);
module_exit(altvm_exit);

MODULE_DESCRIPTION("A second virtual-memory system for a process");
MODULE_AUTHOR("The altvm developers");
MODULE_LICENSE("GPL");
