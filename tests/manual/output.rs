//! What tcpmon(8) says of the output: keys of JSON, metrics, answers, states, daily files, reasons and events.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use tcpmon::base::limits;
use tcpmon::base::time::{Nanos, WallTime};
use tcpmon::core::health::{Health, State};
use tcpmon::core::ledger::{Ledger, Memory};
use tcpmon::core::probe::End;
use tcpmon::core::report::Report;
use tcpmon::model::cause::Cause;
use tcpmon::model::directive::Directive;
use tcpmon::model::event::{Event, Found};
use tcpmon::model::log_names::Kind;
use tcpmon::model::reason::{Ending, Reason, Shortage};
use tcpmon::model::request::{Refusal, Request};
use tcpmon::model::settings::Settings;
use tcpmon::model::target::{Address, Target};
use tcpmon::render::overview::Screen;
use tcpmon::render::{Life, Seen, answer, events, json, metrics, overview, report_json, samples};

use crate::{FORMAT, PAGE, assert_same, entries, plain, rows, run, section, told};

/// The keys in a value of JSON, each behind the one whose value has it. A list is what its items are.
fn keys(value: &serde_json::Value, parent: &str, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                found.insert(format!("{parent}.{key}"));
                keys(value, key, found);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| keys(value, parent, found)),
        _ => {}
    }
}

/// The same of the lists in a subsection of the manual on JSON.
fn named_keys(subsection: &str) -> BTreeSet<String> {
    let lists = section(PAGE, "JSON").split(&format!("\n.Ss {subsection}\n")).nth(1).unwrap();
    let (mut found, mut parents, mut names) = (BTreeSet::new(), Vec::new(), vec![""]);
    for line in lists.split("\n.Ss ").next().unwrap().lines() {
        if line.starts_with(".Bl ") {
            parents.push(names.clone());
        } else if line == ".El" {
            names = parents.pop().unwrap();
        } else if let Some(entry) = line.strip_prefix(".It Va ") {
            names = entry.split(" , ").collect();
            for parent in parents.last().unwrap() {
                found.extend(names.iter().map(|name| format!("{parent}.{name}")));
            }
        }
    }
    found
}

#[track_caller]
fn assert_keys(subsection: &str, text: &str) {
    let value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut found = BTreeSet::new();
    keys(&value, "", &mut found);
    assert_eq!(named_keys(subsection), found);
}

/// A ledger with one target, whose last probe connected and the one before it failed, so that nothing of it is unknown.
fn ledger(began: WallTime) -> Ledger {
    let ledger = Ledger::create(Memory::own(1), 1, began);
    let record = ledger.record(0);
    record.install(&Target::new("web", "www.example.com", 443).unwrap());
    record.set_health(&Health { state: State::Up, ..Health::NEW });
    let time = Some(Nanos::from_millis(1));
    let address = Address::new([192, 0, 2, 7].into());
    for ending in [Ending::ConnectFailed(Reason::Refused, address), Ending::Connected(address)] {
        record.end(began.unix_u32(), &End { ending, lookup: time, connect: time, ..End::skipped(Shortage::Late) });
    }
    ledger
}

fn utc(unix: i64) -> WallTime {
    WallTime { unix, nanos: 0, offset: 0 }
}

const NOW: i64 = 1_760_020_200;

