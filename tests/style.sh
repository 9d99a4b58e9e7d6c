#!/bin/bash
# Style checks: checkpatch --strict, kernel-doc, sparse, clang-format (the
# kernel's own configuration) and shellcheck; each warning is a failure. Prints
# TAP.
#
# usage: tests/style.sh [--fix] [FILE...]   default: all files of the checkout
#
# --fix: only let clang-format rewrite the files.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/.." || exit
linux=$(tests/vm/kernel --source debug) || exit

fix=
if [ "${1:-}" = --fix ]; then
	fix=1
	shift
fi
if [ $# -gt 0 ]; then
	files=("$@")
else
	mapfile -t files < <(git ls-files -co --exclude-standard | while read -r f; do [ ! -f "$f" ] || echo "$f"; done)
fi
kernel=() user=() scripts=()
for f in "${files[@]}"; do
	case $f in
	module/*.[ch] | uapi/*.h | tests/kunit/*.[ch] | tests/vm/faulty/*.c) kernel+=("$f") ;;
	*.[ch]) user+=("$f") ;;
	*) ! head -n 2 "$f" | grep -aqE '^#!.*\<(ba|da)?sh$|shellcheck shell=' || scripts+=("$f") ;;
	esac
done

n=0
bad=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# check NAME COMMAND...: succeeds when COMMAND does and prints nothing.
check() {
	local name=$1
	shift
	n=$((n + 1))
	if "$@" > "$out" 2>&1 && [ ! -s "$out" ]; then
		echo "ok $n - $name"
	else
		bad=$((bad + 1))
		echo "not ok $n - $name"
		sed 's/^/# /' "$out"
	fi
}

# Macros that walk over things use their arguments twice, by nature. A lock is
# described in the kernel-doc over its structure, where checkpatch does not look.
ignore=MACRO_ARG_REUSE,UNCOMMENTED_DEFINITION
# The one file that knows kernel versions.
compat=LINUX_VERSION_CODE,CONSTANT_COMPARISON
# What a program has no kernel header for.
userspace=PREFER_KERNEL_TYPES,VOLATILE,BIT_MACRO,ARRAY_SIZE,PREFER_DEFINED_ATTRIBUTE_MACRO,MEMORY_BARRIER,MULTIPLE_ASSIGNMENTS,ENOSYS,STRCPY,AVOID_EXTERNS

checkpatch() { # checkpatch IGNORE FILE...
	[ $# -gt 1 ] || return 0
	perl "$linux/scripts/checkpatch.pl" --no-tree --strict --terse --no-summary --show-types \
		-q --ignore "$ignore,$1" -f "${@:2}"
}

checkpatch_kernel() {
	local f rest=() status=0
	for f in ${kernel[@]+"${kernel[@]}"}; do
		if [ "$f" = module/compat.h ]; then
			checkpatch "$compat" "$f" || status=1
		else
			rest+=("$f")
		fi
	done
	checkpatch FILE_PATH_CHANGES ${rest[@]+"${rest[@]}"} && return $status
}

kernel_doc() {
	[ ${#kernel[@]} -eq 0 ] || perl "$linux/scripts/kernel-doc" -none -Werror "${kernel[@]}"
}

# Only what sparse says of our files: the headers are not ours to mend.
sparse() {
	local log=build/sparse.log
	make -s build/sparse > "$log" 2>&1 || { cat "$log"; return 1; }
	! grep -E '/build/sparse/(module|uapi|tests)/.*(warning|error):' "$log"
}

# The kernel's configuration, which also has to know our loop macros.
format_config() {
	local macros
	macros=$(cat ${kernel[@]+"${kernel[@]}"} ${user[@]+"${user[@]}"} |
		sed -n "s/^#define \\([a-z_]*for_each[a-z_]*\\)(.*/  - '\\1'/p" | sort -u)
	mkdir -p build
	sed "/^ForEachMacros:/r /dev/fd/3" "$linux/.clang-format" > build/clang-format 3<<< "$macros"
}

format() { # format FILE...
	local f
	for f; do
		clang-format --style=file:build/clang-format "$f" | diff -U0 --label "$f" --label "$f, formatted" "$f" -
	done
}

format_config || exit
if [ -n "$fix" ]; then
	exec clang-format --style=file:build/clang-format -i ${kernel[@]+"${kernel[@]}"} ${user[@]+"${user[@]}"}
fi

echo "TAP version 14"
check "checkpatch: module" checkpatch_kernel
check "checkpatch: programs" checkpatch "$userspace" ${user[@]+"${user[@]}"}
check "kernel-doc" kernel_doc
check "sparse" sparse
check "clang-format" format ${kernel[@]+"${kernel[@]}"} ${user[@]+"${user[@]}"}
check "shellcheck" shellcheck ${scripts[@]+"${scripts[@]}"}
echo "1..$n"
[ "$bad" -eq 0 ]
