// SPDX-License-Identifier: GPL-2.0
/*
 * Who may read, write and advise on the memory of whom: each of many callers tries it
 * on each of many processes, with the kernel's own calls and with altvm's, and the
 * answers have to be the same.  That makes it need root, to become them all.
 */
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "fixture.h"
#include "remote.h"

#define NOBODY 65534
#define SCOPE "/proc/sys/kernel/yama/ptrace_scope"
#define ALL_CAPS ((1UL << (CAP_LAST_CAP + 1)) - 1)
#define CAP(nr) (1UL << (nr))

ALTVM_FIXTURE(rights, 64);

/* Lies in the zone, of each process. */
static char *memory;

static int set_caps(uint64_t effective, uint64_t permitted)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
						 0 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)effective, (uint32_t)permitted, 0 },
		{ effective >> 32, permitted >> 32, 0 },
	};

	return syscall(SYS_capset, &head, data);
}

/* Those that the process has now, but for what the kernel does not know. */
static uint64_t all_caps(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
						 0 };
	struct __user_cap_data_struct data[2] = {};

	syscall(SYS_capget, &head, data);
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static void become(uid_t real, uid_t effective, uid_t saved)
{
	CHECK(!setgroups(0, NULL));
	CHECK(!setresgid(real, effective, saved));
	CHECK(!setresuid(real, effective, saved));
}

static void become_nobody(void)
{
	become(NOBODY, NOBODY, NOBODY);
}

/* But with these capabilities. */
static void become_capable(uint64_t effective, uint64_t permitted)
{
	CHECK(!prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	become_nobody();
	CHECK(!set_caps(effective, permitted));
}

static void be_dumpable(bool yes)
{
	CHECK(!prctl(PR_SET_DUMPABLE, yes, 0, 0, 0));
}

/* What one can be.  Return: the ID to be named by; most often one's own. */
static pid_t be_root(void)
{
	return getpid();
}

static pid_t be_root_undumpable(void)
{
	be_dumpable(false);
	return getpid();
}

static pid_t be_root_without_caps(void)
{
	CHECK(!set_caps(0, 0));
	be_dumpable(true);
	return getpid();
}

static pid_t be_root_without_ptrace(void)
{
	uint64_t caps = all_caps() & ~CAP(CAP_SYS_PTRACE);

	CHECK(!set_caps(caps, caps));
	be_dumpable(true);
	return getpid();
}

static pid_t be_root_without_effective_ptrace(void)
{
	CHECK(!set_caps(all_caps() & ~CAP(CAP_SYS_PTRACE), all_caps()));
	be_dumpable(true);
	return getpid();
}

/* As seteuid(2) leaves it: nothing is effective, all is permitted. */
static pid_t be_root_acting_as_nobody(void)
{
	become(0, NOBODY, 0);
	be_dumpable(true);
	return getpid();
}

static pid_t be_root_on_files_nobody(void)
{
	setfsgid(NOBODY);
	setfsuid(NOBODY);
	be_dumpable(true);
	return getpid();
}

static pid_t be_nobody(void)
{
	become_nobody();
	be_dumpable(true);
	return getpid();
}

static pid_t be_nobody_undumpable(void)
{
	become_nobody();
	be_dumpable(false);
	return getpid();
}

static pid_t be_nobody_acting_as_root(void)
{
	become(NOBODY, 0, NOBODY);
	be_dumpable(true);
	return getpid();
}

static pid_t be_nobody_acting_as_root_without_ptrace(void)
{
	become(NOBODY, 0, 0);
	CHECK(!set_caps(all_caps() & ~CAP(CAP_SYS_PTRACE), all_caps()));
	be_dumpable(true);
	return getpid();
}

static pid_t be_nobody_with_chown(void)
{
	become_capable(CAP(CAP_CHOWN), CAP(CAP_CHOWN));
	be_dumpable(true);
	return getpid();
}

static pid_t be_nobody_with_chown_permitted(void)
{
	become_capable(0, CAP(CAP_CHOWN));
	be_dumpable(true);
	return getpid();
}

static pid_t be_nobody_with_ptrace(void)
{
	become_capable(CAP(CAP_SYS_PTRACE), CAP(CAP_SYS_PTRACE));
	be_dumpable(true);
	return getpid();
}

static pid_t be_nobody_with_ptrace_permitted(void)
{
	become_capable(0, CAP(CAP_SYS_PTRACE));
	be_dumpable(true);
	return getpid();
}

static pid_t be_nobody_with_nice(void)
{
	become_capable(CAP(CAP_SYS_NICE), CAP(CAP_SYS_NICE));
	be_dumpable(true);
	return getpid();
}

static pid_t be_nobody_in_another_group(void)
{
	CHECK(!setgroups(0, NULL));
	CHECK(!setresgid(NOBODY, 4321, NOBODY));
	CHECK(!setresuid(NOBODY, NOBODY, NOBODY));
	be_dumpable(true);
	return getpid();
}

static pid_t be_root_in_a_user_namespace(void)
{
	CHECK(!unshare(CLONE_NEWUSER));
	be_dumpable(true);
	return getpid();
}

static pid_t be_nobody_in_a_user_namespace(void)
{
	become_nobody();
	be_dumpable(true);
	CHECK(!unshare(CLONE_NEWUSER));
	be_dumpable(true);
	return getpid();
}

/* Anybody may debug it, as far as Yama is concerned. */
static pid_t be_nobody_for_anybody(void)
{
	become_nobody();
	be_dumpable(true);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	return getpid();
}

/* Not even the files of /proc can be opened from in there. */
static pid_t be_root_in_a_landlock(void)
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE |
				     LANDLOCK_ACCESS_FS_WRITE_FILE |
				     LANDLOCK_ACCESS_FS_READ_DIR,
	};
	int fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (fd < 0)
		return getpid();
	CHECK(!syscall(SYS_landlock_restrict_self, fd, 0));
	close(fd);
	CHECK(open("/proc/self/environ", O_RDONLY) < 0);
	return getpid();
}

