//! `tcpmon report`: that its sums are those of the rows of a real run and its outages those of its events, that it reads files
//! that are just written, and what it takes for its input.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use crate::clock::wait_until;
use crate::lines::{events, seconds};
use crate::listener::{Accepting, Closed};
use crate::running::{RunDir, total};

const HEADER: &str = "Timestamp           | Service              | Conn<1s | Conn1-5s | DNS<1s | DNS1-5s | DNSFail | ConnFailed | Total\n";

/// The service of this name.
fn service<'a>(report: &'a Value, name: &str) -> &'a Value {
    let services = report["services"].as_array().expect("there are services");
    services.iter().find(|service| service["service"] == name).unwrap_or_else(|| panic!("{name} in {report}"))
}

fn report(dir: &RunDir, arguments: &str) -> Value {
    let ended = dir.run(&format!("report -j {arguments}"));
    assert_eq!(ended.outcome(), "exit 0", "{arguments}");
    ended.json()
}

/// A row of the original's form, so many minutes after midnight.
fn row(minute: usize, service: &str, good: u64, failed: u64) -> String {
    let (hour, minute, total) = (minute / 60, minute % 60, good + failed);
    format!(
        "2025-10-09 {hour:02}:{minute:02}:00 | {service:<20} | {good:>7} | {:>8} | {good:>6} | {:>8} | {:>7} | {failed:>10} | {total:>5}\n",
        0, 0, 0
    )
}

#[test]
fn a_report_of_a_real_run_has_the_sums_of_its_rows_and_the_outages_of_its_events() {
    let (listener, closed, dir) = (Accepting::new(), Closed::new(), RunDir::new());
    // No other test has connections of this address.
    let late = Accepting::on("127.0.7.9:0").expect("loopback is up").address;
    dir.write(
        "tcpmon.conf",
        &format!(
            "interval 50ms\ntimeout 1s\nslow 500ms\nreport 1s\nevents on\ntimes on\ntarget up 127.0.0.1 {}\n\
             target down 127.0.0.1 {}\ntarget late 127.0.7.9 {}\n",
            listener.address.port(),
            closed.address.port(),
            late.port()
        ),
    );
    let run = dir.start("run");
    wait_until("both are down", || events(&dir).iter().filter(|line| line.contains(" | down | ")).count() == 2);
    let opened = Accepting::on(&late.to_string()).expect("nobody has taken the port");
    wait_until("it is up again", || events(&dir).iter().any(|line| line.contains(" | up | late")));
    run.signal(Signal::SIGTERM);
    assert_eq!(run.wait().outcome(), "exit 0");
    drop(opened);
    let (found, rows) = (report(&dir, "--last 1h"), dir.rows());
    for name in ["up", "down", "late"] {
        let sums = service(&found, name);
        assert_eq!(sums["total"], total(&rows, name), "{name}");
        let parts = ["connected", "conn_failed", "dns_fail"].map(|key| sums[key].as_u64().expect("a number"));
        assert_eq!(sums["total"], parts.iter().sum::<u64>());
    }
    assert_eq!(found["damaged"], 0);
    assert_eq!(
        (&service(&found, "up")["availability"], &service(&found, "up")["outages"]),
        (&1.0.into(), &Value::Array(vec![]))
    );
    let since = |name: &str| {
        let lines = events(&dir);
        let line = lines.iter().find(|line| line.contains(&format!(" | down | {name} | "))).expect("it was down");
        let moment = line.split(", since ").nth(1).and_then(|rest| rest.split(',').next()).and_then(seconds);
        moment.expect("it says since when")
    };
    for (name, has_ended) in [("down", false), ("late", true)] {
        let outages = service(&found, name)["outages"].as_array().expect("a list");
        let [outage] = &outages[..] else { panic!("{outages:?}") };
        assert_eq!((&outage["exact"], &outage["begin"]), (&Value::Bool(true), &since(name).into()), "{outage}");
        assert_eq!(outage["end"].is_i64(), has_ended, "{outage}");
        let reason = outage["reason"].as_str().expect("a text");
        assert!(reason.starts_with("connect refused by 127.0."), "{reason}");
    }
    let reasons = &service(&found, "down")["reasons"];
    assert_eq!(reasons[0]["reason"], "refused");
    assert_eq!(reasons[0]["count"], total(&rows, "down"), "{reasons}");
    // Before the run nobody watched.
    assert!(service(&found, "up")["unwatched_seconds"].as_u64().expect("a number") > 3000);
    // The text has the same.
    let text = dir.run("report");
    assert!(text.stdout.contains("100.000"), "{}", text.stdout);
    assert!(text.stdout.contains("still down"), "{}", text.stdout);
}

#[test]
fn a_report_reads_files_that_are_just_written() {
    let dir = RunDir::new();
    let (name, is_over) = (dir.path().join("tcp_stats_20251009.log"), AtomicBool::new(false));
    fs::write(&name, HEADER).expect("our own directory");
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::OpenOptions::new().append(true).open(&name).expect("our own file");
            for minute in 0..1440 {
                for half in [row(minute, "web", 100, 1).as_bytes(), row(minute, "db", 50, 0).as_bytes()] {
                    let (first, second) = half.split_at(minute % (half.len() - 1) + 1);
                    file.write_all(first).expect("our own file");
                    file.write_all(second).expect("our own file");
                }
            }
            is_over.store(true, Ordering::SeqCst);
        });
        let mut before = 0;
        while !is_over.load(Ordering::SeqCst) {
            let found = report(&dir, ".");
            let total = found["all"]["total"].as_u64().expect("a number");
            assert!(total >= before && found["damaged"] == 0, "{found}");
            before = total;
        }
    });
    let found = report(&dir, ".");
    assert_eq!((&found["all"]["total"], &found["all"]["connected"]), (&(1440 * 151).into(), &(1440 * 150).into()));
}

