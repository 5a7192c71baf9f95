//! The events that the monitor must find, by the simulator's own reading, and which of them wait in the ledger.

use std::collections::VecDeque;

use tcpmon::base::time::Instant;
use tcpmon::core::ledger::{Entry, Ledger};
use tcpmon::model::event::Event;
use tcpmon::model::message::Addresses;
use tcpmon::model::target::Target;

use crate::reading::{Reading, storable};

/// An event that was found.
#[derive(Clone, Debug)]
pub struct Told {
    /// The record of its target, and that target; `None` for an event of the monitor itself.
    target: Option<(u16, Target)>,
    /// When it was found, in seconds since 1970.
    at: i64,
    event: Event,
    /// Of an event that a name has other addresses: those before and those now.
    addresses: (Addresses, Addresses),
    /// When it was found, if the clock was not set then.
    unset: Option<Unset>,
    /// By how many seconds its moments may be off: they were put right, which the monitor does in whole seconds, or they
    /// are not predicted.
    slack: i64,
    /// Whether it tells a tick of an earlier run: whether that was found by a wrong clock is not known.
    is_old: bool,
}

/// The moments of an event, as long as no clock can tell them.
#[derive(Clone, Copy, Debug)]
struct Unset {
    found: Instant,
    /// The first failed tick, in milliseconds.
    since: Option<i64>,
}

/// All events, by their numbers in the ledger.
#[derive(Debug)]
pub struct Events {
    /// Whether anybody wants them.
    pub is_on: bool,
    /// The last reading of the clocks that the monitor knows.
    pub reading: Reading,
    /// Whether the clock is not set and reports wait for that.
    pub is_held: bool,
    /// Whether it was set in this run and is wrong again: which moments are put right then is not predicted.
    pub is_vague: bool,
    /// How many records the ledger has; 0 if there is none that can have events.
    pub records: usize,
    /// Those that wait, from the number `first` on.
    waiting: VecDeque<Told>,
    first: u32,
    /// Those for which there was no room.
    pub dropped: u32,
    /// Those that were found, all together, and those of them for which there was no room.
    pub found: u64,
    pub lost: u64,
    /// When the last one was found.
    last: Instant,
    /// The start of this run: in milliseconds, and the number of its first event.
    pub start: (i64, u32),
}

impl Events {
    /// No events, of a run that starts now. Without a ledger (`records` is 0) there will be none.
    pub fn new(records: usize, now: Instant, reading: Reading) -> Self {
        Self {
            is_on: false,
            reading,
            is_held: false,
            is_vague: false,
            records,
            waiting: VecDeque::new(),
            first: 0,
            dropped: 0,
            found: 0,
            lost: 0,
            last: now,
            start: (now.millis(), 0),
        }
    }

    /// A new run starts.
    pub fn start(&mut self, now: Instant, reading: Reading) {
        (self.reading, self.is_held, self.is_vague) = (reading, false, false);
        (self.start, self.last) = ((now.millis(), self.end()), now);
        self.waiting.iter_mut().for_each(|told| told.unset = None);
    }

