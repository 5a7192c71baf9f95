//! The ring of events: those that are not known to be in their file yet. It lies behind the records, so that a kill loses
//! none of them.
//!
//! Events are numbered from the first on; the numbers wrap. An event is in the ring from when the number behind the last
//! one is stored until the number of the first one is.

use core::sync::atomic::AtomicU32;

use super::Ledger;
use super::codes::{self, decode, encode, micros, nanos};
use super::layout::{self, EVENT, RING, Shape};
use crate::base::time::unix_u32 as seconds;
use crate::model::event::{Event, Found};
use crate::model::log_names::Kind;

/// The words of [`RING`]: the number of the first event in the ring, and the one behind the last.
const FIRST: usize = 0;
const END: usize = 1;
/// The number behind the last event that was sent to the system log.
const SENT: usize = 2;
/// Events for which there was no room, since the last one that says so.
const DROPPED: usize = 3;
/// Events that the system log did not accept.
const LOST: usize = 4;

/// An event in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: u32,
    /// The record of its target; `None` for an event of the monitor itself.
    pub record: Option<usize>,
    /// The event.
    pub found: Found,
}

/// Events in the ring, in their order.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    ledger: &'a Ledger,
    next: u32,
    end: u32,
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    #[inline(never)]
    fn next(&mut self) -> Option<Entry> {
        while self.next != self.end {
            let entry = self.ledger.event(self.next);
            self.next = self.next.wrapping_add(1);
            if entry.is_some() {
                return entry;
            }
        }
        None
    }
}

impl Ledger {
    /// How many events there is room for.
    fn room(&self) -> u32 {
        layout::events(self.capacity) as u32
    }

    /// The number of the first event in the ring.
    pub fn first_event(&self) -> u32 {
        self.get(RING, FIRST)
    }

    /// The number behind the last event in the ring.
    pub fn end_of_events(&self) -> u32 {
        self.get(RING, END)
    }

    /// Adds an event, of the target in this record or of the monitor. If there is no room, it is counted as dropped.
    pub fn push_event(&self, record: Option<usize>, found: &Found) {
        let (first, end) = (self.first_event(), self.end_of_events());
        if end.wrapping_sub(first) >= self.room() {
            return self.drop_events(1);
        }
        let words = encode_event(record, found);
        self.store_event(self.capacity, end, &words);
        self.set(RING, END, end.wrapping_add(1));
    }

