//! Old logs: which are deleted and when, and that nothing else is deleted; a file system without links.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use tcpmon::base::time::WallTime;
use tcpmon::model::log_names::Kind;
use tcpmon::sys::{clock as clocks, describe};

use crate::clock::wait_until;
use crate::listener::Accepting;
use crate::namespace::{self, Disk};
use crate::refusal::refusing;
use crate::running::{RunDir, rows_in, total};

/// The name of the log of so many days ago, in UTC.
pub fn log(days: i64) -> String {
    file(Kind::Stats, days)
}

/// The name of the daily file of this kind and so many days ago, in UTC.
pub fn file(kind: Kind, days: i64) -> String {
    kind.name(WallTime { unix: clocks::wall().unix - days * 86_400, nanos: 0, offset: 0 }).as_str().into()
}

/// The names in a directory.
fn names(dir: &RunDir) -> Vec<String> {
    let names = fs::read_dir(dir.path()).expect("our own directory");
    let mut names: Vec<String> =
        names.map(|entry| entry.expect("it is there").file_name().into_string().expect("a text")).collect();
    names.sort();
    names
}

/// Makes the logs of tomorrow, of the last 18 days and of 400 days ago, and files with similar names. Returns the names
/// that `keep 14d` must keep once today's log is begun.
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
    stay.push(log(-1));
    stay.extend((1..=12).map(log));
    stay.iter().for_each(|name| dir.write(name, ""));
    (13..=18).chain([400]).for_each(|days| dir.write(&log(days), ""));
    // The newest of all, but no files: they do not count.
    fs::create_dir(dir.path().join("tcp_stats_99990101.log")).expect("our own directory");
    symlink("notes.txt", dir.path().join("tcp_stats_99990102.log")).expect("our own directory");
    stay.extend(["tcp_stats_99990101.log".to_string(), "tcp_stats_99990102.log".to_string()]);
    stay
}

#[test]
fn the_newest_logs_stay_when_one_is_begun_and_nothing_else_is_deleted() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let mut stay = fill(&dir);
    let run = dir.start(&format!("-q --report 24h --keep 14d web={}", web.address));
    wait_until("it probes", || !web.accepted().is_empty());
    assert!(dir.path().join(log(400)).exists(), "no log is begun yet");
    assert_eq!(run.end().outcome(), "exit 0");
    stay.extend(["tcp_stats_latest.log", "tcpmon.ledger"].map(str::to_string));
    stay.push(log(0));
    stay.sort();
    assert_eq!(names(&dir), stay);
}

#[test]
fn all_logs_are_kept_by_default_and_a_reload_changes_that_from_the_next_log_on() {
    let web = Accepting::new();
    let dir = RunDir::new();
    fill(&dir);
    let config = format!("report 24h\ntarget web {} {}\n", web.address.ip(), web.address.port());
    dir.write("tcpmon.conf", &config);
    let run = dir.start("-q -c tcpmon.conf");
    wait_until("it probes", || !web.accepted().is_empty());
    let report = || {
        let lines = || fs::read_to_string(dir.path().join(log(0))).map_or(0, |text| text.lines().count());
        let before = lines();
        run.signal(Signal::SIGUSR1);
        wait_until("the report is there", || lines() > before);
    };
    report();
    dir.write("tcpmon.conf", &format!("{config}keep 20d\n"));
    run.signal(Signal::SIGHUP);
    wait_until("it is said", || run.stderr().contains("0 new, 0 gone, keep all is now 20d\n"));
    // Today's log is there already.
    report();
    assert!(dir.path().join(log(400)).exists());
    fs::remove_file(dir.path().join(log(0))).expect("it is there");
    report();
    assert!(!dir.path().join(log(400)).exists() && dir.path().join(log(18)).exists());
    assert_eq!(run.end().code(), Some(0));
}

#[test]
fn a_disk_without_room_for_another_file_gets_it_from_the_oldest_log() {
    namespace::within(|| {
        let web = Accepting::new();
        let dir = RunDir::new();
        let directory = dir.path().join("disk");
        fs::create_dir(&directory).expect("our own directory");
        // For the directory itself, two logs and one more.
        let disk = Disk::mounted(&directory, "64k,nr_inodes=4");
        for days in [1, 2] {
            fs::write(disk.path().join(log(days)), "").expect("there is room");
        }
        fs::write(disk.path().join("ballast"), "").expect("there is room");
        let arguments = format!("-q -n 1 --log-dir disk --ledger ./ledger --keep 2d web={}", web.address);
        assert!(dir.run(&arguments).outcome().starts_with("exit 0"));
        let left: Vec<bool> = [0, 1, 2].map(|days| directory.join(log(days)).exists()).to_vec();
        assert_eq!(left, [true, true, false]);
        assert_eq!(total(&rows_in(&directory), "web"), web.total() as u64);
    });
}

