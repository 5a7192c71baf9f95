//! Samples, made into rows: those of five minutes are taken together.

use crate::base::histogram::{COARSE, Summary};
use crate::base::time::Nanos;
use crate::model::log_line::{Sample, Sampled};
use crate::model::outcome::Columns;

/// How many seconds are taken together.
const SECONDS: i64 = 300;

/// A phase of a sample is slow from here on, in microseconds: samples do not tell the limit.
const SLOW: u32 = 1_000_000;

/// p50, p95 and maximum of lookups and of connects, in tenths of a millisecond.
pub(super) type Phases = [Option<[u32; 3]>; 2];

/// The times of the samples that are taken together.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// The end of these five minutes, in seconds since 1970.
    pub stamp: i64,
    counts: [[u32; COARSE.buckets()]; 2],
    longest: [Nanos; 2],
}

impl Bucket {
    /// Of the samples of the five minutes that end there.
    pub fn new(stamp: i64) -> Self {
        Self { stamp, counts: [[0; COARSE.buckets()]; 2], longest: [Nanos::ZERO; 2] }
    }

    /// The end of the five minutes that a sample is of.
    pub fn stamp(sample: &Sampled) -> i64 {
        (sample.at.div_euclid(SECONDS) + 1) * SECONDS
    }

    /// Adds the times of the phases that did not fail.
    pub fn add(&mut self, sample: &Sampled) {
        let good = match sample.ending {
            Sample::Connected => [true, true],
            Sample::ConnectFailed => [true, false],
            Sample::LookupFailed | Sample::Skipped(_) => [false, false],
        };
        for (phase, micros) in sample.phases.iter().enumerate() {
            if let Some(micros) = micros.filter(|_| good[phase]) {
                let time = Nanos::new(u64::from(micros) * 1000);
                self.counts[phase][COARSE.bucket(time)] += 1;
                self.longest[phase] = self.longest[phase].max(time);
            }
        }
    }

    /// The times as a row has them.
    pub fn phases(&self) -> Phases {
        let tenths = |time: Nanos| (time.get() / 100_000) as u32;
        let phase = |phase: usize| {
            let counts = &self.counts[phase];
            Summary::of(&|at| counts[at], &COARSE, self.longest[phase])
                .map(|times| [times.p50, times.p95, times.max].map(tenths))
        };
        [phase(0), phase(1)]
    }
}

/// How many ticks without a probe a sample stands for.
pub(super) fn skipped(sample: &Sampled) -> u64 {
    match sample.ending {
        Sample::Skipped(ticks) => ticks.into(),
        Sample::Connected | Sample::ConnectFailed | Sample::LookupFailed => 0,
    }
}

/// What a row would have counted of a sample.
pub(super) fn columns(sample: &Sampled) -> Columns {
    let is_slow = |phase: usize| sample.phases[phase].is_some_and(|micros| micros >= SLOW);
    let mut columns = Columns { total: 1, ..Columns::default() };
    match sample.ending {
        Sample::Connected if is_slow(1) => columns.conn_slow = 1,
        Sample::Connected => columns.conn_fast = 1,
        Sample::ConnectFailed => columns.conn_failed = 1,
        Sample::LookupFailed => columns.dns_fail = 1,
        Sample::Skipped(_) => columns.total = 0,
    }
    if columns.dns_fail == 0 && columns.total == 1 {
        *(if is_slow(0) { &mut columns.dns_slow } else { &mut columns.dns_fast }) = 1;
    }
    columns
}
