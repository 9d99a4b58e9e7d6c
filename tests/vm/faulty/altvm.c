// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for altvm.ko that misbehaves as its parameter "fault" says: shows
 * that tests/vm/run notices.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

static char *fault = "none";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "none, warn, oops, leak, overrun, deadlock or load");

static DEFINE_MUTEX(lock_a);
static DEFINE_MUTEX(lock_b);

static const struct file_operations faulty_fops = {
	.owner = THIS_MODULE,
};

static struct miscdevice faulty_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "altvm",
	.fops = &faulty_fops,
};

static void faulty_leak(void)
{
	int i;

	/* Several: one address may survive in a stale register or stack slot. */
	for (i = 0; i < 10; i++) {
		void *lost = kmalloc(64, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(lost);
	}
}

static void faulty_overrun(void)
{
	size_t past = 64;
	char *p = kmalloc(64, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(past);
	if (p)
		WRITE_ONCE(p[past], 1);
	kfree(p);
}

/* Never deadlocks, but lockdep knows that it could. */
static void faulty_deadlock(void)
{
	mutex_lock(&lock_a);
	mutex_lock(&lock_b);
	mutex_unlock(&lock_b);
	mutex_unlock(&lock_a);

	mutex_lock(&lock_b);
	mutex_lock(&lock_a);
	mutex_unlock(&lock_a);
	mutex_unlock(&lock_b);
}

static int __init faulty_init(void)
{
	if (!strcmp(fault, "load"))
		return -EIO;
	if (!strcmp(fault, "leak"))
		faulty_leak();
	if (!strcmp(fault, "overrun"))
		faulty_overrun();
	if (!strcmp(fault, "deadlock"))
		faulty_deadlock();
	return misc_register(&faulty_device);
}

static void __exit faulty_exit(void)
{
	misc_deregister(&faulty_device);
	WARN_ON(!strcmp(fault, "warn"));
	if (!strcmp(fault, "oops"))
		WRITE_ONCE(*(int *)8, 1);
}

module_init(faulty_init);
module_exit(faulty_exit);
MODULE_DESCRIPTION("A stand-in for altvm.ko that misbehaves on request");
MODULE_LICENSE("GPL");
