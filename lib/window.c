// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The window: open /dev/altvm, map it, say where it is, give it back.
 */
#include <stdint.h>
#include <stdlib.h>

#include "altvm.h"
#include "handle.h"
#include "raw.h"

#define ALTVM_DEVICE "/dev/altvm"
#define WINDOW_DEFAULT_MAX ((size_t)1 << 40)
#define WINDOW_DEFAULT_MIN ((size_t)1 << 30)

static int window_prot(unsigned int flags)
{
	int prot = PROT_READ | PROT_WRITE;

	return flags & ALTVM_OPEN_NOEXEC ? prot : prot | PROT_EXEC;
}

/* mmap(2) takes any length and rounds it; the handle tells the rounded one. */
static int window_round(size_t *length)
{
	size_t mask = (size_t)sysconf(_SC_PAGESIZE) - 1;

	if (*length > SIZE_MAX - mask)
		return -ENOMEM;
	*length = (*length + mask) & ~mask;
	return 0;
}

static int window_map(struct altvm *vm, size_t length, int prot)
{
	int ret = window_round(&length);

	if (ret < 0)
		return ret;
	vm->length = length;
	return raw_mmap_fd(length, prot, MAP_SHARED | MAP_NORESERVE, vm->fd,
			   &vm->window);
}

/* RLIMIT_AS and address-space layout may leave less room than a terabyte. */
static int window_map_default(struct altvm *vm, int prot)
{
	struct altvm_query query = { .size = sizeof(query) };
	size_t length = WINDOW_DEFAULT_MAX;
	int ret;

	ret = raw_ioctl(vm->fd, ALTVM_QUERY, &query);
	if (ret < 0)
		return ret;
	while (length > query.window_max && length > WINDOW_DEFAULT_MIN)
		length /= 2;
	do {
		ret = window_map(vm, length, prot);
		length /= 2;
	} while (ret == -ENOMEM && length >= WINDOW_DEFAULT_MIN);
	return ret;
}

static int handle_open(struct altvm *vm, size_t window_size, int prot)
{
	int ret;

	vm->fd = raw_open(ALTVM_DEVICE, O_RDWR | O_CLOEXEC);
	if (vm->fd < 0)
		return vm->fd;
	if (window_size)
		ret = window_map(vm, window_size, prot);
	else
		ret = window_map_default(vm, prot);
	if (ret < 0)
		raw_close(vm->fd);
	return ret;
}

static int handle_create(size_t window_size, unsigned int flags,
			 struct altvm **out)
{
	struct altvm *vm;
	int ret;

	if (flags & ~ALTVM_OPEN_NOEXEC)
		return -EINVAL;
	vm = malloc(sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	ret = handle_open(vm, window_size, window_prot(flags));
	if (ret < 0) {
		free(vm);
		return ret;
	}
	*out = vm;
	return 0;
}

struct altvm *altvm_open(size_t window_size, unsigned int flags)
{
	struct altvm *vm;

	if (altvm_result(handle_create(window_size, flags, &vm)) < 0)
		return NULL;
	return vm;
}

int altvm_close(struct altvm *vm)
{
	int unmapped, closed;

	if (!vm)
		return 0;
	unmapped = raw_munmap(vm->window, vm->length);
	closed = raw_close(vm->fd);
	free(vm);
	return altvm_result(unmapped < 0 ? unmapped : closed);
}

int altvm_fd(const struct altvm *vm)
{
	return vm->fd;
}

void *altvm_window(const struct altvm *vm, size_t *length)
{
	if (length)
		*length = vm->length;
	return vm->window;
}
