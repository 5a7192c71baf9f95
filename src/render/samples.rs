//! A sample, one probe or skipped tick, as a line of comma-separated values (RFC 4180).
//!
//! A line ends with LF alone, as in the other daily files, and not with RFC 4180's CRLF: `grep` and `awk` would take the CR
//! for a part of the last value, and every CSV reader takes both. A line for each probe must be cheap, so it is written
//! without the standard library's formatting.

use super::LocalTime;
use crate::base::line::Line;
use crate::base::time::Nanos;
use crate::model::reason::Ending;
use crate::model::target::Target;

/// The first line of a file, with its newline.
pub const HEADER: &str = "time,service,host,port,address,dns_ms,connect_ms,outcome,reason,syns_resent\n";

/// How a tick ended, with its times.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    /// The second of the tick, since 1970.
    pub unix: i64,
    /// Nanoseconds into that second.
    pub nanos: u32,
    /// What was probed.
    pub target: &'a Target,
    /// How the tick ended.
    pub ending: Ending,
    /// How long the lookup took; `None` without one, as for a literal.
    pub lookup: Option<Nanos>,
    /// How long the connect took; `None` without one.
    pub connect: Option<Nanos>,
    /// SYNs that were sent again.
    pub resent: u32,
    /// How many ticks it stands for: more than one only if they were missed in a stop.
    pub ticks: u64,
}

/// Writes samples. It keeps the second of the last one in its written form, because hundreds can have the same: neither the
/// C library's local time nor the calendar is cheap.
#[derive(Debug)]
pub struct Writer {
    local: LocalTime,
    second: i64,
    /// That second, with zeros for the milliseconds.
    moment: [u8; 29],
}

impl Writer {
    /// A writer that has written nothing, for this time zone.
    pub fn new(local: LocalTime) -> Self {
        Self { local, second: 0, moment: local(0).moment_of_second() }
    }

    /// Writes the line with its newline to the front of `room`, and returns how many bytes it has. `room` has at least
    /// [`limits::SAMPLE`](crate::base::limits::SAMPLE) bytes.
    pub fn write(&mut self, room: &mut [u8], sample: &Sample<'_>) -> usize {
        let Sample { unix, nanos, target, ending, lookup, connect, resent, ticks } = sample;
        if self.second != *unix {
            (self.second, self.moment) = (*unix, (self.local)(*unix).moment_of_second());
        }
        let mut line = Line::new(room);
        line.push_bytes(&self.moment[..20]);
        line.push_digits(nanos / 1_000_000, 3);
        line.push_bytes(&self.moment[23..]);
        line.push(b',');
        push_value(&mut line, target.service.as_bytes(), b"");
        line.push(b',');
        push_value(&mut line, target.host.as_bytes(), target.scope.as_bytes());
        line.push(b',');
        line.push_number(target.port.into());
        line.push(b',');
        if let Some(address) = ending.address() {
            address.push(&mut line);
        }
        for time in [lookup, connect] {
            line.push(b',');
            if let Some(time) = time {
                push_millis(&mut line, *time);
            }
        }
        for word in [ending.outcome(), ending.token().unwrap_or_default()] {
            line.push(b',');
            line.push_bytes(word.as_bytes());
        }
        if *ticks > 1 {
            line.push_bytes(b" (");
            line.push_number(u32::try_from(*ticks).unwrap_or(u32::MAX));
            line.push_bytes(b" ticks)");
        }
        line.push(b',');
        line.push_number(*resent);
        line.push(b'\n');
        line.length()
    }
}

/// Appends the milliseconds with three decimals. A time above 71 minutes, far above every limit, is written as 71 minutes.
fn push_millis(line: &mut Line<'_>, time: Nanos) {
    let micros = u32::try_from(time.get() / 1000).unwrap_or(u32::MAX);
    line.push_number(micros / 1000);
    line.push(b'.');
    line.push_digits(micros % 1000, 3);
}

