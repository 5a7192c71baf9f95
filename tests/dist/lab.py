"""For a real run: a namespace, a name server, listeners that count, and a reader of daily logs."""

import collections
import os
import pathlib
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time


def enter(script, mark, *words):
    """Runs the script again in new namespaces with these arguments; there the variable `mark` is set."""
    os.environ[mark] = "inside"
    os.execvp("unshare", ["unshare", *FLAGS, sys.executable, script, *words])


FLAGS = ["--net", "--mount"] if os.getuid() == 0 else ["--user", "--map-root-user", "--net", "--mount"]


def furnish(work):
    """Sets up the loopback device and the resolver's files."""
    run = lambda *words: subprocess.run(words, check=True)
    run("ip", "link", "set", "lo", "up")
    run("ip", "addr", "add", "fd00::1/128", "dev", "lo", "nodad")
    for name, text in {"resolv.conf": "nameserver 127.0.0.1\n", "nsswitch.conf": "hosts: dns\n", "hosts": ""}.items():
        (work / name).write_text(text)
        if os.path.exists(f"/etc/{name}"):
            run("mount", "--bind", str(work / name), f"/etc/{name}")


class Listener(threading.Thread):
    """Accepts and counts until it is closed; port 0 is any free port."""

    def __init__(self, address, port):
        super().__init__(daemon=True)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]
        self.wake, self.end = socket.socketpair()
        self.accepted = 0
        self.start()

    def run(self):
        with selectors.DefaultSelector() as ready:
            ready.register(self.socket, selectors.EVENT_READ)
            ready.register(self.end, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    if key.fileobj is self.end:
                        self.socket.close()
                        return
                    self.socket.accept()[0].close()
                    self.accepted += 1

    def close(self):
        self.wake.send(b"x")
        self.join()
        return self.accepted


class SlowServer(threading.Thread):
    """A name server that answers every A query with 127.0.0.1, `delay` seconds later."""

    def __init__(self, port, delay):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.delay = delay
        self.start()

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(512)
            threading.Timer(self.delay, self.answer, (query, peer)).start()

    def answer(self, query, peer):
        question_end = query.index(b"\0", 12) + 5
        has = query[question_end - 4:question_end - 2] == b"\0\1"
        head = query[:2] + b"\x85\x80\0\1" + (b"\0\1" if has else b"\0\0") + b"\0\0\0\0"
        record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1" if has else b""
        self.socket.sendto(head + query[12:question_end] + record, peer)


def dnsmasq(log, *more):
    command = ["dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--port=53", "--listen-address=127.0.0.1",
               "--bind-interfaces", "--log-queries", f"--log-facility={log}", "--pid-file=", "--user=root",
               "--local=/lab/", "--host-record=web.lab,127.0.0.2", "--host-record=dual.lab,127.0.0.3,fd00::1",
               "--host-record=six.lab,fd00::1", "--host-record=closed.lab,127.0.0.4", *more]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.2)
            asking.connect(("127.0.0.1", 53))
            try:
                asking.send(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05ready\x03lab\x00\x00\x01\x00\x01")
                asking.recv(512)
                return server
            except OSError:
                pass
    sys.exit("dnsmasq does not answer")


def end(server):
    server.send_signal(signal.SIGKILL)
    server.wait()


def rows(directory, wrong):
    """Every row of the daily logs, as (file, stamp, service, seven numbers); mistakes are added to `wrong`."""
    found = []
    for log in sorted(pathlib.Path(directory).glob("tcp_stats_2*.log")):
        lines = log.read_text().splitlines()
        wrong += [f"no header in {log.name}"] if not lines[0].startswith("Timestamp ") else []
        for line in lines[1:]:
            cells = [cell.strip() for cell in line.split("|")]
            fast, slow, dns_fast, dns_slow, dns_fail, failed, total = numbers = [int(cell) for cell in cells[2:]]
            if not fast + slow + failed + dns_fail == total == dns_fast + dns_slow + dns_fail:
                wrong.append(f"does not add up: {line}")
            found.append((log.name, cells[0], cells[1], numbers))
    return found


def sums(found):
    """The seven columns of each service, over all rows."""
    total = collections.defaultdict(lambda: [0] * 7)
    for _, _, service, numbers in found:
        total[service] = [a + b for a, b in zip(total[service], numbers)]
    return total
