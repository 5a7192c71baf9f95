//! Steps of the wall clock. A clock that is slewed makes none.

use crate::base::limits;
use crate::base::time::{Instant, Nanos, WallTime};

/// Notices when the wall clock was set.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    at: Instant,
    wall: WallTime,
}

impl Steps {
    /// Begins at `now`, when the wall clock reads `wall`. All instants are of a clock that also runs while
    /// the machine is suspended.
    pub fn new(now: Instant, wall: WallTime) -> Self {
        Self { at: now, wall }
    }

    /// The wall clock reads `wall` at `now`. If it was set by more than [`limits::CLOCK_STEP`], returns what
    /// it would read otherwise.
    pub fn read(&mut self, now: Instant, wall: WallTime) -> Option<WallTime> {
        let passed = now.since(self.at).plus(Nanos::new(self.wall.nanos.into()));
        let expected = self.wall.unix + passed.secs() as i64;
        (self.at, self.wall) = (now, wall);
        let off = wall.unix.abs_diff(expected);
        (off > limits::CLOCK_STEP.secs()).then(|| wall.at(expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_by_more_than_a_minute_is_noted_once() {
        let at = |second: u64| Instant::from_nanos(second * 1_000_000_000);
        let wall = |unix: i64, offset: i32| WallTime { unix: 1_760_020_260 + unix, nanos: 999_999_999, offset };
        let mut steps = Steps::new(at(0), wall(0, 0));
        assert_eq!(steps.read(at(300), wall(300, 0)), None, "it runs on");
        assert_eq!(steps.read(at(400), wall(460, 0)), None, "a minute is not more");
        assert_eq!(steps.read(at(500), wall(500, 0)), None, "nor is one back");
        assert_eq!(steps.read(at(500), wall(561, 0)), Some(wall(0, 0).at(1_760_020_760)));
        assert_eq!(steps.read(at(501), wall(562, 0)), None, "it was noted");
        assert_eq!(steps.read(at(502), wall(563, 3600)), None, "summer time is no step");
        let past = WallTime { unix: -5, nanos: 0, offset: 0 };
        assert_eq!(steps.read(at(503), past), Some(past.at(1_760_020_824)));
        assert_eq!(steps.read(at(503), wall(563, 0)), Some(past.at(-5)));
    }
}
