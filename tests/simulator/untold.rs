//! What the table of times does not have of a target yet, counted by the simulator itself.

use tcpmon::base::time::Nanos;
use tcpmon::core::ledger::{Interval, Ledger};
use tcpmon::core::probe::End;
use tcpmon::model::cause::Cause;
use tcpmon::model::outcome::Outcome;
use tcpmon::model::reason::Ending;

/// Words of a row in the simulated file: the port of its target, then what it tells.
pub type Row = [u32; 4 + Cause::ALL.len() + 3];

/// All of a port: what the tables of times must have, what they have, and what nobody wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub counted: Untold,
    pub told: Untold,
    pub thrown: Untold,
}

/// The counters and times of some probes. The number of skipped ticks may be ahead or behind for the time of a wake-up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Untold {
    causes: [u32; Cause::ALL.len()],
    resent: u32,
    /// Skipped ticks.
    pub skipped: i64,
    lookups: u32,
    connects: u32,
    /// The longest lookup and the longest connect, in microseconds.
    longest: (u64, u64),
}

impl Untold {
    /// A probe has ended.
    pub fn end(&mut self, end: &End) {
        self.resent += end.resent;
        self.skipped += i64::from(end.outcome.is_none());
        let is_slow = matches!(end.outcome, Some(Outcome::SlowFast | Outcome::SlowSlow | Outcome::SlowFailed));
        let failure = match end.ending {
            Ending::LookupFailed(reason) => Some(Cause::of_lookup(reason)),
            Ending::ConnectFailed(reason, _) => Some(Cause::of_connect(reason)),
            Ending::Connected(_) | Ending::Skipped(_) => None,
        };
        let causes = [failure, end.slow, is_slow.then_some(Cause::SlowLookup), end.silent.map(|_| Cause::Silent)];
        causes.into_iter().flatten().for_each(|cause| self.causes[cause.index()] += 1);
        let micros = |time: Nanos| time.get() / 1000;
        // A literal has no lookup.
        if let Some(lookup) = end.lookup.filter(|lookup| *lookup > Nanos::ZERO && end.connect.is_some()) {
            self.lookups += 1;
            self.longest.0 = self.longest.0.max(micros(lookup));
        }
        if let (Ending::Connected(_), Some(connect)) = (end.ending, end.connect) {
            self.connects += 1;
            self.longest.1 = self.longest.1.max(micros(connect));
        }
    }

    /// What a row of the ledger tells.
    pub fn of(row: &Interval) -> Self {
        let micros = |time: Nanos| time.get() / 1000;
        let times = |summary: Option<tcpmon::base::histogram::Summary>| {
            summary.map_or((0, 0), |summary| (summary.count as u32, micros(summary.max)))
        };
        let ((lookups, lookup), (connects, connect)) = (times(row.lookups), times(row.connects));
        Self {
            causes: row.causes,
            resent: row.resent,
            skipped: row.skipped.into(),
            lookups,
            connects,
            longest: (lookup, connect),
        }
    }

    /// What the next row of this record will tell. The ledger is a copy.
    pub fn left(copy: &Ledger, record: usize) -> Self {
        copy.record(record).begin_row();
        Self::of(&copy.record(record).row())
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self { longest: self.longest, ..Self::default() }
    }

    /// A row has told this. Ticks may have been skipped since.
    pub fn tell(&mut self, row: &Self) {
        *self = Self { skipped: self.skipped - row.skipped, ..Self::default() };
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.causes.iter_mut().zip(other.causes).for_each(|(sum, one)| *sum += one);
        self.resent += other.resent;
        self.skipped += other.skipped;
        self.lookups += other.lookups;
        self.connects += other.connects;
        self.longest = (self.longest.0.max(other.longest.0), self.longest.1.max(other.longest.1));
    }

    /// Whether it is the same; a longest time matters only if there is one.
    pub fn is_like(&self, other: &Self) -> bool {
        let mut other = *other;
        if self.lookups == 0 {
            other.longest.0 = self.longest.0;
        }
        if self.connects == 0 {
            other.longest.1 = self.longest.1;
        }
        *self == other
    }

    /// Whether all counters are the same.
    pub fn counts_as(&self, other: &Self) -> bool {
        *self == Self { longest: self.longest, ..*other }
    }

    /// Of what this counts, `before` has become `after`.
    pub fn replace(&mut self, before: &Self, after: &Self) {
        let by = |sum: &mut u32, before: u32, after: u32| *sum = sum.wrapping_sub(before).wrapping_add(after);
        for (i, sum) in self.causes.iter_mut().enumerate() {
            by(sum, before.causes[i], after.causes[i]);
        }
        by(&mut self.resent, before.resent, after.resent);
        by(&mut self.lookups, before.lookups, after.lookups);
        by(&mut self.connects, before.connects, after.connects);
        self.skipped += after.skipped - before.skipped;
    }

    /// As a row in the simulated file.
    pub fn row(&self, port: u16) -> Row {
        let mut row = [0; size_of::<Row>() / 4];
        let times = [self.longest.0 as u32, self.longest.1 as u32];
        let head = [port.into(), self.resent, self.skipped as u32, self.lookups];
        let words = head.into_iter().chain(self.causes).chain([self.connects]).chain(times);
        row.iter_mut().zip(words).for_each(|(word, value)| *word = value);
        row
    }

    /// The same, read back: the port and what the row tells.
    pub fn read(row: &Row) -> (u16, Self) {
        let [port, resent, skipped, lookups, rest @ ..] = *row;
        let mut causes = [0; Cause::ALL.len()];
        causes.copy_from_slice(&rest[..Cause::ALL.len()]);
        let [connects, lookup, connect] = [0, 1, 2].map(|i| rest[Cause::ALL.len() + i]);
        let longest = (lookup.into(), connect.into());
        (port as u16, Self { causes, resent, skipped: skipped.into(), lookups, connects, longest })
    }
}
