//! The simulator's own reading of the probes: whether a target is up. It shares no code with the monitor, only the rules:
//! so many failed probes in a row, so many good ones in a row, in the order in which they end.

use tcpmon::base::time::Instant;
use tcpmon::core::health::{self, State};
use tcpmon::model::settings::Hysteresis;

use crate::reading::{Reading, storable};

/// A change of the state. Moments are ticks, in milliseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is down since the tick `since`; so many probes have failed.
    Down { since: i64, failed: u32 },
    /// It was down from the tick `since` to the tick `until`; so many probes failed meanwhile.
    Up { since: i64, until: i64, failed: u32 },
}

/// What the probes say of a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// Whether it is up; `None` while that is not known.
    pub is_up: Option<bool>,
    /// The tick of the first of the probes that led to it.
    since: i64,
    /// The ticks of the probes in a row that speak against it.
    against: Vec<i64>,
    /// While it is down: how many probes have failed.
    failed: u32,
    /// The newest tick whose probe was judged.
    judged: Option<Instant>,
    /// The first tick of the state and that of the row, in seconds since 1970, as the ledger must have them.
    stored: (i64, i64),
}

impl Health {
    /// A probe of this tick has ended.
    pub fn end(&mut self, is_good: bool, tick: Instant, needed: Hysteresis, reading: &Reading) -> Option<Change> {
        if self.judged.is_some_and(|judged| tick < judged) {
            return None;
        }
        self.judged = Some(tick);
        let before = (self.is_up, self.against.len(), self.failed);
        let change = self.judge(is_good, tick.millis(), needed);
        if before != (self.is_up, self.against.len(), self.failed) {
            self.store(reading);
        }
        change
    }

    fn judge(&mut self, is_good: bool, tick: i64, needed: Hysteresis) -> Option<Change> {
        match (self.is_up, is_good) {
            (None, true) => (self.is_up, self.since) = (Some(true), tick),
            (Some(true), true) => {}
            (Some(false), false) => self.failed += 1,
            (None | Some(true), false) | (Some(false), true) => {
                self.against.push(tick);
                return self.turn(is_good, needed);
            }
        }
        self.against.clear();
        None
    }

    /// Changes the state if enough probes speak against it.
    fn turn(&mut self, is_good: bool, needed: Hysteresis) -> Option<Change> {
        let enough = if is_good { needed.up_after } else { needed.down_after };
        if self.against.len() < usize::from(enough) {
            return None;
        }
        let (first, count) = (self.against[0], self.against.len() as u32);
        let change = if is_good {
            Change::Up { since: self.since, until: first, failed: self.failed }
        } else {
            Change::Down { since: first, failed: count }
        };
        (self.is_up, self.since) = (Some(is_good), first);
        self.failed = if is_good { 0 } else { count };
        self.against.clear();
        Some(change)
    }

    /// The monitor writes it to the ledger.
    pub fn store(&mut self, reading: &Reading) {
        let unix = |millis| storable(reading.unix_of(millis));
        self.stored = (unix(self.since), self.against.first().map_or(0, |tick| unix(*tick)));
    }

    /// The clock was wrong in this run, which began at `start`, and is set by so many seconds. What is older than the run
    /// and than the 15 minutes for which a clock is waited for, or lies ahead, was found by a clock that was right.
    pub fn correct(&mut self, start: i64, now: i64, by: i64) {
        for tick in self.against.iter_mut().chain([&mut self.since]) {
            if !(start.min(now - 900_000) - 60_000..=now).contains(tick) {
                *tick -= by * 1000;
            }
        }
    }

    /// Compares it with what the ledger has. `None` if it is the same; else what is there.
    pub fn differs(&self, found: &health::Health) -> Option<String> {
        let state = match self.is_up {
            None => State::Unknown,
            Some(true) => State::Up,
            Some(false) => State::Down,
        };
        let (since, row_since) = self.stored;
        let same = found.state == state
            && found.row as usize == self.against.len()
            && (state == State::Unknown || found.since == since)
            && (found.row == 0 || found.row_since == row_since)
            && (state != State::Down || found.failed == self.failed);
        (!same).then(|| format!("{found:?} instead of {self:?}"))
    }

    /// What a new run reads from the ledger.
    pub fn read(found: &health::Health, reading: &Reading) -> Self {
        let mut health = Self {
            is_up: match found.state {
                State::Unknown => None,
                State::Up => Some(true),
                State::Down => Some(false),
            },
            since: reading.millis_of(found.since),
            against: vec![reading.millis_of(found.row_since); found.row as usize],
            failed: found.failed,
            judged: None,
            stored: (found.since, found.row_since),
        };
        if found.state != State::Down {
            health.failed = 0;
        }
        health
    }
}
