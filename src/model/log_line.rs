//! A line of a daily file, read back. All four kinds are known by their form, so a file may have any name and hold lines of
//! several kinds. It works on bytes, copies nothing that is long, and never fails: what is no such line is [`Line::Damaged`].

use super::outcome::Columns;
use crate::base::calendar::parse_civil;
use crate::base::text::Text;
use crate::base::{limits, words};

/// A row of the daily log: [`crate::render::table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted<'a> {
    /// When the row was written, as the local clock showed it (see [`parse_civil`]).
    pub civil: i64,
    /// Its service.
    pub service: &'a str,
    /// Its numbers.
    pub columns: Columns,
}

/// A row of the table of times: [`crate::render::times`]. Times are in tenths of a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed<'a> {
    /// When the row was written, as the local clock showed it.
    pub civil: i64,
    /// Its service.
    pub service: &'a str,
    /// p50, p95 and maximum of lookups and of connects; `None` where nothing was measured.
    pub phases: [Option<[u32; 3]>; 2],
    /// SYNs sent again.
    pub resent: u32,
    /// Ticks skipped.
    pub skipped: u32,
    /// The causes; empty if there are none.
    pub why: &'a str,
}

/// A line of the log of events: [`crate::render::events`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// When it was found, in seconds since 1970.
    pub at: i64,
    /// Its kind, service, `host:port` and text.
    pub parts: [&'a str; 4],
    /// What it changes.
    pub change: Change<'a>,
}

/// What an event says of the time of which it speaks. Moments are in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The target is down since then, for this reason.
    Down(i64, &'a str),
    /// The target was down from then until then.
    Up(i64, i64),
    /// After many changes the target is up, or down.
    Flapping(bool),
    /// Nobody watched from then until then.
    Unwatched(i64, i64),
    /// Something else.
    Nothing,
}

/// A line of samples: [`crate::render::samples`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// When the probe began, in seconds since 1970.
    pub at: i64,
    /// Its service.
    pub service: Text<{ limits::SERVICE }>,
    /// How long lookup and connect took, in microseconds; `None` if there was none.
    pub phases: [Option<u32>; 2],
    /// How it ended.
    pub ending: Sample,
    /// SYNs sent again.
    pub resent: u32,
}

