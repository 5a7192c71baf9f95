//! A record of the ledger: everything it holds about one target.

use core::sync::atomic::{AtomicU32, Ordering};

use super::Ledger;
use super::codes::{self, NO_TIME, decode, encode, micros, nanos};
use super::layout::{
    self, ADDRESS, ANSWER, ANSWER_BEFORE, CAUSES, CONNECT_MAX, CONNECTS, COUNTED, ENDED, ENDING, FAILED, Field, GUARD,
    HOST, INTERVAL_CONNECTS, INTERVAL_LOOKUPS, LAST_FAILURE, LAST_GOOD, LOOKUP_MAX, LOOKUPS, ORDER, PENDING, PORT,
    REPORTED, ROW, SCOPE, SEAL, SERVICE, SILENT, SINCE, SKIPPED, STATE, TIMES, USAGE,
};
use crate::base::histogram::{FINE, Scale, Summary};
use crate::base::limits;
use crate::base::text::Text;
use crate::base::time::{Nanos, unix_u32 as seconds};
use crate::core::health::{Health, State};
use crate::core::probe::End;
use crate::model::cause::{Cause, Phase};
use crate::model::message::Addresses;
use crate::model::outcome::{Counts, Outcome, Tally};
use crate::model::reason::Ending;
use crate::model::target::{Address, Target};

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

// These fields are read and written as one.
const _: () = assert!(SINCE.at == STATE.at + 1 && ROW.at == SINCE.at + 1 && FAILED.at == ROW.at + 2);
const _: () = assert!(ENDING.at == ENDED.at + 1 && ADDRESS.at == ENDING.at + 2 && TIMES.at == ADDRESS.at + 5);
const _: () = assert!(LAST_FAILURE.at == TIMES.at + 2 && LAST_GOOD.at == LAST_FAILURE.at + 8);

/// Words from [`ENDED`] to [`LAST_FAILURE`], and from there to [`LAST_GOOD`].
const FAILURE_AT: usize = LAST_FAILURE.at - ENDED.at;
const GOOD_AT: usize = LAST_GOOD.at - ENDED.at;

