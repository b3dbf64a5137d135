# SPDX-License-Identifier: ISC
#
# The one makefile of Reeve. Everything that is built lands under build/<profile>/.
#
#   make                    reeved, release profile
#   make run                installs what is missing, builds, runs reeved in the foreground with
#                           its state under build/run/ (CONFIG=FILE for another configuration)
#   make check              the tests; make ci adds lint and static analysis
#   make unit LAYER=mail    one layer's unit tests (FILTER='suite/test*' narrows further)
#   make help               the rest
#
# PROFILE is release, asan or fuzz; CC may be gcc (default) or clang; V=1 shows the commands,
# LTO=no leaves out link-time optimisation.
# Sources are found by wildcard: a layer is a folder, and a folder that is missing or empty is fine.

VERSION := 0.1.0
PROFILE ?= release
PREFIX ?= /usr
SYSCONFDIR ?= /etc
FUZZ_SECONDS ?= 30

SHELL := /bin/sh
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

DEFAULT_CC := $(if $(filter fuzz,$(PROFILE)),clang,gcc)
ifeq ($(origin CC),default)
CC := $(DEFAULT_CC)
endif
CC_NAME := $(notdir $(firstword $(CC)))
BUILD := build/$(PROFILE)$(if $(filter $(DEFAULT_CC),$(CC_NAME)),,-$(CC_NAME))

V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)";)

NPROC := $(shell nproc 2>/dev/null || echo 2)
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(NPROC))

# ---- layers, lowest first ------------------------------------------------------------------

LAYERS := common config mail counting dns store bans engine rules loop server feeds operate ctl

