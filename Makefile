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
# gcc's and clang's fortify need optimisation; the sanitizers bring their own checks
CFLAGS += -std=c11 -D_GNU_SOURCE -O2 -g $(WARN) $(HARDEN) -I. -DMAILPAIR_VERSION='"$(VERSION)"' -MMD -MP
LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,--as-needed
ifdef SAN
CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined
else
CFLAGS += -D_FORTIFY_SOURCE=2
endif
LIBS_common     = -levent_core -lcrypto -lconfuse -lsqlite3
Q = $(if $(V),,@)

# ---------------------------------------------------------------- what is built from what
MAIN_mailpaird = supervisor/main.c
MAIN_mailpair  = $(wildcard supervisor/ctl*.c)
MAINS      = $(MAIN_mailpaird) $(MAIN_mailpair)
SRC_common = $(wildcard common/*.c)
SRC_mta    = $(wildcard mta/*.c)
SRC_supervisor = $(filter-out $(MAINS),$(wildcard supervisor/*.c))
SRC_lib    = $(SRC_common) $(SRC_mta) $(SRC_supervisor)
OBJ_lib    = $(SRC_lib:%.c=$(O)/%.o)
LIB        = $(O)/libmailpair.a
PROGRAMS   = $(O)/mailpaird $(O)/mailpair
UNIT       = $(patsubst tests/unit/%.c,$(O)/tests/%,$(wildcard tests/unit/test_*.c))
TOOLS      = $(patsubst tests/live/tools/%.c,$(O)/tools/%,$(wildcard tests/live/tools/*.c))

.PHONY: help all deps demo check check-unit check-layers check-tidy check-docs check-live check-man check-clang \
        check-fuzz asan lint format install clean bench-failover bench-peers lab fuzz
.DEFAULT_GOAL = all

help:           ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /  \1\t/p' Makefile | expand -t 20

all: $(PROGRAMS) ## build the programs into build/

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $<")
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

$(LIB): $(OBJ_lib)
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/mailpaird: $(MAIN_mailpaird:%.c=$(O)/%.o) $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_common)

$(O)/mailpair: $(MAIN_mailpair:%.c=$(O)/%.o) $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_common)

$(O)/tests/%: $(O)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcheck -lsubunit -lm -lrt -lpthread $(LIBS_common)

# small programs of the live tests: static, they run as PID 1 or inside another root
$(O)/tools/%: tests/live/tools/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -g $(WARN) -static -o $@ $<

-include $(shell find build -name '*.d' 2>/dev/null)
