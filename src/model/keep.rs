//! How many daily files are kept, and how many bytes.

use core::fmt;

use crate::base::{limits, words};

/// Which daily files are kept. Displayed as in a configuration: `14d`, `8M`, `14d 8M`, `all`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Most files of a kind; 0 for no limit.
    days: u16,
    /// Most KB (1,024 bytes) of all files together; 0 for no limit.
    kilobytes: u32,
}

/// Days since 1970 before the first and after the last date of a log's name, with years of four digits.
const DAYS: (i64, i64) = (-(1 << 20), 1 << 22);

impl Keep {
    /// All files are kept for ever.
    pub const ALL: Keep = Keep { days: 0, kilobytes: 0 };

    /// Reads `all`, or `1d` up to [`limits::KEEP`] days, or bytes within [`limits::KEEP_KB`] as `64k`, `8M` or `1G`, or
    /// both in either order. `None` for anything else.
    pub fn parse(text: &str) -> Option<Keep> {
        if text == "all" {
            return Some(Keep::ALL);
        }
        let (mut keep, mut rest) = (Keep::ALL, text);
        loop {
            let word = words::next_word(&mut rest);
            if word.is_empty() {
                return (keep != Keep::ALL).then_some(keep);
            }
            let (number, unit) = words::leading_number(word)?;
            let shift = match unit {
                "d" => {
                    let is_valid = keep.days == 0 && (1..=u64::from(limits::KEEP)).contains(&number);
                    keep.days = is_valid.then_some(number as u16)?;
                    continue;
                }
                "k" => 0,
                "M" => 10,
                "G" => 20,
                _ => return None,
            };
            let (least, most) = limits::KEEP_KB;
            // A number that would not fit when it is shifted is too large in any unit.
            let kilobytes = number.min(u64::from(most) + 1) << shift;
            let is_valid = keep.kilobytes == 0 && (u64::from(least)..=u64::from(most)).contains(&kilobytes);
            keep.kilobytes = is_valid.then_some(kilobytes as u32)?;
        }
    }

    /// Which files of a kind stay when one of it has just been begun: that one, and of the others the newest, by the
    /// date in their name. Whether the clock is right does not matter: each wrong day that is written costs one file,
    /// never all.
    ///
    /// `count(day)` counts the others of the kind of this day, in days since 1970, or later. Returns the first day whose
    /// file stays; `None` if all stay. The counts are searched, so that no list of the names is needed.
    pub fn first_kept<E>(self, count: &mut dyn FnMut(i64) -> Result<u64, E>) -> Result<Option<i64>, E> {
        // Beside the one that was just begun.
        first_within(u64::from(self.days).checked_sub(1), DAYS, count)
    }

    /// Which files of all kinds stay by their bytes when one has just been begun: those of its day, and of the others
    /// the newest days as a whole. At least one other day stays, whatever its bytes: else a clock that is wrong for a
    /// moment, on a day that has more bytes than all may have, would cost every file. If the disk is `full`, so that no
    /// file can be begun, that day does not stay either.
    ///
    /// `days` are the oldest and the newest of the other days. `bytes(day)` are those of the files of this day or later,
    /// with all of the day just begun. Returns as [`Keep::first_kept`] does.
    pub fn first_kept_by_bytes<E>(
        self,
        (oldest, newest): (i64, i64),
        full: bool,
        bytes: &mut dyn FnMut(i64) -> Result<u64, E>,
    ) -> Result<Option<i64>, E> {
        let most = (self.kilobytes > 0).then_some(u64::from(self.kilobytes) << 10);
        first_within(most, (oldest - 1, newest + i64::from(full)), bytes)
    }
}

/// The first day from which on there is at most `most`; `None` if there is no more in all, or no limit. `amount(day)`
/// is what there is from this day on; it never grows with the day. Only days after the first and up to the second one of
/// `days` are searched; the second is taken to fit.
fn first_within<E>(
    most: Option<u64>,
    days: (i64, i64),
    amount: &mut dyn FnMut(i64) -> Result<u64, E>,
) -> Result<Option<i64>, E> {
    let Some(most) = most else { return Ok(None) };
    let (mut before, mut first) = days;
    if amount(before)? <= most {
        return Ok(None);
    }
    while first - before > 1 {
        let day = before + (first - before) / 2;
        if amount(day)? > most {
            before = day;
        } else {
            first = day;
        }
    }
    Ok(Some(first))
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Keep::ALL {
            return f.write_str("all");
        }
        let mut separator = "";
        if self.days > 0 {
            write!(f, "{}d", self.days)?;
            separator = " ";
        }
        if self.kilobytes > 0 { write!(f, "{separator}{}", Kilobytes(self.kilobytes)) } else { Ok(()) }
    }
}

/// A number of KB (1,024 bytes). Displayed in the largest unit without a fraction: `64k`, `8M`, `1G`.
pub(super) struct Kilobytes(pub u32);

