//! The distribution of a set of times.

/// Nanoseconds in ascending order.
pub struct Distribution(Vec<i64>);

/// The heading of the rows that [`Distribution::row`] makes.
pub const HEADING: &str = "       min       p50       p90       p99       max";

impl Distribution {
    /// Sorts these nanoseconds, at least one.
    pub fn new(nanos: impl Iterator<Item = i64>) -> Self {
        let mut sorted: Vec<i64> = nanos.collect();
        sorted.sort_unstable();
        Self(sorted)
    }

    /// The smallest value that at least `percent` of all do not exceed; for 0 the minimum.
    pub fn percentile(&self, percent: usize) -> i64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0[rank.saturating_sub(1)]
    }

    /// The columns of [`HEADING`], in milliseconds.
    pub fn row(&self) -> String {
        [0, 50, 90, 99, 100].map(|percent| format!("{:>10.3}", self.percentile(percent) as f64 / 1e6)).concat()
    }
}
