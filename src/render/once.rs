//! The result of `tcpmon once`: how the single probe of each target ended, and each of its attempts. A table, or one line
//! of JSON (RFC 8259).

use core::fmt;

use super::cells::{self, Column, Kind, WHOLE, WORDS, put};
use super::json::{NONE, Quoted, fill, write_ending, write_name};
use super::{Millis, Shown};
use crate::base::text::Count;
use crate::base::time::Nanos;
use crate::core::monitor::{AttemptEnd, Monitor};
use crate::core::probe::End;
use crate::core::verdict::{Details, Verdict};
use crate::model::reason::{Ending, Reason};
use crate::model::target::Address;

/// Writes the table. Below the row of a target is a line for each of its attempts.
pub fn write(out: &mut String, monitor: &Monitor) {
    let mut cells = String::from("Service\tTarget\tDNS ms\tConnect ms\tResult\t");
    for entry in monitor.live() {
        cells::write_target(&mut cells, &entry.target);
        match &entry.last {
            Some(End { ending, lookup, connect, .. }) => {
                let (lookup, connect) = (Millis(lookup, "-"), Millis(connect, "-"));
                put(&mut cells, format_args!("{lookup}\t{connect}\t{}", Shown(ending, &entry.target)));
            }
            None => cells.push_str("-\t-\tnot checked"),
        }
        // The last cell of a row may have more lines.
        for attempt in monitor.attempts(entry) {
            write_attempt(&mut cells, attempt);
        }
        cells.push('\t');
    }
    let columns = [WORDS, WORDS, Column(9, Kind::Number), Column(10, Kind::Number), WORDS];
    cells::write(out, &columns, &cells, WHOLE);
}

/// Writes `192.0.2.7 timed out, 2500.000 ms, 3 SYNs unanswered` into a line of its own.
fn write_attempt(out: &mut String, attempt: &AttemptEnd) {
    let AttemptEnd { address, verdict, time, details: Details { resent, round_trip, .. } } = attempt;
    let what: &dyn fmt::Display = match verdict {
        Verdict::Connected => &"connected",
        Verdict::ConnectFailed(reason) => reason,
        Verdict::FellShort(shortage) => shortage,
    };
    put(out, format_args!("\n    {address} {what}, {} ms", time.as_millis()));
    match (verdict, *resent) {
        // The first SYN was not answered, either.
        (Verdict::ConnectFailed(Reason::TimedOut), Some(resent)) => {
            put(out, format_args!(", {} unanswered", Count(u64::from(resent) + 1, "SYN")));
        }
        (_, Some(resent @ 1..)) => {
            put(out, format_args!(", {} resent", Count(resent.into(), "SYN")));
            if let Some(time) = round_trip {
                put(out, format_args!(", round trip {} ms", time.as_millis()));
            }
        }
        (_, Some(0) | None) => {}
    }
}

/// Writes the line of JSON, with its newline.
pub fn write_json(out: &mut String, monitor: &Monitor) {
    put(out, format_args!("{{\"version\":{},\"targets\":[", Quoted(&env!("CARGO_PKG_VERSION"))));
    let mut comma = "";
    for entry in monitor.live() {
        out.push_str(comma);
        write_name(out, &entry.target);
        let (mut ending, mut values) = (None, [NONE; 3]);
        if let Some(end) = &entry.last {
            ending = Some(&end.ending);
            // An IP literal needs no lookup.
            let lookup = end.lookup.filter(|_| entry.target.literal.is_none());
            values = [nanos(lookup), nanos(end.connect), end.connect.map_or(NONE, |_| end.resent.into())];
        }
        out.push(',');
        write_end(out, ending.and_then(Ending::address), ending, ",\"dns_ms\":%,\"connect_ms\":%", &values);
        out.push_str(",\"attempts\":[");
        comma = "{";
        for attempt in monitor.attempts(entry) {
            let AttemptEnd { address, time, details: Details { resent, round_trip, .. }, .. } = attempt;
            out.push_str(comma);
            let values = [time.get(), nanos(*round_trip), resent.map_or(NONE, u64::from)];
            write_end(out, Some(address), Some(&attempt.ending()), ",\"ms\":%,\"round_trip_ms\":%", &values);
            out.push('}');
            comma = ",{";
        }
        out.push_str("]}");
        comma = ",";
    }
    out.push_str("]}\n");
}

fn nanos(time: Option<Nanos>) -> u64 {
    time.map_or(NONE, Nanos::get)
}

/// Writes what the objects of a target and of an attempt have in common. `times` are the keys of the first two values.
#[inline(never)] // Called twice.
fn write_end(out: &mut String, address: Option<&Address>, ending: Option<&Ending>, times: &str, values: &[u64; 3]) {
    write_ending(out, address, ending);
    fill(out, times, &|i| values[i]);
    fill(out, ",\"syns_resent\":#", &|_| values[2]);
}
