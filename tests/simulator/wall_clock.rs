//! The wall clock of the simulated box: it advances with the monotonic clock until it is set.

use tcpmon::base::time::{Instant, WallTime};

/// Its time at instant 0 of the monotonic clock, in nanoseconds since 1970, and its offset from UTC in
/// seconds.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    epoch: i128,
    offset: i32,
}

impl WallClock {
    /// A clock that reads `unix` nanoseconds at `now`, with an offset of so many seconds east of UTC.
    pub fn new(now: Instant, unix: i128, offset: i32) -> Self {
        Self { epoch: unix - since_zero(now), offset }
    }

    /// Moves it by so many nanoseconds, and sets its offset.
    pub fn set(&mut self, by: i128, offset: i32) {
        self.epoch += by;
        self.offset = offset;
    }

    /// Its time at `now`.
    pub fn at(&self, now: Instant) -> WallTime {
        let unix = self.epoch + since_zero(now);
        WallTime {
            unix: unix.div_euclid(1_000_000_000) as i64,
            nanos: unix.rem_euclid(1_000_000_000) as u32,
            offset: self.offset,
        }
    }
}

fn since_zero(now: Instant) -> i128 {
    now.since(Instant::from_nanos(0)).get().into()
}
