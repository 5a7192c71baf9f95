//! The tables of `tcpmon status -v`: the counts that are not in the log yet, all counts, the distribution of times, the
//! reasons, and the daily files.

use core::fmt;

use super::cells::{self, Column, Kind, MOMENT, WHOLE, WORDS, put};
use super::table::heading;
use super::{LocalTime, Row, Seen, Shown, times};
use crate::base::histogram::Summary;
use crate::base::limits;
use crate::core::health::State;
use crate::core::ledger::Last;
use crate::model::log_names;
use crate::model::outcome::Counts;
use crate::model::target::Target;

/// A column of numbers.
const NUMBER: Column = Column(0, Kind::Number);

/// A column of times.
const TIME: Column = Column(10, Kind::Number);

const TIMES: &str = "Service\tTarget\tPhase\tCount\tp50 ms\tp95 ms\tp99 ms\tMax ms\t";
const REASONS: &str =
    "Service\tTarget\tSkipped\tState since\tLast good\tLast failure\tResult\tSYNs resent\tAll reasons\t";

/// Writes all tables.
#[inline(never)] // LLVM would hoist its constants into the caller's loop.
pub fn write(out: &mut String, seen: &Seen<'_>) {
    let rows = seen.rows(true);
    out.push_str("\nNot in the log yet:\n");
    write_counts(out, seen, &rows, true);
    put(out, format_args!("\nSince {}:\n", Local(seen.ledger.began(), seen.local)));
    write_counts(out, seen, &rows, false);
    out.push_str("\nTimes of what did not fail:\n");
    write_times(out, &rows);
    out.push_str("\nReasons:\n");
    write_reasons(out, seen, &rows);
    let [most, busy] = seen.ledger.helpers();
    put(out, format_args!("\nHelpers: at most {most}, {busy} busy at the same time until now\n"));
    out.push_str("\nFiles that were written last:\n");
    for kind in log_names::Kind::ALL {
        cells::write_shortened(out, seen.ledger.last_file(kind, &mut [0; limits::PATH]), usize::MAX, false);
        if !out.ends_with('\n') {
            out.push('\n');
        }
    }
}

fn write_reasons(out: &mut String, seen: &Seen<'_>, rows: &[Row<'_>]) {
    let local = |unix| Local(unix, seen.local);
    let mut cells = String::from(REASONS);
    for (record, target) in rows {
        let (state, since) = record.state();
        let since = if state == State::Unknown { 0 } else { since };
        let good = record.last_good().map_or(0, |(at, ..)| at);
        cells::write_target(&mut cells, target);
        put(&mut cells, format_args!("{}\t{}\t{}\t", record.skipped(), local(since), local(good)));
        match &record.last_failure() {
            Some(Last { at, ending, .. }) => {
                put(&mut cells, format_args!("{}\t{}\t", local(*at), Shown(ending, target)));
            }
            None => cells.push_str("-\tnone\t"),
        }
        put(&mut cells, format_args!("{}\t", record.resent()));
        // A String takes everything.
        let _ = times::write_causes(&mut cells, &record.causes(), times::shown(&record.silent()));
        cells.push('\t');
    }
    let columns = [WORDS, WORDS, NUMBER, MOMENT, MOMENT, MOMENT, WORDS, NUMBER, WORDS];
    cells::write(out, &columns, &cells, WHOLE);
}

#[inline(never)] // Called twice.
fn write_counts(out: &mut String, seen: &Seen<'_>, rows: &[Row<'_>], unreported: bool) {
    let mut cells = String::from("Service\tTarget\t");
    for column in 0..7 {
        put(&mut cells, format_args!("{}\t", heading(&seen.ledger.thresholds(), column)));
    }
    for (record, target) in rows {
        cells::write_target(&mut cells, target);
        let tally = record.tally();
        let counts: Counts = if unreported { tally.unreported() } else { *tally.counted() };
        for number in counts.columns().numbers() {
            put(&mut cells, format_args!("{number}\t"));
        }
    }
    const COLUMNS: [Column; 9] = [WORDS, WORDS, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER];
    cells::write(out, &COLUMNS, &cells, WHOLE);
}

fn write_times(out: &mut String, rows: &[Row<'_>]) {
    let mut cells = String::from(TIMES);
    for (record, target) in rows {
        add_times(&mut cells, target, "DNS", record.lookups());
        add_times(&mut cells, target, "Connect", record.connects());
    }
    const COLUMNS: [Column; 8] = [WORDS, WORDS, WORDS, TIME, TIME, TIME, TIME, TIME];
    cells::write(out, &COLUMNS, &cells, WHOLE);
}

#[inline(never)] // Called twice.
fn add_times(cells: &mut String, target: &Target, phase: &str, summary: Option<Summary>) {
    let Some(Summary { count, p50, p95, p99, max }) = summary else { return };
    cells::write_target(cells, target);
    put(cells, format_args!("{phase}\t{count}\t"));
    for time in [p50, p95, p99, max] {
        put(cells, format_args!("{}\t", time.as_millis()));
    }
}

/// A second since 1970 as local time; `-` for 0.
struct Local(i64, LocalTime);

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("-"),
            unix => (self.1)(unix).fmt(f),
        }
    }
}
