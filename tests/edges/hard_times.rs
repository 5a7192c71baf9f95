//! Whatever happens to the box and to the files, no probe is lost, counted twice or blamed on a target.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::clock::{self, wait_until};
use crate::listener::Accepting;
use crate::namespace::skip;
use crate::running::{Row, RunDir, total};

/// Today's log.
fn log(dir: &RunDir) -> std::path::PathBuf {
    dir.logs().pop().expect("a log")
}

#[test]
fn a_log_that_is_removed_is_begun_again_with_its_header() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 200ms --report 1s web={}", web.address));
    wait_until("a report is there", || !dir.rows().is_empty());
    let removed = dir.path().join("removed");
    fs::rename(log(&dir), &removed).expect("it is there");
    wait_until("a report is there", || !dir.rows().is_empty());
    web.wait_for_a_round(1);
    assert_eq!(run.end().outcome(), "exit 0");
    let gone = crate::running::rows_of(&fs::read_to_string(&removed).expect("a log is text"));
    assert_eq!(total(&gone, "web") + total(&dir.rows(), "web"), web.total() as u64);
}

#[test]
fn what_others_write_to_the_log_stays_and_every_row_is_whole() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 100ms --report 1s web={}", web.address));
    wait_until("a report is there", || !dir.rows().is_empty());
    let mut others = 0;
    let mut file = OpenOptions::new().append(true).open(log(&dir)).expect("it is there");
    let end = clock::now() + Duration::from_millis(2500);
    while clock::now() < end {
        file.write_all(b"# a note of somebody else's\n").expect("there is room");
        others += 1;
        clock::a_moment();
    }
    web.wait_for_a_round(1);
    assert_eq!(run.end().outcome(), "exit 0");
    let text: String = dir.logs().iter().map(|log| fs::read_to_string(log).expect("a log is text")).collect();
    let (notes, table): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('#'));
    assert_eq!(notes.len(), others);
    let table = table.iter().map(|line| format!("{line}\n")).collect::<Vec<_>>().concat();
    assert_eq!(total(&crate::running::rows_of(&table), "web"), web.total() as u64);
}

#[test]
fn counts_are_never_mixed_with_those_of_other_thresholds_even_where_the_log_cannot_be_written() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let conf = |timeout: &str| {
        dir.write(
            "conf",
            &format!("interval 300ms\nreport 1h\n{timeout}target web 127.0.0.1 {}\n", web.address.port()),
        );
    };
    conf("");
    assert_eq!(dir.run("-q -c conf -n 1").outcome(), "exit 0");
    let today = log(&dir);
    let first = total(&dir.rows(), "web");
    let run = dir.start("-q -c conf");
    web.wait_for_a_round(1);
    run.signal(Signal::SIGKILL);
    run.wait();
    fs::rename(&today, dir.path().join("aside")).expect("our own file");
    fs::create_dir(&today).expect("its name is free");
    conf("timeout 3s\n");
    let run = dir.start("-q -c conf");
    wait_until("it is said", || {
        run.stderr().contains("slow and timeout stay as they were until the log can be written")
    });
    web.wait_for_a_round(1);
    fs::remove_dir(&today).expect("our own directory");
    run.signal(Signal::SIGHUP);
    wait_until("the new timeout is in force", || run.stderr().contains("timeout 5s is now 3s"));
    web.wait_for_a_round(1);
    assert_eq!(run.end().code(), Some(0));
    let text = fs::read_to_string(&today).expect("a log is text");
    let tables: Vec<&str> = text.split_inclusive("Timestamp ").skip(1).collect();
    assert_eq!(tables.len(), 2, "{text}");
    assert!(tables[0].contains("Conn1-5s") && tables[1].contains("Conn1-3s"), "{text}");
    let rows = |table: &str| crate::running::rows_of(&format!("Timestamp {}", table.trim_end_matches("Timestamp ")));
    let counted: u64 = tables.iter().map(|table| total(&rows(table), "web")).sum();
    assert_eq!(first + counted, web.total() as u64);
}

#[test]
fn the_ticks_of_a_minute_in_which_the_process_was_stopped_are_skipped() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 1s --report 1h web={}", web.address));
    web.wait_for_a_round(1);
    let before = web.total();
    run.signal(Signal::SIGSTOP);
    clock::let_pass(Duration::from_secs(60));
    assert_eq!(web.total(), before);
    run.signal(Signal::SIGCONT);
    wait_until("it probes on", || web.total() > before);
    clock::let_pass(Duration::from_millis(300));
    assert_eq!(web.total(), before + 1, "no burst");
    web.wait_for_a_round(1);
    let skipped = dir.run("status --json").json()["targets"][0]["skipped"].as_u64();
    let ended = run.end();
    assert!((58..=61).contains(&skipped.expect("a number")), "{skipped:?}");
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(0), 1), "{ended:?}");
    assert!(ended.stderr.contains(" ticks skipped (the monitor was stopped or late)"), "{ended:?}");
    assert_eq!(dir.counted("web").split(" | ").last(), Some(web.total().to_string().as_str()));
}