impl fmt::Display for Kilobytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shift, unit) = match self.0.trailing_zeros() {
            0..=9 => (0, 'k'),
            10..=19 => (10, 'M'),
            20.. => (20, 'G'),
        };
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::WallTime;
    use core::convert::Infallible;

    const NONE: [i64; 0] = [];

    #[test]
    fn days_and_bytes_are_read_and_nothing_else() {
        for (text, shown) in [
            ("14d", "14d"),
            ("1d", "1d"),
            ("3650d", "3650d"),
            ("007d", "7d"),
            ("all", "all"),
            ("8M", "8M"),
            ("64k", "64k"),
            ("1024G", "1024G"),
            ("8192k", "8M"),
            ("1536k", "1536k"),
            ("1048576k", "1G"),
            ("14d 8M", "14d 8M"),
            ("8M 14d", "14d 8M"),
            (" 14d \t 1G ", "14d 1G"),
        ] {
            let keep = Keep::parse(text);
            assert_eq!(keep.map(|keep| keep.to_string()).as_deref(), Some(shown), "{text}");
            assert_eq!(keep, Keep::parse(shown), "{text}");
        }
        for text in [
            "",
            " ",
            "d",
            "14",
            "0d",
            "3651d",
            "65550d",
            "-1d",
            "+1d",
            "14D",
            "14 d",
            "2w",
            "336h",
            "none",
            "63k",
            "0M",
            "1025G",
            "4194304G",
            "4398046511104G",
            "18014398509481984k",
            "18446744073709551615G",
            "18446744073709551616G",
            "M",
            "8m",
            "8K",
            "8MB",
            "8MiB",
            "1.5G",
            "8388608",
            "14d8M",
            "14d, 8M",
            "14d 7d",
            "8M 8M",
            "14d 8M 1G",
            "all 8M",
            "14d all",
        ] {
            assert_eq!(Keep::parse(text), None, "{text}");
        }
    }

    fn keep(text: &str) -> Keep {
        Keep::parse(text).expect("it is valid")
    }

    /// What stays of the files of these days, other than the one that was just begun.
    fn kept(keep: Keep, days: &[i64]) -> Vec<i64> {
        let mut count = |since| Ok::<_, Infallible>(days.iter().filter(|day| **day >= since).count() as u64);
        let first = keep.first_kept(&mut count).expect("it cannot fail");
        days.iter().copied().filter(|day| first.is_none_or(|first| *day >= first)).collect()
    }

    #[test]
    fn the_newest_others_stay_beside_the_one_just_begun() {
        assert_eq!(kept(keep("3d"), &[]), NONE);
        assert_eq!(kept(keep("3d"), &[5, 7]), [5, 7]);
        assert_eq!(kept(keep("3d"), &[5, 7, 6]), [7, 6]);
        assert_eq!(kept(keep("3d"), &[20_000, 5, -3, 19_998]), [20_000, 19_998]);
        assert_eq!(kept(keep("1d"), &[20_000]), NONE);
        assert_eq!(kept(Keep::ALL, &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(kept(keep("64k"), &[1, 2, 3]), [1, 2, 3], "a limit of bytes alone");
        let years: Vec<i64> = (0..5000).collect();
        assert_eq!(kept(keep("3650d"), &years), years[5000 - 3649..]);
    }

    #[test]
    fn the_days_of_all_names_can_be_told_apart() {
        let day = |year, month, day| WallTime::day_of(year, month, day).expect("a date");
        let (earliest, latest) = (day(0, 1, 1), day(9999, 12, 31));
        assert!(DAYS.0 < earliest && latest < DAYS.1);
        assert_eq!(kept(keep("2d"), &[earliest, latest]), [latest]);
        assert_eq!(kept(keep("2d"), &[earliest, earliest + 1]), [earliest + 1]);
        assert_eq!(kept(keep("2d"), &[latest, latest - 1]), [latest]);
        assert_eq!(kept(keep("1d"), &[earliest, latest]), NONE);
        let bytes = 64 << 10;
        assert_eq!(kept_by_bytes(keep("64k"), latest, &[(earliest, bytes), (latest, 1)], false), [earliest]);
        assert_eq!(kept_by_bytes(keep("64k"), earliest, &[(earliest, 1), (latest, bytes)], true), NONE);
    }

    /// What stays of the days with these bytes, other than the one `begun`.
    fn kept_by_bytes(keep: Keep, begun: i64, files: &[(i64, u64)], full: bool) -> Vec<i64> {
        let others: Vec<i64> = files.iter().map(|(day, _)| *day).filter(|day| *day != begun).collect();
        let (Some(oldest), Some(newest)) = (others.iter().min(), others.iter().max()) else { return others };
        let mut looks = 0;
        let mut bytes = |first| {
            looks += 1;
            let counted = files.iter().filter(|(day, _)| *day == begun || *day >= first);
            Ok::<_, Infallible>(counted.map(|(_, bytes)| bytes).sum())
        };
        let first = keep.first_kept_by_bytes((*oldest, *newest), full, &mut bytes).expect("it cannot fail");
        assert!(looks <= 24, "{looks} looks");
        others.iter().copied().filter(|day| first.is_none_or(|first| *day >= first)).collect()
    }

    #[test]
    fn the_newest_days_that_fit_stay_beside_the_one_just_begun() {
        let kb = 1024;
        let files = [(10, 20 * kb), (11, 20 * kb), (11, 10 * kb), (12, 30 * kb), (13, 0)];
        let kept = |begun: i64, begun_bytes: u64, full| {
            let files = [&files[..], &[(begun, begun_bytes)]].concat();
            kept_by_bytes(keep("64k"), begun, &files, full)
        };
        // 60 KB with it are left of 80 KB, and at 64 KB it is the same.
        for begun in [13, 14, 3000, 0] {
            let stay = if begun == 13 { vec![11, 11, 12] } else { vec![11, 11, 12, 13] };
            assert_eq!((kept(begun, 0, false), kept(begun, 4 * kb, false)), (stay.clone(), stay), "{begun}");
        }
        assert_eq!(kept(14, 4 * kb + 1, false), [12, 13]);
        assert_eq!(kept(14, 34 * kb + 1, false), [13]);
        assert_eq!(kept(14, 65 * kb, false), [13], "one more stays");
        assert_eq!(kept(13, 65 * kb, false), [12], "one more stays, whatever it has");
        assert_eq!((kept(13, 65 * kb, true), kept(14, 65 * kb, true)), (vec![], vec![]), "the disk is full");
        assert_eq!(kept(14, 0, true), [11, 11, 12, 13]);
        for no_limit in ["all", "3d"] {
            assert_eq!(kept_by_bytes(keep(no_limit), 14, &files, false), [10, 11, 11, 12, 13]);
        }
        assert_eq!(kept_by_bytes(keep("64k"), 14, &[(14, 100 * kb)], false), NONE);
    }

    #[test]
    fn in_any_directory_the_newest_days_stay_one_by_one_while_they_fit() {
        // A linear congruential generator.
        let mut state = 1_u64;
        let mut below = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        for _ in 0..5000 {
            let span = [5, 30, 30_000][below(3) as usize];
            let files: Vec<(i64, u64)> = (0..below(12)).map(|_| (below(span) as i64, below(40) << 10)).collect();
            let (begun, full) = (below(span) as i64, below(4) == 0);
            let mut days: Vec<i64> = files.iter().map(|(day, _)| *day).filter(|day| *day != begun).collect();
            days.sort_by_key(|day| -day);
            days.dedup();
            let of = |day: i64| files.iter().filter(|(its, _)| *its == day).map(|(_, bytes)| bytes).sum::<u64>();
            let mut left = (64 << 10) as i64 - of(begun) as i64;
            let stays = days.iter().enumerate().take_while(|(at, day)| {
                left -= of(**day) as i64;
                left >= 0 || (*at == 0 && !full)
            });
            let stays: Vec<i64> = stays.map(|(_, day)| *day).collect();
            let mut kept = kept_by_bytes(keep("64k"), begun, &files, full);
            kept.sort_by_key(|day| -day);
            kept.dedup();
            // Days without bytes stay with the day before them.
            kept.retain(|day| of(*day) > 0);
            let stays: Vec<i64> = stays.into_iter().filter(|day| of(*day) > 0).collect();
            assert_eq!(kept, stays, "{files:?}, {begun} begun, full: {full}");
        }
    }

    #[test]
    fn a_clock_that_is_ahead_for_a_moment_costs_no_day_that_the_next_midnight_would_not_cost() {
        let kb = 1024;
        // Today, day 20, has grown beyond the limit.
        for today in [20 * kb, 64 * kb, 1000 * kb] {
            let mut files: Vec<(i64, u64)> = (10..20).map(|day| (day, 4 * kb)).collect();
            files.push((20, today));
            let midnight = kept_by_bytes(keep("64k"), 21, &files, false);
            files.push((3020, 0));
            assert_eq!(kept_by_bytes(keep("64k"), 3020, &files, false), midnight);
            assert!(midnight.contains(&20), "{midnight:?}");
            // Back again: the wrong day counts as the newest, with the few bytes that it has.
            files.retain(|(day, _)| midnight.contains(day) || *day == 3020);
            let later = kept_by_bytes(keep("64k"), 21, &files, false);
            let lost = midnight.iter().filter(|day| !later.contains(day)).count();
            assert!(lost <= 1, "one wrong day, lost {lost} of {midnight:?}");
        }
    }

    #[test]
    fn a_count_that_fails_is_an_error() {
        assert_eq!(keep("2d").first_kept(&mut |_| Err("no")), Err("no"));
        assert_eq!(keep("64k").first_kept_by_bytes((1, 2), false, &mut |_| Err("no")), Err("no"));
    }
}
