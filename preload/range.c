// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A range of addresses: whose is it?  The window's part goes to altvm. */
#include <errno.h>

#include "preload.h"
#include "sys.h"

static long apply_kernel(const struct range_call *call, uintptr_t addr,
			 size_t length)
{
	count(call->call, KERNEL);
	if (call->kernel)
		return call->kernel(call, addr, length);
	return sys6(call->nr, addr, length, call->args[0], call->args[1],
		    call->args[2], call->args[3]);
}

static long apply_altvm(const struct range_call *call,
			const struct window *window, uintptr_t addr,
			size_t length)
{
	count(call->call, ALTVM);
	return call->altvm(call, window, addr, length);
}

/* In the order of addresses, up to the first error that ends it. */
static long apply_parts(const struct range_call *call,
			const struct window *window, uintptr_t addr,
			uintptr_t end)
{
	uintptr_t next;
	long ret, first = 0;

	for (; addr < end; addr = next) {
		if (addr < window->start) {
			next = window->start;
			ret = apply_kernel(call, addr, next - addr);
		} else if (addr < window->end) {
			next = end < window->end ? end : window->end;
			ret = apply_altvm(call, window, addr, next - addr);
		} else {
			next = end;
			ret = apply_kernel(call, addr, next - addr);
		}
		if (ret && ret != -call->goes_on)
			return ret;
		if (!first)
			first = ret;
	}
	return first;
}

/**
 * range_apply() - make a call on a range
 * @call: which
 * @addr: where the range starts
 * @length: in bytes
 *
 * A range in one world is passed on as it is, so that every mistake in it is
 * found by whom it is meant for.
 *
 * Return: 0, or -errno.
 */
long range_apply(struct range_call *call, uintptr_t addr, size_t length)
{
	const struct window *window = window_get();
	uintptr_t end;

	call->start = addr;
	if (!window)
		return apply_kernel(call, addr, length);
	/* A mistake, but mlock() rounds some of them to a page. */
	if (__builtin_add_overflow(addr, length, &end))
		return window_has(window, addr) ?
			       apply_altvm(call, window, addr, length) :
			       apply_kernel(call, addr, length);
	if (addr >= window->end ||
	    (addr < window->start && end <= window->start))
		return apply_kernel(call, addr, length);
	if (addr >= window->start && end <= window->end)
		return apply_altvm(call, window, addr, length);
	return apply_parts(call, window, addr, end);
}
