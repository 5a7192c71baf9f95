//! What is counted: the seven outcomes of a probe, a target's counters, and the columns made of them.
//!
//! One finished probe adds one to one of seven counters. The log's columns are sums of these seven, so
//! every row adds up.

use crate::base::time::Nanos;

/// How fast a phase was, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// Below `slow`.
    Fast,
    /// From `slow` to below `timeout`.
    Slow,
}

/// The two limits that the time of a phase is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// At or above it a phase is slow.
    pub slow: Nanos,
    /// At or above it a phase has failed.
    pub timeout: Nanos,
}

impl Thresholds {
    /// The speed of a phase that lasted `elapsed`; `None` is a failure.
    pub fn speed(&self, elapsed: Nanos) -> Option<Speed> {
        if elapsed < self.slow {
            Some(Speed::Fast)
        } else if elapsed < self.timeout {
            Some(Speed::Slow)
        } else {
            None
        }
    }
}

/// The one way in which a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The lookup failed; there was no connect.
    LookupFailed,
    /// Fast lookup, fast connect.
    FastFast,
    /// Fast lookup, slow connect.
    FastSlow,
    /// Fast lookup, connect failed.
    FastFailed,
    /// Slow lookup, fast connect.
    SlowFast,
    /// Slow lookup, slow connect.
    SlowSlow,
    /// Slow lookup, connect failed.
    SlowFailed,
}

listed! {
    /// Every outcome, in the order of the counters.
    Outcome::ALL = [LookupFailed, FastFast, FastSlow, FastFailed, SlowFast, SlowSlow, SlowFailed];
}

impl Outcome {
    /// The outcome of a probe that reached its connect; `None` is a failed connect.
    pub fn of(lookup: Speed, connect: Option<Speed>) -> Outcome {
        match (lookup, connect) {
            (Speed::Fast, Some(Speed::Fast)) => Outcome::FastFast,
            (Speed::Fast, Some(Speed::Slow)) => Outcome::FastSlow,
            (Speed::Fast, None) => Outcome::FastFailed,
            (Speed::Slow, Some(Speed::Fast)) => Outcome::SlowFast,
            (Speed::Slow, Some(Speed::Slow)) => Outcome::SlowSlow,
            (Speed::Slow, None) => Outcome::SlowFailed,
        }
    }
}

/// How many outcomes there are.
const OUTCOMES: usize = Outcome::ALL.len();

/// One counter for each [`Outcome`]. They wrap at 2^32: a difference of two readings is right if less than
/// that was counted between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u32; OUTCOMES]);

impl Counts {
    /// Counters with these values, in the order of [`Outcome::ALL`].
    pub const fn new(counts: [u32; OUTCOMES]) -> Self {
        Self(counts)
    }

    /// Adds one to the counter of `outcome`.
    pub fn add(&mut self, outcome: Outcome) {
        let counter = &mut self.0[outcome.index()];
        *counter = counter.wrapping_add(1);
    }

    /// The counter of `outcome`.
    pub fn of(&self, outcome: Outcome) -> u32 {
        self.0[outcome.index()]
    }

    /// What was counted since these counters had the values of `earlier`.
    pub fn since(&self, earlier: &Counts) -> Counts {
        Counts(core::array::from_fn(|i| self.0[i].wrapping_sub(earlier.0[i])))
    }

    /// Whether nothing was counted.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; OUTCOMES]
    }

    /// The sum of these outcomes.
    fn sum(&self, outcomes: &[Outcome]) -> u64 {
        outcomes.iter().map(|outcome| u64::from(self.of(*outcome))).sum()
    }

    /// The sum of all outcomes.
    pub fn total(&self) -> u64 {
        self.sum(&Outcome::ALL)
    }

    /// The log's columns.
    #[inline(never)] // Called from many paths.
    pub fn columns(&self) -> Columns {
        use Outcome::{FastFailed, FastFast, FastSlow, LookupFailed, SlowFailed, SlowFast, SlowSlow};
        Columns {
            conn_fast: self.sum(&[FastFast, SlowFast]),
            conn_slow: self.sum(&[FastSlow, SlowSlow]),
            dns_fast: self.sum(&[FastFast, FastSlow, FastFailed]),
            dns_slow: self.sum(&[SlowFast, SlowSlow, SlowFailed]),
            dns_fail: self.sum(&[LookupFailed]),
            conn_failed: self.sum(&[FastFailed, SlowFailed]),
            total: self.total(),
        }
    }
}

/// The numbers of one row of the log, each a sum of outcome counters:
/// `conn_fast + conn_slow + conn_failed + dns_fail = total = dns_fast + dns_slow + dns_fail`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// `Conn<1s`
    pub conn_fast: u64,
    /// `Conn1-5s`
    pub conn_slow: u64,
    /// `DNS<1s`
    pub dns_fast: u64,
    /// `DNS1-5s`
    pub dns_slow: u64,
    /// `DNSFail`
    pub dns_fail: u64,
    /// `ConnFailed`
    pub conn_failed: u64,
    /// `Total`
    pub total: u64,
}