    /// The events in the ring from this number on, in their order. A number that is not in the ring stands for the first
    /// one.
    pub fn events_from(&self, first: u32) -> Entries<'_> {
        Entries { ledger: self, next: self.number_in_ring(first), end: self.end_of_events() }
    }

    /// This number if an event in the ring has it, or if it is the one behind the last event; else the first one's.
    fn number_in_ring(&self, number: u32) -> u32 {
        let (first, end) = (self.first_event(), self.end_of_events());
        if number.wrapping_sub(first) > end.wrapping_sub(first) { first } else { number }
    }

    fn event(&self, number: u32) -> Option<Entry> {
        let words = self.words_of_event(number);
        let record = (words[1] as usize).checked_sub(1).filter(|record| *record < self.capacity);
        Some(Entry { number, record, found: Found { at: words[2].into(), event: decode_event(&words)? } })
    }

    #[inline(never)]
    fn words_of_event(&self, number: u32) -> [u32; EVENT] {
        let at = self.offset_of_event(self.capacity, number);
        let mut words = [0; EVENT];
        for (i, word) in words.iter_mut().enumerate() {
            *word = layout::word(&self.memory, at + i);
        }
        words
    }

    /// Removes all events before this number: they are in their file. Can be repeated. A number that no event has comes
    /// from a damaged journal, and removes none.
    pub fn take_events(&self, end: u32) {
        self.set(RING, FIRST, self.number_in_ring(end));
    }

    /// Whether an event of the target in this record waits.
    pub fn has_event_of(&self, record: usize) -> bool {
        self.has_event(record, false)
    }

    /// Whether an event waits that tells the addresses of this record.
    pub fn has_address_event_of(&self, record: usize) -> bool {
        self.has_event(record, true)
    }

    fn has_event(&self, record: usize, of_address: bool) -> bool {
        for entry in self.events_from(self.first_event()) {
            if entry.record == Some(record) && (!of_address || entry.found.event == Event::Address) {
                return true;
            }
        }
        false
    }

    /// Events for which there was no room, since the last call of [`Ledger::tell_dropped`].
    pub fn dropped_events(&self) -> u32 {
        self.get(RING, DROPPED)
    }

    /// All events for which there was no room, since the ledger was made; the number wraps.
    pub fn all_dropped_events(&self) -> u32 {
        self.get(layout::DROPPED, 0)
    }

    fn drop_events(&self, events: u32) {
        self.set(RING, DROPPED, self.dropped_events().wrapping_add(events));
        self.set(layout::DROPPED, 0, self.all_dropped_events().wrapping_add(events));
    }

    /// Adds the event that others were dropped, if they were and there is room.
    pub fn tell_dropped(&self, at: i64) {
        let events = self.dropped_events();
        if events > 0 && self.end_of_events() != self.first_event().wrapping_add(self.room()) {
            self.push_event(None, &Found { at, event: Event::Dropped { events } });
            self.set(RING, DROPPED, 0);
        }
    }

    /// The number behind the last event that was sent to the system log.
    pub fn sent_events(&self) -> u32 {
        // Events that are in their file are not sent any more.
        self.number_in_ring(self.get(RING, SENT))
    }

    /// Sets the number of [`Ledger::sent_events`].
    pub fn set_sent_events(&self, end: u32) {
        self.set(RING, SENT, end);
    }

    /// Events that the system log did not accept.
    pub fn lost_events(&self) -> u32 {
        self.get(RING, LOST)
    }

    /// Counts an event that the system log did not accept.
    pub fn lose_event(&self) {
        self.set(RING, LOST, self.lost_events().wrapping_add(1));
    }

    /// Moves the moments of events with this number and later ones that lie between `from` and `to`, in seconds since
    /// 1970, by so many seconds: the clock was not set then.
    pub fn shift_events(&self, first: u32, from: i64, to: i64, by: i64) {
        let move_it = |moment: &mut i64| {
            if (from..=to).contains(moment) {
                *moment += by;
            }
        };
        for mut entry in self.events_from(first) {
            let found = &mut entry.found;
            move_it(&mut found.at);
            match &mut found.event {
                Event::Down { since, .. } | Event::Up { since, .. } => move_it(since),
                Event::Killed { to, .. } | Event::Stopped { to, .. } => move_it(to),
                Event::Address
                | Event::Flapping { .. }
                | Event::Start { .. }
                | Event::Stop { .. }
                | Event::Clock { .. }
                | Event::Reload { .. }
                | Event::Log { .. }
                | Event::Dropped { .. } => {}
            }
            self.store_event(self.capacity, entry.number, &encode_event(entry.record, found));
        }
    }

    /// The first word of the event of this number, in a ledger of so many records.
    fn offset_of_event(&self, records: usize, number: u32) -> usize {
        layout::size(records) + number as usize % layout::events(records) * EVENT
    }

    /// Stores an event where it is in a ledger of so many records.
    #[inline(never)]
    fn store_event(&self, records: usize, number: u32, words: &[u32; EVENT]) {
        let at = self.offset_of_event(records, number);
        for (i, word) in words.iter().enumerate() {
            self.store(at + i, *word);
        }
    }

    /// Copies the ring to where it is in a ledger of so many records, which are more. If the old ring overlaps with the new
    /// one, its events are counted as dropped.
    pub(super) fn move_ring(&self, records: usize) {
        if layout::size(records) < layout::words(self.capacity) {
            self.drop_events(self.end_of_events().wrapping_sub(self.first_event()));
            return self.take_events(self.end_of_events());
        }
        for i in 0..self.end_of_events().wrapping_sub(self.first_event()) {
            let number = self.first_event().wrapping_add(i);
            self.store_event(records, number, &self.words_of_event(number));
        }
    }

    /// Copies the ring of a ledger in these words, of as many records as this one. Its head was copied before.
    pub(super) fn take_over(&self, words: &[AtomicU32], shape: &Shape) {
        let from = shape.end();
        if words.len() >= from + layout::events(self.capacity) * EVENT {
            let to = layout::size(self.capacity);
            for i in 0..layout::events(self.capacity) * EVENT {
                self.store(to + i, layout::word(words, from + i));
            }
        }
    }

    /// Whether the ring can have so many events.
    pub(super) fn is_ring_valid(&self) -> bool {
        self.end_of_events().wrapping_sub(self.first_event()) <= self.room()
    }
}

