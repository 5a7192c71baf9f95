//! Judges a run: its behaviour in words, and the checks that failed.

use std::os::unix::process::ExitStatusExt;

use crate::cases::{Case, Moment, Scope};
use crate::daily_log::{Kind, Row, Table};
use crate::messages;
use crate::run::Seen;
use crate::services::{GOOD, INTERVAL, SILENT_INTERVAL, TARGETS};

/// System calls a second, traced, above which the program is in a busy loop; usual is a few hundred.
const SPIN: f64 = 900.0;
/// Seconds of CPU time a second above which the program is in a busy loop.
const CPU: f64 = 0.25;
/// Probes in flight at the end, which are not counted.
const IN_FLIGHT: u64 = 3;

/// After so many failed probes in a row a target is down.
const IN_A_ROW: u64 = 3;
/// The services that never connect.
const OTHERS: [&str; 3] = ["closed", "full", "silent"];

/// The verdict on a case.
#[derive(Clone)]
pub struct Verdict {
    pub behaviour: String,
    pub failures: Vec<String>,
}

impl Verdict {
    /// A run that could not be made.
    pub fn none(why: String) -> Self {
        Self { behaviour: "could not be made".to_owned(), failures: vec![why] }
    }

    /// The failures as text, if there are any.
    pub fn wrong(&self, case: &Case) -> Option<String> {
        (!self.failures.is_empty()).then(|| format!("{case}: {}", self.failures.join("\n    ")))
    }

    /// Judges a run; without a case it had no fault.
    pub fn of(case: Option<&Case>, seen: &Seen) -> Self {
        let mut failures = Vec::new();
        ending(case, seen, &mut failures);
        pace(case, seen, &mut failures);
        sayings(case, seen, &mut failures);
        if !seen.early {
            counts(case, seen, &mut failures);
            other_files(case, seen, &mut failures);
        }
        Self { behaviour: behaviour(case, seen), failures }
    }
}

/// Checks the end of the run, and that it recovered before.
fn ending(case: Option<&Case>, seen: &Seen, failures: &mut Vec<String>) {
    let quiet = seen.complaints.is_empty();
    match seen.status {
        None => failures.push("it did not end after SIGTERM".to_owned()),
        Some(status) if status.signal().is_some() => {
            failures.push(format!("it died: {status}; {}", last(&seen.complaints)))
        }
        Some(status) if seen.early => {
            if case.is_none_or(|case| case.moment() != Moment::Start) {
                failures.push(format!("it ended by itself: {status}; {}", last(&seen.complaints)));
            } else if status.success() {
                failures.push("it ended at once, and with success".to_owned());
            } else if quiet && case.is_none_or(|case| case.call() != "write") {
                failures.push(format!("it ended at once, with {status} and without a message"));
            }
        }
        Some(status) if !status.success() => failures.push(format!("{status} at the end")),
        Some(_) => {}
    }
    if let Some(words) = messages::crash(&seen.complaints) {
        failures.push(format!("it crashed: {words}"));
    }
    if !seen.early && !seen.recovered {
        failures.push("no full report after the fault".to_owned());
    }
    if !seen.early && !seen.reloaded && !closes_console(case) {
        failures.push("no reload after the fault".to_owned());
    }
}

/// Whether the program stops using the console: after EPIPE of a write or EBADF of the first fstat.
fn closes_console(case: Option<&Case>) -> bool {
    case.is_some_and(|case| {
        (case.call().starts_with("write") && case.errno == "EPIPE")
            || (case.call() == "fstat" && case.errno == "EBADF" && case.moment() == Moment::Start)
    })
}

fn pace(case: Option<&Case>, seen: &Seen, failures: &mut Vec<String>) {
    let seconds = seen.trace.lasted.as_secs_f64().max(0.5);
    let (calls, cpu) = (seen.trace.calls.len() as f64 / seconds, seen.cpu / seconds);
    // In a helper the C library may loop until the lookup's timeout.
    if case.is_some_and(|case| case.moment() == Moment::Lookup) {
        return;
    }
    if calls > SPIN || cpu > CPU {
        failures.push(format!("a busy loop: {calls:.0} calls and {cpu:.2} s of CPU a second"));
    }
}

fn sayings(case: Option<&Case>, seen: &Seen, failures: &mut Vec<String>) {
    for (message, count) in messages::count(&seen.complaints) {
        // There were two reloads, each with its own message.
        let about_reload = message.contains("configuration") || message.starts_with("tcpmon.conf");
        let most = if about_reload { 2 } else { 1 };
        if count > most && !case.is_some_and(Case::flaps) {
            failures.push(format!("said {count} times: {message}"));
        }
    }
}