/* With a /proc of his own making, where all belongs to him. */
static pid_t be_root_with_a_false_proc(void)
{
	char path[64];
	int i;

	CHECK(!unshare(CLONE_NEWNS));
	CHECK(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	CHECK(!mount("none", "/proc", "tmpfs", 0, NULL));
	for (i = 1; i < 500; i++) {
		snprintf(path, sizeof(path), "/proc/%d", i);
		CHECK(!mkdir(path, 0777));
		snprintf(path, sizeof(path), "/proc/%d/mem", i);
		CHECK(!mknod(path, S_IFREG | 0666, 0));
		snprintf(path, sizeof(path), "/proc/%d/environ", i);
		CHECK(!mknod(path, S_IFREG | 0666, 0));
	}
	return getpid();
}

/* The numbers that it knows the others by mean nothing here. */
static pid_t be_root_in_a_pid_namespace(void)
{
	pid_t pid;

	CHECK(!unshare(CLONE_NEWPID));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		return 1;
	_exit(WEXITSTATUS(end_of(pid)));
}

static void *be_nobody_in_thread(void *arg)
{
	/* The C library's would do it for all threads. */
	CHECK(!syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY));
	*(volatile pid_t *)arg = syscall(SYS_gettid);
	for (;;)
		pause();
}

/* A thread of other rights than its process has. */
static pid_t be_thread_of_nobody(void)
{
	volatile pid_t tid = 0;
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, be_nobody_in_thread,
			      (void *)&tid));
	while (!tid)
		sched_yield();
	be_dumpable(true);
	return tid;
}

static const struct role {
	const char *name;
	pid_t (*be)(void);
} targets[] = {
	{ "root", be_root },
	{ "root, undumpable", be_root_undumpable },
	{ "root without capabilities", be_root_without_caps },
	{ "root without CAP_SYS_PTRACE", be_root_without_ptrace },
	{ "root acting as nobody", be_root_acting_as_nobody },
	{ "nobody", be_nobody },
	{ "nobody, undumpable", be_nobody_undumpable },
	{ "nobody acting as root", be_nobody_acting_as_root },
	{ "nobody with CAP_CHOWN", be_nobody_with_chown },
	{ "nobody with CAP_SYS_PTRACE", be_nobody_with_ptrace },
	{ "nobody in another group", be_nobody_in_another_group },
	{ "nobody for any tracer", be_nobody_for_anybody },
	{ "root in a user namespace", be_root_in_a_user_namespace },
	{ "nobody in a user namespace", be_nobody_in_a_user_namespace },
	{ "a thread of nobody's", be_thread_of_nobody },
};

