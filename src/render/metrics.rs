//! The content of `tcpmon metrics`: the ledger in the text format of Prometheus, version 0.0.4. All samples of a family
//! stand together, below its help and its type.

use core::fmt;

use super::cells::put;
use super::json::Quoted;
use super::{Row, Seen};
use crate::base::histogram::FINE;
use crate::base::text::Text;
use crate::base::time::Nanos;
use crate::base::words;
use crate::core::health::State;
use crate::core::ledger::Ledger;
use crate::model::cause::{Cause, Phase};
use crate::model::log_names::Kind;
use crate::model::outcome::Outcome;
use crate::model::target::Target;

/// The edges of the histograms as powers of two, in nanoseconds: the octaves from half a millisecond to nine minutes. They
/// never change, so that histograms of many boxes can be added up.
const EDGES: core::ops::RangeInclusive<u32> = 19..=39;

/// The families of targets, each with its name, its type and its help.
static OF_TARGETS: [&str; 9] = [
    "tcpmon_probes_total counter Probes that have ended, by how their lookup and their connect went.",
    "tcpmon_failures_total counter Probes that have failed, by the phase that failed and the reason.",
    "tcpmon_lookup_duration_seconds histogram Times of the lookups that gave an address. \
     The sum is made of the middles of buckets and is right within 6.25 %.",
    "tcpmon_connect_duration_seconds histogram Times of the accepted connects. \
     The sum is made of the middles of buckets and is right within 6.25 %.",
    "tcpmon_up gauge Whether the target is up. There is no sample while that is not known or no run watches it.",
    "tcpmon_state_since_timestamp_seconds gauge The probe from which on the target is up or down.",
    "tcpmon_syns_resent_total counter SYNs that the kernel sent again.",
    "tcpmon_addresses_given_up_total counter Addresses that stayed silent, before another one of their name accepted.",
    "tcpmon_skipped_total counter Ticks without a probe, for a shortage of this box.",
];

/// Those of the monitor.
static OF_MONITOR: [&str; 6] = [
    "tcpmon_running gauge Whether a run is there.",
    "tcpmon_start_time_seconds gauge When the last run was started.",
    "tcpmon_alive_timestamp_seconds gauge When the last run was last alive.",
    "tcpmon_log_failing gauge Whether a daily file cannot be written.",
    "tcpmon_events_dropped_total counter Events for which there was no room in the ledger.",
    "tcpmon_build_info gauge The version of the program that wrote this.",
];

/// Writes the metrics of the targets that are shown and configured, and of the monitor.
#[inline(never)] // LLVM would hoist its constants into the caller's loop.
pub fn write(out: &mut String, seen: &Seen<'_>) {
    let rows = seen.rows(false);
    let labels = labels(&rows);
    let mut to = Family { out, heading: "", is_begun: false };
    for (family, heading) in OF_TARGETS.iter().enumerate() {
        to.begin(heading);
        for (row, labels) in rows.iter().zip(&labels) {
            write_samples(&mut to, family, seen, row, labels);
        }
    }
    write_monitor(out, seen.life.is_alive(), Some(seen.ledger));
}

/// Writes the samples of a target in the family of this index in [`OF_TARGETS`].
fn write_samples(to: &mut Family<'_>, family: usize, seen: &Seen<'_>, row: &Row<'_>, labels: &str) {
    let (record, target) = row;
    let (state, since) = record.state();
    let is_known = seen.life.is_current() && state != State::Unknown;
    let value = match family {
        0 => {
            for outcome in &Outcome::ALL {
                to.add("", labels, phases(*outcome), &record.tally().counted().of(*outcome));
            }
            return;
        }
        1 => return write_failures(to, row, labels),
        2 if target.literal.is_some() => return,
        2 => return write_histogram(to, labels, &|bucket| record.times_in(Phase::Lookup, bucket)),
        3 => return write_histogram(to, labels, &|bucket| record.times_in(Phase::Connect, bucket)),
        4 | 5 if !is_known => return,
        4 => u64::from(state == State::Up),
        5 => since as u64,
        6 => record.resent().into(),
        7 => record.causes()[Cause::Silent.index()].into(),
        _ => record.skipped().into(),
    };
    to.add("", labels, "", &value);
}

/// Writes what is known of the monitor: without its ledger only whether it runs, and the version of this program.
#[inline(never)]
pub fn write_monitor(out: &mut String, is_running: bool, ledger: Option<&Ledger>) {
    let mut to = Family { out, heading: "", is_begun: false };
    for (i, heading) in OF_MONITOR.iter().enumerate() {
        to.begin(heading);
        let value = match (i, ledger) {
            (0, _) => is_running.into(),
            (5, _) => 1,
            (_, None) => continue,
            (1, Some(ledger)) => ledger.started() as u64,
            (2, Some(ledger)) => ledger.alive() as u64,
            (3, Some(ledger)) => Kind::ALL.iter().any(|kind| ledger.broken(*kind).is_some()).into(),
            (_, Some(ledger)) => ledger.all_dropped_events().into(),
        };
        let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
        to.add("", if i == 5 { version } else { "" }, "", &value);
    }
}

