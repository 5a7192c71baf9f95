//! A table for a terminal: columns as wide as what stands in them.

use core::fmt::Write;

use super::take;

/// A column: its least width, and whether what stands in it is a number, which ends at the right.
pub struct Column(pub u16, pub bool);

/// A column of words.
pub const WORDS: Column = Column(0, false);

/// A column of dates and times.
pub const MOMENT: Column = Column(19, false);

/// Most columns of a table.
const COLUMNS: usize = 9;

/// Writes a table. `cells` are its headings and then its rows, each cell with a tab behind it: as a
/// control character it stands in nothing that is shown.
pub fn write(out: &mut String, columns: &[Column], cells: &str) {
    let mut widths = [0; COLUMNS];
    let (mut rest, mut i) = (cells, 0);
    while let Some(cell) = take(&mut rest, '\t') {
        let width = cell.chars().count() as u16;
        widths[i] = width.max(widths[i]).max(columns[i].0);
        i = (i + 1) % columns.len();
    }
    rest = cells;
    while let Some(cell) = take(&mut rest, '\t') {
        let (width, is_last) = (usize::from(widths[i]), i + 1 == columns.len());
        // Writing to a String does not fail.
        let _ = match columns[i] {
            Column(_, true) => write!(out, "{cell:>width$}"),
            // Behind the last column nothing has to line up.
            Column(_, false) if is_last => out.write_str(cell),
            Column(_, false) => write!(out, "{cell:<width$}"),
        };
        out.push_str(if is_last { "\n" } else { " | " });
        i = (i + 1) % columns.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_at_the_left_and_numbers_end_at_the_right() {
        let mut table = String::new();
        let cells = "Name\tms\tResult\ta\t1.000\twell\tkassa-ä\t12\t\t";
        write(&mut table, &[WORDS, Column(5, true), WORDS], cells);
        let expected = "Name    |    ms | Result\na       | 1.000 | well\nkassa-ä |    12 | \n";
        assert_eq!(table, expected);
    }
}
