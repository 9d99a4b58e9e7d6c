// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Making the window, when the first call comes or when the library is loaded,
 * whichever is first.  A child of fork() inherits the window, the open file and
 * what is in this file; a program that is executed makes a window of its own.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdnoreturn.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <unistd.h>

#include "preload.h"
#include "sys.h"

/*
 * The usual window leaves the lowest addresses, where MAP_32BIT and programs that
 * are not position-independent want to be, and what is above to the kernel.  It
 * has in it whatever hints jemalloc, mimalloc or V8 think up.
 *
 * It starts at a multiple of 2 MiB, where the kernel's mappings below end: so there are
 * no two holes side by side, one in each world.  How long it is varies by up to 1 MiB,
 * which moves the mappings at its end.
 */
#define WINDOW_BASE (1UL << 40)
#define WINDOW_USUAL (62UL << 40)
#define WINDOW_LEAST (1UL << 20)
#define HUGE_SIZE (2UL << 20)

/* What this library cannot do without. */
#define NEEDED_COMMANDS ((1ULL << (ALTVM_CMD_GET_MEMPOLICY + 1)) - 1)

enum state { UNTRIED, BUSY, READY, NONE };

static enum state state;
static long owner_pid, owner_tid;
static struct window window;

static noreturn void give_up(void)
{
	for (;;)
		sys3(SYS_exit_group, 127, 0, 0);
}

/* A multiple of @unit below @limit, or 0 where addresses shall not vary. */
static uintptr_t random_offset(uintptr_t limit, uintptr_t unit)
{
	uintptr_t value = 0;

	if (sys3(SYS_personality, 0xffffffff, 0, 0) & ADDR_NO_RANDOMIZE)
		return 0;
	if (sys3(SYS_getrandom, (unsigned long)&value, sizeof(value), 0) !=
	    sizeof(value))
		return 0;
	return value % limit & ~(unit - 1);
}

static long map_once(size_t length)
{
	uintptr_t hint = WINDOW_BASE + random_offset(WINDOW_BASE, HUGE_SIZE);
	int prot = PROT_READ | PROT_WRITE;
	int flags = MAP_SHARED | MAP_NORESERVE;
	long ret;

	ret = sys_mmap(hint, length, prot | PROT_EXEC, flags, window.fd, 0);
	/* /dev may be mounted noexec, and a security module may object. */
	if (ret == -EACCES || ret == -EPERM)
		ret = sys_mmap(hint, length, prot, flags, window.fd, 0);
	if (ret >= 0) {
		window.start = (uintptr_t)ret;
		window.end = window.start + length;
	}
	return ret;
}

static long map_window(size_t length)
{
	struct rlimit old, raised;
	bool limited;
	long ret;

	/* The window does not count, but the kernel counts it at first. */
	limited = !sys_getrlimit(RLIMIT_AS, &old) &&
		  old.rlim_cur != RLIM_INFINITY;
	if (limited) {
		raised = old;
		raised.rlim_cur = old.rlim_max;
		sys_setrlimit(RLIMIT_AS, &raised);
		while (length / 2 > raised.rlim_cur)
			length /= 2;
	}
	do {
		ret = map_once(length & ~(PAGE_SIZE - 1));
		length /= 2;
	} while (ret == -ENOMEM && length >= WINDOW_LEAST);
	if (limited)
		sys_setrlimit(RLIMIT_AS, &old);
	return ret;
}

static bool module_is_new_enough(void)
{
	struct altvm_query query = { .size = sizeof(query) };

	return !sys_ioctl(window.fd, ALTVM_QUERY, &query) &&
	       (query.commands & NEEDED_COMMANDS) == NEEDED_COMMANDS;
}

/* Say what is wrong, unless the program is to run nevertheless. */
static long complain(const char *what, long ret)
{
	if (!window.config.native)
		message_errno(what, ret);
	return ret;
}

static long window_make(void)
{
	size_t length =
		window.config.window_size ?:
			WINDOW_USUAL + random_offset(WINDOW_LEAST, PAGE_SIZE);
	long ret = fd_open_device();

	if (ret < 0)
		return complain("cannot open /dev/altvm", ret);
	window.fd = (int)ret;
	if (!module_is_new_enough()) {
		ret = complain("the loaded module is too old", -ENOTTY);
		goto close;
	}
	ret = map_window(length);
	/* A program with next to no room has it for itself. */
	if (ret < 0 && ret != -ENOMEM)
		complain("cannot map a window", ret);
	if (ret >= 0)
		return 0;
close:
	sys_close(window.fd);
	return ret;
}

static enum state try(char *const *env)
{
	long ret;

	/* The dynamic linker sees to that, but for libraries in its own places. */
	if (getauxval(AT_SECURE))
		return NONE;
	if (!config_read(&window.config, env))
		give_up();
	ret = window_make();
	if (ret < 0 && ret != -ENOMEM && !window.config.native) {
		message((const char *[]){
			"ALTVM_FALLBACK=native runs a program without altvm",
			NULL });
		give_up();
	}
	own_init(window.config.stats);
	return ret < 0 ? NONE : READY;
}

static bool become_owner(void)
{
	enum state expected = UNTRIED;
	long tid = sys_gettid();

	if (__atomic_compare_exchange_n(&state, &expected, BUSY, false,
					__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		owner_tid = tid;
		owner_pid = sys_getpid();
		return true;
	}
	return false;
}

static const struct window *window_first(char *const *env)
{
	for (;;) {
		enum state now = __atomic_load_n(&state, __ATOMIC_ACQUIRE);

		if (now == READY)
			return &window;
		if (now == NONE)
			return NULL;
		if (now == UNTRIED && become_owner()) {
			__atomic_store_n(&state, try(env), __ATOMIC_RELEASE);
			continue;
		}
		/* A signal handler in the middle of it; or a child of that. */
		if (owner_tid == sys_gettid() || owner_pid != sys_getpid())
			return NULL;
		sys3(SYS_sched_yield, 0, 0, 0);
	}
}

/**
 * window_get() - the window of this process
 *
 * Return: the window, or NULL if the kernel is to do everything.
 */
const struct window *window_get(void)
{
	enum state now = __atomic_load_n(&state, __ATOMIC_ACQUIRE);

	if (now == READY)
		return &window;
	return now == NONE ? NULL : window_first(environ);
}

/**
 * window_ioctl() - have altvm do something
 * @to: the window
 * @cmd: ALTVM_*
 * @arg: its structure
 *
 * Return: 0 or -errno.
 */
long window_ioctl(const struct window *to, unsigned long cmd, void *arg)
{
	int fd, after;
	long ret;

	do {
		fd = __atomic_load_n(&to->fd, __ATOMIC_RELAXED);
		ret = sys_ioctl(fd, cmd, arg);
		after = __atomic_load_n(&to->fd, __ATOMIC_ACQUIRE);
	} while ((ret == -EBADF || ret == -ENOTTY) && fd != after);
	return ret;
}

/**
 * window_fd_changed() - the device has another descriptor now
 * @fd: which
 */
void window_fd_changed(int fd)
{
	__atomic_store_n(&window.fd, fd, __ATOMIC_RELEASE);
}

/* Linked with -z initfirst: before the constructors of other libraries. */
__attribute__((constructor)) static void start(int argc, char **argv,
					       char **env)
{
	(void)argc;
	(void)argv;
	window_first(env);
}

__attribute__((destructor)) static void stop(void)
{
	stats_print();
}