SRC_common := $(wildcard common/*.c)
SRC_config := $(wildcard config/*.c)
$(foreach l,mail counting dns bans engine rules loop server feeds operate,\
	$(eval SRC_$(l) := $(wildcard daemon/$(l)/*.c)))
SRC_store := $(wildcard daemon/store/*.c daemon/store/*/*.c)
SRC_ctl := $(filter-out daemon/ctl/main.c,$(wildcard daemon/ctl/*.c daemon/ctl/*/*.c))
SRC_reeved := $(wildcard daemon/*.c)
SRC_reevectl := $(wildcard daemon/ctl/main.c)
SRC_fake := $(wildcard tests/fake/*.c)

# What a layer's tests are linked with. Rules and engine know each other through engine/rule.h.
WITH_common := common
WITH_config := $(WITH_common) config
WITH_mail := $(WITH_config) mail
WITH_counting := $(WITH_mail) counting
WITH_dns := $(WITH_counting) dns
WITH_store := fake $(WITH_dns) store
WITH_bans := $(WITH_store) bans
WITH_engine := $(WITH_bans) engine rules
WITH_rules := $(WITH_engine)
WITH_loop := $(WITH_engine) loop
WITH_server := $(WITH_loop) server
WITH_feeds := $(WITH_server) feeds
WITH_operate := $(WITH_feeds) operate
WITH_ctl := $(WITH_operate) ctl
ALL_LIBS := $(LAYERS)

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
# Libraries of layers that have sources, as one group: the linker takes only what is used.
libs = $(foreach l,$(1),$(if $(SRC_$(l)),$(BUILD)/lib/$(l).a))
group = -Wl,--start-group $(1) -Wl,--end-group

# ---- flags -----------------------------------------------------------------------------------
# pkg-config and the compiler are asked lazily, once, and only by recipes that need them, so that
# `make deps` can run on a machine that has neither.

PKGS := libuv libcares yaml-0.1 lmdb libidn2
ifneq ($(wildcard daemon/store/redis/*.c),)
PKGS += hiredis
# TLS to Redis, where hiredis has it (1.0 and later).
REDIS_TLS = $(call once,REDIS_TLS,$(shell pkg-config --exists hiredis_ssl openssl 2>/dev/null && echo hiredis_ssl openssl))
endif

once = $(eval $(1) := $(2))$($(1))
pkg = $(shell pkg-config $(1) $(2) || echo PKG_CONFIG_FAILED)
checked = $(if $(findstring PKG_CONFIG_FAILED,$(1)),$(error a library is missing: run 'make deps'),$(1))
try = $(shell echo 'int x;' | $(CC) -Werror $(1) -x c -c -o /dev/null - 2>/dev/null && echo $(1))
# Link-time optimisation needs a compiler, an ar and a linker that agree about it.
try_lto = $(shell dir=$$(mktemp -d) && cd $$dir && echo 'int x(void) { return 0; }' >x.c && \
	echo 'int x(void); int main(void) { return x(); }' >main.c && \
	$(CC) -Werror $(1) -c x.c main.c 2>/dev/null && ar rcs x.a x.o 2>/dev/null && \
	$(CC) -Werror $(1) main.o x.a 2>/dev/null && echo '$(1)'; rm -rf "$$dir")

PKG_CFLAGS = $(call once,PKG_CFLAGS,$(call checked,$(call pkg,--cflags,$(PKGS) $(REDIS_TLS))) \
	$(if $(REDIS_TLS),-DREEVE_REDIS_TLS))
PKG_LIBS = $(call once,PKG_LIBS,$(call checked,$(call pkg,--libs,$(PKGS) $(REDIS_TLS))) -lunistring)
CRITERION_CFLAGS = $(call once,CRITERION_CFLAGS,$(call checked,$(call pkg,--cflags,criterion)))
# At -O3 gcc warns of the null pointer that an assertion has just ruled out.
TEST_CFLAGS = $(if $(filter release,$(PROFILE)),-O2) $(CRITERION_CFLAGS)
CRITERION_LIBS = $(call once,CRITERION_LIBS,$(call checked,$(call pkg,--libs,criterion)))
FORTIFY = $(call once,FORTIFY,$(if $(call try,-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -include features.h),3,2))

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wwrite-strings -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wformat=2 -Wundef -Wcast-qual \
	-Wswitch-enum -Wnull-dereference -fno-common
WERROR ?= -Werror

# A tenth of the instructions of a request less, together with -O3. LTO=no links in a blink, for
# work on the code.
LTO ?= yes
LTO_FLAGS = $(if $(filter yes,$(LTO)),$(call once,LTO_FOUND,$(if $(filter clang%,$(CC_NAME)),\
	$(call try_lto,-flto),$(call try_lto,-flto=auto -ffat-lto-objects))))

# gcc would clear structs with rep stos, which takes tens of cycles to begin.
NO_REP = $(call once,NO_REP_FOUND,$(call try,-mstringop-strategy=libcall))

PROFILE_CFLAGS_release = $(LTO_FLAGS) -O3 -g -fPIE $(NO_REP) $(call once,NO_PLT,$(call try,-fno-plt)) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(FORTIFY) \
	-fstack-protector-strong $(call once,HARDEN,$(call try,-fstack-clash-protection) $(call try,-fcf-protection))
PROFILE_LDFLAGS_release = $(if $(LTO_FLAGS),$(LTO_FLAGS) -O3) -pie -Wl,-z,relro,-z,now,-z,noexecstack
PROFILE_CFLAGS_asan := -O1 -g -U_FORTIFY_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
PROFILE_LDFLAGS_asan := -fsanitize=address,undefined
PROFILE_CFLAGS_fuzz := -O1 -g -U_FORTIFY_SOURCE -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all -fno-omit-frame-pointer
PROFILE_LDFLAGS_fuzz := -fsanitize=address,undefined
ifeq ($(filter release asan fuzz,$(PROFILE)),)
$(error PROFILE is release, asan or fuzz, not '$(PROFILE)')
endif

# The user's CPPFLAGS, CFLAGS and LDFLAGS (dpkg-buildflags, say) come first; ours have the last word.
COMPILE = $(CC) $(CPPFLAGS) $(CFLAGS) -std=c11 -D_GNU_SOURCE -DREEVE_VERSION='"$(VERSION)"' -I. \
	$(WARNINGS) $(WERROR) $(PROFILE_CFLAGS_$(PROFILE)) $(PKG_CFLAGS)
LINK = $(CC) $(CFLAGS) $(LDFLAGS) $(PROFILE_LDFLAGS_$(PROFILE))

# ---- programs --------------------------------------------------------------------------------

.PHONY: all programs help
all:
	+$(Q)$(SUBMAKE) programs

PROGRAMS := $(if $(SRC_reeved),$(BUILD)/reeved) $(if $(SRC_reevectl),$(BUILD)/reevectl)
programs: $(PROGRAMS)

$(BUILD)/reeved: $(call objects,$(SRC_reeved)) $(call libs,$(ALL_LIBS))
	$(call say,LD      $@)$(LINK) -o $@.$$$$ $(call objects,$(SRC_reeved)) \
		$(call group,$(call libs,$(ALL_LIBS))) $(PKG_LIBS) -lm -lpthread && mv -f $@.$$$$ $@

$(BUILD)/reevectl: $(call objects,$(SRC_reevectl)) $(call libs,$(ALL_LIBS))
	$(call say,LD      $@)$(LINK) -o $@.$$$$ $(call objects,$(SRC_reevectl)) \
		$(call group,$(call libs,$(ALL_LIBS))) $(PKG_LIBS) -lm -lpthread && mv -f $@.$$$$ $@

# A daemon whose scripts for Redis lack their fences: the test of the counters must find out what is
# wrong with it. gcc's objects can be linked without optimisation, too, which takes a moment.
UNFENCED := $(BUILD)/tests/reeved-unfenced
.PHONY: unfenced
unfenced: $(UNFENCED)

$(BUILD)/tests/unfenced.o: daemon/store/redis/scripts.c $(wildcard daemon/store/redis/scripts/*.lua) $(BUILD)/flags
	$(call say,CC      $@)mkdir -p $(@D) && CCACHE_DISABLE=1 $(COMPILE) -fno-lto -DREEVE_TEST_NO_FENCE -c -o $@.$$$$ $< && mv -f $@.$$$$ $@

$(UNFENCED): $(call objects,$(SRC_reeved)) $(BUILD)/tests/unfenced.o $(call libs,$(ALL_LIBS))
	$(call say,LD      $@)$(LINK) $(if $(filter clang%,$(CC_NAME)),,-fno-lto) -o $@.$$$$ $(call objects,$(SRC_reeved)) $(BUILD)/tests/unfenced.o \
		$(call group,$(call libs,$(ALL_LIBS))) $(PKG_LIBS) -lm -lpthread && mv -f $@.$$$$ $@

# Results are renamed into place, so several makes may work in one tree.
$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call say,CC      $<)mkdir -p $(@D) && \
	if $(COMPILE) $(if $(filter tests/unit/% tests/contract/%,$<),$(TEST_CFLAGS)) \
		-MMD -MP -MF $@.$$$$.d -MQ $@ -c -o $@.$$$$ $<; then \
		mv -f $@.$$$$.d $(@:.o=.d) && mv -f $@.$$$$ $@; \
	else rm -f $@.$$$$ $@.$$$$.d; exit 1; fi

# The scripts for Redis are put in by the assembler, which must not wait for the linker, and behind
# the back of ccache.
$(BUILD)/daemon/store/redis/scripts.o: $(wildcard daemon/store/redis/scripts/*.lua)
$(BUILD)/daemon/store/redis/scripts.o: COMPILE += -fno-lto
$(BUILD)/daemon/store/redis/scripts.o: export CCACHE_DISABLE := 1

# Changed flags rebuild all; these two rules touch their file only when its content changes.
write_if_changed = mkdir -p $(@D) && printf '%s\n' "$(1)" >$@.$$$$ && \
	if cmp -s $@.$$$$ $@; then rm -f $@.$$$$; else mv -f $@.$$$$ $@; fi

.PHONY: FORCE
$(BUILD)/flags: FORCE
	@$(call write_if_changed,$(COMPILE))

define layer_library
$(BUILD)/lib/$(1).members: FORCE
	@$$(call write_if_changed,$$(sort $$(SRC_$(1))))

$(BUILD)/lib/$(1).a: $(BUILD)/lib/$(1).members $(call objects,$(SRC_$(1)))
	$$(call say,AR      $$@)rm -f $$@.$$$$$$$$ && ar rcs $$@.$$$$$$$$ $(call objects,$(SRC_$(1))) && mv -f $$@.$$$$$$$$ $$@
endef
$(foreach l,$(LAYERS) fake,$(if $(SRC_$(l)),$(eval $(call layer_library,$(l)))))

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# ---- unit tests: one Criterion program a layer, under ASan and UBSan ----------------------------

$(foreach l,$(LAYERS),$(eval SRC_unit_$(l) := $(wildcard tests/unit/$(l)/*.c)))
UNIT_LAYERS := $(foreach l,$(LAYERS),$(if $(SRC_unit_$(l)),$(l)))
UNIT_WANTED := $(or $(LAYER),$(UNIT_LAYERS))

define unit_program
$(BUILD)/tests/unit/$(1).run: $(call objects,$(SRC_unit_$(1))) $(call libs,$(WITH_$(1)))
	$$(call say,LD      $$@)mkdir -p $$(@D) && $$(LINK) -o $$@.$$$$$$$$ $(call objects,$(SRC_unit_$(1))) \
		$(call group,$(call libs,$(WITH_$(1)))) $$(PKG_LIBS) $$(CRITERION_LIBS) -lm -lpthread && mv -f $$@.$$$$$$$$ $$@
endef
$(foreach l,$(UNIT_LAYERS),$(eval $(call unit_program,$(l))))

.PHONY: unit unit-run
unit:
	+$(Q)$(SUBMAKE) PROFILE=asan unit-run

unit-run: $(foreach l,$(UNIT_WANTED),$(if $(filter $(l),$(UNIT_LAYERS)),,$(error tests/unit/$(l)/ holds no tests of a layer))$(BUILD)/tests/unit/$(l).run)
	@failed=; n=0; for l in $(UNIT_WANTED); do \
		n=$$((n + 1)); echo "== unit $$l ($$n of $(words $(UNIT_WANTED)))"; \
		tests/run-criterion.sh $(BUILD)/tests/unit/$$l.run $(if $(FILTER),--filter '$(FILTER)') || failed="$$failed $$l"; \
	done; if [ -n "$$failed" ]; then echo "unit tests failed:$$failed" >&2; exit 1; fi

# ---- contract tests, scenarios ---------------------------------------------------------------

SRC_contract := $(wildcard tests/contract/*.c)
SRC_scenario := $(wildcard tests/scenario/*.c)
SCENARIOS := $(wildcard tests/scenario/*.scn tests/scenario/*/*.scn)
LIBS_scenario := fake $(filter-out loop server,$(LAYERS))

