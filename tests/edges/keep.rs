//! Old logs: which are deleted and when, and that nothing else is deleted; a file system without links.

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
use crate::running::RunDir;

/// The name of the log of so many days ago, in UTC.
fn log(days: i64) -> String {
    let wall = WallTime { unix: clocks::wall().unix - days * 86_400, nanos: 0, offset: 0 };
    format!("tcp_stats_{}.log", wall.to_string()[..10].replace('-', ""))
}

/// The names in a directory.
fn names(dir: &RunDir) -> Vec<String> {
    let names = fs::read_dir(dir.path()).expect("our own directory");
    let mut names: Vec<String> =
        names.map(|entry| entry.expect("it is there").file_name().into_string().expect("a text")).collect();
    names.sort();
    names
}

/// Makes logs of 13, 20 and 400 days ago and of tomorrow, and files with similar names. Returns the names
/// that `keep 14d` must keep.
fn fill(dir: &RunDir) -> Vec<String> {
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
    stay.iter().chain(&[20, 400].map(log)).for_each(|name| dir.write(name, ""));
    fs::create_dir(dir.path().join("tcp_stats_20200101.log")).expect("our own directory");
    symlink("notes.txt", dir.path().join("tcp_stats_20200102.log")).expect("our own directory");
    stay.extend(["tcp_stats_20200101.log".to_string(), "tcp_stats_20200102.log".to_string()]);
    stay
}

#[test]
fn logs_of_days_that_are_not_kept_are_deleted_at_the_start_and_nothing_else() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let mut stay = fill(&dir);
    assert_eq!(dir.run(&format!("-q -n 1 --keep 14d web={}", web.address)).outcome(), "exit 0");
    stay.extend(["tcp_stats_latest.log", "tcpmon.ledger"].map(str::to_string));
    stay.push(log(0));
    stay.sort();
    assert_eq!(names(&dir), stay);
}

#[test]
fn all_logs_are_kept_by_default_and_a_reload_can_change_that() {
    let web = Accepting::new();
    let dir = RunDir::new();
    fill(&dir);
    let config = format!("report 24h\ntarget web {} {}\n", web.address.ip(), web.address.port());
    dir.write("tcpmon.conf", &config);
    let run = dir.start("-q -c tcpmon.conf");
    wait_until("it probes", || !web.accepted().is_empty());
    assert!(dir.path().join(log(20)).exists());
    dir.write("tcpmon.conf", &format!("{config}keep 30d\n"));
    run.signal(Signal::SIGHUP);
    wait_until("the oldest is gone", || !dir.path().join(log(400)).exists());
    wait_until("it is said", || run.stderr().contains("0 new, 0 gone, keep all is now 30d\n"));
    assert!(dir.path().join(log(20)).exists());
    assert_eq!(run.end().code(), Some(0));
}

#[test]
fn files_that_cannot_be_deleted_are_said_once_and_stay() {
    let web = Accepting::new();
    let dir = RunDir::new();
    fill(&dir);
    let mut command = refusing(&[libc::SYS_unlinkat], Errno::EPERM);
    command.args(["-q", "-n", "3", "--interval", "400ms", "--report", "1s", "--keep", "14d"]);
    command.arg(format!("web={}", web.address));
    let ended = dir.spawn(command, Stdio::piped()).wait();
    let why = describe(tcpmon::sys::Errno::EPERM);
    assert_eq!(ended.outcome(), format!("exit 0\ntcpmon: log: old files in . cannot be deleted ({why}), they stay"));
    assert!(dir.path().join(log(20)).exists() && dir.path().join(log(400)).exists());
}

#[test]
fn a_file_system_without_links_is_said_once_and_the_log_is_written() {
    for errno in [Errno::EPERM, Errno::ENOSYS, Errno::EOPNOTSUPP] {
        let web = Accepting::new();
        let dir = RunDir::new();
        let mut command = refusing(&[libc::SYS_symlinkat], errno);
        command.args(["-q", "--for", "2500ms", "--interval", "400ms", "--report", "1s"]);
        command.arg(format!("web={}", web.address));
        let ended = dir.spawn(command, Stdio::piped()).wait();
        assert_eq!(
            ended.outcome(),
            "exit 0\ntcpmon: log: tcp_stats_latest.log in . cannot be made a link (the file system has none), \
             the log is written without it"
        );
        assert!(dir.rows().len() >= 3, "{errno}");
        assert!(!names(&dir).iter().any(|name| name.contains("latest")), "{errno}");
    }
}
