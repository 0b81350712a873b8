# mailpair - see "make help". No autotools: every .c file of a folder belongs to that folder's part.
SHELL   = /bin/bash
ifeq ($(origin CC),default)
CC      = gcc
endif
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
V      ?=
O      ?= build/$(CC)$(if $(SAN),-san)

VERSION = 0.1.0
WARN    = -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum -Wvla \
          -Wformat=2 -Wundef -Wpointer-arith -Wwrite-strings -Werror
HARDEN  = -fPIE -fstack-protector-strong -fstack-clash-protection
OPT     = $(if $(SAN),-O0,-O2)			# with the sanitizers it runs no slower so, and is compiled in half the time
FORTIFY = $(if $(SAN),,-D_FORTIFY_SOURCE=2)	# the sanitizers bring their own checks
CFLAGS += -std=c11 -D_GNU_SOURCE $(OPT) $(FORTIFY) -g $(WARN) $(HARDEN) -I. -DMAILPAIR_VERSION='"$(VERSION)"' -MMD -MP
LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,--as-needed
ifdef SAN
CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined
endif
# A test itself does little, and is compiled in a quarter of the time so. Fortify needs optimisation, and so does gcc to know what a number may be
$(O)/tests/unit/%.o: OPT = -O0 $(if $(filter gcc%,$(CC)),-Wno-format-truncation)
$(O)/tests/unit/%.o: FORTIFY =
ifdef FUZZ
CFLAGS += -fsanitize=fuzzer-no-link	# the library as well, else the fuzzer sees nothing of what it reaches
endif
LIBS_common     = -levent_openssl -levent_core -lssl -lcrypto -lconfuse -lsqlite3 -lzstd -linotifytools -luring -lext2fs -lcom_err -lpthread
Q = $(if $(V),,@)

# ---------------------------------------------------------------- what is built from what
MAIN_mailpaird = supervisor/main.c
MAIN_mailpair  = $(wildcard supervisor/ctl*.c)
MAIN_queue = queuesync/main.c
MAIN_config = $(wildcard configsync/main*.c)
MAINS      = $(MAIN_mailpaird) $(MAIN_mailpair) $(MAIN_queue) $(MAIN_config)
SRC_common = $(wildcard common/*.c)
SRC_mta    = $(wildcard mta/*.c)
SRC_supervisor = $(filter-out $(MAINS),$(wildcard supervisor/*.c))
SRC_queuesync = $(filter-out $(MAINS),$(wildcard queuesync/*.c))
SRC_configsync = $(filter-out $(MAINS),$(wildcard configsync/*.c))
SRC_lib    = $(SRC_common) $(SRC_mta) $(SRC_queuesync) $(SRC_configsync) $(SRC_supervisor)
OBJ_lib    = $(SRC_lib:%.c=$(O)/%.o)
LIB        = $(O)/libmailpair.a
PROGRAMS   = $(O)/mailpaird $(O)/mailpair $(O)/mailpair-queue $(O)/mailpair-config
# What takes longest is begun first, so that nothing has to wait for it in the end. What only waits, for real agents and devices, is not
# run a second time under the sanitizers
unit_c     = $(patsubst %,tests/unit/test_%.c,$(1))
UNIT_WAIT  = $(call unit_c,fence_agents mta_qmail upkeep scribe scribe_journal mta_contract mta_postfix postfix_instances mta_qmail_found mta_qmail_real)
UNIT_LONG  = $(call unit_c,mta_exim config_store_spoilt config_store config_core_model config_net config_net_child)
UNIT_SAN   = $(UNIT_LONG) $(filter-out $(UNIT_WAIT) $(UNIT_LONG),$(wildcard tests/unit/test_*.c))
UNIT       = $(patsubst tests/unit/%.c,$(O)/tests/%,$(UNIT_WAIT) $(UNIT_SAN))
TOOLS      = $(patsubst tests/live/tools/%.c,$(O)/tools/%,$(wildcard tests/live/tools/*.c)) \
             $(patsubst tests/queue/tools/%.c,$(O)/tools/%,$(wildcard tests/queue/tools/*.c)) \
             $(patsubst tests/config/tools/%.c,$(O)/tools/%,$(wildcard tests/config/tools/*.c))

.PHONY: help all deps demo tools unit docs check check-unit check-asan check-layers check-tidy check-docs check-cli \
        check-clang check-queue check-config check-live check-secrets check-fuzz core-mutants asan fuzz fuzz-targets lint format install clean bench-failover bench-takeover bench-peers bench-queue bench-stalls bench-config
.DEFAULT_GOAL = all
.SECONDARY:

help:           ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /  \1\t/p' Makefile tests/*/*.mk | expand -t 20

all: $(PROGRAMS) ## build the programs into build/

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $<")
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

# Of one name that stands in two objects of a library the linker takes what it meets first, and says nothing
$(LIB): $(OBJ_lib)
	$(Q)rm -f $@ && ar rcs $@ $^
	$(Q)twice=$$(nm $@ | awk '$$2 ~ /^[TDBR]$$/ { print $$3 }' | sort | uniq -d); \
	[ -z "$$twice" ] || { echo "$@: defined in two files: $$twice"; rm -f $@; exit 1; }

$(O)/mailpaird: $(MAIN_mailpaird:%.c=$(O)/%.o) $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_common)

