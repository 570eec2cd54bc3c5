# hakmem: `make run` shows what it does, `make test` proves it. `make help` lists everything.

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
CLANG ?= clang
BUILD ?= build

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
# The library must not have its own malloc recognised and rewritten; exceptions pass through
# operator new; every frame can be unwound.
BASE_CFLAGS := -std=c11 -D_GNU_SOURCE -O2 -g -fPIC -fvisibility=hidden -ftls-model=initial-exec \
               -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free \
               -fexceptions -fno-plt -ffunction-sections -fdata-sections -Iinclude -Isrc $(WARNINGS)
BENCH_CFLAGS := -std=c11 -D_GNU_SOURCE -O2 -g $(WARNINGS) -pthread -fno-builtin
TEST_CFLAGS := -std=c11 -D_GNU_SOURCE -O2 -g $(WARNINGS) -pthread -fno-builtin
TEST_CXXFLAGS := -std=c++17 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wpedantic -Wshadow -Werror \
                 -pthread -fno-builtin

SOURCES := $(wildcard src/*.c)
HEADERS := $(wildcard src/*.h src/*.def include/*.h)
# The exported names; everything else is the core, which tests link beside libc's malloc.
SURFACE := src/override.c src/operators.c src/deepbind.c
CORE := $(filter-out $(SURFACE),$(SOURCES))

OBJECTS := $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
BENCHES := $(filter-out $(BUILD)/bench/compare%,$(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c)))
BENCH_PROGRAMS := $(BENCHES) $(BUILD)/bench/containers $(BUILD)/bench/compare

.DELETE_ON_ERROR:
.PHONY: all help run bench bench-memory test unit model misuse matrix matrix-list misuse-matrix api hardened stress preload tools sanitize count \
        check-object check-layout check-exports check-layers check-options options layout check-format tidy clang-build deps install clean

all: libhakmem.so libhakmem.a ## build the libraries (the default)

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- The libraries -------------------------------------------------------------------------

$(BUILD)/obj/%.o: src/%.c $(HEADERS) Makefile
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(BASE_CFLAGS) $(CFLAGS) -c $< -o $@

LINK := -shared -Wl,--version-script=src/exports.map -Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete \
        -Wl,--no-undefined -Wl,-soname,libhakmem.so
# For linkers of which layout.sh can tell the script.
LAYOUT := -Wl,-z,separate-code -Wl,-z,max-page-size=65536

libhakmem.so: $(OBJECTS) src/exports.map src/layout.txt scripts/layout.sh
	@echo "  LINK $@"
	@scripts/layout.sh script src/layout.txt "$(OBJECTS)" $(CC) $(CFLAGS) $(LINK) $(LAYOUT) >$(BUILD)/layout.ld
	@layout=; test ! -s $(BUILD)/layout.ld || layout="$(LAYOUT) -Wl,-T,$(BUILD)/layout.ld"; \
	    $(CC) $(BASE_CFLAGS) $(CFLAGS) $(LINK) $$layout -o $@ $(OBJECTS) -lpthread

libhakmem.a: $(OBJECTS)
	@echo "  AR   $@"
	@rm -f $@
	@$(AR) rcs $@ $(OBJECTS)

# ---- Benchmarks ----------------------------------------------------------------------------

$(BUILD)/bench/%: bench/%.c $(wildcard bench/*.h) Makefile
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(BENCH_CFLAGS) -o $@ $<

$(BUILD)/bench/containers: bench/containers.cc Makefile
	@mkdir -p $(@D)
	@echo "  CXX  $@"
	@if command -v $(CXX) >/dev/null; then \
	    $(CXX) -std=c++17 -O2 -g -Wall -Wextra -Werror -o $@ $<; fi

$(BUILD)/bench/compare: $(wildcard bench/compare*.c) $(wildcard bench/*.h) Makefile
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(BENCH_CFLAGS) -o $@ $(wildcard bench/compare*.c) -lm

run: libhakmem.so $(BENCH_PROGRAMS) ## run programs and benchmarks beside the system's malloc
	@$(BUILD)/bench/compare --quick --rounds 3 --lib hakmem=$(CURDIR)/libhakmem.so

# PEERS=dir: every NAME.so in it; BENCH=dir: the programs of mimalloc-bench; ARGS: for compare.
bench: libhakmem.so $(BENCH_PROGRAMS) ## measure beside all allocators found (PEERS=dir BENCH=dir)
	@PEERS="$(PEERS)" BENCH="$(BENCH)" scripts/bench.sh $(BUILD)/bench/compare \
	    --csv $(BUILD)/bench.csv --html $(BUILD)/bench.html $(ARGS)

bench-memory: libhakmem.so $(BENCH_PROGRAMS) ## RSS over time beside all allocators found (PEERS=dir)
	@PEERS="$(PEERS)" scripts/bench.sh $(BUILD)/bench/compare --memory \
	    --csv $(BUILD)/bench-memory.csv --samples $(BUILD)/bench-memory-samples.csv \
	    --svg $(BUILD)/bench-memory.svg $(ARGS)

# ---- Tests ---------------------------------------------------------------------------------

TESTS := check-format check-layers check-options check-exports check-object check-layout unit api misuse matrix stress hardened \
         preload tools count model sanitize clang-build
test: deps all $(TESTS) ## run every test
	@echo "all tests passed"

deps: ## install what the tests need, or say how
	@scripts/deps.sh

# All of them link one core, compiled once.
UNIT_CORE := $(CORE:src/%.c=$(BUILD)/unit/core/%.o)
.SECONDARY: $(UNIT_CORE)
$(BUILD)/unit/core/%.o: src/%.c $(HEADERS) Makefile
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(BASE_CFLAGS) -DHAK_DEBUG=3 -c $< -o $@

$(BUILD)/unit/%: tests/unit/%.c $(wildcard tests/unit/*.h) $(UNIT_CORE)
	@echo "  CC   $@"
	@$(CC) $(BASE_CFLAGS) -DHAK_DEBUG=3 -Itests/unit -o $@ $< $(UNIT_CORE) -lcmocka -lpthread

UNITS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
unit: deps $(UNITS) ## unit tests of each module, with a system that fails on demand
	@scripts/run-units.sh $(UNITS)

# The core with its atomics made points of a scheduler, and copies of it with one bug planted in each.
# MODEL="--bound 4 --seconds 300" searches deeper.
MODEL ?=
MODEL_CFLAGS := -std=c11 -D_GNU_SOURCE -O2 -g $(WARNINGS) -Iinclude -Isrc -Itests/model
MODEL_CORE_CFLAGS := -std=c11 -D_GNU_SOURCE -O1 -fno-builtin -Iinclude -Itests/model -DHAK_DEBUG=2 \
                     -include points.h
MODEL_WRAPPED := abort pthread_key_create pthread_setspecific pthread_atfork hak_os_random \
                 hak_os_thread_id hak_meta_alloc
MODEL_LDFLAGS := -no-pie -Wl,-z,now $(MODEL_WRAPPED:%=-Wl,--wrap=%)
MODEL_OBJECTS := $(patsubst tests/model/%.c,$(BUILD)/model/%.o,$(wildcard tests/model/*.c))
MODEL_CORE_OBJECTS := $(CORE:src/%.c=$(BUILD)/model/core/%.o)
MUTANTS := $(patsubst tests/model/mutants/%,$(BUILD)/model/%/model,$(wildcard tests/model/mutants/*))

# These two use the core's atomics as the core does.
$(BUILD)/model/toys.o $(BUILD)/model/lock_scenario.o: MODEL_CFLAGS += -include points.h -include atomic.h
$(BUILD)/model/%.o: tests/model/%.c $(wildcard tests/model/*.h) $(HEADERS) Makefile
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(MODEL_CFLAGS) -c $< -o $@

$(BUILD)/model/core/%.o: src/%.c $(HEADERS) tests/model/points.h Makefile
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(MODEL_CORE_CFLAGS) -Isrc -c $< -o $@

$(BUILD)/model/core/model: $(MODEL_OBJECTS) $(MODEL_CORE_OBJECTS)
	@echo "  LINK $@"
	@$(CC) $(MODEL_LDFLAGS) -o $@ $^ -lpthread

$(BUILD)/model/%/model: tests/model/mutants/% $(BUILD)/model/core/model scripts/mutate.sh
	@echo "  CC   $@"
	@scripts/mutate.sh $< src $(BUILD)/model/core $(@D) $(CC) $(MODEL_CORE_CFLAGS)
	@$(CC) $(MODEL_LDFLAGS) -o $@ $(MODEL_OBJECTS) $(@D)/*.o -lpthread

model: $(BUILD)/model/core/model $(MUTANTS) ## every order in which threads can meet; planted bugs must be found
	@scripts/model.sh $(BUILD)/model $(MODEL)

PROGRAMS = $(patsubst tests/$(1)/%,$(BUILD)/tests/$(1)/%,$(basename $(wildcard tests/$(1)/*.c tests/$(1)/*.cc)))
LIBRARIES = $(patsubst tests/$(1)/%.c,$(BUILD)/tests/$(1)/%.so,$(wildcard tests/$(1)/lib_*.c))

$(BUILD)/tests/%.so: tests/%.c Makefile
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(TEST_CFLAGS) -fPIC -shared -o $@ $<

$(BUILD)/tests/%: tests/%.c $(wildcard tests/*/*.h) Makefile
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(TEST_CFLAGS) -o $@ $< '-Wl,-rpath,$$ORIGIN' -ldl