static const struct role callers[] = {
	{ "root", be_root },
	{ "root without capabilities", be_root_without_caps },
	{ "root without CAP_SYS_PTRACE", be_root_without_ptrace },
	{ "root with it permitted", be_root_without_effective_ptrace },
	{ "root acting as nobody", be_root_acting_as_nobody },
	{ "root with nobody's fsuid", be_root_on_files_nobody },
	{ "nobody", be_nobody },
	{ "nobody, undumpable", be_nobody_undumpable },
	{ "nobody acting as root", be_nobody_acting_as_root },
	{ "the same without CAP_SYS_PTRACE",
	  be_nobody_acting_as_root_without_ptrace },
	{ "nobody with CAP_CHOWN", be_nobody_with_chown },
	{ "nobody with CAP_CHOWN permitted", be_nobody_with_chown_permitted },
	{ "nobody with CAP_SYS_PTRACE", be_nobody_with_ptrace },
	{ "nobody with it permitted", be_nobody_with_ptrace_permitted },
	{ "nobody with CAP_SYS_NICE", be_nobody_with_nice },
	{ "nobody in another group", be_nobody_in_another_group },
	{ "root in a user namespace", be_root_in_a_user_namespace },
	{ "nobody in a user namespace", be_nobody_in_a_user_namespace },
	{ "root in a landlock", be_root_in_a_landlock },
	{ "root with a false /proc", be_root_with_a_false_proc },
	{ "root in a PID namespace", be_root_in_a_pid_namespace },
};

#define NR_TARGETS ARRAY_SIZE(targets)

/* The last ones: the caller's own child, and one's own process. */
#define NR_ALL (NR_TARGETS + 2)

static struct peer peers[NR_ALL];
static pid_t ids[NR_ALL];

static const char *target_name(size_t i)
{
	if (i < NR_TARGETS)
		return targets[i].name;
	return i == NR_TARGETS ? "the caller's child" : "the caller";
}

static void start_target(size_t i)
{
	struct peer *peer = &peers[i];
	pid_t id;

	if (peer_fork(peer)) {
		id = targets[i].be();
		CHECK(send(peer->line, &id, sizeof(id), 0) == sizeof(id));
		peer_idle(peer);
	}
	if (read(peer->line, &ids[i], sizeof(pid_t)) != sizeof(pid_t))
		ids[i] = -1;
}

enum attempt { FETCH, PUT, ADVISE, NR_ATTEMPTS };

static long attempt(struct vm *vm, const struct vm_ops *ops, size_t target,
		    enum attempt how)
{
	struct iovec r = { memory, 8 };
	char buffer[8] = "rights";
	struct iovec l = { buffer, 8 };
	long n;

	if (how == ADVISE)
		n = ops->process_madvise(vm, peers[target].pidfd, NULL, 0,
					 MADV_COLD, 0);
	else
		n = ops->process_vm(vm, how == PUT, ids[target], &l, 1, &r, 1,
				    0);
	return n < 0 ? -errno : n;
}

/* Bit 0: something was allowed; 1: something was not; 2: we differ. */
static int compare(struct vm *vm, const char *caller, size_t target)
{
	static const char *const names[] = { "reads", "writes to",
					     "advises on" };
	int found = 0;
	long a, b;
	int how;

	for (how = 0; how < NR_ATTEMPTS; how++) {
		a = attempt(vm, &vm_native, target, how);
		b = attempt(vm, &vm_ioctl, target, how);
		found |= a < 0 ? 2 : 1;
		if (a == b)
			continue;
		found |= 4;
		fprintf(stderr, "# %s %s %s: %ld natively, %ld\n", caller,
			names[how], target_name(target), a, b);
	}
	return found;
}