#[test]
fn files_of_any_name_and_of_the_original_are_read_once_and_need_no_configuration() {
    let dir = RunDir::new();
    let text = HEADER.to_string() + &row(0, "web", 10, 1) + &HEADER.replace("1-5s", "1-3s") + &row(5, "web", 10, 1);
    dir.write("tcp_stats_20251009.log", &text);
    symlink("tcp_stats_20251009.log", dir.path().join("tcp_stats_latest.log")).expect("our own directory");
    fs::hard_link(dir.path().join("tcp_stats_20251009.log"), dir.path().join("other")).expect("our own directory");
    dir.write("tcpmon.conf", "no configuration at all\n");
    let sum = |arguments: &str| report(&dir, arguments)["all"]["total"].clone();
    assert_eq!(sum("."), 22);
    assert_eq!(sum("other"), 22);
    assert_eq!(sum("tcp_stats_20251009.log tcp_stats_latest.log other . ./"), 22);
    fs::create_dir(dir.path().join("more")).expect("our own directory");
    dir.write("more/tcp_stats_20251010.log", &row(10, "db", 5, 0).replace("10-09", "10-10"));
    assert_eq!(sum(". more"), 27);
    assert_eq!(sum(". more --from 2025-10-10"), 5);
    assert_eq!(sum(". more --to 2025-10-10"), 22);
    assert_eq!(sum(". more --from 2025-10-09T00:05 --to 2025-10-09T00:05:01"), 11);
    assert_eq!(sum(". more --service db"), 5);
    // Samples of a day that has counts say the same; of another day they are read.
    let sample = ",web,h,1,192.0.2.7,0.500,3.000,connected,,0\n";
    dir.write("tcp_samples_20251009.csv", &format!("2025-10-09T00:04:00.000+00:00{sample}"));
    dir.write("tcp_samples_20251011.csv", &format!("2025-10-11T00:04:00.000+00:00{sample}"));
    assert_eq!((sum("."), sum("tcp_samples_20251009.csv")), (23.into(), 1.into()));
    // A pipe is a file, too.
    let pipe = dir.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR).expect("our own directory");
    let running = dir.start("report -j pipe");
    fs::write(&pipe, &text).expect("our own pipe");
    assert_eq!(running.wait().json()["all"]["total"], 22);
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_told() {
    let dir = RunDir::new();
    dir.write("good", &(row(0, "web", 10, 1) + "damaged\n" + &row(5, "web", 10, 1)[..50] + "\n"));
    let ended = dir.run("report -j good missing");
    assert_eq!(
        ended.outcome(),
        "exit 1\ntcpmon: report: missing cannot be read (No such file or directory), it is left out"
    );
    let found = ended.json();
    assert_eq!((&found["all"]["total"], &found["damaged"]), (&11.into(), &2.into()));
    assert_eq!(found["damaged_lines"], serde_json::json!(["good:2", "good:3"]));
    assert!(dir.run("report good").stdout.ends_with("\n2 damaged lines not counted:\ngood:2\ngood:3\n"));
    assert_eq!(
        dir.run("report good --service wbe").outcome(),
        "exit 1\ntcpmon: report: no line has the service wbe, did you mean web?"
    );
    assert_eq!(
        dir.run("report good --service mail").outcome(),
        "exit 1\ntcpmon: report: no line has the service mail, there are: web"
    );
    fs::create_dir(dir.path().join("empty")).expect("our own directory");
    assert_eq!(
        dir.run("report empty").outcome(),
        "exit 1\ntcpmon: report: there is no daily file of this time, name a file or a directory that has some"
    );
    assert_eq!(dir.run("report good --from 2025-10-10").outcome(), "exit 0");
}

#[test]
fn a_report_is_written_to_a_file_that_everyone_may_read() {
    let dir = RunDir::new();
    dir.write("good", &row(0, "web", 10, 1));
    let ended = dir.run("report -j -o out good");
    assert_eq!((ended.outcome().as_str(), ended.stdout.as_str()), ("exit 0", ""));
    let written = fs::read_to_string(dir.path().join("out")).expect("it was written");
    assert_eq!(written, dir.run("report -j good").stdout);
    let mode = fs::metadata(dir.path().join("out")).expect("it was written").permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    assert_eq!(dir.run("report -o good/x good").code(), Some(1));
}

#[test]
fn the_text_is_as_wide_as_the_environment_says() {
    let dir = RunDir::new();
    let mut text = String::new();
    for minute in (0..1440).step_by(5) {
        for service in ["web", "a-service-with-a-very-long-name-of-its-own", "決済システムの決済システム"]
        {
            let failed = if (100..130).contains(&minute) { 150 } else { 0 };
            let _ = write!(text, "{}", row(minute, service, 150 - failed, failed));
        }
    }
    dir.write("log", &text);
    for columns in [80_usize, 100, 200] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcpmon"));
        command.args(["report", "log"]).env("COLUMNS", columns.to_string());
        let ended = dir.spawn(command, Stdio::piped()).wait();
        for line in ended.stdout.lines() {
            let width = unicode_width::UnicodeWidthStr::width(line);
            assert!(width <= columns.max(80), "{width} columns: {line}");
        }
        assert!(ended.stdout.contains("* for most of it more than half of all services were down"), "{}", ended.stdout);
    }
}
