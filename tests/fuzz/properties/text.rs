//! Durations, dates and texts of a fixed length, each compared with a simpler implementation.

use std::fmt::Write;

use tcpmon::base::text::Text;
use tcpmon::base::time::{Nanos, WallTime};

use super::{Bytes, text_of};

/// All properties, each with the same input.
pub fn holds(input: &[u8]) {
    a_duration_reads_as_it_is_shown(text_of(input));
    a_length_is_shown_exactly(Bytes(input));
    a_date_is_the_calendars(Bytes(input));
    a_text_is_the_start_of_what_was_written(Bytes(input));
}

fn a_duration_reads_as_it_is_shown(text: &str) {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    };
    let number = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let number = number.and_then(|digits| digits.parse::<u64>().ok());
    let expected = number.zip(unit).and_then(|(number, unit): (_, u64)| number.checked_mul(unit)).map(Nanos::new);
    assert_eq!(Nanos::parse(text), expected, "{text:?}");
    if let Some(nanos) = expected {
        assert_eq!(Nanos::parse(&nanos.to_string()), Some(nanos), "{nanos}");
    }
}

fn a_length_is_shown_exactly(mut bytes: Bytes<'_>) {
    let n = u64::from_le_bytes(bytes.array());
    let seconds = Nanos::new(n).as_seconds().to_string();
    let (whole, fraction) = seconds.split_once('.').unwrap_or((&seconds, ""));
    assert!(!fraction.ends_with('0') && (fraction.is_empty() == (n % 1_000_000_000 == 0)), "{n}: {seconds}");
    assert_eq!(format!("{whole}{fraction:0<9}").parse(), Ok(n), "{seconds}");
    let millis = Nanos::new(n).as_millis().to_string();
    assert_eq!(millis.replace('.', "").parse(), Ok(n / 1000), "{millis}");
    assert_eq!(millis.split_once('.').map(|(_, decimals)| decimals.len()), Some(3), "{millis}");
}

fn a_date_is_the_calendars(mut bytes: Bytes<'_>) {
    // About 35,000 years before and after 1970, and any time zone.
    let unix = i64::from_le_bytes(bytes.array()) >> 23;
    let offset = i32::from(i16::from_le_bytes(bytes.array())) * 2;
    let wall = WallTime { unix, nanos: 0, offset };
    let civil = wall.civil();
    assert!((1..=12).contains(&civil.month) && civil.hour < 24 && civil.minute < 60 && civil.second < 60, "{wall}");
    let is_leap = civil.year % 4 == 0 && (civil.year % 100 != 0 || civil.year % 400 == 0);
    let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::from(civil.month);
    assert!((1..=lengths[month - 1]).contains(&i64::from(civil.day)), "{wall}");
    let before = civil.year - 1;
    let years = before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
    // 719,162 days from 0001-01-01 to 1970-01-01.
    let days = years + lengths[..month - 1].iter().sum::<i64>() + i64::from(civil.day) - 1 - 719_162;
    let second = i64::from(civil.hour) * 3600 + i64::from(civil.minute) * 60 + i64::from(civil.second);
    assert_eq!(days * 86_400 + second, unix + i64::from(offset), "{wall}");
    assert_eq!(i64::from(wall.second_of_day()), second, "{wall}");
}

fn a_text_is_the_start_of_what_was_written(mut bytes: Bytes<'_>) {
    let mut all = String::new();
    let mut text = Text::<16>::new();
    while !bytes.is_empty() {
        let length = usize::from(bytes.byte() % 24);
        let piece = text_of(bytes.slice(length));
        all.push_str(piece);
        assert_eq!(text.write_str(piece), Ok(()));
        assert!(all.starts_with(text.as_str()), "{text:?} of {all:?}");
        assert_eq!(Text::<16>::copy(&all).is_some(), all.len() <= 16);
        assert_eq!(Text::copy(&all).is_some_and(|copy| copy == text), all.len() <= 16);
        // After a cut at most three bytes are unused: the next character may have four.
        assert!(text.as_str().len() >= all.len().min(13), "{text:?} of {all:?}");
        assert_eq!(text.is_empty(), text.as_str().is_empty());
    }
}
