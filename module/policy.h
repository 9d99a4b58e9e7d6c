/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ALTVM_POLICY_H
#define ALTVM_POLICY_H

#include <linux/gfp.h>
#include <linux/seq_file.h>

#include "altvm.h"
#include "file.h"
#include "space.h"
#include "tree.h"

void altvm_policy_init(struct altvm_space *space);
int altvm_policy_clone(struct altvm_space *to, struct altvm_space *from);
void altvm_policy_destroy(struct altvm_space *space);

struct page *altvm_policy_alloc_for(struct altvm_space *space,
				    unsigned long attr,
				    struct altvm_file_area *fa,
				    unsigned long addr, gfp_t gfp,
				    unsigned int order);
struct page *altvm_policy_alloc_at(struct altvm_space *space,
				   unsigned long addr, gfp_t gfp);
void altvm_policy_show(struct seq_file *m, struct altvm_space *space,
		       unsigned long attr);

int altvm_policy_mbind(struct altvm_ctx *ctx, struct altvm_mbind *cmd);
int altvm_policy_set_mempolicy(struct altvm_ctx *ctx,
			       struct altvm_set_mempolicy *cmd);
int altvm_policy_get_mempolicy(struct altvm_ctx *ctx,
			       struct altvm_get_mempolicy *cmd);

/* Has this space, or an area of it, ever had a policy? */
static inline bool altvm_policy_any(const struct altvm_space *space)
{
	return !xa_empty(&space->policies);
}

/**
 * altvm_policy_alloc() - a page for the store
 * @space: entered, or in a fault on its window
 * @attr: of the area that the page is for
 * @fa: of a file area, or NULL
 * @addr: what the page is for
 * @gfp: __GFP_ZERO or 0, and what else is special
 *
 * Charged to the current memcg.
 *
 * Context: may sleep.
 * Return: NULL if there is no memory where the policy lets it be.
 */
static inline struct page *altvm_policy_alloc(struct altvm_space *space,
					      unsigned long attr,
					      struct altvm_file_area *fa,
					      unsigned long addr, gfp_t gfp)
{
	gfp |= GFP_HIGHUSER | __GFP_ACCOUNT;
	if (likely(!fa && !altvm_policy_any(space)))
		return alloc_page(gfp);
	return altvm_policy_alloc_for(space, attr, fa, addr, gfp, 0);
}

#endif /* ALTVM_POLICY_H */