/// How the probe of a sample ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// It connected.
    Connected,
    /// The connect failed.
    ConnectFailed,
    /// The lookup failed.
    LookupFailed,
    /// There were this many ticks without a probe.
    Skipped(u32),
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A header, or an empty line.
    Header,
    /// A row of counts.
    Counted(Counted<'a>),
    /// A row of times.
    Timed(Timed<'a>),
    /// An event.
    Told(Told<'a>),
    /// A sample.
    Sampled(Sampled),
    /// None of them.
    Damaged,
}

/// Bytes of a date and a time of day.
pub const STAMP: usize = 19;

/// The header of samples.
const SAMPLES: &str = "time,service,host,port,address,dns_ms,connect_ms,outcome,reason,syns_resent";

/// What is between two columns of a table.
pub const GAP: &str = " | ";

impl<'a> Line<'a> {
    /// Reads a line, without its newline.
    pub fn read(line: &'a [u8]) -> Self {
        let Some(line) = words::utf8(line) else { return Line::Damaged };
        let line = line.strip_suffix('\r').unwrap_or(line);
        let is_table = line.starts_with("Timestamp ") && (line.ends_with("| Total") || line.ends_with("| Why"));
        if line.is_empty() || is_table || line == SAMPLES {
            return Line::Header;
        }
        let Some((stamp, rest)) = line.split_at_checked(STAMP) else { return Line::Damaged };
        let Some(civil) = parse_civil(stamp) else { return Line::Damaged };
        let read = match rest.as_bytes() {
            [b'.', ..] => sampled(civil, rest).map(Line::Sampled),
            [b'+' | b'-', ..] => told(civil, rest).map(Line::Told),
            _ => match rest.strip_prefix(GAP) {
                Some(rest) => match counted(civil, rest) {
                    Some(counted) => Some(Line::Counted(counted)),
                    None => timed(civil, rest).map(Line::Timed),
                },
                None => None,
            },
        };
        read.unwrap_or(Line::Damaged)
    }
}

/// The last cell of a line, and what is before it.
#[inline(never)]
fn last_cell(line: &str) -> Option<(&str, &str)> {
    let (before, cell) = words::rsplit_once(line, b'|')?;
    Some((words::trim(cell), before))
}

/// Reads the service and the numbers of a row of counts. They add up in every row, so one that does not was damaged; a
/// service with a bar is what is left of two lines.
fn counted(civil: i64, line: &str) -> Option<Counted<'_>> {
    let (mut rest, mut numbers) = (line, [0; 7]);
    for number in numbers.iter_mut().rev() {
        let (cell, before) = last_cell(rest)?;
        *number = words::number(cell, u32::MAX)?.into();
        rest = before;
    }
    let columns = Columns::of(numbers);
    let service = words::trim(rest);
    (columns.is_sum() && is_service(service)).then_some(Counted { civil, service, columns })
}

/// Whether a text can be the service of a row.
fn is_service(service: &str) -> bool {
    !service.is_empty() && words::is_clean(service, b'|')
}

/// Reads the rest of a row of times.
fn timed(civil: i64, line: &str) -> Option<Timed<'_>> {
    let (why, mut rest) = last_cell(line)?;
    let (mut counts, mut phases) = ([0; 2], [[None; 3]; 2]);
    for count in counts.iter_mut().rev() {
        let (cell, before) = last_cell(rest)?;
        *count = words::number(cell, u32::MAX)?;
        rest = before;
    }
    for time in phases.as_flattened_mut().iter_mut().rev() {
        let (cell, before) = last_cell(rest)?;
        *time = if cell == "-" { None } else { Some(tenths(cell)?) };
        rest = before;
    }
    let (_, before) = last_cell(rest)?;
    let service = words::trim(before);
    let whole = |[p50, p95, max]: [Option<u32>; 3]| p50.zip(p95).zip(max).map(|((p50, p95), max)| [p50, p95, max]);
    let [resent, skipped] = counts;
    let is_read = is_service(service) && !why.is_empty() && words::is_clean(why, b'|');
    let why = if why == "-" { "" } else { why };
    is_read.then_some(Timed { civil, service, phases: phases.map(whole), resent, skipped, why })
}

/// Reads `12.3`, up to 118 hours.
fn tenths(cell: &str) -> Option<u32> {
    let (whole, tenth) = words::split_once(cell, b'.')?;
    let tenth = words::number(tenth, 9).filter(|_| tenth.len() == 1)?;
    Some(words::number(whole, u32::MAX / 10 - 1)? * 10 + tenth)
}

/// Reads the offset at the front of a text, `+03:00`, as seconds.
fn offset(text: &str) -> Option<(i64, &str)> {
    let (offset, rest) = text.split_at_checked(6)?;
    let (hours, minutes) = words::split_once(offset.strip_prefix(['+', '-'])?, b':')?;
    let seconds = i64::from(words::number(hours, 99)? * 3600 + words::number(minutes, 59)? * 60);
    Some((if offset.starts_with('-') { -seconds } else { seconds }, rest))
}

/// Reads a moment at the front of a text, as `2025-10-09T14:28:12+03:00`: its second since 1970, and the text behind it.
pub(super) fn moment(text: &str) -> Option<(i64, &str)> {
    let (stamp, rest) = text.split_at_checked(STAMP)?;
    let civil = parse_civil(stamp)?;
    let (offset, rest) = offset(rest)?;
    Some((civil - offset, rest))
}

