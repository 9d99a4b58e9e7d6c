// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* altvm(1): run a program that knows nothing of altvm with its memory from altvm. */
#include <elf.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PRELOAD "libaltvm-preload.so"

/* As env(1) and others: the program cannot be run, or is not there. */
enum { CANNOT_RUN = 126, NOT_FOUND = 127, USAGE = 125 };

static const char usage[] =
	"usage: altvm run [OPTION]... PROGRAM [ARGUMENT]...\n"
	"\n"
	"Runs PROGRAM, and what it starts, with memory from altvm in place of the\n"
	"kernel's mmap family.\n"
	"\n"
	"  -m, --malloc NAME       malloc of jemalloc, mimalloc or tcmalloc, or of the\n"
	"                          library of that file name; glibc's stays the kernel's\n"
	"  -o, --only KIND         anon or file: only mappings without, or with, a file\n"
	"      --min-size SIZE     only mappings of at least SIZE bytes\n"
	"  -w, --window-size SIZE  the size of the window\n"
	"  -f, --fallback          run PROGRAM without altvm where it is absent\n"
	"  -p, --proc              show altvm's mappings in files of /proc/self\n"
	"  -s, --stats[=FILE]      at exit tell what was called\n"
	"  -h, --help              this text\n"
	"\n"
	"SIZE may end with K, M, G or T. See altvm(1).\n";

/**
 * struct allocator - a malloc() that gets its memory by mmap()
 * @name: for --malloc
 * @files: names of its library, the usual one first
 */
struct allocator {
	const char *name;
	const char *files[3];
};

static const struct allocator allocators[] = {
	{ "jemalloc", { "libjemalloc.so.2", "libjemalloc.so" } },
	{ "mimalloc", { "libmimalloc.so.2", "libmimalloc.so" } },
	{ "tcmalloc", { "libtcmalloc_minimal.so.4", "libtcmalloc.so.4" } },
};

static const char *const library_dirs[] = {
	"/usr/local/lib",
	"/usr/lib/x86_64-linux-gnu",
	"/usr/lib64",
	"/usr/lib",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void set(const char *name, const char *value)
{
	if (setenv(name, value, 1))
		err(CANNOT_RUN, "%s", name);
}

/* The new library goes before those that are there. */
static void preload(const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	char *list;

	if (strpbrk(library, " :"))
		errx(CANNOT_RUN,
		     "%s: LD_PRELOAD has no place for blanks and colons",
		     library);
	if (asprintf(&list, "%s%s%s", library, others ? ":" : "",
		     others ?: "") < 0)
		err(CANNOT_RUN, "LD_PRELOAD");
	set("LD_PRELOAD", list);
	free(list);
}

static char *find_in(const char *dir, const char *file)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, file) < 0)
		err(CANNOT_RUN, "%s", file);
	if (!access(path, R_OK))
		return path;
	free(path);
	return NULL;
}

/* Beside this program, where it was built or installed. */
static char *find_own_library(void)
{
	static const char *const places[] = {
		"/../preload",
		"/../lib",
		"/../lib/x86_64-linux-gnu",
	};
	char self[PATH_MAX], dir[2 * PATH_MAX], *path = NULL;
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t i;

	if (length < 0)
		err(CANNOT_RUN, "/proc/self/exe");
	self[length] = '\0';
	*strrchr(self, '/') = '\0';
	for (i = 0; !path && i < COUNT(places); i++) {
		snprintf(dir, sizeof(dir), "%s%s", self, places[i]);
		path = find_in(dir, PRELOAD);
	}
	if (!path)
		errx(CANNOT_RUN, "no %s near %s", PRELOAD, self);
	return realpath(path, NULL) ?: path;
}

static char *find_allocator(const struct allocator *allocator)
{
	char *path = NULL;
	size_t i, j;

	for (i = 0; !path && allocator->files[i]; i++) {
		for (j = 0; !path && j < COUNT(library_dirs); j++)
			path = find_in(library_dirs[j], allocator->files[i]);
	}
	if (!path)
		errx(CANNOT_RUN, "%s is not installed", allocator->files[0]);
	return path;
}

static void use_malloc(const char *name)
{
	size_t i;

	for (i = 0; i < COUNT(allocators); i++) {
		if (!strcmp(name, allocators[i].name)) {
			preload(find_allocator(&allocators[i]));
			return;
		}
	}
	if (!strchr(name, '/'))
		errx(USAGE, "--malloc %s: not known, and no file name", name);
	preload(name);
}

