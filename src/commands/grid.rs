//! A table for a terminal: columns as wide as what stands in them.

use core::fmt::Write;

/// A column: its least width, and whether what stands in it is a number, which ends at the right.
#[derive(Clone, Copy)]
pub struct Column(pub u16, pub bool);

/// A column of words.
pub const WORDS: Column = Column(0, false);

/// A column of dates and times.
pub const MOMENT: Column = Column(19, false);

/// Writes a table. `cells` are its headings and then its rows, each cell with a tab behind it: as a
/// control character it stands in nothing that is shown.
pub fn write<const N: usize>(out: &mut String, mut columns: [Column; N], cells: &str) {
    write_lines(out, &mut columns, cells);
}

fn write_lines(out: &mut String, columns: &mut [Column], cells: &str) {
    let count = columns.len();
    for (i, cell) in cells.split_terminator('\t').enumerate() {
        let Column(width, _) = &mut columns[i % count];
        *width = (*width).max(cell.chars().count() as u16);
    }
    // Behind the last column nothing has to line up.
    if let Some(Column(width, false)) = columns.last_mut() {
        *width = 0;
    }
    for (i, cell) in cells.split_terminator('\t').enumerate() {
        let Column(width, is_number) = columns[i % count];
        let width = usize::from(width);
        // Writing to a String does not fail.
        let _ = match is_number {
            true => write!(out, "{cell:>width$}"),
            false => write!(out, "{cell:<width$}"),
        };
        out.push_str(if (i + 1) % count == 0 { "\n" } else { " | " });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_at_the_left_and_numbers_end_at_the_right() {
        let mut table = String::new();
        let cells = "Name\tms\tResult\ta\t1.000\twell\tkassa-ä\t12\t\t";
        write(&mut table, [WORDS, Column(5, true), WORDS], cells);
        let expected = "Name    |    ms | Result\na       | 1.000 | well\nkassa-ä |    12 | \n";
        assert_eq!(table, expected);
    }
}
