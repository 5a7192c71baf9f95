//! The form of the daily log: header and rows, byte for byte as the original writes them. One heading has
//! one space more, because it did not line up there.

use core::fmt::{self, Write};

use crate::base::text::Text;
use crate::base::time::WallTime;
use crate::core::ledger::Ledger;
use crate::model::outcome::{Columns, Thresholds};

/// Widths of the seven columns of numbers.
const NUMBERS: [u16; 7] = [7, 8, 6, 8, 7, 10, 5];
const STAMP: usize = 19;
const SERVICE: usize = 20;

/// The widths of the columns and their headings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    thresholds: Thresholds,
    service: u16,
    /// The widths of the columns of numbers.
    widths: [u16; 7],
}

impl Form {
    /// The form for services of at most `longest` characters. The headings name the thresholds; a heading
    /// that is wider than its column widens the column.
    pub fn new(thresholds: Thresholds, longest: usize) -> Self {
        let mut widths = NUMBERS;
        for (column, width) in widths.iter_mut().enumerate() {
            *width = heading(&thresholds, column).as_str().len().max(usize::from(*width)) as u16;
        }
        Self { thresholds, service: longest.max(SERVICE) as u16, widths }
    }

    /// The form for a report of this ledger's counts.
    pub fn of(ledger: &Ledger) -> Self {
        Self::new(ledger.thresholds(), ledger.longest_service())
    }

    /// The header line, with its newline.
    pub fn header(&self) -> Header<'_> {
        Header(self)
    }

    /// A row, with its newline.
    pub fn row<'a>(&'a self, stamp: WallTime, service: &'a str, columns: &'a Columns) -> Row<'a> {
        Row { form: self, stamp, service, columns }
    }

    /// Writes a whole report: a header if `headed`, and a row for each of `rows`.
    pub fn write(
        &self,
        out: &mut dyn Write,
        headed: bool,
        stamp: WallTime,
        rows: &mut dyn Iterator<Item = (&str, Columns)>,
    ) -> fmt::Result {
        if headed {
            write!(out, "{}", self.header())?;
        }
        for (service, columns) in rows {
            write!(out, "{}", self.row(stamp, service, &columns))?;
        }
        Ok(())
    }

    /// A line of the table; without numbers, the header.
    fn line(
        &self,
        f: &mut fmt::Formatter<'_>,
        stamp: &dyn fmt::Display,
        service: &str,
        numbers: Option<[u64; 7]>,
    ) -> fmt::Result {
        write!(f, "{stamp:<STAMP$} | {service:<width$}", width = self.service.into())?;
        for column in 0..7 {
            let cell = match numbers {
                Some(numbers) => Text::format(format_args!("{}", numbers[column])),
                None => heading(&self.thresholds, column),
            };
            write!(f, " | {cell:>width$}", width = self.widths[column].into())?;
        }
        f.write_char('\n')
    }
}

/// `Conn<1s`, `Conn1-5s`, `DNS<1s`, `DNS1-5s`, `DNSFail`, `ConnFailed`, `Total`.
pub(super) fn heading(thresholds: &Thresholds, column: usize) -> Text<32> {
    let (slow, timeout) = (thresholds.slow.as_seconds(), thresholds.timeout.as_seconds());
    match column {
        0 => Text::format(format_args!("Conn<{slow}s")),
        1 => Text::format(format_args!("Conn{slow}-{timeout}s")),
        2 => Text::format(format_args!("DNS<{slow}s")),
        3 => Text::format(format_args!("DNS{slow}-{timeout}s")),
        4 => Text::format(format_args!("DNSFail")),
        5 => Text::format(format_args!("ConnFailed")),
        _ => Text::format(format_args!("Total")),
    }
}

/// See [`Form::header`].
pub struct Header<'a>(&'a Form);

impl fmt::Display for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.line(f, &"Timestamp", "Service", None)
    }
}

/// See [`Form::row`].
pub struct Row<'a> {
    form: &'a Form,
    stamp: WallTime,
    service: &'a str,
    columns: &'a Columns,
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.form.line(f, &self.stamp, self.service, Some(self.columns.numbers()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Nanos;

    fn form(slow: u64, timeout: u64, longest: usize) -> Form {
        let thresholds = Thresholds { slow: Nanos::from_millis(slow), timeout: Nanos::from_millis(timeout) };
        Form::new(thresholds, longest)
    }

    const STAMP: WallTime = WallTime { unix: 1_760_020_200, nanos: 0, offset: 0 };

    fn columns(n: [u64; 7]) -> Columns {
        let [conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total] = n;
        Columns { conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total }
    }

    #[test]
    fn the_rows_of_the_original_are_rebuilt_byte_for_byte() {
        let form = form(1000, 5000, 5);
        let row = |service, n| form.row(STAMP, service, &columns(n)).to_string();
        assert_eq!(
            row("promotion-api", [120, 15, 135, 0, 0, 8, 143]),
            "2025-10-09 14:30:00 | promotion-api        |     120 |       15 |    135 |        0 |       0 |          8 |   143\n"
        );
        assert_eq!(
            row("total-commander-api", [98, 45, 140, 3, 0, 0, 143]),
            "2025-10-09 14:30:00 | total-commander-api  |      98 |       45 |    140 |        3 |       0 |          0 |   143\n"
        );
        assert_eq!(
            row("monokkeli", [140, 3, 143, 0, 0, 0, 143]),
            "2025-10-09 14:30:00 | monokkeli            |     140 |        3 |    143 |        0 |       0 |          0 |   143\n"
        );
    }

    #[test]
    fn the_header_is_the_originals_with_one_space_more() {
        assert_eq!(
            form(1000, 5000, 5).header().to_string(),
            "Timestamp           | Service              | Conn<1s | Conn1-5s | DNS<1s |  DNS1-5s | DNSFail | ConnFailed | Total\n"
        );
    }

    #[test]
    fn the_headings_name_the_thresholds_in_force() {
        assert_eq!(
            form(1000, 3000, 5).header().to_string(),
            "Timestamp           | Service              | Conn<1s | Conn1-3s | DNS<1s |  DNS1-3s | DNSFail | ConnFailed | Total\n"
        );
        assert_eq!(
            form(250, 2500, 5).header().to_string(),
            "Timestamp           | Service              | Conn<0.25s | Conn0.25-2.5s | DNS<0.25s | DNS0.25-2.5s | DNSFail | ConnFailed | Total\n"
        );
    }

    #[test]
    fn a_row_lines_up_with_its_header_whatever_the_widths() {
        for form in [form(1000, 5000, 5), form(1000, 5000, 33), form(250, 2500, 5), form(1500, 600_000, 64)] {
            let bars =
                |line: String| line.char_indices().filter(|(_, c)| *c == '|').map(|(at, _)| at).collect::<Vec<_>>();
            let row = form.row(STAMP, "service", &columns([1; 7])).to_string();
            assert_eq!(bars(form.header().to_string()), bars(row));
        }
    }

    #[test]
    fn a_service_is_padded_by_characters_and_a_large_number_is_whole() {
        let row = form(1000, 5000, 5).row(STAMP, "äö", &columns([u64::from(u32::MAX); 7])).to_string();
        assert!(row.starts_with("2025-10-09 14:30:00 | äö                   | 4294967295 | 4294967295 | "), "{row}");
    }
}