    /// For how many there is room: two for each target and some of the monitor, and at least 64.
    fn room(&self) -> usize {
        (2 * self.records + 16).max(64)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The number behind the last one.
    pub fn end(&self) -> u32 {
        self.first.wrapping_add(self.waiting.len() as u32)
    }

    /// Whether one of this record waits.
    pub fn has_of(&self, record: u16) -> bool {
        self.waiting.iter().any(|told| told.target.as_ref().is_some_and(|(of, _)| *of == record))
    }

    /// Whether one waits that tells the addresses of this record.
    pub fn has_address_of(&self, record: u16) -> bool {
        self.waiting.iter().any(|told| told.is_address_of(record))
    }

    /// An event was found at `now`. `since` is the first failed tick that it tells, in milliseconds.
    pub fn push(&mut self, now: Instant, target: Option<(u16, Target)>, event: Event, since: Option<i64>) {
        if !self.is_on {
            return;
        }
        self.found += 1;
        if self.records == 0 {
            return;
        }
        if self.waiting.len() >= self.room() {
            self.dropped += 1;
            self.lost += 1;
            return;
        }
        // The lines have an order.
        self.last = self.last.max(now);
        let unset = self.is_held.then_some(Unset { found: self.last, since });
        let at = self.reading.unix(self.last);
        let addresses = Default::default();
        let slack = if self.is_vague { i64::MAX } else { 0 };
        self.waiting.push_back(Told { target, at, event, addresses, unset, slack, is_old: false });
    }

    /// The addresses of this record have changed once more: the event that waits tells of both changes.
    pub fn change_address(&mut self, record: u16, addresses: (Addresses, Addresses)) {
        self.waiting.iter_mut().filter(|told| told.is_address_of(record)).for_each(|told| told.addresses = addresses);
    }

    /// The clock is read at `now` while it was not set: what was found since the start gets its right time. For older
    /// moments see [`crate::health::Health::correct`].
    pub fn correct(&mut self, now: i64, reading: Reading) {
        let wrong = self.start.0.min(now - 900_000) - 60_000..=now;
        let number = self.start.1.wrapping_sub(self.first) as usize;
        let of_this_run = if number <= self.waiting.len() { number } else { 0 };
        for told in self.waiting.iter_mut().skip(of_this_run) {
            let Some(unset) = told.unset else { continue };
            told.slack = told.slack.saturating_add(2);
            told.at = storable(reading.unix_of(unset.found.millis()));
            match &mut told.event {
                Event::Down { since, .. } | Event::Up { since, .. } => {
                    told.is_old |= unset.since.is_none_or(|tick| !(self.start.0..=now).contains(&tick));
                    let tick = unset.since.filter(|tick| wrong.contains(tick));
                    *since = tick.map_or(*since, |tick| reading.unix_of(tick));
                }
                Event::Killed { to, .. } | Event::Stopped { to, .. } => *to = told.at,
                Event::Address
                | Event::Flapping { .. }
                | Event::Start { .. }
                | Event::Stop { .. }
                | Event::Clock { .. }
                | Event::Reload { .. }
                | Event::Log { .. }
                | Event::Dropped { .. } => {}
            }
        }
    }

    /// Those before this number are in their file, or nobody wants them.
    pub fn take(&mut self, end: u32) {
        let count = (end.wrapping_sub(self.first) as usize).min(self.waiting.len());
        self.waiting.drain(..count);
        self.first = end;
    }

    /// Nobody wants events: none waits.
    pub fn discard_unwanted(&mut self) {
        if !self.is_on {
            self.take(self.end());
        }
    }

    /// The monitor has read the clocks. Whether the clock is set is known by then.
    pub fn see_clock(&mut self, reading: Reading, is_held: bool) {
        if is_held && !self.is_held {
            // The monitor tells moments of the wrong clock from those of the right one by their value.
            self.is_vague = true;
            self.waiting.iter_mut().for_each(|told| told.slack = i64::MAX);
        }
        (self.reading, self.is_held) = (reading, is_held);
    }

    /// All that waited were written: the monitor says how many could not be kept.
    pub fn tell_dropped(&mut self, now: Instant) {
        let events = self.dropped;
        if events > 0 && self.waiting.len() < self.room() {
            self.push(now, None, Event::Dropped { events }, None);
            self.dropped = 0;
        }
    }

    /// How many of those that wait are the same in the ledger, up to the first that is not.
    fn count_matching(&self, ledger: &Ledger) -> usize {
        let found = ledger.events_from(ledger.first_event());
        self.waiting.iter().zip(found).take_while(|(told, entry)| told.is(entry, ledger)).count()
    }

    /// Compares all that wait with what the ledger has.
    pub fn compare(&self, ledger: &Ledger) {
        if self.records == 0 {
            return;
        }
        let matching = self.count_matching(ledger);
        let entry = ledger.events_from(ledger.first_event()).nth(matching);
        assert!(
            matching == self.waiting.len() && entry.is_none(),
            "event {matching} of {} is {entry:?} instead of {:?}",
            self.waiting.len(),
            self.waiting.get(matching),
        );
        assert_eq!((ledger.first_event(), ledger.end_of_events()), (self.first, self.end()), "numbers of events");
        assert_eq!(ledger.dropped_events(), self.dropped, "events for which there was no room");
    }

    /// Compares all that wait with the ledger of a dead process. If it was killed during an operation, before which
    /// `before` were the first and the end of the events, that may not be done.
    pub fn restore(&mut self, ledger: &Ledger, before: Option<(u32, u32)>) {
        let (first, end) = before.unwrap_or((self.first, self.end()));
        let found = (ledger.first_event(), ledger.end_of_events());
        let (firsts, ends) = ([first, self.first], [end, self.end()]);
        assert!(firsts.contains(&found.0) && ends.contains(&found.1), "{found:?}, expected {firsts:?} to {ends:?}");
        if found.0 != self.first {
            // They were taken out, and were not yet when the process died.
            self.first = found.0;
            self.waiting.clear();
            for entry in ledger.events_from(found.0) {
                self.waiting.push_back(Told::read(&entry, ledger));
            }
        }
        self.waiting.truncate(found.1.wrapping_sub(found.0) as usize);
        if before.is_some() {
            self.dropped = ledger.dropped_events();
            // The addresses of an event that waits are those of the record, which may be old or new.
            for (told, entry) in self.waiting.iter_mut().zip(ledger.events_from(found.0)) {
                told.addresses = addresses_of(&entry, ledger);
            }
        }
        self.compare(ledger);
    }
}

impl Told {
    fn is_address_of(&self, record: u16) -> bool {
        matches!((&self.target, self.event), (Some((of, _)), Event::Address) if *of == record)
    }

