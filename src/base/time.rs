//! Moments and lengths of time: [`Instant`] and [`Nanos`] for everything that is measured or waited for,
//! [`WallTime`] only for what a person reads.
//!
//! Nothing here reads a clock; that is `sys::clock`'s work alone.

use core::fmt;
use core::ops::Add;

use crate::base::words;

const NANOS_PER_SEC: u64 = 1_000_000_000;
/// Seconds of a day.
pub const SECS_PER_DAY: i64 = 86_400;

const DAYS_IN_4_YEARS: u32 = 1461;
const DAYS_IN_400_YEARS: u32 = 146_097;

/// Dates are counted from this many years before the year 0, so that no number is negative.
const YEARS_BEFORE_0: i64 = 400 * 3670;

/// From that year's first of March to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 719_468 + DAYS_IN_400_YEARS as i64 * 3670;

const MILLISECOND: (u64, &str) = (1_000_000, "ms");

/// The units of a length of time in a configuration, in nanoseconds.
const UNITS: [(u64, &str); 4] =
    [(3600 * NANOS_PER_SEC, "h"), (60 * NANOS_PER_SEC, "m"), (NANOS_PER_SEC, "s"), MILLISECOND];

/// A moment of `CLOCK_MONOTONIC`, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    /// Later than everything: the deadline of something that waits for nothing.
    pub const NEVER: Instant = Instant(u64::MAX);

    /// Milliseconds since the clock's zero, rounded down.
    pub fn millis(self) -> i64 {
        (self.0 / MILLISECOND.0) as i64
    }

    /// The moment `nanos` nanoseconds after the clock's zero.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    // Not inlined, nor is the sum: on 32-bit CPUs it is much code, and it is called everywhere.
    #[inline(never)]
    pub const fn since(self, earlier: Instant) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since the clock's zero.
    #[inline(never)]
    pub const fn secs(self) -> u64 {
        self.0 / NANOS_PER_SEC
    }

    /// The moment `length` before this one.
    #[inline(never)]
    pub const fn before(self, length: Nanos) -> Instant {
        Instant(self.0.saturating_sub(length.0))
    }
}

impl Add<Nanos> for Instant {
    type Output = Instant;

    #[inline(never)]
    fn add(self, length: Nanos) -> Instant {
        Instant(self.0.saturating_add(length.0))
    }
}

/// A length of time in nanoseconds. Displayed as in a configuration: `500ms`, `2s`, `5m`, `1h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(u64);

impl Nanos {
    /// No time at all.
    pub const ZERO: Nanos = Nanos(0);

    /// From nanoseconds.
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }

    /// From milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// From seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * NANOS_PER_SEC)
    }

    /// In nanoseconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whole milliseconds, rounded down.
    pub const fn millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// This length minus another, at least zero.
    #[inline(never)]
    pub const fn before(self, less: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(less.0))
    }

    /// Whole seconds, rounded down.
    #[inline(never)]
    pub const fn secs(self) -> u64 {
        self.0 / NANOS_PER_SEC
    }

    /// The part below a whole second, in nanoseconds.
    pub const fn subsec_nanos(self) -> u32 {
        (self.0 % NANOS_PER_SEC) as u32
    }

    /// This length plus another.
    #[inline(never)]
    pub const fn plus(self, more: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(more.0))
    }

    /// This length `n` times.
    #[inline(never)]
    pub const fn times(self, n: u64) -> Nanos {
        Nanos(self.0.saturating_mul(n))
    }

    /// How many whole `part`s fit into this length; `part` is not zero.
    pub const fn whole(self, part: Nanos) -> u64 {
        self.0 / part.0
    }

    /// How many `part`s are needed to cover this length; `part` is not zero.
    pub const fn cover(self, part: Nanos) -> u64 {
        self.plus(part.before(Nanos(1))).whole(part)
    }

    /// `i` of `n` equal parts of this length.
    pub const fn fraction(self, i: u64, n: u64) -> Nanos {
        // A thousand hours need 52 of 64 bits.
        Nanos(self.0 * i / n)
    }

    /// Reads `500ms`, `2s`, `5m` or `1h`. `None` for anything else, and for a length that does not fit.
    pub fn parse(text: &str) -> Option<Nanos> {
        let (number, unit) = words::leading_number(text)?;
        let (nanos, _) = UNITS.iter().find(|(_, name)| *name == unit)?;
        number.checked_mul(*nanos).map(Nanos)
    }

    /// As decimal seconds without trailing zeros: `1`, `0.5`, `0.25`.
    pub const fn as_seconds(self) -> Seconds {
        Seconds(self)
    }

    /// As milliseconds with three decimals: `0.112`.
    pub const fn as_millis(self) -> Millis {
        Millis(self)
    }

    /// As milliseconds with one decimal, rounded down: `11.1`.
    pub const fn as_tenths(self) -> Tenths {
        Tenths(self)
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Nanos(n) = *self;
        let fits = |unit: u64| n >= unit && n % unit == 0;
        let (unit, name) = UNITS.iter().find(|(unit, _)| fits(*unit)).unwrap_or(&MILLISECOND);
        write!(f, "{}{name}", n / unit)
    }
}

