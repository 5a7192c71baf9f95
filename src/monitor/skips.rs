//! Ticks that were skipped, and when that is said.

use super::Action;
use crate::limits;
use crate::tally::Shortage;
use crate::time::Instant;

/// Skipped ticks that have not been said yet.
#[derive(Debug)]
pub(super) struct Skips {
    pub(super) unsaid: u64,
    last: Shortage,
    pub(super) say_from: Instant,
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

    /// What has not been said yet, if there is anything and it is time for it.
    pub(super) fn say(&mut self, now: Instant) -> Option<Action> {
        if self.unsaid == 0 || now < self.say_from {
            return None;
        }
        self.say_from = now + limits::SAY_AGAIN;
        Some(Action::SaySkipped(core::mem::take(&mut self.unsaid), self.last))
    }
}
