//! `tcpmon status`: what the ledger says, of a monitor that runs and of one that does not any more.
//! It only looks: it takes no lock, sends no signal and writes nothing.

use core::fmt::{self, Write};

use super::grid::{self, Column, MOMENT, WORDS};
use super::{ExitCode, MISTAKES, Millis, Or, load};
use crate::cli::Cli;
use crate::console::Console;
use crate::event_loop;
use crate::histogram::Summary;
use crate::ledger::{Health, Last, Ledger, Record, State};
use crate::ledger_file;
use crate::limits;
use crate::sys::clock;
use crate::tally::{Columns, Ending};
use crate::target::Target;
use crate::text::Text;
use crate::time::{Civil, WallTime};

/// To the top of the terminal, and what is left of each line and of the screen cleared.
const TOP: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K\n";
const CLEAR_REST: &str = "\x1b[J";

/// Shows it, once or again and again. Exit status: 0, 1 where there is nothing to be seen, 2 where
/// the configuration is wrong.
pub fn status(cli: Cli, mut console: Console) -> ExitCode {
    let (watch, json) = (cli.watch, cli.json);
    let Ok((config, ..)) = load(cli, &mut console) else { return ExitCode::from(MISTAKES) };
    let path = config.settings.ledger_path();
    let mut said = None;
    let mut wrong_zone = false;
    loop {
        wrong_zone = event_loop::read_zone(wrong_zone, &mut console);
        let seen = ledger_file::look(&path);
        let goes_on = match &seen {
            Ok(ledger) => {
                said = None;
                let running = ledger_file::is_running(ledger);
                let text = if json { as_json(ledger, running) } else { as_tables(ledger, running, clock::wall()) };
                show(&mut console, &text, watch && !json)
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
        for line in text.lines() {
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
    let (pid, alive) = (ledger.owner().pid, clock::local(ledger.alive()));
    let began = clock::local(ledger.began());
    // Writing to a String does not fail, here and below.
    let _ = if running {
        let (started, due) = (clock::local(ledger.started()), clock::local(ledger.due()));
        let _ = write!(text, "Running as pid {pid} since {started}, ");
        // While the clock is wrong no report is due.
        match ledger.due() {
            0 => writeln!(text, "reports wait for the clock to be set\n"),
            _ => writeln!(text, "next report at {due}\n"),
        }
    } else {
        let how = if ledger.is_running() { "did not end cleanly" } else { "ended" };
        writeln!(text, "Not running: the last run (pid {pid}) {how}, last alive at {alive}\n")
    };
    let records = ledger.in_order();
    states(&mut text, &records);
    let form = ledger.form();
    let _ = write!(text, "\nNot in the log yet:\n{}", form.header());
    for record in &records {
        let columns = record.tally().unreported().columns();
        let _ = write!(text, "{}", form.row(now, service(&record.target()), &columns));
    }
    let _ = write!(text, "\nSince {began}:\n{}", form.header());
    for record in &records {
        let columns = record.tally().counted().columns();
        let _ = write!(text, "{}", form.row(now, service(&record.target()), &columns));
    }
    let _ = writeln!(text, "\nTimes since {began}, of what did not fail:");
    times(&mut text, &records);
    text
}

fn states(text: &mut String, records: &[Record<'_>]) {
    let mut cells = String::from("Service\tTarget\tState\tSince\tSkipped\tLast probe\tDNS ms\tConnect ms\tResult\t");
    for record in records {
        let (target, last) = (record.target(), record.last());
        let (state, since) = state(record);
        let _ = write!(
            cells,
            "{}\t{}\t{state}\t{}\t{}\t{}\t{}\t{}\t{}\t",
            service(&target),
            Or(target.as_ref().map(Target::place), ""),
            Or(since, "-"),
            record.skipped(),
            Or(last.map(|last| clock::local(last.at)), "-"),
            Millis(last.and_then(|last| last.lookup), "-"),
            Millis(last.and_then(|last| last.connect), "-"),
            Or(last.map(|last| last.ending), "none yet"),
        );
    }
    let columns = [WORDS, WORDS, WORDS, MOMENT, Column(0, true), MOMENT, Column(9, true), Column(10, true), WORDS];
    grid::write(text, columns, &cells);
}

fn times(text: &mut String, records: &[Record<'_>]) {
    let mut cells = String::from("Service\tPhase\tCount\tp50 ms\tp95 ms\tp99 ms\tMax ms\t");
    for record in records {
        let target = record.target();
        for (phase, summary) in [("DNS", record.lookups()), ("Connect", record.connects())] {
            let Some(Summary { count, p50, p95, p99, max }) = summary else { continue };
            let _ = write!(
                cells,
                "{}\t{phase}\t{count}\t{}\t{}\t{}\t{}\t",
                service(&target),
                p50.as_millis(),
                p95.as_millis(),
                p99.as_millis(),
                max.as_millis(),
            );
        }
    }
    const TIME: Column = Column(10, true);
    grid::write(text, [WORDS, WORDS, Column(9, true), TIME, TIME, TIME, TIME], &cells);
}

/// The same as one line of JSON (RFC 8259).
#[inline(never)] // As with the tables.
pub fn as_json(ledger: &Ledger, running: bool) -> String {
    let mut json = String::new();
    let _ = write!(
        json,
        "{{\"version\":{},\"running\":{running},\"pid\":{},\"clean\":{},\"began\":{},\"started\":{},\"alive\":{},\
         \"due\":{},\"slow_ms\":{},\"timeout_ms\":{},\"targets\":[",
        Quoted(env!("CARGO_PKG_VERSION")),
        ledger.owner().pid,
        !ledger.is_running(),
        Moment(ledger.began()),
        Moment(ledger.started()),
        Moment(ledger.alive()),
        Moment(ledger.due()),
        ledger.thresholds().slow.millis(),
        ledger.thresholds().timeout.millis(),
    );
    for (i, record) in ledger.in_order().iter().enumerate() {
        json.push_str(if i > 0 { "," } else { "" });
        add_target(&mut json, record);
    }
    json.push_str("]}\n");
    json
}

fn add_target(json: &mut String, record: &Record<'_>) {
    let (state, since) = state(record);
    let target = record.target();
    let mut host = Text::<{ limits::HOST + 1 + limits::DEVICE }>::new();
    let mut port = 0;
    if let Some(target) = &target {
        host.push(target.host.as_str());
        if !target.zone.is_empty() {
            host.push("%");
            host.push(target.zone.as_str());
        }
        port = target.port;
    }
    let _ = write!(
        json,
        "{{\"service\":{},\"host\":{},\"port\":{port},\"configured\":{},\"state\":\"{state}\",\"since\":{},\
         \"last\":{},\"skipped\":{},\"interval\":{},\"total\":{},\"dns\":{},\"connect\":{}}}",
        Quoted(service(&target)),
        Quoted(host.as_str()),
        record.state() == State::Live,
        Moment(since.map_or(0, |since| since.unix)),
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
        let detail = Text::<{ limits::MESSAGE }>::format(format_args!("{ending}"));
        write!(
            f,
            "{{\"at\":{},\"outcome\":\"{kind}\",\"detail\":{},\"dns_ms\":{},\"connect_ms\":{}}}",
            Moment(*at),
            Quoted(detail.as_str()),
            Millis(*lookup, "null"),
            Millis(*connect, "null"),
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
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
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
        let Civil { year, month, day, hour, minute, second } = wall.civil();
        let (sign, offset) = (if wall.offset < 0 { '-' } else { '+' }, wall.offset.unsigned_abs() / 60);
        write!(
            f,
            "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{:02}:{:02}\"",
            offset / 60,
            offset % 60
        )
    }
}

/// The label of a record's target.
fn service(target: &Option<Target>) -> &str {
    target.as_ref().map_or("", |target| target.service.as_str())
}

/// How the target does, and since when.
fn state(record: &Record<'_>) -> (&'static str, Option<WallTime>) {
    let (health, since) = record.health();
    match health {
        Health::Unknown => ("unknown", None),
        Health::Up => ("up", Some(clock::local(since))),
        Health::Down => ("down", Some(clock::local(since))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_of_json_keeps_what_it_is_given() {
        assert_eq!(Quoted("kassa \"ä\" \\ \u{1}").to_string(), "\"kassa \\\"ä\\\" \\\\ \\u0001\"");
    }
}