$(O)/mailpair: $(MAIN_mailpair:%.c=$(O)/%.o) $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_common)

$(O)/mailpair-queue: $(MAIN_queue:%.c=$(O)/%.o) $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_common)

$(O)/mailpair-config: $(MAIN_config:%.c=$(O)/%.o) $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_common)

$(O)/tests/%: $(O)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcheck -lsubunit -lm -lrt -lpthread $(LIBS_common)

# stand-ins for qmail's programs
$(O)/tests/test_mta_qmail $(O)/tests/test_mta_qmail_found $(O)/tests/test_mta_qmail_real $(O)/tests/test_mta_contract: | $(O)/tools/qmail_send $(O)/tools/qmail_queue

$(O)/tests/test_config_net $(O)/tests/test_config_net_child: | $(O)/tools/net_child

# small programs of the live tests: static, they run as PID 1 or inside another root
$(O)/tools/qmail_send $(O)/tools/qmail_queue: tests/live/tools/qmail_home.h
$(O)/tools/%: tests/live/tools/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -g $(WARN) -I. -static -o $@ $<
$(O)/tools/%: tests/queue/tools/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -g $(WARN) -static -o $@ $<

# what the libraries of configsync do, as programs
$(O)/tools/%: tests/config/tools/%.c $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $< $(LIB) $(LDFLAGS) $(LIBS_common)

# what measurements are compared with
$(O)/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -g $(WARN) -o $@ $< -lpthread

# ---------------------------------------------------------------- packages
PKG_build = build-essential pkg-config libevent-dev libsqlite3-dev libconfuse-dev libssl-dev libzstd-dev libinotifytools0-dev liburing-dev libext2fs-dev check
PKG_check = openssl clang libclang-rt-dev mandoc shellcheck socat
PKG_live  = postfix postfix-cdb python3 iproute2 e2fsprogs xfsprogs util-linux procps nftables fence-agents ipmitool openipmi \
            libidn12 libgnutls-dane0 libnsl2 libdb5.3 ucspi-tcp daemontools runit vim-tiny
# what stands for "is it there": a file or a program of each package
NEED_build = /usr/include/event2/bufferevent_ssl.h /usr/include/sqlite3.h /usr/include/confuse.h /usr/include/openssl/ssl.h \
             /usr/include/zstd.h /usr/include/inotifytools/inotifytools.h /usr/include/liburing.h /usr/include/ext2fs/ext2fs.h /usr/include/check.h
NEED_check = /usr/bin/openssl /usr/bin/clang /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a /usr/bin/mandoc /usr/bin/shellcheck /usr/bin/socat
NEED_live  = /usr/sbin/postfix /usr/lib/postfix/postfix-cdb.so /usr/bin/python3 /usr/sbin/ip /usr/sbin/mkfs.ext4 /usr/sbin/mkfs.xfs /usr/sbin/nft /usr/bin/unshare /usr/bin/ps \
             /usr/sbin/fence_ipmilan /usr/bin/ipmitool /usr/bin/ipmi_sim \
             /usr/lib/*/libidn.so.12 /usr/lib/*/libgnutls-dane.so.0 /usr/lib/*/libnsl.so.2 /usr/lib/*/libdb-5.3.so \
             /usr/bin/tcpserver /usr/bin/supervise /usr/bin/runsv /usr/bin/vim.tiny
# Exim's package and Postfix's exclude each other: it is only unpacked
EXIM       = build/exim

deps:           ## install the Debian packages that are missing (root, apt); else print what to install
	@missing=; for f in $(NEED_build) $(NEED_check) $(NEED_live); do ls $$f >/dev/null 2>&1 || missing="$$missing $$f"; done; \
	[ -z "$$missing" ] || tests/install-packages $(PKG_build) $(PKG_check) $(PKG_live)
	@tests/fetch-exim $(EXIM)

