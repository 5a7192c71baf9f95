//! How many columns of a terminal a text takes.
//!
//! The tables come from the Unicode Character Database 18.0: a character of East Asian Width W or F
//! (EastAsianWidth.txt), which includes those with an emoji presentation, takes two columns; a combining or formatting
//! character (Mn, Me, Cf and `Default_Ignorable_Code_Point`) takes none. To keep them small, the second table leaves out
//! scripts that few terminals show: see [`has_table`].

/// Ranges: for each, how many characters lie before it and how many follow its first one. A number has seven bits in a byte;
/// in all bytes but its last the highest bit is set.
static WIDE: [u8; 296] = [
    162, 0, 95, 140, 68, 0, 150, 117, 1, 13, 1, 129, 62, 3, 3, 0, 2, 0, 132, 9, 1, 21, 1, 26, 7, 16, 11, 43, 0, 10, 5,
    3, 0, 13, 0, 8, 1, 17, 1, 5, 1, 8, 0, 5, 0, 21, 0, 7, 1, 1, 0, 4, 0, 2, 0, 7, 0, 4, 1, 28, 0, 35, 0, 1, 0, 4, 2, 1,
    0, 61, 2, 24, 0, 14, 0, 134, 91, 1, 51, 0, 4, 0, 134, 42, 25, 1, 88, 12, 129, 85, 26, 57, 6, 14, 2, 85, 4, 100, 5,
    42, 1, 50, 1, 41, 1, 85, 9, 47, 1, 39, 8, 129, 228, 60, 3, 54, 137, 25, 28, 133, 3, 215, 35, 194, 92, 131, 127,
    134, 16, 9, 22, 34, 1, 18, 1, 3, 129, 21, 95, 127, 6, 129, 223, 121, 3, 14, 4, 9, 185, 90, 36, 33, 95, 114, 13,
    135, 17, 14, 50, 188, 29, 3, 1, 6, 1, 1, 1, 130, 40, 9, 0, 29, 2, 2, 0, 14, 4, 7, 131, 11, 192, 4, 86, 9, 22, 185,
    13, 0, 129, 74, 0, 129, 62, 0, 2, 9, 19, 0, 81, 2, 13, 43, 4, 8, 7, 1, 14, 5, 129, 26, 32, 12, 8, 1, 69, 1, 21, 12,
    42, 4, 4, 12, 16, 3, 0, 3, 70, 1, 0, 1, 129, 58, 2, 62, 13, 3, 1, 23, 18, 0, 26, 1, 13, 0, 86, 84, 48, 69, 6, 0, 3,
    2, 2, 4, 2, 3, 11, 1, 7, 8, 129, 93, 0, 5, 11, 4, 0, 130, 27, 46, 1, 9, 1, 129, 56, 112, 12, 3, 70, 1, 0, 3, 17, 1,
    12, 3, 11, 138, 5, 131, 255, 125, 2, 131, 255, 125,
];

/// See [`WIDE`].
static ZERO: [u8; 117] = [
    129, 45, 0, 132, 82, 111, 130, 19, 6, 130, 7, 44, 1, 0, 1, 1, 1, 1, 1, 2, 59, 0, 10, 10, 1, 0, 46, 20, 16, 0, 101,
    6, 2, 5, 2, 1, 1, 3, 132, 18, 2, 55, 0, 1, 0, 4, 7, 4, 0, 3, 6, 10, 1, 137, 77, 0, 2, 6, 12, 7, 134, 17, 129, 31,
    145, 48, 64, 133, 79, 63, 132, 11, 4, 26, 4, 49, 15, 96, 32, 151, 126, 2, 129, 110, 31, 132, 42, 5, 105, 1, 130,
    206, 21, 22, 4, 48, 198, 34, 0, 133, 97, 15, 16, 15, 129, 79, 0, 129, 32, 0, 79, 8, 180, 128, 7, 159, 127,
];

/// Whether [`ZERO`] knows the characters around this one.
#[cfg(test)]
fn has_table(c: char) -> bool {
    !matches!(c, '\u{700}'..='\u{8ff}' | '\u{980}'..='\u{dff}' | '\u{e80}'..='\u{10ff}' | '\u{1200}'..='\u{1aaf}'
        | '\u{1b00}'..='\u{1dbf}' | '\u{3100}'..='\u{d7af}' | '\u{10000}'..='\u{1efff}')
}

fn has(ranges: &[u8], c: char) -> bool {
    let (mut end, mut number, mut is_first, mut start) = (0, 0, true, 0);
    for byte in ranges {
        number = (number << 7) | u32::from(byte & 0x7f);
        if *byte > 0x7f {
            continue;
        }
        if is_first {
            start = end + number;
        } else {
            end = start + number + 1;
            if u32::from(c) < end {
                return u32::from(c) >= start;
            }
        }
        (is_first, number) = (!is_first, 0);
    }
    false
}

/// How many columns this character takes: 0, 1 or 2.
#[inline(never)]
pub fn of(c: char) -> usize {
    match c {
        ' '..='~' => 1,
        _ if has(&WIDE, c) => 2,
        _ if has(&ZERO, c) => 0,
        _ => 1,
    }
}

/// How many columns this text takes when each character is replaced by [`shown`].
#[inline(never)]
pub fn width(text: &str) -> usize {
    text.chars().map(|c| of(shown(c))).sum()
}

/// The character, or `?` in place of one that a terminal would obey: a control character, or one that changes the direction
/// of the text behind it (UAX #9).
pub fn shown(c: char) -> char {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if turns || c.is_control() { '?' } else { c }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthChar;

    use super::*;

    #[test]
    fn every_character_is_as_wide_as_the_crate_unicode_width_says() {
        let mut compared = 0;
        for c in '\0'..=char::MAX {
            let expected = c.width().filter(|width| has_table(c) || *width == 2);
            if let Some(expected) = expected {
                assert_eq!(of(c), expected, "{:x}", u32::from(c));
                compared += 1;
            }
        }
        assert!(compared > 900_000, "{compared}");
    }

    #[test]
    fn a_text_is_as_wide_as_its_characters() {
        for (text, columns) in [
            ("", 0),
            ("kassa-ä", 7),
            ("kassa-a\u{308}", 7),
            ("決済", 4),
            ("ｗｅｂ", 6),
            ("🚀 web", 6),
            ("한글", 4),
            ("a\u{200b}b\u{fe0f}", 2),
            ("שלום", 4),
        ] {
            assert_eq!(width(text), columns, "{text}");
        }
    }

    #[test]
    fn what_would_turn_or_move_the_text_behind_it_is_a_question_mark() {
        let text: String = "a\u{202e}b\u{2066}c\u{7}\u{9b}\u{200f}\u{2028}ש".chars().map(shown).collect();
        assert_eq!((text.as_str(), width("\u{202e}")), ("a?b?c????ש", 1));
    }
}
