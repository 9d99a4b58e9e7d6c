// SPDX-License-Identifier: GPL-2.0
/*
 * One side: a process that runs a script and writes down what it sees.
 *
 * It must not allocate: natively it has no free address but in the zone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/capability.h>

#include "filter.h"
#include "side.h"
#include "tests/user/memcg.h"

#define ZONES (16 * TiB + 64 * GiB)
#define FILE_PAGES 24UL
#define BUFFER_PAGES 8
#define CHILDREN 4
#define WORDS 5

/* After so many seconds a script hangs. */
#define HUNG 100

/* Whose memory OP_RECLAIM takes; without a name there is none. */
static struct memcg side_group;

static char buffer[BUFFER_PAGES * PAGE] __attribute__((aligned(PAGE)));

/* Where in a page is stored and looked. */
static const size_t within[WORDS] = { 0, 8, 2048, PAGE - 8, PAGE - 4 };

char *zone_base(const struct scene *scene)
{
	return (char *)(ZONES + HUGE_PAGE - scene->before * PAGE);
}

/* The window that the library has made. */
static void find_window(unsigned long *start, unsigned long *end)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];

	*start = 0;
	*end = 0;
	while (f && !*end && fgets(line, sizeof(line), f))
		if (strstr(line, DEVICE))
			sscanf(line, "%lx-%lx", start, end);
	if (f)
		fclose(f);
}

/* The kernel's addresses stay free: altvm wants one of them for a moment. */
static void enclose_window(const struct vm *vm)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	unsigned long start, end, p;
	size_t size;

	find_window(&start, &end);
	if (!end) {
		fputs("fuzz: the library has made no window\n", stderr);
		_exit(2);
	}
	mmap(vm->base, vm->len, PROT_NONE, flags | MAP_FIXED, -1, 0);
	for (size = 1UL << 46; size >= PAGE; size /= 2) {
		do {
			p = (uintptr_t)mmap(NULL, size, PROT_NONE, flags, -1,
					    0);
		} while (p >= start && p < end);
		if (p != (uintptr_t)MAP_FAILED)
			munmap((void *)p, size);
	}
	munmap(vm->base, vm->len);
}

void side_enclose(const struct scene *scene, enum system which)
{
	struct vm vm = {
		.ops = &vm_native,
		.base = zone_base(scene),
		.len = scene->pages * PAGE,
	};

	if (which == PRELOAD)
		enclose_window(&vm);
	else
		vm_enclose(&vm);
}

void side_own_group(void)
{
	if (!memcg_open(&side_group, -1UL & -PAGE, true) ||
	    memcg_enter(&side_group))
		side_group.dir[0] = '\0';
}

void side_leave_group(void)
{
	static const struct memcg all = { CGROUPS };

	if (side_group.dir[0] && !memcg_enter(&all))
		memcg_close(&side_group);
}

static int make_file(const struct side *side, const char *name)
{
	const char *dir = getenv("FUZZ_DISK");
	size_t i;
	int fd;

	if (side->run->script.scene.disk && dir)
		fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	else
		fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	memset(buffer, 0, sizeof(buffer));
	for (i = 0; i < FILE_PAGES; i++) {
		uint64_t *words = (uint64_t *)buffer;

		words[0] = 0xf11e0000 + i;
		words[1] = i;
		words[PAGE / 16] = ~i;
		if (write(fd, buffer, PAGE) != (ssize_t)PAGE)
			return -1;
	}
	return fd;
}

static int open_file(struct side *side, int which)
{
	char path[40];

	switch (which) {
	case FILE_DATA:
		return make_file(side, "data");
	case FILE_OTHER:
		return make_file(side, "other");
	case FILE_ZERO:
		return open("/dev/zero", O_RDWR | O_CLOEXEC);
	default:
		snprintf(path, sizeof(path), "/proc/self/fd/%d",
			 side_file(side, FILE_DATA));
		return open(path, O_RDONLY | O_CLOEXEC);
	}
}

int side_file(struct side *side, int which)
{
	if (which < 0 || which >= NR_FILES)
		return which;
	if (side->fd[which] < 0)
		side->fd[which] = open_file(side, which);
	return side->fd[which];
}

int side_file_by_inode(struct side *side, dev_t dev, unsigned long inode)
{
	struct stat st;
	int i;

	for (i = 0; i < NR_FILES; i++)
		if (i != FILE_READER && side->fd[i] >= 0 &&
		    !fstat(side->fd[i], &st) && st.st_dev == dev &&
		    st.st_ino == inode)
			return i;
	return NR_FILES;
}

static char *address(const struct side *side, const struct op *op)
{
	return op->absolute ? (char *)op->addr : side->vm.base + op->addr;
}

