//! The first screen of `tcpmon status`: how many targets are down, whether the run is there and what keeps it from its work,
//! and a line for each target. It fits the terminal.

use core::fmt;

use super::cells::{self, Column, Kind, Style, WORDS, put};
use super::{Life, Row, Seen};
use crate::base::text::Count;
use crate::base::time::{Nanos, unix_u32};
use crate::base::words;
use crate::core::health::State;
use crate::core::ledger::{Figures, Last, Record};
use crate::model::log_names;
use crate::model::reason::{Ending, Reason, Shortage};

/// From so many columns on the wide form is shown.
pub const WIDE: usize = 120;

/// What it is shown on.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Whether there is space for the wide form.
    pub is_wide: bool,
    /// Most columns of a line.
    pub columns: usize,
    /// Most lines.
    pub lines: usize,
    /// Whether bold and red are understood.
    pub marks: bool,
}

/// Begins bold red text on a terminal, and ends it (ECMA-48, SGR).
const MARK: [&str; 2] = ["\x1b[1;31m", "\x1b[0m"];

/// Writes the screen.
#[inline(never)] // LLVM would hoist its constants into the caller's loop.
pub fn write(out: &mut String, seen: &Seen<'_>, screen: Screen) {
    let rows = seen.rows(false);
    let mut text = String::new();
    let first = write_head(&mut text, seen, screen.columns);
    let is_bad = !text.starts_with("all ");
    if seen.life.is_current() {
        write_trouble(&mut text, seen, &rows);
    }
    let head = text.bytes().filter(|byte| *byte == b'\n').count();
    // One line has the headings. If there are more targets than lines, the last one says so.
    let mut room = screen.lines.saturating_sub(head + 1);
    if room < rows.len() {
        room = room.saturating_sub(1);
    }
    let mut cells = String::from(HEADINGS);
    let mut hidden = [0; 3];
    // Those that are down come first.
    for is_first in [true, false] {
        for (i, (record, _)) in rows.iter().enumerate() {
            let state = record.state().0;
            if (state == State::Down) != is_first {
                continue;
            }
            if room > 0 {
                room -= 1;
                write_row(&mut cells, &rows, i, seen, screen.is_wide);
            } else {
                hidden[state as usize] += 1;
            }
        }
    }
    let style = Style { gap: "  ", columns: screen.columns, hidden: if screen.is_wide { 0 } else { ONLY_WIDE } };
    cells::write(&mut text, &COLUMNS, &cells, style);
    let more = hidden.iter().sum::<u32>();
    if more > 0 {
        put(&mut text, format_args!("and {more} more"));
        write_states(&mut text, hidden, 0);
        text.push('\n');
    }
    let (mut rest, mut number) = (text.as_str(), 0);
    while let Some((line, others)) = words::split_once(rest, b'\n') {
        if number == screen.lines {
            break;
        }
        let marked = match number {
            _ if !screen.marks => 0,
            0 if is_bad => line.len(),
            _ if number >= first && number < head => line.len(),
            _ if line.starts_with("down ") => "down".len(),
            _ => 0,
        };
        let (marked, plain) = line.split_at(marked);
        let [begin, end] = if marked.is_empty() { [""; 2] } else { MARK };
        out.push_str(begin);
        cells::write_shortened(out, marked, screen.columns, false);
        out.push_str(end);
        cells::write_shortened(out, plain, screen.columns, false);
        out.push('\n');
        (rest, number) = (others, number + 1);
    }
}

/// Writes how many are down and unknown: `9 of 20 down, 1 unknown` of all of them, `, 5 down, 1 unknown` of 0.
#[inline(never)] // Called twice.
fn write_states(out: &mut String, [unknown, _, down]: [u32; 3], mut all: u32) {
    for (number, state) in [(down, "down"), (unknown, "unknown")] {
        if number > 0 {
            match core::mem::take(&mut all) {
                0 => put(out, format_args!(", {number} {state}")),
                all => put(out, format_args!("{number} of {all} {state}")),
            }
        }
    }
}