    /// An event as the ledger has it.
    fn read(entry: &Entry, ledger: &Ledger) -> Self {
        let target = entry.record.and_then(|record| Some((record as u16, ledger.record(record).target()?)));
        let (at, event, addresses) = (entry.found.at, entry.found.event, addresses_of(entry, ledger));
        Self { target, at, event, addresses, unset: None, slack: 0, is_old: false }
    }

    /// Whether the ledger has it like this.
    fn is(&self, entry: &Entry, ledger: &Ledger) -> bool {
        let target = match (&self.target, entry.record) {
            (None, None) => true,
            (Some((record, target)), Some(found)) => {
                let known = ledger.record(found).target();
                usize::from(*record) == found && known.is_some_and(|known| known.is_same_as(target))
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        let close = |a: i64, b: i64| (storable(a) - storable(b)).abs() <= self.slack;
        let close_since = |a: i64, b: i64| self.is_old || close(a, b);
        let same = is_same(self.event, entry.found.event, &close, &close_since);
        target && close(self.at, entry.found.at) && same && self.addresses == addresses_of(entry, ledger)
    }
}

/// The addresses that an event of the ledger tells: those before and those now.
fn addresses_of(entry: &Entry, ledger: &Ledger) -> (Addresses, Addresses) {
    match (entry.found.event, entry.record) {
        (Event::Address, Some(record)) => {
            let (now, before) = ledger.record(record).answers();
            (before, now)
        }
        _ => Default::default(),
    }
}

/// Whether two events are the same, if their moments are `close`.
fn is_same(
    expected: Event,
    found: Event,
    close: &dyn Fn(i64, i64) -> bool,
    close_since: &dyn Fn(i64, i64) -> bool,
) -> bool {
    match (expected, found) {
        (Event::Down { since, .. }, Event::Down { ending, since: other, failed }) => {
            close_since(since, other) && expected == Event::Down { ending, since, failed }
        }
        (Event::Up { since, connect, .. }, Event::Up { address, connect: other, since: from, down_for, failed }) => {
            // The ledger has microseconds.
            connect.get() / 1000 == other.get() / 1000
                && close_since(since, from)
                && expected == Event::Up { address, connect, since, down_for, failed }
        }
        (Event::Killed { from, to }, Event::Killed { from: since, to: other })
        | (Event::Stopped { from, to }, Event::Stopped { from: since, to: other })
        | (Event::Clock { from, to }, Event::Clock { from: since, to: other }) => {
            storable(from) == storable(since) && close(to, other)
        }
        _ => expected == found,
    }
}
