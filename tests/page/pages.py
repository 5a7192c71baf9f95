"""Makes the pages that `browser.mjs` looks at: of made-up daily files, and of a monitor that runs.

usage: pages.py BINARY DIRECTORY
"""

import os
import shutil
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import logs

BINARY, DIRECTORY = os.path.abspath(sys.argv[1]), sys.argv[2]
MOST = {"20": 150_000, "1000": 8_000_000}
PERIOD = ["--from", "2025-10-09T12:00", "--to", "2025-10-10T12:00"]
os.environ["TZ"] = "Europe/Berlin"


def report(page, *arguments):
    with open(os.path.join(DIRECTORY, page + ".html"), "w") as out:
        begin = time.monotonic()
        made = subprocess.run([BINARY, "report", "--html", *arguments], stdout=out, stderr=subprocess.PIPE, text=True)
        size, seconds = out.tell() or os.path.getsize(out.name), time.monotonic() - begin
    print(f"{page}: {size:,} bytes in {seconds:.2f} s{made.stderr and ': ' + made.stderr.strip()}")
    assert size <= MOST.get(page, 1 << 20), f"{page}: more than {MOST[page]:,} bytes"
    return made.returncode


def made_up():
    for page, services, busy, hours in (
        ("1", logs.names(1), 1, 24), ("20", logs.names(20), 0.3, 24), ("1000", logs.names(1000), 0.1, 24),
        ("hostile", logs.HOSTILE, 0.6, 24), ("month", logs.names(3), 1, 720), ("hour", logs.names(2), 1, 24)):
        files = os.path.join(DIRECTORY, "logs", page)
        logs.write(files, services, hours=hours, busy=busy)
        period = {"month": [], "hour": ["--from", "2025-10-10T11:00", "--to", "2025-10-10T12:00:01"]}.get(page, PERIOD)
        assert report(page, *period, files) == 0
    # A day without a row, of files that have others.
    report("none", "--from", "2025-10-20", "--to", "2025-10-21", os.path.join(DIRECTORY, "logs", "1"))


def present():
    """A page of a monitor that runs, with a target that is up, one that is down, and hostile names."""
    home = os.path.join(DIRECTORY, "running")
    os.makedirs(home)
    listener = socket.create_server(("127.0.0.1", 0))
    closed = socket.create_server(("127.0.0.1", 0))
    refusing = closed.getsockname()[1]
    closed.close()
    config = os.path.join(home, "tcpmon.conf")
    with open(config, "w") as file:
        file.write(f"log_dir {home}\nledger {home}/ledger\ninterval 200ms\nreport 2s\ntimes on\nevents on\n")
        file.write(f"target web 127.0.0.1 {listener.getsockname()[1]}\n")
        for name in ("db", "<script>alert(1)</script>", "שלום"):
            file.write(f"target {name} 127.0.0.1 {refusing}\n")
    run = subprocess.Popen([BINARY, "run", "-q", "-c", config])
    try:
        time.sleep(7)
        assert report("present", "--last", "1m", "-c", config) == 0
        run.terminate()
        run.wait(20)
        assert report("ended", "--last", "1h", "-c", config) == 0
    finally:
        run.kill()


shutil.rmtree(DIRECTORY, ignore_errors=True)
os.makedirs(DIRECTORY)
made_up()
present()
