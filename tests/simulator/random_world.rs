//! The random world: lookups and connects that fail in every way and take any time, often a time
//! close to a threshold.

use std::collections::HashMap;

use tcpmon::base::time::{Instant, Nanos, WallTime};
use tcpmon::model::log_names::Kind;
use tcpmon::model::outcome::{Columns, Thresholds};
use tcpmon::model::reason::{Reason, Shortage};

use crate::log_directory::LogDirectory;
use crate::random::Random;
use crate::wall_clock::WallClock;
use crate::world::{Ask, ConnectFate, LookupEnd, LookupFate, World};

/// The shares of different times, in a hundred. The rest never ends.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Below slow.
    pub fast: u64,
    /// About slow; half of these are exactly slow or 1 ns off.
    pub about_slow: u64,
    /// About the timeout, in the same way.
    pub about_timeout: u64,
    /// In a hundred of those that end: failures.
    pub failing: u64,
}

/// A world whose failures and times depend on its seed.
#[derive(Debug)]
pub struct RandomWorld {
    /// Times of lookups.
    pub lookups: Mix,
    /// Times of connects.
    pub connects: Mix,
    /// One in so many lookups or connects cannot be made.
    pub shortages: u64,
    /// One in so many helpers dies.
    pub deaths: u64,
    /// One in so many lookups begins after a delay.
    pub begins_late: u64,
    /// No resolver answers.
    pub resolver_dead: bool,
    /// No connect is answered.
    pub network_dead: bool,
    /// No file can be written.
    pub disk_full: bool,
    /// Files of this kind cannot be written.
    pub blocked: Option<Kind>,
    /// One in so many lookups finds other addresses than the one before.
    pub moves: u64,
    /// The first address of each name.
    first: HashMap<u16, u8>,
    /// A clock that is always right.
    pub truth: WallClock,
    /// The directory of the log.
    pub directory: LogDirectory,
    random: Random,
}

impl RandomWorld {
    /// The world of this stream of random numbers, which begins at `now` with a clock that is right.
    pub fn new(mut random: Random, now: Instant, truth: WallClock) -> Self {
        // The first, an ordinary network, is chosen most often.
        let mixes = [
            Mix { fast: 94, about_slow: 4, about_timeout: 1, failing: 2 },
            Mix { fast: 50, about_slow: 25, about_timeout: 15, failing: 10 },
            Mix { fast: 10, about_slow: 40, about_timeout: 40, failing: 5 },
            Mix { fast: 60, about_slow: 5, about_timeout: 5, failing: 60 },
            Mix { fast: 5, about_slow: 5, about_timeout: 10, failing: 10 },
        ];
        Self {
            lookups: mixes[random.below(8).saturating_sub(3) as usize],
            connects: mixes[random.below(8).saturating_sub(3) as usize],
            shortages: random.pick(&[0, 0, 1000, 50]),
            deaths: random.pick(&[0, 0, 500, 20, 3]),
            begins_late: random.pick(&[0, 0, 100, 5]),
            resolver_dead: false,
            network_dead: false,
            disk_full: false,
            blocked: None,
            moves: random.pick(&[0, 500, 50, 5]),
            first: HashMap::new(),
            truth,
            directory: LogDirectory::new(random.pick(&[1, 2, 14, 14, 30]), truth.at(now).day()),
            random,
        }
    }

    /// The whole time of a phase; `None` is for ever.
    fn length(&mut self, mix: Mix, limits: Thresholds) -> Option<Nanos> {
        let roll = self.random.below(100);
        let (slow, timeout) = (limits.slow.get(), limits.timeout.get());
        let about = if roll < mix.fast {
            // One in eight ends at once.
            let length = if self.random.one_in(8) { 0 } else { self.random.below(slow) };
            return Some(Nanos::new(length));
        } else if roll < mix.fast + mix.about_slow {
            slow
        } else if roll < mix.fast + mix.about_slow + mix.about_timeout {
            timeout
        } else {
            return None;
        };
        Some(Nanos::new(match self.random.below(8) {
            0 => about - 1,
            1 | 2 => about,
            3 => about + 1,
            _ => self.random.within(about / 2, about + about / 2),
        }))
    }
}

impl World for RandomWorld {
    fn lookup(&mut self, ask: Ask) -> LookupFate {
        let begins = self.random.one_in(self.begins_late).then(|| Nanos::new(self.random.below(2_000_000_000)));
        let length = if self.resolver_dead { None } else { self.length(self.lookups, ask.limits) };
        let transit = Nanos::new(if self.random.one_in(16) { self.random.below(2_000_000) } else { 0 });
        let end = if self.random.one_in(self.shortages) {
            let shortage = self.random.pick(&[Shortage::Processes, Shortage::Memory, Shortage::Descriptors]);
            let after = Nanos::new(self.random.pick(&[0, 0, 1_000_000]));
            LookupEnd::FallsShort { after, shortage }
        } else if self.random.one_in(self.deaths) {
            LookupEnd::Dies { after: Nanos::new(self.random.below(ask.limits.timeout.get())) }
        } else if let Some(elapsed) = length {
            if self.random.below(100) < self.lookups.failing {
                let reason = self.random.pick(&[Reason::NameNotFound, Reason::ResolverSilent, Reason::ResolverFailed]);
                LookupEnd::Fails { elapsed, transit, reason }
            } else {
                let addresses = self.random.pick(&[1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 8, 9, 12, 0]);
                LookupEnd::Answers { elapsed, transit, addresses }
            }
        } else {
            LookupEnd::Hangs
        };
        LookupFate { begins, end }
    }

    fn connect(&mut self, ask: Ask) -> ConnectFate {
        if self.random.one_in(self.shortages) {
            let shortage =
                self.random.pick(&[Shortage::Ports, Shortage::Ports, Shortage::Descriptors, Shortage::Memory]);
            return ConnectFate::FallsShort { begun: self.random.one_in(2), shortage };
        }
        if self.network_dead {
            return ConnectFate::Hangs;
        }
        let Some(total) = self.length(self.connects, ask.limits) else { return ConnectFate::Hangs };
        let after = total.get().saturating_sub(ask.elapsed.get());
        if self.random.below(100) < self.connects.failing {
            let reasons = [
                Reason::Refused,
                Reason::NoSourceAddress,
                Reason::NoFamily,
                Reason::NetworkUnreachable,
                Reason::HostUnreachable,
                Reason::Denied,
                Reason::TimedOut,
            ];
            // Half of the failures come early enough for the next address.
            let after = if self.random.one_in(2) { after / 8 } else { after };
            return ConnectFate::Fails { after: Nanos::new(after), reason: self.random.pick(&reasons) };
        }
        ConnectFate::Accepted { after: Nanos::new(after) }
    }

    fn can_write(&mut self, kind: Kind) -> bool {
        !self.disk_full && self.blocked != Some(kind)
    }

    fn first_address(&mut self, port: u16) -> u8 {
        let first = self.first.entry(port).or_insert(0);
        if self.random.one_in(self.moves) {
            // Often some addresses stay.
            *first = (*first + self.random.within(1, 13) as u8) % 100;
        }
        *first
    }

    fn knows_accept_time(&mut self) -> bool {
        !self.random.one_in(4)
    }

    fn append(&mut self, now: Instant, stamp: WallTime, _: &[(String, Columns)]) -> bool {
        // On a full disk the file is made, too, and is empty.
        self.directory.append(stamp.day(), stamp.at(self.truth.at(now).unix).day());
        !self.disk_full
    }
}
