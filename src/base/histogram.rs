//! A log-linear histogram of times: the bucket of a time, and the time that a bucket stands for.
//!
//! Each octave has eight buckets of equal width, and a bucket stands for its middle. So a time is wrong by at
//! most a sixteenth, 6.25 %, from 1 us to above the longest limit.

use crate::base::time::Nanos;

/// The buckets of one octave, as a power of two.
const OCTAVE_BITS: u32 = 3;
/// The first octave begins at 2^9 = 512 ns. All shorter times share one bucket.
const FIRST: u32 = 9;
/// The last octave ends at 2^40 ns, which is 1,099 s; the longest limit is 600 s.
const LAST: u32 = 39;

/// How many buckets there are.
pub const BUCKETS: usize = 1 + (((LAST - FIRST + 1) << OCTAVE_BITS) as usize);

/// The bucket of a time, below [`BUCKETS`].
pub fn bucket(time: Nanos) -> usize {
    let Some(octave) = time.get().checked_ilog2().filter(|octave| *octave >= FIRST) else { return 0 };
    if octave > LAST {
        return BUCKETS - 1;
    }
    let in_octave = (time.get() >> (octave - OCTAVE_BITS)) - (1 << OCTAVE_BITS);
    1 + ((octave - FIRST) << OCTAVE_BITS) as usize + in_octave as usize
}

/// The time that a bucket stands for: its middle.
pub fn middle(bucket: usize) -> Nanos {
    let Some(from_first) = bucket.checked_sub(1) else { return Nanos::new(1 << (FIRST - 1)) };
    let octave = FIRST + (from_first >> OCTAVE_BITS) as u32;
    let in_octave = (from_first & ((1 << OCTAVE_BITS) - 1)) as u64;
    // In halves of a bucket's width.
    Nanos::new((2 * ((1 << OCTAVE_BITS) + in_octave) + 1) << (octave - OCTAVE_BITS - 1))
}

/// The percentiles of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many times are in it.
    pub count: u64,
    /// Half of the times are this or less.
    pub p50: Nanos,
    /// 95 of 100 times are this or less.
    pub p95: Nanos,
    /// 99 of 100 times are this or less.
    pub p99: Nanos,
    /// The longest of all, exactly.
    pub max: Nanos,
}

impl Summary {
    /// The summary of these buckets, whose longest time is `max`; `None` if they are empty.
    pub fn of(buckets: impl Iterator<Item = u32> + Clone, max: Nanos) -> Option<Self> {
        let count: u64 = buckets.clone().map(u64::from).sum();
        if count == 0 {
            return None;
        }
        // Nearest rank: the shortest time that this percentage of the times does not exceed.
        let [p50, p95, p99] = [50, 95, 99].map(|percent| {
            let mut below = 0;
            let found = buckets.clone().position(|times| {
                below += u64::from(times);
                below * 100 >= percent * count
            });
            middle(found.unwrap_or(BUCKETS - 1)).min(max)
        });
        Some(Self { count, p50, p95, p99, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits;

    #[test]
    fn a_bucket_stands_for_its_times_within_a_sixteenth() {
        let mut before = 0;
        let mut time = 1000_u64;
        while time <= limits::TIMEOUT.1.get() {
            let bucket = bucket(Nanos::new(time));
            assert!(bucket >= before && bucket < BUCKETS, "{time}");
            let error = middle(bucket).get().abs_diff(time);
            assert!(error * 16 <= time, "{time} ns is off by {error}");
            before = bucket;
            time += 1 + time / 1000;
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for index in 1..BUCKETS {
            assert_eq!(bucket(middle(index)), index);
        }
        assert_eq!((bucket(Nanos::ZERO), bucket(Nanos::new(511)), bucket(Nanos::new(512))), (0, 0, 1));
        assert_eq!((bucket(Nanos::new((1 << 40) - 1)), bucket(Nanos::new(u64::MAX))), (BUCKETS - 1, BUCKETS - 1));
        assert_eq!(BUCKETS, 249);
    }

    #[test]
    fn a_summary_is_by_nearest_rank_and_never_above_the_longest() {
        let mut buckets = [0_u32; BUCKETS];
        for millis in 1..=100 {
            buckets[bucket(Nanos::from_millis(millis))] += 1;
        }
        let max = Nanos::from_millis(100);
        let Some(summary) = Summary::of(buckets.iter().copied(), max) else { panic!("there are times") };
        for (found, exact) in [(summary.p50, 50), (summary.p95, 95), (summary.p99, 99)] {
            let exact = Nanos::from_millis(exact).get();
            assert!(found.get().abs_diff(exact) * 16 <= exact, "{found:?}");
        }
        assert_eq!((summary.count, summary.max), (100, max));
        assert_eq!(Summary::of([0; BUCKETS].into_iter(), Nanos::ZERO), None);
        buckets = [0; BUCKETS];
        buckets[bucket(max)] = 1;
        let one = Summary::of(buckets.into_iter(), max);
        assert_eq!(one.map(|s| (s.p50 <= max, s.p99 <= max)), Some((true, true)));
    }
}
