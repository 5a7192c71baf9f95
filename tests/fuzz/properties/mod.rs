//! Properties that must hold for any input bytes, one file a target. The fuzzer looks for bytes that
//! break them (`make fuzz`); `tests/corpus.rs` repeats the inputs it has found at every test run.

pub mod cgi;
pub mod command_line;
pub mod config;
pub mod ledger;
pub mod log;
pub mod message;
pub mod text;

/// A property: returns if it holds for these bytes, panics if not.
pub type Property = fn(&[u8]);

/// Every target, with the name of its corpus.
pub const TARGETS: [(&str, Property); 7] = [
    ("cgi", cgi::holds),
    ("command_line", command_line::holds),
    ("config", config::holds),
    ("ledger", ledger::holds),
    ("log", log::holds),
    ("message", message::holds),
    ("text", text::holds),
];

/// The input as a stream of bytes, for a target that makes values of it. After the end it gives
/// zeroes.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// Whether all bytes are read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let length = N.min(self.0.len());
        array[..length].copy_from_slice(self.slice(length));
        array
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// The next `length` bytes, or all if there are fewer.
    pub fn slice(&mut self, length: usize) -> &'a [u8] {
        let (slice, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        slice
    }
}

/// The longest prefix of the bytes that is UTF-8.
pub fn text_of(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}
