//! A first-in-first-out queue of small numbers with a fixed number of slots.

/// A queue of numbers. Its slots are reserved at the start. The caller queues each number at most once, which
/// bounds how many there are.
#[derive(Debug)]
pub struct Ring {
    slots: Box<[u16]>,
    first: usize,
    length: usize,
}

impl Ring {
    /// An empty queue with `slots` slots.
    pub fn new(slots: usize) -> Self {
        Self { slots: vec![0; slots].into(), first: 0, length: 0 }
    }

    /// Adds `number` at the end. Returns whether there was a slot.
    #[must_use]
    pub fn push(&mut self, number: u16) -> bool {
        if self.length == self.slots.len() {
            return false;
        }
        let end = (self.first + self.length) % self.slots.len();
        self.slots[end] = number;
        self.length += 1;
        true
    }

    /// Removes and returns the first number.
    pub fn pop(&mut self) -> Option<u16> {
        if self.length == 0 {
            return None;
        }
        let number = self.slots[self.first];
        self.first = (self.first + 1) % self.slots.len();
        self.length -= 1;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_in_is_the_first_out_around_the_end_of_the_slots() {
        let mut ring = Ring::new(3);
        for round in 0..5 {
            assert!(ring.push(round) && ring.push(round + 10) && ring.push(round + 20));
            assert!(!ring.push(99), "a full queue accepts none");
            assert_eq!(
                [ring.pop(), ring.pop(), ring.pop(), ring.pop()],
                [Some(round), Some(round + 10), Some(round + 20), None]
            );
            assert!(ring.push(7) && ring.pop() == Some(7) && ring.pop().is_none());
        }
    }
}
