//! The times of a run that ends by itself, for the table at its end. A run without an end keeps none: the ledger has those
//! of all runs.

use crate::base::histogram::{FINE, Summary};
use crate::base::limits;
use crate::base::time::Nanos;
use crate::core::probe::End;
use crate::model::reason::Ending;

/// The times of a phase of a target.
#[derive(Debug)]
pub struct PhaseTimes {
    buckets: [u32; FINE.buckets()],
    min: Nanos,
    max: Nanos,
}

impl PhaseTimes {
    /// All zeroes, so that the program has no copy of it.
    const NONE: Self = Self { buckets: [0; FINE.buckets()], min: Nanos::ZERO, max: Nanos::ZERO };

    fn add(&mut self, time: Nanos) {
        let is_first = self.max == Nanos::ZERO;
        self.buckets[FINE.bucket(time)] += 1;
        (self.min, self.max) = (if is_first { time } else { self.min.min(time) }, self.max.max(time));
    }

    /// The shortest time, the median, the 95th percentile and the longest time; `None` if there is no time. A percentile is
    /// right within 6.25 %, the others are exact.
    pub fn figures(&self) -> Option<[Nanos; 4]> {
        let Summary { p50, p95, max, .. } = Summary::of(&|bucket| self.buckets[bucket], &FINE, self.max)?;
        Some([self.min, p50.max(self.min), p95.max(self.min), max])
    }
}

/// By entry of the table of targets: the times of its lookups and of its connects.
#[derive(Debug, Default)]
pub(super) struct RunTimes(Vec<[PhaseTimes; 2]>);

impl RunTimes {
    /// Reserves memory for all entries that there can be: a reload may add some. Only what is used is touched. Without
    /// that memory there are no times.
    pub fn reserve(&mut self) {
        let _ = self.0.try_reserve_exact(limits::RECORDS);
    }

    /// Adds what did not fail: the same times as in the ledger's histograms.
    pub fn add(&mut self, entry: u16, end: &End) {
        let entry = usize::from(entry);
        if entry >= self.0.capacity() {
            return;
        }
        while self.0.len() <= entry {
            self.0.push([PhaseTimes::NONE; 2]);
        }
        let Some(connect) = end.connect else { return };
        let [lookups, connects] = &mut self.0[entry];
        // An IP literal needs no lookup.
        if let Some(lookup) = end.lookup.filter(|lookup| *lookup > Nanos::ZERO) {
            lookups.add(lookup);
        }
        if matches!(end.ending, Ending::Connected(_)) {
            connects.add(connect);
        }
    }

    /// Removes the times of this entry: it becomes that of another target.
    pub fn clear(&mut self, entry: u16) {
        if let Some(times) = self.0.get_mut(usize::from(entry)) {
            *times = [PhaseTimes::NONE; 2];
        }
    }

    /// The times of this entry, if any are kept.
    pub fn of(&self, entry: u16) -> Option<&[PhaseTimes; 2]> {
        self.0.get(usize::from(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reason::{Reason, Shortage};
    use crate::model::target::Address;

    fn end(lookup: u64, connect: Option<u64>, is_good: bool) -> End {
        let address = Address::new([192, 0, 2, 1].into());
        let ending = match connect {
            Some(_) if is_good => Ending::Connected(address),
            Some(_) => Ending::ConnectFailed(Reason::Refused, address),
            None => Ending::LookupFailed(Reason::TimedOut),
        };
        let (lookup, connect) = (Some(Nanos::from_millis(lookup)), connect.map(Nanos::from_millis));
        End { ending, lookup, connect, ..End::skipped(Shortage::Late) }
    }

    #[test]
    fn only_what_did_not_fail_is_kept_and_the_shortest_and_longest_times_are_exact() {
        let mut times = RunTimes::default();
        times.add(0, &end(1, Some(1), true));
        assert!(times.of(0).is_none(), "nothing is kept unless it is wanted");
        times.reserve();
        for (lookup, connect, is_good) in
            [(7, Some(20), true), (3, Some(10), true), (9, Some(500), false), (5000, None, false), (0, Some(40), true)]
        {
            times.add(3, &end(lookup, connect, is_good));
        }
        let figures = |times: &RunTimes| times.of(3).map(|[lookups, connects]| (lookups.figures(), connects.figures()));
        let Some((Some(lookups), Some(connects))) = figures(&times) else { panic!("there are times") };
        assert_eq!([lookups[0], lookups[3]], [3, 9].map(Nanos::from_millis));
        assert_eq!([connects[0], connects[3]], [10, 40].map(Nanos::from_millis));
        assert!(lookups[1].get().abs_diff(7_000_000) * 16 <= 7_000_000, "{lookups:?}");
        assert!(connects[1].get().abs_diff(20_000_000) * 16 <= 20_000_000, "{connects:?}");
        assert_eq!(times.of(0).map(|[lookups, _]| lookups.figures()), Some(None));
        times.clear(3);
        assert_eq!(figures(&times), Some((None, None)));
        times.add(3, &end(1, Some(17), true));
        let one = times.of(3).and_then(|[_, connects]| connects.figures());
        assert_eq!(one, Some([Nanos::from_millis(17); 4]), "a single time is exact");
    }
}
