# tests/sim/sim.mk - the simulator: production engine, everything around it fake. Its objects come before the library, so the members
# that they replace (clock, loop, spawn, link, edge_real) are never taken from it.
SIM_SRC = $(filter-out tests/sim/play%.c,$(wildcard tests/sim/*.c))
PLAY_SRC = $(wildcard tests/sim/play*.c) $(filter-out tests/sim/main.c tests/sim/shrink.c tests/sim/fake_agent.c,$(SIM_SRC))
SIM_LDFLAGS = -Wl,--wrap=syscall,--wrap=close,--wrap=getrandom,--wrap=fsm_match,--wrap=digest_sha256,--wrap=digest_hmac

.PHONY: check-sim check-scenario soak
# what was built elsewhere than in build/ depends on headers too
-include $(filter-out build/%,$(shell find $(O) -name '*.d' 2>/dev/null))

$(O)/simulator: $(SIM_SRC:%.c=$(O)/%.o) $(LIB)
	$(Q)$(CC) $(LDFLAGS) $(SIM_LDFLAGS) -o $@ $^ $(LIBS_common)

check-sim: $(O)/simulator ## schedules in virtual time (SCHEDULES=200000, or one again: SEED=0x...)
	@$(O)/simulator $(if $(SEED),--seed $(SEED),--schedules $(or $(SCHEDULES),200000) --jobs $(or $(JOBS),2))

# the same world with a script in the place of chance: play*.c stand for the control socket and the fence agents as well
$(O)/play: $(PLAY_SRC:%.c=$(O)/%.o) $(LIB)
	$(Q)$(CC) $(LDFLAGS) $(SIM_LDFLAGS) -o $@ $^ $(LIBS_common)

check-scenario: $(O)/play $(O)/mailpair ## the scenarios in virtual time, each with SEEDS (3); one: tests/scenario/virtual -v -k f05
	@tests/scenario/virtual -n $(or $(SEEDS),3) --build $(O)

soak: $(O)/simulator ## the same for MINUTES (10), each run with other seeds
	@$(O)/simulator --seconds $$(( $(or $(MINUTES),10) * 60 )) --first $$(od -An -N8 -tu8 /dev/urandom) --jobs $(or $(JOBS),2)

.PHONY: mutants
mutants: export M_CC = $(CC)
mutants: export M_CFLAGS = $(CFLAGS)
mutants: export M_LDFLAGS = $(LDFLAGS) $(SIM_LDFLAGS)
mutants: export M_LIBS = $(LIBS_common)
mutants: export M_OBJECTS = $(SIM_SRC:%.c=$(O)/%.o)
mutants: export TABLE ?=
mutants: $(O)/simulator ## small mistakes in the engine: each must be noticed by the simulator (NAMES, SCHEDULES, TABLE=file for what was measured)
	@tests/sim/mutants/run $(O) $(or $(SCHEDULES),200000) $(NAMES)
