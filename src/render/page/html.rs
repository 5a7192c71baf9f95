//! Parts of a page: text that cannot become markup, anchors, tables.

use core::fmt::{self, Write};

use crate::base::{width, words};

/// Appends text.
#[inline(never)] // Called from many paths.
pub fn text(out: &mut String, text: &str) {
    // A String takes everything.
    let _ = Escaped(out).write_str(text);
}

/// Writes text: what would be markup is escaped, and a question mark replaces what no page may contain, and what would turn
/// the text behind it.
pub struct Escaped<'a>(pub &'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            let entity = match c {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                _ => {
                    // Code points that are no characters are errors in HTML.
                    let is_none = u32::from(c) & 0xfffe == 0xfffe || matches!(c, '\u{fdd0}'..='\u{fdef}');
                    self.0.push(if is_none { '?' } else { width::shown(c) });
                    continue;
                }
            };
            self.0.push_str(entity);
        }
        Ok(())
    }
}

/// Writes a name, whose direction does not change that of the text around it.
#[inline(never)] // Called from many paths.
pub fn name(out: &mut String, name: &str) {
    out.push_str("<bdi>");
    text(out, name);
    out.push_str("</bdi>");
}

/// Writes a name, with percent signs for what is neither a letter nor a digit (RFC 3986): it is an `id`, and the same text is
/// the fragment that leads there, because a browser looks for the text as it is first. No anchor has a colon: the page's own
/// ids begin with it.
#[inline(never)] // Called twice.
pub fn anchor(out: &mut String, name: &str) {
    for byte in name.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') {
            out.push(c);
            continue;
        }
        out.push('%');
        for digit in [byte / 16, byte % 16] {
            out.push(char::from_digit(digit.into(), 16).unwrap_or_default().to_ascii_uppercase());
        }
    }
}

/// Writes a name as a link to its anchor.
#[inline(never)] // Called twice.
pub fn link(out: &mut String, to: &str) {
    out.push_str("<a href=\"#");
    anchor(out, to);
    out.push_str("\">");
    name(out, to);
    out.push_str("</a>");
}

/// Begins a table, which scrolls by itself where the page is too narrow. Headings are apart by `|`.
#[inline(never)] // Called for every table.
pub fn begin_table(out: &mut String, class: &str, caption: &str, headings: &str) {
    for part in ["<div class=w><table class=", class, "><caption>", caption, "</caption><thead><tr>"] {
        out.push_str(part);
    }
    let mut rest = headings;
    while !rest.is_empty() {
        let (heading, behind) = words::split_once(rest, b'|').unwrap_or((rest, ""));
        out.push_str("<th scope=col>");
        out.push_str(heading);
        rest = behind;
    }
    out.push_str("<tbody>");
}

/// Ends a table.
pub fn end_table(out: &mut String) {
    out.push_str("</table></div>\n");
}

/// Writes a table of text, if it has a row. Each cell ends with a newline, which no text has that is read from a line of a file.
#[inline(never)] // Called for many tables.
pub fn table(out: &mut String, class: &str, caption: &str, headings: &str, cells: &str) {
    if cells.is_empty() {
        return;
    }
    begin_table(out, class, caption, headings);
    let columns = 1 + headings.bytes().filter(|byte| *byte == b'|').count();
    write_cells(out, columns, cells);
    end_table(out);
}

/// Writes rows with so many cells each.
#[inline(never)] // Called from two paths.
pub fn write_cells(out: &mut String, columns: usize, mut cells: &str) {
    let mut column = 0;
    while let Some((cell, rest)) = words::split_once(cells, b'\n') {
        out.push_str(if column == 0 { "<tr><td>" } else { "<td>" });
        text(out, cell);
        column = if column + 1 < columns { column + 1 } else { 0 };
        cells = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(write: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn no_text_becomes_markup_or_leaves_its_attribute_or_turns_what_is_behind_it() {
        let text = |it: &str| made(|out| text(out, it));
        assert_eq!(text("</script><b a=\"'&amp;\">"), "&lt;/script&gt;&lt;b a=&quot;'&amp;amp;&quot;&gt;");
        assert_eq!(text("a\0b\u{1b}c\u{85}\u{202e}\u{2066}\u{200f}\n"), "a?b?c?????");
        assert_eq!(text("\u{fffe}\u{ffff}\u{1ffff}\u{fdd0}\u{fffd}名ש"), "????\u{fffd}名ש");
        assert_eq!(made(|out| name(out, "<i>")), "<bdi>&lt;i&gt;</bdi>");
    }

    #[test]
    fn an_anchor_has_no_blank_and_no_two_names_have_the_same() {
        let anchor = |name: &str| made(|out| anchor(out, name));
        assert_eq!(anchor("promotion-api_1.example"), "promotion-api_1.example");
        assert_eq!(anchor("a b"), "a%20b");
        assert_eq!(anchor("a%20b"), "a%2520b");
        assert_eq!(anchor("~1\"<#ä名"), "%7E1%22%3C%23%C3%A4%E5%90%8D");
        assert_eq!(made(|out| link(out, "a\"b")), "<a href=\"#a%22b\"><bdi>a&quot;b</bdi></a>");
    }

    #[test]
    fn a_table_names_its_columns_and_itself() {
        assert_eq!(
            made(|out| table(out, "o", "Outages", "Begin|End", "1\n2\n<\n4\n")),
            "<div class=w><table class=o><caption>Outages</caption><thead><tr><th scope=col>Begin<th scope=col>End\
             <tbody><tr><td>1<td>2<tr><td>&lt;<td>4</table></div>\n"
        );
    }
}
