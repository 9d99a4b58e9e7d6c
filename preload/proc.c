// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a program reads of itself in /proc (ALTVM_PROC).  In the place of maps,
 * smaps, statm and status it gets a memfd with what they would say if altvm's
 * areas were mappings of the kernel, and the window were not there.  Who goes back
 * to the start of such a file finds what is there then.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preload.h"
#include "proc.h"
#include "sys.h"

/* Where a path starts in a line of maps. */
#define PATH_COLUMN 73

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

/**
 * proc_next_line() - read a line
 * @in: its @line is the line, without its end
 *
 * Return: false at the end of the file.
 */
bool proc_next_line(struct reader *in)
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

static void flush(struct writer *out)
{
	sys_write(out->fd, out->buffer, out->length);
	out->length = 0;
}

/**
 * proc_write() - write to a file that is being made
 * @out: the file
 * @text: what
 * @length: in bytes
 */
void proc_write(struct writer *out, const char *text, size_t length)
{
	size_t part;

	for (; length; length -= part, text += part) {
		part = sizeof(out->buffer) - out->length;
		if (part > length)
			part = length;
		memcpy(out->buffer + out->length, text, part);
		out->length += part;
		if (out->length == sizeof(out->buffer))
			flush(out);
	}
}

/**
 * proc_put() - write to a file that is being made
 * @out: the file
 * @text: what
 */
void proc_put(struct writer *out, const char *text)
{
	proc_write(out, text, strlen(text));
}

/**
 * proc_put_line() - write a line to a file that is being made
 * @out: the file
 * @line: without its end
 */
void proc_put_line(struct writer *out, const char *line)
{
	proc_put(out, line);
	proc_put(out, "\n");
}

/**
 * proc_put_kib() - write the end of a line that tells a size
 * @out: the file
 * @kib: the size
 */
void proc_put_kib(struct writer *out, unsigned long kib)
{
	char number[24];
	size_t length = format_number(number, kib, 10);

	for (; length < 8; length++)
		proc_put(out, " ");
	proc_put(out, number);
	proc_put(out, " kB\n");
}

/**
 * proc_number() - the number at the start of a text
 * @text: as /proc has them
 * @base: 10 or 16
 *
 * Return: 0 if there is none.
 */
unsigned long proc_number(const char *text, unsigned int base)
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

/* The file with a line for each area. */
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

/**
 * proc_put_area() - write an area as a line of maps
 * @out: the file that is being made
 * @line: altvm's line of it
 * @arg: nothing
 *
 * It goes without altvm's flags in brackets, the path in its column.
 */
void proc_put_area(struct writer *out, const char *line, void *arg)
{
	char spaces[PATH_COLUMN + 1];
	const char *end = line, *path;
	size_t length;
	int field;

	(void)arg;
	for (field = 0; field < 5; field++) {
		end += strspn(end, " ");
		end += strcspn(end, " ");
	}
	path = end + strspn(end, " ");
	if (*path == '[' && strchr(path, ']'))
		path = strchr(path, ']') + 1;
	path += strspn(path, " ");
	length = (size_t)(end - line);
	proc_write(out, line, length);
	memset(spaces, ' ', sizeof(spaces));
	if (*path && length < PATH_COLUMN)
		proc_write(out, spaces, PATH_COLUMN - length);
	else
		proc_put(out, " ");
	proc_put_line(out, path);
}

/**
 * proc_is_area() - does a line start with a range of addresses?
 * @line: of maps, smaps or altvm's own
 */
bool proc_is_area(const char *line)
{
	size_t digits = strspn(line, "0123456789abcdef");

	return digits && line[digits] == '-';
}

/**
 * proc_put_areas() - write something of each area in the window
 * @out: the file that is being made
 * @window: this process'
 * @put_area: gets altvm's line of an area
 * @arg: for @put_area
 */
void proc_put_areas(struct writer *out, const struct window *window,
		    proc_put_area_fn *put_area, void *arg)
{
	struct reader in;
	bool own = false;

	if (!open_areas(&in, window))
		return;
	while (proc_next_line(&in)) {
		if (is_own_window(in.line, &own))
			continue;
		if (own && proc_is_area(in.line))
			put_area(out, in.line, arg);
	}
	sys_close(in.fd);
}

static void put_maps(struct writer *out, const struct window *window,
		     struct reader *in)
{
	while (proc_next_line(in)) {
		if (proc_number(in->line, 16) == window->start)
			proc_put_areas(out, window, proc_put_area, NULL);
		else
			proc_put_line(out, in->line);
	}
}

static unsigned long number_after(const char *line, const char *word)
{
	const char *at = strstr(line, word);

	return at ? proc_number(at + strlen(word), 10) : 0;
}

/**
 * proc_sizes() - what there is in the window
 * @window: this process'
 */
struct sizes proc_sizes(const struct window *window)
{
	struct sizes sizes = { 0 };
	struct reader in;
	bool own = false;

