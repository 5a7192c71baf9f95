//! The simulator's own idea of reports that wait for a clock which is wrong.

use tcpmon::base::limits;
use tcpmon::base::time::{Instant, WallTime};

/// A clock that reads less than the moment of the build is wrong; reports wait for it to be set, up
/// to a quarter of an hour from the start.
#[derive(Debug)]
pub struct Patience {
    built: i64,
    end: Instant,
    /// What the clock read last, and when the monitor last took note of it.
    seen: i64,
    noted: Instant,
    waiting: Option<WallTime>,
    /// Whether a wait has begun that was not said.
    pub unsaid: bool,
}

impl Patience {
    /// That of a run that starts at `now`.
    pub fn new(built: i64, now: Instant, wall: WallTime) -> Self {
        let (end, unsaid) = (now + limits::CLOCK_WAIT, wall.unix < built);
        Self { built, end, seen: wall.unix, noted: now, waiting: None, unsaid }
    }

    /// Whether this reading is one of a clock that is wrong.
    pub fn is_wrong(&self, wall: WallTime) -> bool {
        wall.unix < self.built
    }

    /// Whether nothing may be reported, as of what was last noted.
    pub fn waits(&self) -> bool {
        self.seen < self.built && self.noted < self.end
    }

    /// When a report that waits has waited long enough.
    pub fn next(&self) -> Instant {
        if self.waiting.is_some() { self.end } else { Instant::NEVER }
    }

    /// The end of all waiting.
    pub fn end(&self) -> Instant {
        self.end
    }

    /// The monitor has taken note of the time.
    pub fn note(&mut self, now: Instant) {
        self.noted = now;
    }

    /// The clock reads `wall`, by which this boundary is due. Gives the one that is to be reported.
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
