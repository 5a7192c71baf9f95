//! A box whose clock is wrong at the start and is set later. The library libfaketime sets the time that
//! the program reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use tcpmon::model::log_names::Kind;

use crate::clock::{self, wait_until};
use crate::keep::log;
use crate::lines::{events, files, found, have, lines_in, masked, told};
use crate::listener::{Accepting, Closed};
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
    assert!(status.contains("\nclock not set: reports wait for it\n"), "{status}");
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

/// A configuration with a service that answers and one that does not.
fn configure(dir: &RunDir, web: &Accepting, gone: &Closed, settings: &str) {
    let (web, gone) = (web.address.port(), gone.address.port());
    let targets = format!("target web 127.0.0.1 {web}\ntarget gone 127.0.0.1 {gone}\n");
    dir.write("conf", &format!("interval 200ms\nreport 1s\nevents on\n{settings}{targets}"));
}

fn now() -> i64 {
    tcpmon::sys::clock::wall().unix
}

#[test]
fn events_of_a_box_that_boots_in_1970_get_their_time_put_right_and_no_sample_has_a_wrong_one() {
    let Some(library) = library() else { return skip("events_of_a_box_that_boots", "there is no libfaketime") };
    let (web, gone) = (Accepting::new(), Closed::new());
    let dir = RunDir::new();
    configure(&dir, &web, &gone, "samples on\n");
    let began = now();
    let run = start(&dir, &library, "@1970-01-02 00:00:10", "run -q -c conf");
    wait_until("it probes", || web.accepted().len() > 15);
    assert!(Kind::ALL.iter().all(|kind| files(dir.path(), *kind).is_empty()), "nothing is written with a wrong time");
    dir.write("clock", "+0");
    wait_until("the events are there", || !events(&dir).is_empty());
    wait_until("there are samples", || !lines_in(dir.path(), Kind::Samples).is_empty());
    assert_eq!(run.end().code(), Some(0));
    let lines = events(&dir);
    assert_eq!(
        masked(&lines),
        [
            concat!("start | - | - | tcpmon ", env!("CARGO_PKG_VERSION"), ", 2 targets"),
            &format!("down | gone | {} | connect refused by 127.0.0.1, since TIME, 3 failed", gone.address),
            "clock | - | - | set from TIME to TIME",
            "stop | - | - | 2 targets, 1 down",
        ]
    );
    // The clock's two readings and the start of the process can be in different seconds.
    let right = began - 2..=now() + 2;
    assert!(lines.iter().all(|line| right.contains(&found(line))), "{lines:?}");
    assert!(lines.is_sorted_by_key(|line| found(line)), "{lines:?}");
    assert!(right.contains(&told(&lines[1])[0]) && right.contains(&told(&lines[2])[1]), "{lines:?}");
    assert!(lines[2].contains(" set from 1970-01-02T00:00:1"), "{lines:?}");
    let samples = lines_in(dir.path(), Kind::Samples);
    assert!(samples[1..].iter().all(|line| line.starts_with(&clock::wall()[..10])), "{samples:?}");
}

#[test]
fn a_clock_that_is_set_is_an_event_and_changes_no_duration() {
    let Some(library) = library() else { return skip("a_clock_that_is_set", "there is no libfaketime") };
    let (web, gone) = (Accepting::new(), Closed::new());
    let dir = RunDir::new();
    configure(&dir, &web, &gone, "up_after 1\n");
    let run = start(&dir, &library, "+0", "run -q -c conf");
    wait_until("it is down", || have(&events(&dir), "down | gone"));
    dir.write("clock", "+7200");
    wait_until("it is noticed", || have(&events(&dir), "clock | "));
    let address = gone.address.to_string();
    drop(gone);
    let back = Accepting::on(&address).expect("nobody has taken its port");
    wait_until("it is up", || have(&events(&dir), "up | gone"));
    assert_eq!(run.end().code(), Some(0));
    drop(back);
    let lines = events(&dir);
    let [from, to] = told(&lines[2])[..] else { panic!("two moments: {lines:?}") };
    assert!((7198..=7202).contains(&(to - from)), "{lines:?}");
    // It was down for seconds, and its beginning is told by the clock of now.
    let up = &lines[3];
    let down_for: i64 =
        up.split("down for ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a number");
    assert!((0..60).contains(&down_for) && (7198..7260).contains(&(told(up)[0] - told(&lines[1])[0])), "{lines:?}");
}

#[test]
fn events_that_waited_over_midnight_go_into_the_files_of_their_own_dates() {
    let Some(library) = library() else { return skip("events_that_waited", "there is no libfaketime") };
    let (web, gone) = (Accepting::new(), Closed::new());
    let dir = RunDir::new();
    configure(&dir, &web, &gone, "");
    let [first, second] = ["tcp_events_20300501.log", "tcp_events_20300502.log"];
    fs::create_dir(dir.path().join(first)).expect("our own directory");
    let run = start(&dir, &library, "@2030-05-01 23:59:56", "run -q -c conf");
    wait_until("it is after midnight", || dir.rows().iter().any(|row| row.stamp.as_str() > "2030-05-02 00:00:00"));
    run.signal(Signal::SIGHUP);
    wait_until("it has reloaded", || run.stderr().contains("re-read"));
    assert!(events(&dir).is_empty(), "events stay in their order");
    fs::remove_dir(dir.path().join(first)).expect("it is ours");
    run.signal(Signal::SIGHUP);
    wait_until("all is written", || have(&events(&dir), "again"));
    assert_eq!(run.end().code(), Some(0));
    let lines = |name: &str| {
        let text = fs::read_to_string(dir.path().join(name)).expect("it is there");
        text.lines().map(str::to_string).collect::<Vec<_>>()
    };
    let (before, after) = (lines(first), lines(second));
    assert_eq!(
        masked(&before),
        [
            concat!("start | - | - | tcpmon ", env!("CARGO_PKG_VERSION"), ", 2 targets"),
            &format!("log | - | - | {first} cannot be written: Is a directory"),
            &format!("down | gone | {} | connect refused by 127.0.0.1, since TIME, 3 failed", gone.address),
        ]
    );
    assert_eq!(
        masked(&after),
        [
            "reload | - | - | 0 new, 0 removed, 2 kept",
            "reload | - | - | 0 new, 0 removed, 2 kept",
            &format!("log | - | - | {first} can be written again, nothing lost"),
            "stop | - | - | 2 targets, 1 down",
        ]
    );
    assert!(before.iter().all(|line| line.starts_with("2030-05-01T23:59:5")), "{before:?}");
    assert!(after.iter().all(|line| line.starts_with("2030-05-02T00:00:")), "{after:?}");
    let latest = fs::read_link(dir.path().join("tcp_events_latest.log")).expect("a link");
    assert_eq!(latest, Path::new(second));
}