impl Columns {
    /// Those with these numbers, in the order of the columns.
    pub fn of(numbers: [u64; 7]) -> Self {
        let [conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total] = numbers;
        Self { conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total }
    }

    /// Whether every probe has connected or failed. The columns of lookups add up, too; in the original's log they are only
    /// never more.
    pub fn is_sum(&self) -> bool {
        self.connected() + self.failed() == self.total && self.dns_fast + self.dns_slow + self.dns_fail <= self.total
    }

    /// Probes that connected.
    pub fn connected(&self) -> u64 {
        self.conn_fast + self.conn_slow
    }

    /// Probes whose lookup or connect failed.
    pub fn failed(&self) -> u64 {
        self.dns_fail + self.conn_failed
    }

    /// Adds others.
    pub fn add(&mut self, other: &Columns) {
        self.conn_fast += other.conn_fast;
        self.conn_slow += other.conn_slow;
        self.dns_fast += other.dns_fast;
        self.dns_slow += other.dns_slow;
        self.dns_fail += other.dns_fail;
        self.conn_failed += other.conn_failed;
        self.total += other.total;
    }

    /// The numbers in the order of the columns.
    pub fn numbers(&self) -> [u64; 7] {
        let Columns { conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total } = *self;
        [conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total]
    }
}

/// A target's counters: all that was counted, and how much of it the log already has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counted: Counts,
    reported: Counts,
}

impl Tally {
    /// From these counters and those that the log has.
    pub const fn new(counted: Counts, reported: Counts) -> Self {
        Self { counted, reported }
    }

    /// Counts one finished probe.
    pub fn count(&mut self, outcome: Outcome) {
        self.counted.add(outcome);
    }

    /// All that was counted.
    pub fn counted(&self) -> &Counts {
        &self.counted
    }

    /// How much of it the log has.
    pub fn reported(&self) -> &Counts {
        &self.reported
    }

    /// What the next report will say.
    pub fn unreported(&self) -> Counts {
        self.counted.since(&self.reported)
    }

    /// Whether the log has all that was counted.
    pub fn is_reported(&self) -> bool {
        self.counted == self.reported
    }

    /// Notes that the log has everything.
    pub fn mark_reported(&mut self) {
        self.reported = self.counted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Thresholds = Thresholds { slow: Nanos::from_secs(1), timeout: Nanos::from_secs(5) };

    #[test]
    fn one_nanosecond_below_a_threshold_is_below_and_at_it_is_above() {
        let speed = |nanos| LIMITS.speed(Nanos::new(nanos));
        assert_eq!(speed(0), Some(Speed::Fast));
        assert_eq!(speed(999_999_999), Some(Speed::Fast));
        assert_eq!(speed(1_000_000_000), Some(Speed::Slow));
        assert_eq!(speed(4_999_999_999), Some(Speed::Slow));
        assert_eq!(speed(5_000_000_000), None);
    }

    #[test]
    fn every_outcome_has_its_counter_and_every_row_adds_up() {
        let mut counts = Counts::default();
        for (times, outcome) in Outcome::ALL.into_iter().enumerate() {
            for _ in 0..1 << times {
                counts.add(outcome);
            }
            assert_eq!(counts.of(outcome), 1 << times);
        }
        let c = counts.columns();
        assert_eq!(c.conn_fast + c.conn_slow + c.conn_failed + c.dns_fail, c.total);
        assert_eq!(c.dns_fast + c.dns_slow + c.dns_fail, c.total);
        let row = [c.conn_fast, c.conn_slow, c.dns_fast, c.dns_slow, c.dns_fail, c.conn_failed, c.total];
        assert_eq!(row, [2 + 16, 4 + 32, 2 + 4 + 8, 16 + 32 + 64, 1, 8 + 64, 127]);
    }

    #[test]
    fn an_outcome_is_its_two_phases() {
        use Speed::{Fast, Slow};
        let all = [
            (Fast, Some(Fast)),
            (Fast, Some(Slow)),
            (Fast, None),
            (Slow, Some(Fast)),
            (Slow, Some(Slow)),
            (Slow, None),
        ];
        for (i, (lookup, connect)) in all.into_iter().enumerate() {
            assert_eq!(Outcome::of(lookup, connect), Outcome::ALL[i + 1]);
        }
    }

    #[test]
    fn a_difference_is_right_across_the_wrap() {
        let mut counts = Counts([u32::MAX; OUTCOMES]);
        let earlier = counts;
        counts.add(Outcome::FastFast);
        counts.add(Outcome::FastFast);
        assert_eq!(counts.since(&earlier).columns().conn_fast, 2);
    }

    #[test]
    fn what_was_reported_is_not_reported_again() {
        let mut tally = Tally::default();
        tally.count(Outcome::FastFast);
        assert_eq!(tally.unreported().columns().total, 1);
        tally.mark_reported();
        assert!(tally.unreported().is_zero());
        tally.count(Outcome::LookupFailed);
        assert_eq!(tally.unreported().columns().dns_fail, 1);
        assert_eq!(tally.counted().columns().total, 2);
    }
}
