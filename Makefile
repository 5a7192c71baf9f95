# tcpmon: `make run` and `make test` need no other set-up. Cargo decides what is stale.
CARGO ?= cargo
ARGS ?=
FUZZ_RUNS ?= 200000

.PHONY: all run test lint sandboxtest fuzz miri syscalls instructions outage bench-report accuracy memory faulttest killtest swaptest clean

all:
	$(CARGO) build --release

# Monitors the targets of ./tcpmon.conf or /etc/tcpmon.conf, else a few public resolvers;
# make run ARGS="web=127.0.0.1:8080" monitors that target.
run: all
	target/release/tcpmon $(ARGS)

test:
	$(CARGO) test

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml

# The edges tests with a build that is killed at a system call that its filter does not allow.
sandboxtest:
	RUSTFLAGS="$$RUSTFLAGS --cfg tcpmon_fatal" $(CARGO) test --target-dir target/fatal --test edges

# Looks for bytes that break a property, FUZZ_RUNS executions of each target (needs a C++ compiler);
# make fuzz FUZZ_RUNS=10000000 needs most of an hour.
fuzz:
	tests/fuzz/run $(FUZZ_RUNS)

# Undefined behaviour in code without system calls (needs a nightly toolchain with miri).
miri:
	tests/miri

# System calls per probe and wake-ups of an idle monitor (needs strace).
syscalls:
	$(CARGO) bench --quiet --bench measure -- syscalls

# User instructions per probe, with and without the daily files, and per line of samples (needs valgrind).
instructions:
	$(CARGO) bench --quiet --bench measure -- instructions

# Times of other probes while a thousand targets go down in one tick.
outage:
	$(CARGO) bench --quiet --bench measure -- outage

# Time and memory of a report of a year of 20 targets, beside mawk (needs mawk).
bench-report:
	$(CARGO) bench --quiet --bench measure -- report

# Error of the reported connect times, compared with a capture (needs namespaces).
accuracy:
	$(CARGO) bench --quiet --bench measure -- accuracy

# Private memory of the monitor and of a helper, in the build of make dist ARCH=x86_64 (needs strace and namespaces);
# make memory STATIC=... measures another binary.
STATIC ?= target/dist/x86_64-unknown-linux-musl/release/tcpmon
memory:
	@test -f '$(STATIC)' || { echo "tcpmon: memory: $(STATIC) is missing, run make dist ARCH=x86_64 first" >&2; exit 1; }
	$(CARGO) bench --quiet --bench measure -- memory $(STATIC)

# Every system call fails with every errno of its manual page (needs strace and namespaces);
# make faulttest CALLS="connect write" makes only these calls fail.
CALLS ?= all
faulttest:
	$(CARGO) bench --quiet --bench fault -- $(CALLS)

# SIGKILL at every system call and at random moments: no probe is lost or reported twice (needs strace).
killtest:
	$(CARGO) bench --quiet --bench kill

# Another user swaps files and pids before and after every system call that names one: nothing foreign changes, is
# signalled or shown (needs root, sudo, or a user namespace with several users); SWAP_RUNS=all makes every swap.
swaptest:
	$(CARGO) bench --quiet --bench swap

clean:
	$(CARGO) clean

# Installing compiles nothing and does not run cargo, so that root can install what a user has built.
# The directories have the GNU names; START=cron|systemd|procd|none is what starts tcpmon.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
prefix = $(PREFIX)
exec_prefix = $(prefix)
sbindir = $(exec_prefix)/sbin
datarootdir = $(prefix)/share
mandir = $(datarootdir)/man
sysconfdir = $(SYSCONFDIR)
localstatedir = /var
BINARY ?= target/release/tcpmon
INSTALLER = sh src/install/install.sh 'BINARY=$(BINARY)' CONFIG=src/tcpmon.conf 'DESTDIR=$(DESTDIR)' 'SBINDIR=$(sbindir)' \
	'MANDIR=$(mandir)' 'SYSCONFDIR=$(sysconfdir)' 'LOGDIR=$(localstatedir)/log/tcpmon' 'START=$(START)'

