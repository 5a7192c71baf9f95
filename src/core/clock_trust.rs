//! Whether the wall clock can be right: if not, reports wait for it.
//!
//! A router without a hardware clock boots in the past: see [`is_set`].

use crate::base::limits;
use crate::base::said::Said;
use crate::base::time::{Instant, WallTime};

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

    /// When the run started.
    pub fn began(&self) -> Instant {
        self.until.before(limits::CLOCK_WAIT)
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
