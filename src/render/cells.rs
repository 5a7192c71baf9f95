//! Tables for a terminal: columns as wide as their longest cell, or as the terminal lets them be.

use core::fmt::{self, Write};

use crate::base::{width, words};
use crate::model::target::Target;

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Words, which are never shortened.
    Words,
    /// Numbers, which end at the right.
    Number,
    /// Names, which differ at either end: they are shortened in the middle.
    Name,
    /// Text, which is shortened at its end.
    Text,
}

/// A column: its least width, and what its cells are.
#[derive(Clone, Copy, Debug)]
pub struct Column(pub u8, pub Kind);

/// A column of words.
pub const WORDS: Column = Column(0, Kind::Words);

/// A column of dates and times.
pub const MOMENT: Column = Column(19, Kind::Words);

/// The most columns of a table.
const COLUMNS: usize = 10;

/// The least width to which a column is shortened.
const LEAST: usize = 8;

/// How a table is written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// What is between two columns.
    pub gap: &'static str,
    /// How many columns the terminal has. A table is shortened to that.
    pub columns: usize,
    /// The columns that are not shown, a bit for each.
    pub hidden: u16,
}

/// The style of tables that are as wide as they have to be.
pub const WHOLE: Style = Style { gap: " | ", columns: usize::MAX, hidden: 0 };

/// Writes the cells that name a target.
#[inline(never)] // Called from many tables.
pub fn write_target(cells: &mut String, target: &Target) {
    put(cells, format_args!("{}\t{}\t", target.service, target.endpoint()));
}

/// Appends formatted parts.
#[inline(never)] // Called from many paths.
pub fn put(out: &mut String, parts: fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = out.write_fmt(parts);
}

/// Writes a table. `cells` holds the headings and then the rows, with a tab after each cell. No cell contains a
/// tab, because no text that is shown may contain control characters.
#[inline(never)] // Called for many tables.
pub fn write(out: &mut String, columns: &[Column], cells: &str, style: Style) {
    let mut widths = [0; COLUMNS];
    for_each_cell(cells, columns.len(), &mut |i, cell| {
        widths[i] = width::width(cell).max(widths[i]).max(columns[i].0.into());
    });
    let (mut hidden, mut last) = (style.hidden, 0);
    loop {
        let (mut all, mut widest) = (0, None);
        for i in (0..columns.len()).filter(|i| (hidden >> i) & 1 == 0) {
            all += if all > 0 { style.gap.len() } else { 0 } + widths[i];
            last = i;
            let can_shrink = matches!(columns[i].1, Kind::Name | Kind::Text) && widths[i] > LEAST;
            if can_shrink && widest.is_none_or(|widest| widths[i] > widths[widest]) {
                widest = Some(i);
            }
        }
        if all <= style.columns || last == 0 {
            break;
        }
        match widest {
            Some(widest) => widths[widest] -= 1,
            None => hidden |= 1 << last,
        }
    }
    for_each_cell(cells, columns.len(), &mut |i, cell| {
        if (hidden >> i) & 1 == 1 {
            return;
        }
        let (kind, is_last) = (columns[i].1, i == last);
        if kind == Kind::Number {
            pad(out, widths[i].saturating_sub(width::width(cell)));
        }
        // The last cell of a table that is not shortened may have more lines.
        let room = if style.columns == usize::MAX { usize::MAX } else { widths[i] };
        let written = write_shortened(out, cell, room, kind == Kind::Name);
        // The last column is not padded.
        if kind != Kind::Number && !is_last {
            pad(out, widths[i].saturating_sub(written));
        }
        out.push_str(if is_last { "\n" } else { style.gap });
    });
}

fn pad(out: &mut String, columns: usize) {
    for _ in 0..columns {
        out.push(' ');
    }
}

/// Calls `tell` with each cell and the number of its column.
fn for_each_cell(mut cells: &str, columns: usize, tell: &mut dyn FnMut(usize, &str)) {
    let mut i = 0;
    while let Some((cell, rest)) = words::split_once(cells, b'\t') {
        tell(i, cell);
        i = if i + 1 < columns { i + 1 } else { 0 };
        cells = rest;
    }
}