/* As an offset in the zone. */
static int64_t place(const struct side *side, const void *p)
{
	return p == MAP_FAILED ? -1 : (const char *)p - side->vm.base;
}

static void do_mmap(struct side *side, const struct op *op, struct outcome *o)
{
	int fd = op->flags & MAP_ANONYMOUS ? -1 : side_file(side, op->fd);
	char *p = filter_hint(side, op) ? NULL : address(side, op);

	p = side->vm.ops->mmap(&side->vm, p, op->len, op->prot, op->flags, fd,
			       op->off);
	if (side->system == PRELOAD)
		p = filter_elsewhere(side, p, op->len);
	o->ret = place(side, p);
	if (o->ret == -1)
		filter_failed_mmap(side, op);
}

static void do_mremap(struct side *side, const struct op *op, size_t i,
		      struct outcome *o)
{
	struct op clipped = *op;

	if (side->system == NATIVE)
		side->run->clip[i] = filter_seam(op, side->vm.base);
	if (side->run->clip[i]) {
		clipped.len = side->run->clip[i];
		if (op->flags & MREMAP_DONTUNMAP && op->len == op->new_len)
			clipped.new_len = clipped.len;
	}
	o->ret = place(side, vm_mremap(&side->vm, address(side, op),
				       clipped.len, clipped.new_len,
				       clipped.flags, side->vm.base + op->to));
	if (o->ret == -1)
		filter_failed_mremap(side, &clipped);
}

static long do_mprotect(struct side *side, const struct op *op, size_t i)
{
	if (side->system == NATIVE)
		side->run->clip[i] = filter_first(side, op);
	return vm_mprotect(&side->vm, address(side, op),
			   side->run->clip[i] ?: op->len, op->prot);
}

static void do_mincore(struct side *side, const struct op *op,
		       struct outcome *o)
{
	static unsigned char vec[ZONE_PAGES_MAX];
	size_t pages = (op->len + PAGE - 1) / PAGE;
	size_t i;

	o->ret = vm_mincore(&side->vm, address(side, op), op->len, vec);
	/* What is written before an error is not specified. */
	if (o->ret)
		return;
	for (i = 0; i < pages; i++) {
		if (i < 64)
			o->value |= (uint64_t)(vec[i] & 1) << i;
		o->hash = hash_add(o->hash, vec[i] & 1);
	}
}

static void do_brk(struct side *side, const struct op *op, struct outcome *o)
{
	/* There the heap is where the window begins. */
	if (side->run->system == PRELOAD)
		return;
	/* At 0, which only asks, in the beginning. */
	o->ret = place(side, vm_brk(&side->vm, address(side, op)));
}

static long do_mbind(struct side *side, const struct op *op)
{
	const unsigned long nodes = op->value;

	return side->vm.ops->mbind(&side->vm, address(side, op), op->len,
				   op->prot, &nodes, op->off, op->flags);
}

static long do_set_mempolicy(struct side *side, const struct op *op)
{
	const unsigned long nodes = op->value;

	if (filter_policy(side, op))
		return 0;
	return side->vm.ops->set_mempolicy(&side->vm, op->prot, &nodes,
					   op->off);
}

static void do_get_mempolicy(struct side *side, const struct op *op,
			     struct outcome *o)
{
	unsigned long nodes = 0;
	int mode = -1;

	o->ret = side->vm.ops->get_mempolicy(&side->vm, &mode, &nodes, 64,
					     address(side, op), op->flags);
	if (o->ret)
		return;
	o->value = mode;
	o->hash = nodes;
}

/* Where the pages are that there are. */
static void do_nodes(struct side *side, const struct op *op, struct outcome *o)
{
	char *p = address(side, op), *end = p + op->len;

	for (; p < end; p += PAGE) {
		int node = -1;

		if (vm_resident(&side->vm, p) == 1 &&
		    side->vm.ops->get_mempolicy(&side->vm, &node, NULL, 0, p,
						MPOL_F_NODE | MPOL_F_ADDR))
			node = -2;
		o->hash = hash_add(o->hash, node);
		o->value = o->value << 2 | (node & 3);
	}
}

/* Relative to what counted in the beginning. */
static long do_rlimit(struct side *side, const struct op *op)
{
	struct rlimit limit;

	if (filter_limit(side, op))
		return 0;
	if (getrlimit(op->how, &limit))
		return -1;
	limit.rlim_cur = side->base + op->value * PAGE;
	if (op->value == (uint64_t)-1 || limit.rlim_cur > limit.rlim_max)
		limit.rlim_cur = limit.rlim_max;
	return setrlimit(op->how, &limit);
}