#[test]
fn a_hundred_reloads_under_load_half_of_them_broken_lose_nothing() {
    let (web, db) = (Accepting::new(), Accepting::new());
    let dir = RunDir::new();
    let (web_line, db_line) = (
        format!("target web 127.0.0.1 {}\n", web.address.port()),
        format!("target db 127.0.0.1 {}\n", db.address.port()),
    );
    let settings = "interval 50ms\nreport 1s\n";
    dir.write("conf", &format!("{settings}{web_line}{db_line}"));
    let run = dir.start("-q -c conf");
    web.wait_for_a_round(1);
    for i in 0..50 {
        // One target comes and goes, and a threshold changes now and then.
        let other = if i % 2 == 0 { "" } else { &db_line };
        let slow = if i % 10 < 5 { "slow 900ms\n" } else { "" };
        for (content, mark) in [
            (format!("{settings}{slow}{web_line}{other}"), "re-read"),
            (format!("{settings}broken\n{web_line}"), "1 mistake"),
        ] {
            let said = run.stderr().matches(mark).count();
            dir.write("conf", &content);
            run.signal(Signal::SIGHUP);
            wait_until("it is said", || run.stderr().matches(mark).count() > said);
        }
    }
    dir.write("conf", &format!("{}{web_line}{db_line}", settings.replace("50ms", "300ms")));
    run.signal(Signal::SIGHUP);
    wait_until("it is said", || run.stderr().matches("re-read").count() == 51);
    web.wait_for_a_round(1);
    db.wait_for_a_round(1);
    let ended = run.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let text: String = dir.logs().iter().map(|log| fs::read_to_string(log).expect("a log is text")).collect();
    let rows: Vec<Row> = text
        .split("Timestamp ")
        .skip(1)
        .flat_map(|table| crate::running::rows_of(&format!("Timestamp {table}")))
        .collect();
    assert_eq!((total(&rows, "web"), total(&rows, "db")), (web.total() as u64, db.total() as u64));
}

// A static program takes no preloaded library; the glibc build has this test.
#[cfg(not(target_env = "musl"))]
/// The program with a wall clock that the file `offset` sets (faketime(1)).
fn with_another_clock(dir: &RunDir, arguments: &str) -> Option<Command> {
    let library = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"].into_iter();
    let library = library
        .map(|directory| format!("{directory}/faketime/libfaketime.so.1"))
        .find(|file| fs::exists(file).is_ok_and(|there| there))?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
    command.args(arguments.split_whitespace()).env("LD_PRELOAD", library);
    command.env("FAKETIME_TIMESTAMP_FILE", dir.path().join("offset"));
    command.env("FAKETIME_NO_CACHE", "1").env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Some(command)
}

#[cfg(not(target_env = "musl"))]
#[test]
fn a_wall_clock_that_is_set_moves_the_reports_and_loses_nothing() {
    let test = "hard_times::a_wall_clock_that_is_set_moves_the_reports_and_loses_nothing";
    let web = Accepting::new();
    let dir = RunDir::new();
    dir.write("offset", "+0");
    let arguments = format!("-q --interval 200ms --report 2s web={}", web.address);
    let Some(command) = with_another_clock(&dir, &arguments) else {
        return skip(test, "there is no libfaketime (Debian package faketime)");
    };
    let run = dir.spawn(command, Stdio::piped());
    let days = |dir: &RunDir| dir.logs().len();
    wait_until("a report is there", || !dir.rows().is_empty());
    // Five days ahead, three days back, and to the right time: never before the build of the program.
    for (offset, files) in [("+5d", 2), ("+2d", 3)] {
        dir.write("offset", offset);
        wait_until("there is a report of that day", || days(&dir) >= files);
    }
    let before = dir.rows().len();
    dir.write("offset", "+0");
    wait_until("it reports on", || dir.rows().len() > before + 1);
    // Killed, and started again four days later: the missed report is in the file of its own day.
    web.wait_for_a_round(1);
    run.signal(Signal::SIGKILL);
    run.wait();
    let today = |rows: &[Row]| rows.iter().map(|row| row.stamp[..10].to_string()).collect::<Vec<_>>();
    let dates = today(&dir.rows());
    dir.write("offset", "+4d");
    let Some(command) = with_another_clock(&dir, &format!("{arguments} -n 1")) else { return };
    assert_eq!(dir.spawn(command, Stdio::piped()).wait().code(), Some(0));
    let after = today(&dir.rows());
    let last = after.iter().filter(|date| !dates.contains(date)).count();
    assert_eq!(last, 1, "only the new run's own report is in the new day's file: {after:?}");
    assert_eq!(total(&dir.rows(), "web"), web.total() as u64);
}