static void be_caller(struct vm *vm, const struct role *role)
{
	struct peer *child = &peers[NR_TARGETS];
	int found = 0;
	size_t i;

	role->be();
	if (peer_fork(child))
		peer_idle(child);
	ids[NR_TARGETS] = child->pid;
	ids[NR_TARGETS + 1] = getpid();
	peers[NR_TARGETS + 1].pidfd = open_pidfd(getpid());
	for (i = 0; i < NR_ALL; i++)
		found |= compare(vm, role->name, i);
	kill(child->pid, SIGKILL);
	_exit(found);
}

static int try_caller(struct vm *vm, const struct role *role)
{
	pid_t pid = fork();

	if (!pid)
		be_caller(vm, role);
	return WEXITSTATUS(end_of(pid));
}

static int read_scope(void)
{
	int fd = open(SCOPE, O_RDONLY);
	char c = '0';

	if (fd < 0)
		return -1;
	if (read(fd, &c, 1) != 1)
		c = '0';
	close(fd);
	return c - '0';
}

static void write_scope(int scope)
{
	int fd = open(SCOPE, O_WRONLY);
	char c = '0' + scope;

	CHECK(fd >= 0 && write(fd, &c, 1) == 1);
	close(fd);
}

/* What each of the callers found, together. */
static int try_all(struct __test_metadata *_metadata, struct vm *vm)
{
	int found, all = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(callers); i++) {
		found = try_caller(vm, &callers[i]);
		EXPECT_FALSE(found & 4)
		{
			TH_LOG("%s", callers[i].name);
		}
		/* Whoever may nothing has not come so far. */
		EXPECT_TRUE(found & 1);
		all |= found;
	}
	return all;
}

TEST_F_TIMEOUT(rights, as_natively, SLOW)
{
	const int before = read_scope();
	int scope;
	size_t i;

	if (geteuid())
		SKIP(return, "not root");
	memory = self->base;
	ASSERT_EQ(memory, vm_map_at(&self->vm, 0, 1, RW));
	memset(memory, 'm', PAGE);
	for (i = 0; i < NR_TARGETS; i++) {
		start_target(i);
		ASSERT_LT(0, ids[i])
		{
			TH_LOG("%s", targets[i].name);
		}
	}
	/* The last scope, 3, would last until the next boot. */
	for (scope = 0; scope <= (before < 0 ? 0 : 2); scope++) {
		/* The one that has all there is to it. */
		if (scope != 1 && before >= 0 && scaled(10) < 10)
			continue;
		if (before >= 0)
			write_scope(scope);
		EXPECT_EQ(7 & ~4, try_all(_metadata, &self->vm))
		{
			TH_LOG("scope %d", scope);
		}
	}
	if (before >= 0)
		write_scope(before);
	for (i = 0; i < NR_TARGETS; i++)
		peer_end(&peers[i]);
}

/* The same, where the answer is known. */
TEST_F(rights, by_hand)
{
	struct vm *vm = &self->vm;
	const int before = read_scope();
	char buffer[8];
	struct peer peer = {};
	pid_t pid;

	if (geteuid())
		SKIP(return, "not root");
	memory = self->base;
	ASSERT_EQ(memory, vm_map_at(vm, 0, 1, RW));
	if (before > 0)
		write_scope(0);
	if (peer_fork(&peer))
		peer_idle(&peer);
	EXPECT_EQ(8, vm_fetch(vm, peer.pid, buffer, memory, 8));
	EXPECT_EQ(0, vm_process_madvise(vm, peer.pidfd, NULL, 0, MADV_COLD));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		be_nobody();
		CHECK(vm_fetch(vm, peer.pid, buffer, memory, 8) == -EPERM);
		CHECK(vm_put(vm, peer.pid, memory, buffer, 8) == -EPERM);
		CHECK(vm_process_madvise(vm, peer.pidfd, NULL, 0, MADV_COLD) ==
			      -1 &&
		      errno == EACCES);
		CHECK(vm_fetch(vm, getpid(), buffer, memory, 8) == 8);
		peer_fork(&peer);
		if (!peer.pid)
			peer_idle(&peer);
		CHECK(vm_fetch(vm, peer.pid, buffer, memory, 8) == 8);
		/* For that one needs CAP_SYS_NICE. */
		CHECK(vm_process_madvise(vm, peer.pidfd, NULL, 0, MADV_COLD) ==
			      -1 &&
		      errno == EPERM);
		kill(peer.pid, SIGKILL);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
	if (before > 0)
		write_scope(before);
	peer_end(&peer);
}

