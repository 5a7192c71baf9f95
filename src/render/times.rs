//! The table of times: for each target the percentiles of its times since the last report, and why connects and lookups
//! failed or were slow.

use core::fmt::{self, Write};

use crate::base::histogram::Summary;
use crate::base::limits;
use crate::base::text::Text;
use crate::base::time::WallTime;
use crate::core::ledger::{Interval, Ledger, Record, Usage};
use crate::model::cause::Cause;
use crate::model::target::{Address, Target};

/// The columns of numbers: their headings and widths.
const NUMBERS: [(&str, usize); 8] = [
    ("DNS p50", 8),
    ("DNS p95", 8),
    ("DNS max", 8),
    ("Conn p50", 8),
    ("Conn p95", 8),
    ("Conn max", 8),
    ("SYNs resent", 11),
    ("Skipped", 7),
];
const STAMP: usize = 19;
const SERVICE: u16 = 20;
const TARGET: u16 = 21;

/// The widths of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    service: u16,
    target: u16,
}

impl Form {
    /// The form for targets with short names.
    pub fn new() -> Self {
        Self { service: SERVICE, target: TARGET }
    }

    /// The form for the configured targets of this ledger.
    pub fn of(ledger: &Ledger) -> Self {
        let mut form = Self::new();
        let live = ledger.records().filter(|(_, record)| record.usage() == Usage::Live);
        live.filter_map(|(_, record)| record.target()).for_each(|target| form.fit(&target));
        form
    }

    /// Makes the columns wide enough for this target.
    pub fn fit(&mut self, target: &Target) {
        self.service = self.service.max(target.service.characters() as u16);
        self.target = self.target.max(endpoint(target).characters() as u16);
    }

    /// The header line, with its newline.
    pub fn header(&self) -> Header<'_> {
        Header(self)
    }

    /// A row, with its newline: at most [`limits::TIMES_ROW`] bytes.
    pub fn row<'a>(&'a self, stamp: WallTime, target: &'a Target, interval: &'a Interval) -> Row<'a> {
        Row { form: self, stamp, target, interval }
    }

    /// Writes the row that is about to be written of each of these records, below a header if it is `headed`. A record
    /// that is not of a configured target needs something to tell.
    pub fn write(
        &self,
        out: &mut dyn Write,
        headed: bool,
        stamp: WallTime,
        records: &mut dyn Iterator<Item = Record<'_>>,
    ) -> fmt::Result {
        if headed {
            write!(out, "{}", self.header())?;
        }
        for record in records {
            // Every record in use has a target: another ledger is refused when it is read.
            let Some(target) = record.target() else { continue };
            if record.usage() == Usage::Live || record.has_row() {
                write!(out, "{}", self.row(stamp, &target, &record.row()))?;
            }
        }
        Ok(())
    }

    /// The columns before the numbers.
    fn write_start(&self, out: &mut dyn Write, stamp: &dyn fmt::Display, service: &str, target: &str) -> fmt::Result {
        let (service_width, target_width) = (self.service.into(), self.target.into());
        write!(out, "{stamp:<STAMP$} | {service:<service_width$} | {target:<target_width$}")
    }
}

impl Default for Form {
    fn default() -> Self {
        Self::new()
    }
}

fn endpoint(target: &Target) -> Text<{ limits::ENDPOINT }> {
    Text::format(format_args!("{}", target.endpoint()))
}

/// See [`Form::header`].
pub struct Header<'a>(&'a Form);

impl fmt::Display for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_start(f, &"Timestamp", "Service", "Target")?;
        for (heading, width) in NUMBERS {
            write!(f, " | {heading:>width$}")?;
        }
        f.write_str(" | Why\n")
    }
}

/// See [`Form::row`].
pub struct Row<'a> {
    form: &'a Form,
    stamp: WallTime,
    target: &'a Target,
    interval: &'a Interval,
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { form, stamp, target, interval } = self;
        form.write_start(f, stamp, target.service.as_str(), endpoint(target).as_str())?;
        for (column, (_, width)) in NUMBERS.into_iter().enumerate() {
            let phase = if column < 3 { &interval.lookups } else { &interval.connects };
            let cell: Text<20> = match (column, phase) {
                (6, _) => Text::format(format_args!("{}", interval.resent)),
                (7.., _) => Text::format(format_args!("{}", interval.skipped)),
                (..6, Some(Summary { p50, p95, max, .. })) => {
                    Text::format(format_args!("{}", [p50, p95, max][column % 3].as_tenths()))
                }
                (..6, None) => Text::format(format_args!("-")),
            };
            write!(f, " | {cell:>width$}")?;
        }
        f.write_str(" | ")?;
        write_causes(f, &interval.causes, shown(&interval.silent))?;
        f.write_char('\n')
    }
}

