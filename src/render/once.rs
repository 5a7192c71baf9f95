//! The result of `tcpmon once`: how the single probe of each target ended, and each of its attempts. A table, or one line
//! of JSON (RFC 8259).

use core::fmt::{self, Write};

use super::cells::{self, Column, WORDS};
use super::json::{Quoted, write_name};
use super::{Millis, Shown};
use crate::base::text::Count;
use crate::base::time::Nanos;
use crate::core::monitor::{AttemptEnd, Monitor};
use crate::core::probe::End;
use crate::core::verdict::{Details, Verdict};
use crate::model::reason::{Ending, Reason};

/// Writes the table. Below the row of a target is a line for each of its attempts.
pub fn write(out: &mut dyn Write, monitor: &Monitor) -> fmt::Result {
    let mut cells = String::from("Service\tTarget\tDNS ms\tConnect ms\tResult\t");
    for entry in monitor.live() {
        cells::write_target(&mut cells, &entry.target)?;
        match &entry.last {
            Some(End { ending, lookup, connect, .. }) => {
                let shown = Shown(ending, &entry.target);
                write!(cells, "{}\t{}\t{shown}", Millis(lookup, "-"), Millis(connect, "-"))?;
            }
            None => cells.write_str("-\t-\tnot checked")?,
        }
        // The last cell of a row may have more lines.
        for attempt in monitor.attempts(entry) {
            write_attempt(&mut cells, attempt)?;
        }
        cells.write_char('\t')?;
    }
    const COLUMNS: [Column; 5] = [WORDS, WORDS, Column(9, true), Column(10, true), WORDS];
    cells::write(out, &COLUMNS, &cells)
}

/// Writes `192.0.2.7 timed out, 2500.000 ms, 3 SYNs unanswered` into a line of its own.
fn write_attempt(out: &mut dyn Write, attempt: &AttemptEnd) -> fmt::Result {
    let AttemptEnd { address, verdict, time, details: Details { resent, round_trip, .. } } = attempt;
    let what: &dyn fmt::Display = match verdict {
        Verdict::Connected => &"connected",
        Verdict::ConnectFailed(reason) => reason,
        Verdict::FellShort(shortage) => shortage,
    };
    write!(out, "\n    {address} {what}, {} ms", time.as_millis())?;
    match (verdict, *resent) {
        // The first SYN was not answered, either.
        (Verdict::ConnectFailed(Reason::TimedOut), Some(resent)) => {
            write!(out, ", {} unanswered", Count(u64::from(resent) + 1, "SYN"))
        }
        (_, Some(resent @ 1..)) => {
            write!(out, ", {} resent", Count(resent.into(), "SYN"))?;
            match round_trip {
                Some(time) => write!(out, ", round trip {} ms", time.as_millis()),
                None => Ok(()),
            }
        }
        (_, Some(0) | None) => Ok(()),
    }
}

/// Writes the line of JSON, with its newline.
pub fn write_json(out: &mut dyn Write, monitor: &Monitor) -> fmt::Result {
    write!(out, "{{\"version\":{},\"targets\":[", Quoted(&env!("CARGO_PKG_VERSION")))?;
    let mut comma = "";
    for entry in monitor.live() {
        out.write_str(comma)?;
        write_name(out, &entry.target)?;
        let (mut ending, mut times, mut resent) = (None, [None; 2], None);
        if let Some(end) = &entry.last {
            ending = Some(&end.ending);
            // An IP literal needs no lookup.
            times = [end.lookup.filter(|_| entry.target.literal.is_none()), end.connect];
            resent = end.connect.map(|_| end.resent);
        }
        let address = ending.and_then(Ending::address).map(|address| address as &dyn fmt::Display);
        write_key(out, "address", WORD, address)?;
        write_end(out, ending, ["dns_ms", "connect_ms"], &times, resent)?;
        out.write_str(",\"attempts\":[")?;
        comma = "";
        for attempt in monitor.attempts(entry) {
            let AttemptEnd { address, time, details: Details { resent, round_trip, .. }, .. } = attempt;
            write!(out, "{comma}{{\"address\":\"{address}\"")?;
            write_end(out, Some(&attempt.ending()), ["ms", "round_trip_ms"], &[Some(*time), *round_trip], *resent)?;
            out.write_char('}')?;
            comma = ",";
        }
        out.write_str("]}")?;
        comma = ",";
    }
    out.write_str("]}\n")
}

/// Writes what the objects of a target and of an attempt have in common.
fn write_end(
    out: &mut dyn Write,
    ending: Option<&Ending>,
    [one, other]: [&str; 2],
    [first, second]: &[Option<Nanos>; 2],
    resent: Option<u32>,
) -> fmt::Result {
    let (outcome, token) = (ending.map(Ending::outcome), ending.and_then(Ending::token));
    write_key(out, "outcome", WORD, outcome.as_ref().map(|outcome| outcome as &dyn fmt::Display))?;
    write_key(out, "reason", WORD, token.as_ref().map(|token| token as &dyn fmt::Display))?;
    write_key(out, one, NUMBER, Some(&Millis(first, "null")))?;
    write_key(out, other, NUMBER, Some(&Millis(second, "null")))?;
    write_key(out, "syns_resent", NUMBER, resent.as_ref().map(|resent| resent as &dyn fmt::Display))
}

/// What stands around a value. No word here has a character that would have to be escaped.
const WORD: &str = "\"";
const NUMBER: &str = "";

/// Writes a key and its value, or `null`.
#[inline(never)] // It is called for every key.
fn write_key(out: &mut dyn Write, key: &str, quote: &str, value: Option<&dyn fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(out, ",\"{key}\":{quote}{value}{quote}"),
        None => write!(out, ",\"{key}\":null"),
    }
}