.PHONY: contract contract-run scenario scenario-run
contract:
	+$(Q)$(SUBMAKE) PROFILE=asan contract-run

contract-run: $(if $(SRC_contract),$(BUILD)/tests/contract.run)
	@$(if $(SRC_contract),echo "== contract"; tests/run-criterion.sh $< $(if $(FILTER),--filter '$(FILTER)'),echo "no contract tests")

$(BUILD)/tests/contract.run: $(call objects,$(SRC_contract)) $(call libs,fake $(ALL_LIBS))
	$(call say,LD      $@)mkdir -p $(@D) && $(LINK) -o $@.$$$$ $(call objects,$(SRC_contract)) \
		$(call group,$(call libs,fake $(ALL_LIBS))) $(PKG_LIBS) $(CRITERION_LIBS) -lm -lpthread && mv -f $@.$$$$ $@

scenario:
	+$(Q)$(SUBMAKE) PROFILE=asan scenario-run

scenario-run: $(if $(SRC_scenario),$(BUILD)/tests/scenario)
	@$(if $(SRC_scenario),echo "== scenario"; tests/run-scenarios.sh $< $(or $(SCENARIO),$(SCENARIOS)),echo "no scenarios")

# The objects of the runner lie in tests/scenario/ too, so they get a folder of their own name.
$(BUILD)/tests/scenario: $(patsubst %.c,$(BUILD)/tests/scenario.o/%.o,$(notdir $(SRC_scenario))) $(call libs,$(LIBS_scenario))
	$(call say,LD      $@)$(LINK) -o $@.$$$$ $(patsubst %.c,$(BUILD)/tests/scenario.o/%.o,$(notdir $(SRC_scenario))) \
		$(call group,$(call libs,$(LIBS_scenario))) $(PKG_LIBS) -lm -lpthread && mv -f $@.$$$$ $@