/// The kind of an ending that is good: see [`super::codes`].
const GOOD: u32 = 1;

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
    pub fn install(self, target: &Target) {
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
    pub fn reinstall(self, target: &Target, tally: &Tally) {
        self.install(target);
        for outcome in &Outcome::ALL {
            self.count(*outcome, tally.counted().of(*outcome));
            self.set(REPORTED, *outcome as usize, tally.reported().of(*outcome));
        }
    }

    /// What it is used for.
    pub fn usage(self) -> Usage {
        match self.get(USAGE, 0) {
            1 => Usage::Live,
            2 => Usage::Retired,
            _ => Usage::Free,
        }
    }

    /// Sets what it is used for.
    pub fn set_usage(self, usage: Usage) {
        self.set(USAGE, 0, usage as u32);
    }

    /// The target's position in the configuration, from 1.
    pub fn order(self) -> u32 {
        self.get(ORDER, 0)
    }

    /// See [`Record::order`].
    pub fn set_order(self, order: usize) {
        self.set(ORDER, 0, order as u32);
    }

    /// Its target, without the options of its line in the configuration; `None` if the fields are invalid.
    pub fn target(self) -> Option<Target> {
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
    pub(super) fn service(self, room: &mut [u8; limits::SERVICE]) -> Option<&str> {
        self.text(SERVICE, room)
    }

    /// Its counters.
    pub fn tally(self) -> Tally {
        self.tally_of(COUNTED)
    }

    /// The counters of this field, and the reported ones.
    pub(super) fn tally_of(self, counted: Field) -> Tally {
        let reported = self.counts(REPORTED);
        Tally::new(self.counts(counted), reported)
    }

    /// Whether the log has all that is counted.
    pub(super) fn is_reported(self) -> bool {
        self.has_same(COUNTED.at, REPORTED.at, COUNTED.words)
    }

    /// Its rank in a report: removed targets come last.
    pub(super) fn rank(self) -> u32 {
        if self.usage() == Usage::Retired { u32::MAX } else { self.order() }
    }

    /// Notes that a report of everything counted is about to be written.
    pub(super) fn set_pending(self) {
        self.copy_field(PENDING.at, COUNTED.at, COUNTED.words);
    }

    /// Marks the pending counts as reported.
    pub(super) fn mark_pending_reported(self) {
        self.copy_field(REPORTED.at, PENDING.at, PENDING.words);
    }

    fn counts(self, field: Field) -> Counts {
        let mut counts = [0; Outcome::ALL.len()];
        self.copy_to(field.at, &mut counts);
        Counts::new(counts)
    }

    /// Counts a probe: sets the total of its outcome. This is the one store that counts it.
    pub fn count(self, outcome: Outcome, total: u32) {
        self.set(COUNTED, outcome as usize, total);
    }

    /// Notes that the log has everything that this tally has counted.
    pub fn mark_reported(self, tally: &Tally) {
        for outcome in &Outcome::ALL {
            self.set(REPORTED, *outcome as usize, tally.counted().of(*outcome));
        }
    }

    /// Skipped ticks; the number wraps at 2^32.
    pub fn skipped(self) -> u32 {
        self.get(SKIPPED, 0)
    }

    /// Adds skipped ticks.
    pub fn skip(self, ticks: u64) {
        self.set(SKIPPED, 0, self.skipped().wrapping_add(ticks as u32));
    }

    /// How often there was each cause, in the order of [`Cause::ALL`].
    pub fn causes(self) -> [u32; Cause::ALL.len()] {
        let mut causes = [0; Cause::ALL.len()];
        self.copy_to(CAUSES.at, &mut causes);
        causes
    }

    /// SYNs that were sent again.
    pub fn resent(self) -> u32 {
        self.get(CAUSES, Cause::ALL.len())
    }

    fn add_to(self, counter: usize, number: u32) {
        self.set(CAUSES, counter, self.get(CAUSES, counter).wrapping_add(number));
    }

    /// Stores how a tick ended at `at`, in seconds since 1970, adds its times to the distributions and counts its causes.
    pub fn end(self, at: u32, end: &End) {
        let is_good = matches!(end.ending, Ending::Connected(_));
        if let Some(connect) = end.connect {
            // An IP literal needs no lookup: its 0 ns say nothing about a resolver.
            if let Some(lookup) = end.lookup.filter(|lookup| *lookup > Nanos::ZERO) {
                self.add(LOOKUPS.at, LOOKUP_MAX.at, lookup);
                self.add_to_interval(INTERVAL_LOOKUPS.at, 0, lookup);
            }
            if is_good {
                self.add(CONNECTS.at, CONNECT_MAX.at, connect);
                self.add_to_interval(INTERVAL_CONNECTS.at, 2, connect);
            }
        }
        if end.is_remarkable() {
            self.count_causes(end);
        }
        let mut words = [0; FAILURE_AT];
        words[0] = at;
        words[1..8].copy_from_slice(&encode(end.ending));
        words[8] = end.lookup.map_or(NO_TIME, micros);
        words[9] = end.connect.map_or(NO_TIME, micros);
        if is_good {
            return self.write(ENDED, &words);
        }
        let mut all = [0; FAILURE_AT + LAST_FAILURE.words + LAST_GOOD.words];
        self.copy_to(ENDED.at, &mut all);
        if all[1] == GOOD {
            for (to, from) in [(0, 0), (1, 8), (2, 9)] {
                all[GOOD_AT + to] = all[from];
            }
        }
        all[..FAILURE_AT].copy_from_slice(&words);
        if !matches!(end.ending, Ending::Skipped(_)) {
            all[FAILURE_AT..GOOD_AT].copy_from_slice(&words[..8]);
        }
        self.write(ENDED, &all);
    }

    /// Counts why a probe failed or was slow.
    #[inline(never)] // Most probes have no cause.
    fn count_causes(self, end: &End) {
        self.add_to(Cause::ALL.len(), end.resent);
        let failure = match end.ending {
            Ending::LookupFailed(reason) => Some(Cause::of_lookup(reason)),
            Ending::ConnectFailed(reason, _) => Some(Cause::of_connect(reason)),
            Ending::Connected(_) | Ending::Skipped(_) => None,
        };
        let slow_lookup = end.has_slow_lookup().then_some(Cause::SlowLookup);
        for cause in [failure, end.slow, slow_lookup, end.silent.map(|_| Cause::Silent)].into_iter().flatten() {
            self.add_to(cause.index(), 1);
        }
        if let Some(address) = end.silent {
            self.set(SILENT, 0, if address.ip.is_ipv6() { 6 } else { 4 });
            self.copy_from(SILENT.at + 1, &codes::pack(address));
        }
    }

    /// The latest address that was given up before another one accepted.
    pub fn silent(self) -> Option<Address> {
        let family = self.get(SILENT, 0);
        let mut words = [0; 5];
        self.copy_to(SILENT.at + 1, &mut words);
        (family != 0).then(|| codes::unpack(words, family == 6))
    }

    /// Its state, and what speaks against it. Its moments are in seconds since 1970.
    pub fn health(self) -> Health {
        let mut words = [0; 5];
        self.read(STATE, &mut words);
        let [state, since, row, row_since, failed] = words;
        let state = match state {
            1 => State::Up,
            2 => State::Down,
            _ => State::Unknown,
        };
        Health { state, since: since.into(), row, row_since: row_since.into(), failed }
    }

    /// Its state, and the tick of the first of the probes that led to it, in seconds since 1970.
    pub fn state(self) -> (State, i64) {
        let Health { state, since, .. } = self.health();
        (state, since)
    }

    /// Sets its state.
    pub fn set_health(self, health: &Health) {
        let Health { state, since, row, row_since, failed } = *health;
        self.write(STATE, &[state as u32, seconds(since), row, seconds(row_since), failed]);
    }

    /// How the last tick ended, if one has.
    pub fn last(self) -> Option<Last> {
        let mut words = [0; FAILURE_AT];
        self.read(ENDED, &mut words);
        let [at, ending @ .., lookup, connect] = words;
        Some(Last { at: at.into(), ending: decode(ending)?, lookup: time(lookup), connect: time(connect) })
    }

    /// The last failure, if there was one.
    pub fn last_failure(self) -> Option<Last> {
        let mut words = [0; LAST_FAILURE.words];
        self.read(LAST_FAILURE, &mut words);
        let [at, ending @ ..] = words;
        Some(Last { at: at.into(), ending: decode(ending)?, lookup: None, connect: None })
    }

    /// The last probe that connected: when it ended, in seconds since 1970, and the times of its lookup and its connect.
    pub fn last_good(self) -> Option<(i64, Option<Nanos>, Option<Nanos>)> {
        let mut words = [0; FAILURE_AT + LAST_FAILURE.words + LAST_GOOD.words];
        self.read(ENDED, &mut words);
        let [at, lookup, connect] = match words[1] {
            GOOD => [words[0], words[8], words[9]],
            _ => [words[GOOD_AT], words[GOOD_AT + 1], words[GOOD_AT + 2]],
        };
        (at != 0).then(|| (at.into(), time(lookup), time(connect)))
    }

    /// Moves the moments from `from` to `to`, in seconds since 1970, by so many seconds: the clock was not set then.
    pub fn shift(self, from: i64, to: i64, by: i64) {
        for field in [ENDED, LAST_FAILURE, LAST_GOOD] {
            let at = i64::from(self.get(field, 0));
            if (from..=to).contains(&at) {
                self.set(field, 0, seconds(at + by));
            }
        }
    }

    /// The addresses of the last answer that the events tell of, and those before it.
    pub fn answers(self) -> (Addresses, Addresses) {
        (self.answer(ANSWER), self.answer(ANSWER_BEFORE))
    }

    fn answer(self, field: Field) -> Addresses {
        let (mut addresses, first) = (Addresses::new(), self.get(field, 0));
        for i in 0..(first as usize & 0xffff).min(limits::ADDRESSES) {
            let mut words = [0; 5];
            self.copy_to(field.at + 1 + 4 * i, &mut words[..4]);
            addresses.push(codes::unpack(words, first & (1 << (16 + i)) != 0));
        }
        addresses
    }

    /// Sets the addresses of the last answer.
    pub fn set_answer(self, addresses: &[Address]) {
        self.write_answer(ANSWER, addresses);
    }

    /// Sets the addresses before.
    pub fn set_answer_before(self, addresses: &[Address]) {
        self.write_answer(ANSWER_BEFORE, addresses);
    }

    fn write_answer(self, field: Field, addresses: &[Address]) {
        let mut first = addresses.len() as u32;
        for (i, address) in addresses.iter().enumerate() {
            first |= u32::from(address.ip.is_ipv6()) << (16 + i);
            self.copy_from(field.at + 1 + 4 * i, &codes::pack(*address)[..4]);
        }
        self.set(field, 0, first);
    }

    /// Times of the lookups that gave an address, without IP literals.
    pub fn lookups(self) -> Option<Summary> {
        self.summary(LOOKUPS.at, LOOKUP_MAX.at)
    }

    /// Times of the accepted connects.
    pub fn connects(self) -> Option<Summary> {
        self.summary(CONNECTS.at, CONNECT_MAX.at)
    }

    /// How many times of a phase are in this bucket of [`FINE`]: those of [`Record::lookups`] or of [`Record::connects`].
    pub fn times_in(self, phase: Phase, bucket: usize) -> u32 {
        let first = match phase {
            Phase::Lookup => LOOKUPS,
            Phase::Connect => CONNECTS,
        };
        self.get(first, bucket)
    }

    /// Whether it is free or holds only possible values. `reporting`: the ledger has an unfinished report,
    /// so the pending counts are checked, too.
    pub(super) fn is_valid(self, reporting: bool) -> bool {
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
    fn is_plausible(self, earlier: Field, later: Field) -> bool {
        self.counts(later).since(&self.counts(earlier)).columns().total < PLAUSIBLE
    }

    fn seal(self) -> u32 {
        layout::checksum((PORT.at..SEAL.at).map(|at| self.load(at)))
    }

    fn add(self, buckets: usize, max: usize, time: Nanos) {
        let at = buckets + FINE.bucket(time);
        self.store(at, self.load(at).wrapping_add(1));
        self.store(max, self.load(max).max(micros(time)));
    }

    fn summary(self, buckets: usize, max: usize) -> Option<Summary> {
        self.summary_of(&|i| self.load(buckets + i), &FINE, max)
    }

    /// The summary of these buckets, whose longest time is in the word at `max`.
    pub(super) fn summary_of(self, buckets: &dyn Fn(usize) -> u32, scale: &Scale, max: usize) -> Option<Summary> {
        let max = nanos(self.load(max));
        // The stored maximum is rounded down, and must not cut off its own bucket.
        let summary = Summary::of(buckets, scale, max.plus(Nanos::new(999)))?;
        Some(Summary { max, ..summary })
    }

    /// Writes these words, from this field on, so that a reader sees all of them or none.
    fn write(self, first: Field, words: &[u32]) {
        let guard = self.get(GUARD, 0) | 1;
        self.set(GUARD, 0, guard);
        self.copy_from(first.at, words);
        self.set(GUARD, 0, guard.wrapping_add(1));
    }

    /// Reads these guarded words as one. A run that was killed in [`Record::write`] left them half written:
    /// after [`TRIES`] tries that is the result.
    fn read(self, first: Field, words: &mut [u32]) {
        for _ in 0..TRIES {
            let guard = self.get(GUARD, 0);
            self.copy_to(first.at, words);
            if guard % 2 == 0 && guard == self.get(GUARD, 0) {
                return;
            }
            core::hint::spin_loop();
        }
    }

    #[inline(never)]
    fn copy_to(self, first: usize, words: &mut [u32]) {
        for (i, word) in words.iter_mut().enumerate() {
            *word = self.load(first + i);
        }
    }

    #[inline(never)]
    pub(super) fn copy_from(self, first: usize, words: &[u32]) {
        for (i, word) in words.iter().enumerate() {
            self.store(first + i, *word);
        }
    }

    /// Copies the words of a field to another one.
    #[inline(never)]
    pub(super) fn copy_field(self, to: usize, from: usize, words: usize) {
        for i in 0..words {
            self.store(to + i, self.load(from + i));
        }
    }

    /// Whether two fields have the same words.
    #[inline(never)]
    pub(super) fn has_same(self, one: usize, other: usize, words: usize) -> bool {
        (0..words).all(|i| self.load(one + i) == self.load(other + i))
    }

    fn text(self, field: Field, room: &mut [u8]) -> Option<&str> {
        layout::text(self.words?, field, room)
    }

    pub(super) fn get(self, field: Field, i: usize) -> u32 {
        self.load(field.at + i)
    }

    #[inline(never)]
    pub(super) fn load(self, at: usize) -> u32 {
        self.words.map_or(0, |words| words[at].load(Ordering::Acquire))
    }

    pub(super) fn set(self, field: Field, i: usize, value: u32) {
        self.store(field.at + i, value);
    }

    #[inline(never)]
    pub(super) fn store(self, at: usize, value: u32) {
        if let Some(words) = self.words {
            words[at].store(value, Ordering::Release);
        }
    }
}

fn time(micros: u32) -> Option<Nanos> {
    (micros != NO_TIME).then(|| nanos(micros))
}