demo: deps      ## two hosts, one spool: mail through a power cut and a switchover (KEEP=1 leaves the pair running)
	@$(MAKE) --no-print-directory -j2 all tools
	@KEEP=$(KEEP) tests/live/demo

tools: $(TOOLS)

# ---------------------------------------------------------------- tests
check: deps     ## all tests: unit, sanitizers, clang, layers, tidy, docs, fuzz corpora, simulator, scenarios in virtual time and live
	@$(MAKE) --no-print-directory -j2 all tools unit
	@tests/summary check-unit check-layers check-tidy check-docs check-cli check-live+check-clang+check-sim check-asan check-fuzz check-scenario check-queue check-config check-secrets

unit: $(UNIT)

check-unit: unit ## unit tests (libcheck)
	@JOBS=6 tests/each $(UNIT)

# one build with clang serves as the other compiler, for the sanitizers and for the fuzz targets
SANITIZED = $(MAKE) --no-print-directory -j2 CC=clang SAN=1 FUZZ=1

check-asan:     ## the unit tests with AddressSanitizer and UndefinedBehaviorSanitizer
	@$(SANITIZED) unit
	@JOBS=6 ASAN_OPTIONS=detect_leaks=0 MAILPAIR_CORE_SCHEDULES=300 tests/each $(patsubst tests/unit/%.c,build/clang-san/tests/%,$(UNIT_SAN))

asan: check-asan ## the same

core-mutants: export M_CC = $(CC)
core-mutants: export M_CFLAGS = $(CFLAGS)
core-mutants: export M_LDFLAGS = $(LDFLAGS)
core-mutants: export M_LIBS = -lcheck -lsubunit -lm -lrt -lpthread $(LIBS_common)
core-mutants: export TABLE ?=
core-mutants: $(addprefix $(O)/tests/test_config_,core_model core core_fault core_killed core_own core_link core_done diff) ## small mistakes in the decision of mailpair-config: each must be noticed (NAMES, TABLE=file)
	@tests/unit/core_mutants/run $(O) $(NAMES)

check-layers:   ## who may include whom
	@tests/layers.sh

check-tidy:     ## banned calls, sizes of files and functions as a ratchet
	@tests/tidy.sh

check-docs: $(O)/fsm-print $(O)/rules-print ## generated documents are up to date, man pages are clean
	@tests/docs.sh $(O)/fsm-print $(O)/rules-print

check-cli: all tools ## the command line without a daemon
	@tests/cli.sh $(O)/mailpair

check-clang:    ## the whole tree compiles with clang as well, warnings as errors
	@$(SANITIZED) all unit && echo "1 passed, 0 failed"

check-live: all tools ## scenarios in network namespaces with real programs (root)
	@tests/live/run

check-queue: all tools ## repairs of generated queues, cut at every change; real queues that crashed (root)
	@BUILD=$(CURDIR)/$(O) tests/each tests/queue/repairs tests/queue/run

check-config: all tools ## trees installed, cut at every change; two mailpair-config edited and killed; compared by Python (root)
	@tests/each tests/config/trees tests/config/pair

check-secrets: all tools ## no key and no password in anything that a run leaves (root)
	@tests/secrets.sh $(O)

check-fuzz:     ## replay the corpora of the fuzz targets under the sanitizers
	@$(SANITIZED) fuzz-targets
	@tests/fuzz/replay build/clang-san

