/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A kselftest fixture named @name that runs each test once per VM system, on
 * an empty zone of @pages pages.  self->vm is the system under test.
 */
#ifndef TESTS_USER_FIXTURE_H
#define TESTS_USER_FIXTURE_H

#include <fcntl.h>
#include <signal.h>

#include "kselftest_harness.h"
#include "vm.h"

/* A debug kernel in an emulator is slow. */
#define SLOW	120

#define VM_FIXTURE(name, pages)						\
	VM_FIXTURE_SYSCALLS(name, pages);				\
	FIXTURE_VARIANT_ADD(name, libaltvm) {				\
		.ops = &vm_lib,						\
	}

/* The same without the library. */
#define VM_FIXTURE_SYSCALLS(name, pages)				\
	FIXTURE(name) {							\
		struct vm vm;						\
		char *base;						\
	};								\
	FIXTURE_VARIANT(name) {						\
		const struct vm_ops *ops;				\
	};								\
	FIXTURE_VARIANT_ADD(name, native) {				\
		.ops = &vm_native,					\
	};								\
	FIXTURE_VARIANT_ADD(name, altvm) {				\
		.ops = &vm_ioctl,					\
	};								\
	FIXTURE_SETUP(name) {						\
		if (!vm_available(variant->ops))			\
			SKIP(return, "no " DEVICE);			\
		ASSERT_EQ(0, vm_open(&self->vm, variant->ops,		\
				     (pages) * PAGE)) {			\
			TH_LOG("vm_open: %s", strerror(errno));		\
		}							\
		self->base = self->vm.base;				\
	}								\
	FIXTURE_TEARDOWN(name) {					\
		vm_close(&self->vm);					\
	}								\
	struct vm

/* A fixture for what only altvm has: an open device and a window. */
#define ALTVM_FIXTURE(name, pages)					\
	FIXTURE(name) {							\
		struct vm vm;						\
		char *base;						\
		int fd;							\
	};								\
	FIXTURE_SETUP(name) {						\
		if (!vm_available(&vm_ioctl))				\
			SKIP(return, "no " DEVICE);			\
		ASSERT_EQ(0, vm_open(&self->vm, &vm_ioctl,		\
				     (pages) * PAGE)) {			\
			TH_LOG("vm_open: %s", strerror(errno));		\
		}							\
		self->base = self->vm.base;				\
		self->fd = self->vm.fd;					\
	}								\
	FIXTURE_TEARDOWN(name) {					\
		vm_close(&self->vm);					\
	}								\
	struct vm

/* 0 if @expr succeeded, else errno. */
#define ERRNO_OF(expr)							\
	(errno = 0, (long)(expr) == -1 ? errno : 0)

#define EXPECT_FAIL(want, expr)	EXPECT_EQ(want, ERRNO_OF(expr))
#define ASSERT_FAIL(want, expr)	ASSERT_EQ(want, ERRNO_OF(expr))

#endif /* TESTS_USER_FIXTURE_H */