/// The file of a code: the index in `Kind::ALL`.
fn kind_of(code: u32) -> Option<Kind> {
    Kind::ALL.get(code as usize).copied()
}

/// The words of an event: its code, the number of its record from 1, when it was found, and its facts. A code never
/// changes its meaning.
fn encode_event(record: Option<usize>, found: &Found) -> [u32; EVENT] {
    let mut words = [0; EVENT];
    words[1] = record.map_or(0, |record| record as u32 + 1);
    words[2] = seconds(found.at);
    let facts = &mut words[3..];
    let (code, few) = match found.event {
        Event::Down { ending, since, failed } => {
            facts[..7].copy_from_slice(&encode(ending));
            (facts[7], facts[8]) = (seconds(since), failed);
            (1, [facts[0], facts[1], facts[2]])
        }
        Event::Up { address, connect, since, down_for, failed } => {
            facts[1..6].copy_from_slice(&codes::pack(address));
            facts[6..10].copy_from_slice(&[micros(connect), seconds(since), down_for, failed]);
            (2, [if address.ip.is_ipv6() { 6 } else { 4 }, facts[1], facts[2]])
        }
        // The record has the addresses.
        Event::Address => (3, [0; 3]),
        Event::Flapping { changes, is_up } => (4, [changes, is_up.into(), 0]),
        Event::Start { targets } => (5, [targets, 0, 0]),
        Event::Killed { from, to } => (6, [seconds(from), seconds(to), 0]),
        Event::Stopped { from, to } => (7, [seconds(from), seconds(to), 0]),
        Event::Stop { targets, down } => (8, [targets, down, 0]),
        Event::Clock { from, to } => (9, [seconds(from), seconds(to), 0]),
        Event::Reload { new, removed, kept } => (10, [new, removed, kept]),
        Event::Log { file, day, errno } => (11, [file.index() as u32, day as u32, errno as u32]),
        Event::Dropped { events } => (12, [events, 0, 0]),
    };
    facts[..3].copy_from_slice(&few);
    words[0] = code;
    words
}

/// The event in these words; `None` if they are none.
fn decode_event(words: &[u32; EVENT]) -> Option<Event> {
    let [code, record, _, facts @ ..] = *words;
    let [a, b, c, ..] = facts;
    let (from, to) = (a.into(), b.into());
    Some(match code {
        1 => {
            let [ending @ .., since, failed, _, _] = facts;
            Event::Down { ending: decode(ending)?, since: since.into(), failed }
        }
        2 => {
            let [family, address @ .., connect, since, down_for, failed, _] = facts;
            let address = codes::unpack(address, family == 6);
            Event::Up { address, connect: nanos(connect), since: since.into(), down_for, failed }
        }
        3 if record > 0 => Event::Address,
        4 => Event::Flapping { changes: a, is_up: b != 0 },
        5 => Event::Start { targets: a },
        6 => Event::Killed { from, to },
        7 => Event::Stopped { from, to },
        8 => Event::Stop { targets: a, down: b },
        9 => Event::Clock { from, to },
        10 => Event::Reload { new: a, removed: b, kept: c },
        11 => {
            // Within the years of four digits that a file's name can have, and some more.
            let day = Some(i64::from(b as i32)).filter(|day| (-(1 << 20)..1 << 22).contains(day))?;
            Event::Log { file: kind_of(a)?, day, errno: c as i32 }
        }
        12 => Event::Dropped { events: a },
        _ => return None,
    })
}
