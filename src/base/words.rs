//! Splits a text: into words, at a separator, after a number.
//!
//! The standard library's functions search for patterns of every kind. One of them, used once, is more code
//! than this whole file.

/// The text in these bytes; `None` if they are not UTF-8.
#[inline(never)]
pub fn utf8(bytes: &[u8]) -> Option<&str> {
    // `utf8_chunks` would be half a kilobyte less, but looks at every byte by itself: samples cost a third more with it.
    core::str::from_utf8(bytes).ok()
}

/// Whether a character is a blank: those of the standard library, which has a table for them.
#[inline(never)]
pub fn is_blank(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ' | '\u{85}' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}'
        | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// Removes the first word, up to a blank, from the front of `text` and returns it; the empty text if there is
/// none.
#[inline(never)]
pub fn next_word<'a>(text: &mut &'a str) -> &'a str {
    let all = *text;
    let mut start = all.len();
    for (at, c) in all.char_indices() {
        if !is_blank(c) {
            start = start.min(at);
        } else if start < at {
            *text = &all[at..];
            return &all[start..at];
        }
    }
    *text = "";
    &all[start..]
}

/// A text without the blanks around it.
#[inline(never)]
pub fn trim(text: &str) -> &str {
    let (mut start, mut end) = (text.len(), text.len());
    for (at, c) in text.char_indices() {
        if !is_blank(c) {
            start = start.min(at);
            end = at + c.len_utf8();
        }
    }
    &text[start..end]
}

/// The parts before and after the first `separator`, an ASCII byte.
#[inline(never)]
pub fn split_once(text: &str, separator: u8) -> Option<(&str, &str)> {
    around(text, text.bytes().position(|byte| byte == separator)?)
}

/// The parts before and after the last `separator`, an ASCII byte.
#[inline(never)]
pub fn rsplit_once(text: &str, separator: u8) -> Option<(&str, &str)> {
    around(text, text.bytes().rposition(|byte| byte == separator)?)
}

fn around(text: &str, at: usize) -> Option<(&str, &str)> {
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Whether the text has this ASCII byte.
#[inline(never)]
pub fn contains(text: &str, wanted: u8) -> bool {
    text.bytes().any(|byte| byte == wanted)
}

/// Whether a text has neither control characters nor this ASCII byte.
#[inline(never)]
pub fn is_clean(text: &str, unwanted: u8) -> bool {
    !text.chars().any(|c| c.is_control() || c == char::from(unwanted))
}

/// The number at the front of a text, in decimal digits without a sign, and the rest of the text. `None` if
/// there is no digit or the number does not fit.
#[inline(never)]
pub fn leading_number(text: &str) -> Option<(u64, &str)> {
    let (mut number, mut length) = (0_u64, 0);
    for digit in text.bytes().take_while(u8::is_ascii_digit) {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        length += 1;
    }
    (length > 0).then(|| (number, &text[length..]))
}

/// Reads a text that is a number up to `most`, in decimal digits without a sign.
#[inline(never)]
pub fn number(text: &str, most: u32) -> Option<u32> {
    match leading_number(text)? {
        (number, "") if number <= u64::from(most) => Some(number as u32),
        _ => None,
    }
}

/// The same for a number from 1 on, perhaps with a `+` in front.
#[inline(never)]
pub fn count(text: &str, most: u32) -> Option<u32> {
    number(text.strip_prefix('+').unwrap_or(text), most).filter(|number| *number > 0)
}

/// The known word that was meant by this one: the nearest, with at most two changes, and fewer than half of the letters.
/// `-` is `_`. `word_in` finds the word in an item of the list.
#[inline(never)]
pub fn nearest<'a>(word: &str, known: &[&'a str], word_in: fn(&'a str) -> &'a str) -> Option<&'a str> {
    let mut most = (word.len().saturating_sub(1) / 2).min(2) as i32;
    let mut found = None;
    for candidate in known {
        let candidate = word_in(candidate);
        while is_within(word.as_bytes(), candidate.as_bytes(), most) {
            (found, most) = (Some(candidate), most - 1);
        }
    }
    found
}