/// Bytes of files in whole blocks.
fn kilobytes(count: usize) -> String {
    "x".repeat(count << 10)
}

/// Makes files of all kinds, 20 KB a day, for each of the last five days, and other files with similar names and many bytes,
/// which must stay. Returns their names.
fn fill_with_all_kinds(dir: &RunDir) -> Vec<String> {
    for days in 1..=5 {
        for (kind, size) in [(Kind::Stats, 4), (Kind::Times, 4), (Kind::Events, 4), (Kind::Samples, 8)] {
            dir.write(&file(kind, days), &kilobytes(size));
        }
    }
    let others = [
        "tcp_samples_20250101.log",
        "tcp_events_20250101.log.gz",
        "tcp_times_2025101.log",
        "tcp_stats.log",
        "notes.txt",
    ];
    others.iter().for_each(|name| dir.write(name, &kilobytes(100)));
    fs::create_dir(dir.path().join("tcp_events_20200101.log")).expect("our own directory");
    symlink("notes.txt", dir.path().join("tcp_samples_20200102.csv")).expect("our own directory");
    let mut stay: Vec<String> = others.iter().map(|name| name.to_string()).collect();
    stay.extend(["tcp_events_20200101.log".to_string(), "tcp_samples_20200102.csv".to_string()]);
    stay
}

#[test]
fn the_oldest_days_of_all_kinds_go_until_the_bytes_fit_and_nothing_else_is_deleted() {
    // How many days stay: of the counts, which are begun, and of the other kinds, for which the number of days is not
    // judged until one of theirs is begun.
    for (keep, left, of_other_kinds) in [("14d 64k", 3, 3), ("64k 14d", 3, 3), ("3d 1M", 2, 5), ("2d 64k", 1, 3)] {
        let web = Accepting::new();
        let dir = RunDir::new();
        let mut stay = fill_with_all_kinds(&dir);
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
        command.args(["-q", "-n", "1", "--report", "24h", "--keep", keep]).arg(format!("web={}", web.address));
        assert_eq!(dir.spawn(command, Stdio::piped()).wait().outcome(), "exit 0", "{keep}");
        stay.extend(["tcp_stats_latest.log".to_string(), "tcpmon.ledger".to_string(), log(0)]);
        stay.extend((1..=left).map(log));
        for kind in [Kind::Times, Kind::Events, Kind::Samples] {
            stay.extend((1..=of_other_kinds).map(|days| file(kind, days)));
        }
        stay.sort();
        assert_eq!(names(&dir), stay, "{keep}");
        assert_eq!(fs::read_to_string(dir.path().join("notes.txt")).expect("it stays"), kilobytes(100));
    }
}

#[test]
fn a_file_of_each_kind_that_is_begun_replaces_the_oldest_of_its_own_kind() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let mut stay = Vec::new();
    for kind in Kind::ALL {
        (1..=5).for_each(|days| dir.write(&file(kind, days), ""));
        stay.extend((0..=2).map(|days| file(kind, days)));
        stay.push(kind.latest().to_string());
    }
    stay.push("tcpmon.ledger".to_string());
    stay.sort();
    let all = "--times on --events on --samples on --keep 3d";
    assert_eq!(dir.run(&format!("-q -n 1 {all} web={}", web.address)).outcome(), "exit 0");
    assert_eq!(names(&dir), stay);
}

#[test]
fn a_day_that_alone_has_too_many_bytes_stays_beside_the_one_begun_until_the_disk_is_full() {
    namespace::within(|| {
        let web = Accepting::new();
        let dir = RunDir::new();
        let directory = dir.path().join("disk");
        fs::create_dir(&directory).expect("our own directory");
        let arguments = format!("-q -n 1 --log-dir disk --ledger ./ledger --keep 64k web={}", web.address);
        for (inodes, stays) in [(20, true), (4, false)] {
            // For the directory itself and three files.
            let disk = Disk::mounted(&directory, &format!("512k,nr_inodes={inodes}"));
            for (kind, days) in [(Kind::Stats, 2), (Kind::Stats, 1), (Kind::Samples, 1)] {
                fs::write(disk.path().join(file(kind, days)), kilobytes(70)).expect("there is room");
            }
            assert!(dir.run(&arguments).outcome().starts_with("exit 0"));
            let left = [(Kind::Stats, 0), (Kind::Stats, 1), (Kind::Samples, 1), (Kind::Stats, 2)]
                .map(|(kind, days)| directory.join(file(kind, days)).exists());
            assert_eq!(left, [true, stays, stays, false], "{inodes}");
        }
    });
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
    assert!(dir.path().join(log(18)).exists() && dir.path().join(log(400)).exists());
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
