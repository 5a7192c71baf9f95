//! The samples: every probe and every skipped tick is a line that a CSV reader reads, and a kill loses at most a second.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tcpmon::model::log_names::Kind;

use crate::clock::{self, wait_until};
use crate::dns::Server;
use crate::keep::file;
use crate::lines::{files, lines_in};
use crate::listener::{Accepting, Closed};
use crate::namespace::{self, Disk};
use crate::running::{Ended, RunDir, rows_in, total};

const HEADER: [&str; 10] =
    ["time", "service", "host", "port", "address", "dns_ms", "connect_ms", "outcome", "reason", "syns_resent"];

/// The records of all files of samples, as a reader of CSV reads them. Each file begins with its header, and has it once.
fn records(directory: &std::path::Path) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    for file in files(directory, Kind::Samples) {
        let text = fs::read(&file).expect("it is there");
        assert!(text.is_empty() || text.ends_with(b"\n"), "half a line at the end of {}", file.display());
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&text[..]);
        let mut read = reader.records().map(|record| {
            let record = record.expect("each record has as many fields as the header");
            record.iter().map(str::to_string).collect::<Vec<_>>()
        });
        if let Some(header) = read.next() {
            assert_eq!(header, HEADER);
        }
        records.extend(read.inspect(|record| assert_ne!(*record, HEADER)));
    }
    records
}

/// How many records are of probes. On a busy machine ticks are skipped.
fn probes(directory: &std::path::Path) -> usize {
    records(directory).iter().filter(|record| record[7] != "skipped").count()
}

/// The messages of a run about its files, without digits.
fn said(ended: &Ended) -> Vec<String> {
    let lines = ended.stderr.lines().filter(|line| !line.starts_with("tcpmon: probes: "));
    lines.map(|line| line.replace(char::is_numeric, "")).collect()
}

/// The fields of a record from `host` on, with `N` for each time.
fn masked(record: &[String]) -> String {
    let time = |i: usize| if (5..=6).contains(&i) && record[i].parse::<f64>().is_ok() { "N" } else { &record[i] };
    (2..10).map(time).collect::<Vec<_>>().join(",")
}

/// A tick in milliseconds since 1970.
fn tick(record: &[String]) -> i64 {
    let at = &record[0];
    let second = crate::lines::seconds(&format!("{}{}", &at[..19], &at[23..])).expect("a moment");
    second * 1000 + at[20..23].parse::<i64>().expect("milliseconds")
}

#[test]
fn every_probe_is_a_record_whatever_its_service_is_called() {
    namespace::within(|| {
        let dns = Server::start();
        let (web, gone) = (Accepting::new(), Closed::new());
        dns.addresses("web.test", &["127.0.0.1"]);
        let dir = RunDir::new();
        let (up, down) = (web.address.port(), gone.address.port());
        let services = [
            ("plain", format!("127.0.0.1 {up}"), format!("127.0.0.1,{up},127.0.0.1,,N,connected,,0")),
            ("a,b", format!("web.test {up} inet"), format!("web.test,{up},127.0.0.1,N,N,connected,,0")),
            (
                "q\"uoted\"",
                format!("127.0.0.1 {down}"),
                format!("127.0.0.1,{down},127.0.0.1,,N,connect failed,refused,0"),
            ),
            ("ä\",\"ö", "nowhere.test 443".into(), "nowhere.test,443,,N,,lookup failed,name_not_found,0".into()),
            ("a\"", format!("::1 {down}"), format!("::1,{down},::1,,N,connect failed,refused,0")),
        ];
        let targets: String =
            services.iter().map(|(name, rest, _)| format!("target {name} {rest}\n")).collect::<Vec<_>>().concat();
        dir.write("conf", &format!("interval 200ms\nreport 1h\nsamples on\n{targets}"));
        assert_eq!(dir.run("run -q -c conf -n 5").outcome(), "exit 0");
        let records = records(dir.path());
        assert_eq!(records.len(), 5 * services.len());
        for (name, _, expected) in &services {
            let of_it: Vec<_> = records.iter().filter(|record| record[1] == *name).collect();
            assert_eq!(of_it.iter().map(|record| masked(record)).collect::<Vec<_>>(), vec![expected.clone(); 5]);
            let gaps = of_it.windows(2).map(|pair| tick(pair[1]) - tick(pair[0]));
            assert!(gaps.clone().all(|gap| (199..=201).contains(&gap)), "ticks lie on the grid: {of_it:?}");
            assert_eq!(total(&dir.rows(), name), 5);
        }
    });
}