/// The part before a word, and the moment and the text behind it.
fn around<'a>(text: &'a str, word: &str) -> Option<(&'a str, i64, &'a str)> {
    // A text has few bytes.
    let at = (0..text.len()).find(|at| text.as_bytes()[*at..].starts_with(word.as_bytes()))?;
    let (moment, rest) = moment(&text[at + word.len()..])?;
    Some((&text[..at], moment, rest))
}

/// Reads the rest of an event's line.
fn told(civil: i64, line: &str) -> Option<Told<'_>> {
    let (offset, mut rest) = offset(line)?;
    let mut parts = [""; 4];
    for part in &mut parts {
        rest = rest.strip_prefix(GAP)?;
        let end = rest.bytes().position(|byte| byte == b'|').map_or(rest.len(), |bar| bar.saturating_sub(1));
        (*part, rest) = rest.split_at_checked(end)?;
    }
    let [kind, service, _, text] = parts;
    if !words::is_clean(line, b'\n') {
        return None;
    }
    let change = match kind {
        "down" => around(text, ", since ").map(|(reason, since, _)| Change::Down(since, reason))?,
        "up" => {
            let (before, since, _) = around(text, " s since ")?;
            let (_, seconds) = words::rsplit_once(before, b' ')?;
            Change::Up(since, since + i64::from(words::number(seconds, u32::MAX)?))
        }
        "flapping" => Change::Flapping(text.ends_with("now up")),
        "killed" | "stopped" => {
            let (_, from, rest) = around(text, " from ")?;
            let (to, _) = moment(rest.strip_prefix(" to ")?)?;
            Change::Unwatched(from, to)
        }
        "address" | "start" | "stop" | "clock" | "reload" | "log" | "dropped" => Change::Nothing,
        _ => return None,
    };
    (!service.is_empty() && !text.is_empty() && rest.is_empty()).then_some(Told { at: civil - offset, parts, change })
}

/// The next value of a line of comma-separated values (RFC 4180), without its quotes.
fn value(rest: &mut &str, room: &mut Text<{ limits::SAMPLE }>) -> Option<()> {
    room.clear();
    let Some(mut quoted) = rest.strip_prefix('"') else {
        let end = rest.bytes().position(|byte| byte == b',').unwrap_or(rest.len());
        room.push(&rest[..end]);
        *rest = rest.get(end + 1..).unwrap_or_default();
        return Some(());
    };
    loop {
        let (part, behind) = words::split_once(quoted, b'"')?;
        room.push(part);
        match behind.as_bytes() {
            [b'"', ..] => room.push("\""),
            [] | [b',', ..] => {
                *rest = behind.get(1..).unwrap_or_default();
                return Some(());
            }
            _ => return None,
        }
        quoted = &behind[1..];
    }
}

