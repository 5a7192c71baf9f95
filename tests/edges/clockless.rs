//! A box whose clock is wrong at the start and is set later. The library libfaketime sets the time that
//! the program reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::clock::{self, wait_until};
use crate::keep::log;
use crate::listener::Accepting;
use crate::namespace::skip;
use crate::running::{RunDir, Running, total};

/// The library's file, in the directories of several distributions.
fn library() -> Option<PathBuf> {
    let directories = ["x86_64-linux-gnu", "aarch64-linux-gnu", "i386-linux-gnu", "arm-linux-gnueabihf", ""];
    let file = |directory| Path::new("/usr/lib").join(directory).join("faketime/libfaketime.so.1");
    directories.into_iter().map(file).find(|file| file.exists())
}

/// Starts the program with a clock that reads this, in the form of libfaketime.
fn start(dir: &RunDir, library: &Path, reads: &str, arguments: &str) -> Running {
    dir.write("clock", reads);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
    command.args(arguments.split_whitespace()).env("LD_PRELOAD", library);
    command.env("FAKETIME_TIMESTAMP_FILE", dir.path().join("clock"));
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    dir.spawn(command, Stdio::piped())
}

const HELD: &str = "tcpmon: clock: 1970-01-02 00:00:";
const WAIT: &str = " is before this program was built, reports wait for it to be set, 15 minutes at most\n";

#[test]
fn a_box_that_boots_in_1970_reports_under_the_right_date_once_its_clock_is_set() {
    let Some(library) = library() else { return skip("a_box_that_boots_in_1970", "there is no libfaketime") };
    let web = Accepting::new();
    let dir = RunDir::new();
    let targets = format!("-q --interval 200ms --report 1s web={}", web.address);
    let run = start(&dir, &library, "@1970-01-02 00:00:10", &targets);
    wait_until("it probes", || web.accepted().len() > 15);
    assert_eq!(dir.logs(), Vec::<PathBuf>::new());
    let status = dir.run("status").stdout;
    assert!(status.contains(", reports wait for the clock to be set\n"), "{status}");
    // The clock is set while the program runs, which notices it at its next boundary.
    dir.write("clock", "+0");
    wait_until("a report is there", || !dir.rows().is_empty());
    web.wait_for_a_round(1);
    let ended = run.end();
    assert_eq!(ended.code(), Some(0));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let [held, set] = lines[..] else { panic!("{ended:?}") };
    assert!(format!("{held}\n").starts_with(HELD) && format!("{held}\n").ends_with(WAIT), "{held}");
    let today = &clock::wall()[..10];
    assert!(set.starts_with("tcpmon: clock: was set from 1970-01-02 00:00:"), "{set}");
    assert!(set.contains(&format!(" to {today} ")) && set.ends_with(", reports go by it"), "{set}");
    assert!(dir.rows().iter().all(|row| row.stamp.starts_with(today)), "{:?}", dir.rows());
    assert_eq!(total(&dir.rows(), "web"), web.total() as u64);
}

#[test]
fn a_run_that_ends_before_its_clock_is_set_leaves_its_counts_to_the_next() {
    let Some(library) = library() else { return skip("a_run_that_ends_before", "there is no libfaketime") };
    let web = Accepting::new();
    let dir = RunDir::new();
    let targets = format!("-q --interval 100ms -n 3 web={}", web.address);
    let ended = start(&dir, &library, "@1970-01-02 00:00:10", &targets).wait();
    let last = "tcpmon: clock: was not set, the run ends without its last report of 3 probes; the ledger keeps it for the next run\n";
    assert!(ended.stderr.starts_with(HELD) && ended.stderr.ends_with(&format!("{WAIT}{last}")), "{ended:?}");
    assert_eq!(dir.logs(), Vec::<PathBuf>::new());
    // A report that is asked for does not wait.
    let run = start(&dir, &library, "@1970-01-02 00:00:10", &format!("-q --report 24h web={}", web.address));
    wait_until("it probes", || web.accepted().len() > 3);
    run.signal(Signal::SIGUSR1);
    wait_until("the report is there", || !dir.rows().is_empty());
    assert!(dir.path().join("tcp_stats_19700102.log").exists());
    drop(run);
    fs::remove_file(dir.path().join("tcp_stats_19700102.log")).expect("it is there");
    assert_eq!(dir.run(&targets).code(), Some(0));
    assert!(dir.rows().iter().all(|row| !row.stamp.starts_with("1970")), "{:?}", dir.rows());
}

#[test]
fn beyond_2038_rows_and_files_have_their_dates() {
    let Some(library) = library() else { return skip("beyond_2038", "there is no libfaketime") };
    let web = Accepting::new();
    let dir = RunDir::new();
    dir.write("tcp_stats_20380101.log", "");
    dir.write("tcp_stats_20380118.log", "");
    // 11 s before the end of 32 bits.
    let targets = format!("-q --interval 100ms --report 1s --keep 14d web={}", web.address);
    let run = start(&dir, &library, "@2038-01-19 03:13:57", &targets);
    wait_until("it has passed", || dir.rows().iter().any(|row| row.stamp.as_str() > "2038-01-19 03:14:10"));
    let ended = run.end();
    assert_eq!(ended.outcome(), "exit 0");
    assert_eq!(total(&dir.rows(), "web"), web.total() as u64);
    assert!(dir.rows().iter().all(|row| row.stamp.starts_with("2038-01-19 03:1")), "{:?}", dir.rows());
}

#[test]
fn a_clock_that_is_years_ahead_at_the_start_or_a_month_for_a_moment_costs_one_log_each() {
    let Some(library) = library() else { return skip("a_clock_that_is_years_ahead", "there is no libfaketime") };
    let web = Accepting::new();
    let dir = RunDir::new();
    (1..=20).for_each(|days| dir.write(&log(days), ""));
    let arguments = format!("-q --interval 200ms --report 1s --keep 14d web={}", web.address);
    let run = start(&dir, &library, "+3000d", &arguments);
    let kept = |days: &mut dyn Iterator<Item = i64>| {
        let mut kept: Vec<String> = days.map(log).collect();
        kept.sort();
        let name = |log: PathBuf| log.file_name().expect("a name").to_string_lossy().into_owned();
        kept == dir.logs().into_iter().map(name).collect::<Vec<_>>()
    };
    wait_until("one is lost", || kept(&mut (1..=13).chain([-3000])));
    dir.write("clock", "+0");
    wait_until("today's log is begun", || kept(&mut (0..=12).chain([-3000])));
    dir.write("clock", "+30d");
    wait_until("another one is lost", || kept(&mut (0..=11).chain([-30, -3000])));
    dir.write("clock", "+0");
    let before = fs::metadata(dir.path().join(log(0))).expect("it is there").len();
    wait_until("it reports on", || fs::metadata(dir.path().join(log(0))).is_ok_and(|log| log.len() > before));
    assert_eq!(run.end().code(), Some(0));
    assert!(kept(&mut (0..=11).chain([-30, -3000])), "{:?}", dir.logs());
}