/// What is written of that ledger while its run does this.
fn shown(life: Life, write: fn(&mut String, &Seen<'_>)) -> String {
    let (now, local) = (utc(NOW), utc);
    let (ledger, describe) = (ledger(now), |_| "an error");
    let mut text = String::new();
    write(&mut text, &Seen { ledger: &ledger, life, services: &[], now, local, describe });
    text
}

const LIVES: [Life; 7] =
    [Life::Running(1), Life::Elsewhere, Life::Starting, Life::Ending, Life::Ended, Life::Stopped, Life::Killed];

#[test]
fn the_manual_has_every_key_of_the_json_of_status_and_no_other() {
    let text = shown(Life::Running(1), json::write);
    assert!(!text.contains("last_failure\":null") && !text.contains("connect\":null"), "{text}");
    assert_keys("Keys of status", &text);
    let words = LIVES.map(|life| {
        let value: serde_json::Value = serde_json::from_str(&shown(life, json::write)).unwrap();
        value["run"].as_str().unwrap().to_string()
    });
    let section = section(PAGE, "JSON").split("\n.It Va run\n").nth(1).unwrap().split("\n.It ").next().unwrap();
    let named = section.lines().filter_map(|line| line.strip_prefix(".Ql ")?.split(' ').next());
    assert_eq!(named.collect::<BTreeSet<_>>(), words.iter().map(String::as_str).collect());
}

#[test]
fn the_manual_has_every_key_of_the_json_of_once_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("web={}", listener.local_addr().unwrap());
    let (status, text) = run(dir.path(), &format!("once -j {target}"));
    assert_eq!(status, 0, "{text}");
    assert_keys("Keys of once", &text);
}

#[test]
fn the_manual_has_every_key_of_the_json_of_a_report_and_no_other() {
    let mut report = Report::new(None, None, &[], utc);
    let files = "2025-10-09 00:00:00 | web | 9 | 1 | 10 | 0 | 0 | 0 | 10\n\
                 2025-10-09 00:05:00 | web | 0 | 0 | 10 | 0 | 0 | 10 | 10\n\
                 2025-10-09 01:00:00 | web | 0 | 0 | 10 | 0 | 0 | 10 | 10\n\
                 2025-10-09 00:05:00 | web | h:1 | 1.0 | 2.0 | 3.0 | 1.0 | 2.0 | 3.0 | 0 | 0 | connect refused 8\n";
    assert_eq!(report.read(files.as_bytes(), false), files.len());
    report.finish(None);
    let mut text = String::new();
    report_json::write(&mut text, &report);
    assert_keys("Keys of report", &text);
}

#[test]
fn the_manual_has_every_metric_and_no_other_and_every_label_with_its_values() {
    let (text, section) = (shown(Life::Running(1), metrics::write), section(PAGE, "METRICS"));
    let named: BTreeSet<&str> = entries(section, "Va").into_iter().collect();
    let found = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    assert_eq!(named, found.collect());
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let sample = sample.split_once('{').map_or("", |(_, sample)| sample.split('}').next().unwrap());
        for (label, value) in sample.split(',').filter_map(|label| label.split_once('=')) {
            labels.entry(label).or_default().insert(value.trim_matches('"'));
        }
    }
    // A bucket's edge belongs to the format of Prometheus.
    labels.remove("le");
    assert_eq!(labels.len(), 8, "{labels:?}");
    let page = plain(section);
    for (label, values) in labels {
        if ["lookup", "connect", "phase"].contains(&label) {
            let (_, told) = page.split_once(&format!("{label} (")).unwrap_or_else(|| panic!("{label}: {page}"));
            let told: BTreeSet<&str> = told.split(')').next().unwrap().split(", ").collect();
            assert_eq!(told, values, "{label}");
        }
        assert!(section.lines().any(|line| line.starts_with(".Va ") && line.split(' ').any(|w| w == label)), "{label}");
    }
}

#[test]
fn the_manual_has_every_answer_to_a_web_server() {
    let section = section(PAGE, "WEB SERVERS");
    let refusals = [Refusal::Method, Refusal::Path, Refusal::Nobody, Refusal::Last, Refusal::Service];
    let statuses = refusals.into_iter().map(answer::Status::Refused).chain([answer::Status::Unavailable]);
    let codes = statuses.map(|status| {
        let mut head = String::new();
        answer::write_head(&mut head, status, 0);
        head.split(' ').nth(1).unwrap().to_string()
    });
    let of_page = section.lines().filter_map(|line| line.strip_prefix(".It ")).filter(|entry| entry.len() == 3);
    assert_eq!(of_page.map(str::to_string).collect::<BTreeSet<_>>(), codes.collect());
    let paths = section.lines().filter_map(|line| line.strip_prefix(".It ")?.split_once("Pa ").map(|(_, path)| path));
    let contents: Vec<_> =
        paths.map(|path| Request::parse(b"GET", path.as_bytes(), b"").unwrap_or_else(|_| panic!("{path}"))).collect();
    assert_eq!(contents.len(), 3);
    let (least, most) = limits::PERIOD;
    let period = format!("{least} to {}d", most.secs() / 86_400);
    assert!(plain(section).contains(&period), "{period}");
    let refused = include_str!("../../src/render/answer.rs");
    assert!(refused.contains(&format!("last is no time from {period}")));
    assert!(told(PAGE, "nothing , Pa /").contains(&format!("last {} hours", limits::PAGE.secs() / 3600)));
}

