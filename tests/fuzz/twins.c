// SPDX-License-Identifier: GPL-2.0
/*
 * A script on both sides.
 *
 * To take all free addresses from a process takes time, so there is one such
 * process for each zone, whose children run the native sides.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "twins.h"

static bool map_run(struct twins *t)
{
	t->run = mmap(NULL, sizeof(*t->run), RW, MAP_SHARED, t->fd, 0);
	return t->run != MAP_FAILED;
}

bool twins_init(struct twins *t, enum system which, const char *preload,
		bool verbose)
{
	memset(t, 0, sizeof(*t));
	t->preload = preload;
	t->verbose = verbose;
	t->fd = memfd_create("run", MFD_CLOEXEC);
	if (ftruncate(t->fd, sizeof(*t->run)) || !map_run(t))
		return false;
	t->run->system = which;
	side_own_group();
	return true;
}

static void run_in_child(struct twins *t, enum system which)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		side_run(t->run, which, t->verbose);
	while (waitpid(pid, &status, 0) != pid)
		;
	if (status)
		fprintf(stderr, "# the %s side ended with status %#x\n",
			which == NATIVE ? "native" : "altvm", status);
}

static void serve(struct twins *t, enum system which, int ask, int answer)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	side_enclose(&t->run->script.scene, which);
	while (read(ask, &byte, 1) == 1) {
		run_in_child(t, which);
		if (write(answer, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

void twins_serve(char **argv)
{
	struct twins t = { .fd = atoi(argv[0]) };

	if (map_run(&t))
		serve(&t, PRELOAD, atoi(argv[1]), atoi(argv[2]));
	_exit(2);
}

/* The same program, with the library. */
static void serve_preloaded(struct twins *t, int ask, int answer)
{
	int fd[3] = { t->fd, ask, answer };
	char text[3][12];
	int i;

	for (i = 0; i < 3; i++) {
		fcntl(fd[i], F_SETFD, 0);
		snprintf(text[i], sizeof(text[i]), "%d", fd[i]);
	}
	setenv("LD_PRELOAD", t->preload, 1);
	execl("/proc/self/exe", "fuzz", "--serve", text[0], text[1], text[2],
	      NULL);
	_exit(2);
}

static bool start_server(struct twins *t, struct server *server,
			 enum system which)
{
	int ask[2], answer[2];

	if (pipe2(ask, O_CLOEXEC) || pipe2(answer, O_CLOEXEC))
		return false;
	server->pages = t->run->script.scene.pages;
	server->before = t->run->script.scene.before;
	server->system = which;
	server->pid = fork();
	if (!server->pid) {
		close(ask[1]);
		close(answer[0]);
		if (which == PRELOAD)
			serve_preloaded(t, ask[0], answer[1]);
		serve(t, which, ask[0], answer[1]);
	}
	close(ask[0]);
	close(answer[1]);
	server->ask = ask[1];
	server->answer = answer[0];
	return true;
}

static struct server *find_server(struct twins *t, enum system which)
{
	const struct scene *scene = &t->run->script.scene;
	size_t i;

	for (i = 0; i < SERVERS; i++) {
		struct server *server = &t->server[i];

		if (!server->pid)
			return start_server(t, server, which) ? server : NULL;
		if (server->system == which && server->pages == scene->pages &&
		    server->before == scene->before)
			return server;
	}
	return NULL;
}

static void run_by_server(struct twins *t, enum system which)
{
	struct server *server = find_server(t, which);
	char byte = 0;

	if (!server || write(server->ask, &byte, 1) != 1 ||
	    read(server->answer, &byte, 1) != 1) {
		fprintf(stderr, "fuzz: the %s side is gone\n",
			which == NATIVE ? "native" : "preloaded");
		exit(2);
	}
}

size_t twins_difference(const struct twins *t)
{
	const struct run *run = t->run;
	size_t i;

	for (i = 0; i < run->script.nr; i++)
		if (memcmp(&run->log[0][i], &run->log[1][i],
			   sizeof(run->log[0][i])))
			break;
	return i;
}

bool twins_same(struct twins *t)
{
	struct run *run = t->run;

	memset(run->log[0], 0, run->script.nr * sizeof(run->log[0][0]));
	memset(run->log[1], 0, run->script.nr * sizeof(run->log[0][0]));
	memset(run->clip, 0, run->script.nr * sizeof(run->clip[0]));
	run_by_server(t, NATIVE);
	if (run->system == ALTVM)
		run_in_child(t, ALTVM);
	else
		run_by_server(t, run->system);
	return twins_difference(t) == run->script.nr;
}

void twins_print(FILE *f, const struct twins *t)
{
	const size_t i = twins_difference(t);

	if (i == t->run->script.nr) {
		fprintf(f, "# nothing differs this time\n");
		return;
	}
	fprintf(f, "# operation %zu of %zu: ", i, t->run->script.nr);
	op_print(f, &t->run->script.ops[i]);
	outcome_print(f, "native", &t->run->log[0][i]);
	outcome_print(f, "altvm", &t->run->log[1][i]);
}

void twins_end(struct twins *t)
{
	size_t i;

	for (i = 0; i < SERVERS && t->server[i].pid; i++) {
		close(t->server[i].ask);
		close(t->server[i].answer);
		/* Others may have the pipe, so that it does not end. */
		kill(t->server[i].pid, SIGKILL);
		waitpid(t->server[i].pid, NULL, 0);
	}
	munmap(t->run, sizeof(*t->run));
	close(t->fd);
	side_leave_group();
}
