# SPDX-License-Identifier: GPL-2.0
# "make help" says what there is to make. Everything is put into build/.

O := $(abspath build)
PREFIX ?= /usr/local
DESTDIR ?=
KERNELS ?= stock-6.12 debug

# Kernels that the module supports, as their releases begin.
SUPPORTED := 6.12.

# What "make" and "make install" build the module for: KDIR, else the running
# kernel, else the newest one whose headers are installed, else the stock kernel
# that the tests run on.
ifndef KDIR
RUNNING := $(shell uname -r)
KDIR := $(if $(filter $(SUPPORTED:=%),$(RUNNING)),$(wildcard /lib/modules/$(RUNNING)/build))
endif
ifeq ($(KDIR),)
KDIR := $(lastword $(shell ls -d $(patsubst %,/usr/src/linux-headers-%*-amd64,$(SUPPORTED)) 2>/dev/null | sort -V))
endif
ifneq ($(KDIR),)
HOST_NAME := host
else
HOST_NAME := stock-6.12
endif
HOST_MODULE := $(O)/$(HOST_NAME)/altvm.ko

# Found when needed only: the first look-up downloads the sources.
LINUX_SOURCE = $(shell tests/vm/kernel --source debug)

.PHONY: all
all: module lib preload tools examples

# --- the module

# kbuild 6.12 has no output directory for modules from outside of its tree, so
# each kernel's module is built from a copy of its own.
MODULE_SOURCES := Kbuild module uapi $(wildcard tests/kunit)

# $(call build-module,NAME,KDIR,OPTIONS)
define build-module
	@mkdir -p $(O)/$(1)
	@rsync -aR --delete --filter='P *.o' --filter='P *.mod' --filter='P .*' \
		--exclude='*.o' --exclude='.*' $(MODULE_SOURCES) $(O)/$(1)/
	$(MAKE) -C $(2) M=$(O)/$(1) $(3) modules
	@cp $(2)/include/config/kernel.release $(O)/$(1)/release
endef

debug_options := CONFIG_ALTVM_KUNIT=y CONFIG_ALTVM_DEBUG=y

.PHONY: module module-host
module: module-$(HOST_NAME)

module-host: setup-build
	$(call build-module,host,$(KDIR))

module-debug: setup-debug

module-%: setup-build
	@tests/vm/kernel $* KDIR > /dev/null
	$(call build-module,$*,$$(tests/vm/kernel $* KDIR),$($*_options))

# The same with sparse looking at every file; for tests/style.sh.
.PHONY: build/sparse
build/sparse: setup-build
	$(call build-module,sparse,$$(tests/vm/kernel stock-6.12 KDIR),C=2)

# --- user space

.PHONY: lib preload tools examples user-tests fuzz-tools preload-tests bench-tools
.PHONY: conformance-tests
lib: setup-build
	$(MAKE) -C lib O=$(O)

examples: lib
	$(MAKE) -C $@ O=$(O)

preload tools: setup-build
	$(MAKE) -C $@ O=$(O)

user-tests: lib setup-vm
	$(MAKE) -C tests/user O=$(O) KSELFTEST_DIR=$(LINUX_SOURCE)/tools/testing/selftests

fuzz-tools: lib
	$(MAKE) -C tests/fuzz O=$(O)

preload-tests: preload tools setup-preload setup-vm
	$(MAKE) -C tests/preload O=$(O) KSELFTEST_DIR=$(LINUX_SOURCE)/tools/testing/selftests

conformance-tests: preload tools setup-conformance setup-vm
	$(MAKE) -C tests/conformance O=$(O) LINUX=$(LINUX_SOURCE)

bench-tools: lib
	$(MAKE) -C tests/bench O=$(O)

# --- running and testing, in a virtual machine

