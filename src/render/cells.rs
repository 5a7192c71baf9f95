//! Tables for a terminal: columns as wide as their longest cell.

use core::fmt::{self, Write};

use crate::base::words;
use crate::model::target::Target;

/// A column: its least width in characters, and whether its cells are numbers, aligned to the right.
#[derive(Clone, Copy)]
pub struct Column(pub u16, pub bool);

/// A column of words.
pub const WORDS: Column = Column(0, false);

/// A column of dates and times.
pub const MOMENT: Column = Column(19, false);

/// The most columns of a table.
const COLUMNS: usize = 9;

/// Writes the cells that name a target.
#[inline(never)] // Called from three tables.
pub fn write_target(cells: &mut String, target: &Target) -> fmt::Result {
    write!(cells, "{}\t{}\t", target.service, target.endpoint())
}

/// Writes a table. `cells` holds the headings and then the rows, with a tab after each cell. No cell contains a
/// tab, because no text that is shown may contain control characters.
pub fn write(out: &mut dyn Write, columns: &[Column], cells: &str) -> fmt::Result {
    let mut widths = [0; COLUMNS];
    let (mut rest, mut i) = (cells, 0);
    while let Some((cell, others)) = words::split_once(rest, b'\t') {
        let width = cell.chars().count() as u16;
        widths[i] = width.max(widths[i]).max(columns[i].0);
        i = (i + 1) % columns.len();
        rest = others;
    }
    rest = cells;
    while let Some((cell, others)) = words::split_once(rest, b'\t') {
        let (Column(_, is_number), is_last) = (columns[i], i + 1 == columns.len());
        // A last column of words is not padded.
        let width = if is_last && !is_number { 0 } else { usize::from(widths[i]) };
        if is_number {
            write!(out, "{cell:>width$}")?;
        } else {
            write!(out, "{cell:<width$}")?;
        }
        out.write_str(if is_last { "\n" } else { " | " })?;
        i = (i + 1) % columns.len();
        rest = others;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_at_the_left_and_numbers_end_at_the_right() {
        let mut table = String::new();
        let cells = "Name\tms\tResult\ta\t1.000\twell\tkassa-ä\t12\t\t";
        write(&mut table, &[WORDS, Column(5, true), WORDS], cells).expect("a String takes everything");
        let expected = "Name    |    ms | Result\na       | 1.000 | well\nkassa-ä |    12 | \n";
        assert_eq!(table, expected);
    }
}