$(BUILD)/tests/%: tests/%.cc $(wildcard tests/*/*.h) Makefile
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CXX) $(TEST_CXXFLAGS) -o $@ $< '-Wl,-rpath,$$ORIGIN' -ldl

API_PROGRAMS := $(filter-out $(BUILD)/tests/api/lib_%,$(call PROGRAMS,api)) $(call LIBRARIES,api)
api: libhakmem.so $(API_PROGRAMS) ## corner semantics of every exported function
	@tests/api/run.sh libhakmem.so $(BUILD)/tests/api

misuse: libhakmem.so $(call PROGRAMS,misuse) ## each wrong free: one line, then SIGABRT
	@tests/misuse/run.sh libhakmem.so $(BUILD)/tests/misuse

# What of the misuse matrix hakmem catches is kept in a list, which `make matrix-list` writes anew.
MATRIX := tests/misuse/matrix
$(BUILD)/tests/misuse/matrix: $(wildcard $(MATRIX)/*.cc $(MATRIX)/*.h) Makefile
	@mkdir -p $(@D)
	@echo "  CXX  $@"
	@$(CXX) $(filter-out -O2,$(TEST_CXXFLAGS)) -O1 -o $@ $(wildcard $(MATRIX)/*.cc)

matrix: libhakmem.so $(BUILD)/tests/misuse/matrix ## each misuse in a program that goes on: what was caught still is
	@scripts/misuse-matrix.sh $(BUILD)/tests/misuse/matrix libhakmem.so --check $(MATRIX)/caught.txt

matrix-list: libhakmem.so $(BUILD)/tests/misuse/matrix ## write the list of what is caught
	@scripts/misuse-matrix.sh $(BUILD)/tests/misuse/matrix libhakmem.so --write $(MATRIX)/caught.txt

# PEERS=dir: every NAME.so in it; ARGS: --runs N, --markdown FILE.
misuse-matrix: libhakmem.so $(BUILD)/tests/misuse/matrix ## what glibc and others catch beside hakmem (PEERS=dir)
	@PEERS="$(PEERS)" scripts/misuse-matrix.sh $(BUILD)/tests/misuse/matrix libhakmem.so $(ARGS)

# The others take long in that mode: HARDENED_STRESS= runs them all. The two API tests that are left out are about
# what the mode has not: stamps, samples.
HARDENED_STRESS ?= stress cancel_steps fork_steps late_threads many_threads
hardened: libhakmem.so $(API_PROGRAMS) $(call PROGRAMS,misuse) $(call PROGRAMS,stress) ## the same in the hardened mode
	@HAKMEM_HARDEN=1 tests/misuse/run.sh libhakmem.so $(BUILD)/tests/misuse
	@HAKMEM_HARDEN=1 API_SKIP="test_false_alarms test_guard_sample" tests/api/run.sh libhakmem.so $(BUILD)/tests/api
	@HAKMEM_HARDEN=1 STRESS_ONLY="$(HARDENED_STRESS)" tests/stress/run.sh libhakmem.so $(BUILD)/tests/stress 1

SECONDS_EACH ?= 3
stress: libhakmem.so $(call PROGRAMS,stress) ## threads, churn, forks, exits, with verified contents and bounded memory
	@tests/stress/run.sh libhakmem.so $(BUILD)/tests/stress $(SECONDS_EACH)

preload: libhakmem.so ## unmodified programs: the same output as without hakmem
	@tests/preload/run.sh libhakmem.so

tools: libhakmem.so $(call PROGRAMS,tools) $(BENCH_PROGRAMS) ## the commands in scripts/ that users run
	@tests/tools/run.sh libhakmem.so $(BUILD)/tests/tools

$(BUILD)/stress-%: tests/stress/stress.c $(wildcard tests/stress/*.h) $(CORE) $(HEADERS) Makefile
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(filter-out -O2,$(BASE_CFLAGS)) -O1 -fno-omit-frame-pointer -fsanitize=$* -DHAK_CORE \
	    -o $@ $< $(CORE) -lpthread

sanitize: $(BUILD)/stress-address $(BUILD)/stress-undefined $(BUILD)/stress-thread ## stress the core under sanitizers
	@scripts/sanitize.sh $(BUILD) $(SECONDS_EACH)

count: libhakmem.so $(BUILD)/bench/count_loops ## instructions per malloc+free pair; fails above 40
	@scripts/count.sh $(BUILD)/bench/count_loops libhakmem.so

LAYOUT_PROGRAMS := "true" "sed -n 1p Makefile" "bash -c (true);(true);:" "cat Makefile" "sort Makefile" "ls -l /usr/bin" \
    "fixed_size 64 10000" "waves 64 1000 20" "random_mixed 100000 4096 7" "replace 100000 4096 7 16 527" \
    "large_blocks 1000 64 7 32768 1048576" "containers 1" "thread_churn 200 100" "worker_pool 0.2 4 7" \
    "producer_consumer 0.2 1 64" "larson 1 8 1000 5000 100 4141 2"
layout: libhakmem.so $(BENCH_PROGRAMS) ## write the order of functions in the library, src/layout.txt
	@PATH="$(BUILD)/bench:$$PATH" scripts/layout.sh list libhakmem.so src/layout.txt $(LAYOUT_PROGRAMS)

check-layout: libhakmem.so $(BENCH_PROGRAMS) ## how much of the library programs map
	@PATH="$(BUILD)/bench:$$PATH" scripts/layout.sh check libhakmem.so "fixed_size 64 1000000000" \
	    "waves 64 1000 1000000" "producer_consumer 20 1 64" "random_mixed 1000000000 4096 7" "larson 20 8 1000 5000 100 4141 2"

check-object: libhakmem.so ## hit paths: no stack frame, no lock prefix, no call
	@scripts/check-object.sh libhakmem.so

check-exports: libhakmem.so ## the exported names are those of src/exports.map
	@scripts/check-exports.sh libhakmem.so src/exports.map


check-layers: ## files include lower floors only
	@scripts/check-layers.sh src/LAYERS src

check-options: ## the README's table of options is that of src/options.def
	@scripts/options.sh $(CC) src/options.def README.md

options: ## write the README's table of options
	@scripts/options.sh $(CC) src/options.def README.md --write

clang-build: ## the same sources, warnings as errors, under clang
	@scripts/clang-build.sh $(CLANG) "$(BASE_CFLAGS)" $(SOURCES)

check-format: ## formatting by .clang-format
	@scripts/check-format.sh $(wildcard src/*.c src/*.h include/*.h)

tidy: ## clang-tidy by .clang-tidy
	clang-tidy --quiet $(SOURCES) -- $(BASE_CFLAGS)

# ---- Installing ----------------------------------------------------------------------------

PREFIX ?= /usr/local
TOOLS := $(wildcard $(addprefix scripts/,hakmem hakmem-report hakmem-top))
install: all ## install under PREFIX
	install -d $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/bin
	install -m 755 libhakmem.so $(DESTDIR)$(PREFIX)/lib/
	install -m 644 libhakmem.a $(DESTDIR)$(PREFIX)/lib/
	install -m 644 include/hakmem.h $(DESTDIR)$(PREFIX)/include/
	install -m 755 $(TOOLS) $(DESTDIR)$(PREFIX)/bin/

clean: ## remove what was built
	rm -rf $(BUILD) libhakmem.so libhakmem.a