/// See [`Nanos::as_seconds`].
pub struct Seconds(Nanos);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.secs())?;
        let (mut rest, mut width) = (self.0.subsec_nanos(), 9);
        if rest == 0 {
            return Ok(());
        }
        while rest % 10 == 0 {
            rest /= 10;
            width -= 1;
        }
        write!(f, ".{rest:0width$}")
    }
}

/// See [`Nanos::as_millis`].
pub struct Millis(Nanos);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.get() / 1000;
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

/// See [`Nanos::as_tenths`].
pub struct Tenths(Nanos);

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.get() / 100_000;
        write!(f, "{}.{}", tenths / 10, tenths % 10)
    }
}

/// A reading of the wall clock with the offset of local time at that moment. Displayed as
/// `2025-10-09 14:30:00`, in local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallTime {
    /// Seconds since 1970-01-01 00:00:00 UTC; negative before.
    pub unix: i64,
    /// Nanoseconds into that second.
    pub nanos: u32,
    /// The offset of local time in seconds, positive east of UTC.
    pub offset: i32,
}

/// A date and time of day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, astronomical.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59: POSIX time has no leap seconds.
    pub second: u8,
}

impl WallTime {
    /// Seconds since local midnight, 0 to 86,399.
    #[inline(never)]
    pub fn second_of_day(self) -> u32 {
        (self.unix + i64::from(self.offset)).rem_euclid(SECS_PER_DAY) as u32
    }

    /// Days from 1970-01-01 to the local date.
    #[inline(never)]
    pub fn day(self) -> i64 {
        (self.unix + i64::from(self.offset) - i64::from(self.second_of_day())) / SECS_PER_DAY
    }

    /// Days from 1970-01-01 to a date of the Gregorian calendar; `None` if the date does not exist. Follows
    /// Howard Hinnant's `days_from_civil`.
    pub fn day_of(year: i64, month: u8, day: u8) -> Option<i64> {
        let from_march = u32::from((month + 9) % 12);
        let years = (year + YEARS_BEFORE_0) as u32 - u32::from(month <= 2);
        let centuries = years / 100;
        let days = years * 365 + years / 4 - centuries + centuries / 4 + (153 * from_march + 2) / 5 + u32::from(day);
        let days = i64::from(days) - 1 - DAYS_BEFORE_1970;
        let back = WallTime { unix: days * SECS_PER_DAY, nanos: 0, offset: 0 }.civil();
        ((back.year, back.month, back.day) == (year, month, day)).then_some(days)
    }

    /// As a moment with its offset, in the form of RFC 3339: `2025-10-09T14:28:12+03:00`.
    pub const fn as_moment(self) -> Moment {
        Moment(self)
    }

    /// The second as a moment with its offset, with zeros for the milliseconds: `2025-10-09T14:28:12.000+03:00`.
    ///
    /// RFC 3339 has offsets of whole minutes only; local mean time has seconds, too. They are left out of the offset and of
    /// the time, so the two still name the same moment. Every year is written with four digits: 9999 is the last.
    #[inline(never)]
    pub fn moment_of_second(self) -> [u8; 29] {
        let minutes = self.offset / 60;
        let Civil { year, month, day, hour, minute, second } = WallTime { offset: minutes * 60, ..self }.civil();
        let (year, off) = (year.clamp(0, 9999), minutes.unsigned_abs());
        let mut text = *b"0000-00-00T00:00:00.000+00:00";
        for (at, number) in [
            (0, (year / 100) as u8),
            (2, (year % 100) as u8),
            (5, month),
            (8, day),
            (11, hour),
            (14, minute),
            (17, second),
            (24, (off / 60) as u8),
            (27, (off % 60) as u8),
        ] {
            text[at] = b'0' + number / 10;
            text[at + 1] = b'0' + number % 10;
        }
        if minutes < 0 {
            text[23] = b'-';
        }
        text
    }

    /// Another second with the same offset.
    pub fn at(self, unix: i64) -> WallTime {
        WallTime { unix, nanos: 0, ..self }
    }

