/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file whose input and output take as long as a test wants: what a slow device
 * does to memory, on demand.  It is a FUSE file system of one file, which a
 * process of its own serves.  Reads and writes of it are direct, so that the pages of the
 * buffer are pinned from the call to the answer; the data is not moved before
 * held_let_go().
 */
#ifndef TESTS_USER_HELDIO_H
#define TESTS_USER_HELDIO_H

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

#define HELD_SIZE MiB

/* Nothing is held for longer: whoever cannot be killed would be there for ever. */
#define HELD_SECONDS 60

/**
 * struct held - the file, and one call on it at a time; in shared memory
 * @fd: the file
 * @dev: /dev/fuse
 * @server: who answers; not a thread, for it must not need our mmap_lock
 * @caller: who is in the call
 * @hold: requests are to wait
 * @arrived: a request waits
 * @go: it may go on
 * @gave_up: it went on because nobody said so for too long
 * @request: the one that is being answered
 * @buf: of the call
 * @len: of the call
 * @ret: of the call, or -errno
 * @is_write: is it a write?
 * @content: what a read gives in each byte
 * @written: the first byte of each page that a write brought
 */
struct held {
	int fd, dev;
	pid_t server;
	pthread_t caller;
	volatile bool hold, gave_up;
	sem_t arrived, go;
	char *request;
	char *buf;
	size_t len;
	ssize_t ret;
	bool is_write;
	char content;
	char written[HELD_SIZE / PAGE];
};

static inline void held_answer(struct held *h, int error, const void *data,
			       size_t len)
{
	const struct fuse_in_header *in = (void *)h->request;
	struct fuse_out_header *out;
	char *answer = malloc(sizeof(*out) + len);

	if (!answer)
		abort();
	out = (void *)answer;
	out->len = sizeof(*out) + len;
	out->error = error;
	out->unique = in->unique;
	memcpy(out + 1, data, len);
	if (write(h->dev, answer, out->len) < 0 && errno != ENOENT)
		perror("# /dev/fuse");
	free(answer);
}

static inline void held_read(struct held *h, size_t len)
{
	char *data = malloc(len);

	if (!data)
		abort();
	memset(data, h->content, len);
	held_answer(h, 0, data, len);
	free(data);
}

static inline void held_write(struct held *h, const struct fuse_write_in *in)
{
	struct fuse_write_out out = { .size = in->size };
	const char *data = (const char *)(in + 1);
	size_t i;

	for (i = 0; i < in->size && in->offset + i < HELD_SIZE; i += PAGE)
		h->written[(in->offset + i) / PAGE] = data[i];
	held_answer(h, 0, &out, sizeof(out));
}

static inline void held_serve(struct held *h)
{
	const struct fuse_in_header *in = (void *)h->request;
	const struct fuse_init_in *wish = (void *)(in + 1);
	const struct fuse_read_in *read_in = (void *)(in + 1);
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = PAGE,
		.max_background = 16,
		.max_write = 32 * PAGE,
	};
	struct fuse_attr_out attr = {
		.attr_valid = 3600,
		.attr = { .ino = FUSE_ROOT_ID,
			  .size = HELD_SIZE,
			  .mode = S_IFREG | 0600,
			  .nlink = 1,
			  .blksize = PAGE },
	};
	/* Without NOFLUSH a child could not exit meanwhile. */
	struct fuse_open_out file = { .open_flags = FOPEN_DIRECT_IO |
						    FOPEN_NOFLUSH };

	switch (in->opcode) {
	case FUSE_INIT:
		if (wish->minor < init.minor)
			init.minor = wish->minor;
		return held_answer(h, 0, &init, sizeof(init));
	case FUSE_GETATTR:
		return held_answer(h, 0, &attr, sizeof(attr));
	case FUSE_OPEN:
		return held_answer(h, 0, &file, sizeof(file));
	case FUSE_READ:
		return held_read(h, read_in->size);
	case FUSE_WRITE:
		return held_write(h, (void *)(in + 1));
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		return;
	default:
		return held_answer(h, -ENOSYS, NULL, 0);
	}
}

static inline void held_hold(struct held *h)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += HELD_SECONDS;
	sem_post(&h->arrived);
	if (sem_timedwait(&h->go, &until))
		h->gave_up = true;
	h->hold = false;
}

static inline void held_server(struct held *h)
{
	const size_t size = 64 * PAGE;
	struct pollfd p = { .fd = h->dev, .events = POLLIN };

	h->request = malloc(size);
	while (h->request && poll(&p, 1, -1) == 1 && !(p.revents & POLLERR)) {
		if (h->hold)
			held_hold(h);
		if (read(h->dev, h->request, size) > 0)
			held_serve(h);
		else if (errno == ENODEV)
			break;
	}
	_exit(0);
}

/* Mounts the file for as long as it takes to open it.  0, or -1 and errno. */
static inline int held_mount(struct held *h)
{
	char path[] = "/tmp/altvm-held-XXXXXX", options[128];
	int place = mkstemp(path);
	struct stat st;

	if (place < 0)
		return -1;
	close(place);
	/* This one fails, but not without loading the kernel's module. */
	mount("altvm-held", path, "fuse", 0, "");
	h->fd = -1;
	h->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=100600,user_id=0,group_id=0", h->dev);
	if (h->dev >= 0 && !mount("altvm-held", path, "fuse", 0, options)) {
		h->server = fork();
		if (!h->server)
			held_server(h);
		if (h->server > 0)
			h->fd = open(path, O_RDWR | O_CLOEXEC);
		umount2(path, MNT_DETACH);
	}
	unlink(path);
	close(h->dev);
	/* The kernel asks for its size only when it is asked. */
	return h->fd < 0 ? -1 : fstat(h->fd, &st);
}

/* Return: NULL where there is no FUSE or it may not be mounted. */
static inline struct held *held_open(void)
{
	struct held *h =
		mmap(NULL, sizeof(*h), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (h == MAP_FAILED)
		return NULL;
	sem_init(&h->arrived, 1, 0);
	sem_init(&h->go, 1, 0);
	if (!held_mount(h))
		return h;
	munmap(h, sizeof(*h));
	return NULL;
}

/* The file is to be mapped nowhere any more. */
static inline void held_close(struct held *h)
{
	close(h->fd);
	waitpid(h->server, NULL, 0);
	munmap(h, sizeof(*h));
}

static inline void *held_caller(void *arg)
{
	struct held *h = arg;

	h->ret = h->is_write ? pwrite(h->fd, h->buf, h->len, 0) :
			       pread(h->fd, h->buf, h->len, 0);
	if (h->ret < 0)
		h->ret = -errno;
	/* It failed before anything was asked for. */
	if (h->hold)
		sem_post(&h->arrived);
	return NULL;
}

/*
 * Begins a read to, or a write from, the @len bytes at @buf.  When this returns
 * the pages are pinned, and nothing has been moved.  At most 32 pages.
 */
static inline void held_begin(struct held *h, void *buf, size_t len,
			      bool is_write)
{
	h->buf = buf;
	h->len = len;
	h->is_write = is_write;
	h->ret = -EINPROGRESS;
	h->hold = true;
	if (pthread_create(&h->caller, NULL, held_caller, h))
		abort();
	sem_wait(&h->arrived);
}

/* Lets it go on and end.  The call's result, or -errno. */
static inline ssize_t held_let_go(struct held *h)
{
	if (h->ret == -EINPROGRESS)
		sem_post(&h->go);
	pthread_join(h->caller, NULL);
	h->hold = false;
	return h->ret;
}

#endif /* TESTS_USER_HELDIO_H */
