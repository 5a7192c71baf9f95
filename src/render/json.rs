//! The content of `tcpmon status -j`: one line of JSON (RFC 8259).

use core::fmt::{self, Write};

use super::cells::put;
use super::overview::Loss;
use super::{Row, Seen, Shown};
use crate::base::histogram::Summary;
use crate::base::time::Nanos;
use crate::core::health::State;
use crate::core::ledger::{Last, Usage};
use crate::model::log_names::Kind;
use crate::model::outcome::Columns;
use crate::model::reason::Ending;
use crate::model::target::{Address, Target};

/// Writes the line, with its newline.
#[inline(never)] // LLVM would hoist its constants into the caller's loop.
pub fn write(out: &mut String, seen: &Seen<'_>) {
    let Seen { ledger, life, .. } = *seen;
    let (thresholds, mut states) = (ledger.thresholds(), seen.states());
    if !life.is_current() {
        states = [states.iter().sum(), 0, 0];
    }
    let moment = |unix: i64| unix as u64;
    put(out, format_args!("{{\"version\":{},\"run\":\"{}\",", Quoted(&env!("CARGO_PKG_VERSION")), life.word()));
    fill(
        out,
        "\"running\":?,\"pid\":#,\"clean\":?,\"began\":@,\"started\":@,\"alive\":@,\"due\":@,\"slow_ms\":#,\
         \"timeout_ms\":#,\"unknown\":#,\"up\":#,\"down\":#,\"log_broken_since\":@,\"times_broken_since\":@,\
         \"events_broken_since\":@,\"samples_broken_since\":@,\"targets\":[",
        &|i| match i {
            0 => life.is_alive().into(),
            1 => ledger.owner().pid.into(),
            2 => (!ledger.is_running()).into(),
            3 => moment(ledger.began()),
            4 => moment(ledger.started()),
            5 => moment(ledger.alive()),
            6 => moment(ledger.due()),
            7 => thresholds.slow.millis(),
            8 => thresholds.timeout.millis(),
            9..=11 => states[i - 9].into(),
            _ => Kind::ALL.get(i - 12).and_then(|kind| ledger.broken(*kind)).map_or(0, |(since, _)| moment(since)),
        },
    );
    let mut comma = "";
    for row in &seen.rows(true) {
        out.push_str(comma);
        write_target(out, seen, row);
        comma = ",";
    }
    out.push_str("]}\n");
}

#[inline(never)]
fn write_target(out: &mut String, seen: &Seen<'_>, (record, target): &Row<'_>) {
    let (last_state, since) = record.state();
    let state = if seen.life.is_current() { last_state } else { State::Unknown };
    let interval = record.interval();
    let columns = record.tally().unreported().columns();
    let loss = Loss((columns.total as u32, (columns.dns_fail + columns.conn_failed) as u32), "null");
    write_name(out, target);
    let (state_word, last_word) = (state.word(), last_state.word());
    put(out, format_args!(",\"state\":\"{state_word}\",\"last_state\":\"{last_word}\",\"loss_percent\":{loss}"));
    let known = |state| if state == State::Unknown { 0 } else { since as u64 };
    fill(
        out,
        ",\"configured\":?,\"since\":@,\"last_since\":@,\"skipped\":#,\"interval_skipped\":#,\"syns_resent\":#,\
         \"last_good\":@",
        &|i| match i {
            0 => (record.usage() == Usage::Live).into(),
            1 => known(state),
            2 => known(last_state),
            3 => record.skipped().into(),
            4 => interval.skipped.into(),
            5 => record.resent().into(),
            _ => record.last_good().map_or(0, |(at, ..)| at as u64),
        },
    );
    write_last(out, ",\"last\":", record.last(), target, true);
    write_last(out, ",\"last_failure\":", record.last_failure(), target, false);
    write_counts(out, ",\"interval\":", &columns);
    write_counts(out, ",\"total\":", &record.tally().counted().columns());
    write_times(out, ",\"interval_dns\":", &interval.lookups);
    write_times(out, ",\"interval_connect\":", &interval.connects);
    write_times(out, ",\"dns\":", &record.lookups());
    write_times(out, ",\"connect\":", &record.connects());
    out.push('}');
}

