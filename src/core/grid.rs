//! The fixed grid of a target's ticks.

use crate::base::time::{Instant, Nanos};

/// A fixed grid of moments, `start + k x interval`. It does not drift: a late tick does not delay the next one.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    next: Instant,
    interval: Nanos,
}

impl Grid {
    /// A grid whose first moment is `first`.
    pub fn new(first: Instant, interval: Nanos) -> Self {
        Self { next: first, interval }
    }

    /// The next moment.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// The distance between two moments.
    pub fn interval(&self) -> Nanos {
        self.interval
    }

    /// Moves past `now`, which is at or after [`Grid::next`]. Returns how many moments were missed.
    /// The last moment before `now` is late, not missed.
    pub fn advance(&mut self, now: Instant) -> u64 {
        let missed = now.since(self.next).whole(self.interval);
        self.next = self.next + self.interval.times(missed + 1);
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_never_drifts_and_never_catches_up() {
        let at = Instant::from_nanos;
        let mut grid = Grid::new(at(10), Nanos::new(100));
        assert_eq!((grid.advance(at(10)), grid.next()), (0, at(110)));
        assert_eq!((grid.advance(at(209)), grid.next()), (0, at(210)));
        assert_eq!((grid.advance(at(310)), grid.next()), (1, at(410)));
        assert_eq!((grid.advance(at(1_000)), grid.next()), (5, at(1_010)));
    }
}
