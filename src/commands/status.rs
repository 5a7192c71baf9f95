//! `tcpmon status`: what the ledger says, of a monitor that runs and of one that does not any more.
//! It only looks: it takes no lock, sends no signal and writes nothing.

use core::fmt::{self, Write};

use super::grid::{self, Column, MOMENT, WORDS};
use super::{ExitCode, MISTAKES, Millis, ledger_path, take};
use crate::base::histogram::Summary;
use crate::base::limits;
use crate::base::text::Text;
use crate::base::time::WallTime;
use crate::core::ledger::{Last, Ledger, Record, State, Usage};
use crate::model::cli::Cli;
use crate::model::outcome::{Columns, Counts, Tally, Thresholds};
use crate::model::reason::Ending;
use crate::model::target::Target;
use crate::render::table::Form;
use crate::shell::console::Console;
use crate::shell::event_loop;
use crate::shell::snapshot;
use crate::sys::clock;

/// To the top of the terminal, and what is left of each line and of the screen cleared.
const TOP: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K\n";
const CLEAR_REST: &str = "\x1b[J";

/// Shows it, once or again and again. Exit status: 0, 1 where there is nothing to be seen, 2 where
/// the configuration is wrong.
pub fn status(cli: Cli, console: &mut Console) -> ExitCode {
    let (watch, json) = (cli.watch, cli.json);
    let Some(path) = ledger_path(cli, console) else { return ExitCode::from(MISTAKES) };
    let mut said = None;
    let mut wrong_zone = false;
    loop {
        wrong_zone = event_loop::read_time_zone(wrong_zone, console);
        let seen = snapshot::look(&path);
        let goes_on = match &seen {
            Ok(ledger) => {
                said = None;
                let running = snapshot::is_running(ledger);
                let text = if json { as_json(ledger, running) } else { as_tables(ledger, running, clock::wall()) };
                show(console, &text, watch && !json)
            }
            Err(look) => {
                if said.replace(*look) != Some(*look) {
                    console.say("ledger", format_args!("{path} {look}, there is nothing to show"));
                }
                watch
            }
        };
        if !watch || !goes_on {
            return if goes_on { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        clock::rest(limits::REFRESH);
    }
}

/// Prints it; at a terminal in place of what was there before.
fn show(console: &mut Console, text: &str, in_place: bool) -> bool {
    if in_place && console.is_terminal() {
        let mut shown = String::from(TOP);
        let mut rest = text;
        while let Some(line) = take(&mut rest, '\n') {
            shown.push_str(line);
            shown.push_str(CLEAR_LINE);
        }
        shown.push_str(CLEAR_REST);
        console.lines(&shown, limits::PATIENCE)
    } else {
        console.lines(text, limits::PATIENCE)
    }
}

/// The state of the run, and four tables: how the targets do, what the log does not have yet, all
/// that was counted, and how the times are distributed.
#[inline(never)] // It is called in a loop, and would be taken apart to get what is constant out of that.
pub fn as_tables(ledger: &Ledger, running: bool, now: WallTime) -> String {
    let mut text = String::new();
    let (pid, began) = (ledger.owner().pid, Local(Some(ledger.began())));
    // Writing to a String does not fail, here and below.
    let _ = if running {
        let _ = write!(text, "Running as pid {pid} since {}, ", Local(Some(ledger.started())));
        // While the clock is wrong no report is due.
        match ledger.due() {
            0 => writeln!(text, "reports wait for the clock to be set\n"),
            due => writeln!(text, "next report at {}\n", Local(Some(due))),
        }
    } else {
        let how = if ledger.is_running() { "did not end cleanly" } else { "ended" };
        let alive = Local(Some(ledger.alive()));
        writeln!(text, "Not running: the last run (pid {pid}) {how}, last alive at {alive}\n")
    };
    let records = ledger.in_order();
    states(&mut text, &records);
    let form = Form::of(ledger);
    let _ = write!(text, "\nNot in the log yet:\n{}", form.header());
    rows(&mut text, &form, now, &records, |tally| tally.unreported());
    let _ = write!(text, "\nSince {began}:\n{}", form.header());
    rows(&mut text, &form, now, &records, |tally| *tally.counted());
    let _ = writeln!(text, "\nTimes since {began}, of what did not fail:");
    times(&mut text, &records);
    text
}

fn states(text: &mut String, records: &[Record<'_>]) {
    let mut cells = String::from("Service\tTarget\tState\tSince\tSkipped\tLast probe\tDNS ms\tConnect ms\tResult\t");
    for record in records {
        // One in use has a target, here and below: a ledger without is refused.
        let Some(target) = record.target() else { continue };
        let (state, since) = state(record);
        let (service, place, skipped) = (target.service, target.endpoint(), record.skipped());
        let _ = write!(cells, "{service}\t{place}\t{state}\t{}\t{skipped}\t", Local(since));
        let _ = match &record.last() {
            Some(Last { at, ending, lookup, connect }) => {
                let (lookup, connect) = (Millis(lookup, "-"), Millis(connect, "-"));
                write!(cells, "{}\t{lookup}\t{connect}\t{ending}\t", Local(Some(*at)))
            }
            None => cells.write_str("-\t-\t-\tnone yet\t"),
        };
    }
    const COLUMNS: [Column; 9] =
        [WORDS, WORDS, WORDS, MOMENT, Column(0, true), MOMENT, Column(9, true), Column(10, true), WORDS];
    grid::write(text, &COLUMNS, &cells);
}

fn rows(text: &mut String, form: &Form, now: WallTime, records: &[Record<'_>], counts: fn(&Tally) -> Counts) {
    for record in records {
        let Some(target) = record.target() else { continue };
        let columns = counts(&record.tally()).columns();
        let _ = write!(text, "{}", form.row(now, target.service.as_str(), &columns));
    }
}

fn times(text: &mut String, records: &[Record<'_>]) {
    let mut cells = String::from("Service\tPhase\tCount\tp50 ms\tp95 ms\tp99 ms\tMax ms\t");
    for record in records {
        let Some(Target { service, .. }) = record.target() else { continue };
        add_times(&mut cells, service.as_str(), "DNS", record.lookups());
        add_times(&mut cells, service.as_str(), "Connect", record.connects());
    }
    const TIME: Column = Column(10, true);
    const COLUMNS: [Column; 7] = [WORDS, WORDS, Column(9, true), TIME, TIME, TIME, TIME];
    grid::write(text, &COLUMNS, &cells);
}

fn add_times(cells: &mut String, service: &str, phase: &str, summary: Option<Summary>) {
    if let Some(Summary { count, p50, p95, p99, max }) = &summary {
        let _ = write!(
            cells,
            "{service}\t{phase}\t{count}\t{}\t{}\t{}\t{}\t",
            p50.as_millis(),
            p95.as_millis(),
            p99.as_millis(),
            max.as_millis()
        );
    }
}

/// The same as one line of JSON (RFC 8259).
#[inline(never)] // As with the tables.
pub fn as_json(ledger: &Ledger, running: bool) -> String {
    let mut json = String::new();
    let Thresholds { slow, timeout } = ledger.thresholds();
    let _ = write!(
        json,
        "{{\"version\":{},\"running\":{running},\"pid\":{},\"clean\":{},\"began\":{},\"started\":{},\"alive\":{},\
         \"due\":{},\"slow_ms\":{},\"timeout_ms\":{},\"targets\":[",
        Quoted(&env!("CARGO_PKG_VERSION")),
        ledger.owner().pid,
        !ledger.is_running(),
        Moment(ledger.began()),
        Moment(ledger.started()),
        Moment(ledger.alive()),
        Moment(ledger.due()),
        slow.millis(),
        timeout.millis(),
    );
    for record in ledger.in_order() {
        let Some(target) = record.target() else { continue };
        json.push_str(if json.ends_with('[') { "" } else { "," });
        add_target(&mut json, &record, &target);
    }
    json.push_str("]}\n");
    json
}

fn add_target(json: &mut String, record: &Record<'_>, target: &Target) {
    let Target { service, host, scope, port, .. } = target;
    let percent = if scope.is_empty() { "" } else { "%" };
    let (state, since) = state(record);
    let _ = write!(
        json,
        "{{\"service\":{},\"host\":{},\"port\":{port},\"configured\":{},\"state\":\"{state}\",\"since\":{},\
         \"last\":{},\"skipped\":{},\"interval\":{},\"total\":{},\"dns\":{},\"connect\":{}}}",
        Quoted(service),
        Quoted(&format_args!("{host}{percent}{scope}")),
        record.usage() == Usage::Live,
        Moment(since.unwrap_or(0)),
        Object(record.last()),
        record.skipped(),
        Object(record.tally().unreported().columns()),
        Object(record.tally().counted().columns()),
        Object(record.lookups()),
        Object(record.connects()),
    );
}

/// What is displayed as an object of JSON, or as `null`.
struct Object<T>(T);

impl fmt::Display for Object<Option<Last>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Last { at, ending, lookup, connect }) = &self.0 else { return f.write_str("null") };
        let kind = match ending {
            Ending::Connected(_) => "connected",
            Ending::LookupFailed(_) => "lookup failed",
            Ending::ConnectFailed(_) => "connect failed",
            Ending::Skipped(_) => "skipped",
        };
        write!(
            f,
            "{{\"at\":{},\"outcome\":\"{kind}\",\"detail\":{},\"dns_ms\":{},\"connect_ms\":{}}}",
            Moment(*at),
            Quoted(ending),
            Millis(lookup, "null"),
            Millis(connect, "null"),
        )
    }
}

impl fmt::Display for Object<Columns> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Columns { conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total } = &self.0;
        write!(
            f,
            "{{\"conn_fast\":{conn_fast},\"conn_slow\":{conn_slow},\"dns_fast\":{dns_fast},\"dns_slow\":{dns_slow},\
             \"dns_fail\":{dns_fail},\"conn_failed\":{conn_failed},\"total\":{total}}}"
        )
    }
}