/// The family that is being written.
struct Family<'a> {
    out: &'a mut String,
    /// Its name, its type and its help.
    heading: &'static str,
    /// Whether it has a sample: its help and its type are written before the first one.
    is_begun: bool,
}

impl Family<'_> {
    /// Begins the family of this heading.
    fn begin(&mut self, heading: &'static str) {
        (self.heading, self.is_begun) = (heading, false);
    }

    /// Adds a sample: what stands behind the family's name, two lists of labels, which may be empty, and the value.
    #[inline(never)] // Called from many paths.
    fn add(&mut self, suffix: &str, labels: &str, more: &str, value: &dyn fmt::Display) {
        let mut help = self.heading;
        let name = words::next_word(&mut help);
        if !core::mem::replace(&mut self.is_begun, true) {
            let kind = words::next_word(&mut help);
            put(self.out, format_args!("# HELP {name}{help}\n# TYPE {name} {kind}\n"));
        }
        self.out.push_str(name);
        self.out.push_str(suffix);
        let mut mark = '{';
        for labels in [labels, more] {
            if !labels.is_empty() {
                self.out.push(mark);
                self.out.push_str(labels);
                mark = ',';
            }
        }
        put(self.out, format_args!("{} {value}\n", if mark == ',' { "}" } else { "" }));
    }
}

fn write_failures(to: &mut Family<'_>, (record, target): &Row<'_>, labels: &str) {
    for (cause, count) in Cause::ALL.iter().zip(record.causes()) {
        let (phase, reason) = match cause.failure() {
            Some((Phase::Connect, reason)) => ("connect", reason),
            // A literal is not looked up.
            Some((Phase::Lookup, reason)) if target.literal.is_none() => ("lookup", reason),
            Some(_) | None => continue,
        };
        let more = Text::<64>::format(format_args!("phase=\"{phase}\",reason=\"{}\"", reason.token()));
        to.add("", labels, more.as_str(), &count);
    }
}

#[inline(never)] // Called twice.
fn write_histogram(to: &mut Family<'_>, labels: &str, count_of: &dyn Fn(usize) -> u32) {
    let (mut count, mut sum, mut bucket) = (0, Nanos::ZERO, 0);
    let mut add_up = |end| {
        while bucket < end {
            let times = u64::from(count_of(bucket));
            count += times;
            sum = sum.plus(FINE.middle(bucket).times(times));
            bucket += 1;
        }
        (count, sum)
    };
    for edge in EDGES {
        let edge = Nanos::new(1 << edge);
        let le = Text::<32>::format(format_args!("le=\"{}\"", edge.as_seconds()));
        // All buckets before that of the edge end at or before it.
        to.add("_bucket", labels, le.as_str(), &add_up(FINE.bucket(edge)).0);
    }
    let (count, sum) = add_up(FINE.buckets());
    to.add("_bucket", labels, "le=\"+Inf\"", &count);
    to.add("_sum", labels, "", &sum.as_seconds());
    to.add("_count", labels, "", &count);
}

/// The labels of an outcome.
fn phases(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::LookupFailed => "lookup=\"failed\",connect=\"none\"",
        Outcome::FastFast => "lookup=\"fast\",connect=\"fast\"",
        Outcome::FastSlow => "lookup=\"fast\",connect=\"slow\"",
        Outcome::FastFailed => "lookup=\"fast\",connect=\"failed\"",
        Outcome::SlowFast => "lookup=\"slow\",connect=\"fast\"",
        Outcome::SlowSlow => "lookup=\"slow\",connect=\"slow\"",
        Outcome::SlowFailed => "lookup=\"slow\",connect=\"failed\"",
    }
}

/// The labels of each target. Those of targets that share service, host and port are told apart by their position.
fn labels(rows: &[Row<'_>]) -> Vec<String> {
    let mut all = Vec::new();
    for (i, (_, target)) in rows.iter().enumerate() {
        let is_same = |(_, other): &&Row<'_>| target.is_same_as(other);
        let Target { service, host, scope, port, .. } = target;
        let percent = if scope.is_empty() { "" } else { "%" };
        let mut labels = String::new();
        put(
            &mut labels,
            format_args!(
                "service={},host={},port=\"{port}\"",
                Quoted(service),
                Quoted(&format_args!("{host}{percent}{scope}"))
            ),
        );
        let before = rows[..i].iter().filter(is_same).count();
        if before > 0 || rows[i + 1..].iter().any(|row| is_same(&row)) {
            put(&mut labels, format_args!(",index=\"{}\"", before + 1));
        }
        all.push(labels);
    }
    all
}

#[cfg(test)]
mod tests;
