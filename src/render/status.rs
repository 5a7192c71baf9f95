//! The tables of `tcpmon status`: the state of the run and of each target, the counts that are not in the log
//! yet, all counts, and the distribution of times.

use core::fmt::{self, Write};

use super::cells::{self, Column, MOMENT, WORDS};
use super::table::Form;
use super::{Life, LocalTime, Millis, Seen, Shown, times};
use crate::base::histogram::Summary;
use crate::base::time::WallTime;
use crate::core::health::State;
use crate::core::ledger::{Last, Record};
use crate::model::outcome::{Counts, Tally};
use crate::model::target::Target;

/// Writes all tables; the reasons only if it is `verbose`.
#[inline(never)] // LLVM would hoist its constants into the caller's loop.
pub fn write(out: &mut dyn Write, seen: &Seen<'_>, verbose: bool) -> fmt::Result {
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
    write_times(out, &records)?;
    if !verbose {
        return Ok(());
    }
    writeln!(out, "\nReasons since {began}:")?;
    write_reasons(out, &records, local)
}

fn write_reasons(out: &mut dyn Write, records: &[Record<'_>], local: LocalTime) -> fmt::Result {
    let mut cells = String::from("Service\tTarget\tLast good\tLast failure\tResult\tSYNs resent\tAll reasons\t");
    for record in records {
        let Some(target) = record.target() else { continue };
        let last_good = Local(record.last_good().map(|(at, ..)| at), local);
        cells::write_target(&mut cells, &target)?;
        write!(cells, "{last_good}\t")?;
        match &record.last_failure() {
            Some(Last { at, ending, .. }) => {
                write!(cells, "{}\t{}\t", Local(Some(*at), local), Shown(ending, &target))?;
            }
            None => cells.write_str("-\tnone\t")?,
        }
        write!(cells, "{}\t", record.resent())?;
        times::write_causes(&mut cells, &record.causes(), record.silent())?;
        cells.push('\t');
    }
    const COLUMNS: [Column; 7] = [WORDS, WORDS, MOMENT, MOMENT, WORDS, Column(0, true), WORDS];
    cells::write(out, &COLUMNS, &cells)
}

fn write_run(out: &mut dyn Write, seen: &Seen<'_>) -> fmt::Result {
    let Seen { ledger, life, local, .. } = *seen;
    let (pid, moment) = (ledger.owner().pid, |unix| Local(Some(unix), local));
    let how = match life {
        Life::Running(pid) => return write_running(out, seen, ["as pid ", ""], pid),
        Life::Elsewhere => return write_running(out, seen, ["in another pid namespace (as pid ", ")"], pid),
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

fn write_running(out: &mut dyn Write, seen: &Seen<'_>, [before, behind]: [&str; 2], pid: u32) -> fmt::Result {
    let Seen { ledger, local, .. } = *seen;
    write!(out, "Running {before}{pid}{behind} since {}, ", Local(Some(ledger.started()), local))?;
    match ledger.due() {
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
        cells::write_target(&mut cells, &target)?;
        write!(cells, "{state}\t{}\t{}\t", Local(since, local), record.skipped())?;
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
        let Some(Target { service, .. }) = &record.target() else { continue };
        add_times(&mut cells, service.as_str(), "DNS", record.lookups())?;
        add_times(&mut cells, service.as_str(), "Connect", record.connects())?;
    }
    const TIME: Column = Column(10, true);
    const COLUMNS: [Column; 7] = [WORDS, WORDS, Column(9, true), TIME, TIME, TIME, TIME];
    cells::write(out, &COLUMNS, &cells)
}

fn add_times(cells: &mut String, service: &str, phase: &str, summary: Option<Summary>) -> fmt::Result {
    let Some(Summary { count, p50, p95, p99, max }) = &summary else { return Ok(()) };
    write!(cells, "{service}\t{phase}\t{count}\t")?;
    for time in [p50, p95, p99, max] {
        write!(cells, "{}\t", time.as_millis())?;
    }
    Ok(())
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
