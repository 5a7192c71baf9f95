//! What a record holds of the interval since the last row of times: the distributions and longest times of its phases. The
//! counters of that row are in [`super::layout::TOLD`] and the fields behind it.
//!
//! A word of a distribution holds a bucket twice: the times of now in its lower half, those of the unfinished row in its
//! upper half. So one store moves a bucket into the row, and one store takes it out: wherever a kill lands, no time is
//! lost and none is told twice. A bucket that is full stays full.

use core::ops::Range;

use super::codes::{micros, nanos};
use super::layout::{CAUSES, COUNTERS, FIGURES, INTERVAL_CONNECTS, INTERVAL_LOOKUPS, INTERVAL_MAX, TELLING, TOLD};
use super::record::Record;
use crate::base::histogram::{COARSE, Summary};
use crate::base::time::Nanos;
use crate::model::cause::Cause;
use crate::model::outcome::Columns;
use crate::model::target::Address;

/// The words of both distributions.
const BUCKETS: Range<usize> = INTERVAL_LOOKUPS.at..INTERVAL_MAX.at;
const _: () = assert!(INTERVAL_CONNECTS.at == INTERVAL_LOOKUPS.at + INTERVAL_LOOKUPS.words);

/// So many probes are enough for percentiles.
pub const ENOUGH: u64 = 20;

/// The most that a half of a word holds.
const FULL: u32 = 0xffff;

/// The facts of a row of times.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    /// The times of the lookups that gave an address, without IP literals.
    pub lookups: Option<Summary>,
    /// The times of the accepted connects.
    pub connects: Option<Summary>,
    /// The causes, in the order of `Cause::ALL`.
    pub causes: [u32; Cause::ALL.len()],
    /// SYNs sent again.
    pub resent: u32,
    /// Skipped ticks.
    pub skipped: u32,
    /// The latest address that stayed silent.
    pub silent: Option<Address>,
}

/// The figures of the last interval, for `status`. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Probes, and how many of them failed.
    pub probes: (u32, u32),
    /// Median, 95th percentile and longest time of the lookups; zeroes without one.
    pub lookups: [Nanos; 3],
    /// The same of the connects.
    pub connects: [Nanos; 3],
}

impl Record<'_> {
    /// Adds a time to the distribution of the interval. `max` is the index of the longest one in [`INTERVAL_MAX`].
    pub(super) fn add_to_interval(self, buckets: usize, max: usize, time: Nanos) {
        let at = buckets + COARSE.bucket(time);
        let word = self.load(at);
        if word & FULL != FULL {
            self.store(at, word + 1);
        }
        let time = micros(time);
        if time > self.get(INTERVAL_MAX, max) {
            self.set(INTERVAL_MAX, max, time);
        }
    }

    /// Replaces each word of the distributions.
    fn change_buckets(self, change: fn(u32) -> u32) {
        for at in BUCKETS {
            let word = self.load(at);
            let changed = change(word);
            if word != changed {
                self.store(at, changed);
            }
        }
    }

    /// Moves what was counted until now into the row of times that is about to be written.
    pub fn begin_row(self) {
        self.copy_field(TELLING.at, CAUSES.at, COUNTERS);
        self.change_buckets(|word| ((word >> 16) + (word & FULL)).min(FULL) << 16);
        for now in [0, 2] {
            let longest = self.get(INTERVAL_MAX, now).max(self.get(INTERVAL_MAX, now + 1));
            self.set(INTERVAL_MAX, now + 1, longest);
            self.set(INTERVAL_MAX, now, 0);
        }
    }

    /// The row of times that is about to be written.
    pub fn row(self) -> Interval {
        let counter = |i| self.get(TELLING, i).wrapping_sub(self.get(TOLD, i));
        let mut causes = [0; Cause::ALL.len()];
        for (i, cause) in causes.iter_mut().enumerate() {
            *cause = counter(i);
        }
        Interval {
            lookups: self.summary_of_row(INTERVAL_LOOKUPS.at, 0),
            connects: self.summary_of_row(INTERVAL_CONNECTS.at, 2),
            causes,
            resent: counter(Cause::ALL.len()),
            skipped: counter(Cause::ALL.len() + 1),
            silent: self.silent(),
        }
    }

    /// Whether a row of times of everything until now would tell something.
    pub fn has_row(self) -> bool {
        !self.has_same(CAUSES.at, TOLD.at, COUNTERS) || self.has_times()
    }

    fn has_times(self) -> bool {
        let mut buckets = BUCKETS;
        buckets.any(|at| self.load(at) != 0)
    }

    /// Notes that the row of times is in its file, or that none is wanted. Can be repeated.
    pub fn end_row(self) {
        self.copy_field(TOLD.at, TELLING.at, COUNTERS);
        self.change_buckets(|word| word & FULL);
        for now in [0, 2] {
            self.set(INTERVAL_MAX, now + 1, 0);
        }
    }

    /// Keeps the figures of the interval that has just ended, whose counts these are.
    pub fn keep_figures(self, columns: &Columns) {
        let row = self.row();
        self.set(FIGURES, 0, columns.total as u32);
        self.set(FIGURES, 1, (columns.dns_fail + columns.conn_failed) as u32);
        for (i, summary) in [(2, row.lookups), (5, row.connects)] {
            let Summary { p50, p95, max, .. } = summary.unwrap_or_default();
            self.copy_from(FIGURES.at + i, &[micros(p50), micros(p95), micros(max)]);
        }
    }

    /// The figures of the last interval.
    pub fn figures(self) -> Figures {
        let time = |i| nanos(self.get(FIGURES, i));
        Figures {
            probes: (self.get(FIGURES, 0), self.get(FIGURES, 1)),
            lookups: [time(2), time(3), time(4)],
            connects: [time(5), time(6), time(7)],
        }
    }

    /// The row of times of everything until now. Only for readers, in their copy of the ledger: it counts as begun there.
    pub fn interval(self) -> Interval {
        self.begin_row();
        self.row()
    }

    /// The figures that say how it goes now: those of the current interval, or of the last one while the current one has fewer
    /// than [`ENOUGH`] probes and the last one had more. Only for readers: their copy of the ledger keeps them as those of
    /// the last interval.
    pub fn recent(self) -> Figures {
        let (last, columns) = (self.figures(), self.tally().unreported().columns());
        if columns.total < ENOUGH && columns.total < last.probes.0.into() {
            return last;
        }
        self.begin_row();
        self.keep_figures(&columns);
        self.figures()
    }

    fn summary_of_row(self, buckets: usize, max: usize) -> Option<Summary> {
        self.summary_of(&|i| self.load(buckets + i) >> 16, &COARSE, INTERVAL_MAX.at + max + 1)
    }
}
