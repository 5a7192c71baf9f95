//! The tables of `tcpmon status`: the state of the run and of each target, the counts that are not in the log
//! yet, all counts, and the distribution of times.

use core::fmt::{self, Write};

use super::cells::{self, Column, MOMENT, WORDS};
use super::table::Form;
use super::{Life, LocalTime, Millis, Seen, Shown};
use crate::base::histogram::Summary;
use crate::base::time::WallTime;
use crate::core::ledger::{Last, Record, State};
use crate::model::outcome::{Counts, Tally};
use crate::model::target::Target;

/// Writes all tables.
#[inline(never)] // LLVM would hoist its constants into the caller's loop.
pub fn write(out: &mut dyn Write, seen: &Seen<'_>) -> fmt::Result {
    let Seen { ledger, now, local, .. } = *seen;
    write_run(out, seen)?;
    let records = ledger.in_order();
    write_states(out, &records, local)?;
    let form = Form::of(ledger);
    write!(out, "\nNot in the log yet:\n{}", form.header())?;
    write_rows(out, &form, now, &records, |tally| tally.unreported())?;
    let began = Local(Some(ledger.began()), local);
    write!(out, "\nSince {began}:\n{}", form.header())?;
    write_rows(out, &form, now, &records, |tally| *tally.counted())?;
    writeln!(out, "\nTimes since {began}, of what did not fail:")?;
    write_times(out, &records)
}

fn write_run(out: &mut dyn Write, seen: &Seen<'_>) -> fmt::Result {
    let Seen { ledger, life, local, .. } = *seen;
    let (pid, moment) = (ledger.owner().pid, |unix| Local(Some(unix), local));
    let how = match life {
        Life::Running(pid) => {
            write!(out, "Running as pid {pid} since {}, ", moment(ledger.started()))?;
            return write_due(out, ledger.due(), local);
        }
        Life::Elsewhere => {
            write!(out, "Running in another pid namespace (as pid {pid}) since {}, ", moment(ledger.started()))?;
            return write_due(out, ledger.due(), local);
        }
        Life::Starting => return writeln!(out, "Starting: a process has locked the ledger and has not begun yet\n"),
        Life::Ending => {
            return writeln!(out, "Ending: the run (pid {pid}) was told to end and writes its last report\n");
        }
        Life::Ended => "ended",
        Life::Stopped => "was stopped until tcpmon start or a reboot",
        Life::Killed => "did not end cleanly",
    };
    writeln!(out, "Not running: the last run (pid {pid}) {how}, last alive at {}\n", moment(ledger.alive()))
}

fn write_due(out: &mut dyn Write, due: i64, local: LocalTime) -> fmt::Result {
    match due {
        // The clock is not set, so no report is due.
        0 => writeln!(out, "reports wait for the clock to be set\n"),
        due => writeln!(out, "next report at {}\n", Local(Some(due), local)),
    }
}

fn write_states(out: &mut dyn Write, records: &[Record<'_>], local: LocalTime) -> fmt::Result {
    let mut cells = String::from("Service\tTarget\tState\tSince\tSkipped\tLast probe\tDNS ms\tConnect ms\tResult\t");
    for record in records {
        // Every record in use has a target: another ledger is refused when it is read.
        let Some(target) = record.target() else { continue };
        let (state, since) = state(record);
        let (service, endpoint, skipped) = (target.service, target.endpoint(), record.skipped());
        write!(cells, "{service}\t{endpoint}\t{state}\t{}\t{skipped}\t", Local(since, local))?;
        match &record.last() {
            Some(Last { at, ending, lookup, connect }) => {
                let (lookup, connect) = (Millis(lookup, "-"), Millis(connect, "-"));
                let shown = Shown(ending, &target);
                write!(cells, "{}\t{lookup}\t{connect}\t{shown}\t", Local(Some(*at), local))?;
            }
            None => cells.write_str("-\t-\t-\tnone yet\t")?,
        }
    }
    const COLUMNS: [Column; 9] =
        [WORDS, WORDS, WORDS, MOMENT, Column(0, true), MOMENT, Column(9, true), Column(10, true), WORDS];
    cells::write(out, &COLUMNS, &cells)
}

fn write_rows(
    out: &mut dyn Write,
    form: &Form,
    now: WallTime,
    records: &[Record<'_>],
    counts: fn(&Tally) -> Counts,
) -> fmt::Result {
    for record in records {
        let Some(target) = record.target() else { continue };
        let columns = counts(&record.tally()).columns();
        write!(out, "{}", form.row(now, target.service.as_str(), &columns))?;
    }
    Ok(())
}

fn write_times(out: &mut dyn Write, records: &[Record<'_>]) -> fmt::Result {
    let mut cells = String::from("Service\tPhase\tCount\tp50 ms\tp95 ms\tp99 ms\tMax ms\t");
    for record in records {
        let Some(Target { service, .. }) = record.target() else { continue };
        add_times(&mut cells, service.as_str(), "DNS", record.lookups())?;
        add_times(&mut cells, service.as_str(), "Connect", record.connects())?;
    }
    const TIME: Column = Column(10, true);
    const COLUMNS: [Column; 7] = [WORDS, WORDS, Column(9, true), TIME, TIME, TIME, TIME];
    cells::write(out, &COLUMNS, &cells)
}

fn add_times(cells: &mut String, service: &str, phase: &str, summary: Option<Summary>) -> fmt::Result {
    let Some(Summary { count, p50, p95, p99, max }) = &summary else { return Ok(()) };
    let [p50, p95, p99, max] = [p50, p95, p99, max].map(|time| time.as_millis());
    write!(cells, "{service}\t{phase}\t{count}\t{p50}\t{p95}\t{p99}\t{max}\t")
}

/// The state of a target, and since when, in seconds since 1970; `None` while unknown.
pub(super) fn state(record: &Record<'_>) -> (&'static str, Option<i64>) {
    let (state, since) = record.state();
    match state {
        State::Unknown => ("unknown", None),
        State::Up => ("up", Some(since)),
        State::Down => ("down", Some(since)),
    }
}

/// A second since 1970 as local time; `-` for `None`.
struct Local(Option<i64>, LocalTime);

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(unix) => (self.1)(unix).fmt(f),
            None => f.write_str("-"),
        }
    }
}
