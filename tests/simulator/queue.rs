//! The queue: the events that the world has decided on, ordered by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tcpmon::base::time::Instant;

/// An event in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A helper begins a lookup.
    LookupStarts(Request),
    /// The world's answer to a lookup.
    LookupEnds(Request),
    /// The world's answer to a connect.
    ConnectEnds(Request),
    /// The deadline of the probe in this slot: it must have ended by now.
    Deadline(u16),
    /// An answer to a request that has ended; the index in the list of stale ids.
    Stale(u32),
}

/// A lookup or connect: the slot and the request's number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The probe's slot.
    pub slot: u16,
    /// Which of the slot's requests.
    pub number: u32,
}

/// A heap of small entries: a simulated hour of a hundred targets moves tens of thousands.
#[derive(Debug, Default)]
pub struct Queue(BinaryHeap<Reverse<(Instant, u64)>>);

impl Queue {
    /// Adds an event at `at`.
    pub fn push(&mut self, at: Instant, due: Due) {
        self.0.push(Reverse((at, pack(due))));
    }

    /// The time of the first event, or never.
    pub fn next(&self) -> Instant {
        self.0.peek().map_or(Instant::NEVER, |Reverse((at, _))| *at)
    }

    /// The first event.
    pub fn peek(&self) -> Option<(Instant, Due)> {
        self.0.peek().map(|Reverse((at, packed))| (*at, unpack(*packed)))
    }

    /// Removes and returns the first event if it is due at `now`.
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, Due)> {
        if self.next() > now {
            return None;
        }
        self.0.pop().map(|Reverse((at, packed))| (at, unpack(packed)))
    }
}

fn pack(due: Due) -> u64 {
    let request = |kind: u64, Request { slot, number }| (kind << 48) | (u64::from(slot) << 32) | u64::from(number);
    match due {
        Due::LookupStarts(r) => request(0, r),
        Due::LookupEnds(r) => request(1, r),
        Due::ConnectEnds(r) => request(2, r),
        Due::Deadline(slot) => (3 << 48) | u64::from(slot),
        Due::Stale(index) => (4 << 48) | u64::from(index),
    }
}

fn unpack(packed: u64) -> Due {
    let request = Request { slot: (packed >> 32) as u16, number: packed as u32 };
    match packed >> 48 {
        0 => Due::LookupStarts(request),
        1 => Due::LookupEnds(request),
        2 => Due::ConnectEnds(request),
        3 => Due::Deadline(packed as u16),
        _ => Due::Stale(packed as u32),
    }
}