/// An address to show, if there is one.
pub(super) fn shown(address: &Option<Address>) -> Option<&dyn fmt::Display> {
    address.as_ref().map(|address| address as &dyn fmt::Display)
}

/// Writes each of these causes, which are counted in the order of [`Cause::ALL`], with its count: the most frequent
/// first; of equal ones the first in the list. `silent` is the latest address that was given up.
pub(super) fn write_causes(
    out: &mut dyn Write,
    causes: &[u32; Cause::ALL.len()],
    silent: Option<&dyn fmt::Display>,
) -> fmt::Result {
    let mut rest = *causes;
    let mut before = "";
    loop {
        let (mut most, mut count) = (Cause::ALL[0], 0);
        for cause in Cause::ALL {
            if rest[cause.index()] > count {
                (most, count) = (cause, rest[cause.index()]);
            }
        }
        if count == 0 {
            return out.write_str(if before.is_empty() { "-" } else { "" });
        }
        rest[most.index()] = 0;
        out.write_str(before)?;
        write_cause(out, most, silent)?;
        write!(out, " {count}")?;
        before = "; ";
    }
}

fn write_cause(out: &mut dyn Write, cause: Cause, silent: Option<&dyn fmt::Display>) -> fmt::Result {
    write!(out, "{cause}")?;
    match silent.filter(|_| cause == Cause::Silent) {
        Some(address) => write!(out, " {address}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;
    use crate::base::histogram::COARSE;
    use crate::base::time::Nanos;

    const STAMP: WallTime = WallTime { unix: 1_760_020_200, nanos: 0, offset: 0 };

    const NOTHING: Interval =
        Interval { lookups: None, connects: None, resent: 0, skipped: 0, causes: [0; Cause::ALL.len()], silent: None };

    fn summary(p50: u64, p95: u64, max: u64) -> Option<Summary> {
        let [p50, p95, max] = [p50, p95, max].map(|micros| Nanos::new(micros * 1000));
        Some(Summary { count: 1, p50, p95, p99: max, max })
    }

    fn causes(list: &[(Cause, u32)]) -> [u32; Cause::ALL.len()] {
        let mut causes = [0; Cause::ALL.len()];
        for (cause, count) in list {
            causes[cause.index()] = *count;
        }
        causes
    }

    fn why(list: &[(Cause, u32)], silent: Option<Address>) -> String {
        let mut out = String::new();
        write_causes(&mut out, &causes(list), shown(&silent)).unwrap();
        out
    }

    #[test]
    fn header_and_row_are_those_of_the_manual() {
        let target = Target::new("promotion-api", "api.example.com", 443).unwrap();
        let mut form = Form::new();
        form.fit(&target);
        let interval = Interval {
            lookups: summary(799, 1_999, 12_400),
            connects: summary(11_199, 14_000, 1_012_399),
            resent: 3,
            skipped: 0,
            causes: causes(&[(Cause::SlowByResentSyns, 2), (Cause::ConnectRefused, 8)]),
            silent: None,
        };
        assert_eq!(
            format!("{}{}", form.header(), form.row(STAMP, &target, &interval)),
            "Timestamp           | Service              | Target                |  DNS p50 |  DNS p95 |  DNS max | Conn p50 | Conn p95 | Conn max | SYNs resent | Skipped | Why\n\
             2025-10-09 14:30:00 | promotion-api        | api.example.com:443   |      0.7 |      1.9 |     12.4 |     11.1 |     14.0 |   1012.3 |           3 |       0 | connect refused 8; slow by resent SYNs 2\n"
        );
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let target = Target::new("db", "2001:db8::5", 5432).unwrap();
        assert_eq!(
            Form::new().row(STAMP, &target, &NOTHING).to_string(),
            "2025-10-09 14:30:00 | db                   | [2001:db8::5]:5432    |        - |        - |        - |        - |        - |        - |           0 |       0 | -\n"
        );
    }

    #[test]
    fn a_row_lines_up_with_its_header_whatever_the_widths() {
        let targets = [
            ("s", "h"),
            ("kassa-äöü", "bücher.example"),
            ("a service of more than twenty", "10.0.0.5"),
            ("s", "a.host.name.that.is.wider.than.its.column.example"),
            ("s", "fe80::1%eth0"),
        ]
        .map(|(service, host)| Target::new(service, host, 65_535).unwrap());
        let mut form = Form::new();
        for target in &targets {
            form.fit(target);
            let interval = Interval { lookups: summary(1, 2, 3), connects: summary(0, 0, 99_999_999), ..NOTHING };
            let bars = |line: String| {
                line.chars().enumerate().filter(|(_, c)| *c == '|').map(|(at, _)| at).collect::<Vec<_>>()
            };
            let row = form.row(STAMP, target, &interval).to_string();
            assert_eq!(bars(form.header().to_string()), bars(row.clone()), "{row}");
            assert_eq!(row.split(" | ").nth(2).map(str::trim), Some(target.endpoint().to_string().as_str()));
        }
        assert_eq!(form, Form { service: 29, target: 55 });
    }

    #[test]
    fn the_most_frequent_cause_comes_first_and_equal_ones_in_the_order_of_the_list() {
        assert_eq!(why(&[], None), "-");
        let equal = [(Cause::Silent, 2), (Cause::SlowPath, 2), (Cause::LookupTimedOut, 2), (Cause::ConnectOther, 7)];
        let silent = Some(Address::new(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(why(&equal, silent), "connect other error 7; lookup timed out 2; slow path 2; silent 192.0.2.1 2");
        assert_eq!(why(&[(Cause::Silent, 1), (Cause::SlowLookup, 3)], None), "slow lookup 3; silent 1");
        assert_eq!(
            why(&[(Cause::LookupResolverSilent, 1), (Cause::ConnectHostUnreachable, u32::MAX)], None),
            "connect host unreachable 4294967295; lookup resolver gave no answer 1"
        );
    }

    #[test]
    fn every_cause_is_written_once_whatever_the_counts() {
        let mut random = 1_u64;
        for _ in 0..2000 {
            let counts = Cause::ALL.map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 60) as u32 / 4
            });
            let mut out = String::new();
            write_causes(&mut out, &counts, None).unwrap();
            let mut found = [0; Cause::ALL.len()];
            let mut before = (u32::MAX, 0);
            for part in out.split("; ").filter(|part| *part != "-") {
                let (words, count) = part.rsplit_once(' ').unwrap();
                let cause = Cause::ALL.into_iter().find(|cause| {
                    let mut text = String::new();
                    write_cause(&mut text, *cause, None).unwrap();
                    text == words
                });
                let (index, count) = (cause.unwrap().index(), count.parse().unwrap());
                assert!(count < before.0 || (count == before.0 && index > before.1) || before.0 == u32::MAX, "{out}");
                found[index] = count;
                before = (count, index);
            }
            assert_eq!(found, counts, "{out}");
        }
    }

    #[test]
    fn percentiles_of_the_coarse_histogram_are_never_above_the_longest_time() {
        let longest = Nanos::new(11_010_000);
        let longest_five = |i| if i == COARSE.bucket(longest) { 5 } else { 0 };
        let connects = Summary::of(&longest_five, &COARSE, longest);
        let target = Target::new("s", "10.0.0.5", 1).unwrap();
        let row = Form::new().row(STAMP, &target, &Interval { connects, ..NOTHING }).to_string();
        assert!(row.contains(" |     11.0 |     11.0 |     11.0 | "), "{row}");
    }

    #[test]
    fn the_longest_row_is_within_its_limit() {
        let longest = Nanos::new(u64::MAX);
        let times = Some(Summary { count: 1, p50: longest, p95: longest, p99: longest, max: longest });
        let interval = Interval {
            lookups: times,
            connects: times,
            resent: u32::MAX,
            skipped: u32::MAX,
            causes: [u32::MAX; Cause::ALL.len()],
            silent: Some(Address { ip: IpAddr::from([u16::MAX; 8]), scope: u32::MAX }),
        };
        let mut why = String::new();
        write_causes(&mut why, &interval.causes, shown(&interval.silent)).unwrap();
        assert_eq!(why.len(), limits::TIMES_CAUSES);
        // A cell has the most bytes if its own text has characters of four bytes and another one sets the width.
        let target = |service: &str, host: &str, scope: &str| {
            let mut target = Target::new("s", "fe80::1%d", u16::MAX).unwrap();
            let fill = |unit: &str, bytes: usize| unit.repeat(bytes / unit.len());
            target.service = Text::format(format_args!("{}", fill(service, limits::SERVICE)));
            target.host = Text::format(format_args!("{}", fill(host, limits::HOST)));
            target.scope = Text::format(format_args!("{}", fill(scope, limits::DEVICE)));
            target
        };
        let (plain, wide) = (target("s", "h", "d"), target("𝄞", "𝄞", "𝄞"));
        let mut form = Form::new();
        form.fit(&plain);
        for target in [&plain, &wide] {
            let row = form.row(STAMP, target, &interval).to_string();
            assert!(row.len() <= limits::TIMES_ROW, "{} bytes", row.len());
        }
        assert!(form.row(STAMP, &wide, &interval).to_string().len() > limits::TIMES_ROW * 9 / 10);
        assert!(form.header().to_string().len() <= limits::TIMES_ROW);
    }
}