/// Writes how many targets are down, and what the run does: in one line if both fit. If there is no run, that comes first.
/// Returns the number of lines.
#[inline(never)]
pub(super) fn write_head(out: &mut String, seen: &Seen<'_>, columns: usize) -> usize {
    let states = seen.states();
    let (mut targets, mut run) = (String::new(), String::new());
    match states {
        [0, up, 0] => put(&mut targets, format_args!("all {up} up")),
        _ => write_states(&mut targets, states, states.iter().sum()),
    }
    write_run(&mut run, seen);
    let (mut first, mut seen_last, mut second) = (&targets, "", &run);
    if !seen.life.is_current() {
        (first, seen_last, second) = (&run, "last seen ", &targets);
    }
    let fits = first.len() + 2 + seen_last.len() + second.len() <= columns;
    put(out, format_args!("{first}{}{seen_last}{second}\n", if fits { "; " } else { "\n" }));
    if fits { 1 } else { 2 }
}

/// Writes what the run does.
#[inline(never)]
fn write_run(out: &mut String, seen: &Seen<'_>) {
    let Seen { ledger, life, .. } = *seen;
    let place = match life {
        Life::Running(_) => "",
        Life::Elsewhere => " in another namespace",
        Life::Starting | Life::Ending => return out.push_str(life.word()),
        Life::Ended | Life::Stopped | Life::Killed => {
            let alive = (seen.local)(ledger.alive());
            return put(out, format_args!("Not running since {alive}: {}", life.word()));
        }
    };
    let (pid, started) = (ledger.owner().pid, Moment(seen, ledger.started(), false));
    put(out, format_args!("running{place} as pid {pid} since {started}"));
    // While the clock is not set, no report is due.
    if ledger.due() != 0 {
        put(out, format_args!(", next report at {}", Moment(seen, ledger.due(), true)));
    }
}

/// A second since 1970: its time of day, or its date if it is of another day and not `soon`.
struct Moment<'a>(&'a Seen<'a>, i64, bool);

impl fmt::Display for Moment<'_> {
    #[inline(never)]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment(seen, unix, soon) = *self;
        let wall = (seen.local)(unix);
        let text = wall.moment_of_second();
        let part = if soon || wall.day() == seen.now.day() { &text[11..19] } else { &text[..10] };
        f.write_str(words::utf8(part).unwrap_or_default())
    }
}

/// The daily files, in the order of their kinds.
const FILES: [&str; log_names::Kind::ALL.len()] = ["log", "times", "events", "samples"];

/// Writes a line for each thing that keeps the run from its work.
#[inline(never)]
pub(super) fn write_trouble(out: &mut String, seen: &Seen<'_>, rows: &[Row<'_>]) {
    if seen.ledger.due() == 0 {
        out.push_str("clock not set: reports wait for it\n");
    }
    for kind in log_names::Kind::ALL {
        if let Some((since, errno)) = seen.ledger.broken(kind) {
            let (file, since, why) = (FILES[kind.index()], Moment(seen, since, false), (seen.describe)(errno));
            put(out, format_args!("{file} not written since {since}: {why}\n"));
        }
    }
    let (mut skipped, mut short, mut since) = (0, 0, seen.ledger.started());
    // The shortage of one of them: it is rare that there are two.
    let mut why = Shortage::Late;
    for (record, _) in rows {
        skipped += u64::from(record.interval().skipped);
        if let Some(Last { ending: Ending::Skipped(shortage), .. }) = record.last() {
            (short, why) = (short + 1, shortage);
            since = record.last_good().map_or(since, |(at, ..)| at.max(since));
        }
    }
    if short > 0 {
        let (targets, since) = (Count(short, "target"), Moment(seen, since, false));
        let hint = if why == Shortage::ResolverFile { "; tcpmon check names it" } else { "" };
        put(out, format_args!("{targets} not probed since {since}: {why}{hint}\n"));
    }
    if skipped > 0 {
        put(out, format_args!("{} skipped since the last report\n", Count(skipped, "tick")));
    }
}

const HEADINGS: &str = "State\tFor\tService\tTarget\tLoss%\tDNS p50\tp50\tp95\tConnect\tLast failure\t";
const NUMBER: Column = Column(6, Kind::Number);
const NAME: Column = Column(0, Kind::Name);
static COLUMNS: [Column; 10] = [
    WORDS,
    Column(5, Kind::Words),
    NAME,
    NAME,
    Column(5, Kind::Number),
    NUMBER,
    NUMBER,
    NUMBER,
    NUMBER,
    Column(0, Kind::Text),
];