/* As much as there is; nobody can tell how much that is. */
static void do_reclaim(const struct op *op)
{
	char text[24];

	if (!side_group.dir[0])
		return;
	snprintf(text, sizeof(text), "%lu", op->len);
	memcg_put(&side_group, "memory.reclaim", text);
}

static uint64_t hash_bytes(const void *p, size_t len)
{
	const uint64_t *words = p;
	uint64_t hash = 0;
	size_t i;

	for (i = 0; i < len / 8; i++)
		hash = hash_add(hash, words[i]);
	return hash;
}

static void fill_buffer(uint64_t value)
{
	size_t i;

	for (i = 0; i < sizeof(buffer) / 8; i++)
		((uint64_t *)buffer)[i] = value + i;
}

static size_t buffer_len(const struct op *op)
{
	return op->len < sizeof(buffer) ? op->len : sizeof(buffer);
}

/* Whose memory it is about. */
static pid_t who(const struct side *side, const struct op *op)
{
	return op->child && side->child ? side->child : getpid();
}

/* Of two pieces each, cut at different places. */
static void do_process_vm(struct side *side, const struct op *op,
			  struct outcome *o)
{
	const size_t len = buffer_len(op);
	const size_t cut = len / 3, other = len / 2;
	char *remote = address(side, op);
	struct iovec here[2] = {
		{ buffer, other },
		{ buffer + other, len - other },
	};
	struct iovec there[2] = {
		{ remote, cut },
		{ remote + cut, len - cut },
	};
	bool write = op->kind == OP_WRITEV;

	if (filter_transfer(side, op))
		return;
	fill_buffer(op->value);
	o->ret = side->vm.ops->process_vm(&side->vm, write, who(side, op), here,
					  2, there, 2, 0);
	o->hash = hash_bytes(buffer, sizeof(buffer));
}

static void do_process_madvise(struct side *side, const struct op *op,
			       struct outcome *o)
{
	struct iovec vec[2] = {
		{ address(side, op), op->len },
		{ side->vm.base + op->to, op->new_len },
	};
	int pidfd = syscall(SYS_pidfd_open, who(side, op), 0);

	o->ret = side->vm.ops->process_madvise(&side->vm, pidfd, vec, 2,
					       op->how, 0);
	o->err = errno;
	close(pidfd);
	errno = o->err;
}

static void set_fault(const struct side *side, const struct fault *f,
		      struct outcome *o)
{
	o->sig = f->sig;
	o->code = f->code;
	if (!f->sig)
		return;
	o->error = f->err;
	o->addr = f->addr - (uintptr_t)side->vm.base;
	o->cr2 = f->cr2 - (uintptr_t)side->vm.base;
}

static void do_access(struct side *side, const struct op *op, struct outcome *o)
{
	char *addr = address(side, op);
	uint64_t value = 0;
	struct fault f;

	switch (op->kind) {
	case OP_LOAD:
		probe_read(addr, &value, &f);
		o->value = value;
		break;
	case OP_STORE:
		probe_write(addr, op->value, &f);
		break;
	default:
		if (!probe_call_return(addr, &f))
			return;
	}
	set_fault(side, &f, o);
}

/* The contents, or the signals, of all pages of a range. */
static void do_look(struct side *side, const struct op *op, struct outcome *o)
{
	char *p = address(side, op), *end = p + op->len;
	uint64_t value;
	struct fault f;
	size_t i;

	for (; p < end; p += PAGE)
		for (i = 0; i < WORDS - 1; i++) {
			value = 0;
			probe_read(p + within[i], &value, &f);
			o->hash = hash_add(o->hash, value);
			o->hash = hash_add(o->hash, f.sig << 8 | f.code);
			if (f.sig)
				break;
			o->value += value;
		}
}

/* What says no more than whether it succeeded. */
static long plain_call(struct side *side, const struct op *op)
{
	struct vm *vm = &side->vm;
	char *addr = address(side, op);

	switch (op->kind) {
	case OP_MUNMAP:
		return vm_munmap(vm, addr, op->len);
	case OP_MADVISE:
		return vm_madvise(vm, addr, op->len, op->how);
	case OP_MSYNC:
		return vm_msync(vm, addr, op->len, op->flags);
	case OP_MLOCK:
		return vm_mlock2(vm, addr, op->len, op->flags);
	case OP_MUNLOCK:
		return vm_munlock(vm, addr, op->len);
	case OP_MLOCKALL:
		return vm_mlockall(vm, op->flags);
	case OP_MUNLOCKALL:
		return vm_munlockall(vm);
	case OP_MBIND:
		return do_mbind(side, op);
	case OP_SET_MEMPOLICY:
		return do_set_mempolicy(side, op);
	case OP_RLIMIT:
		return do_rlimit(side, op);
	case OP_TRUNCATE:
		return ftruncate(side_file(side, op->fd), op->len);
	case OP_FALLOCATE:
		return fallocate(side_file(side, op->fd), op->flags, op->off,
				 op->len);
	case OP_PREAD:
		/* Accesses by the kernel. */
		return pread(side_file(side, op->fd), addr, op->len, op->off);
	case OP_PWRITE:
		return pwrite(side_file(side, op->fd), addr, op->len, op->off);
	default:
		return 0;
	}
}