/// Appends a value; with a scope, if it is not empty, behind `%`. Only a service and a scope can have characters that need
/// quotes.
fn push_value(line: &mut Line<'_>, value: &[u8], scope: &[u8]) {
    let is_quoted = needs_quotes(value) || needs_quotes(scope);
    let push_part: fn(&mut Line<'_>, &[u8]) =
        if is_quoted { push_doubled } else { |line, value| line.push_bytes(value) };
    if is_quoted {
        line.push(b'"');
    }
    push_part(line, value);
    if !scope.is_empty() {
        line.push(b'%');
        push_part(line, scope);
    }
    if is_quoted {
        line.push(b'"');
    }
}

fn needs_quotes(value: &[u8]) -> bool {
    // Letters and digits are above the comma.
    value.iter().any(|byte| *byte <= b',' && matches!(byte, b',' | b'"' | b'\r' | b'\n'))
}

/// Appends a value with each quote doubled.
fn push_doubled(line: &mut Line<'_>, value: &[u8]) {
    for byte in value {
        line.push(*byte);
        if *byte == b'"' {
            line.push(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;
    use crate::base::limits;
    use crate::base::text::Text;
    use crate::base::time::WallTime;
    use crate::model::reason::{Reason, Shortage};
    use crate::model::target::Address;

    /// 2025-10-09T14:28:08+03:00.
    const AT: i64 = 1_760_009_288;
    const ADDRESS: Address = Address::new(IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 7)));

    fn local(unix: i64) -> WallTime {
        WallTime { unix, nanos: 0, offset: 10_800 }
    }

    fn target() -> Target {
        Target::new("promotion-api", "api.example.com", 443).unwrap()
    }

    fn sample(target: &Target, ending: Ending) -> Sample<'_> {
        Sample { unix: AT, nanos: 0, target, ending, lookup: None, connect: None, resent: 0, ticks: 1 }
    }

    fn line(sample: &Sample<'_>) -> String {
        let mut room = [0; limits::SAMPLE];
        let length = Writer::new(local).write(&mut room, sample);
        core::str::from_utf8(&room[..length]).unwrap().to_string()
    }

    #[test]
    fn every_outcome_has_its_line() {
        let target = target();
        let start = "2025-10-09T14:28:08.000+03:00,promotion-api,api.example.com,443";
        let (lookup, connect) = (Some(Nanos::new(712_999)), Some(Nanos::from_millis(5000)));
        for (ending, lookup, connect, resent, ticks, rest) in [
            (
                Ending::Connected(ADDRESS),
                lookup,
                Some(Nanos::new(1_011_100_999)),
                1,
                1,
                "192.0.2.7,0.712,1011.100,connected,,1",
            ),
            (Ending::Connected(ADDRESS), None, connect, 0, 1, "192.0.2.7,,5000.000,connected,,0"),
            (
                Ending::ConnectFailed(Reason::TimedOut, ADDRESS),
                lookup,
                connect,
                3,
                1,
                "192.0.2.7,0.712,5000.000,connect failed,timeout,3",
            ),
            (Ending::LookupFailed(Reason::NameNotFound), lookup, None, 0, 1, ",0.712,,lookup failed,name_not_found,0"),
            (Ending::Skipped(Shortage::Descriptors), lookup, None, 0, 1, ",0.712,,skipped,no_descriptors,0"),
            (Ending::Skipped(Shortage::Late), None, None, 0, 1, ",,,skipped,late,0"),
            (Ending::Skipped(Shortage::Late), None, None, 0, 1800, ",,,skipped,late (1800 ticks),0"),
        ] {
            let sample = Sample { lookup, connect, resent, ticks, ..sample(&target, ending) };
            assert_eq!(line(&sample), format!("{start},{rest}\n"));
        }
    }

    #[test]
    fn only_values_that_need_quotes_have_them() {
        for (service, host, expected) in [
            ("kassa äö", "db", "kassa äö,db"),
            ("a, b", "db", "\"a, b\",db"),
            ("the \"new\" one", "10.0.0.5", "\"the \"\"new\"\" one\",10.0.0.5"),
            ("\"", "fe80::1%eth0", "\"\"\"\",fe80::1%eth0"),
            ("s", "fe80::1%a,\"b", "s,\"fe80::1%a,\"\"b\""),
        ] {
            let target = Target::new(service, host, 1).unwrap();
            let line = line(&sample(&target, Ending::Skipped(Shortage::Memory)));
            assert_eq!(line, format!("2025-10-09T14:28:08.000+03:00,{expected},1,,,,skipped,no_memory,0\n"));
        }
    }

    /// Samples of every ending, with services and hosts of which some need quotes.
    fn samples(targets: &[Target]) -> Vec<Sample<'_>> {
        let failed = Reason::NAMED.into_iter().chain([Reason::Other(22)]);
        let addresses = [ADDRESS, Address { ip: IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1]), scope: 7 }];
        let endings: Vec<Ending> = failed
            .flat_map(|reason| [Ending::LookupFailed(reason), Ending::ConnectFailed(reason, addresses[1])])
            .chain(addresses.map(Ending::Connected))
            .chain(Shortage::ALL.map(Ending::Skipped))
            .collect();
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut samples = Vec::new();
        for i in 0..3000 {
            let time = |nanos: u64| (nanos % 4 > 0).then(|| Nanos::new(nanos * nanos % 600_000_000_000));
            samples.push(Sample {
                // A second is often the one before.
                unix: AT + next(3) as i64 * 86_400 * 365,
                nanos: next(1_000_000_000) as u32,
                target: &targets[i % targets.len()],
                ending: endings[i % endings.len()],
                lookup: time(next(1 << 31)),
                connect: time(next(1 << 31)),
                resent: next(6) as u32,
                ticks: 1,
            });
        }
        samples
    }

    fn targets() -> Vec<Target> {
        let mut targets = Vec::new();
        for first in ["a", ",", "\"", "'", "ä"] {
            for middle in ["", " ", ",", "\"", ";", "\"\"", ",\","] {
                for host in ["db.example", "10.0.0.5", "2001:db8::5", "fe80::1%e,\"0"] {
                    targets.push(Target::new(&format!("{first}{middle}{first}"), host, 443).unwrap());
                }
            }
        }
        targets
    }

    #[test]
    fn a_reader_of_csv_reads_every_value_back() {
        let targets = targets();
        let samples = samples(&targets);
        let (mut file, mut writer, mut room) = (HEADER.as_bytes().to_vec(), Writer::new(local), [0; limits::SAMPLE]);
        for sample in &samples {
            let length = writer.write(&mut room, sample);
            file.extend(&room[..length]);
        }
        let mut reader = csv::Reader::from_reader(file.as_slice());
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>().join(",") + "\n", HEADER);
        let records: Vec<csv::StringRecord> = reader.records().map(|record| record.unwrap()).collect();
        assert_eq!(records.len(), samples.len());
        for (record, sample) in records.iter().zip(&samples) {
            let Target { service, host, scope, port, .. } = sample.target;
            let time = |time: Option<Nanos>| time.map_or(String::new(), |time| time.as_millis().to_string());
            let scope = if scope.is_empty() { String::new() } else { format!("%{scope}") };
            let (outcome, reason, address) = match sample.ending {
                Ending::Connected(address) => ("connected", "", Some(address)),
                Ending::LookupFailed(reason) => ("lookup failed", reason.token(), None),
                Ending::ConnectFailed(reason, address) => ("connect failed", reason.token(), Some(address)),
                Ending::Skipped(shortage) => ("skipped", shortage.token(), None),
            };
            let moment = local(sample.unix).as_moment().to_string();
            let millis = sample.nanos / 1_000_000;
            let expected = [
                format!("{}.{millis:03}{}", &moment[..19], &moment[19..]),
                service.to_string(),
                format!("{host}{scope}"),
                port.to_string(),
                address.map_or(String::new(), |address| address.to_string()),
                time(sample.lookup),
                time(sample.connect),
                outcome.into(),
                reason.into(),
                sample.resent.to_string(),
            ];
            assert_eq!(record.iter().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_value_without_quotes_is_found_by_splitting_at_commas() {
        let target = target();
        for sample in samples(&[target]) {
            let line = line(&sample);
            assert_eq!((line.split(',').count(), line.matches('"').count()), (10, 0), "{line}");
        }
    }

    #[test]
    fn the_longest_line_is_within_its_limit() {
        let mut target = Target::new("s", "fe80::1%d", u16::MAX).unwrap();
        let quotes = |bytes| "\"".repeat(bytes);
        target.service = Text::format(format_args!("{}", quotes(limits::SERVICE)));
        target.host = Text::format(format_args!("{}", quotes(limits::HOST)));
        target.scope = Text::format(format_args!("{}", quotes(limits::DEVICE)));
        let time = Some(Nanos::new(u64::MAX));
        let address = Address { ip: IpAddr::from([u16::MAX; 8]), scope: u32::MAX };
        let mut endings: Vec<Ending> = Shortage::ALL.into_iter().map(Ending::Skipped).collect();
        for reason in Reason::NAMED.into_iter().chain([Reason::Other(i32::MIN)]) {
            endings.extend([Ending::LookupFailed(reason), Ending::ConnectFailed(reason, address)]);
        }
        endings.push(Ending::Connected(address));
        let mut longest = 0;
        for ending in endings {
            // Only missed ticks are counted together.
            let ticks = if ending == Ending::Skipped(Shortage::Late) { u64::MAX } else { 1 };
            let (unix, nanos) = (300_000_000_000, 999_999_999);
            let sample =
                Sample { unix, nanos, lookup: time, connect: time, resent: u32::MAX, ticks, ..sample(&target, ending) };
            let mut room = [0; 2048];
            longest = longest.max(Writer::new(local).write(&mut room, &sample));
        }
        assert_eq!(longest, limits::SAMPLE);
        assert!(HEADER.len() <= limits::SAMPLE);
    }
}
