/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TESTS_FUZZ_SHRINK_H
#define TESTS_FUZZ_SHRINK_H

struct twins;

/* Make a script that differs as short as it can be. */
void shrink(struct twins *t);

#endif /* TESTS_FUZZ_SHRINK_H */
