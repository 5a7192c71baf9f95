//! Local times as people and files write them, and the moments that they name.

use super::time::{Nanos, SECS_PER_DAY, WallTime};
use super::words;

/// Reads `2025-10-09`, `2025-10-09T03:12` or `2025-10-09T03:12:00`, with a blank for the `T`, too: seconds since 1970 as a
/// clock shows them that has this time. `None` for anything else.
pub fn parse_civil(text: &str) -> Option<i64> {
    let text = text.as_bytes();
    let form = b"0000-00-00T00:00:00";
    let mut numbers = [0_i64; 6];
    let mut number = 0;
    for (byte, expected) in text.iter().zip(form) {
        match (byte, expected) {
            (b'0'..=b'9', b'0') => numbers[number] = numbers[number] * 10 + i64::from(byte - b'0'),
            (b' ', b'T') => number += 1,
            _ if byte == expected && *byte != b'0' => number += 1,
            _ => return None,
        }
    }
    let [year, month, day, hour, minute, second] = numbers;
    let is_time = matches!(text.len(), 10 | 16 | 19) && hour < 24 && minute < 60 && second < 60;
    let day = WallTime::day_of(year, month as u8, day as u8).filter(|_| is_time)?;
    Some(day * SECS_PER_DAY + hour * 3600 + minute * 60 + second)
}

/// Reads a length as [`Nanos::parse`] does, or as days: `14d`.
pub fn parse_days(text: &str) -> Option<Nanos> {
    match words::leading_number(text)? {
        (days, "d") => days.checked_mul(Nanos::from_secs(SECS_PER_DAY as u64).get()).map(Nanos::new),
        _ => Nanos::parse(text),
    }
}

/// The time zone: a function from a second since 1970 to local time.
pub type LocalTime = fn(i64) -> WallTime;

/// Finds the moments that local times name. It keeps the offsets of the day that it was asked last, because one day's
/// times come in a row.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    local: LocalTime,
    day: i64,
    /// The offsets before and after that day.
    offsets: [i64; 2],
}

impl Calendar {
    /// For this time zone.
    pub fn new(local: LocalTime) -> Self {
        Self { local, day: i64::MIN, offsets: [0; 2] }
    }

    /// The second since 1970 at which a clock shows `civil`, as [`parse_civil`] has it. A time that is there twice, when
    /// summer time ends, is the first one from `after` on. For a time that is not there, when it begins, it is as if the
    /// clock had not been set forward yet.
    pub fn unix(&mut self, civil: i64, after: i64) -> i64 {
        let day = civil.div_euclid(SECS_PER_DAY);
        if day != self.day {
            self.day = day;
            self.offsets = [-1, 2].map(|other| (self.local)((day + other) * SECS_PER_DAY).offset.into());
        }
        let [early, late] = self.offsets.map(|offset| civil - offset);
        if early == late {
            return early;
        }
        let fits = |unix: i64| unix + i64::from((self.local)(unix).offset) == civil;
        let (first, second) = (early.min(late), early.max(late));
        match (fits(first), fits(second)) {
            (true, true) => {
                if first >= after {
                    first
                } else {
                    second
                }
            }
            (true, false) => first,
            (false, true) => second,
            (false, false) => early,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_civil_time_is_read_in_three_forms_and_no_other() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2025-10-09T14:30:00", 1_760_020_200),
            ("2025-10-09 14:30:00", 1_760_020_200),
            ("2025-10-09T14:30", 1_760_020_200),
            ("2024-02-29T23:59:59", 1_709_251_199),
        ] {
            assert_eq!(parse_civil(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "2025",
            "2025-10",
            "2025-10-9",
            "2025-10-09T",
            "2025-10-09T14",
            "2025-10-09T14:3",
            "2025-10-09T24:00",
            "2025-10-09T14:60",
            "2025-10-09T14:30:60",
            "2025-10-09T14:30:00x",
            "2025-13-01",
            "2025-02-29",
            "0025x10-09",
            "2025/10/09",
            "+025-10-09",
            "2025-10-09x14:30",
            "２025-10-09",
        ] {
            assert_eq!(parse_civil(text), None, "{text}");
        }
        assert_eq!(parse_days("14d"), Some(Nanos::from_secs(14 * 86_400)));
        assert_eq!((parse_days("90m"), parse_days("d"), parse_days("1w")), (Some(Nanos::from_secs(5400)), None, None));
    }

    /// Central European time in 2025: summer time from 2025-03-30T01:00Z to 2025-10-26T01:00Z.
    fn berlin(unix: i64) -> WallTime {
        let is_summer = (1_743_296_400..1_761_440_400).contains(&unix);
        WallTime { unix, nanos: 0, offset: if is_summer { 7200 } else { 3600 } }
    }

    #[test]
    fn a_local_time_is_found_again_also_in_the_hour_that_is_there_twice() {
        let mut calendar = Calendar::new(berlin);
        let mut before = 0;
        for from in [1_743_200_000, 1_761_300_000, 1_750_000_000] {
            for unix in (from..from + 200_000).step_by(60) {
                let wall = berlin(unix);
                assert_eq!(calendar.unix(unix + i64::from(wall.offset), before), unix);
                before = unix;
            }
            before = 0;
        }
        // 02:30 was not there on that day: it is 03:30 summer time.
        assert_eq!(calendar.unix(1_743_294_600 + 7200, 0), 1_743_294_600 + 3600);
    }
}
