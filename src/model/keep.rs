//! How long old logs are kept, and which file of a directory is one.

use core::fmt;

use crate::base::limits;
use crate::base::time::{Instant, Nanos, WallTime};
use crate::base::words;

/// Days that a log is kept. Displayed as in a configuration: `14d`, `all`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep(u16);

impl Keep {
    /// For ever.
    pub const ALL: Keep = Keep(0);

    /// Reads `14d` or `all`. `None` for anything else, and for no day at all or too many.
    pub fn parse(text: &str) -> Option<Keep> {
        if text == "all" {
            return Some(Keep::ALL);
        }
        let days = words::number(text.strip_suffix('d')?, limits::KEEP.into())?;
        (days > 0).then_some(Keep(days as u16))
    }

    /// Whether a file of this name is a log of a day that is more than these days before `today`.
    pub fn is_old(self, name: &str, today: WallTime) -> bool {
        self != Keep::ALL && day_of(name).is_some_and(|day| day < today.day() - i64::from(self.0))
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Keep::ALL { f.write_str("all") } else { write!(f, "{}d", self.0) }
    }
}

/// Whether a file of this name is a daily log.
pub fn is_log(name: &str) -> bool {
    day_of(name).is_some()
}

/// The day of the log with this name, in days since 1970.
fn day_of(name: &str) -> Option<i64> {
    let date = name.strip_prefix("tcp_stats_")?.strip_suffix(".log")?;
    if date.len() != 8 {
        return None;
    }
    let date = words::number(date, u32::MAX)?;
    WallTime::day_of(i64::from(date / 10_000), (date / 100 % 100) as u8, (date % 100) as u8)
}

/// Whether the clock is to be trusted with deleting by it. One that jumps ahead by decades, for a
/// moment or for good, must not cost every log there is.
///
/// It is trusted where it is what the run's own reckoning expects, or where, at the start, it is
/// within [`YEARS`] of the build. Else two days must begin by it first.
#[derive(Clone, Copy, Debug)]
pub struct Confidence {
    built: i64,
    /// The last reading that was trusted, and when that was.
    known: Option<(Instant, i64)>,
    doubts: u8,
    /// The last day that was doubted.
    doubted: Option<i64>,
}

/// How long after its build a program may be started.
const YEARS: i64 = 10 * 366 * 86_400;

/// How far a clock in use may go ahead of the time that has passed.
const AHEAD: i64 = 31 * 86_400;

impl Confidence {
    /// That of a program of this build, before a first reading.
    pub fn new(built: i64) -> Self {
        Self { built, known: None, doubts: 0, doubted: None }
    }

    /// Whether the clock, which reads `wall` at `now`, is trusted. To be asked each day and at the start;
    /// to be asked more often makes no difference.
    pub fn trusts(&mut self, now: Instant, wall: WallTime) -> bool {
        if wall.unix < self.built {
            return false;
        }
        let latest = match self.known {
            Some((at, known)) => known + now.since(at).plus(Nanos::from_secs(AHEAD as u64)).secs() as i64,
            None => self.built + YEARS,
        };
        if wall.unix > latest {
            self.doubts += u8::from(self.doubted.replace(wall.day()) != Some(wall.day()));
            if self.doubts <= 2 {
                return false;
            }
        }
        self.known = Some((now, wall.unix));
        (self.doubts, self.doubted) = (0, None);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 14:30:00 in a zone two hours east.
    const NOW: WallTime = WallTime { unix: 1_795_437_000, nanos: 0, offset: 7200 };

    const DAY: u64 = 86_400;

    #[test]
    fn days_are_read_and_nothing_else() {
        for (text, shown) in [("14d", "14d"), ("1d", "1d"), ("3650d", "3650d"), ("007d", "7d"), ("all", "all")] {
            assert_eq!(Keep::parse(text).map(|keep| keep.to_string()).as_deref(), Some(shown));
        }
        for text in ["", "d", "14", "0d", "3651d", "65550d", "-1d", "+1d", "14D", "14 d", "2w", "336h", "none"] {
            assert_eq!(Keep::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_logs_of_days_before_the_last_that_is_kept_are_old() {
        let keep = Keep(14);
        for old in
            ["tcp_stats_20261108.log", "tcp_stats_20251123.log", "tcp_stats_00010101.log", "tcp_stats_20240229.log"]
        {
            assert!(keep.is_old(old, NOW), "{old}");
            assert!(!Keep::ALL.is_old(old, NOW), "{old}");
        }
        for kept in [
            "tcp_stats_20261109.log",
            "tcp_stats_20261123.log",
            "tcp_stats_20261124.log",
            "tcp_stats_99991231.log",
            "tcp_stats_20250229.log",
            "tcp_stats_20251301.log",
            "tcp_stats_20250100.log",
            "tcp_stats_00000000.log",
            "tcp_stats_2025110.log",
            "tcp_stats_020251101.log",
            "tcp_stats_+2025110.log",
            "tcp_stats_20251101.log.gz",
            "tcp_stats_20251101.log~",
            "xtcp_stats_20251101.log",
            "tcp_stats_latest.log",
            "tcpmon.ledger",
        ] {
            assert!(!keep.is_old(kept, NOW), "{kept}");
        }
        // By local time it is another day already.
        let late = WallTime { unix: 1_795_478_400 - 7200, ..NOW };
        assert!(
            keep.is_old("tcp_stats_20261109.log", late)
                && !keep.is_old("tcp_stats_20261109.log", late.at(late.unix - 1))
        );
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_trusted_after_two_days() {
        let at = |day: u64| Instant::from_nanos(0) + Nanos::from_secs(day * DAY);
        let wall = |day: u64, years: i64| NOW.at(NOW.unix + (day * DAY) as i64 + years * 366 * 86_400);
        let mut confidence = Confidence::new(NOW.unix);
        assert!(!confidence.trusts(at(0), NOW.at(NOW.unix - 1)), "before the build");
        assert!(confidence.trusts(at(0), wall(0, 0)));
        assert!(confidence.trusts(at(20), wall(50, 0)), "it may go a month ahead");
        assert!(!confidence.trusts(at(21), wall(21, 20)));
        assert!(confidence.trusts(at(22), wall(22, 0)), "it was put right");
        assert!(!confidence.trusts(at(23), wall(23, 20)));
        for _ in 0..5 {
            assert!(!confidence.trusts(at(23), wall(23, 20)), "to be asked again is no day more");
        }
        assert!(!confidence.trusts(at(24), wall(24, 20)));
        assert!(confidence.trusts(at(25), wall(25, 20)));
        assert!(confidence.trusts(at(26), wall(26, 20)));
        let mut confidence = Confidence::new(NOW.unix);
        assert!(!confidence.trusts(at(0), wall(0, 20)), "nor is it at the start");
        assert!(Confidence::new(NOW.unix).trusts(at(0), wall(0, 9)));
    }
}