static void do_call(struct side *side, const struct op *op, size_t i,
		    struct outcome *o)
{
	switch (op->kind) {
	case OP_MMAP:
		return do_mmap(side, op, o);
	case OP_MPROTECT:
		o->ret = do_mprotect(side, op, i);
		return;
	case OP_MREMAP:
		return do_mremap(side, op, i, o);
	case OP_MINCORE:
		return do_mincore(side, op, o);
	case OP_BRK:
		return do_brk(side, op, o);
	case OP_GET_MEMPOLICY:
		return do_get_mempolicy(side, op, o);
	case OP_READV:
	case OP_WRITEV:
		return do_process_vm(side, op, o);
	case OP_PROCESS_MADVISE:
		return do_process_madvise(side, op, o);
	case OP_LOAD:
	case OP_STORE:
	case OP_CALL:
		return do_access(side, op, o);
	case OP_LOOK:
		return do_look(side, op, o);
	case OP_AREAS:
		if (side->run->system != PRELOAD)
			side_areas(side, op, o);
		return;
	case OP_NODES:
		return do_nodes(side, op, o);
	case OP_RECLAIM:
		return do_reclaim(op);
	default:
		o->ret = plain_call(side, op);
	}
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000UL + ts.tv_nsec;
}

static void count_time(struct side *side, enum kind kind, uint64_t start)
{
	const bool altvm = side->system != NATIVE;

	side->run->ns[altvm][kind] += now() - start;
	side->run->count[altvm][kind]++;
}

static void do_op(struct side *side, size_t i)
{
	const struct op *op = &side->run->script.ops[i];
	struct outcome *o = &side->log[i];
	const uint64_t start = now();

	memset(o, 0, sizeof(*o));
	errno = 0;
	do_call(side, op, i, o);
	o->err = o->ret == -1 ? errno : 0;
	filter_outcome(side, op, o);
	o->done = 1;
	count_time(side, op->kind, start);
	if (!o->err && !o->sig)
		side->run->good[side->system != NATIVE][op->kind]++;
}

/**
 * struct task - what another thread is to do
 * @side: where
 * @i: the operation
 */
struct task {
	struct side *side;
	size_t i;
};

static void *thread_main(void *arg)
{
	const struct task *task = arg;

	do_op(task->side, task->i);
	return NULL;
}

static void do_in_thread(struct side *side, size_t i)
{
	static char stack[256 << 10] __attribute__((aligned(PAGE)));
	struct task task = { side, i };
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, sizeof(stack));
	if (!pthread_create(&thread, &attr, thread_main, &task))
		pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
}

/**
 * struct child - a child that waits for OP_JOIN
 * @pid: which
 * @go: the pipe it reads
 * @i: the operation that made it
 */
struct child {
	pid_t pid;
	int go;
	size_t i;
};

static void run_ops(struct side *side, size_t i);

static void child_main(struct side *side, size_t i, int go, int ready)
{
	const struct op *op = &side->run->script.ops[i];
	char byte = 0;

	alarm(HUNG);
	side->child = 0;
	filter_child(side);
	if (go >= 0 && (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1))
		_exit(2);
	run_ops(side, i + 1);
	if (op->how & FORK_KILL)
		kill(getpid(), SIGKILL);
	_exit(0);
}

static void child_join(struct side *side, struct child *child)
{
	struct outcome *o = &side->log[child->i];
	const uint64_t start = now();
	int status = -1;

	/* Others may have the pipe, so that it does not end. */
	if (child->go >= 0) {
		if (write(child->go, "", 1) != 1)
			return;
		close(child->go);
	}
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	o->ret = status;
	o->done = 1;
	count_time(side, OP_FORK, start);
}

