//! What the ledger has of one target.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Ledger;
use super::layout::{
    self, ADDRESS, CONNECT_MAX, CONNECTS, COUNTED, ENDED, ENDING, Field, GUARD, HEALTH, HOST, LOOKUP_MAX, LOOKUPS,
    ORDER, PENDING, PORT, REPORTED, SEAL, SERVICE, SINCE, SKIPPED, STATE, TIMES, ZONE,
};
use crate::histogram::{self, Summary};
use crate::limits;
use crate::probe::End;
use crate::tally::{Counts, Ending, Outcome, Reason, Shortage, Tally};
use crate::target::{Address, Target};
use crate::text::Text;
use crate::time::Nanos;

/// Fields without which a ledger of another layout is of no use.
pub(super) const NEEDED: [Field; 9] = [STATE, ORDER, PORT, SERVICE, HOST, ZONE, SEAL, COUNTED, REPORTED];

/// Probes that can be counted and not reported: more than in 200 years at the usual interval.
const PLAUSIBLE: u64 = 1 << 31;

/// How often a reader tries to see the last end whole.
const LOOKS: usize = 100;

/// No time was taken.
const NO_TIME: u32 = u32::MAX;

/// What a record is in use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
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
pub enum Health {
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
    ledger: &'a Ledger,
    place: usize,
}

impl<'a> Record<'a> {
    pub(super) fn new(ledger: &'a Ledger, place: usize) -> Self {
        Self { ledger, place }
    }

    /// Its first word.
    pub(super) fn at(&self) -> usize {
        layout::RECORDS_AT + self.place * layout::RECORD
    }

    /// Puts a new target here that has counted nothing.
    pub fn install(&self, target: &Target) {
        if self.place >= self.ledger.places {
            return;
        }
        self.set(STATE, 0, State::Free as u32);
        for word in STATE.words..layout::RECORD {
            self.ledger.store(self.at() + word, 0);
        }
        self.set(PORT, 0, target.port.into());
        self.ledger.set_text(self.at() + SERVICE.at, target.service.as_str());
        self.ledger.set_text(self.at() + HOST.at, target.host.as_str());
        self.ledger.set_text(self.at() + ZONE.at, target.zone.as_str());
        self.set(SEAL, 0, self.seal());
        self.set_state(State::Live);
    }

    /// Puts a target here that has counted so much, some of it in the log.
    pub fn reinstall(&self, target: &Target, tally: &Tally) {
        self.install(target);
        for outcome in Outcome::ALL {
            self.count(outcome, tally.counted().of(outcome));
            self.set(REPORTED, outcome as usize, tally.reported().of(outcome));
        }
    }

    /// What it is in use for.
    pub fn state(&self) -> State {
        match self.get(STATE, 0) {
            1 => State::Live,
            2 => State::Retired,
            _ => State::Free,
        }
    }

    /// It is in use for this from here on.
    pub fn set_state(&self, state: State) {
        self.set(STATE, 0, state as u32);
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
        let service: Text<{ limits::SERVICE }> = self.ledger.text(self.at() + SERVICE.at)?;
        let host: Text<{ limits::HOST }> = self.ledger.text(self.at() + HOST.at)?;
        let zone: Text<{ limits::DEVICE }> = self.ledger.text(self.at() + ZONE.at)?;
        let percent = if zone.is_empty() { "" } else { "%" };
        let host: Text<{ limits::HOST + 1 + limits::DEVICE }> = Text::format(format_args!("{host}{percent}{zone}"));
        Target::new(service.as_str(), host.as_str(), u16::try_from(self.get(PORT, 0)).ok()?).ok()
    }

    /// Its counters.
    pub fn tally(&self) -> Tally {
        let reported = self.counts(REPORTED);
        Tally::new(self.counts(COUNTED), reported)
    }

