//! Whether the wall clock is right: which reports wait for it, and what may be deleted by it.
//!
//! A router without a clock boots in the past. A clock that reads less than the moment of the build is not
//! set; see [`is_set`].

use crate::base::limits;
use crate::base::time::{Instant, Nanos, WallTime};

/// Whether a clock that reads `wall` has been set since the box was started: it reads no less than `built`, the
/// moment of the build in seconds since 1970.
pub fn is_set(wall: WallTime, built: i64) -> bool {
    wall.unix >= built
}

/// Whether the clock is right, and which report waits for it.
///
/// A clock that reads less than the moment of the build is wrong. Until it is set, boundaries pass
/// and nothing is reported, for at most [`limits::CLOCK_WAIT`] from the start of the run; then
/// reports go by the clock as it is.
#[derive(Debug)]
pub struct Hold {
    built: i64,
    until: Instant,
    right: bool,
    /// The last boundary that nothing was reported for.
    held: Option<WallTime>,
    /// Something is to be said.
    unsaid: bool,
}

impl Hold {
    /// That of a program of this build whose run starts at `now`, when the clock reads `wall`.
    pub fn new(built: i64, now: Instant, wall: WallTime) -> Self {
        let right = is_set(wall, built);
        Self { built, until: now + limits::CLOCK_WAIT, right, held: None, unsaid: !right }
    }

    /// Whether reports wait at `now`.
    #[inline(never)]
    pub fn is_on(&self, now: Instant) -> bool {
        !self.right && now < self.until
    }

    /// When the waiting ends, where a report waits.
    pub fn next(&self) -> Instant {
        if self.held.is_some() { self.until } else { Instant::NEVER }
    }

    /// Takes in that the clock reads `wall` at `now`, by which this boundary has passed. Leaves the
    /// one to be reported.
    pub fn pass(&mut self, now: Instant, wall: WallTime, boundary: &mut Option<WallTime>) {
        let was_right = core::mem::replace(&mut self.right, is_set(wall, self.built));
        if self.right {
            // By the right clock none has passed yet: what was counted goes into the report of the
            // next.
            (self.held, self.unsaid) = (None, false);
            if !was_right {
                *boundary = None;
            }
            return;
        }
        if boundary.is_some() {
            self.held = *boundary;
        }
        if now < self.until {
            self.unsaid |= was_right;
            *boundary = None;
        } else {
            *boundary = self.held.take();
        }
    }

    /// Whether it is to be said that reports wait; once.
    pub fn say(&mut self, now: Instant) -> bool {
        core::mem::take(&mut self.unsaid) && self.is_on(now)
    }
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

    /// 2026-11-23 14:30:00 in a zone two hours east.
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