.PHONY: setup-build setup-vm setup-debug setup-style setup-lib setup-preload
.PHONY: setup-conformance conformance
.PHONY: run check kunit test durability bench style format selftest libtest
.PHONY: fuzz fuzztest
setup-build setup-vm setup-debug setup-style setup-lib setup-preload \
setup-conformance: setup-%:
	@tests/vm/setup $*

setup-vm setup-debug setup-style setup-lib setup-preload setup-conformance: \
	setup-build

run: setup-vm module-stock-6.12 lib examples
	tests/vm/run -- $(O)/examples/demo

kunit: setup-vm module-debug
	tests/vm/kunit

test: setup-vm $(KERNELS:%=module-%) lib examples user-tests fuzz-tools preload-tests \
		conformance-tests
	tests/vm/test-plan $(KERNELS)

# TESTS: patterns of names, as 'mm/*'; default: all.
conformance: setup-vm module-stock-6.12 conformance-tests
	tests/vm/run --timeout 7200 --swap 256M -- tests/conformance/run-all $(TESTS)

durability: setup-vm module-stock-6.12 user-tests
	tests/vm/durability

libtest: lib setup-lib
	$(MAKE) -C lib O=$(O) check

fuzztest: lib fuzz-tools
	tests/fuzz/check $(O)

# SECONDS is how long, SEED where to begin.
fuzz: SECONDS ?= 600
fuzz: SEED ?= $(shell date +%s)
fuzz: setup-vm module-stock-6.12 fuzz-tools
	tests/vm/run --timeout $$(($(SECONDS) + 600)) --env FUZZ_DISK=/mnt/ext4 -- \
		$(O)/tests/fuzz/fuzz --seed $(SEED) --seconds $(SECONDS)

selftest: setup-vm setup-debug
	tests/vm/selftest

bench: setup-vm $(KERNELS:%=module-%) bench-tools
	tests/bench/run

style: setup-style
	tests/style.sh

format: setup-style
	tests/style.sh --fix

check: setup-vm setup-debug setup-style setup-lib setup-preload setup-conformance
	tests/check

# --- installing

.PHONY: install insmod clean help
install: module lib preload tools
	@release=$$(cat $(O)/$(HOST_NAME)/release); \
	install -D -m 644 $(HOST_MODULE) $(DESTDIR)/lib/modules/$$release/updates/altvm.ko; \
	[ -n "$(DESTDIR)" ] || depmod $$release
	$(MAKE) -C lib O=$(O) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) install
	$(MAKE) -C preload O=$(O) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) install
	$(MAKE) -C tools O=$(O) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) install

insmod: module
	! grep -q '^altvm ' /proc/modules || rmmod altvm
	insmod $(HOST_MODULE)

clean:
	rm -rf $(O)

help:
	@echo 'make            the module, the library, the tools and the examples'
	@echo '                (KDIR= for a kernel: $(or $(KDIR),stock-6.12 from the cache))'
	@echo 'make run        boot a virtual machine and run a demo in it'
	@echo 'make check      every test there is; ends with "N passed, N failed"'
	@echo 'make kunit      the unit tests inside the kernel'
	@echo 'make test       the user-space tests (KERNELS="$(KERNELS)")'
	@echo 'make conformance other people'"'"'s tests, natively and under altvm (TESTS=)'
	@echo 'make durability what msync has written survives a power failure'
	@echo 'make libtest    the tests of the library that need no module'
	@echo 'make fuzztest   the tests of the fuzzer that need no module'
	@echo 'make fuzz       random scripts natively and on altvm (SECONDS=600, SEED=)'
	@echo 'make selftest   the tests of the virtual machine runner'
	@echo 'make bench      the benchmarks'
	@echo 'make style      checkpatch, sparse, clang-format, shellcheck'
	@echo 'make format     let clang-format rewrite the C files'
	@echo 'make install    module and library (PREFIX=$(PREFIX), DESTDIR=)'
	@echo 'make insmod     load the module into the running kernel'
	@echo 'make clean      remove build/'