/// The columns that only the wide form has, a bit for each: the target, and the times of lookups and of the last connect.
const ONLY_WIDE: u16 = (1 << 3) | (1 << 5) | (1 << 8);

#[inline(never)]
fn write_row(cells: &mut String, rows: &[Row<'_>], i: usize, seen: &Seen<'_>, is_wide: bool) {
    let (record, target) = &rows[i];
    let (state, since) = record.state();
    let age = |unix: i64| Length((seen.now.unix - unix).max(0));
    let is_known = seen.life.is_current() && state != State::Unknown;
    let length = if is_known { age(since) } else { Length(-1) };
    put(cells, format_args!("{}\t{length}\t{}", seen.word(state), target.service));
    write_difference(cells, rows, i, is_wide);
    let Figures { probes, lookups: [lookup, ..], connects: [p50, p95, _] } = record.recent();
    put(cells, format_args!("\t{}\t{}", target.endpoint(), Loss(probes, "-")));
    let connect = record.last_good().and_then(|(.., connect)| connect).unwrap_or_default();
    for time in [lookup, p50, p95, connect] {
        match time {
            Nanos::ZERO => cells.push_str("\t-"),
            time => put(cells, format_args!("\t{}", time.as_tenths())),
        }
    }
    cells.push('\t');
    write_last_failure(cells, record, seen.now.unix);
    cells.push('\t');
}

/// Writes how long ago a probe failed, and why; `-` if none has.
pub(super) fn write_last_failure(out: &mut String, record: &Record<'_>, now: i64) {
    match record.last_failure() {
        Some(Last { at, ending, .. }) => put(out, format_args!("{} ago {}", Length((now - at).max(0)), Why(ending))),
        None => out.push('-'),
    }
}

/// Writes what tells a target from others of the same service: its port, else its host, else its number among them.
#[inline(never)]
fn write_difference(cells: &mut String, rows: &[Row<'_>], i: usize, is_wide: bool) {
    let target = &rows[i].1;
    // How many others there are, how many of them have the same port, and how many the same host, too.
    let (mut others, mut of_port, mut same, mut number) = (0, 0, 0, 1);
    for (at, (_, other)) in rows.iter().enumerate() {
        if at != i && other.service == target.service {
            others += 1;
            of_port += u32::from(other.port == target.port);
            if other.is_same_as(target) {
                same += 1;
                number += u32::from(at < i);
            }
        }
    }
    if same > 0 {
        put(cells, format_args!(" #{number}"));
    } else if !is_wide && of_port > 0 {
        put(cells, format_args!(" {}", target.host));
    } else if !is_wide && others > 0 {
        put(cells, format_args!(":{}", target.port));
    }
}

/// A number of seconds, at most five characters; `-` if it is negative.
pub(super) struct Length(pub i64);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut left, mut units) = (unix_u32(self.0), 0);
        if self.0 < 0 {
            return f.write_str("-");
        }
        for (unit, name) in [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")] {
            let number = left / unit;
            if number > 0 || (unit == 1 && units == 0) {
                write!(f, "{number}{name}")?;
            }
            // A second unit where it tells much.
            units += u32::from(number > 0 || units > 0);
            if units == 2 || number > 9 {
                break;
            }
            left %= unit;
        }
        Ok(())
    }
}

/// The part of the probes that have failed, in percent, rounded down, but 0.0 only if none has.
pub(super) struct Loss(pub (u32, u32), pub &'static str);

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (probes, failed) = self.0;
        if probes == 0 {
            return f.write_str(self.1);
        }
        // So that nothing overflows.
        let shift = if probes >> 22 > 0 { 10 } else { 0 };
        let tenths = ((failed.min(probes) >> shift) * 1000 / (probes >> shift)).max((failed > 0).into());
        write!(f, "{}.{}", tenths / 10, tenths % 10)
    }
}

/// Why a probe failed, and of which address the reason speaks.
struct Why(Ending);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ending::ConnectFailed(reason, address) => write!(f, "{reason} {address}"),
            // Only these two reasons are also those of a connect.
            Ending::LookupFailed(reason @ (Reason::TimedOut | Reason::Other(_))) => write!(f, "lookup {reason}"),
            Ending::LookupFailed(reason) => reason.fmt(f),
            Ending::Connected(_) | Ending::Skipped(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
