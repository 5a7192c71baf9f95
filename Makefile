# tcpmon: `make run` and `make test` are all the set-up there is. Cargo decides what is stale.
CARGO ?= cargo
ARGS ?=
FUZZ_RUNS ?= 200000

.PHONY: all run test lint fuzz miri syscalls accuracy faulttest killtest clean

all:
	$(CARGO) build --release

# Watches what ./tcpmon.conf or /etc/tcpmon.conf lists, else a few public resolvers;
# make run ARGS="web=127.0.0.1:8080" watches that.
run: all
	target/release/tcpmon $(ARGS)

test:
	$(CARGO) test

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml

# Looks for bytes that break a property, so many executions of each target (needs a C++ compiler);
# make fuzz FUZZ_RUNS=10000000 takes most of an hour.
fuzz:
	tests/fuzz/run $(FUZZ_RUNS)

# Undefined behaviour in what needs no system call (needs a nightly toolchain with miri).
miri:
	tests/miri

# System calls per probe, and wake-ups of an idle monitor (needs strace).
syscalls:
	$(CARGO) bench --quiet --bench measure -- syscalls

# Error of the reported connect times against a capture (needs tcpdump and namespaces).
accuracy:
	$(CARGO) bench --quiet --bench measure -- accuracy

# Every system call made to fail with every errno that its manual page names (needs strace and
# namespaces); make faulttest CALLS="connect write" makes those of some calls alone.
CALLS ?= all
faulttest:
	$(CARGO) bench --quiet --bench fault -- $(CALLS)

# SIGKILL at every system call and at random moments: no probe is lost or told twice (needs strace).
killtest:
	$(CARGO) bench --quiet --bench kill

clean:
	$(CARGO) clean
