//! A line, written by hand from left to right into a room that is given: for lines that are written for each probe. It takes
//! a tenth of the instructions of the standard library's formatting.

use crate::base::words;

/// What is written so far, and the room for more. What does not fit is left out.
pub struct Line<'a> {
    room: &'a mut [u8],
    length: usize,
}

impl<'a> Line<'a> {
    /// An empty line.
    pub fn new(room: &'a mut [u8]) -> Self {
        Self { room, length: 0 }
    }

    /// Appends one byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        if let Some(room) = self.room.get_mut(self.length) {
            *room = byte;
            self.length += 1;
        }
    }

    /// Appends bytes that are whole characters, or nothing if they do not fit.
    #[inline(never)]
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }

    /// Appends a number in decimal.
    #[inline(never)]
    pub fn push_number(&mut self, number: u32) {
        let (mut digits, mut above) = (1, 10);
        while u64::from(number) >= above {
            digits += 1;
            above *= 10;
        }
        self.push_digits(number, digits);
    }

    /// Appends the last digits of a number, so many of them.
    #[inline(never)]
    pub fn push_digits(&mut self, number: u32, digits: usize) {
        let Some(room) = self.room.get_mut(self.length..self.length + digits) else { return };
        let (mut rest, mut at) = (number, digits);
        while at > 0 {
            at -= 1;
            room[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.length += digits;
    }

    /// How many bytes it has.
    pub fn length(&self) -> usize {
        self.length
    }

    /// What is written.
    pub fn as_str(&self) -> &str {
        // This cannot fail, because only whole characters are written.
        words::utf8(&self.room[..self.length]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_by_the_standard_library() {
        let mut room = [0; 10];
        for number in [0, 1, 9, 10, 99, 100, 999_999_999, 1_000_000_000, u32::MAX - 1, u32::MAX] {
            let mut line = Line::new(&mut room);
            line.push_number(number);
            assert_eq!(line.as_str(), number.to_string());
            let mut line = Line::new(&mut room);
            line.push_digits(number, 10);
            assert_eq!(line.as_str(), format!("{number:010}"));
            let mut line = Line::new(&mut room);
            line.push_digits(number, 3);
            assert_eq!(line.as_str(), format!("{:03}", number % 1000));
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut room = [0; 4];
        let mut line = Line::new(&mut room);
        line.push_bytes("ä".as_bytes());
        line.push_bytes(b"123");
        line.push_number(123);
        line.push_digits(0, 3);
        assert_eq!((line.as_str(), line.length()), ("ä", 2));
        line.push(b'x');
        line.push_number(7);
        line.push(b'y');
        assert_eq!((line.as_str(), line.length()), ("äx7", 4));
    }
}