impl fmt::Display for Object<Option<Summary>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Summary { count, p50, p95, p99, max }) = &self.0 else { return f.write_str("null") };
        write!(
            f,
            "{{\"count\":{count},\"p50_ms\":{},\"p95_ms\":{},\"p99_ms\":{},\"max_ms\":{}}}",
            p50.as_millis(),
            p95.as_millis(),
            p99.as_millis(),
            max.as_millis(),
        )
    }
}

/// A string of JSON (RFC 8259, section 7).
struct Quoted<'a>(&'a dyn fmt::Display);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escaped(f), "{}", self.0)?;
        f.write_char('"')
    }
}

/// Writes what stands between the quotes.
struct Escaped<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_control() {
                // None is beyond U+009F.
                let digit = |number| char::from_digit(number, 16).unwrap_or_default();
                self.0.write_str("\\u00")?;
                self.0.write_char(digit(u32::from(c) / 16))?;
                self.0.write_char(digit(u32::from(c) % 16))?;
                continue;
            }
            if matches!(c, '"' | '\\') {
                self.0.write_char('\\')?;
            }
            self.0.write_char(c)?;
        }
        Ok(())
    }
}

/// Local time with its offset (RFC 3339) of a second since 1970; `null` for none.
struct Moment(i64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("null");
        }
        let wall = clock::local(self.0);
        let shown = Text::<32>::format(format_args!("{wall}"));
        let mut time = shown.as_str();
        let date = take(&mut time, ' ').unwrap_or_default();
        let (sign, offset) = (if wall.offset < 0 { '-' } else { '+' }, wall.offset.unsigned_abs() / 60);
        write!(f, "\"{date}T{time}{sign}{:02}:{:02}\"", offset / 60, offset % 60)
    }
}

/// Local time of a second since 1970; `-` for none.
struct Local(Option<i64>);

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(unix) => clock::local(unix).fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// How the target does, and since which second.
fn state(record: &Record<'_>) -> (&'static str, Option<i64>) {
    let (state, since) = record.state();
    match state {
        State::Unknown => ("unknown", None),
        State::Up => ("up", Some(since)),
        State::Down => ("down", Some(since)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_of_json_keeps_what_it_is_given() {
        assert_eq!(Quoted(&"kassa \"ä\" \\ \u{1}").to_string(), "\"kassa \\\"ä\\\" \\\\ \\u0001\"");
    }
}
