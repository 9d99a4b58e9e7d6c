/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs for a reason: see Documentation/conformance.rst.  Everything that
 * the fuzzer overlooks is here.
 */
#ifndef TESTS_FUZZ_FILTER_H
#define TESTS_FUZZ_FILTER_H

#include "script.h"

struct side;

/* The old length for a native mremap, if it must be another; else 0. */
uint64_t filter_seam(const struct op *op, const char *base);

/* The length for mprotect, if it must be another; else 0. */
uint64_t filter_first(const struct side *side, const struct op *op);

/*
 * Is a hint to be left out?  Those outside of a window are for the kernel if the
 * library decides.
 */
bool filter_hint(const struct side *side, const struct op *op);

/*
 * Is a transfer to be left out?  The kernel's own reads what may be written only, for
 * it takes all of a window as readable.
 */
bool filter_transfer(const struct side *side, const struct op *op);

/* Is a limit to be left alone?  What fills the window counts, and is not in VmSize. */
bool filter_limit(const struct side *side, const struct op *op);

/*
 * Is a policy to be left out?  The kernel interleaves by addresses, and what it
 * allocates for altvm, by the thread's policy, in turn.
 */
bool filter_policy(const struct side *side, const struct op *op);

/* A mapping that did not fit into the window is the kernel's then. */
void *filter_elsewhere(const struct side *side, void *p, size_t len);

/* After an mmap that failed, or an mremap. */
void filter_failed_mmap(struct side *side, const struct op *op);
void filter_failed_mremap(struct side *side, const struct op *op);

/* In a child, before anything else is done. */
void filter_child(struct side *side);

/* Forget of an outcome what may differ. */
void filter_outcome(const struct side *side, const struct op *op,
		    struct outcome *o);

#endif /* TESTS_FUZZ_FILTER_H */
