// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * altvm_open() where the module is not loaded.  Says "skip" and exits with 0
 * where it is; else exits with 0 if the failure is as told.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <altvm.h>

static int lowest_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY);

	close(fd);
	return fd;
}

int main(void)
{
	int fd = lowest_free_fd();
	struct altvm *vm;

	errno = 0;
	vm = altvm_open(0, 0);
	if (vm) {
		puts("skip: the module is loaded");
		return altvm_close(vm) < 0;
	}
	printf("altvm_open: %s\n", strerror(errno));
	if (errno != ENOENT && errno != ENODEV && errno != ENXIO)
		return 1;
	if (lowest_free_fd() != fd) {
		puts("a file was left open");
		return 1;
	}
	return 0;
}
