"""Runs a 32-bit x86 binary on this machine's kernel while strace makes it look like others: one that lacks the calls
with 32-bit times or those with 64-bit times, or a sandbox that refuses either with EPERM. Everywhere it must look up,
connect and wait as always. It runs in the namespace of `check`; the names are dnsmasq's."""

import collections
import os
import re
import signal
import subprocess
import threading
import time

from lab import Listener, rows, sums

# Every call of i386 that exists in both forms and that the program, musl's resolver or the standard library may make.
OLD = ("clock_gettime", "gettimeofday", "time", "clock_getres", "clock_nanosleep", "nanosleep", "ppoll", "pselect6", "select",
       "_newselect", "timerfd_settime", "timerfd_gettime", "recvmmsg", "futex", "utimensat", "rt_sigtimedwait")
NEW = ("clock_gettime64", "clock_getres_time64", "clock_nanosleep_time64", "ppoll_time64", "pselect6_time64",
       "timerfd_settime64", "timerfd_gettime64", "recvmmsg_time64", "futex_time64", "utimensat_time64", "rt_sigtimedwait_time64")
WORLDS = {"both forms": None, "no old calls": (OLD, "ENOSYS"), "old calls refused": (OLD, "EPERM"),
          "no new calls": (NEW, "ENOSYS"), "new calls refused": (NEW, "EPERM")}
# These two are made again and again, so the form that works must be remembered.
WAITS = re.compile(r"\b(ppoll|clock_nanosleep)(?:_time64)?\(")
SECONDS = 6
# Ticks come every 500 ms.
TICKS = (2 * SECONDS, 2 * SECONDS + 1)
# A name that nobody answers is asked for again after 2.5 s and given up after 5 s, and the run waits for its last lookup.
LONGEST = SECONDS + 8
# A run with both forms makes about 2,400 system calls; a loop that does not sleep makes thousands a second.
MOST_CALLS = 5000
MOST_CALLS_OF_STATUS = 500


class World:
    def __init__(self, name, binary, port, work):
        self.name, self.binary, self.port = name, binary, port
        self.work = work / name.replace(" ", "-")
        self.work.mkdir()
        self.mute = f"{self.work.name}.mute"
        self.wrong = []

    def command(self, calls, *words):
        inject = ["-e", f"inject={','.join(WORLDS[self.name][0])}:error={WORLDS[self.name][1]}"] if WORLDS[self.name] else []
        return ["strace", "-f", "-qq", "-o", str(self.work / calls), *inject, str(self.binary), *words]

    def run(self):
        listener = Listener("127.0.0.2", self.port)
        words = ["-q", "--interval", "500ms", "--report", "2s", "--for", f"{SECONDS}s", "--log-dir", str(self.work / "logs"), "--ledger",
                 str(self.work / "ledger"), f"one=127.0.0.2:{self.port}", f"named=web.lab:{self.port}", f"mute={self.mute}:1"]
        began = time.monotonic()
        # A group of its own: if strace alone were killed, the program would go on.
        monitor = subprocess.Popen(self.command("calls", *words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   start_new_session=True)
        time.sleep(1.5)
        self.watch()
        try:
            output, _ = monitor.communicate(timeout=max(0, began + LONGEST - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(monitor.pid, signal.SIGKILL)
            output, _ = monitor.communicate()
        took = time.monotonic() - began
        if (monitor.returncode, output) != (0, "") or took < SECONDS - 0.5:
            self.wrong.append(f"exit status {monitor.returncode} after {took:.1f} s: {output[:300]}")
        self.counted = sums(rows(self.work / "logs", self.wrong))
        for service in ("one", "named", "mute"):
            fast, _, dns_fast, _, dns_fail, _, total = self.counted[service]
            if total not in TICKS or not (dns_fail if service == "mute" else fast == dns_fast and fast) == total:
                self.wrong.append(f"{service} counted {self.counted[service]} in {TICKS[0]} ticks")
        accepted = listener.close()
        if accepted != self.counted["one"][0] + self.counted["named"][0]:
            self.wrong.append(f"the listener accepted {accepted}, but {dict(self.counted)} was counted")
        self.calls = self.count("calls", MOST_CALLS)

    def watch(self):
        """`status --watch` sleeps for a second between two lines."""
        words = ["status", "--json", "--watch", "--ledger", str(self.work / "ledger")]
        status = subprocess.Popen(self.command("watch", *words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  start_new_session=True)
        kill = lambda: os.killpg(status.pid, signal.SIGKILL)
        too_late = threading.Timer(LONGEST / 2, kill)
        too_late.start()
        lines, times = [], []
        for _ in range(3):
            lines.append(status.stdout.readline())
            times.append(time.monotonic())
        too_late.cancel()
        too_late.join()
        if lines[-1]:
            kill()
        status.communicate()
        if not all(line.startswith("{") for line in lines) or not 1.9 < times[2] - times[0] < 4:
            self.wrong.append(f"status --watch: three lines in {times[2] - times[0]:.1f} s, not in 2 s: {lines[0][:300]}")
        self.count("watch", MOST_CALLS_OF_STATUS)

    def count(self, calls, most):
        """How many system calls there were. A wait in a form that does not work is tried once, not at each turn."""
        count, failed = 0, collections.Counter()
        with open(self.work / calls, errors="replace") as lines:
            for count, line in enumerate(lines, 1):
                if "(INJECTED)" in line and (wait := WAITS.search(line)):
                    failed[wait[1]] += 1
        if count > most or any(count > 2 for count in failed.values()):
            self.wrong.append(f"{calls}: {count} system calls, of which failed {dict(failed)}")
        return count


def can_run(binary):
    """Whether this kernel runs programs of 32-bit x86 itself: qemu-user would make other calls."""
    if os.uname().machine not in ("x86_64", "i686"):
        return False
    try:
        return subprocess.run([binary, "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


def check(binary, work, queries, wrong, said):
    """`queries` is dnsmasq's log. Nobody answers for names below `mute`."""
    if not can_run(binary):
        print("SKIPPED: kernels without one form of the time calls: this machine does not run 32-bit x86 programs")
        if os.environ.get("TCPMON_NO_SKIP") == "1":
            wrong.append("the check of the time calls was skipped")
        return
    work = work / "time-calls"
    work.mkdir()
    # The same program, but musl does not find the vDSO: then the clocks are read with system calls.
    bare = work / "tcpmon"
    program = binary.read_bytes()
    if b"__vdso_clock_gettime" not in program:
        wrong.append("time calls: the binary has no name of a function of the vDSO, look how musl reads the clocks")
    bare.write_bytes(program.replace(b"__vdso_clock_gettime", b"__none_clock_gettime"))
    bare.chmod(0o755)
    worlds = [World(name, bare, 8200 + number, work) for number, name in enumerate(WORLDS)]
    threads = [threading.Thread(target=world.run) for world in worlds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = queries.read_text()
    for world in worlds:
        asked, lookups = text.count(f"query[A] {world.mute} "), world.counted["mute"][6]
        if asked != 2 * lookups:
            world.wrong.append(f"{lookups} lookups of a name that nobody answers asked {asked} times")
        wrong += [f"time calls, {world.name}: {what}" for what in world.wrong]
    said.append("system calls: " + ", ".join(f"{world.name} {world.calls}" for world in worlds))
