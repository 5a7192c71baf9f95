//! A table for a terminal: columns as wide as what stands in them.

use core::fmt::Write;

/// A column: its heading, its least width, and whether what stands in it is a number, which ends at
/// the right.
pub struct Column(pub &'static str, pub usize, pub bool);

/// The table with its headings. Each row has a cell for each column.
pub fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let headings: Vec<String> = columns.iter().map(|column| column.0.to_string()).collect();
    let lines = || core::iter::once(&headings).chain(rows);
    let width = |i: usize, least: usize| {
        let cells = lines().filter_map(move |cells| cells.get(i));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(least)
    };
    let widths: Vec<usize> = columns.iter().enumerate().map(|(i, column)| width(i, column.1)).collect();
    let mut table = String::new();
    for cells in lines() {
        for (i, (cell, Column(_, _, is_number))) in cells.iter().zip(columns).enumerate() {
            let (width, bar) = (widths[i], if i > 0 { " | " } else { "" });
            // Writing to a String does not fail.
            let _ = match is_number {
                true => write!(table, "{bar}{cell:>width$}"),
                false if i + 1 == columns.len() => write!(table, "{bar}{cell}"),
                false => write!(table, "{bar}{cell:<width$}"),
            };
        }
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_at_the_left_and_numbers_end_at_the_right() {
        let columns = [Column("Name", 0, false), Column("ms", 5, true), Column("Result", 0, false)];
        let row = |cells: [&str; 3]| cells.map(String::from).to_vec();
        let rows = [row(["a", "1.000", "well"]), row(["kassa-ä", "12", ""])];
        let expected = "Name    |    ms | Result\na       | 1.000 | well\nkassa-ä |    12 | \n";
        assert_eq!(table(&columns, &rows), expected);
    }
}
