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

bool twins_init(struct twins *t, bool verbose)
{
	memset(t, 0, sizeof(*t));
	t->verbose = verbose;
	t->run = mmap(NULL, sizeof(*t->run), RW, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	return t->run != MAP_FAILED;
}

static void run_in_child(struct twins *t, bool native)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		side_run(t->run, native, t->verbose);
	while (waitpid(pid, &status, 0) != pid)
		;
	if (status)
		fprintf(stderr, "# the %s side ended with status %#x\n",
			native ? "native" : "altvm", status);
}

static void serve(struct twins *t, int ask, int answer)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	side_enclose(&t->run->script.scene);
	while (read(ask, &byte, 1) == 1) {
		run_in_child(t, true);
		if (write(answer, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

static bool start_server(struct twins *t, struct server *server)
{
	int ask[2], answer[2];

	if (pipe2(ask, O_CLOEXEC) || pipe2(answer, O_CLOEXEC))
		return false;
	server->pages = t->run->script.scene.pages;
	server->before = t->run->script.scene.before;
	server->pid = fork();
	if (!server->pid) {
		close(ask[1]);
		close(answer[0]);
		serve(t, ask[0], answer[1]);
	}
	close(ask[0]);
	close(answer[1]);
	server->ask = ask[1];
	server->answer = answer[0];
	return true;
}

static struct server *find_server(struct twins *t)
{
	const struct scene *scene = &t->run->script.scene;
	size_t i;

	for (i = 0; i < SERVERS; i++) {
		struct server *server = &t->server[i];

		if (!server->pid)
			return start_server(t, server) ? server : NULL;
		if (server->pages == scene->pages &&
		    server->before == scene->before)
			return server;
	}
	return NULL;
}

static void run_native(struct twins *t)
{
	struct server *server = find_server(t);
	char byte = 0;

	if (!server || write(server->ask, &byte, 1) != 1 ||
	    read(server->answer, &byte, 1) != 1) {
		fprintf(stderr, "fuzz: the native side is gone\n");
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
	run_native(t);
	run_in_child(t, false);
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
}
