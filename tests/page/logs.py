"""Daily files of made-up services, with plausible noise and outages, always the same ones."""

import datetime
import math
import os
import random

BEGIN = 1_760_004_000  # 2025-10-09 12:00:00 in Berlin
ROW = 300
PROBES = ROW // 2

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "a'b\"c&amp;d</title></style>",
    "名" * 64,
    "שלום עולם",
    "\u202eright to left\u202c",
    "a b  c%20d#e?f",
    "a%20b",
    "a b",
    ":t",
    "x" * 64,
    "e\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308" * 3,
    "\U0001f680 rocket",
    "javascript:alert(1)",
    "-->]]><!--",
]


def moment(unix, offset):
    zone = datetime.timezone(datetime.timedelta(seconds=offset))
    return datetime.datetime.fromtimestamp(unix, zone)


class Files:
    def __init__(self, directory, offset):
        self.directory, self.offset, self.open = directory, offset, {}
        os.makedirs(directory, exist_ok=True)

    def add(self, kind, unix, line):
        day = moment(unix, self.offset).strftime("%Y%m%d")
        name = f"tcp_{kind}_{day}.log"
        if name not in self.open:
            self.open[name] = open(os.path.join(self.directory, name), "w", encoding="utf-8")
            header = {
                "stats": "Timestamp           | Service              | Conn<1s | Conn1-5s | DNS<1s |  DNS1-5s | DNSFail | ConnFailed | Total",
                "times": "Timestamp           | Service              | Target                |  DNS p50 |  DNS p95 |  DNS max | Conn p50 | Conn p95 | Conn max | SYNs resent | Skipped | Why",
            }.get(kind)
            if header:
                self.open[name].write(header + "\n")
        self.open[name].write(line + "\n")

    def close(self):
        for file in self.open.values():
            file.close()

    def stamp(self, unix):
        return moment(unix, self.offset).strftime("%Y-%m-%d %H:%M:%S")

    def event(self, unix, kind, service, endpoint, text):
        self.add("events", unix, f"{moment(unix, self.offset).isoformat()} | {kind} | {service} | {endpoint} | {text}")

    def iso(self, unix):
        return moment(unix, self.offset).isoformat()


def write(directory, services, hours=24, offset=7200, seed=1, busy=0.3):
    """Files of these services that end at BEGIN + 24 h; `busy` is the part of them that has outages."""
    rng = random.Random(seed)
    files = Files(directory, offset)
    end = BEGIN + 86_400
    begin = end - hours * 3600
    gap = (begin + hours * 1800, begin + hours * 1800 + 1500)
    common = (begin + hours * 2400, begin + hours * 2400 + 420)
    files.event(begin + 2, "start", "-", "-", f"tcpmon 0.2.0, {len(services)} targets")
    files.event(gap[1] + 2, "killed", "-", "-", f"nobody watched from {files.iso(gap[0])} to {files.iso(gap[1])}")
    files.event(gap[1] + 2, "start", "-", "-", f"tcpmon 0.2.0, {len(services)} targets")
    plans = []
    for number, name in enumerate(services):
        outages = []
        if len(services) > 2:
            outages.append((*common, "lookup resolver gave no answer"))
        if rng.random() < busy:
            for _ in range(rng.randint(1, 6)):
                first = rng.randrange(begin + 600, end - 600)
                reason = rng.choice(["connect refused by 192.0.2.7", "connect timed out by 192.0.2.7", "lookup timed out"])
                outages.append((first, first + int(rng.expovariate(1 / 400)) + 8, reason))
        if number == 1:
            outages.append((end - 700, None, "connect refused by 192.0.2.9"))
        base = 10 ** rng.uniform(-0.3, 2.2)
        plans.append((name, f"host-{number}.example.com:{443 + number % 7}", base, sorted(outages, key=lambda o: o[0])))
    for name, endpoint, _, outages in plans:
        for first, last, reason in outages:
            files.event(first + 6, "down", name, endpoint, f"{reason}, since {files.iso(first)}, 3 failed")
            if last:
                files.event(last + 2, "up", name, endpoint,
                            f"connected to 192.0.2.7 in 11.1 ms, down for {last - first} s since {files.iso(first)}, {(last - first) // 2} failed")
    for stamp in range(begin + ROW, end + 1, ROW):
        if gap[0] < stamp <= gap[1]:
            continue
        for number, (name, endpoint, base, outages) in enumerate(plans):
            down, reason = 0, ""
            for first, last, why in outages:
                overlap = min(last or end, stamp) - max(first, stamp - ROW)
                if overlap > 0:
                    down, reason = down + overlap // 2, why
            down = min(down, PROBES)
            lookup = reason.startswith("lookup")
            day = 1 + 0.5 * math.sin((stamp - begin) / 86_400 * 2 * math.pi + number)
            slow = rng.choice([0] * 30 + [1, 2, 5]) if down < PROBES else 0
            lost = 1 if down == 0 and rng.random() < 0.02 else 0
            failed_lookups = down if lookup else 0
            failed_connects = (0 if lookup else down) + lost
            good = PROBES - failed_lookups - failed_connects
            slow = min(slow, good)
            files.add("stats", stamp, f"{files.stamp(stamp)} | {name:<20} | {good - slow:>7} | {slow:>8} | {good + failed_connects:>6} | {0:>8} | {failed_lookups:>7} | {failed_connects:>10} | {PROBES:>5}")
            cells = []
            for mean, count in ((0.7, 0 if number % 5 == 4 else good + failed_connects), (base * day, good)):
                if count == 0:
                    cells += ["-"] * 3
                    continue
                p50 = mean * rng.uniform(0.9, 1.15)
                p95 = p50 * rng.uniform(1.2, 1.8)
                most = p95 * rng.uniform(1.2, 6)
                if slow and mean != 0.7:
                    most = 1000 + rng.uniform(0, 40) + p50
                cells += [f"{int(t * 10) / 10:.1f}" for t in (p50, p95, most)]
            why = []
            if failed_connects - lost > 0:
                why.append(f"connect {'refused' if 'refused' in reason else 'timed out'} {failed_connects - lost}")
            if lost:
                why.append("connect timed out 1")
            if failed_lookups:
                why.append(f"lookup {'timed out' if 'timed' in reason else 'resolver gave no answer'} {failed_lookups}")
            if slow:
                why.append(f"slow by resent SYNs {slow}")
            if number == 3 and rng.random() < 0.1:
                why.append("silent 192.0.2.250 7")
            files.add("times", stamp, f"{files.stamp(stamp)} | {name:<20} | {endpoint:<21} | " + " | ".join(f"{c:>8}" for c in cells)
                      + f" | {slow:>11} | {0:>7} | {'; '.join(why) or '-'}")
    files.close()


def names(count):
    known = ["promotion-api", "web", "db-primary", "db-replica", "ldap", "smtp-relay", "vpn-gateway", "dns-1", "dns-2", "grafana",
             "registry", "git", "ci", "backup", "payment", "sip-trunk", "mqtt", "proxy", "time", "printer"]
    return [known[i] if i < len(known) else f"branch-{i:04}" for i in range(count)]