    /// Its counters as the report that is being written has them.
    pub(super) fn pending(&self) -> Tally {
        let reported = self.counts(REPORTED);
        Tally::new(self.counts(PENDING), reported)
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
        for outcome in Outcome::ALL {
            self.set(REPORTED, outcome as usize, tally.counted().of(outcome));
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
        let connected = matches!(end.ending, Ending::Connected(_));
        // A literal has no lookup: its 0 ns say nothing about a resolver.
        let looked_up = end.lookup.filter(|time| *time > Nanos::ZERO && end.connect.is_some());
        self.add(LOOKUPS, LOOKUP_MAX, looked_up);
        self.add(CONNECTS, CONNECT_MAX, end.connect.filter(|_| connected));
        let (kind, detail) = encode(end.ending);
        let address = match end.ending {
            Ending::Connected(Address { ip, scope }) => pack(ip, scope),
            Ending::LookupFailed(_) | Ending::ConnectFailed(_) | Ending::Skipped(_) => [0; 5],
        };
        self.guarded(|| {
            self.set(ENDED, 0, at);
            self.set(ENDING, 0, kind);
            self.set(ENDING, 1, detail);
            for (i, word) in address.into_iter().enumerate() {
                self.set(ADDRESS, i, word);
            }
            self.set(TIMES, 0, micros(end.lookup));
            self.set(TIMES, 1, micros(end.connect));
        });
    }

    /// Whether the target answers, and since when, in seconds since 1970.
    pub fn health(&self) -> (Health, i64) {
        self.whole(|| {
            let health = match self.get(HEALTH, 0) {
                1 => Health::Up,
                2 => Health::Down,
                _ => Health::Unknown,
            };
            (health, self.get(SINCE, 0).into())
        })
    }

    /// Its health is this since the second `since`.
    pub fn set_health(&self, health: Health, since: u32) {
        self.guarded(|| {
            self.set(HEALTH, 0, health as u32);
            self.set(SINCE, 0, since);
        });
    }

    /// How the last tick ended, if one has.
    pub fn last(&self) -> Option<Last> {
        self.whole(|| {
            let address = unpack(core::array::from_fn(|i| self.get(ADDRESS, i)), self.get(ENDING, 1));
            let ending = decode(self.get(ENDING, 0), self.get(ENDING, 1), address)?;
            let time = |i| Some(self.get(TIMES, i)).filter(|micros| *micros != NO_TIME);
            let time = |i| time(i).map(|micros| Nanos::new(u64::from(micros) * 1000));
            Some(Last { at: self.get(ENDED, 0).into(), ending, lookup: time(0), connect: time(1) })
        })
    }

    /// Times of the lookups that gave an address, without those of literals.
    pub fn lookups(&self) -> Option<Summary> {
        self.summary(LOOKUPS, LOOKUP_MAX)
    }

    /// Times of the connects that were accepted.
    pub fn connects(&self) -> Option<Summary> {
        self.summary(CONNECTS, CONNECT_MAX)
    }

    /// Whether it is free or everything in it can be.
    pub(super) fn is_right(&self) -> bool {
        let is_plausible = |tally: Tally| tally.unreported().columns().total < PLAUSIBLE;
        let since_pending = Tally::new(self.counts(COUNTED), self.counts(PENDING));
        let report = self.ledger.journal().is_none() || (is_plausible(self.pending()) && is_plausible(since_pending));
        match self.get(STATE, 0) {
            0 => true,
            1 | 2 => {
                self.get(SEAL, 0) == self.seal() && self.target().is_some() && is_plausible(self.tally()) && report
            }
            _ => false,
        }
    }

    fn seal(&self) -> u32 {
        let words = PORT.at..SEAL.at;
        layout::checksum(words.map(|word| self.ledger.load(self.at() + word)))
    }

    fn add(&self, buckets: Field, max: Field, time: Option<Nanos>) {
        let Some(time) = time else { return };
        let bucket = histogram::bucket(time);
        self.set(buckets, bucket, self.get(buckets, bucket).wrapping_add(1));
        self.set(max, 0, self.get(max, 0).max(micros(Some(time))));
    }

    fn summary(&self, buckets: Field, max: Field) -> Option<Summary> {
        // The longest, rounded down to the microsecond, is not to cut off the bucket it is in.
        let max = Nanos::new(u64::from(self.get(max, 0)) * 1000 + 999);
        let record = *self;
        let summary = Summary::of((0..buckets.words).map(move |i| record.get(buckets, i)), max)?;
        Some(Summary { max: max.before(Nanos::new(999)), ..summary })
    }

    /// Writes what a reader must see as one.
    fn guarded(&self, write: impl FnOnce()) {
        let guard = self.get(GUARD, 0) | 1;
        self.set(GUARD, 0, guard);
        write();
        self.set(GUARD, 0, guard.wrapping_add(1));
    }

    /// Reads what must be seen as one. A run that was killed while it wrote left it half done:
    /// after some looks that is what is seen.
    fn whole<T>(&self, read: impl Fn() -> T) -> T {
        for _ in 0..LOOKS {
            let guard = self.get(GUARD, 0);
            let seen = read();
            if guard.is_multiple_of(2) && guard == self.get(GUARD, 0) {
                return seen;
            }
            core::hint::spin_loop();
        }
        read()
    }

    fn get(&self, field: Field, i: usize) -> u32 {
        if self.place < self.ledger.places { self.ledger.load(self.at() + field.at + i) } else { 0 }
    }

    fn set(&self, field: Field, i: usize, value: u32) {
        if self.place < self.ledger.places {
            self.ledger.store(self.at() + field.at + i, value);
        }
    }
}

/// Microseconds, rounded down.
fn micros(time: Option<Nanos>) -> u32 {
    time.map_or(NO_TIME, |time| (time.get() / 1000).min(u64::from(NO_TIME - 1)) as u32)
}

/// Marks an address of the other family, and one that is none.
const IPV6: u32 = 6;

fn pack(ip: IpAddr, scope: u32) -> [u32; 5] {
    let bits = match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    };
    [bits as u32, (bits >> 32) as u32, (bits >> 64) as u32, (bits >> 96) as u32, scope]
}