$(BUILD)/tests/scenario.o/%.o: tests/scenario/%.c $(BUILD)/flags
	$(call say,CC      $<)mkdir -p $(@D) && \
	if $(COMPILE) -MMD -MP -MF $@.$$$$.d -MQ $@ -c -o $@.$$$$ $<; then \
		mv -f $@.$$$$.d $(@:.o=.d) && mv -f $@.$$$$ $@; \
	else rm -f $@.$$$$ $@.$$$$.d; exit 1; fi

# ---- fuzzing ---------------------------------------------------------------------------------

FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_WANTED := $(or $(FUZZ),$(FUZZERS))

$(BUILD)/tests/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(call libs,fake $(ALL_LIBS))
	$(call say,LD      $@)$(LINK) -fsanitize=fuzzer -o $@.$$$$ $< \
		$(call group,$(call libs,fake $(ALL_LIBS))) $(PKG_LIBS) -lm -lpthread && mv -f $@.$$$$ $@

$(BUILD)/tests/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(call libs,fake $(ALL_LIBS))
	$(call say,LD      $@)$(LINK) -o $@.$$$$ $(BUILD)/tests/fuzz/fuzz_$*.o $(BUILD)/tests/fuzz/replay.o \
		$(call group,$(call libs,fake $(ALL_LIBS))) $(PKG_LIBS) -lm -lpthread && mv -f $@.$$$$ $@