#[test]
fn ticks_missed_in_a_stop_are_one_line_with_their_number() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let run = dir.start(&format!("-q --interval 100ms --report 1h --samples on web={}", web.address));
    wait_until("it probes", || web.accepted().len() >= 3);
    run.signal(Signal::SIGSTOP);
    clock::let_pass(Duration::from_millis(1550));
    run.signal(Signal::SIGCONT);
    let before = web.accepted().len();
    wait_until("it probes", || web.accepted().len() >= before + 3);
    assert_eq!(run.end().code(), Some(0));
    let skipped = dir.run("status --json").json()["targets"][0]["skipped"].as_u64().expect("a number");
    let records = records(dir.path());
    let late: Vec<_> = records.iter().filter(|record| record[7] == "skipped").collect();
    let longest = late.iter().max_by_key(|record| record[8].len()).expect("ticks were missed");
    let ticks = |record: &[String]| match record[8].strip_prefix("late (") {
        Some(rest) => rest.strip_suffix(" ticks)").and_then(|rest| rest.parse::<u64>().ok()).expect("a number"),
        None => u64::from(record[8] == "late"),
    };
    assert!((13..=17).contains(&ticks(longest)), "{late:?}");
    assert_eq!(masked(longest), format!("127.0.0.1,{},,,,skipped,{},0", web.address.port(), longest[8]));
    assert_eq!(late.iter().map(|record| ticks(record)).sum::<u64>(), skipped, "{late:?}");
    // Each tick of the grid is in one line, from the first to the last.
    let mut next = tick(&records[0]);
    let mut by_tick = records.clone();
    by_tick.sort_by_key(|record| tick(record));
    for record in &by_tick {
        assert!((tick(record) - next).abs() <= 1, "{record:?} is not at {next}: {by_tick:?}");
        next = tick(record) + 100 * ticks(record).max(1) as i64;
    }
}

#[test]
fn samples_are_written_at_most_once_a_second_and_at_the_end() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let mut strace = Command::new("strace");
    strace.args(["-y", "-r", "-o", "trace", "-e", "trace=write", env!("CARGO_BIN_EXE_tcpmon"), "run", "-q"]);
    strace.args(["--interval", "50ms", "--report", "1h", "--samples", "on", "--for", "4500ms"]);
    strace.arg(format!("web={}", web.address));
    assert_eq!(dir.spawn(strace, Stdio::piped()).wait().code(), Some(0));
    let trace = fs::read_to_string(dir.path().join("trace")).expect("strace has written it");
    let (mut now, mut at) = (0.0, Vec::new());
    for line in trace.lines() {
        let since = line.split_whitespace().next().and_then(|since| since.parse::<f64>().ok());
        now += since.expect("the time since the last call");
        if line.contains("tcp_samples_2") {
            at.push(now);
        }
    }
    let (last, others) = at.split_last().expect("it has written");
    assert_eq!(at.len(), 5, "four, and at the end: {trace}");
    assert!(others.windows(2).all(|pair| pair[1] - pair[0] > 0.98), "{at:?}");
    assert!(*last > 0.0);
    assert_eq!(probes(dir.path()) as u64, total(&dir.rows(), "web"));
}

#[test]
fn a_kill_loses_at_most_the_samples_of_the_last_second_and_tears_no_line() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let arguments = format!("-q --interval 20ms --report 1h --samples on web={}", web.address);
    for number in 1..=5 {
        let run = dir.start(&arguments);
        clock::let_pass(Duration::from_millis(1300 + 170 * number));
        run.signal(Signal::SIGKILL);
        let killed = tcpmon::sys::clock::wall();
        run.wait();
        let records = records(dir.path());
        let last = tick(records.last().expect("more than a second has passed"));
        let killed = killed.unix * 1000 + i64::from(killed.nanos / 1_000_000);
        // A second, an interval, and a busy machine.
        assert!(killed - last < 1300, "{last} is the last before {killed}");
        let ticks: Vec<i64> = records.iter().map(|record| tick(record)).collect();
        assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]), "no record is written twice");
    }
    // The counts lose nothing: there are as many as samples and lost ones.
    assert_eq!(dir.run(&format!("{arguments} -n 1")).code(), Some(0));
    let (counted, written) = (total(&dir.rows(), "web"), probes(dir.path()) as u64);
    assert!(written < counted && counted - written < 5 * 70, "{written} of {counted}");
}

