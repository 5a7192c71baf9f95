//! `tcpmon status`: what the ledger says, of a monitor that runs and of one that does not any more.
//! It only looks: it takes no lock, sends no signal and writes nothing.

use core::fmt::Write;

use super::ExitCode;
use super::grid::{self, Column};
use super::{MISTAKES, load, millis};
use crate::cli::Cli;
use crate::console::Console;
use crate::event_loop;
use crate::histogram::Summary;
use crate::ledger::{Health, Ledger, Record, State};
use crate::ledger_file;
use crate::limits;
use crate::sys::clock;
use crate::tally::{Columns, Ending};
use crate::time::{Civil, Nanos, WallTime};

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
        let text = format!("{TOP}{}{CLEAR_REST}", text.replace('\n', CLEAR_LINE));
        console.lines(&text, limits::PATIENCE)
    } else {
        console.lines(text, limits::PATIENCE)
    }
}

/// The state of the run, and four tables: how the targets do, what the log does not have yet, all
/// that was counted, and how the times are distributed.
pub fn as_tables(ledger: &Ledger, running: bool, now: WallTime) -> String {
    let mut text = String::new();
    let (pid, alive) = (ledger.owner().pid, clock::local(ledger.alive()));
    let began = clock::local(ledger.began());
    // Writing to a String does not fail.
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
    text.push_str(&states(&records));
    let form = ledger.form();
    let _ = writeln!(text, "\nNot in the log yet:");
    form.write(&mut text, true, now, records.iter().map(|record| (service(record), unreported(record))));
    let _ = writeln!(text, "\nSince {began}:");
    form.write(&mut text, true, now, records.iter().map(|record| (service(record), counted(record))));
    let _ = writeln!(text, "\nTimes since {began}, of what did not fail:");
    text.push_str(&times(&records));
    text
}

