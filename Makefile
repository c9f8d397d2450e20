# mockcloud: `make` builds, `make help` explains.

CC        ?= gcc
PREFIX    ?= /usr/local
SANITIZE  ?=
WERROR    ?= -Werror

# Which layers are compiled into the library and which unit tests run: while one layer is being worked
# on, `make test-unit LAYERS=base TESTS='tests/unit/test_base_*.c'` needs no other to compile.
LAYERS    ?= base store sim backend api cli
TESTS     ?= tests/unit/test_*.c

FUZZ_SECONDS ?= $(if $(FULL),60,5)
FUZZERS      ?= tests/fuzz/fuzz_*.c
SIMULATION_STEPS ?= $(if $(FULL),1000000,100000)
STEPS        ?= 10000000
DURATION     ?= 0
KILLS        ?= $(if $(FULL),200,20)
PYTEST_ARGS  ?=
SEED         ?=
RANDOM_SEED   = $(if $(SEED),--random-seed=$(SEED))
GO_TEST_ARGS ?=

export STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# ---- flags --------------------------------------------------------------------------------------

ifeq ($(SANITIZE),)
BUILD     ?= build
OPTIMIZE  ?= -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong
else ifeq ($(SANITIZE),address)
BUILD     ?= build-asan
OPTIMIZE  ?= -O1 -fno-omit-frame-pointer
SAN_FLAGS  = -fsanitize=address,undefined -fno-sanitize-recover=undefined
else ifeq ($(SANITIZE),thread)
BUILD     ?= build-tsan
OPTIMIZE  ?= -O1 -fno-omit-frame-pointer
SAN_FLAGS  = -fsanitize=thread
else ifeq ($(SANITIZE),fuzz)
BUILD     ?= build-fuzz
CC         = clang
OPTIMIZE  ?= -O1 -fno-omit-frame-pointer
SAN_FLAGS  = -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
# the warnings that clang has beyond gcc's are clang-tidy's business
WARNINGS   = -w
else
$(error SANITIZE is address, thread or fuzz, not "$(SANITIZE)")
endif

PACKAGES = libmicrohttpd jansson sqlite3 uuid libcurl yaml-0.1
# asked once and only when something is compiled, so that `make deps` and `make help` run without them
PACKAGE_CFLAGS = $(eval PACKAGE_CFLAGS := $$(shell pkg-config --cflags $(PACKAGES)))$(PACKAGE_CFLAGS)
PACKAGE_LIBS = $(eval PACKAGE_LIBS := $$(shell pkg-config --libs $(PACKAGES)))$(PACKAGE_LIBS)

WARNINGS ?= -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
           -Wno-format-nonliteral $(WERROR)
CFLAGS   = -std=c11 -D_GNU_SOURCE -I. -g -pthread -fPIE $(OPTIMIZE) $(SAN_FLAGS) $(WARNINGS) \
           $(PACKAGE_CFLAGS) $(CFLAGS_EXTRA)
LDFLAGS  = -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed $(SAN_FLAGS) $(LDFLAGS_EXTRA)
LIBS     = $(PACKAGE_LIBS) -lm

# ---- files --------------------------------------------------------------------------------------