#[test]
fn samples_leave_the_last_tenth_of_the_disk_to_the_other_files_and_say_so() {
    namespace::within(|| {
        let web = Accepting::new();
        let dir = RunDir::new();
        let directory = dir.path().join("disk");
        fs::create_dir(&directory).expect("our own directory");
        let disk = Disk::mounted(&directory, "1m");
        let settings = "--interval 50ms --report 1s --log-dir disk --ledger ./ledger --samples on --events on";
        let run = dir.start(&format!("-q {settings} web={}", web.address));
        let samples = || lines_in(&directory, Kind::Samples).len();
        wait_until("there are samples", || samples() > 10);
        let mut ballast = fs::File::create(disk.path().join("ballast")).expect("there is room");
        // 228 of 256 blocks.
        ballast.write_all(&vec![0; 912 << 10]).expect("there is room");
        wait_until("it is said", || run.stderr().contains("they pause"));
        let (before, reports) = (samples(), rows_in(&directory).len());
        wait_until("there are more reports", || rows_in(&directory).len() >= reports + 3);
        assert_eq!(samples(), before, "none was written");
        let status = || dir.run("status --log-dir disk --ledger ./ledger").stdout;
        let paused = "samples not written since ";
        wait_until("status says so", || status().contains(paused));
        assert!(status().contains(": No space left on device\n"), "{}", status());
        drop(ballast);
        fs::remove_file(disk.path().join("ballast")).expect("it is there");
        wait_until("there are samples again", || samples() > before);
        wait_until("status says nothing of it", || !status().contains(paused));
        let ended = run.end();
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert_eq!(
            said(&ended),
            [
                "tcpmon: samples: less than a tenth of the file system is free, they pause",
                "tcpmon: samples: there is space again, they go on",
            ]
        );
        assert!(probes(&directory) < total(&rows_in(&directory), "web") as usize);
    });
}

#[test]
fn samples_that_cannot_be_written_are_lost_and_that_is_said() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let names = [0, -1].map(|days| dir.path().join(file(Kind::Samples, days)));
    names.iter().for_each(|name| fs::create_dir(name).expect("our own directory"));
    let settings = "--interval 50ms --report 1h --samples on --events on";
    let run = dir.start(&format!("-q {settings} web={}", web.address));
    wait_until("it is said", || run.stderr().contains("its lines are lost until it can be"));
    names.iter().for_each(|name| fs::remove_dir(name).expect("it is ours"));
    wait_until("there are samples", || records(dir.path()).len() > 10);
    let ended = run.end();
    assert_eq!(
        said(&ended),
        [
            "tcpmon: log: tcp_samples_.csv cannot be opened (Is a directory), its lines are lost until it can be",
            "tcpmon: log: tcp_samples_.csv can be written again, its lines go on from here",
        ]
    );
    let told: Vec<String> = masked_events(&dir).into_iter().filter(|line| line.starts_with("log | ")).collect();
    assert_eq!(
        told,
        [
            "log | - | - | tcp_samples_.csv cannot be written: Is a directory",
            "log | - | - | tcp_samples_.csv can be written again, its lines until now are lost",
        ]
    );
    let (counted, written) = (total(&dir.rows(), "web") as usize, probes(dir.path()));
    assert!(counted > written + 10, "{written} of {counted}");
}

/// The events without digits.
fn masked_events(dir: &RunDir) -> Vec<String> {
    let events = crate::lines::masked(&crate::lines::events(dir));
    events.iter().map(|line| line.replace(char::is_numeric, "")).collect()
}

#[test]
fn without_the_switch_there_are_none_and_a_reload_turns_it() {
    let web = Accepting::new();
    let dir = RunDir::new();
    let conf = |samples: &str| {
        let port = web.address.port();
        dir.write("conf", &format!("interval 50ms\nreport 1h\nsamples {samples}\ntarget web 127.0.0.1 {port}\n"));
    };
    conf("off");
    let run = dir.start("run -q -c conf");
    let probes = |more: usize| {
        let before = web.accepted().len();
        wait_until("it probes", || web.accepted().len() >= before + more);
    };
    let mut by_switch: BTreeMap<&str, usize> = BTreeMap::new();
    probes(1);
    for switch in ["off", "on", "off"] {
        conf(switch);
        run.signal(Signal::SIGHUP);
        probes(40);
        by_switch.insert(switch, records(dir.path()).len());
        if switch == "off" && by_switch.len() == 1 {
            assert!(files(dir.path(), Kind::Samples).is_empty());
        }
    }
    assert_eq!(run.end().code(), Some(0));
    let written = records(dir.path()).len();
    assert!((30..100).contains(&written), "{written}: {by_switch:?}");
}