static void do_fork(struct side *side, size_t i, struct child *child)
{
	const struct op *op = &side->run->script.ops[i];
	int go[2] = { -1, -1 }, ready[2] = { -1, -1 };
	char byte;

	memset(&side->log[i], 0, sizeof(side->log[i]));
	if (op->how & FORK_LATE &&
	    (pipe2(go, O_CLOEXEC) || pipe2(ready, O_CLOEXEC)))
		_exit(2);
	child->i = i;
	child->go = go[1];
	child->pid = fork();
	if (!child->pid)
		child_main(side, i, go[0], ready[1]);
	if (!(op->how & FORK_LATE))
		return;
	close(go[0]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		_exit(2);
	close(ready[0]);
}

/* From operation @i to the end of this process. */
static void run_ops(struct side *side, size_t i)
{
	const struct script *s = &side->run->script;
	struct child late[CHILDREN];
	size_t nr = 0;

	while (i < s->nr && s->ops[i].kind != OP_END) {
		side->child = nr ? late[nr - 1].pid : 0;
		if (s->ops[i].kind == OP_FORK) {
			if (nr == CHILDREN)
				child_join(side, &late[--nr]);
			do_fork(side, i, &late[nr]);
			if (s->ops[i].how & FORK_LATE)
				nr++;
			else
				child_join(side, &late[nr]);
			i = script_after_fork(s, i);
			continue;
		}
		if (s->ops[i].kind == OP_JOIN && nr) {
			side->child = 0;
			child_join(side, &late[--nr]);
		}
		if (s->ops[i].thread)
			do_in_thread(side, i);
		else
			do_op(side, i);
		i++;
	}
	while (nr)
		child_join(side, &late[--nr]);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static void start_alarms(void)
{
	const struct itimerval often = {
		.it_interval.tv_usec = 1000,
		.it_value.tv_usec = 1000,
	};
	const struct sigaction action = {
		.sa_handler = count_alarm,
		.sa_flags = SA_RESTART,
	};

	sigaction(SIGPROF, &action, NULL);
	setitimer(ITIMER_PROF, &often, NULL);
}

/* Locking is limited for whoever has not the right. */
static void limit_locking(const struct scene *scene)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	struct rlimit limit;

	limit.rlim_cur = scene->lockable * PAGE;
	limit.rlim_max = limit.rlim_cur;
	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (syscall(SYS_capget, &header, data))
		return;
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	syscall(SYS_capset, &header, data);
}

/*
 * The library takes a window where the kernel finds a place: of a process that is
 * enclosed, the zone.  Then there has to be one more, for files.
 */
static bool open_library(struct side *side)
{
	char *zone = side->vm.base;
	const size_t len = side->vm.len;

	if (vm_lib.open(&side->vm, NULL, len, RWX) || side->vm.base != zone)
		return false;
	return !munmap(zone + len + HUGE_PAGE, HUGE_PAGE);
}

static bool side_open(struct side *side)
{
	const struct scene *scene = &side->run->script.scene;
	size_t i;

	side->vm.base = zone_base(scene);
	side->vm.len = scene->pages * PAGE;
	side->vm.fd = -1;
	for (i = 0; i < NR_FILES; i++)
		side->fd[i] = -1;
	/* A huge page would make more resident than was touched. */
	if (prctl(PR_SET_THP_DISABLE, !scene->huge, 0, 0, 0))
		return false;
	side->vm.ops = &vm_native;
	if (side->system == NATIVE)
		return side->run->system == PRELOAD || !vm_move_heap(&side->vm);
	if (side->system == PRELOAD)
		return true;
	if (side->system == LIBRARY) {
		side->vm.ops = &vm_lib;
		return open_library(side);
	}
	side->vm.ops = &vm_ioctl;
	return !vm_ioctl.open(&side->vm, side->vm.base, side->vm.len, RWX);
}

/* What counts for a limit without the zone. */
static uint64_t limit_base(const struct scene *scene)
{
	switch (scene->limits - 1) {
	case RLIMIT_AS:
		return proc_number("/proc/self/status", "VmSize:") * 1024;
	case RLIMIT_DATA:
		return proc_number("/proc/self/status", "VmData:") * 1024;
	default:
		return 0;
	}
}

void side_run(struct run *run, enum system which, bool verbose)
{
	struct side side = {
		.run = run,
		.system = which,
		.log = run->log[which != NATIVE],
		.verbose = verbose,
	};
	const uint64_t start = now();

	if (!side_open(&side)) {
		dprintf(2, "# cannot open the zone: %s\n", strerror(errno));
		_exit(2);
	}
	count_time(&side, OP_NONE, start);
	alarm(HUNG);
	side.base = limit_base(&run->script.scene);
	if (run->script.scene.lockable)
		limit_locking(&run->script.scene);
	if (run->script.scene.alarms)
		start_alarms();
	run_ops(&side, 0);
	_exit(0);
}