/// Writes a text that takes at most so many columns, at least two of them. `..` replaces what does not fit: its end, or its
/// middle.
#[inline(never)]
pub fn write_shortened(out: &mut String, text: &str, columns: usize, in_middle: bool) -> usize {
    let all = width::width(text);
    let (mut head, mut tail) = (columns, 0);
    if all > columns {
        let left = columns.saturating_sub(2);
        tail = if in_middle { left / 2 } else { 0 };
        head = left - tail;
    }
    let (mut passed, mut written, mut is_cut) = (0, 0, false);
    for c in text.chars() {
        let c = if c == '\n' { c } else { width::shown(c) };
        let before = passed;
        passed += width::of(c);
        if passed <= head || (tail > 0 && before + tail >= all) {
            out.push(c);
            written += width::of(c);
        } else if !core::mem::replace(&mut is_cut, true) {
            out.push_str("..");
            written += 2;
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: Column = Column(5, Kind::Number);

    fn table(columns: &[Column], cells: &str, style: Style) -> String {
        let mut table = String::new();
        write(&mut table, columns, cells, style);
        table
    }

    #[test]
    fn words_begin_at_the_left_and_numbers_end_at_the_right() {
        let cells = "Name\tms\tResult\ta\t1.000\twell\tkassa-ä\t12\t\t";
        let expected = "Name    |    ms | Result\na       | 1.000 | well\nkassa-ä |    12 | \n";
        assert_eq!(table(&[WORDS, NUMBER, WORDS], cells, WHOLE), expected);
    }

    #[test]
    fn columns_line_up_by_what_a_terminal_shows() {
        let cells = "Name\tms\t決済\t1.0\ta\u{308}🚀\t12.5\tx\u{202e}y\t7\t";
        let expected = "Name |    ms\n決済 |   1.0\na\u{308}🚀  |  12.5\nx?y  |     7\n";
        assert_eq!(table(&[WORDS, NUMBER], cells, WHOLE), expected);
    }

    #[test]
    fn the_widest_columns_are_shortened_and_the_last_ones_left_out_where_that_is_not_enough() {
        let columns = [WORDS, Column(0, Kind::Name), NUMBER, Column(0, Kind::Text)];
        let cells = "up\tpromotion-api-production-1\t1.0\t3m ago refused 192.0.2.17\t";
        let at =
            |columns_of_terminal| table(&columns, cells, Style { gap: "  ", columns: columns_of_terminal, hidden: 0 });
        assert_eq!(at(80), "up  promotion-api-production-1    1.0  3m ago refused 192.0.2.17\n");
        assert_eq!(at(40), "up  promot..ion-1    1.0  3m ago refus..\n");
        assert_eq!(at(29), "up  pro..n-1    1.0  3m ago..\n");
        assert_eq!(at(28), "up  pro..n-1    1.0\n");
        assert_eq!(at(9), "up\n");
        assert_eq!(at(1), "up\n");
    }

    #[test]
    fn a_shortened_name_of_wide_characters_is_padded_where_half_of_one_is_left_out() {
        let cells = "promotion-api-production\t1.0\t名名名名名名名名名名名名\t2.0\t";
        let columns = [Column(0, Kind::Name), NUMBER];
        for terminal in 20..34 {
            let table = table(&columns, cells, Style { gap: "  ", columns: terminal, hidden: 0 });
            assert!(table.lines().all(|line| width::width(line) <= terminal), "{table}");
            let widths: Vec<usize> = table.lines().map(width::width).collect();
            assert_eq!(widths[0], widths[1], "{table}");
        }
    }

    #[test]
    fn a_name_keeps_both_ends_and_no_wide_character_is_split() {
        let short = |text: &str, columns, in_middle| {
            let mut out = String::new();
            write_shortened(&mut out, text, columns, in_middle);
            out
        };
        assert_eq!(short("web-frontend-1", 10, true), "web-..nd-1");
        assert_eq!(short("web-frontend-1", 10, false), "web-fron..");
        assert_eq!(short("web-frontend-1", 14, true), "web-frontend-1");
        // A half of a wide character has no place: one column stays free.
        assert_eq!(short("決済決済決済", 10, true), "決済..決済");
        assert_eq!(short("決済決済決済", 9, true), "決済..済");
        assert_eq!(short("決済決済決済", 8, false), "決済決..");
    }

    #[test]
    fn a_hidden_column_takes_no_space() {
        let style = Style { gap: "  ", columns: 80, hidden: 0b10 };
        assert_eq!(table(&[WORDS, WORDS, NUMBER], "State\tX\tY\tup\twide\t1\t", style), "State      Y\nup         1\n");
    }
}
