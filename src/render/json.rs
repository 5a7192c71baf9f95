//! The content of `tcpmon status -j`: one line of JSON (RFC 8259).

use core::fmt::{self, Write};

use super::status::state;
use super::{LocalTime, Millis, Seen, Shown};
use crate::base::histogram::Summary;
use crate::base::text::Text;
use crate::base::words;
use crate::core::ledger::{Last, Record, Usage};
use crate::model::outcome::{Columns, Thresholds};
use crate::model::target::Target;

/// Writes the line, with its newline.
#[inline(never)] // LLVM would hoist its constants into the caller's loop.
pub fn write(out: &mut dyn Write, seen: &Seen<'_>) -> fmt::Result {
    let Seen { ledger, life, local, .. } = *seen;
    let Thresholds { slow, timeout } = ledger.thresholds();
    write!(
        out,
        "{{\"version\":{},\"running\":{},\"run\":\"{}\",\"pid\":{},\"clean\":{},\"began\":{},\"started\":{},\"alive\":{},\
         \"due\":{},\"slow_ms\":{},\"timeout_ms\":{},\"targets\":[",
        Quoted(&env!("CARGO_PKG_VERSION")),
        life.is_alive(),
        life.word(),
        ledger.owner().pid,
        !ledger.is_running(),
        Moment(ledger.began(), local),
        Moment(ledger.started(), local),
        Moment(ledger.alive(), local),
        Moment(ledger.due(), local),
        slow.millis(),
        timeout.millis(),
    )?;
    let mut comma = "";
    for record in ledger.in_order() {
        let Some(target) = record.target() else { continue };
        out.write_str(comma)?;
        write_target(out, &record, &target, local)?;
        comma = ",";
    }
    out.write_str("]}\n")
}

fn write_target(out: &mut dyn Write, record: &Record<'_>, target: &Target, local: LocalTime) -> fmt::Result {
    let (state, since) = state(record);
    write_name(out, target)?;
    write!(
        out,
        ",\"configured\":{},\"state\":\"{state}\",\"since\":{},\
         \"last\":{},\"skipped\":{},\"interval\":{},\"total\":{},\"dns\":{},\"connect\":{}}}",
        record.usage() == Usage::Live,
        Moment(since.unwrap_or(0), local),
        Object((record.last(), target, local)),
        record.skipped(),
        Object(record.tally().unreported().columns()),
        Object(record.tally().counted().columns()),
        Object(record.lookups()),
        Object(record.connects()),
    )
}

/// Begins the object of a target: its service, host and port.
pub(super) fn write_name(out: &mut dyn Write, target: &Target) -> fmt::Result {
    let Target { service, host, scope, port, .. } = target;
    let percent = if scope.is_empty() { "" } else { "%" };
    write!(
        out,
        "{{\"service\":{},\"host\":{},\"port\":{port}",
        Quoted(service),
        Quoted(&format_args!("{host}{percent}{scope}"))
    )
}

/// Displays a value as a JSON object, or as `null`.
struct Object<T>(T);

impl fmt::Display for Object<(Option<Last>, &Target, LocalTime)> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(Last { at, ending, lookup, connect }), target, local) = &self.0 else { return f.write_str("null") };
        write!(
            f,
            "{{\"at\":{},\"outcome\":\"{}\",\"detail\":{},\"dns_ms\":{},\"connect_ms\":{}}}",
            Moment(*at, *local),
            ending.outcome(),
            Quoted(&Shown(ending, target)),
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

/// A JSON string (RFC 8259, section 7).
pub(super) struct Quoted<'a>(pub &'a dyn fmt::Display);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escaped(f), "{}", self.0)?;
        f.write_char('"')
    }
}

/// Writes the content of a JSON string.
struct Escaped<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_control() {
                // All control characters are at most U+009F.
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

/// A second since 1970 as local time with its offset (RFC 3339); second 0 means none and is `null`.
struct Moment(i64, LocalTime);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("null");
        }
        let wall = (self.1)(self.0);
        let shown = Text::<32>::format(format_args!("{wall}"));
        let (date, time) = words::split_once(shown.as_str(), b' ').unwrap_or_default();
        let (sign, offset) = (if wall.offset < 0 { '-' } else { '+' }, wall.offset.unsigned_abs() / 60);
        write!(f, "\"{date}T{time}{sign}{:02}:{:02}\"", offset / 60, offset % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_backslashes_and_control_characters_are_escaped() {
        assert_eq!(Quoted(&"kassa \"ä\" \\ \u{1}").to_string(), "\"kassa \\\"ä\\\" \\\\ \\u0001\"");
    }
}
