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

/* After an mmap that failed, or an mremap. */
void filter_failed_mmap(struct side *side, const struct op *op);
void filter_failed_mremap(struct side *side, const struct op *op);

/* In a child, before anything else is done. */
void filter_child(struct side *side);

/* Forget of an outcome what may differ. */
void filter_outcome(const struct side *side, const struct op *op,
		    struct outcome *o);

#endif /* TESTS_FUZZ_FILTER_H */
