//! What must hold for any bytes at all, one file a target. The fuzzer looks for bytes that break
//! it (`make fuzz`); `tests/corpus.rs` repeats what it has found on the way at every test run.

pub mod command_line;
pub mod config;
pub mod ledger;
pub mod message;
pub mod text;

/// A property: returns if it holds for these bytes, panics if not.
pub type Property = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: [(&str, Property); 5] = [
    ("command_line", command_line::holds),
    ("config", config::holds),
    ("ledger", ledger::holds),
    ("message", message::holds),
    ("text", text::holds),
];

/// Bytes taken off the front one after the other, for a target that makes values of its input.
/// Behind the end there are zeroes.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// Whether all are taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `N`.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let length = N.min(self.0.len());
        taken[..length].copy_from_slice(self.slice(length));
        taken
    }

    /// The next one.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// The next `length`, or as many as there are.
    pub fn slice(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// As much of the bytes as is text.
pub fn text_of(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}