    /// Seconds since 1970 in 32 bits, as the ledger stores them: a moment before 1970 is 0, one after
    /// February 2106 is the last.
    pub fn unix_u32(self) -> u32 {
        unix_u32(self.unix)
    }

    /// Local date and time. The date follows Neri and Schneider, "Euclidean affine functions and
    /// their application to calendar algorithms".
    #[inline(never)]
    pub fn civil(self) -> Civil {
        let second_of_day = self.second_of_day();
        // In quarters of a day: 1461 for every year. A year begins in March, so that its leap day is the last.
        let quarters = 4 * (self.day() + DAYS_BEFORE_1970) as u32 + 3;
        let quarters_of_century = quarters % DAYS_IN_400_YEARS / 4 * 4 + 3;
        let year = 100 * (quarters / DAYS_IN_400_YEARS) + quarters_of_century / DAYS_IN_4_YEARS;
        // March to July and August to December have 153 days in 5 months.
        let fifths = quarters_of_century % DAYS_IN_4_YEARS / 4 * 5 + 461;
        let month = fifths / 153;
        Civil {
            year: i64::from(year) - YEARS_BEFORE_0 + i64::from(month > 12),
            month: (if month > 12 { month - 12 } else { month }) as u8,
            day: (fifths % 153 / 5 + 1) as u8,
            hour: (second_of_day / 3600) as u8,
            minute: (second_of_day / 60 % 60) as u8,
            second: (second_of_day % 60) as u8,
        }
    }
}

/// See [`WallTime::unix_u32`].
#[inline(never)]
pub fn unix_u32(unix: i64) -> u32 {
    unix.clamp(0, u32::MAX.into()) as u32
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second } = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

