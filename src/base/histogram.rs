//! Log-linear histograms of times: the bucket of a time, and the time that a bucket stands for.
//!
//! Each octave has eight buckets of equal width, and a bucket stands for its middle. So a time is wrong by at
//! most a sixteenth, 6.25 %, from 1 us to above the longest limit. The [`COARSE`] histogram has four buckets an octave.

use crate::base::time::Nanos;

/// The last octave ends at 2^40 ns, which is 1,099 s; the longest limit is 600 s.
const LAST: u32 = 39;

/// How a histogram divides the times.
#[derive(Debug)]
pub struct Scale {
    /// The buckets of one octave, as a power of two.
    bits: u32,
    /// The first octave begins at two to this power, in nanoseconds. All shorter times share one bucket.
    first: u32,
}

/// The histogram of all times of a target. It begins at 512 ns.
pub const FINE: Scale = Scale { bits: 3, first: 9 };

/// A histogram for the times of one report: a bucket's middle is right within an eighth, 12.5 %, from 66 us on. It
/// begins at 65.5 us: shorter times are all shown as 0.0 ms.
pub const COARSE: Scale = Scale { bits: 2, first: 16 };

impl Scale {
    /// How many buckets there are.
    pub const fn buckets(&self) -> usize {
        1 + (((LAST - self.first + 1) << self.bits) as usize)
    }

    /// The bucket of a time, below [`Scale::buckets`].
    #[inline(never)] // One copy for both scales.
    pub fn bucket(&self, time: Nanos) -> usize {
        let Scale { bits, first } = *self;
        let Some(octave) = time.get().checked_ilog2().filter(|octave| *octave >= first) else { return 0 };
        if octave > LAST {
            return self.buckets() - 1;
        }
        let in_octave = (time.get() >> (octave - bits)) - (1 << bits);
        1 + ((octave - first) << bits) as usize + in_octave as usize
    }

    /// The time that a bucket stands for: its middle.
    #[inline(never)]
    pub fn middle(&self, bucket: usize) -> Nanos {
        let Scale { bits, first } = *self;
        let Some(from_first) = bucket.checked_sub(1) else { return Nanos::new(1 << (first - 1)) };
        let octave = first + (from_first >> bits) as u32;
        let in_octave = (from_first & ((1 << bits) - 1)) as u64;
        // In halves of a bucket's width.
        Nanos::new((2 * ((1 << bits) + in_octave) + 1) << (octave - bits - 1))
    }
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
    /// The summary of the buckets of a histogram with this scale, whose longest time is `max`; `None` if they are empty.
    pub fn of(buckets: &dyn Fn(usize) -> u32, scale: &Scale, max: Nanos) -> Option<Self> {
        let mut count = 0;
        for bucket in 0..scale.buckets() {
            count += u64::from(buckets(bucket));
        }
        if count == 0 {
            return None;
        }
        // Nearest rank: the shortest time that this percentage of the times does not exceed.
        let percentile = |percent| {
            let mut below = 0;
            for bucket in 0..scale.buckets() {
                below += u64::from(buckets(bucket));
                if below * 100 >= percent * count {
                    return scale.middle(bucket).min(max);
                }
            }
            max
        };
        Some(Self { count, p50: percentile(50), p95: percentile(95), p99: percentile(99), max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits;

    #[test]
    fn a_bucket_stands_for_its_times_within_a_sixteenth_or_an_eighth() {
        for (scale, part, shortest) in [(FINE, 16, 1000), (COARSE, 8, 1 << 16)] {
            let (mut before, mut time) = (0, shortest);
            while time <= limits::TIMEOUT.1.get() {
                let bucket = scale.bucket(Nanos::new(time));
                assert!(bucket >= before && bucket < scale.buckets(), "{time}");
                let error = scale.middle(bucket).get().abs_diff(time);
                assert!(error * part <= time, "{time} ns is off by {error}");
                before = bucket;
                time += 1 + time / 1000;
            }
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let (buckets, bucket) = (FINE.buckets(), |nanos| FINE.bucket(Nanos::new(nanos)));
        for index in 1..buckets {
            assert_eq!(FINE.bucket(FINE.middle(index)), index);
        }
        assert_eq!((bucket(0), bucket(511), bucket(512)), (0, 0, 1));
        assert_eq!((bucket((1 << 40) - 1), bucket(u64::MAX)), (buckets - 1, buckets - 1));
        assert_eq!(buckets, 249);
    }

    #[test]
    fn coarse_buckets_follow_each_other_and_the_first_is_shown_as_no_time() {
        let (buckets, bucket) = (COARSE.buckets(), |nanos| COARSE.bucket(Nanos::new(nanos)));
        for index in 1..buckets {
            assert_eq!(COARSE.bucket(COARSE.middle(index)), index);
        }
        assert_eq!((bucket(0), bucket(65_535), bucket(65_536)), (0, 0, 1));
        assert_eq!((bucket((1 << 40) - 1), bucket(u64::MAX)), (buckets - 1, buckets - 1));
        assert_eq!((buckets, COARSE.middle(0).as_tenths().to_string().as_str()), (97, "0.0"));
    }

    #[test]
    fn a_summary_is_by_nearest_rank_and_never_above_the_longest() {
        let mut buckets = [0_u32; FINE.buckets()];
        for millis in 1..=100 {
            buckets[FINE.bucket(Nanos::from_millis(millis))] += 1;
        }
        let max = Nanos::from_millis(100);
        let Some(summary) = Summary::of(&|i| buckets[i], &FINE, max) else { panic!("there are times") };
        for (found, exact) in [(summary.p50, 50), (summary.p95, 95), (summary.p99, 99)] {
            let exact = Nanos::from_millis(exact).get();
            assert!(found.get().abs_diff(exact) * 16 <= exact, "{found:?}");
        }
        assert_eq!((summary.count, summary.max), (100, max));
        assert_eq!(Summary::of(&|_| 0, &FINE, Nanos::ZERO), None);
        let one = Summary::of(&|i| u32::from(i == FINE.bucket(max)), &FINE, max);
        assert_eq!(one.map(|s| (s.p50 <= max, s.p99 <= max)), Some((true, true)));
    }

    #[test]
    fn a_coarse_summary_is_right_within_an_eighth() {
        let mut buckets = [0_u32; COARSE.buckets()];
        for millis in 1..=100 {
            buckets[COARSE.bucket(Nanos::from_millis(millis))] += 1;
        }
        let max = Nanos::from_millis(100);
        let Some(summary) = Summary::of(&|i| buckets[i], &COARSE, max) else { panic!("there are times") };
        for (found, exact) in [(summary.p50, 50), (summary.p95, 95), (summary.p99, 99)] {
            let exact = Nanos::from_millis(exact).get();
            assert!(found.get().abs_diff(exact) * 8 <= exact && found <= max, "{found:?}");
        }
    }
}
