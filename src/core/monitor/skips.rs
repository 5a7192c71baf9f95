//! Ticks that were skipped, and when that is said.

use crate::base::limits;
use crate::base::time::Instant;
use crate::model::reason::Shortage;

/// Skipped ticks that have not been said yet.
#[derive(Debug)]
pub(super) struct Skips {
    unsaid: u64,
    last: Shortage,
    say_from: Instant,
}

impl Skips {
    /// None so far; some may be said from `now` on.
    pub(super) fn new(now: Instant) -> Self {
        Self { unsaid: 0, last: Shortage::Late, say_from: now }
    }

    /// Counts these.
    pub(super) fn add(&mut self, ticks: u64, shortage: Shortage) {
        self.unsaid += ticks;
        self.last = shortage;
    }

    /// When there is something to say.
    pub(super) fn next(&self) -> Instant {
        if self.unsaid > 0 { self.say_from } else { Instant::NEVER }
    }

    /// How many are said at `now`, and why the last one was skipped.
    pub(super) fn say(&mut self, now: Instant) -> (u64, Shortage) {
        self.say_from = now + limits::SAY_AGAIN;
        (core::mem::take(&mut self.unsaid), self.last)
    }
}