/// Reads the rest of a sample's line.
fn sampled(civil: i64, line: &str) -> Option<Sampled> {
    let mut room = Text::new();
    let (offset, rest) = offset(line.get(4..)?)?;
    let mut rest = rest.strip_prefix(',')?;
    value(&mut rest, &mut room)?;
    let service = Text::copy(room.as_str()).filter(|service| is_service(service.as_str()))?;
    // Host, port and address.
    for _ in 0..3 {
        value(&mut rest, &mut room)?;
    }
    let mut phases = [None; 2];
    for phase in &mut phases {
        value(&mut rest, &mut room)?;
        if !room.is_empty() {
            let (millis, micros) = words::split_once(room.as_str(), b'.')?;
            let micros = words::number(micros, 999).filter(|_| micros.len() == 3)?;
            *phase = Some(words::number(millis, u32::MAX / 1000 - 1)? * 1000 + micros);
        }
    }
    value(&mut rest, &mut room)?;
    let mut ending = match room.as_str() {
        "connected" => Sample::Connected,
        "connect failed" => Sample::ConnectFailed,
        "lookup failed" => Sample::LookupFailed,
        "skipped" => Sample::Skipped(1),
        _ => return None,
    };
    value(&mut rest, &mut room)?;
    if let (Sample::Skipped(ticks), Some((_, number))) = (&mut ending, words::split_once(room.as_str(), b'(')) {
        *ticks = words::leading_number(number).map_or(1, |(ticks, _)| ticks.min(u32::MAX.into()) as u32);
    }
    value(&mut rest, &mut room)?;
    let resent = words::number(room.as_str(), u32::MAX)?;
    rest.is_empty().then_some(Sampled { at: civil - offset, service, phases, ending, resent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Line<'_> {
        Line::read(line.as_bytes())
    }

    #[test]
    fn a_row_of_counts_is_read_also_if_the_original_wrote_it() {
        let row = "2025-10-09 14:30:00 | promotion-api        |     120 |       15 |    135 |        0 |       0 |          8 |   143";
        let columns = Columns::of([120, 15, 135, 0, 0, 8, 143]);
        assert_eq!(read(row), Line::Counted(Counted { civil: 1_760_020_200, service: "promotion-api", columns }));
        assert_eq!(read(&format!("{row}\r")), read(row));
        // Of a torn row and the next one it is damaged.
        for cut in 1..row.len() {
            assert_eq!(read(&format!("{}{row}", &row[..cut])), Line::Damaged, "{}", &row[..cut]);
        }
        for header in [
            "Timestamp           | Service              | Conn<1s | Conn1-5s | DNS<1s | DNS1-5s | DNSFail | ConnFailed | Total",
            "time,service,host,port,address,dns_ms,connect_ms,outcome,reason,syns_resent",
            "",
        ] {
            assert_eq!(read(header), Line::Header);
        }
    }

    #[test]
    fn what_is_damaged_is_no_row() {
        let row = "2025-10-09 14:30:00 | web                  |     120 |       15 |    135 |        0 |       0 |          8 |   143";
        for (from, to) in [
            ("2025-10-09", "2025-13-09"),
            ("14:30:00 |", "14:30:00 "),
            ("120", "121"),
            ("143", "14"),
            ("143", "x"),
            ("143", "143 144"),
            ("web", "   "),
            ("|       0 ", ""),
            ("|   143", ""),
            ("15", "-15"),
            ("15", "99999999999"),
            ("135", "144"),
            ("web", "we\tb"),
        ] {
            assert_eq!(read(&row.replace(from, to)), Line::Damaged, "{from} {to}");
        }
        for cut in 1..row.len() {
            assert!(matches!(read(&row[..cut]), Line::Damaged), "{}", &row[..cut]);
        }
        assert_eq!(Line::read(b"2025-10-09 14:30:00 | \xff"), Line::Damaged);
    }

    #[test]
    fn a_torn_header_hides_no_row() {
        let row = "2025-10-09 14:30:00 | web | 120 | 15 | 135 | 0 | 0 | 8 | 143";
        for header in ["Timestamp           | Ser", "Timestamp ", "time,service,"] {
            assert_eq!(read(&format!("{header}{row}")), Line::Damaged, "{header}");
        }
    }

    #[test]
    fn a_row_of_times_is_read() {
        let row = "2025-10-09 14:30:00 | promotion-api        | api.example.com:443   |      0.7 |      1.9 |     12.4 |        - |        - |        - |           3 |       1 | connect refused 8; slow by resent SYNs 2";
        let phases = [Some([7, 19, 124]), None];
        let why = "connect refused 8; slow by resent SYNs 2";
        let timed = Timed { civil: 1_760_020_200, service: "promotion-api", phases, resent: 3, skipped: 1, why };
        assert_eq!(read(row), Line::Timed(timed));
        assert!(matches!(read(&row.replace(why, "-")), Line::Timed(Timed { why: "", .. })));
        for damaged in
            [row.replace("0.7", "0.77"), row.replace("0.7", "7"), row.replace(why, ""), row.replace("12.4", "")]
        {
            assert_eq!(read(&damaged), Line::Damaged, "{damaged}");
        }
    }

    #[test]
    fn every_kind_of_event_is_read() {
        let at = 1_760_009_292;
        let since = at - 4;
        let line = |kind: &str, text: &str| format!("2025-10-09T14:28:12+03:00 | {kind} | web | h:1 | {text}");
        for (kind, text, change) in [
            (
                "down",
                "connect refused by 192.0.2.7, since 2025-10-09T14:28:08+03:00, 3 failed",
                Change::Down(since, "connect refused by 192.0.2.7"),
            ),
            (
                "down",
                "lookup timed out, since 2025-10-09T11:28:08+00:00, 3 failed",
                Change::Down(since, "lookup timed out"),
            ),
            (
                "up",
                "connected to 192.0.2.7 in 11.1 ms, down for 312 s since 2025-10-09T14:28:08+03:00, 156 failed",
                Change::Up(since, since + 312),
            ),
            ("flapping", "12 more changes in this minute, now down", Change::Flapping(false)),
            ("flapping", "12 more changes in this minute, now up", Change::Flapping(true)),
            (
                "killed",
                "nobody watched from 2025-10-09T14:28:08+03:00 to 2025-10-09T14:28:12+03:00",
                Change::Unwatched(since, at),
            ),
            ("address", "192.0.2.1 -> 198.51.100.7", Change::Nothing),
            ("dropped", "7 events could not be kept", Change::Nothing),
        ] {
            let line = line(kind, text);
            assert_eq!(read(&line), Line::Told(Told { at, parts: [kind, "web", "h:1", text], change }), "{line}");
        }
        for damaged in [
            line("gone", "x"),
            line("down", "x"),
            line("up", "down for x s since 2025-10-09T14:28:08+03:00"),
            line("killed", "nobody watched from 2025-10-09T14:28:08+03:00"),
            line("start", ""),
            line("start", "a | b"),
            line("start", "x")[..40].into(),
        ] {
            assert_eq!(read(&damaged), Line::Damaged, "{damaged}");
        }
    }

    #[test]
    fn a_sample_is_read_with_its_quotes() {
        let sample = |service: &str, rest: &str| format!("2025-10-09T14:28:08.250+03:00,{service},h,443,{rest}");
        let read = |line: &str| match Line::read(line.as_bytes()) {
            Line::Sampled(sampled) => {
                Some((sampled.service.to_string(), sampled.phases, sampled.ending, sampled.resent))
            }
            _ => None,
        };
        let (lookup, connect) = (Some(712), Some(1_011_072));
        for (line, expected) in [
            (sample("web", "192.0.2.7,0.712,1011.072,connected,,1"), ("web", [lookup, connect], Sample::Connected, 1)),
            (
                sample("\"a, \"\"b\"\"\"", ",,,skipped,late (1800 ticks),0"),
                ("a, \"b\"", [None; 2], Sample::Skipped(1800), 0),
            ),
            (sample("web", ",0.712,,lookup failed,timeout,0"), ("web", [lookup, None], Sample::LookupFailed, 0)),
            (
                sample("web", "::1,,1011.072,connect failed,refused,0"),
                ("web", [None, connect], Sample::ConnectFailed, 0),
            ),
        ] {
            let (service, phases, ending, resent) = expected;
            assert_eq!(read(&line), Some((service.into(), phases, ending, resent)), "{line}");
        }
        for line in [
            sample("web", "192.0.2.7,0.712,1011.072,connected,,"),
            sample("web", "192.0.2.7,0.712,1011.072,connected,,1,2"),
            sample("web", "192.0.2.7,0.7,1011.072,connected,,1"),
            sample("web", "192.0.2.7,0.712,1011.072,gone,,1"),
            sample("\"web", ",,,skipped,late,0"),
            sample("", ",,,skipped,late,0"),
        ] {
            assert_eq!(read(&line), None, "{line}");
        }
    }
}