#[test]
fn the_manual_has_every_state_with_the_words_of_the_program() {
    let states = rows(section(PAGE, "STATES"));
    let write: fn(&mut String, &Seen<'_>) = |out, seen| {
        overview::write(out, seen, Screen { is_wide: false, columns: usize::MAX, lines: usize::MAX, marks: false });
    };
    let mut said: Vec<String> = LIVES.map(|life| shown(life, write)).into();
    // What is said beside what the ledger shows.
    said.push([include_str!("../../src/commands/view.rs"), include_str!("../../src/shell/snapshot.rs")].concat());
    let tried = include_str!("../edges/states.rs");
    for row in &states {
        let [state, words, ..] = row[..] else { panic!("{row:?}") };
        assert!(said.iter().any(|said| said.contains(words)), "{words}");
        assert!(tried.contains(&format!("\"{state}\"")), "no test of each command tries the state {state}");
    }
    assert_eq!(states.len(), 11);
    for said in &said[..LIVES.len()] {
        assert!(states.iter().any(|row| said.contains(row[1])), "{said}");
    }
}

#[test]
fn the_manual_has_every_daily_file_and_no_other() {
    let section = section(PAGE, "FILES");
    let names = Kind::ALL.map(|kind| kind.name(utc(0)).as_str().replace("19700101", "YYYYMMDD"));
    let named = entries(section, "Pa").into_iter().filter(|entry| entry.contains("YYYYMMDD"));
    assert_same(named, names.iter().map(|name| format!("/var/log/tcpmon/{name}")));
    let links = entries(section, "Pa").into_iter().find(|entry| entry.contains("latest")).unwrap();
    assert_same(links.strip_prefix("/var/log/tcpmon/").unwrap().split(" , "), Kind::ALL.map(Kind::latest));
    for (name, directive) in names.iter().skip(1).zip(["times", "events", "samples"]) {
        assert!(told(FORMAT, &format!("Ic {directive}")).contains(&format!("{name}:")), "{name}");
    }
    assert!(section.contains(&format!("/{}\n", Settings::default().value(Directive::Ledger))));
}

#[test]
fn the_manual_has_every_reason_every_shortage_and_every_cause_and_no_other() {
    let reasons = Reason::NAMED.map(|reason| (reason.to_string(), reason.token()));
    let reasons = reasons.into_iter().chain([("error N".to_string(), Reason::Other(1).token())]);
    assert_same(
        section(PAGE, "REASONS")
            .split("\n.It Li ")
            .skip(1)
            .filter_map(|entry| entry.split_once(": "))
            .map(|(entry, _)| entry),
        reasons.map(|(words, token)| format!("{token}\n{words}")),
    );
    let tokens = Shortage::ALL.map(Shortage::token);
    let (last, others) = tokens.split_last().unwrap();
    let shortages = format!("A skipped tick has one of {} and {last}.", others.join(", "));
    let samples = plain(section(PAGE, "SAMPLES"));
    assert!(samples.contains(&shortages), "{shortages}: {samples}");
    let slow = Cause::ALL.iter().filter(|cause| cause.failure().is_none()).map(Cause::to_string);
    let named = entries(section(PAGE, "TIMES AND CAUSES"), "Li");
    let named = named.iter().map(|entry| entry.split(" Ar ").next().unwrap());
    assert_same(named, ["lookup".to_string()].into_iter().chain(slow));
}

