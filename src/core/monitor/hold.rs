//! Reports wait for a clock that is wrong: a router without one boots in the past.

use crate::base::limits;
use crate::base::time::{Instant, WallTime};

/// Whether the clock is right, and which report waits for it.
///
/// A clock that reads less than the moment of the build is wrong. Until it is set, boundaries pass
/// and nothing is reported, for at most [`limits::CLOCK_WAIT`] from the start of the run; then
/// reports go by the clock as it is.
#[derive(Debug)]
pub(super) struct Hold {
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
    pub(super) fn new(built: i64, now: Instant, wall: WallTime) -> Self {
        let right = wall.unix >= built;
        Self { built, until: now + limits::CLOCK_WAIT, right, held: None, unsaid: !right }
    }

    /// Whether reports wait at `now`.
    #[inline(never)]
    pub(super) fn is_on(&self, now: Instant) -> bool {
        !self.right && now < self.until
    }

    /// When the waiting ends, where a report waits.
    pub(super) fn next(&self) -> Instant {
        if self.held.is_some() { self.until } else { Instant::NEVER }
    }

    /// Takes in that the clock reads `wall` at `now`, by which this boundary has passed. Leaves the
    /// one to be reported.
    pub(super) fn pass(&mut self, now: Instant, wall: WallTime, boundary: &mut Option<WallTime>) {
        let was_right = core::mem::replace(&mut self.right, wall.unix >= self.built);
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
    pub(super) fn say(&mut self, now: Instant) -> bool {
        core::mem::take(&mut self.unsaid) && self.is_on(now)
    }
}