/// See [`WallTime::as_moment`].
pub struct Moment(WallTime);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.moment_of_second();
        // All of it is ASCII. The milliseconds are left out.
        for part in [&text[..19], &text[23..]] {
            f.write_str(words::utf8(part).unwrap_or_default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(unix: i64) -> String {
        WallTime { unix, nanos: 0, offset: 0 }.to_string()
    }

    #[test]
    fn civil_dates_agree_with_the_calendar() {
        assert_eq!(local(0), "1970-01-01 00:00:00");
        assert_eq!(local(-1), "1969-12-31 23:59:59");
        assert_eq!(local(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(local(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(local(1_760_020_200), "2025-10-09 14:30:00");
        assert_eq!(local(2_147_483_648), "2038-01-19 03:14:08");
        assert_eq!(local(4_107_542_399), "2100-02-28 23:59:59");
        assert_eq!(local(4_107_542_400), "2100-03-01 00:00:00");
    }

    #[test]
    fn a_civil_date_is_local_and_counts_every_day_once() {
        assert_eq!(WallTime { unix: 0, nanos: 0, offset: -3600 }.to_string(), "1969-12-31 23:00:00");
        assert_eq!(WallTime { unix: 0, nanos: 0, offset: 20_700 }.to_string(), "1970-01-01 05:45:00");
        let mut before = WallTime { unix: -SECS_PER_DAY * 800_000, nanos: 0, offset: 0 }.civil();
        for day in -799_999..800_000 {
            let civil = WallTime { unix: day * SECS_PER_DAY, nanos: 0, offset: 0 }.civil();
            let next_day = civil.day == before.day + 1 && civil.month == before.month && civil.year == before.year;
            let next_month = civil.day == 1 && civil.month == before.month + 1 && before.day >= 28;
            let next_year = civil.day == 1 && civil.month == 1 && before.month == 12 && civil.year == before.year + 1;
            assert!(next_day || next_month || next_year, "{before:?} then {civil:?}");
            assert_eq!(WallTime::day_of(civil.year, civil.month, civil.day), Some(day));
            before = civil;
        }
    }

    fn moment(unix: i64, offset: i32) -> (String, String) {
        let wall = WallTime { unix, nanos: 0, offset };
        (wall.as_moment().to_string(), String::from_utf8(wall.moment_of_second().into()).unwrap())
    }

    /// The second since 1970 that a moment names, added up year by year and month by month.
    fn read_moment(text: &str) -> i64 {
        let number = |at: usize, length: usize| text[at..at + length].parse::<i64>().unwrap();
        let (year, month, day) = (number(0, 4), number(5, 2), number(8, 2));
        let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let mut days = day - 1;
        for earlier in 1970..year {
            days += if is_leap(earlier) { 366 } else { 365 };
        }
        for earlier in 1..month {
            days += match earlier {
                2 => 28 + i64::from(is_leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
        }
        let offset = number(20, 2) * 3600 + number(23, 2) * 60;
        let offset = if &text[19..20] == "-" { -offset } else { offset };
        days * SECS_PER_DAY + number(11, 2) * 3600 + number(14, 2) * 60 + number(17, 2) - offset
    }

    #[test]
    fn a_moment_has_its_offset_and_is_read_back_as_itself() {
        for (unix, offset, shown, of_second) in [
            (1_760_009_292, 10_800, "2025-10-09T14:28:12+03:00", "2025-10-09T14:28:12.000+03:00"),
            (1_760_009_292, 0, "2025-10-09T11:28:12+00:00", "2025-10-09T11:28:12.000+00:00"),
            (1_760_009_292, -12_600, "2025-10-09T07:58:12-03:30", "2025-10-09T07:58:12.000-03:30"),
            // Liberia had this offset until 1972, Amsterdam the other one until 1937.
            (0, -2670, "1969-12-31T23:16:00-00:44", "1969-12-31T23:16:00.000-00:44"),
            (0, 1172, "1970-01-01T00:19:00+00:19", "1970-01-01T00:19:00.000+00:19"),
            (0, -59, "1970-01-01T00:00:00+00:00", "1970-01-01T00:00:00.000+00:00"),
            (300_000_000_000, 0, "9999-08-15T05:20:00+00:00", "9999-08-15T05:20:00.000+00:00"),
        ] {
            assert_eq!(moment(unix, offset), (shown.into(), of_second.into()));
        }
        for i in 0..20_000_i64 {
            let (unix, offset) = (86_400 + i * 7_919 * 31 % 4_200_000_000, (i * 37 % 97_200 - 43_200) as i32);
            let (shown, of_second) = moment(unix, offset);
            assert_eq!((read_moment(&shown), shown.len(), of_second.len()), (unix, 25, 29), "{shown}");
        }
    }

    #[test]
    fn a_moment_outside_32_bits_becomes_the_first_or_the_last() {
        let unix_u32 = |unix| WallTime { unix, nanos: 0, offset: 7200 }.unix_u32();
        assert_eq!([unix_u32(i64::MIN), unix_u32(-1), unix_u32(0), unix_u32(1)], [0, 0, 0, 1]);
        let last = i64::from(u32::MAX);
        assert_eq!([unix_u32(last - 1), unix_u32(last), unix_u32(last + 1)], [u32::MAX - 1, u32::MAX, u32::MAX]);
    }

    #[test]
    fn a_date_that_does_not_exist_has_no_day() {
        for (year, month, day) in
            [(2025, 2, 29), (2100, 2, 29), (2025, 4, 31), (2025, 0, 1), (2025, 13, 1), (2025, 1, 0), (2025, 99, 99)]
        {
            assert_eq!(WallTime::day_of(year, month, day), None, "{year} {month} {day}");
        }
        assert_eq!(WallTime::day_of(1970, 1, 1), Some(0));
    }

    #[test]
    fn durations_read_as_they_are_shown() {
        for (text, nanos, shown) in [
            ("500ms", Nanos::from_millis(500), "500ms"),
            ("2s", Nanos::from_secs(2), "2s"),
            ("1500ms", Nanos::from_millis(1500), "1500ms"),
            ("5m", Nanos::from_secs(300), "5m"),
            ("60m", Nanos::from_secs(3600), "1h"),
            ("90s", Nanos::from_secs(90), "90s"),
        ] {
            assert_eq!(Nanos::parse(text), Some(nanos), "{text}");
            assert_eq!(nanos.to_string(), shown);
        }
        for text in ["", "s", "2", "2 s", "-1", "1.5s", "2x", "99999999999999999999", "99999999999999h", "٣s"] {
            assert_eq!(Nanos::parse(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_and_milliseconds_are_exact() {
        let shown = |ms| Nanos::from_millis(ms).as_seconds().to_string();
        assert_eq!([shown(1000), shown(500), shown(250), shown(1050)], ["1", "0.5", "0.25", "1.05"]);
        assert_eq!(Nanos::new(1_112_999).as_millis().to_string(), "1.112");
        let tenths = |nanos| Nanos::new(nanos).as_tenths().to_string();
        assert_eq!(
            [tenths(0), tenths(99_999), tenths(11_199_999), tenths(1_012_300_000)],
            ["0.0", "0.0", "11.1", "1012.3"]
        );
    }

    #[test]
    fn time_never_runs_backwards_or_over() {
        let (early, late) = (Instant::from_nanos(5), Instant::from_nanos(9));
        assert_eq!(early.since(late), Nanos::ZERO);
        assert_eq!(late.since(early), Nanos::new(4));
        assert_eq!(Instant::NEVER + Nanos::from_secs(1), Instant::NEVER);
        assert_eq!(early.before(Nanos::from_secs(1)), Instant::from_nanos(0));
    }
}