#[test]
fn the_manual_has_the_heading_of_samples_and_every_outcome() {
    let section = section(PAGE, "SAMPLES");
    assert!(section.contains(&format!("\n{}", samples::HEADER)), "{}", samples::HEADER);
    let address = Address::new([192, 0, 2, 7].into());
    let endings = [
        Ending::Connected(address),
        Ending::ConnectFailed(Reason::Refused, address),
        Ending::LookupFailed(Reason::TimedOut),
        Ending::Skipped(Shortage::Late),
    ];
    let [first, second, third, last] = endings.map(|ending| ending.outcome());
    assert!(told(section, "Li outcome").starts_with(&format!("{first}, {second}, {third} or {last}.")));
}

/// The position of a kind in the manual. A new kind must be there.
fn position(event: &Event) -> usize {
    match event {
        Event::Down { .. } => 0,
        Event::Up { .. } => 1,
        Event::Address => 2,
        Event::Flapping { .. } => 3,
        Event::Start { .. } => 4,
        Event::Killed { .. } => 5,
        Event::Stopped { .. } => 6,
        Event::Stop { .. } => 7,
        Event::Clock { .. } => 8,
        Event::Reload { .. } => 9,
        Event::Log { .. } => 10,
        Event::Dropped { .. } => 11,
    }
}

#[test]
fn the_manual_has_every_kind_of_event_with_its_text() {
    let address = Address::new([192, 0, 2, 7].into());
    let (since, file, day) = (1_760_009_288, Kind::Samples, 0);
    let (from, to) = (since, since);
    let shown = [
        Event::Down { ending: Ending::ConnectFailed(Reason::Refused, address), since, failed: 3 },
        Event::Up { address, connect: Nanos::new(11_100_000), since, down_for: 312, failed: 156 },
        Event::Flapping { changes: 12, is_up: false },
        Event::Start { targets: 14 },
        Event::Killed { from, to },
        Event::Stopped { from, to },
        Event::Stop { targets: 14, down: 3 },
        Event::Clock { from, to },
        Event::Reload { new: 2, removed: 1, kept: 11 },
        Event::Log { file: Kind::Stats, day, errno: 28 },
        Event::Log { file: Kind::Stats, day, errno: 0 },
        Event::Log { file, day, errno: 0 },
        Event::Dropped { events: 7 },
    ];
    let section = section(PAGE, "EVENTS");
    let moment = "2025-10-09T14:28:08+03:00";
    let mut kinds = vec![""; 12];
    // Its text is that of a target's record.
    kinds[position(&Event::Address)] = Event::Address.word();
    for event in shown {
        kinds[position(&event)] = event.word();
        let found = Found { at: since, event };
        let local = |unix| WallTime { unix, nanos: 0, offset: 3 * 3600 };
        let (mut line, describe) = (String::new(), |_| "No space left on device");
        events::Line { found: &found, target: None, record: None, local, describe }.write(&mut line).unwrap();
        let text = line.trim_end().splitn(5, " | ").nth(4).unwrap().to_string();
        let text = text.replace(&format!("from {moment} to {moment}"), "from TIME to TIME");
        let text = text.replace("tcp_stats_19700101.log", "FILE").replace("tcp_samples_19700101.csv", "FILE");
        // The manual has the version of its examples.
        let text = text.replace(concat!("tcpmon ", env!("CARGO_PKG_VERSION")), "tcpmon 0.2.0");
        let told = told(section, &format!("Li {}", event.word()));
        assert!(told.contains(&text), "{text}: {told}");
    }
    assert_same(entries(section, "Li"), kinds);
    let (changes, time) = limits::FLAPPING;
    assert!(told(section, "Li flapping").contains(&format!("After {changes} changes")) && time.secs() == 60);
    assert_eq!(limits::ADDRESS_AGAIN.secs(), 3600, "one such event an hour");
}
