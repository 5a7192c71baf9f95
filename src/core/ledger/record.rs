//! What the ledger has of one target.

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

/// Where the fields are without which a ledger of another layout is of no use.
pub(super) const NEEDED: [usize; 9] =
    [USAGE.at, ORDER.at, PORT.at, SERVICE.at, HOST.at, SCOPE.at, SEAL.at, COUNTED.at, REPORTED.at];

/// Probes that can be counted and not reported: more than in 200 years at the usual interval.
const PLAUSIBLE: u64 = 1 << 31;

/// How often a reader tries to see the last end whole.
const LOOKS: usize = 100;

/// What a record is in use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Usage {
    /// Nothing.
    Free = 0,
    /// A configured target.
    Live = 1,
    /// A target that is gone and has something left to report.
    Retired = 2,
}

/// Whether a target answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// No probe has ended.
    Unknown = 0,
    /// The latest probe of those that have ended connected.
    Up = 1,
    /// It failed.
    Down = 2,
}

/// How the last tick ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// When, in seconds since 1970.
    pub at: i64,
    /// How.
    pub ending: Ending,
    /// Time of its lookup, to the microsecond.
    pub lookup: Option<Nanos>,
    /// Time of its connect, to the microsecond.
    pub connect: Option<Nanos>,
}

/// A place of the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// None where the ledger has no such place.
    words: Option<&'a [AtomicU32; layout::RECORD]>,
}

impl<'a> Record<'a> {
    #[inline(never)]
    pub(super) fn new(ledger: &'a Ledger, number: usize) -> Self {
        let there = number < ledger.capacity;
        let words = ledger.memory.get(layout::record(number)..).filter(|_| there);
        Self { words: words.and_then(<[AtomicU32]>::first_chunk) }
    }

    /// Puts a new target here that has counted nothing.
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

    /// Puts a target here that has counted so much, some of it in the log.
    pub fn reinstall(&self, target: &Target, tally: &Tally) {
        self.install(target);
        for outcome in &Outcome::ALL {
            self.count(*outcome, tally.counted().of(*outcome));
            self.set(REPORTED, *outcome as usize, tally.reported().of(*outcome));
        }
    }

    /// What it is in use for.
    pub fn usage(&self) -> Usage {
        match self.get(USAGE, 0) {
            1 => Usage::Live,
            2 => Usage::Retired,
            _ => Usage::Free,
        }
    }

    /// It is in use for this from here on.
    pub fn set_usage(&self, usage: Usage) {
        self.set(USAGE, 0, usage as u32);
    }

    /// The target's place in the configuration, from 1.
    pub fn order(&self) -> u32 {
        self.get(ORDER, 0)
    }

    /// See [`Record::order`].
    pub fn set_order(&self, order: usize) {
        self.set(ORDER, 0, order as u32);
    }

    /// Its target, with the options that the configuration adds left out.
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

    /// These counters, and what the log has of them.
    pub(super) fn tally_of(&self, counted: Field) -> Tally {
        let reported = self.counts(REPORTED);
        Tally::new(self.counts(counted), reported)
    }

    /// Whether the log has all that is counted.
    pub(super) fn is_reported(&self) -> bool {
        (0..COUNTED.words).all(|i| self.get(COUNTED, i) == self.get(REPORTED, i))
    }

    /// Where it stands in a report: the targets that are gone come last.
    pub(super) fn rank(&self) -> u32 {
        if self.usage() == Usage::Retired { u32::MAX } else { self.order() }
    }

    /// A report is about to be written that has all that is counted.
    pub(super) fn set_pending(&self) {
        for i in 0..COUNTED.words {
            self.set(PENDING, i, self.get(COUNTED, i));
        }
    }

    /// The log has what was pending.
    pub(super) fn mark_pending(&self) {
        for i in 0..PENDING.words {
            self.set(REPORTED, i, self.get(PENDING, i));
        }
    }

    fn counts(&self, field: Field) -> Counts {
        Counts::new(core::array::from_fn(|i| self.get(field, i)))
    }

    /// Counts a probe: of this outcome there are now so many. The one store by which it is
    /// counted.
    pub fn count(&self, outcome: Outcome, total: u32) {
        self.set(COUNTED, outcome as usize, total);
    }

    /// The log has all that this tally has counted.
    pub fn mark_reported(&self, tally: &Tally) {
        for outcome in &Outcome::ALL {
            self.set(REPORTED, *outcome as usize, tally.counted().of(*outcome));
        }
    }

    /// Ticks that were no probe.
    pub fn skipped(&self) -> u32 {
        self.get(SKIPPED, 0)
    }

    /// So many more of those.
    pub fn skip(&self, ticks: u64) {
        self.set(SKIPPED, 0, self.skipped().wrapping_add(ticks as u32));
    }

    /// Keeps how a tick ended, at this second since 1970, and its times.
    pub fn end(&self, at: u32, end: &End) {
        if let Some(connect) = end.connect {
            // A literal has no lookup: its 0 ns say nothing about a resolver.
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

    /// Its state is this since the second `since`.
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

    /// Times of the lookups that gave an address, without those of literals.
    pub fn lookups(&self) -> Option<Summary> {
        self.summary(LOOKUPS, LOOKUP_MAX)
    }

    /// Times of the connects that were accepted.
    pub fn connects(&self) -> Option<Summary> {
        self.summary(CONNECTS, CONNECT_MAX)
    }

    /// Whether it is free or everything in it can be, while a report is being written or none is.
    pub(super) fn is_right(&self, reporting: bool) -> bool {
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

    /// Whether so many probes can lie between these counters.
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
        // The longest, rounded down to the microsecond, is not to cut off the bucket it is in.
        let longest = max.plus(Nanos::new(999));
        let (record, first) = (*self, buckets.at);
        let summary = Summary::of((0..histogram::BUCKETS).map(move |i| record.load(first + i)), longest)?;
        Some(Summary { max, ..summary })
    }

    /// Writes what a reader must see as one, from this field on.
    fn write(&self, first: Field, words: &[u32]) {
        let guard = self.get(GUARD, 0) | 1;
        self.set(GUARD, 0, guard);
        for (i, word) in words.iter().enumerate() {
            self.set(first, i, *word);
        }
        self.set(GUARD, 0, guard.wrapping_add(1));
    }

    /// Reads what must be seen as one. A run that was killed while it wrote left it half done:
    /// after some looks that is what is seen.
    fn read(&self) -> Guarded {
        let mut words = [0; GUARDED];
        for _ in 0..LOOKS {
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
