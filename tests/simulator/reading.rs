//! A reading of both clocks: by it the monitor tells what the wall clock shows at other moments.

use tcpmon::base::time::{Instant, WallTime};

/// When the wall clock was read, and what it read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    at: Instant,
    wall: WallTime,
}

impl Reading {
    /// The wall clock reads `wall` at `now`.
    pub fn new(now: Instant, wall: WallTime) -> Self {
        Self { at: now, wall }
    }

    /// The second since 1970 at `now`.
    pub fn unix(&self, now: Instant) -> i64 {
        let passed = now.since(self.at).get() + u64::from(self.wall.nanos);
        storable(self.wall.unix + (passed / 1_000_000_000) as i64)
    }

    /// The second since 1970 at a moment in milliseconds of the monotonic clock.
    pub fn unix_of(&self, millis: i64) -> i64 {
        let wall = self.wall.unix * 1000 + i64::from(self.wall.nanos / 1_000_000);
        (wall + millis - self.at.millis()).div_euclid(1000)
    }

    /// The moment in milliseconds of the monotonic clock at which the wall clock has read this second.
    pub fn millis_of(&self, unix: i64) -> i64 {
        let wall = self.wall.unix * 1000 + i64::from(self.wall.nanos / 1_000_000);
        self.at.millis() + unix * 1000 - wall
    }
}

/// The ledger has no moments before 1970, and none after 2106.
pub fn storable(unix: i64) -> i64 {
    unix.clamp(0, u32::MAX.into())
}
