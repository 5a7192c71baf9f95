//! Whether the wall clock can be right: if not, reports wait for it and no file is deleted by it.
//!
//! A router without a hardware clock boots in the past: see [`is_set`].

use crate::base::limits;
use crate::base::said::Said;
use crate::base::time::{Instant, Nanos, WallTime};

/// Whether a clock that reads `wall` is set. A clock that reads less than `built`, the moment of the build in
/// seconds since 1970, is not.
pub fn is_set(wall: WallTime, built: i64) -> bool {
    wall.unix >= built
}

/// Whether the clock is set, and which report waits for it.
///
/// Until the clock is set, boundaries pass without a report, for at most [`limits::CLOCK_WAIT`] from the
/// start of the run. After that, reports use the clock as it is.
#[derive(Debug)]
pub struct Hold {
    built: i64,
    until: Instant,
    is_set: bool,
    /// The last boundary that passed without a report.
    held: Option<WallTime>,
    /// That reports wait.
    said: Said,
}

impl Hold {
    /// For a run that starts at `now`, when the clock reads `wall`, of a program that was built at `built`.
    pub fn new(built: i64, now: Instant, wall: WallTime) -> Self {
        let is_set = is_set(wall, built);
        Self { built, until: now + limits::CLOCK_WAIT, is_set, held: None, said: Said::default() }
    }

    /// Whether reports wait at `now`.
    #[inline(never)]
    pub fn is_on(&self, now: Instant) -> bool {
        !self.is_set && now < self.until
    }

    /// When the wait ends, if a report waits.
    pub fn next(&self) -> Instant {
        if self.held.is_some() { self.until } else { Instant::NEVER }
    }

    /// The clock reads `wall` at `now`, and `boundary` has passed, if any. Changes `boundary` to the one that
    /// is reported now, if any.
    pub fn pass(&mut self, now: Instant, wall: WallTime, boundary: &mut Option<WallTime>) {
        let was_set = core::mem::replace(&mut self.is_set, is_set(wall, self.built));
        if self.is_set {
            // No boundary has passed yet since the clock was set: the counts go into the next report.
            self.held = None;
            self.said.clear();
            if !was_set {
                *boundary = None;
            }
            return;
        }
        if boundary.is_some() {
            self.held = *boundary;
        }
        if now < self.until {
            *boundary = None;
        } else {
            *boundary = self.held.take();
        }
    }

    /// Whether the message that reports wait is due at `now`. True once.
    pub fn say(&mut self, now: Instant) -> bool {
        self.is_on(now) && self.said.begins()
    }
}

/// Whether old logs may be deleted by this clock. A clock that jumps ahead by decades, for a moment or for
/// good, must not delete every log.
///
/// At the start the clock is trusted up to ten years after the build, later up to a month ahead of the last
/// trusted reading plus the time since. A clock beyond that is trusted from its third day on.
#[derive(Clone, Copy, Debug)]
pub struct Confidence {
    built: i64,
    /// When the clock was last trusted, and what it read, in seconds since 1970.
    known: Option<(Instant, i64)>,
    /// Days on which the clock was not trusted, since then.
    doubts: u8,
    /// The last such day.
    doubted: Option<i64>,
}

/// How many seconds after the build of the program a clock is trusted at the start: ten years.
const YEARS: i64 = 10 * 366 * 86_400;

/// How many seconds a clock may get ahead of the time that has passed: a month.
const AHEAD: i64 = 31 * 86_400;

impl Confidence {
    /// For a program that was built at `built`, in seconds since 1970. No clock was read yet.
    pub fn new(built: i64) -> Self {
        Self { built, known: None, doubts: 0, doubted: None }
    }

    /// Whether the clock, which reads `wall` at `now`, is trusted. The caller asks at the start and then each
    /// day; to ask more often makes no difference.
    pub fn trusts(&mut self, now: Instant, wall: WallTime) -> bool {
        if !is_set(wall, self.built) {
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

    /// 2026-11-23 14:30:00 at UTC+2.
    const NOW: WallTime = WallTime { unix: 1_795_437_000, nanos: 0, offset: 7200 };

    const DAY: u64 = 86_400;

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
            assert!(!confidence.trusts(at(23), wall(23, 20)), "the same day counts once");
        }
        assert!(!confidence.trusts(at(24), wall(24, 20)));
        assert!(confidence.trusts(at(25), wall(25, 20)));
        assert!(confidence.trusts(at(26), wall(26, 20)));
        let mut confidence = Confidence::new(NOW.unix);
        assert!(!confidence.trusts(at(0), wall(0, 20)), "nor is it at the start");
        assert!(Confidence::new(NOW.unix).trusts(at(0), wall(0, 9)));
    }
}
