/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fixtures: see VM_FIXTURE(), SIZED_FIXTURE() and ALTVM_FIXTURE().  clang-format takes
 * the braces of the harness' macros for blocks, and is off around those.
 */
#ifndef TESTS_USER_FIXTURE_H
#define TESTS_USER_FIXTURE_H

#include <fcntl.h>
#include <sched.h>
#include <signal.h>

#include "kselftest_harness.h"
#include "vm.h"

/* A debug kernel in an emulator on a busy machine is slow. */
#define SLOW 300

/* Until another thread has counted: on a busy machine it may not have begun. */
#define await_first(count)                                           \
	do {                                                         \
		while (!__atomic_load_n(&(count), __ATOMIC_RELAXED)) \
			sched_yield();                               \
	} while (0)

static inline void fixture_open(struct __test_metadata *_metadata,
				struct vm *vm, const struct vm_ops *ops,
				size_t pages)
{
	if (!vm_available(ops))
		SKIP(return, "no " DEVICE);
	ASSERT_EQ(0, vm_open(vm, ops, pages * PAGE))
	{
		TH_LOG("vm_open: %s", strerror(errno));
	}
}

/* clang-format off */
/*
 * A fixture named @name that runs each test once natively and once on altvm, on an
 * empty zone of @pages pages.  self->vm is the system under test.
 */
#define VM_FIXTURE(name, pages)                                          \
	FIXTURE(name)                                                    \
	{                                                                \
		struct vm vm;                                            \
		char *base;                                              \
	};                                                               \
	FIXTURE_VARIANT(name)                                            \
	{                                                                \
		const struct vm_ops *ops;                                \
	};                                                               \
	FIXTURE_VARIANT_ADD(name, native) {                              \
		.ops = &vm_native,                                       \
	};                                                               \
	FIXTURE_VARIANT_ADD(name, altvm) {                               \
		.ops = &vm_ioctl,                                        \
	};                                                               \
	FIXTURE_SETUP(name)                                              \
	{                                                                \
		fixture_open(_metadata, &self->vm, variant->ops, pages); \
		self->base = self->vm.base;                              \
	}                                                                \
	FIXTURE_TEARDOWN(name)                                           \
	{                                                                \
		vm_close(&self->vm);                                     \
	}                                                                \
	struct vm

/* A window of this size or more has a corner, by which the module moves pages. */
#define WINDOW_WITH_CORNER GiB

/*
 * As VM_FIXTURE(), and once more in a window that has a corner: of a zone that
 * starts with @pages pages.  The zone starts at a border of 2 MiB.
 */
#define SIZED_FIXTURE(name, zone_pages)                                       \
	FIXTURE(name)                                                         \
	{                                                                     \
		struct vm vm;                                                 \
		char *base;                                                   \
	};                                                                    \
	FIXTURE_VARIANT(name)                                                 \
	{                                                                     \
		const struct vm_ops *ops;                                     \
		size_t pages;                                                 \
	};                                                                    \
	FIXTURE_VARIANT_ADD(name, native) {                                   \
		.ops = &vm_native,                                            \
		.pages = (zone_pages),                                        \
	};                                                                    \
	FIXTURE_VARIANT_ADD(name, altvm) {                                    \
		.ops = &vm_ioctl,                                             \
		.pages = (zone_pages),                                        \
	};                                                                    \
	FIXTURE_VARIANT_ADD(name, altvm_with_corner) {                        \
		.ops = &vm_ioctl,                                             \
		.pages = WINDOW_WITH_CORNER / PAGE + (zone_pages),            \
	};                                                                    \
	FIXTURE_SETUP(name)                                                   \
	{                                                                     \
		fixture_open(_metadata, &self->vm, variant->ops,              \
			     variant->pages);                                 \
		self->base = self->vm.base;                                   \
		ASSERT_EQ(0, (uintptr_t)self->base % (2 * MiB));              \
	}                                                                     \
	FIXTURE_TEARDOWN(name)                                                \
	{                                                                     \
		vm_close(&self->vm);                                          \
	}                                                                     \
	struct vm

/* Another variant of such a fixture. */
#define VM_VARIANT(name, variant, its_ops)   \
	FIXTURE_VARIANT_ADD(name, variant) { \
		.ops = its_ops,              \
	};                                   \
	struct vm

/* A fixture for what only altvm has: an open device and a window. */
#define ALTVM_FIXTURE(name, pages)                                    \
	FIXTURE(name)                                                 \
	{                                                             \
		struct vm vm;                                         \
		char *base;                                           \
		int fd;                                               \
	};                                                            \
	FIXTURE_SETUP(name)                                           \
	{                                                             \
		fixture_open(_metadata, &self->vm, &vm_ioctl, pages); \
		self->base = self->vm.base;                           \
		self->fd = self->vm.fd;                               \
	}                                                             \
	FIXTURE_TEARDOWN(name)                                        \
	{                                                             \
		vm_close(&self->vm);                                  \
	}                                                             \
	struct vm

/* 0 if @expr succeeded, else errno. */
#define ERRNO_OF(expr) (errno = 0, (long)(expr) == -1 ? errno : 0)

#define EXPECT_FAIL(want, expr) EXPECT_EQ(want, ERRNO_OF(expr))
#define ASSERT_FAIL(want, expr) ASSERT_EQ(want, ERRNO_OF(expr))

/* clang-format on */

#endif /* TESTS_USER_FIXTURE_H */
