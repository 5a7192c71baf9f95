"""The binaries that `make dist` packed, and a reader of ELF files."""

import collections
import os
import pathlib
import re
import struct
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
TARGET_DIR = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "dist"

Target = collections.namedtuple("Target", "arch rust zig zig_cpu link budget qemu cpu")
TARGETS = {line.split()[0]: Target(*line.split("|")[0].split())
           for line in (ROOT / "src/dist/targets").read_text().splitlines() if not line.startswith("#")}


def archive(arch):
    return ROOT / "dist" / f"tcpmon-{VERSION}-{arch}.tar.gz"


def chosen(words):
    """The named targets, all of which must have been built; without names all that have been built."""
    for word in words:
        if word not in TARGETS:
            sys.exit(f"tcpmon: \"{word}\" is not a known ARCH, write one of {' '.join(TARGETS)}")
        if not archive(word).exists():
            sys.exit(f"tcpmon: {archive(word).relative_to(ROOT)} is missing, make dist ARCH={word} makes it")
    found = [TARGETS[arch] for arch in words or TARGETS if archive(arch).exists()]
    if not found:
        sys.exit("tcpmon: dist/ has no archive, make dist makes them")
    return found


def program(target):
    """The bytes of the program in the archive."""
    with tarfile.open(archive(target.arch)) as packed:
        return packed.extractfile(f"tcpmon-{VERSION}-{target.arch}/tcpmon").read()


Section = collections.namedtuple("Section", "name type flags address size")
Segment = collections.namedtuple("Segment", "type flags address size")
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_GNU_STACK, PT_GNU_RELRO = 1, 2, 3, 0x6474E551, 0x6474E552
EXECUTE, WRITE = 1, 2


class Elf:
    def __init__(self, data):
        order = "<" if data[5] == 1 else ">"
        wide = data[4] == 2
        unpack = lambda form, at: struct.unpack_from(order + form, data, at)
        self.type = unpack("H", 16)[0]
        phoff, shoff = unpack("QQ" if wide else "II", 32 if wide else 28)
        phentsize, phnum, shentsize, shnum, shstrndx = unpack("HHHHH", 54 if wide else 42)
        self.segments = []
        for at in range(phoff, phoff + phnum * phentsize, phentsize):
            if wide:
                kind, flags, _, address, _, _, size, _ = unpack("IIQQQQQQ", at)
            else:
                kind, _, address, _, _, size, flags, _ = unpack("IIIIIIII", at)
            self.segments.append(Segment(kind, flags, address, size))
        raw = [unpack("IIQQQQ" if wide else "IIIIII", at) for at in range(shoff, shoff + shnum * shentsize, shentsize)]
        names = raw[shstrndx][4]
        name = lambda at: data[names + at:data.index(b"\0", names + at)].decode()
        self.sections = [Section(name(r[0]), r[1], r[2], r[3], r[5]) for r in raw]
        self.dynamic = {}
        for r in raw:
            if r[1] == 6:  # SHT_DYNAMIC
                entry = 16 if wide else 8
                self.dynamic = dict(unpack("QQ" if wide else "II", at) for at in range(r[4], r[4] + r[5], entry))

    def segment(self, kind):
        return next((segment for segment in self.segments if segment.type == kind), None)
