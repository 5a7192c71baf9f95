//! The deadlines of many things. One is set or cleared in logarithmic time and the first is known at once, so
//! a thousand targets hardly cost more than ten.

use crate::base::time::Instant;

/// At most one deadline for each of a fixed number of ids: a binary heap that knows the position of each id.
/// Equal deadlines come in the order of their ids.
#[derive(Debug)]
pub struct Timers {
    heap: Vec<(Instant, u16)>,
    /// For each id its position in the heap plus one; 0 if it has no deadline. Because of the zero, memory of
    /// ids that never had a deadline is never touched.
    positions: Box<[u16]>,
}

impl Timers {
    /// No deadlines yet, for ids below `ids`.
    pub fn new(ids: usize) -> Self {
        Self { heap: Vec::with_capacity(ids), positions: vec![0; ids].into() }
    }

    /// Sets the deadline of `id` and replaces an earlier one; [`Instant::NEVER`] clears it.
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
        }
        self.sift(position);
    }

    /// Whether `id` has a deadline.
    pub fn has(&self, id: u16) -> bool {
        self.positions[usize::from(id)] != 0
    }

    /// The earliest deadline; [`Instant::NEVER`] if there is none.
    pub fn next(&self) -> Instant {
        self.heap.first().map_or(Instant::NEVER, |(at, _)| *at)
    }

    /// The id with the earliest deadline, if `now` has reached it.
    pub fn due(&self, now: Instant) -> Option<u16> {
        self.heap.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }

    /// Moves the entry at `position` up or down to its position in the order. The entries on its way move by one; it
    /// is written once, at the end.
    fn sift(&mut self, mut position: usize) {
        let entry = self.heap[position];
        while position > 0 {
            let parent = (position - 1) / 2;
            if self.heap[parent] <= entry {
                break;
            }
            self.put(position, self.heap[parent]);
            position = parent;
        }
        while let Some(mut least) = self.heap.get(2 * position + 1).copied() {
            let mut child = 2 * position + 1;
            if let Some(right) = self.heap.get(child + 1).copied().filter(|right| *right < least) {
                (child, least) = (child + 1, right);
            }
            if entry <= least {
                break;
            }
            self.put(position, least);
            position = child;
        }
        self.put(position, entry);
    }

    /// Writes an entry at a position, which is noted for its id.
    fn put(&mut self, position: usize, entry: (Instant, u16)) {
        self.heap[position] = entry;
        self.positions[usize::from(entry.1)] = position as u16 + 1;
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
        // Miri, which looks for undefined behaviour, is a thousand times slower.
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
