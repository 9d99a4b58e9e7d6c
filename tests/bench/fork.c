// SPDX-License-Identifier: GPL-2.0
/*
 * fork, and the faults that follow.
 *
 * The child has the CPU of its parent.  A real-time process is not preempted by
 * one of the same priority, and a forked one gets in line behind it: so a parent
 * that is one when it forks is back from fork, and has read the clock, before
 * its child executes anything.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork.h"
#include "lane.h"

static int set_policy(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	return sched_setscheduler(0, policy, &param) ? -errno : 0;
}

static int reap(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		return -errno;
	return status ? -ECHILD : 0;
}

/* The pages are written to, as all that is private and populated. */
int setup_populated(struct lane *lane)
{
	char *out;

	return lane_map(lane, lane->addr, lane_bytes(lane), MAP_POPULATE, &out);
}

int setup_forked(struct lane *lane)
{
	int ret = setup_populated(lane);

	return ret ? ret : op_fork_exit(lane, 0);
}

/* A child has a copy of the pages, and does nothing. */
int setup_beside_child(struct lane *lane)
{
	int ret = setup_resident(lane), status;

	if (ret)
		return ret;
	lane->child = fork();
	if (lane->child < 0)
		return -errno;
	if (!lane->child) {
		raise(SIGSTOP);
		_exit(0);
	}
	if (waitpid(lane->child, &status, WUNTRACED) != lane->child)
		return -errno;
	return 0;
}

/* It is the child that goes on; its parent reports how it has ended. */
int setup_in_child(struct lane *lane)
{
	int ret = setup_resident(lane);
	pid_t child;

	if (ret)
		return ret;
	child = fork();
	if (child < 0)
		return -errno;
	if (child)
		_exit(reap(child) ? 1 : 0);
	return 0;
}

int teardown_child(struct lane *lane)
{
	if (lane->child > 0) {
		kill(lane->child, SIGKILL);
		waitpid(lane->child, NULL, 0);
	}
	lane->child = 0;
	return teardown_unmap(lane);
}

static int fork_parent(struct lane *lane)
{
	pid_t child;
	int ret;

	lane_pause(lane);
	ret = set_policy(SCHED_FIFO, 1);
	if (ret)
		return ret;
	lane_resume(lane);
	child = fork();
	if (!child)
		_exit(0);
	lane_pause(lane);
	ret = child < 0 ? -errno : reap(child);
	set_policy(SCHED_OTHER, 0);
	lane_resume(lane);
	return ret;
}

static int fork_dirtied(struct lane *lane, size_t pages)
{
	lane_pause(lane);
	touch_pages(lane->addr, pages);
	lane_resume(lane);
	return fork_parent(lane);
}

/* What fork takes of the parent's time. */
int op_fork(struct lane *lane, unsigned long i)
{
	return fork_parent(lane);
}

int op_fork_dirtied(struct lane *lane, unsigned long i)
{
	return fork_dirtied(lane, lane->row->pages);
}

int op_fork_dirtied_1m(struct lane *lane, unsigned long i)
{
	return fork_dirtied(lane, (1 << 20) / PAGE);
}

/* What fork takes of everybody's time, when the child does nothing. */
int op_fork_exit(struct lane *lane, unsigned long i)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	return child < 0 ? -errno : reap(child);
}
