// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The list of areas, from /proc/self/fdinfo/N.  For signal handlers: no
 * allocation, no stdio, little stack.
 *
 * The file has a line for each window that was made with the open file; a
 * process that forked has windows at the same place in its children.  "self"
 * marks the reader's own.  The lines of its areas follow:
 *
 *   altvm-window:	START-END pid PID mapped SIZE kB locked SIZE kB swapped SIZE kB self
 *   altvm-swap:	out PAGES in PAGES freed PAGES
 *   START-END rw-p OFFSET DEV INODE [FLAG FLAG...] PATH
 */
#include <string.h>

#include "areas.h"
#include "handle.h"
#include "raw.h"

/* All of a line but its path fits. */
#define LINE_MAX 192

/**
 * struct line - a line of the file
 * @text: how it starts
 * @deleted: it ends as that of an unlinked file does
 */
struct line {
	char text[LINE_MAX];
	bool deleted;
};

static int next_char(struct area_list *list)
{
	ssize_t n;

	if (list->pos == list->len) {
		do {
			n = raw_read(list->fd, list->buffer,
				     sizeof(list->buffer));
		} while (n == -EINTR);
		if (n < 0)
			return (int)n;
		list->pos = 0;
		list->len = (size_t)n;
		if (!n)
			return '\0';
	}
	return (unsigned char)list->buffer[list->pos++];
}

/* 1, 0 at the end, or -errno. */
static int next_line(struct area_list *list, struct line *line)
{
	static const char deleted[] = " (deleted)";
	size_t len = 0, same = 0;
	int c;

	while ((c = next_char(list)) > 0 && c != '\n') {
		if (len < LINE_MAX - 1)
			line->text[len++] = (char)c;
		/* Only its first character can start it anew. */
		if (c == deleted[same])
			same++;
		else
			same = c == deleted[0];
	}
	line->text[len] = '\0';
	line->deleted = same == strlen(deleted);
	return c > 0 ? 1 : c;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 16;
}

static bool take_number(const char **p, int base, uintptr_t *value)
{
	const char *start = *p;

	*value = 0;
	while (digit_value(**p) < base)
		*value = *value * (uintptr_t)base +
			 (uintptr_t)digit_value(*(*p)++);
	return *p != start;
}

static bool take(const char **p, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(*p, text, len))
		return false;
	*p += len;
	return true;
}

static bool take_range(const char **p, uintptr_t *start, uintptr_t *end)
{
	return take_number(p, 16, start) && take(p, "-") &&
	       take_number(p, 16, end) && take(p, " ");
}

static void skip_field(const char **p)
{
	while (**p && **p != ' ')
		++*p;
	while (**p == ' ')
		++*p;
}

static bool take_prot(const char **p, struct area *area)
{
	const char *s = *p;

	if (strlen(s) < 5 || s[4] != ' ')
		return false;
	area->prot = (s[0] == 'r' ? PROT_READ : 0) |
		     (s[1] == 'w' ? PROT_WRITE : 0) |
		     (s[2] == 'x' ? PROT_EXEC : 0);
	area->shared = s[3] == 's';
	skip_field(p);
	return true;
}

/* Is @flag among those in brackets? */
static bool has_flag(const char *p, const char *flag)
{
	if (!take(&p, "["))
		return false;
	while (*p && *p != ']') {
		if (take(&p, flag) && (*p == ' ' || *p == ']'))
			return true;
		while (*p && *p != ' ' && *p != ']')
			p++;
		while (*p == ' ')
			p++;
	}
	return false;
}

static bool parse_area(const struct line *line, struct area *area)
{
	const char *p = line->text;
	uintptr_t inode;

	if (!take_range(&p, &area->start, &area->end) || !take_prot(&p, area))
		return false;
	skip_field(&p); /* the offset */
	skip_field(&p); /* the device */
	if (!take_number(&p, 10, &inode))
		return false;
	skip_field(&p);
	area->file = inode != 0;
	area->deleted = line->deleted;
	area->dontdump = has_flag(p, "dd");
	return true;
}

/* Is it a window's line?  If so, are the areas that follow wanted? */
static bool parse_window(struct area_list *list, const struct line *line)
{
	static const char self[] = " self";
	const char *p = line->text;
	uintptr_t start, end;
	size_t len;

	if (!take(&p, "altvm-window:\t") || !take_range(&p, &start, &end))
		return false;
	len = strlen(p);
	list->ours = start == list->window && len >= strlen(self) &&
		     !strcmp(p + len - strlen(self), self);
	list->found |= list->ours;
	return true;
}

/* /proc/self/fdinfo/@fd */
static void file_name(char *name, int fd)
{
	static const char dir[] = "/proc/self/fdinfo/";
	char digits[12];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + fd % 10);
		fd /= 10;
	} while (fd);
	memcpy(name, dir, strlen(dir));
	name += strlen(dir);
	while (n)
		*name++ = digits[--n];
	*name = '\0';
}

int area_list_open(struct area_list *list, const struct altvm *vm)
{
	char name[40];

	file_name(name, vm->fd);
	list->fd = raw_open(name, O_RDONLY | O_CLOEXEC);
	if (list->fd < 0)
		return list->fd;
	list->window = (uintptr_t)vm->window;
	list->ours = false;
	list->found = false;
	list->pos = 0;
	list->len = 0;
	return 0;
}

int area_list_next(struct area_list *list, struct area *area)
{
	struct line line;
	int ret;

	while ((ret = next_line(list, &line)) > 0) {
		if (!parse_window(list, &line) && list->ours &&
		    parse_area(&line, area))
			return 1;
	}
	if (!ret && !list->found)
		return -ENXIO;
	return ret;
}

void area_list_close(struct area_list *list)
{
	raw_close(list->fd);
}
