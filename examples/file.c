// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A file as memory.  It is mapped into a window and changed there; read(2) sees
 * that at once, and altvm_msync() has it on the disk.
 */
#include <altvm.h>
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LENGTH ((size_t)1 << 20)
#define PLACE 123456

int main(void)
{
	static const char text[] = "written through a window";
	struct altvm *vm = altvm_open(0, ALTVM_OPEN_NOEXEC);
	char seen[sizeof(text)];
	FILE *file = tmpfile();
	char *p;
	int fd;

	if (!vm)
		err(1, "altvm_open");
	if (!file || ftruncate(fileno(file), LENGTH) < 0)
		err(1, "a file");
	fd = fileno(file);
	p = altvm_mmap(vm, NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       0);
	if (p == MAP_FAILED)
		err(1, "altvm_mmap");
	memcpy(p + PLACE, text, sizeof(text));
	if (altvm_msync(vm, p, LENGTH, MS_SYNC) < 0)
		err(1, "altvm_msync");

	if (pread(fd, seen, sizeof(seen), PLACE) != sizeof(seen) ||
	    memcmp(seen, text, sizeof(text)))
		errx(1, "read does not see it");
	printf("read: \"%s\"\n", seen);

	if (pwrite(fd, "by write(2)", 12, 0) != 12 || strcmp(p, "by write(2)"))
		errx(1, "the window does not see what was written");
	printf("in the window: \"%s\"\n", p);
	return altvm_close(vm) < 0;
}
