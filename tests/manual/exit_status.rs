//! The exit statuses of tcpmon(8), which come from real runs of the program.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};
use tcpmon::base::limits;
use tcpmon::base::time::Nanos;
use tcpmon::sys::clock;

use crate::{PAGE, assert_same, commands, rows, run, section};

/// Ends the run of this directory, if a test leaves it behind.
struct Background<'a>(&'a Path);

impl Drop for Background<'_> {
    fn drop(&mut self) {
        run(self.0, "stop -q -c conf --for-restart");
    }
}

/// A port without a listener, which stays reserved for as long as this lives.
fn closed_port() -> (OwnedFd, u16) {
    let held = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    socket::bind(held.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    let port = socket::getsockname::<SockaddrIn>(held.as_raw_fd()).unwrap().port();
    (held, port)
}

#[test]
fn the_manual_has_every_exit_status_that_a_command_has() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    let here = dir.display();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let up = format!("target web 127.0.0.1 {}\n", listener.local_addr().unwrap().port());
    let (_held, closed) = closed_port();
    let down = format!("target gone 127.0.0.1 {closed} down_after 1\n");
    let settings = format!("log_dir {here}/log\ninterval 100ms\nreport 1h\n");
    let write = |name: &str, lines: &str| fs::write(dir.join(name), format!("{settings}{lines}")).unwrap();
    write("conf", &up);
    write("none", "");
    fs::write(dir.join("relative"), &up).unwrap();
    write("lost", "keep 14\ntarget\n");
    fs::write(dir.join("nowhere"), "log_dir ~/log\n").unwrap();
    fs::write(dir.join("row"), "2025-10-09 00:00:00 | web | 9 | 1 | 10 | 0 | 0 | 0 | 10\n").unwrap();
    fs::create_dir_all(dir.join("bad/tcpmon.ledger")).unwrap();

    let mut found: BTreeSet<(&str, i32)> = BTreeSet::new();
    let mut gives = |arguments: &str, status: i32| {
        let (ended, said) = run(dir, arguments);
        assert_eq!(ended, status, "{arguments}: {said}");
        let word = arguments.trim_start_matches("--full ").split(' ').next().unwrap();
        let (_, word) = commands().into_iter().find(|(_, known)| *known == word).unwrap();
        found.insert((word, status));
    };
    let until = |arguments: &str, status: i32| {
        let limit = clock::monotonic() + Nanos::from_secs(120);
        loop {
            let (ended, said) = run(dir, arguments);
            if ended == status {
                return;
            }
            assert!(clock::monotonic() < limit, "{arguments}: {ended}: {said}");
            clock::rest(limits::LOOK);
        }
    };
    gives("run -q -n 1 -c conf", 0);
    gives("run -q -n 1 -c conf --log-dir row", 1);
    gives("run -q -c lost", 2);
    gives("check -c conf", 0);
    gives("check -c lost", 2);
    gives("once -c conf", 0);
    gives(&format!("once 127.0.0.1:{closed}"), 2);
    gives("once -c lost", 3);

    gives("start -c none", 1);
    gives("start -c relative", 2);
    gives("stop -c conf", 0);
    let background = Background(dir);
    gives("start -c conf", 0);
    until("status -c conf", 0);
    gives("status -c conf", 0);
    gives("status -c conf nobody", 1);
    gives("metrics -c conf", 0);
    gives("cgi -c conf", 0);
    gives("--full cgi -c conf", 1);
    write("conf", &down);
    gives("reload -c conf", 0);
    until("status -c conf", 2);
    gives("status -c conf", 2);
    gives("reload -c lost", 2);
    gives("stop -c conf", 0);
    gives("status -c conf", 3);
    gives("reload -c conf", 1);
    drop(background);
    gives("stop --log-dir bad", 1);
    gives("stop -c nowhere", 2);

    gives("report row", 0);
    gives("report nothing", 1);
    gives("report --bogus", 2);
    gives("metrics --log-dir nothing", 1);
    for word in ["metrics", "cgi", "sample", "help", "version"] {
        gives(&format!("{word} --bogus"), 2);
    }
    for word in ["sample", "help", "version"] {
        gives(word, 0);
        gives(&format!("--full {word}"), 1);
    }

    let rows = rows(section(PAGE, "EXIT STATUS"));
    let named = rows.iter().map(|row| (row[0], row[1].parse().unwrap()));
    assert_eq!(named.clone().collect::<BTreeSet<_>>(), found);
    assert_eq!(rows.len(), found.len(), "one row for each");
    // In the order of the commands.
    let mut order: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    order.dedup();
    assert_same(order, commands().iter().map(|(_, word)| word));
}
