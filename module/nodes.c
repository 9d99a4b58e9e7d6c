// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of memory nodes, from and to user memory, in the format of mbind(2): bits in
 * words, of 64 bits or of the caller's 32.
 *
 * Context: no space is entered.
 */
#include <linux/compat.h>
#include <linux/uaccess.h>

#include "nodes.h"

/* How many bytes of user memory @bits are. */
static unsigned long mask_bytes(unsigned long bits)
{
	return in_compat_syscall() ? DIV_ROUND_UP(bits, 32) * 4 :
				     BITS_TO_LONGS(bits) * sizeof(long);
}

/* Bits from @mask on; what is left of the last word is 0. */
static int get_bits(unsigned long *bits, const void __user *mask,
		    unsigned long nr)
{
	if (copy_from_user(bits, mask, mask_bytes(nr)))
		return -EFAULT;
	if (nr % BITS_PER_LONG)
		bits[nr / BITS_PER_LONG] &= BIT(nr % BITS_PER_LONG) - 1;
	return 0;
}

/*
 * There are more bits than nodes can be: none of those may be set.  From the last word
 * down, which is seen in the error.
 */
static int check_excess(const unsigned long __user *mask, unsigned long nr)
{
	while (nr > MAX_NUMNODES) {
		unsigned long bits = min_t(unsigned long, nr, BITS_PER_LONG);
		unsigned long word = 0;

		if (get_bits(&word, &mask[(nr - 1) / BITS_PER_LONG], bits))
			return -EFAULT;
		if (nr - bits >= MAX_NUMNODES) {
			nr -= bits;
		} else {
			nr = MAX_NUMNODES;
			word &= ~(BIT(MAX_NUMNODES % BITS_PER_LONG) - 1);
		}
		if (word)
			return -EINVAL;
	}
	return 0;
}

/**
 * altvm_nodes_get() - read a set of nodes
 * @nodes: out
 * @mask: in user memory; NULL is the empty set
 * @maxnode: how many bits there are, and one more
 *
 * As get_nodes() in mm/.
 *
 * Return: 0, -EINVAL, -EFAULT.
 */
int altvm_nodes_get(nodemask_t *nodes, const void __user *mask,
		    unsigned long maxnode)
{
	int ret;

	nodes_clear(*nodes);
	maxnode--;
	if (!maxnode || !mask)
		return 0;
	if (maxnode > PAGE_SIZE * BITS_PER_BYTE)
		return -EINVAL;
	ret = check_excess(mask, maxnode);
	if (ret)
		return ret;
	return get_bits(nodes_addr(*nodes), mask,
			min_t(unsigned long, maxnode, MAX_NUMNODES));
}

/**
 * altvm_nodes_put() - write a set of nodes
 * @mask: in user memory
 * @maxnode: how many bits there are, and one more
 * @nodes: the set
 *
 * As copy_nodes_to_user() in mm/.
 *
 * Return: 0, -EINVAL, -EFAULT.
 */
int altvm_nodes_put(void __user *mask, unsigned long maxnode,
		    const nodemask_t *nodes)
{
	unsigned long copy = ALIGN(maxnode - 1, 64) / BITS_PER_BYTE;
	unsigned long known = mask_bytes(nr_node_ids);

	if (copy > known) {
		if (copy > PAGE_SIZE)
			return -EINVAL;
		if (clear_user(mask + known, copy - known))
			return -EFAULT;
		copy = known;
	} else if (in_compat_syscall()) {
		copy = min(mask_bytes(maxnode), sizeof(*nodes));
	}
	return copy_to_user(mask, nodes_addr(*nodes), copy) ? -EFAULT : 0;
}