.PHONY: install uninstall deploy installtest
install:
	@test -f '$(BINARY)' || { echo "tcpmon: install: $(BINARY) is missing, run make first" >&2; exit 1; }
	@$(INSTALLER)

# Removes what was installed; configuration and logs are kept.
uninstall:
	@$(INSTALLER) --uninstall

# Copies an archive of make dist to a box with a shell and an ssh server, and installs it there:
# make deploy HOST=root@router ARCH=armv7 [SSH="ssh -p 2222"] [INSTALL="START=procd"]
DIST ?= dist
SSH ?= ssh
deploy:
	@test -n "$(HOST)" -a -n "$(ARCH)" || { echo "usage: make deploy HOST=root@router ARCH=armv7" >&2; exit 2; }
	@SSH='$(SSH)' sh src/install/deploy.sh '$(HOST)' \
		"$(DIST)/tcpmon-$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)-$(ARCH).tar.gz" $(INSTALL)

# Tests installer and man page with the real cron, crond, ssh and tail (needs root or sudo, busybox, cron, dropbear, mandoc).
installtest: all
	tests/install/run $(BINARY)

# The service under a real systemd, in qemu: start, kill, reload, stop, upgrades also of an old installation (needs
# qemu-system-x86, mmdebstrap, e2fsprogs, apt, root or sudo, and the binary of make dist ARCH=x86_64).
.PHONY: systemdtest
systemdtest:
	tests/systemd/run $(STATIC)

# A real Prometheus collects three monitors, in each way of src/fleet; its counters must be those of the daily logs. promtool
# and it try the rules, and it answers every query of the dashboard (needs prometheus, prometheus-node-exporter, busybox,
# dnsmasq, and root or sudo).
.PHONY: fleettest
fleettest: all
	tests/fleet/run $(BINARY)

# Checks the pages of report --html with the Nu Html Checker, Chromium and axe (needs chromium, npm, java, python3).
.PHONY: pagetest
pagetest: all
	tests/page/run $(BINARY)

# Static binaries for every CPU of src/dist/targets (make dist ARCH=armv7 for one), and their checks. Needs rust-src
# and zig, and says how to get them; CROSS=1 builds in containers with cross (cross.toml).
CROSS ?=
.PHONY: dist deb debtest size check-dist audit reproducible release-check
dist:
	@CARGO='$(CARGO)' CROSS='$(CROSS)' src/dist/build $(ARCH)

# Debian packages of the archives in dist, of all that are there or make deb ARCH="x86_64 armv7": installed with
# apt install ./dist/tcpmon_VERSION_amd64.deb. Compiles nothing (needs dpkg-deb).
deb:
	@DIST='$(DIST)' src/dist/deb $(ARCH)

# lintian, and real dpkg, apt and cron in a small Debian, with the archive of this machine's CPU (needs root or sudo,
# mmdebstrap, lintian, and Debian's archive the first time).
debtest:
	@tests/dist/deb

# Size and budget, by crate and part.
size:
	@tests/dist/size $(ARCH)

# Each binary under qemu-user next to a native one, in a namespace; past 2038; and that of i686 under strace, without the
# old or the new time calls (needs qemu-user, faketime, dnsmasq, strace).
check-dist: all
	@tests/dist/check $(BINARY) $(ARCH)

# PIE, RELRO, NX.
audit:
	@tests/dist/audit $(ARCH)

reproducible:
	@tests/dist/reproducible $(ARCH)

# Build and all checks for every CPU; needs a quarter of an hour.
release-check:
	@$(MAKE) --no-print-directory dist ARCH=
	@failed=; for what in audit reproducible check-dist size; do \
		echo "== $$what"; $(MAKE) --no-print-directory $$what ARCH= || failed="$$failed $$what"; \
	done; test -z "$$failed" || { echo "release-check: failed:$$failed" >&2; exit 1; }
