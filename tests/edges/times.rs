//! The table of times: its rows as they stand in the file, and that each probe is told in exactly one of them.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use tcpmon::model::log_names::Kind;

use crate::clock::{self, wait_until};
use crate::dns::Server;
use crate::keep::file;
use crate::lines::lines_in;
use crate::listener::{Accepting, Closed};
use crate::namespace;
use crate::running::{RunDir, Running, total};

const HEADER: &str = "Timestamp           | Service              | Target                |  DNS p50 |  DNS p95 |  DNS max | Conn p50 | Conn p95 | Conn max | SYNs resent | Skipped | Why";

/// The tables of a file: each header with the rows below it, as cells without their padding. Every row has its columns where
/// the header has them.
fn tables(lines: &[String]) -> Vec<(String, Vec<Vec<String>>)> {
    let bars = |line: &str| -> Vec<usize> {
        // The last column is not padded.
        line.chars().enumerate().filter(|(_, c)| *c == '|').map(|(at, _)| at).collect()
    };
    let mut tables: Vec<(String, Vec<Vec<String>>)> = Vec::new();
    for line in lines {
        if line.starts_with("Timestamp") {
            tables.push((line.clone(), Vec::new()));
            continue;
        }
        let (header, rows) = tables.last_mut().expect("a header comes first");
        assert_eq!(bars(line), bars(header), "out of line:\n{header}\n{line}");
        rows.push(line.split(" | ").map(|cell| cell.trim().to_string()).collect());
    }
    tables
}

/// A row without its stamp, with `N` for each time.
fn masked(row: &[String]) -> String {
    let cell =
        |cell: &String| if cell.parse::<f64>().is_ok() && cell.contains('.') { "N".into() } else { cell.clone() };
    row[1..].iter().map(cell).collect::<Vec<_>>().join(" | ")
}

fn times(dir: &RunDir) -> Vec<String> {
    lines_in(dir.path(), Kind::Times)
}

/// All rows of a service.
fn rows(dir: &RunDir, service: &str) -> Vec<Vec<String>> {
    let rows = tables(&times(dir)).into_iter().flat_map(|(_, rows)| rows);
    rows.filter(|row| row[1] == service).collect()
}

/// How often the rows of a service tell this cause.
fn told(dir: &RunDir, service: &str, cause: &str) -> u64 {
    let rows = rows(dir, service);
    let causes = rows.iter().flat_map(|row| row[11].split("; ").map(str::to_string).collect::<Vec<_>>());
    causes.filter_map(|text| text.strip_prefix(cause)?.trim().parse::<u64>().ok()).sum()
}

#[test]
fn each_target_has_a_row_with_its_percentiles_and_the_causes_of_what_failed() {
    namespace::within(|| {
        let dns = Server::start();
        let (web, gone) = (Accepting::new(), Closed::new());
        dns.addresses("web.test", &["127.0.0.1"]);
        dns.addresses("half.test", &[]);
        let dir = RunDir::new();
        let (up, down) = (web.address, gone.address);
        let targets = format!(
            "target web 127.0.0.1 {up}\ntarget gone 127.0.0.1 {down}\ntarget named web.test {up} inet\n\
             target nowhere nowhere.test 443\ntarget half half.test 443\ntarget refusing web.test {down} inet\n\
             target kässe-mit-einem-langen-namen 127.0.0.1 {up}\n",
            up = up.port(),
            down = down.port()
        );
        dir.write("conf", &format!("interval 200ms\nreport 24h\ntimes on\n{targets}"));
        let ended = dir.run("run -q -c conf -n 5");
        assert_eq!(ended.outcome(), "exit 0");
        let lines = times(&dir);
        let tables = tables(&lines);
        let [(header, rows)] = &tables[..] else { panic!("one table: {lines:?}") };
        let longest = "kässe-mit-einem-langen-namen".chars().count();
        assert_eq!(*header, HEADER.replace("Service             ", &format!("{:longest$}", "Service")));
        let (up, down) = (up.port(), down.port());
        assert_eq!(
            rows.iter().map(|row| masked(row)).collect::<Vec<_>>(),
            [
                format!("web | 127.0.0.1:{up} | - | - | - | N | N | N | 0 | 0 | -"),
                format!("gone | 127.0.0.1:{down} | - | - | - | - | - | - | 0 | 0 | connect refused 5"),
                format!("named | web.test:{up} | N | N | N | N | N | N | 0 | 0 | -"),
                "nowhere | nowhere.test:443 | - | - | - | - | - | - | 0 | 0 | lookup name not found 5".to_string(),
                "half | half.test:443 | - | - | - | - | - | - | 0 | 0 | lookup no address 5".to_string(),
                format!("refusing | web.test:{down} | N | N | N | - | - | - | 0 | 0 | connect refused 5"),
                format!("kässe-mit-einem-langen-namen | 127.0.0.1:{up} | - | - | - | N | N | N | 0 | 0 | -"),
            ]
        );
        let stats = dir.rows();
        assert!(rows.iter().zip(&stats).all(|(row, stats)| row[0] == stats.stamp && row[1] == stats.service));
    });
}