fn counts(case: Option<&Case>, seen: &Seen, failures: &mut Vec<String>) {
    for row in seen.log.rows.iter().filter(|row| !row.adds_up()) {
        failures.push(format!("a row of {} does not add up", row.service));
    }
    for line in &seen.log.strange {
        failures.push(format!("not a row: {line}"));
    }
    let summary = summary(seen);
    for (service, accepted) in GOOD.iter().zip(seen.accepted) {
        let connected = seen.log.sum(service, Row::connected);
        let failed = seen.log.sum(service, Row::failed);
        if connected > accepted {
            failures.push(format!("{service}: {connected} connected, and {accepted} accepted"));
        }
        if accepted > connected + failed + skipped(seen) + IN_FLIGHT {
            failures.push(format!("{service}: {accepted} accepted, and {connected} connected, {failed} failed"));
        }
        if failed > 0 && !case.is_some_and(Case::may_blame) {
            failures.push(format!("{service} is blamed for {failed} probes"));
        }
    }
    if closes_console(case) {
        return;
    }
    let mut ticks = skipped(seen);
    for service in OTHERS.iter().chain(&GOOD) {
        let (logged, counted) = (seen.log.sum(service, Row::total), summary.sum(service, Row::total));
        if logged != counted {
            failures.push(format!("{service}: {logged} in the log, {counted} counted"));
        }
        ticks += counted;
    }
    let lasted = seen.lasted.as_millis() as u64;
    let meant = lasted / INTERVAL * TARGETS + 2 * (lasted / SILENT_INTERVAL);
    if ticks + IN_FLIGHT * 6 < meant * 95 / 100 || ticks > meant + IN_FLIGHT * 6 {
        failures.push(format!("{ticks} ticks counted or skipped, {meant} were due"));
    }
}

/// Checks that the other daily files have all that the log has, and that a fault of one kind holds up none of the others.
fn other_files(case: Option<&Case>, seen: &Seen, failures: &mut Vec<String>) {
    let others = &seen.others;
    for line in &others.strange {
        failures.push(format!("not a whole line: {line}"));
    }
    for service in OTHERS.iter().chain(&GOOD) {
        let (connects, lookups) =
            (seen.log.sum(service, Row::failed_connects), seen.log.sum(service, Row::failed_lookups));
        let told = others.failed.get(*service).copied().unwrap_or_default();
        if told != (connects, lookups) {
            failures.push(format!("{service}: {connects} and {lookups} failed, the rows of times tell {told:?}"));
        }
        let (total, samples) =
            (seen.log.sum(service, Row::total), others.samples.get(*service).copied().unwrap_or_default());
        if samples > total || (case.is_none() && samples < total) {
            failures.push(format!("{service}: {samples} samples of {total} probes"));
        }
        let changes =
            others.events.iter().filter(|(kind, of)| of == service && ["down", "up"].contains(&kind.as_str()));
        let mut before = "up";
        for (kind, _) in changes {
            if kind == before {
                failures.push(format!("{service}: {kind} twice in a row"));
            }
            before = kind;
        }
    }
    for kind in ["start", "stop"] {
        if others.count(kind) != 1 {
            failures.push(format!("{} events {kind}", others.count(kind)));
        }
    }
    let is_down = others.events.iter().any(|(kind, service)| kind == "down" && service == "closed");
    if !is_down && seen.log.sum("closed", Row::failed) >= IN_A_ROW {
        failures.push("no event says that closed went down".to_owned());
    }
    if let Some(Scope::Daily(kind)) = case.map(Case::scope) {
        let stays = |other: &Kind| *other != kind && seen.complaints.contains(other.name().0);
        if let Some(other) = Kind::ALL.into_iter().find(stays) {
            failures.push(format!("trouble with {kind:?}, and also with {other:?}"));
        }
    }
}

/// The last table on the console.
fn summary(seen: &Seen) -> Table {
    let last = seen.output.rsplit_once("\nSince ").map_or("", |(_, table)| table);
    Table::parse(last)
}

fn skipped(seen: &Seen) -> u64 {
    let last = seen.output.rsplit_once("\nSince ").map_or("", |(_, table)| table);
    let line = last.lines().find(|line| line.contains(" skipped for reasons"));
    line.and_then(|line| line.split(' ').next()?.parse().ok()).unwrap_or(0)
}

fn last(complaints: &str) -> &str {
    complaints.lines().last().unwrap_or("no message")
}

/// The message without its errno.
fn without_reason(message: &str) -> String {
    match message.split_once(" (").and_then(|(begin, rest)| Some((begin, rest.split_once(')')?.1))) {
        Some((begin, end)) => format!("{begin} (...){end}"),
        None => message.to_owned(),
    }
}

/// The behaviour in words.
fn behaviour(case: Option<&Case>, seen: &Seen) -> String {
    if case.is_some() && seen.trace.failed == 0 {
        return match case.map(Case::call) {
            Some("clock_gettime") => "no system call (vDSO)".to_owned(),
            _ => "not called".to_owned(),
        };
    }
    if seen.early {
        let status = seen.status.map_or_else(String::new, |status| status.to_string());
        return format!("refused to start ({status}): {}", without_reason(last(&seen.complaints)));
    }
    let mut words: Vec<String> =
        messages::count(&seen.complaints).keys().filter_map(|m| messages::meaning(m)).collect();
    words.sort();
    words.dedup();
    let said = !words.is_empty();
    let blamed = |number: fn(&Row) -> u64| GOOD.iter().map(|service| seen.log.sum(service, number)).sum::<u64>();
    let (failed, lookups) = (blamed(Row::failed), blamed(Row::failed_lookups));
    if lookups > 0 {
        words.push("lookup failed".to_owned());
    }
    if failed > lookups {
        words.push("connect failed".to_owned());
    }
    let writes = |case: &Case| case.call().starts_with("write") && !matches!(case.scope(), Scope::Daily(_));
    if case.is_some_and(writes) || closes_console(case) {
        words.push("console output lost".to_owned());
    }
    if seen.log.headers > 1 {
        words.push("header repeated".to_owned());
    }
    match (said, words.is_empty()) {
        (_, true) => "no effect".to_owned(),
        (true, _) => format!("{}, said once", words.join(", ")),
        (false, _) => words.join(", "),
    }
}