/* Where execvp() would find @program; NULL if it would not. */
static char *find_program(const char *program)
{
	char *dirs, *dir, *rest, *path = NULL;

	if (strchr(program, '/'))
		return strdup(program);
	rest = dirs = strdup(getenv("PATH") ?: "/bin:/usr/bin");
	while (dirs && !path && (dir = strsep(&rest, ":")))
		path = find_in(*dir ? dir : ".", program);
	free(dirs);
	return path;
}

/**
 * struct elf_header - how a program starts
 * @ident: ELFMAG, ELFCLASS64 and others
 * @other: not of interest
 * @segments: where their table is in the file
 * @more: not of interest
 * @elf_size: of all this
 * @size: of an entry of the table
 * @nr: of entries
 */
struct elf_header {
	unsigned char ident[EI_NIDENT];
	uint32_t other[4];
	uint64_t segments;
	uint32_t more[3];
	uint16_t elf_size, size, nr;
};

/* Is there a dynamic linker, which is who reads LD_PRELOAD?  Unknown counts. */
static bool has_interpreter(FILE *file)
{
	struct elf_header header;
	uint32_t type;
	int i;

	if (fread(&header, sizeof(header), 1, file) != 1 ||
	    memcmp(header.ident, ELFMAG, SELFMAG) ||
	    header.ident[EI_CLASS] != ELFCLASS64)
		return true;
	for (i = 0; i < header.nr; i++) {
		if (fseek(file, (long)header.segments + i * header.size,
			  SEEK_SET) ||
		    fread(&type, sizeof(type), 1, file) != 1 ||
		    type == PT_INTERP)
			return true;
	}
	return false;
}

/* The dynamic linker ignores LD_PRELOAD of programs that give rights. */
static bool gives_rights(FILE *file)
{
	struct stat st;
	char value;

	if (fstat(fileno(file), &st))
		return false;
	if (st.st_mode & S_ISUID && st.st_uid != geteuid())
		return true;
	if ((st.st_mode & (S_ISGID | 0010)) == (S_ISGID | 0010) &&
	    st.st_gid != getegid())
		return true;
	return geteuid() && (fgetxattr(fileno(file), "security.capability",
				       &value, 1) >= 0 ||
			     errno == ERANGE);
}

/* What would run, but without altvm, is refused. */
static void check_program(const char *program)
{
	char *path = find_program(program);
	FILE *file = path ? fopen(path, "re") : NULL;

	/* execvp() knows better what is wrong. */
	if (file) {
		if (gives_rights(file))
			errx(CANNOT_RUN,
			     "%s is set-user-ID or the like: it gets no library from its user",
			     path);
		if (!has_interpreter(file))
			errx(CANNOT_RUN,
			     "%s is linked statically: it takes no library",
			     path);
		fclose(file);
	}
	free(path);
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "malloc", required_argument, NULL, 'm' },
		{ "only", required_argument, NULL, 'o' },
		{ "min-size", required_argument, NULL, 'M' },
		{ "window-size", required_argument, NULL, 'w' },
		{ "fallback", no_argument, NULL, 'f' },
		{ "proc", no_argument, NULL, 'p' },
		{ "stats", optional_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+m:o:w:fps::h", options, NULL)) >
	       0) {
		switch (c) {
		case 'm':
			use_malloc(optarg);
			break;
		case 'o':
			set("ALTVM_ONLY", optarg);
			break;
		case 'M':
			set("ALTVM_MIN_SIZE", optarg);
			break;
		case 'w':
			set("ALTVM_WINDOW_SIZE", optarg);
			break;
		case 'f':
			set("ALTVM_FALLBACK", "native");
			break;
		case 'p':
			set("ALTVM_PROC", "1");
			break;
		case 's':
			set("ALTVM_STATS", optarg ?: "1");
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			exit(USAGE);
		}
	}
}

static int run(int argc, char **argv)
{
	parse_options(argc, argv);
	argv += optind;
	if (!*argv) {
		fputs(usage, stderr);
		return USAGE;
	}
	check_program(*argv);
	preload(find_own_library());
	execvp(*argv, argv);
	warn("%s", *argv);
	return errno == ENOENT ? NOT_FOUND : CANNOT_RUN;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "run"))
		return run(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	fputs(usage, stderr);
	return USAGE;
}