/// Whether at most this many changes make `a` into `b`: a letter changed, added or left out, or two neighbours swapped.
pub fn is_within(a: &[u8], b: &[u8], most: i32) -> bool {
    match (a, b) {
        _ if most < 0 => false,
        ([x, rest_a @ ..], [y, rest_b @ ..]) => {
            if x == y || (*x == b'-' && *y == b'_') {
                return is_within(rest_a, rest_b, most);
            }
            if let ([x1, a @ ..], [y1, b @ ..]) = (rest_a, rest_b) {
                if x == y1 && x1 == y && is_within(a, b, most - 1) {
                    return true;
                }
            }
            is_within(rest_a, b, most - 1) || is_within(a, rest_b, most - 1) || is_within(rest_a, rest_b, most - 1)
        }
        // What is left of one of them is added or left out.
        _ => a.len() + b.len() <= most as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_the_one_that_was_meant() {
        let known = ["status", "start", "stop", "target", "slow", "log_dir", "run"];
        for (word, meant) in [
            ("statsu", Some("status")),
            ("stats", Some("status")),
            ("strat", Some("start")),
            ("targt", Some("target")),
            ("traget", Some("target")),
            ("tagrte", Some("target")),
            ("gratte", None),
            ("sotp", Some("stop")),
            ("stp", Some("stop")),
            ("slo", Some("slow")),
            ("Slow", Some("slow")),
            ("log-dir", Some("log_dir")),
            ("logdir", Some("log_dir")),
            ("rn", None),
            ("ru", None),
            ("sl", None),
            ("xxow", None),
            ("statusses", None),
            ("", None),
            ("web", None),
        ] {
            assert_eq!(nearest(word, &known, |word| word), meant, "{word}");
        }
    }

    #[test]
    fn a_text_is_utf8_as_for_the_standard_library() {
        for bytes in
            [&b""[..], b"a", b"\xc3\xa4b", b"a\xc3", b"\xff", b"a\xffb", b"\xed\xa0\x80", b"\xf0\x9f\x8e\xb5", b"\0"]
        {
            assert_eq!(utf8(bytes), core::str::from_utf8(bytes).ok(), "{bytes:?}");
        }
    }

    #[test]
    fn a_count_is_read_as_by_the_standard_library() {
        for text in ["", "+", "-", "0", "-0", "+0", "7", "+7", "++7", "-7", "007", "7 ", " 7", "7x", "65535", "65536"] {
            let expected = text.parse().ok().filter(|number: &u16| *number > 0);
            assert_eq!(count(text, u16::MAX.into()), expected.map(u32::from), "{text:?}");
        }
    }

    #[test]
    fn the_blanks_are_those_of_the_standard_library() {
        for c in '\0'..=char::MAX {
            assert_eq!(is_blank(c), c.is_whitespace(), "{c:?}");
        }
    }

    #[test]
    fn words_come_one_after_the_other_whatever_the_blanks() {
        for text in ["", " ", "a", " a ", "a b", "\t a\u{a0}\u{3000}bä\u{2028} c \r", "ä", "\u{85}x\u{b}y"] {
            let (mut rest, mut words) = (text, Vec::new());
            while let word @ [_, ..] = next_word(&mut rest).as_bytes() {
                words.push(word);
            }
            assert_eq!(words, text.split_whitespace().map(str::as_bytes).collect::<Vec<_>>(), "{text:?}");
            assert_eq!(trim(text), text.trim(), "{text:?}");
        }
        let mut rest = "  a  b c";
        assert_eq!((next_word(&mut rest), rest), ("a", "  b c"));
    }

    #[test]
    fn a_text_is_split_at_the_first_or_the_last_separator() {
        for text in ["", "a", "/", "a/b", "/a/b/", "ä//ö"] {
            assert_eq!(split_once(text, b'/'), text.split_once('/'), "{text}");
            assert_eq!(rsplit_once(text, b'/'), text.rsplit_once('/'), "{text}");
            assert_eq!(contains(text, b'/'), text.contains('/'), "{text}");
        }
    }

    #[test]
    fn a_number_has_only_digits_and_fits() {
        for (text, found) in [
            ("0", Some((0, ""))),
            ("018x", Some((18, "x"))),
            ("18446744073709551615", Some((u64::MAX, ""))),
            ("18446744073709551616", None),
            ("99999999999999999999", None),
            ("", None),
            ("x1", None),
            ("+1", None),
            ("٣", None),
        ] {
            assert_eq!(leading_number(text), found, "{text}");
        }
        assert_eq!((number("255", 255), number("256", 255), number("1 ", 255)), (Some(255), None, None));
    }
}
