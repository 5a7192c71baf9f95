//! Ticks that were skipped, and when the message about them is due.

use crate::base::limits;
use crate::base::time::Instant;
use crate::model::reason::Shortage;

/// Skipped ticks that no message has reported yet.
#[derive(Debug)]
pub(super) struct Skips {
    unsaid: u64,
    last: Shortage,
    say_from: Instant,
}

impl Skips {
    /// None so far. A message may come from `now` on.
    pub(super) fn new(now: Instant) -> Self {
        Self { unsaid: 0, last: Shortage::Late, say_from: now }
    }

    /// Counts `ticks` skipped ticks.
    pub(super) fn add(&mut self, ticks: u64, shortage: Shortage) {
        self.unsaid += ticks;
        self.last = shortage;
    }

    /// When the next message is due; [`Instant::NEVER`] if there is nothing to tell.
    pub(super) fn next(&self) -> Instant {
        if self.unsaid > 0 { self.say_from } else { Instant::NEVER }
    }

    /// The content of the message that is due at `now`: how many ticks, and why the last one was skipped.
    pub(super) fn say(&mut self, now: Instant) -> (u64, Shortage) {
        self.say_from = now + limits::SAY_AGAIN;
        (core::mem::take(&mut self.unsaid), self.last)
    }
}
