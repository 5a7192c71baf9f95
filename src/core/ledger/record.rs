//! A record of the ledger: everything it holds about one target.

use core::sync::atomic::{AtomicU32, Ordering};

use super::Ledger;
use super::codes::{GUARDED, Guarded, NO_TIME, decode, encode, micros, nanos};
use super::layout::{
    self, CONNECT_MAX, CONNECTS, COUNTED, ENDED, Field, GUARD, HOST, LOOKUP_MAX, LOOKUPS, ORDER, PENDING, PORT,
    REPORTED, SCOPE, SEAL, SERVICE, SINCE, SKIPPED, STATE, TIMES, USAGE,
};
use crate::base::histogram::{self, Summary};
use crate::base::limits;
use crate::base::text::Text;
use crate::base::time::Nanos;
use crate::core::probe::End;
use crate::model::outcome::{Counts, Outcome, Tally};
use crate::model::reason::Ending;
use crate::model::target::Target;

/// The first words of the fields that a ledger of another layout must have to be converted.
pub(super) const NEEDED: [usize; 9] =
    [USAGE.at, ORDER.at, PORT.at, SERVICE.at, HOST.at, SCOPE.at, SEAL.at, COUNTED.at, REPORTED.at];

/// A record with this many unreported probes is damaged: that is 136 years at the default interval.
const PLAUSIBLE: u64 = 1 << 31;

/// How often a reader tries again while the guarded fields are being written.
const TRIES: usize = 100;

/// What a record is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Usage {
    /// Nothing.
    Free = 0,
    /// A configured target.
    Live = 1,
    /// A removed target that has counts left to report.
    Retired = 2,
}

/// Whether a target answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// No probe has ended.
    Unknown = 0,
    /// The latest ended probe connected.
    Up = 1,
    /// The latest ended probe failed.
    Down = 2,
}

/// How the last tick ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// When, in seconds since 1970.
    pub at: i64,
    /// How.
    pub ending: Ending,
    /// Time of its lookup, rounded down to the microsecond.
    pub lookup: Option<Nanos>,
    /// Time of its connect, rounded down to the microsecond.
    pub connect: Option<Nanos>,
}

/// A record of the ledger. Beyond the ledger's capacity, writes do nothing and reads give zeroes.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// `None` if the ledger has no record of this number.
    words: Option<&'a [AtomicU32; layout::RECORD]>,
}

impl<'a> Record<'a> {
    #[inline(never)]
    pub(super) fn new(ledger: &'a Ledger, number: usize) -> Self {
        let exists = number < ledger.capacity;
        let words = ledger.memory.get(layout::record(number)..).filter(|_| exists);
        Self { words: words.and_then(<[AtomicU32]>::first_chunk) }
    }

    /// Uses this record for a new target that has counted nothing.
    pub fn install(&self, target: &Target) {
        let Some(words) = self.words else { return };
        self.set_usage(Usage::Free);
        for word in &words[USAGE.words..] {
            word.store(0, Ordering::Release);
        }
        self.set(PORT, 0, target.port.into());
        layout::set_text(words, SERVICE, target.service.as_str());
        layout::set_text(words, HOST, target.host.as_str());
        layout::set_text(words, SCOPE, target.scope.as_str());
        self.set(SEAL, 0, self.seal());
        self.set_usage(Usage::Live);
    }

    /// Uses this record for a target with these counted and reported probes.
    pub fn reinstall(&self, target: &Target, tally: &Tally) {
        self.install(target);
        for outcome in &Outcome::ALL {
            self.count(*outcome, tally.counted().of(*outcome));
            self.set(REPORTED, *outcome as usize, tally.reported().of(*outcome));
        }
    }

    /// What it is used for.
    pub fn usage(&self) -> Usage {
        match self.get(USAGE, 0) {
            1 => Usage::Live,
            2 => Usage::Retired,
            _ => Usage::Free,
        }
    }

    /// Sets what it is used for.
    pub fn set_usage(&self, usage: Usage) {
        self.set(USAGE, 0, usage as u32);
    }

    /// The target's position in the configuration, from 1.
    pub fn order(&self) -> u32 {
        self.get(ORDER, 0)
    }

