//! The clock wait: the simulator's own model of reports that wait for a wrong clock to be set.

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, WallTime};

/// A clock that reads less than the moment of the build is wrong. Reports wait for it to be set, for
/// at most 15 minutes after the start.
#[derive(Debug)]
pub struct ClockWait {
    built: i64,
    end: Instant,
    /// The last reading of the clock, in seconds since 1970.
    seen: i64,
    /// When the monitor last learned the time.
    noted: Instant,
    /// The boundary whose report waits.
    waiting: Option<WallTime>,
    /// Whether a wait has begun and the monitor has not said so.
    pub unsaid: bool,
}

impl ClockWait {
    /// The wait of a run that starts at `now`.
    pub fn new(built: i64, now: Instant, wall: WallTime) -> Self {
        let (end, unsaid) = (now + limits::CLOCK_WAIT, wall.unix < built);
        Self { built, end, seen: wall.unix, noted: now, waiting: None, unsaid }
    }

    /// Whether a clock that reads `wall` is wrong.
    pub fn is_wrong(&self, wall: WallTime) -> bool {
        wall.unix < self.built
    }

    /// Whether reports must wait, by what the monitor last learned.
    pub fn waits(&self) -> bool {
        self.seen < self.built && self.noted < self.end
    }

    /// When the waiting report must be written, or never.
    pub fn next(&self) -> Instant {
        if self.waiting.is_some() { self.end } else { Instant::NEVER }
    }

    /// The end of the 15 minutes.
    pub fn end(&self) -> Instant {
        self.end
    }

    /// The monitor has learned the time.
    pub fn note(&mut self, now: Instant) {
        self.noted = now;
    }

    /// The clock reads `wall`, and by that `due` is due. Returns the boundary to report now, if any.
    pub fn read(&mut self, now: Instant, wall: WallTime, due: Option<WallTime>) -> Option<WallTime> {
        let (was_wrong, is_wrong) = (self.seen < self.built, wall.unix < self.built);
        (self.seen, self.noted) = (wall.unix, now);
        match (was_wrong, is_wrong) {
            (false, false) => due,
            (true, false) => {
                (self.waiting, self.unsaid) = (None, false);
                None
            }
            (_, true) => {
                self.waiting = due.or(self.waiting);
                self.unsaid |= !was_wrong && now < self.end;
                if now < self.end { None } else { self.waiting.take() }
            }
        }
    }
}
