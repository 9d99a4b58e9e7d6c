// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a program reads of itself in /proc (ALTVM_PROC).  In the place of maps,
 * statm and status it gets a memfd with what they would say if altvm's areas
 * were mappings of the kernel, and the window were not there.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preload.h"
#include "sys.h"

/* A line with a path. */
#define LINE_SIZE 4352

/* Where a path starts in a line of maps. */
#define PATH_COLUMN 73

/**
 * struct reader - a file that is read line by line
 * @fd: the file
 * @pos: what comes next in @buffer
 * @length: how much is in @buffer
 * @buffer: a part of the file
 * @line: the last line, without its end
 */
struct reader {
	int fd;
	size_t pos, length;
	char buffer[1024];
	char line[LINE_SIZE];
};

static bool reader_open(struct reader *in, const char *path)
{
	in->fd = (int)sys_open(path, O_RDONLY | O_CLOEXEC);
	in->pos = 0;
	in->length = 0;
	return in->fd >= 0;
}

static int next_char(struct reader *in)
{
	long got;

	if (in->pos == in->length) {
		got = sys_read(in->fd, in->buffer, sizeof(in->buffer));
		if (got <= 0)
			return -1;
		in->pos = 0;
		in->length = (size_t)got;
	}
	return (unsigned char)in->buffer[in->pos++];
}

static bool next_line(struct reader *in)
{
	size_t length = 0;
	int c;

	while ((c = next_char(in)) >= 0 && c != '\n') {
		if (length < LINE_SIZE - 1)
			in->line[length++] = (char)c;
	}
	in->line[length] = '\0';
	return c >= 0 || length;
}

static void put(int out, const char *text)
{
	sys_write(out, text, strlen(text));
}

static unsigned long parse(const char *text, unsigned int base)
{
	static const char digits[] = "0123456789abcdef";
	unsigned long value = 0;
	const char *digit;

	while (*text && (digit = strchr(digits, *text)) &&
	       digit - digits < (long)base) {
		value = value * base + (unsigned long)(digit - digits);
		text++;
	}
	return value;
}

static bool open_areas(struct reader *in, const struct window *window)
{
	char path[48] = "/proc/self/fdinfo/";

	format_number(path + strlen(path), (unsigned long)window->fd, 10);
	return reader_open(in, path);
}

/* Does a line of fdinfo start what is about this process' window? */
static bool is_own_window(const char *line, bool *own)
{
	static const char key[] = "altvm-window:\t", self[] = " self";
	size_t length = strlen(line);

	if (strncmp(line, key, strlen(key)))
		return false;
	*own = length > strlen(self) &&
	       !strcmp(line + length - strlen(self), self);
	return true;
}

/* As a line of maps, without altvm's flags in brackets, the path in its column. */
static void put_area(int out, char *line)
{
	char spaces[PATH_COLUMN + 1];
	char *end = line, *path;
	size_t length;
	int field;

	for (field = 0; field < 5; field++) {
		end += strspn(end, " ");
		end += strcspn(end, " ");
	}
	path = end + strspn(end, " ");
	if (*path == '[' && strchr(path, ']'))
		path = strchr(path, ']') + 1;
	path += strspn(path, " ");
	length = (size_t)(end - line);
	sys_write(out, line, length);
	memset(spaces, ' ', sizeof(spaces));
	if (*path && length < PATH_COLUMN)
		sys_write(out, spaces, PATH_COLUMN - length);
	else
		put(out, " ");
	put(out, path);
	put(out, "\n");
}

static void put_areas(int out, const struct window *window)
{
	struct reader in;
	bool own = false;

	if (!open_areas(&in, window))
		return;
	while (next_line(&in)) {
		if (is_own_window(in.line, &own))
			continue;
		if (own && strspn(in.line, "0123456789abcdef") &&
		    in.line[strspn(in.line, "0123456789abcdef")] == '-')
			put_area(out, in.line);
	}
	sys_close(in.fd);
}

static void put_maps(int out, const struct window *window, struct reader *in)
{
	while (next_line(in)) {
		if (parse(in->line, 16) == window->start) {
			put_areas(out, window);
		} else {
			put(out, in->line);
			put(out, "\n");
		}
	}
}

/**
 * struct sizes - of what is in the window, in kB
 * @mapped: by areas
 * @locked: of that
 */
struct sizes {
	unsigned long mapped, locked;
};

static unsigned long number_after(const char *line, const char *word)
{
	const char *at = strstr(line, word);

	return at ? parse(at + strlen(word), 10) : 0;
}

static struct sizes read_sizes(const struct window *window)
{
	struct sizes sizes = { 0 };
	struct reader in;
	bool own = false;

	if (!open_areas(&in, window))
		return sizes;
	while (!own && next_line(&in)) {
		if (!is_own_window(in.line, &own) || !own)
			continue;
		sizes.mapped = number_after(in.line, " mapped ");
		sizes.locked = number_after(in.line, " locked ");
	}
	sys_close(in.fd);
	return sizes;
}

