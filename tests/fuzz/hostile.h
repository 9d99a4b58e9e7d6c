/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TESTS_FUZZ_HOSTILE_H
#define TESTS_FUZZ_HOSTILE_H

#include <stdint.h>

/* Throw garbage at the device; 0 if all went on until the end. */
int hostile(uint64_t seed, long seconds, int jobs);

#endif /* TESTS_FUZZ_HOSTILE_H */