.PHONY: fuzz fuzz-run fuzz-replay fuzz-replay-run
fuzz:
	@tests/deps.sh fuzz
	+$(Q)$(SUBMAKE) PROFILE=fuzz CC=clang fuzz-run

fuzz-run: $(FUZZ_WANTED:%=$(BUILD)/tests/fuzz_%)
	@tests/run-fuzz.sh $(BUILD) $(FUZZ_SECONDS) $(FUZZ_WANTED)

fuzz-replay:
	+$(Q)$(SUBMAKE) PROFILE=asan fuzz-replay-run

fuzz-replay-run: $(FUZZ_WANTED:%=$(BUILD)/tests/replay_%)
	@echo "== fuzz-replay"; for f in $(FUZZ_WANTED); do \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 timeout 300 $(BUILD)/tests/replay_$$f tests/fuzz/corpus/$$f || exit 1; done

# ---- everything that compiles, for the warnings ---------------------------------------------------

SRC_bench := $(wildcard tests/bench/*.c)
SRC_bench_load := $(wildcard tests/bench/load/*.c)
BENCH_PROGRAMS := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(SRC_bench))
EVERY_SOURCE := $(foreach l,$(LAYERS) fake reeved reevectl contract scenario bench bench_load,$(SRC_$(l))) \
	$(foreach l,$(LAYERS),$(SRC_unit_$(l))) $(wildcard tests/fuzz/*.c)

.PHONY: everything
everything: programs bench-programs $(call objects,$(EVERY_SOURCE))

# ---- integration, benchmark -----------------------------------------------------------------------

.PHONY: integration bench bench-programs soak
integration:
	+$(Q)$(SUBMAKE) PROFILE=release programs unfenced
	@REEVED="$(CURDIR)/build/release/reeved" REEVECTL="$(CURDIR)/build/release/reevectl" \
		tests/run-integration.sh $(or $(TEST),$(sort $(wildcard tests/integration/test_*.py)))

bench-programs: $(BENCH_PROGRAMS)

$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o
	$(call say,LD      $@)mkdir -p $(@D) && $(LINK) -o $@.$$$$ $< $(PKG_LIBS) -lm -lpthread && mv -f $@.$$$$ $@

$(BUILD)/bench/load: $(BUILD)/tests/bench/load.o $(call objects,$(SRC_bench_load))
	$(call say,LD      $@)mkdir -p $(@D) && $(LINK) -o $@.$$$$ $^ $(PKG_LIBS) -lm -lpthread && mv -f $@.$$$$ $@

# Those that measure a part of the daemon itself.
$(BUILD)/bench/maillog $(BUILD)/bench/bans: $(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(call libs,$(ALL_LIBS))
	$(call say,LD      $@)mkdir -p $(@D) && $(LINK) -o $@.$$$$ $< \
		$(call group,$(call libs,$(ALL_LIBS))) $(PKG_LIBS) -lm -lpthread && mv -f $@.$$$$ $@

.PHONY: bench-maillog bench-maillog-run
bench-maillog:
	+$(Q)$(SUBMAKE) PROFILE=release bench-maillog-run

bench-maillog-run: $(BUILD)/bench/maillog
	@for file in tests/unit/feeds/data/maillog-*.txt; do echo "$$file"; $(BUILD)/bench/maillog $$file; done

bench:
	@tests/deps.sh bench
	+$(Q)$(SUBMAKE) PROFILE=release programs bench-programs
	@tests/bench/run.py $(BENCH_ARGS)

# The Redis store against a bare server that runs the same script.
.PHONY: bench-cluster
bench-cluster:
	@tests/deps.sh bench
	+$(Q)$(SUBMAKE) PROFILE=release programs bench-programs
	@tests/bench/cluster.py $(BENCH_ARGS)

soak:
	@tests/deps.sh bench
	+$(Q)$(SUBMAKE) PROFILE=release programs bench-programs
	@tests/bench/soak.py $(SOAK_ARGS)

# ---- lint, check, ci ------------------------------------------------------------------------------

.PHONY: deps lint hardening tidy cppcheck analyzer check ci
deps:
	@tests/deps.sh check

lint:
	+$(Q)$(SUBMAKE) PROFILE=release programs
	@PROGRAMS="$(PROGRAMS)" tests/lint/all.sh

hardening:
	@tests/lint/hardening.sh $(PROGRAMS)

cppcheck:
	@tests/lint/cppcheck.sh

tidy:
	@tests/lint/tidy.sh $(TIDY)

# gcc's analyzer is slow and has a build folder of its own. Its null-dereference check is off: it
# believes that a list linked by index may end before the entry that is known to be in it.
analyzer:
	@tests/deps.sh run
	+$(Q)$(SUBMAKE) BUILD=build/analyzer PROFILE=release CC=gcc LTO=no CFLAGS='-fanalyzer -Wno-analyzer-null-dereference' \
		$(patsubst %.c,build/analyzer/%.o,$(foreach l,$(LAYERS) reeved reevectl,$(SRC_$(l))))

check:
	@tests/deps.sh check
	@echo "== build: gcc"
	+$(Q)$(SUBMAKE) PROFILE=release CC=gcc everything
	@echo "== build: clang"
	+$(Q)$(SUBMAKE) PROFILE=release CC=clang everything
	+$(Q)$(SUBMAKE) unit
	+$(Q)$(SUBMAKE) contract
	+$(Q)$(SUBMAKE) scenario
	+$(Q)$(SUBMAKE) fuzz-replay
	+$(Q)$(SUBMAKE) integration
	@if [ -s build/skipped ]; then \
		echo "check: all passed that ran; $$(wc -l <build/skipped) integration tests did not, see above"; \
	else echo "check: all passed"; fi

ci:
	@tests/deps.sh ci
	+$(Q)$(SUBMAKE) check
	+$(Q)$(SUBMAKE) lint
	+$(Q)$(SUBMAKE) cppcheck
	+$(Q)$(SUBMAKE) tidy
	+$(Q)$(SUBMAKE) analyzer
	@echo "ci: all passed"

# ---- run, install, clean ----------------------------------------------------------------------------

.PHONY: run install deb clean
run:
	@tests/deps.sh run
	+$(Q)$(SUBMAKE) PROFILE=release programs
	@mkdir -p build/run
	@sed 's|embedded:/var/lib/reeve|embedded:$(CURDIR)/build/run/state|; s|unix:/run/reeve/|unix:$(CURDIR)/build/run/|' \
		$(or $(CONFIG),config/reeve-minimal.yaml) >build/run/reeve.yaml
	@echo "  RUN     build/release/reeved -c build/run/reeve.yaml"
	@exec build/release/reeved -c build/run/reeve.yaml

install:
	+$(Q)$(SUBMAKE) PROFILE=release programs
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(SYSCONFDIR)/reeve
	install -m 0755 $(BUILD)/reeved $(DESTDIR)$(PREFIX)/sbin/reeved
	$(if $(SRC_reevectl),install -m 0755 $(BUILD)/reevectl $(DESTDIR)$(PREFIX)/bin/reevectl)
	for page in $(wildcard packaging/man/*.[1-9]); do \
		section=$${page##*.}; install -d $(DESTDIR)$(PREFIX)/share/man/man$$section && \
		install -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man$$section/ || exit 1; done
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 0644 packaging/completion/reevectl $(DESTDIR)$(PREFIX)/share/bash-completion/completions/reevectl
	install -d $(DESTDIR)$(PREFIX)/share/doc/reeve/examples
	install -m 0644 $(wildcard config/*.yaml) $(DESTDIR)$(PREFIX)/share/doc/reeve/examples/
	install -d $(DESTDIR)$(PREFIX)/share/doc/reeve/examples/postfix
	install -m 0644 $(wildcard packaging/postfix/*.cf) $(DESTDIR)$(PREFIX)/share/doc/reeve/examples/postfix/
	install -d $(DESTDIR)$(PREFIX)/share/doc/reeve/examples/hooks
	install -m 0755 $(wildcard packaging/hooks/*) $(DESTDIR)$(PREFIX)/share/doc/reeve/examples/hooks/
	[ -e $(DESTDIR)$(SYSCONFDIR)/reeve/reeve.yaml ] || \
		install -m 0644 config/reeve.yaml $(DESTDIR)$(SYSCONFDIR)/reeve/reeve.yaml
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	sed 's|/usr/sbin/reeved|$(PREFIX)/sbin/reeved|; s|/usr/bin/reevectl|$(PREFIX)/bin/reevectl|; s|/etc/reeve|$(SYSCONFDIR)/reeve|' \
		packaging/systemd/reeved.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/reeved.service
	chmod 0644 $(DESTDIR)$(PREFIX)/lib/systemd/system/reeved.service
	install -m 0644 packaging/systemd/reeve.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/reeve.conf
	install -m 0644 packaging/systemd/reeve.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/reeve.conf

# dpkg-buildpackage wants its folder at the top of the tree, so it gets a copy of the tree.
deb:
	@tests/deps.sh package
	rm -rf build/deb && mkdir -p build/deb/reeve-$(VERSION)
	cp -R $(wildcard Makefile LICENSE *.md common config daemon packaging tests) build/deb/reeve-$(VERSION)/
	cp -R packaging/debian build/deb/reeve-$(VERSION)/debian
	cd build/deb/reeve-$(VERSION) && dpkg-buildpackage -b -us -uc
	@ls build/deb/*.deb

clean:
	rm -rf build

help:
	@echo "programs:  all run install deb clean"
	@echo "tests:     check unit [LAYER= FILTER=] contract scenario [SCENARIO=] integration [TEST=]"
	@echo "           fuzz [FUZZ= FUZZ_SECONDS=] fuzz-replay"
	@echo "           bench [BENCH_ARGS=] soak [SOAK_ARGS=]"
	@echo "analysis:  lint hardening cppcheck tidy analyzer ci"
	@echo "variables: PROFILE=release|asan|fuzz CC=gcc|clang LTO=yes|no V=1 DESTDIR= PREFIX=/usr"