SOURCES  := $(sort $(wildcard $(LAYERS:%=%/*.c)))
HEADERS  := $(sort $(wildcard $(LAYERS:%=%/*.h)))
MAIN     := cli/main.c
OBJECTS   = $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(MAIN),$(SOURCES)))
# named after its layers: one of fewer must not pass for the whole
LIBRARY   = $(BUILD)/lib$(subst $() ,-,$(LAYERS)).a
SIMULATION_SOURCES := $(sort $(wildcard tests/simulation/*.c))
# a disk that fails on order, for unit tests too
DISK          = $(BUILD)/tests/simulation/disk.o
SIMULATION    = $(BUILD)/tests/simulation/simulation
UNIT_SOURCES := $(sort $(wildcard $(TESTS)))
UNIT_TESTS    = $(patsubst %.c,$(BUILD)/%,$(UNIT_SOURCES))
FUZZ_SOURCES := $(sort $(wildcard $(FUZZERS)))
FUZZ_TARGETS  = $(patsubst %.c,$(BUILD)/%,$(FUZZ_SOURCES))
C_FILES       = $(SOURCES) $(HEADERS) $(wildcard tests/*/*.c tests/*/*.h)
SHELL_FILES   = $(shell grep -lIE '^\#!.*\b(ba)?sh\b' $$(git ls-files 2>/dev/null) 2>/dev/null)

GO        = $(eval GO := $$(shell scripts/deps --go-path))$(GO)
PYTHON    = $(eval PYTHON := $$(shell scripts/deps --python-path))$(PYTHON)
GO_IN     = cd ccm-plugin && env PATH="$(dir $(GO)):$$PATH"

# as many jobs as cores, unless a make above us has decided
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2) --no-print-directory
endif

export BUILD_ROOT := $(CURDIR)
export UBSAN_OPTIONS ?= print_stacktrace=1

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

# ---- building -----------------------------------------------------------------------------------

.PHONY: all
all: $(BUILD)/mockcloud ## build the server and CLI into build/mockcloud

$(BUILD)/mockcloud: $(BUILD)/cli/main.o $(LIBRARY)
	$(call say,link,$@)$(CC) $(LDFLAGS) -o $@ $< $(LIBRARY) $(LIBS)

$(LIBRARY): $(OBJECTS)
	$(call say,ar,$@)rm -f $@ && $(AR) rcs $@ $(OBJECTS)

$(BUILD)/%.o: %.c
	$(call say,cc,$<)mkdir -p $(@D) && $(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# the document is embedded by .incbin, which -MMD does not see
$(BUILD)/api/openapi_json.o: api/openapi.json

-include $(SOURCES:%.c=$(BUILD)/%.d) $(UNIT_SOURCES:%.c=$(BUILD)/%.d) $(FUZZ_SOURCES:%.c=$(BUILD)/%.d) \
         $(SIMULATION_SOURCES:%.c=$(BUILD)/%.d)

# V=1 shows the commands themselves
ifeq ($(V),)
say = @printf '  %-5s %s\n' '$(1)' '$(2)';
endif

.PHONY: plugin
plugin: ## build the Go programs (mockcloud-ccm, mockcloud-nodes) into build/
	@mkdir -p build
	$(GO_IN) "$(GO)" build -o ../build/ ./cmd/...

.PHONY: images
images: ## container images of server, CCM and CNI helper, from the local toolchain (TAG=dev)
	@scripts/deps build go
	@scripts/images --tag $(or $(TAG),dev)

.PHONY: asan
asan: ## build with AddressSanitizer and UBSan into build-asan/
	@$(MAKE) SANITIZE=address all

.PHONY: deps
deps: ## install whatever is missing to build, test, lint and measure (DEPS=skip: nothing)
	scripts/deps build test lint bench go

.PHONY: deps-build
deps-build:
	@scripts/deps build

.PHONY: install
install: all ## install program, man page and completions under DESTDIR and PREFIX
	install -D -m 755 $(BUILD)/mockcloud $(DESTDIR)$(PREFIX)/bin/mockcloud
	install -D -m 644 docs/mockcloud.1 $(DESTDIR)$(PREFIX)/share/man/man1/mockcloud.1
	install -D -m 644 cli/completion/mockcloud.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mockcloud
	install -D -m 644 cli/completion/_mockcloud $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_mockcloud

.PHONY: clean
clean: ## remove everything that was built
	rm -rf build build-asan build-tsan build-fuzz

# ---- running ------------------------------------------------------------------------------------

.PHONY: run
run: ## start the whole of it: cloud, control plane, CCM, nodes (DEMO=script: play the tour and exit)
	@scripts/deps build go
	@$(MAKE) all plugin
	@scripts/run

# ---- tests --------------------------------------------------------------------------------------

TEST_PARTS      = test-unit test-simulation test-api test-backend test-crash test-scripts test-helpers test-plugin test-metadata test-e2e fuzz
TEST_FULL_PARTS = lint $(TEST_PARTS) test-e2e-uncached tsan
# .ci/run names here what it has just seen pass and a longer run would only repeat
ALREADY        ?=

.PHONY: test
test: ## what a person runs: every kind of test, at most 10 minutes
	@scripts/deps build test go
	@MAKE="$(MAKE)" scripts/timed $(TEST_PARTS)

.PHONY: test-full
test-full: ## everything, at length: 200 kills, fuzzers 60 s each, TSan, lint
	@scripts/deps build test lint go
	@MAKE="$(MAKE)" FULL=1 scripts/timed $(filter-out $(ALREADY),$(TEST_FULL_PARTS))

.PHONY: test-unit
test-unit: ## C unit tests (cmocka) with ASan and UBSan
	@$(MAKE) SANITIZE=address run-unit-tests

.PHONY: run-unit-tests
run-unit-tests: $(UNIT_TESTS)
	@test -n "$(UNIT_TESTS)" || { echo 'no unit test was found' >&2; exit 1; }
	@failed=; for test in $(UNIT_TESTS); do \
	    echo "-- $${test##*/}"; ./$$test || failed="$$failed $${test##*/}"; done; \
	echo "$(words $(UNIT_TESTS)) unit test programs, failed:$${failed:- none}"; test -z "$$failed"

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(DISK) $(LIBRARY)
	$(call say,link,$@)$(CC) $(LDFLAGS) -o $@ $< $(DISK) $(LIBRARY) $(LIBS) -lcmocka

.PHONY: test-simulation
test-simulation: ## random changes, crashes and failing disks against a model: SIMULATION_STEPS (100000; 1 million in test-full), SEED
	@$(MAKE) run-simulation
	@$(MAKE) SANITIZE=address SIMULATION_STEPS=$$(($(SIMULATION_STEPS) / 20)) run-simulation

.PHONY: run-simulation
run-simulation: $(SIMULATION)
	@scripts/simulate $(SIMULATION) $(SIMULATION_STEPS)
	@$(SIMULATION) --repeat 20 --steps $(if $(SANITIZE),200,2000) $(if $(SEED),--seed $(SEED))

.PHONY: soak
soak: $(SIMULATION) ## the simulation for as long as you like: STEPS (10 million), or DURATION seconds; SEED
	@scripts/simulate $(SIMULATION) $(STEPS) $(DURATION)

$(SIMULATION): $(SIMULATION_SOURCES:%.c=$(BUILD)/%.o) $(LIBRARY)
	$(call say,link,$@)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIBRARY) $(LIBS)

.PHONY: test-api
test-api: ## black-box API and CLI tests (pytest) against the ASan build
	@$(MAKE) SANITIZE=address all
	MOCKCLOUD_BIN=$(CURDIR)/build-asan/mockcloud "$(PYTHON)" -m pytest -rsfE $(if $(FULL),--full) $(RANDOM_SEED) $(PYTEST_ARGS) tests/api tests/cli

.PHONY: test-backend
test-backend: ## the docker backend on a fake engine and, where one answers, on a real one
	@$(MAKE) SANITIZE=address all
	MOCKCLOUD_BIN=$(CURDIR)/build-asan/mockcloud "$(PYTHON)" -m pytest -rsfE $(PYTEST_ARGS) tests/backend

.PHONY: tsan
tsan: ## the API tests against the ThreadSanitizer build
	@$(MAKE) SANITIZE=thread all
	MOCKCLOUD_BIN=$(CURDIR)/build-tsan/mockcloud TSAN_OPTIONS=exitcode=66:halt_on_error=0 \
	    "$(PYTHON)" -m pytest -rsfE $(RANDOM_SEED) $(PYTEST_ARGS) tests/api

.PHONY: test-crash
test-crash: ## kill -9 under a write load, KILLS times (20; 200 in test-full)
	@$(MAKE) all
	MOCKCLOUD_BIN=$(CURDIR)/build/mockcloud KILLS=$(KILLS) "$(PYTHON)" -m pytest -rsfE -s $(PYTEST_ARGS) tests/crash

.PHONY: test-scripts
test-scripts: ## tests of the shell scripts
	@$(MAKE) all plugin
	@set -- tests/scripts/test_*.sh; test -e "$$1" || { echo 'no script test was found' >&2; exit 1; }; \
	for test in "$$@"; do echo "-- $${test##*/}"; ./$$test || exit 1; done; echo "$$# script test files passed"

.PHONY: test-helpers
test-helpers: ## what others' CI uses: the pytest plugin (the Go helper's examples are in test-plugin)
	@$(MAKE) all
	MOCKCLOUD_BIN=$(CURDIR)/build/mockcloud PYTHONPATH=python "$(PYTHON)" -m pytest -p pytest_mockcloud $(PYTEST_ARGS) python/tests

.PHONY: test-plugin
test-plugin: ## vet and test the Go plugin with the race detector, contract tests on the real server
	@$(MAKE) all
	$(GO_IN) "$(GO)" vet ./...
	$(GO_IN) MOCKCLOUD_BIN=$(CURDIR)/build/mockcloud "$(GO)" test -race $(GO_TEST_ARGS) $$("$(GO)" list ./... | grep -v /e2e$$)

.PHONY: test-metadata
test-metadata: ## the metadata service, driven by the clouds' own client libraries
	@$(MAKE) all
	cd tests/metadata && env PATH="$(dir $(GO)):$$PATH" "$(GO)" vet ./...
	cd tests/metadata && env PATH="$(dir $(GO)):$$PATH" MOCKCLOUD_BIN=$(CURDIR)/build/mockcloud "$(GO)" test -race -count=1 $(GO_TEST_ARGS) ./...

E2E = MOCKCLOUD_BIN=$(CURDIR)/build/mockcloud MOCKCLOUD_CCM_BIN=$(CURDIR)/build/mockcloud-ccm \
      $(1) "$(GO)" test -v -count=1 -timeout 40m $(GO_TEST_ARGS) ./e2e/

.PHONY: test-e2e
test-e2e: ## end to end on a real control plane
	@$(MAKE) all plugin
	$(GO_IN) $(call E2E)

.PHONY: test-e2e-uncached
test-e2e-uncached: ## the same with the plugin's cache off
	@$(MAKE) all plugin
	$(GO_IN) $(call E2E,MOCKCLOUD_E2E_CACHE=none)

.PHONY: test-kind
test-kind: ## end to end on real kind clusters (needs a Docker engine and kind; KIND_NODE_IMAGE names the node image)
	@scripts/deps build test go
	@$(MAKE) all
	MOCKCLOUD_BIN=$(CURDIR)/build/mockcloud "$(PYTHON)" -m pytest -rsfE -s -x $(PYTEST_ARGS) tests/kind

.PHONY: fuzz
fuzz: ## run every libFuzzer target for FUZZ_SECONDS (5; 60 in test-full)
	@$(MAKE) SANITIZE=fuzz run-fuzzers

.PHONY: run-fuzzers
run-fuzzers: $(FUZZ_TARGETS)
	@scripts/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(LIBRARY)
	$(call say,link,$@)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(LIBRARY) $(LIBS)

.PHONY: bench
bench: ## the benchmarks of docs/BENCHMARKS.md, both sides in one run
	@scripts/deps build test bench go
	@$(MAKE) all plugin
	tests/bench/run
	tests/bench/ccm --write

# ---- looking at the code ------------------------------------------------------------------------

.PHONY: lint
lint: ## clang-tidy, cppcheck, go vet, staticcheck, shellcheck, formats, direction of includes
	@MAKE="$(MAKE)" scripts/timed format-check check-includes lint-c lint-shell lint-go

.PHONY: check-includes
check-includes:
	scripts/check-includes

# varFuncNullUB: NULL is a pointer in every C library we build with. shiftTooManyBitsSigned: arithmetic
# in every compiler. autoVariables: who waits for the writer lends it a piece of the own stack.
CPPCHECK_SUPPRESS = missingIncludeSystem varFuncNullUB shiftTooManyBitsSigned autoVariables

# jansson's loops, which cppcheck does not know
CPPCHECK_MACROS = -D'json_array_foreach(array,index,value)=for (index = 0; (value = json_array_get(array, index)); index++)' \
    -D'json_object_foreach(object,key,value)=for (key = ""; (value = json_object_get(object, key));)'

# A clang-tidy for each file: with more than one, names of the file before are taken for va_start and
# va_end by chance (llvm/llvm-project#40656).
.PHONY: lint-c
lint-c:
	@mkdir -p build
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	    $(CPPCHECK_SUPPRESS:%=--suppress=%) --error-exitcode=1 $(CPPCHECK_MACROS) -D__GNUC__ -I. -j$$(nproc) $(SOURCES)
	@printf '%s\n' $(SOURCES) | xargs -P$$(nproc) -I{} \
	    clang-tidy --quiet {} -- -std=c11 -D_GNU_SOURCE -I. $(PACKAGE_CFLAGS) 2>/dev/null
	@echo "$(words $(SOURCES)) C files examined"

.PHONY: lint-shell
lint-shell:
	shellcheck -x $(SHELL_FILES)
	@echo "$(words $(SHELL_FILES)) shell files examined"

.PHONY: lint-go
lint-go:
	$(GO_IN) "$(GO)" vet ./...
	$(GO_IN) "$(GO)" run $(STATICCHECK) ./...

.PHONY: format
format: ## put C and Go into the house format
	clang-format -i $(C_FILES)
	$(GO_IN) gofmt -w .

.PHONY: format-check
format-check: ## fail if a C or Go file is not in the house format
	clang-format --dry-run -Werror $(C_FILES)
	@bad=$$($(GO_IN) gofmt -l .) && if test -n "$$bad"; then echo "not gofmt'ed: $$bad" >&2; exit 1; fi
	@echo "$(words $(C_FILES)) C files are in the house format"

.PHONY: help
help: ## this list
	@echo 'mockcloud: make TARGET [VARIABLE=value]'; echo
	@sed -n 's/^\([a-z0-9-]*\):.* ## \(.*\)/  \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
	@echo; echo 'Variables: CC, CFLAGS_EXTRA, BUILD, PREFIX, DESTDIR, SANITIZE=address|thread|fuzz, V=1, DEPS=skip,'
	@echo '  FUZZ_SECONDS, KILLS, SIMULATION_STEPS, STEPS, DURATION, SEED, PYTEST_ARGS, GO_TEST_ARGS, LAYERS and TESTS (to compile and test one layer)'