/* The kernel may count the window, and does not count what is in it. */
static unsigned long real_size(unsigned long size, unsigned long window_size,
			       unsigned long mapped)
{
	return (size >= window_size ? size - window_size : size) + mapped;
}

/* Does a line of status tell a size that is another one?  Which, in kB? */
static bool has_other_size(const char *line, const struct window *window,
			   struct sizes sizes, unsigned long *size)
{
	const char *colon = strchr(line, ':');

	if (!colon)
		return false;
	*size = parse(colon + 1 + strspn(colon + 1, " \t"), 10);
	if (!strncmp(line, "VmLck:", 6)) {
		*size += sizes.locked;
		return true;
	}
	if (strncmp(line, "VmSize:", 7) && strncmp(line, "VmPeak:", 7))
		return false;
	*size = real_size(*size, (window->end - window->start) / 1024,
			  sizes.mapped);
	return true;
}

static void put_size(int out, char *line, unsigned long size)
{
	char number[24];
	size_t length = format_number(number, size, 10);

	strchr(line, ':')[1] = '\0';
	put(out, line);
	put(out, "\t");
	for (; length < 8; length++)
		put(out, " ");
	put(out, number);
	put(out, " kB\n");
}

static void put_status(int out, const struct window *window, struct reader *in)
{
	struct sizes sizes = read_sizes(window);
	unsigned long size;

	while (next_line(in)) {
		if (has_other_size(in->line, window, sizes, &size)) {
			put_size(out, in->line, size);
		} else {
			put(out, in->line);
			put(out, "\n");
		}
	}
}

/* In pages; the first number is the size, the second what is resident. */
static void put_statm(int out, const struct window *window, struct reader *in)
{
	struct sizes sizes = read_sizes(window);
	unsigned long size;
	char number[24];

	if (!next_line(in))
		return;
	size = real_size(parse(in->line, 10),
			 (window->end - window->start) / PAGE_SIZE,
			 sizes.mapped / 4);
	format_number(number, size, 10);
	put(out, number);
	put(out, in->line + strcspn(in->line, " "));
	put(out, "\n");
}

typedef void put_fn(int out, const struct window *window, struct reader *in);

static const struct {
	const char *name;
	put_fn *put;
} files[] = {
	{ "maps", put_maps },
	{ "statm", put_statm },
	{ "status", put_status },
};

/* What is behind the directory of this process, or NULL. */
static const char *skip_self(const char *path)
{
	char own[32] = "/proc/";
	const char *const dirs[] = { "/proc/self/", "/proc/thread-self/", own };
	size_t i;

	format_number(own + strlen(own), (unsigned long)sys_getpid(), 10);
	strcpy(own + strlen(own), "/");
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (!strncmp(path, dirs[i], strlen(dirs[i])))
			return path + strlen(dirs[i]);
	}
	return NULL;
}

static put_fn *find_file(const char *path)
{
	const char *name = skip_self(path);
	size_t i;

	for (i = 0; name && i < sizeof(files) / sizeof(files[0]); i++) {
		if (!strcmp(name, files[i].name))
			return files[i].put;
	}
	return NULL;
}

/* As much of a path as matters; what cannot be read is for the kernel to refuse. */
static bool read_path(char *path, size_t size, uintptr_t from)
{
	size_t room = PAGE_SIZE - from % PAGE_SIZE;
	struct iovec local = { path, size - 1 };
	struct iovec remote[2] = {
		{ (void *)from, room < size - 1 ? room : size - 1 },
		{ (void *)(from + room),
		  room < size - 1 ? size - 1 - room : 0 },
	};
	long got;

	got = sys6(SYS_process_vm_readv, (unsigned long)sys_getpid(),
		   (unsigned long)&local, 1, (unsigned long)remote, 2, 0);
	path[got < 0 ? 0 : got] = '\0';
	return got > 0;
}

static long make_file(put_fn *put_file, const struct window *window,
		      const char *path, int flags)
{
	struct reader in;
	long out;

	if (!reader_open(&in, path))
		return -ENOENT;
	out = sys3(SYS_memfd_create, (unsigned long)path,
		   flags & O_CLOEXEC ? MFD_CLOEXEC : 0, 0);
	if (out >= 0) {
		put_file((int)out, window, &in);
		sys3(SYS_lseek, (unsigned long)out, 0, SEEK_SET);
	}
	sys_close(in.fd);
	return out;
}

/**
 * proc_open() - open a file of /proc that tells of memory
 * @path: its name
 * @flags: O_* of open(2)
 *
 * Return: a descriptor, or -errno: it is no such file, open it as usual.
 */
long proc_open(uintptr_t path, int flags)
{
	const struct window *window = window_get();
	put_fn *put_file;
	char name[48];

	if (!window || !window->config.proc ||
	    (flags & (O_ACCMODE | O_PATH | O_DIRECTORY)) != O_RDONLY ||
	    !read_path(name, sizeof(name), path))
		return -ENOENT;
	put_file = find_file(name);
	return put_file ? make_file(put_file, window, name, flags) : -ENOENT;
}