	if (!open_areas(&in, window))
		return sizes;
	while (!own && proc_next_line(&in)) {
		if (!is_own_window(in.line, &own) || !own)
			continue;
		sizes.mapped = number_after(in.line, " mapped ");
		sizes.locked = number_after(in.line, " locked ");
		sizes.swapped = number_after(in.line, " swapped ");
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
	*size = proc_number(colon + 1 + strspn(colon + 1, " \t"), 10);
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

static void put_size(struct writer *out, char *line, unsigned long size)
{
	strchr(line, ':')[1] = '\0';
	proc_put(out, line);
	proc_put(out, "\t");
	proc_put_kib(out, size);
}

static void put_status(struct writer *out, const struct window *window,
		       struct reader *in)
{
	struct sizes sizes = proc_sizes(window);
	unsigned long size;

	while (proc_next_line(in)) {
		if (has_other_size(in->line, window, sizes, &size))
			put_size(out, in->line, size);
		else
			proc_put_line(out, in->line);
	}
}

/* In pages; the first number is the size, the second what is resident. */
static void put_statm(struct writer *out, const struct window *window,
		      struct reader *in)
{
	struct sizes sizes = proc_sizes(window);
	unsigned long size;
	char number[24];

	if (!proc_next_line(in))
		return;
	size = real_size(proc_number(in->line, 10),
			 (window->end - window->start) / PAGE_SIZE,
			 sizes.mapped / 4);
	format_number(number, size, 10);
	proc_put(out, number);
	proc_put_line(out, in->line + strcspn(in->line, " "));
}

static const struct {
	const char *name;
	proc_put_fn *put;
} files[] = {
	{ "maps", put_maps },
	{ "smaps", smaps_put },
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

static proc_put_fn *find_file(const char *path)
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

/* Are there any such files? */
static bool made;

/* The whole of a file. */
static void fill(int fd, proc_put_fn *put_file, const struct window *window,
		 struct reader *in)
{
	struct writer out = { .fd = fd };

	put_file(&out, window, in);
	flush(&out);
	sys3(SYS_lseek, (unsigned long)fd, 0, SEEK_SET);
}

static long make_file(proc_put_fn *put_file, const struct window *window,
		      const char *path, int flags)
{
	struct reader in;
	long out;

	if (!reader_open(&in, path))
		return -ENOENT;
	out = sys3(SYS_memfd_create, (unsigned long)path,
		   flags & O_CLOEXEC ? MFD_CLOEXEC : 0, 0);
	if (out >= 0) {
		fill((int)out, put_file, window, &in);
		__atomic_store_n(&made, true, __ATOMIC_RELAXED);
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
	proc_put_fn *put_file;
	char name[48];

	if (!window || !read_path(name, sizeof(name), path))
		return -ENOENT;
	if (!strcmp(name, "/dev/userfaultfd"))
		map_by_kernel();
	if (!window->config.proc ||
	    (flags & (O_ACCMODE | O_PATH | O_DIRECTORY)) != O_RDONLY)
		return -ENOENT;
	put_file = find_file(name);
	return put_file ? make_file(put_file, window, name, flags) : -ENOENT;
}

/* The name that make_file() has given to @fd, or NULL. */
static const char *name_of(int fd, char *buffer, size_t size)
{
	static const char prefix[] = "/memfd:", suffix[] = " (deleted)";
	char link[32] = "/proc/self/fd/";
	size_t length;
	long got;

	format_number(link + strlen(link), (unsigned long)fd, 10);
	got = sys3(SYS_readlink, (unsigned long)link, (unsigned long)buffer,
		   size - 1);
	if (got < (long)(strlen(prefix) + strlen(suffix)))
		return NULL;
	buffer[got] = '\0';
	length = (size_t)got - strlen(suffix);
	if (strncmp(buffer, prefix, strlen(prefix)) ||
	    strcmp(buffer + length, suffix))
		return NULL;
	buffer[length] = '\0';
	return buffer + strlen(prefix);
}

/**
 * proc_refresh() - somebody goes back to the start of a file
 * @fd: which, perhaps one of ours
 *
 * Return: has it been written anew?
 */
bool proc_refresh(int fd)
{
	proc_put_fn *put_file;
	struct reader in;
	const char *name;
	char buffer[96];

	if (fd < 0 || !__atomic_load_n(&made, __ATOMIC_RELAXED))
		return false;
	name = name_of(fd, buffer, sizeof(buffer));
	put_file = name ? find_file(name) : NULL;
	if (!put_file || !reader_open(&in, name))
		return false;
	sys3(SYS_ftruncate, (unsigned long)fd, 0, 0);
	sys3(SYS_lseek, (unsigned long)fd, 0, SEEK_SET);
	fill(fd, put_file, window_get(), &in);
	sys_close(in.fd);
	return true;
}