fn states(records: &[Record<'_>]) -> String {
    let columns = [
        Column("Service", 0, false),
        Column("Target", 0, false),
        Column("State", 0, false),
        Column("Since", 19, false),
        Column("Skipped", 0, true),
        Column("Last probe", 19, false),
        Column("DNS ms", 9, true),
        Column("Connect ms", 10, true),
        Column("Result", 0, false),
    ];
    let rows = records.iter().map(|record| {
        let (state, since) = state(record);
        let last = record.last();
        vec![
            service(record),
            record.target().map_or(String::new(), |target| target.place().to_string()),
            state.to_string(),
            since.map_or("-".to_string(), |since| since.to_string()),
            record.skipped().to_string(),
            last.map_or("-".to_string(), |last| clock::local(last.at).to_string()),
            millis(last.and_then(|last| last.lookup)),
            millis(last.and_then(|last| last.connect)),
            last.map_or("none yet".to_string(), |last| last.ending.to_string()),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    grid::table(&columns, &rows)
}

fn times(records: &[Record<'_>]) -> String {
    let columns = [
        Column("Service", 0, false),
        Column("Phase", 0, false),
        Column("Count", 9, true),
        Column("p50 ms", 10, true),
        Column("p95 ms", 10, true),
        Column("p99 ms", 10, true),
        Column("Max ms", 10, true),
    ];
    let mut rows = Vec::new();
    for record in records {
        for (phase, summary) in [("DNS", record.lookups()), ("Connect", record.connects())] {
            let Some(Summary { count, p50, p95, p99, max }) = summary else { continue };
            let mut row = vec![service(record), phase.to_string(), count.to_string()];
            row.extend([p50, p95, p99, max].map(|time| time.as_millis().to_string()));
            rows.push(row);
        }
    }
    grid::table(&columns, &rows)
}

/// The same as one line of JSON (RFC 8259).
pub fn as_json(ledger: &Ledger, running: bool) -> String {
    let targets: Vec<String> = ledger.in_order().iter().map(target_as_json).collect();
    format!(
        "{{\"version\":{},\"running\":{running},\"pid\":{},\"clean\":{},\"began\":{},\"started\":{},\"alive\":{},\
         \"due\":{},\"slow_ms\":{},\"timeout_ms\":{},\"targets\":[{}]}}\n",
        quoted(env!("CARGO_PKG_VERSION")),
        ledger.owner().pid,
        !ledger.is_running(),
        moment(ledger.began()),
        moment(ledger.started()),
        moment(ledger.alive()),
        moment(ledger.due()),
        ledger.thresholds().slow.millis(),
        ledger.thresholds().timeout.millis(),
        targets.join(","),
    )
}

fn target_as_json(record: &Record<'_>) -> String {
    let (state, since) = state(record);
    let (host, port) = record.target().map_or((String::new(), 0), |target| {
        let zone = if target.zone.is_empty() { String::new() } else { format!("%{}", target.zone) };
        (format!("{}{zone}", target.host), target.port)
    });
    let last = record.last().map_or("null".to_string(), |last| {
        let kind = match last.ending {
            Ending::Connected(_) => "connected",
            Ending::LookupFailed(_) => "lookup failed",
            Ending::ConnectFailed(_) => "connect failed",
            Ending::Skipped(_) => "skipped",
        };
        format!(
            "{{\"at\":{},\"outcome\":\"{kind}\",\"detail\":{},\"dns_ms\":{},\"connect_ms\":{}}}",
            moment(last.at),
            quoted(&last.ending.to_string()),
            number(last.lookup),
            number(last.connect),
        )
    });
    format!(
        "{{\"service\":{},\"host\":{},\"port\":{port},\"configured\":{},\"state\":\"{state}\",\"since\":{},\
         \"last\":{last},\"skipped\":{},\"interval\":{},\"total\":{},\"dns\":{},\"connect\":{}}}",
        quoted(&service(record)),
        quoted(&host),
        record.state() == State::Live,
        since.map_or("null".to_string(), |since| moment(since.unix)),
        record.skipped(),
        columns_as_json(unreported(record)),
        columns_as_json(counted(record)),
        summary_as_json(record.lookups()),
        summary_as_json(record.connects()),
    )
}

fn columns_as_json(columns: Columns) -> String {
    let Columns { conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total } = columns;
    format!(
        "{{\"conn_fast\":{conn_fast},\"conn_slow\":{conn_slow},\"dns_fast\":{dns_fast},\"dns_slow\":{dns_slow},\
         \"dns_fail\":{dns_fail},\"conn_failed\":{conn_failed},\"total\":{total}}}"
    )
}

fn summary_as_json(summary: Option<Summary>) -> String {
    let Some(Summary { count, p50, p95, p99, max }) = summary else { return "null".to_string() };
    format!(
        "{{\"count\":{count},\"p50_ms\":{},\"p95_ms\":{},\"p99_ms\":{},\"max_ms\":{}}}",
        p50.as_millis(),
        p95.as_millis(),
        p99.as_millis(),
        max.as_millis()
    )
}

/// A string of JSON (RFC 8259, section 7).
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Milliseconds.
fn number(time: Option<Nanos>) -> String {
    time.map_or("null".to_string(), |time| time.as_millis().to_string())
}

/// Local time with its offset (RFC 3339); `null` for none.
fn moment(unix: i64) -> String {
    if unix == 0 {
        return "null".to_string();
    }
    let wall = clock::local(unix);
    let Civil { year, month, day, hour, minute, second } = wall.civil();
    let (sign, offset) = (if wall.offset < 0 { '-' } else { '+' }, wall.offset.unsigned_abs() / 60);
    let zone = format!("{sign}{:02}:{:02}", offset / 60, offset % 60);
    format!("\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}\"")
}

fn service(record: &Record<'_>) -> String {
    record.target().map_or(String::new(), |target| target.service.to_string())
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

fn unreported(record: &Record<'_>) -> Columns {
    record.tally().unreported().columns()
}

fn counted(record: &Record<'_>) -> Columns {
    record.tally().counted().columns()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_of_json_keeps_what_it_is_given() {
        assert_eq!(quoted("kassa \"ä\" \\ \u{1}"), "\"kassa \\\"ä\\\" \\\\ \\u0001\"");
    }
}
