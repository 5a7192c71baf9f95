//! Deadlines of many things at once: set, cleared and found first in logarithmic time, so that a
//! tick costs the same with a thousand targets as with ten.

use crate::base::time::Instant;

/// At most one deadline for each of a fixed number of ids: a binary heap that knows where each
/// id stands. Equal deadlines come in the order of their ids.
#[derive(Debug)]
pub struct Timers {
    heap: Vec<(Instant, u16)>,
    /// Where id `i` stands in the heap, plus one; 0 where it has no deadline. Zeroes, so that
    /// memory for ids that never had one is never touched.
    positions: Box<[u16]>,
}

impl Timers {
    /// No deadlines yet, for ids below `ids`.
    pub fn new(ids: usize) -> Self {
        Self { heap: Vec::with_capacity(ids), positions: vec![0; ids].into() }
    }

    /// Gives `id` the deadline `at` in place of one it may have, or none where that is
    /// [`Instant::NEVER`].
    pub fn set(&mut self, id: u16, at: Instant) {
        let number = &mut self.positions[usize::from(id)];
        if *number == 0 {
            if at == Instant::NEVER {
                return;
            }
            self.heap.push((at, id));
            *number = self.heap.len() as u16;
        }
        let position = usize::from(*number) - 1;
        if at < Instant::NEVER {
            self.heap[position].0 = at;
        } else {
            *number = 0;
            self.heap.swap_remove(position);
            if position == self.heap.len() {
                return;
            }
            self.note(position);
        }
        self.sift(position);
    }

    /// The earliest deadline; [`Instant::NEVER`] where there is none.
    pub fn next(&self) -> Instant {
        self.heap.first().map_or(Instant::NEVER, |(at, _)| *at)
    }

    /// Whose deadline is the earliest, if it has come.
    pub fn due(&self, now: Instant) -> Option<u16> {
        self.heap.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }

    /// Moves the entry at `position` up or down to where it belongs.
    fn sift(&mut self, mut position: usize) {
        while position > 0 && self.is_before(position, (position - 1) / 2) {
            position = self.swap(position, (position - 1) / 2);
        }
        loop {
            let (left, right) = (2 * position + 1, 2 * position + 2);
            let least = if self.is_before(right, left) { right } else { left };
            if !self.is_before(least, position) {
                return;
            }
            position = self.swap(position, least);
        }
    }

    /// Whether the entry at `a`, if there is one, falls due before that at `b`.
    fn is_before(&self, a: usize, b: usize) -> bool {
        self.heap.get(a).is_some_and(|entry| *entry < self.heap[b])
    }

    /// Swaps two entries. Returns where the first stands then.
    fn swap(&mut self, a: usize, b: usize) -> usize {
        self.heap.swap(a, b);
        self.note(a);
        self.note(b);
        b
    }

    /// Notes where the entry at `position` stands.
    fn note(&mut self, position: usize) {
        let (_, id) = self.heap[position];
        self.positions[usize::from(id)] = position as u16 + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Nanos;
    use std::collections::BTreeSet;

    #[test]
    fn the_first_is_always_the_earliest_whatever_is_set_and_cleared() {
        let mut timers = Timers::new(64);
        let mut model: BTreeSet<(Instant, u16)> = BTreeSet::new();
        let mut random = 1_u64;
        // Miri, which looks for undefined behaviour, is some thousand times slower.
        for _ in 0..if cfg!(miri) { 200 } else { 20_000 } {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (id, at) = ((random >> 58) as u16, Instant::from_nanos(1 + ((random >> 40) & 0xff)));
            model.retain(|entry| entry.1 != id);
            if (random >> 20) % 3 == 0 {
                timers.set(id, Instant::NEVER);
            } else {
                timers.set(id, at);
                model.insert((at, id));
            }
            let first = model.first().copied();
            let next = first.map_or(Instant::NEVER, |(at, _)| at);
            assert_eq!((timers.next(), timers.due(next)), (next, first.map(|(_, id)| id)));
            assert_eq!(timers.due(next.before(Nanos::new(1))), None);
        }
    }
}