/// Writes counts, behind their key.
#[inline(never)] // Called twice for each target.
pub(super) fn write_counts(out: &mut String, key: &str, columns: &Columns) {
    out.push_str(key);
    let numbers = columns.numbers();
    fill(
        out,
        "{\"conn_fast\":#,\"conn_slow\":#,\"dns_fast\":#,\"dns_slow\":#,\"dns_fail\":#,\"conn_failed\":#,\"total\":#}",
        &|i| numbers[i],
    );
}

/// Writes percentiles, behind their key.
#[inline(never)] // Called four times for each target.
fn write_times(out: &mut String, key: &str, summary: &Option<Summary>) {
    out.push_str(key);
    let Some(summary) = summary else { return out.push_str("null") };
    fill(out, "{\"count\":#,\"p50_ms\":%,\"p95_ms\":%,\"p99_ms\":%,\"max_ms\":%}", &|i| match i {
        0 => summary.count,
        1 => summary.p50.get(),
        2 => summary.p95.get(),
        3 => summary.p99.get(),
        _ => summary.max.get(),
    });
}

/// Writes how a tick ended, behind its key.
#[inline(never)] // Called twice for each target.
fn write_last(out: &mut String, key: &str, last: Option<Last>, target: &Target, has_times: bool) {
    out.push_str(key);
    let Some(Last { at, ending, lookup, connect }) = &last else { return out.push_str("null") };
    put(out, format_args!("{{\"at\":{at},\"detail\":{},", Quoted(&Shown(ending, target))));
    write_ending(out, ending.address(), Some(ending));
    if has_times {
        fill(out, ",\"dns_ms\":%,\"connect_ms\":%", &|i| [lookup, connect][i].map_or(NONE, Nanos::get));
    }
    out.push('}');
}

/// Writes the keys of an ending, and its address.
#[inline(never)] // Called from many paths.
pub(super) fn write_ending(out: &mut String, address: Option<&Address>, ending: Option<&Ending>) {
    let (outcome, token) = (ending.map(Ending::outcome), ending.and_then(Ending::token));
    put(out, format_args!("\"address\":{},\"outcome\":{},\"reason\":{}", Word(address), Word(outcome), Word(token)));
}

/// No number, and no time.
pub(super) const NONE: u64 = u64::MAX;

/// Writes a text with the next value in place of each of these: `#` a number, `@` a moment, which is `null` if it is 0, `%`
/// nanoseconds as milliseconds, and `?` whether it is 1. [`NONE`] is `null`, too.
#[inline(never)] // For many numbers it is less code than the standard library's formats.
pub(super) fn fill(out: &mut String, text: &str, value: &dyn Fn(usize) -> u64) {
    let mut i = 0;
    for c in text.chars() {
        if !matches!(c, '#' | '@' | '%' | '?') {
            out.push(c);
            continue;
        }
        match (c, value(i)) {
            ('@', 0) | (_, NONE) => out.push_str("null"),
            ('%', nanos) => put(out, format_args!("{}", Nanos::new(nanos).as_millis())),
            ('?', value) => out.push_str(if value == 1 { "true" } else { "false" }),
            (_, number) => put(out, format_args!("{number}")),
        }
        i += 1;
    }
}

/// A word in quotes, or `null`. No word has a character that would have to be escaped.
struct Word<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(word) => write!(f, "\"{word}\""),
            None => f.write_str("null"),
        }
    }
}

/// Begins the object of a target: its service, host and port.
pub(super) fn write_name(out: &mut String, target: &Target) {
    let Target { service, host, scope, port, .. } = target;
    let percent = if scope.is_empty() { "" } else { "%" };
    put(
        out,
        format_args!(
            "{{\"service\":{},\"host\":{},\"port\":{port}",
            Quoted(service),
            Quoted(&format_args!("{host}{percent}{scope}"))
        ),
    );
}

/// A JSON string (RFC 8259, section 7). Without other control characters than newlines, the value of a label in metrics, too.
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
            if c == '\n' {
                self.0.write_str("\\n")?;
                continue;
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_backslashes_and_control_characters_are_escaped() {
        assert_eq!(Quoted(&"kassa \"ä\" \\ \u{1}\n").to_string(), "\"kassa \\\"ä\\\" \\\\ \\u0001\\n\"");
    }
}