    /// See [`Record::order`].
    pub fn set_order(&self, order: usize) {
        self.set(ORDER, 0, order as u32);
    }

    /// Its target, without the options of its line in the configuration; `None` if the fields are invalid.
    pub fn target(&self) -> Option<Target> {
        let (mut room, mut host) = ([0; limits::HOST], Text::<{ limits::HOST + 1 + limits::DEVICE }>::new());
        host.push(self.text(HOST, &mut room)?);
        let scope = self.text(SCOPE, &mut room)?;
        if !scope.is_empty() {
            host.push("%");
            host.push(scope);
        }
        Target::new(self.text(SERVICE, &mut room)?, host.as_str(), u16::try_from(self.get(PORT, 0)).ok()?).ok()
    }

    /// Its target's service.
    pub(super) fn service<'b>(&self, room: &'b mut [u8; limits::SERVICE]) -> Option<&'b str> {
        self.text(SERVICE, room)
    }

    /// Its counters.
    pub fn tally(&self) -> Tally {
        self.tally_of(COUNTED)
    }

    /// The counters of this field, and the reported ones.
    pub(super) fn tally_of(&self, counted: Field) -> Tally {
        let reported = self.counts(REPORTED);
        Tally::new(self.counts(counted), reported)
    }

    /// Whether the log has all that is counted.
    pub(super) fn is_reported(&self) -> bool {
        (0..COUNTED.words).all(|i| self.get(COUNTED, i) == self.get(REPORTED, i))
    }

    /// Its rank in a report: removed targets come last.
    pub(super) fn rank(&self) -> u32 {
        if self.usage() == Usage::Retired { u32::MAX } else { self.order() }
    }

    /// Notes that a report of everything counted is about to be written.
    pub(super) fn set_pending(&self) {
        for i in 0..COUNTED.words {
            self.set(PENDING, i, self.get(COUNTED, i));
        }
    }

    /// Marks the pending counts as reported.
    pub(super) fn mark_pending_reported(&self) {
        for i in 0..PENDING.words {
            self.set(REPORTED, i, self.get(PENDING, i));
        }
    }

    fn counts(&self, field: Field) -> Counts {
        Counts::new(core::array::from_fn(|i| self.get(field, i)))
    }

    /// Counts a probe: sets the total of its outcome. This is the one store that counts it.
    pub fn count(&self, outcome: Outcome, total: u32) {
        self.set(COUNTED, outcome as usize, total);
    }

    /// Notes that the log has everything that this tally has counted.
    pub fn mark_reported(&self, tally: &Tally) {
        for outcome in &Outcome::ALL {
            self.set(REPORTED, *outcome as usize, tally.counted().of(*outcome));
        }
    }

    /// Skipped ticks; the number wraps at 2^32.
    pub fn skipped(&self) -> u32 {
        self.get(SKIPPED, 0)
    }

    /// Adds skipped ticks.
    pub fn skip(&self, ticks: u64) {
        self.set(SKIPPED, 0, self.skipped().wrapping_add(ticks as u32));
    }

    /// Stores how a tick ended at `at`, in seconds since 1970, and adds its times to the distributions.
    pub fn end(&self, at: u32, end: &End) {
        if let Some(connect) = end.connect {
            // An IP literal needs no lookup: its 0 ns say nothing about a resolver.
            if let Some(lookup) = end.lookup.filter(|lookup| *lookup > Nanos::ZERO) {
                self.add(LOOKUPS, LOOKUP_MAX, lookup);
            }
            if matches!(end.ending, Ending::Connected(_)) {
                self.add(CONNECTS, CONNECT_MAX, connect);
            }
        }
        let mut last = Guarded([0; GUARDED]);
        last.set(ENDED, 0, at);
        encode(end.ending, &mut last);
        last.set(TIMES, 0, end.lookup.map_or(NO_TIME, micros));
        last.set(TIMES, 1, end.connect.map_or(NO_TIME, micros));
        self.write(ENDED, &last.0[ENDED.at - STATE.at..]);
    }

    /// Whether the target answers, and since when, in seconds since 1970.
    pub fn state(&self) -> (State, i64) {
        let guarded = self.read();
        let state = match guarded.of(STATE, 0) {
            1 => State::Up,
            2 => State::Down,
            _ => State::Unknown,
        };
        (state, guarded.of(SINCE, 0).into())
    }

    /// Sets its state, which began at `since`, in seconds since 1970.
    pub fn set_state(&self, state: State, since: u32) {
        self.write(STATE, &[state as u32, since]);
    }

    /// How the last tick ended, if one has.
    pub fn last(&self) -> Option<Last> {
        let guarded = self.read();
        let time = |i| match guarded.of(TIMES, i) {
            NO_TIME => None,
            micros => Some(nanos(micros)),
        };
        let ending = decode(&guarded)?;
        Some(Last { at: guarded.of(ENDED, 0).into(), ending, lookup: time(0), connect: time(1) })
    }

    /// Times of the lookups that gave an address, without IP literals.
    pub fn lookups(&self) -> Option<Summary> {
        self.summary(LOOKUPS, LOOKUP_MAX)
    }

    /// Times of the accepted connects.
    pub fn connects(&self) -> Option<Summary> {
        self.summary(CONNECTS, CONNECT_MAX)
    }

    /// Whether it is free or holds only possible values. `reporting`: the ledger has an unfinished report,
    /// so the pending counts are checked, too.
    pub(super) fn is_valid(&self, reporting: bool) -> bool {
        match self.get(USAGE, 0) {
            0 => true,
            1 | 2 => {
                self.get(SEAL, 0) == self.seal()
                    && self.target().is_some()
                    && self.is_plausible(REPORTED, COUNTED)
                    && (!reporting || (self.is_plausible(REPORTED, PENDING) && self.is_plausible(PENDING, COUNTED)))
            }
            _ => false,
        }
    }

    /// Whether the number of probes between these counters is possible.
    fn is_plausible(&self, earlier: Field, later: Field) -> bool {
        self.counts(later).since(&self.counts(earlier)).columns().total < PLAUSIBLE
    }

    fn seal(&self) -> u32 {
        layout::checksum((PORT.at..SEAL.at).map(|at| self.load(at)))
    }

    fn add(&self, buckets: Field, max: Field, time: Nanos) {
        let bucket = histogram::bucket(time);
        self.set(buckets, bucket, self.get(buckets, bucket).wrapping_add(1));
        self.set(max, 0, self.get(max, 0).max(micros(time)));
    }

    fn summary(&self, buckets: Field, max: Field) -> Option<Summary> {
        let max = nanos(self.get(max, 0));
        // The stored maximum is rounded down, and must not cut off its own bucket.
        let longest = max.plus(Nanos::new(999));
        let (record, first) = (*self, buckets.at);
        let summary = Summary::of((0..histogram::BUCKETS).map(move |i| record.load(first + i)), longest)?;
        Some(Summary { max, ..summary })
    }

    /// Writes these words, from this field on, so that a reader sees all of them or none.
    fn write(&self, first: Field, words: &[u32]) {
        let guard = self.get(GUARD, 0) | 1;
        self.set(GUARD, 0, guard);
        for (i, word) in words.iter().enumerate() {
            self.set(first, i, *word);
        }
        self.set(GUARD, 0, guard.wrapping_add(1));
    }

    /// Reads the guarded fields as one. A run that was killed in [`Record::write`] left them half written:
    /// after [`TRIES`] tries that is the result.
    fn read(&self) -> Guarded {
        let mut words = [0; GUARDED];
        for _ in 0..TRIES {
            let guard = self.get(GUARD, 0);
            for (i, word) in words.iter_mut().enumerate() {
                *word = self.get(STATE, i);
            }
            if guard % 2 == 0 && guard == self.get(GUARD, 0) {
                break;
            }
            core::hint::spin_loop();
        }
        Guarded(words)
    }

    fn text<'b>(&self, field: Field, room: &'b mut [u8]) -> Option<&'b str> {
        layout::text(self.words?, field, room)
    }

    fn get(&self, field: Field, i: usize) -> u32 {
        self.load(field.at + i)
    }

    fn load(&self, at: usize) -> u32 {
        self.words.map_or(0, |words| words[at].load(Ordering::Acquire))
    }

    fn set(&self, field: Field, i: usize, value: u32) {
        if let Some(words) = self.words {
            words[field.at + i].store(value, Ordering::Release);
        }
    }
}
