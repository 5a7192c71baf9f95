//! The daily log's form: the header and the rows, byte for byte as the original has them, but for
//! a heading that stood one column askew there.

use core::fmt::{self, Write};

use crate::tally::{Columns, Thresholds};
use crate::text::Text;
use crate::time::WallTime;

/// Widths of the seven columns of numbers.
const NUMBERS: [usize; 7] = [7, 8, 6, 8, 7, 10, 5];
const STAMP: usize = 19;
const SERVICE: usize = 20;

/// How wide the columns are, and what stands above them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    service: usize,
    /// `Conn<1s`, `Conn1-5s`, `DNS<1s`, `DNS1-5s`, `DNSFail`, `ConnFailed`, `Total`.
    headings: [Text<32>; 7],
}

impl Form {
    /// The form for services of which the longest has `longest` characters. The headings name
    /// the thresholds; one that is wider than its column widens it.
    pub fn new(thresholds: Thresholds, longest: usize) -> Self {
        let slow = thresholds.slow.as_seconds();
        let timeout = thresholds.timeout.as_seconds();
        Self {
            service: longest.max(SERVICE),
            headings: [
                Text::format(format_args!("Conn<{slow}s")),
                Text::format(format_args!("Conn{slow}-{timeout}s")),
                Text::format(format_args!("DNS<{slow}s")),
                Text::format(format_args!("DNS{slow}-{timeout}s")),
                Text::format(format_args!("DNSFail")),
                Text::format(format_args!("ConnFailed")),
                Text::format(format_args!("Total")),
            ],
        }
    }

    /// The line above the rows, with its newline.
    pub fn header(&self) -> Header<'_> {
        Header(self)
    }

    /// One row, with its newline.
    pub fn row<'a>(&'a self, stamp: WallTime, service: &'a str, columns: Columns) -> Row<'a> {
        Row { form: self, stamp, service, columns }
    }

    /// Writes a whole report: a header, if it is to have one, and a row for each of `rows`.
    pub fn write<S: AsRef<str>>(
        &self,
        report: &mut String,
        headed: bool,
        stamp: WallTime,
        rows: impl Iterator<Item = (S, Columns)>,
    ) {
        // Writing to a String does not fail.
        if headed {
            let _ = write!(report, "{}", self.header());
        }
        for (service, columns) in rows {
            let _ = write!(report, "{}", self.row(stamp, service.as_ref(), columns));
        }
    }

    fn width(&self, column: usize) -> usize {
        NUMBERS[column].max(self.headings[column].as_str().len())
    }
}

/// See [`Form::header`].
pub struct Header<'a>(&'a Form);

impl fmt::Display for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = self.0;
        write!(f, "{:<STAMP$} | {:<service$}", "Timestamp", "Service", service = form.service)?;
        for (column, heading) in form.headings.iter().enumerate() {
            write!(f, " | {heading:>width$}", width = form.width(column))?;
        }
        f.write_char('\n')
    }
}

/// See [`Form::row`].
pub struct Row<'a> {
    form: &'a Form,
    stamp: WallTime,
    service: &'a str,
    columns: Columns,
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Columns { conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total } = self.columns;
        write!(f, "{} | {:<service$}", self.stamp, self.service, service = self.form.service)?;
        let numbers = [conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total];
        for (column, number) in numbers.into_iter().enumerate() {
            write!(f, " | {number:>width$}", width = self.form.width(column))?;
        }
        f.write_char('\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Nanos;

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
        let row = |service, n| form.row(STAMP, service, columns(n)).to_string();
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
            let row = form.row(STAMP, "service", columns([1; 7])).to_string();
            assert_eq!(bars(form.header().to_string()), bars(row));
        }
    }

    #[test]
    fn a_service_is_padded_by_characters_and_a_large_number_is_whole() {
        let row = form(1000, 5000, 5).row(STAMP, "äö", columns([u64::from(u32::MAX); 7])).to_string();
        assert!(row.starts_with("2025-10-09 14:30:00 | äö                   | 4294967295 | 4294967295 | "), "{row}");
    }
}