fn unpack([a, b, c, d, scope]: [u32; 5], family: u32) -> Address {
    let bits = [d, c, b].into_iter().fold(0, |bits, word| (bits | u128::from(word)) << 32) | u128::from(a);
    let ip = if family == IPV6 { IpAddr::V6(Ipv6Addr::from(bits)) } else { IpAddr::V4(Ipv4Addr::from(a)) };
    Address { ip, scope }
}

/// Bit of a detail that is an errno.
const ERRNO: u32 = 1 << 31;

fn encode(ending: Ending) -> (u32, u32) {
    match ending {
        Ending::Connected(Address { ip: IpAddr::V4(_), .. }) => (1, 0),
        Ending::Connected(Address { ip: IpAddr::V6(_), .. }) => (1, IPV6),
        Ending::LookupFailed(reason) => (2, reason_code(reason)),
        Ending::ConnectFailed(reason) => (3, reason_code(reason)),
        Ending::Skipped(shortage) => (4, shortage_code(shortage)),
    }
}

fn decode(kind: u32, detail: u32, address: Address) -> Option<Ending> {
    let reason = || match detail {
        errno if errno & ERRNO != 0 => Some(Reason::Other((errno & !ERRNO) as i32)),
        code => Reason::NAMED.into_iter().find(|reason| reason_code(*reason) == code),
    };
    match kind {
        1 => Some(Ending::Connected(address)),
        2 => reason().map(Ending::LookupFailed),
        3 => reason().map(Ending::ConnectFailed),
        4 => Shortage::ALL.into_iter().find(|shortage| shortage_code(*shortage) == detail).map(Ending::Skipped),
        _ => None,
    }
}

fn reason_code(reason: Reason) -> u32 {
    match reason {
        Reason::NameNotFound => 1,
        Reason::NoAddress => 2,
        Reason::ResolverFailed => 3,
        Reason::ResolverSilent => 4,
        Reason::TimedOut => 5,
        Reason::Refused => 6,
        Reason::Reset => 7,
        Reason::NetworkUnreachable => 8,
        Reason::HostUnreachable => 9,
        Reason::Denied => 10,
        Reason::NoDevice => 11,
        Reason::Other(errno) => ERRNO | errno as u32,
    }
}

fn shortage_code(shortage: Shortage) -> u32 {
    match shortage {
        Shortage::Descriptors => 1,
        Shortage::Memory => 2,
        Shortage::Ports => 3,
        Shortage::Processes => 4,
        Shortage::Rights => 5,
        Shortage::Helpers => 6,
        Shortage::Probes => 7,
        Shortage::Late => 8,
        Shortage::Socket => 9,
    }
}
