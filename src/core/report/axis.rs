//! Time in cells, for the strips and curves of a report: the day of a service in half hours, and the whole period in about a
//! hundred slots, which are the same for all services.

use crate::base::time::Nanos;

/// How the probes of a cell did; the worst of its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Nobody watched.
    #[default]
    Unwatched,
    /// All connected fast.
    Good,
    /// All connected, some slowly.
    Slow,
    /// At most one in ten failed.
    Failed,
    /// More than that failed.
    Bad,
    /// All failed.
    Down,
}

/// Half hours of a day.
pub const HALF_HOURS: usize = 48;

/// Seconds of a cell of a day.
pub const HALF_HOUR: i64 = 1800;

/// A day of a service.
#[derive(Clone, Debug)]
pub struct Day {
    /// Days since 1970.
    pub day: i32,
    /// Its half hours by the local clock.
    pub marks: [Mark; HALF_HOURS],
    /// Times of lookups and of connects.
    pub phases: [Latency; 2],
}

/// Times of one phase: sums of the percentiles of rows, for their means, and the longest. In tenths of a millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    rows: u32,
    p50: u64,
    p95: u64,
    max: u32,
}

impl Latency {
    /// Adds a row.
    pub(super) fn add(&mut self, [p50, p95, max]: [u32; 3]) {
        self.add_sums(&Latency { rows: 1, p50: p50.into(), p95: p95.into(), max });
    }

    fn add_sums(&mut self, other: &Latency) {
        self.rows += other.rows;
        self.p50 += other.p50;
        self.p95 += other.p95;
        self.max = self.max.max(other.max);
    }

    /// The mean of the rows' p50, that of their p95, and the longest time; `None` if nothing was measured.
    pub fn times(&self) -> Option<[Nanos; 3]> {
        let mean = |sum: u64| sum / u64::from(self.rows.max(1));
        let times = [mean(self.p50), mean(self.p95), self.max.into()].map(|tenths| Nanos::new(tenths * 100_000));
        (self.rows > 0).then_some(times)
    }
}

/// A slot of a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot {
    /// How its probes did.
    pub mark: Mark,
    /// The times of lookups and of connects.
    pub phases: [Latency; 2],
}

impl Slot {
    pub(super) fn merge(&mut self, other: &Slot) {
        self.mark = self.mark.max(other.mark);
        for (mine, others) in self.phases.iter_mut().zip(&other.phases) {
            mine.add_sums(others);
        }
    }
}

/// Fewest slots of a period that has grown, and of one that was chosen.
pub const SLOTS: usize = 96;

/// The shortest slot, in seconds.
const SHORTEST: i64 = 60;

/// The slots of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The begin of the first one, in seconds since 1970.
    pub base: i64,
    /// How long each is, in seconds.
    pub width: i64,
}

impl Axis {
    /// For this period.
    pub(super) fn of(from: i64, to: i64) -> Self {
        // Whole minutes: then there are less than twice as many slots.
        let width = (to - from) / SLOTS as i64 / SHORTEST * SHORTEST;
        Self { base: from, width: width.max(SHORTEST) }
    }

    /// The slot of a moment, which may be far before the first or behind the last one.
    pub fn slot(&self, unix: i64) -> i64 {
        (unix - self.base).div_euclid(self.width)
    }

    /// Whether the moment has one of twice as many slots as there are at least. Otherwise slots must become longer.
    pub(super) fn has(&self, unix: i64) -> bool {
        (0..2 * SLOTS as i64).contains(&self.slot(unix))
    }
}

/// Makes one slot of two, or moves all of them to make space in front.
pub(super) fn widen(slots: &mut Vec<Slot>, before: usize) {
    let mut moved = vec![Slot::default(); before];
    moved.append(slots);
    for pair in moved.chunks(2) {
        let mut slot = pair[0];
        if let Some(second) = pair.get(1) {
            slot.merge(second);
        }
        slots.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_at_most_its_slots_and_none_is_too_short() {
        let axis = Axis::of(1000, 1000 + 86_400);
        assert_eq!((axis.width, axis.slot(1000), axis.slot(1000 + 86_399), axis.slot(999)), (900, 0, 95, -1));
        assert_eq!(Axis::of(0, 60).width, 60);
        assert!(axis.has(1000) && !axis.has(999) && axis.has(1000 + 86_400) && !axis.has(1000 + 2 * 86_400));
    }

    #[test]
    fn slots_that_become_longer_keep_the_worst_mark_and_the_longest_time() {
        let mut slots = vec![Slot::default(); 3];
        slots[0].mark = Mark::Failed;
        slots[1].phases[1].add([10, 20, 30]);
        slots[2].phases[1].add([30, 40, 50]);
        widen(&mut slots, 1);
        assert_eq!((slots.len(), slots[0].mark, slots[1].mark), (2, Mark::Failed, Mark::Unwatched));
        let millis = |millis| Nanos::from_millis(millis);
        assert_eq!(slots[1].phases[1].times(), Some([millis(2), millis(3), millis(5)]));
        assert_eq!(slots[1].phases[0].times(), None);
    }
}