#[test]
fn a_wider_column_has_its_own_header_and_a_removed_target_gets_a_last_row() {
    let (web, gone) = (Accepting::new(), Closed::new());
    let dir = RunDir::new();
    let conf = |other: &str| {
        let port = web.address.port();
        dir.write("conf", &format!("interval 100ms\nreport 24h\ntimes on\ntarget web 127.0.0.1 {port}\n{other}"));
    };
    let closed = gone.address.port();
    conf(&format!("target old 127.0.0.1 {closed}\n"));
    let run = dir.start("run -q -c conf");
    let report = |run: &Running| {
        let (before, probes) = (times(&dir).len(), web.accepted().len());
        wait_until("it probes", || web.accepted().len() > probes + 3);
        run.signal(Signal::SIGUSR1);
        wait_until("the rows are there", || times(&dir).len() > before);
    };
    report(&run);
    let name = "a-service-with-a-long-name";
    conf(&format!("target {name} 127.0.0.1 {closed}\n"));
    let probes = web.accepted().len();
    wait_until("it probes", || web.accepted().len() > probes + 3);
    run.signal(Signal::SIGHUP);
    wait_until("it has reloaded", || run.stderr().contains("re-read"));
    for _ in 0..2 {
        report(&run);
    }
    // Without a new probe there is no last report.
    let probes = web.accepted().len();
    wait_until("it probes", || web.accepted().len() > probes + 3);
    assert_eq!(run.end().code(), Some(0));
    let lines = times(&dir);
    let tables = tables(&lines);
    let services: Vec<Vec<&str>> =
        tables.iter().map(|(_, rows)| rows.iter().map(|row| row[1].as_str()).collect()).collect();
    assert_eq!(services, [vec!["web", "old"], vec!["web", name, "old", "web", name, "web", name]]);
    let width = name.len();
    assert_eq!(tables[0].0, HEADER);
    assert_eq!(tables[1].0, HEADER.replace("Service             ", &format!("{:width$}", "Service")));
    // The table of counts has two headers, too.
    let counts = lines_in(dir.path(), Kind::Stats);
    let counts = counts.iter().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let counted = |service| {
        let rows = counts.clone().filter(|row| row[1] == service);
        rows.map(|row| row[8].parse::<u64>().expect("a number")).sum::<u64>()
    };
    for service in ["old", name] {
        assert_eq!(told(&dir, service, "connect refused"), counted(service), "{lines:?}");
    }
}

#[test]
fn rows_that_cannot_be_written_are_in_the_next_ones_and_hold_up_no_report() {
    let (web, gone) = (Accepting::new(), Closed::new());
    let dir = RunDir::new();
    let names = [0, -1].map(|days| dir.path().join(file(Kind::Times, days)));
    names.iter().for_each(|name| fs::create_dir(name).expect("our own directory"));
    let targets = format!("web={} gone={}", web.address, gone.address);
    let run = dir.start(&format!("-q --interval 100ms --report 1s --times on --events on {targets}"));
    wait_until("there are reports", || dir.rows().len() >= 6);
    names.iter().for_each(|name| fs::remove_dir(name).expect("it is ours"));
    wait_until("there are rows of times", || !times(&dir).is_empty());
    let ended = run.end();
    let said: Vec<String> = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("tcpmon: log: "))
        .map(|line| line.replace(char::is_numeric, ""))
        .collect();
    assert_eq!(
        (ended.code(), said),
        (
            Some(0),
            vec![
                "tcpmon: log: tcp_times_.log cannot be opened (Is a directory), its lines are kept and written as soon as that can be done".to_string(),
                "tcpmon: log: tcp_times_.log can be written again, nothing is lost".to_string(),
            ]
        )
    );
    let first = &rows(&dir, "gone")[0];
    let refused: u64 =
        first[11].strip_prefix("connect refused ").and_then(|count| count.parse().ok()).expect("a count");
    assert!(refused > dir.rows()[1].numbers[6] + dir.rows()[3].numbers[6], "more than an interval: {first:?}");
    assert_eq!(told(&dir, "gone", "connect refused"), total(&dir.rows(), "gone"));
    assert!(crate::lines::have(&crate::lines::events(&dir), "_times_"));
}

#[test]
fn kills_between_and_in_rows_lose_no_cause_and_tell_none_twice() {
    let (web, gone) = (Accepting::new(), Closed::new());
    let dir = RunDir::new();
    let targets = format!("web={} gone={} gone={}", web.address, gone.address, gone.address);
    let arguments = format!("-q --interval 20ms --report 1s --times on {targets}");
    for number in 1..=8 {
        let run = dir.start(&arguments);
        let probes = web.accepted().len();
        wait_until("it probes", || web.accepted().len() > probes + 5);
        clock::let_pass(Duration::from_millis(number * 163 % 1000));
        run.signal(Signal::SIGKILL);
        run.wait();
    }
    assert_eq!(dir.run(&format!("{arguments} -n 1")).code(), Some(0));
    let counted = total(&dir.rows(), "gone");
    assert!(counted > 100, "{counted}");
    assert_eq!(told(&dir, "gone", "connect refused"), counted, "{:?}", times(&dir));
}