/* In a PID namespace, a number means who has it there. */
TEST_F(rights, numbers_of_a_namespace)
{
	struct vm *vm = &self->vm;
	struct peer peer = {};
	char buffer[8];
	pid_t pid;

	if (geteuid())
		SKIP(return, "not root");
	memory = self->base;
	ASSERT_EQ(memory, vm_map_at(vm, 0, 1, RW));
	memset(memory, 'p', PAGE);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		be_root_in_a_pid_namespace();
		CHECK(getpid() == 1);
		if (peer_fork(&peer)) {
			memset(memory, 'c', PAGE);
			say(peer.line);
			peer_idle(&peer);
		}
		CHECK(peer.pid == 2 && hear(peer.line));
		CHECK(vm_fetch(vm, 2, buffer, memory, 8) == 8);
		CHECK(buffer[0] == 'c');
		CHECK(vm_fetch(vm, 1, buffer, memory, 8) == 8);
		CHECK(buffer[0] == 'p');
		CHECK(vm_fetch(vm, 3, buffer, memory, 8) == -ESRCH);
		CHECK(vm_fetch(vm, getppid(), buffer, memory, 8) == -ESRCH);
		_exit(0);
	}
	EXPECT_EQ(0, end_of(pid));
}

/*
 * A program that its user may not read alternates with one that he may, in one process
 * and at the same address.  He never sees what is in the first.  See be_program().
 */
static volatile char secret = 'a';

static char *const args[] = { "alternate", NULL };

static void __attribute__((constructor)) be_program(void)
{
	const char *which = getenv("ALTERNATE");
	bool hidden;
	int i;

	if (!which)
		return;
	hidden = !strcmp(which, "hidden");
	if (hidden)
		secret = 's';
	for (i = 0; i < 100; i++)
		sched_yield();
	setenv("ALTERNATE", hidden ? "shown" : "hidden", 1);
	execve(getenv(hidden ? "SHOWN" : "HIDDEN"), args, environ);
	_exit(1);
}

static void copy_self(const char *path, int mode)
{
	int in = open("/proc/self/exe", O_RDONLY);
	int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	char buffer[PAGE];
	ssize_t n;

	while ((n = read(in, buffer, PAGE)) > 0)
		CHECK(write(out, buffer, n) == n);
	CHECK(!fchmod(out, mode));
	close(in);
	close(out);
}

/* Looks as long as it takes.  Exits with 0 if it has not seen the secret. */
static void look_for_secret(struct vm *vm, pid_t pid)
{
	int i, shown = 0;
	char c;

	for (i = 0; i < scaled(3000); i++) {
		ssize_t n = vm_fetch(vm, pid, &c, (void *)&secret, 1);

		CHECK(n == 1 || n == -EPERM || n == -ESRCH || n == -EFAULT);
		CHECK(n != 1 || c == 'a');
		shown += n == 1;
	}
	CHECK(shown > 0);
	_exit(0);
}

TEST_F_TIMEOUT(rights, a_program_that_cannot_be_read, SLOW)
{
	static const char *const shown = "/tmp/altvm-shown";
	static const char *const hidden = "/tmp/altvm-hidden";
	const int before = read_scope();
	struct peer peer = {};
	pid_t pid;

	if (geteuid())
		SKIP(return, "not root");
	if (before > 0)
		write_scope(0);
	copy_self(shown, 0755);
	copy_self(hidden, 0711);
	if (peer_fork(&peer)) {
		become_nobody();
		setenv("SHOWN", shown, 1);
		setenv("HIDDEN", hidden, 1);
		setenv("ALTERNATE", "shown", 1);
		execve(shown, args, environ);
		_exit(1);
	}
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		become_nobody();
		look_for_secret(&self->vm, peer.pid);
	}
	EXPECT_EQ(0, end_of(pid));
	EXPECT_EQ(0, waitpid(peer.pid, NULL, WNOHANG));
	peer_end(&peer);
	unlink(shown);
	unlink(hidden);
	if (before > 0)
		write_scope(before);
}

TEST_HARNESS_MAIN
