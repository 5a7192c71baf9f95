//! Old logs: which are deleted, when, and that nothing else is; and a file system without links.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use tcpmon::base::time::WallTime;
use tcpmon::sys::{clock as clocks, describe};

use crate::clock::wait_until;
use crate::listener::Accepting;
use crate::refusal::refusing;
use crate::running::Place;

/// The log of so many days ago, in UTC.
fn log(days: i64) -> String {
    let wall = WallTime { unix: clocks::wall().unix - days * 86_400, nanos: 0, offset: 0 };
    format!("tcp_stats_{}.log", wall.to_string()[..10].replace('-', ""))
}

/// The names in a place.
fn names(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.path()).expect("our own directory");
    let mut names: Vec<String> =
        names.map(|entry| entry.expect("it is there").file_name().into_string().expect("a text")).collect();
    names.sort();
    names
}

/// Logs of 13, 20 and 400 days ago and of tomorrow, and what only looks like one.
fn fill(place: &Place) -> Vec<String> {
    let others = [
        "tcp_stats_20251301.log",
        "tcp_stats_20250230.log",
        "tcp_stats_2025101.log",
        "tcp_stats_20250101.log.gz",
        "old_tcp_stats_20250101.log",
        "notes.txt",
    ];
    let mut stay: Vec<String> = others.iter().map(|name| name.to_string()).collect();
    stay.extend([13, -1].map(log));
    stay.iter().chain(&[20, 400].map(log)).for_each(|name| place.write(name, ""));
    fs::create_dir(place.path().join("tcp_stats_20200101.log")).expect("our own directory");
    symlink("notes.txt", place.path().join("tcp_stats_20200102.log")).expect("our own directory");
    stay.extend(["tcp_stats_20200101.log".to_string(), "tcp_stats_20200102.log".to_string()]);
    stay
}

#[test]
fn logs_of_days_that_are_not_kept_go_at_the_start_and_nothing_else() {
    let web = Accepting::new();
    let place = Place::new();
    let mut stay = fill(&place);
    assert_eq!(place.run(&format!("-q -n 1 --keep 14d web={}", web.address)).outcome(), "exit 0");
    stay.extend(["tcp_stats_latest.log", "tcpmon.ledger"].map(str::to_string));
    stay.push(log(0));
    stay.sort();
    assert_eq!(names(&place), stay);
}

#[test]
fn all_are_kept_unless_it_is_asked_for_and_a_reload_asks() {
    let web = Accepting::new();
    let place = Place::new();
    fill(&place);
    let config = format!("report 24h\ntarget web {} {}\n", web.address.ip(), web.address.port());
    place.write("tcpmon.conf", &config);
    let run = place.start("-q -c tcpmon.conf");
    wait_until("it probes", || !web.accepted().is_empty());
    assert!(place.path().join(log(20)).exists());
    place.write("tcpmon.conf", &format!("{config}keep 30d\n"));
    run.signal(Signal::SIGHUP);
    wait_until("the oldest is gone", || !place.path().join(log(400)).exists());
    wait_until("it is said", || run.stderr().contains("0 new, 0 gone, keep all is now 30d\n"));
    assert!(place.path().join(log(20)).exists());
    assert_eq!(run.end().code(), Some(0));
}

#[test]
fn files_that_cannot_be_deleted_are_said_once_and_stay() {
    let web = Accepting::new();
    let place = Place::new();
    fill(&place);
    let mut command = refusing(&[libc::SYS_unlinkat], Errno::EPERM);
    command.args(["-q", "-n", "3", "--interval", "400ms", "--report", "1s", "--keep", "14d"]);
    command.arg(format!("web={}", web.address));
    let ended = place.spawn(command, Stdio::piped()).wait();
    let why = describe(tcpmon::sys::Errno::EPERM);
    assert_eq!(ended.outcome(), format!("exit 0\ntcpmon: log: old files in . cannot be deleted ({why}), they stay"));
    assert!(place.path().join(log(20)).exists() && place.path().join(log(400)).exists());
}

#[test]
fn a_file_system_without_links_is_said_once_and_the_log_is_written() {
    for errno in [Errno::EPERM, Errno::ENOSYS, Errno::EOPNOTSUPP] {
        let web = Accepting::new();
        let place = Place::new();
        let mut command = refusing(&[libc::SYS_symlinkat], errno);
        command.args(["-q", "--for", "2500ms", "--interval", "400ms", "--report", "1s"]);
        command.arg(format!("web={}", web.address));
        let ended = place.spawn(command, Stdio::piped()).wait();
        assert_eq!(
            ended.outcome(),
            "exit 0\ntcpmon: log: tcp_stats_latest.log in . cannot be made a link (the file system has none), \
             the log is written without it"
        );
        assert!(place.rows().len() >= 3, "{errno}");
        assert!(!names(&place).iter().any(|name| name.contains("latest")), "{errno}");
    }
}
