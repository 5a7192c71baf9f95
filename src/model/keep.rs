//! How many old logs are kept.

use core::fmt;

use crate::base::{limits, words};

/// How many files of the log are kept. Displayed as in a configuration: `14d`, `all`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep(u16);

/// Days since 1970 before the first and after the last date of a log's name, with years of four digits.
const DAYS: (i64, i64) = (-(1 << 20), 1 << 22);

impl Keep {
    /// All logs are kept for ever.
    pub const ALL: Keep = Keep(0);

    /// Reads `all`, or `1d` up to [`limits::KEEP`] days. `None` for anything else.
    pub fn parse(text: &str) -> Option<Keep> {
        if text == "all" {
            return Some(Keep::ALL);
        }
        let days = words::number(text.strip_suffix('d')?, limits::KEEP.into())?;
        (days > 0).then_some(Keep(days as u16))
    }

    /// Which files stay when one has just been begun: that one, and of the others the newest, by the date in their
    /// name. Whether the clock is right does not matter: each wrong day that is written costs one file, never all.
    ///
    /// `count(day)` counts the others of this day, in days since 1970, or later. Returns the first day whose file
    /// stays; `None` if all stay. The counts are searched, so that no list of the names is needed.
    pub fn first_kept<E>(self, count: &mut dyn FnMut(i64) -> Result<usize, E>) -> Result<Option<i64>, E> {
        let mut too_many = |day| Ok(count(day)? >= usize::from(self.0));
        let (mut before, mut first) = DAYS;
        if self == Keep::ALL || !too_many(before)? {
            return Ok(None);
        }
        while first - before > 1 {
            let day = before + (first - before) / 2;
            if too_many(day)? {
                before = day;
            } else {
                first = day;
            }
        }
        Ok(Some(first))
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Keep::ALL { f.write_str("all") } else { write!(f, "{}d", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::WallTime;
    use core::convert::Infallible;

    #[test]
    fn days_are_read_and_nothing_else() {
        for (text, shown) in [("14d", "14d"), ("1d", "1d"), ("3650d", "3650d"), ("007d", "7d"), ("all", "all")] {
            assert_eq!(Keep::parse(text).map(|keep| keep.to_string()).as_deref(), Some(shown));
        }
        for text in ["", "d", "14", "0d", "3651d", "65550d", "-1d", "+1d", "14D", "14 d", "2w", "336h", "none"] {
            assert_eq!(Keep::parse(text), None, "{text}");
        }
    }

    /// What stays of the files of these days, other than the one that was just begun.
    fn kept(keep: Keep, days: &[i64]) -> Vec<i64> {
        let mut count = |since| Ok::<_, Infallible>(days.iter().filter(|day| **day >= since).count());
        let first = keep.first_kept(&mut count).expect("it cannot fail");
        days.iter().copied().filter(|day| first.is_none_or(|first| *day >= first)).collect()
    }

    #[test]
    fn the_newest_others_stay_beside_the_one_just_begun() {
        assert_eq!(kept(Keep(3), &[]), []);
        assert_eq!(kept(Keep(3), &[5, 7]), [5, 7]);
        assert_eq!(kept(Keep(3), &[5, 7, 6]), [7, 6]);
        assert_eq!(kept(Keep(3), &[20_000, 5, -3, 19_998]), [20_000, 19_998]);
        assert_eq!(kept(Keep(1), &[20_000]), []);
        assert_eq!(kept(Keep::ALL, &[1, 2, 3]), [1, 2, 3]);
        let years: Vec<i64> = (0..5000).collect();
        assert_eq!(kept(Keep(limits::KEEP), &years), years[5000 - 3649..]);
    }

    #[test]
    fn the_days_of_all_names_can_be_told_apart() {
        let day = |year, month, day| WallTime::day_of(year, month, day).expect("a date");
        let (earliest, latest) = (day(0, 1, 1), day(9999, 12, 31));
        assert!(DAYS.0 < earliest && latest < DAYS.1);
        assert_eq!(kept(Keep(2), &[earliest, latest]), [latest]);
        assert_eq!(kept(Keep(2), &[earliest, earliest + 1]), [earliest + 1]);
        assert_eq!(kept(Keep(2), &[latest, latest - 1]), [latest]);
        assert_eq!(kept(Keep(1), &[earliest, latest]), []);
    }

    #[test]
    fn a_count_that_fails_is_an_error() {
        assert_eq!(Keep(2).first_kept(&mut |_| Err("no")), Err("no"));
    }
}
