"""Roots to install into, the commands that run in them, and a reader of daily logs."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/dist"))
from lab import Listener

SHIPPED = REPOSITORY / "src/install"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Wrong(Exception):
    """A check failed."""


class Skip(Exception):
    """The test cannot run here; the text says why."""


def expect(right, what):
    if not right:
        raise Wrong(what)


def need(*commands):
    """The paths of these commands; without one of them the test is skipped."""
    found = [shutil.which(command, path=f"{os.environ.get('PATH', '')}:{PATH}") for command in commands]
    if None in found:
        raise Skip(f"there is no {commands[found.index(None)]}")
    return found if len(found) > 1 else found[0]


def wait_until(what, seconds, reached):
    """Polls until `reached` is true; returns the seconds that took, and its value."""
    began = time.monotonic()
    while not (value := reached()):
        if time.monotonic() - began > seconds:
            raise Wrong(f"within {seconds} s not: {what}")
        time.sleep(0.1)
    return time.monotonic() - began, value


def run(*words, env=None, **more):
    """Runs a command and returns stdout and stderr; the exit status must be `status`, which is 0 by default."""
    words = [str(word) for word in words]
    done = subprocess.run(words, env={"PATH": PATH, **(env or {})}, stdin=more.pop("stdin", subprocess.DEVNULL),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    status = more.pop("status", 0)
    if done.returncode != status:
        raise Wrong(f"{' '.join(words)}: exit status {done.returncode}, not {status}:\n{done.stdout}")
    return done.stdout


def make(target, *words, **more):
    """Makes a target of the Makefile; compiling would fail."""
    return run("make", "-s", "-C", REPOSITORY, target, "CARGO=false", *words, **more)


def package(binary, folder, name="tcpmon-test"):
    """A folder like that of an unpacked archive."""
    unpacked = folder / name
    unpacked.mkdir(parents=True)
    shutil.copy(binary, unpacked / "tcpmon")
    for file in ["README.md", "src/tcpmon.conf"]:
        shutil.copy(REPOSITORY / file, unpacked)
    for file in ["install.sh", "tcpmon.8", "tcpmon.conf.5", "tcpmon.service", "tcpmon.procd"]:
        shutil.copy(SHIPPED / file, unpacked)
    return unpacked


def tree(root):
    """Everything below a directory except proc and dev: kind and mode, owner, content, and a file's mtime."""
    found = {}
    for path in (path for top in sorted(root.iterdir()) if top.name not in ("proc", "dev") for path in [top, *top.rglob("*")]):
        stat = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        when = stat.st_mtime_ns if not path.is_dir() else None
        found[str(path.relative_to(root))] = (oct(stat.st_mode), stat.st_uid, content, when)
    return found


class Box:
    """A root directory in which programs run."""

    def __init__(self, root):
        self.root = root

    def mount(self, *words):
        run("mount", *words)

    def start(self, *words, **more):
        return subprocess.Popen(["chroot", str(self.root), *words], env={"PATH": PATH, "HOME": "/root"}, cwd="/",
                                stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, **more)

    def run(self, *words, **more):
        return run("chroot", self.root, *words, env={"HOME": "/root"}, **more)

    def status(self, program, config="/etc/tcpmon.conf"):
        """What `status` says, or None if it fails."""
        done = subprocess.run(["chroot", str(self.root), program, "status", "-j", "-c", config], capture_output=True,
                              text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def pid(self, program):
        """The running monitor's pid, or 0."""
        status = self.status(program)
        return status["pid"] if status and status["running"] else 0


def libraries(binary, root):
    """Copies the libraries of a dynamic binary to the same paths below a root."""
    done = subprocess.run(["ldd", str(binary)], capture_output=True, text=True)
    for word in done.stdout.split():
        if word.startswith("/") and done.returncode == 0:
            target = root / word.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy(word, target)


def busybox_box(root, binary):
    """A router that has only busybox."""
    busybox = need("busybox")
    for folder in ["bin", "sbin", "usr/bin", "usr/sbin", "etc", "dev", "proc", "tmp", "root", "var/log", "var/run", "var/spool/cron"]:
        (root / folder).mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    libraries(busybox, root)
    libraries(binary, root)
    box = Box(root)
    box.mount("--bind", "/dev", root / "dev")
    box.mount("-t", "proc", "proc", root / "proc")
    box.run("/bin/busybox", "--install", "-s")
    (root / "etc/passwd").write_text("root:*:0:0:root:/root:/bin/sh\nnobody:*:65534:65534:nobody:/var:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/shells").write_text("/bin/sh\n")
    return box


def debian_box(root):
    """This system, but with a new /etc, /var and /usr/local."""
    for folder in ["usr", "etc/cron.d", "dev", "proc", "tmp", "root", "run", "var/log", "var/spool/cron/crontabs"]:
        (root / folder).mkdir(parents=True)
    box = Box(root)
    for name in ["bin", "sbin", "lib", "lib32", "lib64"]:
        path = pathlib.Path("/", name)
        if path.is_symlink():
            (root / name).symlink_to(os.readlink(path))
        elif path.is_dir():
            (root / name).mkdir()
            box.mount("--bind", path, root / name)
    box.mount("--bind", "/usr", root / "usr")
    box.mount("-t", "tmpfs", "tmpfs", root / "usr/local")
    box.mount("--bind", "/dev", root / "dev")
    box.mount("-t", "proc", "proc", root / "proc")
    for name in ["pam.d", "security"]:
        shutil.copytree(f"/etc/{name}", root / "etc" / name, symlinks=True)
    (root / "etc/passwd").write_text("root:*:0:0:root:/root:/bin/sh\nnobody:*:65534:65534:nobody:/var:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\ncrontab:x:101:\n")
    (root / "etc/environment").write_text("")
    (root / "etc/crontab").write_text("")
    (root / "var/run").symlink_to("/run")
    # cron reads a directory again when its mtime differs, in whole seconds: so it must be an old one.
    os.utime(root / "etc/cron.d", (1, 1))
    os.utime(root / "var/spool/cron/crontabs", (1, 1))
    return box


def rows(folder):
    """The rows of all daily logs in a directory, in their order: stamp, service and seven numbers."""
    found = []
    for log in sorted(folder.glob("tcp_stats_2*.log")):
        for line in log.read_text().splitlines():
            cells = [cell.strip() for cell in line.split("|")]
            if cells[0] != "Timestamp":
                fast, slow, dns_fast, dns_slow, dns_fail, failed, total = numbers = [int(cell) for cell in cells[2:]]
                adds_up = fast + slow + failed + dns_fail == total == dns_fast + dns_slow + dns_fail
                expect(adds_up, f"does not add up: {line}")
                found.append((cells[0], cells[1], numbers))
    return found