FUZZERS = $(patsubst tests/fuzz/fuzz_%.c,$(O)/fuzz_%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz-targets: $(FUZZERS)
$(O)/fuzz_%: tests/fuzz/fuzz_%.c $(LIB)
	@mkdir -p $(@D)
	$(Q)clang $(CFLAGS) -fsanitize=fuzzer -o $@ $< $(LIB) $(LDFLAGS) -fsanitize=fuzzer $(LIBS_common)

fuzz:           ## run every fuzz target for SECONDS (60)
	@$(SANITIZED) fuzz-targets
	@tests/fuzz/replay build/clang-san $(or $(SECONDS),60)

# ---------------------------------------------------------------- generated documents
$(O)/fsm-print: tests/fsm_print.c $(LIB)
	$(Q)$(CC) $(CFLAGS) -o $@ $< $(LIB) $(LDFLAGS) $(LIBS_common)

docs/fsm.md: $(O)/fsm-print
	$(Q)$(O)/fsm-print >$@

$(O)/rules-print: tests/rules_print.c $(LIB)
	$(Q)$(CC) $(CFLAGS) -o $@ $< $(LIB) $(LDFLAGS) $(LIBS_common)

queuesync/RULES.md: $(O)/rules-print
	$(Q)$(O)/rules-print >$@

docs: docs/fsm.md queuesync/RULES.md ## print the generated documents anew

# ---------------------------------------------------------------- measuring
bench-failover: deps ## outages against the bare floor, ratios in one run (RUNS=10)
	@$(MAKE) --no-print-directory -j2 all tools
	@tests/bench/failover --runs $(or $(RUNS),10)

bench-takeover: deps ## outages with a full queue against an empty one, in one run (RUNS=6, MESSAGES=200000, MTA=postfix)
	@$(MAKE) --no-print-directory -j2 all tools
	@tests/bench/takeover --mta $(or $(MTA),postfix) --runs $(or $(RUNS),6) --messages $(or $(MESSAGES),200000) --build $(O)

bench-queue: deps ## what a check of a queue costs, beside find, a bare reader and the mail program's own lister (RUNS=5, SIZES, BIG, MTA)
	@$(MAKE) --no-print-directory -j2 all $(O)/bench/floor_read $(O)/bench/cost
	@unshare -m tests/bench/queue --runs $(or $(RUNS),5) $(if $(SIZES),--sizes $(SIZES)) --big $(or $(BIG),1000000) \
	    $(if $(MTA),--mta $(MTA)) --build $(O)

bench-config: deps ## how soon an edit is on the other node, what many files cost; beside a floor program, rsync, lsyncd, csync2 and incron (EDITS=200)
	@$(MAKE) --no-print-directory -j2 all $(O)/bench/floor_copy
	@unshare -m tests/bench/config --build $(O) --edits $(or $(EDITS),200)

bench-peers: deps ## the same beside keepalived and Pacemaker where installed
	@$(MAKE) --no-print-directory -j2 all tools
	@tests/bench/failover --runs $(or $(RUNS),10) --peers

bench-stalls: deps ## how late beats are while disk, processors, memory, names, syslog and journal stall (SECONDS=600)
	@$(MAKE) --no-print-directory -j2 all tools
	@tests/bench/stalls --seconds $(or $(SECONDS),600)

# ---------------------------------------------------------------- care
lint:           ## cppcheck, clang-tidy, shellcheck
	@tests/lint.sh

format:         ## clang-format over the sources that are not tables
	clang-format -i $(filter-out supervisor/fsm.c,$(SRC_lib) $(MAINS)) $(wildcard */*.h)

install: all    ## install under DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8 \
	    $(DESTDIR)$(SYSCONFDIR)/mailpair/hooks.d $(DESTDIR)$(SYSCONFDIR)/init.d $(DESTDIR)$(SYSCONFDIR)/logrotate.d \
	    $(DESTDIR)$(SYSCONFDIR)/cron.d $(DESTDIR)$(PREFIX)/share/mailpair $(DESTDIR)$(SYSCONFDIR)/systemd/system
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/sbin
	install -m 644 docs/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 etc/mailpair.conf $(DESTDIR)$(PREFIX)/share/mailpair/mailpair.conf.example
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/mailpair/examples etc/examples/*
	install -m 755 etc/init.d/* $(DESTDIR)$(SYSCONFDIR)/init.d
	install -m 644 etc/logrotate.d/mailpair $(DESTDIR)$(SYSCONFDIR)/logrotate.d
	install -m 644 etc/cron.d/mailpair $(DESTDIR)$(SYSCONFDIR)/cron.d
	install -m 644 etc/hooks.d/* $(DESTDIR)$(PREFIX)/share/mailpair
	for f in mailpair.service postfix.service.d/mailpair.conf postfix@.service.d/mailpair.conf; do \
	    install -D -m 644 etc/systemd/$$f $(DESTDIR)$(SYSCONFDIR)/systemd/system/$$f; done
	sed -i 's,/usr/sbin/mailpair,$(PREFIX)/sbin/mailpair,g' $(DESTDIR)$(SYSCONFDIR)/cron.d/mailpair \
	    $(DESTDIR)$(SYSCONFDIR)/systemd/system/mailpair.service $(DESTDIR)$(SYSCONFDIR)/systemd/system/postfix*.service.d/mailpair.conf

clean:          ## remove build/
	rm -rf build

-include $(shell find build -path build/exim -prune -o -type f -name '*.d' -print 2>/dev/null)
-include tests/sim/sim.mk
