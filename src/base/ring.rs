//! A first-in-first-out line of small numbers with a fixed number of slots.

/// Numbers waiting their turn. The slots are reserved at the start; the caller bounds how many
/// wait by letting each number stand in the line once.
#[derive(Debug)]
pub struct Ring {
    slots: Box<[u16]>,
    first: usize,
    length: usize,
}

impl Ring {
    /// An empty line with `slots` slots.
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

    /// Takes the first.
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
    fn who_came_first_goes_first_around_the_end() {
        let mut ring = Ring::new(3);
        for round in 0..5 {
            assert!(ring.push(round) && ring.push(round + 10) && ring.push(round + 20));
            assert!(!ring.push(99), "a full line takes nobody");
            assert_eq!(
                [ring.pop(), ring.pop(), ring.pop(), ring.pop()],
                [Some(round), Some(round + 10), Some(round + 20), None]
            );
            assert!(ring.push(7) && ring.pop() == Some(7) && ring.pop().is_none());
        }
    }
}
